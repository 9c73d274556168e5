//! The ledger: one algorithm for every host. A host loads accounts, asks [`transact`], and writes them in one step.

use crate::domain::account::{self, Account};
use crate::domain::{AccountId, Timestamp};
use crate::port::{Outcome, Transaction};

pub use crate::domain::account::distinct;

/// Applies a transaction's operation to its accounts, all or none. Pure.
///
/// `accounts` are those of [`distinct`]`(&transaction.accounts)` in that order; one that was never written is
/// [`Account::default`]. Where [`Outcome::grant`] changes nothing ([`Grant::changes`](account::Grant::changes)) they
/// need not be written. The entries are the host's to keep, in the same step, whatever the grant.
pub fn transact(accounts: &mut [(AccountId, Account)], transaction: &Transaction, now: Timestamp) -> Outcome {
    account::transact(accounts, &transaction.op, now).into()
}
