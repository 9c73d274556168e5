//! Teams, projects and users: what a key belongs to pays and refuses with it.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use serde_json::{Value, json};
use world::{World, completion, openai, read_json, whole};

const KINDS: [(&str, &str); 3] = [("team", "teams"), ("project", "projects"), ("user", "users")];

/// A request that may cost 107 micro-dollars at most and costs 37: 7 tokens at 1 USD a million, 3 of 10 at 10.
fn ask(world: &World, key: &str) -> (u16, Value) {
    world.handles.upstream.push_response(whole(200, &completion("hi", 7, 3)));
    let body =
        json!({ "model": "plain", "max_tokens": 10, "messages": [{ "role": "user", "content": "hello" }] });
    let response = world.send(openai(key, &body));
    let status = response.status().as_u16();
    (status, read_json(response))
}

fn make(world: &World, plural: &str, wish: &Value) -> Value {
    let (status, made) = world.admin("POST", &format!("/admin/v1/{plural}"), wish);
    assert_eq!(status, 201, "{made}");
    made
}

fn spent(world: &World, path: &str) -> String {
    let (status, view) = world.admin("GET", &format!("/admin/v1/{path}"), &json!({}));
    assert_eq!(status, 200, "{view}");
    assert_eq!(view["usage"]["open"], 0, "{view}");
    view["usage"]["spent"].as_str().unwrap().to_owned()
}

#[test]
fn a_request_is_charged_to_all_that_its_key_belongs_to_and_to_nobody_else() {
    let world = World::new();
    for (_, plural) in KINDS {
        make(&world, plural, &json!({ "id": "mine" }));
        make(&world, plural, &json!({ "id": "other" }));
    }
    let (id, key) = world.key(&json!({ "team": "mine", "project": "mine", "user": "mine" }));
    let (sibling, _) = world.key(&json!({ "team": "mine" }));
    assert_eq!(ask(&world, &key).0, 200);
    assert_eq!(spent(&world, &format!("keys/{id}")), "0.000037");
    assert_eq!(spent(&world, &format!("keys/{sibling}")), "0");
    for (_, plural) in KINDS {
        assert_eq!(spent(&world, &format!("{plural}/mine")), "0.000037");
        assert_eq!(spent(&world, &format!("{plural}/other")), "0");
    }
    let records = world.records();
    let request = records.iter().find(|record| record["kind"] == "request").unwrap();
    for (kind, _) in KINDS {
        assert_eq!(request[kind], "mine");
    }
}

#[test]
fn the_limit_of_each_scope_holds_for_all_its_keys_together_and_is_named() {
    for (kind, plural) in KINDS {
        let world = World::new();
        make(&world, plural, &json!({ "id": "small", "limits": { "budget": ["0.0004 USD / day"] } }));
        let (_, one) = world.key(&json!({ kind: "small" }));
        let (_, two) = world.key(&json!({ kind: "small", "limits": { "budget": ["5 USD / day"] } }));
        let answers: Vec<_> =
            (0..10).map(|turn| ask(&world, if turn % 2 == 0 { &one } else { &two })).collect();
        let served = answers.iter().take_while(|(status, _)| *status == 200).count();
        assert!((3..10).contains(&served), "{served}");
        let (status, body) = &answers[served];
        assert_eq!(*status, 402, "{body}");
        assert_eq!(body["error"]["code"], "budget_spent");
        assert_eq!(
            spent(&world, &format!("{plural}/small")),
            format!("{:.6}", 0.000_037 * f64::from(u8::try_from(served).unwrap()))
        );
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains(&format!("{kind}/small")), "{message}");
        let (_, free) = world.key(&json!({}));
        assert_eq!(ask(&world, &free).0, 200);
    }
}

#[test]
fn a_budget_of_a_scope_bounds_what_its_keys_may_ask_for() {
    let world = World::new();
    make(&world, "teams", &json!({ "id": "careful", "limits": { "budget": ["0.005 USD / day"] } }));
    let (_, key) = world.key(&json!({ "team": "careful" }));
    let unpriced = json!({ "model": "unpriced", "messages": [{ "role": "user", "content": "hello" }] });
    let response = world.send(openai(&key, &unpriced));
    assert_eq!(read_json(response)["error"]["code"], "model_unpriced");
    world.handles.upstream.push_response(whole(200, &completion("hi", 7, 3)));
    let uncapped = json!({ "model": "plain", "messages": [{ "role": "user", "content": "hello" }] });
    let response = world.send(openai(&key, &uncapped));
    let cap: u64 = response.headers()["x-gatelet-output-cap"].to_str().unwrap().parse().unwrap();
    // 0.005 USD buy at most 500 tokens at 10 USD a million.
    assert!((1..500).contains(&cap), "{cap}");
}

#[test]
fn a_change_of_a_scope_holds_from_the_next_request_on() {
    let world = World::new();
    make(&world, "teams", &json!({ "id": "t" }));
    let (id, key) = world.key(&json!({ "team": "t" }));
    let change = |patch: &Value| {
        let (status, changed) = world.admin("PATCH", "/admin/v1/teams/t", patch);
        assert_eq!(status, 200, "{changed}");
    };
    assert_eq!(ask(&world, &key).0, 200);
    change(&json!({ "blocked": true }));
    let (status, body) = ask(&world, &key);
    assert_eq!((status, &body["error"]["code"]), (403, &json!("scope_closed")), "{body}");
    change(&json!({ "blocked": false, "limits": { "rpm": 1 } }));
    assert_eq!(ask(&world, &key).0, 200);
    let (status, body) = ask(&world, &key);
    assert_eq!((status, &body["error"]["code"]), (429, &json!("requests_limited")), "{body}");
    // A key that leaves is free of it at once.
    let (status, view) = world.admin("PATCH", &format!("/admin/v1/keys/{id}"), &json!({ "team": null }));
    assert_eq!((status, &view["team"]), (200, &Value::Null), "{view}");
    assert_eq!(ask(&world, &key).0, 200);
}

#[test]
fn what_is_deleted_opens_nothing_and_takes_nobody_in() {
    let world = World::new();
    make(&world, "projects", &json!({ "id": "gone" }));
    let (_, key) = world.key(&json!({ "project": "gone" }));
    assert_eq!(ask(&world, &key).0, 200);
    let (status, refused) = world.admin("DELETE", "/admin/v1/projects/gone", &json!({}));
    assert_eq!((status, &refused["code"]), (409, &json!("in_use")), "{refused}");
    assert_eq!(ask(&world, &key).0, 200);
    let (status, deleted) = world.admin("DELETE", "/admin/v1/projects/gone?cascade=true", &json!({}));
    assert_eq!((status, &deleted["state"]), (200, &json!("deleted")));
    assert_eq!(deleted["usage"]["spent"], "0.000074", "its books stay");
    let (status, body) = ask(&world, &key);
    assert_eq!((status, &body["error"]["code"]), (401, &json!("key_revoked")));
    let (status, _) = world.admin("PATCH", "/admin/v1/projects/gone", &json!({ "blocked": false }));
    assert_eq!(status, 422);
    let (status, _) = world.admin("POST", "/admin/v1/projects", &json!({ "id": "gone" }));
    assert_eq!(status, 409);
    for unknown in ["gone", "never", "../keys", ""] {
        let (status, refused) = world.admin("POST", "/admin/v1/keys", &json!({ "project": unknown }));
        assert_eq!((status, &refused["param"]), (422, &json!("project")), "{refused}");
    }
}

#[test]
fn a_scopes_fields_are_judged_one_by_one() {
    let world = World::new();
    for (wish, param) in [
        (json!({}), "body"),
        (json!({ "id": "" }), "id"),
        (json!({ "id": "A" }), "id"),
        (json!({ "id": "a/b" }), "id"),
        (json!({ "id": "a".repeat(65) }), "id"),
        (json!({ "id": "a\u{0}" }), "id"),
        (json!({ "id": 7 }), "id"),
        (json!({ "id": "a", "name": "" }), "name"),
        (json!({ "id": "a", "name": "x".repeat(10_000) }), "name"),
        (json!({ "id": "a", "metadata": { "m": "x".repeat(20_000) } }), "metadata"),
        (json!({ "id": "a", "limits": { "rpm": -1 } }), "limits.rpm"),
        (json!({ "id": "a", "limits": { "budget": ["1e99 USD"] } }), "limits.budget[0]"),
        (json!({ "id": "a", "limit": {} }), "limit"),
    ] {
        let (status, refused) = world.admin("POST", "/admin/v1/projects", &wish);
        assert!(matches!(status, 400 | 422), "{wish}: {refused}");
        assert_eq!(refused["param"].as_str(), Some(param), "{wish}: {refused}");
    }
    let (status, _) = world.admin("GET", "/admin/v1/projects/nobody", &json!({}));
    assert_eq!(status, 404);
    let (status, _) = world.admin("PUT", "/admin/v1/projects", &json!({}));
    assert_eq!(status, 405);
}
