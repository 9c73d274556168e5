//! Undoing in an answer what had to be changed in its request.
//!
//! A dialect may refuse a tool's name, know no tools of free text, or have no schemas for output, so that one is
//! emulated by a tool that the model must call. The writer of the request notes each such change here; the answer,
//! whole or streamed, passes through before anyone else sees it.

use crate::SmallMap;
use crate::chat::{Content, Part, Response, Stop, ToolKind};
use crate::event::{Delta, Event, PartKind};

/// What must be undone in the answer to one request. Empty for nearly all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restore {
    tools: Vec<Sent>,
}

/// One tool as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sent {
    name: String,
    meant: Meant,
    /// The arguments stand under this key of the object that was asked for.
    key: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Meant {
    Tool {
        name: String,
        kind: ToolKind,
    },
    /// The answer itself: the tool stands in for a schema of the output.
    Answer,
}

impl Restore {
    /// The key under which a tool of free text takes its text.
    pub const FREE_TEXT: &'static str = "input";
    /// The key under which a schema that is no object stands.
    pub const VALUE: &'static str = "value";

    pub fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }

    /// A tool that the caller knows as `name` was sent as `sent`, its arguments wrapped in an object under `key`.
    pub fn tool(&mut self, sent: &str, name: &str, kind: ToolKind, key: Option<&'static str>) {
        let meant = Meant::Tool { name: name.to_owned(), kind };
        let tool = Sent { name: sent.to_owned(), meant, key };
        if !self.tools.contains(&tool) {
            self.tools.push(tool);
        }
    }

    /// Calls of the tool `sent` are the answer's text.
    pub fn answer(&mut self, sent: &str, key: Option<&'static str>) {
        self.tools.push(Sent { name: sent.to_owned(), meant: Meant::Answer, key });
    }

    /// Restores a whole answer.
    pub fn response(&self, response: &mut Response) {
        if self.is_empty() {
            return;
        }
        for choice in &mut response.choices {
            let mut answered = false;
            for part in &mut choice.parts {
                answered |= self.part(part);
            }
            let calls = choice.parts.iter().any(|part| matches!(part.content, Content::ToolCall(_)));
            if answered && !calls && choice.stop == Some(Stop::ToolUse) {
                choice.stop = Some(Stop::EndTurn);
            }
        }
    }

    /// Restores one part and says whether it was the answer in disguise.
    fn part(&self, part: &mut Part) -> bool {
        let Content::ToolCall(call) = &mut part.content else { return false };
        let Some(sent) = self.sent(&call.name) else { return false };
        let arguments = unwrapped(std::mem::take(&mut call.arguments), sent.key);
        match &sent.meant {
            Meant::Tool { name, kind } => {
                call.name.clone_from(name);
                call.kind = *kind;
                call.arguments = arguments;
                false
            }
            Meant::Answer => {
                part.content = Content::Text { text: arguments, citations: Vec::new() };
                true
            }
        }
    }

    fn sent(&self, name: &str) -> Option<&Sent> {
        self.tools.iter().find(|sent| sent.name == name)
    }

    /// Restores a stream, event by event.
    pub fn stream(self) -> RestoreStream {
        RestoreStream { restore: self, ..RestoreStream::default() }
    }
}

/// Restores the events of one stream. Only wrapped arguments are held back, until their part stops.
#[derive(Clone, Debug, Default)]
pub struct RestoreStream {
    restore: Restore,
    choices: SmallMap<u32, State>,
}

#[derive(Clone, Debug, Default)]
struct State {
    open: Option<Open>,
    calls: bool,
    answered: bool,
}

#[derive(Clone, Debug)]
struct Open {
    answer: bool,
    /// The key to unwrap and what came so far.
    wrapped: Option<(&'static str, String)>,
}

impl RestoreStream {
    /// Appends to `out` what `event` means.
    pub fn push(&mut self, event: Event, out: &mut Vec<Event>) {
        if self.restore.is_empty() {
            out.push(event);
            return;
        }
        match event {
            Event::PartStart { choice, part, kind: PartKind::ToolCall { id, name, kind }, extra } => {
                let state = self.choices.entry(choice).or_default();
                let sent = self.restore.sent(&name);
                let answer = sent.is_some_and(|sent| sent.meant == Meant::Answer);
                let wrapped = sent.and_then(|sent| sent.key).map(|key| (key, String::new()));
                state.answered |= answer;
                state.calls |= !answer;
                state.open = sent.map(|_| Open { answer, wrapped });
                let kind = match sent.map(|sent| &sent.meant) {
                    Some(Meant::Answer) => PartKind::Text,
                    Some(Meant::Tool { name, kind }) => {
                        PartKind::ToolCall { id, name: name.clone(), kind: *kind }
                    }
                    None => PartKind::ToolCall { id, name, kind },
                };
                out.push(Event::PartStart { choice, part, kind, extra });
            }
            Event::Delta { choice, part, delta: Delta::Arguments(text) } => {
                match self.choices.get_mut(&choice).and_then(|state| state.open.as_mut()) {
                    Some(Open { wrapped: Some((_, held)), .. }) => held.push_str(&text),
                    Some(Open { answer: true, .. }) => {
                        out.push(Event::Delta { choice, part, delta: Delta::Text(text) });
                    }
                    _ => out.push(Event::Delta { choice, part, delta: Delta::Arguments(text) }),
                }
            }
            Event::PartStop { choice, part } => {
                let open = self.choices.get_mut(&choice).and_then(|state| state.open.take());
                if let Some(Open { answer, wrapped: Some((key, held)) }) = open {
                    let text = unwrapped(held, Some(key));
                    let delta = if answer { Delta::Text(text) } else { Delta::Arguments(text) };
                    out.push(Event::Delta { choice, part, delta });
                }
                out.push(Event::PartStop { choice, part });
            }
            Event::Stop { choice, stop: Stop::ToolUse } => {
                let state = self.choices.entry(choice).or_default();
                let stop = if state.answered && !state.calls { Stop::EndTurn } else { Stop::ToolUse };
                out.push(Event::Stop { choice, stop });
            }
            other => out.push(other),
        }
    }
}

/// What stands under `key` in the object `arguments`: a string as its text, else its JSON. As it is if there is none.
fn unwrapped(arguments: String, key: Option<&'static str>) -> String {
    let Some(key) = key else { return arguments };
    let fields: Option<SmallMap<String, crate::Json>> = crate::json::from_str(&arguments).ok();
    let Some(inner) = fields.as_ref().and_then(|fields| fields.get(key)) else { return arguments };
    match crate::json::from_str::<String>(inner.as_str()) {
        Ok(text) if key == Restore::FREE_TEXT => text,
        _ => inner.as_str().to_owned(),
    }
}
