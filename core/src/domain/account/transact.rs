//! One operation over several accounts: all or none.

use std::borrow::BorrowMut;

use super::reserve::Quote;
use super::{Account, Grant, Headroom, Meter, Op, Reserve};
use crate::domain::{AccountId, Timestamp};

/// The accounts to load for a transaction: each once, in the order of their first mention.
pub fn distinct(accounts: &[AccountId]) -> Vec<AccountId> {
    let mut once: Vec<AccountId> = Vec::with_capacity(accounts.len());
    for account in accounts {
        if !once.contains(account) {
            once.push(account.clone());
        }
    }
    once
}

/// Applies one operation to every account, or to none, and answers the first refusal that binds most, or the grant that
/// binds most.
///
/// Each account is there once (see [`distinct`]), wherever its host keeps it; one that was never written is
/// [`Account::default`].
///
/// After a refusal the accounts may have moved in time, and nothing else: whether that is kept makes no difference.
pub fn transact<A: BorrowMut<Account>>(accounts: &mut [(AccountId, A)], op: &Op, now: Timestamp) -> Grant {
    let mut accounts: Vec<(&AccountId, &mut Account)> =
        accounts.iter_mut().map(|(id, account)| (&*id, account.borrow_mut())).collect();
    apply(&mut accounts, op, now)
}

fn apply(accounts: &mut [(&AccountId, &mut Account)], op: &Op, now: Timestamp) -> Grant {
    let swept: u64 = accounts.iter_mut().map(|(_, account)| account.advance(now)).sum();
    match op {
        Op::Reserve(reserve) => self::reserve(accounts, reserve),
        Op::Settle(settle) => accounts
            .iter_mut()
            .map(|(_, account)| account.settle(settle))
            .reduce(|all, one| if all == Grant::Settled { all } else { one })
            .unwrap_or(Grant::NoHold),
        Op::Write { document, expect } => {
            let refusal = accounts
                .iter()
                .filter_map(|(_, account)| account.writable(document, *expect))
                .find(|grant| *grant != Grant::Written);
            refusal.unwrap_or_else(|| {
                for (_, account) in accounts {
                    account.write(document.clone());
                }
                Grant::Written
            })
        }
        Op::Sweep => {
            let forgotten: u64 = accounts.iter_mut().map(|(_, account)| account.forget()).sum();
            Grant::Swept { holds: swept + forgotten }
        }
    }
}

fn reserve(accounts: &mut [(&AccountId, &mut Account)], reserve: &Reserve) -> Grant {
    let mut quotes = Vec::with_capacity(accounts.len());
    let mut refusal: Option<Grant> = None;
    // What is held already stays held, whatever document was written meanwhile to an account that had none.
    let stands = accounts.iter().any(|(_, account)| account.holds(reserve));
    for (place, (id, account)) in accounts.iter_mut().enumerate() {
        if stands && reserve.only_looks(place) {
            quotes.push(Quote::Nothing);
            continue;
        }
        account.adopt(reserve.carried(place));
        match account.quote(id, reserve, place) {
            Ok(quote) => quotes.push(quote),
            Err(grant) => {
                refusal = Some(match refusal {
                    Some(first) => first.weightier(*grant),
                    None => *grant,
                });
            }
        }
    }
    if let Some(refusal) = refusal {
        return refusal;
    }
    // What one account cannot afford is not held in the others either.
    let tokens = |quote: &Quote| match quote {
        Quote::Standing { output_tokens } | Quote::Fresh { output_tokens } => Some(*output_tokens),
        // What is only watched bounds nothing.
        Quote::Shadowed { .. } | Quote::Nothing => None,
    };
    let granted = quotes.iter().filter_map(tokens).min().unwrap_or(reserve.output.tokens);
    let mut all: Option<Grant> = None;
    for ((_, account), quote) in accounts.iter_mut().zip(quotes) {
        match &quote {
            Quote::Fresh { .. } | Quote::Shadowed { .. } => drop(account.open(reserve, granted)),
            Quote::Standing { .. } => {}
            Quote::Nothing => continue,
        }
        let mut one = account.held(granted);
        if let (Quote::Shadowed { denial }, Grant::Held { shadowed, .. }) = (quote, &mut one) {
            shadowed.push(denial);
        }
        all = Some(match all {
            Some(all) => all.tightened(one),
            None => one,
        });
    }
    all.unwrap_or(Grant::Held {
        output_tokens: granted,
        headroom: Headroom::default(),
        soft_passed: Vec::new(),
        shadowed: Vec::new(),
    })
}

impl Account {
    /// Does to this one of a transaction's accounts, at `place`, what the transaction did to all of them when it was granted, with as
    /// many output tokens as it granted: for a host that knows what came of it and does not look at the others.
    pub fn follow(&mut self, op: &Op, place: usize, granted: u64, at: Timestamp) {
        match op {
            Op::Reserve(reserve) if reserve.only_looks(place) => {}
            Op::Reserve(reserve) => {
                self.advance(at);
                self.adopt(reserve.carried(place));
                if !self.holds(reserve) {
                    self.open(reserve, granted);
                }
            }
            Op::Settle(settle) => {
                self.advance(at);
                self.settle(settle);
            }
            Op::Write { document, .. } => {
                self.advance(at);
                self.write(document.clone());
            }
            Op::Sweep => {
                self.advance(at);
                self.forget();
            }
        }
    }
}

impl Grant {
    /// Of two refusals the one to act on: stale documents first, since all else was judged by them, and all of those.
    #[must_use]
    pub fn weightier(self, other: Self) -> Self {
        match (self, other) {
            (Self::Stale(mut first), Self::Stale(second)) => {
                first.extend(second);
                Self::Stale(first)
            }
            (Self::Denied(one), Self::Denied(other)) if !other.binds_more_than(&one) => Self::Denied(one),
            (Self::Denied(_), second) => second,
            (first, _) => first,
        }
    }
}

impl Grant {
    /// Of the grants of two accounts to one reservation the one to act on.
    #[must_use]
    pub fn tightened(self, other: Self) -> Self {
        match (self, other) {
            (
                Self::Held { output_tokens, headroom, mut soft_passed, mut shadowed },
                Self::Held { output_tokens: fewer, headroom: other, soft_passed: more, shadowed: others },
            ) => {
                soft_passed.extend(more);
                shadowed.extend(others);
                let headroom = Headroom {
                    requests: scarcer(headroom.requests, other.requests),
                    tokens: scarcer(headroom.tokens, other.tokens),
                };
                Self::Held { output_tokens: output_tokens.min(fewer), headroom, soft_passed, shadowed }
            }
            (Self::Held { .. }, refusal) | (refusal, _) => refusal,
        }
    }
}

fn scarcer(one: Option<Meter>, other: Option<Meter>) -> Option<Meter> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if other.remaining < one.remaining { other } else { one }),
        (one, other) => one.or(other),
    }
}
