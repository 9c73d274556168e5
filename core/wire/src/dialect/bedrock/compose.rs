//! Conversations in the order that the models demand.
//!
//! Users and assistants take turns; a user begins; every call of a tool is answered in the turn after it, results
//! before anything else; no block is empty. Callers of other dialects keep none of this, so turns are composed anew:
//! neighbours of one role are merged, empty text is left out, and what cannot be repaired is refused with its place.

use std::collections::BTreeSet;

use crate::chat::{Content, Message, Part, Role, Source, ToolKind, ToolResult};
use crate::dialect::anthropic::compose::{Input, input_of, wrapped};
use crate::dialect::anthropic::limits::History;
use crate::dialect::anthropic::names::CallIds;
use crate::dialect::tool_name::sent_name;
use crate::{Json, Loss, Malformed, Restore};

use super::family::Family;
use super::media::{self, Kind, Place};
use super::turn::{Block, Body, Conversation, Speaker, Turn};
use super::{HERE, ids};

/// What a turn says that must be there though nobody said anything: the shortest text that is accepted.
const PLACEHOLDER: &str = ".";

/// How a tool that the caller knows by a name takes its arguments.
pub(super) type Keys<'a> = &'a dyn Fn(&str) -> Option<&'static str>;

pub(super) struct Composer<'a> {
    pub(super) keys: Keys<'a>,
    pub(super) family: Family,
    pub(super) mid_system: bool,
    /// The names that documents have already.
    pub(super) documents: BTreeSet<String>,
    pub(super) loss: &'a mut Loss,
    pub(super) restore: &'a mut Restore,
}

impl Composer<'_> {
    pub(super) fn compose(mut self, messages: &[Message]) -> Result<Conversation, Malformed> {
        let mut conversation = Conversation::default();
        let mut ids = match self.family {
            Family::Mistral => CallIds::of(ids::nine),
            Family::Claude | Family::Nova | Family::Llama | Family::Qwen | Family::GptOss | Family::Other => {
                CallIds::of(ids::conforming)
            }
        };
        let mut leading = true;
        for (index, message) in messages.iter().enumerate() {
            let path = format!("messages[{index}]");
            if message.name.is_some() {
                self.loss.note(format!("{path}.name"));
            }
            for name in message.extra.foreign_to(HERE) {
                self.loss.note(format!("{path}.{name}"));
            }
            let system = matches!(message.role, Role::System | Role::Developer);
            leading &= system;
            let speaker = match message.role {
                Role::Assistant => Speaker::Assistant,
                Role::System | Role::Developer if self.mid_system && ids.unanswered().is_none() => {
                    Speaker::System
                }
                Role::User | Role::System | Role::Developer => Speaker::User,
            };
            // Calls stay open while the assistant goes on, and while the user has not answered all of them.
            let goes_on = conversation.turns.last().is_some_and(|turn| turn.speaker == Speaker::Assistant);
            if speaker == Speaker::Assistant && !goes_on {
                answered(&ids)?;
                ids.close();
            }
            let mut blocks = Vec::with_capacity(message.parts.len());
            for (at, part) in message.parts.iter().enumerate() {
                let part_path = format!("{path}.content[{at}]");
                let own = matches!(part.content, Content::Foreign { dialect: HERE, .. });
                if system && !matches!(part.content, Content::Text { .. }) && !own {
                    self.loss.note(part_path);
                    continue;
                }
                self.push(part, speaker, &path, &part_path, &mut ids, &mut blocks)?;
            }
            if leading {
                conversation.system.append(&mut blocks);
                continue;
            }
            if system && speaker == Speaker::User {
                self.loss.note(format!("{path}.role"));
            }
            conversation.say(speaker, blocks);
        }
        answered(&ids)?;
        conversation.settle(self.family, self.loss);
        Ok(conversation)
    }

    /// Appends the part, if it says something.
    fn push(
        &mut self,
        part: &Part,
        speaker: Speaker,
        message: &str,
        path: &str,
        ids: &mut CallIds,
        blocks: &mut Vec<Block>,
    ) -> Result<(), Malformed> {
        let body = match &part.content {
            Content::ToolCall(call) if speaker == Speaker::Assistant => {
                let key = match call.kind {
                    ToolKind::Custom => Some(Restore::FREE_TEXT),
                    ToolKind::Function => (self.keys)(&call.name),
                };
                if call.name.is_empty() {
                    return Err(Malformed::field(path, "the name of a tool"));
                }
                Some(Body::Call {
                    id: ids.call(&call.id, message),
                    name: sent_name(&call.name, call.kind, key, self.restore),
                    input: self.input(&call.arguments, key, path)?,
                })
            }
            Content::ToolResult(result) if speaker == Speaker::User => {
                let id = ids.result(&result.call_id).ok_or_else(|| {
                    let call = &result.call_id;
                    let expected = format!("a tool call `{call}` in the message before, answered once");
                    Malformed::field(path, expected)
                })?;
                Some(self.result(id, result, path)?)
            }
            Content::ToolCall(_) => {
                return Err(Malformed::field(path, "tool calls in assistant messages only"));
            }
            Content::ToolResult(_) => {
                return Err(Malformed::field(path, "tool results in user messages only"));
            }
            Content::Thinking { text, signature } => match signature {
                Some(signature) if !signature.is_empty() && self.thinks(speaker) => {
                    Some(Body::Thinking { text: text.clone(), signature: Some(signature.clone()) })
                }
                // Another model's thoughts prove nothing here: they are left out rather than passed off as words.
                _ => {
                    self.loss.note(format!("{message}.thinking"));
                    None
                }
            },
            Content::RedactedThinking { data } if self.thinks(speaker) => {
                Some(Body::Redacted { data: media::base64(data) })
            }
            Content::RedactedThinking { .. } => {
                self.loss.note(format!("{message}.thinking"));
                None
            }
            Content::Document { .. } | Content::Audio { .. } if speaker == Speaker::Assistant => {
                self.loss.note(path.to_owned());
                None
            }
            _ => self.plain(part, path)?,
        };
        let Some(body) = body else {
            // Its mark says "cached up to here", which now is the end of the block before.
            let before = blocks.last_mut().filter(|block| !block.body.is_thinking());
            if let (Some(before), Some(mark)) = (before, &part.cache) {
                before.cache.get_or_insert_with(|| mark.clone());
            }
            return Ok(());
        };
        for name in part.extra.foreign_to(HERE) {
            self.loss.note(format!("{path}.{name}"));
        }
        // Marks inside a tool's result stand after it here.
        let inside = match &part.content {
            Content::ToolResult(result) => result.parts.iter().rev().find_map(|part| part.cache.clone()),
            _ => None,
        };
        let cache = part.cache.clone().or(inside).filter(|_| !body.is_thinking());
        blocks.push(Block { body, cache });
        Ok(())
    }

    fn thinks(&self, speaker: Speaker) -> bool {
        speaker == Speaker::Assistant && self.family.takes_reasoning()
    }

    /// What users, systems and tools may say alike.
    fn plain(&mut self, part: &Part, path: &str) -> Result<Option<Body>, Malformed> {
        Ok(match &part.content {
            Content::Text { text, citations } => {
                if let Some((_, json)) = part.extra.of(HERE).iter().find(|(name, _)| name == "guardContent") {
                    return Ok(Some(Body::Named("guardContent", json.clone())));
                }
                if text.trim().is_empty() {
                    return Ok(None);
                }
                let own = |citation: &crate::chat::Citation| match &citation.raw {
                    Some((HERE, json)) => Some(json.clone()),
                    _ => None,
                };
                let kept: Vec<Json> = citations.iter().filter_map(own).collect();
                if kept.len() < citations.len() {
                    self.loss.note(format!("{path}.citations"));
                }
                Some(Body::Text { text: text.clone(), citations: kept })
            }
            Content::Refusal { text } => (!text.trim().is_empty()).then(|| Body::text(text.clone())),
            Content::Image { source, detail } => {
                if detail.as_deref().is_some_and(|detail| detail != "auto") {
                    self.loss.note(format!("{path}.detail"));
                }
                Some(self.media(Kind::Image, source, None, part, path)?)
            }
            Content::Audio { source, format } => {
                Some(self.media(Kind::Audio, source, format.as_deref(), part, path)?)
            }
            Content::Document { .. } => Some(self.document(part, path)?),
            Content::Foreign { dialect: HERE, json } => Some(Body::Raw(json.clone())),
            Content::Foreign { .. }
            | Content::ToolCall(_)
            | Content::ToolResult(_)
            | Content::Thinking { .. }
            | Content::RedactedThinking { .. } => {
                self.loss.note(path.to_owned());
                None
            }
        })
    }

    fn media(
        &mut self,
        kind: Kind,
        source: &Source,
        format: Option<&str>,
        part: &Part,
        path: &str,
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
                    return self.document(&content.into(), path);
                }
                let format = format.and_then(|format| kind.known(format)).or_else(|| kind.format(media_type));
                (format.map(str::to_owned), Place::Bytes(data.clone()))
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

    fn document(&mut self, part: &Part, path: &str) -> Result<Body, Malformed> {
        let Content::Document { source, title, context, citations } = &part.content else {
            return Err(Malformed::field(path, "a document"));
        };
        let (format, place) = match source {
            Source::Base64 { media_type, data } => {
                let media_type = media::true_type(media_type, data);
                if media_type.starts_with("image/") {
                    return self.media(Kind::Image, source, None, part, path);
                }
                match (Kind::Document.format(media_type), media::text_of(media_type, data)) {
                    (Some(format), _) => (format, Place::Bytes(data.clone())),
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
            name: self.name(title.as_deref(), path),
            place,
            context: context.clone(),
            citations: *citations,
        })
    }

    /// A document's name as it is taken: letters, digits, single spaces, `-`, `(`, `)`, `[` and `]`, without its
    /// extension, and each once.
    fn name(&mut self, title: Option<&str>, path: &str) -> String {
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
            self.loss.note(format!("{path}.title"));
        }
        let mut unique = name.clone();
        let mut copy = 2;
        while !self.documents.insert(unique.clone()) {
            unique = format!("{name} {copy}");
            copy += 1;
        }
        unique
    }

    fn result(&mut self, id: String, result: &ToolResult, path: &str) -> Result<Body, Malformed> {
        let mut content = Vec::with_capacity(result.parts.len());
        for (at, part) in result.parts.iter().enumerate() {
            let path = format!("{path}.content[{at}]");
            if matches!(part.content, Content::Audio { .. }) {
                return Err(Malformed::field(path, "no audio: results of tools take none here"));
            }
            if let Some(mut body) = self.plain(part, &path)? {
                if let Body::Text { citations, .. } = &mut body {
                    citations.clear();
                }
                content.push(body);
            }
        }
        if content.is_empty() {
            content.push(Body::text(PLACEHOLDER));
        }
        Ok(Body::Result { id, content, is_error: result.is_error })
    }

    fn input(&mut self, arguments: &str, key: Option<&'static str>, path: &str) -> Result<Json, Malformed> {
        if let Some(key) = key {
            return Ok(wrapped(arguments, key));
        }
        match input_of(arguments) {
            Input::Object(json) => Ok(json),
            Input::Several => {
                Err(Malformed::field(path, "one JSON object as arguments, not several in a row"))
            }
            Input::Other(json) => {
                self.loss.note(format!("{path}.arguments"));
                Ok(json)
            }
        }
    }
}

fn answered(ids: &CallIds) -> Result<(), Malformed> {
    match ids.unanswered() {
        None => Ok(()),
        Some((id, message)) => Err(Malformed::field(
            message,
            format!("a result of its tool call `{id}` in the message after it"),
        )),
    }
}

impl Conversation {
    fn say(&mut self, speaker: Speaker, mut blocks: Vec<Block>) {
        if blocks.is_empty() {
            return;
        }
        match self.turns.last_mut() {
            Some(turn) if turn.speaker == speaker => turn.blocks.append(&mut blocks),
            _ => self.turns.push(Turn { speaker, blocks }),
        }
    }

    /// Results first, a user first, documents beside some text, and beside results only what the family takes there.
    fn settle(&mut self, family: Family, loss: &mut Loss) {
        let mut turns = Vec::with_capacity(self.turns.len());
        for mut turn in self.turns.drain(..) {
            turn.blocks.sort_by_key(|block| !block.body.is_result());
            let results = turn.blocks.first().is_some_and(|block| block.body.is_result());
            let beside = |block: &Block| match &block.body {
                Body::Result { .. } => true,
                Body::Document { format, .. } => family.takes_document_beside_results(format.as_deref()),
                _ => family.takes_text_beside_results(),
            };
            let (stay, mut apart): (Vec<_>, Vec<_>) =
                turn.blocks.into_iter().partition(|block| !results || beside(block));
            turn.blocks = stay;
            with_text(&mut turn);
            turns.push(turn);
            if !apart.is_empty() {
                // The model must have spoken in between, or the two would be one turn again.
                loss.note("messages.*.content");
                let words = vec![Body::text(PLACEHOLDER).into()];
                turns.push(Turn { speaker: Speaker::Assistant, blocks: words });
                let mut turn = Turn { speaker: Speaker::User, blocks: std::mem::take(&mut apart) };
                with_text(&mut turn);
                turns.push(turn);
            }
        }
        self.turns = turns;
        if let Some(Turn { speaker: Speaker::Assistant, blocks }) = self.turns.last_mut()
            && let Some(Block { body: Body::Text { text, .. }, .. }) = blocks.last_mut()
        {
            text.truncate(text.trim_end().len());
        }
        if self.turns.first().is_none_or(|turn| turn.speaker != Speaker::User) {
            loss.note("messages[0].role");
            let words = vec![Body::text(PLACEHOLDER).into()];
            self.turns.insert(0, Turn { speaker: Speaker::User, blocks: words });
        }
    }

    /// What its thoughts allow.
    pub(super) fn history(&self) -> History {
        History { thoughtless_loop: self.ends_in_thoughtless_loop(), thinking: self.has_thinking() }
    }

    fn ends_in_thoughtless_loop(&self) -> bool {
        let mut turns = self.turns.iter().rev();
        let (mut last, mut looped) = (true, false);
        while let Some(user) = turns.next() {
            let only = user.blocks.iter().all(|block| block.body.is_result());
            let any = user.blocks.iter().any(|block| block.body.is_result());
            if user.speaker != Speaker::User || !any || (!only && !last) {
                break;
            }
            (last, looped) = (false, true);
            if turns.next().and_then(|turn| turn.blocks.first()).is_some_and(|block| block.body.is_thinking())
            {
                return false;
            }
        }
        looped
    }

    fn has_thinking(&self) -> bool {
        self.turns.iter().flat_map(|turn| &turn.blocks).any(|block| block.body.is_thinking())
    }

    /// The names of the tools that were called, each once.
    pub(super) fn called(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for block in self.turns.iter().flat_map(|turn| &turn.blocks) {
            if let Body::Call { name, .. } = &block.body
                && !names.contains(&name.as_str())
            {
                names.push(name.as_str());
            }
        }
        names
    }

    /// Its blocks in the order in which the prompt is read.
    pub(super) fn blocks_mut(&mut self) -> impl Iterator<Item = &mut Block> {
        self.system.iter_mut().chain(self.turns.iter_mut().flat_map(|turn| turn.blocks.iter_mut()))
    }
}

/// A document stands beside some text, or it is refused.
fn with_text(turn: &mut Turn) {
    let documents = turn.blocks.iter().any(|block| matches!(block.body, Body::Document { .. }));
    let results = turn.blocks.iter().any(|block| block.body.is_result());
    if documents && !results && !turn.blocks.iter().any(|block| block.body.is_text()) {
        turn.blocks.insert(0, Body::text(PLACEHOLDER).into());
    }
}
