//! Credentials over the API: sealed, used for whom they are, and seen by nobody.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_executor::block_on;
use serde_json::{Value, json};
use world::{World, completion, openai, whole};

fn key(byte: u8) -> String {
    STANDARD.encode([byte; 32])
}

fn world() -> World {
    let world = World::sealed(&key(1));
    for team in ["search", "ads"] {
        assert_eq!(world.admin("POST", "/admin/v1/teams", &json!({ "id": team })).0, 201);
    }
    world
}

fn give(world: &World, wish: &Value) -> Value {
    let (status, made) = world.admin("POST", "/admin/v1/credentials", wish);
    assert_eq!(status, 201, "{made}");
    made
}

/// What a request of this key shows to its provider.
fn shown(world: &World, key: &str) -> String {
    world.handles.upstream.push_response(whole(200, &completion("hi", 7, 3)));
    let body =
        json!({ "model": "plain", "max_tokens": 3, "messages": [{ "role": "user", "content": "hello" }] });
    assert_eq!(world.send(openai(key, &body)).status(), 200);
    let asked = world.handles.upstream.asked();
    asked.last().unwrap().headers["authorization"].to_str().unwrap().to_owned()
}

fn later(world: &World) {
    world.handles.clock.advance(Duration::from_secs(11));
}

#[test]
fn a_teams_own_credential_is_used_before_everybodys_and_that_before_the_configurations() {
    let world = world();
    let (_, searcher) = world.key(&json!({ "team": "search" }));
    let (_, seller) = world.key(&json!({ "team": "ads" }));
    assert_eq!(shown(&world, &searcher), "Bearer secret-o");
    let own = give(
        &world,
        &json!({ "id": "own", "provider": "up-openai", "team": "search", "secret": "of-search-0123456789" }),
    );
    assert_eq!((&own["of"], &own["hint"]), (&json!("team/search"), &json!("6789")));
    assert_eq!(shown(&world, &searcher), "Bearer of-search-0123456789");
    assert_eq!(shown(&world, &seller), "Bearer secret-o");
    give(&world, &json!({ "id": "all", "provider": "up-openai", "secret": "of-all" }));
    assert_eq!(shown(&world, &searcher), "Bearer of-search-0123456789");
    assert_eq!(shown(&world, &seller), "Bearer of-all");
    assert_eq!(world.admin("POST", "/admin/v1/orgs", &json!({ "id": "acme" })).0, 201);
    give(&world, &json!({ "id": "org", "provider": "up-openai", "org": "acme", "secret": "of-acme" }));
    let (_, member) = world.key(&json!({ "org": "acme" }));
    assert_eq!(shown(&world, &member), "Bearer of-acme");
    assert_eq!(world.admin("POST", "/admin/v1/teams", &json!({ "id": "lab", "org": "acme" })).0, 201);
    let (_, both) = world.key(&json!({ "team": "lab" }));
    assert_eq!(shown(&world, &both), "Bearer of-acme");
    give(&world, &json!({ "id": "lab", "provider": "up-openai", "team": "lab", "secret": "of-lab" }));
    assert_eq!(shown(&world, &both), "Bearer of-lab");
    let (status, changed) = world.admin("PUT", "/admin/v1/credentials/own", &json!({ "secret": "newer" }));
    assert_eq!((status, &changed["version"], &changed["hint"]), (200, &json!(2), &json!("")));
    assert_eq!(shown(&world, &searcher), "Bearer newer");
    assert_eq!(world.admin("DELETE", "/admin/v1/credentials/own", &json!({})).0, 200);
    assert_eq!(shown(&world, &searcher), "Bearer of-all");
    assert_eq!(world.admin("DELETE", "/admin/v1/credentials/own", &json!({})).0, 404);
}

#[test]
fn a_teams_wrong_credential_puts_its_target_out_for_nobody_else() {
    let world = world();
    let (_, searcher) = world.key(&json!({ "team": "search" }));
    let (_, seller) = world.key(&json!({ "team": "ads" }));
    give(&world, &json!({ "id": "own", "provider": "up-openai", "team": "search", "secret": "wrong" }));
    let body =
        json!({ "model": "plain", "max_tokens": 3, "messages": [{ "role": "user", "content": "hello" }] });
    for _ in 0..3 {
        let error = json!({ "error": { "message": "wrong key", "type": "authentication_error" } });
        world.handles.upstream.push_response(whole(401, &error));
        world.send(openai(&searcher, &body));
    }
    shown(&world, &seller);
    let (_, page) = world.admin("GET", "/admin/v1/targets", &json!({}));
    let standing = |name: &str| {
        let listed = page["targets"].as_array().unwrap();
        listed.iter().find(|target| target["target"] == name).map(|target| target["standing"].clone())
    };
    assert_eq!(standing("up-openai/model-o"), Some(json!("in")), "{page}");
    assert_eq!(standing("up-openai/model-o by main/team/search"), Some(json!("out")), "{page}");
}

#[test]
fn the_sealing_key_is_changed_without_a_pause() {
    let world = world();
    let (_, caller) = world.key(&json!({ "team": "search" }));
    give(&world, &json!({ "id": "own", "provider": "up-openai", "team": "search", "secret": "kept" }));
    let both = world.again(&format!("{},{}", key(2), key(1)));
    assert_eq!(shown(&both, &caller), "Bearer kept");
    let (status, done) = both.admin("POST", "/admin/v1/reseal", &json!({}));
    assert_eq!((status, &done["resealed"]), (200, &json!(1)), "{done}");
    assert_eq!(both.admin("POST", "/admin/v1/reseal", &json!({})).1["resealed"], 0);
    let newer = world.again(&key(2));
    assert_eq!(shown(&newer, &caller), "Bearer kept");
    // Whoever has lost the key is not charged with another's credential.
    let lost = world.again(&key(3));
    let body =
        json!({ "model": "plain", "max_tokens": 3, "messages": [{ "role": "user", "content": "hello" }] });
    assert_eq!(lost.send(openai(&caller, &body)).status(), 500);
    let none = World::new();
    let (status, refused) = none.admin(
        "POST",
        "/admin/v1/credentials",
        &json!({ "id": "a", "provider": "up-openai", "secret": "x" }),
    );
    assert_eq!(status, 422, "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("GATELET_SEALING_KEY"), "{refused}");
}

#[test]
fn another_process_uses_a_changed_credential_within_ten_seconds() {
    let world = world();
    let other = world.again(&key(1));
    let (_, caller) = world.key(&json!({ "team": "search" }));
    give(&world, &json!({ "id": "own", "provider": "up-openai", "team": "search", "secret": "one" }));
    assert_eq!(shown(&other, &caller), "Bearer one");
    assert_eq!(world.admin("PUT", "/admin/v1/credentials/own", &json!({ "secret": "two" })).0, 200);
    later(&world);
    assert_eq!(shown(&other, &caller), "Bearer two");
}

#[test]
fn fifty_secrets_are_seen_nowhere_but_at_their_providers() {
    let world = world();
    let mut said = String::new();
    let mut secrets = Vec::new();
    for number in 0..50 {
        let team = format!("t{number}");
        assert_eq!(world.admin("POST", "/admin/v1/teams", &json!({ "id": team })).0, 201);
        let secret = format!("planted-{:016x}", 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(number + 1));
        let provider = ["up-openai", "up-anthropic", "mistral"][usize::try_from(number % 3).unwrap()];
        let wish =
            json!({ "id": format!("c{number}"), "provider": provider, "team": team, "secret": secret });
        said += &give(&world, &wish).to_string();
        said += &world.admin("POST", "/admin/v1/credentials", &wish).1.to_string();
        let mut wrong = wish.clone();
        wrong["colour"] = json!("red");
        said += &world.admin("POST", "/admin/v1/credentials", &wrong).1.to_string();
        said += &world.admin("GET", &format!("/admin/v1/credentials/c{number}"), &json!({})).1.to_string();
        let (_, caller) = world.key(&json!({ "team": team }));
        if provider == "up-openai" {
            assert_eq!(shown(&world, &caller), format!("Bearer {secret}"));
            // One that fails, too.
            world
                .handles
                .upstream
                .push_response(whole(401, &json!({ "error": { "message": "no", "type": "x" } })));
            let body = json!({ "model": "plain", "max_tokens": 3, "messages": [{ "role": "user", "content": "hello" }] });
            said += &String::from_utf8(world::read(world.send(openai(&caller, &body)))).unwrap();
        }
        secrets.push(secret);
    }
    said += &world.admin("GET", "/admin/v1/credentials", &json!({})).1.to_string();
    said += &world.records().iter().map(Value::to_string).collect::<String>();
    said += &world.admin("GET", "/admin/v1/audit?limit=1000", &json!({})).1.to_string();
    said += &world.handles.log.lines().concat();
    said.extend([format!("{:?}", world.gateway)]);
    let store = &world.gateway.ports().store;
    for name in block_on(store.list("", None, 10_000)).unwrap().names {
        said += &String::from_utf8_lossy(&block_on(store.get(&name)).unwrap().unwrap().bytes);
    }
    assert!(said.contains("credential/c49") && said.contains("\"ciphertext\""));
    for secret in &secrets {
        assert!(!said.contains(secret.as_str()), "{secret} is seen");
        let inside = secret.strip_prefix("planted-").unwrap();
        assert!(!said.contains(inside) && !said.contains(&STANDARD.encode(secret)), "{secret} is seen");
    }
}

#[test]
fn credentials_are_judged_and_belong_to_admins() {
    let world = world();
    for (wish, param) in [
        (json!({ "id": "A", "provider": "up-openai", "secret": "x" }), "id"),
        (json!({ "id": "a", "provider": "nobody", "secret": "x" }), "provider"),
        (json!({ "id": "a", "provider": "up-openai", "secret": "" }), "secret"),
        (json!({ "id": "a", "provider": "up-openai", "secret": "two words\n" }), "secret"),
        (json!({ "id": "a", "provider": "gratis", "secret": "x" }), "secret"),
        (json!({ "id": "a", "provider": "up-openai", "secret": "x", "team": "/" }), "team"),
        (json!({ "id": "a", "provider": "up-openai", "secret": "x", "team": "a", "org": "b" }), "org"),
        (json!({ "id": "a", "provider": "up-openai" }), "body"),
    ] {
        let (status, refused) = world.admin("POST", "/admin/v1/credentials", &wish);
        // Of the wrong form, or not what fits.
        let expected = if ["id", "body"].contains(&param) { 400 } else { 422 };
        assert_eq!((status, refused["param"].as_str()), (expected, Some(param)), "{wish}: {refused}");
    }
    let (_, auditor) = world.key(&json!({ "kind": "management", "role": "auditor" }));
    assert_eq!(world.call(&auditor, "GET", "/admin/v1/credentials", &json!({})).0, 200);
    assert_eq!(world.call(&auditor, "POST", "/admin/v1/reseal", &json!({})).0, 403);
    let (_, leader) = world.key(&json!({ "kind": "management", "role": "team_admin", "team": "ads" }));
    assert_eq!(world.call(&leader, "GET", "/admin/v1/credentials", &json!({})).0, 403);
}
