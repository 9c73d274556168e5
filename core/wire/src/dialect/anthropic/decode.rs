//! Streams of this dialect, read.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::chat::{Content, Extra};
use crate::event::{Delta, Event, PartKind};
use crate::frame::Frame;
use crate::object::Object;
use crate::{Decoder, DialectId, Json, Malformed};

use super::block::{read_block, read_citation};
use super::error;
use super::response::{read_stop, whole_extra};
use super::usage::Counts;

const HERE: DialectId = DialectId::Anthropic;

/// Reads one stream.
#[derive(Debug, Default)]
pub(super) struct StreamDecoder {
    started: bool,
    stopped: bool,
    ended: bool,
    parts: u32,
    open: Option<Open>,
    counts: Counts,
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
    /// All was said in its start.
    Whole,
    /// A call: its input, if the start said it whole, and whether any fragment came.
    Call {
        input: Option<String>,
        fragments: bool,
    },
    /// A block in this dialect's own words is held until its input is whole.
    Own {
        start: Json,
        input: String,
    },
}

/// The outer fields of every event.
#[derive(serde::Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
    #[serde(default)]
    index: Option<u64>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content_block: Option<&'a RawValue>,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

/// A delta of a block; nearly all events of a stream are one.
#[derive(serde::Deserialize)]
struct BlockDelta<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    partial_json: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    thinking: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    signature: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    citation: Option<&'a RawValue>,
}

impl Decoder for StreamDecoder {
    fn push(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) -> Result<(), Malformed> {
        let data = frame.data.trim();
        if self.ended || data == "[DONE]" {
            return Ok(());
        }
        if data.is_empty() {
            // A comment says that the upstream is alive; a line's end alone may belong to the frame before.
            if frame.raw.contains(&b':') {
                out.push(Event::Ping);
            }
            return Ok(());
        }
        let data = crate::json::text(data.as_bytes())?;
        let envelope: Envelope<'_> =
            crate::json::from_str(data).map_err(|error| Malformed::json(data, &error))?;
        match envelope.kind.as_ref() {
            "content_block_delta" => self.delta(&envelope, frame, data, out),
            "content_block_start" => self.start_block(&envelope, out),
            "content_block_stop" => {
                self.stop_block(out);
                Ok(())
            }
            "message_start" => self.start(envelope.message, out),
            "message_delta" => self.message_delta(&envelope, out),
            // An end without an answer.
            "message_stop" if !self.started => Err(Malformed::Truncated),
            "message_stop" => {
                self.stop_block(out);
                self.ended = true;
                out.push(Event::End);
                Ok(())
            }
            "ping" => {
                out.push(Event::Ping);
                Ok(())
            }
            "error" => {
                self.ended = true;
                out.push(Event::Error(error::read(None, data.as_bytes())));
                Ok(())
            }
            _ => {
                out.push(foreign(frame, data));
                Ok(())
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<Event>) -> Result<(), Malformed> {
        if self.ended {
            return Ok(());
        }
        self.ended = true;
        if !self.stopped {
            return Err(Malformed::Truncated);
        }
        self.stop_block(out);
        out.push(Event::End);
        Ok(())
    }
}

impl StreamDecoder {
    fn start(&mut self, message: Option<&RawValue>, out: &mut Vec<Event>) -> Result<(), Malformed> {
        const KNOWN: &[&str] =
            &["id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "usage"];
        if self.started {
            return Ok(());
        }
        let message = message.ok_or_else(|| Malformed::field("message", "an object"))?;
        let message = Object::of(message, "message")?;
        let id = message.string("id")?.unwrap_or_default();
        let model = message.string("model")?.unwrap_or_default();
        let usage = message.object("usage")?;
        let beside = usage.as_ref().map(|usage| self.counts.update(usage)).transpose()?.unwrap_or_default();
        self.started = true;
        out.push(Event::Start { id, model, created: None });
        meta(beside.service_tier, whole_extra(&message, KNOWN, beside.extra), out);
        if usage.is_some() {
            out.push(Event::Usage(self.counts.usage()));
        }
        Ok(())
    }

    /// A stream whose start is missing still has one.
    fn ensure_started(&mut self, out: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.started, true) {
            out.push(Event::Start { id: String::new(), model: String::new(), created: None });
        }
    }

    fn start_block(&mut self, envelope: &Envelope<'_>, out: &mut Vec<Event>) -> Result<(), Malformed> {
        let raw = envelope.content_block.ok_or_else(|| Malformed::field("content_block", "an object"))?;
        let part = read_block(raw, "content_block")?;
        self.ensure_started(out);
        self.stop_block(out);
        if self.stopped {
            return Err(Malformed::field("content_block", "no content after the stop reason"));
        }
        let number = self.parts;
        let mut deltas = Vec::new();
        let (kind, state) = match part.content {
            Content::Text { text, citations } => {
                deltas.extend((!text.is_empty()).then_some(Delta::Text(text)));
                deltas.extend(citations.into_iter().map(|citation| Delta::Citation(Box::new(citation))));
                (PartKind::Text, Kind::Text)
            }
            Content::Thinking { text, signature } => {
                deltas.extend((!text.is_empty()).then_some(Delta::Thinking(text)));
                deltas.extend(signature.map(Delta::Signature));
                (PartKind::Thinking, Kind::Thinking)
            }
            Content::RedactedThinking { data } => (PartKind::RedactedThinking { data }, Kind::Whole),
            Content::ToolCall(call) => {
                let input = Some(call.arguments).filter(|input| !is_empty_object(input));
                let kind = PartKind::ToolCall { id: call.id, name: call.name, kind: call.kind };
                (kind, Kind::Call { input, fragments: false })
            }
            Content::Foreign { json, .. } => {
                self.open = Some(Open {
                    index: envelope.index.unwrap_or_default(),
                    part: number,
                    kind: Kind::Own { start: json, input: String::new() },
                });
                self.parts += 1;
                return Ok(());
            }
            whole @ (Content::Image { .. }
            | Content::Audio { .. }
            | Content::Document { .. }
            | Content::ToolResult(_)
            | Content::Refusal { .. }) => (PartKind::Whole(Box::new(whole)), Kind::Whole),
        };
        self.parts += 1;
        let index = envelope.index.unwrap_or_default();
        self.open = Some(Open { index, part: number, kind: state });
        out.push(Event::PartStart { choice: 0, part: number, kind, extra: part.extra });
        out.extend(deltas.into_iter().map(|delta| Event::Delta { choice: 0, part: number, delta }));
        Ok(())
    }

    fn delta(
        &mut self,
        envelope: &Envelope<'_>,
        frame: &Frame<'_>,
        data: &str,
        out: &mut Vec<Event>,
    ) -> Result<(), Malformed> {
        let raw = envelope.delta.ok_or_else(|| Malformed::field("delta", "an object"))?;
        let delta: BlockDelta<'_> =
            crate::json::from_str(raw.get()).map_err(|_| Malformed::field("delta", "a delta of a block"))?;
        let open = self.open.as_mut().filter(|open| envelope.index.is_none_or(|index| index == open.index));
        let open = open.ok_or_else(|| Malformed::field("index", "the index of an open block"))?;
        let text = |text: Option<Cow<'_, str>>| text.filter(|text| !text.is_empty()).map(Cow::into_owned);
        let delta = match (delta.kind.as_ref(), &mut open.kind) {
            ("text_delta", Kind::Text) => text(delta.text).map(Delta::Text),
            ("thinking_delta", Kind::Thinking) => text(delta.thinking).map(Delta::Thinking),
            ("signature_delta", Kind::Thinking) => text(delta.signature).map(Delta::Signature),
            ("citations_delta", Kind::Text) => match delta.citation {
                Some(raw) => Some(Delta::Citation(Box::new(read_citation(raw)?))),
                None => None,
            },
            ("input_json_delta", Kind::Call { fragments, .. }) => {
                let fragment = text(delta.partial_json);
                *fragments |= fragment.is_some();
                fragment.map(Delta::Arguments)
            }
            ("input_json_delta", Kind::Own { input, .. }) => {
                input.push_str(delta.partial_json.as_deref().unwrap_or_default());
                None
            }
            (
                "text_delta" | "thinking_delta" | "signature_delta" | "citations_delta" | "input_json_delta",
                _,
            ) => return Err(Malformed::field("delta.type", "a delta that fits its block")),
            _ => {
                out.push(foreign(frame, data));
                None
            }
        };
        out.extend(delta.map(|delta| Event::Delta { choice: 0, part: open.part, delta }));
        Ok(())
    }

    /// Closes the open block. A call without any argument has the empty object as its arguments.
    fn stop_block(&mut self, out: &mut Vec<Event>) {
        let Some(Open { part, kind, .. }) = self.open.take() else { return };
        match kind {
            Kind::Text | Kind::Thinking | Kind::Whole | Kind::Call { fragments: true, .. } => {}
            Kind::Call { input, fragments: false } => {
                let delta = Delta::Arguments(input.unwrap_or_else(|| "{}".to_owned()));
                out.push(Event::Delta { choice: 0, part, delta });
            }
            Kind::Own { start, input } => {
                let kind = PartKind::Foreign { dialect: HERE, json: with_input(start, &input) };
                out.push(Event::PartStart { choice: 0, part, kind, extra: Extra::default() });
            }
        }
        out.push(Event::PartStop { choice: 0, part });
    }

    fn message_delta(&mut self, envelope: &Envelope<'_>, out: &mut Vec<Event>) -> Result<(), Malformed> {
        self.ensure_started(out);
        let usage = envelope.usage.map(|raw| Object::of(raw, "usage")).transpose()?;
        let beside = usage.as_ref().map(|usage| self.counts.update(usage)).transpose()?.unwrap_or_default();
        let delta = envelope.delta.map(|raw| Object::of(raw, "delta")).transpose()?;
        let extra = match &delta {
            Some(delta) => whole_extra(delta, &["stop_reason", "stop_sequence"], beside.extra),
            None => beside.extra,
        };
        meta(beside.service_tier, extra, out);
        if usage.is_some() {
            out.push(Event::Usage(self.counts.usage()));
        }
        let Some(delta) = delta else { return Ok(()) };
        let Some(reason) = delta.string("stop_reason")? else { return Ok(()) };
        self.stop_block(out);
        if !std::mem::replace(&mut self.stopped, true) {
            out.push(Event::Stop { choice: 0, stop: read_stop(&reason, &delta)? });
        }
        Ok(())
    }
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

fn is_empty_object(json: &str) -> bool {
    json.strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .is_some_and(|inner| inner.trim().is_empty())
}

/// The block with the input that came in fragments; as it was if none came or they make no JSON.
fn with_input(start: Json, input: &str) -> Json {
    if Json::parse(input).is_err() {
        return start;
    }
    match crate::Fields::read(start.as_str().as_bytes()) {
        Ok(fields) => Json::written(&fields.splice(&[("input", input)])),
        Err(_) => start,
    }
}
