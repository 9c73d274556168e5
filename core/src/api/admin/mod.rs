//! The admin API: one resource a file.

mod archive;
mod documents;
mod keys;
mod scopes;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{only, reply};
use crate::domain::{ScopeKind, ShardId, Timestamp};
use crate::pipeline;
use crate::port::Body;
use crate::refusal::Refusal;
use crate::shared::Core;

/// Finds who answers under `/admin/v1`.
pub(super) async fn answer(
    core: &Core,
    now: Timestamp,
    parts: &Parts,
    body: Body,
    path: &[&str],
) -> Result<Response<Body>, Refusal> {
    admin_only(core, parts)?;
    let method = &parts.method;
    if let [plural, rest @ ..] = path
        && let Some(kind) = ScopeKind::ALL.into_iter().find(|kind| kind.plural() == *plural)
    {
        return match (rest, method) {
            ([], &Method::POST) => scopes::create(core, now, parts, kind, body).await,
            ([], &Method::GET) => scopes::list(core, now, parts, kind).await,
            ([], _) => Err(Refusal::WrongMethod { allow: "GET, POST" }),
            ([id], &Method::GET) => scopes::show(core, now, parts, kind, id).await,
            ([id], &Method::PATCH) => scopes::update(core, now, parts, kind, id, body).await,
            ([id], &Method::DELETE) => scopes::delete(core, now, parts, kind, id).await,
            ([_], _) => Err(Refusal::WrongMethod { allow: "GET, PATCH, DELETE" }),
            _ => Err(Refusal::NoRoute { path: parts.uri.path().to_owned() }),
        };
    }
    match (path, method) {
        (["keys"], &Method::POST) => keys::create(core, now, parts, body).await,
        (["keys"], &Method::GET) => keys::list(core, now, parts).await,
        (["keys"], _) => Err(Refusal::WrongMethod { allow: "GET, POST" }),
        (["keys", id], &Method::GET) => keys::show(core, now, parts, id).await,
        (["keys", id], &Method::PATCH) => keys::update(core, now, parts, id, body).await,
        (["keys", id], &Method::DELETE) => keys::revoke(core, now, parts, id).await,
        (["keys", _], _) => Err(Refusal::WrongMethod { allow: "GET, PATCH, DELETE" }),
        (["keys", id, "block"], &Method::POST) => keys::block(core, now, parts, id).await,
        (["keys", id, "unblock"], &Method::POST) => keys::unblock(core, now, parts, id).await,
        (["keys", id, "aws"], &Method::POST) => keys::pair(core, now, parts, id).await,
        (["keys", id, "aws"], &Method::DELETE) => keys::unpair(core, now, parts, id).await,
        (["keys", _, "aws"], _) => Err(Refusal::WrongMethod { allow: "POST, DELETE" }),
        (["archive"], &Method::GET) => archive::list(core, parts).await,
        (["archive", name @ ..], &Method::GET) => archive::show(core, &name.join("/")).await,
        (["openapi.json"], &Method::GET) => Ok(openapi()),
        (["tick"], _) => {
            only(method, &Method::POST)?;
            let ticked = super::tick(core).await?;
            Ok(reply(StatusCode::OK, &json!({ "archived": ticked.archived })))
        }
        _ => Err(Refusal::NoRoute { path: parts.uri.path().to_owned() }),
    }
}

/// `GET /admin/v1/openapi.json`. Written by hand beside the routes; a test calls every operation that it names.
fn openapi() -> Response<Body> {
    let mut response = Response::new(Body::Full(Bytes::from_static(include_bytes!("openapi.json"))));
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}

fn admin_only(core: &Core, parts: &Parts) -> Result<(), Refusal> {
    let shown = pipeline::key_text(parts).ok_or(Refusal::AdminOnly)?;
    if core.settings.admin_key.opens(&shown) { Ok(()) } else { Err(Refusal::AdminOnly) }
}

/// Reads a body of ours: unknown fields are refused.
async fn read<T: DeserializeOwned>(parts: &Parts, body: Body) -> Result<T, Refusal> {
    const LONGEST: usize = 1 << 20;
    let bytes = pipeline::collect(body, &parts.headers, LONGEST).await?;
    let bytes: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    let wrong = |problem: String| Refusal::Invalid { param: "body".to_owned(), problem };
    let text = std::str::from_utf8(bytes).map_err(|error| wrong(error.to_string()))?;
    serde_json::from_str(text).or_else(|error| {
        // Where it is wrong is looked for in a tree. That has no field twice: what is wrong with those is said as it is.
        let value: Value = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        named::<T>(value).and(Err(wrong(error.to_string())))
    })
}

/// Reads a value of ours; what is wrong with it is said with the path to it, such as `limits.rpm`.
fn named<T: DeserializeOwned>(value: Value) -> Result<T, Refusal> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let param = if path == "." { "body".to_owned() } else { path };
        Refusal::Invalid { param, problem: error.into_inner().to_string() }
    })
}

/// A value of the query.
fn query(parts: &Parts, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(parts.uri.query()?.as_bytes());
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// The shard that a call is about: `?shard=`, or the gateway's own.
fn shard(core: &Core, parts: &Parts) -> Result<ShardId, Refusal> {
    match query(parts, "shard") {
        None => Ok(core.settings.shard.clone()),
        Some(name) => shard_named(&name),
    }
}

fn shard_named(name: &str) -> Result<ShardId, Refusal> {
    let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if plain && (1..=24).contains(&name.len()) {
        return Ok(ShardId::new(name));
    }
    let problem = "expected 1 to 24 lower-case letters and digits".to_owned();
    Err(Refusal::Invalid { param: "shard".to_owned(), problem })
}

/// How many items a page has: `?limit=`, 100 unless said, 1,000 at the most.
fn page_size(parts: &Parts) -> Result<usize, Refusal> {
    match query(parts, "limit") {
        None => Ok(100),
        Some(text) => {
            text.parse().ok().filter(|limit| (1..=1_000).contains(limit)).ok_or_else(|| Refusal::Invalid {
                param: "limit".to_owned(),
                problem: "expected a number from 1 to 1000".to_owned(),
            })
        }
    }
}
