//! LiteLLM's management routes over ours.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use serde_json::{Value, json};
use world::{World, completion, openai, read_json, whole};

fn post(world: &World, path: &str, body: &Value) -> Value {
    let (status, answer) = world.admin("POST", path, body);
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

fn get(world: &World, path: &str) -> Value {
    let (status, answer) = world.admin("GET", path, &json!({}));
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

fn ask(world: &World, key: &str) -> (u16, Value) {
    world.handles.upstream.push_response(whole(200, &completion("hi", 7, 3)));
    let body =
        json!({ "model": "plain", "max_tokens": 10, "messages": [{ "role": "user", "content": "hello" }] });
    let response = world.send(openai(key, &body));
    (response.status().as_u16(), read_json(response))
}

#[test]
fn a_key_lives_from_generate_to_delete_in_their_words() {
    let world = World::new();
    let made = post(
        &world,
        "/key/generate",
        &json!({
            "key_alias": "search", "duration": "30d", "models": ["plain"], "rpm_limit": 60, "max_parallel_requests": 4,
            "max_budget": 0.01, "budget_duration": "30d", "metadata": { "a": 1 },
            // What their clients send without meaning anything by it.
            "aliases": {}, "config": {}, "spend": 0, "permissions": {}, "blocked": null, "send_invite_email": false,
        }),
    );
    let (key, token) = (made["key"].as_str().unwrap(), made["token"].as_str().unwrap());
    assert!(key.starts_with("gk_"), "{made}");
    assert_eq!(made["max_budget"], json!(0.01));
    assert_eq!(made["budget_duration"], "1mo");
    assert_eq!((&made["rpm_limit"], &made["max_parallel_requests"]), (&json!(60), &json!(4)));
    let (status, ours) = world.admin("GET", &format!("/admin/v1/keys/{token}"), &json!({}));
    assert_eq!((status, &ours["limits"]["budget"]), (200, &json!(["0.01 USD / month"])), "{ours}");

    assert_eq!(ask(&world, key).0, 200);
    for named in [key, token] {
        let info = get(&world, &format!("/key/info?key={named}"));
        assert_eq!((&info["key"], &info["info"]["spend"]), (&json!(token), &json!(0.000_037)), "{info}");
    }
    let listed = get(&world, "/key/list?return_full_object=true&key_alias=search");
    assert_eq!((&listed["total_count"], &listed["keys"][0]["token"]), (&json!(1), &json!(token)), "{listed}");
    assert_eq!(get(&world, "/key/list?team_id=none")["keys"], json!([]));
    assert_eq!(get(&world, "/key/aliases")["aliases"], json!(["search"]));

    // One of two fields that are one budget here.
    let changed = post(&world, "/key/update", &json!({ "key": key, "max_budget": 0.5, "models": [] }));
    assert_eq!((&changed["max_budget"], &changed["budget_duration"]), (&json!(0.5), &json!("1mo")));
    let changed = post(&world, "/key/update", &json!({ "key": key, "budget_duration": "6h" }));
    assert_eq!((&changed["max_budget"], &changed["budget_duration"]), (&json!(0.5), &json!("6h")));
    let changed = post(&world, "/key/update", &json!({ "key": key, "max_budget": null, "rpm_limit": null }));
    assert_eq!((&changed["max_budget"], &changed["rpm_limit"]), (&Value::Null, &Value::Null));
    assert_eq!(changed["max_parallel_requests"], 4);

    assert_eq!(post(&world, "/key/block", &json!({ "key": key }))["blocked"], true);
    assert_eq!(ask(&world, key).0, 403);
    assert_eq!(post(&world, "/key/unblock", &json!({ "key": token }))["blocked"], false);
    assert_eq!(ask(&world, key).0, 200);
    let deleted = post(&world, "/key/delete", &json!({ "keys": [key], "key_aliases": null }));
    assert_eq!(deleted["deleted_keys"], json!([key]));
    assert_eq!(ask(&world, key).0, 401);
    assert_eq!(get(&world, "/key/list")["keys"], json!([]));
}

#[test]
fn teams_and_users_are_made_listed_and_deleted_with_their_keys() {
    let world = World::new();
    let team =
        json!({ "team_id": "search-1", "team_alias": "Search", "max_budget": 2, "members_with_roles": [] });
    let made = post(&world, "/team/new", &team);
    assert_eq!((&made["team_alias"], &made["max_budget"]), (&json!("Search"), &json!(2.0)), "{made}");
    let unnamed = post(&world, "/team/new", &json!({ "team_alias": "No id" }));
    assert_eq!(unnamed["team_id"].as_str().unwrap().len(), 32);
    let user = post(
        &world,
        "/user/new",
        &json!({ "user_id": "ann", "user_email": "ann@example.com", "user_role": "internal_user" }),
    );
    assert!(user["key"].as_str().unwrap().starts_with("gk_"), "{user}");
    assert_eq!(user["user_email"], "ann@example.com");
    let key = post(&world, "/key/generate", &json!({ "team_id": "search-1", "user_id": "ben" }));
    assert_eq!(get(&world, "/user/info?user_id=ben")["keys"][0]["token"], key["token"]);
    assert_eq!(get(&world, "/team/info?team_id=search-1")["keys"][0]["token"], key["token"]);
    assert_eq!(get(&world, "/team/list").as_array().unwrap().len(), 2);
    assert_eq!(get(&world, "/v2/team/list?page_size=1")["total_pages"], 2);
    assert_eq!(get(&world, "/user/list")["users"].as_array().unwrap().len(), 2);

    let changed = post(&world, "/team/update", &json!({ "team_id": "search-1", "tpm_limit": 5000 }));
    assert_eq!((&changed["data"]["tpm_limit"], &changed["data"]["max_budget"]), (&json!(5000), &json!(2.0)));
    post(&world, "/team/block", &json!({ "team_id": "search-1" }));
    let secret = key["key"].as_str().unwrap();
    assert_eq!(ask(&world, secret).0, 403);
    post(&world, "/team/unblock", &json!({ "team_id": "search-1" }));
    assert_eq!(ask(&world, secret).0, 200);

    post(&world, "/team/delete", &json!({ "team_ids": ["search-1"] }));
    assert_eq!(ask(&world, secret).0, 401);
    assert_eq!(post(&world, "/user/delete", &json!({ "user_ids": ["ann", "ben"] })), 2);
    assert_eq!(get(&world, "/user/list")["users"], json!([]));
}

#[test]
fn organisations_customers_budgets_and_tags_are_there_too() {
    let world = World::new();
    let limits = json!({ "max_budget": 3, "budget_duration": "7d", "rpm_limit": 9 });
    for (noun, id, asked, wanted) in [
        ("organization", "organization_id", "organization_id", "acme"),
        ("customer", "user_id", "end_user_id", "Zoe of Acme"),
        ("end_user", "user_id", "end_user_id", "zed@example.com"),
        ("budget", "budget_id", "budget_id", "free-tier"),
        ("tag", "name", "name", "batch/nightly"),
        ("project", "project_id", "project_id", "search"),
        ("user", "user_id", "user_id", "Ann@Example.com"),
    ] {
        let mut wish = limits.clone();
        wish[id] = json!(wanted);
        wish["auto_create_key"] = json!(false);
        post(&world, &format!("/{noun}/new"), &wish);
        let query = form_urlencoded::Serializer::new(String::new()).append_pair(asked, wanted).finish();
        let found = get(&world, &format!("/{noun}/info?{query}"));
        let found = if noun == "user" { &found["user_info"] } else { &found };
        assert_eq!((&found[id], &found["max_budget"]), (&json!(wanted), &json!(3.0)), "{found}");
        assert_eq!((&found["budget_duration"], &found["rpm_limit"]), (&json!("1w"), &json!(9)), "{found}");
        post(&world, &format!("/{noun}/update"), &json!({ id: wanted, "rpm_limit": 10 }));
        let list = get(&world, &format!("/{noun}/list"));
        let list = if noun == "user" { &list["users"] } else { &list };
        let mine = list.as_array().unwrap().iter().find(|one| one[id] == wanted).unwrap();
        assert_eq!(mine["rpm_limit"], 10);
        let delete = if noun == "budget" { json!({ "id": wanted }) } else { json!({ id: wanted }) };
        post(&world, &format!("/{noun}/delete"), &delete);
        let list = get(&world, &format!("/{noun}/list")).to_string();
        assert!(!list.contains(wanted), "{list}");
    }
}

/// Their database keeps hashes; what callers hold goes on opening the key, where the configuration says so.
#[test]
fn a_key_of_theirs_goes_on_opening_what_it_opened() {
    const THEIRS: &str = "sk-1234567890abcdef";
    // printf %s sk-1234567890abcdef | sha256sum
    const HASH: &str = "dd65e03569cfa4fa17f41cc914529f60fa210b46a7ee8647c7c2f1ed5844a3ea";
    let row =
        json!({ "token": HASH, "key_alias": "old", "max_budget": 1, "expires": "2099-01-01T00:00:00Z" });
    let world = World::of(
        r#"
imported_keys: true
providers: { up: { dialect: openai, base: "http://127.0.0.1:1/v1", key: secret } }
models: { plain: { targets: [ { model: up/model-o, price: { input: "1", output: "10" }, max_output: 1000 } ] } }
"#,
    );
    assert_eq!(ask(&world, THEIRS).0, 401);
    let made = post(&world, "/key/generate", &row);
    assert_eq!(
        (&made["key"], &made["key_alias"], &made["max_budget"]),
        (&Value::Null, &json!("old"), &json!(1.0))
    );
    assert_eq!(ask(&world, THEIRS).0, 200);
    assert_eq!(ask(&world, "sk-1234567890abcdeg").0, 401);
    let token = made["token"].as_str().unwrap();
    assert_eq!(get(&world, &format!("/key/info?key={token}"))["info"]["spend"], json!(0.000_037));
    let (status, _) = world.admin("POST", "/key/generate", &json!({ "token": HASH, "key_alias": "other" }));
    assert_eq!(status, 409, "it is there");
    // It gets a token of ours in its place.
    let ours = post(&world, "/key/regenerate", &json!({ "key": token }))["key"].clone();
    assert_eq!(ask(&world, ours.as_str().unwrap()).0, 200);
    assert_eq!(ask(&world, THEIRS).0, 401);

    // Where nothing is said of imported keys, none opens anything.
    let world = World::new();
    post(&world, "/key/generate", &row);
    assert_eq!(ask(&world, THEIRS).0, 401);
    for hash in ["", "abc", &HASH.to_uppercase()] {
        let (status, _) = world.admin("POST", "/admin/v1/keys", &json!({ "token_hash": hash }));
        assert_eq!(status, 422, "{hash}");
    }
}

#[test]
fn what_was_spent_there_counts_here_from_the_start() {
    let world = World::new();
    post(&world, "/team/new", &json!({ "team_id": "t", "max_budget": 9.0, "spend": 1.5 }));
    post(&world, "/user/new", &json!({ "user_id": "u", "spend": 0.0, "auto_create_key": false }));
    let asked =
        json!({ "team_id": "t", "max_budget": 0.01, "budget_duration": "30d", "spend": 1.234_567_890_1e-2 });
    let made = post(&world, "/key/generate", &asked);
    assert_eq!(made["spend"], 0.012_345_679);
    let key = made["key"].as_str().unwrap();
    let (status, refused) = ask(&world, key);
    assert_eq!((status, &refused["error"]["code"]), (402, &json!("budget_spent")), "{refused}");
    let shown = |path: &str| world.admin("GET", &format!("/admin/v1/{path}"), &json!({})).1;
    let team = shown("teams/t");
    assert_eq!((&team["opening"], &team["usage"]["spent"]), (&json!("1.5"), &json!("1.5")));
    assert_eq!(shown("users/u")["opening"], Value::Null);
    let key = shown(&format!("keys/{}", made["token"].as_str().unwrap()));
    assert_eq!(key["usage"]["budget"][0]["spent"], "0.012345679");
    // No report tells of what was spent elsewhere, and nobody says later what the beginning was.
    assert_eq!(shown("spend?by=team")["rows"], json!([]));
    for (path, body, status) in [
        ("/admin/v1/teams", json!({ "id": "v", "opening": "-1" }), 400),
        ("/admin/v1/teams", json!({ "id": "v", "opening": 1 }), 400),
        ("/admin/v1/teams", json!({ "id": "v", "opening": "0.0000000001" }), 400),
        ("/admin/v1/templates", json!({ "id": "v", "opening": "1" }), 422),
        ("/team/update", json!({ "team_id": "t", "spend": 0.1 }), 400),
    ] {
        assert_eq!(world.admin("POST", path, &body).0, status, "{path} {body}");
    }
    assert_eq!(world.admin("PATCH", "/admin/v1/teams/t", &json!({ "opening": "0" })).0, 400);
}

#[test]
fn models_budgets_by_name_and_limits_of_single_models_are_carried() {
    let world = World::new();
    post(
        &world,
        "/budget/new",
        &json!({ "budget_id": "small", "max_budget": 0.25, "budget_duration": "1d" }),
    );
    let team = post(
        &world,
        "/team/new",
        &json!({ "team_id": "t", "models": ["plain", "claude"], "budget_id": "small" }),
    );
    assert_eq!((&team["models"], &team["max_budget"]), (&json!(["plain", "claude"]), &json!(0.25)), "{team}");
    let key = post(
        &world,
        "/key/generate",
        &json!({ "team_id": "t", "budget_id": "small", "end_user_budget_id": "small", "model_rpm_limit": { "plain": 1 },
                 "model_max_budget": { "plain": { "budget_limit": 3, "time_period": "7d" }, "claude": 2 } }),
    );
    let (_, ours) =
        world.admin("GET", &format!("/admin/v1/keys/{}", key["token"].as_str().unwrap()), &json!({}));
    assert_eq!(ours["limits"]["budget"], json!(["0.25 USD / day"]), "{ours}");
    assert_eq!(ours["customers"]["template"], "small");
    assert_eq!(ours["model_limits"]["plain"], json!({ "rpm": 1, "budget": ["3 USD / week"] }));
    assert_eq!(ours["model_limits"]["claude"], json!({ "budget": ["2 USD / total"] }));
    let secret = key["key"].as_str().unwrap();
    assert_eq!(ask(&world, secret).0, 200);
    assert_eq!(ask(&world, secret).0, 429);
}

#[test]
fn what_was_spent_is_told_in_their_words() {
    let world = World::new();
    post(&world, "/team/new", &json!({ "team_id": "search" }));
    let made =
        post(&world, "/key/generate", &json!({ "team_id": "search", "user_id": "ann", "tags": ["nightly"] }));
    let (key, token) = (made["key"].as_str().unwrap(), made["token"].as_str().unwrap());
    assert_eq!(ask(&world, key).0, 200);
    assert_eq!(ask(&world, key).0, 200);
    post(&world, "/admin/v1/tick", &json!({}));
    let near = |value: &Value| (value.as_f64().unwrap() - 0.000_074).abs() < 1e-12;
    let logs = get(&world, "/spend/logs");
    let day = &logs[0];
    assert!(near(&day["spend"]) && near(&day["users"]["ann"]) && near(&day[token]), "{logs}");
    assert!(near(&day["models"]["model-o"]), "{logs}");
    let report = get(&world, "/global/spend/report?group_by=team");
    assert_eq!(report[0]["teams"][0]["team_name"], "search");
    assert!(near(&report[0]["teams"][0]["total_spend"]), "{report}");
    assert_eq!(report[0]["teams"][0]["metadata"][0]["total_tokens"], 20);
    assert!(near(&get(&world, "/global/spend")["spend"]));
    assert!(near(&get(&world, "/global/spend/models")[0]["total_spend"]));
    assert_eq!(get(&world, "/spend/tags")[0]["individual_request_tag"], "nightly");
    assert_eq!(get(&world, &format!("/spend/logs?api_key={key}"))[0]["spend"], day["spend"]);
    assert_eq!(get(&world, "/spend/logs?api_key=none"), json!([]));
    let (_, listed) = world.admin("GET", "/admin/v1/requests?limit=1", &json!({}));
    let id = listed["requests"][0]["id"].as_str().unwrap();
    let row = &get(&world, &format!("/spend/logs?request_id={id}"))[0];
    assert_eq!(
        (&row["request_id"], &row["api_key"], &row["status"]),
        (&json!(id), &json!(token), &json!("success"))
    );
    assert_eq!((&row["prompt_tokens"], &row["completion_tokens"]), (&json!(7), &json!(3)), "{row}");
    assert_eq!(row["spend"], json!(0.000_037));
    let (status, _) = world.admin("GET", "/spend/logs?request_id=req_1", &json!({}));
    assert_eq!(status, 404);
}

#[test]
fn what_has_no_counterpart_is_refused_by_its_name_and_nothing_is_made() {
    let world = World::new();
    for (path, body, param) in [
        ("/key/generate", json!({ "guardrails": ["pii"] }), "guardrails"),
        ("/key/generate", json!({ "max_budget": -1 }), "max_budget"),
        ("/key/generate", json!({ "max_budget": "NaN" }), "max_budget"),
        ("/key/generate", json!({ "max_budget": 1, "budget_duration": "soon" }), "budget_duration"),
        ("/key/generate", json!({ "duration": "99999999999999999999d" }), "duration"),
        ("/key/generate", json!({ "rpm_limit": "many" }), "limits.rpm"),
        ("/key/generate", json!({ "models": "plain" }), "models"),
        ("/key/generate", json!({ "key": "sk-mine" }), "key"),
        ("/key/delete", json!({}), "keys"),
        ("/team/new", json!({ "team_id": "A Team" }), "id"),
        ("/team/new", json!({ "team_id": "t", "model_aliases": { "a": "b" } }), "model_aliases"),
    ] {
        let (status, answer) = world.admin("POST", path, &body);
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(status == 400 && message.contains(&format!("`{param}`")), "{path} {body}: {status} {answer}");
    }
    assert_eq!(get(&world, "/key/list")["total_count"], 0);
    assert_eq!(get(&world, "/team/list"), json!([]));
}

#[test]
fn whoever_is_no_admin_is_none_here_either() {
    let world = World::new();
    let (_, key) = world.key(&json!({ "models": ["plain"] }));
    for path in ["/key/list", "/team/list", "/user/list"] {
        let request = http::Request::get(path).header("authorization", format!("Bearer {key}"));
        let response = world.send(request.body(gatelet_core::port::Body::Empty).unwrap());
        assert!([401, 403].contains(&response.status().as_u16()), "{path}: {}", response.status());
    }
    // Models are for every key: those that it may call.
    let request = http::Request::get("/model/info").header("authorization", format!("Bearer {key}"));
    let mine = read_json(world.send(request.body(gatelet_core::port::Body::Empty).unwrap()));
    assert_eq!(mine["data"].as_array().unwrap().len(), 1);
    assert_eq!(mine["data"][0]["litellm_params"]["model"], "up-openai/model-o");
    assert_eq!(mine["data"][0]["model_info"]["output_cost_per_token"], json!(0.000_01));
    assert!(get(&world, "/v1/model/info")["data"].as_array().unwrap().len() > 10);
    assert!(get(&world, "/model_group/info")["data"][0]["model_group"].is_string());
    assert_eq!(get(&world, "/health/liveliness"), "I'm alive!");
    assert_eq!(get(&world, "/health/readiness")["status"], "ok");
}

#[test]
fn members_come_into_a_team_with_a_budget_of_their_own_and_leave_it() {
    let world = World::new();
    post(&world, "/team/new", &json!({ "team_id": "search" }));
    post(&world, "/user/new", &json!({ "user_id": "ann", "auto_create_key": false }));
    let added = post(
        &world,
        "/team/member_add",
        &json!({ "team_id": "search", "max_budget_in_team": 0.000_05,
            "member": [{ "role": "admin", "user_id": "ann" }, { "role": "user", "user_email": "ben@example.com" }] }),
    );
    assert_eq!(added["updated_users"][1]["user_id"], "ben@example.com", "{added}");
    let listed = get(&world, "/user/list").to_string();
    assert!(listed.contains("ben@example.com"), "who was nobody is a user now: {listed}");
    let info = get(&world, "/team/info?team_id=search");
    let role = |place: usize| info["team_info"]["members_with_roles"][place]["role"].as_str().unwrap();
    assert_eq!((role(0), role(1)), ("admin", "user"), "{info}");
    assert_eq!(info["team_memberships"][0]["litellm_budget_table"]["max_budget"], json!(0.000_05));

    // What a member may spend there is the member's: a request too dear for it is refused.
    let key = post(&world, "/key/generate", &json!({ "team_id": "search", "user_id": "ann" }));
    let secret = key["key"].as_str().unwrap();
    assert_eq!(ask(&world, secret).0, 402);
    let changed = post(
        &world,
        "/team/member_update",
        &json!({ "team_id": "search", "user_id": "ann", "max_budget_in_team": 5, "role": "user" }),
    );
    assert_eq!(changed["max_budget_in_team"], json!(5.0), "{changed}");
    assert_eq!(ask(&world, secret).0, 200);

    let left = post(&world, "/team/member_delete", &json!({ "team_id": "search", "user_id": "ann" }));
    assert_eq!(left["members_with_roles"].as_array().unwrap().len(), 1, "{left}");
    let (status, refused) = world.call(
        world::ADMIN,
        "POST",
        "/team/member_add",
        &json!({ "team_id": "search", "member": { "user_id": "eve", "role": "owner" } }),
    );
    assert_eq!(status, 400, "{refused}");
    assert!(!get(&world, "/user/list").to_string().contains("eve"), "nothing is made of what is refused");
}

#[test]
fn health_tells_of_the_targets_that_were_asked() {
    let world = World::new();
    assert_eq!(get(&world, "/health")["healthy_count"], 0);
    let key = post(&world, "/key/generate", &json!({}));
    assert_eq!(ask(&world, key["key"].as_str().unwrap()).0, 200);
    let health = get(&world, "/health");
    assert_eq!((&health["healthy_count"], &health["unhealthy_count"]), (&json!(1), &json!(0)), "{health}");
    let model = health["healthy_endpoints"][0]["model"].as_str().unwrap();
    assert_eq!(get(&world, &format!("/health?model={model}"))["healthy_count"], 1);
    assert_eq!(get(&world, "/health?model=nowhere/nothing")["healthy_count"], 0);
}
