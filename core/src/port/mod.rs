//! What a host must supply. Every trait asks for `Send`; a host without threads wraps its futures.

mod address;
mod archive;
mod body;
mod clock;
mod fault;
mod ledger;
#[cfg(feature = "memory")]
pub mod memory;
mod store;
mod upstream;

use std::sync::Arc;

use futures_util::future::BoxFuture;

pub use address::{is_public as is_public_address, is_public_host};
pub use archive::{Archive, Written};
pub use body::{Body, Broken, ByteStream, Uncollected};
pub use clock::Clock;
pub use fault::{Fault, FaultKind};
pub use ledger::{Entry, Ledger, Outcome, Transaction};
pub use store::{Expect, MOST_KEPT, Page, Store, Versioned};
pub use upstream::{Reach, Upstream};

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
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ports")
    }
}
