//! Whom a request goes to: strategies, levels, and targets that are out.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use gatelet_core::port::{Body, Fault, FaultKind};
use http::{Request, Response};
use serde_json::{Value, json};
use world::{World, completion, completion_chunks, ok, openai, sse, whole};

const CONFIG: &str = r#"
providers:
  one: { dialect: openai, base: "http://one.example/v1", key: secret-1 }
  two: { dialect: openai, base: "http://two.example/v1", key: secret-2 }
  three: { dialect: openai, base: "http://three.example/v1", key: secret-3 }
models:
  spread:
    strategy: weighted
    targets: [ { model: one/m, weight: 3 }, { model: two/m, weight: 1 } ]
    retries: 0
  cheap:
    strategy: lowest-cost
    targets:
      - { model: one/m, price: { input: "2", output: "8" } }
      - { model: two/m, price: { input: "1", output: "4" } }
    retries: 0
  levels:
    strategy: weighted
    targets: [ { model: one/m, level: 1, weight: 1000 }, { model: two/m } ]
    retries: 0
  ordered: { targets: [ one/m, two/m ], retries: 0, fallbacks: [last] }
  last: { targets: [ three/m ], retries: 0 }
  alone: { targets: [ one/m ], retries: 0 }
  narrow:
    targets: [ { model: one/m, rpm: 2 }, { model: two/m } ]
    retries: 0
  patient: { targets: [ one/m, two/m ], retries: 2, fallbacks: [last] }
  long: { targets: [ one/m, two/m ], retries: 0, fallbacks: [last], fallbacks_on: { context_window: [wide], content_policy: [lax] } }
  wide: { targets: [ three/wide ], retries: 0 }
  lax: { targets: [ three/lax ], retries: 0 }
  drawn: { strategy: weighted, affinity: [session, prefix], targets: [ one/m, two/m, three/m ], retries: 0 }
  learns: { strategy: adaptive, targets: [ one/m, two/m ], retries: 0 }
health: { faults: 3, out: 10s, longest: 1m, ramp: 10s }
"#;

fn question(model: &str) -> Value {
    json!({ "model": model, "max_tokens": 10, "messages": [{ "role": "user", "content": "hi" }] })
}

fn host(request: &Request<Body>) -> String {
    request.uri().host().unwrap().split('.').next().unwrap().to_owned()
}

/// A world in which the hosts named in `down` answer as `fault` says, and all others well.
fn world(down: &'static [&'static str], fault: fn() -> Result<Response<Body>, Fault>) -> (World, String) {
    let world = World::of(CONFIG);
    world.handles.upstream.always(move |request, _| {
        if down.contains(&&*host(&request)) { fault() } else { Ok(whole(200, &completion("hi", 5, 1))) }
    });
    let (_, key) = world.key(&json!({}));
    (world, key)
}

#[expect(clippy::unnecessary_wraps, reason = "an answer of a scripted upstream")]
fn overloaded() -> Result<Response<Body>, Fault> {
    Ok(whole(503, &json!({ "error": { "message": "overloaded", "type": "server_error" } })))
}

/// Asks so often; how often each host was asked, and the status of the last answer.
fn ask(world: &World, key: &str, model: &str, times: usize) -> (BTreeMap<String, usize>, u16) {
    let before = world.handles.upstream.asked().len();
    let mut status = 0;
    for _ in 0..times {
        status = world.send(openai(key, &question(model))).status().as_u16();
    }
    let mut asked = BTreeMap::new();
    for one in &world.handles.upstream.asked()[before..] {
        *asked.entry(one.uri.host().unwrap().split('.').next().unwrap().to_owned()).or_default() += 1;
    }
    (asked, status)
}

fn counts(pairs: &[(&str, usize)]) -> BTreeMap<String, usize> {
    pairs.iter().map(|(host, count)| ((*host).to_owned(), *count)).collect()
}

fn target(world: &World, name: &str) -> Value {
    let (status, page) = world.admin("GET", "/admin/v1/targets", &json!({}));
    assert_eq!(status, 200, "{page}");
    let found = page["targets"].as_array().unwrap().iter().find(|target| target["target"] == name).cloned();
    found.unwrap_or_else(|| panic!("{page}"))
}

#[test]
fn a_weighted_model_spreads_its_requests() {
    let (world, key) = world(&[], overloaded);
    let (asked, _) = ask(&world, &key, "spread", 400);
    assert!((260..340).contains(&asked["one"]), "{asked:?}");
    assert_eq!(asked["one"] + asked["two"], 400);
}

#[test]
fn the_cheapest_for_the_request_is_asked() {
    let (world, key) = world(&[], overloaded);
    assert_eq!(ask(&world, &key, "cheap", 5).0, counts(&[("two", 5)]));
}

#[test]
fn a_lower_level_is_asked_first_whatever_weights_say() {
    let (world, key) = world(&[], overloaded);
    assert_eq!(ask(&world, &key, "levels", 20).0, counts(&[("two", 20)]));
}

#[test]
fn a_target_that_fails_goes_out_and_comes_back_by_a_probe() {
    let (world, key) = world(&["one"], overloaded);
    let (asked, status) = ask(&world, &key, "ordered", 3);
    assert_eq!((asked, status), (counts(&[("one", 3), ("two", 3)]), 200));
    let out = target(&world, "one/m");
    assert_eq!((&out["standing"], &out["fault"]), (&json!("out"), &json!("provider")), "{out}");
    assert_eq!(
        ask(&world, &key, "ordered", 10).0,
        counts(&[("two", 10)]),
        "what is out costs callers nothing"
    );
    world.handles.clock.advance(Duration::from_secs(10));
    assert_eq!(target(&world, "one/m")["standing"], "probe");
    // It still fails: out for twice as long.
    assert_eq!(ask(&world, &key, "ordered", 5).0, counts(&[("one", 1), ("two", 5)]));
    world.handles.clock.advance(Duration::from_secs(19));
    assert_eq!(ask(&world, &key, "ordered", 5).0, counts(&[("two", 5)]));
    world.handles.upstream.always(|_, _| Ok(whole(200, &completion("hi", 5, 1))));
    world.handles.clock.advance(Duration::from_secs(1));
    assert_eq!(ask(&world, &key, "ordered", 1).0, counts(&[("one", 1)]));
    assert_eq!(target(&world, "one/m")["standing"], "returning");
    let (asked, _) = ask(&world, &key, "ordered", 200);
    assert!((5..50).contains(&asked["one"]), "a tenth of its turns: {asked:?}");
    world.handles.clock.advance(Duration::from_secs(10));
    assert_eq!(ask(&world, &key, "ordered", 20).0, counts(&[("one", 20)]));
}

#[test]
fn who_has_nowhere_else_to_go_is_served_by_a_try() {
    let (world, key) = world(&["one"], overloaded);
    let (asked, status) = ask(&world, &key, "alone", 10);
    assert_eq!((asked, status), (counts(&[("one", 10)]), 503));
    world.handles.upstream.always(|_, _| Ok(whole(200, &completion("hi", 5, 1))));
    assert_eq!(ask(&world, &key, "alone", 1), (counts(&[("one", 1)]), 200));
}

#[test]
fn fallbacks_that_are_well_are_asked_before_targets_that_are_out() {
    let (world, key) = world(&["one", "two"], || {
        Err(Fault::new(FaultKind::Unavailable, "upstream.send", "connection refused"))
    });
    ask(&world, &key, "ordered", 3);
    assert_eq!(target(&world, "two/m")["fault"], "network");
    assert_eq!(ask(&world, &key, "ordered", 4), (counts(&[("three", 4)]), 200));
}

#[test]
fn what_the_caller_does_wrong_puts_nothing_out() {
    let (world, key) = world(&["one"], || {
        Ok(whole(400, &json!({ "error": { "message": "bad", "type": "invalid_request_error" } })))
    });
    assert_eq!(ask(&world, &key, "ordered", 20), (counts(&[("one", 20)]), 400));
    assert_eq!(target(&world, "one/m")["standing"], "in");
}

#[test]
fn a_rate_limit_puts_a_target_out_at_once_for_as_long_as_it_says() {
    let (world, key) = world(&["one"], || {
        let mut response =
            whole(429, &json!({ "error": { "message": "slow down", "type": "rate_limit_error" } }));
        response.headers_mut().insert("retry-after", 30.into());
        Ok(response)
    });
    assert_eq!(ask(&world, &key, "ordered", 5), (counts(&[("one", 1), ("two", 5)]), 200));
    assert_eq!(target(&world, "one/m")["fault"], "rate_limit");
    world.handles.clock.advance(Duration::from_secs(29));
    assert_eq!(ask(&world, &key, "ordered", 1).0, counts(&[("two", 1)]));
    world.handles.clock.advance(Duration::from_secs(1));
    assert_eq!(ask(&world, &key, "ordered", 1).0, counts(&[("one", 1), ("two", 1)]));
}

#[test]
fn a_wrong_credential_puts_a_target_out_and_says_so() {
    let (world, key) = world(&["one"], || {
        Ok(whole(401, &json!({ "error": { "message": "wrong key", "type": "authentication_error" } })))
    });
    assert_eq!(ask(&world, &key, "ordered", 5), (counts(&[("one", 2), ("two", 5)]), 200));
    assert_eq!(target(&world, "one/m")["fault"], "credential");
}

#[test]
fn a_target_whose_quota_is_used_up_is_spared_until_the_minute_has_passed() {
    let (world, key) = world(&[], overloaded);
    assert_eq!(ask(&world, &key, "narrow", 5).0, counts(&[("one", 2), ("two", 3)]));
    world.handles.clock.advance(Duration::from_mins(2));
    assert_eq!(ask(&world, &key, "narrow", 1).0, counts(&[("one", 1)]));
}

#[test]
fn a_stream_that_breaks_in_the_middle_counts_against_its_target() {
    let world = World::of(CONFIG);
    world.handles.upstream.always(|request, _| {
        let mut pieces = ok(completion_chunks("hello", None));
        if host(&request) == "one" {
            pieces.truncate(2);
            pieces.push(Err(gatelet_core::port::Broken("reset".to_owned())));
        }
        Ok(sse(pieces))
    });
    let (_, key) = world.key(&json!({}));
    let mut question = question("ordered");
    question["stream"] = json!(true);
    for _ in 0..3 {
        world::read(world.send(openai(&key, &question)));
    }
    assert_eq!(target(&world, "one/m")["standing"], "out");
    let answer = String::from_utf8(world::read(world.send(openai(&key, &question)))).unwrap();
    assert!(answer.ends_with("data: [DONE]\n\n"), "{answer}");
    assert_eq!(target(&world, "two/m")["in_flight"], 0);
}

#[test]
fn a_learning_model_leaves_the_target_that_fails() {
    let (world, key) = world(&["two"], overloaded);
    let (asked, status) = ask(&world, &key, "learns", 60);
    assert_eq!(status, 200);
    assert!(asked["one"] >= 55 && asked["two"] < 15, "{asked:?}");
}

#[test]
fn another_policy_keeps_what_was_seen_of_targets() {
    let (world, key) = world(&["one"], overloaded);
    ask(&world, &key, "ordered", 3);
    world.gateway.replace_policy((*world.gateway.policy()).clone());
    assert_eq!(ask(&world, &key, "ordered", 2).0, counts(&[("two", 2)]));
}

#[test]
fn targets_are_listed_in_pages() {
    let (world, key) = world(&[], overloaded);
    ask(&world, &key, "spread", 20);
    ask(&world, &key, "last", 1);
    let (_, first) = world.admin("GET", "/admin/v1/targets?limit=2", &json!({}));
    assert_eq!(
        (first["targets"].as_array().unwrap().len(), &first["next"]),
        (2, &json!("three/m")),
        "{first}"
    );
    let (_, rest) = world.admin("GET", "/admin/v1/targets?limit=2&after=three/m", &json!({}));
    assert_eq!((rest["targets"].as_array().unwrap().len(), &rest["next"]), (1, &Value::Null), "{rest}");
}

#[test]
fn a_target_that_fails_costs_no_wait_while_another_of_its_model_is_there() {
    let (world, key) = world(&["one"], overloaded);
    // Nobody turns the clock: whoever waited would wait for ever.
    assert_eq!(ask(&world, &key, "patient", 1), (counts(&[("one", 1), ("two", 1)]), 200));
}

/// Asks once while the clock is turned.
fn ask_in_time(world: &World, key: &str, model: &str) -> (Vec<String>, Response<Body>) {
    use futures_util::future::{Either, select};
    let (gateway, clock) = (world.gateway.clone(), world.handles.clock.clone());
    let before = world.handles.upstream.asked().len();
    let request = openai(key, &question(model));
    let response = futures_executor::block_on(async {
        let turn = async {
            loop {
                clock.advance(Duration::from_millis(500));
                world::yield_now().await;
            }
        };
        match select(Box::pin(gateway.handle(request)), Box::pin(turn)).await {
            Either::Left((response, _)) => response,
            Either::Right(((), _)) => unreachable!("it goes on for ever"),
        }
    });
    let asked = world.handles.upstream.asked();
    let asked =
        asked[before..].iter().map(|one| one.uri.host().unwrap().split('.').next().unwrap().to_owned());
    (asked.collect(), response)
}

#[test]
fn the_targets_of_a_model_are_retried_in_turn_before_its_fallbacks() {
    let (world, key) = world(&["one", "two"], overloaded);
    let (asked, response) = ask_in_time(&world, &key, "patient");
    assert_eq!(asked, ["one", "two", "one", "two", "one", "two", "three"]);
    assert_eq!(response.headers()["x-gatelet-attempts"], "7");
}

#[test]
fn when_nobody_answers_one_error_says_who_was_asked_and_what_became_of_it() {
    let (world, key) = world(&["two", "three"], overloaded);
    world.handles.upstream.push(|_, _| Err(Fault::new(FaultKind::Timeout, "upstream.send", "silence")));
    let response = world.send(openai(&key, &question("ordered")));
    assert_eq!(response.status(), 503);
    let message = world::read_json(response)["error"]["message"].as_str().unwrap().to_owned();
    for part in ["three/m", "`one/m` (upstream_timeout)", "`two/m` (503)"] {
        assert!(message.contains(part), "{message}");
    }
    let records = world.records();
    let outcomes: Vec<&Value> = records
        .iter()
        .filter(|record| record["kind"] == "attempt")
        .map(|attempt| &attempt["target"])
        .collect();
    assert_eq!(outcomes, ["one/m", "two/m", "three/m"]);
}

#[test]
fn a_request_that_is_too_long_or_forbidden_goes_to_the_list_that_is_made_for_it() {
    for (code, message, goes_to) in [
        ("context_length_exceeded", "this model's maximum context length is 10 tokens", "three/wide"),
        ("content_policy_violation", "rejected by the content policy", "three/lax"),
    ] {
        let world = World::of(CONFIG);
        world.handles.upstream.always(move |request, _| {
            if host(&request) == "three" {
                return Ok(whole(200, &completion("hi", 5, 1)));
            }
            let error = json!({ "message": message, "type": "invalid_request_error", "code": code });
            Ok(whole(400, &json!({ "error": error })))
        });
        let (_, key) = world.key(&json!({}));
        let response = world.send(openai(&key, &question("long")));
        assert_eq!(response.status(), 200, "{code}");
        assert_eq!(response.headers()["x-gatelet-model"], goes_to);
        assert_eq!(world.handles.upstream.asked().len(), 2, "nobody else was asked");
    }
}

const RULED: &str = r#"
providers:
  one: { dialect: openai, base: "http://one.example/v1", key: secret-1 }
  two: { dialect: openai, base: "http://two.example/v1", key: secret-2 }
  three: { dialect: openai, base: "http://three.example/v1", key: secret-3 }
models:
  support:
    targets: one/m
    rules:
      - { when: { tags: nightly, stream: true }, to: second }
      - { when: { headers: { x-tier: [gold, silver] } }, to: second }
      - { when: { teams: search }, to: second }
      - { when: { metadata: { plan: pro } }, to: second }
      - { when: { fields: { temperature: 0 } }, to: second }
      - { when: { input: { over: 1000 } }, to: second }
      - { when: { has: [image] }, to: second }
      - { when: { has: tools }, to: second }
  second: { targets: two/m, rules: [ { when: { customers: "*" }, to: third } ] }
  third: { targets: three/m }
  canary: { targets: one/m, rules: [ { when: { percent: 2.5 }, to: third } ] }
"#;

#[test]
fn rules_send_requests_elsewhere_by_what_they_say() {
    let world = World::of(RULED);
    world.handles.upstream.always(|_, _| Ok(whole(200, &completion("hi", 5, 1))));
    assert_eq!(world.admin("POST", "/admin/v1/teams", &json!({ "id": "search" })).0, 201);
    let (_, plain) = world.key(&json!({}));
    let (_, team) = world.key(&json!({ "team": "search" }));
    let (_, pro) = world.key(&json!({ "metadata": { "plan": "pro" } }));
    let (_, nightly) = world.key(&json!({ "tags": ["nightly"] }));
    let asked = |key: &str, change: &Value, headers: &[(&'static str, &'static str)]| {
        let mut body = question("support");
        for (name, value) in change.as_object().unwrap() {
            body[name] = value.clone();
        }
        let mut request = openai(key, &body);
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let response = world.send(request);
        response.headers()["x-gatelet-model"].to_str().unwrap().to_owned()
    };
    let none = json!({});
    assert_eq!(asked(&plain, &none, &[]), "one/m");
    assert_eq!(asked(&team, &none, &[]), "two/m");
    assert_eq!(asked(&pro, &none, &[]), "two/m");
    assert_eq!(asked(&nightly, &none, &[]), "one/m", "all of a rule must hold");
    assert_eq!(asked(&nightly, &json!({ "stream": true }), &[]), "two/m");
    assert_eq!(asked(&plain, &json!({ "stream": true }), &[("x-gatelet-tags", "nightly")]), "two/m");
    assert_eq!(asked(&plain, &none, &[("x-tier", "silver")]), "two/m");
    assert_eq!(asked(&plain, &none, &[("x-tier", "bronze")]), "one/m");
    assert_eq!(asked(&plain, &json!({ "temperature": 0 }), &[]), "two/m");
    assert_eq!(asked(&plain, &json!({ "temperature": 1 }), &[]), "one/m");
    assert_eq!(asked(&plain, &json!({ "tools": [] }), &[]), "one/m");
    let tool = json!([{ "type": "function", "function": { "name": "f", "parameters": {} } }]);
    assert_eq!(asked(&plain, &json!({ "tools": tool }), &[]), "two/m");
    let long = json!([{ "role": "user", "content": "word ".repeat(1_000) }]);
    assert_eq!(asked(&plain, &json!({ "messages": long }), &[]), "two/m");
    let image = json!([{ "role": "user", "content": [
        { "type": "image_url", "image_url": { "url": "data:image/png;base64,iVBORw0KGgo=" } }] }]);
    assert_eq!(asked(&plain, &json!({ "messages": image }), &[]), "two/m");
    // A rule's model has rules of its own.
    assert_eq!(asked(&team, &none, &[("x-gatelet-customer", "ann")]), "three/m");
}

#[test]
fn a_percentage_goes_elsewhere() {
    let world = World::of(RULED);
    world.handles.upstream.always(|_, _| Ok(whole(200, &completion("hi", 5, 1))));
    let (_, key) = world.key(&json!({}));
    let (asked, _) = ask(&world, &key, "canary", 2_000);
    assert!((25..85).contains(&asked["three"]), "{asked:?}");
}

#[test]
fn what_one_instance_has_met_another_hears_by_the_ledger_call_that_it_makes_anyway() {
    let (world, key) = world(&["one"], || {
        let mut limited =
            whole(429, &json!({ "error": { "message": "slowly", "type": "rate_limit_error" } }));
        limited.headers_mut().insert("retry-after", "60".parse().unwrap());
        Ok(limited)
    });
    assert_eq!(ask(&world, &key, "ordered", 1).0, counts(&[("one", 1), ("two", 1)]));
    let other = world.again("");
    assert_eq!(ask(&other, &key, "ordered", 2).0, counts(&[("two", 2)]));
    // Who only looks hears it too.
    let shown = target(&world.again(""), "one/m");
    assert_eq!((&shown["standing"], &shown["fault"]), (&json!("out"), &json!("rate_limit")));
    // When it may be asked again each of them tries it, and the good news is told as well.
    world.handles.clock.advance(Duration::from_secs(61));
    world.handles.upstream.always(|_, _| Ok(whole(200, &completion("hi", 5, 1))));
    assert_eq!(ask(&other, &key, "ordered", 1).0, counts(&[("one", 1)]));
    assert_eq!(target(&world.again(""), "one/m")["standing"], "in");
    assert_eq!(target(&world, "one/m")["standing"], "returning");
}

#[test]
fn what_belongs_together_goes_to_one_target() {
    let (world, key) = world(&[], overloaded);
    let (_, other_key) = world.key(&json!({}));
    let send = |key: &str, session: Option<&str>, prompt: &str| {
        let mut request =
            openai(key, &json!({ "model": "drawn", "messages": [{ "role": "user", "content": prompt }] }));
        if let Some(session) = session {
            request.headers_mut().insert("x-gatelet-session", session.parse().unwrap());
        }
        assert_eq!(world.send(request).status(), 200);
        world.handles.upstream.asked().last().unwrap().uri.host().unwrap().to_owned()
    };
    let mut homes = std::collections::BTreeSet::new();
    let mut apart = 0;
    for number in 0..30 {
        let session = format!("session-{number}");
        let home = send(&key, Some(&session), "hi");
        for turn in ["and", "so", "on"] {
            assert_eq!(send(&key, Some(&session), turn), home);
        }
        apart += usize::from(send(&other_key, Some(&session), "hi") != home);
        homes.insert(home);
    }
    assert!(homes.len() == 3 && apart > 5, "another key's session is another: {homes:?} {apart}");
    // A long beginning draws, whoever says it; a short one does not, and nor does what comes after.
    let mut homes = std::collections::BTreeSet::new();
    for number in 0..30 {
        let prompt = format!("{number} {}", "long ".repeat(900));
        let home = send(&key, None, &prompt);
        assert_eq!(send(&other_key, None, &format!("{prompt} and more")), home);
        homes.insert(home);
    }
    assert_eq!(homes.len(), 3);
    let short: std::collections::BTreeSet<String> = (0..30).map(|_| send(&key, None, "hi")).collect();
    assert_eq!(short.len(), 3);
    let records = world.records();
    let by = |word: &str| records.iter().filter(|record| record["strategy"] == word).count();
    assert_eq!((by("session"), by("prefix"), by("weighted")), (150, 60, 30));
}
