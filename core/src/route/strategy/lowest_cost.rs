//! Where this request is likely to cost the least.

use crate::route::Candidate;

/// By the request's own estimate. What nobody has priced comes last.
#[expect(clippy::cast_precision_loss, reason = "amounts are compared here, not charged")]
pub(super) fn score(candidates: &[Candidate], scores: &mut [f64]) {
    for (candidate, score) in candidates.iter().zip(scores) {
        *score = candidate.cost.map_or(f64::INFINITY, |cost| cost.nanos() as f64);
    }
}
