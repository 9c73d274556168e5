//! What one provider of a dialect wants said otherwise than the dialect's owner does.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::json::{is_null, push_string};
use crate::peek::push_key;
use crate::piece::{Out, Piece, Pieces};
use crate::{Fields, Json, Loss, Malformed, scan};

mod message;

pub use message::MessageEdit;

/// One declared difference.
///
/// Paths are dotted, `*` stands for every element of a list: `metadata.user_id`, `messages.*.name`. Where a path is
/// absent, or something on the way is no object or list, nothing changes. In data files:
///
/// ```text
/// { rename = ["max_completion_tokens", "max_tokens"] }
/// { move = ["user", "metadata.user_id"] }
/// { drop = "logit_bias" }
/// { clamp = ["temperature", 0.0, 1.0] }
/// { default = ["max_tokens", 4096] }
/// { set = ["safe_prompt", true] }
/// { replace = ["tool_choice", "required", "any"] }
/// { replace = ["messages.*.role", "developer", "system"] }
/// { rename-text = ["tool_choice", "tool_choice_option"] }
/// { messages = "flatten-text" }                             # see MessageEdit
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Edit {
    /// `[from, to]`: the same value under another name, which stays in its place where both paths have one parent. A
    /// value that is already there wins over it.
    Rename(String, String),
    /// `[from, to]`: an outer field under another name where its value is a string, as a choice by one word is.
    RenameText(String, String),
    /// `[from, to]`: as [`Rename`](Self::Rename); the parents of `to` are made.
    Move(String, String),
    /// The field is left out.
    Drop(String),
    /// `[path, least, most]`: a number outside is brought to the nearer end.
    Clamp(String, f64, f64),
    /// `[path, value]`: added where the caller said nothing, or `null`.
    Default(String, Value),
    /// `[path, value]`: whatever the caller said.
    Set(String, Value),
    /// `[path, from, to]`: where the value equals `from`, `to` is sent.
    Replace(String, Value, Value),
    /// A change to messages that no path can say.
    Messages(MessageEdit),
}

/// A request under change: the fields that nobody touches keep their bytes and their order.
///
/// ```
/// # use gatelet_wire::{Draft, Edit, Fields, Loss};
/// let fields = Fields::read(br#"{"max_completion_tokens":5,"top_p":1.10,"logit_bias":{}}"#)?;
/// let mut draft = Draft::from(&fields);
/// let mut loss = Loss::default();
/// let rename = Edit::Rename("max_completion_tokens".into(), "max_tokens".into());
/// draft.apply(&[rename, Edit::Drop("logit_bias".into())], &mut loss)?;
/// assert_eq!(draft.write(), br#"{"max_tokens":5,"top_p":1.10}"#);
/// assert!(loss.items().eq(["logit_bias"]));
/// # Ok::<(), gatelet_wire::Malformed>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Draft<'a> {
    items: Vec<(Cow<'a, str>, Cow<'a, RawValue>)>,
}

/// What becomes of one value.
enum Change {
    Keep,
    Remove,
    Put(Box<RawValue>),
}

impl<'a> From<&Fields<'a>> for Draft<'a> {
    fn from(fields: &Fields<'a>) -> Self {
        // With room for what is added most often, the cap on output and the asking for usage.
        let mut items = Vec::with_capacity(fields.len() + 2);
        items.extend(fields.items().iter().map(|(key, value)| (key.clone(), Cow::Borrowed(*value))));
        Self { items }
    }
}

impl<'a> Draft<'a> {
    /// Applies `edits` in their order, noting in `loss` every wish of the caller that they take away or change.
    ///
    /// # Errors
    /// A field stands twice in an object that an edit looks into, or `messages` is no list of objects.
    pub fn apply(&mut self, edits: &[Edit], loss: &mut Loss) -> Result<(), Malformed> {
        edits.iter().try_for_each(|edit| self.apply_one(edit, loss))
    }

    fn apply_one(&mut self, edit: &Edit, loss: &mut Loss) -> Result<(), Malformed> {
        match edit {
            Edit::Rename(from, to) | Edit::Move(from, to) => self.relocate(from, to)?,
            Edit::RenameText(from, to) => {
                if self.get(from).is_some_and(|value| value.get().starts_with('"')) {
                    self.rename(from, to);
                }
            }
            Edit::Drop(path) => {
                self.at(path, false, &mut |value| {
                    if value.is_some_and(|value| !is_null(value)) {
                        loss.note(path.clone());
                    }
                    Change::Remove
                })?;
            }
            Edit::Clamp(path, least, most) => {
                self.at(path, false, &mut |value| {
                    let number = value.and_then(|value| crate::json::number(value.get()));
                    match number.filter(|number| number < least || number > most) {
                        Some(number) => {
                            loss.note(path.clone());
                            let end = if number < *least { least } else { most };
                            // A count stays one: `4.0` pictures are refused.
                            let whole = value.is_some_and(|value| !value.get().contains(['.', 'e', 'E']));
                            #[expect(clippy::cast_possible_truncation, reason = "ends are small")]
                            let count = (whole && end.fract() == 0.0).then(|| (*end as i64).to_string());
                            Change::Put(
                                count
                                    .and_then(|count| RawValue::from_string(count).ok())
                                    .unwrap_or_else(|| raw_of(end)),
                            )
                        }
                        None => Change::Keep,
                    }
                })?;
            }
            Edit::Default(path, json) => {
                self.at(path, true, &mut |value| match value.filter(|value| !is_null(value)) {
                    Some(_) => Change::Keep,
                    None => Change::Put(raw_of(json)),
                })?;
            }
            Edit::Set(path, json) => {
                self.at(path, true, &mut |_| Change::Put(raw_of(json)))?;
            }
            Edit::Replace(path, from, to) => {
                self.at(path, false, &mut |value| match value.filter(|value| same(value, from)) {
                    Some(_) => Change::Put(raw_of(to)),
                    None => Change::Keep,
                })?;
            }
            Edit::Messages(edit) => edit.apply(self, loss)?,
        }
        Ok(())
    }

    /// The value of an outer field.
    pub fn get(&self, key: &str) -> Option<&RawValue> {
        self.items.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_ref())
    }

    /// The outer fields, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.items.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// Gives an outer field a value, in its place or at the end.
    pub fn set(&mut self, key: &str, value: Json) {
        self.put(key, Cow::Owned(value.into()));
    }

    /// As [`Draft::set`], of a value that outlives the draft.
    pub fn lend(&mut self, key: &str, value: &'a Json) {
        self.put(key, Cow::Borrowed(value.as_ref()));
    }

    fn put(&mut self, key: &str, value: Cow<'a, RawValue>) {
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
        self.write_into(&mut out);
        out
    }

    /// As [`Draft::write`], without copying what is large and comes from `fields`.
    pub fn pieces(&self, fields: &Fields<'_>) -> Vec<Piece> {
        let mut out = Pieces::of(fields);
        self.write_into(&mut out);
        out.done()
    }

    fn write_into(&self, out: &mut impl Out) {
        out.make().push(b'{');
        for (nth, (key, value)) in self.items.iter().enumerate() {
            if nth > 0 {
                out.make().push(b',');
            }
            push_key(out.make(), key);
            out.keep(value.get());
        }
        out.make().push(b'}');
    }

    fn to_raw(&self) -> Box<RawValue> {
        raw(self.write())
    }

    fn relocate(&mut self, from: &str, to: &str) -> Result<(), Malformed> {
        let (parent, key) = from.rsplit_once('.').map_or((None, from), |(parent, key)| (Some(parent), key));
        let (to_parent, to_key) = to.rsplit_once('.').map_or((None, to), |(parent, key)| (Some(parent), key));
        if parent == to_parent {
            let Some(parent) = parent else {
                self.rename(key, to_key);
                return Ok(());
            };
            let mut failed = Ok(());
            self.at(parent, false, &mut |object| {
                let renamed = object.map_or(Ok(None), |object| {
                    let Some(mut draft) = Draft::inside(object)? else { return Ok(None) };
                    Ok(draft.rename(key, to_key).then(|| draft.to_raw()))
                });
                match renamed {
                    Ok(renamed) => renamed.map_or(Change::Keep, Change::Put),
                    Err(error) => {
                        failed = Err(error);
                        Change::Keep
                    }
                }
            })?;
            return failed;
        }
        let mut taken = None;
        self.at(from, false, &mut |value| {
            taken = value.filter(|value| !is_null(value)).map(ToOwned::to_owned);
            Change::Remove
        })?;
        let Some(taken) = taken else { return Ok(()) };
        self.at(to, true, &mut |there| match there.filter(|there| !is_null(there)) {
            Some(_) => Change::Keep,
            None => Change::Put(taken.clone()),
        })?;
        Ok(())
    }

    /// Gives an outer field another name in its place, and says whether anything changed.
    fn rename(&mut self, from: &str, to: &str) -> bool {
        let Some(value) = self.get(from) else { return false };
        if is_null(value) || self.get(to).is_some_and(|there| !is_null(there)) {
            self.remove(from);
            return true;
        }
        self.remove(to);
        if let Some((key, _)) = self.items.iter_mut().find(|(name, _)| name == from) {
            *key = Cow::Owned(to.to_owned());
        }
        true
    }

    /// Changes what stands at `path`, and says whether anything did change. With `create`, missing parents are made and
    /// `change` is asked about a value that is not there.
    fn at(
        &mut self,
        path: &str,
        create: bool,
        change: &mut dyn FnMut(Option<&RawValue>) -> Change,
    ) -> Result<bool, Malformed> {
        let Some((key, rest)) = path.split_once('.') else {
            let there = self.get(path);
            if there.is_none() && !create {
                return Ok(false);
            }
            match change(there) {
                Change::Keep => return Ok(false),
                Change::Remove => drop(self.remove(path)),
                Change::Put(value) => self.put(path, Cow::Owned(value)),
            }
            return Ok(true);
        };
        let Some(value) = self.get(key).filter(|value| !is_null(value)) else {
            let mut made = Draft::default();
            if create && !rest.starts_with('*') && made.at(rest, true, change)? {
                self.put(key, Cow::Owned(made.to_raw()));
                return Ok(true);
            }
            return Ok(false);
        };
        let put = match rest.strip_prefix('*') {
            Some(rest) => within_list(value, rest.strip_prefix('.'), create, change)?,
            None => within_object(value, rest, create, change)?,
        };
        let changed = put.is_some();
        if let Some(put) = put {
            self.put(key, Cow::Owned(put));
        }
        Ok(changed)
    }

    /// The fields of an object; none for any other value.
    fn inside(value: &'a RawValue) -> Result<Option<Self>, Malformed> {
        if !value.get().starts_with('{') {
            return Ok(None);
        }
        Ok(Some(Self::from(&Fields::of(value, "body")?)))
    }
}

fn within_object(
    value: &RawValue,
    path: &str,
    create: bool,
    change: &mut dyn FnMut(Option<&RawValue>) -> Change,
) -> Result<Option<Box<RawValue>>, Malformed> {
    let Some(mut draft) = Draft::inside(value)? else { return Ok(None) };
    Ok(draft.at(path, create, change)?.then(|| draft.to_raw()))
}

/// Changes every element, or what stands at `path` in each; none where nothing changed.
fn within_list(
    value: &RawValue,
    path: Option<&str>,
    create: bool,
    change: &mut dyn FnMut(Option<&RawValue>) -> Change,
) -> Result<Option<Box<RawValue>>, Malformed> {
    let Some(elements) = elements(value) else { return Ok(None) };
    let mut changed = false;
    let mut out: Vec<Cow<'_, RawValue>> = Vec::with_capacity(elements.len());
    for element in elements {
        let change = match path {
            None => change(Some(element)),
            Some(path) => within_object(element, path, create, change)?.map_or(Change::Keep, Change::Put),
        };
        changed |= !matches!(change, Change::Keep);
        match change {
            Change::Keep => out.push(Cow::Borrowed(element)),
            Change::Remove => {}
            Change::Put(value) => out.push(Cow::Owned(value)),
        }
    }
    Ok(changed.then(|| list(out.iter().map(AsRef::as_ref))))
}

/// The elements of a list; none for any other value.
fn elements(value: &RawValue) -> Option<Vec<&RawValue>> {
    scan::list(value.get())
}

/// Writes `items` as a JSON list.
fn list<'a>(items: impl Iterator<Item = &'a RawValue>) -> Box<RawValue> {
    let mut out = vec![b'['];
    for (nth, item) in items.enumerate() {
        if nth > 0 {
            out.push(b',');
        }
        out.extend_from_slice(item.get().as_bytes());
    }
    out.push(b']');
    raw(out)
}

fn raw_of(value: &impl Serialize) -> Box<RawValue> {
    Json::of(value).into()
}

fn raw_string(text: &str) -> Box<RawValue> {
    let mut out = Vec::with_capacity(text.len() + 2);
    push_string(&mut out, text);
    raw(out)
}

/// JSON text that was just written as a value.
fn raw(json: Vec<u8>) -> Box<RawValue> {
    let text = String::from_utf8(json).unwrap_or_default();
    RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// Equal as values: `"a"` and `"\u0061"` are.
fn same(left: &RawValue, right: &Value) -> bool {
    crate::json::from_str::<Value>(left.get()).is_ok_and(|left| left == *right)
}

#[cfg(test)]
#[path = "edit_tests.rs"]
mod tests;
