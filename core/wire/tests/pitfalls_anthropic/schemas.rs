//! Schemas, tools that stand for something else, and errors.

use gatelet_wire::chat::{Choice, Content, Part, Request, Response, Stop, Tool, ToolCall, ToolKind};
use gatelet_wire::event::{Delta, Grammar};
use gatelet_wire::fold::fold;
use gatelet_wire::{Dialect, ErrorKind, Event, TargetHints, dialect::anthropic::Anthropic};
use serde_json::{Value, json};

use crate::say::*;

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
