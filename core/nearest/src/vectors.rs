//! Many vectors of one length, beside each other.

use crate::vector::{Sketch, Vector, cosine};

/// Vectors that stand in one piece of memory.
const PAGE: usize = 128;
/// By so much may two vectors that are equal seem to differ.
const ROUNDING: f32 = 1e-5;

/// A vector of so many numbers, in bytes of memory.
pub fn size(numbers: usize) -> usize {
    numbers * (size_of::<f32>() + size_of::<i8>()) + size_of::<Sketch>()
}

/// Vectors by their places, from nought on.
#[derive(Debug, Default)]
pub struct Vectors {
    /// Numbers of each vector; none: there was no vector yet.
    numbers: usize,
    pages: Vec<Page>,
    count: usize,
}

/// Vectors and their sketches, which are looked through in their place.
#[derive(Debug, Default)]
struct Page {
    sketches: Vec<Sketch>,
    steps: Vec<i8>,
    vectors: Vec<f32>,
}

impl Vectors {
    /// Numbers of each.
    pub fn numbers(&self) -> usize {
        self.numbers
    }

    pub fn get(&self, place: usize) -> Option<&[f32]> {
        self.pages.get(place / PAGE)?.vector(place % PAGE, self.numbers)
    }

    /// Adds one in the last place. False: it is not as long as the others.
    pub fn push(&mut self, vector: &[f32]) -> bool {
        if self.count == 0 {
            self.numbers = vector.len();
        }
        if vector.len() != self.numbers {
            return false;
        }
        if self.count.is_multiple_of(PAGE) {
            self.pages.push(Page::default());
        }
        let Some(page) = self.pages.last_mut() else { return false };
        page.push(vector);
        self.count += 1;
        true
    }

    /// Puts one in the place of another, if it is as long.
    pub fn set(&mut self, place: usize, vector: &[f32]) {
        if vector.len() == self.numbers
            && let Some(page) = self.pages.get_mut(place / PAGE)
        {
            page.set(place % PAGE, vector);
        }
    }

    /// Takes one away; the last one takes its place.
    pub fn swap_remove(&mut self, place: usize) {
        if place >= self.count {
            return;
        }
        let Some(page) = self.pages.last_mut() else { return };
        let last = page.pop(self.numbers);
        if page.sketches.is_empty() {
            self.pages.pop();
        }
        self.count -= 1;
        // It may have been the last one itself, whose place is none any more.
        self.set(place, &last);
    }

    /// The nearest of those whose cosine is `least` or more and that `may` be it: its place and its cosine.
    // Taken into a caller that is compiled for size, it would be compiled for size too: six times as slow.
    #[inline(never)]
    pub fn nearest(
        &self,
        to: &Vector,
        least: f32,
        may: &mut dyn FnMut(usize) -> bool,
    ) -> Option<(usize, f32)> {
        let to = to.numbers();
        if to.len() != self.numbers {
            return None;
        }
        let mut steps = Vec::with_capacity(to.len());
        let sketch = Sketch::of(to, &mut steps);
        // Rounding must not part what is equal.
        let mut best = least - ROUNDING;
        let mut found = None;
        for (page, first) in self.pages.iter().zip((0..).step_by(PAGE)) {
            let sketches = page.sketches.iter().zip(page.steps.chunks_exact(self.numbers));
            for (nth, (other, others)) in sketches.enumerate() {
                if sketch.most(&steps, *other, others) < best {
                    continue;
                }
                let cosine = cosine(to, page.vector(nth, self.numbers).unwrap_or_default());
                let place = first + nth;
                if cosine >= best && may(place) {
                    best = cosine;
                    found = Some(place);
                }
            }
        }
        found.map(|place| (place, best.min(1.0)))
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

    fn vector(&self, nth: usize, numbers: usize) -> Option<&[f32]> {
        self.vectors.get(nth * numbers..(nth + 1) * numbers)
    }

    fn set(&mut self, nth: usize, vector: &[f32]) {
        let range = nth * vector.len()..(nth + 1) * vector.len();
        let mut steps = Vec::with_capacity(vector.len());
        let sketch = Sketch::of(vector, &mut steps);
        let here =
            (self.sketches.get_mut(nth), self.steps.get_mut(range.clone()), self.vectors.get_mut(range));
        if let (Some(there), Some(all_steps), Some(all)) = here {
            *there = sketch;
            all_steps.copy_from_slice(&steps);
            all.copy_from_slice(vector);
        }
    }
}
