//! What goes wrong between Gemini and everybody else, each as a sentence.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod support;

use gatelet_wire::chat::{Content, Stop};
use gatelet_wire::dialect::Reading;
use gatelet_wire::fold::fold;
use gatelet_wire::{DialectId, ErrorKind, Event, Loss, Malformed, TargetHints};
use serde_json::{Value, json};
use support::{decode, dialect};

/// What is sent to `model` for a request in the `OpenAI` dialect, and what was lost.
fn sent_to(model: &str, request: &Value) -> Result<(Value, Vec<String>), Malformed> {
    let request = dialect(DialectId::Openai).read_request(request.to_string().as_bytes()).unwrap();
    let mut loss = Loss::default();
    let written =
        dialect(DialectId::Gemini).write_request(&request, &TargetHints::unknown(model), &mut loss)?;
    Ok((serde_json::from_slice(&written.body).unwrap(), loss.items().map(str::to_owned).collect()))
}

fn sent(request: &Value) -> Value {
    sent_to("gemini-3-pro-preview", request).unwrap().0
}

fn chat(messages: &Value) -> Value {
    json!({ "model": "m", "messages": messages })
}

fn called(results: &Value) -> Value {
    let call = |id: &str, name: &str| json!({ "id": id, "type": "function", "function": { "name": name, "arguments": "{}" } });
    let mut messages = vec![
        json!({ "role": "user", "content": "go" }),
        json!({ "role": "assistant", "content": null, "tool_calls": [call("a", "first"), call("b", "second")] }),
    ];
    messages.extend(results.as_array().unwrap().iter().cloned());
    chat(&json!(messages))
}

fn tool(id: &str, content: &str) -> Value {
    json!({ "role": "tool", "tool_call_id": id, "content": content })
}

fn answer(body: &Value) -> gatelet_wire::chat::Response {
    dialect(DialectId::Gemini).read_response(body.to_string().as_bytes(), Reading::default()).unwrap()
}

#[test]
fn all_results_of_a_turn_are_one_content_in_the_order_of_the_calls_with_their_names() {
    let body = sent(&called(&json!([tool("b", "2"), tool("a", "1"), { "role": "user", "content": "and?" }])));
    let contents = body["contents"].as_array().unwrap();
    let results = contents[2]["parts"].as_array().unwrap();
    let said: Vec<_> = results
        .iter()
        .map(|part| {
            (
                part["functionResponse"]["name"].as_str().unwrap(),
                part["functionResponse"]["id"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(said, [("first", "a"), ("second", "b")]);
    assert_eq!(contents[3]["parts"][0]["text"], "and?", "nothing stands beside results");
}

#[test]
fn a_call_without_result_and_a_result_without_call_are_refused_with_their_place() {
    let missing = sent_to("m", &called(&json!([tool("a", "1"), { "role": "assistant", "content": "so" }])));
    assert!(missing.unwrap_err().to_string().contains("messages[1]"));
    let lost = sent_to("m", &chat(&json!([{ "role": "user", "content": "x" }, tool("z", "1")])));
    assert!(lost.unwrap_err().to_string().contains("`z`"));
}

#[test]
fn a_result_that_is_no_object_or_looks_like_a_pointer_is_wrapped() {
    let response = |text: &str| {
        let body = sent(&called(&json!([tool("a", text), tool("b", "")])));
        body["contents"][2]["parts"][0]["functionResponse"]["response"].clone()
    };
    assert_eq!(response("plain"), json!({ "result": "plain" }));
    assert_eq!(response("[1]"), json!({ "result": [1] }));
    assert_eq!(response("{\"a\":1}"), json!({ "a": 1 }));
    assert_eq!(response("{\"$ref\":\"x\"}"), json!({ "result": "{\"$ref\":\"x\"}" }));
}

#[test]
fn the_first_call_of_a_step_is_signed_with_the_word_for_unknown_where_nobody_knows_better() {
    let body = sent(&called(&json!([tool("a", "1"), tool("b", "2")])));
    let parts = body["contents"][1]["parts"].as_array().unwrap();
    assert!(parts[0]["thoughtSignature"].is_string() && parts[1].get("thoughtSignature").is_none());
    let (older, _) = sent_to("gemini-2.5-flash", &called(&json!([tool("a", "1"), tool("b", "2")]))).unwrap();
    assert!(older["contents"][1]["parts"][0].get("thoughtSignature").is_none());
}

#[test]
fn a_signature_survives_a_round_trip_through_chat_byte_for_byte() {
    let response = answer(&json!({ "candidates": [{ "content": { "parts": [
        { "functionCall": { "name": "f", "args": {} }, "thoughtSignature": "CiQB0e2K" },
    ] }, "finishReason": "STOP" }], "responseId": "r" }));
    let chat_answer = dialect(DialectId::Openai).write_response(&response, &mut Loss::default());
    let chat_answer: Value = serde_json::from_slice(&chat_answer).unwrap();
    let message = chat_answer["choices"][0]["message"].clone();
    let id = message["tool_calls"][0]["id"].as_str().unwrap().to_owned();
    let body = sent(&chat(&json!([{ "role": "user", "content": "x" }, message, tool(&id, "1")])));
    assert_eq!(body["contents"][1]["parts"][0]["thoughtSignature"], "CiQB0e2K");
    // The id was made up for the caller: the provider, who gave none, sees none.
    assert!(body["contents"][1]["parts"][0]["functionCall"].get("id").is_none());
    assert!(body["contents"][2]["parts"][0]["functionResponse"].get("id").is_none());
}

#[test]
fn a_request_of_nothing_but_system_or_media_gets_a_turn_with_text() {
    let body = sent(&chat(&json!([{ "role": "system", "content": "Say hello." }])));
    assert_eq!(body["contents"], json!([{ "role": "user", "parts": [{ "text": " " }] }]));
    let image = json!({ "type": "image_url", "image_url": { "url": "data:image/png;base64,iVBORw0KGgo=" } });
    let body = sent(&chat(&json!([{ "role": "user", "content": [image] }])));
    assert_eq!(body["contents"][0]["parts"][1]["text"], " ");
    let (gemma, _) = sent_to(
        "gemma-3-27b-it",
        &chat(&json!([
            { "role": "system", "content": "Be brief." }, { "role": "user", "content": "Hi" },
        ])),
    )
    .unwrap();
    assert!(gemma.get("systemInstruction").is_none());
    assert_eq!(gemma["contents"][0]["parts"][0]["text"], "Be brief.");
}

#[test]
fn a_schema_beside_tools_is_refused_where_the_model_takes_one_of_them() {
    let mut request = chat(&json!([{ "role": "user", "content": "x" }]));
    request["tools"] = json!([{ "type": "function", "function": { "name": "f" } }]);
    request["response_format"] =
        json!({ "type": "json_schema", "json_schema": { "name": "a", "schema": { "type": "object" } } });
    assert!(sent_to("gemini-2.5-flash", &request).unwrap_err().to_string().contains("response_format"));
    assert!(sent_to("gemini-3-flash", &request).is_ok());
}

#[test]
fn standard_schemas_go_as_they_are_and_are_narrowed_for_the_oldest_models() {
    let schema = json!({ "type": "object", "properties": { "a": { "$ref": "#/$defs/a" } }, "$defs": { "a": { "const": "x" } }, "additionalProperties": false });
    let mut request = chat(&json!([{ "role": "user", "content": "x" }]));
    request["tools"] = json!([{ "type": "function", "function": { "name": "f", "parameters": schema } }]);
    let declared = |body: &Value| body["tools"][0]["functionDeclarations"][0].clone();
    assert_eq!(declared(&sent(&request))["parametersJsonSchema"], schema);
    let (old, _) = sent_to("gemini-1.5-pro", &request).unwrap();
    let own = json!({ "type": "object", "properties": { "a": { "type": "string", "enum": ["x"] } } });
    assert_eq!(declared(&old)["parameters"], own);
}

#[test]
fn effort_is_a_level_for_the_newest_models_and_a_budget_before() {
    let mut request = chat(&json!([{ "role": "user", "content": "x" }]));
    request["reasoning_effort"] = json!("none");
    let thinking =
        |model: &str| sent_to(model, &request).unwrap().0["generationConfig"]["thinkingConfig"].clone();
    assert_eq!(thinking("gemini-3-pro"), json!({ "includeThoughts": false, "thinkingLevel": "LOW" }));
    assert_eq!(thinking("gemini-3-flash"), json!({ "includeThoughts": false, "thinkingLevel": "MINIMAL" }));
    assert_eq!(thinking("gemini-2.5-flash"), json!({ "includeThoughts": false, "thinkingBudget": 0 }));
    assert_eq!(thinking("gemini-2.5-pro"), json!({ "includeThoughts": false, "thinkingBudget": 128 }));
}

#[test]
fn thoughts_are_added_to_the_output_and_the_input_of_hosted_tools_to_the_input() {
    let response = answer(
        &json!({ "candidates": [{ "content": { "parts": [{ "text": "x" }] }, "finishReason": "STOP",
        "groundingMetadata": { "webSearchQueries": ["a", "b"] } }], "modelVersion": "gemini-3-pro",
        "usageMetadata": { "promptTokenCount": 100, "toolUsePromptTokenCount": 20, "cachedContentTokenCount": 60,
            "candidatesTokenCount": 5, "thoughtsTokenCount": 7 } }),
    );
    let usage = response.usage;
    assert_eq!((usage.input, usage.cache_read, usage.output, usage.reasoning), (60, 60, 12, 7));
    assert_eq!((usage.input_total(), usage.web_searches), (120, 2));
}

#[test]
fn a_blocked_prompt_and_a_candidate_without_content_are_refusals_and_no_crash() {
    let blocked = answer(
        &json!({ "promptFeedback": { "blockReason": "SAFETY" }, "usageMetadata": { "promptTokenCount": 3 } }),
    );
    assert_eq!(blocked.choices[0].stop, Some(Stop::Refusal));
    let empty = answer(&json!({ "candidates": [{ "finishReason": "PROHIBITED_CONTENT", "index": 0 }] }));
    assert_eq!((empty.choices[0].stop.clone(), empty.choices[0].parts.len()), (Some(Stop::Refusal), 0));
}

#[test]
fn calls_made_in_one_chunk_and_stopped_in_another_are_calls_each_with_an_id_of_its_own() {
    let stream = concat!(
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\",\"args\":{}}}]}}],\"responseId\":\"r\"}\n\n",
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"f\"}}]}}]}\n\n",
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}]},\"finishReason\":\"STOP\"}]}\n\n",
    );
    let (events, error) = decode(dialect(DialectId::Gemini), Reading::default(), [stream.as_bytes()]);
    assert_eq!(error, None);
    let choice = &fold(&events).choices[0];
    assert_eq!(choice.stop, Some(Stop::ToolUse));
    let ids: Vec<&str> = choice
        .parts
        .iter()
        .map(|part| match &part.content {
            Content::ToolCall(call) => {
                assert_eq!(call.arguments, "{}");
                call.id.as_str()
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ids, ["gcall_r_0", "gcall_r_1"]);
}

#[test]
fn a_hint_when_to_come_back_is_read_from_the_body_and_rounded_up() {
    let body = json!({ "error": { "code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED",
        "details": [{ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.07s" }] } });
    let error = dialect(DialectId::Gemini).read_error(429, body.to_string().as_bytes());
    assert_eq!(error.retry_after, Some(35));
    let listed = dialect(DialectId::Gemini).read_error(429, json!([body]).to_string().as_bytes());
    assert_eq!(listed, error, "streams begin with a list where they fail");
}

#[test]
fn an_error_is_read_where_it_stands_in_a_list_whole_and_streamed() {
    let list =
        r#"[{"error":{"code":429,"message":"Resource has been exhausted","status":"RESOURCE_EXHAUSTED"}}]"#;
    let error = dialect(DialectId::Gemini).read_error(429, list.as_bytes());
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::RateLimit, "Resource has been exhausted"));
    let frame = format!("data: {list}\r\n\r\n");
    let (events, _) = decode(dialect(DialectId::Gemini), Reading::default(), [frame.as_bytes()]);
    assert!(matches!(events.last(), Some(Event::Error(error)) if error.status == 429), "{events:?}");
}

#[test]
fn an_id_that_the_vendor_gave_a_call_comes_back_with_its_result() {
    let said =
        answer(&json!({ "candidates": [{ "finishReason": "STOP", "content": { "role": "model", "parts": [
        { "functionCall": { "id": "fc_77", "name": "first", "args": {} } }] } }] }));
    let message = dialect(DialectId::Openai).write_response(&said, &mut Loss::default());
    let message: Value = serde_json::from_slice(&message).unwrap();
    let id = message["choices"][0]["message"]["tool_calls"][0]["id"].as_str().unwrap();
    let body = sent(&chat(&json!([
        { "role": "user", "content": "go" }, message["choices"][0]["message"], tool(id, "1"),
    ])));
    assert_eq!(body["contents"][1]["parts"][0]["functionCall"]["id"], "fc_77");
    assert_eq!(body["contents"][2]["parts"][0]["functionResponse"]["id"], "fc_77");
}

#[test]
fn a_signature_on_an_empty_text_is_kept_and_not_left_out_with_it() {
    let said = json!({ "candidates": [{ "finishReason": "STOP", "content": { "role": "model", "parts": [
        { "text": "Hello." }, { "text": "", "thoughtSignature": "c2lnbmVk" }] } }] });
    let again = dialect(DialectId::Gemini).write_response(&answer(&said), &mut Loss::default());
    assert!(String::from_utf8(again).unwrap().contains("c2lnbmVk"));
    let frame = format!("data: {said}\r\n\r\n");
    let (events, _) = decode(dialect(DialectId::Gemini), Reading::default(), [frame.as_bytes()]);
    let again = dialect(DialectId::Gemini).write_response(&fold(&events), &mut Loss::default());
    assert!(String::from_utf8(again).unwrap().contains("c2lnbmVk"));
}
