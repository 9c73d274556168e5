//! Streams to callers.

use super::message::stop_word;
use super::{HERE, document, logprobs, usage};
use crate::chat::{Citation, Stop, ToolKind};
use crate::event::{Delta, Event, PartKind};
use crate::object::{ObjectWriter, object};
use crate::{Encoder, Json, Loss, PublicError, Usage};

/// Writes one stream. Why the model stopped is told with its usage, in the one event that ends it.
#[derive(Debug, Default)]
pub(super) struct StreamEncoder {
    /// How many items of content there were, and the kind of the open part.
    items: u64,
    calls: u64,
    citations: u64,
    open: Option<Open>,
    stop: Option<Stop>,
    usage: Usage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Text,
    Thinking,
    /// Whether it has arguments already.
    Call {
        arguments: bool,
    },
}

impl StreamEncoder {
    /// The index of the last item of content.
    fn item(&self) -> u64 {
        self.items.saturating_sub(1)
    }

    fn part(&mut self, kind: &PartKind, out: &mut Vec<u8>, loss: &mut Loss) {
        match kind {
            PartKind::Text => self.content_start(Open::Text, out),
            PartKind::Refusal => {
                loss.note("content.refusal");
                self.content_start(Open::Text, out);
            }
            PartKind::Thinking => self.content_start(Open::Thinking, out),
            PartKind::ToolCall { id, name, kind } => {
                if *kind == ToolKind::Custom {
                    loss.note("content.tool_calls.type");
                }
                self.open = Some(Open::Call { arguments: false });
                self.calls += 1;
                frame(out, "tool-call-start", |event| {
                    event.count("index", self.calls - 1);
                    message(event, |message| {
                        message.object("tool_calls", |call| {
                            call.string("id", id);
                            call.string("type", "function");
                            call.object("function", |function| {
                                function.string("name", name);
                                function.string("arguments", "");
                            });
                        });
                    });
                });
            }
            PartKind::Foreign { dialect: HERE, json } => self.citation(json, out),
            PartKind::RedactedThinking { .. } => loss.note("content.redacted_thinking"),
            PartKind::Whole(_) => loss.note("content.media"),
            PartKind::Foreign { .. } => loss.note("content.foreign"),
        }
    }

    fn content_start(&mut self, open: Open, out: &mut Vec<u8>) {
        self.open = Some(open);
        self.items += 1;
        let kind = if open == Open::Thinking { "thinking" } else { "text" };
        frame(out, "content-start", |event| {
            event.count("index", self.item());
            message(event, |message| {
                message.object("content", |content| {
                    content.string("type", kind);
                    content.string(kind, "");
                });
            });
        });
    }

    fn content_delta(&self, key: &str, text: &str, out: &mut Vec<u8>) {
        frame(out, "content-delta", |event| {
            event.count("index", self.item());
            message(event, |message| message.object("content", |content| content.string(key, text)));
        });
    }

    fn arguments(&mut self, text: &str, out: &mut Vec<u8>) {
        self.open = Some(Open::Call { arguments: true });
        frame(out, "tool-call-delta", |event| {
            event.count("index", self.calls.saturating_sub(1));
            message(event, |message| {
                message.object("tool_calls", |call| {
                    call.object("function", |function| function.string("arguments", text));
                });
            });
        });
    }

    fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>, loss: &mut Loss) {
        match delta {
            Delta::Text(text) | Delta::Refusal(text) => self.content_delta("text", text, out),
            Delta::Thinking(text) => self.content_delta("thinking", text, out),
            Delta::Signature(_) => loss.note("content.signature"),
            Delta::Arguments(text) if text.is_empty() => {}
            Delta::Arguments(text) => self.arguments(text, out),
            Delta::Citation(citation) => self.cite(citation, out),
        }
    }

    fn cite(&mut self, citation: &Citation, out: &mut Vec<u8>) {
        if let Some(json) = document::citation(citation, self.item(), None) {
            self.citation(&json, out);
        }
    }

    fn citation(&mut self, json: &Json, out: &mut Vec<u8>) {
        let index = self.citations;
        self.citations += 1;
        frame(out, "citation-start", |event| {
            event.count("index", index);
            message(event, |message| message.json("citations", json));
        });
        frame(out, "citation-end", |event| event.count("index", index));
    }

    fn part_stop(&mut self, out: &mut Vec<u8>) {
        match self.open {
            Some(Open::Text | Open::Thinking) => {
                frame(out, "content-end", |event| event.count("index", self.item()));
            }
            Some(Open::Call { arguments }) => {
                if !arguments {
                    self.arguments("{}", out);
                }
                frame(out, "tool-call-end", |event| event.count("index", self.calls.saturating_sub(1)));
            }
            None => {}
        }
        self.open = None;
    }

    fn logprobs(&self, json: &Json, out: &mut Vec<u8>, loss: &mut Loss) {
        let Some(pieces) = logprobs::write(json) else { return loss.note("logprobs") };
        for piece in pieces {
            frame(out, "content-delta", |event| {
                event.count("index", self.item());
                message(event, |message| message.object("content", |content| content.string("text", "")));
                event.json("logprobs", &piece);
            });
        }
    }

    fn end(&mut self, out: &mut Vec<u8>, loss: &mut Loss) {
        let stop = self.stop.take().unwrap_or(Stop::EndTurn);
        let reason = stop_word(&stop, self.calls > 0, loss);
        frame(out, "message-end", |event| {
            event.object("delta", |delta| {
                delta.string("finish_reason", reason);
                delta.object("usage", |object| usage::write(object, &self.usage));
            });
        });
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

impl Encoder for StreamEncoder {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>, loss: &mut Loss) {
        match event {
            // There is one answer.
            Event::PartStart { choice: 1.., .. }
            | Event::Delta { choice: 1.., .. }
            | Event::PartStop { choice: 1.., .. }
            | Event::Stop { choice: 1.., .. }
            | Event::Logprobs { choice: 1.., .. } => loss.note("choices"),
            Event::Start { id, .. } => frame(out, "message-start", |event| {
                event.string("id", id);
                message(event, |message| {
                    message.string("role", "assistant");
                    message.raw("content", "[]");
                    message.string("tool_plan", "");
                    message.raw("tool_calls", "[]");
                    message.raw("citations", "[]");
                });
            }),
            Event::PartStart { kind, .. } => self.part(kind, out, loss),
            Event::Delta { delta, .. } => self.delta(delta, out, loss),
            Event::PartStop { .. } => self.part_stop(out),
            Event::Stop { stop, .. } => self.stop = Some(stop.clone()),
            Event::Usage(usage) => self.usage = *usage,
            Event::Meta { service_tier, extra } => {
                if service_tier.is_some() {
                    loss.note("service_tier");
                }
                loss.note_extra(extra, HERE, "");
            }
            Event::Ping => out.extend_from_slice(b": ping\n\n"),
            Event::Logprobs { json, .. } => self.logprobs(json, out, loss),
            // Events that only another dialect, or only the upstream, knows; the driver counts them.
            Event::Foreign { .. } => {}
            Event::Error(failed) => self.error(&PublicError::from(failed), out),
            Event::End => self.end(out, loss),
        }
    }

    fn error(&mut self, failed: &PublicError, out: &mut Vec<u8>) {
        frame(out, "message-end", |event| {
            if let Some(id) = &failed.request_id {
                event.string("id", id);
            }
            event.object("delta", |delta| {
                delta.string("finish_reason", "ERROR");
                delta.string("error", &failed.message);
            });
        });
    }
}

/// Writes one event.
fn frame(out: &mut Vec<u8>, kind: &str, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    object(out, |event| {
        event.string("type", kind);
        fill(event);
    });
    out.extend_from_slice(b"\n\n");
}

/// Fills what every event has around what it says.
fn message(event: &mut ObjectWriter<'_>, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
    event.object("delta", |delta| delta.object("message", fill));
}
