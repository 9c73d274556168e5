//! What the scripted provider does with one request: a well-formed reply, any bytes at any moment, or nothing at all.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{Response, StatusCode};
use hyper::body::{Body, Frame};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{Dialect, Received, Reply};

/// One answer of the script.
#[derive(Debug, Clone)]
pub enum Play {
    /// A well-formed answer in the dialect that was asked, whole or streamed as the request wished.
    Reply(Reply),
    /// Exactly these bytes.
    Raw { status: u16, headers: Vec<(String, String)>, pieces: Vec<Piece> },
    /// The other play, but not a byte of it before the gate opens.
    Gated(Gate, Box<Play>),
    /// The other play, but not a byte of it before this time has passed.
    Delayed(Duration, Box<Play>),
    /// An error in whose words is all that was shown: the headers and the query. As an event where it is 0.
    Echo(u16),
    /// No answer for as long as the peer stays.
    Silence,
    /// The connection closes without a byte of answer.
    HangUp,
}

/// One step in the sending of a body.
#[derive(Debug, Clone)]
pub enum Piece {
    /// A write of its own.
    Bytes(Bytes),
    Wait(Duration),
    /// Goes on when the test opens the gate.
    Gate(Gate),
    /// The connection breaks here.
    Cut,
}

/// Holds answers back until the test opens it.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Semaphore>);

/// The connection is to be dropped without an answer.
#[derive(Debug)]
pub(super) struct Dropped;

impl Play {
    pub fn json(status: u16, body: &Value) -> Self {
        Self::text(status, "application/json", &body.to_string())
    }

    pub fn text(status: u16, content_type: &str, body: &str) -> Self {
        Self::bytes(status, content_type, body.as_bytes())
    }

    pub fn bytes(status: u16, content_type: &str, body: &[u8]) -> Self {
        Self::Raw {
            status,
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            pieces: vec![Piece::Bytes(Bytes::copy_from_slice(body))],
        }
    }

    /// A stream of server-sent events, byte for byte as given.
    pub fn events(pieces: impl IntoIterator<Item = Piece>) -> Self {
        Self::Raw {
            status: 200,
            headers: vec![("content-type".to_owned(), "text/event-stream".to_owned())],
            pieces: pieces.into_iter().collect(),
        }
    }

    /// Adds a header to an answer that is made of raw bytes.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        if let Self::Raw { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    pub(super) async fn perform(
        self,
        dialect: Dialect,
        model: &str,
        request: &Value,
        received: Arc<Received>,
    ) -> Result<Response<PlayBody>, Dropped> {
        // Made first: it is dropped with the connection, and then notes that the peer left, before the headers too.
        let mut body = PlayBody::new(received);
        let mut play = self;
        let (status, headers, pieces) = loop {
            play = match play {
                Self::Gated(gate, later) => {
                    gate.opened().await;
                    *later
                }
                Self::Delayed(pause, later) => {
                    tokio::time::sleep(pause).await;
                    *later
                }
                Self::Silence => std::future::pending().await,
                Self::HangUp => {
                    body.finish();
                    return Err(Dropped);
                }
                Self::Raw { status, headers, pieces } => break (status, headers, pieces),
                Self::Echo(status) => echo(status, &body.received),
                Self::Reply(reply) => {
                    let streamed = request["stream"].as_bool().unwrap_or_default();
                    let content_type = if streamed { "text/event-stream" } else { "application/json" };
                    let headers = vec![("content-type".to_owned(), content_type.to_owned())];
                    break (200, headers, reply.pieces(dialect, model, request, streamed));
                }
            };
        };
        body.pieces = pieces.into();
        let mut response = Response::builder().status(StatusCode::from_u16(status).map_err(|_| Dropped)?);
        for (name, value) in headers {
            response = response.header(name, value);
        }
        response.body(body).map_err(|_| Dropped)
    }
}

/// What tells back what it was shown.
fn echo(status: u16, received: &Received) -> Play {
    let shown: Vec<String> = received
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
        .chain(received.query.clone())
        .collect();
    let shown = shown.join(" ");
    let error = json!({ "error": { "message": shown, "type": "invalid_request_error", "param": shown, "code": shown } });
    match status {
        0 => Play::events([Piece::text(&format!("data: {error}\n\n"))]),
        status => Play::json(status, &error)
            .with_header("location", "http://127.0.0.1:1/")
            .with_header("x-shown", &shown),
    }
}

impl From<Reply> for Play {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

impl Piece {
    pub fn text(text: &str) -> Self {
        Self::Bytes(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl Gate {
    pub fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    pub fn open(&self) {
        self.0.close();
    }

    fn opened(&self) -> BoxFuture<'static, ()> {
        let semaphore = Arc::clone(&self.0);
        async move { while semaphore.acquire().await.is_ok() {} }.boxed()
    }
}

/// Sends the pieces, and notes on the record whether the peer stayed to the end.
pub(super) struct PlayBody {
    pieces: VecDeque<Piece>,
    waiting: Option<BoxFuture<'static, ()>>,
    received: Arc<Received>,
}

impl PlayBody {
    fn new(received: Arc<Received>) -> Self {
        Self { pieces: VecDeque::new(), waiting: None, received }
    }

    fn finish(&self) {
        self.received.finished.store(true, Ordering::SeqCst);
    }
}

impl Body for PlayBody {
    type Data = Bytes;
    type Error = Dropped;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Dropped>>> {
        loop {
            if let Some(waiting) = self.waiting.as_mut() {
                ready!(waiting.poll_unpin(context));
                self.waiting = None;
            }
            match self.pieces.pop_front() {
                None => {
                    self.finish();
                    return Poll::Ready(None);
                }
                Some(Piece::Bytes(bytes)) => {
                    self.received.sent.fetch_add(1, Ordering::SeqCst);
                    // The next poll finds nothing for a moment, so that hyper flushes: each piece is a write of its own.
                    self.waiting = Some(tokio::task::yield_now().boxed());
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Some(Piece::Wait(pause)) => self.waiting = Some(tokio::time::sleep(pause).boxed()),
                Some(Piece::Gate(gate)) => self.waiting = Some(gate.opened()),
                Some(Piece::Cut) => {
                    self.finish();
                    return Poll::Ready(Some(Err(Dropped)));
                }
            }
        }
    }
}

impl Drop for PlayBody {
    fn drop(&mut self) {
        if !self.received.finished() {
            self.received.left.store(true, Ordering::SeqCst);
        }
    }
}

impl fmt::Debug for PlayBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PlayBody").field("pieces", &self.pieces).finish_non_exhaustive()
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the script drops the connection here")
    }
}

impl std::error::Error for Dropped {}
