//! The parts of an answer in the order that events need: one open at a time.
//!
//! Items of this dialect may grow in turns, though its vendor's do not. What grows while another part is open waits.

use std::collections::VecDeque;

use crate::chat::Extra;
use crate::event::{Delta, Event, PartKind};

/// Where a part stands in its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The item's `output_index`.
    pub(super) item: u64,
    /// The part's `content_index`, for items that have several.
    pub(super) part: u64,
}

impl Place {
    pub(super) fn item(item: u64) -> Self {
        Self { item, part: 0 }
    }
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Waiting>,
    /// The first of those that wait is open.
    open: bool,
    /// The number of the next part that opens.
    next: u32,
    /// There was a call of a tool.
    pub(super) calls: bool,
    /// Where something was said, and is done.
    past: Vec<Place>,
}

#[derive(Debug)]
struct Waiting {
    place: Place,
    /// None while nobody knows what it will be: it holds the place.
    kind: Option<PartKind>,
    extra: Extra,
    held: Vec<Delta>,
    /// Something was said in it.
    said: bool,
    done: bool,
}

impl Waiting {
    /// Whether a delta is one of this part's kind: an upstream may name the wrong item.
    fn takes(&self, delta: &Delta) -> bool {
        match delta {
            Delta::Text(_) | Delta::Citation(_) => matches!(self.kind, Some(PartKind::Text)),
            Delta::Thinking(_) | Delta::Signature(_) => matches!(self.kind, Some(PartKind::Thinking)),
            Delta::Arguments(_) => matches!(self.kind, Some(PartKind::ToolCall { .. })),
            Delta::Refusal(_) => matches!(self.kind, Some(PartKind::Refusal)),
        }
    }
}

impl Queue {
    fn find(&mut self, place: Place) -> Option<&mut Waiting> {
        self.waiting.iter_mut().rev().find(|waiting| waiting.place == place)
    }

    /// Holds the place of an item that is known later.
    pub(super) fn hold(&mut self, place: Place) {
        self.add(place, None, Extra::default());
    }

    /// A part begins, or what holds its place becomes one. One that has begun goes on.
    pub(super) fn begin(&mut self, place: Place, kind: PartKind, extra: Extra, out: &mut Vec<Event>) {
        let past = self.is_past(place);
        match self.find(place) {
            Some(waiting) if waiting.kind.is_none() => (waiting.kind, waiting.extra) = (Some(kind), extra),
            Some(_) => return,
            None if past => return,
            None => self.add(place, Some(kind), extra),
        }
        self.advance(out);
    }

    fn add(&mut self, place: Place, kind: Option<PartKind>, extra: Extra) {
        self.waiting.push_back(Waiting { place, kind, extra, held: Vec::new(), said: false, done: false });
    }

    /// More of a part that has begun.
    pub(super) fn grow(&mut self, place: Place, delta: Delta, out: &mut Vec<Event>) {
        let front = self.open.then(|| self.waiting.front_mut()).flatten();
        if let Some(front) = front.filter(|front| front.place == place) {
            if front.takes(&delta) {
                front.said = true;
                out.push(Event::Delta { choice: 0, part: self.next - 1, delta });
            }
        } else if let Some(waiting) = self.find(place).filter(|waiting| waiting.takes(&delta)) {
            waiting.said = true;
            waiting.held.push(delta);
        }
    }

    /// Whether anything was said in a part that has begun and is not done.
    pub(super) fn said(&mut self, place: Place) -> Option<bool> {
        self.find(place).filter(|waiting| waiting.kind.is_some()).map(|waiting| waiting.said)
    }

    /// Whether this part was here and is done.
    pub(super) fn is_past(&self, place: Place) -> bool {
        self.past.contains(&place)
    }

    /// Nothing will be added to this part; a place that was only held is given up.
    pub(super) fn done(&mut self, place: Place, out: &mut Vec<Event>) {
        if let Some(waiting) = self.find(place) {
            waiting.done = true;
        }
        self.advance(out);
    }

    /// Nothing will be added to any part of an item.
    pub(super) fn item_done(&mut self, item: u64, out: &mut Vec<Event>) {
        for waiting in self.waiting.iter_mut().filter(|waiting| waiting.place.item == item) {
            waiting.done = true;
        }
        self.advance(out);
    }

    /// Everything that waits comes out.
    pub(super) fn finish(&mut self, out: &mut Vec<Event>) {
        for waiting in &mut self.waiting {
            waiting.done = true;
        }
        self.advance(out);
    }

    fn advance(&mut self, out: &mut Vec<Event>) {
        while let Some(front) = self.waiting.front_mut() {
            if !self.open {
                match front.kind.clone() {
                    Some(kind) => {
                        let (part, extra) = (self.next, std::mem::take(&mut front.extra));
                        self.calls |= matches!(kind, PartKind::ToolCall { .. });
                        out.push(Event::PartStart { choice: 0, part, kind, extra });
                        let held = std::mem::take(&mut front.held);
                        out.extend(held.into_iter().map(|delta| Event::Delta { choice: 0, part, delta }));
                        self.open = true;
                        self.next += 1;
                    }
                    None if front.done => {
                        self.waiting.pop_front();
                        continue;
                    }
                    None => return,
                }
            }
            if !self.waiting.front().is_some_and(|front| front.done) {
                return;
            }
            self.past.extend(self.waiting.pop_front().map(|past| past.place));
            self.open = false;
            out.push(Event::PartStop { choice: 0, part: self.next - 1 });
        }
    }
}
