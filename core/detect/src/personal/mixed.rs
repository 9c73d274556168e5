//! What is written in letters and digits: IBAN, identity numbers with letters, crypto addresses, vehicles, passports.

use crate::bytes::{at, before, joins, part, run};
use crate::check::{base58check, bech32, iban, value36};
use crate::personal::{national, number};
use crate::walk::{Walk, Word};
use crate::words::Senses;
use crate::{Kind, check};

/// Called at a word with digits in it. Returns where to go on if something was found.
pub(crate) fn word(walk: &mut Walk<'_>, word: &Word) -> Option<usize> {
    let text = walk.text;
    let previous = before(text, word.start);
    if joins(previous)
        || (matches!(previous, b'.' | b'-' | b'/' | b'=')
            && joins(before(text, word.start - 1))
            && previous != b'=')
    {
        return None;
    }
    let value = part(text, word.start, word.end);
    let upper = !value.iter().any(u8::is_ascii_lowercase);
    if word.digits < word.len()
        && value.len() >= 4
        && value[..2].iter().all(u8::is_ascii_alphabetic)
        && value[2..4].iter().all(u8::is_ascii_digit)
        && let Some(end) = bank(walk, word.start)
    {
        return Some(end);
    }
    if value.len() >= 25
        && let Some((label, end, score)) = wallet(text, word.start, word.end)
    {
        walk.find(Kind::Crypto, label, word.start, end, score);
        return Some(end);
    }
    if word.digits == word.len() {
        return None;
    }
    let found = if upper { lettered(walk, word, value) } else { None };
    let found = found.or_else(|| told(walk, word, value));
    let (kind, label, end, score) = found?;
    walk.find(kind, label, word.start, end, score);
    walk.past(kind, end)
}

/// Called at a word without digits: what begins with letters and goes on behind a space.
pub(crate) fn letters(walk: &mut Walk<'_>, word: &Word) {
    let text = walk.text;
    if joins(before(text, word.start)) {
        return;
    }
    if word.senses.meets(Senses::MONTH) && walk.told(Senses::BIRTH, word.start) {
        number::month_first(walk, word.start, word.end);
    }
    // Nearly all words go no further than this.
    if !at(text, word.start).is_ascii_uppercase() {
        return;
    }
    let value = part(text, word.start, word.end);
    let upper = value.iter().all(u8::is_ascii_uppercase);
    if !upper {
        return;
    }
    // `QQ 12 34 56 C`
    if value.len() == 2
        && at(text, word.end) == b' '
        && fits(b"AA 99 99 99 A", part(text, word.start, word.start + 13))
    {
        let whole = part(text, word.start, word.start + 13);
        if nino(whole) && !joins(at(text, word.start + 13)) {
            walk.find(Kind::NationalId, "uk-nino", word.start, word.start + 13, 85);
        }
    }
    // `X-1234567-L`
    if value.len() == 1
        && matches!(value[0], b'X' | b'Y' | b'Z')
        && fits(b"A-9999999-A", part(text, word.start, word.start + 11))
    {
        let whole = part(text, word.start, word.start + 11);
        if nie(&[&whole[..1], &whole[2..9], &whole[10..]].concat()) && !joins(at(text, word.start + 11)) {
            walk.find(Kind::NationalId, "es-nie", word.start, word.start + 11, 88);
        }
    }
    // ISO 9362: four letters of the bank, two of the country, two of the place, three of the branch.
    if matches!(value.len(), 8 | 11)
        && walk.told_within(Senses::BANK, word.start, 24)
        && !word.senses.meets(Senses::COMMON)
    {
        walk.find(Kind::BankAccount, "bic", word.start, word.end, 75);
    }
    // ICAO 9303, first line of a passport: its second line carries the check digits.
    if value[0] == b'P' && at(text, word.end) == b'<' {
        zone(walk, word.start);
    }
}

/// ISO 13616's countries and their lengths.
const IBANS: &str = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29ES24FI18FK18\
FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19\
MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29\
VA22VG24XK20YE30";

fn bank(walk: &mut Walk<'_>, start: usize) -> Option<usize> {
    let text = walk.text;
    let country = part(text, start, start + 2).to_ascii_uppercase();
    let row = IBANS.as_bytes().chunks_exact(4).find(|row| row.starts_with(&country))?;
    let length = usize::from(row[2] - b'0') * 10 + usize::from(row[3] - b'0');
    let mut compact = [0_u8; 34];
    let (mut count, mut place) = (0, start);
    while count < length {
        let byte = at(text, place);
        if byte.is_ascii_alphanumeric() {
            *compact.get_mut(count)? = byte.to_ascii_uppercase();
            count += 1;
        } else if !(matches!(byte, b' ' | b'-') && at(text, place + 1).is_ascii_alphanumeric() && count >= 4)
        {
            // The space that does not break.
            if byte == 0xc2 && at(text, place + 1) == 0xa0 {
                place += 1;
            } else {
                return None;
            }
        }
        place += 1;
    }
    if joins(at(text, place)) || !iban(compact.get(..length)?) {
        return None;
    }
    walk.find(Kind::Iban, "iban", start, place, 97);
    Some(place)
}

fn wallet(text: &[u8], start: usize, end: usize) -> Option<(&'static str, usize, u8)> {
    let value = part(text, start, end);
    let hex = |from: usize| value.get(from..).is_some_and(|rest| rest.iter().all(u8::is_ascii_hexdigit));
    let lower = value.to_ascii_lowercase();
    if value.len() == 42 && value.starts_with(b"0x") && hex(2) {
        return Some(("ethereum", end, 85));
    }
    let segwit = [(&b"bc1"[..], "bitcoin"), (b"ltc1", "litecoin"), (b"addr1", "cardano")];
    if let Some((_, label)) = segwit.into_iter().find(|(prefix, _)| lower.starts_with(prefix)) {
        return (value.len() <= 110 && bech32(value)).then_some((label, end, 97));
    }
    if (25..=35).contains(&value.len()) {
        let label = match (value[0], base58check(value, value[0] == b'r')?) {
            (b'1' | b'3', 0 | 5) => "bitcoin",
            (b'L' | b'M', 0x30 | 0x32) => "litecoin",
            (b'D', 0x1e) => "dogecoin",
            (b'T', 0x41) => "tron",
            (b'r', 0) => "ripple",
            (b'X', 0x4c) => "dash",
            _ => return None,
        };
        return Some((label, end, 97));
    }
    None
}

type Found = (Kind, &'static str, usize, u8);

/// Identity numbers in capitals, each with its form and check.
fn lettered(walk: &Walk<'_>, word: &Word, value: &[u8]) -> Option<Found> {
    let at_hand = |sense: Senses| walk.told(sense, word.start);
    let national = at_hand(Senses::NATIONAL);
    let found = |label, score: u8| {
        Some((Kind::NationalId, label, word.end, if national { score.max(90) } else { score }))
    };
    match value.len() {
        8 if fits(b"9999999A", value) && national && irish(value) => found("ie-pps", 85),
        8 if fits(b"A9999999", value) && matches!(value[0], b'X' | b'Y' | b'Z') => None,
        9 if fits(b"99999999A", value) && dni(value) => found("es-dni", if national { 90 } else { 80 }),
        9 if fits(b"A9999999A", value) && matches!(value[0], b'X' | b'Y' | b'Z') && nie(value) => {
            found("es-nie", 85)
        }
        9 if fits(b"A9999999A", value) && singapore(value) => found("sg-nric", 80),
        9 if fits(b"A99999999", value) && national && cif(value) => found("es-cif", 85),
        9 if fits(b"AA999999A", value) && nino(value) => found("uk-nino", 82),
        9 if fits(b"9999999AA", value) && national && irish(value) => found("ie-pps", 85),
        9 if fits(b"AA9999999", value) && at_hand(Senses::MEDICAL) && dea(value) => {
            Some((Kind::Medical, "us-dea", word.end, 90))
        }
        10 if fits(b"AAAAA9999A", value) && b"ABCFGHJLPT".contains(&value[3]) => found("in-pan", 80),
        10 if national && german_card(value) => found("de-ausweis", 85),
        11 if medicare(value) && (at_hand(Senses::MEDICAL) || value[0] != b'1') => {
            Some((Kind::Medical, "us-mbi", word.end, 80))
        }
        12 if national && german_pension(value) => found("de-rvnr", 88),
        15 if national::fr_nir_corsica(value) => found("fr-nir", 90),
        16 if italian(value) => found("it-codice-fiscale", 97),
        17 if vehicle(value) || (at_hand(Senses::VEHICLE) && chassis(value)) => {
            Some((Kind::Vehicle, "vin", word.end, 85))
        }
        18 if curp(value) => found("mx-curp", 95),
        18 if chinese(value) => found("cn-ric", 95),
        _ => None,
    }
}

/// Numbers of documents behind a word for them.
fn told(walk: &Walk<'_>, word: &Word, value: &[u8]) -> Option<Found> {
    let near = |sense: Senses| walk.told_within(sense, word.start, 36);
    let shape =
        (5..=20).contains(&value.len()) && word.digits >= 2 && value.iter().all(u8::is_ascii_alphanumeric);
    if !shape {
        return None;
    }
    let upper = !value.iter().any(u8::is_ascii_lowercase);
    let found = |kind: Kind| Some((kind, kind.name(), word.end, 80));
    if near(Senses::PASSPORT) && upper && (6..=10).contains(&value.len()) && word.digits >= 4 {
        return found(Kind::Passport);
    }
    if near(Senses::LICENCE) && upper && word.digits >= 3 {
        return found(Kind::DriverLicence);
    }
    if near(Senses::MEDICAL) && upper && word.digits >= 4 {
        return found(Kind::Medical);
    }
    if near(Senses::VEHICLE) && upper && value.len() <= 9 {
        return found(Kind::Vehicle);
    }
    if near(Senses::BANK) && upper && value.len() >= 8 && word.digits >= 5 {
        return found(Kind::BankAccount);
    }
    if near(Senses::BANK)
        && upper
        && matches!(value.len(), 8 | 11)
        && value[..6].iter().all(u8::is_ascii_uppercase)
    {
        return Some((Kind::BankAccount, "bic", word.end, 75));
    }
    None
}

/// Digits that end in a letter behind a sign: `12.345.678-Z`, `131052-308T`, `12.345.678-K`.
pub(crate) fn lettered_end(walk: &mut Walk<'_>, start: usize, one: usize) -> Option<usize> {
    let text = walk.text;
    let end = run(text, start, 14, |byte| byte.is_ascii_alphanumeric() || b".-+".contains(&byte));
    let value = part(text, start, end);
    if joins(at(text, end)) || !value.last().is_some_and(u8::is_ascii_alphanumeric) || end == one {
        return None;
    }
    // All of these forms end so.
    if value.len() < 9 || !value.iter().any(|byte| b"-+.".contains(byte) || byte.is_ascii_alphabetic()) {
        return None;
    }
    let digits: Vec<u8> = value.iter().filter(|byte| byte.is_ascii_digit()).copied().collect();
    let last = value.last().copied()?.to_ascii_uppercase();
    let form = |forms: &[&[u8]]| forms.iter().any(|form| fits(form, value));
    let label =
        if form(&[b"99999999-A", b"99.999.999-A", b"99.999.999A"]) && dni_letter(&digits) == Some(last) {
            "es-dni"
        } else if (form(&[b"99.999.999-A", b"99999999-A", b"9.999.999-A"]))
            && last == b'K'
            && national::rut_digit(&digits.iter().map(|digit| digit - b'0').collect::<Vec<_>>()) == 10
        {
            "cl-rut"
        } else if form(&[b"999999-9999", b"999999-999A", b"999999+999A", b"999999A999A", b"999999A9999"])
            && finnish(value)
        {
            "fi-hetu"
        } else {
            return None;
        };
    walk.find(Kind::NationalId, label, start, end, 88);
    walk.past(Kind::NationalId, end)
}

/// `A` a letter, `9` a digit, all else itself.
fn fits(form: &[u8], text: &[u8]) -> bool {
    form.len() == text.len()
        && form.iter().zip(text).all(|(form, byte)| match form {
            b'A' => byte.is_ascii_alphabetic(),
            b'9' => byte.is_ascii_digit(),
            other => byte == other,
        })
}

fn number_of(digits: &[u8]) -> u32 {
    digits
        .iter()
        .filter(|byte| byte.is_ascii_digit())
        .fold(0, |sum: u32, byte| sum.wrapping_mul(10).wrapping_add(u32::from(byte - b'0')))
}

const DNI: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";

fn dni_letter(digits: &[u8]) -> Option<u8> {
    DNI.get((number_of(digits) % 23) as usize).copied()
}

fn dni(value: &[u8]) -> bool {
    value.split_last().is_some_and(|(letter, digits)| dni_letter(digits) == Some(*letter))
}

/// Spain's number of foreigners: `X`, `Y`, `Z` are 0, 1, 2.
fn nie(value: &[u8]) -> bool {
    let Some((letter, rest)) = value.split_last() else { return false };
    let head = u32::from(rest.first().map_or(0, |first| first.wrapping_sub(b'X')));
    head < 3 && DNI.get(((head * 10_000_000 + number_of(&rest[1..])) % 23) as usize) == Some(letter)
}

/// Spain's number of companies.
fn cif(value: &[u8]) -> bool {
    let sum: u32 = value[1..8]
        .iter()
        .enumerate()
        .map(|(place, byte)| {
            let digit = u32::from(byte - b'0') << (1 - place % 2);
            if digit > 9 { digit - 9 } else { digit }
        })
        .sum();
    (10 - sum % 10) % 10 == u32::from(value[8] - b'0')
}

/// HMRC's rules for prefixes; the suffix is A to D.
fn nino(value: &[u8]) -> bool {
    let (first, second) = (value[0], value[1]);
    let pair = [first, second];
    value.last().is_some_and(|last| matches!(last, b'A'..=b'D'))
        && !b"DFIQUV".contains(&first)
        && !b"DFIOQUV".contains(&second)
        && ![*b"BG", *b"GB", *b"KN", *b"NK", *b"NT", *b"TN", *b"ZZ"].contains(&pair)
}

fn irish(value: &[u8]) -> bool {
    let sum: u32 = value[..7]
        .iter()
        .zip([8, 7, 6, 5, 4, 3, 2])
        .map(|(byte, weight)| u32::from(byte - b'0') * weight)
        .sum();
    let second =
        value.get(8).map_or(0, |letter| if *letter == b'W' { 0 } else { u32::from(letter - b'A') + 1 });
    b"WABCDEFGHIJKLMNOPQRSTUV".get(((sum + second * 9) % 23) as usize) == Some(&value[7])
}

fn singapore(value: &[u8]) -> bool {
    let sum: u32 = value[1..8]
        .iter()
        .zip([2, 7, 6, 5, 4, 3, 2])
        .map(|(byte, weight)| u32::from(byte - b'0') * weight)
        .sum();
    let (letters, shift): (&[u8; 11], u32) = match value[0] {
        b'S' => (b"JZIHGFEDCBA", 0),
        b'T' => (b"JZIHGFEDCBA", 4),
        b'F' => (b"XWUTRQPNMLK", 0),
        b'G' => (b"XWUTRQPNMLK", 4),
        _ => return false,
    };
    letters.get(((sum + shift) % 11) as usize) == Some(&value[8])
}

/// The US's drug enforcement: registrants' letter, six digits, a check.
fn dea(value: &[u8]) -> bool {
    let digit = |place: usize| u32::from(value[place] - b'0');
    (digit(2) + digit(4) + digit(6) + 2 * (digit(3) + digit(5) + digit(7))) % 10 == digit(8)
}

/// Weights 7, 3, 1 over digits and letters (ICAO 9303): Germany's identity card.
fn german_card(value: &[u8]) -> bool {
    value.split_last().is_some_and(|(check, body)| icao(body) == Some(*check))
}

/// ICAO 9303's check digit: weights 7, 3, 1; `<` is 0.
fn icao(text: &[u8]) -> Option<u8> {
    let sum = text.iter().zip([7, 3, 1].into_iter().cycle()).try_fold(0_u32, |sum, (&byte, weight)| {
        let value = if byte == b'<' { 0 } else { value36(byte)? };
        Some(sum + u32::from(value) * weight)
    })?;
    u8::try_from(sum % 10).ok().map(|digit| digit + b'0')
}

/// Two lines of 44 characters.
fn zone(walk: &mut Walk<'_>, start: usize) {
    let text = walk.text;
    let keeps = |byte: u8| byte == b'<' || byte.is_ascii_uppercase() || byte.is_ascii_digit();
    let end = run(text, start, 45, keeps);
    let second = run(text, end, 2, |byte| matches!(byte, b'\r' | b'\n'));
    let stop = run(text, second, 45, keeps);
    let line = part(text, second, stop);
    if end - start == 44
        && line.len() == 44
        && icao(&line[..9]) == Some(line[9])
        && icao(&line[13..19]) == Some(line[19])
        && icao(&line[21..27]) == Some(line[27])
    {
        walk.find(Kind::Passport, "mrz", start, stop, 99);
    }
}

/// CMS's Medicare Beneficiary Identifier: letters without S, L, O, I, B, Z in places 2, 5, 8, 9.
fn medicare(value: &[u8]) -> bool {
    const FORM: &[u8; 11] = b"9AX9AX9AA99";
    value.iter().zip(FORM).all(|(byte, form)| {
        let letter = byte.is_ascii_uppercase() && !b"SLOIBZ".contains(byte);
        match form {
            b'A' => letter,
            b'X' => letter || byte.is_ascii_digit(),
            _ => byte.is_ascii_digit(),
        }
    }) && value[0] != b'0'
}

/// Germany's pension insurance: area, date of birth, letter, serial, check digit.
fn german_pension(value: &[u8]) -> bool {
    if !fits(b"99999999A999", value) {
        return false;
    }
    let letter = value[8] - b'A' + 1;
    let mut digits = Vec::with_capacity(13);
    digits.extend(value[..8].iter().map(|byte| byte - b'0'));
    digits.extend([letter / 10, letter % 10]);
    digits.extend(value[9..11].iter().map(|byte| byte - b'0'));
    let sum: u32 = digits
        .iter()
        .zip([2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1])
        .map(|(&digit, weight): (&u8, u32)| {
            let product = u32::from(digit) * weight;
            product / 10 + product % 10
        })
        .sum();
    sum % 10 == u32::from(value[11] - b'0')
}

/// Italy's tax code, digits that were replaced by letters (omocodia) too.
fn italian(value: &[u8]) -> bool {
    const ODD: [u8; 26] =
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let shape = value.iter().enumerate().all(|(place, byte)| match place {
        0..=5 | 8 | 11 | 15 => byte.is_ascii_uppercase(),
        _ => byte.is_ascii_digit() || b"LMNPQRSTUV".contains(byte),
    });
    if !shape || !b"ABCDEHLMPRST".contains(&value[8]) {
        return false;
    }
    let sum: u32 = value[..15]
        .iter()
        .enumerate()
        .map(|(place, byte)| {
            let index = if byte.is_ascii_digit() { byte - b'0' } else { byte - b'A' };
            u32::from(if place % 2 == 0 { ODD[usize::from(index)] } else { index })
        })
        .sum();
    sum % 26 == u32::from(value[15] - b'A')
}

/// 49 CFR 565.15: transliterated letters, weights, `X` for ten.
fn vehicle(value: &[u8]) -> bool {
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    let sum = value.iter().zip(WEIGHTS).try_fold(0, |sum, (&byte, weight)| {
        let number = match byte {
            b'0'..=b'9' => byte - b'0',
            b'A'..=b'H' => byte - b'A' + 1,
            b'J'..=b'N' => byte - b'J' + 1,
            b'P' => 7,
            b'R' => 9,
            b'S'..=b'Z' => byte - b'S' + 2,
            _ => return None,
        };
        Some(sum + u32::from(number) * weight)
    });
    let check = match value[8] {
        b'X' => 10,
        digit @ b'0'..=b'9' => u32::from(digit - b'0'),
        _ => return false,
    };
    chassis(value) && sum.is_some_and(|sum| sum % 11 == check)
}

fn chassis(value: &[u8]) -> bool {
    let letters = value.iter().filter(|byte| byte.is_ascii_uppercase()).count();
    value.iter().all(|byte| byte.is_ascii_digit() || (byte.is_ascii_uppercase() && !b"IOQ".contains(byte)))
        && (2..=14).contains(&letters)
        && value[13..].iter().all(u8::is_ascii_digit)
}

/// Mexico's register: the alphabet has an Ñ behind N.
fn curp(value: &[u8]) -> bool {
    if !fits(b"AAAA999999AAAAAA", &value[..16]) || !b"HMX".contains(&value[10]) || !value[17].is_ascii_digit()
    {
        return false;
    }
    let sum: u32 = value[..17]
        .iter()
        .enumerate()
        .map(|(place, &byte)| {
            let number = value36(byte).map_or(0, |number| number + u8::from(byte > b'N'));
            u32::from(number) * (18 - u32::try_from(place).unwrap_or(0))
        })
        .sum();
    (10 - sum % 10) % 10 == u32::from(value[17] - b'0')
}

/// GB 11643: ISO 7064 mod 11-2.
fn chinese(value: &[u8]) -> bool {
    let Some((check, body)) = value.split_last() else { return false };
    if !body.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let sum: u32 = body
        .iter()
        .zip([7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2])
        .map(|(byte, weight)| u32::from(byte - b'0') * weight)
        .sum();
    let date = check::date(number_of(&body[6..10]), number_of(&body[10..12]), number_of(&body[12..14]));
    date && b"10X98765432".get((sum % 11) as usize) == Some(check)
}

/// Date, a sign for the century, a serial, a check of 31 signs.
fn finnish(value: &[u8]) -> bool {
    let digits: Vec<u8> = value[..6].iter().chain(&value[7..10]).copied().collect();
    let (day, month) = (number_of(&digits[..2]), number_of(&digits[2..4]));
    let last = value[10].to_ascii_uppercase();
    b"-+ABCDEFUVWXY".contains(&value[6])
        && check::date(number_of(&digits[4..6]), month, day)
        && b"0123456789ABCDEFHJKLMNPRSTUVWXY".get((number_of(&digits) % 31) as usize) == Some(&last)
}
