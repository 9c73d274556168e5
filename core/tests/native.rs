//! Providers' own interfaces, from key to books, on memory ports.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_executor::block_on;
use futures_util::{StreamExt, stream};
use gatelet_core::port::{Body, Broken};
use http::{Request, Response};
use proptest::prelude::*;
use serde_json::{Value, json};
use world::{World, chat, completion, completion_chunks, message, ok, read, read_json, sse, whole};

fn ask(method: &str, path: &str, key: &str, body: Body) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(format!("http://gate{path}"))
        .header("authorization", format!("Bearer {key}"))
        .header("content-type", "application/octet-stream")
        .body(body)
        .unwrap()
}

fn pieces(pieces: Vec<Vec<u8>>) -> Body {
    Body::Stream(stream::iter(pieces.into_iter().map(|piece| Ok(Bytes::from(piece)))).boxed())
}

/// The record of the last request.
fn record(world: &World) -> Value {
    world.records().into_iter().rfind(|record| record["kind"] == "request").unwrap()
}

#[test]
fn any_method_and_path_goes_through_with_the_providers_credential_and_not_the_callers() {
    let world = World::new();
    let (_, key) = world.key(&json!({}));
    let answer = Response::builder()
        .status(202)
        .header("content-type", "text/x-odd")
        .header("x-theirs", "1")
        .header("set-cookie", "a=b")
        .body(pieces(vec![b"ab".to_vec(), vec![0, 255]]))
        .unwrap();
    world.handles.upstream.push_response(answer);
    let mut request = ask("PATCH", "/up-openai/v1/files/f%20x?after=1", &key, Body::from(vec![1, 2, 3]));
    request.headers_mut().insert("openai-organization", "org".parse().unwrap());
    request.headers_mut().insert("x-gatelet-tags", "t".parse().unwrap());
    let response = world.send(request);
    assert_eq!(response.status(), 202);
    assert_eq!(response.headers()["content-type"], "text/x-odd");
    assert_eq!(response.headers()["x-theirs"], "1");
    assert!(!response.headers().contains_key("set-cookie"));
    assert_eq!(response.headers()["x-gatelet-model"], "up-openai/*");
    assert_eq!(read(response), [b'a', b'b', 0, 255]);
    let asked = &world.handles.upstream.asked()[0];
    assert_eq!(asked.method, "PATCH");
    assert_eq!(asked.uri, "http://127.0.0.1:1/v1/files/f%20x?after=1");
    assert_eq!(asked.headers["authorization"], "Bearer secret-o");
    assert_eq!(asked.headers["openai-organization"], "org");
    assert!(!asked.headers.contains_key("x-gatelet-tags"));
    let all = format!("{:?}", asked.headers);
    assert!(!all.contains(&key), "the caller's key stays here");
    let record = record(&world);
    assert_eq!(record["operation"], "native");
    assert_eq!(record["model"], "up-openai/*");
    assert_eq!(record["status"], 202);
    assert_eq!(record["outcome"], "done");
    assert_eq!(record["cost"], "0");
    assert_eq!(record["tags"], json!(["t"]));
}

#[test]
fn a_key_in_the_query_or_another_header_is_taken_out() {
    let world = World::new();
    let (_, key) = world.key(&json!({}));
    for (path, header) in
        [(format!("/gratis/a?key={key}&b=1"), None), ("/gratis/a?b=1".to_owned(), Some("x-goog-api-key"))]
    {
        world.handles.upstream.push_response(whole(200, &json!({})));
        let mut request = Request::get(format!("http://gate{path}")).body(Body::Empty).unwrap();
        if let Some(header) = header {
            request.headers_mut().insert(header, key.parse().unwrap());
        }
        assert_eq!(world.send(request).status(), 200);
        let asked = world.handles.upstream.asked().pop().unwrap();
        assert_eq!(asked.uri, "https://gratis.example/a?b=1");
        assert!(!format!("{:?}", asked.headers).contains(&key));
    }
}

#[test]
fn what_nobody_can_price_is_refused_to_a_key_with_a_budget() {
    let world = World::new();
    let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    let response = world.send(ask("POST", "/up-openai/v1/batches", &key, Body::Empty));
    assert_eq!(response.status(), 403);
    assert_eq!(read_json(response)["error"]["code"], "path_unpriced");
    assert!(world.handles.upstream.asked().is_empty());
    // With a price a request it is billed by it, and not where the provider failed.
    world.handles.upstream.push_response(whole(200, &json!({ "hits": [] })));
    let response = world.send(ask("GET", "/search/find?q=a", &key, Body::Empty));
    assert_eq!(response.status(), 200);
    read(response);
    assert_eq!(world.handles.upstream.asked()[0].uri, "https://search.example/api/find?q=a");
    assert_eq!(world.handles.upstream.asked()[0].headers["x-key"], "secret-s");
    assert_eq!(world.handles.upstream.asked()[0].headers["x-mine"], "1");
    world.handles.upstream.push_response(whole(500, &json!({ "odd": "error" })));
    let response = world.send(ask("GET", "/search/find?q=a", &key, Body::Empty));
    assert_eq!(response.status(), 500);
    assert_eq!(read_json(response), json!({ "odd": "error" }));
    let usage = world.usage(&id);
    assert_eq!((usage["spent"].as_str(), usage["held"].as_str()), (Some("0.01"), Some("0")));
    // And what is free costs nothing.
    world.handles.upstream.push_response(whole(200, &json!({})));
    assert_eq!(read(world.send(ask("GET", "/gratis/x", &key, Body::Empty))), b"{}");
    assert_eq!(world.usage(&id)["spent"], "0.01");
}

#[test]
fn a_price_a_request_never_passes_a_budget() {
    let world = World::new();
    let (id, key) = world.key(&json!({ "limits": { "budget": ["0.035 USD / day"] } }));
    let statuses: Vec<u16> = (0..5)
        .map(|_| {
            world.handles.upstream.push_response(whole(200, &json!({})));
            let response = world.send(ask("GET", "/search/find", &key, Body::Empty));
            let status = response.status().as_u16();
            read(response);
            status
        })
        .collect();
    assert_eq!(statuses, [200, 200, 200, 402, 402]);
    assert_eq!(world.usage(&id)["spent"], "0.03");
}

#[test]
fn a_known_operation_is_billed_by_its_tokens_and_keeps_its_bytes() {
    let world = World::new();
    let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    // The models' own prices hold: `plain` of the policy is no name here, the provider's model is.
    let body = r#"{ "model":"gpt-x", "max_tokens": 50, "messages":[{"role":"user","content":"hello"}] }"#;
    let response = world.send(chat("/up-openai/v1/chat/completions", &key, body));
    assert_eq!(read_json(response)["error"]["code"], "model_unpriced");
    world.handles.upstream.push_response(whole(200, &message("hi", 7, 3)));
    let body = r#"{ "model":"model-p", "max_tokens": 50, "messages":[{"role":"user","content":"hello"}], "x":1.10 }"#;
    let response = world.send(chat("/up-anthropic/v1/messages", &key, body));
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-gatelet-cost"], "0.000037");
    assert_eq!(response.headers()["x-gatelet-model"], "up-anthropic/model-p");
    assert_eq!(read_json(response), message("hi", 7, 3));
    let asked = &world.handles.upstream.asked()[0];
    assert_eq!(asked.uri, "http://127.0.0.1:1/v1/messages");
    assert_eq!(asked.body.as_deref(), Some(body.as_bytes()), "not even the model's name is rewritten");
    assert_eq!(world.usage(&id)["spent"], "0.000037");
    let record = record(&world);
    assert_eq!(record["operation"], "chat");
    assert_eq!(record["model"], "up-anthropic/model-p");
}

#[test]
fn a_known_stream_is_tapped() {
    let world = World::new();
    let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    let pieces = completion_chunks("hi", Some((7, 3)));
    world.handles.upstream.push_response(sse(ok(pieces.clone())));
    let body = json!({ "model": "model-q", "max_tokens": 50, "stream": true,
        "stream_options": { "include_usage": true }, "messages": [{ "role": "user", "content": "hello" }] });
    let response = world.send(chat("/up-openai/chat/completions", &key, body.to_string()));
    assert_eq!(response.status(), 200);
    assert_eq!(read(response), pieces.concat().into_bytes());
    assert_eq!(world.usage(&id)["spent"], "0.000037");
    assert_eq!(world.usage(&id)["held"], "0");
}

#[test]
fn what_cannot_be_bounded_untouched_is_refused_under_a_budget() {
    let world = World::new();
    let (_, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    let messages = json!([{ "role": "user", "content": "hello" }]);
    for (body, param) in [
        (json!({ "model": "model-q", "messages": messages }), "max_completion_tokens"),
        (
            json!({ "model": "model-q", "max_tokens": 5, "stream": true, "messages": messages }),
            "stream_options.include_usage",
        ),
    ] {
        let response = world.send(chat("/up-openai/v1/chat/completions", &key, body.to_string()));
        assert_eq!(response.status(), 403);
        assert_eq!(read_json(response)["error"]["param"], param);
    }
    assert!(world.handles.upstream.asked().is_empty());
    // Nothing is put into what travels as it is: neither a cap nor a wish for usage.
    let (_, free) = world.key(&json!({}));
    world.handles.upstream.push_response(whole(200, &completion("hi", 7, 3)));
    let body = r#"{"model":"model-q","messages":[{"role":"user","content":"hello"}]}"#;
    assert_eq!(world.send(chat("/up-openai/v1/chat/completions", &free, body)).status(), 200);
    assert_eq!(world.handles.upstream.asked()[0].body.as_deref(), Some(body.as_bytes()));
}

#[test]
fn a_list_of_models_holds_for_interfaces_too() {
    let world = World::new();
    let (_, key) = world.key(&json!({ "models": ["plain", "up-anthropic/model-p", "gratis/*"] }));
    let code = |request: Request<Body>| {
        let response = world.send(request);
        (response.status().as_u16(), read_json(response)["error"]["code"].clone())
    };
    let conversation = |model: &str| {
        json!({ "model": model, "max_tokens": 5, "messages": [{ "role": "user", "content": "a" }] })
            .to_string()
    };
    let forbidden = (403, json!("model_forbidden"));
    assert_eq!(code(chat("/up-openai/v1/chat/completions", &key, conversation("model-o"))), forbidden);
    assert_eq!(code(ask("GET", "/up-openai/v1/files", &key, Body::Empty)), forbidden);
    assert_eq!(code(ask("GET", "/up-anthropic/v1/files", &key, Body::Empty)).0, 403);
    assert!(world.handles.upstream.asked().is_empty());
    world.handles.upstream.push_response(whole(200, &message("hi", 7, 3)));
    assert_eq!(code(chat("/up-anthropic/v1/messages", &key, conversation("model-p"))).0, 200);
    world.handles.upstream.push_response(whole(200, &json!({})));
    assert_eq!(code(ask("GET", "/gratis/x", &key, Body::Empty)).0, 200);
}

#[test]
fn an_interface_is_closed_where_models_are_listed_but_for_those_that_they_reach() {
    let listed = r#"
providers:
  up-openai: { dialect: openai, base: "http://127.0.0.1:1/v1", key: secret-o }
  open: { dialect: openai, base: "http://127.0.0.1:1/v1", key: secret-o, passthrough: unpriced }
models:
  plain: { targets: [ { model: up-openai/model-o, price: { input: "1", output: "10", per: 1M } } ] }
  "up-openai/mini-*": { targets: [ { model: "up-openai/mini-*", price: { input: "1", output: "10", per: 1M } } ] }
"#;
    // A key that may call whatever there is.
    for any in [json!({}), json!({ "models": ["*"] })] {
        let world = World::of(listed);
        let (_, key) = world.key(&any);
        let code = |request: Request<Body>| {
            let response = world.send(request);
            (response.status().as_u16(), read_json(response)["error"]["code"].clone())
        };
        let conversation = |model: &str| {
            json!({ "model": model, "max_tokens": 5, "messages": [{ "role": "user", "content": "a" }] })
                .to_string()
        };
        let closed = (403, json!("interface_closed"));
        for (method, path) in [
            ("GET", "/up-openai/v1/files"),
            ("DELETE", "/up-openai/v1/responses/resp_of_another_tenant"),
            ("POST", "/up-openai/v1/responses"),
            ("POST", "/up-openai/v1/fine_tuning/jobs"),
        ] {
            assert_eq!(code(ask(method, path, &key, Body::Empty)), closed, "{method} {path}");
        }
        let path = "/up-openai/v1/chat/completions";
        // Nobody listed the vendor's own name of what stands behind `plain`, whose limits it would go around.
        for model in ["gpt-dear", "model-o", "*", "mini-", ""] {
            assert!([400, 404].contains(&code(chat(path, &key, conversation(model))).0), "{model}");
        }
        assert!(world.handles.upstream.asked().is_empty());
        world.handles.upstream.push_response(whole(200, &completion("hi", 7, 3)));
        assert_eq!(code(chat(path, &key, conversation("mini-1"))).0, 200);
        world.handles.upstream.push_response(whole(200, &json!({})));
        assert_eq!(code(ask("GET", "/open/v1/files", &key, Body::Empty)).0, 200);
    }
    // Without a list all is served, and so is this.
    let unlisted = r#"
providers:
  up-openai: { dialect: openai, base: "http://127.0.0.1:1/v1", key: secret-o }
"#;
    let world = World::of(unlisted);
    let (_, key) = world.key(&json!({}));
    world.handles.upstream.push_response(whole(200, &json!({})));
    assert_eq!(world.send(ask("GET", "/up-openai/v1/files", &key, Body::Empty)).status(), 200);
}

#[test]
fn closed_interfaces_strangers_upgrades_and_tricks_are_refused() {
    let world = World::new();
    let (_, key) = world.key(&json!({}));
    let status = |request: Request<Body>| world.send(request).status().as_u16();
    assert_eq!(status(ask("GET", "/closed/v1/files", &key, Body::Empty)), 404);
    assert_eq!(status(ask("GET", "/nobody/v1/files", &key, Body::Empty)), 404);
    assert_eq!(status(ask("GET", "/demo/v1/files", &key, Body::Empty)), 404);
    assert_eq!(status(Request::get("http://gate/gratis/x").body(Body::Empty).unwrap()), 401);
    assert_eq!(status(ask("GET", "/gratis/x", "gk_wrong", Body::Empty)), 401);
    let mut upgrade = ask("GET", "/gratis/x", &key, Body::Empty);
    upgrade.headers_mut().insert("upgrade", "websocket".parse().unwrap());
    assert_eq!(status(upgrade), 501);
    for path in
        ["/gratis/../x", "/gratis/a/%2e%2e/x", "/gratis//evil.example/x", "/gratis/a%2fb", "/gratis/%63hat"]
    {
        assert_eq!(status(ask("GET", path, &key, Body::Empty)), 400, "{path}");
    }
    assert!(world.handles.upstream.asked().is_empty());
}

#[test]
fn limits_hold_for_interfaces_and_a_provider_that_breaks_off_is_not_made_whole() {
    let world = World::new();
    let (_, key) = world.key(&json!({ "limits": { "rpm": 1 } }));
    let broken: Vec<Result<Bytes, Broken>> =
        vec![Ok(Bytes::from_static(b"half")), Err(Broken("cut".to_owned()))];
    let answer = Response::new(Body::Stream(stream::iter(broken).boxed()));
    world.handles.upstream.push_response(answer);
    let Body::Stream(mut body) = world.send(ask("GET", "/gratis/x", &key, Body::Empty)).into_body() else {
        panic!("a stream");
    };
    assert_eq!(block_on(body.next()).unwrap().unwrap(), "half");
    assert!(block_on(body.next()).unwrap().is_err());
    assert!(block_on(body.next()).is_none());
    assert_eq!(world.send(ask("GET", "/gratis/x", &key, Body::Empty)).status(), 429);
    assert!(world.records().iter().any(|record| record["outcome"] == "upstream_broken"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever the bytes, whatever their pieces, both ways.
    #[test]
    fn bytes_travel_untouched(
        up in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
        down in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
        stream in any::<bool>(),
        status in prop::sample::select(vec![200_u16, 201, 204, 301, 404, 500]),
    ) {
        let world = World::new();
        let (_, key) = world.key(&json!({}));
        let seen: Arc<Mutex<Body>> = Arc::default();
        let (into, answer) = (seen.clone(), down.clone());
        let media = if stream { "text/event-stream" } else { "application/json" };
        world.handles.upstream.push(move |request, _| {
            *into.lock().unwrap() = request.into_body();
            Ok(Response::builder().status(status).header("content-type", media).body(pieces(answer)).unwrap())
        });
        let response = world.send(ask("PUT", "/up-openai/any/path", &key, pieces(up.clone())));
        prop_assert_eq!(response.status(), status);
        prop_assert_eq!(read(response), down.concat());
        let sent = std::mem::take(&mut *seen.lock().unwrap());
        prop_assert_eq!(read(Response::new(sent)), up.concat());
    }

    /// A stream that a tap cannot read passes all the same.
    #[test]
    fn a_tap_changes_nothing(down in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6)) {
        let world = World::new();
        let (_, key) = world.key(&json!({}));
        let answer = Response::builder().header("content-type", "text/event-stream").body(pieces(down.clone())).unwrap();
        world.handles.upstream.push_response(answer);
        let body = r#"{"model":"model-q","stream":true,"messages":[{"role":"user","content":"hello"}]}"#;
        let response = world.send(chat("/up-openai/v1/chat/completions", &key, body));
        prop_assert_eq!(read(response), down.concat());
    }
}
