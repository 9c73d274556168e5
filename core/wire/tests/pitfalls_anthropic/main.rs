//! What goes wrong in gateways that speak the Anthropic dialect, one test each. The numbers are those of the list.

mod requests;
mod say;
mod schemas;
mod streams;
#[path = "../support/mod.rs"]
mod support;
