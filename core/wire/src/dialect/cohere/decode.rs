//! Streams from upstreams.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{HERE, document, error, logprobs, message, usage};
use crate::chat::ToolKind;
use crate::dialect::lax::{Count, Word};
use crate::dialect::sequence::{Run, Sequence};
use crate::event::{Delta, Event, PartKind};
use crate::frame::Frame;
use crate::{Decoder, Json, Malformed, UpstreamError, json};

/// One event, borrowed from its frame: no tree is built.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said<'a> {
    #[serde(borrow, rename = "type")]
    kind: Word<'a>,
    #[serde(borrow)]
    id: Word<'a>,
    index: Count,
    #[serde(borrow)]
    delta: Option<SaidDelta<'a>>,
    #[serde(borrow)]
    logprobs: Option<&'a RawValue>,
    /// An error that comes instead of an event.
    #[serde(borrow)]
    message: Word<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SaidDelta<'a> {
    #[serde(borrow)]
    message: Option<SaidMessage<'a>>,
    #[serde(borrow)]
    finish_reason: Word<'a>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Word<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SaidMessage<'a> {
    // Both are empty lists where a message begins.
    #[serde(borrow, deserialize_with = "json::object")]
    content: Option<SaidContent<'a>>,
    #[serde(borrow)]
    tool_plan: Word<'a>,
    #[serde(borrow, deserialize_with = "json::object")]
    tool_calls: Option<SaidCall<'a>>,
    #[serde(borrow)]
    citations: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SaidContent<'a> {
    #[serde(borrow, rename = "type")]
    kind: Word<'a>,
    #[serde(borrow)]
    text: Word<'a>,
    #[serde(borrow)]
    thinking: Word<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SaidCall<'a> {
    #[serde(borrow)]
    id: Word<'a>,
    #[serde(borrow)]
    function: SaidFunction<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SaidFunction<'a> {
    #[serde(borrow)]
    name: Word<'a>,
    #[serde(borrow)]
    arguments: Word<'a>,
}

/// Reads one stream. A part stays open until something else begins, because citations come before and after the end of
/// the text that they stand in.
#[derive(Debug, Default)]
pub(super) struct StreamDecoder {
    started: bool,
    over: bool,
    parts: Sequence,
    /// The open content was said to be over: more of it would be a part of its own.
    ended: bool,
    calls: u64,
    /// The index of the call that is open.
    call: Option<u64>,
    /// Citations of what is no text that is open: told as parts of their own at the end.
    beside: Vec<Json>,
}

impl StreamDecoder {
    fn start(&mut self, id: &str, out: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.started, true) {
            out.push(Event::Start { id: id.to_owned(), model: String::new(), created: None });
        }
    }

    fn content(&mut self, said: &SaidContent<'_>, out: &mut Vec<Event>) {
        for (run, word) in [(Run::Thinking, &said.thinking), (Run::Text, &said.text)] {
            let Some(text) = word.text() else { continue };
            if std::mem::take(&mut self.ended) {
                self.parts.close(out);
            }
            self.parts.grow(run, text, out);
        }
    }

    fn call_start(
        &mut self,
        index: Option<u64>,
        said: &SaidCall<'_>,
        out: &mut Vec<Event>,
    ) -> Result<(), Malformed> {
        let name = said.function.name.text();
        let name =
            name.ok_or_else(|| Malformed::field("delta.message.tool_calls.function.name", "a name"))?;
        let id = said.id.text().map_or_else(|| format!("call_{}", self.calls), str::to_owned);
        self.call = Some(index.unwrap_or(self.calls));
        self.calls += 1;
        self.parts.call(PartKind::ToolCall { id, name: name.to_owned(), kind: ToolKind::Function }, out);
        self.arguments(said, out);
        Ok(())
    }

    fn call_delta(
        &mut self,
        index: Option<u64>,
        said: &SaidCall<'_>,
        out: &mut Vec<Event>,
    ) -> Result<(), Malformed> {
        if !self.parts.is_open(Run::Call) || index.is_some_and(|index| self.call != Some(index)) {
            return Err(Malformed::field("index", "the tool call that is open"));
        }
        self.arguments(said, out);
        Ok(())
    }

    fn arguments(&mut self, said: &SaidCall<'_>, out: &mut Vec<Event>) {
        if let Some(text) = said.function.arguments.text() {
            self.parts.delta(Delta::Arguments(text.to_owned()), out);
        }
    }

    fn citation(&mut self, raw: &RawValue, out: &mut Vec<Event>) {
        let many: Vec<&RawValue> = if raw.get().starts_with('[') {
            crate::json::from_str(raw.get()).unwrap_or_default()
        } else {
            vec![raw]
        };
        for raw in many {
            if document::is_of_thoughts(raw) || !self.parts.is_open(Run::Text) {
                self.beside.push(Json::from(raw));
                continue;
            }
            for citation in document::read_citation(raw) {
                self.parts.delta(Delta::Citation(Box::new(citation)), out);
            }
        }
    }

    fn end(&mut self, said: &SaidDelta<'_>, out: &mut Vec<Event>) {
        self.over = true;
        let reason = said.finish_reason.text().unwrap_or("COMPLETE");
        let failure = error::stopped(reason, said.error.text())
            .or_else(|| error::stopped("ERROR", said.error.text()).filter(|_| said.error.text().is_some()));
        if let Some(failure) = failure {
            out.push(Event::Error(failure));
            return;
        }
        self.start("", out);
        self.parts.close(out);
        for json in self.beside.drain(..) {
            self.parts.whole(PartKind::Foreign { dialect: HERE, json }, out);
        }
        out.extend(said.usage.and_then(usage::read).map(Event::Usage));
        out.push(Event::Stop { choice: 0, stop: message::stop_of(reason, self.calls > 0) });
        out.push(Event::End);
    }

    fn fail(&mut self, error: UpstreamError, out: &mut Vec<Event>) {
        self.over = true;
        out.push(Event::Error(error));
    }

    fn said(
        &mut self,
        frame: &Frame<'_>,
        data: &str,
        said: &Said<'_>,
        out: &mut Vec<Event>,
    ) -> Result<(), Malformed> {
        let kind = said.kind.text().or(frame.name).unwrap_or_default();
        let none = SaidMessage::default();
        let message = said.delta.as_ref().and_then(|delta| delta.message.as_ref()).unwrap_or(&none);
        if kind == "message-start" {
            self.start(said.id.text().unwrap_or_default(), out);
            return Ok(());
        }
        if known(kind) {
            self.start(said.id.text().unwrap_or_default(), out);
        }
        match kind {
            "content-start" => {
                if let Some(content) = &message.content {
                    self.ended = false;
                    let thinks = content.kind.text() == Some("thinking");
                    self.parts.open(if thinks { Run::Thinking } else { Run::Text }, out);
                    self.content(content, out);
                }
            }
            "content-delta" => {
                if let Some(content) = &message.content {
                    self.content(content, out);
                }
                if let Some(json) = said.logprobs.and_then(logprobs::read) {
                    out.push(Event::Logprobs { choice: 0, json });
                }
            }
            "content-end" => self.ended = true,
            "tool-plan-delta" => {
                self.ended = false;
                self.parts.grow(Run::Plan, message.tool_plan.text().unwrap_or_default(), out);
            }
            "tool-call-start" => {
                self.ended = false;
                if let Some(call) = &message.tool_calls {
                    self.call_start(said.index.0, call, out)?;
                }
            }
            "tool-call-delta" => {
                if let Some(call) = &message.tool_calls {
                    self.call_delta(said.index.0, call, out)?;
                }
            }
            "tool-call-end" => self.parts.close(out),
            "citation-start" => {
                if let Some(raw) = message.citations {
                    self.citation(raw, out);
                }
            }
            "citation-end" => {}
            "message-end" => self.end(said.delta.as_ref().unwrap_or(&SaidDelta::default()), out),
            _ if said.kind.text().is_none() && said.message.text().is_some() => {
                self.fail(error::read(0, data.as_bytes()), out);
            }
            _ => {
                let json = Json::parse(data).map_err(|error| Malformed::json(data, &error))?;
                out.push(Event::Foreign { dialect: HERE, name: Some(kind.to_owned()), json });
            }
        }
        Ok(())
    }
}

/// Whether an event belongs to an answer, which begins with it if its own beginning did not come.
fn known(kind: &str) -> bool {
    kind.starts_with("content-") || kind.starts_with("tool-") || kind.starts_with("citation-")
}

impl Decoder for StreamDecoder {
    fn push(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) -> Result<(), Malformed> {
        let data = frame.data.trim();
        if self.over {
            return Ok(());
        }
        if data.is_empty() {
            out.extend(frame.is_ping().then_some(Event::Ping));
            return Ok(());
        }
        if data == "[DONE]" {
            return Err(Malformed::Truncated); // An end before the answer's own.
        }
        if frame.name == Some("error") {
            self.fail(error::read(0, data.as_bytes()), out);
            return Ok(());
        }
        let said: Said<'_> = crate::json::from_str(data).map_err(|error| Malformed::json(data, &error))?;
        self.said(frame, data, &said, out)
    }

    fn finish(&mut self, _out: &mut Vec<Event>) -> Result<(), Malformed> {
        if std::mem::replace(&mut self.over, true) { Ok(()) } else { Err(Malformed::Truncated) }
    }
}
