//! A request as the rules of models see it.

use std::cell::OnceCell;

use gatelet_wire::Measure;
use serde_json::Value;

use super::receive::Received;
use crate::domain::{Caller, Timestamp};
use crate::route::{Facts, Part, Subject};

pub(super) struct Request<'a> {
    received: &'a Received<'a>,
    caller: &'a Caller,
    /// Made when it is first asked for: most rules ask for none of it.
    measure: OnceCell<Measure>,
}

impl<'a> Request<'a> {
    pub(super) fn new(received: &'a Received<'a>, caller: &'a Caller) -> Self {
        Self { received, caller, measure: OnceCell::new() }
    }

    fn measure(&self) -> &Measure {
        self.measure.get_or_init(|| {
            let outlined = self.received.outline.as_deref().and_then(|outline| outline.measure);
            outlined.unwrap_or_else(|| Measure::of(self.received.arrived.dialect, &self.received.fields))
        })
    }

    /// A field of the body, as text.
    fn field(&self, name: &str) -> Option<String> {
        let raw = self.received.fields.present(name)?.get();
        match gatelet_wire::json::from_str(raw).ok()? {
            Value::String(text) => Some(text),
            Value::Number(_) | Value::Bool(_) => Some(raw.to_owned()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    fn says(&self, field: &str, word: &str) -> bool {
        self.received.fields.present(field).is_some_and(|raw| raw.get().contains(word))
    }
}

impl Facts for Request<'_> {
    fn is(&self, subject: &Subject, value: &str) -> bool {
        let fits = |text: &str| value == "*" || text == value;
        let (key, knobs) = (&self.caller.key, &self.received.arrived.knobs);
        match subject {
            Subject::Tag => key.tags.iter().chain(&knobs.tags).any(|tag| fits(tag)),
            Subject::Key => fits(&key.id) || key.alias.as_deref().is_some_and(fits),
            Subject::Team => key.team.as_deref().is_some_and(fits),
            Subject::Org => fits(key.org.as_deref().unwrap_or(crate::domain::Scope::DEFAULT_ORG)),
            Subject::Project => key.project.as_deref().is_some_and(fits),
            Subject::User => key.user.as_deref().is_some_and(fits),
            Subject::Customer => knobs.customer.as_deref().is_some_and(fits),
            Subject::Header(name) => {
                let mut values = self.received.arrived.headers.get_all(&**name).iter();
                values.any(|header| header.to_str().is_ok_and(fits))
            }
            Subject::Metadata(name) => match key.metadata.get(&**name) {
                Some(Value::String(text)) => fits(text),
                Some(other) => fits(&other.to_string()),
                None => false,
            },
            Subject::Field(name) => self.field(name).is_some_and(|text| fits(&text)),
        }
    }

    fn stream(&self) -> bool {
        self.received.asked.stream
    }

    fn input(&self) -> u64 {
        self.measure().text_bytes.div_ceil(4)
    }

    fn has(&self, part: Part) -> bool {
        match part {
            Part::Image => self.measure().images > 0,
            Part::Audio => self.measure().audios > 0,
            Part::Document => self.measure().documents > 0,
            // An empty list of them is none.
            Part::Tools => ["tools", "toolConfig"].into_iter().any(|field| self.says(field, "{")),
            Part::Schema => {
                // Each dialect's own word for it.
                let places = [
                    ("response_format", "json_schema"),
                    ("text", "json_schema"),
                    ("generationConfig", "esponseSchema"),
                    ("generationConfig", "esponseJsonSchema"),
                    ("output_config", "schema"),
                    ("output_format", "schema"),
                    ("format", "{"),
                ];
                places.into_iter().any(|(field, word)| self.says(field, word))
            }
        }
    }

    fn now(&self) -> Timestamp {
        self.received.arrived.started
    }
}
