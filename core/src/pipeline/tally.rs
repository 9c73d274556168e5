//! Counting what an answer used, from its events.

use std::sync::LazyLock;

use gatelet_wire::chat::Stop;
use gatelet_wire::event::Delta;
use gatelet_wire::{Event, Units, Usage};
use memchr::memmem;

use crate::domain::Money;
use crate::record::content::Transcript;
use crate::registry::StatedCost;

/// What is known so far of an answer's usage.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// The last that the upstream said.
    said: Option<Usage>,
    /// Bytes of text that were generated: words, reasoning, arguments.
    generated: u64,
    /// Usage was said after the last content: it is the whole truth.
    last_word: bool,
    /// Bytes that passed without being read.
    passed: u64,
    pub(super) service_tier: Option<String>,
    /// What the upstream said last that it costs.
    pub(super) stated: Option<Money>,
    /// Why the model ended, in the words of records.
    pub(super) finish: Option<&'static str>,
    /// What the answer says, where that is kept.
    pub(super) transcript: Option<Box<Transcript>>,
}

/// Made once: to make one takes longer than to search.
static REASON: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new("eason\""));

pub(super) fn finish(stop: &Stop) -> &'static str {
    match stop {
        Stop::EndTurn | Stop::Sequence(_) => "stop",
        Stop::MaxTokens | Stop::ContextWindow => "length",
        Stop::ToolUse => "tool_calls",
        Stop::Refusal => "content_filter",
        Stop::Pause | Stop::Other(_) => "other",
    }
}

/// The same of a vendor's word.
fn finish_named(word: &[u8]) -> &'static str {
    match word {
        b"stop" | b"end_turn" | b"stop_sequence" | b"STOP" | b"COMPLETE" | b"STOP_SEQUENCE" => "stop",
        b"length" | b"max_tokens" | b"MAX_TOKENS" | b"model_context_window_exceeded" => "length",
        b"tool_calls" | b"tool_use" | b"TOOL_CALL" | b"function_call" => "tool_calls",
        b"content_filter"
        | b"content_filtered"
        | b"guardrail_intervened"
        | b"refusal"
        | b"SAFETY"
        | b"PROHIBITED_CONTENT"
        | b"BLOCKLIST"
        | b"SPII"
        | b"RECITATION" => "content_filter",
        _ => "other",
    }
}

/// Where nobody says it, text has about this many bytes a token.
const BYTES_A_TOKEN: u64 = 4;

impl Tally {
    pub(super) fn see(&mut self, event: &Event) {
        match event {
            Event::Usage(usage) => {
                self.said = Some(*usage);
                self.last_word = usage.output_total() > 0;
            }
            Event::Delta { delta, .. } => {
                let bytes = match delta {
                    Delta::Text(text)
                    | Delta::Thinking(text)
                    | Delta::Arguments(text)
                    | Delta::Refusal(text) => text.len(),
                    Delta::Signature(_) | Delta::Citation(_) => 0,
                };
                self.generated = self.generated.saturating_add(bytes as u64);
                self.last_word = false;
            }
            Event::Meta { service_tier, .. } => {
                if service_tier.is_some() {
                    self.service_tier.clone_from(service_tier);
                }
            }
            Event::Stop { stop, .. } => self.finish = Some(finish(stop)),
            Event::Start { .. }
            | Event::PartStart { .. }
            | Event::PartStop { .. }
            | Event::Logprobs { .. }
            | Event::Foreign { .. }
            | Event::Error(_)
            | Event::Ping
            | Event::End => {}
        }
    }

    /// A whole answer of so many bytes. One that does not say its usage is not free: it is estimated from those bytes.
    pub(super) fn answered(&mut self, usage: Usage, bytes: usize) {
        self.said = Some(usage);
        self.last_word = usage.total() > 0;
        self.generated = bytes as u64;
    }

    /// Why the model ended, from the end of a whole answer's JSON, where each dialect says it: `"finish_reason":"stop"`. Inside
    /// of a text its quotes would be escaped.
    pub(super) fn ended(&mut self, body: &[u8]) {
        const END: usize = 1_024;
        let end = body.get(body.len().saturating_sub(END)..).unwrap_or_default();
        self.finish = REASON.find_iter(end).find_map(|place| {
            let before = end.get(..place)?;
            let named = [&b"\"finish_r"[..], b"\"stop_r", b"\"finishR", b"\"stopR", b"\"done_r"];
            named.iter().any(|name| before.ends_with(name)).then_some(())?;
            let value = end.get(place + 6..)?.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
            let word = value.strip_prefix(b"\"")?.split(|byte| *byte == b'"').next()?;
            Some(finish_named(word))
        });
    }

    /// A whole answer whose length says nothing of its cost: vectors, pictures, scores.
    pub(super) fn counted(&mut self, usage: Usage) {
        self.said = Some(usage);
        self.last_word = usage.total() > 0 || !usage.units.is_empty();
        self.generated = 0;
    }

    /// Takes down what `json`, an answer or an event of one, says that it cost. Of several words the last one counts.
    pub(super) fn state(&mut self, stated: Option<&StatedCost>, json: &str) {
        if let Some(cost) = stated.and_then(|stated| stated.read(json)) {
            self.stated = Some(cost);
        }
    }

    pub(super) fn pass(&mut self, bytes: usize) {
        self.passed = self.passed.saturating_add(bytes as u64);
    }

    /// What passed without being read.
    pub(super) fn passed(&self) -> u64 {
        self.passed
    }

    /// Nothing is counted but the request itself.
    pub(super) fn nothing(&mut self) {
        *self = Self { said: Some(Usage::default()), last_word: true, ..Self::default() };
    }

    /// The usage, and whether some of it is estimated. `likely_input` is what was sent, by its size; `known` what the
    /// request itself said.
    pub(super) fn usage(&self, likely_input: u64, known: &Units) -> (Usage, bool) {
        let mut usage = self.said.unwrap_or_default();
        if !known.is_empty() {
            usage.units = usage.units.or(known);
        }
        if self.last_word {
            return (usage, false);
        }
        if usage.input_total() == 0 {
            usage.input = likely_input;
        }
        usage.output = usage.output.max(self.generated.div_ceil(BYTES_A_TOKEN));
        (usage, true)
    }
}
