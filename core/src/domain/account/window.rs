//! Sliding windows: what was counted in the last while, conservatively.

use std::collections::VecDeque;

/// A log of amounts over a sliding window of [`Log::BUCKETS`] buckets.
///
/// Invariant: an amount counts until its whole bucket is older than the window, so that no window of that length,
/// wherever it begins, holds more than was allowed. The price is one bucket of patience.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Log {
    /// Seconds a bucket: whole, so that the moment at which one leaves is a whole second.
    width: i64,
    /// Indices (`seconds / width`) rise; there are at most `BUCKETS + 1`.
    buckets: VecDeque<(i64, u64)>,
}

impl Log {
    pub(super) const BUCKETS: i64 = 60;

    pub(super) fn new(width: i64) -> Self {
        Self { width: width.max(1), buckets: VecDeque::new() }
    }

    pub(super) fn from_buckets(width: i64, buckets: impl IntoIterator<Item = (i64, u64)>) -> Self {
        Self { buckets: buckets.into_iter().collect(), ..Self::new(width) }
    }

    pub(super) fn width(&self) -> i64 {
        self.width
    }

    pub(super) fn buckets(&self) -> impl ExactSizeIterator<Item = (i64, u64)> {
        self.buckets.iter().copied()
    }

    /// Forgets what has left the window at `second`.
    pub(super) fn advance(&mut self, second: i64) {
        while self.buckets.front().is_some_and(|(index, _)| self.leaves(*index) <= second) {
            self.buckets.pop_front();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    pub(super) fn sum(&self) -> u128 {
        self.buckets.iter().map(|(_, amount)| u128::from(*amount)).sum()
    }

    /// Counts `amount` at `second`, which is never earlier than what was counted before.
    pub(super) fn add(&mut self, second: i64, amount: u64) {
        if amount == 0 {
            return;
        }
        let index = second.div_euclid(self.width);
        match self.buckets.back_mut() {
            Some((last, counted)) if *last >= index => *counted = counted.saturating_add(amount),
            _ => self.buckets.push_back((index, amount)),
        }
    }

    /// Replaces `from`, which was counted at `second`, by `to`; nothing when it has left since.
    pub(super) fn correct(&mut self, second: i64, from: u64, to: u64) {
        let index = second.div_euclid(self.width);
        if let Ok(place) = self.buckets.binary_search_by_key(&index, |(index, _)| *index)
            && let Some((_, counted)) = self.buckets.get_mut(place)
        {
            *counted = counted.saturating_sub(from).saturating_add(to);
        }
    }

    /// The second at which what counts now has shrunk to `allowed`: exact, if nothing more is added.
    pub(super) fn shrinks_to(&self, allowed: u128, now: i64) -> i64 {
        let mut left = self.sum();
        let mut at = now;
        for (index, amount) in &self.buckets {
            if left <= allowed {
                break;
            }
            left -= u128::from(*amount);
            at = self.leaves(*index);
        }
        at
    }

    /// The second at which nothing counts any more.
    pub(super) fn empty_at(&self, now: i64) -> i64 {
        self.buckets.back().map_or(now, |(index, _)| self.leaves(*index))
    }

    /// The first second that is more than the window away from all of the bucket.
    fn leaves(&self, index: i64) -> i64 {
        index.saturating_add(Self::BUCKETS + 1).saturating_mul(self.width)
    }
}
