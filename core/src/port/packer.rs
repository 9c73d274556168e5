//! Who makes things small.

use async_trait::async_trait;
use bytes::Bytes;

use super::Fault;

/// Gzip: every host has it in a library that it carries anyway, or in its runtime.
#[async_trait]
pub trait Packer: Send + Sync {
    /// All of `bytes` as one member of gzip.
    async fn pack(&self, bytes: Bytes) -> Result<Bytes, Fault>;

    /// What was packed.
    ///
    /// # Errors
    /// [`FaultKind::Corrupt`](super::FaultKind::Corrupt): it is not whole, or it is more than `most` bytes.
    async fn unpack(&self, packed: Bytes, most: usize) -> Result<Bytes, Fault>;
}
