//! Ids of calls.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::super::{Draft, elements, list, raw_string};
use crate::Fields;
use crate::json::string;
use crate::tool_id::nine;

/// Rewrites the ids in one message, those of its calls and the one that it answers: the same id becomes the same wherever
/// it stands. Whether any had to be.
pub(super) fn nine_characters(message: &mut Draft<'_>) -> bool {
    let mut changed = false;
    if let Some(id) = message.get("tool_call_id").and_then(shortened) {
        message.put("tool_call_id", Cow::Owned(id));
        changed = true;
    }
    let Some(calls) = message.get("tool_calls").and_then(elements) else { return changed };
    let mut any = false;
    let rewritten: Vec<Cow<'_, RawValue>> = calls
        .into_iter()
        .map(|call| {
            let Ok(fields) = Fields::of(call, "messages.*.tool_calls.*") else { return Cow::Borrowed(call) };
            let Some(id) = fields.get("id").and_then(shortened) else { return Cow::Borrowed(call) };
            let mut draft = Draft::from(&fields);
            draft.put("id", Cow::Owned(id));
            any = true;
            Cow::Owned(draft.to_raw())
        })
        .collect();
    if any {
        let calls = list(rewritten.iter().map(AsRef::as_ref));
        message.put("tool_calls", Cow::Owned(calls));
    }
    changed || any
}

/// The id in nine characters; none where it has them already.
fn shortened(id: &RawValue) -> Option<Box<RawValue>> {
    let id = string(id)?;
    let short = nine(&id);
    (short != id).then(|| raw_string(&short))
}
