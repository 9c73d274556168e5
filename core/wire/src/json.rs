//! JSON that keeps its bytes.

mod objects;

use std::borrow::Cow;

use memchr::{memchr, memchr2, memchr2_iter};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::{Malformed, scan};
use objects::Objects;

/// The deepest nesting that is read: below the limit of the JSON reader, so that whatever passes can be read whole.
pub const MOST_DEPTH: usize = 100;

/// `body` as text, if it is UTF-8 and nests at most [`MOST_DEPTH`] levels deep.
///
/// # Errors
/// [`Malformed::Utf8`] and [`Malformed::TooDeep`]. Whether it is JSON is not looked at.
pub fn text(body: &[u8]) -> Result<&str, Malformed> {
    let text = std::str::from_utf8(body).map_err(|error| Malformed::Utf8 { at: error.valid_up_to() })?;
    // With no more brackets than levels there is nothing to count, and brackets are found much faster than levels.
    let may_be_deep = memchr2_iter(b'{', b'[', body).nth(MOST_DEPTH).is_some();
    if may_be_deep && depth(body) > MOST_DEPTH {
        return Err(Malformed::TooDeep { most: MOST_DEPTH });
    }
    Ok(text)
}

/// How deep `json` nests at most; strings, nearly all of a request, are leapt over.
fn depth(json: &[u8]) -> usize {
    let (mut deepest, mut now, mut at) = (0_usize, 0_usize, 0);
    while let Some(byte) = json.get(at) {
        at += 1;
        match byte {
            b'{' | b'[' => {
                now += 1;
                deepest = deepest.max(now);
            }
            b'}' | b']' => now = now.saturating_sub(1),
            b'"' => at = string_end(json, at),
            _ => {}
        }
    }
    deepest
}

/// The place after the closing quote of the string whose content begins at `at`.
fn string_end(json: &[u8], at: usize) -> usize {
    quoted(json, at).map_or(json.len(), |(end, _)| end)
}

/// The same, and whether the string has escapes; none: it does not end.
fn quoted(json: &[u8], mut at: usize) -> Option<(usize, bool)> {
    let mut escaped = false;
    loop {
        // Most strings are short, and end before a searcher for long texts would have begun.
        at = match scan::first_special(json, at)? {
            Ok(place) => place,
            Err(place) => place + memchr2(b'"', b'\\', json.get(place..)?)?,
        };
        match json.get(at)? {
            b'"' => return Some((at + 1, escaped)),
            b'\\' => (escaped, at) = (true, at + 2),
            _ => at += 1,
        }
    }
}

/// Reads a value; structs from objects alone. Everything is read by this one reader: each type is compiled once for each.
///
/// # Errors
/// It is not JSON, or of another kind.
pub fn from_str<'a, T: Deserialize<'a>>(text: &'a str) -> serde_json::Result<T> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = T::deserialize(Objects(&mut json))?;
    json.end()?;
    Ok(value)
}

/// Reads a field that is an object or else says nothing.
///
/// # Errors
/// It is an object, and not one of these.
pub(crate) fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let raw = Option::<&'de RawValue>::deserialize(deserializer)?;
    let object = raw.filter(|raw| raw.get().starts_with('{'));
    object.map(|raw| from_str(raw.get()).map_err(serde::de::Error::custom)).transpose()
}

/// As [`from_str`], of bytes.
///
/// # Errors
/// It is not UTF-8 either.
pub fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> serde_json::Result<T> {
    from_str(std::str::from_utf8(body).map_err(serde::de::Error::custom)?)
}

/// The number that `text` is, in JSON's form. The standard library's own reader of numbers has tables of ten kilobytes.
pub fn number(text: &str) -> Option<f64> {
    from_str(text).ok()
}

/// The string that `raw` is, borrowed unless it has escapes; none for any other value.
pub fn string(raw: &RawValue) -> Option<Cow<'_, str>> {
    plain(raw.get()).map(Cow::Borrowed).or_else(|| escaped(raw.get()))
}

fn escaped(json: &str) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    from_str::<Text<'_>>(json).ok().map(|text| text.0)
}

/// What stands between the quotes of a string without escapes. `json` is one value, without space around it.
fn plain(json: &str) -> Option<&str> {
    let inside = json.strip_prefix('"')?.strip_suffix('"')?;
    memchr(b'\\', inside.as_bytes()).is_none().then_some(inside)
}

/// Gives each field of an object that this program wrote, a string as what it says and any other value as its text. One that
/// is `null` is as one that is missing.
///
/// What we wrote needs no judge: it has no spaces and no field twice, and its keys have no escapes. None: it is no such object.
pub fn each_field<'a>(json: &'a str, take: &mut dyn FnMut(&'a str, Cow<'a, str>)) -> Option<()> {
    let bytes = json.as_bytes();
    match bytes {
        b"{}" => return Some(()),
        [b'{', ..] => {}
        _ => return None,
    }
    let mut at = 1;
    loop {
        let (after, _) = quoted(bytes, at + 1).filter(|_| bytes.get(at) == Some(&b'"'))?;
        let key = json.get(at + 1..after - 1)?;
        let start = after + 1;
        if bytes.get(after) != Some(&b':') {
            return None;
        }
        let end = if bytes.get(start)? == &b'"' {
            let (end, escapes) = quoted(bytes, start + 1)?;
            let plain = || json.get(start + 1..end - 1).map(Cow::Borrowed);
            take(key, if escapes { escaped(json.get(start..end)?)? } else { plain()? });
            end
        } else {
            let value = json.get(start..)?;
            let value = value.get(..length(value))?;
            if value != "null" {
                take(key, Cow::Borrowed(value));
            }
            start + value.len()
        };
        match bytes.get(end)? {
            b',' => at = end + 1,
            b'}' if end + 1 == bytes.len() => return Some(()),
            _ => return None,
        }
    }
}

/// How long the value is that `json` begins with.
fn length(json: &str) -> usize {
    let json = json.as_bytes();
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => at = string_end(json, at + 1),
            b'{' | b'[' => (depth, at) = (depth + 1, at + 1),
            b'}' | b']' | b',' if depth == 0 => break,
            b'}' | b']' => (depth, at) = (depth - 1, at + 1),
            _ => at += 1,
        }
    }
    at
}

/// Writes `text` as a JSON string.
pub fn push_string(out: &mut Vec<u8>, text: &str) {
    if scan::is_plain(text) {
        out.reserve(text.len() + 2);
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    // Writing into memory does not fail.
    let _infallible = serde_json::to_writer(out, text);
}

/// Whether `raw` is `null`.
pub fn is_null(raw: &RawValue) -> bool {
    raw.get() == "null"
}

/// JSON text kept byte for byte: numbers keep their digits, objects their order.
///
/// Only line breaks between its words are taken out, so that it may stand in a frame or a line of anything.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Json(Box<RawValue>);

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(Self::from)
    }
}

impl From<Box<RawValue>> for Json {
    fn from(raw: Box<RawValue>) -> Self {
        if memchr2(b'\n', b'\r', raw.get().as_bytes()).is_none() {
            return Self(raw);
        }
        // Inside strings they are escaped, so each one that stands here is space.
        let line: String = raw.get().chars().filter(|space| *space != '\n' && *space != '\r').collect();
        Self(RawValue::from_string(line).unwrap_or(raw))
    }
}

impl Json {
    /// Checks that `text` is one JSON value.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        from_str(text)
    }

    /// Serialises `value`; what cannot be JSON (a map with keys that are no strings) becomes `null`.
    pub fn of(value: &impl Serialize) -> Self {
        let raw = serde_json::value::to_raw_value(value);
        Self::from(raw.unwrap_or_else(|_| RawValue::NULL.to_owned()))
    }

    /// JSON that a writer of ours made.
    pub(crate) fn written(bytes: &[u8]) -> Self {
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        Self::parse(text).unwrap_or_else(|_| Self::of(&()))
    }

    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// The value as a tree, for the few places that must look inside.
    pub fn to_value(&self) -> serde_json::Value {
        from_str(self.as_str()).unwrap_or(serde_json::Value::Null)
    }
}

impl From<&RawValue> for Json {
    fn from(raw: &RawValue) -> Self {
        Self::from(raw.to_owned())
    }
}

/// Equal when the text is equal.
impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}
impl Eq for Json {}

impl From<Json> for Box<RawValue> {
    fn from(json: Json) -> Self {
        json.0
    }
}

impl AsRef<RawValue> for Json {
    fn as_ref(&self) -> &RawValue {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_breaks_between_words_are_taken_out_and_all_else_is_kept() {
        let json =
            Json::parse("{\r\n  \"a\": [1.10,\n 12345678901234567890123],\n \"b\": \"x\\ny\"\n}").unwrap();
        assert_eq!(json.as_str(), r#"{  "a": [1.10, 12345678901234567890123], "b": "x\ny"}"#);
        let nested: Vec<Json> = from_str("[{\"a\":\n1}]").unwrap();
        assert_eq!(nested[0].as_str(), "{\"a\":1}");
    }
    fn fields(json: &str) -> Option<Vec<(&str, String)>> {
        let mut seen = Vec::new();
        each_field(json, &mut |key, value| seen.push((key, value.into_owned())))?;
        Some(seen)
    }

    #[test]
    fn each_field_of_what_we_wrote_is_given_whatever_stands_in_it() {
        let json = serde_json::json!({
            "text": "as it is, {or} [not]", "escaped": "\"quoted\" \\ \n é", "empty": "", "none": null, "word": "null",
            "count": 12, "below": -1.5, "flag": true, "list": ["a]\"", {"b": "}"}], "map": {"c": {"d": [1, 2]}, "e": {}},
        });
        for (field, value) in fields(&json.to_string()).unwrap() {
            let text = json[field].as_str().map_or_else(|| json[field].to_string(), str::to_owned);
            assert_eq!(value, text, "{field}");
        }
        assert_eq!(fields(&json.to_string()).unwrap().len(), 9, "a null is left out");
        assert_eq!(fields("{}").unwrap(), []);
    }

    #[test]
    fn what_is_cut_off_is_not_what_we_wrote() {
        let json = r#"{"a":"x\"","b":{"c":[1,"}"]},"d":12,"e":null}"#;
        assert_eq!(fields(json).unwrap().len(), 3);
        for end in 0..json.len() {
            assert_eq!(fields(&json[..end]), None, "{end}");
        }
        assert_eq!(fields(&format!("{json}x")), None);
    }
}
