//! Streams that break off after their first content, and go on where the configuration asks for that.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use futures_executor::block_on;
use futures_util::StreamExt;
use gatelet_core::port::{Body, Broken};
use gatelet_wire::fold::Fold;
use gatelet_wire::{DialectId, Event};
use http::{Request, Response};
use proptest::prelude::*;
use serde_json::{Value, json};
use world::{World, chat, completion_chunks, message_events, ok, openai, sse};

const CONFIG: &str = r#"
providers:
  up-openai: { dialect: openai, base: "http://127.0.0.1:1/v1", key: secret-o }
  up-anthropic: { dialect: anthropic, base: "http://127.0.0.1:1", key: secret-a }
models:
  openai: { targets: [ { model: up-openai/model-o, price: { input: "1", output: "10", per: 1M }, max_output: 1000 } ], retries: 0, resume: { times: 2, prefill: true } }
  anthropic: { targets: [ { model: up-anthropic/model-a, price: { input: "1", output: "10", per: 1M }, max_output: 1000 } ], retries: 0, resume: { times: 2, prefill: true } }
  both:
    targets:
      - { model: up-openai/model-o, price: { input: "1", output: "10", per: 1M }, max_output: 1000 }
      - { model: up-anthropic/model-a, price: { input: "1", output: "10", per: 1M }, max_output: 1000 }
    strategy: in-order
    retries: 0
    resume: { prefill: true }
  unasked: { targets: [ { model: up-openai/model-o, price: { input: "1", output: "10", per: 1M }, max_output: 1000 } ], retries: 0 }
"#;

fn world() -> (World, String) {
    let world = World::of(CONFIG);
    let (_, key) = world.key(&json!({}));
    (world, key)
}

/// A request for a stream, in a dialect, of a model.
fn asked(dialect: DialectId, key: &str, model: &str) -> Request<Body> {
    let turns = json!([{ "role": "user", "content": "hello" }]);
    let plain = json!({ "model": model, "stream": true, "max_tokens": 500, "messages": turns });
    let parts = json!([{ "role": "user", "parts": [{ "text": "hello" }] }]);
    let blocks = json!([{ "role": "user", "content": [{ "text": "hello" }] }]);
    let (path, body) = match dialect {
        DialectId::Openai => {
            let mut body = plain;
            body["stream_options"] = json!({ "include_usage": true });
            ("/v1/chat/completions".to_owned(), body)
        }
        DialectId::Anthropic => ("/v1/messages".to_owned(), plain),
        DialectId::Cohere => ("/v2/chat".to_owned(), plain),
        DialectId::Ollama => (
            "/api/chat".to_owned(),
            json!({ "model": model, "stream": true, "messages": turns, "options": { "num_predict": 500 } }),
        ),
        DialectId::Gemini => (
            format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
            json!({ "contents": parts, "generationConfig": { "maxOutputTokens": 500 } }),
        ),
        DialectId::Bedrock => (
            format!("/model/{model}/converse-stream"),
            json!({ "messages": blocks, "inferenceConfig": { "maxTokens": 500 } }),
        ),
        DialectId::OpenaiResponses => (
            "/v1/responses".to_owned(),
            json!({ "model": model, "stream": true, "store": false, "max_output_tokens": 500, "input": "hello" }),
        ),
    };
    chat(&path, key, body.to_string())
}

fn read(response: Response<Body>) -> Vec<u8> {
    assert_eq!(response.status(), 200);
    let Body::Stream(stream) = response.into_body() else { panic!("no stream") };
    block_on(stream.fold(Vec::new(), |mut all, piece| async move {
        all.extend_from_slice(&piece.expect("our own bodies never break"));
        all
    }))
}

/// What a stream in a dialect means; it must be one by its grammar.
fn meant(dialect: DialectId, bytes: &[u8]) -> Vec<Event> {
    let dialect = dialect.dialect();
    let mut framer = dialect.conventions().framing.framer();
    let mut decoder = dialect.decoder(gatelet_wire::dialect::Reading::default());
    let mut events = Vec::new();
    framer.push(bytes);
    while let Some(frame) = framer.next() {
        decoder.push(&frame.unwrap(), &mut events).unwrap();
    }
    if let Some(frame) = framer.finish() {
        decoder.push(&frame.unwrap(), &mut events).unwrap();
    }
    // Whether it came to its end is judged by whoever asks.
    let _ = decoder.finish(&mut events);
    events
}

fn text(events: &[Event]) -> String {
    use gatelet_wire::event::Delta;
    let text = events.iter().filter_map(|event| match event {
        Event::Delta { delta: Delta::Text(text), .. } => Some(text.as_str()),
        _ => None,
    });
    text.collect()
}

/// The pieces of a stream of a target; the first so many bytes of it.
fn events_of(model: &str, text: &str, input: u64, output: u64) -> String {
    match model {
        "openai" => completion_chunks(text, Some((input, output))).concat(),
        _ => message_events(text, input, output).concat(),
    }
}

fn broken(bytes: &str) -> Response<Body> {
    sse(vec![Ok(bytes.to_owned()), Err(Broken("reset".to_owned()))])
}

/// A stream that has said `text` and breaks off then.
fn breaks_after(model: &str, text: &str) -> Response<Body> {
    let whole = events_of(model, text, 7, 3);
    let quoted = json!(text).to_string();
    let place = whole.find(&quoted).unwrap() + quoted.len();
    let end = whole[place..].find("\n\n").unwrap() + place + 2;
    broken(&whole[..end])
}

/// The body that the target was sent last.
fn sent(world: &World) -> Value {
    serde_json::from_slice(world.handles.upstream.asked().last().unwrap().body.as_ref().unwrap()).unwrap()
}

fn last_turn(body: &Value) -> (Value, Value) {
    let last = body["messages"].as_array().unwrap().last().unwrap();
    let content = &last["content"];
    let text = if content.is_string() { content.clone() } else { content[0]["text"].clone() };
    (last["role"].clone(), text)
}

#[test]
fn a_stream_that_breaks_off_goes_on_without_a_seam_in_every_pair_of_dialects() {
    for caller in DialectId::ALL.iter().copied() {
        for model in ["openai", "anthropic"] {
            let (world, key) = world();
            world.handles.upstream.push_response(breaks_after(model, "Once upon "));
            world.handles.upstream.push_response(sse(ok(vec![events_of(model, "a time.", 11, 4)])));
            let bytes = read(world.send(asked(caller, &key, model)));
            let events = meant(caller, &bytes);
            let what = format!("{caller:?} over {model}: {}", String::from_utf8_lossy(&bytes));
            assert_eq!(text(&events), "Once upon a time.", "{what}");
            let count = |wanted: fn(&Event) -> bool| events.iter().filter(|event| wanted(event)).count();
            assert_eq!(count(|event| matches!(event, Event::Start { .. })), 1, "{what}");
            assert_eq!(count(|event| matches!(event, Event::PartStart { .. })), 1, "{what}");
            assert_eq!(count(|event| matches!(event, Event::End)), 1, "{what}");
            assert_eq!(count(|event| matches!(event, Event::Error(_))), 0, "{what}");
            let (role, said) = last_turn(&sent(&world));
            assert_eq!((role, said), (json!("assistant"), json!("Once upon")), "{what}");
            // Usage is that of both: what the second said, and what the first had used until it broke off.
            let usage = events.iter().rev().find_map(|event| match event {
                Event::Usage(usage) => Some(*usage),
                _ => None,
            });
            let records = world.records();
            let request = records.iter().find(|line| line["kind"] == "request").unwrap();
            let usage = usage.unwrap_or_else(|| panic!("{what}"));
            assert_eq!(usage.output_total(), request["usage"]["output"].as_u64().unwrap(), "{what}");
            assert!(usage.output_total() > 4 && usage.input_total() > 11, "{what}");
            assert_eq!((&request["outcome"], &request["attempts"]), (&json!("done"), &json!(2)), "{what}");
        }
    }
}

#[test]
fn both_attempts_are_in_the_books_each_with_its_hold() {
    let world = World::of(CONFIG);
    let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"], "rpm": 10 } }));
    world.handles.upstream.push_response(breaks_after("anthropic", "Once upon "));
    world.handles.upstream.push_response(sse(ok(vec![events_of("anthropic", "a time.", 11, 4)])));
    read(world.send(asked(DialectId::Anthropic, &key, "anthropic")));
    let records = world.records();
    let request = records.iter().find(|line| line["kind"] == "request").unwrap();
    let attempts: Vec<&Value> = records.iter().filter(|line| line["kind"] == "attempt").collect();
    let [first, second] = attempts.as_slice() else { panic!("{records:?}") };
    assert_eq!(
        (&first["outcome"], &first["fault"]),
        (&json!("upstream_broken"), &json!("provider")),
        "{first}"
    );
    assert_eq!((&second["outcome"], &second["why"]), (&json!("answered"), &json!("resume")), "{second}");
    // Seven of input, and ten bytes of output that nobody counted: three tokens.
    assert_eq!((&first["cost"], &request["cost"]), (&json!("0.000037"), &json!("0.000088")), "{request}");
    assert_eq!(request["usage_estimated"], json!(true));
    let usage = world.usage(&id);
    assert_eq!(usage["spent"], json!("0.000088"), "{usage}");
    assert!(!usage.to_string().contains("\"held\":\"0.0"), "{usage}");
}

#[test]
fn the_next_target_goes_on_before_the_same_one() {
    let (world, key) = world();
    world.handles.upstream.push_response(breaks_after("openai", "Once "));
    world.handles.upstream.push_response(sse(ok(message_events("more.", 11, 4))));
    let bytes = read(world.send(asked(DialectId::Openai, &key, "both")));
    assert_eq!(text(&meant(DialectId::Openai, &bytes)), "Once more.");
    assert_eq!(sent(&world)["model"], "model-a");
    // What is left of the caller's cap: five bytes are two tokens.
    assert_eq!(sent(&world)["max_tokens"], 498);
}

#[test]
fn it_is_tried_so_often_and_no_more_and_then_the_caller_is_told_in_the_stream() {
    let (world, key) = world();
    for said in ["One ", "two ", "three "] {
        world.handles.upstream.push_response(breaks_after("openai", said));
    }
    let bytes = read(world.send(asked(DialectId::Openai, &key, "openai")));
    let (all, events) = (String::from_utf8_lossy(&bytes).into_owned(), meant(DialectId::Openai, &bytes));
    assert_eq!(text(&events), "One two three ", "{all}");
    assert!(all.contains("\"error\"") && !all.contains("[DONE]"), "{all}");
    assert_eq!(world.handles.upstream.asked().len(), 3);
    let records = world.records();
    let request = records.iter().find(|line| line["kind"] == "request").unwrap();
    assert_eq!(
        (&request["outcome"], &request["attempts"]),
        (&json!("upstream_broken"), &json!(3)),
        "{request}"
    );
}

#[test]
fn an_attempt_that_goes_on_has_its_own_time() {
    let config = CONFIG.replace(
        "retries: 0, resume: { times: 2",
        "retries: 0, timeouts: { attempt: 5s }, resume: { times: 2",
    );
    let world = World::of(&config);
    let (_, key) = world.key(&json!({}));
    // The first says something, and then nothing until its time is over.
    let mut chunks = completion_chunks("One ", None);
    chunks.truncate(2);
    world.handles.upstream.push_response(world::endless(chunks));
    world.handles.upstream.push_response(sse(ok(completion_chunks("two.", Some((9, 2))))));
    let (_, bytes, took) = world.send_in_time(asked(DialectId::Openai, &key, "openai"));
    assert_eq!(text(&meant(DialectId::Openai, &bytes)), "One two.");
    assert!(took.as_secs() >= 5, "{took:?}");
}

#[test]
fn an_attempt_that_fails_in_between_leaves_the_next_one_its_turn() {
    let (world, key) = world();
    world.handles.upstream.push_response(breaks_after("openai", "One "));
    world.handles.upstream.push_response(world::whole(503, &json!({ "error": { "message": "down" } })));
    world.handles.upstream.push_response(sse(ok(completion_chunks("two.", Some((9, 2))))));
    let bytes = read(world.send(asked(DialectId::Openai, &key, "openai")));
    assert_eq!(text(&meant(DialectId::Openai, &bytes)), "One two.");
}

#[test]
fn an_error_in_the_stream_is_a_break_too() {
    let (world, key) = world();
    let mut pieces = message_events("One ", 7, 3);
    pieces.truncate(3);
    let error = json!({ "type": "error", "error": { "type": "overloaded_error", "message": "Overloaded" } });
    pieces.push(format!("event: error\ndata: {error}\n\n"));
    world.handles.upstream.push_response(sse(ok(pieces)));
    world.handles.upstream.push_response(sse(ok(message_events("two.", 9, 2))));
    let bytes = read(world.send(asked(DialectId::Anthropic, &key, "anthropic")));
    let events = meant(DialectId::Anthropic, &bytes);
    assert_eq!(text(&events), "One two.");
    assert!(!events.iter().any(|event| matches!(event, Event::Error(_))));
}

#[test]
fn what_is_no_plain_text_or_is_not_asked_for_ends_with_an_error_as_before() {
    let (world, key) = world();
    let event = |name: &str, data: Value| format!("event: {name}\ndata: {data}\n\n");
    let begins = |block: Value, delta: Value| {
        let start = message_events("", 7, 3).remove(0);
        let block = json!({ "type": "content_block_start", "index": 0, "content_block": block });
        let delta = json!({ "type": "content_block_delta", "index": 0, "delta": delta });
        broken(&[start, event("content_block_start", block), event("content_block_delta", delta)].concat())
    };
    let tool = begins(
        json!({ "type": "tool_use", "id": "t", "name": "f", "input": {} }),
        json!({ "type": "input_json_delta", "partial_json": "{\"a\":" }),
    );
    let thought = begins(
        json!({ "type": "thinking", "thinking": "", "signature": "" }),
        json!({ "type": "thinking_delta", "thinking": "Hm" }),
    );
    for (broken, model) in
        [(tool, "anthropic"), (thought, "anthropic"), (breaks_after("openai", "One "), "unasked")]
    {
        let before = world.handles.upstream.asked().len();
        world.handles.upstream.push_response(broken);
        let bytes = read(world.send(asked(DialectId::Openai, &key, model)));
        let all = String::from_utf8_lossy(&bytes).into_owned();
        assert!(all.contains("\"error\"") && !all.contains("[DONE]"), "{all}");
        assert_eq!(world.handles.upstream.asked().len(), before + 1);
    }
    // The caller has begun the answer itself.
    let turns = json!([{ "role": "user", "content": "hello" }, { "role": "assistant", "content": "O" }]);
    world.handles.upstream.push_response(breaks_after("openai", "nce "));
    let before = world.handles.upstream.asked().len();
    read(world.send(openai(&key, &json!({ "model": "openai", "stream": true, "messages": turns }))));
    assert_eq!(world.handles.upstream.asked().len(), before + 1);
}

#[test]
fn where_the_ledger_has_no_room_nobody_is_asked_again() {
    let world = World::of(CONFIG);
    let (id, key) = world.key(&json!({ "limits": { "rpm": 1 } }));
    world.handles.upstream.push_response(breaks_after("openai", "One "));
    let bytes = read(world.send(asked(DialectId::Openai, &key, "openai")));
    let all = String::from_utf8_lossy(&bytes).into_owned();
    assert!(all.contains("\"error\""), "{all}");
    assert_eq!(world.handles.upstream.asked().len(), 1);
    // What was said is charged, once.
    let records = world.records();
    let request = records.iter().find(|line| line["kind"] == "request").unwrap();
    assert_eq!(world.usage(&id)["spent"], request["cost"]);
    assert_ne!(request["cost"], "0");
}

#[test]
fn a_caller_who_leaves_while_it_is_gone_on_with_is_charged_for_what_was_said() {
    let world = World::of(CONFIG);
    let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    world.handles.upstream.push_response(breaks_after("openai", "One "));
    let mut chunks = completion_chunks("two ", None);
    chunks.truncate(2);
    world.handles.upstream.push_response(world::endless(chunks));
    let response = world.send(asked(DialectId::Openai, &key, "openai"));
    let Body::Stream(mut stream) = response.into_body() else { panic!("no stream") };
    let mut all = String::new();
    while !all.contains("two") {
        all.push_str(std::str::from_utf8(&block_on(stream.next()).unwrap().unwrap()).unwrap());
    }
    drop(stream);
    let records = world.records();
    let request = records.iter().find(|line| line["kind"] == "request").unwrap();
    assert_eq!((&request["outcome"], &request["attempts"]), (&json!("client_left"), &json!(2)), "{request}");
    assert_eq!(world.usage(&id)["spent"], request["cost"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Wherever a stream is cut, its caller reads one answer, or one that ends with an error.
    #[test]
    fn wherever_it_is_cut_what_is_read_is_one_answer(
        cut in 0.0..1.0_f64,
        words in "[a-z\u{e9} \n]{1,40}",
        caller in prop::sample::select(vec![DialectId::Openai, DialectId::Anthropic, DialectId::Gemini]),
        model in prop::sample::select(vec!["openai", "anthropic"]),
    ) {
        let (world, key) = world();
        let whole = events_of(model, &format!("{words}."), 7, 3);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place in it")]
        let place = whole.floor_char_boundary((whole.len() as f64 * cut) as usize);
        world.handles.upstream.push_response(broken(&whole[..place]));
        world.handles.upstream.push_response(sse(ok(vec![events_of(model, "[more]", 9, 2)])));
        world.handles.upstream.push_response(sse(ok(vec![events_of(model, "[never]", 9, 2)])));
        let response = world.send(asked(caller, &key, model));
        if response.status() == 200 {
            let bytes = read(response);
            let events = meant(caller, &bytes);
            let said = text(&events);
            let ends = events.iter().filter(|event| matches!(event, Event::End)).count();
            let mut fold = Fold::default();
            for event in &events {
                fold.push(event);
            }
            let whole_text = format!("{words}.");
            if ends == 0 {
                prop_assert!(fold.error().is_some(), "{}", String::from_utf8_lossy(&bytes));
                prop_assert_eq!(said, whole_text);
            } else {
                prop_assert_eq!(ends, 1);
                let all = format!("{whole_text}[more]");
                prop_assert!(said == whole_text || said == all || said == "[more]", "{}", said);
            }
            prop_assert_eq!(events.iter().filter(|event| matches!(event, Event::Start { .. })).count(), 1);
        }
    }
}
