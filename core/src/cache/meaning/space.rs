//! The vectors of one space: those of questions that have all else in common.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use super::vector::{Sketch, Vector, cosine};
use crate::cache::Name;

/// Vectors in one space, at most.
pub(super) const MOST: usize = 50_000;
/// Vectors that stand in one piece of memory.
const PAGE: usize = 128;
/// By so much may two vectors that are equal seem to differ.
const ROUNDING: f32 = 1e-5;

/// A vector of so many numbers, in bytes of memory, about.
pub(super) fn size(numbers: usize) -> usize {
    const ABOUT_A_SLOT: usize = 128;
    numbers * (size_of::<f32>() + size_of::<i8>()) + ABOUT_A_SLOT
}

#[derive(Debug, Default)]
pub(super) struct Space {
    /// Numbers of each vector; none: there is no vector yet.
    numbers: usize,
    pages: Vec<Page>,
    slots: Vec<Slot>,
    places: HashMap<Name, usize>,
}

/// Vectors that stand beside each other, and their sketches, which are looked through in their place.
#[derive(Debug, Default)]
struct Page {
    sketches: Vec<Sketch>,
    steps: Vec<i8>,
    vectors: Vec<f32>,
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
        self.slots.len() * size(self.numbers)
    }

    pub(super) fn numbers(&self) -> usize {
        self.numbers
    }

    pub(super) fn has(&self, answer: &Name) -> bool {
        self.places.contains_key(answer)
    }

    pub(super) fn get(&self, answer: &Name) -> Option<(&Slot, &[f32])> {
        let place = *self.places.get(answer)?;
        Some((self.slots.get(place)?, self.at(place)))
    }

    /// The nearest of the vectors whose cosine is `least` or more, and its cosine.
    pub(super) fn nearest(&self, to: &Vector, least: f32, now: i64, turn: u64) -> Option<(Name, f32)> {
        let to = to.numbers();
        if to.len() != self.numbers {
            return None;
        }
        let mut steps = Vec::with_capacity(to.len());
        let sketch = Sketch::of(to, &mut steps);
        // Rounding must not part what is equal.
        let mut best = least - ROUNDING;
        let mut found = None;
        for (page, slots) in self.pages.iter().zip(self.slots.chunks(PAGE)) {
            let sketches = page.sketches.iter().zip(page.steps.chunks_exact(self.numbers));
            for (place, (other, others)) in sketches.enumerate() {
                if sketch.most(&steps, *other, others) < best {
                    continue;
                }
                let vector = page.vector(place, self.numbers);
                let (cosine, slot) = (cosine(to, vector), slots.get(place));
                if cosine >= best
                    && let Some(slot) = slot.filter(|slot| slot.until > now)
                {
                    best = cosine;
                    found = Some(slot);
                }
            }
        }
        let slot = found?;
        slot.used.store(turn, Ordering::Relaxed);
        Some((slot.answer, best.min(1.0)))
    }

    /// Adds a vector, in the place of that which was not used for longest if there are `MOST`. One of another length than the
    /// others is left out.
    pub(super) fn put(&mut self, answer: Name, vector: &[f32], until: i64, turn: u64) {
        if self.slots.is_empty() {
            self.numbers = vector.len();
        }
        if vector.len() != self.numbers {
            return;
        }
        let slot = Slot { answer, until, used: AtomicU64::new(turn) };
        if let Some(place) = self.places.get(&answer).copied() {
            self.set(place, slot, vector);
            return;
        }
        if self.slots.len() >= MOST {
            self.drop_oldest(MOST / 50);
        }
        let place = self.slots.len();
        if place.is_multiple_of(PAGE) {
            self.pages.push(Page::default());
        }
        if let Some(page) = self.pages.last_mut() {
            page.push(vector);
            self.slots.push(slot);
            self.places.insert(answer, place);
        }
    }

    pub(super) fn forget(&mut self, answer: &Name) {
        let Some(place) = self.places.remove(answer) else { return };
        // The last one takes its place.
        let Some(last) = self.slots.pop() else { return };
        let vector = self.pages.last_mut().map(|page| page.pop(self.numbers));
        if self.pages.last().is_some_and(|page| page.sketches.is_empty()) {
            self.pages.pop();
        }
        if last.answer != *answer {
            self.places.insert(last.answer, place);
            self.set(place, last, &vector.unwrap_or_default());
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

    fn at(&self, place: usize) -> &[f32] {
        self.pages.get(place / PAGE).map(|page| page.vector(place % PAGE, self.numbers)).unwrap_or_default()
    }

    fn set(&mut self, place: usize, slot: Slot, vector: &[f32]) {
        if let (Some(page), Some(there)) = (self.pages.get_mut(place / PAGE), self.slots.get_mut(place)) {
            page.set(place % PAGE, vector);
            *there = slot;
        }
    }
}

impl Page {
    fn push(&mut self, vector: &[f32]) {
        self.sketches.push(Sketch::of(vector, &mut self.steps));
        self.vectors.extend_from_slice(vector);
    }

    /// The last vector, which is here no more.
    fn pop(&mut self, numbers: usize) -> Vec<f32> {
        self.sketches.pop();
        self.steps.truncate(self.sketches.len() * numbers);
        self.vectors.split_off(self.sketches.len() * numbers)
    }

    fn vector(&self, place: usize, numbers: usize) -> &[f32] {
        self.vectors.get(place * numbers..(place + 1) * numbers).unwrap_or_default()
    }

    fn set(&mut self, place: usize, vector: &[f32]) {
        let range = place * vector.len()..(place + 1) * vector.len();
        let mut steps = Vec::with_capacity(vector.len());
        let sketch = Sketch::of(vector, &mut steps);
        let here =
            (self.sketches.get_mut(place), self.steps.get_mut(range.clone()), self.vectors.get_mut(range));
        if let (Some(there), Some(all_steps), Some(all)) = here {
            *there = sketch;
            all_steps.copy_from_slice(&steps);
            all.copy_from_slice(vector);
        }
    }
}
