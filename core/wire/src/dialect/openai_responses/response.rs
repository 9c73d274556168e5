//! Whole answers.

use serde_json::value::RawValue;

use super::item::{self, Item};
use super::{HERE, usage};
use crate::chat::{Choice, Content, Part, Response, Stop};
use crate::fold::settled_stop;
use crate::object::Object;
use crate::{Json, Malformed, Usage};

/// What is read, and what is only repeated from the request.
pub(super) const KNOWN: &[&str] = &[
    "id",
    "object",
    "created_at",
    "completed_at",
    "status",
    "error",
    "incomplete_details",
    "model",
    "output",
    "output_text",
    "usage",
    "tool_usage",
    "service_tier",
    "background",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
    "frequency_penalty",
    "presence_penalty",
    "billing",
];

pub(super) fn read(body: &[u8]) -> Result<Response, Malformed> {
    let whole = Object::read(body)?;
    let output = whole.items("output")?.ok_or_else(|| Malformed::field("output", "a list"))?;
    let mut parts = Vec::with_capacity(output.len());
    let mut logprobs = Logprobs::default();
    for (nth, raw) in output.into_iter().enumerate() {
        read_item(raw, format!("output[{nth}]"), &mut parts, &mut logprobs)?;
    }
    let stop = stop(&whole, &parts)?;
    let mut extra = whole.rest(KNOWN, HERE);
    extra.fields.retain(|(_, json)| json.as_str() != "null");
    Ok(Response {
        id: whole.string("id")?.unwrap_or_default(),
        model: whole.string("model")?.unwrap_or_default(),
        created: seconds(whole.raw("created_at")),
        choices: vec![Choice { parts, stop: Some(stop), logprobs: logprobs.json() }],
        usage: usage::read(whole.raw("usage"), whole.raw("tool_usage")).unwrap_or_default(),
        service_tier: whole.string("service_tier")?,
        extra,
    })
}

/// Reads usage and service tier alone.
pub(super) fn read_usage(body: &[u8]) -> Result<(Usage, Option<String>), Malformed> {
    let whole = Object::read(body)?;
    let answers = whole.raw("output").is_some_and(|raw| raw.get().starts_with('['));
    match usage::read(whole.raw("usage"), whole.raw("tool_usage")) {
        Some(usage) if answers && whole.string("status")?.as_deref() == Some("completed") => {
            Ok((usage, whole.string("service_tier")?))
        }
        _ => read(body).map(|response| (response.usage, response.service_tier)),
    }
}

/// Some say fractions of seconds.
pub(super) fn seconds(raw: Option<&RawValue>) -> Option<u64> {
    let text = raw?.get();
    text.split_once('.').map_or(text, |(whole, _)| whole).parse().ok()
}

/// Reads an item of an answer.
pub(super) fn read_item(
    raw: &RawValue,
    path: String,
    parts: &mut Vec<Part>,
    logprobs: &mut Logprobs,
) -> Result<(), Malformed> {
    logprobs.of_item(raw);
    match item::read(raw, path)? {
        Item::Said(said) => parts.extend(said.into_iter().filter(says_something)),
        Item::Result(part) => parts.push(part),
        Item::Message(message) => parts.extend(message.parts),
    }
    Ok(())
}

fn says_something(part: &Part) -> bool {
    !matches!(&part.content, Content::Text { text, citations } if text.is_empty() && citations.is_empty())
}

/// Why the model stopped.
///
/// An answer that is only promised, or still made, has its own word for a reason, so that it is never taken for a complete
/// one: whoever asked in the background looks again.
///
/// # Errors
/// The answer is none: it failed or was cancelled.
pub(super) fn stop(whole: &Object<'_>, parts: &[Part]) -> Result<Stop, Malformed> {
    let calls = parts.iter().any(|part| matches!(part.content, Content::ToolCall(_)));
    let status = whole.string("status")?;
    let details = whole.object("incomplete_details")?;
    let reason = details.map(|details| details.string("reason")).transpose()?.flatten();
    match status.as_deref().unwrap_or("completed") {
        "completed" => Ok(settled_stop(Stop::EndTurn, calls)),
        "incomplete" => Ok(stop_of(reason.as_deref())),
        word @ (super::QUEUED | super::IN_PROGRESS) => Ok(Stop::Other(word.to_owned())),
        _ => Err(Malformed::field("status", "an answer that is complete, or at least begun")),
    }
}

pub(super) fn stop_of(reason: Option<&str>) -> Stop {
    match reason {
        Some("max_output_tokens" | "max_tokens") | None => Stop::MaxTokens,
        Some("content_filter") => Stop::Refusal,
        Some("max_messages" | "steered") => Stop::EndTurn,
        Some(other) => Stop::Other(other.to_owned()),
    }
}

/// How probable the tokens were, of all texts together.
#[derive(Debug, Default)]
pub(super) struct Logprobs(Vec<Json>);

impl Logprobs {
    fn of_item(&mut self, raw: &RawValue) {
        if !raw.get().contains("\"logprobs\"") {
            return;
        }
        let Ok(item) = Object::of(raw, "") else { return };
        for part in item.items("content").ok().flatten().unwrap_or_default() {
            let Ok(part) = Object::of(part, "") else { continue };
            let tokens = part.items("logprobs").ok().flatten().unwrap_or_default();
            self.0.extend(tokens.into_iter().map(Json::from));
        }
    }

    fn json(self) -> Option<Json> {
        of_tokens(&self.0)
    }
}

/// Logprobs in the canonical form.
pub(super) fn of_tokens(tokens: &[Json]) -> Option<Json> {
    (!tokens.is_empty()).then(|| {
        super::shape::json(|object| {
            object.list("content", |list| tokens.iter().for_each(|token| list.json(token)));
        })
    })
}
