//! What we write passes the types that the vendors' own Python packages declare: requests, answers and the events of
//! streams of every golden file, in six dialects. The seventh, Bedrock's, is judged by `bedrock_model.rs`.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

use std::io::Write as _;
use std::process::{Command, Stdio};

use gatelet_tests::sdk::root;
use serde_json::{Value, json};

const DIALECTS: [&str; 6] = ["openai", "openai-responses", "anthropic", "gemini", "cohere", "ollama"];

#[test]
fn the_vendors_own_types_accept_every_request_answer_and_event_that_we_write() {
    let fixtures = root().join("core/wire/tests/fixtures");
    let verdict = judge(&[fixtures.to_str().unwrap()], &[]);
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
    let verdict = judge(&[], &cases);
    let problems = verdict["problems"].to_string();
    for case in &cases {
        let name = format!("{} {} wrong", case["dialect"].as_str().unwrap(), case["kind"].as_str().unwrap());
        assert!(problems.contains(&name), "{name} was not found in {problems}");
    }
}

fn judge(arguments: &[&str], cases: &[Value]) -> Value {
    let python = root().join(".tools/venv/bin/python");
    assert!(python.exists(), "{} is missing: run `cargo xtask setup`", python.display());
    let mut child = Command::new(python)
        .arg(root().join("tests/sdk/vendor_types.py"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let mut stdin = child.stdin.take().unwrap();
    for case in cases {
        writeln!(stdin, "{case}").unwrap();
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("the judge did not answer"))
}
