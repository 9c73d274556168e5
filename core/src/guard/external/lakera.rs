//! Lakera Guard, version 2: which detectors say yes, and where.

use gatelet_wire::Malformed;
use serde_json::{Value, json};

use super::{Question, Verdict, kind, place};
use crate::guard::note::Direction;
use crate::guard::scan::Finding;

pub(super) const BASE: &str = "https://api.lakera.ai";

pub(super) fn ask(project: Option<&str>, question: &Question) -> Value {
    let role = match question.direction {
        Direction::In => "user",
        Direction::Out => "assistant",
    };
    let messages: Vec<Value> =
        question.texts.iter().map(|text| json!({ "role": role, "content": text })).collect();
    let mut body = json!({ "messages": messages, "breakdown": true, "payload": true });
    if let Some(project) = project {
        body["project_id"] = json!(project);
    }
    body
}

pub(super) fn read(question: &Question, body: &Value) -> Result<Verdict, Malformed> {
    let flagged = body.get("flagged").and_then(Value::as_bool);
    if !flagged.ok_or_else(|| Malformed::field("flagged", "true or false"))? {
        return Ok(Verdict::default());
    }
    // `pii/email` is an e-mail.
    let name = |detector: &Value| {
        kind(detector.as_str().and_then(|name| name.rsplit('/').next()).unwrap_or_default())
    };
    let mut verdict = Verdict::default();
    let places = body.get("payload").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for found in places {
        let nth = found["message_id"].as_u64().and_then(|nth| usize::try_from(nth).ok());
        let text = nth.and_then(|nth| question.texts.get(nth));
        if let (Some(nth), Some(text)) = (nth, text)
            && let Some(span) = place(text, &found["start"], &found["end"])
        {
            let kind = name(&found["detector_type"]);
            verdict.spans.push((nth, vec![Finding { kind, span }]));
        }
    }
    let detectors = body.get("breakdown").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for detector in detectors.iter().filter(|detector| detector["detected"] == true) {
        let kind = name(&detector["detector_type"]);
        // What has a place is told by that.
        let told = verdict.spans.iter().flat_map(|(_, found)| found).any(|found| found.kind == kind);
        if !told && !verdict.found.contains(&kind) {
            verdict.found.push(kind);
        }
    }
    if verdict.found.is_empty() && verdict.spans.is_empty() {
        verdict.found.push("flagged".into());
    }
    Ok(verdict)
}
