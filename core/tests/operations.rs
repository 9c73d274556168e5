//! Operations other than conversations, from key to books, on memory ports.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use serde_json::{Value, json};
use world::{World, chat, read_json, whole};

fn vectors(list: &Value, tokens: u64) -> Value {
    let data: Vec<Value> = list
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
        .map(|(index, vector)| json!({ "object": "embedding", "index": index, "embedding": vector }))
        .collect();
    json!({ "object": "list", "data": data, "model": "vectors-o",
        "usage": { "prompt_tokens": tokens, "total_tokens": tokens } })
}

#[test]
fn an_embedding_keeps_its_bytes_and_is_billed_by_its_tokens() {
    let world = World::new();
    let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"], "tpm": 1000 } }));
    let answer = vectors(&json!([[0.25, -1.0]]), 7);
    world.handles.upstream.push_response(whole(200, &answer));
    let body = r#"{ "input":[[1,2,3]], "model" : "vectors", "odd": 1.10 }"#;
    let response = world.send(chat("/v1/embeddings", &key, body));
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-gatelet-cost"], "0.000007");
    assert_eq!(response.headers()["x-gatelet-model"], "up-openai/vectors-o");
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(read_json(response), answer);
    let asked = &world.handles.upstream.asked()[0];
    assert_eq!(asked.uri, "http://127.0.0.1:1/v1/embeddings");
    let sent = String::from_utf8(asked.body.clone().unwrap().to_vec()).unwrap();
    assert_eq!(sent, body.replace(r#""vectors""#, r#""vectors-o""#));
    let usage = world.usage(&id);
    assert_eq!((usage["spent"].as_str(), usage["held"].as_str()), (Some("0.000007"), Some("0")));
    let records = world.records();
    let record = records.iter().find(|record| record["kind"] == "request").unwrap();
    assert_eq!(record["operation"], "embedding");
    assert_eq!(record["usage"]["input"], 7);
    assert_eq!(record["usage_estimated"], false);
}

#[test]
fn whoever_asks_for_base64_gets_it_from_servers_that_know_only_numbers() {
    let world = World::new();
    let (_, key) = world.key(&json!({}));
    world.handles.upstream.push_response(whole(200, &vectors(&json!([[0.25, -1.0]]), 7)));
    let body = r#"{"input":"a","model":"vectors","encoding_format":"base64"}"#;
    let answer = read_json(world.send(chat("/v1/embeddings", &key, body)));
    // 0.25 and -1 as little-endian 32-bit floats.
    assert_eq!(answer["data"][0]["embedding"], "AACAPgAAgL8=");
}

#[test]
fn an_embedding_that_does_not_say_its_usage_is_estimated_from_its_input_alone() {
    let world = World::new();
    let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    let mut answer = vectors(&json!([vec![0.25; 1000]]), 0);
    answer.as_object_mut().unwrap().remove("usage");
    world.handles.upstream.push_response(whole(200, &answer));
    let body = json!({ "input": "a".repeat(400), "model": "vectors" }).to_string();
    assert_eq!(world.send(chat("/v1/embeddings", &key, body.clone())).status(), 200);
    let spent: f64 = world.usage(&id)["spent"].as_str().unwrap().parse().unwrap();
    let tokens = spent * 1e6;
    assert!((100.0..200.0).contains(&tokens), "{tokens}");
    let records = world.records();
    let record = records.iter().find(|record| record["kind"] == "request").unwrap();
    assert_eq!(record["usage_estimated"], true);
    assert_eq!(record["usage"]["output"], 0);
}

#[test]
fn a_budget_that_cannot_afford_the_input_refuses_before_anything_is_sent() {
    let world = World::new();
    let (id, key) = world.key(&json!({ "limits": { "budget": ["0.0001 USD / day"] } }));
    let body = json!({ "input": "a".repeat(1000), "model": "vectors" }).to_string();
    let response = world.send(chat("/v1/embeddings", &key, body));
    assert_eq!(response.status(), 402);
    assert!(world.handles.upstream.asked().is_empty());
    assert_eq!(world.usage(&id)["held"], "0");
}

#[test]
fn a_price_of_something_else_is_no_price_where_a_budget_applies() {
    let world = World::new();
    let (_, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    let ask = |path: &str, body: Value| {
        let response = world.send(chat(path, &key, body.to_string()));
        (response.status().as_u16(), read_json(response)["error"]["code"].clone())
    };
    let embedding = json!({ "input": "a", "model": "counted-otherwise" });
    assert_eq!(ask("/v1/embeddings", embedding), (403, json!("model_unpriced")));
    let conversation =
        json!({ "model": "counted-otherwise", "messages": [{ "role": "user", "content": "a" }] });
    assert_eq!(ask("/v1/chat/completions", conversation), (403, json!("model_unpriced")));
    assert!(world.handles.upstream.asked().is_empty());
}

#[test]
fn a_target_that_has_no_such_operation_is_said_so() {
    let world = World::new();
    let (_, key) = world.key(&json!({}));
    let body = json!({ "input": "a", "model": "claude" }).to_string();
    let response = world.send(chat("/v1/embeddings", &key, body));
    assert_eq!(response.status(), 400);
    assert_eq!(read_json(response)["error"]["code"], "operation_unsupported");
    assert!(world.handles.upstream.asked().is_empty());
}

#[test]
fn an_embedding_is_checked_as_a_conversation_is() {
    let world = World::new();
    let (_, key) = world.key(&json!({ "models": ["plain"] }));
    let refused = |body: &str| {
        let response = world.send(chat("/v1/embeddings", &key, body));
        (response.status().as_u16(), read_json(response)["error"]["code"].clone())
    };
    assert_eq!(refused(r#"{"model":"vectors","input":"a"}"#), (403, json!("model_forbidden")));
    assert_eq!(refused(r#"{"input":"a"}"#), (400, json!("body_malformed")));
    assert_eq!(refused("{"), (400, json!("body_malformed")));
    let response = world.send(chat("/v1/embeddings", "gk_wrong", r#"{"model":"vectors","input":"a"}"#));
    assert_eq!(response.status(), 401);
}

#[test]
fn an_error_and_nonsense_instead_of_vectors_are_no_answer_and_cost_nothing() {
    let world = World::new();
    let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    let body = r#"{"model":"vectors","input":"a"}"#;
    for (status, answer, expected) in [
        (429, json!({ "error": { "message": "slow down", "type": "rate_limit" } }), 429),
        (200, json!({ "error": { "message": "no", "type": "server_error" } }), 502),
        (200, json!({ "data": "x" }), 502),
    ] {
        world.handles.upstream.push_response(whole(status, &answer));
        let response = world.send(chat("/v1/embeddings", &key, body));
        assert!(response.status().as_u16() >= 400, "{answer}");
        if expected == 429 {
            assert_eq!(response.status(), 429);
        }
    }
    assert_eq!(world.usage(&id)["spent"], "0");
    assert_eq!(world.usage(&id)["held"], "0");
}
