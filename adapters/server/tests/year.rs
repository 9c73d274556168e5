//! A year of reports: ten million requests in the sums of an embedded store.
//!
//! `cargo test --release -p gatelet --test year -- --ignored --nocapture`

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use gatelet_core::domain::account::Op;
use gatelet_core::domain::{Money, ShardId};
use gatelet_core::port::memory::ports;
use gatelet_core::port::{Archive, Entry, Fault, Ports, Transaction, Written};
use gatelet_core::record::drain;
use gatelet_core::record::spend::{By, COST, Question, report};
use gatelet_server::store::Embedded;

/// An archive that keeps nothing: what is measured is the sums.
struct Nowhere;

#[async_trait]
impl Archive for Nowhere {
    async fn write(&self, _: &str, _: Bytes) -> Result<Written, Fault> {
        Ok(Written::New)
    }
    async fn read(&self, _: &str) -> Result<Option<Bytes>, Fault> {
        Ok(None)
    }
    async fn replace(&self, _: &str, _: Option<Bytes>) -> Result<(), Fault> {
        Ok(())
    }
    async fn list(&self, _: &str, _: Option<&str>, _: usize) -> Result<Vec<String>, Fault> {
        Ok(Vec::new())
    }
}

const DAYS: u32 = 365;
const REQUESTS: u64 = 10_000_000;
/// 2026-01-01.
const FIRST: u32 = 20_454;

/// The request with this number: of one of 100 keys of 20 teams, for one of six models, with one of three sets of tags.
fn entry(number: u64, micros: i64) -> (Entry, u64) {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let (key, model, tags) =
        (mixed % 100, mixed / 100 % 6, ["", "\"night\"", "\"night\",\"batch\""][(mixed / 600 % 3) as usize]);
    let (input, output) = (mixed % 4_000, mixed % 900);
    let cost = input * 500 + output * 4_000;
    let id = format!("{number:026}");
    let line = format!(
        "{{\"v\":1,\"kind\":\"request\",\"id\":\"req_{id}\",\"at\":\"2026-01-01T00:00:00Z\",\"shard\":\"main\",\"key\":\"key{key}\",\
         \"team\":\"team-{team}\",\"tags\":[{tags}],\"operation\":\"chat\",\"dialect\":\"openai\",\"model\":\"chat\",\
         \"target\":\"provider-{provider}/model-{model}\",\"stream\":true,\"outcome\":\"done\",\"status\":200,\"attempts\":1,\
         \"usage\":{{\"input\":{input},\"cache_read\":0,\"output\":{output}}},\"usage_estimated\":false,\
         \"cost\":\"{cost}\",\"total_ms\":1234.5,\"first_content_ms\":200.25}}",
        team = key / 5,
        provider = model / 2,
        cost = Money::from_nanos(cost),
    );
    (Entry { id: format!("{micros:016}-req_{id}").into(), line: line.into(), settle: None }, cost)
}

/// How long this thread has had a processor.
fn worked() -> Option<Duration> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    told.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

#[test]
#[ignore = "minutes of work: a measurement, for a release build"]
fn a_year_of_ten_million_requests_is_reported_in_less_than_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (memory, _) = ports();
    let ports = Ports {
        store: Arc::new(Embedded::open(folder.path()).unwrap()),
        archive: Arc::new(Nowhere),
        ..memory
    };
    let shard = ShardId::main();
    let begun = Instant::now();
    let (mut number, mut spent) = (0, 0);
    runtime.block_on(async {
        for day in 0..DAYS {
            let until = REQUESTS * u64::from(day + 1) / u64::from(DAYS);
            let begins = i64::from(FIRST + day) * 86_400_000_000;
            while number < until {
                let count = (until - number).min(5_000);
                let entries = (0..count).map(|_| {
                    number += 1;
                    // All within an hour: a batch ends with it.
                    let (entry, cost) =
                        entry(number, begins + i64::try_from(number % 3_000_000_000).unwrap());
                    spent += cost;
                    entry
                });
                let entries = entries.collect();
                let work = Transaction::new(Vec::new(), Op::Sweep, entries);
                ports.ledger.transact(&shard, work, ports.clock.now()).await.unwrap();
                while drain(&ports, &shard, false).await.unwrap() > 0 {}
            }
        }
    });
    eprintln!("{REQUESTS} requests counted in {:.1?}", begun.elapsed());
    let days = FIRST..=FIRST + DAYS - 1;
    let named = |names: &[&str]| names.iter().map(|name| By::named(name).unwrap()).collect::<Vec<_>>();
    for (by, only) in [
        (vec![], vec![]),
        (vec!["team"], vec![]),
        (vec!["model", "month"], vec![]),
        (vec!["key", "tag"], vec![]),
        (vec!["day"], vec![("team", "team-7")]),
    ] {
        let only = only
            .into_iter()
            .map(|(name, value)| (By::named(name).unwrap(), vec![value.to_owned()]))
            .collect();
        let question = Question { days: days.clone(), finer: None, by: named(&by), only, most: 100_000 };
        let (asked, worked) = (Instant::now(), worked().unwrap());
        let report = runtime.block_on(report(&ports, &shard, &question)).unwrap();
        let (took, used) = (asked.elapsed(), self::worked().unwrap().saturating_sub(worked));
        eprintln!(
            "by {by:?}: {took:.2?} ({used:.2?} of a processor), {} rows, {} documents read",
            report.rows.len(),
            report.reads
        );
        // What it takes where nothing else runs: the store is on this thread, and what it reads is in memory.
        assert!(used < Duration::from_secs(1), "{used:?}");
        if question.only.is_empty() {
            assert_eq!((report.total[0], report.total[COST]), (REQUESTS, spent));
        }
    }
}
