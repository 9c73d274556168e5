//! Dialects of other vendors, variants of one, and callers who want all or nothing.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use gatelet_core::port::Body;
use serde_json::{Value, json};
use world::{World, chat, completion, ok, openai, read, read_json, sse, whole};

fn sent(world: &World, nth: usize) -> Value {
    serde_json::from_slice(&world.handles.upstream.asked()[nth].body.clone().unwrap()).unwrap()
}

fn spent(world: &World, id: &str) -> Value {
    world.usage(id)["spent"].clone()
}

fn cohere_answer() -> Value {
    json!({ "id": "c1", "message": { "role": "assistant", "content": [{ "type": "text", "text": "hi" }] },
        "finish_reason": "COMPLETE", "usage": { "billed_units": { "input_tokens": 7, "output_tokens": 3 },
        "tokens": { "input_tokens": 900, "output_tokens": 30 } } })
}

#[test]
fn cohere_serves_its_own_callers_byte_for_byte_and_others_by_translation_and_bills_its_units() {
    let world = World::new();
    let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    world.handles.upstream.push_response(whole(200, &cohere_answer()));
    let body = r#"{ "model":"command", "max_tokens":50, "messages":[{"role":"user","content":"hello"}], "safety_mode":"NONE" }"#;
    let response = world.send(chat("/v2/chat", &key, body));
    assert_eq!(response.headers()["x-gatelet-cost"], "0.000037");
    assert_eq!(read_json(response), cohere_answer());
    let asked = &world.handles.upstream.asked()[0];
    assert_eq!(asked.uri, "http://127.0.0.1:1/v2/chat");
    let own = String::from_utf8(asked.body.clone().unwrap().to_vec()).unwrap();
    assert_eq!(own, body.replace("\"command\"", "\"command-a\""));
    world.handles.upstream.push_response(whole(200, &cohere_answer()));
    let question = json!({ "model": "command", "messages": [{ "role": "user", "content": "hello" }] });
    let answer = read_json(world.send(openai(&key, &question)));
    assert_eq!(answer["choices"][0]["message"]["content"], "hi");
    assert_eq!(answer["model"], "command-a", "the upstream does not say it");
    assert_eq!(spent(&world, &id), "0.000074");
}

#[test]
fn an_ollama_caller_streams_lines_from_an_upstream_of_events_unless_it_wants_no_stream() {
    let world = World::new();
    let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    world.handles.upstream.push_response(sse(ok(world::completion_chunks("hello there", Some((7, 3))))));
    let body = json!({ "model": "plain", "messages": [{ "role": "user", "content": "hi" }], "options": { "num_predict": 50, "num_ctx": 4096 } });
    let response = world.send(chat("/api/chat", &key, body.to_string()));
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    assert_eq!(response.headers()["x-gatelet-loss"], "options.num_ctx");
    let text = String::from_utf8(read(response)).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said: String = lines.iter().filter_map(|line| line["message"]["content"].as_str()).collect();
    assert_eq!(said, "hello there");
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["done"], &last["prompt_eval_count"], &last["eval_count"]),
        (&json!(true), &json!(7), &json!(3))
    );
    assert_eq!(sent(&world, 0)["stream"], true);
    assert_eq!(spent(&world, &id), "0.000037");
}

#[test]
fn an_openai_caller_streams_from_ollama_with_ids_and_its_books_are_right() {
    let world = World::new();
    let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    let lines = [
        "{\"model\":\"llama3.2:3b\",\"created_at\":\"2025-06-15T15:06:40Z\",\"message\":{\"role\":\"assistant\",\"content\":\"hel\"},\"done\":false}\n{\"model\":\"llam",
        "a3.2:3b\",\"created_at\":\"2025-06-15T15:06:40Z\",\"message\":{\"role\":\"assistant\",\"content\":\"lo\"},\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":7,\"eval_count\":3}\n",
    ];
    let mut response = sse(ok(lines.map(str::to_owned).to_vec()));
    response.headers_mut().insert("content-type", "application/x-ndjson".parse().unwrap());
    world.handles.upstream.push_response(response);
    let question =
        json!({ "model": "llama", "stream": true, "messages": [{ "role": "user", "content": "hello" }] });
    let response = world.send(openai(&key, &question));
    let request_id = response.headers()["x-gatelet-request-id"].to_str().unwrap().to_owned();
    let text = String::from_utf8(read(response)).unwrap();
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    assert!(text.contains(&format!("\"id\":\"{request_id}\"")), "{text}");
    let body = sent(&world, 0);
    assert_eq!((&body["stream"], &body["model"]), (&json!(true), &json!("llama3.2:3b")));
    assert!(body["options"]["num_predict"].as_u64().is_some(), "a budget needs a cap: {body}");
    assert_eq!(world.handles.upstream.asked()[0].uri, "http://127.0.0.1:1/api/chat");
    assert_eq!(spent(&world, &id), "0.000037");
}

#[test]
fn errors_are_said_as_cohere_and_ollama_say_them() {
    let world = World::new();
    let (_, key) = world.key(&json!({}));
    let body = r#"{"model":"nowhere","messages":[]}"#;
    let cohere = world.send(chat("/v2/chat", &key, body));
    assert_eq!(cohere.status(), 404);
    assert!(read_json(cohere)["message"].as_str().unwrap().contains("nowhere"));
    let ollama = world.send(chat("/api/chat", &key, body));
    assert_eq!(ollama.status(), 404);
    assert!(read_json(ollama)["error"].as_str().unwrap().contains("nowhere"));
}

#[test]
fn azures_deployments_are_called_and_served_by_their_paths() {
    let world = World::new();
    let (_, key) = world.key(&json!({}));
    world.handles.upstream.push_response(whole(200, &completion("hi", 7, 3)));
    let body = json!({ "messages": [{ "role": "user", "content": "hello" }] }).to_string();
    let path = "/openai/deployments/deployed/chat/completions?api-version=2024-10-21";
    let mut request = chat(path, &key, body.clone());
    let headers = request.headers_mut();
    headers.remove("authorization");
    headers.insert("api-key", key.parse().unwrap());
    let answer = read_json(world.send(request));
    assert_eq!(answer["choices"][0]["message"]["content"], "hi");
    let asked = &world.handles.upstream.asked()[0];
    assert_eq!(
        asked.uri,
        "http://127.0.0.1:1/openai/deployments/my%2Fgpt/chat/completions?api-version=2024-10-21"
    );
    assert_eq!(asked.headers["api-key"], "secret-z");
    // Elsewhere the body needs the name that the address had.
    world.handles.upstream.push_response(whole(200, &completion("hi", 7, 3)));
    let path = "/openai/deployments/plain/chat/completions?api-version=2024-10-21";
    assert_eq!(world.send(chat(path, &key, body.clone())).status(), 200);
    assert_eq!(sent(&world, 1)["model"], "model-o");
    world.handles.upstream.push_response(whole(200, &world::message("hi", 7, 3)));
    let path = "/openai/deployments/claude/chat/completions?api-version=2024-10-21";
    assert_eq!(world.send(chat(path, &key, body)).status(), 200);
    assert_eq!(sent(&world, 2)["model"], "model-a");
}

fn lossy(key: &str, path: &str) -> http::Request<Body> {
    let body = json!({ "model": "claude", "max_tokens": 50, "seed": 7, "messages": [{ "role": "user", "name": "ann", "content": "hello" }] });
    chat(path, key, body.to_string())
}

#[test]
fn who_wants_all_or_nothing_is_told_what_would_be_lost_and_nothing_is_sent_or_held() {
    let world = World::new();
    let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    let by_query = lossy(&key, "/v1/chat/completions?strict=loss");
    let mut by_header = lossy(&key, "/v1/chat/completions");
    by_header.headers_mut().insert("x-gatelet-strict", "loss".parse().unwrap());
    for request in [by_query, by_header] {
        let response = world.send(request);
        assert_eq!(response.status(), 400);
        let error = read_json(response)["error"].clone();
        assert_eq!(error["code"], "loss_refused");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("seed") && message.contains("messages[0].name"), "{message}");
    }
    assert_eq!(world.handles.upstream.asked().len(), 0);
    assert_eq!((&world.usage(&id)["spent"], &world.usage(&id)["held"]), (&json!("0"), &json!("0")));
    // Without the wish it is carried, and named.
    world.handles.upstream.push_response(whole(200, &world::message("hi", 7, 3)));
    let response = world.send(lossy(&key, "/v1/chat/completions"));
    assert_eq!(response.headers()["x-gatelet-loss"], "messages[0].name, seed");
    let wrong = world.send(lossy(&key, "/v1/chat/completions?strict=yes"));
    assert_eq!(wrong.status(), 400);
}

#[test]
fn an_input_that_cannot_fit_is_refused_before_anything_is_sent() {
    let world = World::new();
    let (_, key) = world.key(&json!({}));
    let question = |words: usize| json!({ "model": "small", "messages": [{ "role": "user", "content": "a".repeat(words) }] });
    let response = world.send(openai(&key, &question(3_000)));
    assert_eq!(response.status(), 400);
    assert_eq!(read_json(response)["error"]["code"], "model_incapable");
    assert_eq!(world.handles.upstream.asked().len(), 0);
    // What may fit is the provider's to judge.
    world.handles.upstream.push_response(whole(200, &completion("hi", 7, 3)));
    assert_eq!(world.send(openai(&key, &question(500))).status(), 200);
}

fn picture(model: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": [
        { "type": "text", "text": "What is it?" },
        { "type": "image_url", "image_url": { "url": "data:image/png;base64,iVBORw0KGgo=" } }] }] })
}

#[test]
fn a_model_that_takes_no_images_is_not_asked_with_one_and_models_that_do_are_named() {
    let world = World::new();
    let (_, key) = world.key(&json!({}));
    let response = world.send(openai(&key, &picture("blind")));
    assert_eq!(response.status(), 400);
    let error = read_json(response)["error"].clone();
    assert_eq!(error["code"], "model_incapable");
    assert!(error["message"].as_str().unwrap().contains("seeing"), "{error}");
    assert_eq!(world.handles.upstream.asked().len(), 0);
    // A target that can is asked instead of one that cannot.
    world.handles.upstream.push_response(whole(200, &completion("hi", 7, 3)));
    let response = world.send(openai(&key, &picture("blind-then-seeing")));
    assert_eq!(response.headers()["x-gatelet-model"], "openai/gpt-4o");
    // Of a model that no catalogue knows nothing is assumed.
    world.handles.upstream.push_response(whole(200, &completion("hi", 7, 3)));
    assert_eq!(world.send(openai(&key, &picture("plain"))).status(), 200);
}

#[test]
fn ollamas_clients_find_the_models_that_their_key_may_call_and_a_version() {
    let world = World::new();
    let (_, key) = world.key(&json!({ "models": ["llama", "plain"] }));
    let get = |path: &str| {
        let mut request = chat(path, &key, "");
        *request.method_mut() = http::Method::GET;
        read_json(world.send(request))
    };
    let names: Vec<Value> =
        get("/api/tags")["models"].as_array().unwrap().iter().map(|model| model["name"].clone()).collect();
    assert_eq!(names, ["llama", "plain"]);
    assert!(get("/api/version")["version"].is_string());
}

#[test]
fn a_prompt_of_ollamas_is_answered_as_a_conversation_of_one_turn_by_whoever_it_is() {
    let world = World::new();
    let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    // By another dialect, whole.
    world.handles.upstream.push_response(whole(200, &world::message("hi", 7, 3)));
    let body = json!({ "model": "claude", "prompt": "hello", "system": "be brief", "stream": false, "options": { "num_predict": 50 } });
    let answer = read_json(world.send(chat("/api/generate", &key, body.to_string())));
    assert_eq!(
        (&answer["response"], &answer["done"], &answer["eval_count"]),
        (&json!("hi"), &json!(true), &json!(3))
    );
    assert_eq!(answer.get("message"), None);
    let asked = sent(&world, 0);
    assert_eq!(asked["system"], "be brief");
    assert_eq!((&asked["max_tokens"], &asked["messages"][0]["role"]), (&json!(50), &json!("user")));
    // By its own, streamed.
    let lines = "{\"model\":\"llama3.2:3b\",\"created_at\":\"2025-06-15T15:06:40Z\",\"message\":{\"role\":\"assistant\",\"content\":\"hello\"},\"done\":false}\n{\"model\":\"llama3.2:3b\",\"created_at\":\"2025-06-15T15:06:40Z\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":7,\"eval_count\":3}\n";
    let mut response = sse(ok(vec![lines.to_owned()]));
    response.headers_mut().insert("content-type", "application/x-ndjson".parse().unwrap());
    world.handles.upstream.push_response(response);
    let response = world.send(chat("/ollama/api/generate", &key, r#"{"model":"llama","prompt":"hello"}"#));
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let text = String::from_utf8(read(response)).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said: String = lines.iter().map(|line| line["response"].as_str().unwrap()).collect();
    assert_eq!(said, "hello");
    assert_eq!(lines.last().unwrap()["done"], true);
    assert_eq!(sent(&world, 1)["messages"], json!([{ "role": "user", "content": "hello" }]));
    assert_eq!(world.handles.upstream.asked()[1].uri, "http://127.0.0.1:1/api/chat");
    assert_eq!(spent(&world, &id), "0.000074");
    // Errors are Ollama's, and nothing is held for what cannot be asked.
    let wrong = world.send(chat("/api/generate", &key, r#"{"model":"llama","prompt":"a","suffix":"b"}"#));
    assert_eq!(wrong.status(), 400);
    assert!(read_json(wrong)["error"].as_str().unwrap().contains("suffix"));
    assert_eq!(world.usage(&id)["held"], "0");
}

#[test]
fn a_providers_own_interface_takes_a_prompt_as_it_is() {
    let provider = "{ dialect: ollama, base: \"http://127.0.0.1:1\", auth: none, passthrough: unpriced }";
    let world = World::of(&format!("providers: {{ own: {provider} }}"));
    let (_, key) = world.key(&json!({}));
    world.handles.upstream.push_response(whole(200, &json!({ "response": "hi", "done": true })));
    let body = r#"{"model":"llama3.2:3b","prompt":"hello","stream":false}"#;
    assert_eq!(read_json(world.send(chat("/own/api/generate", &key, body)))["response"], "hi");
    let asked = &world.handles.upstream.asked()[0];
    assert_eq!(asked.uri, "http://127.0.0.1:1/api/generate");
}

#[test]
fn ollamas_clients_are_shown_what_a_model_can_and_how_much_it_takes() {
    let world = World::new();
    let (_, key) = world.key(&json!({ "models": ["seeing", "small", "vectors"] }));
    let shown = |name: &str| world.send(chat("/api/show", &key, json!({ "model": name }).to_string()));
    let seeing = read_json(shown("seeing"));
    assert_eq!(seeing["capabilities"], json!(["completion", "tools", "vision"]));
    assert_eq!(seeing["model_info"]["gatelet.context_length"], 128_000);
    assert_eq!(seeing["parameters"], "num_predict 16384");
    assert_eq!(read_json(shown("small"))["model_info"]["gatelet.context_length"], 10);
    assert_eq!(read_json(shown("vectors"))["capabilities"], json!(["embedding"]));
    assert_eq!(shown("plain").status(), 403);
    let nobody = shown("nobody");
    assert_eq!(nobody.status(), 404);
    assert!(read_json(nobody)["error"].as_str().unwrap().contains("nobody"));
    assert_eq!(world.send(chat("/api/show", "no-key", "{}")).status(), 401);
}
