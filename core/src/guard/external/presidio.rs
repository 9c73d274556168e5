//! Microsoft Presidio's analyzer: entities with their places, in characters.

use gatelet_wire::Malformed;
use serde_json::{Value, json};

use super::{Question, Verdict, kind, only, place};
use crate::guard::scan::Finding;

#[derive(Clone, Debug)]
pub struct Settings {
    language: String,
    /// None: all that it knows.
    entities: Vec<String>,
    /// Of one.
    least: Option<f64>,
}

impl Settings {
    pub(super) fn read(settings: &super::Settings<'_>) -> Self {
        Self {
            language: settings.text("language").unwrap_or_else(|| "en".to_owned()),
            entities: settings.list("entities"),
            least: settings.number("score").map(|percent| percent / 100.0),
        }
    }
}

pub(super) fn ask(settings: &Settings, question: &Question) -> Value {
    let mut body = json!({ "text": only(question), "language": settings.language });
    if !settings.entities.is_empty() {
        body["entities"] = json!(settings.entities);
    }
    if let Some(least) = settings.least {
        body["score_threshold"] = json!(least);
    }
    body
}

pub(super) fn read(question: &Question, body: &Value) -> Result<Verdict, Malformed> {
    let entities = body.as_array().ok_or_else(|| Malformed::field("body", "a list of entities"))?;
    let found = entities.iter().map(|entity| {
        let span = place(only(question), &entity["start"], &entity["end"]);
        let name = entity["entity_type"].as_str();
        let (Some(span), Some(name)) = (span, name) else {
            return Err(Malformed::field("entity", "a type and a place in the text"));
        };
        Ok(Finding { kind: kind(name), span })
    });
    let found = found.collect::<Result<Vec<_>, _>>()?;
    let spans = if found.is_empty() { Vec::new() } else { vec![(0, found)] };
    Ok(Verdict { spans, ..Verdict::default() })
}
