//! Figures of routing and of the semantic cache, as the server has them: how what is linked is optimised depends on the program.
//!
//! `cargo test --release -p gatelet --test speed -- --ignored --nocapture --test-threads 1`. Each is the best of many batches, so that
//! what else the machine does is not in it.
#![expect(clippy::unwrap_used, reason = "a test says what it expects")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng as Random;
use gatelet_core::cache::{Cache, Name, Naming, Vector};
use gatelet_core::domain::{Money, ShardId, Timestamp};
use gatelet_core::policy::CacheBounds;
use gatelet_core::port::memory::ports;
use gatelet_core::route::{Board, Candidate, Ended, Outcome, Place, Rng, Strategy, order};

/// The least time of one of `count` runs, over batches.
fn best(count: u32, mut run: impl FnMut()) -> Duration {
    const BATCHES: usize = 200;
    let batch = |_| {
        let began = Instant::now();
        (0..count).for_each(|_| run());
        began.elapsed() / count
    };
    (0..BATCHES).map(batch).min().unwrap()
}

/// As `pipeline/route.rs` asks: what was seen of each target is looked up, and what is learned is drawn.
#[test]
#[ignore = "a measurement"]
fn a_plan_over_twenty_targets() {
    const TARGETS: usize = 20;
    let (board, now) = (Board::default(), Timestamp::from_seconds(1_800_000_000));
    let shard = ShardId::main();
    let (model, names): (Arc<str>, Vec<Arc<str>>) =
        ("m".into(), (0..TARGETS).map(|number| format!("provider-{number}/model").into()).collect());
    for (name, number) in names.iter().zip(0_u64..) {
        for _ in 0..10 {
            board.began(name, now);
            let total = Duration::from_millis(100 + number);
            board.ended(
                &shard,
                name,
                Ended::Answered { first: Some(total), total, output: 10, tokens: 20 },
                now,
            );
            board.learn(&model, name, Outcome::Answered { seconds: total.as_secs_f64() });
        }
    }
    let mut rng = Rng::with_seed(7);
    for strategy in Strategy::ALL {
        let took = best(200, || {
            let seen = board.read();
            let learned = (strategy == Strategy::Adaptive).then(|| seen.arms(&model).unwrap());
            let candidates: Vec<Candidate> = names
                .iter()
                .zip(1_u32..)
                .map(|(name, number)| Candidate {
                    place: Place { weight: number, ..Place::default() },
                    cost: Some(Money::from_nanos(1_000 - u64::from(number))),
                    stream: true,
                    output: 500,
                    vitals: seen.target(name),
                    drawn: learned.map_or(0.0, |arms| arms.draw(name, &mut rng)),
                    pull: None,
                })
                .collect();
            black_box(order(strategy, &candidates, seen.rules(), now, &mut rng));
        });
        println!("plan over {TARGETS} targets, {}: {:.2} µs", strategy.name(), took.as_secs_f64() * 1e6);
        assert!(cfg!(debug_assertions) || took <= Duration::from_micros(3), "{took:?}");
    }
}

/// The nearest of as many vectors as one tenant may have, all of which have something in common, as texts have.
#[tokio::test]
#[ignore = "a measurement"]
async fn a_look_up_by_meaning() {
    const VECTORS: usize = 50_000;
    const NUMBERS: usize = 384;
    let name = |of: usize| -> Name { Naming::default().with(&of.to_le_bytes()).finish() };
    let mut random = Random::with_seed(7);
    let mut vector = || {
        let numbers: Vec<f32> =
            (0..NUMBERS).map(|place| random.f32() - if place % 2 == 0 { 0.2 } else { 0.5 }).collect();
        Vector::of(&numbers).unwrap()
    };
    let (ports, handles) = ports();
    let cache = Arc::new(Cache::default());
    let bounds = CacheBounds { vectors: 1 << 30, ..CacheBounds::default() };
    let (space, until) = (name(VECTORS), ports.clock.now().after(Duration::from_hours(1)));
    for nth in 0..VECTORS {
        cache.remember(&ports, &bounds, space, &vector(), name(nth), until);
    }
    let (other, same) = (vector(), vector());
    cache.remember(&ports, &bounds, space, &same, name(VECTORS + 1), until);
    for (what, question) in [("nobody's", &other), ("somebody's", &same)] {
        let mut found = None;
        let mut took = Duration::MAX;
        for _ in 0..200 {
            let began = Instant::now();
            found = cache.nearest(&ports, &bounds, space, question, 0.95).await;
            took = took.min(began.elapsed());
        }
        println!("{what} nearest of {VECTORS} x {NUMBERS}: {:.2} ms", took.as_secs_f64() * 1e3);
        assert_eq!(found.is_some(), what == "somebody's");
        assert!(cfg!(debug_assertions) || took <= Duration::from_millis(5), "{took:?}");
    }
    drop(handles);
}
