//! Documents, which are text or an object of any fields, and citations of them.

use serde_json::value::RawValue;

use super::HERE;
use crate::chat::{Citation, Content, Extra, Part, Source};
use crate::json::string;
use crate::object::{ListWriter, Object, ObjectWriter, is_string, object};
use crate::source::decoded;
use crate::{Json, Malformed};

/// Reads a document: a text, or `{id, data}`. With `citations`, the answer may cite it.
pub(super) fn read(raw: &RawValue, path: &str, citations: bool) -> Result<Part, Malformed> {
    let (mut title, mut extra) = (None, Extra::default());
    let source = if let Some(text) = string(raw) {
        plain(text.into_owned())
    } else {
        let document = Object::of(raw, path)?;
        extra = document.rest(&["data"], HERE);
        let data = document
            .object("data")?
            .ok_or_else(|| Malformed::field(document.path("data"), "an object, such as {\"text\": …}"))?;
        // The fields that everybody uses have places elsewhere; any other must be seen by the model as well.
        let others = data.rest(&["title", "text"], HERE);
        if let (Some(text), true) =
            (data.raw("text").filter(|text| is_string(text)), others.fields.is_empty())
        {
            title = data.string("title")?;
            plain(string(text).unwrap_or_default().into_owned())
        } else {
            let text = document.json("data").map(|data| data.as_str().to_owned()).unwrap_or_default();
            Source::Text { media_type: "application/json".to_owned(), text }
        }
    };
    let content = Content::Document { source, title, context: None, citations };
    Ok(Part { content, cache: None, extra })
}

fn plain(text: String) -> Source {
    Source::Text { media_type: "text/plain".to_owned(), text }
}

/// A document as this dialect says it: `{id, data}`. None where it is no text.
pub(super) fn of(part: &Part) -> Option<Json> {
    let Content::Document { source, title, context, .. } = &part.content else { return None };
    let (text, is_json) = match source {
        Source::Text { media_type, text } => (text.clone(), media_type == "application/json"),
        Source::Base64 { media_type, data } if is_text(media_type) => {
            (String::from_utf8(decoded(data)?).ok()?, false)
        }
        Source::Base64 { .. } | Source::Url(_) | Source::File(_) => return None,
    };
    let object_in_text = || Json::parse(&text).ok().filter(|json| json.as_str().starts_with('{'));
    let own = is_json.then(object_in_text).flatten();
    let mut out = Vec::new();
    object(&mut out, |document| {
        document.extra(&part.extra, HERE);
        match own {
            Some(data) => document.json("data", &data),
            None => document.object("data", |data| {
                for (key, value) in [("title", title), ("context", context)] {
                    if let Some(value) = value {
                        data.string(key, value);
                    }
                }
                data.string("text", &text);
            }),
        }
    });
    Json::parse(std::str::from_utf8(&out).ok()?).ok()
}

fn is_text(media_type: &str) -> bool {
    media_type.starts_with("text/") || media_type == "application/json"
}

/// Reads a citation: one for each of its sources, the first of which keeps it as it was said.
pub(super) fn read_citation(raw: &RawValue) -> Vec<Citation> {
    let kept = Json::from(raw);
    let none = || Citation { url: None, title: None, cited_text: None, start: None, end: None, raw: None };
    let read = || -> Option<Vec<Citation>> {
        let citation = Object::of(raw, "citations[]").ok()?;
        let count = |key: &str| citation.count(key).ok().flatten();
        let (start, end) = (count("start"), count("end"));
        let sources = citation.items("sources").ok().flatten().unwrap_or_default();
        let cited = sources.into_iter().map(|source| {
            let document =
                Object::of(source, "sources[]").ok().and_then(|source| source.object("document").ok()?);
            let text = |key: &str| document.as_ref().and_then(|document| document.string(key).ok().flatten());
            Citation {
                url: text("url"),
                title: text("title"),
                cited_text: text("text").or_else(|| text("snippet")),
                start,
                end,
                raw: Some((HERE, Json::of(&()))),
            }
        });
        let mut citations: Vec<Citation> = cited.collect();
        if citations.is_empty() {
            citations.push(Citation { start, end, ..none() });
        }
        Some(citations)
    };
    let mut citations = read().unwrap_or_else(|| vec![none()]);
    if let Some(first) = citations.first_mut() {
        first.raw = Some((HERE, kept));
    }
    citations
}

/// Whether a citation is of thoughts or plans, and not of the answer's text.
pub(super) fn is_of_thoughts(raw: &RawValue) -> bool {
    let kind = Object::of(raw, "citations[]").ok().and_then(|citation| citation.string("type").ok()?);
    matches!(kind.as_deref(), Some("PLAN" | "THINKING_CONTENT"))
}

/// A citation as this dialect says it; none where it was said with the one before it. `index` is the place of the text
/// among the items of content, and `text` the whole of it where it is known.
pub(super) fn citation(citation: &Citation, index: u64, text: Option<&str>) -> Option<Json> {
    if let Some((HERE, json)) = &citation.raw {
        return (json.as_str() != "null").then(|| json.clone());
    }
    let mut out = Vec::new();
    object(&mut out, |object| {
        if let (Some(start), Some(end)) = (citation.start, citation.end) {
            object.count("start", start);
            object.count("end", end);
            if let Some(cited) = text.and_then(|text| characters(text, start, end)) {
                object.string("text", &cited);
            }
        }
        object.list("sources", |sources| write_source(sources, citation));
        object.count("content_index", index);
        object.string("type", "TEXT_CONTENT");
    });
    Json::parse(std::str::from_utf8(&out).ok()?).ok()
}

fn write_source(sources: &mut ListWriter<'_>, citation: &Citation) {
    let fill = |document: &mut ObjectWriter<'_>| {
        for (key, value) in
            [("url", &citation.url), ("title", &citation.title), ("text", &citation.cited_text)]
        {
            if let Some(value) = value {
                document.string(key, value);
            }
        }
    };
    sources.object(|source| {
        source.string("type", "document");
        if let Some(id) = citation.url.as_ref().or(citation.title.as_ref()) {
            source.string("id", id);
        }
        source.object("document", fill);
    });
}

/// The characters from `start` to before `end`.
fn characters(text: &str, start: u64, end: u64) -> Option<String> {
    let (start, end) = (usize::try_from(start).ok()?, usize::try_from(end).ok()?);
    Some(text.chars().skip(start).take(end.checked_sub(start)?).collect())
}
