//! How an edit looks in a data file.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Edit, MessageEdit};
use crate::Json;

/// All keys of all edits; which of them stand together decides which edit it is.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Shape {
    #[serde(skip_serializing_if = "Option::is_none")]
    rename: Option<[String; 2]>,
    #[serde(rename = "move", skip_serializing_if = "Option::is_none")]
    moved: Option<[String; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drop: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    clamp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    set: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<MessageEdit>,
}

const EXPECTED: &str = "an edit is one of { rename = [from, to] }, { move = [from, to] }, { drop = field }, \
    { clamp = field, min = …, max = … }, { default = field, value = … }, { set = field, value = … }, \
    { value = field, from = …, to = … }, { messages = name }";

impl TryFrom<Shape> for Edit {
    type Error = &'static str;

    fn try_from(mut shape: Shape) -> Result<Self, Self::Error> {
        let json = |value: Value| Json::of(&value);
        let edit = if let Some([from, to]) = shape.rename.take().or_else(|| shape.moved.take()) {
            Self::Move { from, to }
        } else if let Some(field) = shape.drop.take() {
            Self::Drop(field)
        } else if let Some(field) = shape.clamp.take() {
            let (min, max) = (shape.min.take(), shape.max.take());
            if min.or(max).is_none() {
                return Err("a clamp needs a `min`, a `max` or both");
            }
            Self::Clamp { field, min, max }
        } else if let Some(field) = shape.default.take() {
            Self::Default { field, value: json(shape.value.take().ok_or("a default needs a `value`")?) }
        } else if let Some(field) = shape.set.take() {
            Self::Set { field, value: json(shape.value.take().ok_or("a set needs a `value`")?) }
        } else if let Some(edit) = shape.messages.take() {
            Self::Messages(edit)
        } else {
            match (shape.value.take(), shape.from.take(), shape.to.take()) {
                (Some(Value::String(field)), Some(from), Some(to)) => {
                    Self::Value { field, from: json(from), to: json(to) }
                }
                _ => return Err(EXPECTED),
            }
        };
        if shape.is_used_up() { Ok(edit) } else { Err(EXPECTED) }
    }
}

impl Shape {
    fn is_used_up(&self) -> bool {
        let Self { rename, moved, drop, clamp, min, max, default, set, value, from, to, messages } = self;
        rename.is_none()
            && moved.is_none()
            && drop.is_none()
            && clamp.is_none()
            && min.or(*max).is_none()
            && default.is_none()
            && set.is_none()
            && value.is_none()
            && from.is_none()
            && to.is_none()
            && messages.is_none()
    }
}

impl From<Edit> for Shape {
    fn from(edit: Edit) -> Self {
        let mut shape = Self::default();
        match edit {
            Edit::Move { from, to } => shape.moved = Some([from, to]),
            Edit::Drop(field) => shape.drop = Some(field),
            Edit::Clamp { field, min, max } => (shape.clamp, shape.min, shape.max) = (Some(field), min, max),
            Edit::Default { field, value } => {
                (shape.default, shape.value) = (Some(field), Some(value.to_value()));
            }
            Edit::Set { field, value } => (shape.set, shape.value) = (Some(field), Some(value.to_value())),
            Edit::Value { field, from, to } => {
                shape.value = Some(Value::String(field));
                (shape.from, shape.to) = (Some(from.to_value()), Some(to.to_value()));
            }
            Edit::Messages(edit) => shape.messages = Some(edit),
        }
        shape
    }
}
