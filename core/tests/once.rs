//! `Idempotency-Key`: a call that is sent again is done once.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_executor::block_on;
use futures_util::future::join_all;
use gatelet_core::port::memory::OverStore;
use gatelet_core::port::{Body, Fault, FaultKind, Ports, Store};
use http::{Request, Response};
use serde_json::{Value, json};
use world::{ADMIN, World, read_json};

fn request(key: &str, name: &str, path: &str, body: &Value) -> Request<Body> {
    Request::builder()
        .method("POST")
        .uri(format!("http://gate/admin/v1/{path}"))
        .header("authorization", format!("Bearer {key}"))
        .header("idempotency-key", name)
        .body(Body::from(body.to_string().into_bytes()))
        .unwrap()
}

fn post(world: &World, name: &str, path: &str, body: &Value) -> (u16, bool, Value) {
    told(world.send(request(ADMIN, name, path, body)))
}

fn told(response: Response<Body>) -> (u16, bool, Value) {
    let replayed = response.headers().contains_key("idempotency-replayed");
    (response.status().as_u16(), replayed, read_json(response))
}

fn keys(world: &World) -> usize {
    world.admin("GET", "/admin/v1/keys?limit=1000", &json!({})).1["keys"].as_array().unwrap().len()
}

#[test]
fn a_call_that_is_sent_again_has_the_same_answer_secret_and_all() {
    let world = World::new();
    let wish = json!({ "alias": "once", "aws": true });
    let first = world.send(request(ADMIN, "a", "keys", &wish));
    let tag = first.headers()["etag"].clone();
    let (status, replayed, made) = told(first);
    assert_eq!((status, replayed), (201, false), "{made}");
    for _ in 0..3 {
        let again = world.send(request(ADMIN, "a", "keys", &wish));
        assert_eq!(
            (again.headers()["etag"].clone(), again.headers()["content-type"].as_bytes()),
            (tag.clone(), &b"application/json"[..])
        );
        assert_eq!(told(again), (201, true, made.clone()));
    }
    assert_eq!(keys(&world), 1);
    let secret = made["key"].as_str().unwrap();
    assert_eq!(world.call(secret, "GET", "/v1/models", &json!({})).0, 200);
    // Whatever became of the key since then.
    world.admin(
        "PATCH",
        &format!("/admin/v1/keys/{}", made["id"].as_str().unwrap()),
        &json!({ "alias": "other" }),
    );
    assert_eq!(post(&world, "a", "keys", &wish), (201, true, made));
    // Other names, and none, are other calls.
    assert_ne!(post(&world, "b", "keys", &wish).2["id"], post(&world, "c", "keys", &wish).2["id"]);
    assert_eq!(world.admin("POST", "/admin/v1/keys", &wish).0, 201);
    assert_eq!(keys(&world), 4);
}

#[test]
fn every_post_may_be_sent_again() {
    let world = World::new();
    let (id, _) = world.key(&json!({}));
    for (path, body) in [
        ("teams", json!({ "id": "t" })),
        ("keys/bulk", json!({ "items": [{ "create": {} }, { "create": { "alias": 7 } }] })),
        (&*format!("keys/{id}/rotate"), json!({ "grace": "1h" })),
        (&*format!("keys/{id}/aws"), json!({})),
        (&*format!("keys/{id}/block"), json!({})),
        ("tick", json!({})),
    ] {
        let (status, replayed, first) = post(&world, path.split('/').next_back().unwrap(), path, &body);
        assert!(status < 300 && !replayed, "{path}: {first}");
        assert_eq!(post(&world, path.split('/').next_back().unwrap(), path, &body), (status, true, first));
    }
}

#[test]
fn another_call_under_the_same_name_is_refused() {
    let world = World::new();
    assert_eq!(post(&world, "a", "keys", &json!({ "alias": "one" })).0, 201);
    for (path, body) in [
        ("keys", json!({ "alias": "two" })),
        ("teams", json!({ "alias": "one" })),
        ("keys?shard=main", json!({ "alias": "one" })),
    ] {
        let (status, _, refused) = post(&world, "a", path, &body);
        assert_eq!((status, &refused["code"]), (422, &json!("idempotency_key_reused")), "{refused}");
    }
    assert_eq!(keys(&world), 1);
    for name in ["", "\u{e9}", &"x".repeat(256), &"x".repeat(10_000)] {
        let (status, _, refused) = post(&world, name, "keys", &json!({}));
        assert_eq!((status, &refused["param"]), (400, &json!("idempotency-key")), "{refused}");
    }
}

#[test]
fn names_are_each_callers_own() {
    let world = World::new();
    let admin = json!({ "kind": "management", "role": "gateway_admin" });
    let (id, one) = world.key(&admin);
    let (_, other) = world.key(&admin);
    let ids: Vec<Value> = [ADMIN, &one, &other]
        .into_iter()
        .map(|key| told(world.send(request(key, "a", "keys", &json!({})))).2["id"].clone())
        .collect();
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2], "{ids:?}");
    // Another token of the same key does not open what was sealed by the one before.
    let (_, rotated) = world.admin("POST", &format!("/admin/v1/keys/{id}/rotate"), &json!({ "grace": "1h" }));
    let (status, _, refused) =
        told(world.send(request(rotated["key"].as_str().unwrap(), "a", "keys", &json!({}))));
    assert_eq!((status, &refused["code"]), (422, &json!("idempotency_key_reused")), "{refused}");
    assert_eq!(told(world.send(request(&one, "a", "keys", &json!({})))).2["id"], ids[1]);
    // Whoever may not do it any more is not shown it either.
    world.admin("DELETE", &format!("/admin/v1/keys/{id}"), &json!({}));
    assert_eq!(told(world.send(request(&one, "a", "keys", &json!({})))).0, 401);
}

#[test]
fn what_was_refused_may_be_tried_again_under_its_name() {
    let world = World::new();
    let wish = json!({ "team": "t" });
    assert_eq!(post(&world, "a", "keys", &wish).0, 422);
    world.admin("POST", "/admin/v1/teams", &json!({ "id": "t" }));
    assert_eq!(post(&world, "a", "keys", &wish).0, 201);
    assert_eq!(post(&world, "b", "keys", &json!({ "alias": 7 })).0, 400);
    assert_eq!(post(&world, "b", "keys", &json!({ "alias": "seven" })).0, 201);
}

#[test]
fn an_answer_is_forgotten_after_a_day_and_so_is_what_kept_it() {
    let world = World::new();
    let first = post(&world, "a", "keys", &json!({}));
    world.handles.clock.advance(Duration::from_secs(86_399));
    assert_eq!(post(&world, "a", "keys", &json!({})).2["id"], first.2["id"]);
    world.handles.clock.advance(Duration::from_secs(2));
    let (status, replayed, other) = post(&world, "a", "keys", &json!({}));
    assert_eq!((status, replayed), (201, false));
    assert_ne!(other["id"], first.2["id"]);
    world.handles.clock.advance(Duration::from_hours(72));
    let shard = gatelet_core::domain::ShardId::main();
    let left = || block_on(world.gateway.ports().ledger.list(&shard, "once/", None, 10)).unwrap();
    assert_eq!(left().len(), 1);
    for _ in 0..400 {
        block_on(world.gateway.tick()).unwrap();
    }
    assert!(left().iter().all(|(_, account)| account.is_blank()), "{:?}", left());
}

/// A store that remembers all that it was ever given to keep, and may be told to fail.
struct Watched {
    store: Arc<dyn Store>,
    seen: Arc<std::sync::Mutex<Vec<u8>>>,
    down: Arc<AtomicBool>,
}

#[async_trait]
impl OverStore for Watched {
    fn under(&self) -> &dyn Store {
        &*self.store
    }
    async fn turn(&self, call: &'static str, bytes: &[u8]) -> Result<(), Fault> {
        // A seed is kept; the answer is not.
        if call == "keep" && self.down.load(Ordering::Relaxed) && bytes.len() > 300 {
            return Err(Fault::new(FaultKind::Unavailable, "store.keep", "down"));
        }
        self.seen.lock().unwrap().extend_from_slice(bytes);
        Ok(())
    }
}

type Seen = Arc<std::sync::Mutex<Vec<u8>>>;

fn watched() -> (World, Seen, Arc<AtomicBool>) {
    let (seen, down) = (Seen::default(), Arc::new(AtomicBool::default()));
    let (inner, switch) = (seen.clone(), down.clone());
    let world = World::with(|ports| Ports {
        store: Arc::new(Watched { store: ports.store.clone(), seen: inner, down: switch }),
        ..ports
    });
    (world, seen, down)
}

#[test]
fn nothing_that_is_kept_shows_a_secret() {
    let (world, seen, _) = watched();
    let (_, _, made) = post(&world, "name-of-a-call", "keys", &json!({ "alias": "seen-alias", "aws": true }));
    let kept = String::from_utf8_lossy(&seen.lock().unwrap()).into_owned();
    assert!(!kept.is_empty());
    let secret = made["key"].as_str().unwrap();
    for text in [
        secret,
        &secret[secret.len() - 39..],
        made["aws"]["secret_access_key"].as_str().unwrap(),
        "seen-alias",
        "name-of-a-call",
        ADMIN,
    ] {
        assert!(!kept.contains(text), "{text}");
    }
}

#[test]
fn a_call_whose_answer_was_lost_is_the_same_call_when_it_is_sent_again() {
    let (world, _, down) = watched();
    let (id, _) = world.key(&json!({}));
    down.store(true, Ordering::Relaxed);
    let bulk = json!({ "items": [{ "create": { "alias": "x" } }, { "create": { "alias": "y" } }] });
    for (name, path, wish) in [
        ("a", "keys", json!({ "alias": "once", "aws": true })),
        ("b", "teams", json!({ "id": "t" })),
        ("c", "keys/bulk", bulk),
        ("d", &*format!("keys/{id}/rotate"), json!({ "grace": "1h" })),
    ] {
        let (status, _, first) = post(&world, name, path, &wish);
        assert!(status < 300, "{first}");
        world.handles.clock.advance(Duration::from_mins(1));
        let (again, replayed, second) = post(&world, name, path, &wish);
        assert_eq!((again, replayed), (status, false), "{second}");
        for field in ["id", "key", "created", "version", "aws", "items", "grace_ends"] {
            assert_eq!(first[field], second[field], "{path}: {field}");
        }
    }
    assert_eq!(keys(&world), 4);
    down.store(false, Ordering::Relaxed);
    let (_, replayed, made) = post(&world, "a", "keys", &json!({ "alias": "once", "aws": true }));
    assert!(!replayed);
    assert_eq!(post(&world, "a", "keys", &json!({ "alias": "once", "aws": true })), (201, true, made));
}

#[test]
fn of_many_that_come_at_once_one_is_done() {
    let world = World::new();
    let wish = json!({ "alias": "once" });
    let all = (0..50).map(|_| world.gateway.handle(request(ADMIN, "a", "keys", &wish)));
    let answers: Vec<(u16, bool, Value)> = block_on(join_all(all)).into_iter().map(told).collect();
    let made: Vec<&Value> =
        answers.iter().filter(|answer| answer.0 == 201).map(|answer| &answer.2["key"]).collect();
    assert!(!made.is_empty() && made.iter().all(|key| *key == made[0]), "{answers:?}");
    assert!(answers.iter().all(|answer| answer.0 == 201 || answer.2["code"] == "idempotency_key_busy"));
    assert_eq!(keys(&world), 1);
}

#[test]
fn a_long_answer_is_kept_in_pieces() {
    let world = World::new();
    let models: Vec<String> = (0..1_000).map(|place| format!("{place}{}", "m".repeat(250))).collect();
    let wish = json!({ "models": models, "limits": {} });
    let bulk = json!({ "models": models, "limits": {}, "metadata": { "more": "x".repeat(16_000) } });
    for wish in [wish, bulk] {
        let name = format!("long-{}", wish.to_string().len());
        let first = post(&world, &name, "keys", &wish);
        assert_eq!((first.0, first.1), (201, false));
        let again = post(&world, &name, "keys", &wish);
        assert_eq!((again.1, again.2), (true, first.2));
    }
}

/// A store that is down altogether.
struct Down(Arc<dyn Store>);

#[async_trait]
impl OverStore for Down {
    fn under(&self) -> &dyn Store {
        &*self.0
    }
    async fn turn(&self, _: &'static str, _: &[u8]) -> Result<(), Fault> {
        Err(Fault::new(FaultKind::Unavailable, "store", "down"))
    }
}

/// What is known of a key lies where its money is, so a store of documents that is down takes no key with it, and brings none
/// back.
#[test]
fn a_key_goes_on_without_the_store_of_documents_and_dies_at_once_all_the_same() {
    let world = World::with(|ports| Ports { store: Arc::new(Down(ports.store.clone())), ..ports });
    world.handles.upstream.always(|_, _| Ok(world::whole(200, &world::completion("hi", 7, 3))));
    let question =
        json!({ "model": "plain", "max_tokens": 9, "messages": [{ "role": "user", "content": "hello" }] });
    let (id, key) = world.key(&json!({ "limits": { "budget": "1 USD / day" } }));
    let (own, agent) = world.key(&json!({ "kind": "management", "role": "agent" }));
    let record = |id: &str| world.call(&agent, "GET", &format!("/admin/v1/keys/{id}"), &json!({})).0;
    for _ in 0..3 {
        assert_eq!(world.send(world::openai(&key, &question)).status(), 200);
        assert_eq!((record(&own), record(&id)), (200, 404));
        world.handles.clock.advance(Duration::from_mins(1));
    }
    assert_eq!(world.usage(&id)["spent"], "0.000111");
    assert_eq!(world.admin("DELETE", &format!("/admin/v1/keys/{id}"), &json!({})).0, 200);
    assert_eq!(world.send(world::openai(&key, &question)).status(), 401);
    assert_eq!(world.admin("DELETE", &format!("/admin/v1/keys/{own}"), &json!({})).0, 200);
    assert_eq!(record(&own), 401);
    // What cannot be done once is not done.
    let (status, _, refused) = post(&world, "a", "keys", &json!({}));
    assert_eq!((status, &refused["code"]), (503, &json!("gateway_unavailable")));
    assert_eq!(keys(&world), 2);
}
