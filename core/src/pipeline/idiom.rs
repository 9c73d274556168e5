//! Answers of vendors who say a dialect's conversations in bodies of their own.

use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use gatelet_wire::Idiom;
use gatelet_wire::frame::Open;
use gatelet_wire::idiom::{Prediction, State};
use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};

use super::attempt::{Failed, fail, failure, within};
use super::receive::collect;
use super::relay::Call;
use crate::policy::Target;
use crate::port::{Body, Broken, ByteStream, Reach};
use crate::refusal::UpstreamFailure;
use crate::shared::Core;

/// An answer in the dialect's words, and whether it is a stream.
pub(super) async fn answer(
    core: &Arc<Core>,
    call: &Call<'_>,
    target: &Arc<Target>,
    idiom: Idiom,
    streams: bool,
    headers: &HeaderMap,
    body: Body,
) -> Result<(bool, Body), Failed> {
    let body = match (idiom, body) {
        (Idiom::Replicate, body) => match predicted(core, call, target, headers, body).await? {
            Predicted::Stream(stream) => return Ok((true, Body::Stream(stream))),
            Predicted::Whole(body) => body,
        },
        (_, Body::Stream(stream)) if streams && call.received.asked.stream => {
            return Ok((true, Body::Stream(opened(stream, Box::new(idiom.opener())))));
        }
        (_, body) => whole(core, target, headers, body).await?,
    };
    let body = idiom.answer(&body).map_err(|_| fail(target, UpstreamFailure::Malformed))?;
    Ok((false, body.into()))
}

async fn whole(core: &Core, target: &Target, headers: &HeaderMap, body: Body) -> Result<Bytes, Failed> {
    let limit = core.settings.answer_limit;
    collect(body, headers, limit).await.map_err(|_| fail(target, UpstreamFailure::Broken))
}

/// A stream as its dialect has it, out of what its provider makes of it.
pub(super) fn opened(mut stream: ByteStream, opener: Box<dyn Open>) -> ByteStream {
    let mut opener = Some(opener);
    let pieces = futures_util::stream::poll_fn(move |context| {
        loop {
            let Some(open) = opener.as_mut() else { return Poll::Ready(None) };
            let piece = match stream.poll_next_unpin(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(piece))) => open.push(&piece).map_err(|wrong| Broken(wrong.to_string())),
                Poll::Ready(Some(Err(broken))) => Err(broken),
                Poll::Ready(None) => {
                    let last = open.finish().map_err(|wrong| Broken(wrong.to_string()));
                    opener = None;
                    last
                }
            };
            match piece {
                // What gives nothing is no piece.
                Ok(piece) if piece.is_empty() => {}
                Ok(piece) => return Poll::Ready(Some(Ok(piece.into()))),
                Err(broken) => {
                    opener = None;
                    return Poll::Ready(Some(Err(broken)));
                }
            }
        }
    });
    pieces.boxed()
}

enum Predicted {
    Stream(ByteStream),
    Whole(Bytes),
}

/// The pauses between two looks at a prediction: the first, and the longest. Whoever waits for it bounds how many there are.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(4));
/// How long an answer's end waits for its usage.
const USAGE: Duration = Duration::from_secs(10);

/// What becomes of a prediction that was begun. Whoever no longer waits for it calls it off.
async fn predicted(
    core: &Arc<Core>,
    call: &Call<'_>,
    target: &Arc<Target>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Predicted, Failed> {
    let read = |said: &Bytes| Prediction::read(said).map_err(|_| fail(target, UpstreamFailure::Malformed));
    let mut said = whole(core, target, headers, body).await?;
    let mut prediction = read(&said)?;
    let mut running =
        Running { core: core.clone(), target: target.clone(), cancel: prediction.cancel.clone() };
    if prediction.state == State::Running
        && call.received.asked.stream
        && let Some(url) = &prediction.stream
    {
        let (_, body) = look(core, target, url, "text/event-stream").await?.into_parts();
        let stream = opened(body.into_stream(), Box::new(Idiom::Replicate.opener()));
        let tail = futures_util::stream::once(async move {
            running.cancel = None;
            let usage = pin!(usage(&running.core, &running.target, prediction.get.as_deref()));
            let usage = within(&running.core, USAGE, usage).await.flatten();
            Ok(usage.map_or_else(Bytes::new, |usage| {
                format!("data: {{\"choices\":[],\"usage\":{usage}}}\n\n").into()
            }))
        });
        return Ok(Predicted::Stream(stream.chain(tail).boxed()));
    }
    let (mut pause, longest) = PAUSES;
    while prediction.state == State::Running {
        core.ports.clock.sleep(pause).await;
        pause = (pause * 2).min(longest);
        let Some(url) = &prediction.get else { return Err(fail(target, UpstreamFailure::Malformed)) };
        let (head, body) = look(core, target, url, "application/json").await?.into_parts();
        said = whole(core, target, &head.headers, body).await?;
        prediction = read(&said)?;
    }
    running.cancel = None;
    Ok(Predicted::Whole(said))
}

async fn usage(core: &Core, target: &Arc<Target>, url: Option<&str>) -> Option<String> {
    let (head, body) = look(core, target, url?, "application/json").await.ok()?.into_parts();
    let said = whole(core, target, &head.headers, body).await.ok()?;
    Prediction::read(&said).ok()?.usage
}

/// Asks at an address that the provider has named.
async fn look(
    core: &Core,
    target: &Target,
    url: &str,
    accept: &'static str,
) -> Result<Response<Body>, Failed> {
    let request =
        ask(target, Method::GET, url, accept).ok_or_else(|| fail(target, UpstreamFailure::Malformed))?;
    let sent = core.upstream(target).send(request, reach(target)).await;
    let response = sent.map_err(|fault| fail(target, failure(fault.kind)))?;
    if response.status().is_success() { Ok(response) } else { Err(fail(target, UpstreamFailure::Broken)) }
}

fn reach(target: &Target) -> Reach {
    if target.provider.allow_private { Reach::Private } else { Reach::Public }
}

/// None where the address is not the provider's: its secret is for nobody else.
fn ask(target: &Target, method: Method, url: &str, accept: &'static str) -> Option<Request<Body>> {
    let mut uri = Uri::try_from(url).ok().filter(|uri| is_of(&target.provider.base, uri))?;
    let mut request = Request::new(Body::Empty);
    *request.method_mut() = method;
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static(accept));
    target.provider.apply(&mut uri, request.headers_mut());
    *request.uri_mut() = uri;
    Some(request)
}

/// Whether an address is on the base's host, or, by https, on one beside it: `stream.example.com` for `api.example.com`.
fn is_of(base: &str, uri: &Uri) -> bool {
    let Ok(base) = Uri::try_from(base) else { return false };
    if base.authority() == uri.authority() && base.scheme() == uri.scheme() {
        return true;
    }
    let name = base.host().filter(|host| host.parse::<IpAddr>().is_err());
    let domain = name.and_then(|host| host.split_once('.')).map(|(_, domain)| domain);
    let host = uri.host().unwrap_or_default();
    let beside = domain.filter(|domain| domain.contains('.')).and_then(|domain| host.strip_suffix(domain));
    uri.scheme_str() == Some("https")
        && uri.port().is_none()
        && beside.is_some_and(|rest| rest.ends_with('.'))
}

/// A prediction for which somebody waits. Dropped before it has ended, it is called off: its machine costs by the second.
struct Running {
    core: Arc<Core>,
    target: Arc<Target>,
    cancel: Option<String>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(url) = self.cancel.take() else { return };
        let Some(request) = ask(&self.target, Method::POST, &url, "application/json") else { return };
        let (core, target) = (self.core.clone(), self.target.clone());
        self.core.ports.defer.defer(Box::pin(async move {
            // Nobody is left who could be told that this failed.
            let _ = core.upstream(&target).send(request, reach(&target)).await;
        }));
    }
}
