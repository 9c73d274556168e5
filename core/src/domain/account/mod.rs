//! Accounts: what may be spent, what is, and what is held.
//!
//! The whole ledger is the pure function [`Account::apply`], and [`transact`] over several accounts; a host supplies
//! only atomicity.
//!
//! Invariant: for every hard budget, at every moment, `spent + held <= limit`, as long as what was held was an upper
//! bound of what was used and was settled before it expired, and as long as the limit is not lowered below what is spent (by an
//! admin, by an [`Increase`] that lapses, or by what was spent elsewhere before, [`Document::opening`]). Where the truth was more, it is charged all the same, and
//! the next request sees it.

mod budget;
mod bytes;
mod hold;
mod limits;
mod op;
mod rate;
mod reserve;
mod statement;
mod tally;
mod transact;
mod window;

#[cfg(test)]
mod absent_laws;
#[cfg(test)]
mod increase_laws;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use budget::{Budget, NotABudget, Period, Place, Unit};
pub use bytes::Unreadable;
pub use limits::{AtLimit, Increase, Limits};
pub use op::{
    Carried, Denial, DenialCause, Document, Grant, Headroom, Holder, Meter, Op, OutputBound, Reserve, Settle,
    Stood,
};
pub use statement::{BudgetLine, ParallelLine, RateLine, Statement};
pub use transact::{distinct, transact};

use super::{AccountId, Money, Timestamp};
use hold::{Ended, Holds, Tombstone, name};
use rate::{Rate, Window};
use reserve::Quote;
use tally::Tally;

/// One account's whole state.
///
/// It is of bounded size, whatever happens: at most [`Account::MOST_HOLDS`] holds, a few hundred tombstones, eight
/// windows of 61 buckets and [`Account::MOST_TALLIES`] tallies. [`Account::to_bytes`] is its compact form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    document: Option<Box<Document>>,
    /// Limits that the last reservation carried, for want of a document.
    carried: Option<Box<Limits>>,
    /// The latest moment seen. Time never runs backwards for an account, whichever host's clock is behind.
    seen: Timestamp,
    holds: Holds,
    /// When it last held or was charged: a whole second.
    used: Timestamp,
    /// What was counted for each limit by time, by the moment of admission.
    windows: Vec<Window>,
    /// What was spent in each period that a budget names; the first is [`Period::Total`], which is always kept.
    tallies: Vec<Tally>,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            document: None,
            carried: None,
            seen: Timestamp::EPOCH,
            used: Timestamp::EPOCH,
            holds: Holds::default(),
            windows: Vec::new(),
            tallies: vec![Tally::new(Period::Total)],
        }
    }
}

impl Account {
    /// Requests that may be open at once, whatever the limits say.
    pub const MOST_HOLDS: usize = 10_000;
    /// One for each budget and soft budget, and the total.
    pub const MOST_TALLIES: usize = 2 * Limits::MOST_BUDGETS + 1;
    /// How long a hold may live.
    pub const LONGEST_HOLD: Duration = Duration::from_hours(24);

    /// What the account's holder may do; none: it was never written.
    pub fn document(&self) -> Option<&Document> {
        self.document.as_deref()
    }

    /// The latest moment that it knows of.
    pub fn seen(&self) -> Timestamp {
        self.seen
    }

    /// Applies one operation. Pure: the same account, operation and moment give the same answer on every host.
    pub fn apply(&mut self, id: &AccountId, op: &Op, now: Timestamp) -> Grant {
        let swept = self.advance(now);
        match op {
            Op::Reserve(reserve) => {
                self.adopt(reserve.carried(0));
                match self.quote(id, reserve, 0) {
                    Ok(quote) => self.hold(reserve, quote),
                    Err(grant) => *grant,
                }
            }
            Op::Settle(settle) => self.settle(settle),
            Op::Write { document, expect } => {
                self.writable(document, *expect).unwrap_or_else(|| self.write(document.clone()))
            }
            Op::Sweep => Grant::Swept { holds: swept + self.forget() },
        }
    }

    /// Ends every hold, charging nothing, and answers how many those were: for a host that knows that whoever held them
    /// is gone, since it died itself.
    pub fn abandon(&mut self) -> u64 {
        self.holds.expire(self.seen);
        self.holds.sweep(self.seen)
    }

    /// Moves to `now`, or stays where time has been already: begins new periods, forgets what has left the windows,
    /// ends holds that have expired. Answers how many those were.
    ///
    /// Whether this is kept or lost after a refusal makes no difference: the next operation does it again.
    fn advance(&mut self, now: Timestamp) -> u64 {
        self.seen = self.seen.max(now);
        let second = self.seen.seconds();
        for window in &mut self.windows {
            window.log.advance(second);
        }
        for tally in &mut self.tallies {
            tally.advance(second);
        }
        self.holds.sweep(self.seen)
    }

    fn settle(&mut self, settle: &Settle) -> Grant {
        let hold = name(&settle.hold);
        if let Some(open) = self.holds.end(hold) {
            let input = settle.tokens.saturating_sub(settle.output_tokens);
            for window in self.windows.iter_mut().filter(|window| open.counted & (1 << window.place) != 0) {
                let rate = window.rate();
                let bound = rate.amount(open.tokens.saturating_sub(open.output_tokens), open.output_tokens);
                window.log.correct(open.second, bound, rate.amount(input, settle.output_tokens));
            }
            self.charge(settle.cost);
            return Grant::Settled;
        }
        match self.holds.tombstone(hold) {
            Some(Tombstone { ended: Ended::Settled, .. }) => Grant::Settled,
            // Its room was given back when it expired; what was spent was spent all the same.
            Some(Tombstone { ended: Ended::Swept, .. }) => {
                self.holds.bury_settled(hold);
                self.charge(settle.cost);
                Grant::Settled
            }
            None => Grant::NoHold,
        }
    }

    fn charge(&mut self, cost: Money) {
        self.used = Timestamp::from_seconds(self.seen.seconds());
        for tally in &mut self.tallies {
            tally.charge(self.seen.seconds(), cost);
        }
    }

    /// Why the document may not be written; none: it may.
    fn writable(&self, document: &Document, expect: Option<u64>) -> Option<Grant> {
        let stands = self.document.as_deref();
        if stands == Some(document) {
            return Some(Grant::Written);
        }
        let next = expect.unwrap_or(0).checked_add(1);
        let fits = stands.map(|stands| stands.version) == expect && next == Some(document.version);
        (!fits).then(|| Grant::Conflict(self.document.clone()))
    }

    fn write(&mut self, document: Box<Document>) -> Grant {
        let opening = if self.document.is_none() { document.opening() } else { Money::ZERO };
        self.document = Some(document);
        self.track();
        // Of the periods of now: when it was spent nobody knows any more.
        if !opening.is_zero() {
            self.charge(opening);
        }
        Grant::Written
    }

    /// Keeps a window for every limit by time, and a tally for the total and for every period that a budget names.
    fn track(&mut self) {
        let rates = self.limits().map_or([None; Rate::ALL.len()], Limits::rates);
        let limited = |place: usize| rates.get(place).is_some_and(Option::is_some);
        // What a limit counted that is taken away, and comes back, is not forgotten while it counts.
        self.windows.retain(|window| limited(window.place) || !window.log.is_empty());
        for place in (0..Rate::ALL.len()).filter(|place| limited(*place)) {
            if self.windows.iter().all(|window| window.place != place) {
                self.windows.push(Window::new(place));
            }
        }
        let mut before = std::mem::take(&mut self.tallies);
        let limits = self.limits();
        let budgets = limits.into_iter().flat_map(|limits| limits.budget.iter().chain(&limits.soft_budget));
        let mut tallies: Vec<Tally> = Vec::new();
        for period in std::iter::once(Period::Total).chain(budgets.map(|budget| budget.period)) {
            if tallies.iter().all(|tally| tally.period != period) {
                let known = before.iter().position(|tally| tally.period == period);
                let mut tally = known.map_or_else(|| Tally::new(period), |place| before.remove(place));
                tally.advance(self.seen.seconds());
                tallies.push(tally);
            }
        }
        // A budget that is taken away and comes back in the same period has not forgotten, while there is room.
        before.truncate(Self::MOST_TALLIES.saturating_sub(tallies.len()));
        tallies.append(&mut before);
        self.tallies = tallies;
    }

    /// Whether the document lets anyone in at this moment.
    fn is_open(&self) -> bool {
        self.document.as_deref().is_none_or(|document| document.is_open(self.seen))
    }

    fn limits(&self) -> Option<&Limits> {
        self.document.as_deref().map(Document::limits).or(self.carried.as_deref())
    }

    /// Takes limits that a reservation carries; where it carries none the account has none but its document's. Done again
    /// with every reservation, so whether it is kept after a refusal makes no difference.
    fn adopt(&mut self, carried: Option<&Limits>) {
        if self.carried.as_deref() != carried {
            self.carried = carried.cloned().map(Box::new);
            self.track();
        }
    }

    /// Whether the reservation's hold is open, or was.
    fn holds(&self, reserve: &Reserve) -> bool {
        let hold = name(&reserve.hold);
        self.holds.get(hold).is_some() || self.holds.tombstone(hold).is_some()
    }

    /// Forgets all of an account that has no document, once nothing of it counts any more; answers how many that were.
    fn forget(&mut self) -> u64 {
        let over = self.document.is_none() && self.fades().is_some_and(|fades| fades <= self.seen);
        if over {
            *self = Self { seen: self.seen, ..Self::default() };
        }
        u64::from(over)
    }

    /// When an account without a document may be forgotten, if nobody uses it any more; none: it has one, or there is nothing
    /// in it. Money that is spent once and for all counts for [`Limits::LONGEST_MEMORY`].
    pub fn fades(&self) -> Option<Timestamp> {
        let carried = self.carried.as_deref().filter(|_| self.document.is_none())?;
        let held = self.holds.open().map(|(_, hold)| Timestamp::from_seconds(hold.expires)).max();
        Some(self.used.after(carried.memory()).max(held.unwrap_or(Timestamp::EPOCH)))
    }

    /// Whether nothing is in it: it was never written, or what was in it is over. A host need not keep it.
    pub fn is_blank(&self) -> bool {
        self.document.is_none()
            && self.holds.is_empty()
            && self.windows.iter().all(|window| window.log.is_empty())
            && self.tallies.iter().all(|tally| tally.spent() == 0)
    }

    fn hold(&mut self, reserve: &Reserve, quote: Quote) -> Grant {
        let asked = reserve.output.tokens;
        let (output_tokens, denial) = match quote {
            Quote::Standing { output_tokens } => (output_tokens, None),
            Quote::Fresh { output_tokens } => (self.open(reserve, output_tokens), None),
            Quote::Shadowed { denial } => (self.open(reserve, asked), Some(denial)),
            Quote::Nothing => (asked, None),
        };
        let mut grant = self.held(output_tokens);
        if let Grant::Held { shadowed, .. } = &mut grant {
            shadowed.extend(denial);
        }
        grant
    }
}
