//! The gateway itself.

pub mod domain;
pub mod port;
