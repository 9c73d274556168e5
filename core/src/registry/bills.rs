//! Golden bills: what stated usages cost, reckoned by hand from the vendors' rates and not by the code under test.
//!
//! Each line is a provider, a model, what an answer says that it used, the service tier that it names, and the bill in
//! nano-dollars. A line that breaks when the catalogue is renewed says whose price has changed.

use gatelet_wire::{Units, Usage};

use super::Registry;

const NONE: Units = Units { characters: 0, input_ms: 0, output_ms: 0, pictures: 0, pages: 0, queries: 0 };
const ZERO: Usage = Usage {
    input: 0,
    cache_read: 0,
    cache_write_5m: 0,
    cache_write_1h: 0,
    cache_write_12h: 0,
    audio_input: 0,
    image_input: 0,
    output: 0,
    reasoning: 0,
    audio_output: 0,
    image_output: 0,
    web_searches: 0,
    units: NONE,
};

#[rustfmt::skip]
const BILLS: &[(&str, &str, Usage, &str, u64)] = &[
    ("openai", "gpt-4o", Usage { input: 1_000, output: 500, ..ZERO }, "", 7_500_000),
    ("openai", "gpt-4o", Usage { input: 200, cache_read: 3_000, output: 100, ..ZERO }, "", 5_250_000),
    ("openai", "gpt-4o", Usage { input: 1_000, output: 500, ..ZERO }, "batch", 3_750_000),
    ("openai", "gpt-4o", Usage { input: 1_000, cache_read: 100, output: 500, ..ZERO }, "priority", 12_962_500),
    ("openai", "gpt-5.4", Usage { input: 300_000, output: 10, ..ZERO }, "", 1_500_225_000),
    ("openai", "gpt-5.4", Usage { input: 272_000, output: 10, ..ZERO }, "", 680_150_000),
    ("openai", "gpt-5.4", Usage { input: 100, cache_read: 300_000, output: 10, ..ZERO }, "flex", 75_362_500),
    ("openai", "gpt-5.6", Usage { input: 1_000, cache_read: 2_000, cache_write_5m: 300, cache_write_12h: 400, output: 50, ..ZERO }, "", 11_300_000),
    ("openai", "gpt-5.6", Usage { input: 272_000, cache_write_12h: 1_000, output: 10, ..ZERO }, "priority", 4_392_600_000),
    ("openai", "gpt-5.6", Usage { input: 1_000, cache_write_5m: 300, output: 50, ..ZERO }, "batch", 3_250_000),
    ("openai", "text-embedding-3-small", Usage { input: 123_457, ..ZERO }, "", 2_469_140),
    ("openai", "whisper-1", Usage { units: Units { input_ms: 61_500, ..NONE }, ..ZERO }, "", 6_150_000),
    ("openai", "tts-1", Usage { units: Units { characters: 4_096, ..NONE }, ..ZERO }, "", 61_440_000),
    ("openai", "gpt-image-1", Usage { input: 50, image_input: 300, image_output: 4_160, ..ZERO }, "", 169_650_000),
    ("anthropic", "claude-opus-5", Usage { input: 10, cache_read: 5_000, cache_write_5m: 2_000, cache_write_1h: 1_000, output: 700, reasoning: 300, ..ZERO }, "", 42_550_000),
    ("anthropic", "claude-opus-5", Usage { input: 1_000, output: 1_000, web_searches: 3, ..ZERO }, "", 60_000_000),
    ("anthropic", "claude-opus-5", Usage { input: 1_000, cache_write_5m: 100, output: 1_000, ..ZERO }, "batch", 15_312_500),
    ("anthropic", "claude-haiku-5-5", Usage { input: 100_001, output: 100, ..ZERO }, "", 50_250_500),
    ("anthropic", "claude-haiku-5-5", Usage { input: 50_000, cache_read: 50_000, output: 100, ..ZERO }, "", 5_550_000),
    ("gemini", "gemini-2.5-pro", Usage { input: 200_001, cache_read: 1_000, output: 5_000, reasoning: 4_000, ..ZERO }, "", 575_252_500),
    ("gemini", "gemini-2.5-pro", Usage { input: 199_000, cache_read: 1_000, output: 5_000, ..ZERO }, "", 298_875_000),
    ("gemini", "gemini-2.5-flash", Usage { input: 100, audio_input: 1_920, output: 400, reasoning: 150, ..ZERO }, "", 2_950_000),
    ("gemini", "gemini-2.5-flash", Usage { input: 100, output: 400, ..ZERO }, "batch", 515_000),
    ("gemini", "gemini-2.5-flash", Usage { input: 100, output: 400, web_searches: 2, ..ZERO }, "", 71_030_000),
    ("gemini", "gemini-2.5-pro", Usage { input: 200_001, output: 10, ..ZERO }, "batch", 250_076_250),
    ("vertex", "gemini-2.5-pro", Usage { input: 300_000, output: 1_000, ..ZERO }, "", 765_000_000),
    ("vertex", "claude-sonnet-4-5", Usage { input: 250_000, cache_write_1h: 10_000, output: 1_000, ..ZERO }, "", 1_642_500_000),
    ("bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0", Usage { input: 1_000, cache_write_5m: 500, cache_read: 2_000, output: 300, ..ZERO }, "", 9_975_000),
    ("bedrock", "amazon.nova-pro-v1:0", Usage { input: 10_000, output: 1_000, ..ZERO }, "priority", 19_600_000),
    ("bedrock", "amazon.nova-pro-v1:0", Usage { input: 10_000, cache_read: 700, output: 1_000, ..ZERO }, "flex", 5_670_000),
    ("azure", "gpt-4o-audio-preview-2024-12-17", Usage { input: 100, audio_input: 500, output: 20, audio_output: 300, ..ZERO }, "", 44_450_000),
    ("azure", "eu/gpt-4.1", Usage { input: 1_000, cache_read: 1_000, output: 100, ..ZERO }, "", 3_630_000),
    ("azure", "hd/1024-x-1024/dall-e-3", Usage { units: Units { pictures: 2, ..NONE }, ..ZERO }, "", 176_001_385),
    ("mistral", "mistral-ocr-latest", Usage { units: Units { pages: 12, ..NONE }, ..ZERO }, "", 48_000_000),
    ("mistral", "mistral-ocr-latest", Usage { units: Units { pages: 12, ..NONE }, ..ZERO }, "batch", 24_000_000),
    ("mistral", "mistral-large-latest", Usage { input: 7, cache_read: 70, output: 700, ..ZERO }, "", 1_057_000),
    ("cohere", "rerank-v3.5", Usage { units: Units { queries: 3, ..NONE }, ..ZERO }, "", 6_000_000),
    ("cohere", "command-a-03-2025", Usage { input: 40, output: 11, ..ZERO }, "", 210_000),
    ("groq", "openai/gpt-oss-120b", Usage { input: 1_111, cache_read: 2_222, output: 333, reasoning: 300, ..ZERO }, "", 533_100),
    ("groq", "whisper-large-v3", Usage { units: Units { input_ms: 10_001, ..NONE }, ..ZERO }, "", 308_331),
    ("deepseek", "deepseek-v4-pro", Usage { input: 100, cache_read: 900, output: 1_000, reasoning: 600, ..ZERO }, "", 2_277_600),
    ("xai", "grok-4.20", Usage { input: 1_000, image_input: 500, output: 200, ..ZERO }, "", 2_375_000),
    ("xai", "grok-4.20", Usage { input: 199_000, cache_read: 1_001, output: 200, ..ZERO }, "", 498_900_400),
    ("xai", "grok-4.20", Usage { input: 1_000, output: 200, ..ZERO }, "batch", 1_400_000),
    ("perplexity", "sonar-pro", Usage { input: 20, output: 400, ..ZERO }, "", 20_060_000),
    ("perplexity", "sonar-deep-research", Usage { input: 20, output: 1_400, reasoning: 1_000, web_searches: 21, ..ZERO }, "", 111_240_000),
    ("together", "moonshotai/Kimi-K2-Instruct", Usage { input: 321, output: 123, ..ZERO }, "", 690_000),
    ("openrouter", "openai/gpt-4o", Usage { input: 1_000, cache_read: 1_000, output: 1, ..ZERO }, "", 3_760_000),
    ("deepgram", "nova-3", Usage { units: Units { input_ms: 3_600_000, ..NONE }, ..ZERO }, "", 258_012_000),
    ("elevenlabs", "scribe_v1", Usage { units: Units { input_ms: 1, ..NONE }, ..ZERO }, "", 62),
    ("voyage", "voyage-3-large", Usage { input: 1, ..ZERO }, "", 180),
    ("voyage", "rerank-2", Usage { input: 2_000_000, ..ZERO }, "", 100_000_000),
    ("cerebras", "gpt-oss-120b", Usage { input: 1_000, output: 2_000, ..ZERO }, "", 1_850_000),
    ("minimax", "MiniMax-M2", Usage { input: 1_000, cache_read: 500, cache_write_5m: 250, output: 100, ..ZERO }, "", 528_750),
    ("zai", "glm-4.6", Usage { input: 10, cache_read: 100, output: 1_000, ..ZERO }, "", 2_217_000),
    ("fal", "fal-ai/flux-pro/v1.1", Usage { units: Units { pictures: 4, ..NONE }, ..ZERO }, "", 160_000_000),
    ("aws-polly", "neural", Usage { units: Units { characters: 250, ..NONE }, ..ZERO }, "", 4_000_000),
    ("dashscope", "qwen-plus", Usage { input: 100, output: 100, reasoning: 40, ..ZERO }, "", 157_880),
    ("anthropic", "claude-sonnet-5", Usage { input: 1_000, cache_read: 9_000, output: 100, ..ZERO }, "", 4_800_000),
    ("mistral", "codestral-latest", Usage { input: 1_000, output: 100, ..ZERO }, "", 390_000),
    ("cerebras", "gemma-4-31b", Usage { input: 1_000, output: 100, ..ZERO }, "", 1_139_000),
    ("deepseek", "deepseek-flash", Usage { input: 1_000, output: 500, reasoning: 499, ..ZERO }, "", 600_600),
];

#[test]
fn golden_bills_are_paid_to_the_nano_dollar() {
    let registry = Registry::full();
    let mut wrong = Vec::new();
    for (provider, model, usage, service, nanos) in BILLS {
        let service = (!service.is_empty()).then_some(*service);
        let Some(price) = registry.model(provider, model).and_then(|model| model.price) else {
            wrong.push(format!("{provider}/{model} has no price"));
            continue;
        };
        let cost = price.cost(usage, service).nanos();
        if cost != *nanos {
            wrong.push(format!("{provider}/{model} {service:?}: {cost} in place of {nanos}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn golden_bills_are_of_many_models_of_many_providers() {
    let mut models: Vec<_> = BILLS.iter().map(|(provider, model, ..)| (provider, model)).collect();
    models.sort_unstable();
    models.dedup();
    assert!(models.len() >= 40, "{}", models.len());
    models.dedup_by_key(|(provider, _)| *provider);
    assert!(models.len() >= 15, "{}", models.len());
}

#[test]
fn units_that_usage_does_not_count_are_billed_by_their_meter() {
    use super::Meter;
    let registry = Registry::full();
    let bill = |provider: &str, model: &str, units: &[(Meter, u64)]| {
        let price = registry.model(provider, model).and_then(|model| model.price).expect("a price");
        price.bill(&ZERO, units, None).nanos()
    };
    // A page with annotations 0.005; grounding on maps 0.025; cited tokens 2 a million; cached audio 0.1 a million.
    assert_eq!(bill("mistral", "mistral-ocr-latest", &[(Meter::AnnotatedPage, 3)]), 15_000_000);
    assert_eq!(bill("gemini", "gemini-2.5-flash", &[(Meter::MapsSearch, 2)]), 50_000_000);
    assert_eq!(bill("perplexity", "sonar-deep-research", &[(Meter::Citation, 1_500)]), 3_000_000);
    assert_eq!(bill("gemini", "gemini-2.5-flash", &[(Meter::AudioCacheRead, 10_000)]), 1_000_000);
    // Cached pictures 2.5 a million, written sound 4, made video 17.5, made characters 15, made pixels 0.05.
    assert_eq!(bill("azure", "gpt-image-1", &[(Meter::ImageCacheRead, 1_000)]), 2_500_000);
    assert_eq!(bill("azure", "gpt-realtime", &[(Meter::AudioCacheWrite, 10_000)]), 40_000_000);
    assert_eq!(bill("gemini", "gemini-omni-1.1-flash", &[(Meter::VideoOutput, 1_000)]), 17_500_000);
    assert_eq!(
        bill("vertex", "medlm-large", &[(Meter::CharacterInput, 100), (Meter::CharacterOutput, 1_000)]),
        15_500_000
    );
    assert_eq!(bill("azure-ai", "FLUX.2-flex", &[(Meter::PixelOutput, 1_048_576)]), 52_428_800);
    // One by one: a picture sent 0.00006, a session of code 0.03, seconds, counted in thousandths, by what they are of.
    assert_eq!(bill("bedrock", "amazon.titan-embed-image-v1", &[(Meter::PictureInput, 3)]), 180_000);
    assert_eq!(bill("openai", "container", &[(Meter::CodeSession, 2)]), 60_000_000);
    let seconds = [(Meter::AudioSecondInput, 10_000), (Meter::VideoSecondInput, 10_000)];
    assert_eq!(bill("bedrock", "amazon.nova-2-multimodal-embeddings-v1:0", &seconds), 8_400_000);
    let video = [(Meter::Second480p, 1_000), (Meter::Second720p, 1_000), (Meter::Second1080p, 5_000)];
    assert_eq!(bill("dashscope", "happyhorse-1.1-t2v", &video), 1_010_783_500);
}
