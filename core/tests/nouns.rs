//! Many nouns in one call, lists of some of them, and what becomes of what belongs to one that is deleted.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use serde_json::{Value, json};
use world::World;

fn made(world: &World, path: &str, wish: &Value) -> Value {
    let (status, made) = world.admin("POST", &format!("/admin/v1/{path}"), wish);
    assert_eq!(status, 201, "{wish}: {made}");
    made
}

/// The ids of a whole list, page by page.
fn listed(world: &World, key: &str, noun: &str, query: &str) -> Vec<String> {
    let (mut ids, mut after) = (Vec::new(), String::new());
    for _ in 0..100 {
        let (status, page) = world.call(key, "GET", &format!("/admin/v1/{noun}?{query}{after}"), &json!({}));
        assert_eq!(status, 200, "{page}");
        ids.extend(page[noun].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return ids,
        }
    }
    panic!("a list without an end");
}

#[test]
fn items_of_a_bulk_are_done_each_by_itself() {
    let world = World::new();
    let old = made(&world, "keys", &json!({ "alias": "old" }));
    let other = made(&world, "keys", &json!({ "alias": "other" }));
    let bulk = json!({ "items": [
        { "create": { "alias": "new", "limits": { "rpm": 5 } } },
        { "create": { "alias": 7 } },
        { "update": { "id": old["id"], "version": 1, "set": { "alias": "newer" } } },
        { "update": { "id": old["id"], "version": 1, "set": { "alias": "too late" } } },
        { "update": { "id": "nobody000000", "set": {} } },
        { "delete": { "id": other["id"] } },
        { "create": { "team": "nowhere" } },
    ] });
    let (status, done) = world.admin("POST", "/admin/v1/keys/bulk", &bulk);
    assert_eq!((status, &done["refused"]), (200, &json!(4)), "{done}");
    let items = done["items"].as_array().unwrap();
    let statuses: Vec<u64> = items.iter().map(|item| item["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [201, 400, 200, 409, 404, 200, 422], "{done}");
    assert_eq!(items[1]["problem"]["param"], "alias");
    assert_eq!(items[3]["problem"]["current_version"], 2);
    assert_eq!(items[6]["problem"]["param"], "team");
    // What is made works, with the secret that was shown.
    let secret = items[0]["key"].as_str().unwrap();
    assert_eq!(world.call(secret, "GET", "/v1/models", &json!({})).0, 200);
    assert_eq!(world.call(other["key"].as_str().unwrap(), "GET", "/v1/models", &json!({})).0, 401);
    let path = format!("/admin/v1/keys/{}", old["id"].as_str().unwrap());
    assert_eq!(world.admin("GET", &path, &json!({})).1["alias"], "newer");

    let teams = json!({ "items": [
        { "create": { "id": "a" } }, { "create": { "id": "a", "name": "other" } }, { "create": {} },
        { "update": { "id": "a", "set": { "blocked": true } } }, { "delete": { "id": "a" } },
    ] });
    let (_, done) = world.admin("POST", "/admin/v1/teams/bulk", &teams);
    let statuses: Vec<u64> =
        done["items"].as_array().unwrap().iter().map(|item| item["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [201, 409, 400, 200, 200], "{done}");
}

#[test]
fn a_bulk_is_bounded_and_its_form_is_judged() {
    let world = World::new();
    let many = |count: usize| json!({ "items": vec![json!({ "create": {} }); count] });
    assert_eq!(world.admin("POST", "/admin/v1/keys/bulk", &many(100)).1["refused"], 0);
    for (bulk, param) in [
        (many(0), "items"),
        (many(101), "items"),
        (json!({}), "body"),
        (json!({ "items": 7 }), "items"),
        (json!({ "items": [{}] }), "items[0]"),
        (json!({ "items": [{ "crate": {} }] }), "items[0].crate"),
        (json!({ "items": [{ "create": {}, "delete": { "id": "a" } }] }), "items[0]"),
        (json!({ "items": [{ "delete": { "id": "a", "vresion": 1 } }] }), "items[0].delete.vresion"),
        (json!({ "items": [{ "update": { "id": "a" } }] }), "items[0].update"),
        (
            json!({ "items": [{ "update": { "id": "a", "version": -1, "set": {} } }] }),
            "items[0].update.version",
        ),
        (json!({ "item": [] }), "item"),
    ] {
        let (status, refused) = world.admin("POST", "/admin/v1/keys/bulk", &bulk);
        assert_eq!((status, refused["param"].as_str()), (400, Some(param)), "{bulk}: {refused}");
    }
    assert_eq!(listed(&world, world::ADMIN, "keys", "limit=33").len(), 100);
}

#[test]
fn a_bulk_gives_nobody_more_rights_than_single_calls() {
    let world = World::new();
    for team in ["mine", "theirs"] {
        made(&world, "teams", &json!({ "id": team }));
    }
    let admin = made(&world, "keys", &json!({ "kind": "management", "role": "team_admin", "team": "mine" }));
    let admin = admin["key"].as_str().unwrap();
    let mine = made(&world, "keys", &json!({ "team": "mine" }));
    let theirs = made(&world, "keys", &json!({ "team": "theirs" }));
    let above =
        made(&world, "keys", &json!({ "kind": "management", "role": "gateway_admin", "team": "mine" }));
    let bulk = json!({ "items": [
        { "create": { "team": "mine" } },
        { "create": { "team": "theirs" } },
        { "create": {} },
        { "create": { "team": "mine", "kind": "management", "role": "gateway_admin" } },
        { "update": { "id": theirs["id"], "set": { "alias": "x" } } },
        { "delete": { "id": theirs["id"] } },
        { "update": { "id": mine["id"], "set": { "team": "theirs" } } },
        { "delete": { "id": above["id"] } },
    ] });
    let (status, done) = world.call(admin, "POST", "/admin/v1/keys/bulk", &bulk);
    let statuses: Vec<u64> =
        done["items"].as_array().unwrap().iter().map(|item| item["status"].as_u64().unwrap()).collect();
    assert_eq!((status, &*statuses), (200, &[201, 422, 403, 403, 404, 404, 422, 403][..]), "{done}");
    let (_, trail) = world.admin("GET", "/admin/v1/audit?limit=1000", &json!({}));
    let denied =
        trail["entries"].as_array().unwrap().iter().filter(|entry| entry["verb"] == "refused").count();
    assert!(denied == 3 || trail["entries"].as_array().unwrap().is_empty(), "{trail}");
    let member = json!({ "items": [{ "create": { "id": "mine/ada" } }] });
    assert_eq!(world.call(admin, "POST", "/admin/v1/teams/bulk", &member).0, 403);
    let reader = made(&world, "keys", &json!({ "kind": "read_only", "role": "gateway_admin" }));
    let none = json!({ "items": [{ "delete": { "id": mine["id"] } }] });
    assert_eq!(world.call(reader["key"].as_str().unwrap(), "POST", "/admin/v1/keys/bulk", &none).0, 403);
}

#[test]
fn lists_are_filtered_by_what_users_look_for() {
    let world = World::new();
    made(&world, "orgs", &json!({ "id": "o" }));
    made(&world, "teams", &json!({ "id": "t", "org": "o", "name": "T\u{e9}am" }));
    made(&world, "teams", &json!({ "id": "u" }));
    made(&world, "projects", &json!({ "id": "p", "org": "o" }));
    made(&world, "users", &json!({ "id": "ada", "org": "o" }));
    made(&world, "members", &json!({ "id": "t/ada" }));
    let wishes = [
        json!({ "alias": "one \u{2713}", "team": "t", "tags": ["night", "x"] }),
        json!({ "alias": "two", "project": "p", "expires": "2999-01-01T00:00:00Z" }),
        json!({ "alias": "two", "user": "ada" }),
        json!({ "kind": "read_only", "role": "auditor", "expires": "2998-01-01T00:00:00Z" }),
        json!({}),
    ];
    let ids: Vec<String> =
        wishes.iter().map(|wish| made(&world, "keys", wish)["id"].as_str().unwrap().to_owned()).collect();
    world.admin("POST", &format!("/admin/v1/keys/{}/block", ids[4]), &json!({}));
    for (query, wanted) in [
        ("", vec![0, 1, 2, 3, 4]),
        ("alias=two", vec![1, 2]),
        ("alias=one%20%E2%9C%93", vec![0]),
        ("alias=on", vec![]),
        ("team=t", vec![0]),
        ("org=o", vec![0, 1, 2]),
        ("org=default", vec![3, 4]),
        ("project=p", vec![1]),
        ("user=ada", vec![2]),
        ("tag=night", vec![0]),
        ("tag=nig", vec![]),
        ("blocked=true", vec![4]),
        ("blocked=false&org=default", vec![3]),
        ("kind=read_only", vec![3]),
        ("kind=inference&org=default", vec![4]),
        ("expires_before=2999-01-01T00:00:01Z", vec![1, 3]),
        ("expires_before=2999-01-01T00:00:00Z", vec![3]),
        ("alias=two&user=ada", vec![2]),
    ] {
        for size in [1, 2, 100] {
            let mut found = listed(&world, world::ADMIN, "keys", &format!("{query}&limit={size}"));
            found.sort();
            let mut wanted: Vec<String> = wanted.iter().map(|place: &usize| ids[*place].clone()).collect();
            wanted.sort();
            assert_eq!(found, wanted, "{query}");
        }
    }
    assert_eq!(listed(&world, world::ADMIN, "teams", "org=o"), ["t"]);
    assert_eq!(listed(&world, world::ADMIN, "teams", "org=default"), ["u"]);
    assert_eq!(listed(&world, world::ADMIN, "teams", "name=T%C3%A9am"), ["t"]);
    assert_eq!(listed(&world, world::ADMIN, "members", "team=t&user=ada"), ["t/ada"]);
    assert!(listed(&world, world::ADMIN, "members", "team=u").is_empty());
    assert!(listed(&world, world::ADMIN, "users", "blocked=true").is_empty());
    for query in
        ["blocked=maybe", "kind=admin", "expires_before=tomorrow", "limit=0", "limit=1001", "colour=red"]
    {
        let (status, refused) = world.admin("GET", &format!("/admin/v1/keys?{query}"), &json!({}));
        let name = query.split('=').next().unwrap();
        assert_eq!((status, refused["param"].as_str()), (400, Some(name)), "{query}: {refused}");
    }
}

#[test]
fn a_page_is_looked_for_in_a_bounded_number_of_accounts() {
    let world = World::new();
    for _ in 0..13 {
        let bulk = json!({ "items": vec![json!({ "create": {} }); 100] });
        world.admin("POST", "/admin/v1/keys/bulk", &bulk);
    }
    let rare = made(&world, "keys", &json!({ "alias": "rare" }));
    let (_, page) = world.admin("GET", "/admin/v1/keys?alias=nobody", &json!({}));
    assert_eq!((page["keys"].as_array().unwrap().len(), page["next"].is_string()), (0, true), "{page}");
    assert_eq!(listed(&world, world::ADMIN, "keys", "alias=rare"), [rare["id"].as_str().unwrap()]);
    assert_eq!(listed(&world, world::ADMIN, "keys", "limit=1000").len(), 1_301);
}

#[test]
fn what_has_live_keys_is_not_deleted_unless_these_are_to_go_with_it() {
    let world = World::new();
    made(&world, "orgs", &json!({ "id": "o" }));
    made(&world, "teams", &json!({ "id": "t", "org": "o" }));
    made(&world, "users", &json!({ "id": "ada", "org": "o" }));
    made(&world, "members", &json!({ "id": "t/ada" }));
    let keys: Vec<Value> =
        (0..3).map(|_| made(&world, "keys", &json!({ "team": "t", "user": "ada" }))).collect();
    let apart = made(&world, "keys", &json!({}));
    let gone = made(&world, "keys", &json!({ "team": "t" }));
    world.admin("DELETE", &format!("/admin/v1/keys/{}", gone["id"].as_str().unwrap()), &json!({}));
    let code = |key: &Value| world.call(key["key"].as_str().unwrap(), "GET", "/v1/models", &json!({})).0;

    for (path, scopes) in [("teams/t", 1), ("users/ada", 1), ("orgs/o", 3)] {
        let (status, refused) = world.admin("DELETE", &format!("/admin/v1/{path}"), &json!({}));
        assert_eq!((status, &refused["code"]), (409, &json!("in_use")), "{path}: {refused}");
        assert_eq!((&refused["keys"], &refused["scopes"]), (&json!(3), &json!(scopes)), "{path}: {refused}");
        let some = refused["some"].to_string();
        assert!(keys.iter().all(|key| some.contains(key["id"].as_str().unwrap())), "{some}");
    }
    assert_eq!(keys.iter().map(code).collect::<Vec<_>>(), [200; 3]);
    assert_eq!(world.admin("DELETE", "/admin/v1/teams/t?cascade=perhaps", &json!({})).1["param"], "cascade");

    let (status, deleted) = world.admin("DELETE", "/admin/v1/orgs/o?cascade=true", &json!({}));
    assert_eq!((status, &deleted["state"]), (200, &json!("deleted")), "{deleted}");
    assert_eq!(deleted["closed"], json!({ "keys": 3, "scopes": 3, "more": false }));
    assert_eq!(keys.iter().map(code).collect::<Vec<_>>(), [401; 3]);
    assert_eq!(code(&apart), 200);
    for path in ["teams/t", "users/ada", "members/t/ada"] {
        assert_eq!(world.admin("GET", &format!("/admin/v1/{path}"), &json!({})).1["state"], "deleted");
    }
    // Done once more it is done.
    let (status, again) = world.admin("DELETE", "/admin/v1/orgs/o", &json!({}));
    assert_eq!((status, &again["closed"]["keys"]), (200, &json!(0)));
}

#[test]
fn more_keys_than_one_call_closes_are_closed_by_the_next() {
    let world = World::new();
    made(&world, "teams", &json!({ "id": "t" }));
    for _ in 0..6 {
        let bulk = json!({ "items": vec![json!({ "create": { "team": "t" } }); 100] });
        world.admin("POST", "/admin/v1/keys/bulk", &bulk);
    }
    let refused = world.admin("DELETE", "/admin/v1/teams/t", &json!({})).1;
    assert_eq!((&refused["keys"], refused["some"].as_array().unwrap().len()), (&json!(600), 20));
    let closed = |answer: Value| answer["closed"].clone();
    let path = "/admin/v1/teams/t?cascade=true";
    let first = closed(world.admin("DELETE", path, &json!({})).1);
    assert_eq!(first, json!({ "keys": 500, "scopes": 0, "more": true }));
    let (_, page) = world.admin("GET", "/admin/v1/keys?limit=1000", &json!({}));
    let open = page["keys"].as_array().unwrap().iter().filter(|key| key["state"] == "active").count();
    assert_eq!(open, 100);
    let second = closed(world.admin("DELETE", path, &json!({})).1);
    assert_eq!(second, json!({ "keys": 100, "scopes": 0, "more": false }));
}

#[test]
fn nobody_closes_by_deletion_what_they_could_not_close() {
    let world = World::new();
    made(&world, "orgs", &json!({ "id": "o" }));
    made(&world, "teams", &json!({ "id": "t", "org": "o" }));
    let admin = made(&world, "keys", &json!({ "kind": "management", "role": "org_admin", "org": "o" }));
    let above = json!({ "kind": "management", "role": "gateway_admin", "team": "t" });
    let above = made(&world, "keys", &above);
    let call = |query: &str| {
        world.call(admin["key"].as_str().unwrap(), "DELETE", &format!("/admin/v1/teams/t{query}"), &json!({}))
    };
    assert_eq!(call("?cascade=true").0, 403);
    assert_eq!(world.admin("GET", "/admin/v1/teams/t", &json!({})).1["state"], "active");
    world.admin("DELETE", &format!("/admin/v1/keys/{}", above["id"].as_str().unwrap()), &json!({}));
    assert_eq!(call("").0, 200);
}

#[test]
fn names_of_any_script_are_kept_and_others_are_refused() {
    let world = World::new();
    for name in [
        "\u{5e9}\u{5dc}\u{5d5}\u{5dd}",
        "\u{1f469}\u{200d}\u{1f680}",
        "e\u{301}",
        "\u{202e}abc",
        &"\u{1f600}".repeat(128),
    ] {
        let team = made(&world, "teams", &json!({ "id": format!("t{}", name.len()), "name": name }));
        assert_eq!(team["name"], json!(name));
        let key = made(&world, "keys", &json!({ "alias": name }));
        let query: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
        assert_eq!(
            listed(&world, world::ADMIN, "keys", &format!("alias={query}")),
            [key["id"].as_str().unwrap()]
        );
    }
    for name in ["", "a\u{0}", "a\nb", "\u{7f}", "\u{85}", &"x".repeat(10_000), &"\u{1f600}".repeat(129)] {
        for (path, wish) in
            [("teams", json!({ "id": "x", "name": name })), ("keys", json!({ "alias": name }))]
        {
            let (status, refused) = world.admin("POST", &format!("/admin/v1/{path}"), &wish);
            assert_eq!(status, 400, "{wish}: {refused}");
        }
        let (status, done) = world.admin(
            "POST",
            "/admin/v1/keys/bulk",
            &json!({ "items": [{ "create": { "alias": name } }] }),
        );
        assert_eq!((status, &done["refused"]), (200, &json!(1)), "{done}");
    }
}
