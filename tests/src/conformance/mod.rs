//! What every implementation of a port has to do, whatever it is made of: memory, an embedded database,
//! `DynamoDB`, a Durable Object, a folder.
//!
//! An implementation runs the rules in its own tests, each against the same instance, since each keeps to names of its own:
//!
//! ```
//! # async fn example() -> anyhow::Result<()> {
//! use std::sync::Arc;
//! use gatelet_core::port::memory::MemoryLedger;
//!
//! gatelet_tests::conformance::ledger::all(Arc::new(MemoryLedger::default())).await
//! # }
//! ```

pub mod archive;
pub mod ledger;
pub mod nested;
pub mod store;

#[cfg(test)]
mod tests;

/// Gives a port's module its table of rules, and a function that checks them all.
macro_rules! rules {
    ($port:path: $($name:ident),* $(,)?) => {
        /// A rule's name, and what checks it.
        pub type Rule =
            (&'static str, fn(std::sync::Arc<dyn $port>) -> futures_util::future::BoxFuture<'static, anyhow::Result<()>>);

        /// Every rule, by name.
        pub const RULES: &[Rule] = &[$((stringify!($name), |port| Box::pin($name(port)))),*];

        /// Checks every rule, one after the other; the error names the first that is broken.
        pub async fn all(port: std::sync::Arc<dyn $port>) -> anyhow::Result<()> {
            for (name, rule) in RULES {
                anyhow::Context::context(rule(std::sync::Arc::clone(&port)).await, *name)?;
            }
            Ok(())
        }
    };
}
use rules;
