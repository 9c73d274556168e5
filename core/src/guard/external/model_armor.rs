//! Google's Model Armor: filters of a template.

use gatelet_wire::Malformed;
use serde_json::{Value, json};

use super::{Question, Verdict, kind, only};
use crate::guard::note::Direction;

/// Where the template's place answers; none: that is no template's name.
pub(super) fn base(template: &str) -> Option<String> {
    let parts: Vec<&str> = template.split('/').collect();
    let plain = |part: &str| {
        !part.is_empty()
            && part.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.:".contains(letter))
    };
    match parts.as_slice() {
        ["projects", project, "locations", place, "templates", name]
            if [project, place, name].into_iter().all(|part| plain(part)) =>
        {
            Some(format!("https://modelarmor.{place}.rep.googleapis.com"))
        }
        _ => None,
    }
}

pub(super) fn path(template: &str, direction: Direction) -> String {
    let method = match direction {
        Direction::In => "sanitizeUserPrompt",
        Direction::Out => "sanitizeModelResponse",
    };
    format!("/v1/{template}:{method}")
}

pub(super) fn ask(question: &Question) -> Value {
    let text = json!({ "text": only(question) });
    match question.direction {
        Direction::In => json!({ "userPromptData": text }),
        Direction::Out => json!({ "modelResponseData": text }),
    }
}

pub(super) fn read(body: &Value) -> Result<Verdict, Malformed> {
    const MATCH: &str = "MATCH_FOUND";
    let result = body.get("sanitizationResult");
    let state = result.and_then(|result| result.get("filterMatchState")).and_then(Value::as_str);
    match state {
        Some("NO_MATCH_FOUND") => return Ok(Verdict::default()),
        Some(MATCH) => {}
        _ => return Err(Malformed::field("filterMatchState", "NO_MATCH_FOUND or MATCH_FOUND")),
    }
    let mut verdict = Verdict::default();
    let filters = result.and_then(|result| result.get("filterResults")).and_then(Value::as_object);
    for (name, filter) in filters.into_iter().flatten() {
        // One object in it, named after the filter; that of sensitive data has one more.
        let inner = filter.as_object().and_then(|filter| filter.values().next());
        let cleaned = inner.and_then(|inner| inner.get("deidentifyResult"));
        if let Some(text) = cleaned.and_then(|cleaned| cleaned.pointer("/data/text")).and_then(Value::as_str)
        {
            verdict.replaced = Some(vec![text.to_owned()]);
            continue;
        }
        let judged = inner.and_then(|inner| inner.get("inspectResult")).or(inner);
        if judged.and_then(|judged| judged.get("matchState")).and_then(Value::as_str) == Some(MATCH) {
            verdict.found.push(kind(name));
        }
    }
    if verdict.found.is_empty() && verdict.replaced.is_none() {
        verdict.found.push("matched".into());
    }
    Ok(verdict)
}
