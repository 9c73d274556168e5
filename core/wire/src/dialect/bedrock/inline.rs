//! Schemas without references, for models that do not follow them.

use serde_json::{Map, Value};

use crate::{Json, Malformed};

/// The most bytes that a schema may grow to: references to references double with each step.
const MOST_BYTES: usize = 512 * 1024;
const DEFINITIONS: &[&str] = &["$defs", "definitions", "components"];

/// `schema` with every reference replaced by what it means; itself if there is none.
///
/// # Errors
/// A definition leads back to itself, a reference leads nowhere, or it grows too long.
pub(super) fn inlined(schema: &Json, path: &str) -> Result<Json, Malformed> {
    if !schema.as_str().contains("$ref") {
        return Ok(schema.clone());
    }
    let root = schema.to_value();
    let mut inliner = Inliner { root: &root, path, left: MOST_BYTES, open: Vec::new() };
    let mut whole = inliner.value(&root)?;
    if let Value::Object(object) = &mut whole {
        for key in DEFINITIONS {
            object.shift_remove(*key);
        }
    }
    Ok(Json::of(&whole))
}

struct Inliner<'a> {
    root: &'a Value,
    path: &'a str,
    left: usize,
    /// The references that are being written out.
    open: Vec<&'a str>,
}

impl<'a> Inliner<'a> {
    fn value(&mut self, value: &'a Value) -> Result<Value, Malformed> {
        self.spend(8)?;
        Ok(match value {
            Value::Object(object) => match object.get("$ref") {
                Some(Value::String(target)) => self.reference(target, object)?,
                _ => Value::Object(self.object(object)?),
            },
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.value(item)).collect::<Result<_, _>>()?)
            }
            Value::String(text) => {
                self.spend(text.len())?;
                value.clone()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        })
    }

    fn object(&mut self, object: &'a Map<String, Value>) -> Result<Map<String, Value>, Malformed> {
        let mut out = Map::new();
        for (key, value) in object {
            self.spend(key.len())?;
            // Definitions are written out where they are meant.
            let definition = self.open.is_empty() && DEFINITIONS.contains(&key.as_str());
            let value = if definition { Value::Null } else { self.value(value)? };
            out.insert(key.clone(), value);
        }
        Ok(out)
    }

    fn reference(&mut self, target: &'a str, beside: &'a Map<String, Value>) -> Result<Value, Malformed> {
        if self.open.contains(&target) {
            let expected = format!("a schema that does not lead back to itself, as `{target}` does");
            return Err(Malformed::field(self.path, expected));
        }
        let pointer = target.strip_prefix('#').unwrap_or_default();
        let meant = self.root.pointer(pointer).filter(|_| pointer.starts_with('/'));
        let meant = meant.ok_or_else(|| {
            Malformed::field(self.path, format!("a schema in which `{target}` leads somewhere"))
        })?;
        self.open.push(target);
        let mut meant = self.value(meant)?;
        self.open.pop();
        // What stands beside the reference is said of it as well.
        if let Value::Object(meant) = &mut meant {
            for (key, value) in beside.iter().filter(|(key, _)| *key != "$ref") {
                let value = self.value(value)?;
                meant.insert(key.clone(), value);
            }
        }
        Ok(meant)
    }

    fn spend(&mut self, bytes: usize) -> Result<(), Malformed> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                Err(Malformed::field(self.path, "a schema that stays short when references are followed"))
            }
        }
    }
}
