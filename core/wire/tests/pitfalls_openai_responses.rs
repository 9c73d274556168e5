//! What goes wrong between Responses and everybody else, each with what is done about it.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests may")]

mod support;

use gatelet_wire::chat::{Content, Request, Response, Stop};
use gatelet_wire::dialect::Reading;
use gatelet_wire::{
    DialectId, EncoderOptions, ErrorKind, Event, Loss, Malformed, TargetHints, UpstreamError,
};
use serde_json::{Value, json};
use support::{decode, dialect, encode, fixtures};

const HERE: DialectId = DialectId::OpenaiResponses;

fn read(body: &Value) -> Request {
    dialect(HERE).read_request(body.to_string().as_bytes()).expect("readable")
}

/// A request of this dialect as it is written for another, and what was lost.
fn sent(to: DialectId, body: &Value) -> Result<(Value, Vec<String>), Malformed> {
    let mut hints = TargetHints::unknown("target");
    hints.max_output_tokens = Some(64_000);
    let mut loss = Loss::default();
    let written = dialect(to).write_request(&read(body), &hints, &mut loss)?;
    Ok((serde_json::from_slice(&written.body).unwrap(), loss.items().map(str::to_owned).collect()))
}

/// A request of another dialect as it is written for this one.
fn written(from: DialectId, body: &Value) -> Result<(Value, Vec<String>), Malformed> {
    let request = dialect(from).read_request(body.to_string().as_bytes()).expect("readable");
    let mut loss = Loss::default();
    let written = dialect(HERE).write_request(&request, &TargetHints::unknown("gpt-5"), &mut loss)?;
    Ok((serde_json::from_slice(&written.body).unwrap(), loss.items().map(str::to_owned).collect()))
}

fn chat(messages: &Value) -> Value {
    json!({ "model": "m", "messages": messages })
}

fn whole(body: &Value) -> Result<Response, Malformed> {
    dialect(HERE).read_response(body.to_string().as_bytes(), Reading::default())
}

/// An answer of these items with a usage.
fn answer(output: &Value) -> Value {
    json!({ "id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "gpt-5", "output": output,
        "usage": { "input_tokens": 10, "output_tokens": 5, "total_tokens": 15 } })
}

fn stream(events: &[Value]) -> (Vec<Event>, Option<Malformed>) {
    let frame =
        |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default());
    let text: String = events.iter().map(frame).collect();
    decode(dialect(HERE), Reading::default(), [text.as_bytes()])
}

fn fixture(from: DialectId, case: &str) -> Vec<Event> {
    let fixtures = fixtures(from, "stream");
    let fixture = fixtures.iter().find(|fixture| fixture.case == case).expect("the fixture is there");
    decode(dialect(from), Reading::default(), [fixture.bytes.as_slice()]).0
}

/// The events of this dialect for those of any.
fn events(of: &[Event]) -> Vec<Value> {
    let options = EncoderOptions { usage: true, created: 1, ..EncoderOptions::default() };
    let (text, _) = encode(&mut *dialect(HERE).encoder(options), of);
    let frames = text.split("\n\n").filter(|frame| frame.contains("data: "));
    frames
        .map(|frame| {
            let (name, data) = frame.split_once("\ndata: ").expect("a name and its data");
            let event: Value = serde_json::from_str(data).expect("JSON");
            assert_eq!(name, format!("event: {}", event["type"].as_str().unwrap()), "named as it says");
            event
        })
        .collect()
}

fn error(of: &[Event]) -> UpstreamError {
    let found = of.iter().find_map(|event| if let Event::Error(error) = event { Some(error) } else { None });
    found.expect("an error").clone()
}

/// The streams of other dialects that end well; those of this one pass as they are.
fn good() -> impl Iterator<Item = (DialectId, String, Vec<Event>)> {
    DialectId::ALL.iter().copied().filter(|from| *from != HERE).flat_map(|from| {
        fixtures(from, "stream").into_iter().filter_map(move |fixture| {
            let (events, _) = decode(dialect(from), Reading::default(), [fixture.bytes.as_slice()]);
            (events.last() == Some(&Event::End)).then_some((from, fixture.case, events))
        })
    })
}

#[test]
fn a_synthesised_stream_is_complete_numbered_and_every_item_has_an_id_and_an_end() {
    let mut streams = 0;
    for (from, case, of) in good() {
        let (name, events) = (format!("{}/{case}", from.name()), events(&of));
        let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert_eq!(kinds[..2], ["response.created", "response.in_progress"], "{name}");
        let last = events.last().unwrap();
        assert!(["response.completed", "response.incomplete"].contains(kinds.last().unwrap()), "{name}");
        for (nth, event) in events.iter().enumerate() {
            assert_eq!(event["sequence_number"], json!(nth), "{name}: {event}");
        }
        // What is added is done, under the same id and in the same place, and is what the last event repeats.
        let done: Vec<&Value> =
            events.iter().filter(|event| event["type"] == "response.output_item.done").collect();
        let mut open: Option<&Value> = None;
        let mut added = 0;
        for event in &events {
            match event["type"].as_str().unwrap() {
                "response.output_item.added" => {
                    assert_eq!(event["output_index"], json!(added), "{name}");
                    assert!(open.replace(event).is_none(), "{name}: two items are open at a time");
                    assert!(!event["item"]["id"].as_str().unwrap_or_default().is_empty(), "{name}: {event}");
                    added += 1;
                }
                "response.output_item.done" => {
                    let begun = open.take().expect("an item is open");
                    assert_eq!(event["item"]["id"], begun["item"]["id"], "{name}");
                    assert_eq!(event["output_index"], begun["output_index"], "{name}");
                }
                _ => {
                    if let (Some(id), Some(begun)) = (event.get("item_id"), open) {
                        assert_eq!(*id, begun["item"]["id"], "{name}: {event}");
                    }
                }
            }
        }
        assert!(open.is_none(), "{name}: an item has no end");
        let items: Vec<&Value> = done.iter().map(|event| &event["item"]).collect();
        let output: Vec<&Value> = last["response"]["output"].as_array().unwrap().iter().collect();
        assert_eq!(items, output, "{name}");
        streams += 1;
    }
    assert!(streams > 60, "only {streams} streams");
}

#[test]
fn every_delta_is_gathered_in_the_done_event_of_its_part() {
    for (from, case, of) in good() {
        let mut said = String::new();
        for event in events(&of) {
            let kind = event["type"].as_str().unwrap();
            let (word, field) = match kind.rsplit_once('.').unwrap() {
                (_, "delta") => {
                    said.push_str(event["delta"].as_str().unwrap());
                    continue;
                }
                ("response.output_text", "done") => ("output_text", "text"),
                ("response.refusal", "done") => ("refusal", "refusal"),
                ("response.function_call_arguments", "done") => ("function_call_arguments", "arguments"),
                ("response.custom_tool_call_input", "done") => ("custom_tool_call_input", "input"),
                ("response.reasoning_summary_text", "done") => ("reasoning_summary_text", "text"),
                _ => continue,
            };
            let told = event[field].as_str().expect(word);
            assert_eq!(told, std::mem::take(&mut said), "{}/{case}: {word}", from.name());
        }
    }
}

#[test]
fn an_output_index_is_no_index_of_a_call() {
    // The first item is a message: the calls after it count from zero all the same.
    let events = fixture(HERE, "tools_parallel");
    let (text, _) = encode(&mut *dialect(DialectId::Openai).encoder(EncoderOptions::default()), &events);
    let chunks = text.split("\n\n").filter_map(|frame| frame.strip_prefix("data: {"));
    let mut indexes = Vec::new();
    for chunk in chunks {
        let chunk: Value = serde_json::from_str(&format!("{{{chunk}")).unwrap();
        let calls = chunk["choices"][0]["delta"]["tool_calls"].as_array().cloned().unwrap_or_default();
        indexes.extend(calls.iter().filter(|call| call["id"].is_string()).map(|call| call["index"].clone()));
    }
    assert_eq!(indexes, [json!(0), json!(1), json!(2)]);
}

#[test]
fn padding_and_unknown_events_never_reach_other_dialects() {
    for case in ["text", "unknown_events"] {
        let events = fixture(HERE, case);
        for to in DialectId::ALL.iter().copied().filter(|to| *to != HERE) {
            let (bytes, _) = support::encode_bytes(&mut *dialect(to).encoder(support::options()), &events);
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains("obfuscation"), "{case} to {}: {text}", to.name());
            assert!(!text.contains("response.some"), "{case} to {}: {text}", to.name());
        }
    }
}

#[test]
fn an_answer_that_is_only_promised_is_never_taken_for_a_complete_one() {
    for word in ["queued", "in_progress"] {
        let body = json!({ "id": "resp_1", "object": "response", "created_at": 1, "status": word, "background": true,
            "model": "gpt-5", "output": [], "usage": null });
        let read = whole(&body).unwrap();
        assert_eq!(read.choices[0].stop, Some(Stop::Other(word.to_owned())));
        assert_eq!(read.usage.total(), 0);
        let again: Value =
            serde_json::from_slice(&dialect(HERE).write_response(&read, &mut Loss::default())).unwrap();
        assert_eq!((&again["status"], &again["id"]), (&json!(word), &json!("resp_1")));
        // Who has no word for it is told at least that something is missing.
        let mut loss = Loss::default();
        dialect(DialectId::Openai).write_response(&read, &mut loss);
        assert!(!loss.is_empty());
    }
    for word in ["failed", "cancelled"] {
        let body =
            json!({ "id": "resp_1", "object": "response", "status": word, "model": "gpt-5", "output": [] });
        assert!(matches!(whole(&body), Err(Malformed::Field { ref path, .. }) if path == "status"), "{word}");
    }
}

#[test]
fn a_failure_inside_a_200_is_an_error_with_the_kind_and_status_of_its_code() {
    let failed = |code: &str| {
        stream(&[json!({ "type": "response.failed", "sequence_number": 0, "response": { "id": "r", "status": "failed",
            "error": { "code": code, "message": "no" }, "output": [] } })])
        .0
    };
    for (code, kind, status) in [
        ("server_error", ErrorKind::Api, 500),
        ("rate_limit_exceeded", ErrorKind::RateLimit, 429),
        ("invalid_prompt", ErrorKind::InvalidRequest, 400),
        ("vector_store_timeout", ErrorKind::Timeout, 504),
        ("context_length_exceeded", ErrorKind::InvalidRequest, 400),
    ] {
        let found = error(&failed(code));
        assert_eq!((found.kind, found.status), (kind, status), "{code}: {found:?}");
    }
    // The flat event, and the one with an object inside.
    for body in [
        json!({ "type": "error", "code": "rate_limit_exceeded", "message": "slow", "param": null }),
        json!({ "type": "error", "error": { "code": "rate_limit_exceeded", "message": "slow", "type": "requests" } }),
    ] {
        let found = error(&stream(&[body]).0);
        assert_eq!((found.kind, found.message.as_str()), (ErrorKind::RateLimit, "slow"));
    }
    let body = json!({ "id": "r", "status": "failed", "error": { "code": "server_error", "message": "no" }, "output": [] });
    let hidden = dialect(HERE).hidden_error(body.to_string().as_bytes()).expect("an error");
    assert_eq!(hidden.kind, ErrorKind::Api);
}

#[test]
fn a_stream_that_breaks_off_is_an_error_and_makes_no_ending() {
    let (events, error) = {
        let fixtures = fixtures(HERE, "stream");
        let cut = fixtures.iter().find(|fixture| fixture.case == "cut_in_the_middle").unwrap();
        decode(dialect(HERE), Reading::default(), [cut.bytes.as_slice()])
    };
    assert!(error.is_some());
    assert!(!events.contains(&Event::End));
    let written = self::events(&events);
    let last = written.last().unwrap()["type"].as_str().unwrap();
    assert!(!last.starts_with("response.completed"), "{last}");
}

#[test]
fn input_holds_what_was_cached_and_output_what_was_thought_and_each_counts_once() {
    let mut body = answer(&json!([]));
    body["usage"] = json!({ "input_tokens": 1000, "input_tokens_details": { "cached_tokens": 300, "cache_write_tokens": 200 },
        "output_tokens": 50, "output_tokens_details": { "reasoning_tokens": 20 }, "total_tokens": 1050 });
    let usage = whole(&body).unwrap().usage;
    assert_eq!((usage.input, usage.cache_read), (500, 300));
    assert_eq!((usage.input_total(), usage.output_total(), usage.total()), (1000, 50, 1050));
    let again = dialect(HERE).write_response(&whole(&body).unwrap(), &mut Loss::default());
    let again: Value = serde_json::from_slice(&again).unwrap();
    for field in ["input_tokens", "output_tokens", "total_tokens"] {
        assert_eq!(again["usage"][field], body["usage"][field], "{field}");
    }
    // More cached than read: never a negative rest.
    body["usage"]["input_tokens"] = json!(100);
    assert_eq!(whole(&body).unwrap().usage.input, 0);
}

#[test]
fn searches_of_the_vendors_own_tools_are_counted() {
    let mut body = answer(&json!([{ "type": "web_search_call", "id": "ws_1", "status": "completed" }]));
    body["tool_usage"] = json!({ "web_search": { "num_requests": 3 } });
    assert_eq!(whole(&body).unwrap().usage.web_searches, 3);
}

#[test]
fn what_the_vendors_own_tools_did_is_no_call_of_the_client_and_is_kept_for_replay() {
    let call = json!({ "type": "web_search_call", "id": "ws_1", "status": "completed", "action": { "type": "search", "query": "x" } });
    let said = json!({ "type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
        "content": [{ "type": "output_text", "text": "Found.", "annotations": [] }] });
    let read = whole(&answer(&json!([call, said]))).unwrap();
    assert_eq!(read.choices[0].stop, Some(Stop::EndTurn), "nobody is to run anything");
    let chat = dialect(DialectId::Openai).write_response(&read, &mut Loss::default());
    assert!(!String::from_utf8(chat).unwrap().contains("tool_calls\":["));
    let request = json!({ "model": "m", "input": [{ "role": "user", "content": "Search." }, call, said] });
    let (again, _) = sent(HERE, &request).unwrap();
    assert_eq!(again["input"][1], call);
}

#[test]
fn a_picture_in_the_history_that_is_no_base64_is_refused_at_its_place() {
    for result in ["iVBORw0KGgo", "iVBORw0KGgo=", "!!!", "iVBORw0KGgoA1"] {
        let body = json!({ "model": "m", "input": [
            { "role": "user", "content": "Draw." },
            { "type": "image_generation_call", "id": "ig_1", "status": "completed", "result": result, "output_format": "png" },
            { "role": "user", "content": "Bigger." },
        ] });
        match dialect(HERE).read_request(body.to_string().as_bytes()) {
            // Padding may be left out.
            Ok(request) => assert!(result.len() >= 11 && request.messages.len() == 3, "{result}"),
            Err(error) => assert!(
                matches!(&error, Malformed::Field { path, .. } if path == "input[1].result"),
                "{result}: {error}"
            ),
        }
    }
}

#[test]
fn a_call_without_arguments_has_the_empty_object_and_free_text_stays_text() {
    let request = json!({ "model": "m", "input": [
        { "type": "function_call", "call_id": "c1", "name": "ping", "arguments": "" },
        { "type": "function_call_output", "call_id": "c1", "output": "pong" },
        { "type": "custom_tool_call", "call_id": "c2", "name": "shell", "input": "" },
        { "type": "custom_tool_call_output", "call_id": "c2", "output": "done" },
    ] });
    let (again, _) = sent(HERE, &request).unwrap();
    assert_eq!(again["input"][0]["arguments"], "{}");
    assert_eq!(
        (&again["input"][2]["type"], &again["input"][2]["input"]),
        (&json!("custom_tool_call"), &json!(""))
    );
    assert_eq!(again["input"][3]["type"], "custom_tool_call_output");
}

#[test]
fn several_objects_run_together_as_arguments_are_refused_where_an_object_is_needed() {
    let request = json!({ "model": "m", "max_output_tokens": 9, "input": [
        { "role": "user", "content": "go" },
        { "type": "function_call", "call_id": "c1", "name": "a", "arguments": "{\"a\":1}{\"b\":2}" },
        { "type": "function_call_output", "call_id": "c1", "output": "ok" },
    ] });
    for to in [DialectId::Anthropic, DialectId::Gemini, DialectId::Bedrock] {
        let refused = sent(to, &request).unwrap_err();
        assert!(matches!(&refused, Malformed::Field { path, .. } if path.contains("messages")), "{refused}");
    }
    assert_eq!(
        sent(DialectId::Openai, &request).unwrap().0["messages"][1]["tool_calls"][0]["function"]["arguments"],
        "{\"a\":1}{\"b\":2}"
    );
}

#[test]
fn a_call_without_its_result_and_a_result_without_its_call_are_refused_with_their_place() {
    let alone = json!({ "model": "m", "max_output_tokens": 9, "input": [
        { "role": "user", "content": "go" },
        { "type": "function_call", "call_id": "c1", "name": "a", "arguments": "{}" },
        { "role": "user", "content": "never mind" },
    ] });
    for to in [DialectId::Anthropic, DialectId::Gemini, DialectId::Bedrock] {
        assert!(matches!(sent(to, &alone), Err(Malformed::Field { .. })), "{}", to.name());
    }
}

#[test]
fn ids_of_calls_that_are_too_long_are_shortened_always_the_same_and_meet_their_results() {
    let long = "c".repeat(80);
    let other = format!("{}d", "c".repeat(79));
    let messages = json!([
        { "role": "assistant", "content": null, "tool_calls": [
            { "id": long, "type": "function", "function": { "name": "a", "arguments": "{}" } },
            { "id": other, "type": "function", "function": { "name": "a", "arguments": "{}" } },
        ] },
        { "role": "tool", "tool_call_id": long, "content": "1" },
        { "role": "tool", "tool_call_id": other, "content": "2" },
    ]);
    let (body, _) = written(DialectId::Openai, &chat(&messages)).unwrap();
    let ids: Vec<&str> =
        body["input"].as_array().unwrap().iter().filter_map(|item| item["call_id"].as_str()).collect();
    assert_eq!(ids.len(), 4);
    assert_eq!((ids[0], ids[1]), (ids[2], ids[3]));
    assert_ne!(ids[0], ids[1]);
    assert!(ids.iter().all(|id| id.len() <= 64), "{ids:?}");
    assert_eq!(written(DialectId::Openai, &chat(&messages)).unwrap().0, body);
    // Items have no ids of their own, whose prefix the vendor would judge.
    assert!(body["input"].as_array().unwrap().iter().all(|item| item.get("id").is_none()), "{body}");
}

#[test]
fn the_proof_of_a_thought_survives_a_round_trip_through_chat_byte_for_byte_and_stands_before_its_item() {
    let thought = json!({ "type": "reasoning", "id": "rs_1", "summary": [{ "type": "summary_text", "text": "Hm." }],
        "encrypted_content": "gAAAA+/=\u{e9}" });
    let call = json!({ "type": "function_call", "id": "fc_1", "call_id": "c1", "name": "a", "arguments": "{}", "status": "completed" });
    let read = whole(&answer(&json!([thought, call]))).unwrap();
    let message = dialect(DialectId::Openai).write_response(&read, &mut Loss::default());
    let message: Value = serde_json::from_slice(&message).unwrap();
    let turns = json!([
        { "role": "user", "content": "go" }, message["choices"][0]["message"],
        { "role": "tool", "tool_call_id": "c1", "content": "ok" },
    ]);
    let (body, loss) = written(DialectId::Openai, &chat(&turns)).unwrap();
    let at =
        |kind: &str| body["input"].as_array().unwrap().iter().position(|item| item["type"] == kind).unwrap();
    assert_eq!(at("reasoning") + 1, at("function_call"), "{body}");
    let item = &body["input"][at("reasoning")];
    assert_eq!((&item["id"], &item["encrypted_content"]), (&thought["id"], &thought["encrypted_content"]));
    assert_eq!(item["summary"], thought["summary"]);
    assert!(item.get("status").is_none(), "some hosts refuse a status there");
    assert_eq!(loss, [] as [&str; 0]);
}

#[test]
fn a_thought_that_nothing_came_of_and_one_of_another_provider_are_left_out_and_named() {
    let stale = json!({ "model": "m", "input": [
        { "role": "user", "content": "go" },
        { "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA" },
        { "role": "user", "content": "never mind" },
    ] });
    let (body, loss) = sent(HERE, &stale).unwrap();
    assert!(!body.to_string().contains("rs_1"), "{body}");
    assert_eq!(loss, ["messages.*.reasoning"]);
    let foreign = json!({ "model": "m", "max_tokens": 9, "messages": [
        { "role": "user", "content": "go" },
        { "role": "assistant", "content": [{ "type": "thinking", "thinking": "Hm.", "signature": "Eq==" }, { "type": "text", "text": "So." }] },
        { "role": "user", "content": "on" },
    ] });
    let (body, loss) = written(DialectId::Anthropic, &foreign).unwrap();
    assert!(!body.to_string().contains("Hm."), "never passed off as words: {body}");
    assert_eq!(loss, ["messages.*.reasoning"]);
}

#[test]
fn a_thought_without_words_still_has_its_list_of_summaries() {
    let request = json!({ "model": "m", "input": [
        { "role": "user", "content": "go" },
        { "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA" },
        { "type": "message", "role": "assistant", "content": [{ "type": "output_text", "text": "So." }] },
        { "role": "user", "content": "on" },
    ] });
    let (body, _) = sent(HERE, &request).unwrap();
    assert_eq!(
        body["input"][1],
        json!({ "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA" })
    );
}

#[test]
fn what_only_the_vendors_store_could_resolve_is_refused_and_never_left_out() {
    for (field, value) in [
        ("previous_response_id", json!("resp_1")),
        ("conversation", json!({ "id": "conv_1" })),
        ("prompt", json!({ "id": "pmpt_1" })),
        ("input", json!([{ "type": "item_reference", "id": "msg_1" }])),
        ("input", json!([{ "type": "compaction", "encrypted_content": "secret" }])),
    ] {
        let mut body = json!({ "model": "m", "input": "hi" });
        body[field] = value;
        let refused = dialect(HERE).read_request(body.to_string().as_bytes()).unwrap_err();
        assert!(
            matches!(&refused, Malformed::Field { path, .. } if path.starts_with(field)),
            "{field}: {refused}"
        );
    }
}

#[test]
fn the_vendors_own_tools_are_dropped_for_others_with_the_choice_that_would_dangle() {
    for own in ["web_search", "namespace", "shell", "mcp", "code_interpreter"] {
        let request = json!({ "model": "m", "max_output_tokens": 9, "input": "go", "tools": [{ "type": own }], "tool_choice": { "type": own } });
        for to in DialectId::ALL.iter().copied().filter(|to| *to != HERE) {
            let (body, loss) = sent(to, &request).unwrap();
            assert!(!body.to_string().contains(own), "{own} to {}: {body}", to.name());
            for word in ["tool_choice", "toolConfig", "tool_config", "toolChoice"] {
                assert!(body.get(word).is_none(), "{own} to {}: {body}", to.name());
            }
            assert!(loss.iter().any(|item| item.contains("tool")), "{own} to {}: {loss:?}", to.name());
        }
    }
    // One that must be called, of which none is left.
    let request = json!({ "model": "m", "input": "go", "tools": [{ "type": "web_search" }], "tool_choice": "required" });
    let (body, _) = sent(DialectId::Openai, &request).unwrap();
    assert!(body.get("tool_choice").is_none(), "{body}");
}

#[test]
fn a_custom_tool_reaches_those_who_know_only_functions_as_one_of_a_single_text() {
    let request = json!({ "model": "m", "max_output_tokens": 9, "input": "go",
        "tools": [{ "type": "custom", "name": "shell", "description": "Runs." }] });
    for to in
        [DialectId::Anthropic, DialectId::Gemini, DialectId::Bedrock, DialectId::Cohere, DialectId::Ollama]
    {
        match sent(to, &request) {
            Ok((body, loss)) => {
                assert!(
                    body.to_string().contains("shell") || loss.contains(&"tools".to_owned()),
                    "{}: {body} {loss:?}",
                    to.name()
                );
            }
            Err(error) => assert!(matches!(error, Malformed::Field { .. }), "{}: {error}", to.name()),
        }
    }
}

#[test]
fn a_refusal_stays_a_refusal_and_a_filtered_answer_says_why_it_is_short() {
    let refusal = json!([{ "type": "message", "id": "m", "role": "assistant", "status": "completed",
        "content": [{ "type": "refusal", "refusal": "I will not." }] }]);
    let read = whole(&answer(&refusal)).unwrap();
    assert!(matches!(&read.choices[0].parts[0].content, Content::Refusal { text } if text == "I will not."));
    let chat = dialect(DialectId::Openai).write_response(&read, &mut Loss::default());
    let chat: Value = serde_json::from_slice(&chat).unwrap();
    assert_eq!(chat["choices"][0]["message"]["refusal"], "I will not.");
    assert_eq!(chat["choices"][0]["message"]["content"], Value::Null);
    for (reason, stop) in [("content_filter", Stop::Refusal), ("max_output_tokens", Stop::MaxTokens)] {
        let mut body = answer(&json!([]));
        body["status"] = json!("incomplete");
        body["incomplete_details"] = json!({ "reason": reason });
        assert_eq!(whole(&body).unwrap().choices[0].stop, Some(stop.clone()));
        let again = dialect(HERE).write_response(&whole(&body).unwrap(), &mut Loss::default());
        let again: Value = serde_json::from_slice(&again).unwrap();
        assert_eq!(
            (&again["status"], &again["incomplete_details"]["reason"]),
            (&json!("incomplete"), &json!(reason))
        );
    }
}

#[test]
fn calls_beside_an_end_mean_the_calls() {
    let call = json!([{ "type": "function_call", "id": "fc", "call_id": "c", "name": "a", "arguments": "{}", "status": "completed" }]);
    assert_eq!(whole(&answer(&call)).unwrap().choices[0].stop, Some(Stop::ToolUse));
}

#[test]
fn several_answers_are_refused_and_never_silently_one() {
    let mut body = chat(&json!([{ "role": "user", "content": "hi" }]));
    body["n"] = json!(2);
    assert!(
        matches!(written(DialectId::Openai, &body), Err(Malformed::Field { ref path, .. }) if path == "n")
    );
}

#[test]
fn what_this_dialect_has_no_field_for_is_left_out_and_named() {
    let mut body = chat(&json!([{ "role": "user", "name": "ann", "content": "hi" }]));
    for (field, value) in [
        ("stop", json!(["END"])),
        ("seed", json!(7)),
        ("frequency_penalty", json!(0.5)),
        ("presence_penalty", json!(0.5)),
        ("logit_bias", json!({ "1": 2 })),
    ] {
        body[field] = value;
    }
    let (sent, loss) = written(DialectId::Openai, &body).unwrap();
    for field in ["stop", "seed", "frequency_penalty", "presence_penalty", "logit_bias"] {
        assert!(sent.get(field).is_none(), "{field}");
        assert!(loss.iter().any(|item| item == field), "{field}: {loss:?}");
    }
    assert!(loss.iter().any(|item| item == "messages.*.name"), "{loss:?}");
}

#[test]
fn the_cap_is_renamed_and_a_schema_for_the_answer_is_flat_here() {
    let mut body = chat(&json!([{ "role": "user", "content": "hi" }]));
    body["max_completion_tokens"] = json!(77);
    body["response_format"] = json!({ "type": "json_schema", "json_schema": { "name": "city", "strict": true, "schema": { "type": "object", "properties": {}, "additionalProperties": false } } });
    let (sent, _) = written(DialectId::Openai, &body).unwrap();
    assert_eq!(sent["max_output_tokens"], 77);
    assert!(sent.get("max_completion_tokens").is_none() && sent.get("response_format").is_none(), "{sent}");
    assert_eq!(sent["text"]["format"]["name"], "city");
    assert_eq!(sent["text"]["format"]["strict"], true);
    assert!(sent["text"]["format"]["schema"].is_object());
    // What is left out of a tool means `true` here and `false` there.
    body["tools"] = json!([{ "type": "function", "function": { "name": "a" } }]);
    let (sent, _) = written(DialectId::Openai, &body).unwrap();
    assert_eq!(sent["tools"][0]["strict"], false);
    assert_eq!(sent["tools"][0]["parameters"], json!({ "type": "object", "properties": {} }));
}

#[test]
fn a_failed_result_stays_failed() {
    let body = json!({ "model": "m", "max_tokens": 9, "messages": [
        { "role": "user", "content": "go" },
        { "role": "assistant", "content": [{ "type": "tool_use", "id": "c", "name": "a", "input": {} }] },
        { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "c", "is_error": true, "content": "broken" }] },
    ] });
    let (sent, _) = written(DialectId::Anthropic, &body).unwrap();
    assert_eq!(sent["input"][2]["output"], "Error: broken");
}

#[test]
fn what_reasoning_is_asked_for_besides_stays_here_and_is_named_elsewhere() {
    let body =
        json!({ "model": "m", "input": "hi", "reasoning": { "effort": "low", "context": "all_turns" } });
    let (sent, nothing) = written(DialectId::OpenaiResponses, &body).unwrap();
    assert_eq!(sent["reasoning"], json!({ "effort": "low", "context": "all_turns" }));
    assert_eq!(nothing, Vec::<String>::new());
    let alone = json!({ "model": "m", "input": "hi", "reasoning": { "context": "all_turns" } });
    let (sent, _) = written(DialectId::OpenaiResponses, &alone).unwrap();
    assert_eq!(sent["reasoning"], json!({ "context": "all_turns" }));
    let read = DialectId::OpenaiResponses.dialect().read_request(body.to_string().as_bytes()).unwrap();
    let mut loss = Loss::default();
    let hints = TargetHints::unknown("m");
    DialectId::Anthropic.dialect().write_request(&read, &hints, &mut loss).unwrap();
    assert!(loss.items().any(|item| item == "reasoning.context"), "{loss:?}");
}

#[test]
fn an_assistants_turn_before_its_answer_is_items_in_their_order() {
    let turns = json!([
        { "role": "user", "content": "go" },
        { "role": "assistant", "content": "Let me look.", "tool_calls": [{ "id": "c", "type": "function", "function": { "name": "a", "arguments": "{}" } }] },
        { "role": "tool", "tool_call_id": "c", "content": "ok" },
        { "role": "user", "content": "and?" },
    ]);
    let (sent, _) = written(DialectId::Openai, &chat(&turns)).unwrap();
    let kinds: Vec<&str> =
        sent["input"].as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["message", "message", "function_call", "function_call_output", "message"]);
    // And an assistant that only called has no empty message before its call.
    let mut silent = turns;
    silent[1]["content"] = json!("");
    let (sent, _) = written(DialectId::Openai, &chat(&silent)).unwrap();
    assert_eq!(sent["input"][1]["type"], "function_call", "{sent}");
}

#[test]
fn a_system_message_in_the_middle_stays_there_and_one_that_stands_alone_is_no_instruction() {
    let turns = json!([
        { "role": "system", "content": "first" }, { "role": "user", "content": "hi" },
        { "role": "system", "content": "later" }, { "role": "user", "content": "on" },
    ]);
    let (sent, _) = written(DialectId::Openai, &chat(&turns)).unwrap();
    assert_eq!(sent["instructions"], "first");
    assert_eq!(
        (&sent["input"][1]["role"], &sent["input"][1]["content"]),
        (&json!("system"), &json!("later"))
    );
    // The vendor refuses an empty input.
    let (sent, _) =
        written(DialectId::Openai, &chat(&json!([{ "role": "system", "content": "only" }]))).unwrap();
    assert_eq!(sent["input"][0]["role"], "system");
    assert!(sent.get("instructions").is_none(), "{sent}");
}

#[test]
fn files_come_with_or_without_a_data_prefix_and_are_written_with_one() {
    let pdf = "JVBERi0xLjQK";
    let mut bodies = Vec::new();
    for data in [
        pdf.to_owned(),
        format!("data:application/pdf;base64,{pdf}"),
        format!("DATA:application/PDF;name=a.pdf;base64,{pdf}"),
    ] {
        let part = json!({ "type": "file", "file": { "filename": "a.pdf", "file_data": data } });
        let (sent, _) =
            written(DialectId::Openai, &chat(&json!([{ "role": "user", "content": [part] }]))).unwrap();
        bodies.push(sent["input"][0]["content"][0].clone());
    }
    for body in bodies {
        assert_eq!(body["type"], "input_file");
        assert_eq!(body["file_data"], format!("data:application/pdf;base64,{pdf}"), "{body}");
        assert_eq!(body["filename"], "a.pdf");
    }
}

#[test]
fn places_of_citations_count_characters_of_the_text_that_they_stand_in() {
    let text = "Zürich 👋 is cold.";
    let note = json!({ "type": "url_citation", "start_index": 7, "end_index": 8, "url": "https://e.example", "title": "E" });
    let said = json!([{ "type": "message", "id": "m", "role": "assistant", "status": "completed",
        "content": [{ "type": "output_text", "text": text, "annotations": [note] }] }]);
    let read = whole(&answer(&said)).unwrap();
    let again = dialect(HERE).write_response(&read, &mut Loss::default());
    let again: Value = serde_json::from_slice(&again).unwrap();
    let kept = &again["output"][0]["content"][0]["annotations"][0];
    assert_eq!((&kept["start_index"], &kept["end_index"]), (&json!(7), &json!(8)), "{again}");
    let gemini = dialect(DialectId::Gemini).write_response(&read, &mut Loss::default());
    let gemini: Value = serde_json::from_slice(&gemini).unwrap();
    let place = &gemini["candidates"][0]["groundingMetadata"]["groundingSupports"][0]["segment"];
    if !place.is_null() {
        // There bytes are counted: the wave is four of them, behind seven characters of eight bytes.
        assert_eq!((&place["startIndex"], &place["endIndex"]), (&json!(8), &json!(12)), "{gemini}");
    }
}

#[test]
fn names_of_tools_that_are_too_long_are_shortened_everywhere_and_restored() {
    let long = format!("{}.tool/of many", "a".repeat(70));
    let mut body = chat(&json!([{ "role": "user", "content": "go" }]));
    body["tools"] = json!([{ "type": "function", "function": { "name": long } }]);
    body["tool_choice"] = json!({ "type": "function", "function": { "name": long } });
    let request = dialect(DialectId::Openai).read_request(body.to_string().as_bytes()).unwrap();
    let written =
        dialect(HERE).write_request(&request, &TargetHints::unknown("gpt-5"), &mut Loss::default()).unwrap();
    let sent: Value = serde_json::from_slice(&written.body).unwrap();
    let short = sent["tools"][0]["name"].as_str().unwrap();
    assert!(
        short.len() <= 64 && short.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)),
        "{short}"
    );
    assert_eq!(sent["tool_choice"]["name"], short);
    let call = json!([{ "type": "function_call", "id": "f", "call_id": "c", "name": short, "arguments": "{}", "status": "completed" }]);
    let mut read = whole(&answer(&call)).unwrap();
    written.restore.response(&mut read);
    assert!(matches!(&read.choices[0].parts[0].content, Content::ToolCall(call) if call.name == long));
}
