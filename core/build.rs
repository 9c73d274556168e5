//! Reads `registry/*.toml`, refuses what is wrong in them by file and line, and embeds the rest as one compact table.

#![expect(
    clippy::disallowed_methods,
    reason = "the rule is for what runs on a host; this runs at build time"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, process};

#[expect(unreachable_pub, reason = "public where the crate uses it")]
#[path = "src/registry/table.rs"]
mod table;

use serde::Deserialize;
use table::{Capability, ModelRow, PriceRow, ProviderRow, RATES, RateRow, SINGLE, TierRow};
use toml::Spanned;

fn main() {
    println!("cargo::rerun-if-changed=registry");
    println!("cargo::rerun-if-changed=src/registry/table.rs");
    let mut problems = Vec::new();
    let table = read_all(Path::new("registry"), &mut problems);
    if !problems.is_empty() {
        for problem in problems {
            println!("cargo::error={problem}");
        }
        process::exit(1);
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("registry.rs");
    if let Err(error) = fs::write(&out, table) {
        println!("cargo::error=cannot write {}: {error}", out.display());
        process::exit(1);
    }
}

/// The Rust source of the table.
fn read_all(folder: &Path, problems: &mut Vec<String>) -> String {
    let mut paths: Vec<PathBuf> = match fs::read_dir(folder) {
        Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
        Err(error) => {
            problems.push(format!("{}: {error}", folder.display()));
            Vec::new()
        }
    };
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let mut entries = BTreeMap::new();
    for path in paths {
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                problems.push(format!("{}: {error}", path.display()));
                continue;
            }
        };
        let file = Source { path: &path, text: &text };
        if let Some((id, entry)) = file.read(problems) {
            entries.insert(id, entry);
        }
    }
    let mut out = String::from("const ENTRIES: &[Entry] = &[\n");
    for (id, (provider, models)) in entries {
        let _ = writeln!(out, "    Entry {{ id: {id:?}, provider: {provider:?}, models: {models:?} }},");
    }
    out.push_str("];\n");
    out
}

/// A file of the registry.
#[derive(Deserialize)]
struct File {
    #[serde(flatten)]
    provider: toml::Table,
    #[serde(default)]
    model: Vec<Spanned<toml::Table>>,
}

/// One `[[model]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Model {
    id: String,
    #[serde(default)]
    context: u64,
    #[serde(default)]
    max_output: u64,
    #[serde(default)]
    capabilities: Vec<Capability>,
    #[serde(default)]
    deprecated: String,
    price: Option<Rates>,
    #[serde(default)]
    tiers: Vec<Tier>,
    #[serde(default)]
    service: BTreeMap<String, Service>,
}

/// US dollars per million tokens, or per search or request, as text.
type Rates = BTreeMap<String, String>;

#[derive(Deserialize)]
struct Tier {
    over: u64,
    #[serde(flatten)]
    rates: Rates,
}

#[derive(Deserialize)]
struct Service {
    #[serde(default)]
    tiers: Vec<Tier>,
    #[serde(flatten)]
    rates: Rates,
}

struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    /// The provider's id, its row, and its models' rows.
    fn read(&self, problems: &mut Vec<String>) -> Option<(String, (String, String))> {
        let mut problem = |at: usize, what: &str| {
            let line = self.text.get(..at).unwrap_or("").matches('\n').count() + 1;
            problems.push(format!("{}:{line}: {what}", self.path.display()));
        };
        // Syntax, and the provider's own keys with their lines: models are read one by one below.
        let head_ends = self.text.find("\n[[model]]").unwrap_or(self.text.len());
        let head = self.text.get(..head_ends).unwrap_or("");
        let row: ProviderRow = match toml::from_str(head) {
            Ok(row) => row,
            Err(error) => {
                problem(error.span().map_or(0, |span| span.start), error.message());
                return None;
            }
        };
        let file: File = match toml::from_str(self.text) {
            Ok(file) => file,
            Err(error) => {
                problem(error.span().map_or(0, |span| span.start), error.message());
                return None;
            }
        };
        if let Some(key) = file.provider.keys().find(|key| !head.contains(key.as_str())) {
            problem(head_ends, &format!("`{key}` stands after the first [[model]]"));
        }
        for what in provider_problems(&row, self.path) {
            problem(0, &what);
        }
        let mut models = BTreeMap::new();
        for spanned in file.model {
            let at = spanned.span().start;
            let model: Model = match spanned.into_inner().try_into() {
                Ok(model) => model,
                Err(error) => {
                    problem(at, error.message());
                    continue;
                }
            };
            let id = model.id.clone();
            match model_line(model) {
                Ok(line) => {
                    if models.insert(id.clone(), line).is_some() {
                        problem(at, &format!("model `{id}` is there twice"));
                    }
                }
                Err(what) => problem(at, &format!("model `{id}`: {what}")),
            }
        }
        let models: Vec<String> = models.into_values().collect();
        let provider = match serde_json::to_string(&row) {
            Ok(provider) => provider,
            Err(error) => {
                problem(0, &error.to_string());
                return None;
            }
        };
        Some((row.id, (provider, models.join("\n"))))
    }
}

fn provider_problems(row: &ProviderRow, path: &Path) -> Vec<String> {
    let mut problems = Vec::new();
    if path.file_stem().is_none_or(|stem| stem != row.id.as_str()) {
        problems.push(format!("id `{}` is not the file's name", row.id));
    }
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if row.id.is_empty() || !row.id.chars().all(plain) {
        problems.push(format!("id `{}`: expected lower-case letters, digits, - and _", row.id));
    }
    let host = row.base.strip_prefix("https://").or_else(|| row.base.strip_prefix("http://"));
    let filled = row.base.replace("{resource}", "example");
    if host.is_none_or(str::is_empty) || filled.contains(['{', '}', ' ', '?', '#']) || filled.ends_with('/') {
        problems.push(format!("base `{}`: expected an http(s) URL without a slash at its end", row.base));
    }
    if row.auth.as_ref().is_some_and(|auth| auth.env.is_empty()) {
        problems.push("auth.env: expected the name of an environment variable".to_owned());
    }
    problems
}

fn model_line(model: Model) -> Result<String, String> {
    if model.id.is_empty() || model.id.chars().any(|c| c.is_control() || c == '"' || c == '\\') {
        return Err("expected an id without quotes, backslashes and control characters".to_owned());
    }
    let date = |text: &str| text.len() == 10 && text.bytes().filter(|byte| *byte == b'-').count() == 2;
    if !model.deprecated.is_empty() && !date(&model.deprecated) {
        return Err(format!("deprecated: expected a date such as 2026-12-31, found `{}`", model.deprecated));
    }
    let capabilities: BTreeSet<Capability> = model.capabilities.into_iter().collect();
    let letter = |capability: &Capability| {
        Capability::LETTERS.iter().find(|(_, known)| known == capability).map(|(letter, _)| *letter)
    };
    let price = match model.price {
        Some(base) => Some(price(&base, &model.tiers, &model.service)?),
        None if model.tiers.is_empty() && model.service.is_empty() => None,
        None => return Err("tiers or service without a price".to_owned()),
    };
    let row = ModelRow {
        id: model.id,
        context: model.context,
        max_output: model.max_output,
        capabilities: capabilities.iter().filter_map(letter).collect(),
        deprecated: model.deprecated,
        price,
    };
    let fields = (
        &row.id,
        row.context,
        row.max_output,
        &row.capabilities,
        &row.deprecated,
        row.price.map(|p| (p.base, p.tiers, p.services)),
    );
    serde_json::to_string(&fields).map_err(|error| error.to_string())
}

fn price(base: &Rates, tiers: &[Tier], services: &BTreeMap<String, Service>) -> Result<PriceRow, String> {
    if !base.contains_key("input") || !base.contains_key("output") {
        return Err("price: expected input and output".to_owned());
    }
    let service = |(name, service): (&String, &Service)| {
        Ok((name.clone(), rates(&service.rates)?, tier_rates(&service.tiers)?))
    };
    Ok(PriceRow {
        base: rates(base)?,
        tiers: tier_rates(tiers)?,
        services: services.iter().map(service).collect::<Result<_, String>>()?,
    })
}

fn tier_rates(tiers: &[Tier]) -> Result<Vec<TierRow>, String> {
    if !tiers.is_sorted_by(|one, next| one.over < next.over) {
        return Err("tiers: expected each to begin above the one before".to_owned());
    }
    tiers.iter().map(|tier| Ok((tier.over, rates(&tier.rates)?))).collect()
}

/// The rates in the table's order, without the gaps at the end.
fn rates(rates: &Rates) -> Result<RateRow, String> {
    if let Some(unknown) = rates.keys().find(|name| !RATES.contains(&name.as_str())) {
        return Err(format!("unknown rate `{unknown}`: expected one of {}", RATES.join(", ")));
    }
    let mut row = Vec::new();
    for name in RATES {
        // Tokens are priced by the million, searches, seconds and pictures one by one.
        let places = if SINGLE.contains(&name) { 12 } else { 6 };
        let rate = rates.get(name).map(|text| {
            picos(text, places).ok_or_else(|| {
                format!("{name}: `{text}` is not a decimal number that is exact in pico-dollars")
            })
        });
        row.push(rate.transpose()?);
    }
    while row.last() == Some(&None) {
        row.pop();
    }
    Ok(row)
}

/// `text` dollars for 10^(12 - places) units as pico-dollars for one; none where that is not a whole number.
fn picos(text: &str, places: usize) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let fraction_used = fraction.trim_end_matches('0');
    if !digits(whole) || !digits(fraction) || fraction_used.len() > places {
        return None;
    }
    format!("{whole}{fraction_used:0<places$}").parse().ok()
}
