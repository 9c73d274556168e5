//! Admins are told what they should know: once, signed, and until they are heard.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_executor::block_on;
use gatelet_core::port::Body;
use gatelet_wire::sigv4::keyed_hash;
use http::Response;
use serde_json::{Value, json};
use world::{World, completion, openai, read, whole};

const ALERTS: &str = r#"
providers:
  up: { dialect: openai, base: "http://127.0.0.1:1/v1", key: secret-o }
models:
  plain: { targets: [ { model: up/model-o, price: { input: "1", output: "10", per: 1M }, max_output: 1000 } ], retries: 0 }
alerts:
  - { kind: webhook, url: "https://hooks.example.com/in", secret: shared-secret }
  - { kind: slack, url: "https://slack.example.com/secret-path", on: hard_limit }
  - { kind: sendgrid, key: sg-key, from: a@example.com, to: [b@example.com], on: [key_expiring] }
"#;

fn answer(world: &World, status: u16) {
    world.handles.upstream.push_response(Response::builder().status(status).body(Body::Empty).unwrap());
}

/// Lets time pass, looks for alerts, and answers what was told and how many were heard.
fn tick(world: &World) -> usize {
    world.handles.clock.advance(Duration::from_mins(1));
    block_on(world.handles.defer.run_all());
    block_on(world.gateway.tick()).unwrap().told
}

/// What was sent since the last look: host, headers, body.
fn sent(world: &World, seen: &mut usize) -> Vec<(String, http::HeaderMap, Value, String)> {
    let asked = world.handles.upstream.asked();
    let new = asked[*seen..].iter().filter(|asked| asked.uri.host() != Some("127.0.0.1"));
    let new = new.map(|asked| {
        let body = String::from_utf8(asked.body.clone().unwrap().to_vec()).unwrap();
        (
            asked.uri.host().unwrap().to_owned(),
            asked.headers.clone(),
            serde_json::from_str(&body).unwrap(),
            body,
        )
    });
    let new = new.collect();
    *seen = asked.len();
    new
}

fn spend(world: &World, key: &str, times: usize) {
    let body =
        json!({ "model": "plain", "max_tokens": 3, "messages": [{ "role": "user", "content": "hello" }] });
    for _ in 0..times {
        world.handles.upstream.push_response(whole(200, &completion("hi", 7, 3)));
        assert_eq!(world.send(openai(key, &body)).status(), 200);
    }
}

/// Asks until a request is refused.
fn spend_up(world: &World, key: &str) {
    let body =
        json!({ "model": "plain", "max_tokens": 3, "messages": [{ "role": "user", "content": "hello" }] });
    for _ in 0..20 {
        world.handles.upstream.push_response(whole(200, &completion("hi", 7, 3)));
        if world.send(openai(key, &body)).status() == 402 {
            return;
        }
    }
    panic!("nothing is refused");
}

#[test]
fn a_limit_is_told_once_in_each_period_signed_and_until_it_is_heard() {
    let world = World::of(ALERTS);
    world.handles.clock.advance(Duration::from_hours(20));
    let mut seen = 0;
    assert_eq!(tick(&world), 0);
    // 37 micro-dollars each.
    let limits = json!({ "budget": ["0.0005 USD / day"], "soft_budget": ["0.0001 USD / day"] });
    let (id, key) = world.key(&json!({ "limits": limits }));
    spend(&world, &key, 3);
    answer(&world, 500);
    assert_eq!(tick(&world), 0, "nobody has heard it");
    let [(host, headers, notice, body)] = &sent(&world, &mut seen)[..] else { panic!("not one") };
    assert_eq!((host.as_str(), &notice["event"]), ("hooks.example.com", &json!("soft_limit")));
    assert_eq!(notice["of"], format!("key/{id}"));
    assert_eq!(notice["detail"]["spent"], "0.000111");
    let signature = headers["x-gatelet-signature"].to_str().unwrap();
    let moment = signature.strip_prefix("t=").unwrap().split(',').next().unwrap();
    let hash = keyed_hash(b"shared-secret", &format!("{moment}.{body}"));
    assert_eq!(signature, format!("t={moment},v1={hash}"));
    let first = notice["id"].clone();
    answer(&world, 200);
    assert_eq!(tick(&world), 1);
    assert_eq!(sent(&world, &mut seen)[0].2["id"], first, "it is the same one");
    assert_eq!(tick(&world), 0, "it is told once");
    spend_up(&world, &key);
    answer(&world, 204);
    assert_eq!(tick(&world), 2);
    let hard = sent(&world, &mut seen);
    let hosts: Vec<&str> = hard.iter().map(|(host, ..)| host.as_str()).collect();
    assert_eq!(hosts, ["hooks.example.com", "slack.example.com"]);
    assert_eq!(hard[0].2["event"], "hard_limit");
    assert!(hard[1].2["text"].as_str().unwrap().contains(&format!("key/{id}")), "{}", hard[1].2);
    // The next day it may be told again.
    world.handles.clock.advance(Duration::from_hours(20));
    spend_up(&world, &key);
    for _ in 0..4 {
        answer(&world, 200);
    }
    assert_eq!(tick(&world), 3);
}

#[test]
fn a_budget_that_will_not_last_and_a_key_that_ends_are_told_before() {
    let world = World::of(ALERTS);
    world.handles.clock.advance(Duration::from_hours(3));
    let mut seen = 0;
    let (_, key) = world.key(&json!({ "limits": { "budget": ["0.0002 USD / day"] } }));
    let (ending, _) = world.key(&json!({ "expires": "2026-01-05T00:00:00Z" }));
    spend(&world, &key, 1);
    for _ in 0..3 {
        answer(&world, 202);
    }
    assert_eq!(tick(&world), 3);
    let told = sent(&world, &mut seen);
    let mut events: Vec<String> = told
        .iter()
        .filter(|(host, ..)| host == "hooks.example.com")
        .map(|(_, _, notice, _)| notice["event"].as_str().unwrap().to_owned())
        .collect();
    events.sort();
    assert_eq!(events, ["key_expiring", "projected_overspend"]);
    let mail = told.iter().find(|(host, ..)| host == "api.sendgrid.com").unwrap();
    assert_eq!(mail.1["authorization"], "Bearer sg-key");
    assert_eq!(mail.2["personalizations"][0]["to"][0]["email"], "b@example.com");
    assert!(mail.2["content"][0]["value"].as_str().unwrap().contains(&ending));
}

#[test]
fn a_provider_that_fails_is_told_of() {
    let world = World::of(ALERTS);
    let mut seen = 0;
    let (_, key) = world.key(&json!({}));
    world.handles.upstream.always(|request, _| {
        if request.uri().host() != Some("127.0.0.1") {
            return Ok(Response::new(Body::Empty));
        }
        Ok(whole(
            500,
            &json!({ "error": { "message": "no", "type": "server_error", "code": null, "param": null } }),
        ))
    });
    for minute in 0..20 {
        let body = json!({ "model": "plain", "max_tokens": 3, "messages": [{ "role": "user", "content": "hello" }] });
        for _ in 0..3 {
            read(world.send(openai(&key, &body)));
        }
        if tick(&world) > 0 {
            let told = sent(&world, &mut seen);
            assert_eq!((&told[0].2["event"], &told[0].2["of"]), (&json!("provider_failing"), &json!("up")));
            assert!(minute >= 5);
            return;
        }
    }
    panic!("nobody was told");
}

#[test]
fn alerts_are_judged_field_by_field() {
    use gatelet_core::policy::{Host, Policy};
    let host =
        Host { variable: &|_| None, ollama: false, registry: gatelet_core::registry::Registry::full() };
    for (alert, problem) in [
        ("{ kind: pigeon, url: \"https://a.example\" }", "webhook, slack, resend or sendgrid"),
        ("{ kind: slack }", "`url`"),
        ("{ kind: slack, url: \"http://a.example\" }", "`url`"),
        ("{ kind: slack, url: \"ftp://a.example\" }", "`url`"),
        ("{ kind: slack, url: \"https://a.example\", secret: x }", "`secret`"),
        ("{ kind: resend, key: x, from: a@example.com }", "`to`"),
        ("{ kind: slack, url: \"https://a.example\", on: everything }", "key_expiring"),
        ("{ kind: slack, url: \"https://a.example\", colour: red }", "colour"),
        (
            "{ kind: slack, url: \"https://a.example\" }, { kind: slack, url: \"https://b.example\" }",
            "`name`",
        ),
    ] {
        let problems =
            Policy::read("gatelet.yaml", &format!("alerts: [ {alert} ]"), &host).unwrap_err().to_string();
        assert!(problems.contains(problem), "{alert}: {problems}");
    }
    let policy = Policy::read("gatelet.yaml", ALERTS, &host).unwrap();
    let shown = format!("{policy:?}");
    assert!(!shown.contains("shared-secret") && !shown.contains("secret-path") && !shown.contains("sg-key"));
}

#[test]
fn every_kind_is_told_in_every_way() {
    let ways = r#"
  - { kind: webhook, url: "https://hooks.example.com/in" }
  - { kind: slack, url: "https://slack.example.com/secret-path" }
  - { kind: sendgrid, key: sg-key, from: a@example.com, to: [b@example.com, c@example.com] }
  - { kind: resend, key: re-key, from: a@example.com, to: [b@example.com] }
"#;
    let config = ALERTS.split_once("alerts:").unwrap().0.to_owned() + "alerts:" + ways;
    let world = World::of(&config);
    world.handles.clock.advance(Duration::from_hours(3));
    let fails = Arc::new(AtomicBool::new(false));
    let failing = fails.clone();
    world.handles.upstream.always(move |request, _| {
        let status = if failing.load(Ordering::SeqCst) { 500 } else { 200 };
        Ok(match request.uri().host() {
            Some("127.0.0.1") => whole(status, &completion("hi", 7, 3)),
            _ => Response::new(Body::Empty),
        })
    });
    let ask = |key: &str| {
        let body = json!({ "model": "plain", "max_tokens": 3, "messages": [{ "role": "user", "content": "hello" }] });
        let answer = world.send(openai(key, &body));
        let status = answer.status().as_u16();
        read(answer);
        status
    };
    let (_, little) = world.key(&json!({ "limits": { "budget": ["0.0002 USD / day"] } }));
    assert_eq!(ask(&little), 200);
    world.key(&json!({ "expires": "2026-01-05T00:00:00Z" }));
    let both = json!({ "budget": ["0.0005 USD / day"], "soft_budget": ["0.0001 USD / day"] });
    let (_, spender) = world.key(&json!({ "limits": both }));
    assert!((0..20).any(|_| ask(&spender) == 402));
    let (_, plain) = world.key(&json!({}));
    let mut seen = 0;
    let mut told = Vec::new();
    for minute in 0..20 {
        tick(&world);
        told.extend(sent(&world, &mut seen));
        fails.store(minute > 1, Ordering::SeqCst);
        for _ in 0..3 {
            ask(&plain);
        }
    }
    // What a webhook is told is told to all others under the same id.
    let notices = told.iter().filter(|(host, ..)| host == "hooks.example.com").map(|(.., notice, _)| notice);
    let notices: Vec<&Value> = notices.collect();
    let mut events: Vec<&str> = notices.iter().map(|notice| notice["event"].as_str().unwrap()).collect();
    events.sort_unstable();
    events.dedup();
    let kinds = ["hard_limit", "key_expiring", "projected_overspend", "provider_failing", "soft_limit"];
    assert_eq!(events, kinds);
    for notice in notices {
        let (id, text) = (notice["id"].as_str().unwrap(), &notice["text"]);
        let subject = json!(format!(
            "Gatelet: {} of {}",
            notice["event"].as_str().unwrap(),
            notice["of"].as_str().unwrap()
        ));
        let of = |wanted: &str| {
            let mut found = told.iter().filter(|(host, headers, ..)| {
                host == wanted && headers["idempotency-key"].to_str().unwrap() == id
            });
            let one = found.next().unwrap_or_else(|| panic!("{wanted} was not told of {notice}"));
            assert!(found.next().is_none(), "{wanted} was told twice of {notice}");
            one
        };
        assert_eq!(of("slack.example.com").2, json!({ "text": text }));
        let (_, headers, mail, _) = of("api.resend.com");
        assert_eq!(headers["authorization"], "Bearer re-key");
        let expected =
            json!({ "from": "a@example.com", "to": ["b@example.com"], "subject": subject, "text": text });
        assert_eq!(*mail, expected);
        let (_, headers, mail, _) = of("api.sendgrid.com");
        assert_eq!(headers["authorization"], "Bearer sg-key");
        let to = json!([{ "to": [{ "email": "b@example.com" }, { "email": "c@example.com" }] }]);
        assert_eq!((&mail["personalizations"], &mail["subject"]), (&to, &subject));
        assert_eq!(mail["content"], json!([{ "type": "text/plain", "value": text }]));
    }
}
