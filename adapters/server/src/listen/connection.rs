//! One connection.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt as _;
use gatelet_core::port::{Body, Peer};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::told::until_told;
use super::{Bounds, Handle};
use crate::body::{self, Answer};

/// Answers requests until the other side leaves, or until `stop` turns true and what runs has finished.
pub(super) async fn converse<H: Handle>(
    stream: std::net::TcpStream,
    peer: Peer,
    bounds: Bounds,
    handler: Arc<H>,
    streams: TaskTracker,
    mut stop: watch::Receiver<bool>,
) {
    let Ok(stream) = TcpStream::from_std(stream) else { return };
    tokio::select! {
        // hyper's own clock starts when it knows the protocol; who says nothing at all is not waited for either.
        first = tokio::time::timeout(bounds.head_within, stream.readable()) => {
            if !matches!(first, Ok(Ok(()))) {
                return;
            }
        }
        _ = stop.wait_for(|stop| *stop) => return,
    }
    let service = service_fn(move |request| answer(Arc::clone(&handler), bounds.head, peer, request));
    let builder = builder(bounds, Streams(streams));
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    // How a connection ends is told to its requests' bodies; nobody else needs to know.
    if until_told(connection.as_mut(), &stop).await.is_some() {
        return;
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

/// Requests of HTTP/2 are tasks of their own, which outlive their connection until they notice that it is gone. They are
/// counted with the connections, so that whoever stops waits for them too, and for the books that they close.
#[derive(Clone)]
struct Streams(TaskTracker);

impl<F: Future<Output: Send + 'static> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        self.0.spawn(stream);
    }
}

/// What hyper takes where it is told nothing. Told the same number, it fills tables of that many for each request.
const HYPERS_HEADERS: usize = 100;

fn builder(bounds: Bounds, streams: Streams) -> Builder<Streams> {
    let mut builder = Builder::new(streams);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head_within)
        .max_buf_size(bounds.piece.max(bounds.head));
    if bounds.headers != HYPERS_HEADERS {
        builder.http1().max_headers(bounds.headers);
    }
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(bounds.head).unwrap_or(u32::MAX))
        .max_concurrent_streams(bounds.streams)
        .keep_alive_interval(std::time::Duration::from_secs(20))
        .keep_alive_timeout(std::time::Duration::from_secs(20));
    builder
}

async fn answer<H: Handle>(
    handler: Arc<H>,
    longest: usize,
    peer: Peer,
    request: http::Request<Incoming>,
) -> Result<http::Response<Answer>, Infallible> {
    let (head, incoming) = request.into_parts();
    // hyper has one measure for heads and for what it reads at once.
    if length(&head) > longest {
        let mut response = http::Response::new(Answer::from(Body::Empty));
        *response.status_mut() = http::StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Ok(response);
    }
    let body = body::from_hyper(&head, incoming).await;
    let mut request = http::Request::from_parts(head, body);
    request.extensions_mut().insert(peer);
    // A fault of ours in one request is that request's alone. Nothing that it touched is shared without a lock.
    let response = AssertUnwindSafe(handler.handle(request)).catch_unwind().await;
    Ok(response.unwrap_or_else(|_| internal()).map(Answer::from))
}

/// About as many bytes as a request's head was sent in.
fn length(head: &http::request::Parts) -> usize {
    /// What separates a header's name from its value, and its line from the next.
    const BETWEEN: usize = 4;
    let lines = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + BETWEEN);
    lines.sum::<usize>() + head.uri.path().len() + head.uri.query().map_or(0, str::len)
}

fn internal() -> http::Response<Body> {
    const TEXT: &str = r#"{"error":{"message":"The gateway failed. This is a defect.","type":"api_error","code":"internal"}}"#;
    let mut response = http::Response::new(Body::Full(TEXT.into()));
    *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    response
}
