//! Where it is likely to go best.

use crate::route::Candidate;

/// What was drawn for a target's success and speed, by how much cheaper than the others it is for this request. The
/// dearest of two that differ tenfold is worth a third of the other: cost counts with its square root.
#[expect(clippy::cast_precision_loss, reason = "amounts are compared here, not charged")]
pub(super) fn score(candidates: &[Candidate], scores: &mut [f64]) {
    let nanos = |candidate: &Candidate| candidate.cost.map(|cost| cost.nanos().max(1) as f64);
    let cheapest = candidates.iter().filter_map(nanos).reduce(f64::min);
    for (candidate, score) in candidates.iter().zip(scores) {
        let worth = match (cheapest, nanos(candidate)) {
            (Some(cheapest), Some(cost)) => (cheapest / cost).sqrt(),
            _ => 1.0,
        };
        *score = -candidate.drawn * worth;
    }
}
