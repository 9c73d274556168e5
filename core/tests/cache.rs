//! Answers that are given again: to whom, in which words, and what it costs.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_executor::block_on;
use futures_util::future::{join_all, poll_fn};
use futures_util::{StreamExt, stream};
use gatelet_core::port::Body;
use http::{Request, Response};
use serde_json::{Value, json};
use world::{
    World, anthropic, completion, completion_chunks, message, message_events, ok, openai, read, read_json,
    sse, whole, yield_now,
};

const CONFIG: &str = r#"
providers:
  one: { dialect: openai, base: "http://one.example/v1", key: secret-1 }
  two: { dialect: anthropic, base: "http://two.example", key: secret-2 }
models:
  mine: { targets: [ { model: one/m, price: { input: "1000", output: "1000" }, max_output: 1000 } ], retries: 0, cache: 10m }
  ours: { targets: [ { model: one/m, price: { input: "1000", output: "1000" }, max_output: 1000 } ], retries: 0, cache: { ttl: 10m, max_ttl: 1h, scope: org } }
  teams: { targets: [ one/m ], retries: 0, cache: { ttl: 10m, scope: team } }
  users: { targets: [ one/m ], retries: 0, cache: { ttl: 10m, scope: customer } }
  theirs: { targets: [ two/m ], retries: 0, cache: { ttl: 10m, scope: public } }
  asked: { targets: [ one/m ], retries: 0, cache: { ttl: 10m, on_request: true, controls: [no-store] } }
  sturdy: { targets: [ one/m ], retries: 0, fallbacks: [theirs], cache: 10m }
  vectors: { targets: [ one/v ], retries: 0, cache: 10m }
  never: { targets: [ one/m ], retries: 0 }
cache: { memory: 1MB, entry: 64KB, wait: 100ms }
"#;

fn question(model: &str) -> Value {
    json!({ "model": model, "max_tokens": 10, "messages": [{ "role": "user", "content": "What is it?" }] })
}

fn streamed(model: &str) -> Value {
    let mut question = question(model);
    question["stream"] = true.into();
    question
}

/// A world whose upstreams answer in their own dialects, each time something else; and how often they were asked.
fn world() -> (World, Arc<AtomicUsize>) {
    world_of(CONFIG)
}

fn world_of(config: &str) -> (World, Arc<AtomicUsize>) {
    let world = World::of(config);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    world.handles.upstream.always(move |request: Request<Body>, _| {
        let nth = count.fetch_add(1, Ordering::SeqCst) + 1;
        let host = request.uri().host().unwrap().to_owned();
        let asked = body_of(request);
        let text = format!("answer {nth}");
        let stream = asked["stream"] == true;
        Ok(match (&*host, stream) {
            ("one.example", _) if asked["input"].is_string() => whole(
                200,
                &json!({ "object": "list", "model": "v", "data": [{ "object": "embedding", "index": 0, "embedding": [nth, 0.5] }],
                    "usage": { "prompt_tokens": 3, "total_tokens": 3 } }),
            ),
            ("one.example", false) => whole(200, &completion(&text, 5, 2)),
            ("one.example", true) => sse(ok(completion_chunks(&text, Some((5, 2))))),
            (_, false) => whole(200, &message(&text, 5, 2)),
            (_, true) => sse(ok(message_events(&text, 5, 2))),
        })
    });
    (world, asked)
}

fn body_of(request: Request<Body>) -> Value {
    match request.into_body() {
        Body::Full(bytes) => serde_json::from_slice(&bytes).unwrap(),
        Body::Pieces(pieces) => serde_json::from_slice(&pieces.concat()).unwrap(),
        _ => Value::Null,
    }
}

fn cache_of(response: &Response<Body>) -> Option<&str> {
    response.headers().get("x-gatelet-cache").map(|value| value.to_str().unwrap())
}

/// The text of an answer in whichever form, and what the cache said of it.
fn said(response: Response<Body>) -> (String, String) {
    let cache = cache_of(&response).unwrap_or("-").to_owned();
    assert_eq!(response.status(), 200, "{:?}", String::from_utf8(read(response)));
    let bytes = String::from_utf8(read(response)).unwrap();
    let at = bytes.find("answer ").unwrap_or_else(|| panic!("{bytes}"));
    let text: String =
        bytes[at..].chars().take_while(|letter| letter.is_alphanumeric() || *letter == ' ').collect();
    (text, cache)
}

fn pair(text: &str, cache: &str) -> (String, String) {
    (text.to_owned(), cache.to_owned())
}

#[test]
fn the_same_question_is_answered_once_and_costs_once() {
    let (world, asked) = world();
    let (id, key) = world.key(&json!({ "limits": { "budget": "1 USD / day" } }));
    let first = world.send(openai(&key, &question("mine")));
    assert_eq!(cache_of(&first), Some("miss"));
    let cost = first.headers()["x-gatelet-cost"].clone();
    let first = read(first);
    let spent = world.usage(&id);
    let second = world.send(openai(&key, &question("mine")));
    assert_eq!(cache_of(&second), Some("hit"));
    assert_eq!(second.headers()["x-gatelet-cost"], "0");
    assert_eq!(second.headers()["x-gatelet-attempts"], "0");
    assert_eq!(second.headers()["x-gatelet-model"], "one/m");
    // Same dialect, same bytes.
    assert_eq!(read(second), first);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert_eq!(world.usage(&id)["spent"], spent["spent"], "a hit costs nothing, and holds nothing");
    let records = world.records();
    let requests: Vec<&Value> = records.iter().filter(|record| record["kind"] == "request").collect();
    assert_eq!(requests.len(), 2);
    assert!(requests[0].get("cache").is_none() && requests[0].get("saved").is_none());
    assert_eq!((&requests[1]["cache"], &requests[1]["attempts"]), (&json!("hit"), &json!(0)));
    assert_eq!(requests[1]["cost"], "0");
    assert_eq!(requests[1]["saved"].as_str().unwrap(), cost.to_str().unwrap());
    assert_eq!(requests[1]["usage"]["output"], 0);
}

#[test]
fn an_answer_is_given_again_whole_and_as_a_stream_in_any_dialect() {
    // Each form first, then all the others.
    for first in 0..4 {
        let (world, asked) = world();
        let (_, key) = world.key(&json!({}));
        let ask = |form: usize| match form {
            0 => world.send(openai(&key, &question("ours"))),
            1 => world.send(openai(&key, &streamed("ours"))),
            2 => world.send(anthropic(&key, &question("ours"))),
            _ => world.send(anthropic(&key, &streamed("ours"))),
        };
        assert_eq!(said(ask(first)), pair("answer 1", "miss"), "{first}");
        for form in 0..4 {
            let response = ask(form);
            let media = response.headers()["content-type"].to_str().unwrap().to_owned();
            assert_eq!(media.starts_with("text/event-stream"), form % 2 == 1, "{first} {form}");
            let cache = cache_of(&response).unwrap().to_owned();
            let text = String::from_utf8(read(response)).unwrap();
            assert_eq!(cache, "hit", "{first} {form}");
            let ending = match form {
                0 => "\"finish_reason\":\"stop\"",
                1 => "data: [DONE]",
                2 => "\"stop_reason\":\"end_turn\"",
                _ => "event: message_stop",
            };
            let dense = text.replace("\": ", "\":");
            assert!(dense.contains("answer 1") && dense.contains(ending), "{first} {form}: {text}");
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1, "{first}");
    }
}

#[test]
fn an_answer_of_another_dialect_is_kept_in_no_particular_one() {
    let (world, asked) = world();
    let (_, key) = world.key(&json!({}));
    assert_eq!(said(world.send(openai(&key, &streamed("theirs")))), pair("answer 1", "miss"));
    assert_eq!(said(world.send(openai(&key, &question("theirs")))), pair("answer 1", "hit"));
    assert_eq!(said(world.send(anthropic(&key, &streamed("theirs")))), pair("answer 1", "hit"));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[test]
fn nobody_gets_what_another_tenant_was_answered() {
    let (world, _) = world();
    let (_, first) = world.key(&json!({}));
    let (_, second) = world.key(&json!({}));
    // By key.
    assert_eq!(said(world.send(openai(&first, &question("mine")))), pair("answer 1", "miss"));
    assert_eq!(said(world.send(openai(&second, &question("mine")))), pair("answer 2", "miss"));
    assert_eq!(said(world.send(openai(&first, &question("mine")))), pair("answer 1", "hit"));
    // By organisation: the same one shares, another does not.
    for org in ["a", "b"] {
        let made = world.admin("POST", "/admin/v1/orgs", &json!({ "id": org }));
        assert_eq!(made.0, 201, "{made:?}");
    }
    let (_, a) = world.key(&json!({ "org": "a" }));
    let (_, of_a) = world.key(&json!({ "org": "a" }));
    let (_, b) = world.key(&json!({ "org": "b" }));
    assert_eq!(said(world.send(openai(&a, &question("ours")))), pair("answer 3", "miss"));
    assert_eq!(said(world.send(openai(&b, &question("ours")))), pair("answer 4", "miss"));
    assert_eq!(said(world.send(openai(&first, &question("ours")))), pair("answer 5", "miss"));
    assert_eq!(said(world.send(openai(&of_a, &question("ours")))), pair("answer 3", "hit"));
    assert_eq!(said(world.send(openai(&first, &question("teams")))), pair("answer 6", "miss"));
    assert_eq!(said(world.send(openai(&second, &question("teams")))), pair("answer 7", "miss"));
    // By end user.
    let of = |customer: &str| {
        let mut request = openai(&first, &question("users"));
        request.headers_mut().insert("x-gatelet-customer", customer.parse().unwrap());
        said(world.send(request))
    };
    assert_eq!(of("ann"), pair("answer 8", "miss"));
    assert_eq!(of("bob"), pair("answer 9", "miss"));
    assert_eq!(of("ann"), pair("answer 8", "hit"));
}

#[test]
fn whatever_changes_the_answer_is_another_question() {
    let (world, asked) = world();
    let (_, key) = world.key(&json!({}));
    said(world.send(openai(&key, &question("ours"))));
    let changes = [
        ("temperature", json!(0.5)),
        ("max_tokens", json!(11)),
        ("seed", json!(1)),
        ("response_format", json!({ "type": "json_object" })),
        ("logit_bias", json!({ "1": 2 })),
        (
            "tools",
            json!([{ "type": "function", "function": { "name": "f", "parameters": { "type": "object" } } }]),
        ),
        ("messages", json!([{ "role": "user", "content": "What is it? " }])),
        (
            "messages",
            json!([{ "role": "system", "content": "Be" }, { "role": "user", "content": "What is it?" }]),
        ),
    ];
    for (nth, (field, value)) in changes.iter().enumerate() {
        let mut other = question("ours");
        other[*field] = value.clone();
        assert_eq!(
            said(world.send(openai(&key, &other))),
            pair(&format!("answer {}", nth + 2), "miss"),
            "{field}"
        );
    }
    // What changes nothing is none.
    for (field, value) in [("user", json!("u")), ("metadata", json!({ "trace": "x" })), ("n", json!(1))] {
        let mut same = question("ours");
        same[field] = value;
        assert_eq!(said(world.send(openai(&key, &same))).1, "hit", "{field}");
    }
    let before = asked.load(Ordering::SeqCst);
    assert_eq!(said(world.send(openai(&key, &question("mine")))).1, "miss", "another model");
    assert_eq!(asked.load(Ordering::SeqCst), before + 1);
}

#[test]
fn a_caller_says_whether_its_answer_is_kept_and_for_how_long() {
    let (world, _) = world();
    let (_, key) = world.key(&json!({}));
    let ask = |model: &str, wish: &str| {
        let mut request = openai(&key, &question(model));
        if !wish.is_empty() {
            request.headers_mut().insert("x-gatelet-cache", wish.parse().unwrap());
        }
        world.send(request)
    };
    assert_eq!(said(ask("ours", "no-store")), pair("answer 1", "miss"));
    assert_eq!(said(ask("ours", "")), pair("answer 2", "miss"));
    assert_eq!(said(ask("ours", "no-cache")), pair("answer 3", "miss"));
    assert_eq!(said(ask("ours", "")), pair("answer 3", "hit"), "no-cache keeps the new answer");
    assert_eq!(said(ask("ours", "namespace=x")), pair("answer 4", "miss"));
    assert_eq!(said(ask("ours", "namespace=x, ttl=5")), pair("answer 4", "hit"));
    assert_eq!(said(ask("ours", "namespace=y, ttl=5")), pair("answer 5", "miss"));
    world.handles.clock.advance(Duration::from_secs(6));
    assert_eq!(said(ask("ours", "namespace=y")), pair("answer 6", "miss"), "its time is over");
    assert_eq!(said(ask("ours", "max-age=5")), pair("answer 7", "miss"));
    world.handles.clock.advance(Duration::from_mins(9));
    assert_eq!(said(ask("ours", "")), pair("answer 7", "hit"));
    world.handles.clock.advance(Duration::from_mins(2));
    assert_eq!(said(ask("ours", "")), pair("answer 8", "miss"));
    // Two hours are more than the model lets anybody ask for.
    assert_eq!(said(ask("ours", "namespace=z, ttl=2h")), pair("answer 9", "miss"));
    world.handles.clock.advance(Duration::from_secs(3599));
    assert_eq!(said(ask("ours", "namespace=z")), pair("answer 9", "hit"));
    world.handles.clock.advance(Duration::from_secs(2));
    assert_eq!(said(ask("ours", "namespace=z")), pair("answer 10", "miss"));
    for wrong in ["nocache", "ttl", "ttl=soon", "namespace="] {
        let response = ask("ours", wrong);
        assert_eq!(response.status(), 400, "{wrong}");
        assert_eq!(read_json(response)["error"]["param"], "x-gatelet-cache", "{wrong}");
    }
    // Only on request, and only what the model allows.
    assert_eq!(cache_of(&ask("asked", "")), Some("miss"));
    assert_eq!(cache_of(&ask("asked", "use-cache")), Some("miss"));
    assert_eq!(cache_of(&ask("asked", "")), Some("miss"));
    assert_eq!(cache_of(&ask("asked", "use-cache")), Some("hit"));
    assert_eq!(ask("asked", "ttl=5").status(), 400);
    assert_eq!(cache_of(&ask("never", "no-cache")), None, "where nothing is kept there is nothing to say");
}

#[test]
fn the_field_of_those_who_come_from_litellm_means_the_same_and_is_sent_to_nobody() {
    let (world, _) = world();
    let (_, key) = world.key(&json!({}));
    let ask = |wish: Value| {
        let mut question = question("ours");
        question["cache"] = wish;
        said(world.send(openai(&key, &question)))
    };
    assert_eq!(ask(json!({ "no-store": true })), pair("answer 1", "miss"));
    assert_eq!(ask(json!({ "ttl": 5, "namespace": "x" })), pair("answer 2", "miss"));
    assert_eq!(ask(json!({ "no-cache": false, "namespace": "x" })), pair("answer 2", "hit"));
    world.handles.clock.advance(Duration::from_secs(6));
    assert_eq!(ask(json!({ "namespace": "x" })), pair("answer 3", "miss"));
    for sent in world.handles.upstream.asked() {
        let body: Value = serde_json::from_slice(&sent.body.unwrap()).unwrap();
        assert!(body.get("cache").is_none(), "{body}");
    }
}

#[test]
fn only_whole_answers_are_kept() {
    let (world, _) = world();
    let (_, key) = world.key(&json!({}));
    // A stream that breaks.
    let mut pieces = ok(completion_chunks("answer 0", None));
    pieces.truncate(2);
    pieces.push(Err(gatelet_core::port::Broken("gone".to_owned())));
    world.handles.upstream.push(move |_, _| Ok(sse(pieces)));
    read(world.send(openai(&key, &streamed("ours"))));
    // An error.
    world.handles.upstream.push(|_, _| Ok(whole(500, &json!({ "error": { "message": "no" } }))));
    assert_eq!(world.send(openai(&key, &question("ours"))).status(), 500);
    assert_eq!(said(world.send(openai(&key, &question("ours")))).1, "miss");
    // A caller that leaves in the middle.
    let left = world.send(openai(&key, &streamed("mine")));
    drop(left);
    assert_eq!(said(world.send(openai(&key, &question("mine")))).1, "miss");
}

#[test]
fn what_another_model_answered_in_its_place_is_not_kept() {
    let (world, _) = world();
    let (_, key) = world.key(&json!({}));
    world.handles.upstream.push(|_, _| Ok(whole(503, &json!({ "error": { "message": "no" } }))));
    assert_eq!(said(world.send(openai(&key, &question("sturdy")))), pair("answer 1", "miss"));
    assert_eq!(said(world.send(openai(&key, &question("sturdy")))), pair("answer 2", "miss"));
    assert_eq!(said(world.send(openai(&key, &question("sturdy")))), pair("answer 2", "hit"));
}

#[test]
fn another_process_reads_it_from_the_host_but_nothing_that_is_spoilt() {
    let (world, asked) = world();
    let (_, key) = world.key(&json!({}));
    assert_eq!(said(world.send(openai(&key, &question("ours")))), pair("answer 1", "miss"));
    assert_eq!(said(world.send(openai(&key, &question("mine")))), pair("answer 2", "miss"));
    block_on(world.handles.defer.run_all());
    assert_eq!(world.handles.answers.count(), 2);
    let again = world.again("");
    assert_eq!(said(again.send(openai(&key, &question("ours")))), pair("answer 1", "hit"));
    // Each under the other's name.
    world.handles.answers.mix();
    let again = world.again("");
    assert_eq!(said(again.send(openai(&key, &question("ours")))), pair("answer 3", "miss"));
    assert_eq!(said(again.send(openai(&key, &question("mine")))), pair("answer 4", "miss"));
    block_on(world.handles.defer.run_all());
    world.handles.answers.spoil();
    let again = world.again("");
    assert_eq!(said(again.send(openai(&key, &question("ours")))), pair("answer 5", "miss"));
    assert_eq!(asked.load(Ordering::SeqCst), 5);
}

#[test]
fn a_host_whose_store_is_down_or_silent_stops_nobody() {
    for silent in [false, true] {
        let (world, _) = world();
        let (_, key) = world.key(&json!({}));
        if silent {
            world.handles.answers.fall_silent();
        } else {
            world.handles.answers.fail();
        }
        let gateway = world.gateway.clone();
        let request = openai(&key, &question("ours"));
        let answered = std::thread::spawn(move || said(block_on(gateway.handle(request))));
        // One that fails is waited for by nobody: nobody needs the clock to go on.
        while silent && !answered.is_finished() {
            world.handles.clock.advance(Duration::from_millis(1));
            std::thread::yield_now();
        }
        assert_eq!(answered.join().unwrap(), pair("answer 1", "miss"), "{silent}");
        // From memory it is given all the same, and nobody waits for the store for a while.
        assert_eq!(said(world.send(openai(&key, &question("ours")))), pair("answer 1", "hit"), "{silent}");
        assert_eq!(said(world.send(openai(&key, &question("mine")))), pair("answer 2", "miss"), "{silent}");
    }
}

#[test]
fn who_may_not_ask_gets_no_hit() {
    let (world, _) = world();
    let (id, key) = world.key(&json!({ "limits": { "rpm": 2 } }));
    assert_eq!(said(world.send(openai(&key, &question("ours")))).1, "miss");
    assert_eq!(said(world.send(openai(&key, &question("ours")))).1, "hit");
    assert_eq!(world.send(openai(&key, &question("ours"))).status(), 429);
    let (_, other) = world.key(&json!({ "models": ["mine"] }));
    assert_eq!(world.send(openai(&other, &question("ours"))).status(), 403);
    assert_eq!(world.admin("DELETE", &format!("/admin/v1/keys/{id}"), &json!({})).0, 200);
    assert_eq!(world.send(openai(&key, &question("ours"))).status(), 401);
}

#[test]
fn five_hundred_equal_questions_are_one() {
    let (world, asked) = world();
    let (_, key) = world.key(&json!({}));
    let count = asked.clone();
    // An answer that takes its time: all others come before its end.
    world.handles.upstream.push(move |_, _| {
        count.fetch_add(1, Ordering::SeqCst);
        let slow = stream::once(async {
            for _ in 0..500 {
                yield_now().await;
            }
            Ok(completion("answer 1", 5, 2).to_string().into())
        });
        Ok(Response::builder()
            .header("content-type", "application/json")
            .body(Body::Stream(slow.boxed()))
            .unwrap())
    });
    let all = (0..500).map(|nth| {
        let body = if nth % 2 == 0 { question("ours") } else { streamed("ours") };
        world.gateway.handle(openai(&key, &body))
    });
    let mut all = Box::pin(join_all(all));
    // A millisecond for each turn: those who wait for the first look again.
    let answers = block_on(poll_fn(|context| {
        let turn = all.as_mut().poll(context);
        if turn.is_pending() {
            world.handles.clock.advance(Duration::from_millis(1));
            context.waker().wake_by_ref();
        }
        turn
    }));
    let answers: Vec<_> = answers.into_iter().map(said).collect();
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert!(answers.iter().all(|(text, _)| text == "answer 1"));
    assert_eq!(answers.iter().filter(|(_, cache)| cache == "miss").count(), 1);
}

#[test]
fn embeddings_are_kept_too() {
    let (world, asked) = world();
    let (_, key) = world.key(&json!({}));
    let ask = |input: &str| {
        let body = json!({ "model": "vectors", "input": input });
        let response = world.send(world::chat("/v1/embeddings", &key, body.to_string()));
        let cache = cache_of(&response).unwrap().to_owned();
        (read_json(response)["data"][0]["embedding"][0].clone(), cache)
    };
    assert_eq!(ask("a"), (json!(1), "miss".to_owned()));
    assert_eq!(ask("b"), (json!(2), "miss".to_owned()));
    assert_eq!(ask("a"), (json!(1), "hit".to_owned()));
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[test]
fn an_answer_that_a_budget_cut_off_is_not_kept() {
    let (world, _) = world();
    assert_eq!(world.admin("POST", "/admin/v1/orgs", &json!({ "id": "a" })).0, 201);
    let (_, poor) = world.key(&json!({ "org": "a", "limits": { "budget": "0.5 USD / day" } }));
    let mut open = question("ours");
    open.as_object_mut().unwrap().remove("max_tokens");
    world.handles.upstream.push(|request, _| {
        let cap = body_of(request)["max_tokens"].as_u64().unwrap();
        Ok(whole(200, &completion("answer 0", 1, cap)))
    });
    let response = world.send(openai(&poor, &open));
    assert!(response.headers().contains_key("x-gatelet-output-cap"));
    assert_eq!(said(response), pair("answer 0", "miss"));
    let (_, rich) = world.key(&json!({ "org": "a" }));
    assert_eq!(said(world.send(openai(&rich, &open))), pair("answer 1", "miss"));
    let (_, other) = world.key(&json!({ "org": "a" }));
    assert_eq!(said(world.send(openai(&other, &open))), pair("answer 1", "hit"));
}

#[test]
fn a_purge_takes_out_what_it_names_and_nothing_else_in_every_process() {
    let (world, _) = world();
    let (first_id, first) = world.key(&json!({}));
    let (_, second) = world.key(&json!({ "tags": ["nightly"] }));
    let all = [(&first, "mine"), (&first, "ours"), (&second, "mine"), (&second, "users")];
    let hits =
        |world: &World| all.map(|(key, model)| said(world.send(openai(key, &question(model)))).1 == "hit");
    let other = world.again("");
    let purge = |wish: Value, then: [bool; 4]| {
        assert_eq!(hits(&world), [false; 4], "{wish}");
        block_on(world.handles.defer.run_all());
        assert_eq!(hits(&other), [true; 4], "{wish}");
        let (status, answer) = world.admin("POST", "/admin/v1/cache/purge", &wish);
        assert_eq!(status, 200, "{answer}");
        world.handles.clock.advance(Duration::from_secs(11));
        assert_eq!(hits(&other), then, "{wish}");
        assert_eq!(world.admin("POST", "/admin/v1/cache/purge", &json!({ "all": true })).0, 200);
        world.handles.clock.advance(Duration::from_secs(11));
        // As if nothing had been.
        assert_eq!(hits(&other), [false; 4], "{wish}");
        assert_eq!(world.admin("POST", "/admin/v1/cache/purge", &json!({ "all": true })).0, 200);
        world.handles.clock.advance(Duration::from_secs(11));
    };
    purge(json!({ "key": first_id }), [false, false, true, true]);
    purge(json!({ "model": "mine" }), [false, true, false, true]);
    purge(json!({ "tag": "nightly" }), [true, true, false, false]);
    purge(json!({ "all": true }), [false; 4]);
    for wrong in [json!({}), json!({ "key": "k", "all": true }), json!({ "team": "t" })] {
        assert_eq!(world.admin("POST", "/admin/v1/cache/purge", &wrong).0 / 100, 4, "{wrong}");
    }
    block_on(world.gateway.tick()).unwrap();
    let (status, audit) = world.admin("GET", "/admin/v1/audit?limit=100", &Value::Null);
    assert!(status == 200 && audit.to_string().contains("cache/model/mine"), "{audit}");
}
