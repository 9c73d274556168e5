//! Guardrails of Amazon Bedrock: `ApplyGuardrail`, signed.

use gatelet_wire::Malformed;
use serde_json::{Value, json};

use super::{Question, Verdict, kind, only};
use crate::guard::note::Direction;

#[derive(Clone, Debug)]
pub struct Settings {
    guardrail: String,
    revision: String,
    pub(super) region: String,
}

impl Settings {
    pub(super) fn read(settings: &super::Settings<'_>) -> Result<Self, String> {
        let plain = |text: &String| text.chars().all(|c| c.is_ascii_alphanumeric() || "-:/".contains(c));
        let needed = |name: &str, what: &str| {
            let text = settings.needed(name, what)?;
            if plain(&text) { Ok(text) } else { Err(format!("expected `{name}`: {what}")) }
        };
        Ok(Self {
            guardrail: needed("guardrail", "the guardrail's id or ARN")?,
            revision: settings.text("revision").filter(plain).unwrap_or_else(|| "DRAFT".to_owned()),
            region: needed("region", "the region of AWS where it is")?,
        })
    }

    pub(super) fn base(&self) -> String {
        format!("https://bedrock-runtime.{}.amazonaws.com", self.region)
    }

    pub(super) fn path(&self) -> String {
        let guardrail = self.guardrail.replace(':', "%3A").replace('/', "%2F");
        format!("/guardrail/{guardrail}/version/{}/apply", self.revision)
    }
}

pub(super) fn ask(question: &Question) -> Value {
    let source = match question.direction {
        Direction::In => "INPUT",
        Direction::Out => "OUTPUT",
    };
    json!({ "source": source, "content": [{ "text": { "text": only(question) } }] })
}

pub(super) fn read(body: &Value) -> Result<Verdict, Malformed> {
    match body.get("action").and_then(Value::as_str) {
        Some("NONE") => return Ok(Verdict::default()),
        Some("GUARDRAIL_INTERVENED") => {}
        _ => return Err(Malformed::field("action", "NONE or GUARDRAIL_INTERVENED")),
    }
    let mut verdict = Verdict::default();
    let mut masked = false;
    let assessments =
        body.get("assessments").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let policies = assessments.iter().filter_map(Value::as_object).flatten();
    for (policy, judged) in policies {
        for item in judged.as_object().into_iter().flatten().filter_map(|(_, list)| list.as_array()).flatten()
        {
            match item.get("action").and_then(Value::as_str) {
                Some("BLOCKED") => {
                    // What matched a word or a pattern is no name: it is the value.
                    let name = item.get("type").or_else(|| item.get("name")).and_then(Value::as_str);
                    verdict.found.push(kind(name.unwrap_or(policy)));
                }
                Some("ANONYMIZED") => masked = true,
                _ => {}
            }
        }
    }
    if verdict.found.is_empty() {
        let text = body.pointer("/outputs/0/text").and_then(Value::as_str);
        match text.filter(|_| masked) {
            Some(text) => verdict.replaced = Some(vec![text.to_owned()]),
            None => verdict.found.push("intervened".into()),
        }
    }
    Ok(verdict)
}
