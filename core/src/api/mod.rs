//! The route table, and thin handlers: decode, call, encode.

pub(crate) mod admin;
mod health;
mod models;

use std::sync::Arc;

use gatelet_wire::DialectId;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use serde::Serialize;

use crate::domain::{RequestId, Timestamp};
use crate::pipeline;
use crate::port::{Body, Fault};
use crate::record;
use crate::refusal::Refusal;
use crate::shared::{Core, Ticked};

/// Finds who answers.
pub(crate) async fn answer(
    core: &Arc<Core>,
    id: RequestId,
    now: Timestamp,
    request: Request<Body>,
) -> Result<Response<Body>, Refusal> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    match segments.as_slice() {
        ["v1", "chat", "completions"] | ["chat", "completions"] => {
            only(&parts.method, &Method::POST)?;
            pipeline::chat(core, id, now, DialectId::Openai, parts, body).await
        }
        ["v1", "messages"] | ["anthropic", "v1", "messages"] => {
            only(&parts.method, &Method::POST)?;
            pipeline::chat(core, id, now, DialectId::Anthropic, parts, body).await
        }
        ["v1", "models"] | ["models"] | ["anthropic", "v1", "models"] => {
            only(&parts.method, &Method::GET)?;
            models::list(core, now, &parts).await
        }
        ["v1" | "anthropic", "models", model @ ..] | ["anthropic", "v1", "models", model @ ..] => {
            only(&parts.method, &Method::GET)?;
            models::show(core, now, &parts, &model.join("/")).await
        }
        ["health", "live"] => Ok(health::live()),
        ["health", "ready"] => health::ready(core).await,
        ["admin", "v1", rest @ ..] => admin::answer(core, now, &parts, body, rest).await,
        [] => Ok(health::hello()),
        _ => Err(Refusal::NoRoute { path: path.clone() }),
    }
}

/// The dialect in which a refusal of this request is said.
pub(crate) fn dialect_of(request: &Request<Body>) -> DialectId {
    let path = request.uri().path();
    let anthropic = path.ends_with("/messages")
        || path.starts_with("/anthropic/")
        || request.headers().contains_key("anthropic-version");
    if anthropic { DialectId::Anthropic } else { DialectId::Openai }
}

/// Archives what waits in every shard's outbox.
pub(crate) async fn tick(core: &Core) -> Result<Ticked, Fault> {
    let mut ticked = Ticked::default();
    for shard in core.ports.ledger.shards().await? {
        ticked.archived += record::drain(&core.ports, &shard).await?;
    }
    Ok(ticked)
}

fn only(method: &Method, allowed: &Method) -> Result<(), Refusal> {
    if method == allowed {
        return Ok(());
    }
    Err(Refusal::WrongMethod { allow: if allowed == Method::GET { "GET" } else { "POST" } })
}

fn reply(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    let mut response = Response::new(Body::from(serde_json::to_vec(body).unwrap_or_default()));
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
