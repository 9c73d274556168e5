//! The text: one line a model, so that a change of a price is a change of a word.
//!
//! ```text
//! # A comment. Then: id, mode, sizes, capabilities; behind each bar a set of rates.
//! gpt-5.4 chat context=1050000 output=128000 tools vision | input 2.5 output 15 | >272000 input 5 output 22.5 | flex input 1.25 output 7.5 | flex>272000 input 2.5
//! dall-e-2 image until=2026-05-12 | picture 0.02
//! of-tomorrow chat | input 1 output 2 | from=2027-01-01 | input 2 output 4
//! ```
//!
//! `until` is the day on which the model is shut down. The first set is the standard price; one with a mark (`>272000`)
//! holds where the prompt has more tokens than that; one with a word is a service tier's. After `from=<day>` follow the
//! sets that hold from that day on. Rates are US dollars: tokens, characters and pixels by the million, all else by one.
//! What a tier or a service leaves out is as in the standard price.

use std::fmt::Write as _;

use crate::entry::{Day, Entry, Price, Rates, Schedule};
use crate::number::{dollars, picos};
use crate::words::{Capabilities, Capability, Meter, Mode};

/// Reads a file of models.
///
/// # Errors
/// The number of each wrong line, and what was expected there.
pub fn read(text: &str) -> Result<Vec<Entry>, Vec<(usize, String)>> {
    let (mut entries, mut problems) = (Vec::<Entry>::new(), Vec::new());
    for (number, line) in (1..).zip(text.lines()) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match entry(line) {
            Ok(entry) if entries.last().is_some_and(|last| last.id >= entry.id) => {
                problems
                    .push((number, format!("`{}` does not stand in the order of ids, each once", entry.id)));
            }
            Ok(entry) => entries.push(entry),
            Err(problem) => problems.push((number, problem)),
        }
    }
    if problems.is_empty() { Ok(entries) } else { Err(problems) }
}

/// Reads one line.
pub fn entry(line: &str) -> Result<Entry, String> {
    let mut sets = line.split('|');
    let mut entry = facts(sets.next().unwrap_or(""))?;
    for set in sets {
        let mut words = set.split_ascii_whitespace().peekable();
        let first = words.peek().copied().ok_or("expected rates behind the bar")?;
        if let Some(day) = first.strip_prefix("from=") {
            let from = Day::read(day).ok_or_else(|| format!("`{day}` is no day such as 2026-12-31"))?;
            if entry.prices.last().is_none_or(|last| last.from >= Some(from)) {
                return Err(format!("from={from}: expected a later day than the price before"));
            }
            entry.prices.push(Price { from: Some(from), ..Price::default() });
            continue;
        }
        if entry.prices.is_empty() {
            entry.prices.push(Price::default());
        }
        let (mut name, mut mark) = ("", None);
        if Meter::from_word(first).is_none() {
            words.next();
            (name, mark) = first.split_once('>').map_or((first, None), |(name, mark)| (name, Some(mark)));
        }
        let number = |mark: &str| mark.parse().map_err(|_| format!("`{mark}` is no number of tokens"));
        let mark = mark.map(number).transpose()?;
        let rates = rates(words)?;
        let unpriced = entry.prices.last().is_none_or(|price| price.standard.rates.is_empty());
        if unpriced && !(name.is_empty() && mark.is_none()) {
            return Err(format!("`{first}` before the standard price"));
        }
        if let Some(price) = entry.prices.last_mut() {
            place(price, name, mark, rates)?;
        }
    }
    Ok(entry)
}

/// Puts a set of rates where its first word says.
fn place(price: &mut Price, name: &str, mark: Option<u64>, rates: Rates) -> Result<(), String> {
    let schedule = if name.is_empty() {
        &mut price.standard
    } else {
        if name.len() > 64 {
            return Err(format!("`{name}` is no name of a service"));
        }
        let found = price.services.iter().position(|(known, _)| known == name);
        let at = found.unwrap_or_else(|| {
            price.services.push((name.to_owned(), Schedule::default()));
            price.services.len() - 1
        });
        match price.services.get_mut(at) {
            Some((_, schedule)) => schedule,
            None => return Ok(()),
        }
    };
    match mark {
        None if schedule.rates.is_empty() => schedule.rates = rates,
        None => {
            return Err(format!(
                "two sets of rates for {}",
                if name.is_empty() { "the standard price" } else { name }
            ));
        }
        Some(mark) if schedule.tiers.last().is_none_or(|(last, _)| *last < mark) => {
            schedule.tiers.push((mark, rates));
        }
        Some(mark) => return Err(format!(">{mark}: expected a higher mark than the one before")),
    }
    Ok(())
}

fn facts(text: &str) -> Result<Entry, String> {
    let mut words = text.split_ascii_whitespace();
    let id = words.next().ok_or("expected a model's id")?;
    if id.len() > 255 {
        return Err("expected an id of at most 255 bytes".to_owned());
    }
    let mode = words.next().ok_or("expected a mode after the id")?;
    let mode = Mode::from_word(mode)
        .ok_or_else(|| unknown("mode", mode, Mode::ALL.iter().map(|mode| mode.word())))?;
    let mut entry = Entry {
        id: id.to_owned(),
        mode,
        context: 0,
        max_output: 0,
        dimensions: 0,
        capabilities: Capabilities::default(),
        ends: None,
        prices: Vec::new(),
    };
    for word in words {
        let Some((name, value)) = word.split_once('=') else {
            let known = Capability::from_word(word).ok_or_else(|| {
                unknown("capability", word, Capability::ALL.iter().map(|known| known.word()))
            })?;
            entry.capabilities = entry.capabilities.with(known);
            continue;
        };
        let number = || value.parse().map_err(|_| format!("{name}: `{value}` is no number"));
        match name {
            "context" => entry.context = number()?,
            "output" => entry.max_output = number()?,
            "dimensions" => entry.dimensions = number()?,
            "until" => {
                entry.ends =
                    Some(Day::read(value).ok_or_else(|| format!("`{value}` is no day such as 2026-12-31"))?);
            }
            _ => return Err(unknown("word", name, ["context", "output", "dimensions", "until"].into_iter())),
        }
    }
    Ok(entry)
}

fn rates<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<Rates, String> {
    let mut rates = Rates::new();
    while let Some(word) = words.next() {
        let meter = Meter::from_word(word)
            .ok_or_else(|| unknown("rate", word, Meter::ALL.iter().map(|meter| meter.word())))?;
        let text = words.next().ok_or_else(|| format!("{word}: expected US dollars behind it"))?;
        let rate = picos(text, meter.places()).ok_or_else(|| {
            format!("{word}: `{text}` is not a decimal number that is exact in pico-dollars")
        })?;
        if rates.iter().any(|(known, _)| *known == meter) {
            return Err(format!("{word} stands twice"));
        }
        rates.push((meter, rate));
    }
    if rates.is_empty() {
        return Err("expected rates".to_owned());
    }
    rates.sort_unstable();
    Ok(rates)
}

fn unknown<'a>(what: &str, word: &str, known: impl Iterator<Item = &'a str>) -> String {
    format!("unknown {what} `{word}`: expected one of {}", known.collect::<Vec<_>>().join(", "))
}

/// Writes one line, without its end.
pub fn line(entry: &Entry) -> String {
    let mut out = format!("{} {}", entry.id, entry.mode.word());
    for (name, value) in
        [("context", entry.context), ("output", entry.max_output), ("dimensions", entry.dimensions)]
    {
        if value > 0 {
            let _ = write!(out, " {name}={value}");
        }
    }
    if let Some(day) = entry.ends {
        let _ = write!(out, " until={day}");
    }
    for capability in entry.capabilities.iter() {
        let _ = write!(out, " {}", capability.word());
    }
    for price in &entry.prices {
        if let Some(from) = price.from {
            let _ = write!(out, " | from={from}");
        }
        schedule(&mut out, "", &price.standard);
        for (name, service) in &price.services {
            schedule(&mut out, name, service);
        }
    }
    out
}

fn schedule(out: &mut String, name: &str, schedule: &Schedule) {
    let mut set = |head: String, rates: &Rates| {
        if rates.is_empty() {
            return;
        }
        let _ = write!(out, " |{head}");
        for (meter, rate) in rates {
            let _ = write!(out, " {} {}", meter.word(), dollars(*rate, meter.places()));
        }
    };
    set(if name.is_empty() { String::new() } else { format!(" {name}") }, &schedule.rates);
    for (mark, rates) in &schedule.tiers {
        set(format!(" {name}>{mark}"), rates);
    }
}

#[cfg(test)]
mod tests;
