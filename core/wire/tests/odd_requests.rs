//! Requests that no vendor's example shows and that callers send all the same: each dialect writes them so that it reads
//! them again, or refuses them with words that name the place. None is ever cut, hung on or met with a panic.

#![expect(clippy::panic, reason = "helpers of tests fail like tests")]
#![expect(clippy::disallowed_methods, reason = "what takes long is told by a clock")]

use std::time::{Duration, Instant};

use gatelet_wire::chat::{
    Content, Extra, Message, Part, Request, Role, Source, Tool, ToolCall, ToolKind, ToolResult,
};
use gatelet_wire::{DialectId, Json, Loss, Malformed, TargetHints};
use serde_json::json;

/// Far more than any of these takes, far less than a schema that is followed without end.
const PATIENCE: Duration = Duration::from_secs(5);

fn asking(messages: Vec<Message>) -> Request {
    Request { model: "model".to_owned(), messages, max_output_tokens: Some(100), ..Request::default() }
}

fn message(role: Role, content: Content) -> Message {
    Message { role, parts: vec![Part::from(content)], name: None, extra: Extra::default() }
}

fn text(text: impl Into<String>) -> Content {
    Content::Text { text: text.into(), citations: Vec::new() }
}

fn tool(name: impl Into<String>, schema: &serde_json::Value) -> Tool {
    Tool::Function {
        name: name.into(),
        description: Some("What it does.".to_owned()),
        parameters: Some(Json::of(schema)),
        strict: None,
        cache: None,
        extra: Extra::default(),
    }
}

/// Writes a request in each dialect and reads it there again; a refusal must name a place.
fn each(request: &Request, judge: impl Fn(DialectId, &Request)) {
    for id in DialectId::ALL.iter().copied() {
        let (dialect, begun) = (id.dialect(), Instant::now());
        match dialect.write_request(request, &TargetHints::unknown("model"), &mut Loss::default()) {
            Ok(written) => {
                let body = String::from_utf8_lossy(&written.body).into_owned();
                let again = dialect.read_request(&written.body);
                let again = again.unwrap_or_else(|error| panic!("{}: {error} in {body}", id.name()));
                judge(id, &again);
            }
            Err(Malformed::Field { path, .. }) => assert!(!path.is_empty(), "{}: names no place", id.name()),
            Err(other) => panic!("{}: refused without a place: {other}", id.name()),
        }
        assert!(begun.elapsed() < PATIENCE, "{} took {:?}", id.name(), begun.elapsed());
    }
}

#[test]
fn three_hundred_tools_all_arrive() {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let mut request = asking(vec![message(Role::User, text("Which?"))]);
    request.tools = (0..300).map(|nth| tool(format!("tool_{nth}"), &schema)).collect();
    each(&request, |id, again| assert_eq!(again.tools.len(), 300, "{}", id.name()));
}

#[test]
fn a_schema_that_refers_to_itself_is_not_followed_without_end() {
    let circles = [
        json!({"type": "object", "properties": {"next": {"$ref": "#"}}}),
        json!({
            "type": "object", "properties": {"left": {"$ref": "#/$defs/a"}, "right": {"$ref": "#/$defs/a"}},
            "$defs": {"a": {"type": "object", "properties": {"b": {"$ref": "#/$defs/b"}, "c": {"$ref": "#/$defs/b"}}},
                      "b": {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}, "d": {"$ref": "#/$defs/a"}}}},
        }),
        json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}),
        json!({"type": "object", "properties": {"x": {"$ref": "#/$defs/missing"}}}),
    ];
    for schema in circles {
        let mut request = asking(vec![message(Role::User, text("Which?"))]);
        request.tools = vec![tool("tree", &schema)];
        each(&request, |id, again| assert_eq!(again.tools.len(), 1, "{}", id.name()));
    }
}

#[test]
fn arguments_that_are_no_json_are_carried_or_refused() {
    for arguments in ["", "not json", "{\"a\":", "[1,2]", "\"text\"", "null", "{\"a\":1}{\"b\":2}"] {
        let call = ToolCall {
            id: "call_1".to_owned(),
            name: "weather".to_owned(),
            arguments: arguments.to_owned(),
            kind: ToolKind::Function,
        };
        let result = ToolResult {
            call_id: "call_1".to_owned(),
            parts: vec![Part::from(text("3 °C"))],
            is_error: false,
        };
        let mut request = asking(vec![
            message(Role::User, text("How cold?")),
            message(Role::Assistant, Content::ToolCall(call)),
            message(Role::User, Content::ToolResult(result)),
        ]);
        request.tools = vec![tool("weather", &json!({"type": "object", "properties": {}}))];
        each(&request, |id, again| {
            let parts = || again.messages.iter().flat_map(|message| &message.parts);
            let calls = parts().filter(|part| matches!(part.content, Content::ToolCall(_))).count();
            let results = parts().filter(|part| matches!(part.content, Content::ToolResult(_))).count();
            assert_eq!((calls, results), (1, 1), "{}: {arguments}", id.name());
        });
    }
}

#[test]
fn text_keeps_every_character() {
    let odd =
        "nul \0, bell \u{7}, escape \u{1b}, line \u{2028}, bom \u{feff}, \"quoted\" \\ back, 👩‍👩‍👧, \u{10ffff}";
    each(&asking(vec![message(Role::User, text(odd))]), |id, again| {
        let said: String = again
            .messages
            .iter()
            .flat_map(|message| &message.parts)
            .filter_map(|part| match &part.content {
                Content::Text { text, .. } => Some(text.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(said, odd, "{}", id.name());
    });
}

#[test]
fn a_conversation_without_words_is_written_or_refused() {
    each(&asking(Vec::new()), |_, _| ());
    each(
        &asking(vec![Message { role: Role::User, parts: Vec::new(), name: None, extra: Extra::default() }]),
        |_, _| (),
    );
    each(&asking(vec![message(Role::User, text(""))]), |_, _| ());
    each(&asking(vec![message(Role::Assistant, text("I begin."))]), |_, _| ());
    each(&asking(vec![message(Role::System, text("Only this."))]), |_, _| ());
}

#[test]
fn media_that_is_no_media_is_passed_on_or_refused() {
    for (media_type, data) in
        [("image/png", "!!! no base64 !!!"), ("", ""), ("text/html; x=\"", "AAAA"), ("x", "====")]
    {
        let source = || Source::Base64 { media_type: media_type.to_owned(), data: data.to_owned() };
        let image = Content::Image { source: source(), detail: None };
        let document = Content::Document { source: source(), title: None, context: None, citations: false };
        let audio = Content::Audio { source: source(), format: None };
        for content in [image, document, audio] {
            each_without_panic(&asking(vec![message(Role::User, content)]));
        }
    }
}

/// What is written may be refused by its own reader here: both are words, and neither is a panic.
fn each_without_panic(request: &Request) {
    for id in DialectId::ALL.iter().copied() {
        let hints = TargetHints::unknown("model");
        if let Ok(written) = id.dialect().write_request(request, &hints, &mut Loss::default()) {
            let _read_or_refused = id.dialect().read_request(&written.body);
        }
    }
}

#[test]
fn an_unknown_role_is_refused_or_kept_and_never_becomes_another() {
    let bodies = [
        (DialectId::Openai, json!({"model": "m", "messages": [{"role": "oracle", "content": "hm"}]})),
        (
            DialectId::Anthropic,
            json!({"model": "m", "max_tokens": 9, "messages": [{"role": "oracle", "content": "hm"}]}),
        ),
    ];
    for (id, body) in bodies {
        let read = id.dialect().read_request(body.to_string().as_bytes());
        assert!(matches!(read, Err(Malformed::Field { ref path, .. }) if path.contains("role")), "{read:?}");
    }
}
