//! Usage: the prompt includes what was cached, the candidates exclude the thoughts.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::Usage;
use crate::dialect::lax::{Count, Word};
use crate::object::ObjectWriter;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Said<'a> {
    prompt_token_count: Count,
    tool_use_prompt_token_count: Count,
    cached_content_token_count: Count,
    candidates_token_count: Count,
    /// What it is called on some paths of the same provider.
    response_token_count: Count,
    thoughts_token_count: Count,
    total_token_count: Count,
    #[serde(borrow)]
    prompt_tokens_details: Option<Vec<Detail<'a>>>,
    #[serde(borrow)]
    cache_tokens_details: Option<Vec<Detail<'a>>>,
    #[serde(borrow)]
    candidates_tokens_details: Option<Vec<Detail<'a>>>,
    #[serde(borrow)]
    service_tier: Word<'a>,
    #[serde(borrow)]
    traffic_type: Word<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Detail<'a> {
    #[serde(borrow)]
    modality: Word<'a>,
    token_count: Count,
}

fn of_kind(details: Option<&Vec<Detail<'_>>>, modality: &str) -> u64 {
    let own = |detail: &&Detail<'_>| detail.modality.text() == Some(modality);
    let counts = details.into_iter().flatten().filter(own).map(|detail| detail.token_count.0.unwrap_or(0));
    counts.fold(0, u64::saturating_add)
}

/// What usage metadata says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) usage: Usage,
    pub(super) service_tier: Option<String>,
    pub(super) traffic_type: Option<String>,
}

/// Reads usage metadata; none if it is no object.
pub(super) fn read(raw: &RawValue) -> Option<Counted> {
    let said: Said<'_> = crate::json::from_str(raw.get()).ok()?;
    let count = |count: Count| count.0.unwrap_or(0);
    let prompt = count(said.prompt_token_count).saturating_add(count(said.tool_use_prompt_token_count));
    let mut rest = prompt;
    let mut share = |wanted: u64| {
        let taken = wanted.min(rest);
        rest -= taken;
        taken
    };
    let cache_read = share(count(said.cached_content_token_count));
    let fresh = |modality: &str| {
        of_kind(said.prompt_tokens_details.as_ref(), modality)
            .saturating_sub(of_kind(said.cache_tokens_details.as_ref(), modality))
    };
    let audio_input = share(fresh("AUDIO"));
    let image_input = share(fresh("IMAGE"));
    let reasoning = count(said.thoughts_token_count);
    let spoken = said.candidates_token_count.0.or(said.response_token_count.0);
    // A count that is left out is what the total leaves open.
    let spoken = spoken
        .unwrap_or_else(|| count(said.total_token_count).saturating_sub(prompt).saturating_sub(reasoning));
    let audio_output = of_kind(said.candidates_tokens_details.as_ref(), "AUDIO").min(spoken);
    let usage = Usage {
        input: rest,
        cache_read,
        audio_input,
        image_input,
        output: (spoken - audio_output).saturating_add(reasoning),
        reasoning,
        audio_output,
        ..Usage::default()
    };
    Some(Counted {
        usage,
        service_tier: said.service_tier.text().map(str::to_ascii_lowercase),
        traffic_type: said.traffic_type.text().map(str::to_owned),
    })
}

/// Fills usage metadata.
pub(super) fn write(object: &mut ObjectWriter<'_>, usage: &Usage) {
    let spoken = usage.output_total().saturating_sub(usage.reasoning);
    object.count("promptTokenCount", usage.input_total());
    object.count("candidatesTokenCount", spoken);
    object.count("totalTokenCount", usage.total());
    if usage.cache_read > 0 {
        object.count("cachedContentTokenCount", usage.cache_read);
    }
    if usage.reasoning > 0 {
        object.count("thoughtsTokenCount", usage.reasoning);
    }
    let text = usage.input_total().saturating_sub(usage.audio_input).saturating_sub(usage.image_input);
    let kinds = [("TEXT", text), ("AUDIO", usage.audio_input), ("IMAGE", usage.image_input)];
    if usage.audio_input > 0 || usage.image_input > 0 {
        details(object, "promptTokensDetails", &kinds);
    }
    if usage.audio_output > 0 {
        let kinds = [("TEXT", spoken - usage.audio_output.min(spoken)), ("AUDIO", usage.audio_output)];
        details(object, "candidatesTokensDetails", &kinds);
    }
}

fn details(object: &mut ObjectWriter<'_>, key: &str, kinds: &[(&str, u64)]) {
    object.list(key, |list| {
        for (modality, count) in kinds.iter().filter(|(_, count)| *count > 0) {
            list.object(|detail| {
                detail.string("modality", modality);
                detail.count("tokenCount", *count);
            });
        }
    });
}
