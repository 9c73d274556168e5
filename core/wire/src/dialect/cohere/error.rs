//! Errors, in whole answers and in streams.

use crate::dialect::classify::{kind_of_status, plain_text};
use crate::error::{ErrorKind, PublicError, UpstreamError};
use crate::object::{Object, object};

/// Reads an error body; any bytes give some error.
pub(super) fn read(status: u16, body: &[u8]) -> UpstreamError {
    let whole = Object::read(body).ok();
    let text = |key: &str| {
        whole.as_ref().and_then(|whole| whole.string(key).ok().flatten()).filter(|text| !text.is_empty())
    };
    let message = text("message").or_else(|| text("error")).or_else(|| text("detail"));
    of_words(Some(status), message.unwrap_or_else(|| plain_text(body)), text("code"))
}

/// The error in an answer of status 200, if it is one: a message that is no object, or an answer that says that it
/// failed.
pub(super) fn hidden(body: &[u8]) -> Option<UpstreamError> {
    let whole = Object::read(body).ok()?;
    if let Ok(Some(message)) = whole.string("message") {
        return Some(of_words(None, message, None));
    }
    let reason = whole.string("finish_reason").ok().flatten()?;
    stopped(&reason, whole.string("error").ok().flatten().as_deref())
}

/// The error that a reason to stop means, if it means one.
pub(super) fn stopped(reason: &str, said: Option<&str>) -> Option<UpstreamError> {
    let status = match reason {
        "ERROR" => 500,
        "TIMEOUT" => 504,
        _ => return None,
    };
    let message = said.filter(|said| !said.is_empty());
    let message = message.map_or_else(|| format!("the model stopped: {reason}"), str::to_owned);
    Some(of_words(Some(status), message, Some(reason.to_owned())))
}

/// `status` is none where only the words tell.
pub(super) fn of_words(status: Option<u16>, message: String, code: Option<String>) -> UpstreamError {
    let status = status.filter(|status| *status >= 400).unwrap_or(500);
    let kind = match status {
        // Its own number for a token that is not valid.
        498 => ErrorKind::Authentication,
        status => kind_of_status(status),
    };
    UpstreamError::of(kind, status, code, message)
}

/// The body of an error.
pub(super) fn write(error: &PublicError) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    object(&mut out, |object| {
        if let Some(id) = &error.request_id {
            object.string("id", id);
        }
        object.string("message", &error.message);
        if !error.code.is_empty() {
            object.string("code", &error.code);
        }
        if let Some(param) = &error.param {
            object.string("param", param);
        }
    });
    out
}
