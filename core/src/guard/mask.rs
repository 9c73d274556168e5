//! What stands in the place of what was found.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use gatelet_wire::SmallMap;
use gatelet_wire::sort::sort_by;
use sha2::{Digest, Sha256};

use super::scan::Kind;

/// How a guard hides what it finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Masking {
    pub style: Style,
    /// The caller reads the value itself where the answer says what stood for it.
    pub restores: bool,
    /// What makes pseudonyms, hashes and fakes of this gateway other than those of others.
    pub salt: Arc<str>,
}

impl Default for Masking {
    fn default() -> Self {
        Self { style: Style::Tag, restores: true, salt: Arc::from("") }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// `[EMAIL_1]`: the first of its kind in the conversation.
    #[default]
    Tag,
    /// `email-3kd9f0ax`: the same for the same value, in every conversation.
    Pseudonym,
    /// A hash of the value in hexadecimal.
    Hash,
    /// Its last characters alone: `•••• 1111`.
    Partial,
    /// Other digits and letters in the same form.
    Fake,
}

impl Style {
    pub fn read(word: &str) -> Option<Self> {
        match word {
            "tag" => Some(Self::Tag),
            "pseudonym" => Some(Self::Pseudonym),
            "hash" => Some(Self::Hash),
            "partial" => Some(Self::Partial),
            "fake" => Some(Self::Fake),
            _ => None,
        }
    }

    /// Whether two values never have the same in their place.
    pub fn is_distinct(self) -> bool {
        match self {
            Self::Tag | Self::Pseudonym | Self::Hash | Self::Fake => true,
            Self::Partial => false,
        }
    }
}

/// What was hidden in one conversation, and what stands for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Vault {
    /// A tree: a caller may bring any number of values in any order.
    by_value: BTreeMap<(Kind, Box<str>), Hidden>,
    counts: SmallMap<Kind, u32>,
    /// What stands for each value that callers read again, as they came.
    restored: Vec<(Box<str>, Box<str>)>,
}

#[derive(Clone, Debug)]
struct Hidden {
    style: Style,
    placeholder: Box<str>,
}

impl Vault {
    /// What stands for `value`: the same each time. `restores`: it becomes the value again in the answer.
    pub(super) fn hide(&mut self, kind: &Kind, value: &str, masking: &Masking, restores: bool) -> Box<str> {
        let key = (kind.clone(), Box::from(value));
        if let Some(known) = self.by_value.get(&key).filter(|known| known.style == masking.style) {
            return known.placeholder.clone();
        }
        let placeholder: Box<str> = match masking.style {
            Style::Tag => {
                let count = self.counts.entry(kind.clone()).or_default();
                *count += 1;
                format!("[{}_{count}]", tag(kind)).into()
            }
            Style::Pseudonym => format!("{kind}-{}", letters(masking, kind, value, 10)).into(),
            Style::Hash => hexadecimal(masking, kind, value).into(),
            Style::Partial => partial(value).into(),
            Style::Fake => fake(masking, kind, value).into(),
        };
        if restores && masking.restores && masking.style.is_distinct() && *placeholder != *value {
            self.restored.push((placeholder.clone(), value.into()));
        }
        self.by_value.insert(key, Hidden { style: masking.style, placeholder: placeholder.clone() });
        placeholder
    }

    /// Values and what stands for each, the longest value first.
    pub(super) fn hidden(&self) -> Vec<(Box<str>, Box<str>)> {
        let pairs =
            self.by_value.iter().map(|((_, value), hidden)| (value.clone(), hidden.placeholder.clone()));
        let mut all: Vec<(Box<str>, Box<str>)> = pairs.collect();
        sort_by(&mut all, |(one, _), (other, _)| other.len().cmp(&one.len()));
        all
    }

    /// Whether anything becomes a value again.
    pub(super) fn restores(&self) -> bool {
        !self.restored.is_empty()
    }

    /// What becomes values again, by what stands for them.
    pub(super) fn restored(&self) -> SmallMap<Box<str>, Box<str>> {
        let mut all = self.restored.clone();
        sort_by(&mut all, Ord::cmp);
        all.dedup();
        // Two values of one fake: neither can be told from the other again.
        let sole = all.chunk_by(|(one, _), (other, _)| one == other).filter(|values| values.len() == 1);
        sole.flatten().cloned().collect()
    }
}

/// `national id` is `NATIONAL_ID`.
fn tag(kind: &str) -> String {
    let letter =
        |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' };
    kind.chars().map(letter).collect()
}

/// Chance that is the same for the same value.
fn chance(masking: &Masking, kind: &str, value: &str, round: u8) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [masking.salt.as_bytes(), kind.as_bytes(), value.as_bytes()] {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    hash.update([round]);
    hash.finalize().into()
}

fn letters(masking: &Masking, kind: &str, value: &str, count: usize) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let chance = chance(masking, kind, value, 0);
    let letter = |byte: &u8| LETTERS.get(usize::from(*byte % 32)).copied().map_or('a', char::from);
    chance.iter().take(count).map(letter).collect()
}

fn hexadecimal(masking: &Masking, kind: &str, value: &str) -> String {
    let mut out = String::new();
    for byte in chance(masking, kind, value, 0).iter().take(16) {
        let _infallible = write!(out, "{byte:02x}");
    }
    out
}

/// The last four of more than eight letters and digits stay, of fewer none.
fn partial(value: &str) -> String {
    let count = value.chars().filter(|letter| letter.is_alphanumeric()).count();
    let hidden = if count > 8 { count - 4 } else { count };
    let mut seen = 0;
    let mut hide = |letter: char| {
        let counts = letter.is_alphanumeric();
        seen += usize::from(counts);
        if counts && seen <= hidden { '•' } else { letter }
    };
    value.chars().map(&mut hide).collect()
}

/// Each digit is another digit and each letter another letter; a number that fulfils Luhn's rule does so again.
fn fake(masking: &Masking, kind: &str, value: &str) -> String {
    let mut round = 0;
    let mut left = chance(masking, kind, value, round).to_vec();
    let mut next = || {
        left.pop().unwrap_or_else(|| {
            round += 1;
            left = chance(masking, kind, value, round).to_vec();
            left.pop().unwrap_or_default()
        })
    };
    let mut out: String = value
        .chars()
        .map(|letter| match letter {
            '0'..='9' => char::from(b'0' + next() % 10),
            'a'..='z' => char::from(b'a' + next() % 26),
            'A'..='Z' => char::from(b'A' + next() % 26),
            letter if letter.is_alphanumeric() => char::from(b'a' + next() % 26),
            letter => letter,
        })
        .collect();
    if luhn(value) == Some(0)
        && let Some(off) = luhn(&out)
        && let Some(last) = out.rfind(|letter: char| letter.is_ascii_digit())
        && let Some(digit) = out.as_bytes().get(last)
    {
        let right = (u32::from(digit - b'0') + 10 - off) % 10;
        out.replace_range(last..=last, &right.to_string());
    }
    out
}

/// The rest of Luhn's sum by ten; none where there are fewer than twelve digits.
fn luhn(text: &str) -> Option<u32> {
    let digits: Vec<u32> = text.chars().filter_map(|letter| letter.to_digit(10)).collect();
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(nth, digit)| if nth % 2 == 1 { doubled(*digit) } else { *digit })
        .sum();
    (digits.len() >= 12).then_some(sum % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_several_values_is_none_of_them() {
        let (kind, masking) = (Kind::from("letter"), Masking { style: Style::Fake, ..Masking::default() });
        let mut vault = Vault::default();
        let mut meant: BTreeMap<Box<str>, Vec<String>> = BTreeMap::new();
        for value in ('a'..='z').map(String::from) {
            let word = vault.hide(&kind, &value, &masking, true);
            if *word != *value {
                meant.entry(word).or_default().push(value);
            }
        }
        assert!(meant.values().any(|values| values.len() == 3), "{meant:?}");
        let sole = meant.into_iter().filter_map(|(word, values)| match values.as_slice() {
            [value] => Some((word, Box::from(value.as_str()))),
            _ => None,
        });
        assert!(vault.restored().into_iter().eq(sole));
    }
}
