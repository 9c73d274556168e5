//! Counting what an answer used, from its events.

use gatelet_wire::event::Delta;
use gatelet_wire::{Event, Units, Usage};

use crate::domain::Money;
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
            Event::Start { .. }
            | Event::PartStart { .. }
            | Event::PartStop { .. }
            | Event::Stop { .. }
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
