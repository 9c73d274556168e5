//! Calls of a provider's own interface: whatever it is, as it is, through the same stages and books.

mod words;

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use gatelet_wire::{Loss, Operation, Usage};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};

use self::words::Tail;
use super::admit::Admitted;
use super::attempt::{failure, within};
use super::books::{Books, Ending};
use super::flow::{Flow, Waiting};
use super::headers::{self, Head};
use super::receive::{Received, collect};
use super::route::blame;
use super::stream::{Committed, Relay};
use super::task;
use crate::domain::Timestamp;
use crate::policy::{Passthrough, Provider, Target};
use crate::port::{Body, Fault, FaultKind, Reach, Signer};
use crate::refusal::{Refusal, UpstreamFailure};
use crate::registry::Kind;
use crate::route::Blame;
use crate::shared::Core;

/// Where a call of a provider's own interface goes. Method, path and query are the caller's.
#[derive(Clone, Debug)]
pub(super) struct Native {
    pub(super) provider: Arc<Provider>,
    method: Method,
    uri: Uri,
}

impl Native {
    /// `rest` is what follows the provider's name in the path.
    ///
    /// # Errors
    /// The interface is closed, or the address is not below the provider's base, or not for one request alone.
    pub(super) fn read(
        provider: Arc<Provider>,
        rest: &str,
        parts: &Parts,
        key: &str,
    ) -> Result<Self, Refusal> {
        if provider.passthrough == Passthrough::Off || provider.kind == Kind::BuiltIn {
            return Err(Refusal::NoRoute { path: parts.uri.path().to_owned() });
        }
        if parts.headers.contains_key(http::header::UPGRADE) || parts.method == Method::CONNECT {
            return Err(Refusal::UpgradeUnsupported);
        }
        let tail = Tail::read(provider.below(rest))?;
        let query = words::query(parts, key).map(|query| format!("?{query}")).unwrap_or_default();
        let uri = format!("{}{}{query}", provider.base, tail.as_str());
        let uri = Uri::try_from(uri).map_err(|_| Refusal::NoRoute { path: parts.uri.path().to_owned() })?;
        Ok(Self { provider, method: parts.method.clone(), uri })
    }
}

/// The one attempt. Whatever the provider says is the caller's, its errors too.
pub(super) async fn relay(core: &Arc<Core>, admitted: Admitted<'_>) -> Result<Response<Body>, Refusal> {
    let Admitted { received, model, plan, mut books, headroom, marks, .. } = admitted;
    books.marked(&marks);
    let started = core.ports.clock.now();
    let total = model.timeouts.total.min(core.settings.deadline);
    let total = received.arrived.knobs.timeout.map_or(total, |asked| asked.min(total));
    let deadline = received.arrived.started.after(total);
    let target = &plan.asked.front().ok_or(Refusal::Timeout)?.target;
    let proven = target.provider.prove(&core.ports).await;
    let request = request(&*core.ports.signer, &received, target, started).await;
    let request = request.ok_or_else(|| unreachable(target))?;
    books.attempt(target, "native", None, &Loss::default(), started);
    let reach = if target.provider.allow_private { Reach::Private } else { Reach::Public };
    let sent = match proven {
        Ok(()) => {
            let sent = pin!(core.upstream(target).send(request, reach));
            within(core, deadline.since(started), sent).await
        }
        // Whatever the credential lacks, its provider cannot be asked with it.
        Err(unproven) => Some(Err(Fault::new(FaultKind::Denied, "credential", unproven.to_string()))),
    };
    let answer = match sent {
        Some(Ok(answer)) => Ok(answer),
        Some(Err(fault)) => Err(failure(fault.kind)),
        None => Err(UpstreamFailure::TimedOut),
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(failure) => {
            let refusal = Refusal::UpstreamFailed { target: target.to_string(), failure };
            let now = core.ports.clock.now();
            books.failed(refusal.code(), blame(&refusal, now), now);
            let status = refusal.public(&received.arrived.id).status;
            books.close(Ending::refused(&refusal, status)).await.map_err(Refusal::Internal)?;
            return Err(refusal);
        }
    };
    let (parts, body) = answer.into_parts();
    books.head(parts.status.as_u16(), core.ports.clock.now());
    let mut head = Head::over(words::back(&parts.headers));
    if !parts.status.is_success() {
        words::hide(&mut head.map, &target.provider.shown());
    }
    headers::limits(&mut head, received.arrived.dialect, &headroom, core.ports.clock.now());
    headers::served(&mut head, target, None, &marks);
    let status = parts.status;
    if !status.is_success() {
        // Which path a caller takes is its own affair: only what any path would say is held against the provider.
        let blame = match status.as_u16() {
            429 => Blame::Limited { until: None },
            500.. => Blame::Provider,
            _ => Blame::Caller,
        };
        books.failed("upstream_error", blame, core.ports.clock.now());
    }
    let body = match count(core, &received, target, &mut books, status, &parts.headers, body).await {
        Ok(Counted::Whole(body)) => {
            let now = core.ports.clock.now();
            books.came(now);
            books.first_content(now);
            if let Body::Full(bytes) = &body {
                books.sent(bytes.len());
                if let Some(keeper) = books.keeper().filter(|_| status.is_success()) {
                    keeper.answered(bytes, false);
                }
            }
            let _ = books.close(Ending::done(status.as_u16())).await;
            headers::cost(&mut head, books.cost());
            headers::times(&mut head, core, &received, &books);
            body
        }
        Ok(Counted::Stream(flow, body)) => {
            headers::times(&mut head, core, &received, &books);
            let committed = Committed {
                upstream: body.into_stream(),
                flow,
                waiting: Waiting::new(),
                target: target.name().clone(),
                status: status.as_u16(),
                idle: model.timeouts.idle,
                deadline,
                keeping: None,
                continuation: None,
            };
            Body::Stream(Box::pin(Relay::new(core.clone(), received.arrived.id.clone(), books, committed)))
        }
        Err(refusal) => {
            let status = refusal.public(&received.arrived.id).status;
            books.close(Ending::refused(&refusal, status)).await.map_err(Refusal::Internal)?;
            return Err(refusal);
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = head.map;
    Ok(response)
}

/// An answer whose use is known, or will be when it has passed.
enum Counted {
    Whole(Body),
    Stream(Box<Flow>, Body),
}

async fn count(
    core: &Core,
    received: &Received<'_>,
    target: &Target,
    books: &mut Books,
    status: StatusCode,
    headers: &HeaderMap,
    body: Body,
) -> Result<Counted, Refusal> {
    let arrived = received.arrived;
    let dialect = arrived.dialect;
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let framing = dialect.dialect().conventions().framing;
    let broken = |_| Refusal::UpstreamFailed {
        target: received.asked.model.clone(),
        failure: UpstreamFailure::Broken,
    };
    if !status.is_success() {
        books.tally.nothing();
        // Errors may tell which key was shown.
        let said = collect(body, headers, core.settings.answer_limit).await.map_err(broken)?;
        let hidden = target.provider.shown().hide(&said);
        return Ok(Counted::Whole(Body::Full(hidden.map_or(said, Bytes::from))));
    }
    if arrived.operation == Operation::Native {
        books.tally.nothing();
        return Ok(Counted::Stream(Box::new(Flow::bytes(dialect)), body));
    }
    if media.trim_start().starts_with(framing.content_type()) {
        let decoder = match arrived.operation {
            Operation::Chat => dialect.dialect().decoder(received.native_reading()),
            operation => operation.tap(),
        };
        return Ok(Counted::Stream(Box::new(Flow::tap(dialect, decoder).stating(target)), body));
    }
    // Sound and subtitles are told by their type.
    if !media.starts_with("application/json") && !media.is_empty() {
        return Ok(Counted::Stream(Box::new(Flow::bytes(dialect)), body));
    }
    let whole = collect(body, headers, core.settings.answer_limit).await.map_err(broken)?;
    books.tally.state(target.stated.as_ref(), std::str::from_utf8(&whole).unwrap_or_default());
    tally(received, books, &whole);
    Ok(Counted::Whole(Body::Full(whole)))
}

/// Counts a whole answer, as far as it says anything.
fn tally(received: &Received<'_>, books: &mut Books, whole: &Bytes) {
    let arrived = received.arrived;
    if arrived.operation == Operation::Chat {
        let read = arrived.dialect.dialect().read_usage(whole, received.native_reading());
        let (usage, service_tier) = read.unwrap_or((Usage::default(), None));
        books.tally.answered(usage, whole.len());
        books.tally.ended(whole);
        books.tally.service_tier = service_tier;
    } else {
        books.tally.counted(task::usage(arrived.operation, arrived.dialect, whole).unwrap_or_default());
    }
}

/// The caller's own request with the provider's credential in it.
async fn request(
    signer: &dyn Signer,
    received: &Received<'_>,
    target: &Target,
    now: Timestamp,
) -> Option<Request<Body>> {
    let arrived = received.arrived;
    let native = arrived.native.as_ref()?;
    let body = arrived.upload.take().unwrap_or_else(|| Body::Full(arrived.body.clone()));
    let mut request = Request::new(body);
    *request.method_mut() = native.method.clone();
    let mut uri = native.uri.clone();
    let headers = request.headers_mut();
    *headers = words::onward(&arrived.headers);
    target.provider.apply(&mut uri, headers);
    *request.uri_mut() = uri;
    let (mut parts, body) = request.into_parts();
    let whole = match &body {
        Body::Full(bytes) => Some(bytes.as_ref()),
        Body::Empty => Some(&[][..]),
        // What comes bit by bit cannot be signed: it was collected if it has to be.
        Body::Pieces(_) | Body::Stream(_) => None,
    };
    if let Some(whole) = whole {
        let signing = target.provider.sign(signer, &parts.method, &parts.uri, &mut parts.headers, whole, now);
        signing.await;
    }
    Some(Request::from_parts(parts, body))
}

/// Refuses what cannot be bounded because the request travels as it is: nothing can be put into it.
pub(super) fn bounded(received: &Received<'_>, target: &Target) -> Result<(), Refusal> {
    let refuse = |param: &str| Err(Refusal::CostUnbounded { param: param.to_owned() });
    let asked = &received.asked;
    let conventions = received.arrived.dialect.dialect().conventions();
    if asked.max_output.is_none() && target.max_output.is_none() {
        return refuse(conventions.output_cap);
    }
    if conventions.usage_on_request && asked.stream && !asked.stream_usage {
        return refuse("stream_options.include_usage");
    }
    Ok(())
}

fn unreachable(target: &Target) -> Refusal {
    Refusal::UpstreamFailed { target: target.to_string(), failure: UpstreamFailure::Unreachable }
}
