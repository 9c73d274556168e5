//! Whole answers.

use crate::chat::{Choice, Content, Extra, Part, Response, Stop, ToolKind};
use crate::dialect::turns::Body as _;
use crate::fold::settled_stop;
use crate::object::{Object, ObjectWriter, object};
use crate::{DialectId, Json, Loss, Malformed, Restore};

use super::block::{Block, Body, citation_for_reader, read_content, write_blocks};
use super::usage::{self, Counts};
use crate::dialect::arguments::{Input, input_of, wrapped};

const HERE: DialectId = DialectId::Anthropic;

const KNOWN: &[&str] = &["id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"];

pub(super) fn read(body: &[u8]) -> Result<Response, Malformed> {
    let object = Object::read(body)?;
    let content = object.raw("content").ok_or_else(|| Malformed::field("content", "a list of blocks"))?;
    let stop = object.string("stop_reason")?.map(|reason| read_stop(&reason, &object)).transpose()?;
    let mut counts = Counts::default();
    let beside = object.object("usage")?.map(|usage| counts.update(&usage)).transpose()?.unwrap_or_default();
    let choice = Choice { parts: read_content(content, "content")?, stop, logprobs: None };
    Ok(Response {
        id: object.string("id")?.unwrap_or_default(),
        model: object.string("model")?.unwrap_or_default(),
        created: None,
        choices: vec![choice],
        usage: counts.usage(),
        service_tier: beside.service_tier,
        extra: whole_extra(&object, KNOWN, beside.extra),
    })
}

/// What only this dialect says of a whole answer: of the object all that is neither known nor null, and `beside`.
pub(super) fn whole_extra(object: &Object<'_>, known: &[&str], beside: Extra) -> Extra {
    let mut extra = object.rest(known, HERE);
    extra.fields.retain(|(_, json)| json.as_str() != "null");
    extra.fields.extend(beside.fields);
    extra.dialect = (!extra.fields.is_empty()).then_some(HERE);
    extra
}

pub(super) fn read_stop(reason: &str, object: &Object<'_>) -> Result<Stop, Malformed> {
    Ok(match reason {
        "end_turn" => Stop::EndTurn,
        "stop_sequence" => Stop::Sequence(object.string("stop_sequence")?),
        "max_tokens" => Stop::MaxTokens,
        "model_context_window_exceeded" => Stop::ContextWindow,
        "tool_use" => Stop::ToolUse,
        "refusal" => Stop::Refusal,
        "pause_turn" => Stop::Pause,
        other => Stop::Other(other.to_owned()),
    })
}

/// The word for `stop` and the sequence that matched.
pub(super) fn stop_words<'a>(stop: &'a Stop, loss: &mut Loss) -> (&'a str, Option<&'a str>) {
    match stop {
        Stop::Sequence(Some(sequence)) => ("stop_sequence", Some(sequence)),
        // Which sequence it was, the upstream did not say: a reader of this dialect would look for it.
        Stop::EndTurn | Stop::Sequence(None) => ("end_turn", None),
        Stop::MaxTokens => ("max_tokens", None),
        Stop::ContextWindow => ("model_context_window_exceeded", None),
        Stop::ToolUse => ("tool_use", None),
        Stop::Refusal => ("refusal", None),
        Stop::Pause => ("pause_turn", None),
        Stop::Other(word) if word == "compaction" => (word, None),
        // Strict readers know no other words.
        Stop::Other(_) => {
            loss.note("stop_reason");
            ("end_turn", None)
        }
    }
}

pub(super) fn write(response: &Response, loss: &mut Loss) -> Vec<u8> {
    let choice = response.only_choice(HERE, loss);
    if choice.logprobs.is_some() {
        loss.note("logprobs");
    }
    let blocks: Vec<Block> = choice.parts.iter().filter_map(|part| block(part, loss)).collect();
    let calls = choice.parts.iter().any(|part| matches!(part.content, Content::ToolCall(_)));
    let refusal = refusal(&choice.parts);
    let stop = match &choice.stop {
        Some(Stop::EndTurn) if refusal.is_some() => Some(Stop::Refusal),
        Some(stop) => Some(settled_stop(stop.clone(), calls)),
        None => None,
    };
    let mut body = Vec::with_capacity(512);
    object(&mut body, |object| {
        object.string("id", &response.id);
        object.string("type", "message");
        object.string("role", "assistant");
        object.string("model", &response.model);
        object.list("content", |list| write_blocks(list, &blocks));
        let (reason, sequence) = stop.as_ref().map_or((None, None), |stop| {
            let (reason, sequence) = stop_words(stop, loss);
            (Some(reason), sequence)
        });
        object.maybe("stop_reason", reason);
        object.maybe("stop_sequence", sequence);
        let extra = response.extra.of(HERE).iter().filter(|(name, _)| !name.starts_with("usage."));
        let mut said = false;
        for (name, json) in extra {
            said |= name == "stop_details";
            object.json(name, json);
        }
        if let Some(text) = refusal.filter(|_| !said) {
            write_refusal(object, text);
        }
        object.object("usage", |object| {
            usage::write(object, &response.usage, response.service_tier.as_deref(), &response.extra);
        });
    });
    body
}

fn refusal(parts: &[Part]) -> Option<&str> {
    parts.iter().find_map(|part| match &part.content {
        Content::Refusal { text } => Some(text.as_str()),
        _ => None,
    })
}

pub(super) fn write_refusal(object: &mut ObjectWriter<'_>, explanation: &str) {
    object.object("stop_details", |object| {
        object.string("type", "refusal");
        object.raw("category", "null");
        object.string("explanation", explanation);
    });
}

/// A part as its reader sees it, if it says something that this dialect can say.
pub(super) fn block(part: &Part, loss: &mut Loss) -> Option<Block> {
    let body = match &part.content {
        Content::Text { text, .. } | Content::Refusal { text } if text.is_empty() => return None,
        Content::Text { text, citations } => {
            let told: Vec<Json> = citations.iter().filter_map(citation_for_reader).collect();
            if told.len() < citations.len() {
                loss.note("content.citations");
            }
            Body::Text { text: text.clone(), citations: told }
        }
        Content::Refusal { text } => Body::text(text.clone()),
        Content::ToolCall(call) => Body::Call {
            id: call.id.clone(),
            name: call.name.clone(),
            input: match call.kind {
                ToolKind::Custom => wrapped(&call.arguments, Restore::FREE_TEXT),
                ToolKind::Function => input(&call.arguments, loss),
            },
        },
        Content::Thinking { text, signature } => {
            let signature = signature.clone().unwrap_or_default();
            if text.is_empty() && signature.is_empty() {
                return None;
            }
            Body::Thinking { text: text.clone(), signature }
        }
        Content::RedactedThinking { data } => Body::Redacted { data: data.clone() },
        Content::Foreign { dialect: HERE, json } => Body::Raw(json.clone()),
        Content::Image { .. } => return lost("content.image", loss),
        Content::Audio { .. } => return lost("content.audio", loss),
        Content::Document { .. } => return lost("content.document", loss),
        Content::ToolResult(_) => return lost("content.tool_result", loss),
        Content::Foreign { .. } => return lost("content.foreign", loss),
    };
    loss.note_extra(&part.extra, HERE, "content");
    Some(Block { body, cache: None, extra: part.extra.clone() })
}

fn lost(what: &'static str, loss: &mut Loss) -> Option<Block> {
    loss.note(what);
    None
}

/// Arguments for a reader who takes only objects.
fn input(arguments: &str, loss: &mut Loss) -> Json {
    match input_of(arguments) {
        Input::Object(json) => json,
        Input::Several => {
            loss.note("content.tool_use.input");
            wrapped(arguments, "arguments")
        }
        Input::Other(json) => {
            loss.note("content.tool_use.input");
            json
        }
    }
}
