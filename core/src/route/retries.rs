//! How much of what goes to a target may be retries.

use crate::domain::Timestamp;

/// What retries may be made: a share of the requests (a fifth, if nobody says another), one a second however few there are,
/// and ten at once. So a target that fails every request gets a fifth more of them, and not three times as many, when it can
/// stand it least.
#[derive(Clone, Copy, Debug)]
pub(super) struct RetryBudget {
    left: f64,
    at: Timestamp,
}

const A_SECOND: f64 = 1.0;
const MOST: f64 = 10.0;

impl Default for RetryBudget {
    fn default() -> Self {
        Self { left: MOST, at: Timestamp::EPOCH }
    }
}

/// What requests of a target have earned of second calls beside it, in thousandths: one at the beginning, and ten at the most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hedges(u16);

impl Default for Hedges {
    fn default() -> Self {
        Self(Self::ONE)
    }
}

impl Hedges {
    const ONE: u16 = 1_000;

    pub(super) fn earn(&mut self, mille: u16) {
        self.0 = self.0.saturating_add(mille).min(10 * Self::ONE);
    }

    pub(super) fn take(&mut self) -> bool {
        let left = self.0.checked_sub(Self::ONE);
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}

impl RetryBudget {
    /// A request earns so many thousandths of a retry.
    pub(super) fn earn(&mut self, mille: u16) {
        self.left = (self.left + f64::from(mille) / 1e3).min(MOST);
    }

    pub(super) fn take(&mut self, now: Timestamp) -> bool {
        let earned = now.since(self.at).as_secs_f64() * A_SECOND;
        self.at = now;
        self.left = (self.left + earned).min(MOST);
        let may = self.left >= 1.0;
        if may {
            self.left -= 1.0;
        }
        may
    }
}
