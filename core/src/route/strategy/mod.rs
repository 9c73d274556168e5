//! How the targets of one model are ordered: one file a strategy.

mod adaptive;
mod in_order;
mod least_busy;
mod lowest_cost;
mod lowest_latency;
mod usage;
mod weighted;

use fastrand::Rng;

use super::Candidate;
use crate::domain::Timestamp;

/// By what the next target is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// As the document lists them.
    #[default]
    InOrder,
    /// By chance, each with its weight's share.
    Weighted,
    /// The faster of two that chance names.
    LowestLatency,
    /// Where the fewest requests are on their way, for its weight.
    LeastBusy,
    /// Where this request is likely to cost the least.
    LowestCost,
    /// Where the least of its quota is used.
    Usage,
    /// Where it is likely to go best, by what was learned of success, time and cost.
    Adaptive,
}

impl Strategy {
    pub const ALL: [Self; 7] = [
        Self::InOrder,
        Self::Weighted,
        Self::LowestLatency,
        Self::LeastBusy,
        Self::LowestCost,
        Self::Usage,
        Self::Adaptive,
    ];

    /// As the document names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::InOrder => "in-order",
            Self::Weighted => "weighted",
            Self::LowestLatency => "lowest-latency",
            Self::LeastBusy => "least-busy",
            Self::LowestCost => "lowest-cost",
            Self::Usage => "usage",
            Self::Adaptive => "adaptive",
        }
    }

    /// Writes each candidate's score: the lowest is asked first.
    pub(super) fn score(self, candidates: &[Candidate], now: Timestamp, rng: &mut Rng, scores: &mut [f64]) {
        match self {
            Self::InOrder => in_order::score(scores),
            Self::Weighted => weighted::score(candidates, rng, scores),
            Self::LowestLatency => lowest_latency::score(candidates, now, rng, scores),
            Self::LeastBusy => least_busy::score(candidates, rng, scores),
            Self::LowestCost => lowest_cost::score(candidates, scores),
            Self::Usage => usage::score(candidates, now, rng, scores),
            Self::Adaptive => adaptive::score(candidates, scores),
        }
    }
}
