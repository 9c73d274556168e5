//! By what targets are chosen, and when they are left alone, as the document says it.

use super::document::duration;
use super::model::ModelName;
use super::read::{At, Fields, Reader, Spot, unknown};
use crate::route::{Place, Quota, Rules, Strategy};

pub(super) fn strategy(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Strategy> {
    let word = reader.text(at, "a strategy")?;
    let found = Strategy::ALL.into_iter().find(|strategy| strategy.name() == word);
    if found.is_none() {
        reader.note(&at.spot, unknown("strategy", &word, &Strategy::ALL.map(Strategy::name)));
    }
    found
}

/// Names of models to go on with.
pub(super) fn names(reader: &mut Reader<'_>, at: &At<'_>) -> Vec<(ModelName, Spot)> {
    let name = |text: &str| ModelName::try_from(text).ok();
    let list = at.list();
    let named = |at: &At<'_>| Some((reader.parsed(at, "the name of a model", name)?, at.spot.clone()));
    list.iter().filter_map(named).collect()
}

/// Where a target stands among the others.
pub(super) fn place(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Place {
    const MOST: u32 = 1_000_000;
    let weight = |text: &str| text.parse().ok().filter(|weight| (1..=MOST).contains(weight));
    let level = |text: &str| text.parse().ok().filter(|level| *level < 16);
    let count = |text: &str| text.parse().ok().filter(|count| *count > 0);
    let mut quota = |key, expected| fields.get(key).and_then(|at| reader.parsed(at, expected, count));
    let requests = quota("rpm", "a whole number of requests a minute");
    let tokens = quota("tpm", "a whole number of tokens a minute");
    let usual = Place::default();
    Place {
        weight: fields
            .get("weight")
            .and_then(|at| reader.parsed(at, "a whole number from 1 to 1000000", weight))
            .unwrap_or(usual.weight),
        level: fields
            .get("level")
            .and_then(|at| reader.parsed(at, "a whole number from 0 to 15", level))
            .unwrap_or(usual.level),
        quota: Quota { requests, tokens },
    }
}

const HEALTH: [&str; 4] = ["faults", "out", "longest", "ramp"];

/// When targets go out, and for how long.
pub(super) fn health(reader: &mut Reader<'_>, at: &At<'_>) -> Rules {
    let usual = Rules::default();
    let Some(fields) = reader.fields(at, &HEALTH, &[]) else { return usual };
    let count = |text: &str| text.parse().ok().filter(|count| (1..=1_000).contains(count));
    let faults =
        fields.get("faults").and_then(|at| reader.parsed(at, "a whole number from 1 to 1000", count));
    let mut time = |key| {
        fields.get(key).and_then(|at| reader.parsed(at, "a duration such as 500ms, 30s or 10m", duration))
    };
    let (out, longest) = (time("out").unwrap_or(usual.out), time("longest").unwrap_or(usual.longest));
    let ramp = time("ramp").unwrap_or(usual.ramp);
    Rules { faults: faults.unwrap_or(usual.faults), out, longest: longest.max(out), ramp }
}
