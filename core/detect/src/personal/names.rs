//! Names of persons, organisations and places: lists, and what stands around them.
//!
//! Capitalised words in a row are collected; where the row ends it is read from left to right.

use crate::Kind;
use crate::bytes::{at, before, part};
use crate::walk::{Walk, Word};
use crate::words::{self, Senses};

/// A row of more capitalised words is a heading.
const LONGEST: usize = 6;

/// The row of capitalised words that is being read.
#[derive(Debug, Default)]
pub(crate) struct Names {
    row: [Word; LONGEST],
    count: usize,
    /// What the word before the row means.
    senses_before: Senses,
    previous: Senses,
    long: bool,
}

impl Names {
    /// Called at every word.
    pub(crate) fn word(&mut self, walk: &mut Walk<'_>, word: &Word) {
        let text = walk.text;
        let capital = word.digits == 0 && capital(text, word.start);
        if self.count == 0 && !capital {
            self.previous = word.senses;
            return;
        }
        let joined = self.last().is_some_and(|last| links(part(text, last.end, word.start), last));
        let particle = word.senses.meets(Senses::PARTICLE) && !capital && joined;
        if !joined || !(capital || particle) {
            self.close(walk);
        }
        if capital || (particle && self.count > 0) {
            if self.count == 0 {
                self.senses_before = self.previous;
                self.long = false;
            }
            if let Some(slot) = self.row.get_mut(self.count) {
                *slot = *word;
                self.count += 1;
            } else {
                self.long = true;
                self.row.rotate_left(1);
                if let Some(last) = self.row.last_mut() {
                    *last = *word;
                }
            }
        }
        self.previous = word.senses;
    }

    fn last(&self) -> Option<&Word> {
        self.row.get(..self.count).and_then(<[Word]>::last)
    }

    /// Reads the row and begins anew.
    pub(crate) fn close(&mut self, walk: &mut Walk<'_>) {
        let count = std::mem::take(&mut self.count);
        let row = self.row;
        let mut words = row.get(..count).unwrap_or_default();
        while words.last().is_some_and(|last| !capital(walk.text, last.start)) {
            words = words.split_last().map_or(&[], |(_, rest)| rest);
        }
        let mut told = self.senses_before.meets(Senses::TITLE.or(Senses::INTRODUCES));
        while let Some((first, rest)) = words.split_first() {
            if first.senses.meets(Senses::TITLE) && !rest.is_empty() {
                told = true;
                words = rest;
                continue;
            }
            let used = read(walk, words, told);
            told = false;
            words = words.get(used.max(1)..).unwrap_or_default();
        }
    }
}

fn capital(text: &[u8], start: usize) -> bool {
    let first = at(text, start);
    first.is_ascii_uppercase() || (first == 0xc3 && matches!(at(text, start + 1), 0x80..=0x9e))
}

/// What may stand between two words of a name.
fn links(between: &[u8], last: &Word) -> bool {
    match between {
        b" " | b"-" | b"'" | [0xe2, 0x80, 0x99] => true,
        b". " => last.len() == 1 || last.senses.meets(Senses::TITLE),
        _ => false,
    }
}

/// Finds what begins with the first of these words. Returns how many words it took.
fn read(walk: &mut Walk<'_>, row: &[Word], told: bool) -> usize {
    let text = walk.text;
    let Some(first) = row.first() else { return 1 };
    let is = |word: &Word, sense: Senses| word.senses.meets(sense);
    let upper = |word: &Word| part(text, word.start, word.end).iter().all(u8::is_ascii_uppercase);
    // `Acme Widgets GmbH`, `University of Leeds`.
    if let Some(form) = row.iter().skip(1).position(|word| is(word, Senses::LEGAL_FORM)) {
        let taken = form + 2;
        if let Some(last) = row.get(taken - 1) {
            walk.find(Kind::Organisation, "organisation", first.start, last.end, 85);
            return taken;
        }
    }
    if is(first, Senses::COMPANY) {
        walk.find(Kind::Organisation, "organisation", first.start, first.end, 75);
        return 1;
    }
    // Two words, then one: `New York`.
    if let Some(two) = row.get(1) {
        let both = words::hash(part(text, first.start, two.end));
        if words::senses(both).meets(Senses::PLACE) {
            walk.find(Kind::Place, "place", first.start, two.end, 80);
            return 2;
        }
    }
    let name = |word: &Word| is(word, Senses::GIVEN.or(Senses::SURNAME)) || !is(word, Senses::COMMON);
    let initial = |word: &Word| word.len() == 1 && upper(word);
    let mut end = 1;
    while let Some(word) = row.get(end) {
        if !(initial(word) || is(word, Senses::PARTICLE) || name(word))
            || is(word, Senses::PLACE.or(Senses::INSTITUTION)) && !is(word, Senses::SURNAME)
        {
            break;
        }
        end += 1;
    }
    while end > 1
        && row.get(end - 1).is_some_and(|word| is(word, Senses::PARTICLE) && !capital(text, word.start))
    {
        end -= 1;
    }
    let end = end.min(4);
    let Some(last) = row.get(end - 1) else { return 1 };
    let others = row.get(1..end).unwrap_or_default();
    let given = is(first, Senses::GIVEN);
    let common = is(first, Senses::COMMON);
    let surname = others.iter().any(|word| is(word, Senses::SURNAME));
    let score = if (told && !common) || (given && surname) {
        90
    } else if given && !others.is_empty() && !common {
        80
    } else if initial(first) && surname {
        70
    } else if given && !common && !is(first, Senses::PLACE.or(Senses::MONTH)) {
        60
    } else {
        0
    };
    if score > 0 && !(upper(first) && first.len() > 1 && before(text, first.start) == b'_') {
        walk.find(Kind::Person, "person", first.start, last.end, score);
        return end;
    }
    if is(first, Senses::PLACE) && !common {
        walk.find(Kind::Place, "place", first.start, first.end, 75);
    }
    1
}
