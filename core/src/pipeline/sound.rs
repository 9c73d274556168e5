//! Sound and pictures, which some count by their length or number and some by tokens: each is billed once.

use gatelet_wire::{Operation, Outline, Units, Usage};

use super::tally::Tally;
use crate::registry::{Meter, Price};

/// What a request tells of the length of sound, for answers that do not tell it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sound {
    likely_units: Units,
    bytes_a_second: u64,
    exact: bool,
}

/// Where only tokens have a price and only the length is known: what models that hear and speak count at most.
const TOKENS_A_SECOND: u64 = 25;

impl Sound {
    pub(super) fn of(outline: &Outline) -> Self {
        Self {
            likely_units: outline.likely_units,
            bytes_a_second: outline.bytes_a_second,
            exact: outline.bytes_are_exact,
        }
    }

    /// Puts into `usage` what the answer did not say. Answers whether that is an estimate.
    pub(super) fn complete(&self, operation: Operation, tally: &Tally, usage: &mut Usage) -> bool {
        match operation {
            Operation::Speech if usage.output_total() == 0 && self.bytes_a_second > 0 => {
                let bytes = u128::from(tally.passed()) * 1_000;
                usage.units.output_ms =
                    u64::try_from(bytes.div_ceil(u128::from(self.bytes_a_second))).unwrap_or(u64::MAX);
                !self.exact
            }
            Operation::Transcription | Operation::Translation
                if usage.output_total() == 0 && usage.units.input_ms == 0 =>
            {
                *usage = Usage { units: self.likely_units, ..Usage::default() };
                true
            }
            Operation::Chat
            | Operation::Completion
            | Operation::Embedding
            | Operation::Rerank
            | Operation::Moderation
            | Operation::Image
            | Operation::ImageEdit
            | Operation::Speech
            | Operation::Transcription
            | Operation::Translation
            | Operation::TokenCount
            | Operation::Native => false,
        }
    }
}

/// Leaves of what was counted both ways the one that `price` is for. Answers whether the cost is an estimate.
pub(super) fn once(usage: &mut Usage, price: &Price, estimated: bool) -> bool {
    let named = |meters: &[Meter]| meters.iter().any(|meter| price.rate(*meter).is_some());
    let mut estimated = estimated;
    let units = &mut usage.units;
    if units.characters > 0 && named(&[Meter::CharacterInput]) {
        // The characters are certain, and are all that is billed.
        (usage.input, units.output_ms, estimated) = (0, 0, false);
    }
    if units.output_ms > 0 && !price.by_second_made() {
        usage.audio_output = (units.output_ms * TOKENS_A_SECOND).div_ceil(1_000);
        (units.output_ms, estimated) = (0, true);
    } else if usage.audio_output > 0 {
        units.output_ms = 0;
    }
    let tokens_sent = usage.input.saturating_add(usage.audio_input) > 0;
    if units.input_ms > 0 && tokens_sent && named(&[Meter::Input, Meter::AudioInput]) {
        units.input_ms = 0;
    } else if units.input_ms > 0 && !price.by_second_sent() {
        usage.audio_input = (units.input_ms * TOKENS_A_SECOND).div_ceil(1_000);
        (units.input_ms, estimated) = (0, true);
    } else if units.input_ms > 0 {
        (usage.input, usage.audio_input) = (0, 0);
    }
    let tokens_made = usage.image_output.saturating_add(usage.output) > 0;
    if units.pictures > 0 && tokens_made && named(&[Meter::ImageOutput, Meter::Output]) {
        units.pictures = 0;
    } else if units.pictures > 0 && named(&[Meter::Picture]) {
        (usage.output, usage.image_output, estimated) = (0, 0, false);
    }
    if units.queries > 0 && named(&[Meter::Query]) {
        (usage.input, estimated) = (0, false);
    }
    estimated
}
