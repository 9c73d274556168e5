//! What one provider of a dialect wants said otherwise than the dialect's owner does.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::json::is_null;
use crate::peek::{push_key, push_string};
use crate::{Fields, Json, Loss, Malformed};

mod message;
mod shape;

pub use message::MessageEdit;

/// One declared difference. Fields are named by paths: `user`, `metadata.user_id`.
///
/// In data files each is a small table:
///
/// ```text
/// { rename = ["max_completion_tokens", "max_tokens"] }
/// { move = ["user", "metadata.user_id"] }
/// { drop = "logit_bias" }
/// { clamp = "temperature", max = 1.0 }                      # or min, or both
/// { default = "max_tokens", value = 4096 }
/// { set = "safe_prompt", value = true }
/// { value = "tool_choice", from = "required", to = "any" }
/// { messages = "drop-name" }                                # see MessageEdit
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "shape::Shape", into = "shape::Shape")]
pub enum Edit {
    /// Moves a value to another name; one that is already there wins over it.
    Move { from: String, to: String },
    /// Removes a field.
    Drop(String),
    /// Keeps a number within bounds.
    Clamp { field: String, min: Option<f64>, max: Option<f64> },
    /// Gives a field a value where the caller gave none.
    Default { field: String, value: Json },
    /// Gives a field a value, whatever the caller said.
    Set { field: String, value: Json },
    /// Says one value in another word.
    Value { field: String, from: Json, to: Json },
    /// Changes every message that it concerns.
    Messages(MessageEdit),
}

/// A request under change: the fields that nobody touches keep their bytes and their order.
///
/// ```
/// # use gatelet_wire::{Draft, Edit, Fields, Loss};
/// let fields = Fields::read(br#"{"max_completion_tokens":5,"top_p":1.10,"logit_bias":{}}"#)?;
/// let mut draft = Draft::from(&fields);
/// let mut loss = Loss::default();
/// let rename = Edit::Move { from: "max_completion_tokens".into(), to: "max_tokens".into() };
/// draft.apply(&[rename, Edit::Drop("logit_bias".into())], &mut loss)?;
/// assert_eq!(draft.write(), br#"{"max_tokens":5,"top_p":1.10}"#);
/// assert!(loss.items().eq(["logit_bias"]));
/// # Ok::<(), gatelet_wire::Malformed>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Draft<'a> {
    items: Vec<(Cow<'a, str>, Cow<'a, RawValue>)>,
}

impl<'a> From<&Fields<'a>> for Draft<'a> {
    fn from(fields: &Fields<'a>) -> Self {
        Self {
            items: fields.items().iter().map(|(key, value)| (key.clone(), Cow::Borrowed(*value))).collect(),
        }
    }
}

impl<'a> Draft<'a> {
    /// Applies `edits` in their order, noting in `loss` every wish of the caller that they take away or change.
    ///
    /// # Errors
    /// An edit looks inside a value that is not of the shape it needs (`messages` that are no list).
    pub fn apply(&mut self, edits: &[Edit], loss: &mut Loss) -> Result<(), Malformed> {
        edits.iter().try_for_each(|edit| self.apply_one(edit, loss))
    }

    fn apply_one(&mut self, edit: &Edit, loss: &mut Loss) -> Result<(), Malformed> {
        match edit {
            Edit::Move { from, to } => {
                if !from.contains('.') && !to.contains('.') {
                    self.rename(from, to);
                } else if let Some(value) = self.take(from)?
                    && !is_null(&value)
                    && self.find(to)?.is_none_or(|there| is_null(&there))
                {
                    self.put(to, value)?;
                }
            }
            Edit::Drop(field) => {
                if self.take(field)?.is_some_and(|value| !is_null(&value)) {
                    loss.note(field.clone());
                }
            }
            Edit::Clamp { field, min, max } => {
                let Some(number) = self.find(field)?.and_then(|value| value.get().parse::<f64>().ok()) else {
                    return Ok(());
                };
                let bound = max.filter(|max| number > *max).or(min.filter(|min| number < *min));
                if let Some(bound) = bound {
                    self.put(field, own(&Json::of(&bound)))?;
                    loss.note(field.clone());
                }
            }
            Edit::Default { field, value } => {
                if self.find(field)?.is_none_or(|there| is_null(&there)) {
                    self.put(field, own(value))?;
                }
            }
            Edit::Set { field, value } => self.put(field, own(value))?,
            Edit::Value { field, from, to } => {
                if self.find(field)?.is_some_and(|there| same(&there, from)) {
                    self.put(field, own(to))?;
                }
            }
            Edit::Messages(edit) => edit.apply(self, loss)?,
        }
        Ok(())
    }

    /// The value of an outer field.
    pub fn get(&self, key: &str) -> Option<&RawValue> {
        self.items.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_ref())
    }

    /// Gives an outer field a value, in its place or at the end.
    pub fn set(&mut self, key: &str, value: &Json) {
        self.set_raw(key, own(value));
    }

    fn set_raw(&mut self, key: &str, value: Cow<'a, RawValue>) {
        match self.items.iter_mut().find(|(name, _)| name == key) {
            Some((_, there)) => *there = value,
            None => self.items.push((Cow::Owned(key.to_owned()), value)),
        }
    }

    /// Removes an outer field.
    pub fn remove(&mut self, key: &str) -> Option<Cow<'a, RawValue>> {
        let at = self.items.iter().position(|(name, _)| name == key)?;
        Some(self.items.remove(at).1)
    }

    /// The object as JSON text, without space between its fields.
    pub fn write(&self) -> Vec<u8> {
        let size = self.items.iter().map(|(key, value)| key.len() + value.get().len() + 4).sum::<usize>();
        let mut out = Vec::with_capacity(size + 2);
        out.push(b'{');
        for (nth, (key, value)) in self.items.iter().enumerate() {
            if nth > 0 {
                out.push(b',');
            }
            push_key(&mut out, key);
            out.extend_from_slice(value.get().as_bytes());
        }
        out.push(b'}');
        out
    }

    fn into_raw(self) -> Cow<'static, RawValue> {
        Cow::Owned(raw(self.write()))
    }

    /// Gives the field another name in its place.
    fn rename(&mut self, from: &str, to: &str) {
        let there = self.get(to).is_some_and(|there| !is_null(there));
        let wanted = self.get(from).is_some_and(|value| !is_null(value));
        if there || !wanted {
            self.remove(from);
            return;
        }
        self.remove(to);
        if let Some((key, _)) = self.items.iter_mut().find(|(name, _)| name == from) {
            *key = Cow::Owned(to.to_owned());
        }
    }

    /// The value at a path; none where it, or an object on the way, is missing.
    fn find(&self, path: &str) -> Result<Option<Cow<'_, RawValue>>, Malformed> {
        match path.split_once('.') {
            None => Ok(self.get(path).map(Cow::Borrowed)),
            Some((outer, inner)) => match self.inner(outer)? {
                None => Ok(None),
                Some(draft) => Ok(draft.find(inner)?.map(|value| Cow::Owned(value.into_owned()))),
            },
        }
    }

    fn take(&mut self, path: &str) -> Result<Option<Cow<'a, RawValue>>, Malformed> {
        let Some((outer, inner)) = path.split_once('.') else { return Ok(self.remove(path)) };
        let Some(mut draft) = self.inner(outer)? else { return Ok(None) };
        let Some(taken) = draft.take(inner)? else { return Ok(None) };
        let (taken, rest) = (Cow::Owned(taken.into_owned()), draft.into_raw());
        self.set_raw(outer, rest);
        Ok(Some(taken))
    }

    fn put(&mut self, path: &str, value: Cow<'a, RawValue>) -> Result<(), Malformed> {
        let Some((outer, inner)) = path.split_once('.') else {
            self.set_raw(path, value);
            return Ok(());
        };
        let mut draft = self.inner(outer)?.unwrap_or_default();
        draft.put(inner, Cow::Owned(value.into_owned()))?;
        let rest = draft.into_raw();
        self.set_raw(outer, rest);
        Ok(())
    }

    /// The object in an outer field; none where it is missing or `null`.
    fn inner(&self, key: &str) -> Result<Option<Draft<'_>>, Malformed> {
        let Some(value) = self.get(key).filter(|value| !is_null(value)) else { return Ok(None) };
        Ok(Some(Draft::from(&Fields::of(value, key)?)))
    }
}

fn own<'a>(json: &Json) -> Cow<'a, RawValue> {
    Cow::Owned(json.as_ref().to_owned())
}

/// JSON text that was just written as a value.
fn raw(json: Vec<u8>) -> Box<RawValue> {
    let text = String::from_utf8(json).unwrap_or_default();
    RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// Equal as values: `1.0` and `1`, `"a"` and `"\u0061"` are.
fn same(left: &RawValue, right: &Json) -> bool {
    let value = |text: &str| serde_json::from_str::<Value>(text).ok();
    left.get() == right.as_str() || value(left.get()).is_some_and(|left| Some(left) == value(right.as_str()))
}

/// Writes `items` as a JSON list.
fn list<'a>(items: impl Iterator<Item = &'a RawValue>) -> Cow<'static, RawValue> {
    let mut out = vec![b'['];
    for (nth, item) in items.enumerate() {
        if nth > 0 {
            out.push(b',');
        }
        out.extend_from_slice(item.get().as_bytes());
    }
    out.push(b']');
    Cow::Owned(raw(out))
}

fn json_string(text: &str) -> Cow<'static, RawValue> {
    let mut out = Vec::with_capacity(text.len() + 2);
    push_string(&mut out, text);
    Cow::Owned(raw(out))
}

#[cfg(test)]
#[path = "edit_tests.rs"]
mod tests;
