//! By what targets are chosen, and when they are left alone, as the document says it.

use super::check::{Check, checks};
use super::document::duration;
use super::model::ModelName;
use super::read::{At, Fields, Reader, Spot, unknown};
use crate::domain::Zone;
use crate::domain::money::decimal;
use crate::route::{Condition, Hours, Part, Place, Quota, Rules, Strategy, Subject};

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

const HEALTH: [&str; 6] = ["faults", "out", "longest", "ramp", "retry_percent", "checks"];

/// When targets go out, and for how long; and which are checked without being asked for.
pub(super) fn health(reader: &mut Reader<'_>, at: &At<'_>) -> (Rules, Vec<(Check, Vec<Spot>)>) {
    let usual = Rules::default();
    let Some(fields) = reader.fields(at, &HEALTH, &[]) else { return (usual, Vec::new()) };
    let checks = fields.get("checks").map(|at| checks(reader, at)).unwrap_or_default();
    let count = |text: &str| text.parse().ok().filter(|count| (1..=1_000).contains(count));
    let faults =
        fields.get("faults").and_then(|at| reader.parsed(at, "a whole number from 1 to 1000", count));
    let mut time = |key| {
        fields.get(key).and_then(|at| reader.parsed(at, "a duration such as 500ms, 30s or 10m", duration))
    };
    let (out, longest) = (time("out").unwrap_or(usual.out), time("longest").unwrap_or(usual.longest));
    let ramp = time("ramp").unwrap_or(usual.ramp);
    let retry_mille = mille(reader, &fields, "retry_percent").unwrap_or(usual.retry_mille);
    let faults = faults.unwrap_or(usual.faults);
    (Rules { faults, out, longest: longest.max(out), ramp, retry_mille }, checks)
}

/// Rules in their order.
pub(super) fn rules(reader: &mut Reader<'_>, at: &At<'_>) -> Vec<(Condition, (ModelName, Spot))> {
    const MOST: usize = 64;
    let list = at.list();
    if list.len() > MOST {
        reader.note(&at.spot, format!("expected at most {MOST} rules"));
    }
    list.iter().filter_map(|at| rule(reader, at)).collect()
}

fn rule(reader: &mut Reader<'_>, at: &At<'_>) -> Option<(Condition, (ModelName, Spot))> {
    let fields = reader.fields(at, &["when", "to"], &[])?;
    let when = fields.get("when").and_then(|at| condition(reader, at));
    let Some(to) = fields.get("to") else {
        reader.note(&fields.spot, "expected `to`: the name of a model");
        return None;
    };
    let spot = to.spot.clone();
    let to = reader.parsed(to, "the name of a model", |text| ModelName::try_from(text).ok())?;
    Some((when?, (to, spot)))
}

const LISTS: [(&str, Subject); 7] = [
    ("tags", Subject::Tag),
    ("keys", Subject::Key),
    ("teams", Subject::Team),
    ("orgs", Subject::Org),
    ("projects", Subject::Project),
    ("users", Subject::User),
    ("customers", Subject::Customer),
];
/// A word of the document, and what a name below it is.
type Named = (&'static str, fn(Box<str>) -> Subject);
const NAMED: [Named; 3] =
    [("headers", Subject::Header), ("metadata", Subject::Metadata), ("fields", Subject::Field)];
const OTHERS: [&str; 6] = ["stream", "input", "has", "hours", "days", "zone"];

fn condition(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Condition> {
    let lists = LISTS.iter().map(|(word, _)| *word);
    let named = NAMED.iter().map(|(word, _)| *word);
    let known: Vec<&str> = lists.chain(named).chain(OTHERS).chain(["percent"]).collect();
    let fields = reader.fields(at, &known, &[])?;
    let mut condition = Condition::default();
    for (word, subject) in &LISTS {
        if let Some(at) = fields.get(word) {
            condition.subjects.push((subject.clone(), values(reader, at)));
        }
    }
    for (word, subject) in &NAMED {
        for (name, at) in fields.get(word).and_then(|at| reader.entries(at)).unwrap_or_default() {
            condition.subjects.push((subject(name.into()), values(reader, &at)));
        }
    }
    let truth = |text: &str| match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    };
    condition.stream = fields.get("stream").and_then(|at| reader.parsed(at, "true or false", truth));
    if let Some(input) = fields.get("input").and_then(|at| reader.fields(at, &["over", "under"], &[])) {
        let count = |text: &str| text.parse().ok();
        let mut tokens =
            |key| input.get(key).and_then(|at| reader.parsed(at, "a whole number of tokens", count));
        (condition.over, condition.under) = (tokens("over"), tokens("under"));
    }
    if let Some(at) = fields.get("has") {
        let words = Part::ALL.map(Part::name).join(", ");
        let part = |text: &str| Part::ALL.into_iter().find(|part| part.name() == text);
        let parts = at.list();
        condition.has =
            parts.iter().filter_map(|at| reader.parsed(at, &format!("one of {words}"), part)).collect();
    }
    condition.hours = hours(reader, &fields);
    condition.mille = mille(reader, &fields, "percent");
    Some(condition)
}

/// A part of a hundred, in thousandths.
pub(super) fn mille(reader: &mut Reader<'_>, fields: &Fields<'_>, key: &str) -> Option<u16> {
    let mille = |text: &str| decimal(text, 1)?.try_into().ok().filter(|mille| *mille <= 1_000);
    let expected = "a part of a hundred with at most one decimal place, such as 5 or 0.5";
    fields.get(key).and_then(|at| reader.parsed(at, expected, mille))
}

/// One value or several, of which any will do.
fn values(reader: &mut Reader<'_>, at: &At<'_>) -> Vec<Box<str>> {
    let list = at.list();
    let values: Vec<Box<str>> = list
        .iter()
        .filter_map(|at| reader.text(at, "a value, or a list of values"))
        .map(Into::into)
        .collect();
    if values.is_empty() {
        reader.note(&at.spot, "expected a value, or a list of values");
    }
    values
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

fn hours(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Hours> {
    let (hours, days, zone) = (fields.get("hours"), fields.get("days"), fields.get("zone"));
    if hours.is_none() && days.is_none() {
        if let Some(zone) = zone {
            reader.note(&zone.spot, "expected `hours` or `days` beside it");
        }
        return None;
    }
    let whole_day = Some((0, 24 * 60));
    let between =
        hours.map_or(whole_day, |at| reader.parsed(at, "two times of day, such as 22:00-06:00", between));
    let zone =
        zone.map(|at| reader.parsed(at, "the name of a time zone, such as Europe/Berlin", Zone::named));
    let listed = days.map(At::list);
    let mut on = [listed.is_none(); 7];
    for at in listed.unwrap_or_default() {
        let place = |text: &str| DAYS.iter().position(|day| *day == text);
        if let Some(place) = reader.parsed(&at, "one of mon, tue, wed, thu, fri, sat, sun", place) {
            on[place] = true;
        }
    }
    Some(Hours { zone: zone.map_or(Some(None), |zone| zone.map(Some))?, days: on, between: between? })
}

fn between(text: &str) -> Option<(u16, u16)> {
    let minute = |text: &str| {
        let (hour, minute) = text.trim().split_once(':')?;
        let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
        let minutes = hour.checked_mul(60)?.checked_add(minute)?;
        (minute < 60 && minutes <= 24 * 60).then_some(minutes)
    };
    let (from, to) = text.split_once('-')?;
    let (from, to) = (minute(from)?, minute(to)?);
    (from != to && from < 24 * 60).then_some((from, to))
}
