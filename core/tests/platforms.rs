//! Vendors' platforms that refuse what the dialect's owner takes, and pictures where they are asked for in other words.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use gatelet_core::port::memory::Asked;
use http::Request;
use serde_json::{Value, json};
use world::{World, anthropic, chat, completion, message, openai, read, read_json, whole};

fn world(provider: &str, target: &str) -> World {
    let price = "price: { input: \"1\", output: \"10\" }, max_output: 1000";
    World::of(&format!(
        "providers:\n  {provider}\nmodels:\n  m: {{ targets: [ {{ model: \"{target}\", {price} }} ], retries: 0 }}\n"
    ))
}

fn asked(world: &World) -> Asked {
    world.handles.upstream.asked().last().unwrap().clone()
}

fn body(asked: &Asked) -> Value {
    serde_json::from_slice(asked.body.as_ref().unwrap()).unwrap()
}

fn answered() -> Value {
    json!({ "id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "x", "output": [{ "type": "message", "id": "m1",
        "role": "assistant", "status": "completed", "content": [{ "type": "output_text", "text": "hi", "annotations": [] }] }],
        "usage": { "input_tokens": 7, "output_tokens": 3, "total_tokens": 10 } })
}

#[test]
fn azure_gets_items_of_reasoning_without_a_status_and_all_else_as_it_was() {
    let world = world("azure: { resource: ours, key: k, dialect: openai-responses }", "azure/my-o4");
    let (_, key) = world.key(&json!({}));
    world.handles.upstream.push_response(whole(200, &answered()));
    let sent = r#"{"model":"m","max_output_tokens":50,"store":false,"input":[{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"e","status":"completed"},{"type":"message","role":"assistant","status":"completed","content":[{"type":"output_text","text":"1.10"}]},{"role":"user","content":"and?"}]}"#;
    let response = world.send(chat("/v1/responses", &key, sent));
    assert_eq!(response.status(), 200, "{}", String::from_utf8_lossy(&read(response)));
    let last = asked(&world);
    assert_eq!(last.uri, "https://ours.openai.azure.com/openai/v1/responses");
    assert_eq!(last.headers["api-key"], "k");
    let expected = sent
        .replace("\"encrypted_content\":\"e\",\"status\":\"completed\"", "\"encrypted_content\":\"e\"")
        .replace("\"m\"", "\"my-o4\"");
    assert_eq!(String::from_utf8(last.body.unwrap().to_vec()).unwrap(), expected);
    // A text has no items.
    world.handles.upstream.push_response(whole(200, &answered()));
    let response = world.send(chat("/v1/responses", &key, r#"{"model":"m","store":false,"input":"hello"}"#));
    assert_eq!(response.status(), 200);
}

#[test]
fn claude_on_vertex_is_spared_what_only_its_owner_knows() {
    let provider = "vertex-anthropic: { project: p, region: global, key: ya29.token }";
    let world = world(provider, "vertex-anthropic/claude-opus-5");
    let (_, key) = world.key(&json!({}));
    world.handles.upstream.push_response(whole(200, &message("hi", 7, 3)));
    let mut request = anthropic(
        &key,
        &json!({ "model": "m", "max_tokens": 50, "speed": "fast", "service_tier": "auto",
            "tools": [{ "name": "f", "input_schema": { "type": "object" }, "custom": { "defer_loading": true }, "eager_input_streaming": true }],
            "messages": [{ "role": "user", "content": "hello" }] }),
    );
    request
        .headers_mut()
        .insert("anthropic-beta", "fast-mode-2026-02-01,context-1m-2025-08-07".parse().unwrap());
    let response = world.send(request);
    assert_eq!(response.status(), 200);
    let lost = response.headers()["x-gatelet-loss"].to_str().unwrap().to_owned();
    for item in [
        "speed",
        "service_tier",
        "tools.*.custom",
        "tools.*.eager_input_streaming",
        "anthropic-beta.fast-mode-2026-02-01",
    ] {
        assert!(lost.contains(item), "{item} is not in {lost}");
    }
    let sent = asked(&world);
    assert_eq!(
        sent.uri,
        "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/anthropic/models/claude-opus-5:rawPredict"
    );
    assert_eq!(sent.headers["anthropic-beta"], "context-1m-2025-08-07");
    assert_eq!(
        body(&sent),
        json!({ "max_tokens": 50, "tools": [{ "name": "f", "input_schema": { "type": "object" } }],
            "messages": [{ "role": "user", "content": "hello" }], "anthropic_version": "vertex-2023-10-16" })
    );
}

fn picture(world: &World, key: &str, more: &Value) -> (u16, Value) {
    let mut question = json!({ "model": "m", "prompt": "a cat" });
    question.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let response = world.send(chat("/v1/images/generations", key, question.to_string()));
    (response.status().as_u16(), read_json(response))
}

#[test]
fn imagen_draws_by_predict_at_both_of_googles_places() {
    let price = "price: { picture: \"0.04\" }";
    for (provider, target, uri) in [
        (
            "gemini: { key: k }",
            "gemini/imagen-4.0-generate-001",
            "https://generativelanguage.googleapis.com/v1beta/models/imagen-4.0-generate-001:predict",
        ),
        (
            "vertex: { project: p, region: us-central1, key: ya29.token }",
            "vertex/imagen-4.0-generate-001",
            "https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/us-central1/publishers/google/models/imagen-4.0-generate-001:predict",
        ),
    ] {
        let config = format!(
            "providers:\n  {provider}\nmodels:\n  m: {{ targets: [ {{ model: \"{target}\", {price} }} ], retries: 0 }}\n"
        );
        let world = World::of(&config);
        let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
        let drawn = json!({ "predictions": [{ "bytesBase64Encoded": "AA==", "mimeType": "image/png" }, { "bytesBase64Encoded": "AQ==", "mimeType": "image/png" }] });
        world.handles.upstream.push_response(whole(200, &drawn));
        let more = json!({ "n": 2, "size": "1792x1024", "response_format": "b64_json", "output_format": "jpeg", "output_compression": 80 });
        let (status, answer) = picture(&world, &key, &more);
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["data"], json!([{ "b64_json": "AA==" }, { "b64_json": "AQ==" }]));
        let sent = asked(&world);
        assert_eq!(sent.uri, uri);
        assert_eq!(
            body(&sent),
            json!({ "instances": [{ "prompt": "a cat" }], "parameters": { "sampleCount": 2, "aspectRatio": "16:9",
                "outputOptions": { "mimeType": "image/jpeg", "compressionQuality": 80 } } })
        );
        assert_eq!(world.usage(&id)["spent"], "0.08");
    }
}

#[test]
fn a_gemini_that_draws_is_asked_as_a_conversation_is_and_what_it_will_not_draw_is_an_error() {
    let world = world("gemini: { key: k }", "gemini/gemini-2.5-flash-image");
    let (_, key) = world.key(&json!({}));
    let drawn = json!({ "candidates": [{ "content": { "parts": [{ "text": "here" }, { "inlineData": { "mimeType": "image/png", "data": "AA==" } }] } }],
        "usageMetadata": { "promptTokenCount": 7, "candidatesTokenCount": 1290 } });
    world.handles.upstream.push_response(whole(200, &drawn));
    let (status, answer) = picture(&world, &key, &json!({ "size": "1000x1000", "style": "vivid" }));
    assert_eq!((status, &answer["data"]), (200, &json!([{ "b64_json": "AA==" }])));
    assert_eq!(answer["usage"]["output_tokens"], 1290);
    let sent = asked(&world);
    assert!(sent.uri.path().ends_with("/models/gemini-2.5-flash-image:generateContent"), "{}", sent.uri);
    assert_eq!(
        body(&sent),
        json!({ "contents": [{ "role": "user", "parts": [{ "text": "a cat" }] }],
            "generationConfig": { "responseModalities": ["IMAGE"], "imageConfig": { "aspectRatio": "1:1" } } })
    );
    for nothing in [
        json!({ "promptFeedback": { "blockReason": "SAFETY" } }),
        json!({}),
        json!({ "candidates": [{ "content": { "parts": [{ "text": "I will not draw this." }] } }] }),
        json!({ "predictions": [{ "raiFilteredReason": "violence" }] }),
    ] {
        world.handles.upstream.push_response(whole(200, &nothing));
        let (status, answer) = picture(&world, &key, &json!({}));
        assert_eq!(
            (status, &answer["error"]["code"]),
            (400, &json!("content_policy_violation")),
            "{nothing}: {answer}"
        );
    }
    world.handles.upstream.push_response(whole(200, &json!({ "surprise": 1 })));
    assert_eq!(picture(&world, &key, &json!({})).0, 502);
}

fn form(world: &World, key: &str, path: &str, fields: &[(&str, &str)]) -> u16 {
    let part = |(name, value): &(&str, &str)| {
        format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let mut text: String = fields.iter().map(part).collect();
    text.push_str("--XX\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\nPNG\r\n--XX--\r\n");
    let request = Request::post(format!("http://gate{path}"))
        .header("authorization", format!("Bearer {key}"))
        .header("content-type", "multipart/form-data; boundary=XX")
        .body(text.into_bytes().into())
        .unwrap();
    world.send(request).status().as_u16()
}

#[test]
fn azures_paths_name_the_deployment_and_the_form_of_an_edit_does_not() {
    let world = world("azure-deployments: { resource: ours, key: k }", "azure-deployments/pictures");
    let (_, key) = world.key(&json!({}));
    let drawn = json!({ "created": 1, "data": [{ "b64_json": "AA==" }] });
    world.handles.upstream.push_response(whole(200, &drawn));
    assert_eq!(form(&world, &key, "/v1/images/edits", &[("model", "m"), ("prompt", "a cat")]), 200);
    let sent = asked(&world);
    assert_eq!(
        sent.uri,
        "https://ours.openai.azure.com/openai/deployments/pictures/images/edits?api-version=2024-10-21"
    );
    let text = String::from_utf8(sent.body.unwrap().to_vec()).unwrap();
    assert!(
        !text.contains("name=\"model\"") && text.contains("a cat") && text.contains("\r\nPNG\r\n"),
        "{text}"
    );
    assert!(text.starts_with("--XX\r\n") && text.ends_with("--XX--\r\n"), "{text}");
    world.handles.upstream.push_response(whole(200, &drawn));
    assert_eq!(picture(&world, &key, &json!({ "n": 1 })).0, 200);
    assert_eq!(body(&asked(&world)), json!({ "prompt": "a cat", "n": 1 }));
}

#[test]
fn fields_of_forms_are_edited_as_the_configuration_says() {
    let edits = "edits_on: { transcription: [ { drop: temperature }, { rename: [language, lang] }, { set: [response_format, json] }, { default: [prompt, x] }, { replace: [chunking, auto, none] } ] }";
    let world = world(
        &format!("own: {{ dialect: openai, base: \"https://own.example/v1\", key: k, {edits} }}"),
        "own/whisper",
    );
    let (_, key) = world.key(&json!({}));
    world.handles.upstream.push_response(whole(200, &json!({ "text": "hi" })));
    let fields = [
        ("model", "m"),
        ("temperature", "0"),
        ("language", "de"),
        ("response_format", "text"),
        ("chunking", "auto"),
    ];
    assert_eq!(form(&world, &key, "/v1/audio/transcriptions", &fields), 200);
    let text = String::from_utf8(asked(&world).body.unwrap().to_vec()).unwrap();
    let field = |name: &str| {
        let (_, rest) = text.split_once(&format!("name=\"{name}\"\r\n\r\n"))?;
        Some(rest.split("\r\n").next().unwrap().to_owned())
    };
    let expected = [
        ("model", Some("whisper")),
        ("temperature", None),
        ("language", None),
        ("lang", Some("de")),
        ("response_format", Some("json")),
        ("prompt", Some("x")),
        ("chunking", Some("none")),
    ];
    for (name, value) in expected {
        assert_eq!(field(name).as_deref(), value, "{name}: {text}");
    }
}

/// The attempts that the records of a world tell of.
fn attempts(world: &World) -> Vec<Value> {
    world.records().into_iter().filter(|record| record["kind"] == "attempt").collect()
}

#[test]
fn an_attempt_that_its_provider_may_bill_says_so() {
    let config = "providers:\n  a: { dialect: openai, base: \"https://a.example/v1\", key: k }\n  b: { dialect: openai, base: \"https://b.example/v1\", key: k }\nmodels:\n  m: { targets: [ { model: a/x, price: { input: \"1\", output: \"10\" } }, { model: b/x, price: { input: \"1\", output: \"10\" } } ], retries: 0 }\n";
    let question =
        json!({ "model": "m", "max_tokens": 50, "messages": [{ "role": "user", "content": "hello" }] });
    // A success that is none, and an error.
    for (first, billed) in [
        (whole(200, &json!({ "nonsense": true })), json!("unknown")),
        (whole(500, &json!({ "error": { "message": "no" } })), Value::Null),
    ] {
        let world = World::of(config);
        let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
        world.handles.upstream.push_response(first);
        world.handles.upstream.push_response(whole(200, &completion("hi", 7, 3)));
        assert_eq!(world.send(openai(&key, &question)).status(), 200);
        let said = attempts(&world);
        assert_eq!((&said[0]["attempt"], &said[0]["billed"]), (&json!(1), &billed), "{said:?}");
        assert_eq!((&said[1]["attempt"], &said[1]["billed"]), (&json!(2), &Value::Null), "{said:?}");
        assert_eq!(world.usage(&id)["spent"], "0.000037", "the first attempt is not charged");
    }
}

fn pieces(text: &str, count: usize) -> Vec<String> {
    let mut chunks = world::completion_chunks(text, Some((7, 3)));
    let piece = chunks.iter().find(|chunk| chunk.contains(text)).unwrap().clone();
    let at = chunks.iter().position(|chunk| *chunk == piece).unwrap();
    // Between any two of them comes one that says nothing but what it was filtered by.
    let meta = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"x\",\"choices\":[],\"prompt_filter_results\":[]}\n\n".to_owned();
    chunks.splice(at..=at, (0..count).flat_map(|_| [piece.clone(), meta.clone()]));
    chunks
}

#[test]
fn a_model_that_repeats_itself_is_stopped_where_that_is_asked_for_and_chunks_without_text_are_no_repetition()
{
    for (path, repeats, count, stopped) in [
        ("/v1/chat/completions", "repeats: 20,", 20, false),
        ("/v1/chat/completions", "repeats: 20,", 21, true),
        ("/v1/messages", "repeats: 20,", 21, true),
        ("/v1/chat/completions", "", 500, false),
    ] {
        let world = World::of(&format!(
            "providers:\n  a: {{ dialect: openai, base: \"https://a.example/v1\", key: k }}\nmodels:\n  m: {{ {repeats} targets: [ {{ model: a/x, price: {{ input: \"1\", output: \"10\" }} }} ], retries: 0 }}\n"
        ));
        let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
        world.handles.upstream.push_response(world::sse(world::ok(pieces("again", count))));
        let question = json!({ "model": "m", "max_tokens": 50, "stream": true, "messages": [{ "role": "user", "content": "hi" }] });
        let text = String::from_utf8(read(world.send(chat(path, &key, question.to_string())))).unwrap();
        assert_eq!(text.contains("in a row"), stopped, "{count}: {text}");
        assert_eq!(text.contains("[DONE]") || text.contains("message_stop"), !stopped, "{count}");
        assert_ne!(world.usage(&id)["spent"], "0", "what was said is charged");
    }
}
