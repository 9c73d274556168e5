//! Answers, read: a whole one is a stream of one chunk.
//!
//! This dialect's streams have no terminator: an answer is complete when the bytes end after every candidate said why it
//! stopped. So reasons to stop, and what stands beside the content, come at the end; some upstreams say a reason in
//! every chunk.

use serde_json::value::RawValue;

use crate::chat::{Content, Extra, Source, Stop};
use crate::event::{Delta, Event, PartKind};
use crate::fold::settled_stop;
use crate::frame::Frame;
use crate::sort::sort_by;
use crate::source::standard_base64;
use crate::{Decoder, DialectId, Json, Malformed, Usage};

use super::chunk::{Call, Candidate, Chunk, Feedback, Part};
use super::grounding::{self, Spoken};
use super::model::{Generation, Model};
use super::proof::{self, Proof};
use super::{calls, error, logprobs, part, usage};

const HERE: DialectId = DialectId::Gemini;

/// No request asks for more answers.
const MOST_CHOICES: u64 = 128;

#[derive(Debug, Default)]
pub(super) struct StreamDecoder {
    over: bool,
    started: bool,
    chunks: u32,
    id: String,
    /// The name tells how searches are billed.
    model: String,
    choices: Vec<Choice>,
    /// The prompt itself was refused, in these words.
    blocked: Option<String>,
    usage: Option<Usage>,
    searches: u64,
    counted: usage::Counted,
    beside: Vec<(String, Json)>,
}

#[derive(Debug, Default)]
struct Choice {
    index: u32,
    next: u32,
    open: Option<Run>,
    calls: u32,
    stop: Option<Stop>,
    /// What was said aloud, and where in it the first chunk's parts began: offsets of citations count in it.
    text: String,
    parts: Vec<usize>,
    grounding: Option<Box<RawValue>>,
    recited: Option<Box<RawValue>>,
    beside: Vec<(&'static str, Json)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    Text,
    Thinking,
}

impl StreamDecoder {
    /// Takes one chunk.
    pub(super) fn chunk(&mut self, data: &str, out: &mut Vec<Event>) -> Result<(), Malformed> {
        if !data.trim_start().starts_with('{') {
            return Err(Malformed::field("body", "an object"));
        }
        let chunk: Chunk<'_> = crate::json::from_str(data).map_err(|error| Malformed::json(data, &error))?;
        if let Some(raw) = chunk.error {
            self.over = true;
            out.push(Event::Error(error::of_object(None, raw)));
            return Ok(());
        }
        let nothing =
            chunk.candidates.is_none() && chunk.usage_metadata.is_none() && chunk.prompt_feedback.is_none();
        if nothing {
            let json = Json::parse(data).map_err(|error| Malformed::json(data, &error))?;
            out.push(Event::Foreign { dialect: HERE, name: None, json });
            return Ok(());
        }
        if !std::mem::replace(&mut self.started, true) {
            chunk.response_id.text().unwrap_or_default().clone_into(&mut self.id);
            chunk.model_version.text().unwrap_or_default().clone_into(&mut self.model);
            out.push(Event::Start { id: self.id.clone(), model: self.model.clone(), created: None });
        }
        self.chunks = self.chunks.saturating_add(1);
        for (name, raw) in [("createTime", chunk.create_time), ("modelStatus", chunk.model_status)] {
            if let Some(raw) = raw {
                put(&mut self.beside, name.to_owned(), raw.into());
            }
        }
        if let Some(raw) = chunk.prompt_feedback {
            self.feedback(raw);
        }
        // Before the content: some readers say the input's count where they begin.
        if let Some(raw) = chunk.usage_metadata
            && let Some(counted) = usage::read(raw)
        {
            self.counted = counted;
            self.count(out);
        }
        for candidate in chunk.candidates.unwrap_or_default() {
            self.candidate(candidate, out)?;
        }
        Ok(())
    }

    fn feedback(&mut self, raw: &RawValue) {
        let said: Feedback<'_> = crate::json::from_str(raw.get()).unwrap_or_default();
        if said.block_reason.text().is_some_and(|reason| reason != "BLOCKED_REASON_UNSPECIFIED") {
            self.blocked = Some(said.block_reason_message.text().unwrap_or_default().to_owned());
        }
        put(&mut self.beside, "promptFeedback".to_owned(), raw.into());
    }

    /// Tells usage when it is new; it is cumulative.
    fn count(&mut self, out: &mut Vec<Event>) {
        let usage = Usage { web_searches: self.searches, ..self.counted.usage };
        if self.usage != Some(usage) {
            self.usage = Some(usage);
            out.push(Event::Usage(usage));
        }
    }

    fn candidate(&mut self, said: Candidate<'_>, out: &mut Vec<Event>) -> Result<(), Malformed> {
        let index = said.index.0.unwrap_or(0);
        let index = u32::try_from(index).ok().filter(|_| index < MOST_CHOICES);
        let index = index.ok_or_else(|| Malformed::field("candidates[].index", "a number below 128"))?;
        let at = self.choices.iter().position(|choice| choice.index == index).unwrap_or_else(|| {
            self.choices.push(Choice { index, ..Choice::default() });
            self.choices.len() - 1
        });
        let Some(choice) = self.choices.get_mut(at) else { return Ok(()) };
        for raw in said.content.and_then(|content| content.parts).unwrap_or_default() {
            if self.chunks == 1 {
                choice.parts.push(choice.text.len());
            }
            choice.part(raw, &self.id, out)?;
        }
        if let Some(json) = said.logprobs_result.and_then(logprobs::read) {
            out.push(Event::Logprobs { choice: index, json });
        }
        let beside = [
            ("safetyRatings", said.safety_ratings),
            ("groundingMetadata", said.grounding_metadata),
            ("citationMetadata", said.citation_metadata),
            ("urlContextMetadata", said.url_context_metadata),
            ("finishMessage", said.finish_message),
            ("avgLogprobs", said.avg_logprobs),
            ("continuationToken", said.continuation_token),
        ];
        for (name, raw) in beside {
            if let Some(raw) = raw.filter(|raw| !matches!(raw.get(), "null" | "[]" | "{}")) {
                put(&mut choice.beside, name, raw.into());
            }
        }
        if let Some(raw) = said.grounding_metadata {
            choice.grounding = Some(raw.to_owned());
            let each = Model::of(&self.model).generation == Generation::Levels;
            self.searches = self.searches.max(grounding::searches(raw, each));
        }
        if let Some(raw) = said.citation_metadata {
            choice.recited = Some(raw.to_owned());
        }
        if let Some(reason) = said.finish_reason.text() {
            choice.finish(reason);
        }
        if self.usage.is_some_and(|usage| usage.web_searches != self.searches) {
            self.count(out);
        }
        Ok(())
    }

    /// Whether the answer is complete if nothing more comes.
    fn is_complete(&self) -> bool {
        let stopped = !self.choices.is_empty() && self.choices.iter().all(|choice| choice.stop.is_some());
        stopped || (self.choices.is_empty() && self.blocked.is_some())
    }

    /// Nothing more comes: what was held back until then.
    pub(super) fn end(&mut self, out: &mut Vec<Event>) {
        self.over = true;
        if self.choices.is_empty() {
            // The prompt was refused. Without a word on that there is no other reason known either.
            let mut choice = Choice { stop: Some(Stop::Refusal), ..Choice::default() };
            if let Some(words) = self.blocked.take().filter(|words| !words.is_empty()) {
                choice.whole(PartKind::Refusal, Some(Delta::Refusal(words)), out);
            }
            self.choices.push(choice);
        }
        sort_by(&mut self.choices, |one, other| one.index.cmp(&other.index));
        for choice in &mut self.choices {
            choice.cite(out);
            choice.close(out);
        }
        let mut fields = std::mem::take(&mut self.beside);
        for choice in &mut self.choices {
            let index = choice.index;
            let named = |(name, json)| (format!("candidates[{index}].{name}"), json);
            fields.extend(std::mem::take(&mut choice.beside).into_iter().map(named));
        }
        if let Some(traffic) = &self.counted.traffic_type {
            fields.push(("usageMetadata.trafficType".to_owned(), Json::of(traffic)));
        }
        let service_tier = self.counted.service_tier.clone();
        if !fields.is_empty() || service_tier.is_some() {
            let dialect = (!fields.is_empty()).then_some(HERE);
            out.push(Event::Meta { service_tier, extra: Extra { dialect, fields } });
        }
        for choice in &mut self.choices {
            if let Some(stop) = choice.stop.take() {
                let stop = settled_stop(stop, choice.calls > 0);
                out.push(Event::Stop { choice: choice.index, stop });
            }
        }
        out.push(Event::End);
    }

    pub(super) fn has_started(&self) -> bool {
        self.started
    }
}

impl Decoder for StreamDecoder {
    fn push(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) -> Result<(), Malformed> {
        let data = frame.data.trim();
        if self.over || data.is_empty() || data == "[DONE]" {
            if !self.over && data.is_empty() && frame.raw.contains(&b':') {
                out.push(Event::Ping);
            }
            return Ok(());
        }
        if data.starts_with('[') {
            // Streams begin as lists where they fail.
            self.over = true;
            out.push(Event::Error(error::read(None, data.as_bytes())));
            return Ok(());
        }
        self.chunk(data, out)
    }

    fn finish(&mut self, out: &mut Vec<Event>) -> Result<(), Malformed> {
        if self.over {
            return Ok(());
        }
        if !self.is_complete() {
            self.over = true;
            return Err(Malformed::Truncated);
        }
        self.end(out);
        Ok(())
    }

    fn may_end(&self) -> bool {
        !self.over && self.is_complete()
    }
}

impl Choice {
    fn part(&mut self, raw: &RawValue, seed: &str, out: &mut Vec<Event>) -> Result<(), Malformed> {
        let said: Part<'_> = crate::json::from_str(raw.get())
            .map_err(|_| Malformed::field("candidates[].content.parts[]", "a part"))?;
        let signature = said.thought_signature.text().map(proof::read);
        if let Some(text) = &said.text {
            let run = if said.thought { Run::Thinking } else { Run::Text };
            self.run(run, text.text().unwrap_or_default(), out);
            if let Some(signature) = signature {
                self.prove(signature, out);
            }
            return Ok(());
        }
        if said.thought {
            self.foreign(raw, out);
        } else if let Some(call) = said.function_call {
            if call.partial_args.is_some() || call.will_continue || call.name.text().is_none() {
                self.foreign(raw, out);
                return Ok(());
            }
            if let Some(signature) = signature {
                self.prove(signature, out);
            }
            self.call(&call, seed, out)?;
            return Ok(());
        } else if let Some(blob) = said.inline_data {
            let media_type = blob.mime_type.text().unwrap_or_default();
            let data = standard_base64(blob.data.text().unwrap_or_default());
            let data = data.ok_or_else(|| Malformed::field("inlineData.data", "base64"))?;
            let source = Source::Base64 { media_type: media_type.to_owned(), data };
            self.media(part::media(source, media_type, None), out);
        } else if let Some(file) = said.file_data {
            let uri = file.file_uri.text().unwrap_or_default();
            let media_type = file.mime_type.text().or(part::media_type_of(uri)).unwrap_or_default();
            self.media(part::media(Source::Url(uri.to_owned()), media_type, None), out);
        } else {
            self.foreign(raw, out);
            return Ok(());
        }
        if let Some(signature) = signature {
            self.prove(signature, out);
        }
        Ok(())
    }

    fn run(&mut self, run: Run, text: &str, out: &mut Vec<Event>) {
        if text.is_empty() {
            return;
        }
        if self.open != Some(run) {
            let kind = match run {
                Run::Text => PartKind::Text,
                Run::Thinking => PartKind::Thinking,
            };
            self.start(kind, out);
            self.open = Some(run);
        }
        let delta = match run {
            Run::Text => {
                self.text.push_str(text);
                Delta::Text(text.to_owned())
            }
            Run::Thinking => Delta::Thinking(text.to_owned()),
        };
        self.delta(delta, out);
    }

    /// A proof ends the thought that is open, or stands as one without words.
    fn prove(&mut self, proof: Proof, out: &mut Vec<Event>) {
        match proof {
            Proof::Signature(signature) => {
                if self.open != Some(Run::Thinking) {
                    self.start(PartKind::Thinking, out);
                    self.open = Some(Run::Thinking);
                }
                self.delta(Delta::Signature(signature), out);
                self.close(out);
            }
            Proof::Redacted(data) => self.whole(PartKind::RedactedThinking { data }, None, out),
        }
    }

    fn call(&mut self, call: &Call<'_>, seed: &str, out: &mut Vec<Event>) -> Result<(), Malformed> {
        let arguments = call.args.map_or("{}", RawValue::get);
        let arguments = if arguments == "null" { "{}" } else { arguments };
        if !arguments.starts_with('{') {
            return Err(Malformed::field("functionCall.args", "an object"));
        }
        let id = call.id.text().map_or_else(|| calls::made(seed, self.index, self.calls), str::to_owned);
        let name = call.name.text().unwrap_or_default().to_owned();
        self.calls = self.calls.saturating_add(1);
        let kind = PartKind::ToolCall { id, name, kind: crate::chat::ToolKind::Function };
        // On one line, as fragments of a stream must be.
        let arguments = Json::parse(arguments).map(|json| json.as_str().to_owned());
        let arguments = arguments.map_err(|_| Malformed::field("functionCall.args", "an object"))?;
        self.whole(kind, Some(Delta::Arguments(arguments)), out);
        Ok(())
    }

    fn media(&mut self, content: Content, out: &mut Vec<Event>) {
        self.whole(PartKind::Whole(Box::new(content)), None, out);
    }

    fn foreign(&mut self, raw: &RawValue, out: &mut Vec<Event>) {
        self.whole(PartKind::Foreign { dialect: HERE, json: raw.into() }, None, out);
    }

    fn whole(&mut self, kind: PartKind, delta: Option<Delta>, out: &mut Vec<Event>) {
        self.start(kind, out);
        if let Some(delta) = delta {
            self.delta(delta, out);
        }
        self.stop(out);
    }

    fn start(&mut self, kind: PartKind, out: &mut Vec<Event>) {
        self.close(out);
        out.push(Event::PartStart { choice: self.index, part: self.next, kind, extra: Extra::default() });
        self.next = self.next.saturating_add(1);
    }

    fn delta(&self, delta: Delta, out: &mut Vec<Event>) {
        out.push(Event::Delta { choice: self.index, part: self.next.saturating_sub(1), delta });
    }

    fn stop(&mut self, out: &mut Vec<Event>) {
        self.open = None;
        out.push(Event::PartStop { choice: self.index, part: self.next.saturating_sub(1) });
    }

    fn close(&mut self, out: &mut Vec<Event>) {
        if self.open.is_some() {
            self.stop(out);
        }
    }

    /// The citations, in the text that is open; where it is over they have no offsets any more.
    fn cite(&mut self, out: &mut Vec<Event>) {
        let spoken = Spoken { text: &self.text, parts: &self.parts };
        let mut citations = Vec::new();
        if let Some(raw) = &self.grounding {
            citations = grounding::grounded(raw, spoken);
        }
        if let Some(raw) = &self.recited {
            citations.extend(grounding::recited(raw, spoken));
        }
        if citations.is_empty() {
            return;
        }
        let inside = self.open == Some(Run::Text);
        if !inside {
            self.start(PartKind::Text, out);
            self.open = Some(Run::Text);
        }
        for mut citation in citations {
            if !inside {
                (citation.start, citation.end) = (None, None);
            }
            self.delta(Delta::Citation(Box::new(citation)), out);
        }
    }

    fn finish(&mut self, reason: &str) {
        let stop = match reason {
            "STOP" => Stop::EndTurn,
            "FINISH_REASON_UNSPECIFIED" => return,
            "MAX_TOKENS" | "CONTINUATION" => Stop::MaxTokens,
            "SAFETY" => Stop::Refusal,
            refused if super::REFUSALS.contains(&refused) => {
                put(&mut self.beside, "finishReason", Json::of(&refused));
                Stop::Refusal
            }
            other => Stop::Other(other.to_owned()),
        };
        // A later word is the better one, unless it is the usual one that stands in every chunk.
        if self.stop.is_none() || stop != Stop::EndTurn {
            self.stop = Some(stop);
        }
    }
}

/// Later values replace earlier ones of the same name.
fn put<N: PartialEq>(fields: &mut Vec<(N, Json)>, name: N, json: Json) {
    match fields.iter_mut().find(|(known, _)| *known == name) {
        Some((_, value)) => *value = json,
        None => fields.push((name, json)),
    }
}
