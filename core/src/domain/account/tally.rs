//! What was spent in one period.

use super::budget::Period;
use super::window::Log;
use crate::domain::Money;

/// What was spent in the current stretch of one period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) period: Period,
    pub(super) spent: Spent,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Spent {
    /// Since the period began; it ends at the second `until`.
    Until {
        spent: Money,
        until: i64,
    },
    Rolling(Log),
}

impl Tally {
    pub(super) fn new(period: Period) -> Self {
        let spent = match period {
            Period::Total => Spent::Until { spent: Money::ZERO, until: i64::MAX },
            // Ended before it began: the first look begins the stretch of that moment.
            Period::Calendar { .. } => Spent::Until { spent: Money::ZERO, until: i64::MIN },
            Period::Rolling { .. } => Spent::Rolling(Log::new(period.bucket())),
        };
        Self { period, spent }
    }

    /// Begins a new stretch where the old one has ended at `second`.
    pub(super) fn advance(&mut self, second: i64) {
        match (&mut self.spent, self.period) {
            (Spent::Until { spent, until }, Period::Calendar { unit, place }) if *until <= second => {
                *spent = Money::ZERO;
                *until = unit.ends(place, second);
            }
            (Spent::Until { .. }, _) => {}
            (Spent::Rolling(log), _) => log.advance(second),
        }
    }

    pub(super) fn charge(&mut self, second: i64, cost: Money) {
        match &mut self.spent {
            Spent::Until { spent, .. } => *spent = spent.plus(cost),
            Spent::Rolling(log) => log.add(second, cost.nanos()),
        }
    }

    pub(super) fn spent(&self) -> u128 {
        match &self.spent {
            Spent::Until { spent, .. } => u128::from(spent.nanos()),
            Spent::Rolling(log) => log.sum(),
        }
    }

    /// The second at which no more than `allowed` is spent, if nothing more is charged; none: never.
    pub(super) fn shrinks_to(&self, allowed: u128, now: i64) -> Option<i64> {
        match &self.spent {
            Spent::Until { spent, .. } if u128::from(spent.nanos()) <= allowed => Some(now),
            Spent::Until { .. } => self.renews(),
            Spent::Rolling(log) => Some(log.shrinks_to(allowed, now)),
        }
    }

    /// The second at which nothing of what is spent now counts any more; none: never, or nothing counts.
    pub(super) fn renews(&self) -> Option<i64> {
        match (&self.spent, self.period) {
            (_, Period::Total) => None,
            (Spent::Until { until, .. }, _) => Some(*until),
            (Spent::Rolling(log), _) => Some(log.empty_at(i64::MIN)).filter(|at| *at > i64::MIN),
        }
    }
}
