//! Messages and their parts: what requests and answers share.

use serde_json::value::RawValue;

use super::HERE;
use super::calls::decoded_twice;
use crate::chat::{CacheMark, Citation, Content, Extra, Part, Source, Stop, ToolCall, ToolKind};
use crate::json::string;
use crate::object::{ListWriter, Object, ObjectWriter, is_string};
use crate::source::{sniffed, standard_base64};
use crate::{Fields, Json, Loss, Malformed};

/// Reads content: a string or a list of parts.
pub(super) fn read_content(raw: &RawValue, path: &str) -> Result<Vec<Part>, Malformed> {
    if is_string(raw) {
        let text = string(raw).ok_or_else(|| Malformed::field(path, "text"))?.into_owned();
        return Ok(vec![Content::Text { text, citations: Vec::new() }.into()]);
    }
    let parts: Vec<&RawValue> =
        crate::json::from_str(raw.get()).map_err(|_| Malformed::field(path, "text or a list of parts"))?;
    let parts = parts.into_iter().enumerate().map(|(nth, part)| read_part(part, format!("{path}[{nth}]")));
    let parts: Vec<Vec<Part>> = parts.collect::<Result<_, _>>()?;
    Ok(parts.into_iter().flatten().collect())
}

const KNOWN_OF_PARTS: &[&str] = &[
    "type",
    "text",
    "image_url",
    "input_audio",
    "file",
    "refusal",
    "thinking",
    "signature",
    "summary",
    "data",
    "cache_control",
    "prompt_cache_breakpoint",
];

fn read_part(raw: &RawValue, path: String) -> Result<Vec<Part>, Malformed> {
    if is_string(raw) {
        return read_content(raw, &path);
    }
    let part = Object::of(raw, path)?;
    let kind = part.need("type")?;
    let content = match kind.as_str() {
        "text" | "input_text" | "output_text" => {
            Content::Text { text: part.need("text")?, citations: Vec::new() }
        }
        "image_url" => read_image(&part)?,
        "input_audio" => read_audio(&part)?,
        "file" => read_file(&part)?,
        "refusal" => Content::Refusal { text: part.need("refusal")? },
        "thinking" => Content::Thinking { text: thought(&part)?, signature: part.string("signature")? },
        "reasoning" => summarized(&part)?,
        "redacted_thinking" => Content::RedactedThinking { data: part.need("data")? },
        _ => Content::Foreign { dialect: HERE, json: Json::from(raw) },
    };
    if matches!(content, Content::Foreign { .. }) {
        return Ok(vec![content.into()]);
    }
    Ok(vec![Part { content, cache: read_cache(&part)?, extra: part.rest(KNOWN_OF_PARTS, HERE) }])
}

/// The text of a thought: a string, or a list of text parts.
fn thought(part: &Object<'_>) -> Result<String, Malformed> {
    let Some(raw) = part.raw("thinking") else { return Ok(String::new()) };
    let parts = read_content(raw, &part.path("thinking"))?;
    Ok(parts.iter().filter_map(|part| text_of(&part.content)).collect())
}

/// A thought in `summary`, each piece of which may have the proof of all: Databricks' way.
fn summarized(part: &Object<'_>) -> Result<Content, Malformed> {
    let mut text = String::new();
    let mut signature = None;
    for (nth, raw) in part.items("summary")?.unwrap_or_default().into_iter().enumerate() {
        let piece = Object::of(raw, format!("{}[{nth}]", part.path("summary")))?;
        text.push_str(&piece.string("text")?.unwrap_or_default());
        signature = signature.or(piece.string("signature")?.filter(|proof| !proof.is_empty()));
    }
    Ok(Content::Thinking { text, signature })
}

fn text_of(content: &Content) -> Option<&str> {
    match content {
        Content::Text { text, .. } => Some(text),
        _ => None,
    }
}

fn read_image(part: &Object<'_>) -> Result<Content, Malformed> {
    let raw = part
        .raw("image_url")
        .ok_or_else(|| Malformed::field(part.path("image_url"), "an object with a url"))?;
    let (url, detail) = if let Some(url) = string(raw) {
        (url.into_owned(), None)
    } else {
        let image = Object::of(raw, part.path("image_url"))?;
        (image.need("url")?, image.string("detail")?)
    };
    Ok(Content::Image { source: Source::of_url(&url), detail })
}

fn read_audio(part: &Object<'_>) -> Result<Content, Malformed> {
    let audio = part.object("input_audio")?;
    let audio =
        audio.ok_or_else(|| Malformed::field(part.path("input_audio"), "an object with data and format"))?;
    let format = audio.string("format")?;
    let data = audio.need("data")?;
    let source = match Source::of_url(&data) {
        Source::Url(data) => Source::Base64 {
            media_type: format!("audio/{}", format.as_deref().unwrap_or("wav")),
            data: standard_base64(&data).ok_or_else(|| Malformed::field(audio.path("data"), "base64"))?,
        },
        source => source,
    };
    Ok(Content::Audio { source, format })
}

fn read_file(part: &Object<'_>) -> Result<Content, Malformed> {
    let file = part.object("file")?;
    let file =
        file.ok_or_else(|| Malformed::field(part.path("file"), "an object with file_id or file_data"))?;
    let title = file.string("filename")?;
    let source = match (file.string("file_id")?, file.string("file_data")?, file.string("file_url")?) {
        (Some(id), ..) => Source::File(id),
        (None, Some(data), _) => file_source(&data, title.as_deref())
            .ok_or_else(|| Malformed::field(file.path("file_data"), "a data URI or base64"))?,
        (None, None, Some(url)) => Source::of_url(&url),
        (None, None, None) => return Err(Malformed::field(file.path("file_id"), "file_id or file_data")),
    };
    Ok(Content::Document { source, title, context: None, citations: false })
}

/// With or without `data:` in front; without, the bytes and then the name tell what it is.
pub(in crate::dialect) fn file_source(data: &str, name: Option<&str>) -> Option<Source> {
    if let source @ Source::Base64 { .. } = Source::of_url(data) {
        return Some(source);
    }
    if data.starts_with("http://") || data.starts_with("https://") {
        return Some(Source::Url(data.to_owned()));
    }
    let data = standard_base64(data)?;
    let by_name = name.and_then(|name| name.rsplit_once('.')).map(|(_, extension)| match extension {
        "txt" | "text" => "text/plain",
        "md" => "text/markdown",
        "csv" => "text/csv",
        "html" | "htm" => "text/html",
        "json" => "application/json",
        _ => "application/pdf",
    });
    let media_type = sniffed(&data).or(by_name).unwrap_or("application/pdf").to_owned();
    Some(Source::Base64 { media_type, data })
}

/// The cache mark of a part, a message or a tool.
pub(super) fn read_cache(object: &Object<'_>) -> Result<Option<CacheMark>, Malformed> {
    if let Some(mark) = object.object("prompt_cache_breakpoint")? {
        // The lifetime of this kind of mark, where it says none.
        let lifetime = mark.string("ttl")?.unwrap_or_else(|| "30m".to_owned());
        return Ok(Some(CacheMark { lifetime: Some(lifetime) }));
    }
    let Some(mark) = object.object("cache_control")? else { return Ok(None) };
    Ok(Some(CacheMark { lifetime: mark.string("ttl")? }))
}

/// Writes a cache mark: the kind whose lifetimes it has.
pub(super) fn write_cache(object: &mut ObjectWriter<'_>, cache: Option<&CacheMark>) {
    let Some(mark) = cache else { return };
    match mark.lifetime.as_deref() {
        Some(lifetime @ ("30m" | "12h" | "24h")) => object.object("prompt_cache_breakpoint", |mark| {
            mark.string("mode", "explicit");
            mark.string("ttl", lifetime);
        }),
        lifetime => object.object("cache_control", |mark| {
            mark.string("type", "ephemeral");
            if let Some(lifetime) = lifetime {
                mark.string("ttl", lifetime);
            }
        }),
    }
}

/// Writes a part of a message's content; false if this dialect has no word for it.
pub(super) fn write_part(list: &mut ListWriter<'_>, part: &Part) -> bool {
    let mut fill = |fill: &dyn Fn(&mut ObjectWriter<'_>)| {
        list.object(|object| {
            fill(object);
            write_cache(object, part.cache.as_ref());
            object.extra(&part.extra, HERE);
        });
    };
    match &part.content {
        Content::Text { text, .. } => fill(&|object| {
            object.string("type", "text");
            object.string("text", text);
        }),
        Content::Refusal { text } => fill(&|object| {
            object.string("type", "refusal");
            object.string("refusal", text);
        }),
        Content::Image { source, detail } => {
            let Some(url) = source.to_url() else { return false };
            fill(&|object| {
                object.string("type", "image_url");
                object.object("image_url", |image| {
                    image.string("url", &url);
                    if let Some(detail) = detail {
                        image.string("detail", detail);
                    }
                });
            });
        }
        Content::Audio { source: Source::Base64 { media_type, data }, format } => fill(&|object| {
            object.string("type", "input_audio");
            object.object("input_audio", |audio| {
                audio.string("data", data);
                audio.string("format", format.as_deref().unwrap_or_else(|| audio_format(media_type)));
            });
        }),
        Content::Document { source: Source::Text { text, .. }, title, .. } => fill(&|object| {
            object.string("type", "text");
            match title {
                Some(title) => object.string("text", &format!("{title}\n\n{text}")),
                None => object.string("text", text),
            }
        }),
        Content::Document { source, title, .. } => {
            let data = source.to_url();
            fill(&|object| {
                object.string("type", "file");
                object.object("file", |file| {
                    match (source, &data) {
                        (Source::File(id), _) => file.string("file_id", id),
                        (Source::Url(url), _) => file.string("file_url", url),
                        (_, data) => file.string("file_data", data.as_deref().unwrap_or_default()),
                    }
                    if !matches!(source, Source::File(_)) {
                        file.string("filename", title.as_deref().unwrap_or("document.pdf"));
                    }
                });
            });
        }
        Content::Foreign { dialect: HERE, json } => list.json(json),
        Content::Audio { .. }
        | Content::Foreign { .. }
        | Content::ToolCall(_)
        | Content::ToolResult(_)
        | Content::Thinking { .. }
        | Content::RedactedThinking { .. } => return false,
    }
    true
}

pub(in crate::dialect) fn audio_format(media_type: &str) -> &str {
    match media_type.strip_prefix("audio/").unwrap_or(media_type) {
        "mpeg" => "mp3",
        "x-wav" | "wave" => "wav",
        format => format,
    }
}

/// Fills an image that a model made.
pub(super) fn image(object: &mut ObjectWriter<'_>, source: &Source) {
    object.string("type", "image_url");
    let url = source.to_url().unwrap_or_default();
    object.object("image_url", |image| image.string("url", &url));
}

/// Reads the calls of an assistant's message; `function_call` is how it was before there were several.
pub(super) fn read_calls(message: &Object<'_>) -> Result<Vec<ToolCall>, Malformed> {
    let mut calls = Vec::new();
    for (nth, raw) in message.items("tool_calls")?.unwrap_or_default().into_iter().enumerate() {
        let call = Object::of(raw, format!("{}[{nth}]", message.path("tool_calls")))?;
        let id = call.string("id")?.unwrap_or_default();
        if let Some(custom) = call.object("custom")? {
            let arguments = custom.string("input")?.unwrap_or_default();
            calls.push(ToolCall { id, name: custom.need("name")?, arguments, kind: ToolKind::Custom });
            continue;
        }
        let function = call.object("function")?;
        let function =
            function.ok_or_else(|| Malformed::field(call.path("function"), "an object with a name"))?;
        calls.push(read_function(&function, id)?);
    }
    if calls.is_empty()
        && let Some(function) = message.object("function_call")?
        // There are servers that always write the field, and leave it blank where nothing is called.
        && function.string("name")?.is_some_and(|name| !name.is_empty())
    {
        calls.push(read_function(&function, String::new())?);
    }
    Ok(calls)
}

fn read_function(function: &Object<'_>, id: String) -> Result<ToolCall, Malformed> {
    let arguments = match function.raw("arguments") {
        None => String::new(),
        Some(raw) => {
            string(raw).map_or_else(|| raw.get().to_owned(), |text| decoded_twice(&text).into_owned())
        }
    };
    let arguments = if arguments.trim().is_empty() { "{}".to_owned() } else { arguments };
    Ok(ToolCall { id, name: function.need("name")?, arguments, kind: ToolKind::Function })
}

/// Fills one call.
pub(super) fn write_call(object: &mut ObjectWriter<'_>, id: &str, name: &str, call: &ToolCall) {
    object.string("id", id);
    match call.kind {
        ToolKind::Function => {
            let blank = call.arguments.trim().is_empty();
            object.string("type", "function");
            object.object("function", |function| {
                function.string("name", name);
                function.string("arguments", if blank { "{}" } else { &call.arguments });
            });
        }
        ToolKind::Custom => {
            object.string("type", "custom");
            object.object("custom", |custom| {
                custom.string("name", name);
                custom.string("input", &call.arguments);
            });
        }
    }
}

/// Reads the thoughts of an assistant's message: the blocks if there are any, else the plain text.
pub(super) fn read_thoughts(message: &Object<'_>) -> Result<Vec<Part>, Malformed> {
    let mut thoughts = Vec::new();
    for (nth, raw) in message.items("thinking_blocks")?.unwrap_or_default().into_iter().enumerate() {
        let block = Object::of(raw, format!("{}[{nth}]", message.path("thinking_blocks")))?;
        let content = if block.string("type")?.as_deref() == Some("redacted_thinking") {
            Content::RedactedThinking { data: block.need("data")? }
        } else {
            let signature = block.string("signature")?.filter(|signature| !signature.is_empty());
            Content::Thinking { text: block.string("thinking")?.unwrap_or_default(), signature }
        };
        thoughts.push(content.into());
    }
    if thoughts.is_empty() {
        // Whatever is no string there says nothing that can be carried on.
        let text = ["reasoning_content", "reasoning"]
            .into_iter()
            .find_map(|key| message.raw(key).and_then(string).filter(|text| !text.is_empty()));
        thoughts.extend(
            text.map(|text| Part::from(Content::Thinking { text: text.into_owned(), signature: None })),
        );
    }
    Ok(thoughts)
}

/// Writes the thoughts among `parts`: their text under `field`, and the proofs of them in blocks where there are any.
pub(super) fn write_thoughts(object: &mut ObjectWriter<'_>, parts: &[Part], field: &str) {
    let texts: Vec<&str> = parts
        .iter()
        .filter_map(|part| match &part.content {
            Content::Thinking { text, .. } if !text.is_empty() => Some(text.as_str()),
            _ => None,
        })
        .collect();
    if !texts.is_empty() {
        object.string(field, &texts.join("\n\n"));
    }
    let proven = |content: &Content| {
        matches!(content, Content::Thinking { signature: Some(_), .. } | Content::RedactedThinking { .. })
    };
    if !parts.iter().any(|part| proven(&part.content)) {
        return;
    }
    object.list("thinking_blocks", |list| {
        for part in parts {
            match &part.content {
                Content::Thinking { text, signature } => list.object(|block| {
                    super::encode::signed(block, text, signature.as_deref().unwrap_or_default());
                }),
                Content::RedactedThinking { data } => {
                    list.object(|block| super::encode::redacted(block, data));
                }
                _ => {}
            }
        }
    });
}

/// Reads an annotation.
pub(super) fn citation_of(raw: &RawValue) -> Citation {
    let read = || -> Option<Citation> {
        let annotation = Object::of(raw, "annotations[]").ok()?;
        let url = annotation.object("url_citation").ok()?.unwrap_or(annotation);
        let text = |key: &str| url.string(key).ok().flatten();
        let count = |key: &str| url.count(key).ok().flatten();
        Some(Citation {
            url: text("url"),
            title: text("title"),
            cited_text: text("content"),
            start: count("start_index"),
            end: count("end_index"),
            raw: None,
        })
    };
    let none = Citation { url: None, title: None, cited_text: None, start: None, end: None, raw: None };
    Citation { raw: Some((HERE, Json::from(raw))), ..read().unwrap_or(none) }
}

/// The annotation for a citation: as this dialect said it, or made from its URL.
pub(super) fn annotation(citation: &Citation) -> Option<Json> {
    if let Some((HERE, json)) = &citation.raw {
        return Some(json.clone());
    }
    let url = citation.url.as_deref()?;
    let mut out = Vec::new();
    crate::object::object(&mut out, |object| {
        object.string("type", "url_citation");
        object.object("url_citation", |object| {
            object.count("start_index", citation.start.unwrap_or(0));
            object.count("end_index", citation.end.unwrap_or(0));
            object.string("title", citation.title.as_deref().unwrap_or_default());
            object.string("url", url);
        });
    });
    Json::parse(std::str::from_utf8(&out).ok()?).ok()
}

/// The word for a stop, given whether the choice has calls.
pub(super) fn stop_word(stop: &Stop, calls: bool, loss: &mut Loss) -> &'static str {
    match super::decode::reconciled(stop.clone(), calls) {
        Stop::EndTurn | Stop::Sequence(_) => "stop",
        Stop::MaxTokens | Stop::ContextWindow => "length",
        Stop::ToolUse => "tool_calls",
        Stop::Refusal => "content_filter",
        // The answer is not complete, and `stop` would say that it is.
        Stop::Pause => {
            loss.note("finish_reason");
            "length"
        }
        Stop::Other(_) => {
            loss.note("finish_reason");
            "stop"
        }
    }
}

/// The fields of a JSON object.
pub(super) fn fields_of(json: &Json) -> Vec<(String, Json)> {
    let fields = Fields::of(json.as_ref(), "");
    fields
        .map(|fields| fields.iter().map(|(name, raw)| (name.to_owned(), Json::from(raw))).collect())
        .unwrap_or_default()
}

/// An object of `fields`, kept for this dialect.
pub(super) fn foreign(extra: &Extra) -> Option<Content> {
    if extra.fields.is_empty() {
        return None;
    }
    let mut out = Vec::new();
    crate::object::object(&mut out, |object| object.extra(extra, HERE));
    let json = Json::parse(std::str::from_utf8(&out).ok()?).ok()?;
    Some(Content::Foreign { dialect: HERE, json })
}
