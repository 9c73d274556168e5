//! Records are found again: by what they say, page by page, one by its id; and judged.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use std::collections::BTreeSet;
use std::time::Duration;

use futures_executor::block_on;
use serde_json::{Value, json};
use world::{World, completion, openai, whole};

fn world() -> World {
    let world = World::new();
    world.handles.upstream.always(|_, _| Ok(whole(200, &completion("hi", 7, 3))));
    // So that nothing is at the beginning of time.
    world.handles.clock.advance(Duration::from_hours(480_000));
    world
}

fn ask(world: &World, key: &str, tag: &'static str) -> String {
    let body =
        json!({ "model": "plain", "max_tokens": 3, "messages": [{ "role": "user", "content": "hello" }] });
    let mut request = openai(key, &body);
    request.headers_mut().insert("x-gatelet-tags", http::HeaderValue::from_static(tag));
    let response = world.send(request);
    let id = response.headers()["x-gatelet-request-id"].to_str().unwrap().to_owned();
    block_on(world.handles.defer.run_all());
    id
}

fn archive(world: &World) {
    block_on(world.handles.defer.run_all());
    block_on(world.gateway.tick()).unwrap();
}

fn found(world: &World, who: &str, query: &str) -> Vec<String> {
    let (mut ids, mut after) = (Vec::new(), String::new());
    for _ in 0..200 {
        let path = format!("/admin/v1/requests?{query}{after}");
        let (status, page) = world.call(who, "GET", &path, &json!({}));
        assert_eq!(status, 200, "{page}");
        let requests = page["requests"].as_array().unwrap();
        ids.extend(requests.iter().map(|record| record["id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return ids,
        }
    }
    panic!("the pages never end");
}

#[test]
fn what_is_looked_for_is_found_newest_first_wherever_it_is() {
    let world = world();
    let (id, key) = world.key(&json!({ "alias": "mine" }));
    let (_, other) = world.key(&json!({}));
    let mut all = Vec::new();
    // Over two days, some of it in the archive, the last in the outbox.
    for round in 0..12 {
        all.push(ask(&world, &key, if round % 3 == 0 { "night" } else { "day" }));
        ask(&world, &other, "other");
        if round < 10 {
            archive(&world);
        }
        world.handles.clock.advance(Duration::from_hours(4));
    }
    let newest: Vec<String> = all.iter().rev().cloned().collect();
    let from = "from=2000-01-01";
    let admin = world::ADMIN;
    assert_eq!(found(&world, admin, &format!("{from}&key={id}")), newest);
    for limit in [1, 3, 7] {
        let paged = found(&world, admin, &format!("{from}&key={id}&limit={limit}"));
        assert_eq!(paged, newest, "{limit} a page");
    }
    let night: Vec<String> = all.iter().step_by(3).rev().cloned().collect();
    assert_eq!(found(&world, admin, &format!("{from}&alias=mine&tags=night")), night);
    assert_eq!(found(&world, admin, &format!("{from}&target=up-openai")).len(), 24, "its provider");
    assert!(found(&world, admin, &format!("{from}&target=up")).is_empty());
}

#[test]
fn one_is_shown_with_its_attempts_from_the_outbox_and_from_the_archive() {
    let world = world();
    let (_, key) = world.key(&json!({}));
    let before: Vec<String> = (0..5).map(|_| ask(&world, &key, "a")).collect();
    archive(&world);
    let waits = ask(&world, &key, "b");
    for id in before.iter().chain([&waits]) {
        let (status, shown) = world.admin("GET", &format!("/admin/v1/requests/{id}"), &json!({}));
        assert_eq!((status, &shown["request"]["id"]), (200, &json!(id)), "{shown}");
        assert_eq!(shown["attempts"].as_array().unwrap().len(), 1, "{shown}");
    }
    let encoded = before[0].replace('_', "%5F");
    assert_eq!(world.admin("GET", &format!("/admin/v1/requests/{encoded}"), &json!({})).0, 200);
    for nobody in ["req_01m7zzzzzzzzzzzzzzzzzzzzzz", "nonsense", "..", &before[0][..20]] {
        let (status, refused) = world.admin("GET", &format!("/admin/v1/requests/{nobody}"), &json!({}));
        assert_eq!(status, 404, "{nobody}: {refused}");
    }
}

#[test]
fn nobody_sees_others_requests() {
    let world = world();
    for (kind, id) in [("orgs", "acme"), ("orgs", "zeta")] {
        world.admin("POST", &format!("/admin/v1/{kind}"), &json!({ "id": id }));
    }
    let (_, mine) = world.key(&json!({ "org": "acme" }));
    let (_, theirs) = world.key(&json!({ "org": "zeta" }));
    let (_, nobodys) = world.key(&json!({}));
    let mine = ask(&world, &mine, "a");
    let others = [ask(&world, &theirs, "a"), ask(&world, &nobodys, "a")];
    let made = |org: &str| world.key(&json!({ "kind": "management", "role": "org_admin", "org": org })).1;
    let admin = made("acme");
    for _ in 0..2 {
        assert_eq!(found(&world, &admin, "from=2000-01-01"), std::slice::from_ref(&mine));
        assert!(found(&world, &admin, "from=2000-01-01&org=zeta").is_empty());
        for other in &others {
            let (status, _) = world.call(&admin, "GET", &format!("/admin/v1/requests/{other}"), &json!({}));
            assert_eq!(status, 404);
            let score = json!({ "name": "n", "value": 1 });
            let path = format!("/admin/v1/requests/{other}/scores");
            assert_eq!(world.call(&admin, "POST", &path, &score).0, 404);
        }
        // Who names no organisation is of the usual one.
        assert_eq!(found(&world, world::ADMIN, "from=2000-01-01&org=default"), others[1..]);
        archive(&world);
    }
}

#[test]
fn scores_are_joined_to_the_request_and_come_into_the_archive() {
    let world = world();
    let (_, key) = world.key(&json!({}));
    let id = ask(&world, &key, "a");
    let path = format!("/admin/v1/requests/{id}/scores");
    for (name, value) in [("helpful", json!(0.75)), ("kind", json!(true)), ("mood", json!("grateful"))] {
        let (status, score) =
            world.admin("POST", &path, &json!({ "name": name, "value": value, "comment": "said so" }));
        assert_eq!((status, &score["value"]), (201, &value), "{score}");
    }
    for (bad, param) in [
        (json!({ "name": "", "value": 1 }), "name"),
        (json!({ "name": "n", "value": [1] }), "value"),
        (json!({ "name": "n", "value": "x".repeat(201) }), "value"),
        (json!({ "name": "n", "value": 1, "comment": "x".repeat(2_001) }), "comment"),
        (json!({ "name": "n", "value": 1, "more": 1 }), "more"),
    ] {
        let (status, refused) = world.admin("POST", &path, &bad);
        assert!([400, 422].contains(&status), "{bad}: {refused}");
        assert_eq!(refused["param"], param, "{refused}");
    }
    let (_, shown) = world.admin("GET", &format!("/admin/v1/requests/{id}"), &json!({}));
    let names: Vec<&Value> = shown["scores"].as_array().unwrap().iter().map(|score| &score["name"]).collect();
    assert_eq!(names, ["helpful", "kind", "mood"]);
    archive(&world);
    let records = world.records();
    let scored = records.iter().filter(|record| record["kind"] == "score" && record["id"] == id.as_str());
    let names: BTreeSet<&str> = scored.map(|score| score["name"].as_str().unwrap()).collect();
    assert_eq!(names, BTreeSet::from(["helpful", "kind", "mood"]));
}
