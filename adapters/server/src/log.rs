//! What the process says of itself: a few lines to stderr, as `time level what key=value`. Never a secret.

use std::fmt::{Display, Write as _};
use std::io::Write as _;

use gatelet_core::port::{Clock as _, Fault, Log};
use gatelet_tokio::SystemClock;

pub fn info(what: &str, with: &[(&str, &dyn Display)]) {
    line("info", what, with);
}

pub fn warn(what: &str, with: &[(&str, &dyn Display)]) {
    line("warn", what, with);
}

pub fn error(what: &str, with: &[(&str, &dyn Display)]) {
    line("error", what, with);
}

/// The gateway's own log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ToStderr;

impl Log for ToStderr {
    fn failed(&self, what: &str, fault: &Fault) {
        error(what, &[("fault", fault)]);
    }

    fn line(&self, line: &str) {
        let _ = std::io::stdout().write_all(format!("{line}\n").as_bytes());
    }
}

fn line(level: &str, what: &str, with: &[(&str, &dyn Display)]) {
    let mut line = format!("{} {level:5} {what}", SystemClock.now());
    for (key, value) in with {
        let value = value.to_string();
        let plain = !value.is_empty() && value.chars().all(|c| c.is_ascii_graphic() && c != '"');
        let _ = if plain { write!(line, " {key}={value}") } else { write!(line, " {key}={value:?}") };
    }
    line.push('\n');
    // One write a line, so that lines of threads do not mix; where nobody listens there is nobody to tell.
    let _ = std::io::stderr().write_all(line.as_bytes());
}
