//! A chat, from its key to its books, on memory ports.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_executor::block_on;
use futures_util::{FutureExt, StreamExt};
use gatelet_core::domain::account::Op;
use gatelet_core::port::{Body, Broken};
use serde_json::{Value, json};
use world::{
    Bend, World, anthropic, chat, completion, completion_chunks, endless, message, message_events, ok,
    openai, read, read_json, sse, whole, yield_now,
};

fn question(model: &str) -> Value {
    json!({ "model": model, "max_tokens": 50, "messages": [{ "role": "user", "content": "hello" }] })
}

fn streamed(model: &str) -> Value {
    let mut question = question(model);
    question["stream"] = json!(true);
    question
}

fn text(response: http::Response<Body>) -> String {
    String::from_utf8(read(response)).unwrap()
}

#[test]
fn the_verbatim_lane_keeps_every_byte_but_the_models_name() {
    let world = World::new();
    let (_, key) = world.key(&json!({}));
    let answer = r#"{"id":"msg_1","type":"message","role":"assistant","model":"model-a","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":3,"output_tokens":2},"new_field":1.10}"#;
    let raw = http::Response::builder()
        .header("content-type", "application/json")
        .body(Body::from(answer.as_bytes().to_vec()))
        .unwrap();
    world.handles.upstream.push_response(raw);
    let body = r#"{ "max_tokens":50, "model" : "claude","messages":[{"role":"user","content":"hello"}], "odd": 12345678901234567890123, "temperature":1.10 }"#;
    let response = world.send(chat("/v1/messages", &key, body));
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-gatelet-model"], "up-anthropic/model-a");
    assert_eq!(text(response), answer);
    let asked = &world.handles.upstream.asked()[0];
    let sent = String::from_utf8(asked.body.clone().unwrap().to_vec()).unwrap();
    assert_eq!(sent, body.replace(r#""claude""#, r#""model-a""#));
    assert_eq!(asked.uri, "http://127.0.0.1:1/v1/messages");
    assert_eq!(asked.headers["x-api-key"], "secret-a");
    assert!(!asked.headers.contains_key("authorization"), "the caller's key stays here");
}

#[test]
fn the_books_are_right_to_the_nano_dollar() {
    let world = World::new();
    let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    world.handles.upstream.push_response(whole(200, &message("hi", 7, 3)));
    let response = world.send(anthropic(&key, &question("claude")));
    // 7 tokens at 1 USD a million and 3 at 10.
    assert_eq!(response.headers()["x-gatelet-cost"], "0.000037");
    let usage = world.usage(&id);
    assert_eq!(usage["spent"], "0.000037");
    assert_eq!(usage["held"], "0");
    assert_eq!(usage["budget"][0]["spent"], "0.000037");
    let records = world.records();
    let kinds: Vec<&str> = records.iter().map(|record| record["kind"].as_str().unwrap()).collect();
    assert_eq!(records.len(), 2, "{records:?}");
    assert!(kinds.contains(&"attempt") && kinds.contains(&"request"));
    let request = records.iter().find(|record| record["kind"] == "request").unwrap();
    assert_eq!(request["cost"], "0.000037");
    assert_eq!(request["usage"]["input"], 7);
    assert_eq!(request["usage"]["output"], 3);
    assert_eq!(request["outcome"], "done");
    assert_eq!(request["usage_estimated"], false);
    let attempt = records.iter().find(|record| record["kind"] == "attempt").unwrap();
    assert_eq!(attempt["id"], request["id"]);
    assert_eq!(attempt["lane"], "verbatim");
}

#[test]
fn every_pair_of_dialects_answers_whole_and_streamed() {
    for (path, ours) in [("/v1/chat/completions", "openai"), ("/v1/messages", "anthropic")] {
        for (model, theirs) in [("plain", "openai"), ("claude", "anthropic")] {
            for stream in [false, true] {
                let world = World::new();
                let (id, key) = world.key(&json!({}));
                world.handles.upstream.push_response(match (theirs, stream) {
                    ("openai", false) => whole(200, &completion("good day", 7, 3)),
                    ("openai", true) => sse(ok(completion_chunks("good day", Some((7, 3))))),
                    (_, false) => whole(200, &message("good day", 7, 3)),
                    (_, true) => sse(ok(message_events("good day", 7, 3))),
                });
                let body = if stream { streamed(model) } else { question(model) };
                let response = world.send(chat(path, &key, body.to_string()));
                let case = format!("{ours} to {theirs}, stream {stream}");
                assert_eq!(response.status(), 200, "{case}");
                let answer = text(response);
                assert!(answer.contains("good day"), "{case}: {answer}");
                match (ours, stream) {
                    ("openai", true) => assert!(answer.ends_with("data: [DONE]\n\n"), "{case}: {answer}"),
                    ("openai", false) => assert!(answer.contains("chat.completion"), "{case}: {answer}"),
                    (_, true) => assert!(answer.contains("message_stop"), "{case}: {answer}"),
                    (_, false) => assert!(answer.contains("end_turn"), "{case}: {answer}"),
                }
                let usage = world.usage(&id);
                assert_eq!(usage["spent"], "0.000037", "{case}");
                assert_eq!(usage["held"], "0", "{case}");
            }
        }
    }
}

#[test]
fn a_usage_chunk_that_only_we_asked_for_is_not_passed_on() {
    let world = World::new();
    let (_, key) = world.key(&json!({}));
    world.handles.upstream.push_response(sse(ok(completion_chunks("hi", Some((7, 3))))));
    let answer = text(world.send(openai(&key, &streamed("plain"))));
    assert!(!answer.contains("prompt_tokens"), "{answer}");
    let sent: Value =
        serde_json::from_slice(world.handles.upstream.asked()[0].body.as_ref().unwrap()).unwrap();
    assert_eq!(sent["stream_options"]["include_usage"], true);

    world.handles.upstream.push_response(sse(ok(completion_chunks("hi", Some((7, 3))))));
    let mut body = streamed("plain");
    body["stream_options"] = json!({ "include_usage": true });
    let answer = text(world.send(openai(&key, &body)));
    assert!(answer.contains("prompt_tokens"), "{answer}");
}

#[test]
fn the_ending_leaves_only_after_the_books_are_closed() {
    let world = World::new();
    let (id, key) = world.key(&json!({}));
    world.handles.upstream.push_response(sse(ok(message_events("hi", 7, 3))));
    let Body::Stream(mut body) = world.send(anthropic(&key, &streamed("claude"))).into_body() else {
        panic!("a stream was asked for");
    };
    let mut seen = String::new();
    while let Some(piece) = block_on(body.next()) {
        seen.push_str(std::str::from_utf8(&piece.unwrap()).unwrap());
        let settled = world.usage(&id)["spent"] == "0.000037";
        assert_eq!(seen.contains("message_stop"), settled, "{seen}");
    }
    assert!(seen.contains("message_stop"));
}

#[test]
fn a_client_that_leaves_still_pays_for_what_was_generated() {
    let world = World::new();
    let (id, key) = world.key(&json!({}));
    let mut pieces = message_events("twelve bytes", 7, 3);
    pieces.truncate(3);
    world.handles.upstream.push_response(endless(pieces));
    let Body::Stream(mut body) = world.send(anthropic(&key, &streamed("claude"))).into_body() else {
        panic!("a stream was asked for");
    };
    block_on(body.next()).unwrap().unwrap();
    drop(body);
    block_on(world.handles.defer.run_all());
    let usage = world.usage(&id);
    // 7 tokens in, as was said, and an estimate of 12 bytes / 4 out.
    assert_eq!(usage["spent"], "0.000037");
    assert_eq!(usage["held"], "0");
    let records = world.records();
    let request = records.iter().find(|record| record["kind"] == "request").unwrap();
    assert_eq!(request["outcome"], "client_left");
    assert_eq!(request["usage_estimated"], true);
}

#[test]
fn an_upstream_that_breaks_in_the_middle_is_told_in_the_stream_without_an_invented_ending() {
    for (path, model, stop) in
        [("/v1/messages", "claude", "message_stop"), ("/v1/chat/completions", "claude", "[DONE]")]
    {
        let world = World::new();
        let (id, key) = world.key(&json!({}));
        let mut pieces = ok(message_events("half", 7, 3));
        pieces.truncate(3);
        pieces.push(Err(Broken("reset".to_owned())));
        world.handles.upstream.push_response(sse(pieces));
        let answer = text(world.send(chat(path, &key, streamed(model).to_string())));
        assert!(answer.contains("half"), "{answer}");
        assert!(answer.contains("upstream_broken") || answer.contains("broke off"), "{answer}");
        assert!(!answer.contains(stop), "{answer}");
        assert_eq!(world.usage(&id)["held"], "0");
    }
}

#[test]
fn a_fault_before_the_first_content_moves_on_and_the_caller_sees_nothing_of_it() {
    let world = World::new();
    let (id, key) = world.key(&json!({}));
    let error = json!({ "error": { "message": "overloaded", "type": "server_error" } });
    world.handles.upstream.push_response(whole(503, &error));
    // The second try at the same target breaks after its head, still before any content.
    let mut pieces = ok(completion_chunks("never", None));
    pieces.truncate(1);
    pieces.push(Err(Broken("reset".to_owned())));
    world.handles.upstream.push_response(sse(pieces));
    world.handles.upstream.push_response(sse(ok(message_events("from the fallback", 7, 3))));
    // The pause between tries is real time for the gateway: let it pass.
    let gateway = world.gateway.clone();
    let request = openai(&key, &streamed("sturdy"));
    let response = block_on(async {
        let answer = gateway.handle(request);
        let turn = async {
            loop {
                world.handles.clock.advance(Duration::from_secs(1));
                yield_now().await;
                if world.handles.upstream.asked().len() == 3 {
                    futures_util::future::pending::<()>().await;
                }
            }
        };
        match futures_util::future::select(Box::pin(answer), Box::pin(turn)).await {
            futures_util::future::Either::Left((response, _)) => response,
            futures_util::future::Either::Right(_) => unreachable!(),
        }
    });
    assert_eq!(response.headers()["x-gatelet-attempts"], "3");
    assert_eq!(response.headers()["x-gatelet-model"], "up-anthropic/model-a");
    let answer = text(response);
    assert!(answer.contains("from the fallback"), "{answer}");
    assert!(!answer.contains("never"), "{answer}");
    assert!(answer.ends_with("data: [DONE]\n\n"), "{answer}");
    let usage = world.usage(&id);
    assert_eq!(usage["spent"], "0.000037", "only what answered is charged");
    assert_eq!(world.records().len(), 4, "one a request and one an attempt");
}

#[test]
fn an_error_inside_a_200_is_an_error() {
    let world = World::new();
    let (id, key) = world.key(&json!({}));
    let error = json!({ "error": { "message": "this model's maximum context length is 10 tokens", "code": "context_length_exceeded",
        "type": "invalid_request_error", "param": "messages" } });
    world.handles.upstream.push_response(whole(200, &error));
    let response = world.send(openai(&key, &question("plain")));
    assert_eq!(response.status(), 400);
    assert_eq!(read_json(response)["error"]["code"], "context_length_exceeded");
    assert_eq!(world.usage(&id)["spent"], "0");
}

#[test]
fn a_cap_on_output_is_sent_where_the_caller_gave_none_and_a_budget_holds() {
    let world = World::new();
    let (_, key) = world.key(&json!({ "limits": { "budget": ["0.005 USD / day"] } }));
    world.handles.upstream.push_response(whole(200, &completion("hi", 7, 3)));
    let body = json!({ "model": "plain", "messages": [{ "role": "user", "content": "hello" }] });
    let response = world.send(openai(&key, &body));
    let cap: u64 = response.headers()["x-gatelet-output-cap"].to_str().unwrap().parse().unwrap();
    let sent: Value =
        serde_json::from_slice(world.handles.upstream.asked()[0].body.as_ref().unwrap()).unwrap();
    assert_eq!(sent["max_tokens"], cap);
    // 0.005 USD buy at most 500 tokens at 10 USD a million.
    assert!((1..500).contains(&cap), "{cap}");
}

#[test]
fn a_model_without_a_price_is_refused_where_a_budget_holds_and_served_where_none_does() {
    let world = World::new();
    let (_, poor) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    let response = world.send(openai(&poor, &question("unpriced")));
    assert_eq!(response.status(), 403);
    assert_eq!(read_json(response)["error"]["code"], "model_unpriced");
    let (_, free) = world.key(&json!({}));
    world.handles.upstream.push_response(whole(200, &completion("hi", 7, 3)));
    assert_eq!(world.send(openai(&free, &question("unpriced"))).status(), 200);
}

#[test]
fn the_demo_model_streams_calls_tools_and_fails_on_request() {
    let (ports, handles) = gatelet_core::port::memory::ports();
    let host = gatelet_core::policy::Host {
        variable: &|_| None,
        ollama: false,
        registry: gatelet_core::registry::Registry::full(),
    };
    let policy = gatelet_core::policy::Policy::without_document(&host);
    let settings = gatelet_core::Settings::new(gatelet_core::domain::Secret::new(world::ADMIN));
    let gateway = gatelet_core::Gateway::new(ports, settings, policy);
    let world = World { gateway, handles };
    let (_, key) = world.key(&json!({}));
    let ask = |words: &str, stream: bool| {
        let body = json!({ "model": "demo/echo", "stream": stream, "messages": [{ "role": "user", "content": words }] });
        world.send(openai(&key, &body))
    };
    assert_eq!(read_json(ask("say this", false))["choices"][0]["message"]["content"], "say this");
    let stream = text(ask("say this", true));
    assert!(stream.contains("say ") && stream.ends_with("data: [DONE]\n\n"), "{stream}");
    let call = read_json(ask(r#"/tool weather {"city":"Bonn"}"#, false));
    assert_eq!(call["choices"][0]["message"]["tool_calls"][0]["function"]["name"], "weather");
    assert_eq!(ask("/fail 422", false).status(), 422);
    let cut = text(ask("/cut one two three four", true));
    assert!(cut.contains("error") && !cut.contains("[DONE]"), "{cut}");
}

#[test]
fn a_request_may_carry_tags_a_session_and_a_shorter_time() {
    let world = World::new();
    let (_, key) = world.key(&json!({ "tags": ["team"] }));
    let ask = |name: &str, value: &str| {
        let mut request = anthropic(&key, &question("claude"));
        request.headers_mut().insert(http::HeaderName::try_from(name).unwrap(), value.parse().unwrap());
        world.send(request)
    };
    world.handles.upstream.always(|_, _| Ok(whole(200, &message("hi", 1, 1))));
    assert_eq!(ask("x-gatelet-tags", "nightly, team").status(), 200);
    assert_eq!(ask("x-gatelet-session", "s-1").status(), 200);
    assert_eq!(ask("x-gatelet-timeout", "2.5").status(), 200);
    assert_eq!(ask("x-gatelet-timeout", "soon").status(), 400);
    let records = world.records();
    let with = |field: &str| records.iter().filter_map(|record| record.get(field)).collect::<Vec<_>>();
    assert!(with("tags").contains(&&json!(["team", "nightly"])), "{records:?}");
    assert_eq!(with("session"), [&json!("s-1")]);
}

#[test]
fn a_client_that_leaves_while_the_books_are_being_closed_is_charged_all_the_same() {
    for stream in [false, true] {
        let world = World::bent(|op| if matches!(op, Op::Settle(_)) { Bend::Late } else { Bend::Straight });
        let (id, key) = world.key(&json!({}));
        let request = if stream {
            world.handles.upstream.push_response(sse(ok(message_events("hi", 7, 3))));
            anthropic(&key, &streamed("claude"))
        } else {
            world.handles.upstream.push_response(whole(200, &message("hi", 7, 3)));
            anthropic(&key, &question("claude"))
        };
        // All that runs without waiting has run: what waits now is the settlement.
        let mut call = Box::pin(async {
            if let Body::Stream(mut body) = world.gateway.handle(request).await.into_body() {
                while body.next().await.is_some() {}
            }
        });
        assert!(call.as_mut().now_or_never().is_none(), "the settlement is waited for");
        drop(call);
        block_on(world.handles.defer.run_all());
        let usage = world.usage(&id);
        assert_eq!(usage["spent"], "0.000037", "{stream}");
        assert_eq!(usage["held"], "0", "{stream}");
        let records = world.records();
        assert_eq!(records.iter().filter(|record| record["outcome"] == "done").count(), 1, "{records:?}");
    }
}

/// Handles a request while time goes by, a second at a time.
fn while_time_passes(world: &World, request: http::Request<Body>) -> http::Response<Body> {
    let turn = async {
        for _ in 0..1_000 {
            world.handles.clock.advance(Duration::from_secs(1));
            yield_now().await;
        }
    };
    block_on(async {
        match futures_util::future::select(Box::pin(world.gateway.handle(request)), Box::pin(turn)).await {
            futures_util::future::Either::Left((response, _)) => response,
            futures_util::future::Either::Right(_) => panic!("no answer within 1000 seconds"),
        }
    })
}

#[test]
fn no_upstream_is_called_once_the_requests_time_is_over() {
    let world = World::new();
    let (id, key) = world.key(&json!({}));
    // Says that it will answer, and does not: whoever is asked after it has no time left.
    world.handles.upstream.always(|_, _| Ok(endless(Vec::new())));
    let mut request = openai(&key, &streamed("sturdy"));
    request.headers_mut().insert("x-gatelet-timeout", "3".parse().unwrap());
    let response = while_time_passes(&world, request);
    assert_eq!(response.status(), 504);
    assert_eq!(world.handles.upstream.asked().len(), 1);
    assert_eq!(world.usage(&id)["held"], "0");
}

#[test]
fn an_upstream_that_never_pauses_and_never_ends_is_cut_off_in_time() {
    for ended in [false, true] {
        let world = World::new();
        let (id, key) = world.key(&json!({}));
        let mut pieces = ok(message_events("hi", 7, 3));
        if !ended {
            pieces.truncate(3);
        }
        let clock = world.handles.clock.clone();
        // Enough to outlast any limit, and an end, so that a gateway without one fails here instead of hanging.
        let count = Arc::new(AtomicUsize::new(0));
        let read = count.clone();
        let noise = (0..10_000).map(move |_| {
            clock.advance(Duration::from_secs(1));
            read.fetch_add(1, Ordering::Relaxed);
            Ok(": noise\n\n".into())
        });
        let pieces = pieces.into_iter().map(|piece| piece.map(bytes::Bytes::from)).chain(noise);
        let upstream = http::Response::builder()
            .header("content-type", "text/event-stream")
            .body(Body::Stream(futures_util::stream::iter(pieces).boxed()))
            .unwrap();
        world.handles.upstream.push_response(upstream);
        let answer = text(world.send(openai(&key, &streamed("claude"))));
        assert_eq!(answer.contains("did not answer in time"), !ended, "{answer}");
        assert_eq!(answer.contains("[DONE]"), ended, "{answer}");
        assert!(count.load(Ordering::Relaxed) < 1_000, "{count:?} pieces were read");
        assert_eq!(world.usage(&id)["held"], "0");
    }
}

#[test]
fn a_cap_that_the_gateway_adds_is_never_above_what_the_target_can() {
    let world = World::new();
    let (_, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    world.handles.upstream.push_response(whole(404, &json!({ "error": { "message": "gone", "type": "x" } })));
    world.handles.upstream.push_response(whole(200, &message("hi", 7, 3)));
    let body = json!({ "model": "narrow", "messages": [{ "role": "user", "content": "hello" }] });
    let response = world.send(openai(&key, &body));
    assert_eq!(response.headers()["x-gatelet-model"], "up-anthropic/model-b");
    assert_eq!(response.headers()["x-gatelet-output-cap"], "5000");
    let sent: Vec<Value> = world
        .handles
        .upstream
        .asked()
        .iter()
        .map(|asked| serde_json::from_slice(asked.body.as_ref().unwrap()).unwrap())
        .collect();
    assert_eq!(sent[0]["max_tokens"], 1000, "{sent:?}");
    assert_eq!(sent[1]["max_tokens"], 5000, "{sent:?}");
    let records = world.records();
    let attempts: Vec<&Value> = records
        .iter()
        .filter(|record| record["kind"] == "attempt")
        .map(|record| &record["outcome"])
        .collect();
    assert_eq!(attempts, ["upstream_refused", "answered"]);
}

#[test]
fn a_body_that_never_comes_is_not_waited_for_without_end() {
    let world = World::new();
    let (_, key) = world.key(&json!({}));
    let mut request = openai(&key, &question("plain"));
    *request.body_mut() = Body::Stream(futures_util::stream::pending().boxed());
    let response = while_time_passes(&world, request);
    assert_eq!(response.status(), 504);
    assert_eq!(read_json(response)["error"]["code"], "request_timeout");
}

#[test]
fn a_whole_answer_that_does_not_say_its_usage_is_not_free() {
    for model in ["plain", "claude"] {
        let world = World::new();
        let (id, key) = world.key(&json!({}));
        let mut answer =
            if model == "plain" { completion("some words", 7, 3) } else { message("some words", 7, 3) };
        answer.as_object_mut().unwrap().remove("usage");
        world.handles.upstream.push_response(whole(200, &answer));
        assert_eq!(world.send(openai(&key, &question(model))).status(), 200);
        assert_ne!(world.usage(&id)["spent"], "0", "{model}");
        let records = world.records();
        let request = records.iter().find(|record| record["kind"] == "request").unwrap();
        assert_eq!(request["usage_estimated"], true, "{model}");
    }
}

#[test]
fn a_time_that_the_caller_cut_short_is_charged_as_if_it_had_left() {
    let world = World::new();
    let (id, key) = world.key(&json!({}));
    world.handles.upstream.push_response(endless(Vec::new()));
    let mut request = anthropic(&key, &streamed("claude"));
    request.headers_mut().insert("x-gatelet-timeout", "5".parse().unwrap());
    let gateway = world.gateway.clone();
    let response = block_on(async {
        let turn = async {
            while world.handles.upstream.asked().is_empty() {
                yield_now().await;
            }
            world.handles.clock.advance(Duration::from_secs(6));
            futures_util::future::pending::<()>().await;
        };
        match futures_util::future::select(Box::pin(gateway.handle(request)), Box::pin(turn)).await {
            futures_util::future::Either::Left((response, _)) => response,
            futures_util::future::Either::Right(_) => unreachable!(),
        }
    });
    assert_eq!(response.status(), 504);
    let usage = world.usage(&id);
    assert_ne!(usage["spent"], "0", "the provider works on, and bills it");
    assert_eq!(usage["held"], "0");
}
