//! What is written in digits: cards, phones, the numbers of states and banks, dates of birth.
//!
//! Digits and the signs that stand between them are cut into groups; every run of groups that may be a number is judged once.

use crate::bytes::{at, before, joins, part, run};
use crate::personal::{mixed, national, network, phone};
use crate::walk::Walk;
use crate::words::Senses;
use crate::{Kind, check};

/// Groups of digits that are looked at together: a French insurance number has seven.
const GROUPS: usize = 8;

/// Digits in groups, as they may be one number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Digits<'text> {
    pub(crate) start: usize,
    /// From the first digit (or `+`, `(`) to the last.
    pub(crate) text: &'text [u8],
    /// The digits' values; only the first `count` are of it.
    values: [u8; 24],
    count: usize,
    pub(crate) groups: usize,
    pub(crate) plus: bool,
}

impl Digits<'_> {
    pub(crate) fn values(&self) -> &[u8] {
        self.values.get(..self.count).unwrap_or_default()
    }
}

/// What a number was judged to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judged {
    pub(crate) kind: Kind,
    pub(crate) label: &'static str,
    pub(crate) score: u8,
}

#[derive(Debug, Clone, Copy, Default)]
struct Group {
    start: usize,
    end: usize,
    /// Whether a space stands before it: a number may begin here.
    apart: bool,
}

/// Called at a digit, or at a `+` or `(` before one. Returns where to go on.
pub(crate) fn number(walk: &mut Walk<'_>, start: usize) -> usize {
    let text = walk.text;
    let digit = if at(text, start).is_ascii_digit() { start } else { start + 1 };
    let previous = before(text, start);
    let one = run(text, digit, 64, |byte| byte.is_ascii_digit());
    if glued(text, start, previous) || one - digit > 20 {
        return run(text, one, usize::MAX, |byte| byte.is_ascii_digit()).max(start + 1);
    }
    if digit == start {
        if at(text, one) == b'.'
            && let Some(end) = network::ip4(walk, start)
        {
            return end;
        }
        if let Some(end) = mixed::lettered_end(walk, start, one) {
            return end;
        }
        if walk.told(Senses::BIRTH, start)
            && let Some(end) = written_date(walk, start, one)
        {
            return end;
        }
    }
    let (groups, count) = cut(text, digit, one);
    let mut first = 0;
    while first < count {
        let mut taken = None;
        for last in (first..count).rev() {
            let begin = if first == 0 { start } else { groups[first].start };
            if let Some(judged) = judge(walk, begin, groups[last].end, last - first + 1) {
                let end = groups[last].end;
                let end = if judged.kind == Kind::Phone { extension(text, end) } else { end };
                walk.find(judged.kind, judged.label, begin, end, judged.score);
                taken = Some(end);
                break;
            }
        }
        if let Some(end) = taken {
            return end;
        }
        first += 1;
        while first < count && !groups[first].apart {
            first += 1;
        }
    }
    // What stands in further groups was judged with these, but for a number that reaches beyond the last.
    match groups.get(1) {
        Some(group) if count == GROUPS => group.start.max(one),
        _ => groups.get(count - 1).map_or(one, |group| group.end).max(one),
    }
}

/// Where a phone's number ends with the extension behind it, if there is one: `x123`, ` ext. 123`, `#123`.
fn extension(text: &[u8], end: usize) -> usize {
    let mark = run(text, end, 1, |byte| byte == b' ');
    let word = [&b"extension"[..], b"ext.", b"ext", b"x", b"#"]
        .into_iter()
        .find(|word| part(text, mark, mark + word.len()).eq_ignore_ascii_case(word));
    let Some(word) = word else { return end };
    let digits = run(text, mark + word.len(), 2, |byte| byte == b' ' || byte == b'.');
    let over = run(text, digits, 7, |byte| byte.is_ascii_digit());
    if over == digits || joins(at(text, over)) { end } else { over }
}

/// Whether a bracket holds an area code, `(030)`, and not a number as a whole.
pub(crate) fn area(text: &[u8], bracket: usize) -> bool {
    let end = run(text, bracket + 1, 6, |byte| byte.is_ascii_digit());
    at(text, end) == b')'
}

/// Whether a number goes on to the left: `3.14`, `abc-123`, `1,234`.
fn glued(text: &[u8], start: usize, previous: u8) -> bool {
    let two = start.checked_sub(2).map_or(0, |place| at(text, place));
    match previous {
        b'.' | b',' | b':' => two.is_ascii_digit(),
        b'-' | b'/' | b'_' | b'\\' => joins(two) || two == b'/' || two >= 0x80,
        b'%' | b'$' | b'&' => true,
        other => joins(other),
    }
}

/// Groups of digits with at most three signs between, on one line.
fn cut(text: &[u8], digit: usize, one: usize) -> ([Group; GROUPS], usize) {
    let mut groups = [Group::default(); GROUPS];
    groups[0] = Group { start: digit, end: one, apart: true };
    let (mut count, mut place) = (1, one);
    while let Some(slot) = groups.get_mut(count) {
        let (mut next, mut signs, mut spaces) = (place, 0, 0);
        loop {
            match (at(text, next), at(text, next + 1), at(text, next + 2)) {
                (b' ', _, _) => (next, spaces) = (next + 1, spaces + 1),
                (b'-' | b'.' | b'/' | b'(' | b')', _, _) => next += 1,
                // The space that does not break, narrow or not; hyphens and dashes of typography.
                (0xc2, 0xa0, _) => (next, spaces) = (next + 2, spaces + 1),
                (0xe2, 0x80, 0xaf) => (next, spaces) = (next + 3, spaces + 1),
                (0xe2, 0x80, 0x90..=0x93) => next += 3,
                _ => break,
            }
            signs += 1;
            if signs > 3 {
                return (groups, count);
            }
        }
        if signs == 0 || spaces > 1 || !at(text, next).is_ascii_digit() {
            break;
        }
        let end = run(text, next, 64, |byte| byte.is_ascii_digit());
        *slot = Group { start: next, end, apart: spaces == 1 && signs == 1 };
        count += 1;
        place = end;
    }
    (groups, count)
}

fn judge(walk: &Walk<'_>, start: usize, end: usize, groups: usize) -> Option<Judged> {
    let text = part(walk.text, start, end);
    let (values, count) = check::digits::<24>(text)?;
    if count < 4 {
        return None;
    }
    let after = at(walk.text, end);
    let later = at(walk.text, end + 1);
    // It goes on: a decimal, a word, a version.
    if joins(after) || (matches!(after, b'.' | b',' | b'/' | b'-' | b':') && later.is_ascii_digit()) {
        let extension = after == b'x' && later.is_ascii_digit();
        if !extension {
            return None;
        }
    }
    let digits = Digits { start, text, values, count, groups, plus: at(text, 0) == b'+' };
    let mut best: Option<Judged> = None;
    let mut offer = |judged: Option<Judged>| {
        if let Some(judged) = judged
            && walk.wanted.has(judged.kind)
            && best.is_none_or(|best| best.score < judged.score)
        {
            best = Some(judged);
        }
    };
    if (12..=19).contains(&count) {
        offer(card(walk, &digits));
    }
    offer(national::numbers(walk, &digits));
    if count >= 6 {
        offer(phone::phone(walk, &digits));
    }
    offer(birth(walk, &digits));
    if groups == 1 || (groups <= 5 && !text.contains(&b'/')) {
        offer(told(walk, &digits));
    }
    best
}

/// The networks' prefixes and lengths (ISO/IEC 7812 and the networks' own publications).
fn card(walk: &Walk<'_>, digits: &Digits<'_>) -> Option<Judged> {
    let values = digits.values();
    let head = values.iter().take(4).fold(0_u32, |sum, &digit| sum * 10 + u32::from(digit));
    let length = values.len();
    let (label, long) = match head {
        4000..=4999 => ("visa", matches!(length, 13 | 16 | 19)),
        5100..=5599 | 2221..=2720 => ("mastercard", length == 16),
        3400..=3499 | 3700..=3799 => ("amex", length == 15),
        6011 | 6440..=6599 | 6220..=6229 => ("discover", (16..=19).contains(&length)),
        6200..=6299 | 8100..=8199 => ("unionpay", (16..=19).contains(&length)),
        3500..=3599 | 2131 | 1800 => ("jcb", (15..=19).contains(&length)),
        3000..=3059 | 3095 | 3600..=3699 | 3800..=3999 => ("diners", (14..=19).contains(&length)),
        5000..=5099 | 5600..=5999 | 6000..=6999 => ("maestro", (12..=19).contains(&length)),
        // Mobile numbers of France begin so, too: a word must say that it is a card.
        604 if walk.told(Senses::CARD, digits.start) => ("maestro", (12..=19).contains(&length)),
        _ => return None,
    };
    if !long || !check::luhn(values) {
        return None;
    }
    let signs = |byte: u8| byte == b' ' || byte == b'-' || byte.is_ascii_digit() || byte >= 0x80;
    if digits.plus || !digits.text.iter().all(|byte| signs(*byte)) {
        return None;
    }
    // Numbers in a row of equal length, or Amex's 4-6-5, are a card without a word for it; one in ten others passes Luhn.
    let told = walk.told(Senses::CARD, digits.start);
    let score = match (told, label) {
        (true, _) => 97,
        (false, "maestro") => 55,
        (false, _) => 90,
    };
    // Identifiers and times in milliseconds have thirteen digits and more.
    let plain = digits.groups == 1 && length == 13;
    (told || !plain).then_some(Judged { kind: Kind::Card, label, score })
}

/// A date in figures behind a word for birth.
fn birth(walk: &Walk<'_>, digits: &Digits<'_>) -> Option<Judged> {
    if digits.groups != 3 || digits.plus || !walk.told(Senses::BIRTH, digits.start) {
        return None;
    }
    let mut numbers = [0_u32; 3];
    let mut lengths = [0_usize; 3];
    let mut at_group = 0;
    let mut inside = false;
    for &byte in digits.text {
        if byte.is_ascii_digit() {
            inside = true;
            *numbers.get_mut(at_group)? = (numbers.get(at_group)? * 10 + u32::from(byte - b'0')).min(99_999);
            *lengths.get_mut(at_group)? += 1;
        } else if inside {
            inside = false;
            at_group += 1;
        }
    }
    let dates = match lengths {
        [4, 1..=2, 1..=2] => check::date(numbers[0], numbers[1], numbers[2]) && plausible(numbers[0]),
        [1..=2, 1..=2, 4 | 2] => {
            (check::date(numbers[2], numbers[1], numbers[0])
                || check::date(numbers[2], numbers[0], numbers[1]))
                && (lengths[2] == 2 || plausible(numbers[2]))
        }
        _ => false,
    };
    dates.then_some(Judged { kind: Kind::BirthDate, label: "birth-date", score: 90 })
}

fn plausible(year: u32) -> bool {
    (1900..=2035).contains(&year)
}

/// `12 March 1980`, `12. März 1980`, `12 de marzo de 1980`, `1er mai 1980`.
fn written_date(walk: &mut Walk<'_>, start: usize, end: usize) -> Option<usize> {
    let text = walk.text;
    let mut place = match part(text, end, end + 2) {
        b"th" | b"st" | b"nd" | b"rd" | b"er" => end + 2,
        _ => end,
    };
    let link = |place: usize| -> usize {
        let place = run(text, place, 3, |byte| b" .,-".contains(&byte) || byte == 0xba || byte == 0xc2);
        let place = if part(text, place, place + 3) == b"of " { place + 3 } else { place };
        if part(text, place, place + 3) == b"de " { place + 3 } else { place }
    };
    place = link(place);
    let stop = run(text, place, 16, |byte| byte.is_ascii_alphabetic() || byte >= 0x80);
    let month = crate::words::senses(crate::words::hash(part(text, place, stop))).meets(Senses::MONTH);
    if end - start > 2 || !month {
        return None;
    }
    let year = link(stop);
    let stop = run(text, year, 5, |byte| byte.is_ascii_digit());
    if stop - year != 4 {
        return None;
    }
    walk.find(Kind::BirthDate, "birth-date", start, stop, 92);
    Some(stop)
}

/// `March 12, 1980`, called behind the name of a month.
pub(crate) fn month_first(walk: &mut Walk<'_>, start: usize, end: usize) {
    let text = walk.text;
    let day = run(text, end, 2, |byte| b" .".contains(&byte));
    let mut place = run(text, day, 3, |byte| byte.is_ascii_digit());
    if place == day || place - day > 2 {
        return;
    }
    if [&b"th"[..], b"st", b"nd", b"rd"].contains(&part(text, place, place + 2)) {
        place += 2;
    }
    let year = run(text, place, 2, |byte| b" ,".contains(&byte));
    let stop = run(text, year, 5, |byte| byte.is_ascii_digit());
    if stop - year == 4 {
        walk.find(Kind::BirthDate, "birth-date", start, stop, 92);
    }
}

/// Numbers without a form of their own, behind a word that says what they are.
fn told(walk: &Walk<'_>, digits: &Digits<'_>) -> Option<Judged> {
    let count = digits.values().len();
    let judged = |kind: Kind, score| Some(Judged { kind, label: kind.name(), score });
    let nearer = |sense: Senses| walk.told_within(sense, digits.start, 32);
    if digits.plus {
        return None;
    }
    if (6..=18).contains(&count) && nearer(Senses::BANK) {
        return judged(Kind::BankAccount, 70);
    }
    if (8..=9).contains(&count) && nearer(Senses::PASSPORT) {
        return judged(Kind::Passport, 85);
    }
    if (6..=14).contains(&count) && nearer(Senses::LICENCE) {
        return judged(Kind::DriverLicence, 75);
    }
    if (5..=14).contains(&count) && nearer(Senses::MEDICAL) {
        return judged(Kind::Medical, 75);
    }
    None
}
