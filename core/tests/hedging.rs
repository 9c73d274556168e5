//! A second target is asked where the first says nothing: who answers, and what both are charged.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use gatelet_core::policy::{Host, Policy};
use gatelet_core::port::{Body, Broken};
use gatelet_core::registry::Registry;
use http::Response;
use serde_json::{Value, json};
use world::{World, completion, completion_chunks, openai};

const CONFIG: &str = r#"
providers:
  one: { dialect: openai, base: "http://one.example/v1", key: secret-1 }
  two: { dialect: openai, base: "http://two.example/v1", key: secret-2 }
  three: { dialect: openai, base: "http://three.example/v1", key: secret-3 }
models:
  hedged:
    targets:
      - { model: one/m, price: { input: "1", output: "10" } }
      - { model: two/m, price: { input: "2", output: "20" } }
    fallbacks: [last]
    hedge: { after: 1s, percent: 10 }
    retries: 0
    timeouts: { first: 20s }
  last: { targets: [ { model: three/m, price: { input: "1", output: "10" } } ], retries: 0 }
health: { faults: 1000 }
"#;

/// When a host begins to answer, in seconds, and what it says; none: never.
type Plays = fn(&str) -> (Option<u64>, Says);

#[derive(Clone, Copy)]
enum Says {
    Well,
    Overloaded,
    Wrong,
}

fn world(plays: Plays) -> World {
    use gatelet_core::port::Clock as _;
    let world = World::of(CONFIG);
    let clock = world.handles.clock.clone();
    world.handles.upstream.always(move |request, _| {
        let host = request.uri().host().unwrap().split('.').next().unwrap();
        let (after, says) = plays(host);
        let body = match request.body() {
            Body::Full(bytes) => bytes.to_vec(),
            Body::Pieces(pieces) => pieces.concat(),
            Body::Empty | Body::Stream(_) => Vec::new(),
        };
        let streamed = String::from_utf8_lossy(&body).contains("\"stream\":true");
        let (status, text) = match says {
            Says::Well if streamed => (200, completion_chunks(host, Some((100, 10))).concat()),
            Says::Well => (200, completion(host, 100, 10).to_string()),
            Says::Overloaded => (503, json!({ "error": { "message": "later" } }).to_string()),
            Says::Wrong => {
                (400, json!({ "error": { "message": "no", "type": "invalid_request_error" } }).to_string())
            }
        };
        let clock = clock.clone();
        let said = async move {
            match after {
                Some(seconds) => clock.sleep(Duration::from_secs(seconds)).await,
                None => std::future::pending().await,
            }
            Ok::<_, Broken>(Bytes::from(text))
        };
        let kind = if streamed && status == 200 { "text/event-stream" } else { "application/json" };
        Ok(Response::builder()
            .status(status)
            .header("content-type", kind)
            .body(Body::Stream(stream::once(said).boxed()))
            .unwrap())
    });
    world
}

fn question(stream: bool) -> Value {
    // Sixteen bytes of text are four likely tokens.
    json!({ "model": "hedged", "stream": stream, "max_tokens": 10, "messages": [{ "role": "user", "content": "sixteen bytes ok" }] })
}

fn hosts(world: &World) -> Vec<String> {
    let asked = world.handles.upstream.asked();
    asked.iter().map(|one| one.uri.host().unwrap().split('.').next().unwrap().to_owned()).collect()
}

fn records(world: &World) -> (Value, Vec<Value>) {
    let (requests, mut attempts): (Vec<Value>, Vec<Value>) =
        world.records().into_iter().partition(|record| record["kind"] == "request");
    attempts.sort_by_key(|attempt| attempt["attempt"].as_u64());
    (requests.last().unwrap().clone(), attempts)
}

fn nanos(money: &Value) -> u64 {
    let text = money.as_str().unwrap();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{fraction:0<9}").parse().unwrap()
}

#[test]
fn who_has_content_first_answers_and_both_are_charged() {
    // When each begins to answer, who does, after how many seconds at the least, and what the other is charged: its input.
    let rows: [(Plays, &str, u64, &str, u64); 3] = [
        (|host| (if host == "one" { None } else { Some(0) }, Says::Well), "two", 1, "one", 1),
        (|host| (if host == "one" { Some(3) } else { None }, Says::Well), "one", 3, "two", 2),
        (|host| (Some(if host == "one" { 9 } else { 2 }), Says::Well), "two", 3, "one", 1),
    ];
    for (plays, winner, seconds, loser, rate) in rows {
        for streamed in [false, true] {
            let world = world(plays);
            let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"], "rpm": 60 } }));
            let (head, body, took) = world.send_in_time(openai(&key, &question(streamed)));
            let text = String::from_utf8(body).unwrap();
            assert_eq!(head.status, 200, "{text}");
            assert!(text.contains(winner) && !text.contains(loser), "{winner}: {text}");
            assert_eq!(head.headers["x-gatelet-model"], format!("{winner}/m"));
            assert_eq!(head.headers["x-gatelet-attempts"], "2");
            assert_eq!(hosts(&world), ["one", "two"]);
            assert!(
                took >= Duration::from_secs(seconds) && took < Duration::from_secs(seconds + 3),
                "{took:?}"
            );
            let (request, attempts) = records(&world);
            assert_eq!(attempts.len(), 2, "{attempts:?}");
            let of = |host: &str| attempts.iter().find(|one| one["target"] == format!("{host}/m")).unwrap();
            assert_eq!((&of(winner)["outcome"], of(winner).get("cost")), (&json!("answered"), None));
            assert_eq!(of(loser)["outcome"], "outrun");
            assert_eq!((&of("two")["why"], of("one").get("why")), (&json!("hedge"), None));
            let lost = nanos(&of(loser)["cost"]);
            assert!(lost > 0 && lost.is_multiple_of(1_000 * rate), "{loser}: {lost}");
            let won = (100 + 10 * 10) * 1_000 * if winner == "two" { 2 } else { 1 };
            assert_eq!(nanos(&request["cost"]), won + lost, "{request}");
            assert_eq!(
                (&request["target"], &request["usage_estimated"]),
                (&json!(format!("{winner}/m")), &json!(true))
            );
            assert_eq!(request["usage"]["input"].as_u64().unwrap(), 100 + lost / (1_000 * rate));
            let usage = world.usage(&id);
            assert_eq!(nanos(&usage["budget"][0]["spent"]), won + lost, "{usage}");
            assert_eq!(usage["budget"][0]["held"], "0", "{usage}");
            let (_, report) = world.admin("GET", "/admin/v1/spend", &json!({}));
            assert!(report.to_string().contains(request["cost"].as_str().unwrap()), "{report}");
        }
    }
}

#[test]
fn a_target_that_answers_in_time_is_asked_alone() {
    let world = world(|_| (Some(0), Says::Well));
    let (_, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    for _ in 0..5 {
        assert_eq!(world.send_in_time(openai(&key, &question(true))).0.status, 200);
    }
    assert_eq!(hosts(&world), ["one"; 5]);
}

#[test]
fn no_more_than_a_share_of_requests_is_hedged() {
    let world = world(|host| (Some(if host == "one" { 3 } else { 0 }), Says::Well));
    let (_, key) = world.key(&json!({}));
    for _ in 0..40 {
        assert_eq!(world.send_in_time(openai(&key, &question(false))).0.status, 200);
    }
    // One at the beginning, and a tenth of forty.
    assert_eq!(hosts(&world).iter().filter(|host| *host == "two").count(), 5);
}

#[test]
fn a_limit_without_room_for_a_second_call_has_none_made() {
    // One and a half of what one call holds.
    let silent = world(|_| (None, Says::Well));
    let (id, key) = silent.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    let mut asking = Box::pin(silent.gateway.handle(openai(&key, &question(false))));
    assert!(asking.as_mut().now_or_never().is_none());
    let one_call = nanos(&silent.usage(&id)["budget"][0]["held"]);
    assert!(one_call > 200_000, "{one_call}");
    let budget = format!("0.{:09} USD / day", one_call + one_call / 2);
    drop(asking);
    for limits in [json!({ "budget": [budget] }), json!({ "parallel": 1 }), json!({ "rpm": 1 })] {
        let world = world(|host| (Some(if host == "one" { 3 } else { 0 }), Says::Well));
        let (id, key) = world.key(&json!({ "limits": limits }));
        let (head, _, _) = world.send_in_time(openai(&key, &question(false)));
        assert_eq!((head.status.as_u16(), hosts(&world)), (200, vec!["one".to_owned()]), "{limits}");
        assert_eq!(head.headers["x-gatelet-attempts"], "1");
        let (_, attempts) = records(&world);
        assert_eq!(attempts.len(), 1, "{attempts:?}");
        if let Some(budget) = world.usage(&id)["budget"].get(0) {
            assert_eq!((&budget["spent"], &budget["held"]), (&json!("0.0002"), &json!("0")));
        }
    }
}

#[test]
fn what_fails_waits_for_the_other_and_both_failing_is_one_error() {
    let rows: [(Plays, u16, &[&str]); 4] = [
        // The first fails while the second is asked.
        (
            |host| if host == "one" { (Some(2), Says::Overloaded) } else { (Some(3), Says::Well) },
            200,
            &["one", "two"],
        ),
        (
            |host| if host == "two" { (Some(0), Says::Overloaded) } else { (Some(4), Says::Well) },
            200,
            &["one", "two"],
        ),
        // Both: the fallback is asked, and nobody twice.
        (
            |host| if host == "three" { (Some(0), Says::Well) } else { (Some(2), Says::Overloaded) },
            200,
            &["one", "two", "three"],
        ),
        // What the first calls wrong, nobody is asked for any more.
        (
            |host| if host == "one" { (Some(2), Says::Wrong) } else { (None, Says::Well) },
            400,
            &["one", "two"],
        ),
    ];
    for (nth, (plays, status, asked)) in rows.into_iter().enumerate() {
        let world = world(plays);
        let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
        let (head, body, _) = world.send_in_time(openai(&key, &question(false)));
        assert_eq!(head.status, status, "{nth}: {}", String::from_utf8_lossy(&body));
        assert_eq!(hosts(&world), asked, "{nth}");
        let (request, attempts) = records(&world);
        assert_eq!(attempts.len(), asked.len(), "{nth}: {attempts:?}");
        let numbers: Vec<u64> = attempts.iter().map(|attempt| attempt["attempt"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (1..=asked.len() as u64).collect::<Vec<_>>(), "{nth}");
        let usage = world.usage(&id);
        assert_eq!(
            (&usage["budget"][0]["spent"], &usage["budget"][0]["held"]),
            (&request["cost"], &json!("0")),
            "{nth}"
        );
        // Only a call that was broken off may cost something without an answer.
        assert_eq!(nanos(&request["cost"]) > 0, status == 200 || nth == 3, "{nth}: {request}");
    }
}

#[test]
fn a_caller_who_leaves_in_the_middle_pays_for_both_and_holds_nothing() {
    let world = world(|_| (None, Says::Well));
    let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    {
        let mut asking = Box::pin(world.gateway.handle(openai(&key, &question(true))));
        for _ in 0..4 {
            assert!(asking.as_mut().now_or_never().is_none());
            world.handles.clock.advance(Duration::from_millis(500));
        }
        assert!(asking.as_mut().now_or_never().is_none());
    }
    assert_eq!(hosts(&world), ["one", "two"]);
    let (request, attempts) = records(&world);
    assert_eq!((&request["outcome"], &request["attempts"]), (&json!("client_left"), &json!(2)), "{request}");
    assert_eq!(attempts.len(), 2, "{attempts:?}");
    let usage = world.usage(&id);
    assert_eq!((&usage["budget"][0]["spent"], &usage["budget"][0]["held"]), (&request["cost"], &json!("0")));
    assert!(nanos(&request["cost"]) > nanos(&attempts[1]["cost"]), "{request} {attempts:?}");
}

#[test]
fn a_hedge_has_a_time_and_a_share() {
    let host = Host { variable: &|_| None, ollama: false, registry: Registry::full() };
    for (wrong, said) in [
        ("{ percent: 5 }", "expected `after`"),
        ("1ms", "a duration from 10ms"),
        ("{ after: 1s, percent: 101 }", "a part of a hundred"),
        ("{ after: 1s, percant: 1 }", "percant"),
    ] {
        let text = CONFIG.replace("{ after: 1s, percent: 10 }", wrong);
        let problems = Policy::read("gatelet.yaml", &text, &host).unwrap_err().to_string();
        assert!(problems.contains("models.hedged.hedge") && problems.contains(said), "{wrong}: {problems}");
    }
    let alone = CONFIG.replace(
        "      - { model: two/m, price: { input: \"2\", output: \"20\" } }\n    fallbacks: [last]\n",
        "",
    );
    let problems = Policy::read("gatelet.yaml", &alone, &host).unwrap_err().to_string();
    assert!(problems.contains("expected a second target"), "{problems}");
    let short = CONFIG.replace("{ after: 1s, percent: 10 }", "1s");
    assert!(Policy::read("gatelet.yaml", &short, &host).is_ok());
}
