//! The port of the books.

use async_trait::async_trait;
use gatelet_core::domain::account::{self, Account, Grant, Op};
use gatelet_core::domain::{AccountId, ShardId, Timestamp};
use gatelet_core::port::{Entry, Fault, FaultKind, Ledger, Outcome, Transaction};

use super::commit::Place;
use super::{Embedded, State, fault};

/// Rows that are read or deleted before others may have the store: some tens of microseconds.
const SLICE: usize = 32;

#[async_trait]
impl Ledger for Embedded {
    async fn transact(
        &self,
        shard: &ShardId,
        transaction: Transaction,
        now: Timestamp,
    ) -> Result<Outcome, Fault> {
        let (grant, place) = self.shared.lock().transact(shard, transaction, now)?;
        if let Some(place) = place {
            place.committed(&self.shared).await?;
        }
        Ok(Outcome { grant })
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
        // Rows are read, so they have to be as the accounts are.
        while !self.shared.lock().flush()? {
            tokio::task::yield_now().await;
        }
        let mut found = Vec::new();
        let mut after = after.map(AccountId::as_str).unwrap_or_default().to_owned();
        while found.len() < limit {
            let slice = SLICE.min(limit - found.len());
            let rows = self.shared.lock().list(shard, prefix, &after, slice)?;
            let more = rows.len() == slice;
            if let Some((last, _)) = rows.last() {
                last.as_str().clone_into(&mut after);
            }
            found.extend(rows);
            if !more {
                break;
            }
            tokio::task::yield_now().await;
        }
        Ok(found)
    }

    async fn outbox(&self, shard: &ShardId, limit: usize) -> Result<Vec<Entry>, Fault> {
        let mut found: Vec<Entry> = Vec::new();
        while found.len() < limit {
            let slice = SLICE.min(limit - found.len());
            let after = found.last().map(|entry| entry.id.as_str()).unwrap_or_default();
            let entries = self.shared.lock().outbox(shard, after, slice)?;
            let more = entries.len() == slice;
            found.extend(entries);
            if !more {
                break;
            }
            tokio::task::yield_now().await;
        }
        Ok(found)
    }

    async fn clear(&self, shard: &ShardId, entries: &[String]) -> Result<(), Fault> {
        for slice in entries.chunks(SLICE) {
            self.shared.lock().clear(shard, slice)?;
            tokio::task::yield_now().await;
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
    ) -> Result<(Grant, Option<Place>), Fault> {
        let Transaction { accounts: ids, op, entries } = transaction;
        let reserves = matches!(op, Op::Reserve(_));
        if reserves && let Some(why) = &self.failing {
            return Err(Fault::new(FaultKind::Unavailable, "ledger.transact", why.as_str()));
        }
        let mut accounts = Vec::with_capacity(ids.len());
        for id in account::distinct(&ids) {
            match self.accounts.take(&self.db, shard, &id) {
                Ok(account) => accounts.push((id, account)),
                Err(fault) => {
                    self.put_back(shard, accounts, false);
                    return Err(fault);
                }
            }
        }
        let grant = account::transact(&mut accounts, &op, now);
        let changed = grant.changes();
        let mut touched: Vec<AccountId> = Vec::new();
        if changed && !reserves {
            touched.extend(accounts.iter().map(|(id, _)| id.clone()));
        }
        self.put_back(shard, accounts, changed);
        if touched.is_empty() && entries.is_empty() {
            return Ok((grant, None));
        }
        self.accounts.note_shard(shard);
        self.batch.add(shard, touched, entries);
        Ok((grant, Some(self.batch.join())))
    }

    fn put_back(&mut self, shard: &ShardId, accounts: Vec<(AccountId, Account)>, changed: bool) {
        for (id, account) in accounts {
            self.accounts.put(shard, id, account, changed);
        }
    }

    fn list(
        &mut self,
        shard: &ShardId,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(AccountId, Account)>, Fault> {
        let failed = || fault("ledger.list");
        let mut query = self
            .db
            .prepare_cached(
                "select id, state, run from accounts where shard = ? and id >= ? and id > ? order by id limit ?",
            )
            .map_err(failed())?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = query.query((shard.as_str(), prefix, after, limit)).map_err(failed())?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(failed())? {
            let id: String = row.get(0).map_err(failed())?;
            if !id.starts_with(prefix) {
                break;
            }
            let id = AccountId::new(id);
            let state: Vec<u8> = row.get(1).map_err(failed())?;
            let account = self.accounts.read(&id, &state, row.get(2).map_err(failed())?)?;
            found.push((id, account));
        }
        Ok(found)
    }

    fn outbox(&mut self, shard: &ShardId, after: &str, limit: usize) -> Result<Vec<Entry>, Fault> {
        let failed = || fault("ledger.outbox");
        let mut query = self
            .db
            .prepare_cached(
                "select id, line, settle from entries where shard = ? and id > ? order by id limit ?",
            )
            .map_err(failed())?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = query.query((shard.as_str(), after, limit)).map_err(failed())?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(failed())? {
            let settle: Option<String> = row.get(2).map_err(failed())?;
            let settle = settle.as_deref().map(serde_json::from_str).transpose().map_err(|error| {
                Fault::new(FaultKind::Corrupt, "ledger.outbox", "an entry's settlement").with_source(error)
            })?;
            found.push(Entry {
                id: row.get(0).map_err(failed())?,
                line: row.get(1).map_err(failed())?,
                settle,
            });
        }
        Ok(found)
    }

    /// A deletion that a power failure undoes only makes an object of the archive again, under the same name.
    fn clear(&mut self, shard: &ShardId, entries: &[String]) -> Result<(), Fault> {
        let delete = || -> rusqlite::Result<()> {
            self.db.prepare_cached("begin immediate")?.execute([])?;
            let mut delete = self.db.prepare_cached("delete from entries where shard = ? and id = ?")?;
            for id in entries {
                delete.execute([shard.as_str(), id.as_str()])?;
            }
            self.db.prepare_cached("commit")?.execute([])?;
            Ok(())
        };
        let deleted = delete().map_err(fault("ledger.clear"));
        if deleted.is_err() && !self.db.is_autocommit() {
            let _ = self.db.execute_batch("rollback");
        }
        self.unsynced = true;
        deleted
    }
}
