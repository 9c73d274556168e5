//! Providers that fail: before the first content event another attempt is made, after it the caller is told in-band.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::bad_input::is_an_error_of;
use crate::check_eq;
use crate::client::Whole;
use crate::host::Key;
use crate::upstream::{Dialect, Ending, Piece, Play, Reply};
use crate::world::{World, cost, model, question};

scenarios![
    a_providers_refusal_keeps_its_meaning,
    a_providers_rate_limit_keeps_its_retry_after,
    a_provider_that_refuses_our_key_is_not_the_callers_fault,
    a_provider_that_fails_is_told_as_a_gateway_error,
    a_refused_connection_is_told_as_a_gateway_error,
    a_refused_connection_falls_back,
    a_connection_that_closes_without_an_answer_is_told,
    a_provider_that_does_not_answer_times_out,
    a_provider_that_falls_silent_in_the_middle_times_out,
    an_answer_that_is_no_json_is_told,
    an_error_inside_a_success_is_an_error,
    a_fault_is_retried_where_retries_are_on,
    a_refusal_is_not_retried,
    a_fault_falls_back_into_the_other_dialect,
    a_stream_that_breaks_before_its_first_content_falls_back,
    a_stream_that_breaks_after_content_ends_in_an_error,
    a_stream_cut_in_the_middle_of_an_event_ends_in_a_whole_error,
    a_stream_that_ends_early_ends_in_an_error,
    an_error_event_after_content_is_passed_on,
];

const PAIRS: [(Dialect, Dialect); 4] = [
    (Dialect::OpenAi, Dialect::OpenAi),
    (Dialect::OpenAi, Dialect::Anthropic),
    (Dialect::Anthropic, Dialect::OpenAi),
    (Dialect::Anthropic, Dialect::Anthropic),
];

async fn a_providers_refusal_keeps_its_meaning(world: Arc<World>) -> Result<()> {
    for (caller, upstream) in PAIRS {
        for (status, kind, message) in [
            (400, "invalid_request_error", "This model's maximum context length is 5 tokens."),
            (404, "not_found_error", "no such engine"),
            (413, "request_too_large", "too many bytes"),
            (422, "invalid_request_error", "cannot be processed"),
        ] {
            let key = budgeted(&world).await?;
            let script = format!("refuses-{caller:?}-{upstream:?}-{status}").to_lowercase();
            world.upstream.script(&script, [Play::json(status, &vendor_error(upstream, kind, message))]);
            let answer =
                world.ask(caller, &key, &question(caller, &model(upstream, &script))).whole().await?;
            check_eq!(answer.status, status, "{script}: {}", answer.text());
            is_an_error_of(caller, &answer.json()?)?;
            ensure!(
                answer.text().contains(message),
                "{script}: the provider's words are lost: {}",
                answer.text()
            );
            check_eq!(world.upstream.received(&script).len(), 1, "{script}: a refusal was retried");
            nothing_is_owed(&world, &key).await?;
        }
    }
    Ok(())
}

async fn a_providers_rate_limit_keeps_its_retry_after(world: Arc<World>) -> Result<()> {
    for (caller, upstream) in PAIRS {
        let key = budgeted(&world).await?;
        let script = format!("rate-limited-{caller:?}-{upstream:?}").to_lowercase();
        let play = Play::json(429, &vendor_error(upstream, "rate_limit_error", "slow down"))
            .with_header("retry-after", "7");
        world.upstream.script(&script, [play]);
        let answer = world.ask(caller, &key, &question(caller, &model(upstream, &script))).whole().await?;
        check_eq!(answer.status, 429, "{}", answer.text());
        check_eq!(answer.header("retry-after"), Some("7"));
        is_an_error_of(caller, &answer.json()?)?;
        nothing_is_owed(&world, &key).await?;
    }
    Ok(())
}

async fn a_provider_that_refuses_our_key_is_not_the_callers_fault(world: Arc<World>) -> Result<()> {
    for status in [401, 402] {
        let key = budgeted(&world).await?;
        let script = format!("our-key-is-refused-{status}");
        world.upstream.script(
            &script,
            [Play::json(status, &vendor_error(Dialect::OpenAi, "authentication_error", "bad key sk-1234"))],
        );
        let answer = world
            .ask(Dialect::OpenAi, &key, &question(Dialect::OpenAi, &model(Dialect::OpenAi, &script)))
            .whole()
            .await?;
        ensure!(
            answer.status >= 500,
            "the caller's own key is right, but {}: {}",
            answer.status,
            answer.text()
        );
        nothing_is_owed(&world, &key).await?;
    }
    Ok(())
}

async fn a_provider_that_fails_is_told_as_a_gateway_error(world: Arc<World>) -> Result<()> {
    for (caller, upstream) in PAIRS {
        for status in [500, 503, 529] {
            let script = format!("fails-{caller:?}-{upstream:?}-{status}").to_lowercase();
            let play = Play::json(status, &vendor_error(upstream, "api_error", "it broke"));
            fails(&world, caller, upstream, &script, play).await?;
        }
        let script = format!("fails-{caller:?}-{upstream:?}-html").to_lowercase();
        fails(&world, caller, upstream, &script, Play::text(502, "text/html", "<html>bad gateway</html>"))
            .await?;
    }
    Ok(())
}

async fn a_refused_connection_is_told_as_a_gateway_error(world: Arc<World>) -> Result<()> {
    let key = budgeted(&world).await?;
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        let answer = world.ask(dialect, &key, &question(dialect, "refused")).whole().await?;
        ensure!((502..=504).contains(&answer.status), "{}: {}", answer.status, answer.text());
        is_an_error_of(dialect, &answer.json()?)?;
    }
    nothing_is_owed(&world, &key).await
}

async fn a_refused_connection_falls_back(world: Arc<World>) -> Result<()> {
    let key = budgeted(&world).await?;
    world.upstream.script("after-refusal", [Reply::text(["here"]).usage(10, 1).into()]);
    let answer =
        world.ask(Dialect::OpenAi, &key, &question(Dialect::OpenAi, "refused-then-answered")).whole().await?;
    check_eq!(answer.status, 200, "{}", answer.text());
    check_eq!(answer.header("x-gatelet-attempts"), Some("2"));
    check_eq!(answer.header("x-gatelet-model"), Some("up-openai/after-refusal"));
    check_eq!(world.closed_books(&key).await?.spent, cost(10, 1));
    Ok(())
}

async fn a_connection_that_closes_without_an_answer_is_told(world: Arc<World>) -> Result<()> {
    for (caller, upstream) in PAIRS {
        let script = format!("hangs-up-{caller:?}-{upstream:?}").to_lowercase();
        fails(&world, caller, upstream, &script, Play::HangUp).await?;
    }
    Ok(())
}

async fn a_provider_that_does_not_answer_times_out(world: Arc<World>) -> Result<()> {
    let key = budgeted(&world).await?;
    let script = "does-not-answer";
    world.upstream.script(script, [Play::Silence]);
    let body = question(Dialect::OpenAi, &format!("impatient/{script}"));
    let answer = world.ask(Dialect::OpenAi, &key, &body).whole().await?;
    check_eq!(answer.status, 504, "{}", answer.text());
    is_an_error_of(Dialect::OpenAi, &answer.json()?)?;
    world.upstream.only(script)?.until_left(std::time::Duration::from_secs(20)).await?;
    check_eq!(world.closed_books(&key).await?.held, 0);
    Ok(())
}

async fn a_provider_that_falls_silent_in_the_middle_times_out(world: Arc<World>) -> Result<()> {
    let key = budgeted(&world).await?;
    let script = "falls-silent";
    world.upstream.script(
        script,
        [Reply::text(["one ", "two ", "three"]).usage(10, 3).ending_after(2, Ending::Silence).into()],
    );
    let mut body = question(Dialect::OpenAi, &format!("impatient/{script}"));
    body["stream"] = json!(true);
    let answer = world.ask(Dialect::OpenAi, &key, &body).whole().await?;
    ends_in_an_error(Dialect::OpenAi, &answer)?;
    world.upstream.only(script)?.until_left(std::time::Duration::from_secs(20)).await?;
    ensure!(world.closed_books(&key).await?.spent > 0, "what was generated is not charged");
    Ok(())
}

async fn an_answer_that_is_no_json_is_told(world: Arc<World>) -> Result<()> {
    for (caller, upstream) in PAIRS {
        for (number, text) in ["", "<html></html>", "{\"id\":\"chatcmpl", "[]", "{}"].into_iter().enumerate()
        {
            let script = format!("no-json-{caller:?}-{upstream:?}-{number}").to_lowercase();
            fails(&world, caller, upstream, &script, Play::text(200, "application/json", text)).await?;
        }
    }
    Ok(())
}

async fn an_error_inside_a_success_is_an_error(world: Arc<World>) -> Result<()> {
    for (caller, upstream) in PAIRS {
        let error = vendor_error(upstream, "overloaded_error", "too busy");
        let script = format!("error-in-200-{caller:?}-{upstream:?}").to_lowercase();
        fails(&world, caller, upstream, &script, Play::json(200, &error)).await?;
        let script = format!("error-in-stream-{caller:?}-{upstream:?}").to_lowercase();
        let event = match upstream {
            Dialect::OpenAi => format!("data: {error}\n\n"),
            Dialect::Anthropic => format!("event: error\ndata: {error}\n\n"),
        };
        let key = budgeted(&world).await?;
        world.upstream.script(&script, [Play::events([Piece::text(&event)])]);
        let mut body = question(caller, &model(upstream, &script));
        body["stream"] = json!(true);
        let answer = world.ask(caller, &key, &body).whole().await?;
        ensure!(
            answer.status >= 500,
            "{script}: nothing was sent yet, but {}: {}",
            answer.status,
            answer.text()
        );
        is_an_error_of(caller, &answer.json()?)?;
        nothing_is_owed(&world, &key).await?;
    }
    Ok(())
}

async fn a_fault_is_retried_where_retries_are_on(world: Arc<World>) -> Result<()> {
    let key = budgeted(&world).await?;
    let script = "fails-once";
    let failure = Play::json(503, &vendor_error(Dialect::OpenAi, "server_error", "later"));
    world.upstream.script(script, [failure, Reply::text(["now"]).usage(10, 1).into()]);
    let answer = world
        .ask(Dialect::OpenAi, &key, &question(Dialect::OpenAi, &format!("twice/{script}")))
        .whole()
        .await?;
    check_eq!(answer.status, 200, "{}", answer.text());
    check_eq!(answer.header("x-gatelet-attempts"), Some("2"));
    check_eq!(world.upstream.received(script).len(), 2);
    check_eq!(world.closed_books(&key).await?.spent, cost(10, 1));
    Ok(())
}

async fn a_refusal_is_not_retried(world: Arc<World>) -> Result<()> {
    let key = budgeted(&world).await?;
    let script = "refuses-once";
    let refusal = Play::json(400, &vendor_error(Dialect::OpenAi, "invalid_request_error", "never"));
    world.upstream.script(script, [refusal, Reply::text(["now"]).usage(10, 1).into()]);
    let answer = world
        .ask(Dialect::OpenAi, &key, &question(Dialect::OpenAi, &format!("twice/{script}")))
        .whole()
        .await?;
    check_eq!(answer.status, 400, "{}", answer.text());
    check_eq!(world.upstream.received(script).len(), 1);
    nothing_is_owed(&world, &key).await
}

async fn a_fault_falls_back_into_the_other_dialect(world: Arc<World>) -> Result<()> {
    for (name, first, second, other) in [
        ("first-openai", Dialect::OpenAi, "second-anthropic", "up-anthropic"),
        ("first-anthropic", Dialect::Anthropic, "second-openai", "up-openai"),
    ] {
        for caller in [Dialect::OpenAi, Dialect::Anthropic] {
            for streamed in [false, true] {
                let key = budgeted(&world).await?;
                world.upstream.script(name, [Play::json(500, &vendor_error(first, "api_error", "it broke"))]);
                world.upstream.script(second, [Reply::text(["sec", "ond"]).usage(10, 2).into()]);
                let mut body = question(caller, name);
                body["stream"] = json!(streamed);
                let answer = world.ask(caller, &key, &body).whole().await?;
                check_eq!(answer.status, 200, "{name}: {}", answer.text());
                check_eq!(answer.header("x-gatelet-attempts"), Some("2"));
                check_eq!(answer.header("x-gatelet-model"), Some(format!("{other}/{second}").as_str()));
                check_eq!(text(caller, &answer)?, "second");
                check_eq!(world.closed_books(&key).await?.spent, cost(10, 2));
            }
        }
    }
    Ok(())
}

async fn a_stream_that_breaks_before_its_first_content_falls_back(world: Arc<World>) -> Result<()> {
    let name = "breaks-before-content";
    for ending in [Ending::Cut, Ending::Close, Ending::Error] {
        for caller in [Dialect::OpenAi, Dialect::Anthropic] {
            let key = budgeted(&world).await?;
            world
                .upstream
                .script(name, [Reply::text(["never"]).usage(10, 1).ending_after(0, ending.clone()).into()]);
            world.upstream.script("after-break", [Reply::text(["after ", "the break"]).usage(10, 2).into()]);
            let mut body = question(caller, name);
            body["stream"] = json!(true);
            let answer = world.ask(caller, &key, &body).whole().await?;
            check_eq!(answer.status, 200, "{ending:?}: {}", answer.text());
            check_eq!(text(caller, &answer)?, "after the break", "{ending:?}");
            check_eq!(answer.header("x-gatelet-attempts"), Some("2"));
            check_eq!(world.closed_books(&key).await?.spent, cost(10, 2));
        }
    }
    Ok(())
}

async fn a_stream_that_breaks_after_content_ends_in_an_error(world: Arc<World>) -> Result<()> {
    breaks(&world, "cut", &Ending::Cut).await?;
    // No fallback either, where one is configured: the caller has begun to read.
    let key = budgeted(&world).await?;
    let name = "breaks-after-content";
    world
        .upstream
        .script(name, [Reply::text(["one ", "two"]).usage(10, 2).ending_after(1, Ending::Cut).into()]);
    let mut body = question(Dialect::OpenAi, name);
    body["stream"] = json!(true);
    ends_in_an_error(Dialect::OpenAi, &world.ask(Dialect::OpenAi, &key, &body).whole().await?)?;
    check_eq!(world.upstream.received("never-reached").len(), 0);
    Ok(())
}

async fn a_stream_cut_in_the_middle_of_an_event_ends_in_a_whole_error(world: Arc<World>) -> Result<()> {
    let event = |text: &str| {
        let delta = json!({"index": 0, "delta": {"content": text}, "finish_reason": null});
        let chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [delta]});
        format!("data: {chunk}\n\n")
    };
    for caller in [Dialect::OpenAi, Dialect::Anthropic] {
        for keep in [3, 40] {
            let key = budgeted(&world).await?;
            let script = format!("cut-inside-{caller:?}-{keep}").to_lowercase();
            let torn = &event("never")[..keep];
            world.upstream.script(
                &script,
                [Play::events([Piece::text(&event("one ")), Piece::text(torn), Piece::Cut])],
            );
            let mut body = question(caller, &model(Dialect::OpenAi, &script));
            body["stream"] = json!(true);
            let answer = world.ask(caller, &key, &body).whole().await?;
            // Every event that came is whole, the error among them: a client's parser meets no torn line.
            for event in answer.events()? {
                event.json().with_context(|| answer.text())?;
            }
            ends_in_an_error(caller, &answer)?;
            check_eq!(text(caller, &answer)?, "one ");
        }
    }
    Ok(())
}

async fn a_stream_that_ends_early_ends_in_an_error(world: Arc<World>) -> Result<()> {
    breaks(&world, "close", &Ending::Close).await
}

async fn an_error_event_after_content_is_passed_on(world: Arc<World>) -> Result<()> {
    breaks(&world, "error", &Ending::Error).await
}

/// Every pair of dialects: the content so far, then an error of the caller's dialect, and no ending that was never sent.
async fn breaks(world: &World, how: &str, ending: &Ending) -> Result<()> {
    for (caller, upstream) in PAIRS {
        let key = budgeted(world).await?;
        let script = format!("breaks-by-{how}-{caller:?}-{upstream:?}").to_lowercase();
        let reply =
            Reply::text(["one ", "two ", "three ", "four"]).usage(10, 4).ending_after(2, ending.clone());
        world.upstream.script(&script, [reply.into()]);
        let mut body = question(caller, &model(upstream, &script));
        body["stream"] = json!(true);
        let answer = world.ask(caller, &key, &body).whole().await?;
        ends_in_an_error(caller, &answer).with_context(|| script.clone())?;
        check_eq!(text(caller, &answer)?, "one two ", "{script}");
        let books = world.closed_books(&key).await?;
        ensure!(books.spent > 0, "{script}: what was generated is not charged");
        ensure!(books.spent <= cost(400, 50), "{script}: {} were charged", books.spent);
    }
    Ok(())
}

fn ends_in_an_error(caller: Dialect, answer: &Whole) -> Result<()> {
    check_eq!(answer.status, 200, "{}", answer.text());
    ensure!(answer.complete, "the connection was cut instead of ended");
    let events = answer.events()?;
    let last = events.last().context("no events")?;
    is_an_error_of(caller, &last.json()?).with_context(|| answer.text())?;
    if caller == Dialect::Anthropic {
        check_eq!(last.name.as_deref(), Some("error"));
    }
    for ending in ["[DONE]", "message_stop", "\"finish_reason\":\"", "\"stop_reason\":\""] {
        ensure!(!answer.text().contains(ending), "a fabricated ending, {ending}, in {}", answer.text());
    }
    Ok(())
}

/// The call fails with a 5xx in the caller's dialect, and costs nothing.
async fn fails(world: &World, caller: Dialect, upstream: Dialect, script: &str, play: Play) -> Result<()> {
    let key = budgeted(world).await?;
    world.upstream.script(script, [play]);
    let answer = world.ask(caller, &key, &question(caller, &model(upstream, script))).whole().await?;
    ensure!((500..600).contains(&answer.status), "{script}: {}: {}", answer.status, answer.text());
    is_an_error_of(caller, &answer.json()?).with_context(|| script.to_owned())?;
    nothing_is_owed(world, &key).await.with_context(|| script.to_owned())
}

async fn nothing_is_owed(world: &World, key: &Key) -> Result<()> {
    check_eq!(world.closed_books(key).await?.spent, 0);
    Ok(())
}

async fn budgeted(world: &World) -> Result<Key> {
    world.host.key(json!({"limits": {"budget": ["1 USD / day"]}})).await
}

fn vendor_error(dialect: Dialect, kind: &str, message: &str) -> Value {
    match dialect {
        Dialect::OpenAi => json!({"error": {"message": message, "type": kind, "param": null, "code": null}}),
        Dialect::Anthropic => json!({"type": "error", "error": {"type": kind, "message": message}}),
    }
}

/// The text of an answer, whole or streamed.
pub(super) fn text(caller: Dialect, answer: &Whole) -> Result<String> {
    if let Ok(body) = answer.json() {
        let (openai, anthropic) = (&body["choices"][0]["message"]["content"], &body["content"][0]["text"]);
        let content = if caller == Dialect::OpenAi { openai } else { anthropic };
        return Ok(content.as_str().unwrap_or_default().to_owned());
    }
    let mut text = String::new();
    for event in answer.events()?.iter().filter(|event| event.data != "[DONE]") {
        let event = event.json()?;
        let (openai, anthropic) = (&event["choices"][0]["delta"]["content"], &event["delta"]["text"]);
        text.push_str(
            if caller == Dialect::OpenAi { openai } else { anthropic }.as_str().unwrap_or_default(),
        );
    }
    Ok(text)
}
