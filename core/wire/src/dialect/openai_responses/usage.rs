//! Usage, as this dialect says it.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::Usage;
use crate::dialect::lax::Count;
use crate::object::ObjectWriter;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    input_tokens: Count,
    output_tokens: Count,
    /// Servers that give their other dialect's names here.
    prompt_tokens: Count,
    completion_tokens: Count,
    input_tokens_details: Option<Details>,
    output_tokens_details: Option<Details>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    cached_tokens: Count,
    cache_write_tokens: Count,
    #[serde(rename = "cache_write_tokens_details")]
    lifetimes: Option<Lifetimes>,
    audio_tokens: Count,
    image_tokens: Count,
    reasoning_tokens: Count,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Lifetimes {
    ttl_12h_tokens: Count,
}

/// What the provider's own tools used.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ToolUsage {
    web_search: Option<Searches>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Searches {
    num_requests: Count,
}

/// Reads `usage` and `tool_usage`; none if they say nothing.
pub(super) fn read(usage: Option<&RawValue>, tools: Option<&RawValue>) -> Option<Usage> {
    let said: Said = crate::json::from_str(usage?.get()).ok()?;
    let input = said.input_tokens.0.or(said.prompt_tokens.0);
    let output = said.output_tokens.0.or(said.completion_tokens.0);
    input.or(output)?;
    let (input_details, output_details) =
        (said.input_tokens_details.unwrap_or_default(), said.output_tokens_details.unwrap_or_default());
    let mut rest = input.unwrap_or(0);
    // Each share is taken off what is left, so that each token is counted once even where the shares overlap.
    let mut share = |count: Count| {
        let taken = count.0.unwrap_or(0).min(rest);
        rest -= taken;
        taken
    };
    let cache_read = share(input_details.cached_tokens);
    let written = share(input_details.cache_write_tokens);
    let lifetimes = input_details.lifetimes.unwrap_or_default();
    let cache_write_12h = lifetimes.ttl_12h_tokens.0.unwrap_or(0).min(written);
    let audio_input = share(input_details.audio_tokens);
    let image_input = share(input_details.image_tokens);
    let output = output.unwrap_or(0);
    let audio_output = output_details.audio_tokens.0.unwrap_or(0).min(output);
    let tools: Option<ToolUsage> = tools.and_then(|raw| crate::json::from_str(raw.get()).ok());
    Some(Usage {
        input: rest,
        cache_read,
        cache_write_5m: written - cache_write_12h,
        cache_write_12h,
        audio_input,
        image_input,
        output: output - audio_output,
        reasoning: output_details.reasoning_tokens.0.unwrap_or(0).min(output - audio_output),
        audio_output,
        web_searches: tools
            .and_then(|tools| tools.web_search)
            .and_then(|searches| searches.num_requests.0)
            .unwrap_or(0),
        ..Usage::default()
    })
}

/// Fills a usage object.
pub(super) fn write(object: &mut ObjectWriter<'_>, usage: &Usage) {
    object.count("input_tokens", usage.input_total());
    object.object("input_tokens_details", |details| {
        details.count("cached_tokens", usage.cache_read);
        details.count("cache_write_tokens", usage.cache_write());
        if usage.cache_write_12h > 0 {
            details.object("cache_write_tokens_details", |lifetimes| {
                lifetimes.count("ttl_30m_tokens", usage.cache_write() - usage.cache_write_12h);
                lifetimes.count("ttl_12h_tokens", usage.cache_write_12h);
            });
        }
    });
    object.count("output_tokens", usage.output_total());
    object.object("output_tokens_details", |details| details.count("reasoning_tokens", usage.reasoning));
    object.count("total_tokens", usage.total());
}

/// Adds what the provider's own tools used, where they were used.
pub(super) fn write_tools(answer: &mut ObjectWriter<'_>, usage: &Usage) {
    if usage.web_searches == 0 {
        return;
    }
    answer.object("tool_usage", |tools| {
        tools.object("image_gen", |images| {
            let details = |details: &mut ObjectWriter<'_>| {
                details.count("image_tokens", 0);
                details.count("text_tokens", 0);
            };
            images.count("input_tokens", 0);
            images.object("input_tokens_details", details);
            images.count("output_tokens", 0);
            images.count("total_tokens", 0);
        });
        tools.object("web_search", |searches| searches.count("num_requests", usage.web_searches));
    });
}
