//! What each operation's request says of its size: counted where it is certain, bounded from above where it is not.

use serde_json::value::RawValue;

use super::{AnswerForm, Operation, Outline};
use crate::json::string;
use crate::multipart::Form;
use crate::{Fields, Malformed, Measure, Units, peek};

/// The largest share of tokens that a picture of a megapixel becomes when it is made: more than twice what the dearest
/// quality of the models with a published table takes.
const TOKENS_A_MEGAPIXEL: u64 = 8_192;
/// Where the request leaves the size to the model.
const MEGAPIXELS_UNSAID: u64 = 4;
/// Pictures that one request may ask for.
const MOST_PICTURES: u64 = 16;
/// Pictures that one request may send along, a mask among them.
const MOST_PICTURES_SENT: u32 = 17;
/// A character is read aloud within this time, digits and signs among them, at the usual speed.
const MS_A_CHARACTER: u64 = 1_000;
/// Models that hear and speak count at most so many tokens a second.
const AUDIO_TOKENS_A_SECOND: u64 = 25;
/// Nobody speaks faster than this, in tokens of text.
const TEXT_TOKENS_A_SECOND: u64 = 10;
/// The lowest bit rate at which speech is sent (6 kbit/s).
const LEAST_BYTES_A_SECOND: u64 = 750;
/// Documents that one unit of search ranks; each begins another one where it is longer than 500 tokens.
const DOCUMENTS_A_QUERY: u64 = 100;
const BYTES_A_CHUNK: u64 = 500;
/// What a completion has where the request does not say it, by the vendor's documentation.
const USUAL_COMPLETION: u64 = 16;

/// What a body in JSON says.
pub(super) fn of_fields(
    operation: Operation,
    fields: &Fields<'_>,
    outline: Outline,
) -> Result<Outline, Malformed> {
    match operation {
        Operation::Completion => completion(fields, outline),
        Operation::Rerank => rerank(fields, outline),
        Operation::Image | Operation::ImageEdit => {
            let count = |key| peek::count(fields, key);
            let size = fields.present("size").and_then(string);
            let stream = peek::flag(fields, "stream")?.unwrap_or(false);
            Ok(Outline { stream, ..pictures(count("n")?, size.as_deref(), outline) })
        }
        Operation::Speech => speech(fields, outline),
        Operation::Chat
        | Operation::Embedding
        | Operation::Moderation
        | Operation::Transcription
        | Operation::Translation
        | Operation::TokenCount
        | Operation::Native => Ok(outline),
    }
}

fn completion(fields: &Fields<'_>, outline: Outline) -> Result<Outline, Malformed> {
    let prompts = fields.present("prompt").and_then(items).map_or(1, |prompts| {
        // A list of numbers is one prompt.
        let tokens =
            prompts.first().is_some_and(|first| first.get().starts_with(|c: char| c.is_ascii_digit()));
        if tokens { 1 } else { prompts.len().max(1) as u64 }
    });
    let count = |key| Ok::<_, Malformed>(peek::count(fields, key)?.unwrap_or(1).max(1));
    let each = peek::count(fields, "max_tokens")?.unwrap_or(USUAL_COMPLETION);
    let most = each.saturating_mul(count("n")?.max(count("best_of")?)).saturating_mul(prompts);
    let options = fields.present("stream_options").map(|options| Fields::of(options, "stream_options"));
    let hide_usage = match options.transpose()? {
        Some(options) => !peek::flag_at(&options, "stream_options.", "include_usage")?.unwrap_or(false),
        None => true,
    };
    let stream = peek::flag(fields, "stream")?.unwrap_or(false);
    let answer = AnswerForm { hide_usage: hide_usage && stream, ..outline.answer };
    Ok(Outline { stream, most_output: most, answer, ..outline })
}

fn items(raw: &RawValue) -> Option<Vec<&RawValue>> {
    crate::json::from_str(raw.get()).ok()
}

fn rerank(fields: &Fields<'_>, outline: Outline) -> Result<Outline, Malformed> {
    let wrong = || Malformed::field("documents", "a list of documents");
    let raw = fields.present("documents").ok_or_else(wrong)?;
    let documents: Vec<&RawValue> = crate::json::from_str(raw.get()).map_err(|_| wrong())?;
    let query = fields.present("query").map_or(0, |query| query.get().len() as u64);
    let chunks = documents
        .iter()
        .map(|document| (document.get().len() as u64 + query).div_ceil(BYTES_A_CHUNK).max(1))
        .fold(0, u64::saturating_add);
    // The query is read again with each document.
    let bytes =
        documents.iter().map(|document| document.get().len() as u64 + query).fold(0, u64::saturating_add);
    let measure = Measure { text_bytes: bytes.saturating_add(64), ..Measure::default() };
    let most_units = Units { queries: chunks.div_ceil(DOCUMENTS_A_QUERY).max(1), ..Units::default() };
    let known_units =
        Units { queries: (documents.len() as u64).div_ceil(DOCUMENTS_A_QUERY).max(1), ..most_units };
    Ok(Outline { most_units, known_units, measure: Some(measure), ..outline })
}

fn pictures(count: Option<u64>, size: Option<&str>, outline: Outline) -> Outline {
    let asked = count.unwrap_or(1).max(1);
    let pixels = size.and_then(|size| {
        let (width, height) = size.split_once('x')?;
        Some(width.parse::<u64>().ok()?.saturating_mul(height.parse::<u64>().ok()?))
    });
    let megapixels = pixels.map_or(MEGAPIXELS_UNSAID, |pixels| pixels.div_ceil(1 << 20)).max(1);
    Outline {
        most_output: asked.saturating_mul(megapixels).saturating_mul(TOKENS_A_MEGAPIXEL),
        most_units: Units { pictures: asked, ..Units::default() },
        // How many came is told by the answer.
        known_units: Units::default(),
        ..outline
    }
}

fn speech(fields: &Fields<'_>, outline: Outline) -> Result<Outline, Malformed> {
    let input =
        fields.present("input").and_then(string).ok_or_else(|| Malformed::field("input", "a text"))?;
    let characters = input.chars().count() as u64;
    // At a quarter of the speed it takes four times as long.
    let slow = fields.present("speed").is_some_and(|speed| speed.get().starts_with("0."));
    let output_ms = characters.saturating_mul(MS_A_CHARACTER).saturating_mul(if slow { 4 } else { 1 });
    let format = fields.present("response_format").and_then(string);
    let (bytes_a_second, exact) = match format.as_deref() {
        // 24 kHz, 16 bits, one channel.
        Some("pcm" | "wav") => (48_000, true),
        Some("opus") => (6_000, false),
        Some("flac") => (24_000, false),
        Some("aac") => (12_000, false),
        // MP3 at 128 kbit/s, and what nobody knows.
        Some(_) | None => (16_000, false),
    };
    Ok(Outline {
        stream: true,
        most_output: (output_ms / 1_000).saturating_add(1).saturating_mul(AUDIO_TOKENS_A_SECOND),
        most_units: Units { characters, output_ms, ..Units::default() },
        known_units: Units { characters, ..Units::default() },
        bytes_a_second,
        bytes_are_exact: exact,
        ..outline
    })
}

/// What the beginning of a form says; `length` is that of the whole body, as far as it is known.
pub(super) fn of_form(
    operation: Operation,
    form: &Form,
    body: &[u8],
    length: u64,
    outline: Outline,
) -> Result<Outline, Malformed> {
    let text = |name: &str| form.text(body, name);
    let stream = text("stream") == Some("true");
    if operation == Operation::ImageEdit {
        let count = text("n").map(str::parse).transpose();
        let count = count.map_err(|_| Malformed::field("n", "a whole number"))?;
        // What has not come yet may ask for as many as there may be.
        let count = count.or_else(|| (!form.ended).then_some(MOST_PICTURES));
        let outline = pictures(count, text("size"), outline);
        let text_bytes = text("prompt").map_or(64 << 10, |prompt| prompt.len() as u64) + 64;
        let measure = Measure { text_bytes, images: MOST_PICTURES_SENT, ..Measure::default() };
        return Ok(Outline { stream, measure: Some(measure), ..outline });
    }
    let seconds = length / LEAST_BYTES_A_SECOND + 1;
    let measure = Measure {
        text_bytes: text("prompt").map_or(0, |prompt| prompt.len() as u64) + 64,
        audios: 1,
        audio_bytes: length,
        ..Measure::default()
    };
    Ok(Outline {
        stream,
        most_output: seconds.saturating_mul(TEXT_TOKENS_A_SECOND),
        most_units: Units { input_ms: seconds.saturating_mul(1_000), ..Units::default() },
        // Speech as it is usually sent, for answers that do not say how long it was.
        likely_units: Units { input_ms: length.saturating_mul(1_000) / 8_000, ..Units::default() },
        measure: Some(measure),
        ..outline
    })
}
