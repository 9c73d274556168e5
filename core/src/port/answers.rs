//! Answers that may be given again.

use async_trait::async_trait;
use bytes::Bytes;

use super::Fault;
use crate::domain::Timestamp;

/// Bytes by name, for all processes of a gateway. Whatever is in it may be gone at any moment, or be older than what was
/// written last: nothing depends on it but speed and cost.
#[async_trait]
pub trait Answers: Send + Sync {
    async fn get(&self, name: &str, now: Timestamp) -> Result<Option<Bytes>, Fault>;
    /// Keeps `bytes` until a moment at most; what had the name is replaced.
    ///
    /// # Errors
    /// [`FaultKind::TooLarge`](super::FaultKind): the host keeps nothing of that size.
    async fn put(&self, name: &str, bytes: Bytes, until: Timestamp) -> Result<(), Fault>;
}
