use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

fn read(said: Value) -> Result<Prompt, Wrong> {
    let Value::Object(said) = said else { panic!("no object: {said}") };
    Prompt::read(said)
}

fn values(values: Value) -> Map<String, Value> {
    let Value::Object(values) = values else { panic!("no object: {values}") };
    values
}

fn greeting() -> Value {
    json!({
        "messages": [
            { "role": "system", "content": "In {{ city }}, {{n}} times, {{loud}}: {{words}} \\{{city}}" },
            { "role": "user", "content": [{ "type": "text", "text": "{{city}}!" }] },
        ],
        "variables": {
            "city": { "type": "string", "max_length": 10 },
            "n": { "type": "integer", "minimum": 1, "maximum": 9, "default": 3 },
            "loud": { "type": "boolean", "default": false },
            "words": { "type": "list", "max_items": 3, "default": ["a", "b"] },
        },
    })
}

fn said(prompt: &Prompt, given: Value) -> Result<Value, Wrong> {
    let body = prompt.say(&values(given), DialectId::Openai, 1 << 20, &mut Loss::default())?;
    Ok(serde_json::from_slice(&body).unwrap())
}

#[test]
fn values_stand_in_their_places_and_defaults_where_none_is_given() {
    let prompt = read(greeting()).unwrap();
    let body = said(&prompt, json!({ "city": "Rome", "loud": true })).unwrap();
    assert_eq!(body["messages"][0]["content"], "In Rome, 3 times, true: a, b {{city}}");
    assert_eq!(body["messages"][1]["content"][0]["text"], "Rome!");
    assert_eq!(body["messages"].as_array().unwrap().len(), 2);
}

#[test]
fn what_is_missing_too_much_or_of_another_type_is_named() {
    let prompt = read(greeting()).unwrap();
    for (given, param) in [
        (json!({}), "city"),
        (json!({ "city": null }), "city"),
        (json!({ "city": "x".repeat(11) }), "city"),
        (json!({ "city": "x".repeat(1 << 20) }), "city"),
        (json!({ "city": 5 }), "city"),
        (json!({ "city": "a", "n": 0 }), "n"),
        (json!({ "city": "a", "n": 1.5 }), "n"),
        (json!({ "city": "a", "n": "1" }), "n"),
        (json!({ "city": "a", "loud": "yes" }), "loud"),
        (json!({ "city": "a", "words": ["1", "2", "3", "4"] }), "words"),
        (json!({ "city": "a", "words": [1] }), "words"),
        (json!({ "city": "a", "ctiy": "b" }), "ctiy"),
    ] {
        let wrong = said(&prompt, given.clone()).unwrap_err();
        assert_eq!(wrong.param, format!("prompt_variables.{param}"), "{given}");
    }
    // Ten letters of four bytes each are ten.
    said(&prompt, json!({ "city": "\u{1f600}".repeat(10) })).unwrap();
}

#[test]
fn what_is_no_prompt_is_refused_with_its_place() {
    let with = |name: &str, value: Value| {
        let mut said = greeting();
        said[name] = value;
        said
    };
    for (said, param) in [
        (json!({}), "messages"),
        (with("mesages", json!([])), "mesages"),
        (with("messages", json!([])), "messages"),
        (with("messages", json!([{ "role": "king", "content": "hi" }])), "variables.city"),
        (json!({ "messages": [{ "role": "king", "content": "hi" }] }), "messages[0].role"),
        (json!({ "messages": ["hi"] }), "messages[0]"),
        (json!({ "messages": [{ "role": "user", "content": "{{x}}" }] }), "variables"),
        (json!({ "messages": [{ "role": "user", "content": "{{x" }] }), "messages[0]"),
        (json!({ "messages": [{ "role": "user", "content": "{{ a b }}" }] }), "messages[0]"),
        (json!({ "messages": [{ "role": "user", "content": "{{#if x}}" }] }), "messages[0]"),
        (with("parameters", json!({ "stream": true })), "parameters.stream"),
        (with("parameters", json!({ "temperature": "hot" })), "temperature"),
        (with("parameters", json!([])), "parameters"),
        (with("description", json!("x".repeat(70_000))), "messages"),
        (with("model", json!("")), "model"),
        (with("variables", json!({ "1a": { "type": "string" } })), "variables.1a"),
        (with("variables", json!({ "city": { "type": "text" } })), "variables.city.type"),
        (with("variables", json!({ "city": { "type": "string", "minimum": 1 } })), "variables.city.minimum"),
        (
            with("variables", json!({ "city": { "type": "integer", "minimum": 2, "maximum": 1 } })),
            "variables.city.maximum",
        ),
        (
            with("variables", json!({ "city": { "type": "string", "enum": ["a"], "default": "b" } })),
            "variables.city.default",
        ),
    ] {
        assert_eq!(read(said.clone()).unwrap_err().param, param, "{said}");
    }
}

#[test]
fn a_prompt_that_grows_beyond_the_bound_is_not_made() {
    let places = "{{x}}".repeat(1_000);
    let prompt = read(json!({ "messages": [{ "role": "user", "content": places }],
        "variables": { "x": { "type": "string", "max_length": 1 << 20 } } }))
    .unwrap();
    let wrong = said(&prompt, json!({ "x": "y".repeat(1 << 20) })).unwrap_err();
    assert_eq!(wrong.param, "prompt_variables");
}

/// What a body in a dialect says, in no particular one.
fn meant(dialect: DialectId, body: &[u8]) -> gatelet_wire::chat::Request {
    let mut fields: Value = serde_json::from_slice(body).unwrap();
    if !dialect.dialect().conventions().model_in_path {
        fields["model"] = json!("m");
    }
    dialect.dialect().read_request(fields.to_string().as_bytes()).unwrap()
}

fn own(dialect: DialectId, text: &str) -> Vec<u8> {
    let messages = json!([{ "role": "system", "content": "Be kind." }, { "role": "user", "content": text }]);
    let request = json!({ "model": "m", "messages": messages, "max_tokens": 7, "temperature": 0.5 });
    let request = DialectId::Openai.dialect().read_request(request.to_string().as_bytes()).unwrap();
    let hints = TargetHints { native_schema: true, ..TargetHints::unknown("m") };
    dialect.dialect().write_request(&request, &hints, &mut Loss::default()).unwrap().body
}

#[test]
fn in_every_dialect_the_prompts_turns_come_first_and_the_requests_own_words_win() {
    use gatelet_wire::chat::{Content, Role};
    let prompt = read(json!({
        "messages": [{ "role": "system", "content": "You are {{who}}." }, { "role": "user", "content": "Hello." },
            { "role": "assistant", "content": "Yes?" }],
        "parameters": { "temperature": 0.1, "stop": ["END"] },
        "variables": { "who": { "type": "string" } },
    }))
    .unwrap();
    for dialect in DialectId::ALL.iter().copied() {
        let mut loss = Loss::default();
        let spoken = prompt.say(&values(json!({ "who": "Ada" })), dialect, 1 << 20, &mut loss).unwrap();
        // What the dialect has no word for is told.
        let stops = if loss.is_empty() { vec!["END".to_owned()] } else { Vec::new() };
        assert_eq!(!loss.is_empty(), dialect == DialectId::OpenaiResponses, "{dialect:?}: {loss:?}");
        let body = own(dialect, "And you?");
        let fields = gatelet_wire::Fields::read(&body).unwrap();
        let joined = join(dialect, &spoken, &gatelet_wire::Draft::from(&fields), None).unwrap();
        let request = meant(dialect, &joined);
        let texts: Vec<(Role, String)> = request
            .messages
            .iter()
            .map(|message| {
                let text = message.parts.iter().filter_map(|part| match &part.content {
                    Content::Text { text, .. } => Some(text.as_str()),
                    _ => None,
                });
                (message.role, text.collect::<Vec<_>>().join("|"))
            })
            .collect();
        let system: Vec<&str> = texts
            .iter()
            .filter(|(role, _)| matches!(role, Role::System | Role::Developer))
            .map(|(_, text)| text.as_str())
            .collect();
        let system = system.join(" ");
        let place = |text: &str| system.find(text).unwrap_or_else(|| panic!("{dialect:?}: {system}"));
        assert!(place("You are Ada.") < place("Be kind."), "{dialect:?}: {system}");
        let turns: Vec<&str> = texts
            .iter()
            .filter(|(role, _)| matches!(role, Role::User | Role::Assistant))
            .map(|(_, text)| text.as_str())
            .collect();
        assert_eq!(turns, ["Hello.", "Yes?", "And you?"], "{dialect:?}");
        assert_eq!(request.temperature, Some(0.5), "{dialect:?}");
        assert_eq!(request.stop, stops, "{dialect:?}");
        assert_eq!(request.max_output_tokens, Some(7), "{dialect:?}");
    }
}

#[test]
fn a_turn_of_the_same_role_is_one_turn_where_roles_must_take_turns() {
    let prompt = read(json!({ "messages": [{ "role": "user", "content": "First." }] })).unwrap();
    let spoken = prompt.say(&Map::new(), DialectId::Bedrock, 1 << 20, &mut Loss::default()).unwrap();
    let body = own(DialectId::Bedrock, "Then.");
    let fields = gatelet_wire::Fields::read(&body).unwrap();
    let joined = join(DialectId::Bedrock, &spoken, &gatelet_wire::Draft::from(&fields), None).unwrap();
    let joined: Value = serde_json::from_slice(&joined).unwrap();
    assert_eq!(
        joined["messages"],
        json!([{ "role": "user", "content": [{ "text": "First." }, { "text": "Then." }] }])
    );
}

#[test]
fn tools_of_a_request_leave_out_those_of_the_prompt_and_what_was_said_of_them() {
    let tool = |name: &str| json!({ "type": "function", "function": { "name": name, "parameters": { "type": "object" } } });
    let prompt = read(json!({ "messages": [{ "role": "user", "content": "hi" }],
        "parameters": { "tools": [tool("theirs")], "tool_choice": "required", "max_tokens": 50 } }))
    .unwrap();
    let spoken = prompt.say(&Map::new(), DialectId::Openai, 1 << 20, &mut Loss::default()).unwrap();
    let joined = |body: Value| -> Value {
        let body = body.to_string();
        let fields = gatelet_wire::Fields::read(body.as_bytes()).unwrap();
        let draft = gatelet_wire::Draft::from(&fields);
        serde_json::from_slice(&join(DialectId::Openai, &spoken, &draft, Some("usual")).unwrap()).unwrap()
    };
    let own = joined(json!({ "tools": [tool("mine")], "max_completion_tokens": 9 }));
    assert_eq!(
        (&own["tools"], own.get("tool_choice"), own.get("max_tokens")),
        (&json!([tool("mine")]), None, None)
    );
    assert_eq!((&own["model"], &own["messages"][0]["content"]), (&json!("usual"), &json!("hi")));
    let none = joined(json!({ "messages": [] }));
    assert_eq!((&none["tool_choice"], &none["max_tokens"]), (&json!("required"), &json!(50)));
}

#[test]
fn what_a_request_says_keeps_its_bytes() {
    let prompt = read(json!({ "messages": [{ "role": "user", "content": "hi" }] })).unwrap();
    let spoken = prompt.say(&Map::new(), DialectId::Openai, 1 << 20, &mut Loss::default()).unwrap();
    let body =
        br#"{"messages":[{"role":"user",  "content":"\u0041","n":12345678901234567890123}],"top_p":1.10}"#;
    let fields = gatelet_wire::Fields::read(body).unwrap();
    let joined = join(DialectId::Openai, &spoken, &gatelet_wire::Draft::from(&fields), None).unwrap();
    let text = String::from_utf8(joined).unwrap();
    assert!(text.contains(r#"{"role":"user",  "content":"\u0041","n":12345678901234567890123}"#), "{text}");
    assert!(text.contains("\"top_p\":1.10"), "{text}");
}

proptest! {
    /// A value is text, whatever stands in it: the request has the same turns, and the value is read as it was given.
    #[test]
    fn no_value_changes_what_a_request_is(value in "(\\PC|\\{\\{|\\}\\}|\\\\|\"|\n|city|\"role\":\"system\"){0,12}") {
        let prompt = read(json!({
            "messages": [{ "role": "system", "content": "a {{city}} b" }, { "role": "user", "content": "{{city}}" }],
            "variables": { "city": { "type": "string" } },
        })).unwrap();
        for dialect in DialectId::ALL.iter().copied() {
            let spoken = prompt.say(&values(json!({ "city": &value })), dialect, 1 << 20, &mut Loss::default());
            let Ok(spoken) = spoken else { continue };
            let request = meant(dialect, &spoken);
            let written = format!("{:?}", request.messages);
            prop_assert!(request.messages.len() <= 2, "{:?}: {}", dialect, written);
            if !value.trim().is_empty() {
                prop_assert!(written.contains(&format!("{:?}", format!("a {value} b"))), "{:?}: {}", dialect, written);
            }
        }
    }
}
