//! How requests come into the sums, each exactly once, on stores that write one document at a time.
//!
//! A shard has one open document, and for each month a row of parts:
//!
//! ```text
//! books/spend/main/open              sums since the last flush; ids of what was counted lately; how many parts there are
//! books/spend/main/2026-11/000000    sums of November, until it is full; then 000001 …
//! ```
//!
//! Whoever drains reads the open document, then the outbox, adds what the document does not name yet, and writes the
//! document as the next version: only then the outbox is cleared. Two who drain at a time meet at that version, and one of
//! them begins anew. An id is forgotten when its entry is known to be gone from the outbox, and late.
//!
//! An open document that is large enough is flushed: its sums are set aside in it under a number, added to their month's
//! part, which notes the number, and dropped with the next write. Whoever finds sums set aside does that first; a part that
//! has noted the number has them already. A reader looks at the same number.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use bytes::Bytes;

use super::pack::{Pack, Unpack};
use super::{Cells, Each, Sums, Use, broken, pace, visit};
use crate::domain::{Civil, ShardId, Timestamp};
use crate::port::{EXACT, Entry, Expect, Fault, FaultKind, Ports, Store};

/// The form of what follows the first byte of a document.
const FORMAT: u8 = 1;
/// Ids that are remembered though their entries are gone: a write that was in doubt may bring one back.
const REMEMBERED: usize = 1 << 10;
/// Ids that are remembered at all, so that the document stays small, be the outbox as long as it may.
const MOST_REMEMBERED: usize = 15 << 10;
/// Bytes of sums in the open document above which it is flushed.
const OPEN: usize = 32 << 10;
/// Bytes of sums that one batch adds at the most, or a little more.
const BATCH: usize = 64 << 10;
/// Bytes of a part above which the next one is begun. With all that a flush adds it stays below the smallest of the hosts'
/// limits for a document (390 KB).
const FULL: usize = 200 << 10;

/// The open document of one shard, while it is added to.
#[derive(Debug)]
pub(in crate::record) struct Rollup {
    shard: ShardId,
    /// The version that was read or written last; none: there was no document.
    version: Option<u64>,
    open: Open,
}

/// What the open document holds.
#[derive(Debug, Default)]
pub(super) struct Open {
    /// The number of the sums that are set aside, or of those that were last.
    generation: u64,
    /// Hashes of the ids that were counted, the oldest first.
    counted: Vec<Counted>,
    cells: Cells,
    /// What is on its way into the parts.
    aside: Cells,
    /// The same sums by the minute, and what of them is on its way into their slots.
    pace: Cells,
    pace_aside: Cells,
    /// The last part of each month that has some; months since 1970.
    pub(super) months: Vec<(u32, u32)>,
}

#[derive(Clone, Copy, Debug)]
struct Counted {
    id: u64,
    /// Its entry is not in the outbox any more.
    gone: bool,
}

impl Rollup {
    /// Reads the open document. What it has set aside is put where it belongs.
    pub(in crate::record) async fn open(ports: &Ports, shard: &ShardId) -> Result<Self, Fault> {
        let document = ports.store.get(&open_name(shard)).await?;
        let version = document.as_ref().map(|document| document.version);
        let open = document.map_or_else(|| Ok(Open::default()), |document| Open::unpack(&document.bytes))?;
        let mut rollup = Self { shard: shard.clone(), version, open };
        rollup.put_aside(&*ports.store).await?;
        Ok(rollup)
    }

    /// What was listed of the outbox after the document was read; `all`: it was the whole outbox.
    pub(in crate::record) fn listed(&mut self, entries: &[Entry], all: bool) {
        if all {
            let there: Ids = entries.iter().map(|entry| hash(&entry.id)).collect();
            for counted in &mut self.open.counted {
                counted.gone |= !there.contains(&counted.id);
            }
        }
    }

    /// Counts the first of these, which are of one day, and answers how many: as many as one document takes.
    pub(in crate::record) fn count(&mut self, day: i64, batch: &[Entry]) -> usize {
        let day = u32::try_from(day).unwrap_or(0);
        let mut known: Ids = self.open.counted.iter().map(|counted| counted.id).collect();
        let before = self.open.cells.size + self.open.pace.size;
        for (place, entry) in batch.iter().enumerate() {
            if self.open.cells.size + self.open.pace.size > before + BATCH {
                return place;
            }
            let id = hash(&entry.id);
            if !known.insert(id) {
                continue;
            }
            self.open.counted.push(Counted { id, gone: false });
            // The attempts stand before their request.
            let from = memchr::memrchr(b'\n', entry.line.as_bytes()).map_or(0, |end| end + 1);
            if let Some(used) = entry.line.get(from..).and_then(|line| Use::of(day, line)) {
                self.open.cells.add(&used);
                self.open.pace.pace(pace::minute(&entry.id), &used);
            }
        }
        batch.len()
    }

    /// Writes the document. [`FaultKind::Conflict`]: somebody else was faster, and nothing of this was counted.
    pub(in crate::record) async fn keep(&mut self, store: &dyn Store) -> Result<(), Fault> {
        let open = &mut self.open;
        let many = open.counted.len().saturating_sub(REMEMBERED);
        let mut dropped = 0;
        open.counted.retain(|counted| {
            let drop = dropped < many && (counted.gone || many > MOST_REMEMBERED);
            dropped += usize::from(drop);
            !drop
        });
        if open.cells.size + open.pace.size > OPEN && open.aside.is_empty() {
            open.generation += 1;
            open.aside = std::mem::take(&mut open.cells);
            open.pace_aside = std::mem::take(&mut open.pace);
        }
        let expect = self.version.map_or(Expect::Absent, Expect::Version);
        self.version = Some(store.put(&open_name(&self.shard), open.pack(), expect).await?);
        Ok(())
    }

    /// These are in no outbox any more.
    pub(in crate::record) fn cleared(&mut self, entries: &[Entry]) {
        let gone: Ids = entries.iter().map(|entry| hash(&entry.id)).collect();
        for counted in &mut self.open.counted {
            counted.gone |= gone.contains(&counted.id);
        }
    }

    /// Adds what is set aside to the parts of its months. The next write of the document drops it there.
    pub(in crate::record) async fn put_aside(&mut self, store: &dyn Store) -> Result<(), Fault> {
        const TRIES: usize = 8;
        pace::put_aside(store, &self.shard, &self.open.pace_aside, self.open.generation).await?;
        let aside = std::mem::take(&mut self.open.aside);
        let mut months: Vec<(u32, std::ops::Range<u32>)> = Vec::new();
        for day in aside.by_key.keys().filter_map(|key| key.first()) {
            if months.last().is_none_or(|(_, days)| !days.contains(day)) {
                months.push(month(*day));
            }
        }
        for (month, days) in months {
            let mut tries = 0;
            while let Err(fault) = self.add_to(store, month, &aside, days.clone()).await {
                tries += 1;
                if fault.kind != FaultKind::Conflict || tries == TRIES {
                    self.open.aside = aside;
                    return Err(fault);
                }
            }
        }
        self.open.pace_aside = Cells::default();
        Ok(())
    }

    async fn add_to(
        &mut self,
        store: &dyn Store,
        month: u32,
        aside: &Cells,
        days: std::ops::Range<u32>,
    ) -> Result<(), Fault> {
        let known = self.open.months.iter_mut().find(|(known, _)| *known == month);
        let mut last = known.as_ref().map_or(0, |(_, last)| *last);
        loop {
            let name = part_name(&self.shard, month, last);
            let document = store.get(&name).await?;
            let (expect, mut part) = match &document {
                None => (Expect::Absent, Part::default()),
                Some(document) => (Expect::Version(document.version), Part::unpack(&document.bytes)?),
            };
            if part.generation < self.open.generation {
                // The next one may have been begun by somebody who died before this was noted.
                if document.is_some_and(|document| document.bytes.len() > FULL) {
                    last += 1;
                    continue;
                }
                part.generation = self.open.generation;
                part.cells.merge(aside, days);
                store.put(&name, part.pack(), expect).await?;
            }
            match known {
                Some(known) => known.1 = last,
                None => self.open.months.push((month, last)),
            }
            return Ok(());
        }
    }
}

impl Open {
    fn pack(&self) -> Bytes {
        let mut pack = Pack { bytes: vec![FORMAT] };
        pack.number(self.generation);
        pack.length(self.counted.len());
        for counted in &self.counted {
            pack.bytes.extend_from_slice(&counted.id.to_le_bytes());
        }
        pack.length(self.months.len());
        for (month, last) in &self.months {
            pack.number(u64::from(*month));
            pack.number(u64::from(*last));
        }
        for cells in [&self.cells, &self.aside, &self.pace, &self.pace_aside] {
            cells.pack(&mut pack);
        }
        pack.bytes.into()
    }

    fn unpack(bytes: &[u8]) -> Result<Self, Fault> {
        let (mut open, mut unpack) = Self::head(bytes)?;
        open.cells = Cells::unpack(&mut unpack)?;
        open.aside = Cells::unpack(&mut unpack)?;
        open.pace = pace::following(&mut unpack)?;
        open.pace_aside = pace::following(&mut unpack)?;
        Ok(open)
    }

    /// All but the sums, which follow.
    fn head(bytes: &[u8]) -> Result<(Self, Unpack<'_>), Fault> {
        let mut unpack = begin(bytes)?;
        let mut open = Self { generation: unpack.number()?, ..Self::default() };
        for _ in 0..unpack.length()? {
            let (id, rest) = unpack.rest.split_first_chunk().ok_or_else(broken)?;
            unpack.rest = rest;
            open.counted.push(Counted { id: u64::from_le_bytes(*id), gone: false });
        }
        for _ in 0..unpack.length()? {
            open.months.push((unpack.small()?, unpack.small()?));
        }
        Ok((open, unpack))
    }
}

/// What a part holds.
#[derive(Debug, Default)]
struct Part {
    /// The number of the last sums that were added.
    generation: u64,
    cells: Cells,
}

impl Part {
    fn pack(&self) -> Bytes {
        let mut pack = Pack { bytes: vec![FORMAT] };
        pack.number(self.generation);
        self.cells.pack(&mut pack);
        pack.bytes.into()
    }

    fn unpack(bytes: &[u8]) -> Result<Self, Fault> {
        let mut unpack = begin(bytes)?;
        Ok(Self { generation: unpack.number()?, cells: Cells::unpack(&mut unpack)? })
    }
}

/// The open document as a reader has it, and what it says of the parts.
#[derive(Debug)]
pub(super) struct Seen {
    bytes: Bytes,
    /// The number of the sums that are set aside.
    pub(super) generation: u64,
    pub(super) months: Vec<(u32, u32)>,
    /// The months whose parts have not had what is set aside.
    behind: Vec<u32>,
}

impl Seen {
    pub(super) async fn read(store: &dyn Store, shard: &ShardId) -> Result<Option<Self>, Fault> {
        let Some(document) = store.get(&open_name(shard)).await? else { return Ok(None) };
        let (Open { generation, months, .. }, _) = Open::head(&document.bytes)?;
        let behind = Vec::new();
        Ok(Some(Self { bytes: document.bytes, generation, months, behind }))
    }

    /// Reads one part. [`FaultKind::Conflict`]: it has more than this document knows, which is to be read anew.
    pub(super) fn part(
        &mut self,
        month: u32,
        place: u32,
        bytes: &[u8],
        each: &mut Each<'_>,
    ) -> Result<(), Fault> {
        let mut unpack = begin(bytes)?;
        let generation = unpack.number()?;
        if generation > self.generation {
            return Err(Fault::new(FaultKind::Conflict, "spend.read", "sums were flushed meanwhile"));
        }
        if generation < self.generation && self.months.contains(&(month, place)) {
            self.behind.push(month);
        }
        visit(&mut unpack, each).map(drop)
    }

    /// Reads what no part has, once all parts are read.
    pub(super) fn rest(&self, each: &mut Each<'_>) -> Result<(), Fault> {
        let (_, mut unpack) = Open::head(&self.bytes)?;
        visit(&mut unpack, each)?;
        let known = |day: u32| {
            let month = month(day).0;
            self.months.iter().any(|(known, _)| *known == month) && !self.behind.contains(&month)
        };
        let mut aside = |names: &[&str], key: &[u32], sums: &Sums| {
            if !key.first().is_some_and(|day| known(*day)) {
                each(names, key, sums);
            }
        };
        visit(&mut unpack, &mut aside).map(drop)
    }

    /// Reads sums by the minute that no slot has. `has`: the slots of this minute have what is set aside.
    pub(super) fn minutes(
        &self,
        has: &(dyn Fn(u32) -> bool + Sync),
        each: &mut Each<'_>,
    ) -> Result<(), Fault> {
        let (_, mut unpack) = Open::head(&self.bytes)?;
        for _ in 0..2 {
            visit(&mut unpack, &mut |_, _, _| {})?;
        }
        if unpack.rest.is_empty() {
            return Ok(());
        }
        visit(&mut unpack, each)?;
        let mut aside = |names: &[&str], key: &[u32], sums: &Sums| {
            if !key.first().is_some_and(|minute| has(*minute)) {
                each(names, key, sums);
            }
        };
        visit(&mut unpack, &mut aside).map(drop)
    }
}

/// What a document begins with.
pub(super) fn head() -> Vec<u8> {
    vec![FORMAT]
}

pub(super) fn begin(bytes: &[u8]) -> Result<Unpack<'_>, Fault> {
    match bytes.split_first() {
        Some((&FORMAT, rest)) => Ok(Unpack { rest }),
        _ => Err(broken()),
    }
}

fn open_name(shard: &ShardId) -> String {
    format!("{EXACT}spend/{shard}/open")
}

pub(super) fn part_name(shard: &ShardId, month: u32, place: u32) -> String {
    format!("{EXACT}spend/{shard}/{:04}-{:02}/{place:06}", 1970 + month / 12, month % 12 + 1)
}

/// The month of a day, counted from January 1970, and its days.
pub(super) fn month(day: u32) -> (u32, std::ops::Range<u32>) {
    const DAY: i64 = 86_400;
    let Civil { year, month, .. } = Timestamp::from_seconds(i64::from(day) * DAY).utc();
    let begins = |month| Civil::month_begins(year, month).map_or(0, |second| second / DAY);
    let days = |month| u32::try_from(begins(month)).unwrap_or(0);
    (u32::try_from((year - 1970) * 12 + month - 1).unwrap_or(0), days(month)..days(month + 1))
}

/// Ids by their hashes, which are hashed no further.
type Ids = HashSet<u64, BuildHasherDefault<Hashed>>;

#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0.rotate_left(8) ^ u64::from(*byte));
        }
    }
}

/// FNV-1a: an id has eighty bits of chance already.
fn hash(id: &str) -> u64 {
    id.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use futures_executor::block_on;

    use super::super::{MOST_READS, Question, report};
    use super::*;
    use crate::port::memory::ports;

    #[test]
    fn a_report_reads_no_more_documents_than_its_bound() {
        let (ports, _) = ports();
        let shard = ShardId::main();
        let most = u32::try_from(MOST_READS).unwrap();
        let ask = |parts: u32| {
            // January 2026.
            let month = 56 * 12;
            let open = Open { months: vec![(month, parts - 1)], ..Open::default() };
            block_on(ports.store.put(&open_name(&shard), open.pack(), Expect::Anything)).unwrap();
            for place in 0..parts {
                let name = part_name(&shard, month, place);
                block_on(ports.store.put(&name, Part::default().pack(), Expect::Anything)).unwrap();
            }
            let question =
                Question { days: 0..=30_000, finer: None, by: Vec::new(), only: Vec::new(), most: 10 };
            let report = block_on(report(&ports, &shard, &question)).unwrap();
            (report.reads, report.too_many)
        };
        assert_eq!(ask(2), (3, false));
        assert_eq!(ask(most - 1), (MOST_READS, false));
        assert_eq!(ask(most), (1, true), "it says so before it has read them");
    }
}
