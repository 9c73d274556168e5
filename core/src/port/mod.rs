//! What a host must supply. Every trait asks for `Send`; a host without threads wraps its futures.

mod address;
mod answers;
mod archive;
mod body;
mod clock;
mod fault;
pub mod feed;
mod ledger;
#[cfg(feature = "memory")]
pub mod memory;
mod packer;
pub(crate) mod rehearsal;
mod store;
mod upstream;

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;

pub use address::{is_public as is_public_address, is_public_host};
pub use answers::Answers;
pub use archive::{Archive, Written};
pub use body::{Body, Broken, ByteStream, Uncollected};
pub use clock::Clock;
pub use fault::{Fault, FaultKind};
pub use ledger::{Entry, Ledger, Outcome, Transaction};
pub use packer::Packer;
pub use store::{EXACT, Expect, MOST_KEPT, Page, Store, Versioned};
pub use upstream::{Reach, Upstream};

/// Who sent a request, as the host's platform knows it. Hosts put it among the request's extensions; without it nobody
/// knows, and a key that is bound to addresses does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// Randomness for ids and secrets: cryptographically strong.
pub trait Chance: Send + Sync {
    fn fill(&self, bytes: &mut [u8]);
}

/// Work that goes on after the answer: `wait_until`, or a spawned task.
pub trait Defer: Send + Sync {
    fn defer(&self, work: BoxFuture<'static, ()>);
}

/// Where the gateway says what nobody else is told: no caller waits for it any more. Never a secret.
pub trait Log: Send + Sync {
    fn failed(&self, what: &str, fault: &Fault);

    /// A line for whoever collects what the process says: a record, where the configuration has a sink for that.
    fn line(&self, line: &str);
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    Seal,
    Open,
}

/// Signatures by keys that are credentials, and what keeps credentials sealed: every host has them in a library that it carries anyway.
#[async_trait]
pub trait Signer: Send + Sync {
    /// RS256 (RSASSA-PKCS1-v1_5 with SHA-256) of `message`, by an RSA key in PKCS #8 (DER).
    ///
    /// # Errors
    /// [`FaultKind::Denied`]: the key is not one that can sign.
    async fn rs256(&self, key: &[u8], message: &[u8]) -> Result<Vec<u8>, Fault>;

    /// AES-256-GCM: what is sealed is `data` and a tag of 16 bytes, bound to `context`.
    ///
    /// # Errors
    /// [`FaultKind::Denied`]: it was sealed with another key or context, or is not what was sealed.
    async fn aes256_gcm(
        &self,
        cipher: Cipher,
        key: &[u8; 32],
        nonce: &[u8; 12],
        context: &[u8],
        data: &[u8],
    ) -> Result<Vec<u8>, Fault>;
}

/// All that a host supplies.
#[derive(Clone)]
pub struct Ports {
    pub store: Arc<dyn Store>,
    pub ledger: Arc<dyn Ledger>,
    pub upstream: Arc<dyn Upstream>,
    pub archive: Arc<dyn Archive>,
    pub clock: Arc<dyn Clock>,
    pub chance: Arc<dyn Chance>,
    pub defer: Arc<dyn Defer>,
    pub log: Arc<dyn Log>,
    pub signer: Arc<dyn Signer>,
    pub packer: Arc<dyn Packer>,
    pub answers: Arc<dyn Answers>,
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ports")
    }
}
