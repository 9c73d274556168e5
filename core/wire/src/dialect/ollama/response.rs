//! Whole answers, and what messages of requests and answers share.

use serde_json::value::RawValue;

use super::{HERE, error, stop_of, stop_word, time};
use crate::chat::{Choice, Content, Part, Response, Source, ToolCall, ToolKind};
use crate::dialect::{Reading, tags};
use crate::json::string;
use crate::object::{ListWriter, Object, ObjectWriter, object};
use crate::source::{sniffed, standard_base64};
use crate::{Json, Loss, Malformed, Restore, Usage};

const KNOWN: &[&str] =
    &["model", "created_at", "message", "done", "done_reason", "prompt_eval_count", "eval_count", "logprobs"];
/// How long the parts of the work took: of no use to those who do not run the server.
const DURATIONS: &[&str] = &["total_duration", "load_duration", "prompt_eval_duration", "eval_duration"];

/// The images of a message: base64, with or without `data:` in front. Their bytes say what they are.
pub(super) fn read_images(message: &Object<'_>) -> Result<Vec<Part>, Malformed> {
    let images = message.items("images")?.unwrap_or_default().into_iter().enumerate();
    images
        .map(|(nth, raw)| {
            let expected = || Malformed::field(format!("{}[{nth}]", message.path("images")), "base64");
            let text = string(raw).ok_or_else(expected)?;
            let source = match Source::of_url(&text) {
                Source::Url(data) => {
                    let data = standard_base64(&data).ok_or_else(expected)?;
                    Source::Base64 { media_type: sniffed(&data).unwrap_or("image/jpeg").to_owned(), data }
                }
                source => source,
            };
            Ok(Content::Image { source, detail: None }.into())
        })
        .collect()
}

/// The calls of a message, for which `made` makes those ids that nobody gave, by the call's place.
pub(super) fn read_calls(
    message: &Object<'_>,
    made: impl Fn(usize) -> String,
) -> Result<Vec<ToolCall>, Malformed> {
    let calls = message.items("tool_calls")?.unwrap_or_default().into_iter().enumerate();
    calls
        .map(|(nth, raw)| {
            let call = Object::of(raw, format!("{}[{nth}]", message.path("tool_calls")))?;
            let function = call.object("function")?;
            let function =
                function.ok_or_else(|| Malformed::field(call.path("function"), "an object with a name"))?;
            let id = call.string("id")?.filter(|id| !id.is_empty());
            Ok(ToolCall {
                id: id.unwrap_or_else(|| made(nth)),
                name: function.need("name")?,
                arguments: arguments(function.raw("arguments")),
                kind: ToolKind::Function,
            })
        })
        .collect()
}

/// The id of a call that has none: the answers of one conversation are made at different times.
pub(super) fn call_id(created: Option<u64>, nth: usize) -> String {
    format!("call_{}_{nth}", created.unwrap_or(0))
}

/// Arguments as JSON text: an object by the book, a string with one at some servers.
pub(super) fn arguments(raw: Option<&RawValue>) -> String {
    let text = raw.map(|raw| string(raw).map_or_else(|| raw.get().to_owned(), String::from));
    text.filter(|text| !text.trim().is_empty() && text != "null").unwrap_or_else(|| "{}".to_owned())
}

pub(super) fn read_usage(whole: &Object<'_>) -> Usage {
    let count = |key: &str| whole.count(key).ok().flatten().unwrap_or(0);
    Usage { input: count("prompt_eval_count"), output: count("eval_count"), ..Usage::default() }
}

/// The canonical form of what an answer says of its tokens: this dialect's, but for the object around it and for what is
/// always there in the canonical one.
pub(super) fn read_logprobs(raw: &RawValue) -> Option<Json> {
    type Token = serde_json::Map<String, serde_json::Value>;
    let mut tokens: Vec<Token> = crate::json::from_str(raw.get()).ok()?;
    for token in &mut tokens {
        token.entry("bytes").or_insert_with(|| serde_json::Value::Null);
        let others = token.entry("top_logprobs").or_insert_with(|| serde_json::json!([]));
        for other in others.as_array_mut().into_iter().flatten().filter_map(serde_json::Value::as_object_mut)
        {
            other.entry("bytes").or_insert_with(|| serde_json::Value::Null);
        }
    }
    (!tokens.is_empty()).then(|| Json::of(&serde_json::json!({ "content": tokens })))
}

pub(super) fn write_logprobs(object: &mut ObjectWriter<'_>, json: &Json, loss: &mut Loss) {
    let fields = crate::Fields::of(json.as_ref(), "logprobs");
    match fields.as_ref().ok().and_then(|fields| fields.present("content")) {
        Some(content) => object.json("logprobs", &Json::from(content)),
        None => loss.note("logprobs"),
    }
}

pub(super) fn read(body: &[u8], reading: Reading) -> Result<Response, Malformed> {
    let whole = Object::read(body)?;
    let message = whole.object("message")?;
    let message = message.ok_or_else(|| Malformed::field("message", "an object"))?;
    let mut parts: Vec<Part> = Vec::new();
    let think = |text: String, parts: &mut Vec<Part>| {
        if !text.is_empty() {
            parts.push(Content::Thinking { text, signature: None }.into());
        }
    };
    think(message.string("thinking")?.unwrap_or_default(), &mut parts);
    let mut text = message.string("content")?.unwrap_or_default();
    if reading.think_tags {
        let (thought, rest) = tags::split(&text);
        think(thought, &mut parts);
        text = rest;
    }
    if !text.is_empty() {
        parts.push(Content::Text { text, citations: Vec::new() }.into());
    }
    parts.extend(read_images(&message)?);
    let created = whole.string("created_at")?.as_deref().and_then(time::read);
    let calls = read_calls(&message, |nth| call_id(created, nth))?;
    let has_calls = !calls.is_empty();
    parts.extend(calls.into_iter().map(|call| Part::from(Content::ToolCall(call))));
    let reason = whole.string("done_reason")?.unwrap_or_default();
    let stop = match stop_of(&reason, has_calls) {
        None if parts.is_empty() => {
            return Err(Malformed::field("done_reason", error::loading().message));
        }
        stop => stop.unwrap_or(crate::chat::Stop::EndTurn),
    };
    let mut extra = whole.rest(KNOWN, HERE);
    extra.fields.retain(|(name, json)| json.as_str() != "null" && !DURATIONS.contains(&name.as_str()));
    if extra.fields.is_empty() {
        extra.dialect = None;
    }
    Ok(Response {
        model: whole.string("model")?.unwrap_or_default(),
        created,
        choices: vec![Choice {
            parts,
            stop: Some(stop),
            logprobs: whole.raw("logprobs").and_then(read_logprobs),
        }],
        usage: read_usage(&whole),
        extra,
        ..Response::default()
    })
}

pub(super) fn write(response: &Response, loss: &mut Loss) -> Vec<u8> {
    let choice = response.only_choice(HERE, loss);
    if response.service_tier.is_some() {
        loss.note("service_tier");
    }
    let reason = choice.stop.as_ref().map_or("stop", |stop| stop_word(stop, loss));
    let mut out = Vec::with_capacity(512);
    object(&mut out, |object| {
        object.string("model", &response.model);
        object.string("created_at", &time::write(response.created.unwrap_or(0)));
        object.object("message", |message| write_message(message, &choice.parts, loss));
        object.flag("done", true);
        object.string("done_reason", reason);
        write_usage(object, &response.usage);
        if let Some(json) = &choice.logprobs {
            write_logprobs(object, json, loss);
        }
        object.extra(&response.extra, HERE);
    });
    out
}

pub(super) fn write_usage(object: &mut ObjectWriter<'_>, usage: &Usage) {
    object.count("prompt_eval_count", usage.input_total());
    object.count("eval_count", usage.output_total());
}

fn write_message(message: &mut ObjectWriter<'_>, parts: &[Part], loss: &mut Loss) {
    let (mut text, mut thoughts, mut calls) = (String::new(), Vec::new(), Vec::new());
    for part in parts {
        loss.note_extra(&part.extra, HERE, "content");
        match &part.content {
            Content::Text { text: more, citations } => {
                if !citations.is_empty() {
                    loss.note("content.citations");
                }
                text.push_str(more);
            }
            Content::Refusal { text: more } => {
                loss.note("content.refusal");
                text.push_str(more);
            }
            Content::Thinking { text: more, signature } => {
                if signature.is_some() {
                    loss.note("content.signature");
                }
                thoughts.push(more.as_str());
            }
            Content::ToolCall(call) => calls.push(call),
            Content::RedactedThinking { .. } => loss.note("content.redacted_thinking"),
            // There is a field for images, but the vendor's own client throws at one in an answer.
            Content::Image { .. } | Content::Audio { .. } | Content::Document { .. } => {
                loss.note("content.media");
            }
            Content::ToolResult(_) => loss.note("content.tool_result"),
            Content::Foreign { .. } => loss.note("content.foreign"),
        }
    }
    message.string("role", "assistant");
    message.string("content", &text);
    thoughts.retain(|thought| !thought.is_empty());
    if !thoughts.is_empty() {
        message.string("thinking", &thoughts.join("\n\n"));
    }
    if !calls.is_empty() {
        message.list("tool_calls", |list| {
            for (nth, call) in (0..).zip(calls) {
                write_call(list, nth, &call.id, &call.name, &call.arguments, loss);
            }
        });
    }
}

/// Writes a call for a reader of answers. Arguments that are no object stand in one, and that is noted.
pub(super) fn write_call(
    list: &mut ListWriter<'_>,
    index: u64,
    id: &str,
    name: &str,
    arguments: &str,
    loss: &mut Loss,
) {
    let json = object_of(arguments);
    if json.is_none() {
        loss.note("content.tool_calls.arguments");
    }
    list.object(|call| {
        call.string("id", id);
        call.object("function", |function| {
            function.count("index", index);
            function.string("name", name);
            match &json {
                Some(json) => function.json("arguments", json),
                None => function.object("arguments", |wrapped| wrapped.string(Restore::FREE_TEXT, arguments)),
            }
        });
    });
}

/// The object that `arguments` are, if they are one; none at all are an empty one.
pub(super) fn object_of(arguments: &str) -> Option<Json> {
    let text = arguments.trim();
    if text.is_empty() {
        return Some(Json::of(&serde_json::json!({})));
    }
    Json::parse(text).ok().filter(|json| json.as_str().starts_with('{'))
}
