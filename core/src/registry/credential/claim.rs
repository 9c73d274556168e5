//! Tokens that a secret signs by itself: nobody is asked for them.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use gatelet_wire::sigv4;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{NotAHeader, Scheme, sensitive};
use crate::domain::{Secret, Timestamp};
use crate::port::Signer;
use crate::registry::token::SigningKey;

const TOKEN_TYPE: HeaderName = HeaderName::from_static("x-snowflake-authorization-token-type");
/// How long a token is good for: the longest that Snowflake takes is an hour.
const LIFE: Duration = Duration::from_mins(30);
/// It is used no longer than this.
const USE: Duration = Duration::from_mins(20);
/// Clocks differ.
const SKEW: i64 = 30;

/// Who signs, and the token that was signed last. It never prints.
#[derive(Debug)]
pub(super) struct Claims {
    by: By,
    token: Mutex<Option<(Timestamp, HeaderValue)>>,
}

#[derive(Debug)]
enum By {
    /// A token that somebody else has signed: Snowflake's, whose kind is told beside it.
    Made(HeaderValue),
    /// Snowflake's key pairs.
    KeyPair { key: Box<SigningKey>, issuer: Box<str>, subject: Box<str> },
    /// A name and a secret that signs, HMAC-SHA256.
    Secret { name: Box<str>, secret: Secret },
}

#[derive(Deserialize)]
struct KeyPair {
    account: String,
    user: String,
    #[serde(alias = "key")]
    private_key: String,
}

impl Claims {
    pub(super) fn read(scheme: &Scheme, secret: &Secret) -> Result<Self, NotAHeader> {
        const EXPECTED: &str = "JSON with `account`, `user` and `private_key`";
        let text = secret.expose();
        let by = match scheme {
            Scheme::SnowflakeJwt if text.trim_start().starts_with('{') => {
                let pair: KeyPair =
                    gatelet_wire::json::from_str(text).map_err(|_| NotAHeader::NoKey(EXPECTED))?;
                let key = SigningKey::read(&pair.private_key).ok_or(NotAHeader::NoKey(EXPECTED))?;
                let subject = format!("{}.{}", account(&pair.account), pair.user).to_ascii_uppercase();
                let fingerprint = key.fingerprint().ok_or(NotAHeader::NoKey(EXPECTED))?;
                let issuer = format!("{subject}.SHA256:{}", STANDARD.encode(fingerprint));
                By::KeyPair { key: Box::new(key), issuer: issuer.into(), subject: subject.into() }
            }
            Scheme::SnowflakeJwt => By::Made(sensitive(&format!("Bearer {text}"))?),
            _ => {
                let (name, secret) = text.split_once(':').ok_or(NotAHeader::NoPair)?;
                if name.is_empty() || secret.is_empty() {
                    return Err(NotAHeader::NoPair);
                }
                By::Secret { name: name.into(), secret: Secret::new(secret) }
            }
        };
        Ok(Self { by, token: Mutex::default() })
    }

    /// Writes the token into a request's headers.
    pub(super) fn apply(&self, headers: &mut HeaderMap) {
        let value = match &self.by {
            By::Made(value) => Some(value.clone()),
            By::KeyPair { .. } | By::Secret { .. } => self.lock().as_ref().map(|(_, value)| value.clone()),
        };
        headers.extend(value.map(|value| (AUTHORIZATION, value)));
        match self.by {
            By::Made(_) | By::KeyPair { .. } => {
                headers.insert(TOKEN_TYPE, HeaderValue::from_static("KEYPAIR_JWT"));
            }
            By::Secret { .. } => {}
        }
    }

    /// Signs a new token where the last one is old.
    pub(super) async fn renew(&self, signer: &dyn Signer, now: Timestamp) {
        let good = |(made, _): &(Timestamp, HeaderValue)| now.since(*made) < USE && *made <= now;
        if self.lock().as_ref().is_some_and(good) {
            return;
        }
        // Several may sign at once: each token is good.
        let token = self.signed(signer, now).await.and_then(|text| sensitive(&format!("Bearer {text}")).ok());
        *self.lock() = token.map(|value| (now, value));
    }

    async fn signed(&self, signer: &dyn Signer, now: Timestamp) -> Option<String> {
        let issued = now.seconds();
        let expires = now.after(LIFE).seconds();
        match &self.by {
            By::Made(_) => None,
            By::KeyPair { key, issuer, subject } => {
                let claims = json!({ "iss": &**issuer, "sub": &**subject, "iat": issued, "exp": expires });
                let text = unsigned("RS256", &claims);
                Some(format!("{text}.{}", URL_SAFE_NO_PAD.encode(key.sign(signer, text.as_bytes()).await)))
            }
            By::Secret { name, secret } => {
                let claims = json!({ "iss": &**name, "exp": expires, "nbf": issued - SKEW });
                let text = unsigned("HS256", &claims);
                let signature = sigv4::authenticated(secret.expose().as_bytes(), &text);
                Some(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Timestamp, HeaderValue)>> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An account's locator without its region; the name of one in an organisation is whole as it is.
fn account(identifier: &str) -> &str {
    identifier.split('.').next().unwrap_or(identifier)
}

fn unsigned(algorithm: &str, claims: &Value) -> String {
    let header = json!({ "alg": algorithm, "typ": "JWT" });
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    format!("{}.{}", part(&header), part(claims))
}
