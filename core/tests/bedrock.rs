//! Bedrock's clients in front of the gateway, which sign with a key's pair, and Bedrock behind it, for which we sign.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use std::time::Duration;

use gatelet_core::port::Body;
use gatelet_wire::sigv4;
use http::{Request, Response};
use serde_json::{Value, json};
use world::{World, anthropic, message, read_json, whole};

/// What a client of AWS has.
struct Pair {
    id: String,
    secret: String,
}

fn pair(view: &Value) -> Pair {
    let text = |name: &str| view["aws"][name].as_str().expect("a pair").to_owned();
    Pair { id: text("access_key_id"), secret: text("secret_access_key") }
}

/// A request whose signature is right, unless `bend` makes it wrong before or after it is signed.
struct Ask {
    path: String,
    moment: String,
    covered: Vec<&'static str>,
    body: String,
    sent_body: Option<String>,
    sent_path: Option<String>,
}

impl Ask {
    fn new(model: &str) -> Self {
        Self {
            path: format!("/model/{model}/converse"),
            moment: "20260101T000000Z".to_owned(),
            covered: vec!["content-type", "host", "x-amz-date"],
            body: json!({ "messages": [{ "role": "user", "content": [{ "text": "hello" }] }], "inferenceConfig": { "maxTokens": 50 } })
                .to_string(),
            sent_body: None,
            sent_path: None,
        }
    }

    fn signed(self, pair: &Pair) -> Request<Body> {
        let all =
            [("content-type", "application/json"), ("host", "gate"), ("x-amz-date", self.moment.as_str())];
        let headers: Vec<(&str, &str)> =
            all.into_iter().filter(|(name, _)| self.covered.contains(name)).collect();
        let request = sigv4::Request {
            method: "POST",
            path: &self.path,
            query: "",
            headers: &headers,
            body_hash: &sigv4::body_hash(self.body.as_bytes()),
        };
        let scope = sigv4::Scope { moment: &self.moment, region: "mars-1", service: "bedrock" };
        let authorization = sigv4::authorization(&pair.id, &pair.secret, &scope, &request);
        let path = self.sent_path.as_ref().unwrap_or(&self.path);
        let mut sent = Request::builder().method("POST").uri(path.as_str());
        for (name, value) in all {
            sent = sent.header(name, value);
        }
        let body = self.sent_body.unwrap_or(self.body);
        sent.header("authorization", authorization).body(Body::from(body.into_bytes())).unwrap()
    }
}

/// Status, the header that names the error, and the body's own code.
fn refused(response: Response<Body>) -> (u16, String, String) {
    let status = response.status().as_u16();
    let name = response.headers().get("x-amzn-errortype").map(|value| value.to_str().unwrap().to_owned());
    let body = read_json(response);
    let name = name.expect("errors are named in a header");
    assert_eq!(body["__type"], json!(name), "{body}");
    assert!(!body["message"].as_str().unwrap().is_empty());
    (status, name, body["errorCode"].as_str().unwrap_or_default().to_owned())
}

fn made(world: &World) -> (String, Pair) {
    let (status, view) = world.admin("POST", "/admin/v1/keys", &json!({ "aws": true }));
    assert_eq!(status, 201, "{view}");
    (view["id"].as_str().unwrap().to_owned(), pair(&view))
}

fn answer() -> Response<Body> {
    whole(200, &message("hi", 3, 4))
}

#[test]
fn a_request_that_is_signed_with_a_keys_pair_is_answered_and_charged_to_that_key() {
    let world = World::new();
    let (status, view) = world.admin(
        "POST",
        "/admin/v1/keys",
        &json!({ "aws": true, "limits": { "budget": ["1 USD / day"] } }),
    );
    assert_eq!(status, 201);
    world.handles.upstream.push_response(answer());
    let response = world.send(Ask::new("claude").signed(&pair(&view)));
    assert_eq!(response.status(), 200);
    assert!(response.headers().contains_key("x-amzn-requestid"));
    let body = read_json(response);
    assert_eq!(body["output"]["message"]["content"], json!([{ "text": "hi" }]));
    assert_eq!(body["usage"], json!({ "inputTokens": 3, "outputTokens": 4, "totalTokens": 7 }));
    let spent = &world.usage(view["id"].as_str().unwrap())["budget"][0]["spent"];
    assert_eq!(spent, &json!("0.000043"));
}

#[test]
fn the_secret_of_a_pair_is_shown_once() {
    let world = World::new();
    let (id, pair) = made(&world);
    assert_eq!(pair.id, format!("gk_main_{id}"));
    let (_, shown) = world.admin("GET", &format!("/admin/v1/keys/{id}"), &json!({}));
    assert_eq!(shown["aws"], json!({ "access_key_id": pair.id }));
    let (_, list) = world.admin("GET", "/admin/v1/keys", &json!({}));
    assert!(!list.to_string().contains(&pair.secret));
    let (_, plain) = world.admin("POST", "/admin/v1/keys", &json!({}));
    assert_eq!(plain["aws"], json!(null));
}

#[test]
fn what_a_signature_covers_cannot_be_changed() {
    let world = World::new();
    let (_, pair) = made(&world);
    let wrong = (403, "InvalidSignatureException".to_owned(), "signature_wrong".to_owned());
    let other_body = Ask { sent_body: Some("{}".to_owned()), ..Ask::new("claude") };
    assert_eq!(refused(world.send(other_body.signed(&pair))), wrong);
    let other_model = Ask { sent_path: Some("/model/plain/converse".to_owned()), ..Ask::new("claude") };
    assert_eq!(refused(world.send(other_model.signed(&pair))), wrong);
    let other_secret = Pair { secret: pair.secret.replace(|_: char| true, "0"), id: pair.id.clone() };
    assert_eq!(refused(world.send(Ask::new("claude").signed(&other_secret))), wrong);
    for covered in [vec!["content-type", "x-amz-date"], vec!["content-type", "host"], vec![]] {
        let ask = Ask { covered, ..Ask::new("claude") };
        assert_eq!(refused(world.send(ask.signed(&pair))), wrong);
    }
    assert!(world.handles.upstream.asked().is_empty(), "nothing was sent");
}

#[test]
fn a_signature_holds_five_minutes_before_and_after() {
    let world = World::new();
    let (_, pair) = made(&world);
    let expired = (403, "InvalidSignatureException".to_owned(), "signature_expired".to_owned());
    for moment in ["20251231T235459Z", "20260101T000501Z", "20200101T000000Z"] {
        let ask = Ask { moment: moment.to_owned(), ..Ask::new("claude") };
        assert_eq!(refused(world.send(ask.signed(&pair))), expired, "{moment}");
    }
    // Requests before this one came a little after the full second.
    for moment in ["20251231T235501Z", "20260101T000500Z"] {
        world.handles.upstream.push_response(answer());
        let ask = Ask { moment: moment.to_owned(), ..Ask::new("claude") };
        assert_eq!(world.send(ask.signed(&pair)).status(), 200, "{moment}");
    }
    world.handles.clock.advance(Duration::from_secs(301));
    assert_eq!(refused(world.send(Ask::new("claude").signed(&pair))), expired);
}

#[test]
fn who_signs_as_nobody_is_refused_before_the_body_is_read() {
    let world = World::new();
    let (_, plain) = world.admin("POST", "/admin/v1/keys", &json!({}));
    let unread = || Body::Stream(Box::pin(futures_util::stream::pending()));
    let as_id = |id: &str| {
        let pair = Pair { id: id.to_owned(), secret: "s".to_owned() };
        refused(world.send(Ask::new("claude").signed(&pair).map(|_| unread()))).2
    };
    assert_eq!(as_id("AKIDEXAMPLE"), "key_malformed");
    assert_eq!(as_id("gk_main_000000000000"), "key_unknown");
    let without = format!("gk_main_{}", plain["id"].as_str().unwrap());
    assert_eq!(as_id(&without), "signature_wrong");
    let nothing = Request::builder().method("POST").uri("/model/claude/converse").body(unread()).unwrap();
    assert_eq!(
        refused(world.send(nothing)),
        (401, "MissingAuthenticationTokenException".to_owned(), "key_missing".to_owned())
    );
}

#[test]
fn a_pair_that_is_replaced_or_taken_away_dies_at_once_and_the_key_lives_on() {
    let world = World::new();
    let (status, view) = world.admin("POST", "/admin/v1/keys", &json!({ "aws": true }));
    assert_eq!(status, 201);
    let (id, token) = (view["id"].as_str().unwrap(), view["key"].as_str().unwrap());
    let first = pair(&view);
    world.handles.upstream.push_response(answer());
    assert_eq!(world.send(Ask::new("claude").signed(&first)).status(), 200);
    let (status, replaced) = world.admin("POST", &format!("/admin/v1/keys/{id}/aws"), &json!({}));
    assert_eq!(status, 200, "{replaced}");
    assert_eq!(refused(world.send(Ask::new("claude").signed(&first))).2, "signature_wrong");
    let second = pair(&replaced);
    world.handles.upstream.push_response(answer());
    assert_eq!(world.send(Ask::new("claude").signed(&second)).status(), 200);
    let (status, without) = world.admin("DELETE", &format!("/admin/v1/keys/{id}/aws"), &json!({}));
    assert_eq!((status, &without["aws"]), (200, &json!(null)));
    assert_eq!(refused(world.send(Ask::new("claude").signed(&second))).2, "signature_wrong");
    let question =
        json!({ "model": "claude", "max_tokens": 5, "messages": [{ "role": "user", "content": "a" }] });
    world.handles.upstream.push_response(answer());
    assert_eq!(world.send(anthropic(token, &question)).status(), 200);
}

#[test]
fn a_token_works_as_a_bearer_and_a_blocked_keys_signature_does_not() {
    let world = World::new();
    let (status, view) = world.admin("POST", "/admin/v1/keys", &json!({ "aws": true }));
    assert_eq!(status, 201);
    let body = Ask::new("claude").body;
    world.handles.upstream.push_response(answer());
    let bearer = world::chat("/bedrock/model/claude/converse", view["key"].as_str().unwrap(), body);
    assert_eq!(world.send(bearer).status(), 200);
    world.admin("POST", &format!("/admin/v1/keys/{}/block", view["id"].as_str().unwrap()), &json!({}));
    assert_eq!(
        refused(world.send(Ask::new("claude").signed(&pair(&view)))),
        (403, "AccessDeniedException".to_owned(), "key_blocked".to_owned())
    );
}

#[test]
fn a_model_with_a_slash_and_a_colon_is_found_however_its_path_came() {
    let world = World::new();
    let (_, pair) = made(&world);
    // As the client encodes and signs it, and as a host may have decoded it on the way.
    for sent in [None, Some("/model/none/of-ours:1/converse".to_owned())] {
        let ask = Ask { sent_path: sent, ..Ask::new("none%2Fof-ours%3A1") };
        let (status, name, code) = refused(world.send(ask.signed(&pair)));
        assert_eq!(
            (status, name.as_str(), code.as_str()),
            (404, "ResourceNotFoundException", "model_unknown")
        );
    }
}

#[test]
fn requests_to_bedrock_are_signed_with_the_providers_pair() {
    let world = World::new();
    let (_, key) = world.key(&json!({}));
    let answer = json!({
        "output": { "message": { "role": "assistant", "content": [{ "text": "hi" }] } }, "stopReason": "end_turn",
        "usage": { "inputTokens": 3, "outputTokens": 4, "totalTokens": 7 }, "metrics": { "latencyMs": 1 },
    });
    world.handles.upstream.push_response(whole(200, &answer));
    let question =
        json!({ "model": "converse", "max_tokens": 5, "messages": [{ "role": "user", "content": "a" }] });
    let response = world.send(anthropic(&key, &question));
    assert_eq!(response.status(), 200);
    assert_eq!(read_json(response)["content"], json!([{ "type": "text", "text": "hi" }]));

    let asked = world.handles.upstream.asked();
    let sent = asked.first().unwrap();
    assert_eq!(
        sent.uri.to_string(),
        "https://bedrock-runtime.eu-west-1.amazonaws.com/model/eu.anthropic.claude-x-v1%3A0/converse"
    );
    let header = |name: &str| sent.headers[name].to_str().unwrap();
    assert_eq!(header("x-amz-security-token"), "lent");
    assert_eq!(header("x-amz-date"), "20260101T000000Z");
    let request = sigv4::Request {
        method: "POST",
        path: "/model/eu.anthropic.claude-x-v1%3A0/converse",
        query: "",
        headers: &[
            ("content-type", "application/json"),
            ("host", "bedrock-runtime.eu-west-1.amazonaws.com"),
            ("x-amz-date", "20260101T000000Z"),
            ("x-amz-security-token", "lent"),
        ],
        body_hash: &sigv4::body_hash(sent.body.as_ref().unwrap()),
    };
    let scope = sigv4::Scope { moment: "20260101T000000Z", region: "eu-west-1", service: "bedrock" };
    assert_eq!(header("authorization"), sigv4::authorization("AKIDEXAMPLE", "secret", &scope, &request));
    assert!(sent.headers["authorization"].is_sensitive());
}

#[test]
fn what_only_the_provider_knows_the_cost_of_is_refused_under_a_budget() {
    let world = World::new();
    let (_, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    let plain: Value = serde_json::from_str(&Ask::new("converse").body).unwrap();
    for (field, value) in [
        ("guardrailConfig", json!({ "guardrailIdentifier": "a", "guardrailVersion": "1" })),
        ("toolConfig", json!({ "tools": [{ "systemTool": { "name": "nova_grounding" } }] })),
        ("additionalModelRequestFields", json!({ "max_tokens": 1_000_000 })),
        (
            "additionalModelRequestFields",
            json!({ "top_k": 5, "inferenceConfig": { "maxTokens": 1_000_000 } }),
        ),
    ] {
        let mut body = plain.clone();
        body[field] = value;
        let ask = world::chat("/model/converse/converse", &key, body.to_string());
        let (status, name, code) = refused(world.send(ask));
        assert_eq!(
            (status, name.as_str(), code.as_str()),
            (403, "AccessDeniedException", "cost_unbounded"),
            "{field}"
        );
    }
    assert!(world.handles.upstream.asked().is_empty(), "nothing was sent");
}
