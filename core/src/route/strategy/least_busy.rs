//! Where the fewest requests are on their way.

use fastrand::Rng;

use crate::route::Candidate;

/// Requests on their way for each unit of weight. Chance decides among equals: it is less than one request weighs.
pub(super) fn score(candidates: &[Candidate], rng: &mut Rng, scores: &mut [f64]) {
    for (candidate, score) in candidates.iter().zip(scores) {
        *score =
            (f64::from(candidate.vitals.in_flight) + rng.f64()) / f64::from(candidate.place.weight.max(1));
    }
}
