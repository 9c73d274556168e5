//! Streams of this dialect, written.

use crate::chat::{Content, Extra, Part, Stop, ToolKind};
use crate::dialect::turns::Body as _;
use crate::event::{Delta, Event, PartKind};
use crate::fold::settled_stop;
use crate::object::{ObjectWriter, object};
use crate::{DialectId, Encoder, EncoderOptions, Fields, Json, Loss, PublicError, Restore, Usage};

use super::block::{Body, citation_for_reader, write_body};
use super::response::{self, stop_words, write_refusal};
use super::{error, usage};

const HERE: DialectId = DialectId::Anthropic;

/// Writes one stream to a caller.
///
/// `message_start` waits for the event after it, in case that says the usage; a block waits for its first content, so
/// that none is empty; the reason to stop waits for the end, where the last word on usage is known.
#[derive(Debug, Default)]
pub(super) struct StreamEncoder {
    options: EncoderOptions,
    start: Option<(String, String)>,
    begun: bool,
    /// The index of the next block.
    blocks: u64,
    open: Open,
    calls: bool,
    refusal: String,
    stop: Option<Stop>,
    usage: Usage,
    service_tier: Option<String>,
    extra: Extra,
}

/// The part that is open.
#[derive(Debug, Default)]
enum Open {
    #[default]
    None,
    /// Nothing of it was written yet.
    Waiting(Body, Extra),
    /// Its block has this index; the text ends what its arguments began.
    Block(u64, &'static str),
}

impl StreamEncoder {
    pub(super) fn new(options: EncoderOptions) -> Self {
        Self { options, ..Self::default() }
    }
}

impl Encoder for StreamEncoder {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>, loss: &mut Loss) {
        match event {
            Event::Start { id, model, .. } => {
                let model = self.options.model.clone().unwrap_or_else(|| model.clone());
                self.start = Some((id.clone(), model));
                return;
            }
            Event::Usage(usage) => self.usage = *usage,
            Event::Meta { service_tier, extra } => {
                if service_tier.is_some() {
                    self.service_tier.clone_from(service_tier);
                }
                loss.note_extra(extra, HERE, "");
                if extra.dialect == Some(HERE) {
                    self.extra.dialect = Some(HERE);
                    self.extra.fields.extend(extra.fields.iter().cloned());
                }
                return;
            }
            _ => {}
        }
        self.begin(out);
        match event {
            Event::Start { .. } | Event::Meta { .. } | Event::Usage(_) => {}
            Event::Ping if self.begun => frame(out, "ping", |object| object.string("type", "ping")),
            // Readers expect the start before any event; a comment keeps the line alive as well.
            Event::Ping => out.extend_from_slice(b": ping\n\n"),
            Event::Foreign { dialect: HERE, name, json } => self.foreign(name.as_deref(), json, out, loss),
            Event::Foreign { .. } => loss.note("event"),
            Event::Logprobs { .. } => loss.note("logprobs"),
            Event::PartStart { choice: 0, kind, extra, .. } => self.start_part(kind, extra, out, loss),
            Event::Delta { choice: 0, delta, .. } => self.delta(delta, out, loss),
            Event::PartStop { choice: 0, .. } => self.stop_part(out),
            Event::Stop { choice: 0, stop } => self.stop = Some(stop.clone()),
            Event::PartStart { .. } | Event::Delta { .. } | Event::PartStop { .. } | Event::Stop { .. } => {
                loss.note("choices");
            }
            Event::Error(error) => error::write_frame(out, &PublicError::from(error)),
            Event::End => self.end(out, loss),
        }
    }

    fn error(&mut self, error: &PublicError, out: &mut Vec<u8>) {
        error::write_frame(out, error);
    }
}

impl StreamEncoder {
    fn begin(&mut self, out: &mut Vec<u8>) {
        let Some((id, model)) = self.start.take() else { return };
        self.begun = true;
        frame(out, "message_start", |object| {
            object.string("type", "message_start");
            object.object("message", |object| {
                object.string("id", &id);
                object.string("type", "message");
                object.string("role", "assistant");
                object.string("model", &model);
                object.list("content", |_| {});
                object.raw("stop_reason", "null");
                object.raw("stop_sequence", "null");
                object.object("usage", |object| {
                    usage::write(object, &self.usage, self.service_tier.as_deref(), &self.extra);
                });
            });
        });
    }

    fn start_part(&mut self, kind: &PartKind, extra: &Extra, out: &mut Vec<u8>, loss: &mut Loss) {
        loss.note_extra(extra, HERE, "content");
        self.open = match kind {
            PartKind::Text | PartKind::Refusal => Open::Waiting(Body::text(String::new()), extra.clone()),
            PartKind::Thinking => {
                let body = Body::Thinking { text: String::new(), signature: String::new() };
                Open::Waiting(body, extra.clone())
            }
            PartKind::ToolCall { id, name, kind } => {
                self.calls = true;
                let input = Json::of(&serde_json::Map::new());
                let body = Body::Call { id: id.clone(), name: name.clone(), input };
                let index = self.start_block(&body, extra, out);
                match kind {
                    ToolKind::Function => Open::Block(index, ""),
                    ToolKind::Custom => {
                        write_delta(out, index, |object| {
                            object.string("type", "input_json_delta");
                            object.string("partial_json", &format!("{{\"{}\":\"", Restore::FREE_TEXT));
                        });
                        Open::Block(index, "\"}")
                    }
                }
            }
            PartKind::RedactedThinking { data } => {
                let body = Body::Redacted { data: data.clone() };
                Open::Block(self.start_block(&body, extra, out), "")
            }
            PartKind::Foreign { dialect: HERE, json } => {
                Open::Block(self.start_block(&Body::Raw(json.clone()), extra, out), "")
            }
            PartKind::Foreign { .. } => {
                loss.note("content.foreign");
                Open::None
            }
            PartKind::Whole(content) => {
                let part = Part::from(Content::clone(content));
                match response::block(&part, loss) {
                    Some(block) => Open::Block(self.start_block(&block.body, extra, out), ""),
                    None => Open::None,
                }
            }
        };
    }

    fn start_block(&mut self, body: &Body, extra: &Extra, out: &mut Vec<u8>) -> u64 {
        let index = self.blocks;
        self.blocks += 1;
        frame(out, "content_block_start", |object| {
            object.string("type", "content_block_start");
            object.count("index", index);
            match body {
                Body::Raw(json) => object.json("content_block", json),
                body => object.object("content_block", |object| {
                    write_body(object, body);
                    object.extra(extra, HERE);
                }),
            }
        });
        index
    }

    /// An event in this dialect's own words. One that speaks of a block must name it as it is counted here.
    fn foreign(&mut self, name: Option<&str>, json: &Json, out: &mut Vec<u8>, loss: &mut Loss) {
        let index = Fields::read(json.as_str().as_bytes()).is_ok_and(|fields| fields.get("index").is_some());
        if !index {
            return raw_frame(out, name, json.as_str().as_bytes());
        }
        let Some(index) = self.open_block(out) else { return loss.note("event") };
        let index = index.to_string();
        if let Ok(fields) = Fields::read(json.as_str().as_bytes()) {
            raw_frame(out, name, &fields.splice(&[("index", &index)]));
        }
    }

    /// The index of the open part's block, which is started if it waited.
    fn open_block(&mut self, out: &mut Vec<u8>) -> Option<u64> {
        let (index, end) = match std::mem::take(&mut self.open) {
            Open::None => return None,
            Open::Waiting(body, extra) => (self.start_block(&body, &extra, out), ""),
            Open::Block(index, end) => (index, end),
        };
        self.open = Open::Block(index, end);
        Some(index)
    }

    fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>, loss: &mut Loss) {
        if let Delta::Refusal(text) = delta {
            self.refusal.push_str(text);
        }
        let cited = match delta {
            Delta::Citation(citation) => match citation_for_reader(citation) {
                None => return loss.note("content.citations"),
                cited => cited,
            },
            _ => None,
        };
        let Some(index) = self.open_block(out) else { return };
        let custom = matches!(&self.open, Open::Block(_, end) if !end.is_empty());
        write_delta(out, index, |object| match delta {
            Delta::Text(text) | Delta::Refusal(text) => {
                object.string("type", "text_delta");
                object.string("text", text);
            }
            Delta::Thinking(text) => {
                object.string("type", "thinking_delta");
                object.string("thinking", text);
            }
            Delta::Signature(signature) => {
                object.string("type", "signature_delta");
                object.string("signature", signature);
            }
            Delta::Arguments(fragment) => {
                object.string("type", "input_json_delta");
                let fragment = if custom { escaped(fragment) } else { fragment.clone() };
                object.string("partial_json", &fragment);
            }
            Delta::Citation(_) => {
                object.string("type", "citations_delta");
                if let Some(cited) = &cited {
                    object.json("citation", cited);
                }
            }
        });
    }

    fn stop_part(&mut self, out: &mut Vec<u8>) {
        let Open::Block(index, end) = std::mem::take(&mut self.open) else { return };
        if !end.is_empty() {
            write_delta(out, index, |object| {
                object.string("type", "input_json_delta");
                object.string("partial_json", end);
            });
        }
        frame(out, "content_block_stop", |object| {
            object.string("type", "content_block_stop");
            object.count("index", index);
        });
    }

    fn end(&mut self, out: &mut Vec<u8>, loss: &mut Loss) {
        self.stop_part(out);
        let stop = match self.stop.take() {
            Some(Stop::EndTurn) if !self.refusal.is_empty() => Some(Stop::Refusal),
            Some(stop) => Some(settled_stop(stop, self.calls)),
            None => None,
        };
        frame(out, "message_delta", |object| {
            object.string("type", "message_delta");
            object.object("delta", |object| {
                let (reason, sequence) = stop.as_ref().map_or((None, None), |stop| {
                    let (reason, sequence) = stop_words(stop, loss);
                    (Some(reason), sequence)
                });
                object.maybe("stop_reason", reason);
                object.maybe("stop_sequence", sequence);
                let own = self.extra.of(HERE).iter().filter(|(name, _)| !name.starts_with("usage."));
                let mut said = false;
                for (name, json) in own {
                    said |= name == "stop_details";
                    object.json(name, json);
                }
                if !self.refusal.is_empty() && !said {
                    write_refusal(object, &self.refusal);
                }
            });
            object.object("usage", |object| {
                usage::write(object, &self.usage, self.service_tier.as_deref(), &self.extra);
            });
        });
        frame(out, "message_stop", |object| object.string("type", "message_stop"));
    }
}

/// The inside of `text` as a JSON string.
fn escaped(text: &str) -> String {
    let quoted = Json::of(&text);
    let quoted = quoted.as_str();
    quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default().to_owned()
}

fn write_delta(out: &mut Vec<u8>, index: u64, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
    frame(out, "content_block_delta", |object| {
        object.string("type", "content_block_delta");
        object.count("index", index);
        object.object("delta", fill);
    });
}

pub(super) fn frame(out: &mut Vec<u8>, name: &str, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
    begin_frame(out, Some(name));
    object(out, fill);
    out.extend_from_slice(b"\n\n");
}

fn raw_frame(out: &mut Vec<u8>, name: Option<&str>, json: &[u8]) {
    begin_frame(out, name);
    out.extend_from_slice(json);
    out.extend_from_slice(b"\n\n");
}

fn begin_frame(out: &mut Vec<u8>, name: Option<&str>) {
    if let Some(name) = name {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
}
