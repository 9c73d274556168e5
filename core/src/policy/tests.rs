use super::*;
use crate::domain::account::AtLimit;
use crate::registry::{Bound, Capability, Registry};

/// A host with these variables, and no Ollama.
fn read(text: &str, variables: &[(&str, &str)]) -> Result<Policy, Problems> {
    let variable =
        |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    Policy::read(
        "gatelet.yaml",
        text,
        &Host { variable: &variable, ollama: false, registry: Registry::full() },
    )
}

fn policy(text: &str) -> Policy {
    let variables =
        [("OPENAI_API_KEY", "sk-one"), ("ANTHROPIC_API_KEY", "sk-two"), ("GPU", "http://10.0.0.7:8000/v1/")];
    read(text, &variables).unwrap_or_else(|problems| panic!("{problems}"))
}

fn found(policy: &Policy, name: &str) -> Arc<Model> {
    match policy.resolve(name) {
        Resolution::Found(model) => model,
        Resolution::Unknown { near } => panic!("{name} is unknown; near: {near:?}"),
    }
}

/// What is said of a document that is wrong.
fn problems(text: &str) -> String {
    read(text, &[("OPENAI_API_KEY", "sk-secret")]).expect_err("problems").to_string()
}

macro_rules! shows {
    ($text:expr) => {
        insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!($text) })
    };
}

fn headers(target: &Target) -> Vec<(String, String)> {
    let mut headers = http::HeaderMap::new();
    target.provider.apply(&mut http::Uri::default(), &mut headers);
    headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
}

#[test]
fn without_a_document_providers_with_a_usual_variable_are_served() {
    let variable = |name: &str| (name == "ANTHROPIC_API_KEY").then(|| " sk-two\n".to_owned());
    let policy =
        Policy::without_document(&Host { variable: &variable, ollama: false, registry: Registry::full() });
    let ids: Vec<&str> = policy.providers().map(|provider| &*provider.id).collect();
    assert_eq!(ids, ["anthropic", "demo"]);
    let model = found(&policy, "anthropic/claude-haiku-4-5");
    assert_eq!(model.targets[0].to_string(), "anthropic/claude-haiku-4-5");
    assert_eq!(model.targets[0].max_output, Some(64_000));
    assert_eq!(
        headers(&model.targets[0]),
        [("anthropic-version".into(), "2023-06-01".into()), ("x-api-key".into(), "sk-two".into())]
    );
    assert!(matches!(policy.resolve("openai/gpt-4o"), Resolution::Unknown { .. }));
}

#[test]
fn ollama_is_served_where_it_answers_and_costs_nothing() {
    let policy =
        Policy::without_document(&Host { variable: &|_| None, ollama: true, registry: Registry::full() });
    let model = found(&policy, "ollama/llama3.2:3b");
    assert_eq!(model.targets[0].model.as_ref(), "llama3.2:3b");
    assert!(model.targets[0].price.as_ref().is_some_and(crate::registry::Price::is_free));
    assert!(model.targets[0].provider.allow_private);
}

#[test]
fn an_empty_document_is_as_none() {
    for text in ["", "# nothing\n", "{}", "---\n"] {
        assert_eq!(policy(text).names(), policy("limits:\n  key: { rpm: 5 }\n").names(), "{text:?}");
    }
}

#[test]
fn the_default_document_sets_nothing() {
    assert_eq!(policy(DEFAULT).names(), policy("").names());
    assert_eq!(policy(DEFAULT).key_limits(), &Limits::default());
}

#[test]
fn every_example_in_the_default_document_is_sound() {
    let enabled: Vec<String> = DEFAULT
        .lines()
        .map(|line| match line.trim_start().strip_prefix('#') {
            Some(example) if !example.is_empty() && !example.starts_with(' ') => line.replacen('#', "", 1),
            _ => line.to_owned(),
        })
        .collect();
    let enabled = enabled.join("\n");
    let variables =
        [("OPENAI_API_KEY", "sk-1"), ("OPENAI_EU_API_KEY", "sk-2"), ("AZURE_OPENAI_API_KEY", "sk-3")];
    let policy = read(&enabled, &variables).unwrap_or_else(|problems| panic!("{problems}\n{enabled}"));
    let support = found(&policy, "support");
    assert_eq!(support.targets.len(), 3);
    assert!(support.targets.iter().all(|target| target.price.is_some()));
    assert!(policy.key_limits().rpm.is_some() && !policy.key_limits().soft_budget.is_empty());
    // No example was lost on the way: every key that the reader knows is in the document.
    let known = document::known_keys().into_iter().chain(guard::known_keys()).chain(recourse::known_keys());
    let known = known.chain(extras::known_keys()).chain(check::known_keys());
    let known = known.chain(prompts::known_keys());
    let known = known.chain(cache::known_keys()).chain(semantic::known_keys());
    for key in known {
        assert!(enabled.contains(&format!("{key}:")), "`{key}` has no example");
    }
}

#[test]
fn a_name_leads_to_its_targets_in_order() {
    let policy = policy(
        "
models:
  support:
    targets: [ openai/gpt-4o, { model: anthropic/claude-haiku-4-5, max_output: 1000 } ]
    fallbacks: [ last ]
    retries: 0
    timeouts: { first: 5s, total: 1m }
  last: openai/gpt-4o-mini
",
    );
    let model = found(&policy, "support");
    let targets: Vec<String> = model.targets.iter().map(ToString::to_string).collect();
    assert_eq!(targets, ["openai/gpt-4o", "anthropic/claude-haiku-4-5"]);
    assert_eq!(model.targets[1].max_output, Some(1_000));
    assert_eq!(model.fallbacks.general, [ModelName::try_from("last").unwrap()]);
    assert_eq!(model.retries, Retries::each(0));
    assert_eq!(model.timeouts.first, std::time::Duration::from_secs(5));
    assert_eq!(model.timeouts.idle, Timeouts::default().idle);
    assert_eq!(headers(&model.targets[0]), [("authorization".into(), "Bearer sk-one".into())]);
    assert_eq!(policy.names(), ["last", "support"]);
}

#[test]
fn the_most_particular_wildcard_wins_and_a_name_of_its_own_before_all() {
    let policy = policy(
        "
models:
  \"*\": demo/echo
  \"openai/*\": openai/*
  \"openai/gpt-4o*\": { targets: [ { model: openai/gpt-4o*, price: { input: 1, output: 2 } } ] }
  openai/gpt-4o: demo/echo
",
    );
    let target = |name: &str| found(&policy, name).targets[0].to_string();
    assert_eq!(target("openai/gpt-4o"), "demo/echo");
    assert_eq!(target("openai/gpt-4o-mini"), "openai/gpt-4o-mini");
    assert_eq!(target("openai/o3"), "openai/o3");
    assert_eq!(target("anything"), "demo/echo");
    let mini = found(&policy, "openai/gpt-4o-mini");
    let price = mini.targets[0].price.clone().unwrap();
    assert_eq!(price.input_bound(&Bound { text_tokens: 1_000_000, ..Bound::default() }).to_string(), "1");
}

#[test]
fn a_price_of_the_admins_own_is_by_the_million_unless_it_says_otherwise() {
    let policy = policy(
        "
models:
  a: { targets: [ { model: openai/gpt-4o, price: { input: \"0.20\", output: \"0.60\" } } ] }
  b: { targets: [ { model: openai/gpt-4o, price: { input: \"0.0002\", output: \"0.0006\", per: 1K } } ] }
  c: { targets: [ { model: openai/gpt-4o, price: { input: 0.0000002, output: 0.0000006, per: 1 } } ] }
",
    );
    for name in ["a", "b", "c"] {
        let price = found(&policy, name).targets[0].price.clone().unwrap();
        let usage = gatelet_wire::Usage { input: 1_000, output: 1_000, ..gatelet_wire::Usage::default() };
        assert_eq!(price.cost(&usage, None).to_string(), "0.0008", "{name}");
    }
}

#[test]
fn a_model_that_nobody_priced_is_served_and_has_no_price() {
    let policy = policy("models: { new: openai/gpt-99 }");
    let model = found(&policy, "new");
    assert_eq!(model.targets[0].price, None);
    assert_eq!(model.targets[0].max_output, None);
}

#[test]
fn a_provider_of_the_admins_own_may_be_at_a_private_address() {
    let policy = policy(
        "
providers:
  home-gpu: { dialect: openai, base: \"${GPU}\", key: secret, headers: { X-Team: search } }
models:
  llama: home-gpu/llama-70b
",
    );
    let model = found(&policy, "llama");
    let provider = &model.targets[0].provider;
    assert_eq!(&*provider.base, "http://10.0.0.7:8000/v1");
    assert!(provider.allow_private);
    assert_eq!(
        headers(&model.targets[0]),
        [("x-team".into(), "search".into()), ("authorization".into(), "Bearer secret".into())]
    );
}

#[test]
fn a_provider_under_another_name_follows_its_row_with_a_key_of_its_own() {
    let policy = policy(
        "
providers:
  openai-eu: { like: openai, base: https://eu.api.openai.com/v1, key: sk-eu }
models:
  eu: openai-eu/gpt-4o
",
    );
    let model = found(&policy, "eu");
    assert_eq!(model.targets[0].to_string(), "openai-eu/gpt-4o");
    assert!(model.targets[0].price.is_some());
    assert_eq!(headers(&model.targets[0]), [("authorization".into(), "Bearer sk-eu".into())]);
}

#[test]
fn a_provider_may_have_edits_of_its_own() {
    let policy = policy(
        "
providers:
  mine:
    dialect: openai
    base: http://mine.example/v1
    edits: [ { rename: [max_completion_tokens, max_tokens] }, { clamp: [temperature, 0, 1.5] }, { set: [safe, true] } ]
models: { m: mine/m }
",
    );
    let expected = [
        gatelet_wire::Edit::Rename("max_completion_tokens".into(), "max_tokens".into()),
        gatelet_wire::Edit::Clamp("temperature".into(), 0.0, 1.5),
        gatelet_wire::Edit::Set("safe".into(), true.into()),
    ];
    assert_eq!(found(&policy, "m").targets[0].edits, expected);
}

#[test]
fn the_vendors_key_does_not_go_to_another_base_unasked() {
    let policy = policy(
        "
providers: { openai: { base: http://proxy.example/v1 } }
models: { m: openai/gpt-4o }
",
    );
    assert_eq!(headers(&found(&policy, "m").targets[0]), []);
}

#[test]
fn a_deployment_is_what_its_base_model_says() {
    let policy = policy(
        "
providers: { azure: { resource: acme, key: k } }
models:
  named: { targets: [ { model: azure/gpt-4o } ] }
  known: { targets: [ { model: azure/prod, base_model: gpt-4o } ] }
",
    );
    assert_eq!(found(&policy, "named").targets[0].price, None);
    let known = found(&policy, "known");
    assert!(known.targets[0].price.is_some());
    assert_eq!(&*known.targets[0].model, "prod");
    assert_eq!(&*known.targets[0].provider.base, "https://acme.openai.azure.com/openai/v1");
    assert_eq!(headers(&known.targets[0]), [("api-key".into(), "k".into())]);
}

#[test]
fn edits_follow_from_what_a_model_is_known_to_refuse() {
    let policy = policy("models: { o3: openai/o3, gpt: openai/gpt-4o }");
    let reasoning = found(&policy, "o3");
    assert!(reasoning.targets[0].has(Capability::Reasoning));
    let drops =
        |model: &Model| model.targets[0].edits.contains(&gatelet_wire::Edit::Drop("temperature".into()));
    assert!(drops(&reasoning));
    assert!(!drops(&found(&policy, "gpt")));
    assert_eq!(found(&policy, "gpt").targets[0].edits, []);
}

#[test]
fn a_caller_who_makes_up_names_does_not_fill_the_memory() {
    let policy = policy("models: { \"openai/*\": openai/* }");
    for place in 0..2_000 {
        assert_eq!(*found(&policy, &format!("openai/m{place}")).targets[0].model, *format!("m{place}"));
    }
    assert_eq!(policy.made.read().unwrap().len(), 512);
    let (first, again) = (found(&policy, "openai/m0"), found(&policy, "openai/m0"));
    assert!(Arc::ptr_eq(&first, &again));
}

#[test]
fn an_unknown_name_has_its_neighbours_named() {
    let policy = policy("models: { support: openai/gpt-4o, \"openai/*\": openai/* }");
    let Resolution::Unknown { near } = policy.resolve("suport") else { panic!("found") };
    assert_eq!(near, ["support"]);
}

#[test]
fn limits_of_keys_are_read() {
    let policy = policy("limits: { key: { rpm: 60, budget: [5 USD / day, 100 USD / month] } }");
    assert_eq!(policy.key_limits().rpm, Some(60));
    assert_eq!(policy.key_limits().budget.len(), 2);
}

#[test]
fn what_becomes_of_requests_at_a_limit_is_read() {
    let of = |text: &str| policy(&format!("limits: {{ key: {{ rpm: 1, {text} }} }}")).key_limits().clone();
    assert_eq!(of("shadow: true").at_limit, AtLimit::Refuse);
    assert!(of("shadow: true").shadow);
    assert_eq!(of("at_limit: refuse").at_limit, AtLimit::Refuse);
    assert_eq!(of("at_limit: { wait: 10 }").at_limit, AtLimit::Wait(10));
    assert_eq!(of("at_limit: { throttle: 30 }").at_limit, AtLimit::Throttle(30));
    let models = vec!["fast".to_owned(), "small".to_owned()];
    assert_eq!(of("at_limit: { cheaper: [fast, small] }").at_limit, AtLimit::Cheaper(models));
    for wrong in [
        "{ wait: 31 }",
        "{ wait: 0 }",
        "{ wait: soon }",
        "never",
        "{ cheaper: [] }",
        "[wait]",
        "{ wait: 1, throttle: 1 }",
    ] {
        let problems = problems(&format!("limits:\n  key:\n    at_limit: {wrong}\n"));
        assert!(problems.contains("expected `refuse`"), "{wrong}: {problems}");
    }
}

#[test]
fn json_is_read_as_well() {
    let text = "{\n\t\"models\": {\n\t\t\"m\": {\"targets\": [{\"model\": \"openai/gpt-4o\"}], \"retries\": 1}\n\t}\n}\n";
    assert_eq!(found(&policy(text), "m").retries, Retries::each(1));
}

#[test]
fn variables_are_read_in_values_and_may_have_a_default() {
    let text = "
providers:
  one: { dialect: openai, base: http://a.example/v1, key: ${OPENAI_API_KEY} }
  two: { dialect: openai, base: http://b.example/v1, key: \"x-${MISSING:-none}-y\" }
models: { one: one/m, two: two/m }
";
    let policy = policy(text);
    assert_eq!(headers(&found(&policy, "one").targets[0])[0].1, "Bearer sk-one");
    assert_eq!(headers(&found(&policy, "two").targets[0])[0].1, "Bearer x-none-y");
}

#[test]
fn a_policy_shows_no_secret() {
    let shown = format!("{:?}", policy("models: { m: openai/gpt-4o }"));
    assert!(shown.contains("Sensitive"));
    assert!(!shown.contains("sk-one"));
}

#[test]
fn every_mistake_is_said_with_its_line_and_key() {
    shows!(problems(
        "prvoiders: {}
providers:
  openai: { kee: x }
  opnai: { key: x }
  Big: { dialect: openai, base: \"ftp://x\" }
  mine: { dialect: opnai, base: http://x/v1?y }
  azure: { key: x }
  groq: { edits: [ { drop: a }, { dorp: a }, { clamp: [t, low, 1] } ] }
models:
  a: openai
  b: { targets: [ { model: opnai/x }, { model: openai/y, weight: 0, level: 16, rpm: -1 } ], retries: many }
  c: { targets: [] , strategy: wieghted }
  d: { targets: [ { model: openai/gpt-4o, price: { input: 1e-6, output: 2, per: 2M } } ] }
  e: { targets: [ { model: openai/gpt-4o, price: { input: 1.0000001, ouput: 2 } } ] }
  f: { targets: openai/*, fallbacks: [g, h], timeouts: { first: soon, total: 30 } }
  g: { targets: openai/gpt-4o, fallbacks: [f] }
  a*b: openai/gpt-4o
  i: demo/eco
  j: { targets: [ { model: openai/gpt-4o, base_model: gtp-4o } ] }
  \"with space\": openai/gpt-4o
  k: { targets: openai/gpt-4o, rules: [ { when: { tag: x }, to: i }, { when: {}, to: l }, { when: { percent: 101, hours: 9-5, days: [lun], has: [smell], input: { over: x } }, to: i }, { when: { zone: Europe/Berlin } }, { when: { tags: [] }, to: k } ] }
health: { faults: 0, out: soon, ranp: 1s }
limits:
  key: { rmp: 60, rpm: lots, budget: 5 EUR / day }
  team: { rpm: 1 }
guards: {}
"
    ));
}

#[test]
fn a_mistake_of_form_is_said_with_its_line() {
    let many = [
        "models: {",
        "models:\n  a: b/c\n  a: b/d\n",
        "a: &x 1\nb: *x\n",
        "a: !!str b\n",
        "- a\n",
        "{}\n---\n{}\n",
        "${X}: 1\n",
        "? [a]\n: b\n",
        "models:\n\t- tab\n",
        "\"unfinished: 1\n",
    ];
    let said: Vec<String> = many.iter().map(|text| format!("{text:?}\n{}", problems(text))).collect();
    shows!(said.join("\n\n"));
}

#[test]
fn what_a_variable_holds_is_never_shown() {
    let text = "
providers:
  a: { dialect: openai, base: \"${OPENAI_API_KEY}\", key: \"two\\nlines ${OPENAI_API_KEY}\" }
  b: { dialect: \"${OPENAI_API_KEY}\", base: \"${NOWHERE}\", key: \"${1}\", resource: \"${OPEN\" }
models:
  m: \"${OPENAI_API_KEY}\"
";
    let said = problems(text);
    assert!(!said.contains("sk-secret"), "{said}");
    shows!(said);
}

#[test]
fn a_deep_or_large_document_is_refused_without_being_read() {
    let deep = format!("a: {}1{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(problems(&deep).starts_with("gatelet.yaml:1: "), "{}", problems(&deep));
    let deep: Vec<String> = (0..1_000).map(|depth| " ".repeat(depth) + "a:\n").collect();
    let deep = deep.concat();
    assert!(problems(&deep).starts_with("gatelet.yaml:"), "{}", problems(&deep));
    let large = "#".repeat(5 << 20);
    assert_eq!(problems(&large), "gatelet.yaml:1: expected a document of at most 1 MiB");
}

#[test]
fn a_model_says_by_what_its_targets_are_chosen_and_where_each_stands() {
    use crate::route::{Place, Quota, Strategy};
    let text = "models:
  m:
    strategy: least-busy
    targets: [ { model: openai/gpt-4o, weight: 3, level: 2, rpm: 60, tpm: 9000 }, openai/gpt-4o-mini ]
  'w/*': { strategy: adaptive, targets: [ { model: openai/*, weight: 7 } ] }
health: { faults: 2, out: 1s, longest: 500ms }
";
    let policy = policy(text);
    let model = found(&policy, "m");
    assert_eq!(model.strategy, Strategy::LeastBusy);
    let quota = Quota { requests: Some(60), tokens: Some(9_000) };
    assert_eq!(model.targets[0].place, Place { level: 2, weight: 3, quota });
    assert_eq!(model.targets[1].place, Place::default());
    let model = found(&policy, "w/gpt-4o");
    assert_eq!((model.strategy, model.targets[0].place.weight), (Strategy::Adaptive, 7));
    let (health, second) = (policy.health(), std::time::Duration::from_secs(1));
    assert_eq!((health.faults, health.out, health.longest), (2, second, second));
}

#[test]
fn a_long_way_of_fallbacks_is_refused_rather_than_walked() {
    let model =
        |place| format!("  m{place}: {{ targets: openai/gpt-4o, fallbacks: [m{}] }}\n", (place + 1) % 5_000);
    let models: Vec<String> = (0..5_000).map(model).collect();
    let models = models.concat();
    let said = problems(&format!("models:\n{models}"));
    assert!(said.contains("at most 32 fallbacks"), "{}", said.lines().next().unwrap_or_default());
}

fn faults(text: &str) -> String {
    read(text, &[]).expect_err("it is refused").to_string()
}

#[test]
fn a_place_in_a_base_is_filled_from_the_entry_or_from_the_hosts_variable() {
    let text = "providers: { databricks: { host: dbc.example.com, key: k }, cloudflare: { key: k } }";
    let policy = read(text, &[("CLOUDFLARE_ACCOUNT_ID", "abc123")]).expect("a policy");
    let bases: Vec<&str> = policy.providers().map(|provider| &*provider.base).collect();
    assert_eq!(
        bases,
        [
            "https://api.cloudflare.com/client/v4/accounts/abc123/ai/v1",
            "https://dbc.example.com/serving-endpoints"
        ]
    );
    assert!(
        faults("providers: { databricks: { key: k } }")
            .contains("expected `host`, the name in https://{host}/")
    );
    assert!(
        faults("providers: { databricks: { host: a/b, key: k } }")
            .contains("databricks.host: expected a name")
    );
    assert!(
        faults("providers: { openai: { account: me, key: k } }").contains("`account` is no part of the base")
    );
}

#[test]
fn a_region_chooses_among_bases_and_prices() {
    let text = "
providers: { openai: { region: eu, key: k }, azure: { resource: r, region: eu, key: k } }
models: { a: openai/gpt-4o, b: { targets: { model: azure/mine, base_model: gpt-4.1 } } }
";
    let found_here = read(text, &[]);
    // The address of Azure has no region in it.
    assert!(
        found_here
            .expect_err("no region")
            .to_string()
            .contains("providers.azure.region: `region` is no part")
    );
    let policy = policy("providers: { openai: { region: eu, key: k } }");
    let provider = policy.providers().next().expect("a provider");
    assert_eq!(&*provider.base, "https://eu.api.openai.com/v1");
    assert!(faults("providers: { openai: { region: mars, key: k } }").contains("expected one of eu, us"));
}

#[test]
fn an_address_that_nobody_has_confirmed_is_used_only_if_the_admin_says_so() {
    let wrong = faults("providers: { empower: { key: k } }");
    assert!(
        wrong.contains("nobody has confirmed that `empower` listens at https://app.empower.dev/api/v1"),
        "{wrong}"
    );
    policy("providers: { empower: { key: k, confirm: true } }");
    policy("providers: { empower: { key: k, base: https://app.empower.dev/api/v1 } }");
    // Nor does its variable alone.
    let variable = |name: &str| (name == "EMPOWER_API_KEY").then(|| "k".to_owned());
    let host = Host { variable: &variable, ollama: false, registry: Registry::full() };
    let policy = Policy::without_document(&host);
    assert!(policy.providers().all(|provider| &*provider.id != "empower"));
}

#[test]
fn what_this_version_cannot_speak_or_prove_is_said() {
    let speaks = |word: &str| crate::registry::dialect(word).is_some();
    for (id, dialect) in [("sap", "sap"), ("gigachat", "gigachat")] {
        if !speaks(dialect) {
            let wrong = faults(&format!("providers: {{ {id}: {{ key: k }} }}"));
            assert!(
                wrong.contains(&format!("`{id}` speaks `{dialect}`, which this version does not")),
                "{wrong}"
            );
        }
    }
    assert!(faults("providers: { deepgram: { key: k } }").contains("holds no conversations"));
    // Another dialect of the same vendor does.
    let policy = policy("providers: { zai: { key: k, dialect: anthropic } }");
    let provider = policy.providers().next().expect("a provider");
    assert_eq!(&*provider.base, "https://api.z.ai/api/anthropic");
    assert_eq!(provider.dialect, gatelet_wire::DialectId::Anthropic);
    assert!(
        faults("providers: { groq: { key: k, dialect: anthropic } }").contains("does not speak `anthropic`")
    );
}

#[test]
fn what_stands_in_paths_headers_and_bodies_is_asked_for_by_name() {
    let wrong = faults("providers: { watsonx: { region: eu-de, key: k } }");
    assert!(wrong.contains("expected `project` or `space`"), "{wrong}");
    let wrong = faults("providers: { openai: { key: k, version: '1' } }");
    assert!(wrong.contains("`version` is no part of"), "{wrong}");
    policy("providers: { watsonx: { region: eu-de, project: p, version: 2025-01-01, key: k } }");
    policy("providers: { oci: { region: us-chicago-1, compartment: ocid1.compartment.oc1..c, key: k } }");
    // An address of one's own needs what stands in the rest all the same.
    let wrong = faults("providers: { watsonx: { base: https://cpd.example, key: k } }");
    assert!(wrong.contains("expected `project` or `space`"), "{wrong}");
}

#[test]
fn secrets_of_several_parts_are_json_or_variables_one_by_one() {
    let wrong = faults("providers: { oci: { region: r, key: '{\"user\":\"u\"}' } }");
    assert!(wrong.contains("`tenancy`, `user`, `fingerprint` and `key`"), "{wrong}");
    let wrong = faults("providers: { snowflake: { account: a, key: '{\"user\":\"u\"}' } }");
    assert!(wrong.contains("`account`, `user` and `private_key`"), "{wrong}");
    let key = include_str!("../registry/token/test_key.pem");
    let variables = [
        ("OCI_REGION", "us-chicago-1"),
        ("OCI_KEY", key),
        ("OCI_USER", "u"),
        ("OCI_FINGERPRINT", "f"),
        ("OCI_TENANCY", "t"),
        ("SNOWFLAKE_PRIVATE_KEY", key),
        ("SNOWFLAKE_USER", "u"),
        ("SNOWFLAKE_ACCOUNT_ID", "a"),
        ("AZURE_RESOURCE_NAME", "r"),
        ("AZURE_CLIENT_SECRET", "s"),
        ("AZURE_CLIENT_ID", "c"),
        ("AZURE_TENANT_ID", "t"),
    ];
    let variable =
        |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let host = Host { variable: &variable, ollama: false, registry: Registry::full() };
    let policy = Policy::without_document(&host);
    for id in ["oci", "snowflake", "azure", "azure-deployments"] {
        assert!(policy.provider(id).is_some_and(|provider| provider.credential.is_some()), "{id}");
    }
    let base = |id: &str| policy.provider(id).map(|provider| provider.base.to_string());
    assert_eq!(
        base("oci").as_deref(),
        Some("https://inference.generativeai.us-chicago-1.oci.oraclecloud.com/openai/v1")
    );
    // A part alone is nothing.
    let variable = |name: &str| (name == "OCI_KEY" || name == "OCI_REGION").then(|| key.to_owned());
    let host = Host { variable: &variable, ollama: false, registry: Registry::full() };
    assert!(Policy::without_document(&host).provider("oci").is_none());
}

#[test]
fn providers_are_known_by_their_other_names_too() {
    let policy = policy(
        "providers: { together_ai: { key: k } }\nmodels: { a: together_ai/moonshotai/Kimi-K2-Instruct }",
    );
    let target = found(&policy, "a").targets[0].clone();
    assert_eq!(target.to_string(), "together_ai/moonshotai/Kimi-K2-Instruct");
    assert!(target.price.is_some());
}

#[test]
fn an_admins_price_says_every_kind_with_tiers_and_services() {
    let policy = policy(
        "
models:
  a:
    targets:
      - model: openai/of-tomorrow
        price:
          input: '1'
          output: '2'
          picture: '0.04'
          tiers: [ { over: 1000, input: '3' } ]
          services: { batch: { input: '0.5', tiers: [ { over: 1000, input: '1.5' } ] } }
",
    );
    let price = found(&policy, "a").targets[0].price.clone().expect("a price");
    let usage = |input| gatelet_wire::Usage { input, output: 1_000, ..Default::default() };
    let cost = |input, service| price.cost(&usage(input), service).nanos();
    assert_eq!(cost(1_000, None), 3_000_000);
    assert_eq!(cost(1_001, None), 3_003_000 + 2_000_000);
    assert_eq!(cost(1_000, Some("batch")), 2_500_000);
    assert_eq!(cost(2_000, Some("batch")), 5_000_000);
    let pictures = [(crate::registry::Meter::Picture, 3)];
    assert_eq!(price.bill(&gatelet_wire::Usage::default(), &pictures, None).nanos(), 120_000_000);
    let wrong = |price: &str| {
        faults(&format!("models: {{ a: {{ targets: {{ model: openai/x, price: {price} }} }} }}"))
    };
    assert!(wrong("{ output: '1' }").contains("expected at least `input` and `output`"));
    assert!(wrong("{ input: '1', output: '1', tiers: { input: '2' } }").contains("expected `over`"));
    assert!(wrong("{ input: '1', output: '1', services: { flex: { outptu: '2' } } }").contains("outptu"));
}

#[test]
fn a_path_goes_below_the_base_with_and_without_the_bases_own() {
    let below = |base: &str, rest: &str| {
        let policy = policy(&format!(
            "providers: {{ mine: {{ dialect: openai, base: \"{base}\" }} }}\nmodels: {{}}\n"
        ));
        policy.provider("mine").unwrap().below(rest).to_owned()
    };
    let base = "https://api.example.com/v1";
    assert_eq!(below(base, "/files/abc"), "/files/abc");
    assert_eq!(below(base, "/v1/files/abc"), "/files/abc");
    assert_eq!(below(base, "/v1"), "");
    assert_eq!(below(base, "/v10/files"), "/v10/files");
    assert_eq!(below("https://api.groq.com/openai/v1", "/openai/v1/models"), "/models");
    assert_eq!(below("https://api.anthropic.com", "/v1/files"), "/v1/files");
}

#[test]
fn an_interface_without_models_needs_no_dialect() {
    let policy = policy(
        "
providers:
  search: { base: \"https://search.example/api\", key: k, auth: { header: x-key }, passthrough: { request: \"0.01\" } }
",
    );
    let provider = policy.provider("search").unwrap();
    assert!(policy.interface(provider).unwrap().targets[0].price.is_some());
    assert!(matches!(policy.resolve("search/anything"), super::Resolution::Unknown { .. }));
    assert_eq!(policy.names(), Vec::<String>::new());
    // Nor does a row of the registry in whose language nobody here can speak.
    let policy = super::Policy::read(
        "gatelet.yaml",
        "providers: { deepgram: { key: k, passthrough: unpriced } }",
        &Host { variable: &|_| None, ollama: false, registry: Registry::full() },
    )
    .expect("a policy");
    let provider = policy.provider("deepgram").unwrap();
    assert!(provider.base.starts_with("https://api.deepgram.com"), "{}", provider.base);
    assert!(!provider.allow_private);
    assert!(matches!(policy.resolve("deepgram/nova-3"), super::Resolution::Unknown { .. }));
}

#[test]
fn a_semantic_cache_and_its_index_are_read_and_their_mistakes_are_said() {
    let of = |semantic: &str| {
        format!(
            "models: {{ m: {{ targets: openai/gpt-4o, cache: {{ ttl: 1m, semantic: {semantic} }} }}, v: openai/text-embedding-3-small }}\nproviders: {{ openai: {{ key: x }} }}"
        )
    };
    let semantic =
        |text: &str| found(&policy(&of(text)), "m").cache.clone().unwrap().semantic.clone().unwrap();
    let plain = semantic("{ model: v }");
    assert_eq!((plain.threshold, plain.turns, plain.billed), (0.95, 1, false));
    assert!(plain.index.is_none());
    let index =
        |text: &str| semantic(&format!("{{ model: v, turns: 2, index: {text} }}")).index.clone().unwrap();
    let qdrant = index("{ kind: qdrant, url: \"http://127.0.0.1:6333/\", private: true, collection: c }");
    assert_eq!((&*qdrant.base, qdrant.private, qdrant.key.is_none()), ("http://127.0.0.1:6333", true, true));
    let vectorize = index("{ kind: vectorize, account: a, index: i, key: k }");
    assert_eq!(&*vectorize.base, "https://api.cloudflare.com/client/v4/accounts/a/vectorize/v2/indexes/i");
    let s3 = index("{ kind: s3-vectors, region: eu-west-1, bucket: b, index: i, key: \"id:secret\" }");
    assert_eq!(&*s3.base, "https://s3vectors.eu-west-1.api.aws");
    for (wrong, said) in [
        ("{}", "expected `model`"),
        ("{ model: w }", "no model `w` in `models`"),
        ("{ model: m }", "semantic caches lead in a ring: m -> m"),
        ("{ model: v, threshold: 0.2 }", "expected a number from 0.5 to 1"),
        ("{ model: v, threshold: NaN }", "expected a number from 0.5 to 1"),
        ("{ model: v, turns: 0 }", "expected a whole number from 1 to 10"),
        ("{ model: v, wait: 1h }", "expected a duration from 1ms to 30s"),
        ("{ model: v, treshold: 1 }", "did you mean `threshold`?"),
        ("{ model: v, index: { url: x } }", "expected `kind`"),
        ("{ model: v, index: { kind: pinecone } }", "expected one of qdrant, vectorize, s3-vectors"),
        ("{ model: v, index: { kind: qdrant, collection: c } }", "expected `url`"),
        ("{ model: v, index: { kind: qdrant, collection: c, url: \"http://x\" } }", "begins with https://"),
        ("{ model: v, index: { kind: qdrant, collection: a/b, url: \"https://x\" } }", "letters, digits"),
        (
            "{ model: v, index: { kind: qdrant, collection: c, url: \"https://x\", bucket: b } }",
            "`bucket` means nothing",
        ),
        ("{ model: v, index: { kind: vectorize, account: a, index: i } }", "expected `key`"),
        (
            "{ model: v, index: { kind: s3-vectors, region: r, bucket: b, index: i, key: k } }",
            "expected a pair",
        ),
    ] {
        let problems = problems(&of(wrong));
        assert!(problems.contains(said), "{wrong}: {problems}");
    }
}
