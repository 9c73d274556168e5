//! AWS Signature, version 4: what proves who sent a request. Pure: the moment comes as an argument.
//!
//! A signature covers method, path, query, the named headers and the body's hash. The key that makes it is derived from
//! the secret for one day, region and service.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::sort::sort_by;

pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// A request as it is signed.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub method: &'a str,
    /// As it is sent, its characters percent-encoded: for the signature they are encoded once more.
    pub path: &'a str,
    /// As it is sent, without the question mark.
    pub query: &'a str,
    /// The headers to be covered: names in lower case, values as they are sent, in any order.
    pub headers: &'a [(&'a str, &'a str)],
    /// The SHA-256 of the body, in hexadecimal.
    pub body_hash: &'a str,
}

/// For what a signature holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope<'a> {
    /// When it was made: `20150830T123600Z`.
    pub moment: &'a str,
    pub region: &'a str,
    pub service: &'a str,
}

/// The value of `Authorization` for a request.
pub fn authorization(id: &str, secret: &str, scope: &Scope<'_>, request: &Request<'_>) -> String {
    let signature = signature(secret, scope, request);
    let (covered, day) = (signed_headers(request), day(scope));
    let Scope { region, service, .. } = scope;
    format!(
        "{ALGORITHM} Credential={id}/{day}/{region}/{service}/aws4_request, SignedHeaders={covered}, Signature={signature}"
    )
}

/// The signature of a request, in hexadecimal.
pub fn signature(secret: &str, scope: &Scope<'_>, request: &Request<'_>) -> String {
    let canonical = body_hash(canonical(request).as_bytes());
    let Scope { moment, region, service } = scope;
    let day = day(scope);
    let text = format!("{ALGORITHM}\n{moment}\n{day}/{region}/{service}/aws4_request\n{canonical}");
    let mut key = authenticated(format!("AWS4{secret}").as_bytes(), day);
    for part in [*region, *service, "aws4_request"] {
        key = authenticated(&key, part);
    }
    hexadecimal(&authenticated(&key, &text))
}

/// HMAC-SHA256 of `text`, in hexadecimal.
pub fn keyed_hash(key: &[u8], text: &str) -> String {
    hexadecimal(&authenticated(key, text))
}

/// The SHA-256 of a body, in hexadecimal.
pub fn body_hash(body: &[u8]) -> String {
    hexadecimal(&Sha256::digest(body))
}

/// The request in the one form that both sides hash.
fn canonical(request: &Request<'_>) -> String {
    let Request { method, path, query, body_hash, .. } = request;
    let mut out = format!("{method}\n{}\n{}\n", encoded_path(path), sorted_query(query));
    for (name, values) in covered(request) {
        out.push_str(name);
        out.push(':');
        out.push_str(&values.join(","));
        out.push('\n');
    }
    out.push('\n');
    out.push_str(&signed_headers(request));
    out.push('\n');
    out.push_str(body_hash);
    out
}

/// The covered headers in order of their names; those of one name together, their values without needless spaces.
fn covered<'a>(request: &Request<'a>) -> Vec<(&'a str, Vec<String>)> {
    let mut headers: Vec<(&str, Vec<String>)> = Vec::with_capacity(request.headers.len());
    for (name, value) in request.headers {
        let value = value.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        match headers.iter_mut().find(|(known, _)| known == name) {
            Some((_, values)) => values.push(value),
            None => headers.push((name, vec![value])),
        }
    }
    sort_by(&mut headers, |one, other| one.0.cmp(other.0));
    headers
}

fn signed_headers(request: &Request<'_>) -> String {
    covered(request).iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";")
}

fn encoded_path(path: &str) -> String {
    let path = if path.is_empty() { "/" } else { path };
    let mut out = String::with_capacity(path.len() + 16);
    for byte in path.bytes() {
        if byte == b'/' {
            out.push('/');
        } else {
            push_encoded(&mut out, byte);
        }
    }
    out
}

/// Appends `byte`, percent-encoded unless it is one of the unreserved characters.
pub(crate) fn push_encoded(out: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
        out.push(char::from(byte));
        return;
    }
    out.push('%');
    for half in [byte >> 4, byte & 15] {
        out.push(DIGITS.get(usize::from(half)).copied().map_or('0', char::from));
    }
}

fn sorted_query(query: &str) -> String {
    let mut pairs: Vec<(&str, &str)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .collect();
    sort_by(&mut pairs, Ord::cmp);
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

fn day<'a>(scope: &Scope<'a>) -> &'a str {
    scope.moment.get(..8).unwrap_or(scope.moment)
}

/// HMAC-SHA256 of a text.
pub fn authenticated(key: &[u8], text: &str) -> [u8; 32] {
    // A key of any length is one, so this does not fail.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}

fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| DIGITS.get(usize::from(half)).copied().map_or('0', char::from);
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(digit).collect()
}

/// What an `Authorization` header says of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim<'a> {
    /// The access key id.
    pub id: &'a str,
    /// `20150830`.
    pub day: &'a str,
    pub region: &'a str,
    pub service: &'a str,
    /// The names of the covered headers, between semicolons.
    pub headers: &'a str,
    pub signature: &'a str,
}

impl<'a> Claim<'a> {
    /// Reads a header; none if it is of another scheme or not whole.
    pub fn read(header: &'a str) -> Option<Self> {
        let rest = header.trim().strip_prefix(ALGORITHM)?;
        let (mut credential, mut headers, mut signature) = (None, None, None);
        for part in rest.split(',') {
            let (name, value) = part.trim().split_once('=')?;
            match name {
                "Credential" => credential = Some(value),
                "SignedHeaders" => headers = Some(value),
                "Signature" => signature = Some(value),
                _ => return None,
            }
        }
        let mut scope = credential?.split('/');
        let claim = Self {
            id: scope.next()?,
            day: scope.next()?,
            region: scope.next()?,
            service: scope.next()?,
            headers: headers?,
            signature: signature?,
        };
        (scope.next() == Some("aws4_request") && scope.next().is_none()).then_some(claim)
    }
}

#[cfg(test)]
#[path = "sigv4_tests.rs"]
mod tests;
