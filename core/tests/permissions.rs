//! Who may do what under `/admin/v1`.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use gatelet_core::api::openapi::Route;
use gatelet_core::domain::account::Account;
use gatelet_core::domain::{AccountId, Role, ShardId};
use gatelet_core::port::memory::{OverLedger, OverStore};
use gatelet_core::port::{Fault, Ledger, Ports, Store};
use serde_json::{Value, json};
use world::{World, completion, openai, read_json, whole};

fn made(world: &World, path: &str, wish: &Value) -> Value {
    let (status, made) = world.admin("POST", path, wish);
    assert_eq!(status, 201, "{made}");
    made
}

/// A key that manages.
fn manager(world: &World, wish: &Value) -> String {
    made(world, "/admin/v1/keys", wish)["key"].as_str().unwrap().to_owned()
}

fn id(key: &Value) -> String {
    format!("/admin/v1/keys/{}", key["id"].as_str().unwrap())
}

/// Two teams, one of which has an admin.
struct Teams {
    world: World,
    admin: String,
    mine: Value,
    theirs: Value,
}

fn teams() -> Teams {
    teams_of(World::new())
}

fn teams_of(world: World) -> Teams {
    for team in ["mine", "theirs"] {
        made(&world, "/admin/v1/teams", &json!({ "id": team }));
    }
    made(&world, "/admin/v1/users", &json!({ "id": "ada" }));
    let admin = manager(&world, &json!({ "kind": "management", "role": "team_admin", "team": "mine" }));
    let mine = made(&world, "/admin/v1/keys", &json!({ "team": "mine" }));
    let theirs = made(&world, "/admin/v1/keys", &json!({ "team": "theirs" }));
    Teams { world, admin, mine, theirs }
}

#[test]
fn a_key_that_manages_opens_no_model_and_one_for_models_manages_nothing() {
    let world = World::new();
    let admin = manager(&world, &json!({ "kind": "management", "role": "gateway_admin" }));
    let question =
        json!({ "model": "plain", "max_tokens": 9, "messages": [{ "role": "user", "content": "hello" }] });
    let response = world.send(openai(&admin, &question));
    assert_eq!(response.status(), 403);
    assert_eq!(read_json(response)["error"]["code"], "key_kind_wrong");
    assert_eq!(world.call(&admin, "GET", "/v1/models", &json!({})).0, 403);
    let (_, inference) = world.key(&json!({}));
    let (status, body) = world.call(&inference, "GET", "/admin/v1/keys", &json!({}));
    assert_eq!((status, &body["code"]), (403, &json!("key_kind_wrong")));
    assert_eq!(world.call(&admin, "GET", "/admin/v1/keys", &json!({})).0, 200);
}

#[test]
fn a_key_that_was_revoked_manages_nothing_more() {
    let world = World::new();
    let key = made(&world, "/admin/v1/keys", &json!({ "kind": "management", "role": "auditor" }));
    let secret = key["key"].as_str().unwrap();
    assert_eq!(world.call(secret, "GET", "/admin/v1/keys", &json!({})).0, 200);
    assert_eq!(world.admin("DELETE", &id(&key), &json!({})).0, 200);
    let (status, body) = world.call(secret, "GET", "/admin/v1/keys", &json!({}));
    assert_eq!((status, &body["code"]), (401, &json!("key_revoked")));
}

#[test]
fn a_key_that_only_reads_changes_nothing_whatever_its_role() {
    let world = World::new();
    let reader = manager(&world, &json!({ "kind": "read_only", "role": "gateway_admin" }));
    assert_eq!(world.call(&reader, "GET", "/admin/v1/keys", &json!({})).0, 200);
    let (status, body) = world.call(&reader, "POST", "/admin/v1/keys", &json!({}));
    assert_eq!((status, &body["code"]), (403, &json!("permission_denied")));
    assert_eq!(world.call(&reader, "POST", "/admin/v1/tick", &json!({})).0, 403);
}

#[test]
fn what_is_anothers_is_as_if_it_were_not_there() {
    let Teams { world, admin, mine, theirs } = teams();
    let call = |method: &str, path: &str| world.call(&admin, method, path, &json!({}));
    assert_eq!(call("GET", &id(&mine)).0, 200);
    let nobody = "/admin/v1/keys/000000000000";
    for (method, suffix) in [
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/block"),
        ("POST", "/unblock"),
        ("POST", "/aws"),
    ] {
        let (status, body) = call(method, &format!("{}{suffix}", id(&theirs)));
        let (missing, missed) = call(method, &format!("{nobody}{suffix}"));
        assert_eq!((status, missing), (404, 404), "{method} {suffix}: {body}");
        assert_eq!(body["detail"], missed["detail"]);
    }
    assert_eq!(call("GET", "/admin/v1/teams/mine").0, 200);
    assert_eq!(
        call("GET", "/admin/v1/teams/theirs").1["detail"],
        call("GET", "/admin/v1/teams/x").1["detail"]
    );
    assert_eq!(call("GET", &format!("{}?shard=other", id(&mine))).0, 404);
    let (_, page) = call("GET", "/admin/v1/keys");
    let teams: Vec<&str> =
        page["keys"].as_array().unwrap().iter().map(|key| key["team"].as_str().unwrap()).collect();
    assert_eq!(teams, ["mine", "mine"], "{page}");
    let (_, page) = call("GET", "/admin/v1/teams");
    assert_eq!(page["teams"].as_array().unwrap().len(), 1, "{page}");
}

/// How long an answer takes must not tell either: the same is read, and nothing more.
#[test]
fn what_is_anothers_takes_no_more_reading_than_what_is_not_there() {
    let read = Arc::new(AtomicUsize::new(0));
    let counted = read.clone();
    let Teams { world, admin, theirs, .. } = teams_of(World::with(|ports| Ports {
        store: Arc::new(Counted { store: ports.store.clone(), calls: counted.clone() }),
        ledger: Arc::new(Counted { store: ports.ledger.clone(), calls: counted }),
        ..ports
    }));
    let calls = |method: &str, path: &str| {
        let before = read.load(Ordering::Relaxed);
        let (status, _) = world.call(&admin, method, path, &json!({}));
        (status, read.load(Ordering::Relaxed) - before)
    };
    for (theirs, nobody) in [
        (id(&theirs), "/admin/v1/keys/000000000000".to_owned()),
        ("/admin/v1/teams/theirs".to_owned(), "/admin/v1/teams/nobody".to_owned()),
    ] {
        for method in ["GET", "PATCH", "DELETE"] {
            // Once before, so that nothing is kept of the one and not of the other.
            for path in [&theirs, &nobody] {
                calls(method, path);
            }
            let seen = calls(method, &theirs);
            assert_eq!(seen, calls(method, &nobody), "{method} {theirs}");
            assert!(matches!(seen.0, 403 | 404), "{method} {theirs}: {}", seen.0);
        }
    }
    assert!(read.load(Ordering::Relaxed) > 0);
}

/// A port, and how often it was asked.
struct Counted<P: ?Sized> {
    store: Arc<P>,
    calls: Arc<AtomicUsize>,
}

#[async_trait]
impl OverStore for Counted<dyn Store> {
    fn under(&self) -> &dyn Store {
        &*self.store
    }

    async fn turn(&self, _: &'static str, _: &[u8]) -> Result<(), Fault> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[async_trait]
impl OverLedger for Counted<dyn Ledger> {
    fn under(&self) -> &dyn Ledger {
        &*self.store
    }

    async fn read(&self, shard: &ShardId, account: &AccountId) -> Result<Option<Account>, Fault> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.store.read(shard, account).await
    }
}

#[test]
fn nobody_makes_a_key_that_may_more_than_they_do() {
    let Teams { world, admin, mine, theirs } = teams();
    let refused = |method: &str, path: &str, body: Value| {
        let (status, answer) = world.call(&admin, method, path, &body);
        assert!(matches!(status, 400 | 403 | 422), "{method} {path} {body}: {status} {answer}");
    };
    let keys = "/admin/v1/keys";
    for role in ["gateway_admin", "auditor"] {
        refused("POST", keys, json!({ "kind": "management", "role": role }));
        refused("POST", keys, json!({ "kind": "read_only", "role": role, "team": "mine" }));
    }
    refused("POST", keys, json!({ "team": "theirs" }));
    refused("POST", keys, json!({}));
    refused("POST", keys, json!({ "team": "mine", "shard": "other" }));
    refused("POST", keys, json!({ "kind": "management", "role": "team_admin", "team": "theirs" }));
    // A user of all teams: their keys elsewhere would be open to it.
    refused("POST", keys, json!({ "kind": "management", "role": "member", "user": "ada" }));
    refused("PATCH", &id(&mine), json!({ "team": "theirs" }));
    refused("PATCH", &id(&mine), json!({ "team": null }));
    refused("PATCH", &id(&mine), json!({ "kind": "management", "role": "team_admin" }));
    refused("PATCH", "/admin/v1/teams/mine", json!({ "limits": { "rpm": 1_000 } }));
    refused("POST", "/admin/v1/teams", json!({ "id": "more" }));
    refused("GET", "/admin/v1/archive", json!({}));
    refused("POST", "/admin/v1/tick", json!({}));
    // A key above it that belongs to its team is none of its business either.
    let above = made(&world, keys, &json!({ "kind": "management", "role": "gateway_admin", "team": "mine" }));
    refused("POST", &format!("{}/aws", id(&above)), json!({}));
    refused("POST", &format!("{}/block", id(&above)), json!({}));
    refused("DELETE", &id(&above), json!({}));
    // What it may: a key of its team, and somebody who does the same.
    assert_eq!(world.call(&admin, "POST", keys, &json!({ "team": "mine" })).0, 201);
    let same = json!({ "kind": "management", "role": "team_admin", "team": "mine" });
    assert_eq!(world.call(&admin, "POST", keys, &same).0, 201);
    assert_eq!(world.admin("GET", &id(&theirs), &json!({})).1["state"], "active");
}

#[test]
fn a_member_sees_and_changes_own_keys_alone() {
    let Teams { world, mine, .. } = teams();
    let ada = json!({ "kind": "management", "role": "member", "team": "mine", "user": "ada" });
    let ada = manager(&world, &ada);
    let own = made(&world, "/admin/v1/keys", &json!({ "team": "mine", "user": "ada" }));
    let elsewhere = made(&world, "/admin/v1/keys", &json!({ "team": "theirs", "user": "ada" }));
    assert_eq!(world.call(&ada, "GET", &id(&own), &json!({})).0, 200);
    assert_eq!(world.call(&ada, "POST", &format!("{}/block", id(&own)), &json!({})).0, 200);
    for other in [&mine, &elsewhere] {
        assert_eq!(world.call(&ada, "GET", &id(other), &json!({})).0, 404);
    }
    // Limits are for others to set: on a new key, and on one that has some.
    let keys = "/admin/v1/keys";
    let plain = json!({ "team": "mine", "user": "ada" });
    assert_eq!(world.call(&ada, "POST", keys, &plain).0, 201);
    for limits in [
        json!({ "limits": { "rpm": 9 } }),
        json!({ "limits": null }),
        json!({ "model_limits": { "plain": { "rpm": 9 } } }),
        json!({ "session_limits": { "rpm": 9 } }),
    ] {
        let mut wish = plain.clone();
        wish.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
        if limits["limits"] != json!(null) || limits.get("limits").is_none() {
            assert_eq!(world.call(&ada, "POST", keys, &wish).0, 403, "{wish}");
        }
        world.admin("PATCH", &id(&own), &json!({ "limits": { "rpm": 5 } }));
        assert_eq!(world.call(&ada, "PATCH", &id(&own), &limits).0, 403, "{limits}");
    }
    assert_eq!(world.call(&ada, "PATCH", &id(&own), &json!({ "alias": "mine" })).0, 200);
    assert_eq!(world.call(&ada, "GET", "/admin/v1/users/ada", &json!({})).0, 200);
    assert_eq!(world.call(&ada, "PATCH", "/admin/v1/users/ada", &json!({ "name": "A" })).0, 403);
}

#[test]
fn an_agent_sees_its_own_key_alone() {
    let world = World::new();
    let key = made(&world, "/admin/v1/keys", &json!({ "kind": "management", "role": "agent" }));
    let other = made(&world, "/admin/v1/keys", &json!({}));
    let secret = key["key"].as_str().unwrap();
    assert_eq!(world.call(secret, "GET", &id(&key), &json!({})).0, 200);
    assert_eq!(world.call(secret, "GET", &id(&other), &json!({})).0, 404);
    assert_eq!(world.call(secret, "PATCH", &id(&key), &json!({ "limits": { "rpm": 9 } })).0, 403);
}

#[test]
fn a_role_needs_what_bounds_it() {
    let world = World::new();
    for (wish, param) in [
        (json!({ "kind": "management" }), "role"),
        (json!({ "kind": "read_only" }), "role"),
        (json!({ "role": "auditor" }), "role"),
        (json!({ "kind": "management", "role": "team_admin" }), "team"),
        (json!({ "kind": "management", "role": "member" }), "user"),
        (json!({ "kind": "management", "role": "emperor" }), "role"),
        (json!({ "kind": "admin" }), "kind"),
    ] {
        let (status, refused) = world.admin("POST", "/admin/v1/keys", &wish);
        assert!(matches!(status, 400 | 422), "{wish}: {refused}");
        assert_eq!(refused["param"].as_str(), Some(param), "{wish}: {refused}");
    }
    made(&world, "/admin/v1/teams", &json!({ "id": "t" }));
    let key = json!({ "kind": "management", "role": "team_admin", "team": "t" });
    let key = made(&world, "/admin/v1/keys", &key);
    let (status, refused) = world.admin("PATCH", &id(&key), &json!({ "team": null }));
    assert_eq!((status, refused["param"].as_str()), (422, Some("team")), "{refused}");
}

#[test]
fn a_refusal_is_a_problem_and_a_conflict_tells_both_versions() {
    let world = World::new();
    let key = made(&world, "/admin/v1/keys", &json!({}));
    let path = id(&key);
    let rename = |tag: &str, alias: &str| {
        let request = http::Request::builder()
            .method("PATCH")
            .uri(format!("http://gate{path}"))
            .header("authorization", format!("Bearer {}", world::ADMIN))
            .header("if-match", tag)
            .body(gatelet_core::port::Body::from(json!({ "alias": alias }).to_string().into_bytes()));
        world.send(request.unwrap())
    };
    assert_eq!(rename("\"1\"", "a").status(), 200);
    let late = rename("\"1\"", "b");
    assert_eq!(late.status(), 409);
    assert_eq!(late.headers()["content-type"], "application/problem+json");
    let body = read_json(late);
    assert_eq!((&body["expected_version"], &body["current_version"]), (&json!(1), &json!(2)));
    assert_eq!((&body["code"], &body["status"]), (&json!("version_conflict"), &json!(409)));
    assert_eq!(body["type"], "urn:gatelet:problem:version_conflict");
    assert!(body["detail"].is_string() && body["title"].is_string() && body["request_id"].is_string());
    made(&world, "/admin/v1/teams", &json!({ "id": "t" }));
    let (status, again) = world.admin("POST", "/admin/v1/teams", &json!({ "id": "t", "name": "other" }));
    assert_eq!((status, &again["code"]), (409, &json!("already_exists")));
    let (status, query) = world.admin("GET", "/admin/v1/keys?limti=1", &json!({}));
    assert_eq!((status, &query["param"]), (400, &json!("limti")));
}

/// What each role may do, written by hand from what the roles are for: a method and a path, or all below one. What is
/// not here is refused.
fn expected(role: &str, method: &str, path: &str) -> bool {
    let path = path.trim_start_matches("/admin/v1/");
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    // What is explained is only read.
    let get = method == "GET" || path == "explain";
    match role {
        "gateway_admin" => true,
        "auditor" => get,
        "org_admin" => match first {
            "keys" | "teams" | "projects" | "users" | "members" | "templates" | "requests" | "prompts" => {
                true
            }
            "orgs" | "spend" | "openapi.json" | "explain" => get,
            _ => false,
        },
        "team_admin" => match first {
            "keys" | "members" | "requests" => true,
            "teams" | "spend" | "openapi.json" | "explain" => get,
            _ => false,
        },
        "member" => match first {
            "keys" | "requests" => true,
            "teams" | "users" | "spend" | "openapi.json" | "explain" => get,
            _ => false,
        },
        "customer" | "agent" => {
            get && (matches!(first, "openapi.json" | "spend" | "explain" | "requests")
                || first == "keys" && !rest.contains('/'))
        }
        other => panic!("nobody said what `{other}` may do"),
    }
}

/// A world in which an organisation has a team, which has a user, and another one has the same.
fn orgs() -> World {
    let world = World::sealed("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    let prompt = |id: &str| json!({ "id": id, "messages": [{ "role": "user", "content": "hi" }] });
    made(&world, "/admin/v1/prompts", &prompt("mine-a"));
    for org in ["mine", "theirs"] {
        made(&world, "/admin/v1/orgs", &json!({ "id": org }));
        made(&world, &format!("/admin/v1/prompts?org={org}"), &prompt(&format!("{org}-a")));
        let of = |id: &str| json!({ "id": format!("{org}-{id}"), "org": org });
        for plural in ["teams", "users", "projects", "templates"] {
            made(&world, &format!("/admin/v1/{plural}"), &of("a"));
        }
        made(&world, "/admin/v1/members", &json!({ "id": format!("{org}-a/{org}-a"), "org": org }));
        let credential =
            json!({ "id": format!("{org}-a"), "provider": "up-openai", "org": org, "secret": "x" });
        made(&world, "/admin/v1/credentials", &credential);
        for plural in ["customers", "tags", "models", "agents", "tools"] {
            made(&world, &format!("/admin/v1/{plural}"), &of("a"));
        }
    }
    world
}

/// The name of one of a kind that belongs to an organisation.
fn named(plural: &str, org: &str) -> String {
    match plural {
        "orgs" => org.to_owned(),
        "members" => format!("{org}-a/{org}-a"),
        _ => format!("{org}-a"),
    }
}

#[test]
fn every_role_may_do_on_every_route_what_the_table_says_and_nothing_else() {
    let routes = gatelet_core::api::openapi::routes();
    let mut denied = 0;
    for role in Role::ALL {
        for route in &routes {
            for kind in ["management", "read_only"] {
                denied += usize::from(walk(role, route, kind));
            }
        }
    }
    assert!(denied > 300, "{denied}");
}

/// A request by a key of these.
fn asked(world: &World, of: &Value) -> Value {
    world.handles.upstream.always(|_, _| Ok(whole(200, &completion("hi", 7, 3))));
    let key = made(world, "/admin/v1/keys", of);
    let body =
        json!({ "model": "plain", "max_tokens": 3, "messages": [{ "role": "user", "content": "hello" }] });
    let response = world.send(openai(key["key"].as_str().unwrap(), &body));
    let id = response.headers()["x-gatelet-request-id"].to_str().unwrap().to_owned();
    futures_executor::block_on(world.handles.defer.run_all());
    json!(id)
}

/// One call in a world of its own; answers whether it was denied, as it had to be.
fn walk(role: Role, route: &Route, kind: &str) -> bool {
    let world = orgs();
    let mut wish = json!({ "kind": kind, "role": role.name() });
    if !matches!(role, Role::GatewayAdmin | Role::Auditor) {
        wish["org"] = json!("mine");
    }
    if matches!(role, Role::TeamAdmin | Role::Member) {
        wish["team"] = json!("mine-a");
    }
    if role == Role::Member {
        wish["user"] = json!("mine-a");
    }
    let key = made(&world, "/admin/v1/keys", &wish);
    // A key that is made is the team's; a body of another call has nothing to say.
    let body = match (&*route.method, &*route.path) {
        ("POST", "/admin/v1/keys") => json!({ "org": "mine", "team": "mine-a", "user": "mine-a" }),
        ("POST", path) if path.ends_with("/scores") => json!({ "name": "good", "value": true }),
        _ => json!({}),
    };
    let call = |path: &str| world.call(key["key"].as_str().unwrap(), &route.method, path, &body);
    let plural = route.path.trim_start_matches("/admin/v1/").split('/').next().unwrap_or_default();
    let at = |org: &str| {
        let of = json!({ "org": org, "team": format!("{org}-a"), "user": format!("{org}-a") });
        let id = match plural {
            "keys" if matches!(role, Role::Agent | Role::Customer) && org == "mine" => key["id"].clone(),
            "keys" => made(&world, "/admin/v1/keys", &of)["id"].clone(),
            "requests" => asked(&world, &of),
            _ => json!(named(plural, org)),
        };
        route.path.replace("{id}", id.as_str().unwrap()).replace("{name}", "v1/none")
    };
    let may = expected(role.name(), &route.method, &route.path)
        && (kind == "management" || route.verb.only_reads());
    let (status, answer) = call(&at("mine"));
    let what = format!("{} {} {}: {status} {answer}", role.name(), route.method, route.path);
    if !may {
        assert_eq!((status, &answer["code"]), (403, &json!("permission_denied")), "{what}");
        return true;
    }
    assert!(answer["code"] != "permission_denied" && status != 405, "{what}");
    // Customers and agents see what their own key did, and a key of this kind asks nothing.
    let none = matches!(role, Role::Agent | Role::Customer) && plural == "requests";
    // Guards are the configuration's, and this one has none.
    let none = none || plural == "guards";
    assert!(status != 404 || route.path.contains("{name}") || none, "{what}");
    if !matches!(role, Role::GatewayAdmin | Role::Auditor) && route.path.ends_with("/bulk") {
        let theirs = if plural == "keys" {
            let of = json!({ "org": "theirs", "team": "theirs-a", "user": "theirs-a" });
            made(&world, "/admin/v1/keys", &of)["id"].clone()
        } else {
            json!(named(plural, "theirs"))
        };
        let items = json!([{ "update": { "id": theirs, "set": {} } }, { "delete": { "id": theirs } }]);
        let (_, done) =
            world.call(key["key"].as_str().unwrap(), "POST", &route.path, &json!({ "items": items }));
        for item in done["items"].as_array().unwrap() {
            assert_eq!(item["status"], 404, "{what}: {done}");
        }
    }
    // What another organisation has is not there for whoever may do this at all.
    if !matches!(role, Role::GatewayAdmin | Role::Auditor) && route.path.contains("{id}") {
        let (status, answer) = call(&at("theirs"));
        assert_eq!(status, 404, "{what}: {answer}");
    }
    false
}

#[test]
fn an_org_admin_runs_what_belongs_to_the_organisation_and_nothing_beyond() {
    let world = orgs();
    let admin = manager(&world, &json!({ "kind": "management", "role": "org_admin", "org": "mine" }));
    let call = |method: &str, path: &str, body: Value| world.call(&admin, method, path, &body);
    // What it makes is its organisation's, said or not.
    let (status, team) = call("POST", "/admin/v1/teams", json!({ "id": "new" }));
    assert_eq!((status, &team["org"]), (201, &json!("mine")), "{team}");
    let (status, key) = call("POST", "/admin/v1/keys", json!({ "team": "mine-a", "user": "mine-a" }));
    assert_eq!((status, &key["org"]), (201, &json!("mine")), "{key}");
    for (method, path, body) in [
        ("POST", "/admin/v1/keys", json!({ "team": "theirs-a" })),
        ("POST", "/admin/v1/keys", json!({ "org": "theirs" })),
        ("POST", "/admin/v1/keys", json!({ "org": "default" })),
        ("POST", "/admin/v1/teams", json!({ "id": "x", "org": "theirs" })),
        ("POST", "/admin/v1/orgs", json!({ "id": "x" })),
        ("PATCH", "/admin/v1/orgs/mine", json!({ "limits": {} })),
        ("POST", "/admin/v1/keys", json!({ "kind": "management", "role": "gateway_admin" })),
        ("POST", "/admin/v1/keys", json!({ "kind": "read_only", "role": "auditor" })),
        ("POST", "/admin/v1/keys", json!({ "kind": "management", "role": "org_admin", "org": "theirs" })),
    ] {
        let (status, answer) = call(method, path, body.clone());
        assert!(matches!(status, 400 | 403 | 422), "{method} {path} {body}: {status} {answer}");
    }
    let mine = id(&key);
    for patch in [
        json!({ "team": "theirs-a" }),
        json!({ "org": "theirs", "team": null, "user": null }),
        json!({ "org": null, "team": null, "user": null }),
    ] {
        let (status, answer) = call("PATCH", &mine, patch.clone());
        assert!(matches!(status, 400 | 403 | 422), "{patch}: {status} {answer}");
    }
    // A team admin of the organisation may give a key to a user of it, and to nobody else's.
    let team = manager(&world, &json!({ "kind": "management", "role": "team_admin", "team": "mine-a" }));
    let (status, given) =
        world.call(&team, "POST", "/admin/v1/keys", &json!({ "team": "mine-a", "user": "mine-a" }));
    assert_eq!(status, 201, "{given}");
    let (status, refused) =
        world.call(&team, "POST", "/admin/v1/keys", &json!({ "team": "mine-a", "user": "theirs-a" }));
    let (missing, missed) =
        world.call(&team, "POST", "/admin/v1/keys", &json!({ "team": "mine-a", "user": "nobody" }));
    assert_eq!(status, missing);
    assert_eq!(refused["detail"].as_str().unwrap().replace("theirs-a", "nobody"), missed["detail"]);
}
