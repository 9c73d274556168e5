//! What a request costs at the table: with five scopes in force it is at most four units of writing, all included.

#![expect(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a test that cannot go on has failed; figures are for readers"
)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gatelet_core::domain::account::Grant;
use gatelet_core::domain::{HoldId, RequestId, ShardId, Timestamp};
use gatelet_core::port::{Body, Fault, Ledger, Reach, Upstream};
use gatelet_core::record;
use gatelet_lambda::{Aws, Table, TableLedger};
use gatelet_tests::conformance::nested::Nested;
use gatelet_tests::host::cloud::{Cloud, NAME};
use gatelet_tokio::{HttpUpstream, Settings, SystemChance, Tasks};
use serde_json::Value;

/// Units that each operation has used, and how often it was called.
type Bill = BTreeMap<String, (u64, f64)>;

/// Asks the table what each call cost.
struct Meter {
    upstream: HttpUpstream,
    bill: Mutex<Bill>,
}

#[async_trait]
impl Upstream for Meter {
    async fn send(&self, request: http::Request<Body>, reach: Reach) -> Result<http::Response<Body>, Fault> {
        let (mut parts, body) = request.into_parts();
        let target =
            parts.headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let mut json: Value = serde_json::from_slice(&whole(body).await).unwrap();
        json["ReturnConsumedCapacity"] = "TOTAL".into();
        let body = serde_json::to_vec(&json).unwrap();
        parts.headers.remove(http::header::CONTENT_LENGTH);
        let request = http::Request::from_parts(parts, Body::from(body));
        let response = self.upstream.send(request, reach).await?;
        let (mut parts, body) = response.into_parts();
        let body = whole(body).await;
        // The emulator's checksum is of the answer to the question that was not changed.
        parts.headers.remove("x-amz-crc32");
        let json: Value = serde_json::from_slice(&body).unwrap();
        let consumed = &json["ConsumedCapacity"];
        let units = consumed["CapacityUnits"].as_f64();
        let units =
            units.or_else(|| consumed.as_array()?.iter().map(|one| one["CapacityUnits"].as_f64()).sum());
        // A condition that was not met is paid for too.
        let units = units.unwrap_or(1.0);
        let mut bill = self.bill.lock().unwrap();
        let (calls, sum) = bill.entry(operation).or_default();
        *calls += 1;
        *sum += units;
        Ok(http::Response::from_parts(parts, Body::from(body)))
    }
}

async fn whole(body: Body) -> Bytes {
    use futures_util::TryStreamExt as _;
    match body {
        Body::Empty => Bytes::new(),
        Body::Full(bytes) => bytes,
        Body::Pieces(pieces) => Body::join(&pieces),
        Body::Stream(chunks) => {
            chunks.map_ok(|chunk| chunk.to_vec()).try_collect::<Vec<_>>().await.unwrap().concat().into()
        }
    }
}

const SHARD: &str = "acme";

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_five_scopes_costs_at_most_four_units_of_writing() {
    let cloud = Cloud::start().await.unwrap();
    let environment = cloud.environment();
    let variable =
        |name: &str| environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let meter = Arc::new(Meter {
        upstream: HttpUpstream::new(&Settings::default()).unwrap(),
        bill: Mutex::default(),
    });
    let aws = Aws::from_environment(variable, meter.clone()).unwrap();
    let table = Arc::new(Table::new(&aws, NAME, &SystemChance));
    let tasks = Tasks::default();
    // As many sandboxes as callers, each with a memory of its own.
    let ledgers: Vec<Arc<TableLedger>> =
        (0..8).map(|_| Arc::new(TableLedger::new(table.clone(), Arc::new(tasks.clone())))).collect();
    let shard = ShardId::new(SHARD);
    let nested = Nested::new(shard.clone(), now()).unwrap();
    nested.write(&*ledgers[0], now()).await.unwrap();
    // The promise is for requests that do not meet; where they do, the head is written again, and more often on a slower machine.
    // Where steps come faster than it can be put away, it is longer than a kilobyte: on a machine that builds meanwhile that says nothing.
    for (words, callers, pause, most) in [
        ("one caller", 1, 20, 4.0),
        ("8 callers, some 12 requests a second", 8, 300, 5.0),
        ("8 callers, as many as they can", 8, 0, f64::INFINITY),
    ] {
        meter.bill.lock().unwrap().clear();
        let pause = Duration::from_millis(pause);
        let rounds = 320 / callers;
        let runs = (0..callers).map(|caller| {
            let (ledger, shard) = (ledgers[caller].clone(), shard.clone());
            tokio::spawn(async move {
                for round in 0..rounds {
                    request(&*ledger, &shard, caller, round, pause).await;
                    tokio::time::sleep(pause).await;
                }
            })
        });
        for run in runs.collect::<Vec<_>>() {
            run.await.unwrap();
        }
        tasks.finished().await;
        // As a tick does.
        let mut archived = 0;
        loop {
            let entries = ledgers[0].outbox(&shard, 5_000).await.unwrap();
            if entries.is_empty() {
                break;
            }
            archived += entries.len();
            let ids: Vec<String> = entries.iter().map(|entry| entry.id.to_string()).collect();
            ledgers[0].clear(&shard, &ids).await.unwrap();
        }
        let requests = rounds * callers;
        assert_eq!(archived, requests);
        let bill = meter.bill.lock().unwrap().clone();
        let reads = |operation: &str| matches!(operation, "GetItem" | "BatchGetItem" | "Query");
        let sum = |wanted: bool| {
            bill.iter()
                .filter(|(operation, _)| reads(operation) == wanted)
                .map(|(_, (_, units))| units)
                .sum::<f64>()
                / requests as f64
        };
        println!("{words}: {:.2} units of writing and {:.2} of reading a request", sum(false), sum(true));
        for (operation, (calls, units)) in &bill {
            let per = |value: f64| value / requests as f64;
            println!("    {operation}: {:.3} calls, {:.3} units", per(*calls as f64), per(*units));
        }
        assert!(sum(false) <= most, "{words}: {} units of writing a request", sum(false));
    }
}

/// One request of five scopes, with a record as the gateway writes it.
async fn request(ledger: &dyn Ledger, shard: &ShardId, caller: usize, round: usize, upstream: Duration) {
    let started = now();
    let mut chance = [0; 16];
    gatelet_core::port::Chance::fill(&SystemChance, &mut chance);
    let id = RequestId::mint(started, chance);
    let hold = HoldId::from(&id);
    let grant = ledger.transact(shard, Nested::reserve(caller, &hold, now()), now()).await.unwrap().grant;
    assert!(matches!(grant, Grant::Held { .. }), "{grant:?}");
    tokio::time::sleep(upstream).await;
    let ended = now();
    let (record, attempt) = Nested::record(caller, round, &id, shard, started, ended);
    let settle = Nested::settle(caller, &hold, record.cost, record::entry(&record, &[attempt]));
    let grant = ledger.transact(shard, settle, now()).await.unwrap().grant;
    assert_eq!(grant, Grant::Settled);
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap())
}
