//! By chance, each with its weight's share.

use fastrand::Rng;

use crate::route::Candidate;
use crate::route::adaptive::above_zero;

/// A race of exponential clocks, each as fast as its weight: the first to ring is each with exactly its share, and so is the
/// first of those that are left (Efraimidis and Spirakis, 2006).
pub(super) fn score(candidates: &[Candidate], rng: &mut Rng, scores: &mut [f64]) {
    for (candidate, score) in candidates.iter().zip(scores) {
        *score = -above_zero(rng).ln() / f64::from(candidate.place.weight.max(1));
    }
}
