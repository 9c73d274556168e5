//! Google's service accounts: a claim, signed with the account's own key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::signing::SigningKey;
use crate::domain::{Secret, Timestamp};
use crate::port::Signer;

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const ADDRESS: &str = "https://oauth2.googleapis.com/token";
/// The longest that a claim may be good for, in seconds.
const CLAIM: i64 = 3_600;
/// Clocks differ.
const SKEW: i64 = 30;

/// Who signs. It never prints.
pub(super) struct ServiceAccount {
    email: String,
    key_id: Option<String>,
    /// Whom the claim is made to: the address of the tokens.
    audience: String,
    key: SigningKey,
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
        let file: KeyFile = gatelet_wire::json::from_str(json.expose()).ok()?;
        let key = SigningKey::read(&file.private_key)?;
        let address = file.token_uri.unwrap_or_else(|| ADDRESS.to_owned());
        let account =
            Self { email: file.client_email, key_id: file.private_key_id, audience: address.clone(), key };
        Some((account, address))
    }

    /// A JSON web token (RS256) that claims to be the account, good for an hour.
    pub(super) async fn assertion(&self, signer: &dyn Signer, now: Timestamp) -> String {
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
        let claim = format!("{}.{}", part(&header), part(&claims));
        format!("{claim}.{}", URL_SAFE_NO_PAD.encode(self.key.sign(signer, claim.as_bytes()).await))
    }
}
