//! Whether JSON is what a schema asks for: JSON Schema (2020-12) with the keywords that structured output uses.
//!
//! Of our own because the validators that there are bring engines for expressions and addresses that weigh more than a Worker has
//! left. A schema with a keyword that is not judged is none: nobody is to think that it was. Work is bounded, whatever a schema
//! asks for, since requests bring their own.

use gatelet_wire::json;
use serde_json::{Map, Value};

use super::pattern::Held;
use crate::domain::Timestamp;

/// A schema whose every keyword is known.
#[derive(Debug)]
pub struct Schema {
    root: Value,
    patterns: Vec<(Box<str>, Held)>,
}

/// What a keyword's value is.
#[derive(Clone, Copy)]
enum Holds {
    Schema,
    Schemas,
    NamedSchemas,
    /// Schemas by patterns of names.
    Patterned,
    Types,
    Values,
    Number,
    Count,
    Flag,
    Names,
    Pattern,
    Reference,
    Anything,
}

const KEYWORDS: &[(&str, Holds)] = &[
    ("type", Holds::Types),
    ("enum", Holds::Values),
    ("const", Holds::Anything),
    ("properties", Holds::NamedSchemas),
    ("required", Holds::Names),
    ("additionalProperties", Holds::Schema),
    ("patternProperties", Holds::Patterned),
    ("propertyNames", Holds::Schema),
    ("minProperties", Holds::Count),
    ("maxProperties", Holds::Count),
    ("items", Holds::Schema),
    ("prefixItems", Holds::Schemas),
    ("contains", Holds::Schema),
    ("minItems", Holds::Count),
    ("maxItems", Holds::Count),
    ("uniqueItems", Holds::Flag),
    ("minLength", Holds::Count),
    ("maxLength", Holds::Count),
    ("pattern", Holds::Pattern),
    ("minimum", Holds::Number),
    ("maximum", Holds::Number),
    ("exclusiveMinimum", Holds::Number),
    ("exclusiveMaximum", Holds::Number),
    ("multipleOf", Holds::Number),
    ("allOf", Holds::Schemas),
    ("anyOf", Holds::Schemas),
    ("oneOf", Holds::Schemas),
    ("not", Holds::Schema),
    ("if", Holds::Schema),
    ("then", Holds::Schema),
    ("else", Holds::Schema),
    ("$ref", Holds::Reference),
    ("$defs", Holds::NamedSchemas),
    ("definitions", Holds::NamedSchemas),
    // `OpenAPI`'s word for a type that may be null, too.
    ("nullable", Holds::Flag),
    // What these say is not judged, by the standard; of formats those are that have one form.
    ("format", Holds::Anything),
    ("title", Holds::Anything),
    ("description", Holds::Anything),
    ("default", Holds::Anything),
    ("example", Holds::Anything),
    ("examples", Holds::Anything),
    ("deprecated", Holds::Anything),
    ("readOnly", Holds::Anything),
    ("writeOnly", Holds::Anything),
    ("propertyOrdering", Holds::Anything),
    ("$schema", Holds::Anything),
    ("$id", Holds::Anything),
    ("$comment", Holds::Anything),
];

const TYPES: [&str; 7] = ["null", "boolean", "integer", "number", "string", "array", "object"];

/// Levels of a schema, and of references that lead to one another.
const DEEPEST: usize = 128;
/// Steps until it is given up: some tens of milliseconds.
const MOST_WORK: usize = 2_000_000;

impl Schema {
    /// # Errors
    /// It is none, or asks for something that is not judged: what, and where in it.
    pub fn read(root: Value) -> Result<Self, String> {
        let mut schema = Self { root: Value::Null, patterns: Vec::new() };
        schema.survey(&root, &root, "#", 0)?;
        schema.root = root;
        Ok(schema)
    }

    /// Whether a value is what is asked for; none: that cannot be told with a bounded amount of work.
    pub fn fits(&self, value: &Value) -> Option<bool> {
        Judge { schema: self, work: MOST_WORK }.fits(&self.root, value, 0)
    }

    fn survey(&mut self, root: &Value, rule: &Value, place: &str, depth: usize) -> Result<(), String> {
        let fields = match rule {
            Value::Bool(_) => return Ok(()),
            Value::Object(fields) if depth < DEEPEST => fields,
            _ => return Err(format!("`{place}` is no schema, or too deep")),
        };
        for (key, value) in fields {
            let place = format!("{place}/{key}");
            let Some((_, holds)) = KEYWORDS.iter().find(|(known, _)| known == key) else {
                return Err(format!("`{place}` is no keyword that is judged"));
            };
            let wrong = |what: &str| Err(format!("`{place}`: expected {what}"));
            match (holds, value) {
                (Holds::Anything, _)
                | (Holds::Values, Value::Array(_))
                | (Holds::Number, Value::Number(_))
                | (Holds::Flag, Value::Bool(_)) => {}
                (Holds::Schema, rule) => self.survey(root, rule, &place, depth + 1)?,
                (Holds::Schemas, Value::Array(rules)) if !rules.is_empty() => {
                    for rule in rules {
                        self.survey(root, rule, &place, depth + 1)?;
                    }
                }
                (Holds::NamedSchemas | Holds::Patterned, Value::Object(rules)) => {
                    for (name, rule) in rules {
                        let place = format!("{place}/{name}");
                        if matches!(holds, Holds::Patterned) {
                            self.pattern(name, &place)?;
                        }
                        self.survey(root, rule, &place, depth + 1)?;
                    }
                }
                (Holds::Count, count) if count.is_u64() => {}
                (Holds::Types, types) if listed(types).all(|name| TYPES.contains(&name)) => {}
                (Holds::Names, Value::Array(names)) if names.iter().all(Value::is_string) => {}
                (Holds::Pattern, Value::String(text)) => self.pattern(text, &place)?,
                (Holds::Reference, Value::String(to)) if referred(root, to).is_some() => {}
                (Holds::Reference, _) => return wrong("a place in this schema, such as #/$defs/name"),
                (Holds::Types, _) => return wrong(&TYPES.join(", ")),
                (Holds::Count, _) => return wrong("a whole number"),
                (Holds::Number, _) => return wrong("a number"),
                (Holds::Flag, _) => return wrong("true or false"),
                (Holds::Pattern, _) => return wrong("a regular expression"),
                (Holds::Schemas | Holds::Values | Holds::Names, _) => return wrong("a list"),
                (Holds::NamedSchemas | Holds::Patterned, _) => return wrong("schemas by names"),
            }
        }
        Ok(())
    }

    fn pattern(&mut self, text: &str, place: &str) -> Result<(), String> {
        if self.patterns.iter().all(|(known, _)| **known != *text) {
            let held = Held::read(text).map_err(|problem| format!("`{place}`: {problem}"))?;
            self.patterns.push((text.into(), held));
        }
        Ok(())
    }
}

/// A word, or those of a list; what is neither is a word that nobody knows.
fn listed(words: &Value) -> impl Iterator<Item = &str> {
    let list = match words {
        Value::Array(list) => list.as_slice(),
        word => std::slice::from_ref(word),
    };
    list.iter().map(|word| word.as_str().unwrap_or_default())
}

fn referred<'s>(root: &'s Value, to: &str) -> Option<&'s Value> {
    let place = percent_encoding::percent_decode_str(to.strip_prefix('#')?).decode_utf8().ok()?;
    root.pointer(&place)
}

struct Judge<'s> {
    schema: &'s Schema,
    work: usize,
}

impl<'s> Judge<'s> {
    fn fits(&mut self, rule: &'s Value, value: &Value, depth: usize) -> Option<bool> {
        self.work = self.work.checked_sub(1)?;
        let fields = match rule {
            Value::Object(fields) if depth < DEEPEST => fields,
            Value::Object(_) => return None,
            rule => return Some(*rule != Value::Bool(false)),
        };
        if value.is_null() && fields.get("nullable") == Some(&Value::Bool(true)) {
            return Some(true);
        }
        for (key, asked) in fields {
            if !self.keeps(fields, key, asked, value, depth + 1)? {
                return Some(false);
            }
        }
        Some(true)
    }

    /// How many of these a value fits, counted up to two.
    fn among(&mut self, rules: &'s Value, value: &Value, depth: usize) -> Option<usize> {
        let mut count = 0;
        for rule in rules.as_array()? {
            count += usize::from(self.fits(rule, value, depth)?);
            if count > 1 {
                break;
            }
        }
        Some(count)
    }

    /// Whether a value keeps one keyword of a schema.
    fn keeps(
        &mut self,
        fields: &'s Map<String, Value>,
        key: &str,
        asked: &'s Value,
        value: &Value,
        depth: usize,
    ) -> Option<bool> {
        let count = |size: usize| Some(size as u64).zip(asked.as_u64());
        let number = value.as_f64().zip(asked.as_f64());
        Some(match (key, value) {
            ("type", _) => listed(asked).any(|name| is_of(name, value)),
            ("enum", _) => {
                self.work = self.work.checked_sub(asked.as_array()?.len())?;
                asked.as_array()?.iter().any(|known| same(known, value))
            }
            ("const", _) => same(asked, value),
            ("$ref", _) => self.fits(referred(&self.schema.root, asked.as_str()?)?, value, depth)?,
            ("allOf", _) => {
                for rule in asked.as_array()? {
                    if !self.fits(rule, value, depth)? {
                        return Some(false);
                    }
                }
                true
            }
            ("anyOf", _) => self.among(asked, value, depth)? > 0,
            ("oneOf", _) => self.among(asked, value, depth)? == 1,
            ("not", _) => !self.fits(asked, value, depth)?,
            ("if", _) => {
                let way = if self.fits(asked, value, depth)? { "then" } else { "else" };
                match fields.get(way) {
                    Some(rule) => self.fits(rule, value, depth)?,
                    None => true,
                }
            }
            ("required", Value::Object(has)) => listed(asked).all(|name| has.contains_key(name)),
            ("minProperties", Value::Object(has)) => count(has.len()).is_none_or(|(has, least)| has >= least),
            ("maxProperties", Value::Object(has)) => count(has.len()).is_none_or(|(has, most)| has <= most),
            (
                "properties" | "additionalProperties" | "patternProperties" | "propertyNames",
                Value::Object(has),
            ) => return self.properties(fields, key, asked, has, depth),
            ("items" | "prefixItems" | "contains", Value::Array(items)) => {
                return self.items(fields, key, asked, items, depth);
            }
            ("minItems", Value::Array(items)) => count(items.len()).is_none_or(|(has, least)| has >= least),
            ("maxItems", Value::Array(items)) => count(items.len()).is_none_or(|(has, most)| has <= most),
            ("uniqueItems", Value::Array(items)) if *asked == Value::Bool(true) => {
                self.work = self.work.checked_sub(items.len().saturating_mul(items.len()))?;
                let is_first =
                    |(nth, item): (usize, &Value)| !items.iter().take(nth).any(|one| same(one, item));
                items.iter().enumerate().all(is_first)
            }
            ("minLength" | "maxLength" | "pattern" | "format", Value::String(text)) => {
                self.work = self.work.checked_sub(text.len())?;
                match key {
                    "minLength" => count(text.chars().count()).is_none_or(|(has, least)| has >= least),
                    "maxLength" => count(text.chars().count()).is_none_or(|(has, most)| has <= most),
                    "pattern" => self.matches(asked.as_str()?, text)?,
                    _ => has_format(asked.as_str().unwrap_or_default(), text),
                }
            }
            ("minimum", _) => number.is_none_or(|(number, least)| number >= least),
            ("maximum", _) => number.is_none_or(|(number, most)| number <= most),
            ("exclusiveMinimum", _) => number.is_none_or(|(number, least)| number > least),
            ("exclusiveMaximum", _) => number.is_none_or(|(number, most)| number < most),
            ("multipleOf", _) => number.is_none_or(|(number, step)| {
                let times = number / step;
                (times - times.round()).abs() <= 1e-9 * times.abs().max(1.0)
            }),
            _ => true,
        })
    }

    fn matches(&mut self, pattern: &str, text: &str) -> Option<bool> {
        let (_, held) = self.schema.patterns.iter().find(|(known, _)| **known == *pattern)?;
        held.is_in(text, &mut self.work)
    }

    fn properties(
        &mut self,
        fields: &'s Map<String, Value>,
        key: &str,
        asked: &'s Value,
        has: &Map<String, Value>,
        depth: usize,
    ) -> Option<bool> {
        for (name, value) in has {
            self.work = self.work.checked_sub(1)?;
            let fits = match key {
                "properties" => match asked.get(name) {
                    Some(rule) => self.fits(rule, value, depth)?,
                    None => true,
                },
                "propertyNames" => self.fits(asked, &Value::String(name.clone()), depth)?,
                _ => {
                    let known = fields.get("properties").is_some_and(|named| named.get(name).is_some());
                    let patterned = fields.get("patternProperties").and_then(Value::as_object);
                    let mut fits = true;
                    let mut other = !known;
                    for (pattern, rule) in patterned.into_iter().flatten() {
                        if self.matches(pattern, name)? {
                            other = false;
                            fits &= key != "patternProperties" || self.fits(rule, value, depth)?;
                        }
                    }
                    let rest = key == "additionalProperties" && other;
                    fits && (!rest || self.fits(asked, value, depth)?)
                }
            };
            if !fits {
                return Some(false);
            }
        }
        Some(true)
    }

    fn items(
        &mut self,
        fields: &'s Map<String, Value>,
        key: &str,
        asked: &'s Value,
        items: &[Value],
        depth: usize,
    ) -> Option<bool> {
        let first = fields.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        if key == "prefixItems" {
            for (rule, item) in first.iter().zip(items) {
                if !self.fits(rule, item, depth)? {
                    return Some(false);
                }
            }
            return Some(true);
        }
        let any = key == "contains";
        for item in items.iter().skip(if any { 0 } else { first.len() }) {
            if self.fits(asked, item, depth)? == any {
                return Some(any);
            }
        }
        Some(!any)
    }
}

fn is_of(name: &str, value: &Value) -> bool {
    match value {
        Value::Null => name == "null",
        Value::Bool(_) => name == "boolean",
        Value::Number(number) => {
            let whole = || !number.is_f64() || number.as_f64().is_some_and(|number| number.fract() == 0.0);
            name == "number" || (name == "integer" && whole())
        }
        Value::String(_) => name == "string",
        Value::Array(_) => name == "array",
        Value::Object(_) => name == "object",
    }
}

/// Equal as the standard means it: numbers by their value, however they are written.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, one)| other.get(name).is_some_and(|other| same(one, other)))
        }
        _ => one == other,
    }
}

/// Whether a text has a format, of those that have one form.
fn has_format(format: &str, text: &str) -> bool {
    match format {
        "date-time" => Timestamp::parse(text).is_some(),
        "date" => text.len() == 10 && Timestamp::parse(&format!("{text}T00:00:00Z")).is_some(),
        "uuid" => {
            let sign = |(at, byte): (usize, u8)| match at {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            };
            text.len() == 36 && text.bytes().enumerate().all(sign)
        }
        "ipv4" => text.parse::<std::net::Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<std::net::Ipv6Addr>().is_ok(),
        "email" => text.split_once('@').is_some_and(|(local, host)| {
            let plain =
                |text: &str| !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c == '@');
            plain(local) && plain(host)
        }),
        _ => true,
    }
}

/// The JSON that a text is.
pub(super) fn parsed(text: &str) -> Option<Value> {
    json::from_str(text.trim()).ok()
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
