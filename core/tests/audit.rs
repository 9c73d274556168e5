//! What admins do is written down in a chain, with each change or not at all.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use futures_executor::block_on;
use gatelet_core::record::audit::{BEFORE_THE_FIRST, PAGE, hash};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use world::{ADMIN, World, read};

/// The whole chain, line by line as it is hashed; it is followed on the way.
fn chain(world: &World) -> Vec<Value> {
    #[derive(serde::Deserialize)]
    struct Page<'a> {
        head: Value,
        #[serde(borrow)]
        entries: Vec<&'a RawValue>,
        next: Option<u64>,
    }
    block_on(world.gateway.tick()).unwrap();
    let (mut entries, mut prev, mut after) = (Vec::<Value>::new(), BEFORE_THE_FIRST.to_owned(), 0);
    loop {
        let request = http::Request::get(format!("http://gate/admin/v1/audit?after={after}&limit=70"))
            .header("authorization", format!("Bearer {ADMIN}"))
            .body(gatelet_core::port::Body::Empty)
            .unwrap();
        let bytes = read(world.send(request));
        let page: Page<'_> = serde_json::from_slice(&bytes).unwrap();
        for line in page.entries {
            let entry: Value = serde_json::from_str(line.get()).unwrap();
            assert_eq!(entry["seq"], entries.len() + 1);
            assert_eq!(entry["prev"], prev);
            assert!(line.get().len() < 2_700, "{line}");
            prev = hash(line.get());
            entries.push(entry);
        }
        let Some(next) = page.next else {
            assert_eq!(page.head, json!({ "seq": entries.len(), "hash": prev }));
            return entries;
        };
        after = next;
    }
}

#[test]
fn each_change_says_who_did_what_to_what_as_it_was_and_as_it_is() {
    let world = World::new();
    assert_eq!(world.admin("POST", "/admin/v1/teams", &json!({ "id": "t", "name": "old" })).0, 201);
    assert_eq!(world.admin("PATCH", "/admin/v1/teams/t", &json!({ "name": "new" })).0, 200);
    // What changes nothing is no change.
    assert_eq!(world.admin("PATCH", "/admin/v1/teams/t", &json!({ "name": "new" })).0, 200);
    assert_eq!(world.admin("DELETE", "/admin/v1/teams/t", &json!({})).0, 200);
    let entries = chain(&world);
    let said: Vec<_> = entries
        .iter()
        .map(|entry| (entry["verb"].as_str().unwrap(), entry["version"].as_u64().unwrap()))
        .collect();
    assert_eq!(said, [("create", 1), ("change", 2), ("delete", 3)]);
    assert_eq!(entries[0]["actor"], "root");
    assert_eq!(entries[0]["of"], "team/t");
    assert_eq!(entries[0]["before"], json!({}));
    assert_eq!(entries[0]["after"]["name"], "old");
    assert_eq!(
        (&entries[1]["before"], &entries[1]["after"]),
        (&json!({ "name": "old" }), &json!({ "name": "new" }))
    );
    assert_eq!(entries[2]["after"]["state"], "deleted");
    assert!(entries[1]["at"].as_str().unwrap().starts_with("2026-01-01T"));
}

#[test]
fn the_chain_goes_on_over_pages_and_is_in_the_archive() {
    let world = World::new();
    let all = 2 * PAGE + 17;
    for number in 0..all {
        assert_eq!(world.admin("POST", "/admin/v1/users", &json!({ "id": format!("u{number}") })).0, 201);
        if number % 30 == 0 {
            block_on(world.gateway.tick()).unwrap();
        }
    }
    let entries = chain(&world);
    assert_eq!(entries.len(), all);
    let archive = &world.gateway.ports().archive;
    let names = block_on(archive.list("audit/v1/main/", None, 1_000)).unwrap();
    let mut archived = Vec::new();
    for name in names {
        use std::io::Read as _;
        let packed = block_on(archive.read(&name)).unwrap().unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
        archived.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
    }
    assert_eq!(archived, entries);
}

#[test]
fn no_secret_is_in_an_entry() {
    let world = World::new();
    let (_, made) = world.admin(
        "POST",
        "/admin/v1/keys",
        &json!({ "aws": true, "metadata": { "long": "x".repeat(9_000) } }),
    );
    let secrets = [made["key"].as_str().unwrap(), made["aws"]["secret_access_key"].as_str().unwrap()];
    let path = format!("/admin/v1/keys/{}/aws", made["id"].as_str().unwrap());
    let (_, pair) = world.admin("POST", &path, &json!({}));
    let entries = chain(&world);
    let text = format!("{entries:?}");
    for secret in secrets.into_iter().chain(pair["aws"]["secret_access_key"].as_str()) {
        assert!(!text.contains(secret), "{text}");
    }
    // It is seen that there is another one.
    let hashes = ["before", "after"].map(|name| entries[1][name]["signing"]["sha256"].as_str().unwrap());
    assert_ne!(hashes[0], hashes[1]);
    assert_eq!(entries[0]["after"]["metadata"]["bytes"], 9_011);
}

#[test]
fn what_is_refused_for_want_of_a_permission_is_written_down_within_bounds() {
    let world = World::new();
    assert_eq!(world.admin("POST", "/admin/v1/teams", &json!({ "id": "t" })).0, 201);
    let (id, auditor) = world.key(&json!({ "kind": "management", "role": "auditor" }));
    assert_eq!(world.call(&auditor, "DELETE", "/admin/v1/teams/t", &json!({})).0, 403);
    for _ in 0..50 {
        assert_eq!(world.call("nobody", "GET", "/admin/v1/keys", &json!({})).0, 401);
    }
    world.handles.clock.advance(std::time::Duration::from_secs(61));
    assert_eq!(world.call("nobody", "GET", "/admin/v1/keys", &json!({})).0, 401);
    let entries = chain(&world);
    let refused: Vec<&Value> = entries.iter().filter(|entry| entry["verb"] == "refused").collect();
    assert_eq!(refused[0]["actor"], format!("key/main/{id}"));
    assert_eq!(refused[0]["of"], "DELETE /admin/v1/teams/t");
    assert_eq!(refused[0]["why"], "permission_denied");
    let strangers: Vec<&Value> = refused.iter().copied().filter(|entry| entry["actor"].is_null()).collect();
    assert_eq!(strangers.len(), 7);
    assert_eq!(strangers[6]["left_out"], 44);
    // Who reads it all changes nothing by that.
    let before = entries.len();
    assert_eq!(world.call(&auditor, "GET", "/admin/v1/audit", &json!({})).0, 200);
    assert_eq!(chain(&world).len(), before);
}

#[test]
fn a_change_that_was_not_made_says_so() {
    let world = World::new();
    assert_eq!(world.admin("POST", "/admin/v1/teams", &json!({ "id": "t" })).0, 201);
    world.handles.clock.advance(std::time::Duration::from_millis(1));
    assert_eq!(world.admin("POST", "/admin/v1/teams", &json!({ "id": "t" })).0, 409);
    let entries = chain(&world);
    assert_eq!(entries.len(), 3, "{entries:?}");
    assert_eq!(entries[2]["not_made"], entries[1]["id"]);
}

#[test]
fn an_entry_says_from_where_it_came() {
    use gatelet_core::port::{Body, Peer};
    let world = World::of("trusted_proxies: [10.0.0.0/8]\n");
    let make = |id: &str, forwarded: Option<&str>, peer: &str| {
        let mut request = http::Request::post("http://gate/admin/v1/teams")
            .header("authorization", format!("Bearer {ADMIN}"))
            .extension(Peer(peer.parse().unwrap()));
        if let Some(forwarded) = forwarded {
            request = request.header("x-forwarded-for", forwarded);
        }
        let request = request.body(Body::from(json!({ "id": id }).to_string().into_bytes()));
        assert_eq!(world.send(request.unwrap()).status(), 201);
    };
    make("direct", None, "203.0.113.7");
    make("proxied", Some("203.0.113.9, 198.51.100.4"), "10.1.2.3");
    // Whoever is no proxy may write what he likes.
    make("lied", Some("198.51.100.4"), "203.0.113.7");
    assert_eq!(world.admin("POST", "/admin/v1/teams", &json!({ "id": "unknown" })).0, 201);
    let entries = chain(&world);
    let from: Vec<&Value> = entries.iter().map(|entry| &entry["from"]).collect();
    assert_eq!(from, [&json!("203.0.113.7"), &json!("198.51.100.4"), &json!("203.0.113.7"), &Value::Null]);
}

#[test]
fn old_entries_are_in_the_archive_alone() {
    use gatelet_core::domain::ShardId;
    use gatelet_core::domain::account::Op;
    use gatelet_core::port::{Entry, Transaction};
    use gatelet_core::record::audit::KEPT;
    let world = World::new();
    let (ports, shard) = (world.gateway.ports(), ShardId::main());
    let all = PAGE * usize::try_from(KEPT + 3).unwrap() - 50;
    let entry = |number: usize| Entry {
        id: format!("{number:016}-aud_{number:024}").into(),
        line: format!("{{\"kind\":\"audit\",\"id\":\"aud_{number:024}\"}}").into(),
        settle: None,
    };
    for begin in (0..all).step_by(500) {
        let entries = (begin..all.min(begin + 500)).map(entry).collect();
        let work = Transaction::new(Vec::new(), Op::Sweep, entries);
        block_on(ports.ledger.transact(&shard, work, ports.clock.now())).unwrap();
        block_on(world.gateway.tick()).unwrap();
    }
    let (_, page) = world.admin("GET", "/admin/v1/audit?after=0&limit=3", &json!({}));
    let oldest = 3 * PAGE + 1;
    assert_eq!(page["oldest"], oldest, "{page}");
    assert_eq!((&page["entries"][0]["seq"], &page["next"]), (&json!(oldest), &json!(oldest + 2)));
    assert_eq!(page["head"]["seq"], all);
    let names = block_on(ports.store.list("books/audit/main/", None, 1_000)).unwrap().names;
    assert_eq!(names.len(), usize::try_from(KEPT).unwrap() + 1, "the pages and the head");
    // The archive has all of them, each in its place.
    let (mut seen, mut after) = (std::collections::BTreeMap::new(), None);
    loop {
        let names = block_on(ports.archive.list("audit/v1/main/", after.as_deref(), 500)).unwrap();
        for name in &names {
            use std::io::Read as _;
            let packed = block_on(ports.archive.read(name)).unwrap().unwrap();
            let mut text = String::new();
            flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
            for line in text.lines() {
                let entry: Value = serde_json::from_str(line).unwrap();
                seen.insert(entry["seq"].as_u64().unwrap(), line.to_owned());
            }
        }
        match names.last() {
            Some(last) if names.len() == 500 => after = Some(last.clone()),
            _ => break,
        }
    }
    let mut prev = BEFORE_THE_FIRST.to_owned();
    for (line, seq) in seen.values().zip(1..) {
        let entry: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&entry["seq"], &entry["prev"]), (&json!(seq), &json!(prev)));
        prev = hash(line);
    }
    assert_eq!((seen.len(), &page["head"]["hash"]), (all, &json!(prev)));
}
