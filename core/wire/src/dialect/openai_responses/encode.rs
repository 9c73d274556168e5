//! Streams to callers, and whole answers, which are their last word.

use std::fmt::Write as _;

use super::open::{Call, Message, Open, TextPart, Thought};
use super::shape::{Head, Status};
use super::{HERE, content, error, thought};
use crate::chat::{Content, Response, Source, Stop, ToolKind};
use crate::dialect::openai::write::tier;
use crate::event::{Delta, Event, PartKind};
use crate::fold::unfold;
use crate::json::push_string;
use crate::object::{ObjectWriter, object};
use crate::{Encoder, EncoderOptions, Json, Loss, PublicError, Usage};

/// Writes one stream: the answer begins, then item by item what grows in it and what it was in the end, then the whole
/// answer. Every event has its number, and every item an id made of the answer's.
#[derive(Debug)]
pub(super) struct StreamEncoder {
    /// Only the whole answer is wanted.
    quiet: bool,
    sequence: u64,
    options: EncoderOptions,
    head: Head,
    /// What every id of an item is made of.
    stem: String,
    /// The items that are done, as the inside of a list.
    output: Vec<u8>,
    /// How many items have begun.
    items: u64,
    open: Open,
    logprobs: Vec<Json>,
    status: Status,
    usage: Option<Usage>,
}

impl StreamEncoder {
    pub(super) fn new(options: EncoderOptions, quiet: bool) -> Self {
        let head = Head {
            model: options.model.clone().unwrap_or_default(),
            created: options.created,
            echo: options.echo.clone(),
            ..Head::default()
        };
        let mut encoder = Self {
            quiet,
            sequence: 0,
            options,
            head,
            stem: String::new(),
            output: Vec::new(),
            items: 0,
            open: Open::Nothing,
            logprobs: Vec::new(),
            status: Status::Completed,
            usage: None,
        };
        encoder.name("");
        encoder
    }

    /// Takes the gateway's id for the answer, or makes one of the upstream's.
    fn name(&mut self, upstream: &str) {
        let id = self.options.id.as_deref().unwrap_or(upstream);
        let stem = match id.strip_prefix("resp_").or_else(|| id.strip_prefix("req_")) {
            Some(stem) => stem.to_owned(),
            None => id.chars().filter(char::is_ascii_alphanumeric).collect(),
        };
        self.stem = if stem.is_empty() { "0".to_owned() } else { stem };
        self.head.id = format!("resp_{}", self.stem);
    }

    /// The id of the next item.
    fn item_id(&self, prefix: &str) -> String {
        format!("{prefix}_{}_{}", self.stem, self.items)
    }

    /// Writes one event; `fill` adds what stands behind its type and number.
    fn event(&mut self, out: &mut Vec<u8>, kind: &str, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
        if self.quiet {
            return;
        }
        let start = out.len();
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\ndata: ");
        object(out, |object| {
            object.string("type", kind);
            object.count("sequence_number", self.sequence);
            fill(object);
        });
        self.sequence += 1;
        // JSON that is passed on may have line breaks between its fields, and a break would end the frame.
        let data = start + b"event: \ndata: ".len() + kind.len();
        for byte in out.get_mut(data..).unwrap_or_default() {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
        out.extend_from_slice(b"\n\n");
    }

    fn answer(&mut self, out: &mut Vec<u8>, kind: &str, status: Status) {
        let mut answer = Vec::new();
        let counts = if status == Status::InProgress { None } else { Some(self.usage.unwrap_or_default()) };
        self.head.write(&mut answer, status, &self.output, counts.as_ref());
        self.event(out, kind, |object| object.bytes("response", |out| out.extend_from_slice(&answer)));
    }

    fn added(&mut self, out: &mut Vec<u8>, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
        let index = self.items;
        self.event(out, "response.output_item.added", |event| {
            event.count("output_index", index);
            event.object("item", fill);
        });
    }

    /// The open item is done, as `item`.
    fn item_done(&mut self, out: &mut Vec<u8>, item: &[u8]) {
        let index = self.items;
        self.event(out, "response.output_item.done", |event| {
            event.count("output_index", index);
            event.bytes("item", |out| out.extend_from_slice(item));
        });
        if !self.output.is_empty() {
            self.output.push(b',');
        }
        self.output.extend_from_slice(item);
        self.items += 1;
    }

    fn part(&mut self, kind: &PartKind, phase: Option<&Json>, out: &mut Vec<u8>, loss: &mut Loss) {
        match kind {
            PartKind::Text | PartKind::Refusal => {
                self.text_begins(matches!(kind, PartKind::Refusal), phase, out);
                return;
            }
            _ => self.close("completed", out),
        }
        match kind {
            PartKind::Text | PartKind::Refusal => {}
            PartKind::Thinking => {
                let id = self.item_id("rs");
                self.added(out, |item| thought::fill(item, &id, "", None));
                let (text, proof) = (String::new(), String::new());
                self.open = Open::Thought(Thought { id, text, proof, redacted: false });
            }
            PartKind::RedactedThinking { data } => {
                let id = self.item_id("rs");
                self.added(out, |item| thought::fill(item, &id, "", None));
                let (text, proof) = (String::new(), data.clone());
                self.open = Open::Thought(Thought { id, text, proof, redacted: true });
            }
            PartKind::ToolCall { id, name, kind } => {
                let prefix = match kind {
                    ToolKind::Function => "fc",
                    ToolKind::Custom => "ctc",
                };
                let call = Call {
                    id: self.item_id(prefix),
                    called: id.clone(),
                    name: name.clone(),
                    kind: *kind,
                    text: String::new(),
                    namespace: phase.cloned(),
                };
                self.added(out, |item| call.fill(item, "in_progress"));
                self.open = Open::Call(call);
            }
            PartKind::Whole(content) => match content.as_ref() {
                Content::Image { source: Source::Base64 { media_type, data }, .. } => {
                    let id = self.item_id("ig");
                    let mut item = Vec::new();
                    object(&mut item, |item| {
                        item.string("type", "image_generation_call");
                        item.string("id", &id);
                        item.string("status", "completed");
                        let format = media_type.strip_prefix("image/").unwrap_or("png");
                        item.string("output_format", format);
                        item.string("result", data);
                    });
                    self.added(out, |item| {
                        item.string("type", "image_generation_call");
                        item.string("id", &id);
                        item.string("status", "in_progress");
                        item.raw("result", "null");
                    });
                    self.item_done(out, &item);
                }
                _ => loss.note("content.media"),
            },
            PartKind::Foreign { dialect: HERE, json } => {
                let index = self.items;
                self.event(out, "response.output_item.added", |event| {
                    event.count("output_index", index);
                    event.json("item", json);
                });
                self.item_done(out, json.as_str().as_bytes());
            }
            PartKind::Foreign { .. } => loss.note("content.foreign"),
        }
    }

    /// A text or a refusal begins: in the message that is open, or in a new one.
    fn text_begins(&mut self, refusal: bool, phase: Option<&Json>, out: &mut Vec<u8>) {
        let goes_on = matches!(&self.open, Open::Message(message) if phase.is_none() || message.phase.as_ref() == phase);
        if !goes_on {
            self.close("completed", out);
            let message = Message {
                id: self.item_id("msg"),
                parts: Vec::new(),
                count: 0,
                part: None,
                phase: phase.cloned(),
            };
            self.added(out, |item| message.fill(item, "in_progress"));
            self.open = Open::Message(message);
        }
        self.text_ends(out);
        let index = self.items;
        let Open::Message(message) = &mut self.open else { return };
        let mut place = format!(
            r#","item_id":"{}","output_index":{index},"content_index":{}"#,
            message.id, message.count
        );
        if refusal {
            place.push_str(",\"delta\":");
        } else {
            place.push_str(",\"logprobs\":[],\"delta\":");
        }
        let part = TextPart { refusal, text: String::new(), annotations: Vec::new(), place };
        let (id, count) = (message.id.clone(), message.count);
        let mut empty = Vec::new();
        part.write(&mut empty, &[]);
        message.part = Some(part);
        self.event(out, "response.content_part.added", |event| {
            event.string("item_id", &id);
            event.count("output_index", index);
            event.count("content_index", count);
            event.bytes("part", |out| out.extend_from_slice(&empty));
        });
    }

    /// The open part of the open message is done.
    fn text_ends(&mut self, out: &mut Vec<u8>) {
        let index = self.items;
        let Open::Message(message) = &mut self.open else { return };
        let Some(part) = message.part.take() else { return };
        let logprobs = if part.refusal { Vec::new() } else { std::mem::take(&mut self.logprobs) };
        let (id, count) = (message.id.clone(), message.count);
        message.count += 1;
        let mut json = Vec::new();
        part.write(&mut json, &logprobs);
        if !message.parts.is_empty() {
            message.parts.push(b',');
        }
        message.parts.extend_from_slice(&json);
        let place = |event: &mut ObjectWriter<'_>| {
            event.string("item_id", &id);
            event.count("output_index", index);
            event.count("content_index", count);
        };
        if part.refusal {
            self.event(out, "response.refusal.done", |event| {
                place(event);
                event.string("refusal", &part.text);
            });
        } else {
            self.event(out, "response.output_text.done", |event| {
                place(event);
                event.string("text", &part.text);
                event.list("logprobs", |list| logprobs.iter().for_each(|token| list.json(token)));
            });
        }
        self.event(out, "response.content_part.done", |event| {
            place(event);
            event.bytes("part", |out| out.extend_from_slice(&json));
        });
    }

    fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>, loss: &mut Loss) {
        let index = self.items;
        match (&mut self.open, delta) {
            (Open::Message(Message { part: Some(part), .. }), Delta::Text(text) | Delta::Refusal(text)) => {
                part.text.push_str(text);
                if self.quiet {
                    return;
                }
                let kind = if part.refusal { "response.refusal.delta" } else { "response.output_text.delta" };
                write_delta(out, kind, self.sequence, &part.place, text);
                self.sequence += 1;
            }
            (Open::Message(Message { id, count, part: Some(part), .. }), Delta::Citation(citation)) => {
                let Some(json) = content::annotation(citation) else {
                    loss.note("content.citations");
                    return;
                };
                let nth = part.annotations.len() as u64;
                part.annotations.push(json.clone());
                let (id, count) = (id.clone(), *count);
                self.event(out, "response.output_text.annotation.added", |event| {
                    event.string("item_id", &id);
                    event.count("output_index", index);
                    event.count("content_index", count);
                    event.count("annotation_index", nth);
                    event.json("annotation", &json);
                });
            }
            (Open::Thought(thought), Delta::Thinking(text)) => {
                let first = thought.text.is_empty();
                thought.text.push_str(text);
                let id = thought.id.clone();
                if first {
                    self.summary_part(out, "added", &id, "");
                }
                self.event(out, "response.reasoning_summary_text.delta", |event| {
                    event.string("item_id", &id);
                    event.count("output_index", index);
                    event.count("summary_index", 0);
                    event.string("delta", text);
                });
            }
            (Open::Thought(thought), Delta::Signature(proof)) => thought.proof.push_str(proof),
            (Open::Call(call), Delta::Arguments(text)) => {
                call.text.push_str(text);
                let (id, kind) = (call.id.clone(), call.events().0);
                self.event(out, kind, |event| {
                    event.string("item_id", &id);
                    event.count("output_index", index);
                    event.string("delta", text);
                });
            }
            _breach_of_grammar => {}
        }
    }

    fn summary_part(&mut self, out: &mut Vec<u8>, word: &str, id: &str, text: &str) {
        let index = self.items;
        self.event(out, &format!("response.reasoning_summary_part.{word}"), |event| {
            event.string("item_id", id);
            event.count("output_index", index);
            event.count("summary_index", 0);
            event.object("part", |part| {
                part.string("type", "summary_text");
                part.string("text", text);
            });
        });
    }

    /// The open item is done, if one is. `status` is a message's, which may have been cut off.
    fn close(&mut self, status: &str, out: &mut Vec<u8>) {
        self.text_ends(out);
        let index = self.items;
        let mut item = Vec::new();
        match std::mem::take(&mut self.open) {
            Open::Nothing => return,
            Open::Message(message) => object(&mut item, |item| message.fill(item, status)),
            Open::Thought(Thought { id, text, proof, redacted }) => {
                if !text.is_empty() {
                    self.event(out, "response.reasoning_summary_text.done", |event| {
                        event.string("item_id", &id);
                        event.count("output_index", index);
                        event.count("summary_index", 0);
                        event.string("text", &text);
                    });
                    self.summary_part(out, "done", &id, &text);
                }
                let encrypted = (!proof.is_empty()).then(|| thought::encrypted(&proof, redacted));
                // The vendor takes its proof back together with the id that it gave.
                let own = thought::own(&proof).map_or(id.as_str(), |(own, _)| own);
                object(&mut item, |item| thought::fill(item, own, &text, encrypted.as_deref()));
            }
            Open::Call(mut call) => {
                if call.kind == ToolKind::Function && call.text.trim().is_empty() {
                    "{}".clone_into(&mut call.text);
                }
                let (_, kind, key) = call.events();
                self.event(out, kind, |event| {
                    event.string("item_id", &call.id);
                    event.count("output_index", index);
                    event.string(key, &call.text);
                });
                object(&mut item, |item| call.fill(item, "completed"));
            }
        }
        self.item_done(out, &item);
    }

    fn stop(&mut self, stop: &Stop, out: &mut Vec<u8>, loss: &mut Loss) {
        self.status = match stop {
            Stop::EndTurn | Stop::ToolUse | Stop::Sequence(_) => Status::Completed,
            Stop::MaxTokens | Stop::ContextWindow => Status::Incomplete("max_output_tokens"),
            Stop::Refusal => Status::Incomplete("content_filter"),
            // The answer is not complete, and `completed` would say that it is.
            Stop::Pause => {
                loss.note("status");
                Status::Incomplete("max_output_tokens")
            }
            Stop::Other(word) if word == super::QUEUED => Status::Queued,
            Stop::Other(word) if word == super::IN_PROGRESS => Status::InProgress,
            Stop::Other(_) => {
                loss.note("status");
                Status::Completed
            }
        };
        self.close(self.status.word(), out);
    }
}

/// Writes the event of a delta of text: the most frequent of all.
fn write_delta(out: &mut Vec<u8>, kind: &str, sequence: u64, place: &str, text: &str) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\ndata: {\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",\"sequence_number\":");
    let mut number = String::with_capacity(20);
    let _infallible = write!(number, "{sequence}");
    out.extend_from_slice(number.as_bytes());
    out.extend_from_slice(place.as_bytes());
    push_string(out, text);
    out.extend_from_slice(b"}\n\n");
}

impl Encoder for StreamEncoder {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>, loss: &mut Loss) {
        match event {
            Event::Start { id, model, created } => {
                self.name(id);
                if self.options.model.is_none() {
                    self.head.model.clone_from(model);
                }
                self.head.created = created.unwrap_or(self.options.created);
                self.answer(out, "response.created", Status::InProgress);
                self.answer(out, "response.in_progress", Status::InProgress);
            }
            // There is one answer.
            Event::PartStart { choice: 1.., .. } | Event::Stop { choice: 1.., .. } => loss.note("choices"),
            // Nor is there a word for events that only another dialect, or only the upstream, knows; the driver counts them.
            Event::Delta { choice: 1.., .. }
            | Event::PartStop { choice: 1.., .. }
            | Event::Logprobs { choice: 1.., .. }
            | Event::Foreign { .. } => {}
            Event::PartStart { kind, extra, .. } => {
                loss.note_extra(extra, HERE, "content");
                let own = ["phase", "namespace"];
                let own = extra.of(HERE).iter().find(|(name, _)| own.contains(&name.as_str()));
                self.part(kind, own.map(|(_, json)| json), out, loss);
            }
            Event::Delta { delta, .. } => self.delta(delta, out, loss),
            // A message stays open for more parts.
            Event::PartStop { .. } if matches!(self.open, Open::Message(_)) => self.text_ends(out),
            Event::PartStop { .. } => self.close("completed", out),
            Event::Stop { stop, .. } => self.stop(stop, out, loss),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Meta { service_tier, extra } => {
                if service_tier.is_some() {
                    self.head.service_tier.clone_from(service_tier);
                    if tier(self.head.service_tier.as_deref()).is_none() {
                        loss.note("service_tier");
                    }
                }
                if !extra.of(HERE).is_empty() {
                    self.head.extra = extra.clone();
                }
                loss.note_extra(extra, HERE, "");
            }
            Event::Ping if self.quiet => {}
            Event::Ping => out.extend_from_slice(b": ping\n\n"),
            Event::Logprobs { json, .. } => {
                let tokens = crate::Fields::of(json.as_ref(), "logprobs").ok();
                let tokens = tokens.and_then(|fields| {
                    crate::json::from_str::<Vec<Json>>(fields.present("content")?.get()).ok()
                });
                self.logprobs.extend(tokens.unwrap_or_default());
            }
            Event::Error(failed) => self.error(&PublicError::from(failed), out),
            Event::End => {
                self.close(self.status.word(), out);
                if !self.logprobs.is_empty() {
                    loss.note("logprobs");
                }
                self.answer(out, &format!("response.{}", self.status.word()), self.status);
            }
        }
    }

    fn error(&mut self, failed: &PublicError, out: &mut Vec<u8>) {
        error::event(out, self.sequence, failed);
        self.sequence += 1;
    }
}

/// Writes a whole answer: the last word of its stream.
pub(super) fn whole(response: &Response, options: EncoderOptions, loss: &mut Loss) -> Vec<u8> {
    let mut encoder = StreamEncoder::new(options, true);
    let mut out = Vec::new();
    for event in unfold(response) {
        encoder.push(&event, &mut out, loss);
    }
    out.clear();
    let counts = match encoder.status {
        Status::Queued | Status::InProgress => None,
        Status::Completed | Status::Incomplete(_) => Some(&response.usage),
    };
    encoder.head.write(&mut out, encoder.status, &encoder.output, counts);
    out
}

/// The object of an answer that is only promised yet.
pub fn begun(options: EncoderOptions, model: &str) -> Json {
    let mut encoder = StreamEncoder::new(options, true);
    model.clone_into(&mut encoder.head.model);
    let mut out = Vec::new();
    encoder.head.write(&mut out, Status::Queued, &[], None);
    std::str::from_utf8(&out).ok().and_then(|text| Json::parse(text).ok()).unwrap_or_else(|| Json::of(&()))
}
