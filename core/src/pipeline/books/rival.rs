//! Two attempts of one request at a time, each with a hold of its own, and attempts whose answer did not last: what they used is
//! charged as if their caller had left, beside what the answer costs that counts.

use std::time::Duration;

use gatelet_wire::Usage;

use super::{Books, Charge, State, fault_of};
use crate::domain::account::Settle;
use crate::domain::{HoldId, Money, Timestamp};
use crate::route::{Blame, Ended};

/// What earlier attempts of a request are charged.
#[derive(Debug, Default)]
pub(super) struct Aside {
    pub(super) charge: Charge,
    /// What settles holds beside the request's own, as far as they belong to these attempts.
    pub(super) settles: Vec<Settle>,
}

impl Aside {
    /// What of all that is charged is settled by another hold than the request's.
    pub(super) fn settled(&self) -> (u64, u64, Money) {
        self.settles.iter().fold((0, 0, Money::ZERO), |(tokens, output, cost), settle| {
            (tokens + settle.tokens, output + settle.output_tokens, cost.plus(settle.cost))
        })
    }
}

impl Books {
    /// The outcome of an attempt that another has overtaken.
    const OUTRUN: &'static str = "outrun";

    /// The books of an attempt that may be made beside the one that is made now. Nothing is held for it yet.
    pub(in crate::pipeline) fn rival(&self, hold: HoldId) -> Box<Self> {
        let mut record = self.record.clone();
        record.attempts += 1;
        Box::new(Self {
            core: self.core.clone(),
            state: State::Closed,
            shard: self.shard.clone(),
            accounts: self.accounts.clone(),
            hold,
            record,
            attempts: Vec::new(),
            target: None,
            sent: false,
            operation: self.operation,
            likely_input: self.likely_input,
            known_units: self.known_units,
            sound: self.sound,
            watched: None,
            learner: self.learner.clone(),
            waited: self.waited,
            waits: None,
            queued: self.queued,
            keeper: None,
            aside: None,
            tally: super::Tally::default(),
        })
    }

    /// The ledger is asked to hold for a rival, or does; the request waited so long before.
    pub(in crate::pipeline) fn rival_held(&mut self, waited: Duration) {
        self.state = State::Held;
        self.waited += waited;
    }

    /// Whether a rival has asked anybody.
    pub(in crate::pipeline) fn has_asked(&self) -> bool {
        !self.attempts.is_empty()
    }

    /// Another attempt has answered, or the caller has left: what the rival used is charged with the rest.
    pub(in crate::pipeline) fn outran(&mut self, mut rival: Box<Self>, now: Timestamp) {
        if std::mem::replace(&mut rival.state, State::Closed) == State::Closed {
            return;
        }
        rival.put_aside(Self::OUTRUN, now);
        let charge = rival.aside.take().map(|aside| aside.charge).unwrap_or_default();
        self.record.attempts = self.record.attempts.max(rival.record.attempts);
        // The last is the one that is under way.
        let own = self.attempts.pop();
        self.attempts.append(&mut rival.attempts);
        self.attempts.extend(own);
        let aside = self.aside.get_or_insert_default();
        aside.settles.push(charge.settle(rival.hold.clone()));
        aside.charge.add(&charge);
    }

    /// The rival has answered: its attempt is the request's from here on.
    pub(in crate::pipeline) fn overtaken(&mut self, mut rival: Box<Self>, now: Timestamp) {
        rival.state = State::Closed;
        self.put_aside(Self::OUTRUN, now);
        let aside = self.aside.get_or_insert_default();
        let settle = aside.charge.settle(std::mem::replace(&mut self.hold, rival.hold.clone()));
        aside.settles.push(settle);
        self.attempts.append(&mut rival.attempts);
        self.target = rival.target.take();
        self.watched = rival.watched.take();
        self.tally = std::mem::take(&mut rival.tally);
        (self.sent, self.waited, self.waits) = (rival.sent, rival.waited, rival.waits);
        let (own, other) = (&mut self.record, &mut rival.record);
        own.attempts = other.attempts;
        own.target = other.target.take();
        own.loss = std::mem::take(&mut other.loss);
        own.output_cap = other.output_cap;
        own.first_content_ms = other.first_content_ms;
        (own.upstream_ms, own.overhead_ms) = (other.upstream_ms, other.overhead_ms);
    }

    /// The attempt broke off when its caller had read some of it, and another one goes on from there, held by `hold`: what it used
    /// is charged with the rest. Answers what all attempts so far have used.
    pub(in crate::pipeline) fn broke(
        &mut self,
        outcome: &'static str,
        blame: Blame,
        hold: HoldId,
        now: Timestamp,
    ) -> Usage {
        self.saw(Ended::Failed(blame), now);
        let charge = self.put_aside(outcome, now);
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.fault = Some(fault_of(blame));
        }
        let aside = self.aside.get_or_insert_default();
        aside.settles.push(charge.settle(std::mem::replace(&mut self.hold, hold)));
        aside.charge.usage
    }

    /// The attempt that is under way will not be the one that answers: it is charged as if its caller had left.
    fn put_aside(&mut self, outcome: &'static str, now: Timestamp) -> Charge {
        if !self.sent {
            return Charge::default();
        }
        let charge = self.charge();
        self.end_attempt(outcome, now);
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.cost = Some(charge.cost);
        }
        self.saw(Ended::Unknown, now);
        self.sent = false;
        self.tally = super::Tally::default();
        self.aside.get_or_insert_default().charge.add(&charge);
        charge
    }
}
