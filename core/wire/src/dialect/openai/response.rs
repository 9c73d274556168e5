//! Whole answers.

use std::collections::BTreeSet;

use super::message::{
    annotation, citation_of, fields_of, foreign, read_calls, read_content, read_thoughts, stop_word,
    write_call, write_thoughts,
};
use super::write::tier;
use super::{HERE, decode, usage};
use crate::chat::{Choice, Content, Part, Response, Source};
use crate::dialect::{Reading, tags};
use crate::object::{Object, ObjectWriter, object};
use crate::{Loss, Malformed, Usage};

const KNOWN: &[&str] = &["id", "object", "created", "model", "choices", "usage", "service_tier", "x_groq"];
const KNOWN_OF_MESSAGES: &[&str] = &[
    "role",
    "content",
    "refusal",
    "tool_calls",
    "function_call",
    "annotations",
    "images",
    "reasoning_content",
    "reasoning",
    "thinking_blocks",
];

pub(super) fn read(body: &[u8], reading: Reading) -> Result<Response, Malformed> {
    let whole = Object::read(body)?;
    let choices = whole.items("choices")?.ok_or_else(|| Malformed::field("choices", "a list"))?;
    let mut counts = whole.raw("usage").and_then(|raw| usage::read(raw, reading.reasoning_outside));
    let mut read = Vec::with_capacity(choices.len());
    for (nth, raw) in choices.into_iter().enumerate() {
        let choice = Object::of(raw, format!("choices[{nth}]"))?;
        let beside = choice.raw("usage").and_then(|raw| usage::read(raw, reading.reasoning_outside));
        counts = counts.or(beside);
        read.push(read_choice(&choice, reading)?);
    }
    if counts.is_none()
        && let Some(groq) = whole.object("x_groq")?
    {
        counts = groq.raw("usage").and_then(|raw| usage::read(raw, reading.reasoning_outside));
    }
    let mut extra = whole.rest(KNOWN, HERE);
    extra.fields.retain(|(_, json)| json.as_str() != "null");
    Ok(Response {
        id: whole.string("id")?.unwrap_or_default(),
        model: whole.string("model")?.unwrap_or_default(),
        created: whole.count("created").ok().flatten(),
        choices: read,
        usage: counts.unwrap_or_default(),
        service_tier: whole.string("service_tier")?,
        extra,
    })
}

/// Reads usage and service tier alone, from where the dialect has them; an answer that has usage elsewhere is read whole.
pub(super) fn read_usage(body: &[u8], reading: Reading) -> Result<(Usage, Option<String>), Malformed> {
    let whole = Object::read(body)?;
    let choices = whole.raw("choices").and_then(|raw| raw.get().strip_prefix('['));
    let has_choice = choices.is_some_and(|items| items.trim_start().starts_with('{'));
    match whole.raw("usage").and_then(|raw| usage::read(raw, reading.reasoning_outside)) {
        Some(usage) if has_choice => Ok((usage, whole.string("service_tier")?)),
        _ => read(body, reading).map(|response| (response.usage, response.service_tier)),
    }
}

fn read_choice(choice: &Object<'_>, reading: Reading) -> Result<Choice, Malformed> {
    let message = choice.object("message")?;
    let message = message.ok_or_else(|| Malformed::field(choice.path("message"), "an object"))?;
    let mut parts = read_thoughts(&message)?;
    for mut part in
        message.raw("content").map_or(Ok(Vec::new()), |raw| read_content(raw, &message.path("content")))?
    {
        if let Content::Text { text, .. } = &mut part.content {
            if reading.think_tags {
                let (thought, rest) = tags::split(text);
                *text = rest;
                if !thought.is_empty() {
                    parts.push(Content::Thinking { text: thought, signature: None }.into());
                }
            }
            if text.is_empty() {
                continue;
            }
        }
        parts.push(part);
    }
    annotate(&message, &mut parts)?;
    if let Some(text) = message.string("refusal")?.filter(|text| !text.is_empty()) {
        parts.push(Content::Refusal { text }.into());
    }
    for image in message.items("images")?.unwrap_or_default() {
        if let Some(url) = decode::image_url(image) {
            parts.push(Content::Image { source: Source::of_url(&url), detail: None }.into());
        }
    }
    for (nth, mut call) in read_calls(&message)?.into_iter().enumerate() {
        if call.id.is_empty() {
            call.id = format!("call_{nth}");
        }
        parts.push(Content::ToolCall(call).into());
    }
    let mut rest = message.rest(KNOWN_OF_MESSAGES, HERE);
    rest.fields.retain(|(_, json)| json.as_str() != "null");
    parts.extend(foreign(&rest).map(Part::from));
    let calls = parts.iter().any(|part| matches!(part.content, Content::ToolCall(_)));
    let stop = match choice.string("finish_reason")?.filter(|reason| !reason.is_empty()) {
        None => None,
        Some(reason) => {
            // An answer that says that it is an error is none.
            let stop = decode::stop_of(&reason)
                .map_err(|_| Malformed::field(choice.path("finish_reason"), "an answer that is no error"))?;
            Some(decode::reconciled(stop, calls))
        }
    };
    Ok(Choice { parts, stop, logprobs: choice.json("logprobs") })
}

/// Puts the annotations into the first text.
fn annotate(message: &Object<'_>, parts: &mut Vec<Part>) -> Result<(), Malformed> {
    let annotations = message.items("annotations")?.unwrap_or_default();
    if annotations.is_empty() {
        return Ok(());
    }
    let found = annotations.into_iter().map(citation_of);
    let text = parts.iter_mut().find_map(|part| match &mut part.content {
        Content::Text { citations, .. } => Some(citations),
        _ => None,
    });
    match text {
        Some(citations) => citations.extend(found),
        None => parts.push(Content::Text { text: String::new(), citations: found.collect() }.into()),
    }
    Ok(())
}

pub(super) fn write(response: &Response, loss: &mut Loss) -> Vec<u8> {
    loss.note_extra(&response.extra, HERE, "");
    let mut out = Vec::with_capacity(512);
    object(&mut out, |object| {
        object.string("id", &response.id);
        object.string("object", "chat.completion");
        object.count("created", response.created.unwrap_or(0));
        object.string("model", &response.model);
        object.list("choices", |list| {
            for (index, choice) in (0_u64..).zip(&response.choices) {
                list.object(|object| write_choice(object, index, choice, loss));
            }
        });
        object.object("usage", |object| usage::write(object, &response.usage));
        if let Some(tier) = tier(response.service_tier.as_deref()) {
            object.string("service_tier", tier);
        }
        object.extra(&response.extra, HERE);
    });
    out
}

fn write_choice(object: &mut ObjectWriter<'_>, index: u64, choice: &Choice, loss: &mut Loss) {
    let calls = choice.parts.iter().any(|part| matches!(part.content, Content::ToolCall(_)));
    let stop = choice.stop.as_ref().map_or("stop", |stop| stop_word(stop, calls, loss));
    object.count("index", index);
    object.object("message", |message| write_message(message, &choice.parts, loss));
    match &choice.logprobs {
        Some(json) => object.json("logprobs", json),
        None => object.raw("logprobs", "null"),
    }
    object.string("finish_reason", stop);
}

fn write_message(message: &mut ObjectWriter<'_>, parts: &[Part], loss: &mut Loss) {
    let (mut text, mut refusal): (Option<String>, Option<String>) = (None, None);
    let (mut annotations, mut images, mut calls) = (Vec::new(), Vec::new(), Vec::new());
    for part in parts {
        match &part.content {
            Content::Text { text: more, citations } => {
                text.get_or_insert_default().push_str(more);
                for citation in citations {
                    match annotation(citation) {
                        Some(json) => annotations.push(json),
                        None => loss.note("content.citations"),
                    }
                }
            }
            Content::Refusal { text: more } => refusal.get_or_insert_default().push_str(more),
            Content::ToolCall(call) => calls.push(call),
            Content::Image { source, .. } if source.to_url().is_some() => images.push(source),
            Content::Thinking { .. }
            | Content::RedactedThinking { .. }
            | Content::Foreign { dialect: HERE, .. } => {}
            Content::Image { .. } | Content::Audio { .. } | Content::Document { .. } => {
                loss.note("content.media");
            }
            Content::ToolResult(_) => loss.note("content.tool_result"),
            Content::Foreign { .. } => loss.note("content.foreign"),
        }
        loss.note_extra(&part.extra, HERE, "content");
    }
    message.string("role", "assistant");
    message.maybe("content", text.as_deref());
    message.maybe("refusal", refusal.as_deref());
    write_thoughts(message, parts, "reasoning_content");
    if !annotations.is_empty() {
        message.list("annotations", |list| annotations.iter().for_each(|json| list.json(json)));
    }
    if !images.is_empty() {
        message.list("images", |list| {
            for source in images {
                list.object(|object| super::message::image(object, source));
            }
        });
    }
    if !calls.is_empty() {
        message.list("tool_calls", |list| {
            for call in calls {
                list.object(|object| write_call(object, &call.id, &call.name, call));
            }
        });
    }
    let mut told = BTreeSet::new();
    for part in parts {
        if let Content::Foreign { dialect: HERE, json } = &part.content {
            for (name, value) in fields_of(json).into_iter().filter(|(name, _)| told.insert(name.clone())) {
                message.json(&name, &value);
            }
        }
    }
}
