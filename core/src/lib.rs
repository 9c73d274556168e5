//! The gateway itself.

pub mod domain;
pub mod policy;
pub mod port;
pub mod registry;
