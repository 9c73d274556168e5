//! Operations other than conversations: what a target is sent, and how its answer is read.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use gatelet_wire::embed::{Embed, Vector};
use gatelet_wire::multipart::Form;
use gatelet_wire::operation::AnswerForm;
use gatelet_wire::{
    DialectId, Draft, Edit, Fields, Json, Loss, Malformed, Operation, Restore, Usage, imagen,
};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request};
use serde_json::Value;

use super::attempt::{Answer, Failed, commit, created, fail, no_answer, said};
use super::flow::{Flow, Waiting};
use super::lane::{Lane, Prepared, include_usage, take_addressed};
use super::receive::{Received, announced, collect, content_type};
use super::relay::Call;
use crate::policy::Target;
use crate::port::Body;
use crate::refusal::{Refusal, UpstreamFailure};
use crate::shared::Core;

pub(super) fn prepare(received: &Received<'_>, target: &Target) -> Result<Prepared, Refusal> {
    match received.arrived.operation {
        Operation::Embedding => embedding(received, target),
        Operation::TokenCount => token_count(received, target),
        Operation::Image if target.provider.dialect == DialectId::Gemini => picture(received, target),
        operation => match operation.path() {
            Some(path) if speaks(operation, target.provider.dialect) => plain(received, target, path.into()),
            Some(_) | None => Err(unknown(operation, target)),
        },
    }
}

/// Who knows the operations that have one form only.
fn speaks(operation: Operation, dialect: DialectId) -> bool {
    dialect == DialectId::Openai || (operation == Operation::Rerank && dialect == DialectId::Cohere)
}

/// Pictures at Google, who has words of its own for them.
fn picture(received: &Received<'_>, target: &Target) -> Result<Prepared, Refusal> {
    let path = target.provider.method(&target.model, imagen::method(&target.model));
    let mut loss = Loss::default();
    let edits = target.provider.edits_on(Operation::Image).next().is_some();
    let body = if edits {
        let (body, changes) = edited(Draft::from(&received.fields), received, target)?;
        loss = changes;
        body
    } else {
        received.arrived.body.clone()
    };
    let body = imagen::request(&body, &target.model, &mut loss)?.into();
    Ok(Prepared {
        path: path.ok_or_else(|| unknown(Operation::Image, target))?.into(),
        lane: Lane::Translated,
        body,
        loss,
        hide_usage: false,
        restore: Restore::default(),
        conversation: false,
    })
}

/// The request as it is, but for the model's name, and for the usage that a stream must tell.
fn plain(received: &Received<'_>, target: &Target, path: Cow<'static, str>) -> Result<Prepared, Refusal> {
    let arrived = received.arrived;
    let hide_usage = form(received).hide_usage;
    let edits = target.provider.edits_on(arrived.operation).next().is_some();
    if edits && let Some(boundary) = arrived.boundary() {
        let mut loss = Loss::default();
        let body = formed(received, target, boundary, &mut loss)?.into();
        let restore = Restore::default();
        return Ok(Prepared {
            path,
            lane: Lane::Edited,
            body,
            loss,
            hide_usage,
            restore,
            conversation: false,
        });
    }
    if edits {
        let mut draft = Draft::from(&received.fields);
        draft.set("model", Json::of(&&*target.model));
        if hide_usage {
            draft.set("stream_options", include_usage(&received.fields));
        }
        let (body, loss) = edited(draft, received, target)?;
        let restore = Restore::default();
        return Ok(Prepared {
            path,
            lane: Lane::Edited,
            body: body.into(),
            loss,
            hide_usage,
            restore,
            conversation: false,
        });
    }
    let body = match arrived.form() {
        Some(form) => form?.splice(&arrived.body, "model", &target.model).into(),
        None if received.asked.model == *target.model && !hide_usage => arrived.body.clone().into(),
        None => {
            let model = Json::of(&&*target.model);
            let usage = include_usage(&received.fields);
            let values = [("model", model.as_str()), ("stream_options", usage.as_str())];
            received.fields.splice(if hide_usage { &values } else { &values[..1] }).into()
        }
    };
    Ok(Prepared {
        path,
        lane: Lane::Verbatim,
        body,
        loss: Loss::default(),
        hide_usage,
        restore: Restore::default(),
        conversation: false,
    })
}

/// A form as its target wants it, as far as it has come. What an edit says of what no field can hold changes nothing.
fn formed(
    received: &Received<'_>,
    target: &Target,
    boundary: &str,
    loss: &mut Loss,
) -> Result<Vec<u8>, Refusal> {
    let arrived = received.arrived;
    let mut body = Form::read(boundary, &arrived.body)?.splice(&arrived.body, "model", &target.model);
    for edit in target.provider.edits_on(arrived.operation) {
        // Each change moves what stands behind it.
        let form = Form::read(boundary, &body)?;
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let put = |name: &str, value: &str| match form.text(&body, name) {
            Some(_) => form.splice(&body, name, value),
            None => Form::with(&body, boundary, name, value),
        };
        body = match edit {
            Edit::Drop(name) => {
                // The target's model is named by its address.
                if name != "model" && form.text(&body, name).is_some() {
                    loss.note(name.clone());
                }
                form.without(&body, name)
            }
            Edit::Set(name, value) => put(name, &text(value)),
            Edit::Default(name, value) if form.text(&body, name).is_none() => put(name, &text(value)),
            Edit::Replace(name, from, to) if form.text(&body, name) == Some(&text(from)) => {
                put(name, &text(to))
            }
            Edit::Rename(from, to) | Edit::Move(from, to) => match form.text(&body, from) {
                Some(value) => Form::with(&form.without(&body, from), boundary, to, value),
                None => continue,
            },
            Edit::Default(..)
            | Edit::Replace(..)
            | Edit::RenameText(..)
            | Edit::Clamp(..)
            | Edit::Messages(_) => continue,
        };
    }
    Ok(body)
}

/// A request as its target wants it said.
fn edited(mut draft: Draft<'_>, received: &Received<'_>, target: &Target) -> Result<(Bytes, Loss), Refusal> {
    let edits: Vec<Edit> = target.provider.edits_on(received.arrived.operation).cloned().collect();
    let mut loss = Loss::default();
    take_addressed(&mut draft, &edits);
    draft.apply(&edits, &mut loss)?;
    Ok((draft.write().into(), loss))
}

/// Puts a form's own type into the request, and what has not been read of it after its beginning. None: that was sent
/// already.
pub(super) fn send_form(received: &Received<'_>, request: &mut Request<Body>) -> Option<()> {
    let arrived = received.arrived;
    let media = arrived.headers.get(CONTENT_TYPE)?.clone();
    request.headers_mut().insert(CONTENT_TYPE, media);
    if arrived.upload.is_spent() {
        return None;
    }
    let Some(Body::Stream(rest)) = arrived.upload.take() else { return Some(()) };
    let Body::Full(head) = std::mem::take(request.body_mut()) else { return None };
    // Another name for the model is longer or shorter by what the head is.
    if let Some(length) = announced(&arrived.headers) {
        let length = length.saturating_sub(arrived.body.len() as u64).saturating_add(head.len() as u64);
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    let head = futures_util::stream::iter([Ok(head)]);
    *request.body_mut() = Body::Stream(head.chain(rest).boxed());
    Some(())
}

/// Reads an answer of `target`, and writes it as the caller asked for it.
pub(super) async fn answer(
    core: &Arc<Core>,
    call: &mut Call<'_>,
    target: &Arc<Target>,
    lane: Lane,
    headers: &HeaderMap,
    body: Body,
    loss: Loss,
) -> Result<Answer, Failed> {
    let arrived = call.received.arrived;
    let operation = arrived.operation;
    let media = content_type(headers).unwrap_or_default().trim_start().to_ascii_lowercase();
    let json = media.starts_with("application/json") || media.is_empty();
    if media.starts_with("text/event-stream") && form(call.received).hide_usage {
        let flow = Flow::hiding(arrived.dialect, operation.tap()).stating(target);
        return commit(core, call, target, body.into_stream(), Box::new(flow), loss).await;
    }
    // Sound, subtitles and events pass as they come; what they are is in their type.
    let may_be_raw = matches!(
        operation,
        Operation::Speech
            | Operation::Transcription
            | Operation::Translation
            | Operation::Image
            | Operation::ImageEdit
            | Operation::Completion
    );
    if may_be_raw && !json {
        let flow = if media.starts_with("text/event-stream") {
            Flow::tap(arrived.dialect, operation.tap()).stating(target)
        } else {
            Flow::bytes(arrived.dialect)
        };
        call.books.first_content(core.ports.clock.now());
        let media = headers.get(CONTENT_TYPE).cloned();
        let waiting = Waiting::new();
        return Ok(Answer::Stream {
            upstream: body.into_stream(),
            flow: Box::new(flow),
            waiting,
            loss,
            media,
        });
    }
    let mut body = collect(body, headers, core.settings.answer_limit)
        .await
        .map_err(|_| fail(target, UpstreamFailure::Broken))?;
    call.books.came(core.ports.clock.now());
    if operation == Operation::Image && lane == Lane::Translated {
        let created = created(arrived.started);
        let written = imagen::answer(&body, created);
        body = written.map_err(|_| fail(target, UpstreamFailure::Malformed))?.into();
        if let Some(error) = DialectId::Openai.dialect().hidden_error(&body) {
            return Err(said(target, error, None));
        }
    }
    call.books.tally.state(target.stated.as_ref(), std::str::from_utf8(&body).unwrap_or_default());
    let read = match operation {
        Operation::Embedding => read_embedding(call.received, target, lane, &body).ok(),
        // A whole answer in JSON is no sound.
        Operation::Speech => None,
        Operation::TokenCount => Some((Usage::default(), body.clone())),
        operation => operation.usage(&body).map(|usage| (usage, body.clone())),
    };
    let Some((usage, body)) = read else { return Err(no_answer(target, &body)) };
    call.books.tally.counted(usage);
    call.books.first_content(core.ports.clock.now());
    Ok(Answer::Whole { body, loss })
}

/// How a conversation's tokens are counted, by those who speak its dialect.
fn token_count(received: &Received<'_>, target: &Target) -> Result<Prepared, Refusal> {
    let dialect = received.arrived.dialect;
    if dialect != target.provider.dialect {
        return Err(unknown(Operation::TokenCount, target));
    }
    let own = target.provider.count_path(&target.model);
    let path = match (dialect, own) {
        (_, Some(path)) => path.into(),
        (DialectId::Anthropic, None) => "/v1/messages/count_tokens".into(),
        (DialectId::OpenaiResponses, None) => "/responses/input_tokens".into(),
        (DialectId::Gemini, None) => format!("/models/{}:countTokens", target.model).into(),
        (DialectId::Bedrock, None) => {
            let path = dialect.dialect().path(&target.model, false);
            path.strip_suffix("converse")
                .map_or_else(String::new, |model| format!("{model}count-tokens"))
                .into()
        }
        _ => return Err(unknown(Operation::TokenCount, target)),
    };
    // Where the model is in the address alone, the body is what it is.
    if dialect.dialect().conventions().model_in_path {
        return Ok(Prepared {
            path,
            lane: Lane::Verbatim,
            body: received.arrived.body.clone().into(),
            loss: Loss::default(),
            hide_usage: false,
            restore: Restore::default(),
            conversation: false,
        });
    }
    plain(received, target, path)
}

/// A count that nobody made: a quarter of the bytes, and of the bound of images and files. None: the dialect has no
/// such operation.
pub(super) fn estimate(received: &Received<'_>, likely: u64) -> Option<Bytes> {
    let body = match received.arrived.dialect {
        DialectId::Anthropic => format!(r#"{{"input_tokens":{likely}}}"#),
        DialectId::OpenaiResponses => {
            format!(r#"{{"object":"response.input_tokens","input_tokens":{likely}}}"#)
        }
        DialectId::Gemini => format!(r#"{{"totalTokens":{likely}}}"#),
        DialectId::Bedrock => format!(r#"{{"inputTokens":{likely}}}"#),
        _ => return None,
    };
    Some(body.into())
}

fn embedding(received: &Received<'_>, target: &Target) -> Result<Prepared, Refusal> {
    let (caller, upstream) = pair(received, target)?;
    let mut loss = Loss::default();
    let fields = &received.fields;
    let same = received.arrived.dialect == target.provider.dialect;
    let form = form(received);
    let named = received.arrived.dialect.dialect().conventions().model_in_path;
    let prepared = |lane, path, body, loss| Prepared {
        path,
        lane,
        body,
        loss,
        hide_usage: false,
        restore: Restore::default(),
        conversation: false,
    };
    let edits = target.provider.edits_on(Operation::Embedding).next().is_some();
    if edits && same && !named {
        let mut draft = Draft::from(fields);
        draft.set("model", Json::of(&&*target.model));
        let (body, loss) = edited(draft, received, target)?;
        return Ok(prepared(Lane::Edited, upstream.path(&target.model, form), body.into(), loss));
    }
    if same && received.asked.model == *target.model {
        let path = upstream.path(&target.model, form);
        return Ok(prepared(Lane::Verbatim, path, received.arrived.body.clone().into(), loss));
    }
    // Those who name the model in the address name it in the body too, once for each input.
    if same && !named {
        let body = fields.splice(&[("model", Json::of(&&*target.model).as_str())]);
        return Ok(prepared(Lane::Verbatim, upstream.path(&target.model, form), body.into(), loss));
    }
    let request = caller.read_request(fields)?;
    let mut body: Bytes = upstream.write_request(&request, &target.model, &mut loss)?.into();
    if edits {
        let (changed, more) = edited(Draft::from(&Fields::read(&body)?), received, target)?;
        for item in more.items() {
            loss.note(item.to_owned());
        }
        body = changed;
    }
    let path = upstream.path(&target.model, AnswerForm::default());
    Ok(prepared(Lane::Translated, path, body.into(), loss))
}

fn read_embedding(
    received: &Received<'_>,
    target: &Target,
    lane: Lane,
    body: &Bytes,
) -> Result<(Usage, Bytes), Malformed> {
    let Ok((caller, upstream)) = pair(received, target) else {
        return Err(Malformed::field("body", "an answer"));
    };
    let response = upstream.read_response(body)?;
    let form = form(received);
    // There are servers that do not know base64 and answer with numbers; there are SDKs that ask for nothing else.
    let unpacked = form.base64 && response.vectors.iter().any(|vector| matches!(vector, Vector::Numbers(_)));
    let body = if lane == Lane::Translated || unpacked {
        caller.write_response(&response, form, &target.model)?.into()
    } else {
        body.clone()
    };
    Ok((response.usage, body))
}

/// What a whole answer says that it used, where its bytes travel on as they are.
pub(super) fn usage(operation: Operation, dialect: DialectId, body: &[u8]) -> Option<Usage> {
    match operation {
        Operation::Embedding => Some(dialect.dialect().embed()?.read_response(body).ok()?.usage),
        operation => operation.usage(body),
    }
}

/// The caller's words for embeddings, and the target's.
fn pair(
    received: &Received<'_>,
    target: &Target,
) -> Result<(&'static dyn Embed, &'static dyn Embed), Refusal> {
    let words = |dialect: DialectId| {
        dialect.dialect().embed().ok_or_else(|| unknown(received.arrived.operation, target))
    };
    Ok((words(received.arrived.dialect)?, words(target.provider.dialect)?))
}

fn form(received: &Received<'_>) -> AnswerForm {
    received.outline.as_ref().map(|outline| outline.answer).unwrap_or_default()
}

fn unknown(operation: Operation, target: &Target) -> Refusal {
    Refusal::OperationUnknown { target: target.to_string(), operation: operation.name() }
}
