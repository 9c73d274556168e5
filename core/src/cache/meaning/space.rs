//! The vectors of one space: those of questions that have all else in common.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use gatelet_nearest::{Vector, Vectors};

use crate::cache::Name;

/// Vectors in one space, at most.
pub(super) const MOST: usize = 50_000;
/// A vector of so many numbers, in bytes of memory, about.
pub(super) fn size(numbers: usize) -> usize {
    const ABOUT_A_SLOT: usize = 120;
    gatelet_nearest::size(numbers) + ABOUT_A_SLOT
}

#[derive(Debug, Default)]
pub(super) struct Space {
    vectors: Vectors,
    /// What each is, by the places of the vectors.
    slots: Vec<Slot>,
    places: HashMap<Name, usize>,
}

#[derive(Debug)]
pub(super) struct Slot {
    /// The answer to the question.
    pub(super) answer: Name,
    /// In microseconds since 1970.
    pub(super) until: i64,
    /// A count of look-ups and additions: that of the last in which it had a part.
    used: AtomicU64,
}

impl Space {
    /// The bytes of memory that it takes, about.
    pub(super) fn bytes(&self) -> usize {
        self.slots.len() * size(self.numbers())
    }

    pub(super) fn numbers(&self) -> usize {
        self.vectors.numbers()
    }

    pub(super) fn has(&self, answer: &Name) -> bool {
        self.places.contains_key(answer)
    }

    pub(super) fn get(&self, answer: &Name) -> Option<(&Slot, &[f32])> {
        let place = *self.places.get(answer)?;
        Some((self.slots.get(place)?, self.vectors.get(place)?))
    }

    /// The nearest of the vectors whose cosine is `least` or more, and its cosine.
    pub(super) fn nearest(&self, to: &Vector, least: f32, now: i64, turn: u64) -> Option<(Name, f32)> {
        let in_time = &mut |place: usize| self.slots.get(place).is_some_and(|slot| slot.until > now);
        let (place, cosine) = self.vectors.nearest(to, least, in_time)?;
        let slot = self.slots.get(place)?;
        slot.used.store(turn, Ordering::Relaxed);
        Some((slot.answer, cosine))
    }

    /// Adds a vector, in the place of that which was not used for longest if there are `MOST`. One of another length than the
    /// others is left out.
    pub(super) fn put(&mut self, answer: Name, vector: &[f32], until: i64, turn: u64) {
        let slot = Slot { answer, until, used: AtomicU64::new(turn) };
        if let Some(place) = self.places.get(&answer).copied() {
            if vector.len() == self.numbers()
                && let Some(there) = self.slots.get_mut(place)
            {
                *there = slot;
                self.vectors.set(place, vector);
            }
            return;
        }
        if self.slots.len() >= MOST {
            self.drop_oldest(MOST / 50);
        }
        if self.vectors.push(vector) {
            self.places.insert(answer, self.slots.len());
            self.slots.push(slot);
        }
    }

    pub(super) fn forget(&mut self, answer: &Name) {
        let Some(place) = self.places.remove(answer) else { return };
        if place >= self.slots.len() {
            return;
        }
        self.vectors.swap_remove(place);
        self.slots.swap_remove(place);
        if let Some(moved) = self.slots.get(place) {
            self.places.insert(moved.answer, place);
        }
    }

    /// Drops those that were not used for longest.
    pub(super) fn drop_oldest(&mut self, count: usize) {
        let mut turns: Vec<(u64, Name)> =
            self.slots.iter().map(|slot| (slot.used.load(Ordering::Relaxed), slot.answer)).collect();
        let count = count.clamp(1, turns.len().max(1));
        if turns.len() > count {
            turns.select_nth_unstable_by_key(count, |(turn, _)| *turn);
        }
        for (_, answer) in turns.iter().take(count) {
            self.forget(answer);
        }
    }

    pub(super) fn count(&self) -> usize {
        self.slots.len()
    }
}
