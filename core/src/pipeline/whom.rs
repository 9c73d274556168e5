//! Who may be asked at all: targets of a model and of its fallbacks that are within all pins and can do what is asked for.

use std::sync::Arc;

use super::able::{Lack, Needs, incapable};
use super::receive::Received;
use super::residency::Pins;
use super::route::{LONGEST, plan};
use crate::domain::Caller;
use crate::policy::{Model, Policy, Target};
use crate::refusal::Refusal;

/// Why a target is not asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Absence {
    /// It is not where the caller's requests may go.
    Outside,
    Lacks(Lack),
}

/// What a request and its caller ask of every target.
#[derive(Debug)]
pub(super) struct Sieve<'a> {
    pins: Pins<'a>,
    needs: Option<Needs>,
}

impl<'a> Sieve<'a> {
    pub(super) fn of(policy: &'a Policy, received: &Received<'_>, caller: &'a Caller) -> Self {
        Self { pins: Pins::of(policy, caller), needs: Needs::of(received) }
    }

    /// Where the caller's requests may go, in words.
    pub(super) fn pinned(&self) -> Vec<String> {
        self.pins.words()
    }

    /// Why a target is not asked; none: it may be.
    pub(super) fn judge(&self, target: &Target) -> Option<Absence> {
        if !self.pins.allow(target) {
            return Some(Absence::Outside);
        }
        self.needs.and_then(|needs| needs.lack(target)).map(Absence::Lacks)
    }
}

/// The first of them, in the order in which the configuration names them. Never none.
///
/// They are judged before they are counted: one that may be asked is found behind any number of those that may not.
///
/// # Errors
/// None of them may.
pub(super) fn candidates(
    policy: &Policy,
    received: &Received<'_>,
    caller: &Caller,
    name: &str,
    model: &Model,
) -> Result<Vec<Arc<Target>>, Refusal> {
    let sieve = Sieve::of(policy, received, caller);
    let mut lacks = None;
    let may = &mut |target: &Target| match sieve.judge(target) {
        None => true,
        Some(Absence::Outside) => false,
        Some(Absence::Lacks(lack)) => {
            lacks.get_or_insert(lack);
            false
        }
    };
    let plan = plan(policy, model, LONGEST, may);
    if !plan.is_empty() {
        return Ok(plan);
    }
    match (lacks, sieve.needs) {
        (Some(lack), Some(needs)) => Err(incapable(policy, caller, model, needs, lack)),
        _ => Err(Refusal::Outside { model: name.to_owned(), pinned: sieve.pins.words() }),
    }
}
