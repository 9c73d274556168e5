//! Responses: an answer, and what can be asked of one that is kept.

mod background;
mod compact;
mod show;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join;
use futures_util::{StreamExt, stream};
use gatelet_wire::dialect::Addressed;
use gatelet_wire::json::string;
use gatelet_wire::{DialectId, Fields, Json, Operation};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use super::only;
use super::route::Responses;
use crate::domain::{Caller, RequestId, Timestamp};
use crate::pipeline::{self, Approach, Asking, Pins};
use crate::port::{Body, Broken, ByteStream};
use crate::refusal::Refusal;
use crate::responses::{Answer, Asked, Conversation, Patch, Shelf, Watch};
use crate::shared::Core;

pub(super) async fn answer(
    core: &Arc<Core>,
    id: RequestId,
    now: Timestamp,
    asked: Responses<'_>,
    parts: Parts,
    body: Body,
) -> Result<Response<Body>, Refusal> {
    let (shelf, caller) = shelf(core, now, &parts).await?;
    match asked {
        Responses::Create => {
            only(&parts.method, &Method::POST)?;
            create(core, id, now, shelf, &caller, parts, body).await
        }
        Responses::Compact => {
            only(&parts.method, &Method::POST)?;
            compact::compact(core, id, now, &shelf, parts, body).await
        }
        Responses::One(answer) if parts.method == Method::DELETE => {
            background::cancelled(core, &shelf, answer, now).await?;
            show::delete(&shelf, answer, now).await
        }
        Responses::One(answer) => {
            only(&parts.method, &Method::GET)?;
            show::show(core, &shelf, answer, now, &parts).await
        }
        Responses::Cancel(answer) => {
            only(&parts.method, &Method::POST)?;
            background::cancel(core, &shelf, answer, now).await
        }
        Responses::Input(answer) => {
            only(&parts.method, &Method::GET)?;
            show::input(&shelf, answer, now, &parts).await
        }
    }
}

/// What the caller's key keeps, and who that is. The key is judged first: a stranger costs nothing.
async fn shelf(core: &Core, now: Timestamp, parts: &Parts) -> Result<(Shelf, Arc<Caller>), Refusal> {
    let token = pipeline::token(core, parts)?;
    let approach = Approach::of(core, parts, Operation::Chat.name());
    let caller = pipeline::known(core, &token, now, approach).await?;
    Ok((Shelf::of(&core.ports, &token), caller))
}

/// A request that has come whole.
async fn whole(core: &Core, headers: &HeaderMap, body: Body) -> Result<Bytes, Refusal> {
    let body = std::pin::pin!(pipeline::collect(body, headers, core.settings.body_limit));
    pipeline::within(core, core.settings.deadline, body).await.ok_or(Refusal::Timeout)?
}

fn asking() -> Asking {
    Asking {
        operation: Operation::Chat,
        dialect: DialectId::OpenaiResponses,
        addressed: Addressed::default(),
    }
}

async fn create(
    core: &Arc<Core>,
    id: RequestId,
    now: Timestamp,
    shelf: Shelf,
    caller: &Caller,
    mut parts: Parts,
    body: Body,
) -> Result<Response<Body>, Refusal> {
    let mut body = whole(core, &parts.headers, body).await?;
    // What a prompt says is a part of the conversation that is gone on from later.
    let mut asking = asking();
    let said = pipeline::said(core, caller, &mut asking, &parts.headers, &body).await?;
    if let Some((spoken, said)) = said {
        body = spoken;
        parts.extensions.insert(Arc::new(said));
    }
    let (asked, conversation) = {
        let fields = Fields::read(&body)?;
        let asked = Asked::read(&fields)?;
        let conversation = Conversation::read(&fields, &asked, &shelf, now).await?;
        (asked, conversation)
    };
    let Conversation { items, body: spoken } = conversation;
    let body = spoken.map_or(body, Bytes::from);
    let inside = {
        let policy = core.policy();
        Pins::of(&policy, caller).keep_in(policy.responses_region())
    };
    if asked.background {
        if !inside {
            return Err(Refusal::Invalid {
                param: "background".to_owned(),
                problem:
                    "what is made in the background is kept, which your key's `residency` does not allow here"
                        .to_owned(),
            });
        }
        return background::begin(core, id, now, shelf, parts, &body, &asked, items).await;
    }
    let size: usize = items.iter().map(|item| item.as_str().len()).sum();
    let keeps = asked.store && inside && size <= Shelf::LONGEST;
    let patch = Patch { previous: asked.previous.clone(), ..Patch::default() };
    let mut response = pipeline::serve(core, id, now, asking, parts, Body::Full(body)).await?;
    if asked.store && !keeps {
        not_kept(response.headers_mut());
    }
    if !keeps && patch.is_empty() {
        return Ok(response);
    }
    let keeper = keeps.then(|| Keeper { shelf, items, until: now.after(Shelf::TIME), background: false });
    let (mut head, body) = response.into_parts();
    let body = match body {
        Body::Full(bytes) => {
            let (bytes, kept) = finished(bytes, &patch, keeper).await;
            if !kept {
                not_kept(&mut head.headers);
            }
            Body::Full(bytes)
        }
        body @ (Body::Pieces(_) | Body::Stream(_)) => {
            Body::Stream(watched(body.into_stream(), patch, keeper))
        }
        Body::Empty => Body::Empty,
    };
    Ok(Response::from_parts(head, body))
}

/// Says that the caller cannot go on from this answer by its id.
fn not_kept(head: &mut HeaderMap) {
    let before = head.get("x-gatelet-loss").and_then(|value| value.to_str().ok());
    let value = before.map_or_else(|| "store".to_owned(), |before| format!("{before}, store"));
    if let Ok(value) = HeaderValue::try_from(value) {
        head.insert("x-gatelet-loss", value);
    }
}

/// Keeps one answer.
#[derive(Debug)]
struct Keeper {
    shelf: Shelf,
    items: Vec<Json>,
    until: Timestamp,
    background: bool,
}

impl Keeper {
    /// Whether it is kept.
    async fn keep(self, response: Json) -> bool {
        let id = Fields::of(response.as_ref(), "response")
            .ok()
            .and_then(|fields| fields.present("id").and_then(string).map(String::from));
        let Some(id) = id else { return false };
        let foreign = crate::responses::foreign_items(&response, &id);
        let answer = Answer::new(response, self.items, self.background);
        let (kept, items) =
            join(self.shelf.keep(&id, &answer, self.until), self.shelf.keep_items(&foreign, self.until))
                .await;
        kept.is_ok() && items.is_ok()
    }
}

/// A whole answer, as it is said and kept; and whether it is.
async fn finished(bytes: Bytes, patch: &Patch, keeper: Option<Keeper>) -> (Bytes, bool) {
    let Ok(fields) = Fields::read(&bytes) else { return (bytes, keeper.is_none()) };
    let bytes = if patch.is_empty() { bytes.clone() } else { patch.apply(&fields).into() };
    let Some(keeper) = keeper else { return (bytes, true) };
    let response = std::str::from_utf8(&bytes).ok().and_then(|text| Json::parse(text).ok());
    let kept = match response {
        Some(response) => keeper.keep(response).await,
        None => false,
    };
    (bytes, kept)
}

/// An answer's stream. Its last event leaves when the answer is kept, so that whoever has read it can go on from it.
fn watched(upstream: ByteStream, patch: Patch, keeper: Option<Keeper>) -> ByteStream {
    struct Relayed {
        upstream: ByteStream,
        watch: Watch,
        keeper: Option<Keeper>,
        over: bool,
    }
    let state = Relayed { upstream, watch: Watch::new(patch), keeper, over: false };
    let next = |mut state: Relayed| async move {
        if state.over {
            return None;
        }
        let broken = |_| Broken("the stream cannot be read".to_owned());
        let (bytes, seen) = match state.upstream.next().await {
            Some(Ok(chunk)) => match state.watch.push(&chunk) {
                Ok(pushed) => pushed,
                Err(malformed) => {
                    state.over = true;
                    return Some((Err(broken(malformed)), state));
                }
            },
            Some(Err(error)) => return Some((Err(error), state)),
            None => {
                state.over = true;
                state.watch.finish().unwrap_or_default()
            }
        };
        if let Some(answer) = seen.answer
            && let Some(keeper) = state.keeper.take()
        {
            // Should it fail, the caller still has its answer; what it cannot do is to go on by its id.
            let _ = keeper.keep(answer).await;
        }
        Some((Ok(bytes), state))
    };
    stream::unfold(state, next)
        .filter(|piece| {
            let says = piece.as_ref().map_or(true, |bytes| !bytes.is_empty());
            std::future::ready(says)
        })
        .boxed()
}

/// An object as an answer.
fn object(status: StatusCode, bytes: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::Full(bytes.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
