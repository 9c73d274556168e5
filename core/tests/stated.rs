//! What a provider says that an answer cost is what it cost: golden bills of stated costs, whole and streamed, in every lane.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use gatelet_core::port::Body;
use http::Response;
use serde_json::{Value, json};
use world::*;

const CONFIG: &str = r#"
providers:
  openrouter: { key: secret-r, passthrough: unpriced }
  xai: { key: secret-x }
  perplexity: { key: secret-p }
models:
  router: { targets: [ openrouter/openai/gpt-4o ], retries: 0 }
  "router/*": { targets: [ openrouter/* ], retries: 0 }
  grok: { targets: [ xai/grok-4.20 ], retries: 0 }
  sonar: { targets: [ perplexity/sonar-pro ], retries: 0 }
  own-price: { targets: [ { model: openrouter/openai/gpt-4o, price: { input: "1", output: "10" } } ], retries: 0 }
"#;

/// A model, what its answer says in `usage` beside the tokens, and the bill.
const BILLS: &[(&str, &str, &str)] = &[
    ("router", r#""cost":0.00014"#, "0.00014"),
    (
        "router",
        r#""cost":1.4e-05,"is_byok":false,"cost_details":{"upstream_inference_cost":null}"#,
        "0.000014",
    ),
    ("router", r#""cost":0"#, "0"),
    ("router", r#""cost":0.0000000014"#, "0.000000002"),
    ("router/nobody/knows-its-price", r#""cost":0.25"#, "0.25"),
    ("grok", r#""cost_in_usd_ticks":158500"#, "0.00001585"),
    ("grok", r#""cost_in_usd_ticks":1"#, "0.000000001"),
    (
        "sonar",
        r#""cost":{"input_tokens_cost":0.0,"output_tokens_cost":0.006,"request_cost":0.006,"total_cost":0.012}"#,
        "0.012",
    ),
];

fn usage(more: &str) -> Value {
    serde_json::from_str(&format!(
        r#"{{"prompt_tokens":100,"completion_tokens":10,"total_tokens":110,{more}}}"#
    ))
    .unwrap()
}

fn answer(more: &str) -> Response<Body> {
    // As text: a number must come as its provider writes it.
    let body = completion("hi", 100, 10).to_string();
    let tokens = usage("\"x\":0").to_string();
    let plain = json!({ "prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110 }).to_string();
    assert!(body.contains(&plain) && tokens.len() > plain.len());
    let stated = format!("{},{more}}}", plain.trim_end_matches('}'));
    let body = body.replace(&plain, &stated);
    Response::builder()
        .header("content-type", "application/json")
        .body(Body::from(body.into_bytes()))
        .unwrap()
}

fn stream(more: &str) -> Response<Body> {
    let plain = json!({ "prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110 }).to_string();
    let stated = format!("{},{more}}}", plain.trim_end_matches('}'));
    let pieces =
        completion_chunks("hi", Some((100, 10))).into_iter().map(|piece| piece.replace(&plain, &stated));
    sse(pieces.map(Ok).collect())
}

#[test]
fn golden_bills_are_what_the_provider_says_in_every_lane_whole_and_streamed() {
    for (model, more, bill) in BILLS {
        for lane in ["same", "translated"] {
            for streamed in [false, true] {
                let world = World::of(CONFIG);
                let (id, key) = world.key(&json!({}));
                world.handles.upstream.push_response(if streamed { stream(more) } else { answer(more) });
                let body = json!({ "model": model, "max_tokens": 50, "stream": streamed,
                    "messages": [{ "role": "user", "content": "hello" }] });
                let request = if lane == "same" { openai(&key, &body) } else { anthropic(&key, &body) };
                let response = world.send(request);
                let place = format!("{model} {more} {lane} {streamed}");
                assert_eq!(response.status(), 200, "{place}");
                let said =
                    response.headers().get("x-gatelet-cost").map(|cost| cost.to_str().unwrap().to_owned());
                read(response);
                if !streamed {
                    assert_eq!(said.as_deref(), Some(*bill), "{place}");
                }
                let records = world.records();
                let record = records.iter().find(|line| line["kind"] == "request").unwrap();
                assert_eq!(record["cost"], *bill, "{place}");
                assert_eq!(record["cost_stated"], true, "{place}");
                assert_eq!(record["usage"]["input"], 100, "{place} {record}");
                let _ = &id;
            }
        }
    }
}

#[test]
fn without_a_stated_cost_and_with_a_price_of_the_admins_the_usage_is_billed_by_the_price() {
    // 100 tokens at 2.5 and 10 at 10 dollars a million; 1 and 10 by the admin.
    for (model, more, bill) in [
        ("router", r#""cost":null"#, "0.00035"),
        ("router", r#""cost":-1"#, "0.00035"),
        ("router", r#""cost":"nothing""#, "0.00035"),
        ("own-price", r#""cost":0.5"#, "0.0002"),
    ] {
        let world = World::of(CONFIG);
        let (_, key) = world.key(&json!({}));
        world.handles.upstream.push_response(answer(more));
        let body =
            json!({ "model": model, "max_tokens": 50, "messages": [{ "role": "user", "content": "hello" }] });
        assert_eq!(world.send(openai(&key, &body)).status(), 200);
        let records = world.records();
        let record = records.iter().find(|line| line["kind"] == "request").unwrap();
        assert_eq!(record["cost"], bill, "{model} {more}");
        assert_eq!(record.get("cost_stated"), None, "{record}");
    }
}

#[test]
fn a_stated_cost_above_the_hold_is_charged_once_and_the_next_request_sees_it() {
    let world = World::of(CONFIG);
    let (id, key) = world.key(&json!({ "limits": { "budget": ["0.01 USD / day"] } }));
    world.handles.upstream.push_response(answer(r#""cost":0.75"#));
    let body =
        json!({ "model": "router", "max_tokens": 50, "messages": [{ "role": "user", "content": "hello" }] });
    assert_eq!(world.send(openai(&key, &body)).status(), 200);
    let usage = world.usage(&id);
    assert_eq!(usage["budget"][0]["spent"], "0.75", "{usage}");
    assert_eq!(usage["budget"][0]["held"], "0", "{usage}");
    assert_eq!(world.send(openai(&key, &body)).status(), 402);
    assert_eq!(world.usage(&id)["budget"][0]["spent"], "0.75");
}

#[test]
fn a_providers_own_interface_states_its_cost_too() {
    let world = World::of(CONFIG);
    let (_, key) = world.key(&json!({}));
    let body = json!({ "model": "openai/gpt-4o", "max_tokens": 50, "messages": [{ "role": "user", "content": "hello" }] });
    for (streamed, response) in [(false, answer(r#""cost":0.002"#)), (true, stream(r#""cost":0.003"#))] {
        world.handles.upstream.push_response(response);
        let mut body = body.clone();
        body["stream"] = json!(streamed);
        read(world.send(chat("/openrouter/chat/completions", &key, body.to_string())));
    }
    let records = world.records();
    let costs: Vec<&Value> =
        records.iter().filter(|line| line["kind"] == "request").map(|line| &line["cost"]).collect();
    assert_eq!(costs, [&json!("0.002"), &json!("0.003")]);
}

#[test]
fn a_caller_who_leaves_before_the_cost_is_said_pays_by_the_price() {
    let world = World::of(CONFIG);
    let (_, key) = world.key(&json!({}));
    let pieces = completion_chunks("hello there", None);
    world.handles.upstream.push_response(endless(pieces[..2].to_vec()));
    let body = json!({ "model": "router", "max_tokens": 50, "stream": true, "messages": [{ "role": "user", "content": "hello" }] });
    drop(world.send(openai(&key, &body)));
    let records = world.records();
    let record = records.iter().find(|line| line["kind"] == "request").unwrap();
    assert_eq!(record["outcome"], "client_left");
    assert_eq!(record["usage_estimated"], true);
    assert_ne!(record["cost"], "0");
    assert_eq!(record.get("cost_stated"), None);
}
