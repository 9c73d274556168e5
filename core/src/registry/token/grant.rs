//! How credentials buy tokens: one form in, one JSON answer out, whoever the vendor is.

use std::time::Duration;

use bytes::Bytes;
use gatelet_wire::{Fields, Malformed};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, Uri};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::google::ServiceAccount;
use crate::domain::{Secret, Timestamp};
use crate::exchange::Exchange;
use crate::port::Ports;

/// One way from a credential to a token.
#[derive(Debug)]
pub struct Grant {
    address: Uri,
    proof: Proof,
}

#[derive(Debug)]
enum Proof {
    /// The form's fields, the same each time.
    Fields(Vec<(&'static str, Secret)>),
    /// A claim that is signed anew each time.
    Signed(Box<ServiceAccount>),
}

/// A token, as a header's value.
#[derive(Debug)]
pub struct Granted {
    /// `Bearer …`, marked as sensitive.
    pub(super) value: HeaderValue,
    pub(super) lifetime: Duration,
}

/// An answer that is no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    pub status: u16,
    /// The vendor's word for it, such as `invalid_grant`: never its sentence, which may repeat what was sent.
    pub reason: String,
}

impl Denied {
    /// Whether another try may pass.
    pub fn is_temporary(&self) -> bool {
        self.status == 429 || self.status >= 500
    }
}

const IBM: &str = "https://iam.cloud.ibm.com/identity/token";
const ENTRA_SCOPE: &str = "https://cognitiveservices.azure.com/.default";
/// A token whose life nobody says is used for so long.
const UNSAID: Duration = Duration::from_mins(5);
const LONGEST: Duration = Duration::from_hours(24);

/// The client's own name and secret, as JSON.
#[derive(Deserialize)]
struct Client {
    #[serde(rename = "client_id")]
    id: String,
    #[serde(rename = "client_secret")]
    secret: String,
    #[serde(alias = "tenant")]
    tenant_id: Option<String>,
    #[serde(alias = "token_url")]
    token_uri: Option<String>,
    scope: Option<String>,
}

impl Grant {
    /// A Google service account, by its key file's JSON.
    pub fn google(json: &Secret) -> Option<Self> {
        let (account, address) = ServiceAccount::read(json)?;
        Some(Self { address: address.parse().ok()?, proof: Proof::Signed(Box::new(account)) })
    }

    /// Microsoft Entra, by JSON with `tenant_id`, `client_id` and `client_secret`.
    pub fn entra(json: &Secret) -> Option<Self> {
        let client: Client = gatelet_wire::json::from_str(json.expose()).ok()?;
        let tenant = client.tenant_id.as_deref()?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
        if !tenant.chars().all(plain) {
            return None;
        }
        let usual = format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token");
        Self::client(client, &usual, Some(ENTRA_SCOPE))
    }

    /// IBM Cloud, by an API key.
    pub fn ibm(key: &Secret) -> Option<Self> {
        let kind = Secret::new("urn:ibm:params:oauth:grant-type:apikey");
        let fields = vec![("grant_type", kind), ("apikey", key.clone())];
        Some(Self { address: IBM.parse().ok()?, proof: Proof::Fields(fields) })
    }

    /// Client credentials at `address`, whose query may name the scope: JSON with `client_id` and `client_secret`, or
    /// `<id>:<secret>`.
    pub fn client_credentials(secret: &Secret, address: &str) -> Option<Self> {
        let text = secret.expose();
        let client = if text.starts_with('{') {
            gatelet_wire::json::from_str(text).ok()?
        } else {
            let (id, secret) = text.split_once(':')?;
            let (id, secret) = (id.to_owned(), secret.to_owned());
            Client { id, secret, tenant_id: None, token_uri: None, scope: None }
        };
        let (address, query) = address.split_once('?').unwrap_or((address, ""));
        let scope = query.strip_prefix("scope=");
        Self::client(client, address, scope)
    }

    fn client(client: Client, usual: &str, scope: Option<&str>) -> Option<Self> {
        let address = client.token_uri.as_deref().unwrap_or(usual).parse().ok()?;
        let mut fields = vec![
            ("grant_type", Secret::new("client_credentials")),
            ("client_id", Secret::new(client.id)),
            ("client_secret", Secret::new(client.secret)),
        ];
        if let Some(scope) = client.scope.as_deref().or(scope) {
            fields.push(("scope", Secret::new(scope)));
        }
        Some(Self { address, proof: Proof::Fields(fields) })
    }
}

/// A grant that is asked for its token.
#[derive(Debug)]
pub struct Question<'a> {
    grant: &'a Grant,
    /// The claim, where one is signed.
    assertion: Option<String>,
}

impl Grant {
    /// What is asked now.
    pub async fn question(&self, ports: &Ports) -> Question<'_> {
        let assertion = match &self.proof {
            Proof::Fields(_) => None,
            Proof::Signed(account) => Some(account.assertion(&*ports.signer, ports.clock.now()).await),
        };
        Question { grant: self, assertion }
    }
}

impl Exchange for Question<'_> {
    type Answer = Result<Granted, Denied>;

    fn ask(&self, _: Timestamp) -> Request<Bytes> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        match &self.grant.proof {
            Proof::Fields(fields) => {
                form.extend_pairs(fields.iter().map(|(name, value)| (*name, value.expose())));
            }
            Proof::Signed(_) => {
                form.append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer");
                form.append_pair("assertion", self.assertion.as_deref().unwrap_or_default());
            }
        }
        let mut request = Request::new(Bytes::from(form.finish()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.grant.address.clone();
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        request
    }

    fn read(&self, reply: Response<Bytes>) -> Result<Self::Answer, Malformed> {
        let status = reply.status();
        let fields = Fields::read(reply.body());
        let text = |fields: &Fields<'_>, key: &str| {
            fields.get(key).and_then(|raw| gatelet_wire::json::from_str::<String>(raw.get()).ok())
        };
        if !status.is_success() {
            let word = fields.ok().and_then(|fields| {
                let word =
                    ["error", "errorCode", "error_code"].into_iter().find_map(|key| text(&fields, key))?;
                // A word, and not a sentence that may repeat the credential.
                let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
                (word.len() <= 64 && word.chars().all(plain)).then_some(word)
            });
            let reason = word.unwrap_or_else(|| "no reason was said".to_owned());
            return Ok(Err(Denied { status: status.as_u16(), reason }));
        }
        let fields = fields?;
        let token = text(&fields, "access_token").filter(|token| !token.is_empty());
        let token = token.ok_or_else(|| Malformed::field("access_token", "a token"))?;
        let value = HeaderValue::from_str(&format!("Bearer {token}"));
        let mut value = value.map_err(|_| Malformed::field("access_token", "visible ASCII"))?;
        value.set_sensitive(true);
        let seconds = |raw: &RawValue| raw.get().trim_matches('"').parse::<u64>().ok();
        let lifetime = fields.get("expires_in").and_then(seconds).map_or(UNSAID, Duration::from_secs);
        Ok(Ok(Granted { value, lifetime: lifetime.min(LONGEST) }))
    }
}
