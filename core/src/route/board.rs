//! What this process has seen of all targets.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gatelet_wire::SmallMap;

use super::adaptive::{Arms, Outcome};
use super::breaker::Rules;
use super::vitals::{Ended, Vitals};
use crate::domain::{Blame, Notice, ShardId, Timestamp};

/// Bounded: callers choose names, and each may be a target's.
#[derive(Debug, Default)]
pub struct Board {
    seen: Mutex<Seen>,
    /// What other instances are to be told, by the next transaction of the shard whose request has seen it.
    news: Mutex<SmallMap<ShardId, Vec<Notice>>>,
    /// Whether there is any: mostly there is none.
    any: AtomicBool,
    /// When targets were checked last without being asked for.
    checks: Mutex<SmallMap<Arc<str>, Timestamp>>,
}

#[derive(Debug, Default)]
pub struct Seen {
    rules: Rules,
    targets: HashMap<Arc<str>, Vitals>,
    /// By the model's name: what strategies that learn have learned.
    arms: SmallMap<Arc<str>, Arms>,
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
        seen.vitals(target).began(now, &rules);
    }

    pub fn ended(&self, shard: &ShardId, target: &Arc<str>, ended: Ended, now: Timestamp) {
        let mut seen = self.read();
        let rules = seen.rules;
        let Some(vitals) = seen.targets.get_mut(target) else { return };
        if !vitals.ended(ended, now, &rules) {
            return;
        }
        let notice = vitals.breaker.notice(target, now);
        drop(seen);
        self.tell(shard, notice);
    }

    fn tell(&self, shard: &ShardId, notice: Notice) {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        let told = news.entry(shard.clone()).or_default();
        told.retain(|earlier| earlier.target != notice.target);
        told.push(notice);
        self.any.store(true, Ordering::Relaxed);
    }

    /// Whether a target was not checked for so long; then it counts as checked now.
    pub fn check_due(&self, target: &Arc<str>, every: Duration, now: Timestamp) -> bool {
        let mut checks = self.checks.lock().unwrap_or_else(PoisonError::into_inner);
        if checks.get(target).is_some_and(|last| *last <= now && now.since(*last) < every) {
            return false;
        }
        if checks.len() >= Self::MOST {
            checks.clear();
        }
        checks.insert(target.clone(), now);
        true
    }

    pub fn check_began(&self, target: &Arc<str>, now: Timestamp) {
        let mut seen = self.read();
        let rules = seen.rules;
        seen.vitals(target).breaker.began(now, &rules);
    }

    /// How a check has ended; none: well. That lets in what was out, and else says nothing: callers ask for more.
    pub fn checked(&self, shards: &[ShardId], target: &Arc<str>, fault: Option<Blame>, now: Timestamp) {
        let mut seen = self.read();
        let rules = seen.rules;
        let breaker = &mut seen.vitals(target).breaker;
        if fault.is_none() && breaker.blame().is_none() || !breaker.ended(fault, now, &rules) {
            return;
        }
        let notice = breaker.notice(target, now);
        drop(seen);
        for shard in shards {
            self.tell(shard, notice.clone());
        }
    }

    /// What other instances are to be told by the transaction that is made now.
    pub fn news(&self, shard: &ShardId) -> Vec<Notice> {
        if !self.any.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        let told = news.remove(shard).unwrap_or_default();
        self.any.store(!news.is_empty(), Ordering::Relaxed);
        told
    }

    /// Takes in what other instances have told.
    pub fn hear(&self, notices: &[Notice], now: Timestamp) {
        if notices.is_empty() {
            return;
        }
        let mut seen = self.read();
        let rules = seen.rules;
        for notice in notices {
            seen.vitals(&notice.target).breaker.hear(notice, now, &rules);
        }
    }

    /// Whether a target may be asked once more for a request that it has failed, and counts that.
    pub fn may_retry(&self, target: &str, now: Timestamp) -> bool {
        self.read().targets.get_mut(target).is_none_or(|vitals| vitals.retries.take(now))
    }

    /// A request that is about to be sent to a target earns so many thousandths of a second call beside one.
    pub fn earn_hedge(&self, target: &Arc<str>, mille: u16) {
        self.read().vitals(target).hedges.earn(mille);
    }

    /// Whether another target may be asked beside this one, which says nothing; counts that.
    pub fn may_hedge(&self, target: &str) -> bool {
        self.read().targets.get_mut(target).is_none_or(|vitals| vitals.hedges.take())
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
    fn vitals(&mut self, target: &Arc<str>) -> &mut Vitals {
        if !self.targets.contains_key(target) && self.targets.len() >= Board::MOST {
            // Rare, and cheaper than keeping an order of use on every request: start afresh.
            self.targets.clear();
        }
        self.targets.entry(target.clone()).or_default()
    }

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
