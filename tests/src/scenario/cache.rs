//! Answers that are given again, by what each host keeps them in: to whom they belong, in every form, and to nobody else.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures_util::future::try_join_all;
use http::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::records::recorded;
use crate::check_eq;
use crate::client::{Call, Whole};
use crate::host::Key;
use crate::upstream::{Dialect, Ending, Reply};
use crate::world::{World, cost, question};

scenarios![
    an_answer_is_given_again_in_any_dialect_whole_and_as_a_stream,
    a_stream_that_was_kept_is_given_again_whole,
    an_answer_that_no_process_remembers_is_given_again_by_the_hosts_store,
    a_tenants_answer_is_never_given_to_another,
    who_wants_no_old_answer_gets_none_and_who_wants_none_kept_leaves_none,
    a_purge_of_a_key_takes_its_answers_out,
    an_answer_that_broke_is_not_given_again,
    equal_questions_at_a_time_are_answered_alike,
];

/// How long it may take until an answer has been written down and is found, by every instance that may be asked.
const PATIENCE: Duration = Duration::from_mins(1);
const INPUT: u64 = 10;
const OUTPUT: u64 = 2;

fn said(whole: &Whole) -> Option<&str> {
    whole.header("x-gatelet-cache")
}

fn reply(text: &str) -> Reply {
    Reply::text([text, " and more"]).usage(INPUT, OUTPUT)
}

fn asked(dialect: Dialect, model: &str, streamed: bool) -> Value {
    let mut body = question(dialect, model);
    if streamed {
        body["stream"] = json!(true);
        if dialect == Dialect::OpenAi {
            body["stream_options"] = json!({ "include_usage": true });
        }
    }
    body
}

/// Asks until it was given what was kept, which it is once that has been written down; and how often it was not.
async fn until_hit(call: impl Fn() -> Call) -> Result<(Whole, usize)> {
    let end = Instant::now() + PATIENCE;
    let (mut misses, mut pause) = (0, Duration::from_millis(20));
    while Instant::now() < end {
        let answer = call().whole().await?;
        check_eq!(answer.status, 200, "{}", answer.text());
        match said(&answer) {
            Some("hit") => return Ok((answer, misses)),
            Some("miss") => misses += 1,
            other => anyhow::bail!("the cache says {other:?}"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(1));
    }
    anyhow::bail!("{misses} equal questions, and no answer was kept")
}

async fn budgeted(world: &World) -> Result<Key> {
    world.host.key(json!({ "limits": { "budget": ["1 USD / day"] } })).await
}

async fn an_answer_is_given_again_in_any_dialect_whole_and_as_a_stream(world: Arc<World>) -> Result<()> {
    let key = budgeted(&world).await?;
    let script = "kept-answer";
    world.upstream.script(script, [reply("kept").into()]);
    let model = format!("kept/{script}");
    let first = world.ask(Dialect::OpenAi, &key, &asked(Dialect::OpenAi, &model, false)).whole().await?;
    check_eq!(said(&first), Some("miss"), "{}", first.text());
    let mut misses = 1;
    let mut last = None;
    for (dialect, streamed) in [
        (Dialect::OpenAi, false),
        (Dialect::OpenAi, true),
        (Dialect::Anthropic, false),
        (Dialect::Anthropic, true),
    ] {
        let body = asked(dialect, &model, streamed);
        let (hit, asked) = until_hit(|| world.ask(dialect, &key, &body)).await?;
        misses += asked;
        check_eq!(hit.header("x-gatelet-cost"), Some("0"));
        check_eq!(hit.header("x-gatelet-attempts"), Some("0"));
        let text = hit.text();
        ensure!(text.contains("kept") && text.contains("and more"), "{dialect:?}, {streamed}: {text}");
        match (dialect, streamed) {
            // Same dialect, same form, same bytes.
            (Dialect::OpenAi, false) => check_eq!(hit.body, first.body),
            (Dialect::OpenAi, true) => ensure!(text.trim_end().ends_with("data: [DONE]"), "{text}"),
            (Dialect::Anthropic, false) => {
                check_eq!(hit.json()?["usage"]["output_tokens"], json!(OUTPUT), "{text}");
            }
            (Dialect::Anthropic, true) => ensure!(text.contains("event: message_stop"), "{text}"),
        }
        last = Some(hit);
    }
    check_eq!(world.upstream.received(script).len(), misses);
    let asked = u64::try_from(misses)?;
    check_eq!(world.closed_books(&key).await?.spent, asked * cost(INPUT, OUTPUT));
    let last = last.context("nothing was asked")?;
    let records = recorded(&world, last.header("x-gatelet-request-id").context("no request id")?, 1).await?;
    check_eq!(records.len(), 1, "{records:?}");
    check_eq!(records[0]["cache"], json!("hit"), "{}", records[0]);
    check_eq!(records[0]["cost"], json!("0"), "{}", records[0]);
    let saved = records[0]["saved"].as_str().map(crate::world::nanos).transpose()?;
    check_eq!(saved, Some(cost(INPUT, OUTPUT)), "{}", records[0]);
    Ok(())
}

async fn a_stream_that_was_kept_is_given_again_whole(world: Arc<World>) -> Result<()> {
    let key = budgeted(&world).await?;
    let script = "kept-stream";
    world.upstream.script(script, [reply("streamed").into()]);
    let model = format!("kept/{script}");
    let stream = asked(Dialect::Anthropic, &model, true);
    let first = world.ask(Dialect::Anthropic, &key, &stream).whole().await?;
    check_eq!(said(&first), Some("miss"), "{}", first.text());
    let (again, _) = until_hit(|| world.ask(Dialect::Anthropic, &key, &stream)).await?;
    ensure!(again.text().contains("event: message_stop"), "{}", again.text());
    let whole = asked(Dialect::OpenAi, &model, false);
    let (hit, _) = until_hit(|| world.ask(Dialect::OpenAi, &key, &whole)).await?;
    check_eq!(hit.json()?["choices"][0]["message"]["content"], json!("streamed and more"), "{}", hit.text());
    Ok(())
}

/// It is larger than all that a process remembers here, and than what the function keeps in its table.
async fn an_answer_that_no_process_remembers_is_given_again_by_the_hosts_store(
    world: Arc<World>,
) -> Result<()> {
    let key = budgeted(&world).await?;
    let script = "kept-large";
    let text = "large ".repeat(30_000);
    world.upstream.script(script, [Reply::text([text.as_str()]).usage(INPUT, OUTPUT).into()]);
    let body = asked(Dialect::OpenAi, &format!("kept/{script}"), false);
    let (hit, misses) = until_hit(|| world.ask(Dialect::OpenAi, &key, &body)).await?;
    check_eq!(hit.json()?["choices"][0]["message"]["content"], json!(text));
    check_eq!(world.upstream.received(script).len(), misses);
    Ok(())
}

async fn a_tenants_answer_is_never_given_to_another(world: Arc<World>) -> Result<()> {
    for org in ["kept-a", "kept-b"] {
        world.host.admin(Method::POST, "/admin/v1/orgs").json(&json!({ "id": org })).expect(201).await?;
    }
    let of = async |org: &str| world.host.key(json!({ "org": org })).await;
    let (mine, ours, theirs) = (of("kept-a").await?, of("kept-a").await?, of("kept-b").await?);
    let script = "kept-of-an-organisation";
    world.upstream.script(script, [reply("ours").into()]);
    let body = asked(Dialect::OpenAi, &format!("kept-by-org/{script}"), false);
    until_hit(|| world.ask(Dialect::OpenAi, &mine, &body)).await?;
    until_hit(|| world.ask(Dialect::OpenAi, &ours, &body)).await?;
    let before = world.upstream.received(script).len();
    let other = world.ask(Dialect::OpenAi, &theirs, &body).whole().await?;
    check_eq!(said(&other), Some("miss"), "{}", other.text());
    check_eq!(world.upstream.received(script).len(), before + 1);
    // Where answers are a key's own, its neighbour is a stranger.
    let script = "kept-of-a-key";
    world.upstream.script(script, [reply("mine").into()]);
    let body = asked(Dialect::OpenAi, &format!("kept/{script}"), false);
    until_hit(|| world.ask(Dialect::OpenAi, &mine, &body)).await?;
    let neighbour = world.ask(Dialect::OpenAi, &ours, &body).whole().await?;
    check_eq!(said(&neighbour), Some("miss"), "{}", neighbour.text());
    Ok(())
}

async fn who_wants_no_old_answer_gets_none_and_who_wants_none_kept_leaves_none(
    world: Arc<World>,
) -> Result<()> {
    let key = budgeted(&world).await?;
    let script = "kept-by-wish";
    world.upstream.script(script, [reply("wished").into()]);
    let body = asked(Dialect::OpenAi, &format!("kept/{script}"), false);
    let wish = |wish: &str| world.ask(Dialect::OpenAi, &key, &body).header("x-gatelet-cache", wish);
    for nth in 1..=3 {
        let answer = wish("no-store").whole().await?;
        check_eq!(answer.status, 200, "{}", answer.text());
        check_eq!(world.upstream.received(script).len(), nth);
    }
    let (_, misses) = until_hit(|| world.ask(Dialect::OpenAi, &key, &body)).await?;
    ensure!(misses > 0, "an answer was kept that nobody wanted to be");
    let before = world.upstream.received(script).len();
    check_eq!(said(&wish("no-cache").whole().await?), Some("miss"));
    check_eq!(world.upstream.received(script).len(), before + 1);
    let wrong = wish("sometimes").whole().await?;
    check_eq!(wrong.status, 400, "{}", wrong.text());
    Ok(())
}

async fn a_purge_of_a_key_takes_its_answers_out(world: Arc<World>) -> Result<()> {
    let key = budgeted(&world).await?;
    let script = "kept-until-purged";
    world.upstream.script(script, [reply("old").into()]);
    let body = asked(Dialect::OpenAi, &format!("kept/{script}"), false);
    until_hit(|| world.ask(Dialect::OpenAi, &key, &body)).await?;
    world.upstream.script(script, [reply("new").into()]);
    let purge = world.host.admin(Method::POST, "/admin/v1/cache/purge");
    purge.json(&json!({ "key": key.id })).expect(200).await?;
    // The other processes hear of it within their bound, a few seconds.
    let end = Instant::now() + PATIENCE;
    loop {
        let answer = world.ask(Dialect::OpenAi, &key, &body).whole().await?;
        check_eq!(answer.status, 200, "{}", answer.text());
        if answer.text().contains("new") {
            break;
        }
        ensure!(Instant::now() < end, "the old answer is given for a minute");
        sleep(Duration::from_millis(100)).await;
    }
    let (again, _) = until_hit(|| world.ask(Dialect::OpenAi, &key, &body)).await?;
    ensure!(again.text().contains("new"), "{}", again.text());
    Ok(())
}

async fn an_answer_that_broke_is_not_given_again(world: Arc<World>) -> Result<()> {
    let key = budgeted(&world).await?;
    let script = "kept-if-whole";
    world
        .upstream
        .script(script, [reply("broken").ending_after(1, Ending::Cut).into(), reply("whole").into()]);
    let body = asked(Dialect::OpenAi, &format!("kept/{script}"), true);
    let broken = world.ask(Dialect::OpenAi, &key, &body).whole().await?;
    ensure!(!broken.text().contains("and more"), "{}", broken.text());
    let (hit, misses) = until_hit(|| world.ask(Dialect::OpenAi, &key, &body)).await?;
    ensure!(misses > 0, "what broke was given again: {}", hit.text());
    ensure!(hit.text().contains("whole") && !hit.text().contains("broken"), "{}", hit.text());
    Ok(())
}

async fn equal_questions_at_a_time_are_answered_alike(world: Arc<World>) -> Result<()> {
    const CALLERS: usize = 60;
    let key = budgeted(&world).await?;
    let script = "kept-for-a-herd";
    let slow = reply("herd").every(Duration::from_millis(200));
    world.upstream.script(script, [slow.into()]);
    let body = asked(Dialect::OpenAi, &format!("kept/{script}"), false);
    let all = (0..CALLERS).map(|_| world.ask(Dialect::OpenAi, &key, &body).whole());
    let answers = try_join_all(all).await?;
    for answer in &answers {
        check_eq!(answer.status, 200, "{}", answer.text());
        check_eq!(answer.json()?["choices"][0]["message"]["content"], json!("herd and more"));
    }
    let calls = world.upstream.received(script).len();
    let misses = answers.iter().filter(|answer| said(answer) == Some("miss")).count();
    check_eq!(calls, misses, "of {CALLERS}");
    // Each request is another process's where a process serves one at a time.
    let most = if world.host.kind.serves_many_at_a_time() { 1 } else { CALLERS };
    ensure!(calls <= most, "{calls} calls for {CALLERS} equal questions");
    check_eq!(world.closed_books(&key).await?.spent, u64::try_from(calls)? * cost(INPUT, OUTPUT));
    Ok(())
}
