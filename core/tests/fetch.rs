//! Images and files that callers name by URL, for targets that take nothing but their bytes.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use gatelet_core::port::{Body, Fault, FaultKind, Reach};
use http::{Request, Response};
use serde_json::{Value, json};
use world::*;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and what follows";

const CONFIG: &str = r#"
providers:
  up-openai: { dialect: openai, base: "http://127.0.0.1:1/v1", key: secret-o }
  up-plain: { dialect: openai, base: "http://127.0.0.1:1/v1", key: secret-o, bytes_only: true }
  up-anthropic: { dialect: anthropic, base: "http://127.0.0.1:1", key: secret-a }
  up-gemini: { dialect: gemini, base: "http://127.0.0.1:1/v1beta", key: secret-g }
  up-ollama: { dialect: ollama, base: "http://127.0.0.1:1", auth: none }
  up-bedrock: { dialect: bedrock, base: "http://127.0.0.1:1", key: "AKIDEXAMPLE:secret:lent", region: eu-west-1 }
models:
  "openai/*": { targets: [ { model: up-openai/*, price: { input: "1", output: "10" }, max_output: 1000 } ], retries: 0 }
  "plain/*": { targets: [ { model: up-plain/*, price: { input: "1", output: "10" }, max_output: 1000 } ], retries: 0 }
  "claude/*": { targets: [ { model: up-anthropic/*, price: { input: "1", output: "10" }, max_output: 1000 } ], retries: 0 }
  "gem/*": { targets: [ { model: up-gemini/*, price: { input: "1", output: "10" }, max_output: 1000 } ], retries: 0 }
  "llama/*": { targets: [ { model: up-ollama/*, price: { input: "1", output: "10" }, max_output: 1000 } ], retries: 2 }
  "converse/*": { targets: [ { model: up-bedrock/*, price: { input: "1", output: "10" }, max_output: 1000 } ], retries: 0 }
  bytes-then-url:
    targets: [ { model: up-ollama/a, price: { input: "1", output: "10" } }, { model: up-openai/b, price: { input: "1", output: "10" } } ]
    retries: 0
"#;

fn world_of(fetch: &str) -> World {
    World::of(&format!("{CONFIG}{fetch}"))
}

fn file(bytes: &'static [u8], media_type: &str) -> Response<Body> {
    Response::builder()
        .header("content-type", media_type)
        .body(Body::from(Bytes::from_static(bytes)))
        .unwrap()
}

fn moved(status: u16, location: &str) -> Response<Body> {
    Response::builder().status(status).header("location", location).body(Body::Empty).unwrap()
}

fn picture(url: &str) -> Value {
    json!({ "type": "image_url", "image_url": { "url": url } })
}

fn ask(world: &World, key: &str, model: &str, parts: &Value) -> Response<Body> {
    let body = json!({ "model": model, "max_tokens": 10, "messages": [
        { "role": "system", "content": "s" }, { "role": "user", "content": parts } ] });
    world.send(openai(key, &body))
}

/// Answers in the dialect of whoever is asked.
fn answer(request: &Request<Body>) -> Response<Body> {
    let path = request.uri().path();
    let body = if path.contains("/converse") {
        json!({ "output": { "message": { "role": "assistant", "content": [{ "text": "hi" }] } }, "stopReason": "end_turn",
            "usage": { "inputTokens": 5, "outputTokens": 2, "totalTokens": 7 } })
    } else if path.contains("generateContent") {
        json!({ "candidates": [{ "content": { "role": "model", "parts": [{ "text": "hi" }] }, "finishReason": "STOP" }],
            "usageMetadata": { "promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7 } })
    } else if path.contains("/api/chat") {
        json!({ "model": "m", "created_at": "2026-01-01T00:00:00Z", "message": { "role": "assistant", "content": "hi" },
            "done": true, "done_reason": "stop", "prompt_eval_count": 5, "eval_count": 2 })
    } else if path.contains("/messages") {
        message("hi", 5, 2)
    } else {
        completion("hi", 5, 2)
    };
    whole(200, &body)
}

/// Serves `file` to whoever comes by GET, and answers to the rest.
fn serve(
    world: &World,
    file: impl Fn(&Request<Body>) -> Result<Response<Body>, Fault> + Send + Sync + 'static,
) {
    world.handles.upstream.always(move |request, _| {
        if request.method() == http::Method::GET { file(&request) } else { Ok(answer(&request)) }
    });
}

fn sent(world: &World) -> Value {
    let asked = world.handles.upstream.asked();
    let last = asked.iter().rev().find(|asked| asked.method == http::Method::POST).expect("nothing was sent");
    serde_json::from_slice(last.body.as_ref().unwrap()).unwrap()
}

fn gets(world: &World) -> Vec<(String, Reach)> {
    let asked = world.handles.upstream.asked();
    asked
        .iter()
        .filter(|asked| asked.method == http::Method::GET)
        .map(|asked| (asked.uri.to_string(), asked.reach))
        .collect()
}

#[test]
fn an_image_by_url_arrives_as_bytes_at_bedrock_ollama_and_gemini() {
    let world = world_of("");
    let (_, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    serve(&world, |_| Ok(file(PNG, "application/octet-stream")));
    let data = STANDARD.encode(PNG);
    let parts = json!([{ "type": "text", "text": "look" }, picture("https://pictures.example/a.png")]);
    for (model, expected) in [
        ("converse/a", json!({ "image": { "format": "png", "source": { "bytes": data } } })),
        ("gem/a", json!({ "inlineData": { "mimeType": "image/png", "data": data } })),
        ("llama/a", json!([data])),
    ] {
        let response = ask(&world, &key, model, &parts);
        assert_eq!(response.status(), 200, "{model} {}", String::from_utf8_lossy(&read(response)));
        let sent = sent(&world);
        let found = match model {
            "converse/a" => &sent["messages"][0]["content"][1],
            "gem/a" => &sent["contents"][0]["parts"][1],
            _ => &sent["messages"][1]["images"],
        };
        assert_eq!(*found, expected, "{model}");
    }
    let get = ("https://pictures.example/a.png".to_owned(), Reach::Public);
    assert_eq!(gets(&world), vec![get.clone(), get.clone(), get]);
    // Neither the caller's key nor a provider's goes there.
    let asked = world.handles.upstream.asked();
    let get = asked.iter().find(|asked| asked.method == http::Method::GET).unwrap();
    assert!(
        get.headers.keys().all(|name| ["accept", "user-agent"].contains(&name.as_str())),
        "{:?}",
        get.headers
    );
}

#[test]
fn who_fetches_by_itself_gets_the_address_and_the_same_dialect_its_bytes() {
    let world = world_of("");
    let (_, key) = world.key(&json!({}));
    serve(&world, |_| Ok(file(PNG, "image/png")));
    let parts = json!([picture("https://pictures.example/a.png")]);
    for model in ["openai/a", "claude/a"] {
        assert_eq!(ask(&world, &key, model, &parts).status(), 200);
    }
    assert_eq!(sent(&world)["messages"][0]["content"][0]["source"]["url"], "https://pictures.example/a.png");
    assert!(gets(&world).is_empty());
    // A film, and a file that Gemini keeps.
    for url in
        ["https://www.youtube.com/watch?v=1", "https://generativelanguage.googleapis.com/v1beta/files/a"]
    {
        assert_eq!(ask(&world, &key, "gem/a", &json!([picture(url)])).status(), 200);
        assert_eq!(sent(&world)["contents"][0]["parts"][0]["fileData"]["fileUri"], url);
    }
    assert!(gets(&world).is_empty());
}

#[test]
fn a_provider_that_fetches_nothing_gets_bytes_in_its_own_dialect_too() {
    let world = world_of("");
    let (_, key) = world.key(&json!({}));
    serve(&world, |_| Ok(file(PNG, "image/png")));
    let response = ask(&world, &key, "plain/a", &json!([picture("https://pictures.example/a.png")]));
    assert_eq!(response.status(), 200);
    let url = format!("data:image/png;base64,{}", STANDARD.encode(PNG));
    assert_eq!(sent(&world)["messages"][1]["content"][0]["image_url"]["url"], url);
    assert_eq!(sent(&world)["model"], "a");
    // What names nothing keeps its bytes.
    let body = r#"{ "model":"plain/a", "z":1.10, "messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}] }"#;
    assert_eq!(world.send(chat("/v1/chat/completions", &key, body)).status(), 200);
    let asked = world.handles.upstream.asked();
    assert_eq!(*asked.last().unwrap().body.as_ref().unwrap(), body.replace("plain/a", "a"));
}

#[test]
fn documents_and_texts_become_what_the_target_reads() {
    let world = world_of("");
    let (_, key) = world.key(&json!({}));
    serve(&world, |request| {
        Ok(match request.uri().path() {
            "/a.pdf" => file(b"%PDF-1.7 and so on", "application/pdf"),
            _ => file(b"# Title", "text/markdown"),
        })
    });
    let document = |model: &str, url: &str| {
        let body = json!({ "model": model, "max_tokens": 10, "messages": [{ "role": "user", "content": [
            { "type": "document", "source": { "type": "url", "url": url } }] }] });
        world.send(anthropic(&key, &body))
    };
    assert_eq!(document("openai/a", "https://a.example/a.pdf").status(), 200);
    let file = &sent(&world)["messages"][0]["content"][0]["file"];
    let data = STANDARD.encode(b"%PDF-1.7 and so on");
    assert_eq!(file["file_data"], format!("data:application/pdf;base64,{data}"));
    assert_eq!(document("converse/a", "https://a.example/a.md").status(), 200);
    let all = sent(&world);
    let blocks = all["messages"][0]["content"].as_array().unwrap();
    let document = blocks.iter().find_map(|block| block.get("document")).unwrap();
    assert_eq!(document["format"], "md");
    assert_eq!(document["source"]["text"], "# Title");
}

#[test]
fn a_tools_picture_is_fetched_and_what_a_model_said_is_not() {
    let world = world_of("");
    let (_, key) = world.key(&json!({}));
    serve(&world, |_| Ok(file(PNG, "image/png")));
    let body = json!({ "model": "converse/a", "max_tokens": 10, "tools": [{ "name": "see", "input_schema": { "type": "object" } }],
        "messages": [
            { "role": "user", "content": "look" },
            { "role": "assistant", "content": [{ "type": "tool_use", "id": "t1", "name": "see",
                "input": { "source": { "type": "url", "url": "https://said.example/b.png" } } }] },
            { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "t1", "content": [
                { "type": "image", "source": { "type": "url", "url": "https://pictures.example/a.png" } }] }] }] });
    let response = world.send(anthropic(&key, &body));
    assert_eq!(response.status(), 200, "{}", String::from_utf8_lossy(&read(response)));
    assert_eq!(gets(&world), vec![("https://pictures.example/a.png".to_owned(), Reach::Public)]);
}

#[test]
fn one_address_is_fetched_once_for_all_places_and_attempts() {
    let world = world_of("");
    let (_, key) = world.key(&json!({}));
    world.handles.upstream.push(|_, _| Ok(file(PNG, "image/png")));
    world.handles.upstream.push(|_, _| Ok(whole(500, &json!({ "error": "busy" }))));
    world.handles.upstream.always(|request, _| Ok(answer(&request)));
    let parts = json!([picture("https://pictures.example/a.png"), picture("https://pictures.example/a.png")]);
    let advance = world.handles.clock.clone();
    let turning = std::thread::spawn(move || {
        for _ in 0..200 {
            std::thread::sleep(Duration::from_millis(5));
            advance.advance(Duration::from_millis(100));
        }
    });
    let response = ask(&world, &key, "llama/a", &parts);
    assert_eq!(response.status(), 200);
    assert_eq!(sent(&world)["messages"][1]["images"].as_array().unwrap().len(), 2);
    assert_eq!(gets(&world).len(), 1);
    turning.join().unwrap();
}

/// Refused with this code, at this place, nothing charged or held, no target asked.
fn refused(world: &World, model: &str, parts: &Value, code: &str) -> Value {
    let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    let response = ask(world, &key, model, parts);
    assert_eq!(response.status(), 400, "{code}");
    let body = read_json(response);
    assert_eq!(body["error"]["code"], code, "{body}");
    assert_eq!(body["error"]["type"], "invalid_request_error", "{body}");
    let usage = world.usage(&id);
    assert_eq!(usage["budget"][0]["spent"], "0", "{usage}");
    assert_eq!(usage["budget"][0]["held"], "0", "{usage}");
    let posts = world.handles.upstream.asked().into_iter().filter(|asked| asked.method == http::Method::POST);
    assert_eq!(posts.count(), 0, "a target was asked");
    body["error"].clone()
}

type Serve = Box<dyn Fn(&Request<Body>) -> Result<Response<Body>, Fault> + Send + Sync>;

#[test]
fn what_cannot_be_had_is_refused_at_its_place_and_nothing_is_charged() {
    let broken = || {
        let pieces = [Ok(Bytes::from_static(PNG)), Err(gatelet_core::port::Broken("gone".to_owned()))];
        Response::new(Body::Stream(stream::iter(pieces).boxed()))
    };
    let cases: Vec<(&str, Serve)> = vec![
        ("media_unreachable", Box::new(|_| Ok(whole(404, &json!({}))))),
        ("media_unreachable", Box::new(|_| Ok(whole(304, &json!({}))))),
        ("media_unreachable", Box::new(|_| Err(Fault::new(FaultKind::Unavailable, "upstream.send", "")))),
        ("media_unreachable", Box::new(|_| Err(Fault::new(FaultKind::Timeout, "upstream.send", "")))),
        ("media_unreachable", Box::new(move |_| Ok(broken()))),
        ("media_unreachable", Box::new(|_| Ok(moved(302, "/again")))),
        ("media_url_refused", Box::new(|_| Err(Fault::new(FaultKind::Denied, "upstream.send", "rebound")))),
        ("media_url_refused", Box::new(|_| Ok(moved(301, "http://169.254.169.254/latest/meta-data/")))),
        ("media_url_refused", Box::new(|_| Ok(moved(302, "https://127.0.0.1/a.png")))),
        ("media_url_refused", Box::new(|_| Ok(moved(307, "http://pictures.example/a.png")))),
        ("media_url_refused", Box::new(|_| Ok(moved(308, "file:///etc/passwd")))),
        ("media_type_wrong", Box::new(|_| Ok(file(b"<html></html>", "image/png")))),
        ("media_type_wrong", Box::new(|_| Ok(file(b"%PDF-1.7", "application/pdf")))),
        ("media_type_wrong", Box::new(|_| Ok(file(b"", "image/png")))),
    ];
    for (code, case) in cases {
        let world = world_of("");
        serve(&world, case);
        let parts = json!([{ "type": "text", "text": "look" }, picture("https://pictures.example/a.png")]);
        let error = refused(&world, "converse/a", &parts, code);
        assert_eq!(error["param"], "messages[1].content[1].image_url.url", "{code}");
        assert!(gets(&world).len() <= 4, "{:?}", gets(&world));
        let records = world.records();
        assert!(records.iter().any(|line| line["outcome"] == code && line["cost"] == "0"), "{records:?}");
    }
}

#[test]
fn places_that_are_not_public_are_refused_before_anybody_is_asked() {
    for url in [
        "https://127.0.0.1/a.png",
        "http://127.0.0.1:1/a.png",
        "https://[::1]/a.png",
        "https://169.254.169.254/latest/meta-data/",
        "https://2130706433/a.png",
        "https://0177.0.0.1/a.png",
        "https://0x7f.0.0.1/a.png",
        "https://[::ffff:10.0.0.1]/a.png",
        "https://localhost/a.png",
        "https://metadata.google.internal/a.png",
        "https://pictures.example@10.0.0.1/a.png",
        "http://pictures.example/a.png",
    ] {
        let world = world_of("");
        serve(&world, |_| Ok(file(PNG, "image/png")));
        let error = refused(&world, "converse/a", &json!([picture(url)]), "media_url_refused");
        assert!(gets(&world).is_empty(), "{url}");
        assert_eq!(error["param"], "messages[1].content[0].image_url.url");
    }
}

#[test]
fn too_large_is_refused_by_what_is_announced_and_by_what_comes() {
    let endless = || {
        let chunks = stream::repeat_with(|| Ok(Bytes::from(vec![0; 1000])));
        Response::new(Body::Stream(chunks.boxed()))
    };
    let announced = || {
        let mut response = file(PNG, "image/png");
        response.headers_mut().insert("content-length", "20001".parse().unwrap());
        response
    };
    for large in [Box::new(endless) as Box<dyn Fn() -> Response<Body> + Send + Sync>, Box::new(announced)] {
        let world = world_of("fetch: { file: 20 KB }");
        serve(&world, move |_| Ok(large()));
        refused(&world, "converse/a", &json!([picture("https://pictures.example/a.png")]), "media_too_large");
    }
    // Together: two of nine tenths each.
    let world = world_of("fetch: { file: 10 KB, total: 15 KB }");
    serve(&world, |_| {
        let mut bytes = PNG.to_vec();
        bytes.resize(9_000, 0);
        Ok(Response::new(Body::from(bytes)))
    });
    let two = json!([picture("https://pictures.example/a.png"), picture("https://pictures.example/b.png")]);
    refused(&world, "converse/a", &two, "media_too_large");
    let (_, key) = world.key(&json!({}));
    assert_eq!(ask(&world, &key, "converse/a", &json!([two[0]])).status(), 200);
}

#[test]
fn too_many_too_slow_and_not_at_all() {
    let world = world_of("fetch: { files: 1 }");
    serve(&world, |_| Ok(file(PNG, "image/png")));
    let two = json!([picture("https://pictures.example/a.png"), picture("https://pictures.example/b.png")]);
    let error = refused(&world, "converse/a", &two, "media_too_many");
    assert_eq!(error["param"], "messages[1].content[1].image_url.url");
    assert!(gets(&world).is_empty());

    let world = world_of("fetch: { time: 2s }");
    serve(&world, |_| Ok(Response::new(Body::Stream(stream::pending().boxed()))));
    let clock = world.handles.clock.clone();
    let turning = std::thread::spawn(move || {
        for _ in 0..100 {
            std::thread::sleep(Duration::from_millis(5));
            clock.advance(Duration::from_millis(100));
        }
    });
    refused(&world, "converse/a", &json!([two[0]]), "media_unreachable");
    turning.join().unwrap();

    // Off, the dialect says itself what it does not take.
    let world = world_of("fetch: off");
    refused(&world, "converse/a", &json!([two[0]]), "body_malformed");
    assert!(gets(&world).is_empty());
}

#[test]
fn a_list_of_hosts_and_private_places_are_what_the_admin_says() {
    let world = world_of("fetch: { hosts: [pictures.example], private: [\"127.0.0.1:9\"], http: true }");
    serve(&world, |_| Ok(file(PNG, "image/png")));
    let (_, key) = world.key(&json!({}));
    for (url, reach) in [
        ("https://pictures.example/a.png", Reach::Public),
        ("http://pictures.example/a.png", Reach::PublicPlain),
        ("http://127.0.0.1:9/a.png", Reach::Private),
    ] {
        assert_eq!(ask(&world, &key, "converse/a", &json!([picture(url)])).status(), 200, "{url}");
        assert_eq!(*gets(&world).last().unwrap(), (url.to_owned(), reach));
    }
    let count = gets(&world).len();
    for url in
        ["https://other.example/a.png", "http://127.0.0.1:10/a.png", "https://a.pictures.example/a.png"]
    {
        assert_eq!(ask(&world, &key, "converse/a", &json!([picture(url)])).status(), 400, "{url}");
    }
    assert_eq!(gets(&world).len(), count);
}

#[test]
fn where_one_target_wants_bytes_that_cannot_be_had_another_may_take_the_address() {
    let world = world_of("");
    serve(&world, |_| Ok(whole(404, &json!({}))));
    let (_, key) = world.key(&json!({}));
    let response = ask(&world, &key, "bytes-then-url", &json!([picture("https://pictures.example/a.png")]));
    assert_eq!(response.status(), 200);
    assert_eq!(sent(&world)["model"], "b");
}

#[test]
fn other_dialects_say_it_in_their_own_words() {
    let world = world_of("");
    serve(&world, |_| Ok(whole(404, &json!({}))));
    let (_, key) = world.key(&json!({}));
    let body = json!({ "model": "converse/a", "max_tokens": 10, "messages": [{ "role": "user", "content": [
        { "type": "image", "source": { "type": "url", "url": "https://pictures.example/a.png" } }] }] });
    let response = world.send(anthropic(&key, &body));
    assert_eq!(response.status(), 400);
    let said = read_json(response);
    assert_eq!(said["error"]["type"], "invalid_request_error", "{said}");
    assert!(said["error"]["message"].as_str().unwrap().contains("404"), "{said}");
}
