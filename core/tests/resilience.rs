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
  copied: { targets: [ { model: one/m, price: { input: "1", output: "10" } } ], retries: 0, copies: [ { to: other } ] }
  paid: { targets: [ { model: one/m, price: { input: "1", output: "10" } } ], retries: 0, copies: [ { to: other, billed: true } ] }
  rare: { targets: [one/m], retries: 0, copies: [ { to: other, percent: 25 } ] }
  other: { targets: [ { model: two/m, price: { input: "2", output: "20" } } ], retries: 0 }
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

type Answers = fn() -> Response<Body>;
type Fails = Box<dyn Fn() -> Result<Response<Body>, Fault> + Send + Sync>;

#[test]
fn how_often_a_target_is_asked_again_depends_on_what_was_wrong() {
    let limited = |hint: &'static str| {
        move || {
            let mut response = says(429);
            response.headers_mut().insert("retry-after", hint.parse().unwrap());
            Ok(response)
        }
    };
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
    let rows: [(&str, bool, Answers, u64); 4] = [
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

fn hosts(world: &World) -> Vec<String> {
    let asked = world.handles.upstream.asked();
    asked.iter().map(|one| one.uri.host().unwrap().split('.').next().unwrap().to_owned()).collect()
}

fn requests(world: &World) -> Vec<Value> {
    world.records().into_iter().filter(|record| record["kind"] == "request").collect()
}

#[test]
fn a_copy_goes_elsewhere_in_the_background_and_nobody_pays_for_it() {
    for stream in [false, true] {
        let world = World::of(CONFIG);
        world.handles.upstream.always(move |_, _| {
            Ok(if stream {
                world::sse(world::ok(completion_chunks("hi", Some((5, 1)))))
            } else {
                whole(200, &completion("hi", 5, 1))
            })
        });
        let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"], "rpm": 5 } }));
        let response = world.send(openai(&key, &question("copied", stream)));
        let asked = response.headers()["x-gatelet-request-id"].to_str().unwrap().to_owned();
        world::read(response);
        assert_eq!(hosts(&world), ["one"], "nobody waits for the copy");
        let records = requests(&world);
        assert_eq!(hosts(&world), ["one", "two"]);
        let copy = records
            .iter()
            .find(|record| record["copy_of"] == *asked)
            .unwrap_or_else(|| panic!("{records:?}"));
        assert_eq!(
            (&copy["target"], &copy["cost"], &copy["outcome"]),
            (&json!("two/m"), &json!("0"), &json!("done")),
            "{copy}"
        );
        // 5 tokens at 2 and one at 20 dollars for a million.
        assert_eq!(
            (&copy["unbilled"], copy["usage"]["output"].as_u64()),
            (&json!("0.00003"), Some(1)),
            "{copy}"
        );
        let usage = world.usage(&id);
        assert_eq!(usage["budget"][0]["spent"], "0.000015", "{usage}");
        let (_, report) = world.admin("GET", "/admin/v1/spend", &json!({}));
        assert!(
            report.to_string().contains("0.000015") && !report.to_string().contains("0.00003\""),
            "{report}"
        );
    }
}

#[test]
fn a_copy_that_is_billed_is_held_and_charged_like_any_request() {
    let (world, _) = world();
    let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"], "rpm": 5 } }));
    assert_eq!(world.send(openai(&key, &question("paid", false))).status(), 200);
    let records = requests(&world);
    let copy = records.iter().find(|record| record["copy_of"].is_string()).unwrap();
    assert_eq!((&copy["cost"], &copy["unbilled"]), (&json!("0.00003"), &Value::Null), "{copy}");
    let usage = world.usage(&id);
    assert_eq!(usage["budget"][0]["spent"], "0.000045", "{usage}");
    // Who may not call it has no copy, and hears nothing of that.
    let (_, key) = world.key(&json!({ "models": ["paid"] }));
    assert_eq!(world.send(openai(&key, &question("paid", false))).status(), 200);
    assert_eq!(requests(&world).iter().filter(|record| record["target"] == "two/m").count(), 1);
}

#[test]
fn copies_are_a_share_bounded_in_number_and_bound_by_pins_and_hurt_nobody() {
    let (world, key) = world();
    for _ in 0..40 {
        assert_eq!(world.send(openai(&key, &question("copied", false))).status(), 200);
    }
    requests(&world);
    assert_eq!(hosts(&world).iter().filter(|host| *host == "two").count(), 32, "no more at a time");
    let before = hosts(&world).len();
    for _ in 0..200 {
        world.send(openai(&key, &question("rare", false)));
        futures_executor::block_on(world.handles.defer.run_all());
    }
    let copies = hosts(&world)[before..].iter().filter(|host| *host == "two").count();
    assert!((25..80).contains(&copies), "a quarter: {copies}");
    let before = hosts(&world).len();
    let (_, pinned) = world.key(&json!({ "residency": { "providers": ["one"] } }));
    assert_eq!(world.send(openai(&pinned, &question("copied", false))).status(), 200);
    requests(&world);
    assert_eq!(hosts(&world)[before..], ["one"]);
    world.handles.upstream.always(|request, _| {
        Ok(if request.uri().host().unwrap().starts_with("two") {
            says(500)
        } else {
            whole(200, &completion("hi", 5, 1))
        })
    });
    let response = world.send(openai(&key, &question("copied", false)));
    assert_eq!(
        (response.status().as_u16(), &response.headers()["x-gatelet-attempts"]),
        (200, &"1".parse().unwrap())
    );
}

fn ticks(world: &World) -> Vec<String> {
    let before = hosts(world).len();
    futures_executor::block_on(world.gateway.tick()).unwrap();
    hosts(world)[before..].to_vec()
}

#[test]
fn targets_are_checked_though_nobody_asks_and_callers_need_not_try_what_is_out() {
    const CHECKED: &str = r#"
providers:
  one: { dialect: openai, base: "http://one.example/v1", key: secret-1 }
  two: { dialect: anthropic, base: "http://two.example", key: secret-2 }
models:
  m: { targets: [one/m, two/n], retries: 0 }
health: { faults: 2, out: 20s, ramp: 10s, checks: [ { targets: ["one/*"], every: 30s, get: /models }, { targets: [two/n], every: 10s } ] }
"#;
    let world = World::of(CHECKED);
    let (_, key) = world.key(&json!({}));
    world.handles.upstream.always(|request, _| {
        Ok(match request.uri().path() {
            "/v1/models" => whole(200, &json!({ "data": [] })),
            "/v1/messages" => whole(200, &world::message("ok", 1, 1)),
            other => panic!("{other}"),
        })
    });
    assert_eq!(ticks(&world), ["one", "two"]);
    assert_eq!(ticks(&world), Vec::<String>::new(), "not again at once");
    let asked = world.handles.upstream.asked();
    assert_eq!(asked[0].method, "GET");
    assert!(String::from_utf8_lossy(asked[1].body.as_deref().unwrap()).contains("Say ok."));
    world.handles.clock.advance(Duration::from_secs(10));
    assert_eq!(ticks(&world), ["two"]);
    // Two checks that fail put it out; then it is left alone, and the first that goes well lets it in again.
    world.handles.upstream.always(|_, _| Ok(says(500)));
    for _ in 0..2 {
        world.handles.clock.advance(Duration::from_secs(30));
        assert_eq!(ticks(&world), ["one", "two"]);
    }
    let standing = |world: &World, name: &str| {
        let (_, page) = world.admin("GET", "/admin/v1/targets", &json!({}));
        let targets = page["targets"].as_array().unwrap();
        let target = targets.iter().find(|target| target["target"] == name).unwrap();
        target["standing"].as_str().unwrap().to_owned()
    };
    assert_eq!((standing(&world, "one/m"), standing(&world, "two/n")), ("out".to_owned(), "out".to_owned()));
    world.handles.clock.advance(Duration::from_secs(10));
    assert_eq!(ticks(&world), Vec::<String>::new());
    world.handles.upstream.always(|_, _| Ok(whole(200, &completion("hi", 1, 1))));
    world.handles.clock.advance(Duration::from_secs(10));
    assert_eq!(ticks(&world), ["one", "two"]);
    assert_eq!(standing(&world, "one/m"), "returning");
    assert_eq!(world.send(openai(&key, &question("m", false))).status(), 200);
    assert!(requests(&world).len() == 1, "checks are in no records");
    let wrong = CHECKED.replace("targets: [two/n]", "targets: [two/x]").replace("every: 30s", "every: 1s");
    let host = gatelet_core::policy::Host {
        variable: &|_| None,
        ollama: false,
        registry: gatelet_core::registry::Registry::full(),
    };
    let problems = gatelet_core::policy::Policy::read("gatelet.yaml", &wrong, &host).unwrap_err().to_string();
    for said in ["no target `two/x`", "a duration of at least 10s"] {
        assert!(problems.contains(said), "{problems}");
    }
}
