//! Postal addresses: a street with its number, in the order of seven languages, with what follows of postcode and town; boxes.

use crate::Kind;
use crate::bytes::{at, before, joins, part, run};
use crate::walk::{Walk, Word};
use crate::words::{self, Senses};

/// Words of a street's name, at most.
const WORDS: usize = 6;

/// Called at a word with digits alone: `12 rue de la Paix`, `123 North Main Street`, `10115 Berlin`.
pub(crate) fn numbered(walk: &mut Walk<'_>, start: usize, end: usize) {
    let text = walk.text;
    if !walk.wanted.has(Kind::Address) || glued(text, start) {
        return;
    }
    if end - start == 5 {
        let (town, stop) = word(text, end + 1);
        if at(text, end) == b' ' && capital(text, end + 1) && town.meets(Senses::PLACE) {
            walk.find(Kind::Address, "address", start, stop, 60);
            return;
        }
    }
    if end - start > 5 {
        return;
    }
    let mut place = end + usize::from(at(text, end).is_ascii_alphabetic());
    place = skip(text, place, &[b" bis", b" ter"]);
    place = skip(text, place, &[b", ", b" "]);
    if before(text, place) != b' ' {
        return;
    }
    let (first, stop) = word(text, place);
    // The type first, as in French.
    if first.meets(Senses::STREET_FIRST) && at(text, stop) == b' ' {
        if let Some(end) = name(text, stop + 1) {
            found(walk, start, end, 80);
        }
        return;
    }
    if let Some((end, sure)) = typed_last(text, place)
        && (sure || in_town(text, end))
    {
        found(walk, start, end, 80);
    }
}

/// Where a street ends that says last what it is, as in English; and whether it is one for sure: `2024 Summer Camp` is one
/// if there is a town behind it.
fn typed_last(text: &[u8], start: usize) -> Option<(usize, bool)> {
    let (mut stop, mut count) = (start, 0);
    while count < WORDS && capital(text, stop) {
        let (senses, end) = word(text, stop);
        // `Parkways`
        let one = words::senses(words::hash(part(text, stop, end.max(1) - 1)));
        count += 1;
        let sure = senses.meets(Senses::STREET_LAST)
            || (before(text, end) == b's' && one.meets(Senses::STREET_LAST));
        if count > 1 && (sure || senses.meets(Senses::STREET_PERHAPS)) {
            return Some((end + usize::from(at(text, end) == b'.' && end - stop < 5), sure));
        }
        if at(text, end) != b' ' {
            return None;
        }
        stop = end + 1;
    }
    None
}

/// Called at a word without digits: `Calle Mayor 5`, `Hauptstraße 12a`, `PO Box 7`.
pub(crate) fn named(walk: &mut Walk<'_>, word: &Word) {
    /// Ends of words for streets, in German and in Dutch.
    const ENDS: [&[u8]; 21] = [
        "straße".as_bytes(),
        b"strasse",
        b"str",
        b"gasse",
        b"allee",
        b"chaussee",
        b"weg",
        b"platz",
        b"ring",
        b"straat",
        b"laan",
        b"gracht",
        b"plein",
        b"steeg",
        b"kade",
        b"singel",
        b"boulevard",
        b"dijk",
        b"dreef",
        b"pad",
        b"hof",
    ];
    const SURE: [&[u8]; 11] = [
        "straße".as_bytes(),
        b"strasse",
        b"str",
        b"gasse",
        b"allee",
        b"straat",
        b"laan",
        b"gracht",
        b"steeg",
        b"singel",
        b"boulevard",
    ];
    let text = walk.text;
    // French writes `rue` small.
    let first = word.senses.meets(Senses::STREET_FIRST) && at(text, word.end) == b' ';
    if !walk.wanted.has(Kind::Address) || !(first || capital(text, word.start)) {
        return;
    }
    let written = part(text, word.start, word.end);
    if let Some(end) = box_of(text, word.start) {
        walk.find(Kind::Address, "address", word.start, end, 85);
    } else if let Some((end, _)) = room(text, word).and_then(|street| typed_last(text, street)) {
        if in_town(text, end) {
            found(walk, word.start, end, 80);
        }
    } else if first {
        if let Some(street) = name(text, word.end + 1) {
            // Without a number, `rue de Rivoli, 75001 Paris`, it is where the post goes if there is a town behind it.
            let (end, bare) = number(text, street).map_or((street, true), |end| (end, false));
            if (!bare && capital(text, word.start)) || in_town(text, end) {
                found(walk, word.start, end, 80);
            }
        }
    } else if ENDS.iter().any(|end| ends(written, end)) {
        let dot = usize::from(at(text, word.end) == b'.' && ends(written, b"str"));
        // `Parkplatz 3` and `Ausweg 2` are none: a street for sure is what ends so, has a name before a hyphen, or a town behind it.
        let sure = before(text, word.start) == b'-' || SURE.iter().any(|end| ends(written, end));
        if let Some(end) = number(text, word.end + dot) {
            let first = joined(text, word.start);
            let whole = town(text, rooms(text, end));
            if sure || whole > end {
                walk.find(Kind::Address, "address", first, whole, 80);
            }
        }
    }
}

fn found(walk: &mut Walk<'_>, start: usize, end: usize, score: u8) {
    let end = town(walk.text, rooms(walk.text, end));
    walk.find(Kind::Address, "address", start, end, score);
}

fn ends(word: &[u8], end: &[u8]) -> bool {
    let from = word.len().saturating_sub(end.len());
    word.len() >= end.len() && part(word, from, word.len()).eq_ignore_ascii_case(end)
}

/// Whether a number goes on to the left.
fn glued(text: &[u8], start: usize) -> bool {
    let previous = before(text, start);
    joins(previous) || b".,-/:$#%+".contains(&previous)
}

fn capital(text: &[u8], start: usize) -> bool {
    at(text, start).is_ascii_uppercase()
        || (at(text, start) == 0xc3 && matches!(at(text, start + 1), 0x80..=0x9e))
}

/// What a word means that begins at a place, and where it ends.
fn word(text: &[u8], start: usize) -> (Senses, usize) {
    let end = run(text, start, 32, |byte| byte.is_ascii_alphabetic() || byte >= 0x80);
    (words::senses(words::hash(part(text, start, end))), end)
}

/// Behind the first of these that stands there.
fn skip(text: &[u8], place: usize, signs: &[&[u8]]) -> usize {
    let there = signs.iter().find(|sign| part(text, place, place + sign.len()) == **sign);
    place + there.map_or(0, |sign| sign.len())
}

/// Where the name of a street ends that begins here: words with a capital, and small ones between.
fn name(text: &[u8], start: usize) -> Option<usize> {
    let (mut place, mut end) = (start, None);
    for _ in 0..WORDS {
        let (senses, stop) = word(text, place);
        let elided =
            stop - place <= 2 && (at(text, stop) == b'\'' || part(text, stop, stop + 3) == "’".as_bytes());
        if elided {
            place = stop + if at(text, stop) == b'\'' { 1 } else { 3 };
            continue;
        }
        if capital(text, place) {
            end = Some(stop);
        } else if stop == place || !(senses.meets(Senses::PARTICLE) || stop - place <= 3) {
            break;
        }
        if !matches!(at(text, stop), b' ' | b'-') {
            break;
        }
        place = stop + 1;
    }
    end
}

/// Where the number of a house ends that stands behind a street's name.
fn number(text: &[u8], end: usize) -> Option<usize> {
    let mut place = skip(text, end, &[b", ", b" "]);
    place = skip(text, place, &["nº ".as_bytes(), "n° ".as_bytes(), b"n. ", "nº".as_bytes()]);
    if place > end && part(text, place, place + 3) == b"S/N" {
        return Some(place + 3);
    }
    let digits = run(text, place, 5, |byte| byte.is_ascii_digit());
    if place == end || digits == place || digits - place > 4 {
        return None;
    }
    // `51-81`, `5/6`
    let range = usize::from(matches!(at(text, digits), b'-' | b'/'));
    let last = run(text, digits + range, 4, |byte| byte.is_ascii_digit());
    let digits = if last > digits + range { last } else { digits };
    let stop = digits + usize::from(at(text, digits).is_ascii_alphabetic());
    let more = matches!(at(text, stop), b'.' | b',' | b':') && at(text, stop + 1).is_ascii_digit();
    (!joins(at(text, stop)) && !more && at(text, stop) != b'%').then_some(stop)
}

/// Where a street begins, or its number has ended, behind the room that this word is: `Flat 9, `, `Studio 4B, 12 `.
fn room(text: &[u8], word: &Word) -> Option<usize> {
    let written = part(text, word.start, word.end);
    if ![b"Flat".as_slice(), b"Studio", b"Apartment", b"Suite", b"Unit"].contains(&written) {
        return None;
    }
    let number = skip(text, word.end, &[b" "]);
    let end = run(text, number, 5, |byte| byte.is_ascii_alphanumeric());
    let behind = skip(text, end, &[b", "]);
    let house = run(text, behind, 5, |byte| byte.is_ascii_digit());
    let street = if house > behind { skip(text, house, &[b" "]) } else { behind };
    (at(text, number).is_ascii_digit() && behind > end && street >= house).then_some(street)
}

/// Where a box's number ends: `PO Box 7`, `P.O. Box 7`, `Postfach 12 34`, `Apartado 7`, `Casella postale 7`, `Caixa Postal 7`, `Postbus 7`.
fn box_of(text: &[u8], start: usize) -> Option<usize> {
    const BOXES: [&[u8]; 9] = [
        b"PO Box ",
        b"P.O. Box ",
        b"P.O. box ",
        b"Postfach ",
        b"Postbus ",
        b"Apartado de Correos ",
        b"Casella Postale ",
        b"Caixa Postal ",
        "Boîte postale ".as_bytes(),
    ];
    let digits = skip(text, start, &BOXES);
    let end = run(text, digits, 12, |byte| byte.is_ascii_digit() || byte == b' ');
    let end = end - usize::from(end > digits && before(text, end) == b' ');
    (digits > start && end > digits).then(|| town(text, rooms(text, end)))
}

/// Where the words before a street's own begin: `Lange`, `Hans-Müller-`.
fn joined(text: &[u8], start: usize) -> usize {
    let mut place = start;
    while place > start.saturating_sub(48) && before(text, place) == b'-' {
        let mut first = place - 1;
        while first > 0 && (before(text, first).is_ascii_alphabetic() || before(text, first) >= 0x80) {
            first -= 1;
        }
        if first + 1 == place {
            break;
        }
        place = first;
    }
    place
}

/// Where the room or floor ends that follows, `Apt. 12`; where the street ends, if none does.
fn rooms(text: &[u8], end: usize) -> usize {
    /// How words for rooms and floors begin.
    const ROOMS: [&[u8]; 10] =
        [b"Apt", b"Sui", b"Uni", b"Fla", b"Flo", b"App", b"Pis", b"Pia", b"Pue", b"Stu"];
    let start = skip(text, end, &[b", ", b" "]);
    let stop = run(text, start, 12, |byte| byte != b' ');
    let number = run(text, stop + 1, 6, |byte| byte.is_ascii_alphanumeric());
    if ROOMS.contains(&part(text, start, start + 3)) && number > stop + 1 { number } else { end }
}

/// Whether a town follows a street, or the room in it.
fn in_town(text: &[u8], end: usize) -> bool {
    let whole = rooms(text, end);
    town(text, whole) > whole
}

/// Where postcode and town end that follow; where the street ends, if none do.
fn town(text: &[u8], end: usize) -> usize {
    let place = skip(text, end, &[b",\n", b"\n", b", ", b" , ", b" - ", b" "]);
    if place == end {
        return end;
    }
    // The postcode first.
    let digits = run(text, place, 6, |byte| byte.is_ascii_digit());
    let dutch = skip(text, digits, &[b" "]);
    let code = match digits - place {
        5 => digits,
        4 if at(text, digits) == b'-' => run(text, digits + 1, 3, |byte| byte.is_ascii_digit()),
        4 if run(text, dutch, 3, |byte| byte.is_ascii_uppercase()) == dutch + 2 => dutch + 2,
        _ => place,
    };
    let city = skip(text, code, &[b", ", b" "]);
    if code > place && city > code && capital(text, city) {
        let city = name(text, city).unwrap_or(end);
        // `Bellagio (CO)`
        let province = matches!(part(text, city, city + 5), [b' ', b'(', b'A'..=b'Z', b'A'..=b'Z', b')']);
        return city + if province { 5 } else { 0 };
    }
    // The town first: `Springfield, IL 62701`, `Leeds, LS1 4AP`, `Badajoz, 39115`.
    let Some(city) = name(text, place).filter(|_| capital(text, place)) else { return end };
    let state = skip(text, city, &[b", ", b"\n", b" "]);
    let plain = run(text, state, 6, |byte| byte.is_ascii_digit());
    if plain == state + 5 {
        return plain;
    }
    let letters = run(text, state, 3, |byte| byte.is_ascii_uppercase());
    let zip = run(text, letters + 1, 6, |byte| byte.is_ascii_digit());
    if letters - state == 2 && at(text, letters) == b' ' && zip == letters + 6 {
        let more = at(text, zip) == b'-' && run(text, zip + 1, 5, |byte| byte.is_ascii_digit()) == zip + 5;
        return if more { zip + 5 } else { zip };
    }
    let outward = run(text, state, 5, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    let inward = part(text, outward + 1, outward + 4);
    let british = (2..=4).contains(&(outward - state))
        && at(text, outward) == b' '
        && matches!(inward, [b'0'..=b'9', b'A'..=b'Z', b'A'..=b'Z'])
        && !joins(at(text, outward + 4));
    if british { outward + 4 } else { end }
}
