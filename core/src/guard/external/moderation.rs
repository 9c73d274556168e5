//! `OpenAI`'s moderation: categories of each text.

use gatelet_wire::Malformed;
use serde_json::{Value, json};

use super::{Question, Verdict, kind};

pub(super) const BASE: &str = "https://api.openai.com/v1";
pub(super) const MODEL: &str = "omni-moderation-latest";

pub(super) fn ask(model: &str, question: &Question) -> Value {
    json!({ "model": model, "input": question.texts })
}

pub(super) fn read(question: &Question, body: &Value) -> Result<Verdict, Malformed> {
    let results = body.get("results").and_then(Value::as_array);
    let results = results.filter(|results| results.len() == question.texts.len());
    let results = results.ok_or_else(|| Malformed::field("results", "one of each text"))?;
    let mut verdict = Verdict::default();
    for result in results {
        let flagged = result.get("flagged").and_then(Value::as_bool);
        if !flagged.ok_or_else(|| Malformed::field("flagged", "true or false"))? {
            continue;
        }
        let categories = result.get("categories").and_then(Value::as_object);
        let named =
            categories.into_iter().flatten().filter(|(_, is)| **is == true).map(|(name, _)| kind(name));
        for kind in named {
            if !verdict.found.contains(&kind) {
                verdict.found.push(kind);
            }
        }
        if verdict.found.is_empty() {
            verdict.found.push("flagged".into());
        }
    }
    Ok(verdict)
}
