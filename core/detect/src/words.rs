//! What words mean to detectors: one table that is asked once for each word of a text.
//!
//! `data/words.txt` and its neighbours hold lines of `sense: word word …`; a word may stand in several. They come packed by
//! `build.rs`. The table is built at its first use (some ten thousand insertions) and then only read: a word costs its hash and mostly one look.

use std::sync::OnceLock;

/// What a word may mean: a bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Senses(pub(crate) u64);

macro_rules! senses {
    ($($name:ident $word:literal;)*) => {
        #[expect(non_camel_case_types, clippy::upper_case_acronyms, reason = "numbers of the constants below")]
        enum Place { $($name,)* }

        impl Senses {
            $(pub(crate) const $name: Self = Self(1 << Place::$name as u64);)*

            fn named(name: &str) -> Self {
                match name { $($word => Self::$name,)* _ => Self(0) }
            }
        }
    };
}

senses! {
    // Words that stand before a value. These are the first, so that their numbers index what was seen last.
    PHONE "phone";
    CARD "card";
    BANK "bank";
    NATIONAL "national";
    PASSPORT "passport";
    LICENCE "licence";
    MEDICAL "medical";
    BIRTH "birth";
    VEHICLE "vehicle";
    CRYPTO "crypto";
    SECRET "secret";
    VERSION "version";
    INTRODUCES "introduces";
    TITLE "title";
    NUMBER "number";
    // What words are.
    GIVEN "given";
    SURNAME "surname";
    COMMON "common";
    PARTICLE "particle";
    LEGAL_FORM "legal-form";
    INSTITUTION "institution";
    COMPANY "company";
    PLACE "place";
    STREET_LAST "street-last";
    STREET_PERHAPS "street-perhaps";
    STREET_FIRST "street-first";
    MONTH "month";
    PHRASE_END "phrase-end";
    // Languages by their small words.
    EN "en";
    DE "de";
    FR "fr";
    ES "es";
    IT "it";
    PT "pt";
    NL "nl";
    // Words of attempts to take a model's instructions away.
    FORGETS "forgets";
    EARLIER "earlier";
    ORDERS "orders";
    SHOWS "shows";
    SYSTEM "system";
    VIOLENCE "violence";
    SEXUAL "sexual";
    HATE "hate";
}

/// How many of the first senses are remembered with their place.
pub(crate) const REMEMBERED: usize = 15;

impl Senses {
    pub(crate) const NONE: Self = Self(0);

    pub(crate) const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn index(self) -> usize {
        self.0.trailing_zeros() as usize
    }
}

/// For each sense its name, a colon, its words, and a byte that is none of UTF-8's; each word is a number of letters that it
/// shares with the one before (below 32, where no letter is), and its others.
const PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/words.bin"));

/// Longer words mean nothing, and are not hashed whole.
pub(crate) const LONGEST: usize = 32;

/// Words of attempts to take a model's instructions away.
pub(crate) const ORDERS: Senses =
    Senses::FORGETS.or(Senses::EARLIER).or(Senses::ORDERS).or(Senses::SHOWS).or(Senses::SYSTEM);

struct Table {
    /// A bit for each of [`ORDERS`]' words, by a part of its hash: nearly all words have none.
    orders: [u64; 128],
    /// A word's hash and where its senses are; 0 is an empty place.
    places: Vec<(u32, u16)>,
    senses: Vec<Senses>,
    mask: usize,
}

/// What a word means, by its hash.
pub(crate) fn senses(hash: u64) -> Senses {
    Table::get().find(hash)
}

/// What a word means that is one of [`ORDERS`], by its hash; nothing of others.
pub(crate) fn orders(hash: u64) -> Senses {
    let table = Table::get();
    let (place, bit) = Table::order(hash);
    if table.orders.get(place).is_none_or(|bits| bits & bit == 0) {
        return Senses::NONE;
    }
    let senses = table.find(hash);
    if senses.meets(ORDERS) { senses } else { Senses::NONE }
}

impl Table {
    fn get() -> &'static Self {
        static TABLE: OnceLock<Table> = OnceLock::new();
        TABLE.get_or_init(Table::build)
    }

    fn order(hash: u64) -> (usize, u64) {
        ((hash >> 46) as usize & 127, 1 << (hash >> 40 & 63))
    }

    fn build() -> Self {
        // Half of a word is its neighbour's, so this is some three times as many places as words.
        let size = (PACKED.len() / 4 * 3).next_power_of_two();
        let mut table =
            Self { orders: [0; 128], places: vec![(0, 0); size], senses: vec![Senses::NONE], mask: size - 1 };
        each(PACKED, |sense, word| table.insert(hash(word), Senses::named(sense)));
        table
    }

    fn insert(&mut self, hash: u64, sense: Senses) {
        let place = self.place(hash);
        let Some(&(_, old)) = self.places.get(place) else { return };
        let all = self.senses.get(usize::from(old)).copied().unwrap_or_default().or(sense);
        if sense.meets(ORDERS) {
            let (place, bit) = Self::order(hash);
            if let Some(bits) = self.orders.get_mut(place) {
                *bits |= bit;
            }
        }
        // There are some hundred combinations, and mostly it is the one that the word before had.
        let index = self.senses.iter().rposition(|known| *known == all).unwrap_or_else(|| {
            self.senses.push(all);
            self.senses.len() - 1
        });
        if let (Some(slot), Ok(index)) = (self.places.get_mut(place), u16::try_from(index)) {
            *slot = (tag(hash), index);
        }
    }

    fn place(&self, hash: u64) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "the mask is smaller")]
        let mut place = hash as usize & self.mask;
        while let Some(&(found, _)) = self.places.get(place) {
            if found == 0 || found == tag(hash) {
                break;
            }
            place = (place + 1) & self.mask;
        }
        place
    }

    fn find(&self, hash: u64) -> Senses {
        let Some(&(found, index)) = self.places.get(self.place(hash)) else { return Senses::NONE };
        if found == 0 {
            Senses::NONE
        } else {
            self.senses.get(usize::from(index)).copied().unwrap_or_default()
        }
    }
}

/// Tells every word of what `build.rs` packed, with its sense's name.
fn each(packed: &[u8], mut tell: impl FnMut(&str, &[u8])) {
    for list in packed.split(|byte| *byte == 0xff) {
        let Some(colon) = list.iter().position(|byte| *byte == b':') else { continue };
        let (sense, mut rest) = list.split_at(colon);
        let sense = str::from_utf8(sense).unwrap_or_default();
        rest = rest.get(1..).unwrap_or_default();
        let mut word: Vec<u8> = Vec::with_capacity(LONGEST);
        while let Some((shared, letters)) = rest.split_first() {
            let end = letters.iter().position(|byte| *byte < b' ').unwrap_or(letters.len());
            let (own, others) = letters.split_at(end);
            word.truncate(usize::from(*shared));
            word.extend_from_slice(own);
            tell(sense, &word);
            rest = others;
        }
    }
}

fn tag(hash: u64) -> u32 {
    let tag = (hash >> 32) as u32;
    tag.max(1)
}

pub(crate) const SEED: u64 = 0xcbf2_9ce4_8422_2325;

/// One byte more of a word, capitals as small letters. UTF-8's second bytes of `À` to `Þ` come out as those of `à` to `þ`.
pub(crate) const fn step(hash: u64, byte: u8, before: u8) -> u64 {
    let byte = match byte {
        b'A'..=b'Z' => byte | 32,
        0x80..=0x9e if before == 0xc3 && byte != 0x97 => byte | 32,
        other => other,
    };
    (hash ^ byte as u64).wrapping_mul(0x0000_0100_0000_01b3)
}

/// Spreads the last letters over all bits.
pub(crate) const fn finish(hash: u64) -> u64 {
    let hash = (hash ^ hash >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^ hash >> 29
}

pub(crate) const fn hash(word: &[u8]) -> u64 {
    let (mut hash, mut before, mut at) = (SEED, 0, 0);
    while at < word.len() {
        hash = step(hash, word[at], before);
        before = word[at];
        at += 1;
    }
    finish(hash)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_word_of_the_lists_comes_out_as_it_was_written() {
        let mut written = BTreeSet::new();
        for line in [include_str!("../data/words.txt"), include_str!("../data/names.txt")]
            .map(str::lines)
            .into_iter()
            .flatten()
        {
            let (sense, words) = line.split_once(": ").unwrap();
            assert_ne!(Senses::named(sense), Senses::NONE, "{sense}");
            written.extend(words.split(' ').map(|word| (sense.to_owned(), word.to_owned())));
        }
        let mut read = BTreeSet::new();
        each(PACKED, |sense, word| {
            assert!(senses(hash(word)).meets(Senses::named(sense)), "{word:?}");
            read.insert((sense.to_owned(), String::from_utf8(word.to_vec()).unwrap()));
        });
        assert!(read == written);
        assert!(read.len() > 10_000);
    }
}
