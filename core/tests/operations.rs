//! Operations other than conversations, from key to books, on memory ports.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_executor::block_on;
use futures_util::{StreamExt, stream};
use gatelet_core::port::Body;
use http::{Request, Response};
use serde_json::{Value, json};
use world::{World, chat, ok, read, read_json, sse, whole};

/// A world, a key with a budget, and what it spent.
fn rich() -> (World, String, String) {
    let world = World::new();
    let (id, key) = world.key(&json!({ "limits": { "budget": ["5 USD / day"] } }));
    (world, id, key)
}

fn spent(world: &World, id: &str) -> String {
    let usage = world.usage(id);
    assert_eq!(usage["held"], "0");
    usage["spent"].as_str().unwrap().to_owned()
}

fn last_record(world: &World) -> Value {
    world.records().into_iter().rfind(|record| record["kind"] == "request").unwrap()
}

fn raw(media: &str, pieces: Vec<Vec<u8>>) -> Response<Body> {
    let pieces = stream::iter(pieces.into_iter().map(|piece| Ok(Bytes::from(piece))));
    Response::builder().header("content-type", media).body(Body::Stream(pieces.boxed())).unwrap()
}

/// A form whose parts come in this order; a part with a file's name is a file.
fn form(parts: &[(&str, Option<&str>, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, file, value) in parts {
        let file = file.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
        let head = format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"--XX--\r\n");
    out
}

fn upload(path: &str, key: &str, body: &[u8], announced: bool, chunk: usize) -> Request<Body> {
    let chunks: Vec<_> = body.chunks(chunk).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let mut request = Request::post(format!("http://gate{path}"))
        .header("authorization", format!("Bearer {key}"))
        .header("content-type", "multipart/form-data; boundary=XX");
    if announced {
        request = request.header("content-length", body.len());
    }
    request.body(Body::Stream(stream::iter(chunks).boxed())).unwrap()
}

/// An upstream that keeps the body it is sent until somebody reads it.
fn keeps(world: &World, answer: Response<Body>) -> Arc<Mutex<(http::HeaderMap, Body)>> {
    let kept: Arc<Mutex<(http::HeaderMap, Body)>> = Arc::default();
    let into = kept.clone();
    world.handles.upstream.push(move |request, _| {
        let (parts, body) = request.into_parts();
        *into.lock().unwrap() = (parts.headers, body);
        Ok(answer)
    });
    kept
}

fn vectors(list: &Value, tokens: u64) -> Value {
    let data: Vec<Value> = list
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
        .map(|(index, vector)| json!({ "object": "embedding", "index": index, "embedding": vector }))
        .collect();
    json!({ "object": "list", "data": data, "model": "vectors-o",
        "usage": { "prompt_tokens": tokens, "total_tokens": tokens } })
}

#[test]
fn an_embedding_keeps_its_bytes_and_is_billed_by_its_tokens() {
    let world = World::new();
    let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"], "tpm": 1000 } }));
    let answer = vectors(&json!([[0.25, -1.0]]), 7);
    world.handles.upstream.push_response(whole(200, &answer));
    let body = r#"{ "input":[[1,2,3]], "model" : "vectors", "odd": 1.10 }"#;
    let response = world.send(chat("/v1/embeddings", &key, body));
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-gatelet-cost"], "0.000007");
    assert_eq!(response.headers()["x-gatelet-model"], "up-openai/vectors-o");
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(read_json(response), answer);
    let asked = &world.handles.upstream.asked()[0];
    assert_eq!(asked.uri, "http://127.0.0.1:1/v1/embeddings");
    let sent = String::from_utf8(asked.body.clone().unwrap().to_vec()).unwrap();
    assert_eq!(sent, body.replace(r#""vectors""#, r#""vectors-o""#));
    let usage = world.usage(&id);
    assert_eq!((usage["spent"].as_str(), usage["held"].as_str()), (Some("0.000007"), Some("0")));
    let records = world.records();
    let record = records.iter().find(|record| record["kind"] == "request").unwrap();
    assert_eq!(record["operation"], "embedding");
    assert_eq!(record["usage"]["input"], 7);
    assert_eq!(record["usage_estimated"], false);
}

#[test]
fn whoever_asks_for_base64_gets_it_from_servers_that_know_only_numbers() {
    let world = World::new();
    let (_, key) = world.key(&json!({}));
    world.handles.upstream.push_response(whole(200, &vectors(&json!([[0.25, -1.0]]), 7)));
    let body = r#"{"input":"a","model":"vectors","encoding_format":"base64"}"#;
    let answer = read_json(world.send(chat("/v1/embeddings", &key, body)));
    // 0.25 and -1 as little-endian 32-bit floats.
    assert_eq!(answer["data"][0]["embedding"], "AACAPgAAgL8=");
}

#[test]
fn an_embedding_that_does_not_say_its_usage_is_estimated_from_its_input_alone() {
    let world = World::new();
    let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    let mut answer = vectors(&json!([vec![0.25; 1000]]), 0);
    answer.as_object_mut().unwrap().remove("usage");
    world.handles.upstream.push_response(whole(200, &answer));
    let body = json!({ "input": "a".repeat(400), "model": "vectors" }).to_string();
    assert_eq!(world.send(chat("/v1/embeddings", &key, body.clone())).status(), 200);
    let spent: f64 = world.usage(&id)["spent"].as_str().unwrap().parse().unwrap();
    let tokens = spent * 1e6;
    assert!((100.0..200.0).contains(&tokens), "{tokens}");
    let records = world.records();
    let record = records.iter().find(|record| record["kind"] == "request").unwrap();
    assert_eq!(record["usage_estimated"], true);
    assert_eq!(record["usage"]["output"], 0);
}

#[test]
fn a_budget_that_cannot_afford_the_input_refuses_before_anything_is_sent() {
    let world = World::new();
    let (id, key) = world.key(&json!({ "limits": { "budget": ["0.0001 USD / day"] } }));
    let body = json!({ "input": "a".repeat(1000), "model": "vectors" }).to_string();
    let response = world.send(chat("/v1/embeddings", &key, body));
    assert_eq!(response.status(), 402);
    assert!(world.handles.upstream.asked().is_empty());
    assert_eq!(world.usage(&id)["held"], "0");
}

#[test]
fn a_price_of_something_else_is_no_price_where_a_budget_applies() {
    let world = World::new();
    let (_, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    let ask = |path: &str, body: Value| {
        let response = world.send(chat(path, &key, body.to_string()));
        (response.status().as_u16(), read_json(response)["error"]["code"].clone())
    };
    let embedding = json!({ "input": "a", "model": "counted-otherwise" });
    assert_eq!(ask("/v1/embeddings", embedding), (403, json!("model_unpriced")));
    let conversation =
        json!({ "model": "counted-otherwise", "messages": [{ "role": "user", "content": "a" }] });
    assert_eq!(ask("/v1/chat/completions", conversation), (403, json!("model_unpriced")));
    assert!(world.handles.upstream.asked().is_empty());
}

#[test]
fn a_target_that_has_no_such_operation_is_said_so() {
    let world = World::new();
    let (_, key) = world.key(&json!({}));
    let body = json!({ "input": "a", "model": "claude" }).to_string();
    let response = world.send(chat("/v1/embeddings", &key, body));
    assert_eq!(response.status(), 400);
    assert_eq!(read_json(response)["error"]["code"], "operation_unsupported");
    assert!(world.handles.upstream.asked().is_empty());
}

#[test]
fn an_embedding_is_checked_as_a_conversation_is() {
    let world = World::new();
    let (_, key) = world.key(&json!({ "models": ["plain"] }));
    let refused = |body: &str| {
        let response = world.send(chat("/v1/embeddings", &key, body));
        (response.status().as_u16(), read_json(response)["error"]["code"].clone())
    };
    assert_eq!(refused(r#"{"model":"vectors","input":"a"}"#), (403, json!("model_forbidden")));
    assert_eq!(refused(r#"{"input":"a"}"#), (400, json!("body_malformed")));
    assert_eq!(refused("{"), (400, json!("body_malformed")));
    let response = world.send(chat("/v1/embeddings", "gk_wrong", r#"{"model":"vectors","input":"a"}"#));
    assert_eq!(response.status(), 401);
}

#[test]
fn an_error_and_nonsense_instead_of_vectors_are_no_answer_and_cost_nothing() {
    let world = World::new();
    let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    let body = r#"{"model":"vectors","input":"a"}"#;
    for (status, answer, expected) in [
        (429, json!({ "error": { "message": "slow down", "type": "rate_limit" } }), 429),
        (200, json!({ "error": { "message": "no", "type": "server_error" } }), 502),
        (200, json!({ "data": "x" }), 502),
    ] {
        world.handles.upstream.push_response(whole(status, &answer));
        let response = world.send(chat("/v1/embeddings", &key, body));
        assert!(response.status().as_u16() >= 400, "{answer}");
        if expected == 429 {
            assert_eq!(response.status(), 429);
        }
    }
    assert_eq!(world.usage(&id)["spent"], "0");
    assert_eq!(world.usage(&id)["held"], "0");
}

#[test]
fn an_embedding_travels_between_dialects() {
    let (world, id, key) = rich();
    world.handles.upstream.push_response(whole(200, &json!({ "embeddings": [{ "values": [0.25, -1.0] }] })));
    let body = r#"{"input":["a"],"model":"gem","dimensions":2,"encoding_format":"base64"}"#;
    let answer = read_json(world.send(chat("/v1/embeddings", &key, body)));
    assert_eq!(answer["data"][0]["embedding"], "AACAPgAAgL8=");
    let asked = &world.handles.upstream.asked()[0];
    assert_eq!(asked.uri, "http://127.0.0.1:1/v1beta/models/gem-o:batchEmbedContents");
    let sent: Value = serde_json::from_slice(asked.body.as_ref().unwrap()).unwrap();
    assert_eq!(sent["requests"][0]["outputDimensionality"], 2);
    // And the other way, one by itself.
    world.handles.upstream.push_response(whole(200, &vectors(&json!([[0.25, -1.0]]), 7)));
    let body = r#"{"content":{"parts":[{"text":"a"}]}}"#;
    let answer = read_json(world.send(chat("/v1beta/models/vectors:embedContent", &key, body)));
    assert_eq!(answer, json!({ "embedding": { "values": [0.25, -1.0] } }));
    assert_eq!(world.handles.upstream.asked()[1].uri, "http://127.0.0.1:1/v1/embeddings");
    assert_ne!(spent(&world, &id), "0");
    // Its tokens are counted where its conversations are held.
    world.handles.upstream.push_response(whole(200, &json!({ "totalTokens": 3 })));
    let body = r#"{"contents":[{"parts":[{"text":"a"}]}]}"#;
    let answer = read_json(world.send(chat("/v1beta/models/gem:countTokens", &key, body)));
    assert_eq!(answer, json!({ "totalTokens": 3 }));
    assert_eq!(world.handles.upstream.asked()[2].uri, "http://127.0.0.1:1/v1beta/models/gem-o:countTokens");
}

#[test]
fn a_ranking_is_billed_by_the_unit_of_search() {
    let (world, id, key) = rich();
    let answer = json!({ "id": "r", "results": [{ "index": 1, "relevance_score": 0.9 }],
        "meta": { "billed_units": { "search_units": 3 } } });
    let body = r#"{"model":"ranker","query":"q","documents":["a",{"text":"b"}],"top_n":1}"#;
    for path in ["/v1/rerank", "/v2/rerank"] {
        world.handles.upstream.push_response(whole(200, &answer));
        let response = world.send(chat(path, &key, body));
        assert_eq!(response.headers()["x-gatelet-cost"], "0.006");
        assert_eq!(read_json(response), answer);
    }
    assert_eq!(world.handles.upstream.asked()[0].uri, "http://127.0.0.1:1/v1/rerank");
    // An upstream that says nothing had at least one unit for a hundred documents. Records of one moment have no order.
    world.handles.clock.advance(std::time::Duration::from_millis(1));
    world.handles.upstream.push_response(whole(200, &json!({ "results": [] })));
    assert_eq!(world.send(chat("/v1/rerank", &key, body)).status(), 200);
    assert_eq!(spent(&world, &id), "0.014");
    assert_eq!(last_record(&world)["usage"]["units"], json!({ "queries": 1 }));
    let wrong = world.send(chat("/v1/rerank", &key, r#"{"model":"ranker","query":"q"}"#));
    assert_eq!(wrong.status(), 400);
}

#[test]
fn a_moderation_passes_and_costs_what_it_costs() {
    let (world, id, key) = rich();
    let answer = json!({ "id": "m", "model": "harmless-o", "results": [{ "flagged": false }] });
    world.handles.upstream.push_response(whole(200, &answer));
    let response = world.send(chat("/v1/moderations", &key, r#"{"model":"harmless","input":["a"]}"#));
    assert_eq!(read_json(response), answer);
    assert_eq!(spent(&world, &id), "0");
    // The vendor has a model where none is named; here it has no such name.
    let response = world.send(chat("/v1/moderations", &key, r#"{"input":["a"]}"#));
    assert_eq!(response.status(), 404);
}

#[test]
fn pictures_are_billed_by_number_or_by_tokens_and_never_by_both() {
    let (world, id, key) = rich();
    let answer = json!({ "created": 1, "data": [{ "b64_json": "AA" }, { "b64_json": "AA" }] });
    world.handles.upstream.push_response(whole(200, &answer));
    let body = r#"{"model":"counted-otherwise","prompt":"a cat","n":2}"#;
    let response = world.send(chat("/v1/images/generations", &key, body));
    assert_eq!(response.headers()["x-gatelet-cost"], "0.08");
    assert_eq!(read_json(response), answer);
    let mut answer = answer;
    answer["usage"] = json!({ "input_tokens": 10, "output_tokens": 1000, "total_tokens": 1010,
        "input_tokens_details": { "text_tokens": 10, "image_tokens": 0 } });
    world.handles.upstream.push_response(whole(200, &answer));
    let body = r#"{"model":"painter","prompt":"a cat","n":2,"size":"1024x1024"}"#;
    let response = world.send(chat("/v1/images/generations", &key, body));
    // 10 at 5 and 1000 at 40 a million.
    assert_eq!(response.headers()["x-gatelet-cost"], "0.04005");
    assert_eq!(spent(&world, &id), "0.12005");
    assert_eq!(last_record(&world)["usage"]["image_output"], 1000);
}

#[test]
fn a_budget_bounds_pictures_before_they_are_painted() {
    let world = World::new();
    let (_, key) = world.key(&json!({ "limits": { "budget": ["0.10 USD / day"] } }));
    let body = r#"{"model":"counted-otherwise","prompt":"a cat","n":3}"#;
    assert_eq!(world.send(chat("/v1/images/generations", &key, body)).status(), 402);
    assert!(world.handles.upstream.asked().is_empty());
}

#[test]
fn a_stream_of_pictures_is_tapped() {
    let (world, id, key) = rich();
    let events = vec![
        "event: image_generation.partial_image\ndata: {\"type\":\"image_generation.partial_image\"}\n\n".to_owned(),
        "data: {\"type\":\"image_generation.completed\",\"usage\":{\"input_tokens\":10,\"output_tokens\":1000}}\n\n".to_owned(),
    ];
    world.handles.upstream.push_response(sse(ok(events.clone())));
    let body = r#"{"model":"painter","prompt":"a cat","stream":true}"#;
    let response = world.send(chat("/v1/images/generations", &key, body));
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(read(response), events.concat().into_bytes());
    assert_eq!(spent(&world, &id), "0.04005");
}

#[test]
fn speech_streams_its_bytes_and_is_billed_by_character_or_by_second() {
    let (world, id, key) = rich();
    world.handles.upstream.push_response(raw("audio/mpeg", vec![vec![255, 0], vec![1, 2, 3]]));
    let body = json!({ "model": "voice", "input": "Grüße 👋", "voice": "alloy" }).to_string();
    let response = world.send(chat("/v1/audio/speech", &key, body));
    assert_eq!(response.headers()["content-type"], "audio/mpeg");
    assert_eq!(read(response), [255, 0, 1, 2, 3]);
    // Seven characters at 15 a million.
    assert_eq!(spent(&world, &id), "0.000105");
    assert_eq!(last_record(&world)["usage_estimated"], false);
    // A second and a half of 24 kHz in 16 bits.
    world.handles.upstream.push_response(raw("audio/pcm", vec![vec![0; 48_000], vec![0; 24_000]]));
    let body =
        json!({ "model": "singer", "input": "la", "voice": "v", "response_format": "pcm" }).to_string();
    read(world.send(chat("/v1/audio/speech", &key, body)));
    assert_eq!(spent(&world, &id), "0.001605");
    // An error in JSON is no sound.
    world.handles.upstream.push_response(whole(200, &json!({ "error": { "message": "no" } })));
    let body = json!({ "model": "voice", "input": "a", "voice": "v" }).to_string();
    assert!(world.send(chat("/v1/audio/speech", &key, body)).status().as_u16() >= 400);
    assert_eq!(spent(&world, &id), "0.001605");
}

#[test]
fn sound_streams_through_and_only_the_models_name_is_another() {
    let (world, id, key) = rich();
    let sound = vec![7_u8; 300_000];
    let body = form(&[("model", None, b"ear"), ("language", None, b"de"), ("file", Some("a.wav"), &sound)]);
    let answer = json!({ "text": "hallo", "usage": { "type": "duration", "seconds": 12.5 } });
    let kept = keeps(&world, whole(200, &answer));
    let response = world.send(upload("/v1/audio/transcriptions", &key, &body, true, 1_000));
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-gatelet-cost"], "0.00125");
    assert_eq!(read_json(response), answer);
    let (headers, sent) = std::mem::take(&mut *kept.lock().unwrap());
    assert!(matches!(sent, Body::Stream(_)), "it is not kept in memory");
    let sent = read(Response::new(sent));
    let expected =
        form(&[("model", None, b"ear-o"), ("language", None, b"de"), ("file", Some("a.wav"), &sound)]);
    assert!(sent == expected, "the bytes are those of the caller");
    assert_eq!(headers["content-type"], "multipart/form-data; boundary=XX");
    assert_eq!(headers["content-length"], expected.len().to_string());
    assert_eq!(spent(&world, &id), "0.00125");
    assert_eq!(last_record(&world)["usage"]["units"], json!({ "input_ms": 12500 }));
}

#[test]
fn a_file_before_its_model_is_read_first() {
    let (world, _, key) = rich();
    let body = form(&[("file", Some("a.wav"), &[7; 9_000]), ("model", None, b"ear")]);
    let kept = keeps(&world, whole(200, &json!({ "text": "a", "duration": 2 })));
    let response = world.send(upload("/v1/audio/translations", &key, &body, false, 999));
    assert_eq!(response.headers()["x-gatelet-cost"], "0.0002");
    let (_, sent) = std::mem::take(&mut *kept.lock().unwrap());
    let expected = form(&[("file", Some("a.wav"), &[7; 9_000]), ("model", None, b"ear-o")]);
    assert!(read(Response::new(sent)) == expected);
    assert_eq!(world.handles.upstream.asked()[0].uri, "http://127.0.0.1:1/v1/audio/translations");
}

#[test]
fn what_was_streamed_is_not_sent_twice() {
    let (world, id, key) = rich();
    world.handles.upstream.push_response(whole(500, &json!({ "error": { "message": "oops" } })));
    world.handles.upstream.push_response(whole(200, &json!({ "text": "never" })));
    let body = form(&[("model", None, b"ear"), ("file", Some("a"), &[7; 9_000])]);
    let response = world.send(upload("/v1/audio/transcriptions", &key, &body, true, 100));
    assert_eq!(response.status(), 500);
    assert_eq!(world.handles.upstream.asked().len(), 1);
    assert_eq!(spent(&world, &id), "0");
}

#[test]
fn sound_is_bounded_by_its_bytes() {
    let world = World::new();
    let (_, key) = world.key(&json!({ "limits": { "budget": ["0.01 USD / day"] } }));
    // At the lowest rate 750,000 bytes are a thousand seconds, which cost a tenth of a dollar.
    let body = form(&[("model", None, b"ear"), ("file", Some("a"), &vec![7; 750_000])]);
    assert_eq!(world.send(upload("/v1/audio/transcriptions", &key, &body, true, 10_000)).status(), 402);
    assert!(world.handles.upstream.asked().is_empty());
}

#[test]
fn transcripts_of_every_kind_are_billed() {
    let (world, id, key) = rich();
    let body = form(&[("model", None, b"sharp-ear"), ("file", Some("a"), &[7; 8_000])]);
    let ask = || world.send(upload("/v1/audio/transcriptions", &key, &body, true, 1_000));
    let events = vec![
        "data: {\"type\":\"transcript.text.delta\",\"delta\":\"a\"}\n\n".to_owned(),
        "data: {\"type\":\"transcript.text.done\",\"text\":\"a\",\"usage\":{\"type\":\"tokens\",\"input_tokens\":110,\"output_tokens\":5,\"input_token_details\":{\"text_tokens\":10,\"audio_tokens\":100}}}\n\n".to_owned(),
    ];
    world.handles.upstream.push_response(sse(ok(events.clone())));
    assert_eq!(read(ask()), events.concat().into_bytes());
    // 10 at 2, 100 at 6 and 5 at 10 a million.
    assert_eq!(spent(&world, &id), "0.00067");
    // Subtitles say nothing of their cost: a second of eight kilobytes, at 25 tokens.
    world.handles.upstream.push_response(raw("text/vtt", vec![b"WEBVTT".to_vec()]));
    let response = ask();
    assert_eq!(response.headers()["content-type"], "text/vtt");
    assert_eq!(read(response), b"WEBVTT");
    let record = last_record(&world);
    assert_eq!(record["usage_estimated"], true);
    assert_eq!(record["usage"]["audio_input"], 26);
}

#[test]
fn forms_that_are_none_are_refused() {
    let (world, _, key) = rich();
    let status = |body: &[u8]| world.send(upload("/v1/audio/transcriptions", &key, body, true, 50)).status();
    assert_eq!(status(b"{}"), 400);
    assert_eq!(status(b""), 400);
    assert_eq!(status(&form(&[("file", Some("a"), b"x")])), 400);
    assert!(world.handles.upstream.asked().is_empty());
}

#[test]
fn a_picture_may_be_edited_in_a_form() {
    let (world, id, key) = rich();
    let parts: [(&str, Option<&str>, &[u8]); 4] = [
        ("model", None, b"counted-otherwise"),
        ("prompt", None, b"a hat"),
        ("n", None, b"1"),
        ("image[]", Some("a.png"), &[9; 5_000]),
    ];
    let kept = keeps(&world, whole(200, &json!({ "created": 1, "data": [{ "b64_json": "AA" }] })));
    let response = world.send(upload("/v1/images/edits", &key, &form(&parts), true, 700));
    assert_eq!(response.headers()["x-gatelet-cost"], "0.04");
    let (_, sent) = std::mem::take(&mut *kept.lock().unwrap());
    let mut expected = parts;
    expected[0].2 = b"pictures-o";
    assert!(read(Response::new(sent)) == form(&expected));
    assert_eq!(spent(&world, &id), "0.04");
}

#[test]
fn an_old_completion_is_billed_and_its_stream_tells_its_usage_to_us_alone() {
    let (world, id, key) = rich();
    let answer = json!({ "id": "c", "object": "text_completion", "choices": [{ "text": "b", "index": 0 }],
        "usage": { "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5 } });
    world.handles.upstream.push_response(whole(200, &answer));
    let response = world.send(chat("/v1/completions", &key, r#"{"model":"old","prompt":"a"}"#));
    assert_eq!(response.headers()["x-gatelet-cost"], "0.000007");
    let chunk = |choices: Value, usage: Value| {
        format!("data: {}\n\n", json!({ "id": "c", "choices": choices, "usage": usage }))
    };
    let text = chunk(json!([{ "text": "b", "index": 0 }]), Value::Null);
    let usage = chunk(json!([]), json!({ "prompt_tokens": 3, "completion_tokens": 2 }));
    let done = "data: [DONE]\n\n".to_owned();
    world.handles.upstream.push_response(sse(ok(vec![text.clone(), usage, done.clone()])));
    let body = r#"{"model":"old","prompt":"a","stream":true}"#;
    let response = world.send(chat("/v1/completions", &key, body));
    assert_eq!(read(response), (text + &done).into_bytes());
    let sent = world.handles.upstream.asked().pop().unwrap().body.unwrap();
    let sent: Value = serde_json::from_slice(&sent).unwrap();
    assert_eq!(sent["stream_options"], json!({ "include_usage": true }));
    assert_eq!(spent(&world, &id), "0.000014");
}

#[test]
fn tokens_are_counted_by_who_can_or_estimated() {
    let (world, id, key) = rich();
    let body = json!({ "model": "claude", "messages": [{ "role": "user", "content": "hello" }] }).to_string();
    world.handles.upstream.push_response(whole(200, &json!({ "input_tokens": 9 })));
    let response = world.send(chat("/v1/messages/count_tokens", &key, body.clone()));
    assert!(!response.headers().contains_key("x-gatelet-loss"));
    assert_eq!(read_json(response), json!({ "input_tokens": 9 }));
    let asked = &world.handles.upstream.asked()[0];
    assert_eq!(asked.uri, "http://127.0.0.1:1/v1/messages/count_tokens");
    let response = world.send(chat("/v1/messages/count_tokens", &key, body.replace("claude", "plain")));
    assert_eq!(response.headers()["x-gatelet-loss"], "input_tokens=estimated");
    assert!(read_json(response)["input_tokens"].as_u64().unwrap() > 5);
    assert_eq!(world.handles.upstream.asked().len(), 1);
    assert_eq!(spent(&world, &id), "0");
    block_on(world.handles.defer.run_all());
}

#[test]
fn a_model_is_listed_with_what_it_can_and_costs() {
    let world = World::new();
    let (_, key) = world.key(&json!({ "models": ["plain", "voice"] }));
    let get = |path: &str| {
        let request =
            Request::get(format!("http://gate{path}")).header("authorization", format!("Bearer {key}"));
        let response = world.send(request.body(Body::Empty).unwrap());
        (response.status().as_u16(), read_json(response))
    };
    let (_, list) = get("/v1/models");
    let names: Vec<&str> =
        list["data"].as_array().unwrap().iter().filter_map(|model| model["id"].as_str()).collect();
    assert_eq!(names, ["plain", "voice"]);
    assert_eq!(list["data"][0]["pricing"], json!({ "input": "0.000001", "output": "0.00001" }));
    assert_eq!(list["data"][0]["max_output_tokens"], 1000);
    let (status, voice) = get("/v1/models/voice");
    assert_eq!((status, &voice["pricing"]), (200, &json!({ "character_input": "0.000015" })));
    assert!(voice.get("context_window").is_none());
    assert_eq!(get("/v1/models/claude").0, 403);
}

/// What a provider wants said otherwise is said so in exactly these bytes, and what is taken out is named.
#[test]
fn declared_edits_change_rankings_pictures_speech_moderations_and_vectors() {
    const EDITS: &str = r#"
providers:
  odd:
    dialect: openai
    base: "http://127.0.0.1:1/v1"
    key: secret-o
    edits: [ { drop: n }, { drop: seed } ]
    edits_on:
      rerank: [ { rename: [top_n, top_k] }, { default: [return_documents, false] } ]
      image: [ { clamp: [n, 1, 4] }, { drop: style }, { move: [size, options.size] } ]
      speech: [ { replace: [voice, alloy, anna] }, { set: [quality, high] } ]
      moderation: [ { drop: metadata } ]
      embedding: [ { drop: user }, { rename: [dimensions, output_dimension] } ]
      completion: [ { drop: best_of } ]
models:
  "odd/*": odd/*
"#;
    let picture = json!({ "created": 1, "data": [{ "b64_json": "AA==" }] });
    let ranking = json!({ "results": [{ "index": 0, "relevance_score": 0.5 }] });
    let moderation = json!({ "id": "m", "model": "m", "results": [{ "flagged": false }] });
    let vectors = json!({ "object": "list", "model": "m", "data": [{ "object": "embedding", "index": 0, "embedding": [0.5] }] });
    let text = json!({ "id": "c", "object": "text_completion", "choices": [{ "text": "b", "index": 0 }] });
    for (path, body, expected, lost, answer) in [
        (
            "/v1/rerank",
            r#"{ "model":"odd/r", "query":"q" ,"documents":["a\u00e9", "b"],"top_n":2}"#,
            r#"{"model":"r","query":"q","documents":["a\u00e9", "b"],"top_k":2,"return_documents":false}"#,
            None,
            &ranking,
        ),
        (
            "/v1/images/generations",
            r#"{"model":"odd/p","prompt":"a cat","n":9,"size":"1024x1024","style":"vivid","seed":12345678901234567890}"#,
            r#"{"model":"p","prompt":"a cat","n":4,"seed":12345678901234567890,"options":{"size":"1024x1024"}}"#,
            Some("n, style"),
            &picture,
        ),
        (
            "/v1/moderations",
            r#"{"model":"odd/m","input":["a"],"metadata":{"x":1.10}}"#,
            r#"{"model":"m","input":["a"]}"#,
            Some("metadata"),
            &moderation,
        ),
        (
            "/v1/embeddings",
            r#"{"model":"odd/v","input":"a","dimensions":3,"user":"u","n":1.10}"#,
            r#"{"model":"v","input":"a","output_dimension":3,"n":1.10}"#,
            Some("user"),
            &vectors,
        ),
        (
            "/v1/completions",
            r#"{"model":"odd/t","prompt":"a","best_of":2,"n":1}"#,
            r#"{"model":"t","prompt":"a","n":1}"#,
            Some("best_of"),
            &text,
        ),
    ] {
        let world = World::of(EDITS);
        let (_, key) = world.key(&json!({}));
        world.handles.upstream.push_response(whole(200, answer));
        let response = world.send(chat(path, &key, body));
        assert_eq!(response.status(), 200, "{path}");
        let loss = response.headers().get("x-gatelet-loss").map(|loss| loss.to_str().unwrap().to_owned());
        assert_eq!(loss.as_deref(), lost, "{path}");
        let sent = world.handles.upstream.asked().pop().unwrap().body.unwrap();
        assert_eq!(String::from_utf8_lossy(&sent), expected, "{path}");
        // Who wants all or nothing is told before anything is sent.
        let mut strict = chat(path, &key, body);
        strict.headers_mut().insert("x-gatelet-strict", "loss".parse().unwrap());
        if lost.is_some() {
            assert_eq!(world.send(strict).status(), 400, "{path}");
            assert_eq!(world.handles.upstream.asked().len(), 1, "{path}");
        }
    }
    let world = World::of(EDITS);
    let (_, key) = world.key(&json!({}));
    world.handles.upstream.push_response(raw("audio/pcm", vec![vec![1, 2], vec![3]]));
    let response =
        world.send(chat("/v1/audio/speech", &key, r#"{"model":"odd/s","input":"a","voice":"alloy","n":7}"#));
    assert_eq!(read(response), [1, 2, 3]);
    let sent = world.handles.upstream.asked().pop().unwrap().body.unwrap();
    assert_eq!(sent, r#"{"model":"s","input":"a","voice":"anna","n":7,"quality":"high"}"#);
}
