//! Sums by the minute and by the hour: where latency, errors and cost went wrong, for as long as anybody asks that.
//!
//! They come into the open document with the sums of days, and leave it with them (see [`rollup`](super::rollup)): so each request is
//! counted once here, too. What is flushed is added to slots, which are rings:
//!
//! ```text
//! books/spend/main/minutes/17    minutes of the one hour that is kept in place 17 of 48
//! books/spend/main/hours/05      hours of the one day that is kept in place 5 of 32
//! ```
//!
//! A slot notes which hour or day it has; a newer one takes its place. So what is kept is bounded, and so is what a report reads, and
//! nothing has to be deleted. They are told apart by organisation, provider and model alone, at most so many a minute or an hour; the
//! rest is one sum without a name.

use bytes::Bytes;

use super::pack::{Pack, Unpack};
use super::rollup::begin;
use super::{Cells, Each, Sums, TAGS, Use, visit};
use crate::domain::{ShardId, Timestamp};
use crate::port::{EXACT, Expect, Fault, FaultKind, Store};

/// Sums of one minute or hour that are told apart: a slot of sixty minutes stays below the smallest of the hosts' limits for a document.
const MOST: usize = 48;
const TRIES: usize = 8;

/// What time is counted in where days are too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Minute,
    Hour,
}

impl Step {
    pub(super) const ALL: [Self; 2] = [Self::Minute, Self::Hour];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
        }
    }

    /// Minutes in one of them.
    pub const fn minutes(self) -> u32 {
        match self {
            Self::Minute => 1,
            Self::Hour => 60,
        }
    }

    /// How many of them a slot has.
    const fn in_slot(self) -> u32 {
        match self {
            Self::Minute => 60,
            Self::Hour => 24,
        }
    }

    /// How many slots there are.
    const fn slots(self) -> u32 {
        match self {
            Self::Minute => 48,
            Self::Hour => 32,
        }
    }

    /// How many of them can be asked for, back from the one that is now: a slot is being filled.
    pub const fn kept(self) -> u32 {
        self.in_slot() * (self.slots() - 1)
    }

    fn slot(self, shard: &ShardId, period: u32) -> String {
        format!("{EXACT}spend/{shard}/{}s/{:02}", self.name(), period % self.slots())
    }

    /// The slots' numbers that a span lies in.
    pub(super) fn periods(self, span: &std::ops::RangeInclusive<u32>) -> std::ops::RangeInclusive<u32> {
        span.start() / self.in_slot()..=span.end() / self.in_slot()
    }

    /// When the `number`th since 1970 began.
    pub fn begins(self, number: u32) -> Timestamp {
        Timestamp::from_seconds(i64::from(number) * i64::from(self.minutes()) * 60)
    }

    /// The number of the one that has this moment.
    pub fn at(self, at: Timestamp) -> u32 {
        u32::try_from(at.seconds().div_euclid(i64::from(self.minutes()) * 60)).unwrap_or(0)
    }
}

/// The places of [`super::FIELDS`] by which they are told apart.
pub const APART: [usize; 3] = [0, super::PROVIDER, super::MODEL];

impl Cells {
    /// Adds a request of a minute.
    pub(super) fn pace(&mut self, minute: u32, used: &Use<'_>) {
        let mut names = [None; super::FIELDS.len()];
        for place in APART {
            if let (Some(name), Some(field)) = (names.get_mut(place), used.fields.get(place)) {
                *name = field.as_deref();
            }
        }
        self.bounded(minute, &names, &used.sums);
    }

    /// Adds those of `other`, which is by the minute, that are of this slot.
    fn merge_pace(&mut self, other: &Self, step: Step, period: u32) {
        for (key, sums) in &other.by_key {
            let Some((minute, rest)) = key.split_first() else { continue };
            let number = minute / step.minutes();
            if number / step.in_slot() != period {
                continue;
            }
            let mut names = [None; super::FIELDS.len()];
            for (name, place) in names.iter_mut().zip(rest) {
                *name = (*place as usize)
                    .checked_sub(1)
                    .and_then(|place| other.names.get(place))
                    .map(|name| &**name);
            }
            self.bounded(number, &names, sums);
        }
    }

    fn bounded(&mut self, first: u32, names: &[Option<&str>; super::FIELDS.len()], sums: &Sums) {
        let known = |name: Option<&str>| name.map_or(Some(0), |name| self.places.get(name).copied());
        let key: Option<Vec<u32>> =
            std::iter::once(Some(first)).chain(names.iter().copied().map(known)).collect();
        let is_there = key.as_ref().is_some_and(|key| self.by_key.contains_key(&**key));
        let there = || {
            let (from, to) = (Box::from([first]), Box::from([first + 1]));
            self.by_key.range::<Box<[u32]>, _>(from..to).count()
        };
        let mut key = vec![first];
        if is_there || there() < MOST {
            key.extend(names.iter().map(|name| name.map_or(0, |name| self.place(name))));
        } else {
            key.resize(TAGS, 0);
        }
        self.sum(key, sums);
    }
}

/// What a slot holds.
#[derive(Debug, Default)]
struct Slot {
    /// The number of the last sums that were added.
    generation: u64,
    /// Of which hour or day.
    period: u32,
    cells: Cells,
}

/// Adds what was set aside under a number to its slots. What is older than what a slot has is of no interest any more.
pub(super) async fn put_aside(
    store: &dyn Store,
    shard: &ShardId,
    aside: &Cells,
    generation: u64,
) -> Result<(), Fault> {
    for step in Step::ALL {
        let mut periods: Vec<u32> = Vec::new();
        for minute in aside.by_key.keys().filter_map(|key| key.first()) {
            let period = minute / step.minutes() / step.in_slot();
            if periods.last() != Some(&period) {
                periods.push(period);
            }
        }
        // Of a long backlog only what is kept.
        let from = periods.len().saturating_sub(step.slots() as usize);
        for period in periods.drain(from..) {
            let mut tries = 0;
            while let Err(fault) = add(store, shard, aside, generation, step, period).await {
                tries += 1;
                if fault.kind != FaultKind::Conflict || tries == TRIES {
                    return Err(fault);
                }
            }
        }
    }
    Ok(())
}

async fn add(
    store: &dyn Store,
    shard: &ShardId,
    aside: &Cells,
    generation: u64,
    step: Step,
    period: u32,
) -> Result<(), Fault> {
    let name = step.slot(shard, period);
    let document = store.get(&name).await?;
    let expect = document.as_ref().map_or(Expect::Absent, |document| Expect::Version(document.version));
    let mut slot = document.map_or_else(|| Ok(Slot::default()), |document| Slot::unpack(&document.bytes))?;
    if slot.period > period || (slot.period == period && slot.generation >= generation) {
        return Ok(());
    }
    if slot.period < period {
        slot = Slot { period, ..Slot::default() };
    }
    slot.generation = generation;
    slot.cells.merge_pace(aside, step, period);
    store.put(&name, slot.pack(), expect).await.map(drop)
}

/// Reads a slot. [`FaultKind::Conflict`]: it has more than the open document knows, whose number `generation` is. False: it has not
/// what was set aside under that number.
pub(super) async fn read(
    store: &dyn Store,
    shard: &ShardId,
    step: Step,
    period: u32,
    generation: u64,
    each: &mut Each<'_>,
) -> Result<bool, Fault> {
    let Some(document) = store.get(&step.slot(shard, period)).await? else { return Ok(false) };
    let mut unpack = begin(&document.bytes)?;
    let (mine, of) = (unpack.number()?, unpack.small()?);
    if mine > generation {
        return Err(Fault::new(FaultKind::Conflict, "spend.read", "sums were flushed meanwhile"));
    }
    if of == period {
        visit(&mut unpack, each)?;
    }
    // A newer one is there: what was set aside is as old as what it took the place of.
    Ok(of > period || (of == period && mine == generation))
}

impl Slot {
    fn pack(&self) -> Bytes {
        let mut pack = Pack { bytes: super::rollup::head() };
        pack.number(self.generation);
        pack.number(u64::from(self.period));
        self.cells.pack(&mut pack);
        pack.bytes.into()
    }

    fn unpack(bytes: &[u8]) -> Result<Self, Fault> {
        let mut unpack = begin(bytes)?;
        Ok(Self { generation: unpack.number()?, period: unpack.small()?, cells: Cells::unpack(&mut unpack)? })
    }
}

/// Cells that follow in a document; none in one that was written before there were any.
pub(super) fn following(unpack: &mut Unpack<'_>) -> Result<Cells, Fault> {
    if unpack.rest.is_empty() { Ok(Cells::default()) } else { Cells::unpack(unpack) }
}

/// The minute of an entry, by the microseconds that its id begins with.
pub(super) fn minute(id: &str) -> u32 {
    const MINUTE: i64 = 60_000_000;
    let micros = id.split('-').next().and_then(|digits| digits.parse::<i64>().ok());
    micros.and_then(|micros| u32::try_from(micros.div_euclid(MINUTE)).ok()).unwrap_or(0)
}
