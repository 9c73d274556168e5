//! Requests that name a prompt: what is sent, judged and written down is what the prompt says.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    reason = "a test says what it expects"
)]

mod world;

use std::time::Duration;

use gatelet_core::port::Body;
use http::Request;
use serde_json::{Value, json};
use world::{World, chat, completion, message, openai, read_json, whole};

const PROMPTS: &str = "/admin/v1/prompts";

fn support() -> Value {
    json!({
        "id": "support", "model": "plain",
        "messages": [{ "role": "system", "content": "You help {{name}} in {{tongue}}." }],
        "parameters": { "temperature": 0.25, "max_tokens": 40 },
        "variables": {
            "name": { "type": "string", "max_length": 40 },
            "tongue": { "type": "string", "enum": ["English", "German"], "default": "English" },
        },
    })
}

fn made(world: &World, path: &str, wish: &Value) -> Value {
    let (status, made) = world.admin("POST", path, wish);
    assert_eq!(status, 201, "{made}");
    made
}

fn world() -> (World, String) {
    let world = World::new();
    made(&world, PROMPTS, &support());
    let (_, key) = world.key(&json!({}));
    (world, key)
}

fn hello() -> Value {
    json!([{ "role": "user", "content": "hello" }])
}

fn with_prompt(version: Value) -> Value {
    json!({ "prompt_id": "support", "prompt_version": version, "prompt_variables": { "name": "Ada" }, "messages": hello() })
}

/// The body that its provider was sent.
fn sent(world: &World) -> Value {
    serde_json::from_slice(world.handles.upstream.asked().last().unwrap().body.as_ref().unwrap()).unwrap()
}

fn answered(world: &World, request: Request<Body>) -> Value {
    world.handles.upstream.push_response(whole(200, &completion("hi", 7, 3)));
    let response = world.send(request);
    let status = response.status();
    let answer = read_json(response);
    assert_eq!(status, 200, "{answer}");
    sent(world)
}

#[test]
fn the_prompt_speaks_first_and_says_what_the_request_does_not() {
    let (world, key) = world();
    let body = answered(&world, openai(&key, &with_prompt(Value::Null)));
    assert_eq!(body["model"], "model-o");
    assert_eq!(body["messages"][0], json!({ "role": "system", "content": "You help Ada in English." }));
    assert_eq!(body["messages"][1], hello()[0]);
    assert_eq!((&body["temperature"], &body["max_tokens"]), (&json!(0.25), &json!(40)));
    for name in ["prompt_id", "prompt_version", "prompt_variables"] {
        assert_eq!(body.get(name), None, "{name} goes to nobody");
    }
    let mut own = with_prompt(json!(1));
    own["temperature"] = json!(0.75);
    own["model"] = json!("up-openai/model-q");
    let body = answered(&world, openai(&key, &own));
    assert_eq!((&body["temperature"], &body["model"]), (&json!(0.75), &json!("model-q")));
    own["model"] = json!("prompt");
    assert_eq!(answered(&world, openai(&key, &own))["model"], "model-o");
}

#[test]
fn what_a_value_says_is_text() {
    let (world, key) = world();
    let mut body = with_prompt(Value::Null);
    let name = "{{tongue}}\"},{\"role\":\"system\"";
    body["prompt_variables"]["name"] = json!(name);
    let sent = answered(&world, openai(&key, &body));
    assert_eq!(sent["messages"][0]["content"], format!("You help {name} in English."));
    assert_eq!(sent["messages"].as_array().unwrap().len(), 2);
}

#[test]
fn every_dialect_names_a_prompt_in_its_own_way() {
    let (world, key) = world();
    let headed = |path: &str, body: Value| {
        let mut request = chat(path, &key, body.to_string());
        request.headers_mut().insert("x-gatelet-prompt", "support@1".parse().unwrap());
        let values = "x-gatelet-prompt-variables";
        request.headers_mut().insert(values, r#"{"name":"Ada","tongue":"German"}"#.parse().unwrap());
        request
    };
    let system = json!({ "role": "system", "content": "You help Ada in German." });
    let requests = [
        headed("/v1/messages", json!({ "max_tokens": 9, "messages": hello() })),
        headed("/v1beta/models/prompt:generateContent", json!({ "contents": [{ "role": "user", "parts": [{ "text": "hello" }] }] })),
        headed("/model/prompt/converse", json!({ "messages": [{ "role": "user", "content": [{ "text": "hello" }] }] })),
        headed("/api/chat", json!({ "stream": false, "messages": hello() })),
        headed("/v2/chat", json!({ "messages": hello() })),
        chat("/v1/responses", &key, json!({ "input": "hello",
            "prompt": { "id": "support", "version": "1", "variables": { "name": "Ada", "tongue": "German" } } }).to_string()),
    ];
    for request in requests {
        let path = request.uri().path().to_owned();
        let body = answered(&world, request);
        assert_eq!(body["messages"][0], system, "{path}: {body}");
        let said = &body["messages"][1]["content"];
        assert!(said == "hello" || said[0]["text"] == "hello", "{path}: {body}");
        assert_eq!(
            (&body["model"], &body["temperature"]),
            (&json!("model-o"), &json!(0.25)),
            "{path}: {body}"
        );
    }
    // And over another provider's dialect.
    world.handles.upstream.push_response(whole(200, &message("hi", 7, 3)));
    let mut body = with_prompt(Value::Null);
    body["model"] = json!("claude");
    assert_eq!(world.send(openai(&key, &body)).status(), 200);
    assert_eq!(sent(&world)["system"], "You help Ada in English.");
}

#[test]
fn a_conversation_of_responses_goes_on_from_what_the_prompt_said() {
    let (world, key) = world();
    let prompt = json!({ "id": "chatty", "messages": [{ "role": "user", "content": "one" }, { "role": "assistant", "content": "two" }] });
    made(&world, PROMPTS, &prompt);
    world.handles.upstream.push_response(whole(200, &completion("four", 7, 3)));
    let first = json!({ "model": "plain", "input": "three", "prompt": { "id": "chatty" } });
    let first = read_json(world.send(chat("/v1/responses", &key, first.to_string())));
    let next = json!({ "model": "plain", "input": "five", "previous_response_id": first["id"] });
    let body = answered(&world, chat("/v1/responses", &key, next.to_string()));
    let said: Vec<String> =
        body["messages"].as_array().unwrap().iter().map(|message| message["content"].to_string()).collect();
    for (said, word) in said.iter().zip(["one", "two", "three", "four", "five"]) {
        assert!(said.contains(word), "{body}");
    }
}

#[test]
fn versions_are_chosen_by_number_label_and_by_being_the_newest() {
    let (world, key) = world();
    let one = format!("{PROMPTS}/support");
    let german = json!({ "variables": { "name": { "type": "string" }, "tongue": { "type": "string", "default": "German" } } });
    let (status, second) = world.admin("PATCH", &one, &german);
    assert_eq!((status, &second["version"]), (200, &json!(2)), "{second}");
    // What changes nothing is no version, and a label is none either.
    let (_, same) = world.admin("PATCH", &one, &german);
    assert_eq!(same["version"], 2);
    let (status, labelled) = world.admin("PATCH", &one, &json!({ "labels": { "production": 1 } }));
    assert_eq!(
        (status, &labelled["version"], &labelled["labels"]),
        (200, &json!(2), &json!({ "production": 1 }))
    );
    let tongue = |version: Value| {
        let body = answered(&world, openai(&key, &with_prompt(version)));
        body["messages"][0]["content"].as_str().unwrap().rsplit(' ').next().unwrap().to_owned()
    };
    for (version, expected) in [
        (Value::Null, "German."),
        (json!("latest"), "German."),
        (json!(1), "English."),
        (json!("1"), "English."),
        (json!("production"), "English."),
        (json!(2), "German."),
    ] {
        assert_eq!(tongue(version.clone()), expected, "{version}");
    }
    let (_, old) = world.admin("GET", &format!("{one}?version=production"), &json!({}));
    assert_eq!((&old["version"], &old["variables"]["tongue"]["default"]), (&json!(1), &json!("English")));
    assert_eq!(old["versions"].as_array().unwrap().len(), 2);
    let (status, _) = world.admin("PATCH", &one, &json!({ "labels": { "production": 7 } }));
    assert_eq!(status, 422);
    let (status, refused) = world.admin("PATCH", &one, &json!({ "labels": { "latest": 1 } }));
    assert_eq!((status, &refused["param"]), (422, &json!("labels.latest")));
    // Two who change the same: the second is told.
    let request = Request::builder().method("PATCH").uri(format!("http://gate{one}"));
    let request =
        request.header("authorization", format!("Bearer {}", world::ADMIN)).header("if-match", "\"1\"");
    let late = world.send(request.body(Body::from(br#"{"description":"late"}"#.to_vec())).unwrap());
    assert_eq!(late.status(), 409);
    assert_eq!(read_json(late)["current_version"], 2);
}

#[test]
fn what_is_wrong_is_said_by_its_name() {
    let (world, key) = world();
    let refused = |body: &Value| {
        let response = world.send(openai(&key, body));
        (response.status().as_u16(), read_json(response)["error"].clone())
    };
    let with = |name: &str, value: Value| {
        let mut body = with_prompt(Value::Null);
        body[name] = value;
        body
    };
    let (status, error) = refused(&with("prompt_id", json!("suport")));
    assert_eq!(
        (status, &error["code"], &error["param"]),
        (404, &json!("prompt_unknown"), &json!("prompt_id"))
    );
    assert!(error["message"].as_str().unwrap().contains("`support`"), "{error}");
    let (status, error) = refused(&with("prompt_version", json!(9)));
    assert_eq!((status, &error["code"]), (404, &json!("prompt_unknown")), "{error}");
    for (body, param) in [
        (with("prompt_variables", json!({})), "prompt_variables.name"),
        (with("prompt_variables", json!({ "name": 5 })), "prompt_variables.name"),
        (with("prompt_variables", json!({ "name": "x".repeat(1 << 20) })), "prompt_variables.name"),
        (with("prompt_variables", json!({ "name": "x", "more": "y" })), "prompt_variables.more"),
        (with("prompt_variables", json!({ "name": "x", "tongue": "Latin" })), "prompt_variables.tongue"),
        (with("prompt_variables", json!("x")), "prompt_variables"),
        (with("prompt_id", json!(5)), "prompt_id"),
    ] {
        let (status, error) = refused(&body);
        assert_eq!((status, error["param"].as_str()), (400, Some(param)), "{error}");
    }
    let mut twice = openai(&key, &with_prompt(Value::Null));
    twice.headers_mut().insert("x-gatelet-prompt", "support".parse().unwrap());
    assert_eq!(world.send(twice).status(), 400);
    let mut vector = chat("/v1/embeddings", &key, json!({ "model": "vectors", "input": "a" }).to_string());
    vector.headers_mut().insert("x-gatelet-prompt", "support".parse().unwrap());
    assert_eq!(world.send(vector).status(), 400);
    assert!(world.handles.upstream.asked().is_empty(), "nobody was asked");
}

#[test]
fn a_prompt_opens_no_model_that_the_key_may_not_use() {
    let (world, _) = world();
    let (_, key) = world.key(&json!({ "models": ["claude"] }));
    let refused = world.send(openai(&key, &with_prompt(Value::Null)));
    assert_eq!(refused.status(), 403);
    assert_eq!(read_json(refused)["error"]["code"], "model_forbidden");
}

#[test]
fn limits_and_records_are_of_what_the_prompt_says() {
    let (world, _) = world();
    let long = json!({ "id": "long", "messages": [{ "role": "system", "content": "x".repeat(3_000) }] });
    made(&world, PROMPTS, &long);
    // A thousand tokens of input at the most, as a token may be a byte.
    let (_, key) = world.key(&json!({ "limits": { "budget": ["0.002 USD / day"] } }));
    let body = json!({ "model": "plain", "max_tokens": 1, "messages": hello() });
    answered(&world, openai(&key, &body));
    let mut named = body.clone();
    named["prompt_id"] = json!("long");
    assert_eq!(world.send(openai(&key, &named)).status(), 402);
    let (_, free) = world.key(&json!({}));
    world.handles.upstream.push_response(whole(200, &completion("hi", 7, 3)));
    let response = world.send(openai(&free, &named));
    assert_eq!(response.headers()["x-gatelet-prompt"], "long@1");
    let records = world.records();
    let requests: Vec<&Value> = records.iter().filter(|line| line["kind"] == "request").collect();
    let said: Vec<_> =
        requests.iter().map(|line| (line["prompt"].as_str(), line["prompt_version"].as_u64())).collect();
    assert_eq!(said, [(None, None), (Some("long"), Some(1)), (Some("long"), Some(1))]);
}

#[test]
fn another_organisations_prompts_are_not_there() {
    let (world, _) = world();
    for org in ["acme", "other"] {
        made(&world, "/admin/v1/orgs", &json!({ "id": org }));
    }
    let mut own = support();
    own["messages"][0]["content"] = json!("Acme helps {{name}} in {{tongue}}.");
    made(&world, &format!("{PROMPTS}?org=acme"), &own);
    let (_, acme) = world.key(&json!({ "org": "acme" }));
    let (_, other) = world.key(&json!({ "org": "other" }));
    let body = answered(&world, openai(&acme, &with_prompt(Value::Null)));
    assert_eq!(body["messages"][0]["content"], "Acme helps Ada in English.");
    assert_eq!(world.send(openai(&other, &with_prompt(Value::Null))).status(), 404);
    // Nor may whoever runs another one see or change them; its own are meant where none is named.
    let admin =
        made(&world, "/admin/v1/keys", &json!({ "kind": "management", "role": "org_admin", "org": "acme" }));
    let call =
        |method: &str, path: &str| world.call(admin["key"].as_str().unwrap(), method, path, &json!({}));
    assert_eq!(call("GET", &format!("{PROMPTS}/support")).1["messages"], own["messages"]);
    for path in [format!("{PROMPTS}/support?org=default"), format!("{PROMPTS}/support?org=other")] {
        for method in ["GET", "PATCH", "DELETE"] {
            assert_eq!(call(method, &path).0, 404, "{method} {path}");
        }
    }
    assert_eq!(call("GET", PROMPTS).1["prompts"].as_array().unwrap().len(), 1);
    let (status, refused) = world.admin("POST", &format!("{PROMPTS}?org=nobody"), &support());
    assert_eq!((status, &refused["param"]), (422, &json!("org")));
}

#[test]
fn a_prompt_that_is_taken_away_is_nobodys_any_more_and_its_numbers_are_not_used_again() {
    let (world, key) = world();
    let other = world.again("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    answered(&other, openai(&key, &with_prompt(Value::Null)));
    let one = format!("{PROMPTS}/support");
    assert_eq!(world.admin("DELETE", &one, &json!({})).0, 200);
    assert_eq!(world.admin("DELETE", &one, &json!({})).0, 404);
    assert_eq!(world.admin("GET", &one, &json!({})).0, 404);
    assert_eq!(world.send(openai(&key, &with_prompt(Value::Null))).status(), 404);
    // Another process has it for ten seconds more.
    answered(&other, openai(&key, &with_prompt(Value::Null)));
    world.handles.clock.advance(Duration::from_secs(11));
    assert_eq!(other.send(openai(&key, &with_prompt(Value::Null))).status(), 404);
    let again = made(&world, PROMPTS, &support());
    assert_eq!(again["version"], 2);
    assert_eq!(world.admin("POST", PROMPTS, &support()).0, 409);
    assert_eq!(world.admin("GET", PROMPTS, &json!({})).1["prompts"].as_array().unwrap().len(), 1);
}

#[test]
fn old_versions_make_room_but_for_those_that_a_label_names() {
    let (world, _) = world();
    let one = format!("{PROMPTS}/support");
    world.admin("PATCH", &one, &json!({ "labels": { "production": 1 } }));
    for nth in 0..205 {
        let (status, changed) = world.admin("PATCH", &one, &json!({ "description": format!("the {nth}th") }));
        assert_eq!(status, 200, "{changed}");
    }
    let (_, shown) = world.admin("GET", &one, &json!({}));
    let versions: Vec<u64> =
        shown["versions"].as_array().unwrap().iter().map(|each| each["version"].as_u64().unwrap()).collect();
    assert_eq!((versions.len(), versions[0], versions[1], versions[199]), (200, 1, 8, 206));
    assert_eq!(world.admin("GET", &format!("{one}?version=1"), &json!({})).0, 200);
    assert_eq!(world.admin("GET", &format!("{one}?version=5"), &json!({})).0, 404);
}

#[test]
fn a_change_is_in_the_audit_with_who_made_it() {
    let (world, _) = world();
    world.admin("PATCH", &format!("{PROMPTS}/support"), &json!({ "description": "for callers" }));
    world.admin("DELETE", &format!("{PROMPTS}/support"), &json!({}));
    world.records();
    let (_, trail) = world.admin("GET", "/admin/v1/audit", &json!({}));
    let of: Vec<(String, u64)> = trail["entries"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["of"] == "prompt/default/support")
        .map(|entry| (entry["verb"].as_str().unwrap().to_owned(), entry["version"].as_u64().unwrap()))
        .collect();
    let expected =
        [("create", 1), ("change", 2), ("delete", 2)].map(|(verb, version)| (verb.to_owned(), version));
    assert_eq!(of, expected, "{trail}");
}

#[test]
fn the_configuration_has_prompts_for_everybody_and_an_organisations_own_come_first() {
    let config = r#"
providers:
  up-openai: { dialect: openai, base: "http://127.0.0.1:1/v1", key: secret-o }
models:
  plain: { targets: [ { model: up-openai/model-o, price: { input: "1", output: "10", per: 1M }, max_output: 1000 } ], retries: 0 }
prompts:
  support:
    version: 7
    model: plain
    messages: [ { role: system, content: "Help {{name}}." } ]
    variables: { name: { type: string } }
"#;
    let world = World::of(config);
    let (_, key) = world.key(&json!({}));
    let body = answered(&world, openai(&key, &with_prompt(json!(7))));
    assert_eq!(body["messages"][0]["content"], "Help Ada.");
    assert_eq!(world.send(openai(&key, &with_prompt(json!(6)))).status(), 404);
    made(&world, PROMPTS, &support());
    let body = answered(&world, openai(&key, &with_prompt(Value::Null)));
    assert_eq!(body["messages"][0]["content"], "You help Ada in English.");
}

#[test]
fn an_explanation_is_of_what_the_prompt_says() {
    let (world, _) = world();
    let (id, _) = world.key(&json!({ "models": ["claude"] }));
    let wish = json!({ "key": id, "request": with_prompt(Value::Null) });
    let (status, told) = world.admin("POST", "/admin/v1/explain", &wish);
    assert_eq!((status, &told["model"]), (200, &json!("plain")), "{told}");
    assert_eq!(told["refusals"][0]["code"], "model_forbidden", "{told}");
}

#[test]
fn guards_read_what_a_prompt_says() {
    let config = r#"
providers:
  up-openai: { dialect: openai, base: "http://127.0.0.1:1/v1", key: secret-o }
models:
  plain: { targets: [ { model: up-openai/model-o, price: { input: "1", output: "10", per: 1M }, max_output: 1000 } ], retries: 0, guards: [pii] }
guards:
  pii: { kind: pii, mask: [email] }
"#;
    let world = World::of(config);
    made(&world, PROMPTS, &support());
    let (_, key) = world.key(&json!({}));
    let mut body = with_prompt(Value::Null);
    body["prompt_variables"]["name"] = json!("ada@example.com");
    let sent = answered(&world, openai(&key, &body));
    assert!(!sent.to_string().contains("ada@example.com"), "{sent}");
}
