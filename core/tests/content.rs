//! Prompts and answers are kept where the configuration says so, and come to those who may read them.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_executor::block_on;
use gatelet_core::domain::ShardId;
use gatelet_core::policy::{Host, Policy};
use gatelet_core::port::memory::OverLedger;
use gatelet_core::port::{Fault, FaultKind, Ledger, Ports};
use gatelet_core::record::audit::{BEFORE_THE_FIRST, PAGE, hash};
use gatelet_core::registry::Registry;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use world::{ADMIN, PLAIN, World, completion, completion_chunks, ok, openai, read, sse, whole};

const ASKED: &str = "Write to ann@example.org about Zephyr";

fn world(config: &str) -> World {
    World::plain(config, "Dear ann@example.org", 200)
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

/// The chain of content, line by line as it is hashed; it is followed on the way.
fn chain(world: &World) -> Vec<Value> {
    #[derive(serde::Deserialize)]
    struct Page<'a> {
        #[serde(borrow)]
        entries: Vec<&'a RawValue>,
        next: Option<u64>,
    }
    let (mut entries, mut prev, mut after) = (Vec::<Value>::new(), BEFORE_THE_FIRST.to_owned(), 0);
    loop {
        let request = http::Request::get(format!("http://gate/admin/v1/audit?of=content&after={after}"))
            .header("authorization", format!("Bearer {ADMIN}"))
            .body(gatelet_core::port::Body::Empty)
            .unwrap();
        let bytes = read(world.send(request));
        let page: Page<'_> = serde_json::from_slice(&bytes).unwrap();
        for line in page.entries {
            let entry: Value = serde_json::from_str(line.get()).unwrap();
            assert_eq!((&entry["seq"], &entry["prev"]), (&json!(entries.len() + 1), &json!(prev)));
            prev = hash(line.get());
            entries.push(entry);
        }
        match page.next {
            Some(next) => after = next,
            None => return entries,
        }
    }
}

#[test]
fn each_content_has_its_place_in_a_chain_by_its_hash_and_its_trace() {
    let world = world("content: { of: { org/default: masked, key/none: none } }");
    let (_, key) = world.key(&json!({}));
    let mut asked: Vec<String> = (0..3).map(|_| ask(&world, &key)).collect();
    tick(&world);
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let mut request = openai(&key, &body(false));
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    request.headers_mut().insert("traceparent", parent.parse().unwrap());
    asked.push(world.send(request).headers()["x-gatelet-request-id"].to_str().unwrap().to_owned());
    let (_, none) = world.key(&json!({ "alias": "none" }));
    ask(&world, &none);
    for _ in 0..3 {
        tick(&world);
    }
    let entries = chain(&world);
    let ids: Vec<&str> = entries.iter().map(|entry| entry["id"].as_str().unwrap()).collect();
    assert_eq!(ids, asked);
    assert_eq!(entries[3]["trace_id"], trace);
    let mut lines = Vec::new();
    let archive = &world.gateway.ports().archive;
    for name in block_on(archive.list("content/v1/", None, 1_000)).unwrap() {
        use std::io::Read as _;
        let packed = block_on(archive.read(&name)).unwrap().unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
        lines.extend(text.lines().map(str::to_owned));
    }
    let kept: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert_eq!(kept.len(), entries.len());
    for (entry, line) in entries.iter().zip(kept) {
        assert_eq!(entry["sha256"], hash(line));
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&entry["id"], &entry["trace_id"]), (&line["id"], &line["trace_id"]));
    }
    let said = serde_json::to_string(&entries).unwrap();
    assert!(!said.contains("Zephyr") && !said.contains("Dear"), "{said}");
    let (_, admins) = world.admin("GET", "/admin/v1/audit?of=admin", &json!({}));
    assert!(admins["entries"].as_array().unwrap().iter().all(|entry| entry["kind"] == "audit"), "{admins}");
    assert_eq!(world.admin("GET", "/admin/v1/audit?of=others", &json!({})).0, 400);
}

/// Nothing leaves its outbox while `dead`, as if the process died before that.
struct Dying(Arc<dyn Ledger>, Arc<AtomicBool>);

#[async_trait]
impl OverLedger for Dying {
    fn under(&self) -> &dyn Ledger {
        &*self.0
    }
    async fn clear(&self, shard: &ShardId, entries: &[String]) -> Result<(), Fault> {
        if self.1.load(Ordering::Relaxed) {
            return Err(Fault::new(FaultKind::Unavailable, "ledger.clear", "dead"));
        }
        self.0.clear(shard, entries).await
    }
}

#[test]
fn a_drain_that_dies_after_the_chain_was_written_is_done_again_without_second_entries() {
    let dead = Arc::new(AtomicBool::new(false));
    let world = World::made(&format!("{PLAIN}content: full"), |ports| Ports {
        ledger: Arc::new(Dying(ports.ledger.clone(), dead.clone())),
        ..ports
    });
    world.handles.upstream.always(|_, _| Ok(whole(200, &completion("Dear all", 7, 3))));
    world.handles.clock.advance(Duration::from_hours(480_000));
    let (_, key) = world.key(&json!({}));
    // What stands before them, so that a batch begins in the middle of a page and ends two pages later.
    let mut asked: Vec<String> = (0..PAGE / 2).map(|_| ask(&world, &key)).collect();
    tick(&world);
    asked.extend((0..PAGE * 3 / 2).map(|_| ask(&world, &key)));
    dead.store(true, Ordering::Relaxed);
    block_on(world.handles.defer.run_all());
    assert!(block_on(world.gateway.tick()).is_err());
    assert_eq!(chain(&world).len(), asked.len());
    dead.store(false, Ordering::Relaxed);
    asked.push(ask(&world, &key));
    tick(&world);
    let entries = chain(&world);
    let ids: Vec<&str> = entries.iter().map(|entry| entry["id"].as_str().unwrap()).collect();
    assert_eq!(ids, asked);
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
            Policy::read("gatelet.yaml", &format!("{PLAIN}{wrong}"), &host).unwrap_err().to_string();
        assert!(problems.contains(what), "{wrong}: {problems}");
    }
}
