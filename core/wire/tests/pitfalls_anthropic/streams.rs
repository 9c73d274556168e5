//! What is read, and what readers are told.

use gatelet_wire::chat::{Choice, Content, Request, Response, Stop, ToolChoice};
use gatelet_wire::dialect::Reading;
use gatelet_wire::event::{Delta, PartKind};
use gatelet_wire::fold::fold;
use gatelet_wire::{
    Dialect, DialectId, ErrorKind, Event, Loss, Malformed, Usage, dialect::anthropic::Anthropic,
};
use serde_json::{Value, json};

use crate::say::*;

// 4
#[test]
fn a_complete_answer_without_message_stop_ends_and_a_cut_one_is_an_error() {
    let body = [
        start(),
        block(0, &json!({"type": "text", "text": ""})),
        delta(0, &json!({"type": "text_delta", "text": "Hi"})),
    ];
    let (events, error) = read_stream(&body);
    assert_eq!(error, Some(Malformed::Truncated));
    assert!(!events.contains(&Event::End));
    let frames = stream_of(&events);
    assert!(!types(&frames).contains(&"message_stop"), "no ending is invented: {frames:?}");
    let whole =
        [&body[..], &[block_stop(0), message_delta("end_turn", &json!({"output_tokens": 2}))]].concat();
    assert_eq!(events_of(&whole).last(), Some(&Event::End));
}

#[test]
fn an_end_without_an_answer_is_no_end() {
    assert_eq!(read_stream(&[message_stop()]), (Vec::new(), Some(Malformed::Truncated)));
}

// 5, 89
#[test]
fn an_error_inside_a_stream_has_the_kind_and_status_that_its_words_mean() {
    for (word, kind, status) in [
        ("overloaded_error", ErrorKind::Overloaded, 529),
        ("rate_limit_error", ErrorKind::RateLimit, 429),
        ("api_error", ErrorKind::Api, 500),
        ("timeout_error", ErrorKind::Timeout, 504),
        ("something_new", ErrorKind::Api, 500),
    ] {
        let error = json!({"type": "error", "error": {"type": word, "message": "No."}});
        let (events, broken) = read_stream(&[start(), error, message_stop()]);
        assert_eq!(broken, None);
        match events.last() {
            Some(Event::Error(error)) => assert_eq!((error.kind, error.status), (kind, status)),
            other => panic!("{word}: {other:?}"),
        }
        assert_eq!(types(&stream_of(&events)).last(), Some(&"error"));
    }
}

// 13, 15
#[test]
fn cumulative_usage_replaces_and_counts_said_only_at_the_start_are_kept() {
    let events = events_of(&[
        message_start(&json!({"input_tokens": 5, "cache_read_input_tokens": 70, "output_tokens": 1})),
        message_delta("end_turn", &json!({"output_tokens": 4})),
        json!({"type": "message_delta", "delta": {}, "usage": {"output_tokens": 9}}),
        message_stop(),
    ]);
    let usage = fold(&events).usage;
    assert_eq!(usage, Usage { input: 5, cache_read: 70, output: 9, ..Usage::default() });
}

// 14
#[test]
fn input_excludes_what_the_cache_gave_and_the_total_counts_each_token_once() {
    let body = json!({"id": "m", "type": "message", "role": "assistant", "model": "c", "content": [],
        "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": 10, "cache_read_input_tokens": 100, "cache_creation_input_tokens": 20, "output_tokens": 7}});
    let usage = Anthropic.read_response(body.to_string().as_bytes(), Reading::default()).unwrap().usage;
    assert_eq!((usage.input, usage.input_total(), usage.total()), (10, 130, 137));
}

// 16
#[test]
fn cache_writes_are_split_by_lifetime_and_what_is_not_split_lives_five_minutes() {
    let usage = |usage: Value| {
        let events = events_of(&[
            message_start(&usage),
            message_delta("end_turn", &json!({"output_tokens": 1})),
            message_stop(),
        ]);
        let usage = fold(&events).usage;
        (usage.cache_write_5m, usage.cache_write_1h)
    };
    let lifetimes = json!({"ephemeral_5m_input_tokens": 300, "ephemeral_1h_input_tokens": 400});
    assert_eq!(usage(json!({"cache_creation_input_tokens": 700, "cache_creation": lifetimes})), (300, 400));
    assert_eq!(usage(json!({"cache_creation_input_tokens": 750, "cache_creation": lifetimes})), (350, 400));
    assert_eq!(usage(json!({"cache_creation_input_tokens": 700})), (700, 0));
}

// 20
#[test]
fn what_was_used_is_known_at_every_moment_of_a_stream() {
    let (events, _) = read_stream(&[message_start(&json!({"input_tokens": 5, "output_tokens": 1}))]);
    assert_eq!(fold(&events).usage, Usage { input: 5, output: 1, ..Usage::default() });
}

// 21, 22, 23
#[test]
fn calls_are_told_apart_by_their_parts_whatever_the_upstream_counts() {
    let tool = |id: &str| json!({"type": "tool_use", "id": id, "name": "f", "input": {}});
    let input = |text: &str| json!({"type": "input_json_delta", "partial_json": text});
    let events = events_of(&[
        start(),
        block(3, &json!({"type": "text", "text": ""})),
        delta(3, &json!({"type": "text_delta", "text": "Both."})),
        block_stop(3),
        block(7, &tool("a")),
        delta(7, &input("{\"x\":1}")),
        block_stop(7),
        block(7, &tool("b")),
        delta(7, &input("{\"x\":2}")),
        message_delta("tool_use", &json!({"output_tokens": 4})),
        message_stop(),
    ]);
    let parts = &fold(&events).choices[0].parts;
    assert_eq!(parts[1..], [call("a", "f", "{\"x\":1}"), call("b", "f", "{\"x\":2}")]);
    let indexes: Vec<_> = stream_of(&events)
        .iter()
        .filter(|frame| frame["type"] == "content_block_start")
        .filter_map(|frame| frame["index"].as_u64())
        .collect();
    assert_eq!(indexes, [0, 1, 2]);
}

// 24
#[test]
fn a_call_that_is_whole_in_its_start_keeps_its_arguments() {
    let tool = json!({"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}});
    let events = events_of(&[
        start(),
        block(0, &tool),
        block_stop(0),
        message_delta("tool_use", &json!({})),
        message_stop(),
    ]);
    assert_eq!(fold(&events).choices[0].parts, [call("a", "f", "{\"x\":1}")]);
}

// 25
#[test]
fn a_call_is_finished_by_its_stop_and_not_by_arguments_that_happen_to_be_valid() {
    let tool = json!({"type": "tool_use", "id": "a", "name": "f", "input": {}});
    let input = |text: &str| delta(0, &json!({"type": "input_json_delta", "partial_json": text}));
    let (events, error) = read_stream(&[start(), block(0, &tool), input("{\"x\":1}")]);
    assert_eq!(error, Some(Malformed::Truncated));
    assert!(!events.iter().any(|event| matches!(event, Event::PartStop { .. })));
}

// 26
#[test]
fn a_call_without_parameters_has_the_empty_object_as_its_arguments() {
    let tool = json!({"type": "tool_use", "id": "a", "name": "f", "input": {}});
    let empty = delta(0, &json!({"type": "input_json_delta", "partial_json": ""}));
    let end = [block_stop(0), message_delta("tool_use", &json!({})), message_stop()];
    for middle in [vec![], vec![empty]] {
        let events = events_of(&[vec![start(), block(0, &tool)], middle, end.to_vec()].concat());
        assert_eq!(fold(&events).choices[0].parts, [call("a", "f", "{}")]);
    }
    let history = asking(vec![user("Go."), assistant(vec![call("a", "f", "")]), result("a", "ok")]);
    assert_eq!(written(&history)["messages"][1]["content"][0]["input"], json!({}));
}

// 28
#[test]
fn an_answer_with_calls_that_just_stopped_stopped_for_its_calls() {
    let events = [
        begin(),
        open(0, tool_kind("a", "f")),
        say(0, Delta::Arguments("{}".to_owned())),
        close(0),
        stop(Stop::EndTurn),
        Event::End,
    ];
    let frames = stream_of(&events);
    let last = &frames[frames.len() - 2];
    assert_eq!(last["delta"]["stop_reason"], "tool_use");
    let body = Anthropic.write_response(&fold(&events), &mut Loss::default());
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["stop_reason"], "tool_use");
}

// 29
#[test]
fn tools_that_ran_at_the_provider_are_no_calls_and_are_kept_for_replay() {
    let server = json!({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}});
    let query = json!({"type": "input_json_delta", "partial_json": "{\"query\":\"q\"}"});
    let events = events_of(&[
        start(),
        block(0, &server),
        delta(0, &query),
        block_stop(0),
        block(1, &json!({"type": "text", "text": "Found."})),
        block_stop(1),
        message_delta("end_turn", &json!({})),
        message_stop(),
    ]);
    let response = fold(&events);
    assert!(!response.choices[0].parts.iter().any(|part| matches!(part.content, Content::ToolCall(_))));
    let Content::Foreign { dialect: DialectId::Anthropic, json } = &response.choices[0].parts[0].content
    else {
        panic!("{:?}", response.choices[0].parts[0]);
    };
    let expected =
        json!({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}});
    assert_eq!(json.to_value(), expected);
    let replay = asking(vec![user("Go."), assistant(response.choices[0].parts.clone()), user("More.")]);
    assert_eq!(written(&replay)["messages"][1]["content"][0], expected);
}

// 39
#[test]
fn names_that_are_too_long_or_of_other_letters_are_changed_and_restored_in_answers_and_streams() {
    let long = "x".repeat(140);
    let names = ["files.read file", "files_read_file", long.as_str()];
    let request = Request {
        tools: names.iter().map(|name| tool(name, None)).collect(),
        tool_choice: Some(ToolChoice::Named(names[0].to_owned())),
        ..asking(vec![user("Go."), assistant(vec![call("a", names[0], "{}")]), result("a", "1")])
    };
    let (body, written, _) = try_write(&request, &hints()).unwrap();
    let sent: Vec<_> = (0..3).map(|at| body["tools"][at]["name"].as_str().unwrap().to_owned()).collect();
    for name in &sent {
        assert!(
            name.len() <= 128 && name.chars().all(|each| each.is_ascii_alphanumeric() || "_-".contains(each))
        );
    }
    assert_eq!(sent[1], names[1]);
    assert_ne!(sent[0], sent[1]);
    assert_eq!(body["tool_choice"], json!({"type": "tool", "name": sent[0]}));
    assert_eq!(body["messages"][1]["content"][0]["name"], sent[0].as_str());
    for (sent, name) in sent.iter().zip(names) {
        let mut response = Response {
            choices: vec![Choice {
                parts: vec![call("a", sent, "{}")],
                stop: Some(Stop::ToolUse),
                logprobs: None,
            }],
            ..Response::default()
        };
        let events = gatelet_wire::fold::unfold(&response);
        written.restore.response(&mut response);
        assert_eq!(response.choices[0].parts, [call("a", name, "{}")]);
        let (mut stream, mut restored) = (written.restore.clone().stream(), Vec::new());
        for event in events {
            stream.push(event, &mut restored);
        }
        assert_eq!(fold(&restored), response);
    }
}

// 45
#[test]
fn signatures_are_replayed_byte_for_byte() {
    let signature = "EqQB/+9\\u00e9==\"quoted\" é";
    let events = events_of(&[
        start(),
        block(0, &json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(0, &json!({"type": "thinking_delta", "thinking": "Hm."})),
        delta(0, &json!({"type": "signature_delta", "signature": &signature[..9]})),
        delta(0, &json!({"type": "signature_delta", "signature": &signature[9..]})),
        block_stop(0),
        block(1, &json!({"type": "redacted_thinking", "data": "Emw+/="})),
        block_stop(1),
        message_delta("end_turn", &json!({})),
        message_stop(),
    ]);
    let replay = asking(vec![user("Go."), assistant(fold(&events).choices[0].parts.clone()), user("More.")]);
    assert_eq!(
        written(&replay)["messages"][1]["content"],
        json!([{"type": "thinking", "thinking": "Hm.", "signature": signature},
            {"type": "redacted_thinking", "data": "Emw+/="}])
    );
}

// 48, 96
#[test]
fn a_synthesised_stream_opens_no_block_without_content_and_counts_the_others_from_zero() {
    let events = [
        begin(),
        open(0, PartKind::Thinking),
        close(0),
        open(1, PartKind::Text),
        say(1, Delta::Text("Hi".to_owned())),
        close(1),
        open(2, PartKind::Text),
        close(2),
        open(3, tool_kind("a", "f")),
        close(3),
        stop(Stop::ToolUse),
        Event::Usage(Usage { input: 3, output: 4, ..Usage::default() }),
        Event::End,
    ];
    let frames = stream_of(&events);
    assert_eq!(
        types(&frames),
        [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "content_block_start",
            "content_block_stop",
            "message_delta",
            "message_stop"
        ]
    );
    let indexes: Vec<_> = frames.iter().filter_map(|frame| frame["index"].as_u64()).collect();
    assert_eq!(indexes, [0, 0, 0, 1, 1]);
    assert_eq!(frames[0]["message"]["usage"]["input_tokens"], 0);
    assert_eq!(frames[6]["usage"]["input_tokens"], 3);
    assert_eq!(frames[6]["usage"]["output_tokens"], 4);
}

// 77
#[test]
fn words_of_refusal_are_text_with_the_reason_refusal_whole_and_streamed() {
    let refusal = Content::Refusal { text: "I will not.".to_owned() };
    let response = Response {
        choices: vec![Choice { parts: vec![refusal.into()], stop: Some(Stop::EndTurn), logprobs: None }],
        ..Response::default()
    };
    let body: Value =
        serde_json::from_slice(&Anthropic.write_response(&response, &mut Loss::default())).unwrap();
    assert_eq!(body["content"], json!([{"type": "text", "text": "I will not."}]));
    assert_eq!(body["stop_reason"], "refusal");
    assert_eq!(body["stop_details"]["explanation"], "I will not.");
    let frames = stream_of(&gatelet_wire::fold::unfold(&response));
    let last = &frames[frames.len() - 2];
    assert_eq!(
        (last["delta"]["stop_reason"].clone(), last["delta"]["stop_details"]["type"].clone()),
        (json!("refusal"), json!("refusal"))
    );
}
