//! The generic contract that guards of the field speak: `texts` in, `action` and `texts` out.

use gatelet_wire::Malformed;
use serde_json::{Value, json};

use super::{Question, Verdict};
use crate::guard::note::Direction;

/// Where Pillar answers in this contract.
pub(super) const PILLAR: &str =
    "https://api.pillar.security/api/v1/integrations/litellm/beta/litellm_basic_guardrail_api";

pub(super) fn ask(question: &Question) -> Value {
    let kind = match question.direction {
        Direction::In => "request",
        Direction::Out => "response",
    };
    json!({ "input_type": kind, "texts": question.texts })
}

pub(super) fn read(body: &Value) -> Result<Verdict, Malformed> {
    const ACTIONS: &str = "NONE, BLOCKED or GUARDRAIL_INTERVENED";
    let texts = body.get("texts").and_then(Value::as_array);
    let texts =
        || texts.map(|texts| texts.iter().filter_map(|text| Some(text.as_str()?.to_owned())).collect());
    match body.get("action").and_then(Value::as_str) {
        Some("NONE") => Ok(Verdict::default()),
        Some("BLOCKED") => Ok(Verdict::of(["blocked".into()])),
        Some("GUARDRAIL_INTERVENED") => match texts() {
            Some(texts) => Ok(Verdict { replaced: Some(texts), ..Verdict::default() }),
            None => Ok(Verdict::of(["intervened".into()])),
        },
        _ => Err(Malformed::field("action", ACTIONS)),
    }
}
