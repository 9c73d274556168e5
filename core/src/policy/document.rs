//! The document: what an admin may write, read into plain values. Nothing is looked up here.

use std::time::Duration;

use gatelet_wire::{DialectId, Edit, Operation};
use http::{HeaderName, HeaderValue, Uri};

use super::alert::{self, Channel, Event, Mailer, Way};
use super::cache::{CacheBounds, Caching, bounds, caching};
use super::check::Check;
#[cfg(test)]
use super::content::CONTENT;
use super::content::{Contents, contents};
use super::declare::is_place;
use super::extras::{Extras, extras};
use super::fetch::{self, Fetch};
use super::guard;
#[cfg(test)]
use super::metrics::METRICS;
use super::metrics::{Metrics, metrics};
use super::model::{ModelName, Timeouts};
use super::price::price;
#[cfg(test)]
use super::price::{PRICE, TIER, meters};
use super::prompts::{Prompts, prompts};
use super::provider::Passthrough;
use super::read::{At, Fields, Reader, Spot};
use super::recourse::{self, Retries};
#[cfg(test)]
use super::residency::PIN;
use super::residency::{Pin, residency, responses};
#[cfg(test)]
use super::retention::RETENTION;
use super::retention::{Retention, retention};
use super::routing::{health, names, place, rules, strategy};
use super::sink::{Sink, sinks};
use crate::domain::account::{AtLimit, Budget, Limits};
use crate::domain::money::decimal;
use crate::domain::{Cidr, Rate, Secret};
use crate::registry::{self, Meter, PLACES, Price, Scheme};
use crate::route::{Condition, Place, Rules, Strategy};

/// The whole document. A section that is not there is `None`, which means something else than an empty one.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) providers: Option<Vec<ProviderEntry>>,
    pub(super) models: Option<Vec<ModelEntry>>,
    pub(super) key_limits: Limits,
    /// Keys that another gateway has made are let in.
    pub(super) imported_keys: bool,
    pub(super) fetch: FetchEntry,
    pub(super) proxies: Vec<Cidr>,
    pub(super) health: Rules,
    /// With the places of the names of targets.
    pub(super) checks: Vec<(Check, Vec<Spot>)>,
    pub(super) alerts: Vec<Channel>,
    pub(super) sinks: Vec<Sink>,
    pub(super) contents: Contents,
    pub(super) retention: Retention,
    pub(super) metrics: Metrics,
    pub(super) responses: Option<Box<str>>,
    pub(super) residency: Vec<(Pin, Spot)>,
    pub(super) cache: CacheBounds,
    pub(super) guards: guard::Reading,
    pub(super) prompts: Prompts,
}

/// Whether and how images and files are fetched.
#[derive(Debug)]
pub(super) enum FetchEntry {
    Off,
    By(Fetch),
}

impl Default for FetchEntry {
    fn default() -> Self {
        Self::By(Fetch::default())
    }
}

/// One of `providers`.
#[derive(Debug)]
pub(super) struct ProviderEntry {
    pub(super) id: String,
    pub(super) spot: Spot,
    /// The registry's row that it follows under another name.
    pub(super) like: Option<(String, Spot)>,
    /// It says `dialect` and `base`, which need not be sound: then they are none and the reader has noted why.
    pub(super) stands_alone: bool,
    pub(super) dialect: Option<DialectId>,
    pub(super) base: Option<String>,
    /// Where conversations are sent after the base, where that is not the dialect's own path.
    pub(super) path: Option<String>,
    /// The admin has seen that the registry's base is right.
    pub(super) confirm: Option<bool>,
    /// What places in the registry's base, such as `{resource}`, stand for.
    pub(super) places: Vec<(&'static str, (String, Spot))>,
    pub(super) key: Option<(Secret, Spot)>,
    pub(super) auth: Option<AuthEntry>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// Applied after those of the registry.
    pub(super) edits: Vec<Edit>,
    /// The same for operations that are no conversations.
    pub(super) edits_on: Vec<(Operation, Vec<Edit>)>,
    /// Its models cost nothing unless they have a price.
    pub(super) free: Option<bool>,
    /// It fetches nothing by address.
    pub(super) bytes_only: Option<bool>,
    /// What its own interface is to callers.
    pub(super) passthrough: Option<Passthrough>,
}

#[derive(Debug)]
pub(super) enum AuthEntry {
    None,
    By(Scheme),
}

/// One of `models`.
#[derive(Debug)]
pub(super) struct ModelEntry {
    pub(super) name: ModelName,
    pub(super) targets: Vec<TargetEntry>,
    pub(super) strategy: Strategy,
    pub(super) fallbacks: Vec<(ModelName, Spot)>,
    pub(super) context_window: Vec<(ModelName, Spot)>,
    pub(super) content_policy: Vec<(ModelName, Spot)>,
    pub(super) rules: Vec<(Condition, (ModelName, Spot))>,
    pub(super) retries: Retries,
    pub(super) extras: Extras,
    /// Models that copies go to.
    pub(super) copied: Vec<(ModelName, Spot)>,
    pub(super) timeouts: Timeouts,
    pub(super) repeats: Option<u32>,
    pub(super) estimate: Option<u64>,
    pub(super) cache: Option<Caching>,
    /// The model that its cache compares questions by.
    pub(super) embedder: Option<(ModelName, Spot)>,
    pub(super) guards: Vec<(String, Spot)>,
}

#[derive(Debug)]
pub(super) struct TargetEntry {
    pub(super) spot: Spot,
    pub(super) provider: String,
    pub(super) model: String,
    /// The registry's name for what a deployment is.
    pub(super) base_model: Option<String>,
    pub(super) price: Option<Price>,
    pub(super) max_output: Option<u64>,
    pub(super) context: Option<u64>,
    pub(super) place: Place,
    pub(super) region: Option<String>,
}

const SECTIONS: [&str; 17] = [
    "providers",
    "models",
    "guards",
    "limits",
    "health",
    "fetch",
    "trusted_proxies",
    "imported_keys",
    "alerts",
    "sinks",
    "content",
    "retention",
    "metrics",
    "responses",
    "residency",
    "cache",
    "prompts",
];
/// Sections that the design has and this version does not carry out.
const LATER_SECTIONS: [&str; 5] = ["server", "mcp", "agents", "organisations", "teams"];

/// Reads as much as can be read; what cannot is noted in `reader`.
pub(super) fn document(reader: &mut Reader<'_>, root: &At<'_>) -> Document {
    let Some(fields) = reader.fields(root, &SECTIONS, &LATER_SECTIONS) else { return Document::default() };
    let mut entries = |section: &str| Some(reader.entries(fields.get(section)?).unwrap_or_default());
    let (provider_entries, model_entries) = (entries("providers"), entries("models"));
    let (health, checks) = fields.get("health").map(|at| health(reader, at)).unwrap_or_default();
    Document {
        providers: provider_entries
            .map(|entries| entries.iter().filter_map(|(id, at)| provider(reader, id, at)).collect()),
        models: model_entries
            .map(|entries| entries.iter().filter_map(|(name, at)| model(reader, name, at)).collect()),
        key_limits: fields.get("limits").and_then(|at| limits(reader, at)).unwrap_or_default(),
        fetch: fields.get("fetch").and_then(|at| fetching(reader, at)).unwrap_or_default(),
        health,
        checks,
        proxies: fields.get("trusted_proxies").map(|at| proxies(reader, at)).unwrap_or_default(),
        imported_keys: fields.get("imported_keys").and_then(|at| boolean(reader, at)).unwrap_or_default(),
        cache: fields.get("cache").map(|at| bounds(reader, at)).unwrap_or_default(),
        alerts: fields.get("alerts").map(|at| alerts(reader, at)).unwrap_or_default(),
        sinks: fields.get("sinks").map(|at| sinks(reader, at)).unwrap_or_default(),
        contents: fields.get("content").map(|at| contents(reader, at)).unwrap_or_default(),
        metrics: fields.get("metrics").map(|at| metrics(reader, at)).unwrap_or_default(),
        responses: fields.get("responses").and_then(|at| responses(reader, at)),
        retention: fields.get("retention").map(|at| retention(reader, at)).unwrap_or_default(),
        residency: fields.get("residency").map(|at| residency(reader, at)).unwrap_or_default(),
        guards: fields.get("guards").map(|at| guard::guards(reader, at)).unwrap_or_default(),
        prompts: fields.get("prompts").map(|at| prompts(reader, at)).unwrap_or_default(),
    }
}

const PROVIDER: [&str; 22] = [
    "key",
    "like",
    "dialect",
    "base",
    "path",
    "confirm",
    "account",
    "compartment",
    "gateway",
    "host",
    "project",
    "region",
    "resource",
    "space",
    "version",
    "auth",
    "headers",
    "edits",
    "edits_on",
    "free",
    "bytes_only",
    "passthrough",
];

fn provider(reader: &mut Reader<'_>, id: &str, at: &At<'_>) -> Option<ProviderEntry> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if id.is_empty() || id.len() > 64 || !id.chars().all(plain) {
        reader.note(&at.spot, "expected a provider's name of lower-case letters, digits, - and _");
    }
    let fields = reader.fields(at, &PROVIDER, &["keys", "rpm", "tpm", "timeouts", "models"])?;
    let mut text = |key: &str, expected: &str| {
        let at = fields.get(key)?;
        Some((reader.text(at, expected)?, at.spot.clone()))
    };
    let key = text("key", "a secret").filter(|(key, _)| !key.is_empty());
    let like = text("like", "the name of a provider in the registry");
    Some(ProviderEntry {
        id: id.to_owned(),
        spot: at.spot.clone(),
        like,
        // What serves no models needs no dialect.
        stands_alone: fields.get("base").is_some()
            && (fields.get("dialect").is_some() || fields.get("passthrough").is_some()),
        dialect: fields.get("dialect").and_then(|at| {
            let words: Vec<&str> = DialectId::ALL.iter().map(|dialect| dialect.name()).collect();
            reader.parsed(at, &format!("one of {}", words.join(", ")), registry::dialect)
        }),
        base: fields.get("base").and_then(|at| reader.parsed(at, BASE, base)),
        path: fields.get("path").and_then(|at| reader.parsed(at, PATH, path)),
        confirm: fields.get("confirm").and_then(|at| boolean(reader, at)),
        places: places(reader, &fields),
        key: key.map(|(key, spot)| (Secret::new(key), spot)),
        auth: fields.get("auth").and_then(|at| auth(reader, at)),
        headers: fields.get("headers").map(|at| headers(reader, at)).unwrap_or_default(),
        edits: fields.get("edits").map(|at| edits(reader, at)).unwrap_or_default(),
        edits_on: fields.get("edits_on").map(|at| edits_on(reader, at)).unwrap_or_default(),
        free: fields.get("free").and_then(|at| boolean(reader, at)),
        bytes_only: fields.get("bytes_only").and_then(|at| boolean(reader, at)),
        passthrough: fields.get("passthrough").and_then(|at| passthrough(reader, at)),
    })
}

/// What places in the registry's bases stand for.
fn places(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Vec<(&'static str, (String, Spot))> {
    let mut places = Vec::new();
    for place in PLACES {
        let Some(at) = fields.get(place) else { continue };
        let expected = "a name of letters, digits, -, _ and .";
        let value = reader.parsed(at, expected, |text| is_place(text).then(|| text.to_owned()));
        places.extend(value.map(|value| (*place, (value, at.spot.clone()))));
    }
    places
}

const BASE: &str =
    "an http or https URL without user, query and fragment, such as https://api.example.com/v1";

fn base(text: &str) -> Option<String> {
    let uri: Uri = text.parse().ok()?;
    let scheme = matches!(uri.scheme_str(), Some("http" | "https"));
    let authority = uri.authority().is_some_and(|authority| {
        !authority.host().is_empty() && !authority.as_str().contains(['@', '{', '}'])
    });
    let plain = scheme && authority && uri.query().is_none() && !text.contains('#');
    plain.then(|| text.trim_end_matches('/').to_owned())
}

const PATH: &str =
    "a path after the base, such as /deployments/{model}/chat/completions?api-version=2024-10-21";

fn path(text: &str) -> Option<String> {
    let filled = text.replace("{model}", "m");
    let sound = filled.starts_with('/') && !filled.contains(['{', '}', '#', ' ']);
    (sound && filled.parse::<Uri>().is_ok()).then(|| text.to_owned())
}

fn auth(reader: &mut Reader<'_>, at: &At<'_>) -> Option<AuthEntry> {
    if at.is_scalar() {
        return reader.parsed(
            at,
            "bearer, basic, none, { header: name } or { query: name }",
            |word| match word {
                "bearer" => Some(AuthEntry::By(Scheme::Bearer)),
                "basic" => Some(AuthEntry::By(Scheme::Basic)),
                "none" => Some(AuthEntry::None),
                _ => None,
            },
        );
    }
    let fields = reader.fields(at, &["header", "prefix", "query"], &[])?;
    if let Some(name) = fields.get("query") {
        let plain = |name: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            (!name.is_empty() && name.bytes().all(plain)).then(|| name.to_owned())
        };
        let name = reader.parsed(name, "the name of a field of a query", plain)?;
        return Some(AuthEntry::By(Scheme::Query(name)));
    }
    let name = fields.get("header")?;
    let header = reader.parsed(name, "the name of a header", |name| HeaderName::try_from(name).ok())?;
    let prefix = fields.get("prefix").and_then(|at| reader.text(at, "what stands before the secret"));
    Some(AuthEntry::By(match prefix {
        Some(prefix) => Scheme::Prefixed(header.to_string(), prefix),
        None => Scheme::Header(header.to_string()),
    }))
}

fn passthrough(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Passthrough> {
    if at.is_scalar() {
        return reader.parsed(at, "off, unpriced, free, or { request: price }", |word| match word {
            "off" => Some(Passthrough::Off),
            "unpriced" => Some(Passthrough::Unpriced),
            "free" => Some(Passthrough::Priced(Box::new(Price::free()))),
            _ => None,
        });
    }
    let fields = reader.fields(at, &["request"], &[])?;
    let expected = "US dollars for one request, such as \"0.01\"";
    let request = reader.parsed(fields.get("request")?, expected, |text| decimal(text, 12))?;
    let rates = [(Meter::Request, Rate::from_picos(request))].into_iter().collect();
    Some(Passthrough::Priced(Box::new(Price::flat(&rates))))
}

/// Edits by the words for the operations that they are for.
fn edits_on(reader: &mut Reader<'_>, at: &At<'_>) -> Vec<(Operation, Vec<Edit>)> {
    let known: Vec<&str> = Operation::edited().map(Operation::name).collect();
    let Some(fields) = reader.fields(at, &known, &[]) else { return Vec::new() };
    Operation::edited()
        .filter_map(|operation| Some((operation, edits(reader, fields.get(operation.name())?))))
        .collect()
}

fn edits(reader: &mut Reader<'_>, at: &At<'_>) -> Vec<Edit> {
    let mut edits = Vec::new();
    for at in at.list() {
        let Some(json) = reader.json(&at) else { continue };
        match gatelet_wire::json::from_str(&json.to_string()) {
            Ok(edit) => edits.push(edit),
            Err(_) => reader.unexpected(
                &at,
                "one of { drop: path }, { rename: [from, to] }, { move: [from, to] }, { default: [path, value] }, \
                 { set: [path, value] }, { clamp: [path, least, most] }, { replace: [path, from, to] }, \
                 { rename-text: [from, to] }, { messages: edit }",
            ),
        }
    }
    edits
}

pub(super) fn headers(reader: &mut Reader<'_>, at: &At<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::new();
    for (name, value) in reader.entries(at).unwrap_or_default() {
        let parsed =
            reader.parsed(&value, "the value of a header", |value| HeaderValue::from_str(value).ok());
        match HeaderName::try_from(name) {
            Ok(name) => headers.extend(parsed.map(|mut value| {
                // It may hold a secret.
                value.set_sensitive(true);
                (name, value)
            })),
            Err(_) => reader.note(&value.spot, "expected the name of a header"),
        }
    }
    headers
}

const MODEL: [&str; 16] = [
    "targets",
    "strategy",
    "fallbacks",
    "fallbacks_on",
    "rules",
    "retries",
    "timeouts",
    "repeats",
    "estimate",
    "cache",
    "guards",
    "copies",
    "affinity",
    "hedge",
    "resume",
    "cache_marks",
];

fn model(reader: &mut Reader<'_>, name: &str, at: &At<'_>) -> Option<ModelEntry> {
    let name = match ModelName::try_from(name) {
        Ok(name) => name,
        Err(expected) => {
            reader.note(&at.spot, format!("expected {expected}"));
            return None;
        }
    };
    if name.as_str().trim_end_matches('*').contains('*') || name.as_str().ends_with("**") {
        reader.note(&at.spot, "expected a name with one `*` at its end, or none");
        return None;
    }
    let plain = |targets| ModelEntry {
        name: name.clone(),
        targets,
        strategy: Strategy::default(),
        fallbacks: Vec::new(),
        context_window: Vec::new(),
        content_policy: Vec::new(),
        rules: Vec::new(),
        retries: Retries::default(),
        extras: Extras::default(),
        copied: Vec::new(),
        timeouts: Timeouts::default(),
        repeats: None,
        estimate: None,
        cache: None,
        embedder: None,
        guards: Vec::new(),
    };
    if at.is_scalar() {
        return Some(plain(vec![target(reader, at)?]));
    }
    let fields = reader.fields(at, &MODEL, &["rpm", "tpm", "sinks"])?;
    let targets = match fields.get("targets") {
        Some(at) => at.list(),
        None => Vec::new(),
    };
    if targets.is_empty() {
        reader.note(&fields.spot, "expected `targets` with at least one `{ model: provider/model }`");
    }
    let particular = fields.get("fallbacks_on");
    let particular = particular.and_then(|at| reader.fields(at, &["context_window", "content_policy"], &[]));
    let on = |fault: &str| particular.as_ref().and_then(|lists| lists.get(fault));
    let (extras, copied) = extras(reader, &fields);
    let (cache, embedder) = fields.get("cache").and_then(|at| caching(reader, at)).unzip();
    let timeouts_given = fields.get("timeouts").map(|at| timeouts(reader, at));
    Some(ModelEntry {
        targets: targets.iter().filter_map(|at| target(reader, at)).collect(),
        strategy: fields.get("strategy").and_then(|at| strategy(reader, at)).unwrap_or_default(),
        fallbacks: fields.get("fallbacks").map(|at| names(reader, at)).unwrap_or_default(),
        context_window: on("context_window").map(|at| names(reader, at)).unwrap_or_default(),
        rules: fields.get("rules").map(|at| rules(reader, at)).unwrap_or_default(),
        content_policy: on("content_policy").map(|at| names(reader, at)).unwrap_or_default(),
        retries: recourse::retries(reader, &fields),
        extras,
        copied,
        timeouts: timeouts_given.unwrap_or_default(),
        estimate: fields.get("estimate").and_then(|at| {
            let count = |text: &str| text.parse().ok().filter(|count| *count > 0);
            reader.parsed(at, "a whole number of tokens", count)
        }),
        guards: fields.get("guards").map(|at| guard::names(reader, at)).unwrap_or_default(),
        repeats: fields.get("repeats").and_then(|at| {
            let count = |text: &str| text.parse().ok().filter(|count| *count >= 10);
            reader.parsed(at, "a whole number of at least 10", count)
        }),
        cache,
        embedder: embedder.flatten(),
        ..plain(Vec::new())
    })
}

const TARGET: [&str; 10] =
    ["model", "base_model", "price", "max_output", "context", "weight", "level", "rpm", "tpm", "region"];

fn target(reader: &mut Reader<'_>, at: &At<'_>) -> Option<TargetEntry> {
    const FORM: &str = "provider/model, such as openai/gpt-4o";
    let split = |text: &str| {
        let (provider, model) = text.split_once('/')?;
        let good = !provider.is_empty() && ModelName::try_from(model).is_ok();
        good.then(|| (provider.to_owned(), model.to_owned()))
    };
    if at.is_scalar() {
        let (provider, model) = reader.parsed(at, FORM, split)?;
        let spot = at.spot.clone();
        return Some(TargetEntry {
            spot,
            provider,
            model,
            base_model: None,
            price: None,
            max_output: None,
            context: None,
            place: Place::default(),
            region: None,
        });
    }
    let fields = reader.fields(at, &TARGET, &["guards"])?;
    let count = |text: &str| text.parse::<u64>().ok().filter(|count| *count > 0);
    let mut tokens =
        |key| fields.get(key).and_then(|at| reader.parsed(at, "a whole number of tokens", count));
    let (max_output, context) = (tokens("max_output"), tokens("context"));
    let place = place(reader, &fields);
    let price = fields.get("price").and_then(|at| price(reader, at));
    let region = fields.get("region").and_then(|at| reader.text(at, "the name of a region"));
    let base_model = fields.get("base_model").and_then(|at| reader.text(at, "a model in the registry"));
    let Some(model) = fields.get("model") else {
        reader.note(&fields.spot, format!("expected `model`: {FORM}"));
        return None;
    };
    let spot = model.spot.clone();
    let (provider, model) = reader.parsed(model, FORM, split)?;
    Some(TargetEntry { spot, provider, model, base_model, price, max_output, context, place, region })
}

const TIMEOUTS: [&str; 4] = ["first", "attempt", "idle", "total"];

fn timeouts(reader: &mut Reader<'_>, at: &At<'_>) -> Timeouts {
    let usual = Timeouts::default();
    let Some(fields) = reader.fields(at, &TIMEOUTS, &["connect"]) else { return usual };
    let mut time = |key| {
        fields.get(key).and_then(|at| reader.parsed(at, "a duration such as 500ms, 30s or 10m", duration))
    };
    Timeouts {
        first: time("first").unwrap_or(usual.first),
        attempt: time("attempt"),
        idle: time("idle").unwrap_or(usual.idle),
        total: time("total").unwrap_or(usual.total),
    }
}

/// More than nothing, at most a day.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let letters = text.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = text.split_at_checked(letters)?;
    let count: u64 = count.parse().ok()?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let duration = Duration::from_millis(count.checked_mul(millis)?);
    (duration > Duration::ZERO && duration <= Duration::from_hours(24)).then_some(duration)
}

const ALERT: [&str; 8] = ["name", "kind", "url", "secret", "key", "from", "to", "on"];

/// One of `alerts`.
fn alert(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Channel> {
    const KINDS: &str = "webhook, slack, resend or sendgrid";
    let fields = reader.fields(at, &ALERT, &[])?;
    let mut text = |name: &str, expected: &str| fields.get(name).and_then(|at| reader.text(at, expected));
    let (name, kind) = (text("name", "a name"), text("kind", KINDS));
    let (url, secret) = (text("url", "an address"), text("secret", "a secret"));
    let (key, from) = (text("key", "a key"), text("from", "an address"));
    let words = |reader: &mut Reader<'_>, name: &str| -> Vec<String> {
        let list = fields.get(name).map(At::list).unwrap_or_default();
        list.iter().filter_map(|at| reader.text(at, "a word")).collect()
    };
    let to = words(reader, "to");
    let known = Event::ALL.map(Event::name).join(", ");
    let on = match fields.get("on") {
        None => Event::ALL.to_vec(),
        Some(at) => {
            let named = |text: &str| Event::ALL.into_iter().find(|event| event.name() == text);
            at.list().iter().filter_map(|at| reader.parsed(at, &format!("one of {known}"), named)).collect()
        }
    };
    let spot = &fields.spot;
    let mailer = match kind.as_deref() {
        Some("resend") => Some(Mailer::Resend),
        Some("sendgrid") => Some(Mailer::Sendgrid),
        Some("webhook" | "slack") => None,
        Some(_) | None => {
            reader.note(spot, format!("expected a `kind`: {KINDS}"));
            return None;
        }
    };
    let wrong: &[&str] = match (mailer, kind.as_deref()) {
        (Some(_), _) => &["secret"],
        (None, Some("slack")) => &["secret", "key", "from", "to"],
        (None, _) => &["key", "from", "to"],
    };
    for name in wrong.iter().filter(|name| fields.get(name).is_some()) {
        reader.note(spot, format!("`{name}` means nothing for this `kind`"));
    }
    let url = url.unwrap_or_else(|| mailer.map(|mailer| mailer.url().to_owned()).unwrap_or_default());
    let Some((url, reach)) = alert::address(&url) else {
        reader.note(spot, "expected a `url` with https, or one of a private host");
        return None;
    };
    let way = match (mailer, key, from) {
        (Some(by), Some(key), Some(from)) if !to.is_empty() => {
            Way::Mail { by, key: Secret::new(key), from: from.into(), to }
        }
        (Some(_), ..) => {
            reader.note(spot, "expected `key`, `from` and `to`");
            return None;
        }
        (None, ..) if kind.as_deref() == Some("slack") => Way::Slack,
        (None, ..) => Way::Webhook { secret: secret.map(Secret::new) },
    };
    let name = name.or(kind).unwrap_or_default().into();
    Some(Channel { name, way, url, reach, on })
}

/// `alerts`: a list, each with a name of its own.
fn alerts(reader: &mut Reader<'_>, at: &At<'_>) -> Vec<Channel> {
    const MOST: usize = 16;
    let list = at.list();
    if list.len() > MOST {
        reader.note(&at.spot, format!("expected at most {MOST} alerts"));
    }
    let mut channels: Vec<Channel> = Vec::new();
    for at in &list {
        let Some(channel) = alert(reader, at) else { continue };
        if channels.iter().any(|known| known.name == channel.name) {
            reader.note(
                &at.spot,
                format!("another alert is called `{}`: give this one a `name`", channel.name),
            );
        }
        channels.push(channel);
    }
    channels
}

const FETCH: [&str; 8] = ["file", "total", "files", "time", "redirects", "http", "hosts", "private"];

fn fetching(reader: &mut Reader<'_>, at: &At<'_>) -> Option<FetchEntry> {
    const MOST_FILES: usize = 64;
    const MOST_REDIRECTS: u32 = 10;
    if at.is_scalar() {
        return reader
            .parsed(at, "off, or keys and values", |word| (word == "off").then_some(FetchEntry::Off));
    }
    let fields = reader.fields(at, &FETCH, &[])?;
    let usual = Fetch::default();
    let mut bytes = |key| {
        fields
            .get(key)
            .and_then(|at| reader.parsed(at, "a size such as 20 MB or 512 KB, at most 100 MB", fetch::size))
    };
    let (file, total) = (bytes("file"), bytes("total"));
    let files = fields.get("files").and_then(|at| {
        let count = |text: &str| text.parse().ok().filter(|count| (1..=MOST_FILES).contains(count));
        reader.parsed(at, "a whole number from 1 to 64", count)
    });
    let time = fields.get("time").and_then(|at| {
        let short = |text: &str| duration(text).filter(|time| *time <= Duration::from_mins(2));
        reader.parsed(at, "a duration of at most 2m, such as 10s", short)
    });
    let redirects = fields.get("redirects").and_then(|at| {
        let count = |text: &str| text.parse().ok().filter(|count| *count <= MOST_REDIRECTS);
        reader.parsed(at, "a whole number from 0 to 10", count)
    });
    let http = fields.get("http").and_then(|at| boolean(reader, at));
    let hosts = fields.get("hosts").map(|at| {
        let expected = "the name of a public host such as example.com, or all below one, *.example.com";
        at.list().iter().filter_map(|at| reader.parsed(at, expected, fetch::Name::read)).collect()
    });
    let private = fields.get("private").map(|at| {
        let expected = "a host and its port, such as 10.0.0.5:80";
        at.list().iter().filter_map(|at| reader.parsed(at, expected, fetch::place)).collect()
    });
    let file = file.unwrap_or(usual.file);
    Some(FetchEntry::By(Fetch {
        file,
        // Who allows a longer file means that a request may have one.
        total: total.unwrap_or(usual.total.max(file)),
        files: files.unwrap_or(usual.files),
        time: time.unwrap_or(usual.time),
        redirects: redirects.unwrap_or(usual.redirects),
        http: http.unwrap_or(false),
        hosts,
        private: private.unwrap_or_default(),
    }))
}

const LIMITS: [&str; 13] = [
    "rpm",
    "tpm",
    "rpd",
    "tpd",
    "input_tpm",
    "output_tpm",
    "input_tpd",
    "output_tpd",
    "parallel",
    "budget",
    "soft_budget",
    "at_limit",
    "shadow",
];

fn limits(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Limits> {
    let later = ["organisation", "team", "user", "model", "tag", "agent", "tool"];
    let sections = reader.fields(at, &["key"], &later)?;
    let key = sections.get("key")?;
    let fields = reader.fields(key, &LIMITS, &[])?;
    let mut count =
        |name| fields.get(name).and_then(|at| reader.parsed(at, "a whole number", |text| text.parse().ok()));
    let mut limits = Limits::NONE;
    for (name, limit) in [
        ("rpm", &mut limits.rpm),
        ("tpm", &mut limits.tpm),
        ("rpd", &mut limits.rpd),
        ("tpd", &mut limits.tpd),
        ("input_tpm", &mut limits.input_tpm),
        ("output_tpm", &mut limits.output_tpm),
        ("input_tpd", &mut limits.input_tpd),
        ("output_tpd", &mut limits.output_tpd),
        ("parallel", &mut limits.parallel),
    ] {
        *limit = count(name);
    }
    let (budget, soft_budget) = (budgets(reader, &fields, "budget"), budgets(reader, &fields, "soft_budget"));
    let at_limit = fields.get("at_limit").and_then(|at| at_limit(reader, at)).unwrap_or_default();
    let shadow = fields.get("shadow").and_then(|at| boolean(reader, at)).unwrap_or(false);
    Some(Limits { budget, soft_budget, at_limit, shadow, ..limits })
}

/// In the words of the admin API.
fn at_limit(reader: &mut Reader<'_>, at: &At<'_>) -> Option<AtLimit> {
    let limits = serde_json::json!({ "at_limit": reader.json(at)? }).to_string();
    let limits = gatelet_wire::json::from_str::<Limits>(&limits).ok();
    if limits.is_none() {
        let form = "`refuse`, `{ wait: 10 }` or `{ throttle: 10 }` (1 to 30 seconds), or `{ cheaper: [model] }` (at most 8)";
        reader.unexpected(at, form);
    }
    limits.map(|limits| limits.at_limit)
}

fn budgets(reader: &mut Reader<'_>, fields: &Fields<'_>, name: &str) -> Vec<Budget> {
    let Some(at) = fields.get(name) else { return Vec::new() };
    let list = at.list();
    if list.len() > Limits::MOST_BUDGETS {
        reader.note(&at.spot, format!("expected at most {} budgets", Limits::MOST_BUDGETS));
    }
    let form = "a budget such as `5 USD / day`, `1 USD / week in Europe/Berlin`, `0.50 USD / rolling 6h` or `20 USD / total`";
    list.iter().filter_map(|at| reader.parsed(at, form, |text| text.parse().ok())).collect()
}

fn proxies(reader: &mut Reader<'_>, at: &At<'_>) -> Vec<Cidr> {
    let form = "an address or a range such as 10.0.0.0/8 or 2001:db8::/32";
    at.list().iter().filter_map(|at| reader.parsed(at, form, Cidr::parse)).collect()
}

fn boolean(reader: &mut Reader<'_>, at: &At<'_>) -> Option<bool> {
    reader.parsed(at, "true or false", |text| text.parse().ok())
}

/// Every key that has a meaning, for the test that the reference explains it.
#[cfg(test)]
pub(super) fn known_keys() -> Vec<&'static str> {
    let fixed = [
        &SECTIONS[..],
        &PROVIDER,
        &MODEL,
        &TARGET,
        &PRICE,
        &TIER,
        &TIMEOUTS,
        &LIMITS,
        &FETCH,
        &ALERT,
        &PIN,
        &CONTENT,
        &RETENTION,
        &METRICS,
        &["header", "prefix", "key"],
    ];
    [fixed.concat(), meters()].concat()
}
