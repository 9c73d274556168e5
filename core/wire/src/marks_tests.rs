use super::*;

/// The request with its marks, `M` for Anthropic's and `P` for Bedrock's.
fn marked(dialect: DialectId, body: &str, least: u64) -> String {
    let fields = Fields::read(body.as_bytes()).unwrap();
    let placed = placed(dialect, &fields, least);
    let values: Vec<(&str, &str)> = placed.iter().map(|(name, json)| (*name, json.as_str())).collect();
    let text = String::from_utf8(fields.splice(&values)).unwrap();
    text.replace(r#""cache_control":{"type":"ephemeral"}"#, "M")
        .replace(r#"{"cachePoint":{"type":"default"}}"#, "P")
}

#[test]
fn the_last_tool_the_system_prompt_and_the_last_two_turns_are_marked() {
    let body = r#"{"tools":[{"name":"a"},{"name":"b" }],"system":"s\"s","messages":[{"role":"user","content":"one"},{"role":"assistant","content":"x"},{"role":"user","content":[{"type":"text","text":"two"},{"type":"image","source":1.10}]},{"role":"assistant","content":"y"},{"content":"three","role":"user"},{"role":"assistant","content":"pre"}],"max_tokens":1.0}"#;
    assert_eq!(
        marked(DialectId::Anthropic, body, 0),
        r#"{"tools":[{"name":"a"},{"name":"b" ,M}],"system":[{"type":"text","text":"s\"s",M}],"messages":[{"role":"user","content":"one"},{"role":"assistant","content":"x"},{"role":"user","content":[{"type":"text","text":"two"},{"type":"image","source":1.10,M}]},{"role":"assistant","content":"y"},{"content":[{"type":"text","text":"three",M}],"role":"user"},{"role":"assistant","content":"pre"}],"max_tokens":1.0}"#
    );
    let body = r#"{"toolConfig":{"tools":[{"toolSpec":{}}],"toolChoice":{"auto":{}}},"system":[{"text":"s"}],"messages":[{"role":"user","content":[{"text":"one"}]},{"role":"user","content":[]}]}"#;
    assert_eq!(
        marked(DialectId::Bedrock, body, 0),
        r#"{"toolConfig":{"tools":[{"toolSpec":{}},P],"toolChoice":{"auto":{}}},"system":[{"text":"s"},P],"messages":[{"role":"user","content":[{"text":"one"},P]},{"role":"user","content":[]}]}"#
    );
}

#[test]
fn what_is_shorter_than_a_cache_begins_is_not_marked() {
    // 23 bytes of tools, 22 of system, then messages of 33 each.
    let body = r#"{"tools":[{"name":"abcdefghij"}],"system":"twenty-bytes-of-text","messages":[{"role":"user","content":"01234"},{"role":"user","content":"56789"}]}"#;
    for (least, marks) in [(5, 4), (6, 3), (11, 3), (12, 2), (19, 2), (20, 1), (27, 1), (28, 0)] {
        let text = marked(DialectId::Anthropic, body, least);
        assert_eq!(text.matches('M').count(), marks, "{least}: {text}");
    }
    assert_eq!(marked(DialectId::Anthropic, body, 28), body);
}

#[test]
fn who_marks_is_left_alone_and_what_takes_no_mark_gets_none() {
    for body in [
        r#"{"system":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":"b"}]}"#,
        r#"{"cache_control":{"type":"ephemeral"},"messages":[{"role":"user","content":"b"}]}"#,
        r#"{"system":"","messages":[{"role":"user","content":""},{"role":"user","content":[{"type":"text","text":""}]},{"role":"user","content":[]}]}"#,
        r#"{"messages":[{"role":"assistant","content":"b"}]}"#,
        r#"{"messages":"none","system":333,"tools":{"a":1}}"#,
        r#"{"messages":[3,null]}"#,
    ] {
        let fields = Fields::read(body.as_bytes()).unwrap();
        assert!(placed(DialectId::Anthropic, &fields, 0).is_empty(), "{body}");
    }
    // Whoever speaks of marks does not mark.
    let body = r#"{"messages":[{"role":"user","content":"what is \"cache_control\"?"}]}"#;
    assert!(marked(DialectId::Anthropic, body, 0).contains('M'));
    let own = r#"{"system":[{"text":"a"},{"cachePoint":{"type":"default"}}],"messages":[{"role":"user","content":[{"text":"b"}]}]}"#;
    assert!(placed(DialectId::Bedrock, &Fields::read(own.as_bytes()).unwrap(), 0).is_empty());
    for dialect in [DialectId::Openai, DialectId::Gemini, DialectId::Cohere] {
        assert!(!wanted(dialect) && placed(dialect, &Fields::read(body.as_bytes()).unwrap(), 0).is_empty());
    }
}
