//! Streams from upstreams.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::response::{arguments, call_id, read_logprobs};
use super::{HERE, Reading, error, stop_of, time};
use crate::chat::{Content, Source, Stop, ToolKind};
use crate::dialect::lax::{Count, Word};
use crate::dialect::sequence::{Run, Sequence};
use crate::dialect::tags::Tags;
use crate::event::{Delta, Event, PartKind};
use crate::frame::Frame;
use crate::source::{sniffed, standard_base64};
use crate::{Decoder, Json, Malformed, Usage};

/// One line, borrowed from its frame: no tree is built.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said<'a> {
    #[serde(borrow)]
    model: Word<'a>,
    #[serde(borrow)]
    created_at: Word<'a>,
    #[serde(borrow)]
    message: Option<SaidMessage<'a>>,
    done: bool,
    #[serde(borrow)]
    done_reason: Word<'a>,
    prompt_eval_count: Count,
    eval_count: Count,
    #[serde(borrow)]
    logprobs: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SaidMessage<'a> {
    #[serde(borrow)]
    content: Word<'a>,
    #[serde(borrow)]
    thinking: Word<'a>,
    #[serde(borrow)]
    tool_calls: Option<Vec<SaidCall<'a>>>,
    #[serde(borrow)]
    images: Option<Vec<Word<'a>>>,
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
    arguments: Option<&'a RawValue>,
}

/// Reads one stream. Calls come whole, and mostly in a line before the last.
#[derive(Debug, Default)]
pub(super) struct StreamDecoder {
    tags: Option<Tags>,
    started: bool,
    over: bool,
    parts: Sequence,
    created: Option<u64>,
    calls: usize,
    said: bool,
}

impl StreamDecoder {
    pub(super) fn new(reading: Reading) -> Self {
        Self { tags: reading.think_tags.then(Tags::default), ..Self::default() }
    }

    fn message(&mut self, said: &SaidMessage<'_>, out: &mut Vec<Event>) -> Result<(), Malformed> {
        self.grow(Run::Thinking, said.thinking.text().unwrap_or_default(), out);
        if let Some(text) = said.content.text() {
            match &mut self.tags {
                None => self.grow(Run::Text, text, out),
                Some(tags) => {
                    let (thought, text) = tags.push(text);
                    self.grow(Run::Thinking, &thought, out);
                    self.grow(Run::Text, &text, out);
                }
            }
        }
        for image in said.images.iter().flatten().filter_map(|image| standard_base64(image.text()?)) {
            let media_type = sniffed(&image).unwrap_or("image/jpeg").to_owned();
            let source = Source::Base64 { media_type, data: image };
            self.said = true;
            self.parts.whole(PartKind::Whole(Box::new(Content::Image { source, detail: None })), out);
        }
        for call in said.tool_calls.iter().flatten() {
            let name = call.function.name.text();
            let name =
                name.ok_or_else(|| Malformed::field("message.tool_calls[].function.name", "a name"))?;
            let id = call.id.text().map_or_else(|| call_id(self.created, self.calls), str::to_owned);
            self.calls += 1;
            self.said = true;
            self.parts.call(PartKind::ToolCall { id, name: name.to_owned(), kind: ToolKind::Function }, out);
            self.parts.delta(Delta::Arguments(arguments(call.function.arguments)), out);
            self.parts.close(out);
        }
        Ok(())
    }

    fn grow(&mut self, run: Run, text: &str, out: &mut Vec<Event>) {
        self.said |= !text.is_empty();
        self.parts.grow(run, text, out);
    }

    fn end(&mut self, said: &Said<'_>, out: &mut Vec<Event>) {
        self.over = true;
        if let Some((thought, text)) = self.tags.as_mut().map(Tags::finish) {
            self.grow(Run::Thinking, &thought, out);
            self.grow(Run::Text, &text, out);
        }
        self.parts.close(out);
        let stop = stop_of(said.done_reason.text().unwrap_or_default(), self.calls > 0);
        if stop.is_none() && !self.said {
            out.push(Event::Error(error::loading()));
            return;
        }
        out.push(Event::Usage(Usage {
            input: said.prompt_eval_count.0.unwrap_or(0),
            output: said.eval_count.0.unwrap_or(0),
            ..Usage::default()
        }));
        out.push(Event::Stop { choice: 0, stop: stop.unwrap_or(Stop::EndTurn) });
        out.push(Event::End);
    }
}

impl Decoder for StreamDecoder {
    fn push(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) -> Result<(), Malformed> {
        let data = frame.data;
        if self.over || data.is_empty() {
            return Ok(());
        }
        let said: Said<'_> = crate::json::from_str(data).map_err(|error| Malformed::json(data, &error))?;
        if let Some(raw) = said.error {
            self.over = true;
            out.push(Event::Error(error::inside(raw)));
            return Ok(());
        }
        if said.message.is_none() && !said.done {
            let json = Json::parse(data).map_err(|error| Malformed::json(data, &error))?;
            out.push(Event::Foreign { dialect: HERE, name: None, json });
            return Ok(());
        }
        let reason = said.done_reason.text().unwrap_or_default();
        if said.done && !self.started && stop_of(reason, false).is_none() {
            self.over = true;
            out.push(Event::Error(error::loading()));
            return Ok(());
        }
        if !std::mem::replace(&mut self.started, true) {
            self.created = said.created_at.text().and_then(time::read);
            out.push(Event::Start {
                id: String::new(),
                model: said.model.text().unwrap_or_default().to_owned(),
                created: self.created,
            });
        }
        if let Some(message) = &said.message {
            self.message(message, out)?;
        }
        if let Some(json) = said.logprobs.and_then(read_logprobs) {
            out.push(Event::Logprobs { choice: 0, json });
        }
        if said.done {
            self.end(&said, out);
        }
        Ok(())
    }

    fn finish(&mut self, _out: &mut Vec<Event>) -> Result<(), Malformed> {
        if std::mem::replace(&mut self.over, true) { Ok(()) } else { Err(Malformed::Truncated) }
    }
}
