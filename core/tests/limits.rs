//! What a request is of besides its key, and what becomes of it at a limit.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use std::time::Duration;

use futures_executor::block_on;
use futures_util::future::{join, poll_fn};
use gatelet_core::port::Body;
use gatelet_core::port::Clock as _;
use http::Response;
use serde_json::{Value, json};
use world::{World, anthropic, completion, message, openai, read_json, whole, yield_now};

fn body(model: &str) -> Value {
    json!({ "model": model, "max_tokens": 10, "messages": [{ "role": "user", "content": "hello" }] })
}

/// A world whose upstreams always answer: 7 tokens of input, 3 of output.
fn open() -> World {
    let world = World::new();
    world.handles.upstream.always(|request, _| {
        let anthropic = request.uri().path().ends_with("/messages");
        Ok(whole(200, &if anthropic { message("hi", 7, 3) } else { completion("hi", 7, 3) }))
    });
    world
}

/// How many requests in a row are served, at most ten; and the first refusal.
fn served(world: &World, key: &str, headers: &[(&'static str, &str)]) -> (usize, Option<Response<Body>>) {
    for count in 0..10 {
        let response = send(world, key, headers);
        if response.status() != 200 {
            return (count, Some(response));
        }
    }
    (10, None)
}

/// A request that costs 37 micro-dollars, and may cost some 150; with headers.
fn send(world: &World, key: &str, headers: &[(&'static str, &str)]) -> Response<Body> {
    let mut request = openai(key, &body("plain"));
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    world.send(request)
}

fn code(response: Response<Body>) -> (u16, String) {
    let status = response.status().as_u16();
    let body = read_json(response);
    (status, body["error"]["code"].as_str().unwrap_or_default().to_owned())
}

fn make(world: &World, plural: &str, wish: &Value) -> Value {
    let (status, made) = world.admin("POST", &format!("/admin/v1/{plural}"), wish);
    assert_eq!(status, 201, "{made}");
    made
}

fn get(world: &World, path: &str) -> Value {
    let (status, view) = world.admin("GET", &format!("/admin/v1/{path}"), &json!({}));
    assert_eq!(status, 200, "{path}: {view}");
    view
}

const TAGS: &str = "x-gatelet-tags";
const CUSTOMER: &str = "x-gatelet-customer";
const SESSION: &str = "x-gatelet-session";

#[test]
fn what_a_request_names_is_charged_once_it_has_limits_and_costs_nothing_before() {
    let world = open();
    let (_, key) = world.key(&json!({ "tags": ["own"] }));
    let headers = [(TAGS, "night"), (CUSTOMER, "Zo\u{eb} & Co"), (SESSION, "s")];
    assert_eq!(send(&world, &key, &headers).status(), 200);
    for plural in ["orgs", "tags", "customers", "models"] {
        assert_eq!(get(&world, plural)[plural], json!([]), "nobody made any");
    }
    for (plural, id, path) in [
        ("orgs", "default", "orgs/default"),
        ("tags", "own", "tags/own"),
        ("tags", "night", "tags/night"),
        ("customers", "Zo\u{eb} & Co", "customers/Zo%C3%AB%20%26%20Co"),
        ("models", "plain", "models/plain"),
    ] {
        make(&world, plural, &json!({ "id": id, "limits": { "budget": "0.0004 USD / day" } }));
        let (count, refused) = served(&world, &key, &headers);
        assert!((1..10).contains(&count), "{path}: {count}");
        assert_eq!(code(refused.unwrap()), (402, "budget_spent".to_owned()), "{path}");
        let view = get(&world, path);
        assert_eq!(view["usage"]["spent"], format!("0.{:06}", 37 * count), "{path}");
        let stranger = send(&world, &world.key(&json!({})).1, &[]).status().as_u16();
        assert_eq!(stranger, if matches!(plural, "orgs" | "models") { 402 } else { 200 }, "{path}");
        let (status, _) =
            world.admin("PATCH", &format!("/admin/v1/{path}"), &json!({ "limits": { "budget": null } }));
        assert_eq!(status, 200);
    }
    let records = world.records();
    let request = records.iter().find(|record| record["kind"] == "request").unwrap();
    assert_eq!((&request["customer"], &request["session"]), (&json!("Zo\u{eb} & Co"), &json!("s")));
    assert_eq!(request["tags"], json!(["own", "night"]));
}

#[test]
fn organisations_and_members_hold_for_the_keys_that_belong_to_them() {
    let world = open();
    make(&world, "orgs", &json!({ "id": "acme", "limits": { "rpm": 2 } }));
    make(&world, "teams", &json!({ "id": "search", "org": "acme" }));
    make(&world, "users", &json!({ "id": "ada", "org": "acme" }));
    make(&world, "teams", &json!({ "id": "other" }));
    let (id, key) = world.key(&json!({ "team": "search", "user": "ada" }));
    assert_eq!(get(&world, &format!("keys/{id}"))["org"], "acme", "as its team");
    for wish in [
        json!({ "org": "acme", "team": "other" }),
        json!({ "org": "default", "team": "search" }),
        json!({ "team": "search", "user": "nobody" }),
        json!({ "org": "nowhere" }),
    ] {
        let (status, refused) = world.admin("POST", "/admin/v1/keys", &wish);
        assert!(matches!(status, 400 | 422), "{refused}");
    }
    let (status, _) = world.admin("PATCH", &format!("/admin/v1/keys/{id}"), &json!({ "team": "other" }));
    assert_eq!(status, 422, "a key does not leave its organisation by its team");
    make(&world, "members", &json!({ "id": "search/ada", "org": "acme", "limits": { "rpm": 1 } }));
    assert_eq!(send(&world, &key, &[]).status(), 200);
    assert_eq!(code(send(&world, &key, &[])), (429, "requests_limited".to_owned()));
    let (_, colleague) = world.key(&json!({ "team": "search" }));
    assert_eq!(send(&world, &colleague, &[]).status(), 200);
    let refused = read_json(send(&world, &colleague, &[]));
    assert!(refused["error"]["message"].as_str().unwrap().contains("org/acme"), "{refused}");
}

#[test]
fn a_key_may_have_limits_for_single_models_and_for_sessions() {
    let world = open();
    let (_, key) = world.key(&json!({
        "model_limits": { "plain": { "rpm": 1 } },
        "session_limits": { "budget": "0.0004 USD / total" },
    }));
    assert_eq!(send(&world, &key, &[]).status(), 200);
    assert_eq!(code(send(&world, &key, &[])), (429, "requests_limited".to_owned()));
    assert_eq!(world.send(anthropic(&key, &body("claude"))).status(), 200, "another model is free");
    for session in ["a", "b"] {
        let mut refusals = Vec::new();
        for _ in 0..10 {
            world.handles.clock.advance(Duration::from_mins(2));
            let response = send(&world, &key, &[(SESSION, session)]);
            if response.status() != 200 {
                refusals.push(code(response));
            }
        }
        assert!((1..10).contains(&refusals.len()), "{session}: {refusals:?}");
        assert!(refusals.iter().all(|refused| *refused == (402, "budget_spent".to_owned())), "{refusals:?}");
    }
}

#[test]
fn customers_are_made_on_first_sight_from_a_template_and_can_be_blocked() {
    let world = open();
    make(&world, "templates", &json!({ "id": "free-tier", "limits": { "rpm": 1 } }));
    make(&world, "teams", &json!({ "id": "app", "customers": { "template": "free-tier" } }));
    let (_, key) = world.key(&json!({ "team": "app" }));
    // In the words of the dialects, too.
    let mut asked = body("plain");
    asked["user"] = json!("ada");
    assert_eq!(world.send(openai(&key, &asked)).status(), 200);
    let mut asked = body("claude");
    asked["metadata"] = json!({ "user_id": "ada" });
    let response = world.send(anthropic(&key, &asked));
    assert_eq!(response.status(), 429, "the same customer");
    let ada = get(&world, "customers/ada");
    assert_eq!((&ada["template"], &ada["limits"]), (&json!("free-tier"), &json!({ "rpm": 1 })));
    assert_eq!(ada["usage"]["spent"], "0.000037");
    // A later change of the template is for those who come later.
    world.admin("PATCH", "/admin/v1/templates/free-tier", &json!({ "limits": { "rpm": 5 } }));
    assert_eq!(get(&world, "customers/ada")["limits"]["rpm"], 1);
    assert_eq!(send(&world, &key, &[(CUSTOMER, "bob")]).status(), 200);
    assert_eq!(get(&world, "customers/bob")["limits"]["rpm"], 5);
    world.admin("PATCH", "/admin/v1/customers/bob", &json!({ "blocked": true }));
    assert_eq!(code(send(&world, &key, &[(CUSTOMER, "bob")])), (403, "scope_closed".to_owned()));
    world.admin("PATCH", "/admin/v1/customers/bob", &json!({ "blocked": false }));
    assert_eq!(send(&world, &key, &[(CUSTOMER, "bob")]).status(), 200);
    // Only those that are known; or nobody is listened to.
    let (_, known) = world.key(&json!({ "customers": { "allow": "known" } }));
    assert_eq!(send(&world, &known, &[(CUSTOMER, "bob")]).status(), 200);
    assert_eq!(code(send(&world, &known, &[(CUSTOMER, "eve")])), (403, "scope_closed".to_owned()));
    let (_, off) = world.key(&json!({ "customers": { "allow": "off" } }));
    assert_eq!(send(&world, &off, &[(CUSTOMER, "eve")]).status(), 200);
    for bad in ["x".repeat(257), "a\u{0085}b".to_owned()] {
        assert_eq!(send(&world, &known, &[(CUSTOMER, &bad)]).status(), 400);
    }
    let listed = get(&world, "customers");
    assert_eq!(listed["customers"].as_array().unwrap().len(), 2, "{listed}");
}

#[test]
fn what_is_made_from_a_template_has_its_limits() {
    let world = open();
    make(&world, "templates", &json!({ "id": "small", "limits": { "rpm": 3 } }));
    let (id, _) = world.key(&json!({ "template": "small" }));
    assert_eq!(get(&world, &format!("keys/{id}"))["limits"], json!({ "rpm": 3 }));
    assert_eq!(
        make(&world, "teams", &json!({ "id": "t", "template": "small" }))["limits"],
        json!({ "rpm": 3 })
    );
    for wish in [json!({ "template": "none" }), json!({ "template": "small", "limits": {} })] {
        let (status, refused) = world.admin("POST", "/admin/v1/keys", &wish);
        assert_eq!(refused["param"], json!("template"), "{refused}");
        assert!(matches!(status, 400 | 422), "{refused}");
    }
}

#[test]
fn a_key_may_call_what_all_that_it_belongs_to_may_call() {
    let world = open();
    make(&world, "teams", &json!({ "id": "t", "models": ["pl*", "claude"] }));
    let (_, key) = world.key(&json!({ "team": "t", "models": ["plain", "sturdy"] }));
    assert_eq!(send(&world, &key, &[]).status(), 200);
    for model in ["claude", "sturdy"] {
        assert_eq!(
            code(world.send(openai(&key, &body(model)))),
            (403, "model_forbidden".to_owned()),
            "{model}"
        );
    }
}

#[test]
fn a_limit_in_shadow_refuses_nothing_and_is_written_down() {
    let world = open();
    make(
        &world,
        "teams",
        &json!({ "id": "t", "limits": { "rpm": 1, "budget": "0.0001 USD / day", "shadow": true } }),
    );
    let (_, key) = world.key(&json!({ "team": "t" }));
    let said: Vec<String> = (0..3)
        .map(|_| {
            let response = send(&world, &key, &[]);
            assert_eq!(response.status(), 200);
            let said = response.headers().get("x-gatelet-shadow-limit");
            said.map(|said| said.to_str().unwrap().to_owned()).unwrap_or_default()
        })
        .collect();
    assert_eq!(said[0], "team/t: 0.0001 USD / day", "it is too dear for the whole budget");
    assert!(said.iter().all(|said| said.contains("team/t")), "{said:?}");
    assert_eq!(get(&world, "teams/t")["usage"]["spent"], "0.000111");
    let records = world.records();
    let shadowed = records.iter().filter(|record| record["shadowed"].is_array()).count();
    assert_eq!(shadowed, 3);
}

#[test]
fn a_request_may_wait_at_a_limit_until_it_passes() {
    let world = open();
    let (_, key) = world.key(&json!({ "limits": { "rpm": 1, "at_limit": { "wait": 30 } } }));
    assert_eq!(send(&world, &key, &[]).status(), 200);
    // More than thirty seconds away: refused at once.
    assert_eq!(code(send(&world, &key, &[])), (429, "requests_limited".to_owned()));
    world.handles.clock.advance(Duration::from_secs(40));
    let started = world.handles.clock.now();
    let waits = world.gateway.handle(openai(&key, &body("plain")));
    let turns = async {
        for _ in 0..25 {
            yield_now().await;
            world.handles.clock.advance(Duration::from_secs(1));
        }
    };
    let (response, ()) = block_on(join(waits, turns));
    assert_eq!(response.status(), 200);
    assert!(world.handles.clock.now() >= started);
    // Whoever leaves while it waits holds nothing.
    world.handles.clock.advance(Duration::from_secs(40));
    let mut leaves = Box::pin(world.gateway.handle(openai(&key, &body("plain"))));
    let still =
        block_on(poll_fn(|context| std::task::Poll::Ready(leaves.as_mut().poll(context).is_pending())));
    assert!(still, "it waits");
    drop(leaves);
    world.handles.clock.advance(Duration::from_secs(40));
    assert_eq!(send(&world, &key, &[]).status(), 200);
}

#[test]
fn a_throttled_request_waits_the_longer_the_fuller_the_minute_is() {
    const TURN: Duration = Duration::from_millis(100);
    let world = open();
    let (_, key) = world.key(&json!({ "limits": { "rpm": 10, "at_limit": { "throttle": 10 } } }));
    let ask = || {
        let before = world.handles.clock.now();
        let mut request = Box::pin(world.gateway.handle(openai(&key, &body("plain"))));
        let response = block_on(poll_fn(|context| {
            let turn = request.as_mut().poll(context);
            if turn.is_pending() {
                world.handles.clock.advance(TURN);
                context.waker().wake_by_ref();
            }
            turn
        }));
        assert_eq!(response.status(), 200);
        read_json(response);
        world.handles.clock.now().since(before)
    };
    let waited: Vec<Duration> = (0..10).map(|_| ask()).collect();
    // Nobody waits in the first half of the window; after that it grows with the square, up to what the limit says.
    assert!(waited[..5].iter().all(|waited| *waited < 5 * TURN), "{waited:?}");
    for (place, millis) in [(5, 400), (6, 1_600), (7, 3_600), (8, 6_400), (9, 10_000)] {
        let least = Duration::from_millis(millis);
        assert!(waited[place] >= least && waited[place] < least + 5 * TURN, "{place}: {waited:?}");
    }
}

#[test]
fn a_request_may_fall_to_a_cheaper_model() {
    let world = open();
    let limits = json!({ "budget": "0.0004 USD / day", "at_limit": { "cheaper": ["nowhere", "harmless"] } });
    let (id, key) = world.key(&json!({ "limits": limits }));
    let responses: Vec<_> = (0..10).map(|_| send(&world, &key, &[])).collect();
    assert!(responses.iter().all(|response| response.status() == 200));
    let plain = responses.iter().take_while(|r| !r.headers().contains_key("x-gatelet-fell-to")).count();
    assert!((1..10).contains(&plain), "{plain}");
    let response = &responses[plain];
    assert_eq!(response.headers()["x-gatelet-fell-to"], "harmless");
    assert_eq!(response.headers()["x-gatelet-model"], "up-openai/harmless-o");
    assert_eq!(world.usage(&id)["spent"], format!("0.{:06}", 37 * plain));
    let records = world.records();
    let fallen = records.iter().find(|record| record["fell_to"] == "harmless").unwrap();
    assert_eq!(fallen["model"], "plain", "what was asked for");
}

#[test]
fn limits_of_input_and_output_by_the_minute_and_day_hold() {
    for (limit, code_of) in [
        (json!({ "rpd": 1 }), "requests_limited"),
        (json!({ "tpd": 200 }), "tokens_limited"),
        (json!({ "output_tpm": 12 }), "tokens_limited"),
        (json!({ "output_tpd": 12 }), "tokens_limited"),
        (json!({ "input_tpd": 180 }), "tokens_limited"),
    ] {
        let world = open();
        let (_, key) = world.key(&json!({ "limits": limit }));
        let (count, refused) = served(&world, &key, &[]);
        assert!((1..10).contains(&count), "{limit}: {count}");
        let refused = refused.unwrap();
        let retry: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert_eq!(code(refused), (429, code_of.to_owned()), "{limit}");
        world.handles.clock.advance(Duration::from_secs(retry - 1));
        assert_eq!(send(&world, &key, &[]).status(), 429, "{limit}: a second too early");
        world.handles.clock.advance(Duration::from_secs(1));
        assert_eq!(send(&world, &key, &[]).status(), 200, "{limit}: after {retry} seconds");
    }
}

#[test]
fn bad_limits_are_refused_field_by_field() {
    let world = open();
    for (wish, param) in [
        (json!({ "limits": { "at_limit": { "wait": 31 } } }), "limits.at_limit"),
        (json!({ "limits": { "at_limit": { "wait": 0 } } }), "limits.at_limit"),
        (json!({ "limits": { "at_limit": { "cheaper": [] } } }), "limits.at_limit"),
        (json!({ "limits": { "rpd": 1.5 } }), "limits.rpd"),
        (json!({ "limits": { "budget": "NaN USD / day" } }), "limits.budget"),
        (json!({ "limits": { "budget": "-1 USD / day" } }), "limits.budget"),
        (json!({ "limits": { "budget": "1e99 USD / day" } }), "limits.budget"),
        (json!({ "limits": { "budget": "0.12345678901234567890 USD / day" } }), "limits.budget"),
        (json!({ "model_limits": { "": { "rpm": 1 } } }), "model_limits"),
        (json!({ "model_limits": { "a\u{0}": { "rpm": 1 } } }), "model_limits"),
        (json!({ "tags": ["a\nb"] }), "tags"),
        (json!({ "tags": ["1", "2", "3", "4", "5", "6", "7", "8", "9"] }), "tags"),
        (json!({ "customers": { "template": "A" } }), "customers.template"),
        (json!({ "template": "x".repeat(10_000) }), "template"),
    ] {
        let (status, refused) = world.admin("POST", "/admin/v1/keys", &wish);
        assert!(matches!(status, 400 | 422), "{refused}");
        assert!(refused.to_string().len() < 1_000, "what is wrong is not said at length");
        assert!(refused["param"].as_str().unwrap().starts_with(param), "{wish}: {refused}");
    }
    for id in ["x".repeat(10_000), "a\u{7f}".to_owned(), String::new()] {
        let (status, refused) = world.admin("POST", "/admin/v1/customers", &json!({ "id": id }));
        assert_eq!((status, &refused["param"]), (400, &json!("id")), "{refused}");
    }
}
