//! The parts of one choice, put into the order that events need: one open at a time.
//!
//! This dialect has no parts: text, thoughts and calls are fields that grow side by side, and calls may grow in turns.
//! Whatever grows while another part is open waits in a queue. A call is closed early only when its arguments are a whole
//! object (nothing can follow that) and something else waits; all others when the choice is over.

use std::collections::VecDeque;

use serde_json::value::RawValue;

use super::calls::{Call, Calls};
use super::chunk::{CallDelta, FunctionDelta};
use crate::Malformed;
use crate::chat::{Citation, Extra, ToolKind};
use crate::event::{Delta, Event, PartKind};
use crate::json::string;

#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) choice: u32,
    /// The number of the next part that opens.
    next: u32,
    /// The part that is open, or will be as soon as it can, and those that wait behind it.
    queue: VecDeque<Waiting>,
    open: bool,
    pub(super) calls: Calls,
}

#[derive(Debug)]
enum Waiting {
    Run(Run, Vec<Delta>),
    Call(usize),
    Whole(PartKind),
}

/// Kinds of parts that are runs of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Run {
    Text,
    Thinking,
    Refusal,
}

impl Run {
    fn kind(self) -> PartKind {
        match self {
            Self::Text => PartKind::Text,
            Self::Thinking => PartKind::Thinking,
            Self::Refusal => PartKind::Refusal,
        }
    }

    fn delta(self, text: String) -> Delta {
        match self {
            Self::Text => Delta::Text(text),
            Self::Thinking => Delta::Thinking(text),
            Self::Refusal => Delta::Refusal(text),
        }
    }
}

impl Parts {
    pub(super) fn new(choice: u32) -> Self {
        Self { choice, ..Self::default() }
    }

    /// More text of a run.
    pub(super) fn run(&mut self, run: Run, text: &str, out: &mut Vec<Event>) {
        if !text.is_empty() {
            self.grow(run, run.delta(text.to_owned()), out);
        }
    }

    pub(super) fn signature(&mut self, signature: &str, out: &mut Vec<Event>) {
        self.grow(Run::Thinking, Delta::Signature(signature.to_owned()), out);
    }

    pub(super) fn citation(&mut self, citation: Citation, out: &mut Vec<Event>) {
        self.grow(Run::Text, Delta::Citation(Box::new(citation)), out);
    }

    /// A part that comes in one piece.
    pub(super) fn whole(&mut self, kind: PartKind, out: &mut Vec<Event>) {
        self.queue.push_back(Waiting::Whole(kind));
        self.advance(out);
    }

    /// Whether the last part is a run of this kind.
    pub(super) fn is_last(&self, run: Run) -> bool {
        matches!(self.queue.back(), Some(Waiting::Run(last, _)) if *last == run)
    }

    fn grow(&mut self, run: Run, delta: Delta, out: &mut Vec<Event>) {
        let alone = self.queue.len() == 1;
        match self.queue.back_mut() {
            Some(Waiting::Run(last, held)) if *last == run => {
                if alone && self.open {
                    out.push(Event::Delta { choice: self.choice, part: self.next - 1, delta });
                    return;
                }
                held.push(delta);
            }
            _ => self.queue.push_back(Waiting::Run(run, vec![delta])),
        }
        self.advance(out);
    }

    /// A fragment of a call; `seed` makes ids where the upstream gives none.
    ///
    /// # Errors
    /// The call goes on after its arguments were whole, or there are too many calls.
    pub(super) fn call(
        &mut self,
        delta: &CallDelta<'_>,
        seed: &str,
        out: &mut Vec<Event>,
    ) -> Result<(), Malformed> {
        let known = self.calls.len();
        let at = self.calls.find_or_add(delta, seed, self.choice)?;
        if at == known {
            self.queue.push_back(Waiting::Call(at));
        }
        let (function, kind) = match (&delta.custom, &delta.function) {
            (Some(custom), _) => (Some(custom), ToolKind::Custom),
            (None, function) => (function.as_ref(), ToolKind::Function),
        };
        let Some(call) = self.calls.get_mut(at) else { return Ok(()) };
        if let Some(function) = function {
            fill(call, function, kind, self.choice)?;
        }
        if self.open && matches!(self.queue.front(), Some(Waiting::Call(front)) if *front == at) {
            let part = self.next - 1;
            out.extend(call.fresh().map(|delta| Event::Delta { choice: self.choice, part, delta }));
        }
        self.advance(out);
        Ok(())
    }

    /// The choice is over: everything that waits comes out.
    ///
    /// # Errors
    /// A call never got its name.
    pub(super) fn finish(&mut self, out: &mut Vec<Event>) -> Result<(), Malformed> {
        self.advance(out);
        while !self.queue.is_empty() {
            if !self.open {
                let path = format!("choices[{}].delta.tool_calls[].function.name", self.choice);
                return Err(Malformed::field(path, "a name"));
            }
            self.close(out);
            self.advance(out);
        }
        Ok(())
    }

    /// Opens what can be opened and closes what can be closed.
    fn advance(&mut self, out: &mut Vec<Event>) {
        while let Some(front) = self.queue.front_mut() {
            if !self.open && !open(front, &mut self.calls, self.choice, self.next, out) {
                return;
            }
            if !self.open {
                self.open = true;
                self.next += 1;
            }
            let closes = match self.queue.front() {
                Some(Waiting::Whole(_)) => true,
                Some(Waiting::Call(at)) => self.queue.len() > 1 && self.calls.is_whole(*at),
                Some(Waiting::Run(..)) => self.queue.len() > 1,
                None => false,
            };
            if !closes {
                return;
            }
            self.close(out);
        }
    }

    fn close(&mut self, out: &mut Vec<Event>) {
        let (choice, part) = (self.choice, self.next.saturating_sub(1));
        if let Some(Waiting::Call(at)) = self.queue.pop_front()
            && let Some(delta) = self.calls.get_mut(at).and_then(Call::last)
        {
            out.push(Event::Delta { choice, part, delta });
        }
        self.open = false;
        out.push(Event::PartStop { choice, part });
    }
}

/// Opens a part with what it holds so far; false if it cannot be opened yet.
fn open(waiting: &mut Waiting, calls: &mut Calls, choice: u32, part: u32, out: &mut Vec<Event>) -> bool {
    let mut start = |kind| out.push(Event::PartStart { choice, part, kind, extra: Extra::default() });
    match waiting {
        Waiting::Whole(kind) => start(kind.clone()),
        Waiting::Run(run, held) => {
            start(run.kind());
            out.extend(std::mem::take(held).into_iter().map(|delta| Event::Delta { choice, part, delta }));
        }
        Waiting::Call(at) => {
            let Some(call) = calls.get_mut(*at).filter(|call| !call.name.is_empty()) else { return false };
            start(PartKind::ToolCall { id: call.id.clone(), name: call.name.clone(), kind: call.kind });
            out.extend(call.fresh().map(|delta| Event::Delta { choice, part, delta }));
        }
    }
    true
}

fn fill(call: &mut Call, function: &FunctionDelta<'_>, kind: ToolKind, choice: u32) -> Result<(), Malformed> {
    if let Some(name) = function.name.text()
        && call.name.is_empty()
    {
        name.clone_into(&mut call.name);
    }
    if kind == ToolKind::Custom {
        call.kind = ToolKind::Custom;
        return call.add(function.input.text().unwrap_or_default(), choice);
    }
    match function.arguments.map(|raw| (raw, string(raw))) {
        None => Ok(()),
        Some((_, Some(text))) => call.add(&text, choice),
        Some((raw, None)) => call.add(object_text(raw), choice),
    }
}

/// Arguments that are no string: an object as its own text.
fn object_text(raw: &RawValue) -> &str {
    if raw.get() == "null" { "" } else { raw.get() }
}
