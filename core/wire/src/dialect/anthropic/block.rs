//! Content blocks, as they stand in requests, answers and streams.

use serde_json::value::RawValue;

use crate::chat::{CacheMark, Citation, Content, Part, Source, ToolCall, ToolKind, ToolResult};
use crate::dialect::turns;
use crate::object::{ListWriter, Object, ObjectWriter, is_string};
use crate::source::standard_base64;
use crate::{DialectId, Json, Malformed};

const HERE: DialectId = DialectId::Anthropic;

/// Content that is a string or a list of blocks.
pub(super) fn read_content(raw: &RawValue, path: &str) -> Result<Vec<Part>, Malformed> {
    if is_string(raw) {
        let text = crate::json::string(raw).ok_or_else(|| Malformed::field(path, "a string"))?;
        return Ok(vec![Content::Text { text: text.into_owned(), citations: Vec::new() }.into()]);
    }
    let blocks = crate::json::from_str::<Vec<&RawValue>>(raw.get())
        .map_err(|_| Malformed::field(path, "a string or a list of blocks"))?;
    blocks.into_iter().enumerate().map(|(at, block)| read_block(block, &format!("{path}[{at}]"))).collect()
}

/// One block; a type that is not known here is kept whole.
pub(super) fn read_block(raw: &RawValue, path: &str) -> Result<Part, Malformed> {
    let block = Object::of(raw, path)?;
    let kind = block.need("type")?;
    let (content, known) = match kind.as_str() {
        "text" => {
            let citations = block.items("citations")?.unwrap_or_default();
            let citations = citations.into_iter().map(read_citation).collect::<Result<_, _>>()?;
            (Content::Text { text: block.need("text")?, citations }, &["text", "citations"][..])
        }
        "image" => match read_source(&block)? {
            Some(source) => (Content::Image { source, detail: None }, &["source"][..]),
            None => return Ok(foreign(raw)),
        },
        "document" => match read_source(&block)? {
            Some(source) => {
                let citations = block.object("citations")?.map(|options| options.flag("enabled"));
                let content = Content::Document {
                    source,
                    title: block.string("title")?,
                    context: block.string("context")?,
                    citations: citations.transpose()?.flatten().unwrap_or_default(),
                };
                (content, &["source", "title", "context", "citations"][..])
            }
            None => return Ok(foreign(raw)),
        },
        "tool_use" => {
            let call = ToolCall {
                id: block.need("id")?,
                name: block.need("name")?,
                arguments: block.raw("input").map_or("{}", RawValue::get).to_owned(),
                kind: ToolKind::Function,
            };
            (Content::ToolCall(call), &["id", "name", "input"][..])
        }
        "tool_result" => {
            let parts = block.raw("content").map(|raw| read_content(raw, &block.path("content")));
            let result = ToolResult {
                call_id: block.need("tool_use_id")?,
                parts: parts.transpose()?.unwrap_or_default(),
                is_error: block.flag("is_error")?.unwrap_or_default(),
            };
            (Content::ToolResult(result), &["tool_use_id", "content", "is_error"][..])
        }
        "thinking" => {
            let signature = block.string("signature")?.filter(|signature| !signature.is_empty());
            (Content::Thinking { text: block.need("thinking")?, signature }, &["thinking", "signature"][..])
        }
        "redacted_thinking" => (Content::RedactedThinking { data: block.need("data")? }, &["data"][..]),
        _ => return Ok(foreign(raw)),
    };
    let known: Vec<&str> = known.iter().copied().chain(["type", "cache_control"]).collect();
    Ok(Part { content, cache: read_cache(&block)?, extra: block.rest(&known, HERE) })
}

fn foreign(raw: &RawValue) -> Part {
    Content::Foreign { dialect: HERE, json: raw.into() }.into()
}

pub(super) fn read_cache(object: &Object<'_>) -> Result<Option<CacheMark>, Malformed> {
    let Some(mark) = object.object("cache_control")? else { return Ok(None) };
    Ok(Some(CacheMark { lifetime: mark.string("ttl")? }))
}

/// The source of an image or a document; none for a kind that no other dialect knows.
fn read_source(block: &Object<'_>) -> Result<Option<Source>, Malformed> {
    let source =
        block.object("source")?.ok_or_else(|| Malformed::field(block.path("source"), "an object"))?;
    Ok(match source.need("type")?.as_str() {
        "base64" => {
            let data = standard_base64(&source.need("data")?);
            let data = data.ok_or_else(|| Malformed::field(source.path("data"), "base64"))?;
            Some(Source::Base64 { media_type: source.need("media_type")?, data })
        }
        "url" => Some(Source::of_url(&source.need("url")?)),
        "file" => Some(Source::File(source.need("file_id")?)),
        "text" => {
            let media_type = source.string("media_type")?.unwrap_or_else(|| "text/plain".to_owned());
            Some(Source::Text { media_type, text: source.need("data")? })
        }
        _ => None,
    })
}

/// A citation. Offsets here count in the cited document, so the answer's own offsets stay unknown.
pub(super) fn read_citation(raw: &RawValue) -> Result<Citation, Malformed> {
    let citation = Object::of(raw, "citations")?;
    let first =
        |names: [&str; 3]| names.iter().find_map(|name| citation.string(name).transpose()).transpose();
    let kind = citation.need("type")?;
    let url =
        if kind == "search_result_location" { citation.string("source") } else { citation.string("url") };
    // A web citation without its encrypted index is one that an encoder of ours made up: it cannot be sent back.
    let invented = kind == "web_search_result_location"
        && citation.string("encrypted_index")?.is_none_or(|index| index.is_empty());
    Ok(Citation {
        url: url?,
        title: first(["title", "document_title", "title"])?,
        cited_text: citation.string("cited_text")?,
        start: None,
        end: None,
        raw: (!invented).then(|| (HERE, Json::from(raw))),
    })
}

/// Writes a citation for a reader of answers: in its own words if it is from here, else as a result of a web search.
/// None where it names no page.
pub(super) fn citation_for_reader(citation: &Citation) -> Option<Json> {
    if let Some((HERE, json)) = &citation.raw {
        return Some(json.clone());
    }
    let url = citation.url.as_deref()?;
    let mut out = Vec::new();
    crate::object::object(&mut out, |object| {
        object.string("type", "web_search_result_location");
        object.string("url", url);
        object.maybe("title", citation.title.as_deref());
        object.string("cited_text", citation.cited_text.as_deref().unwrap_or_default());
        object.string("encrypted_index", "");
    });
    Some(Json::written(&out))
}

pub(super) type Block = turns::Block<Body>;

#[derive(Clone, Debug)]
pub(super) enum Body {
    Text {
        text: String,
        citations: Vec<Json>,
    },
    Image {
        source: Source,
    },
    Document {
        source: Source,
        title: Option<String>,
        context: Option<String>,
        citations: bool,
    },
    Call {
        id: String,
        name: String,
        input: Json,
    },
    Result {
        id: String,
        content: Vec<Block>,
        is_error: bool,
    },
    Thinking {
        text: String,
        signature: String,
    },
    Redacted {
        data: String,
    },
    /// A block in this dialect's own words.
    Raw(Json),
}

impl turns::Body for Body {
    fn text(text: String) -> Self {
        Self::Text { text, citations: Vec::new() }
    }

    fn text_mut(&mut self) -> Option<&mut String> {
        if let Self::Text { text, .. } = self { Some(text) } else { None }
    }

    fn is_result(&self) -> bool {
        matches!(self, Self::Result { .. })
    }

    fn is_thinking(&self) -> bool {
        matches!(self, Self::Thinking { .. } | Self::Redacted { .. })
    }

    fn called(&self) -> Option<&str> {
        if let Self::Call { name, .. } = self { Some(name) } else { None }
    }
}

/// Writes `content` as a string if it is one plain text, else as blocks.
pub(super) fn write_content(object: &mut ObjectWriter<'_>, key: &str, content: &[Block]) {
    match content {
        [Block { body: Body::Text { text, citations }, cache: None, extra }]
            if citations.is_empty() && extra.of(HERE).is_empty() =>
        {
            object.string(key, text);
        }
        blocks => object.list(key, |list| write_blocks(list, blocks)),
    }
}

pub(super) fn write_blocks(list: &mut ListWriter<'_>, blocks: &[Block]) {
    for block in blocks {
        match &block.body {
            Body::Raw(json) => list.json(json),
            body => list.object(|object| {
                write_body(object, body);
                object.extra(&block.extra, HERE);
                write_cache(object, block.cache.as_ref());
            }),
        }
    }
}

pub(super) fn write_body(object: &mut ObjectWriter<'_>, body: &Body) {
    match body {
        Body::Text { text, citations } => {
            object.string("type", "text");
            object.string("text", text);
            if !citations.is_empty() {
                object.list("citations", |list| citations.iter().for_each(|citation| list.json(citation)));
            }
        }
        Body::Image { source } => {
            object.string("type", "image");
            object.object("source", |object| write_source(object, source));
        }
        Body::Document { source, title, context, citations } => {
            object.string("type", "document");
            object.object("source", |object| write_source(object, source));
            if let Some(title) = title {
                object.string("title", title);
            }
            if let Some(context) = context {
                object.string("context", context);
            }
            if *citations {
                object.object("citations", |object| object.flag("enabled", true));
            }
        }
        Body::Call { id, name, input } => {
            object.string("type", "tool_use");
            object.string("id", id);
            object.string("name", name);
            object.json("input", input);
        }
        Body::Result { id, content, is_error } => {
            object.string("type", "tool_result");
            object.string("tool_use_id", id);
            if !content.is_empty() {
                write_content(object, "content", content);
            }
            if *is_error {
                object.flag("is_error", true);
            }
        }
        Body::Thinking { text, signature } => {
            object.string("type", "thinking");
            object.string("thinking", text);
            object.string("signature", signature);
        }
        Body::Redacted { data } => {
            object.string("type", "redacted_thinking");
            object.string("data", data);
        }
        // Its own words already say its type; it is written whole by whoever holds a list.
        Body::Raw(_) => {}
    }
}

pub(super) fn write_cache(object: &mut ObjectWriter<'_>, cache: Option<&CacheMark>) {
    let Some(mark) = cache else { return };
    object.object("cache_control", |object| {
        object.string("type", "ephemeral");
        if let Some(lifetime) = &mark.lifetime {
            object.string("ttl", lifetime);
        }
    });
}

fn write_source(object: &mut ObjectWriter<'_>, source: &Source) {
    match source {
        Source::Base64 { media_type, data } => {
            object.string("type", "base64");
            object.string("media_type", media_type);
            object.string("data", data);
        }
        Source::Url(url) => {
            object.string("type", "url");
            object.string("url", url);
        }
        Source::File(id) => {
            object.string("type", "file");
            object.string("file_id", id);
        }
        Source::Text { text, .. } => {
            object.string("type", "text");
            object.string("media_type", "text/plain");
            object.string("data", text);
        }
    }
}
