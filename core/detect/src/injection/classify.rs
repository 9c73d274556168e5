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
    /// The features of the word, of it behind the one before, and behind the two before.
    buckets: [u16; 3],
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

/// Judges by windows; the worst one is the text's.
pub(super) fn judge(text: &str, source: Source) -> Judgement {
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
    read_words(text, |token| {
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
    Judgement { score, reason, start: worst.2, end: worst.3 }
}

struct Scorer {
    /// A bit for each bucket that the window has.
    seen: [u64; BUCKETS / 64],
}

impl Scorer {
    /// The weights' sum over the distinct features, by the root of how many there are.
    fn linear(&mut self, window: &[Token]) -> f32 {
        let (mut sum, mut count) = (0, 0_u16);
        // What stands before the window is none of its features.
        for (place, token) in window.iter().enumerate() {
            for bucket in token.buckets.iter().take(place + 1) {
                let (bits, bit) = self.bit(*bucket);
                if *bits & bit == 0 {
                    *bits |= bit;
                    count += 1;
                    sum += WEIGHTS
                        .get(12 + usize::from(*bucket))
                        .map_or(0, |weight| i32::from(weight.cast_signed()));
                }
            }
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
fn more(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
}

/// What ASCII is read as, as [`read`] says it; 0: a gap.
const ASCII: [u8; 128] = {
    let mut table = [0; 128];
    let mut byte = 0;
    while byte < 128 {
        table[byte as usize] = match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'\'' => byte,
            b'A'..=b'Z' => byte | 32,
            _ => 0,
        };
        byte += 1;
    }
    table
};

/// The word that is being read.
#[derive(Debug, Clone, Copy)]
struct Reading {
    /// Its letters as they are meant, as far as they fit.
    word: [u8; LONGEST],
    length: usize,
    /// All its bytes; more than fit is only counted.
    whole: usize,
    hash: u64,
    start: usize,
    digits: usize,
    letters: usize,
    /// All so far is ASCII.
    latin: bool,
}

impl Reading {
    const NEW: Self = Self {
        word: [0; LONGEST],
        length: 0,
        whole: 0,
        hash: words::SEED,
        start: 0,
        digits: 0,
        letters: 0,
        latin: true,
    };

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
        self.digits += usize::from(byte.is_ascii_digit());
        self.letters += usize::from(byte.is_ascii_lowercase());
        self.add(&[byte], place);
    }

    /// The word's hash as a feature, and what it means.
    fn close(&self) -> (u64, Senses) {
        let word = self.word.get(..self.length).unwrap_or_default();
        if self.digits > 0 && self.letters > 0 {
            // `1gn0r3` is read as `ignore` if that is a word of an attempt.
            let hash = word.iter().fold(words::SEED, |hash, byte| more(hash, leet(*byte)));
            let senses = words::orders(words::finish(hash));
            if senses != Senses::NONE {
                return (hash, senses);
            }
        }
        let number = self.letters == 0 && self.digits == self.length;
        let hash = if number { more(words::SEED, b'0') } else { self.hash };
        (hash, words::orders(words::finish(hash)))
    }
}

/// Reads words of letters and digits as they are meant.
fn read_words(text: &str, mut each: impl FnMut(Token)) {
    // The hashes of the two words before.
    let (mut one, mut two) = (0_u64, 0_u64);
    let mut close = |reading: &mut Reading, end: usize| {
        if reading.whole > 0 {
            let (hash, senses) = reading.close();
            let pair = one.wrapping_mul(3).wrapping_add(hash);
            let triple = two.wrapping_mul(5).wrapping_add(pair);
            #[expect(clippy::cast_possible_truncation, reason = "the lowest bits are the bucket")]
            let buckets = [hash, pair, triple].map(|hash| words::finish(hash) as u16);
            each(Token { buckets, senses, start: reading.start, end });
            (two, one) = (one, hash);
        }
        // Its letters need not be wiped.
        *reading = Reading { word: reading.word, ..Reading::NEW };
    };
    let mut reading = Reading::NEW;
    let mut place = 0;
    while let Some(&byte) = text.as_bytes().get(place) {
        if let Some(&meant) = ASCII.get(usize::from(byte)) {
            if meant == 0 {
                close(&mut reading, place);
            } else {
                reading.add_ascii(meant, place);
            }
            place += 1;
            continue;
        }
        let Some(letter) = text.get(place..).and_then(|rest| rest.chars().next()) else { break };
        match read(letter, reading.latin && reading.letters > 0) {
            Read::Nothing => {}
            Read::Gap => close(&mut reading, place),
            Read::Ascii(byte) => reading.add_ascii(byte, place),
            Read::Letter(letter) => {
                reading.latin = false;
                reading.letters += 1;
                reading.add(letter.encode_utf8(&mut [0; 4]).as_bytes(), place);
            }
        }
        place += letter.len_utf8();
    }
    close(&mut reading, text.len());
}
