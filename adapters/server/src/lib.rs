//! The server's parts: listener, workers, embedded store, archive in a folder.

pub mod archive;
mod body;
mod chance;
pub mod cli;
pub mod client;
pub mod import;
pub mod known;
pub mod listen;
pub mod log;
pub mod registry;
pub mod serve;
mod stalled;
pub mod store;
pub mod workers;
