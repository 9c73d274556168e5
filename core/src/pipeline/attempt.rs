//! One call of one target, up to the point where the caller may have its answer.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, LazyLock};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use gatelet_detect::Kinds;
use gatelet_wire::chat::Response;
use gatelet_wire::dialect::EncoderOptions;
use gatelet_wire::frame::envelope::Envelope;
use gatelet_wire::json::number;
use gatelet_wire::{Encoder, ErrorKind, Fields, Loss, Malformed, Operation, Restore, completion, fold};
use http::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use memchr::memmem;

use super::betas;
use super::fetch;
use super::flow::{Flow, Unsaid, Waiting, Writing};
use super::idiom::{self, opened};
use super::knobs::{BAGGAGE, TRACEPARENT, TRACESTATE};
use super::lane::{self, Lane, Prepared, prepare};
use super::receive::{Received, collect};
use super::relay::{Call, How};
use super::route::blame;
use super::tally::finish;
use super::task;
use crate::domain::Timestamp;
use crate::domain::trace::span_of;
use crate::policy::Target;
use crate::port::{Body, ByteStream, FaultKind, Reach, Signer, is_public_host};
use crate::record::content;
use crate::refusal::{Refusal, UpstreamFailure};
use crate::registry::token::Unproven;
use crate::registry::{Capabilities, Capability};
use crate::shared::Core;

/// An answer that the caller may have.
pub(super) enum Answer {
    Whole {
        body: Bytes,
        loss: Loss,
    },
    /// `media` is the answer's own kind, where it is not the caller's dialect that says it.
    Stream {
        upstream: ByteStream,
        flow: Box<Flow>,
        waiting: Waiting,
        loss: Loss,
        media: Option<HeaderValue>,
    },
}

/// An attempt that gave no answer.
pub(super) struct Failed {
    pub(super) refusal: Refusal,
    pub(super) next: Next,
}

/// What may still be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The same target may answer another time.
    Again,
    /// This target will not, another may.
    Elsewhere,
    /// The request itself is at fault: nobody will.
    Nothing,
}

/// The longest error body that is read.
const ERROR_LIMIT: usize = 256 << 10;

pub(super) async fn attempt(
    core: &Arc<Core>,
    call: &mut Call<'_>,
    target: &Arc<Target>,
) -> Result<Answer, Failed> {
    let elsewhere = |refusal| Failed { refusal, next: Next::Elsewhere };
    let mut spoken = lane::spoken(call.received, target).map_err(elsewhere)?;
    if let Some(spoken) = &mut spoken {
        fetch::complete(core, call, target, &mut spoken.request).await.map_err(elsewhere)?;
    }
    let started = core.ports.clock.now();
    let mut prepared =
        prepare(call.received, target, call.output_cap, call.marks, spoken).map_err(elsewhere)?;
    if let Some(said) = &call.received.arrived.said {
        prepared.loss.join(&said.loss);
    }
    if call.received.arrived.knobs.strict && !prepared.loss.is_empty() {
        let lost = prepared.loss.items().map(str::to_owned).collect();
        let refusal = Refusal::Lossy { target: target.to_string(), lost };
        return Err(Failed { refusal, next: Next::Elsewhere });
    }
    call.books.attempt(target, prepared.lane.name(), call.why, &prepared.loss, started);
    let patience = call.timeouts.until_answer(call.received.asked.stream);
    let limit = patience.min(call.deadline.since(started));
    let answered = {
        let work = pin!(run(core, call, target, prepared));
        within(core, limit, work).await
    };
    let failed = match answered {
        Some(Ok(answer)) => return Ok(answer),
        Some(Err(failed)) => failed,
        None if call.received.arrived.knobs.timeout.is_some() && core.ports.clock.now() >= call.deadline => {
            call.books.timed_out(core.ports.clock.now());
            return Err(Failed { refusal: Refusal::Timeout, next: Next::Nothing });
        }
        None => fail(target, UpstreamFailure::TimedOut),
    };
    let now = core.ports.clock.now();
    call.books.failed(failed.refusal.code(), blame(&failed.refusal, now), now);
    Err(failed)
}

async fn run(
    core: &Arc<Core>,
    call: &mut Call<'_>,
    target: &Arc<Target>,
    prepared: Prepared,
) -> Result<Answer, Failed> {
    let Prepared { path, lane, body, loss, hide_usage, restore, conversation } = prepared;
    // Such answers are written anew, whoever reads them.
    let anew = lane == Lane::Translated || call.received.arrived.prompt || answers_in_parts(target);
    target.provider.prove(&core.ports).await.map_err(|unproven| self::unproven(target, &unproven))?;
    let place = if conversation {
        target.address(call.received.asked.stream).cloned()
    } else {
        own_path(target, &path)
    };
    let now = core.ports.clock.now();
    // The attempt is the parent of whatever the upstream does.
    let span = span_of(&call.received.arrived.id, call.books.attempts());
    let request = request(&*core.ports.signer, call.received, target, place, body, span, now)
        .await
        .map_err(|()| fail(target, UpstreamFailure::Unreachable))?;
    let reach = if target.provider.allow_private { Reach::Private } else { Reach::Public };
    let response = core.upstream(target).send(request, reach).await.map_err(|fault| {
        let next = if fault.kind.is_temporary() { Next::Again } else { Next::Elsewhere };
        Failed { next, ..fail(target, failure(fault.kind)) }
    })?;
    let (head, body) = response.into_parts();
    call.books.head(head.status.as_u16(), core.ports.clock.now());
    if !head.status.is_success() {
        return Err(refused(core, target, head.status.as_u16(), &head.headers, body).await);
    }
    if !conversation {
        return task::answer(core, call, target, lane, &head.headers, body, loss).await;
    }
    let framing = target.provider.dialect.dialect().conventions().framing;
    let media = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is = |kind: &str| media.trim_start().starts_with(kind);
    let envelope = target.provider.quirks.envelope.filter(|envelope| is(envelope.content_type()));
    let streams = envelope.is_some() || is(framing.content_type());
    let body = match (envelope, body) {
        (Some(envelope), Body::Stream(stream)) => Body::Stream(opened(stream, Box::new(envelope.opener()))),
        (_, body) => body,
    };
    let (streams, body) = match target.provider.quirks.idiom {
        Some(idiom) => {
            Box::pin(idiom::answer(core, call, target, idiom, streams, &head.headers, body)).await?
        }
        None => (streams, body),
    };
    let gathers = call.guarding.as_ref().is_some_and(|guarding| guarding.gathers());
    match body {
        Body::Stream(upstream) if call.received.asked.stream && streams && !gathers => {
            let rewrites = call.guarding.as_ref().is_some_and(|guarding| guarding.rewrites());
            let writing = if call.how == How::After {
                Writing::Collect { restore }
            } else if anew || rewrites || call.how == How::Resumably {
                Writing::Translate {
                    restore,
                    encoder: encoder(call.received),
                    unsaid: Unsaid::of(call.received, target),
                }
            } else {
                Writing::Verbatim { hide_usage, list: call.received.arrived.addressed.list }
            };
            let flow = Flow::new(&target.provider, call.received.arrived.dialect, writing);
            let tape = call.keeping.as_ref().map(|keeping| Box::new(keeping.tape()));
            let guard = call.guarding.as_ref().filter(|guarding| guarding.reads());
            let flow = flow
                .stating(target)
                .bounded(call.repeats)
                .recorded(tape)
                .resumable(call.how == How::Resumably)
                .guarded(guard.map(|guard| guard.stream()));
            commit(core, call, target, upstream, Box::new(flow), loss).await
        }
        body => {
            let body = collect(body, &head.headers, core.settings.answer_limit)
                .await
                .map_err(|_| fail(target, UpstreamFailure::Broken))?;
            call.books.came(core.ports.clock.now());
            if streams && gathers {
                let response = gathered(call, target, &body, core.ports.clock.now())?;
                return tell(core, call, target, response, &restore, loss).await;
            }
            whole(core, call, target, anew, body, &restore, loss).await
        }
    }
}

/// Whether an answer's content may be a list: that of a model that thinks, or of which nobody knows what it does.
fn answers_in_parts(target: &Target) -> bool {
    let thinks = target.has(Capability::Reasoning) || target.capabilities == Capabilities::default();
    target.provider.quirks.content_lists && thinks
}

/// What it means for the caller that the network failed.
pub(super) fn failure(kind: FaultKind) -> UpstreamFailure {
    match kind {
        FaultKind::Timeout => UpstreamFailure::TimedOut,
        FaultKind::Unavailable
        | FaultKind::Conflict
        | FaultKind::Denied
        | FaultKind::TooLarge
        | FaultKind::Corrupt => UpstreamFailure::Unreachable,
    }
}

/// Reads a stream until its first content: from there on the caller has it, before that another may answer.
pub(super) async fn commit(
    core: &Arc<Core>,
    call: &mut Call<'_>,
    target: &Arc<Target>,
    mut upstream: ByteStream,
    mut flow: Box<Flow>,
    loss: Loss,
) -> Result<Answer, Failed> {
    let mut waiting = Waiting::new();
    let mut read = 0_usize;
    while !flow.seen.content && !flow.seen.end {
        match upstream.next().await {
            Some(Ok(chunk)) => {
                read = read.saturating_add(chunk.len());
                // What waits is kept in memory, as a whole answer would be.
                if read > core.settings.answer_limit {
                    return Err(fail(target, UpstreamFailure::Malformed));
                }
                let bytes = flow
                    .push(chunk, &mut call.books.tally)
                    .map_err(|_| fail(target, UpstreamFailure::Malformed))?;
                if !bytes.is_empty() {
                    waiting.push_back(bytes);
                }
            }
            Some(Err(_)) => return Err(fail(target, UpstreamFailure::Broken)),
            None => {
                // An answer without content is complete all the same, or it is not.
                let bytes =
                    flow.finish(&mut call.books.tally).map_err(|_| fail(target, UpstreamFailure::Broken))?;
                waiting.push_back(bytes);
                break;
            }
        }
        if let Some(error) = flow.seen.error.take_if(|_| !flow.seen.content) {
            return Err(said(target, error, None));
        }
    }
    let now = core.ports.clock.now();
    call.books.came(now);
    call.books.first_content(now);
    Ok(Answer::Stream { upstream, flow, waiting, loss, media: None })
}

/// Words without which no answer has an error inside. Searchers are made once: to make one takes longer than to search.
static ERRORS: LazyLock<[memmem::Finder<'static>; 2]> =
    LazyLock::new(|| ["\"error\"", "\"base_resp\""].map(memmem::Finder::new));

/// Reads a whole answer, and writes it as the caller asked for it.
async fn whole(
    core: &Arc<Core>,
    call: &mut Call<'_>,
    target: &Arc<Target>,
    anew: bool,
    body: Bytes,
    restore: &Restore,
    loss: Loss,
) -> Result<Answer, Failed> {
    let upstream = target.provider.dialect.dialect();
    let reading = target.provider.reading();
    let asked = &call.received.asked;
    let verbatim = !asked.stream && !anew;
    if let Some(stated) = &target.stated {
        call.books.tally.state(Some(stated), std::str::from_utf8(&body).unwrap_or_default());
    }
    let suspicious = ERRORS.iter().any(|word| word.find(&body).is_some());
    // What nobody rewrites is read no further than the books need.
    let reads = call.guarding.as_ref().is_some_and(|guarding| guarding.reads());
    if verbatim
        && !suspicious
        && !reads
        && let Ok((usage, service_tier)) = upstream.read_usage(&body, reading)
    {
        call.books.tally.answered(usage, body.len());
        call.books.tally.ended(&body);
        call.books.tally.service_tier = service_tier;
        call.books.first_content(core.ports.clock.now());
        return Ok(Answer::Whole { body, loss });
    }
    let Ok(mut response) = upstream.read_response(&body, reading) else {
        return Err(no_answer(target, &body));
    };
    // Looked for only where there may be one: it costs another look at the whole body.
    if (suspicious || response.choices.is_empty())
        && let Some(error) = upstream.hidden_error(&body)
    {
        return Err(said(target, error, None));
    }
    let tally = &mut call.books.tally;
    tally.answered(response.usage, body.len());
    tally.finish = response.choices.first().and_then(|choice| choice.stop.as_ref()).map(finish);
    tally.service_tier.clone_from(&response.service_tier);
    call.books.first_content(core.ports.clock.now());
    if verbatim && !judged(core, call, &mut response).await {
        return Ok(Answer::Whole { body, loss });
    }
    if verbatim {
        // Something in it was replaced; it was judged already.
        return Ok(said_anew(call, target, response, loss));
    }
    tell(core, call, target, response, restore, loss).await
}

/// An answer that is written anew, after its guards.
async fn tell(
    core: &Arc<Core>,
    call: &mut Call<'_>,
    target: &Arc<Target>,
    mut response: Response,
    restore: &Restore,
    loss: Loss,
) -> Result<Answer, Failed> {
    restore.response(&mut response);
    judged(core, call, &mut response).await;
    Ok(said_anew(call, target, response, loss))
}

/// Whether guards have changed an answer.
async fn judged(core: &Arc<Core>, call: &mut Call<'_>, response: &mut Response) -> bool {
    let Some(guarding) = call.guarding.as_mut().filter(|guarding| guarding.reads()) else { return false };
    let changed = Box::pin(guarding.answer(core, response)).await;
    call.books.guarded(guarding.notes());
    changed
}

/// A stream that is read to its end before anybody reads anything of it: a service judges answers whole.
fn gathered(
    call: &mut Call<'_>,
    target: &Arc<Target>,
    body: &Bytes,
    now: Timestamp,
) -> Result<Response, Failed> {
    let dialect = target.provider.dialect.dialect();
    let mut framer = dialect.conventions().framing.framer();
    let mut decoder = dialect.decoder(target.provider.reading());
    let mut events = Vec::new();
    framer.push(body);
    let mut read = || {
        while let Some(frame) = framer.next() {
            let frame = frame?;
            call.books.tally.state(target.stated.as_ref(), frame.data);
            decoder.push(&frame, &mut events)?;
        }
        if let Some(frame) = framer.finish() {
            decoder.push(&frame?, &mut events)?;
        }
        decoder.finish(&mut events)
    };
    let read: Result<(), Malformed> = read();
    let mut fold = fold::Fold::default();
    for event in &events {
        call.books.tally.see(event);
        fold.push(event);
    }
    if let Some(error) = fold.error() {
        return Err(said(target, error.clone(), None));
    }
    if read.is_err() || !fold.is_complete() {
        return Err(fail(target, UpstreamFailure::Broken));
    }
    call.books.first_content(now);
    Ok(fold.finish())
}

/// An answer in the words of its caller.
fn said_anew(call: &mut Call<'_>, target: &Arc<Target>, mut response: Response, mut loss: Loss) -> Answer {
    let asked = &call.received.asked;
    Unsaid::of(call.received, target).fill(&mut response.id, &mut response.model);
    response.created.get_or_insert(created(call.received.arrived.started));
    if let Some(keeping) = &mut call.keeping {
        keeping.said(&response);
    }
    if !asked.stream {
        let body = written(call.received, &response, &mut loss).into();
        return Answer::Whole { body, loss };
    }
    // A stream was asked for and the upstream gave a whole answer: it becomes a stream of one breath.
    let mut encoder = encoder(call.received);
    let mut out = Vec::new();
    for event in fold::unfold(&response) {
        encoder.push(&event, &mut out, &mut loss);
    }
    let upstream = futures_util::stream::empty().boxed();
    let mut flow = Flow::new(
        &target.provider,
        call.received.arrived.dialect,
        Writing::Verbatim { hide_usage: false, list: false },
    );
    flow.seen.end = true;
    let waiting = Waiting::from([out.into()]);
    Answer::Stream { upstream, flow: Box::new(flow), waiting, loss, media: None }
}

/// A whole answer of a translated request, as its caller reads it.
pub(super) fn written(received: &Received<'_>, response: &Response, loss: &mut Loss) -> Vec<u8> {
    let options = options(received);
    if received.arrived.operation == Operation::Completion {
        let echo = completion::echo(&received.fields);
        return completion::write_response(response, echo.as_deref(), &options, loss);
    }
    received.arrived.dialect.dialect().write_answer(response, &options, loss)
}

/// The same for a stream.
pub(super) fn encoder(received: &Received<'_>) -> Box<dyn Encoder> {
    let options = options(received);
    if received.arrived.operation == Operation::Completion {
        return completion::encoder(options, completion::echo(&received.fields));
    }
    received.arrived.dialect.dialect().encoder(options)
}

fn options(received: &Received<'_>) -> EncoderOptions {
    let hidden = received.outline.as_deref().is_some_and(|outline| outline.answer.hide_usage);
    EncoderOptions {
        usage: received.asked.stream_usage && !hidden,
        model: None,
        created: created(received.arrived.started),
        id: Some(received.arrived.id.as_str().to_owned()),
        echo: received.arrived.dialect.dialect().echo(&received.arrived.body),
        list: received.arrived.addressed.list,
        prompt: received.arrived.prompt,
    }
}

/// Seconds since 1970, for dialects that say when an answer was made to those that ask in one that does not.
pub(super) fn created(started: Timestamp) -> u64 {
    u64::try_from(started.seconds()).unwrap_or(0)
}

/// Where what is no conversation goes; none: that is no address.
fn own_path(target: &Target, path: &str) -> Option<Uri> {
    Uri::try_from(target.provider.address(&target.model, path)).ok()
}

/// The request as it goes out: our own headers and the provider's, and of the caller's only what its dialect is made of.
async fn request(
    signer: &dyn Signer,
    received: &Received<'_>,
    target: &Target,
    place: Option<Uri>,
    body: Body,
    span: u64,
    now: Timestamp,
) -> Result<Request<Body>, ()> {
    let dialect = target.provider.dialect.dialect();
    let conventions = dialect.conventions();
    let stream = received.asked.stream;
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    let mut uri = place.ok_or(())?;
    if received.arrived.operation.takes_forms() {
        task::send_form(received, &mut request).ok_or(())?;
    }
    let headers = request.headers_mut();
    headers.entry(CONTENT_TYPE).or_insert(http::HeaderValue::from_static("application/json"));
    let accept = if received.arrived.operation == Operation::Speech {
        "*/*"
    } else if stream {
        let envelope = target.provider.quirks.envelope;
        envelope.map_or_else(|| conventions.framing.content_type(), Envelope::content_type)
    } else {
        "application/json"
    };
    headers.insert(ACCEPT, http::HeaderValue::from_static(accept));
    target.provider.apply(&mut uri, headers);
    if let Some((name, value)) = target.provider.quirks.idiom.and_then(|idiom| idiom.header(stream)) {
        headers.insert(name, http::HeaderValue::from_static(value));
    }
    if received.arrived.dialect == target.provider.dialect {
        for name in conventions.passed {
            let value = received.arrived.headers.get(*name);
            if let Some(value) = value.and_then(|value| betas::passed(target, name, value)) {
                headers.insert(*name, value);
            }
        }
    }
    traced(received, &uri, span, headers);
    *request.uri_mut() = uri;
    if !target.provider.signs() {
        return Ok(request);
    }
    let (mut parts, body) = request.into_parts();
    let body = match body {
        Body::Full(bytes) => bytes,
        Body::Pieces(pieces) => Body::join(&pieces),
        // A signature is of the whole body.
        Body::Empty | Body::Stream(_) => return Err(()),
    };
    let provider = &target.provider;
    Box::pin(provider.sign(signer, &parts.method, &parts.uri, &mut parts.headers, &body, now)).await;
    Ok(Request::from_parts(parts, Body::Full(body)))
}

/// The caller's trace goes on, with `span` as the parent of what comes. Baggage stays in the house: it is what callers say of their
/// users, and nothing for a provider of the world.
fn traced(received: &Received<'_>, uri: &Uri, span: u64, headers: &mut HeaderMap) {
    let knobs = &received.arrived.knobs;
    let mut put = |name: &HeaderName, text: &str| {
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.insert(name, value);
        }
    };
    if let Some(trace) = &knobs.trace {
        put(&TRACEPARENT, &trace.header(span));
    }
    let Some(carried) = &knobs.carried else { return };
    if !carried.state.is_empty() {
        put(&TRACESTATE, &carried.state);
    }
    if !carried.baggage.is_empty() && uri.host().is_some_and(|host| !is_public_host(host)) {
        put(&BAGGAGE, &carried.baggage.join(","));
    }
}

/// No token was to be had for the provider's credential: the admin's matter, and not the caller's.
fn unproven(target: &Target, unproven: &Unproven) -> Failed {
    match unproven {
        Unproven::Unreachable => fail(target, UpstreamFailure::Unreachable),
        Unproven::Denied { .. } => {
            let error = gatelet_wire::UpstreamError {
                kind: ErrorKind::Authentication,
                status: 401,
                code: Some("credential_refused".to_owned()),
                message: unproven.to_string(),
                param: None,
                context_window: false,
                content_policy: false,
                retry_after: None,
            };
            said(target, error, None)
        }
    }
}

/// An answer with an error's status.
pub(super) async fn refused(
    core: &Core,
    target: &Target,
    status: u16,
    headers: &HeaderMap,
    body: Body,
) -> Failed {
    let body = collect(body, headers, ERROR_LIMIT).await.unwrap_or_default();
    let dialect = target.provider.dialect.dialect();
    let name = dialect.error_header().and_then(|header| headers.get(header)?.to_str().ok());
    let error = dialect.read_named_error(status, name, &body);
    let retry_after = retry_after(headers, core.ports.clock.now());
    said(target, error, retry_after)
}

/// A 200 whose body is no answer: an error inside, or nonsense.
pub(super) fn no_answer(target: &Target, body: &[u8]) -> Failed {
    let upstream = target.provider.dialect.dialect();
    if let Some(error) = upstream.hidden_error(body) {
        return said(target, error, None);
    }
    if Fields::read(body).is_ok_and(|fields| fields.present("error").is_some()) {
        return said(target, upstream.read_error(200, body), None);
    }
    fail(target, UpstreamFailure::Malformed)
}

pub(super) fn said(
    target: &Target,
    mut error: gatelet_wire::UpstreamError,
    retry_after: Option<u64>,
) -> Failed {
    let shown = target.provider.shown();
    for said in std::iter::once(&mut error.message).chain(&mut error.param).chain(&mut error.code) {
        shown.hide_text(said);
    }
    // Nor do others' keys belong into what callers log.
    error.message = content::mask(&error.message, Kinds::SECRETS);
    let next = match error.kind {
        ErrorKind::RateLimit | ErrorKind::Timeout | ErrorKind::Overloaded | ErrorKind::Api => Next::Again,
        ErrorKind::Authentication | ErrorKind::Billing | ErrorKind::Permission | ErrorKind::NotFound => {
            Next::Elsewhere
        }
        ErrorKind::InvalidRequest | ErrorKind::TooLarge if error.context_window => Next::Elsewhere,
        ErrorKind::InvalidRequest | ErrorKind::TooLarge | ErrorKind::Conflict => Next::Nothing,
    };
    let retry_after = retry_after.or(error.retry_after);
    Failed {
        refusal: Refusal::Upstream { target: target.to_string(), error: Box::new(error), retry_after },
        next,
    }
}

pub(super) fn fail(target: &Target, failure: UpstreamFailure) -> Failed {
    Failed { refusal: Refusal::UpstreamFailed { target: target.to_string(), failure }, next: Next::Again }
}

/// Whole seconds, from a header in milliseconds, seconds or as a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<u64> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let millis = text("retry-after-ms").and_then(|value| number(value.trim()));
    let seconds = || text(RETRY_AFTER.as_str()).and_then(|value| number(value.trim()));
    let date = || {
        let at = Timestamp::parse_http(text(RETRY_AFTER.as_str())?.trim())?;
        Some(at.since(now).as_secs_f64())
    };
    let seconds = millis.map(|millis| millis / 1_000.0).or_else(seconds).or_else(date)?;
    // More than a day is no hint any more.
    (seconds.is_finite() && (0.0..=86_400.0).contains(&seconds))
        .then(|| Duration::from_secs_f64(seconds).as_millis())
        .map(|millis| u64::try_from(millis.div_ceil(1_000)).unwrap_or(u64::MAX))
}

/// What `work` answers, if it does so in time. It is pinned by whoever asks, so that it is not kept twice: as what was
/// given, and as what is polled.
pub async fn within<W: Future + Send>(
    core: &Core,
    limit: Duration,
    mut work: Pin<&mut W>,
) -> Option<W::Output> {
    let mut over = None;
    poll_fn(|context| {
        if let Poll::Ready(answer) = work.as_mut().poll(context) {
            return Poll::Ready(Some(answer));
        }
        // A body is mostly there with its head: only who has to wait needs a clock.
        let over = over.get_or_insert_with(|| core.ports.clock.sleep(limit));
        over.as_mut().poll(context).map(|()| None)
    })
    .await
}
