//! Words that stand for values become the values again, for the caller alone.

use std::sync::Arc;

use gatelet_wire::SmallMap;
use gatelet_wire::sort::sort_by;

use super::json::escape;
use super::scan::{Scanner, Span};
use super::words::{WordMachine, WordRules, Words};

/// What stands for what in one conversation.
#[derive(Clone, Debug)]
pub(super) struct Unmask {
    words: Words,
    values: Arc<SmallMap<Box<str>, Box<str>>>,
}

impl Unmask {
    pub(super) fn of(values: SmallMap<Box<str>, Box<str>>) -> Self {
        let rules = WordRules { folds: false, whole: false };
        Self { words: Words::new(values.keys().map(|word| &**word), rules), values: Arc::new(values) }
    }

    /// Of one text; in JSON, values are written as they stand in strings.
    pub(super) fn channel(&self, in_json: bool) -> UnmaskChannel {
        UnmaskChannel {
            machine: self.words.machine(),
            values: self.values.clone(),
            pending: String::new(),
            base: 0,
            found: Vec::new(),
            in_json,
            changed: false,
        }
    }

    /// A text that is there whole; whether anything in it stood for something.
    pub(super) fn text(&self, text: &mut String, in_json: bool) -> bool {
        let mut channel = self.channel(in_json);
        let mut out = String::with_capacity(text.len());
        channel.push(text, &mut out);
        channel.finish(&mut out);
        if channel.changed {
            *text = out;
        }
        channel.changed
    }
}

/// One text in which it happens: only what may be the beginning of such a word waits.
#[derive(Debug)]
pub(super) struct UnmaskChannel {
    machine: WordMachine,
    values: Arc<SmallMap<Box<str>, Box<str>>>,
    pending: String,
    base: usize,
    found: Vec<Span>,
    in_json: bool,
    changed: bool,
}

impl UnmaskChannel {
    pub(super) fn held(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn push(&mut self, text: &str, out: &mut String) {
        self.pending.push_str(text);
        self.machine.push(text, &mut self.found);
        let settled = self.machine.settled();
        self.pass(settled, out);
    }

    pub(super) fn finish(&mut self, out: &mut String) {
        self.machine.finish(&mut self.found);
        self.pass(usize::MAX, out);
    }

    fn pass(&mut self, settled: usize, out: &mut String) {
        let mut found = std::mem::take(&mut self.found);
        sort_by(&mut found, |one, other| (one.start, other.end).cmp(&(other.start, one.end)));
        for span in found {
            if span.start >= settled {
                self.found.push(span);
                continue;
            }
            if span.start < self.base {
                continue;
            }
            self.leave(span.start, out);
            let length = span.end - span.start;
            let value = self.pending.get(..length).and_then(|word| self.values.get(word));
            let Some(value) = value.cloned() else { continue };
            if self.in_json {
                escape(&value, out);
            } else {
                out.push_str(&value);
            }
            self.pending.drain(..length);
            self.base = span.end;
            self.changed = true;
        }
        self.leave(settled, out);
    }

    fn leave(&mut self, upto: usize, out: &mut String) {
        let length = upto.saturating_sub(self.base).min(self.pending.len());
        out.push_str(self.pending.get(..length).unwrap_or_default());
        self.pending.drain(..length);
        self.base += length;
    }
}
