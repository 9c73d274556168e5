//! Where the least of its quota is used.

use fastrand::Rng;

use crate::domain::Timestamp;
use crate::route::Candidate;

/// The used part of what its provider lets through in a minute. What has no quota is used by its requests a minute for
/// each unit of weight, as if it could take ten thousand. Chance decides among equals.
pub(super) fn score(candidates: &[Candidate], now: Timestamp, rng: &mut Rng, scores: &mut [f64]) {
    const TAKES: f64 = 10_000.0;
    for (candidate, score) in candidates.iter().zip(scores) {
        let weight = f64::from(candidate.place.weight.max(1));
        let window = &candidate.vitals.window;
        let used = if candidate.place.quota == crate::route::Quota::default() {
            window.counts(now).0 / TAKES / weight
        } else {
            window.share(candidate.place.quota, now)
        };
        *score = used + rng.f64() * 1e-9;
    }
}
