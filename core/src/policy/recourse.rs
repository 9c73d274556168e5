//! What a model does about faults: how often a target is asked again, by what was wrong, and how long anybody waits for that.

use std::time::Duration;

use super::document::duration;
use super::read::{At, Fields, Reader};

/// What was wrong with an attempt that may go better another time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The target said that there are too many requests.
    RateLimit,
    /// It said nothing in time.
    Timeout,
    /// It failed, was overloaded, or said nothing that makes sense.
    Provider,
    /// It was not reached, or the connection broke.
    Network,
}

/// Further attempts at a target, by what was wrong with the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    pub rate_limit: u32,
    pub timeout: u32,
    pub provider: u32,
    pub network: u32,
    /// The pause before the first of them, where the target does not say itself when it is back; it doubles, and chance
    /// shortens it by up to a half.
    pub pause: Duration,
    /// The longest pause: who says that it is back later is not waited for.
    pub wait: Duration,
}

impl Retries {
    pub const fn each(count: u32) -> Self {
        let (pause, wait) = (Duration::from_millis(250), Duration::from_secs(5));
        Self { rate_limit: count, timeout: count, provider: count, network: count, pause, wait }
    }

    pub fn after(&self, wrong: Wrong) -> u32 {
        match wrong {
            Wrong::RateLimit => self.rate_limit,
            Wrong::Timeout => self.timeout,
            Wrong::Provider => self.provider,
            Wrong::Network => self.network,
        }
    }
}

impl Default for Retries {
    fn default() -> Self {
        Self::each(2)
    }
}

const RETRIES: [&str; 6] = ["rate_limit", "timeout", "provider", "network", "pause", "wait"];

/// Every key of it, for the test that the reference explains it.
#[cfg(test)]
pub(super) fn known_keys() -> Vec<&'static str> {
    RETRIES.to_vec()
}

/// A model's `retries`: one number, or one for each kind of fault; none: what is usual.
pub(super) fn retries(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Retries {
    fields.get("retries").and_then(|at| read(reader, at)).unwrap_or_default()
}

fn read(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Retries> {
    let count = |text: &str| text.parse::<u32>().ok().filter(|count| *count <= 10);
    if at.is_scalar() {
        return reader.parsed(at, "a whole number from 0 to 10", count).map(Retries::each);
    }
    let fields = reader.fields(at, &RETRIES, &[])?;
    let usual = Retries::default();
    let mut of = |key, usual| {
        let said = fields.get(key);
        said.and_then(|at| reader.parsed(at, "a whole number from 0 to 10", count)).unwrap_or(usual)
    };
    let (rate_limit, timeout) = (of("rate_limit", usual.rate_limit), of("timeout", usual.timeout));
    let (provider, network) = (of("provider", usual.provider), of("network", usual.network));
    let mut time = |key, usual| {
        let short = |text: &str| duration(text).filter(|time| *time <= Duration::from_mins(1));
        let said = fields.get(key);
        said.and_then(|at| reader.parsed(at, "a duration of at most 1m, such as 500ms or 5s", short))
            .unwrap_or(usual)
    };
    let (pause, wait) = (time("pause", usual.pause), time("wait", usual.wait));
    Some(Retries { rate_limit, timeout, provider, network, pause, wait })
}
