//! Operations other than conversations: what a target is sent, and how its answer is read.

use std::sync::Arc;

use bytes::Bytes;
use gatelet_wire::embed::{Embed, Vector};
use gatelet_wire::operation::AnswerForm;
use gatelet_wire::{DialectId, Json, Loss, Malformed, Operation, Restore, Usage};
use http::HeaderMap;

use super::attempt::{Answer, Failed, fail, no_answer};
use super::lane::{Lane, Prepared};
use super::receive::{Received, collect};
use super::relay::Call;
use crate::policy::Target;
use crate::port::Body;
use crate::refusal::{Refusal, UpstreamFailure};
use crate::shared::Core;

pub(super) fn prepare(received: &Received<'_>, target: &Target) -> Result<Prepared, Refusal> {
    match received.arrived.operation {
        Operation::Embedding => embedding(received, target),
        operation => Err(unknown(operation, target)),
    }
}

/// Reads a whole answer of `target`, and writes it as the caller asked for it.
pub(super) async fn answer(
    core: &Arc<Core>,
    call: &mut Call<'_>,
    target: &Arc<Target>,
    lane: Lane,
    headers: &HeaderMap,
    body: Body,
    loss: Loss,
) -> Result<Answer, Failed> {
    let body = collect(body, headers, core.settings.answer_limit)
        .await
        .map_err(|_| fail(target, UpstreamFailure::Broken))?;
    let read = match call.received.arrived.operation {
        Operation::Embedding => read_embedding(call.received, target, lane, &body),
        _ => Err(Malformed::field("body", "an answer")),
    };
    let Ok((usage, body)) = read else { return Err(no_answer(target, &body)) };
    call.books.tally.counted(usage);
    call.books.first_content(core.ports.clock.now());
    Ok(Answer::Whole { body, loss })
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
    };
    if same && received.asked.model == *target.model {
        let path = upstream.path(&target.model, form);
        return Ok(prepared(Lane::Verbatim, path, received.arrived.body.clone(), loss));
    }
    // Those who name the model in the address name it in the body too, once for each input.
    if same && !named {
        let body = fields.splice(&[("model", Json::of(&&*target.model).as_str())]);
        return Ok(prepared(Lane::Verbatim, upstream.path(&target.model, form), body.into(), loss));
    }
    let request = caller.read_request(fields)?;
    let body = upstream.write_request(&request, &target.model, &mut loss)?;
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
        _ => None,
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
