//! The port of the books.

use std::collections::btree_map::Entry as Slot;
use std::sync::Arc;

use async_trait::async_trait;
use gatelet_core::domain::account::{self, Account, Op};
use gatelet_core::domain::{AccountId, Notice, ShardId, Timestamp};
use gatelet_core::port::{Entry, Fault, FaultKind, Ledger, Outcome, Transaction};

use super::commit::Place;
use super::journal::Frame;
use super::{Embedded, State, Writer, fault, sync};

/// Accounts or entries that are handled before others may have the store: some tens of microseconds.
const SLICE: usize = 64;

#[async_trait]
impl Ledger for Embedded {
    async fn transact(
        &self,
        shard: &ShardId,
        transaction: Transaction,
        now: Timestamp,
    ) -> Result<Outcome, Fault> {
        let (outcome, place) = self.shared.lock().transact(shard, transaction, now)?;
        if let Some(place) = place {
            place.committed(&self.shared).await?;
        }
        Ok(outcome)
    }

    async fn notices(&self, shard: &ShardId, now: Timestamp) -> Result<Vec<Notice>, Fault> {
        Ok(self.shared.lock().heard(shard, now))
    }

    async fn read(&self, shard: &ShardId, account: &AccountId) -> Result<Option<Account>, Fault> {
        let mut state = self.shared.lock();
        let State { db, accounts, .. } = &mut *state;
        Ok(accounts.get(db, shard, account)?.cloned())
    }

    async fn list(
        &self,
        shard: &ShardId,
        prefix: &str,
        after: Option<&AccountId>,
        limit: usize,
    ) -> Result<Vec<(AccountId, Account)>, Fault> {
        let mut found = Vec::new();
        let mut after = after.map(AccountId::as_str).unwrap_or_default().to_owned();
        while found.len() < limit {
            let slice = SLICE.min(limit - found.len());
            let accounts = self.shared.lock().list(shard, prefix, &after, slice)?;
            let more = accounts.len() == slice;
            if let Some((last, _)) = accounts.last() {
                last.as_str().clone_into(&mut after);
            }
            found.extend(accounts);
            if !more {
                break;
            }
            tokio::task::yield_now().await;
        }
        Ok(found)
    }

    async fn outbox(&self, shard: &ShardId, limit: usize) -> Result<Vec<Entry>, Fault> {
        let writer = self.shared.writer();
        let mut found = if writer.entries == 0 { Vec::new() } else { writer.outbox(shard, limit)? };
        {
            let state = self.shared.lock();
            let from = (shard.clone(), Arc::from(""));
            let mine = state.outbox.range(from..).take_while(|((of, _), _)| of == shard);
            found.extend(mine.take(limit).map(|(_, entry)| entry.clone()));
        }
        drop(writer);
        found.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        found.truncate(limit);
        Ok(found)
    }

    async fn clear(&self, shard: &ShardId, entries: &[String]) -> Result<(), Fault> {
        let mut writer = self.shared.writer();
        if writer.entries > 0 {
            let ids = entries.iter().map(|id| (shard.as_str(), id.as_str()));
            let deleted = sync::delete(&mut writer.db, ids)?;
            writer.entries = writer.entries.saturating_sub(deleted);
        }
        for slice in entries.chunks(SLICE) {
            self.shared.lock().clear(shard, slice)?;
            // A lock that is taken again at once lets nobody else have it.
            std::thread::yield_now();
        }
        Ok(())
    }

    async fn shards(&self) -> Result<Vec<ShardId>, Fault> {
        Ok(self.shared.lock().accounts.shards().cloned().collect())
    }
}

impl State {
    /// Applies the operation in memory; where it has to be durable before it is answered, a place in the next commit.
    fn transact(
        &mut self,
        shard: &ShardId,
        transaction: Transaction,
        now: Timestamp,
    ) -> Result<(Outcome, Option<Place>), Fault> {
        let Transaction { accounts: ids, op, entries, notices } = transaction;
        let reserves = matches!(op, Op::Reserve(_));
        // Nor are records of refusals kept meanwhile: anybody with a key could fill the memory with them. Settlements are,
        // of which there are no more than requests that run.
        if (reserves || ids.is_empty())
            && let Some(why) = &self.failing
        {
            return Err(Fault::new(FaultKind::Unavailable, "ledger.transact", why.as_str()));
        }
        let mut accounts = self.accounts.take(&self.db, shard, ids)?;
        let grant = account::transact(&mut accounts, &op, now);
        let sweeps = matches!(op, Op::Sweep);
        // What was only looked at does not come to be; what a sweep has forgotten is taken out.
        let changes = grant.changes();
        let written = |account: &Account| changes && (sweeps || !account.is_blank());
        let durable = changes && !reserves;
        let waits = durable || !entries.is_empty();
        if waits {
            let touched = accounts.iter().filter(|(_, account)| durable && written(account));
            self.batch.add(shard, touched.map(|(id, _)| id.clone()), entries);
        }
        self.accounts.put_back(shard, accounts, written);
        if changes || waits {
            self.accounts.note_shard(shard);
        }
        if !notices.is_empty() {
            self.notices.entry(shard.clone()).or_default().tell(&notices, now);
        }
        let notices = self.heard(shard, now);
        Ok((Outcome { grant, notices }, waits.then(|| self.batch.join())))
    }

    /// Nobody but this process asks, which has seen itself what it has told: mostly nothing is kept for anybody.
    fn heard(&self, shard: &ShardId, now: Timestamp) -> Vec<Notice> {
        if self.notices.is_empty() {
            return Vec::new();
        }
        self.notices.get(shard).map(|notices| notices.heard(now)).unwrap_or_default()
    }

    fn list(
        &mut self,
        shard: &ShardId,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(AccountId, Account)>, Fault> {
        // What memory knows better than the rows, then the rows: the first of both are among the first of each.
        let mut found = self.accounts.changed(shard, prefix, after);
        let failed = || fault("ledger.list");
        let mut query = self
            .db
            .prepare_cached(
                "select id, state, run from accounts where shard = ? and id >= ? and id > ? order by id limit ?",
            )
            .map_err(failed())?;
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = query.query((shard.as_str(), prefix, after, most)).map_err(failed())?;
        while let Some(row) = rows.next().map_err(failed())? {
            let id: String = row.get(0).map_err(failed())?;
            if !id.starts_with(prefix) {
                break;
            }
            if let Slot::Vacant(place) = found.entry(AccountId::new(id)) {
                let state: Vec<u8> = row.get(1).map_err(failed())?;
                let account = self.accounts.read(place.key(), &state, row.get(2).map_err(failed())?)?;
                place.insert(account);
            }
        }
        Ok(found.into_iter().take(limit).collect())
    }

    fn clear(&mut self, shard: &ShardId, entries: &[String]) -> Result<(), Fault> {
        let mut ours: Vec<&str> = Vec::new();
        for id in entries {
            if self.outbox.remove(&(shard.clone(), id.as_str().into())).is_some() {
                ours.push(id);
            }
        }
        if ours.is_empty() {
            return Ok(());
        }
        // So that a killed process does not archive them again.
        let cleared = ours.into_iter().map(|id| (shard.as_str(), id)).collect();
        self.append(&Frame { cleared, ..Frame::default() })
    }
}

impl Writer {
    fn outbox(&self, shard: &ShardId, limit: usize) -> Result<Vec<Entry>, Fault> {
        let failed = || fault("ledger.outbox");
        let mut query = self
            .db
            .prepare_cached("select id, line from entries where shard = ? order by id limit ?")
            .map_err(failed())?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = query.query((shard.as_str(), limit)).map_err(failed())?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(failed())? {
            found.push(Entry {
                id: row.get::<_, Arc<str>>(0).map_err(failed())?,
                line: row.get::<_, Arc<str>>(1).map_err(failed())?,
                settle: None,
            });
        }
        Ok(found)
    }
}
