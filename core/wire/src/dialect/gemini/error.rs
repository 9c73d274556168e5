//! Errors, in whole answers and in streams.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::classify::{kind_of_status, plain_text, retry_delay};
use crate::dialect::lax::{Count, Word};
use crate::error::{ErrorKind, PublicError, UpstreamError};
use crate::object::{ObjectWriter, object};

/// The words for kinds of errors, and the status that each means where none is said.
const WORDS: &[(&str, ErrorKind, u16)] = &[
    ("INVALID_ARGUMENT", ErrorKind::InvalidRequest, 400),
    ("FAILED_PRECONDITION", ErrorKind::InvalidRequest, 400),
    ("OUT_OF_RANGE", ErrorKind::InvalidRequest, 400),
    ("UNAUTHENTICATED", ErrorKind::Authentication, 401),
    ("PERMISSION_DENIED", ErrorKind::Permission, 403),
    ("NOT_FOUND", ErrorKind::NotFound, 404),
    ("ABORTED", ErrorKind::Conflict, 409),
    ("ALREADY_EXISTS", ErrorKind::Conflict, 409),
    ("RESOURCE_EXHAUSTED", ErrorKind::RateLimit, 429),
    ("CANCELLED", ErrorKind::Api, 499),
    ("INTERNAL", ErrorKind::Api, 500),
    ("DATA_LOSS", ErrorKind::Api, 500),
    ("UNKNOWN", ErrorKind::Api, 500),
    ("UNAVAILABLE", ErrorKind::Overloaded, 503),
    ("DEADLINE_EXCEEDED", ErrorKind::Timeout, 504),
];

fn word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::TooLarge => "INVALID_ARGUMENT",
        ErrorKind::Authentication => "UNAUTHENTICATED",
        ErrorKind::Billing => "FAILED_PRECONDITION",
        ErrorKind::Permission => "PERMISSION_DENIED",
        ErrorKind::NotFound => "NOT_FOUND",
        ErrorKind::Conflict => "ABORTED",
        ErrorKind::RateLimit => "RESOURCE_EXHAUSTED",
        ErrorKind::Timeout => "DEADLINE_EXCEEDED",
        ErrorKind::Overloaded => "UNAVAILABLE",
        ErrorKind::Api => "INTERNAL",
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Envelope<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said<'a> {
    code: Count,
    #[serde(borrow)]
    message: Word<'a>,
    #[serde(borrow)]
    status: Word<'a>,
    #[serde(borrow)]
    details: Option<Vec<&'a RawValue>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Detail<'a> {
    #[serde(borrow)]
    retry_delay: Word<'a>,
    #[serde(borrow)]
    reason: Word<'a>,
    #[serde(borrow)]
    field_violations: Option<Vec<Violation<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Violation<'a> {
    #[serde(borrow)]
    field: Word<'a>,
}

/// Reads an error; `status` is none inside a stream, where only the body tells. Any bytes give some error.
pub(super) fn read(status: Option<u16>, body: &[u8]) -> UpstreamError {
    let text = String::from_utf8_lossy(body);
    if let Some(raw) = inside(&text) {
        return of_object(status, raw);
    }
    finish(status, Known { message: plain_text(body), ..Known::default() })
}

/// The error in a body of an answer, if it is one.
pub(super) fn hidden(body: &[u8]) -> Option<UpstreamError> {
    let text = std::str::from_utf8(body).ok()?;
    inside(text).map(|raw| of_object(None, raw))
}

/// The object under `error`; streams that are lists have it in their first element that has one.
fn inside(text: &str) -> Option<&RawValue> {
    if text.trim_start().starts_with('[') {
        let items: Vec<&RawValue> = crate::json::from_str(text).ok()?;
        return items
            .into_iter()
            .find_map(|item| crate::json::from_str::<Envelope<'_>>(item.get()).ok()?.error);
    }
    crate::json::from_str::<Envelope<'_>>(text).ok()?.error
}

/// What stands under `error`.
pub(super) fn of_object(status: Option<u16>, raw: &RawValue) -> UpstreamError {
    if let Some(text) = crate::json::string(raw) {
        return finish(status, Known { message: text.into_owned(), ..Known::default() });
    }
    let said: Said<'_> = crate::json::from_str(raw.get()).unwrap_or_default();
    let details: Vec<Detail<'_>> =
        said.details.iter().flatten().filter_map(|detail| crate::json::from_str(detail.get()).ok()).collect();
    finish(
        status,
        Known {
            code: said.code.0.and_then(|code| u16::try_from(code).ok()),
            word: said.status.text().map(str::to_owned),
            message: said.message.text().unwrap_or_default().to_owned(),
            reason: details.iter().find_map(|detail| detail.reason.text()).map(str::to_owned),
            param: details
                .iter()
                .filter_map(|detail| detail.field_violations.as_ref())
                .flatten()
                .find_map(|violation| violation.field.text())
                .map(str::to_owned),
            retry_after: details.iter().find_map(|detail| retry_delay(detail.retry_delay.text()?)),
        },
    )
}

#[derive(Debug, Default)]
struct Known {
    code: Option<u16>,
    word: Option<String>,
    message: String,
    reason: Option<String>,
    param: Option<String>,
    retry_after: Option<u64>,
}

fn finish(status: Option<u16>, known: Known) -> UpstreamError {
    let row = WORDS.iter().find(|(word, ..)| Some(*word) == known.word.as_deref());
    let said = known.code.filter(|code| (400..600).contains(code));
    let status = status.filter(|status| *status >= 400).or(said);
    let status = status.unwrap_or_else(|| row.map_or(500, |(.., status)| *status));
    let kind = match (kind_of_status(status), row) {
        // A key that is none is said with the status of a wrong request.
        (ErrorKind::InvalidRequest, _) if known.reason.as_deref() == Some("API_KEY_INVALID") => {
            ErrorKind::Authentication
        }
        (_, _) if known.reason.as_deref() == Some("BILLING_DISABLED") => ErrorKind::Billing,
        // Among the provider's own failures the word is more exact than the number.
        (ErrorKind::Api, Some((_, kind, own))) if *own >= 500 => *kind,
        (kind, _) => kind,
    };
    UpstreamError {
        param: known.param,
        retry_after: known.retry_after,
        ..UpstreamError::of(kind, status, known.reason.or(known.word), known.message)
    }
}

/// The body of an error.
pub(super) fn write(error: &PublicError) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    object(&mut out, |object| fill(object, error));
    out
}

/// Fills the object around `error`, the same whole and in a stream.
pub(super) fn fill(object: &mut ObjectWriter<'_>, error: &PublicError) {
    object.object("error", |object| {
        object.count("code", u64::from(error.status));
        object.string("message", &error.message);
        object.string("status", word(error.kind));
        if error.code.is_empty() && error.request_id.is_none() && error.param.is_none() {
            return;
        }
        object.list("details", |list| {
            if !error.code.is_empty() {
                list.object(|detail| {
                    detail.string("@type", "type.googleapis.com/google.rpc.ErrorInfo");
                    detail.string("reason", &error.code);
                    detail.string("domain", "gatelet");
                });
            }
            if let Some(field) = &error.param {
                list.object(|detail| {
                    detail.string("@type", "type.googleapis.com/google.rpc.BadRequest");
                    detail.list("fieldViolations", |list| {
                        list.object(|violation| violation.string("field", field));
                    });
                });
            }
            if let Some(id) = &error.request_id {
                list.object(|detail| {
                    detail.string("@type", "type.googleapis.com/google.rpc.RequestInfo");
                    detail.string("requestId", id);
                });
            }
        });
    });
}
