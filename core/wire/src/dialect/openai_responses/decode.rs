//! Streams from upstreams.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::queue::{Place, Queue};
use super::response::{Logprobs, of_tokens, read_item, seconds, stop_of};
use super::thought::{self, Proof};
use super::{HERE, content, error, usage};
use crate::chat::{Extra, Part, Stop, ToolKind};
use crate::dialect::lax::{Count, Word};
use crate::event::{Delta, Event, PartKind};
use crate::fold::{settled_stop, taken_apart};
use crate::frame::Frame;
use crate::json::string;
use crate::{Decoder, Json, Malformed, SmallMap, UpstreamError};

/// No answer has so many items.
const MOST_ITEMS: u64 = 4_096;

#[derive(Debug, Default)]
pub(super) struct StreamDecoder {
    /// The end, or an error, was read: nothing counts after it.
    over: bool,
    started: bool,
    queue: Queue,
    /// The items that were seen.
    items: SmallMap<u64, ()>,
    /// What the last message says of itself, for its first part.
    phase: Option<(u64, Json)>,
    /// The text that is growing has told how probable its tokens were.
    told: bool,
    /// The thought that is growing: where, and in which of its texts.
    thought: Option<(u64, ThoughtText, u64)>,
}

/// The two kinds of text that a thought may have; the first that comes is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ThoughtText {
    Summary,
    Raw,
}

/// One event, borrowed from its frame.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said<'a> {
    #[serde(borrow, rename = "type")]
    kind: Word<'a>,
    output_index: Count,
    content_index: Count,
    summary_index: Count,
    #[serde(borrow)]
    delta: Word<'a>,
    #[serde(borrow)]
    text: Word<'a>,
    #[serde(borrow)]
    refusal: Word<'a>,
    #[serde(borrow)]
    input: Word<'a>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    item: Option<&'a RawValue>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    #[serde(borrow)]
    annotation: Option<&'a RawValue>,
    #[serde(borrow)]
    logprobs: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ItemSaid<'a> {
    #[serde(borrow, rename = "type")]
    kind: Word<'a>,
    #[serde(borrow)]
    id: Word<'a>,
    #[serde(borrow)]
    call_id: Word<'a>,
    #[serde(borrow)]
    name: Word<'a>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Word<'a>,
    #[serde(borrow)]
    encrypted_content: Word<'a>,
    #[serde(borrow)]
    namespace: Option<&'a RawValue>,
    #[serde(borrow)]
    phase: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer<'a> {
    #[serde(borrow)]
    id: Word<'a>,
    #[serde(borrow)]
    model: Word<'a>,
    #[serde(borrow)]
    created_at: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Word<'a>,
    #[serde(borrow)]
    incomplete_details: Option<Details<'a>>,
    #[serde(borrow)]
    output: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_usage: Option<&'a RawValue>,
    #[serde(borrow)]
    service_tier: Word<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Details<'a> {
    #[serde(borrow)]
    reason: Word<'a>,
}

impl StreamDecoder {
    fn start(&mut self, response: Option<&RawValue>, out: &mut Vec<Event>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let answer: Answer<'_> =
            response.and_then(|raw| crate::json::from_str(raw.get()).ok()).unwrap_or_default();
        let text = |word: &Word<'_>| word.text().unwrap_or_default().to_owned();
        out.push(Event::Start {
            id: text(&answer.id),
            model: text(&answer.model),
            created: seconds(answer.created_at),
        });
    }

    fn fail(&mut self, error: UpstreamError, out: &mut Vec<Event>) {
        self.over = true;
        out.push(Event::Error(error));
    }

    /// The event's item, which counts as seen.
    fn item(&mut self, said: &Said<'_>) -> Result<u64, Malformed> {
        let index = said.output_index.0.unwrap_or(0);
        if index >= MOST_ITEMS {
            return Err(Malformed::field("output_index", "a number below 4096"));
        }
        self.items.insert(index, ());
        Ok(index)
    }

    fn run(
        &mut self,
        said: &Said<'_>,
        kind: PartKind,
        delta: Option<Delta>,
        out: &mut Vec<Event>,
    ) -> Result<(), Malformed> {
        let item = self.item(said)?;
        let place = Place { item, part: said.content_index.0.unwrap_or(0) };
        if let Some(delta) = delta {
            let phase = self.phase.take_if(|(of, _)| *of == item);
            let extra = phase.map(|(_, phase)| own("phase", phase)).unwrap_or_default();
            self.queue.begin(place, kind, extra, out);
            self.queue.grow(place, delta, out);
        }
        Ok(())
    }

    /// The whole of a run, whose deltas may have been left out.
    fn run_done(
        &mut self,
        said: &Said<'_>,
        kind: PartKind,
        delta: Option<Delta>,
        out: &mut Vec<Event>,
    ) -> Result<(), Malformed> {
        let item = self.item(said)?;
        let place = Place { item, part: said.content_index.0.unwrap_or(0) };
        if self.queue.said(place) != Some(true) {
            self.run(said, kind, delta, out)?;
        }
        // Its annotations may still come: it is done with its part, or its item.
        Ok(())
    }

    fn think(
        &mut self,
        said: &Said<'_>,
        kind: ThoughtText,
        text: Option<&str>,
        out: &mut Vec<Event>,
    ) -> Result<(), Malformed> {
        let item = self.item(said)?;
        let Some(text) = text else { return Ok(()) };
        let nth = match kind {
            ThoughtText::Summary => said.summary_index.0,
            ThoughtText::Raw => said.content_index.0,
        };
        let nth = nth.unwrap_or(0);
        let parted = match self.thought {
            Some((at, of, _)) if at == item && of != kind => return Ok(()),
            Some((at, _, before)) => at == item && before != nth,
            None => false,
        };
        self.thought = Some((item, kind, nth));
        let place = Place::item(item);
        self.queue.begin(place, PartKind::Thinking, Extra::default(), out);
        if parted {
            self.queue.grow(place, Delta::Thinking("\n\n".to_owned()), out);
        }
        self.queue.grow(place, Delta::Thinking(text.to_owned()), out);
        Ok(())
    }

    fn added(&mut self, said: &Said<'_>, out: &mut Vec<Event>) -> Result<(), Malformed> {
        let index = self.item(said)?;
        let Some(raw) = said.item else { return Ok(()) };
        let item: ItemSaid<'_> =
            crate::json::from_str(raw.get()).map_err(|_| Malformed::field("item", "an object"))?;
        match item.kind.text() {
            Some("message") => {
                let phase = item.phase.filter(|phase| phase.get() != "null");
                self.phase = phase.map(|phase| (index, Json::from(phase)));
            }
            Some("function_call" | "custom_tool_call") => self.call(index, &item, out)?,
            // Reasoning may be without a word, and of all others it is known at their end what they are.
            _ => self.queue.hold(Place::item(index)),
        }
        Ok(())
    }

    fn call(&mut self, index: u64, item: &ItemSaid<'_>, out: &mut Vec<Event>) -> Result<(), Malformed> {
        let custom = item.kind.text() == Some("custom_tool_call");
        let id = item.call_id.text().or(item.id.text());
        let name = item.name.text().ok_or_else(|| Malformed::field("item.name", "a name"))?;
        let kind = PartKind::ToolCall {
            id: id.map_or_else(|| format!("call_{index}"), str::to_owned),
            name: name.to_owned(),
            kind: if custom { ToolKind::Custom } else { ToolKind::Function },
        };
        let extra = item.namespace.map(|space| own("namespace", Json::from(space)));
        self.queue.begin(Place::item(index), kind, extra.unwrap_or_default(), out);
        Ok(())
    }

    /// A fragment of a call's arguments, or, where nothing was said before, the whole of them.
    fn arguments(
        &mut self,
        said: &Said<'_>,
        text: Option<&str>,
        whole: bool,
        out: &mut Vec<Event>,
    ) -> Result<(), Malformed> {
        let place = Place::item(self.item(said)?);
        if let Some(text) = text
            && (!whole || self.queue.said(place) == Some(false))
        {
            self.queue.grow(place, Delta::Arguments(text.to_owned()), out);
        }
        Ok(())
    }

    fn item_done(&mut self, said: &Said<'_>, out: &mut Vec<Event>) -> Result<(), Malformed> {
        let index = self.item(said)?;
        if let Some(raw) = said.item {
            self.whole_item(index, raw, out)?;
        }
        self.queue.item_done(index, out);
        Ok(())
    }

    /// An item that is whole: what was not said of it yet is said now.
    fn whole_item(&mut self, index: u64, raw: &RawValue, out: &mut Vec<Event>) -> Result<(), Malformed> {
        let item: ItemSaid<'_> =
            crate::json::from_str(raw.get()).map_err(|_| Malformed::field("item", "an object"))?;
        let place = Place::item(index);
        match item.kind.text() {
            Some("function_call") => {
                self.call(index, &item, out)?;
                if self.queue.said(place) == Some(false) {
                    let text = item.arguments.map(arguments_text).filter(|text| !text.trim().is_empty());
                    let text = text.unwrap_or_else(|| "{}".to_owned());
                    self.queue.grow(place, Delta::Arguments(text), out);
                }
            }
            Some("custom_tool_call") => {
                self.call(index, &item, out)?;
                if self.queue.said(place) == Some(false)
                    && let Some(text) = item.input.text()
                {
                    self.queue.grow(place, Delta::Arguments(text.to_owned()), out);
                }
            }
            Some("reasoning") if self.queue.said(place) == Some(true) => {
                let id = item.id.text().unwrap_or_default();
                if let Some(Proof::Signed(proof) | Proof::Redacted(proof)) =
                    thought::proof(id, item.encrypted_content.text())
                {
                    self.queue.grow(place, Delta::Signature(proof), out);
                }
            }
            Some("message") => self.whole_message(index, raw, out)?,
            _ => {
                let mut parts = Vec::new();
                read_item(raw, format!("output[{index}]"), &mut parts, &mut Logprobs::default())?;
                for part in parts {
                    self.whole_part(place, part, out);
                }
            }
        }
        Ok(())
    }

    fn whole_message(&mut self, index: u64, raw: &RawValue, out: &mut Vec<Event>) -> Result<(), Malformed> {
        let mut parts = Vec::new();
        read_item(raw, format!("output[{index}]"), &mut parts, &mut Logprobs::default())?;
        for (nth, part) in (0..).zip(parts) {
            let place = Place { item: index, part: nth };
            // A part that is done and gone was said.
            if self.queue.said(place).is_none() && !self.queue.is_past(place) {
                self.whole_part(place, part, out);
            }
        }
        Ok(())
    }

    fn whole_part(&mut self, place: Place, part: Part, out: &mut Vec<Event>) {
        let Part { content, extra, .. } = part;
        let (kind, deltas) = taken_apart(&content);
        self.queue.begin(place, kind, extra, out);
        for delta in deltas {
            self.queue.grow(place, delta, out);
        }
        self.queue.done(place, out);
    }

    /// The answer is over.
    fn end(&mut self, said: &Said<'_>, out: &mut Vec<Event>) -> Result<(), Malformed> {
        let raw = said.response.ok_or_else(|| Malformed::field("response", "an object"))?;
        let answer: Answer<'_> =
            crate::json::from_str(raw.get()).map_err(|_| Malformed::field("response", "an object"))?;
        self.start(said.response, out);
        for (index, raw) in (0..MOST_ITEMS).zip(answer.output.iter().flatten()) {
            if self.items.insert(index, ()).is_none() {
                self.whole_item(index, raw, out)?;
                self.queue.item_done(index, out);
            }
        }
        self.queue.finish(out);
        if let Some(usage) = usage::read(answer.usage, answer.tool_usage) {
            out.push(Event::Usage(usage));
        }
        if let Some(tier) = answer.service_tier.text() {
            out.push(Event::Meta { service_tier: Some(tier.to_owned()), extra: Extra::default() });
        }
        let reason = answer.incomplete_details.as_ref().and_then(|details| details.reason.text());
        let incomplete =
            answer.status.text() == Some("incomplete") || said.kind.text() == Some("response.incomplete");
        let stop = if incomplete { stop_of(reason) } else { settled_stop(Stop::EndTurn, self.queue.calls) };
        self.over = true;
        out.push(Event::Stop { choice: 0, stop });
        out.push(Event::End);
        Ok(())
    }

    fn event(
        &mut self,
        said: &Said<'_>,
        frame: &Frame<'_>,
        data: &str,
        out: &mut Vec<Event>,
    ) -> Result<(), Malformed> {
        let kind = said.kind.text().or(frame.name).unwrap_or_default();
        match kind {
            "response.created" | "response.in_progress" | "response.queued" => {
                self.start(said.response, out);
                return Ok(());
            }
            "response.completed" | "response.incomplete" | "response.done" => return self.end(said, out),
            "response.failed" | "response.cancelled" => {
                let failed = said.response.and_then(|raw| error::hidden(raw.get()));
                self.fail(failed.unwrap_or_else(|| error::wordless(kind)), out);
                return Ok(());
            }
            "error" => {
                let failed = error::hidden(data).unwrap_or_else(|| error::wordless(kind));
                self.fail(failed, out);
                return Ok(());
            }
            _ => {}
        }
        if !kind.starts_with("response.") {
            return self.foreign(said, frame, data, out);
        }
        self.start(None, out);
        let delta = said.delta.text();
        match kind {
            "response.output_item.added" => self.added(said, out),
            "response.output_item.done" => self.item_done(said, out),
            "response.content_part.added"
            | "response.reasoning_summary_part.added"
            | "response.reasoning_summary_part.done"
            | "response.reasoning_summary_text.done"
            | "response.reasoning_text.done" => self.item(said).map(drop),
            "response.content_part.done" => {
                let item = self.item(said)?;
                let place = Place { item, part: said.content_index.0.unwrap_or(0) };
                // What thinks aloud is done with its item, which may have a proof.
                if self.thought.is_none_or(|(at, ..)| at != item) {
                    self.queue.done(place, out);
                }
                Ok(())
            }
            "response.output_text.delta" => {
                let text = delta.map(|text| Delta::Text(text.to_owned()));
                self.run(said, PartKind::Text, text, out)?;
                self.logprobs(said.logprobs, out);
                Ok(())
            }
            "response.output_text.done" => {
                let text = said.text.text().map(|text| Delta::Text(text.to_owned()));
                self.run_done(said, PartKind::Text, text, out)?;
                if !std::mem::take(&mut self.told) {
                    self.logprobs(said.logprobs, out);
                    self.told = false;
                }
                Ok(())
            }
            "response.output_text.annotation.added" => {
                let citation = said.annotation.map(|raw| Delta::Citation(Box::new(content::citation(raw))));
                self.run(said, PartKind::Text, citation, out)
            }
            "response.refusal.delta" => {
                let text = delta.map(|text| Delta::Refusal(text.to_owned()));
                self.run(said, PartKind::Refusal, text, out)
            }
            "response.refusal.done" => {
                let text = said.refusal.text().map(|text| Delta::Refusal(text.to_owned()));
                self.run_done(said, PartKind::Refusal, text, out)
            }
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                self.arguments(said, delta, false, out)
            }
            "response.function_call_arguments.done" => {
                let text = said.arguments.map(arguments_text);
                self.arguments(said, text.as_deref().filter(|text| !text.is_empty()), true, out)
            }
            "response.custom_tool_call_input.done" => self.arguments(said, said.input.text(), true, out),
            "response.reasoning_summary_text.delta" => self.think(said, ThoughtText::Summary, delta, out),
            "response.reasoning_text.delta" => self.think(said, ThoughtText::Raw, delta, out),
            _ => self.foreign(said, frame, data, out),
        }
    }

    fn logprobs(&mut self, tokens: Option<&RawValue>, out: &mut Vec<Event>) {
        let Some(raw) = tokens.filter(|raw| raw.get().len() > 2) else { return };
        let tokens: Vec<Json> = crate::json::from_str(raw.get()).unwrap_or_default();
        self.told |= !tokens.is_empty();
        out.extend(of_tokens(&tokens).map(|json| Event::Logprobs { choice: 0, json }));
    }

    /// An event that is none of those.
    fn foreign(
        &mut self,
        said: &Said<'_>,
        frame: &Frame<'_>,
        data: &str,
        out: &mut Vec<Event>,
    ) -> Result<(), Malformed> {
        if said.error.is_some()
            && let Some(failed) = error::hidden(data)
        {
            self.fail(failed, out);
            return Ok(());
        }
        let json = Json::parse(data).map_err(|error| Malformed::json(data, &error))?;
        out.push(Event::Foreign { dialect: HERE, name: frame.name.map(str::to_owned), json });
        Ok(())
    }
}

fn own(name: &str, json: Json) -> Extra {
    Extra { dialect: Some(HERE), fields: vec![(name.to_owned(), json)] }
}

/// A string as its text; an object as its JSON, for servers that take the schema at its word.
fn arguments_text(raw: &RawValue) -> String {
    string(raw).map_or_else(|| raw.get().to_owned(), std::borrow::Cow::into_owned)
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
            // Others send it after the end, never instead of it.
            return Err(Malformed::Truncated);
        }
        if !data.starts_with('{') && frame.name.is_some() {
            return Ok(()); // An event that is none of ours, in words of its own.
        }
        let said: Said<'_> = crate::json::from_str(data).map_err(|error| Malformed::json(data, &error))?;
        self.event(&said, frame, data, out)
    }

    fn finish(&mut self, _out: &mut Vec<Event>) -> Result<(), Malformed> {
        if std::mem::replace(&mut self.over, true) { Ok(()) } else { Err(Malformed::Truncated) }
    }
}
