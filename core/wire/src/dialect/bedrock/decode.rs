//! Streams of this dialect, read.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use crate::chat::{Content, Extra, Source, ToolKind};
use crate::event::{Delta, Event, PartKind};
use crate::fold::settled_stop;
use crate::frame::{Frame, eventstream};
use crate::object::{Object, object};
use crate::source::decoded;
use crate::{Decoder, Json, Malformed, Usage};

use super::block::read_citation;
use super::fields::written;
use super::media::Kind as Media;
use super::response::{beside, counted};
use super::{HERE, error, stop};

/// Reads one stream. The metadata, with the usage, comes after the reason to stop; only then the answer has ended.
#[derive(Debug, Default)]
pub(super) struct StreamDecoder {
    phase: Phase,
    parts: u32,
    calls: bool,
    open: Option<Open>,
}

/// How far the stream has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    #[default]
    Before,
    Content,
    /// The reason to stop was said.
    Stopped,
    Ended,
}

/// The block that is open.
#[derive(Debug)]
struct Open {
    /// As the upstream counts.
    index: u64,
    part: u32,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Text,
    Thinking,
    /// Gathered until it is whole: base64 that came in pieces.
    Redacted(String),
    Image {
        format: String,
        bytes: Vec<u8>,
    },
    /// A call, and whether any fragment of its input came.
    Call {
        fragments: bool,
    },
    /// A call or a result of the provider's own tools: held until it is whole.
    Own {
        /// `toolUse` or `toolResult`.
        key: &'static str,
        head: Vec<(String, Json)>,
        input: String,
        content: Vec<Json>,
    },
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Started<'a> {
    #[serde(default)]
    content_block_index: u64,
    #[serde(borrow, default)]
    start: Option<&'a RawValue>,
}

/// Nearly all events of a stream are one of these.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockDelta<'a> {
    #[serde(default)]
    content_block_index: u64,
    #[serde(borrow)]
    delta: Said<'a>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Said<'a> {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    tool_use: Option<Fragment>,
    #[serde(borrow, default)]
    tool_result: Option<Vec<&'a RawValue>>,
    #[serde(default)]
    reasoning_content: Option<Thought>,
    #[serde(borrow, default)]
    citation: Option<&'a RawValue>,
    #[serde(borrow, default)]
    image: Option<Picture<'a>>,
}

#[derive(serde::Deserialize)]
struct Fragment {
    #[serde(default)]
    input: String,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Thought {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    signature: Option<String>,
    #[serde(default)]
    redacted_content: Option<String>,
}

#[derive(serde::Deserialize)]
struct Picture<'a> {
    #[serde(borrow, default)]
    source: Option<Bytes<'a>>,
}

#[derive(serde::Deserialize)]
struct Bytes<'a> {
    #[serde(borrow, default)]
    bytes: Cow<'a, str>,
}

impl Decoder for StreamDecoder {
    fn push(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) -> Result<(), Malformed> {
        if self.phase == Phase::Ended {
            return Ok(());
        }
        let data = crate::json::text(frame.data.as_bytes())?;
        match frame.name.unwrap_or_default() {
            "contentBlockDelta" => self.delta(data, frame, out),
            "contentBlockStart" => self.start_block(data, frame, out),
            "contentBlockStop" => {
                self.close(out);
                Ok(())
            }
            "messageStart" => {
                parsed::<serde::de::IgnoredAny>(data)?;
                self.ensure_started(out);
                Ok(())
            }
            "messageStop" => self.stop(data, out),
            "metadata" => self.metadata(data, out),
            name => self.other(name, data, frame, out),
        }
    }

    fn finish(&mut self, out: &mut Vec<Event>) -> Result<(), Malformed> {
        match std::mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Ended => {}
            Phase::Stopped => out.push(Event::End),
            Phase::Before | Phase::Content => return Err(Malformed::Truncated),
        }
        Ok(())
    }
}

impl StreamDecoder {
    fn ensure_started(&mut self, out: &mut Vec<Event>) {
        if self.phase == Phase::Before {
            self.phase = Phase::Content;
            out.push(Event::Start { id: String::new(), model: String::new(), created: None });
        }
    }

    /// An exception, an error, or an event that is not known here.
    fn other(
        &mut self,
        name: &str,
        data: &str,
        frame: &Frame<'_>,
        out: &mut Vec<Event>,
    ) -> Result<(), Malformed> {
        match eventstream::Message::read(frame.raw)?.kind {
            eventstream::Kind::Exception | eventstream::Kind::Error => {
                self.phase = Phase::Ended;
                out.push(Event::Error(error::read(None, Some(name), data.as_bytes())));
            }
            eventstream::Kind::Event => out.push(foreign(frame, data)),
        }
        Ok(())
    }

    fn start_block(&mut self, data: &str, frame: &Frame<'_>, out: &mut Vec<Event>) -> Result<(), Malformed> {
        let started: Started<'_> = parsed(data)?;
        let index = started.content_block_index;
        let Some(start) = started.start.map(|raw| Object::of(raw, "start")).transpose()? else {
            return Ok(());
        };
        if let Some(call) = start.object("toolUse")? {
            if call.raw("type").is_some() {
                return self.begin(index, own("toolUse", &call), None, out);
            }
            let (id, name) = (call.need("toolUseId")?, call.need("name")?);
            let kind = PartKind::ToolCall { id, name, kind: ToolKind::Function };
            self.calls = true;
            return self.begin(index, Kind::Call { fragments: false }, Some(kind), out);
        }
        if let Some(result) = start.object("toolResult")? {
            return self.begin(index, own("toolResult", &result), None, out);
        }
        if let Some(image) = start.object("image")? {
            let format = image.string("format")?.unwrap_or_else(|| "png".to_owned());
            return self.begin(index, Kind::Image { format, bytes: Vec::new() }, None, out);
        }
        // Else a text may be announced, or what nobody knows yet.
        if !start.rest(&[], HERE).fields.is_empty() {
            self.ensure_started(out);
            out.push(foreign(frame, data));
        }
        Ok(())
    }

    fn begin(
        &mut self,
        index: u64,
        state: Kind,
        kind: Option<PartKind>,
        out: &mut Vec<Event>,
    ) -> Result<(), Malformed> {
        self.ensure_started(out);
        self.close(out);
        if self.phase >= Phase::Stopped {
            return Err(Malformed::field("contentBlockIndex", "no content after the reason to stop"));
        }
        let part = self.parts;
        self.parts += 1;
        self.open = Some(Open { index, part, kind: state });
        out.extend(kind.map(|kind| Event::PartStart { choice: 0, part, kind, extra: Extra::default() }));
        Ok(())
    }

    fn delta(&mut self, data: &str, frame: &Frame<'_>, out: &mut Vec<Event>) -> Result<(), Malformed> {
        let BlockDelta { content_block_index: index, delta } = parsed(data)?;
        if let Some(text) = delta.text {
            return if text.is_empty() { Ok(()) } else { self.say(index, Delta::Text(text), out) };
        }
        if let Some(Fragment { input }) = delta.tool_use {
            let open = self.open.as_mut().filter(|open| open.index == index);
            match open.map(|open| (open.part, &mut open.kind)) {
                Some((part, Kind::Call { fragments })) if !input.is_empty() => {
                    *fragments = true;
                    out.push(Event::Delta { choice: 0, part, delta: Delta::Arguments(input) });
                }
                Some((_, Kind::Call { .. })) => {}
                Some((_, Kind::Own { input: whole, .. })) => whole.push_str(&input),
                _ => return Err(Malformed::field("contentBlockIndex", "the index of an open call")),
            }
            return Ok(());
        }
        if let Some(items) = delta.tool_result {
            if let Some(Open { kind: Kind::Own { content, .. }, .. }) = &mut self.open {
                content.extend(items.into_iter().map(Json::from));
            }
            return Ok(());
        }
        if let Some(thought) = delta.reasoning_content {
            return self.think(index, thought, out);
        }
        if let Some(raw) = delta.citation {
            return self.say(index, Delta::Citation(Box::new(read_citation(raw)?)), out);
        }
        if let Some(Bytes { bytes }) = delta.image.and_then(|image| image.source) {
            if let Some(Open { index: open, kind: Kind::Image { bytes: whole, .. }, .. }) = &mut self.open
                && *open == index
            {
                let more = decoded(&bytes).ok_or_else(|| Malformed::field("delta.image", "base64"))?;
                whole.extend_from_slice(&more);
            }
            return Ok(());
        }
        self.ensure_started(out);
        out.push(foreign(frame, data));
        Ok(())
    }

    /// A delta of text, whose block need not have been announced.
    fn say(&mut self, index: u64, delta: Delta, out: &mut Vec<Event>) -> Result<(), Malformed> {
        if !matches!(&self.open, Some(Open { index: open, kind: Kind::Text, .. }) if *open == index) {
            self.begin(index, Kind::Text, Some(PartKind::Text), out)?;
        }
        self.push_delta(delta, out);
        Ok(())
    }

    fn think(&mut self, index: u64, thought: Thought, out: &mut Vec<Event>) -> Result<(), Malformed> {
        if let Some(data) = thought.redacted_content {
            match &mut self.open {
                Some(Open { index: open, kind: Kind::Redacted(whole), .. }) if *open == index => {
                    whole.push_str(&data);
                }
                _ => self.begin(index, Kind::Redacted(data), None, out)?,
            }
            return Ok(());
        }
        let text = thought.text.filter(|text| !text.is_empty()).map(Delta::Thinking);
        let signature = thought.signature.filter(|text| !text.is_empty()).map(Delta::Signature);
        for delta in text.into_iter().chain(signature) {
            if !matches!(&self.open, Some(Open { index: open, kind: Kind::Thinking, .. }) if *open == index) {
                self.begin(index, Kind::Thinking, Some(PartKind::Thinking), out)?;
            }
            self.push_delta(delta, out);
        }
        Ok(())
    }

    fn push_delta(&self, delta: Delta, out: &mut Vec<Event>) {
        if let Some(open) = &self.open {
            out.push(Event::Delta { choice: 0, part: open.part, delta });
        }
    }

    /// Closes the open block. A call without any fragment has the empty object as its input.
    fn close(&mut self, out: &mut Vec<Event>) {
        let Some(Open { part, kind, .. }) = self.open.take() else { return };
        let start = |kind| Event::PartStart { choice: 0, part, kind, extra: Extra::default() };
        match kind {
            Kind::Text | Kind::Thinking | Kind::Call { fragments: true } => {}
            Kind::Call { fragments: false } => {
                let delta = Delta::Arguments("{}".to_owned());
                out.push(Event::Delta { choice: 0, part, delta });
            }
            Kind::Own { key, head, input, content } => {
                let mut json = Vec::new();
                object(&mut json, |object| {
                    object.object(key, |object| {
                        for (name, value) in &head {
                            object.json(name, value);
                        }
                        if key == "toolResult" {
                            object.list("content", |list| content.iter().for_each(|item| list.json(item)));
                        } else {
                            object.json("input", &Json::parse(&input).unwrap_or_else(|_| empty()));
                        }
                    });
                });
                let json = written(&json).unwrap_or_else(empty);
                out.push(start(PartKind::Foreign { dialect: HERE, json }));
            }
            Kind::Redacted(data) => out.push(start(PartKind::RedactedThinking { data })),
            Kind::Image { format, bytes } => {
                let media_type = Media::Image.media_type(&format);
                let source = Source::Base64 { media_type, data: STANDARD.encode(bytes) };
                out.push(start(PartKind::Whole(Box::new(Content::Image { source, detail: None }))));
            }
        }
        out.push(Event::PartStop { choice: 0, part });
    }

    fn stop(&mut self, data: &str, out: &mut Vec<Event>) -> Result<(), Malformed> {
        let message = Object::read(data.as_bytes())?;
        let reason = message.need("stopReason")?;
        let (sequence, extra) = beside(&message);
        self.ensure_started(out);
        self.close(out);
        meta(None, extra, out);
        if self.phase < Phase::Stopped {
            self.phase = Phase::Stopped;
            let stop = settled_stop(stop::read(&reason, sequence), self.calls);
            out.push(Event::Stop { choice: 0, stop });
        }
        Ok(())
    }

    fn metadata(&mut self, data: &str, out: &mut Vec<Event>) -> Result<(), Malformed> {
        let metadata = Object::read(data.as_bytes())?;
        let (usage, tier) = counted(&metadata)?;
        let (_, extra) = beside(&metadata);
        self.ensure_started(out);
        meta(tier, extra, out);
        if usage != Usage::default() {
            out.push(Event::Usage(usage));
        }
        if self.phase == Phase::Stopped {
            self.phase = Phase::Ended;
            out.push(Event::End);
        }
        Ok(())
    }
}

fn own(key: &'static str, start: &Object<'_>) -> Kind {
    Kind::Own { key, head: start.rest(&[], HERE).fields, input: String::new(), content: Vec::new() }
}

fn empty() -> Json {
    Json::of(&serde_json::Map::new())
}

fn parsed<'a, T: serde::Deserialize<'a>>(data: &'a str) -> Result<T, Malformed> {
    crate::json::from_str(data).map_err(|error| Malformed::json(data, &error))
}

fn meta(service_tier: Option<String>, extra: Extra, out: &mut Vec<Event>) {
    if service_tier.is_some() || !extra.fields.is_empty() {
        out.push(Event::Meta { service_tier, extra });
    }
}

fn foreign(frame: &Frame<'_>, data: &str) -> Event {
    let json = Json::parse(data).unwrap_or_else(|_| Json::of(&()));
    Event::Foreign { dialect: HERE, name: frame.name.map(str::to_owned), json }
}
