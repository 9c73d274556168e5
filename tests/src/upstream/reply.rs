//! A well-formed answer of a model, written in the dialect that was asked: whole, or as a stream that can be cut anywhere.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Dialect, Gate, Piece};

/// What a model answers. Its parts come in order; a stream sends each text fragment as an event of its own.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    parts: Vec<Part>,
    usage: Usage,
    stop: Option<&'static str>,
    pause: Option<Duration>,
    bytes_a_write: Option<usize>,
    ending: Option<(usize, Ending)>,
}

/// True usage, in tokens. `input` counts what was neither read from nor written to a cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub input: u64,
    pub cache_read: u64,
    pub cache_write: u64,
    pub output: u64,
}

/// How a stream goes wrong after some of its content events.
#[derive(Debug, Clone)]
pub enum Ending {
    /// The connection breaks.
    Cut,
    /// The body ends cleanly, but without the dialect's closing events.
    Close,
    /// An error event of the dialect, then a clean end.
    Error,
    /// Nothing more comes, and the connection stays.
    Silence,
    /// Goes on to the regular end when the gate opens.
    Gate(Gate),
}

#[derive(Debug, Clone)]
enum Part {
    Text(Vec<String>),
    Thinking { text: String, signature: String },
    Tool { id: String, name: String, arguments: Vec<String> },
}

impl Reply {
    /// One text part, in fragments.
    pub fn text<S: Into<String>>(fragments: impl IntoIterator<Item = S>) -> Self {
        Self::default().and_text(fragments)
    }

    #[must_use]
    pub fn and_text<S: Into<String>>(mut self, fragments: impl IntoIterator<Item = S>) -> Self {
        self.parts.push(Part::Text(fragments.into_iter().map(Into::into).collect()));
        self
    }

    /// Signed reasoning; only the Anthropic dialect can carry the signature.
    #[must_use]
    pub fn and_thinking(mut self, text: &str, signature: &str) -> Self {
        self.parts.push(Part::Thinking { text: text.to_owned(), signature: signature.to_owned() });
        self
    }

    /// A call of the caller's tool; the fragments of its arguments join to one JSON object.
    #[must_use]
    pub fn and_tool(mut self, id: &str, name: &str, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|&fragment| fragment.to_owned()).collect();
        self.parts.push(Part::Tool { id: id.to_owned(), name: name.to_owned(), arguments });
        self
    }

    #[must_use]
    pub fn usage(mut self, input: u64, output: u64) -> Self {
        self.usage = Usage { input, output, ..Usage::default() };
        self
    }

    #[must_use]
    pub fn with_usage(mut self, usage: Usage) -> Self {
        self.usage = usage;
        self
    }

    /// The stop reason in the dialect's own word; otherwise the one that fits the parts.
    #[must_use]
    pub fn stop(mut self, reason: &'static str) -> Self {
        self.stop = Some(reason);
        self
    }

    /// Waits this long before each event of a stream.
    #[must_use]
    pub fn every(mut self, pause: Duration) -> Self {
        self.pause = Some(pause);
        self
    }

    /// Writes the body in pieces of this many bytes, through the middle of whatever lies there.
    #[must_use]
    pub fn in_writes_of(mut self, bytes: usize) -> Self {
        self.bytes_a_write = Some(bytes.max(1));
        self
    }

    /// Ends a stream this way after so many content events.
    #[must_use]
    pub fn ending_after(mut self, content_events: usize, ending: Ending) -> Self {
        self.ending = Some((content_events, ending));
        self
    }

    pub(super) fn pieces(
        &self,
        dialect: Dialect,
        model: &str,
        request: &Value,
        streamed: bool,
    ) -> Vec<Piece> {
        if !streamed {
            let body = match dialect {
                Dialect::OpenAi => self.openai_whole(model),
                Dialect::Anthropic => self.anthropic_whole(model),
            };
            return self.written(vec![Piece::text(&body.to_string())]);
        }
        let (opening, content, closing) = match dialect {
            Dialect::OpenAi => {
                self.openai_events(model, request["stream_options"]["include_usage"] == json!(true))
            }
            Dialect::Anthropic => self.anthropic_events(model),
        };
        let mut pieces: Vec<Piece> = opening.iter().map(|event| Piece::text(event)).collect();
        for (index, event) in content.iter().enumerate() {
            if let Some((_, ending)) = self.ending.as_ref().filter(|(after, _)| *after == index) {
                match end(dialect, ending) {
                    End::Here(last) => {
                        pieces.extend(last);
                        return self.written(pieces);
                    }
                    End::Later(gate) => pieces.push(Piece::Gate(gate)),
                }
            }
            pieces.extend(self.pause.map(Piece::Wait));
            pieces.push(Piece::text(event));
        }
        if let Some((_, ending)) = self.ending.as_ref().filter(|(after, _)| *after >= content.len()) {
            match end(dialect, ending) {
                End::Here(last) => {
                    pieces.extend(last);
                    return self.written(pieces);
                }
                End::Later(gate) => pieces.push(Piece::Gate(gate)),
            }
        }
        pieces.extend(closing.iter().map(|event| Piece::text(event)));
        self.written(pieces)
    }

    /// Cuts the bytes into writes of the wanted size.
    fn written(&self, pieces: Vec<Piece>) -> Vec<Piece> {
        let Some(size) = self.bytes_a_write else { return pieces };
        let cut = |piece| match piece {
            Piece::Bytes(bytes) => {
                bytes.chunks(size).map(|chunk| Piece::Bytes(Bytes::copy_from_slice(chunk))).collect()
            }
            other @ (Piece::Wait(_) | Piece::Gate(_) | Piece::Cut) => vec![other],
        };
        pieces.into_iter().flat_map(cut).collect()
    }

    fn has_tools(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Tool { .. }))
    }

    fn openai_whole(&self, model: &str) -> Value {
        let mut message = json!({"role": "assistant", "content": null, "refusal": null});
        let mut calls = Vec::new();
        for part in &self.parts {
            match part {
                Part::Text(fragments) => message["content"] = json!(fragments.concat()),
                Part::Thinking { text, .. } => message["reasoning_content"] = json!(text),
                Part::Tool { id, name, arguments } => {
                    let function = json!({"name": name, "arguments": arguments.concat()});
                    calls.push(json!({"id": id, "type": "function", "function": function}));
                }
            }
        }
        if !calls.is_empty() {
            message["tool_calls"] = json!(calls);
        }
        json!({
            "id": "chatcmpl-script", "object": "chat.completion", "created": 1_760_000_000, "model": model,
            "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": self.openai_stop()}],
            "usage": self.usage.openai(), "system_fingerprint": "fp_script",
        })
    }

    fn openai_events(&self, model: &str, with_usage: bool) -> (Vec<String>, Vec<String>, Vec<String>) {
        let chunk = |choices: Value, usage: Value| {
            let mut chunk = json!({
                "id": "chatcmpl-script", "object": "chat.completion.chunk", "created": 1_760_000_000, "model": model,
                "system_fingerprint": "fp_script", "choices": choices,
            });
            if with_usage {
                chunk["usage"] = usage;
            }
            format!("data: {chunk}\n\n")
        };
        let delta = |delta: Value, stop: Value| {
            chunk(json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": stop}]), Value::Null)
        };
        let mut content = Vec::new();
        let mut calls = 0;
        for part in &self.parts {
            match part {
                Part::Text(fragments) => {
                    content.extend(fragments.iter().map(|text| delta(json!({"content": text}), Value::Null)));
                }
                Part::Thinking { text, .. } => {
                    content.push(delta(json!({"reasoning_content": text}), Value::Null));
                }
                Part::Tool { id, name, arguments } => {
                    let function = json!({"name": name, "arguments": ""});
                    let call = json!([{"index": calls, "id": id, "type": "function", "function": function}]);
                    content.push(delta(json!({"tool_calls": call}), Value::Null));
                    content.extend(arguments.iter().map(|fragment| {
                        let call = json!([{"index": calls, "function": {"arguments": fragment}}]);
                        delta(json!({"tool_calls": call}), Value::Null)
                    }));
                    calls += 1;
                }
            }
        }
        let opening = vec![delta(json!({"role": "assistant", "content": ""}), Value::Null)];
        let mut closing = vec![delta(json!({}), json!(self.openai_stop()))];
        if with_usage {
            closing.push(chunk(json!([]), self.usage.openai()));
        }
        closing.push("data: [DONE]\n\n".to_owned());
        (opening, content, closing)
    }

    fn openai_stop(&self) -> &'static str {
        self.stop.unwrap_or(if self.has_tools() { "tool_calls" } else { "stop" })
    }

    fn anthropic_whole(&self, model: &str) -> Value {
        let block = |part: &Part| match part {
            Part::Text(fragments) => json!({"type": "text", "text": fragments.concat()}),
            Part::Thinking { text, signature } => {
                json!({"type": "thinking", "thinking": text, "signature": signature})
            }
            Part::Tool { id, name, arguments } => {
                let input: Value = serde_json::from_str(&arguments.concat()).unwrap_or_else(|_| json!({}));
                json!({"type": "tool_use", "id": id, "name": name, "input": input})
            }
        };
        json!({
            "id": "msg_script", "type": "message", "role": "assistant", "model": model,
            "content": self.parts.iter().map(block).collect::<Vec<_>>(),
            "stop_reason": self.anthropic_stop(), "stop_sequence": null, "usage": self.usage.anthropic(),
        })
    }

    fn anthropic_events(&self, model: &str) -> (Vec<String>, Vec<String>, Vec<String>) {
        let event =
            |data: Value| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default());
        let mut usage = self.usage.anthropic();
        usage["output_tokens"] = json!(1);
        let message = json!({
            "id": "msg_script", "type": "message", "role": "assistant", "model": model, "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": usage,
        });
        let opening =
            vec![event(json!({"type": "message_start", "message": message})), event(json!({"type": "ping"}))];
        let mut content = Vec::new();
        for (index, part) in self.parts.iter().enumerate() {
            let delta =
                |delta: Value| event(json!({"type": "content_block_delta", "index": index, "delta": delta}));
            let (block, deltas): (Value, Vec<String>) = match part {
                Part::Text(fragments) => {
                    let text = |fragment: &String| delta(json!({"type": "text_delta", "text": fragment}));
                    (json!({"type": "text", "text": ""}), fragments.iter().map(text).collect())
                }
                Part::Thinking { text, signature } => (
                    json!({"type": "thinking", "thinking": "", "signature": ""}),
                    vec![
                        delta(json!({"type": "thinking_delta", "thinking": text})),
                        delta(json!({"type": "signature_delta", "signature": signature})),
                    ],
                ),
                Part::Tool { id, name, arguments } => {
                    let json = |fragment: &String| {
                        delta(json!({"type": "input_json_delta", "partial_json": fragment}))
                    };
                    (
                        json!({"type": "tool_use", "id": id, "name": name, "input": {}}),
                        arguments.iter().map(json).collect(),
                    )
                }
            };
            let start = event(json!({"type": "content_block_start", "index": index, "content_block": block}));
            let stop = event(json!({"type": "content_block_stop", "index": index}));
            // A block's start and stop travel with its first and last fragment, so that events count fragments.
            let mut deltas = deltas;
            if let Some(first) = deltas.first_mut() {
                first.insert_str(0, &start);
            }
            if let Some(last) = deltas.last_mut() {
                last.push_str(&stop);
            }
            content.extend(if deltas.is_empty() { vec![start + &stop] } else { deltas });
        }
        let delta = json!({"stop_reason": self.anthropic_stop(), "stop_sequence": null});
        let usage = json!({"output_tokens": self.usage.output});
        let closing = vec![
            event(json!({"type": "message_delta", "delta": delta, "usage": usage})),
            event(json!({"type": "message_stop"})),
        ];
        (opening, content, closing)
    }

    fn anthropic_stop(&self) -> &'static str {
        self.stop.unwrap_or(if self.has_tools() { "tool_use" } else { "end_turn" })
    }
}

enum End {
    Here(Vec<Piece>),
    Later(Gate),
}

fn end(dialect: Dialect, ending: &Ending) -> End {
    match ending {
        Ending::Cut => End::Here(vec![Piece::Cut]),
        Ending::Close => End::Here(Vec::new()),
        Ending::Silence => End::Here(vec![Piece::Gate(Gate::closed())]),
        Ending::Gate(gate) => End::Later(gate.clone()),
        Ending::Error => {
            let error = match dialect {
                Dialect::OpenAi => {
                    let error = json!({"message": "the engine fell over", "type": "server_error", "param": null, "code": null});
                    format!("data: {}\n\n", json!({"error": error}))
                }
                Dialect::Anthropic => {
                    let error = json!({"type": "overloaded_error", "message": "Overloaded"});
                    format!("event: error\ndata: {}\n\n", json!({"type": "error", "error": error}))
                }
            };
            End::Here(vec![Piece::text(&error)])
        }
    }
}

impl Usage {
    /// Every token that was read, cached or not: how `OpenAI` counts a prompt.
    pub fn prompt(&self) -> u64 {
        self.input + self.cache_read + self.cache_write
    }

    fn openai(&self) -> Value {
        json!({
            "prompt_tokens": self.prompt(), "completion_tokens": self.output,
            "total_tokens": self.prompt() + self.output,
            "prompt_tokens_details": {"cached_tokens": self.cache_read, "cache_write_tokens": self.cache_write},
            "completion_tokens_details": {"reasoning_tokens": 0},
        })
    }

    fn anthropic(&self) -> Value {
        json!({
            "input_tokens": self.input, "cache_read_input_tokens": self.cache_read,
            "cache_creation_input_tokens": self.cache_write, "output_tokens": self.output,
        })
    }
}
