//! Old completions over models that hold conversations alone.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use serde_json::{Value, json};
use world::*;

const CONFIG: &str = r#"
providers:
  openai: { key: secret-o }
  groq: { key: secret-q }
  up-openai: { dialect: openai, base: "http://127.0.0.1:1/v1", key: secret-o }
  up-anthropic: { dialect: anthropic, base: "http://127.0.0.1:1", key: secret-a }
models:
  claude: { targets: [ { model: up-anthropic/model-a, price: { input: "1", output: "10" }, max_output: 1000 } ], retries: 0 }
  chat-only: { targets: [ openai/gpt-4o ], retries: 0 }
  old: { targets: [ openai/gpt-3.5-turbo-instruct ], retries: 0 }
  without: { targets: [ groq/openai/gpt-oss-120b ], retries: 0 }
  own: { targets: [ { model: up-openai/anything, price: { input: "1", output: "10" } } ], retries: 0 }
"#;

fn sent(world: &World) -> (String, Value) {
    let asked = world.handles.upstream.asked();
    let last = asked.last().expect("nothing was sent");
    (last.uri.path().to_owned(), serde_json::from_slice(last.body.as_ref().unwrap()).unwrap())
}

#[test]
fn a_text_is_asked_as_a_message_and_its_answer_comes_back_as_a_continuation() {
    let world = World::of(CONFIG);
    let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    world.handles.upstream.push_response(whole(200, &message(" upon a time", 3, 4)));
    let body =
        json!({ "model": "claude", "prompt": "Once", "max_tokens": 20, "temperature": 0.5, "stop": "." });
    let response = world.send(chat("/v1/completions", &key, body.to_string()));
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-gatelet-cost"], "0.000043");
    let (path, asked) = sent(&world);
    assert_eq!(path, "/v1/messages");
    assert_eq!(
        asked,
        json!({ "model": "model-a", "max_tokens": 20, "temperature": 0.5, "stop_sequences": ["."],
            "messages": [{ "role": "user", "content": "Once" }] })
    );
    let answer = read_json(response);
    assert_eq!(answer["object"], "text_completion");
    assert_eq!(
        answer["choices"],
        json!([{ "text": " upon a time", "index": 0, "logprobs": null, "finish_reason": "stop" }])
    );
    assert_eq!(answer["usage"]["total_tokens"], 7);
    assert_eq!(world.usage(&id)["budget"][0]["spent"], "0.000043");
    let records = world.records();
    let record = records.iter().find(|line| line["kind"] == "request").unwrap();
    assert_eq!((&record["operation"], &record["outcome"]), (&json!("completion"), &json!("done")));
}

#[test]
fn a_stream_is_chunks_of_text_with_usage_only_where_it_was_asked_for() {
    for usage in [false, true] {
        let world = World::of(CONFIG);
        let (_, key) = world.key(&json!({}));
        world.handles.upstream.push_response(sse(ok(message_events(" upon", 3, 4))));
        let mut body =
            json!({ "model": "claude", "prompt": ["Once"], "max_tokens": 20, "stream": true, "echo": true });
        if usage {
            body["stream_options"] = json!({ "include_usage": true });
        }
        let response = world.send(chat("/v1/completions", &key, body.to_string()));
        assert_eq!(response.status(), 200);
        let text = String::from_utf8(read(response)).unwrap();
        let frames: Vec<&str> = text.trim_end().split("\n\n").map(|frame| &frame["data: ".len()..]).collect();
        let (done, chunks) = frames.split_last().unwrap();
        assert_eq!(*done, "[DONE]");
        let chunks: Vec<Value> = chunks.iter().map(|chunk| serde_json::from_str(chunk).unwrap()).collect();
        assert!(chunks.iter().all(|chunk| chunk["object"] == "text_completion"), "{text}");
        let said: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["text"].as_str()).collect();
        assert_eq!(said, "Once upon");
        assert_eq!(chunks.iter().any(|chunk| chunk["usage"]["total_tokens"] == 7), usage, "{text}");
        let records = world.records();
        let record = records.iter().find(|line| line["kind"] == "request").unwrap();
        assert_eq!((&record["cost"], &record["outcome"]), (&json!("0.000043"), &json!("done")));
    }
}

#[test]
fn who_continues_texts_is_asked_to_and_who_does_not_is_asked_in_a_conversation() {
    let world = World::of(CONFIG);
    let (_, key) = world.key(&json!({}));
    let continued = json!({ "id": "c", "object": "text_completion", "choices": [{ "text": "b", "index": 0 }],
        "usage": { "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5 } });
    for (model, path, answer) in [
        ("chat-only", "/v1/chat/completions", completion("b", 3, 2)),
        ("without", "/openai/v1/chat/completions", completion("b", 3, 2)),
        ("old", "/v1/completions", continued.clone()),
        ("own", "/v1/completions", continued),
    ] {
        world.handles.upstream.push_response(whole(200, &answer));
        let body = json!({ "model": model, "prompt": "a", "max_tokens": 5 });
        let response = world.send(chat("/v1/completions", &key, body.to_string()));
        assert_eq!(response.status(), 200, "{model}");
        assert_eq!(sent(&world).0, path, "{model}");
        let said = read_json(response);
        assert_eq!(
            (&said["object"], &said["choices"][0]["text"]),
            (&json!("text_completion"), &json!("b")),
            "{model}"
        );
    }
}

#[test]
fn what_no_conversation_can_be_is_refused_and_what_is_lost_is_named() {
    let world = World::of(CONFIG);
    let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    for (field, body) in [
        ("prompt", json!({ "model": "claude", "prompt": ["a", "b"], "max_tokens": 5 })),
        ("prompt", json!({ "model": "claude", "prompt": [1, 2, 3], "max_tokens": 5 })),
        ("suffix", json!({ "model": "claude", "prompt": "a", "suffix": "z", "max_tokens": 5 })),
    ] {
        let response = world.send(chat("/v1/completions", &key, body.to_string()));
        assert_eq!(response.status(), 400, "{body}");
        assert_eq!(read_json(response)["error"]["param"], field, "{body}");
    }
    assert!(world.handles.upstream.asked().is_empty());
    assert_eq!(world.usage(&id)["budget"][0]["held"], "0");
    world.handles.upstream.push_response(whole(200, &message("b", 3, 4)));
    let body =
        json!({ "model": "claude", "prompt": "a", "max_tokens": 5, "logprobs": 2, "logit_bias": { "1": 1 } });
    let response = world.send(chat("/v1/completions", &key, body.to_string()));
    assert_eq!(response.headers()["x-gatelet-loss"], "logprobs, logit_bias");
}

#[test]
fn a_stream_that_breaks_ends_in_an_error_and_in_no_ending() {
    let world = World::of(CONFIG);
    let (_, key) = world.key(&json!({}));
    let mut pieces = ok(message_events(" upon", 3, 4)[..3].to_vec());
    pieces.push(Err(gatelet_core::port::Broken("gone".to_owned())));
    world.handles.upstream.push_response(sse(pieces));
    let body = json!({ "model": "claude", "prompt": "a", "max_tokens": 5, "stream": true });
    let text = String::from_utf8(read(world.send(chat("/v1/completions", &key, body.to_string())))).unwrap();
    assert!(text.contains("upstream_broken") && !text.contains("[DONE]"), "{text}");
}
