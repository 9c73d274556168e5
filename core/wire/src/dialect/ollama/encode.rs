//! Streams to callers.

use super::response::{write_call, write_logprobs, write_usage};
use super::{HERE, error, generate, stop_word, time};
use crate::chat::Stop;
use crate::event::{Delta, Event, PartKind};
use crate::object::{ObjectWriter, object};
use crate::{Encoder, EncoderOptions, Loss, PublicError, Usage};

/// Writes one stream, a line for what is said. Calls are held back until they are whole, for this dialect has no pieces
/// of them.
#[derive(Debug)]
pub(super) struct StreamEncoder {
    options: EncoderOptions,
    /// What stands in every line before its message.
    head: Vec<u8>,
    calls: u64,
    call: Option<Call>,
    stop: Option<Stop>,
    usage: Usage,
}

#[derive(Debug)]
struct Call {
    id: String,
    name: String,
    arguments: String,
}

impl StreamEncoder {
    pub(super) fn new(options: EncoderOptions) -> Self {
        let head = head(options.model.as_deref().unwrap_or_default(), options.created);
        Self { options, head, calls: 0, call: None, stop: None, usage: Usage::default() }
    }

    /// Writes one line: `message` fills the message, `rest` what follows it.
    fn line(
        &self,
        out: &mut Vec<u8>,
        message: impl FnOnce(&mut ObjectWriter<'_>),
        rest: impl FnOnce(&mut ObjectWriter<'_>),
    ) {
        let start = out.len();
        out.extend_from_slice(&self.head);
        let mut said = Vec::new();
        object(&mut said, |object| {
            object.object("message", |object| {
                object.string("role", "assistant");
                message(object);
            });
            rest(object);
        });
        out.extend_from_slice(said.get(1..).unwrap_or_default());
        if self.options.prompt {
            let line = out.split_off(start);
            generate::of_chat(&line, out);
        }
        out.push(b'\n');
    }

    fn says(&self, out: &mut Vec<u8>, message: impl FnOnce(&mut ObjectWriter<'_>)) {
        self.line(out, message, |object| object.flag("done", false));
    }

    fn part(&mut self, kind: &PartKind, loss: &mut Loss) {
        match kind {
            PartKind::Text | PartKind::Thinking => {}
            PartKind::Refusal => loss.note("content.refusal"),
            PartKind::ToolCall { id, name, .. } => {
                self.call = Some(Call { id: id.clone(), name: name.clone(), arguments: String::new() });
            }
            PartKind::Whole(_) => loss.note("content.media"),
            PartKind::RedactedThinking { .. } => loss.note("content.redacted_thinking"),
            PartKind::Foreign { .. } => loss.note("content.foreign"),
        }
    }

    fn delta(&mut self, delta: &Delta, out: &mut Vec<u8>, loss: &mut Loss) {
        match delta {
            Delta::Text(text) | Delta::Refusal(text) if text.is_empty() => {}
            Delta::Text(text) | Delta::Refusal(text) => {
                self.says(out, |message| message.string("content", text));
            }
            Delta::Thinking(text) => self.says(out, |message| {
                message.string("content", "");
                message.string("thinking", text);
            }),
            Delta::Signature(_) => loss.note("content.signature"),
            Delta::Arguments(text) => {
                if let Some(call) = &mut self.call {
                    call.arguments.push_str(text);
                }
            }
            Delta::Citation(_) => loss.note("content.citations"),
        }
    }

    fn part_stop(&mut self, out: &mut Vec<u8>, loss: &mut Loss) {
        let Some(call) = self.call.take() else { return };
        let index = self.calls;
        self.calls += 1;
        self.says(out, |message| {
            message.string("content", "");
            message.list("tool_calls", |list| {
                write_call(list, index, &call.id, &call.name, &call.arguments, loss);
            });
        });
    }

    fn end(&mut self, out: &mut Vec<u8>, loss: &mut Loss) {
        let stop = self.stop.take().unwrap_or(Stop::EndTurn);
        let reason = stop_word(&stop, loss);
        self.line(
            out,
            |message| message.string("content", ""),
            |object| {
                object.flag("done", true);
                object.string("done_reason", reason);
                write_usage(object, &self.usage);
            },
        );
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
            Event::Start { model, created, .. } => {
                let model = self.options.model.as_deref().unwrap_or(model);
                self.head = head(model, created.unwrap_or(self.options.created));
            }
            Event::PartStart { kind, .. } => self.part(kind, loss),
            Event::Delta { delta, .. } => self.delta(delta, out, loss),
            Event::PartStop { .. } => self.part_stop(out, loss),
            Event::Stop { stop, .. } => self.stop = Some(stop.clone()),
            Event::Usage(usage) => self.usage = *usage,
            Event::Meta { service_tier, extra } => {
                if service_tier.is_some() {
                    loss.note("service_tier");
                }
                loss.note_extra(extra, HERE, "");
            }
            // A blank line, which every reader of lines would take for one that is broken, says nothing here.
            Event::Ping | Event::Foreign { .. } => {}
            Event::Logprobs { json, .. } => self.line(
                out,
                |message| message.string("content", ""),
                |object| {
                    object.flag("done", false);
                    write_logprobs(object, json, loss);
                },
            ),
            Event::Error(failed) => self.error(&PublicError::from(failed), out),
            Event::End => self.end(out, loss),
        }
    }

    fn error(&mut self, failed: &PublicError, out: &mut Vec<u8>) {
        object(out, |object| error::fill(object, failed));
        out.push(b'\n');
    }
}

/// The beginning of every line, up to and including the comma before its message.
fn head(model: &str, created: u64) -> Vec<u8> {
    let mut out = Vec::new();
    object(&mut out, |object| {
        object.string("model", model);
        object.string("created_at", &time::write(created));
    });
    out.pop();
    out.push(b',');
    out
}
