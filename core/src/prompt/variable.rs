//! What may stand in a place of a prompt.

use serde_json::Value;

use super::{Wrong, wrong};

/// A variable: its type, its bounds, and what stands for it where a request gives none.
#[derive(Clone, Debug)]
pub(super) struct Variable {
    kind: Kind,
    default: Option<String>,
}

#[derive(Clone, Debug)]
enum Kind {
    /// At most so many characters.
    Text {
        longest: usize,
    },
    /// One of these.
    Word(Vec<String>),
    Number {
        whole: bool,
        least: f64,
        most: f64,
    },
    Boolean,
    /// Texts, which stand there with commas between them.
    List {
        items: usize,
        longest: usize,
    },
}

const TYPES: &str = "expected string, number, integer, boolean or list";
const USUAL_LENGTH: usize = 16 << 10;
const MOST_LENGTH: usize = 1 << 20;
const MOST_ITEMS: usize = 1_000;

impl Variable {
    pub(super) fn read(said: &Value, path: &str) -> Result<Self, Wrong> {
        let Value::Object(said) = said else { return Err(wrong(path, "expected an object with a `type`")) };
        let at = |name: &str| format!("{path}.{name}");
        let kind = said.get("type").and_then(Value::as_str).ok_or_else(|| wrong(at("type"), TYPES))?;
        let known: &[&str] = match kind {
            "string" => &["max_length", "enum"],
            "number" | "integer" => &["minimum", "maximum"],
            "boolean" => &[],
            "list" => &["max_length", "max_items"],
            _ => return Err(wrong(at("type"), TYPES)),
        };
        let always = ["type", "description", "default"];
        let foreign = |name: &&String| !always.contains(&name.as_str()) && !known.contains(&name.as_str());
        if let Some(name) = said.keys().find(foreign) {
            return Err(wrong(at(name), format!("means nothing to a variable of the type {kind}")));
        }
        if said.get("description").is_some_and(|text| !text.is_string()) {
            return Err(wrong(at("description"), "expected a text"));
        }
        let count = |name: &str, usual: usize, most: usize| match said.get(name) {
            None => Ok(usual),
            Some(value) => {
                let count = value.as_u64().and_then(|count| usize::try_from(count).ok());
                let count = count.filter(|count| (1..=most).contains(count));
                count.ok_or_else(|| wrong(at(name), format!("expected a whole number from 1 to {most}")))
            }
        };
        let number = |name: &str, usual: f64| match said.get(name) {
            None => Ok(usual),
            Some(value) => value.as_f64().ok_or_else(|| wrong(at(name), "expected a number")),
        };
        let kind = match kind {
            "string" if said.contains_key("enum") => {
                let words = said
                    .get("enum")
                    .and_then(Value::as_array)
                    .filter(|list| (1..=MOST_ITEMS).contains(&list.len()));
                let words =
                    words.and_then(|list| list.iter().map(|word| Some(word.as_str()?.to_owned())).collect());
                Kind::Word(
                    words.ok_or_else(|| wrong(at("enum"), format!("expected 1 to {MOST_ITEMS} texts")))?,
                )
            }
            "string" => Kind::Text { longest: count("max_length", USUAL_LENGTH, MOST_LENGTH)? },
            "list" => Kind::List {
                items: count("max_items", 100, MOST_ITEMS)?,
                longest: count("max_length", USUAL_LENGTH, MOST_LENGTH)?,
            },
            "boolean" => Kind::Boolean,
            whole => {
                let (least, most) =
                    (number("minimum", f64::NEG_INFINITY)?, number("maximum", f64::INFINITY)?);
                if least > most {
                    return Err(wrong(at("maximum"), "expected no less than `minimum`"));
                }
                Kind::Number { whole: whole == "integer", least, most }
            }
        };
        let mut variable = Self { kind, default: None };
        if let Some(default) = said.get("default").filter(|default| !default.is_null()) {
            let default = variable.text(default).map_err(|problem| wrong(at("default"), problem))?;
            variable.default = Some(default);
        }
        Ok(variable)
    }

    /// What stands there where a request gives nothing; none: it has to.
    pub(super) fn default(&self) -> Option<String> {
        self.default.clone()
    }

    /// A value as it stands in a text.
    pub(super) fn text(&self, value: &Value) -> Result<String, String> {
        let fits = |text: &str, longest: usize| text.len() <= longest || text.chars().count() <= longest;
        let text = match (&self.kind, value) {
            (Kind::Text { longest }, Value::String(text)) => fits(text, *longest).then(|| text.clone()),
            (Kind::Word(words), Value::String(text)) => words.contains(text).then(|| text.clone()),
            (Kind::Boolean, Value::Bool(_)) => Some(value.to_string()),
            (Kind::Number { whole, least, most }, Value::Number(number)) => {
                let sound = number.as_f64().is_some_and(|number| {
                    (*least..=*most).contains(&number) && (!whole || number.fract() == 0.0)
                });
                sound.then(|| value.to_string())
            }
            (Kind::List { items, longest }, Value::Array(list)) if list.len() <= *items => {
                let texts = list.iter().map(|item| item.as_str().filter(|text| fits(text, *longest)));
                texts.collect::<Option<Vec<_>>>().map(|texts| texts.join(", "))
            }
            _ => None,
        };
        text.ok_or_else(|| self.expected())
    }

    /// What a value has to be, in words.
    pub(super) fn expected(&self) -> String {
        match &self.kind {
            Kind::Text { longest } => format!("expected a text of at most {longest} characters"),
            Kind::Word(words) => {
                let some: Vec<&str> = words.iter().take(20).map(String::as_str).collect();
                let more = if words.len() > some.len() { " …" } else { "" };
                format!("expected one of `{}`{more}", some.join("`, `"))
            }
            Kind::Number { whole, least, most } => {
                let kind = if *whole { "a whole number" } else { "a number" };
                let bound = |word: &str, bound: f64| {
                    if bound.is_finite() { format!(" {word} {bound}") } else { String::new() }
                };
                format!("expected {kind}{}{}", bound("from", *least), bound("to", *most))
            }
            Kind::Boolean => "expected true or false".to_owned(),
            Kind::List { items, longest } => {
                format!("expected a list of at most {items} texts of at most {longest} characters")
            }
        }
    }
}

#[cfg(feature = "schema")]
pub(super) fn schema() -> Value {
    let kind = |name: &str, more: Value| {
        let mut properties = serde_json::json!({ "type": { "const": name }, "description": { "type": "string" }, "default": {} });
        for (name, schema) in more.as_object().into_iter().flatten() {
            properties[name] = schema.clone();
        }
        serde_json::json!({ "type": "object", "required": ["type"], "additionalProperties": false, "properties": properties })
    };
    let count = |most: usize| serde_json::json!({ "type": "integer", "minimum": 1, "maximum": most });
    let words = serde_json::json!({ "type": "array", "minItems": 1, "maxItems": MOST_ITEMS, "items": { "type": "string" } });
    let bounds = serde_json::json!({ "minimum": { "type": "number" }, "maximum": { "type": "number" } });
    serde_json::json!({ "anyOf": [
        kind("string", serde_json::json!({ "max_length": count(MOST_LENGTH), "enum": words })),
        kind("number", bounds.clone()),
        kind("integer", bounds),
        kind("boolean", serde_json::json!({})),
        kind("list", serde_json::json!({ "max_length": count(MOST_LENGTH), "max_items": count(MOST_ITEMS) })),
    ] })
}
