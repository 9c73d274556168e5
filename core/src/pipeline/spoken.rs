//! What a stream has said, as far as another attempt may go on from it; and how that one's words follow.

use gatelet_wire::event::{Delta, PartKind};
use gatelet_wire::{Event, Usage};

/// A text that may be cut off.
#[derive(Debug, Default)]
pub(super) struct Spoken {
    text: String,
    /// Something else was said than one text, or its end was.
    closed: bool,
    /// What attempts before this one have used.
    before: Usage,
    /// White space at the text's end, of which whoever goes on is not told, and which it may say again.
    blank: String,
}

/// A longer text is not gone on with.
const LONGEST: usize = 256 << 10;

impl Spoken {
    pub(super) fn see(&mut self, events: &[Event]) {
        for event in events {
            match event {
                Event::Delta { choice: 0, part: 0, delta: Delta::Text(text) } => {
                    self.closed |= self.text.len() + text.len() > LONGEST;
                    if !self.closed {
                        self.text.push_str(text);
                    }
                }
                Event::PartStart { choice: 0, part: 0, kind: PartKind::Text, .. }
                | Event::Start { .. }
                | Event::Usage(_)
                | Event::Meta { .. }
                | Event::Ping
                | Event::Error(_) => {}
                Event::PartStart { .. }
                | Event::Delta { .. }
                | Event::PartStop { .. }
                | Event::Stop { .. }
                | Event::Logprobs { .. }
                | Event::Foreign { .. }
                | Event::End => self.closed = true,
            }
        }
    }

    /// What was said; none: nobody can go on from it.
    pub(super) fn text(&self) -> Option<&str> {
        Some(self.text.trim_end()).filter(|text| !self.closed && !text.is_empty())
    }

    /// Another attempt goes on.
    pub(super) fn goes_on(&mut self, before: Usage) {
        self.before = before;
        self.text.get(self.text.trim_end().len()..).unwrap_or_default().clone_into(&mut self.blank);
    }

    /// Makes of its events what follows those before: one answer has one beginning, one text, and the usage of all.
    pub(super) fn follow(&mut self, events: &mut Vec<Event>) {
        events.retain_mut(|event| match event {
            Event::Start { .. } | Event::PartStart { choice: 0, part: 0, .. } => false,
            Event::Delta { choice: 0, part: 0, delta: Delta::Text(text) } if !self.blank.is_empty() => {
                let same =
                    text.bytes().zip(self.blank.bytes()).take_while(|(one, other)| one == other).count();
                let same = text.floor_char_boundary(same);
                text.drain(..same);
                self.blank.drain(..same);
                if !text.is_empty() {
                    self.blank.clear();
                }
                !text.is_empty()
            }
            Event::Usage(usage) => {
                usage.add(&self.before);
                true
            }
            Event::PartStart { .. }
            | Event::Delta { .. }
            | Event::PartStop { .. }
            | Event::Stop { .. }
            | Event::Meta { .. }
            | Event::Ping
            | Event::Logprobs { .. }
            | Event::Foreign { .. }
            | Event::Error(_)
            | Event::End => true,
        });
        self.see(events);
    }
}
