//! Where requests may go: pins of keys, of what they belong to, and of the configuration.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use gatelet_core::policy::{Host, Policy};
use gatelet_core::port::Body;
use gatelet_core::registry::Registry;
use http::Request;
use serde_json::{Value, json};
use world::{World, completion, openai, read_json, whole};

const CONFIG: &str = r#"
providers:
  us: { dialect: openai, base: "http://us.example/v1", key: secret-1, region: us-east-1, passthrough: free }
  eu: { dialect: openai, base: "http://eu.example/v1", key: secret-2, region: eu-west-1 }
  nowhere: { dialect: openai, base: "http://nowhere.example/v1", key: secret-3 }
models:
  both: { targets: [ us/m, eu/m ], retries: 0, fallbacks: [anywhere] }
  anywhere: { targets: [ nowhere/m, { model: nowhere/n, region: eu-central-1 } ], retries: 0 }
  american: { targets: [ us/m ], retries: 0, fallbacks: [unknown] }
  unknown: { targets: [ nowhere/m ], retries: 0 }
  ruled: { targets: [ eu/m ], retries: 0, rules: [ { when: { stream: false }, to: american } ] }
residency:
  - { teams: [health], regions: ["eu*"] }
  - { keys: [careful], providers: [eu] }
"#;

fn world() -> World {
    let world = World::of(CONFIG);
    world.handles.upstream.always(|_, _| Ok(whole(200, &completion("hi", 5, 1))));
    world
}

fn ask(world: &World, key: &str, model: &str) -> (u16, Value, Vec<String>) {
    let before = world.handles.upstream.asked().len();
    let body = json!({ "model": model, "max_tokens": 10, "messages": [{ "role": "user", "content": "hi" }] });
    let response = world.send(openai(key, &body));
    let status = response.status().as_u16();
    let asked = world.handles.upstream.asked()[before..].iter().map(|one| one.uri.to_string()).collect();
    (status, read_json(response), asked)
}

fn hosts(asked: &[String]) -> Vec<&str> {
    asked.iter().map(|uri| uri.split("//").nth(1).unwrap().split('.').next().unwrap()).collect()
}

#[test]
fn a_target_outside_is_never_called_though_all_others_fail() {
    let world = world();
    let (_, key) = world.key(&json!({ "residency": { "regions": ["eu-west-1", "eu-central*"] } }));
    let (status, _, asked) = ask(&world, &key, "both");
    assert_eq!((status, hosts(&asked)), (200, vec!["eu"]));
    world.handles.upstream.always(|_, _| Ok(whole(503, &json!({ "error": { "message": "no" } }))));
    let (status, _, asked) = ask(&world, &key, "both");
    // The fallback's second target says where it is, the first does not.
    assert_eq!((status, hosts(&asked)), (503, vec!["eu", "nowhere"]));
}

#[test]
fn where_no_target_is_left_the_request_is_refused_and_nothing_is_called_or_charged() {
    let world = world();
    let (id, key) = world.key(
        &json!({ "residency": { "regions": ["eu*"] }, "limits": { "budget": ["1 USD / day"], "rpm": 5 } }),
    );
    for model in ["american", "ruled"] {
        let (status, answer, asked) = ask(&world, &key, model);
        assert_eq!((status, asked), (403, vec![]));
        assert_eq!(answer["error"]["code"], "outside_residency", "{answer}");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains("regions eu*") && message.contains(model), "{message}");
    }
    let usage = world.usage(&id);
    assert_eq!(usage["budget"][0]["spent"], "0", "{usage}");
}

#[test]
fn pins_of_the_key_and_of_what_it_belongs_to_bind_all_together() {
    let world = world();
    let (status, team) = world.admin(
        "POST",
        "/admin/v1/teams",
        &json!({ "id": "search", "residency": { "providers": ["eu", "us"] } }),
    );
    assert_eq!((status, &team["residency"]), (201, &json!({ "providers": ["eu", "us"] })));
    let (_, key) = world.key(&json!({ "team": "search", "residency": { "regions": ["us*"] } }));
    assert_eq!(hosts(&ask(&world, &key, "both").2), ["us"]);
    // From the next request on, as a change of rights is.
    let change = json!({ "residency": { "providers": ["eu"] } });
    assert_eq!(world.admin("PATCH", "/admin/v1/teams/search", &change).0, 200);
    assert_eq!(ask(&world, &key, "both").0, 403);
    let change = json!({ "residency": null });
    assert_eq!(world.admin("PATCH", "/admin/v1/teams/search", &change).0, 200);
    assert_eq!(ask(&world, &key, "both").0, 200);
    for wrong in [json!({}), json!({ "regions": [] }), json!({ "regions": [""] })] {
        let (status, _) = world.admin("POST", "/admin/v1/keys", &json!({ "residency": wrong }));
        assert_eq!(status, 422, "{wrong}");
    }
}

#[test]
fn the_configuration_pins_teams_and_keys_by_name() {
    let world = world();
    world.admin("POST", "/admin/v1/teams", &json!({ "id": "health" }));
    let (_, key) = world.key(&json!({ "team": "health" }));
    assert_eq!(hosts(&ask(&world, &key, "both").2), ["eu"]);
    let (_, key) = world.key(&json!({ "alias": "careful" }));
    assert_eq!(hosts(&ask(&world, &key, "both").2), ["eu"]);
    assert_eq!(ask(&world, &key, "anywhere").0, 403);
    let (_, key) = world.key(&json!({}));
    assert_eq!(hosts(&ask(&world, &key, "both").2), ["us"]);
}

#[test]
fn a_providers_own_interface_is_no_way_around() {
    let world = world();
    let (_, key) = world.key(&json!({ "residency": { "regions": ["eu*"] } }));
    for path in ["/us/v1/files", "/us/v1/chat/completions"] {
        let request = Request::builder()
            .method("POST")
            .uri(format!("http://gate{path}"))
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json")
            .body(json!({ "model": "m", "max_tokens": 5, "messages": [] }).to_string().into_bytes().into())
            .unwrap();
        let response = world.send(request);
        assert_eq!(response.status(), 403, "{path}");
        assert_eq!(read_json(response)["error"]["code"], "outside_residency", "{path}");
    }
    assert_eq!(world.handles.upstream.asked().len(), 0);
}

#[test]
fn the_record_proves_it() {
    let world = world();
    let (_, key) = world.key(&json!({ "residency": { "regions": ["eu*"], "providers": ["eu"] } }));
    ask(&world, &key, "both");
    let records = world.records();
    let of = |kind: &str| records.iter().find(|record| record["kind"] == kind).unwrap();
    assert_eq!(of("request")["residency"], json!(["regions eu*; providers eu"]));
    assert_eq!(of("attempt")["region"], "eu-west-1");
}

#[test]
fn a_pin_to_what_no_target_has_is_a_fault_of_the_configuration() {
    let host = Host { variable: &|_| None, ollama: false, registry: Registry::full() };
    let faults = |pins: &str| {
        let text = CONFIG.split("residency:").next().unwrap();
        match Policy::read("gatelet.yaml", &format!("{text}residency:\n  - {pins}\n"), &host) {
            Ok(_) => String::new(),
            Err(problems) => problems.to_string(),
        }
    };
    assert_eq!(faults("{ regions: [\"eu*\"] }"), "");
    let regions = faults("{ regions: [moon] }");
    assert!(
        regions.contains("`moon`") && regions.contains("eu-central-1, eu-west-1, us-east-1"),
        "{regions}"
    );
    assert!(faults("{ providers: [elsewhere] }").contains("no target is of the provider `elsewhere`"));
    assert!(faults("{ providers: [us], regions: [\"eu*\"] }").contains("of these providers and in these"));
    assert!(faults("{ teams: [a] }").contains("expected `regions` or `providers`"));
    assert!(faults("{ region: eu }").contains("region"));
}

#[test]
fn a_profile_of_bedrock_is_in_its_geography_and_not_where_it_is_called() {
    let config = r#"
providers:
  bedrock: { key: "AKID:secret", region: eu-west-1 }
models:
  "a": { targets: [ bedrock/eu.anthropic.claude-sonnet-4-20250514-v1:0 ] }
  "b": { targets: [ bedrock/global.anthropic.claude-sonnet-4-20250514-v1:0 ] }
  "c": { targets: [ bedrock/anthropic.claude-sonnet-4-20250514-v1:0 ] }
  "d": { targets: [ { model: bedrock/global.anthropic.claude-sonnet-4-20250514-v1:0, region: eu-west-1 } ] }
"#;
    let host = Host { variable: &|_| None, ollama: false, registry: Registry::full() };
    let policy = Policy::read("gatelet.yaml", config, &host).expect("it is right");
    let region = |name: &str| match policy.resolve(name) {
        gatelet_core::policy::Resolution::Found(model) => model.targets[0].region.clone(),
        gatelet_core::policy::Resolution::Unknown { .. } => panic!("{name}"),
    };
    assert_eq!(
        ["a", "b", "c", "d"].map(|name| region(name).unwrap_or_default().into_string()),
        ["eu", "global", "eu-west-1", "eu-west-1"]
    );
}

#[test]
fn who_may_be_called_is_found_behind_any_number_of_those_who_may_not() {
    let outside = (0..20).map(|number| format!("us/m{number}")).collect::<Vec<_>>().join(", ");
    let config = format!(
        "{}  many: {{ targets: [ {outside}, eu/m ], retries: 0 }}\n",
        CONFIG.split("residency:").next().unwrap(),
    );
    let world = World::of(&config);
    world.handles.upstream.always(|_, _| Ok(whole(200, &completion("hi", 5, 1))));
    let (_, key) = world.key(&json!({ "residency": { "regions": ["eu*"] } }));
    let (status, answer, asked) = ask(&world, &key, "many");
    assert_eq!((status, hosts(&asked)), (200, vec!["eu"]), "{answer}");
}

const PLACES: &str = r#"
providers:
  eu: { dialect: openai, base: "http://eu.example/v1", key: secret-2, region: eu-west-1 }
models:
  m: { targets: [ eu/m ], retries: 0, cache: 10m }
sinks:
  inside: { kind: webhook, url: "https://inside.example/in", region: eu-central-1, content: true }
  outside: { kind: webhook, url: "https://outside.example/in", region: us-east-1, content: true }
  unknown: { kind: webhook, url: "https://unknown.example/in", content: true }
content: { keep: full, region: CONTENT }
cache: { region: CACHE }
"#;

/// A world whose archive and cache are there.
fn places(content: &str, cache: &str) -> World {
    let world = World::of(&PLACES.replace("CONTENT", content).replace("CACHE", cache));
    world.handles.upstream.always(|request, _| match request.uri().host().unwrap() {
        "eu.example" => Ok(whole(200, &completion("the answer", 5, 1))),
        _ => Ok(whole(200, &json!({}))),
    });
    world
}

/// What each sink has heard, in all.
fn heard(world: &World, sink: &str) -> String {
    let asked = world.handles.upstream.asked();
    let to = asked.iter().filter(|one| one.uri.host().unwrap().starts_with(sink));
    to.map(|one| String::from_utf8_lossy(one.body.as_deref().unwrap_or_default()).into_owned()).collect()
}

fn request(world: &World) -> Value {
    world.records().into_iter().find(|record| record["kind"] == "request").unwrap()
}

#[test]
fn a_pinned_request_is_told_to_sinks_inside_alone_and_its_record_says_so() {
    let world = places("eu-west-1", "us-east-1");
    let (_, key) = world.key(&json!({ "residency": { "regions": ["eu*"] } }));
    for _ in 0..2 {
        assert_eq!(hosts(&ask(&world, &key, "m").2), ["eu"], "nothing is kept outside");
    }
    let record = request(&world);
    let id = record["id"].as_str().unwrap();
    assert_eq!(record["kept_in"], json!(["sinks/inside (eu-central-1)", "content (eu-west-1)"]), "{record}");
    assert_eq!(
        record["left_out"],
        json!(["sinks/outside (us-east-1)", "sinks/unknown", "cache (us-east-1)"])
    );
    let (status, score) = world.admin(
        "POST",
        &format!("/admin/v1/requests/{id}/scores"),
        &json!({ "name": "good", "value": 1 }),
    );
    assert_eq!(status, 201, "{score}");
    world.records();
    world.handles.clock.advance(std::time::Duration::from_mins(1));
    world.records();
    let inside = heard(&world, "inside");
    assert!(inside.contains(id) && inside.contains("the answer") && inside.contains("\"good\""), "{inside}");
    for sink in ["outside", "unknown"] {
        assert_eq!(heard(&world, sink), "", "{sink}");
    }
    // Of who is not pinned everybody hears.
    let (_, free) = world.key(&json!({}));
    ask(&world, &free, "m");
    let records = world.records();
    let record = records.iter().rfind(|record| record["kind"] == "request").unwrap();
    assert!(record.get("kept_in").is_none() && record.get("left_out").is_none(), "{record}");
    for sink in ["inside", "outside", "unknown"] {
        assert!(heard(&world, sink).contains(record["id"].as_str().unwrap()), "{sink}");
    }
}

#[test]
fn nothing_that_a_pinned_request_said_is_kept_outside() {
    for (region, kept) in [("us-east-1", false), ("eu-west-1", true)] {
        let world = places(region, region);
        let (_, key) = world.key(&json!({ "residency": { "regions": ["eu*"] } }));
        ask(&world, &key, "m");
        let (_, _, asked) = ask(&world, &key, "m");
        assert_eq!(asked.is_empty(), kept, "{region}: the cache");
        let record = request(&world);
        assert_eq!(record.get("content").is_some(), kept, "{record}");
        let place = json!(format!("content ({region})"));
        let list = if kept { "kept_in" } else { "left_out" };
        assert!(record[list].as_array().unwrap().contains(&place), "{record}");
    }
}

#[test]
fn a_sink_that_moves_hears_nothing_of_what_was_pinned_before() {
    let world = places("eu-west-1", "eu-west-1");
    let (_, key) = world.key(&json!({ "residency": { "regions": ["eu*"] } }));
    // So that they have a place in the feed.
    world.records();
    ask(&world, &key, "m");
    let moved = PLACES
        .replace("eu-central-1", "eu-north-1")
        .replace("CONTENT", "eu-west-1")
        .replace("CACHE", "eu-west-1");
    let host = Host { variable: &|_| None, ollama: false, registry: Registry::full() };
    world.gateway.replace_policy(Policy::read("gatelet.yaml", &moved, &host).unwrap());
    world.records();
    assert_eq!(heard(&world, "inside"), "");
}

#[test]
fn a_region_is_a_name() {
    let host = Host { variable: &|_| None, ollama: false, registry: Registry::full() };
    let wrong = PLACES.replace("CONTENT", "\"eu*\"").replace("CACHE", "\"\"");
    let problems = Policy::read("gatelet.yaml", &wrong, &host).unwrap_err().to_string();
    for place in ["content.region", "cache.region"] {
        assert!(problems.contains(place), "{problems}");
    }
    assert!(problems.contains("the name of a region"), "{problems}");
}

#[test]
fn a_service_that_guards_is_asked_inside_alone() {
    let guarded = |region: &str, fail: &str, mode: &str| {
        let world = World::of(&format!(
            "providers:\n  eu: {{ dialect: openai, base: 'http://eu.example/v1', key: k, region: eu-west-1 }}\n\
             models:\n  m: {{ targets: [{{ model: eu/m, price: {{ input: '1', output: '1' }} }}] }}\n\
             guards:\n  out: {{ kind: webhook, url: 'https://guard.example/v1', for: all, fail: {fail}, mode: {mode}{region} }}\n"
        ));
        world.handles.upstream.always(|request, _| match request.uri().host().unwrap() {
            "eu.example" => Ok(whole(200, &completion("hi", 5, 1))),
            _ => Ok(whole(200, &json!({ "action": "NONE" }))),
        });
        world
    };
    let pin = json!({ "residency": { "regions": ["eu*"] } });
    for (region, fail, mode, status, asked, outcome) in [
        (", region: eu-west-1", "closed", "block", 200, vec!["guard", "eu", "guard"], "passed"),
        (", region: us-east-1", "closed", "block", 400, vec![], "blocked"),
        ("", "closed", "mask", 400, vec![], "blocked"),
        ("", "open", "block", 200, vec!["eu"], "failed"),
        ("", "closed", "flag", 200, vec!["eu"], "failed"),
    ] {
        let world = guarded(region, fail, mode);
        let (_, key) = world.key(&pin);
        let (said, body, went) = ask(&world, &key, "m");
        assert_eq!((said, hosts(&went)), (status, asked), "{region} {fail} {mode}: {body}");
        let record = request(&world);
        let guard = &record["guards"][0];
        assert_eq!(guard["outcome"], json!(outcome), "{record}");
        let outside = outcome != "passed";
        assert_eq!(guard.get("unread").is_some(), outside, "{record}");
        let place = region.trim_start_matches(", region: ");
        let place = if place.is_empty() { "guards/out".to_owned() } else { format!("guards/out ({place})") };
        assert!(
            record[if outside { "left_out" } else { "kept_in" }].as_array().unwrap().contains(&json!(place)),
            "{record}"
        );
        assert_eq!(record["cost"] == "0", status == 400, "{record}");
        // Who is not pinned goes by it wherever it is.
        let (_, free) = world.key(&json!({}));
        assert_eq!(hosts(&ask(&world, &free, "m").2), ["guard", "eu", "guard"]);
    }
    let host = Host { variable: &|_| None, ollama: false, registry: Registry::full() };
    let wrong = "guards:\n  out: { kind: webhook, url: 'https://guard.example/v1', region: 'eu*' }\n";
    let problems = Policy::read("gatelet.yaml", wrong, &host).unwrap_err().to_string();
    assert!(problems.contains("guards.out.region"), "{problems}");
}

#[test]
fn answers_to_go_on_from_are_kept_inside_alone() {
    for (region, kept) in
        [("", false), ("responses: { region: us-east-1 }", false), ("responses: { region: eu-west-1 }", true)]
    {
        let world = World::of(&format!("{CONFIG}{region}\n"));
        world.handles.upstream.always(|_, _| Ok(whole(200, &completion("hi", 5, 1))));
        let (_, key) = world.key(&json!({ "residency": { "regions": ["eu*"] } }));
        let send = |method: &str, path: &str, body: &Value| {
            let request = Request::builder().method(method).uri(format!("http://gate{path}"));
            let request = request.header("authorization", format!("Bearer {key}"));
            world.send(request.body(Body::from(body.to_string().into_bytes())).unwrap())
        };
        let answer = send("POST", "/v1/responses", &json!({ "model": "both", "input": "hi" }));
        assert_eq!(answer.status(), 200);
        let loss = answer.headers().get("x-gatelet-loss").map(|loss| loss.to_str().unwrap().to_owned());
        assert_eq!(loss.is_some_and(|loss| loss.contains("store")), !kept, "{region}");
        let id = read_json(answer)["id"].as_str().unwrap().to_owned();
        let shown = send("GET", &format!("/v1/responses/{id}"), &Value::Null);
        assert_eq!(shown.status(), if kept { 200 } else { 404 }, "{region}");
        let later =
            send("POST", "/v1/responses", &json!({ "model": "both", "input": "hi", "background": true }));
        // In the memory nothing is made in the background: what is allowed is refused for another reason.
        let problem = read_json(later)["error"]["message"].as_str().unwrap().to_owned();
        assert_eq!(problem.contains("residency"), !kept, "{problem}");
    }
}
