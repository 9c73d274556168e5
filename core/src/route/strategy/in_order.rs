//! As the document lists them.

/// All alike: where scores are equal, the document's order stands.
pub(super) fn score(scores: &mut [f64]) {
    scores.fill(0.0);
}
