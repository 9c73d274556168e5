//! Streams of this dialect, written: each chunk a whole object of the form of an answer.

use crate::chat::{Citation, Content, Extra, Part, Stop, ToolKind};
use crate::event::{Delta, Event, PartKind};
use crate::object::{ListWriter, ObjectWriter, object};
use crate::{DialectId, Encoder, EncoderOptions, Json, Loss, PublicError, SmallMap, Usage};

use super::response::{
    function_call, is_blocked, note_tier, redacted, thought, write_end, write_nested, write_part, write_top,
};
use super::{error, logprobs, usage};

const HERE: DialectId = DialectId::Gemini;

/// Writes one stream to a caller: server-sent events, or one list where the caller asked for none.
///
/// Calls come whole, with the proof of the thought before them; reasons to stop, usage and what else stands beside the
/// content come at the end.
#[derive(Debug, Default)]
pub(super) struct StreamEncoder {
    options: EncoderOptions,
    id: String,
    model: String,
    /// Something of the list was written.
    begun: bool,
    /// Some candidate has said something.
    spoke: bool,
    choices: SmallMap<u32, Choice>,
    usage: Usage,
    extra: Extra,
}

#[derive(Debug, Default)]
struct Choice {
    open: Open,
    /// A thought's proof that waits for the call it may belong to, and whether the thought had words.
    proof: Option<(String, bool)>,
    /// What was said aloud, for offsets of citations.
    text: String,
    /// Where in it the open part began.
    part: u64,
    citations: Vec<Citation>,
    stop: Option<Stop>,
}

#[derive(Debug, Default)]
enum Open {
    #[default]
    None,
    Text,
    Thinking {
        words: bool,
        signature: String,
    },
    Call {
        id: String,
        name: String,
        kind: ToolKind,
        arguments: String,
    },
}

impl StreamEncoder {
    pub(super) fn new(options: EncoderOptions) -> Self {
        Self { options, ..Self::default() }
    }

    /// Writes one chunk through `fill`.
    fn chunk(&mut self, out: &mut Vec<u8>, fill: impl FnOnce(&Self, &mut ObjectWriter<'_>)) {
        self.begin(out);
        object(out, |object| {
            fill(self, object);
            object.string("modelVersion", &self.model);
            object.string("responseId", &self.id);
        });
        if !self.options.list {
            out.extend_from_slice(b"\r\n\r\n");
        }
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        let first = !std::mem::replace(&mut self.begun, true);
        out.extend_from_slice(match (self.options.list, first) {
            (false, _) => b"data: ",
            (true, true) => b"[",
            (true, false) => b",\r\n",
        });
    }

    /// A chunk with one part.
    fn part(&mut self, choice: u32, part: &Json, out: &mut Vec<u8>) {
        self.spoke = true;
        self.chunk(out, |_, object| {
            object.list("candidates", |list| {
                list.object(|object| {
                    write_content(object, |list| list.json(part));
                    object.count("index", u64::from(choice));
                });
            });
        });
    }

    /// A proof that no call has taken.
    fn flush(&mut self, choice: u32, out: &mut Vec<u8>) {
        let taken = self.choices.entry(choice).or_default().proof.take();
        if let Some((signature, words)) = taken {
            let part = if words {
                super::response::part_of(|part| {
                    part.string("text", "");
                    part.flag("thought", true);
                    part.string("thoughtSignature", &super::proof::kept(&signature));
                })
            } else {
                thought("", Some(&signature))
            };
            self.part(choice, &part, out);
        }
    }

    fn start(&mut self, choice: u32, kind: &PartKind, out: &mut Vec<u8>, loss: &mut Loss) {
        if !matches!(kind, PartKind::ToolCall { .. }) {
            self.flush(choice, out);
        }
        let state = self.choices.entry(choice).or_default();
        state.open = match kind {
            PartKind::Text | PartKind::Refusal => {
                state.part = u64::try_from(state.text.chars().count()).unwrap_or(u64::MAX);
                Open::Text
            }
            PartKind::Thinking => Open::Thinking { words: false, signature: String::new() },
            PartKind::ToolCall { id, name, kind } => {
                Open::Call { id: id.clone(), name: name.clone(), kind: *kind, arguments: String::new() }
            }
            PartKind::RedactedThinking { data } => {
                self.part(choice, &redacted(data), out);
                return;
            }
            PartKind::Foreign { dialect: HERE, json } => {
                self.part(choice, json, out);
                return;
            }
            PartKind::Foreign { .. } => {
                loss.note("content.foreign");
                Open::None
            }
            PartKind::Whole(content) => {
                let part = Part::from(Content::clone(content));
                if let Some(json) = write_part(&part, false, None, loss) {
                    self.part(choice, &json, out);
                }
                return;
            }
        };
    }

    fn delta(&mut self, choice: u32, delta: &Delta, out: &mut Vec<u8>) {
        let state = self.choices.entry(choice).or_default();
        match (delta, &mut state.open) {
            (Delta::Text(text) | Delta::Refusal(text), _) => {
                state.text.push_str(text);
                self.spoken(choice, text, false, out);
            }
            (Delta::Thinking(text), open) => {
                if let Open::Thinking { words, .. } = open {
                    *words |= !text.is_empty();
                }
                self.spoken(choice, text, true, out);
            }
            (Delta::Signature(more), Open::Thinking { signature, .. }) => signature.push_str(more),
            (Delta::Arguments(more), Open::Call { arguments, .. }) => arguments.push_str(more),
            (Delta::Citation(citation), _) => {
                let mut citation = Citation::clone(citation);
                let base = state.part;
                citation.start = citation.start.map(|start| start.saturating_add(base));
                citation.end = citation.end.map(|end| end.saturating_add(base));
                state.citations.push(citation);
            }
            (Delta::Signature(_) | Delta::Arguments(_), _) => {}
        }
    }

    /// The chunk that nearly all of a stream is made of.
    fn spoken(&mut self, choice: u32, text: &str, thinking: bool, out: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        self.spoke = true;
        self.chunk(out, |_, object| {
            object.list("candidates", |list| {
                list.object(|object| {
                    write_content(object, |list| {
                        list.object(|part| {
                            part.string("text", text);
                            if thinking {
                                part.flag("thought", true);
                            }
                        });
                    });
                    object.count("index", u64::from(choice));
                });
            });
        });
    }

    fn stop(&mut self, choice: u32, out: &mut Vec<u8>, loss: &mut Loss) {
        let state = self.choices.entry(choice).or_default();
        match std::mem::take(&mut state.open) {
            Open::None | Open::Text => {}
            Open::Thinking { words, signature } => {
                if !signature.is_empty() {
                    state.proof = Some((signature, words));
                }
            }
            Open::Call { id, name, kind, arguments } => {
                let proof = state.proof.take().map(|(signature, _)| signature);
                let part = function_call(&id, &name, &arguments, kind, proof.as_deref(), loss);
                self.part(choice, &part, out);
            }
        }
    }

    fn end(&mut self, out: &mut Vec<u8>, loss: &mut Loss) {
        let indexes: Vec<u32> = self.choices.keys().copied().collect();
        for index in indexes {
            self.flush(index, out);
        }
        let mut choices = std::mem::take(&mut self.choices);
        if choices.is_empty() {
            choices.insert(0, Choice::default());
        }
        for (_, choice) in choices.iter_mut().filter(|(_, choice)| choice.stop.is_none()) {
            // The upstream said its end and no reason; here a reason is what says the end.
            loss.note("finishReason");
            choice.stop = Some(Stop::EndTurn);
        }
        self.chunk(out, |this, object| {
            if this.spoke || !is_blocked(&this.extra) {
                object.list("candidates", |list| {
                    for (index, choice) in &choices {
                        list.object(|object| {
                            // Readers look for content in every chunk.
                            write_content(object, |list| list.object(|part| part.string("text", "")));
                            let texts = [(0, choice.text.as_str(), choice.citations.as_slice())];
                            write_end(object, *index, choice.stop.as_ref(), &texts, &this.extra, loss);
                            write_nested(object, &this.extra, &format!("candidates[{index}]."));
                        });
                    }
                });
            }
            object.object("usageMetadata", |object| {
                usage::write(object, &this.usage);
                write_nested(object, &this.extra, "usageMetadata.");
            });
            write_top(object, &this.extra);
        });
        if self.options.list {
            out.extend_from_slice(b"]");
        }
    }
}

impl Encoder for StreamEncoder {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>, loss: &mut Loss) {
        match event {
            Event::Start { id, model, .. } => {
                id.clone_into(&mut self.id);
                self.options.model.as_ref().unwrap_or(model).clone_into(&mut self.model);
            }
            Event::PartStart { choice, kind, extra, .. } => {
                loss.note_extra(extra, HERE, "content");
                self.start(*choice, kind, out, loss);
            }
            Event::Delta { choice, delta, .. } => self.delta(*choice, delta, out),
            Event::PartStop { choice, .. } => self.stop(*choice, out, loss),
            Event::Stop { choice, stop } => {
                self.choices.entry(*choice).or_default().stop = Some(stop.clone());
            }
            Event::Usage(usage) => self.usage = *usage,
            Event::Meta { service_tier, extra } => {
                note_tier(service_tier.as_deref(), loss);
                loss.note_extra(extra, HERE, "");
                if extra.dialect == Some(HERE) {
                    self.extra.dialect = Some(HERE);
                    self.extra.fields.extend(extra.fields.iter().cloned());
                }
            }
            // A comment would be taken for an answer by the vendor's own client; an empty line is not.
            Event::Ping => out.extend_from_slice(b"\n"),
            Event::Logprobs { choice, json } => {
                if let Some(json) = logprobs::write(json) {
                    self.chunk(out, |_, object| {
                        object.list("candidates", |list| {
                            list.object(|object| {
                                object.count("index", u64::from(*choice));
                                object.json("logprobsResult", &json);
                            });
                        });
                    });
                }
            }
            Event::Foreign { dialect: HERE, json, .. } => {
                self.begin(out);
                out.extend_from_slice(json.as_str().as_bytes());
                if !self.options.list {
                    out.extend_from_slice(b"\r\n\r\n");
                }
            }
            Event::Foreign { .. } => loss.note("event"),
            Event::Error(failed) => self.error(&PublicError::from(failed), out),
            Event::End => self.end(out, loss),
        }
    }

    fn error(&mut self, failed: &PublicError, out: &mut Vec<u8>) {
        self.begin(out);
        object(out, |object| error::fill(object, failed));
        out.extend_from_slice(if self.options.list { b"]" } else { b"\r\n\r\n" });
    }
}

fn write_content(object: &mut ObjectWriter<'_>, fill: impl FnOnce(&mut ListWriter<'_>)) {
    object.object("content", |content| {
        content.list("parts", fill);
        content.string("role", "model");
    });
}
