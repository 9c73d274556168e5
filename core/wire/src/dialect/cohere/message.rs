//! What messages of requests and of answers share.

use serde_json::value::RawValue;

use super::{HERE, document};
use crate::chat::{Content, Part, Source, Stop, ToolCall, ToolKind};
use crate::json::string;
use crate::object::{Object, ObjectWriter};
use crate::{Json, Loss, Malformed};

/// Reads content: a text, a part, or a list of parts. `citations`: answers may cite the documents in it.
pub(super) fn read_content(raw: &RawValue, path: &str, citations: bool) -> Result<Vec<Part>, Malformed> {
    if let Some(text) = string(raw) {
        return Ok(vec![text_part(text.into_owned())]);
    }
    if raw.get().starts_with('{') {
        return Ok(vec![read_part(raw, path.to_owned(), citations)?]);
    }
    let parts: Vec<&RawValue> =
        crate::json::from_str(raw.get()).map_err(|_| Malformed::field(path, "text or a list of parts"))?;
    let parts = parts.into_iter().enumerate();
    parts.map(|(nth, part)| read_part(part, format!("{path}[{nth}]"), citations)).collect()
}

pub(super) fn text_part(text: String) -> Part {
    Content::Text { text, citations: Vec::new() }.into()
}

fn read_part(raw: &RawValue, path: String, citations: bool) -> Result<Part, Malformed> {
    const KNOWN: &[&str] = &["type", "text", "thinking", "image_url", "document"];
    let part = Object::of(raw, path)?;
    let content = match part.need("type")?.as_str() {
        "text" => Content::Text { text: part.need("text")?, citations: Vec::new() },
        "thinking" => Content::Thinking { text: part.need("thinking")?, signature: None },
        "image_url" => {
            let image = part.object("image_url")?;
            let image =
                image.ok_or_else(|| Malformed::field(part.path("image_url"), "an object with a url"))?;
            Content::Image { source: Source::of_url(&image.need("url")?), detail: image.string("detail")? }
        }
        "document" => {
            let said = part.raw("document");
            let said = said.ok_or_else(|| Malformed::field(part.path("document"), "an object with data"))?;
            return document::read(said, &part.path("document"), citations);
        }
        _ => return Ok(Content::Foreign { dialect: HERE, json: Json::from(raw) }.into()),
    };
    Ok(Part { content, cache: None, extra: part.rest(KNOWN, HERE) })
}

/// What an assistant says, in the order in which it is thought: content, the plan, the calls.
pub(super) fn read_assistant(message: &Object<'_>) -> Result<Vec<Part>, Malformed> {
    let mut parts = Vec::new();
    if let Some(raw) = message.raw("content") {
        let content = read_content(raw, &message.path("content"), false)?;
        // Beside calls an empty content says nothing.
        let calls = message.raw("tool_calls").is_some();
        let empty = |part: &Part| matches!(&part.content, Content::Text { text, .. } if text.is_empty());
        parts.extend(content.into_iter().filter(|part| !(calls && empty(part))));
    }
    let beside = read_citations(message, &mut parts)?;
    if let Some(text) = message.string("tool_plan")?.filter(|text| !text.is_empty()) {
        parts.push(Content::Thinking { text, signature: None }.into());
    }
    for (nth, raw) in message.items("tool_calls")?.unwrap_or_default().into_iter().enumerate() {
        let call = Object::of(raw, format!("{}[{nth}]", message.path("tool_calls")))?;
        parts.push(Content::ToolCall(read_call(&call, nth)?).into());
    }
    parts.extend(beside);
    Ok(parts)
}

/// Puts citations to the text that they stand in, and gives those of thoughts.
fn read_citations(message: &Object<'_>, parts: &mut Vec<Part>) -> Result<Vec<Part>, Malformed> {
    let mut beside = Vec::new();
    for raw in message.items("citations")?.unwrap_or_default() {
        if document::is_of_thoughts(raw) {
            beside.push(Content::Foreign { dialect: HERE, json: Json::from(raw) }.into());
            continue;
        }
        let found = document::read_citation(raw);
        let index =
            Object::of(raw, "citations[]").ok().and_then(|citation| citation.count("content_index").ok()?);
        let at = index.and_then(|index| usize::try_from(index).ok());
        let is_text = |part: &&mut Part| matches!(part.content, Content::Text { .. });
        let named = at.filter(|at| parts.get_mut(*at).as_ref().is_some_and(is_text));
        let place =
            named.or_else(|| parts.iter().position(|part| matches!(part.content, Content::Text { .. })));
        match place.and_then(|place| parts.get_mut(place)) {
            Some(Part { content: Content::Text { citations, .. }, .. }) => citations.extend(found),
            _ => parts.push(Content::Text { text: String::new(), citations: found }.into()),
        }
    }
    Ok(beside)
}

fn read_call(call: &Object<'_>, nth: usize) -> Result<ToolCall, Malformed> {
    let function = call.object("function")?;
    let function =
        function.ok_or_else(|| Malformed::field(call.path("function"), "an object with a name"))?;
    let arguments = match function.raw("arguments") {
        None => String::new(),
        Some(raw) => string(raw).map_or_else(|| raw.get().to_owned(), String::from),
    };
    Ok(ToolCall {
        id: call.string("id")?.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("call_{nth}")),
        name: function.need("name")?,
        arguments: if arguments.trim().is_empty() { "{}".to_owned() } else { arguments },
        kind: ToolKind::Function,
    })
}

/// Fills one call.
pub(super) fn write_call(object: &mut ObjectWriter<'_>, id: &str, name: &str, arguments: &str) {
    object.string("id", id);
    object.string("type", "function");
    object.object("function", |function| {
        function.string("name", name);
        function.string("arguments", if arguments.trim().is_empty() { "{}" } else { arguments });
    });
}

/// What a reason to stop means, given whether there are calls. Reasons that are errors are none here.
pub(super) fn stop_of(reason: &str, calls: bool) -> Stop {
    match reason {
        "MAX_TOKENS" => Stop::MaxTokens,
        "TOOL_CALL" | "COMPLETE" if calls => Stop::ToolUse,
        "TOOL_CALL" | "COMPLETE" => Stop::EndTurn,
        "STOP_SEQUENCE" => Stop::Sequence(None),
        other => Stop::Other(other.to_owned()),
    }
}

/// The word for a stop, given whether there are calls.
pub(super) fn stop_word(stop: &Stop, calls: bool, loss: &mut Loss) -> &'static str {
    match stop {
        Stop::EndTurn | Stop::ToolUse if calls => "TOOL_CALL",
        Stop::EndTurn | Stop::ToolUse => "COMPLETE",
        Stop::Sequence(None) => "STOP_SEQUENCE",
        Stop::Sequence(Some(_)) => {
            loss.note("stop_sequence");
            "STOP_SEQUENCE"
        }
        Stop::MaxTokens | Stop::ContextWindow => "MAX_TOKENS",
        // The answer is not complete, and `COMPLETE` would say that it is.
        Stop::Pause => {
            loss.note("finish_reason");
            "MAX_TOKENS"
        }
        Stop::Refusal | Stop::Other(_) => {
            loss.note("finish_reason");
            "COMPLETE"
        }
    }
}
