//! Items of reasoning, and the thoughts that they are.
//!
//! The vendor's proof is a reasoning item's `encrypted_content`, taken back together with the item's id. Another
//! provider's proof travels in the same field, marked as the gateway's own, so that it comes back to whom it belongs.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::HERE;
use crate::chat::Content;
use crate::json::string;
use crate::object::{Object, ObjectWriter};
use crate::proof::{opened, sealed};
use crate::{Fields, Json, Malformed};

/// In front of proofs that are not the vendor's: of thoughts in words, and of thoughts that only their maker can read.
const SIGNED: &str = "gatelet:s:";
const REDACTED: &str = "gatelet:r:";

/// Reads a reasoning item; one that says nothing by itself is kept whole.
pub(super) fn read(item: &Object<'_>, raw: &RawValue) -> Result<Content, Malformed> {
    let mut texts = texts_of(item, "summary")?;
    if texts.is_empty() {
        texts = texts_of(item, "content")?;
    }
    let id = item.string("id")?.unwrap_or_default();
    let encrypted = item.string("encrypted_content")?.filter(|proof| !proof.is_empty());
    let text = texts.join("\n\n");
    if text.is_empty() && encrypted.is_none() {
        return Ok(Content::Foreign { dialect: HERE, json: Json::from(raw) });
    }
    Ok(thought(text, &id, encrypted.as_deref()))
}

fn texts_of(item: &Object<'_>, key: &str) -> Result<Vec<String>, Malformed> {
    let mut texts = Vec::new();
    for (nth, raw) in item.items(key)?.unwrap_or_default().into_iter().enumerate() {
        let part = Object::of(raw, format!("{}[{nth}]", item.path(key)))?;
        texts.extend(part.string("text")?.filter(|text| !text.is_empty()));
    }
    Ok(texts)
}

fn thought(text: String, id: &str, encrypted: Option<&str>) -> Content {
    match proof(id, encrypted) {
        Some(Proof::Redacted(data)) => Content::RedactedThinking { data },
        // A thought without words is one that only its maker can read.
        Some(Proof::Signed(data)) if text.is_empty() => Content::RedactedThinking { data },
        Some(Proof::Signed(signature)) => Content::Thinking { text, signature: Some(signature) },
        None => Content::Thinking { text, signature: None },
    }
}

pub(super) enum Proof {
    Signed(String),
    Redacted(String),
}

/// The proof in an item's `encrypted_content`.
pub(super) fn proof(id: &str, encrypted: Option<&str>) -> Option<Proof> {
    let encrypted = encrypted.filter(|proof| !proof.is_empty())?;
    Some(if let Some(signature) = encrypted.strip_prefix(SIGNED) {
        Proof::Signed(signature.to_owned())
    } else if let Some(data) = encrypted.strip_prefix(REDACTED) {
        Proof::Redacted(data.to_owned())
    } else {
        Proof::Signed(sealed(HERE, &format!("{id}:{encrypted}")))
    })
}

/// The `encrypted_content` for a proof: the vendor's own, or marked.
pub(super) fn encrypted(proof: &str, redacted: bool) -> Cow<'_, str> {
    match own(proof) {
        Some((_, encrypted)) => Cow::Borrowed(encrypted),
        None => Cow::Owned(format!("{}{proof}", if redacted { REDACTED } else { SIGNED })),
    }
}

/// The id and the `encrypted_content` of the vendor's own proof.
pub(super) fn own(proof: &str) -> Option<(&str, &str)> {
    opened(HERE, proof)?.split_once(':')
}

/// Fills a reasoning item.
pub(super) fn fill(item: &mut ObjectWriter<'_>, id: &str, text: &str, encrypted: Option<&str>) {
    item.string("type", "reasoning");
    item.string("id", id);
    item.list("summary", |list| {
        if !text.is_empty() {
            list.object(|part| {
                part.string("type", "summary_text");
                part.string("text", text);
            });
        }
    });
    if let Some(encrypted) = encrypted {
        item.string("encrypted_content", encrypted);
    }
}

/// The items of `input` as this dialect's vendor can read them: without the thoughts of other providers, whose proofs it
/// could not read, and with what the gateway made short in plain words. None where it can read all of them as they are.
pub(super) fn cleaned(input: &RawValue) -> Option<Json> {
    if !input.get().contains("\"gatelet:") {
        return None;
    }
    let items: Vec<&RawValue> = crate::json::from_str(input.get()).ok()?;
    let mut changed = false;
    let mut kept: Vec<Json> = Vec::with_capacity(items.len());
    for raw in items {
        let item = Fields::of(raw, "input[]").ok();
        let proof = item.and_then(|item| item.present("encrypted_content").and_then(string));
        match proof.as_deref() {
            Some(proof) if proof.starts_with(SIGNED) || proof.starts_with(REDACTED) => changed = true,
            Some(proof) => match summary(proof) {
                Some(text) => {
                    changed = true;
                    kept.push(super::shape::json(|item| {
                        item.string("type", "message");
                        item.string("role", "developer");
                        item.string("content", &text);
                    }));
                }
                None => kept.push(Json::from(raw)),
            },
            None => kept.push(Json::from(raw)),
        }
    }
    changed.then(|| Json::of(&kept))
}

/// In front of conversations that the gateway made short.
const COMPACTED: &str = "gatelet:c:";

/// The `encrypted_content` of a conversation that was made short, which is no secret: it goes on over every provider.
pub fn compacted(text: &str) -> String {
    use base64::Engine;
    format!("{COMPACTED}{}", base64::engine::general_purpose::STANDARD.encode(text))
}

/// What a conversation came to that the gateway made short, in words for the model.
pub(super) fn summary(encrypted: &str) -> Option<String> {
    let bytes = crate::source::decoded(encrypted.strip_prefix(COMPACTED)?)?;
    let text = String::from_utf8(bytes).ok()?;
    Some(format!("A summary of the conversation so far:\n\n{text}"))
}
