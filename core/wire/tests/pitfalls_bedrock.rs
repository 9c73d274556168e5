//! What goes wrong with Bedrock Converse and the models behind it, each with what is done about it.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests may")]

mod support;

use gatelet_wire::chat::{Content, Stop};
use gatelet_wire::dialect::Reading;
use gatelet_wire::fold::fold;
use gatelet_wire::{DialectId, ErrorKind, Event, Loss, Malformed, TargetHints, Usage};
use serde_json::{Value, json};
use support::{binary, decode, dialect, encode_bytes, options, readable};

const HERE: DialectId = DialectId::Bedrock;
const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";

/// A chat request as it is sent to `model`, and what was lost.
fn sent_to(model: &str, request: &Value) -> Result<(Value, Vec<String>), Malformed> {
    let read = dialect(DialectId::Openai).read_request(request.to_string().as_bytes())?;
    let mut loss = Loss::default();
    let written = dialect(HERE).write_request(&read, &TargetHints::unknown(model), &mut loss)?;
    let items = loss.items().map(str::to_owned).collect();
    Ok((serde_json::from_slice(&written.body).unwrap(), items))
}

fn sent(request: &Value) -> (Value, Vec<String>) {
    sent_to(CLAUDE, request).expect("it can be said")
}

fn refused(request: &Value) -> String {
    sent_to(CLAUDE, request).expect_err("it cannot be said").to_string()
}

fn chat(messages: &Value) -> Value {
    json!({ "model": "m", "messages": messages })
}

fn call(id: &str, name: &str) -> Value {
    json!({ "id": id, "type": "function", "function": { "name": name, "arguments": "{}" } })
}

fn result(id: &str, text: &str) -> Value {
    json!({ "role": "tool", "tool_call_id": id, "content": text })
}

fn tool(name: &str) -> Value {
    json!({ "type": "function", "function": { "name": name, "parameters": { "type": "object", "properties": {} } } })
}

fn events(text: &str) -> (Vec<Event>, Option<Malformed>) {
    decode(dialect(HERE), Reading::default(), [binary(text.as_bytes()).as_slice()])
}

const START: &str = "event: messageStart\ndata: {\"role\":\"assistant\"}\n\n";
const STOP: &str = "event: messageStop\ndata: {\"stopReason\":\"end_turn\"}\n\n";

#[test]
fn an_exception_inside_a_stream_is_an_error_with_the_status_that_its_name_means() {
    for (name, kind, status) in [
        ("throttlingException", ErrorKind::RateLimit, 429),
        ("validationException", ErrorKind::InvalidRequest, 400),
        ("serviceUnavailableException", ErrorKind::Overloaded, 503),
        ("internalServerException", ErrorKind::Api, 500),
        ("modelStreamErrorException", ErrorKind::Api, 424),
    ] {
        let (events, error) = events(&format!("{START}exception: {name}\ndata: {{\"message\":\"m\"}}\n\n"));
        assert_eq!(error, None);
        let Some(Event::Error(said)) = events.last() else { unreachable!("{events:?}") };
        assert_eq!((said.kind, said.status, said.message.as_str()), (kind, status, "m"), "{name}");
    }
}

#[test]
fn bytes_that_are_left_at_the_end_of_a_stream_are_a_truncation() {
    let whole = binary(format!("{START}{STOP}").as_bytes());
    let (_, error) = decode(dialect(HERE), Reading::default(), [&whole[..whole.len() - 1]]);
    assert_eq!(error, Some(Malformed::Truncated));
    let mut bad = whole.clone();
    *bad.last_mut().unwrap() ^= 1;
    let (_, error) = decode(dialect(HERE), Reading::default(), [bad.as_slice()]);
    assert!(matches!(error, Some(Malformed::Frame { .. })), "{error:?}");
}

#[test]
fn a_stream_goes_on_after_its_reason_to_stop_until_the_usage_has_come() {
    let metadata =
        "event: metadata\ndata: {\"usage\":{\"inputTokens\":1,\"outputTokens\":2,\"totalTokens\":3}}\n\n";
    let (before, error) = events(&format!("{START}{STOP}{metadata}"));
    assert_eq!(error, None);
    let usage = before.iter().position(|event| matches!(event, Event::Usage(_))).unwrap();
    let stop = before.iter().position(|event| matches!(event, Event::Stop { .. })).unwrap();
    assert!(stop < usage && usage < before.len() - 1);
    assert_eq!(before.last(), Some(&Event::End));
}

#[test]
fn padding_is_neither_read_nor_passed_to_other_dialects() {
    let text = format!(
        "{START}event: contentBlockDelta\ndata: {{\"contentBlockIndex\":0,\"delta\":{{\"text\":\"a\"}},\"p\":\"abcdef\"}}\n\n\
         event: messageStop\ndata: {{\"stopReason\":\"end_turn\",\"p\":\"abcdef\"}}\n\n"
    );
    let (events, _) = events(&text);
    for to in DialectId::ALL {
        let (bytes, loss) = encode_bytes(&mut *dialect(*to).encoder(options()), &events);
        assert!(!readable(dialect(*to).conventions().framing, &bytes).contains("abcdef"));
        assert!(loss.is_empty(), "{loss:?}");
    }
}

#[test]
fn input_excludes_what_was_cached_and_the_total_is_counted_anew() {
    let answer = json!({
        "output": { "message": { "role": "assistant", "content": [] } }, "stopReason": "end_turn",
        "usage": { "inputTokens": 3, "outputTokens": 2, "totalTokens": 5, "cacheReadInputTokens": 1000,
            "cacheWriteInputTokens": 200, "cacheDetails": [{ "ttl": "1h", "inputTokens": 150 }] },
    });
    let read = dialect(HERE).read_response(answer.to_string().as_bytes(), Reading::default()).unwrap();
    let wanted = Usage {
        input: 3,
        cache_read: 1_000,
        cache_write_5m: 50,
        cache_write_1h: 150,
        output: 2,
        ..Usage::default()
    };
    assert_eq!(read.usage, wanted);
    let again: Value =
        serde_json::from_slice(&dialect(HERE).write_response(&read, &mut Loss::default())).unwrap();
    assert_eq!(again["usage"]["totalTokens"], json!(1_205));
}

#[test]
fn a_call_without_parameters_has_the_empty_object_as_its_arguments() {
    let start = "event: contentBlockStart\ndata: {\"contentBlockIndex\":4,\"start\":{\"toolUse\":{\"toolUseId\":\"a\",\"name\":\"f\"}}}\n\n";
    let (events, error) = events(&format!("{START}{start}{STOP}"));
    assert_eq!(error, None);
    let answer = fold(&events);
    assert!(matches!(&answer.choices[0].parts[0].content, Content::ToolCall(call) if call.arguments == "{}"));
    assert_eq!(
        answer.choices[0].stop,
        Some(Stop::ToolUse),
        "calls are the reason to stop, whatever was said"
    );
}

#[test]
fn what_the_providers_own_tools_do_is_no_call_of_the_client() {
    let start = "event: contentBlockStart\ndata: {\"contentBlockIndex\":0,\"start\":{\"toolUse\":{\"toolUseId\":\"a\",\"name\":\"f\",\"type\":\"server_tool_use\"}}}\n\n";
    let (events, _) = events(&format!("{START}{start}{STOP}"));
    let answer = fold(&events);
    assert!(matches!(answer.choices[0].parts[0].content, Content::Foreign { dialect: HERE, .. }));
    assert_eq!(answer.choices[0].stop, Some(Stop::EndTurn));
}

#[test]
fn a_history_of_calls_without_tools_gets_tools_named_after_them() {
    let history = json!([{ "role": "user", "content": "a" }, { "role": "assistant", "tool_calls": [call("c", "f")] }, result("c", "b")]);
    let (body, lost) = sent(&chat(&history));
    assert_eq!(body["toolConfig"]["tools"][0]["toolSpec"]["name"], json!("f"));
    assert_eq!(lost, ["tools"]);
}

#[test]
fn a_choice_of_no_tool_leaves_the_tools_out_unless_the_history_speaks_of_them() {
    let mut request = chat(&json!([{ "role": "user", "content": "a" }]));
    request["tools"] = json!([tool("f")]);
    request["tool_choice"] = json!("none");
    let (body, lost) = sent(&request);
    assert_eq!((body.get("toolConfig"), lost), (None, Vec::new()));
    request["messages"] = json!([{ "role": "user", "content": "a" }, { "role": "assistant", "tool_calls": [call("c", "f")] }, result("c", "b")]);
    let (body, lost) = sent(&request);
    assert!(body["toolConfig"]["toolChoice"].is_null());
    assert_eq!(lost, ["tool_choice"]);
}

#[test]
fn results_of_parallel_calls_are_one_turn_and_come_before_the_users_words() {
    let history = json!([
        { "role": "user", "content": "a" },
        { "role": "assistant", "content": "", "tool_calls": [call("c", "f"), call("d", "f")] },
        result("d", "2"), result("c", "1"), { "role": "user", "content": "and?" },
    ]);
    let (body, _) = sent(&chat(&history));
    assert_eq!(body["messages"].as_array().map(Vec::len), Some(3));
    let last = body["messages"][2]["content"].as_array().unwrap();
    assert_eq!(last[0]["toolResult"]["toolUseId"], json!("d"));
    assert_eq!(last[1]["toolResult"]["toolUseId"], json!("c"));
    assert_eq!(last[2], json!({ "text": "and?" }));
    assert_eq!(body["messages"][1]["content"].as_array().map(Vec::len), Some(2), "no empty text");
}

#[test]
fn words_beside_results_go_into_a_turn_of_their_own_where_the_model_takes_none() {
    let history = json!([
        { "role": "user", "content": "a" }, { "role": "assistant", "tool_calls": [call("c", "f")] },
        result("c", "1"), { "role": "user", "content": "and?" },
    ]);
    let (body, lost) = sent_to("meta.llama4-scout-17b-instruct-v1:0", &chat(&history)).unwrap();
    let turns = body["messages"].as_array().unwrap();
    let roles: Vec<&str> = turns.iter().filter_map(|turn| turn["role"].as_str()).collect();
    assert_eq!(roles, ["user", "assistant", "user", "assistant", "user"]);
    assert_eq!(turns[2]["content"].as_array().map(Vec::len), Some(1));
    assert_eq!(turns[4]["content"], json!([{ "text": "and?" }]));
    assert!(lost.contains(&"messages.*.content".to_owned()));
}

#[test]
fn a_call_without_its_result_is_refused_with_its_place() {
    let history = json!([{ "role": "user", "content": "a" }, { "role": "assistant", "tool_calls": [call("c", "f")] }, { "role": "user", "content": "b" }]);
    assert!(refused(&chat(&history)).contains("messages[1]"));
}

#[test]
fn ids_of_calls_get_the_form_that_the_model_takes_always_the_same_and_never_twice() {
    let long = "a".repeat(80);
    let ids = |model: &str| {
        let history = json!([
            { "role": "user", "content": "a" },
            { "role": "assistant", "tool_calls": [call("ä b", "f"), call(&long, "f"), call("ok_1", "f"), call("ok_1", "f")] },
            result("ä b", "1"), result(&long, "2"), result("ok_1", "3"), result("ok_1", "4"),
        ]);
        let (body, _) = sent_to(model, &chat(&history)).unwrap();
        let of = |turn: usize, kind: &str| -> Vec<String> {
            let blocks = body["messages"][turn]["content"].as_array().unwrap();
            blocks.iter().map(|block| block[kind]["toolUseId"].as_str().unwrap().to_owned()).collect()
        };
        let (calls, results) = (of(1, "toolUse"), of(2, "toolResult"));
        assert_eq!(calls, results);
        let mut unique = calls.clone();
        unique.sort();
        unique.dedup();
        assert_eq!(unique.len(), 4, "{calls:?}");
        calls
    };
    for id in ids(CLAUDE) {
        assert!(
            id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte)),
            "{id}"
        );
    }
    let mistral = ids("mistral.mistral-large-2407-v1:0");
    assert!(mistral.iter().all(|id| id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric())));
    assert_eq!(mistral, ids("mistral.mistral-large-2407-v1:0"));
    assert_eq!(ids(CLAUDE)[2], "ok_1");
}

#[test]
fn names_of_tools_are_shortened_reversibly_and_descriptions_are_never_empty() {
    let name = format!("files.{}", "x".repeat(80));
    let mut request = chat(&json!([{ "role": "user", "content": "a" }]));
    request["tools"] = json!([tool(&name)]);
    request["tool_choice"] = json!({ "type": "function", "function": { "name": name } });
    let (body, _) = sent(&request);
    let spec = &body["toolConfig"]["tools"][0]["toolSpec"];
    let sent_name = spec["name"].as_str().unwrap();
    assert!(sent_name.len() <= 64 && !sent_name.contains('.'));
    assert_eq!(body["toolConfig"]["toolChoice"]["tool"]["name"], json!(sent_name));
    assert!(!spec["description"].as_str().unwrap().is_empty());
}

#[test]
fn a_tool_is_not_forced_on_models_that_take_no_force() {
    let mut request = chat(&json!([{ "role": "user", "content": "a" }]));
    request["tools"] = json!([tool("f"), tool("g")]);
    request["tool_choice"] = json!({ "type": "function", "function": { "name": "f" } });
    for (model, choice) in [
        ("meta.llama3-1-70b-instruct-v1:0", json!({ "auto": {} })),
        ("mistral.mistral-large-2407-v1:0", json!({ "any": {} })),
    ] {
        let (body, lost) = sent_to(model, &request).unwrap();
        assert_eq!(body["toolConfig"]["toolChoice"], choice, "{model}");
        assert!(lost.contains(&"tool_choice".to_owned()));
    }
}

#[test]
fn thoughts_go_back_signed_and_only_to_models_that_know_them() {
    let thoughts = json!([{ "type": "thinking", "thinking": "hm", "signature": "c2ln+/==" }]);
    let history = json!([
        { "role": "user", "content": "a" },
        { "role": "assistant", "content": "b", "thinking_blocks": thoughts },
        { "role": "user", "content": "c" },
    ]);
    let (body, _) = sent(&chat(&history));
    let block = &body["messages"][1]["content"][0]["reasoningContent"]["reasoningText"];
    assert_eq!(block, &json!({ "text": "hm", "signature": "c2ln+/==" }));
    let (body, lost) = sent_to("us.amazon.nova-lite-v1:0", &chat(&history)).unwrap();
    assert_eq!(body["messages"][1]["content"], json!([{ "text": "b" }]));
    assert_eq!(lost, ["messages[1].thinking"]);
}

#[test]
fn a_document_has_words_beside_it_and_a_name_that_is_taken() {
    let file = |name: &str| json!({ "type": "file", "file": { "file_data": "data:application/pdf;base64,JVBERi0xLjQK", "filename": name } });
    let (body, _) = sent(&chat(
        &json!([{ "role": "user", "content": [file("a/b  c_d.pdf"), file("a/b  c_d.pdf"), file("")] }]),
    ));
    let content = body["messages"][0]["content"].as_array().unwrap();
    assert!(!content[0]["text"].as_str().unwrap().trim().is_empty());
    let names: Vec<&str> =
        content[1..].iter().map(|block| block["document"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["a b c d", "a b c d 2", "document"]);
    assert!(content[1..].iter().all(|block| block["document"]["format"] == "pdf"));
}

#[test]
fn an_image_by_url_is_refused_and_one_of_a_wrong_type_is_called_what_it_is() {
    let image = |url: &str| {
        chat(&json!([{ "role": "user", "content": [{ "type": "image_url", "image_url": { "url": url } }] }]))
    };
    assert!(refused(&image("https://example.com/a.png")).contains("messages[0].content[0]"));
    assert!(refused(&image("http://169.254.169.254/latest")).contains("base64"));
    let (body, _) = sent(&image("data:image/jpeg;base64,iVBORw0KGgoAAAANSUhEUg=="));
    assert_eq!(body["messages"][0]["content"][0]["image"]["format"], json!("png"));
}

#[test]
fn cache_points_follow_what_they_mark_and_are_four_at_most_and_none_for_others() {
    let marked =
        |text: &str| json!({ "type": "text", "text": text, "cache_control": { "type": "ephemeral" } });
    let content: Vec<Value> = (0..6).map(|number| marked(&number.to_string())).collect();
    let request = chat(&json!([{ "role": "user", "content": content }]));
    let points = |body: &Value| {
        let blocks = body["messages"][0]["content"].as_array().unwrap();
        blocks.iter().filter(|block| block.get("cachePoint").is_some()).count()
    };
    let (body, lost) = sent(&request);
    assert_eq!((points(&body), lost), (4, vec!["cache_control".to_owned()]));
    assert!(body["messages"][0]["content"].as_array().unwrap().last().unwrap().get("cachePoint").is_some());
    let (body, _) = sent_to("meta.llama3-1-70b-instruct-v1:0", &request).unwrap();
    assert_eq!(points(&body), 0);
}

#[test]
fn temperature_is_clamped_and_stands_alone_where_the_model_wants_one_of_two() {
    let mut request = chat(&json!([{ "role": "user", "content": "a" }]));
    request["temperature"] = json!(1.5);
    request["top_p"] = json!(0.5);
    let (body, lost) = sent(&request);
    assert_eq!(body["inferenceConfig"], json!({ "temperature": 1.0 }));
    assert_eq!(lost, ["temperature", "top_p"]);
    let (body, _) = sent_to("us.amazon.nova-lite-v1:0", &request).unwrap();
    assert_eq!(body["inferenceConfig"], json!({ "temperature": 1.0, "topP": 0.5 }));
}

#[test]
fn references_in_schemas_are_written_out_for_models_that_do_not_follow_them() {
    let schema = |inner: &Value| {
        let mut request = chat(&json!([{ "role": "user", "content": "a" }]));
        request["tools"] = json!([{ "type": "function", "function": { "name": "f", "parameters": {
            "type": "object", "properties": { "a": { "$ref": "#/$defs/A" } }, "$defs": { "A": inner } } } }]);
        request
    };
    let plain = schema(&json!({ "type": "string" }));
    let (body, _) = sent_to("us.amazon.nova-lite-v1:0", &plain).unwrap();
    let json = &body["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"];
    assert_eq!(json, &json!({ "type": "object", "properties": { "a": { "type": "string" } } }));
    let (body, _) = sent(&plain);
    assert!(body.to_string().contains("$ref"), "Claude follows them");
    let circle = schema(&json!({ "properties": { "a": { "$ref": "#/$defs/A" } } }));
    let error = sent_to("us.amazon.nova-lite-v1:0", &circle).expect_err("a circle").to_string();
    assert!(error.contains("tools[0].parameters"), "{error}");
    // Each definition means the one before it twice: thirty of them are a billion.
    let mut doubling = schema(&json!({ "type": "string" }));
    let definitions = doubling["tools"][0]["function"]["parameters"]["$defs"].as_object_mut().unwrap();
    for number in 0..30 {
        let inner = if number == 0 { "A".to_owned() } else { format!("D{}", number - 1) };
        let inner = json!({ "$ref": format!("#/$defs/{inner}") });
        definitions.insert(format!("D{number}"), json!({ "properties": { "l": inner, "r": inner } }));
    }
    doubling["tools"][0]["function"]["parameters"]["properties"]["a"] = json!({ "$ref": "#/$defs/D29" });
    assert!(sent_to("us.amazon.nova-lite-v1:0", &doubling).is_err());
}

#[test]
fn a_models_name_is_encoded_once_in_the_path() {
    let path = |model: &str, stream| dialect(HERE).path(model, stream).into_owned();
    assert_eq!(path("anthropic.claude-v1:0", false), "/model/anthropic.claude-v1%3A0/converse");
    assert_eq!(
        path("arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.a", true),
        "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A123456789012%3Ainference-profile%2Feu.a/converse-stream"
    );
}

#[test]
fn a_failed_result_stays_failed() {
    let request = json!({ "messages": [
        { "role": "user", "content": [{ "text": "a" }] },
        { "role": "assistant", "content": [{ "toolUse": { "toolUseId": "c", "name": "f", "input": {} } }] },
        { "role": "user", "content": [{ "toolResult": { "toolUseId": "c", "content": [{ "text": "no" }], "status": "error" } }] },
    ] });
    let read = dialect(HERE).read_request(request.to_string().as_bytes()).unwrap();
    let hints = TargetHints::unknown(CLAUDE);
    let written = dialect(HERE).write_request(&read, &hints, &mut Loss::default()).unwrap();
    let body: Value = serde_json::from_slice(&written.body).unwrap();
    assert_eq!(body["messages"][2], request["messages"][2]);
}

#[test]
fn several_answers_are_refused_and_never_silently_one() {
    let mut request = chat(&json!([{ "role": "user", "content": "a" }]));
    request["n"] = json!(2);
    assert!(refused(&request).contains("`n`"));
}

#[test]
fn what_a_coding_client_says_to_its_own_vendor_alone_is_left_out_and_named() {
    let body = json!({ "model": "m", "max_tokens": 9, "messages": [{ "role": "user", "content": "go" }],
        "context_management": { "edits": [{ "type": "clear_tool_uses_20250919" }] }, "container": "c",
        "tools": [{ "name": "a", "input_schema": { "type": "object" }, "eager_input_streaming": true, "type": "custom" }] });
    let request = dialect(DialectId::Anthropic).read_request(body.to_string().as_bytes()).unwrap();
    let mut loss = Loss::default();
    let hints = TargetHints::unknown("anthropic.claude-sonnet-4-5-20250929-v1:0");
    let written = dialect(DialectId::Bedrock).write_request(&request, &hints, &mut loss).unwrap();
    let sent = String::from_utf8(written.body).unwrap();
    for field in ["context_management", "eager_input_streaming", "container", "custom"] {
        assert!(!sent.contains(field), "{field}: {sent}");
    }
    let named: Vec<&str> = loss.items().collect();
    for field in ["context_management", "container", "eager_input_streaming"] {
        assert!(named.iter().any(|item| item.contains(field)), "{field}: {named:?}");
    }
}
