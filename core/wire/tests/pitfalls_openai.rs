//! What goes wrong with the many speakers of Chat Completions, each with what is done about it.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests may")]

mod support;

use gatelet_wire::chat::{Content, Part, Response, Stop};
use gatelet_wire::dialect::Reading;
use gatelet_wire::event::{Delta, PartKind};
use gatelet_wire::fold::fold;
use gatelet_wire::{
    DialectId, EncoderOptions, ErrorKind, Event, Loss, Malformed, Restore, TargetHints, Usage,
};
use serde_json::{Value, json};
use support::{decode, dialect, encode, fixtures};

const HERE: DialectId = DialectId::Openai;

fn stream(case: &str) -> (Vec<Event>, Option<Malformed>) {
    let fixtures = fixtures(HERE, "stream");
    let fixture = fixtures.iter().find(|fixture| fixture.case == case).expect("the fixture is there");
    decode(dialect(HERE), Reading::default(), [fixture.bytes.as_slice()])
}

fn answer(case: &str) -> Response {
    let (events, error) = stream(case);
    assert_eq!(error, None);
    assert_eq!(events.last(), Some(&Event::End));
    fold(&events)
}

/// Name and arguments of the calls, in their order.
fn calls(response: &Response) -> Vec<(&str, &str, &str)> {
    let parts = &response.choices[0].parts;
    let call = |part: &'_ Part| matches!(part.content, Content::ToolCall(_));
    parts
        .iter()
        .filter(|part| call(part))
        .map(|part| match &part.content {
            Content::ToolCall(call) => (call.id.as_str(), call.name.as_str(), call.arguments.as_str()),
            _ => unreachable!(),
        })
        .collect()
}

fn text(response: &Response) -> String {
    let texts = response.choices[0].parts.iter().filter_map(|part| match &part.content {
        Content::Text { text, .. } => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

fn stop(response: &Response) -> Option<&Stop> {
    response.choices[0].stop.as_ref()
}

fn encoded(events: &[Event], usage: bool) -> Vec<Value> {
    let options =
        EncoderOptions { usage, model: Some("fast".to_owned()), created: 1, ..EncoderOptions::default() };
    let (text, _) = encode(&mut *dialect(HERE).encoder(options), events);
    text.split("\n\n")
        .filter_map(|frame| frame.strip_prefix("data: ").filter(|data| *data != "[DONE]"))
        .map(|data| serde_json::from_str(data).expect("JSON"))
        .collect()
}

fn read(request: &Value) -> gatelet_wire::chat::Request {
    dialect(HERE).read_request(request.to_string().as_bytes()).expect("readable")
}

fn written(request: &gatelet_wire::chat::Request, hints: &TargetHints) -> (Value, Restore, Loss) {
    let mut loss = Loss::default();
    let written = dialect(HERE).write_request(request, hints, &mut loss).expect("writable");
    (serde_json::from_slice(&written.body).expect("JSON"), written.restore, loss)
}

fn rewritten(request: &Value) -> Value {
    written(&read(request), &TargetHints::unknown("m")).0
}

#[test]
fn keep_alives_unknown_events_and_padding_are_no_content() {
    let (events, error) = stream("keep_alives_and_padding");
    assert_eq!(error, None);
    assert_eq!(text(&fold(&events)), "a");
    assert_eq!(events.iter().filter(|event| matches!(event, Event::Ping)).count(), 3);
    let chunks = encoded(&events, false);
    assert!(chunks.iter().all(|chunk| chunk.get("p").is_none() && chunk.get("obfuscation").is_none()));
}

#[test]
fn a_complete_answer_without_done_ends_well_and_a_cut_one_does_not() {
    assert_eq!(stop(&answer("without_done")), Some(&Stop::MaxTokens));
    assert_eq!(stop(&answer("without_finish_reason")), Some(&Stop::EndTurn));
    let (events, error) = stream("cut_in_the_middle");
    assert_eq!(error, Some(Malformed::Truncated));
    assert!(!events.iter().any(|event| matches!(event, Event::Stop { .. } | Event::End)));
    assert_eq!(stream("empty").1, Some(Malformed::Truncated));
}

#[test]
fn an_error_inside_a_200_stream_is_an_error_with_its_own_status() {
    for (case, kind, status) in [
        ("error_first", ErrorKind::RateLimit, 429),
        ("error_in_the_middle", ErrorKind::Api, 500),
        ("error_with_finish_reason", ErrorKind::Api, 502),
        ("error_as_finish_reason", ErrorKind::Overloaded, 503),
        ("error_by_event_name", ErrorKind::Overloaded, 503),
        ("error_of_minimax", ErrorKind::Api, 500),
    ] {
        let (events, error) = stream(case);
        assert_eq!(error, None, "{case}");
        let Some(Event::Error(error)) = events.last() else { panic!("{case}: {events:?}") };
        assert_eq!((error.kind, error.status), (kind, status), "{case}");
        let (text, _) = encode(&mut *dialect(HERE).encoder(EncoderOptions::default()), &events);
        assert!(!text.contains("[DONE]"), "{case}: no ending is made up");
    }
}

#[test]
fn one_id_one_model_and_one_time_hold_for_the_whole_stream() {
    let (events, _) = stream("ids_change");
    let chunks = encoded(&events, false);
    assert!(chunks.len() > 2);
    for chunk in chunks {
        assert_eq!(
            (&chunk["id"], &chunk["model"], &chunk["created"]),
            (&json!("one"), &json!("fast"), &json!(1_750_000_100))
        );
    }
}

#[test]
fn chunks_without_choices_are_skipped_and_their_usage_is_kept() {
    let response = answer("filter_preamble");
    assert_eq!((response.id.as_str(), text(&response).as_str()), ("chatcmpl-7", "Hi"));
    assert_eq!(response.usage.input_total(), 20);
}

#[test]
fn usage_is_written_only_when_asked_for_and_with_empty_choices() {
    let (events, _) = stream("text");
    assert!(encoded(&events, false).iter().all(|chunk| chunk.get("usage").is_none()));
    let chunks = encoded(&events, true);
    let last = chunks.last().unwrap();
    assert_eq!((&last["choices"], &last["usage"]["total_tokens"]), (&json!([]), &json!(25)));
    assert!(
        chunks[..chunks.len() - 1]
            .iter()
            .all(|chunk| chunk["usage"].is_null() && chunk["choices"] != json!([]))
    );
}

#[test]
fn the_chunk_of_usage_alone_means_nothing_but_usage() {
    let fixtures = fixtures(HERE, "stream");
    let fixture = fixtures.iter().find(|fixture| fixture.case == "text").unwrap();
    let (mut framer, mut decoder) =
        (gatelet_wire::frame::sse::Framer::default(), dialect(HERE).decoder(Reading::default()));
    framer.push(&fixture.bytes);
    let mut found = 0;
    while let Some(frame) = framer.next() {
        let (frame, mut events) = (frame.unwrap(), Vec::new());
        decoder.push(&frame, &mut events).unwrap();
        if frame.data.contains("\"choices\":[]") {
            assert!(matches!(events.as_slice(), [Event::Usage(_)]), "{events:?}");
            found += 1;
        }
    }
    assert_eq!(found, 1);
}

#[test]
fn usage_that_is_repeated_counts_once() {
    let usage = answer("usage_in_every_chunk").usage;
    assert_eq!((usage.input, usage.output, usage.web_searches), (9, 2, 2));
}

#[test]
fn usage_is_found_wherever_providers_put_it() {
    let usage = answer("usage_in_choice").usage;
    assert_eq!((usage.input, usage.cache_read, usage.output), (9, 10, 1));
    assert_eq!(answer("usage_in_x_groq").usage.input, 5);
}

#[test]
fn each_token_is_counted_once_by_kind_and_adds_up_again() {
    let usage = json!({"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100,
        "prompt_tokens_details": {"cached_tokens": 300, "cache_write_tokens": 200, "audio_tokens": 50, "image_tokens": 40},
        "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 20}});
    let read = response_usage(&usage, Reading::default());
    let expected = Usage {
        input: 410,
        cache_read: 300,
        cache_write_5m: 200,
        audio_input: 50,
        image_input: 40,
        output: 80,
        reasoning: 30,
        audio_output: 20,
        ..Usage::default()
    };
    assert_eq!(read, expected);
    assert_eq!((read.input_total(), read.output_total()), (1000, 100));
    let overlapping = json!({"prompt_tokens": 10, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 10, "audio_tokens": 8}});
    assert_eq!(response_usage(&overlapping, Reading::default()).input_total(), 10);
    let odd = json!({"prompt_tokens": 10.0, "completion_tokens": "3", "prompt_tokens_details": {"cached_tokens": 12}});
    assert_eq!(response_usage(&odd, Reading::default()).input_total(), 10);
}

#[test]
fn reasoning_outside_of_the_output_is_added_and_inside_is_not() {
    let outside = Reading { reasoning_outside: true, ..Reading::default() };
    let said = json!({"prompt_tokens": 1, "completion_tokens": 50, "completion_tokens_details": {"reasoning_tokens": 40}});
    assert_eq!(response_usage(&said, Reading::default()).output, 50);
    assert_eq!(response_usage(&said, outside).output, 90);
    // The provider's own total tells.
    assert_eq!(answer("usage_with_reasoning_outside").usage.output, 105);
}

#[test]
fn tokens_that_the_total_alone_counts_are_thoughts_but_those_of_a_cache_are_not() {
    let said = json!({"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109});
    let usage = response_usage(&said, Reading::default());
    assert_eq!((usage.input, usage.output, usage.reasoning), (35, 74, 62));
    let relayed = json!({"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109, "cache_read_input_tokens": 62});
    assert_eq!(response_usage(&relayed, Reading::default()).output, 12);
    let less = json!({"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 40});
    assert_eq!(response_usage(&less, Reading::default()).output, 12);
}

#[test]
fn reasoning_that_is_merely_switched_on_is_of_the_usual_kind() {
    let asks = |reasoning: Value| {
        let body =
            json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "reasoning": reasoning});
        let request = dialect(HERE).read_request(body.to_string().as_bytes()).unwrap();
        request.reasoning.and_then(|asked| asked.effort)
    };
    assert_eq!(asks(json!({"enabled": true})).as_deref(), Some("medium"));
    assert_eq!(asks(json!({"enabled": true, "effort": "high"})).as_deref(), Some("high"));
    assert_eq!(asks(json!({"enabled": true, "max_tokens": 2000})), None);
    assert_eq!(asks(json!({"enabled": false})).as_deref(), Some("none"));
}

#[test]
fn a_blank_function_call_is_none() {
    let blank = json!({"arguments": "", "name": ""});
    let body = json!({"id": "i", "model": "m", "choices": [{"index": 0, "finish_reason": "stop",
        "message": {"role": "assistant", "content": "4", "function_call": blank, "tool_calls": null}}]});
    let read = dialect(HERE).read_response(body.to_string().as_bytes(), Reading::default()).unwrap();
    assert_eq!((calls(&read).len(), stop(&read)), (0, Some(&Stop::EndTurn)));
    let chunk = json!({"id": "i", "model": "m", "choices": [{"index": 0, "delta": {"content": "4", "function_call": blank}, "finish_reason": "stop"}]});
    let bytes = format!("data: {chunk}\n\ndata: [DONE]\n\n");
    let (events, error) = decode(dialect(HERE), Reading::default(), [bytes.as_bytes()]);
    assert_eq!(error, None);
    let read = fold(&events);
    assert_eq!((calls(&read).len(), text(&read), stop(&read)), (0, "4".to_owned(), Some(&Stop::EndTurn)));
}

fn response_usage(usage: &Value, reading: Reading) -> Usage {
    let body = json!({"id": "i", "model": "m", "choices": [], "usage": usage}).to_string();
    dialect(HERE).read_response(body.as_bytes(), reading).unwrap().usage
}

#[test]
fn parallel_calls_that_all_carry_index_zero_stay_apart() {
    let two = [("call_a", "a", "{\"x\":1}"), ("call_b", "b", "{\"x\":2}")];
    assert_eq!(calls(&answer("tools_all_at_index_zero")), two);
    let nameless = answer("tools_at_index_zero_without_ids");
    let calls = calls(&nameless);
    assert_eq!(calls.iter().map(|call| call.2).collect::<Vec<_>>(), ["{\"x\":1}", "{\"x\":2}"]);
    assert_ne!(calls[0].0, calls[1].0, "ids are made up, and differ");
}

#[test]
fn missing_blank_repeated_and_gapped_indexes_and_ids_are_understood() {
    assert_eq!(
        calls(&answer("tools_without_indexes")),
        [("call_a", "a", "{\"x\":1}"), ("call_b", "b", "{}")]
    );
    assert_eq!(
        calls(&answer("tools_with_gaps_and_blank_ids")),
        [("call_a", "a", "{\"x\":1}"), ("call_b", "b", "{}")]
    );
    assert_eq!(calls(&answer("tools_with_a_new_id_in_each_fragment")), [("call_1", "a", "{\"x\":1}")]);
    assert_eq!(
        calls(&answer("tools_interleaved")),
        [("call_a", "a", "{\"x\":1}"), ("call_b", "b", "{\"y\":2}")]
    );
}

#[test]
fn indexes_of_calls_count_nothing_but_calls() {
    let kind =
        |kind| Event::PartStart { choice: 0, part: 0, kind, extra: gatelet_wire::chat::Extra::default() };
    let call = |id: &str| PartKind::ToolCall {
        id: id.to_owned(),
        name: "f".to_owned(),
        kind: gatelet_wire::chat::ToolKind::Function,
    };
    let stop = || Event::PartStop { choice: 0, part: 0 };
    let events = [
        Event::Start { id: "i".to_owned(), model: "m".to_owned(), created: None },
        kind(PartKind::Thinking),
        stop(),
        kind(PartKind::Text),
        stop(),
        kind(call("a")),
        stop(),
        kind(PartKind::Text),
        stop(),
        kind(call("b")),
        stop(),
    ];
    let calls: Vec<Value> = encoded(&events, false)
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"][0].as_object().cloned())
        .map(|call| json!([call["index"], call.get("id"), call["function"]["arguments"]]))
        .collect();
    assert_eq!(
        calls,
        [json!([0, "a", ""]), json!([0, null, "{}"]), json!([1, "b", ""]), json!([1, null, "{}"])]
    );
}

#[test]
fn late_and_repeated_names_give_one_start() {
    assert_eq!(calls(&answer("tool_name_after_arguments")), [("call_a", "late", "{\"x\":1}")]);
    assert_eq!(calls(&answer("tool_name_in_every_fragment")), [("call_a", "a", "{\"x\":1}")]);
}

#[test]
fn a_call_is_over_only_when_nothing_can_follow() {
    let response = answer("text_while_a_tool_call_is_open");
    assert_eq!(calls(&response), [("call_a", "a", "{\"x\":1}")]);
    assert_eq!(text(&response), "by the way");
}

#[test]
fn a_call_without_arguments_has_an_empty_object() {
    assert_eq!(calls(&answer("tool_without_arguments")), [("call_a", "now", "{}")]);
}

#[test]
fn arguments_as_object_or_encoded_twice_become_one_string_and_several_objects_are_refused() {
    assert_eq!(calls(&answer("tool_arguments_as_object")), [("call_a", "a", "{\"x\":[1,{\"y\":2}]}")]);
    assert_eq!(calls(&answer("tool_arguments_encoded_twice")), [("call_a", "a", "{\"x\":1}")]);
    assert!(matches!(stream("tool_arguments_run_together").1, Some(Malformed::Field { .. })));
}

#[test]
fn stop_beside_calls_means_the_calls() {
    assert_eq!(stop(&answer("tools_all_at_index_zero")), Some(&Stop::ToolUse));
    let (events, _) = stream("tools_all_at_index_zero");
    let reasons: Vec<Value> =
        encoded(&events, false).iter().map(|chunk| chunk["choices"][0]["finish_reason"].clone()).collect();
    assert_eq!(reasons.last(), Some(&json!("tool_calls")));
    assert!(reasons[..reasons.len() - 1].iter().all(Value::is_null));
    let claimed =
        json!({"choices": [{"message": {"content": "a"}, "finish_reason": "tool_calls"}]}).to_string();
    assert_eq!(
        stop(&dialect(HERE).read_response(claimed.as_bytes(), Reading::default()).unwrap()),
        Some(&Stop::EndTurn)
    );
}

#[test]
fn blocks_of_a_provider_s_own_tools_are_no_calls() {
    let foreign = Content::Foreign {
        dialect: DialectId::Anthropic,
        json: gatelet_wire::Json::of(&json!({"type": "server_tool_use"})),
    };
    let response = Response {
        choices: vec![gatelet_wire::chat::Choice { parts: vec![foreign.into()], ..Default::default() }],
        ..Response::default()
    };
    let mut loss = Loss::default();
    let body: Value = serde_json::from_slice(&dialect(HERE).write_response(&response, &mut loss)).unwrap();
    assert!(body["choices"][0]["message"].get("tool_calls").is_none());
    assert!(loss.items().eq(["content.foreign"]));
}

#[test]
fn the_signature_of_a_thought_survives_a_round_trip_through_chat_byte_for_byte() {
    let blocks = json!([{"type": "thinking", "thinking": "2 and 2 \u{1f980}", "signature": "EqQBCg+/=="}, {"type": "redacted_thinking", "data": "EmwK+/="}]);
    // Whole: as an answer, then as history.
    let answer = json!({"choices": [{"message": {"content": "4", "reasoning_content": "2 and 2 \u{1f980}", "thinking_blocks": blocks}, "finish_reason": "stop"}]});
    let response = dialect(HERE).read_response(answer.to_string().as_bytes(), Reading::default()).unwrap();
    let again: Value =
        serde_json::from_slice(&dialect(HERE).write_response(&response, &mut Loss::default())).unwrap();
    let message = &again["choices"][0]["message"];
    assert_eq!(message["thinking_blocks"], blocks);
    let request = json!({"model": "m", "messages": [{"role": "user", "content": "?"}, message]});
    let hints =
        TargetHints { reasoning_field: Some("thinking_blocks".to_owned()), ..TargetHints::unknown("m") };
    assert_eq!(written(&read(&request), &hints).0["messages"][1]["thinking_blocks"], blocks);
    // Streamed.
    let (events, _) = stream("thinking_blocks");
    let told: Vec<Value> = encoded(&events, false)
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["thinking_blocks"].as_array().cloned())
        .flatten()
        .collect();
    assert_eq!(
        told,
        [
            json!({"type": "thinking", "thinking": "First, add.", "signature": "c2ln+/="}),
            json!({"type": "redacted_thinking", "data": "cmVk"}),
        ]
    );
    let fragments = self::answer("thinking_blocks_in_fragments");
    let thought = Content::Thinking { text: "First".to_owned(), signature: Some("c2ln".to_owned()) };
    assert_eq!(fragments.choices[0].parts[0].content, thought);
}

#[test]
fn reasoning_goes_back_only_to_those_who_take_it() {
    let request =
        json!({"model": "m", "messages": [{"role": "assistant", "reasoning_content": "r", "content": "c"}]});
    let (body, _, loss) = written(&read(&request), &TargetHints::unknown("m"));
    assert_eq!(body["messages"][0], json!({"role": "assistant", "content": "c"}));
    assert!(loss.items().eq(["messages.*.reasoning"]));
    let hints =
        TargetHints { reasoning_field: Some("reasoning_content".to_owned()), ..TargetHints::unknown("m") };
    assert_eq!(written(&read(&request), &hints).0["messages"][0]["reasoning_content"], json!("r"));
}

#[test]
fn thoughts_in_tags_are_thoughts_for_providers_that_send_them_so() {
    let reading = Reading { think_tags: true, ..Reading::default() };
    let chunk = |text: &str| {
        format!("data: {}\n\n", json!({"id": "i", "choices": [{"index": 0, "delta": {"content": text}}]}))
    };
    let body = ["<th", "ink>why</th", "ink>\n\nso"].map(chunk).concat() + "data: [DONE]\n\n";
    let (events, error) = decode(dialect(HERE), reading, [body.as_bytes()]);
    assert_eq!(error, None);
    let response = fold(&events);
    assert_eq!(
        response.choices[0].parts[0].content,
        Content::Thinking { text: "why".to_owned(), signature: None }
    );
    assert_eq!(text(&response), "so");
    let (events, _) = decode(dialect(HERE), Reading::default(), [body.as_bytes()]);
    assert_eq!(text(&fold(&events)), "<think>why</think>\n\nso");
}

#[test]
fn an_assistant_that_only_calls_has_null_content() {
    let call = json!({"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}});
    for content in [json!(""), json!(null)] {
        let request = json!({"model": "m", "messages": [{"role": "assistant", "content": content, "tool_calls": [call]}]});
        let message = &rewritten(&request)["messages"][0];
        assert!(message["content"].is_null() && message.get("content").is_some());
        assert_eq!(message["tool_calls"][0]["function"]["arguments"], json!("{}"));
    }
}

#[test]
fn results_of_parallel_calls_are_one_turn_and_come_out_one_by_one() {
    let request = json!({"model": "m", "messages": [
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "2"}]},
        {"role": "user", "content": "so?"}]});
    let read = read(&request);
    assert_eq!(read.messages.iter().map(|message| message.parts.len()).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(
        rewritten(&request)["messages"],
        json!([
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": "2"},
        {"role": "user", "content": "so?"}])
    );
}

#[test]
fn a_refusal_stays_a_refusal_in_both_directions() {
    let response = answer("refusal");
    let refusal = Content::Refusal { text: "I cannot help with that.".to_owned() };
    assert_eq!(response.choices[0].parts[0].content, refusal);
    let body: Value =
        serde_json::from_slice(&dialect(HERE).write_response(&response, &mut Loss::default())).unwrap();
    assert_eq!(body["choices"][0]["message"]["refusal"], json!("I cannot help with that."));
    assert!(body["choices"][0]["message"]["content"].is_null());
    assert_eq!(stop(&answer("content_filter")), Some(&Stop::Refusal));
}

#[test]
fn stop_is_a_string_or_a_list_and_too_many_are_noted() {
    assert_eq!(rewritten(&json!({"model": "m", "messages": [], "stop": "x"}))["stop"], json!(["x"]));
    let many = json!({"model": "m", "messages": [], "stop": ["1", "2", "3", "4", "5"]});
    let (body, _, loss) = written(&read(&many), &TargetHints::unknown("m"));
    assert_eq!(body["stop"], json!(["1", "2", "3", "4"]));
    assert!(loss.items().eq(["stop"]));
}

#[test]
fn names_of_tools_that_are_too_long_are_shortened_everywhere_and_restored() {
    let long = "a.".repeat(50);
    let request = json!({"model": "m",
        "tools": [{"type": "function", "function": {"name": long}}],
        "tool_choice": {"type": "function", "function": {"name": long}},
        "messages": [{"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": long, "arguments": "{}"}}]}]});
    let (body, restore, _) = written(&read(&request), &TargetHints::unknown("m"));
    let sent = body["tools"][0]["function"]["name"].as_str().unwrap();
    assert!(sent.len() <= 64 && sent.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'), "{sent}");
    assert_eq!(body["tool_choice"]["function"]["name"], sent);
    assert_eq!(body["messages"][0]["tool_calls"][0]["function"]["name"], sent);
    let answer = json!({"choices": [{"message": {"tool_calls": [{"id": "c", "function": {"name": sent, "arguments": "{}"}}]}}]});
    let mut response =
        dialect(HERE).read_response(answer.to_string().as_bytes(), Reading::default()).unwrap();
    restore.response(&mut response);
    assert_eq!(calls(&response)[0].1, long);
}

#[test]
fn an_error_in_an_answer_of_status_200_is_seen() {
    let hidden = |body: Value| dialect(HERE).hidden_error(body.to_string().as_bytes());
    assert_eq!(
        hidden(json!({"base_resp": {"status_code": 1004, "status_msg": "no"}})).unwrap().message,
        "no"
    );
    assert!(hidden(json!({"base_resp": {"status_code": 0}, "choices": []})).is_none());
    assert_eq!(hidden(json!({"error": {"code": 429, "message": "slow"}})).unwrap().status, 429);
    assert_eq!(
        hidden(json!({"success": false, "errors": [{"code": 7, "message": "m"}]})).unwrap().message,
        "m"
    );
    assert!(hidden(json!({"choices": [], "error": null})).is_none());
}

#[test]
fn a_hint_when_to_come_back_is_read_from_the_body() {
    let body = json!([{"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED",
        "details": [{"@type": "x"}, {"retryDelay": "33.5s"}]}}]);
    let error = dialect(HERE).read_error(429, body.to_string().as_bytes());
    assert_eq!(
        (error.kind, error.retry_after, error.message.as_str()),
        (ErrorKind::RateLimit, Some(34), "m")
    );
}

#[test]
fn the_status_of_an_error_wins_over_its_words_and_529_stays_529() {
    let read = |status, body: Value| dialect(HERE).read_error(status, body.to_string().as_bytes());
    let error = read(
        400,
        json!({"error": {"message": "upstream said 429 too many requests", "code": "rate_limit_exceeded"}}),
    );
    assert_eq!((error.kind, error.status), (ErrorKind::InvalidRequest, 400));
    let error = read(529, json!({"error": {"message": "Overloaded", "type": "overloaded_error"}}));
    assert_eq!((error.kind, error.status), (ErrorKind::Overloaded, 529));
    let error = read(429, json!({"error": {"message": "quota", "code": "insufficient_quota"}}));
    assert_eq!(error.kind, ErrorKind::Billing);
}

#[test]
fn legacy_functions_are_tools() {
    let request = json!({"model": "m", "functions": [{"name": "f", "parameters": {"type": "object"}}], "function_call": {"name": "f"},
        "messages": [{"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "1"}]});
    let body = rewritten(&request);
    assert_eq!(body["tool_choice"]["function"]["name"], "f");
    assert_eq!(body["messages"][0]["tool_calls"][0]["id"], body["messages"][1]["tool_call_id"]);
    assert_eq!(
        calls(&answer("function_call_of_before")).iter().map(|call| (call.1, call.2)).collect::<Vec<_>>(),
        [("old", "{\"x\":1}")]
    );
}

#[test]
fn a_delta_arrives_as_soon_as_its_chunk_does() {
    let mut decoder = dialect(HERE).decoder(Reading::default());
    let mut framer = gatelet_wire::frame::sse::Framer::default();
    framer.push(b"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n");
    let mut events = Vec::new();
    decoder.push(&framer.next().unwrap().unwrap(), &mut events).unwrap();
    let delta = Event::Delta { choice: 0, part: 0, delta: Delta::Text("a".to_owned()) };
    assert_eq!(events.last(), Some(&delta));
}

#[test]
fn a_blank_role_a_missing_delta_and_null_content_are_no_errors() {
    let chunk = |choice: Value| {
        format!(
            "data: {}\n\n",
            json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice] })
        )
    };
    let stream = [
        chunk(json!({ "index": 0, "delta": { "role": "", "content": null } })),
        chunk(json!({ "index": 0 })),
        chunk(json!({ "index": 0, "delta": null })),
        chunk(json!({ "index": 0, "delta": { "role": "assistant", "content": "Hi" }, "finish_reason": "" })),
        chunk(json!({ "index": 0, "delta": {}, "finish_reason": "stop" })),
        "data: [DONE]\n\n".to_owned(),
    ];
    let (events, error) = decode(dialect(HERE), Reading::default(), [stream.concat().as_bytes()]);
    assert_eq!(error, None);
    let response = fold(&events);
    assert_eq!((text(&response).as_str(), stop(&response)), ("Hi", Some(&Stop::EndTurn)));
}
