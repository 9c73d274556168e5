//! Documents.

use async_trait::async_trait;
use bytes::Bytes;

use super::Fault;
use crate::domain::Timestamp;

/// Small documents by name, such as `config`. Reads may be old by the host's bound (Workers KV: a minute), but for names
/// that begin with [`EXACT`].
#[async_trait]
pub trait Store: Send + Sync {
    async fn get(&self, name: &str) -> Result<Option<Versioned>, Fault>;
    /// Writes and answers the new version. [`FaultKind::Conflict`](super::FaultKind) when `expect` does not hold.
    async fn put(&self, name: &str, bytes: Bytes, expect: Expect) -> Result<u64, Fault>;
    async fn delete(&self, name: &str) -> Result<(), Fault>;
    /// Names that begin with `prefix`, in order, after `after`.
    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page, Fault>;

    /// Keeps `bytes` at `home` until a moment: no document, for it has no version and is in no list. What was kept under
    /// the same name is replaced; whoever asks after the answer reads it. `home` says what is kept together, such as all
    /// of one key's: a host may have a place for each. Done twice it is done once.
    ///
    /// # Errors
    /// [`FaultKind::TooLarge`](super::FaultKind) above [`MOST_KEPT`] bytes at the latest.
    async fn keep(&self, home: &str, name: &str, bytes: Bytes, until: Timestamp) -> Result<(), Fault>;
    /// What is kept, unless its time is over.
    async fn kept(&self, home: &str, name: &str, now: Timestamp) -> Result<Option<Bytes>, Fault>;
    /// What was kept is gone when this answers.
    async fn discard(&self, home: &str, name: &str) -> Result<(), Fault>;
}

/// How the names of documents begin that every host reads as they were last written: the gateway's own books.
pub const EXACT: &str = "books/";

/// The most bytes that every host keeps under one name.
pub const MOST_KEPT: usize = 320 << 10;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    pub version: u64,
    pub bytes: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    Anything,
    Absent,
    Version(u64),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    pub names: Vec<String>,
    /// Give it as `after` to go on; none: this was all.
    pub next: Option<String>,
}
