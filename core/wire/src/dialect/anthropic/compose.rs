//! What this dialect says in a turn.

use crate::chat::{Content, Part, Source, ToolKind, ToolResult};
use crate::dialect::turns::{Speaker, Speech};
use crate::proof::opened;
use crate::source::{decoded, sniffed};
use crate::{DialectId, Json, Loss, Malformed, Restore};

use super::block::{Block, Body};
use super::names;

/// The words of a conversation.
pub(super) struct Words;

impl Speech for Words {
    type Body = Body;
    const HERE: DialectId = DialectId::Anthropic;

    fn tool(name: &str, kind: ToolKind, key: Option<&'static str>, restore: &mut Restore) -> String {
        names::tool(name, kind, key, restore)
    }

    fn call(&mut self, id: String, name: String, input: Json) -> Body {
        Body::Call { id, name, input }
    }

    fn result(
        &mut self,
        id: String,
        result: &ToolResult,
        path: &str,
        loss: &mut Loss,
    ) -> Result<Body, Malformed> {
        let mut content = Vec::with_capacity(result.parts.len());
        for (at, part) in result.parts.iter().enumerate() {
            if let Some(body) = self.plain(part, Speaker::User, &format!("{path}.content[{at}]"), loss)? {
                content.push(Block { body, cache: part.cache.clone(), extra: part.extra.clone() });
            }
        }
        Ok(Body::Result { id, content, is_error: result.is_error })
    }

    fn thought(&mut self, thought: &Content) -> Option<Body> {
        let own = |proof: &str| !proof.is_empty() && opened(Self::HERE, proof).is_some();
        match thought {
            Content::Thinking { text, signature: Some(signature) } if own(signature) => {
                Some(Body::Thinking { text: text.clone(), signature: signature.clone() })
            }
            Content::RedactedThinking { data } if own(data) => Some(Body::Redacted { data: data.clone() }),
            _ => None,
        }
    }

    fn text(text: String, citations: Vec<Json>) -> Body {
        Body::Text { text, citations }
    }

    fn raw(json: Json) -> Body {
        Body::Raw(json)
    }

    fn shown(
        &mut self,
        part: &Part,
        speaker: Speaker,
        path: &str,
        loss: &mut Loss,
    ) -> Result<Option<Body>, Malformed> {
        if speaker == Speaker::Assistant {
            loss.note(path.to_owned());
            return Ok(None);
        }
        match &part.content {
            Content::Image { source, detail } => {
                if detail.as_deref().is_some_and(|detail| detail != "auto") {
                    loss.note(format!("{path}.detail"));
                }
                image(source, path).map(Some)
            }
            Content::Document { source, title, context, citations } => {
                document(source, title.as_ref(), context.as_ref(), *citations, path).map(Some)
            }
            _ => Err(Malformed::field(path, "no audio: this model's API takes none")),
        }
    }
}

const IMAGES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

fn image(source: &Source, path: &str) -> Result<Body, Malformed> {
    let Source::Base64 { media_type, data } = source else {
        return match source {
            Source::Text { .. } => Err(Malformed::field(path, "an image, not text")),
            Source::Url(url) if !url.starts_with("http") => {
                Err(Malformed::field(path, "an http(s) URL or a data URI in base64"))
            }
            Source::Base64 { .. } | Source::Url(_) | Source::File(_) => {
                Ok(Body::Image { source: source.clone() })
            }
        };
    };
    // What the bytes are beats what they are called.
    let media_type = match sniffed(data) {
        Some(media_type) => media_type,
        None if media_type == "image/jpg" => "image/jpeg",
        None => media_type,
    };
    if media_type == "application/pdf" {
        return document(source, None, None, false, path);
    }
    if !IMAGES.contains(&media_type) {
        return Err(Malformed::field(path, "an image of the type JPEG, PNG, GIF or WebP"));
    }
    Ok(Body::Image { source: Source::Base64 { media_type: media_type.to_owned(), data: data.clone() } })
}

fn document(
    source: &Source,
    title: Option<&String>,
    context: Option<&String>,
    citations: bool,
    path: &str,
) -> Result<Body, Malformed> {
    let source = match source {
        Source::Base64 { media_type, data } => {
            let media_type = sniffed(data).unwrap_or(media_type);
            if IMAGES.contains(&media_type) {
                return image(source, path);
            }
            let text = || decoded(data).and_then(|bytes| String::from_utf8(bytes).ok());
            let readable = media_type.starts_with("text/") || media_type == "application/json";
            match (media_type, readable.then(text).flatten()) {
                ("application/pdf", _) => {
                    Source::Base64 { media_type: media_type.to_owned(), data: data.clone() }
                }
                (_, Some(text)) => Source::Text { media_type: "text/plain".to_owned(), text },
                _ => return Err(Malformed::field(path, "a document of the type PDF or text")),
            }
        }
        Source::Url(_) | Source::File(_) | Source::Text { .. } => source.clone(),
    };
    Ok(Body::Document { source, title: title.cloned(), context: context.cloned(), citations })
}
