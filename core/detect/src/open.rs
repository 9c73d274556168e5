//! What of a text that is still growing could yet become part of a finding.

use crate::bytes::{at, before};
use crate::{Kind, Kinds};

/// How many bytes before what is scanned must be scanned with it, so that words before a value are seen: a caller that released
/// a text keeps this many of its last bytes and gives them again.
pub const CONTEXT: usize = 96;

/// The most bytes that a kind's findings are held for in a growing text: longer ones are found in pieces.
pub const fn window(kind: Kind) -> usize {
    match kind {
        Kind::Injection => 0,
        Kind::Phone
        | Kind::Card
        | Kind::Ssn
        | Kind::BirthDate
        | Kind::Medical
        | Kind::BankAccount
        | Kind::Passport
        | Kind::Iban
        | Kind::NationalId
        | Kind::Vehicle
        | Kind::DriverLicence
        | Kind::Mac
        | Kind::Ip => 48,
        Kind::Person
        | Kind::Organisation
        | Kind::Place
        | Kind::Violence
        | Kind::SelfHarm
        | Kind::Sexual
        | Kind::Hate
        | Kind::Illegal
        | Kind::MedicalAdvice
        | Kind::LegalAdvice
        | Kind::FinancialAdvice => 72,
        Kind::Address | Kind::Crypto => 128,
        Kind::Email => 320,
        Kind::Secret | Kind::Entropy | Kind::CredentialUrl | Kind::ConnectionString => 600,
        Kind::Jwt => 4096,
        Kind::PrivateKey => 8192,
    }
}

/// The byte from which on the text is open: whatever is appended, no finding of the wanted kinds begins before it and ends
/// behind it, unless it is longer than its kind's [`window`]. What stands before it may be released.
pub fn open(text: &str, wanted: Kinds) -> usize {
    let bytes = text.as_bytes();
    let mut from = bytes.len();
    for kind in wanted.iter() {
        let window = window(kind);
        if window == 0 {
            continue;
        }
        let floor = bytes.len().saturating_sub(window);
        from = from.min(match kind {
            Kind::PrivateKey => key(bytes, floor),
            Kind::Phone
            | Kind::Card
            | Kind::Ssn
            | Kind::Medical
            | Kind::BankAccount
            | Kind::Passport
            | Kind::BirthDate
            | Kind::Iban
            | Kind::NationalId
            | Kind::Vehicle
            | Kind::DriverLicence
            | Kind::Mac => groups(bytes, floor),
            Kind::Person | Kind::Organisation | Kind::Place => row(bytes, floor),
            Kind::Entropy => assignment(bytes, floor),
            Kind::Address
            | Kind::Violence
            | Kind::SelfHarm
            | Kind::Sexual
            | Kind::Hate
            | Kind::Illegal
            | Kind::MedicalAdvice
            | Kind::LegalAdvice
            | Kind::FinancialAdvice => line(bytes, floor),
            Kind::Email
            | Kind::Ip
            | Kind::Crypto
            | Kind::Secret
            | Kind::Jwt
            | Kind::CredentialUrl
            | Kind::ConnectionString => run_start(bytes, floor),
            Kind::Injection => from,
        });
    }
    while !text.is_char_boundary(from) {
        from -= 1;
    }
    from
}

fn space(byte: u8) -> bool {
    byte.is_ascii_whitespace()
}

/// The beginning of what has no space in it.
fn run_start(text: &[u8], floor: usize) -> usize {
    let mut place = text.len();
    while place > floor && !space(before(text, place)) {
        place -= 1;
    }
    place
}

/// Groups of digits and capitals with single signs between: back to a small letter behind a space, or a new line.
fn groups(text: &[u8], floor: usize) -> usize {
    let mut place = run_start(text, floor);
    while place > floor && before(text, place) != b'\n' {
        // The word before this space.
        let mut start = place - 1;
        while start > floor && !space(before(text, start)) {
            start -= 1;
        }
        let word = text.get(start..place - 1).unwrap_or_default();
        let digits = word.iter().any(u8::is_ascii_digit);
        let short = word.len() <= 2 && word.iter().all(u8::is_ascii_uppercase);
        let month = word.len() <= 12 && start >= 3 && at(text, start - 1) == b' ';
        if !(digits || short || word.is_empty() || (month && before(text, start - 1).is_ascii_digit())) {
            break;
        }
        place = start;
    }
    place
}

/// Capitalised words in a row, and the small words inside names.
fn row(text: &[u8], floor: usize) -> usize {
    let mut place = run_start(text, floor);
    let mut kept = place;
    let mut small = 0;
    while place > floor && before(text, place) == b' ' && small < 2 {
        let mut start = place - 1;
        while start > floor && !space(before(text, start)) {
            start -= 1;
        }
        let first = at(text, start);
        let capital = first.is_ascii_uppercase() || first >= 0x80;
        if place - start > 5 && !capital {
            break;
        }
        place = start;
        if capital {
            (kept, small) = (start, 0);
        } else {
            small += 1;
        }
    }
    kept
}

/// All of the last line.
fn line(text: &[u8], floor: usize) -> usize {
    let mut place = text.len();
    let mut breaks = 0;
    while place > floor {
        breaks += usize::from(before(text, place) == b'\n');
        // An address may go on in the next line.
        if breaks == 2 {
            break;
        }
        place -= 1;
    }
    place
}

/// A value that is quoted may hold what looks like an end.
fn assignment(text: &[u8], floor: usize) -> usize {
    let start = run_start(text, floor);
    let mut place = start;
    for _ in 0..2 {
        if place > floor && before(text, place) == b' ' {
            let mut back = place - 1;
            while back > floor && !space(before(text, back)) {
                back -= 1;
            }
            place = back;
        }
    }
    place
}

/// The dashes that opened a key.
fn key(text: &[u8], floor: usize) -> usize {
    let tail = text.get(floor..).unwrap_or_default();
    match tail.windows(10).rposition(|window| window == b"-----BEGIN") {
        // It ended if dashes follow its title, its body, and its end.
        Some(place)
            if tail.get(place..).is_some_and(|rest| !rest.windows(8).any(|window| window == b"-----END")) =>
        {
            floor + place
        }
        _ => run_start(text, text.len().saturating_sub(80).max(floor)),
    }
}
