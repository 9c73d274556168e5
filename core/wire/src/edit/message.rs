//! Changes to messages that no path can say.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Draft, Edit, elements, list, raw_string};
use crate::json::{is_null, string};
use crate::{Fields, Loss, Malformed};

mod calls;
mod thought;
mod turns;

/// A change to every message that it concerns; written in data files by its name (`flatten-text`).
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
    /// Puts an assistant's reasoning among the parts of its content, as `thinking`: Mistral's way.
    ReasoningToThinking,
    /// Puts an assistant's reasoning among the parts of its content, as `reasoning` with a summary: Databricks' way.
    ReasoningToSummary,
    /// Gives calls of tools, and their results, ids of nine letters and digits.
    NineCharacterIds,
    /// Lets an assistant say something between a tool's result and the user.
    AssistantAfterTool,
    /// Makes two turns of one role in a row one.
    MergeTurns,
    /// Takes the status, which says nothing, from items of reasoning in the input of Responses.
    BareReasoning,
}

impl MessageEdit {
    /// Whether it carries an assistant's reasoning back to the model, in whatever words.
    pub fn keeps_reasoning(self) -> bool {
        match self {
            Self::FillReasoning | Self::ReasoningToThinking | Self::ReasoningToSummary => true,
            Self::DropName
            | Self::DropNull
            | Self::FlattenText
            | Self::DeveloperToSystem
            | Self::DropCacheMarks
            | Self::DropReasoning
            | Self::NineCharacterIds
            | Self::AssistantAfterTool
            | Self::MergeTurns
            | Self::BareReasoning => false,
        }
    }
}

const CACHE_MARKS: [&str; 8] = [
    "cache_control",
    "messages.*.cache_control",
    "messages.*.content.*.cache_control",
    "messages.*.content.*.prompt_cache_breakpoint",
    "tools.*.cache_control",
    "tools.*.function.cache_control",
    "prompt_cache_options",
    "prompt_cache_retention",
];
const REASONING: [&str; 4] = ["reasoning_content", "reasoning", "reasoning_details", "thinking_blocks"];

impl MessageEdit {
    pub(super) fn apply(self, draft: &mut Draft<'_>, loss: &mut Loss) -> Result<(), Malformed> {
        match self {
            Self::DropName => draft.apply(&[Edit::Drop("messages.*.name".to_owned())], loss),
            Self::DeveloperToSystem => draft.apply(
                &[Edit::Replace("messages.*.role".to_owned(), "developer".into(), "system".into())],
                loss,
            ),
            Self::DropCacheMarks => {
                CACHE_MARKS.iter().try_for_each(|path| draft.apply(&[Edit::Drop((*path).to_owned())], loss))
            }
            Self::AssistantAfterTool => {
                turns::assistant_after_tool(draft);
                Ok(())
            }
            Self::MergeTurns => {
                turns::merge(draft);
                Ok(())
            }
            Self::DropNull
            | Self::FlattenText
            | Self::DropReasoning
            | Self::FillReasoning
            | Self::ReasoningToThinking
            | Self::ReasoningToSummary
            | Self::NineCharacterIds => self.each("messages", draft, loss),
            // A single text has no items.
            Self::BareReasoning if draft.get("input").is_none_or(|input| input.get().starts_with('"')) => {
                Ok(())
            }
            Self::BareReasoning => self.each("input", draft, loss),
        }
    }

    /// Edits each message; a list in which nothing changes keeps its bytes.
    fn each(self, list_of: &str, draft: &mut Draft<'_>, loss: &mut Loss) -> Result<(), Malformed> {
        let Some(messages) = draft.get(list_of).filter(|messages| !is_null(messages)) else {
            return Ok(());
        };
        let messages = elements(messages).ok_or_else(|| Malformed::field(list_of, "a list"))?;
        let mut changed = false;
        let mut out: Vec<Cow<'_, RawValue>> = Vec::with_capacity(messages.len());
        for (nth, before) in messages.into_iter().enumerate() {
            let mut message = Draft::from(&Fields::of(before, &format!("{list_of}[{nth}]"))?);
            if self.edit(&mut message, loss) {
                changed = true;
                out.push(Cow::Owned(message.to_raw()));
            } else {
                out.push(Cow::Borrowed(before));
            }
        }
        if changed {
            let messages = list(out.iter().map(AsRef::as_ref));
            draft.put(list_of, Cow::Owned(messages));
        }
        Ok(())
    }

    /// Whether the message had to be changed.
    fn edit(self, message: &mut Draft<'_>, loss: &mut Loss) -> bool {
        let by_assistant = message.get("role").and_then(string).is_some_and(|role| role == "assistant");
        match self {
            Self::DropNull => {
                let before = message.items.len();
                message.items.retain(|(key, value)| key == "content" || !is_null(value));
                message.items.len() < before
            }
            Self::FlattenText => {
                let flat = message.get("content").and_then(flat_text);
                flat.map(|text| message.put("content", Cow::Owned(raw_string(&text)))).is_some()
            }
            Self::DropReasoning if by_assistant => {
                let dropped = REASONING.iter().filter(|key| match message.remove(key) {
                    None => false,
                    Some(value) => {
                        if !is_null(&value) {
                            loss.note(format!("messages.*.{key}"));
                        }
                        true
                    }
                });
                dropped.count() > 0
            }
            Self::FillReasoning if by_assistant => {
                let calls =
                    message.get("tool_calls").and_then(elements).is_some_and(|calls| !calls.is_empty());
                let blank =
                    message.get("reasoning_content").and_then(string).is_none_or(|text| text.is_empty());
                if calls && blank {
                    message.put("reasoning_content", Cow::Owned(raw_string(" ")));
                }
                calls && blank
            }
            Self::ReasoningToThinking if by_assistant => thought::to_parts(message, thought::thinking),
            Self::ReasoningToSummary if by_assistant => thought::to_parts(message, thought::summary),
            Self::NineCharacterIds => calls::nine_characters(message),
            Self::BareReasoning => {
                message.get("type").and_then(string).is_some_and(|kind| kind == "reasoning")
                    && message.remove("status").is_some()
            }
            Self::DropReasoning
            | Self::FillReasoning
            | Self::ReasoningToThinking
            | Self::ReasoningToSummary
            | Self::DropName
            | Self::DeveloperToSystem
            | Self::DropCacheMarks
            | Self::AssistantAfterTool
            | Self::MergeTurns => false,
        }
    }
}

/// The text of a list that holds nothing but text parts, joined by blank lines where there are several.
fn flat_text(content: &RawValue) -> Option<String> {
    let mut texts = Vec::new();
    for part in elements(content)? {
        let part = Fields::of(part, "messages.*.content").ok()?;
        if part.get("type").and_then(string)? != "text" {
            return None;
        }
        texts.push(part.get("text").and_then(string)?.into_owned());
    }
    Some(texts.join("\n\n"))
}
