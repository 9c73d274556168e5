//! Parts of messages and of results, both ways.

use serde_json::value::RawValue;

use super::HERE;
use crate::chat::{CacheMark, Citation, Content, Extra, Part, Source};
use crate::dialect::openai::message::file_source;
use crate::json::string;
use crate::object::{ListWriter, Object, ObjectWriter, is_string};
use crate::source::standard_base64;
use crate::{Json, Malformed};

/// Reads content: a string or a list of parts.
pub(super) fn read(raw: &RawValue, path: &str) -> Result<Vec<Part>, Malformed> {
    if is_string(raw) {
        let text = string(raw).ok_or_else(|| Malformed::field(path, "text"))?.into_owned();
        return Ok(vec![text_of(text)]);
    }
    let parts: Vec<&RawValue> =
        crate::json::from_str(raw.get()).map_err(|_| Malformed::field(path, "text or a list of parts"))?;
    parts.into_iter().enumerate().map(|(nth, part)| read_part(part, format!("{path}[{nth}]"))).collect()
}

pub(super) fn text_of(text: String) -> Part {
    Content::Text { text, citations: Vec::new() }.into()
}

const KNOWN: &[&str] = &[
    "type",
    "text",
    "annotations",
    "logprobs",
    "refusal",
    "image_url",
    "file_id",
    "file_url",
    "file_data",
    "filename",
    "detail",
    "input_audio",
    "prompt_cache_breakpoint",
    "cache_control",
];

fn read_part(raw: &RawValue, path: String) -> Result<Part, Malformed> {
    let part = Object::of(raw, path)?;
    let content = match part.need("type")?.as_str() {
        "input_text" | "output_text" | "text" | "summary_text" | "reasoning_text" => Content::Text {
            text: part.need("text")?,
            citations: part.items("annotations")?.unwrap_or_default().into_iter().map(citation).collect(),
        },
        "refusal" => Content::Refusal { text: part.need("refusal")? },
        "input_image" | "computer_screenshot" => image(&part)?,
        "input_file" => file(&part)?,
        "input_audio" => audio(&part)?,
        _ => return Ok(Content::Foreign { dialect: HERE, json: Json::from(raw) }.into()),
    };
    let mut extra = part.rest(KNOWN, HERE);
    if matches!(content, Content::Document { .. })
        && let Some(detail) = part.json("detail")
    {
        extra.dialect = Some(HERE);
        extra.fields.push(("detail".to_owned(), detail));
    }
    extra.fields.retain(|(_, json)| json.as_str() != "null");
    if extra.fields.is_empty() {
        extra = Extra::default();
    }
    Ok(Part { content, cache: read_cache(&part)?, extra })
}

fn image(part: &Object<'_>) -> Result<Content, Malformed> {
    let source = match (part.string("image_url")?, part.string("file_id")?) {
        (Some(url), _) => Source::of_url(&url),
        (None, Some(id)) => Source::File(id),
        (None, None) => return Err(Malformed::field(part.path("image_url"), "image_url or file_id")),
    };
    Ok(Content::Image { source, detail: part.string("detail")? })
}

fn file(part: &Object<'_>) -> Result<Content, Malformed> {
    let title = part.string("filename")?;
    let source = match (part.string("file_id")?, part.string("file_data")?, part.string("file_url")?) {
        (Some(id), ..) => Source::File(id),
        (None, Some(data), _) => file_source(&data, title.as_deref())
            .ok_or_else(|| Malformed::field(part.path("file_data"), "a data URI or base64"))?,
        (None, None, Some(url)) => Source::of_url(&url),
        (None, None, None) => {
            return Err(Malformed::field(part.path("file_id"), "file_id, file_data or file_url"));
        }
    };
    Ok(Content::Document { source, title, context: None, citations: false })
}

fn audio(part: &Object<'_>) -> Result<Content, Malformed> {
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

fn read_cache(part: &Object<'_>) -> Result<Option<CacheMark>, Malformed> {
    if let Some(mark) = part.object("prompt_cache_breakpoint")? {
        // The lifetime of this kind of mark, where it says none.
        let lifetime = mark.string("ttl")?.unwrap_or_else(|| "30m".to_owned());
        return Ok(Some(CacheMark { lifetime: Some(lifetime) }));
    }
    let Some(mark) = part.object("cache_control")? else { return Ok(None) };
    Ok(Some(CacheMark { lifetime: mark.string("ttl")? }))
}

/// Reads an annotation.
pub(super) fn citation(raw: &RawValue) -> Citation {
    let read = || -> Option<Citation> {
        let annotation = Object::of(raw, "annotations[]").ok()?;
        let text = |key: &str| annotation.string(key).ok().flatten();
        let count = |key: &str| annotation.count(key).ok().flatten();
        Some(Citation {
            url: text("url"),
            title: text("title").or_else(|| text("filename")),
            cited_text: None,
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
    Some(super::shape::json(|object| {
        object.string("type", "url_citation");
        object.count("start_index", citation.start.unwrap_or(0));
        object.count("end_index", citation.end.unwrap_or(0));
        object.string("title", citation.title.as_deref().unwrap_or_default());
        object.string("url", url);
    }))
}

/// Writes a part of what a model reads; false if this dialect has no word for it.
pub(super) fn write(list: &mut ListWriter<'_>, part: &Part) -> bool {
    let mut fill = |fill: &dyn Fn(&mut ObjectWriter<'_>)| {
        list.object(|object| {
            fill(object);
            if let Some(lifetime @ ("30m" | "12h")) =
                part.cache.as_ref().and_then(|mark| mark.lifetime.as_deref())
            {
                object.object("prompt_cache_breakpoint", |mark| {
                    mark.string("mode", "explicit");
                    mark.string("ttl", lifetime);
                });
            }
            object.extra(&part.extra, HERE);
        });
    };
    match &part.content {
        Content::Text { text, .. } => fill(&|object| {
            object.string("type", "input_text");
            object.string("text", text);
        }),
        Content::Refusal { text } => fill(&|object| {
            object.string("type", "input_text");
            object.string("text", text);
        }),
        Content::Image { source: Source::Text { .. }, .. } => return false,
        Content::Image { source, detail } => fill(&|object| {
            object.string("type", "input_image");
            match source {
                Source::File(id) => object.string("file_id", id),
                _ => object.string("image_url", &source.to_url().unwrap_or_default()),
            }
            object.string("detail", detail.as_deref().unwrap_or("auto"));
        }),
        Content::Audio { source: Source::Base64 { media_type, data }, format } => fill(&|object| {
            object.string("type", "input_audio");
            object.object("input_audio", |audio| {
                audio.string("data", data);
                let format = format.as_deref();
                audio.string(
                    "format",
                    format.unwrap_or_else(|| crate::dialect::openai::message::audio_format(media_type)),
                );
            });
        }),
        Content::Document { source: Source::Text { text, .. }, title, .. } => fill(&|object| {
            object.string("type", "input_text");
            match title {
                Some(title) => object.string("text", &format!("{title}\n\n{text}")),
                None => object.string("text", text),
            }
        }),
        Content::Document { source, title, .. } => fill(&|object| {
            object.string("type", "input_file");
            match source {
                Source::File(id) => object.string("file_id", id),
                Source::Url(url) => object.string("file_url", url),
                _ => {
                    object.string("filename", title.as_deref().unwrap_or("document.pdf"));
                    object.string("file_data", &source.to_url().unwrap_or_default());
                }
            }
        }),
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

/// Whether a mark of a cache is of a kind that this dialect does not have.
pub(super) fn loses_mark(part: &Part) -> bool {
    part.cache.as_ref().is_some_and(|mark| !matches!(mark.lifetime.as_deref(), Some("30m" | "12h")))
}
