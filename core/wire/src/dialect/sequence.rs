//! The parts of an answer that come one after the other, for dialects whose streams never interleave them.

use crate::chat::Extra;
use crate::event::{Delta, Event, PartKind};

/// Opens and closes parts, so that exactly one is open at a time.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    /// The number of the next part that opens.
    next: u32,
    open: Option<Run>,
    /// The open part has said nothing yet.
    silent: bool,
}

/// What kind of part is open. A dialect may tell two kinds of thoughts apart that are one to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Run {
    Text,
    Thinking,
    /// Thoughts that lead to calls of tools.
    Plan,
    Call,
}

impl Sequence {
    pub(super) fn is_open(&self, run: Run) -> bool {
        self.open == Some(run)
    }

    /// Opens a run of text or thoughts, closing what was open before it.
    pub(super) fn open(&mut self, run: Run, out: &mut Vec<Event>) {
        let kind = match run {
            Run::Text => PartKind::Text,
            Run::Thinking | Run::Plan | Run::Call => PartKind::Thinking,
        };
        self.start(Some(run), kind, out);
    }

    pub(super) fn call(&mut self, kind: PartKind, out: &mut Vec<Event>) {
        self.start(Some(Run::Call), kind, out);
    }

    /// A part that comes in one piece.
    pub(super) fn whole(&mut self, kind: PartKind, out: &mut Vec<Event>) {
        self.start(None, kind, out);
        out.push(Event::PartStop { choice: 0, part: self.next - 1 });
    }

    fn start(&mut self, run: Option<Run>, kind: PartKind, out: &mut Vec<Event>) {
        self.close(out);
        self.open = run;
        self.silent = true;
        out.push(Event::PartStart { choice: 0, part: self.next, kind, extra: Extra::default() });
        self.next += 1;
    }

    /// More of the open part.
    pub(super) fn delta(&mut self, delta: Delta, out: &mut Vec<Event>) {
        if self.open.is_some() {
            self.silent = false;
            out.push(Event::Delta { choice: 0, part: self.next - 1, delta });
        }
    }

    /// More of a run, which opens if it is not the one that is open. No words open nothing.
    pub(super) fn grow(&mut self, run: Run, text: &str, out: &mut Vec<Event>) {
        if text.is_empty() {
            return;
        }
        if !self.is_open(run) {
            self.open(run, out);
        }
        let text = text.to_owned();
        self.delta(if run == Run::Text { Delta::Text(text) } else { Delta::Thinking(text) }, out);
    }

    /// Closes what is open; a call without arguments has none, which is an empty object.
    pub(super) fn close(&mut self, out: &mut Vec<Event>) {
        if self.is_open(Run::Call) && self.silent {
            self.delta(Delta::Arguments("{}".to_owned()), out);
        }
        if self.open.take().is_some() {
            out.push(Event::PartStop { choice: 0, part: self.next - 1 });
        }
    }
}
