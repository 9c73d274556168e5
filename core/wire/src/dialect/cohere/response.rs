//! Whole answers.

use super::message::{read_assistant, stop_of, stop_word, write_call};
use super::{HERE, document, error, logprobs, usage};
use crate::chat::{Choice, Content, Part, Response};
use crate::object::{Object, ObjectWriter, object};
use crate::{Loss, Malformed};

const KNOWN: &[&str] = &["id", "message", "finish_reason", "usage", "logprobs"];

pub(super) fn read(body: &[u8]) -> Result<Response, Malformed> {
    let whole = Object::read(body)?;
    let message = whole.object("message")?;
    let message = message.ok_or_else(|| Malformed::field("message", "an object"))?;
    let parts = read_assistant(&message)?;
    let calls = has_calls(&parts);
    let reason = whole.string("finish_reason")?;
    let stop = match reason {
        // An answer that says that it is an error is none.
        Some(reason) if error::stopped(&reason, None).is_some() => {
            return Err(Malformed::field("finish_reason", "an answer that is no error"));
        }
        reason => reason.map(|reason| stop_of(&reason, calls)),
    };
    let mut extra = whole.rest(KNOWN, HERE);
    extra.fields.retain(|(_, json)| json.as_str() != "null");
    Ok(Response {
        id: whole.string("id")?.unwrap_or_default(),
        choices: vec![Choice { parts, stop, logprobs: whole.raw("logprobs").and_then(logprobs::read) }],
        usage: whole.raw("usage").and_then(usage::read).unwrap_or_default(),
        extra,
        ..Response::default()
    })
}

fn has_calls(parts: &[Part]) -> bool {
    parts.iter().any(|part| matches!(part.content, Content::ToolCall(_)))
}

pub(super) fn write(response: &Response, loss: &mut Loss) -> Vec<u8> {
    let choice = response.only_choice(HERE, loss);
    if response.service_tier.is_some() {
        loss.note("service_tier");
    }
    let calls = has_calls(&choice.parts);
    let reason = choice.stop.as_ref().map_or("COMPLETE", |stop| stop_word(stop, calls, loss));
    let mut out = Vec::with_capacity(512);
    object(&mut out, |object| {
        object.string("id", &response.id);
        object.object("message", |message| write_message(message, &choice.parts, loss));
        object.string("finish_reason", reason);
        if let Some(json) = &choice.logprobs {
            match logprobs::write(json) {
                Some(pieces) => {
                    object.list("logprobs", |list| pieces.iter().for_each(|piece| list.json(piece)));
                }
                None => loss.note("logprobs"),
            }
        }
        object.object("usage", |object| usage::write(object, &response.usage));
        object.extra(&response.extra, HERE);
    });
    out
}

fn write_message(message: &mut ObjectWriter<'_>, parts: &[Part], loss: &mut Loss) {
    message.string("role", "assistant");
    let (mut calls, mut citations) = (Vec::new(), Vec::new());
    // Empty text says nothing, but an answer that is nothing else says so.
    let silent = |part: &Part| matches!(&part.content, Content::Text { text, citations } if text.is_empty() && citations.is_empty());
    message.list("content", |list| {
        let mut index = 0;
        for part in parts.iter().filter(|part| !silent(part)) {
            loss.note_extra(&part.extra, HERE, "content");
            let mut item = |kind: &str, key: &str, text: &str| {
                index += 1;
                list.object(|object| {
                    object.string("type", kind);
                    object.string(key, text);
                });
            };
            match &part.content {
                Content::Text { text, citations: cited } => {
                    item("text", "text", text);
                    let made = cited.iter().filter_map(|one| document::citation(one, index - 1, Some(text)));
                    citations.extend(made);
                }
                Content::Refusal { text } => {
                    loss.note("content.refusal");
                    item("text", "text", text);
                }
                Content::Thinking { text, signature } => {
                    if signature.is_some() {
                        loss.note("content.signature");
                    }
                    item("thinking", "thinking", text);
                }
                Content::ToolCall(call) => calls.push(call),
                Content::Foreign { dialect: HERE, json } => citations.push(json.clone()),
                Content::RedactedThinking { .. } => loss.note("content.redacted_thinking"),
                Content::Image { .. } | Content::Audio { .. } | Content::Document { .. } => {
                    loss.note("content.media");
                }
                Content::ToolResult(_) => loss.note("content.tool_result"),
                Content::Foreign { .. } => loss.note("content.foreign"),
            }
        }
    });
    if !calls.is_empty() {
        message.list("tool_calls", |list| {
            for call in calls {
                list.object(|object| write_call(object, &call.id, &call.name, &call.arguments));
            }
        });
    }
    if !citations.is_empty() {
        message.list("citations", |list| citations.iter().for_each(|citation| list.json(citation)));
    }
}
