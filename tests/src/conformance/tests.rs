//! The memory ports keep the rules; and a rule that is broken is found.

use std::sync::Arc;

use async_trait::async_trait;
use gatelet_core::domain::account::Account;
use gatelet_core::domain::{AccountId, Notice, ShardId, Timestamp};
use gatelet_core::port::memory::{MemoryArchive, MemoryLedger, MemoryStore};
use gatelet_core::port::{Entry, Fault, Ledger, Outcome, Transaction};

use super::{archive, ledger, store};

#[tokio::test]
async fn the_memory_store_keeps_every_rule() -> anyhow::Result<()> {
    store::all(Arc::new(MemoryStore::default())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_ledger_keeps_every_rule() -> anyhow::Result<()> {
    ledger::all(Arc::new(MemoryLedger::default())).await
}

#[tokio::test]
async fn the_memory_archive_keeps_every_rule() -> anyhow::Result<()> {
    archive::all(Arc::new(MemoryArchive::default())).await
}

#[tokio::test]
async fn a_ledger_that_loses_updates_breaks_the_rules() {
    let ledger: Arc<dyn Ledger> = Arc::new(LosesUpdates::default());
    let mut broken = Vec::new();
    for (name, rule) in ledger::RULES {
        if rule(Arc::clone(&ledger)).await.is_err() {
            broken.push(*name);
        }
    }
    for name in [
        "two_hundred_callers_hold_exactly_what_a_budget_affords",
        "two_hundred_callers_use_up_a_budget_and_never_pass_it",
        "two_hundred_callers_lose_no_entry",
    ] {
        assert!(broken.contains(&name), "{name} was not found broken, only {broken:?}");
    }
}

/// Reads, waits, and writes what it has read: what happens between is lost.
#[derive(Default)]
struct LosesUpdates {
    inner: MemoryLedger,
    accounts: std::sync::Mutex<std::collections::HashMap<(ShardId, AccountId), Account>>,
}

#[async_trait]
impl Ledger for LosesUpdates {
    async fn transact(
        &self,
        shard: &ShardId,
        transaction: Transaction,
        now: Timestamp,
    ) -> Result<Outcome, Fault> {
        let place = |id: &AccountId| (shard.clone(), id.clone());
        let mut accounts: Vec<(AccountId, Account)> = transaction
            .accounts
            .iter()
            .map(|id| {
                (id.clone(), self.accounts.lock().unwrap().get(&place(id)).cloned().unwrap_or_default())
            })
            .collect();
        tokio::task::yield_now().await;
        let grant = gatelet_core::domain::account::transact(&mut accounts, &transaction.op, now);
        for (id, account) in accounts {
            self.accounts.lock().unwrap().insert(place(&id), account);
        }
        Ok(grant.into())
    }

    async fn read(&self, shard: &ShardId, account: &AccountId) -> Result<Option<Account>, Fault> {
        Ok(self.accounts.lock().unwrap().get(&(shard.clone(), account.clone())).cloned())
    }

    async fn list(
        &self,
        shard: &ShardId,
        prefix: &str,
        after: Option<&AccountId>,
        limit: usize,
    ) -> Result<Vec<(AccountId, Account)>, Fault> {
        self.inner.list(shard, prefix, after, limit).await
    }

    async fn outbox(&self, shard: &ShardId, limit: usize) -> Result<Vec<Entry>, Fault> {
        self.inner.outbox(shard, limit).await
    }

    async fn clear(&self, shard: &ShardId, entries: &[String]) -> Result<(), Fault> {
        self.inner.clear(shard, entries).await
    }

    async fn notices(&self, _: &ShardId, _: Timestamp) -> Result<Vec<Notice>, Fault> {
        Ok(Vec::new())
    }

    async fn shards(&self) -> Result<Vec<ShardId>, Fault> {
        self.inner.shards().await
    }
}
