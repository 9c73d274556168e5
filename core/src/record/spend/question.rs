//! What was spent: sums of sums, as they are asked for.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use gatelet_wire::sort::sort_by;

use super::rollup::{Seen, month, part_name};
use super::{FIELDS, Step, Sums, TAGS, add, pace};
use crate::domain::{ShardId, Timestamp};
use crate::port::{Fault, FaultKind, Ports};

/// By what sums are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Minute,
    Hour,
    Day,
    Month,
    /// One of [`FIELDS`], by its place.
    Field(usize),
    /// A request with several tags counts for each of them.
    Tag,
}

impl By {
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "minute" => Some(Self::Minute),
            "hour" => Some(Self::Hour),
            "day" => Some(Self::Day),
            "month" => Some(Self::Month),
            "tag" => Some(Self::Tag),
            _ => FIELDS.iter().position(|field| *field == name).map(Self::Field),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::Tag => "tag",
            Self::Field(place) => FIELDS.get(place).copied().unwrap_or_default(),
        }
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// Days since 1970, the last one included.
    pub days: std::ops::RangeInclusive<u32>,
    /// Minutes or hours since 1970 in place of the days: these are kept for a while, by [`APART`](super::APART) alone.
    pub finer: Option<(Step, std::ops::RangeInclusive<u32>)>,
    /// None: one sum of all.
    pub by: Vec<By>,
    /// Only what has one of the values of each that is named; an empty value means none.
    pub only: Vec<(By, Vec<String>)>,
    /// The most rows.
    pub most: usize,
}

/// One sum, and whose it is: a value for each that was asked for; none where the requests have none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub of: Vec<Option<String>>,
    pub sums: Sums,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// In order of their values.
    pub rows: Vec<Row>,
    /// Of all requests that are asked for, each counted once.
    pub total: Sums,
    /// Requests that came before this and have ended are in it.
    pub as_of: Timestamp,
    /// Documents that were read.
    pub reads: usize,
    /// More rows were asked for than [`Question::most`], or more documents than [`MOST_READS`]: there are none.
    pub too_many: bool,
}

/// Answers from the sums of a shard.
pub async fn report(ports: &Ports, shard: &ShardId, question: &Question) -> Result<Report, Fault> {
    const TRIES: usize = 8;
    let mut tries = 0;
    loop {
        match once(ports, shard, question).await {
            Err(fault) if fault.kind == FaultKind::Conflict && tries < TRIES => tries += 1,
            other => return other,
        }
    }
}

/// Documents that one report reads at the most: 160 MB of sums, and fewer calls than a request may make on Workers (1,000).
pub const MOST_READS: usize = 800;
/// Documents that are asked for at a time.
const AT_ONCE: usize = 8;

async fn once(ports: &Ports, shard: &ShardId, question: &Question) -> Result<Report, Fault> {
    let now = ports.clock.now();
    let waiting = ports.ledger.outbox(shard, 1).await?;
    let waiting = waiting.first().and_then(|entry| entry.id.split('-').next()?.parse().ok());
    let as_of = waiting.map_or(now, |micros| Timestamp::from_micros(micros).min(now));
    let mut sums = Gathered {
        question,
        names: Vec::new(),
        places: BTreeMap::new(),
        rows: BTreeMap::new(),
        total: Sums::default(),
    };
    let mut reads = 1;
    if let Some((step, span)) = &question.finer {
        reads += finer(ports, shard, *step, span, &mut sums).await?;
    } else if let Some(mut seen) = Seen::read(&*ports.store, shard).await? {
        let months = month(*question.days.start()).0..=month(*question.days.end()).0;
        let wanted: Vec<(u32, u32, String)> = seen
            .months
            .iter()
            .filter(|(month, _)| months.contains(month))
            .flat_map(|(month, last)| {
                (0..=*last).map(|place| (*month, place, part_name(shard, *month, place)))
            })
            .collect();
        if wanted.len() >= MOST_READS {
            return Ok(Report { rows: Vec::new(), total: sums.total, as_of, reads, too_many: true });
        }
        reads += wanted.len();
        let mut read = stream::iter(wanted)
            .map(|(month, place, name)| async move {
                let document = ports.store.get(&name).await?;
                let lost = || Fault::new(FaultKind::Corrupt, "spend.read", name.clone());
                Ok::<_, Fault>((month, place, document.ok_or_else(lost)?))
            })
            .buffered(AT_ONCE);
        while let Some((month, place, document)) = read.try_next().await? {
            seen.part(month, place, &document.bytes, &mut |names, key, more| sums.add(names, key, more))?;
        }
        seen.rest(&mut |names, key, more| sums.add(names, key, more))?;
    }
    let too_many = sums.rows.len() > question.most;
    let (total, rows) = (sums.total, if too_many { Vec::new() } else { sums.into_rows() });
    Ok(Report { rows, total, as_of, reads, too_many })
}

/// Adds sums by the minute or by the hour, and answers how many documents were read but for the open one.
async fn finer(
    ports: &Ports,
    shard: &ShardId,
    step: Step,
    span: &std::ops::RangeInclusive<u32>,
    sums: &mut Gathered<'_>,
) -> Result<usize, Fault> {
    let Some(seen) = Seen::read(&*ports.store, shard).await? else { return Ok(0) };
    let (mut reads, mut has) = (0, Vec::new());
    for period in step.periods(span) {
        let mut each = |names: &[&str], key: &[u32], more: &Sums| sums.add(names, key, more);
        if pace::read(&*ports.store, shard, step, period, seen.generation, &mut each).await? {
            has.push(period);
        }
        reads += 1;
    }
    let in_slot = |minute: u32| {
        let number = minute / step.minutes();
        has.contains(step.periods(&(number..=number)).start())
    };
    seen.minutes(&in_slot, &mut |names, key, more| {
        let Some((minute, rest)) = key.split_first() else { return };
        let key = [&[minute / step.minutes()], rest].concat();
        sums.add(names, &key, more);
    })?;
    Ok(reads)
}

/// Rows in the making. Names have places of their own here, for each document has other ones.
struct Gathered<'q> {
    question: &'q Question,
    names: Vec<Box<str>>,
    places: BTreeMap<Box<str>, u32>,
    /// By a number for each that was asked for: a day, a month, or a name's place counted from one.
    rows: BTreeMap<Box<[u32]>, Sums>,
    total: Sums,
}

impl Gathered<'_> {
    fn add(&mut self, names: &[&str], key: &[u32], sums: &Sums) {
        let Some((day, rest)) = key.split_first() else { return };
        let name = |place: u32| (place as usize).checked_sub(1).and_then(|place| names.get(place)).copied();
        let tags = rest.get(TAGS - 1..).unwrap_or_default();
        let question = self.question;
        let span = question.finer.as_ref().map_or(&question.days, |(_, span)| span);
        let wanted = span.contains(day)
            && question.only.iter().all(|(by, values)| {
                let has = |place: u32| {
                    let name = name(place).unwrap_or_default();
                    values.iter().any(|value| value == name)
                };
                match by {
                    By::Field(place) => rest.get(*place).is_some_and(|place| has(*place)),
                    By::Tag if tags.is_empty() => has(0),
                    By::Tag => tags.iter().any(|tag| has(*tag)),
                    By::Minute | By::Hour | By::Day | By::Month => true,
                }
            });
        if !wanted {
            return;
        }
        add(&mut self.total, sums);
        let tagged = question.by.contains(&By::Tag);
        let each_tag = if tagged && !tags.is_empty() { tags } else { &[0] };
        let minutes = question.finer.as_ref().map_or(1_440, |(step, _)| step.minutes());
        let minute = u64::from(*day) * u64::from(minutes);
        let number = |minutes: u64| u32::try_from(minute / minutes).unwrap_or(u32::MAX);
        let mut row = Vec::with_capacity(question.by.len());
        for tag in each_tag {
            row.clear();
            for by in &question.by {
                row.push(match by {
                    By::Minute => number(1),
                    By::Hour => number(60),
                    By::Day => number(1_440),
                    By::Month => month(number(1_440)).0,
                    By::Field(place) => self.place(rest.get(*place).and_then(|place| name(*place))),
                    By::Tag => self.place(name(*tag)),
                });
            }
            match self.rows.get_mut(&*row) {
                Some(known) => add(known, sums),
                None => drop(self.rows.insert(row.as_slice().into(), *sums)),
            }
        }
    }

    /// A name's place here; 0 for none.
    fn place(&mut self, name: Option<&str>) -> u32 {
        let Some(name) = name else { return 0 };
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        self.names.push(name.into());
        let place = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.places.insert(name.into(), place);
        place
    }

    fn into_rows(self) -> Vec<Row> {
        let text = |by: By, number: u32| match by {
            By::Minute => Some(Step::Minute.begins(number).to_string()),
            By::Hour => Some(Step::Hour.begins(number).to_string()),
            By::Day => Some(date(number)),
            By::Month => Some(format!("{:04}-{:02}", 1970 + number / 12, number % 12 + 1)),
            By::Field(_) | By::Tag => {
                let name = (number as usize).checked_sub(1).and_then(|place| self.names.get(place));
                name.map(ToString::to_string)
            }
        };
        let of =
            |key: &[u32]| self.question.by.iter().zip(key).map(|(by, number)| text(*by, *number)).collect();
        let mut rows: Vec<Row> =
            self.rows.iter().map(|(key, sums)| Row { of: of(key), sums: *sums }).collect();
        sort_by(&mut rows, |one, other| one.of.cmp(&other.of));
        rows
    }
}

/// `2026-11-22`.
pub fn date(day: u32) -> String {
    let at = Timestamp::from_seconds(i64::from(day) * 86_400).utc();
    format!("{:04}-{:02}-{:02}", at.year, at.month, at.day)
}

/// The first day of the month that has this one.
pub fn month_begins(day: u32) -> u32 {
    month(day).1.start
}
