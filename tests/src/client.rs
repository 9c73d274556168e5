//! A plain HTTP client with nothing hidden: one connection a call, no pool, no retries. To drop an answer is to leave.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

/// How long any one step of a call may take; the machine may be busy, a correct gateway is not.
const PATIENCE: Duration = Duration::from_mins(3);

/// A call that is being put together.
#[derive(Debug, Clone)]
pub struct Call {
    host: SocketAddr,
    method: Method,
    path: String,
    headers: Vec<(String, String)>,
    body: Bytes,
}

/// An answer whose head has come; its body is read as it comes.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    body: Incoming,
}

/// An answer that has come to its end.
#[derive(Debug, Clone)]
pub struct Whole {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Whether the body ended as its framing says, and was not cut.
    pub complete: bool,
}

/// One server-sent event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub name: Option<String>,
    pub data: String,
}

impl Call {
    pub fn new(host: SocketAddr, method: Method, path: &str) -> Self {
        Self { host, method, path: path.to_owned(), headers: Vec::new(), body: Bytes::new() }
    }

    /// Presents a caller's or an admin's key as a bearer token.
    #[must_use]
    pub fn key(self, key: &str) -> Self {
        self.header("authorization", &format!("Bearer {key}"))
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds to the query of the path.
    #[must_use]
    pub fn query(mut self, query: &str) -> Self {
        self.path.push(if self.path.contains('?') { '&' } else { '?' });
        self.path.push_str(query);
        self
    }

    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.body(body.to_string())
    }

    /// Any bytes, announced as JSON.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header("content-type", "application/json")
    }

    /// Any bytes of another type.
    #[must_use]
    pub fn bytes(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    /// Sends the call and waits for the head of its answer.
    pub async fn send(self) -> Result<Answer> {
        let what = format!("{} {}", self.method, self.path);
        timeout(PATIENCE, self.exchange())
            .await
            .with_context(|| format!("{what}: no answer within {PATIENCE:?}"))?
            .context(what)
    }

    /// Sends the call and reads its answer to the end.
    pub async fn whole(self) -> Result<Whole> {
        self.send().await?.whole().await
    }

    /// Sends the call, which has to succeed with this status, and reads the JSON of its answer.
    pub async fn expect(self, status: u16) -> Result<Value> {
        let what = format!("{} {}", self.method, self.path);
        let whole = self.whole().await?;
        ensure!(
            whole.status == status,
            "{what}: {} where {status} was expected: {}",
            whole.status,
            whole.text()
        );
        if whole.body.is_empty() { Ok(Value::Null) } else { whole.json() }
    }

    async fn exchange(self) -> Result<Answer> {
        let stream = TcpStream::connect(self.host).await?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // Ends by itself when the answer has been read or dropped.
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(self.method)
            .uri(self.path)
            .header("host", self.host.to_string())
            .header("connection", "close");
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let answer = sender.send_request(request.body(Full::new(self.body))?).await?;
        let (head, body) = answer.into_parts();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The next bytes of the body, or nothing at its regular end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        loop {
            let frame = timeout(PATIENCE, self.body.frame()).await.context("the body stalls")?;
            match frame {
                None => return Ok(None),
                Some(frame) => {
                    if let Ok(data) = frame?.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// Reads until the body holds this text; what was read so far.
    pub async fn until(&mut self, text: &str) -> Result<String> {
        let end = Instant::now() + PATIENCE;
        let mut read = BytesMut::new();
        loop {
            let seen = String::from_utf8_lossy(&read).into_owned();
            if seen.contains(text) {
                return Ok(seen);
            }
            match timeout_at(end, self.chunk())
                .await
                .with_context(|| format!("`{text}` never came, only: {seen}"))??
            {
                Some(chunk) => read.extend_from_slice(&chunk),
                None => bail!("the body ended before `{text}`: {seen}"),
            }
        }
    }

    pub async fn whole(mut self) -> Result<Whole> {
        let mut body = BytesMut::new();
        let complete = loop {
            match self.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break true,
                Err(error) if error.is::<hyper::Error>() => break false,
                Err(error) => return Err(error),
            }
        };
        Ok(Whole { status: self.status, headers: self.headers, body: body.freeze(), complete })
    }
}

impl Whole {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("{} without JSON: {}", self.status, self.text()))
    }

    /// The server-sent events of the body; any line that is none fails.
    pub fn events(&self) -> Result<Vec<Event>> {
        let text = std::str::from_utf8(&self.body).context("the stream is not UTF-8")?;
        let mut events = Vec::new();
        for block in text.split("\n\n").filter(|block| !block.trim().is_empty()) {
            let mut event = Event { name: None, data: String::new() };
            for line in block.lines() {
                if let Some(name) = line.strip_prefix("event:") {
                    event.name = Some(name.trim().to_owned());
                } else if let Some(data) = line.strip_prefix("data:") {
                    event.data.push_str(data.strip_prefix(' ').unwrap_or(data));
                } else {
                    ensure!(line.starts_with(':'), "not a line of an event stream: {line}");
                }
            }
            if event.name.is_some() || !event.data.is_empty() {
                events.push(event);
            }
        }
        Ok(events)
    }
}

impl Event {
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.data).with_context(|| format!("no JSON in an event: {}", self.data))
    }
}

/// Sends a head that announces `length` bytes of body, then bytes until the peer answers or closes, but never more than `most`.
/// Gives the status and how many bytes of body the peer let us send.
pub async fn flood(
    host: SocketAddr,
    path: &str,
    key: &str,
    length: usize,
    most: usize,
) -> Result<(u16, usize)> {
    let stream = TcpStream::connect(host).await?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    let (mut reader, mut writer) = stream.into_split();
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let sender = tokio::spawn(async move {
        writer.write_all(head.as_bytes()).await?;
        let filler = vec![b' '; 16 << 10];
        while counter.load(Ordering::SeqCst) < most.min(length) {
            let written = writer.write(&filler).await?;
            counter.fetch_add(written, Ordering::SeqCst);
        }
        std::future::pending::<std::io::Result<()>>().await
    });
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !answer.windows(4).any(|four| four == b"\r\n\r\n") {
        match timeout(PATIENCE, reader.read(&mut buffer)).await.context("no answer to the flood")? {
            Ok(0) => break,
            Ok(read) => answer.extend_from_slice(&buffer[..read]),
            Err(error) => return Err(error).context("the connection broke before an answer came"),
        }
    }
    let status = std::str::from_utf8(&answer)
        .ok()
        .and_then(|text| text.split(' ').nth(1))
        .and_then(|status| status.parse().ok())
        .ok_or_else(|| anyhow!("no status line: {:?}", String::from_utf8_lossy(&answer)))?;
    sender.abort();
    Ok((status, sent.load(Ordering::SeqCst)))
}
