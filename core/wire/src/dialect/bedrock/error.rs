//! Errors, in whole answers and in streams.

use crate::dialect::classify::{kind_of_status, plain_text};
use crate::error::{ErrorKind, PublicError, UpstreamError};
use crate::frame::eventstream;
use crate::object::{Object, object};

/// The words for kinds of errors, and the status that each means where none is said.
const WORDS: &[(&str, ErrorKind, u16)] = &[
    ("ValidationException", ErrorKind::InvalidRequest, 400),
    ("ServiceQuotaExceededException", ErrorKind::RateLimit, 400),
    ("UnrecognizedClientException", ErrorKind::Authentication, 403),
    ("InvalidSignatureException", ErrorKind::Authentication, 403),
    ("IncompleteSignatureException", ErrorKind::Authentication, 403),
    ("MissingAuthenticationTokenException", ErrorKind::Authentication, 403),
    ("ExpiredTokenException", ErrorKind::Authentication, 403),
    ("AccessDeniedException", ErrorKind::Permission, 403),
    ("ResourceNotFoundException", ErrorKind::NotFound, 404),
    ("ModelTimeoutException", ErrorKind::Timeout, 408),
    ("ConflictException", ErrorKind::Conflict, 409),
    ("ModelErrorException", ErrorKind::Api, 424),
    ("ModelStreamErrorException", ErrorKind::Api, 424),
    ("ThrottlingException", ErrorKind::RateLimit, 429),
    ("ModelNotReadyException", ErrorKind::RateLimit, 429),
    ("InternalServerException", ErrorKind::Api, 500),
    ("ServiceUnavailableException", ErrorKind::Overloaded, 503),
];

/// The word by which the vendor's SDKs know a kind of error.
pub(super) fn word(error: &PublicError) -> &'static str {
    match error.kind {
        // The model failed behind its service.
        ErrorKind::Api if error.status == 424 => "ModelErrorException",
        ErrorKind::InvalidRequest | ErrorKind::TooLarge => "ValidationException",
        ErrorKind::Conflict => "ConflictException",
        ErrorKind::Authentication => match error.code.as_ref() {
            "key_missing" => "MissingAuthenticationTokenException",
            "signature_wrong" | "signature_expired" => "InvalidSignatureException",
            _ => "UnrecognizedClientException",
        },
        ErrorKind::Billing => "ServiceQuotaExceededException",
        ErrorKind::Permission => "AccessDeniedException",
        ErrorKind::NotFound => "ResourceNotFoundException",
        ErrorKind::RateLimit => "ThrottlingException",
        ErrorKind::Timeout => "ModelTimeoutException",
        ErrorKind::Overloaded => "ServiceUnavailableException",
        ErrorKind::Api => "InternalServerException",
    }
}

/// Reads an error. `status` is none inside a stream, where only the words tell; `name` is what a header or a frame
/// calls it, which wins over the body's own word. Any bytes give some error.
pub(super) fn read(status: Option<u16>, name: Option<&str>, body: &[u8]) -> UpstreamError {
    let said = Object::read(body).ok();
    let text = |key: &str| said.as_ref().and_then(|said| said.string(key).ok().flatten());
    let code = name.map(str::to_owned).or_else(|| text("__type")).or_else(|| text("code"));
    // As `namespace#Name`, or `Name:address`.
    let code = code.map(|code| {
        let code = code.rsplit('#').next().unwrap_or_default();
        code.split(':').next().unwrap_or_default().to_owned()
    });
    let code = code.filter(|code| !code.is_empty());
    let known =
        WORDS.iter().find(|(word, ..)| code.as_ref().is_some_and(|code| word.eq_ignore_ascii_case(code)));
    // A model's error inside a stream may carry the status that it had.
    let original = said
        .as_ref()
        .and_then(|said| said.count("originalStatusCode").ok().flatten())
        .and_then(|status| u16::try_from(status).ok());
    let status = status
        .filter(|status| *status >= 400)
        .or_else(|| original.filter(|status| (400..600).contains(status)))
        .unwrap_or_else(|| known.map_or(500, |(.., status)| *status));
    let kind = match (known, kind_of_status(status)) {
        // The status wins over words of another class.
        (Some((_, kind, own)), _) if own / 100 == status / 100 && original.is_none() => *kind,
        // The model failed behind its service.
        (_, ErrorKind::InvalidRequest) if status == 424 => ErrorKind::Api,
        (_, kind) => kind,
    };
    let message = text("message").or_else(|| text("Message")).or_else(|| text("originalMessage"));
    let message = message.filter(|message| !message.is_empty()).unwrap_or_else(|| plain_text(body));
    UpstreamError::of(kind, status, known.map(|(word, ..)| (*word).to_owned()).or(code), message)
}

/// The body of an error.
pub(super) fn write(error: &PublicError) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    object(&mut out, |object| {
        object.string("__type", word(error));
        object.string("message", &error.message);
        if !error.code.is_empty() && error.code != word(error) {
            object.string("errorCode", &error.code);
        }
        if let Some(id) = &error.request_id {
            object.string("requestId", id);
        }
    });
    out
}

/// An error inside a stream: one of the exceptions that streams may end with.
pub(super) fn write_frame(out: &mut Vec<u8>, error: &PublicError) {
    let name = match error.kind {
        ErrorKind::RateLimit => "throttlingException",
        ErrorKind::Timeout | ErrorKind::Overloaded => "serviceUnavailableException",
        ErrorKind::Api if error.status == 424 => "modelStreamErrorException",
        ErrorKind::Api => "internalServerException",
        ErrorKind::InvalidRequest
        | ErrorKind::TooLarge
        | ErrorKind::Conflict
        | ErrorKind::Authentication
        | ErrorKind::Billing
        | ErrorKind::Permission
        | ErrorKind::NotFound => "validationException",
    };
    eventstream::write(out, eventstream::Kind::Exception, name, |out| {
        object(out, |object| object.string("message", &error.message));
    });
}
