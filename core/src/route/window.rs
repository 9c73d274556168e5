//! What went to a target in the last minute.

use crate::domain::Timestamp;

/// What a provider lets through in a minute; none: nobody knows of a bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    pub requests: Option<u64>,
    pub tokens: Option<u64>,
}

/// Counts of this minute and the one before, from which those of the last sixty seconds are told as if the earlier ones had
/// been spread evenly. Good enough to choose by: what must not be passed is the ledger's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Window {
    minute: i64,
    now: Counts,
    before: Counts,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    requests: u64,
    tokens: u64,
}

impl Window {
    pub(super) fn add(&mut self, requests: u64, tokens: u64, now: Timestamp) {
        let minute = now.seconds().div_euclid(60);
        // Who is a minute ahead may be another thread; who is further ahead had another clock.
        if minute > self.minute || minute < self.minute.saturating_sub(1) {
            let next = self.minute.saturating_add(1) == minute;
            self.before = if next { self.now } else { Counts::default() };
            self.now = Counts::default();
            self.minute = minute;
        }
        self.now.requests = self.now.requests.saturating_add(requests);
        self.now.tokens = self.now.tokens.saturating_add(tokens);
    }

    /// Requests and tokens of the last sixty seconds.
    pub fn counts(&self, now: Timestamp) -> (f64, f64) {
        let minute = now.seconds().div_euclid(60);
        let (this, before) = match minute.saturating_sub(self.minute) {
            -1..=0 => (self.now, self.before),
            1 => (Counts::default(), self.now),
            _ => (Counts::default(), Counts::default()),
        };
        let left = 1.0 - seconds(now.micros().rem_euclid(60_000_000)) / 60.0;
        let blend = |this: u64, before: u64| number(this) + number(before) * left;
        (blend(this.requests, before.requests), blend(this.tokens, before.tokens))
    }

    /// The part of a quota that is used, by the scarcer of its two; more than 1 is possible. Without a quota, 0.
    pub fn share(&self, quota: Quota, now: Timestamp) -> f64 {
        if quota == Quota::default() {
            return 0.0;
        }
        let (requests, tokens) = self.counts(now);
        let part = |used: f64, most: Option<u64>| most.map_or(0.0, |most| used / number(most.max(1)));
        part(requests, quota.requests).max(part(tokens, quota.tokens))
    }
}

#[expect(clippy::cast_precision_loss, reason = "micros of one minute")]
fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "counts of a minute are chosen by, not paid by")]
fn number(count: u64) -> f64 {
    count as f64
}
