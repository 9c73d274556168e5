//! Answers that are made when their request is answered already.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::{AbortHandle, Abortable};
use gatelet_wire::dialect::{EncoderOptions, openai_responses};
use gatelet_wire::json::string;
use gatelet_wire::{DialectId, Fields, Json};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};

use super::{Keeper, asking, object, show};
use crate::domain::{RequestId, Timestamp};
use crate::pipeline;
use crate::port::Body;
use crate::refusal::Refusal;
use crate::responses::{Answer, Asked, Patch, Run, Shelf, Watch};
use crate::shared::Core;

#[expect(clippy::too_many_arguments, reason = "all that is known of a request goes on without it")]
pub(super) async fn begin(
    core: &Arc<Core>,
    request: RequestId,
    now: Timestamp,
    shelf: Shelf,
    parts: Parts,
    body: &Bytes,
    asked: &Asked,
    items: Vec<Json>,
) -> Result<Response<Body>, Refusal> {
    if !core.settings.background {
        return Err(Refusal::Invalid {
            param: "background".to_owned(),
            problem: "this gateway's host does nothing after its answer: leave it out, and stream instead"
                .to_owned(),
        });
    }
    if items.iter().map(|item| item.as_str().len()).sum::<usize>() > Shelf::LONGEST {
        return Err(Refusal::BodyTooLarge { most: Shelf::LONGEST });
    }
    let id = request.as_str().replacen("req_", "resp_", 1);
    let patch = Patch { id: Some(id.clone()), previous: asked.previous.clone(), background: true };
    let (promised, spoken) = {
        let fields = Fields::read(body)?;
        let model = fields.present("model").and_then(string).unwrap_or_default();
        let promised = promise(&request, now, body, &model, &patch);
        (promised, Bytes::from(fields.splice(&[("background", "false"), ("stream", "true")])))
    };
    let until = now.after(Shelf::TIME);
    let keeper = Keeper { shelf, items, until, background: true };
    keeper.shelf.keep(&id, &Answer::new(promised.clone(), keeper.items.clone(), true), until).await?;

    let (home, streams) = (keeper.shelf.home().to_owned(), asked.stream);
    let (abort, registration) = AbortHandle::new_pair();
    let Some(run) = core.runs.begin(&home, &id, abort) else {
        keeper.shelf.discard(&id).await?;
        return Err(Refusal::Invalid {
            param: "background".to_owned(),
            problem: "too many answers are made in the background: try again later".to_owned(),
        });
    };
    let work = Work {
        core: core.clone(),
        request,
        now,
        parts,
        spoken,
        patch,
        run: run.clone(),
        promised: promised.clone(),
        keeper,
        id,
    };
    let work = Abortable::new(Box::pin(work.run()), registration);
    core.ports.defer.defer(Box::pin(async move {
        let _ = work.await;
    }));
    if streams {
        let mut response = Response::new(Body::Stream(run.read().boxed()));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        return Ok(response);
    }
    Ok(object(StatusCode::OK, promised.as_str().to_owned()))
}

/// The answer as it is promised.
fn promise(request: &RequestId, now: Timestamp, body: &Bytes, model: &str, patch: &Patch) -> Json {
    let options = EncoderOptions {
        created: u64::try_from(now.seconds()).unwrap_or(0),
        id: Some(request.as_str().to_owned()),
        echo: DialectId::OpenaiResponses.dialect().echo(body),
        ..EncoderOptions::default()
    };
    let begun = openai_responses::begun(options, model);
    with(&begun, |fields| patch.apply(fields))
}

/// A changed object; the same if it is none.
fn with(response: &Json, change: impl FnOnce(&Fields<'_>) -> Vec<u8>) -> Json {
    let changed = Fields::of(response.as_ref(), "response")
        .ok()
        .and_then(|fields| String::from_utf8(change(&fields)).ok().and_then(|text| Json::parse(&text).ok()));
    changed.unwrap_or_else(|| response.clone())
}

struct Work {
    core: Arc<Core>,
    request: RequestId,
    now: Timestamp,
    parts: Parts,
    spoken: Bytes,
    patch: Patch,
    run: Arc<Run>,
    promised: Json,
    keeper: Keeper,
    id: String,
}

impl Work {
    async fn run(self) {
        let Self { core, request, now, parts, spoken, patch, run, promised, keeper, id } = self;
        let home = keeper.shelf.home().to_owned();
        let told = pipeline::serve(&core, request.clone(), now, asking(), parts, Body::Full(spoken)).await;
        let answer = match told {
            Ok(response) => follow(response.into_body(), patch, &run).await,
            Err(refusal) => {
                let public = refusal.public(&request);
                Err((public.code.into_owned(), public.message))
            }
        };
        let answer = answer.unwrap_or_else(|(code, message)| {
            let error = Json::of(&serde_json::json!({ "code": code, "message": message }));
            with(&promised, |fields| fields.splice(&[("status", "\"failed\""), ("error", error.as_str())]))
        });
        // Whoever was quicker to cancel it has said how it ended.
        if core.runs.get(&home, &id).is_some() {
            let _ = keeper.keep(answer).await;
            core.runs.end(&home, &id);
        }
        run.finish();
    }
}

/// Follows an answer to its end; or says the code and the words of its error.
async fn follow(body: Body, patch: Patch, run: &Run) -> Result<Json, (String, String)> {
    let failed = || ("server_error".to_owned(), "the answer broke off".to_owned());
    let mut watch = Watch::new(patch);
    let mut ended = Err(failed());
    let mut take = |bytes: Bytes, seen: crate::responses::Seen| {
        // Event by event, so that a reader can begin at any.
        let text = String::from_utf8_lossy(&bytes).into_owned();
        text.split_inclusive("\n\n").for_each(|event| run.say(Bytes::from(event.to_owned())));
        if let Some(answer) = seen.answer {
            ended = Ok(answer);
        } else if let Some(error) = seen.error {
            ended = Err(words(&error).unwrap_or_else(failed));
        }
    };
    match body {
        Body::Stream(mut upstream) => {
            while let Some(Ok(chunk)) = upstream.next().await {
                let Ok((bytes, seen)) = watch.push(&chunk) else { break };
                take(bytes, seen);
            }
            if let Ok((bytes, seen)) = watch.finish() {
                take(bytes, seen);
            }
        }
        Body::Full(_) | Body::Pieces(_) | Body::Empty => {}
    }
    ended
}

fn words(error: &Json) -> Option<(String, String)> {
    let fields = Fields::of(error.as_ref(), "error").ok()?;
    let text = |name: &str| fields.present(name).and_then(string).map(String::from);
    Some((text("code").unwrap_or_else(|| "server_error".to_owned()), text("message")?))
}

fn status(answer: &Answer) -> Option<String> {
    let fields = Fields::of(answer.response.as_ref(), "response").ok()?;
    fields.present("status").and_then(string).map(String::from)
}

fn is_open(answer: &Answer) -> bool {
    matches!(status(answer).as_deref(), Some("queued" | "in_progress"))
}

/// An answer as it is kept. One that nobody makes any more, because its process ended, has failed.
pub(super) async fn settled(core: &Core, shelf: &Shelf, id: &str, now: Timestamp) -> Result<Answer, Refusal> {
    let running = core.runs.get(shelf.home(), id).is_some();
    let mut answer = show::get(shelf, id, now).await?;
    if is_open(&answer) {
        answer.response = if running {
            with(&answer.response, |fields| fields.splice(&[("status", "\"in_progress\"")]))
        } else {
            let error =
                r#"{"code":"server_error","message":"the gateway was restarted while it made this answer"}"#;
            with(&answer.response, |fields| fields.splice(&[("status", "\"failed\""), ("error", error)]))
        };
    }
    Ok(answer)
}

/// Stops an answer in the making, if it is one.
pub(super) async fn cancelled(core: &Core, shelf: &Shelf, id: &str, now: Timestamp) -> Result<(), Refusal> {
    let Some(run) = core.runs.end(shelf.home(), id) else { return Ok(()) };
    run.cancel();
    let mut answer = show::get(shelf, id, now).await?;
    answer.response = with(&answer.response, |fields| fields.splice(&[("status", "\"cancelled\"")]));
    shelf.keep(id, &answer, now.after(Shelf::TIME)).await?;
    Ok(())
}

pub(super) async fn cancel(
    core: &Core,
    shelf: &Shelf,
    id: &str,
    now: Timestamp,
) -> Result<Response<Body>, Refusal> {
    let answer = show::get(shelf, id, now).await?;
    if !answer.background {
        return Err(Refusal::Invalid {
            param: "response_id".to_owned(),
            problem: "only what is made in the background can be cancelled".to_owned(),
        });
    }
    cancelled(core, shelf, id, now).await?;
    let answer = settled(core, shelf, id, now).await?;
    Ok(object(StatusCode::OK, answer.response.as_str().to_owned()))
}
