//! Which fragment belongs to which tool call.
//!
//! By the book each fragment has the `index` of its call and the first one an `id`. In the field indexes are missing, all
//! zero, from one, or with gaps; ids are missing, blank or repeated; names come late or every time. So calls are known
//! by id first, then by index, then by order.

use std::borrow::Cow;

use super::chunk::CallDelta;
use crate::Malformed;
use crate::chat::ToolKind;
use crate::event::Delta;

/// No model calls so many tools at once.
const MOST: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Calls(Vec<Call>);

#[derive(Debug, Default)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) kind: ToolKind,
    /// The id as the upstream said it, if it did.
    said_id: Option<String>,
    said_index: Option<u64>,
    /// All arguments so far.
    text: String,
    /// How much of `text` was given out.
    given: usize,
    shape: Shape,
}

/// How far the arguments are, as JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Shape {
    #[default]
    Blank,
    Object {
        depth: u32,
        in_string: bool,
        escaped: bool,
    },
    /// A JSON string: an object encoded twice, perhaps. It is held back until it is whole.
    Quoted,
    Whole,
    /// No object: nobody can say where it ends.
    Other,
}

impl Calls {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut Call> {
        self.0.get_mut(at)
    }

    /// Nothing can follow in this call.
    pub(super) fn is_whole(&self, at: usize) -> bool {
        self.0.get(at).is_some_and(|call| call.kind == ToolKind::Custom || call.shape == Shape::Whole)
    }

    /// The place of the call that `delta` belongs to, which is new if it stands at the former length.
    pub(super) fn find_or_add(
        &mut self,
        delta: &CallDelta<'_>,
        seed: &str,
        choice: u32,
    ) -> Result<usize, Malformed> {
        if let Some(at) = self.find(delta) {
            if let Some(call) = self.0.get_mut(at)
                && call.said_id.is_none()
            {
                call.said_id = delta.id.text().map(str::to_owned);
            }
            return Ok(at);
        }
        let at = self.0.len();
        if at == MOST {
            return Err(Malformed::field(format!("choices[{choice}].delta.tool_calls"), "at most 256 calls"));
        }
        let said_id = delta.id.text().map(str::to_owned);
        let taken = |id: &String| self.0.iter().any(|call| call.id == *id);
        let id =
            said_id.clone().filter(|id| !taken(id)).unwrap_or_else(|| format!("call_{seed}_{choice}_{at}"));
        self.0.push(Call { id, said_id, said_index: delta.index.0, ..Call::default() });
        Ok(at)
    }

    fn find(&self, delta: &CallDelta<'_>) -> Option<usize> {
        let calls = &self.0;
        let function = delta.custom.as_ref().or(delta.function.as_ref());
        let name = function.and_then(|function| function.name.text());
        let has_arguments = function.is_some_and(|function| function.arguments.is_some());
        let (id, index) = (delta.id.text(), delta.index.0);
        let at_index = index.and_then(|index| calls.iter().rposition(|call| call.said_index == Some(index)));
        let by_id = id.and_then(|id| calls.iter().rposition(|call| call.said_id.as_deref() == Some(id)));
        let at = |at: usize| calls.get(at);
        if let Some(found) = by_id {
            // One id for two calls at two indexes: the index is right.
            let moved = index.is_some()
                && at(found).is_some_and(|call| call.said_index.is_some() && call.said_index != index);
            return if moved && name.is_some() { at_index } else { Some(found) };
        }
        match (id, at_index) {
            // A new id at a known index: another call if it has a name, else an id that is made up for each fragment.
            (Some(_), Some(found)) => {
                let unnamed =
                    at(found).is_some_and(|call| call.said_id.is_none() && call.shape != Shape::Whole);
                (name.is_none() || unnamed).then_some(found)
            }
            (Some(_), None) if index.is_some() || name.is_some() => None,
            (Some(_), None) => calls.len().checked_sub(1),
            // Whole calls one after the other, all at index 0 and without ids.
            (None, Some(found)) => {
                let over = at(found).is_some_and(|call| call.shape == Shape::Whole);
                (!(name.is_some() && over && has_arguments)).then_some(found)
            }
            (None, None) => {
                let last = calls.len().checked_sub(1)?;
                let last_call = at(last)?;
                let goes_on = match name {
                    None => index.is_none() || last_call.said_index.is_none(),
                    Some(name) => {
                        index.is_none() && last_call.name == name && last_call.shape != Shape::Whole
                    }
                };
                goes_on.then_some(last)
            }
        }
    }
}

impl Call {
    /// More arguments.
    ///
    /// # Errors
    /// Another object follows one that was whole: two calls run together, and nobody can say which is meant.
    pub(super) fn add(&mut self, fragment: &str, choice: u32) -> Result<(), Malformed> {
        if self.kind == ToolKind::Custom {
            self.text.push_str(fragment);
            return Ok(());
        }
        let repeated = self.shape == Shape::Whole && fragment.trim() == self.text.trim();
        if repeated {
            return Ok(());
        }
        for byte in fragment.bytes() {
            let before = self.shape;
            self.shape = before.after(byte);
            if before == Shape::Whole && byte == b'{' {
                let path = format!("choices[{choice}].delta.tool_calls[].function.arguments");
                return Err(Malformed::field(path, "one JSON object, not several run together"));
            }
        }
        self.text.push_str(fragment);
        Ok(())
    }

    /// What was not given out yet and can be.
    pub(super) fn fresh(&mut self) -> Option<Delta> {
        if self.shape == Shape::Quoted {
            return None;
        }
        let fresh = self.text.get(self.given..).filter(|fresh| !fresh.is_empty())?.to_owned();
        self.given = self.text.len();
        Some(Delta::Arguments(fresh))
    }

    /// What remains when the call is over: arguments that were held back, or `{}` for none.
    pub(super) fn last(&mut self) -> Option<Delta> {
        if self.kind == ToolKind::Custom {
            return self.fresh();
        }
        if self.given == 0 && self.text.trim().is_empty() {
            self.given = self.text.len();
            return Some(Delta::Arguments("{}".to_owned()));
        }
        let rest = self.text.get(self.given..).filter(|rest| !rest.is_empty())?;
        let delta = Delta::Arguments(decoded_twice(rest).into_owned());
        self.given = self.text.len();
        Some(delta)
    }
}

/// An object that was encoded as a string, which was encoded again; else the text itself.
pub(super) fn decoded_twice(text: &str) -> Cow<'_, str> {
    if !text.trim_start().starts_with('"') {
        return Cow::Borrowed(text);
    }
    match crate::json::from_str::<String>(text) {
        Ok(inner) if inner.trim_start().starts_with('{') => Cow::Owned(inner),
        _ => Cow::Borrowed(text),
    }
}

impl Shape {
    fn after(self, byte: u8) -> Self {
        match self {
            Self::Blank | Self::Whole if byte.is_ascii_whitespace() => self,
            Self::Blank if byte == b'{' => Self::Object { depth: 1, in_string: false, escaped: false },
            Self::Blank if byte == b'"' => Self::Quoted,
            Self::Object { depth, in_string: true, escaped } => {
                Self::Object { depth, in_string: escaped || byte != b'"', escaped: !escaped && byte == b'\\' }
            }
            Self::Object { depth, .. } => match byte {
                b'"' => Self::Object { depth, in_string: true, escaped: false },
                b'{' | b'[' => Self::Object { depth: depth + 1, in_string: false, escaped: false },
                b'}' | b']' if depth == 1 => Self::Whole,
                b'}' | b']' => Self::Object { depth: depth - 1, in_string: false, escaped: false },
                _ => self,
            },
            Self::Quoted => Self::Quoted,
            Self::Blank | Self::Whole | Self::Other => Self::Other,
        }
    }
}
