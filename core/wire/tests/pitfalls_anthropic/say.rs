//! What these tests say with.
#![expect(clippy::panic, reason = "helpers of tests fail like tests")]

use crate::support::{decode, encode, options};
use gatelet_wire::chat::{
    Content, Extra, Format, Message, Part, Request, Role, Stop, Tool, ToolCall, ToolKind, ToolResult,
};
use gatelet_wire::dialect::Reading;
use gatelet_wire::event::{Delta, Grammar, PartKind};
use gatelet_wire::{
    Dialect, Event, Json, Loss, Malformed, TargetHints, Written, dialect::anthropic::Anthropic,
};
use serde_json::{Value, json};

pub(crate) fn text(text: &str) -> Part {
    Content::Text { text: text.to_owned(), citations: Vec::new() }.into()
}

pub(crate) fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, parts, name: None, extra: Extra::default() }
}

pub(crate) fn user(said: &str) -> Message {
    message(Role::User, vec![text(said)])
}

pub(crate) fn assistant(parts: Vec<Part>) -> Message {
    message(Role::Assistant, parts)
}

pub(crate) fn call(id: &str, name: &str, arguments: &str) -> Part {
    Content::ToolCall(ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
        kind: ToolKind::Function,
    })
    .into()
}

pub(crate) fn result(id: &str, said: &str) -> Message {
    let parts = vec![text(said)];
    let result = Content::ToolResult(ToolResult { call_id: id.to_owned(), parts, is_error: false });
    message(Role::User, vec![result.into()])
}

pub(crate) fn thinking(said: &str, signature: Option<&str>) -> Part {
    Content::Thinking { text: said.to_owned(), signature: signature.map(str::to_owned) }.into()
}

pub(crate) fn tool(name: &str, parameters: Option<&Value>) -> Tool {
    Tool::Function {
        name: name.to_owned(),
        description: None,
        parameters: parameters.map(Json::of),
        strict: None,
        cache: None,
        extra: Extra::default(),
    }
}

pub(crate) fn asking(messages: Vec<Message>) -> Request {
    Request { model: "claude".to_owned(), messages, max_output_tokens: Some(2000), ..Request::default() }
}

pub(crate) fn schema(schema: &Value) -> Format {
    Format::JsonSchema { name: None, description: None, schema: Json::of(schema), strict: None }
}

pub(crate) fn hints() -> TargetHints {
    TargetHints { max_output_tokens: Some(8192), ..TargetHints::unknown("claude") }
}

pub(crate) fn try_write(request: &Request, hints: &TargetHints) -> Result<(Value, Written, Loss), Malformed> {
    let mut loss = Loss::default();
    let written = Anthropic.write_request(request, hints, &mut loss)?;
    Ok((serde_json::from_slice(&written.body).unwrap_or_default(), written, loss))
}

#[track_caller]
pub(crate) fn write_for(request: &Request, hints: &TargetHints) -> (Value, Vec<String>) {
    match try_write(request, hints) {
        Ok((body, _, loss)) => (body, loss.items().map(str::to_owned).collect()),
        Err(error) => panic!("{error}"),
    }
}

#[track_caller]
pub(crate) fn written(request: &Request) -> Value {
    write_for(request, &hints()).0
}

#[track_caller]
pub(crate) fn refused(request: &Request) -> String {
    match try_write(request, &hints()) {
        Ok((body, ..)) => panic!("not refused: {body}"),
        Err(error) => error.to_string(),
    }
}

pub(crate) fn read_stream(events: &[Value]) -> (Vec<Event>, Option<Malformed>) {
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
    decode(&Anthropic, Reading::default(), [text.as_bytes()])
}

#[track_caller]
pub(crate) fn events_of(events: &[Value]) -> Vec<Event> {
    let (events, error) = read_stream(events);
    assert_eq!(error, None);
    assert_eq!(Grammar::check(&events), Ok(()));
    events
}

pub(crate) fn message_start(usage: &Value) -> Value {
    json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant",
        "model": "claude", "content": [], "stop_reason": null, "stop_sequence": null, "usage": usage}})
}

pub(crate) fn start() -> Value {
    message_start(&json!({"input_tokens": 5, "output_tokens": 1}))
}

pub(crate) fn block(index: u32, block: &Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

pub(crate) fn delta(index: u32, delta: &Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

pub(crate) fn block_stop(index: u32) -> Value {
    json!({"type": "content_block_stop", "index": index})
}

pub(crate) fn message_delta(reason: &str, usage: &Value) -> Value {
    json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null}, "usage": usage})
}

pub(crate) fn message_stop() -> Value {
    json!({"type": "message_stop"})
}

/// What a caller of this dialect reads of these events, frame by frame.
#[track_caller]
pub(crate) fn stream_of(events: &[Event]) -> Vec<Value> {
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

pub(crate) fn types(frames: &[Value]) -> Vec<&str> {
    frames.iter().filter_map(|frame| frame["type"].as_str()).collect()
}

pub(crate) fn begin() -> Event {
    Event::Start { id: "x".to_owned(), model: "m".to_owned(), created: None }
}

pub(crate) fn open(part: u32, kind: PartKind) -> Event {
    Event::PartStart { choice: 0, part, kind, extra: Extra::default() }
}

pub(crate) fn say(part: u32, delta: Delta) -> Event {
    Event::Delta { choice: 0, part, delta }
}

pub(crate) fn close(part: u32) -> Event {
    Event::PartStop { choice: 0, part }
}

pub(crate) fn stop(stop: Stop) -> Event {
    Event::Stop { choice: 0, stop }
}

pub(crate) fn tool_kind(id: &str, name: &str) -> PartKind {
    PartKind::ToolCall { id: id.to_owned(), name: name.to_owned(), kind: ToolKind::Function }
}
