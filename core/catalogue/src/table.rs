//! The bytes: searched where they lie, nothing is parsed that was not asked for.
//!
//! ```text
//! magic, version            8 bytes
//! length of each section    6 x u32, little-endian
//! providers                 16 bytes each, sorted by name: name's place and length, first block, count of models
//! names                     the providers' names
//! blocks                    u32 each: where a block of up to 16 models begins; no block spans two providers
//! models                    bytes shared with the id before, length of the rest, the rest; then, as numbers, how far
//!                           its facts are from those of the model before, one more than how far its prices are from the
//!                           last ones (0: none), one more than the day it ends (0: none). A block's first id shares
//!                           nothing, and its distances are from the beginning. Distances have their sign in the lowest bit:
//!                           neighbours are alike, so most of them are short, or the same.
//! facts                     mode, capabilities, context, output, dimensions; equal ones stand once
//! prices                    see `prices` below; equal ones stand once
//! CRC-32                    u32, little-endian, of all before it
//! ```
//!
//! Bytes from elsewhere may be anything: whatever is read out of them is checked against their ends.

use std::cmp::Ordering;
use std::ops::Range;

use crc::{CRC_32_ISO_HDLC, Crc, Table as Lookup};

use crate::entry::{Day, Entry, Price, Rates, Schedule};
use crate::number::{Reader, moved};
use crate::words::{Capabilities, Meter, Mode};

/// Seven bytes that say what it is, and the version of the layout and of the words' order.
pub(crate) const MAGIC: [u8; 8] = *b"gatecat\x02";
/// One table of a kilobyte: what is faster carries sixteen of them.
pub(crate) const CRC: Crc<u32, Lookup<1>> = Crc::<u32, Lookup<1>>::new(&CRC_32_ISO_HDLC);
pub(crate) const HEADER: usize = MAGIC.len() + 6 * 4;
const CHECKSUM: usize = 4;
pub(crate) const PROVIDER: usize = 16;
/// Models in a block: what a look-up reads one by one, after a binary search over blocks.
pub(crate) const BLOCK: usize = 16;

/// A catalogue in its packed form. A copy is a look at the same bytes.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    providers: &'a [u8],
    names: &'a [u8],
    blocks: &'a [u8],
    models: &'a [u8],
    facts: &'a [u8],
    prices: &'a [u8],
}

/// The bytes are no catalogue, or one of another version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("damaged, no catalogue, or one of another version")]
pub struct NotACatalogue;

/// A provider's place in the table.
#[derive(Clone, Copy, Debug)]
struct Place {
    first_block: usize,
    models: usize,
}

/// One model where it lies.
#[derive(Clone)]
struct Row<'a> {
    reader: Reader<'a>,
    /// Where the facts and the prices of the model before are.
    facts: u64,
    prices: u64,
}

impl<'a> Table<'a> {
    /// Takes the sections apart; costs nothing that grows with their length.
    pub fn new(bytes: &'a [u8]) -> Result<Self, NotACatalogue> {
        let mut rest = bytes.strip_prefix(&MAGIC).ok_or(NotACatalogue)?;
        let mut lengths = [0_usize; 6];
        for length in &mut lengths {
            let (number, after) = rest.split_first_chunk::<4>().ok_or(NotACatalogue)?;
            *length = u32::from_le_bytes(*number) as usize;
            rest = after;
        }
        let mut sections = [&[][..]; 6];
        for (section, length) in sections.iter_mut().zip(lengths) {
            (*section, rest) = rest.split_at_checked(length).ok_or(NotACatalogue)?;
        }
        let [providers, names, blocks, models, facts, prices] = sections;
        if rest.len() != CHECKSUM || !providers.len().is_multiple_of(PROVIDER) {
            return Err(NotACatalogue);
        }
        Ok(Self { providers, names, blocks, models, facts, prices })
    }

    /// As [`new`](Self::new), for bytes that have travelled: reads them all, to see that they are whole.
    pub fn checked(bytes: &'a [u8]) -> Result<Self, NotACatalogue> {
        let table = Self::new(bytes)?;
        let (rest, sum) = bytes.split_last_chunk::<CHECKSUM>().ok_or(NotACatalogue)?;
        if CRC.checksum(rest) == u32::from_le_bytes(*sum) { Ok(table) } else { Err(NotACatalogue) }
    }

    /// What is known of a model.
    pub fn find(&self, provider: &str, id: &str) -> Option<Entry> {
        let place = self.place(provider)?;
        let blocks = place.first_block..place.first_block + place.models.div_ceil(BLOCK);
        // The last block that begins at or before the id.
        let after = partition(blocks.clone(), |block| {
            self.first_id(block).is_some_and(|first| first <= id.as_bytes())
        });
        let block = after.checked_sub(1).filter(|block| blocks.contains(block))?;
        let count = (place.models - (block - place.first_block) * BLOCK).min(BLOCK);
        let mut row = Row::first(self.block(block)?);
        let mut name = Vec::new();
        for _ in 0..count {
            row.id(&mut name)?;
            match name.as_slice().cmp(id.as_bytes()) {
                Ordering::Less => row.skip()?,
                Ordering::Equal => return row.entry(self, id.to_owned()),
                Ordering::Greater => return None,
            }
        }
        None
    }

    /// The names of all providers that have models here, sorted.
    pub fn providers(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let table = *self;
        (0..table.providers.len() / PROVIDER).filter_map(move |at| table.name(at))
    }

    pub fn has_provider(&self, provider: &str) -> bool {
        self.place(provider).is_some()
    }

    /// The ids of a provider's models, sorted.
    pub fn ids(&self, provider: &str) -> impl Iterator<Item = String> + use<'a> {
        self.rows(provider).map(|(id, _)| id)
    }

    /// All that is known of a provider's models, sorted by id.
    pub fn entries(&self, provider: &str) -> impl Iterator<Item = Entry> + use<'a> {
        let table = *self;
        self.rows(provider).filter_map(move |(id, mut row)| row.entry(&table, id))
    }

    fn rows(&self, provider: &str) -> impl Iterator<Item = (String, Row<'a>)> + use<'a> {
        let table = *self;
        let place = self.place(provider).unwrap_or(Place { first_block: 0, models: 0 });
        let (mut name, mut row) = (Vec::new(), None);
        (0..place.models).map_while(move |at| {
            if at % BLOCK == 0 {
                row = Some(Row::first(table.block(place.first_block + at / BLOCK)?));
            }
            let row = row.as_mut()?;
            row.id(&mut name)?;
            let here = row.clone();
            row.skip()?;
            Some((String::from_utf8(name.clone()).ok()?, here))
        })
    }

    fn place(&self, provider: &str) -> Option<Place> {
        let count = self.providers.len() / PROVIDER;
        let at = partition(0..count, |at| self.name(at).is_some_and(|name| name < provider));
        (self.name(at)? == provider).then_some(())?;
        let row = self.providers.get(at * PROVIDER..)?;
        Some(Place { first_block: number(row, 2)?, models: number(row, 3)? })
    }

    fn name(&self, at: usize) -> Option<&'a str> {
        let row = self.providers.get(at * PROVIDER..)?;
        let start = number(row, 0)?;
        std::str::from_utf8(self.names.get(start..start.checked_add(number(row, 1)?)?)?).ok()
    }

    fn block(&self, block: usize) -> Option<Reader<'a>> {
        Some(Reader(self.models.get(number(self.blocks, block)?..)?))
    }

    fn first_id(&self, block: usize) -> Option<&'a [u8]> {
        let mut reader = self.block(block)?;
        let _nothing_shared = reader.byte()?;
        let length = reader.byte()?;
        reader.bytes(length.into())
    }
}

/// The `at`th little-endian number of four bytes.
fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let (number, _) = bytes.get(at.checked_mul(4)?..)?.split_first_chunk::<4>()?;
    Some(u32::from_le_bytes(*number) as usize)
}

/// The first place of `range` for which `before` does not hold; it holds for all that stand before that one.
fn partition(range: Range<usize>, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (range.start, range.end);
    while low < high {
        let middle = low + (high - low) / 2;
        if before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

impl<'a> Row<'a> {
    /// A block's first.
    fn first(reader: Reader<'a>) -> Self {
        Self { reader, facts: 0, prices: 0 }
    }

    /// Makes `name`, which is the id before, this one.
    fn id(&mut self, name: &mut Vec<u8>) -> Option<()> {
        let (shared, rest) = (self.reader.byte()?, self.reader.byte()?);
        name.truncate(shared.into());
        name.extend(self.reader.bytes(rest.into())?);
        Some(())
    }

    fn skip(&mut self) -> Option<()> {
        self.places()?;
        self.reader.number().map(drop)
    }

    /// Where its facts are, and its prices if it has any.
    fn places(&mut self) -> Option<(u64, Option<u64>)> {
        self.facts = moved(self.facts, self.reader.number()?)?;
        let Some(far) = self.reader.number()?.checked_sub(1) else { return Some((self.facts, None)) };
        self.prices = moved(self.prices, far)?;
        Some((self.facts, Some(self.prices)))
    }

    fn entry(&mut self, table: &Table<'_>, id: String) -> Option<Entry> {
        let at = |bytes: &'_ [u8], place: u64| usize::try_from(place).ok().filter(|at| *at < bytes.len());
        let (facts, place) = self.places()?;
        let mut facts = Reader(table.facts.get(at(table.facts, facts)?..)?);
        let mode = Mode::from_code(facts.byte()?)?;
        let capabilities = Capabilities::from_bits(facts.number()?);
        let (context, max_output, dimensions) = (facts.round()?, facts.round()?, facts.round()?);
        let prices = match place {
            Some(place) => prices(&mut Reader(table.prices.get(at(table.prices, place)?..)?))?,
            None => Vec::new(),
        };
        let ends = day(self.reader.number()?);
        Some(Entry { id, mode, context, max_output, dimensions, capabilities, ends, prices })
    }
}

/// Count of prices; each: one more than its first day, count of services, the standard schedule, the services with their
/// names. A schedule: rates, count of tiers, each a mark and rates. Rates: their count, each a meter and a round number.
fn prices(reader: &mut Reader<'_>) -> Option<Vec<Price>> {
    let mut prices = Vec::new();
    for _ in 0..reader.number()? {
        let (from, services) = (day(reader.number()?), reader.number()?);
        let mut price = Price { from, standard: schedule(reader)?, services: Vec::new() };
        for _ in 0..services {
            let length = reader.byte()?;
            let name = std::str::from_utf8(reader.bytes(length.into())?).ok()?;
            price.services.push((name.to_owned(), schedule(reader)?));
        }
        prices.push(price);
    }
    Some(prices)
}

fn schedule(reader: &mut Reader<'_>) -> Option<Schedule> {
    let rates_ = rates(reader)?;
    let mut tiers = Vec::new();
    for _ in 0..reader.number()? {
        tiers.push((reader.round()?, rates(reader)?));
    }
    Some(Schedule { rates: rates_, tiers })
}

fn rates(reader: &mut Reader<'_>) -> Option<Rates> {
    let mut rates = Rates::new();
    for _ in 0..reader.number()? {
        rates.push((Meter::from_code(reader.byte()?)?, reader.round()?));
    }
    Some(rates)
}

/// A day that is written as one more than itself; nought is none.
fn day(number: u64) -> Option<Day> {
    u32::try_from(number).ok()?.checked_sub(1).map(Day)
}

#[cfg(test)]
mod tests;
