//! The models that a key may call.

use std::sync::Arc;

use http::request::Parts;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::reply;
use crate::domain::Timestamp;
use crate::domain::account::Document;
use crate::pipeline;
use crate::policy::Resolution;
use crate::port::Body;
use crate::refusal::Refusal;
use crate::shared::Core;

/// `GET /v1/models`, in the form of the vendor whose SDK asks.
pub(super) async fn list(core: &Core, now: Timestamp, parts: &Parts) -> Result<Response<Body>, Refusal> {
    let document = caller(core, now, parts).await?;
    let names = core.policy().names();
    let mine = names.iter().filter(|name| pipeline::may_call(&document, name));
    let anthropic = parts.headers.contains_key("anthropic-version");
    let data: Vec<Value> = mine.map(|name| model(name, anthropic)).collect();
    let body = if anthropic {
        json!({ "has_more": false, "first_id": data.first().map(|model| &model["id"]),
            "last_id": data.last().map(|model| &model["id"]), "data": data })
    } else {
        json!({ "object": "list", "data": data })
    };
    Ok(reply(StatusCode::OK, &body))
}

/// `GET /v1/models/{id}`.
pub(super) async fn show(
    core: &Core,
    now: Timestamp,
    parts: &Parts,
    name: &str,
) -> Result<Response<Body>, Refusal> {
    let document = caller(core, now, parts).await?;
    match core.policy().resolve(name) {
        Resolution::Found(_) if pipeline::may_call(&document, name) => {
            Ok(reply(StatusCode::OK, &model(name, parts.headers.contains_key("anthropic-version"))))
        }
        Resolution::Found(_) => Err(Refusal::ModelForbidden { model: name.to_owned() }),
        Resolution::Unknown { near } => {
            let near = near.into_iter().filter(|name| pipeline::may_call(&document, name)).collect();
            Err(Refusal::ModelUnknown { model: name.to_owned(), near })
        }
    }
}

/// Who asks. Nothing is held for a list, so the key is read anew: a revoked one dies here at once, too.
async fn caller(core: &Core, now: Timestamp, parts: &Parts) -> Result<Arc<Document>, Refusal> {
    let token = pipeline::token(parts)?;
    let document = pipeline::read(core, &token.shard, &token.id).await?;
    pipeline::check(&document, &token, now)?;
    Ok(document)
}

fn model(name: &str, anthropic: bool) -> Value {
    if anthropic {
        json!({ "type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z" })
    } else {
        json!({ "id": name, "object": "model", "created": 0, "owned_by": "gatelet" })
    }
}
