//! What the strategy `adaptive` learns: Thompson sampling over targets whose worth changes.
//!
//! Each target of a model is an arm with a Beta distribution over its reward, which is 0 for a failure and at most 1 for an
//! answer: less, the longer it took beside the fastest arm. Every outcome makes all earlier ones count less, so that what
//! is not chosen any more is tried again by and by. (Thompson 1933; discounted as by Raj and Kalyani, 2017.)

use std::sync::Arc;

use fastrand::Rng;

/// What a target's past is worth after each outcome of its group: some fifty outcomes are remembered.
const FORGETTING: f64 = 0.98;
/// How much of an arm's mean time the newest one is.
const NEWEST: f64 = 0.1;
/// The reward of the slowest answer: to be slow is not to fail.
const SLOWEST: f64 = 0.1;
/// More arms than a plan has steps are not told apart.
const MOST: usize = 64;

/// The arms of one model.
#[derive(Debug, Default)]
pub struct Arms(Vec<(Arc<str>, Arm)>);

/// Sums of rewards, and of what was missing to 1, each discounted.
#[derive(Clone, Copy, Debug, Default)]
struct Arm {
    good: f64,
    bad: f64,
    /// The mean of its answers' seconds; none before the first.
    seconds: Option<f64>,
}

/// What became of one attempt.
#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    /// Until the first content of a stream, or the end of a whole answer.
    Answered {
        seconds: f64,
    },
    Failed,
}

impl Arms {
    pub(super) fn learn(&mut self, target: &Arc<str>, outcome: Outcome) {
        for (_, arm) in &mut self.0 {
            arm.good *= FORGETTING;
            arm.bad *= FORGETTING;
        }
        let fastest = self.0.iter().filter_map(|(_, arm)| arm.seconds).reduce(f64::min);
        let place = self.0.iter().position(|(name, _)| name == target);
        let place = place.unwrap_or_else(|| {
            if self.0.len() >= MOST {
                self.0.clear();
            }
            self.0.push((target.clone(), Arm::default()));
            self.0.len() - 1
        });
        let Some((_, arm)) = self.0.get_mut(place) else { return };
        let reward = match outcome {
            Outcome::Failed => 0.0,
            Outcome::Answered { seconds } => {
                let mean = arm.seconds.map_or(seconds, |mean| mean + (seconds - mean) * NEWEST);
                arm.seconds = Some(mean);
                fastest.map_or(1.0, |fastest| (fastest / mean.max(1e-6)).clamp(SLOWEST, 1.0))
            }
        };
        arm.good += reward;
        arm.bad += 1.0 - reward;
    }

    /// A draw from the distribution of a target's reward; of one that is unknown, from all of 0 to 1.
    pub fn draw(&self, target: &str, rng: &mut Rng) -> f64 {
        let known = self.0.iter().find(|(name, _)| &**name == target);
        let arm = known.map(|(_, arm)| *arm).unwrap_or_default();
        beta(1.0 + arm.good, 1.0 + arm.bad, rng)
    }
}

/// A draw from Beta(a, b), from two of Gamma.
fn beta(a: f64, b: f64, rng: &mut Rng) -> f64 {
    let (one, other) = (gamma(a, rng), gamma(b, rng));
    if one + other > 0.0 { one / (one + other) } else { 0.5 }
}

/// A draw from Gamma(shape, 1) for shapes of at least 1, by the method of Marsaglia and Tsang (2000).
fn gamma(shape: f64, rng: &mut Rng) -> f64 {
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    // Nineteen of twenty draws are taken at once; the bound is for the compiler's sake and ours.
    for _ in 0..64 {
        let x = normal(rng);
        let (square, v) = (x * x, (1.0 + c * x).powi(3));
        if v <= 0.0 {
            continue;
        }
        let chance = above_zero(rng);
        // What their squeeze takes is taken without logarithms: nearly all.
        if chance < 1.0 - 0.0331 * square * square || chance.ln() < 0.5 * square + d - d * v + d * v.ln() {
            return d * v;
        }
    }
    d
}

/// A draw from the normal distribution, by Marsaglia's polar method: cosines are seven kilobytes of code.
fn normal(rng: &mut Rng) -> f64 {
    // Three of four points of the square are in the circle.
    for _ in 0..64 {
        let (x, y) = (2.0 * rng.f64() - 1.0, 2.0 * rng.f64() - 1.0);
        let square = x * x + y * y;
        if square > 0.0 && square < 1.0 {
            return x * (-2.0 * square.ln() / square).sqrt();
        }
    }
    0.0
}

/// Uniform in (0, 1].
pub(super) fn above_zero(rng: &mut Rng) -> f64 {
    1.0 - rng.f64()
}
