//! Means that forget.

use std::time::Duration;

use crate::domain::Timestamp;

/// A mean in which what was seen earlier counts less: half as much after [`HALF_LIFE`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Decayed {
    mean: f64,
    /// How many observations of now it is worth.
    weight: f64,
    at: Timestamp,
}

const HALF_LIFE: Duration = Duration::from_secs(30);
/// An observation never counts less than this beside those before it, so that a change is seen within a few dozen.
const MOST: f64 = 20.0;

impl Decayed {
    pub(super) fn add(&mut self, value: f64, now: Timestamp) {
        let weight = self.weight(now).min(MOST);
        self.mean = (self.mean * weight + value) / (weight + 1.0);
        self.weight = weight + 1.0;
        self.at = now;
    }

    /// None: nothing was seen yet.
    pub fn mean(&self) -> Option<f64> {
        (self.weight > 0.0).then_some(self.mean)
    }

    /// The mean, drawn towards zero once it is older than one observation is worth: what was not asked for long is
    /// worth a try.
    pub(super) fn hopeful(&self, now: Timestamp) -> Option<f64> {
        self.mean().map(|mean| mean * self.weight(now).min(1.0))
    }

    fn weight(&self, now: Timestamp) -> f64 {
        let lives = now.since(self.at).as_secs_f64() / HALF_LIFE.as_secs_f64();
        self.weight * (-lives).exp2()
    }
}
