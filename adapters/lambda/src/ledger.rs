//! The ledger in the table: one item for each account, one for each entry of the outbox.
//!
//! - **One account** (nearly all transactions): one unconditional append to the account's journal. See [`crate::journal`] for
//!   why two callers cannot conflict and why an append that the SDK sends twice is harmless. The only condition is that the account exists,
//!   so that forged keys leave nothing behind.
//! - **Several accounts**: settlements and sweeps are appended to each, since each stands for itself and may be
//!   done again; a reservation is appended to one after the other, and given back where a later one refuses. Documents of
//!   several accounts, which nobody writes in a hurry, are one transaction of the table on the states that were
//!   read, tried again when somebody else came first.
//! - **Entries** are written before the operation that they tell of. Who dies in between leaves an entry whose settlement
//!   is done again by whoever archives it; so nothing is charged without a record.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, DeleteRequest, KeysAndAttributes, PutRequest, ReturnValue,
    ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update, WriteRequest,
};
use futures_util::future::{join_all, try_join_all};
use gatelet_core::domain::account::{Account, Grant, Op, Reserve, Settle, Stood, distinct, transact};
use gatelet_core::domain::{AccountId, Money, ShardId, Timestamp};
use gatelet_core::port::{Defer, Entry, Fault, FaultKind, Ledger, Outcome, Transaction};

use crate::aws::fault;
use crate::journal::{Journal, Step};
use crate::table::{Item, Table, count, key, number, sort_key, text, unmet};

const TRANSACT: &str = "ledger.transact";
const SHARDS: &str = "shards";
/// The sort key of items that are alone under their partition key.
const ALONE: &str = "-";

/// Whoever appends the eighth operation, or the sixteenth …, folds what stands before it into the state.
const FOLD_AT: usize = 8;
/// Operations that one write takes away; the update's text may be 4 KB long.
const FOLD_MOST: usize = 100;
/// A journal this long means that nobody manages to fold it: better to refuse than to reach the 400 KB of an item.
const LONGEST: u64 = 600;

/// A partition takes 1,000 writes a second; the outbox of a shard is spread over several.
const LANES: u32 = 8;
/// What one batch may carry.
const WRITE_BATCH: usize = 25;
const READ_BATCH: usize = 100;

/// How often a transaction over several accounts is tried before it is [`FaultKind::Conflict`].
const TRIES: u32 = 12;

pub struct TableLedger {
    table: Arc<Table>,
    defer: Arc<dyn Defer>,
    /// Shards that this process has seen in the list of shards.
    known: Mutex<HashSet<ShardId>>,
}

impl TableLedger {
    /// `defer` runs the folding of journals, which no answer waits for.
    pub fn new(table: Arc<Table>, defer: Arc<dyn Defer>) -> Self {
        Self { table, defer, known: Mutex::default() }
    }

    async fn append(&self, place: &Place, op: &Op, now: Timestamp) -> Result<Grant, Fault> {
        const APPEND: &str = "SET #log = list_append(if_not_exists(#log, :none), :entry)";
        let creates = match op {
            Op::Write { expect: None, .. } => true,
            Op::Write { expect: Some(_), .. } | Op::Reserve(_) | Op::Settle(_) | Op::Sweep => false,
        };
        if creates {
            self.announce(place).await?;
        }
        let step = Step { id: self.table.mark(), at: now, op: op.clone() };
        let entry = serde_json::to_string(&step)
            .map_err(|error| Fault::new(FaultKind::Corrupt, TRANSACT, "an operation").with_source(error))?;
        let room = "(attribute_not_exists(#log) OR size(#log) < :longest)";
        let update = self.table.client.update_item().table_name(&self.table.name).set_key(Some(place.key()));
        // What has limits and no document is made by its first reservation, and the table takes it out when nothing of it can
        // count any more.
        let keeps = match op {
            Op::Reserve(reserve) => reserve.keeps(),
            Op::Settle(_) | Op::Write { .. } | Op::Sweep => None,
        };
        let condition = if creates || keeps.is_some() {
            room.to_owned()
        } else {
            format!("attribute_exists(pk) AND {room}")
        };
        let update = match keeps {
            None => update.update_expression(APPEND),
            Some(keeps) => update
                .update_expression(format!("{APPEND}, #until = :until"))
                .expression_attribute_names("#until", "until")
                .expression_attribute_values(
                    ":until",
                    AttributeValue::N(now.after(keeps).seconds().to_string()),
                ),
        };
        let result = update
            .condition_expression(condition)
            .expression_attribute_names("#log", "log")
            .expression_attribute_values(":none", AttributeValue::L(Vec::new()))
            .expression_attribute_values(":entry", AttributeValue::L(vec![text(entry)]))
            .expression_attribute_values(":longest", count(LONGEST))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match result {
            Ok(output) => {
                let journal = journal(output.attributes.as_ref())?;
                let (index, grant) = journal.grant(&place.account, &step.id).ok_or_else(|| {
                    Fault::new(FaultKind::Corrupt, TRANSACT, "an appended operation is not in the journal")
                })?;
                if (index + 1) % FOLD_AT == 0 {
                    self.defer.defer(Box::pin(fold(
                        Arc::clone(&self.table),
                        place.clone(),
                        journal,
                        index + 1,
                    )));
                }
                Ok(grant)
            }
            Err(error) => match unmet(&error) {
                None => Err(fault(TRANSACT)(error)),
                // There is no such account, and this would not make one: what would one say that was never written?
                Some(item) if item.is_empty() => Ok(step.apply(&place.account, &mut Account::default())),
                Some(item) => {
                    fold(Arc::clone(&self.table), place.clone(), journal(Some(&item))?, FOLD_MOST).await;
                    Err(Fault::new(FaultKind::Unavailable, TRANSACT, "the account's journal is full"))
                }
            },
        }
    }

    /// Appends to each account; for what may stand in some and not yet in others.
    async fn append_to_all(&self, places: &[Place], op: &Op, now: Timestamp) -> Result<Grant, Fault> {
        let grants = try_join_all(places.iter().map(|place| self.append(place, op, now))).await?;
        let together = |all: Grant, one: Grant| match (all, one) {
            (Grant::Swept { holds }, Grant::Swept { holds: more }) => Grant::Swept { holds: holds + more },
            (Grant::Settled, one) => one,
            (all, _) => all,
        };
        Ok(grants.into_iter().reduce(together).unwrap_or(Grant::NoHold))
    }

    /// Accounts that are expected to have no document are looked at, meanwhile the others hold.
    async fn reserve_in_all(
        &self,
        places: &[Place],
        reserve: &Reserve,
        now: Timestamp,
    ) -> Result<Grant, Fault> {
        let indices = || 0..places.len();
        let held: Vec<usize> = indices().filter(|index| !reserve.only_looks(*index)).collect();
        let looked: Vec<Place> =
            indices().filter(|index| reserve.only_looks(*index)).map(|index| places[index].clone()).collect();
        if looked.is_empty() {
            return self.reserve(places, &held, reserve, now).await;
        }
        let look = self.journals(TRANSACT, &looked);
        let (grant, journals) = futures_util::join!(self.reserve(places, &held, reserve, now), look);
        let grant = grant?;
        let stood: Vec<Stood> = looked
            .iter()
            .zip(journals?)
            .filter_map(|(place, journal)| {
                let account = journal?.account(&place.account);
                let document = Some(Box::new(account.document()?.clone()));
                Some(Stood { account: place.account.clone(), document })
            })
            .collect();
        match grant {
            grant if stood.is_empty() => Ok(grant),
            Grant::Stale(mut all) => {
                all.extend(stood);
                Ok(Grant::Stale(all))
            }
            Grant::Held { .. } => {
                self.release(places, &held, reserve, now).await?;
                Ok(Grant::Stale(stood))
            }
            _ => Ok(Grant::Stale(stood)),
        }
    }

    /// All accounts at the same time. Where one refuses, what the others hold is given back.
    async fn reserve_at_once(
        &self,
        places: &[Place],
        held: &[usize],
        reserve: &Reserve,
        now: Timestamp,
    ) -> Result<Grant, Fault> {
        let asked = Op::Reserve(reserve.clone());
        let grants = join_all(held.iter().map(|index| {
            let op = asked.of(*index);
            async move { self.append(&places[*index], &op, now).await }
        }))
        .await;
        let holds = |grant: &Result<Grant, Fault>| matches!(grant, Ok(Grant::Held { .. }) | Err(_));
        if grants.iter().all(|grant| matches!(grant, Ok(Grant::Held { .. }))) {
            let grants = grants.into_iter().filter_map(Result::ok);
            return Ok(grants.reduce(Grant::tightened).unwrap_or(Grant::NoHold));
        }
        let kept: Vec<usize> =
            held.iter().zip(&grants).filter(|(_, grant)| holds(grant)).map(|(index, _)| *index).collect();
        let released = self.release(places, &kept, reserve, now).await;
        let mut refusal: Option<Grant> = None;
        for grant in grants {
            let grant = grant?;
            if !matches!(grant, Grant::Held { .. }) {
                refusal = Some(match refusal {
                    Some(first) => first.weightier(grant),
                    None => grant,
                });
            }
        }
        released.map(|()| refusal.unwrap_or(Grant::NoHold))
    }

    /// Gives back what is held. A hold that cannot be given back dies by itself.
    async fn release(
        &self,
        places: &[Place],
        held: &[usize],
        reserve: &Reserve,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let release =
            Op::Settle(Settle { hold: reserve.hold.clone(), tokens: 0, output_tokens: 0, cost: Money::ZERO });
        let places: Vec<Place> = held.iter().map(|index| places[*index].clone()).collect();
        self.append_to_all(&places, &release, now).await.map(drop)
    }

    /// One account after the other. Where one refuses, what the earlier ones hold is given back, without cost; so a limit is
    /// never passed, though for a moment an account may hold what another will refuse.
    async fn reserve(
        &self,
        places: &[Place],
        held: &[usize],
        reserve: &Reserve,
        now: Timestamp,
    ) -> Result<Grant, Fault> {
        // What each affords does not depend on the others: all at once, so that ten accounts take as long as one.
        if !reserve.output.elastic {
            return self.reserve_at_once(places, held, reserve, now).await;
        }
        let mut joined: Option<Grant> = None;
        let mut wanted = reserve.clone();
        for (turn, index) in held.iter().enumerate() {
            let granted = self.append(&places[*index], &Op::Reserve(wanted.clone()).of(*index), now).await;
            match granted {
                Ok(grant @ Grant::Held { output_tokens, .. }) => {
                    // What one account cannot afford need not be held in those after it.
                    wanted.output.tokens = output_tokens;
                    joined = Some(match joined {
                        Some(joined) => joined.tightened(grant),
                        None => grant,
                    });
                }
                refused => {
                    let released = self.release(places, &held[..turn], reserve, now).await;
                    return refused.and_then(|refusal| released.map(|()| refusal));
                }
            }
        }
        Ok(joined.unwrap_or(Grant::NoHold))
    }

    /// All accounts or none, as core's own [`transact`] decides on what they hold now.
    async fn all_or_none(&self, places: &[Place], op: &Op, now: Timestamp) -> Result<Grant, Fault> {
        for attempt in 0..TRIES {
            let journals = self.journals(TRANSACT, places).await?;
            let mut accounts: Vec<(AccountId, Account)> = places
                .iter()
                .zip(&journals)
                .map(|(place, journal)| {
                    let account = journal.as_ref().map(|journal| journal.account(&place.account));
                    (place.account.clone(), account.unwrap_or_default())
                })
                .collect();
            let grant = transact(&mut accounts, op, now);
            if !grant.changes() {
                return Ok(grant);
            }
            let mut writes = Vec::with_capacity(places.len());
            for ((place, journal), (_, account)) in places.iter().zip(&journals).zip(&accounts) {
                if journal.is_none() {
                    self.announce(place).await?;
                }
                writes.push(replacement(&self.table.name, place, journal.as_ref(), account)?);
            }
            // The SDK gives each transaction a token by which the table knows one that is sent twice.
            let result =
                self.table.client.transact_write_items().set_transact_items(Some(writes)).send().await;
            match result {
                Ok(_) => return Ok(grant),
                Err(error) => match fault(TRANSACT)(error) {
                    conflict if conflict.kind == FaultKind::Conflict && attempt + 1 < TRIES => {
                        tokio::time::sleep(Duration::from_millis(u64::from(attempt) * 7 + 1)).await;
                    }
                    other => return Err(other),
                },
            }
        }
        Err(Fault::new(FaultKind::Conflict, TRANSACT, "others were always first"))
    }

    /// The journals of several accounts, in their order; none where there is no such account.
    async fn journals(
        &self,
        operation: &'static str,
        places: &[Place],
    ) -> Result<Vec<Option<Journal>>, Fault> {
        let mut found: Vec<Item> = Vec::new();
        for batch in places.chunks(READ_BATCH) {
            let keys = batch.iter().map(Place::key).collect();
            let mut wanted = Some(
                KeysAndAttributes::builder()
                    .set_keys(Some(keys))
                    .consistent_read(true)
                    .build()
                    .map_err(built(operation))?,
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
                    .map_err(fault(operation))?;
                found.extend(output.responses.into_iter().flatten().flat_map(|(_, items)| items));
                wanted = output.unprocessed_keys.and_then(|mut tables| tables.remove(&self.table.name));
                if wanted.is_some() {
                    wait.once(operation).await?;
                }
            }
        }
        let of = |place: &Place| {
            let pk = place.pk();
            found.iter().find(|item| item.get("pk").and_then(|pk| pk.as_s().ok()) == Some(&pk))
        };
        places.iter().map(|place| of(place).map(|item| journal(Some(item))).transpose()).collect()
    }

    /// Puts an account into the list of its shard, before it is made: a name in the list may lack its account, never the
    /// other way round.
    async fn announce(&self, place: &Place) -> Result<(), Fault> {
        self.know(&place.shard).await?;
        self.put_key(&accounts_of(&place.shard), place.account.as_str()).await
    }

    /// Puts a shard into the list of shards, once for each process.
    async fn know(&self, shard: &ShardId) -> Result<(), Fault> {
        let known = |known: &Mutex<HashSet<ShardId>>| {
            known.lock().unwrap_or_else(PoisonError::into_inner).contains(shard)
        };
        if !known(&self.known) {
            self.put_key(SHARDS, shard.as_str()).await?;
            self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(shard.clone());
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

    /// Writes and deletes, in batches. Each is the same when done twice.
    async fn write(&self, operation: &'static str, requests: Vec<WriteRequest>) -> Result<(), Fault> {
        for batch in requests.chunks(WRITE_BATCH) {
            let mut left = batch.to_vec();
            let mut wait = Backoff::default();
            while !left.is_empty() {
                let output = self
                    .table
                    .client
                    .batch_write_item()
                    .request_items(&self.table.name, left)
                    .send()
                    .await
                    .map_err(fault(operation))?;
                left = output
                    .unprocessed_items
                    .and_then(|mut tables| tables.remove(&self.table.name))
                    .unwrap_or_default();
                if !left.is_empty() {
                    wait.once(operation).await?;
                }
            }
        }
        Ok(())
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
        if !transaction.entries.is_empty() {
            self.know(shard).await?;
            let puts = transaction.entries.iter().map(|entry| put(shard, entry)).collect::<Result<_, _>>()?;
            self.write(TRANSACT, puts).await?;
        }
        let accounts = distinct(&transaction.accounts);
        let places: Vec<Place> =
            accounts.into_iter().map(|account| Place { shard: shard.clone(), account }).collect();
        let op = &transaction.op;
        let grant = match (places.as_slice(), op) {
            ([], _) => transact(&mut [], op, now),
            ([place], _) => self.append(place, op, now).await?,
            (_, Op::Settle(_) | Op::Sweep) => self.append_to_all(&places, op, now).await?,
            (_, Op::Reserve(reserve)) => self.reserve_in_all(&places, reserve, now).await?,
            (_, Op::Write { .. }) => self.all_or_none(&places, op, now).await?,
        };
        Ok(Outcome { grant })
    }

    async fn read(&self, shard: &ShardId, account: &AccountId) -> Result<Option<Account>, Fault> {
        let place = Place { shard: shard.clone(), account: account.clone() };
        let item = self.table.get("ledger.read", &place.pk(), ALONE).await?;
        item.map(|item| Ok(journal(Some(&item))?.account(account))).transpose()
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
            let wanted = limit - listed.len();
            let items = self.table.scan(OPERATION, &pk, prefix, after.as_deref(), wanted, None).await?;
            let places: Vec<Place> = items
                .iter()
                .filter_map(|item| {
                    Some(Place { shard: shard.clone(), account: AccountId::new(sort_key(item)?) })
                })
                .collect();
            for (place, journal) in places.iter().zip(self.journals(OPERATION, &places).await?) {
                listed
                    .extend(journal.map(|journal| (place.account.clone(), journal.account(&place.account))));
            }
            if items.len() < wanted {
                break;
            }
            after = places.last().map(|place| place.account.as_str().to_owned());
        }
        Ok(listed)
    }

    async fn outbox(&self, shard: &ShardId, limit: usize) -> Result<Vec<Entry>, Fault> {
        const OPERATION: &str = "ledger.outbox";
        // The oldest of each lane contain the oldest of all.
        let lanes = (0..LANES).map(|lane| async move {
            self.table.scan(OPERATION, &outbox(shard, lane), "", None, limit, None).await
        });
        let items: Vec<Item> = try_join_all(lanes).await?.into_iter().flatten().collect();
        let mut entries =
            items.iter().map(|item| entry(OPERATION, item)).collect::<Result<Vec<Entry>, Fault>>()?;
        entries.sort_by(|one, other| one.id.cmp(&other.id));
        entries.truncate(limit);
        Ok(entries)
    }

    async fn clear(&self, shard: &ShardId, entries: &[String]) -> Result<(), Fault> {
        const OPERATION: &str = "ledger.clear";
        let once: HashSet<&String> = entries.iter().collect();
        let deletes = once
            .into_iter()
            .map(|id| {
                let delete =
                    DeleteRequest::builder().set_key(Some(key(&outbox(shard, lane(id)), id))).build();
                Ok(WriteRequest::builder().delete_request(delete.map_err(built(OPERATION))?).build())
            })
            .collect::<Result<_, Fault>>()?;
        self.write(OPERATION, deletes).await
    }

    async fn shards(&self) -> Result<Vec<ShardId>, Fault> {
        let items = self.table.scan("ledger.shards", SHARDS, "", None, usize::MAX, None).await?;
        Ok(items.iter().filter_map(|item| sort_key(item).map(ShardId::new)).collect())
    }
}

impl std::fmt::Debug for TableLedger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TableLedger({})", self.table.name)
    }
}

/// Where an account lies.
#[derive(Clone, Debug)]
struct Place {
    shard: ShardId,
    account: AccountId,
}

impl Place {
    fn pk(&self) -> String {
        format!("account#{}#{}", self.shard, self.account)
    }

    fn key(&self) -> Item {
        key(&self.pk(), ALONE)
    }
}

fn accounts_of(shard: &ShardId) -> String {
    format!("accounts#{shard}")
}

fn outbox(shard: &ShardId, lane: u32) -> String {
    format!("outbox#{shard}#{lane}")
}

fn lane(entry: &str) -> u32 {
    entry.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte))) % LANES
}

/// Folds the first `steps` operations of a journal into its state, unless somebody has done so since it was read.
/// Nobody waits for it, and a failure only leaves the work to the next.
async fn fold(table: Arc<Table>, place: Place, journal: Journal, steps: usize) {
    let steps = steps.min(FOLD_MOST).min(journal.log.len());
    let Ok(bytes) = journal.folded(&place.account, steps).to_bytes() else { return };
    // From the last to the first: the table means the places before the update, emulators those after each removal.
    let gone: Vec<String> = (0..steps).rev().map(|index| format!("#log[{index}]")).collect();
    let _ = table
        .client
        .update_item()
        .table_name(&table.name)
        .set_key(Some(place.key()))
        .update_expression(format!("SET #base = :base, #version = :next REMOVE {}", gone.join(", ")))
        // Operations are only ever appended, so under the same version the first ones are still those that were read.
        // Sent twice, the second finds the next version.
        .condition_expression(same(journal.version))
        .expression_attribute_names("#log", "log")
        .expression_attribute_names("#base", "base")
        .expression_attribute_names("#version", "version")
        .set_expression_attribute_values(Some(versions(journal.version, bytes)))
        .send()
        .await;
}

/// The condition that the base is still the one of `version`, and the values for it and for the next.
fn same(version: u64) -> &'static str {
    if version == 0 { "attribute_not_exists(#version)" } else { "#version = :version" }
}

fn versions(version: u64, base: Vec<u8>) -> Item {
    let mut values = Item::from([
        (":base".to_owned(), AttributeValue::B(Blob::new(base))),
        (":next".to_owned(), count(version + 1)),
    ]);
    if version > 0 {
        // A value that no expression names is an error.
        values.insert(":version".to_owned(), count(version));
    }
    values
}

/// Writes `account` in place of the journal that it was computed from, if that still stands.
fn replacement(
    table: &str,
    place: &Place,
    journal: Option<&Journal>,
    account: &Account,
) -> Result<TransactWriteItem, Fault> {
    let bytes = account
        .to_bytes()
        .map_err(|error| Fault::new(FaultKind::Corrupt, TRANSACT, place.pk()).with_source(error))?;
    let version = journal.map_or(0, |journal| journal.version);
    let mut update = Update::builder()
        .table_name(table)
        .set_key(Some(place.key()))
        .update_expression("SET #base = :base, #version = :next, #log = :none")
        .expression_attribute_names("#log", "log")
        .expression_attribute_names("#base", "base")
        .expression_attribute_names("#version", "version")
        .set_expression_attribute_values(Some(versions(version, bytes)))
        .expression_attribute_values(":none", AttributeValue::L(Vec::new()));
    update = match journal {
        None => update.condition_expression(same(0)),
        Some(journal) => update
            .condition_expression(format!("{} AND size(#log) = :length", same(version)))
            .expression_attribute_values(":length", count(journal.log.len() as u64)),
    };
    Ok(TransactWriteItem::builder().update(update.build().map_err(built(TRANSACT))?).build())
}

fn journal(item: Option<&Item>) -> Result<Journal, Fault> {
    let corrupt = |what: &str| Fault::new(FaultKind::Corrupt, "ledger.journal", what);
    let Some(item) = item else { return Ok(Journal::default()) };
    let base = match item.get("base") {
        None => Account::default(),
        Some(AttributeValue::B(bytes)) => {
            Account::from_bytes(bytes.as_ref()).map_err(|error| corrupt("base").with_source(error))?
        }
        Some(_) => return Err(corrupt("base")),
    };
    let version = match item.get("version") {
        None => 0,
        Some(_) => number("ledger.journal", item, "version")?,
    };
    let log = match item.get("log") {
        None => Vec::new(),
        Some(AttributeValue::L(steps)) => steps
            .iter()
            .map(|step| {
                let json = step.as_s().map_err(|_| corrupt("log"))?;
                serde_json::from_str(json).map_err(|error| corrupt("log").with_source(error))
            })
            .collect::<Result<_, Fault>>()?,
        Some(_) => return Err(corrupt("log")),
    };
    Ok(Journal { base, version, log })
}

fn put(shard: &ShardId, entry: &Entry) -> Result<WriteRequest, Fault> {
    let mut item = key(&outbox(shard, lane(&entry.id)), &entry.id);
    item.insert("line".to_owned(), text(&*entry.line));
    if let Some(settle) = &entry.settle {
        let json = serde_json::to_string(settle)
            .map_err(|error| Fault::new(FaultKind::Corrupt, TRANSACT, "a settlement").with_source(error))?;
        item.insert("settle".to_owned(), text(json));
    }
    let put = PutRequest::builder().set_item(Some(item)).build().map_err(built(TRANSACT))?;
    Ok(WriteRequest::builder().put_request(put).build())
}

fn entry(operation: &'static str, item: &Item) -> Result<Entry, Fault> {
    let corrupt = || Fault::new(FaultKind::Corrupt, operation, "an entry of the outbox");
    let string = |name: &str| item.get(name).map(|value| value.as_s().map_err(|_| corrupt())).transpose();
    let settle = string("settle")?
        .map(|json| serde_json::from_str(json).map_err(|error| corrupt().with_source(error)))
        .transpose()?;
    let (Some(id), Some(line)) = (string("sk")?, string("line")?) else { return Err(corrupt()) };
    Ok(Entry { id: id.as_str().into(), line: line.as_str().into(), settle })
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
