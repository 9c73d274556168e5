//! What is in the archive leaves it when its time is over or somebody asks for it; what is on hold stays.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use std::time::Duration;

use futures_executor::block_on;
use serde_json::{Value, json};
use world::{PLAIN, World, openai};

const DAY: Duration = Duration::from_hours(24);

fn world(config: &str) -> World {
    World::plain(&format!("content: full\n{config}"), "hi", 200)
}

/// Asks as one of the key's customers; the request's id.
fn ask(world: &World, key: &str, customer: &'static str) -> String {
    let body =
        json!({ "model": "plain", "max_tokens": 3, "messages": [{ "role": "user", "content": customer }] });
    let mut request = openai(key, &body);
    request.headers_mut().insert("x-gatelet-customer", http::HeaderValue::from_static(customer));
    let response = world.send(request);
    assert_eq!(response.status(), 200);
    let id = response.headers()["x-gatelet-request-id"].to_str().unwrap().to_owned();
    block_on(world.handles.defer.run_all());
    id
}

fn later(world: &World, time: Duration) {
    world.handles.clock.advance(time);
    for _ in 0..4 {
        world.handles.clock.advance(Duration::from_secs(40));
        block_on(world.gateway.tick()).unwrap();
    }
}

/// Whether the record is there, and its content.
fn shown(world: &World, id: &str) -> (bool, bool) {
    let (status, shown) = world.admin("GET", &format!("/admin/v1/requests/{id}"), &json!({}));
    (status == 200, shown["content"].is_object())
}

fn names(world: &World, prefix: &str) -> usize {
    let (_, page) = world.admin("GET", &format!("/admin/v1/archive?prefix={prefix}"), &json!({}));
    page["names"].as_array().unwrap().len()
}

#[test]
fn content_leaves_before_its_record_and_both_when_their_time_is_over() {
    let world = world("retention: { records: 20d, content: 5d }");
    let (_, key) = world.key(&json!({}));
    let first = ask(&world, &key, "ann");
    later(&world, DAY);
    let second = ask(&world, &key, "ann");
    later(&world, 4 * DAY + Duration::from_hours(2));
    assert_eq!((shown(&world, &first), shown(&world, &second)), ((true, false), (true, true)));
    later(&world, 15 * DAY);
    assert_eq!((shown(&world, &first), shown(&world, &second)), ((false, false), (true, false)));
    later(&world, 2 * DAY);
    assert_eq!((names(&world, "v1/"), names(&world, "content/")), (0, 0));
    let (_, report) = world.admin("GET", "/admin/v1/spend?from=2024-01-01", &json!({}));
    assert_eq!(report["total"]["requests"], 2, "sums stay: {report}");
}

#[test]
fn what_is_on_hold_stays_until_it_is_not() {
    let world = world("retention: { records: 7d, hold: [customer/ann] }");
    let (_, key) = world.key(&json!({}));
    let (held, other) = (ask(&world, &key, "ann"), ask(&world, &key, "bob"));
    later(&world, 9 * DAY);
    assert_eq!((shown(&world, &held), shown(&world, &other)), ((true, true), (false, false)));
    let (status, _) = world.admin("POST", "/admin/v1/erasures", &json!({ "of": "customer/ann" }));
    assert_eq!(status, 422);
    let host = gatelet_core::policy::Host {
        variable: &|_| None,
        ollama: false,
        registry: gatelet_core::registry::Registry::full(),
    };
    let config = format!("{PLAIN}content: full\nretention: {{ records: 7d }}");
    world.gateway.replace_policy(gatelet_core::policy::Policy::read("gatelet.yaml", &config, &host).unwrap());
    later(&world, DAY);
    assert_eq!(shown(&world, &held), (false, false));
}

#[test]
fn one_customers_content_is_deleted_on_request_wherever_it_is() {
    let world = world("");
    let (_, key) = world.key(&json!({}));
    let old = ask(&world, &key, "ann");
    later(&world, 3 * DAY);
    let (mine, other) = (ask(&world, &key, "ann"), ask(&world, &key, "bob"));
    later(&world, Duration::from_hours(1));
    // Not in the archive yet.
    let waiting = ask(&world, &key, "ann");
    assert_eq!(shown(&world, &waiting), (true, true));
    let (status, asked) = world.admin("POST", "/admin/v1/erasures", &json!({ "of": "customer/ann" }));
    assert_eq!((status, &asked["done"]), (202, &json!(false)), "{asked}");
    let after = ask(&world, &key, "ann");
    later(&world, Duration::from_secs(90));
    later(&world, Duration::from_secs(90));
    for id in [&old, &mine, &waiting] {
        assert_eq!(shown(&world, id), (true, false), "{id}");
    }
    for id in [&other, &after] {
        assert_eq!(shown(&world, id), (true, true), "{id}");
    }
    let (_, all) = world.admin("GET", "/admin/v1/erasures", &json!({}));
    assert_eq!(all["erasures"][0]["done"], true, "{all}");
    assert_eq!(all["erasures"][0]["of"], "customer/ann");
    let (status, problem): (u16, Value) = world.admin("POST", "/admin/v1/erasures", &json!({ "of": "ann" }));
    assert_eq!(status, 422, "{problem}");
}
