//! Streams to callers.

use super::message::{annotation, stop_word};
use super::write::tier;
use super::{HERE, error, usage};
use crate::chat::{Content, ToolKind};
use crate::event::{Delta, Event, PartKind};
use crate::object::{ObjectWriter, object};
use crate::peek::push_key;
use crate::{Encoder, EncoderOptions, Json, Loss, PublicError, SmallMap, Usage};

/// Writes one stream: a chunk with the role first, then deltas, for each choice a chunk with its reason to stop, usage
/// if it was asked for, and `[DONE]` if the upstream said its end.
#[derive(Debug)]
pub(super) struct StreamEncoder {
    options: EncoderOptions,
    /// What stands in every chunk before its choices.
    head: Vec<u8>,
    service_tier: Option<String>,
    /// Facts about the whole answer that were not told yet.
    beside: Vec<(String, Json)>,
    choices: SmallMap<u32, Choice>,
    usage: Usage,
}

#[derive(Debug, Default)]
struct Choice {
    /// How many calls there were: their index counts nothing else.
    calls: u32,
    kind: ToolKind,
    /// The open call has arguments already.
    arguments: bool,
    /// The open thought and its signature.
    thought: String,
    signature: String,
}

impl StreamEncoder {
    pub(super) fn new(options: EncoderOptions) -> Self {
        Self {
            head: head("", options.model.as_deref().unwrap_or_default(), options.created),
            options,
            service_tier: None,
            beside: Vec::new(),
            choices: SmallMap::new(),
            usage: Usage::default(),
        }
    }

    /// Writes one chunk; `choices` fills the list's inside.
    fn chunk(&mut self, out: &mut Vec<u8>, usage: Option<&Usage>, choices: impl FnOnce(&mut Vec<u8>)) {
        let start = out.len();
        out.extend_from_slice(&self.head);
        choices(out);
        out.push(b']');
        let mut field = |name: &str, json: &str| {
            out.push(b',');
            push_key(out, name);
            out.extend_from_slice(json.as_bytes());
        };
        if let Some(tier) = tier(self.service_tier.as_deref()) {
            field("service_tier", Json::of(&tier).as_str());
        }
        for (name, json) in self.beside.drain(..) {
            field(&name, json.as_str());
        }
        if let Some(usage) = usage {
            out.extend_from_slice(b",\"usage\":");
            object(out, |object| usage::write(object, usage));
        } else if self.options.usage {
            out.extend_from_slice(b",\"usage\":null");
        }
        out.push(b'}');
        // JSON that is passed on may have line breaks between its fields, and a break would end the frame.
        for byte in out.get_mut(start..).unwrap_or_default() {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
        out.extend_from_slice(b"\n\n");
    }

    fn choice_chunk(
        &mut self,
        out: &mut Vec<u8>,
        choice: u32,
        stop: Option<&str>,
        delta: impl FnOnce(&mut ObjectWriter<'_>),
    ) {
        self.chunk(out, None, |out| {
            object(out, |object| {
                object.count("index", u64::from(choice));
                object.object("delta", delta);
                object.maybe("finish_reason", stop);
            });
        });
    }

    /// The chunk with the role, once per choice.
    fn begin(&mut self, choice: u32, with_text: bool, out: &mut Vec<u8>) {
        if self.choices.contains_key(&choice) {
            return;
        }
        self.choices.insert(choice, Choice::default());
        self.choice_chunk(out, choice, None, |delta| {
            delta.string("role", "assistant");
            delta.maybe("content", with_text.then_some(""));
        });
    }

    fn part(&mut self, choice: u32, kind: &PartKind, out: &mut Vec<u8>, loss: &mut Loss) {
        self.begin(choice, !matches!(kind, PartKind::ToolCall { .. }), out);
        let Some(state) = self.choices.get_mut(&choice) else { return };
        match kind {
            PartKind::Text | PartKind::Refusal => {}
            PartKind::Thinking => {
                state.thought.clear();
                state.signature.clear();
            }
            PartKind::RedactedThinking { data } => self.choice_chunk(out, choice, None, |delta| {
                delta.list("thinking_blocks", |list| list.object(|block| redacted(block, data)));
            }),
            PartKind::ToolCall { id, name, kind } => {
                let index = u64::from(state.calls);
                state.calls += 1;
                state.kind = *kind;
                state.arguments = false;
                self.choice_chunk(out, choice, None, |delta| {
                    delta.list("tool_calls", |list| {
                        list.object(|call| {
                            call.count("index", index);
                            call.string("id", id);
                            let (word, key) = words(*kind);
                            call.string("type", word);
                            call.object(word, |function| {
                                function.string("name", name);
                                function.string(key, "");
                            });
                        });
                    });
                });
            }
            PartKind::Whole(content) => match content.as_ref() {
                Content::Image { source, .. } if source.to_url().is_some() => {
                    self.choice_chunk(out, choice, None, |delta| {
                        delta
                            .list("images", |list| list.object(|image| super::message::image(image, source)));
                    });
                }
                _ => loss.note("content.media"),
            },
            PartKind::Foreign { dialect: HERE, json } => self.choice_chunk(out, choice, None, |delta| {
                for (name, value) in super::message::fields_of(json) {
                    delta.json(&name, &value);
                }
            }),
            PartKind::Foreign { .. } => loss.note("content.foreign"),
        }
    }

    fn delta(&mut self, choice: u32, delta: &Delta, out: &mut Vec<u8>, loss: &mut Loss) {
        self.begin(choice, true, out);
        let Some(state) = self.choices.get_mut(&choice) else { return };
        match delta {
            Delta::Text(text) => self.choice_chunk(out, choice, None, |delta| delta.string("content", text)),
            Delta::Refusal(text) => {
                self.choice_chunk(out, choice, None, |delta| delta.string("refusal", text));
            }
            Delta::Thinking(text) => {
                state.thought.push_str(text);
                self.choice_chunk(out, choice, None, |delta| delta.string("reasoning_content", text));
            }
            Delta::Signature(text) => state.signature.push_str(text),
            Delta::Arguments(text) => {
                state.arguments |= !text.is_empty();
                self.arguments(choice, text, out);
            }
            Delta::Citation(citation) => {
                if let Some(json) = annotation(citation) {
                    self.choice_chunk(out, choice, None, |delta| {
                        delta.list("annotations", |list| list.json(&json));
                    });
                } else {
                    loss.note("content.citations");
                }
            }
        }
    }

    /// A fragment for the last call.
    fn arguments(&mut self, choice: u32, text: &str, out: &mut Vec<u8>) {
        let Some(state) = self.choices.get(&choice) else { return };
        let index = u64::from(state.calls.saturating_sub(1));
        let (word, key) = words(state.kind);
        self.choice_chunk(out, choice, None, |delta| {
            delta.list("tool_calls", |list| {
                list.object(|call| {
                    call.count("index", index);
                    call.object(word, |function| function.string(key, text));
                });
            });
        });
    }

    fn part_stop(&mut self, choice: u32, out: &mut Vec<u8>) {
        let Some(state) = self.choices.get_mut(&choice) else { return };
        let (thought, signature) = (std::mem::take(&mut state.thought), std::mem::take(&mut state.signature));
        if !signature.is_empty() {
            self.choice_chunk(out, choice, None, |delta| {
                delta
                    .list("thinking_blocks", |list| list.object(|block| signed(block, &thought, &signature)));
            });
        }
    }
}

/// `"{}"` for a call that was opened and got no arguments.
fn lacks_arguments(state: &Choice) -> bool {
    state.calls > 0 && !state.arguments && state.kind == ToolKind::Function
}

impl Encoder for StreamEncoder {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>, loss: &mut Loss) {
        match event {
            Event::Start { id, model, created } => {
                let model = self.options.model.as_deref().unwrap_or(model);
                self.head = head(id, model, created.unwrap_or(self.options.created));
            }
            Event::PartStart { choice, kind, .. } => self.part(*choice, kind, out, loss),
            Event::Delta { choice, delta, .. } => self.delta(*choice, delta, out, loss),
            Event::PartStop { choice, .. } => {
                if self.choices.get(choice).is_some_and(lacks_arguments) {
                    self.arguments(*choice, "{}", out);
                    if let Some(state) = self.choices.get_mut(choice) {
                        state.arguments = true;
                    }
                }
                self.part_stop(*choice, out);
            }
            Event::Stop { choice, stop } => {
                self.begin(*choice, true, out);
                let calls = self.choices.get(choice).is_some_and(|state| state.calls > 0);
                let word = stop_word(stop, calls, loss);
                self.choice_chunk(out, *choice, Some(word), |_| {});
            }
            Event::Usage(usage) => self.usage = *usage,
            Event::Meta { service_tier, extra } => {
                if service_tier.is_some() {
                    self.service_tier.clone_from(service_tier);
                }
                self.beside.extend(extra.of(HERE).iter().cloned());
                loss.note_extra(extra, HERE, "");
            }
            Event::Ping => out.extend_from_slice(b": ping\n\n"),
            Event::Logprobs { choice, json } => {
                self.begin(*choice, true, out);
                self.chunk(out, None, |out| {
                    object(out, |object| {
                        object.count("index", u64::from(*choice));
                        object.raw("delta", "{}");
                        object.json("logprobs", json);
                        object.raw("finish_reason", "null");
                    });
                });
            }
            // Events that only another dialect, or only the upstream, knows; the driver counts them.
            Event::Foreign { .. } => {}
            Event::Error(failed) => self.error(&PublicError::from(failed), out),
            Event::End => {
                if self.options.usage {
                    let usage = self.usage;
                    self.chunk(out, Some(&usage), |_| {});
                }
                out.extend_from_slice(b"data: [DONE]\n\n");
            }
        }
    }

    fn error(&mut self, failed: &PublicError, out: &mut Vec<u8>) {
        out.extend_from_slice(b"data: ");
        object(out, |object| error::fill(object, failed));
        out.extend_from_slice(b"\n\n");
    }
}

/// The beginning of every chunk, up to and including the bracket that opens its choices.
fn head(id: &str, model: &str, created: u64) -> Vec<u8> {
    let mut out = b"data: ".to_vec();
    object(&mut out, |object| {
        object.string("id", id);
        object.string("object", "chat.completion.chunk");
        object.count("created", created);
        object.string("model", model);
    });
    out.pop();
    out.extend_from_slice(b",\"choices\":[");
    out
}

/// The word for a kind of tool, and the key of what is said to it.
fn words(kind: ToolKind) -> (&'static str, &'static str) {
    match kind {
        ToolKind::Function => ("function", "arguments"),
        ToolKind::Custom => ("custom", "input"),
    }
}

/// Fills a thought of the extension.
pub(super) fn signed(block: &mut ObjectWriter<'_>, thought: &str, signature: &str) {
    block.string("type", "thinking");
    block.string("thinking", thought);
    block.string("signature", signature);
}

pub(super) fn redacted(block: &mut ObjectWriter<'_>, data: &str) {
    block.string("type", "redacted_thinking");
    block.string("data", data);
}
