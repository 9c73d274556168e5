//! What goes wrong with Ollama's dialect elsewhere, and must not here.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod support;

use gatelet_wire::chat::{Content, Stop};
use gatelet_wire::dialect::{Addressed, Reading};
use gatelet_wire::fold::fold;
use gatelet_wire::{DialectId, ErrorKind, Event, Fields, Loss, Malformed, Measure, TargetHints};
use serde_json::{Value, json};
use support::{decode, dialect, encode, options};

fn written(from: DialectId, body: &Value) -> Result<(Value, Vec<String>), Malformed> {
    let request = dialect(from).read_request(body.to_string().as_bytes()).unwrap();
    let mut loss = Loss::default();
    let hints = TargetHints::unknown("qwen3");
    let written = dialect(DialectId::Ollama).write_request(&request, &hints, &mut loss)?;
    Ok((serde_json::from_slice(&written.body).unwrap(), loss.items().map(str::to_owned).collect()))
}

fn stream(lines: &[Value], reading: Reading) -> Vec<Event> {
    let lines: Vec<String> = lines.iter().map(|line| format!("{line}\n")).collect();
    let (events, error) = decode(dialect(DialectId::Ollama), reading, [lines.concat().as_bytes()]);
    assert_eq!(error, None);
    events
}

#[test]
fn a_request_that_says_nothing_of_a_stream_wants_one_and_ours_always_say_it() {
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] }).to_string();
    let fields = Fields::read(body.as_bytes()).unwrap();
    let nowhere = Addressed::default();
    assert!(dialect(DialectId::Ollama).peek(&fields, &nowhere).unwrap().stream);
    let openai = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] });
    assert_eq!(written(DialectId::Openai, &openai).unwrap().0["stream"], json!(false));
}

#[test]
fn the_cap_on_output_is_an_option_and_one_below_zero_is_none() {
    let peek = |cap: i64| {
        let body = json!({ "model": "m", "messages": [], "options": { "num_predict": cap } }).to_string();
        let fields = Fields::read(body.as_bytes()).unwrap();
        dialect(DialectId::Ollama).peek(&fields, &Addressed::default()).unwrap().max_output
    };
    assert_eq!((peek(100), peek(-1), peek(-2)), (Some(100), None, None));
}

#[test]
fn an_error_line_in_a_stream_is_an_error_with_its_status() {
    let events = stream(&[json!({ "error": "model 'x' not found" })], Reading::default());
    let [Event::Error(error)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((error.kind, error.status), (ErrorKind::NotFound, 404));
}

#[test]
fn a_choice_among_tools_is_never_sent_for_older_servers_hang_on_it() {
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }],
        "tools": [{ "type": "function", "function": { "name": "a" } }], "tool_choice": "required" });
    let (body, loss) = written(DialectId::Openai, &body).unwrap();
    assert_eq!(body.get("tool_choice"), None);
    assert_eq!(loss, ["tool_choice"]);
}

#[test]
fn calls_that_say_stop_stop_for_tools_and_arguments_are_objects_on_this_side_alone() {
    let call = json!({ "function": { "name": "look", "arguments": { "at": 1.10 } } });
    let events = stream(
        &[
            json!({ "model": "m", "message": { "role": "assistant", "content": "", "tool_calls": [call] }, "done": false }),
            json!({ "model": "m", "message": { "role": "assistant", "content": "" }, "done": true, "done_reason": "stop" }),
        ],
        Reading::default(),
    );
    let response = fold(&events);
    assert_eq!(response.choices[0].stop, Some(Stop::ToolUse));
    let Content::ToolCall(call) = &response.choices[0].parts[0].content else { panic!("{response:?}") };
    assert_eq!(call.arguments, r#"{"at":1.1}"#);
    assert!(!call.id.is_empty());
    let (text, _) = encode(&mut *dialect(DialectId::Ollama).encoder(options()), &events);
    assert!(text.contains(r#""arguments":{"at":1.1}"#), "{text}");
}

#[test]
fn a_result_without_an_id_answers_the_call_of_its_tool() {
    let call = |name: &str| json!({ "function": { "name": name, "arguments": {} } });
    let body = json!({ "model": "m", "messages": [
        { "role": "user", "content": "go" },
        { "role": "assistant", "content": "", "tool_calls": [call("a"), call("b")] },
        { "role": "tool", "tool_name": "b", "content": "B" },
        { "role": "tool", "tool_name": "a", "content": "A" },
    ] });
    let request = dialect(DialectId::Ollama).read_request(body.to_string().as_bytes()).unwrap();
    let calls: Vec<_> = request.messages[1]
        .parts
        .iter()
        .filter_map(|part| match &part.content {
            Content::ToolCall(call) => Some((call.name.clone(), call.id.clone())),
            _ => None,
        })
        .collect();
    let results: Vec<_> = request.messages[2]
        .parts
        .iter()
        .filter_map(|part| match &part.content {
            Content::ToolResult(result) => Some(result.call_id.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(results, [calls[1].1.clone(), calls[0].1.clone()]);
}

#[test]
fn a_cached_prompt_says_no_count_and_is_none() {
    let done = json!({ "model": "m", "message": { "role": "assistant", "content": "hi" }, "done": true,
        "done_reason": "stop", "eval_count": 3 });
    let answer =
        dialect(DialectId::Ollama).read_response(done.to_string().as_bytes(), Reading::default()).unwrap();
    assert_eq!((answer.usage.input, answer.usage.output), (0, 3));
}

#[test]
fn a_model_that_was_only_loaded_has_not_answered_and_may_when_asked_again() {
    let body = json!({ "model": "m", "message": { "role": "assistant", "content": "" }, "done": true, "done_reason": "load" }).to_string();
    let ollama = dialect(DialectId::Ollama);
    assert!(ollama.read_response(body.as_bytes(), Reading::default()).is_err());
    assert_eq!(ollama.hidden_error(body.as_bytes()).unwrap().kind, ErrorKind::Overloaded);
}

#[test]
fn thoughts_between_tags_are_no_content_where_a_model_writes_them_there() {
    let line = |text: &str| json!({ "model": "m", "message": { "role": "assistant", "content": text }, "done": false });
    let lines = [
        line("<thi"),
        line("nk>hm</think>\n\n"),
        line("four"),
        json!({ "model": "m", "message": { "role": "assistant", "content": "" }, "done": true, "done_reason": "stop" }),
    ];
    let reading = Reading { think_tags: true, ..Reading::default() };
    let response = fold(&stream(&lines, reading));
    let [thought, text] = response.choices[0].parts.as_slice() else { panic!("{response:?}") };
    assert!(matches!(&thought.content, Content::Thinking { text, .. } if text == "hm"));
    assert!(matches!(&text.content, Content::Text { text, .. } if text == "four"));
}

#[test]
fn an_image_that_is_only_named_is_refused_with_its_place() {
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": [
        { "type": "text", "text": "What?" },
        { "type": "image_url", "image_url": { "url": "https://example.com/a.png" } }] }] });
    let error = written(DialectId::Openai, &body).unwrap_err();
    assert!(error.to_string().starts_with("`messages[0].content[1]`"), "{error}");
}

#[test]
fn arguments_that_are_no_object_are_wrapped_for_callers_and_refused_for_upstreams() {
    let bad = json!({ "model": "m", "messages": [{ "role": "user", "content": "go" },
        { "role": "assistant", "tool_calls": [{ "id": "c", "type": "function", "function": { "name": "a", "arguments": "{\"x" } }] },
        { "role": "tool", "tool_call_id": "c", "content": "r" }] });
    assert!(written(DialectId::Openai, &bad).is_err());
}

#[test]
fn every_bare_image_is_bounded_as_one_and_not_as_text() {
    let image = "A".repeat(40_000);
    let body = json!({ "model": "m", "messages": [{ "role": "user", "content": "What?", "images": [image, image] }] });
    let body = body.to_string();
    let measured = Measure::of(DialectId::Ollama, &Fields::read(body.as_bytes()).unwrap());
    assert_eq!(measured.images, 2);
    assert!(measured.text_bytes < 1_000, "{measured:?}");
    // Elsewhere nobody knows such a field, so that it takes nothing off.
    let elsewhere = Measure::of(DialectId::Openai, &Fields::read(body.as_bytes()).unwrap());
    assert!(elsewhere.text_bytes > 80_000, "{elsewhere:?}");
}
