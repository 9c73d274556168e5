//! Two hundred callers in five nested scopes, whole answers and streams, failures and callers that leave, and a gateway that is killed in
//! between: no hard limit is passed by a nano-dollar, nearly all can be used, and the reports sum to the ledger. On every host.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::future::join_all;
use gatelet_tests::check_eq;
use gatelet_tests::client::Call;
use gatelet_tests::host::{ADMIN_KEY, Host, Kind, archive_at};
use gatelet_tests::upstream::{Dialect, Ending, Gate, Play, Reply, Upstream};
use gatelet_tests::world::{config, model, nanos};
use http::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::sleep;

const CALLERS: usize = 200;
const KEYS: usize = 8;
/// The narrowest limit, of the organisation.
const LIMIT: u64 = 40_000_000;
/// What a request may take at most: what the killed hold, and one that does not fit any more, are less than a hundredth of the limit.
const BOUND: u64 = 116_000;
/// Requests in flight when the gateway is killed: what they hold stays held until it expires, where nobody knows that they died.
const KILLED: usize = 2;
/// Who asks then: by keys in whose scopes only the organisation's limit is near, so that each does reach the upstream.
const DYING: [usize; KILLED] = [4, 6];
/// How many answers there are before.
const BEFORE: usize = 250;
/// How long any wait may take here; the machine may be busy.
const PATIENCE: Duration = Duration::from_mins(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_exact() -> Result<()> {
    let upstream = Upstream::start().await?;
    exact(Host::start(Kind::Server, &config(&upstream)).await?, upstream).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_worker_is_exact() -> Result<()> {
    let upstream = Upstream::start().await?;
    exact(Host::start(Kind::Worker, &config(&upstream)).await?, upstream).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_function_is_exact() -> Result<()> {
    let upstream = Upstream::start().await?;
    exact(Host::start(Kind::Lambda, &config(&upstream)).await?, upstream).await
}

/// What callers share.
struct Load {
    address: SocketAddr,
    secrets: Vec<String>,
    paused: AtomicBool,
    open: AtomicUsize,
    answered: AtomicUsize,
}

#[expect(clippy::print_stdout, reason = "how much was used is for readers")]
async fn exact(mut host: Host, upstream: Upstream) -> Result<()> {
    let began = Instant::now();
    let gate = Gate::closed();
    script(&upstream, &gate);
    let secrets = organisation(host.address()).await?;
    let load = Arc::new(Load {
        address: host.address(),
        secrets,
        paused: AtomicBool::new(false),
        open: AtomicUsize::new(0),
        answered: AtomicUsize::new(0),
    });
    let callers: Vec<_> =
        (0..CALLERS).map(|number| tokio::spawn(caller(Arc::clone(&load), number))).collect();
    until(&host, "answers", || load.answered.load(Ordering::SeqCst) >= BEFORE).await?;
    load.paused.store(true, Ordering::SeqCst);
    until(&host, "the end of each", || load.open.load(Ordering::SeqCst) == 0).await?;
    held_at_most(0, host.address()).await.with_context(|| host.log())?;
    let dying = DYING.map(|number| {
        let load = Arc::clone(&load);
        tokio::spawn(async move { ask(&load, number, "exact-killed", true).whole().await })
    });
    let asked = || upstream.received("exact-killed").len() >= KILLED;
    until(&host, "the last requests", || asked() || dying.iter().any(JoinHandle::is_finished)).await?;
    if !asked() {
        bail!("answered before the upstream was asked: {:?}\n{}", join_all(dying).await, host.log());
    }
    host.kill_and_restart().await?;
    gate.open();
    join_all(dying).await;
    load.paused.store(false, Ordering::SeqCst);
    for caller in callers {
        caller.await?.with_context(|| host.log())?;
    }
    // Some were refused while others' bounds were held: what those gave back is there for the next ones.
    held_at_most(KILLED as u64 * BOUND, host.address()).await.with_context(|| host.log())?;
    for number in 0..KEYS {
        while one(&load, number, "exact-fine", false).await? {
            load.answered.fetch_add(1, Ordering::SeqCst);
        }
    }
    let spent = judged(host.address()).await.with_context(|| host.log())?;
    println!(
        "{} answers: {spent} of {LIMIT} nano-dollars in {:.1} s",
        load.answered.load(Ordering::SeqCst),
        began.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Waits for what callers do.
async fn until(host: &Host, what: &str, done: impl Fn() -> bool) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    while !done() {
        ensure!(Instant::now() < end, "{what}: not within {PATIENCE:?}:\n{}", host.log());
        sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// An organisation with two teams and projects, four users and eight keys. One key, one user and one team are narrower than what they
/// are asked for.
async fn organisation(address: SocketAddr) -> Result<Vec<String>> {
    let make =
        async |plural: &str, wish: Value| admin(address, Method::POST, plural).json(&wish).expect(201).await;
    let limited = |usd: &str| json!({"budget": [format!("{usd} USD / day"), "10 USD / total"]});
    make("orgs", json!({"id": "exact", "limits": limited("0.04")})).await?;
    for (number, usd) in ["0.014", "0.1"].into_iter().enumerate() {
        make("teams", json!({"id": format!("exact{number}"), "org": "exact", "limits": limited(usd)}))
            .await?;
        make("projects", json!({"id": format!("exact{number}"), "org": "exact", "limits": limited("0.1")}))
            .await?;
    }
    for number in 0..4 {
        let usd = if number == 1 { "0.003" } else { "0.1" };
        make("users", json!({"id": format!("exact{number}"), "org": "exact", "limits": limited(usd)}))
            .await?;
    }
    let mut secrets = Vec::new();
    for number in 0..KEYS {
        let [team, project, user] =
            [number / 4, number % 2, number % 4].map(|number| format!("exact{number}"));
        let usd = if number == 2 { "0.001" } else { "0.1" };
        let key =
            json!({"org": "exact", "team": team, "project": project, "user": user, "limits": limited(usd)});
        secrets.push(make("keys", key).await?["key"].as_str().context("no key")?.to_owned());
    }
    Ok(secrets)
}

fn script(upstream: &Upstream, gate: &Gate) {
    let text = || Reply::text(["a ", "few ", "words"]).usage(40, 2);
    upstream.script("exact-fine", [text().into()]);
    upstream.script("exact-cut", [text().ending_after(1, Ending::Cut).into()]);
    upstream.script("exact-slow", [text().every(Duration::from_millis(20)).into()]);
    upstream.script("exact-killed", [Play::Gated(gate.clone(), Box::new(text().into()))]);
    let failure = json!({"error": {"message": "no", "type": "server_error", "param": null, "code": null}});
    upstream.script("exact-broken", [Play::json(500, &failure)]);
}

fn ask(load: &Load, number: usize, script: &str, streamed: bool) -> Call {
    let dialect = if number % 3 == 2 { Dialect::Anthropic } else { Dialect::OpenAi };
    let mut body = json!({
        "model": model(dialect, script), "stream": streamed,
        "messages": [{"role": "user", "content": "Forty bytes of text make forty tokens ..."}],
    });
    let (path, cap) = match dialect {
        Dialect::OpenAi => ("/v1/chat/completions", "max_completion_tokens"),
        Dialect::Anthropic => ("/v1/messages", "max_tokens"),
    };
    body[cap] = json!(2);
    Call::new(load.address, Method::POST, path).key(&load.secrets[number % KEYS]).json(&body)
}

/// Asks until it is refused for money.
async fn caller(load: Arc<Load>, number: usize) -> Result<()> {
    for turn in number.. {
        while load.paused.load(Ordering::SeqCst) {
            sleep(Duration::from_millis(20)).await;
        }
        load.open.fetch_add(1, Ordering::SeqCst);
        let (script, streamed) = match turn % 16 {
            3 => ("exact-broken", turn % 32 < 16),
            7 => ("exact-cut", true),
            11 => ("exact-slow", true),
            other => ("exact-fine", other % 2 == 0),
        };
        let outcome = one(&load, number, script, streamed).await;
        load.open.fetch_sub(1, Ordering::SeqCst);
        if !outcome? {
            return Ok(());
        }
        load.answered.fetch_add(1, Ordering::SeqCst);
    }
    Ok(())
}

/// One request; false: there is no money for it.
async fn one(load: &Load, number: usize, script: &str, streamed: bool) -> Result<bool> {
    let mut answer = ask(load, number, script, streamed).send().await?;
    if script == "exact-slow" && answer.status == 200 {
        // Leaves after the first words.
        answer.chunk().await?;
        return Ok(true);
    }
    let answer = answer.whole().await?;
    match answer.status {
        200 => Ok(true),
        500..=599 if script == "exact-broken" => Ok(true),
        402 | 429 => Ok(false),
        other => bail!("{script}: {other}: {}", answer.text()),
    }
}

/// Waits until those who left are settled: what they held is there for others, and they do not die with the host.
async fn held_at_most(most: u64, address: SocketAddr) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    loop {
        let shown = admin(address, Method::GET, "orgs/exact").expect(200).await?;
        let budgets = shown["usage"]["budget"].as_array().context("no budgets")?;
        let mut held = 0;
        for budget in budgets {
            held = held.max(nanos(budget["held"].as_str().context("nothing is said to be held")?)?);
        }
        if held <= most {
            return Ok(());
        }
        ensure!(Instant::now() < end, "still held: {shown}");
        sleep(Duration::from_millis(100)).await;
    }
}

/// Holds every account to its limits, and to the records and reports. Answers what the organisation has spent.
async fn judged(address: SocketAddr) -> Result<u64> {
    // Those who left are settled behind their backs.
    let mut rounds = 0;
    while admin(address, Method::POST, "tick").expect(200).await?["archived"] != json!(0) || rounds < 3 {
        rounds += 1;
        ensure!(rounds < 200, "the outbox is never empty");
        sleep(Duration::from_millis(500)).await;
    }
    let mut records = BTreeMap::new();
    for object in archive_at(address).await? {
        for record in object.records()?.into_iter().filter(|record| record["kind"] == "request") {
            records.insert(record["id"].as_str().context("no id")?.to_owned(), record);
        }
    }
    let mut of_organisation = 0;
    for (plural, field) in
        [("orgs", "org"), ("teams", "team"), ("projects", "project"), ("users", "user"), ("keys", "key")]
    {
        let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
        for record in records.values() {
            let cost = nanos(record["cost"].as_str().context("no cost")?)?;
            *sums.entry(record[field].as_str().unwrap_or_default()).or_default() += cost;
        }
        let report = admin(address, Method::GET, &format!("spend?by={field}")).expect(200).await?;
        for (id, sum) in sums {
            let shown = admin(address, Method::GET, &format!("{plural}/{id}")).expect(200).await?;
            let amount = |value: &Value| nanos(value.as_str().unwrap_or_default());
            let spent = amount(&shown["usage"]["spent"])?;
            check_eq!(spent, sum, "{plural}/{id}: the ledger and the records");
            let rows = report["rows"].as_array().context("no rows")?;
            let row = rows
                .iter()
                .find(|row| row[field] == id)
                .with_context(|| format!("no row of {id}: {report}"))?;
            check_eq!(amount(&row["cost"])?, sum, "{plural}/{id}: the report and the records");
            for budget in shown["usage"]["budget"].as_array().context("no budgets")? {
                let (limit, spent, held) =
                    (amount(&budget["limit"])?, amount(&budget["spent"])?, amount(&budget["held"])?);
                ensure!(spent + held <= limit, "{plural}/{id}: {spent} and {held} of {limit}");
            }
            if plural == "orgs" {
                of_organisation = spent;
            }
        }
    }
    ensure!(of_organisation <= LIMIT, "{of_organisation} of {LIMIT}");
    ensure!(of_organisation >= LIMIT / 100 * 99, "only {of_organisation} of {LIMIT} could be used");
    Ok(of_organisation)
}

fn admin(address: SocketAddr, method: Method, path: &str) -> Call {
    Call::new(address, method, &format!("/admin/v1/{path}")).key(ADMIN_KEY)
}
