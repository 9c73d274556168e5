//! One pass over JSON text: whether it is JSON, and where the values of its outermost object or list stand.
//!
//! Every body goes through here, and most of its bytes are the insides of strings: those are passed over in the processor's steps.
//! The judgement is that of `serde_json`, whose reader stays the one that says what is wrong with a text.

use std::borrow::Cow;

use serde::de::value::{BorrowedStrDeserializer, Error, MapDeserializer};
use serde::de::{Deserialize, Deserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::value::RawValue;

use crate::json::MOST_DEPTH;

/// The fields of an object, in their order.
pub(crate) type Items<'a> = Vec<(Cow<'a, str>, &'a RawValue)>;

/// The fields of the object that `json` is; none if it is no object, no JSON, or nests deeper than
/// [`MOST_DEPTH`].
///
/// `watch` sees every key of every object inside, and the text from its value on.
pub(crate) fn object<'a>(json: &'a str, watch: impl FnMut(Key<'a>, &'a str)) -> Option<Items<'a>> {
    outermost(json, watch)
}

/// The same for whom asks for no keys inside.
pub(crate) fn fields(json: &str) -> Option<Items<'_>> {
    outermost(json, Unwatched)
}

fn outermost<'a>(json: &'a str, watch: impl Watch<'a>) -> Option<Items<'a>> {
    let mut scan = Scan::new(json, watch);
    let mut items = Items::with_capacity(8);
    scan.expect(b'{')?;
    if scan.next()? == b'}' {
        scan.at += 1;
        return scan.ended().then_some(items);
    }
    loop {
        let key = match scan.key()? {
            Key::Plain(key) => Cow::Borrowed(key),
            // With its quotes it is a text of its own, whose escapes are judged there.
            Key::Escaped(quoted) => Cow::Owned(crate::json::from_str(quoted).ok()?),
        };
        let start = scan.at;
        scan.value()?;
        items.push((key, raw(json.get(start..scan.at)?)?));
        match scan.next()? {
            b',' => scan.at += 1,
            b'}' => break,
            _ => return None,
        }
    }
    scan.at += 1;
    scan.ended().then_some(items)
}

/// Who sees every key of every object inside, and the text from its value on.
trait Watch<'a> {
    /// Whether it wants to; what nobody sees need not be cut out.
    const SEES: bool;

    fn see(&mut self, key: Key<'a>, rest: &'a str);
}

impl<'a, W: FnMut(Key<'a>, &'a str)> Watch<'a> for W {
    const SEES: bool = true;

    fn see(&mut self, key: Key<'a>, rest: &'a str) {
        self(key, rest);
    }
}

#[derive(Debug)]
struct Unwatched;

impl<'a> Watch<'a> for Unwatched {
    const SEES: bool = false;

    fn see(&mut self, _: Key<'a>, _: &'a str) {}
}

/// The items of the list that `json` is; none if it is no list, no JSON, or nests deeper than
/// [`MOST_DEPTH`].
pub(crate) fn list(json: &str) -> Option<Vec<&RawValue>> {
    let mut scan = Scan::new(json, Unwatched);
    let mut items = Vec::new();
    scan.expect(b'[')?;
    if scan.next()? == b']' {
        scan.at += 1;
        return scan.ended().then_some(items);
    }
    loop {
        scan.next()?;
        let start = scan.at;
        scan.value()?;
        items.push(raw(json.get(start..scan.at)?)?);
        match scan.next()? {
            b',' => scan.at += 1,
            b']' => break,
            _ => return None,
        }
    }
    scan.at += 1;
    scan.ended().then_some(items)
}

/// A key as it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Key<'a> {
    /// What stands between its quotes is what it means.
    Plain(&'a str),
    /// It has escapes. With its quotes.
    Escaped(&'a str),
}

/// The deepest nesting that is followed inside the outermost object or list.
const MOST: usize = MOST_DEPTH - 1;
// There is a bit for each level.
const _: () = assert!(MOST <= 128);

/// JSON text as the value that it is, without another look at it. What is no JSON must not come here.
fn raw(json: &str) -> Option<&RawValue> {
    Deserialize::deserialize(Given(json)).ok()
}

/// Hands a text to the reader of a [`RawValue`] as `serde_json` does: in a wrapper of the name that the reader asks for.
struct Given<'a>(&'a str);

impl<'de> Deserializer<'de> for Given<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        let value = BorrowedStrDeserializer::new(self.0);
        visitor.visit_map(MapDeserializer::new(std::iter::once((name, value))))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct Scan<'a, W> {
    text: &'a str,
    json: &'a [u8],
    at: usize,
    watch: W,
}

impl<'a, W: Watch<'a>> Scan<'a, W> {
    fn new(text: &'a str, watch: W) -> Self {
        Self { text, json: text.as_bytes(), at: 0, watch }
    }

    fn peek(&self) -> Option<u8> {
        self.json.get(self.at).copied()
    }

    /// The next byte that is no space; it is not taken.
    fn next(&mut self) -> Option<u8> {
        loop {
            match self.peek()? {
                b' ' | b'\n' | b'\t' | b'\r' => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then(|| self.at += 1)
    }

    fn ended(&mut self) -> bool {
        self.next().is_none()
    }

    /// Takes a key and its colon, and stands before its value.
    fn key(&mut self) -> Option<Key<'a>> {
        self.expect(b'"')?;
        let from = self.at;
        let escaped = self.string()?;
        let key = if escaped {
            Key::Escaped(self.text.get(from - 1..self.at)?)
        } else {
            Key::Plain(self.text.get(from..self.at - 1)?)
        };
        self.expect(b':')?;
        self.next()?;
        if W::SEES {
            self.watch.see(key, self.text.get(self.at..)?);
        }
        Some(key)
    }

    /// Takes the key of an object inside, and its colon.
    fn inner_key(&mut self) -> Option<()> {
        if W::SEES {
            return self.key().map(drop);
        }
        self.expect(b'"')?;
        self.string()?;
        self.expect(b':')
    }

    /// Takes one value whole.
    fn value(&mut self) -> Option<()> {
        // The lowest bit is the innermost level: one for an object, zero for a list.
        let (mut levels, mut depth) = (0_u128, 0_usize);
        loop {
            let byte = self.next()?;
            self.at += 1;
            match byte {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    if depth == MOST {
                        return None;
                    }
                    let object = byte == b'{';
                    if self.next()? == if object { b'}' } else { b']' } {
                        self.at += 1;
                    } else {
                        depth += 1;
                        levels = (levels << 1) | u128::from(object);
                        if object {
                            self.inner_key()?;
                        }
                        continue;
                    }
                }
                b't' => self.word(b"rue")?,
                b'f' => self.word(b"alse")?,
                b'n' => self.word(b"ull")?,
                b'-' => {
                    let first = self.peek()?;
                    self.at += 1;
                    self.number(first)?;
                }
                digit => self.number(digit)?,
            }
            // A value has ended, and with it perhaps what it stands in.
            loop {
                if depth == 0 {
                    return Some(());
                }
                let byte = self.next()?;
                self.at += 1;
                match (byte, levels & 1 == 1) {
                    (b',', true) => {
                        self.inner_key()?;
                        break;
                    }
                    (b',', false) => break,
                    (b'}', true) | (b']', false) => {
                        depth -= 1;
                        levels >>= 1;
                    }
                    _ => return None,
                }
            }
        }
    }

    fn word(&mut self, rest: &[u8]) -> Option<()> {
        let there = self.json.get(self.at..)?.starts_with(rest);
        self.at += rest.len();
        there.then_some(())
    }

    /// Takes the rest of a number whose first digit was taken.
    fn number(&mut self, first: u8) -> Option<()> {
        match first {
            b'0' => {}
            b'1'..=b'9' => self.digits(),
            _ => return None,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.some_digits()?;
        }
        // A digit after a leading zero belongs to no number.
        (!self.peek().is_some_and(|byte| byte.is_ascii_digit())).then_some(())
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Option<()> {
        let before = self.at;
        self.digits();
        (self.at > before).then_some(())
    }

    /// Takes the rest of a string whose opening quote was taken, and its closing quote; answers whether it has escapes.
    fn string(&mut self) -> Option<bool> {
        // Keys and most values are short, and end before a block would have been looked through.
        let near = first_special(self.json, self.at)?;
        match near {
            Ok(place) if self.json.get(place) == Some(&b'"') => {
                self.at = place + 1;
                Some(false)
            }
            Ok(place) | Err(place) => {
                let (end, escaped) = rest_of_string(self.json, place)?;
                self.at = end;
                Some(escaped)
            }
        }
    }
}

/// The end of a string before whose byte `at` nothing is special, after its closing quote, and whether it has escapes.
///
/// Long bodies spend their time here. It is no part of [`Scan`], which is generic and compiled again for each that scans.
fn rest_of_string(json: &[u8], mut at: usize) -> Option<(usize, bool)> {
    let mut escaped = false;
    while let Some(block) = json.get(at..).and_then(<[u8]>::first_chunk) {
        let mut left = special(block);
        if left == 0 {
            at += BLOCK;
            at += plain(json.get(at..)?);
            continue;
        }
        let mut next = BLOCK;
        while left != 0 {
            let place = left.trailing_zeros() as usize;
            if block[place] != b'\\' {
                // What is neither is a control character, which must be written as an escape.
                return (block[place] == b'"').then_some((at + place + 1, escaped));
            }
            escaped = true;
            if block.get(place + 1).is_some_and(|byte| SHORT_ESCAPES[usize::from(*byte)]) {
                // What is escaped ends nothing.
                left &= AFTER_PAIR << place;
                continue;
            }
            let after = place + escape(json, at + place)?;
            if after >= BLOCK {
                next = after;
                break;
            }
            left &= u64::MAX << after;
        }
        at += next;
    }
    // Less than a block from the end of the whole text.
    loop {
        match *json.get(at)? {
            b'"' => {
                return Some((at + 1, escaped));
            }
            b'\\' => {
                escaped = true;
                at += escape(json, at)?;
            }
            byte if byte < 0x20 => return None,
            _ => at += 1,
        }
    }
}

/// By what follows a backslash: whether that is all of the escape.
static SHORT_ESCAPES: [bool; 256] = {
    let mut table = [false; 256];
    let mut rest: &[u8] = b"\"\\/bfnrt";
    while let [byte, others @ ..] = rest {
        table[*byte as usize] = true;
        rest = others;
    }
    table
};

/// How long the escape is that begins at `at`; none if it is none.
fn escape(json: &[u8], at: usize) -> Option<usize> {
    match json.get(at + 1)? {
        b'u' => {
            let digits = json.get(at + 2..at + 6)?;
            digits.iter().all(u8::is_ascii_hexdigit).then_some(6)
        }
        byte => SHORT_ESCAPES[usize::from(*byte)].then_some(2),
    }
}

fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// All but a backslash at the lowest bit, and what it escapes.
const AFTER_PAIR: u64 = !0b11;
const ONES: u64 = u64::MAX / 255;

/// The place of the next quote, backslash or control character if it is near; else a place before which there is none.
/// None where the text ends.
pub(crate) fn first_special(json: &[u8], mut at: usize) -> Option<Result<usize, usize>> {
    const WORDS: usize = 2;
    for _ in 0..WORDS {
        let Some(word) = json.get(at..)?.first_chunk() else { break };
        let found = specials(u64::from_le_bytes(*word));
        if found != 0 {
            return Some(Ok(at + found.trailing_zeros() as usize / 8));
        }
        at += 8;
    }
    Some(Err(at))
}

/// In each byte the highest bit, where it is special; bytes after the first that is may have it for nothing.
/// <https://graphics.stanford.edu/~seander/bithacks.html#HasLessInWord>
fn specials(word: u64) -> u64 {
    let below = |word: u64, least: u64| word.wrapping_sub(ONES * least) & !word;
    let quote = below(word ^ (ONES * u64::from(b'"')), 1);
    let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
    (below(word, 0x20) | quote | backslash) & (ONES * 0x80)
}

/// Whether `text` can stand between quotes as it is.
pub(crate) fn is_plain(text: &str) -> bool {
    let (words, rest) = text.as_bytes().as_chunks();
    let special = |word: &[u8; 8]| specials(u64::from_le_bytes(*word)) != 0;
    !words.iter().any(special) && !rest.iter().any(|byte| is_special(*byte))
}

/// Bytes that are looked at together.
const BLOCK: usize = 64;

/// A bit for each byte of a block, the lowest for the first: whether it is special.
fn special(block: &[u8; BLOCK]) -> u64 {
    /// Multiplied by it, eight bytes that are 0 or 1 become the eight bits of the highest byte: no two of the
    /// products meet in one bit.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    // Without a way out in its middle, so that it becomes a few wide instructions.
    let mut flags = [0_u8; BLOCK];
    for (flag, byte) in flags.iter_mut().zip(block) {
        *flag = u8::from(is_special(*byte));
    }
    let (words, _) = flags.as_chunks();
    words.iter().enumerate().fold(0, |bits, (nth, word)| {
        bits | (u64::from_le_bytes(*word).wrapping_mul(GATHER) >> 56) << (8 * nth)
    })
}

/// How many bytes at the beginning are certainly not special: whole blocks of them.
fn plain(json: &[u8]) -> usize {
    let (blocks, _) = json.as_chunks::<BLOCK>();
    // Without a way out in its middle, so that it becomes a few wide instructions.
    let special = |block: &[u8; BLOCK]| block.iter().fold(false, |any, byte| any | is_special(*byte));
    blocks.iter().take_while(|block| !special(block)).count() * BLOCK
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
