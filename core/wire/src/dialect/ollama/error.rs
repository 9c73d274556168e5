//! Errors: `{"error": text}`, in whole answers and as a line of a stream.

use serde_json::value::RawValue;

use crate::dialect::classify::{MOST_TEXT, kind_of_status, plain_text};
use crate::error::{ErrorKind, PublicError, UpstreamError};
use crate::json::string;
use crate::object::{Object, ObjectWriter, object};

/// Reads an error body; any bytes give some error.
pub(super) fn read(status: u16, body: &[u8]) -> UpstreamError {
    let whole = Object::read(body).ok();
    let raw = whole.as_ref().and_then(|whole| whole.raw("error").or_else(|| whole.raw("message")));
    of_words(Some(status), raw.map_or_else(|| plain_text(body), words))
}

/// The error in an answer of status 200, if it is one.
pub(super) fn hidden(body: &[u8]) -> Option<UpstreamError> {
    let whole = Object::read(body).ok()?;
    if let Some(raw) = whole.raw("error") {
        return Some(inside(raw));
    }
    matches!(whole.string("done_reason").ok().flatten()?.as_str(), "load" | "unload").then(loading)
}

/// The value of an `error` field inside a stream.
pub(super) fn inside(raw: &RawValue) -> UpstreamError {
    of_words(None, words(raw))
}

/// The model was brought into memory, and nothing was said: the next call may be answered.
pub(super) fn loading() -> UpstreamError {
    UpstreamError {
        kind: ErrorKind::Overloaded,
        ..of_words(Some(503), "the model was only loaded".to_owned())
    }
}

/// `status` is none where only the words tell.
fn of_words(status: Option<u16>, message: String) -> UpstreamError {
    let lower = message.to_ascii_lowercase();
    let said = || {
        if lower.contains("not found") {
            404
        } else if lower.contains("busy") || lower.contains("overloaded") {
            503
        } else {
            500
        }
    };
    let status = status.filter(|status| *status >= 400).unwrap_or_else(said);
    UpstreamError::of(kind_of_status(status), status, None, message)
}

/// A string as its text; an object, as relays say it, as its message; anything else as its JSON.
fn words(raw: &RawValue) -> String {
    let message = || Object::of(raw, "error").ok()?.string("message").ok()?;
    let text = string(raw).map(String::from).or_else(message).unwrap_or_else(|| raw.get().to_owned());
    text.chars().take(4 * MOST_TEXT).collect()
}

/// The body of an error.
pub(super) fn write(error: &PublicError) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    object(&mut out, |object| fill(object, error));
    out
}

/// Fills the object, the same whole and in a stream.
pub(super) fn fill(object: &mut ObjectWriter<'_>, error: &PublicError) {
    object.string("error", &error.message);
    if !error.code.is_empty() {
        object.string("code", &error.code);
    }
    if let Some(param) = &error.param {
        object.string("param", param);
    }
    if let Some(id) = &error.request_id {
        object.string("request_id", id);
    }
}
