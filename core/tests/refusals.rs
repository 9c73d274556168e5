//! What bad input gets: a clear error in the caller's dialect, and nothing is charged.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gatelet_core::Unready;
use gatelet_core::domain::account::{Account, Op};
use gatelet_core::domain::{AccountId, Notice, ShardId, Timestamp};
use gatelet_core::port::{Body, Entry, Fault, FaultKind, Ledger, Outcome, Ports, Transaction};
use http::{Request, Response};
use serde_json::{Value, json};
use world::{Bend, World, anthropic, chat, completion, message, openai, read_json, whole};

fn question(model: &str) -> Value {
    json!({ "model": model, "max_tokens": 50, "messages": [{ "role": "user", "content": "hello" }] })
}

/// The code of an error, from wherever its dialect puts it.
fn refused(response: Response<Body>) -> (u16, String) {
    let status = response.status().as_u16();
    let body = read_json(response);
    let error = &body["error"];
    let places = [&error["code"], &error["details"]["error_code"], &body["code"]];
    let code = places.into_iter().find_map(Value::as_str).unwrap_or_default();
    (status, code.to_owned())
}

#[test]
fn a_key_that_is_missing_garbage_or_unknown_is_refused_before_the_body_is_read() {
    let world = World::new();
    let unread = || Body::Stream(Box::pin(futures_util::stream::poll_fn(|_| panic!("nobody may read this"))));
    let ask = |key: Option<&str>| {
        let mut request = Request::builder().method("POST").uri("http://gate/v1/chat/completions");
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        refused(world.send(request.body(unread()).unwrap()))
    };
    assert_eq!(ask(None), (401, "key_missing".to_owned()));
    assert_eq!(ask(Some("sk-something-else")), (401, "key_malformed".to_owned()));
    let (_, key) = world.key(&json!({}));
    let flipped = if key.ends_with('0') {
        key.trim_end_matches('0').to_owned() + "1"
    } else {
        format!("{}0", &key[..key.len() - 1])
    };
    assert_eq!(ask(Some(&flipped)), (401, "key_malformed".to_owned()));
    // A well-formed key that nobody made: whoever knows the form can write one.
    let other = World::new();
    other.key(&json!({}));
    let (_, foreign) = other.key(&json!({}));
    assert_eq!(ask(Some(&foreign)), (401, "key_unknown".to_owned()));
    let (id, revoked) = world.key(&json!({}));
    world.admin("DELETE", &format!("/admin/v1/keys/{id}"), &json!({}));
    assert_eq!(ask(Some(&revoked)), (401, "key_revoked".to_owned()));
}

#[test]
fn a_revoked_key_dies_at_once_though_its_document_is_cached() {
    let world = World::new();
    let (id, key) = world.key(&json!({}));
    world.handles.upstream.push_response(whole(200, &message("hi", 1, 1)));
    assert_eq!(world.send(anthropic(&key, &question("claude"))).status(), 200);
    let (status, view) = world.admin("POST", &format!("/admin/v1/keys/{id}/block"), &json!({}));
    assert_eq!((status, &view["state"]), (200, &json!("blocked")));
    assert_eq!(world.send(anthropic(&key, &question("claude"))).status(), 403);
    world.admin("POST", &format!("/admin/v1/keys/{id}/unblock"), &json!({}));
    world.handles.upstream.push_response(whole(200, &message("hi", 1, 1)));
    assert_eq!(world.send(anthropic(&key, &question("claude"))).status(), 200);
    world.admin("DELETE", &format!("/admin/v1/keys/{id}"), &json!({}));
    assert_eq!(world.send(anthropic(&key, &question("claude"))).status(), 401);
    assert_eq!(world.handles.upstream.asked().len(), 2, "nothing was sent for a dead key");
}

#[test]
fn a_key_expires_at_its_moment() {
    let world = World::new();
    let (_, key) = world.key(&json!({ "expires": "2026-01-01T00:01:00Z" }));
    world.handles.upstream.push_response(whole(200, &message("hi", 1, 1)));
    assert_eq!(world.send(anthropic(&key, &question("claude"))).status(), 200);
    world.handles.clock.advance(Duration::from_mins(1));
    assert_eq!(world.send(anthropic(&key, &question("claude"))).status(), 401);
}

#[test]
fn a_model_that_is_unknown_or_not_allowed_is_named_with_its_neighbours() {
    let world = World::new();
    let (_, key) = world.key(&json!({ "models": ["plain"] }));
    let response = world.send(openai(&key, &question("plan")));
    assert_eq!(response.status(), 404);
    let body = read_json(response);
    assert_eq!(body["error"]["code"], "model_unknown");
    assert!(body["error"]["message"].as_str().unwrap().contains("plain"), "{body}");
    assert_eq!(refused(world.send(openai(&key, &question("claude")))), (403, "model_forbidden".to_owned()));
}

#[test]
fn a_body_that_is_no_request_is_refused_with_its_place() {
    let world = World::new();
    let (id, key) = world.key(&json!({}));
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let cases: Vec<Vec<u8>> = vec![
        b"{\"model\":\"plain\",\"messages\":[{".to_vec(),
        b"{\"model\":\"plain\",\"messages\":\"\xff\xfe\"}".to_vec(),
        format!("{{\"model\":\"plain\",\"messages\":{deep}}}").into_bytes(),
        br#"{"model":5,"messages":[]}"#.to_vec(),
        br#"{"model":"plain","model":"claude","messages":[]}"#.to_vec(),
        br#"{"messages":[]}"#.to_vec(),
        br#"{"model":"plain","stream":"yes","messages":[]}"#.to_vec(),
        b"".to_vec(),
        b"[]".to_vec(),
    ];
    for path in ["/v1/chat/completions", "/v1/messages"] {
        for body in &cases {
            let response = world.send(chat(path, &key, body.clone()));
            let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
            assert_eq!(response.status(), 400, "{path}: {shown}");
            let error = read_json(response);
            assert!(error["error"]["message"].is_string(), "{path}: {shown}: {error}");
        }
    }
    assert!(world.handles.upstream.asked().is_empty());
    assert_eq!(world.usage(&id)["spent"], "0");
}

#[test]
fn a_body_that_is_too_long_is_refused_unread() {
    let world = World::new();
    let (_, key) = world.key(&json!({}));
    let unread = Body::Stream(Box::pin(futures_util::stream::poll_fn(|_| panic!("nobody may read this"))));
    let request = Request::builder()
        .method("POST")
        .uri("http://gate/v1/chat/completions")
        .header("authorization", format!("Bearer {key}"))
        .header("content-length", "104857600")
        .body(unread)
        .unwrap();
    assert_eq!(refused(world.send(request)), (413, "body_too_large".to_owned()));
}

#[test]
fn a_budget_that_cannot_afford_the_request_names_account_limit_and_renewal() {
    let world = World::new();
    let (id, key) = world.key(&json!({ "limits": { "budget": ["0.0001 USD / day"] } }));
    let mut body = question("plain");
    body["max_tokens"] = json!(1000);
    let response = world.send(openai(&key, &body));
    assert_eq!(response.status(), 402);
    let error = read_json(response);
    let words = error["error"]["message"].as_str().unwrap();
    assert!(words.contains(&format!("key/{id}")) && words.contains("0.0001 USD / day"), "{words}");
    assert!(world.handles.upstream.asked().is_empty());
}

#[test]
fn the_limit_on_requests_says_the_exact_second() {
    let world = World::new();
    let (_, key) = world.key(&json!({ "limits": { "rpm": 2 } }));
    world.handles.upstream.always(|_, _| Ok(whole(200, &message("hi", 1, 1))));
    let ask = || world.send(anthropic(&key, &question("claude")));
    let first = ask();
    assert_eq!(first.headers()["anthropic-ratelimit-requests-remaining"], "1");
    assert_eq!(ask().status(), 200);
    let refused = ask();
    assert_eq!(refused.status(), 429);
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    world.handles.clock.advance(Duration::from_secs(wait - 1));
    assert_eq!(ask().status(), 429, "a second too early");
    world.handles.clock.advance(Duration::from_secs(1));
    assert_eq!(ask().status(), 200);
}

#[test]
fn an_upstreams_refusal_is_passed_on_with_its_meaning() {
    let world = World::new();
    let (id, key) = world.key(&json!({}));
    let said = json!({ "type": "error", "error": { "type": "invalid_request_error", "message": "max_tokens: too large" } });
    world.handles.upstream.push_response(whole(400, &said));
    let response = world.send(openai(&key, &question("claude")));
    assert_eq!(response.status(), 400);
    let body = read_json(response);
    assert!(body["error"]["message"].as_str().unwrap().contains("max_tokens: too large"), "{body}");
    let denied = json!({ "type": "error", "error": { "type": "authentication_error", "message": "invalid x-api-key" } });
    world.handles.upstream.push_response(whole(401, &denied));
    let response = world.send(openai(&key, &question("claude")));
    assert_eq!(response.status(), 502, "what an upstream thinks of our credential is not the caller's fault");
    assert_eq!(world.usage(&id)["spent"], "0");
    assert_eq!(world.usage(&id)["held"], "0");
}

#[test]
fn a_providers_hint_when_to_come_back_is_read_in_every_form_and_has_an_upper_bound() {
    let world = World::new();
    let (_, key) = world.key(&json!({}));
    let said = json!({ "error": { "message": "slow down", "type": "rate_limit_exceeded" } });
    for (name, value, seconds) in [
        ("retry-after", "7", Some("7")),
        ("retry-after", "1.2", Some("2")),
        ("retry-after-ms", "1500", Some("2")),
        ("retry-after", "999999999", None),
        ("retry-after", "-5", None),
        ("retry-after", "soon", None),
    ] {
        let mut answer = whole(429, &said);
        answer.headers_mut().insert(name, value.parse().unwrap());
        world.handles.upstream.push_response(answer);
        let response = world.send(openai(&key, &question("plain")));
        assert_eq!(response.status(), 429);
        let told = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
        assert_eq!(told, seconds, "{name}: {value}");
    }
}

/// A ledger that is down.
struct Down(Arc<dyn Ledger>);

fn down<T>() -> Result<T, Fault> {
    Err(Fault::new(FaultKind::Unavailable, "ledger", "the address of the database, which nobody may see"))
}

#[async_trait]
impl Ledger for Down {
    async fn transact(&self, _: &ShardId, _: Transaction, _: Timestamp) -> Result<Outcome, Fault> {
        down()
    }
    async fn read(&self, shard: &ShardId, account: &AccountId) -> Result<Option<Account>, Fault> {
        self.0.read(shard, account).await
    }
    async fn list(
        &self,
        _: &ShardId,
        _: &str,
        _: Option<&AccountId>,
        _: usize,
    ) -> Result<Vec<(AccountId, Account)>, Fault> {
        down()
    }
    async fn outbox(&self, _: &ShardId, _: usize) -> Result<Vec<Entry>, Fault> {
        down()
    }
    async fn clear(&self, _: &ShardId, _: &[String]) -> Result<(), Fault> {
        down()
    }
    async fn notices(&self, _: &ShardId, _: Timestamp) -> Result<Vec<Notice>, Fault> {
        down()
    }
    async fn shards(&self) -> Result<Vec<ShardId>, Fault> {
        down()
    }
}

#[test]
fn a_store_that_is_down_refuses_and_tells_nothing_of_itself() {
    let world = World::with(|ports| Ports { ledger: Arc::new(Down(ports.ledger.clone())), ..ports });
    let response = world.send(
        Request::builder()
            .method("POST")
            .uri("http://gate/admin/v1/keys")
            .header("authorization", format!("Bearer {}", world::ADMIN))
            .body(Body::Empty)
            .unwrap(),
    );
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "1");
    let body = read_json(response);
    assert!(!body.to_string().contains("address"), "{body}");
    // Who reads the log is told, by the name that the caller knows.
    let id = body["request_id"].as_str().unwrap();
    let lines = world.handles.log.lines();
    assert!(
        lines.iter().any(|line| line.contains(id) && line.contains("the address of the database")),
        "{lines:?}"
    );
    let ready = world.send(Request::builder().uri("http://gate/health/ready").body(Body::Empty).unwrap());
    assert_eq!(ready.status(), 503);
}

#[test]
fn the_admin_api_takes_keys_that_manage_and_refuses_what_it_does_not_know() {
    let world = World::new();
    let (id, key) = world.key(&json!({ "alias": "one" }));
    let ask = |key: &str, body: &str| {
        world.send(
            Request::builder()
                .method("POST")
                .uri("http://gate/admin/v1/keys")
                .header("authorization", format!("Bearer {key}"))
                .body(Body::from(body.as_bytes().to_vec()))
                .unwrap(),
        )
    };
    assert_eq!(refused(ask(&key, "{}")), (403, "key_kind_wrong".to_owned()));
    assert_eq!(refused(ask("wrong", "{}")), (401, "admin_key_wrong".to_owned()));
    assert_eq!(refused(ask(world::ADMIN, r#"{"modles":[]}"#)), (400, "value_invalid".to_owned()));
    assert_eq!(
        refused(ask(world::ADMIN, r#"{"limits":{"budget":["five dollars"]}}"#)),
        (400, "value_invalid".to_owned())
    );
    let (status, view) = world.admin(
        "PATCH",
        &format!("/admin/v1/keys/{id}"),
        &json!({ "alias": "two", "limits": { "rpm": 5 } }),
    );
    assert_eq!(status, 200, "{view}");
    assert_eq!((view["alias"].clone(), view["version"].clone()), (json!("two"), json!(2)));
    let (_, list) = world.admin("GET", "/admin/v1/keys", &json!({}));
    assert_eq!(list["keys"][0]["id"], json!(id));
    assert!(list["keys"][0]["key"].is_null() && !list.to_string().contains("hash"), "{list}");
    assert_eq!(world.admin("GET", "/admin/v1/keys/nobody", &json!({})).0, 404);
    assert_eq!(world.admin("PUT", "/admin/v1/keys", &json!({})).0, 405);
    assert_eq!(world.admin("GET", "/admin/v1/nothing", &json!({})).0, 404);
}

#[test]
fn a_ledger_that_fails_at_the_reservation_leaves_a_record_of_that_and_nothing_held() {
    let world = World::bent(|op| if matches!(op, Op::Reserve(_)) { Bend::Lost } else { Bend::Straight });
    let (id, key) = world.key(&json!({}));
    let (status, code) = refused(world.send(openai(&key, &question("plain"))));
    assert_eq!((status, code.as_str()), (503, "gateway_unavailable"));
    let records = world.records();
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!(records[0]["outcome"], "gateway_unavailable");
    assert_eq!(records[0]["status"], 503);
    assert_eq!(world.usage(&id)["held"], "0");
}

#[test]
fn books_that_cannot_be_closed_are_told_to_the_log() {
    let world = World::bent(|op| if matches!(op, Op::Settle(_)) { Bend::Broken } else { Bend::Straight });
    let (_, key) = world.key(&json!({}));
    world.handles.upstream.always(|_, _| Ok(whole(200, &completion("hi", 1, 1))));
    let response = world.send(openai(&key, &question("plain")));
    assert_eq!(response.status(), 200, "the caller has its answer all the same");
    let id = response.headers()["x-gatelet-request-id"].to_str().unwrap().to_owned();
    let said = world.handles.log.lines();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains(&id) && said[0].contains("the account cannot be read"), "{said:?}");
}

#[test]
fn what_a_provider_spends_or_chooses_by_itself_is_refused_where_money_is_limited() {
    let world = World::new();
    let (_, poor) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    let (_, free) = world.key(&json!({}));
    let with = |model: &str, field: &str, value: Value| {
        let mut body = question(model);
        body[field] = value;
        body
    };
    let search = json!([{ "type": "web_search_20250305", "name": "web_search" }]);
    let own = json!([{ "type": "custom", "name": "mine", "input_schema": { "type": "object" } }, { "name": "plain", "input_schema": { "type": "object" } }]);
    world.handles.upstream.always(|_, _| Ok(whole(200, &message("hi", 1, 1))));
    assert_eq!(
        refused(world.send(openai(&poor, &with("plain", "web_search_options", json!({}))))).1,
        "cost_unbounded"
    );
    assert_eq!(
        refused(world.send(openai(&poor, &with("plain", "models", json!(["other"]))))).1,
        "cost_unbounded"
    );
    assert_eq!(world.send(anthropic(&poor, &with("claude", "tools", search.clone()))).status(), 403);
    assert_eq!(world.send(anthropic(&poor, &with("claude", "speed", json!("fast")))).status(), 403);
    assert_eq!(world.send(anthropic(&poor, &with("claude", "speed", json!("standard")))).status(), 200);
    assert_eq!(world.send(anthropic(&poor, &with("claude", "tools", own))).status(), 200);
    assert_eq!(world.send(anthropic(&free, &with("claude", "tools", search))).status(), 200);
    let refusals = world.records().iter().filter(|record| record["outcome"] == "cost_unbounded").count();
    assert_eq!(refusals, 4, "a refusal of somebody who is known is written down");
}

#[test]
fn a_document_that_is_only_named_is_held_as_a_long_one() {
    let world = World::new();
    let (_, key) = world.key(&json!({ "limits": { "budget": ["0.02 USD / day"] } }));
    let ask = |source: Value| {
        let content =
            json!([{ "type": "document", "source": source }, { "type": "text", "text": "read it" }]);
        let body = json!({ "model": "claude", "max_tokens": 5, "messages": [{ "role": "user", "content": content }] });
        world.send(anthropic(&key, &body)).status().as_u16()
    };
    world.handles.upstream.always(|_, _| Ok(whole(200, &message("hi", 1, 1))));
    let inline = json!({ "type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQK" });
    assert_eq!(ask(inline), 200);
    assert_eq!(ask(json!({ "type": "url", "url": "https://example.com/long.pdf" })), 402);
    assert_eq!(ask(json!({ "type": "file", "file_id": "file_1" })), 402);
}

#[test]
fn without_a_policy_everybody_is_refused_in_their_dialect_and_the_process_lives() {
    let world = World::new();
    let ports = world.gateway.ports();
    let say = |path: &str, why: Unready| {
        let request = Request::builder().uri(format!("http://gate{path}")).body(Body::Empty).unwrap();
        gatelet_core::unready(ports, &request, why)
    };
    let store = || Unready::Store(Fault::new(FaultKind::Unavailable, "store.get", "the table's address"));
    let config = || Unready::Config("config:3: `modells` is unknown".to_owned());
    for (why, code) in [
        (store as fn() -> Unready, "gateway_unavailable"),
        (config as fn() -> Unready, "gateway_unconfigured"),
    ] {
        assert_eq!(refused(say("/v1/chat/completions", why())), (503, code.to_owned()));
        assert_eq!(refused(say("/health/ready", why())), (503, code.to_owned()));
        let answer = say("/v1/messages", why());
        assert!(answer.headers().contains_key("request-id"));
        let body = read_json(answer);
        assert_eq!(body["type"], "error", "{body}");
        assert!(!body.to_string().contains("table's") && !body.to_string().contains("modells"), "{body}");
        assert_eq!(say("/health/live", why()).status(), 200);
    }
    assert!(say("/v1/messages", store()).headers().contains_key("retry-after"));
}
