//! A provider that does what a test tells it to, and remembers what it was sent.
//!
//! It speaks the `OpenAI` chat and the Anthropic messages dialect on one loopback port. Which script it plays is chosen by
//! the `model` of the request, so that scenarios which run side by side do not meet.

mod play;
mod reply;

pub use play::{Gate, Piece, Play};
pub use reply::{Ending, Reply, Usage};

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::Instant;

/// A scripted provider on a free loopback port. It serves until its runtime ends.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    refusing: SocketAddr,
    shared: Arc<Shared>,
    // Bound, never listening: whoever connects to it is refused, and nobody else can take the port.
    _refuser: TcpSocket,
}

/// One request as the provider saw it.
#[derive(Debug)]
pub struct Received {
    pub method: Method,
    pub path: String,
    pub query: Option<String>,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub at: Instant,
    finished: AtomicBool,
    left: AtomicBool,
    sent: AtomicUsize,
}

/// The wire format of a request, told by its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    OpenAi,
    Anthropic,
}

#[derive(Debug, Default)]
struct Shared {
    scripts: Mutex<HashMap<String, Script>>,
    received: Mutex<HashMap<String, Vec<Arc<Received>>>>,
}

#[derive(Debug)]
struct Script {
    plays: Vec<Play>,
    next: usize,
}

impl Upstream {
    pub async fn start() -> Result<Self> {
        let refuser = TcpSocket::new_v4()?;
        refuser.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let refusing = refuser.local_addr()?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { address, refusing, shared, _refuser: refuser })
    }

    /// The origin, such as `http://127.0.0.1:40001`, without a version.
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its host and port.
    pub fn place(&self) -> String {
        self.address.to_string()
    }

    /// An origin where every connection is refused.
    pub fn refusing_base(&self) -> String {
        format!("http://{}", self.refusing)
    }

    /// Plays these for the model, in order; the last one repeats.
    pub fn script(&self, model: &str, plays: impl IntoIterator<Item = Play>) {
        let script = Script { plays: plays.into_iter().collect(), next: 0 };
        lock(&self.shared.scripts).insert(model.to_owned(), script);
    }

    /// The same for requests of one dialect alone, where another target has the same model: whatever the order in which they
    /// are asked, each plays its own.
    pub fn script_of(&self, dialect: Dialect, model: &str, plays: impl IntoIterator<Item = Play>) {
        self.script(&of(dialect, model), plays);
    }

    /// Everything that was received for the model, oldest first.
    pub fn received(&self, model: &str) -> Vec<Arc<Received>> {
        lock(&self.shared.received).get(model).cloned().unwrap_or_default()
    }

    /// Everything that was received, by the model that it was for.
    pub fn all_received(&self) -> HashMap<String, Vec<Arc<Received>>> {
        lock(&self.shared.received).clone()
    }

    /// The one request that was received for the model.
    pub fn only(&self, model: &str) -> Result<Arc<Received>> {
        let received = self.received(model);
        ensure!(
            received.len() == 1,
            "the upstream received {} requests for {model}, not one",
            received.len()
        );
        Ok(Arc::clone(&received[0]))
    }

    /// Waits until this many requests for the model have arrived.
    pub async fn arrived(&self, model: &str, count: usize) -> Result<Vec<Arc<Received>>> {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let received = self.received(model);
            if received.len() >= count {
                return Ok(received);
            }
            ensure!(Instant::now() < end, "only {} of {count} requests for {model} arrived", received.len());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Received {
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("{} got no JSON", self.path))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether the answer was sent to its end.
    pub fn finished(&self) -> bool {
        self.finished.load(Ordering::SeqCst)
    }

    /// Whether the peer closed the connection before the answer ended.
    pub fn left(&self) -> bool {
        self.left.load(Ordering::SeqCst)
    }

    /// How many pieces of the answer have been handed to the socket.
    pub fn sent(&self) -> usize {
        self.sent.load(Ordering::SeqCst)
    }

    /// Waits until the peer has closed the connection before its answer ended.
    pub async fn until_left(&self, patience: Duration) -> Result<()> {
        let end = Instant::now() + patience;
        while !self.left() {
            ensure!(Instant::now() < end, "the upstream call was not cancelled within {patience:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request| answer(Arc::clone(&shared), request));
        // A connection that breaks is the test's doing, or its subject.
        tokio::spawn(async move {
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
        });
    }
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<play::PlayBody>, play::Dropped> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| play::Dropped)?.to_bytes();
    let read: Value = serde_json::from_slice(&body).unwrap_or_default();
    let model = read["model"].as_str().or_else(|| in_form(&body));
    let model = model.map_or_else(|| in_path(head.uri.path()), str::to_owned);
    let path = head.uri.path();
    let anthropic = path.ends_with("/messages") || path.contains("/publishers/anthropic/");
    let dialect = if anthropic { Dialect::Anthropic } else { Dialect::OpenAi };
    let received = Arc::new(Received {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(str::to_owned),
        headers: head.headers,
        body,
        at: Instant::now(),
        finished: AtomicBool::new(false),
        left: AtomicBool::new(false),
        sent: AtomicUsize::new(0),
    });
    let play = shared.next(&of(dialect, &model)).or_else(|| shared.next(&model)).or_else(|| shared.next(ANY));
    lock(&shared.received).entry(model.clone()).or_default().push(Arc::clone(&received));
    let play = play.unwrap_or_else(|| {
        Play::json(404, &json!({"error": {"message": format!("no script for `{model}`"), "type": "invalid_request_error"}}))
    });
    play.perform(dialect, &model, &read, received).await
}

/// The model that a path names, and no body: `/model/{id}/converse` of Bedrock, `…/models/{id}:generateContent` of Google;
/// the script of who sells tokens, `/tokens/{script}`; and a file by its own name, `/files/{name}`, with an ending or without.
fn in_path(path: &str) -> String {
    if let Some(script) = path.strip_prefix("/tokens/") {
        return script.to_owned();
    }
    if let Some(file) = path.strip_prefix("/files/") {
        return file.split('.').next().unwrap_or_default().to_owned();
    }
    let bedrock = path.strip_prefix("/model/").and_then(|rest| rest.split_once('/'));
    let google = || path.rsplit_once("/models/").and_then(|(_, rest)| rest.rsplit_once(':'));
    let model = bedrock.or_else(google).unwrap_or_default().0;
    model.replace("%3A", ":").replace("%2F", "/")
}

/// The model that the beginning of a form names.
fn in_form(body: &[u8]) -> Option<&str> {
    let mark = b"name=\"model\"\r\n\r\n";
    let head = body.get(..body.len().min(4_096))?;
    let at = head.windows(mark.len()).position(|window| window == mark)? + mark.len();
    let rest = body.get(at..)?;
    let end = rest.iter().position(|byte| *byte == b'\r')?;
    std::str::from_utf8(rest.get(..end)?).ok()
}

/// The name of the script for whatever has none of its own.
pub const ANY: &str = "*";

/// The name of a script that is one dialect's alone.
fn of(dialect: Dialect, model: &str) -> String {
    format!("{dialect:?} {model}")
}

impl Shared {
    fn next(&self, model: &str) -> Option<Play> {
        let mut scripts = lock(&self.scripts);
        let script = scripts.get_mut(model)?;
        let play = script.plays.get(script.next.min(script.plays.len().checked_sub(1)?)).cloned();
        script.next += 1;
        play
    }
}

/// A lock whose holder panicked still guards plain data.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
