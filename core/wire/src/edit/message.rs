//! Edits inside messages.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Draft, json_string, list};
use crate::json::{is_null, string};
use crate::{Fields, Loss, Malformed};

/// A change to every message that it concerns; written in data files by its name (`drop-name`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MessageEdit {
    /// Removes `name`.
    DropName,
    /// Removes fields that are `null`, but for the content of a message: some readers need it said.
    DropNull,
    /// Makes content that is a list of nothing but text into one string.
    FlattenText,
    /// Calls the developer the system.
    DeveloperToSystem,
    /// Removes marks for the prompt cache from messages, their parts and the tools.
    DropCacheMarks,
    /// Removes reasoning from the history.
    DropReasoning,
    /// Gives an assistant's tool calls a blank reasoning, where a provider wants one and the caller lost it.
    FillReasoning,
}

const CACHE_MARKS: [&str; 2] = ["cache_control", "prompt_cache_breakpoint"];
const REASONING: [&str; 4] = ["reasoning_content", "reasoning", "reasoning_details", "thinking_blocks"];

impl MessageEdit {
    pub(super) fn apply(self, draft: &mut Draft<'_>, loss: &mut Loss) -> Result<(), Malformed> {
        self.apply_list(draft, "messages", loss)?;
        if self == Self::DropCacheMarks {
            if let Some(mark) = draft.remove("cache_control") {
                note(loss, "cache_control", &mark);
            }
            self.apply_list(draft, "tools", loss)?;
        }
        Ok(())
    }

    /// Edits the objects of the list in `key`; a list in which nothing changes keeps its bytes.
    fn apply_list(self, draft: &mut Draft<'_>, key: &str, loss: &mut Loss) -> Result<(), Malformed> {
        let Some(items) = draft.get(key).filter(|items| !is_null(items)) else { return Ok(()) };
        let items = elements(items).ok_or_else(|| Malformed::field(key, "a list"))?;
        let mut changed = false;
        let mut out = Vec::with_capacity(items.len());
        for (nth, item) in items.into_iter().enumerate() {
            let fields = Fields::of(item, &format!("{key}[{nth}]"))?;
            let mut message = Draft::from(&fields);
            if self.edit(&mut message, loss)? {
                changed = true;
                out.push(message.into_raw());
            } else {
                out.push(Cow::Borrowed(item));
            }
        }
        if changed {
            let items = list(out.iter().map(AsRef::as_ref));
            draft.set_raw(key, items);
        }
        Ok(())
    }

    /// Whether the message had to be changed.
    fn edit(self, message: &mut Draft<'_>, loss: &mut Loss) -> Result<bool, Malformed> {
        let role = message.get("role").and_then(string);
        let role = role.as_deref().unwrap_or_default();
        let changed = match self {
            Self::DropName => drop_fields(message, &["name"], "messages.", loss),
            Self::DropNull => {
                let before = message.items.len();
                message.items.retain(|(key, value)| key == "content" || !is_null(value));
                message.items.len() < before
            }
            Self::FlattenText => match message.get("content").and_then(flat_text) {
                Some(text) => {
                    message.set_raw("content", json_string(&text));
                    true
                }
                None => false,
            },
            Self::DeveloperToSystem if role == "developer" => {
                message.set_raw("role", json_string("system"));
                true
            }
            Self::DropCacheMarks => {
                let outer = drop_fields(message, &CACHE_MARKS, "", loss);
                drop_marks_of_parts(message, loss)? || outer
            }
            Self::DropReasoning if role == "assistant" => drop_fields(message, &REASONING, "messages.", loss),
            Self::FillReasoning if role == "assistant" => {
                let calls =
                    message.get("tool_calls").and_then(elements).is_some_and(|calls| !calls.is_empty());
                let blank =
                    message.get("reasoning_content").and_then(string).is_none_or(|text| text.is_empty());
                if calls && blank {
                    message.set_raw("reasoning_content", json_string(" "));
                }
                calls && blank
            }
            Self::DeveloperToSystem | Self::DropReasoning | Self::FillReasoning => false,
        };
        Ok(changed)
    }
}

fn drop_fields(draft: &mut Draft<'_>, keys: &[&str], path: &str, loss: &mut Loss) -> bool {
    let mut changed = false;
    for key in keys {
        if let Some(value) = draft.remove(key) {
            note(loss, &format!("{path}{key}"), &value);
            changed = true;
        }
    }
    changed
}

fn note(loss: &mut Loss, item: &str, value: &RawValue) {
    if !is_null(value) {
        loss.note(item.to_owned());
    }
}

fn drop_marks_of_parts(message: &mut Draft<'_>, loss: &mut Loss) -> Result<bool, Malformed> {
    let Some(parts) = message.get("content").and_then(elements) else { return Ok(false) };
    let mut changed = false;
    let mut out = Vec::with_capacity(parts.len());
    for part in parts {
        let fields = Fields::of(part, "messages.content")?;
        let mut draft = Draft::from(&fields);
        if drop_fields(&mut draft, &CACHE_MARKS, "", loss) {
            changed = true;
            out.push(draft.into_raw());
        } else {
            out.push(Cow::Borrowed(part));
        }
    }
    if changed {
        let parts = list(out.iter().map(AsRef::as_ref));
        message.set_raw("content", parts);
    }
    Ok(changed)
}

/// The text of a list that holds nothing but text parts, joined by blank lines where there are several.
fn flat_text(content: &RawValue) -> Option<String> {
    let mut texts = Vec::new();
    for part in elements(content)? {
        let part = Fields::of(part, "messages.content").ok()?;
        if part.get("type").and_then(string)? != "text" {
            return None;
        }
        texts.push(part.get("text").and_then(string)?.into_owned());
    }
    Some(texts.join("\n\n"))
}

/// The elements of a list; none for any other value.
fn elements(raw: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(raw.get()).ok()
}
