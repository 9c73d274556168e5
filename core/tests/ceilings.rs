//! What admins let others make, what keys have for a while, and names that keys and teams give to models.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use std::time::Duration;

use serde_json::{Value, json};
use world::{World, completion, openai, read_json, whole};

fn made(world: &World, path: &str, wish: &Value) -> Value {
    let (status, made) = world.admin("POST", &format!("/admin/v1/{path}"), wish);
    assert_eq!(status, 201, "{wish}: {made}");
    made
}

fn text(key: &Value) -> &str {
    key["key"].as_str().unwrap()
}

fn path(key: &Value) -> String {
    format!("/admin/v1/keys/{}", key["id"].as_str().unwrap())
}

/// A team of an organisation, with ceilings on both, and whoever makes keys there.
struct Ruled {
    world: World,
    org_admin: Value,
    team_admin: Value,
    member: Value,
}

fn ruled(org: &Value, team: &Value) -> Ruled {
    let world = World::new();
    made(&world, "orgs", &json!({ "id": "o", "ceilings": org }));
    made(&world, "teams", &json!({ "id": "t", "org": "o", "ceilings": team }));
    made(&world, "teams", &json!({ "id": "free", "org": "o" }));
    made(&world, "users", &json!({ "id": "ada", "org": "o" }));
    let of = |role: &str| json!({ "kind": "management", "role": role, "org": "o" });
    let org_admin = made(&world, "keys", &of("org_admin"));
    let mut wish = of("team_admin");
    wish["team"] = json!("t");
    let team_admin = made(&world, "keys", &wish);
    wish["role"] = json!("member");
    wish["user"] = json!("ada");
    let member = made(&world, "keys", &wish);
    Ruled { world, org_admin, team_admin, member }
}

impl Ruled {
    fn make(&self, who: &Value, wish: &Value) -> (u16, Value) {
        self.world.call(text(who), "POST", "/admin/v1/keys", wish)
    }

    fn refused(&self, who: &Value, wish: &Value, param: &str, ceiling: &str) {
        let (status, refused) = self.make(who, wish);
        assert_eq!((status, refused["param"].as_str()), (422, Some(param)), "{wish}: {refused}");
        let detail = refused["detail"].as_str().unwrap();
        assert!(detail.contains(ceiling), "{detail} does not name {ceiling}");
    }
}

#[test]
fn limits_beyond_a_ceiling_are_refused_in_its_name_and_what_is_not_said_is_the_ceiling() {
    let most = json!({ "rpm": 60, "parallel": 4, "budget": ["5 USD / day", "20 USD / month"] });
    let ruled = ruled(&json!({ "max_limits": { "rpd": 1_000 } }), &json!({ "max_limits": most }));
    let admin = &ruled.team_admin;
    let wish = |limits: Value| json!({ "team": "t", "limits": limits });
    for (limits, field) in [
        (json!({ "rpm": 61 }), "rpm"),
        (json!({ "parallel": 5 }), "parallel"),
        (json!({ "budget": "5.000000001 USD / day" }), "budget"),
        (json!({ "budget": "5 USD / day", "shadow": true }), "shadow"),
        (
            json!({ "budget": "4 USD / day",
                "increase": [{ "budget": "2 USD / day", "until": "2999-01-01T00:00:00Z" }] }),
            "budget",
        ),
    ] {
        ruled.refused(
            admin,
            &wish(limits),
            &format!("limits.{field}"),
            &format!("`team/t` says so in `ceilings.max_limits.{field}`"),
        );
    }
    ruled.refused(
        admin,
        &wish(json!({ "rpd": 1_001 })),
        "limits.rpd",
        "`org/o` says so in `ceilings.max_limits.rpd`",
    );
    let (status, key) =
        ruled.make(admin, &wish(json!({ "rpm": 60, "tpm": 7, "budget": ["1 USD / day", "9 USD / week"] })));
    assert_eq!(status, 201, "{key}");
    let whole = json!({ "rpm": 60, "tpm": 7, "rpd": 1_000, "parallel": 4,
        "budget": ["1 USD / day", "9 USD / week", "20 USD / month"] });
    assert_eq!(key["limits"], whole);
    // A change is judged as what it makes; what is left alone is not.
    let call = |body: Value| ruled.world.call(text(admin), "PATCH", &path(&key), &body);
    assert_eq!(call(json!({ "limits": { "rpm": 99 } })).1["param"], "limits.rpm");
    assert_eq!(call(json!({ "limits": { "rpm": null } })).1["limits"]["rpm"], 60);
    ruled.world.admin("PATCH", &path(&key), &json!({ "limits": { "rpm": 500 } }));
    let (status, kept) = call(json!({ "alias": "mine" }));
    assert_eq!((status, &kept["limits"]["rpm"]), (200, &json!(500)));
    // The organisation's admins are bound by the organisation's ceilings alone, and the gateway's by none.
    ruled.refused(&ruled.org_admin, &wish(json!({ "rpd": 1_001 })), "limits.rpd", "org/o");
    assert_eq!(
        ruled.make(&ruled.org_admin, &wish(json!({ "rpm": 500 }))).1["limits"],
        json!({ "rpm": 500, "rpd": 1_000 })
    );
    let free = made(&ruled.world, "keys", &wish(json!({ "rpm": 9_999 })));
    assert_eq!(free["limits"], json!({ "rpm": 9_999 }));
    // Whoever moves a key moves it below other ceilings.
    let wide = json!({ "team": "free", "limits": { "rpm": 500 } });
    let (_, wide) = ruled.make(&ruled.org_admin, &wide);
    let (status, moved) =
        ruled.world.call(text(&ruled.org_admin), "PATCH", &path(&wide), &json!({ "team": "t" }));
    assert_eq!(status, 200, "{moved}");
}

#[test]
fn a_key_that_says_nothing_has_the_limits_that_are_usual_there() {
    let ruled = ruled(
        &json!({ "default_limits": { "rpm": 7 } }),
        &json!({ "default_limits": { "rpm": 50, "budget": "9 USD / day" }, "max_limits": { "rpm": 20, "budget": "5 USD / day" } }),
    );
    let of = json!({ "team": "t", "user": "ada" });
    let (status, key) = ruled.make(&ruled.member, &of);
    assert_eq!((status, &key["limits"]), (201, &json!({ "rpm": 20, "budget": ["5 USD / day"] })), "{key}");
    assert_eq!(made(&ruled.world, "keys", &of)["limits"], json!({ "rpm": 50, "budget": ["9 USD / day"] }));
    assert_eq!(made(&ruled.world, "keys", &json!({ "team": "free" }))["limits"], json!({ "rpm": 7 }));
    assert_eq!(made(&ruled.world, "keys", &json!({ "team": "t", "limits": {} }))["limits"], json!({}));
    // A member raises none of it.
    for patch in [
        json!({ "limits": { "rpm": 21 } }),
        json!({ "limits": null }),
        json!({ "limits": { "increase": [{ "budget": "1 USD / day", "until": "2999-01-01T00:00:00Z" }] } }),
    ] {
        assert_eq!(ruled.world.call(text(&ruled.member), "PATCH", &path(&key), &patch).0, 403, "{patch}");
    }
}

#[test]
fn models_expiry_tags_and_fields_that_must_be_there_are_ceilings_too() {
    let ruled = ruled(
        &json!({ "required": ["metadata.cost_center"] }),
        &json!({ "models": ["plain", "up-openai/*"], "max_expiry": "30d", "allowed_tags": ["day", "night"],
            "required": ["alias", "tags"] }),
    );
    let good = json!({ "team": "t", "alias": "a", "tags": ["night"], "metadata": { "cost_center": "7" } });
    let with = |field: &str, value: Value| {
        let mut wish = good.clone();
        wish[field] = value;
        wish
    };
    let admin = &ruled.team_admin;
    for (wish, param, ceiling) in [
        (with("models", json!(["claude"])), "models", "ceilings.models"),
        (with("models", json!(["plain", "*"])), "models", "ceilings.models"),
        (with("models", json!(["up-*"])), "models", "ceilings.models"),
        (with("models", json!(["plainer"])), "models", "ceilings.models"),
        (with("expires", json!("2999-01-01T00:00:00Z")), "expires", "ceilings.max_expiry"),
        (with("tags", json!(["night", "noon"])), "tags", "ceilings.allowed_tags"),
        (with("tags", json!([])), "tags", "ceilings.required"),
        (with("alias", json!(null)), "alias", "ceilings.required"),
        (with("metadata", json!({ "cost_center": "" })), "metadata.cost_center", "org/o"),
        (with("metadata", json!({})), "metadata.cost_center", "org/o"),
    ] {
        ruled.refused(admin, &wish, param, ceiling);
    }
    let (status, key) = ruled.make(admin, &good);
    assert_eq!((status, &key["models"]), (201, &json!(["plain", "up-openai/*"])), "{key}");
    let month = ruled.world.gateway.ports().clock.now().after(Duration::from_hours(30 * 24));
    assert_eq!(key["expires"], json!(month.to_string()));
    ruled.world.handles.upstream.always(|_, _| Ok(whole(200, &completion("hi", 7, 3))));
    let ask = |tags: &'static str| {
        let question = json!({ "model": "plain", "max_tokens": 10, "messages": [{ "role": "user", "content": "hello" }] });
        let mut request = openai(text(&key), &question);
        request.headers_mut().insert("x-gatelet-tags", http::HeaderValue::from_static(tags));
        let response = ruled.world.send(request);
        (response.status().as_u16(), read_json(response))
    };
    assert_eq!(ask("day, night").0, 200);
    let (status, refused) = ask("day, noon");
    assert_eq!((status, &refused["error"]["code"]), (403, &json!("tag_forbidden")), "{refused}");
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("`team/t`") && message.contains("`noon`"), "{message}");
    assert_eq!(ruled.make(admin, &with("models", json!(["up-openai/m*", "plain"]))).0, 201);
    // Nobody gets around one by a change, nor prolongs a life by asking again.
    ruled.world.handles.clock.advance(Duration::from_hours(24));
    let later = ruled.world.gateway.ports().clock.now().after(Duration::from_hours(30 * 24)).to_string();
    for (patch, param) in [
        (json!({ "models": ["claude"] }), "models"),
        (json!({ "expires": later }), "expires"),
        (json!({ "tags": ["noon"] }), "tags"),
        (json!({ "alias": null }), "alias"),
        (json!({ "metadata": { "cost_center": null } }), "metadata.cost_center"),
    ] {
        let (status, refused) = ruled.world.call(text(admin), "PATCH", &path(&key), &patch);
        assert_eq!((status, refused["param"].as_str()), (422, Some(param)), "{patch}: {refused}");
    }
    let (status, back) =
        ruled.world.call(text(admin), "PATCH", &path(&key), &json!({ "models": null, "expires": null }));
    assert_eq!((status, &back["models"], &back["expires"]), (200, &key["models"], &key["expires"]), "{back}");
    // In bulk as one by one.
    let bulk = json!({ "items": [{ "create": with("models", json!(["claude"])) }, { "create": good }] });
    let (_, done) = ruled.world.call(text(admin), "POST", "/admin/v1/keys/bulk", &bulk);
    assert_eq!(
        (&done["items"][0]["problem"]["param"], &done["items"][1]["status"]),
        (&json!("models"), &json!(201))
    );
}

#[test]
fn nobody_changes_the_ceilings_above_them() {
    let ruled = ruled(&json!({ "max_limits": { "rpm": 9 } }), &json!({ "max_limits": { "rpm": 5 } }));
    let patch = json!({ "ceilings": null });
    let world = &ruled.world;
    for who in [&ruled.team_admin, &ruled.member] {
        assert_eq!(world.call(text(who), "PATCH", "/admin/v1/teams/t", &patch).0, 403);
        assert!(matches!(world.call(text(who), "PATCH", "/admin/v1/orgs/o", &patch).0, 403 | 404));
    }
    assert_eq!(world.call(text(&ruled.org_admin), "PATCH", "/admin/v1/orgs/o", &patch).0, 403);
    assert_eq!(world.call(text(&ruled.org_admin), "PATCH", "/admin/v1/teams/t", &patch).0, 200);
    for (wish, param) in [
        (json!({ "required": ["colour"] }), "ceilings.required"),
        (json!({ "required": ["metadata."] }), "ceilings.required"),
        (json!({ "required": vec!["alias"; 33] }), "ceilings.required"),
        (json!({ "allowed_tags": ["a\u{0}"] }), "ceilings.allowed_tags"),
        (json!({ "models": ["x".repeat(10_000)] }), "ceilings.models"),
        (json!({ "max_expiry": "soon" }), "ceilings.max_expiry"),
        (json!({ "max_expiry": -1 }), "ceilings.max_expiry"),
        (json!({ "max_limits": { "budget": "1e99 USD / day" } }), "ceilings.max_limits.budget"),
        (json!({ "max_limits": { "budget": "-1 USD / day" } }), "ceilings.max_limits.budget"),
        (json!({ "max_limits": { "budget": "NaN USD / day" } }), "ceilings.max_limits.budget"),
        (
            json!({ "max_limits": { "budget": "0.00000000000000000001 USD / day" } }),
            "ceilings.max_limits.budget",
        ),
        (json!({ "max_limits": { "rpm": 1e99 } }), "ceilings.max_limits.rpm"),
        (json!({ "colour": 1 }), "ceilings.colour"),
    ] {
        let (status, refused) = world.admin("PATCH", "/admin/v1/teams/t", &json!({ "ceilings": wish }));
        assert!(matches!(status, 400 | 422), "{wish}: {refused}");
        assert_eq!(refused["param"].as_str(), Some(param), "{wish}: {refused}");
    }
    let (status, refused) = world.admin("POST", "/admin/v1/projects", &json!({ "id": "p", "ceilings": {} }));
    assert_eq!((status, &refused["param"]), (422, &json!("ceilings")));
}

fn ask(world: &World, key: &str, model: &str) -> (u16, Value) {
    let body =
        json!({ "model": model, "max_tokens": 10, "messages": [{ "role": "user", "content": "hello" }] });
    world.handles.upstream.always(|_, _| Ok(whole(200, &completion("hi", 7, 3))));
    let response = world.send(openai(key, &body));
    (response.status().as_u16(), read_json(response))
}

/// How many requests in a row are served.
fn served(world: &World, key: &str) -> usize {
    (0..100).take_while(|_| ask(world, key, "plain").0 == 200).count()
}

#[test]
fn a_budget_has_more_for_a_while_and_then_no_more() {
    let world = World::new();
    // A request costs 37 micro-dollars, and may cost some 150.
    let (id, key) = world.key(&json!({ "limits": { "budget": "0.0003 USD / total" } }));
    let few = served(&world, &key);
    let spent = |id: &str| world.usage(id)["budget"][0].clone();
    let path = format!("/admin/v1/keys/{id}");
    let until = world.gateway.ports().clock.now().after(Duration::from_hours(1)).to_string();
    let increase = json!({ "limits": { "increase": [{ "budget": "0.0003 USD / total", "until": until }] } });
    let (status, raised) = world.admin("PATCH", &path, &increase);
    assert_eq!((status, &raised["usage"]["budget"][0]["limit"]), (200, &json!("0.0006")), "{raised}");
    assert_eq!(raised["limits"]["increase"], increase["limits"]["increase"]);
    assert!(ask(&world, &key, "plain").0 == 200);
    world.handles.clock.advance(Duration::from_secs(3_599));
    assert!(ask(&world, &key, "plain").0 == 200);
    world.handles.clock.advance(Duration::from_secs(1));
    let (status, refused) = ask(&world, &key, "plain");
    assert_eq!((status, &refused["error"]["code"]), (402, &json!("budget_spent")), "{refused}");
    assert_eq!((&spent(&id)["limit"], few > 0), (&json!("0.0003"), true));
    // What has lapsed may stay where it is, and does no harm to other changes; it cannot be given anew.
    assert_eq!(world.admin("PATCH", &path, &json!({ "alias": "a" })).0, 200);
    let (status, refused) = world.admin(
        "POST",
        "/admin/v1/keys",
        &json!({ "limits": { "budget": "1 USD / total", "increase": increase["limits"]["increase"] } }),
    );
    assert_eq!((status, &refused["param"]), (422, &json!("limits.increase[0]")), "{refused}");
    // It is written down, with who did it.
    world.admin("POST", "/admin/v1/tick", &json!({}));
    let (_, trail) = world.admin("GET", "/admin/v1/audit", &json!({}));
    let change = trail["entries"].as_array().unwrap().iter().find(|entry| entry["verb"] == "change").unwrap();
    assert!(change["after"]["limits"].to_string().contains("increase"), "{change}");
}

#[test]
fn increases_are_judged_one_by_one() {
    let world = World::new();
    made(&world, "teams", &json!({ "id": "t" }));
    let until = "2999-01-01T00:00:00Z";
    for (increase, param) in [
        (json!([{ "budget": "1 USD / week", "until": until }]), "limits.increase[0]"),
        (json!([{ "budget": "1 USD / day in +02:00", "until": until }]), "limits.increase[0]"),
        (json!([{ "budget": "1 USD / day", "until": "2001-01-01T00:00:00Z" }]), "limits.increase[0]"),
        (json!([{ "budget": "1 USD / day", "until": "tomorrow" }]), "limits.increase[0].until"),
        (json!([{ "budget": "1 USD / day", "until": 7 }]), "limits.increase[0].until"),
        (json!([{ "budget": "1 USD / day" }]), "limits.increase[0]"),
        (json!([{ "budget": "-1 USD / day", "until": until }]), "limits.increase[0].budget"),
        (json!([{ "budget": "1e99 USD / day", "until": until }]), "limits.increase[0].budget"),
        (json!([{ "budget": "NaN USD / day", "until": until }]), "limits.increase[0].budget"),
        (
            json!([{ "budget": "0.00000000000000000001 USD / day", "until": until }]),
            "limits.increase[0].budget",
        ),
        (
            json!([{ "budget": "99999999999999999999 USD / day", "until": until }]),
            "limits.increase[0].budget",
        ),
        (json!([{ "budget": "1 USD / day", "until": until, "why": "" }]), "limits.increase[0].why"),
        (json!(vec![json!({ "budget": "1 USD / day", "until": until }); 9]), "limits.increase"),
        (json!("1 USD / day"), "limits.increase"),
    ] {
        let limits = json!({ "budget": "5 USD / day", "increase": increase });
        for (path, method, wish) in
            [("keys", "POST", json!({ "limits": limits })), ("teams/t", "PATCH", json!({ "limits": limits }))]
        {
            let (status, refused) = world.admin(method, &format!("/admin/v1/{path}"), &wish);
            assert!(matches!(status, 400 | 422), "{wish}: {refused}");
            assert_eq!(refused["param"].as_str(), Some(param), "{wish}: {refused}");
        }
    }
}

#[test]
fn a_key_and_its_team_have_names_of_their_own_for_models() {
    let world = World::new();
    made(
        &world,
        "teams",
        &json!({ "id": "t", "aliases": { "fast": "claude", "slow": "roomy", "plain": "sturdy" } }),
    );
    let key = made(
        &world,
        "keys",
        &json!({ "team": "t", "limits": {}, "aliases": { "fast": "plain", "away": "nowhere" } }),
    );
    let models = |answer: &(u16, Value)| -> Vec<String> {
        answer.1["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|model| model["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let listed = world.call(text(&key), "GET", "/v1/models", &json!({}));
    let names = models(&listed);
    for name in ["fast", "slow", "plain", "claude"] {
        assert_eq!(names.iter().filter(|other| *other == name).count(), 1, "{name}: {names:?}");
    }
    assert!(!names.contains(&"away".to_owned()), "what means nothing is no model");
    assert_eq!(world.call(text(&key), "GET", "/v1/models/fast", &json!({})).0, 200);
    assert_eq!(world.call(text(&key), "GET", "/v1/models/away", &json!({})).0, 404);
    // The key's own name is before its team's, and that before the policy's; names are not looked up twice.
    for (name, served) in
        [("fast", "up-openai/model-o"), ("slow", "up-anthropic/model-b"), ("plain", "up-openai/model-o")]
    {
        world.handles.upstream.always(|request, _| {
            let anthropic = request.uri().path().ends_with("/messages");
            Ok(whole(200, &if anthropic { world::message("hi", 7, 3) } else { completion("hi", 7, 3) }))
        });
        let body =
            json!({ "model": name, "max_tokens": 10, "messages": [{ "role": "user", "content": "hello" }] });
        let response = world.send(openai(text(&key), &body));
        assert_eq!(
            (response.status().as_u16(), &response.headers()["x-gatelet-model"]),
            (200, &served.parse().unwrap()),
            "{name}"
        );
    }
    let records = world.records();
    let asked: Vec<&str> = records
        .iter()
        .filter(|record| record["kind"] == "request")
        .map(|record| record["model"].as_str().unwrap())
        .collect();
    assert_eq!(asked, ["plain", "roomy", "sturdy"]);
    // A change holds from the next request, the key's document and its team's.
    world.admin("PATCH", &path(&key), &json!({ "aliases": { "fast": "nowhere" } }));
    assert_eq!(ask(&world, text(&key), "fast").0, 404);
    world.admin("PATCH", &path(&key), &json!({ "aliases": { "fast": null } }));
    world.admin("PATCH", "/admin/v1/teams/t", &json!({ "aliases": { "fast": "plain" } }));
    assert_eq!(ask(&world, text(&key), "fast").0, 200);
}

#[test]
fn a_name_for_a_model_opens_no_model_and_passes_no_limit() {
    let world = World::new();
    made(&world, "models", &json!({ "id": "plain", "limits": { "rpm": 2 } }));
    let bound = made(
        &world,
        "keys",
        &json!({ "limits": {}, "models": ["claude"], "aliases": { "claude": "plain", "mine": "plain" } }),
    );
    for name in ["claude", "mine"] {
        let (status, refused) = ask(&world, text(&bound), name);
        assert_eq!((status, &refused["error"]["code"]), (403, &json!("model_forbidden")), "{refused}");
    }
    let key = made(
        &world,
        "keys",
        &json!({ "limits": {}, "model_limits": { "plain": { "rpm": 1 } }, "aliases": { "mine": "plain" } }),
    );
    assert_eq!(ask(&world, text(&key), "mine").0, 200);
    assert_eq!(ask(&world, text(&key), "mine").0, 429, "limits are for what is meant");
    assert_eq!(ask(&world, text(&key), "plain").0, 429);
    for (aliases, param) in [
        (json!({ "": "plain" }), "aliases"),
        (json!({ "a\u{0}": "plain" }), "aliases"),
        (json!({ "a": "" }), "aliases"),
        (json!({ "a": "x".repeat(10_000) }), "aliases"),
        (json!({ "a": 7 }), "aliases.a"),
        (
            json!(
                (0..65).map(|place| (place.to_string(), json!("plain"))).collect::<serde_json::Map<_, _>>()
            ),
            "aliases",
        ),
    ] {
        let (status, refused) = world.admin("POST", "/admin/v1/keys", &json!({ "aliases": aliases }));
        assert_eq!((status, refused["param"].as_str()), (400, Some(param)), "{refused}");
    }
    let (status, refused) =
        world.admin("POST", "/admin/v1/orgs", &json!({ "id": "o", "aliases": { "a": "b" } }));
    assert_eq!((status, &refused["param"]), (422, &json!("aliases")));
}
