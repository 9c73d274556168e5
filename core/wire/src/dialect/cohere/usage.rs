//! Usage: what is billed, where that is said.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::Usage;
use crate::dialect::lax::Count;
use crate::object::ObjectWriter;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    billed_units: Option<Tokens>,
    tokens: Option<Tokens>,
    cached_tokens: Count,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Tokens {
    input_tokens: Count,
    output_tokens: Count,
}

/// Reads a usage object; none if it says nothing.
pub(super) fn read(raw: &RawValue) -> Option<Usage> {
    let said: Said = crate::json::from_str(raw.get()).ok()?;
    let (billed, all) = (said.billed_units.unwrap_or_default(), said.tokens.unwrap_or_default());
    let input = billed.input_tokens.0.or(all.input_tokens.0);
    let output = billed.output_tokens.0.or(all.output_tokens.0);
    input.or(output)?;
    let input = input.unwrap_or(0);
    // Cached tokens are counted among all tokens, of which the billed ones are a part.
    let cache_read = said.cached_tokens.0.unwrap_or(0).min(input);
    Some(Usage { input: input - cache_read, cache_read, output: output.unwrap_or(0), ..Usage::default() })
}

/// Fills a usage object. Both counts are the same: what other providers count is what they bill.
pub(super) fn write(object: &mut ObjectWriter<'_>, usage: &Usage) {
    let tokens = |object: &mut ObjectWriter<'_>| {
        object.count("input_tokens", usage.input_total());
        object.count("output_tokens", usage.output_total());
    };
    object.object("billed_units", tokens);
    object.object("tokens", tokens);
    if usage.cache_read > 0 {
        object.count("cached_tokens", usage.cache_read);
    }
}
