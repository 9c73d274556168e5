//! Ports over others, for tests that bend one call or two: whatever they do not say themselves is passed on.

use async_trait::async_trait;
use bytes::Bytes;

use crate::domain::account::Account;
use crate::domain::{AccountId, Notice, ShardId, Timestamp};
use crate::port::{Entry, Expect, Fault, Ledger, Outcome, Page, Store, Transaction, Versioned};

/// A [`Ledger`] over another.
#[async_trait]
pub trait OverLedger: Send + Sync {
    fn under(&self) -> &dyn Ledger;

    async fn transact(&self, shard: &ShardId, work: Transaction, now: Timestamp) -> Result<Outcome, Fault> {
        self.under().transact(shard, work, now).await
    }
    async fn read(&self, shard: &ShardId, account: &AccountId) -> Result<Option<Account>, Fault> {
        self.under().read(shard, account).await
    }
    async fn list(
        &self,
        shard: &ShardId,
        prefix: &str,
        after: Option<&AccountId>,
        limit: usize,
    ) -> Result<Vec<(AccountId, Account)>, Fault> {
        self.under().list(shard, prefix, after, limit).await
    }
    async fn outbox(&self, shard: &ShardId, limit: usize) -> Result<Vec<Entry>, Fault> {
        self.under().outbox(shard, limit).await
    }
    async fn clear(&self, shard: &ShardId, entries: &[String]) -> Result<(), Fault> {
        self.under().clear(shard, entries).await
    }
    async fn notices(&self, shard: &ShardId, now: Timestamp) -> Result<Vec<Notice>, Fault> {
        self.under().notices(shard, now).await
    }
    async fn shards(&self) -> Result<Vec<ShardId>, Fault> {
        self.under().shards().await
    }
}

#[async_trait]
impl<T: OverLedger> Ledger for T {
    async fn transact(&self, shard: &ShardId, work: Transaction, now: Timestamp) -> Result<Outcome, Fault> {
        OverLedger::transact(self, shard, work, now).await
    }
    async fn read(&self, shard: &ShardId, account: &AccountId) -> Result<Option<Account>, Fault> {
        OverLedger::read(self, shard, account).await
    }
    async fn list(
        &self,
        shard: &ShardId,
        prefix: &str,
        after: Option<&AccountId>,
        limit: usize,
    ) -> Result<Vec<(AccountId, Account)>, Fault> {
        OverLedger::list(self, shard, prefix, after, limit).await
    }
    async fn outbox(&self, shard: &ShardId, limit: usize) -> Result<Vec<Entry>, Fault> {
        OverLedger::outbox(self, shard, limit).await
    }
    async fn clear(&self, shard: &ShardId, entries: &[String]) -> Result<(), Fault> {
        OverLedger::clear(self, shard, entries).await
    }
    async fn notices(&self, shard: &ShardId, now: Timestamp) -> Result<Vec<Notice>, Fault> {
        OverLedger::notices(self, shard, now).await
    }
    async fn shards(&self) -> Result<Vec<ShardId>, Fault> {
        OverLedger::shards(self).await
    }
}

/// A [`Store`] over another: each call passes [`OverStore::turn`] first.
#[async_trait]
pub trait OverStore: Send + Sync {
    fn under(&self) -> &dyn Store;

    /// What comes before a call: the port's word for it, and the bytes that it writes.
    async fn turn(&self, call: &'static str, bytes: &[u8]) -> Result<(), Fault>;

    async fn put(&self, name: &str, bytes: Bytes, expect: Expect) -> Result<u64, Fault> {
        self.turn("put", &bytes).await?;
        self.under().put(name, bytes, expect).await
    }
}

#[async_trait]
impl<T: OverStore> Store for T {
    async fn get(&self, name: &str) -> Result<Option<Versioned>, Fault> {
        self.turn("get", &[]).await?;
        self.under().get(name).await
    }
    async fn put(&self, name: &str, bytes: Bytes, expect: Expect) -> Result<u64, Fault> {
        OverStore::put(self, name, bytes, expect).await
    }
    async fn delete(&self, name: &str) -> Result<(), Fault> {
        self.turn("delete", &[]).await?;
        self.under().delete(name).await
    }
    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page, Fault> {
        self.turn("list", &[]).await?;
        self.under().list(prefix, after, limit).await
    }
    async fn keep(&self, home: &str, name: &str, bytes: Bytes, until: Timestamp) -> Result<(), Fault> {
        self.turn("keep", &[&bytes[..], home.as_bytes(), name.as_bytes()].concat()).await?;
        self.under().keep(home, name, bytes, until).await
    }
    async fn kept(&self, home: &str, name: &str, now: Timestamp) -> Result<Option<Bytes>, Fault> {
        self.turn("kept", &[]).await?;
        self.under().kept(home, name, now).await
    }
    async fn discard(&self, home: &str, name: &str) -> Result<(), Fault> {
        self.turn("discard", &[]).await?;
        self.under().discard(home, name).await
    }
}
