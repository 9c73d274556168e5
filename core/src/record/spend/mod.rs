//! Sums of what was used, by day and by who used what: a report reads these, not the archive.
//!
//! A request is one record. What is counted of it, in this order:
//!
//! - `requests`: all that a known caller sent and that ended, refused ones too.
//! - `refusals`: those that the gateway refused before any provider was asked. They cost nothing.
//! - `failures`: those that a provider was asked for and that ended in an error.
//! - `refunds`: failures for which nothing was charged: what had been held went back whole.
//! - `cache_hits`: those that were answered without asking a provider.
//! - `attempts`: calls of providers; a request has several where the first ones fail.
//! - tokens by kind, each exclusive of the others, but `reasoning`, which is a part of `output`.
//! - `over_budget`: refusals because a budget was spent.
//! - `cost` in nano-dollars.
//! - time: `total_ms` of all; of those that had content (`answered`), the time until the first of it, and how many had it within some
//!   marks; `overhead_us`, the gateway's own.

mod pace;
mod pack;
mod question;
mod rollup;

use std::borrow::Cow;
use std::collections::BTreeMap;

use gatelet_wire::json::each_field;
use gatelet_wire::sort::sort_by;

use crate::domain::Money;
use crate::port::Fault;
use pack::{Pack, Unpack, broken};

pub use pace::{APART, Step};
pub use question::{By, MOST_READS, Question, Report, Row, date, month_begins, report};
pub(super) use rollup::Rollup;

/// What is counted, as reports name it. Kept in this order: new ones go to the end.
pub const COUNTERS: [&str; 28] = [
    "requests",
    "refusals",
    "failures",
    "refunds",
    "cache_hits",
    "attempts",
    "cost",
    "input",
    "cache_read",
    "cache_write",
    "output",
    "reasoning",
    "audio_input",
    "image_input",
    "audio_output",
    "image_output",
    "web_searches",
    "over_budget",
    "total_ms",
    "overhead_us",
    "answered",
    "first_content_ms",
    "first_within_500ms",
    "first_within_1s",
    "first_within_2s",
    "first_within_5s",
    "first_within_10s",
    "first_within_30s",
];
/// Marks of the time until the first content, in milliseconds: those of the last of [`COUNTERS`].
const MARKS: [u64; 6] = [500, 1_000, 2_000, 5_000, 10_000, 30_000];
/// Where `cost` stands among [`COUNTERS`].
pub const COST: usize = 6;
/// The first of the tokens among [`COUNTERS`].
const TOKENS: usize = 7;
const OVER_BUDGET: usize = 17;
/// The first of the times among [`COUNTERS`].
const TIMES: usize = 18;

/// One number for each of [`COUNTERS`].
pub type Sums = [u64; COUNTERS.len()];

/// By what sums are kept apart, beside the day and the set of tags. Kept in this order: new ones go to the end.
pub const FIELDS: [&str; 8] = ["org", "team", "project", "user", "key", "customer", "provider", "model"];
const PROVIDER: usize = 6;
const MODEL: usize = 7;

/// A request that has ended, as the sums see it.
#[derive(Debug)]
struct Use<'a> {
    day: u32,
    fields: [Option<Cow<'a, str>>; FIELDS.len()],
    tags: Vec<String>,
    sums: Sums,
}

impl<'a> Use<'a> {
    /// Reads a record's line. None: it is no request's, or of one that nobody pays for.
    fn of(day: u32, line: &'a str) -> Option<Self> {
        let (mut kind, mut target, mut outcome) = (None, None, None);
        let (mut attempts, mut cost) = (0, None);
        let (mut usage, mut tags, mut nobodys) = (None, None, false);
        let mut times = Times::default();
        let mut fields = [const { None }; FIELDS.len()];
        each_field(line, &mut |name, value| match name {
            "kind" => kind = Some(value),
            "target" => target = Some(value),
            "outcome" => outcome = Some(value),
            "attempts" => attempts = value.parse().unwrap_or(0),
            "cost" => cost = value.parse::<Money>().ok(),
            "unbilled" => nobodys = true,
            "usage" => usage = Some(value),
            "tags" => tags = Some(value),
            "total_ms" => times.total = micros(&value),
            "overhead_ms" => times.overhead = micros(&value),
            "first_content_ms" => times.first = Some(micros(&value)),
            // A caller may ask for any name; what a provider was asked for is what it bills.
            "model" => {}
            name => {
                if let Some(place) = FIELDS.iter().position(|field| *field == name) {
                    fields[place] = Some(value);
                }
            }
        })?;
        if kind? != "request" || nobodys {
            return None;
        }
        if let Some(target) = target {
            let (provider, model) = match target {
                Cow::Borrowed(target) => {
                    let (provider, model) = target.split_once('/').unwrap_or((target, ""));
                    (Cow::Borrowed(provider), Cow::Borrowed(model))
                }
                Cow::Owned(target) => {
                    let (provider, model) = target.split_once('/').unwrap_or((&target, ""));
                    (Cow::Owned(provider.to_owned()), Cow::Owned(model.to_owned()))
                }
            };
            fields[PROVIDER] = Some(provider);
            fields[MODEL] = (!model.is_empty()).then_some(model);
        }
        let mut tags: Vec<String> =
            tags.map_or_else(|| Some(Vec::new()), |tags| gatelet_wire::json::from_str(&tags).ok())?;
        sort_by(&mut tags, Ord::cmp);
        tags.dedup();
        let mut sums = sums(attempts, &outcome?, cost?, &usage?)?;
        times.add(&mut sums);
        Some(Self { day, fields, tags, sums })
    }
}

/// How long a request took, in microseconds.
#[derive(Debug, Default)]
struct Times {
    total: u64,
    overhead: u64,
    first: Option<u64>,
}

impl Times {
    fn add(&self, sums: &mut Sums) {
        let mut counts = [self.total / 1_000, self.overhead, 0, 0, 0, 0, 0, 0, 0, 0];
        if let Some(first) = self.first {
            let first = first / 1_000;
            (counts[2], counts[3]) = (1, first);
            for (count, mark) in counts.iter_mut().skip(4).zip(MARKS) {
                *count = u64::from(first <= mark);
            }
        }
        for (sum, count) in sums.iter_mut().skip(TIMES).zip(counts) {
            *sum = count;
        }
    }
}

/// Milliseconds with a point in them, as microseconds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "floats are clamped")]
fn micros(text: &str) -> u64 {
    gatelet_wire::json::number(text).map_or(0, |millis| (millis * 1_000.0).round() as u64)
}

fn sums(attempts: u64, outcome: &str, cost: Money, usage: &str) -> Option<Sums> {
    let (asked, done) = (attempts > 0, outcome == "done");
    let wrong = !done && outcome != "client_left";
    let mut sums = Sums::default();
    let counts = [
        1,
        u64::from(wrong && !asked),
        u64::from(wrong && asked),
        u64::from(wrong && asked && cost == Money::ZERO),
        u64::from(done && !asked),
        attempts,
        cost.nanos(),
    ];
    for (sum, count) in sums.iter_mut().zip(counts) {
        *sum = count;
    }
    each_field(usage, &mut |name, value| {
        let name = if name.starts_with("cache_write_") { "cache_write" } else { name };
        let counter = COUNTERS.iter().skip(TOKENS).position(|counter| *counter == name);
        if let Some(sum) = counter.and_then(|place| sums.get_mut(TOKENS + place)) {
            *sum = sum.saturating_add(value.parse().unwrap_or(0));
        }
    })?;
    if let Some(over) = sums.get_mut(OVER_BUDGET) {
        *over = u64::from(outcome == "budget_spent");
    }
    Some(sums)
}

fn add(into: &mut Sums, more: &Sums) {
    for (sum, more) in into.iter_mut().zip(more) {
        *sum = sum.saturating_add(*more);
    }
}

/// Sums by their keys: the day since 1970, the place of each of [`FIELDS`] among the names counted from one (none is 0),
/// and the places of the tags, in order.
///
/// Trees: an open month has tens of thousands, which come in no order.
#[derive(Clone, Debug, Default)]
struct Cells {
    names: Vec<Box<str>>,
    places: BTreeMap<Box<str>, u32>,
    by_key: BTreeMap<Box<[u32]>, Sums>,
    /// About how many bytes they take, when packed.
    size: usize,
}

/// Where a key's tags begin.
const TAGS: usize = 1 + FIELDS.len();

impl Cells {
    fn add(&mut self, used: &Use<'_>) {
        let mut key = Vec::with_capacity(TAGS + used.tags.len());
        key.push(used.day);
        for field in &used.fields {
            let place = field.as_deref().map_or(0, |name| self.place(name));
            key.push(place);
        }
        for tag in &used.tags {
            let place = self.place(tag);
            key.push(place);
        }
        self.sum(key, &used.sums);
    }

    fn sum(&mut self, mut key: Vec<u32>, sums: &Sums) {
        if let Some(tags) = key.get_mut(TAGS..) {
            sort_by(tags, Ord::cmp);
        }
        if let Some(known) = self.by_key.get_mut(&*key) {
            add(known, sums);
            return;
        }
        self.size += 2 * key.len() + 48;
        self.by_key.insert(key.into(), *sums);
    }

    /// A name's place, counted from one.
    fn place(&mut self, name: &str) -> u32 {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        self.names.push(name.into());
        let place = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.places.insert(name.into(), place);
        self.size += name.len() + 2;
        place
    }

    /// Adds those of `other` whose days are among `days`.
    fn merge(&mut self, other: &Self, days: std::ops::Range<u32>) {
        for (key, sums) in &other.by_key {
            let Some((day, rest)) = key.split_first() else { continue };
            if !days.contains(day) {
                continue;
            }
            let mut mine = Vec::with_capacity(key.len());
            mine.push(*day);
            for place in rest {
                let name = (*place as usize).checked_sub(1).and_then(|place| other.names.get(place));
                let place = name.map_or(0, |name| self.place(name));
                mine.push(place);
            }
            self.sum(mine, sums);
        }
    }

    fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    fn pack(&self, pack: &mut Pack) {
        pack.length(FIELDS.len());
        pack.length(self.names.len());
        for name in &self.names {
            pack.text(name);
        }
        pack.length(self.by_key.len());
        for (key, sums) in &self.by_key {
            pack.length(key.len());
            for place in key {
                pack.number(u64::from(*place));
            }
            let used = sums.iter().rposition(|sum| *sum > 0).map_or(0, |last| last + 1);
            pack.length(used);
            for sum in sums.iter().take(used) {
                pack.number(*sum);
            }
        }
    }

    fn unpack(unpack: &mut Unpack<'_>) -> Result<Self, Fault> {
        let mut cells = Self::default();
        let names = visit(unpack, &mut |_, key, sums| {
            cells.size += 2 * key.len() + 48;
            cells.by_key.insert(key.into(), *sums);
        })?;
        for name in names {
            cells.place(name);
        }
        Ok(cells)
    }
}

/// What a reader does with each sum: names, key, numbers.
type Each<'e> = dyn FnMut(&[&str], &[u32], &Sums) + Send + 'e;

/// Reads what [`Cells::pack`] wrote, one sum after the other, and answers the names. A key that was written before the last
/// of [`FIELDS`] were known has none for them.
fn visit<'a>(unpack: &mut Unpack<'a>, each: &mut Each<'_>) -> Result<Vec<&'a str>, Fault> {
    let fields = unpack.small()? as usize;
    if fields > FIELDS.len() {
        return Err(broken());
    }
    let count = unpack.length()?;
    let mut names = Vec::with_capacity(count);
    for _ in 0..count {
        names.push(unpack.text()?);
    }
    let cells = unpack.length()?;
    let mut key: Vec<u32> = Vec::new();
    for _ in 0..cells {
        key.clear();
        let length = unpack.length()?;
        for place in 0..length {
            let number = unpack.small()?;
            if place > 0 && number as usize > names.len() {
                return Err(broken());
            }
            key.push(number);
            if place == fields {
                key.resize(TAGS, 0);
            }
        }
        if key.len() < TAGS {
            return Err(broken());
        }
        let mut sums = Sums::default();
        for place in 0..unpack.length()? {
            *sums.get_mut(place).ok_or_else(broken)? = unpack.number()?;
        }
        each(&names, &key, &sums);
    }
    Ok(names)
}
