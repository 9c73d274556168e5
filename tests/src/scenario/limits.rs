//! Requests and tokens per minute, and requests at the same time.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tokio::time::Instant;

use crate::check_eq;
use crate::client::Whole;
use crate::upstream::{Dialect, Gate, Play, Reply};
use crate::world::{World, model, question};

scenarios![
    requests_per_minute_are_exact_and_the_refusal_names_the_second,
    tokens_per_minute_bound_what_is_admitted,
    a_request_too_large_for_any_minute_is_told_so,
    parallel_requests_are_bounded_and_freed_at_the_end_of_the_answer,
    a_failed_request_gives_its_tokens_back,
    the_sdks_see_a_limit_as_their_own_rate_limit_error,
];

async fn requests_per_minute_are_exact_and_the_refusal_names_the_second(world: Arc<World>) -> Result<()> {
    let key = world.host.key(json!({"limits": {"rpm": 5}})).await?;
    let script = "five-a-minute";
    world.upstream.script(script, [Reply::text(["yes"]).usage(1, 1).into()]);
    let body = question(Dialect::OpenAi, &model(Dialect::OpenAi, script));
    let before = Instant::now();
    let first = world.ask(Dialect::OpenAi, &key, &body).whole().await?;
    let after = Instant::now();
    check_eq!(first.status, 200, "{}", first.text());
    // All the others at once: of these, four fit.
    let calls = (0..12).map(|_| world.ask(Dialect::OpenAi, &key, &body).whole());
    let answers: Vec<Whole> = futures_util::future::try_join_all(calls).await?;
    let count = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    check_eq!((count(200), count(429)), (4, 8));
    let sent = Instant::now();
    let refused = world.ask(Dialect::OpenAi, &key, &body).whole().await?;
    let now = Instant::now();
    check_eq!(refused.status, 429);
    // One more passes when the second of the first is more than 60 s away. Both moments, that and the refusal, are known to us
    // to within a round trip.
    let wait = retry_after(&refused)?;
    let earliest = Duration::from_mins(1).saturating_sub(now - before).as_secs();
    let latest = Duration::from_mins(1).saturating_sub(sent - after).as_secs() + 2;
    ensure!((earliest..=latest).contains(&wait), "retry-after is {wait}, not {earliest} to {latest}");
    check_eq!(world.upstream.received(script).len(), 5);
    Ok(())
}

async fn tokens_per_minute_bound_what_is_admitted(world: Arc<World>) -> Result<()> {
    // Each asks for 50 of output and has a short input, so the bound of one is above 50 and below 200.
    let key = world.host.key(json!({"limits": {"tpm": 1_000}})).await?;
    let script = "tokens-a-minute";
    world.upstream.script(script, [Reply::text(["yes"]).usage(10, 50).into()]);
    let body = question(Dialect::OpenAi, &model(Dialect::OpenAi, script));
    let mut admitted = 0;
    let refused = loop {
        let answer = world.ask(Dialect::OpenAi, &key, &body).whole().await?;
        if answer.status != 200 {
            break answer;
        }
        admitted += 1;
        ensure!(admitted <= 16, "{admitted} times 60 tokens are more than 1000");
    };
    check_eq!(refused.status, 429, "{}", refused.text());
    // Admissions are counted by whole seconds, so the last of one may be up to 61 s in coming.
    ensure!((1..=61).contains(&retry_after(&refused)?), "{:?}", refused.headers);
    // True usage counts once it is known: 1000 - n × 60 must be too little for one more bound.
    ensure!(
        admitted >= (1_000 - 200) / 60,
        "only {admitted} were admitted: bounds were not settled to true usage"
    );
    Ok(())
}

async fn a_request_too_large_for_any_minute_is_told_so(world: Arc<World>) -> Result<()> {
    let key = world.host.key(json!({"limits": {"tpm": 100}})).await?;
    let script = "too-large-for-a-minute";
    world.upstream.script(script, [Reply::text(["yes"]).usage(1, 1).into()]);
    let mut body = question(Dialect::OpenAi, &model(Dialect::OpenAi, script));
    body["max_completion_tokens"] = json!(5_000);
    let answer = world.ask(Dialect::OpenAi, &key, &body).whole().await?;
    ensure!((400..500).contains(&answer.status), "{}: {}", answer.status, answer.text());
    ensure!(
        answer.header("retry-after").is_none(),
        "waiting does not help, but {:?}",
        answer.header("retry-after")
    );
    check_eq!(world.upstream.received(script).len(), 0);
    Ok(())
}

async fn parallel_requests_are_bounded_and_freed_at_the_end_of_the_answer(world: Arc<World>) -> Result<()> {
    let key = world.host.key(json!({"limits": {"parallel": 2}})).await?;
    let script = "two-at-a-time";
    let gate = Gate::closed();
    let held = Play::Gated(gate.clone(), Box::new(Reply::text(["yes"]).usage(1, 1).into()));
    world.upstream.script(script, [held]);
    let body = question(Dialect::OpenAi, &model(Dialect::OpenAi, script));
    let ask = || world.ask(Dialect::OpenAi, &key, &body).whole();
    let (first, second) = (tokio::spawn(ask()), tokio::spawn(ask()));
    world.upstream.arrived(script, 2).await?;
    let third = ask().await?;
    check_eq!(third.status, 429, "{}", third.text());
    gate.open();
    check_eq!(first.await??.status, 200);
    check_eq!(second.await??.status, 200);
    check_eq!(ask().await?.status, 200);
    Ok(())
}

async fn a_failed_request_gives_its_tokens_back(world: Arc<World>) -> Result<()> {
    let key = world.host.key(json!({"limits": {"tpm": 600, "budget": ["1 USD / day"]}})).await?;
    let script = "fails-and-refunds";
    let error = json!({"error": {"message": "no", "type": "server_error", "param": null, "code": null}});
    world.upstream.script(script, [Play::json(500, &error)]);
    let mut body = question(Dialect::OpenAi, &model(Dialect::OpenAi, script));
    body["max_completion_tokens"] = json!(300);
    // Two such bounds do not fit into one minute, unless each failure gives back what it did not use.
    for _ in 0..4 {
        let answer = world.ask(Dialect::OpenAi, &key, &body).whole().await?;
        ensure!(answer.status >= 500, "{}: {}", answer.status, answer.text());
    }
    let books = world.closed_books(&key).await?;
    check_eq!((books.spent, books.held), (0, 0));
    Ok(())
}

async fn the_sdks_see_a_limit_as_their_own_rate_limit_error(world: Arc<World>) -> Result<()> {
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        let key = world.host.key(json!({"limits": {"rpm": 1}})).await?;
        let script = format!("limit-of-an-sdk-{dialect:?}").to_lowercase();
        world.upstream.script(&script, [Reply::text(["yes"]).usage(1, 1).into()]);
        let arguments = question(dialect, &model(dialect, &script));
        let first = world.sdk_call(dialect, &key, "create", arguments.clone()).await?;
        ensure!(first["error"].is_null(), "{first}");
        let second = world.sdk_call(dialect, &key, "create", arguments).await?;
        check_eq!(second["error"]["class"], json!("RateLimitError"), "{second}");
        ensure!(!second["error"]["headers"]["retry-after"].is_null(), "no retry-after: {second}");
    }
    Ok(())
}

pub(super) fn retry_after(answer: &Whole) -> Result<u64> {
    let text =
        answer.header("retry-after").with_context(|| format!("no retry-after in {:?}", answer.headers))?;
    text.parse().with_context(|| format!("retry-after is not a whole second: {text}"))
}
