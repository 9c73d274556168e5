//! How a host fails.

use crate::domain::account::Unreadable;

/// A failure of something that a host supplies: a store, a connection, a clock.
#[derive(Debug, thiserror::Error)]
#[error("{operation}: {kind}{}{context}", if .context.is_empty() { "" } else { ": " })]
pub struct Fault {
    pub kind: FaultKind,
    /// What was being done, such as `ledger.transact`.
    pub operation: &'static str,
    /// For the log, never for the caller.
    pub context: String,
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// It could not be reached, or is overloaded: another try may pass.
    Unavailable,
    /// It did not answer in time.
    Timeout,
    /// Somebody else wrote first.
    Conflict,
    /// It refused: rights, or an address that is out of reach on purpose.
    Denied,
    TooLarge,
    /// What it holds cannot be read.
    Corrupt,
}

impl FaultKind {
    /// Whether another try may pass.
    pub fn is_temporary(self) -> bool {
        match self {
            Self::Unavailable | Self::Timeout | Self::Conflict => true,
            Self::Denied | Self::TooLarge | Self::Corrupt => false,
        }
    }
}

impl std::fmt::Display for FaultKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unavailable => "unavailable",
            Self::Timeout => "timed out",
            Self::Conflict => "conflict",
            Self::Denied => "denied",
            Self::TooLarge => "too large",
            Self::Corrupt => "corrupt",
        })
    }
}

impl Fault {
    pub fn new(kind: FaultKind, operation: &'static str, context: impl Into<String>) -> Self {
        Self { kind, operation, context: context.into(), source: None }
    }

    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }
}

/// What a host has kept for an account cannot be read, or was written by a newer program.
impl From<Unreadable> for Fault {
    fn from(unreadable: Unreadable) -> Self {
        Self::new(FaultKind::Corrupt, "ledger.account", String::new()).with_source(unreadable)
    }
}
