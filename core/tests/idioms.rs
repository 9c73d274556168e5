//! Vendors who say `OpenAI`'s conversations in bodies of their own: what goes out to them, and how they are read.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use std::time::Duration;

use futures_executor::block_on;
use gatelet_core::port::Body;
use gatelet_core::port::memory::Asked;
use gatelet_wire::frame::eventstream::{Value as Header, write_message};
use http::Response;
use serde_json::{Value, json};
use world::{World, anthropic, chat, endless, ok, openai, read, read_json, sse, whole};

fn world(provider: &str, target: &str) -> World {
    let price = "price: { input: \"1\", output: \"10\" }, max_output: 1000";
    World::of(&format!(
        "providers:\n  {provider}\nmodels:\n  m: {{ targets: [ {{ model: \"{target}\", {price} }} ], retries: 0 }}\n"
    ))
}

fn body(asked: &Asked) -> Value {
    serde_json::from_slice(asked.body.as_ref().unwrap()).unwrap()
}

fn header<'a>(asked: &'a Asked, name: &str) -> &'a str {
    asked.headers.get(name).unwrap_or_else(|| panic!("no {name}: {:?}", asked.headers)).to_str().unwrap()
}

fn asked(world: &World) -> Vec<Asked> {
    world.handles.upstream.asked()
}

const REPLICATE: (&str, &str) = ("replicate: { key: r8 }", "replicate/meta/meta-llama-3-70b-instruct");

fn prediction(status: &str, more: &Value) -> Value {
    let mut said = json!({ "id": "p1", "status": status, "output": null, "error": null, "urls": {
        "get": "https://api.replicate.com/v1/predictions/p1",
        "cancel": "https://api.replicate.com/v1/predictions/p1/cancel",
        "stream": "https://stream.replicate.com/v1/files/p1" } });
    said.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    said
}

fn succeeded() -> Value {
    prediction(
        "succeeded",
        &json!({ "output": ["hel", "lo"], "metrics": { "input_token_count": 7, "output_token_count": 3, "predict_time": 0.5 } }),
    )
}

#[test]
fn a_prediction_that_is_done_at_once_is_an_answer() {
    let world = world(REPLICATE.0, REPLICATE.1);
    let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    world.handles.upstream.push_response(whole(201, &succeeded()));
    let question = json!({ "model": "m", "max_completion_tokens": 50, "temperature": 0.5, "top_k": 4, "stop": ["a", "b"], "user": "u",
        "messages": [{ "role": "system", "content": "be brief" }, { "role": "user", "content": "hello" }] });
    let response = world.send(openai(&key, &question));
    assert_eq!(response.headers()["x-gatelet-loss"], "user");
    let answer = read_json(response);
    assert_eq!(answer["choices"][0]["message"]["content"], "hello");
    assert_eq!(answer["usage"]["prompt_tokens"], 7);
    let sent = &asked(&world)[0];
    assert_eq!(sent.uri, "https://api.replicate.com/v1/models/meta/meta-llama-3-70b-instruct/predictions");
    assert_eq!((header(sent, "authorization"), header(sent, "prefer")), ("Bearer r8", "wait=60"));
    assert_eq!(
        body(sent),
        json!({ "stream": false, "input": { "system_prompt": "be brief", "prompt": "hello", "max_tokens": 50,
            "temperature": 0.5, "top_k": 4, "stop_sequences": "a,b" } })
    );
    assert_eq!(world.usage(&id)["spent"], "0.000037");
    world.handles.clock.advance(Duration::from_secs(1));
    assert_eq!(asked(&world).len(), 1, "nothing is called off");
}

#[test]
fn versions_and_deployments_have_places_of_their_own() {
    for (model, path, version) in [
        ("owner/name:5c7d", "/v1/predictions", json!("owner/name:5c7d")),
        ("deployments/us/llama", "/v1/deployments/us/llama/predictions", Value::Null),
    ] {
        let world = world(REPLICATE.0, &format!("replicate/{model}"));
        let (_, key) = world.key(&json!({}));
        world.handles.upstream.push_response(whole(201, &succeeded()));
        read_json(
            world.send(openai(
                &key,
                &json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] }),
            )),
        );
        let sent = &asked(&world)[0];
        assert_eq!((sent.uri.path(), &body(sent)["version"]), (path, &version));
    }
}

#[test]
fn a_prediction_that_takes_longer_is_looked_at_again_in_growing_pauses() {
    let world = world(REPLICATE.0, REPLICATE.1);
    let (_, key) = world.key(&json!({}));
    for status in ["starting", "processing"] {
        world.handles.upstream.push_response(whole(201, &prediction(status, &json!({}))));
    }
    world.handles.upstream.push_response(whole(200, &succeeded()));
    let clock = world.handles.clock.clone();
    let question = json!({ "model": "m", "max_tokens": 50, "messages": [
        { "role": "user", "content": "hello" }, { "role": "assistant", "content": "yes?" }, { "role": "user", "content": "go on" }] });
    let turning = std::thread::spawn(move || {
        for _ in 0..60 {
            std::thread::sleep(Duration::from_millis(5));
            clock.advance(Duration::from_millis(100));
        }
    });
    let response = world.send(anthropic(&key, &question));
    turning.join().unwrap();
    assert_eq!(read_json(response)["content"][0]["text"], "hello");
    let asked = asked(&world);
    assert_eq!(
        body(&asked[0])["input"]["prompt"],
        "User: hello\n\nAssistant: yes?\n\nUser: go on\n\nAssistant:"
    );
    assert_eq!(asked.len(), 3);
    for look in &asked[1..] {
        assert_eq!((look.method.as_str(), look.uri.path()), ("GET", "/v1/predictions/p1"));
        assert_eq!(header(look, "authorization"), "Bearer r8");
    }
}

#[test]
fn a_prediction_that_failed_is_the_providers_error() {
    let world = world(REPLICATE.0, REPLICATE.1);
    let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    let failed = prediction("failed", &json!({ "error": "CUDA out of memory" }));
    world.handles.upstream.push_response(whole(201, &failed));
    let question = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] });
    let response = world.send(openai(&key, &question));
    assert_eq!(response.status(), 500);
    assert!(read_json(response)["error"]["message"].as_str().unwrap().contains("CUDA out of memory"));
    assert_eq!(world.usage(&id)["spent"], "0");
}

const OUTPUT: &str = "event: output\nid: 1:0\ndata: hel\n\nevent: output\nid: 1:1\ndata: lo\ndata: there\n\n";

#[test]
fn a_prediction_is_streamed_from_where_it_says_and_its_usage_is_asked_for_at_the_end() {
    for (path, ending) in
        [("/v1/chat/completions", "data: [DONE]\n\n"), ("/v1/messages", "message_stop\"}\n\n")]
    {
        let world = world(REPLICATE.0, REPLICATE.1);
        let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
        world.handles.upstream.push_response(whole(201, &prediction("starting", &json!({}))));
        let stream = format!("{OUTPUT}event: done\ndata: {{}}\n\n");
        let pieces = stream.as_bytes().chunks(7).map(|piece| String::from_utf8(piece.to_vec()).unwrap());
        world.handles.upstream.push_response(sse(ok(pieces.collect())));
        world.handles.upstream.push_response(whole(200, &succeeded()));
        let question = json!({ "model": "m", "max_tokens": 50, "stream": true, "messages": [{ "role": "user", "content": "hi" }] });
        let text = String::from_utf8(read(world.send(chat(path, &key, question.to_string())))).unwrap();
        assert!(text.contains("hel") && text.contains("lo\\nthere") && text.ends_with(ending), "{text}");
        let asked = asked(&world);
        assert_eq!(asked[1].uri, "https://stream.replicate.com/v1/files/p1");
        assert_eq!(header(&asked[1], "accept"), "text/event-stream");
        assert_eq!(asked[2].uri, "https://api.replicate.com/v1/predictions/p1");
        assert_eq!(asked.len(), 3);
        assert_eq!(world.usage(&id)["spent"], "0.000037");
    }
}

#[test]
fn a_secret_goes_to_no_host_but_the_providers() {
    for stream in [
        "https://evil.example/p1",
        "http://stream.replicate.com/p1",
        "https://replicate.com.evil.example/",
        "https://notreplicate.com/",
    ] {
        let world = world(REPLICATE.0, REPLICATE.1);
        let (_, key) = world.key(&json!({}));
        let mut said = prediction("starting", &json!({}));
        said["urls"]["stream"] = json!(stream);
        said["urls"]["cancel"] = json!(stream);
        world.handles.upstream.push_response(whole(201, &said));
        let question =
            json!({ "model": "m", "stream": true, "messages": [{ "role": "user", "content": "hi" }] });
        let response = world.send(openai(&key, &question));
        assert_eq!(response.status(), 502, "{stream}");
        assert_eq!(asked(&world).len(), 1);
    }
}

#[test]
fn a_prediction_for_which_nobody_waits_is_called_off() {
    let world = world(REPLICATE.0, REPLICATE.1);
    let (_, key) = world.key(&json!({}));
    world.handles.upstream.push_response(whole(201, &prediction("starting", &json!({}))));
    world.handles.upstream.push_response(endless(vec![OUTPUT.to_owned()]));
    let question = json!({ "model": "m", "stream": true, "messages": [{ "role": "user", "content": "hi" }] });
    let response = world.send(openai(&key, &question));
    assert_eq!(response.status(), 200);
    world.handles.upstream.push_response(whole(200, &json!({})));
    drop(response);
    block_on(world.handles.defer.run_all());
    let asked = asked(&world);
    let last = asked.last().unwrap();
    assert_eq!((last.method.as_str(), last.uri.path()), ("POST", "/v1/predictions/p1/cancel"));
}

fn generated(text: &str) -> Value {
    json!([{ "generated_text": text, "details": { "finish_reason": "length", "generated_tokens": 3, "prefill": [] } }])
}

#[test]
fn text_generation_inference_takes_one_text_and_gives_one() {
    let world = world("own: { like: tgi, base: \"https://tgi.example\", key: k, free: false }", "own/x");
    let (_, key) = world.key(&json!({}));
    world.handles.upstream.push_response(whole(200, &generated("hello")));
    let question = json!({ "model": "m", "max_tokens": 50, "temperature": 0, "seed": 7, "stop": "END", "n": 1,
        "messages": [{ "role": "user", "content": [{ "type": "text", "text": "hi" }] }] });
    let answer = read_json(world.send(openai(&key, &question)));
    assert_eq!(answer["choices"][0]["message"]["content"], "hello");
    assert_eq!(answer["choices"][0]["finish_reason"], "length");
    let sent = &asked(&world)[0];
    assert_eq!(sent.uri, "https://tgi.example/generate");
    assert_eq!(
        body(sent),
        json!({ "inputs": "hi", "parameters": { "max_new_tokens": 50, "seed": 7, "do_sample": false, "stop": ["END"],
            "return_full_text": false, "details": true }, "stream": false })
    );
}

#[test]
fn text_generation_inference_streams_tokens_and_names_what_it_lost() {
    let world = world("own: { like: tgi, base: \"https://tgi.example\", key: k }", "own/x");
    let (_, key) = world.key(&json!({}));
    let events = [
        json!({ "token": { "id": 1, "text": "hel", "special": false }, "generated_text": null, "details": null }),
        json!({ "token": { "id": 2, "text": "lo", "special": false }, "generated_text": null, "details": null }),
        json!({ "token": { "id": 3, "text": "</s>", "special": true }, "generated_text": "hello",
            "details": { "finish_reason": "eos_token", "generated_tokens": 3 } }),
    ];
    let pieces = events.iter().map(|event| format!("data:{event}\n\n")).collect();
    world.handles.upstream.push_response(sse(ok(pieces)));
    let question = json!({ "model": "m", "stream": true, "tools": [{ "type": "function", "function": { "name": "f" } }],
        "messages": [{ "role": "user", "content": "hi" }] });
    let response = world.send(openai(&key, &question));
    assert_eq!(response.headers()["x-gatelet-loss"], "tools");
    let text = String::from_utf8(read(response)).unwrap();
    assert!(
        text.contains("hel") && !text.contains("</s>") && text.contains("\"finish_reason\":\"stop\""),
        "{text}"
    );
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    assert_eq!(asked(&world)[0].uri, "https://tgi.example/generate_stream");
    // An error in the midst of it.
    let pieces = vec![
        "data:{\"token\":{\"text\":\"he\",\"special\":false}}\n\n".to_owned(),
        "data:{\"error\":\"Input validation error\",\"error_type\":\"validation\"}\n\n".to_owned(),
    ];
    world.handles.upstream.push_response(sse(ok(pieces)));
    let text = String::from_utf8(read(world.send(openai(&key, &question)))).unwrap();
    assert!(text.contains("Input validation error") && !text.contains("[DONE]"), "{text}");
}

#[test]
fn sagemakers_older_containers_stream_inside_of_awss_messages() {
    let world =
        world("sagemaker-tgi: { region: us-west-2, key: \"AKIDEXAMPLE:secret\" }", "sagemaker-tgi/ep");
    let (_, key) = world.key(&json!({}));
    let stream = "data:{\"token\":{\"text\":\"grü\",\"special\":false}}\n\ndata:{\"token\":{\"text\":\"ße\",\"special\":false},\"generated_text\":\"grüße\",\"details\":{\"finish_reason\":\"eos_token\"}}\n\n";
    let mut out = Vec::new();
    for part in stream.as_bytes().chunks(13) {
        let headers =
            [(":event-type", Header::String("PayloadPart")), (":message-type", Header::String("event"))];
        write_message(&mut out, &headers, |out| out.extend_from_slice(part));
    }
    let mut response = Response::new(Body::from(out));
    response.headers_mut().insert("content-type", "application/vnd.amazon.eventstream".parse().unwrap());
    let (parts, bytes) = response.into_parts();
    let response = Response::from_parts(parts, Body::Stream(bytes.into_stream()));
    world.handles.upstream.push_response(response);
    let question = json!({ "model": "m", "stream": true, "messages": [{ "role": "user", "content": "hi" }] });
    let text = String::from_utf8(read(world.send(openai(&key, &question)))).unwrap();
    assert!(text.contains("grü") && text.contains("ße") && text.ends_with("data: [DONE]\n\n"), "{text}");
    let sent = &asked(&world)[0];
    assert!(sent.uri.path().ends_with("/endpoints/ep/invocations-response-stream"));
    assert_eq!(body(sent)["inputs"], "hi");
    assert!(header(sent, "authorization").contains("/us-west-2/sagemaker/aws4_request"));
}

/// Made for tests, and of no account.
const KEY: &str = include_str!("../src/registry/token/test_key.pem");

fn oracle(id: &str, model: &str) -> World {
    let secret = json!({ "key": KEY, "user": "ocid1.user.oc1..u", "fingerprint": "aa:bb", "tenancy": "ocid1.tenancy.oc1..t" });
    let secret = secret.to_string().replace('\'', "''");
    let provider =
        format!("{id}: {{ region: eu-frankfurt-1, compartment: ocid1.compartment.oc1..c, key: '{secret}' }}");
    world(&provider, &format!("{id}/{model}"))
}

#[test]
fn oracles_own_chat_has_capitals_and_says_tools_both_ways() {
    let world = oracle("oci-chat", "vendor.sees");
    let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    let answer = json!({ "modelId": "meta.llama-3.3-70b-instruct", "modelVersion": "1.0.0", "chatResponse": {
        "apiFormat": "GENERIC", "timeCreated": "2026-01-01T00:00:00Z", "choices": [{ "index": 0, "finishReason": "tool_calls",
            "message": { "role": "ASSISTANT", "content": null, "toolCalls": [{ "id": "c2", "type": "FUNCTION", "name": "f", "arguments": "{\"a\":1}" }] } }],
        "usage": { "promptTokens": 7, "completionTokens": 3, "totalTokens": 10 } } });
    world.handles.upstream.push_response(whole(200, &answer));
    let question = json!({ "model": "m", "max_tokens": 50, "top_p": 0.5, "reasoning_effort": "low", "user": "u",
        "tools": [{ "type": "function", "function": { "name": "f", "description": "d", "parameters": { "type": "object" } } }],
        "tool_choice": { "type": "function", "function": { "name": "f" } },
        "response_format": { "type": "json_schema", "json_schema": { "name": "s", "strict": true, "schema": { "type": "object" } } },
        "messages": [{ "role": "system", "content": "be brief" },
            { "role": "user", "content": [{ "type": "text", "text": "look" }, { "type": "image_url", "image_url": { "url": "data:image/png;base64,AA==", "detail": "low" } }] },
            { "role": "assistant", "content": null, "tool_calls": [{ "id": "c1", "type": "function", "function": { "name": "f", "arguments": "{}" } }] },
            { "role": "tool", "tool_call_id": "c1", "content": "1" }] });
    let response = world.send(openai(&key, &question));
    let lost = response.headers().get("x-gatelet-loss").cloned();
    let said = read_json(response);
    assert_eq!(lost.unwrap_or_else(|| panic!("{said}")), "user");
    assert_eq!(
        said["choices"][0]["message"]["tool_calls"][0]["function"],
        json!({ "name": "f", "arguments": "{\"a\":1}" })
    );
    assert_eq!(said["choices"][0]["finish_reason"], "tool_calls");
    let sent = &asked(&world)[0];
    assert_eq!(
        sent.uri,
        "https://inference.generativeai.eu-frankfurt-1.oci.oraclecloud.com/20231130/actions/chat"
    );
    assert!(header(sent, "authorization").starts_with("Signature "));
    assert_eq!(
        body(sent),
        json!({ "compartmentId": "ocid1.compartment.oc1..c",
            "servingMode": { "servingType": "ON_DEMAND", "modelId": "vendor.sees" },
            "chatRequest": { "apiFormat": "GENERIC", "messages": [
                { "role": "SYSTEM", "content": [{ "type": "TEXT", "text": "be brief" }] },
                { "role": "USER", "content": [{ "type": "TEXT", "text": "look" },
                    { "type": "IMAGE", "imageUrl": { "url": "data:image/png;base64,AA==", "detail": "LOW" } }] },
                { "role": "ASSISTANT", "toolCalls": [{ "id": "c1", "type": "FUNCTION", "name": "f", "arguments": "{}" }] },
                { "role": "TOOL", "content": [{ "type": "TEXT", "text": "1" }], "toolCallId": "c1" }],
              "maxTokens": 50, "topP": 0.5, "reasoningEffort": "LOW",
              "tools": [{ "name": "f", "description": "d", "parameters": { "type": "object" }, "type": "FUNCTION" }],
              "toolChoice": { "type": "FUNCTION", "name": "f" },
              "responseFormat": { "type": "JSON_SCHEMA", "jsonSchema": { "name": "s", "schema": { "type": "object" }, "isStrict": true } } } })
    );
    assert_eq!(world.usage(&id)["spent"], "0.000037");
}

#[test]
fn oracles_own_chat_streams_choices() {
    let world = oracle("oci-chat", "ocid1.generativeaiendpoint.oc1.eu-frankfurt-1.e");
    let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    let events = [
        json!({ "index": 0, "message": { "role": "ASSISTANT", "content": [{ "type": "TEXT", "text": "hel" }] }, "pad": "aaa" }),
        json!({ "index": 0, "message": { "role": "ASSISTANT", "content": [{ "type": "TEXT", "text": "lo" }] }, "pad": "a" }),
        json!({ "message": { "role": "ASSISTANT" }, "finishReason": "stop", "pad": "aa" }),
        json!({ "usage": { "promptTokens": 7, "completionTokens": 3, "totalTokens": 10 } }),
    ];
    let pieces = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    world.handles.upstream.push_response(sse(ok(pieces)));
    let question = json!({ "model": "m", "stream": true, "messages": [{ "role": "user", "content": "hi" }] });
    let text = String::from_utf8(read(world.send(openai(&key, &question)))).unwrap();
    assert!(
        text.contains("hel")
            && text.contains("\"finish_reason\":\"stop\"")
            && text.ends_with("data: [DONE]\n\n"),
        "{text}"
    );
    let sent = body(&asked(&world)[0]);
    assert_eq!(
        sent["servingMode"],
        json!({ "servingType": "DEDICATED", "endpointId": "ocid1.generativeaiendpoint.oc1.eu-frankfurt-1.e" })
    );
    assert_eq!(sent["chatRequest"]["streamOptions"], json!({ "isIncludeUsage": true }));
    assert_eq!(world.usage(&id)["spent"], "0.000037");
}

#[test]
fn cohere_at_oracle_has_the_last_message_apart_and_a_last_event_that_says_all_again() {
    let world = oracle("oci-cohere", "cohere.command-r-plus");
    let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    let answer = json!({ "modelId": "cohere.command-r-plus", "chatResponse": { "apiFormat": "COHERE", "text": "hello", "finishReason": "MAX_TOKENS",
        "usage": { "promptTokens": 7, "completionTokens": 3, "totalTokens": 10 } } });
    world.handles.upstream.push_response(whole(200, &answer));
    let mut question = json!({ "model": "m", "max_tokens": 50, "stop": ["x"], "messages": [{ "role": "system", "content": "be brief" },
        { "role": "user", "content": "hi" }, { "role": "assistant", "content": "yes?" }, { "role": "user", "content": "go on" }] });
    let said = read_json(world.send(openai(&key, &question)));
    assert_eq!(said["choices"][0]["message"]["content"], "hello");
    assert_eq!(said["choices"][0]["finish_reason"], "length");
    assert_eq!(
        body(&asked(&world)[0])["chatRequest"],
        json!({ "apiFormat": "COHERE", "preambleOverride": "be brief", "message": "go on",
            "chatHistory": [{ "role": "USER", "message": "hi" }, { "role": "CHATBOT", "message": "yes?" }],
            "maxTokens": 50, "stopSequences": ["x"] })
    );
    let events = [
        json!({ "apiFormat": "COHERE", "text": "hel", "pad": "a" }),
        json!({ "apiFormat": "COHERE", "text": "lo" }),
        json!({ "apiFormat": "COHERE", "text": "hello", "finishReason": "COMPLETE", "chatHistory": [],
            "usage": { "promptTokens": 7, "completionTokens": 3, "totalTokens": 10 } }),
    ];
    let pieces = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    world.handles.upstream.push_response(sse(ok(pieces)));
    question["stream"] = json!(true);
    let text = String::from_utf8(read(world.send(openai(&key, &question)))).unwrap();
    assert_eq!(text.matches("hello").count(), 0, "said once, in pieces: {text}");
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    assert_eq!(world.usage(&id)["spent"], "0.000074");
}

#[test]
fn a_key_may_stand_in_the_query() {
    let provider = "own: { dialect: gemini, base: \"https://gate.example/v1beta\", auth: { query: key }, key: \"a+b&c\" }";
    let world = world(provider, "own/gemini-x");
    let (_, key) = world.key(&json!({}));
    let answer = json!({ "candidates": [{ "content": { "role": "model", "parts": [{ "text": "hi" }] }, "finishReason": "STOP" }],
        "usageMetadata": { "promptTokenCount": 7, "candidatesTokenCount": 3, "totalTokenCount": 10 } });
    world.handles.upstream.push_response(whole(200, &answer));
    let question = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] });
    assert_eq!(world.send(openai(&key, &question)).status(), 200);
    let sent = &asked(&world)[0];
    assert_eq!(sent.uri, "https://gate.example/v1beta/models/gemini-x:generateContent?key=a%2Bb%26c");
    assert!(!sent.headers.contains_key("x-goog-api-key") && !sent.headers.contains_key("authorization"));
}
