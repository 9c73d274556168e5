//! What instances of a gateway tell each other of targets, by the ledger call that a request makes anyway.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// Whose fault it was that a call failed. It decides what is held against the target, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blame {
    /// The request is at fault: the target has answered as it should.
    Caller,
    /// The gateway's credential is refused, or its account is closed.
    Credential,
    /// The provider has no such model.
    Model,
    /// Too many requests. None: it did not say until when.
    Limited { until: Option<Timestamp> },
    /// The provider failed, or said nothing that makes sense.
    Provider,
    /// It could not be reached.
    Network,
}

impl Blame {
    pub fn word(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Credential => "credential",
            Self::Model => "model",
            Self::Limited { .. } => "rate_limit",
            Self::Provider => "provider",
            Self::Network => "network",
        }
    }
}

/// How a target stands, as one instance has seen it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// As those know it who remember how calls went.
    pub target: Arc<str>,
    /// When it was seen.
    pub at: Timestamp,
    /// Faults since its last success.
    pub faults: u32,
    pub stands: Stands,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stands {
    In,
    /// It has answered its probe, and returns by and by.
    Returning,
    Out {
        until: Timestamp,
        blame: Blame,
        /// How often it was put out since it was last wholly in.
        outs: u32,
    },
}

/// What a shard's ledger keeps of what it is told: the last word on each target, for a while.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notices(Vec<Notice>);

impl Notices {
    /// No ledger keeps more. What is told beyond it takes the place of what was told first.
    pub const MOST: usize = 32;
    /// How long a notice counts, from when it was seen or from when what it says is over.
    pub const LIFE: Duration = Duration::from_mins(5);

    /// Takes in what is told with a transaction: in the order in which the ledger decides them, the last word counts.
    pub fn tell(&mut self, told: &[Notice], now: Timestamp) {
        if told.is_empty() {
            return;
        }
        self.0.retain(|kept| kept.counts(now) && told.iter().all(|notice| notice.target != kept.target));
        self.0.extend(told.iter().take(Self::MOST).cloned());
        let beyond = self.0.len().saturating_sub(Self::MOST);
        self.0.drain(..beyond);
    }

    /// What goes out with each answer.
    pub fn heard(&self, now: Timestamp) -> Vec<Notice> {
        // Most have nothing to tell.
        if self.0.is_empty() {
            return Vec::new();
        }
        self.0.iter().filter(|notice| notice.counts(now)).cloned().collect()
    }
}

impl Notice {
    fn counts(&self, now: Timestamp) -> bool {
        let over = match self.stands {
            Stands::Out { until, .. } => until.max(self.at),
            Stands::In | Stands::Returning => self.at,
        };
        now < over.after(Notices::LIFE)
    }
}
