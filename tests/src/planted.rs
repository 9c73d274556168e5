//! Secrets that are planted where callers, admins and providers have theirs, and the search for them in whatever came out.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::MultiGzDecoder;

/// Stands in every secret, before its number: whoever finds this has found one.
const MARK: &str = "Zq7xVbK9Wd";

/// The secrets of one test: each is another, and knows where it was planted.
#[derive(Debug, Default)]
pub struct Planted(Mutex<Vec<String>>);

/// Something that somebody can read.
#[derive(Debug)]
pub struct Output {
    pub name: String,
    pub bytes: Vec<u8>,
}

impl Output {
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }

    /// What lies in a file or an object, unpacked where it is packed.
    pub fn stored(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        let mut unpacked = Vec::new();
        let packed = bytes.starts_with(&[0x1f, 0x8b]);
        let bytes = match MultiGzDecoder::new(&*bytes).read_to_end(&mut unpacked) {
            Ok(_) if packed => unpacked,
            _ => bytes,
        };
        Self { name: name.into(), bytes }
    }

    pub fn has(&self, text: &str) -> bool {
        places(&self.bytes, text.as_bytes()).next().is_some()
    }
}

impl Planted {
    /// Another secret: forty letters and digits of no service's form.
    pub fn word(&self, place: impl Into<String>) -> String {
        let mut planted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        planted.push(place.into());
        format!("{MARK}{:04}{}", planted.len() - 1, drawn(26))
    }

    /// The same in the form of some service's tokens.
    pub fn token(&self, place: impl Into<String>) -> String {
        const FORMS: [(&str, usize); 5] =
            [("sk-proj-", 8), ("gsk_", 12), ("glpat-", 0), ("pcsk_", 24), ("sk_live_", 0)];
        let word = self.word(place);
        let (prefix, more) = FORMS[self.count() % FORMS.len()];
        format!("{prefix}{word}{}", drawn(more))
    }

    /// An address for mail.
    pub fn mail(&self, place: impl Into<String>) -> String {
        format!("{}@example.com", self.word(place))
    }

    pub fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Where each secret was planted that is found in these, as it is or in the usual encodings, and what it was found in.
    pub fn found<'o>(&self, outputs: impl IntoIterator<Item = &'o Output>) -> BTreeMap<String, Vec<String>> {
        let planted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for output in outputs {
            for at in places(&output.bytes, MARK.as_bytes()) {
                let number = output.bytes.get(at + MARK.len()..).and_then(|rest| rest.get(..4));
                let number =
                    number.and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<usize>().ok());
                let place = number.and_then(|number| planted.get(number));
                // Half a secret is found out, too.
                let place = place.map_or("a part of a secret", String::as_str);
                found.entry(place.to_owned()).or_default().push(output.name.clone());
            }
            for encoded in encodings() {
                if output.has(&encoded) {
                    found.entry("an encoded secret".to_owned()).or_default().push(output.name.clone());
                }
            }
        }
        for names in found.values_mut() {
            names.dedup();
        }
        found
    }
}

/// The mark in hexadecimal, and in base64 wherever in a text it begins.
fn encodings() -> Vec<String> {
    let hex = MARK.bytes().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let base64 = (0..3).map(|before| {
        let encoded = STANDARD.encode(format!("{}{MARK}", "-".repeat(before)));
        // Letters that are of the mark alone.
        let (from, to) = ((before * 8).div_ceil(6), (before + MARK.len()) * 8 / 6);
        encoded[from..to].to_owned()
    });
    std::iter::once(hex).chain(base64).collect()
}

fn drawn(count: usize) -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(count).collect()
}

/// Where a text stands in bytes.
fn places<'b>(bytes: &'b [u8], text: &'b [u8]) -> impl Iterator<Item = usize> + 'b {
    let first = text.first().copied().unwrap_or_default();
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = bytes.get(at..)?;
            let next = at + rest.iter().position(|byte| *byte == first)?;
            at = next + 1;
            if bytes.get(next..)?.starts_with(text) {
                return Some(next);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    #[test]
    fn whatever_it_is_wrapped_in_a_secret_is_found_and_says_where_it_was_planted() {
        let planted = Planted::default();
        let (word, token) = (planted.word("a header"), planted.token("a body"));
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(format!("{{\"a\":\"{token}\"}}").as_bytes()).unwrap();
        let outputs = [
            Output::new("log", format!("GET /?key={word} 200")),
            Output::stored("object", packed.finish().unwrap()),
            Output::new("nothing", "Zq7xVbK9W and no more"),
        ];
        let found = planted.found(&outputs);
        let wanted = [("a body", "object"), ("a header", "log")];
        let wanted = wanted.map(|(place, name)| (place.to_owned(), vec![name.to_owned()]));
        assert_eq!(found, BTreeMap::from(wanted));
    }

    #[test]
    fn encoded_and_cut_ones_are_found_too() {
        let planted = Planted::default();
        let word = planted.word("a header");
        for before in ["", "u", "me", "you"] {
            let output = Output::new("basic", STANDARD.encode(format!("{before}{word}:x")));
            assert_eq!(planted.found([&output]).len(), 1, "{before}");
        }
        let cut = Output::new("cut", &word[..MARK.len() + 2]);
        assert_eq!(planted.found([&cut]).into_keys().collect::<Vec<_>>(), ["a part of a secret"]);
    }
}
