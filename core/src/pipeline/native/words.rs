//! Which of a provider's addresses is meant, and which headers travel there and back.

use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;

use crate::refusal::Refusal;
use crate::registry::Shown;

/// What follows the provider's name in a path, as it is sent: below the provider's base, whatever is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::pipeline) struct Tail(String);

impl Tail {
    /// Reads `/files/abc`.
    ///
    /// # Errors
    /// A path that is written so that the provider might read another than the gateway judged: with empty, `.` or `..`
    /// segments, a backslash, or what is percent-encoded without need.
    pub(in crate::pipeline) fn read(rest: &str) -> Result<Self, Refusal> {
        let plain =
            (rest.is_empty() || rest.starts_with('/')) && !rest.contains('\\') && !has_needless_escape(rest);
        let segments = rest.strip_prefix('/').unwrap_or(rest);
        let whole = segments.strip_suffix('/').unwrap_or(segments);
        let odd = |segment: &str| matches!(segment, "" | "." | "..");
        if !plain || (!whole.is_empty() && whole.split('/').any(odd)) {
            return Err(Refusal::Invalid {
                param: "path".to_owned(),
                problem: "expected plain segments: none that are empty, `.` or `..`, and nothing encoded that need \
                          not be"
                    .to_owned(),
            });
        }
        Ok(Self(rest.to_owned()))
    }

    pub(in crate::pipeline) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether something is percent-encoded that could as well stand there itself, or that parts segments: two readers may
/// take it for different paths.
fn has_needless_escape(path: &str) -> bool {
    path.split('%').skip(1).any(|rest| {
        let byte = rest.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        byte.is_none_or(|byte| {
            byte.is_ascii_alphanumeric() || byte.is_ascii_control() || b"-._~/\\%".contains(&byte)
        })
    })
}

/// The query as it is sent: without the caller's key.
pub(in crate::pipeline) fn query(parts: &Parts, key: &str) -> Option<String> {
    let query = parts.uri.query()?;
    let ours = |pair: &&str| pair.strip_prefix("key=").is_none_or(|value| value != key);
    let kept: Vec<&str> = query.split('&').filter(ours).collect();
    Some(kept.join("&")).filter(|query| !query.is_empty())
}

/// Headers that speak of one connection alone (RFC 9110, 7.6.1), with the names that are still in use for it.
const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-authenticate"),
];

/// Where a caller's key may stand, and what a host or a proxy in front of us adds about the caller.
const OURS: [&str; 13] = [
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "proxy-authorization",
    "cookie",
    "forwarded",
    "via",
    "x-real-ip",
    "true-client-ip",
    "cdn-loop",
    "x-amzn-trace-id",
    "x-request-id",
    "expect",
];
const OUR_PREFIXES: [&str; 3] = ["x-gatelet-", "x-forwarded-", "cf-"];

/// What of a caller's headers goes on to a provider.
pub(in crate::pipeline) fn onward(headers: &HeaderMap) -> HeaderMap {
    let mut onward = filtered(headers, |name| {
        *name == AUTHORIZATION
            || *name == HOST
            || OURS.contains(&name.as_str())
            || OUR_PREFIXES.iter().any(|prefix| name.as_str().starts_with(prefix))
    });
    // What is compressed on the way cannot be counted, and some hosts undo it by themselves.
    onward.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    onward
}

/// What of a provider's headers goes back to a caller.
pub(in crate::pipeline) fn back(headers: &HeaderMap) -> HeaderMap {
    // Hosts frame the answer anew, and a cookie would be for the provider's domain.
    filtered(headers, |name| {
        *name == CONTENT_LENGTH || name.as_str() == "set-cookie" || name.as_str() == "alt-svc"
    })
}

/// Takes out of headers what the provider was shown.
pub(in crate::pipeline) fn hide(headers: &mut HeaderMap, shown: &Shown) {
    for value in headers.values_mut() {
        let hidden = shown.hide(value.as_bytes()).and_then(|hidden| HeaderValue::from_bytes(&hidden).ok());
        if let Some(hidden) = hidden {
            *value = hidden;
        }
    }
}

fn filtered(headers: &HeaderMap, without: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    let named: Vec<&str> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let mut kept = HeaderMap::with_capacity(headers.len() + 4);
    for (name, value) in headers {
        let hop =
            HOP_BY_HOP.contains(name) || named.iter().any(|named| name.as_str().eq_ignore_ascii_case(named));
        if !hop && !without(name) {
            kept.append(name, value.clone());
        }
    }
    kept
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
