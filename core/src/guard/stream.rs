//! Answers past the guards while they are said.

use gatelet_wire::chat::{Content, Extra, Part, Response, Stop, ToolCall, ToolKind};
use gatelet_wire::event::{Delta, Event, PartKind};
use gatelet_wire::{SmallMap, Usage};

use super::Site;
use super::case::Case;
use super::channel::Channel;
use super::json::JsonChannel;
use super::shape::Shapes;
use super::tools::Fate;
use super::unmask::{Unmask, UnmaskChannel};

/// The events of one stream. What is safe leaves in the same call; what may become part of a finding waits.
#[derive(Debug)]
pub struct GuardStream {
    case: Box<Case>,
    unmask: Option<Unmask>,
    /// The answer's text is JSON.
    json: bool,
    /// Text may change, so that what repeats it is left out.
    changes: bool,
    choices: SmallMap<u32, State>,
    usage: Option<Usage>,
    shapes: Option<Shapes>,
    /// Something was left out that repeats the text.
    pub left_out: bool,
}

#[derive(Debug, Default)]
struct State {
    open: Option<Open>,
    /// Parts that it has said.
    parts: u32,
    stopped: bool,
    /// Calls that were said, and that were taken out.
    calls: u32,
    out: u32,
}

#[derive(Debug)]
struct Open {
    part: u32,
    says: Says,
    front: Front,
    unmask: Option<UnmaskChannel>,
    /// What came between texts and waits for what stands before it.
    between: Vec<Delta>,
    /// A call whose arguments must be known first.
    held: Option<(ToolCall, Extra)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Text,
    Thinking,
    Refusal,
    Arguments,
    /// Nothing that comes in pieces.
    Nothing,
}

#[derive(Debug)]
enum Front {
    Plain(Channel),
    Json(JsonChannel),
}

impl GuardStream {
    /// `case` has been turned to the answer. `json`: the answer's text is JSON.
    pub fn new(case: Box<Case>, json: bool) -> Self {
        let unmask = case.unmask();
        let changes = case.changes_answers();
        let shapes = Shapes::of(&case);
        let choices = SmallMap::new();
        Self { case, unmask, json, changes, choices, usage: None, shapes, left_out: false }
    }

    pub fn case(&self) -> &Case {
        &self.case
    }

    /// Whether a guard has ended the stream: nothing more is to be read of the upstream.
    pub fn is_over(&self) -> bool {
        self.case.blocked.is_some()
    }

    /// Bytes that wait in all of its texts.
    pub fn held(&self) -> usize {
        self.choices.values().filter_map(|state| state.open.as_ref()).map(Open::waiting).sum()
    }

    pub fn push(&mut self, event: Event, out: &mut Vec<Event>) {
        if self.is_over() {
            return;
        }
        let begin = out.len();
        match event {
            Event::PartStart { choice, part, kind, extra } => self.start(choice, part, kind, extra, out),
            Event::Delta { choice, part, delta } => self.delta(choice, part, delta, out),
            Event::PartStop { choice, part } => self.stop_part(choice, part, out),
            Event::Stop { choice, stop } => {
                let state = self.choices.entry(choice).or_default();
                state.stopped = true;
                let none_left = state.out > 0 && state.calls == 0;
                let stop = if none_left && stop == Stop::ToolUse { Stop::EndTurn } else { stop };
                out.push(Event::Stop { choice, stop });
            }
            Event::Usage(usage) => {
                self.usage = Some(usage);
                out.push(Event::Usage(usage));
            }
            Event::Logprobs { .. } if self.changes => self.left_out = true,
            Event::Foreign { dialect, name, json } => {
                match self.case.whole(json.as_str(), Site::Output, true) {
                    Some(text) => {
                        if let Ok(json) = gatelet_wire::Json::parse(&text) {
                            out.push(Event::Foreign { dialect, name, json });
                        }
                    }
                    None if !self.is_over() => out.push(Event::Foreign { dialect, name, json }),
                    None => {}
                }
            }
            Event::End => {
                self.case.passed();
                out.push(Event::End);
            }
            event @ (Event::Start { .. }
            | Event::Meta { .. }
            | Event::Ping
            | Event::Logprobs { .. }
            | Event::Error(_)) => out.push(event),
        }
        if let Some(shapes) = &mut self.shapes
            && let Some(choice) = shapes.pass(begin, out, &mut self.case)
            && let Some(state) = self.choices.get_mut(&choice)
        {
            // It ends with the refusal.
            state.stopped = false;
        }
        if self.is_over() {
            self.refuse(out);
        }
    }

    fn start(&mut self, choice: u32, part: u32, kind: PartKind, extra: Extra, out: &mut Vec<Event>) {
        let (says, front) = match &kind {
            PartKind::Text if self.json => (Says::Text, Front::Json(JsonChannel::new(Site::Output))),
            PartKind::Text => (Says::Text, Front::Plain(self.case.channel(Site::Output))),
            PartKind::Thinking => (Says::Thinking, Front::Plain(self.case.channel(Site::Output))),
            PartKind::Refusal => (Says::Refusal, Front::Plain(self.case.channel(Site::Output))),
            PartKind::ToolCall { kind: ToolKind::Function, .. } => {
                (Says::Arguments, Front::Json(JsonChannel::new(Site::ToolArguments)))
            }
            PartKind::ToolCall { kind: ToolKind::Custom, .. } => {
                (Says::Arguments, Front::Plain(self.case.channel(Site::ToolArguments)))
            }
            PartKind::RedactedThinking { .. } | PartKind::Whole(_) | PartKind::Foreign { .. } => {
                (Says::Nothing, Front::Plain(self.case.channel(Site::Output)))
            }
        };
        let in_json = matches!(front, Front::Json(_));
        let unmask = self.unmask.as_ref().map(|unmask| unmask.channel(in_json));
        let mut open = Open { part, says, front, unmask, between: Vec::new(), held: None };
        let state = self.choices.entry(choice).or_default();
        state.parts = part + 1;
        let kind = match kind {
            PartKind::ToolCall { id, name, kind } if self.case.has_tool_rules() => {
                match self.case.permit(&name, None) {
                    Some(Fate::Goes) => {
                        state.calls += 1;
                        PartKind::ToolCall { id, name, kind }
                    }
                    Some(Fate::Blocks) => {
                        state.parts = part;
                        return;
                    }
                    Some(Fate::Other(_) | Fate::Out(_)) | None => {
                        open.held = Some((ToolCall { id, name, arguments: String::new(), kind }, extra));
                        state.open = Some(open);
                        return;
                    }
                }
            }
            PartKind::ToolCall { id, name, kind } => {
                state.calls += 1;
                PartKind::ToolCall { id, name, kind }
            }
            PartKind::Foreign { dialect, json } => match self.case.whole(json.as_str(), Site::Output, true) {
                Some(text) => {
                    let json = gatelet_wire::Json::parse(&text).unwrap_or(json);
                    PartKind::Foreign { dialect, json }
                }
                None => PartKind::Foreign { dialect, json },
            },
            PartKind::Whole(content) => self.content(*content),
            kind @ (PartKind::Text
            | PartKind::Thinking
            | PartKind::RedactedThinking { .. }
            | PartKind::Refusal) => kind,
        };
        let state = self.choices.entry(choice).or_default();
        if self.case.blocked.is_some() {
            state.parts = part;
            return;
        }
        state.open = Some(open);
        out.push(Event::PartStart { choice, part, kind, extra });
    }

    /// Content that comes in one piece: an image that nobody can read, a document.
    fn content(&mut self, content: Content) -> PartKind {
        let mut response = Response::default();
        response.choices.push(gatelet_wire::chat::Choice {
            parts: vec![Part::from(content)],
            ..gatelet_wire::chat::Choice::default()
        });
        self.case.response(&mut response, false);
        let parts = response.choices.pop().map(|choice| choice.parts).unwrap_or_default();
        let content = parts.into_iter().next().map(|part| part.content);
        PartKind::Whole(Box::new(content.unwrap_or(Content::Refusal { text: String::new() })))
    }

    fn delta(&mut self, choice: u32, part: u32, delta: Delta, out: &mut Vec<Event>) {
        let Some(open) = self.choices.get_mut(&choice).and_then(|state| state.open.as_mut()) else { return };
        if open.part != part {
            return;
        }
        let says = |text: &Delta| match text {
            Delta::Text(_) => Says::Text,
            Delta::Thinking(_) => Says::Thinking,
            Delta::Refusal(_) => Says::Refusal,
            Delta::Arguments(_) => Says::Arguments,
            Delta::Signature(_) | Delta::Citation(_) => Says::Nothing,
        };
        let what = says(&delta);
        match delta {
            Delta::Arguments(text) if open.held.is_some() => {
                if let Some((call, _)) = &mut open.held {
                    call.arguments.push_str(&text);
                }
            }
            Delta::Text(text) | Delta::Thinking(text) | Delta::Refusal(text) | Delta::Arguments(text) => {
                // A part may say something else than its kind, such as a refusal in its text.
                open.says = what;
                let mut passed = String::new();
                open.push(&text, &mut self.case, &mut passed);
                emit(choice, open, passed, out);
            }
            Delta::Citation(mut citation) => {
                let mut repeats = false;
                for text in [&mut citation.cited_text, &mut citation.title].into_iter().flatten() {
                    if let Some(other) = self.case.whole(text, Site::Output, false) {
                        *text = other;
                        repeats = true;
                    }
                    if let Some(unmask) = &self.unmask {
                        repeats |= unmask.text(text, false);
                    }
                }
                if repeats {
                    citation.raw = None;
                }
                open.between.push(Delta::Citation(citation));
                open.flush(choice, out);
            }
            Delta::Signature(signature) => {
                open.between.push(Delta::Signature(signature));
                open.flush(choice, out);
            }
        }
    }

    fn stop_part(&mut self, choice: u32, part: u32, out: &mut Vec<Event>) {
        let state = self.choices.entry(choice).or_default();
        let Some(mut open) = state.open.take() else { return };
        if let Some((call, extra)) = open.held.take() {
            let words = match self.case.call(&call) {
                Fate::Goes => None,
                Fate::Other(arguments) => {
                    open = self.called(choice, open, ToolCall { arguments, ..call }, extra, out);
                    return self.close(choice, open, out);
                }
                Fate::Out(words) => Some(words),
                Fate::Blocks => {
                    if let Some(state) = self.choices.get_mut(&choice) {
                        state.parts = part;
                    }
                    return;
                }
            };
            match words {
                None => {
                    open = self.called(choice, open, call, extra, out);
                    self.close(choice, open, out);
                }
                Some(text) => {
                    if let Some(state) = self.choices.get_mut(&choice) {
                        state.out += 1;
                    }
                    out.push(Event::PartStart {
                        choice,
                        part,
                        kind: PartKind::Text,
                        extra: Extra::default(),
                    });
                    out.push(Event::Delta { choice, part, delta: Delta::Text(text) });
                    out.push(Event::PartStop { choice, part });
                }
            }
            return;
        }
        self.close(choice, open, out);
    }

    /// A call that waited is said.
    fn called(
        &mut self,
        choice: u32,
        mut open: Open,
        call: ToolCall,
        extra: Extra,
        out: &mut Vec<Event>,
    ) -> Open {
        if let Some(state) = self.choices.get_mut(&choice) {
            state.calls += 1;
        }
        let ToolCall { id, name, arguments, kind } = call;
        let part = open.part;
        out.push(Event::PartStart { choice, part, kind: PartKind::ToolCall { id, name, kind }, extra });
        let mut passed = String::new();
        open.says = Says::Arguments;
        open.push(&arguments, &mut self.case, &mut passed);
        emit(choice, &mut open, passed, out);
        open
    }

    fn close(&mut self, choice: u32, mut open: Open, out: &mut Vec<Event>) {
        if self.case.blocked.is_none() {
            let mut passed = String::new();
            open.finish(&mut self.case, &mut passed);
            emit(choice, &mut open, passed, out);
        }
        if self.case.blocked.is_some() {
            // Its end is said with the refusal.
            if let Some(state) = self.choices.get_mut(&choice) {
                state.open = Some(open);
            }
            return;
        }
        open.all(choice, out);
        out.push(Event::PartStop { choice, part: open.part });
    }

    /// Ends the answer as a model ends one that it refuses to go on with.
    fn refuse(&mut self, out: &mut Vec<Event>) {
        if self.choices.is_empty() {
            self.choices.insert(0, State::default());
        }
        let words = self.case.blocked.as_ref().map(super::Blocked::words).unwrap_or_default();
        for (choice, state) in &mut self.choices {
            let choice = *choice;
            if state.stopped {
                continue;
            }
            match state.open.take() {
                Some(open) if open.held.is_none() => out.push(Event::PartStop { choice, part: open.part }),
                // A call that was never said has no end either.
                Some(open) => state.parts = open.part,
                None => {}
            }
            let part = state.parts;
            out.push(Event::PartStart { choice, part, kind: PartKind::Refusal, extra: Extra::default() });
            out.push(Event::Delta { choice, part, delta: Delta::Refusal(words.clone()) });
            out.push(Event::PartStop { choice, part });
            out.push(Event::Stop { choice, stop: Stop::Refusal });
            state.stopped = true;
        }
        self.case.passed();
        out.push(Event::End);
    }
}

fn emit(choice: u32, open: &mut Open, passed: String, out: &mut Vec<Event>) {
    if !passed.is_empty() {
        let delta = match open.says {
            Says::Text | Says::Nothing => Delta::Text(passed),
            Says::Thinking => Delta::Thinking(passed),
            Says::Refusal => Delta::Refusal(passed),
            Says::Arguments => Delta::Arguments(passed),
        };
        out.push(Event::Delta { choice, part: open.part, delta });
    }
    open.flush(choice, out);
}

impl Open {
    fn waiting(&self) -> usize {
        let front = match &self.front {
            Front::Plain(channel) => channel.held(),
            Front::Json(channel) => channel.held(),
        };
        front
            + self.unmask.as_ref().map_or(0, UnmaskChannel::held)
            + self.held.as_ref().map_or(0, |(call, _)| call.arguments.len())
    }

    fn push(&mut self, text: &str, case: &mut Case, out: &mut String) {
        let mut passed = String::new();
        match &mut self.front {
            Front::Plain(channel) => channel.push(text, case, &mut passed),
            Front::Json(channel) => channel.push(text, case, &mut passed),
        }
        match &mut self.unmask {
            Some(unmask) => unmask.push(&passed, out),
            None => *out = passed,
        }
    }

    fn finish(&mut self, case: &mut Case, out: &mut String) {
        let mut passed = String::new();
        match &mut self.front {
            Front::Plain(channel) => channel.finish(case, &mut passed),
            Front::Json(channel) => channel.finish(case, &mut passed),
        }
        match &mut self.unmask {
            Some(unmask) => {
                unmask.push(&passed, out);
                unmask.finish(out);
            }
            None => *out = passed,
        }
    }

    /// What came between texts leaves when all before it has left.
    fn flush(&mut self, choice: u32, out: &mut Vec<Event>) {
        if self.waiting() == 0 {
            self.all(choice, out);
        }
    }

    fn all(&mut self, choice: u32, out: &mut Vec<Event>) {
        let part = self.part;
        // What proves a text that was changed proves nothing.
        let changed = match &self.front {
            Front::Plain(channel) => channel.changed,
            Front::Json(channel) => channel.changed,
        };
        let between = self.between.drain(..);
        let sound = between.filter(|delta| !(changed && matches!(delta, Delta::Signature(_))));
        out.extend(sound.map(|delta| Event::Delta { choice, part, delta }));
    }
}
