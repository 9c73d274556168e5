//! Usage, as this dialect and its many speakers say it.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::Usage;
use crate::dialect::lax::Count;
use crate::object::ObjectWriter;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    prompt_tokens: Count,
    completion_tokens: Count,
    total_tokens: Count,
    input_tokens: Count,
    output_tokens: Count,
    prompt_tokens_details: Option<Details>,
    completion_tokens_details: Option<Details>,
    /// `DeepSeek`.
    prompt_cache_hit_tokens: Count,
    /// Moonshot.
    cached_tokens: Count,
    /// Relays of Anthropic models.
    cache_read_input_tokens: Count,
    cache_creation_input_tokens: Count,
    /// Perplexity.
    num_search_queries: Count,
    reasoning_tokens: Count,
    server_tool_use: Option<Details>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    cached_tokens: Count,
    cache_write_tokens: Count,
    audio_tokens: Count,
    image_tokens: Count,
    reasoning_tokens: Count,
    web_search_requests: Count,
}

/// Reads a usage object; none if it says nothing. With `outside`, reasoning is not part of `completion_tokens`.
pub(super) fn read(raw: &RawValue, outside: bool) -> Option<Usage> {
    let said: Said = crate::json::from_str(raw.get()).ok()?;
    let first = |counts: &[Count]| counts.iter().find_map(|count| count.0);
    let prompt = first(&[said.prompt_tokens, said.input_tokens]);
    let completion = first(&[said.completion_tokens, said.output_tokens]);
    prompt.or(completion)?;
    let (input, output) =
        (said.prompt_tokens_details.unwrap_or_default(), said.completion_tokens_details.unwrap_or_default());
    let mut rest = prompt.unwrap_or(0);
    // Each share is taken off what is left, so that each token is counted once even where the shares overlap.
    let mut share = |count: Option<u64>| {
        let taken = count.unwrap_or(0).min(rest);
        rest -= taken;
        taken
    };
    let cached =
        [input.cached_tokens, said.prompt_cache_hit_tokens, said.cached_tokens, said.cache_read_input_tokens];
    let cache_read = share(first(&cached));
    let cache_write_5m = share(first(&[input.cache_write_tokens, said.cache_creation_input_tokens]));
    let audio_input = share(input.audio_tokens.0);
    let image_input = share(input.image_tokens.0);

    let reasoning = first(&[output.reasoning_tokens, said.reasoning_tokens]).unwrap_or(0);
    let said_output = completion.unwrap_or(0);
    let all = prompt.unwrap_or(0).saturating_add(said_output);
    // A total that only adds up with reasoning beside the output says the same as the provider's file would.
    let adds_up = reasoning > 0 && said.total_tokens.0 == Some(all.saturating_add(reasoning));
    let outside = outside || adds_up || reasoning > said_output;
    // Google's compatible address counts thoughts in the total alone. Relays of Anthropic's have what is cached there.
    let relayed = first(&[said.cache_read_input_tokens, said.cache_creation_input_tokens]).unwrap_or(0) > 0;
    let unsaid = said.total_tokens.0.unwrap_or(0).saturating_sub(all);
    let (outside, reasoning) =
        if reasoning == 0 && unsaid > 0 && !relayed { (true, unsaid) } else { (outside, reasoning) };
    let output_all = if outside { said_output.saturating_add(reasoning) } else { said_output };
    let audio_output = output.audio_tokens.0.unwrap_or(0).min(output_all);
    let searches = said.server_tool_use.unwrap_or_default().web_search_requests;
    Some(Usage {
        input: rest,
        cache_read,
        cache_write_5m,
        audio_input,
        image_input,
        output: output_all - audio_output,
        reasoning: reasoning.min(output_all - audio_output),
        audio_output,
        web_searches: first(&[searches, said.num_search_queries]).unwrap_or(0),
        ..Usage::default()
    })
}

/// Fills a usage object.
pub(super) fn write(object: &mut ObjectWriter<'_>, usage: &Usage) {
    object.count("prompt_tokens", usage.input_total());
    object.count("completion_tokens", usage.output_total());
    object.count("total_tokens", usage.total());
    object.object("prompt_tokens_details", |details| {
        details.count("cached_tokens", usage.cache_read);
        details.count("audio_tokens", usage.audio_input);
        if usage.cache_write() > 0 {
            details.count("cache_write_tokens", usage.cache_write());
        }
        if usage.image_input > 0 {
            details.count("image_tokens", usage.image_input);
        }
    });
    object.object("completion_tokens_details", |details| {
        details.count("reasoning_tokens", usage.reasoning);
        details.count("audio_tokens", usage.audio_output);
    });
    if usage.web_searches > 0 {
        object.object("server_tool_use", |tools| tools.count("web_search_requests", usage.web_searches));
    }
}
