//! A body of theirs, taken apart: what is left at the end is what we have no counterpart for.

use serde_json::{Map, Value};

use crate::refusal::Refusal;

pub(super) struct Fields(Map<String, Value>);

impl Fields {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        let bytes: &[u8] = if bytes.is_empty() { b"{}" } else { bytes };
        let wrong = |problem: String| Refusal::Invalid { param: "body".to_owned(), problem };
        match gatelet_wire::json::read(bytes).map_err(|error| wrong(error.to_string()))? {
            Value::Object(fields) => Ok(Self(fields)),
            _ => Err(wrong("expected an object".to_owned())),
        }
    }

    /// A part of a body.
    pub(super) fn of(fields: Map<String, Value>) -> Self {
        Self(fields)
    }

    /// Gives a field the name under which it is looked for.
    pub(super) fn rename(&mut self, from: &str, to: &str) {
        if let Some(value) = self.0.remove(from) {
            self.0.insert(to.to_owned(), value);
        }
    }

    /// A field that says something.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    /// Whether the field is there, be it null: in a patch that takes a setting away.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(invalid(name, "expected a string")),
        }
    }

    pub(super) fn texts(&mut self, name: &str) -> Result<Option<Vec<String>>, Refusal> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let texts = value.as_array().and_then(|list| {
            list.iter().map(|text| text.as_str().map(str::to_owned)).collect::<Option<Vec<String>>>()
        });
        texts.map(Some).ok_or_else(|| invalid(name, "expected a list of strings"))
    }

    /// The names of a call that is about one or several.
    pub(super) fn ids(&mut self, many: &str, one: &str) -> Result<Vec<String>, Refusal> {
        let mut ids = self.texts(many)?.unwrap_or_default();
        ids.extend(self.text(one)?);
        ids.extend(self.text("id")?);
        if ids.is_empty() { Err(invalid(many, "expected at least one")) } else { Ok(ids) }
    }

    /// What their clients keep there and nothing here acts on.
    pub(super) fn keep(&mut self, names: &[&str]) -> Map<String, Value> {
        names.iter().filter_map(|name| Some(((*name).to_owned(), self.take(name)?))).collect()
    }

    /// Refuses what is left and says something.
    pub(super) fn end(self) -> Result<(), Refusal> {
        match self.0.into_iter().find(|(_, value)| !says_nothing(value)) {
            None => Ok(()),
            Some((name, _)) => Err(invalid(&name, "there is no counterpart for it here: leave it out")),
        }
    }
}

/// Off, empty or nothing: that is how it is without being said. A text may hold the JSON of a database's column.
pub fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => matches!(text.as_str(), "" | "{}" | "[]"),
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

pub(super) fn invalid(param: &str, problem: &str) -> Refusal {
    Refusal::Invalid { param: param.to_owned(), problem: problem.to_owned() }
}
