//! What this process has seen of all targets.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::adaptive::{Arms, Outcome};
use super::breaker::Rules;
use super::vitals::{Ended, Vitals};
use crate::domain::Timestamp;

/// Bounded: callers choose names, and each may be a target's.
#[derive(Debug, Default)]
pub struct Board {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
pub struct Seen {
    rules: Rules,
    targets: HashMap<Arc<str>, Vitals>,
    /// By the model's name: what strategies that learn have learned.
    arms: HashMap<Arc<str>, Arms>,
}

impl Board {
    const MOST: usize = 10_000;

    /// For all that one plan asks.
    pub fn read(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_rules(&self, rules: Rules) {
        self.read().rules = rules;
    }

    pub fn began(&self, target: &Arc<str>, now: Timestamp) {
        let mut seen = self.read();
        let rules = seen.rules;
        if let Some(vitals) = seen.targets.get_mut(target) {
            return vitals.began(now, &rules);
        }
        if seen.targets.len() >= Self::MOST {
            // Rare, and cheaper than keeping an order of use on every request: start afresh.
            seen.targets.clear();
        }
        seen.targets.entry(target.clone()).or_default().began(now, &rules);
    }

    pub fn ended(&self, target: &Arc<str>, ended: Ended, now: Timestamp) {
        let mut seen = self.read();
        let rules = seen.rules;
        if let Some(vitals) = seen.targets.get_mut(target) {
            vitals.ended(ended, now, &rules);
        }
    }

    /// Whether a target may be asked once more for a request that it has failed, and counts that.
    pub fn may_retry(&self, target: &str, now: Timestamp) -> bool {
        self.read().targets.get_mut(target).is_none_or(|vitals| vitals.retries.take(now))
    }

    /// What a strategy that learns is told of an answer, or of its failing.
    pub fn learn(&self, model: &Arc<str>, target: &Arc<str>, outcome: Outcome) {
        let mut seen = self.read();
        if seen.arms.len() >= Self::MOST {
            seen.arms.clear();
        }
        seen.arms.entry(model.clone()).or_default().learn(target, outcome);
    }
}

impl Seen {
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    pub fn target(&self, name: &str) -> Vitals {
        self.targets.get(name).copied().unwrap_or_default()
    }

    pub fn arms(&self, model: &str) -> Option<&Arms> {
        self.arms.get(model)
    }

    pub fn targets(&self) -> impl Iterator<Item = (&Arc<str>, &Vitals)> {
        self.targets.iter()
    }
}
