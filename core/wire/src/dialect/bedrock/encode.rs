//! Streams of this dialect, written.

use crate::chat::{Content, Extra, Part, Stop, ToolKind};
use crate::event::{Delta, Event, PartKind};
use crate::frame::eventstream;
use crate::object::{Object, ObjectWriter, object};
use crate::{Encoder, Json, Loss, PublicError, Restore, Usage};

use super::turn::Body;
use super::{HERE, error, media, response, stop, usage};

/// Writes one stream to a caller.
///
/// A block of text or thought begins with its first delta, so that none is empty; the reason to stop waits for the
/// end, where it is known whether there were calls, and is followed by the metadata.
#[derive(Debug, Default)]
pub(super) struct StreamEncoder {
    /// The index of the next block.
    blocks: u64,
    open: Open,
    calls: bool,
    refused: bool,
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
    Waiting,
    Block(u64),
    /// A call of free text: its argument is being written as the inside of a string.
    Custom(u64),
}

impl Encoder for StreamEncoder {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>, loss: &mut Loss) {
        match event {
            Event::Start { .. } => {
                write(out, "messageStart", |object| object.string("role", "assistant"));
            }
            Event::PartStart { choice: 0, kind, extra, .. } => self.start_part(kind, extra, out, loss),
            Event::Delta { choice: 0, delta, .. } => self.delta(delta, out),
            Event::PartStop { choice: 0, .. } => self.stop_part(out),
            Event::Stop { choice: 0, stop } => self.stop = Some(stop.clone()),
            Event::PartStart { .. } | Event::Delta { .. } | Event::PartStop { .. } | Event::Stop { .. } => {
                loss.note("choices");
            }
            Event::Usage(usage) => self.usage = *usage,
            Event::Meta { service_tier, extra } => {
                if service_tier.is_some() {
                    self.service_tier.clone_from(service_tier);
                }
                loss.note_extra(extra, HERE, "");
                if extra.dialect == Some(HERE) {
                    self.extra.dialect = Some(HERE);
                    let known = &mut self.extra.fields;
                    known.retain(|(name, _)| !extra.fields.iter().any(|(newer, _)| newer == name));
                    known.extend(extra.fields.iter().cloned());
                }
            }
            // The framing has no word for it, and nothing else keeps a line alive.
            Event::Ping => {}
            Event::Logprobs { .. } => loss.note("logprobs"),
            Event::Foreign { dialect: HERE, name, json } => foreign(name.as_deref(), json, out, loss),
            Event::Foreign { .. } => loss.note("event"),
            Event::Error(failed) => error::write_frame(out, &PublicError::from(failed)),
            Event::End => self.end(out, loss),
        }
    }

    fn error(&mut self, error: &PublicError, out: &mut Vec<u8>) {
        error::write_frame(out, error);
    }
}

impl StreamEncoder {
    fn start_part(&mut self, kind: &PartKind, extra: &Extra, out: &mut Vec<u8>, loss: &mut Loss) {
        loss.note_extra(extra, HERE, "content");
        self.open = match kind {
            PartKind::Text | PartKind::Thinking => Open::Waiting,
            PartKind::Refusal => {
                self.refused = true;
                Open::Waiting
            }
            PartKind::ToolCall { id, name, kind } => {
                self.calls = true;
                let index = self.next();
                write(out, "contentBlockStart", |object| {
                    object.object("start", |object| {
                        object.object("toolUse", |object| {
                            object.string("toolUseId", id);
                            object.string("name", name);
                        });
                    });
                    object.count("contentBlockIndex", index);
                });
                match kind {
                    ToolKind::Function => Open::Block(index),
                    ToolKind::Custom => {
                        write_input(out, index, &format!("{{\"{}\":\"", Restore::FREE_TEXT));
                        Open::Custom(index)
                    }
                }
            }
            PartKind::RedactedThinking { data } => {
                let index = self.next();
                write_delta(out, index, |object| {
                    object.object("reasoningContent", |object| {
                        object.string("redactedContent", &media::base64(data));
                    });
                });
                Open::Block(index)
            }
            PartKind::Whole(content) => self.whole(content, out, loss),
            PartKind::Foreign { dialect: HERE, json } => self.own(json, out, loss),
            PartKind::Foreign { .. } => {
                loss.note("content.foreign");
                Open::None
            }
        };
    }

    /// A call or a result of the provider's own tools: the only blocks of its own words that streams can say.
    fn own(&mut self, json: &Json, out: &mut Vec<u8>, loss: &mut Loss) -> Open {
        let Some((key, block)) = ["toolUse", "toolResult"].into_iter().find_map(|key| {
            let whole = crate::Fields::of(json.as_ref(), "").ok()?;
            Some((key, Object::of(whole.present(key)?, key).ok()?))
        }) else {
            loss.note("content.foreign");
            return Open::None;
        };
        let index = self.next();
        write(out, "contentBlockStart", |object| {
            object.object("start", |object| {
                object.object(key, |object| {
                    object.extra(&block.rest(&["input", "content"], HERE), HERE);
                });
            });
            object.count("contentBlockIndex", index);
        });
        match (block.json("input"), block.json("content")) {
            (Some(input), _) if key == "toolUse" => write_input(out, index, input.as_str()),
            (_, Some(content)) => write_delta(out, index, |object| object.json("toolResult", &content)),
            _ => {}
        }
        Open::Block(index)
    }

    /// Images are the only media that streams have words for.
    fn whole(&mut self, content: &Content, out: &mut Vec<u8>, loss: &mut Loss) -> Open {
        let body = response::body(&Part::from(content.clone()), loss);
        let Some(Body::Media { kind: media::Kind::Image, format: Some(format), place }) = body else {
            if body.is_some() {
                loss.note("content.media");
            }
            return Open::None;
        };
        let index = self.next();
        write(out, "contentBlockStart", |object| {
            object.object("start", |object| {
                object.object("image", |object| object.string("format", &format));
            });
            object.count("contentBlockIndex", index);
        });
        write_delta(out, index, |object| object.object("image", |object| place.write(object)));
        Open::Block(index)
    }

    fn next(&mut self) -> u64 {
        let index = self.blocks;
        self.blocks += 1;
        index
    }

    /// The index of the open part's block.
    fn index(&mut self) -> Option<u64> {
        match self.open {
            Open::None => None,
            Open::Block(index) | Open::Custom(index) => Some(index),
            Open::Waiting => {
                let index = self.next();
                self.open = Open::Block(index);
                Some(index)
            }
        }
    }

    fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>) {
        let Some(index) = self.index() else { return };
        match delta {
            Delta::Text(text) | Delta::Refusal(text) => {
                write_delta(out, index, |object| object.string("text", text));
            }
            Delta::Thinking(text) => write_delta(out, index, |object| {
                object.object("reasoningContent", |object| object.string("text", text));
            }),
            Delta::Signature(text) => write_delta(out, index, |object| {
                object.object("reasoningContent", |object| object.string("signature", text));
            }),
            Delta::Arguments(text) if matches!(self.open, Open::Custom(_)) => {
                let quoted = Json::of(text);
                let inside = quoted.as_str().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
                write_input(out, index, inside.unwrap_or_default());
            }
            Delta::Arguments(text) => write_input(out, index, text),
            Delta::Citation(citation) => {
                let json = response::citation(citation);
                write_delta(out, index, |object| object.json("citation", &json));
            }
        }
    }

    fn stop_part(&mut self, out: &mut Vec<u8>) {
        let index = match std::mem::take(&mut self.open) {
            Open::None | Open::Waiting => return,
            Open::Block(index) => index,
            Open::Custom(index) => {
                write_input(out, index, "\"}");
                index
            }
        };
        write(out, "contentBlockStop", |object| object.count("contentBlockIndex", index));
    }

    fn end(&mut self, out: &mut Vec<u8>, loss: &mut Loss) {
        self.stop_part(out);
        let stop = response::settled(self.stop.take(), self.calls, self.refused).unwrap_or(Stop::EndTurn);
        write(out, "messageStop", |object| {
            object.string("stopReason", stop::word(&stop, loss));
            response::write_additional(object, Some(&stop), &self.extra);
        });
        write(out, "metadata", |object| {
            object.object("usage", |object| usage::write(object, &self.usage));
            object.object("metrics", |object| object.count("latencyMs", 0));
            response::write_rest(object, self.service_tier.as_deref(), &self.extra);
        });
    }
}

/// An event in this dialect's own words. One that speaks of a block would have to be counted anew.
fn foreign(name: Option<&str>, json: &Json, out: &mut Vec<u8>, loss: &mut Loss) {
    let fields = crate::Fields::read(json.as_str().as_bytes());
    match name {
        Some(name) if fields.is_ok_and(|fields| fields.get("contentBlockIndex").is_none()) => {
            eventstream::write(out, eventstream::Kind::Event, name, |out| {
                out.extend_from_slice(json.as_str().as_bytes());
            });
        }
        _ => loss.note("event"),
    }
}

fn write_delta(out: &mut Vec<u8>, index: u64, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
    write(out, "contentBlockDelta", |object| {
        object.object("delta", fill);
        object.count("contentBlockIndex", index);
    });
}

fn write_input(out: &mut Vec<u8>, index: u64, text: &str) {
    write_delta(out, index, |object| {
        object.object("toolUse", |object| object.string("input", text));
    });
}

fn write(out: &mut Vec<u8>, name: &str, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
    eventstream::write(out, eventstream::Kind::Event, name, |out| object(out, fill));
}
