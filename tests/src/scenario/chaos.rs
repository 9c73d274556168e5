//! The table of faults: what a target may do wrong, and that its caller sees nothing of it while another can answer. One
//! scenario a fault, so that the list of names is the table.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Scenario;
use super::records::recorded;
use crate::check_eq;
use crate::upstream::{Dialect, Ending, Piece, Play, Reply};
use crate::world::{World, cost, question};

/// A fault, how its target is asked, and what the attempt's record says of it.
#[derive(Clone, Copy)]
struct Row {
    name: &'static str,
    /// The model whose second target answers; scripts are named by what stands for the star.
    model: &'static str,
    streamed: bool,
    play: fn() -> Play,
    outcome: &'static str,
    /// The target's answer had begun, so that its provider may bill it.
    billed: bool,
    /// What the fault itself takes.
    within: Duration,
}

const AT_ONCE: Duration = Duration::ZERO;
/// The models here wait so long for the first content: on a busy machine a healthy target may need a second for it.
const A_SILENCE: Duration = Duration::from_secs(5);
/// What else a request may take here, where hosts and many scenarios share two processors.
const WORK: Duration = Duration::from_secs(10);

const fn row(name: &'static str, outcome: &'static str, play: fn() -> Play) -> Row {
    Row { name, model: "spare", streamed: false, play, outcome, billed: false, within: AT_ONCE }
}

const fn stream(name: &'static str, outcome: &'static str, play: fn() -> Play) -> Row {
    Row { streamed: true, billed: true, ..row(name, outcome, play) }
}

const fn slow(row: Row) -> Row {
    Row { billed: true, within: A_SILENCE, ..row }
}

fn error(kind: &str) -> Value {
    json!({ "error": { "message": "not now", "type": kind, "param": null, "code": null } })
}

static ROWS: &[Row] = &[
    row("429_with_retry_after", "upstream_limited", || {
        Play::json(429, &error("rate_limit_error")).with_header("retry-after", "30")
    }),
    row("429_without_retry_after", "upstream_limited", || Play::json(429, &error("rate_limit_error"))),
    row("500", "upstream_failed", || Play::json(500, &error("server_error"))),
    row("502_of_a_proxy", "upstream_failed", || Play::text(502, "text/html", "<h1>Bad Gateway</h1>")),
    row("503", "upstream_overloaded", || Play::json(503, &error("server_error"))),
    row("529", "upstream_overloaded", || Play::json(529, &error("overloaded_error"))),
    row("a_refused_credential", "upstream_credential", || Play::json(401, &error("authentication_error"))),
    row("an_unknown_model", "upstream_refused", || Play::json(404, &error("not_found_error"))),
    row("a_closed_connection", "upstream_unreachable", || Play::HangUp),
    Row { model: "refused-spare", ..row("a_refused_connection", "upstream_unreachable", || Play::HangUp) },
    Row { model: "insecure-spare", ..row("a_failed_handshake", "upstream_unreachable", || Play::HangUp) },
    Row {
        model: "nameless-spare",
        ..row("a_name_that_nobody_knows", "upstream_unreachable", || Play::HangUp)
    },
    slow(row("silence_before_headers", "upstream_timeout", || Play::Silence)),
    slow(stream("silence_after_headers", "upstream_timeout", || {
        Reply::text(["never"]).usage(10, 1).ending_after(0, Ending::Silence).into()
    })),
    Row {
        billed: true,
        ..row("a_truncated_body", "upstream_malformed", || {
            Play::text(200, "application/json", "{\"id\":\"c\",\"choices\":[{\"index\":0,\"mess")
        })
    },
    Row {
        billed: true,
        ..row("a_body_that_is_no_json", "upstream_malformed", || {
            Play::text(200, "text/html", "<h1>Welcome</h1>")
        })
    },
    Row {
        billed: true,
        ..row("an_error_inside_a_success", "upstream_failed", || Play::json(200, &error("server_error")))
    },
    stream("an_error_event_first", "upstream_failed", || {
        Play::events([Piece::text(&format!("data: {}\n\n", error("server_error")))])
    }),
    stream("a_malformed_event_first", "upstream_malformed", || {
        Play::events([Piece::text("data: {\"choices\":[{\n\n")])
    }),
    stream("a_cut_before_content", "upstream_broken", || {
        Reply::text(["never"]).usage(10, 1).ending_after(0, Ending::Cut).into()
    }),
    stream("an_end_before_content", "upstream_broken", || {
        Reply::text(["never"]).usage(10, 1).ending_after(0, Ending::Close).into()
    }),
];

/// What became of each fault on each host, by what its scenario saw.
static SEEN: Mutex<BTreeMap<(&str, String), Seen>> = Mutex::new(BTreeMap::new());

/// One cell of the table, after all that the scenario expects of it has held.
#[derive(Clone)]
struct Seen {
    status: u16,
    attempts: String,
    took: Duration,
    /// Nano-dollars.
    charged: u64,
    /// Of each attempt's record: its outcome, and whether its provider may bill it.
    recorded: String,
}

/// The table of what was seen, a line for each fault and host; none: no such scenario has passed.
pub(crate) fn table() -> Option<String> {
    let seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut table = String::from(
        "| fault | host | caller reads | attempts | took | charged (USD) | records of the attempts |\n\
         | --- | --- | ---: | ---: | ---: | ---: | --- |\n",
    );
    for ((fault, host), Seen { status, attempts, took, charged, recorded }) in seen.iter() {
        let (took, charged) = (took.as_millis(), format!("0.{charged:09}"));
        let _ = writeln!(
            table,
            "| {fault} | {host} | {status} | {attempts} | {took} ms | {charged} | {recorded} |"
        );
    }
    (!seen.is_empty()).then_some(table)
}

pub(super) fn scenarios() -> Vec<Scenario> {
    let rows = ROWS.iter().map(|row| {
        Scenario::new(format!("fault_{}_is_answered_by_the_next_target", row.name), move |world| {
            Box::pin(answered(world, row))
        })
    });
    let others = [
        Scenario::new("when_all_targets_are_down_one_error_names_them", |world| Box::pin(all_down(world))),
        Scenario::new("a_slow_trickle_is_passed_on", |world| Box::pin(trickle(world))),
        Scenario::new("a_target_that_limits_its_rate_is_left_alone", |world| Box::pin(left_alone(world))),
    ];
    rows.chain(others).collect()
}

/// The second target answers: one more attempt, the fault's own time, nothing charged for it, both in the records.
async fn answered(world: Arc<World>, row: &Row) -> Result<()> {
    let key = world.host.key(json!({ "limits": { "budget": ["1 USD / day"] } })).await?;
    let script = format!("fault-{}", row.name.replace('_', "-"));
    let mut plays = vec![(row.play)()];
    // Nobody hears what is sent there.
    if row.model != "spare" {
        plays.clear();
    }
    plays.push(Reply::text(["sec", "ond"]).usage(10, 2).into());
    world.upstream.script(&script, plays);
    let mut body = question(Dialect::OpenAi, &format!("{}/{script}", row.model));
    body["stream"] = json!(row.streamed);
    let began = Instant::now();
    let answer = world.ask(Dialect::OpenAi, &key, &body).whole().await?;
    let took = began.elapsed();
    check_eq!(answer.status, 200, "{}", answer.text());
    check_eq!(answer.header("x-gatelet-attempts"), Some("2"));
    check_eq!(answer.header("x-gatelet-model"), Some(format!("up-anthropic/{script}").as_str()));
    ensure!(answer.text().contains("sec"), "{}", answer.text());
    ensure!(took >= row.within && took < row.within + WORK, "it took {took:?}");
    let charged = world.closed_books(&key).await?.spent;
    check_eq!(charged, cost(10, 2));
    let id = answer.header("x-gatelet-request-id").context("no request id")?;
    let records = recorded(&world, id, 3).await?;
    let mut attempts: Vec<&Value> = records.iter().filter(|record| record["kind"] == "attempt").collect();
    attempts.sort_by_key(|attempt| attempt["attempt"].as_u64());
    check_eq!(attempts.len(), 2, "{records:?}");
    check_eq!(attempts[0]["outcome"], json!(row.outcome), "{}", attempts[0]);
    check_eq!(attempts[0]["billed"] == json!("unknown"), row.billed, "{}", attempts[0]);
    check_eq!(attempts[1]["outcome"], json!("answered"));
    let shown = |attempt: &&Value| {
        let billed = attempt["billed"].as_str().map(|word| format!(" (billed: {word})"));
        format!("{}{}", attempt["outcome"].as_str().unwrap_or("?"), billed.unwrap_or_default())
    };
    let seen = Seen {
        status: answer.status,
        attempts: answer.header("x-gatelet-attempts").unwrap_or_default().to_owned(),
        took,
        charged,
        recorded: attempts.iter().map(shown).collect::<Vec<_>>().join(", "),
    };
    let cell = (row.name, world.host.kind.to_string());
    SEEN.lock().unwrap_or_else(PoisonError::into_inner).insert(cell, seen);
    Ok(())
}

async fn all_down(world: Arc<World>) -> Result<()> {
    let key = world.host.key(json!({ "limits": { "budget": ["1 USD / day"] } })).await?;
    let script = "all-down";
    let overloaded = json!({ "type": "error", "error": { "type": "overloaded_error", "message": "later" } });
    world.upstream.script(script, [Play::json(500, &error("server_error")), Play::json(529, &overloaded)]);
    let answer = world
        .ask(Dialect::OpenAi, &key, &question(Dialect::OpenAi, &format!("spare/{script}")))
        .whole()
        .await?;
    check_eq!(answer.status, 529, "{}", answer.text());
    let message = answer.json()?["error"]["message"].as_str().context("no message")?.to_owned();
    check_eq!(message, "up-anthropic/all-down: later. Tried before: `up-openai/all-down` (500).");
    check_eq!(world.closed_books(&key).await?.spent, 0);
    Ok(())
}

async fn trickle(world: Arc<World>) -> Result<()> {
    let key = world.host.open_key().await?;
    let script = "trickles";
    let reply =
        Reply::text(["one ", "two ", "three"]).usage(10, 3).in_writes_of(7).every(Duration::from_millis(2));
    world.upstream.script(script, [reply.into()]);
    let mut body = question(Dialect::OpenAi, &format!("spare/{script}"));
    body["stream"] = json!(true);
    let answer = world.ask(Dialect::OpenAi, &key, &body).whole().await?;
    check_eq!(answer.header("x-gatelet-attempts"), Some("1"));
    ensure!(answer.text().contains("three") && answer.text().contains("[DONE]"), "{}", answer.text());
    Ok(())
}

/// Who has met a target's fault does not ask it again; and what one instance has met, each of them meets once at the most.
async fn left_alone(world: Arc<World>) -> Result<()> {
    /// More than any host here has instances.
    const MOST: usize = 45;
    let key = world.host.open_key().await?;
    let script = "limits-its-rate";
    let limited = Play::json(429, &error("rate_limit_error")).with_header("retry-after", "60");
    world.upstream.script_of(Dialect::OpenAi, script, [limited]);
    world.upstream.script_of(Dialect::Anthropic, script, [Reply::text(["second"]).usage(10, 1).into()]);
    let mut left_alone = 0;
    for asked in 0..MOST {
        let answer = world
            .ask(Dialect::OpenAi, &key, &question(Dialect::OpenAi, &format!("spare/{script}")))
            .whole()
            .await?;
        check_eq!(answer.status, 200, "{}", answer.text());
        check_eq!(answer.header("x-gatelet-model"), Some(format!("up-anthropic/{script}").as_str()));
        match answer.header("x-gatelet-attempts") {
            Some("1") if asked > 0 => left_alone += 1,
            Some("2") => {}
            other => anyhow::bail!("{other:?} attempts at request {asked}"),
        }
        if left_alone == 2 {
            break;
        }
    }
    check_eq!(left_alone, 2, "it is asked again and again");
    for _ in 0..MOST {
        let targets =
            world.host.admin(http::Method::GET, "/admin/v1/targets?limit=1000").whole().await?.json()?;
        let listed = targets["targets"].as_array().context("no targets")?;
        let target = listed.iter().find(|target| target["target"] == format!("up-openai/{script}"));
        // An instance that was never asked for it does not list it.
        let Some(target) = target else { continue };
        check_eq!((&target["standing"], &target["fault"]), (&json!("out"), &json!("rate_limit")));
        return Ok(());
    }
    anyhow::bail!("no instance knows of it")
}
