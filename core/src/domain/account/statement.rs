//! What an account looks like to its admin.

use serde::Serialize;

use super::tally::Tally;
use super::window::Log;
use super::{Account, Budget, Limits};
use crate::domain::{Money, Timestamp};

/// All limits of an account and how much of them is used, at one moment. Money is decimal strings in USD, moments are
/// RFC 3339.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Statement {
    /// All that was ever charged.
    pub spent: Money,
    /// What open requests have reserved.
    pub held: Money,
    /// Open requests.
    pub open: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpm: Option<RateLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tpm: Option<RateLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rpd: Option<RateLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tpd: Option<RateLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tpm: Option<RateLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tpm: Option<RateLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tpd: Option<RateLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tpd: Option<RateLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel: Option<ParallelLine>,
    pub budget: Vec<BudgetLine>,
    pub soft_budget: Vec<BudgetLine>,
}

#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RateLine {
    pub limit: u64,
    pub used: u64,
    pub remaining: u64,
    /// When the window is empty again; none: it is.
    pub renews_at: Option<String>,
}

#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ParallelLine {
    pub limit: u64,
    pub used: u64,
    pub remaining: u64,
}

#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BudgetLine {
    /// As it was written: `5 USD / day`.
    pub budget: String,
    /// With what it has more for a while.
    pub limit: Money,
    pub spent: Money,
    pub held: Money,
    pub remaining: Money,
    /// When nothing of what is spent now counts any more; none: never, or nothing counts.
    pub renews_at: Option<String>,
}

impl Account {
    /// The account's limits at `now`. Changes nothing.
    pub fn statement(&self, now: Timestamp) -> Statement {
        let mut account = self.clone();
        account.advance(now);
        account.stated()
    }

    /// The limits in force at `now`, where a reservation carries these, and how much of them is used. Changes nothing.
    pub fn terms(&self, carried: Option<&Limits>, now: Timestamp) -> (Limits, Statement) {
        let mut account = self.clone();
        account.advance(now);
        account.adopt(carried);
        (account.limits().cloned().unwrap_or_default(), account.stated())
    }

    fn stated(&self) -> Statement {
        let limits = self.limits().cloned().unwrap_or_default();
        let open = self.holds.open().len() as u64;
        let second = self.seen.seconds();
        let hard = limits.budget.iter().map(|budget| self.line(budget, limits.hard(budget, second)));
        let soft = limits.soft_budget.iter().map(|budget| self.line(budget, budget.limit));
        let rates = limits.rates();
        let line = |place: usize| {
            let limit = rates.get(place).copied().flatten()?;
            Some(rate(limit, self.window(place)))
        };
        Statement {
            spent: money(self.tallies.first().map_or(0, Tally::spent)),
            held: money(self.holds.held()),
            open,
            rpm: line(0),
            tpm: line(1),
            rpd: line(2),
            tpd: line(3),
            input_tpm: line(4),
            output_tpm: line(5),
            input_tpd: line(6),
            output_tpd: line(7),
            parallel: limits.parallel.map(|limit| ParallelLine {
                limit,
                used: open,
                remaining: limit.saturating_sub(open),
            }),
            budget: hard.collect(),
            soft_budget: soft.collect(),
        }
    }

    fn line(&self, budget: &Budget, limit: Money) -> BudgetLine {
        let tally = self.tally(budget);
        let spent = money(tally.map_or(0, Tally::spent));
        let held = money(self.holds.held());
        let renews = tally.and_then(Tally::renews);
        BudgetLine {
            budget: budget.to_string(),
            limit,
            spent,
            held,
            remaining: limit.minus(spent).minus(held),
            renews_at: renews.map(|second| Timestamp::from_seconds(second).to_string()),
        }
    }
}

fn rate(limit: u64, log: Option<&Log>) -> RateLine {
    let used = u64::try_from(log.map_or(0, Log::sum)).unwrap_or(u64::MAX);
    let empty = log.map(|log| log.empty_at(i64::MIN)).filter(|second| *second > i64::MIN);
    RateLine {
        limit,
        used,
        remaining: limit.saturating_sub(used),
        renews_at: empty.map(|second| Timestamp::from_seconds(second).to_string()),
    }
}

fn money(nanos: u128) -> Money {
    Money::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
