//! The faster of two that chance names.

use fastrand::Rng;

use crate::domain::Timestamp;
use crate::route::Candidate;

/// By the seconds that the answer may take; of two that chance names, the faster one is put before all others, so that the
/// fastest of many does not get every request at once (Mitzenmacher, 2001). What was never asked is asked first.
pub(super) fn score(candidates: &[Candidate], now: Timestamp, rng: &mut Rng, scores: &mut [f64]) {
    for (candidate, score) in candidates.iter().zip(scores.iter_mut()) {
        *score = candidate.vitals.wait(candidate.stream, candidate.output, now).unwrap_or(0.0);
    }
    if scores.len() < 3 {
        return;
    }
    let one = rng.usize(..scores.len());
    let other = (one + 1 + rng.usize(..scores.len() - 1)) % scores.len();
    let faster = if scores[other] < scores[one] { other } else { one };
    // Below every time there is, and still in the order of times among those that are so preferred: there is only one.
    scores[faster] -= f64::from(u32::MAX);
}
