use std::task::Poll;
use std::time::Duration;

use futures_executor::block_on;
use proptest::prelude::*;

use super::*;
use crate::cache::Naming;
use crate::port::memory::{Handles, ports};

fn name(of: usize) -> Name {
    Naming::default().with(&of.to_le_bytes()).finish()
}

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

proptest! {
    /// Whatever is added and forgotten, each answer that is there has its own vector.
    #[test]
    fn vectors_stay_with_their_answers(steps in prop::collection::vec((any::<bool>(), 0_usize..400), 0..1_200)) {
        let mut space = Space::default();
        let mut there = std::collections::BTreeSet::new();
        for (turn, (add, nth)) in (1..).zip(steps) {
            if add {
                space.put(name(nth), vector(20, nth as u64).numbers(), 10, turn);
                there.insert(nth);
            } else {
                space.forget(&name(nth));
                there.remove(&nth);
            }
        }
        prop_assert_eq!(space.count(), there.len());
        for nth in 0..400 {
            let found = space.get(&name(nth)).map(|(_, vector)| vector.to_vec());
            let expected = there.contains(&nth).then(|| vector(20, nth as u64).numbers().to_vec());
            prop_assert_eq!(found, expected);
        }
    }
}

#[test]
fn what_is_out_of_time_is_not_found() {
    let mut space = Space::default();
    let (old, new) = (vector(32, 1), vector(32, 2));
    space.put(name(1), old.numbers(), 10, 1);
    space.put(name(2), new.numbers(), 20, 2);
    assert_eq!(space.nearest(&old, 0.9, 9, 3).map(|(found, _)| found), Some(name(1)));
    assert_eq!(space.nearest(&old, 0.9, 10, 4), None);
    assert_eq!(space.nearest(&new, 0.9, 10, 5).map(|(found, _)| found), Some(name(2)));
}

#[test]
fn a_vector_of_another_length_is_left_out() {
    let mut space = Space::default();
    space.put(name(1), vector(32, 1).numbers(), 10, 1);
    space.put(name(2), vector(64, 2).numbers(), 10, 2);
    assert_eq!((space.count(), space.has(&name(2))), (1, false));
    assert_eq!(space.nearest(&vector(64, 2), 0.0, 1, 3), None);
}

#[test]
fn what_was_not_used_for_longest_goes_first() {
    let mut space = Space::default();
    for nth in 0..10 {
        space.put(name(nth), vector(16, nth as u64).numbers(), 10, nth as u64);
    }
    assert_eq!(space.nearest(&vector(16, 0), 0.9, 1, 20).unwrap().0, name(0));
    space.drop_oldest(3);
    let left: Vec<usize> = (0..10).filter(|nth| space.has(&name(*nth))).collect();
    assert_eq!(left, [0, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn a_segment_is_read_back_only_as_it_was_written() {
    let mut segment = Segment::default();
    segment.head.sealed.push(([7; 32], 30));
    segment.push(&name(1), 20, vector(20, 1).numbers());
    segment.push(&name(2), 10, vector(20, 2).numbers());
    assert_eq!(segment.until(), 30);
    let bytes = segment.write(&name(9)).unwrap();
    let again = Segment::read(&name(9), &bytes).unwrap();
    assert_eq!(again, segment);
    let each: Vec<_> = again.each().collect();
    assert_eq!(each[1], (name(2), 10, vector(20, 2).numbers()));
    assert_eq!(Segment::read(&name(8), &bytes), None, "under another name");
    for place in (0..bytes.len()).step_by(7) {
        assert_eq!(Segment::read(&name(9), &bytes.slice(..place)), None, "cut off at {place}");
        let mut spoilt = bytes.to_vec();
        spoilt[place] ^= 1;
        assert_eq!(Segment::read(&name(9), &spoilt.into()), None, "spoilt at {place}");
    }
}

fn process() -> Arc<Cache> {
    Arc::default()
}

fn world() -> (Ports, Handles, Bounds) {
    let (ports, handles) = ports();
    (ports, handles, Bounds { vectors: 64 << 20, ..Bounds::default() })
}

/// Runs what is left to be done, turning the clock for what waits in it.
fn settle(handles: &Handles) {
    let clock = handles.clock.clone();
    let turn = async {
        loop {
            clock.advance(Duration::from_millis(250));
            let mut turned = false;
            std::future::poll_fn(|context| {
                context.waker().wake_by_ref();
                if std::mem::replace(&mut turned, true) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        }
    };
    block_on(select(Box::pin(handles.defer.run_all()), Box::pin(turn)));
}

#[test]
fn another_process_finds_what_one_has_learnt_and_so_does_the_next() {
    const COUNT: usize = 700;
    let (ports, handles, bounds) = world();
    let (one, space) = (process(), name(99));
    let until = ports.clock.now().after(Duration::from_hours(1));
    for nth in 0..COUNT {
        one.remember(&ports, &bounds, space, &vector(384, nth as u64), name(nth), until);
        if nth.is_multiple_of(50) {
            settle(&handles);
        }
    }
    settle(&handles);
    // The newest, and full ones of 256 KB and more.
    assert!((3..8).contains(&handles.answers.count()), "{}", handles.answers.count());
    for _ in 0..2 {
        let other = process();
        let find = |nth: usize| {
            let to = near(&vector(384, nth as u64), 0.01);
            block_on(other.nearest(&ports, &bounds, space, &to, 0.9)).map(|(found, _)| found)
        };
        assert_eq!(find(COUNT - 1), Some(name(COUNT - 1)), "the newest at once");
        settle(&handles);
        for nth in (0..COUNT).step_by(23) {
            assert_eq!(find(nth), Some(name(nth)), "{nth}");
        }
        let elsewhere = block_on(other.nearest(&ports, &bounds, name(98), &vector(384, 1), 0.5));
        assert_eq!(elsewhere, None, "another space");
    }
}

#[test]
fn two_who_write_lose_nothing_for_long() {
    let (ports, handles, bounds) = world();
    let (one, other, space) = (process(), process(), name(99));
    let until = ports.clock.now().after(Duration::from_hours(1));
    for nth in 0..40 {
        let process = if nth % 2 == 0 { &one } else { &other };
        process.remember(&ports, &bounds, space, &vector(64, nth as u64), name(nth), until);
    }
    settle(&handles);
    one.remember(&ports, &bounds, space, &vector(64, 40), name(40), until);
    settle(&handles);
    other.remember(&ports, &bounds, space, &vector(64, 41), name(41), until);
    settle(&handles);
    let third = process();
    for nth in 0..42 {
        let found = block_on(third.nearest(&ports, &bounds, space, &vector(64, nth as u64), 0.99));
        assert_eq!(found.map(|(name, _)| name), Some(name(nth)), "{nth}");
        settle(&handles);
    }
}

#[test]
fn bytes_are_bounded_and_what_was_not_used_for_longest_goes() {
    let (ports, handles, _) = world();
    let bounds = Bounds { vectors: 200 << 10, store: false, ..Bounds::default() };
    let cache = process();
    let until = ports.clock.now().after(Duration::from_hours(1));
    // Many spaces with little in each.
    for nth in 0..500 {
        cache.remember(&ports, &bounds, name(nth), &vector(64, nth as u64), name(nth), until);
    }
    let bytes = |cache: &Cache| {
        let racks = cache.meanings.racks.lock().unwrap();
        racks.values().map(|rack| rack.bytes()).sum::<usize>()
    };
    assert!((100 << 10..=200 << 10).contains(&bytes(&cache)), "{}", bytes(&cache));
    let find = |nth: usize| {
        block_on(cache.nearest(&ports, &bounds, name(nth), &vector(64, nth as u64), 0.99)).is_some()
    };
    assert!(find(499) && !find(0));
    // And one with much.
    for nth in 0..2_000 {
        cache.remember(&ports, &bounds, name(1_000), &vector(64, nth as u64), name(nth), until);
        assert!(bytes(&cache) <= 201 << 10, "{nth}: {}", bytes(&cache));
    }
    assert_eq!(handles.answers.count(), 0);
}

#[test]
fn an_answer_that_is_gone_is_disowned() {
    let (ports, handles, bounds) = world();
    let (cache, space) = (process(), name(99));
    let until = ports.clock.now().after(Duration::from_hours(1));
    cache.remember(&ports, &bounds, space, &vector(64, 1), name(1), until);
    cache.remember(&ports, &bounds, space, &near(&vector(64, 1), 0.01), name(2), until);
    let find = || block_on(cache.nearest(&ports, &bounds, space, &vector(64, 1), 0.9));
    assert_eq!(find().unwrap().0, name(1));
    cache.disown(space, &name(1));
    assert_eq!(find().unwrap().0, name(2));
    settle(&handles);
    assert_eq!(find().unwrap().0, name(2));
}
