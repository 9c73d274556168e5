//! The generic contract that guards of the field speak: `texts` in, `action` and `texts` out.

use bytes::Bytes;
use gatelet_wire::Malformed;
use http::Request;
use serde_json::{Value, json};

use super::{External, Question, Verdict};
use crate::guard::note::Direction;

pub(super) fn ask(external: &External, question: &Question) -> Request<Bytes> {
    let kind = match question.direction {
        Direction::In => "request",
        Direction::Out => "response",
    };
    external.bearer("", &json!({ "input_type": kind, "texts": question.texts }))
}

pub(super) fn read(body: &Value) -> Result<Verdict, Malformed> {
    const ACTIONS: &str = "NONE, BLOCKED or GUARDRAIL_INTERVENED";
    let texts = body.get("texts").and_then(Value::as_array);
    let texts =
        || texts.map(|texts| texts.iter().filter_map(|text| Some(text.as_str()?.to_owned())).collect());
    match body.get("action").and_then(Value::as_str) {
        Some("NONE") => Ok(Verdict::default()),
        Some("BLOCKED") => Ok(Verdict { found: vec!["blocked".into()], ..Verdict::default() }),
        Some("GUARDRAIL_INTERVENED") => match texts() {
            Some(texts) => Ok(Verdict { replaced: Some(texts), ..Verdict::default() }),
            None => Ok(Verdict { found: vec!["intervened".into()], ..Verdict::default() }),
        },
        _ => Err(Malformed::field("action", ACTIONS)),
    }
}
