//! Gemini's dialect from a caller's key to its books, and the same models on Vertex AI.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use gatelet_core::port::Body;
use http::Response;
use serde_json::{Value, json};
use world::{World, anthropic, chat, completion, openai, read, sse, whole};

const CONFIG: &str = r#"
providers:
  up-gemini: { dialect: gemini, base: "http://127.0.0.1:1/v1beta", key: secret-g }
  up-openai: { dialect: openai, base: "http://127.0.0.1:1/v1", key: secret-o }
models:
  "team/flash": { targets: [ { model: up-gemini/gemini-2.5-flash, price: { input: "1", output: "10", per: 1M }, max_output: 1000 } ], retries: 0 }
  plain: { targets: [ { model: up-openai/model-o, price: { input: "1", output: "10", per: 1M }, max_output: 1000 } ], retries: 0 }
"#;

const CHUNKS: &str = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hel\"}],\"role\":\"model\"},\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":4},\"modelVersion\":\"m\",\"responseId\":\"r\"}\r\n\r\ndata: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"lo\"}],\"role\":\"model\"},\"finishReason\":\"STOP\",\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":4,\"candidatesTokenCount\":2,\"thoughtsTokenCount\":3,\"totalTokenCount\":9},\"modelVersion\":\"m\",\"responseId\":\"r\"}\r\n\r\n";

fn question() -> Value {
    json!({ "contents": [{ "role": "user", "parts": [{ "text": "hello" }] }], "generationConfig": { "maxOutputTokens": 50 } })
}

fn ask(key: &str, model: &str, method: &str, body: &Value) -> http::Request<Body> {
    let mut request = chat(&format!("/v1beta/models/{model}:{method}"), key, body.to_string());
    request.headers_mut().remove("authorization");
    request.headers_mut().insert("x-goog-api-key", key.parse().unwrap());
    request
}

/// A stream in pieces of so many bytes.
fn pieces(stream: &str, size: usize) -> Response<Body> {
    let piece = |bytes: &[u8]| Ok(String::from_utf8(bytes.to_vec()).unwrap());
    sse(stream.as_bytes().chunks(size).map(piece).collect())
}

fn text(response: Response<Body>) -> String {
    String::from_utf8(read(response)).unwrap()
}

fn sent(world: &World, nth: usize) -> Value {
    serde_json::from_slice(world.handles.upstream.asked()[nth].body.as_deref().unwrap()).unwrap()
}

#[test]
fn a_stream_of_its_own_dialect_keeps_every_byte_and_is_in_the_books() {
    let world = World::of(CONFIG);
    let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    world.handles.upstream.push_response(pieces(CHUNKS, 50));
    let response = world.send(ask(&key, "team/flash", "streamGenerateContent?alt=sse", &question()));
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(text(response), CHUNKS);
    let asked = &world.handles.upstream.asked()[0];
    let address = "http://127.0.0.1:1/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse";
    assert_eq!(asked.uri.to_string(), address);
    assert_eq!(asked.headers["x-goog-api-key"], "secret-g");
    assert_eq!(sent(&world, 0), question());
    // 4 tokens at 1 USD a million and 2 spoken and 3 thought at 10.
    assert_eq!(world.usage(&id)["spent"], "0.000054");
}

#[test]
fn a_caller_who_asks_for_no_events_reads_one_list_of_the_same_objects() {
    let world = World::of(CONFIG);
    let (_, key) = world.key(&json!({}));
    world.handles.upstream.push_response(pieces(CHUNKS, 31));
    let response = world.send(ask(&key, "team%2Fflash", "streamGenerateContent", &question()));
    assert_eq!(response.headers()["content-type"], "application/json");
    let list: Vec<Value> = serde_json::from_str(&text(response)).unwrap();
    let chunk = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let own: Vec<Value> = CHUNKS.lines().filter_map(|line| line.strip_prefix("data: ")).map(chunk).collect();
    assert_eq!(list, own);
    // And of another dialect's stream.
    world.handles.upstream.push_response(whole(200, &completion("hi", 3, 2)));
    let response = world.send(ask(&key, "plain", "streamGenerateContent", &question()));
    let list: Vec<Value> = serde_json::from_str(&text(response)).unwrap();
    assert_eq!(list[0]["candidates"][0]["content"]["parts"][0]["text"], "hi");
    assert_eq!(list.last().unwrap()["candidates"][0]["finishReason"], "STOP");
    assert_eq!(list.last().unwrap()["usageMetadata"]["totalTokenCount"], 5);
}

#[test]
fn a_stream_that_breaks_off_stays_a_list_and_says_so() {
    let world = World::of(CONFIG);
    let (_, key) = world.key(&json!({}));
    let half = CHUNKS.split_inclusive("\r\n\r\n").next().unwrap();
    world.handles.upstream.push_response(pieces(half, 50));
    let response = world.send(ask(&key, "team/flash", "streamGenerateContent", &question()));
    let list: Vec<Value> = serde_json::from_str(&text(response)).unwrap();
    assert_eq!(list.len(), 2);
    assert_eq!(list[1]["error"]["status"], "INTERNAL");
}

#[test]
fn what_the_budget_affords_is_said_in_the_callers_own_spelling_once() {
    let world = World::of(CONFIG);
    let (_, key) = world.key(&json!({ "limits": { "budget": ["0.005 USD / day"] } }));
    let body = json!({ "contents": question()["contents"], "generation_config": { "top_p": 0.5 } });
    world.handles.upstream.push_response(whole(200, &json!({
        "candidates": [{ "content": { "parts": [{ "text": "hi" }], "role": "model" }, "finishReason": "STOP" }],
        "usageMetadata": { "promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2 },
    })));
    let response = world.send(ask(&key, "team/flash", "generateContent", &body));
    assert_eq!(response.status(), 200);
    let sent = sent(&world, 0);
    assert!(sent.get("generation_config").is_none(), "{sent}");
    assert_eq!(sent["generationConfig"]["top_p"], 0.5);
    assert!(sent["generationConfig"]["maxOutputTokens"].as_u64().is_some_and(|cap| cap < 1_000), "{sent}");
}

#[test]
fn tools_that_run_at_the_provider_are_refused_where_a_budget_applies() {
    let world = World::of(CONFIG);
    let (_, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    let mut body = question();
    // The vendor takes one tool without the list around it, too.
    for tools in [
        json!([{ "functionDeclarations": [{ "name": "f" }] }, { "googleSearch": {} }]),
        json!({ "googleSearch": {} }),
    ] {
        body["tools"] = tools;
        let response = world.send(ask(&key, "team/flash", "generateContent", &body));
        assert_eq!(response.status(), 403);
        let error: Value = serde_json::from_str(&text(response)).unwrap();
        assert_eq!(error["error"]["status"], "PERMISSION_DENIED");
        assert_eq!(error["error"]["details"][0]["reason"], "cost_unbounded");
    }
    assert!(world.handles.upstream.asked().is_empty());
}

#[test]
fn strangers_are_told_so_in_the_dialect() {
    let world = World::of(CONFIG);
    let response = world.send(ask("nonsense", "team/flash", "generateContent", &question()));
    assert_eq!(response.status(), 401);
    let error: Value = serde_json::from_str(&text(response)).unwrap();
    assert_eq!(error["error"]["status"], "UNAUTHENTICATED");
}

fn vertex() -> String {
    let account = json!({
        "client_email": "bot@p.iam.gserviceaccount.com",
        "private_key": include_str!("../src/registry/token/test_key.pem"),
        "token_uri": "https://tokens.example/token",
    });
    let key = Value::String(account.to_string());
    format!(
        r#"
providers:
  vertex: {{ key: {key}, region: us-east5, project: p-1 }}
  vertex-anthropic: {{ key: {key}, region: global, project: p-1 }}
models:
  flash: {{ targets: [ {{ model: vertex/gemini-2.5-flash, price: {{ input: "1", output: "10", per: 1M }} }} ], retries: 0 }}
  claude: {{ targets: [ {{ model: "vertex-anthropic/claude-sonnet-4-5@20250929", price: {{ input: "1", output: "10", per: 1M }} }} ], retries: 0 }}
"#
    )
}

#[test]
fn vertex_is_asked_with_a_token_that_is_bought_once() {
    let world = World::of(&vertex());
    let (_, key) = world.key(&json!({}));
    world
        .handles
        .upstream
        .push_response(whole(200, &json!({ "access_token": "ya29.t", "expires_in": 3600 })));
    for _ in 0..2 {
        world.handles.upstream.push_response(pieces(CHUNKS, 1_000));
        let response = world.send(openai(
            &key,
            &json!({
                "model": "flash", "stream": true, "messages": [{ "role": "user", "content": "hello" }],
            }),
        ));
        assert!(text(response).contains("\"content\":\"Hel\""));
    }
    let asked = world.handles.upstream.asked();
    let addresses: Vec<String> = asked.iter().map(|asked| asked.uri.to_string()).collect();
    let models = "https://us-east5-aiplatform.googleapis.com/v1/projects/p-1/locations/us-east5/publishers/google/models";
    let stream = format!("{models}/gemini-2.5-flash:streamGenerateContent?alt=sse");
    assert_eq!(addresses, ["https://tokens.example/token", &stream, &stream]);
    assert_eq!(asked[1].headers["authorization"], "Bearer ya29.t");
}

#[test]
fn claude_on_vertex_is_named_by_the_address_and_not_by_the_body() {
    let world = World::of(&vertex());
    let (_, key) = world.key(&json!({}));
    world
        .handles
        .upstream
        .push_response(whole(200, &json!({ "access_token": "ya29.t", "expires_in": 3600 })));
    let question =
        json!({ "model": "claude", "max_tokens": 50, "messages": [{ "role": "user", "content": "hello" }] });
    let models =
        "https://aiplatform.googleapis.com/v1/projects/p-1/locations/global/publishers/anthropic/models";
    for (nth, request) in [(1, anthropic(&key, &question)), (2, openai(&key, &question))] {
        world.handles.upstream.push_response(whole(200, &world::message("hi", 7, 3)));
        let response = world.send(request);
        assert_eq!(response.status(), 200, "{}", text(response));
        let address = world.handles.upstream.asked()[nth].uri.to_string();
        assert_eq!(address, format!("{models}/claude-sonnet-4-5@20250929:rawPredict"));
        let sent = sent(&world, nth);
        assert_eq!(sent["anthropic_version"], "vertex-2023-10-16");
        assert!(sent.get("model").is_none(), "{sent}");
    }
}

#[test]
fn a_refused_account_is_the_providers_credential_at_fault_and_stays_unseen() {
    let world = World::of(&vertex());
    let (_, key) = world.key(&json!({}));
    let refusal = json!({ "error": "invalid_grant", "error_description": "Invalid JWT for bot@p" });
    world.handles.upstream.push_response(whole(400, &refusal));
    let response = world.send(ask(&key, "flash", "generateContent", &question()));
    assert_ne!(response.status(), 200);
    assert_ne!(response.status(), 401, "the caller's own key is good");
    let said = text(response);
    assert!(said.contains("credential") && !said.contains("bot@p") && !said.contains("PRIVATE"), "{said}");
}
