//! Reserving: what every limit says to one more request.

use super::budget::Budget;
use super::hold::{Hold, name};
use super::rate::{Counted, Rate};
use super::tally::Tally;
use super::window::Log;
use super::{Account, Denial, DenialCause, Grant, Headroom, Limits, Meter, OutputBound, Reserve, Stood};
use crate::domain::{AccountId, Money, Timestamp};

/// What would be granted.
#[derive(Clone, Debug)]
pub(super) enum Quote {
    /// The hold is there already: the same was asked before.
    Standing {
        output_tokens: u64,
    },
    Fresh {
        output_tokens: u64,
    },
    /// As [`Quote::Fresh`], though the limits, which are only watched, would refuse it.
    Shadowed {
        denial: String,
    },
    /// The account has no limits, as was expected: nothing is held of it.
    Nothing,
}

impl Account {
    /// What would be granted now, or why nothing is. Changes nothing; the account has been moved to now.
    ///
    /// `place`: the account's place in the transaction. Limits that the reservation carries for it are the account's already
    /// (see [`Account::adopt`]).
    pub(super) fn quote(&self, id: &AccountId, reserve: &Reserve, place: usize) -> Result<Quote, Box<Grant>> {
        let hold = name(&reserve.hold);
        if let Some(standing) = self.holds.get(hold) {
            return Ok(Quote::Standing { output_tokens: standing.output_tokens });
        }
        if self.holds.tombstone(hold).is_some() || reserve.expires <= self.seen {
            return Err(Box::new(Grant::NoHold));
        }
        let version = reserve.versions.get(place).copied();
        let stands = self.document.as_deref().map_or(0, |document| document.version);
        if version.is_some_and(|version| version != stands) || !self.is_open() {
            let stood = Stood { account: id.clone(), document: self.document.clone() };
            return Err(Box::new(Grant::Stale(vec![stood])));
        }
        if reserve.only_looks(place) {
            return Ok(Quote::Nothing);
        }
        let shadow = self.limits().is_some_and(|limits| limits.shadow);
        let full = self.holds.open().len() >= Self::MOST_HOLDS;
        match self.denial(id, reserve) {
            Some(denial) if shadow && !full => {
                Ok(Quote::Shadowed { denial: format!("{id}: {}", denial.limit) })
            }
            Some(denial) => Err(Box::new(Grant::Denied(denial))),
            None if shadow => Ok(Quote::Fresh { output_tokens: reserve.output.tokens }),
            None => Ok(Quote::Fresh { output_tokens: self.affordable(reserve) }),
        }
    }

    /// Makes the hold that was quoted.
    pub(super) fn open(&mut self, reserve: &Reserve, output_tokens: u64) -> u64 {
        let second = self.seen.seconds();
        self.used = Timestamp::from_seconds(second);
        let rates = self.limits().map_or([None; Rate::ALL.len()], Limits::rates);
        let tokens = reserve.input_tokens.saturating_add(output_tokens);
        let mut counted = 0;
        for window in &mut self.windows {
            if rates.get(window.place).is_some_and(Option::is_some) {
                window.log.add(second, window.rate().amount(reserve.input_tokens, output_tokens));
                counted |= 1 << window.place;
            }
        }
        let latest = self.seen.after(Self::LONGEST_HOLD);
        let expires = whole_second_after(reserve.expires.min(latest));
        let cost = cost(reserve, output_tokens);
        let hold = Hold { cost, tokens, counted, output_tokens, second, expires };
        self.holds.insert(name(&reserve.hold), hold);
        output_tokens
    }

    /// The grant of a hold that stands.
    pub(super) fn held(&self, output_tokens: u64) -> Grant {
        let second = self.seen.seconds();
        let meter = |limit: u64, used: u128, empty_at: i64| Meter {
            limit,
            remaining: limit.saturating_sub(u64::try_from(used).unwrap_or(u64::MAX)),
            resets_at: Timestamp::from_seconds(empty_at),
        };
        let limits = self.limits();
        let meter = |place: usize, limit: Option<u64>| {
            let log = self.window(place);
            limit.map(|limit| {
                meter(limit, log.map_or(0, Log::sum), log.map_or(second, |log| log.empty_at(second)))
            })
        };
        let (rpm, tpm) = limits.map_or((None, None), |limits| (limits.rpm, limits.tpm));
        let headroom = Headroom { requests: meter(0, rpm), tokens: meter(1, tpm) };
        let soft_passed = limits
            .into_iter()
            .flat_map(|limits| &limits.soft_budget)
            .filter(|budget| {
                let spent = self.tally(budget).map_or(0, Tally::spent);
                spent + self.holds.held() > u128::from(budget.limit.nanos())
            })
            .map(ToString::to_string)
            .collect();
        Grant::Held { output_tokens, headroom, soft_passed, shadowed: Vec::new() }
    }

    /// The window of the limit at this place of [`Rate::ALL`].
    pub(super) fn window(&self, place: usize) -> Option<&Log> {
        self.windows.iter().find(|window| window.place == place).map(|window| &window.log)
    }

    pub(super) fn tally(&self, budget: &Budget) -> Option<&Tally> {
        self.tallies.iter().find(|tally| tally.period == budget.period)
    }

    /// The limit that binds longest, of all that refuse the request at its smallest; so its `retry_at` is that of the
    /// request.
    fn denial(&self, id: &AccountId, reserve: &Reserve) -> Option<Denial> {
        let unlimited = Limits::default();
        let limits = self.limits().unwrap_or(&unlimited);
        let output = least(&reserve.output);
        let second = self.seen.seconds();
        let mut worst: Option<Denial> = None;
        let mut deny = |cause, limit: String, retry_at: Option<i64>, renews_at: Option<i64>| {
            let denial = Denial {
                account: id.clone(),
                cause,
                limit,
                retry_at: retry_at.map(Timestamp::from_seconds),
                renews_at: renews_at.map(Timestamp::from_seconds),
            };
            if worst.as_ref().is_none_or(|worst| denial.binds_more_than(worst)) {
                worst = Some(denial);
            }
        };
        let rates = limits.rates();
        for window in &self.windows {
            let rate = window.rate();
            let Some(limit) = rates.get(window.place).copied().flatten() else { continue };
            let words = || format!("{limit} {}", rate.words);
            let requests = rate.counted == Counted::Requests;
            let amount = u128::from(rate.amount(reserve.input_tokens, output));
            match u128::from(limit).checked_sub(amount) {
                // A limit of zero never lets one pass.
                None if requests => deny(DenialCause::Requests, words(), None, None),
                None => deny(DenialCause::TooManyTokens, words(), None, None),
                Some(allowed) if window.log.sum() > allowed => {
                    let at = window.log.shrinks_to(allowed, second);
                    let cause = if requests { DenialCause::Requests } else { DenialCause::Tokens };
                    deny(cause, words(), Some(at), None);
                }
                Some(_) => {}
            }
        }
        let open = self.holds.open().len();
        let most = limits.parallel.unwrap_or(u64::MAX).min(Self::MOST_HOLDS as u64);
        if open as u64 >= most {
            deny(DenialCause::Parallel, most.to_string(), None, None);
        }
        let cost = u128::from(cost(reserve, output).nanos());
        let held = self.holds.held();
        for budget in &limits.budget {
            let Some(tally) = self.tally(budget) else { continue };
            let raised = Budget { limit: limits.hard(budget, second), ..*budget };
            let limit = u128::from(raised.limit.nanos());
            let spent = tally.spent();
            if spent + held + cost <= limit {
                continue;
            }
            let renews_at = tally.renews();
            if cost > limit {
                deny(DenialCause::TooExpensive, raised.to_string(), None, None);
            } else if spent + cost <= limit {
                deny(DenialCause::BudgetHeld, raised.to_string(), None, renews_at);
            } else {
                // What is held stays held when the period renews.
                let at = passes_at(limits, budget, tally, held + cost, second);
                deny(DenialCause::BudgetSpent, raised.to_string(), at, renews_at);
            }
        }
        worst
    }

    /// Output tokens that all limits afford, at most what is asked; asked where no limit refuses the least.
    fn affordable(&self, reserve: &Reserve) -> u64 {
        let OutputBound { tokens, rate, elastic } = reserve.output;
        let Some(limits) = self.limits().filter(|_| elastic) else { return tokens };
        let mut afford = u128::from(tokens);
        let second = self.seen.seconds();
        let rates = limits.rates();
        for window in &self.windows {
            let Some(limit) = rates.get(window.place).copied().flatten() else { continue };
            let input = match window.rate().counted {
                Counted::Requests | Counted::Input => continue,
                Counted::Tokens => reserve.input_tokens,
                Counted::Output => 0,
            };
            let used = window.log.sum() + u128::from(input);
            afford = afford.min(u128::from(limit).saturating_sub(used));
        }
        for budget in &limits.budget {
            let Some(tally) = self.tally(budget) else { continue };
            let taken = tally.spent() + self.holds.held() + u128::from(reserve.input_cost.nanos());
            let room = u128::from(limits.hard(budget, second).nanos()).saturating_sub(taken);
            // A cost is rounded up to whole nano-dollars, so this many tokens cost at most the room.
            if let Some(tokens) = (room * 1_000).checked_div(u128::from(rate.picos())) {
                afford = afford.min(tokens);
            }
        }
        u64::try_from(afford).unwrap_or(u64::MAX)
    }
}

impl Denial {
    /// Whether this one says more than `other`: it lasts longer; of two that nothing ends by itself, the one that
    /// lasts for certain.
    pub(super) fn binds_more_than(&self, other: &Self) -> bool {
        let weight = |denial: &Self| match denial.cause {
            DenialCause::TooManyTokens | DenialCause::TooExpensive => 2,
            DenialCause::Requests | DenialCause::Tokens | DenialCause::BudgetSpent => 1,
            DenialCause::Parallel | DenialCause::BudgetHeld => 0,
        };
        match (self.retry_at, other.retry_at) {
            (None, None) => weight(self) > weight(other),
            (None, Some(_)) => true,
            (Some(_), None) => false,
            (Some(this), Some(other)) => this > other,
        }
    }
}

/// The second from which a budget affords what is needed, though it may have less by then than it has now.
fn passes_at(limits: &Limits, budget: &Budget, tally: &Tally, needed: u128, now: i64) -> Option<i64> {
    let mut at = now;
    loop {
        let limit = u128::from(limits.hard(budget, at).nanos());
        let later = tally.shrinks_to(limit.checked_sub(needed)?, now)?.max(at);
        if later == at {
            return Some(at);
        }
        at = later;
    }
}

/// The least output that is worth a call.
fn least(output: &OutputBound) -> u64 {
    if output.elastic { output.tokens.min(1) } else { output.tokens }
}

fn cost(reserve: &Reserve, output_tokens: u64) -> Money {
    reserve.input_cost.plus(Money::from_picos_up(reserve.output.rate.times(output_tokens)))
}

fn whole_second_after(moment: Timestamp) -> i64 {
    let second = moment.seconds();
    if Timestamp::from_seconds(second) < moment { second.saturating_add(1) } else { second }
}
