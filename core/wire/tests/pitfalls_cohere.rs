//! What goes wrong with Cohere's dialect elsewhere, and must not here.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod support;

use gatelet_wire::chat::{Content, Stop};
use gatelet_wire::dialect::Reading;
use gatelet_wire::event::Delta;
use gatelet_wire::fold::fold;
use gatelet_wire::{DialectId, ErrorKind, Event, Fields, Loss, Measure, TargetHints};
use serde_json::{Value, json};
use support::{decode, dialect, encode, options};

fn read(body: &Value) -> gatelet_wire::chat::Request {
    dialect(DialectId::Cohere).read_request(body.to_string().as_bytes()).unwrap()
}

/// What an `OpenAI` caller's request becomes.
fn written(body: &Value) -> (Value, Vec<String>) {
    let request = dialect(DialectId::Openai).read_request(body.to_string().as_bytes()).unwrap();
    let mut loss = Loss::default();
    let hints = TargetHints::unknown("command-a");
    let written = dialect(DialectId::Cohere).write_request(&request, &hints, &mut loss).unwrap();
    (serde_json::from_slice(&written.body).unwrap(), loss.items().map(str::to_owned).collect())
}

fn answer(body: &Value) -> gatelet_wire::chat::Response {
    dialect(DialectId::Cohere).read_response(body.to_string().as_bytes(), Reading::default()).unwrap()
}

fn stream(events: &[Value]) -> Vec<Event> {
    let frames: Vec<String> = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    let text = frames.concat();
    let (events, error) = decode(dialect(DialectId::Cohere), Reading::default(), [text.as_bytes()]);
    assert_eq!(error, None);
    events
}

#[test]
fn billed_units_are_what_is_billed_and_not_the_templates_around_the_request() {
    let usage = json!({
        "billed_units": { "input_tokens": 37.0, "output_tokens": 28.0 },
        "tokens": { "input_tokens": 913.0, "output_tokens": 83.0 }, "cached_tokens": 144.0,
    });
    let body =
        json!({ "id": "a", "message": { "content": [] }, "usage": usage, "finish_reason": "COMPLETE" });
    let usage = answer(&body).usage;
    assert_eq!((usage.input_total(), usage.output), (37, 28));
    assert_eq!(usage.cache_read, 37, "never more than is billed");
}

#[test]
fn a_part_of_a_token_is_billed_as_a_whole_one() {
    let usage = json!({ "billed_units": { "input_tokens": 1.25, "output_tokens": 2.0 } });
    let body =
        json!({ "id": "a", "message": { "content": [] }, "usage": usage, "finish_reason": "COMPLETE" });
    assert_eq!(answer(&body).usage.input, 2);
}

#[test]
fn a_plan_is_a_thought_and_never_the_answers_text() {
    let events = stream(&[
        json!({ "type": "message-start", "id": "a", "delta": { "message": { "role": "assistant", "content": [], "tool_calls": [], "citations": [] } } }),
        json!({ "type": "tool-plan-delta", "delta": { "message": { "tool_plan": "I will look." } } }),
        json!({ "type": "tool-call-start", "index": 0, "delta": { "message": { "tool_calls": { "id": "c", "type": "function", "function": { "name": "look", "arguments": "" } } } } }),
        json!({ "type": "tool-call-end", "index": 0 }),
        json!({ "type": "message-end", "delta": { "finish_reason": "TOOL_CALL" } }),
    ]);
    let texts = events.iter().filter(|event| matches!(event, Event::Delta { delta: Delta::Text(_), .. }));
    assert_eq!(texts.count(), 0);
    let folded = fold(&events);
    let [thought, call] = folded.choices[0].parts.as_slice() else { panic!("{folded:?}") };
    assert!(matches!(&thought.content, Content::Thinking { text, .. } if text == "I will look."));
    assert!(matches!(&call.content, Content::ToolCall(call) if call.arguments == "{}"));
}

#[test]
fn calls_that_say_complete_stop_for_tools() {
    let call = json!({ "id": "c", "type": "function", "function": { "name": "look", "arguments": "{}" } });
    let body = json!({ "id": "a", "message": { "tool_calls": [call] }, "finish_reason": "COMPLETE" });
    assert_eq!(answer(&body).choices[0].stop, Some(Stop::ToolUse));
}

#[test]
fn an_answer_that_says_error_is_an_error_and_no_answer() {
    let body = json!({ "id": "a", "message": { "content": [] }, "finish_reason": "ERROR" }).to_string();
    let cohere = dialect(DialectId::Cohere);
    assert!(cohere.read_response(body.as_bytes(), Reading::default()).is_err());
    assert_eq!(cohere.hidden_error(body.as_bytes()).unwrap().status, 500);
}

#[test]
fn an_error_at_the_end_of_a_stream_makes_no_ending() {
    let events = stream(&[
        json!({ "type": "message-start", "id": "a" }),
        json!({ "type": "message-end", "delta": { "finish_reason": "ERROR", "error": "out of luck" } }),
    ]);
    assert!(matches!(events.last(), Some(Event::Error(error)) if error.message == "out of luck"));
    let (text, _) = encode(&mut *dialect(DialectId::Cohere).encoder(options()), &events);
    assert!(!text.contains("[DONE]"), "{text}");
}

#[test]
fn a_named_tool_is_the_only_one_that_is_sent_and_must_be_called() {
    let tool = |name: &str| json!({ "type": "function", "function": { "name": name } });
    let (body, loss) = written(&json!({
        "model": "m", "messages": [{ "role": "user", "content": "go" }],
        "tools": [tool("a"), tool("b")], "tool_choice": { "type": "function", "function": { "name": "b" } },
    }));
    assert_eq!(body["tools"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&body["tools"][0]["function"]["name"], &body["tool_choice"]),
        (&json!("b"), &json!("REQUIRED"))
    );
    assert_eq!(loss, [""; 0]);
}

#[test]
fn numbers_outside_of_their_ranges_are_brought_inside_and_named() {
    let (body, loss) = written(&json!({
        "model": "m", "messages": [{ "role": "user", "content": "go" }],
        "top_p": 1, "frequency_penalty": -1.5, "presence_penalty": 0.5,
    }));
    assert_eq!(
        (&body["p"], &body["frequency_penalty"], &body["presence_penalty"]),
        (&json!(0.99), &json!(0.0), &json!(0.5))
    );
    assert_eq!(loss, ["top_p", "frequency_penalty"]);
}

#[test]
fn names_of_messages_are_left_out_and_named() {
    let (body, loss) =
        written(&json!({ "model": "m", "messages": [{ "role": "user", "name": "ann", "content": "go" }] }));
    assert_eq!(body["messages"][0], json!({ "role": "user", "content": "go" }));
    assert_eq!(loss, ["messages[0].name"]);
}

#[test]
fn logprobs_of_single_tokens_are_mapped_and_of_longer_pieces_absent() {
    let body = |ids: Value, logprobs: Value| {
        json!({ "id": "a", "message": { "content": [{ "type": "text", "text": "Hi" }] }, "finish_reason": "COMPLETE",
            "logprobs": [{ "text": "Hi", "token_ids": ids, "logprobs": logprobs }] })
    };
    let mapped = answer(&body(json!([7]), json!([-0.5]))).choices[0].logprobs.clone().unwrap().to_value();
    assert_eq!(mapped["content"][0]["token"], "Hi");
    assert_eq!(mapped["content"][0]["logprob"], -0.5);
    assert_eq!(answer(&body(json!([7, 8]), json!([-0.5, -1]))).choices[0].logprobs, None);
}

#[test]
fn citations_count_characters_of_the_text_that_they_stand_in() {
    let citation = json!({ "start": 3, "end": 4, "text": "🦀", "type": "TEXT_CONTENT", "sources": [
        { "type": "document", "id": "d", "document": { "title": "Crabs", "url": "https://example.com" } },
        { "type": "document", "id": "e", "document": { "title": "More" } }] });
    let body = json!({ "id": "a", "finish_reason": "COMPLETE",
        "message": { "content": [{ "type": "text", "text": "日本 🦀" }], "citations": [citation.clone()] } });
    let response = answer(&body);
    let Content::Text { citations, .. } = &response.choices[0].parts[0].content else {
        panic!("{response:?}")
    };
    assert_eq!(citations.len(), 2, "one for each source");
    assert_eq!((citations[0].start, citations[0].end), (Some(3), Some(4)));
    let again: Value =
        serde_json::from_slice(&dialect(DialectId::Cohere).write_response(&response, &mut Loss::default()))
            .unwrap();
    assert_eq!(again["message"]["citations"], json!([citation]), "as it was said, once");
}

#[test]
fn documents_of_a_request_reach_models_that_know_no_such_field() {
    let request = read(&json!({ "model": "m", "messages": [{ "role": "user", "content": "Where?" }],
        "documents": ["Here.", { "id": "d", "data": { "title": "T", "text": "There." } }, { "data": { "x": 1 } }] }));
    let hints = TargetHints::unknown("gpt");
    let written = dialect(DialectId::Openai).write_request(&request, &hints, &mut Loss::default()).unwrap();
    let text = String::from_utf8(written.body).unwrap();
    for said in ["Here.", "There.", "\\\"x\\\":1", "Where?"] {
        assert!(text.contains(said), "{said} in {text}");
    }
}

#[test]
fn its_own_status_for_an_invalid_token_is_authentication() {
    let error = dialect(DialectId::Cohere).read_error(498, br#"{"message":"invalid token"}"#);
    assert_eq!(error.kind, ErrorKind::Authentication);
}

fn measured(body: &Value) -> Measure {
    let body = body.to_string();
    Measure::of(DialectId::Cohere, &Fields::read(body.as_bytes()).unwrap())
}

#[test]
fn an_image_that_is_sent_along_is_bounded_as_an_image() {
    let image = format!("data:image/png;base64,{}", "A".repeat(40_000));
    let measured = measured(&json!({ "model": "m", "messages": [{ "role": "user", "content": [
        { "type": "text", "text": "What?" }, { "type": "image_url", "image_url": { "url": image } }] }] }));
    assert_eq!(measured.images, 1);
    assert!(measured.text_bytes < 1_000, "{measured:?}");
}

#[test]
fn documents_are_text_and_bounded_as_text_whatever_their_fields_are_called() {
    let text = "word ".repeat(1_000);
    let measured = measured(&json!({ "model": "m", "messages": [
        { "role": "user", "content": "Where?" },
        { "role": "tool", "tool_call_id": "c", "content": [{ "type": "document", "document": { "data": { "data": text } } }] },
    ], "documents": [{ "data": { "url": text } }] }));
    assert_eq!(measured.documents, 0);
    assert!(measured.text_bytes > 10_000, "{measured:?}");
}
