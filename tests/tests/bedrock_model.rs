//! What we write for Bedrock passes its own model of itself, as the vendor's Python client carries it: requests for
//! models of every family, answers, and streams, from every dialect's fixtures.
#![expect(clippy::unwrap_used, reason = "a test says what it expects")]

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gatelet_tests::sdk::{judge, root};
use gatelet_wire::dialect::Reading;
use gatelet_wire::{DialectId, EncoderOptions, Loss, TargetHints};
use serde_json::{Value, json};

const MODELS: &[&str] = &[
    "anthropic.claude-sonnet-4-5-20250929-v1:0",
    "us.amazon.nova-2-lite-v1:0",
    "meta.llama3-1-70b-instruct-v1:0",
    "mistral.mistral-large-2407-v1:0",
    "qwen.qwen3-32b-v1:0",
    "openai.gpt-oss-120b-1:0",
    "another",
];

#[test]
fn the_vendors_python_client_accepts_every_request_answer_and_stream_that_we_write() {
    let mut cases = Vec::new();
    for id in DialectId::ALL {
        for kind in ["request", "response", "stream"] {
            let folder = root().join("core/wire/tests/fixtures").join(id.name()).join(kind);
            for entry in std::fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
                if ["json", "sse", "ndjson"].contains(&ending) {
                    add(&mut cases, *id, kind, &path);
                }
            }
        }
    }
    let verdict = judge("bedrock_model.py", &[], &cases).unwrap();
    let problems: Vec<&str> =
        verdict["problems"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert_eq!(verdict["judged"], json!(cases.len()));
    assert!(cases.len() > 500, "only {} cases", cases.len());
}

#[test]
fn what_the_model_does_not_know_is_found() {
    let body =
        json!({ "messages": [{ "role": "user", "content": [{ "text": "a", "image": {} }] }], "nobody": 1 });
    let verdict =
        judge("bedrock_model.py", &[], &[json!({ "kind": "request", "case": "wrong", "body": body })])
            .unwrap();
    assert!(verdict["problems"].as_array().unwrap().len() >= 2, "{verdict}");
}

fn add(cases: &mut Vec<Value>, from: DialectId, kind: &str, path: &Path) {
    let bytes = std::fs::read(path).unwrap();
    let to = DialectId::Bedrock.dialect();
    let name = format!("{}/{kind}/{}", from.name(), path.file_stem().unwrap().display());
    match kind {
        "request" => {
            let Ok(request) = from.dialect().read_request(&bytes) else { return };
            for model in MODELS {
                for native_schema in [false, true] {
                    let hints = TargetHints { native_schema, ..TargetHints::unknown(*model) };
                    let Ok(written) = to.write_request(&request, &hints, &mut Loss::default()) else {
                        continue;
                    };
                    let body: Value = serde_json::from_slice(&written.body).unwrap();
                    cases.push(json!({ "kind": kind, "case": format!("{name} for {model}"), "body": body }));
                }
            }
        }
        "response" => {
            let Ok(response) = from.dialect().read_response(&bytes, Reading::default()) else { return };
            let body = to.write_response(&response, &mut Loss::default());
            let body: Value = serde_json::from_slice(&body).unwrap();
            cases.push(json!({ "kind": "answer", "case": name, "body": body }));
        }
        _ => {
            let mut framer = from.dialect().conventions().framing.framer();
            let mut decoder = from.dialect().decoder(Reading::default());
            let (mut events, mut out) = (Vec::new(), Vec::new());
            framer.push(&bytes);
            while let Some(frame) = framer.next() {
                if frame.and_then(|frame| decoder.push(&frame, &mut events)).is_err() {
                    break;
                }
            }
            let mut encoder = to.encoder(EncoderOptions::default());
            for event in &events {
                encoder.push(event, &mut out, &mut Loss::default());
            }
            cases.push(json!({ "kind": "stream", "case": name, "base64": STANDARD.encode(out) }));
        }
    }
}
