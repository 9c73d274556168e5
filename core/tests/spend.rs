//! What was spent: each request is counted once, whatever fails on the way, and reports add up.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures_executor::block_on;
use futures_util::future::join3;
use gatelet_core::domain::account::Op;
use gatelet_core::domain::{ShardId, Timestamp};
use gatelet_core::port::memory::{OverLedger, OverStore, ports};
use gatelet_core::port::{Entry, Expect, Fault, FaultKind, Ledger, Ports, Store, Transaction};
use gatelet_core::record::drain;
use gatelet_core::record::spend::{By, COST, Question, Report, Step, report};
use proptest::prelude::*;
use serde_json::{Value, json};
use world::{World, completion, openai, read, whole, yield_now};

/// A store and a ledger that fail when their fuse has burnt down, and let others go first now and then.
struct Fused {
    ports: Ports,
    fuse: AtomicUsize,
    turns: AtomicUsize,
}

impl Fused {
    async fn burn(&self) -> Result<(), Fault> {
        if self.turns.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9) & 0x30 == 0 {
            yield_now().await;
        }
        let left = self.fuse.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        left.map(drop).map_err(|_| Fault::new(FaultKind::Unavailable, "fuse", "burnt"))
    }
}

#[async_trait]
impl OverStore for Fused {
    fn under(&self) -> &dyn Store {
        &*self.ports.store
    }
    async fn turn(&self, call: &'static str, bytes: &[u8]) -> Result<(), Fault> {
        assert!(bytes.len() < 390_000, "{call} of {} bytes", bytes.len());
        if matches!(call, "get" | "put") { self.burn().await } else { Ok(()) }
    }
    async fn put(&self, name: &str, bytes: Bytes, expect: Expect) -> Result<u64, Fault> {
        self.turn("put", &bytes).await?;
        let version = self.ports.store.put(name, bytes, expect).await?;
        // It was written, and the answer may be lost.
        self.burn().await?;
        Ok(version)
    }
}

#[async_trait]
impl OverLedger for Fused {
    fn under(&self) -> &dyn Ledger {
        &*self.ports.ledger
    }
    async fn outbox(&self, shard: &ShardId, limit: usize) -> Result<Vec<Entry>, Fault> {
        self.burn().await?;
        // Pages are small here, so that a page is often not all.
        let entries = self.ports.ledger.outbox(shard, limit).await;
        yield_now().await;
        entries
    }
    async fn clear(&self, shard: &ShardId, entries: &[String]) -> Result<(), Fault> {
        self.burn().await?;
        let (some, rest) = entries.split_at(entries.len() / 2);
        self.ports.ledger.clear(shard, some).await?;
        self.burn().await?;
        self.ports.ledger.clear(shard, rest).await
    }
}

fn keep(ports: &Ports, entries: Vec<Entry>) {
    let work = Transaction::new(Vec::new(), Op::Sweep, entries);
    block_on(ports.ledger.transact(&ShardId::main(), work, ports.clock.now())).unwrap();
}

/// A record as far as sums look at it.
fn entry(number: usize, day: u32, team: &str, tags: &[String], cost: u64) -> Entry {
    let micros = i64::from(day) * 86_400_000_000 + i64::try_from(number).unwrap();
    let cost = gatelet_core::domain::Money::from_nanos(cost);
    let line = json!({ "v": 1, "kind": "request", "id": format!("req_{number}"), "key": "k", "team": team, "tags": tags,
        "target": "up/model", "outcome": "done", "status": 200, "attempts": 1, "cost": cost,
        "usage": { "input": 3, "cache_write_5m": 1, "cache_write_1h": 2, "output": 4 } });
    let attempt = json!({ "v": 1, "kind": "attempt", "id": format!("req_{number}"), "cost": "9" });
    let id = format!("{micros:016}-req_{number}").into();
    Entry { id, line: format!("{attempt}\n{line}").into(), settle: None }
}

fn all(by: &[By]) -> Question {
    Question { days: 0..=40_000, finer: None, by: by.to_vec(), only: Vec::new(), most: 100_000 }
}

fn ask(ports: &Ports, question: &Question) -> Report {
    block_on(report(ports, &ShardId::main(), question)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whoever drains may die at any step, and three may drain at a time: each request is counted once.
    #[test]
    fn each_request_is_counted_once_whatever_fails(
        rounds in proptest::collection::vec((1_usize..60, 0_usize..40, 20_400_u32..20_500), 1..12),
        long in any::<bool>(),
    ) {
        let (ports, _) = ports();
        let mut expected: BTreeMap<(String, u32), (u64, u64)> = BTreeMap::new();
        let mut number = 0;
        for (count, fuse, day) in rounds {
            let entries = (0..count).map(|_| {
                number += 1;
                let (team, day) = (format!("team-{}", number % 3), day + u32::try_from(number % 40).unwrap());
                let tags: Vec<String> =
                    if long { (0..32).map(|tag| format!("{tag}-{:0100}", number % 50)).collect() } else { Vec::new() };
                let cost = number as u64 * 1_000_003;
                let sums = expected.entry((team.clone(), day)).or_default();
                *sums = (sums.0 + 1, sums.1 + cost);
                entry(number, day, &team, &tags, cost)
            });
            keep(&ports, entries.collect());
            let fused = Arc::new(Fused { ports: ports.clone(), fuse: AtomicUsize::new(fuse), turns: AtomicUsize::new(number) });
            let weak = Ports { store: fused.clone(), ledger: fused, ..ports.clone() };
            let shard = ShardId::main();
            let _ = block_on(join3(drain(&weak, &shard, false), drain(&weak, &shard, false), drain(&weak, &shard, false)));
            // A reader counts nothing twice, however far it has come.
            prop_assert!(ask(&ports, &all(&[])).total[0] <= number as u64);
        }
        for _ in 0..60 {
            block_on(drain(&ports, &ShardId::main(), false)).unwrap();
        }
        let report = ask(&ports, &all(&[By::named("team").unwrap(), By::Day]));
        let rows: BTreeMap<(String, u32), (u64, u64)> = report.rows.iter().map(|row| {
            let day = Timestamp::parse(&format!("{}T00:00:00Z", row.of[1].as_ref().unwrap())).unwrap();
            let day = u32::try_from(day.seconds() / 86_400).unwrap();
            ((row.of[0].clone().unwrap(), day), (row.sums[0], row.sums[COST]))
        }).collect();
        prop_assert_eq!(&rows, &expected);
        prop_assert_eq!(report.total[0], number as u64);
        // By the hour and by the minute of what is kept so long, too. All came in the first minute of their day.
        let newest = expected.keys().map(|(_, day)| *day).max().unwrap();
        for (step, days) in [(Step::Hour, 31), (Step::Minute, 2)] {
            let mut sums: BTreeMap<String, (u64, u64)> = BTreeMap::new();
            for ((_, day), (count, cost)) in expected.iter().filter(|((_, day), _)| *day > newest - days) {
                let at = Timestamp::from_seconds(i64::from(*day) * 86_400).to_string();
                let sum = sums.entry(at).or_default();
                *sum = (sum.0 + count, sum.1 + cost);
            }
            let steps = 1_440 / step.minutes();
            let span = (newest + 1 - days) * steps..=newest * steps + steps - 1;
            let by = By::named(step.name()).unwrap();
            let report = ask(&ports, &Question { finer: Some((step, span)), ..all(&[by]) });
            let rows: BTreeMap<String, (u64, u64)> =
                report.rows.iter().map(|row| (row.of[0].clone().unwrap(), (row.sums[0], row.sums[COST]))).collect();
            prop_assert_eq!(rows, sums, "{}", step.name());
        }
        prop_assert_eq!(report.total[7..11].to_vec(), [3, 0, 3, 4].map(|kind| kind * number as u64).to_vec());
    }
}

#[test]
fn minutes_are_told_apart_by_so_many_and_no_more() {
    let (ports, _) = ports();
    let day = 20_000;
    let mut entries: Vec<Entry> = (0..60).map(|number| entry(number, day, "t", &[], 5)).collect();
    for (number, entry) in entries.iter_mut().enumerate() {
        entry.line = entry.line.replace("up/model", &format!("up/model-{number}")).into();
    }
    keep(&ports, entries);
    block_on(drain(&ports, &ShardId::main(), false)).unwrap();
    let model = By::named("model").unwrap();
    let minute = day * 1_440;
    let question = Question { finer: Some((Step::Minute, minute..=minute)), ..all(&[By::Minute, model]) };
    let report = ask(&ports, &question);
    assert_eq!((report.total[0], report.total[COST], report.rows.len()), (60, 300, 49));
    assert_eq!((&report.rows[0].of[1], report.rows[0].sums[0]), (&None, 12), "the rest has no name");
    assert_eq!(report.rows[1].of[0].as_deref(), Some("2024-10-04T00:00:00Z"));
}

#[test]
fn an_entry_that_comes_back_is_not_counted_again() {
    let (ports, _) = ports();
    let entries: Vec<Entry> = (0..3).map(|number| entry(number, 20_000, "t", &[], 5)).collect();
    for _ in 0..3 {
        keep(&ports, entries.clone());
        block_on(drain(&ports, &ShardId::main(), false)).unwrap();
    }
    assert_eq!(ask(&ports, &all(&[])).total[0], 3);
}

#[test]
fn a_report_is_as_of_the_oldest_request_that_waits() {
    let (ports, _) = ports();
    let day = u32::try_from(ports.clock.now().seconds() / 86_400).unwrap();
    assert_eq!(ask(&ports, &all(&[])).as_of, ports.clock.now());
    keep(&ports, vec![entry(0, day - 1, "t", &[], 5)]);
    let waiting = ask(&ports, &all(&[]));
    assert_eq!((waiting.total[0], waiting.as_of.seconds()), (0, i64::from(day - 1) * 86_400));
    block_on(drain(&ports, &ShardId::main(), false)).unwrap();
    let done = ask(&ports, &all(&[]));
    assert_eq!((done.total[0], done.as_of), (1, ports.clock.now()));
}

/// Mixed requests of two teams, as their callers and their admin see them.
fn mixed() -> World {
    let world = World::new();
    for id in ["search", "ads"] {
        assert_eq!(world.admin("POST", "/admin/v1/teams", &json!({ "id": id })).0, 201);
    }
    let (_, searcher) = world.key(&json!({ "team": "search", "tags": ["night"], "alias": "a" }));
    let (_, seller) = world.key(&json!({ "team": "ads", "limits": { "budget": ["0.001 USD / day"] } }));
    let body =
        json!({ "model": "plain", "max_tokens": 10, "messages": [{ "role": "user", "content": "hello" }] });
    let ask = |key: &str, tags: &str, answer: Option<(u16, Value)>| {
        if let Some((status, answer)) = &answer {
            world.handles.upstream.push_response(whole(*status, answer));
        }
        let mut request = openai(key, &body);
        request.headers_mut().insert("x-gatelet-tags", tags.parse().unwrap());
        read(world.send(request));
    };
    let fine = || Some((200, completion("hi", 7, 3)));
    ask(&searcher, "night, =cmd|' /c calc'!A1", fine());
    ask(&searcher, "batch", fine());
    ask(&searcher, "", Some((400, json!({ "error": { "message": "no", "type": "invalid_request_error" } }))));
    for _ in 0..40 {
        ask(&seller, "", fine());
    }
    world.records();
    world
}

fn spend(world: &World, query: &str) -> Value {
    let (status, report) =
        world.admin("GET", &format!("/admin/v1/spend?from=2025-12-01&to=2026-12-31{query}"), &json!({}));
    assert_eq!(status, 200, "{report}");
    report
}

fn ledger(world: &World, path: &str) -> String {
    let (_, view) = world.admin("GET", &format!("/admin/v1/{path}"), &json!({}));
    view["usage"]["spent"].as_str().unwrap().to_owned()
}

#[test]
fn reports_sum_to_the_ledger_and_say_what_was_what() {
    let world = mixed();
    let report = spend(&world, "&by=team");
    assert_eq!(report["by"], json!(["team"]));
    let [ads, search] = report["rows"].as_array().unwrap().as_slice() else { panic!("{report}") };
    assert_eq!((&ads["team"], &search["team"]), (&json!("ads"), &json!("search")));
    assert_eq!(ads["cost"], ledger(&world, "teams/ads"));
    assert_eq!(search["cost"], ledger(&world, "teams/search"));
    assert_eq!(search["cost"], "0.000074");
    let counts = |row: &Value| {
        ["requests", "attempts", "failures", "refunds", "refusals"].map(|name| row[name].as_u64().unwrap())
    };
    assert_eq!(counts(search), [3, 3, 1, 1, 0], "{search}");
    let [requests, attempts, failures, refunds, refusals] = counts(ads);
    assert_eq!((requests, failures, refunds), (40, 0, 0), "{ads}");
    assert!(refusals > 0 && attempts + refusals == 40, "{ads}");
    assert_eq!((&search["input"], &search["output"]), (&json!(14), &json!(6)));
    assert_eq!(report["total"]["requests"], 43);
}

#[test]
fn reports_are_told_apart_and_narrowed_by_everything() {
    let world = mixed();
    let costs = |query: &str, by: &str| -> Vec<(String, String)> {
        let report = spend(&world, &format!("{query}&by={by}"));
        let rows = report["rows"].as_array().unwrap().iter();
        rows.map(|row| (row[by].as_str().unwrap_or("-").to_owned(), row["cost"].as_str().unwrap().to_owned()))
            .collect()
    };
    let pair = |name: &str, cost: &str| (name.to_owned(), cost.to_owned());
    assert_eq!(
        costs("&team=search", "tag"),
        [pair("=cmd|' /c calc'!A1", "0.000037"), pair("batch", "0.000037"), pair("night", "0.000074")]
    );
    assert_eq!(costs("&tag=batch", "team"), [pair("search", "0.000037")]);
    assert_eq!(costs("&tag=", "team").len(), 1);
    assert_eq!(costs("&team=search&team=ads&tag=batch", "model"), [pair("model-o", "0.000037")]);
    assert_eq!(costs("&provider=up-openai&team=search", "day"), [pair("2026-01-01", "0.000074")]);
    assert_eq!(costs("&team=search", "month"), [pair("2026-01", "0.000074")]);
    assert_eq!(costs("&team=search", "customer"), [pair("-", "0.000074")]);
    assert_eq!(costs("&team=nobody", "team"), []);
    let (status, earlier) = world.admin("GET", "/admin/v1/spend?from=2025-01-01&to=2025-12-31", &json!({}));
    assert_eq!((status, &earlier["total"]["requests"], &earlier["rows"]), (200, &json!(0), &json!([])));
}

#[test]
fn a_report_is_a_table_too_without_formulas() {
    let world = mixed();
    let path = "/admin/v1/spend?team=search&by=day,tag&format=csv";
    let request = http::Request::get(format!("http://gate{path}"))
        .header("authorization", format!("Bearer {}", world::ADMIN))
        .body(gatelet_core::port::Body::Empty)
        .unwrap();
    let response = world.send(request);
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/csv"));
    let text = String::from_utf8(read(response)).unwrap();
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert!(
        lines[0].starts_with("day,tag,requests,refusals,failures,refunds,cache_hits,attempts,cost,input,"),
        "{text}"
    );
    assert!(lines[1].starts_with("2026-01-01,\"'=cmd|' /c calc'!A1\",1,0,0,0,0,1,0.000037,7,"), "{text}");
    assert_eq!(lines.len(), 5, "{text}");
}

#[test]
fn reports_by_the_minute_and_the_hour_come_to_the_same() {
    let world = mixed();
    let show = |query: &str| {
        let (status, report) = world.admin("GET", &format!("/admin/v1/spend?{query}"), &json!({}));
        assert_eq!(status, 200, "{report}");
        report
    };
    let days = show("by=day")["total"].clone();
    assert_eq!(days["requests"], 43);
    for step in ["minute", "hour"] {
        let report = show(&format!("by={step}"));
        assert_eq!(report["total"], days, "{report}");
        let at = report["rows"][0][step].as_str().unwrap();
        assert!(at.starts_with("2026-01-01T") && at.ends_with(":00Z"), "{at}");
        assert!(report["reads"].as_u64().unwrap() < 4, "{report}");
        assert_eq!(show(&format!("by={step},model&provider=nobody"))["rows"], json!([]));
        assert_eq!(show(&format!("by={step},model,org&model=model-o"))["rows"][0]["model"], "model-o");
        assert_eq!(
            show(&format!("by={step}&from={at}&to={at}"))["total"],
            report["rows"][0]
                .as_object()
                .unwrap()
                .iter()
                .filter(|(name, _)| *name != step)
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect::<Value>()
        );
    }
    for (query, param) in [
        ("by=minute,team", "by"),
        ("by=hour,minute,tag", "by"),
        ("by=minute&customer=c", "by"),
        ("by=minute&from=2025-12-01", "from"),
        ("by=hour&from=2025-11-01T00:00:00Z", "from"),
    ] {
        let (status, refused) = world.admin("GET", &format!("/admin/v1/spend?{query}"), &json!({}));
        assert_eq!((status, refused["param"].as_str()), (422, Some(param)), "{query}: {refused}");
    }
}

#[test]
fn what_a_report_cannot_mean_is_refused_by_name() {
    let world = World::new();
    for (query, param) in [
        ("by=colour", "by"),
        ("format=xml", "format"),
        ("colour=red", "colour"),
        ("month=2026-01", "month"),
        ("shard=A", "shard"),
    ] {
        let (status, refused) = world.admin("GET", &format!("/admin/v1/spend?{query}"), &json!({}));
        assert_eq!((status, refused["param"].as_str()), (400, Some(param)), "{query}: {refused}");
    }
    for (query, param) in [
        ("from=2026-13-01", "from"),
        ("to=yesterday", "to"),
        ("to=2026-01-01T00:00:00Z", "to"),
        ("from=2026-01-02&to=2026-01-01", "from"),
    ] {
        let (status, refused) = world.admin("GET", &format!("/admin/v1/spend?{query}"), &json!({}));
        assert_eq!((status, refused["param"].as_str()), (422, Some(param)), "{query}: {refused}");
    }
}

#[test]
fn who_runs_a_team_is_told_of_that_team_alone() {
    let world = mixed();
    let wish = json!({ "kind": "management", "role": "team_admin", "team": "search" });
    let (_, admin) = world.key(&wish);
    let show = |query: &str| {
        let (status, report) =
            world.call(&admin, "GET", &format!("/admin/v1/spend?from=2025-12-01{query}"), &json!({}));
        assert_eq!(status, 200, "{report}");
        report
    };
    assert_eq!(show("&by=team")["rows"][0]["team"], "search");
    assert_eq!(show("")["total"]["requests"], 3);
    assert_eq!(show("&team=ads")["total"]["requests"], 0);
    let (status, _) = world.call(&admin, "GET", "/admin/v1/spend?shard=other", &json!({}));
    assert_eq!(status, 404);
    let (_, stranger) = world.key(&json!({}));
    assert_eq!(world.call(&stranger, "GET", "/admin/v1/spend", &json!({})).0, 403);
}

/// A store in which somebody else is always faster.
struct Raced(Arc<dyn Store>, Arc<AtomicUsize>);

#[async_trait]
impl OverStore for Raced {
    fn under(&self) -> &dyn Store {
        &*self.0
    }
    async fn turn(&self, call: &'static str, _: &[u8]) -> Result<(), Fault> {
        let lost = call == "put"
            && self.1.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        if lost { Err(Fault::new(FaultKind::Conflict, "store.put", "raced")) } else { Ok(()) }
    }
}

#[test]
fn a_tick_that_loses_every_race_is_no_failure_and_loses_nothing() {
    let races = Arc::new(AtomicUsize::new(0));
    let count = races.clone();
    let world = World::with(|ports| Ports { store: Arc::new(Raced(ports.store.clone(), count)), ..ports });
    world.handles.upstream.always(|_, _| Ok(whole(200, &completion("hello", 3, 2))));
    let (_, key) = world.key(&json!({}));
    assert_eq!(
        world
            .send(openai(
                &key,
                &json!({ "model": "plain", "messages": [{ "role": "user", "content": "hello" }] })
            ))
            .status(),
        200
    );
    races.store(usize::MAX, Ordering::Relaxed);
    assert_eq!(world.admin("POST", "/admin/v1/tick", &json!({})).0, 200);
    let lines = world.handles.log.lines();
    assert!(lines.iter().any(|line| line.contains("records wait for the next tick")), "{lines:?}");
    races.store(0, Ordering::Relaxed);
    block_on(world.gateway.tick()).unwrap();
    let requests: Vec<Value> =
        world.records().into_iter().filter(|record| record["kind"] == "request").collect();
    let ids: std::collections::BTreeSet<&str> =
        requests.iter().map(|record| record["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 1, "{requests:?}");
}
