//! The classifier: logistic regression on hashed words, pairs and triples, over windows of words. `train/train.py` computes the
//! same features; `tests.rs` holds the two together.

use super::normal::{Read, leet, read};
use super::{Judgement, Source, rules};
use crate::words::{self, Senses};

/// Words that are judged together, and how far the next window begins behind the last.
const WINDOW: usize = 96;
const STEP: usize = 48;

/// Scale, bias and threshold as floats, then a weight of eight bits for each bucket.
static WEIGHTS: &[u8; 12 + BUCKETS] = include_bytes!("../../data/injection.bin");
const BUCKETS: usize = 1 << 16;

/// Longer words are cut, as in training.
const LONGEST: usize = 24;

/// A word as it was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    /// The features of the word, of it behind the one before, and behind the two before; and what they weigh.
    buckets: [u16; 3],
    weights: [i8; 3],
    pub(super) senses: Senses,
    start: usize,
    end: usize,
}

fn constant(place: usize) -> f32 {
    WEIGHTS
        .get(place * 4..place * 4 + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0.0, f32::from_le_bytes)
}

/// Judges by windows; the worst one is the text's. And tells how the text may be wrapped as a whole.
pub(super) fn judge(text: &str, source: Source) -> (Judgement, Signs) {
    let mut scorer = Scorer { seen: [0; BUCKETS / 64] };
    let mut worst = (f32::NEG_INFINITY, "classifier", 0, text.len());
    let mut window: Vec<Token> = Vec::with_capacity(WINDOW);
    let mut fresh = 0;
    let mut score = |window: &[Token]| {
        let linear = scorer.linear(window);
        let (more, reason) = rules::more(window, source);
        if linear + more > worst.0 {
            let range =
                (window.first().map_or(0, |word| word.start), window.last().map_or(0, |word| word.end));
            worst = (linear + more, if more > 0.0 { reason } else { "classifier" }, range.0, range.1);
        }
    };
    let signs = read_words(text, |token| {
        window.push(token);
        fresh += 1;
        if window.len() == WINDOW {
            score(&window);
            window.drain(..STEP);
            fresh = 0;
        }
    });
    if fresh > 0 {
        score(&window);
    }
    let format = rules::format(text, source);
    let z = worst.0 - constant(2) + format;
    let percent = 100.0 / (1.0 + (-1.5 * z).exp());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100")]
    let score = if worst.0.is_finite() { percent.clamp(0.0, 100.0) as u8 } else { 0 };
    let reason = if format > 0.0 && z - format < 0.0 { "format" } else { worst.1 };
    (Judgement { score, reason, start: worst.2, end: worst.3 }, signs)
}

struct Scorer {
    /// A bit for each bucket that the window has.
    seen: [u64; BUCKETS / 64],
}

impl Scorer {
    /// The weights' sum over the distinct features, by the root of how many there are.
    fn linear(&mut self, window: &[Token]) -> f32 {
        let (mut sum, mut count) = (0, 0_u16);
        let mut add = |bucket: u16, weight: i8| {
            let (bits, bit) = self.bit(bucket);
            // No branch: whether a word was there before is nothing that a processor could learn.
            let is_new = u16::from(*bits & bit == 0);
            *bits |= bit;
            count += is_new;
            sum += i32::from(weight) * i32::from(is_new);
        };
        let (first, rest) = window.split_at(window.len().min(2));
        // What stands before the window is none of its features.
        for (place, token) in first.iter().enumerate() {
            token
                .buckets
                .iter()
                .zip(token.weights)
                .take(place + 1)
                .for_each(|(bucket, weight)| add(*bucket, weight));
        }
        for Token { buckets, weights, .. } in rest {
            add(buckets[0], weights[0]);
            add(buckets[1], weights[1]);
            add(buckets[2], weights[2]);
        }
        for token in window {
            for bucket in token.buckets {
                *self.bit(bucket).0 = 0;
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "at most 288 weights of eight bits")]
        let sum = sum as f32;
        sum * constant(0) / f32::from(count.max(12)).sqrt() + constant(1)
    }

    fn bit(&mut self, bucket: u16) -> (&mut u64, u64) {
        // There are as many as sixteen bits can say.
        (&mut self.seen[usize::from(bucket) / 64], 1 << (bucket % 64))
    }
}

/// FNV-1a, one byte more.
const fn more(hash: u64, byte: u8) -> u64 {
    (hash ^ byte as u64).wrapping_mul(0x0000_0100_0000_01b3)
}

/// What a byte is read as, as [`read`] says it; [`GAP`]: it parts words; [`BEYOND`]: it is of a character beyond ASCII.
const MEANT: [u8; 256] = {
    let mut table = [BEYOND; 256];
    let mut byte = 0;
    while byte < 128 {
        #[expect(clippy::cast_possible_truncation, reason = "below 128")]
        let value = byte as u8;
        table[byte] = match value {
            b'a'..=b'z' | b'0'..=b'9' | b'\'' => value,
            b'A'..=b'Z' => value | 32,
            _ => GAP,
        };
        byte += 1;
    }
    table
};
const GAP: u8 = 0xfe;
const BEYOND: u8 = 0xff;

/// Which letters a word has: a bit for each sixteen of ASCII.
const fn kind(meant: u8) -> u32 {
    1 << (meant >> 4)
}
const LETTERS: u32 = kind(b'a') | kind(b'p');
const DIGITS: u32 = kind(b'0');

/// Words that tell how a text is wrapped, by their hashes.
#[derive(Debug, Default)]
pub(super) struct Signs {
    pub(super) rotated: u32,
    pub(super) reversed: u32,
    /// Words of one letter.
    pub(super) singles: usize,
}

const ROTATED: [u64; 8] = hashes([
    b"vtaber",
    b"vafgehpgvbaf",
    b"cebzcg",
    b"flfgrz",
    b"cerivbhf",
    b"qvfertneq",
    b"sbetrg",
    b"erirny",
]);
const REVERSED: [u64; 8] =
    hashes([b"erongi", b"snoitcurtsni", b"tpmorp", b"metsys", b"suoiverp", b"drager", b"tegrof", b"laever"]);
/// A bit for each of them, by a part of its hash: nearly all words have none.
const MAY_TELL: [u64; 4] = {
    let (mut bits, mut at) = ([0; 4], 0);
    while at < 8 {
        bits[(ROTATED[at] >> 6 & 3) as usize] |= 1 << (ROTATED[at] & 63);
        bits[(REVERSED[at] >> 6 & 3) as usize] |= 1 << (REVERSED[at] & 63);
        at += 1;
    }
    bits
};

const fn hashes(words: [&[u8]; 8]) -> [u64; 8] {
    let (mut hashes, mut at) = ([0; 8], 0);
    while at < 8 {
        hashes[at] = words::hash(words[at]);
        at += 1;
    }
    hashes
}

impl Signs {
    /// A word of ASCII, by its hash.
    fn see(&mut self, hash: u64, length: usize) {
        self.singles += usize::from(length == 1);
        if MAY_TELL[(hash >> 6 & 3) as usize] >> (hash & 63) & 1 == 1 {
            self.rotated += u32::from(ROTATED.contains(&hash));
            self.reversed += u32::from(REVERSED.contains(&hash));
        }
    }
}

/// Reads words of letters and digits as they are meant.
fn read_words(text: &str, mut each: impl FnMut(Token)) -> Signs {
    let bytes = text.as_bytes();
    let mut signs = Signs::default();
    let mut row = Row::default();
    let mut start = 0;
    while start < bytes.len() {
        // Nearly all words are short, and of ASCII alone.
        let (mut hash, mut kinds, mut end) = (words::SEED, 0, start);
        let stop = loop {
            let Some(&byte) = bytes.get(end) else { break GAP };
            let meant = MEANT[usize::from(byte)];
            if meant >= GAP {
                break meant;
            }
            hash = more(hash, meant);
            kinds |= kind(meant);
            end += 1;
        };
        if stop == GAP && end - start <= LONGEST {
            if end > start {
                let whole = words::finish(hash);
                signs.see(whole, end - start);
                let (hash, senses) = if kinds & DIGITS == 0 {
                    (hash, words::orders(whole))
                } else {
                    let word = bytes.get(start..end).unwrap_or_default();
                    digits(hash, kinds, word.iter().map(|byte| MEANT[usize::from(*byte)]))
                };
                each(row.next(hash, senses, start, end));
            }
            start = end + 1;
        } else {
            let (reading, end) = odd_word(text, start);
            if reading.whole > 0 {
                let (hash, senses) = reading.close();
                each(row.next(hash, senses, reading.start, end));
            }
            start = end.max(start + 1);
        }
    }
    signs
}

/// The hash as a feature, and what it means, of a word with digits in it.
fn digits(hash: u64, kinds: u32, word: impl Iterator<Item = u8>) -> (u64, Senses) {
    if kinds & LETTERS != 0 {
        // `1gn0r3` is read as `ignore` if that is a word of an attempt.
        let meant = word.fold(words::SEED, |hash, byte| more(hash, leet(byte)));
        let senses = words::orders(words::finish(meant));
        if senses != Senses::NONE {
            return (meant, senses);
        }
    }
    // All numbers are one word.
    let hash = if kinds == DIGITS { more(words::SEED, b'0') } else { hash };
    (hash, words::orders(words::finish(hash)))
}

/// A long word, or one with characters beyond ASCII, as it is read.
#[derive(Debug, Clone, Copy)]
struct Reading {
    /// Its letters as they are meant, as far as they fit.
    word: [u8; LONGEST],
    length: usize,
    /// All its bytes; more than fit is only counted.
    whole: usize,
    hash: u64,
    start: usize,
    kinds: u32,
    /// All so far is ASCII.
    latin: bool,
}

/// Letters that are none of ASCII.
const OTHERS: u32 = 1 << 31;

impl Reading {
    const NEW: Self =
        Self { word: [0; LONGEST], length: 0, whole: 0, hash: words::SEED, start: 0, kinds: 0, latin: true };

    fn add(&mut self, piece: &[u8], place: usize) {
        if self.whole == 0 {
            self.start = place;
        }
        self.whole += piece.len();
        if self.length + piece.len() <= LONGEST && self.length + piece.len() == self.whole {
            for byte in piece {
                if let Some(slot) = self.word.get_mut(self.length) {
                    *slot = *byte;
                }
                self.length += 1;
                self.hash = more(self.hash, *byte);
            }
        }
    }

    fn add_ascii(&mut self, byte: u8, place: usize) {
        self.kinds |= kind(byte);
        self.add(&[byte], place);
    }

    /// The word's hash as a feature, and what it means.
    fn close(&self) -> (u64, Senses) {
        let word = self.word.get(..self.length).unwrap_or_default();
        if self.kinds & DIGITS == 0 {
            (self.hash, words::orders(words::finish(self.hash)))
        } else {
            let kinds = if self.kinds & OTHERS == 0 { self.kinds } else { self.kinds | LETTERS };
            digits(self.hash, kinds, word.iter().copied())
        }
    }
}

/// The word that begins at a place or behind it, and where it ends.
fn odd_word(text: &str, start: usize) -> (Reading, usize) {
    let bytes = text.as_bytes();
    let mut reading = Reading::NEW;
    let mut place = start;
    while let Some(&byte) = bytes.get(place) {
        match MEANT[usize::from(byte)] {
            GAP => break,
            BEYOND => {}
            meant => {
                reading.add_ascii(meant, place);
                place += 1;
                continue;
            }
        }
        let Some(letter) = text.get(place..).and_then(|rest| rest.chars().next()) else { break };
        match read(letter, reading.latin && reading.kinds & (LETTERS | OTHERS) != 0) {
            Read::Gap if reading.whole > 0 => break,
            Read::Gap | Read::Nothing => {}
            Read::Ascii(byte) => reading.add_ascii(byte, place),
            Read::Letter(letter) => {
                reading.latin = false;
                reading.kinds |= OTHERS;
                reading.add(letter.encode_utf8(&mut [0; 4]).as_bytes(), place);
            }
        }
        place += letter.len_utf8();
    }
    (reading, place)
}

/// The hashes of the two words before.
#[derive(Default)]
struct Row {
    one: u64,
    two: u64,
}

impl Row {
    fn next(&mut self, hash: u64, senses: Senses, start: usize, end: usize) -> Token {
        let pair = self.one.wrapping_mul(3).wrapping_add(hash);
        let triple = self.two.wrapping_mul(5).wrapping_add(pair);
        #[expect(clippy::cast_possible_truncation, reason = "the lowest bits are the bucket")]
        let buckets = [hash, pair, triple].map(|hash| words::finish(hash) as u16);
        let weigh =
            |bucket| WEIGHTS.get(12 + usize::from(bucket)).map_or(0, |weight: &u8| weight.cast_signed());
        (self.two, self.one) = (self.one, hash);
        Token { buckets, weights: buckets.map(weigh), senses, start, end }
    }
}
