//! Streams from upstreams.

use serde_json::value::RawValue;

use super::chunk::{CallDelta, Chunk, ChunkChoice, ChunkDelta, Said, Thought};
use super::message::{citation_of, foreign};
use super::parts::{Parts, Run};
use super::{HERE, Reading, error, usage};
use crate::chat::{Content, Extra, Source, Stop};
use crate::dialect::lax::Word;
use crate::dialect::tags::Tags;
use crate::event::{Event, PartKind};
use crate::fold::settled_stop;
use crate::frame::Frame;
use crate::json::string;
use crate::sort::sort_by;
use crate::{Decoder, Fields, Json, Malformed, UpstreamError, Usage};

/// No request asks for more answers.
const MOST_CHOICES: u64 = 128;

/// Reads one stream. What choices say comes at once, but why they stopped only at the end, when nothing can follow it:
/// some upstreams send calls, or another reason, after the first one. So the chunk of usage is nothing but `Usage`.
#[derive(Debug, Default)]
pub(super) struct StreamDecoder {
    reading: Reading,
    state: State,
    id: String,
    model: String,
    created: Option<u64>,
    started: bool,
    choices: Vec<Choice>,
    usage: Option<Usage>,
    beside: Vec<(&'static str, String)>,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Live,
    /// The end, or an error, was read: nothing counts after it.
    Over,
}

#[derive(Debug, Default)]
struct Choice {
    parts: Parts,
    stop: Option<Stop>,
    tags: Option<Tags>,
    /// The thought that is growing: some say it again whole, with its signature.
    thought: String,
}

impl StreamDecoder {
    pub(super) fn new(reading: Reading) -> Self {
        Self { reading, ..Self::default() }
    }

    fn chunk(&mut self, chunk: Chunk<'_>, out: &mut Vec<Event>) -> Result<(), Malformed> {
        if !self.started {
            self.introduce(&chunk);
        }
        let Chunk {
            choices,
            usage,
            x_groq,
            service_tier,
            system_fingerprint,
            citations,
            search_results,
            moderation,
            ..
        } = chunk;
        let choices = choices.unwrap_or_default();
        let usage = usage.or(x_groq.and_then(|beside| beside.usage));
        if choices.is_empty() && usage.is_none() {
            return Ok(()); // A preamble of filters, or a sign of life.
        }
        self.start(out);
        let beside = [
            ("service_tier", service_tier.text().map(|tier| Json::of(&tier))),
            ("system_fingerprint", system_fingerprint.text().map(|print| Json::of(&print))),
            ("citations", citations.map(Json::from)),
            ("search_results", search_results.map(Json::from)),
            ("moderation", moderation.map(Json::from)),
        ];
        for (name, json) in beside {
            if let Some(json) = json {
                self.beside(name, json, out);
            }
        }
        for choice in choices {
            if let Some(counts) = choice.usage {
                self.count(counts, out);
            }
            self.choice(choice, out)?;
            if self.state == State::Over {
                return Ok(());
            }
        }
        if let Some(counts) = usage {
            self.count(counts, out);
        }
        Ok(())
    }

    /// Takes the first id, model and time that are said; later ones differ at some upstreams.
    fn introduce(&mut self, chunk: &Chunk<'_>) {
        let take = |own: &mut String, said: Option<&str>| {
            if own.is_empty() {
                said.unwrap_or_default().clone_into(own);
            }
        };
        take(&mut self.id, chunk.id.text());
        take(&mut self.model, chunk.model.text());
        self.created = self.created.or(chunk.created.0.filter(|created| *created > 0));
    }

    fn start(&mut self, out: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.started, true) {
            out.push(Event::Start { id: self.id.clone(), model: self.model.clone(), created: self.created });
        }
    }

    /// A fact about the whole answer, told when it is new.
    fn beside(&mut self, name: &'static str, json: Json, out: &mut Vec<Event>) {
        let text = json.as_str().to_owned();
        match self.beside.iter_mut().find(|(known, _)| *known == name) {
            Some((_, before)) if *before == text => return,
            Some((_, before)) => *before = text,
            None => self.beside.push((name, text)),
        }
        let service_tier =
            (name == "service_tier").then(|| string(json.as_ref()).map(String::from)).flatten();
        let extra = match service_tier {
            Some(_) => Extra::default(),
            None => Extra { dialect: Some(HERE), fields: vec![(name.to_owned(), json)] },
        };
        out.push(Event::Meta { service_tier, extra });
    }

    fn count(&mut self, counts: &RawValue, out: &mut Vec<Event>) {
        let Some(counts) = usage::read(counts, self.reading.reasoning_outside) else { return };
        if self.usage != Some(counts) {
            self.usage = Some(counts);
            out.push(Event::Usage(counts));
        }
    }

    fn choice(&mut self, said: ChunkChoice<'_>, out: &mut Vec<Event>) -> Result<(), Malformed> {
        let index = said.index.0.unwrap_or(0);
        let index = u32::try_from(index).ok().filter(|_| index < MOST_CHOICES);
        let index = index.ok_or_else(|| Malformed::field("choices[].index", "a number below 128"))?;
        let at = self.choices.iter().position(|choice| choice.parts.choice == index).unwrap_or_else(|| {
            let tags = self.reading.think_tags.then(Tags::default);
            self.choices.push(Choice { parts: Parts::new(index), tags, ..Choice::default() });
            self.choices.len() - 1
        });
        let Some(choice) = self.choices.get_mut(at) else { return Ok(()) };
        if let Some(delta) = said.delta.or(said.message) {
            choice.delta(&delta, &self.id, out)?;
        }
        if let Some(logprobs) = said.logprobs {
            out.push(Event::Logprobs { choice: index, json: Json::from(logprobs) });
        }
        if let Some(reason) = said.finish_reason.text() {
            match stop_of(reason) {
                Ok(stop) => choice.stop = Some(better(choice.stop.take(), stop)),
                Err(error) => {
                    self.state = State::Over;
                    out.push(Event::Error(error));
                }
            }
        }
        Ok(())
    }

    fn stop_all(&mut self, out: &mut Vec<Event>) -> Result<(), Malformed> {
        sort_by(&mut self.choices, |one, other| one.parts.choice.cmp(&other.parts.choice));
        for choice in &mut self.choices {
            choice.finish(out)?;
        }
        Ok(())
    }

    fn fail(&mut self, error: UpstreamError, out: &mut Vec<Event>) {
        self.state = State::Over;
        out.push(Event::Error(error));
    }

    /// A frame that is no chunk.
    fn foreign(&mut self, frame: &Frame<'_>, data: &str, out: &mut Vec<Event>) -> Result<(), Malformed> {
        if let Some(error) = error::hidden(data) {
            self.fail(error, out);
        } else {
            let json = Json::parse(data).map_err(|error| Malformed::json(data, &error))?;
            out.push(Event::Foreign { dialect: HERE, name: frame.name.map(str::to_owned), json });
        }
        Ok(())
    }
}

impl Decoder for StreamDecoder {
    fn push(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) -> Result<(), Malformed> {
        let data = frame.data.trim();
        if self.state == State::Over {
            return Ok(());
        }
        if data.is_empty() {
            out.extend(frame.is_ping().then_some(Event::Ping));
            return Ok(());
        }
        if data == "[DONE]" {
            if !self.started {
                return Err(Malformed::Truncated); // An end without an answer.
            }
            self.state = State::Over;
            self.stop_all(out)?;
            out.push(Event::End);
            return Ok(());
        }
        if frame.name == Some("error") || data.starts_with('[') {
            self.fail(error::read(0, data.as_bytes()), out);
            return Ok(());
        }
        if !data.starts_with('{') && frame.name.is_some() {
            return Ok(()); // An event that is none of ours, in words of its own.
        }
        let chunk: Chunk<'_> = crate::json::from_str(data).map_err(|error| Malformed::json(data, &error))?;
        let said = chunk.error.or(chunk.x_groq.as_ref().and_then(|beside| beside.error));
        if let Some(error) = said.and_then(error::inside) {
            self.fail(error, out);
            return Ok(());
        }
        if chunk.choices.is_none() && chunk.usage.is_none() && chunk.x_groq.is_none() {
            return self.foreign(frame, data, out);
        }
        self.chunk(chunk, out)
    }

    fn finish(&mut self, out: &mut Vec<Event>) -> Result<(), Malformed> {
        if self.state == State::Over {
            return Ok(());
        }
        self.state = State::Over;
        // Without `[DONE]` the answer is complete if every choice said why it stopped.
        if self.choices.is_empty() || self.choices.iter().any(|choice| choice.stop.is_none()) {
            return Err(Malformed::Truncated);
        }
        self.stop_all(out)?;
        out.push(Event::End);
        Ok(())
    }
}

impl Choice {
    fn delta(&mut self, delta: &ChunkDelta<'_>, id: &str, out: &mut Vec<Event>) -> Result<(), Malformed> {
        let thought = delta.reasoning_content.text().or(delta.reasoning.text());
        if let Some(thought) = thought {
            self.think(thought, out);
        }
        for block in delta.thinking_blocks.iter().flatten() {
            self.block(block, thought.is_some(), out);
        }
        match &delta.content {
            Said::Nothing => {}
            Said::Text(text) => self.text(text, out),
            Said::Pieces(pieces) => {
                for piece in pieces {
                    self.think(&piece.thinking.text(), out);
                    self.think(&piece.summary.text(), out);
                    for signature in piece.summary.signatures() {
                        self.parts.signature(signature, out);
                    }
                    if let Some(signature) = piece.signature.text() {
                        self.parts.signature(signature, out);
                    }
                    self.text(piece.text.text().unwrap_or_default(), out);
                    self.parts.run(Run::Refusal, piece.refusal.text().unwrap_or_default(), out);
                }
            }
        }
        for annotation in delta.annotations.iter().flatten() {
            self.parts.citation(citation_of(annotation), out);
        }
        self.parts.run(Run::Refusal, delta.refusal.text().unwrap_or_default(), out);
        for image in delta.images.iter().flatten() {
            if let Some(url) = image_url(image) {
                let content = Content::Image { source: Source::of_url(&url), detail: None };
                self.parts.whole(PartKind::Whole(Box::new(content)), out);
            }
        }
        // What only this dialect knows: passed on, one piece after the other.
        for (name, value) in [("reasoning_details", delta.reasoning_details), ("audio", delta.audio)] {
            if let Some(value) = value {
                let fields = vec![(name.to_owned(), Json::from(value))];
                if let Some(Content::Foreign { dialect, json }) =
                    foreign(&Extra { dialect: Some(HERE), fields })
                {
                    self.parts.whole(PartKind::Foreign { dialect, json }, out);
                }
            }
        }
        if delta.tool_calls.is_none() && delta.function_call.is_none() {
            return Ok(());
        }
        let seed: String = id.chars().filter(char::is_ascii_alphanumeric).collect();
        let seed = seed.get(seed.len().saturating_sub(24)..).unwrap_or_default();
        for call in delta.tool_calls.iter().flatten() {
            self.parts.call(call, seed, out)?;
        }
        let blank = |text: Option<&str>| text.is_none_or(str::is_empty);
        if let Some(function) = &delta.function_call
            && !(blank(function.name.text()) && blank(function.arguments.and_then(string).as_deref()))
        {
            // The way of before there were several calls.
            let function = super::chunk::FunctionDelta {
                name: Word(function.name.text().map(std::borrow::Cow::Borrowed)),
                arguments: function.arguments,
                ..Default::default()
            };
            self.parts.call(&CallDelta { function: Some(function), ..CallDelta::default() }, seed, out)?;
        }
        Ok(())
    }

    fn text(&mut self, text: &str, out: &mut Vec<Event>) {
        let Some(tags) = &mut self.tags else { return self.parts.run(Run::Text, text, out) };
        let (thought, text) = tags.push(text);
        self.think(&thought, out);
        self.parts.run(Run::Text, &text, out);
    }

    fn think(&mut self, thought: &str, out: &mut Vec<Event>) {
        if !self.parts.is_last(Run::Thinking) {
            self.thought.clear();
        }
        self.thought.push_str(thought);
        self.parts.run(Run::Thinking, thought, out);
    }

    /// A thought of the extension. Its text counts unless it was said before, or beside it, in the plain field.
    fn block(&mut self, block: &Thought<'_>, said_beside: bool, out: &mut Vec<Event>) {
        if block.kind.text() == Some("redacted_thinking") {
            let data = block.data.text().unwrap_or_default().to_owned();
            self.parts.whole(PartKind::RedactedThinking { data }, out);
            return;
        }
        let text = block.thinking.text().unwrap_or_default();
        let again = self.parts.is_last(Run::Thinking) && self.thought == text;
        if !said_beside && !again {
            self.think(text, out);
        }
        if let Some(signature) = block.signature.text() {
            self.parts.signature(signature, out);
        }
    }

    fn finish(&mut self, out: &mut Vec<Event>) -> Result<(), Malformed> {
        if let Some((thought, text)) = self.tags.as_mut().map(Tags::finish) {
            self.think(&thought, out);
            self.parts.run(Run::Text, &text, out);
        }
        self.parts.finish(out)?;
        let stop = self.stop.clone().unwrap_or(Stop::EndTurn);
        let stop = reconciled(stop, !self.parts.calls.is_empty());
        out.push(Event::Stop { choice: self.parts.choice, stop });
        Ok(())
    }
}

/// The stop that the content proves: calls that were made, or were not.
pub(super) fn reconciled(stop: Stop, calls: bool) -> Stop {
    match settled_stop(stop, calls) {
        Stop::ToolUse if !calls => Stop::EndTurn,
        stop => stop,
    }
}

/// Of two reasons that one choice gives, the one that says more.
fn better(before: Option<Stop>, now: Stop) -> Stop {
    match (before, now) {
        (Some(before), Stop::EndTurn) => before,
        (_, now) => now,
    }
}

/// What a reason to stop means; some are errors.
pub(super) fn stop_of(reason: &str) -> Result<Stop, UpstreamError> {
    Ok(match reason {
        "stop" | "eos" | "eos_token" | "end_turn" | "STOP" | "COMPLETE" => Stop::EndTurn,
        "stop_sequence" => Stop::Sequence(None),
        "length" | "max_tokens" | "model_length" | "MAX_TOKENS" => Stop::MaxTokens,
        "model_context_window_exceeded" => Stop::ContextWindow,
        "tool_calls" | "function_call" | "tool_use" => Stop::ToolUse,
        "content_filter" | "sensitive" | "safety" | "SAFETY" | "refusal" => Stop::Refusal,
        "pause_turn" => Stop::Pause,
        "error" | "network_error" | "insufficient_system_resource" => return Err(error::stopped(reason)),
        other => Stop::Other(other.to_owned()),
    })
}

/// The URL of an image that a model made: an extension of several providers.
pub(super) fn image_url(raw: &RawValue) -> Option<String> {
    let image = Fields::of(raw, "images[]").ok()?;
    let url = image.get("image_url")?;
    if let Some(url) = string(url) {
        return Some(url.into_owned());
    }
    Fields::of(url, "images[].image_url").ok()?.get("url").and_then(string).map(String::from)
}
