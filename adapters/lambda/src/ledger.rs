//! The ledger in the table: a log for each shard.
//!
//! - **One write a transaction.** A transaction is packed into a step and appended to the shard's head: one unconditional write of one
//!   item below 1 KB, whatever number of accounts it names, with its entries for the outbox in it. The table orders
//!   the steps, so no two callers can conflict and nobody tries again; the answer has all steps of the head, the caller's as the last,
//!   and everyone who applies them in that order (see [`crate::shard`]) comes to the same. A step that stands twice, because the SDK sent it
//!   twice, changes nothing the second time.
//! - **Segments.** Whoever's step makes the head long enough puts its steps away as a segment, with what came of each, and takes them
//!   out of the head. Segments are where the outbox is read, and what is archived is noted in one item; the table takes old ones
//!   out by itself.
//! - **Accounts** are kept as items of their own every few hundred steps, and before a segment since is so old that the table may take
//!   it out: those that changed. Who knows nothing yet reads those that it meets, and the segments since.
//! - A head comes to be with the shard's first document, so forged keys leave nothing behind.
//!
//! All of this upkeep is idempotent, and conditional on nobody having done it; who dies in the middle of it leaves it to the next.

mod items;
mod outbox;
#[cfg(test)]
mod tests;
mod upkeep;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, KeysAndAttributes, ReturnValue, ReturnValuesOnConditionCheckFailure,
};
use futures_util::future::try_join_all;
use gatelet_core::domain::account::{Account, Grant, Op, distinct, transact};
use gatelet_core::domain::{AccountId, Notice, ShardId, Timestamp};
use gatelet_core::port::{Defer, Entry, Fault, FaultKind, Ledger, Outcome, Transaction};

use self::items::{account_pk, accounts_of, blob, head_key, head_of, head_pk, log_pk, place, segment_of};
use self::outbox::Waiting;
use crate::aws::fault;
use crate::journal::Step;
use crate::shard::{Head, Known, Lack, Segment};
use crate::table::{ALONE, Item, Table, count, key, number, sort_key, text, unmet};

const TRANSACT: &str = "ledger.transact";
const SHARDS: &str = "shards";

/// Bytes of steps after which the head is put away: what comes meanwhile still leaves it below the kilobyte that one unit
/// of writing pays for.
const SEAL_AT: usize = 560;
/// When it is as many times as long, whoever should have done that is dead, and the next one does it.
const SEAL_AGAIN: usize = 4;
/// Steps that one write takes away; the update's text may be 4 KB long.
const SEAL_MOST: usize = 100;
/// Steps after which accounts are kept.
const KEEP_AFTER: u64 = 512;
/// How long the table keeps a segment. It takes them out itself, which costs nothing. Whoever drains sees to it that none is missed:
/// one whose entries are not archived yet is kept on, and accounts are kept before the first segment that they need is gone.
const SEGMENT_LIVES: Duration = Duration::from_hours(14 * 24);
/// How often a process looks how old the log of a shard is.
const LOOK_AFTER: Duration = Duration::from_hours(1);
/// A head this long means that nobody manages to put it away: better to do that first than to reach the 400 KB of an item.
const LONGEST: u64 = 600;
/// Entries that are read beyond what is asked: they stand in the order of their end, and are wanted in that of their beginning.
const SLACK: usize = 1_000;

const READ_BATCH: usize = 100;
/// Items that are written at the same time.
const WRITES: usize = 16;

/// How often a step is asked about: each further round is one in which others put away what we were about to read.
const ROUNDS: usize = 12;

type Shared = Arc<tokio::sync::Mutex<Option<Known>>>;

pub struct TableLedger {
    inner: Arc<Inner>,
    defer: Arc<dyn Defer>,
}

/// What upkeep shares with callers.
struct Inner {
    table: Arc<Table>,
    /// Shards that this process has seen in the list of shards.
    listed: Mutex<HashSet<ShardId>>,
    known: Mutex<HashMap<ShardId, Shared>>,
    /// What the outbox last told of.
    waiting: Mutex<HashMap<ShardId, Waiting>>,
    /// The second from which on it looks again how old the log of a shard is.
    looks: Mutex<HashMap<ShardId, u64>>,
}

impl TableLedger {
    /// `defer` runs the upkeep, which no answer waits for.
    pub fn new(table: Arc<Table>, defer: Arc<dyn Defer>) -> Self {
        let inner = Inner {
            table,
            listed: Mutex::default(),
            known: Mutex::default(),
            waiting: Mutex::default(),
            looks: Mutex::default(),
        };
        Self { inner: Arc::new(inner), defer }
    }
}

#[async_trait]
impl Ledger for TableLedger {
    async fn transact(
        &self,
        shard: &ShardId,
        transaction: Transaction,
        now: Timestamp,
    ) -> Result<Outcome, Fault> {
        let Transaction { accounts, op, entries, notices } = transaction;
        let accounts = distinct(&accounts);
        if accounts.is_empty() && entries.is_empty() && notices.is_empty() {
            return Ok(transact::<Account>(&mut [], &op, now).into());
        }
        let creates = matches!(op, Op::Write { expect: None, .. });
        if creates || !entries.is_empty() {
            self.inner.know(shard).await?;
        }
        if creates {
            try_join_all(accounts.iter().map(|account| self.inner.announce(shard, account))).await?;
        }
        // What a step tells of is settled by the same write.
        let entries: Vec<Entry> = entries.into_iter().map(|entry| Entry { settle: None, ..entry }).collect();
        let creates = creates || !entries.is_empty();
        let step = Step { at: now, accounts, op, entries, notices };
        let packed = step.pack()?;
        for _ in 0..ROUNDS {
            let head = match self.inner.append(shard, &packed, creates).await? {
                Appended::Done(head) => head,
                Appended::Nowhere => return Ok(step.on_nothing().into()),
                Appended::Full => {
                    self.inner.put_away(shard).await?;
                    continue;
                }
            };
            // Ours is the last, whatever was sent twice.
            let mine = head.end().saturating_sub(1);
            let (before, after) =
                (head.size(head.steps.len().saturating_sub(1)) / SEAL_AT, head.size(usize::MAX) / SEAL_AT);
            let crossed = before == 0 && after > 0 || before / SEAL_AGAIN != after / SEAL_AGAIN;
            let (grant, notices) = {
                let known = self.inner.known(shard);
                let mut known = known.lock().await;
                let known = self.inner.follow(shard, &mut known, head.clone()).await?;
                (known.grant(mine), known.notices(now))
            };
            if crossed {
                let (inner, shard) = (Arc::clone(&self.inner), shard.clone());
                self.defer.defer(Box::pin(async move {
                    // A failure only leaves the work to the next.
                    let _left = inner.upkeep(&shard, head).await;
                }));
            }
            // Where others have put it away before we could read it, it is the same when it is done again.
            let grant = match (grant, &step.op) {
                (Some(grant), _) => grant,
                (None, Op::Settle(_)) => Grant::Settled,
                (None, Op::Sweep) => Grant::Swept { holds: 0 },
                (None, Op::Reserve(_) | Op::Write { .. }) => continue,
            };
            return Ok(Outcome { grant, notices });
        }
        Err(Fault::new(FaultKind::Conflict, TRANSACT, "the log moves faster than it is read"))
    }

    async fn read(&self, shard: &ShardId, account: &AccountId) -> Result<Option<Account>, Fault> {
        let accounts = self.inner.read(shard, std::slice::from_ref(account)).await?;
        Ok(accounts.into_iter().flatten().next())
    }

    async fn list(
        &self,
        shard: &ShardId,
        prefix: &str,
        after: Option<&AccountId>,
        limit: usize,
    ) -> Result<Vec<(AccountId, Account)>, Fault> {
        const OPERATION: &str = "ledger.list";
        let pk = accounts_of(shard);
        let mut listed = Vec::new();
        let mut after = after.map(|after| after.as_str().to_owned());
        // Some names may lack their account: read on until there are enough.
        while listed.len() < limit {
            let wanted = (limit - listed.len()).min(1_000);
            let items = self.inner.table.scan(OPERATION, &pk, prefix, after.as_deref(), wanted, None).await?;
            let ids: Vec<AccountId> =
                items.iter().filter_map(|item| Some(AccountId::new(sort_key(item)?))).collect();
            after = ids.last().map(|id| id.as_str().to_owned());
            let more = items.len() == wanted;
            let accounts = self.inner.read(shard, &ids).await?;
            listed.extend(ids.into_iter().zip(accounts).filter_map(|(id, account)| Some((id, account?))));
            if !more {
                break;
            }
        }
        Ok(listed)
    }

    async fn outbox(&self, shard: &ShardId, limit: usize) -> Result<Vec<Entry>, Fault> {
        let Some(head) = self.inner.head(shard).await? else { return Ok(Vec::new()) };
        if !head.steps.is_empty() {
            self.inner.put_away(shard).await?;
        }
        self.inner.keep_what_is_old(shard).await?;
        let waiting = self.inner.waiting(shard, limit.saturating_add(SLACK)).await?;
        let mut seen = HashSet::new();
        let mut entries: Vec<Entry> =
            waiting.segments.iter().flat_map(|(_, entries)| entries).cloned().collect();
        lock(&self.inner.waiting).insert(shard.clone(), waiting);
        entries.retain(|entry| seen.insert(Arc::clone(&entry.id)));
        entries.sort_by(|one, other| one.id.cmp(&other.id));
        entries.truncate(limit);
        Ok(entries)
    }

    async fn clear(&self, shard: &ShardId, entries: &[String]) -> Result<(), Fault> {
        let gone: HashSet<&str> = entries.iter().map(String::as_str).collect();
        let told = lock(&self.inner.waiting).remove(shard).unwrap_or_default();
        let ids: HashSet<&str> =
            told.segments.iter().flat_map(|(_, entries)| entries).map(|entry| &*entry.id).collect();
        let mut waiting =
            if gone.is_subset(&ids) { told } else { self.inner.waiting(shard, usize::MAX).await? };
        let mut cleared = HashSet::new();
        for (_, entries) in &mut waiting.segments {
            entries.retain(|entry| {
                let over = gone.contains(&*entry.id);
                if over {
                    cleared.insert(entry.id.to_string());
                }
                !over
            });
        }
        waiting.segments.retain(|(_, entries)| !entries.is_empty());
        let below = waiting.segments.first().map_or(waiting.end, |(first, _)| *first);
        self.inner.archived(shard, &waiting, below, cleared).await
    }

    async fn notices(&self, shard: &ShardId, now: Timestamp) -> Result<Vec<Notice>, Fault> {
        let Some(head) = self.inner.head(shard).await? else { return Ok(Vec::new()) };
        let known = self.inner.known(shard);
        let mut known = known.lock().await;
        Ok(self.inner.follow(shard, &mut known, head).await?.notices(now))
    }

    async fn shards(&self) -> Result<Vec<ShardId>, Fault> {
        let items = self.inner.table.scan("ledger.shards", SHARDS, "", None, usize::MAX, None).await?;
        Ok(items.iter().filter_map(|item| sort_key(item).map(ShardId::new)).collect())
    }
}

impl std::fmt::Debug for TableLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TableLedger({})", self.inner.table.name)
    }
}

/// What became of a step that was to be appended.
enum Appended {
    Done(Head),
    /// There is no such shard, and this would not make one.
    Nowhere,
    /// The head must be put away first.
    Full,
}

impl Inner {
    fn known(&self, shard: &ShardId) -> Shared {
        Arc::clone(lock(&self.known).entry(shard.clone()).or_default())
    }

    async fn append(&self, shard: &ShardId, packed: &[u8], creates: bool) -> Result<Appended, Fault> {
        let room = "(attribute_not_exists(#log) OR size(#log) < :longest)";
        let condition = if creates { room.to_owned() } else { format!("attribute_exists(pk) AND {room}") };
        let result = self
            .table
            .client
            .update_item()
            .table_name(&self.table.name)
            .set_key(Some(head_key(shard)))
            .update_expression("SET #log = list_append(if_not_exists(#log, :none), :step)")
            .condition_expression(condition)
            .expression_attribute_names("#log", "log")
            .expression_attribute_values(":none", AttributeValue::L(Vec::new()))
            .expression_attribute_values(":step", AttributeValue::L(vec![blob(packed.to_vec())]))
            .expression_attribute_values(":longest", count(LONGEST))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match result {
            Ok(output) => Ok(Appended::Done(head_of(&output.attributes.unwrap_or_default())?)),
            Err(error) => match unmet(&error) {
                None => Err(fault(TRANSACT)(error)),
                Some(item) if item.is_empty() => Ok(Appended::Nowhere),
                Some(_) => Ok(Appended::Full),
            },
        }
    }

    async fn head(&self, shard: &ShardId) -> Result<Option<Head>, Fault> {
        let item = self.table.get("ledger.head", &head_pk(shard), ALONE).await?;
        item.map(|item| head_of(&item)).transpose()
    }

    /// Brings what is known up to the head, or beyond where somebody has gone on since.
    async fn follow<'a>(
        &self,
        shard: &ShardId,
        known: &'a mut Option<Known>,
        mut head: Head,
    ) -> Result<&'a mut Known, Fault> {
        for _ in 0..ROUNDS {
            let at = known.get_or_insert_with(|| Known::new(&head));
            let fresh = match at.advance(&head)? {
                Lack::Nothing => break,
                Lack::Segments => {
                    let segments = self.segments(shard, at.boundary(), head.first).await?;
                    // They are gone once accounts are kept beyond them.
                    let there = at.catch_up(segments) && at.next() >= head.first;
                    if !there {
                        *known = None;
                    }
                    there
                }
                Lack::Accounts(ids) => {
                    let found = self.kept(shard, &ids).await?;
                    at.load(found)
                }
            };
            if !fresh {
                head = self.head(shard).await?.unwrap_or_default();
            }
        }
        if known.as_ref().is_none_or(|known| known.next() < head.end()) {
            return Err(Fault::new(FaultKind::Conflict, TRANSACT, "the log moves faster than it is read"));
        }
        Ok(known.get_or_insert_with(|| Known::new(&head)))
    }

    /// Accounts as they stand now, in the order of their ids; none where nothing is in one.
    async fn read(&self, shard: &ShardId, ids: &[AccountId]) -> Result<Vec<Option<Account>>, Fault> {
        let Some(head) = self.head(shard).await? else { return Ok(vec![None; ids.len()]) };
        let known = self.known(shard);
        let mut known = known.lock().await;
        for _ in 0..ROUNDS {
            let head = head.clone();
            let at = self.follow(shard, &mut known, head).await?;
            if self.meet(shard, at, ids).await? {
                let account = |id: &AccountId| at.account(id).filter(|account| !account.is_blank()).cloned();
                return Ok(ids.iter().map(account).collect());
            }
            // One was kept by somebody who has read on.
            let Some(head) = self.head(shard).await? else { break };
            self.follow(shard, &mut known, head).await?;
        }
        Err(Fault::new(FaultKind::Conflict, "ledger.read", "the log moves faster than it is read"))
    }

    /// Loads what is not known of these; false: we know too few steps for one of them.
    async fn meet(&self, shard: &ShardId, known: &mut Known, ids: &[AccountId]) -> Result<bool, Fault> {
        let missing: Vec<AccountId> = ids.iter().filter(|id| known.account(id).is_none()).cloned().collect();
        if missing.is_empty() {
            return Ok(true);
        }
        Ok(known.load(self.kept(shard, &missing).await?))
    }

    /// Puts away all that the head has now.
    async fn put_away(&self, shard: &ShardId) -> Result<(), Fault> {
        let Some(mut head) = self.head(shard).await? else { return Ok(()) };
        let until = head.end();
        for _ in 0..ROUNDS {
            if head.first >= until {
                return Ok(());
            }
            head = match self.seal(shard, &head).await? {
                Some(head) => head,
                None => self.head(shard).await?.unwrap_or_default(),
            };
        }
        Ok(())
    }

    /// What the one does whose step made the head long: puts its steps away, and now and then keeps accounts.
    async fn upkeep(&self, shard: &ShardId, mut head: Head) -> Result<(), Fault> {
        let mut due = false;
        loop {
            let (kept, end) = (head.kept, head.end());
            let Some(next) = self.seal(shard, &head).await? else { break };
            due |= head.first / KEEP_AFTER != next.first / KEEP_AFTER || end - kept >= 4 * KEEP_AFTER;
            head = next;
            if head.size(usize::MAX) < SEAL_AT {
                break;
            }
        }
        if due { self.keep(shard).await } else { Ok(()) }
    }

    /// Segments that begin at `from` or later, and before `until`.
    async fn segments(&self, shard: &ShardId, from: u64, until: u64) -> Result<Vec<Segment>, Fault> {
        let items = self.log(shard, from, until, usize::MAX).await?;
        items.iter().map(segment_of).collect()
    }

    async fn log(&self, shard: &ShardId, from: u64, until: u64, limit: usize) -> Result<Vec<Item>, Fault> {
        let mut items: Vec<Item> = Vec::new();
        let mut start = None;
        if from >= until {
            return Ok(items);
        }
        loop {
            let output = self
                .table
                .query(&log_pk(shard))
                .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :until")
                .expression_attribute_values(":from", text(place(from)))
                .expression_attribute_values(":until", text(place(until - 1)))
                .set_exclusive_start_key(start)
                .limit(i32::try_from(limit).unwrap_or(i32::MAX))
                .send()
                .await
                .map_err(fault("ledger.log"))?;
            items.extend(output.items.unwrap_or_default());
            start = output.last_evaluated_key;
            if start.is_none() || items.len() >= limit {
                return Ok(items);
            }
        }
    }

    /// Accounts as they were kept, with the number of the step before which that was; empty ones where there is none.
    async fn kept(
        &self,
        shard: &ShardId,
        ids: &[AccountId],
    ) -> Result<Vec<(AccountId, Account, u64)>, Fault> {
        const OPERATION: &str = "ledger.kept";
        let mut found: HashMap<String, Item> = HashMap::new();
        for batch in ids.chunks(READ_BATCH) {
            let keys = batch.iter().map(|id| key(&account_pk(shard, id), ALONE)).collect();
            let mut wanted = Some(
                KeysAndAttributes::builder()
                    .set_keys(Some(keys))
                    .consistent_read(true)
                    .build()
                    .map_err(built(OPERATION))?,
            );
            let mut wait = Backoff::default();
            while let Some(request) = wanted.take() {
                let output = self
                    .table
                    .client
                    .batch_get_item()
                    .request_items(&self.table.name, request)
                    .send()
                    .await
                    .map_err(fault(OPERATION))?;
                let items = output.responses.into_iter().flatten().flat_map(|(_, items)| items);
                found.extend(items.filter_map(|item| Some((item.get("pk")?.as_s().ok()?.clone(), item))));
                wanted = output.unprocessed_keys.and_then(|mut tables| tables.remove(&self.table.name));
                if wanted.is_some() {
                    wait.once(OPERATION).await?;
                }
            }
        }
        let account = |id: &AccountId| {
            let Some(item) = found.get(&account_pk(shard, id)) else {
                return Ok((id.clone(), Account::default(), 0));
            };
            let Some(AttributeValue::B(bytes)) = item.get("base") else {
                return Err(Fault::new(FaultKind::Corrupt, OPERATION, id.as_str()));
            };
            let account = Account::from_bytes(bytes.as_ref())
                .map_err(|error| Fault::new(FaultKind::Corrupt, OPERATION, id.as_str()).with_source(error))?;
            Ok((id.clone(), account, number(OPERATION, item, "after")?))
        };
        ids.iter().map(account).collect()
    }

    /// Puts an account into the list of its shard, before it is made: a name in the list may lack its account, never the
    /// other way round.
    async fn announce(&self, shard: &ShardId, account: &AccountId) -> Result<(), Fault> {
        self.put_key(&accounts_of(shard), account.as_str()).await
    }

    /// Puts a shard into the list of shards, once for each process.
    async fn know(&self, shard: &ShardId) -> Result<(), Fault> {
        if !lock(&self.listed).contains(shard) {
            self.put_key(SHARDS, shard.as_str()).await?;
            lock(&self.listed).insert(shard.clone());
        }
        Ok(())
    }

    async fn put_key(&self, pk: &str, sk: &str) -> Result<(), Fault> {
        self.table
            .client
            .put_item()
            .table_name(&self.table.name)
            .set_item(Some(key(pk, sk)))
            .send()
            .await
            .map(drop)
            .map_err(fault(TRANSACT))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The outcome of a conditional update that is as good when somebody else has done it.
fn done<T, R>(result: Result<T, SdkError<UpdateItemError, R>>, operation: &'static str) -> Result<(), Fault>
where
    R: std::fmt::Debug + Send + Sync + 'static,
{
    match result {
        Err(error) if unmet(&error).is_none() => Err(fault(operation)(error)),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// The item that was there already, and is not replaced; empty where the table does not tell it.
fn already<R>(error: &SdkError<PutItemError, R>) -> Option<Item> {
    match error.as_service_error() {
        Some(PutItemError::ConditionalCheckFailedException(failed)) => {
            Some(failed.item().cloned().unwrap_or_default())
        }
        _ => None,
    }
}

/// A request that lacks a part.
fn built(operation: &'static str) -> impl Fn(aws_sdk_dynamodb::error::BuildError) -> Fault {
    move |error| Fault::new(FaultKind::Corrupt, operation, "a request to the table").with_source(error)
}

/// What a batch leaves undone is what the table had no capacity for at that moment.
#[derive(Debug, Default)]
struct Backoff(u32);

impl Backoff {
    async fn once(&mut self, operation: &'static str) -> Result<(), Fault> {
        if self.0 == 7 {
            return Err(Fault::new(FaultKind::Unavailable, operation, "the table is overloaded"));
        }
        tokio::time::sleep(Duration::from_millis(20 << self.0)).await;
        self.0 += 1;
        Ok(())
    }
}
