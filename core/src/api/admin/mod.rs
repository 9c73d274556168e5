//! The admin API: one resource a file.

mod archive;
mod audit;
mod bulk;
mod cache;
mod call;
mod ceilings;
mod credentials;
mod dependents;
mod documents;
mod erasures;
mod explain;
mod guards;
mod keys;
mod once;
#[cfg(feature = "schema")]
pub mod openapi;
mod prompts;
mod read;
mod requests;
mod routes;
mod scopes;
mod spend;
mod targets;

use bytes::Bytes;
use gatelet_wire::{Json, SmallMap};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use super::reply;
use crate::domain::key::KeyState;
use crate::domain::{Principal, Resource, Timestamp, Verb};
use crate::pipeline;
use crate::port::Body;
use crate::refusal::Refusal;
use crate::shared::Core;

use call::{Call, Dice};
use read::{LONGEST, named, once, read};
use routes::{Answer, Found};

/// Finds who answers under `/admin/v1`, for whom, and whether they may.
pub(super) async fn answer(
    core: &Core,
    now: Timestamp,
    parts: &Parts,
    body: Body,
    path: &[&str],
) -> Result<Response<Body>, Refusal> {
    // A stranger learns nothing of what is here.
    let principal = match call::principal(core, now, parts, path).await {
        Ok(principal) => principal,
        Err(refusal) => {
            if !matches!(refusal, Refusal::Internal(_)) {
                audit::refused(core, now, parts, None, &refusal).await;
            }
            return Err(refusal);
        }
    };
    let answered = Box::pin(permitted(core, now, parts, body, path, principal.clone())).await;
    if let Err(refusal @ Refusal::Forbidden { .. }) = &answered {
        audit::refused(core, now, parts, Some(&principal), refusal).await;
    }
    answered
}

/// Whether whoever calls may do something to the gateway as a whole.
pub(super) async fn judged(
    core: &Core,
    now: Timestamp,
    parts: &Parts,
    resource: Resource,
    verb: Verb,
) -> Result<(), Refusal> {
    let principal = call::principal(core, now, parts, &[]).await?;
    call::permit(principal, resource, verb).map(drop)
}

async fn permitted(
    core: &Core,
    now: Timestamp,
    parts: &Parts,
    body: Body,
    path: &[&str],
    principal: Principal,
) -> Result<Response<Body>, Refusal> {
    let found = routes::find(&parts.method, path, parts.uri.path())?;
    let mut seed = [0; 32];
    core.ports.chance.fill(&mut seed);
    let dice = Dice::new(seed);
    let call = Call::of(core, now, parts, principal, &found, &dice)?;
    let named = if parts.method == Method::POST { once::key(&call)? } else { None };
    let Some(key) = named else { return Box::pin(done(&call, &found, body)).await };
    let body = pipeline::collect(body, &parts.headers, LONGEST).await?;
    match once::Once::begin(&call, &key, &body).await? {
        once::Made::Before(response) => Ok(response),
        once::Made::Now(once, dice, now) => {
            let call = Call { dice: &dice, now, ..call };
            let answered = Box::pin(done(&call, &found, Body::Full(body))).await;
            once.end(&call, answered).await
        }
    }
}

async fn done(call: &Call<'_>, found: &Found<'_>, body: Body) -> Result<Response<Body>, Refusal> {
    let (parts, id, kind) = (call.parts, &*found.id, found.kind);
    match found.row.answer {
        Answer::CreateKey => keys::create(call, read(parts, body).await?).await,
        Answer::ListKeys => keys::list(call).await,
        Answer::ShowKey => keys::show(call, id).await,
        Answer::UpdateKey => keys::update(call, id, read(parts, body).await?).await,
        Answer::RevokeKey => keys::set_state(call, id, KeyState::Revoked).await,
        Answer::BlockKey => keys::set_state(call, id, KeyState::Blocked).await,
        Answer::UnblockKey => keys::set_state(call, id, KeyState::Active).await,
        Answer::RotateKey => keys::rotate(call, id, body).await,
        Answer::PairKey => keys::pair(call, id).await,
        Answer::UnpairKey => keys::unpair(call, id).await,
        Answer::CreateScope => scopes::create(call, kind, read(parts, body).await?).await,
        Answer::ListScopes => scopes::list(call, kind).await,
        Answer::ShowScope => scopes::show(call, kind, id).await,
        Answer::UpdateScope => scopes::update(call, kind, id, read(parts, body).await?).await,
        Answer::DeleteScope => scopes::delete(call, kind, id).await,
        Answer::Bulk => bulk::answer(call, found.resource, read(parts, body).await?).await,
        Answer::ListArchive => archive::list(call).await,
        Answer::ShowArchived => archive::show(call, &found.rest.join("/")).await,
        Answer::CreateCredential => credentials::create(call, body).await,
        Answer::ListCredentials => credentials::list(call).await,
        Answer::ShowCredential => credentials::show(call, id).await,
        Answer::ReplaceCredential => credentials::replace(call, id, body).await,
        Answer::DeleteCredential => credentials::delete(call, id).await,
        Answer::Reseal => credentials::reseal(call).await,
        Answer::CreatePrompt => prompts::create(call, read(parts, body).await?).await,
        Answer::ListPrompts => prompts::list(call).await,
        Answer::ShowPrompt => prompts::show(call, id).await,
        Answer::UpdatePrompt => prompts::update(call, id, read(parts, body).await?).await,
        Answer::DeletePrompt => prompts::delete(call, id).await,
        Answer::Spend => spend::show(call).await,
        Answer::Audit => audit::list(call).await,
        Answer::ListRequests => requests::list(call).await,
        Answer::ShowRequest => requests::show(call, id).await,
        Answer::Score => requests::score(call, id, body).await,
        Answer::Erase => erasures::create(call, read(parts, body).await?).await,
        Answer::ListErasures => erasures::list(call).await,
        Answer::Targets => targets::list(call).await,
        Answer::Describe => Ok(openapi()),
        Answer::Explain => explain::explain(call, body).await,
        Answer::PurgeCache => cache::purge(call, read(parts, body).await?).await,
        Answer::TestGuard => guards::test(call, id, read(parts, body).await?).await,
        Answer::Tick => {
            let ticked = super::tick(call.core).await?;
            Ok(reply(
                StatusCode::OK,
                &json!({ "archived": ticked.archived, "told": ticked.told, "passed_on": ticked.passed_on }),
            ))
        }
    }
}

/// `GET /admin/v1/openapi.json`: what [`openapi`](mod@openapi) makes of the routes, without its spaces.
fn openapi() -> Response<Body> {
    let mut response = Response::new(Body::Full(Bytes::from_static(include_bytes!(concat!(
        env!("OUT_DIR"),
        "/openapi.json"
    )))));
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}

/// A page of a list, by its name, and where the next one begins.
fn page(name: &str, items: &impl Serialize, next: Option<&str>) -> Response<Body> {
    reply(StatusCode::OK, &SmallMap::from([(name, Json::of(items)), ("next", Json::of(&next))]))
}

/// Puts into an answer what is no part of the document itself, such as what is shown once.
fn amend(response: &mut Response<Body>, edit: impl FnOnce(&mut Value)) {
    let mut view = shown(response);
    edit(&mut view);
    *response.body_mut() = Body::from(serde_json::to_vec(&view).unwrap_or_default());
}

/// What an answer of ours shows.
fn shown(response: &Response<Body>) -> Value {
    let Body::Full(bytes) = response.body() else { return Value::Null };
    gatelet_wire::json::read(bytes).unwrap_or_default()
}
