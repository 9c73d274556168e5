use gatelet_wire::Usage;

use super::*;
use crate::domain::Rate;

#[test]
fn every_provider_and_every_model_of_the_table_can_be_read() {
    let registry = Registry::full();
    for provider in registry.providers() {
        let row = registry.provider(provider).unwrap_or_else(|| panic!("{provider} is unreadable"));
        assert_eq!(row.id, provider);
        for model in registry.models(provider) {
            let found =
                registry.model(provider, &model).unwrap_or_else(|| panic!("{provider}/{model} is not found"));
            assert_eq!(found.id, model);
        }
    }
}

#[test]
fn a_provider_is_found_by_its_other_names() {
    let registry = Registry::embedded();
    let id = |name| registry.provider(name).map(|provider| provider.id);
    for (name, expected) in [
        ("together_ai", "together"),
        ("fireworks-ai", "fireworks"),
        ("hosted_vllm", "vllm"),
        ("amazon-bedrock", "bedrock"),
        ("nvidia_nim", "nvidia"),
        ("vertex_ai", "vertex"),
        ("google", "gemini"),
    ] {
        assert_eq!(id(name).as_deref(), Some(expected), "{name}");
    }
    assert_eq!(id("nobody"), None);
    assert!(registry.providers().count() >= 250);
    assert!(registry.providers().eq(registry.known_providers().map(|provider| provider.id)));
    let sorted: Vec<&str> = registry.providers().collect();
    assert!(sorted.is_sorted());
}

#[test]
fn no_secret_of_one_vendor_goes_to_another_by_its_usual_variable() {
    // Those that share a variable are one vendor's, at several addresses.
    let shared: &[&[&str]] = &[
        &["ALIBABA_CODING_PLAN_API_KEY", "ALIBABA_TOKEN_PLAN_API_KEY", "DASHSCOPE_API_KEY", "ARK_API_KEY"],
        &["AWS_ACCESS_KEY_ID", "AWS_BEARER_TOKEN_BEDROCK", "CLOUDFLARE_API_TOKEN", "KIMI_API_KEY"],
        &["GOOGLE_APPLICATION_CREDENTIALS", "LLMGATEWAY_API_KEY", "MINIMAX_API_KEY", "MOONSHOT_API_KEY"],
        &["OLLAMA_API_KEY", "OPENCODE_API_KEY", "PERPLEXITY_API_KEY", "STEPFUN_API_KEY", "XIAOMI_API_KEY"],
        &["AZURE_AD_TOKEN", "AZURE_API_KEY", "AZURE_CLIENT_SECRET", "AZURE_OPENAI_API_KEY", "ZHIPU_API_KEY"],
        &["WATSONX_API_KEY", "WATSONX_APIKEY", "WATSONX_ZENAPIKEY", "OCI_KEY", "OCI_KEY_FILE"],
    ];
    let mut seen = std::collections::BTreeMap::<String, String>::new();
    for provider in Registry::embedded().known_providers() {
        for name in provider.auth.iter().flat_map(|auth| &auth.env) {
            let other = seen.insert(name.clone(), provider.id.clone());
            let known = shared.concat().contains(&name.as_str());
            if let Some(other) = other.filter(|other| *other != provider.id && !known) {
                panic!("{name} is the secret of {other} and of {}", provider.id);
            }
        }
    }
}

#[test]
fn the_embedded_catalogue_has_the_main_models_and_the_full_one_has_all() {
    let (embedded, full) = (Registry::embedded(), Registry::full());
    for (provider, model) in [
        ("openai", "gpt-5.4"),
        ("anthropic", "claude-opus-5"),
        ("gemini", "gemini-2.5-pro"),
        ("demo", "echo"),
    ] {
        assert!(embedded.model(provider, model).is_some(), "{provider}/{model}");
        assert_eq!(embedded.model(provider, model), full.model(provider, model));
    }
    assert!(!embedded.has_models("openrouter") && full.has_models("openrouter"));
    let all: usize = full.providers().map(|provider| full.models(provider).len()).sum();
    assert!(all > 11_000, "{all}");
    let loaded = Registry::with_catalogue(Bytes::copy_from_slice(full.catalogue())).expect("whole");
    assert_eq!(loaded.model("openrouter", "openai/gpt-4o"), full.model("openrouter", "openai/gpt-4o"));
    assert!(Registry::with_catalogue(Bytes::from_static(b"nothing")).is_err());
}

#[test]
fn pictures_are_priced_by_quality_and_size_where_a_provider_does() {
    let registry = Registry::full();
    let id = |quality, size| registry.picture_model("azure", "dall-e-3", quality, size).map(|model| model.id);
    assert_eq!(id(Some("hd"), Some("1024x1024")).as_deref(), Some("hd/1024-x-1024/dall-e-3"));
    assert_eq!(id(None, None), registry.model("azure", "dall-e-3").map(|model| model.id));
}

fn price(provider: &str, model: &str) -> Price {
    Registry::full().model(provider, model).and_then(|model| model.price).expect("a price")
}

fn nanos(text: &str) -> crate::domain::Money {
    text.parse().expect("an amount")
}

#[test]
fn a_call_without_a_cache_costs_input_and_output() {
    // gpt-4o: 2.50 and 10.00 a million. 1,000 x 2.5e-6 + 500 x 10e-6.
    let usage = Usage { input: 1_000, output: 500, ..Usage::default() };
    assert_eq!(price("openai", "gpt-4o").cost(&usage, None), nanos("0.0075"));
}

#[test]
fn every_kind_of_cached_token_has_its_own_rate() {
    // claude-haiku-4-5: 1, 5, read 0.10, written 1.25 for five minutes and 2 for an hour, a million each.
    let usage = Usage {
        input: 10,
        cache_read: 100_000,
        cache_write_5m: 1_000,
        cache_write_1h: 2_000,
        output: 300,
        reasoning: 100,
        ..Usage::default()
    };
    // 0.000010 + 0.010000 + 0.001250 + 0.004000 + 0.001500.
    assert_eq!(price("anthropic", "claude-haiku-4-5").cost(&usage, None), nanos("0.01676"));
}

#[test]
fn a_tier_is_chosen_by_the_whole_prompt_and_holds_for_the_whole_request() {
    // gpt-5.4: 2.50, 15, read 0.25; above 272,000 tokens 5, 22.50, read 0.50.
    let price = price("openai", "gpt-5.4");
    let at = Usage { input: 2_000, cache_read: 270_000, output: 1_000, ..Usage::default() };
    // 0.005 + 0.0675 + 0.015.
    assert_eq!(price.cost(&at, None), nanos("0.0875"));
    let above = Usage { input: 2_001, ..at };
    // 0.010005 + 0.135 + 0.0225.
    assert_eq!(price.cost(&above, None), nanos("0.167505"));
}

#[test]
fn a_service_tier_has_its_own_rates_and_tiers() {
    // gpt-5.4: flex 1.25, 7.50, read 0.13, above 272,000 tokens 2.50, 11.25; priority 5, 30.
    let price = price("openai", "gpt-5.4");
    let usage = Usage { input: 1_000_000, output: 1_000, ..Usage::default() };
    assert_eq!(price.cost(&usage, Some("flex")), nanos("2.51125"));
    let usage = Usage { input: 1_000, output: 1_000, ..Usage::default() };
    assert_eq!(price.cost(&usage, Some("priority")), nanos("0.035"));
    assert_eq!(price.cost(&usage, Some("default")), nanos("0.0175"));
    assert_eq!(price.cost(&usage, Some("a tier of tomorrow")), nanos("0.0175"));
}

#[test]
fn reasoning_is_taken_out_of_output_where_it_has_a_rate() {
    // deepseek-flash: output 1.20, reasoning 0.60. 100 x 1.2e-6 + 400 x 0.6e-6.
    let usage = Usage { output: 500, reasoning: 400, ..Usage::default() };
    assert_eq!(price("deepseek", "deepseek-flash").cost(&usage, None), nanos("0.00036"));
    // More reasoning than output is a provider's mistake; nothing is charged twice for it.
    let usage = Usage { output: 500, reasoning: 900, ..Usage::default() };
    assert_eq!(price("deepseek", "deepseek-flash").cost(&usage, None), nanos("0.0003"));
}

#[test]
fn a_call_is_rounded_up_once_and_not_once_a_kind() {
    let rates = [(Meter::Input, Rate::from_picos(100)), (Meter::Output, Rate::from_picos(100))];
    let rates: Rates = rates.into_iter().collect();
    let usage = Usage { input: 3, output: 3, ..Usage::default() };
    // 600 pico-dollars: one nano-dollar, where rounding each kind would make it two.
    assert_eq!(Price::flat(&rates).cost(&usage, None), crate::domain::Money::from_nanos(1));
}

#[test]
fn audio_and_searches_have_rates_of_their_own() {
    let rates = [
        (Meter::Input, Rate::from_picos(2_500_000)),
        (Meter::Output, Rate::from_picos(10_000_000)),
        (Meter::AudioInput, Rate::from_picos(40_000_000)),
        (Meter::AudioOutput, Rate::from_picos(80_000_000)),
        (Meter::WebSearch, Rate::from_picos(10_000_000_000)),
    ];
    let rates: Rates = rates.into_iter().collect();
    let usage =
        Usage { audio_input: 100, audio_output: 200, web_searches: 3, image_input: 4, ..Usage::default() };
    // 0.004 + 0.016 + 0.03 + 4 x 2.5e-6, images being input where nothing else is said.
    assert_eq!(Price::flat(&rates).cost(&usage, None), nanos("0.05001"));
}

#[test]
fn a_fee_for_each_request_is_charged_once_and_is_part_of_the_bound() {
    // sonar: 1 and 1 a million, and 0.012 for the largest search.
    let price = price("perplexity", "sonar");
    let usage = Usage { input: 1_000, output: 1_000, ..Usage::default() };
    assert_eq!(price.cost(&usage, None), nanos("0.014"));
    assert_eq!(price.input_bound(&Bound { text_tokens: 1_000, ..Bound::default() }), nanos("0.013"));
}

#[test]
fn the_bound_takes_the_dearest_fate_of_a_token() {
    // claude-haiku-4-5: an hour's cache write is the dearest input.
    let price = price("anthropic", "claude-haiku-4-5");
    let bound = Bound { text_tokens: 1_000, ..Bound::default() };
    assert_eq!(price.input_bound(&bound), nanos("0.002"));
    assert_eq!(price.output_bound(&bound), Rate::from_picos(5_000_000));
}

#[test]
fn the_bound_takes_the_dearest_service_unless_one_is_pinned() {
    // gpt-4o: 2.50 and 10, priority 4.25 and 17, batch less.
    let price = price("openai", "gpt-4o");
    let free = Bound { text_tokens: 1_000, ..Bound::default() };
    assert_eq!(price.input_bound(&free), nanos("0.00425"));
    assert_eq!(price.output_bound(&free), Rate::from_picos(17_000_000));
    let pinned = Bound { service: Some("default"), ..free };
    assert_eq!(price.input_bound(&pinned), nanos("0.0025"));
    assert_eq!(price.output_bound(&pinned), Rate::from_picos(10_000_000));
}

#[test]
fn the_bound_takes_a_tier_only_where_the_prompt_can_reach_it() {
    let price = price("openai", "gpt-5.4");
    let small = Bound { text_tokens: 272_000, service: Some("default"), ..Bound::default() };
    assert_eq!(price.output_bound(&small), Rate::from_picos(15_000_000));
    let large = Bound { text_tokens: 272_001, ..small };
    assert_eq!(price.output_bound(&large), Rate::from_picos(22_500_000));
}

#[test]
fn a_model_is_found_with_and_without_its_providers_prefix() {
    let registry = Registry::full();
    let long = registry.model("fireworks", "accounts/fireworks/models/code-llama-13b").expect("a row");
    assert!(long.price.is_some());
    assert_eq!(registry.model("fireworks", "code-llama-13b"), Some(long));
}

#[test]
fn a_fine_tuned_model_has_the_price_of_tuned_models_of_its_base() {
    let registry = Registry::full();
    let tuned = registry.model("openai", "ft:gpt-4o-2024-08-06:acme::abc123").expect("a row");
    assert_eq!(tuned.id, "ft:gpt-4o-2024-08-06");
    assert_eq!(registry.model("openai", "ft:nothing:acme::abc123"), None);
}

#[test]
fn a_name_that_only_resembles_a_row_has_no_price() {
    let registry = Registry::full();
    assert_eq!(registry.model("openai", "gpt-4o-2"), None);
    assert_eq!(registry.model("openai", ""), None);
    assert_eq!(registry.model("nobody", "gpt-4o"), None);
}

#[test]
fn near_names_are_those_that_a_slip_of_the_hand_explains() {
    let names = ["openai/gpt-4o", "openai/gpt-4o-mini", "anthropic/claude-haiku-4-5", "support"];
    assert_eq!(near_names("openai/gtp-4o", names), ["openai/gpt-4o"]);
    assert_eq!(near_names("Suport", names), ["support"]);
    assert_eq!(near_names("openai/gpt-4o-min", names)[0], "openai/gpt-4o-mini");
    assert!(near_names("gemini", names).is_empty());
    assert_eq!(near_names("prvoiders", ["models", "providers"]), ["providers"]);
}

#[test]
fn a_price_of_later_holds_from_its_day_on() {
    let line = "m chat | input 1 output 1 | batch input 0.5 | from=2027-01-01 | input 3 output 1 | from=2027-06-01 | input 2 output 1";
    let entry = gatelet_catalogue::text::entry(line).expect("a line");
    let price = Model::from(entry).price.expect("a price");
    let usage = Usage { input: 1_000_000, ..Usage::default() };
    let cost = |moment: &str, service| {
        let now = crate::domain::Timestamp::parse(moment).expect("a moment");
        price.at(now).cost(&usage, service).to_string()
    };
    assert_eq!(cost("2026-12-31T23:59:59Z", None), "1");
    assert_eq!(cost("2026-12-31T23:59:59Z", Some("batch")), "0.5");
    assert_eq!(cost("2027-01-01T00:00:00Z", None), "3");
    // The service was one of the older price.
    assert_eq!(cost("2027-01-01T00:00:00Z", Some("batch")), "3");
    assert_eq!(cost("2028-01-01T00:00:00Z", None), "2");
}

proptest::proptest! {
    /// Whatever was used and whatever it is priced by: what a record says that its cost is made of comes to the cost, to the
    /// nano-dollar.
    #[test]
    fn the_parts_of_a_cost_add_up_to_it(
        rates in proptest::collection::vec((proptest::prelude::any::<proptest::sample::Index>(), 0_u64..30_000_000), 0..12),
        above in proptest::collection::vec((proptest::prelude::any::<proptest::sample::Index>(), 0_u64..30_000_000), 0..4),
        counts in proptest::array::uniform12(0_u64..2_000_000),
        pages in 0_u64..5,
    ) {
        let set = |rates: &[(proptest::sample::Index, u64)]| -> Rates {
            let rates: std::collections::BTreeMap<Meter, Rate> =
                rates.iter().map(|(meter, picos)| (*meter.get(Meter::ALL), Rate::from_picos(*picos))).collect();
            rates.into_iter().collect()
        };
        let price = Price::tiered(&set(&rates), vec![(1_000_000, set(&above))], Vec::new());
        let [input, cache_read, cache_write_5m, cache_write_1h, cache_write_12h, audio_input, image_input, output, reasoning, audio_output,
            image_output, web_searches] = counts;
        let units = gatelet_wire::Units { pages, ..Default::default() };
        let usage = Usage { input, cache_read, cache_write_5m, cache_write_1h, cache_write_12h, audio_input, image_input, output, reasoning,
            audio_output, image_output, web_searches, units };
        let parts: u64 = price.parts(&usage, None).iter().map(|(_, part)| part.nanos()).sum();
        proptest::prop_assert_eq!(parts, price.cost(&usage, None).nanos());
    }
}
