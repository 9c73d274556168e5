//! Content blocks, read as they stand in requests and answers: objects with one key each.

use serde_json::value::RawValue;

use crate::chat::{CacheMark, Citation, Content, Extra, Part, ToolCall, ToolKind, ToolResult};
use crate::json::is_null;
use crate::object::Object;
use crate::{Fields, Json, Malformed};

use super::HERE;
use super::media::{Kind, read_source};

/// Content: a list of blocks. A cache point becomes a mark of the block before it.
pub(super) fn read_content(items: &[&RawValue], path: &str) -> Result<Vec<Part>, Malformed> {
    let mut parts: Vec<Part> = Vec::with_capacity(items.len());
    for (at, raw) in items.iter().enumerate() {
        let path = format!("{path}[{at}]");
        let (key, value) = variant(raw, &path)?;
        match (key, parts.last_mut()) {
            ("cachePoint", Some(before)) => before.cache = Some(read_cache_point(value, &path)?),
            (key, _) => parts.push(read_block(raw, key, value, &path)?),
        }
    }
    Ok(parts)
}

/// The one key of a block that says something, and its value.
pub(super) fn variant<'a>(raw: &'a RawValue, path: &str) -> Result<(&'a str, &'a RawValue), Malformed> {
    let fields = Fields::of(raw, path)?;
    let mut said = fields.items().iter().filter(|(_, value)| !is_null(value));
    match (said.next(), said.next()) {
        (Some((key, value)), None) => {
            // A key with an escape in it is none of ours.
            let key = match key {
                std::borrow::Cow::Borrowed(key) => key,
                std::borrow::Cow::Owned(_) => "",
            };
            Ok((key, value))
        }
        _ => Err(Malformed::field(path, "an object with one kind of content")),
    }
}

pub(super) fn read_cache_point(raw: &RawValue, path: &str) -> Result<CacheMark, Malformed> {
    Ok(CacheMark { lifetime: Object::of(raw, format!("{path}.cachePoint"))?.string("ttl")? })
}

fn read_block(raw: &RawValue, key: &str, value: &RawValue, path: &str) -> Result<Part, Malformed> {
    let inner = || Object::of(value, format!("{path}.{key}"));
    let foreign = || Ok(Part::from(Content::Foreign { dialect: HERE, json: Json::from(raw) }));
    let content = match key {
        "text" => {
            let text = crate::json::string(value);
            let text = text.ok_or_else(|| Malformed::field(format!("{path}.text"), "a string"))?;
            Content::Text { text: text.into_owned(), citations: Vec::new() }
        }
        "image" => {
            let block = inner()?;
            let Some((source, extra)) = read_source(&block, Kind::Image, block.string("format")?.as_deref())?
            else {
                return foreign();
            };
            return Ok(Part { content: Content::Image { source, detail: None }, cache: None, extra });
        }
        "audio" => {
            let block = inner()?;
            let format = block.string("format")?;
            let Some((source, extra)) = read_source(&block, Kind::Audio, format.as_deref())? else {
                return foreign();
            };
            return Ok(Part { content: Content::Audio { source, format }, cache: None, extra });
        }
        "document" => {
            let block = inner()?;
            let format = block.string("format")?;
            let Some((source, extra)) = read_source(&block, Kind::Document, format.as_deref())? else {
                return foreign();
            };
            let citations = block.object("citations")?.map(|options| options.flag("enabled"));
            let content = Content::Document {
                source,
                title: block.string("name")?,
                context: block.string("context")?,
                citations: citations.transpose()?.flatten().unwrap_or_default(),
            };
            return Ok(Part { content, cache: None, extra });
        }
        "toolUse" => {
            let block = inner()?;
            // One that the provider runs by itself.
            if block.raw("type").is_some() {
                return foreign();
            }
            Content::ToolCall(ToolCall {
                id: block.need("toolUseId")?,
                name: block.need("name")?,
                arguments: block.raw("input").map_or("{}", RawValue::get).to_owned(),
                kind: ToolKind::Function,
            })
        }
        "toolResult" => {
            let block = inner()?;
            if block.raw("type").is_some() {
                return foreign();
            }
            let items = block.items("content")?.unwrap_or_default();
            Content::ToolResult(ToolResult {
                call_id: block.need("toolUseId")?,
                parts: read_result(&items, &block.path("content"))?,
                is_error: block.string("status")?.as_deref() == Some("error"),
            })
        }
        "reasoningContent" => return read_reasoning(raw, &inner()?),
        "citationsContent" => read_cited(&inner()?)?,
        "guardContent" => {
            let block = inner()?;
            let Some(text) = block.object("text")? else { return foreign() };
            let content = Content::Text { text: text.need("text")?, citations: Vec::new() };
            let extra = Extra { dialect: Some(HERE), fields: vec![(key.to_owned(), Json::from(value))] };
            return Ok(Part { content, cache: None, extra });
        }
        _ => return foreign(),
    };
    Ok(content.into())
}

/// What a tool gave: JSON is text to every other dialect.
fn read_result(items: &[&RawValue], path: &str) -> Result<Vec<Part>, Malformed> {
    let mut parts = Vec::with_capacity(items.len());
    for (at, raw) in items.iter().enumerate() {
        let path = format!("{path}[{at}]");
        let (key, value) = variant(raw, &path)?;
        parts.push(match key {
            "json" => {
                let text = Json::from(value).as_str().to_owned();
                Content::Text { text, citations: Vec::new() }.into()
            }
            key => read_block(raw, key, value, &path)?,
        });
    }
    Ok(parts)
}

fn read_reasoning(raw: &RawValue, block: &Object<'_>) -> Result<Part, Malformed> {
    if let Some(text) = block.object("reasoningText")? {
        let signature = text.string("signature")?.filter(|signature| !signature.is_empty());
        return Ok(Content::Thinking { text: text.need("text")?, signature }.into());
    }
    Ok(match block.string("redactedContent")? {
        Some(data) => Content::RedactedThinking { data }.into(),
        None => Content::Foreign { dialect: HERE, json: Json::from(raw) }.into(),
    })
}

fn read_cited(block: &Object<'_>) -> Result<Content, Malformed> {
    let mut text = String::new();
    for (at, piece) in block.items("content")?.unwrap_or_default().into_iter().enumerate() {
        let piece = Object::of(piece, format!("{}[{at}]", block.path("content")))?;
        text.push_str(&piece.string("text")?.unwrap_or_default());
    }
    let citations = block.items("citations")?.unwrap_or_default();
    let citations = citations.into_iter().map(read_citation).collect::<Result<_, _>>()?;
    Ok(Content::Text { text, citations })
}

/// A citation. Offsets here count in the cited document, so the answer's own offsets stay unknown.
pub(super) fn read_citation(raw: &RawValue) -> Result<Citation, Malformed> {
    let citation = Object::of(raw, "citations")?;
    let place = citation.object("location")?;
    let url = match place.as_ref().map(|place| place.object("web")).transpose()?.flatten() {
        Some(web) => web.string("url")?,
        None => citation.string("source")?.filter(|source| source.contains("://")),
    };
    let mut cited_text: Option<String> = None;
    for piece in citation.items("sourceContent")?.unwrap_or_default() {
        let piece = Object::of(piece, "citations.sourceContent")?;
        cited_text.get_or_insert_default().push_str(&piece.string("text")?.unwrap_or_default());
    }
    Ok(Citation {
        url,
        title: citation.string("title")?,
        cited_text,
        start: None,
        end: None,
        raw: Some((HERE, Json::from(raw))),
    })
}
