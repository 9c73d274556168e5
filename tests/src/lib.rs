//! Starts the real hosts and holds all of them to the same scenarios.

pub mod runtime_api;
