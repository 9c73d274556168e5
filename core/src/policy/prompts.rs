//! `prompts`: prompts that the configuration itself brings, for the requests of all organisations.

use std::sync::Arc;

use gatelet_wire::SmallMap;
use serde_json::Value;

use super::read::{At, Reader};
use crate::domain::scope::is_id;
#[cfg(test)]
use crate::prompt::FIELDS;
use crate::prompt::Prompt;

/// Each by its name, with the number of its version.
pub(super) type Prompts = SmallMap<Box<str>, (u64, Arc<Prompt>)>;

const VERSION: &str = "version";

/// Every key of it, for the test that the reference explains it.
#[cfg(test)]
pub(super) fn known_keys() -> Vec<&'static str> {
    FIELDS.into_iter().chain([VERSION]).collect()
}

pub(super) fn prompts(reader: &mut Reader<'_>, at: &At<'_>) -> Prompts {
    let entries = reader.entries(at).unwrap_or_default();
    let mut prompts = Prompts::new();
    for (name, at) in entries {
        if !is_id(name) {
            reader.note(&at.spot, "expected a name of 1 to 64 lower-case letters, digits, `-`, `_` and `.`");
        }
        let Some(Value::Object(mut said)) = reader.json(&at) else { continue };
        let version = said.shift_remove(VERSION).map_or(Some(1), |version| version.as_u64());
        let Some(version) = version.filter(|version| *version > 0) else {
            reader.note(&at.spot, "`version`: expected a whole number, one or more");
            continue;
        };
        if let Some(Value::Array(messages)) = said.get_mut("messages") {
            messages.iter_mut().filter_map(|message| message.get_mut("content")).for_each(as_text);
        }
        match Prompt::read(said) {
            Ok(prompt) => drop(prompts.insert(name.into(), (version, Arc::new(prompt)))),
            Err(wrong) => reader.note(&at.spot, format!("`{}`: {}", wrong.param, wrong.problem)),
        }
    }
    prompts
}

/// A word that is a number is a text where a message says it.
fn as_text(content: &mut Value) {
    if matches!(content, Value::Number(_) | Value::Bool(_)) {
        *content = content.to_string().into();
    }
}
