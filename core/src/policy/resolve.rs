//! From a caller's word to a model.

use std::sync::Arc;

use gatelet_wire::sort::sort_by;
use gatelet_wire::{DialectId, Edit, Json};
use http::Uri;

use super::check::Check;
use super::model::{Model, ModelName, Target, Wildcard, WildcardTarget};
use super::residency::region_of;
use super::{
    CacheBounds, Channel, Contents, Fetch, Guards, Metrics, Passthrough, Pin, Policy, Provider, Resolution,
    Retention, Sink,
};
use crate::domain::account::Limits;
use crate::prompt::Prompt;
use crate::registry::{Capabilities, Catalogue, Mode, Price, Registry, near_names};
use crate::route::{Place, Rules};

/// Names that are kept of all that wildcards make: more than callers use who mean well, about a megabyte.
const MOST_MADE: usize = 512;

impl Policy {
    /// What `name` means: a model of that very name, or else the wildcard with the longest fitting prefix.
    pub fn resolve(&self, name: &str) -> Resolution {
        if let Some(model) = self.models.get(name) {
            return Resolution::Found(model.clone());
        }
        if let Some(model) = self.made.read().ok().and_then(|made| made.get(name).cloned()) {
            return Resolution::Found(model);
        }
        let wildcard = self.wildcards.iter().find_map(|wildcard| {
            let rest = name.strip_prefix(&*wildcard.prefix).filter(|rest| !rest.is_empty())?;
            wildcard.model(&self.registry, ModelName::try_from(name).ok()?, rest)
        });
        let Some(model) = wildcard.map(Arc::new) else {
            return Resolution::Unknown { near: self.near(name) };
        };
        if let Ok(mut made) = self.made.write()
            && made.len() < MOST_MADE
        {
            made.insert(name.into(), model.clone());
        }
        Resolution::Found(model)
    }

    /// The rules for fetching what callers name by URL; none: it is not done.
    pub fn fetch(&self) -> Option<&Fetch> {
        self.fetch.as_ref()
    }

    /// Whether whoever has this address says truly from whom a request came to it.
    pub fn trusts(&self, address: std::net::IpAddr) -> bool {
        self.proxies.iter().any(|proxies| proxies.contains(address))
    }

    pub fn cache_bounds(&self) -> &CacheBounds {
        &self.cache
    }

    /// Whether some model's answers are kept.
    pub fn caches(&self) -> bool {
        self.caches
    }

    /// A prompt that the document brings, and the number of its version.
    pub fn prompt(&self, name: &str) -> Option<(u64, &Arc<Prompt>)> {
        self.prompts.get(name).map(|(version, prompt)| (*version, prompt))
    }

    /// The names of the prompts that the document brings.
    pub fn prompts(&self) -> impl Iterator<Item = &str> {
        self.prompts.keys().map(AsRef::as_ref)
    }

    /// A provider by its name in the configuration.
    pub fn provider(&self, id: &str) -> Option<&Arc<Provider>> {
        self.providers.get(id)
    }

    /// A model of a provider under the provider's own name for it, with the price that the document gives it, if it
    /// does. Nothing takes its place when it fails. None where the document's models do not reach it and nothing opens the
    /// provider's interface.
    pub fn native(&self, provider: &Arc<Provider>, model: &str) -> Option<Model> {
        let name = ModelName::try_from(format!("{}/{model}", provider.id).as_str()).ok()?;
        let declared = match self.resolve(name.as_str()) {
            Resolution::Found(found) => found
                .targets
                .iter()
                .find(|target| target.provider.id == provider.id && *target.model == *model)
                .cloned(),
            Resolution::Unknown { .. } => None,
        };
        if declared.is_none() && self.is_closed(provider) {
            return None;
        }
        let known = || Arc::new(target(provider, model, known(&self.registry, provider, model, None)));
        Some(Model::native(name, declared.unwrap_or_else(known)))
    }

    /// The interface of a provider as far as no model is in play.
    pub fn interface(&self, provider: &Arc<Provider>) -> Option<Model> {
        let price = match &provider.passthrough {
            Passthrough::Off => return None,
            Passthrough::Unsaid if self.is_closed(provider) => return None,
            Passthrough::Unsaid | Passthrough::Unpriced => None,
            Passthrough::Priced(price) => Some(Price::clone(price)),
        };
        let name = ModelName::try_from(format!("{}/*", provider.id).as_str()).ok()?;
        let target = Target { price, ..target(provider, "*", None) };
        Some(Model::native(name, Arc::new(target)))
    }

    /// Whether a provider's interface is closed but for what the models reach.
    fn is_closed(&self, provider: &Provider) -> bool {
        self.listed && provider.passthrough == Passthrough::Unsaid
    }

    /// The providers that can be called, by name.
    pub fn providers(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.providers.values()
    }

    /// Every name that can be listed: the models, and for a wildcard the registry's models of its provider.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.models.keys().map(ToString::to_string).collect();
        for wildcard in &self.wildcards {
            names.extend(
                wildcard.names(&self.registry).into_iter().map(|model| format!("{}{model}", wildcard.prefix)),
            );
        }
        sort_by(&mut names, Ord::cmp);
        names.dedup();
        names
    }

    /// The providers whose models this policy uses and the registry does not know: a fuller catalogue may know them.
    pub fn unknown_providers(&self) -> impl Iterator<Item = &str> {
        let rows = self.providers.values().filter_map(|provider| provider.follows.as_deref());
        rows.filter(|row| !self.registry.has_models(row))
    }

    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Whether keys that another gateway has made are let in.
    pub fn imports_keys(&self) -> bool {
        self.imported_keys
    }

    /// What may not go in or come out.
    pub fn guards(&self) -> &Guards {
        &self.guards
    }

    /// When targets go out, and for how long.
    pub fn health(&self) -> &Rules {
        &self.health
    }

    /// Which targets are checked without being asked for, how, and how often.
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Who is pinned to which regions and providers.
    pub fn pins(&self) -> &[Pin] {
        &self.pins
    }

    /// Who is told what an admin should know.
    pub fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// Of whose requests prompts and answers are kept.
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// The region of the answers that callers go on from; none: nobody said.
    pub fn responses_region(&self) -> Option<&str> {
        self.responses.as_deref()
    }

    /// Who may read `/metrics`, and what is told apart there.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// For how long the archive keeps what.
    pub fn retention(&self) -> &Retention {
        &self.retention
    }

    /// Who is told of each request.
    pub fn sinks(&self) -> &[Sink] {
        &self.sinks
    }

    /// The limits of keys that say nothing themselves.
    pub fn key_limits(&self) -> &Limits {
        &self.key_limits
    }

    fn near(&self, name: &str) -> Vec<String> {
        let names = self.names();
        near_names(name, names.iter().map(String::as_str)).into_iter().map(str::to_owned).collect()
    }
}

impl Wildcard {
    /// None when a provider's list is closed and has no such model.
    fn model(&self, registry: &Registry, name: ModelName, rest: &str) -> Option<Model> {
        let targets: Vec<Arc<Target>> =
            self.targets.iter().filter_map(|target| target.filled(registry, rest)).collect();
        (!targets.is_empty()).then(|| Model {
            name,
            targets,
            strategy: self.strategy,
            fallbacks: self.fallbacks.clone(),
            rules: self.rules.clone(),
            retries: self.retries,
            extras: self.extras.clone(),
            timeouts: self.timeouts,
            repeats: self.repeats,
            estimate: self.estimate,
            cache: self.cache.clone(),
        })
    }

    /// What the star may stand for, as far as the registry knows.
    fn names(&self, registry: &Registry) -> Vec<String> {
        let whole = self
            .targets
            .first()
            .filter(|target| &*target.model == "*" && target.provider.catalogue != Catalogue::Deployments);
        let row = whole.and_then(|target| target.provider.follows.as_deref());
        row.map_or_else(Vec::new, |row| registry.models(row))
    }
}

impl WildcardTarget {
    fn filled(&self, registry: &Registry, rest: &str) -> Option<Arc<Target>> {
        let model = self.model.replacen('*', rest, 1);
        let known = known(registry, &self.provider, &model, self.base_model.as_deref());
        if self.provider.catalogue == Catalogue::Closed && known.is_none() {
            return None;
        }
        let target = target(&self.provider, &model, known);
        Some(Arc::new(Target {
            stated: target.stated.clone().filter(|_| self.price.is_none()),
            price: self.price.clone().or(target.price),
            max_output: self.max_output.or(target.max_output),
            context: self.context.or(target.context),
            place: self.place,
            region: self.region.clone().or_else(|| target.region.clone()),
            ..target
        }))
    }
}

/// What the registry knows of a provider's model; `base_model` is its name there, where callers name a deployment.
pub(super) fn known(
    registry: &Registry,
    provider: &Provider,
    model: &str,
    base_model: Option<&str>,
) -> Option<crate::registry::Model> {
    let name = match provider.catalogue {
        Catalogue::Open | Catalogue::Closed => base_model.unwrap_or(model),
        Catalogue::Deployments => base_model?,
    };
    let row = provider.follows.as_deref()?;
    // A region may have prices of its own.
    let regional =
        provider.region.as_deref().and_then(|region| registry.model(row, &format!("{region}/{name}")));
    regional.or_else(|| registry.model(row, name))
}

/// A target out of what is known of its model, or of its provider alone.
pub(super) fn target(provider: &Arc<Provider>, model: &str, known: Option<crate::registry::Model>) -> Target {
    let converses = known.as_ref().is_some_and(|known| known.mode == Mode::Chat);
    let (price, max_output, context, capabilities) = match known {
        Some(known) => (known.price, known.max_output, known.context, known.capabilities),
        None => (None, None, None, Capabilities::default()),
    };
    let address = |stream| Uri::try_from(provider.chat(model, stream)).ok();
    let name: Arc<str> = format!("{}/{model}", provider.id).into();
    Target {
        provider: provider.clone(),
        model: model.into(),
        model_json: Json::of(&model),
        seen_as: name.clone(),
        name,
        addresses: [false, true].map(address),
        stated: provider.quirks.cost.clone().filter(|_| !provider.free),
        price: price.or_else(|| provider.free.then(Price::free)),
        max_output,
        context,
        completes: provider.dialect == DialectId::Openai
            && provider.completes
            && provider.quirks.idiom.is_none()
            && !(provider.quirks.modes_apart && converses),
        edits: edits(provider, capabilities),
        capabilities,
        place: Place::default(),
        region: region_of(provider, model),
    }
}

fn edits(provider: &Provider, capabilities: Capabilities) -> Vec<Edit> {
    let when = provider.when.iter().filter(|when| capabilities.has(when.capability));
    provider.edits.iter().chain(when.flat_map(|when| &when.edits)).cloned().collect()
}
