//! Whole answers. They have neither an id nor a model's name: whoever relays them knows both.

use crate::chat::{Choice, Citation, Content, Extra, Part, Response, Source, Stop, ToolKind};
use crate::dialect::arguments::{Input, input_of, wrapped};
use crate::dialect::turns::Body as _;
use crate::fold::settled_stop;
use crate::object::{Object, ObjectWriter, object};
use crate::source::standard_base64;
use crate::{Json, Loss, Malformed, Restore, Usage};

use super::HERE;
use super::block::read_content;
use super::fields::written;
use super::media::{self, Kind, Place};
use super::turn::{Body, write_body};
use super::{stop, usage};

pub(super) fn read(body: &[u8]) -> Result<Response, Malformed> {
    let object = Object::read(body)?;
    let message = message(&object)?;
    let content = message.items("content")?.unwrap_or_default();
    let (sequence, extra) = beside(&object);
    let parts = read_content(&content, "output.message.content")?;
    let calls = parts.iter().any(|part| matches!(part.content, Content::ToolCall(_)));
    let stop = object.string("stopReason")?;
    let stop = stop.map(|reason| settled_stop(stop::read(&reason, sequence), calls));
    let (usage, service_tier) = counted(&object)?;
    Ok(Response {
        choices: vec![Choice { parts, stop, logprobs: None }],
        usage,
        service_tier,
        extra,
        ..Response::default()
    })
}

/// Usage and service tier alone.
pub(super) fn read_usage(body: &[u8]) -> Result<(Usage, Option<String>), Malformed> {
    let object = Object::read(body)?;
    message(&object)?;
    counted(&object)
}

fn message<'a>(object: &Object<'a>) -> Result<Object<'a>, Malformed> {
    let output = object.object("output")?.ok_or_else(|| Malformed::field("output", "an object"))?;
    output.object("message")?.ok_or_else(|| Malformed::field("output.message", "an object"))
}

pub(super) fn counted(object: &Object<'_>) -> Result<(Usage, Option<String>), Malformed> {
    let usage = object.object("usage")?.map(|counts| usage::read(&counts)).transpose()?.unwrap_or_default();
    let tier = object.object("serviceTier")?.map(|tier| tier.string("type")).transpose()?.flatten();
    Ok((usage, tier))
}

/// The fields of an answer that other dialects have words for; `metrics`, the time that the provider took, is no part
/// of what was answered.
const KNOWN: &[&str] =
    &["output", "stopReason", "usage", "metrics", "serviceTier", "additionalModelResponseFields"];

/// The stop sequence that matched, if the model's own fields say it, and what only this dialect says beside.
pub(super) fn beside(object: &Object<'_>) -> (Option<String>, Extra) {
    const FIELDS: &str = "additionalModelResponseFields";
    let mut extra = object.rest(KNOWN, HERE);
    let mut sequence = None;
    // Any JSON may stand here; only objects have fields.
    if let Ok(Some(fields)) = object.object(FIELDS) {
        sequence = fields.string("stop_sequence").ok().flatten();
        let mut rest = fields.rest(&["stop_sequence"], HERE).fields;
        rest.retain(|(_, json)| json.as_str() != "null");
        extra.fields.extend(rest.into_iter().map(|(name, json)| (format!("{FIELDS}.{name}"), json)));
    } else if let Some(json) = object.json(FIELDS) {
        extra.fields.push((FIELDS.to_owned(), json));
    }
    // Padding that hides the length of what is said.
    extra.fields.retain(|(name, json)| name != "p" && json.as_str() != "null");
    extra.dialect = (!extra.fields.is_empty()).then_some(HERE);
    (sequence, extra)
}

pub(super) fn write(response: &Response, loss: &mut Loss) -> Vec<u8> {
    let choice = response.only_choice(HERE, loss);
    if choice.logprobs.is_some() {
        loss.note("logprobs");
    }
    let bodies: Vec<Body> = choice.parts.iter().filter_map(|part| body(part, loss)).collect();
    let calls = choice.parts.iter().any(|part| matches!(part.content, Content::ToolCall(_)));
    let refused = choice.parts.iter().any(|part| matches!(part.content, Content::Refusal { .. }));
    let stop = settled(choice.stop.clone(), calls, refused);
    let mut out = Vec::with_capacity(512);
    object(&mut out, |object| {
        object.object("output", |object| {
            object.object("message", |object| {
                object.string("role", "assistant");
                object.list("content", |list| bodies.iter().for_each(|body| write_body(list, body)));
            });
        });
        if let Some(stop) = &stop {
            object.string("stopReason", stop::word(stop, loss));
        }
        object.object("usage", |object| usage::write(object, &response.usage));
        object.object("metrics", |object| object.count("latencyMs", 0));
        write_beside(object, stop.as_ref(), response.service_tier.as_deref(), &response.extra);
    });
    out
}

pub(super) fn settled(stop: Option<Stop>, calls: bool, refused: bool) -> Option<Stop> {
    match stop {
        Some(Stop::EndTurn) if refused => Some(Stop::Refusal),
        stop => stop.map(|stop| settled_stop(stop, calls)),
    }
}

/// What stands beside the answer itself.
pub(super) fn write_beside(
    object: &mut ObjectWriter<'_>,
    stop: Option<&Stop>,
    tier: Option<&str>,
    extra: &Extra,
) {
    write_additional(object, stop, extra);
    write_rest(object, tier, extra);
}

/// The model's own fields.
pub(super) fn write_additional(object: &mut ObjectWriter<'_>, stop: Option<&Stop>, extra: &Extra) {
    const FIELDS: &str = "additionalModelResponseFields.";
    let own = extra.of(HERE).iter();
    let own: Vec<_> =
        own.filter_map(|(name, json)| name.strip_prefix(FIELDS).map(|name| (name, json))).collect();
    let sequence = match stop {
        Some(Stop::Sequence(sequence)) => sequence.as_deref(),
        _ => None,
    };
    if own.is_empty() && sequence.is_none() {
        return;
    }
    object.object("additionalModelResponseFields", |object| {
        if let Some(sequence) = sequence {
            object.string("stop_sequence", sequence);
        }
        for (name, json) in own {
            object.json(name, json);
        }
    });
}

pub(super) fn write_rest(object: &mut ObjectWriter<'_>, tier: Option<&str>, extra: &Extra) {
    let tier = match tier {
        Some(tier @ ("priority" | "default" | "flex" | "reserved")) => Some(tier),
        Some("standard") => Some("default"),
        _ => None,
    };
    if let Some(tier) = tier {
        object.object("serviceTier", |object| object.string("type", tier));
    }
    for (name, json) in extra.of(HERE).iter().filter(|(name, _)| !name.contains('.')) {
        object.json(name, json);
    }
}

/// A part as its reader sees it, if it says something that this dialect can say.
pub(super) fn body(part: &Part, loss: &mut Loss) -> Option<Body> {
    let body = match &part.content {
        Content::Text { text, .. } | Content::Refusal { text } if text.is_empty() => return None,
        Content::Text { text, citations } => {
            Body::Text { text: text.clone(), citations: citations.iter().map(citation).collect() }
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
            let signature = signature.clone().filter(|signature| !signature.is_empty());
            if text.is_empty() && signature.is_none() {
                return None;
            }
            Body::Thinking { text: text.clone(), signature }
        }
        Content::RedactedThinking { data } => Body::Redacted { data: media::base64(data) },
        Content::Foreign { dialect: HERE, json } => Body::Raw(json.clone()),
        Content::Image { source: Source::Base64 { media_type, data }, .. } => {
            let format = Kind::Image.format(media::true_type(media_type, data));
            match (format, standard_base64(data)) {
                (Some(format), Some(data)) => Body::Media {
                    kind: Kind::Image,
                    format: Some(format.to_owned()),
                    place: Place::Bytes(data),
                },
                _ => return lost("content.image", loss),
            }
        }
        Content::Audio { source: Source::Base64 { media_type, data }, format } => {
            let said = format.as_deref().and_then(|format| Kind::Audio.known(format));
            match (said.or_else(|| Kind::Audio.format(media_type)), standard_base64(data)) {
                (Some(format), Some(data)) => Body::Media {
                    kind: Kind::Audio,
                    format: Some(format.to_owned()),
                    place: Place::Bytes(data),
                },
                _ => return lost("content.audio", loss),
            }
        }
        Content::Image { .. } => return lost("content.image", loss),
        Content::Audio { .. } => return lost("content.audio", loss),
        Content::Document { .. } => return lost("content.document", loss),
        Content::ToolResult(_) => return lost("content.tool_result", loss),
        Content::Foreign { .. } => return lost("content.foreign", loss),
    };
    loss.note_extra(&part.extra, HERE, "content");
    Some(body)
}

fn lost(what: &'static str, loss: &mut Loss) -> Option<Body> {
    loss.note(what);
    None
}

/// Arguments for a reader who takes only objects.
fn input(arguments: &str, loss: &mut Loss) -> Json {
    match input_of(arguments) {
        Input::Object(json) => json,
        Input::Several => {
            loss.note("content.toolUse.input");
            wrapped(arguments, "arguments")
        }
        Input::Other(json) => {
            loss.note("content.toolUse.input");
            json
        }
    }
}

/// A citation for a reader of answers: in its own words if it is from here, else as one of a web page.
pub(super) fn citation(citation: &Citation) -> Json {
    if let Some((HERE, json)) = &citation.raw {
        return json.clone();
    }
    let mut out = Vec::new();
    object(&mut out, |object| {
        if let Some(title) = &citation.title {
            object.string("title", title);
        }
        if let Some(text) = &citation.cited_text {
            object.list("sourceContent", |list| list.object(|object| object.string("text", text)));
        }
        if let Some(url) = &citation.url {
            object.string("source", url);
            object.object("location", |object| object.object("web", |object| object.string("url", url)));
        }
    });
    written(&out).unwrap_or_else(|| Json::of(&serde_json::Map::new()))
}
