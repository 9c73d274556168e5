//! An account as the table keeps it: a state, and the operations that came after it.
//!
//! Whoever wants to do something appends it, whatever state the account is in, and learns what came of it by applying the
//! operations in the order in which they stand. The table orders them, so no two callers can conflict, nobody tries again,
//! and everyone who looks reads the same history: [`Account::apply`] is pure. From time to time somebody folds the oldest
//! operations into the state.
//!
//! An operation that stands twice, because a request to the table was sent twice, changes nothing the second time; its
//! answer is the first one's.

use gatelet_core::domain::account::{Account, Grant, Op};
use gatelet_core::domain::{AccountId, Timestamp};
use serde::{Deserialize, Serialize};

/// One operation with its moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Step {
    /// One for each attempt of a caller, so that it finds its own.
    pub(crate) id: String,
    pub(crate) at: Timestamp,
    pub(crate) op: Op,
}

impl Step {
    pub(crate) fn apply(&self, id: &AccountId, account: &mut Account) -> Grant {
        account.apply(id, &self.op, self.at)
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Journal {
    pub(crate) base: Account,
    /// Counts how often the base was written; zero: there is none yet.
    pub(crate) version: u64,
    pub(crate) log: Vec<Step>,
}

impl Journal {
    /// The account after all operations.
    pub(crate) fn account(&self, id: &AccountId) -> Account {
        self.folded(id, self.log.len())
    }

    /// The account after the first `count` operations.
    pub(crate) fn folded(&self, id: &AccountId, count: usize) -> Account {
        let mut account = self.base.clone();
        for step in self.log.iter().take(count) {
            step.apply(id, &mut account);
        }
        account
    }

    /// The place of a step in the log, and what it was answered.
    pub(crate) fn grant(&self, id: &AccountId, step: &str) -> Option<(usize, Grant)> {
        let mut account = self.base.clone();
        for (place, entry) in self.log.iter().enumerate() {
            let grant = entry.apply(id, &mut account);
            if entry.id == step {
                return Some((place, grant));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
