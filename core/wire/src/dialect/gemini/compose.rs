//! Conversations in the order that this dialect demands.
//!
//! A turn with calls is followed by one turn with their results and nothing else: as many as calls, in their order, each
//! with its function's name. Neighbours of one role are merged; what stood between calls and results comes after them.
//! A call without a result is refused, as is a result without its call: the model would take what we made up for true.

use crate::chat::{Content, Message, Part, Role, Source, ToolCall, ToolKind, ToolResult};
use crate::dialect::arguments;
use crate::dialect::names::sent_name;
use crate::dialect::turns::Keys;
use crate::object::{ListWriter, ObjectWriter, object};
use crate::{DialectId, Json, Loss, Malformed, Restore};

use super::model::{Generation, Model};
use super::{calls, part, proof};

const HERE: DialectId = DialectId::Gemini;

/// What a turn says that must be there though nobody said anything.
const BLANK: &str = " ";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    User,
    Model,
    Results,
}

#[derive(Debug)]
struct Turn {
    kind: Kind,
    parts: Vec<Json>,
}

pub(super) struct Composer<'a> {
    pub(super) model: Model,
    pub(super) keys: Keys<'a>,
    pub(super) loss: &'a mut Loss,
    pub(super) restore: &'a mut Restore,
    state: State,
}

#[derive(Debug, Default)]
struct State {
    system: Vec<Json>,
    turns: Vec<Turn>,
    /// The calls of the last turn of the model.
    open: Vec<Open>,
    /// What comes after their results.
    waiting: Vec<Json>,
}

#[derive(Debug)]
struct Open {
    id: String,
    name: String,
    path: String,
    result: Option<Json>,
}

/// A conversation, ready to be written.
#[derive(Debug)]
pub(super) struct Conversation {
    system: Vec<Json>,
    turns: Vec<Turn>,
}

impl<'a> Composer<'a> {
    pub(super) fn new(model: Model, keys: Keys<'a>, loss: &'a mut Loss, restore: &'a mut Restore) -> Self {
        Self { model, keys, loss, restore, state: State::default() }
    }

    pub(super) fn compose(mut self, messages: &[Message]) -> Result<Conversation, Malformed> {
        let mut leading = true;
        for (index, message) in messages.iter().enumerate() {
            let path = format!("messages[{index}]");
            if message.name.is_some() {
                self.loss.note(format!("{path}.name"));
            }
            self.loss.note_extra(&message.extra, HERE, &path);
            let system = matches!(message.role, Role::System | Role::Developer);
            leading &= system;
            if message.role == Role::Assistant {
                self.assistant(message, &path)?;
                continue;
            }
            let mut plain = Vec::with_capacity(message.parts.len());
            for (at, part) in message.parts.iter().enumerate() {
                let path = format!("{path}.content[{at}]");
                if system && !matches!(part.content, Content::Text { .. }) {
                    self.loss.note(path);
                    continue;
                }
                match &part.content {
                    Content::ToolResult(result) => self.result(result, part, &path, &mut plain)?,
                    _ => self.plain(part, &path, &mut plain)?,
                }
            }
            if leading {
                self.state.system.append(&mut plain);
                continue;
            }
            if system && !plain.is_empty() {
                self.loss.note(format!("{path}.role"));
            }
            self.state.waiting.append(&mut plain);
            if self.state.open.iter().all(|call| call.result.is_some()) {
                self.state.settle();
            }
        }
        self.answered()?;
        self.state.settle();
        Ok(self.state.finish(self.model))
    }

    fn answered(&self) -> Result<(), Malformed> {
        match self.state.open.iter().find(|call| call.result.is_none()) {
            None => Ok(()),
            Some(call) => Err(Malformed::field(
                &call.path,
                format!("a result of its tool call `{}` in the message after it", call.id),
            )),
        }
    }

    fn assistant(&mut self, message: &Message, path: &str) -> Result<(), Malformed> {
        let goes_on = self.state.turns.last().is_some_and(|turn| turn.kind == Kind::Model)
            && self.state.waiting.is_empty()
            && self.state.open.iter().all(|call| call.result.is_none());
        if !goes_on {
            self.answered()?;
            self.state.settle();
        }
        let mut parts = Vec::with_capacity(message.parts.len());
        let mut proof = None;
        for (at, part) in message.parts.iter().enumerate() {
            let path = format!("{path}.content[{at}]");
            match &part.content {
                Content::Thinking { text, signature } => {
                    let own = signature.as_deref().and_then(proof::own);
                    let Some(own) = own else {
                        // Another model's thoughts prove nothing here, and are no words of this one.
                        self.loss.note(format!("{path}.thinking"));
                        continue;
                    };
                    let before_call = message
                        .parts
                        .get(at + 1)
                        .is_some_and(|next| matches!(next.content, Content::ToolCall(_)));
                    proof = before_call.then_some(own);
                    if !before_call || !text.is_empty() {
                        parts.push(thought(text, (!before_call).then_some(own)));
                    }
                }
                Content::RedactedThinking { .. } => self.loss.note(format!("{path}.thinking")),
                Content::ToolCall(call) => {
                    let first =
                        parts.iter().all(|part: &Json| !part.as_str().starts_with("{\"functionCall\""))
                            && self.state.open.is_empty();
                    parts.push(self.call(call, proof.take(), first, &path)?);
                    self.state.open.push(Open {
                        id: call.id.clone(),
                        name: call.name.clone(),
                        path: path.clone(),
                        result: None,
                    });
                    self.note(part, &path);
                }
                Content::ToolResult(_) => {
                    return Err(Malformed::field(path, "tool results in user messages only"));
                }
                _ => self.plain(part, &path, &mut parts)?,
            }
        }
        self.state.say(Kind::Model, parts);
        Ok(())
    }

    fn call(
        &mut self,
        call: &ToolCall,
        proof: Option<&str>,
        first: bool,
        path: &str,
    ) -> Result<Json, Malformed> {
        if call.name.is_empty() {
            return Err(Malformed::field(path, "the name of a tool"));
        }
        let key = match call.kind {
            ToolKind::Custom => Some(Restore::FREE_TEXT),
            ToolKind::Function => (self.keys)(&call.name),
        };
        let args = arguments::sent(&call.arguments, key, path, self.loss)?;
        let name = sent_name(&call.name, call.kind, key, self.restore);
        // The newest models refuse a step whose first call nobody signed.
        let unknown = (first && self.model.generation == Generation::Levels).then(proof::unknown);
        Ok(part_of(|part| {
            part.object("functionCall", |object| {
                if !calls::is_made(&call.id) && !call.id.is_empty() {
                    object.string("id", &call.id);
                }
                object.string("name", &name);
                object.json("args", &args);
            });
            if let Some(signature) = proof.or(unknown.as_deref()) {
                part.string("thoughtSignature", signature);
            }
        }))
    }

    fn result(
        &mut self,
        result: &ToolResult,
        part: &Part,
        path: &str,
        after: &mut Vec<Json>,
    ) -> Result<(), Malformed> {
        let mut texts = Vec::new();
        let mut media = Vec::new();
        for (at, part) in result.parts.iter().enumerate() {
            match &part.content {
                Content::Text { text, .. } => texts.push(text.as_str()),
                Content::Image { source, .. }
                | Content::Audio { source, .. }
                | Content::Document { source, .. } => {
                    match part::write_media(source, said_type(part).as_deref()) {
                        Some(json) => media.push(json),
                        None => return Err(Malformed::field(path, "bytes in base64")),
                    }
                }
                Content::ToolCall(_)
                | Content::ToolResult(_)
                | Content::Thinking { .. }
                | Content::RedactedThinking { .. }
                | Content::Refusal { .. }
                | Content::Foreign { .. } => self.loss.note(format!("{path}.content[{at}]")),
            }
        }
        self.note(part, path);
        let open = self.state.open.iter_mut().find(|call| call.id == result.call_id && call.result.is_none());
        let Some(open) = open else {
            let expected = format!("a tool call `{}` in the message before, answered once", result.call_id);
            return Err(Malformed::field(path, expected));
        };
        let inside = self.model.generation == Generation::Levels;
        let key = (self.keys)(&open.name);
        let name = sent_name(&open.name, ToolKind::Function, key, self.restore);
        let response = response(&texts.join("\n\n"), result.is_error);
        open.result = Some(part_of(|part| {
            part.object("functionResponse", |object| {
                if !calls::is_made(&open.id) && !open.id.is_empty() {
                    object.string("id", &open.id);
                }
                object.string("name", &name);
                object.json("response", &response);
                if inside && !media.is_empty() {
                    object.list("parts", |list| media.iter().for_each(|json| list.json(json)));
                }
            });
        }));
        if !inside {
            after.append(&mut media);
        }
        Ok(())
    }

    /// What users and models may say alike.
    fn plain(&mut self, part: &Part, path: &str, out: &mut Vec<Json>) -> Result<(), Malformed> {
        let json = match &part.content {
            Content::Text { text, citations } => {
                if !citations.is_empty() {
                    self.loss.note(format!("{path}.citations"));
                }
                if text.is_empty() {
                    return Ok(());
                }
                part_of(|part| part.string("text", text))
            }
            Content::Refusal { text } if text.is_empty() => return Ok(()),
            Content::Refusal { text } => part_of(|part| part.string("text", text)),
            Content::Image { source, detail } => {
                if detail.as_deref().is_some_and(|detail| detail != "auto") {
                    self.loss.note(format!("{path}.detail"));
                }
                Self::media(source, part, path)?
            }
            Content::Audio { source, .. } => Self::media(source, part, path)?,
            Content::Document { source, title, context, citations } => {
                for (name, said) in
                    [("title", title.is_some()), ("context", context.is_some()), ("citations", *citations)]
                {
                    if said {
                        self.loss.note(format!("{path}.{name}"));
                    }
                }
                Self::media(source, part, path)?
            }
            Content::Foreign { dialect: HERE, json } => json.clone(),
            Content::Foreign { .. } | Content::RedactedThinking { .. } | Content::Thinking { .. } => {
                self.loss.note(path.to_owned());
                return Ok(());
            }
            Content::ToolCall(_) => {
                return Err(Malformed::field(path, "tool calls in assistant messages only"));
            }
            Content::ToolResult(_) => {
                return Err(Malformed::field(path, "tool results in user messages only"));
            }
        };
        self.note(part, path);
        out.push(with_extra(json, part));
        Ok(())
    }

    fn media(source: &Source, part: &Part, path: &str) -> Result<Json, Malformed> {
        if let Source::Base64 { media_type, .. } = source
            && !media_type.contains('/')
        {
            return Err(Malformed::field(path, "bytes with their media type, such as image/png"));
        }
        part::write_media(source, said_type(part).as_deref())
            .ok_or_else(|| Malformed::field(path, "bytes in base64"))
    }

    /// Notes what of a part this dialect has no place for.
    fn note(&mut self, part: &Part, path: &str) {
        if part.cache.is_some() {
            self.loss.note(format!("{path}.cache_control"));
        }
        self.loss.note_extra(&part.extra, HERE, path);
    }
}

impl State {
    /// Puts the results of the last calls, and what came with them, into turns of their own.
    fn settle(&mut self) {
        let results: Vec<Json> = self.open.drain(..).filter_map(|call| call.result).collect();
        self.say(Kind::Results, results);
        let waiting = std::mem::take(&mut self.waiting);
        self.say(Kind::User, waiting);
    }

    fn say(&mut self, kind: Kind, parts: Vec<Json>) {
        if parts.is_empty() {
            return;
        }
        match self.turns.last_mut() {
            Some(last) if last.kind == kind => last.parts.extend(parts),
            _ => self.turns.push(Turn { kind, parts }),
        }
    }

    fn finish(mut self, model: Model) -> Conversation {
        let blank = || part_of(|part| part.string("text", BLANK));
        for turn in self.turns.iter_mut().filter(|turn| turn.kind == Kind::User) {
            // Media alone are refused by some models.
            if !turn.parts.iter().any(|part| part.as_str().starts_with("{\"text\"")) {
                turn.parts.push(blank());
            }
        }
        if self.turns.first().is_none_or(|turn| turn.kind == Kind::Model) {
            self.turns.insert(0, Turn { kind: Kind::User, parts: vec![blank()] });
        }
        if model.gemma
            && let Some(first) = self.turns.first_mut()
        {
            first.parts.splice(0..0, self.system.drain(..));
        }
        Conversation { system: self.system, turns: self.turns }
    }
}

impl Conversation {
    pub(super) fn write(&self, object: &mut ObjectWriter<'_>) {
        if !self.system.is_empty() {
            object.object("systemInstruction", |content| write_parts(content, &self.system));
        }
        object.list("contents", |list: &mut ListWriter<'_>| {
            for turn in &self.turns {
                list.object(|content| {
                    content.string("role", if turn.kind == Kind::Model { "model" } else { "user" });
                    write_parts(content, &turn.parts);
                });
            }
        });
    }
}

fn write_parts(content: &mut ObjectWriter<'_>, parts: &[Json]) {
    content.list("parts", |list| parts.iter().for_each(|part| list.json(part)));
}

fn part_of(fill: impl FnOnce(&mut ObjectWriter<'_>)) -> Json {
    let mut out = Vec::new();
    object(&mut out, fill);
    Json::written(&out)
}

fn thought(text: &str, signature: Option<&str>) -> Json {
    part_of(|part| {
        part.string("text", text);
        if !text.is_empty() {
            part.flag("thought", true);
        }
        if let Some(signature) = signature {
            part.string("thoughtSignature", signature);
        }
    })
}

/// The media type that came with an address in this dialect.
fn said_type(part: &Part) -> Option<String> {
    let said = part.extra.of(HERE).iter().find(|(name, _)| name == "fileData.mimeType")?;
    crate::json::from_str(said.1.as_str()).ok()
}

/// The part with what only this dialect knows of it.
fn with_extra(json: Json, part: &Part) -> Json {
    let own: Vec<(&str, &str)> = part
        .extra
        .of(HERE)
        .iter()
        .filter(|(name, _)| !name.contains('.'))
        .map(|(name, json)| (name.as_str(), json.as_str()))
        .collect();
    if own.is_empty() {
        return json;
    }
    match crate::Fields::read(json.as_str().as_bytes()) {
        Ok(fields) => Json::written(&fields.splice(&own)),
        Err(_) => json,
    }
}

/// What a function gave, as the object that this dialect wants.
fn response(text: &str, is_error: bool) -> Json {
    let trimmed = text.trim();
    // `{"$ref": …}` would be read as a pointer to a part.
    let pointer = trimmed.contains("\"$ref\"");
    let json = Json::parse(trimmed).ok().filter(|_| !pointer);
    match json {
        Some(json) if trimmed.starts_with('{') && !is_error => json,
        Some(json) if trimmed.starts_with(['{', '[']) => {
            part_of(|object| object.json(if is_error { "error" } else { "result" }, &json))
        }
        _ => part_of(|object| object.string(if is_error { "error" } else { "result" }, text)),
    }
}
