//! A server of Guardrails AI: whether a text is valid, and what would be.

use gatelet_wire::Malformed;
use serde_json::{Value, json};

use super::{Question, Verdict, only};

pub(super) fn path(guard: &str) -> String {
    let guard: String =
        percent_encoding::utf8_percent_encode(guard, percent_encoding::NON_ALPHANUMERIC).collect();
    format!("/guards/{guard}/validate")
}

pub(super) fn ask(question: &Question) -> Value {
    json!({ "llmOutput": only(question) })
}

pub(super) fn read(body: &Value) -> Result<Verdict, Malformed> {
    let passed = body.get("validationPassed").and_then(Value::as_bool);
    if !passed.ok_or_else(|| Malformed::field("validationPassed", "true or false"))? {
        return Ok(Verdict::of(["invalid".into()]));
    }
    // Where a validator mends, the text is valid and another one.
    let text = body.get("validatedOutput").and_then(Value::as_str);
    Ok(Verdict { replaced: text.map(|text| vec![text.to_owned()]), ..Verdict::default() })
}
