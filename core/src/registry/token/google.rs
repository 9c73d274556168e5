//! Google's service accounts: a claim, signed with the account's own key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rsa::pkcs8::DecodePrivateKey as _;
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::domain::{Secret, Timestamp};

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const ADDRESS: &str = "https://oauth2.googleapis.com/token";
/// The longest that a claim may be good for, in seconds.
const CLAIM: i64 = 3_600;
/// Clocks differ.
const SKEW: i64 = 30;

/// `DigestInfo` of SHA-256, as RFC 8017 (section 9.2, note 1) has it.
pub(super) const SHA_256: &[u8] = &[
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
    0x04, 0x20,
];

/// Who signs. It never prints.
pub(super) struct ServiceAccount {
    email: String,
    key_id: Option<String>,
    /// Whom the claim is made to: the address of the tokens.
    audience: String,
    key: RsaPrivateKey,
}

impl std::fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServiceAccount(***)")
    }
}

/// The file that the vendor gives.
#[derive(Deserialize)]
struct KeyFile {
    client_email: String,
    private_key: String,
    private_key_id: Option<String>,
    token_uri: Option<String>,
}

impl ServiceAccount {
    /// The account, and where it asks for tokens.
    pub(super) fn read(json: &Secret) -> Option<(Self, String)> {
        let file: KeyFile = serde_json::from_str(json.expose()).ok()?;
        let key = RsaPrivateKey::from_pkcs8_pem(file.private_key.trim()).ok()?;
        let address = file.token_uri.unwrap_or_else(|| ADDRESS.to_owned());
        let account =
            Self { email: file.client_email, key_id: file.private_key_id, audience: address.clone(), key };
        Some((account, address))
    }

    /// A JSON web token (RS256) that claims to be the account, good for an hour. Empty if the key cannot sign, which is
    /// refused like any wrong claim.
    pub(super) fn assertion(&self, now: Timestamp) -> String {
        let issued = now.seconds() - SKEW;
        let header = serde_json::json!({ "alg": "RS256", "typ": "JWT", "kid": self.key_id });
        let claims = serde_json::json!({
            "iss": self.email,
            "scope": SCOPE,
            "aud": self.audience,
            "iat": issued,
            "exp": issued + CLAIM,
        });
        let part = |json: &serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let padding = Pkcs1v15Sign { hash_len: Some(32), prefix: SHA_256.into() };
        let signature = self.key.sign(padding, &Sha256::digest(signed.as_bytes()));
        signature.map(|bytes| format!("{signed}.{}", URL_SAFE_NO_PAD.encode(bytes))).unwrap_or_default()
    }
}
