//! The one walk over a text: it cuts words, asks what they mean, and hands each place where something may begin to the detectors
//! that could find something there.

use crate::bytes::{Class, at, before, class, joins, part, sign};
use crate::personal::{self, names::Names};
use crate::words::{self, LONGEST, REMEMBERED, Senses};
use crate::{Finding, Kind, Kinds, Severity, secret};

/// A word: letters, digits and `_` without a gap.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Word {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) digits: usize,
    /// Bytes beyond ASCII.
    pub(crate) beyond: usize,
    pub(crate) senses: Senses,
}

impl Word {
    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }
}

/// What the walk has seen, and found.
#[derive(Debug)]
pub(crate) struct Walk<'text> {
    pub(crate) text: &'text [u8],
    pub(crate) wanted: Kinds,
    /// Kinds over whose findings the walk goes on: nobody looks for anything inside of them.
    over: Kinds,
    /// Where the last word of each remembered sense ended, plus one; 0: never.
    seen: [usize; REMEMBERED],
    pub(crate) found: Vec<Finding>,
    pub(crate) last: Word,
}

/// How far a word for a value may stand before it, in bytes.
pub(crate) const REACH: usize = 48;

impl Walk<'_> {
    /// Whether a word of this sense stands shortly before a place.
    pub(crate) fn told(&self, sense: Senses, place: usize) -> bool {
        self.told_within(sense, place, REACH)
    }

    pub(crate) fn told_within(&self, sense: Senses, place: usize, reach: usize) -> bool {
        self.seen
            .get(sense.index())
            .is_some_and(|&seen| seen > 0 && seen - 1 <= place && place - (seen - 1) <= reach)
    }

    pub(crate) fn find(&mut self, kind: Kind, label: &'static str, start: usize, end: usize, score: u8) {
        self.find_as(kind, label, start, end, score, kind.severity());
    }

    pub(crate) fn find_as(
        &mut self,
        kind: Kind,
        label: &'static str,
        start: usize,
        end: usize,
        score: u8,
        severity: Severity,
    ) {
        if self.wanted.has(kind) && score >= 50 && start < end {
            self.found.push(Finding { kind, label, start, end, score, severity });
        }
    }

    /// Where to go on behind a finding of a kind; none: with what else may begin where it does.
    pub(crate) fn past(&self, kind: Kind, end: usize) -> Option<usize> {
        self.over.has(kind).then_some(end)
    }

    fn remember(&mut self, senses: Senses, end: usize) {
        let mut bits = senses.0 & ((1 << REMEMBERED) - 1);
        while bits != 0 {
            if let Some(seen) = self.seen.get_mut(bits.trailing_zeros() as usize) {
                *seen = end + 1;
            }
            bits &= bits - 1;
        }
    }
}

const NAMES: Kinds = Kinds::NONE.with(Kind::Person).with(Kind::Organisation).with(Kind::Place);

pub(crate) fn walk(text: &str, wanted: Kinds, over: Kinds) -> Vec<Finding> {
    let bytes = text.as_bytes();
    let mut walk =
        Walk { text: bytes, wanted, over, seen: [0; REMEMBERED], found: Vec::new(), last: Word::default() };
    let mut names = wanted.meets(NAMES).then(Names::default);
    let mut place = 0;
    while place < bytes.len() {
        let next = match class(at(bytes, place)) {
            Class::Other => place + 1,
            Class::Trigger => trigger(&mut walk, place),
            Class::Letter | Class::Digit => word(&mut walk, names.as_mut(), place),
            Class::Beyond => match sign(part(bytes, place, bytes.len())) {
                Some(length) => place + length,
                None => word(&mut walk, names.as_mut(), place),
            },
        };
        place = next.max(place + 1);
    }
    if let Some(names) = &mut names {
        names.close(&mut walk);
    }
    walk.found.retain(|finding| text.is_char_boundary(finding.start) && text.is_char_boundary(finding.end));
    walk.found
}

/// What a sign begins.
fn trigger(walk: &mut Walk<'_>, place: usize) -> usize {
    let next = at(walk.text, place + 1);
    match at(walk.text, place) {
        b'@' => personal::email::email(walk, place),
        b':' if next == b'/' => personal::network::url(walk, place),
        b':' if next == b':' => personal::network::v6(walk, place),
        b'-' if next == b'-' => secret::block(walk, place),
        b'+' if next.is_ascii_digit() => personal::number::number(walk, place),
        b'(' if personal::number::area(walk.text, place) => personal::number::number(walk, place),
        _ => place + 1,
    }
}

/// A word, and what begins with it. Returns where to go on.
fn word(walk: &mut Walk<'_>, names: Option<&mut Names>, start: usize) -> usize {
    let (mut word, hash) = cut(walk.text, start);
    walk.last = word;
    if word.digits == 0 && word.len() <= LONGEST {
        word.senses = words::senses(hash);
        walk.remember(word.senses, word.end);
        walk.last = word;
    }
    let joined = joins(before(walk.text, start));
    if !joined && let Some(end) = secret::token(walk, &word) {
        return end;
    }
    if let Some(names) = names {
        names.word(walk, &word);
    }
    if word.digits > 0 && word.beyond == 0 {
        if let Some(end) = personal::network::octets(walk, &word) {
            return end;
        }
        if let Some(end) = personal::mixed::word(walk, &word) {
            return end;
        }
        if word.digits == word.len() {
            personal::address::numbered(walk, start, word.end);
        }
        if at(walk.text, start).is_ascii_digit() {
            return personal::number::number(walk, start).max(word.end);
        }
        return word.end;
    }
    personal::address::named(walk, &word);
    if word.beyond == 0 {
        personal::mixed::letters(walk, &word);
        if let Some(end) = personal::network::octets(walk, &word) {
            return end;
        }
    }
    word.end
}

/// A word and its hash, as [`words::hash`] makes it.
fn cut(text: &[u8], start: usize) -> (Word, u64) {
    let mut word = Word { start, end: start, ..Word::default() };
    let mut hash = words::SEED;
    // Most words have nothing beyond ASCII.
    while let Some(&byte) = text.get(word.end) {
        let small = SMALL[usize::from(byte)];
        if small == 0 {
            break;
        }
        word.digits += usize::from(small <= b'9');
        hash = words::step(hash, small, 0);
        word.end += 1;
    }
    let mut before = 0;
    while let Some(&byte) = text.get(word.end) {
        match class(byte) {
            Class::Letter => {}
            Class::Digit => word.digits += 1,
            // A second byte never begins a sign.
            Class::Beyond if byte < 0xc0 || sign(part(text, word.end, text.len())).is_none() => {
                word.beyond += 1;
            }
            Class::Beyond | Class::Other | Class::Trigger => break,
        }
        hash = words::step(hash, byte, before);
        before = byte;
        word.end += 1;
    }
    (word, words::finish(hash))
}

/// Small letters, digits and `_` of words; 0: anything else.
const SMALL: [u8; 256] = {
    let (mut small, mut byte) = ([0; 256], 0_u8);
    while byte < 128 {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            small[byte as usize] = byte.to_ascii_lowercase();
        }
        byte += 1;
    }
    small
};
