//! What goes wrong in gateways that speak the Anthropic dialect, one test each. The numbers are those of the list.
#![expect(clippy::panic, reason = "helpers of tests fail like tests")]

mod support;

use gatelet_wire::chat::{
    CacheMark, Choice, Content, Extra, Format, Message, Part, Reasoning, Request, Response, Role, Source,
    Stop, Tool, ToolCall, ToolChoice, ToolKind, ToolResult,
};
use gatelet_wire::event::{Delta, Grammar, PartKind};
use gatelet_wire::fold::fold;
use gatelet_wire::{
    Dialect, DialectId, ErrorKind, Event, Json, Loss, Malformed, TargetHints, Usage, Written,
    dialect::anthropic::Anthropic,
};
use serde_json::{Value, json};
use support::{decode, encode, options};

// What the tests say with.

fn text(text: &str) -> Part {
    Content::Text { text: text.to_owned(), citations: Vec::new() }.into()
}

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, parts, name: None, extra: Extra::default() }
}

fn user(said: &str) -> Message {
    message(Role::User, vec![text(said)])
}

fn assistant(parts: Vec<Part>) -> Message {
    message(Role::Assistant, parts)
}

fn call(id: &str, name: &str, arguments: &str) -> Part {
    Content::ToolCall(ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
        kind: ToolKind::Function,
    })
    .into()
}

fn result(id: &str, said: &str) -> Message {
    let parts = vec![text(said)];
    let result = Content::ToolResult(ToolResult { call_id: id.to_owned(), parts, is_error: false });
    message(Role::User, vec![result.into()])
}

fn thinking(said: &str, signature: Option<&str>) -> Part {
    Content::Thinking { text: said.to_owned(), signature: signature.map(str::to_owned) }.into()
}

fn tool(name: &str, parameters: Option<&Value>) -> Tool {
    Tool::Function {
        name: name.to_owned(),
        description: None,
        parameters: parameters.map(Json::of),
        strict: None,
        cache: None,
        extra: Extra::default(),
    }
}

fn asking(messages: Vec<Message>) -> Request {
    Request { model: "claude".to_owned(), messages, max_output_tokens: Some(2000), ..Request::default() }
}

fn schema(schema: &Value) -> Format {
    Format::JsonSchema { name: None, description: None, schema: Json::of(schema), strict: None }
}

fn hints() -> TargetHints {
    TargetHints { max_output_tokens: Some(8192), ..TargetHints::unknown("claude") }
}

fn try_write(request: &Request, hints: &TargetHints) -> Result<(Value, Written, Loss), Malformed> {
    let mut loss = Loss::default();
    let written = Anthropic.write_request(request, hints, &mut loss)?;
    Ok((serde_json::from_slice(&written.body).unwrap_or_default(), written, loss))
}

#[track_caller]
fn write_for(request: &Request, hints: &TargetHints) -> (Value, Vec<String>) {
    match try_write(request, hints) {
        Ok((body, _, loss)) => (body, loss.items().map(str::to_owned).collect()),
        Err(error) => panic!("{error}"),
    }
}

#[track_caller]
fn written(request: &Request) -> Value {
    write_for(request, &hints()).0
}

#[track_caller]
fn refused(request: &Request) -> String {
    match try_write(request, &hints()) {
        Ok((body, ..)) => panic!("not refused: {body}"),
        Err(error) => error.to_string(),
    }
}

fn read_stream(events: &[Value]) -> (Vec<Event>, Option<Malformed>) {
    let text: String = events
        .iter()
        .flat_map(|event| {
            [
                "event: ".to_owned(),
                event["type"].as_str().unwrap_or_default().to_owned(),
                format!("\ndata: {event}\n\n"),
            ]
        })
        .collect();
    decode(&mut *Anthropic.decoder(), [text.as_bytes()])
}

#[track_caller]
fn events_of(events: &[Value]) -> Vec<Event> {
    let (events, error) = read_stream(events);
    assert_eq!(error, None);
    assert_eq!(Grammar::check(&events), Ok(()));
    events
}

fn message_start(usage: &Value) -> Value {
    json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant",
        "model": "claude", "content": [], "stop_reason": null, "stop_sequence": null, "usage": usage}})
}

fn start() -> Value {
    message_start(&json!({"input_tokens": 5, "output_tokens": 1}))
}

fn block(index: u32, block: &Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn delta(index: u32, delta: &Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn block_stop(index: u32) -> Value {
    json!({"type": "content_block_stop", "index": index})
}

fn message_delta(reason: &str, usage: &Value) -> Value {
    json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null}, "usage": usage})
}

fn message_stop() -> Value {
    json!({"type": "message_stop"})
}

/// What a caller of this dialect reads of these events, frame by frame.
#[track_caller]
fn stream_of(events: &[Event]) -> Vec<Value> {
    let (text, _) = encode(&mut *Anthropic.encoder(options()), events);
    text.split("\n\n")
        .filter(|frame| !frame.is_empty())
        .map(|frame| {
            let (name, data) = frame.split_once("\ndata: ").unwrap_or_default();
            let data: Value = serde_json::from_str(data).unwrap_or_default();
            assert_eq!(name.strip_prefix("event: "), data["type"].as_str(), "{frame}");
            data
        })
        .collect()
}

fn types(frames: &[Value]) -> Vec<&str> {
    frames.iter().filter_map(|frame| frame["type"].as_str()).collect()
}

fn begin() -> Event {
    Event::Start { id: "x".to_owned(), model: "m".to_owned(), created: None }
}

fn open(part: u32, kind: PartKind) -> Event {
    Event::PartStart { choice: 0, part, kind, extra: Extra::default() }
}

fn say(part: u32, delta: Delta) -> Event {
    Event::Delta { choice: 0, part, delta }
}

fn close(part: u32) -> Event {
    Event::PartStop { choice: 0, part }
}

fn stop(stop: Stop) -> Event {
    Event::Stop { choice: 0, stop }
}

fn tool_kind(id: &str, name: &str) -> PartKind {
    PartKind::ToolCall { id: id.to_owned(), name: name.to_owned(), kind: ToolKind::Function }
}

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
    let usage = Anthropic.read_response(body.to_string().as_bytes()).unwrap().usage;
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

// 27
#[test]
fn arguments_become_an_object_and_several_objects_in_a_row_are_refused() {
    let input = |arguments: &str| {
        let request =
            asking(vec![user("Go."), assistant(vec![call("a", "f", arguments)]), result("a", "ok")]);
        write_for(&request, &hints())
    };
    assert_eq!(input(r#"{"x":1}"#).0["messages"][1]["content"][0]["input"], json!({"x": 1}));
    assert_eq!(input(r#""{\"x\":1}""#).0["messages"][1]["content"][0]["input"], json!({"x": 1}));
    let (body, loss) = input(r#"{"x": "cut"#);
    assert_eq!(body["messages"][1]["content"][0]["input"], json!({"arguments": r#"{"x": "cut"#}));
    assert_eq!(loss, ["messages[1].content[0].arguments"]);
    let several =
        asking(vec![user("Go."), assistant(vec![call("a", "f", r#"{"x":1}{"x":2}"#)]), result("a", "ok")]);
    assert_eq!(
        refused(&several),
        "`messages[1].content[0]`: expected one JSON object as arguments, not several in a row"
    );
}

#[test]
fn numbers_in_arguments_keep_their_digits() {
    let arguments = r#"{"a": 1.10, "b": 12345678901234567890123}"#;
    let request = asking(vec![user("Go."), assistant(vec![call("a", "f", arguments)]), result("a", "ok")]);
    let (_, written, _) = try_write(&request, &hints()).unwrap();
    assert!(String::from_utf8(written.body).unwrap().contains(arguments));
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

// 31, 34
#[test]
fn results_of_parallel_calls_are_merged_into_one_turn_before_any_text() {
    let request = asking(vec![
        user("Go."),
        assistant(vec![call("a", "f", "{}"), call("b", "f", "{}")]),
        result("a", "1"),
        user("By the way."),
        result("b", "2"),
    ]);
    let body = written(&request);
    assert_eq!(body["messages"].as_array().map(Vec::len), Some(3));
    let kinds: Vec<_> =
        body["messages"][2]["content"].as_array().into_iter().flatten().map(|block| &block["type"]).collect();
    assert_eq!(kinds, ["tool_result", "tool_result", "text"]);
}

// 33
#[test]
fn a_call_without_its_result_directly_after_is_refused_with_its_place() {
    let expected = "`messages[1]`: expected a result of its tool call `b` in the message after it";
    let calls = || assistant(vec![call("a", "f", "{}"), call("b", "f", "{}")]);
    assert_eq!(refused(&asking(vec![user("Go."), calls(), result("a", "1")])), expected);
    let later = vec![user("Go."), calls(), result("a", "1"), assistant(vec![text("Well")]), result("b", "2")];
    assert_eq!(refused(&asking(later)), expected);
    let orphan = vec![user("Go."), result("z", "1")];
    assert_eq!(
        refused(&asking(orphan)),
        "`messages[1].content[0]`: expected a tool call `z` in the message before, answered once"
    );
    let twice = vec![user("Go."), assistant(vec![call("a", "f", "{}")]), result("a", "1"), result("a", "2")];
    assert!(refused(&asking(twice)).contains("answered once"));
}

// 35
#[test]
fn ids_of_other_providers_are_mapped_stably_without_collisions() {
    let turn = |id: &str| vec![assistant(vec![call(id, "f", "{}")]), result(id, "1")];
    let messages =
        [vec![user("Go.")], turn("functions.f:0"), turn("functions.f_0"), turn("functions.f:0"), turn("")]
            .concat();
    let body = written(&asking(messages.clone()));
    let id = |body: &Value, at: usize| body["messages"][at]["content"][0]["id"].clone();
    let ids: Vec<_> = [1, 3, 5, 7].map(|at| id(&body, at)).to_vec();
    for (at, sent) in [1, 3, 5, 7].into_iter().zip(&ids) {
        let sent = sent.as_str().unwrap();
        assert!(
            sent.chars().all(|each| each.is_ascii_alphanumeric() || "_-".contains(each)) && !sent.is_empty(),
            "{sent}"
        );
        assert_eq!(body["messages"][at + 1]["content"][0]["tool_use_id"], sent);
        assert_eq!(ids.iter().filter(|other| *other == sent).count(), 1, "{ids:?}");
    }
    let shorter = written(&asking(messages[..3].to_vec()));
    assert_eq!(id(&shorter, 1), ids[0], "a longer conversation keeps its prefix");
    let own = written(&asking([vec![user("Go.")], turn("toolu_01A")].concat()));
    assert_eq!(id(&own, 1), "toolu_01A");
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

// 41
#[test]
fn a_failed_result_stays_failed() {
    let body = json!({"model": "c", "max_tokens": 9, "messages": [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "is_error": true, "content": "no"}]},
    ]});
    let request = Anthropic.read_request(body.to_string().as_bytes()).unwrap();
    let Content::ToolResult(result) = &request.messages[2].parts[0].content else { panic!("{request:?}") };
    assert!(result.is_error);
    assert_eq!(written(&request)["messages"][2]["content"][0]["is_error"], true);
}

// 42
#[test]
fn the_type_of_a_tool_never_gets_into_its_parameters() {
    let body = json!({"model": "c", "max_tokens": 9, "messages": [{"role": "user", "content": "Go."}],
        "tools": [{"type": "custom", "name": "f", "input_schema": {"properties": {}}}]});
    let request = Anthropic.read_request(body.to_string().as_bytes()).unwrap();
    let Tool::Function { parameters: Some(parameters), .. } = &request.tools[0] else {
        panic!("{request:?}")
    };
    assert_eq!(parameters.to_value(), json!({"properties": {}}));
    assert_eq!(
        written(&request)["tools"][0],
        json!({"name": "f", "input_schema": {"properties": {}, "type": "object"}})
    );
}

// 43, 44
#[test]
fn a_choice_of_tools_is_kept_where_it_may_be_and_loosened_with_a_note_where_not() {
    let request = |choice| Request {
        tools: vec![tool("f", None)],
        tool_choice: Some(choice),
        ..asking(vec![user("Go.")])
    };
    assert_eq!(written(&request(ToolChoice::None))["tool_choice"], json!({"type": "none"}));
    assert_eq!(written(&request(ToolChoice::Required))["tool_choice"], json!({"type": "any"}));
    let unforced = TargetHints { forced_tool: false, ..hints() };
    let (body, loss) = write_for(&request(ToolChoice::Required), &unforced);
    assert_eq!(
        (body["tool_choice"].clone(), loss),
        (json!({"type": "auto"}), vec!["tool_choice".to_owned()])
    );
    let thinking = Request {
        reasoning: Some(Reasoning { budget_tokens: Some(1024), ..Reasoning::default() }),
        ..request(ToolChoice::Named("f".to_owned()))
    };
    assert_eq!(write_for(&thinking, &hints()).0["tool_choice"], json!({"type": "auto"}));
    let no_tools = Request { tools: Vec::new(), ..request(ToolChoice::Required) };
    assert_eq!(written(&no_tools)["tool_choice"], Value::Null);
}

#[test]
fn a_history_of_calls_without_tools_gets_tools_that_may_not_be_called() {
    let body = written(&asking(vec![user("Go."), assistant(vec![call("a", "f", "{}")]), result("a", "1")]));
    assert_eq!(body["tools"], json!([{"name": "f", "input_schema": {"type": "object", "properties": {}}}]));
    assert_eq!(body["tool_choice"], json!({"type": "none"}));
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

// 46
#[test]
fn thinking_in_a_loop_of_tools_goes_on_only_with_its_thoughts() {
    let ask = |parts: Vec<Part>, before: Vec<Message>| Request {
        reasoning: Some(Reasoning { budget_tokens: Some(1024), ..Reasoning::default() }),
        tools: vec![tool("f", None)],
        ..asking([before, vec![user("Go."), assistant(parts), result("a", "1")]].concat())
    };
    let shown = ask(vec![thinking("Hm.", Some("sig")), call("a", "f", "{}")], vec![]);
    assert_eq!(written(&shown)["thinking"], json!({"type": "enabled", "budget_tokens": 1024}));
    let (body, loss) = write_for(&ask(vec![call("a", "f", "{}")], vec![]), &hints());
    assert_eq!(body["thinking"], Value::Null);
    assert_eq!(loss, ["reasoning"]);
    let earlier = vec![user("One."), assistant(vec![thinking("Hm.", Some("sig")), text("1")])];
    assert!(refused(&ask(vec![call("a", "f", "{}")], earlier)).contains("thinking block"));
}

// 47
#[test]
fn unsigned_thoughts_are_left_out_and_a_message_of_nothing_else_with_them() {
    let request = asking(vec![user("One."), assistant(vec![thinking("Hm.", None)]), user("Two.")]);
    let (body, loss) = write_for(&request, &hints());
    assert_eq!(body["messages"].as_array().map(Vec::len), Some(1));
    assert_eq!(loss, ["messages[1].thinking"]);
    let request =
        asking(vec![user("One."), assistant(vec![thinking("Hm.", Some("")), text("1")]), user("Two.")]);
    assert_eq!(written(&request)["messages"][1]["content"], "1");
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

// 49
#[test]
fn blocks_keep_their_order() {
    let content = json!([
        {"type": "thinking", "thinking": "1", "signature": "s1"},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
        {"type": "thinking", "thinking": "2", "signature": "s2"},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
        {"type": "text", "text": "Done."},
    ]);
    let body = json!({"model": "c", "max_tokens": 9, "messages": [
        {"role": "user", "content": "Go."}, {"role": "assistant", "content": content}, {"role": "user", "content": "More."}]});
    let request = Anthropic.read_request(body.to_string().as_bytes()).unwrap();
    assert_eq!(written(&request)["messages"][1]["content"], content);
}

// 55
#[test]
fn a_budget_is_at_least_1024_and_below_a_cap_that_is_never_raised() {
    let ask = |budget, cap| Request {
        reasoning: Some(Reasoning { budget_tokens: Some(budget), ..Reasoning::default() }),
        max_output_tokens: cap,
        ..asking(vec![user("Think.")])
    };
    let seen = |budget, cap| {
        let (body, loss) = write_for(&ask(budget, cap), &TargetHints::unknown("claude"));
        (body["max_tokens"].as_u64(), body["thinking"]["budget_tokens"].as_u64(), loss.len())
    };
    assert_eq!(seen(100, Some(4000)), (Some(4000), Some(1024), 0));
    assert_eq!(seen(9000, Some(4000)), (Some(4000), Some(3999), 1));
    assert_eq!(seen(9000, Some(1024)), (Some(1024), None, 1));
    assert_eq!(seen(9000, None), (Some(13096), Some(9000), 0));
}

// 57
#[test]
fn adaptive_thinking_that_was_asked_for_by_effort_is_shown() {
    let adaptive = TargetHints { adaptive_thinking: true, ..hints() };
    let ask = |reasoning| Request { reasoning: Some(reasoning), ..asking(vec![user("Think.")]) };
    let effort = Reasoning { effort: Some("minimal".to_owned()), ..Reasoning::default() };
    let (body, _) = write_for(&ask(effort), &adaptive);
    assert_eq!(body["thinking"], json!({"type": "adaptive", "display": "summarized"}));
    assert_eq!(body["output_config"], json!({"effort": "low"}));
    let own = Reasoning { adaptive: true, ..Reasoning::default() };
    assert_eq!(write_for(&ask(own), &adaptive).0["thinking"], json!({"type": "adaptive"}));
}

// 58
#[test]
fn max_tokens_is_always_there_and_never_above_what_the_model_can() {
    let ask = |cap| Request { max_output_tokens: cap, ..asking(vec![user("Hi")]) };
    assert_eq!(written(&ask(None))["max_tokens"], 8192);
    assert_eq!(write_for(&ask(None), &TargetHints::unknown("c")).0["max_tokens"], 4096);
    let (body, loss) = write_for(&ask(Some(100_000)), &hints());
    assert_eq!((body["max_tokens"].clone(), loss), (json!(8192), vec!["max_tokens".to_owned()]));
}

// 59, 63
#[test]
fn empty_text_is_dropped_and_a_prefill_ends_without_space() {
    let calls = vec![text(""), call("a", "f", "{}")];
    let request =
        asking(vec![user("Go."), assistant(calls), result("a", ""), assistant(vec![text("1. \n")])]);
    let body = written(&request);
    assert_eq!(body["messages"][1]["content"].as_array().map(Vec::len), Some(1));
    assert_eq!(body["messages"][2]["content"], json!([{"type": "tool_result", "tool_use_id": "a"}]));
    assert_eq!(body["messages"][3]["content"], "1.");
}

// 59, 78
#[test]
fn blank_stop_sequences_are_dropped_with_a_note() {
    let request = Request { stop: vec!["END".to_owned(), " \n".to_owned()], ..asking(vec![user("Hi")]) };
    let (body, loss) = write_for(&request, &hints());
    assert_eq!((body["stop_sequences"].clone(), loss), (json!(["END"]), vec!["stop".to_owned()]));
}

// 60
#[test]
fn a_system_message_in_the_middle_stays_in_its_place() {
    let system = |said: &str| message(Role::System, vec![text(said)]);
    let request = asking(vec![
        system("A"),
        message(Role::Developer, vec![text("B")]),
        user("One."),
        assistant(vec![text("1")]),
        system("C"),
        user("Two."),
    ]);
    let body = written(&request);
    assert_eq!(body["system"], json!([{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]));
    assert_eq!(
        body["messages"][2],
        json!({"role": "user", "content": [{"type": "text", "text": "C"}, {"type": "text", "text": "Two."}]})
    );
    let (native, _) = write_for(&request, &TargetHints { mid_system: true, ..hints() });
    assert_eq!(native["messages"][2], json!({"role": "system", "content": "C"}));
}

// 61
#[test]
fn a_conversation_without_a_user_gets_one() {
    let (body, loss) = write_for(&asking(vec![message(Role::System, vec![text("Write.")])]), &hints());
    assert_eq!(body["messages"], json!([{"role": "user", "content": "."}]));
    assert_eq!(loss, ["messages[0].role"]);
    assert_eq!(
        written(&asking(vec![assistant(vec![text("Hello.")]), user("Hi")]))["messages"][0]["role"],
        "user"
    );
}

// 62
#[test]
fn neighbours_of_one_role_are_merged() {
    let request =
        asking(vec![user("A"), user("B"), assistant(vec![text("C")]), assistant(vec![text("D")]), user("E")]);
    let body = written(&request);
    let roles: Vec<_> =
        body["messages"].as_array().into_iter().flatten().map(|message| &message["role"]).collect();
    assert_eq!(roles, ["user", "assistant", "user"]);
}

// 66
#[test]
fn an_image_is_what_its_bytes_are() {
    let png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ";
    let image = |source| {
        let part = Content::Image { source, detail: None };
        asking(vec![message(Role::User, vec![part.into()])])
    };
    let wrong = Source::of_url(&format!("DATA:image/JPG;x=y;base64,{png}"));
    assert_eq!(
        written(&image(wrong))["messages"][0]["content"][0]["source"],
        json!({"type": "base64", "media_type": "image/png", "data": png})
    );
    let tiff = Source::Base64 { media_type: "image/tiff".to_owned(), data: "SUkqAA==".to_owned() };
    assert!(refused(&image(tiff)).contains("JPEG, PNG, GIF or WebP"));
    assert!(refused(&image(Source::Url("data:image/png,abc".to_owned()))).contains("data URI"));
}

// 67
#[test]
fn documents_are_told_by_their_bytes() {
    let document = |media_type: &str, data: &str| {
        let source = Source::Base64 { media_type: media_type.to_owned(), data: data.to_owned() };
        let part =
            Content::Document { source, title: Some("a.pdf".to_owned()), context: None, citations: false };
        asking(vec![message(Role::User, vec![part.into()])])
    };
    let pdf = written(&document("application/octet-stream", "JVBERi0xLjQK"));
    assert_eq!(pdf["messages"][0]["content"][0]["source"]["media_type"], "application/pdf");
    assert_eq!(pdf["messages"][0]["content"][0]["title"], "a.pdf");
    let plain = written(&document("text/markdown", "IyBIaQ=="));
    assert_eq!(
        plain["messages"][0]["content"][0]["source"],
        json!({"type": "text", "media_type": "text/plain", "data": "# Hi"})
    );
    assert!(refused(&document("application/msword", "0M8R4A==")).contains("PDF or text"));
}

#[test]
fn audio_is_refused_rather_than_left_out() {
    let source = Source::Base64 { media_type: "audio/wav".to_owned(), data: "UklGRg==".to_owned() };
    let part = Content::Audio { source, format: None };
    assert!(
        refused(&asking(vec![message(Role::User, vec![text("Hear."), part.into()])])).contains("no audio")
    );
}

// 71
#[test]
fn at_most_four_marks_are_sent_none_of_them_on_empty_text_or_thoughts() {
    let marked = |mut part: Part| {
        part.cache = Some(CacheMark::default());
        part
    };
    let messages = (0..6).flat_map(|_| {
        [
            message(Role::User, vec![marked(text("A")), marked(text(" "))]),
            assistant(vec![marked(thinking("Hm.", Some("sig"))), text("B")]),
        ]
    });
    let (body, loss) = write_for(&asking(messages.collect()), &hints());
    assert_eq!(body.to_string().matches("cache_control").count(), 4);
    assert_eq!(loss, ["cache_control"]);
    let last_user = &body["messages"][10]["content"][0];
    assert_eq!(last_user, &json!({"type": "text", "text": "A", "cache_control": {"type": "ephemeral"}}));
    assert!(!body["messages"][11]["content"][0].to_string().contains("cache_control"));
}

#[test]
fn a_longer_lifetime_never_stands_after_a_shorter_one() {
    let marked = |said: &str, lifetime: &str| {
        let mut part = text(said);
        part.cache = Some(CacheMark { lifetime: Some(lifetime.to_owned()) });
        part
    };
    let request =
        asking(vec![message(Role::User, vec![marked("A", "12h"), marked("B", "5m"), marked("C", "1h")])]);
    let (body, loss) = write_for(&request, &hints());
    let lifetimes: Vec<_> = body["messages"][0]["content"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|block| block["cache_control"]["ttl"].clone())
        .collect();
    assert_eq!(lifetimes, [json!("1h"), json!("5m"), Value::Null]);
    assert_eq!(loss, ["cache_control.ttl"]);
}

// 72
#[test]
fn temperature_is_clamped_stands_alone_and_is_left_out_where_it_is_refused() {
    let ask = |temperature, top_p| Request { temperature, top_p, ..asking(vec![user("Hi")]) };
    let (body, loss) = write_for(&ask(Some(1.7), Some(0.5)), &hints());
    assert_eq!((body["temperature"].as_f64(), body["top_p"].clone()), (Some(1.0), Value::Null));
    assert_eq!(loss, ["temperature", "top_p"]);
    assert_eq!(written(&ask(None, Some(0.5)))["top_p"].as_f64(), Some(0.5));
    let none = TargetHints { sampling: false, ..hints() };
    let (body, loss) = write_for(&ask(Some(0.5), None), &none);
    assert_eq!((body["temperature"].clone(), loss), (Value::Null, vec!["temperature".to_owned()]));
}

// 75
#[test]
fn several_answers_are_refused_and_never_silently_one() {
    let request = Request { choices: Some(2), ..asking(vec![user("Hi")]) };
    assert!(refused(&request).starts_with("`n`"));
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

// 80, 82
#[test]
fn a_schema_is_brought_to_what_is_enforced_and_the_rest_is_described() {
    let person = json!({"type": "object", "$schema": "x", "properties": {
            "age": {"type": "integer", "minimum": 0, "description": "In years"},
            "mail": {"type": "string", "format": "email"},
            "when": {"type": "string", "format": "iso-week"},
            "tags": {"type": "array", "items": {"$ref": "#/components/schemas/Tag"}, "minItems": 2},
        }, "components": {"schemas": {"Tag": {"oneOf": [{"type": "string", "pattern": "^a"}, {"type": "null"}]}}}});
    let request = Request { format: Some(schema(&person)), ..asking(vec![user("Go.")]) };
    let (body, loss) = write_for(&request, &TargetHints { native_schema: true, ..hints() });
    assert_eq!(
        body["output_config"]["format"]["schema"],
        json!({"type": "object", "additionalProperties": false, "properties": {
                "age": {"type": "integer", "description": "In years (minimum: 0)"},
                "mail": {"type": "string", "format": "email"},
                "when": {"type": "string", "description": "(format: \"iso-week\")"},
                "tags": {"type": "array", "items": {"$ref": "#/$defs/Tag"}, "description": "(minItems: 2)"},
            }, "$defs": {"Tag": {"anyOf": [{"type": "string", "description": "(pattern: \"^a\")"}, {"type": "null"}]}}})
    );
    assert_eq!(loss, ["response_format.schema.constraints"]);
}

// 80
#[test]
fn a_recursive_schema_is_asked_for_by_a_tool_and_a_vast_one_ends_quickly() {
    let native = TargetHints { native_schema: true, ..hints() };
    let tree = json!({"type": "object", "properties": {"left": {"$ref": "#"}}});
    let nested = json!({"$ref": "#/$defs/N", "$defs": {"N": {"type": "object", "properties": {"n": {"$ref": "#/$defs/M"}}},
        "M": {"type": "object", "properties": {"n": {"$ref": "#/$defs/N"}}}}});
    let circle =
        json!({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}}});
    let doubling: serde_json::Map<String, Value> = (0..2000)
        .map(|at| {
            let next = json!({"$ref": format!("#/$defs/d{}", at + 1)});
            (format!("d{at}"), json!({"type": "object", "properties": {"a": next, "b": next}}))
        })
        .collect();
    let vast = json!({"type": "object", "properties": {"x": {"$ref": "#/$defs/d0"}}, "$defs": doubling});
    for recursive in [tree, nested, circle, vast] {
        let request = Request { format: Some(schema(&recursive)), ..asking(vec![user("Go.")]) };
        let (body, _) = write_for(&request, &native);
        assert_eq!(body["output_config"], Value::Null);
        assert_eq!(body["tool_choice"], json!({"type": "tool", "name": "json_tool_call"}));
    }
}

// 83
#[test]
fn an_answer_by_the_forced_tool_is_text_again_also_streamed_also_beside_real_tools() {
    let object = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
    let request = Request { format: Some(schema(&object)), ..asking(vec![user("Go.")]) };
    let (body, written, _) = try_write(&request, &hints()).unwrap();
    assert_eq!(body["tools"][0]["input_schema"], object);
    assert_eq!(body["tool_choice"], json!({"type": "tool", "name": "json_tool_call"}));
    let events = events_of(&[
        start(),
        block(0, &json!({"type": "thinking", "thinking": "Hm.", "signature": "s"})),
        block_stop(0),
        block(1, &json!({"type": "tool_use", "id": "a", "name": "json_tool_call", "input": {}})),
        delta(1, &json!({"type": "input_json_delta", "partial_json": "{\"a\""})),
        delta(1, &json!({"type": "input_json_delta", "partial_json": ":1}"})),
        block_stop(1),
        message_delta("tool_use", &json!({"output_tokens": 3})),
        message_stop(),
    ]);
    let (mut stream, mut restored) = (written.restore.clone().stream(), Vec::new());
    for event in &events {
        stream.push(event.clone(), &mut restored);
    }
    assert_eq!(Grammar::check(&restored), Ok(()));
    let fragments =
        restored.iter().filter(|event| matches!(event, Event::Delta { delta: Delta::Text(_), .. }));
    assert_eq!(fragments.count(), 2, "fragments pass as they come");
    let streamed = fold(&restored);
    assert_eq!(streamed.choices[0].parts, [thinking("Hm.", Some("s")), text("{\"a\":1}")]);
    assert_eq!(streamed.choices[0].stop, Some(Stop::EndTurn));
    let mut whole = fold(&events);
    written.restore.response(&mut whole);
    assert_eq!(whole, streamed);

    let beside = Request { tools: vec![tool("f", None)], ..request };
    let (body, written, _) = try_write(&beside, &hints()).unwrap();
    assert_eq!(body["tool_choice"], json!({"type": "any"}));
    let mut real = Response {
        choices: vec![Choice {
            parts: vec![call("a", "f", "{}")],
            stop: Some(Stop::ToolUse),
            logprobs: None,
        }],
        ..Response::default()
    };
    let before = real.clone();
    written.restore.response(&mut real);
    assert_eq!(real, before, "a call of a real tool stays one");
}

// 83: our own name for it is no name that a caller may not have.
#[test]
fn a_callers_own_tool_of_that_name_stays_a_tool() {
    let request = Request { tools: vec![tool("json_tool_call", None)], ..asking(vec![user("Go.")]) };
    let (_, written, _) = try_write(&request, &hints()).unwrap();
    assert!(written.restore.is_empty());
}

// 84
#[test]
fn a_schema_that_is_no_object_is_wrapped_and_unwrapped_again() {
    let numbers = json!({"type": "array", "items": {"type": "integer"}});
    let request = Request { format: Some(schema(&numbers)), ..asking(vec![user("Go.")]) };
    let (body, written, _) = try_write(&request, &TargetHints { native_schema: true, ..hints() }).unwrap();
    assert_eq!(
        body["tools"][0]["input_schema"],
        json!({"type": "object", "properties": {"value": numbers}, "required": ["value"]})
    );
    let events = [
        begin(),
        open(0, tool_kind("a", "json_tool_call")),
        say(0, Delta::Arguments("{\"value\": [1, 2".to_owned())),
        say(0, Delta::Arguments(".50]}".to_owned())),
        close(0),
        stop(Stop::ToolUse),
        Event::End,
    ];
    let (mut stream, mut restored) = (written.restore.stream(), Vec::new());
    for event in events {
        stream.push(event, &mut restored);
    }
    assert_eq!(fold(&restored).choices[0].parts, [text("[1, 2.50]")]);
    let nothing = Request { tools: vec![tool("f", None)], ..asking(vec![user("Go.")]) };
    assert_eq!(written_tool(&nothing), json!({"type": "object", "properties": {}}));
    let list = Request { tools: vec![tool("f", Some(&numbers))], ..asking(vec![user("Go.")]) };
    assert_eq!(written_tool(&list)["properties"]["value"], numbers);
    let broken = Request { tools: vec![tool("f", Some(&json!("text")))], ..asking(vec![user("Go.")]) };
    assert_eq!(refused(&broken), "`tools[0].parameters`: expected a JSON schema");
}

fn written_tool(request: &Request) -> Value {
    written(request)["tools"][0]["input_schema"].clone()
}

#[test]
fn a_tool_of_free_text_goes_as_an_object_and_comes_back_as_text() {
    let free = Tool::Custom { name: "run".to_owned(), description: None, format: None };
    let ran = Content::ToolCall(ToolCall {
        id: "a".to_owned(),
        name: "run".to_owned(),
        arguments: "print(\"1\")\n".to_owned(),
        kind: ToolKind::Custom,
    });
    let ran = Part::from(ran);
    let request = Request {
        tools: vec![free],
        ..asking(vec![user("Go."), assistant(vec![ran.clone()]), result("a", "1")])
    };
    let (body, written, _) = try_write(&request, &hints()).unwrap();
    assert_eq!(body["messages"][1]["content"][0]["input"], json!({"input": "print(\"1\")\n"}));
    let mut response = Response {
        choices: vec![Choice {
            parts: vec![call("a", "run", r#"{"input": "print(\"1\")\n"}"#)],
            stop: Some(Stop::ToolUse),
            logprobs: None,
        }],
        ..Response::default()
    };
    written.restore.response(&mut response);
    assert_eq!(response.choices[0].parts, [ran]);
    // A reader of this dialect sees an object, whole and streamed.
    let frames = stream_of(&gatelet_wire::fold::unfold(&response));
    let streamed: String =
        frames.iter().filter_map(|frame| frame["delta"]["partial_json"].as_str()).collect();
    assert_eq!(serde_json::from_str::<Value>(&streamed).unwrap(), json!({"input": "print(\"1\")\n"}));
}

// 87
#[test]
fn a_full_context_window_is_known_as_an_error_and_as_a_reason_to_stop() {
    let body = r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"}}"#;
    let error = Anthropic.read_error(400, body.as_bytes());
    assert!(error.context_window && error.kind == ErrorKind::InvalidRequest);
    let other =
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"messages: at least one"}}"#;
    assert!(!Anthropic.read_error(400, other.as_bytes()).context_window);
    let events =
        events_of(&[start(), message_delta("model_context_window_exceeded", &json!({})), message_stop()]);
    assert_eq!(fold(&events).choices[0].stop, Some(Stop::ContextWindow));
}

// 88, 89
#[test]
fn the_status_of_an_error_wins_over_its_words() {
    let body = |word: &str| {
        format!(r#"{{"type":"error","error":{{"type":"{word}","message":"429 Too Many Requests"}}}}"#)
    };
    let read = |status, word: &str| {
        let error = Anthropic.read_error(status, body(word).as_bytes());
        (error.status, error.kind)
    };
    assert_eq!(read(400, "rate_limit_error"), (400, ErrorKind::InvalidRequest));
    assert_eq!(read(529, "overloaded_error"), (529, ErrorKind::Overloaded));
    assert_eq!(read(529, "api_error"), (529, ErrorKind::Overloaded));
    assert_eq!(read(500, "overloaded_error"), (500, ErrorKind::Overloaded));
    for (status, kind) in [
        (408, ErrorKind::Timeout),
        (424, ErrorKind::InvalidRequest),
        (503, ErrorKind::Overloaded),
        (529, ErrorKind::Overloaded),
    ] {
        assert_eq!(Anthropic.read_error(status, b"").kind, kind);
    }
    for bytes in
        [&b""[..], b"null", b"[]", b"{\"error\": 5}", b"{\"error\": \"text\"}", b"\xff\xfe", b"<html>"]
    {
        assert!(!Anthropic.read_error(500, bytes).message.is_empty());
    }
}
