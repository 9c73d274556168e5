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
    /// FNV-1a of its letters.
    hash: u64,
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
    let mut scorer = Scorer { seen: vec![0; BUCKETS / 64], used: Vec::with_capacity(3 * WINDOW) };
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
    seen: Vec<u64>,
    used: Vec<u16>,
}

impl Scorer {
    /// The weights' sum over the distinct features, by the root of how many there are.
    fn linear(&mut self, window: &[Token]) -> f32 {
        let (mut one, mut two) = (0_u64, 0_u64);
        let mut sum = 0_i32;
        for token in window {
            let hash = token.hash;
            sum += self.take(hash);
            if one != 0 {
                sum += self.take(one.wrapping_mul(3).wrapping_add(hash));
            }
            if two != 0 {
                sum += self.take(two.wrapping_mul(5).wrapping_add(one.wrapping_mul(3)).wrapping_add(hash));
            }
            (two, one) = (one, hash);
        }
        let count = u16::try_from(self.used.len()).unwrap_or(u16::MAX).max(12);
        for bucket in self.used.drain(..) {
            if let Some(bits) = self.seen.get_mut(usize::from(bucket) / 64) {
                *bits = 0;
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "at most 288 weights of eight bits")]
        let sum = sum as f32;
        sum * constant(0) / f32::from(count).sqrt() + constant(1)
    }

    /// A feature's weight the first time that it comes.
    fn take(&mut self, hash: u64) -> i32 {
        #[expect(clippy::cast_possible_truncation, reason = "the lowest bits are the bucket")]
        let bucket = words::finish(hash) as u16;
        let bit = 1 << (bucket % 64);
        match self.seen.get_mut(usize::from(bucket) / 64) {
            Some(bits) if *bits & bit == 0 => {
                *bits |= bit;
                self.used.push(bucket);
                WEIGHTS.get(12 + usize::from(bucket)).map_or(0, |weight| i32::from(weight.cast_signed()))
            }
            _ => 0,
        }
    }
}

/// Reads words of letters and digits as they are meant.
fn read_words(text: &str, mut each: impl FnMut(Token)) {
    let mut word = [0_u8; LONGEST];
    let (mut length, mut start, mut digits, mut letters, mut latin) = (0, 0, 0, 0, true);
    let mut whole = 0_usize;
    let mut close = |word: &[u8], whole: usize, start: usize, end: usize, digits: usize, letters: usize| {
        if whole > 0 {
            each(token(word, start, end, digits, letters));
        }
    };
    for (place, letter) in text.char_indices() {
        let mut bytes = [0; 4];
        let piece: &[u8] = match read(letter, latin && letters > 0) {
            Read::Nothing => continue,
            Read::Gap => {
                close(word.get(..length).unwrap_or_default(), whole, start, place, digits, letters);
                (length, digits, letters, latin, whole) = (0, 0, 0, true, 0);
                continue;
            }
            Read::Ascii(byte) => {
                digits += usize::from(byte.is_ascii_digit());
                letters += usize::from(byte.is_ascii_lowercase());
                bytes[0] = byte;
                &bytes[..1]
            }
            Read::Letter(letter) => {
                latin = false;
                letters += 1;
                letter.encode_utf8(&mut bytes).as_bytes()
            }
        };
        if whole == 0 {
            start = place;
        }
        whole += piece.len();
        if length + piece.len() <= LONGEST && length + piece.len() == whole {
            for byte in piece {
                if let Some(slot) = word.get_mut(length) {
                    *slot = *byte;
                }
                length += 1;
            }
        }
    }
    close(word.get(..length).unwrap_or_default(), whole, start, text.len(), digits, letters);
}

fn token(word: &[u8], start: usize, end: usize, digits: usize, letters: usize) -> Token {
    let plain = |word: &[u8]| {
        word.iter()
            .fold(words::SEED, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
    };
    if digits > 0 && letters > 0 {
        // `1gn0r3` is read as `ignore` if that is a word of an attempt.
        let mut read = [0; LONGEST];
        for (slot, byte) in read.iter_mut().zip(word) {
            *slot = leet(*byte);
        }
        let hash = plain(read.get(..word.len()).unwrap_or_default());
        let senses = words::senses(words::finish(hash));
        if senses.meets(rules::WORDS) {
            return Token { hash, senses, start, end };
        }
    }
    let hash = if letters == 0 && digits == word.len() { plain(b"0") } else { plain(word) };
    Token { hash, senses: words::senses(words::finish(hash)), start, end }
}
