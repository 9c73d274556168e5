//! The one place where a provider's secret is opened.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gatelet_wire::sigv4;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Uri};

mod claim;
mod hide;
mod oracle;

use claim::Claims;
pub(crate) use hide::Shown;
use oracle::Oracle;

use super::Scheme;
use super::token::{Grant, Tokens, Unproven};
use crate::domain::{Secret, Timestamp};
use crate::port::{Fault, FaultKind, Ports, Reach, Signer};

/// What proves to a provider who sends a request. It never prints.
#[derive(Clone, Debug)]
pub struct Credential(Proof);

#[derive(Clone, Debug)]
enum Proof {
    Header {
        name: HeaderName,
        /// Marked as sensitive: it is not shown, and HTTP/2 does not compress it.
        value: HeaderValue,
    },
    Pair(Pair),
    /// `name=value`, as it stands in an address.
    Query(Secret),
    /// A token that the secret buys.
    Token(Arc<Tokens>),
    /// A token that the secret signs.
    Claim(Arc<Claims>),
    /// Oracle's signatures.
    Oracle(Arc<Oracle>),
}

/// What signs requests to AWS.
#[derive(Clone, Debug)]
struct Pair {
    id: Box<str>,
    secret: Secret,
    /// Of credentials that are lent for some hours.
    token: Option<HeaderValue>,
    service: Box<str>,
}

/// The secret, or the name of its header, cannot stand in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAHeader {
    #[error("expected visible ASCII characters only, as a header can carry them")]
    Characters,
    #[error("expected a pair `id:secret`, or `id:secret:token`")]
    NoPair,
    #[error("expected {0}")]
    NoGrant(&'static str),
    #[error("expected {0}, with an RSA key in PEM that has no password")]
    NoKey(&'static str),
}

impl Credential {
    /// Holds a secret that is proven to fit its header. A pair that signs is one text, parted by colons.
    pub fn new(scheme: &Scheme, secret: &Secret) -> Result<Self, NotAHeader> {
        if let Some(tokens) = bought(scheme, secret) {
            return tokens.map(|tokens| Self(Proof::Token(Arc::new(tokens))));
        }
        match scheme {
            Scheme::Oci => return Oracle::read(secret).map(|oracle| Self(Proof::Oracle(Arc::new(oracle)))),
            Scheme::SnowflakeJwt | Scheme::Jwt => {
                return Claims::read(scheme, secret).map(|claims| Self(Proof::Claim(Arc::new(claims))));
            }
            Scheme::Bearer
            | Scheme::Header(_)
            | Scheme::Prefixed(..)
            | Scheme::Basic
            | Scheme::Query(_)
            | Scheme::Sigv4(_)
            | Scheme::Google
            | Scheme::Entra
            | Scheme::IbmIam
            | Scheme::Oauth(_) => {}
        }
        let text = secret.expose();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(NotAHeader::Characters);
        }
        let (name, text) = match scheme {
            // A token that somebody else has bought.
            Scheme::Bearer | Scheme::Google | Scheme::Entra => (AUTHORIZATION, format!("Bearer {text}")),
            Scheme::Basic => (AUTHORIZATION, format!("Basic {}", STANDARD.encode(text))),
            Scheme::Header(name) => (header_name(name)?, text.to_owned()),
            Scheme::Prefixed(name, prefix) => (header_name(name)?, format!("{prefix}{text}")),
            Scheme::Sigv4(service) => return Pair::read(text, service).map(|pair| Self(Proof::Pair(pair))),
            Scheme::Query(name) => {
                let value: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
                return Ok(Self(Proof::Query(Secret::new(format!("{name}={value}")))));
            }
            // What buys or signs tokens is made above.
            Scheme::IbmIam | Scheme::Oci | Scheme::SnowflakeJwt | Scheme::Oauth(_) | Scheme::Jwt => {
                return Err(NotAHeader::Characters);
            }
        };
        let value = sensitive(&text)?;
        Ok(Self(Proof::Header { name, value }))
    }

    /// Writes the secret into a request's headers, over what stands there. A pair signs later: see [`sign`](Self::sign).
    pub fn apply(&self, headers: &mut HeaderMap) {
        match &self.0 {
            Proof::Header { name, value } => {
                headers.insert(name.clone(), value.clone());
            }
            Proof::Token(tokens) => headers.extend(tokens.kept().map(|value| (AUTHORIZATION, value))),
            Proof::Claim(claims) => claims.apply(headers),
            Proof::Pair(_) | Proof::Query(_) | Proof::Oracle(_) => {}
        }
    }

    /// An address with the secret in its query, where that is its place; none where it stays as it is.
    pub fn address(&self, uri: &Uri) -> Option<Uri> {
        let Proof::Query(pair) = &self.0 else { return None };
        let joint = if uri.query().is_some() { '&' } else { '?' };
        Uri::try_from(format!("{uri}{joint}{}", pair.expose())).ok()
    }

    /// Sees to it that [`apply`](Self::apply) has something to write.
    ///
    /// # Errors
    /// No token is to be had.
    pub async fn prove(&self, ports: &Ports, reach: Reach) -> Result<(), Unproven> {
        match &self.0 {
            Proof::Token(tokens) => tokens.header(ports, reach).await.map(|_| ()),
            Proof::Claim(claims) => {
                claims.renew(&*ports.signer, ports.clock.now()).await;
                Ok(())
            }
            Proof::Header { .. } | Proof::Pair(_) | Proof::Query(_) | Proof::Oracle(_) => Ok(()),
        }
    }

    /// All that it does to a request whose body is there whole: proven, written and, for the service in `region`, signed.
    ///
    /// # Errors
    /// No token is to be had; `of` is who asks.
    pub async fn put_on(
        &self,
        request: &mut Request<Bytes>,
        region: Option<&str>,
        ports: &Ports,
        reach: Reach,
        of: &'static str,
    ) -> Result<(), Fault> {
        let unproven = |problem| Fault::new(FaultKind::Denied, of, "").with_source(problem);
        self.prove(ports, reach).await.map_err(unproven)?;
        let (method, uri, body) = (request.method().clone(), request.uri().clone(), request.body().clone());
        let headers = request.headers_mut();
        self.apply(headers);
        if let Some(region) = region {
            self.sign(&*ports.signer, &method, &uri, headers, &body, region, ports.clock.now()).await;
        }
        Ok(())
    }

    /// Whether each request is signed, so that its body must be there whole.
    pub fn signs(&self) -> bool {
        match self.0 {
            Proof::Pair(_) | Proof::Oracle(_) => true,
            Proof::Header { .. } | Proof::Query(_) | Proof::Token(_) | Proof::Claim(_) => false,
        }
    }

    /// Signs a request that is complete but for that, if this is what signs.
    #[expect(clippy::too_many_arguments, reason = "a request's parts, and what signing them takes")]
    pub async fn sign(
        &self,
        signer: &dyn Signer,
        method: &Method,
        uri: &Uri,
        headers: &mut HeaderMap,
        body: &[u8],
        region: &str,
        now: Timestamp,
    ) {
        if let Proof::Oracle(oracle) = &self.0 {
            oracle.sign(signer, method, uri, headers, body, now).await;
        }
        let Proof::Pair(Pair { id, secret, token, service }) = &self.0 else { return };
        let moment = moment(now);
        let token = token.as_ref().and_then(|token| Some((token.to_str().ok()?, token)));
        let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut covered = vec![
            ("host", uri.authority().map_or("", |authority| authority.as_str())),
            ("x-amz-date", moment.as_str()),
        ];
        covered.extend(kind.as_deref().map(|kind| ("content-type", kind)));
        covered.extend(token.map(|(token, _)| ("x-amz-security-token", token)));
        let request = sigv4::Request {
            method: method.as_str(),
            path: uri.path(),
            query: uri.query().unwrap_or_default(),
            headers: &covered,
            body_hash: &sigv4::body_hash(body),
        };
        let scope = sigv4::Scope { moment: &moment, region, service };
        let authorization = sigv4::authorization(id, secret.expose(), &scope, &request);
        if let Some((_, token)) = token {
            headers.insert("x-amz-security-token", token.clone());
        }
        if let (Ok(moment), Ok(authorization)) = (HeaderValue::try_from(&moment), sensitive(&authorization)) {
            headers.insert("x-amz-date", moment);
            headers.insert(AUTHORIZATION, authorization);
        }
    }
}

/// What buys tokens with a secret, where that is what the scheme means; a secret that is a token itself buys none.
fn bought(scheme: &Scheme, secret: &Secret) -> Option<Result<Tokens, NotAHeader>> {
    let text = secret.expose();
    let json = text.trim_start().starts_with('{');
    let (grant, expected) = match scheme {
        Scheme::Google if json => {
            (Grant::google(secret), "the key file of a service account, as JSON with an RSA key")
        }
        // The variable that usually names it holds the name of a file, which this core cannot read.
        Scheme::Google if text.contains(['/', '\\']) => {
            (None, "the JSON of a service account's key file, not its path, or an access token")
        }
        Scheme::Entra if json => {
            (Grant::entra(secret), "JSON with `tenant_id`, `client_id` and `client_secret`")
        }
        Scheme::IbmIam => (Grant::ibm(secret), "an API key"),
        Scheme::Oauth(address) => (
            Grant::client_credentials(secret, address),
            "`<client id>:<client secret>`, or JSON with `client_id` and `client_secret`",
        ),
        _ => return None,
    };
    Some(grant.map(Tokens::new).ok_or(NotAHeader::NoGrant(expected)))
}

impl Pair {
    fn read(text: &str, service: &str) -> Result<Self, NotAHeader> {
        let mut parts = text.splitn(3, ':');
        let (id, secret) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if id.is_empty() || secret.is_empty() || id.contains(['/', ',']) {
            return Err(NotAHeader::NoPair);
        }
        let token = parts.next().filter(|token| !token.is_empty()).map(sensitive).transpose()?;
        Ok(Self { id: id.into(), secret: Secret::new(secret), token, service: service.into() })
    }
}

fn sensitive(text: &str) -> Result<HeaderValue, NotAHeader> {
    let mut value = HeaderValue::from_str(text).map_err(|_| NotAHeader::Characters)?;
    value.set_sensitive(true);
    Ok(value)
}

fn header_name(name: &str) -> Result<HeaderName, NotAHeader> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| NotAHeader::Characters)
}

/// As signatures say it: `20150830T123600Z`.
fn moment(now: Timestamp) -> String {
    Timestamp::from_seconds(now.seconds()).to_string().replace(['-', ':'], "")
}
