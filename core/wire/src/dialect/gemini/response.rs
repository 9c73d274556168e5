//! Whole answers.

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::chat::{Choice, Citation, Content, Extra, Part, Response, Stop};
use crate::dialect::arguments::{Input, input_of, wrapped};
use crate::fold::Fold;
use crate::object::{ObjectWriter, object};
use crate::{DialectId, Event, Json, Loss, Malformed, Usage};

use super::decode::StreamDecoder;
use super::{calls, grounding, logprobs, part, proof, usage};

const HERE: DialectId = DialectId::Gemini;

pub(super) fn read(body: &[u8]) -> Result<Response, Malformed> {
    let text = crate::json::text(body)?;
    let mut decoder = StreamDecoder::default();
    let mut events = Vec::new();
    if text.trim_start().starts_with('[') {
        // A stream that came as a list.
        let items: Vec<&RawValue> =
            crate::json::from_str(text).map_err(|error| Malformed::json(text, &error))?;
        for item in items {
            decoder.chunk(item.get(), &mut events)?;
        }
    } else {
        decoder.chunk(text, &mut events)?;
    }
    if !decoder.has_started() || events.iter().any(|event| matches!(event, Event::Error(_))) {
        return Err(Malformed::field("candidates", "a list of candidates"));
    }
    decoder.end(&mut events);
    let mut fold = Fold::default();
    for event in &events {
        fold.push(event);
    }
    Ok(fold.finish())
}

#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Counted<'a> {
    candidates: Option<IgnoredAny>,
    #[serde(borrow)]
    usage_metadata: Option<&'a RawValue>,
}

/// Usage alone, where nothing but the usage metadata tells it.
pub(super) fn read_usage(body: &[u8]) -> Result<(Usage, Option<String>), Malformed> {
    let grounded = memchr::memmem::find(body, b"groundingMetadata").is_some();
    // A list would be read as fields in their order.
    let object = body.trim_ascii_start().starts_with(b"{");
    let plain = (object && !grounded).then(|| crate::json::read::<Counted<'_>>(body).ok()).flatten();
    let counted = plain.filter(|plain| plain.candidates.is_some()).and_then(|plain| plain.usage_metadata);
    match counted.and_then(usage::read) {
        Some(counted) => Ok((counted.usage, counted.service_tier)),
        None => read(body).map(|response| (response.usage, response.service_tier)),
    }
}

/// The word for `stop`.
pub(super) fn stop_word<'s>(stop: &'s Stop, loss: &mut Loss) -> &'s str {
    match stop {
        // Which sequence it was, there is no place for.
        Stop::EndTurn | Stop::Sequence(_) | Stop::ToolUse => "STOP",
        Stop::MaxTokens | Stop::ContextWindow => "MAX_TOKENS",
        Stop::Refusal => "SAFETY",
        // The answer is not complete.
        Stop::Pause => {
            loss.note("finishReason");
            "MAX_TOKENS"
        }
        Stop::Other(word) if super::OTHERS.contains(&word.as_str()) => word,
        Stop::Other(_) => {
            loss.note("finishReason");
            "OTHER"
        }
    }
}

pub(super) fn write(response: &Response, loss: &mut Loss) -> Vec<u8> {
    loss.note_extra(&response.extra, HERE, "");
    note_tier(response.service_tier.as_deref(), loss);
    let mut body = Vec::with_capacity(512);
    object(&mut body, |object| {
        if !is_blocked(&response.extra) {
            object.list("candidates", |list| {
                for (index, choice) in (0_u32..).zip(&response.choices) {
                    list.object(|object| write_choice(object, index, choice, &response.extra, loss));
                }
            });
        }
        object.object("usageMetadata", |object| {
            usage::write(object, &response.usage);
            write_nested(object, &response.extra, "usageMetadata.");
        });
        object.string("modelVersion", &response.model);
        object.string("responseId", &response.id);
        write_top(object, &response.extra);
    });
    body
}

/// Answers have no place for the tier that served them; the usual one needs no word.
pub(super) fn note_tier(tier: Option<&str>, loss: &mut Loss) {
    if tier.is_some_and(|tier| super::config::tier_word(tier) != Some("standard")) {
        loss.note("service_tier");
    }
}

/// Whether the prompt itself was refused by the provider of this dialect: then there is no candidate.
pub(super) fn is_blocked(extra: &Extra) -> bool {
    let feedback = extra.of(HERE).iter().find(|(name, _)| name == "promptFeedback");
    feedback.is_some_and(|(_, json)| json.as_str().contains("\"blockReason\""))
}

pub(super) fn write_top(object: &mut ObjectWriter<'_>, extra: &Extra) {
    for (name, json) in extra.of(HERE).iter().filter(|(name, _)| !name.contains('.')) {
        object.json(name, json);
    }
}

pub(super) fn write_nested(object: &mut ObjectWriter<'_>, extra: &Extra, prefix: &str) {
    for (name, json) in extra.of(HERE) {
        if let Some(name) = name.strip_prefix(prefix).filter(|name| *name != "finishReason") {
            object.json(name, json);
        }
    }
}

fn write_choice(object: &mut ObjectWriter<'_>, index: u32, choice: &Choice, extra: &Extra, loss: &mut Loss) {
    let mut parts: Vec<Json> = Vec::new();
    let mut texts: Vec<(usize, &str, &[Citation])> = Vec::new();
    for (at, part) in choice.parts.iter().enumerate() {
        if let Content::Text { text, citations } = &part.content
            && !citations.is_empty()
        {
            texts.push((parts.len(), text, citations));
        }
        let before_call =
            matches!(choice.parts.get(at + 1), Some(Part { content: Content::ToolCall(_), .. }));
        let proof = at.checked_sub(1).and_then(|before| choice.parts.get(before)).and_then(signature);
        parts.extend(write_part(part, before_call, proof, loss));
    }
    object.object("content", |content| {
        if !parts.is_empty() {
            content.list("parts", |list| parts.iter().for_each(|part| list.json(part)));
        }
        content.string("role", "model");
    });
    let prefix = format!("candidates[{index}].");
    write_end(object, index, choice.stop.as_ref(), &texts, extra, loss);
    if let Some(json) = choice.logprobs.as_ref().and_then(logprobs::write) {
        object.json("logprobsResult", &json);
    }
    write_nested(object, extra, &prefix);
}

/// What a candidate says after its content.
pub(super) fn write_end(
    object: &mut ObjectWriter<'_>,
    index: u32,
    stop: Option<&Stop>,
    texts: &[(usize, &str, &[Citation])],
    extra: &Extra,
    loss: &mut Loss,
) {
    let own = |name: &str| {
        let path = format!("candidates[{index}].{name}");
        extra.of(HERE).iter().find(|(known, _)| *known == path).map(|(_, json)| json)
    };
    match (own("finishReason"), stop) {
        (Some(reason), Some(Stop::Refusal)) => object.json("finishReason", reason),
        (_, Some(stop)) => object.string("finishReason", stop_word(stop, loss)),
        (_, None) => {}
    }
    object.count("index", u64::from(index));
    if own("groundingMetadata").is_some() || own("citationMetadata").is_some() {
        return;
    }
    let cited: usize = texts.iter().map(|(_, _, citations)| citations.len()).sum();
    let placed =
        texts.iter().flat_map(|(_, _, citations)| *citations).filter(|cited| cited.url.is_some()).count();
    if placed < cited {
        loss.note("content.citations");
    }
    if let Some(json) = grounding::write(texts) {
        object.json("groundingMetadata", &json);
    }
}

/// The signature that a thought leaves to the call after it.
fn signature(part: &Part) -> Option<&str> {
    match &part.content {
        Content::Thinking { signature, .. } => signature.as_deref(),
        _ => None,
    }
}

/// A part as its reader sees it, if it says something that this dialect can say; `proof` is the thought's before it.
pub(super) fn write_part(
    part: &Part,
    before_call: bool,
    proof: Option<&str>,
    loss: &mut Loss,
) -> Option<Json> {
    loss.note_extra(&part.extra, HERE, "content");
    Some(match &part.content {
        Content::Text { text, .. } | Content::Refusal { text } => {
            return (!text.is_empty()).then(|| spoken(text));
        }
        Content::Thinking { text, signature } => {
            let own = signature.as_deref().filter(|_| !before_call);
            if text.is_empty() && own.is_none() {
                return None;
            }
            thought(text, own)
        }
        Content::RedactedThinking { data } => redacted(data),
        Content::ToolCall(call) => {
            function_call(&call.id, &call.name, &call.arguments, call.kind, proof, loss)
        }
        Content::Image { source, .. } | Content::Audio { source, .. } | Content::Document { source, .. } => {
            let media = part::write_media(source, None);
            if media.is_none() {
                loss.note("content.media");
            }
            return media;
        }
        Content::ToolResult(_) => {
            loss.note("content.tool_result");
            return None;
        }
        Content::Foreign { dialect: HERE, json } => json.clone(),
        Content::Foreign { .. } => {
            loss.note("content.foreign");
            return None;
        }
    })
}

fn spoken(text: &str) -> Json {
    part_of(|part| part.string("text", text))
}

pub(super) fn thought(text: &str, signature: Option<&str>) -> Json {
    part_of(|part| {
        part.string("text", text);
        if !text.is_empty() {
            part.flag("thought", true);
        }
        if let Some(signature) = signature {
            part.string("thoughtSignature", &proof::kept(signature));
        }
    })
}

pub(super) fn redacted(data: &str) -> Json {
    part_of(|part| {
        part.string("text", "");
        part.flag("thought", true);
        part.string("thoughtSignature", &proof::kept_redacted(data));
    })
}

pub(super) fn function_call(
    id: &str,
    name: &str,
    arguments: &str,
    kind: crate::chat::ToolKind,
    proof: Option<&str>,
    loss: &mut Loss,
) -> Json {
    let args = match kind {
        crate::chat::ToolKind::Custom => wrapped(arguments, crate::Restore::FREE_TEXT),
        crate::chat::ToolKind::Function => match input_of(arguments) {
            Input::Object(json) => json,
            Input::Several => {
                loss.note("content.functionCall.args");
                wrapped(arguments, "arguments")
            }
            Input::Other(json) => {
                loss.note("content.functionCall.args");
                json
            }
        },
    };
    part_of(|part| {
        part.object("functionCall", |call| {
            if !calls::is_made(id) && !id.is_empty() {
                call.string("id", id);
            }
            call.string("name", name);
            call.json("args", &args);
        });
        if let Some(signature) = proof {
            part.string("thoughtSignature", &proof::kept(signature));
        }
    })
}

pub(super) fn part_of(fill: impl FnOnce(&mut ObjectWriter<'_>)) -> Json {
    let mut out = Vec::new();
    object(&mut out, fill);
    Json::written(&out)
}
