//! Objects of a body: reading their fields with paths for errors, and writing them without a tree.

use serde_json::value::RawValue;

use crate::chat::Extra;
use crate::json::push_string;
use crate::json::string;
use crate::peek::{Fields, push_key};
use crate::{DialectId, Json, Malformed, scan};

/// One object that is being read, and where it stands.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    fields: Fields<'a>,
    path: String,
    /// A field that is asked for as `fieldName` may stand as `field_name`.
    snake: bool,
}

impl<'a> Object<'a> {
    /// A whole body.
    pub(crate) fn read(body: &'a [u8]) -> Result<Self, Malformed> {
        Ok(Self { fields: Fields::read_plain(body)?, path: String::new(), snake: false })
    }

    pub(crate) fn of(raw: &'a RawValue, path: impl Into<String>) -> Result<Self, Malformed> {
        let path = path.into();
        Ok(Self { fields: Fields::of(raw, &path)?, path, snake: false })
    }

    /// Takes `field_name` for `fieldName` as well, in this object and those inside it.
    pub(crate) fn either_case(mut self) -> Self {
        self.snake = true;
        self
    }

    /// Where `key` stands, such as `messages[2].content`.
    pub(crate) fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The value, unless it is missing or `null`.
    pub(crate) fn raw(&self, key: &str) -> Option<&'a RawValue> {
        let snake = || self.snake.then(|| self.fields.present(&snake_case(key))).flatten();
        self.fields.present(key).or_else(snake)
    }

    pub(crate) fn json(&self, key: &str) -> Option<Json> {
        self.raw(key).map(Json::from)
    }

    pub(crate) fn string(&self, key: &str) -> Result<Option<String>, Malformed> {
        let Some(raw) = self.raw(key) else { return Ok(None) };
        let text = string(raw).ok_or_else(|| Malformed::field(self.path(key), "a string"))?;
        Ok(Some(text.into_owned()))
    }

    /// A string that must be there.
    pub(crate) fn need(&self, key: &str) -> Result<String, Malformed> {
        self.string(key)?.ok_or_else(|| Malformed::field(self.path(key), "a string"))
    }

    pub(crate) fn count(&self, key: &str) -> Result<Option<u64>, Malformed> {
        let Some(raw) = self.raw(key) else { return Ok(None) };
        let count = crate::json::from_str::<u64>(raw.get());
        count.map(Some).map_err(|_| Malformed::field(self.path(key), "a whole number, zero or more"))
    }

    pub(crate) fn integer(&self, key: &str) -> Result<Option<i64>, Malformed> {
        let Some(raw) = self.raw(key) else { return Ok(None) };
        raw.get().parse().map(Some).map_err(|_| Malformed::field(self.path(key), "a whole number"))
    }

    /// No strings where the field is missing.
    pub(crate) fn list_of_strings(&self, key: &str) -> Result<Vec<String>, Malformed> {
        let Some(raw) = self.raw(key) else { return Ok(Vec::new()) };
        crate::json::from_str(raw.get()).map_err(|_| Malformed::field(self.path(key), "a list of strings"))
    }

    pub(crate) fn number(&self, key: &str) -> Result<Option<f64>, Malformed> {
        let Some(raw) = self.raw(key) else { return Ok(None) };
        let number = crate::json::number(raw.get());
        number.map(Some).ok_or_else(|| Malformed::field(self.path(key), "a number"))
    }

    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>, Malformed> {
        match self.raw(key).map(RawValue::get) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(Malformed::field(self.path(key), "true or false")),
        }
    }

    pub(crate) fn object(&self, key: &str) -> Result<Option<Self>, Malformed> {
        let snake = self.snake;
        let object = |raw| Self::of(raw, self.path(key)).map(|object| Self { snake, ..object });
        self.raw(key).map(object).transpose()
    }

    pub(crate) fn items(&self, key: &str) -> Result<Option<Vec<&'a RawValue>>, Malformed> {
        let Some(raw) = self.raw(key) else { return Ok(None) };
        scan::list(raw.get()).map(Some).ok_or_else(|| Malformed::field(self.path(key), "a list"))
    }

    /// The `name` that something is called by, and so must have.
    pub(crate) fn name(&self) -> Result<String, Malformed> {
        let name = self.need("name")?;
        if name.is_empty() { Err(Malformed::field(self.path("name"), "a name")) } else { Ok(name) }
    }

    /// The items of a list, which may be one object that stands there by itself.
    pub(crate) fn items_or_one(&self, key: &str) -> Result<Option<Vec<&'a RawValue>>, Malformed> {
        match self.raw(key) {
            Some(raw) if raw.get().starts_with('{') => Ok(Some(vec![raw])),
            _ => self.items(key),
        }
    }

    /// The fields that are not among `known`, kept for `dialect`.
    pub(crate) fn rest(&self, known: &[&str], dialect: DialectId) -> Extra {
        let is_known = |name: &str| {
            known.contains(&name) || self.snake && known.iter().any(|known| snake_case(known) == name)
        };
        let fields: Vec<_> = self
            .fields
            .iter()
            .filter(|(name, _)| !is_known(name))
            .map(|(name, raw)| (name.to_owned(), Json::from(raw)))
            .collect();
        Extra { dialect: (!fields.is_empty()).then_some(dialect), fields }
    }
}

/// `fieldName` as `field_name`.
fn snake_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(character.to_ascii_lowercase());
    }
    out
}

/// Whether `raw` is a JSON string.
pub(crate) fn is_string(raw: &RawValue) -> bool {
    raw.get().starts_with('"')
}

/// Writes one object through `fill`.
pub(crate) fn object(out: &mut Vec<u8>, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
    out.push(b'{');
    fill(&mut ObjectWriter { out, empty: true });
    out.push(b'}');
}

#[derive(Debug)]
pub(crate) struct ObjectWriter<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl ObjectWriter<'_> {
    fn key(&mut self, key: &str) -> &mut Vec<u8> {
        if !std::mem::replace(&mut self.empty, false) {
            self.out.push(b',');
        }
        push_key(self.out, key);
        self.out
    }

    pub(crate) fn string(&mut self, key: &str, text: &str) {
        push_string(self.key(key), text);
    }

    /// The text, or `null`.
    pub(crate) fn maybe(&mut self, key: &str, text: Option<&str>) {
        match text {
            Some(text) => self.string(key, text),
            None => self.raw(key, "null"),
        }
    }

    /// A value that is JSON already.
    pub(crate) fn raw(&mut self, key: &str, json: &str) {
        self.key(key).extend_from_slice(json.as_bytes());
    }

    pub(crate) fn json(&mut self, key: &str, json: &Json) {
        self.raw(key, json.as_str());
    }

    /// A value that `fill` writes as JSON.
    pub(crate) fn bytes(&mut self, key: &str, fill: impl FnOnce(&mut Vec<u8>)) {
        fill(self.key(key));
    }

    pub(crate) fn count(&mut self, key: &str, count: u64) {
        self.raw(key, &count.to_string());
    }

    pub(crate) fn number(&mut self, key: &str, number: f64) {
        self.json(key, &Json::of(&number));
    }

    pub(crate) fn flag(&mut self, key: &str, flag: bool) {
        self.raw(key, if flag { "true" } else { "false" });
    }

    pub(crate) fn object(&mut self, key: &str, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
        object(self.key(key), fill);
    }

    pub(crate) fn list(&mut self, key: &str, fill: impl FnOnce(&mut ListWriter<'_>)) {
        list(self.key(key), fill);
    }

    /// The fields that only `dialect` knows.
    pub(crate) fn extra(&mut self, extra: &Extra, dialect: DialectId) {
        for (name, json) in extra.of(dialect) {
            self.json(name, json);
        }
    }
}

/// Writes one list through `fill`.
pub(crate) fn list(out: &mut Vec<u8>, fill: impl FnOnce(&mut ListWriter<'_>)) {
    out.push(b'[');
    fill(&mut ListWriter { out, empty: true });
    out.push(b']');
}

#[derive(Debug)]
pub(crate) struct ListWriter<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl ListWriter<'_> {
    fn next(&mut self) -> &mut Vec<u8> {
        if !std::mem::replace(&mut self.empty, false) {
            self.out.push(b',');
        }
        self.out
    }

    pub(crate) fn object(&mut self, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
        object(self.next(), fill);
    }

    pub(crate) fn string(&mut self, text: &str) {
        push_string(self.next(), text);
    }

    pub(crate) fn json(&mut self, json: &Json) {
        self.next().extend_from_slice(json.as_str().as_bytes());
    }
}
