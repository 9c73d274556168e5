//! What is explained is what happens.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use serde_json::{Value, json};
use world::{World, openai, read_json};

const CONFIG: &str = r#"
providers:
  up: { dialect: openai, base: "http://127.0.0.1:1/v1", key: a-secret }
models:
  plain: { targets: [ { model: up/dear, price: { input: "1", output: "10", per: 1M }, max_output: 1000 } ], fallbacks: [cheap], retries: 0 }
  guessed: { targets: [ { model: up/guessed, price: { input: "1", output: "10", per: 1M }, max_output: 1000 } ], retries: 0, estimate: 300 }
  cheap: { targets: [ { model: up/cheap, price: { input: "0", output: "0" }, max_output: 10 } ], retries: 0 }
"#;

fn explained(world: &World, wish: &Value) -> Value {
    let (status, told) = world.admin("POST", "/admin/v1/explain", wish);
    assert_eq!(status, 200, "{told}");
    told
}

/// All that the books say of a key.
fn books(world: &World, id: &str) -> Value {
    let (_, key) = world.admin("GET", &format!("/admin/v1/keys/{id}"), &json!({}));
    let (_, spend) = world.admin("GET", "/admin/v1/spend?by=key", &json!({}));
    json!([key["usage"], key["version"], spend["rows"]])
}

#[test]
fn what_is_explained_is_what_happens_and_nothing_happens_by_it() {
    let world = World::of(CONFIG);
    let (status, _) =
        world.admin("POST", "/admin/v1/teams", &json!({ "id": "poor", "limits": { "rpm": 0 } }));
    assert_eq!(status, 201);
    let little = json!(["0.000001 USD / day"]);
    // Whether each is admitted.
    let cases = [
        (json!({}), "plain", true),
        (json!({ "limits": { "budget": ["1 USD / day"], "rpm": 9, "parallel": 2 } }), "plain", true),
        (json!({ "limits": { "rpm": 0 } }), "plain", false),
        (json!({ "team": "poor" }), "plain", false),
        (json!({ "limits": { "tpm": 1 } }), "plain", false),
        (json!({ "limits": { "budget": little } }), "plain", false),
        (json!({ "model_limits": { "plain": { "rpm": 0 } } }), "plain", false),
        (json!({ "models": ["cheap"] }), "plain", false),
        (json!({ "routes": ["embedding"] }), "plain", false),
        (json!({}), "nobody", false),
        (json!({ "limits": { "rpm": 0, "shadow": true } }), "plain", true),
        (
            json!({ "limits": { "budget": little, "at_limit": { "cheaper": ["nobody", "cheap"] } } }),
            "plain",
            true,
        ),
    ];
    for (wish, model, admitted) in cases {
        let (id, secret) = world.key(&wish);
        let question = json!({ "model": model, "messages": [{ "role": "user", "content": "one two" }] });
        let before = books(&world, &id);
        let told = explained(&world, &json!({ "key": id, "request": question }));
        let again = explained(&world, &json!({ "key": id, "request": question, "model": model }));
        assert_eq!(told["tries"][0]["accounts"], again["tries"][0]["accounts"], "{wish}");
        assert_eq!(books(&world, &id), before, "{wish}: it was only explained");
        let answer = world.send(openai(&secret, &question));
        let status = answer.status().as_u16();
        // Nobody listens upstream: what is admitted fails there.
        let passed = status >= 500;
        assert_eq!(told["admitted"] == true, passed, "{wish}: {status} {told}");
        assert_eq!(told["admitted"], admitted, "{wish}: {told}");
        if passed {
            continue;
        }
        let refused = read_json(answer);
        assert_eq!(told["refusals"][0]["code"], refused["error"]["code"], "{wish}");
        assert_eq!(told["refusals"][0]["status"], status, "{wish}");
        assert_eq!(told["refusals"][0]["detail"], refused["error"]["message"], "{wish}");
    }
}

#[test]
fn an_explanation_names_limits_with_what_is_left_and_which_of_them_refuses() {
    let world = World::of(CONFIG);
    let team =
        json!({ "id": "a", "limits": { "budget": ["0.000001 USD / day"], "rpm": 5 }, "models": ["pl*"] });
    assert_eq!(world.admin("POST", "/admin/v1/teams", &team).0, 201);
    let (id, _) = world.key(&json!({ "team": "a", "models": ["*"], "limits": { "rpm": 3 } }));
    let told = explained(&world, &json!({ "key": id, "model": "plain" }));
    assert_eq!(told["admitted"], false);
    let accounts = told["tries"][0]["accounts"].as_array().unwrap();
    let of = |name: &str| accounts.iter().find(|met| met["account"] == name).unwrap();
    let (team, key) = (of("team/a"), of(&format!("key/{id}")));
    assert_eq!((&key["usage"]["rpm"]["remaining"], &key["refuses"]), (&json!(3), &Value::Null));
    assert_eq!(team["refuses"]["limit"], "0.000001 USD / day");
    assert_eq!(team["usage"]["budget"][0]["remaining"], "0.000001");
    let lists = told["models"].as_array().unwrap();
    assert_eq!(lists.len(), 2);
    assert!(lists.iter().all(|list| list["allows"] == true), "{lists:?}");
    let plan: Vec<&str> =
        told["plan"].as_array().unwrap().iter().map(|way| way["target"].as_str().unwrap()).collect();
    assert_eq!(plan, ["up/dear", "up/cheap"], "its own target, then its fallback's");
    assert_eq!(told["plan"][0]["price"]["output"], "0.00001");
    let credentials = [&told["plan"][0]["credential"], &told["plan"][1]["credential"]];
    assert_eq!(credentials, ["configuration", "configuration"]);
    assert!(!told.to_string().contains("a-secret"), "{told}");
    assert!(!told.to_string().contains("hash"), "{told}");

    // Soft, watched, falling and waiting.
    let (id, _) =
        world.key(&json!({ "limits": { "rpm": 0, "shadow": true, "soft_budget": ["0.000001 USD / day"] } }));
    let told = explained(&world, &json!({ "key": id, "model": "plain" }));
    assert_eq!(told["admitted"], true);
    assert_eq!(told["shadowed"].as_array().unwrap().len(), 1, "{told}");
    let falls = json!({ "budget": ["0.000001 USD / day"], "at_limit": { "cheaper": ["cheap"] } });
    let (id, _) = world.key(&json!({ "limits": falls }));
    let told = explained(&world, &json!({ "key": id, "model": "plain" }));
    assert_eq!((&told["fell_to"], told["tries"].as_array().unwrap().len()), (&json!("cheap"), 2), "{told}");
    let (id, _) = world.key(&json!({ "limits": { "parallel": 0, "at_limit": { "wait": 2 } } }));
    let told = explained(&world, &json!({ "key": id, "model": "plain" }));
    assert_eq!((&told["admitted"], &told["waits_ms"]), (&json!(false), &json!(2_000)));
}

#[test]
fn an_estimate_is_held_of_a_request_without_a_cap_but_where_money_must_be_exact() {
    let world = World::of(CONFIG);
    let asked = |limits: Value, request: Value| {
        let (id, _) = world.key(&json!({ "limits": limits }));
        let told = explained(&world, &json!({ "key": id, "model": "guessed", "request": request }));
        let tried = &told["tries"][0];
        (tried["output_tokens"].as_u64().unwrap(), tried["elastic"] == true, told["output_cap"].as_u64())
    };
    let uncapped = json!({ "messages": [{ "role": "user", "content": "one" }] });
    let capped = json!({ "messages": [{ "role": "user", "content": "one" }], "max_tokens": 700 });
    assert_eq!(asked(json!({ "tpm": 5000 }), uncapped.clone()), (300, false, None));
    assert_eq!(asked(json!({ "tpm": 5000 }), capped.clone()), (700, false, None));
    assert_eq!(
        asked(json!({ "tpm": 5000, "soft_budget": ["1 USD / day"] }), uncapped.clone()),
        (300, false, None)
    );
    assert_eq!(
        asked(json!({ "tpm": 5000, "budget": ["1 USD / day"] }), uncapped.clone()),
        (1000, true, Some(1000))
    );
    let watched = json!({ "budget": ["1 USD / day"], "shadow": true });
    assert_eq!(asked(watched, uncapped), (300, false, None), "what is only watched need not be exact");
    assert_eq!(asked(json!({ "budget": ["1 USD / day"] }), capped), (700, false, None));
}

#[test]
fn a_key_for_models_explains_itself_and_nothing_else() {
    let world = World::of(CONFIG);
    let (mine, secret) = world.key(&json!({}));
    let (theirs, _) = world.key(&json!({}));
    let path = "/admin/v1/explain";
    let (status, told) = world.call(&secret, "POST", path, &json!({ "model": "plain" }));
    assert_eq!((status, &told["key"]["id"]), (200, &json!(mine)), "{told}");
    assert_eq!(world.call(&secret, "POST", path, &json!({ "key": mine, "model": "plain" })).0, 200);
    assert_eq!(world.call(&secret, "POST", path, &json!({ "key": theirs, "model": "plain" })).0, 404);
    assert_eq!(world.call(&secret, "GET", &format!("/admin/v1/keys/{mine}"), &json!({})).0, 403);
    assert_eq!(
        world.admin("POST", path, &json!({ "model": "plain" })).0,
        422,
        "the admin has no key to explain"
    );
    for (wish, status) in [
        (json!({ "key": mine, "model": "plain", "path": "/health/live" }), 422),
        (json!({ "key": mine, "model": "plain", "headers": { "authorization": "x" } }), 422),
        (json!({ "key": mine, "model": "plain", "source": "nowhere" }), 400),
        (json!({ "key": "nobody", "model": "plain" }), 404),
    ] {
        assert_eq!(world.admin("POST", path, &wish).0, status, "{wish}");
    }
    let (_, told) = world.admin("POST", path, &json!({ "key": mine }));
    assert_eq!(
        (&told["admitted"], &told["refusals"][0]["status"]),
        (&json!(false), &json!(400)),
        "it names no model"
    );
}

#[test]
fn bodies_are_read_strictly() {
    let world = World::of(CONFIG);
    let keys = "/admin/v1/keys";
    for (body, param) in [
        (json!({ "limits": [5] }), "limits"),
        (json!({ "customers": [] }), "customers"),
        (json!({ "metadata": null }), "metadata"),
        (json!({ "limits": { "rpm": 1.5 } }), "limits.rpm"),
        (json!({ "tags": ["a", 7] }), "tags[1]"),
        (json!({ "model_limits": { "m": { "rpm": "7" } } }), "model_limits.m.rpm"),
        (json!({ "limits": { "at_limit": { "wait": 1, "throttle": 2 } } }), "limits.at_limit"),
        (json!({ "nonsense": 1 }), "nonsense"),
    ] {
        let (status, problem) = world.admin("POST", keys, &body);
        assert_eq!((status, &problem["param"]), (400, &json!(param)), "{body}: {problem}");
    }
    let (status, made) =
        world.admin("POST", keys, &json!({ "limits": { "rpm": 5.0, "at_limit": { "wait": 3.0 } } }));
    assert_eq!((status, &made["limits"]), (201, &json!({ "rpm": 5, "at_limit": { "wait": 3 } })));
    // A choice is replaced as a whole, and a patch of what is not there takes nothing away.
    let one = format!("{keys}/{}", made["id"].as_str().unwrap());
    let patch = json!({ "limits": { "at_limit": { "throttle": 4 } }, "customers": { "allow": null, "template": "t" } });
    let (status, changed) = world.admin("PATCH", &one, &patch);
    assert_eq!(
        (status, &changed["limits"]),
        (200, &json!({ "rpm": 5, "at_limit": { "throttle": 4 } })),
        "{changed}"
    );
    assert_eq!(changed["customers"], json!({ "allow": "any", "template": "t" }));
}

#[test]
fn a_plan_says_why_each_target_has_its_place_and_why_others_have_none() {
    const PLANNED: &str = r#"
providers:
  us: { dialect: openai, base: "http://us.example/v1", key: a, region: us-east-1 }
  eu: { dialect: openai, base: "http://eu.example/v1", key: b, region: eu-west-1 }
models:
  many:
    strategy: weighted
    targets: [ us/a, eu/a, { model: eu/b, level: 1 }, { model: eu/short, context: 1 } ]
    retries: 0
    fallbacks: [last]
    fallbacks_on: { context_window: [wide] }
  last: { targets: [ eu/c ], retries: 0 }
  wide: { targets: [ eu/wide ], retries: 0 }
health: { faults: 1 }
"#;
    let world = World::of(PLANNED);
    let (id, key) = world.key(&json!({ "residency": { "regions": ["eu*"] } }));
    let question = json!({ "messages": [{ "role": "user", "content": "x".repeat(500) }] });
    let wish = json!({ "key": id, "model": "many", "request": question });
    let told = explained(&world, &wish);
    let plan = |told: &Value| -> Vec<(String, String, String)> {
        let ways = told["plan"].as_array().unwrap().iter();
        let text = |way: &Value, name: &str| way[name].as_str().unwrap_or_default().to_owned();
        ways.map(|way| (text(way, "target"), text(way, "of"), text(way, "why"))).collect()
    };
    let row = |target: &str, of: &str, why: &str| (target.to_owned(), of.to_owned(), why.to_owned());
    let weighted = "put in order by weighted";
    assert_eq!(
        plan(&told),
        [
            row("eu/a", "many", &format!("a target of the model itself, {weighted}")),
            row("eu/b", "many", &format!("a target of the model itself, of level 1, {weighted}")),
            row("eu/c", "last", "a fallback, `last`"),
            row("eu/wide", "wide", "`wide` takes what is too long for the others"),
        ],
        "{told}"
    );
    assert_eq!(told["plan"][3]["only_on"], "context_window");
    let absent = [
        json!({ "target": "us/a", "why": "it is in us-east-1, and the caller is pinned to regions eu*" }),
        json!({ "target": "eu/short", "why": "it cannot take so much input (`messages`)" }),
    ];
    assert_eq!(told["absent"], json!(absent), "{told}");
    // What is out is asked last, and the plan says until when and why.
    world.handles.upstream.push(|_, _| Ok(world::whole(500, &json!({}))));
    world.handles.upstream.always(|_, _| Ok(world::whole(200, &world::completion("hi", 1, 1))));
    let mut asked = question.clone();
    asked["model"] = json!("many");
    assert_eq!(world.send(openai(&key, &asked)).status(), 200);
    let told = explained(&world, &wish);
    let last = &told["plan"][2];
    assert_eq!((&last["target"], &last["standing"]), (&json!("eu/a"), &json!("out")), "{told}");
    assert!(last["why"].as_str().unwrap().ends_with("(provider), so it is asked last"), "{last}");
    // Who is refused is told the same.
    let (status, _) =
        world.admin("PATCH", &format!("/admin/v1/keys/{id}"), &json!({ "limits": { "rpm": 0 } }));
    assert_eq!(status, 200);
    let told = explained(&world, &wish);
    assert_eq!((told["admitted"] == true, plan(&told).len()), (false, 4), "{told}");
}

#[test]
fn calls_of_a_providers_own_interface_are_explained_as_they_are_made() {
    let world = World::new();
    let budget = json!({ "limits": { "budget": ["1 USD / day"] } });
    let messages = json!([{ "role": "user", "content": "one two" }]);
    // No cap is put into what goes on as it is.
    let uncapped = json!({ "model": "model-q", "messages": messages });
    let chat = json!({ "model": "model-q", "max_completion_tokens": 5, "messages": messages });
    // What the key is, what it asks for, whether it is admitted, and what it may cost at most.
    let cases = [
        (json!({}), "PATCH", "/up-openai/v1/files/x?after=1", None, true, "0"),
        (budget.clone(), "POST", "/up-openai/v1/batches", None, false, "0"),
        (budget.clone(), "GET", "/search/find?q=a", None, true, "0.01"),
        (json!({ "limits": { "budget": ["0.009 USD / day"] } }), "GET", "/search/find", None, false, "0.01"),
        (budget.clone(), "GET", "/gratis/x", None, true, "0"),
        (json!({ "limits": { "rpm": 0 } }), "GET", "/gratis/x", None, false, "0"),
        (json!({ "models": ["plain"] }), "GET", "/gratis/x", None, false, "0"),
        (json!({ "routes": ["chat"] }), "GET", "/gratis/x", None, false, "0"),
        (budget.clone(), "POST", "/up-openai/v1/chat/completions", Some(uncapped), false, ""),
        (budget, "POST", "/up-openai/v1/chat/completions", Some(chat), true, ""),
        (json!({}), "GET", "/up-openai/../../etc", None, false, ""),
        (json!({}), "GET", "/nobody/x", None, false, ""),
    ];
    for (wish, method, path, body, admitted, cost) in cases {
        let (id, secret) = world.key(&wish);
        let before = books(&world, &id);
        let question = json!({ "key": id, "method": method, "path": path, "request": body });
        let (status, told) = world.admin("POST", "/admin/v1/explain", &question);
        assert_eq!(books(&world, &id), before, "{path}: it was only explained");
        world.handles.upstream.push_response(world::whole(200, &json!({})));
        let sent = http::Request::builder()
            .method(method)
            .uri(format!("http://gate{path}"))
            .header("authorization", format!("Bearer {secret}"))
            .header("content-type", "application/json")
            .body(body.map_or(gatelet_core::port::Body::Empty, |body| body.to_string().into_bytes().into()))
            .unwrap();
        let answer = world.send(sent);
        let passed = answer.status() == 200;
        assert_eq!(passed, admitted, "{wish} {path}: {}", answer.status());
        if status == 422 {
            assert_eq!((path, answer.status().as_u16()), ("/nobody/x", 404), "{told}");
            continue;
        }
        assert_eq!((status, &told["admitted"]), (200, &json!(admitted)), "{wish} {path}: {told}");
        if !passed {
            assert_eq!(told["refusals"][0]["status"], answer.status().as_u16(), "{wish} {path}: {told}");
            assert_eq!(told["refusals"][0]["code"], read_json(answer)["error"]["code"], "{wish} {path}");
        }
        if !told["tries"][0].is_null() && !cost.is_empty() {
            assert_eq!(told["tries"][0]["cost"], cost, "{wish} {path}: {told}");
        }
        if passed {
            let operation = if path.ends_with("completions") { "chat" } else { "native" };
            assert_eq!(told["operation"], operation, "{path}");
            assert!(told["plan"][0]["target"].as_str().unwrap().starts_with(path.split('/').nth(1).unwrap()));
        }
    }
}

#[test]
fn a_form_is_explained_by_its_fields_and_the_length_of_its_file() {
    let world = World::new();
    // At the lowest rate 750,000 bytes are a thousand seconds, which cost a tenth of a dollar.
    let asked = |budget: &str, file: Value| {
        let (id, _) = world.key(&json!({ "limits": { "budget": [budget] } }));
        let form = json!({ "model": "ear", "language": "de" });
        let wish = json!({ "key": id, "path": "/v1/audio/transcriptions", "form": form, "file": file });
        let told = explained(&world, &wish);
        assert_eq!((&told["operation"], &told["model"]), (&json!("transcription"), &json!("ear")), "{told}");
        (told["admitted"] == true, told["tries"][0]["cost"].as_str().unwrap().parse::<f64>().unwrap())
    };
    let (admitted, cost) = asked("1 USD / day", json!(750_000));
    assert!(admitted && (0.1..0.101).contains(&cost), "{cost}");
    let (admitted, cost) = asked("0.01 USD / day", json!(750_000));
    assert!(!admitted && (0.1..0.101).contains(&cost), "{cost}");
    let (admitted, cost) = asked("0.01 USD / day", Value::Null);
    assert!(admitted && cost < 0.001, "{cost}");
    let (id, _) = world.key(&json!({}));
    let path = "/v1/audio/transcriptions";
    for (wish, param) in [
        (json!({ "key": id, "path": path, "file": 5 }), "file"),
        (json!({ "key": id, "path": path, "form": { "model": "ear" }, "request": {} }), "form"),
        (json!({ "key": id, "form": { "model": "plain" } }), "form"),
        (json!({ "key": id, "path": path, "form": { "a\r\nb": "x" } }), "form"),
        (json!({ "key": id, "method": "GET", "model": "plain" }), "method"),
    ] {
        let (status, problem) = world.admin("POST", "/admin/v1/explain", &wish);
        assert_eq!((status, &problem["param"]), (422, &json!(param)), "{wish}: {problem}");
    }
}
