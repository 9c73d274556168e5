//! The very requests that go out to vendors who speak a dialect in a way of their own, and how their answers are read.
//!
//! Signatures are compared with what independent programs make of the same request: botocore 1.44 for AWS, the vendor's
//! `oci` 2.189 for Oracle, `PyJWT` 2.15 for Snowflake, each run once by hand with the keys and the moment of these tests.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gatelet_core::port::Body;
use gatelet_core::port::memory::Asked;
use gatelet_wire::frame::eventstream::{Kind, Value as Header, write, write_message};
use http::{Request, Response};
use serde_json::{Value, json};
use world::{World, anthropic, chat, completion, message, openai, read, read_json, whole};

/// Made for tests, and of no account.
const KEY: &str = include_str!("../src/registry/token/test_key.pem");

/// A world with one provider and one model, `m`, of it.
fn world(provider: &str, target: &str) -> World {
    let price = "price: { input: \"1\", output: \"10\" }, max_output: 1000";
    World::of(&format!(
        "providers:\n  {provider}\nmodels:\n  m: {{ targets: [ {{ model: \"{target}\", {price} }} ], retries: 0 }}\n"
    ))
}

fn question(more: &Value) -> Value {
    let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": "hello" }] });
    let object = body.as_object_mut().unwrap();
    object.extend(more.as_object().unwrap().clone());
    body
}

/// Asks, and gives what went out last.
fn sent(world: &World, request: Request<Body>) -> Asked {
    let response = world.send(request);
    let (status, body) = (response.status(), read(response));
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    world.handles.upstream.asked().last().unwrap().clone()
}

/// Asks in `OpenAI`'s words of a provider that speaks them.
fn asked(provider: &str, target: &str, more: &Value) -> Asked {
    let world = world(provider, target);
    let (_, key) = world.key(&json!({}));
    world.handles.upstream.push_response(whole(200, &completion("hi", 7, 3)));
    sent(&world, openai(&key, &question(more)))
}

fn body(asked: &Asked) -> Value {
    serde_json::from_slice(asked.body.as_ref().unwrap()).unwrap()
}

fn header<'a>(asked: &'a Asked, name: &str) -> &'a str {
    asked.headers.get(name).unwrap_or_else(|| panic!("no {name}: {:?}", asked.headers)).to_str().unwrap()
}

#[test]
fn azure_is_a_resource_a_key_and_a_deployment() {
    let v1 = asked("azure: { resource: ours, key: k }", "azure/my-gpt", &json!({}));
    assert_eq!(v1.uri, "https://ours.openai.azure.com/openai/v1/chat/completions");
    assert_eq!((header(&v1, "api-key"), body(&v1)["model"].as_str()), ("k", Some("my-gpt")));
    let usual =
        asked("azure-deployments: { resource: ours, key: k }", "azure-deployments/my-gpt", &json!({}));
    assert_eq!(
        usual.uri,
        "https://ours.openai.azure.com/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21"
    );
    let newer = "azure-deployments: { resource: ours, key: k, version: 2025-04-01-preview }";
    let newer = asked(newer, "azure-deployments/my/gpt", &json!({}));
    assert_eq!(
        newer.uri,
        "https://ours.openai.azure.com/openai/deployments/my%2Fgpt/chat/completions?api-version=2025-04-01-preview"
    );
    let own = "azure-deployments: { base: \"https://apim.example/openai\", key: k }";
    let own = asked(own, "azure-deployments/my-gpt", &json!({}));
    assert_eq!(
        own.uri,
        "https://apim.example/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21"
    );
}

#[test]
fn deployments_have_paths_for_every_operation() {
    let world = world("azure-deployments: { resource: ours, key: k }", "azure-deployments/vectors");
    let (_, key) = world.key(&json!({}));
    let vectors = json!({ "object": "list", "data": [{ "object": "embedding", "index": 0, "embedding": [0.5] }],
        "model": "x", "usage": { "prompt_tokens": 1, "total_tokens": 1 } });
    world.handles.upstream.push_response(whole(200, &vectors));
    let asked = sent(&world, chat("/v1/embeddings", &key, r#"{"model":"m","input":"hi"}"#));
    assert_eq!(
        asked.uri,
        "https://ours.openai.azure.com/openai/deployments/vectors/embeddings?api-version=2024-10-21"
    );
}

#[test]
fn entra_gives_azure_a_token_for_a_clients_secret() {
    let secret = r#"{"tenant_id":"t-1","client_id":"c-1","client_secret":"s-1"}"#;
    let world = world(&format!("azure: {{ resource: ours, key: '{secret}' }}"), "azure/my-gpt");
    let (_, key) = world.key(&json!({}));
    world
        .handles
        .upstream
        .push_response(whole(200, &json!({ "access_token": "entra-token", "expires_in": 3599 })));
    world.handles.upstream.push_response(whole(200, &completion("hi", 7, 3)));
    let last = sent(&world, openai(&key, &question(&json!({}))));
    assert_eq!(header(&last, "authorization"), "Bearer entra-token");
    assert!(!last.headers.contains_key("api-key"));
    let first = &world.handles.upstream.asked()[0];
    assert_eq!(first.uri, "https://login.microsoftonline.com/t-1/oauth2/v2.0/token");
    let form = String::from_utf8(first.body.clone().unwrap().to_vec()).unwrap();
    assert_eq!(
        form,
        "grant_type=client_credentials&client_id=c-1&client_secret=s-1&scope=https%3A%2F%2Fcognitiveservices.azure.com%2F.default"
    );
}

#[test]
fn bedrock_takes_bare_ids_profiles_and_arns_and_all_but_those_of_accounts_have_prices() {
    const CLAUDE: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";
    let arn = format!("arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.{CLAUDE}");
    let encoded = "%3A0";
    let names = [
        (CLAUDE.to_owned(), format!("/model/anthropic.claude-sonnet-4-5-20250929-v1{encoded}/converse")),
        (
            format!("us.{CLAUDE}"),
            format!("/model/us.anthropic.claude-sonnet-4-5-20250929-v1{encoded}/converse"),
        ),
        (
            format!("apac.{CLAUDE}"),
            format!("/model/apac.anthropic.claude-sonnet-4-5-20250929-v1{encoded}/converse"),
        ),
        (
            format!("global.{CLAUDE}"),
            format!("/model/global.anthropic.claude-sonnet-4-5-20250929-v1{encoded}/converse"),
        ),
        (
            arn,
            "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A123456789012%3Ainference-profile%2Feu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"
                .to_owned(),
        ),
    ];
    for (name, path) in names {
        let config = format!(
            "providers:\n  bedrock: {{ region: eu-west-1, key: \"AKIDEXAMPLE:secret:lent\" }}\nmodels:\n  m: {{ targets: [ \"bedrock/{name}\" ], retries: 0 }}\n"
        );
        let world = World::of(&config);
        let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
        let answer = json!({ "output": { "message": { "role": "assistant", "content": [{ "text": "hi" }] } },
            "stopReason": "end_turn", "usage": { "inputTokens": 1000, "outputTokens": 100, "totalTokens": 1100 },
            "metrics": { "latencyMs": 1 } });
        world.handles.upstream.push_response(whole(200, &answer));
        let asked = sent(&world, openai(&key, &question(&json!({}))));
        assert_eq!(asked.uri, format!("https://bedrock-runtime.eu-west-1.amazonaws.com{path}").as_str());
        let signed = header(&asked, "authorization");
        assert!(signed.contains("/20260101/eu-west-1/bedrock/aws4_request"), "{signed}");
        assert_eq!(header(&asked, "x-amz-security-token"), "lent");
        assert_ne!(world.usage(&id)["spent"], json!("0"), "{name} has a price");
    }
}

#[test]
fn bedrock_counts_tokens_for_those_who_ask_in_its_words() {
    let world = world("bedrock: { region: eu-west-1, key: token }", "bedrock/eu.anthropic.claude-x-v1:0");
    let (_, key) = world.key(&json!({}));
    world.handles.upstream.push_response(whole(200, &json!({ "inputTokens": 42 })));
    let body = r#"{"input":{"converse":{"messages":[{"role":"user","content":[{"text":"hello"}]}]}}}"#;
    let response = world.send(chat("/model/m/count-tokens", &key, body));
    assert_eq!(read_json(response), json!({ "inputTokens": 42 }));
    let asked = &world.handles.upstream.asked()[0];
    assert_eq!(
        asked.uri,
        "https://bedrock-runtime.eu-west-1.amazonaws.com/model/eu.anthropic.claude-x-v1%3A0/count-tokens"
    );
    assert_eq!(asked.body.as_deref().unwrap(), body.as_bytes());
}

#[test]
fn who_does_not_count_tokens_is_estimated_in_bedrocks_words_too() {
    let world = World::new();
    let (_, key) = world.key(&json!({}));
    let body = r#"{"input":{"converse":{"messages":[{"role":"user","content":[{"text":"hello"}]}]}}}"#;
    let answer = read_json(world.send(chat("/model/plain/count-tokens", &key, body)));
    assert!(answer["inputTokens"].as_u64().unwrap() > 0, "{answer}");
}

fn invoked(events: &[Value]) -> Response<Body> {
    let mut out = Vec::new();
    for event in events {
        let payload = json!({ "bytes": STANDARD.encode(event.to_string()), "p": "abc" }).to_string();
        write(&mut out, Kind::Event, "chunk", |out| out.extend_from_slice(payload.as_bytes()));
    }
    streamed(&out)
}

/// Bytes of AWS's event stream, in pieces that fit nothing.
fn streamed(bytes: &[u8]) -> Response<Body> {
    use futures_util::StreamExt as _;
    let pieces: Vec<_> = bytes.chunks(11).map(|piece| Ok(bytes::Bytes::copy_from_slice(piece))).collect();
    Response::builder()
        .header("content-type", "application/vnd.amazon.eventstream")
        .body(Body::Stream(futures_util::stream::iter(pieces).boxed()))
        .unwrap()
}

#[test]
fn claude_on_bedrock_is_invoked_in_its_own_words() {
    let provider = "bedrock-anthropic: { region: us-east-1, key: \"AKIDEXAMPLE:secret\" }";
    let world = world(provider, "bedrock-anthropic/us.anthropic.claude-opus-5-v1:0");
    let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    world.handles.upstream.push_response(whole(200, &message("hi", 7, 3)));
    let mut request = anthropic(
        &key,
        &json!({ "model": "m", "max_tokens": 50, "stream": false, "messages": [{ "role": "user", "content": "hello" }],
            "metadata": { "user_id": "u" } }),
    );
    let betas = "context-1m-2025-08-07, claude-code-20250219,advanced-tool-use-2025-11-20";
    request.headers_mut().insert("anthropic-beta", betas.parse().unwrap());
    let response = world.send(request);
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-gatelet-loss"], "anthropic-beta.claude-code-20250219");
    let asked = world.handles.upstream.asked()[0].clone();
    assert_eq!(
        asked.uri,
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/us.anthropic.claude-opus-5-v1%3A0/invoke"
    );
    assert_eq!(
        String::from_utf8(asked.body.clone().unwrap().to_vec()).unwrap(),
        r#"{"max_tokens":50,"messages":[{"role":"user","content":"hello"}],"metadata":{"user_id":"u"},"anthropic_beta":["context-1m-2025-08-07","tool-search-tool-2025-10-19"],"anthropic_version":"bedrock-2023-05-31"}"#
    );
    assert!(!asked.headers.contains_key("anthropic-beta"), "it is in the body");
    assert!(header(&asked, "authorization").contains("/us-east-1/bedrock/aws4_request"));
    assert_eq!(world.usage(&id)["spent"], "0.000037");
}

#[test]
fn a_stream_of_an_invoked_claude_is_taken_out_of_its_messages() {
    let provider = "bedrock-anthropic: { region: us-east-1, key: token }";
    for (path, ending) in [("/v1/messages", "event: message_stop"), ("/v1/chat/completions", "data: [DONE]")]
    {
        let world = world(provider, "bedrock-anthropic/anthropic.claude-opus-5-v1:0");
        let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
        let events: Vec<Value> = world::message_events("hello there", 7, 3)
            .iter()
            .map(|event| serde_json::from_str(event.split_once("data: ").unwrap().1.trim()).unwrap())
            .collect();
        world.handles.upstream.push_response(invoked(&events));
        let body = json!({ "model": "m", "max_tokens": 50, "stream": true, "messages": [{ "role": "user", "content": "hello" }] });
        let response = world.send(chat(path, &key, body.to_string()));
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let text = String::from_utf8(read(response)).unwrap();
        assert!(text.contains("hello there") && text.contains(ending), "{text}");
        let asked = &world.handles.upstream.asked()[0];
        assert!(asked.uri.path().ends_with("/invoke-with-response-stream"), "{}", asked.uri);
        assert_eq!(header(asked, "accept"), "application/vnd.amazon.eventstream");
        assert_eq!(self::body(asked).get("stream"), None);
        assert_eq!(world.usage(&id)["spent"], "0.000037");
    }
}

#[test]
fn an_exception_of_the_service_is_an_error_of_the_callers_dialect() {
    let world =
        world("bedrock-invoke: { region: us-east-1, key: token }", "bedrock-invoke/openai.gpt-oss-120b-1:0");
    let (_, key) = world.key(&json!({}));
    let mut out = Vec::new();
    write(&mut out, Kind::Exception, "throttlingException", |out| {
        out.extend_from_slice(br#"{"message":"too many"}"#);
    });
    world.handles.upstream.push_response(streamed(&out));
    let response = world.send(openai(&key, &question(&json!({ "stream": true }))));
    assert_eq!(response.status(), 429);
    assert!(read_json(response)["error"]["message"].as_str().unwrap().contains("too many"));
}

#[test]
fn sagemaker_is_signed_for_and_its_payload_parts_are_the_containers_stream() {
    let provider =
        "sagemaker: { region: us-west-2, key: \"AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY\" }";
    let asked = asked(provider, "sagemaker/llama-endpoint", &json!({}));
    assert_eq!(asked.method, "POST");
    assert_eq!(
        asked.uri,
        "https://runtime.sagemaker.us-west-2.amazonaws.com/endpoints/llama-endpoint/invocations"
    );
    assert_eq!(asked.body.as_deref().unwrap(), br#"{"messages":[{"role":"user","content":"hello"}]}"#);
    assert_eq!(header(&asked, "x-amz-date"), "20260101T000000Z");
    assert_eq!(
        header(&asked, "authorization"),
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-west-2/sagemaker/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date, Signature=92e341f29b8d937f29fbdb35fae3b35b592fdf3ed798604451790b88ae83780d"
    );
    let world = world(provider, "sagemaker/llama-endpoint");
    let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    let stream = world::completion_chunks("grüße", Some((7, 3))).concat();
    let mut out = Vec::new();
    // A part may end anywhere, inside a character too.
    for part in stream.as_bytes().chunks(13) {
        let headers =
            [(":event-type", Header::String("PayloadPart")), (":message-type", Header::String("event"))];
        write_message(&mut out, &headers, |out| out.extend_from_slice(part));
    }
    world.handles.upstream.push_response(streamed(&out));
    let response = world.send(openai(&key, &question(&json!({ "stream": true }))));
    let text = String::from_utf8(read(response)).unwrap();
    assert!(text.contains("grüße") && text.ends_with("data: [DONE]\n\n"), "{text}");
    let asked = &world.handles.upstream.asked()[0];
    assert!(asked.uri.path().ends_with("/endpoints/llama-endpoint/invocations-response-stream"));
    assert_eq!(body(asked)["stream"], true, "the container must know");
    assert_eq!(world.usage(&id)["spent"], "0.000037");
}

#[test]
fn mistral_takes_its_own_words_ids_of_nine_characters_and_thoughts_in_parts() {
    let more = json!({ "seed": 7, "max_completion_tokens": 50, "user": "u", "tool_choice": "required", "messages": [
        { "role": "developer", "content": "be brief" },
        { "role": "user", "name": "ann", "content": "hello" },
        { "role": "assistant", "content": null, "refusal": null, "reasoning_content": "hm",
          "tool_calls": [{ "id": "call_abc", "type": "function", "function": { "name": "f", "arguments": "{}" } }] },
        { "role": "tool", "tool_call_id": "call_abc", "content": "1" },
        { "role": "user", "content": "and?" },
        { "role": "assistant", "content": "It is", "prefix": true }] });
    let asked = asked("mistral: { key: k }", "mistral/magistral-medium-latest", &more);
    assert_eq!(asked.uri, "https://api.mistral.ai/v1/chat/completions");
    let body = body(&asked);
    let id = body["messages"][2]["tool_calls"][0]["id"].as_str().unwrap().to_owned();
    assert!(id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
    let expected = json!({ "model": "magistral-medium-latest", "random_seed": 7, "max_tokens": 50, "tool_choice": "any",
        "messages": [
        { "role": "system", "content": "be brief" },
        { "role": "user", "content": "hello" },
        { "role": "assistant", "content": [{ "type": "thinking", "thinking": [{ "type": "text", "text": "hm" }] }],
          "tool_calls": [{ "id": id, "type": "function", "function": { "name": "f", "arguments": "{}" } }] },
        { "role": "tool", "tool_call_id": id, "content": "1" },
        { "role": "assistant", "content": "OK." },
        { "role": "user", "content": "and?" },
        { "role": "assistant", "content": "It is", "prefix": true }] });
    assert_eq!(body, expected);
}

#[test]
fn thoughts_of_anthropics_callers_go_back_to_mistral_in_parts() {
    let world = world("mistral: { key: k }", "mistral/magistral-medium-latest");
    let (_, key) = world.key(&json!({}));
    world.handles.upstream.push_response(whole(200, &completion("hi", 7, 3)));
    let asked = sent(
        &world,
        anthropic(
            &key,
            &json!({ "model": "m", "max_tokens": 50, "messages": [{ "role": "user", "content": "q" },
                { "role": "assistant", "content": [
                    { "type": "thinking", "thinking": "hm", "signature": "s1" }, { "type": "text", "text": "a" }] },
                { "role": "user", "content": "r" }] }),
        ),
    );
    assert_eq!(
        body(&asked)["messages"][1]["content"],
        json!([{ "type": "thinking", "thinking": [{ "type": "text", "text": "hm" }], "signature": "s1" },
            { "type": "text", "text": "a" }])
    );
}

#[test]
fn content_that_is_a_list_becomes_text_and_reasoning_for_openais_callers() {
    let thinking = json!([{ "type": "thinking", "thinking": [{ "type": "text", "text": "hm" }] }, { "type": "text", "text": "hi" }]);
    let reasoning = json!([
        { "type": "reasoning", "summary": [{ "type": "summary_text", "text": "hm", "signature": "s1" }] },
        { "type": "text", "text": "hi" }]);
    for (provider, target, content) in [
        ("mistral: { key: k }", "mistral/magistral-medium-latest", thinking),
        ("databricks: { host: w.cloud.databricks.com, key: k }", "databricks/my-claude", reasoning),
    ] {
        let world = world(provider, target);
        let (_, key) = world.key(&json!({}));
        let mut answer = completion("", 7, 3);
        answer["choices"][0]["message"]["content"] = content.clone();
        world.handles.upstream.push_response(whole(200, &answer));
        let answer = read_json(world.send(openai(&key, &question(&json!({})))));
        let message = &answer["choices"][0]["message"];
        assert_eq!(
            (&message["content"], &message["reasoning_content"]),
            (&json!("hi"), &json!("hm")),
            "{answer}"
        );
        // The same in a stream.
        let chunk = |delta: Value, finish: Value| {
            format!(
                "data: {}\n\n",
                json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "x",
                "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] })
            )
        };
        let pieces = vec![
            chunk(json!({ "role": "assistant", "content": content }), Value::Null),
            chunk(json!({}), json!("stop")),
            "data: [DONE]\n\n".to_owned(),
        ];
        world.handles.upstream.push_response(world::sse(world::ok(pieces)));
        let text =
            String::from_utf8(read(world.send(openai(&key, &question(&json!({ "stream": true })))))).unwrap();
        assert!(text.contains(r#""reasoning_content":"hm""#) && text.contains(r#""content":"hi""#), "{text}");
        assert!(!text.contains("summary") && !text.contains(r#""type":"thinking","thinking":["#), "{text}");
    }
}

#[test]
fn a_mistral_model_that_does_not_think_keeps_its_bytes() {
    let world = world("mistral: { key: k }", "mistral/codestral-latest");
    let (_, key) = world.key(&json!({}));
    let answer = completion("hi", 7, 3);
    world.handles.upstream.push_response(whole(200, &answer));
    let bytes = read(world.send(openai(&key, &question(&json!({})))));
    assert_eq!(bytes, answer.to_string().into_bytes());
}

#[test]
fn databricks_is_a_workspace_and_a_token_or_a_client() {
    let asked = asked(
        "databricks: { host: w.cloud.databricks.com, key: dapi1 }",
        "databricks/my-endpoint",
        &json!({ "max_completion_tokens": 50 }),
    );
    assert_eq!(asked.uri, "https://w.cloud.databricks.com/serving-endpoints/chat/completions");
    assert_eq!(header(&asked, "authorization"), "Bearer dapi1");
    assert_eq!(
        body(&asked),
        json!({ "model": "my-endpoint", "max_tokens": 50, "messages": [{ "role": "user", "content": "hello" }] })
    );
    let client =
        r#"databricks: { host: w.cloud.databricks.com, key: '{"client_id":"c-1","client_secret":"s-1"}' }"#;
    let world = world(client, "databricks/my-endpoint");
    let (_, key) = world.key(&json!({}));
    world.handles.upstream.push_response(whole(200, &json!({ "access_token": "t-1", "expires_in": 3600 })));
    world.handles.upstream.push_response(whole(200, &completion("hi", 7, 3)));
    assert_eq!(header(&sent(&world, openai(&key, &question(&json!({})))), "authorization"), "Bearer t-1");
    let first = &world.handles.upstream.asked()[0];
    assert_eq!(first.uri, "https://w.cloud.databricks.com/oidc/v1/token");
    let form = String::from_utf8(first.body.clone().unwrap().to_vec()).unwrap();
    assert_eq!(form, "grant_type=client_credentials&client_id=c-1&client_secret=s-1&scope=all-apis");
}

#[test]
fn watsonx_has_a_token_a_project_a_version_and_words_of_its_own() {
    let provider = "watsonx: { region: eu-de, project: p-1, key: apikey-1 }";
    let world = world(provider, "watsonx/ibm/granite-3-8b-instruct");
    let (id, key) = world.key(&json!({ "limits": { "budget": ["1 USD / day"] } }));
    world.handles.upstream.push_response(whole(200, &json!({ "access_token": "iam-1", "expires_in": 3600 })));
    world.handles.upstream.push_response(whole(200, &completion("hi", 7, 3)));
    let more = json!({ "max_completion_tokens": 50, "user": "u", "tool_choice": "auto", "stream": false });
    let last = sent(&world, openai(&key, &question(&more)));
    let first = &world.handles.upstream.asked()[0];
    assert_eq!(first.uri, "https://iam.cloud.ibm.com/identity/token");
    assert_eq!(last.uri, "https://eu-de.ml.cloud.ibm.com/ml/v1/text/chat?version=2024-10-08");
    assert_eq!(header(&last, "authorization"), "Bearer iam-1");
    assert_eq!(
        body(&last),
        json!({ "model_id": "ibm/granite-3-8b-instruct", "messages": [{ "role": "user", "content": "hello" }],
            "max_tokens": 50, "tool_choice_option": "auto", "project_id": "p-1" })
    );
    // A stream ends without a word for it.
    let mut pieces = world::completion_chunks("hello", Some((7, 3)));
    pieces.pop();
    world.handles.upstream.push_response(world::sse(world::ok(pieces)));
    let text = read(world.send(openai(&key, &question(&json!({ "stream": true })))));
    assert!(String::from_utf8(text).unwrap().contains("hello"));
    let streamed = world.handles.upstream.asked()[2].clone();
    assert_eq!(streamed.uri, "https://eu-de.ml.cloud.ibm.com/ml/v1/text/chat_stream?version=2024-10-08");
    assert_eq!(world.usage(&id)["spent"], "0.000074");
}

#[test]
fn watsonx_takes_a_space_in_place_of_a_project_and_deployments_take_neither() {
    let space = "watsonx: { region: eu-de, space: s-1, version: 2025-01-01, auth: { header: authorization, prefix: 'ZenApiKey ' }, key: zen }";
    let spaced = asked(space, "watsonx/ibm/granite-3-8b-instruct", &json!({}));
    assert_eq!(spaced.uri, "https://eu-de.ml.cloud.ibm.com/ml/v1/text/chat?version=2025-01-01");
    assert_eq!(header(&spaced, "authorization"), "ZenApiKey zen");
    assert_eq!((body(&spaced)["space_id"].as_str(), body(&spaced).get("project_id")), (Some("s-1"), None));
    let deployed = "watsonx-deployments: { region: eu-de, auth: { header: authorization, prefix: 'ZenApiKey ' }, key: zen }";
    let deployed = asked(deployed, "watsonx-deployments/d-1", &json!({}));
    assert_eq!(
        deployed.uri,
        "https://eu-de.ml.cloud.ibm.com/ml/v1/deployments/d-1/text/chat?version=2024-10-08"
    );
    assert_eq!(body(&deployed), json!({ "messages": [{ "role": "user", "content": "hello" }] }));
}

#[test]
fn hugging_faces_router_and_workers_ai_are_addresses_and_tokens() {
    let face = asked(
        "huggingface: { key: hf_1 }",
        "huggingface/meta-llama/Llama-3.3-70B-Instruct:fastest",
        &json!({}),
    );
    assert_eq!(face.uri, "https://router.huggingface.co/v1/chat/completions");
    assert_eq!(header(&face, "authorization"), "Bearer hf_1");
    assert_eq!(body(&face)["model"], "meta-llama/Llama-3.3-70B-Instruct:fastest");
    let workers = asked(
        "cloudflare: { account: a1b2, key: cf_1 }",
        "cloudflare/@cf/meta/llama-3.1-8b-instruct",
        &json!({}),
    );
    assert_eq!(workers.uri, "https://api.cloudflare.com/client/v4/accounts/a1b2/ai/v1/chat/completions");
    assert_eq!(header(&workers, "authorization"), "Bearer cf_1");
    assert_eq!(body(&workers)["model"], "@cf/meta/llama-3.1-8b-instruct");
}

#[test]
fn oracles_requests_are_signed_or_carry_a_key() {
    let plain = asked("oci: { region: us-chicago-1, key: sk-1 }", "oci/xai.grok-4", &json!({}));
    assert_eq!(
        plain.uri,
        "https://inference.generativeai.us-chicago-1.oci.oraclecloud.com/openai/v1/chat/completions"
    );
    assert_eq!(header(&plain, "authorization"), "Bearer sk-1");
    assert!(!plain.headers.contains_key("opc-compartment-id"));
    let secret = json!({ "tenancy": "ocid1.tenancy.oc1..t", "user": "ocid1.user.oc1..u",
        "fingerprint": "20:3b:97:13", "key": KEY })
    .to_string()
    .replace('\'', "''");
    let signed =
        format!("oci: {{ region: us-chicago-1, compartment: ocid1.compartment.oc1..c, key: '{secret}' }}");
    let signed = asked(&signed, "oci/xai.grok-4", &json!({}));
    assert_eq!(header(&signed, "opc-compartment-id"), "ocid1.compartment.oc1..c");
    assert_eq!(header(&signed, "date"), "Thu, 01 Jan 2026 00:00:00 GMT");
    assert_eq!(header(&signed, "x-content-sha256"), "asLmdAoiHLxQDtU5YS8q+8J/B71IqQr43vz0Q00MAOk=");
    assert_eq!(
        signed.body.as_deref().unwrap(),
        br#"{"model":"xai.grok-4","messages":[{"role":"user","content":"hello"}]}"#
    );
    assert_eq!(
        header(&signed, "authorization"),
        "Signature version=\"1\",keyId=\"ocid1.tenancy.oc1..t/ocid1.user.oc1..u/20:3b:97:13\",\
         algorithm=\"rsa-sha256\",headers=\"date (request-target) host content-length content-type x-content-sha256\",\
         signature=\"j0/1wMwdtO62SykQbH4K909XtA1+4dlXE1WhSjcsVqLcqOuHYhFm8rgOQAL+l3KOw8rLzH5iMnUNN0id0lPA1+nSD9819doRnF5jJaBjrDHxQsmbH38M5/QF5AxGm9GImzOqHwNFjO6OAfd6YgCFOICLaSiGkSpvALUKzdx0HEUHr91R1/iRSYL9LUX/kzMla+SAsvR2a1oCgfrgzxuMX8v4cw8Q6KNfwFpZCjL7qnIrzaERLU0idI1usZE9MrZc785HdFfvrfDGde3JZ3L7UlP09tr0Q+pnskQGzSrK/izcOp2xYoi1Rt8NDuuUWQ3fe/DY9mxMlaw64nqD5QTdwQ==\""
    );
}

#[test]
fn snowflake_takes_a_token_or_a_key_pair_that_signs_one() {
    let token = asked("snowflake: { account: org-acc, key: pat-1 }", "snowflake/claude-4-sonnet", &json!({}));
    assert_eq!(token.uri, "https://org-acc.snowflakecomputing.com/api/v2/cortex/v1/chat/completions");
    assert_eq!(header(&token, "authorization"), "Bearer pat-1");
    assert!(!token.headers.contains_key("x-snowflake-authorization-token-type"));
    let secret = json!({ "account": "org-acc", "user": "bot", "private_key": KEY }).to_string();
    let pair = format!("snowflake: {{ account: org-acc, key: '{secret}' }}");
    let world = world(&pair, "snowflake/claude-4-sonnet");
    let (_, key) = world.key(&json!({}));
    let ask = || {
        world.handles.upstream.push_response(whole(200, &completion("hi", 7, 3)));
        sent(&world, openai(&key, &question(&json!({}))))
    };
    let first = ask();
    assert_eq!(header(&first, "x-snowflake-authorization-token-type"), "KEYPAIR_JWT");
    assert_eq!(
        header(&first, "authorization"),
        "Bearer eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJPUkctQUNDLkJPVC5TSEEyNTY6NWU3b1lya3lGOWg4dnZNSnZoTFNKczB3RTR6WlR3dUVpOVN1aXNHZzFTZz0iLCJzdWIiOiJPUkctQUNDLkJPVCIsImlhdCI6MTc2NzIyNTYwMCwiZXhwIjoxNzY3MjI3NDAwfQ.ZyGbOsmh5YhL1hbzPopZ0zyVzc1higB-1K87FJWwxIksIV2Cf12qg2_F3gY8dprNFhvk91Nclwp9bdBNpewiEh9FHIMByt9Lq30Npfrw8cZNJnPx_J3Fi08oF2VTs3GFfyig7q3NDFI72dDrYbHNCODqRAM2d6j5W70qefXcjIESfNoO3-Cw_UN_0GyAtwIxOx9zZRHPSQFcYdjBbaPfPSO5vp19tP6oHe4Xb8uK-kxaHJQyKzAn4vRVWaJrBjymvdLQL8DZ5gM9keEiMneqKPQC-mkmPHArkL2F7z6H7tvWHJvv1eZATEIv_VWSQwj8z6KySCH3gWvgw3QApGCqHA"
    );
    world.handles.clock.advance(std::time::Duration::from_mins(19));
    assert_eq!(header(&ask(), "authorization"), header(&first, "authorization"), "it is used for a while");
    world.handles.clock.advance(std::time::Duration::from_mins(2));
    assert_ne!(header(&ask(), "authorization"), header(&first, "authorization"), "and then signed anew");
}

#[test]
fn vertex_counts_tokens_under_paths_of_its_own() {
    let vertex = "vertex: { region: global, project: p-1, key: ya29.t }";
    let world = world(vertex, "vertex/gemini-2.5-flash");
    let (_, key) = world.key(&json!({}));
    world.handles.upstream.push_response(whole(200, &json!({ "totalTokens": 3 })));
    let body = r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#;
    let counted = sent(&world, chat("/v1beta/models/m:countTokens", &key, body));
    assert_eq!(
        counted.uri,
        "https://aiplatform.googleapis.com/v1/projects/p-1/locations/global/publishers/google/models/gemini-2.5-flash:countTokens"
    );
    let claude = "vertex-anthropic: { region: global, project: p-1, key: ya29.t }";
    let world = self::world(claude, "vertex-anthropic/claude-opus-4-5@20251101");
    let (_, key) = world.key(&json!({}));
    world.handles.upstream.push_response(whole(200, &json!({ "input_tokens": 3 })));
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    let counted = sent(&world, chat("/v1/messages/count_tokens", &key, body));
    assert_eq!(
        counted.uri,
        "https://aiplatform.googleapis.com/v1/projects/p-1/locations/global/publishers/anthropic/models/count-tokens:rawPredict"
    );
    assert_eq!(self::body(&counted)["model"], "claude-opus-4-5@20251101");
    // Betas that the platform does not know are not sent there.
    world.handles.upstream.push_response(whole(200, &message("hi", 7, 3)));
    let mut request = anthropic(
        &key,
        &json!({ "model": "m", "max_tokens": 5, "messages": [{ "role": "user", "content": "hi" }] }),
    );
    let betas = "files-api-2025-04-14,interleaved-thinking-2025-05-14";
    request.headers_mut().insert("anthropic-beta", betas.parse().unwrap());
    let asked = sent(&world, request);
    assert_eq!(header(&asked, "anthropic-beta"), "interleaved-thinking-2025-05-14");
}
