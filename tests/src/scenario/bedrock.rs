//! boto3 in front of the gateway, signing with a key's pair or with the key as a bearer, and Bedrock behind it.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use gatelet_wire::frame::eventstream;
use gatelet_wire::sigv4;
use serde_json::{Value, json};

use crate::check_eq;
use crate::host::Key;
use crate::sdk::Vendor;
use crate::upstream::{Dialect, Ending, Piece, Play, Received, Reply};
use crate::world::{SIGNING_PAIR, World, cost, model};

scenarios![
    boto3_signs_and_asks_models_of_other_dialects,
    boto3_signs_and_streams_models_of_other_dialects,
    boto3_shows_a_key_as_a_bearer,
    boto3_reads_what_bedrock_says_whole_and_streamed,
    boto3_is_told_what_is_wrong_in_its_own_words,
    a_stream_that_breaks_is_an_exception_of_boto3,
    an_anthropic_client_asks_bedrock,
];

async fn boto3_signs_and_asks_models_of_other_dialects(world: Arc<World>) -> Result<()> {
    for upstream in [Dialect::OpenAi, Dialect::Anthropic] {
        let script = "boto3-whole";
        let reply =
            Reply::text(["Grüße, ", "世界!"]).and_tool("call_a1", "weather", &["{\"city\": \"Oslo\"}"]);
        world.upstream.script(script, [reply.usage(11, 7).into()]);
        let (key, pair) = paired(&world).await?;
        let answer = ask(&world, &pair, "converse", &arguments(&model(upstream, script))).await?;
        let said = &answer["result"];
        let call = json!({"toolUseId": "call_a1", "name": "weather", "input": {"city": "Oslo"}});
        check_eq!(said["output"]["message"]["content"], json!([{"text": "Grüße, 世界!"}, {"toolUse": call}]));
        check_eq!(said["stopReason"], json!("tool_use"));
        check_eq!(said["usage"], json!({"inputTokens": 11, "outputTokens": 7, "totalTokens": 18}));
        check_eq!(world.closed_books(&key).await?.spent, cost(11, 7));
    }
    Ok(())
}

async fn boto3_signs_and_streams_models_of_other_dialects(world: Arc<World>) -> Result<()> {
    for upstream in [Dialect::OpenAi, Dialect::Anthropic] {
        let script = "boto3-stream";
        world.upstream.script(script, [Reply::text(["Grüße, ", "世界", " 👋🏽", "!"]).usage(11, 7).into()]);
        let (key, pair) = paired(&world).await?;
        let answer = ask(&world, &pair, "converse_stream", &arguments(&model(upstream, script))).await?;
        let events = streamed(&answer)?;
        check_eq!(text(events), "Grüße, 世界 👋🏽!");
        check_eq!(events[0], json!({"messageStart": {"role": "assistant"}}));
        check_eq!(events[events.len() - 2]["messageStop"]["stopReason"], json!("end_turn"));
        let usage = json!({"inputTokens": 11, "outputTokens": 7, "totalTokens": 18});
        check_eq!(events[events.len() - 1]["metadata"]["usage"], usage);
        check_eq!(world.closed_books(&key).await?.spent, cost(11, 7));
    }
    Ok(())
}

async fn boto3_shows_a_key_as_a_bearer(world: Arc<World>) -> Result<()> {
    let script = "boto3-bearer";
    world.upstream.script(script, [Reply::text(["Yes."]).usage(3, 2).into()]);
    let key = world.host.key(json!({"limits": {"budget": ["1 USD / day"]}})).await?;
    let arguments = arguments(&model(Dialect::OpenAi, script));
    let answer = ask(&world, &key.secret, "converse", &arguments).await?;
    check_eq!(answer["result"]["output"]["message"]["content"], json!([{"text": "Yes."}]), "{answer}");
    check_eq!(world.closed_books(&key).await?.spent, cost(3, 2));
    Ok(())
}

async fn boto3_reads_what_bedrock_says_whole_and_streamed(world: Arc<World>) -> Result<()> {
    let script = "eu.anthropic.claude-scripted-v1:0";
    world.upstream.script(script, [whole("Hello."), stream(&["Hel", "lo."], true)]);
    let (key, pair) = paired(&world).await?;
    let arguments = arguments(&format!("converse/{script}"));
    let answer = ask(&world, &pair, "converse", &arguments).await?;
    check_eq!(answer["result"]["output"]["message"]["content"], json!([{"text": "Hello."}]));
    let answer = ask(&world, &pair, "converse_stream", &arguments).await?;
    check_eq!(text(streamed(&answer)?), "Hello.");
    let received = world.upstream.arrived(script, 2).await?;
    for (received, path) in received.iter().zip(["converse", "converse-stream"]) {
        check_eq!(received.path, format!("/model/eu.anthropic.claude-scripted-v1%3A0/{path}"));
        is_signed_well(received)?;
    }
    check_eq!(received[0].json()?["messages"], arguments["messages"]);
    check_eq!(world.closed_books(&key).await?.spent, cost(5, 4) * 2);
    Ok(())
}

async fn boto3_is_told_what_is_wrong_in_its_own_words(world: Arc<World>) -> Result<()> {
    let (_, pair) = paired(&world).await?;
    let good = arguments("chat/nobody-asks-this");
    let wrong = ask(&world, &format!("{pair}x"), "converse", &good).await?;
    check_eq!(wrong["error"]["code"], json!("InvalidSignatureException"), "{wrong}");
    check_eq!(wrong["error"]["status"], json!(403));
    let unknown = ask(&world, "gk_main_000000000000:secret", "converse", &good).await?;
    check_eq!(unknown["error"]["class"], json!("ClientError"));
    check_eq!(unknown["error"]["code"], json!("UnrecognizedClientException"), "{unknown}");
    let nowhere = ask(&world, &pair, "converse", &arguments("no-such-model")).await?;
    check_eq!(nowhere["error"]["class"], json!("ResourceNotFoundException"), "{nowhere}");
    let script = "boto3-limited";
    let limited = json!({"error": {"message": "Slow down", "type": "rate_limit_error"}});
    world.upstream.script(script, [Play::json(429, &limited)]);
    let answer = ask(&world, &pair, "converse", &arguments(&model(Dialect::OpenAi, script))).await?;
    check_eq!(answer["error"]["class"], json!("ThrottlingException"), "{answer}");
    Ok(())
}

async fn a_stream_that_breaks_is_an_exception_of_boto3(world: Arc<World>) -> Result<()> {
    let (_, pair) = paired(&world).await?;
    let script = "boto3-cut";
    world.upstream.script(script, [Reply::text(["Once ", "upon"]).ending_after(1, Ending::Cut).into()]);
    let answer =
        ask(&world, &pair, "converse_stream", &arguments(&model(Dialect::Anthropic, script))).await?;
    check_eq!(answer["error"]["class"], json!("EventStreamError"), "{answer}");
    let script = "anthropic.claude-that-breaks-v1:0";
    world.upstream.script(script, [stream(&["Once ", "upon"], false)]);
    let answer = ask(&world, &pair, "converse_stream", &arguments(&format!("converse/{script}"))).await?;
    check_eq!(answer["error"]["class"], json!("EventStreamError"), "{answer}");
    check_eq!(text(answer["events"].as_array().context("no events")?), "Once upon");
    Ok(())
}

async fn an_anthropic_client_asks_bedrock(world: Arc<World>) -> Result<()> {
    let script = "anthropic.claude-asked-v1:0";
    world.upstream.script(script, [whole("Hello."), stream(&["Hel", "lo."], true)]);
    let key = world.host.key(json!({"limits": {"budget": ["1 USD / day"]}})).await?;
    let arguments = json!({
        "model": format!("converse/{script}"), "max_tokens": 50, "messages": [{"role": "user", "content": "Say hello."}],
    });
    let answer = world.sdk_call(Dialect::Anthropic, &key, "create", arguments.clone()).await?;
    check_eq!(answer["result"]["content"][0]["text"], json!("Hello."), "{answer}");
    let answer = world.sdk_call(Dialect::Anthropic, &key, "stream", arguments).await?;
    check_eq!(answer["final"]["content"][0]["text"], json!("Hello."), "{answer}");
    let received = world.upstream.arrived(script, 2).await?;
    for received in &received {
        is_signed_well(received)?;
        let sent = received.json()?;
        check_eq!(sent["messages"], json!([{"role": "user", "content": [{"text": "Say hello."}]}]));
        check_eq!(sent["inferenceConfig"]["maxTokens"], json!(50));
    }
    check_eq!(world.closed_books(&key).await?.spent, cost(5, 4) * 2);
    Ok(())
}

/// A key, and its pair as the driver takes it.
async fn paired(world: &World) -> Result<(Key, String)> {
    let wish = json!({"aws": true, "limits": {"budget": ["1 USD / day"]}});
    let made = world.host.admin(http::Method::POST, "/admin/v1/keys").json(&wish).expect(201).await?;
    let text = |value: &Value| value.as_str().map(str::to_owned).context("no pair");
    let pair =
        format!("{}:{}", text(&made["aws"]["access_key_id"])?, text(&made["aws"]["secret_access_key"])?);
    Ok((Key { id: text(&made["id"])?, secret: text(&made["key"])? }, pair))
}

fn arguments(model: &str) -> Value {
    json!({
        "modelId": model,
        "messages": [{"role": "user", "content": [{"text": "Say hello."}]}],
        "inferenceConfig": {"maxTokens": 50},
    })
}

async fn ask(world: &World, key: &str, method: &str, arguments: &Value) -> Result<Value> {
    world.sdk.call(Vendor::Bedrock, &world.host.base(), key, method, arguments.clone()).await
}

fn streamed(answer: &Value) -> Result<&[Value]> {
    ensure!(answer["error"].is_null(), "the client threw: {}", answer["error"]);
    let events = answer["events"].as_array().with_context(|| format!("no events in {answer}"))?;
    ensure!(events.len() > 2, "{answer}");
    Ok(events)
}

fn text(events: &[Value]) -> String {
    events.iter().filter_map(|event| event["contentBlockDelta"]["delta"]["text"].as_str()).collect()
}

fn whole(text: &str) -> Play {
    Play::json(
        200,
        &json!({
            "output": {"message": {"role": "assistant", "content": [{"text": text}]}}, "stopReason": "end_turn",
            "usage": {"inputTokens": 5, "outputTokens": 4, "totalTokens": 9}, "metrics": {"latencyMs": 7},
        }),
    )
}

/// What Bedrock streams, each message in two writes that cut it in its middle; it ends well or with an exception.
fn stream(texts: &[&str], complete: bool) -> Play {
    let event = |name: &str, data: &Value| message(eventstream::Kind::Event, name, data);
    let mut messages = vec![event("messageStart", &json!({"role": "assistant", "p": "abc"}))];
    messages.extend(texts.iter().map(|text| {
        event("contentBlockDelta", &json!({"contentBlockIndex": 0, "delta": {"text": text}, "p": "abcdef"}))
    }));
    if complete {
        let usage = json!({"inputTokens": 5, "outputTokens": 4, "totalTokens": 9});
        messages.push(event("contentBlockStop", &json!({"contentBlockIndex": 0})));
        messages.push(event("messageStop", &json!({"stopReason": "end_turn"})));
        messages.push(event("metadata", &json!({"usage": usage, "metrics": {"latencyMs": 7}})));
    } else {
        let failed = json!({"message": "The model fell over."});
        messages.push(message(eventstream::Kind::Exception, "modelStreamErrorException", &failed));
    }
    let pieces = messages.into_iter().flat_map(|mut message| {
        let rest = message.split_off(message.len() / 2);
        [Piece::Bytes(Bytes::from(message)), Piece::Bytes(Bytes::from(rest))]
    });
    let kind = "application/vnd.amazon.eventstream".to_owned();
    Play::Raw { status: 200, headers: vec![("content-type".to_owned(), kind)], pieces: pieces.collect() }
}

fn message(kind: eventstream::Kind, name: &str, data: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    eventstream::write(&mut out, kind, name, |out| out.extend_from_slice(data.to_string().as_bytes()));
    out
}

/// The signature is the provider's own, over what it received.
fn is_signed_well(received: &Received) -> Result<()> {
    let mut parts = SIGNING_PAIR.split(':');
    let (Some(id), Some(secret), Some(token)) = (parts.next(), parts.next(), parts.next()) else {
        anyhow::bail!("no pair");
    };
    let header = |name: &str| received.header(name).with_context(|| format!("no {name}"));
    check_eq!(header("x-amz-security-token")?, token);
    let authorization = header("authorization")?;
    let claim = sigv4::Claim::read(authorization).context("no claim")?;
    let headers: Vec<(&str, &str)> =
        claim.headers.split(';').map(|name| Ok((name, header(name)?))).collect::<Result<_>>()?;
    let request = sigv4::Request {
        method: "POST",
        path: &received.path,
        query: "",
        headers: &headers,
        body_hash: &sigv4::body_hash(&received.body),
    };
    let moment = header("x-amz-date")?;
    let scope = sigv4::Scope { moment, region: "eu-west-1", service: "bedrock" };
    check_eq!(authorization, sigv4::authorization(id, secret, &scope, &request));
    Ok(())
}
