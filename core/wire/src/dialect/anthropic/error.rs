//! Errors, in whole answers and in streams.

use crate::dialect::classify::{kind_of_status, plain_text};
use crate::error::{ErrorKind, PublicError, UpstreamError};
use crate::object::{Object, ObjectWriter, object};

/// The words for kinds of errors, and the status that each means where none is said.
const WORDS: &[(&str, ErrorKind, u16)] = &[
    ("invalid_request_error", ErrorKind::InvalidRequest, 400),
    ("authentication_error", ErrorKind::Authentication, 401),
    ("billing_error", ErrorKind::Billing, 402),
    ("permission_error", ErrorKind::Permission, 403),
    ("not_found_error", ErrorKind::NotFound, 404),
    ("request_too_large", ErrorKind::TooLarge, 413),
    ("rate_limit_error", ErrorKind::RateLimit, 429),
    ("api_error", ErrorKind::Api, 500),
    ("timeout_error", ErrorKind::Timeout, 504),
    ("overloaded_error", ErrorKind::Overloaded, 529),
];

fn word(kind: ErrorKind) -> &'static str {
    match kind {
        // There is no word for a conflict: the request was wrong for the moment.
        ErrorKind::InvalidRequest | ErrorKind::Conflict => "invalid_request_error",
        ErrorKind::Authentication => "authentication_error",
        ErrorKind::Billing => "billing_error",
        ErrorKind::Permission => "permission_error",
        ErrorKind::NotFound => "not_found_error",
        ErrorKind::TooLarge => "request_too_large",
        ErrorKind::RateLimit => "rate_limit_error",
        ErrorKind::Timeout => "timeout_error",
        ErrorKind::Overloaded => "overloaded_error",
        ErrorKind::Api => "api_error",
    }
}

/// Reads an error; `status` is none inside a stream, where only the words tell. Any bytes give some error.
pub(super) fn read(status: Option<u16>, body: &[u8]) -> UpstreamError {
    let said = said(body).unwrap_or_default();
    let known = WORDS.iter().find(|(word, ..)| Some(*word) == said.kind.as_deref());
    // An error inside a success has no status of its own either.
    let status =
        status.filter(|status| *status >= 400).unwrap_or_else(|| known.map_or(500, |(.., status)| *status));
    let kind = match (kind_of_status(status), known) {
        // The status wins over words; only where it says no more than "failed" is the word more exact.
        (ErrorKind::Api, Some((_, kind, own))) if *own >= 500 => *kind,
        (ErrorKind::InvalidRequest, Some((_, ErrorKind::Billing, _))) => ErrorKind::Billing,
        (kind, _) => kind,
    };
    let message = said.message.unwrap_or_else(|| plain_text(body));
    UpstreamError::of(kind, status, said.kind, message)
}

#[derive(Debug, Default)]
struct Said {
    kind: Option<String>,
    message: Option<String>,
}

fn said(body: &[u8]) -> Option<Said> {
    let whole = Object::read(body).ok()?;
    let Ok(Some(error)) = whole.object("error") else {
        let message = whole.string("error").ok().flatten().or_else(|| whole.string("message").ok().flatten());
        return Some(Said { kind: None, message });
    };
    let text = |key: &str| error.string(key).ok().flatten();
    Some(Said { kind: text("type"), message: text("message") })
}

/// The body of an error.
pub(super) fn write(error: &PublicError) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    object(&mut out, |object| fill(object, error));
    out
}

/// An error inside a stream.
pub(super) fn write_frame(out: &mut Vec<u8>, error: &PublicError) {
    super::encode::frame(out, "error", |object| fill(object, error));
}

fn fill(object: &mut ObjectWriter<'_>, error: &PublicError) {
    object.string("type", "error");
    object.object("error", |object| {
        object.string("type", word(error.kind));
        object.string("message", &error.message);
        if !error.code.is_empty() && error.code != word(error.kind) {
            object.object("details", |object| object.string("error_code", &error.code));
        }
    });
    if let Some(id) = &error.request_id {
        object.string("request_id", id);
    }
}
