//! What the models can say in a turn, and how they demand turns to be.

use std::collections::BTreeSet;

use crate::chat::{CacheMark, Content, Part, Source, ToolKind, ToolResult};
use crate::dialect::names::sent_name;
use crate::dialect::turns::{Body as _, PLACEHOLDER, Speaker, Speech, placeholder};
use crate::{DialectId, Json, Loss, Malformed, Restore};

use super::HERE;
use super::family::Family;
use super::media::{self, Kind, Place};
use super::turn::{Block, Body, Turn};

/// The words of a conversation.
pub(super) struct Words {
    pub(super) family: Family,
    /// The names that documents have already.
    documents: BTreeSet<String>,
}

impl Words {
    pub(super) fn of(family: Family) -> Self {
        Self { family, documents: BTreeSet::new() }
    }

    fn media(
        &mut self,
        kind: Kind,
        source: &Source,
        format: Option<&str>,
        part: &Part,
        path: &str,
        loss: &mut Loss,
    ) -> Result<Body, Malformed> {
        let what = if kind == Kind::Image { "an image" } else { "audio" };
        let bytes = || format!("{what} in base64 or at an s3:// address: this model's API fetches no other");
        let (format, place) = match source {
            Source::Base64 { media_type, data } => {
                let media_type = media::true_type(media_type, data);
                if kind == Kind::Image && media_type == "application/pdf" {
                    let content = Content::Document {
                        source: source.clone(),
                        title: None,
                        context: None,
                        citations: false,
                    };
                    return self.document(&content.into(), path, loss);
                }
                let format = format.and_then(|format| kind.known(format)).or_else(|| kind.format(media_type));
                (format.map(str::to_owned), Place::bytes(data, path)?)
            }
            Source::Url(url) => {
                let place = Place::s3(url, &part.extra).ok_or_else(|| Malformed::field(path, bytes()))?;
                let format = format.and_then(|format| kind.known(format));
                let format = format.or_else(|| media::format_of_name(kind, url));
                (format.map(str::to_owned), place)
            }
            Source::File(_) | Source::Text { .. } => return Err(Malformed::field(path, bytes())),
        };
        let expected = if kind == Kind::Image {
            "an image of the type PNG, JPEG, GIF or WebP"
        } else {
            "audio of a known format, such as mp3 or wav"
        };
        let format = format.ok_or_else(|| Malformed::field(path, expected))?;
        Ok(Body::Media { kind, format: Some(format), place })
    }

    fn document(&mut self, part: &Part, path: &str, loss: &mut Loss) -> Result<Body, Malformed> {
        let Content::Document { source, title, context, citations } = &part.content else {
            return Err(Malformed::field(path, "a document"));
        };
        let (format, place) = match source {
            Source::Base64 { media_type, data } => {
                let media_type = media::true_type(media_type, data);
                if media_type.starts_with("image/") {
                    return self.media(Kind::Image, source, None, part, path, loss);
                }
                match (Kind::Document.format(media_type), media::text_of(media_type, data)) {
                    (Some(format), _) => (format, Place::bytes(data, path)?),
                    (None, Some(text)) => ("txt", Place::Text(text)),
                    (None, None) => {
                        return Err(Malformed::field(path, "a PDF, a text, or a document of an office"));
                    }
                }
            }
            Source::Text { media_type, text } => {
                (Kind::Document.format(media_type).unwrap_or("txt"), Place::Text(text.clone()))
            }
            Source::Url(url) => {
                let expected =
                    "a document in base64 or at an s3:// address: this model's API fetches no other";
                let place = Place::s3(url, &part.extra).ok_or_else(|| Malformed::field(path, expected))?;
                (media::format_of_name(Kind::Document, url).unwrap_or("pdf"), place)
            }
            Source::File(_) => {
                return Err(Malformed::field(path, "a document itself: files of others are unknown here"));
            }
        };
        Ok(Body::Document {
            format: Some(format.to_owned()),
            name: self.name(title.as_deref(), path, loss),
            place,
            context: context.clone(),
            citations: *citations,
        })
    }

    /// A document's name as it is taken: letters, digits, single spaces, `-`, `(`, `)`, `[` and `]`, without its
    /// extension, and each once.
    fn name(&mut self, title: Option<&str>, path: &str, loss: &mut Loss) -> String {
        const MOST: usize = 190;
        let title = title.unwrap_or_default();
        let bare = match title.rsplit_once('.') {
            Some((bare, _)) if media::format_of_name(Kind::Document, title).is_some() => bare,
            _ => title,
        };
        let fits = |character: char| character.is_ascii_alphanumeric() || "-()[]".contains(character);
        let plain: String =
            bare.chars().map(|character| if fits(character) { character } else { ' ' }).collect();
        let mut name = plain.split_whitespace().collect::<Vec<_>>().join(" ");
        name.truncate(MOST);
        if name.is_empty() {
            name.push_str("document");
        }
        if name != bare && !bare.is_empty() {
            loss.note(format!("{path}.title"));
        }
        let mut unique = name.clone();
        let mut copy = 2;
        while !self.documents.insert(unique.clone()) {
            unique = format!("{name} {copy}");
            copy += 1;
        }
        unique
    }
}

impl Speech for Words {
    type Body = Body;
    const HERE: DialectId = HERE;

    fn tool(name: &str, kind: ToolKind, key: Option<&'static str>, restore: &mut Restore) -> String {
        sent_name(name, kind, key, restore)
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
            let path = format!("{path}.content[{at}]");
            if matches!(part.content, Content::Audio { .. }) {
                return Err(Malformed::field(path, "no audio: results of tools take none here"));
            }
            if let Some(mut body) = self.plain(part, Speaker::User, &path, loss)? {
                if let Body::Text { citations, .. } = &mut body {
                    citations.clear();
                }
                content.push(body);
            }
        }
        if content.is_empty() {
            content.push(Body::text(PLACEHOLDER.to_owned()));
        }
        Ok(Body::Result { id, content, is_error: result.is_error })
    }

    fn thought(&mut self, thought: &Content) -> Option<Body> {
        match thought {
            _ if !self.family.takes_reasoning() => None,
            Content::Thinking { text, signature: Some(signature) } if !signature.is_empty() => {
                Some(Body::Thinking { text: text.clone(), signature: Some(signature.clone()) })
            }
            Content::RedactedThinking { data } => Some(Body::Redacted { data: media::base64(data) }),
            _ => None,
        }
    }

    fn text(text: String, citations: Vec<Json>) -> Body {
        Body::Text { text, citations }
    }

    fn raw(json: Json) -> Body {
        Body::Raw(json)
    }

    fn in_place(part: &Part) -> Option<Body> {
        let (_, json) = part.extra.of(HERE).iter().find(|(name, _)| name == "guardContent")?;
        matches!(part.content, Content::Text { .. }).then(|| Body::Named("guardContent", json.clone()))
    }

    fn shown(
        &mut self,
        part: &Part,
        speaker: Speaker,
        path: &str,
        loss: &mut Loss,
    ) -> Result<Option<Body>, Malformed> {
        match &part.content {
            Content::Image { source, detail } => {
                if detail.as_deref().is_some_and(|detail| detail != "auto") {
                    loss.note(format!("{path}.detail"));
                }
                self.media(Kind::Image, source, None, part, path, loss).map(Some)
            }
            _ if speaker == Speaker::Assistant => {
                loss.note(path.to_owned());
                Ok(None)
            }
            Content::Audio { source, format } => {
                self.media(Kind::Audio, source, format.as_deref(), part, path, loss).map(Some)
            }
            _ => self.document(part, path, loss).map(Some),
        }
    }

    /// Marks inside a tool's result stand after it here.
    fn mark(part: &Part) -> Option<CacheMark> {
        let inside = || match &part.content {
            Content::ToolResult(result) => result.parts.iter().rev().find_map(|part| part.cache.clone()),
            _ => None,
        };
        part.cache.clone().or_else(inside)
    }

    /// Documents beside some text, and beside results only what the family takes there.
    fn arrange(&self, turns: Vec<Turn>, loss: &mut Loss) -> Vec<Turn> {
        let mut arranged = Vec::with_capacity(turns.len());
        for mut turn in turns {
            let results = turn.blocks.first().is_some_and(|block| block.body.is_result());
            let beside = |block: &Block| match &block.body {
                Body::Result { .. } => true,
                Body::Document { format, .. } => self.family.takes_document_beside_results(format.as_deref()),
                _ => self.family.takes_text_beside_results(),
            };
            let (stay, apart): (Vec<_>, Vec<_>) =
                turn.blocks.into_iter().partition(|block| !results || beside(block));
            turn.blocks = stay;
            with_text(&mut turn);
            arranged.push(turn);
            if !apart.is_empty() {
                // The model must have spoken in between, or the two would be one turn again.
                loss.note("messages.*.content");
                arranged.push(Turn { speaker: Speaker::Assistant, blocks: vec![placeholder()] });
                let mut turn = Turn { speaker: Speaker::User, blocks: apart };
                with_text(&mut turn);
                arranged.push(turn);
            }
        }
        arranged
    }
}

/// A document stands beside some text, or it is refused.
fn with_text(turn: &mut Turn) {
    let documents = turn.blocks.iter().any(|block| matches!(block.body, Body::Document { .. }));
    let results = turn.blocks.iter().any(|block| block.body.is_result());
    if documents && !results && !turn.blocks.iter().any(|block| block.body.is_text()) {
        turn.blocks.insert(0, placeholder());
    }
}
