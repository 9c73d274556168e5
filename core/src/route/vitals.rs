//! What was seen of one target.

use std::time::Duration;

use super::breaker::{Breaker, Rules};
use super::decayed::Decayed;
use super::retries::{Hedges, RetryBudget};
use super::window::Window;
use crate::domain::{Blame, Timestamp};

/// What this process has seen of a target lately.
#[derive(Clone, Copy, Debug, Default)]
pub struct Vitals {
    pub breaker: Breaker,
    /// Seconds until a stream's first content.
    pub first: Decayed,
    /// Seconds for each token of its output.
    pub token: Decayed,
    /// Seconds of a whole answer.
    pub whole: Decayed,
    pub in_flight: u32,
    pub window: Window,
    pub(super) retries: RetryBudget,
    pub(super) hedges: Hedges,
}

/// How a call ended.
#[derive(Clone, Copy, Debug)]
pub enum Ended {
    Answered {
        /// Until a stream's first content; none: it was a whole answer.
        first: Option<Duration>,
        total: Duration,
        output: u64,
        tokens: u64,
    },
    Failed(Blame),
    /// The caller left before anybody could tell.
    Unknown,
}

impl Vitals {
    pub(super) fn began(&mut self, now: Timestamp, rules: &Rules) {
        self.in_flight = self.in_flight.saturating_add(1);
        self.window.add(1, 0, now);
        self.retries.earn(rules.retry_mille);
        self.breaker.began(now, rules);
    }

    /// Answers whether that is news for other instances.
    pub(super) fn ended(&mut self, ended: Ended, now: Timestamp, rules: &Rules) -> bool {
        self.in_flight = self.in_flight.saturating_sub(1);
        match ended {
            Ended::Answered { first, total, output, tokens } => {
                let news = self.breaker.ended(None, now, rules);
                match (first, u32::try_from(output)) {
                    (Some(first), Ok(output)) => {
                        self.first.add(first.as_secs_f64(), now);
                        let rest = total.saturating_sub(first).as_secs_f64();
                        self.token.add(rest / f64::from(output.max(1)), now);
                    }
                    (None, _) => self.whole.add(total.as_secs_f64(), now),
                    (Some(_), Err(_)) => {}
                }
                self.window.add(0, tokens, now);
                news
            }
            Ended::Failed(blame) => self.breaker.ended(Some(blame), now, rules),
            Ended::Unknown => false,
        }
    }

    /// Seconds that an answer of so many tokens may take, with hope for what was not asked lately. None: never asked.
    pub(super) fn wait(&self, stream: bool, output: u64, now: Timestamp) -> Option<f64> {
        let output = f64::from(u32::try_from(output).unwrap_or(u32::MAX));
        let streamed = || Some(self.first.hopeful(now)? + self.token.hopeful(now).unwrap_or(0.0) * output);
        let whole = || self.whole.hopeful(now);
        if stream { streamed().or_else(whole) } else { whole().or_else(streamed) }
    }
}
