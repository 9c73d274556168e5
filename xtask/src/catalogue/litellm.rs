//! litellm's price list: one flat object a model, US dollars for one unit.

use std::fs;
use std::path::Path;

use anyhow::Result;
use gatelet_catalogue::{Capability, Day, Entry, Meter, Mode};
use serde_json::{Map, Value};

use super::Catalogue;
use super::source::{Found, Names, entry, picos, pictures, settled, whole};

/// Its own words for parts of one provider.
const PARTS: &[(&str, &str)] = &[
    ("azure_text", "azure"),
    ("bedrock_converse", "bedrock"),
    ("cohere_chat", "cohere"),
    ("fireworks_ai-embedding-models", "fireworks"),
    ("text-completion-codestral", "codestral"),
    ("text-completion-inception", "inception"),
    ("text-completion-openai", "openai"),
    ("transcribe", "aws-transcribe"),
];

const MODES: &[(&str, Mode)] = &[
    ("chat", Mode::Chat),
    ("responses", Mode::Responses),
    ("completion", Mode::Completion),
    ("embedding", Mode::Embedding),
    ("rerank", Mode::Rerank),
    ("moderation", Mode::Moderation),
    ("image_generation", Mode::Image),
    ("image_edit", Mode::ImageEdit),
    ("audio_speech", Mode::Speech),
    ("audio_transcription", Mode::Transcription),
    ("video_generation", Mode::Video),
    ("realtime", Mode::Realtime),
    ("search", Mode::Search),
    ("ocr", Mode::Ocr),
];

/// Of two that begin alike the longer stands first.
const RATES: &[(&str, Meter)] = &[
    ("input_cost_per_token", Meter::Input),
    ("output_cost_per_token", Meter::Output),
    ("cache_read_input_token_cost", Meter::CacheRead),
    ("input_cost_per_token_cache_hit", Meter::CacheRead),
    ("cache_creation_input_token_cost_above_12hr", Meter::CacheWrite12h),
    ("cache_creation_input_token_cost_above_1hr", Meter::CacheWrite1h),
    ("cache_creation_input_token_cost", Meter::CacheWrite5m),
    ("output_cost_per_reasoning_token", Meter::Reasoning),
    ("input_cost_per_audio_token", Meter::AudioInput),
    ("output_cost_per_audio_token", Meter::AudioOutput),
    ("cache_read_input_audio_token_cost", Meter::AudioCacheRead),
    ("cache_creation_input_audio_token_cost", Meter::AudioCacheWrite),
    ("input_cost_per_image_token", Meter::ImageInput),
    ("output_cost_per_image_token", Meter::ImageOutput),
    ("cache_read_input_image_token_cost", Meter::ImageCacheRead),
    ("input_cost_per_video_token", Meter::VideoInput),
    ("output_cost_per_video_token", Meter::VideoOutput),
    ("citation_cost_per_token", Meter::Citation),
    ("input_cost_per_character", Meter::CharacterInput),
    ("output_cost_per_character", Meter::CharacterOutput),
    ("input_cost_per_pixel", Meter::PixelInput),
    ("output_cost_per_pixel", Meter::PixelOutput),
    ("google_maps_grounding_cost_per_query", Meter::MapsSearch),
    ("input_cost_per_request", Meter::Request),
    ("input_cost_per_query", Meter::Query),
    ("input_cost_per_image", Meter::PictureInput),
    ("output_cost_per_image", Meter::Picture),
    ("ocr_cost_per_page", Meter::Page),
    ("annotation_cost_per_page", Meter::AnnotatedPage),
    ("code_interpreter_cost_per_session", Meter::CodeSession),
    ("input_cost_per_second", Meter::SecondInput),
    ("output_cost_per_second", Meter::SecondOutput),
    ("input_cost_per_audio_per_second", Meter::AudioSecondInput),
    ("input_cost_per_video_per_second", Meter::VideoSecondInput),
    ("output_cost_per_video_per_second", Meter::VideoSecondOutput),
    ("output_cost_per_second_480p", Meter::Second480p),
    ("output_cost_per_second_720p", Meter::Second720p),
    ("output_cost_per_second_768p", Meter::Second768p),
    ("output_cost_per_second_1080p", Meter::Second1080p),
    ("output_cost_per_second_2k", Meter::Second2k),
    ("output_cost_per_second_4k", Meter::Second4k),
];

const SERVICES: &[(&str, &str)] = &[
    ("_batches", "batch"),
    ("_flex", "flex"),
    ("_priority", "priority"),
    ("_balanced", "balanced"),
    ("_ultrafast", "ultrafast"),
    ("_fast", "fast"),
];

const CAPABILITIES: &[(&str, Capability)] = &[
    ("supports_function_calling", Capability::Tools),
    ("supports_tool_choice", Capability::ToolChoice),
    ("supports_parallel_function_calling", Capability::ParallelTools),
    ("supports_response_schema", Capability::Schema),
    ("supports_native_structured_output", Capability::Schema),
    ("supports_reasoning", Capability::Reasoning),
    ("supports_adaptive_thinking", Capability::AdaptiveThinking),
    ("thinking_always_on", Capability::AlwaysThinks),
    ("supports_vision", Capability::Vision),
    ("supports_pdf_input", Capability::Pdf),
    ("supports_audio_input", Capability::AudioInput),
    ("supports_audio_output", Capability::AudioOutput),
    ("supports_video_input", Capability::VideoInput),
    ("supports_prompt_caching", Capability::PromptCache),
    ("supports_web_search", Capability::WebSearch),
    ("supports_computer_use", Capability::ComputerUse),
    ("supports_tool_search", Capability::ToolSearch),
    ("supports_url_context", Capability::UrlContext),
    ("supports_assistant_prefill", Capability::Prefill),
    ("supports_mid_conversation_system", Capability::SystemAnywhere),
];

const LACKS: &[(&str, Capability)] = &[
    ("supports_sampling_params", Capability::NoSampling),
    ("supports_system_messages", Capability::NoSystem),
    ("supports_native_streaming", Capability::NoStream),
    ("supports_forced_tool_use", Capability::NoForcedTool),
    ("supports_tool_choice", Capability::NoToolChoice),
    ("supports_response_schema", Capability::NoSchema),
];

pub(super) fn read(file: &Path, names: &Names) -> Result<Catalogue> {
    let list: Map<String, Value> = serde_json::from_str(&fs::read_to_string(file)?)?;
    let mut catalogue = Catalogue::new();
    for (key, model) in &list {
        let Some(fields) = model.as_object().filter(|_| key != "sample_spec") else { continue };
        let provider = fields.get("litellm_provider").and_then(Value::as_str).unwrap_or_default();
        if provider.is_empty() || key.contains(char::is_whitespace) {
            continue;
        }
        let provider = owner(provider, names);
        // The first segment may be the provider's name.
        let id = match key.split_once('/') {
            Some((first, rest)) if owner(first, names) == provider => rest,
            _ => key.as_str(),
        };
        let entry = of(id, &provider, fields);
        catalogue.entry(provider).or_default().entry(entry.id.clone()).or_insert(entry);
    }
    Ok(catalogue)
}

fn owner(word: &str, names: &Names) -> String {
    let part = PARTS.iter().find(|(part, _)| *part == word).map(|(_, whole)| *whole);
    names.of(part.unwrap_or(if word.starts_with("vertex_ai-") { "vertex" } else { word }))
}

fn of(id: &str, provider: &str, fields: &Map<String, Value>) -> Entry {
    let word = fields.get("mode").and_then(Value::as_str).unwrap_or_default();
    let mode = MODES.iter().find(|(known, _)| *known == word).map_or(Mode::Other, |(_, mode)| *mode);
    let mut entry = entry(id, mode);
    entry.context = whole(fields.get("max_input_tokens").or_else(|| fields.get("max_tokens")));
    entry.max_output = whole(fields.get("max_output_tokens"));
    entry.dimensions = whole(fields.get("output_vector_size"));
    entry.ends = fields.get("deprecation_date").and_then(Value::as_str).and_then(Day::read);
    let says = |key: &str, value: bool| fields.get(key).and_then(Value::as_bool) == Some(value);
    let can = CAPABILITIES.iter().filter(|(key, _)| says(key, true));
    let cannot = LACKS.iter().filter(|(key, _)| says(key, false));
    let endpoints: Vec<&str> = fields
        .get("supported_endpoints")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let responses = |endpoint: &&str| endpoint.contains("responses");
    let alone = mode == Mode::Responses
        || (mode == Mode::Chat
            && endpoints.iter().any(responses)
            && endpoints.iter().all(|endpoint| responses(endpoint) || endpoint.contains("batch")));
    let only = alone.then_some(Capability::ResponsesOnly);
    entry.capabilities = settled(can.chain(cannot).map(|(_, capability)| *capability).chain(only).collect());
    let mut found = Found::default();
    for (key, value) in fields {
        let Some((service, mark, meter)) = meaning(key) else { continue };
        if let Some(picos) = value.as_f64().and_then(|usd| picos(usd, 1)) {
            found.add(service, mark, meter, picos);
        }
    }
    let searches = fields.get("search_context_cost_per_query").and_then(Value::as_object);
    // Of prices by the size of the context the dearest stands.
    let dearest = searches
        .into_iter()
        .flat_map(Map::values)
        .filter_map(Value::as_f64)
        .fold(None, |most: Option<f64>, cost| Some(most.map_or(cost, |most| most.max(cost))));
    if let Some(picos) = dearest.and_then(|usd| picos(usd, 1)) {
        // Perplexity's own models search with every request.
        let every = provider == "perplexity" && id.starts_with("sonar") && !id.contains("deep");
        found.add("", 0, if every { Meter::Request } else { Meter::WebSearch }, picos);
    }
    for tier in fields.get("tiered_pricing").and_then(Value::as_array).into_iter().flatten() {
        let mark = whole(tier["range"].get(0));
        for (key, value) in tier.as_object().into_iter().flatten() {
            if let (Some((_, _, meter)), Some(picos)) =
                (meaning(key), value.as_f64().and_then(|usd| picos(usd, 1)))
            {
                found.add("", mark, meter, picos);
            }
        }
    }
    pictures(&mut found, id, mode);
    entry.prices = found.price();
    entry
}

/// `output_cost_per_token_above_200k_tokens_batches`: the service, the mark and the meter.
fn meaning(key: &str) -> Option<(&'static str, u64, Meter)> {
    let (rest, service) = SERVICES
        .iter()
        .find_map(|(end, service)| Some((key.strip_suffix(end)?, *service)))
        .unwrap_or((key, ""));
    let (rest, mark) = match rest.strip_suffix("k_tokens").and_then(|rest| rest.rsplit_once("_above_")) {
        Some((rest, thousands)) => (rest, thousands.parse::<u64>().ok()? * 1_000),
        None => (rest, 0),
    };
    RATES.iter().find(|(known, _)| *known == rest).map(|(_, meter)| (service, mark, *meter))
}

/// A region's row (`eu/gpt-4.1`) may have prices alone: the rest is as in the row without the region.
pub(super) fn regions(catalogue: &mut Catalogue) {
    for (provider, entries) in catalogue.iter_mut() {
        if !matches!(provider.as_str(), "azure" | "bedrock") {
            continue;
        }
        let bases = entries.clone();
        for (id, entry) in entries.iter_mut() {
            let Some(base) = id.split_once('/').and_then(|(_, base)| bases.get(base.rsplit('/').next()?))
            else {
                continue;
            };
            let or = |this: u64, that: u64| if this == 0 { that } else { this };
            entry.context = entry.context.max(base.context);
            entry.max_output = or(entry.max_output, base.max_output);
            entry.ends = entry.ends.or(base.ends);
            entry.capabilities = settled(entry.capabilities.iter().chain(base.capabilities.iter()).collect());
        }
    }
}
