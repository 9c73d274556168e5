//! What bounds a key beside its models and limits: routes, addresses, and how long a token of it lives.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use std::net::IpAddr;
use std::time::Duration;

use gatelet_core::port::{Body, Peer};
use http::Request;
use serde_json::{Value, json};
use world::{World, completion, openai, read_json, whole};

fn question() -> Value {
    json!({ "model": "plain", "max_tokens": 9, "messages": [{ "role": "user", "content": "hello" }] })
}

fn asked(world: &World, request: Request<Body>) -> (u16, String) {
    world.handles.upstream.push_response(whole(200, &completion("hi", 1, 1)));
    let response = world.send(request);
    let status = response.status().as_u16();
    (status, read_json(response)["error"]["code"].as_str().unwrap_or_default().to_owned())
}

fn from(mut request: Request<Body>, peer: &str, forwarded: &[&str]) -> Request<Body> {
    request.extensions_mut().insert(Peer(peer.parse::<IpAddr>().unwrap()));
    for line in forwarded {
        request.headers_mut().append("x-forwarded-for", line.parse().unwrap());
    }
    request
}

#[test]
fn a_key_opens_the_routes_that_it_names_and_no_others() {
    let world = World::new();
    let (id, key) = world.key(&json!({ "routes": ["embedding", "models"] }));
    assert_eq!(asked(&world, openai(&key, &question())), (403, "route_forbidden".to_owned()));
    assert_eq!(world.call(&key, "GET", "/v1/models", &json!({})).0, 200);
    let (status, _) = world.admin("PATCH", &format!("/admin/v1/keys/{id}"), &json!({ "routes": ["chat"] }));
    assert_eq!(status, 200);
    assert_eq!(asked(&world, openai(&key, &question())).0, 200);
    assert_eq!(world.call(&key, "GET", "/v1/models", &json!({})).0, 403);
    let (status, _) = world.admin("PATCH", &format!("/admin/v1/keys/{id}"), &json!({ "routes": [] }));
    assert_eq!(status, 200);
    assert_eq!(asked(&world, openai(&key, &question())).1, "route_forbidden");
}

#[test]
fn a_key_is_used_from_its_addresses_alone() {
    let world = World::new();
    let (id, key) = world.key(&json!({ "sources": ["192.0.2.0/24", "2001:db8::/32"] }));
    let ask =
        |peer: &str, forwarded: &[&str]| asked(&world, from(openai(&key, &question()), peer, forwarded));
    for good in ["192.0.2.200", "2001:db8::7", "::ffff:192.0.2.1"] {
        assert_eq!(ask(good, &[]).0, 200, "{good}");
    }
    for bad in ["203.0.113.1", "2001:db9::7", "127.0.0.1"] {
        assert_eq!(ask(bad, &[]), (403, "source_forbidden".to_owned()), "{bad}");
    }
    // What anybody can write means nothing.
    assert_eq!(ask("203.0.113.1", &["192.0.2.1"]).0, 403);
    assert_eq!(asked(&world, openai(&key, &question())).0, 403, "nobody knows from where");
    // It was refused by what the cache had; what is true now is read anew.
    let (status, _) =
        world.admin("PATCH", &format!("/admin/v1/keys/{id}"), &json!({ "sources": ["203.0.113.1"] }));
    assert_eq!(status, 200);
    assert_eq!(ask("203.0.113.1", &[]).0, 200);
    // And what was let in a moment ago is refused, although the cache lets it in.
    assert_eq!(ask("192.0.2.200", &[]).0, 403);
    let (status, _) =
        world.admin("PATCH", &format!("/admin/v1/keys/{id}"), &json!({ "sources": ["192.0.2.9"] }));
    assert_eq!(status, 200);
    assert_eq!(ask("203.0.113.1", &[]).0, 403);
}

#[test]
fn behind_a_proxy_that_is_trusted_the_nearest_address_before_it_counts() {
    let config = r#"
trusted_proxies: [10.0.0.0/8]
providers: { up: { dialect: openai, base: "http://127.0.0.1:1/v1", key: s } }
models: { plain: { targets: [ { model: up/m, price: { input: "1", output: "10", per: 1M }, max_output: 1000 } ], retries: 0 } }
"#;
    let world = World::of(config);
    let (_, key) = world.key(&json!({ "sources": ["192.0.2.1"] }));
    let ask =
        |peer: &str, forwarded: &[&str]| asked(&world, from(openai(&key, &question()), peer, forwarded)).0;
    assert_eq!(ask("10.0.0.1", &["192.0.2.1"]), 200);
    assert_eq!(ask("10.0.0.1", &["192.0.2.1, 10.0.0.2"]), 200);
    assert_eq!(ask("10.0.0.1", &["192.0.2.1", "10.0.0.2"]), 200);
    assert_eq!(ask("10.0.0.1", &["203.0.113.1, 192.0.2.1"]), 200);
    // Whoever is nearest wrote what stands before it.
    assert_eq!(ask("10.0.0.1", &["192.0.2.1, 203.0.113.1"]), 403);
    assert_eq!(ask("10.0.0.1", &["192.0.2.1", "203.0.113.1"]), 403);
    assert_eq!(ask("203.0.113.1", &["192.0.2.1"]), 403);
    assert_eq!(ask("10.0.0.1", &["192.0.2.1, what, 10.0.0.2"]), 403);
    assert_eq!(ask("10.0.0.1", &[]), 403);
}

#[test]
fn a_key_that_manages_is_bound_to_its_addresses_too() {
    let world = World::new();
    let wish = json!({ "kind": "management", "role": "gateway_admin", "sources": ["192.0.2.1"] });
    let (_, key) = world.key(&wish);
    let list = |peer: &str| {
        let request = Request::builder()
            .uri("http://gate/admin/v1/keys")
            .header("authorization", format!("Bearer {key}"))
            .body(Body::Empty);
        world.send(from(request.unwrap(), peer, &[])).status().as_u16()
    };
    assert_eq!((list("192.0.2.1"), list("192.0.2.2")), (200, 403));
}

#[test]
fn a_rotated_key_keeps_its_account_and_its_old_token_for_as_long_as_is_said() {
    let world = World::new();
    let (id, first) = world.key(&json!({ "alias": "mine" }));
    assert_eq!(asked(&world, openai(&first, &question())).0, 200);
    let rotate = |body: &Value| {
        let (status, view) = world.admin("POST", &format!("/admin/v1/keys/{id}/rotate"), body);
        assert_eq!(status, 200, "{view}");
        assert_eq!((&view["id"], &view["alias"]), (&json!(id), &json!("mine")));
        view["key"].as_str().unwrap().to_owned()
    };
    let second = rotate(&json!({ "grace": "1h" }));
    assert_ne!(first, second);
    for key in [&first, &second] {
        assert_eq!(asked(&world, openai(key, &question())).0, 200);
    }
    assert_eq!(world.usage(&id)["spent"], "0.000033", "one account for all");
    // Two tokens at most: the first one is gone with the third.
    let third = rotate(&json!({ "grace": "1h" }));
    assert_eq!(asked(&world, openai(&first, &question())), (401, "key_unknown".to_owned()));
    assert_eq!(asked(&world, openai(&second, &question())).0, 200);
    world.handles.clock.advance(Duration::from_secs(3_601));
    assert_eq!(asked(&world, openai(&second, &question())), (401, "key_unknown".to_owned()));
    assert_eq!(asked(&world, openai(&third, &question())).0, 200);
    // Without grace the old one dies at once.
    let fourth = rotate(&json!({}));
    assert_eq!(asked(&world, openai(&third, &question())).0, 401);
    assert_eq!(asked(&world, openai(&fourth, &question())).0, 200);
    let (_, shown) = world.admin("GET", &format!("/admin/v1/keys/{id}"), &json!({}));
    assert!(shown["key"].is_null() && shown["grace_ends"].is_null(), "{shown}");
    for (body, param) in [
        (json!({ "grace": "31d" }), "grace"),
        (json!({ "grace": 5 }), "grace"),
        (json!({ "grase": "1h" }), "grase"),
    ] {
        let (status, refused) = world.admin("POST", &format!("/admin/v1/keys/{id}/rotate"), &body);
        assert!(matches!(status, 400 | 422), "{refused}");
        assert_eq!(refused["param"].as_str(), Some(param), "{refused}");
    }
    world.admin("DELETE", &format!("/admin/v1/keys/{id}"), &json!({}));
    assert_eq!(world.admin("POST", &format!("/admin/v1/keys/{id}/rotate"), &json!({})).0, 422);
}

#[test]
fn a_token_that_is_used_for_too_long_is_due() {
    let world = World::new();
    let (id, _) = world.key(&json!({ "rotate_every": "90d" }));
    let path = format!("/admin/v1/keys/{id}");
    let due = || world.admin("GET", &path, &json!({})).1["rotation_due"].clone();
    let first = due();
    assert!(first.is_string());
    world.handles.clock.advance(Duration::from_mins(1));
    let (status, _) = world.admin("POST", &format!("{path}/rotate"), &json!({}));
    assert_eq!(status, 200);
    assert_ne!(due(), first);
    assert_eq!(world.admin("PATCH", &path, &json!({ "rotate_every": null })).1["rotation_due"], Value::Null);
}

#[test]
fn rights_are_judged_one_by_one() {
    let world = World::new();
    for (wish, param) in [
        (json!({ "routes": ["chta"] }), "routes"),
        (json!({ "routes": "chat" }), "routes"),
        (json!({ "sources": ["10.0.0.1/8"] }), "sources"),
        (json!({ "sources": ["example.com"] }), "sources"),
        (json!({ "sources": vec!["10.0.0.1"; 65] }), "sources"),
        (json!({ "rotate_every": "often" }), "rotate_every"),
        (json!({ "rotate_every": 90 }), "rotate_every"),
        (json!({ "blocked": true }), "blocked"),
        (json!({ "kind": "inference", "aws": "yes" }), "aws"),
    ] {
        let (status, refused) = world.admin("POST", "/admin/v1/keys", &wish);
        assert!(matches!(status, 400 | 422), "{wish}: {refused}");
        assert_eq!(refused["param"].as_str(), Some(param), "{wish}: {refused}");
    }
}
