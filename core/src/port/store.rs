//! Documents.

use async_trait::async_trait;
use bytes::Bytes;

use super::Fault;

/// Small documents by name, such as `config`. Reads may be old by the host's bound (Workers KV: a minute).
#[async_trait]
pub trait Store: Send + Sync {
    async fn get(&self, name: &str) -> Result<Option<Versioned>, Fault>;
    /// Writes and answers the new version. [`FaultKind::Conflict`](super::FaultKind) when `expect` does not hold.
    async fn put(&self, name: &str, bytes: Bytes, expect: Expect) -> Result<u64, Fault>;
    async fn delete(&self, name: &str) -> Result<(), Fault>;
    /// Names that begin with `prefix`, in order, after `after`.
    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page, Fault>;
}

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
