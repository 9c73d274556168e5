//! Accounts: what may be spent, what is, and what is held.
//!
//! The whole ledger is the pure function [`Account::apply`]; a host supplies only atomicity.

mod limits;
mod op;

pub use limits::Limits;
pub use op::{Denial, DenialCause, Document, Grant, Headroom, Meter, Op, OutputBound, Reserve, Settle};

use super::Timestamp;

/// One account's whole state.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Account {}

impl Account {
    /// Applies one operation. Pure: the same account, operation and moment give the same answer on every host.
    pub fn apply(&mut self, _op: &Op, _now: Timestamp) -> Grant {
        Grant::NoHold
    }
}
