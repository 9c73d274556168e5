//! Errors inside answers of status 200 and inside streams. Whole error bodies are those of the vendor's other dialect.

use crate::dialect::openai::error;
use crate::object::object;
use crate::{ErrorKind, PublicError, UpstreamError};

/// The words that this dialect has for failures of an answer, and what they mean where no status tells.
const CODES: &[(&str, ErrorKind, u16)] = &[
    ("invalid_prompt", ErrorKind::InvalidRequest, 400),
    ("bio_policy", ErrorKind::InvalidRequest, 400),
    ("misalignment_policy_violation", ErrorKind::InvalidRequest, 400),
    ("data_residency_mismatch", ErrorKind::Permission, 403),
    ("vector_store_timeout", ErrorKind::Timeout, 504),
    ("invalid_image", ErrorKind::InvalidRequest, 400),
    ("invalid_image_format", ErrorKind::InvalidRequest, 400),
    ("invalid_base64_image", ErrorKind::InvalidRequest, 400),
    ("invalid_image_url", ErrorKind::InvalidRequest, 400),
    ("image_too_large", ErrorKind::TooLarge, 413),
    ("image_too_small", ErrorKind::InvalidRequest, 400),
    ("image_parse_error", ErrorKind::InvalidRequest, 400),
    ("image_content_policy_violation", ErrorKind::InvalidRequest, 400),
    ("invalid_image_mode", ErrorKind::InvalidRequest, 400),
    ("image_file_too_large", ErrorKind::TooLarge, 413),
    ("unsupported_image_media_type", ErrorKind::InvalidRequest, 400),
    ("empty_image_file", ErrorKind::InvalidRequest, 400),
    ("failed_to_download_image", ErrorKind::InvalidRequest, 400),
    ("image_file_not_found", ErrorKind::NotFound, 404),
];

/// The error in a body or an event, if there is one: under `error`, or the object itself where its type is `error`.
pub(super) fn hidden(body: &str) -> Option<UpstreamError> {
    error::hidden(body).map(named)
}

fn named(mut error: UpstreamError) -> UpstreamError {
    let code = error.code.as_deref();
    if let Some((_, kind, status)) = CODES.iter().find(|(word, ..)| Some(*word) == code) {
        (error.kind, error.status) = (*kind, *status);
    }
    error
}

/// An answer that failed without a word.
pub(super) fn wordless(status: &str) -> UpstreamError {
    named(error::stopped(status))
}

/// Writes the event of an error: flat, as it is specified, and under `error`, where the vendor's SDKs look for it.
pub(super) fn event(out: &mut Vec<u8>, sequence: u64, failed: &PublicError) {
    out.extend_from_slice(b"event: error\ndata: ");
    object(out, |object| {
        object.string("type", "error");
        object.count("sequence_number", sequence);
        object.maybe("code", Some(failed.code.as_ref()).filter(|code| !code.is_empty()));
        object.string("message", &failed.message);
        object.maybe("param", failed.param.as_deref());
        error::fill(object, failed);
    });
    out.extend_from_slice(b"\n\n");
}
