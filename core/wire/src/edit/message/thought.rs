//! Reasoning as a part of content.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::super::{Draft, elements, list, raw};
use super::REASONING;
use crate::Fields;
use crate::json::{is_null, string};
use crate::object::{ObjectWriter, object};

/// A part for a thought, with its proof if there is one.
pub(super) fn thinking(part: &mut ObjectWriter<'_>, text: &str, signature: Option<&str>) {
    part.string("type", "thinking");
    part.list("thinking", |list| {
        list.object(|piece| {
            piece.string("type", "text");
            piece.string("text", text);
        });
    });
    if let Some(signature) = signature {
        part.string("signature", signature);
    }
}

/// The same in other words.
pub(super) fn summary(part: &mut ObjectWriter<'_>, text: &str, signature: Option<&str>) {
    part.string("type", "reasoning");
    part.list("summary", |list| {
        list.object(|piece| {
            piece.string("type", "summary_text");
            piece.string("text", text);
            if let Some(signature) = signature {
                piece.string("signature", signature);
            }
        });
    });
}

/// Moves an assistant's reasoning, from whatever fields it is in, to the front of its content. Whether there was any.
pub(super) fn to_parts(message: &mut Draft<'_>, part: fn(&mut ObjectWriter<'_>, &str, Option<&str>)) -> bool {
    let thoughts = thoughts(message);
    let fields = REASONING.iter().filter(|key| message.remove(key).is_some()).count();
    if thoughts.is_empty() {
        return fields > 0;
    }
    let mut parts: Vec<Box<RawValue>> = thoughts
        .iter()
        .map(|(text, signature)| written(|out| part(out, text, signature.as_deref())))
        .collect();
    let content = message.get("content").filter(|content| !is_null(content));
    if let Some(content) = content {
        match (elements(content), string(content)) {
            (Some(own), _) => parts.extend(own.into_iter().map(ToOwned::to_owned)),
            (None, Some(text)) if !text.is_empty() => parts.push(written(|out| {
                out.string("type", "text");
                out.string("text", &text);
            })),
            (None, _) => {}
        }
    }
    let content = list(parts.iter().map(AsRef::as_ref));
    message.put("content", Cow::Owned(content));
    true
}

fn written(fill: impl FnOnce(&mut ObjectWriter<'_>)) -> Box<RawValue> {
    let mut out = Vec::new();
    object(&mut out, fill);
    raw(out)
}

/// Texts with their proofs: of the blocks, if there are any, for they have both.
fn thoughts(message: &Draft<'_>) -> Vec<(String, Option<String>)> {
    let blocks = message.get("thinking_blocks").and_then(elements).unwrap_or_default();
    let blocks = blocks.into_iter().filter_map(|block| {
        let block = Fields::of(block, "messages.*.thinking_blocks").ok()?;
        let text = block.present("thinking").and_then(string)?;
        let signature = block.present("signature").and_then(string).filter(|text| !text.is_empty());
        Some((text.into_owned(), signature.map(Cow::into_owned)))
    });
    let thoughts: Vec<_> = blocks.collect();
    if !thoughts.is_empty() {
        return thoughts;
    }
    let plain = ["reasoning_content", "reasoning"].into_iter().find_map(|key| {
        let text = message.get(key).and_then(string)?;
        (!text.trim().is_empty()).then(|| text.into_owned())
    });
    plain.map(|text| (text, None)).into_iter().collect()
}
