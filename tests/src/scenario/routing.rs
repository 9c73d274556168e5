//! Where requests go: copies of them, what draws them to one target, and targets that are checked without being asked for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use http::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::faults::text;
use super::records::recorded;
use crate::check_eq;
use crate::host::Key;
use crate::upstream::{Dialect, Ending, Gate, Play, Reply, Usage};
use crate::world::{World, cost, nanos, question};

scenarios![
    a_copy_reaches_its_target_and_its_caller_neither_waits_nor_pays,
    a_copy_that_is_billed_is_charged_like_a_request,
    a_session_stays_on_its_target_and_sessions_are_spread,
    prompts_that_begin_alike_go_to_one_target,
    a_target_that_a_check_finds_broken_is_not_asked,
    a_silent_target_is_outrun_by_the_next_and_told_to_stop,
    a_long_prompt_is_marked_for_its_providers_cache,
    a_stream_that_breaks_off_is_gone_on_with_by_the_next_target,
];

async fn a_copy_reaches_its_target_and_its_caller_neither_waits_nor_pays(world: Arc<World>) -> Result<()> {
    let key = world.host.key(json!({ "limits": { "budget": ["1 USD / day"] } })).await?;
    let gate = Gate::closed();
    world.upstream.script("is-copied", [Reply::text(["for the ", "caller"]).usage(10, 2).into()]);
    let held = Play::Gated(gate.clone(), Box::new(Reply::text(["for nobody"]).usage(10, 1).into()));
    world.upstream.script("gets-free-copies", [held]);
    let mut body = question(Dialect::OpenAi, "copied/is-copied");
    body["stream"] = json!(true);
    let mut answer = world.ask(Dialect::OpenAi, &key, &body).send().await?;
    check_eq!(answer.status, 200);
    // All that the caller reads is there while the copy's target has not said a byte.
    let read = answer.until("[DONE]").await?;
    ensure!(read.contains("for the "), "{read}");
    let copies = world.upstream.arrived("gets-free-copies", 1).await?;
    check_eq!(copies[0].json()?["messages"], body["messages"]);
    check_eq!(copies[0].sent(), 0);
    let id = answer.header("x-gatelet-request-id").context("no request id")?.to_owned();
    gate.open();
    answer.whole().await?;
    check_eq!(world.closed_books(&key).await?.spent, cost(10, 2));
    let copy = copy_of(&world, &id).await?;
    check_eq!((&copy["outcome"], &copy["cost"]), (&json!("done"), &json!("0")), "{copy}");
    check_eq!(
        (&copy["unbilled"], &copy["target"]),
        (&json!("0.000009"), &json!("up-openai/gets-free-copies"))
    );
    check_eq!(world.closed_books(&key).await?.spent, cost(10, 2));
    Ok(())
}

async fn a_copy_that_is_billed_is_charged_like_a_request(world: Arc<World>) -> Result<()> {
    let key = world.host.key(json!({ "limits": { "budget": ["1 USD / day"] } })).await?;
    world.upstream.script("is-copied-too", [Reply::text(["hello"]).usage(10, 2).into()]);
    world.upstream.script("gets-billed-copies", [Reply::text(["nobody"]).usage(10, 7).into()]);
    let body = question(Dialect::OpenAi, "copied-billed/is-copied-too");
    let answer = world.ask(Dialect::OpenAi, &key, &body).whole().await?;
    check_eq!(answer.status, 200, "{}", answer.text());
    let id = answer.header("x-gatelet-request-id").context("no request id")?;
    let copy = copy_of(&world, id).await?;
    check_eq!((&copy["cost"], copy.get("unbilled")), (&json!("0.000033"), None), "{copy}");
    check_eq!(world.closed_books(&key).await?.spent, cost(10, 2) + cost(10, 7));
    Ok(())
}

/// The record of a request's copy, once it is in the archive.
async fn copy_of(world: &World, request: &str) -> Result<Value> {
    let end = Instant::now() + Duration::from_mins(2);
    loop {
        world.host.tick().await?;
        for object in world.host.archive().await? {
            if let Some(copy) = object.records()?.into_iter().find(|record| record["copy_of"] == request) {
                return Ok(copy);
            }
        }
        ensure!(Instant::now() < end, "no copy of {request} is in the archive");
        sleep(Duration::from_millis(250)).await;
    }
}

async fn a_session_stays_on_its_target_and_sessions_are_spread(world: Arc<World>) -> Result<()> {
    let key = world.host.open_key().await?;
    world.upstream.script("drawn-by-session", [Reply::text(["here"]).usage(10, 1).into()]);
    let body = question(Dialect::OpenAi, "drawn/drawn-by-session");
    let mut served = BTreeSet::new();
    for number in 0..12 {
        let session = format!("session-{number}");
        let first = served_by(&world, &key, &body, Some(&session)).await?;
        for _ in 0..2 {
            check_eq!(served_by(&world, &key, &body, Some(&session)).await?, first, "{session} has moved");
        }
        served.insert(first);
    }
    check_eq!(served.len(), 2, "all sessions are on {served:?}");
    Ok(())
}

async fn prompts_that_begin_alike_go_to_one_target(world: Arc<World>) -> Result<()> {
    let key = world.host.open_key().await?;
    world.upstream.script("drawn-by-prefix", [Reply::text(["here"]).usage(10, 1).into()]);
    let mut served = BTreeSet::new();
    for number in 0..12 {
        // Longer than the shortest prompt that any provider keeps.
        let rules = format!("Rule {number}: be brief. ").repeat(400);
        let asks = |text: &str| {
            let messages =
                json!([{ "role": "system", "content": rules }, { "role": "user", "content": text }]);
            json!({ "model": "drawn/drawn-by-prefix", "max_completion_tokens": 50, "messages": messages })
        };
        let first = served_by(&world, &key, &asks("Who are you?"), None).await?;
        for text in ["What is this?", "Why?"] {
            check_eq!(served_by(&world, &key, &asks(text), None).await?, first, "prompt {number} has moved");
        }
        served.insert(first);
    }
    check_eq!(served.len(), 2, "all prompts are on {served:?}");
    Ok(())
}

async fn served_by(world: &World, key: &Key, body: &Value, session: Option<&str>) -> Result<String> {
    let call = world.ask(Dialect::OpenAi, key, body);
    let call = match session {
        Some(session) => call.header("x-gatelet-session", session),
        None => call,
    };
    let answer = call.whole().await?;
    check_eq!(answer.status, 200, "{}", answer.text());
    Ok(answer.header("x-gatelet-model").context("nobody served it")?.to_owned())
}

/// The check is the first that meets the fault: no caller pays for the discovery.
async fn a_target_that_a_check_finds_broken_is_not_asked(world: Arc<World>) -> Result<()> {
    let key = world.host.open_key().await?;
    let name = "up-openai/is-checked";
    let mut body = question(Dialect::OpenAi, "checked");
    world.upstream.script_of(Dialect::Anthropic, "is-checked", [Reply::text(["second"]).usage(10, 1).into()]);
    world.upstream.script_of(Dialect::OpenAi, "is-checked", [Reply::text(["first"]).usage(10, 1).into()]);
    check_eq!(served_by(&world, &key, &body, None).await?, name);
    let limited = json!({ "error": { "message": "later", "type": "rate_limit_error" } });
    world.upstream.script_of(Dialect::OpenAi, "is-checked", [Play::json(429, &limited)]);
    let end = Instant::now() + Duration::from_mins(2);
    let shown = loop {
        world.host.tick().await?;
        let page = world.host.admin(Method::GET, "/admin/v1/targets?limit=1000").expect(200).await?;
        let listed = page["targets"].as_array().context("no targets")?;
        let found = listed.iter().find(|target| target["target"] == name && target["standing"] == "out");
        if let Some(target) = found {
            break target.clone();
        }
        ensure!(Instant::now() < end, "no check has put it out: {page}");
        sleep(Duration::from_millis(500)).await;
    };
    check_eq!(shown["fault"], json!("rate_limit"), "{shown}");
    ensure!(shown["until"].is_string(), "{shown}");
    // Callers ask for what is in the model's body, checks do not; and what one instance found, the others have heard.
    body["max_completion_tokens"] = json!(51);
    for _ in 0..3 {
        let answer = world.ask(Dialect::OpenAi, &key, &body).whole().await?;
        check_eq!(answer.header("x-gatelet-model"), Some("up-anthropic/is-checked"));
        check_eq!(answer.header("x-gatelet-attempts"), Some("1"));
    }
    let asked = world.upstream.received("is-checked");
    let checks = asked.iter().filter(|received| received.method == Method::GET).count();
    ensure!(checks > 0, "nobody has checked it");
    let callers = asked
        .iter()
        .filter(|received| received.method == Method::POST && !received.path.ends_with("/messages"));
    check_eq!(callers.count(), 1, "a caller was sent to what is out");
    Ok(())
}

async fn a_silent_target_is_outrun_by_the_next_and_told_to_stop(world: Arc<World>) -> Result<()> {
    for streamed in [false, true] {
        let key = world.host.key(json!({ "limits": { "budget": ["1 USD / day"] } })).await?;
        let script = format!("says-nothing-{streamed}");
        world.upstream.script_of(Dialect::OpenAi, &script, [Play::Silence]);
        world.upstream.script_of(
            Dialect::Anthropic,
            &script,
            [Reply::text(["sec", "ond"]).usage(10, 2).into()],
        );
        let mut body = question(Dialect::OpenAi, &format!("hedged/{script}"));
        body["stream"] = json!(streamed);
        let answer = world.ask(Dialect::OpenAi, &key, &body).whole().await?;
        check_eq!(answer.status, 200, "{}", answer.text());
        ensure!(answer.text().contains("sec"), "{}", answer.text());
        check_eq!(answer.header("x-gatelet-model"), Some(format!("up-anthropic/{script}").as_str()));
        check_eq!(answer.header("x-gatelet-attempts"), Some("2"));
        let asked = world.upstream.received(&script);
        let first = asked.iter().find(|one| !one.path.ends_with("/messages")).context("nobody asked it")?;
        first.until_left(Duration::from_secs(30)).await?;
        let books = world.closed_books(&key).await?;
        let id = answer.header("x-gatelet-request-id").context("no request id")?;
        let records = recorded(&world, id, 3).await?;
        let of = |kind: &str, target: &str| {
            let found = records.iter().find(|one| one["kind"] == kind && one["target"] == target);
            found.cloned().with_context(|| format!("{kind} of {target}: {records:?}"))
        };
        let outrun = of("attempt", &format!("up-openai/{script}"))?;
        check_eq!(outrun["outcome"], json!("outrun"), "{outrun}");
        let lost = nanos(outrun["cost"].as_str().context("no cost")?)?;
        let hedge = of("attempt", &format!("up-anthropic/{script}"))?;
        check_eq!((&hedge["outcome"], &hedge["why"]), (&json!("answered"), &json!("hedge")), "{hedge}");
        let request = of("request", &format!("up-anthropic/{script}"))?;
        let charged = nanos(request["cost"].as_str().context("no cost")?)?;
        ensure!(lost > 0, "{outrun}");
        check_eq!((charged, books.spent), (cost(10, 2) + lost, cost(10, 2) + lost));
    }
    Ok(())
}

async fn a_long_prompt_is_marked_for_its_providers_cache(world: Arc<World>) -> Result<()> {
    let key = world.host.key(json!({ "limits": { "budget": ["1 USD / day"] } })).await?;
    let usage = Usage { input: 10, cache_read: 2_000, cache_write: 100, output: 2 };
    let rules = "Be brief and kind. ".repeat(400);
    for (caller, lane) in [(Dialect::Anthropic, "edited"), (Dialect::OpenAi, "translated")] {
        let script = format!("is-marked-{lane}");
        world.upstream.script(&script, [Reply::text(["yes"]).with_usage(usage).into()]);
        let mut body = question(caller, &format!("marked/{script}"));
        match caller {
            Dialect::Anthropic => body["system"] = json!(rules),
            Dialect::OpenAi => {
                body["messages"] =
                    json!([{ "role": "system", "content": rules }, { "role": "user", "content": "Hello." }]);
            }
        }
        let before = world.closed_books(&key).await?.spent;
        let answer = world.ask(caller, &key, &body).whole().await?;
        check_eq!(answer.status, 200, "{}", answer.text());
        let sent = world.upstream.only(&script)?.json()?;
        let mark = json!({ "type": "ephemeral" });
        check_eq!((&sent["system"][0]["cache_control"], &sent["system"][0]["text"]), (&mark, &json!(rules)));
        check_eq!(sent["messages"][0]["content"][0]["cache_control"], mark, "{sent}");
        // 10 at 500, 2,000 at 50, 100 at 600 and 2 at 4,000 nano-dollars.
        check_eq!(world.closed_books(&key).await?.spent - before, 173_000);
        let id = answer.header("x-gatelet-request-id").context("no request id")?;
        let records = recorded(&world, id, 2).await?;
        let find =
            |kind: &str| records.iter().find(|record| record["kind"] == kind).context("no such record");
        check_eq!(find("attempt")?["lane"], json!(lane));
        let used = &find("request")?["usage"];
        check_eq!((&used["cache_read"], &used["cache_write_5m"]), (&json!(2_000), &json!(100)), "{used}");
    }
    Ok(())
}

async fn a_stream_that_breaks_off_is_gone_on_with_by_the_next_target(world: Arc<World>) -> Result<()> {
    for caller in [Dialect::OpenAi, Dialect::Anthropic] {
        let key = world.host.key(json!({ "limits": { "budget": ["1 USD / day"] } })).await?;
        let name = format!("resumed-{caller:?}").to_lowercase();
        let breaks = Reply::text(["Once ", "never"]).usage(10, 2).ending_after(1, Ending::Cut);
        world.upstream.script_of(Dialect::OpenAi, &name, [breaks.into()]);
        let goes_on = Reply::text(["upon ", "a time."]).usage(12, 5);
        world.upstream.script_of(Dialect::Anthropic, &name, [goes_on.into()]);
        let mut body = question(caller, &format!("resumed/{name}"));
        body["stream"] = json!(true);
        let answer = world.ask(caller, &key, &body).whole().await?;
        let all = answer.text();
        check_eq!(answer.status, 200, "{all}");
        check_eq!(text(caller, &answer)?, "Once upon a time.", "{all}");
        let (begin, end) = match caller {
            Dialect::OpenAi => ("\"role\":\"assistant\"", "[DONE]"),
            Dialect::Anthropic => ("event: message_start", "event: message_stop"),
        };
        check_eq!((all.matches(begin).count(), all.matches(end).count()), (1, 1), "{all}");
        ensure!(!all.contains("\"error\""), "{all}");
        let asked = world.upstream.received(&name);
        check_eq!(asked.len(), 2);
        let turns = asked[1].json()?["messages"].clone();
        let last = turns.as_array().and_then(|turns| turns.last()).context("no turns")?;
        check_eq!(last["role"], json!("assistant"));
        ensure!(last["content"].to_string().contains("Once\""), "{last}");
        let id = answer.header("x-gatelet-request-id").context("no request id")?;
        let records = recorded(&world, id, 3).await?;
        let attempts: Vec<&Value> = records.iter().filter(|line| line["kind"] == "attempt").collect();
        let why: Vec<&str> = attempts.iter().filter_map(|attempt| attempt["why"].as_str()).collect();
        check_eq!(why, ["resume"], "{records:?}");
        let request = records.iter().find(|line| line["kind"] == "request").context("no record")?;
        check_eq!(request["outcome"], json!("done"), "{request}");
        // What the first had said nobody had counted; both are charged, and nothing stays held.
        let spent = world.closed_books(&key).await?.spent;
        check_eq!(spent, nanos(request["cost"].as_str().context("no cost")?)?);
        ensure!(spent > cost(12, 5), "{request}");
    }
    Ok(())
}
