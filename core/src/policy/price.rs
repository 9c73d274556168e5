//! Prices of a target: rates, tiers above marks, and services with theirs.

use super::read::{At, Fields, Reader};
use crate::domain::Rate;
use crate::domain::money::decimal;
use crate::registry::{Meter, Per, Price, Rates, Tiers};

pub(super) const PRICE: [&str; 3] = ["per", "tiers", "services"];
pub(super) const TIER: [&str; 1] = ["over"];

/// Rates, tiers above marks, and services with theirs.
pub(super) fn price(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Price> {
    let fields = reader.fields(at, &[&PRICE[..], &meters()].concat(), &[])?;
    let per = |text: &str| match text {
        "1M" => Some(6),
        "1K" => Some(9),
        "1" => Some(12),
        _ => None,
    };
    let places = fields.get("per").map_or(Some(6), |at| reader.parsed(at, "1M, 1K or 1", per));
    let rates = rates(reader, &fields, places.unwrap_or(6));
    let says = |meter: Meter| fields.get(meter.word()).is_some();
    let other = |meter: &Meter| meter.per() == Per::One || *meter >= Meter::CharacterInput;
    // Half a price for a conversation is a mistake; what is billed by the picture needs no tokens.
    let whole = match (says(Meter::Input), says(Meter::Output)) {
        (true, true) => true,
        (false, false) => Meter::ALL.iter().filter(|meter| other(meter)).any(|meter| says(*meter)),
        (true, false) | (false, true) => false,
    };
    if !whole {
        reader.note(&fields.spot, "expected at least `input` and `output`, or a rate of another kind");
        return None;
    }
    let (places, rates) = (places?, rates?);
    let mut services = Vec::new();
    for (name, at) in fields.get("services").and_then(|at| reader.entries(at)).unwrap_or_default() {
        let known = [&["tiers"][..], &meters()].concat();
        let fields = reader.fields(&at, &known, &[])?;
        let rates = self::rates(reader, &fields, places)?;
        services.push((name.into(), rates, tiers(reader, &fields, places)?));
    }
    Some(Price::tiered(&rates, tiers(reader, &fields, places)?, services))
}

pub(super) fn meters() -> Vec<&'static str> {
    Meter::ALL.iter().map(|meter| meter.word()).collect()
}

/// None where one of them is wrong.
fn rates(reader: &mut Reader<'_>, fields: &Fields<'_>, places: u32) -> Option<Rates> {
    let mut rates = Vec::new();
    let mut sound = true;
    for meter in Meter::ALL {
        let Some(at) = fields.get(meter.word()) else { continue };
        let places = match meter.per() {
            Per::Million => places,
            // Searches, requests, pictures and seconds are priced one by one, whatever tokens are priced by.
            Per::One => 12,
        };
        let expected = format!("US dollars with at most {places} decimal places, such as \"0.25\"");
        match reader.parsed(at, &expected, |text| decimal(text, places)) {
            Some(picos) => rates.push((*meter, Rate::from_picos(picos))),
            None => sound = false,
        }
    }
    sound.then(|| rates.into_iter().collect())
}

fn tiers(reader: &mut Reader<'_>, fields: &Fields<'_>, places: u32) -> Option<Tiers> {
    let mut tiers = Tiers::new();
    for at in fields.get("tiers").map(At::list).unwrap_or_default() {
        let fields = reader.fields(&at, &[&TIER[..], &meters()].concat(), &[])?;
        let Some(over) = fields.get("over") else {
            reader.note(&fields.spot, "expected `over`, the number of tokens above which it holds");
            return None;
        };
        let after = tiers.last().map(|(over, _)| *over);
        let mark =
            |text: &str| text.parse::<u64>().ok().filter(|mark| after.is_none_or(|after| *mark > after));
        let over = reader.parsed(over, "a number of tokens above that of the tier before", mark)?;
        tiers.push((over, rates(reader, &fields, places)?));
    }
    Some(tiers)
}
