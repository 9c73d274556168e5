//! Ports on which a request is tried without anything happening: accounts are read and what becomes of them stays here,
//! entries are forgotten, and whoever waits has waited.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use gatelet_wire::SmallMap;

use super::{Clock, Defer, Entry, Fault, Ledger, Log, Outcome, Ports, Transaction};
use crate::domain::account::{Account, Grant, Op, Reserve, distinct, transact};
use crate::domain::{AccountId, Notice, ShardId, Timestamp};

/// One request's rehearsal.
pub(crate) struct Rehearsal {
    ledger: Arc<dyn Ledger>,
    begun: Timestamp,
    so_far: Mutex<SoFar>,
}

#[derive(Default)]
struct SoFar {
    accounts: SmallMap<(ShardId, AccountId), Account>,
    waited: Duration,
    tries: Vec<Try>,
}

/// One reservation that was asked for.
pub(crate) struct Try {
    pub(crate) at: Timestamp,
    pub(crate) reserve: Reserve,
    /// Each account as it was, with what it says by itself.
    pub(crate) accounts: Vec<(AccountId, Account, Grant)>,
    pub(crate) grant: Grant,
}

impl Rehearsal {
    /// Ports of a gateway in which it is `now`, and this.
    pub(crate) fn of(ports: &Ports, now: Timestamp) -> (Ports, Arc<Self>) {
        let this = Arc::new(Self { ledger: ports.ledger.clone(), begun: now, so_far: Mutex::default() });
        let ports = Ports {
            ledger: this.clone(),
            clock: this.clone(),
            defer: this.clone(),
            log: this.clone(),
            ..ports.clone()
        };
        (ports, this)
    }

    /// How long the request has waited.
    pub(crate) fn waited(&self) -> Duration {
        self.so_far().waited
    }

    /// What was asked so far.
    pub(crate) fn tries(&self) -> Vec<Try> {
        std::mem::take(&mut self.so_far().tries)
    }

    fn so_far(&self) -> MutexGuard<'_, SoFar> {
        self.so_far.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Ledger for Rehearsal {
    async fn transact(
        &self,
        shard: &ShardId,
        transaction: Transaction,
        now: Timestamp,
    ) -> Result<Outcome, Fault> {
        let Transaction { accounts, op, entries: _, notices: _ } = transaction;
        let mut all = Vec::with_capacity(accounts.len());
        for id in distinct(&accounts) {
            let account = self.read(shard, &id).await?.unwrap_or_default();
            all.push((id, account));
        }
        let mut before = Vec::new();
        if let Op::Reserve(_) = op {
            for (place, (id, account)) in all.iter().enumerate() {
                let alone = account.clone().apply(id, &op.of(place), now);
                before.push((id.clone(), account.clone(), alone));
            }
        }
        let grant = transact(&mut all, &op, now);
        let notices = self.ledger.notices(shard, now).await?;
        let mut so_far = self.so_far();
        if let Op::Reserve(reserve) = op {
            so_far.tries.push(Try { at: now, reserve, accounts: before, grant: grant.clone() });
        }
        so_far.accounts.extend(all.into_iter().map(|(id, account)| ((shard.clone(), id), account)));
        Ok(Outcome { grant, notices })
    }

    async fn notices(&self, shard: &ShardId, now: Timestamp) -> Result<Vec<Notice>, Fault> {
        self.ledger.notices(shard, now).await
    }

    async fn read(&self, shard: &ShardId, account: &AccountId) -> Result<Option<Account>, Fault> {
        let known = self.so_far().accounts.get(&(shard.clone(), account.clone())).cloned();
        match known {
            Some(known) => Ok((!known.is_blank()).then_some(known)),
            None => self.ledger.read(shard, account).await,
        }
    }

    async fn list(
        &self,
        shard: &ShardId,
        prefix: &str,
        after: Option<&AccountId>,
        limit: usize,
    ) -> Result<Vec<(AccountId, Account)>, Fault> {
        self.ledger.list(shard, prefix, after, limit).await
    }

    async fn outbox(&self, _: &ShardId, _: usize) -> Result<Vec<Entry>, Fault> {
        Ok(Vec::new())
    }

    async fn clear(&self, _: &ShardId, _: &[String]) -> Result<(), Fault> {
        Ok(())
    }

    async fn shards(&self) -> Result<Vec<ShardId>, Fault> {
        self.ledger.shards().await
    }
}

#[async_trait]
impl Clock for Rehearsal {
    fn now(&self) -> Timestamp {
        self.begun.after(self.waited())
    }

    async fn sleep(&self, duration: Duration) {
        self.so_far().waited += duration;
    }
}

impl Defer for Rehearsal {
    fn defer(&self, work: BoxFuture<'static, ()>) {
        drop(work);
    }
}

impl Log for Rehearsal {
    fn failed(&self, _: &str, _: &Fault) {}

    fn line(&self, _: &str) {}
}
