//! What providers say back: some tell in their errors which key they were shown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue};
use memchr::memmem;

use super::{Credential, Proof};
use crate::domain::Secret;

/// What stands in a secret's place.
const HIDDEN: &[u8] = b"[hidden]";
/// Shorter ones would be found in any text.
const SHORTEST: usize = 8;
/// Headers that the configuration declares may hold a secret or a version: so much is no version.
const DECLARED: usize = 16;

/// The secrets of one provider, as they may stand in what it says.
#[derive(Default)]
pub(crate) struct Shown(Vec<Secret>);

impl Shown {
    /// `credential` as it is sent, and the values of `headers` beside it.
    pub(crate) fn of(credential: Option<&Credential>, headers: &HeaderMap) -> Self {
        let mut shown = Self::default();
        for value in headers.values().filter(|value| value.len() >= DECLARED) {
            shown.header(value);
        }
        match credential.map(|credential| &credential.0) {
            Some(Proof::Header { value, .. }) => shown.header(value),
            Some(Proof::Pair(pair)) => {
                shown.word(pair.secret.expose());
                pair.token.iter().for_each(|token| shown.header(token));
            }
            Some(Proof::Query(pair)) => {
                for (_, value) in form_urlencoded::parse(pair.expose().as_bytes()) {
                    shown.word(&value);
                }
                shown.word(pair.expose().split_once('=').unwrap_or_default().1);
            }
            Some(Proof::Token(tokens)) => tokens.kept().iter().for_each(|value| shown.header(value)),
            Some(Proof::Claim(claims)) => {
                let mut headers = HeaderMap::new();
                claims.apply(&mut headers);
                headers.values().for_each(|value| shown.header(value));
            }
            // Its signatures are of one request each.
            Some(Proof::Oracle(_)) | None => {}
        }
        // The longest first: one may be a part of another.
        gatelet_wire::sort::sort_by(&mut shown.0, |a, b| b.expose().len().cmp(&a.expose().len()));
        shown
    }

    /// A header's value, and what of it is the secret alone: behind `Bearer `, and inside of `Basic `.
    fn header(&mut self, value: &HeaderValue) {
        let Ok(text) = value.to_str() else { return };
        let last = text.rsplit(' ').next().unwrap_or_default();
        self.word(last);
        if text.starts_with("Basic ")
            && let Some(pair) = STANDARD.decode(last).ok().and_then(|pair| String::from_utf8(pair).ok())
        {
            self.word(pair.split_once(':').map_or(&*pair, |(_, password)| password));
        }
    }

    fn word(&mut self, word: &str) {
        if word.len() >= SHORTEST {
            self.0.push(Secret::new(word));
        }
    }

    /// The same without any of them; none: there is none in it.
    pub(crate) fn hide(&self, said: &[u8]) -> Option<Vec<u8>> {
        let mut hidden: Option<Vec<u8>> = None;
        for secret in &self.0 {
            let said = hidden.as_deref().unwrap_or(said);
            let (mut out, mut at) = (Vec::new(), 0);
            for place in memmem::find_iter(said, secret.expose().as_bytes()) {
                out.extend_from_slice(said.get(at..place).unwrap_or_default());
                out.extend_from_slice(HIDDEN);
                at = place + secret.expose().len();
            }
            if at > 0 {
                out.extend_from_slice(said.get(at..).unwrap_or_default());
                hidden = Some(out);
            }
        }
        hidden
    }

    pub(crate) fn hide_text(&self, said: &mut String) {
        if let Some(hidden) = self.hide(said.as_bytes()) {
            *said = String::from_utf8_lossy(&hidden).into_owned();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Scheme;

    fn hidden(scheme: &Scheme, secret: &str, said: &str) -> String {
        let credential = Credential::new(scheme, &Secret::new(secret)).unwrap();
        let mut said = said.to_owned();
        Shown::of(Some(&credential), &HeaderMap::new()).hide_text(&mut said);
        said
    }

    #[test]
    fn a_provider_that_tells_its_key_back_tells_nobody() {
        let said =
            hidden(&Scheme::Bearer, "sk-0123456789", "Incorrect API key: sk-0123456789 (sk-0123456789).");
        assert_eq!(said, "Incorrect API key: [hidden] ([hidden]).");
        assert_eq!(hidden(&Scheme::Basic, "me:pass-word-1", "no pass-word-1 for me"), "no [hidden] for me");
        assert_eq!(hidden(&Scheme::Basic, "me:pass-word-1", "bWU6cGFzcy13b3JkLTE="), "[hidden]");
        let query = Scheme::Query("key".into());
        assert_eq!(
            hidden(&query, "a+b/c=d&e12", "?key=a%2Bb%2Fc%3Dd%26e12 a+b/c=d&e12"),
            "?key=[hidden] [hidden]"
        );
        let pair = Scheme::Sigv4("bedrock".into());
        assert_eq!(
            hidden(&pair, "AKID:shared-secret:lent-token", "shared-secret lent-token AKID"),
            "[hidden] [hidden] AKID"
        );
        // A word that is in any sentence is no secret.
        assert_eq!(hidden(&Scheme::Bearer, "key", "the key is wrong"), "the key is wrong");
    }

    #[test]
    fn declared_headers_are_hidden_as_far_as_they_may_be_secrets() {
        let mut headers = HeaderMap::new();
        headers.insert("x-version", HeaderValue::from_static("2023-06-01"));
        headers.insert("x-key", HeaderValue::from_static("0123456789abcdef"));
        let mut said = "2023-06-01 0123456789abcdef".to_owned();
        Shown::of(None, &headers).hide_text(&mut said);
        assert_eq!(said, "2023-06-01 [hidden]");
    }
}
