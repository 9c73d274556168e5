//! Aporia: a conversation in, an action and what should be said instead out.

use gatelet_wire::Malformed;
use serde_json::{Value, json};

use super::{Question, Verdict};
use crate::guard::note::Direction;

pub(super) fn ask(question: &Question) -> Value {
    match question.direction {
        Direction::In => {
            let messages: Vec<Value> =
                question.texts.iter().map(|text| json!({ "role": "user", "content": text })).collect();
            json!({ "messages": messages, "validation_target": "prompt" })
        }
        Direction::Out => json!({ "response": question.texts.join("\n"), "validation_target": "response" }),
    }
}

pub(super) fn read(body: &Value) -> Result<Verdict, Malformed> {
    match body.get("action").and_then(Value::as_str) {
        Some("passthrough") => Ok(Verdict::default()),
        Some("block") => Ok(Verdict::of(["blocked".into()])),
        // Its other words are of the whole conversation: nothing says which text they are for.
        Some("modify" | "rephrase") => Ok(Verdict::of(["intervened".into()])),
        _ => Err(Malformed::field("action", "passthrough, block, modify or rephrase")),
    }
}
