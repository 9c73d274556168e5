//! Schemas of output and of tools' arguments, brought to the keywords that this dialect takes.

use serde_json::{Map, Value, json};

use crate::peek::Fields;
use crate::{Json, Malformed, Restore};

/// A schema that can be enforced natively.
#[derive(Debug)]
pub(in crate::dialect) struct Enforced {
    pub(in crate::dialect) schema: Json,
    /// Keywords moved into descriptions: the model reads them, but nothing enforces them.
    pub(in crate::dialect) moved: bool,
}

/// More definitions than these are not looked through: whether they are recursive costs the square of their number.
const MOST_DEFINITIONS: usize = 500;

/// Brings `schema` to the enforceable keywords; none if it cannot be: its root is no object, it is recursive, or it is
/// too large to know.
pub(in crate::dialect) fn enforced(schema: &Json) -> Option<Enforced> {
    let mut root = schema.to_value();
    gather_definitions(&mut root);
    inline_root(&mut root)?;
    let object = root.as_object_mut()?;
    if object.get("type").is_none() && object.contains_key("properties") {
        object.insert("type".to_owned(), json!("object"));
    }
    if object.get("type") != Some(&json!("object")) || is_recursive(&root) {
        return None;
    }
    let mut moved = false;
    narrow(&mut root, &mut moved);
    Some(Enforced { schema: Json::of(&root), moved })
}

/// The schema with a description at its root, unless it has one of its own.
pub(in crate::dialect) fn described(schema: Json, description: Option<&str>) -> Json {
    let Some(description) = description else { return schema };
    let Ok(fields) = Fields::read(schema.as_str().as_bytes()) else { return schema };
    if fields.present("description").is_some() {
        return schema;
    }
    Json::written(&fields.splice(&[("description", Json::of(&description).as_str())]))
}

/// The schema of a tool's arguments: an object at its root; what is none is wrapped under the key that is given back.
pub(in crate::dialect) fn arguments(
    schema: Option<&Json>,
    path: &str,
) -> Result<(Json, Option<&'static str>), Malformed> {
    let Some(schema) = schema else {
        return Ok((Json::of(&json!({"type": "object", "properties": {}})), None));
    };
    let no_schema = || Malformed::field(path, "a JSON schema");
    let fields = Fields::read(schema.as_str().as_bytes()).map_err(|_| no_schema())?;
    let spliced = |kind: &str| {
        let text = String::from_utf8(fields.splice(&[("type", kind)])).map_err(|_| no_schema())?;
        Json::parse(&text).map_err(|_| no_schema())
    };
    let combined = ["anyOf", "oneOf", "allOf", "$ref", "enum", "const"];
    match fields.present("type").map(serde_json::value::RawValue::get) {
        Some("\"object\"") => Ok((schema.clone(), None)),
        Some(list) if list.starts_with('[') && list.contains("\"object\"") => {
            Ok((spliced("\"object\"")?, None))
        }
        None if !combined.iter().any(|key| fields.get(key).is_some()) => Ok((spliced("\"object\"")?, None)),
        _ => Ok((wrapped(schema), Some(Restore::VALUE))),
    }
}

/// `{value: schema}`, with the definitions at the root, where their references look for them.
fn wrapped(schema: &Json) -> Json {
    let mut inner = schema.to_value();
    let mut root = Map::new();
    root.insert("type".to_owned(), json!("object"));
    if let Some(inner) = inner.as_object_mut() {
        inner.shift_remove("$schema");
        for key in DEFINITIONS {
            if let Some(definitions) = inner.shift_remove(*key) {
                root.insert((*key).to_owned(), definitions);
            }
        }
    }
    root.insert("properties".to_owned(), json!({ Restore::VALUE: inner }));
    root.insert("required".to_owned(), json!([Restore::VALUE]));
    Json::of(&root)
}

const DEFINITIONS: &[&str] = &["$defs", "definitions", "components"];

/// Brings `definitions` and `components.schemas` to `$defs`, and the references to them.
fn gather_definitions(root: &mut Value) {
    let Some(object) = root.as_object_mut() else { return };
    let mut gathered = Map::new();
    for key in DEFINITIONS {
        let Some(found) = object.shift_remove(*key) else { continue };
        let found = if *key == "components" { found.get("schemas").cloned() } else { Some(found) };
        if let Some(Value::Object(found)) = found {
            gathered.extend(found);
        }
    }
    if !gathered.is_empty() {
        object.insert("$defs".to_owned(), Value::Object(gathered));
    }
    rename_references(root);
}

fn rename_references(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (key, value) in object.iter_mut() {
                match value {
                    Value::String(target) if key == "$ref" => {
                        for old in ["#/definitions/", "#/components/schemas/"] {
                            if let Some(name) = target.strip_prefix(old) {
                                *target = format!("#/$defs/{name}");
                                break;
                            }
                        }
                    }
                    other => rename_references(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(rename_references),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A root that only refers to a definition becomes that definition.
fn inline_root(root: &mut Value) -> Option<()> {
    // Chains of references are short; one that is not is a circle.
    for _ in 0..8 {
        let object = root.as_object_mut()?;
        let Some(Value::String(target)) = object.get("$ref") else { return Some(()) };
        let name = target.strip_prefix("#/$defs/")?;
        let definition = object.get("$defs")?.get(name)?.as_object()?.clone();
        object.shift_remove("$ref");
        for (key, value) in definition {
            object.insert(key, value);
        }
    }
    None
}

/// Whether a definition leads back to itself, or any reference leads somewhere else than to a definition.
fn is_recursive(root: &Value) -> bool {
    let empty = Map::new();
    let definitions = root.get("$defs").and_then(Value::as_object).unwrap_or(&empty);
    let mut of_root = Vec::new();
    let mut bare = root.clone();
    if let Some(object) = bare.as_object_mut() {
        object.shift_remove("$defs");
    }
    references(&bare, &mut of_root);
    let edges: Vec<(&str, Vec<&str>)> = definitions
        .iter()
        .map(|(name, definition)| {
            let mut targets = Vec::new();
            references(definition, &mut targets);
            (name.as_str(), targets)
        })
        .collect();
    if edges.len() > MOST_DEFINITIONS {
        return true;
    }
    let known = |target: &&str| definitions.contains_key(*target);
    if !of_root.iter().all(known) || !edges.iter().all(|(_, targets)| targets.iter().all(known)) {
        return true;
    }
    // Definitions whose targets are all settled are settled; what never settles is in a circle.
    let mut settled: Vec<&str> = Vec::new();
    loop {
        let before = settled.len();
        for (name, targets) in &edges {
            if !settled.contains(name) && targets.iter().all(|target| settled.contains(target)) {
                settled.push(name);
            }
        }
        if settled.len() == before {
            return settled.len() < edges.len();
        }
    }
}

fn references<'a>(value: &'a Value, out: &mut Vec<&'a str>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match value {
                    Value::String(target) if key == "$ref" => {
                        out.push(target.strip_prefix("#/$defs/").unwrap_or(target));
                    }
                    other => references(other, out),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, out)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Keywords that are not enforced.
const CONSTRAINTS: &[&str] = &[
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "maxItems",
    "uniqueItems",
    "contains",
    "minContains",
    "maxContains",
    "minProperties",
    "maxProperties",
    "patternProperties",
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
    "dependentRequired",
    "dependentSchemas",
];

const FORMATS: &[&str] =
    &["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"];

/// Moves what is not enforced into the descriptions, in one schema and all below it.
fn narrow(schema: &mut Value, moved: &mut bool) {
    let Some(object) = schema.as_object_mut() else { return };
    let mut said = Vec::new();
    let mut take = |object: &mut Map<String, Value>, key: &str| {
        if let Some(value) = object.shift_remove(key) {
            said.push(format!("{key}: {value}"));
        }
    };
    for key in CONSTRAINTS {
        take(object, key);
    }
    if object.get("minItems").and_then(Value::as_u64).is_some_and(|least| least > 1) {
        take(object, "minItems");
    }
    let format = object.get("format").and_then(Value::as_str);
    if format.is_some_and(|format| !FORMATS.contains(&format)) {
        take(object, "format");
    }
    let is_object = object.get("type") == Some(&json!("object")) || object.contains_key("properties");
    if is_object {
        if object.get("additionalProperties").is_some_and(|extra| extra != &Value::Bool(false)) {
            take(object, "additionalProperties");
        }
        object.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    object.shift_remove("$schema");
    object.shift_remove("$id");
    if object.contains_key("anyOf") {
        take(object, "oneOf");
    } else if let Some(one) = object.shift_remove("oneOf") {
        object.insert("anyOf".to_owned(), one);
    }
    if !said.is_empty() {
        *moved = true;
        let constraints = format!("({})", said.join("; "));
        let description = match object.get("description").and_then(Value::as_str) {
            Some(text) if !text.is_empty() => format!("{text} {constraints}"),
            _ => constraints,
        };
        object.insert("description".to_owned(), Value::String(description));
    }
    for (key, value) in object.iter_mut() {
        match (key.as_str(), value) {
            ("properties" | "$defs", Value::Object(schemas)) => {
                schemas.values_mut().for_each(|schema| narrow(schema, moved));
            }
            ("items", schema @ Value::Object(_)) => narrow(schema, moved),
            ("items" | "prefixItems" | "anyOf" | "allOf", Value::Array(schemas)) => {
                for schema in schemas {
                    narrow(schema, moved);
                }
            }
            _ => {}
        }
    }
}
