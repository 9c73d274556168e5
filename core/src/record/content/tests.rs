use gatelet_wire::event::{Delta, Event, PartKind};
use serde_json::Value;

use super::*;

const KEY: &str = "AKIAIOSFODNN7EXAMPLE";

fn content(mode: Mode, prompt: &str) -> Content {
    Content { mode, most: 4 << 10, prompt: Some(prompt.to_owned().into()), hidden: Vec::new(), answer: None }
}

fn line(content: &Content, most: usize) -> Value {
    let record = super::super::tests::request("text", &[], 1, 1.0);
    let line = serde_json::from_str(&content.line(&record, most).unwrap()).unwrap();
    let schema: Value = serde_json::from_str(super::super::SCHEMA).unwrap();
    let described = &schema["$defs"]["content"];
    super::super::tests::holds(described, &line);
    for name in line.as_object().unwrap().keys() {
        assert!(described["properties"][name].is_object(), "{name}");
    }
    line
}

#[test]
fn a_masked_prompt_has_no_personal_data_and_no_secrets_wherever_they_stand() {
    let prompt = format!(
        r#"{{"messages":[{{"role":"user","content":[{{"type":"text","text":"Mail ann@example.org, {KEY}"}}]}}],
        "metadata":{{"deep":[["bob@example.org"]],"card":4111111111111111}}}}"#
    );
    let masked = line(&content(Mode::Masked, &prompt), 4 << 10).to_string();
    for secret in ["ann@", "bob@", KEY, "4111111111111111"] {
        assert!(!masked.contains(secret), "{masked}");
    }
    assert!(masked.contains("Mail [EMAIL], ["), "{masked}");
    let full = line(&content(Mode::Full, &prompt), 4 << 10);
    assert_eq!(full["prompt"], serde_json::from_str::<Value>(&prompt).unwrap());
}

#[test]
fn what_a_guard_hid_stays_hidden_in_an_answer_that_shows_it() {
    let mut said = Transcript::new(100);
    said.push(&Event::Delta { choice: 0, part: 0, delta: Delta::Text("project Zephyr".to_owned()) });
    let hidden = vec![("Zephyr".into(), "[CODENAME_1]".into())];
    let content = Content { hidden, answer: Some(said), ..content(Mode::Masked, "{}") };
    assert_eq!(line(&content, 1 << 10)["answer"]["text"], "project [CODENAME_1]");
}

#[test]
fn long_texts_are_cut_at_their_bound_and_no_secret_is_kept_in_part() {
    let text = format!("{}{KEY}{}", "é ".repeat(680), "y ".repeat(9_000));
    let prompt = serde_json::json!({ "messages": [{ "content": text }, { "content": "short" }] }).to_string();
    for most in [1_024, 2_048, 4_096, 65_536] {
        let kept = line(&content(Mode::Masked, &prompt), most);
        assert!(kept["prompt"].to_string().len() <= most + 64, "{most}");
        assert!(!kept.to_string().contains("AKIA"), "{most}");
        assert_eq!(kept["prompt"]["messages"][1]["content"], "short");
        assert_eq!(kept["cut"], true, "{most}");
    }
    let many = serde_json::json!({ "messages": vec!["some words"; 5_000] }).to_string();
    let kept = line(&content(Mode::Full, &many), 4 << 10);
    assert!(kept["prompt"].as_str().unwrap().len() <= 4 << 10);
    assert_eq!(kept["cut"], true);
}

#[test]
fn a_transcript_joins_pieces_by_choice_and_part_and_says_when_it_is_partial() {
    let mut said = Transcript::new(1_000);
    let text = |choice, part, text: &str| Event::Delta { choice, part, delta: Delta::Text(text.to_owned()) };
    said.push(&Event::Delta { choice: 0, part: 0, delta: Delta::Thinking("hm".to_owned()) });
    said.push(&text(0, 1, "one "));
    said.push(&text(1, 0, "other"));
    said.push(&text(0, 1, "two"));
    let call = PartKind::ToolCall {
        id: "c1".to_owned(),
        name: "find".to_owned(),
        kind: gatelet_wire::chat::ToolKind::Function,
    };
    said.push(&Event::PartStart {
        choice: 0,
        part: 2,
        kind: call,
        extra: gatelet_wire::chat::Extra::default(),
    });
    for piece in ["{\"q\":", "1}"] {
        said.push(&Event::Delta { choice: 0, part: 2, delta: Delta::Arguments(piece.to_owned()) });
    }
    let expected = serde_json::json!({ "text": "one two", "thinking": "hm", "partial": true,
        "tool_calls": [{ "id": "c1", "name": "find", "arguments": "{\"q\":1}" }], "others": [{ "text": "other" }] });
    assert_eq!(said.json(), expected);
    said.push(&Event::End);
    assert_eq!(said.json()["partial"], Value::Null);
}
