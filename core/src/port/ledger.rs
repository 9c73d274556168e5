//! The books: accounts that change all together or not at all, and the outbox of records beside them.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::Fault;
use crate::domain::account::{Account, Grant, Op, Settle};
use crate::domain::{AccountId, Notice, ShardId, Timestamp};

/// A ledger supplies atomicity and nothing else: every rule is in [`Account::apply`].
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Applies one operation to each account named, all or none, and keeps the entries with it.
    ///
    /// When this answers, both are safe from the death of the process. Sent twice, it changes nothing more.
    ///
    /// What it tells of targets is kept by the shard, as [`Notices`](crate::domain::Notices) keeps it, and goes out with every
    /// later answer of the shard, to whichever instance asks: so nobody makes a call for it, and whoever asks after this has
    /// answered knows. It need not outlive the process or object that keeps the shard.
    async fn transact(
        &self,
        shard: &ShardId,
        transaction: Transaction,
        now: Timestamp,
    ) -> Result<Outcome, Fault>;

    /// One account as it stands; none if it was never written.
    async fn read(&self, shard: &ShardId, account: &AccountId) -> Result<Option<Account>, Fault>;

    /// Accounts whose ids begin with `prefix`, in order of id, after `after`; at most `limit`.
    async fn list(
        &self,
        shard: &ShardId,
        prefix: &str,
        after: Option<&AccountId>,
        limit: usize,
    ) -> Result<Vec<(AccountId, Account)>, Fault>;

    /// The oldest entries of the outbox, in order of id.
    async fn outbox(&self, shard: &ShardId, limit: usize) -> Result<Vec<Entry>, Fault>;

    /// Forgets entries that are archived.
    async fn clear(&self, shard: &ShardId, entries: &[String]) -> Result<(), Fault>;

    /// What is told of targets in a shard now.
    async fn notices(&self, shard: &ShardId, now: Timestamp) -> Result<Vec<Notice>, Fault>;

    /// The shards that have accounts or entries.
    async fn shards(&self) -> Result<Vec<ShardId>, Fault>;
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    /// Empty when there are only entries to keep.
    pub accounts: Vec<AccountId>,
    pub op: Op,
    pub entries: Vec<Entry>,
    /// What was seen of targets that other instances should know. Mostly nothing.
    #[serde(skip)]
    pub notices: Vec<Notice>,
}

impl Transaction {
    /// One that tells nothing of targets.
    pub fn new(accounts: Vec<AccountId>, op: Op, entries: Vec<Entry>) -> Self {
        Self { accounts, op, entries, notices: Vec::new() }
    }
}

/// Lines for the archive, kept until they are there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Unique, and in the order of time: 16 digits of microseconds, a dash, the record's id.
    pub id: Arc<str>,
    /// One line of JSON or several, without the last line feed. Shared, as the id is: each is handed on several times
    /// before it is archived.
    pub line: Arc<str>,
    /// The settlement that this line tells of. A host that cannot write accounts and entries in one step writes the
    /// entry first; whoever archives it settles again, which changes nothing if it was done.
    pub settle: Option<(Vec<AccountId>, Settle)>,
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The first refusal, or the grant that binds most: of all accounts' grants the one to act on.
    pub grant: Grant,
    /// What other instances have told of targets. Mostly nothing.
    #[serde(skip)]
    pub notices: Vec<Notice>,
}

impl From<Grant> for Outcome {
    fn from(grant: Grant) -> Self {
        Self { grant, notices: Vec::new() }
    }
}
