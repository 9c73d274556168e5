//! Where records stay.

use async_trait::async_trait;
use bytes::Bytes;

use super::Fault;

/// Blobs by name (`v1/date=2026-11-22/hour=17/….ndjson.gz`), written once. Only what is deleted is written again.
#[async_trait]
pub trait Archive: Send + Sync {
    /// Writes unless the name exists: the same name always means the same content.
    async fn write(&self, name: &str, bytes: Bytes) -> Result<Written, Fault>;
    async fn read(&self, name: &str) -> Result<Option<Bytes>, Fault>;
    /// Puts other bytes in an object's place, or removes it: for what may not stay. Whoever had read it before has read it.
    async fn replace(&self, name: &str, bytes: Option<Bytes>) -> Result<(), Fault>;
    /// Names that begin with `prefix`, in order, after `after`.
    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, Fault>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    New,
    Existed,
}
