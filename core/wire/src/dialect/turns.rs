//! Conversations in strict turns, for the dialects that demand them.
//!
//! Users and assistants take turns; a user begins; every call of a tool is answered in the turn after it, results
//! before anything else; no block is empty. Callers of other dialects keep none of this, so turns are composed anew:
//! neighbours of one role are merged, empty text is left out, and what cannot be repaired is refused with its place.
//! The policy for a missing result is refusal, not invention: the model would take a made-up result for true.

use crate::chat::{CacheMark, Citation, Content, Extra, Message, Part, Role, ToolKind, ToolResult};
use crate::sort::sort_by;
use crate::{DialectId, Json, Loss, Malformed, Restore};

use super::arguments;
use super::names::CallIds;

/// What a turn says that must be there though nobody said anything: the shortest text that is accepted.
pub(super) const PLACEHOLDER: &str = ".";

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

/// What a block says, as a dialect will write it: whatever the dialect cannot say is no longer in it.
pub(super) trait Body: Sized {
    fn text(text: String) -> Self;
    fn text_mut(&mut self) -> Option<&mut String>;
    fn is_result(&self) -> bool;
    fn is_thinking(&self) -> bool;
    /// The tool that it calls.
    fn called(&self) -> Option<&str>;
}

#[derive(Clone, Debug)]
pub(super) struct Block<B> {
    pub(super) body: B,
    pub(super) cache: Option<CacheMark>,
    pub(super) extra: Extra,
}

impl<B> From<B> for Block<B> {
    fn from(body: B) -> Self {
        Self { body, cache: None, extra: Extra::default() }
    }
}

#[derive(Debug)]
pub(super) struct Turn<B> {
    pub(super) speaker: Speaker,
    pub(super) blocks: Vec<Block<B>>,
}

#[derive(Debug)]
pub(super) struct Conversation<B> {
    pub(super) system: Vec<Block<B>>,
    pub(super) turns: Vec<Turn<B>>,
}

/// What the thoughts of a conversation so far allow.
#[derive(Clone, Copy, Debug)]
pub(super) struct History {
    /// It ends inside a loop of tools in which the assistant showed no thinking.
    pub(super) thoughtless_loop: bool,
    /// There is a thought somewhere in it.
    pub(super) thinking: bool,
}

/// How one dialect says what is said in a turn.
pub(super) trait Speech {
    type Body: Body;
    const HERE: DialectId;

    /// The name under which a tool is sent.
    fn tool(name: &str, kind: ToolKind, key: Option<&'static str>, restore: &mut Restore) -> String;
    fn call(&mut self, id: String, name: String, input: Json) -> Self::Body;
    fn result(
        &mut self,
        id: String,
        result: &ToolResult,
        path: &str,
        loss: &mut Loss,
    ) -> Result<Self::Body, Malformed>;
    /// A thought of the assistant's; none where nothing proves here that it is one.
    fn thought(&mut self, thought: &Content) -> Option<Self::Body>;
    fn text(text: String, citations: Vec<Json>) -> Self::Body;
    /// What this dialect itself has said in words that no other has.
    fn raw(json: Json) -> Self::Body;
    /// What this dialect has in place of a text.
    fn in_place(_part: &Part) -> Option<Self::Body> {
        None
    }
    /// A picture, a document or sound; none where this speaker shows none.
    fn shown(
        &mut self,
        part: &Part,
        speaker: Speaker,
        path: &str,
        loss: &mut Loss,
    ) -> Result<Option<Self::Body>, Malformed>;

    /// Anything else; none where it says nothing, or nothing that can be said here.
    fn plain(
        &mut self,
        part: &Part,
        speaker: Speaker,
        path: &str,
        loss: &mut Loss,
    ) -> Result<Option<Self::Body>, Malformed> {
        Ok(match &part.content {
            Content::Text { text, .. } | Content::Refusal { text } if text.trim().is_empty() => {
                Self::in_place(part)
            }
            Content::Text { text, citations } => Self::in_place(part)
                .or_else(|| Some(Self::text(text.clone(), own_citations(citations, Self::HERE, path, loss)))),
            Content::Refusal { text } => Some(Self::text(text.clone(), Vec::new())),
            Content::Image { .. } | Content::Document { .. } | Content::Audio { .. } => {
                self.shown(part, speaker, path, loss)?
            }
            Content::Foreign { dialect, json } if *dialect == Self::HERE => Some(Self::raw(json.clone())),
            Content::Foreign { .. }
            | Content::ToolCall(_)
            | Content::ToolResult(_)
            | Content::Thinking { .. }
            | Content::RedactedThinking { .. } => {
                loss.note(path.to_owned());
                None
            }
        })
    }

    /// The mark that says "cached up to here".
    fn mark(part: &Part) -> Option<CacheMark> {
        part.cache.clone()
    }

    /// What the model demands of turns besides.
    fn arrange(&self, turns: Vec<Turn<Self::Body>>, _loss: &mut Loss) -> Vec<Turn<Self::Body>> {
        turns
    }
}

/// How a tool that the caller knows by a name takes its arguments.
pub(super) type Keys<'a> = &'a dyn Fn(&str) -> Option<&'static str>;

pub(super) struct Composer<'a, S> {
    pub(super) speech: S,
    pub(super) keys: Keys<'a>,
    pub(super) ids: CallIds,
    /// The model takes a system's words in the middle of a conversation.
    pub(super) mid_system: bool,
    pub(super) loss: &'a mut Loss,
    pub(super) restore: &'a mut Restore,
}

impl<S: Speech> Composer<'_, S> {
    pub(super) fn compose(mut self, messages: &[Message]) -> Result<Conversation<S::Body>, Malformed> {
        let mut conversation = Conversation { system: Vec::new(), turns: Vec::new() };
        let mut leading = true;
        for (index, message) in messages.iter().enumerate() {
            let path = format!("messages[{index}]");
            if message.name.is_some() {
                self.loss.note(format!("{path}.name"));
            }
            self.loss.note_extra(&message.extra, S::HERE, &path);
            let system = matches!(message.role, Role::System | Role::Developer);
            leading &= system;
            let speaker = match message.role {
                Role::Assistant => Speaker::Assistant,
                Role::System | Role::Developer if self.mid_system && self.ids.unanswered().is_none() => {
                    Speaker::System
                }
                Role::User | Role::System | Role::Developer => Speaker::User,
            };
            // Calls stay open while the assistant goes on, and while the user has not answered all of them.
            let goes_on = conversation.turns.last().is_some_and(|turn| turn.speaker == Speaker::Assistant);
            if speaker == Speaker::Assistant && !goes_on {
                self.answered()?;
                self.ids.close();
            }
            let mut blocks = Vec::with_capacity(message.parts.len());
            for (at, part) in message.parts.iter().enumerate() {
                let part_path = format!("{path}.content[{at}]");
                let own = matches!(&part.content, Content::Foreign { dialect, .. } if *dialect == S::HERE);
                if system && !matches!(part.content, Content::Text { .. }) && !own {
                    self.loss.note(part_path);
                    continue;
                }
                self.push(part, speaker, &path, &part_path, &mut blocks)?;
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
        self.answered()?;
        conversation.settle(&self.speech, self.loss);
        Ok(conversation)
    }

    fn answered(&self) -> Result<(), Malformed> {
        match self.ids.unanswered() {
            None => Ok(()),
            Some((id, message)) => Err(Malformed::field(
                message,
                format!("a result of its tool call `{id}` in the message after it"),
            )),
        }
    }

    /// Appends the part, if it says something.
    fn push(
        &mut self,
        part: &Part,
        speaker: Speaker,
        message: &str,
        path: &str,
        blocks: &mut Vec<Block<S::Body>>,
    ) -> Result<(), Malformed> {
        let Some(body) = self.body(part, speaker, message, path)? else {
            // Its mark says "cached up to here", which now is the end of the block before.
            let before = blocks.last_mut().filter(|block| !block.body.is_thinking());
            if let (Some(before), Some(mark)) = (before, &part.cache) {
                before.cache.get_or_insert_with(|| mark.clone());
            }
            return Ok(());
        };
        self.loss.note_extra(&part.extra, S::HERE, path);
        let cache = S::mark(part).filter(|_| !body.is_thinking());
        blocks.push(Block { body, cache, extra: part.extra.clone() });
        Ok(())
    }

    fn body(
        &mut self,
        part: &Part,
        speaker: Speaker,
        message: &str,
        path: &str,
    ) -> Result<Option<S::Body>, Malformed> {
        match &part.content {
            Content::ToolCall(call) if speaker == Speaker::Assistant => {
                if call.name.is_empty() {
                    return Err(Malformed::field(path, "the name of a tool"));
                }
                let key = match call.kind {
                    ToolKind::Custom => Some(Restore::FREE_TEXT),
                    ToolKind::Function => (self.keys)(&call.name),
                };
                let id = self.ids.call(&call.id, message);
                let name = S::tool(&call.name, call.kind, key, self.restore);
                let input = arguments::sent(&call.arguments, key, path, self.loss)?;
                Ok(Some(self.speech.call(id, name, input)))
            }
            Content::ToolResult(result) if speaker == Speaker::User => {
                let id = self.ids.result(&result.call_id).ok_or_else(|| {
                    let call = &result.call_id;
                    let expected = format!("a tool call `{call}` in the message before, answered once");
                    Malformed::field(path, expected)
                })?;
                self.speech.result(id, result, path, self.loss).map(Some)
            }
            Content::ToolCall(_) => Err(Malformed::field(path, "tool calls in assistant messages only")),
            Content::ToolResult(_) => Err(Malformed::field(path, "tool results in user messages only")),
            thought @ (Content::Thinking { .. } | Content::RedactedThinking { .. }) => {
                let own = if speaker == Speaker::Assistant { self.speech.thought(thought) } else { None };
                // Another model's thoughts prove nothing here: they are left out rather than passed off as words.
                if own.is_none() {
                    self.loss.note(format!("{message}.thinking"));
                }
                Ok(own)
            }
            _ => self.speech.plain(part, speaker, path, self.loss),
        }
    }
}

/// The citations in the dialect's own words; that others are lost is noted.
pub(super) fn own_citations(
    citations: &[Citation],
    here: DialectId,
    path: &str,
    loss: &mut Loss,
) -> Vec<Json> {
    let own = |citation: &Citation| match &citation.raw {
        Some((dialect, json)) if *dialect == here => Some(json.clone()),
        _ => None,
    };
    let kept: Vec<Json> = citations.iter().filter_map(own).collect();
    if kept.len() < citations.len() {
        loss.note(format!("{path}.citations"));
    }
    kept
}

impl<B: Body> Conversation<B> {
    fn say(&mut self, speaker: Speaker, mut blocks: Vec<Block<B>>) {
        if blocks.is_empty() {
            return;
        }
        match self.turns.last_mut() {
            Some(turn) if turn.speaker == speaker => turn.blocks.append(&mut blocks),
            _ => self.turns.push(Turn { speaker, blocks }),
        }
    }

    /// Results first, a user first, and no space at the end of what the assistant is to go on from.
    fn settle(&mut self, speech: &impl Speech<Body = B>, loss: &mut Loss) {
        for turn in &mut self.turns {
            sort_by(&mut turn.blocks, |one, other| other.body.is_result().cmp(&one.body.is_result()));
        }
        self.turns = speech.arrange(std::mem::take(&mut self.turns), loss);
        if let Some(Turn { speaker: Speaker::Assistant, blocks }) = self.turns.last_mut()
            && let Some(text) = blocks.last_mut().and_then(|block| block.body.text_mut())
        {
            text.truncate(text.trim_end().len());
        }
        if self.turns.first().is_none_or(|turn| turn.speaker != Speaker::User) {
            loss.note("messages[0].role");
            self.turns.insert(0, Turn { speaker: Speaker::User, blocks: vec![placeholder()] });
        }
    }

    /// What its thoughts allow.
    pub(super) fn history(&self) -> History {
        let thinking = self.turns.iter().flat_map(|turn| &turn.blocks).any(|block| block.body.is_thinking());
        History { thoughtless_loop: self.ends_in_thoughtless_loop(), thinking }
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

    /// Its blocks in the order in which the prompt is read.
    pub(super) fn blocks_mut(&mut self) -> impl Iterator<Item = &mut Block<B>> {
        self.system.iter_mut().chain(self.turns.iter_mut().flat_map(|turn| turn.blocks.iter_mut()))
    }

    /// The names of the tools that were called, each once.
    pub(super) fn called(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for name in self.turns.iter().flat_map(|turn| &turn.blocks).filter_map(|block| block.body.called()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

/// A block that must be there though nobody said anything.
pub(super) fn placeholder<B: Body>() -> Block<B> {
    B::text(PLACEHOLDER.to_owned()).into()
}
