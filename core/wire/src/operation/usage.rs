//! What an answer says that it used.

use serde_json::value::RawValue;

use super::Operation;
use crate::event::Delta;
use crate::frame::Frame;
use crate::object::Object;
use crate::{Decoder, Event, Fields, Malformed, Units, Usage};

/// The usage in a whole answer of `operation`, and pictures by their number. None: it is no answer.
pub(super) fn of_answer(operation: Operation, body: &[u8]) -> Option<Usage> {
    let answer = Object::read(body).ok()?;
    let mut usage = match answer.raw("usage") {
        Some(raw) => of_usage(operation, raw).unwrap_or_default(),
        None => Usage::default(),
    };
    match operation {
        Operation::Image | Operation::ImageEdit => {
            usage.units.pictures = answer.items("data").ok()??.len() as u64;
        }
        Operation::Rerank => {
            answer.raw("results").or_else(|| answer.raw("data"))?;
            if let Some(meta) = answer.object("meta").ok()? {
                let count = |units: &str, key: &str| {
                    meta.object(units).ok().flatten().and_then(|units| units.count(key).ok().flatten())
                };
                usage.units.queries = count("billed_units", "search_units").unwrap_or(0);
                let tokens =
                    || count("billed_units", "input_tokens").or_else(|| count("tokens", "input_tokens"));
                if usage.input == 0 {
                    usage.input = tokens().unwrap_or(0);
                }
            }
        }
        Operation::Transcription | Operation::Translation => {
            answer.raw("text")?;
            if usage.total() == 0
                && usage.units.input_ms == 0
                && let Ok(Some(seconds)) = answer.number("duration")
            {
                usage.units.input_ms = milliseconds(seconds);
            }
        }
        Operation::Moderation => {
            answer.raw("results")?;
        }
        Operation::Completion => {
            answer.raw("choices")?;
        }
        Operation::Chat
        | Operation::Embedding
        | Operation::Speech
        | Operation::TokenCount
        | Operation::Native => {}
    }
    Some(usage)
}

/// Where the kinds of input stand, in three spellings.
const INPUT: [&str; 3] = ["input_tokens_details", "input_token_details", "prompt_tokens_details"];

/// A usage object, in any of the words that these operations have for it.
fn of_usage(operation: Operation, raw: &RawValue) -> Option<Usage> {
    let said = Object::of(raw, "usage").ok()?;
    let count = |keys: &[&str]| keys.iter().find_map(|key| said.count(key).ok().flatten());
    let detail = |keys: &[&str], key: &str| {
        let details = keys.iter().find_map(|key| said.object(key).ok().flatten());
        details.and_then(|details| details.count(key).ok().flatten()).unwrap_or(0)
    };
    if let Ok(Some(seconds)) = said.number("seconds") {
        let units = Units { input_ms: milliseconds(seconds), ..Units::default() };
        return Some(Usage { units, ..Usage::default() });
    }
    let mut rest = count(&["input_tokens", "prompt_tokens", "total_tokens"])?;
    let mut share = |tokens: u64| {
        let taken = tokens.min(rest);
        rest -= taken;
        taken
    };
    let cache_read = share(detail(&INPUT, "cached_tokens"));
    let audio_input = share(detail(&INPUT, "audio_tokens"));
    let image_input = share(detail(&INPUT, "image_tokens"));
    let output = count(&["output_tokens", "completion_tokens"]).unwrap_or(0);
    let text = detail(&["output_tokens_details"], "text_tokens").min(output);
    let (output, audio_output, image_output) = match operation {
        Operation::Image | Operation::ImageEdit => (text, 0, output - text),
        Operation::Speech => (0, output, 0),
        _ => (output, 0, 0),
    };
    Some(Usage {
        input: rest,
        cache_read,
        audio_input,
        image_input,
        output,
        audio_output,
        image_output,
        ..Usage::default()
    })
}

/// Rounded up, so that no part of a second is free.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
fn milliseconds(seconds: f64) -> u64 {
    (seconds * 1_000.0).ceil().clamp(0.0, 1e15) as u64
}

/// Reads the usage in the events of a stream, whatever else they say.
#[derive(Debug)]
pub(super) struct Tap {
    operation: Operation,
    pictures: u64,
}

impl Tap {
    pub(super) fn new(operation: Operation) -> Self {
        Self { operation, pictures: 0 }
    }
}

impl Decoder for Tap {
    fn push(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) -> Result<(), Malformed> {
        if frame.data == "[DONE]" {
            out.push(Event::End);
            return Ok(());
        }
        let fields = Fields::read(frame.data.as_bytes())?;
        let completed = fields
            .present("type")
            .is_some_and(|kind| kind.get().contains("image") && kind.get().contains("completed"));
        if completed {
            self.pictures += 1;
        }
        // What is generated is content; of all else the bytes are enough.
        if self.operation == Operation::Completion
            && let Some(text) = fields.present("choices").map(RawValue::get).filter(|list| *list != "[]")
        {
            out.push(Event::Delta { choice: 0, part: 0, delta: Delta::Text(text.to_owned()) });
        }
        let said = fields.present("usage").and_then(|raw| of_usage(self.operation, raw));
        if said.is_some() || completed {
            let mut usage = said.unwrap_or_default();
            usage.units.pictures = self.pictures;
            out.push(Event::Usage(usage));
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<Event>) -> Result<(), Malformed> {
        out.push(Event::End);
        Ok(())
    }
}
