//! Classes of bytes, and the ends of runs.

/// What a byte can be part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Separates: space, punctuation.
    Other,
    /// ASCII letters and `_`.
    Letter,
    Digit,
    /// A byte of a character beyond ASCII.
    Beyond,
    /// Begins something by itself: `@ : + ( -`.
    Trigger,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Other; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "below 256")]
        let value = byte as u8;
        classes[byte] = match value {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => Class::Letter,
            b'0'..=b'9' => Class::Digit,
            0x80..=0xff => Class::Beyond,
            b'@' | b':' | b'+' | b'(' | b'-' => Class::Trigger,
            _ => Class::Other,
        };
        byte += 1;
    }
    classes
};

pub(crate) fn class(byte: u8) -> Class {
    CLASSES[usize::from(byte)]
}

/// The length of the character beyond ASCII that begins here if it is no letter: signs of Latin-1, general punctuation,
/// ideographic punctuation, emoji. Nothing where it is a letter.
pub(crate) fn sign(rest: &[u8]) -> Option<usize> {
    match rest {
        [0xc2, ..] => Some(2),
        [0xe2, ..] | [0xe3, 0x80, ..] | [0xef, 0xb8 | 0xbb | 0xbc | 0xbf, ..] => Some(3),
        [0xf0, 0x9f, ..] => Some(4),
        _ => None,
    }
    .map(|length| length.min(rest.len()))
}

/// A byte at a place, 0 outside of the text.
pub(crate) fn at(text: &[u8], place: usize) -> u8 {
    text.get(place).copied().unwrap_or(0)
}

/// The byte before a place, 0 at the beginning.
pub(crate) fn before(text: &[u8], place: usize) -> u8 {
    place.checked_sub(1).map_or(0, |place| at(text, place))
}

/// Whether a byte continues a word, so that what ends before it is only a part of one.
pub(crate) fn joins(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Where the run of bytes that `keeps` ends; at most `limit` bytes on.
pub(crate) fn run(text: &[u8], start: usize, limit: usize, keeps: impl Fn(u8) -> bool) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    let rest = rest.get(..limit).unwrap_or(rest);
    let mut end = start + rest.iter().position(|byte| !keeps(*byte)).unwrap_or(rest.len());
    // The limit may have cut a character.
    while end > start && at(text, end) & 0xc0 == 0x80 {
        end -= 1;
    }
    end
}

/// A part of the text, empty where the range is none.
pub(crate) fn part(text: &[u8], start: usize, end: usize) -> &[u8] {
    text.get(start..end).unwrap_or_default()
}
