//! Oracle's signatures: those of the draft "Signing HTTP Messages" (draft-cavage-http-signatures-08), with an RSA key.
//!
//! Source: the vendor's page "Request Signatures". A request with a body covers that too, by its length, kind and hash.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Uri};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{NotAHeader, sensitive};
use crate::domain::{Secret, Timestamp};
use crate::port::Signer;
use crate::registry::token::SigningKey;

const EXPECTED: &str = "JSON with `tenancy`, `user`, `fingerprint` and `key`";
const BODY_HASH: HeaderName = HeaderName::from_static("x-content-sha256");

/// A user's key. It never prints.
#[derive(Clone, Debug)]
pub(super) struct Oracle {
    /// `<tenancy>/<user>/<fingerprint>`.
    key_id: Box<str>,
    key: SigningKey,
}

#[derive(Deserialize)]
struct Parts {
    tenancy: String,
    user: String,
    fingerprint: String,
    #[serde(alias = "private_key", alias = "key_content")]
    key: String,
}

impl Oracle {
    pub(super) fn read(secret: &Secret) -> Result<Self, NotAHeader> {
        let parts: Parts =
            gatelet_wire::json::from_str(secret.expose()).map_err(|_| NotAHeader::NoKey(EXPECTED))?;
        let key_id = format!("{}/{}/{}", parts.tenancy, parts.user, parts.fingerprint);
        if !key_id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"') {
            return Err(NotAHeader::Characters);
        }
        let key = SigningKey::read(&parts.key).ok_or(NotAHeader::NoKey(EXPECTED))?;
        Ok(Self { key_id: key_id.into(), key })
    }

    /// Writes what is covered, and the signature, into the headers of a request.
    pub(super) async fn sign(
        &self,
        signer: &dyn Signer,
        method: &Method,
        uri: &Uri,
        headers: &mut HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) {
        let date = date(now);
        let target = uri.path_and_query().map_or("/", |path| path.as_str());
        let target = format!("{} {target}", method.as_str().to_ascii_lowercase());
        let host = uri.authority().map_or("", |authority| authority.as_str());
        let mut covered = vec![("date", date), ("(request-target)", target), ("host", host.to_owned())];
        if matches!(*method, Method::POST | Method::PUT | Method::PATCH) {
            let kind = headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
            covered.extend([
                ("content-length", body.len().to_string()),
                ("content-type", kind.to_str().unwrap_or_default().to_owned()),
                ("x-content-sha256", STANDARD.encode(Sha256::digest(body))),
            ]);
        }
        let lines: Vec<String> = covered.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let names: Vec<&str> = covered.iter().map(|(name, _)| *name).collect();
        let signature = STANDARD.encode(self.key.sign(signer, lines.join("\n").as_bytes()).await);
        let authorization = format!(
            "Signature version=\"1\",keyId=\"{}\",algorithm=\"rsa-sha256\",headers=\"{}\",signature=\"{signature}\"",
            self.key_id,
            names.join(" "),
        );
        for (name, value) in &covered {
            let name = match *name {
                "date" => DATE,
                "content-length" => CONTENT_LENGTH,
                "x-content-sha256" => BODY_HASH,
                _ => continue,
            };
            headers.extend(HeaderValue::from_str(value).map(|value| (name, value)));
        }
        headers.extend(sensitive(&authorization).map(|value| (AUTHORIZATION, value)));
    }
}

/// As HTTP says it (RFC 9110): `Thu, 01 Jan 2026 00:00:00 GMT`.
fn date(now: Timestamp) -> String {
    now.to_http()
}
