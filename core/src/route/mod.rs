//! Where: in which order targets are asked. Pure: what was seen of them, the time and chance come in as arguments.

mod adaptive;
mod board;
mod breaker;
mod condition;
mod decayed;
mod pull;
mod retries;
mod strategy;
mod vitals;
mod window;

use gatelet_wire::sort::sort_by;

pub use crate::domain::Blame;
use crate::domain::{Money, Timestamp};

pub use adaptive::{Arms, Outcome};
pub use board::{Board, Seen};
pub use breaker::{Breaker, Rules, Standing};
pub use condition::{Condition, Facts, Hours, Part, Subject};
pub use decayed::Decayed;
pub use fastrand::Rng;
pub use strategy::Strategy;
pub use vitals::{Ended, Vitals};
pub use window::Quota;

/// What an admin says of one of several targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Those of a lower level are asked first, whatever the strategy.
    pub level: u16,
    /// Its share of the requests, beside the others of its level. Never 0.
    pub weight: u32,
    /// What its provider lets through in a minute.
    pub quota: Quota,
}

impl Default for Place {
    fn default() -> Self {
        Self { level: 0, weight: 1, quota: Quota::default() }
    }
}

/// One target, as a strategy sees it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    pub place: Place,
    /// What this request is likely to cost there; none: nobody knows.
    pub cost: Option<Money>,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Output tokens that are expected: what a slow target is slow for.
    pub output: u64,
    pub vitals: Vitals,
    /// What a strategy that learns has drawn for it: the more, the better. Zero for all others.
    pub drawn: f64,
    /// A number that is the same whenever what draws the request meets this target; none: nothing draws it.
    pub pull: Option<u64>,
}

/// One step of a plan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Its place among the candidates.
    pub candidate: usize,
    pub standing: Standing,
    /// By what it was put there: the lower, the earlier, within its level.
    pub score: f64,
}

/// All candidates, each once: those that are in before those that have used up their quota, and these before those that are
/// out; then by level; then as the strategy orders them.
///
/// What is out stays in the plan, at its end: a caller who has nowhere else to go is better served by a try.
pub fn order(
    strategy: Strategy,
    candidates: &[Candidate],
    rules: &Rules,
    now: Timestamp,
    rng: &mut Rng,
) -> Vec<Step> {
    let mut scores = vec![0.0; candidates.len()];
    // One target has no order, and most models have one.
    if candidates.len() > 1 {
        strategy.score(candidates, now, rng, &mut scores);
        pull::score(strategy, candidates, &mut scores);
    }
    let mut steps: Vec<Step> = candidates
        .iter()
        .zip(scores)
        .enumerate()
        .map(|(candidate, (seen, score))| {
            let standing = match seen.vitals.breaker.standing(now, rules) {
                // What returns takes its share of its turns.
                Standing::In { share } if share < 1.0 && rng.f64() >= share => Standing::Resting,
                Standing::In { .. } if seen.vitals.window.share(seen.place.quota, now) >= 1.0 => {
                    Standing::Full
                }
                standing => standing,
            };
            Step { candidate, standing, score }
        })
        .collect();
    sort_by(&mut steps, |one, other| {
        let level = |step: &Step| candidates.get(step.candidate).map_or(0, |seen| seen.place.level);
        (one.standing.rank().cmp(&other.standing.rank()))
            .then_with(|| level(one).cmp(&level(other)))
            .then_with(|| one.score.total_cmp(&other.score))
    });
    steps
}

/// Steps of several models, one after another: what is out of order comes last, whosever it is.
pub fn last_resorts_last(steps: &mut [Step]) {
    sort_by(steps, |one, other| one.standing.rank().cmp(&other.standing.rank()));
}

#[cfg(test)]
mod tests;
