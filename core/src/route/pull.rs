//! Requests that belong together go to the same target, without anybody remembering which.

use super::{Candidate, Strategy};

/// Rendezvous by weight: each target has a number for each conversation, and the one with the best is asked. So each
/// conversation has its own order of targets, each target its weight's share of conversations, and one that goes out moves
/// none but its own.
///
/// Where the document says which is asked first, or the price does, it decides among equals alone.
pub(super) fn score(strategy: Strategy, candidates: &[Candidate], scores: &mut [f64]) {
    for (candidate, score) in candidates.iter().zip(scores) {
        let Some(pull) = candidate.pull else { continue };
        let rank = -share(pull).ln() / f64::from(candidate.place.weight.max(1));
        match strategy {
            Strategy::InOrder => {}
            Strategy::LowestCost => *score += rank * 1e-12,
            Strategy::Weighted
            | Strategy::LowestLatency
            | Strategy::LeastBusy
            | Strategy::Usage
            | Strategy::Adaptive => *score = rank,
        }
    }
}

/// A number as a part of one, never nothing; numbers that are near each other are far apart (the end of `SplitMix64`).
#[expect(clippy::cast_precision_loss, reason = "53 bits are exact in a float")]
fn share(mut number: u64) -> f64 {
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^= number >> 31;
    ((number >> 11) + 1) as f64 / (1_u64 << 53) as f64
}
