//! From entries to bytes.
#![expect(
    clippy::cast_possible_truncation,
    reason = "ids and names of services have at most 255 bytes: the text's reader sees to it"
)]

use std::collections::{BTreeMap, HashMap};

use crate::entry::{Entry, Price, Rates, Schedule};
use crate::number::{distance, put, put_round};
use crate::table::{BLOCK, CRC, HEADER, MAGIC, PROVIDER};

/// The bytes that [`Table`](crate::Table) searches: what each provider's models are, ids sorted. Equal entries give equal
/// bytes.
pub fn pack(providers: &BTreeMap<String, Vec<Entry>>) -> Vec<u8> {
    let mut parts = Parts::default();
    let mut index = Vec::new();
    for (name, entries) in providers {
        for number in [parts.names.len(), name.len(), parts.blocks.len() / 4, entries.len()] {
            index.extend(small(number).to_le_bytes());
        }
        parts.names.extend(name.as_bytes());
        let mut before = "";
        for (place, entry) in entries.iter().enumerate() {
            if place % BLOCK == 0 {
                let start = small(parts.models.len());
                parts.blocks.extend(start.to_le_bytes());
                before = "";
                parts.last = [0; 2];
            }
            parts.model(before, entry);
            before = &entry.id;
        }
    }
    debug_assert_eq!(index.len(), providers.len() * PROVIDER);
    let mut out = Vec::from(MAGIC);
    let sections =
        [&index, &parts.names, &parts.blocks, &parts.models, &parts.facts.bytes, &parts.prices.bytes];
    for section in sections {
        out.extend(small(section.len()).to_le_bytes());
    }
    debug_assert_eq!(out.len(), HEADER);
    for section in sections {
        out.extend(section);
    }
    out.extend(CRC.checksum(&out).to_le_bytes());
    out
}

fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[derive(Default)]
struct Parts {
    names: Vec<u8>,
    blocks: Vec<u8>,
    models: Vec<u8>,
    facts: Once,
    prices: Once,
    /// Where the facts and the prices of the block's model before are.
    last: [u64; 2],
}

impl Parts {
    fn model(&mut self, before: &str, entry: &Entry) {
        let shared =
            before.bytes().zip(entry.id.bytes()).take_while(|(one, other)| one == other).count().min(255);
        let rest = entry.id.as_bytes().get(shared..).unwrap_or_default();
        self.models.extend([shared as u8, rest.len() as u8]);
        self.models.extend(rest);
        let mut facts = vec![entry.mode.code()];
        put(&mut facts, entry.capabilities.bits());
        for size in [entry.context, entry.max_output, entry.dimensions] {
            put_round(&mut facts, size);
        }
        let [last_facts, last_prices] = &mut self.last;
        let place = self.facts.place(facts);
        put(&mut self.models, distance(*last_facts, place));
        *last_facts = place;
        match entry.prices.as_slice() {
            [] => put(&mut self.models, 0),
            prices => {
                let place = self.prices.place(packed(prices));
                put(&mut self.models, 1 + distance(*last_prices, place));
                *last_prices = place;
            }
        }
        put(&mut self.models, entry.ends.map_or(0, |day| u64::from(day.0) + 1));
    }
}

fn packed(prices: &[Price]) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, prices.len() as u64);
    for price in prices {
        put(&mut out, price.from.map_or(0, |day| u64::from(day.0) + 1));
        put(&mut out, price.services.len() as u64);
        schedule(&mut out, &price.standard);
        for (name, service) in &price.services {
            out.push(name.len() as u8);
            out.extend(name.as_bytes());
            schedule(&mut out, service);
        }
    }
    out
}

fn schedule(out: &mut Vec<u8>, schedule: &Schedule) {
    rates(out, &schedule.rates);
    put(out, schedule.tiers.len() as u64);
    for (mark, tier) in &schedule.tiers {
        put_round(out, *mark);
        rates(out, tier);
    }
}

fn rates(out: &mut Vec<u8>, rates: &Rates) {
    put(out, rates.len() as u64);
    for (meter, rate) in rates {
        out.push(meter.code());
        put_round(out, *rate);
    }
}

/// Bytes in which no two records are the same.
#[derive(Default)]
struct Once {
    bytes: Vec<u8>,
    places: HashMap<Vec<u8>, u64>,
}

impl Once {
    fn place(&mut self, record: Vec<u8>) -> u64 {
        if let Some(place) = self.places.get(&record) {
            return *place;
        }
        let place = self.bytes.len() as u64;
        self.bytes.extend(&record);
        self.places.insert(record, place);
        place
    }
}
