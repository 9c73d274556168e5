//! What both sources have in common: names of providers, exact numbers, and how two descriptions become one.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use gatelet_catalogue::{Capabilities, Capability, Entry, Meter, Mode, Price, Rates, Schedule};
use serde_json::Value;

/// Which of the registry's providers a source means.
#[derive(Debug)]
pub(super) struct Names {
    aliases: BTreeMap<String, String>,
}

impl Names {
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let mut aliases = BTreeMap::new();
        let mut ids = Vec::new();
        // Providers that have another's models.
        let mut shared = Vec::new();
        for file in fs::read_dir(folder)? {
            let path = file?.path();
            if path.extension().is_none_or(|extension| extension != "toml") {
                continue;
            }
            let row: toml::Table =
                toml::from_str(&fs::read_to_string(&path)?).with_context(|| path.display().to_string())?;
            let id = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if let Some(owner) = row.get("models").and_then(toml::Value::as_str) {
                shared.push((id.clone(), owner.to_owned()));
            }
            let others = row.get("aliases").and_then(toml::Value::as_array).into_iter().flatten();
            aliases
                .extend(others.filter_map(toml::Value::as_str).map(|alias| (alias.to_owned(), id.clone())));
            ids.push(id);
        }
        aliases.extend(ids.into_iter().map(|id| (id.clone(), id)));
        // A source's own word, too general to be another name in the registry.
        aliases.insert("llama".to_owned(), "meta-llama".to_owned());
        aliases.extend(shared);
        Ok(Self { aliases })
    }

    /// A provider that the registry does not know keeps its name.
    pub(super) fn of(&self, name: &str) -> String {
        let name = name.replace(['_', '.'], "-");
        let id = self.aliases.get(&name).cloned().unwrap_or(name);
        // Who has another's models is written there.
        self.aliases.get(&id).cloned().unwrap_or(id)
    }
}

/// US dollars for `per` units as pico-dollars for one, rounded up. Twelve digits are what a source wrote; what follows
/// them is what its own arithmetic left.
pub(super) fn picos(dollars: f64, per: u32) -> Option<u64> {
    let text = format!("{}", format!("{dollars:.11e}").parse::<f64>().ok()?);
    let places = 12 - per.ilog10() as usize;
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let (kept, rest) = fraction.split_at(fraction.len().min(places));
    let exact: u64 = format!("{whole}{kept:0<places$}").parse().ok()?;
    Some(exact + u64::from(rest.bytes().any(|digit| digit != b'0')))
}

pub(super) fn whole(value: Option<&Value>) -> u64 {
    match value {
        Some(Value::Number(number)) => number
            .as_u64()
            .or_else(|| number.as_f64().and_then(|number| format!("{number:.0}").parse().ok()))
            .unwrap_or(0),
        _ => 0,
    }
}

/// Rates that come one by one, in any order.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// By service (empty: the standard one) and mark (0: none).
    sets: BTreeMap<(String, u64), BTreeMap<Meter, u64>>,
}

impl Found {
    pub(super) fn add(&mut self, service: &str, mark: u64, meter: Meter, picos: u64) {
        self.sets.entry((service.to_owned(), mark)).or_default().entry(meter).or_insert(picos);
    }

    pub(super) fn standard(&mut self) -> &mut BTreeMap<Meter, u64> {
        self.sets.entry((String::new(), 0)).or_default()
    }

    /// The price; none where the standard service has none.
    pub(super) fn price(mut self) -> Vec<Price> {
        for rates in self.sets.values_mut() {
            let input = rates.get(&Meter::Input).copied().unwrap_or(0);
            // A cache write that a source gives as nothing is one that it does not know.
            let writes = [Meter::CacheWrite5m, Meter::CacheWrite1h, Meter::CacheWrite12h];
            rates.retain(|meter, rate| !(input > 0 && *rate == 0 && writes.contains(meter)));
        }
        let mut price = Price::default();
        for ((service, mark), rates) in self.sets {
            let rates: Rates = rates.into_iter().collect();
            if rates.is_empty() {
                continue;
            }
            let schedule = if service.is_empty() {
                &mut price.standard
            } else {
                if price.services.last().is_none_or(|(last, _)| *last != service) {
                    price.services.push((service, Schedule::default()));
                }
                match price.services.last_mut() {
                    Some((_, schedule)) => schedule,
                    None => continue,
                }
            };
            if mark == 0 { schedule.rates = rates } else { schedule.tiers.push((mark, rates)) }
        }
        if price.standard.rates.is_empty() { Vec::new() } else { vec![price] }
    }
}

/// What a made picture costs, in one rate: the source says it as what is sent, or by the pixel at a size that stands in
/// the id.
pub(super) fn pictures(found: &mut Found, id: &str, mode: Mode) {
    let rates = found.standard();
    if mode == Mode::Transcription {
        rates.remove(&Meter::SecondOutput);
    }
    if !matches!(mode, Mode::Image | Mode::ImageEdit) {
        return;
    }
    if !rates.contains_key(&Meter::Picture)
        && let Some(picture) = rates.remove(&Meter::PictureInput)
    {
        rates.insert(Meter::Picture, picture);
    }
    let input = rates.remove(&Meter::PixelInput);
    let output = rates.remove(&Meter::PixelOutput);
    let pixel = output.filter(|rate| *rate > 0).or(input).filter(|rate| *rate > 0);
    let size = id.split('/').find_map(|part| {
        let (width, height) = part.split_once("-x-")?;
        Some(width.parse::<u64>().ok()? * height.parse::<u64>().ok()?)
    });
    let priced = rates.get(&Meter::Picture).is_some_and(|rate| *rate > 0);
    match (pixel, size) {
        _ if priced => {}
        (Some(pixel), Some(size)) => drop(rates.insert(Meter::Picture, pixel * size)),
        (Some(pixel), None) => drop(rates.insert(Meter::PixelOutput, pixel)),
        (None, _) => {}
    }
    let tokens = [
        Meter::Input,
        Meter::Output,
        Meter::ImageInput,
        Meter::ImageOutput,
        Meter::AudioInput,
        Meter::AudioOutput,
    ];
    if tokens.iter().all(|meter| rates.get(meter).is_none_or(|rate| *rate == 0)) {
        rates.remove(&Meter::Input);
        rates.remove(&Meter::Output);
    }
}

pub(super) fn entry(id: &str, mode: Mode) -> Entry {
    Entry {
        id: id.to_owned(),
        mode,
        context: 0,
        max_output: 0,
        dimensions: 0,
        capabilities: Capabilities::default(),
        ends: None,
        prices: Vec::new(),
    }
}

/// What cannot both be true: what a source knows to be possible is.
pub(super) fn settled(capabilities: Capabilities) -> Capabilities {
    let contradicted = |no: Capability| match no {
        Capability::NoSchema => capabilities.has(Capability::Schema),
        Capability::NoToolChoice => capabilities.has(Capability::ToolChoice),
        _ => false,
    };
    capabilities.iter().filter(|capability| !contradicted(*capability)).collect()
}

/// Fills what `entry` does not say from another source.
pub(super) fn join(entry: &mut Entry, other: Entry) {
    let or = |this: u64, that: u64| if this == 0 { that } else { this };
    // One counts what is sent alone, the other both ways together, which is what is meant here.
    entry.context = entry.context.max(other.context);
    entry.max_output = or(entry.max_output, other.max_output);
    entry.dimensions = or(entry.dimensions, other.dimensions);
    entry.capabilities = settled(entry.capabilities.iter().chain(other.capabilities.iter()).collect());
    entry.ends = entry.ends.or(other.ends);
    match (entry.prices.first_mut(), other.prices.into_iter().next()) {
        (None, Some(price)) => entry.prices.push(price),
        (Some(price), Some(other)) => {
            for (meter, rate) in other.standard.rates {
                if !price.standard.rates.iter().any(|(known, _)| *known == meter) {
                    price.standard.rates.push((meter, rate));
                }
            }
            price.standard.rates.sort_unstable();
            for (name, service) in other.services {
                if !price.services.iter().any(|(known, _)| *known == name) {
                    price.services.push((name, service));
                }
            }
            price.services.sort_by(|(one, _), (next, _)| one.cmp(next));
            if price.standard.tiers.is_empty() {
                price.standard.tiers = other.standard.tiers;
            }
        }
        (_, None) => {}
    }
}
