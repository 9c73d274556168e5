//! Events as bytes: an answer that is kept, to be said again in any dialect.
//!
//! A tape is read back only by the version that is named in front of it, and to its last byte: whatever else is none.

use crate::canon::kind_of;
use crate::chat::{Citation, Content, Extra, Source, Stop, ToolKind};
use crate::event::{Delta, Event, PartKind};
use crate::{DialectId, Json, Usage};

const VERSION: u8 = 1;
/// Pieces of one part are put together until they have so many bytes.
const PIECE: usize = 256;

/// Records the events of one answer.
#[derive(Clone, Debug)]
pub struct Tape {
    bytes: Vec<u8>,
    /// What may still grow: the last delta.
    open: Option<(u32, u32, Delta)>,
    /// A longer one is not kept.
    most: usize,
    unfit: bool,
}

impl Tape {
    /// A tape of at most so many bytes.
    pub fn new(most: usize) -> Self {
        Self { bytes: vec![VERSION], open: None, most, unfit: false }
    }

    /// Takes down one event. What only keeps a connection alive is not an answer's.
    pub fn push(&mut self, event: &Event) {
        if self.unfit || self.bytes.len() > self.most {
            *self = Self { unfit: true, ..Self::new(self.most) };
            return;
        }
        if let Event::Delta { choice, part, delta } = event {
            if let Some((at, of, open)) = &mut self.open
                && (*at, *of) == (*choice, *part)
                && joined(open, delta)
            {
                return;
            }
            self.shut();
            self.open = Some((*choice, *part, delta.clone()));
            return;
        }
        self.shut();
        self.write(event);
    }

    /// The whole tape. None: there was something on it that cannot be kept.
    pub fn finish(mut self) -> Option<Vec<u8>> {
        self.shut();
        (!self.unfit && self.bytes.len() <= self.most).then_some(self.bytes)
    }

    fn shut(&mut self) {
        let Some((choice, part, delta)) = self.open.take() else { return };
        self.write(&Event::Delta { choice, part, delta });
    }

    fn write(&mut self, event: &Event) {
        match event {
            Event::Start { id, model, created } => {
                self.tag(0);
                self.text(id);
                self.text(model);
                self.maybe(created.map(|seconds| seconds.to_string()).as_deref());
            }
            Event::PartStart { choice, part, kind, extra } => {
                self.place(1, *choice, *part);
                self.kind(kind);
                self.extra(extra);
            }
            Event::Delta { choice, part, delta } => {
                self.place(2, *choice, *part);
                self.delta(delta);
            }
            Event::PartStop { choice, part } => self.place(3, *choice, *part),
            Event::Stop { choice, stop } => {
                self.place(4, *choice, 0);
                self.stop(stop);
            }
            Event::Usage(usage) => {
                self.tag(5);
                self.json(&Json::of(usage));
            }
            Event::Meta { service_tier, extra } => {
                self.tag(6);
                self.maybe(service_tier.as_deref());
                self.extra(extra);
            }
            Event::Logprobs { choice, json } => {
                self.place(7, *choice, 0);
                self.json(json);
            }
            Event::Foreign { dialect, name, json } => {
                self.tag(8);
                self.dialect(*dialect);
                self.maybe(name.as_deref());
                self.json(json);
            }
            Event::End => self.tag(9),
            Event::Ping => {}
            Event::Error(_) => self.unfit = true,
        }
    }

    fn kind(&mut self, kind: &PartKind) {
        match kind {
            PartKind::Text => self.tag(0),
            PartKind::Thinking => self.tag(1),
            PartKind::RedactedThinking { data } => {
                self.tag(2);
                self.text(data);
            }
            PartKind::ToolCall { id, name, kind } => {
                self.tag(3);
                self.text(id);
                self.text(name);
                self.tag(kind_of(*kind));
            }
            PartKind::Refusal => self.tag(4),
            PartKind::Foreign { dialect, json } => {
                self.tag(5);
                self.dialect(*dialect);
                self.json(json);
            }
            PartKind::Whole(content) => match &**content {
                Content::Image { source, detail } => {
                    self.tag(6);
                    self.source(source);
                    self.maybe(detail.as_deref());
                }
                Content::Audio { source, format } => {
                    self.tag(7);
                    self.source(source);
                    self.maybe(format.as_deref());
                }
                Content::Document { source, title, context, citations } => {
                    self.tag(8);
                    self.source(source);
                    self.maybe(title.as_deref());
                    self.maybe(context.as_deref());
                    self.tag(u8::from(*citations));
                }
                // Answers have none of these in one piece.
                Content::Text { .. }
                | Content::ToolCall(_)
                | Content::ToolResult(_)
                | Content::Thinking { .. }
                | Content::RedactedThinking { .. }
                | Content::Refusal { .. }
                | Content::Foreign { .. } => self.unfit = true,
            },
        }
    }

    fn delta(&mut self, delta: &Delta) {
        match delta {
            Delta::Text(text) => self.said(0, text),
            Delta::Thinking(text) => self.said(1, text),
            Delta::Signature(text) => self.said(2, text),
            Delta::Arguments(text) => self.said(3, text),
            Delta::Refusal(text) => self.said(4, text),
            Delta::Citation(citation) => {
                let Citation { url, title, cited_text, start, end, raw } = &**citation;
                self.tag(5);
                for said in [url, title, cited_text] {
                    self.maybe(said.as_deref());
                }
                for place in [start, end] {
                    self.maybe(place.map(|place| place.to_string()).as_deref());
                }
                self.tag(u8::from(raw.is_some()));
                if let Some((dialect, json)) = raw {
                    self.dialect(*dialect);
                    self.json(json);
                }
            }
        }
    }

    fn stop(&mut self, stop: &Stop) {
        match stop {
            Stop::EndTurn => self.tag(0),
            Stop::Sequence(sequence) => {
                self.tag(1);
                self.maybe(sequence.as_deref());
            }
            Stop::MaxTokens => self.tag(2),
            Stop::ContextWindow => self.tag(3),
            Stop::ToolUse => self.tag(4),
            Stop::Refusal => self.tag(5),
            Stop::Pause => self.tag(6),
            Stop::Other(reason) => self.said(7, reason),
        }
    }

    fn source(&mut self, source: &Source) {
        match source {
            Source::Base64 { media_type, data } => {
                self.said(0, media_type);
                self.text(data);
            }
            Source::Url(url) => self.said(1, url),
            Source::File(id) => self.said(2, id),
            Source::Text { media_type, text } => {
                self.said(3, media_type);
                self.text(text);
            }
        }
    }

    fn extra(&mut self, extra: &Extra) {
        let fields = extra.dialect.map_or(&[][..], |dialect| {
            self.tag(1);
            self.dialect(dialect);
            &extra.fields
        });
        if extra.dialect.is_none() {
            self.tag(0);
        }
        self.length(fields.len());
        for (name, json) in fields {
            self.text(name);
            self.json(json);
        }
    }

    fn said(&mut self, tag: u8, text: &str) {
        self.tag(tag);
        self.text(text);
    }

    fn place(&mut self, tag: u8, choice: u32, part: u32) {
        self.tag(tag);
        self.bytes.extend_from_slice(&choice.to_le_bytes());
        self.bytes.extend_from_slice(&part.to_le_bytes());
    }

    fn dialect(&mut self, dialect: DialectId) {
        self.text(dialect.name());
    }

    fn json(&mut self, json: &Json) {
        self.text(json.as_str());
    }

    fn maybe(&mut self, text: Option<&str>) {
        self.tag(u8::from(text.is_some()));
        if let Some(text) = text {
            self.text(text);
        }
    }

    fn text(&mut self, text: &str) {
        self.length(text.len());
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn length(&mut self, length: usize) {
        match u32::try_from(length) {
            Ok(length) => self.bytes.extend_from_slice(&length.to_le_bytes()),
            Err(_) => self.unfit = true,
        }
    }

    fn tag(&mut self, tag: u8) {
        self.bytes.push(tag);
    }
}

/// Whether `more` went into what is open.
fn joined(open: &mut Delta, more: &Delta) -> bool {
    match (open, more) {
        (Delta::Text(text), Delta::Text(more))
        | (Delta::Thinking(text), Delta::Thinking(more))
        | (Delta::Signature(text), Delta::Signature(more))
        | (Delta::Arguments(text), Delta::Arguments(more))
        | (Delta::Refusal(text), Delta::Refusal(more))
            if text.len() < PIECE =>
        {
            text.push_str(more);
            true
        }
        _ => false,
    }
}

/// The events on a tape. None: it is none of ours, or is not whole.
pub fn read(tape: &[u8]) -> Option<Vec<Event>> {
    let mut reader = Reader { rest: tape };
    if reader.tag()? != VERSION {
        return None;
    }
    let mut events = Vec::new();
    while !reader.rest.is_empty() {
        events.push(reader.event()?);
    }
    matches!(events.last(), Some(Event::End)).then_some(events)
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn event(&mut self) -> Option<Event> {
        Some(match self.tag()? {
            0 => Event::Start { id: self.owned()?, model: self.owned()?, created: self.count()? },
            1 => {
                let (choice, part) = self.place()?;
                Event::PartStart { choice, part, kind: self.kind()?, extra: self.extra()? }
            }
            2 => {
                let (choice, part) = self.place()?;
                Event::Delta { choice, part, delta: self.delta()? }
            }
            3 => {
                let (choice, part) = self.place()?;
                Event::PartStop { choice, part }
            }
            4 => Event::Stop { choice: self.place()?.0, stop: self.stop()? },
            5 => Event::Usage(crate::json::from_str::<Usage>(self.text()?).ok()?),
            6 => Event::Meta { service_tier: self.maybe()?, extra: self.extra()? },
            7 => Event::Logprobs { choice: self.place()?.0, json: self.json()? },
            8 => Event::Foreign { dialect: self.dialect()?, name: self.maybe()?, json: self.json()? },
            9 => Event::End,
            _ => return None,
        })
    }

    fn kind(&mut self) -> Option<PartKind> {
        Some(match self.tag()? {
            0 => PartKind::Text,
            1 => PartKind::Thinking,
            2 => PartKind::RedactedThinking { data: self.owned()? },
            3 => PartKind::ToolCall { id: self.owned()?, name: self.owned()?, kind: self.tool_kind()? },
            4 => PartKind::Refusal,
            5 => PartKind::Foreign { dialect: self.dialect()?, json: self.json()? },
            6 => PartKind::Whole(Box::new(Content::Image { source: self.source()?, detail: self.maybe()? })),
            7 => PartKind::Whole(Box::new(Content::Audio { source: self.source()?, format: self.maybe()? })),
            8 => PartKind::Whole(Box::new(Content::Document {
                source: self.source()?,
                title: self.maybe()?,
                context: self.maybe()?,
                citations: self.tag()? == 1,
            })),
            _ => return None,
        })
    }

    fn tool_kind(&mut self) -> Option<ToolKind> {
        [ToolKind::Function, ToolKind::Custom].get(usize::from(self.tag()?)).copied()
    }

    fn delta(&mut self) -> Option<Delta> {
        Some(match self.tag()? {
            0 => Delta::Text(self.owned()?),
            1 => Delta::Thinking(self.owned()?),
            2 => Delta::Signature(self.owned()?),
            3 => Delta::Arguments(self.owned()?),
            4 => Delta::Refusal(self.owned()?),
            5 => Delta::Citation(Box::new(Citation {
                url: self.maybe()?,
                title: self.maybe()?,
                cited_text: self.maybe()?,
                start: self.count()?,
                end: self.count()?,
                raw: match self.tag()? {
                    0 => None,
                    _ => Some((self.dialect()?, self.json()?)),
                },
            })),
            _ => return None,
        })
    }

    fn stop(&mut self) -> Option<Stop> {
        Some(match self.tag()? {
            0 => Stop::EndTurn,
            1 => Stop::Sequence(self.maybe()?),
            2 => Stop::MaxTokens,
            3 => Stop::ContextWindow,
            4 => Stop::ToolUse,
            5 => Stop::Refusal,
            6 => Stop::Pause,
            7 => Stop::Other(self.owned()?),
            _ => return None,
        })
    }

    fn source(&mut self) -> Option<Source> {
        Some(match self.tag()? {
            0 => Source::Base64 { media_type: self.owned()?, data: self.owned()? },
            1 => Source::Url(self.owned()?),
            2 => Source::File(self.owned()?),
            3 => Source::Text { media_type: self.owned()?, text: self.owned()? },
            _ => return None,
        })
    }

    fn extra(&mut self) -> Option<Extra> {
        let dialect = match self.tag()? {
            0 => None,
            _ => Some(self.dialect()?),
        };
        let mut fields = Vec::new();
        for _ in 0..self.length()? {
            fields.push((self.owned()?, self.json()?));
        }
        Some(Extra { dialect, fields })
    }

    fn place(&mut self) -> Option<(u32, u32)> {
        Some((self.word()?, self.word()?))
    }

    fn dialect(&mut self) -> Option<DialectId> {
        let name = self.text()?;
        DialectId::ALL.iter().copied().find(|dialect| dialect.name() == name)
    }

    fn json(&mut self) -> Option<Json> {
        Json::parse(self.text()?).ok()
    }

    #[expect(
        clippy::option_option,
        reason = "none: the tape is wrong; some none: it says that there is nothing"
    )]
    fn count(&mut self) -> Option<Option<u64>> {
        Some(match self.maybe()? {
            Some(text) => Some(text.parse().ok()?),
            None => None,
        })
    }

    #[expect(
        clippy::option_option,
        reason = "none: the tape is wrong; some none: it says that there is nothing"
    )]
    fn maybe(&mut self) -> Option<Option<String>> {
        Some(match self.tag()? {
            0 => None,
            _ => Some(self.owned()?),
        })
    }

    fn owned(&mut self) -> Option<String> {
        self.text().map(str::to_owned)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.word()?).ok()?;
        let (text, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        std::str::from_utf8(text).ok()
    }

    /// How many of something follow: never more than there are bytes.
    fn length(&mut self) -> Option<usize> {
        usize::try_from(self.word()?).ok().filter(|length| *length <= self.rest.len())
    }

    fn word(&mut self) -> Option<u32> {
        let (word, rest) = self.rest.split_first_chunk::<4>()?;
        self.rest = rest;
        Some(u32::from_le_bytes(*word))
    }

    fn tag(&mut self) -> Option<u8> {
        let (tag, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*tag)
    }
}
