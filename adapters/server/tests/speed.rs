//! Figures of routing, of the semantic cache and of records, as the server has them: how what is linked is optimised depends on the program.
//!
//! `cargo test --release -p gatelet --test speed -- --ignored --nocapture --test-threads 1`. Each is the best of many batches, so that
//! what else the machine does is not in it.
#![expect(clippy::unwrap_used, reason = "a test says what it expects")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng as Random;
use futures_util::future::join_all;
use gatelet_core::cache::{Cache, Name, Naming, Vector};
use gatelet_core::domain::account::Grant;
use gatelet_core::domain::{HoldId, Money, RequestId, ShardId, Timestamp};
use gatelet_core::policy::CacheBounds;
use gatelet_core::port::memory::ports;
use gatelet_core::port::{Entry, Ledger as _, Ports, Transaction};
use gatelet_core::record::content::Transcript;
use gatelet_core::record::{drain, entry};
use gatelet_core::route::{Board, Candidate, Ended, Outcome, Place, Rng, Strategy, order};
use gatelet_server::archive::Folder;
use gatelet_server::store::Embedded;
use gatelet_tests::conformance::nested::Nested;
use gatelet_tokio::Gzip;
use gatelet_wire::Event;
use gatelet_wire::event::Delta;

/// The server's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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

/// What it costs to record a request: its lines, written on the way; what they add to the journal's share of its settlement; and what is
/// done with them every second: the sums, the archive's objects, and the disk.
#[test]
#[ignore = "a measurement"]
fn a_record() {
    const A_SECOND: u32 = 15_000;
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = Embedded::open(&folder.path().join("store")).unwrap();
    let (memory, _) = ports();
    let ports = Ports {
        ledger: Arc::new(store.clone()),
        store: Arc::new(store.clone()),
        archive: Arc::new(Folder::open(folder.path().join("archive")).unwrap()),
        packer: Arc::new(Gzip),
        ..memory
    };
    let (shard, began) = (ShardId::main(), Timestamp::from_seconds(1_800_000_000));
    runtime.block_on(Nested::new(shard.clone(), began).unwrap().write(&store, began)).unwrap();
    let mut random = Random::with_seed(7);
    let [mut lines, mut journal, mut house] = [Duration::MAX; 3];
    for second in 0..20 {
        let record = |nth: u32| {
            let at = began.after(Duration::from_micros(u64::from(second * 1_000_000 + nth)));
            let ended = at.after(Duration::from_micros(random.u64(300..9_000)));
            let id = RequestId::mint(at, random.u128(..).to_le_bytes());
            Nested::record(nth as usize, random.usize(..1_000), &id, &shard, at, ended)
        };
        let records: Vec<_> = (0..A_SECOND).map(record).collect();
        let before = worked();
        let entries: Vec<Entry> =
            records.iter().map(|(record, attempt)| entry(record, std::slice::from_ref(attempt))).collect();
        lines = lines.min(worked().saturating_sub(before));
        let without = runtime.block_on(settled(&store, &entries, began, false));
        let with = runtime.block_on(settled(&store, &entries, began, true));
        journal = journal.min(with.saturating_sub(without));
        let before = worked();
        let archived = runtime.block_on(drain(&ports, &shard, false)).unwrap();
        store.sync().unwrap();
        house = house.min(worked().saturating_sub(before));
        assert_eq!(archived, A_SECOND as usize);
    }
    let [lines, journal, house] =
        [lines, journal, house].map(|took| took.as_secs_f64() * 1e6 / f64::from(A_SECOND));
    let all = lines + journal + house;
    println!("a record: {all:.2} µs; lines {lines:.2}, journal {journal:.2}, later {house:.2}");
    assert!(cfg!(debug_assertions) || all <= 6.0, "{all}");
}

/// How long it takes to settle requests, some of which end together, with their entries or without.
async fn settled(ledger: &Embedded, entries: &[Entry], now: Timestamp, with: bool) -> Duration {
    /// As many as share a commit where 64 callers ask as fast as they can.
    const TOGETHER: usize = 15;
    let (shard, mut took) = (ShardId::main(), Duration::ZERO);
    for entries in entries.chunks(TOGETHER) {
        let holds: Vec<HoldId> = entries.iter().map(|entry| HoldId::new(&*entry.id)).collect();
        for (caller, hold) in holds.iter().enumerate() {
            let held = ledger.transact(&shard, Nested::reserve(caller, hold, now), now).await.unwrap().grant;
            assert!(matches!(held, Grant::Held { .. }), "{held:?}");
        }
        let settlements: Vec<Transaction> = (0..)
            .zip(&holds)
            .zip(entries)
            .map(|((caller, hold), entry)| {
                let settle = Nested::settle(caller, hold, Money::from_nanos(428_700), entry.clone());
                if with { settle } else { Transaction { entries: Vec::new(), ..settle } }
            })
            .collect();
        let began = Instant::now();
        let settlements = settlements.into_iter().map(|settle| ledger.transact(&shard, settle, now));
        let settled = join_all(settlements).await;
        took += began.elapsed();
        assert!(settled.into_iter().all(|outcome| outcome.unwrap().grant == Grant::Settled));
    }
    took
}

/// What it costs to keep a piece of a streamed answer, where the configuration wants answers kept. Where it does not, a piece costs nothing:
/// its usage is read for the books.
#[test]
#[ignore = "a measurement"]
fn a_piece_that_is_kept() {
    const PIECES: u32 = 1_000;
    let piece = Event::Delta { choice: 0, part: 0, delta: Delta::Text(" and so on".to_owned()) };
    let took = best(1, || {
        let mut transcript = Transcript::new(64 << 10);
        (0..PIECES).for_each(|_| transcript.push(black_box(&piece)));
        black_box(transcript);
    }) / PIECES;
    println!("a piece that is kept: {} ns", took.as_nanos());
    assert!(cfg!(debug_assertions) || took <= Duration::from_nanos(500), "{took:?}");
}

/// How long this process has had a processor: its threads that live.
fn worked() -> Duration {
    let told = |thread: std::io::Result<std::fs::DirEntry>| {
        let told = std::fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap_or_default();
        told.split(' ')
            .next()
            .and_then(|nanos| nanos.parse().ok())
            .map_or(Duration::ZERO, Duration::from_nanos)
    };
    std::fs::read_dir("/proc/self/task").unwrap().map(told).sum()
}
