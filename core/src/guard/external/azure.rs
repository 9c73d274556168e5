//! Azure AI Content Safety: attacks on prompts, harmful content by severities, and answers that their sources do not say.

use gatelet_wire::Malformed;
use serde_json::{Value, json};

use super::{Question, Verdict, kind, only};

/// The header of its key.
pub(super) const KEY: &str = "ocp-apim-subscription-key";
pub(super) const SHIELD: &str = "/contentsafety/text:shieldPrompt?api-version=2024-09-01";
pub(super) const TEXT: &str = "/contentsafety/text:analyze?api-version=2024-09-01";

pub(super) fn ask_shield(question: &Question) -> Value {
    json!({ "userPrompt": only(question), "documents": [] })
}

pub(super) fn read_shield(body: &Value) -> Result<Verdict, Malformed> {
    let attack = body.pointer("/userPromptAnalysis/attackDetected").and_then(Value::as_bool);
    let attack = attack.ok_or_else(|| Malformed::field("userPromptAnalysis", "whether it is an attack"))?;
    Ok(Verdict::of(attack.then(|| "attack".into())))
}

pub(super) fn ask_text(question: &Question) -> Value {
    json!({ "text": only(question), "outputType": "EightSeverityLevels" })
}

pub(super) fn read_text(least: u64, body: &Value) -> Result<Verdict, Malformed> {
    let categories = body.get("categoriesAnalysis").and_then(Value::as_array);
    let categories = categories.ok_or_else(|| Malformed::field("categoriesAnalysis", "a list"))?;
    let grave = categories.iter().filter(|category| {
        let severity = category.get("severity").and_then(Value::as_u64);
        severity.is_some_and(|severity| severity >= least.max(1))
    });
    let listed = body.get("blocklistsMatch").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    let names = grave.filter_map(|category| category.get("category")?.as_str()).map(kind);
    Ok(Verdict::of(names.chain(listed.then(|| "blocklist".into()))))
}

/// A preview: there is no version of it that is not.
pub(super) const GROUNDED: &str = "/contentsafety/text:detectGroundedness?api-version=2024-09-15-preview";
/// Letters of a text and of a question; of all sources together.
pub(super) const LONGEST: usize = 7_500;
pub(super) const SOURCES: usize = 55_000;

pub(super) fn ask_grounded(domain: &str, question: &Question) -> Value {
    let grounds = question.grounds.as_deref().cloned().unwrap_or_default();
    let asked: String = grounds.asked.chars().take(LONGEST).collect();
    let mut body = json!({
        "domain": domain,
        "task": if asked.is_empty() { "Summarization" } else { "QnA" },
        "text": only(question),
        "groundingSources": grounds.sources,
        "reasoning": false,
    });
    if !asked.is_empty() {
        body["qna"] = json!({ "query": asked });
    }
    body
}

pub(super) fn read_grounded(body: &Value) -> Result<Verdict, Malformed> {
    let lacks = body.get("ungroundedDetected").and_then(Value::as_bool);
    let lacks = lacks.ok_or_else(|| Malformed::field("ungroundedDetected", "true or false"))?;
    Ok(Verdict::of(lacks.then(|| "ungrounded".into())))
}
