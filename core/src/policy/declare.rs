//! Providers: from the registry's rows, the document's entries and the host's variables.

use std::sync::Arc;

use gatelet_wire::dialect::KeyIn;
use gatelet_wire::{DialectId, Edit, SmallMap};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::document::{AuthEntry, ProviderEntry};
use super::provider::Passthrough;
use super::read::{Reader, Spot};
use super::{Host, Provider};
use crate::domain::Secret;
use crate::registry::{
    self, Auth, Catalogue, Credential, Endpoint, Kind, NATIVE, PLACES, Quirks, Registry, Scheme, near_names,
};

/// By name; none for one that is declared wrongly, which has been said and is not said again.
pub(super) type Providers = SmallMap<Box<str>, Option<Arc<Provider>>>;

/// What the host's variables alone configure.
pub(super) fn usual(host: &Host<'_>) -> Providers {
    let served = host.registry.known_providers().filter_map(|row| of_variables(&row, host));
    served.map(|provider| (provider.id.clone(), Some(Arc::new(provider)))).collect()
}

fn of_variables(row: &registry::Provider, host: &Host<'_>) -> Option<Provider> {
    if row.confirm {
        return None;
    }
    let credential = usual_secret(row, host);
    let served = match row.kind {
        Kind::Hosted | Kind::Gateway => credential.is_some(),
        Kind::Local => row.id == OLLAMA && host.ollama,
        Kind::BuiltIn => true,
    };
    if !served {
        return None;
    }
    let filling = Filling { row, given: &|_| None, host };
    let mut provider = follow(&row.id, row.clone())?;
    filling.fit(&mut provider);
    provider.base = filling.text(&row.base).into();
    if filling.missing(&provider).is_some() {
        return None;
    }
    if let Some((mut scheme, secret)) = credential {
        filling.scheme(&mut scheme);
        provider.credential = Some(Credential::new(&scheme, &secret).ok()?);
        provider.scheme = Some(scheme);
    }
    provider.region = usual_place("region", row, host).map(Into::into);
    Some(provider)
}

/// The one local server that is looked for.
const OLLAMA: &str = "ollama";

/// The first way to prove oneself whose variable is set, and that this build can go.
fn usual_secret(row: &registry::Provider, host: &Host<'_>) -> Option<(Scheme, Secret)> {
    let mut names =
        row.auth.iter().flat_map(|auth: &Auth| auth.env.iter().map(|name| (&auth.scheme, name, &auth.with)));
    names.find_map(|(scheme, name, with)| {
        let first = variable(name, host)?;
        Some((scheme.clone(), Secret::new(whole(scheme, first, with, host)?)))
    })
}

/// The secret of a scheme whose parts stand in variables of their own, in one text; none where one is missing.
fn whole(scheme: &Scheme, first: String, with: &[String], host: &Host<'_>) -> Option<String> {
    let parts = scheme.parts();
    if with.is_empty() {
        return Some(first);
    }
    if !parts.is_empty() {
        // A variable may also hold all of them, or a token that is none of them.
        if first.trim_start().starts_with('{') {
            return Some(first);
        }
        let rest = with.iter().map(|name| variable(name, host)).collect::<Option<Vec<_>>>()?;
        let texts = std::iter::once(first).chain(rest).map(serde_json::Value::from);
        let object: serde_json::Map<_, _> = parts.iter().map(|part| (*part).to_owned()).zip(texts).collect();
        return Some(serde_json::Value::from(object).to_string());
    }
    let mut rest = with.iter();
    let secret = variable(rest.next()?, host)?;
    // Only credentials that are lent have a token.
    Some(match rest.find_map(|name| variable(name, host)) {
        Some(token) => format!("{first}:{secret}:{token}"),
        None => format!("{first}:{secret}"),
    })
}

/// A variable of the host that says something.
fn variable(name: &str, host: &Host<'_>) -> Option<String> {
    let value = (host.variable)(name)?;
    let value = value.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

fn usual_place(place: &str, row: &registry::Provider, host: &Host<'_>) -> Option<String> {
    let (_, names) = row.fill.iter().find(|(known, _)| known == place)?;
    // It becomes part of an address: what is no part of one is nothing.
    names.iter().find_map(|name| variable(name, host)).filter(|value| is_place(value))
}

/// What may stand for a place in a base: part of a host's name or of a path.
pub(super) fn is_place(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':'))
}

/// Who says what stands for a place.
struct Filling<'a> {
    row: &'a registry::Provider,
    given: &'a dyn Fn(&str) -> Option<String>,
    host: &'a Host<'a>,
}

impl Filling<'_> {
    /// The configuration, then a variable, then what is usual.
    fn value(&self, place: &str) -> Option<String> {
        let usual =
            || self.row.usual.iter().find(|(known, _)| known == place).map(|(_, value)| value.clone());
        (self.given)(place).or_else(|| usual_place(place, self.row, self.host)).or_else(usual)
    }

    /// A text with its places filled, as far as anybody knows them.
    fn text(&self, text: &str) -> String {
        PLACES.iter().fold(text.to_owned(), |text, place| {
            let braced = format!("{{{place}}}");
            if !text.contains(&braced) {
                return text;
            }
            match self.value(place) {
                Some(value) => text.replace(&braced, &value),
                None => text,
            }
        })
    }

    /// Fills all of a provider but its base. Headers and edits whose places nobody knows are left out.
    fn fit(&self, provider: &mut Provider) {
        for path in provider.paths.iter_mut().chain([&mut provider.count_path]).flatten() {
            *path = self.text(path).into();
        }
        let named = self.row.headers.iter().map(|(name, value)| (name, self.text(value)));
        let whole: Vec<(&String, String)> = named.filter(|(_, value)| open(value).is_none()).collect();
        provider.headers = headers(whole.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let edits = std::mem::take(&mut provider.edits);
        provider.edits = edits.into_iter().filter_map(|edit| self.edit(edit)).collect();
        if let Some(scheme) = &mut provider.scheme {
            self.scheme(scheme);
        }
    }

    fn edit(&self, mut edit: Edit) -> Option<Edit> {
        if let Edit::Set(_, json) | Edit::Default(_, json) = &mut edit
            && let Some(text) = json.as_str()
        {
            let text = self.text(text);
            if open(&text).is_some() {
                return None;
            }
            *json = text.into();
        }
        Some(edit)
    }

    fn scheme(&self, scheme: &mut Scheme) {
        if let Scheme::Oauth(address) = scheme {
            *address = self.text(address);
        }
    }

    /// A place without which there is no address, or no account; in words.
    fn missing(&self, provider: &Provider) -> Option<String> {
        let paths = provider.paths.iter().chain([&provider.count_path]).flatten();
        let in_address = std::iter::once(&provider.base).chain(paths).find_map(|text| {
            open(text).map(|place| format!("expected `{place}`, the name in {text}, or `base`"))
        });
        let needs = &self.row.needs;
        let needed = (!needs.is_empty() && needs.iter().all(|place| self.value(place).is_none()))
            .then(|| format!("expected {}", either(needs)));
        in_address.or(needed)
    }
}

/// The first place in a text that is still open.
fn open(text: &str) -> Option<&'static str> {
    PLACES.iter().find(|place| text.contains(&format!("{{{place}}}"))).copied()
}

fn either(words: &[String]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or ")
}

pub(super) fn declared(reader: &mut Reader<'_>, entries: Vec<ProviderEntry>) -> Providers {
    let provider = |entry: ProviderEntry| (entry.id.as_str().into(), declare(reader, entry).map(Arc::new));
    entries.into_iter().map(provider).collect()
}

/// A provider as an entry describes it: by a row of the registry, by itself, or by both.
pub(super) fn declare(reader: &mut Reader<'_>, entry: ProviderEntry) -> Option<Provider> {
    let (row, spot) = match &entry.like {
        Some((like, spot)) => (like.as_str(), spot),
        None => (entry.id.as_str(), &entry.spot),
    };
    let registry = &reader.host().registry;
    let row = match registry.provider(row) {
        Some(row) => Some(row),
        None if entry.like.is_none() && entry.stands_alone => None,
        None => {
            reader.note(spot, no_row(row, registry));
            return None;
        }
    };
    let mut provider = match &row {
        Some(row) => by_row(reader, &entry, row)?,
        None => alone(&entry)?,
    };
    if let Some(base) = &entry.base {
        provider.base = base.as_str().into();
        provider.allow_private = true;
    }
    let region = entry.places.iter().find(|(place, _)| *place == "region");
    if let (None, Some((_, (region, _)))) = (&provider.region, region) {
        provider.region = Some(region.as_str().into());
    }
    provider.headers.extend(entry.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
    provider.edits.extend(entry.edits.iter().cloned());
    provider.edits_on.extend(entry.edits_on.iter().cloned());
    provider.free = entry.free.unwrap_or(provider.free);
    provider.quirks.bytes_only = entry.bytes_only.unwrap_or(provider.quirks.bytes_only);
    provider.passthrough = entry.passthrough.clone().unwrap_or_default();
    if let Some(path) = &entry.path {
        provider.paths = [Some(path.as_str().into()), Some(path.as_str().into())];
    }
    credential(reader, entry, row.as_ref(), &mut provider);
    Some(provider)
}

/// A provider of the registry, as the entry would have it.
fn by_row(reader: &mut Reader<'_>, entry: &ProviderEntry, row: &registry::Provider) -> Option<Provider> {
    let other = entry.dialect.filter(|dialect| row.dialect() != Some(*dialect));
    let (mut provider, base) = match other {
        // Its own dialect, which this build may not speak.
        None => {
            let provider = match (follow(&entry.id, row.clone()), &entry.passthrough) {
                (Some(provider), _) => provider,
                // Its own interface needs no dialect that we speak.
                (None, Some(_)) => {
                    let scheme = row.scheme().cloned();
                    let named = row.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                    let headers = headers(named);
                    Provider { scheme, headers, allow_private: false, ..alone_at(entry, &row.base)? }
                }
                (None, None) => {
                    reader.note(&entry.spot, no_dialect(&entry.id, row));
                    return None;
                }
            };
            (provider, row.base.clone())
        }
        Some(dialect) => {
            let also = row.also.iter().find(|also| also.dialect == dialect.name());
            match (&entry.base, also) {
                (Some(_), _) => (alone(entry)?, String::new()),
                (None, Some(also)) => {
                    let provider = Provider {
                        dialect,
                        scheme: shared_scheme(dialect, row),
                        edits: also.edits.clone(),
                        edits_on: Vec::new(),
                        ..alone_at(entry, &also.base)?
                    };
                    (Provider { allow_private: false, ..provider }, also.base.clone())
                }
                (None, None) => {
                    let message =
                        format!("`{}` does not speak `{}`: expected `base`", row.id, dialect.name());
                    reader.note(&entry.spot, message);
                    return None;
                }
            }
        }
    };
    let place = |place: &str| {
        entry.places.iter().find(|(known, _)| *known == place).map(|(_, (value, _))| value.clone())
    };
    let host = reader.host();
    let filling = Filling { row, given: &place, host };
    if other.is_none() {
        filling.fit(&mut provider);
    }
    provider.kind = row.kind;
    provider.free = row.free;
    // What serves no models has no rows of them.
    if row.dialect().is_some() || other.is_some() {
        provider.follows = Some(row.id.as_str().into());
        provider.catalogue = row.catalogue;
    }
    provider.region = place("region").or_else(|| usual_place("region", row, host)).map(Into::into);
    if let Some(base) = &entry.base {
        provider.base = base.as_str().into();
        if let Some(missing) = filling.missing(&provider).filter(|_| other.is_none()) {
            reader.note(&entry.spot, missing);
        }
        return Some(provider);
    }
    if row.confirm && entry.confirm != Some(true) {
        let message = format!(
            "nobody has confirmed that `{}` listens at {base}: expected `confirm: true` if it does, or `base`",
            row.id
        );
        reader.note(&entry.spot, message);
    }
    let base = regional(reader, entry, row, base);
    provider.base = filling.text(&base).into();
    if let Some(missing) = filling.missing(&provider) {
        reader.note(&entry.spot, missing);
    }
    Some(provider)
}

/// The base of the region that the entry names, if the row has such bases.
fn regional(
    reader: &mut Reader<'_>,
    entry: &ProviderEntry,
    row: &registry::Provider,
    base: String,
) -> String {
    for (place, (value, spot)) in &entry.places {
        if *place == "region"
            && let Some((_, regional)) = row.bases.iter().find(|(region, _)| region == value)
        {
            return regional.clone();
        }
        if row.has_place(place) || base.contains(&format!("{{{place}}}")) {
            continue;
        }
        let regions: Vec<&str> = row.bases.iter().map(|(region, _)| region.as_str()).collect();
        let message = if *place == "region" && !regions.is_empty() {
            format!(
                "`{}` has no base for the region `{value}`: expected one of {}",
                row.id,
                regions.join(", ")
            )
        } else {
            format!("`{place}` is no part of the base of `{}`: remove it", row.id)
        };
        reader.note(spot, message);
    }
    base
}

/// Puts the secret into the provider, if there is one to put.
fn credential(
    reader: &mut Reader<'_>,
    entry: ProviderEntry,
    row: Option<&registry::Provider>,
    provider: &mut Provider,
) {
    let host = reader.host();
    let usual = row.and_then(|row| usual_secret(row, host));
    let given = entry.key.is_some();
    let (secret, spot) = match entry.key {
        Some((secret, spot)) => (Some(secret), spot),
        // A base of the admin's own does not get the vendor's key unless he says so.
        None if entry.base.is_some() => (None, entry.spot),
        None => {
            // The variable decides which of several ways is gone.
            if let Some((scheme, _)) = &usual {
                provider.scheme = Some(scheme.clone());
            }
            (usual.map(|(_, secret)| secret), entry.spot)
        }
    };
    let scheme = match entry.auth {
        Some(AuthEntry::None) => None,
        Some(AuthEntry::By(scheme)) => Some(scheme),
        None => {
            let mut scheme = default_scheme(provider, row, secret.as_ref());
            if let Some(row) = row {
                let given = |place: &str| {
                    entry
                        .places
                        .iter()
                        .find(|(known, _)| *known == place)
                        .map(|(_, (value, _))| value.clone())
                };
                Filling { row, given: &given, host }.scheme(&mut scheme);
            }
            Some(scheme)
        }
    };
    provider.scheme.clone_from(&scheme);
    match (scheme, secret) {
        (Some(scheme), Some(secret)) => match Credential::new(&scheme, &secret) {
            Ok(credential) => provider.credential = Some(credential),
            Err(error) => reader.note(&spot, error.to_string()),
        },
        (None, Some(_)) if given => reader.note(&spot, "`key` has no use beside `auth: none`: remove one"),
        (Some(_), None) if entry.base.is_none() => {
            if let Some(row) = row.filter(|row| row.needs_secret()) {
                reader.note(&spot, no_key(row));
            }
        }
        (None | Some(_), None) | (None, Some(_)) => {}
    }
}

fn no_key(row: &registry::Provider) -> String {
    let names: Vec<&str> = row.auth.iter().flat_map(|auth| &auth.env).map(String::as_str).collect();
    match names.as_slice() {
        [] => "expected `key`".to_owned(),
        names => format!("expected `key`, or the variable {}", names.join(" or ")),
    }
}

fn no_row(name: &str, registry: &Registry) -> String {
    match near_names(name, registry.providers()).first() {
        Some(near) => format!("no provider `{name}` in the registry: did you mean `{near}`?"),
        None => format!("no provider `{name}` in the registry: one of your own needs `dialect` and `base`"),
    }
}

fn no_dialect(id: &str, row: &registry::Provider) -> String {
    let word = &row.dialect;
    if word == NATIVE {
        return format!("`{id}` holds no conversations in a language that this version speaks");
    }
    let spoken: Vec<&str> = row
        .also
        .iter()
        .map(|also| also.dialect.as_str())
        .filter(|word| registry::dialect(word).is_some())
        .collect();
    match spoken.first() {
        Some(other) => {
            format!(
                "`{id}` speaks `{word}`, which this version does not: expected `dialect: {other}`, which it speaks too"
            )
        }
        None => format!("`{id}` speaks `{word}`, which this version does not"),
    }
}

/// A provider that follows its row in everything but its name. None where this build does not speak its dialect.
fn follow(id: &str, row: registry::Provider) -> Option<Provider> {
    Some(Provider {
        id: id.into(),
        headers: headers(row.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()))),
        dialect: row.dialect()?,
        scheme: row.scheme().cloned(),
        follows: Some(row.id.into()),
        kind: row.kind,
        base: row.base.into(),
        paths: row.paths.map(|path| path.map(Into::into)),
        count_path: row.count_path.map(Into::into),
        region: None,
        credential: None,
        stored: None,
        edits: row.edits,
        edits_on: row.edits_on,
        when: row.when,
        quirks: row.quirks,
        free: row.free,
        catalogue: row.catalogue,
        passthrough: Passthrough::default(),
        // What machines of one's own serve is more than the table says.
        completes: row.kind == Kind::Local || row.endpoints.contains(&Endpoint::Completions),
        // The table's local servers are on this machine.
        allow_private: row.kind == Kind::Local,
    })
}

/// A provider of which nothing is known but its dialect and base.
fn alone(entry: &ProviderEntry) -> Option<Provider> {
    alone_at(entry, entry.base.as_deref()?)
}

fn alone_at(entry: &ProviderEntry, base: &str) -> Option<Provider> {
    // One without a dialect serves no models: only its own interface is open.
    let (dialect, catalogue) = match (entry.dialect, &entry.passthrough) {
        (Some(dialect), _) => (dialect, Catalogue::Open),
        (None, Some(_)) => (DialectId::Openai, Catalogue::Closed),
        (None, None) => return None,
    };
    Some(Provider {
        id: entry.id.as_str().into(),
        follows: None,
        kind: Kind::Hosted,
        dialect,
        base: base.into(),
        paths: [None, None],
        count_path: None,
        region: None,
        scheme: None,
        credential: None,
        stored: None,
        headers: headers(dialect.dialect().conventions().headers.iter().copied()),
        edits: Vec::new(),
        edits_on: Vec::new(),
        when: Vec::new(),
        quirks: Quirks::default(),
        free: false,
        catalogue,
        passthrough: Passthrough::default(),
        completes: true,
        allow_private: true,
    })
}

/// The scheme of the provider's row, or its dialect's. Where both a key alone and a pair that signs are taken, or JSON of
/// several parts, the secret's own form tells which it is.
fn default_scheme(provider: &Provider, row: Option<&registry::Provider>, secret: Option<&Secret>) -> Scheme {
    let usual = provider.dialect.dialect().conventions().key;
    let signing = match usual {
        KeyIn::BearerOrSigned(service) => Some(Scheme::Sigv4(service.to_owned())),
        KeyIn::Bearer | KeyIn::Header(_) => {
            let mut schemes = row.into_iter().flat_map(|row| &row.auth).map(|auth| &auth.scheme);
            schemes.find(|scheme| matches!(scheme, Scheme::Sigv4(_))).cloned()
        }
    };
    let json = secret.is_some_and(|secret| secret.expose().trim_start().starts_with('{'));
    let by_json = row
        .filter(|_| json)
        .and_then(|row| row.auth.iter().map(|auth| &auth.scheme).find(|scheme| scheme.reads_json()));
    if let Some(by_json) = by_json {
        return by_json.clone();
    }
    if let Some(signing) = signing.filter(|_| secret.is_some_and(|secret| secret.expose().contains(':'))) {
        return signing;
    }
    provider.scheme.clone().unwrap_or_else(|| match usual {
        KeyIn::Bearer | KeyIn::BearerOrSigned(_) => Scheme::Bearer,
        KeyIn::Header(name) => Scheme::Header(name.to_owned()),
    })
}

/// How a provider's other dialect is called, where that dialect's own vendor would take another header for it: the
/// header is the provider's.
fn shared_scheme(dialect: DialectId, row: &registry::Provider) -> Option<Scheme> {
    let own = dialect.dialect().conventions().key;
    let by_header = |scheme: &&Scheme| matches!(scheme, Scheme::Header(_));
    row.scheme()
        .filter(by_header)
        .filter(|_| row.dialect() == Some(DialectId::Openai) && own == KeyIn::Bearer)
        .cloned()
}

/// The build has checked the table's headers; one that is none is left out.
fn headers<'h>(pairs: impl IntoIterator<Item = (&'h str, &'h str)>) -> HeaderMap {
    let header = |(name, value)| Some((HeaderName::try_from(name).ok()?, HeaderValue::from_str(value).ok()?));
    pairs.into_iter().filter_map(|pair: (&str, &str)| header(pair)).collect()
}

impl ProviderEntry {
    /// One that says nothing but its name.
    pub(super) fn named(id: &str, spot: &Spot) -> Self {
        Self {
            id: id.to_owned(),
            spot: spot.clone(),
            like: None,
            stands_alone: false,
            dialect: None,
            path: None,
            base: None,
            confirm: None,
            places: Vec::new(),
            key: None,
            auth: None,
            headers: Vec::new(),
            edits: Vec::new(),
            edits_on: Vec::new(),
            free: None,
            bytes_only: None,
            passthrough: None,
        }
    }
}
