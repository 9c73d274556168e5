//! Commands that show what this program knows: providers, models, prices. They need no gateway and no network.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use gatelet_core::domain::Rate;
use gatelet_core::registry::{Auth, Capability, Meter, Model, PLACES, Per, Price, Provider, Scheme};
use serde_json::{Value, json};

use crate::client::table;
use crate::registry::standing;

/// `gatelet providers`: those whose id or name has every word in it; one alone is shown with all that is known of it.
pub fn providers(words: &[String], as_json: bool) -> Result<()> {
    let registry = standing();
    // An id, or another name of one, means that one.
    let named = match words {
        [word] => registry.provider(word),
        _ => None,
    };
    let found: Vec<Provider> = match named {
        Some(provider) => vec![provider],
        None => registry
            .known_providers()
            .filter(|provider| has_all(words, &[&provider.id, &provider.name, &provider.dialect]))
            .collect(),
    };
    if found.is_empty() {
        bail!("no provider has {:?} in its name", words.join(" "));
    }
    if as_json {
        return print(&serde_json::to_string_pretty(&found.iter().map(provider_json).collect::<Value>())?);
    }
    match found.as_slice() {
        [provider] => print(&one_provider(provider, registry.models(&provider.id).len())),
        providers => {
            let head = ["ID", "NAME", "KIND", "DIALECT", "KEY", "ENDPOINTS"].map(ToOwned::to_owned).to_vec();
            let rows = providers.iter().map(|provider| {
                vec![
                    provider.id.clone(),
                    provider.name.clone(),
                    provider.kind.word().to_owned(),
                    dialect(provider),
                    key(provider),
                    endpoints(provider).join(" "),
                ]
            });
            print(&table(&std::iter::once(head).chain(rows).collect::<Vec<_>>()))
        }
    }
}

/// `gatelet models`: those whose `provider/model` has every word in it.
pub fn models(words: &[String], as_json: bool) -> Result<()> {
    let registry = standing();
    let all = registry.known_providers().filter(|provider| provider.models.is_none()).flat_map(|provider| {
        let models = registry.known_models(&provider.id);
        models.into_iter().map(move |model| (format!("{}/{}", provider.id, model.id), model))
    });
    let found: Vec<(String, Model)> = all.filter(|(name, _)| has_all(words, &[name])).collect();
    if found.is_empty() {
        bail!("no model has {:?} in its name", words.join(" "));
    }
    if as_json {
        let models = found.iter().map(|(name, model)| model_json(name, model)).collect::<Value>();
        return print(&serde_json::to_string_pretty(&models)?);
    }
    let head = ["MODEL", "FOR", "CONTEXT", "OUTPUT", "IN", "OUT", "CACHED", "USD FOR ONE", "CAN"]
        .map(ToOwned::to_owned);
    let rows = found.iter().map(|(name, model)| {
        let rate = |meter| price_of(model, meter).unwrap_or_else(|| "-".to_owned());
        let size = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
        vec![
            name.clone(),
            model.mode.word().to_owned(),
            size(model.context),
            size(model.max_output),
            rate(Meter::Input),
            rate(Meter::Output),
            rate(Meter::CacheRead),
            singles(model),
            model.capabilities.iter().map(Capability::word).collect::<Vec<_>>().join(" "),
        ]
    });
    let rows: Vec<_> = std::iter::once(head.to_vec()).chain(rows).collect();
    print(&format!(
        "{}\nIn US dollars, tokens by the million; tiers and services are in --json.",
        table(&rows)
    ))
}

/// `gatelet catalogue FILE`: what this program knows of models, as a file for another host.
pub fn catalogue(file: &Path) -> Result<()> {
    let registry = standing();
    let bytes = registry.catalogue();
    std::fs::write(file, bytes).with_context(|| format!("cannot write {}", file.display()))?;
    print(&format!("{}: {} bytes", file.display(), bytes.len()))
}

fn has_all(words: &[String], texts: &[&str]) -> bool {
    let texts: Vec<String> = texts.iter().map(|text| text.to_lowercase()).collect();
    words.iter().all(|word| texts.iter().any(|text| text.contains(&word.to_lowercase())))
}

fn dialect(provider: &Provider) -> String {
    match provider.dialect() {
        Some(dialect) => dialect.name().to_owned(),
        None => format!("({})", provider.dialect),
    }
}

fn endpoints(provider: &Provider) -> Vec<&'static str> {
    provider.endpoints.iter().map(|endpoint| endpoint.word()).collect()
}

/// The variable that is set, or the usual one in brackets.
fn key(provider: &Provider) -> String {
    let mut names = provider.auth.iter().flat_map(|auth| &auth.env);
    match (names.clone().find(|name| is_set(name)), names.next()) {
        (Some(set), _) => set.clone(),
        (None, Some(usual)) => format!("({usual})"),
        (None, None) => "-".to_owned(),
    }
}

fn is_set(name: &str) -> bool {
    std::env::var(name).is_ok_and(|value| !value.trim().is_empty())
}

fn one_provider(provider: &Provider, models: usize) -> String {
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String| {
        if !value.is_empty() {
            rows.push(vec![name.to_owned(), value]);
        }
    };
    row("id", provider.id.clone());
    row("name", provider.name.clone());
    row("kind", provider.kind.word().to_owned());
    row("dialect", dialect(provider));
    row("base", provider.base.clone());
    row("confirm", if provider.confirm { "nobody has confirmed the base".to_owned() } else { String::new() });
    for (region, base) in &provider.bases {
        row(&format!("base of {region}"), base.clone());
    }
    for also in &provider.also {
        row(&format!("as {}", also.dialect), also.base.clone());
    }
    let [whole, stream] = &provider.paths;
    row("path", whole.clone().unwrap_or_default());
    row("path of streams", stream.clone().filter(|_| stream != whole).unwrap_or_default());
    for place in places(provider) {
        row(&format!("{{{place}}}"), filled_by(provider, place));
    }
    for Auth { scheme, env, with, optional } in &provider.auth {
        let with = if with.is_empty() { String::new() } else { format!(" with {}", with.join(" ")) };
        let form = secret_form(scheme).map_or_else(String::new, |form| format!("; `key` is {form}"));
        let optional = if *optional { ", optional" } else { "" };
        row(&format!("key, {}{optional}", scheme.word()), format!("{}{with}{form}", variables(env)));
    }
    row("endpoints", endpoints(provider).join(" "));
    row("regions", provider.regions.join(" "));
    row("models", format!("{models}, see `gatelet models {}/`", provider.id));
    table(&rows)
}

/// The places that the configuration may fill.
fn places(provider: &Provider) -> Vec<&'static str> {
    PLACES.iter().copied().filter(|place| provider.has_place(place)).collect()
}

/// What fills a place where the configuration does not, and whether something must.
fn filled_by(provider: &Provider, place: &str) -> String {
    let names = provider.fill.iter().find(|(known, _)| known == place).map(|(_, names)| variables(names));
    let usual = provider.usual.iter().find(|(known, _)| known == place);
    let usual = usual.map(|(_, value)| format!("else {value}"));
    let others: Vec<&str> =
        provider.needs.iter().map(String::as_str).filter(|other| *other != place).collect();
    let or = (provider.needs.iter().any(|known| known == place) && !others.is_empty())
        .then(|| format!("this or {{{}}}", others.join("} or {")));
    let said: Vec<String> = [names, usual, or].into_iter().flatten().collect();
    if said.is_empty() { format!("`{place}` in the configuration") } else { said.join(", ") }
}

/// What a secret looks like in the configuration, where that is not one text that is sent as it is.
fn secret_form(scheme: &Scheme) -> Option<&'static str> {
    match scheme {
        Scheme::Bearer | Scheme::Header(_) | Scheme::Prefixed(..) | Scheme::Query(_) | Scheme::IbmIam => None,
        Scheme::Basic => Some("`user:password`"),
        Scheme::Sigv4(_) => Some("`id:secret` or `id:secret:token`"),
        Scheme::Google => Some("a service account's key file, as JSON, or an access token"),
        Scheme::Entra => Some("JSON with tenant_id, client_id and client_secret, or an access token"),
        Scheme::Oci => Some("JSON with tenancy, user, fingerprint and key (PEM)"),
        Scheme::SnowflakeJwt => {
            Some("JSON with account, user and private_key (PEM), or a token that is signed already")
        }
        Scheme::Oauth(_) => Some("`id:secret`, or JSON with client_id and client_secret"),
        Scheme::Jwt => Some("`id:secret`"),
    }
}

fn variables(names: &[String]) -> String {
    let shown = |name: &String| if is_set(name) { format!("{name} (set)") } else { name.clone() };
    names.iter().map(shown).collect::<Vec<_>>().join(" or ")
}

/// US dollars for what a rate is for.
fn price_of(model: &Model, meter: Meter) -> Option<String> {
    let picos = model.price.as_ref()?.rate(meter)?.picos();
    Some(dollars(picos, meter))
}

fn dollars(picos: u64, meter: Meter) -> String {
    let places = meter.places() as usize;
    let digits = format!("{picos:0>width$}", width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

/// What is priced one by one.
fn singles(model: &Model) -> String {
    let rates = model.price.as_ref().map(Price::rates).unwrap_or_default();
    let single = rates.iter().filter(|(meter, rate)| meter.per() == Per::One && rate.picos() > 0);
    let shown: Vec<String> =
        single.map(|(meter, rate)| format!("{} {}", meter.word(), dollars(rate.picos(), *meter))).collect();
    if shown.is_empty() { "-".to_owned() } else { shown.join(", ") }
}

fn provider_json(provider: &Provider) -> Value {
    let auth = provider.auth.iter().map(|auth| {
        let set = auth.env.iter().any(|name| is_set(name));
        json!({ "scheme": auth.scheme.word(), "env": auth.env, "with": auth.with, "optional": auth.optional, "set": set,
            "key": secret_form(&auth.scheme) })
    });
    let places = places(provider).into_iter().map(|place| {
        let env = provider.fill.iter().find(|(known, _)| known == place).map(|(_, names)| names);
        let usual = provider.usual.iter().find(|(known, _)| known == place).map(|(_, value)| value);
        json!({ "name": place, "env": env, "usual": usual })
    });
    json!({
        "id": provider.id,
        "name": provider.name,
        "kind": provider.kind.word(),
        "dialect": provider.dialect,
        "spoken": provider.dialect().is_some(),
        "base": provider.base,
        "confirm": provider.confirm,
        "bases": provider.bases.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
        "paths": provider.paths,
        "places": places.collect::<Value>(),
        "needs_one_of": provider.needs,
        "auth": auth.collect::<Value>(),
        "endpoints": endpoints(provider),
        "regions": provider.regions,
    })
}

fn model_json(name: &str, model: &Model) -> Value {
    let price = model.price.as_ref().map(|price| {
        let sets = price.sets().map(|(service, over, rates)| {
            let rate = |(meter, rate): &(Meter, Rate)| {
                (meter.word().to_owned(), json!(dollars(rate.picos(), *meter)))
            };
            let rates: serde_json::Map<String, Value> = rates.iter().map(rate).collect();
            json!({ "service": service, "over": over, "usd": rates })
        });
        sets.collect::<Value>()
    });
    json!({
        "id": name,
        "mode": model.mode.word(),
        "context": model.context,
        "max_output": model.max_output,
        "dimensions": model.dimensions,
        "capabilities": model.capabilities.iter().map(Capability::word).collect::<Vec<_>>(),
        "until": model.ends.map(|day| day.to_string()),
        "price": price,
    })
}

fn print(text: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{}", text.trim_end())?;
    Ok(())
}
