//! The two ways in which words fail: bytes that are wrong, and errors that are said.

use std::borrow::Cow;

/// Bytes that do not say what their dialect requires.
///
/// From a client it becomes a 400 in its own dialect, from an upstream a 502 and the next attempt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("not valid JSON at byte {at}: {what}")]
    Json { at: usize, what: String },
    #[error("not valid UTF-8 at byte {at}")]
    Utf8 { at: usize },
    /// A value of the wrong type, or one that is missing; `path` such as `messages[2].content`.
    #[error("`{path}`: expected {expected}")]
    Field { path: String, expected: Cow<'static, str> },
    #[error("nested deeper than {most} levels")]
    TooDeep { most: usize },
    #[error("`{key}` stands twice")]
    Duplicate { key: String },
    /// The stream ended before its end was said.
    #[error("the stream ended before its end")]
    Truncated,
    #[error("a frame is longer than {most} bytes")]
    FrameTooLong { most: usize },
    /// A frame that is not what its framing says: a checksum, a length, a header.
    #[error("a frame is corrupt: {what}")]
    Frame { what: Cow<'static, str> },
}

impl Malformed {
    pub fn field(path: impl Into<String>, expected: impl Into<Cow<'static, str>>) -> Self {
        Self::Field { path: path.into(), expected: expected.into() }
    }

    /// What `error` means, which arose from reading the whole of `text`.
    pub fn json(text: &str, error: &serde_json::Error) -> Self {
        let what = error.to_string();
        if what.starts_with("recursion limit exceeded") {
            return Self::TooDeep { most: crate::json::MOST_DEPTH };
        }
        let line: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        let at = line.saturating_add(error.column()).min(text.len());
        let what = what.rsplit_once(" at line ").map_or(what.as_str(), |(what, _)| what);
        Self::Json { at, what: what.to_owned() }
    }
}

/// The kinds of errors that all dialects know, each with its own word in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    InvalidRequest,
    Authentication,
    /// Money: the account cannot pay.
    Billing,
    Permission,
    NotFound,
    Conflict,
    TooLarge,
    RateLimit,
    /// The client's or the gateway's own time ran out.
    Timeout,
    Overloaded,
    /// The provider or the gateway failed.
    Api,
}

/// An error as a caller will read it; each dialect writes it in its own shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicError {
    pub status: u16,
    pub kind: ErrorKind,
    /// Stable and machine-readable, such as `budget_spent`.
    pub code: Cow<'static, str>,
    pub message: String,
    /// The request's field at fault.
    pub param: Option<String>,
    pub request_id: Option<String>,
}

/// An error as an upstream said it, in whole answers and inside streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamError {
    pub kind: ErrorKind,
    /// The status that belongs to it: the answer's own, or for an error inside a 200 the one its words mean.
    pub status: u16,
    /// The provider's own code or type.
    pub code: Option<String>,
    pub message: String,
    pub param: Option<String>,
    /// The input is longer than the model takes: another model may serve it.
    pub context_window: bool,
    /// The provider's content policy refused it.
    pub content_policy: bool,
    /// Seconds, where the body itself says when to come back.
    pub retry_after: Option<u64>,
}

/// An upstream's error for the eyes of a caller.
impl From<&UpstreamError> for PublicError {
    fn from(error: &UpstreamError) -> Self {
        Self {
            status: error.status,
            kind: error.kind,
            code: error.code.clone().unwrap_or_default().into(),
            message: error.message.clone(),
            param: error.param.clone(),
            request_id: None,
        }
    }
}
