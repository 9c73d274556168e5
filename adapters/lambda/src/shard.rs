//! What a process knows of a shard: the accounts that it has met, as they stand after all steps of the log up to one.
//!
//! The log of a shard is the truth (see [`crate::ledger`]); everyone applies it in its order and comes to the same, since core's
//! [`transact`] is pure. A step that is decided leaves a [`Fact`]: whether it was granted, and how much. With that each
//! account can be brought up to date alone, so whoever follows need not know accounts that others use.

use std::collections::{HashMap, HashSet, VecDeque};

use gatelet_core::domain::account::{Account, Grant, Op, transact};
use gatelet_core::domain::{AccountId, Notice, Notices, Timestamp};
use gatelet_core::port::Fault;

use crate::journal::Step;

/// Accounts that a process keeps, more or less; beyond that those that no recent step names are forgotten.
const MOST_ACCOUNTS: usize = 10_000;

/// A step that is decided.
#[derive(Clone, Debug)]
struct Fact {
    step: Step,
    outcome: Outcome,
    /// What it was answered; none: somebody else decided it.
    grant: Option<Grant>,
}

/// What came of a step: 0, nothing; 1, it was done; 2 and more: it holds, with so many output tokens less two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome(pub(crate) u64);

impl Outcome {
    const VOID: Self = Self(0);

    fn of(grant: &Grant) -> Self {
        match grant {
            Grant::Held { output_tokens, .. } => Self(output_tokens.saturating_add(2)),
            Grant::Settled | Grant::Written | Grant::Swept { .. } => Self(1),
            Grant::Stale(_) | Grant::Denied(_) | Grant::NoHold | Grant::Conflict(_) => Self::VOID,
        }
    }

    fn output_tokens(self) -> u64 {
        self.0.saturating_sub(2)
    }
}

/// Steps that left the head of the log, with what came of each.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    /// The number of its first step.
    pub(crate) first: u64,
    pub(crate) steps: Vec<(Step, Outcome)>,
}

/// The newest steps, and how far the log has been put away.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    /// The number of its first step; those before it are in segments.
    pub(crate) first: u64,
    /// Every account that a step before this one changed is kept as it was after it, or later.
    pub(crate) kept: u64,
    /// Where a segment begins, at `kept` or before it.
    pub(crate) from: u64,
    /// The steps, packed: most of them are known to whoever reads the head once more.
    pub(crate) steps: Vec<Vec<u8>>,
}

impl Head {
    /// Bytes of its first `count` steps.
    pub(crate) fn size(&self, count: usize) -> usize {
        self.steps.iter().take(count).map(Vec::len).sum()
    }

    /// The number of the step that comes next.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.steps.len() as u64
    }
}

/// What [`Known::advance`] needs before it can go on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lack {
    Nothing,
    /// Segments from [`Known::boundary`] on.
    Segments,
    Accounts(Vec<AccountId>),
}

#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// All accounts here are as after every step before this one.
    next: u64,
    /// Where a segment or the head begins, at `next` or before it.
    boundary: u64,
    /// See [`Head::kept`].
    kept: u64,
    /// The number of the first fact.
    start: u64,
    facts: VecDeque<Fact>,
    accounts: HashMap<AccountId, Account>,
    /// What steps have told of targets.
    notices: Notices,
}

impl Known {
    /// Nothing yet.
    pub(crate) fn new(head: &Head) -> Self {
        Self {
            next: head.kept,
            boundary: head.from,
            kept: head.kept,
            start: head.kept,
            facts: VecDeque::new(),
            accounts: HashMap::new(),
            notices: Notices::default(),
        }
    }

    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    pub(crate) fn boundary(&self) -> u64 {
        self.boundary
    }

    pub(crate) fn notices(&self, now: Timestamp) -> Vec<Notice> {
        self.notices.heard(now)
    }

    pub(crate) fn account(&self, id: &AccountId) -> Option<&Account> {
        self.accounts.get(id)
    }

    /// What a step was answered; none: this process did not decide it, or has forgotten.
    pub(crate) fn grant(&self, number: u64) -> Option<Grant> {
        self.fact(number)?.grant.clone()
    }

    /// What came of steps from `first` on; none: this process does not know of all of them.
    pub(crate) fn outcomes(&self, first: u64, count: usize) -> Option<Vec<Outcome>> {
        (first..).take(count).map(|number| self.fact(number).map(|fact| fact.outcome)).collect()
    }

    fn fact(&self, number: u64) -> Option<&Fact> {
        self.facts.get(usize::try_from(number.checked_sub(self.start)?).ok()?)
    }

    /// Decides the head's steps, in their order.
    pub(crate) fn advance(&mut self, head: &Head) -> Result<Lack, Fault> {
        if head.first > self.next {
            return Ok(Lack::Segments);
        }
        let done = usize::try_from(self.next - head.first).unwrap_or(usize::MAX);
        let steps = head.steps.get(done..).unwrap_or_default();
        let steps = steps.iter().map(|packed| Step::unpack(packed)).collect::<Result<Vec<Step>, Fault>>()?;
        let missing: HashSet<&AccountId> = steps
            .iter()
            .flat_map(|step| &step.accounts)
            .filter(|id| !self.accounts.contains_key(*id))
            .collect();
        if !missing.is_empty() {
            return Ok(Lack::Accounts(missing.into_iter().cloned().collect()));
        }
        for step in steps {
            let grant = self.decide(&step);
            self.push(step, Outcome::of(&grant), Some(grant));
        }
        self.boundary = self.boundary.max(head.first);
        self.kept = self.kept.max(head.kept);
        self.forget();
        Ok(Lack::Nothing)
    }

    /// Takes in what others have decided; false: some of it is not there any more.
    pub(crate) fn catch_up(&mut self, segments: Vec<Segment>) -> bool {
        for Segment { first, steps } in segments {
            if first != self.boundary {
                return false;
            }
            self.boundary += steps.len() as u64;
            for (number, (step, outcome)) in (first..).zip(steps) {
                if number < self.next {
                    continue;
                }
                for (place, id) in step.accounts.iter().enumerate() {
                    if outcome != Outcome::VOID
                        && let Some(account) = self.accounts.get_mut(id)
                    {
                        account.follow(&step.op, place, outcome.output_tokens(), step.at);
                    }
                }
                self.push(step, outcome, None);
            }
        }
        true
    }

    /// Takes in accounts as they are kept, each as it was after all steps before a number; false: one of them was kept by
    /// somebody who knows more steps than we do.
    pub(crate) fn load(&mut self, found: Vec<(AccountId, Account, u64)>) -> bool {
        let mut all = true;
        for (id, mut account, after) in found {
            if after > self.next {
                all = false;
                continue;
            }
            let facts = self
                .facts
                .iter()
                .skip(usize::try_from(after.saturating_sub(self.start)).unwrap_or(usize::MAX));
            for Fact { step, outcome, .. } in facts.filter(|fact| fact.outcome != Outcome::VOID) {
                if let Some(place) = step.accounts.iter().position(|other| *other == id) {
                    account.follow(&step.op, place, outcome.output_tokens(), step.at);
                }
            }
            self.accounts.insert(id, account);
        }
        all
    }

    /// Accounts that steps have changed since they were kept.
    pub(crate) fn changed(&self) -> Vec<AccountId> {
        let facts = self
            .facts
            .iter()
            .skip(usize::try_from(self.kept.saturating_sub(self.start)).unwrap_or(usize::MAX));
        let mut once = HashSet::new();
        for Fact { step, .. } in facts.filter(|fact| fact.outcome != Outcome::VOID) {
            let looks = |place| matches!(&step.op, Op::Reserve(reserve) if reserve.only_looks(place));
            once.extend(
                step.accounts.iter().enumerate().filter(|(place, _)| !looks(*place)).map(|(_, id)| id),
            );
        }
        once.into_iter().cloned().collect()
    }

    fn decide(&mut self, step: &Step) -> Grant {
        let before: Vec<(AccountId, Account)> = step
            .accounts
            .iter()
            .map(|id| (id.clone(), self.accounts.get(id).cloned().unwrap_or_default()))
            .collect();
        let mut after = before;
        let grant = transact(&mut after, &step.op, step.at);
        // What was refused has moved accounts in time, and what was only looked at too: nobody who reads of it later does that.
        if Outcome::of(&grant) != Outcome::VOID {
            for (place, (id, account)) in after.into_iter().enumerate() {
                if !matches!(&step.op, Op::Reserve(reserve) if reserve.only_looks(place)) {
                    self.accounts.insert(id, account);
                }
            }
        }
        grant
    }

    fn push(&mut self, mut step: Step, outcome: Outcome, grant: Option<Grant>) {
        step.entries = Vec::new();
        self.notices.tell(&std::mem::take(&mut step.notices), step.at);
        self.facts.push_back(Fact { step, outcome, grant });
        self.next += 1;
    }

    /// Forgets facts that are in all that is kept and that nobody will ask for, and accounts, if there are too many.
    fn forget(&mut self) {
        while self.start < self.kept.min(self.boundary) && self.facts.pop_front().is_some() {
            self.start += 1;
        }
        if self.accounts.len() > MOST_ACCOUNTS {
            let recent: HashSet<&AccountId> =
                self.facts.iter().flat_map(|fact| &fact.step.accounts).collect();
            self.accounts.retain(|id, _| recent.contains(id));
        }
    }
}

#[cfg(test)]
mod tests;
