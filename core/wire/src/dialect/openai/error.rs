//! Errors, in whole answers and in streams, as this dialect and its many speakers say them.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::classify::{MOST_TEXT, is_context_window, kind_of_status, plain_text, retry_delay};
use crate::dialect::lax::{Count, Word};
use crate::error::{ErrorKind, PublicError, UpstreamError};
use crate::json::string;
use crate::object::{ObjectWriter, object};

/// The words for kinds of errors, and the status that each means where none is said.
const WORDS: &[(&str, ErrorKind, u16)] = &[
    ("invalid_request_error", ErrorKind::InvalidRequest, 400),
    ("BadRequestError", ErrorKind::InvalidRequest, 400),
    ("authentication_error", ErrorKind::Authentication, 401),
    ("invalid_api_key", ErrorKind::Authentication, 401),
    ("insufficient_quota", ErrorKind::Billing, 429),
    ("billing_error", ErrorKind::Billing, 402),
    ("billing_hard_limit_reached", ErrorKind::Billing, 402),
    ("permission_error", ErrorKind::Permission, 403),
    ("not_found_error", ErrorKind::NotFound, 404),
    ("model_not_found", ErrorKind::NotFound, 404),
    ("request_too_large", ErrorKind::TooLarge, 413),
    ("rate_limit_error", ErrorKind::RateLimit, 429),
    ("rate_limit_exceeded", ErrorKind::RateLimit, 429),
    ("tokens", ErrorKind::RateLimit, 429),
    ("requests", ErrorKind::RateLimit, 429),
    ("RESOURCE_EXHAUSTED", ErrorKind::RateLimit, 429),
    ("timeout", ErrorKind::Timeout, 504),
    ("timeout_error", ErrorKind::Timeout, 504),
    ("overloaded_error", ErrorKind::Overloaded, 529),
    ("service_unavailable", ErrorKind::Overloaded, 503),
    ("insufficient_system_resource", ErrorKind::Overloaded, 503),
    ("server_error", ErrorKind::Api, 500),
    ("api_error", ErrorKind::Api, 500),
];

fn word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::Conflict | ErrorKind::TooLarge => "invalid_request_error",
        ErrorKind::Authentication => "authentication_error",
        ErrorKind::Billing => "insufficient_quota",
        ErrorKind::Permission => "permission_error",
        ErrorKind::NotFound => "not_found_error",
        ErrorKind::RateLimit => "rate_limit_error",
        ErrorKind::Timeout => "timeout_error",
        ErrorKind::Overloaded => "overloaded_error",
        ErrorKind::Api => "api_error",
    }
}

/// All places where providers put their errors.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Body<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    /// Cloudflare, watsonx.
    #[serde(borrow)]
    errors: Option<Vec<Said<'a>>>,
    success: Option<bool>,
    /// `MiniMax`: an error if its code is not 0.
    #[serde(borrow)]
    base_resp: Option<BaseResp<'a>>,
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
    #[serde(borrow)]
    error_code: Word<'a>,
    #[serde(borrow)]
    object: Word<'a>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    kind: Word<'a>,
    #[serde(borrow)]
    code: Word<'a>,
    #[serde(borrow)]
    param: Word<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct BaseResp<'a> {
    status_code: Count,
    #[serde(borrow)]
    status_msg: Word<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said<'a> {
    #[serde(borrow)]
    message: Word<'a>,
    #[serde(borrow, rename = "type")]
    kind: Word<'a>,
    #[serde(borrow)]
    code: Word<'a>,
    #[serde(borrow)]
    param: Word<'a>,
    #[serde(borrow)]
    status: Word<'a>,
    #[serde(borrow)]
    details: Option<Vec<Detail<'a>>>,
    #[serde(borrow)]
    metadata: Option<Metadata<'a>>,
}

/// Google's hint when to come back.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Detail<'a> {
    #[serde(borrow)]
    retry_delay: Word<'a>,
}

/// `OpenRouter` tells here what the provider behind it said.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata<'a> {
    #[serde(borrow)]
    raw: Word<'a>,
}

/// Reads an error body; any bytes give some error.
pub(in crate::dialect) fn read(status: u16, body: &[u8]) -> UpstreamError {
    let text = String::from_utf8_lossy(body);
    let said = whole(&text).or_else(|| first_of_list(&text));
    let said = said.unwrap_or_else(|| Plain { message: plain_text(body), ..Plain::default() });
    said.into_error(Some(status))
}

/// The error in an answer of status 200, if it is one.
pub(in crate::dialect) fn hidden(body: &str) -> Option<UpstreamError> {
    let parsed = self::body(body)?;
    let is_error = parsed.error.is_some_and(says_something)
        || parsed.base_resp.as_ref().is_some_and(|base| base.status_code.0.is_some_and(|code| code != 0))
        || parsed.success == Some(false)
        || parsed.object.text() == Some("error")
        || parsed.kind.text() == Some("error")
        || parsed.error_code.text().is_some();
    is_error.then(|| whole(body).unwrap_or_default().into_error(None))
}

/// The value of an `error` field inside a stream.
pub(in crate::dialect) fn inside(raw: &RawValue) -> Option<UpstreamError> {
    says_something(raw).then(|| of_field(raw).into_error(None))
}

fn says_something(raw: &RawValue) -> bool {
    !matches!(raw.get(), "null" | "\"\"" | "{}" | "false")
}

/// An error without a place of its own, such as a reason to stop.
pub(in crate::dialect) fn stopped(reason: &str) -> UpstreamError {
    Plain {
        code: Some(reason.to_owned()),
        message: format!("the model stopped: {reason}"),
        ..Plain::default()
    }
    .into_error(None)
}

/// An error in our own terms.
#[derive(Debug, Default)]
struct Plain {
    message: String,
    kind: Option<String>,
    code: Option<String>,
    param: Option<String>,
    status_word: Option<String>,
    retry_after: Option<u64>,
}

fn whole(text: &str) -> Option<Plain> {
    let body = body(text)?;
    let own = |word: &Word<'_>| word.text().map(str::to_owned);
    if let Some(error) = body.error.filter(|error| says_something(error)) {
        let mut plain = of_field(error);
        plain.code = plain.code.or_else(|| own(&body.code)).or_else(|| own(&body.error_code));
        if plain.message.is_empty() {
            plain.message = body.message.map(words).unwrap_or_default();
        }
        return Some(plain);
    }
    if let Some(said) = body.errors.as_deref().and_then(|errors| errors.first()) {
        return Some(of_said(said));
    }
    if let Some(base) = &body.base_resp {
        let code = base.status_code.0.map(|code| code.to_string());
        return Some(Plain { message: own(&base.status_msg).unwrap_or_default(), code, ..Plain::default() });
    }
    let message = body.message.or(body.detail).map(words)?;
    let code = own(&body.code).or_else(|| own(&body.error_code));
    Some(Plain { message, kind: own(&body.kind), code, param: own(&body.param), ..Plain::default() })
}

/// An object: a list would be taken for its fields in their order.
fn body(text: &str) -> Option<Body<'_>> {
    if text.trim_start().starts_with('{') { crate::json::from_str(text).ok() } else { None }
}

/// Some send a list with one error.
fn first_of_list(text: &str) -> Option<Plain> {
    let list: Vec<&RawValue> = crate::json::from_str(text).ok()?;
    whole(list.first()?.get())
}

fn of_field(raw: &RawValue) -> Plain {
    match crate::json::from_str::<Said<'_>>(raw.get()) {
        Ok(said) => of_said(&said),
        Err(_) => Plain { message: words(raw), ..Plain::default() },
    }
}

fn of_said(said: &Said<'_>) -> Plain {
    let own = |word: &Word<'_>| word.text().map(str::to_owned);
    let mut message = own(&said.message).unwrap_or_default();
    if let Some(raw) = said.metadata.as_ref().and_then(|metadata| metadata.raw.text()) {
        message = format!("{message}: {}", raw.chars().take(MOST_TEXT).collect::<String>());
    }
    let delay = said.details.iter().flatten().find_map(|detail| detail.retry_delay.text());
    Plain {
        message,
        kind: own(&said.kind),
        code: own(&said.code),
        param: own(&said.param),
        status_word: own(&said.status),
        retry_after: delay.and_then(retry_delay),
    }
}

/// A string as its text, anything else as its JSON.
fn words(raw: &RawValue) -> String {
    let text = string(raw).unwrap_or_else(|| raw.get().into());
    text.chars().take(4 * MOST_TEXT).collect()
}

impl Plain {
    /// `status` is none inside a stream, where the error's own number or words tell.
    fn into_error(self, status: Option<u16>) -> UpstreamError {
        let names = [&self.code, &self.kind, &self.status_word];
        let known = names.into_iter().flatten().find_map(|name| WORDS.iter().find(|(word, ..)| word == name));
        let number = self.code.as_deref().and_then(|code| code.parse::<u16>().ok());
        let said = number.filter(|code| (400..600).contains(code));
        let word = self.code.as_deref().or(self.kind.as_deref()).or(self.status_word.as_deref());
        let context_window = is_context_window(word, &self.message);
        let status = match status.filter(|status| *status >= 400).or(said) {
            Some(status) => status,
            // The request is at fault: no other try will make it fit.
            None => known.map_or(if context_window { 400 } else { 500 }, |(.., status)| *status),
        };
        let kind = match (kind_of_status(status), known) {
            // The status wins over words, but for money: many providers say 429 or 403 when the account is empty.
            (_, Some((_, ErrorKind::Billing, _))) => ErrorKind::Billing,
            // Among the provider's own failures the word is more exact than the number.
            (ErrorKind::Api, Some((_, kind, own))) if *own >= 500 => *kind,
            (kind, _) => kind,
        };
        let code = self.code.or(self.kind).or(self.status_word);
        UpstreamError {
            param: self.param,
            retry_after: self.retry_after,
            ..UpstreamError::of(kind, status, code, self.message)
        }
    }
}

/// The body of an error.
pub(in crate::dialect) fn write(error: &PublicError) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    object(&mut out, |object| fill(object, error));
    out
}

/// Fills the object around `error`, the same whole and in a stream.
pub(in crate::dialect) fn fill(object: &mut ObjectWriter<'_>, error: &PublicError) {
    object.object("error", |object| {
        object.string("message", &error.message);
        object.string("type", word(error.kind));
        object.maybe("param", error.param.as_deref());
        object.maybe("code", Some(error.code.as_ref()).filter(|code| !code.is_empty()));
    });
    if let Some(id) = &error.request_id {
        object.string("request_id", id);
    }
}
