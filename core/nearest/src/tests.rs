#![expect(clippy::indexing_slicing, reason = "a test says what it expects")]

use proptest::prelude::*;

use crate::vector::Sketch;
use crate::{Vector, Vectors};

/// A vector in some direction, another for each seed.
fn vector(numbers: usize, seed: u64) -> Vector {
    let mut random = fastrand::Rng::with_seed(seed);
    let numbers: Vec<f32> = (0..numbers).map(|_| random.f32() - 0.5).collect();
    Vector::of(&numbers).unwrap()
}

fn near(vector: &Vector, by: f32) -> Vector {
    let mut numbers = vector.numbers().to_vec();
    numbers[0] += by;
    Vector::of(&numbers).unwrap()
}

fn dot(one: &Vector, other: &Vector) -> f64 {
    let pairs = one.numbers().iter().zip(other.numbers());
    pairs.map(|(one, other)| f64::from(*one) * f64::from(*other)).sum()
}

proptest! {
    /// Sketches are looked at first, and what is found is all the same what a plain search finds.
    #[test]
    fn the_nearest_is_found(
        numbers in 1_usize..200,
        count in 1_usize..300,
        seed: u64,
        least in 0.0_f32..1.0,
        hidden in prop::collection::hash_set(0_usize..300, 0..40),
    ) {
        let mut vectors = Vectors::default();
        let all: Vec<Vector> = (0..count).map(|nth| vector(numbers, seed.wrapping_add(nth as u64))).collect();
        for vector in &all {
            prop_assert!(vectors.push(vector.numbers()));
        }
        let to = near(&all[count / 2], 0.1);
        let shown = (0..count).filter(|nth| !hidden.contains(nth));
        let best = shown.map(|nth| dot(&to, &all[nth])).fold(-1.0, f64::max);
        match vectors.nearest(&to, least, &mut |place| !hidden.contains(&place)) {
            Some((place, cosine)) => {
                prop_assert!(!hidden.contains(&place));
                prop_assert!((dot(&to, &all[place]) - best).abs() < 1e-4);
                prop_assert!((f64::from(cosine) - best).abs() < 1e-4);
                prop_assert!(cosine >= least - 1e-4);
            }
            None => prop_assert!(best < f64::from(least) + 1e-4),
        }
    }

    /// A sketch may say too much, but never too little.
    #[test]
    fn a_sketch_bounds_the_cosine(numbers in 1_usize..200, scale in 0.0_f32..100.0, seed: u64) {
        let (one, other) = (vector(numbers, seed), near(&vector(numbers, seed.wrapping_add(1)), scale));
        let (mut steps, mut others) = (Vec::new(), Vec::new());
        let (sketch, of_other) =
            (Sketch::of(one.numbers(), &mut steps), Sketch::of(other.numbers(), &mut others));
        let most = f64::from(sketch.most(&steps, of_other, &others));
        prop_assert!((dot(&one, &other)..dot(&one, &other) + 0.3).contains(&most));
    }

    /// Whatever comes and goes, each place has what a plain list has there.
    #[test]
    fn places_are_those_of_a_list(steps in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..600)) {
        let (mut vectors, mut list) = (Vectors::default(), Vec::new());
        for (seed, (add, place)) in (0..).zip(steps) {
            let one = vector(20, seed);
            if add || list.is_empty() {
                prop_assert!(vectors.push(one.numbers()));
                list.push(one);
            } else {
                let place = place.index(list.len());
                vectors.swap_remove(place);
                list.swap_remove(place);
            }
        }
        for (place, one) in list.iter().enumerate() {
            prop_assert_eq!(vectors.get(place), Some(one.numbers()));
        }
        prop_assert_eq!(vectors.get(list.len()), None);
    }
}

#[test]
fn what_is_no_direction_is_no_vector() {
    let long = vec![1.0; 8_193];
    for wrong in [&[][..], &[0.0, 0.0], &[f32::NAN, 1.0], &[f32::INFINITY, 1.0], &long] {
        assert_eq!(Vector::of(wrong), None);
    }
    let vector = Vector::of(&[3.0, 4.0]).unwrap();
    assert_eq!((vector.numbers().len(), &vector.numbers()[..3]), (16, &[0.6, 0.8, 0.0][..]));
}

#[test]
fn what_is_not_as_long_as_the_others_is_left_out() {
    let mut vectors = Vectors::default();
    assert!(vectors.push(vector(32, 1).numbers()));
    assert!(!vectors.push(vector(64, 2).numbers()));
    vectors.set(0, vector(64, 2).numbers());
    assert_eq!(
        (vectors.numbers(), vectors.get(0), vectors.get(1)),
        (32, Some(vector(32, 1).numbers()), None)
    );
    assert_eq!(vectors.nearest(&vector(64, 2), 0.0, &mut |_| true), None);
}
