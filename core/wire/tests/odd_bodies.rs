//! Bodies and streams that no client of a vendor sends and strangers do, in the words of each of the seven dialects: each
//! is a clear refusal or a faithful pass, and never a panic or a silence.

#![expect(clippy::expect_used, reason = "tests may")]

mod support;

use gatelet_wire::chat::{Content, Role};
use gatelet_wire::dialect::Reading;
use gatelet_wire::frame::Framing;
use gatelet_wire::{DialectId, Event, Loss, Malformed, TargetHints};
use serde_json::{Value, json};
use support::{Fixture, decode, dialect, fixtures, framed};

/// A request in a dialect's words, of one turn.
fn asking(id: DialectId, role: &str, content: &Value) -> Value {
    match id {
        DialectId::Openai | DialectId::Cohere => {
            json!({ "model": "m", "messages": [{ "role": role, "content": content }] })
        }
        DialectId::Ollama => {
            json!({ "model": "m", "stream": false, "messages": [{ "role": role, "content": content }] })
        }
        DialectId::Anthropic => {
            json!({ "model": "m", "max_tokens": 9, "messages": [{ "role": role, "content": content }] })
        }
        DialectId::OpenaiResponses => {
            json!({ "model": "m", "input": [{ "role": role, "content": content }] })
        }
        DialectId::Gemini => json!({ "model": "m", "contents": [{ "role": role, "parts": content }] }),
        DialectId::Bedrock => json!({ "model": "m", "messages": [{ "role": role, "content": content }] }),
    }
}

/// Words, as a dialect has them in a turn.
fn words(id: DialectId, text: &str) -> Value {
    match id {
        DialectId::Gemini | DialectId::Bedrock => json!([{ "text": text }]),
        _ => json!(text),
    }
}

/// An image with these bytes in base64, as a dialect has it.
fn image(id: DialectId, media_type: &str, data: &str) -> Value {
    let uri = format!("data:{media_type};base64,{data}");
    match id {
        DialectId::Openai | DialectId::Cohere => {
            json!([{ "type": "image_url", "image_url": { "url": uri } }])
        }
        DialectId::OpenaiResponses => json!([{ "type": "input_image", "image_url": uri }]),
        DialectId::Anthropic => {
            json!([{ "type": "image", "source": { "type": "base64", "media_type": media_type, "data": data } }])
        }
        DialectId::Gemini => json!([{ "inlineData": { "mimeType": media_type, "data": data } }]),
        DialectId::Bedrock => json!([{ "image": { "format": "png", "source": { "bytes": data } } }]),
        DialectId::Ollama => json!("look"),
    }
}

/// One tool with these parameters, as a dialect declares it.
fn tools(id: DialectId, count: usize, schema: &Value) -> (&'static str, Value) {
    let names = (0..count).map(|nth| format!("tool_{nth}"));
    match id {
        DialectId::Openai | DialectId::Cohere | DialectId::Ollama => (
            "tools",
            names
                .map(|name| json!({ "type": "function", "function": { "name": name, "description": "d", "parameters": schema } }))
                .collect(),
        ),
        DialectId::OpenaiResponses => (
            "tools",
            names.map(|name| json!({ "type": "function", "name": name, "parameters": schema })).collect(),
        ),
        DialectId::Anthropic => {
            ("tools", names.map(|name| json!({ "name": name, "input_schema": schema })).collect())
        }
        DialectId::Gemini => {
            let declared: Value =
                names.map(|name| json!({ "name": name, "parametersJsonSchema": schema })).collect();
            ("tools", json!([{ "functionDeclarations": declared }]))
        }
        DialectId::Bedrock => {
            let declared: Value = names
                .map(|name| json!({ "toolSpec": { "name": name, "description": "d", "inputSchema": { "json": schema } } }))
                .collect();
            ("toolConfig", json!({ "tools": declared }))
        }
    }
}

/// A conversation in which a tool was called with these arguments, which are text or not as the dialect has it.
fn called(id: DialectId, arguments: &Value) -> Value {
    let text = arguments.as_str().map_or_else(|| arguments.to_string(), str::to_owned);
    let turn = |content: Value| json!({ "role": "user", "content": content });
    let function = json!({ "name": "f", "arguments": text });
    match id {
        DialectId::Openai | DialectId::Cohere => json!({ "model": "m", "messages": [
            turn(json!("go")),
            { "role": "assistant", "tool_calls": [{ "id": "c1", "type": "function", "function": function }] },
            { "role": "tool", "tool_call_id": "c1", "content": "ok" },
        ] }),
        DialectId::Ollama => json!({ "model": "m", "stream": false, "messages": [
            turn(json!("go")),
            { "role": "assistant", "content": "", "tool_calls": [{ "function": { "name": "f", "arguments": arguments } }] },
            { "role": "tool", "tool_name": "f", "content": "ok" },
        ] }),
        DialectId::OpenaiResponses => json!({ "model": "m", "input": [
            turn(json!("go")),
            { "type": "function_call", "call_id": "c1", "name": "f", "arguments": text },
            { "type": "function_call_output", "call_id": "c1", "output": "ok" },
        ] }),
        DialectId::Anthropic => json!({ "model": "m", "max_tokens": 9, "messages": [
            turn(json!("go")),
            { "role": "assistant", "content": [{ "type": "tool_use", "id": "c1", "name": "f", "input": arguments }] },
            turn(json!([{ "type": "tool_result", "tool_use_id": "c1", "content": "ok" }])),
        ] }),
        DialectId::Gemini => json!({ "model": "m", "contents": [
            { "role": "user", "parts": [{ "text": "go" }] },
            { "role": "model", "parts": [{ "functionCall": { "name": "f", "args": arguments } }] },
            { "role": "user", "parts": [{ "functionResponse": { "name": "f", "response": { "a": 1 } } }] },
        ] }),
        DialectId::Bedrock => json!({ "model": "m", "messages": [
            turn(json!([{ "text": "go" }])),
            { "role": "assistant", "content": [{ "toolUse": { "toolUseId": "c1", "name": "f", "input": arguments } }] },
            turn(json!([{ "toolResult": { "toolUseId": "c1", "content": [{ "text": "ok" }] } }])),
        ] }),
    }
}

/// As [`everywhere`], for what a vendor will judge by looking inside: what is passed on may be refused by its reader.
fn judged(id: DialectId, body: &Value) {
    let Ok(request) = dialect(id).read_request(body.to_string().as_bytes()) else { return };
    for to in DialectId::ALL.iter().copied() {
        let hints = TargetHints::unknown("anthropic.claude-v1:0");
        let refusals = match dialect(to).write_request(&request, &hints, &mut Loss::default()) {
            Ok(written) => dialect(to).read_request(&written.body).err(),
            Err(refused) => Some(refused),
        };
        let written = refusals.is_none();
        // This vendor's clients decode what is said to be bytes, so that garbage never gets there.
        assert!(!(written && to == DialectId::Bedrock && body.to_string().contains("!!!")), "{}", id.name());
        if let Some(refused) = refusals {
            assert!(matches!(&refused, Malformed::Field { .. }), "{} to {}: {refused}", id.name(), to.name());
        }
    }
}

/// Reads a body, and writes it in every dialect: a refusal names a place, and what is written can be read.
fn everywhere(id: DialectId, body: &Value) -> Result<gatelet_wire::chat::Request, Malformed> {
    let request = dialect(id).read_request(body.to_string().as_bytes())?;
    for to in DialectId::ALL.iter().copied() {
        let hints = TargetHints::unknown("anthropic.claude-v1:0");
        match dialect(to).write_request(&request, &hints, &mut Loss::default()) {
            Ok(written) => {
                let again = dialect(to).read_request(&written.body);
                assert!(again.is_ok(), "{} to {}: {again:?}", id.name(), to.name());
            }
            Err(refused) => assert!(
                matches!(&refused, Malformed::Field { path, .. } if !path.is_empty()),
                "{} to {}: {refused}",
                id.name(),
                to.name()
            ),
        }
    }
    Ok(request)
}

fn all() -> impl Iterator<Item = DialectId> {
    DialectId::ALL.iter().copied()
}

#[test]
fn an_unknown_role_is_refused_at_its_place_in_every_dialect() {
    for id in all() {
        let read = everywhere(id, &asking(id, "oracle", &words(id, "hm")));
        assert!(
            matches!(&read, Err(Malformed::Field { path, .. }) if path.ends_with("role")),
            "{}: {read:?}",
            id.name()
        );
    }
}

#[test]
fn a_conversation_of_no_turns_or_empty_ones_is_refused_or_written_in_every_dialect() {
    for id in all() {
        for content in [words(id, ""), json!([]), Value::Null] {
            let _read_or_refused = everywhere(id, &asking(id, "user", &content));
        }
        let mut none = asking(id, "user", &words(id, "hi"));
        let list = ["messages", "contents", "input"].into_iter().find(|name| none.get(name).is_some());
        let list = list.expect("a list of turns");
        none[list] = json!([]);
        let _read_or_refused = everywhere(id, &none);
        for wrong in [json!(7), json!({ "a": 1 }), json!([7]), json!([[]]), json!([null])] {
            none[list] = wrong.clone();
            // One dialect takes one turn for a list of one, another bare text.
            let lenient = id == DialectId::Gemini && wrong.is_object();
            assert!(everywhere(id, &none).is_err() || lenient, "{}: {wrong}", id.name());
        }
    }
}

#[test]
fn a_nul_and_every_other_odd_character_arrives_as_it_was_sent() {
    let odd = "nul \0, bell \u{7}, del \u{7f}, line \u{2028}, bom \u{feff}, \u{10ffff}, \"\\";
    for id in all() {
        let request = everywhere(id, &asking(id, "user", &words(id, odd)));
        let said = request.map(|request| {
            let parts = request.messages.into_iter().flat_map(|message| message.parts);
            let texts = parts.filter_map(|part| match part.content {
                Content::Text { text, .. } => Some(text),
                _ => None,
            });
            texts.collect::<String>()
        });
        assert_eq!(said.as_deref(), Ok(odd), "{}", id.name());
    }
}

#[test]
fn media_of_a_wrong_type_and_garbage_for_base64_are_refused_or_passed_in_every_dialect() {
    for id in all() {
        for (media_type, data) in [
            ("image/png", "!!! no base64 !!!"),
            ("image/png", ""),
            ("image/png", "===="),
            ("application/x-msdownload", "TVqQAAMAAAAE"),
            ("", "AAAA"),
            ("image/png; x=\"", "iVBORw0KGgo="),
            ("text/html", "PGI+"),
        ] {
            judged(id, &asking(id, "user", &image(id, media_type, data)));
        }
    }
}

#[test]
fn arguments_that_are_no_object_are_refused_or_carried_in_every_dialect() {
    for id in all() {
        for arguments in [
            json!("not json"),
            json!("{\"a\":"),
            json!(""),
            json!("null"),
            json!("[1]"),
            json!("{\"a\":1}{\"b\":2}"),
            json!([1]),
            json!(7),
            Value::Null,
        ] {
            let read = everywhere(id, &called(id, &arguments));
            if let Ok(request) = read {
                let calls = request.messages.iter().filter(|message| message.role == Role::Assistant);
                let calls = calls.flat_map(|message| &message.parts);
                let calls = calls.filter(|part| matches!(part.content, Content::ToolCall(_))).count();
                assert_eq!(calls, 1, "{}: {arguments}", id.name());
            }
        }
    }
}

#[test]
fn three_hundred_tools_and_schemas_in_circles_are_written_or_refused_in_every_dialect() {
    let circle = json!({ "type": "object", "properties": { "next": { "$ref": "#/$defs/node" } },
        "$defs": { "node": { "type": "object", "properties": { "next": { "$ref": "#/$defs/node" } } } } });
    let plain = json!({ "type": "object", "properties": { "a": { "type": "string" } } });
    for id in all() {
        for (count, schema) in [(300, &plain), (3, &circle)] {
            let mut body = asking(id, "user", &words(id, "go"));
            let (field, declared) = tools(id, count, schema);
            body[field] = declared;
            let read = everywhere(id, &body).map(|request| request.tools.len());
            assert_eq!(read, Ok(count), "{}", id.name());
        }
    }
}

#[test]
fn a_tool_without_a_name_is_refused_in_every_dialect() {
    for id in all() {
        let mut body = asking(id, "user", &words(id, "go"));
        let (field, declared) = tools(id, 1, &json!({ "type": "object", "properties": {} }));
        let nameless = declared.to_string().replace("\"tool_0\"", "\"\"");
        body[field] = serde_json::from_str(&nameless).unwrap_or_default();
        let read = everywhere(id, &body);
        assert!(
            matches!(&read, Err(Malformed::Field { path, .. }) if path.contains("name")),
            "{}: {read:?}",
            id.name()
        );
    }
}

#[test]
fn a_body_that_says_a_field_twice_or_is_no_object_is_refused_in_every_dialect() {
    for id in all() {
        let body = asking(id, "user", &words(id, "go")).to_string();
        let twice = body.replacen('{', "{\"temperature\":0,\"temperature\":1,", 1);
        let read = dialect(id).read_request(twice.as_bytes());
        assert!(read.is_err(), "{}", id.name());
        for wrong in ["", "[]", "null", "7", "\"text\"", "{", "{\"model\":}", "\u{feff}{}"] {
            assert!(dialect(id).read_request(wrong.as_bytes()).is_err(), "{}: {wrong}", id.name());
        }
        assert!(dialect(id).read_request(b"{\"model\":\"\xff\"}").is_err(), "{}", id.name());
    }
}

/// A dialect's stream of plain text, and where its first frame ends.
fn text_stream(id: DialectId) -> (Fixture, usize) {
    let mut streams = fixtures(id, "stream").into_iter();
    let stream = streams.find(|fixture| fixture.case == "text").expect("each has one");
    let bytes = &stream.bytes;
    let after =
        |end: &[u8]| bytes.windows(end.len()).position(|window| window == end).map(|at| at + end.len());
    let end = match dialect(id).conventions().framing {
        Framing::Sse => after(b"\n\n").or_else(|| after(b"\r\n\r\n")),
        Framing::Ndjson => after(b"\n"),
        Framing::EventStream => bytes.first_chunk::<4>().map(|length| u32::from_be_bytes(*length) as usize),
    };
    let end = end.expect("it has a frame");
    (stream, end)
}

#[test]
fn an_event_of_an_unknown_type_changes_nothing_that_is_known_in_every_dialect() {
    for id in all() {
        let (stream, end) = text_stream(id);
        let framing = dialect(id).conventions().framing;
        let (known, error) = decode(dialect(id), Reading::default(), [stream.bytes.as_slice()]);
        assert_eq!(error, None, "{}", id.name());
        for (name, data) in [
            ("vendor.novelty", r#"{"type":"vendor.novelty","of":{"tomorrow":[1,2]}}"#),
            ("noveltyEvent", r#"{"anything":null}"#),
        ] {
            let mut bytes = stream.bytes.clone();
            bytes.splice(end..end, framed(framing, name, data));
            let (mut events, error) = decode(dialect(id), Reading::default(), [bytes.as_slice()]);
            assert_eq!(error, None, "{}: {data}", id.name());
            events.retain(|event| !matches!(event, Event::Foreign { .. }));
            let mut wanted = known.clone();
            wanted.retain(|event| !matches!(event, Event::Foreign { .. }));
            assert_eq!(events, wanted, "{}: {data}", id.name());
        }
    }
}

#[test]
fn a_frame_with_a_wrong_checksum_or_length_is_an_error_and_makes_no_ending() {
    let (stream, end) = text_stream(DialectId::Bedrock);
    let here = dialect(DialectId::Bedrock);
    // Each byte of the second frame: its lengths, both checksums, headers and data.
    let second = stream.bytes.get(end..).and_then(|rest| rest.first_chunk::<4>());
    let length = second.map_or(0, |length| u32::from_be_bytes(*length) as usize);
    assert!(length > 16);
    for at in end..end + length {
        for bit in [1_u8, 0x80] {
            let mut bytes = stream.bytes.clone();
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= bit;
            }
            let (events, error) = decode(here, Reading::default(), [bytes.as_slice()]);
            assert!(error.is_some(), "byte {at}, bit {bit}");
            assert!(!events.contains(&Event::End), "byte {at}, bit {bit}");
        }
    }
    for length in [0_u32, 1, 15, u32::MAX] {
        let mut bytes = stream.bytes.clone();
        bytes.splice(end..end + 4, length.to_be_bytes());
        let (events, error) = decode(here, Reading::default(), [bytes.as_slice()]);
        assert!(error.is_some() && !events.contains(&Event::End), "{length}");
    }
}
