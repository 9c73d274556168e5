//! Google's own client: a Gemini model asked in its own words, others by translation, and every other thing that it calls.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::check_eq;
use crate::host::Key;
use crate::sdk::Vendor;
use crate::upstream::{Play, Reply};
use crate::world::{GOOGLE_KEY, World, cost};

scenarios![
    the_google_client_asks_a_gemini_model_in_its_own_words,
    the_google_client_streams_a_gemini_model_event_by_event,
    the_google_client_gets_a_call_of_a_tool_and_answers_it,
    the_google_client_parses_what_a_schema_asked_for,
    the_google_client_shows_a_picture_and_is_given_one,
    the_google_client_counts_tokens_of_any_model,
    the_google_client_embeds_with_any_model,
    the_google_client_lists_models_in_googles_form,
    the_google_client_throws_its_own_errors,
    the_openai_client_asks_and_streams_a_gemini_model,
];

const TEXT: &str = "Grüße, 世界 👋🏽!";
/// One pixel.
const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

fn usage() -> Value {
    json!({"promptTokenCount": 11, "candidatesTokenCount": 4, "thoughtsTokenCount": 3, "totalTokenCount": 18})
}

fn candidate(parts: &Value, finish: Option<&str>) -> Value {
    let mut candidate = json!({"index": 0, "content": {"role": "model", "parts": parts}});
    if let Some(reason) = finish {
        candidate["finishReason"] = json!(reason);
    }
    json!({"candidates": [candidate], "usageMetadata": usage(), "modelVersion": "gem", "responseId": "r1"})
}

fn whole(parts: &Value) -> Play {
    Play::json(200, &candidate(parts, Some("STOP")))
}

fn streamed() -> Play {
    let event = |body: Value| format!("data: {body}\r\n\r\n");
    let events = [
        event(candidate(&json!([{"text": "Grüße, 世"}]), None)),
        event(candidate(&json!([{"text": "界 👋🏽!"}]), None)),
        event(candidate(&json!([{"text": ""}]), Some("STOP"))),
    ];
    Play::text(200, "text/event-stream", &events.concat())
}

async fn budgeted(world: &World) -> Result<Key> {
    world.host.key(json!({"limits": {"budget": ["1 USD / day"]}})).await
}

async fn call(world: &World, key: &Key, method: &str, arguments: Value) -> Result<Value> {
    world.sdk.call(Vendor::Google, &world.host.base(), &key.secret, method, arguments).await
}

/// A call that must succeed; what it gave.
async fn told(world: &World, key: &Key, method: &str, arguments: Value) -> Result<Value> {
    let mut answer = call(world, key, method, arguments).await?;
    ensure!(answer["error"].is_null(), "the client threw: {}", answer["error"]);
    Ok(if answer["events"].is_array() { answer["events"].take() } else { answer["result"].take() })
}

async fn the_google_client_asks_a_gemini_model_in_its_own_words(world: Arc<World>) -> Result<()> {
    world.upstream.script("genai-own", [whole(&json!([{"text": TEXT}]))]);
    let key = budgeted(&world).await?;
    let config = json!({
        "system_instruction": "Be kind.", "temperature": 0.5, "top_k": 7, "stop_sequences": ["END"],
        "max_output_tokens": 100, "thinking_config": {"thinking_budget": 64},
        "safety_settings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_ONLY_HIGH"}],
    });
    let asked = json!({"model": "gem/genai-own", "contents": "Hello?", "config": config});
    let answer = told(&world, &key, "generate_content", asked).await?;
    check_eq!(answer["text"].as_str(), Some(TEXT));
    check_eq!(answer["usage_metadata"]["thoughts_token_count"], json!(3));
    check_eq!(answer["response_id"], json!("r1"));
    let sent = world.upstream.only("genai-own")?;
    check_eq!(sent.path, "/v1beta/models/genai-own:generateContent");
    check_eq!(sent.header("x-goog-api-key"), Some(GOOGLE_KEY));
    let body = sent.json()?;
    check_eq!(body["systemInstruction"]["parts"][0]["text"], json!("Be kind."));
    check_eq!(body["generationConfig"]["topK"].as_f64(), Some(7.0));
    // The client writes what was given to it as a dictionary in either case, and the vendor takes both.
    let thinking = &body["generationConfig"]["thinkingConfig"];
    ensure!(thinking["thinkingBudget"] == 64 || thinking["thinking_budget"] == 64, "{thinking}");
    check_eq!(body["safetySettings"][0]["threshold"], json!("BLOCK_ONLY_HIGH"));
    check_eq!(world.closed_books(&key).await?.spent, cost(11, 7));
    Ok(())
}

async fn the_google_client_streams_a_gemini_model_event_by_event(world: Arc<World>) -> Result<()> {
    world.upstream.script("genai-stream", [streamed()]);
    let key = budgeted(&world).await?;
    let asked = json!({"model": "gem/genai-stream", "contents": "Hello?"});
    let events = told(&world, &key, "generate_content_stream", asked).await?;
    check_eq!(events.as_array().map_or(0, Vec::len), 3);
    check_eq!(text_of(&events), TEXT);
    check_eq!(world.upstream.only("genai-stream")?.path, "/v1beta/models/genai-stream:streamGenerateContent");
    check_eq!(world.closed_books(&key).await?.spent, cost(11, 7));
    Ok(())
}

/// The words of all events.
fn text_of(events: &Value) -> String {
    let parts = events.as_array().into_iter().flatten();
    let parts = parts.filter_map(|event| event["candidates"][0]["content"]["parts"].as_array()).flatten();
    parts.filter_map(|part| part["text"].as_str()).collect()
}

async fn the_google_client_gets_a_call_of_a_tool_and_answers_it(world: Arc<World>) -> Result<()> {
    let call = json!([{"functionCall": {"id": "fc_1", "name": "weather", "args": {"city": "Zürich"}},
        "thoughtSignature": "c2lnbmVk"}]);
    world.upstream.script("genai-tool", [whole(&call), whole(&json!([{"text": "3 °C"}]))]);
    let reply = Reply::text(["Let me look."]).and_tool("call_a1", "weather", &["{\"city\":", "\"Zürich\"}"]);
    let plays = [reply.usage(11, 7).into(), Reply::text(["3 °C"]).usage(11, 7).into()];
    world.upstream.script("genai-tool-elsewhere", plays);
    for model in ["gem/genai-tool", "chat/genai-tool-elsewhere"] {
        let key = budgeted(&world).await?;
        let schema =
            json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
        let declared =
            json!({"name": "weather", "description": "The weather.", "parameters_json_schema": schema});
        let config = json!({
            "tools": [{"function_declarations": [declared]}],
            "tool_config": {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["weather"]}},
        });
        let question = json!({"role": "user", "parts": [{"text": "How cold is Zürich?"}]});
        let asked = json!({"model": model, "contents": [question], "config": config});
        let answer = told(&world, &key, "generate_content", asked).await?;
        let content = &answer["candidates"][0]["content"];
        let parts = content["parts"].as_array().context("no parts")?;
        let call = parts.iter().map(|part| &part["function_call"]).find(|call| !call.is_null());
        let call = call.with_context(|| answer.to_string())?;
        check_eq!(call["name"], json!("weather"));
        check_eq!(call["args"], json!({"city": "Zürich"}));
        // The client plays the model's own turn back, with what it knows of the call.
        let result =
            json!({"function_response": {"id": call["id"], "name": "weather", "response": {"celsius": 3}}});
        let contents = json!([question, content, {"role": "user", "parts": [result]}]);
        let asked = json!({"model": model, "contents": contents, "config": {"tools": config["tools"]}});
        let answer = told(&world, &key, "generate_content", asked).await?;
        check_eq!(answer["text"], json!("3 °C"));
        check_eq!(world.closed_books(&key).await?.spent, 2 * cost(11, 7));
    }
    let sent = world.upstream.arrived("genai-tool", 2).await?[1].json()?;
    check_eq!(sent["contents"][1]["parts"][0]["thoughtSignature"], json!("c2lnbmVk"), "{sent}");
    check_eq!(sent["contents"][2]["parts"][0]["functionResponse"]["id"], json!("fc_1"));
    let sent = world.upstream.arrived("genai-tool-elsewhere", 2).await?;
    check_eq!(sent[0].json()?["tool_choice"]["function"]["name"], json!("weather"));
    let messages = &sent[1].json()?["messages"];
    check_eq!(messages[1]["tool_calls"][0]["id"], json!("call_a1"), "{messages}");
    check_eq!(messages[2]["tool_call_id"], json!("call_a1"));
    check_eq!(messages[2]["role"], json!("tool"));
    Ok(())
}

async fn the_google_client_parses_what_a_schema_asked_for(world: Arc<World>) -> Result<()> {
    let said = r#"{"city":"Zürich","celsius":3}"#;
    world.upstream.script("genai-schema", [whole(&json!([{"text": said}]))]);
    world.upstream.script("genai-schema-elsewhere", [Reply::text([said]).usage(11, 7).into()]);
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}, "celsius": {"type": "integer"}},
        "required": ["city", "celsius"]});
    for model in ["gem/genai-schema", "chat/genai-schema-elsewhere"] {
        let key = budgeted(&world).await?;
        let config = json!({"response_mime_type": "application/json", "response_json_schema": schema});
        let asked = json!({"model": model, "contents": "How cold is Zürich?", "config": config});
        let answer = told(&world, &key, "generate_content", asked).await?;
        check_eq!(answer["parsed"], json!({"city": "Zürich", "celsius": 3}), "{answer}");
    }
    let sent = world.upstream.only("genai-schema")?.json()?;
    check_eq!(sent["generationConfig"]["responseJsonSchema"], schema);
    let format = &world.upstream.only("genai-schema-elsewhere")?.json()?["response_format"];
    check_eq!(format["type"], json!("json_schema"));
    check_eq!(format["json_schema"]["schema"]["properties"]["celsius"]["type"], json!("integer"));
    Ok(())
}

async fn the_google_client_shows_a_picture_and_is_given_one(world: Arc<World>) -> Result<()> {
    let picture = json!([{"text": "Here: "}, {"inlineData": {"mimeType": "image/png", "data": PNG}}]);
    world.upstream.script("genai-picture", [whole(&picture)]);
    world.upstream.script("genai-picture-elsewhere", [Reply::text(["A dot."]).usage(11, 7).into()]);
    let shown = json!({"inline_data": {"mime_type": "image/png", "data": {"base64": PNG}}});
    let contents = json!([{"role": "user", "parts": [{"text": "What is it?"}, shown]}]);
    let key = budgeted(&world).await?;
    let asked = json!({"model": "gem/genai-picture", "contents": contents});
    let answer = told(&world, &key, "generate_content", asked).await?;
    let given = &answer["candidates"][0]["content"]["parts"][1]["inline_data"];
    check_eq!(given["mime_type"], json!("image/png"));
    ensure!(given["data"].as_str().is_some_and(|data| data.len() == PNG.len()), "{given}");
    let asked = json!({"model": "chat/genai-picture-elsewhere", "contents": contents});
    check_eq!(told(&world, &key, "generate_content", asked).await?["text"], json!("A dot."));
    let sent = world.upstream.only("genai-picture-elsewhere")?.json()?;
    let url = &sent["messages"][0]["content"][1]["image_url"]["url"];
    check_eq!(*url, json!(format!("data:image/png;base64,{PNG}")));
    Ok(())
}

async fn the_google_client_counts_tokens_of_any_model(world: Arc<World>) -> Result<()> {
    world.upstream.script("genai-count", [Play::json(200, &json!({"totalTokens": 23}))]);
    let key = budgeted(&world).await?;
    let asked = json!({"model": "gem/genai-count", "contents": "How many are these?"});
    let answer = told(&world, &key, "count_tokens", asked).await?;
    check_eq!(answer["total_tokens"], json!(23));
    check_eq!(world.upstream.only("genai-count")?.path, "/v1beta/models/genai-count:countTokens");
    // Who has no such service is not asked: the number is an estimate.
    let asked = json!({"model": "chat/genai-count-elsewhere", "contents": "How many are these?"});
    let answer = told(&world, &key, "count_tokens", asked).await?;
    ensure!(answer["total_tokens"].as_u64().is_some_and(|count| (3..40).contains(&count)), "{answer}");
    check_eq!(world.upstream.received("genai-count-elsewhere").len(), 0);
    check_eq!(world.closed_books(&key).await?.spent, 0);
    Ok(())
}

async fn the_google_client_embeds_with_any_model(world: Arc<World>) -> Result<()> {
    let vectors = json!({"embeddings": [{"values": [0.25, -1.0]}, {"values": [0.5, 2.0]}]});
    world.upstream.script("genai-embed", [Play::json(200, &vectors)]);
    let vectors = json!({
        "object": "list", "model": "e", "usage": {"prompt_tokens": 9, "total_tokens": 9},
        "data": [{"object": "embedding", "index": 0, "embedding": [0.25, -1.0]},
                 {"object": "embedding", "index": 1, "embedding": [0.5, 2.0]}],
    });
    world.upstream.script("genai-embed-elsewhere", [Play::json(200, &vectors)]);
    for model in ["gem/genai-embed", "chat/genai-embed-elsewhere"] {
        let key = budgeted(&world).await?;
        let config = json!({"output_dimensionality": 2});
        let asked = json!({"model": model, "contents": ["a", "b"], "config": config});
        let answer = told(&world, &key, "embed_content", asked).await?;
        check_eq!(answer["embeddings"][0]["values"], json!([0.25, -1.0]), "{answer}");
        check_eq!(answer["embeddings"][1]["values"], json!([0.5, 2.0]));
    }
    let sent = world.upstream.only("genai-embed-elsewhere")?.json()?;
    check_eq!(sent["input"], json!(["a", "b"]));
    check_eq!(sent["dimensions"], json!(2));
    check_eq!(world.upstream.only("genai-embed")?.path, "/v1beta/models/genai-embed:batchEmbedContents");
    Ok(())
}

async fn the_google_client_lists_models_in_googles_form(world: Arc<World>) -> Result<()> {
    let key = world.host.key(json!({"models": ["refused", "first-openai"]})).await?;
    let listed = told(&world, &key, "list", json!({})).await?;
    let names: Vec<&str> =
        listed.as_array().into_iter().flatten().filter_map(|model| model["name"].as_str()).collect();
    check_eq!(names, ["models/first-openai", "models/refused"]);
    let one = told(&world, &key, "get", json!({"model": "refused"})).await?;
    check_eq!(one["name"], json!("models/refused"));
    ensure!(one["supported_actions"].to_string().contains("generateContent"), "{one}");
    let hidden = call(&world, &key, "get", json!({"model": "breaks-before-content"})).await?;
    check_eq!(hidden["error"]["class"], json!("ClientError"), "{hidden}");
    check_eq!(hidden["error"]["code"], json!(403));
    Ok(())
}

async fn the_google_client_throws_its_own_errors(world: Arc<World>) -> Result<()> {
    let busy = json!({"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}});
    world.upstream.script("genai-busy", [Play::json(429, &busy)]);
    let broken = json!({"error": {"message": "the engine fell over", "type": "server_error"}});
    world.upstream.script("genai-broken", [Play::json(500, &broken)]);
    let key = world.host.key(json!({})).await?;
    let wrong = Key { id: String::new(), secret: "gk_wrong".to_owned() };
    for (key, model, class, code, status) in [
        (&key, "gem/genai-busy", "ClientError", 429, "RESOURCE_EXHAUSTED"),
        (&key, "chat/genai-broken", "ServerError", 500, "INTERNAL"),
        (&key, "nowhere", "ClientError", 404, "NOT_FOUND"),
        (&wrong, "nowhere", "ClientError", 401, "UNAUTHENTICATED"),
    ] {
        for method in ["generate_content", "generate_content_stream"] {
            let answer = call(&world, key, method, json!({"model": model, "contents": "Hi"})).await?;
            let error = &answer["error"];
            check_eq!(error["class"], json!(class), "{model} {method}: {answer}");
            check_eq!(error["code"], json!(code), "{model} {method}: {answer}");
            check_eq!(error["body"]["error"]["status"], json!(status), "{model} {method}: {answer}");
        }
    }
    Ok(())
}

async fn the_openai_client_asks_and_streams_a_gemini_model(world: Arc<World>) -> Result<()> {
    world.upstream.script("genai-by-openai", [whole(&json!([{"text": TEXT}])), streamed()]);
    let key = budgeted(&world).await?;
    let base = format!("{}/v1", world.host.base());
    let question =
        json!({"model": "gem/genai-by-openai", "messages": [{"role": "user", "content": "Hello?"}]});
    let mut streamed = question.clone();
    streamed["stream_options"] = json!({"include_usage": true});
    for (method, asked) in [("chat.completions.create", question), ("chat.completions.stream", streamed)] {
        let answer = world.sdk.call(Vendor::OpenAi, &base, &key.secret, method, asked).await?;
        ensure!(answer["error"].is_null(), "the client threw: {}", answer["error"]);
        let said = if answer["final"].is_null() { &answer["result"] } else { &answer["final"] };
        check_eq!(said["choices"][0]["message"]["content"].as_str(), Some(TEXT));
        check_eq!(said["choices"][0]["finish_reason"], json!("stop"));
        check_eq!(said["usage"]["completion_tokens"], json!(7));
        check_eq!(said["usage"]["completion_tokens_details"]["reasoning_tokens"], json!(3));
    }
    check_eq!(world.closed_books(&key).await?.spent, 2 * cost(11, 7));
    Ok(())
}
