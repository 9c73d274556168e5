//! First stage: the request's own words, checked as far as they can be by themselves.

use bytes::Bytes;
use gatelet_wire::DialectId;
use gatelet_wire::Fields;
use gatelet_wire::dialect::Addressed;
use http::HeaderMap;
use http::request::Parts;

use super::attempt::within;
use super::authenticate;
use super::knobs::Knobs;
use crate::domain::{KeyToken, RequestId, Timestamp};
use crate::port::{Body, Uncollected};
use crate::refusal::Refusal;
use crate::shared::Core;

/// A request that is well-formed, with a key that was one of ours when it was last read.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) id: RequestId,
    pub(super) started: Timestamp,
    pub(super) dialect: DialectId,
    pub(super) token: KeyToken,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) asked: Asked,
    pub(super) knobs: Knobs,
}

/// What the request asks for, read without building a tree.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub model: String,
    pub stream: bool,
    pub max_output: Option<u64>,
    pub choices: u32,
    pub stream_usage: bool,
    pub service_tier: Option<String>,
}

/// What the address of a request says: its dialect, and what some dialects say there of the rest.
#[derive(Clone, Debug)]
pub struct Asking {
    pub dialect: DialectId,
    pub addressed: Addressed,
}

/// Reads a request for a chat. The key is judged before the body is read: a stranger, who can write keys of
/// the right form, does not fill our memory with bodies.
pub(super) async fn receive(
    core: &Core,
    id: RequestId,
    started: Timestamp,
    asking: Asking,
    parts: Parts,
    body: Body,
) -> Result<Received, Refusal> {
    let token = token(&parts)?;
    let knobs = Knobs::read(&parts.headers)?;
    authenticate::known(core, &token, started).await?;
    let most = core.settings.deadline;
    let limit = knobs.timeout.map_or(most, |asked| asked.min(most));
    let body = collect(body, &parts.headers, core.settings.body_limit);
    let body = within(core, limit, body).await.ok_or(Refusal::Timeout)??;
    let fields = Fields::read(&body)?;
    let Asking { dialect, addressed } = asking;
    let peek = dialect.dialect().peek(&fields, &addressed)?;
    let service_tier =
        fields.present("service_tier").and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
    let asked = Asked {
        model: peek.model.into_owned(),
        stream: peek.stream,
        max_output: peek.max_output,
        choices: peek.choices.max(1),
        stream_usage: peek.stream_usage,
        service_tier,
    };
    Ok(Received { id, started, dialect, token, headers: parts.headers, body, asked, knobs })
}

/// The caller's key, from wherever a vendor's SDK puts it.
pub fn token(parts: &Parts) -> Result<KeyToken, Refusal> {
    let text = key_text(parts).ok_or(Refusal::NoKey)?;
    KeyToken::parse(&text).ok_or(Refusal::KeyMalformed)
}

pub fn key_text(parts: &Parts) -> Option<String> {
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let bearer = header("authorization").and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    let query = || {
        let query = parts.uri.query()?;
        query.split('&').find_map(|pair| pair.strip_prefix("key="))
    };
    bearer
        .or_else(|| header("x-api-key"))
        .or_else(|| header("api-key"))
        .or_else(|| header("x-goog-api-key"))
        .or_else(query)
        .filter(|key| !key.is_empty())
        .map(str::to_owned)
}

/// Reads a whole body of at most `most` bytes, or refuses it.
pub async fn collect(body: Body, headers: &HeaderMap, most: usize) -> Result<Bytes, Refusal> {
    body.collect(headers, most).await.map_err(|uncollected| match uncollected {
        Uncollected::TooLarge => Refusal::BodyTooLarge { most },
        Uncollected::Broken(_) => Refusal::BodyBroken,
    })
}
