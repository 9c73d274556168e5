//! What a text means, as a point on the unit sphere.

/// Numbers that are summed beside each other: processors and compilers do so many at a time.
const LANES: usize = 16;
const MOST_NUMBERS: usize = 8_192;

/// A vector of length one, filled up with noughts to whole lanes.
#[derive(Clone, Debug, PartialEq)]
pub struct Vector {
    numbers: Box<[f32]>,
    /// So many are its own.
    own: usize,
}

impl Vector {
    /// The direction of `numbers`. None: they have none, or are too many.
    pub fn of(numbers: &[f32]) -> Option<Self> {
        if numbers.is_empty() || numbers.len() > MOST_NUMBERS {
            return None;
        }
        let length = numbers.iter().map(|number| f64::from(*number).powi(2)).sum::<f64>().sqrt();
        if !length.is_normal() {
            return None;
        }
        let mut unit = vec![0.0; numbers.len().next_multiple_of(LANES)];
        for (place, number) in unit.iter_mut().zip(numbers) {
            #[expect(clippy::cast_possible_truncation, reason = "from -1 to 1")]
            let scaled = (f64::from(*number) / length) as f32;
            *place = scaled;
        }
        Some(Self { numbers: unit.into(), own: numbers.len() })
    }

    pub fn numbers(&self) -> &[f32] {
        &self.numbers
    }

    /// Without what it was filled up with.
    pub fn own(&self) -> &[f32] {
        self.numbers.get(..self.own).unwrap_or_default()
    }

    /// How alike two are, from -1 to 1; what has another number of numbers is not alike.
    pub fn alike(&self, other: &Self) -> f32 {
        if self.own == other.own { cosine(&self.numbers, &other.numbers) } else { 0.0 }
    }
}

/// The cosine of two unit vectors.
pub(crate) fn cosine(one: &[f32], other: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    for (one, other) in one.as_chunks::<LANES>().0.iter().zip(other.as_chunks::<LANES>().0) {
        for ((lane, one), other) in lanes.iter_mut().zip(one).zip(other) {
            *lane += one * other;
        }
    }
    lanes.iter().sum()
}

/// A vector in bytes: a quarter of the memory to read, and never off by more than it says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sketch {
    /// What a step of one is.
    step: f32,
    /// How far it is from what it is of.
    off: f32,
}

impl Sketch {
    /// Sketches a vector: its bytes are written to `steps`.
    pub(crate) fn of(vector: &[f32], steps: &mut Vec<i8>) -> Self {
        let largest = vector.iter().fold(0.0_f32, |largest, number| largest.max(number.abs()));
        let step = (largest / f32::from(i8::MAX)).max(f32::MIN_POSITIVE);
        let mut square = 0.0_f64;
        for number in vector {
            #[expect(clippy::cast_possible_truncation, reason = "from -127 to 127")]
            let whole = (number / step).round() as i8;
            square += f64::from(number - f32::from(whole) * step).powi(2);
            steps.push(whole);
        }
        #[expect(clippy::cast_possible_truncation, reason = "a little more is as good a bound")]
        let off = (square.sqrt() * 1.000_01) as f32 + 1e-6;
        Self { step, off }
    }

    /// The most that the cosine of the two vectors can be.
    pub(crate) fn most(self, steps: &[i8], other: Self, others: &[i8]) -> f32 {
        let pairs = steps.as_chunks::<LANES>().0.iter().zip(others.as_chunks::<LANES>().0);
        let product: i32 = pairs.map(|(one, other)| product(one, other)).sum();
        #[expect(clippy::cast_precision_loss, reason = "what is lost is less than the bound allows for")]
        let product = product as f32;
        // |a·b - a'·b'| <= |a - a'| + |a'| |b - b'|, and a' is no longer than 1 + |a - a'|.
        product * self.step * other.step + self.off + other.off * (1.0 + self.off)
    }
}

/// Of so many at a time, or compilers find no better way than one by one.
fn product(one: &[i8; LANES], other: &[i8; LANES]) -> i32 {
    one.iter().zip(other).map(|(one, other)| i32::from(*one) * i32::from(*other)).sum()
}
