//! From the document to the policy: every reference resolved, or said to be wrong.

use std::collections::BTreeMap;
use std::sync::Arc;

use gatelet_wire::dialect::KeyIn;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::document::{AuthEntry, Document, ModelEntry, ProviderEntry, TargetEntry, document};
use super::model::{Model, ModelName, Target, Timeouts, Wildcard, WildcardTarget};
use super::read::{At, Reader, Spot};
use super::resolve::{known, target};
use super::{Host, Policy, Problems, Provider, node, rings};
use crate::domain::Secret;
use crate::registry::{self, Catalogue, Credential, Kind, Quirks, Registry, Scheme, near_names};

/// Attempts after the first, where the document says nothing.
const RETRIES: u32 = 2;

/// By name; none for one that is declared wrongly, which has been said and is not said again.
type Providers = BTreeMap<Box<str>, Option<Arc<Provider>>>;

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
    let mut policy = Policy { key_limits: document.key_limits, ..Policy::default() };
    match document.models {
        Some(entries) => {
            rings::check(reader, &entries);
            for entry in entries {
                add_model(reader, &mut policy, &mut providers, entry);
            }
        }
        None => policy.wildcards = providers.values().flatten().cloned().map(whole).collect(),
    }
    policy.wildcards.sort_by_key(|wildcard| std::cmp::Reverse(wildcard.prefix.len()));
    policy.providers = providers.into_iter().filter_map(|(id, provider)| Some((id, provider?))).collect();
    policy
}

/// What the host's variables alone configure.
fn usual(host: &Host<'_>) -> Providers {
    let registry = Registry::embedded();
    let rows = registry.providers().filter_map(|id| registry.provider(id));
    let served = rows.filter_map(|row| {
        let secret = usual_secret(&row, host);
        let served = match row.kind {
            Kind::Hosted | Kind::Gateway => secret.is_some() && !row.base.contains('{'),
            Kind::Local => row.id == OLLAMA && host.ollama,
            Kind::BuiltIn => true,
        };
        let credential = match row.auth.as_ref().map(|auth| auth.scheme.clone()).zip(secret) {
            Some((scheme, secret)) => Some(Credential::new(&scheme, &secret).ok()?),
            None => None,
        };
        served.then(|| Provider { credential, ..follow(&row.id.clone(), row) })
    });
    served.map(|provider| (provider.id.clone(), Some(Arc::new(provider)))).collect()
}

/// The one local server that is looked for.
const OLLAMA: &str = "ollama";

fn usual_secret(row: &registry::Provider, host: &Host<'_>) -> Option<Secret> {
    let mut names = row.auth.iter().flat_map(|auth| &auth.env);
    names.find_map(|name| {
        let secret = (host.variable)(name)?;
        let secret = secret.trim();
        (!secret.is_empty()).then(|| Secret::new(secret))
    })
}

fn declared(reader: &mut Reader<'_>, entries: Vec<ProviderEntry>) -> Providers {
    let provider = |entry: ProviderEntry| (entry.id.as_str().into(), declare(reader, entry).map(Arc::new));
    entries.into_iter().map(provider).collect()
}

/// A provider as an entry describes it: by a row of the registry, by itself, or by both.
fn declare(reader: &mut Reader<'_>, entry: ProviderEntry) -> Option<Provider> {
    let (row, spot) = match &entry.like {
        Some((like, spot)) => (like.as_str(), spot),
        None => (entry.id.as_str(), &entry.spot),
    };
    let row = match Registry::embedded().provider(row) {
        Some(row) => Some(row),
        None if entry.like.is_none() && entry.stands_alone => None,
        None => {
            reader.note(spot, no_row(row));
            return None;
        }
    };
    let usual = row.as_ref().and_then(|row| usual_secret(row, reader.host()));
    let required = row.as_ref().and_then(|row| row.auth.clone()).filter(|auth| !auth.optional);
    let mut provider = match row {
        Some(row) if entry.dialect.is_none_or(|dialect| dialect == row.dialect) => follow(&entry.id, row),
        Some(row) => Provider { follows: Some(row.id.as_str().into()), ..alone(&entry)? },
        None => alone(&entry)?,
    };
    if let Some(base) = &entry.base {
        provider.base = base.as_str().into();
        provider.allow_private = true;
    }
    if let Some(resource) = &entry.resource {
        provider.base = provider.base.replace("{resource}", resource).into();
    }
    if provider.base.contains('{') {
        reader.note(&entry.spot, format!("expected `resource`, the name in {}, or `base`", provider.base));
    }
    provider.headers.extend(entry.headers);
    provider.edits.extend(entry.edits);
    provider.free = entry.free.unwrap_or(provider.free);
    let scheme = match entry.auth {
        Some(AuthEntry::None) => None,
        Some(AuthEntry::By(scheme)) => Some(scheme),
        None => Some(default_scheme(&provider)),
    };
    let given = entry.key.is_some();
    let (secret, spot) = match entry.key {
        Some((secret, spot)) => (Some(secret), spot),
        // A base of the admin's own does not get the vendor's key unless he says so.
        None if entry.base.is_some() => (None, entry.spot),
        None => (usual, entry.spot),
    };
    match (scheme, secret) {
        (Some(scheme), Some(secret)) => match Credential::new(&scheme, &secret) {
            Ok(credential) => provider.credential = Some(credential),
            Err(error) => reader.note(&spot, error.to_string()),
        },
        (None, Some(_)) if given => reader.note(&spot, "`key` has no use beside `auth: none`: remove one"),
        (Some(_), None) if entry.base.is_none() => {
            if let Some(auth) = required {
                reader.note(&spot, format!("expected `key`, or the variable {}", auth.env.join(" or ")));
            }
        }
        (None | Some(_), None) | (None, Some(_)) => {}
    }
    Some(provider)
}

fn no_row(name: &str) -> String {
    match near_names(name, Registry::embedded().providers()).first() {
        Some(near) => format!("no provider `{name}` in the registry: did you mean `{near}`?"),
        None => format!("no provider `{name}` in the registry: one of your own needs `dialect` and `base`"),
    }
}

/// A provider that follows its row in everything but its name.
fn follow(id: &str, row: registry::Provider) -> Provider {
    Provider {
        id: id.into(),
        headers: headers(row.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()))),
        follows: Some(row.id.into()),
        kind: row.kind,
        dialect: row.dialect,
        base: row.base.into(),
        scheme: row.auth.map(|auth| auth.scheme),
        credential: None,
        edits: row.edits,
        when: row.when,
        quirks: row.quirks,
        free: row.free,
        catalogue: row.catalogue,
        // The table's local servers are on this machine.
        allow_private: row.kind == Kind::Local,
    }
}

/// A provider of which nothing is known but its dialect and base.
fn alone(entry: &ProviderEntry) -> Option<Provider> {
    let dialect = entry.dialect?;
    Some(Provider {
        id: entry.id.as_str().into(),
        follows: None,
        kind: Kind::Hosted,
        dialect,
        base: entry.base.as_deref()?.into(),
        scheme: None,
        credential: None,
        headers: headers(dialect.dialect().conventions().headers.iter().copied()),
        edits: Vec::new(),
        when: Vec::new(),
        quirks: Quirks::default(),
        free: false,
        catalogue: Catalogue::Open,
        allow_private: true,
    })
}

fn default_scheme(provider: &Provider) -> Scheme {
    provider.scheme.clone().unwrap_or_else(|| match provider.dialect.dialect().conventions().key {
        KeyIn::Bearer => Scheme::Bearer,
        KeyIn::Header(name) => Scheme::Header(name.to_owned()),
    })
}

/// The build has checked the table's headers; one that is none is left out.
fn headers<'h>(pairs: impl IntoIterator<Item = (&'h str, &'h str)>) -> HeaderMap {
    let header = |(name, value)| Some((HeaderName::try_from(name).ok()?, HeaderValue::from_str(value).ok()?));
    pairs.into_iter().filter_map(|pair: (&str, &str)| header(pair)).collect()
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
        }],
        fallbacks: Vec::new(),
        retries: RETRIES,
        timeouts: Timeouts::default(),
    }
}

fn add_model(reader: &mut Reader<'_>, policy: &mut Policy, providers: &mut Providers, entry: ModelEntry) {
    let retries = entry.retries.unwrap_or(RETRIES);
    let timeouts = entry.timeouts;
    let fallbacks: Vec<ModelName> = entry.fallbacks.into_iter().map(|(name, _)| name).collect();
    if let Some(prefix) = entry.name.as_str().strip_suffix('*') {
        let mut target = |entry| wildcard_target(reader, providers, entry);
        let targets = entry.targets.into_iter().filter_map(&mut target).collect();
        policy.wildcards.push(Wildcard { prefix: prefix.into(), targets, fallbacks, retries, timeouts });
    } else {
        let mut target = |entry| one_target(reader, providers, entry);
        let targets = entry.targets.into_iter().filter_map(&mut target).collect();
        let model = Model { name: entry.name.clone(), targets, fallbacks, retries, timeouts };
        policy.models.insert(entry.name, Arc::new(model));
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
    })
}

fn one_target(reader: &mut Reader<'_>, providers: &mut Providers, entry: TargetEntry) -> Option<Arc<Target>> {
    if entry.model.contains('*') {
        reader.note(&entry.spot, "a `*` here needs a name that ends in `*`, such as \"openai/*\"");
        return None;
    }
    let provider = provider(reader, providers, &entry)?;
    let row = known(&provider, &entry.model, entry.base_model.as_deref());
    let spot = &entry.spot;
    if row.is_none() {
        if let Some(base_model) = &entry.base_model {
            reader.note(spot, no_model(&provider, base_model));
            return None;
        }
        if provider.catalogue == Catalogue::Closed {
            reader.note(spot, no_model(&provider, &entry.model));
            return None;
        }
    }
    let known = target(&provider, &entry.model, row);
    Some(Arc::new(Target {
        price: entry.price.or(known.price),
        max_output: entry.max_output.or(known.max_output),
        context: entry.context.or(known.context),
        ..known
    }))
}

fn no_model(provider: &Provider, model: &str) -> String {
    let row = provider.follows.as_deref().unwrap_or_default();
    let near = near_names(model, Registry::embedded().models(row));
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
    if Registry::embedded().provider(id).is_none() {
        let mut names: Vec<&str> = Registry::embedded().providers().collect();
        names.extend(providers.keys().map(|id| &**id));
        let near = near_names(id, names).first().map(|near| format!(": did you mean `{near}`?"));
        reader.note(&entry.spot, format!("no provider `{id}`{}", near.unwrap_or_default()));
        return None;
    }
    let provider = declare(reader, ProviderEntry::named(id, &entry.spot)).map(Arc::new);
    providers.insert(id.into(), provider.clone());
    provider
}

impl ProviderEntry {
    /// One that says nothing but its name.
    fn named(id: &str, spot: &Spot) -> Self {
        Self {
            id: id.to_owned(),
            spot: spot.clone(),
            like: None,
            stands_alone: false,
            dialect: None,
            base: None,
            resource: None,
            key: None,
            auth: None,
            headers: Vec::new(),
            edits: Vec::new(),
            free: None,
        }
    }
}
