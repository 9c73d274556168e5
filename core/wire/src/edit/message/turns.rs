//! The order of turns, where a provider wants another than its dialect's owner.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::super::{Draft, elements, list, raw, raw_string};
use crate::Fields;
use crate::json::{is_null, string};

/// What an assistant says that has nothing to say.
const NOTHING: &str = r#"{"role":"assistant","content":"OK."}"#;

fn role(message: &RawValue) -> Option<String> {
    let fields = Fields::of(message, "messages").ok()?;
    Some(fields.get("role").and_then(string)?.into_owned())
}

/// Puts an assistant's turn between a tool's result and the user who follows.
pub(super) fn assistant_after_tool(draft: &mut Draft<'_>) {
    let Some(messages) = draft.get("messages").and_then(elements) else { return };
    let roles: Vec<Option<String>> = messages.iter().map(|message| role(message)).collect();
    let follows = |nth: usize| {
        let before = nth.checked_sub(1).and_then(|before| roles.get(before)).and_then(Option::as_deref);
        before == Some("tool") && roles.get(nth).and_then(Option::as_deref) == Some("user")
    };
    if !(0..messages.len()).any(follows) {
        return;
    }
    let nothing = raw(NOTHING.as_bytes().to_vec());
    let mut out: Vec<&RawValue> = Vec::with_capacity(messages.len() + 1);
    for (nth, message) in messages.into_iter().enumerate() {
        if follows(nth) {
            out.push(&nothing);
        }
        out.push(message);
    }
    let messages = list(out.into_iter());
    draft.put("messages", Cow::Owned(messages));
}

/// Makes two turns of the user, or of the assistant, in a row one: texts with a blank line between them, parts one after
/// the other. Turns that carry more than content stay as they are.
pub(super) fn merge(draft: &mut Draft<'_>) {
    let Some(messages) = draft.get("messages").and_then(elements) else { return };
    let mut out: Vec<Cow<'_, RawValue>> = Vec::with_capacity(messages.len());
    let mut merged = false;
    for message in messages {
        match out.last().and_then(|last| joined(last, message)) {
            Some(both) => {
                out.pop();
                out.push(Cow::Owned(both));
                merged = true;
            }
            None => out.push(Cow::Borrowed(message)),
        }
    }
    if merged {
        let messages = list(out.iter().map(AsRef::as_ref));
        draft.put("messages", Cow::Owned(messages));
    }
}

/// Two messages as one, if they may be.
fn joined(first: &RawValue, second: &RawValue) -> Option<Box<RawValue>> {
    let read = |message| Fields::of(message, "messages").ok();
    let (first, second) = (read(first)?, read(second)?);
    let plain = |message: &Fields<'_>| {
        message.items().iter().all(|(key, value)| matches!(&**key, "role" | "content") || is_null(value))
    };
    let role = first.get("role").and_then(string)?;
    let same = matches!(&*role, "user" | "assistant") && second.get("role").and_then(string)? == role;
    if !same || !plain(&first) || !plain(&second) {
        return None;
    }
    let (left, right) = (first.present("content")?, second.present("content")?);
    let content = if let (Some(left), Some(right)) = (string(left), string(right)) {
        raw_string(&format!("{left}\n\n{right}"))
    } else {
        let parts = [parts(left)?, parts(right)?].concat();
        list(parts.iter().map(AsRef::as_ref))
    };
    let mut draft = Draft::from(&first);
    draft.put("content", Cow::Owned(content));
    Some(draft.to_raw())
}

/// Content as a list of parts.
fn parts(content: &RawValue) -> Option<Vec<Box<RawValue>>> {
    if let Some(parts) = elements(content) {
        return Some(parts.into_iter().map(ToOwned::to_owned).collect());
    }
    let text = string(content)?;
    Some(vec![raw(format!(r#"{{"type":"text","text":{}}}"#, raw_string(&text).get()).into_bytes())])
}
