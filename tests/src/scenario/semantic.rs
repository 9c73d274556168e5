//! Answers that are given to questions in other words, by what each host keeps vectors in. The scripted model gives all words the
//! same vector: what tells questions apart here is everything but their words.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use http::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::records::recorded;
use crate::check_eq;
use crate::client::{Call, Whole};
use crate::upstream::{Dialect, Play, Reply};
use crate::world::{World, cost};

scenarios![
    a_question_in_other_words_is_answered_whole_and_as_a_stream,
    another_prompt_tool_or_tenant_is_another_question,
    a_model_that_gives_no_vector_stops_nobody,
];

/// How long it may take until a vector has been written down and is found, by every instance that may be asked.
const PATIENCE: Duration = Duration::from_mins(2);
const INPUT: u64 = 10;
const OUTPUT: u64 = 2;

fn asked(model: &str, words: &str) -> Value {
    json!({ "model": model, "max_tokens": 50, "messages": [{ "role": "user", "content": words }] })
}

fn script(world: &World, name: &str) {
    world.upstream.script(name, [Reply::text([name, " and more"]).usage(INPUT, OUTPUT).into()]);
    let data = json!([{ "object": "embedding", "index": 0, "embedding": [0.6, -0.8, 0.0] }]);
    let usage = json!({ "prompt_tokens": 4, "total_tokens": 4 });
    let vector = json!({ "object": "list", "model": "meaning", "data": data, "usage": usage });
    world.upstream.script("meaning", [Play::json(200, &vector)]);
    world.upstream.script("meaningless", [Play::json(500, &json!({ "error": { "message": "down" } }))]);
}

fn said(whole: &Whole) -> Option<&str> {
    whole.header("x-gatelet-cache")
}

/// Asks in ever other words until the answer to others is given.
async fn until_alike(call: impl Fn(&str) -> Call) -> Result<(Whole, usize)> {
    let end = Instant::now() + PATIENCE;
    let (mut misses, mut pause) = (0, Duration::from_millis(20));
    let mut words = "What is it".to_owned();
    while Instant::now() < end {
        words.push_str(", please");
        let answer = call(&words).whole().await?;
        check_eq!(answer.status, 200, "{}", answer.text());
        match said(&answer) {
            Some("semantic") => return Ok((answer, misses)),
            Some("miss") => misses += 1,
            other => anyhow::bail!("the cache says {other:?}"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(2));
    }
    anyhow::bail!("{misses} questions in other words, and no answer was given again")
}

async fn a_question_in_other_words_is_answered_whole_and_as_a_stream(world: Arc<World>) -> Result<()> {
    let key = world.host.key(json!({ "limits": { "budget": ["1 USD / day"] } })).await?;
    let name = "meant-again";
    script(&world, name);
    let model = format!("meant/{name}");
    let (hit, misses) = until_alike(|words| world.ask(Dialect::OpenAi, &key, &asked(&model, words))).await?;
    ensure!(misses > 0, "the first question had an answer");
    check_eq!(hit.header("x-gatelet-cache-similarity"), Some("1"));
    check_eq!(hit.header("x-gatelet-cost"), Some("0"));
    check_eq!(hit.json()?["choices"][0]["message"]["content"], json!(format!("{name} and more")));
    let (stream, more) = until_alike(|words| {
        let mut body = asked(&model, &format!("Tell me: {words}"));
        body["stream"] = json!(true);
        world.ask(Dialect::Anthropic, &key, &body)
    })
    .await?;
    let text = stream.text();
    ensure!(text.contains("and more") && text.contains("event: message_stop"), "{text}");
    check_eq!(world.upstream.received(name).len(), misses + more);
    let asked = u64::try_from(misses + more)?;
    // What asking for vectors costs is nobody's here.
    check_eq!(world.closed_books(&key).await?.spent, asked * cost(INPUT, OUTPUT));
    let id = hit.header("x-gatelet-request-id").context("no request id")?;
    let records = recorded(&world, id, 1).await?;
    check_eq!(records[0]["cache"], json!("semantic"), "{}", records[0]);
    check_eq!(records[0]["similarity"], json!(1.0), "{}", records[0]);
    let saved = records[0]["saved"].as_str().map(crate::world::nanos).transpose()?;
    check_eq!(saved, Some(cost(INPUT, OUTPUT)), "{}", records[0]);
    let purge = world.host.admin(Method::POST, "/admin/v1/cache/purge");
    purge.json(&json!({ "key": key.id })).expect(200).await?;
    let end = Instant::now() + PATIENCE;
    let mut words = "After all".to_owned();
    loop {
        words.push_str(", again");
        let answer = world.ask(Dialect::OpenAi, &key, &self::asked(&model, &words)).whole().await?;
        if said(&answer) == Some("miss") {
            return Ok(());
        }
        ensure!(Instant::now() < end, "what was purged is given for minutes");
        sleep(Duration::from_millis(200)).await;
    }
}

async fn another_prompt_tool_or_tenant_is_another_question(world: Arc<World>) -> Result<()> {
    let key = world.host.key(json!({})).await?;
    let neighbour = world.host.key(json!({})).await?;
    let name = "meant-otherwise";
    script(&world, name);
    let model = format!("meant/{name}");
    until_alike(|words| world.ask(Dialect::OpenAi, &key, &asked(&model, words))).await?;
    let with = |field: &str, value: Value| {
        let mut body = asked(&model, "What is it, then?");
        body[field] = value;
        body
    };
    let function = json!({ "name": "look", "parameters": { "type": "object" } });
    let system = json!([{ "role": "system", "content": "Be brief." }, { "role": "user", "content": "What is it, then?" }]);
    for body in [
        with("messages", system),
        with("tools", json!([{ "type": "function", "function": function }])),
        with("temperature", json!(0.5)),
        asked(&model, "What is it, the 2nd time?"),
    ] {
        let answer = world.ask(Dialect::OpenAi, &key, &body).whole().await?;
        check_eq!(said(&answer), Some("miss"), "{body}: {}", answer.text());
    }
    let other = world.ask(Dialect::OpenAi, &neighbour, &asked(&model, "What is it, then?")).whole().await?;
    check_eq!(said(&other), Some("miss"), "{}", other.text());
    Ok(())
}

async fn a_model_that_gives_no_vector_stops_nobody(world: Arc<World>) -> Result<()> {
    let key = world.host.key(json!({})).await?;
    let name = "meant-for-nobody";
    script(&world, name);
    for words in ["What is it?", "What is it, please?"] {
        let body = asked(&format!("meant-less/{name}"), words);
        let answer = world.ask(Dialect::OpenAi, &key, &body).whole().await?;
        check_eq!((answer.status, said(&answer)), (200, Some("miss")), "{}", answer.text());
    }
    check_eq!(world.upstream.received(name).len(), 2);
    Ok(())
}
