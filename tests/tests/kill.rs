//! Each host is killed in the middle of load, again and again, while it tells of what it archives: every answer that somebody has
//! read to its end is in the archive, in OpenTelemetry and in Datadog, with the same tokens and cost, and what `DuckDB` sums is what
//! the ledger says.
//!
//! 400 requests and six kills in an ordinary run; `GATELET_REQUESTS=10000 GATELET_KILLS=100` for the full count.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures_util::future::try_join_all;
use gatelet_tests::agent::{Agent, Told};
use gatelet_tests::check_eq;
use gatelet_tests::client::{Call, Whole};
use gatelet_tests::host::{ADMIN_KEY, Host, Key, Kind, Object};
use gatelet_tests::spoken;
use gatelet_tests::upstream::{Dialect, Ending, Play, Reply, Upstream};
use gatelet_tests::world::{Books, config, cost, nanos};
use gatelet_wire::DialectId;
use http::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::sleep;

const CALLERS: usize = 12;
/// How long any wait may take here; whoever dies while it tells has a claim on the sinks for a minute.
const PATIENCE: Duration = Duration::from_mins(15);
/// What the scripts say that their answers used.
const USED: (u64, u64) = (40, 7);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_has_told_of_every_answer() -> Result<()> {
    killed(Kind::Server).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_worker_has_told_of_every_answer() -> Result<()> {
    killed(Kind::Worker).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_lambda_has_told_of_every_answer() -> Result<()> {
    killed(Kind::Lambda).await
}

/// Who asks.
#[derive(Clone, Copy)]
enum Who {
    Rich,
    /// Whose budget affords nothing.
    Poor,
}

/// One of the ways in which callers ask.
#[derive(Clone, Copy)]
struct Way {
    dialect: DialectId,
    model: &'static str,
    streamed: bool,
    who: Who,
    guards: Option<&'static str>,
    /// Does not stay for the end.
    leaves: bool,
    /// What a good answer used. None: what came is estimated, or came from the cache.
    used: Option<(u64, u64)>,
}

const fn whole(dialect: DialectId, model: &'static str) -> Way {
    Way { dialect, model, streamed: false, who: Who::Rich, guards: None, leaves: false, used: Some(USED) }
}

const fn stream(dialect: DialectId, model: &'static str) -> Way {
    Way { streamed: true, ..whole(dialect, model) }
}

static WAYS: [Way; 20] = [
    whole(DialectId::Openai, "chat/killed"),
    stream(DialectId::Openai, "chat/killed"),
    whole(DialectId::Anthropic, "claude/killed"),
    stream(DialectId::Anthropic, "claude/killed"),
    stream(DialectId::Openai, "claude/killed"),
    whole(DialectId::Anthropic, "chat/killed"),
    stream(DialectId::OpenaiResponses, "chat/killed"),
    whole(DialectId::OpenaiResponses, "claude/killed"),
    stream(DialectId::Gemini, "claude/killed"),
    whole(DialectId::Gemini, "chat/killed"),
    stream(DialectId::Bedrock, "chat/killed"),
    whole(DialectId::Cohere, "claude/killed"),
    stream(DialectId::Ollama, "chat/killed"),
    whole(DialectId::Anthropic, "spare/killed-elsewhere"),
    whole(DialectId::Openai, "chat/killed-broken"),
    Way { used: None, ..stream(DialectId::Openai, "chat/killed-cut") },
    Way { used: None, ..whole(DialectId::Openai, "kept/killed-again") },
    Way { guards: Some("pii"), ..stream(DialectId::Openai, "chat/killed") },
    Way { leaves: true, ..stream(DialectId::Anthropic, "claude/killed-slow") },
    Way { who: Who::Poor, ..whole(DialectId::Openai, "chat/killed") },
];

fn script(upstream: &Upstream) {
    let text = || Reply::text(["a ", "few ", "words"]).usage(USED.0, USED.1);
    let failure = json!({"error": {"message": "no", "type": "server_error", "param": null, "code": null}});
    upstream.script("killed", [text().into()]);
    upstream.script("killed-again", [text().into()]);
    upstream.script("killed-broken", [Play::json(500, &failure)]);
    upstream.script("killed-cut", [text().ending_after(2, Ending::Cut).into()]);
    upstream.script("killed-slow", [text().every(Duration::from_millis(20)).into()]);
    upstream.script_of(Dialect::OpenAi, "killed-elsewhere", [Play::json(500, &failure)]);
    upstream.script_of(Dialect::Anthropic, "killed-elsewhere", [text().into()]);
}

/// What callers share.
struct Load {
    address: SocketAddr,
    rich: Key,
    poor: Key,
    begun: AtomicUsize,
}

/// An answer that was read to its end.
struct Read {
    id: String,
    /// How it was asked for, for whoever has to find out why it is lost.
    way: &'static Way,
    status: u16,
    /// What is to be told of it, as far as the scripts say so.
    wanted: Option<Told>,
}

#[expect(clippy::print_stdout, reason = "how much was lost, and how much came twice, is for readers")]
async fn killed(kind: Kind) -> Result<()> {
    let (requests, kills) = (number("GATELET_REQUESTS", 400)?, number("GATELET_KILLS", 6)?);
    let began = Instant::now();
    let (agent, upstream) = (Agent::start().await?, Upstream::start().await?);
    script(&upstream);
    let config = format!("{}\nsinks:\n{}", config(&upstream), agent.sinks());
    let mut host = Host::start(kind, &config).await?;
    // What is new hears of what comes from its first tick on.
    host.tick().await?;
    let key = async |budget: &str| host.key(json!({"limits": {"budget": [budget]}})).await;
    let (rich, poor) = (key("1000 USD / year").await?, key("0.000001 USD / year").await?);
    let load = Arc::new(Load { address: host.address(), rich, poor, begun: AtomicUsize::new(0) });
    let mut answers = Vec::new();
    for round in 0..kills {
        let stop = Arc::new(AtomicBool::new(false));
        let callers: Vec<JoinHandle<Result<Vec<Read>>>> =
            (0..CALLERS).map(|_| tokio::spawn(caller(Arc::clone(&load), Arc::clone(&stop)))).collect();
        let ticker = tokio::spawn(ticks(load.address, Arc::clone(&stop)));
        let (quota, since) = (requests * (round + 1) / kills, Instant::now());
        while load.begun.load(Ordering::SeqCst) < quota {
            ensure!(since.elapsed() < PATIENCE, "too slow:\n{}", host.log());
            sleep(Duration::from_millis(2)).await;
        }
        // Not always at the same moment of a request's life, nor of a tick's.
        sleep(Duration::from_millis((round as u64 * 7) % 40)).await;
        stop.store(true, Ordering::SeqCst);
        host.kill_and_restart().await?;
        for caller in callers {
            answers.extend(caller.await??);
        }
        ticker.await?;
    }
    let (loaded, since) = (began.elapsed(), Instant::now());
    let seen =
        seen(&host, &agent, &answers).await.with_context(|| format!("{}\n{}", host.log(), agent.log()))?;
    judged(&host, &load, &answers, &seen).await?;
    let refused = answers.iter().filter(|answer| answer.status == 402).count();
    println!(
        "{kind}: {} requests, {} answers read to their end ({refused} refusals), {} records after {kills} kills; \
         {} lines stood in the archive twice, {} requests were told twice; load {:.0} s, until all was told {:.0} s",
        load.begun.load(Ordering::SeqCst),
        answers.len(),
        seen.records.len(),
        seen.doubles,
        [&seen.traced, &seen.observed]
            .map(|told| told.values().filter(|told| told.len() > 1).count())
            .iter()
            .sum::<usize>(),
        loaded.as_secs_f64(),
        since.elapsed().as_secs_f64(),
    );
    Ok(())
}

fn number(variable: &str, usual: usize) -> Result<usize> {
    std::env::var(variable).ok().map_or(Ok(usual), |text| text.parse()).with_context(|| variable.to_owned())
}

/// Asks until it is told to stop, or nobody answers any more.
async fn caller(load: Arc<Load>, stop: Arc<AtomicBool>) -> Result<Vec<Read>> {
    let mut read = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        let way = &WAYS[load.begun.fetch_add(1, Ordering::SeqCst) % WAYS.len()];
        let request = spoken::question(way.model, "Write to ann@example.com, please.", way.streamed);
        let key = match way.who {
            Who::Rich => &load.rich,
            Who::Poor => &load.poor,
        };
        let mut call = spoken::call(load.address, way.dialect, &key.secret, &request)?;
        if let Some(guards) = way.guards {
            call = call.header("x-gatelet-guards", guards);
        }
        let Ok(mut answer) = call.send().await else { break };
        if way.leaves {
            // After the first words, if there are any.
            let _ = answer.chunk().await;
            continue;
        }
        let answer = answer.whole().await?;
        let Some(id) = answer.header("x-gatelet-request-id").map(str::to_owned) else { break };
        if !is_whole(way, &answer) {
            continue;
        }
        let used = if answer.status == 200 { way.used } else { Some((0, 0)) };
        let wanted = used.map(|(input, output)| Told { input, output, cost: cost(input, output) });
        read.push(Read { id, way, status: answer.status, wanted });
    }
    Ok(read)
}

/// Whether the answer came to its end. A stream has, once its dialect's own ending was read, whether or not the connection was
/// closed in order.
fn is_whole(way: &Way, answer: &Whole) -> bool {
    let ending = match way.dialect {
        DialectId::Openai => Some("data: [DONE]"),
        DialectId::Anthropic => Some("event: message_stop"),
        DialectId::OpenaiResponses => Some("event: response.completed"),
        DialectId::Cohere => Some("\"message-end\""),
        DialectId::Ollama => Some("\"done\":true"),
        // They have none.
        DialectId::Gemini | DialectId::Bedrock => None,
    };
    answer.complete || (way.streamed && ending.is_some_and(|ending| answer.text().contains(ending)))
}

/// Ticks without a pause, so that what dies dies in the middle of that, too.
async fn ticks(address: SocketAddr, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::SeqCst) {
        // Nobody answers from the kill on.
        let _ = Call::new(address, Method::POST, "/admin/v1/tick").key(ADMIN_KEY).whole().await;
        sleep(Duration::from_millis(50)).await;
    }
}

/// What all that look have seen in the end.
struct Seen {
    objects: Vec<Object>,
    /// The records of requests, by id.
    records: BTreeMap<String, Value>,
    /// Numbers of attempts, by their request's id.
    attempts: BTreeMap<String, BTreeSet<u64>>,
    /// Lines that were there once more.
    doubles: usize,
    traced: BTreeMap<String, Vec<Told>>,
    observed: BTreeMap<String, Vec<Told>>,
}

/// Waits until the archive does not grow any more, and both receivers have heard of all that is in it.
async fn seen(host: &Host, agent: &Agent, answers: &[Read]) -> Result<Seen> {
    let end = Instant::now() + PATIENCE;
    let mut quiet = 0;
    loop {
        let ticked = host.admin(Method::POST, "/admin/v1/tick").expect(200).await?;
        quiet = if ticked["archived"] == json!(0) && ticked["passed_on"] == json!(0) { quiet + 1 } else { 0 };
        ensure!(Instant::now() < end, "records still come");
        if quiet < 3 {
            sleep(Duration::from_millis(200)).await;
            continue;
        }
        let mut seen = archived(host).await?;
        recorded(answers, &seen)?;
        (seen.traced, seen.observed) = (agent.traced().await?, agent.observed().await?);
        let missing = |told: &BTreeMap<String, Vec<Told>>| {
            seen.records.keys().filter(|id| !told.contains_key(*id)).count()
        };
        let missing = [missing(&seen.traced), missing(&seen.observed)];
        if missing == [0, 0] {
            return Ok(seen);
        }
        let records = seen.records.len();
        ensure!(Instant::now() < end, "of {records} records OpenTelemetry and Datadog miss {missing:?}");
        // Whoever died has a claim on the sinks for a minute.
        sleep(Duration::from_secs(3)).await;
        quiet = 0;
    }
}

/// What is in the archive, each line once.
async fn archived(host: &Host) -> Result<Seen> {
    let objects = host.archive().await?;
    let (mut records, mut attempts, mut doubles) = (BTreeMap::new(), BTreeMap::new(), 0);
    let mut tries: BTreeMap<(String, u64), Value> = BTreeMap::new();
    for object in &objects {
        for line in object.records()? {
            let id = line["id"].as_str().context("no id")?.to_owned();
            let known = match line["kind"].as_str() {
                Some("request") => records.insert(id, line.clone()),
                Some("attempt") => {
                    tries.insert((id, line["attempt"].as_u64().context("no number")?), line.clone())
                }
                other => anyhow::bail!("a line of the kind {other:?}"),
            };
            if let Some(known) = known {
                check_eq!(known, line, "one id, and two things are said of it");
                doubles += 1;
            }
        }
    }
    for (id, number) in tries.into_keys() {
        attempts.entry(id).or_insert_with(BTreeSet::new).insert(number);
    }
    let (traced, observed) = (BTreeMap::new(), BTreeMap::new());
    Ok(Seen { objects, records, attempts, doubles, traced, observed })
}

/// Every answer has its record.
fn recorded(answers: &[Read], seen: &Seen) -> Result<()> {
    // What a limit refuses costs nothing, and is written down behind its answer: whoever dies may know of it no more.
    let lost = |answer: &&Read| answer.status != 402 && !seen.records.contains_key(&answer.id);
    let shown = |answer: &Read| {
        let Way { dialect, model, streamed, .. } = answer.way;
        format!("{} ({} of {model} in {}, streamed: {streamed})", answer.id, answer.status, dialect.name())
    };
    let lost: Vec<String> = answers.iter().filter(lost).map(shown).collect();
    ensure!(lost.is_empty(), "{} of {} answers have no record: {lost:?}", lost.len(), answers.len());
    Ok(())
}

async fn judged(host: &Host, load: &Load, answers: &[Read], seen: &Seen) -> Result<()> {
    let twice = answers.iter().map(|answer| &answer.id).collect::<BTreeSet<_>>().len();
    check_eq!(twice, answers.len(), "ids of answers");
    for answer in answers {
        let Some(record) = seen.records.get(&answer.id) else { continue };
        if let Some(wanted) = &answer.wanted {
            check_eq!(record["status"], json!(answer.status), "{record}");
            check_eq!(&told(record)?, wanted, "{record}");
        }
    }
    for (id, record) in &seen.records {
        let wanted = told(record)?;
        for (whose, all) in [("OpenTelemetry", &seen.traced), ("Datadog", &seen.observed)] {
            for told in &all[id] {
                check_eq!(told, &wanted, "{whose}: {record}");
            }
        }
        let attempts = record["attempts"].as_u64().context("no attempts")?;
        let numbers = seen.attempts.get(id).cloned().unwrap_or_default();
        check_eq!(numbers, (1..=attempts).collect::<BTreeSet<u64>>(), "attempts of {record}");
    }
    for (whose, all) in [("OpenTelemetry", &seen.traced), ("Datadog", &seen.observed)] {
        check_eq!(all.len(), seen.records.len(), "requests that {whose} knows, and records");
    }
    // Each way has been gone to its end, or this was no load.
    let statuses: BTreeSet<u16> = answers.iter().map(|answer| answer.status).collect();
    let failed = statuses.iter().any(|status| *status >= 500);
    ensure!(failed && statuses.contains(&200) && statuses.contains(&402), "{statuses:?}");
    ensure!(answers.len() * 2 > load.begun.load(Ordering::SeqCst), "only {} answers", answers.len());
    ledger(host, load, seen).await
}

/// The ledger and the archive say the same, and so does a reader of it that knows nothing of the gateway.
async fn ledger(host: &Host, load: &Load, seen: &Seen) -> Result<()> {
    let keys = [&load.rich, &load.poor];
    let sums = try_join_all(keys.map(|key| Object::sums(seen.objects.clone(), &key.id))).await?;
    for (key, sums) in keys.into_iter().zip(sums) {
        let books = Books::of(&host.show(key).await?)?;
        if host.kind == Kind::Server {
            // Elsewhere what died is held until it expires.
            check_eq!(books.held, 0, "what died still holds");
        }
        let mine: Vec<Told> = seen
            .records
            .values()
            .filter(|record| record["key"] == *key.id)
            .map(told)
            .collect::<Result<_>>()?;
        let sum = |of: fn(&Told) -> u64| mine.iter().map(of).sum::<u64>();
        let count = |name: &str| sums[name].as_u64().with_context(|| format!("no `{name}` in {sums}"));
        let spent = nanos(sums["cost"].as_str().context("no cost")?)?;
        check_eq!(spent, books.spent, "what DuckDB sums, and the ledger: {sums}");
        check_eq!(spent, sum(|told| told.cost), "{sums}");
        check_eq!((count("rows")?, count("ids")?), (mine.len() as u64, mine.len() as u64), "{sums}");
        check_eq!(
            (count("input")?, count("output")?),
            (sum(|told| told.input), sum(|told| told.output)),
            "{sums}"
        );
    }
    Ok(())
}

/// What a record says, as receivers are told it.
fn told(record: &Value) -> Result<Told> {
    let tokens = |name: &str| record["usage"][name].as_u64().unwrap_or(0);
    let cost = nanos(record["cost"].as_str().context("no cost")?)?;
    Ok(Told { input: tokens("input"), output: tokens("output"), cost })
}
