//! One list of scenarios for the three real hosts, a scripted provider behind them, and the vendors' own clients in front.
//!
//! [`harness::run`] starts each host once, and runs every [`scenario`] against it; `tests/hosts.rs` is nothing but that.
//! [`conformance`] holds every implementation of a port to the same rules.

pub mod agent;
pub mod client;
pub mod conformance;
pub mod harness;
pub mod host;
pub mod planted;
pub mod runtime_api;
pub mod scenario;
pub mod sdk;
pub mod spoken;
pub mod upstream;
pub mod world;

/// Fails the scenario unless both are equal, showing both.
#[macro_export]
macro_rules! check_eq {
    ($left:expr, $right:expr $(,)?) => {
        $crate::check_eq!($left, $right, "{}", stringify!($left))
    };
    ($left:expr, $right:expr, $($context:tt)+) => {
        // A match, so that what is borrowed lives to its end.
        match (&$left, &$right) {
            (left, right) => {
                if left != right {
                    ::anyhow::bail!("{}:\n  is     {left:?}\n  wanted {right:?}", format_args!($($context)+));
                }
            }
        }
    };
}
