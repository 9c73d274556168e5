//! Schemas: the provider's own form, a part of `OpenAPI`'s, and the standard one.

use serde_json::{Map, Value, json};

use crate::{Json, Malformed};

/// A schema in the provider's own form as a standard one.
pub(super) fn to_standard(own: &Json) -> Json {
    let mut value = own.to_value();
    standardise(&mut value);
    Json::of(&value)
}

/// Keys that the provider's form writes otherwise.
const STANDARD_KEYS: &[(&str, &str)] = &[
    ("any_of", "anyOf"),
    ("min_items", "minItems"),
    ("max_items", "maxItems"),
    ("min_length", "minLength"),
    ("max_length", "maxLength"),
    ("min_properties", "minProperties"),
    ("max_properties", "maxProperties"),
    ("additional_properties", "additionalProperties"),
    ("defs", "$defs"),
    ("ref", "$ref"),
];

fn standardise(value: &mut Value) {
    let Some(schema) = value.as_object_mut() else { return };
    for (from, to) in STANDARD_KEYS {
        if let Some(moved) = schema.shift_remove(*from) {
            schema.insert((*to).to_owned(), moved);
        }
    }
    for key in ["propertyOrdering", "property_ordering", "example"] {
        schema.shift_remove(key);
    }
    if let Some(Value::String(kind)) = schema.get_mut("type") {
        *kind = kind.to_ascii_lowercase();
    }
    if schema.get("type") == Some(&json!("type_unspecified")) {
        schema.shift_remove("type");
    }
    for key in ["minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"] {
        // Its JSON writes large whole numbers as strings.
        let number = schema.get(key).and_then(Value::as_str).and_then(|text| text.parse::<u64>().ok());
        if let Some(number) = number {
            schema.insert(key.to_owned(), number.into());
        }
    }
    if schema.shift_remove("nullable") == Some(Value::Bool(true)) {
        match schema.get_mut("type") {
            Some(kind @ Value::String(_)) => *kind = json!([kind.take(), "null"]),
            _ => {
                if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
                    choices.push(json!({"type": "null"}));
                }
            }
        }
        if let Some(Value::Array(values)) = schema.get_mut("enum") {
            values.push(Value::Null);
        }
    }
    for key in ["properties", "$defs"] {
        if let Some(Value::Object(inner)) = schema.get_mut(key) {
            inner.values_mut().for_each(standardise);
        }
    }
    for key in ["items", "additionalProperties"] {
        schema.get_mut(key).into_iter().for_each(standardise);
    }
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.iter_mut().for_each(standardise);
    }
}

/// Definitions in place of references make a schema grow: not beyond this many schemas.
const MOST_SCHEMAS: usize = 2_000;
const MOST_DEPTH: usize = 32;

/// A standard schema in the provider's own form, and whether anything had to be left out.
///
/// # Errors
/// It refers to itself, or grows beyond bounds when its references are written out.
pub(super) fn to_own(standard: &Json, path: &str) -> Result<(Json, bool), Malformed> {
    let root = standard.to_value();
    let mut narrow = Narrow { root: &root, schemas: 0, left_out: false };
    let own = narrow.schema(&root, 0).ok_or_else(|| {
        Malformed::field(path, "a schema that does not refer to itself: this model's API takes no references")
    })?;
    Ok((Json::of(&own), narrow.left_out))
}

struct Narrow<'a> {
    root: &'a Value,
    schemas: usize,
    left_out: bool,
}

/// Keywords that are taken as they are.
const KEPT: &[&str] = &[
    "title",
    "description",
    "format",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "minLength",
    "maxLength",
    "pattern",
    "minimum",
    "maximum",
    "default",
];

impl Narrow<'_> {
    /// None where it does not end.
    fn schema(&mut self, value: &Value, depth: usize) -> Option<Value> {
        self.schemas += 1;
        if self.schemas > MOST_SCHEMAS || depth > MOST_DEPTH {
            return None;
        }
        let Some(schema) = value.as_object() else { return Some(json!({})) };
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let found = target.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            let Some(found) = found else {
                self.left_out = true;
                return Some(json!({}));
            };
            return self.schema(found, depth + 1);
        }
        if let Some(Value::Array(all)) = schema.get("allOf") {
            return self.merged(schema, all, depth);
        }
        let mut own = Map::new();
        Self::kind(schema, &mut own);
        for key in KEPT {
            if let Some(value) = schema.get(*key) {
                own.insert((*key).to_owned(), value.clone());
            }
        }
        self.values(schema, &mut own);
        if let Some(Value::Object(properties)) = schema.get("properties") {
            let mut inner = Map::new();
            for (name, property) in properties {
                inner.insert(name.clone(), self.schema(property, depth + 1)?);
            }
            let known = |name: &&Value| name.as_str().is_some_and(|name| properties.contains_key(name));
            if let Some(Value::Array(required)) = schema.get("required") {
                let required: Vec<Value> = required.iter().filter(known).cloned().collect();
                if !required.is_empty() {
                    own.insert("required".to_owned(), required.into());
                }
            }
            own.insert("properties".to_owned(), inner.into());
            own.entry("type").or_insert_with(|| json!("object"));
        }
        if let Some(items) = schema.get("items") {
            own.insert("items".to_owned(), self.schema(items, depth + 1)?);
        }
        if let Some(Value::Array(choices)) = schema.get("anyOf").or_else(|| schema.get("oneOf")) {
            return self.choice(choices, &own, depth);
        }
        let known = |key: &str| {
            KEPT.contains(&key)
                || [
                    "type",
                    "enum",
                    "const",
                    "properties",
                    "required",
                    "items",
                    "$schema",
                    "$defs",
                    "definitions",
                ]
                .contains(&key)
                || key == "additionalProperties" && schema.get(key) == Some(&Value::Bool(false))
        };
        self.left_out |= !schema.keys().all(|key| known(key));
        Some(own.into())
    }

    /// One type and whether it may be null; a list of several becomes a choice.
    fn kind(schema: &Map<String, Value>, own: &mut Map<String, Value>) {
        match schema.get("type") {
            Some(Value::Array(kinds)) => {
                let (null, others): (Vec<_>, Vec<_>) = kinds.iter().partition(|kind| **kind == json!("null"));
                if !null.is_empty() {
                    own.insert("nullable".to_owned(), Value::Bool(true));
                }
                match others.as_slice() {
                    [one] => drop(own.insert("type".to_owned(), (*one).clone())),
                    several => {
                        let several: Vec<Value> =
                            several.iter().map(|kind| json!({ "type": kind })).collect();
                        own.insert("anyOf".to_owned(), several.into());
                    }
                }
            }
            Some(kind) => drop(own.insert("type".to_owned(), kind.clone())),
            None => {}
        }
    }

    /// Values by name: strings only, and none that is empty.
    fn values(&mut self, schema: &Map<String, Value>, own: &mut Map<String, Value>) {
        let listed = schema.get("enum").and_then(Value::as_array).cloned();
        let Some(values) = listed.or_else(|| schema.get("const").map(|value| vec![value.clone()])) else {
            return;
        };
        let good = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
        if values.contains(&Value::Null) {
            own.insert("nullable".to_owned(), Value::Bool(true));
        }
        if !values.iter().all(|value| good(value) || value.is_null()) {
            self.left_out = true;
            return;
        }
        own.entry("type").or_insert_with(|| json!("string"));
        own.insert("enum".to_owned(), values.into_iter().filter(good).collect::<Vec<_>>().into());
    }

    /// Nothing stands beside a choice: what said so moves inside.
    fn choice(&mut self, choices: &[Value], outer: &Map<String, Value>, depth: usize) -> Option<Value> {
        let mut own = Vec::with_capacity(choices.len());
        let mut nullable = false;
        for choice in choices {
            if choice.get("type") == Some(&json!("null")) {
                nullable = true;
                continue;
            }
            let mut inner = self.schema(choice, depth + 1)?;
            if let Some(inner) = inner.as_object_mut() {
                for (key, value) in outer {
                    inner.entry(key.clone()).or_insert_with(|| value.clone());
                }
                if nullable {
                    inner.insert("nullable".to_owned(), Value::Bool(true));
                }
            }
            own.push(inner);
        }
        match own.as_mut_slice() {
            [one] => {
                let mut one = one.take();
                if let Some(one) = one.as_object_mut().filter(|_| nullable) {
                    one.insert("nullable".to_owned(), Value::Bool(true));
                }
                Some(one)
            }
            _ => Some(json!({ "anyOf": own })),
        }
    }

    /// Several that must all hold, as one object.
    fn merged(&mut self, schema: &Map<String, Value>, all: &[Value], depth: usize) -> Option<Value> {
        let mut whole = schema.clone();
        whole.shift_remove("allOf");
        for part in all {
            let target = part.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
            let part = target.and_then(|pointer| self.root.pointer(pointer)).unwrap_or(part);
            for (key, value) in part.as_object().into_iter().flatten() {
                match (whole.get_mut(key), value) {
                    (Some(Value::Object(known)), Value::Object(more)) => known.extend(more.clone()),
                    (Some(Value::Array(known)), Value::Array(more)) => known.extend(more.iter().cloned()),
                    (Some(_), _) => self.left_out = true,
                    (None, value) => drop(whole.insert(key.clone(), value.clone())),
                }
            }
        }
        self.schema(&whole.into(), depth + 1)
    }
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
