//! Upstreams that speak a vendor's own dialect, asked in it by that vendor's client, and in another one by others.

use std::sync::Arc;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::check_eq;
use crate::sdk::Vendor;
use crate::upstream::Play;
use crate::world::{World, cost};

scenarios![
    the_cohere_client_asks_and_streams_a_cohere_model,
    the_cohere_client_throws_its_own_exceptions,
    the_openai_client_asks_and_streams_a_cohere_model,
    the_ollama_client_asks_and_streams_an_ollama_model,
    the_ollama_client_throws_its_own_exceptions,
    the_openai_client_asks_and_streams_an_ollama_model,
];

const TEXT: &str = "Grüße, 世界 👋🏽!";

/// Billed units, and far more tokens with the templates around them.
fn cohere() -> [Play; 2] {
    let usage = json!({"billed_units": {"input_tokens": 11.0, "output_tokens": 7.0}, "tokens": {"input_tokens": 911.0, "output_tokens": 70.0}});
    let whole = json!({"id": "c1", "finish_reason": "COMPLETE", "message": {"role": "assistant", "content": [{"type": "text", "text": TEXT}]}, "usage": usage});
    let event =
        |event: Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default());
    let said = |text: &str| {
        event(json!({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": text}}}}))
    };
    let stream = [
        event(
            json!({"id": "c1", "type": "message-start", "delta": {"message": {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}}}),
        ),
        event(
            json!({"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}}),
        ),
        said("Grüße, 世"),
        said("界 👋🏽!"),
        event(json!({"type": "content-end", "index": 0})),
        event(json!({"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": usage}})),
        "data: [DONE]\n\n".to_owned(),
    ];
    [Play::json(200, &whole), Play::text(200, "text/event-stream", &stream.concat())]
}

fn ollama(script: &str) -> [Play; 2] {
    let line = |text: &str| json!({"model": script, "created_at": "2025-06-15T15:06:40.123456Z", "message": {"role": "assistant", "content": text}, "done": false});
    let done = |text: &str| {
        let mut line = line(text);
        line["done"] = json!(true);
        line["done_reason"] = json!("stop");
        line["prompt_eval_count"] = json!(11);
        line["eval_count"] = json!(7);
        line
    };
    let lines = [line("Grüße, 世"), line("界 👋🏽!"), done("")].map(|line| format!("{line}\n"));
    [Play::json(200, &done(TEXT)), Play::text(200, "application/x-ndjson", &lines.concat())]
}

/// Asks whole, then streamed, and sees that the upstream was called at `path` and that the books hold both.
async fn twice(
    world: &World,
    vendor: Vendor,
    base: &str,
    script: &str,
    asks: [(&str, Value); 2],
    path: &str,
) -> Result<[Value; 2]> {
    let key = world.host.key(json!({"limits": {"budget": ["1 USD / day"]}})).await?;
    let base = format!("{}{base}", world.host.base());
    let mut answers = [Value::Null, Value::Null];
    for (answer, (method, arguments)) in answers.iter_mut().zip(asks) {
        *answer = world.sdk.call(vendor, &base, &key.secret, method, arguments).await?;
        ensure!(answer["error"].is_null(), "the client threw: {}", answer["error"]);
    }
    check_eq!(world.closed_books(&key).await?.spent, 2 * cost(11, 7));
    let received = world.upstream.received(script);
    check_eq!(received.len(), 2);
    check_eq!(received.iter().map(|request| request.path.as_str()).collect::<Vec<_>>(), [path, path]);
    Ok(answers)
}

fn question(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "Hello?"}]})
}

fn with(mut arguments: Value, key: &str, value: Value) -> Value {
    arguments[key] = value;
    arguments
}

async fn the_cohere_client_asks_and_streams_a_cohere_model(world: Arc<World>) -> Result<()> {
    world.upstream.script("vendor-cohere", cohere());
    let asked = question("command/vendor-cohere");
    let asks = [("chat", asked.clone()), ("chat_stream", asked)];
    let [whole, stream] = twice(&world, Vendor::Cohere, "", "vendor-cohere", asks, "/v2/chat").await?;
    check_eq!(whole["result"]["message"]["content"][0]["text"].as_str(), Some(TEXT));
    let events = stream["events"].as_array().into_iter().flatten();
    let text: String =
        events.filter_map(|event| event["delta"]["message"]["content"]["text"].as_str()).collect();
    check_eq!(text, TEXT);
    Ok(())
}

async fn the_cohere_client_throws_its_own_exceptions(world: Arc<World>) -> Result<()> {
    world.upstream.script("vendor-cohere-busy", [Play::json(429, &json!({"message": "slow down"}))]);
    let key = world.host.key(json!({})).await?;
    let base = world.host.base();
    for (secret, model, class) in [
        (key.secret.as_str(), "command/vendor-cohere-busy", "TooManyRequestsError"),
        (key.secret.as_str(), "nowhere", "NotFoundError"),
        ("gk_wrong", "nowhere", "UnauthorizedError"),
    ] {
        let answer = world.sdk.call(Vendor::Cohere, &base, secret, "chat", question(model)).await?;
        ensure!(answer["error"].to_string().contains(class), "{class} was expected, not {}", answer["error"]);
    }
    Ok(())
}

async fn the_openai_client_asks_and_streams_a_cohere_model(world: Arc<World>) -> Result<()> {
    world.upstream.script("vendor-cohere-openai", cohere());
    let asked = question("command/vendor-cohere-openai");
    let streamed = with(asked.clone(), "stream_options", json!({"include_usage": true}));
    let asks = [("chat.completions.create", asked), ("chat.completions.stream", streamed)];
    let [whole, stream] =
        twice(&world, Vendor::OpenAi, "/v1", "vendor-cohere-openai", asks, "/v2/chat").await?;
    for answer in [&whole["result"], &stream["final"]] {
        check_eq!(answer["choices"][0]["message"]["content"].as_str(), Some(TEXT));
        check_eq!(answer["usage"]["total_tokens"].as_u64(), Some(18));
        check_eq!(answer["model"].as_str(), Some("vendor-cohere-openai"));
    }
    Ok(())
}

async fn the_ollama_client_asks_and_streams_an_ollama_model(world: Arc<World>) -> Result<()> {
    world.upstream.script("vendor-ollama", ollama("vendor-ollama"));
    let asked = question("llama/vendor-ollama");
    let asks = [("chat", asked.clone()), ("chat", with(asked, "stream", json!(true)))];
    let [whole, stream] = twice(&world, Vendor::Ollama, "", "vendor-ollama", asks, "/api/chat").await?;
    check_eq!(whole["result"]["message"]["content"].as_str(), Some(TEXT));
    let lines = stream["events"].as_array().into_iter().flatten();
    let text: String = lines.filter_map(|line| line["message"]["content"].as_str()).collect();
    check_eq!(text, TEXT);
    Ok(())
}

async fn the_ollama_client_throws_its_own_exceptions(world: Arc<World>) -> Result<()> {
    let key = world.host.key(json!({})).await?;
    for stream in [false, true] {
        let asked = with(question("nowhere"), "stream", json!(stream));
        let answer = world.sdk.call(Vendor::Ollama, &world.host.base(), &key.secret, "chat", asked).await?;
        let error = answer["error"].to_string();
        ensure!(error.contains("ResponseError") && error.contains("nowhere"), "{error}");
    }
    Ok(())
}

async fn the_openai_client_asks_and_streams_an_ollama_model(world: Arc<World>) -> Result<()> {
    world.upstream.script("vendor-ollama-openai", ollama("vendor-ollama-openai"));
    let asked = question("llama/vendor-ollama-openai");
    let streamed = with(asked.clone(), "stream_options", json!({"include_usage": true}));
    let asks = [("chat.completions.create", asked), ("chat.completions.stream", streamed)];
    let [whole, stream] =
        twice(&world, Vendor::OpenAi, "/v1", "vendor-ollama-openai", asks, "/api/chat").await?;
    for answer in [&whole["result"], &stream["final"]] {
        check_eq!(answer["choices"][0]["message"]["content"].as_str(), Some(TEXT));
        check_eq!(answer["usage"]["total_tokens"].as_u64(), Some(18));
        ensure!(!answer["id"].as_str().unwrap_or_default().is_empty(), "no id: {answer}");
    }
    Ok(())
}
