//! What we write passes the types that the vendors' own Python packages declare: requests, answers and the events of
//! streams of every golden file, in six dialects. The seventh, Bedrock's, is judged by `bedrock_model.rs`.

use gatelet_tests::sdk::{judge, root};
use serde_json::{Value, json};

const DIALECTS: [&str; 6] = ["openai", "openai-responses", "anthropic", "gemini", "cohere", "ollama"];

#[test]
fn the_vendors_own_types_accept_every_request_answer_and_event_that_we_write() {
    let fixtures = root().join("core/wire/tests/fixtures");
    let verdict = judge("vendor_types.py", &[fixtures.to_str().unwrap()], &[]).unwrap();
    let problems: Vec<&str> =
        verdict["problems"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    for dialect in DIALECTS {
        for (kind, least) in [("request", 140), ("response", 110), ("stream", 350)] {
            let judged = verdict["judged"][format!("{dialect} {kind}")].as_u64().unwrap_or_default();
            assert!(judged >= least, "only {judged} of {dialect}'s {kind}s were judged");
        }
    }
}

#[test]
fn what_the_types_do_not_know_is_found() {
    let mut cases = Vec::new();
    for dialect in DIALECTS {
        let request = match dialect {
            "gemini" => json!({ "contents": [{ "role": "user", "parts": [{ "text": 7 }] }] }),
            "openai-responses" => json!({ "model": "m", "input": [{ "type": "nobody" }] }),
            _ => json!({ "model": "m", "max_tokens": 9, "messages": [{ "role": "oracle", "content": 7 }] }),
        };
        let answer = json!({ "id": 7, "type": "content-delta", "index": "first", "delta": 7,
            "candidates": [{ "content": 7 }], "message": 7 });
        for (kind, body) in [("request", request), ("response", answer.clone()), ("stream", answer)] {
            cases.push(json!({ "dialect": dialect, "kind": kind, "case": "wrong", "body": body }));
        }
    }
    let verdict = judge("vendor_types.py", &[], &cases).unwrap();
    let problems = verdict["problems"].to_string();
    for case in &cases {
        let name = format!("{} {} wrong", case["dialect"].as_str().unwrap(), case["kind"].as_str().unwrap());
        assert!(problems.contains(&name), "{name} was not found in {problems}");
    }
}
