//! What becomes of a request whose targets fail, are slow, or say nothing.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use std::time::Duration;

use gatelet_core::port::{Body, Fault, FaultKind};
use http::Response;
use serde_json::{Value, json};
use world::{World, completion, completion_chunks, endless, openai, whole};

const CONFIG: &str = r#"
providers:
  one: { dialect: openai, base: "http://one.example/v1", key: secret-1 }
  two: { dialect: openai, base: "http://two.example/v1", key: secret-2 }
models:
  kinds: { targets: [one/m], retries: { rate_limit: 2, timeout: 0, provider: 3, network: 1, pause: 1s, wait: 20s } }
  slow: { targets: [one/m], retries: 0, timeouts: { first: 5s, attempt: 30s, idle: 2m } }
  usual: { targets: [one/m], retries: 0, timeouts: { first: 5s, idle: 20s } }
health: { faults: 1000 }
"#;

fn question(model: &str, stream: bool) -> Value {
    json!({ "model": model, "stream": stream, "max_tokens": 10, "messages": [{ "role": "user", "content": "hi" }] })
}

fn world() -> (World, String) {
    let world = World::of(CONFIG);
    world.handles.upstream.always(|_, _| Ok(whole(200, &completion("hi", 5, 1))));
    let (_, key) = world.key(&json!({}));
    (world, key)
}

fn says(status: u16) -> Response<Body> {
    whole(status, &json!({ "error": { "message": "no", "type": "server_error" } }))
}

#[test]
fn how_often_a_target_is_asked_again_depends_on_what_was_wrong() {
    let limited = |hint: &'static str| {
        move || {
            let mut response = says(429);
            response.headers_mut().insert("retry-after", hint.parse().unwrap());
            Ok(response)
        }
    };
    type Fails = Box<dyn Fn() -> Result<Response<Body>, Fault> + Send + Sync>;
    let rows: [(&str, Fails, usize, Duration); 6] = [
        ("overloaded", Box::new(|| Ok(says(503))), 4, Duration::from_secs(3)),
        (
            "not reached",
            Box::new(|| Err(Fault::new(FaultKind::Unavailable, "send", "no"))),
            2,
            Duration::ZERO,
        ),
        ("silent", Box::new(|| Err(Fault::new(FaultKind::Timeout, "send", "no"))), 1, Duration::ZERO),
        ("limited for a while", Box::new(limited("10")), 3, Duration::from_secs(20)),
        ("limited for longer than anybody waits", Box::new(limited("21")), 1, Duration::ZERO),
        ("refused", Box::new(|| Ok(says(401))), 1, Duration::ZERO),
    ];
    for (what, fails, attempts, least) in rows {
        let (world, key) = world();
        world.handles.upstream.always(move |_, _| fails());
        let (_, _, took) = world.send_in_time(openai(&key, &question("kinds", false)));
        assert_eq!(world.handles.upstream.asked().len(), attempts, "{what}");
        assert!(took >= least && took < least + Duration::from_secs(6), "{what}: {took:?}");
    }
}

#[test]
fn an_attempt_has_a_time_of_its_own_beside_that_of_the_first_content() {
    let silent = || {
        let body = Body::Stream(Box::pin(futures_util::stream::pending()));
        Response::builder().header("content-type", "application/json").body(body).unwrap()
    };
    let begun = || {
        let mut pieces = completion_chunks("hello", None);
        pieces.truncate(2);
        endless(pieces)
    };
    let rows: [(&str, bool, fn() -> Response<Body>, u64); 4] = [
        ("slow", false, silent, 30),
        ("usual", false, silent, 5),
        // It has begun, and is silent: `attempt` ends it before `idle` does; without, `idle` does.
        ("slow", true, begun, 30),
        ("usual", true, begun, 20),
    ];
    for (model, stream, answer, seconds) in rows {
        let (world, key) = world();
        world.handles.upstream.always(move |_, _| Ok(answer()));
        let (head, body, took) = world.send_in_time(openai(&key, &question(model, stream)));
        let text = String::from_utf8(body).unwrap();
        assert_eq!(head.status, if stream { 200 } else { 504 }, "{text}");
        assert!(text.contains("upstream_timeout"), "{text}");
        let expected = Duration::from_secs(seconds);
        assert!(took >= expected && took < expected + Duration::from_secs(3), "{model} {stream}: {took:?}");
    }
}
