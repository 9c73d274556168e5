//! Prompts and answers are kept where the configuration says so, and come to those who may read them.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use std::time::Duration;

use futures_executor::block_on;
use gatelet_core::policy::{Host, Policy};
use gatelet_core::registry::Registry;
use serde_json::{Value, json};
use world::{World, completion, completion_chunks, ok, openai, read, sse, whole};

const BASE: &str = r#"
providers:
  up: { dialect: openai, base: "http://127.0.0.1:1/v1", key: provider-secret-1 }
models:
  plain: { targets: [ { model: up/model-o, price: { input: "1", output: "10", per: 1M }, max_output: 1000 } ], retries: 0 }
"#;

const ASKED: &str = "Write to ann@example.org about Zephyr";

fn world(config: &str) -> World {
    let world = World::of(&format!("{BASE}{config}"));
    world.handles.upstream.always(move |request, _| {
        if request.uri().port_u16() == Some(1) {
            return Ok(whole(200, &completion("Dear ann@example.org", 7, 3)));
        }
        Ok(whole(200, &json!({})))
    });
    world.handles.clock.advance(Duration::from_hours(480_000));
    world
}

fn body(stream: bool) -> Value {
    json!({ "model": "plain", "max_tokens": 30, "stream": stream, "messages": [{ "role": "user", "content": ASKED }] })
}

fn ask(world: &World, key: &str) -> String {
    let response = world.send(openai(key, &body(false)));
    assert_eq!(response.status(), 200);
    let id = response.headers()["x-gatelet-request-id"].to_str().unwrap().to_owned();
    block_on(world.handles.defer.run_all());
    id
}

fn tick(world: &World) {
    block_on(world.handles.defer.run_all());
    block_on(world.gateway.tick()).unwrap();
}

fn show(world: &World, id: &str) -> Value {
    let (status, shown) = world.admin("GET", &format!("/admin/v1/requests/{id}"), &json!({}));
    assert_eq!(status, 200, "{shown}");
    shown
}

#[test]
fn nothing_is_kept_unless_the_configuration_says_so_and_the_narrowest_word_counts() {
    let world = world("content: { of: { org/default: masked, team/blue: none, key/loud: full } }");
    world.admin("POST", "/admin/v1/teams", &json!({ "name": "blue", "id": "blue" }));
    let (_, loud) = world.key(&json!({ "alias": "loud" }));
    let (_, other) = world.key(&json!({ "team": null }));
    let (full, masked) = (ask(&world, &loud), ask(&world, &other));
    for round in 0..2 {
        let full = show(&world, &full);
        assert_eq!(full["request"]["content"], "kept");
        assert_eq!(full["content"]["prompt"]["messages"][0]["content"], ASKED, "round {round}");
        assert_eq!(full["content"]["answer"], json!({ "text": "Dear ann@example.org" }));
        let masked = show(&world, &masked);
        assert_eq!(masked["content"]["mode"], "masked");
        assert_eq!(masked["content"]["prompt"]["messages"][0]["content"], "Write to [EMAIL] about Zephyr");
        assert_eq!(masked["content"]["answer"]["text"], "Dear [EMAIL]");
        // From the outbox first, then from the archive.
        tick(&world);
    }
    let world = self::world("");
    let (_, key) = world.key(&json!({}));
    let id = ask(&world, &key);
    tick(&world);
    let shown = show(&world, &id);
    assert_eq!((&shown["request"]["content"], &shown["content"]), (&Value::Null, &Value::Null));
    let (_, names) = world.admin("GET", "/admin/v1/archive?prefix=content/", &json!({}));
    assert_eq!(names["names"], json!([]));
}

#[test]
fn a_stream_is_kept_as_far_as_it_came() {
    let world = world("content: full");
    let (_, key) = world.key(&json!({}));
    world.handles.upstream.always(|_, _| Ok(sse(ok(completion_chunks("Hello there", Some((7, 3)))))));
    let response = world.send(openai(&key, &body(true)));
    let whole = response.headers()["x-gatelet-request-id"].to_str().unwrap().to_owned();
    read(response);
    world.handles.upstream.always(|_, _| {
        let mut pieces = ok(completion_chunks("Hello there", Some((7, 3))));
        pieces.truncate(3);
        pieces.push(Err(gatelet_core::port::Broken("gone".to_owned())));
        Ok(sse(pieces))
    });
    let response = world.send(openai(&key, &body(true)));
    let broken = response.headers()["x-gatelet-request-id"].to_str().unwrap().to_owned();
    read(response);
    world
        .handles
        .upstream
        .always(|_, _| Ok(world::endless(completion_chunks("Hello there", None)[..3].to_vec())));
    let response = world.send(openai(&key, &body(true)));
    let left = response.headers()["x-gatelet-request-id"].to_str().unwrap().to_owned();
    drop(response);
    tick(&world);
    assert_eq!(show(&world, &whole)["content"]["answer"], json!({ "text": "Hello there" }));
    for id in [broken, left] {
        let shown = show(&world, &id);
        let answer = &shown["content"]["answer"];
        assert!("Hello there".starts_with(answer["text"].as_str().unwrap()), "{answer}");
        assert!(!answer["text"].as_str().unwrap().is_empty(), "{answer}");
        assert_eq!(answer["partial"], true, "{answer}");
    }
}

#[test]
fn guards_decide_what_masked_content_is() {
    let guard = "guards: { code: { kind: words, words: [Zephyr], mode: mask, for: all } }";
    let world = world(&format!("content: masked\n{guard}"));
    let (_, key) = world.key(&json!({}));
    world.handles.upstream.always(|request, _| {
        let _ = request;
        Ok(whole(200, &completion("I know [CODE_1]", 7, 3)))
    });
    let id = ask(&world, &key);
    tick(&world);
    let text = show(&world, &id)["content"].to_string();
    assert!(!text.contains("Zephyr"), "{text}");
}

#[test]
fn sinks_with_content_are_told_of_it_and_others_are_not() {
    let sinks = r#"
sinks:
  all: { kind: webhook, url: "https://all.example/in", content: true }
  some: { kind: webhook, url: "https://some.example/in" }
"#;
    let world = world(&format!("content: full{sinks}"));
    tick(&world);
    let (_, key) = world.key(&json!({}));
    tick(&world);
    let ids = [ask(&world, &key), ask(&world, &key)];
    world.handles.clock.advance(Duration::from_secs(1));
    tick(&world);
    let came = |host: &str| -> Vec<Value> {
        let asked = world.handles.upstream.asked();
        let mine = asked.into_iter().filter(|asked| asked.uri.host() == Some(host));
        let bodies = mine.map(|asked| serde_json::from_slice::<Value>(&asked.body.unwrap()).unwrap());
        bodies.flat_map(|body| body["records"].as_array().unwrap().clone()).collect()
    };
    let (all, some) = (came("all.example"), came("some.example"));
    assert_eq!((all.len(), some.len()), (2, 2));
    for (record, id) in all.iter().zip(&ids) {
        assert_eq!(record["record"]["id"], **id);
        assert_eq!(record["content"]["id"], **id);
        assert_eq!(record["content"]["prompt"]["messages"][0]["content"], ASKED);
    }
    assert!(some.iter().all(|record| record["content"].is_null()), "{some:?}");
}

#[test]
fn who_may_not_read_content_sees_none_of_it() {
    let world = world("content: full");
    let (_, key) = world.key(&json!({}));
    let id = ask(&world, &key);
    tick(&world);
    let (status, made) =
        world.admin("POST", "/admin/v1/keys", &json!({ "kind": "management", "role": "auditor" }));
    assert_eq!(status, 201, "{made}");
    let auditor = made["key"].as_str().or_else(|| made["token"].as_str()).expect("its token").to_owned();
    let (status, shown) = world.call(&auditor, "GET", &format!("/admin/v1/requests/{id}"), &json!({}));
    assert_eq!((status, &shown["request"]["content"]), (200, &json!("kept")), "{shown}");
    assert_eq!(shown["content"], Value::Null);
    let (_, names) = world.admin("GET", "/admin/v1/archive?prefix=content/", &json!({}));
    let name = names["names"][0].as_str().unwrap();
    assert_eq!(world.call(&auditor, "GET", &format!("/admin/v1/archive/{name}"), &json!({})).0, 403);
}

#[test]
fn of_a_sample_so_many_are_kept_and_a_wrong_word_is_refused() {
    let world = world("content: { keep: full, sample: 25% }");
    let (_, key) = world.key(&json!({}));
    let kept = (0..200).filter(|_| show(&world, &ask(&world, &key))["content"].is_object()).count();
    assert!((20..=85).contains(&kept), "{kept}");
    let host = Host { variable: &|_| None, ollama: false, registry: Registry::full() };
    for (wrong, what) in [
        ("content: all", "none, masked or full"),
        ("content: { of: { all: full } }", "such as team/search"),
        ("content: { keep: full, most: 1MB }", "1KB to 256KB"),
        ("content: { of: { team/a: { of: {} } } }", "unknown key `of`"),
    ] {
        let problems =
            Policy::read("gatelet.yaml", &format!("{BASE}{wrong}"), &host).unwrap_err().to_string();
        assert!(problems.contains(what), "{wrong}: {problems}");
    }
}
