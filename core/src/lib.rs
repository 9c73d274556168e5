//! The gateway itself.

pub mod domain;
pub mod ledger;
pub mod policy;
pub mod port;
pub mod registry;
