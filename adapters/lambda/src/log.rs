//! What the function says of itself: lines of JSON, as Lambda's log groups read them. Never a secret.

use std::fmt::Display;
use std::io::Write as _;

use gatelet_core::port::{Fault, Log};

pub fn warn(what: &str, cause: &dyn Display) {
    line("WARN", what, cause);
}

pub fn error(what: &str, cause: &dyn Display) {
    line("ERROR", what, cause);
}

/// The gateway's own log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ToStderr;

impl Log for ToStderr {
    fn failed(&self, what: &str, fault: &Fault) {
        error(what, fault);
    }

    fn line(&self, line: &str) {
        let _ = writeln!(std::io::stdout(), "{line}");
    }
}

fn line(level: &str, what: &str, cause: &dyn Display) {
    let line = serde_json::json!({ "level": level, "message": what, "cause": cause.to_string() });
    // Where nobody listens there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{line}");
}
