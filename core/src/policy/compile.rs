//! From the document to the policy: every reference resolved, or said to be wrong.

use std::sync::Arc;

use gatelet_wire::sort::sort_by;
use gatelet_wire::{DialectId, marks};

use super::declare::{Providers, declare, declared, usual};
use super::document::{Document, FetchEntry, ModelEntry, ProviderEntry, TargetEntry, document};
use super::extras::Extras;
use super::model::{Fallbacks, Model, ModelName, Rule, Target, Timeouts, Wildcard, WildcardTarget};
use super::read::{At, Reader, Spot};
use super::resolve::{known, target};
use super::{Host, Policy, Problems, Provider, Retries, check, node, residency, rings};
use crate::registry::{Capability, Catalogue, near_names};
use crate::route::{Place, Strategy};

impl Policy {
    /// Reads and compiles a document in YAML or JSON; `file` is its name in messages.
    ///
    /// Without `providers`, every provider is served whose usual variable the host has, and the built-in ones. Without
    /// `models`, every model of every provider is served as `<provider>/<model>`. So an empty document serves all that
    /// can be served.
    ///
    /// # Errors
    /// Everything that is wrong, by line and key; a syntax error hides what comes after it.
    pub fn read(file: &str, text: &str, host: &Host<'_>) -> Result<Self, Problems> {
        let failed = |list| Problems { file: file.to_owned(), list };
        let root = node::parse(text).map_err(|problem| failed(vec![problem]))?;
        let mut reader = Reader::new(host);
        let document = document(&mut reader, &At::root(&root));
        let policy = compile(&mut reader, document);
        let problems = reader.into_problems();
        if problems.is_empty() { Ok(policy) } else { Err(failed(problems)) }
    }

    /// The policy of a gateway without a document.
    pub fn without_document(host: &Host<'_>) -> Self {
        compile(&mut Reader::new(host), Document::default())
    }
}

fn compile(reader: &mut Reader<'_>, document: Document) -> Policy {
    let mut providers = match document.providers {
        Some(entries) => declared(reader, entries),
        None => usual(reader.host()),
    };
    let registry = reader.host().registry.clone();
    let listed = document.models.is_some();
    let fetch = match document.fetch {
        FetchEntry::Off => None,
        FetchEntry::By(rules) => Some(rules),
    };
    let mut policy = Policy {
        key_limits: document.key_limits,
        proxies: document.proxies,
        imported_keys: document.imported_keys,
        health: document.health,
        cache: document.cache,
        listed,
        channels: document.alerts,
        sinks: document.sinks,
        contents: document.contents,
        retention: document.retention,
        metrics: document.metrics,
        responses: document.responses,
        fetch,
        prompts: document.prompts,
        registry,
        ..Policy::default()
    };
    let mut guards = document.guards;
    guards.join(reader);
    match document.models {
        Some(entries) => {
            for entry in &entries {
                guards.attach(reader, entry.name.as_str(), &entry.guards);
            }
            rings::check(reader, &entries);
            let mut models = Vec::with_capacity(entries.len());
            for entry in entries {
                add_model(reader, &mut policy, &mut models, &mut providers, entry);
            }
            policy.models.extend(models);
        }
        None => policy.wildcards = providers.values().flatten().cloned().map(whole).collect(),
    }
    residency::check(reader, &policy, &document.residency);
    check::known(reader, &policy, &document.checks);
    policy.checks = document.checks.into_iter().map(|(check, _)| check).collect();
    policy.pins = document.residency.into_iter().map(|(pin, _)| pin).collect();
    super::topics::known(reader, &policy, &guards.embedders);
    policy.guards = guards.done();
    sort_by(&mut policy.wildcards, |one, other| other.prefix.len().cmp(&one.prefix.len()));
    policy.providers.extend(providers.into_iter().filter_map(|(id, provider)| Some((id, provider?))));
    policy
}

/// All models of a provider, as `<provider>/<model>`.
fn whole(provider: Arc<Provider>) -> Wildcard {
    Wildcard {
        prefix: format!("{}/", provider.id).into(),
        targets: vec![WildcardTarget {
            provider,
            model: "*".into(),
            base_model: None,
            price: None,
            max_output: None,
            context: None,
            place: Place::default(),
            region: None,
        }],
        strategy: Strategy::default(),
        fallbacks: Fallbacks::default(),
        rules: Arc::default(),
        retries: Retries::default(),
        extras: Arc::default(),
        timeouts: Timeouts::default(),
        repeats: None,
        estimate: None,
        cache: None,
    }
}

fn add_model(
    reader: &mut Reader<'_>,
    policy: &mut Policy,
    models: &mut Vec<(ModelName, Arc<Model>)>,
    providers: &mut Providers,
    entry: ModelEntry,
) {
    let (retries, extras) = (entry.retries, Arc::new(entry.extras));
    let (strategy, timeouts) = (entry.strategy, entry.timeouts);
    let (repeats, estimate) = (entry.repeats, entry.estimate);
    let cache = entry.cache.map(Arc::new);
    policy.caches |= cache.is_some();
    let names = |list: Vec<(ModelName, Spot)>| list.into_iter().map(|(name, _)| name).collect();
    let fallbacks = Fallbacks {
        general: names(entry.fallbacks),
        context_window: names(entry.context_window),
        content_policy: names(entry.content_policy),
    };
    let rules = entry.rules.into_iter().map(|(when, (to, _))| Rule { when, to }).collect();
    let spot = entry.targets.first().map(|target| target.spot.clone());
    if let Some(prefix) = entry.name.as_str().strip_suffix('*') {
        let mut target = |entry| wildcard_target(reader, providers, entry);
        let targets: Vec<WildcardTarget> = entry.targets.into_iter().filter_map(&mut target).collect();
        let dialects = targets.iter().map(|target| target.provider.dialect);
        useful(reader, spot, &extras, dialects, &fallbacks);
        policy.wildcards.push(Wildcard {
            prefix: prefix.into(),
            targets,
            strategy,
            fallbacks,
            rules,
            retries,
            extras,
            timeouts,
            repeats,
            estimate,
            cache,
        });
    } else {
        let mut target = |entry| one_target(reader, providers, entry);
        let targets: Vec<Arc<Target>> = entry.targets.into_iter().filter_map(&mut target).collect();
        let dialects = targets.iter().map(|target| target.provider.dialect);
        useful(reader, spot.clone(), &extras, dialects, &fallbacks);
        let begins = |target: &Arc<Target>| target.has(Capability::Prefill);
        if let (Some(resume), Some(spot)) = (extras.resume, spot)
            && !resume.prefill
            && !targets.iter().any(begins)
        {
            let known = "expected a target that is known to take the beginning of its answer, or `prefill: true`, in `resume`";
            reader.note(&spot, known);
        }
        let model = Model {
            name: entry.name.clone(),
            targets,
            strategy,
            fallbacks,
            rules,
            retries,
            extras,
            timeouts,
            repeats,
            estimate,
            cache,
        };
        models.push((entry.name, Arc::new(model)));
    }
}

/// Notes what a model has asked for that its targets, in these dialects, would never bring about.
fn useful(
    reader: &mut Reader<'_>,
    spot: Option<Spot>,
    extras: &Extras,
    mut dialects: impl ExactSizeIterator<Item = DialectId>,
    fallbacks: &Fallbacks,
) {
    let Some(spot) = spot else { return };
    if extras.hedge.is_some() && dialects.len() == 1 && fallbacks.general.is_empty() {
        reader.note(&spot, "expected a second target, or `fallbacks`, beside `hedge`");
    }
    let alone = fallbacks.all().next().is_none();
    if extras.marks.is_some() && alone && dialects.len() > 0 && !dialects.any(marks::wanted) {
        reader.note(
            &spot,
            "expected a target whose dialect has marks, anthropic or bedrock, beside `cache_marks`",
        );
    }
}

fn wildcard_target(
    reader: &mut Reader<'_>,
    providers: &mut Providers,
    entry: TargetEntry,
) -> Option<WildcardTarget> {
    if entry.model.matches('*').count() > 1 {
        reader.note(&entry.spot, "expected one `*` at most");
    }
    let provider = provider(reader, providers, &entry)?;
    Some(WildcardTarget {
        provider,
        model: entry.model.into(),
        base_model: entry.base_model.map(Into::into),
        price: entry.price,
        max_output: entry.max_output,
        context: entry.context,
        place: entry.place,
        region: entry.region.map(Into::into),
    })
}

fn one_target(reader: &mut Reader<'_>, providers: &mut Providers, entry: TargetEntry) -> Option<Arc<Target>> {
    if entry.model.contains('*') {
        reader.note(&entry.spot, "a `*` here needs a name that ends in `*`, such as \"openai/*\"");
        return None;
    }
    let provider = provider(reader, providers, &entry)?;
    let row = known(&reader.host().registry, &provider, &entry.model, entry.base_model.as_deref());
    let spot = &entry.spot;
    if row.is_none() {
        if let Some(base_model) = &entry.base_model {
            let message = no_model(reader, &provider, base_model);
            reader.note(spot, message);
            return None;
        }
        if provider.catalogue == Catalogue::Closed {
            let message = no_model(reader, &provider, &entry.model);
            reader.note(spot, message);
            return None;
        }
    }
    let known = target(&provider, &entry.model, row);
    Some(Arc::new(Target {
        stated: known.stated.clone().filter(|_| entry.price.is_none()),
        price: entry.price.or(known.price),
        max_output: entry.max_output.or(known.max_output),
        context: entry.context.or(known.context),
        place: entry.place,
        region: entry.region.map(Into::into).or(known.region),
        ..known
    }))
}

fn no_model(reader: &Reader<'_>, provider: &Provider, model: &str) -> String {
    let row = provider.follows.as_deref().unwrap_or_default();
    let known = reader.host().registry.models(row);
    let near = near_names(model, known.iter().map(String::as_str));
    let near = near.first().map(|near| format!(": did you mean `{near}`?")).unwrap_or_default();
    format!("`{}` has no model `{model}`{near}", provider.id)
}

/// A target's provider: declared, or else the registry's with the host's usual variable.
fn provider(
    reader: &mut Reader<'_>,
    providers: &mut Providers,
    entry: &TargetEntry,
) -> Option<Arc<Provider>> {
    let id = entry.provider.as_str();
    if let Some(provider) = providers.get(id) {
        return provider.clone();
    }
    let registry = &reader.host().registry;
    if registry.provider(id).is_none() {
        let mut names: Vec<&str> = registry.providers().collect();
        names.extend(providers.keys().map(|id| &**id));
        let near = near_names(id, names).first().map(|near| format!(": did you mean `{near}`?"));
        reader.note(&entry.spot, format!("no provider `{id}`{}", near.unwrap_or_default()));
        return None;
    }
    let provider = declare(reader, ProviderEntry::named(id, &entry.spot)).map(Arc::new);
    providers.insert(id.into(), provider.clone());
    provider
}
