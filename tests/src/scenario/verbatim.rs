//! The verbatim lane: same dialect on both sides, every byte kept, only the model's name replaced.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use serde_json::json;

use crate::check_eq;
use crate::upstream::{Dialect, Ending, Gate, Piece, Play, Reply};
use crate::world::{World, cost, model, question};

scenarios![
    a_request_of_the_same_dialect_keeps_every_byte_but_the_model,
    an_answer_of_the_same_dialect_keeps_every_byte,
    a_stream_of_the_same_dialect_keeps_every_byte_however_it_is_cut,
    a_translated_stream_is_the_same_however_it_is_cut,
    a_stream_arrives_as_it_is_sent,
];

/// Numbers that a float would change, keys out of order, unknown fields, escapes, blanks.
const ODD: &str = r#"{ "zeta":1.10, "big" : 12345678901234567890123,"messages" :[{"role":"user","content":"caf\u00e9 \/ 1.0e+2"}],
  "max_tokens":50,"unknown_to_us":{"b":[],"a":null , "x":-0.0},"model":"MODEL","alpha":0.30 }"#;

async fn a_request_of_the_same_dialect_keeps_every_byte_but_the_model(world: Arc<World>) -> Result<()> {
    let key = world.host.open_key().await?;
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        let script = format!("bytes-of-a-request-{dialect:?}").to_lowercase();
        world.upstream.script(&script, [Reply::text(["fine"]).usage(1, 1).into()]);
        let body = ODD.replace("MODEL", &model(dialect, &script));
        let answer = world.post(dialect, &key).body(body).whole().await?;
        check_eq!(answer.status, 200, "{}", answer.text());
        let received = world.upstream.only(&script)?;
        check_eq!(String::from_utf8_lossy(&received.body), ODD.replace("MODEL", &script));
    }
    Ok(())
}

async fn an_answer_of_the_same_dialect_keeps_every_byte(world: Arc<World>) -> Result<()> {
    let key = world.host.key(json!({"limits": {"budget": ["1 USD / day"]}})).await?;
    let script = "bytes-of-an-answer";
    let answer = r#"{"new_field" : 1.10,"id":"chatcmpl-odd","object":"chat.completion","created":1, "model":"odd-2026",
 "choices":[{"index":0,"message":{"role":"assistant","content":"caf\u00e9","refusal":null},"finish_reason":"stop"}],
 "usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"huge":12345678901234567890123}}"#;
    world.upstream.script(script, [Play::text(200, "application/json", answer)]);
    let request = json!({"model": model(Dialect::OpenAi, script), "max_tokens": 9, "messages": [{"role": "user", "content": "?"}]});
    let got = world.ask(Dialect::OpenAi, &key, &request).whole().await?;
    check_eq!(got.status, 200);
    check_eq!(got.text(), answer);
    check_eq!(world.closed_books(&key).await?.spent, cost(3, 2));
    Ok(())
}

const STREAM: &str = concat!(
    ": keep-alive\n\n",
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"odd\",\"p\":\"xx\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}],\"usage\":null}\n\n",
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"odd\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Grüße 👋🏽 世界\"},\"finish_reason\":null}],\"n\":1.10,\"usage\":null}\n\n",
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"odd\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n",
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"odd\",\"choices\":[],\"usage\":{\"prompt_tokens\":6,\"completion_tokens\":4,\"total_tokens\":10}}\n\n",
    "data: [DONE]\n\n",
);

fn cut(size: usize) -> Play {
    Play::events(STREAM.as_bytes().chunks(size).map(|chunk| Piece::Bytes(Bytes::copy_from_slice(chunk))))
}

async fn a_stream_of_the_same_dialect_keeps_every_byte_however_it_is_cut(world: Arc<World>) -> Result<()> {
    let key = world.host.key(json!({"limits": {"budget": ["1 USD / day"]}})).await?;
    let sizes = [1, 3, 7, 64, 5000];
    for size in sizes {
        let script = format!("bytes-of-a-stream-{size}");
        world.upstream.script(&script, [cut(size)]);
        let request = json!({
            "model": model(Dialect::OpenAi, &script), "max_tokens": 9, "stream": true,
            "stream_options": {"include_usage": true}, "messages": [{"role": "user", "content": "?"}],
        });
        let got = world.ask(Dialect::OpenAi, &key, &request).whole().await?;
        check_eq!(got.status, 200);
        ensure!(
            got.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream")),
            "no event stream"
        );
        check_eq!(got.text(), STREAM, "in writes of {size}");
    }
    check_eq!(world.closed_books(&key).await?.spent, cost(6, 4) * sizes.len() as u64);
    Ok(())
}

async fn a_translated_stream_is_the_same_however_it_is_cut(world: Arc<World>) -> Result<()> {
    let key = world.host.key(json!({"limits": {"budget": ["1 USD / day"]}})).await?;
    let mut first: Option<Vec<String>> = None;
    let sizes = [1, 2, 3, 5000];
    for size in sizes {
        let script = format!("cuts-of-a-translated-stream-{size}");
        world.upstream.script(&script, [cut(size)]);
        let request = json!({
            "model": model(Dialect::OpenAi, &script), "max_tokens": 9, "stream": true,
            "messages": [{"role": "user", "content": "?"}],
        });
        let got = world.ask(Dialect::Anthropic, &key, &request).whole().await?;
        check_eq!(got.status, 200, "{}", got.text());
        let events: Vec<String> =
            got.events()?.into_iter().map(|event| event.data.replace(&script, "")).collect();
        ensure!(events.iter().any(|data| data.contains("Grüße 👋🏽 世界")), "the text was torn: {events:?}");
        match &first {
            None => first = Some(events),
            Some(first) => check_eq!(events, *first, "in writes of {size}"),
        }
    }
    check_eq!(world.closed_books(&key).await?.spent, cost(6, 4) * sizes.len() as u64);
    Ok(())
}

async fn a_stream_arrives_as_it_is_sent(world: Arc<World>) -> Result<()> {
    let key = world.host.open_key().await?;
    for caller in [Dialect::OpenAi, Dialect::Anthropic] {
        for upstream in [Dialect::OpenAi, Dialect::Anthropic] {
            let script = format!("as-it-is-sent-{caller:?}-{upstream:?}").to_lowercase();
            let gate = Gate::closed();
            let reply =
                Reply::text(["first", "second"]).usage(3, 2).ending_after(1, Ending::Gate(gate.clone()));
            world.upstream.script(&script, [reply.into()]);
            let mut body = question(caller, &model(upstream, &script));
            body["stream"] = json!(true);
            let mut answer = world.ask(caller, &key, &body).send().await?;
            let early = answer.until("first").await.with_context(|| format!("{script}: held back"))?;
            ensure!(!early.contains("second"), "{script}: {early}");
            gate.open();
            answer.until("second").await?;
        }
    }
    Ok(())
}
