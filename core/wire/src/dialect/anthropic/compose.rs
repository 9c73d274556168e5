//! Conversations in the order that this dialect demands.
//!
//! Users and assistants take turns; a user begins; every call of a tool is answered in the turn after it, results
//! before anything else; no block is empty. Callers of other dialects keep none of this, so turns are composed anew:
//! neighbours of one role are merged, empty text is left out, and what cannot be repaired is refused with its place.
//! The policy for a missing result is refusal, not invention: the model would take a made-up result for true.

use crate::chat::{CacheMark, Content, Message, Part, Role, Source, ToolKind, ToolResult};
use crate::proof::opened;
use crate::source::{decoded, sniffed};
use crate::{DialectId, Json, Loss, Malformed, Restore};

use super::block::{Block, Body, json_of};
use super::names::{self, CallIds};

const HERE: DialectId = DialectId::Anthropic;

/// What a turn says that must be there though nobody said anything: the shortest text that is accepted.
const PLACEHOLDER: &str = ".";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaker {
    User,
    Assistant,
    /// In the middle of a conversation, for models that take it.
    System,
}

impl Speaker {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::System => "system",
        }
    }
}

#[derive(Debug)]
pub(super) struct Turn {
    pub(super) speaker: Speaker,
    pub(super) blocks: Vec<Block>,
}

#[derive(Debug, Default)]
pub(super) struct Conversation {
    pub(super) system: Vec<Block>,
    pub(super) turns: Vec<Turn>,
}

/// How a tool that the caller knows by a name takes its arguments.
pub(super) type Keys<'a> = &'a dyn Fn(&str) -> Option<&'static str>;

pub(super) struct Composer<'a> {
    pub(super) keys: Keys<'a>,
    pub(super) mid_system: bool,
    pub(super) loss: &'a mut Loss,
    pub(super) restore: &'a mut Restore,
}

impl Composer<'_> {
    pub(super) fn compose(mut self, messages: &[Message]) -> Result<Conversation, Malformed> {
        let mut conversation = Conversation::default();
        let mut ids = CallIds::default();
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
                if system && !is_text(&part.content) {
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
        conversation.settle(self.loss);
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
                    name: names::tool(&call.name, call.kind, key, self.restore),
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
                Some(signature)
                    if !signature.is_empty()
                        && speaker == Speaker::Assistant
                        && opened(HERE, signature).is_some() =>
                {
                    Some(Body::Thinking { text: text.clone(), signature: signature.clone() })
                }
                // Another model's thoughts prove nothing here: they are left out rather than passed off as words.
                _ => {
                    self.loss.note(format!("{message}.thinking"));
                    None
                }
            },
            Content::RedactedThinking { data } if opened(HERE, data).is_some() => {
                Some(Body::Redacted { data: data.clone() })
            }
            Content::RedactedThinking { .. } => {
                self.loss.note(format!("{message}.thinking"));
                None
            }
            Content::Image { .. } | Content::Document { .. } | Content::Audio { .. }
                if speaker == Speaker::Assistant =>
            {
                self.loss.note(path.to_owned());
                None
            }
            plain => self.plain(plain, path)?,
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
        let cache = part.cache.clone().filter(|_| !body.is_thinking());
        blocks.push(Block { body, cache, extra: part.extra.clone() });
        Ok(())
    }

    /// What users, systems and tools may say alike.
    fn plain(&mut self, content: &Content, path: &str) -> Result<Option<Body>, Malformed> {
        Ok(match content {
            Content::Text { text, citations } => {
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
                Some(image(source, path)?)
            }
            Content::Document { source, title, context, citations } => {
                Some(document(source, title.as_ref(), context.as_ref(), *citations, path)?)
            }
            Content::Audio { .. } => {
                return Err(Malformed::field(path, "no audio: this model's API takes none"));
            }
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

    fn result(&mut self, id: String, result: &ToolResult, path: &str) -> Result<Body, Malformed> {
        let mut content = Vec::with_capacity(result.parts.len());
        for (at, part) in result.parts.iter().enumerate() {
            if let Some(body) = self.plain(&part.content, &format!("{path}.content[{at}]"))? {
                content.push(Block { body, cache: part.cache.clone(), extra: part.extra.clone() });
            }
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

/// Arguments as an object.
pub(in crate::dialect) enum Input {
    Object(Json),
    /// Several objects run together: which of them was meant, only the caller knows.
    Several,
    /// They are no object. A model wrote them and a tool refused them: so that the conversation can go on, they are
    /// shown to the model as they were, under a key.
    Other(Json),
}

pub(in crate::dialect) fn input_of(arguments: &str) -> Input {
    let text = arguments.trim();
    if text.is_empty() {
        return Input::Object(Json::of(&serde_json::Map::new()));
    }
    match Json::parse(text) {
        Ok(json) if text.starts_with('{') => Input::Object(json),
        Ok(json) if text.starts_with('"') => match serde_json::from_str::<String>(json.as_str()) {
            // Encoded twice.
            Ok(inner) if inner.trim_start().starts_with('{') => match Json::parse(inner.trim()) {
                Ok(inner) => Input::Object(inner),
                Err(_) => Input::Other(wrapped(arguments, "arguments")),
            },
            _ => Input::Other(wrapped(arguments, "arguments")),
        },
        Ok(_) => Input::Other(wrapped(arguments, "arguments")),
        Err(_) => {
            let mut objects = serde_json::Deserializer::from_str(text)
                .into_iter::<serde_json::Map<String, serde_json::Value>>();
            if text.starts_with('{') && objects.by_ref().take_while(Result::is_ok).count() > 1 {
                Input::Several
            } else {
                Input::Other(wrapped(arguments, "arguments"))
            }
        }
    }
}

/// `{key: arguments}`: as JSON where the key says so and it is JSON, else as text.
pub(in crate::dialect) fn wrapped(arguments: &str, key: &'static str) -> Json {
    let mut out = Vec::new();
    crate::object::object(&mut out, |object| match Json::parse(arguments.trim()) {
        Ok(json) if key == Restore::VALUE => object.json(key, &json),
        _ => object.string(key, arguments),
    });
    json_of(&out)
}

fn is_text(content: &Content) -> bool {
    matches!(content, Content::Text { .. })
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

    /// Results first, a user first, and no space at the end of what the assistant is to go on from.
    fn settle(&mut self, loss: &mut Loss) {
        for turn in &mut self.turns {
            turn.blocks.sort_by_key(|block| !block.body.is_result());
        }
        if let Some(Turn { speaker: Speaker::Assistant, blocks }) = self.turns.last_mut()
            && let Some(Block { body: Body::Text { text, .. }, .. }) = blocks.last_mut()
        {
            text.truncate(text.trim_end().len());
        }
        if self.turns.first().is_none_or(|turn| turn.speaker != Speaker::User) {
            loss.note("messages[0].role");
            self.turns
                .insert(0, Turn { speaker: Speaker::User, blocks: vec![Body::text(PLACEHOLDER).into()] });
        }
    }

    /// Whether the conversation ends inside a loop of tools in which the assistant showed no thinking.
    pub(super) fn ends_in_thoughtless_loop(&self) -> bool {
        let mut turns = self.turns.iter().rev();
        let mut last = true;
        let mut looped = false;
        while let Some(user) = turns.next() {
            let only = user.blocks.iter().all(|block| block.body.is_result());
            let any = user.blocks.iter().any(|block| block.body.is_result());
            if user.speaker != Speaker::User || !any || (!only && !last) {
                break;
            }
            last = false;
            looped = true;
            if turns.next().and_then(|turn| turn.blocks.first()).is_some_and(|block| block.body.is_thinking())
            {
                return false;
            }
        }
        looped
    }

    pub(super) fn has_thinking(&self) -> bool {
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

    /// The marks of the conversation in the order in which the prompt is read.
    pub(super) fn marks(&mut self) -> Vec<&mut Option<CacheMark>> {
        fn collect<'a>(blocks: &'a mut [Block], marks: &mut Vec<&'a mut Option<CacheMark>>) {
            for block in blocks {
                if let Body::Result { content, .. } = &mut block.body {
                    collect(content, marks);
                }
                if block.cache.is_some() {
                    marks.push(&mut block.cache);
                }
            }
        }
        let mut marks = Vec::new();
        collect(&mut self.system, &mut marks);
        for turn in &mut self.turns {
            collect(&mut turn.blocks, &mut marks);
        }
        marks
    }
}
