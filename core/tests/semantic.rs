//! Answers that are given to questions in other words: to whom, how alike they must be, and what the asking costs.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_executor::block_on;
use gatelet_core::port::Body;
use http::{Request, Response};
use serde_json::{Value, json};
use world::{World, anthropic, completion, completion_chunks, ok, openai, read, read_json, sse, whole};

const CONFIG: &str = r#"
providers:
  one: { dialect: openai, base: "http://one.example/v1", key: secret-1 }
  vec: { dialect: openai, base: "http://vec.example/v1", key: secret-2 }
models:
  mine: { targets: [ { model: one/m, price: { input: "1000", output: "1000" }, max_output: 1000 } ], retries: 0, cache: { ttl: 10m, semantic: { model: meaning, threshold: 0.9 } } }
  billed: { targets: [ { model: one/m, price: { input: "0", output: "0" } } ], retries: 0, cache: { ttl: 10m, scope: org, semantic: { model: meaning, billed: true, threshold: 0.9 } } }
  turns: { targets: [ one/m ], retries: 0, cache: { ttl: 10m, semantic: { model: meaning, threshold: 0.9, turns: 2 } } }
  wrong: { targets: [ one/m ], retries: 0, cache: { ttl: 10m, semantic: { model: meaningless } } }
  slow: { targets: [ one/m ], retries: 0, cache: { ttl: 10m, semantic: { model: silent, wait: 200ms } } }
  elsewhere: { targets: [ one/m ], retries: 0, cache: { ttl: 10m, semantic: { model: meaning, threshold: 0.9, index: { kind: qdrant, url: "https://index.example", collection: c, key: secret-3 } } } }
  meaning: { targets: [ { model: vec/v, price: { input: "2", output: "0" } } ], retries: 0 }
  meaningless: { targets: [ vec/none ], retries: 0 }
  silent: { targets: [ vec/silent ], retries: 0 }
"#;

/// What the embedding model makes of a text: two numbers, by what it is about.
fn meaning(text: &str) -> [f64; 3] {
    match text {
        text if text.contains("weather") && text.contains("How") => [0.95, 0.1, 0.05],
        text if text.contains("weather") => [1.0, 0.0, 0.0],
        text if text.contains("news") => [0.8, 0.6, 0.0],
        _ => [0.0, 1.0, 0.0],
    }
}

/// An index elsewhere, which knows one point at a time and forgets none unless it is told to.
#[derive(Default)]
struct Points(Mutex<Option<Value>>);

impl Points {
    fn answer(&self, path: &str, body: &Value) -> Response<Body> {
        let mut point = self.0.lock().unwrap();
        match path {
            "/collections/c/points" => *point = Some(body["points"][0].clone()),
            "/collections/c/points/delete" => {
                assert_eq!(point.take().unwrap()["id"], body["points"][0]);
            }
            "/collections/c/points/query" => {
                let points: Vec<Value> =
                    point.iter().map(|point| json!({ "score": 0.97, "payload": point["payload"] })).collect();
                return whole(200, &json!({ "result": { "points": points } }));
            }
            _ => return whole(404, &json!({})),
        }
        whole(200, &json!({ "result": { "status": "acknowledged" }, "status": "ok" }))
    }
}

struct Asked {
    models: AtomicUsize,
    vectors: AtomicUsize,
}

fn world() -> (World, Arc<Asked>) {
    let world = World::of(CONFIG);
    let asked = Arc::new(Asked { models: AtomicUsize::new(0), vectors: AtomicUsize::new(0) });
    let (count, points) = (asked.clone(), Points::default());
    world.handles.upstream.always(move |request: Request<Body>, _| {
        let uri = request.uri().clone();
        let vectors = uri.host().unwrap() == "vec.example";
        let bytes = match request.into_body() {
            Body::Full(bytes) => bytes.to_vec(),
            Body::Pieces(pieces) => pieces.concat(),
            _ => Vec::new(),
        };
        let body: Value = serde_json::from_slice(&bytes).unwrap();
        if uri.host().unwrap() == "index.example" {
            return Ok(points.answer(uri.path(), &body));
        }
        if vectors {
            count.vectors.fetch_add(1, Ordering::SeqCst);
            return Ok(match body["model"].as_str() {
                Some("v") => {
                    let vector = meaning(body["input"].as_str().unwrap());
                    let data = json!([{ "object": "embedding", "index": 0, "embedding": vector }]);
                    whole(200, &json!({ "object": "list", "model": "v", "data": data, "usage": { "prompt_tokens": 4, "total_tokens": 4 } }))
                }
                Some("silent") => world::endless(Vec::new()),
                _ => whole(500, &json!({ "error": { "message": "it is down" } })),
            });
        }
        let text = format!("answer {}", count.models.fetch_add(1, Ordering::SeqCst) + 1);
        let stream = body["stream"] == true;
        Ok(if stream { sse(ok(completion_chunks(&text, Some((5, 2))))) } else { whole(200, &completion(&text, 5, 2)) })
    });
    (world, asked)
}

fn question(model: &str, text: &str) -> Value {
    json!({ "model": model, "max_tokens": 10, "messages": [{ "role": "user", "content": text }] })
}

/// What the cache said, and the answer.
fn said(response: Response<Body>) -> (String, String) {
    assert_eq!(response.status(), 200);
    let cache = response.headers()["x-gatelet-cache"].to_str().unwrap().to_owned();
    let text = read_json(response)["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    (cache, text)
}

fn pair(cache: &str, text: &str) -> (String, String) {
    (cache.to_owned(), text.to_owned())
}

#[test]
fn a_question_in_other_words_gets_the_answer_and_says_how_alike_they_are() {
    let (world, asked) = world();
    let (id, key) = world.key(&json!({ "limits": { "budget": "1 USD / day" } }));
    assert_eq!(
        said(world.send(openai(&key, &question("mine", "What is the weather?")))),
        pair("miss", "answer 1")
    );
    let spent = world.usage(&id)["budget"][0]["spent"].clone();
    let response = world.send(openai(&key, &question("mine", "How is the weather?")));
    assert_eq!(response.headers()["x-gatelet-cache-similarity"], "0.9931");
    assert_eq!(response.headers()["x-gatelet-cost"], "0");
    assert_eq!(response.headers()["x-gatelet-attempts"], "0");
    assert_eq!(said(response), pair("semantic", "answer 1"));
    // Equal words need no vector.
    let equal = world.send(openai(&key, &question("mine", "What is the weather?")));
    assert!(equal.headers().get("x-gatelet-cache-similarity").is_none());
    assert_eq!(said(equal), pair("hit", "answer 1"));
    // Less alike than it must be.
    assert_eq!(said(world.send(openai(&key, &question("mine", "Any news?")))), pair("miss", "answer 2"));
    assert_eq!((asked.models.load(Ordering::SeqCst), asked.vectors.load(Ordering::SeqCst)), (2, 3));
    let records = world.records();
    let of = |what: &str| {
        records
            .iter()
            .filter(|record| record["kind"] == "request" && record["operation"] == what)
            .collect::<Vec<_>>()
    };
    let chats = of("chat");
    assert_eq!(
        (&chats[1]["cache"], &chats[1]["similarity"], &chats[1]["saved"]),
        (&json!("semantic"), &json!(0.9931), &json!("0.007"))
    );
    // Each vector is a request of its own: 4 tokens at 2 dollars for a million, at nobody's expense.
    let lookups = of("embedding");
    assert_eq!(lookups.len(), 3);
    assert_eq!((&lookups[1]["lookup_for"], &lookups[1]["target"]), (&chats[1]["id"], &json!("vec/v")));
    assert_eq!((&lookups[1]["unbilled"], &lookups[1]["cost"]), (&json!("0.000008"), &json!("0")));
    assert_eq!(spent, "0.007");
    assert_eq!(world.usage(&id)["budget"][0]["spent"], "0.014");
}

#[test]
fn whatever_else_is_different_makes_another_question() {
    let (world, asked) = world();
    let (_, key) = world.key(&json!({}));
    let (_, neighbour) = world.key(&json!({}));
    let plain = question("mine", "What is the weather?");
    let tool = |name: &str| json!([{ "type": "function", "function": { "name": name, "parameters": { "type": "object" } } }]);
    let with = |field: &str, value: Value| {
        let mut question = question("mine", "How is the weather?");
        question[field] = value;
        question
    };
    let messages = |messages: Value| with("messages", messages);
    let how = json!({ "role": "user", "content": "How is the weather?" });
    assert_eq!(said(world.send(openai(&key, &plain))).0, "miss");
    assert_eq!(said(world.send(openai(&key, &question("mine", "How is the weather?")))).0, "semantic");
    for other in [
        with("temperature", json!(0.5)),
        with("max_tokens", json!(11)),
        with("tools", tool("f")),
        with("tools", tool("g")),
        with("response_format", json!({ "type": "json_object" })),
        messages(json!([{ "role": "system", "content": "Be brief." }, how])),
        messages(json!([{ "role": "system", "content": "Be long." }, how])),
        messages(
            json!([{ "role": "user", "content": "Hi" }, { "role": "assistant", "content": "Hello" }, how]),
        ),
        // Vectors do not tell numbers apart.
        question("mine", "How is the weather on day 3?"),
        question("mine", "How is the weather on day 4?"),
        question("turns", "How is the weather?"),
    ] {
        assert_eq!(said(world.send(openai(&key, &other))).0, "miss", "{other}");
    }
    assert_eq!(said(world.send(openai(&neighbour, &plain))).0, "miss", "another tenant");
    let before = asked.vectors.load(Ordering::SeqCst);
    // What is not text alone, or long, is not compared.
    let picture = json!([{ "role": "user", "content": [
        { "type": "text", "text": "How is the weather?" },
        { "type": "image_url", "image_url": { "url": "data:image/png;base64,iVBORw0KGgo=" } },
    ] }]);
    let prefilled = json!([how, { "role": "assistant", "content": "It" }]);
    let long = json!([{ "role": "user", "content": "weather ".repeat(300) }]);
    for other in [picture, prefilled, long] {
        assert_eq!(said(world.send(openai(&key, &messages(other.clone())))).0, "miss", "{other}");
    }
    assert_eq!(asked.vectors.load(Ordering::SeqCst), before);
}

#[test]
fn as_many_turns_are_compared_as_the_configuration_says() {
    let (world, _) = world();
    let (_, key) = world.key(&json!({}));
    let talk = |first: &str, second: &str, third: &str| {
        let said = |role: &str, text: &str| json!({ "role": role, "content": text });
        json!({ "model": "turns", "messages": [
            said("system", "Be brief."), said("user", first), said("assistant", "Yes?"),
            said("user", second), said("assistant", "Yes?"), said("user", third),
        ] })
    };
    assert_eq!(said(world.send(openai(&key, &talk("Hi", "Hello", "What is the weather?")))).0, "miss");
    assert_eq!(said(world.send(openai(&key, &talk("Hi", "Good day", "How is the weather?")))).0, "semantic");
    assert_eq!(said(world.send(openai(&key, &talk("Hey", "Hello", "How is the weather?")))).0, "miss");
}

#[test]
fn it_is_given_as_a_stream_and_in_another_dialect() {
    let (world, asked) = world();
    let (_, key) = world.key(&json!({}));
    let mut stream = question("mine", "What is the weather?");
    stream["stream"] = true.into();
    assert_eq!(world.send(openai(&key, &stream)).headers()["x-gatelet-cache"], "miss");
    // Its caller left before it had read the answer: nothing is kept of it.
    let again = world.send(openai(&key, &stream));
    assert_eq!(again.headers()["x-gatelet-cache"], "miss");
    read(again);
    let mut other = question("mine", "How is the weather?");
    other["stream"] = true.into();
    let response = world.send(anthropic(&key, &other));
    assert_eq!(response.headers()["x-gatelet-cache"], "semantic");
    let text = String::from_utf8(read(response)).unwrap();
    assert!(text.contains("answer 2") && text.contains("event: message_stop"), "{text}");
    assert_eq!(said(world.send(openai(&key, &question("mine", "How is the weather?")))).0, "semantic");
    assert_eq!(asked.models.load(Ordering::SeqCst), 2);
}

#[test]
fn without_a_vector_the_request_goes_on_and_nobody_is_asked_for_one_for_a_while() {
    let (world, asked) = world();
    let (_, key) = world.key(&json!({}));
    for (nth, text) in ["What is the weather?", "How is the weather?"].into_iter().enumerate() {
        let expected = pair("miss", &format!("answer {}", nth + 1));
        assert_eq!(said(world.send(openai(&key, &question("wrong", text)))), expected);
    }
    assert_eq!(asked.vectors.load(Ordering::SeqCst), 1, "it is left alone");
    assert_eq!(said(world.send(openai(&key, &question("wrong", "How is the weather?")))).0, "hit");
    // Another model's failure is not this one's.
    assert_eq!(said(world.send(openai(&key, &question("mine", "What is the weather?")))).0, "miss");
    assert_eq!(said(world.send(openai(&key, &question("mine", "How is the weather?")))).0, "semantic");
    world.handles.clock.advance(Duration::from_secs(6));
    assert_eq!(said(world.send(openai(&key, &question("wrong", "Weather?")))).0, "miss");
    assert_eq!(asked.vectors.load(Ordering::SeqCst), 4);
    // One that is silent is waited for as long as the configuration says.
    let (head, _, took) = world.send_in_time(openai(&key, &question("slow", "What is the weather?")));
    assert_eq!((head.status.as_u16(), &head.headers["x-gatelet-cache"]), (200, &"miss".parse().unwrap()));
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn a_lookup_that_is_billed_is_its_callers() {
    let (world, _) = world();
    let (id, key) = world.key(&json!({ "limits": { "budget": "1 USD / day" } }));
    assert_eq!(said(world.send(openai(&key, &question("billed", "What is the weather?")))).0, "miss");
    assert_eq!(said(world.send(openai(&key, &question("billed", "How is the weather?")))).0, "semantic");
    assert_eq!(world.usage(&id)["budget"][0]["spent"], "0.000016");
    // Who may not call the model has equal questions only.
    let (_, bound) = world.key(&json!({ "models": ["billed"] }));
    for expected in ["miss", "hit"] {
        assert_eq!(said(world.send(openai(&bound, &question("billed", "What is the weather?")))).0, expected);
    }
    assert_eq!(said(world.send(openai(&bound, &question("billed", "How is the weather?")))).0, "miss");
    assert_eq!(said(world.send(openai(&key, &question("billed", "How is that weather?")))).0, "semantic");
}

#[test]
fn another_process_finds_it_and_a_purge_takes_it_out_there_too() {
    let (world, asked) = world();
    let (id, key) = world.key(&json!({}));
    assert_eq!(said(world.send(openai(&key, &question("mine", "What is the weather?")))).0, "miss");
    block_on(world.handles.defer.run_all());
    let other = world.again("");
    assert_eq!(
        said(other.send(openai(&key, &question("mine", "How is the weather?")))),
        pair("semantic", "answer 1")
    );
    let (status, purged) = world.admin("POST", "/admin/v1/cache/purge", &json!({ "key": id }));
    assert_eq!(status, 200, "{purged}");
    world.handles.clock.advance(Duration::from_secs(11));
    for world in [&world, &other, &world.again("")] {
        let asked = asked.models.load(Ordering::SeqCst) + 1;
        let text = format!("How is the weather, {}?", "please ".repeat(asked));
        assert_eq!(
            said(world.send(openai(&key, &question("mine", &text)))),
            pair("miss", &format!("answer {asked}"))
        );
        let (_, purged) = world.admin("POST", "/admin/v1/cache/purge", &json!({ "all": true }));
        assert!(purged.is_object());
        world.handles.clock.advance(Duration::from_secs(11));
    }
}

#[test]
fn who_wants_no_old_answer_gets_none_of_another_question_either() {
    let (world, _) = world();
    let (_, key) = world.key(&json!({}));
    assert_eq!(said(world.send(openai(&key, &question("mine", "What is the weather?")))).0, "miss");
    let with = |wish: &str| {
        let mut request = openai(&key, &question("mine", "How is the weather?"));
        request.headers_mut().insert("x-gatelet-cache", wish.parse().unwrap());
        world.send(request)
    };
    assert_eq!(said(with("no-cache, no-store")).0, "miss");
    assert_eq!(said(with("namespace=a, no-store")).0, "miss");
    world.handles.clock.advance(Duration::from_mins(1));
    assert_eq!(said(with("max-age=30, no-store")).0, "miss");
    assert_eq!(said(with("max-age=90, no-store")).0, "semantic");
    world.handles.clock.advance(Duration::from_mins(10));
    assert_eq!(said(with("no-store")).0, "miss", "its time is over");
}

#[test]
fn vectors_may_be_in_an_index_elsewhere() {
    let (world, _) = world();
    let (_, key) = world.key(&json!({}));
    let (_, neighbour) = world.key(&json!({}));
    let weather = question("elsewhere", "What is the weather?");
    assert_eq!(said(world.send(openai(&key, &weather))), pair("miss", "answer 1"));
    block_on(world.handles.defer.run_all());
    let other = world.again("");
    let response = other.send(openai(&key, &question("elsewhere", "How is the weather?")));
    assert_eq!(response.headers()["x-gatelet-cache-similarity"], "0.97");
    assert_eq!(said(response), pair("semantic", "answer 1"));
    // Whatever the index says, an answer of another space is nobody's.
    let asked = question("elsewhere", "How is the weather, then?");
    assert_eq!(said(other.send(openai(&neighbour, &asked))), pair("miss", "answer 2"));
    // Nobody has the answer any more, so the index is told to forget it.
    world.handles.clock.advance(Duration::from_mins(11));
    let mut no_store = openai(&neighbour, &question("elsewhere", "How was the weather?"));
    no_store.headers_mut().insert("x-gatelet-cache", "no-store".parse().unwrap());
    block_on(world.handles.defer.run_all());
    let asked = world.handles.upstream.asked().len();
    assert_eq!(said(world.send(no_store)).0, "miss");
    block_on(world.handles.defer.run_all());
    let paths: Vec<String> =
        world.handles.upstream.asked()[asked..].iter().map(|asked| asked.uri.path().to_owned()).collect();
    assert_eq!(
        paths,
        [
            "/v1/embeddings",
            "/collections/c/points/query",
            "/v1/chat/completions",
            "/collections/c/points/delete"
        ]
    );
}
