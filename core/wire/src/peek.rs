//! A look at a request's outer fields, without reading the rest of it and without losing a byte.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::dialect::Addressed;
use crate::json::{is_null, push_string, string, text};
use crate::measure::may_mean_media;
use crate::piece::{Out, Piece, Pieces};
use crate::{Malformed, scan};

/// The fields of one JSON object, in their order, each value with its bytes.
///
/// ```
/// # use gatelet_wire::Fields;
/// let body = br#"{ "model": "fast", "temperature": 1.10 }"#;
/// let fields = Fields::read(body)?;
/// assert_eq!(fields.get("temperature").unwrap().get(), "1.10");
/// let spliced = fields.splice(&[("model", r#""gpt-4o""#), ("stream", "true")]);
/// assert_eq!(spliced, br#"{ "model": "gpt-4o", "temperature": 1.10,"stream":true }"#);
/// # Ok::<(), gatelet_wire::Malformed>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Fields<'a> {
    body: &'a str,
    items: scan::Items<'a>,
    media: bool,
}

impl<'a> Fields<'a> {
    /// Reads a whole body: one pass, no tree.
    ///
    /// # Errors
    /// Not UTF-8, not JSON, not an object, nested too deep, or a field that stands twice: two readers could take
    /// different ones of them for true.
    pub fn read(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut media = false;
        let quick = utf8(body).and_then(|body| {
            let items = scan::object(body, |key, rest| media |= may_mean_media(key, rest))?;
            Some((body, items))
        });
        match quick {
            Some((body, items)) => Self::once(body, items, media),
            // What is wrong with it is found out at leisure.
            _ => Self::parse(text(body)?, "body"),
        }
    }

    /// Reads a whole body whose media nobody asks for: [`Fields::may_have_media`] says yes.
    ///
    /// # Errors
    /// Those of [`Fields::read`].
    pub fn read_plain(body: &'a [u8]) -> Result<Self, Malformed> {
        let quick = utf8(body).and_then(|body| Some((body, scan::fields(body)?)));
        match quick {
            Some((body, items)) => Self::once(body, items, true),
            None => Self::parse(text(body)?, "body"),
        }
    }

    /// Reads an object inside a body; `path` is where it stands, for errors.
    ///
    /// # Errors
    /// It is no object, or a field stands twice.
    pub fn of(raw: &'a RawValue, path: &str) -> Result<Self, Malformed> {
        match scan::fields(raw.get()) {
            Some(items) => Self::once(raw.get(), items, true),
            None => Self::parse(raw.get(), path),
        }
    }

    fn parse(body: &'a str, path: &str) -> Result<Self, Malformed> {
        let Items(items) = crate::json::from_str(body).map_err(|error| match error.classify() {
            // The only type asked for is the object itself.
            Category::Data => Malformed::field(path, "an object"),
            Category::Io | Category::Syntax | Category::Eof => Malformed::json(body, &error),
        })?;
        Self::once(body, items, true)
    }

    fn once(body: &'a str, items: scan::Items<'a>, media: bool) -> Result<Self, Malformed> {
        match first_duplicate(&items) {
            Some(key) => Err(Malformed::Duplicate { key }),
            None => Ok(Self { body, items, media }),
        }
    }

    /// Whether a key or a type somewhere inside may mean media: where this says no, there are none.
    pub fn may_have_media(&self) -> bool {
        self.media
    }

    pub fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.items.iter().find(|(name, _)| name == key).map(|(_, value)| *value)
    }

    /// The field, unless it is missing or `null`.
    pub fn present(&self, key: &str) -> Option<&'a RawValue> {
        self.get(key).filter(|value| !is_null(value))
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.items.iter().map(|(key, value)| (key.as_ref(), *value))
    }

    pub(crate) fn items(&self) -> &[(Cow<'a, str>, &'a RawValue)] {
        &self.items
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The object's own text.
    pub fn as_str(&self) -> &'a str {
        self.body
    }

    /// The object with some values replaced by other JSON texts, or added at its end; every other byte stays.
    pub fn splice(&self, values: &[(&str, &str)]) -> Vec<u8> {
        let grow: usize = values.iter().map(|(key, json)| key.len() + json.len() + 4).sum();
        let mut out = Vec::with_capacity(self.body.len() + grow);
        self.splice_into(values, &mut out);
        out
    }

    /// As [`Fields::splice`], without copying what is large.
    pub fn splice_pieces(&self, values: &[(&str, &str)]) -> Vec<Piece> {
        let mut out = Pieces::of(self);
        self.splice_into(values, &mut out);
        out.done()
    }

    fn splice_into(&self, values: &[(&str, &str)], out: &mut impl Out) {
        let mut copied = 0;
        for (key, value) in &self.items {
            let Some((_, json)) = values.iter().find(|(name, _)| name == key) else { continue };
            let start = self.offset(value);
            out.keep(self.body.get(copied..start).unwrap_or_default());
            out.make().extend_from_slice(json.as_bytes());
            copied = start + value.get().len();
        }
        // After the last field, before the space that precedes the closing brace.
        let end = match self.items.last() {
            Some((_, value)) => self.offset(value) + value.get().len(),
            None => self.body.find('{').map_or(0, |brace| brace + 1),
        };
        out.keep(self.body.get(copied..end).unwrap_or_default());
        let mut first = self.items.is_empty();
        for (key, json) in values.iter().filter(|(key, _)| self.get(key).is_none()) {
            if !std::mem::replace(&mut first, false) {
                out.make().push(b',');
            }
            push_key(out.make(), key);
            out.make().extend_from_slice(json.as_bytes());
        }
        out.keep(self.body.get(end..).unwrap_or_default());
    }

    /// Where `value`, which is a part of `body`, begins in it.
    fn offset(&self, value: &RawValue) -> usize {
        value.get().as_ptr().addr() - self.body.as_ptr().addr()
    }
}

/// `body` as text. Bodies are large, and processors have wide instructions for this that the standard library does not use.
fn utf8(body: &[u8]) -> Option<&str> {
    simdutf8::basic::from_utf8(body).ok()
}

/// Writes `"key":`.
pub(crate) fn push_key(out: &mut Vec<u8>, key: &str) {
    push_string(out, key);
    out.push(b':');
}

struct Items<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Items<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Items<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::with_capacity(16);
                while let Some(Key(key)) = map.next_key()? {
                    items.push((key, map.next_value()?));
                }
                Ok(Items(items))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

fn first_duplicate(items: &[(Cow<'_, str>, &RawValue)]) -> Option<String> {
    /// Comparing each with each is quicker than sorting, up to here.
    const FEW: usize = 16;
    if items.len() <= FEW {
        let among = |(nth, (key, _)): (usize, &(Cow<'_, str>, _))| {
            items.iter().skip(nth + 1).any(|(other, _)| other == key).then(|| key.to_string())
        };
        return items.iter().enumerate().find_map(among);
    }
    let mut keys: Vec<&str> = items.iter().map(|(key, _)| key.as_ref()).collect();
    crate::sort::sort_by(&mut keys, Ord::cmp);
    keys.array_windows().find(|[left, right]| left == right).map(|[key, _]| (*key).to_owned())
}

/// What the gateway must know of a request before it decides anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peek<'a> {
    pub model: Cow<'a, str>,
    pub stream: bool,
    /// The most output tokens that the caller allows, for one answer. Where it gave two bounds, the larger one.
    pub max_output: Option<u64>,
    /// How many answers it wants, at least one.
    pub choices: u32,
    /// It wants to see usage at the end of its stream.
    pub stream_usage: bool,
}

/// The model's name: the address's, or the body's.
pub(crate) fn model<'a>(fields: &Fields<'a>, addressed: &'a Addressed) -> Result<Cow<'a, str>, Malformed> {
    let model = match &addressed.model {
        Some(model) => Some(Cow::Borrowed(model.as_str())),
        None => fields.get("model").and_then(string),
    };
    model.filter(|model| !model.is_empty()).ok_or_else(|| Malformed::field("model", "the name of a model"))
}

/// None where the field is missing or `null`.
pub(crate) fn flag(fields: &Fields<'_>, key: &str) -> Result<Option<bool>, Malformed> {
    flag_at(fields, "", key)
}

/// As [`flag`], for a field of the object at `parent`, which ends in a dot.
pub(crate) fn flag_at(fields: &Fields<'_>, parent: &str, key: &str) -> Result<Option<bool>, Malformed> {
    match fields.get(key).map(RawValue::get) {
        None | Some("null") => Ok(None),
        Some("false") => Ok(Some(false)),
        Some("true") => Ok(Some(true)),
        Some(_) => Err(Malformed::field(format!("{parent}{key}"), "true or false")),
    }
}

pub(crate) fn count(fields: &Fields<'_>, key: &str) -> Result<Option<u64>, Malformed> {
    let Some(raw) = fields.present(key) else { return Ok(None) };
    match raw.get().parse() {
        Ok(count) => Ok(Some(count)),
        Err(_) => Err(Malformed::field(key, "a whole number, zero or more")),
    }
}

#[cfg(test)]
#[path = "peek_tests.rs"]
mod tests;
