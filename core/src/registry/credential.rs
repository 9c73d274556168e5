//! The one place where a provider's secret is opened.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use super::Scheme;
use crate::domain::Secret;

/// What proves to a provider who sends a request. It never prints.
#[derive(Clone, Debug)]
pub struct Credential {
    name: HeaderName,
    /// Marked as sensitive: it is not shown, and HTTP/2 does not compress it.
    value: HeaderValue,
}

/// The secret, or the name of its header, cannot stand in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected visible ASCII characters only, as a header can carry them")]
pub struct NotAHeader;

impl Credential {
    /// Holds a secret that is proven to fit its header.
    pub fn new(scheme: &Scheme, secret: &Secret) -> Result<Self, NotAHeader> {
        let secret = secret.expose();
        if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(NotAHeader);
        }
        let (name, text) = match scheme {
            Scheme::Bearer => (AUTHORIZATION, format!("Bearer {secret}")),
            Scheme::Basic => (AUTHORIZATION, format!("Basic {}", STANDARD.encode(secret))),
            Scheme::Header(name) => (header_name(name)?, secret.to_owned()),
            Scheme::Prefixed(name, prefix) => (header_name(name)?, format!("{prefix}{secret}")),
            // The policy refuses them, since no header says them.
            Scheme::Query(_)
            | Scheme::Sigv4(_)
            | Scheme::Google
            | Scheme::Entra
            | Scheme::IbmIam
            | Scheme::Oci
            | Scheme::SnowflakeJwt
            | Scheme::Oauth(_)
            | Scheme::Jwt => return Err(NotAHeader),
        };
        let mut value = HeaderValue::from_str(&text).map_err(|_| NotAHeader)?;
        value.set_sensitive(true);
        Ok(Self { name, value })
    }

    /// Writes the secret into a request's headers, over what stands there.
    pub fn apply(&self, headers: &mut HeaderMap) {
        headers.insert(self.name.clone(), self.value.clone());
    }
}

fn header_name(name: &str) -> Result<HeaderName, NotAHeader> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| NotAHeader)
}
