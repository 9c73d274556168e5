//! How a batch is sent, and what its answer means.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::{Either, select};
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use serde_json::Value;

use super::story::Story;
use super::{arize, clickhouse, datadog, elastic, langfuse, otlp, splunk, stdout, webhook};
use crate::domain::{Secret, Timestamp};
use crate::policy::{Sink, SinkWay};
use crate::port::{Body, Ports};

/// The longest that one request may take.
const LIMIT: Duration = Duration::from_secs(10);
/// Of an answer so much is read.
const ANSWER: usize = 1 << 20;

/// What is told together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch<'a> {
    pub(super) stories: &'a [Story],
    pub(super) key: Option<&'a Secret>,
    pub(super) sink: &'a Sink,
}

impl<'a> Batch<'a> {
    pub(super) fn requests(&self) -> impl Iterator<Item = &'a Story> + use<'a> {
        self.stories.iter().filter(|story| !story.is_score())
    }

    pub(super) fn scores(&self) -> impl Iterator<Item = &'a Story> + use<'a> {
        self.stories.iter().filter(|story| story.is_score())
    }

    pub(super) fn key(&self) -> &'a str {
        self.key.map(Secret::expose).unwrap_or_default()
    }
}

/// One request to a sink.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) url: String,
    pub(super) media: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

impl Post {
    pub(super) fn json(url: String, body: &Value) -> Self {
        Self { url, media: "application/json", headers: Vec::new(), body: body.to_string().into_bytes() }
    }

    #[must_use]
    pub(super) fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// `Basic` of `user:password`.
pub(super) fn basic(key: &str) -> String {
    format!("Basic {}", STANDARD.encode(key))
}

/// Why a batch was not taken.
#[derive(Debug)]
pub(super) enum Refused {
    /// It may be another time; in so many seconds, where it says so.
    Later(Option<u64>, String),
    TooLarge,
    /// It says that what it was told is wrong.
    Unfit(String),
}

/// Sends a batch. What is not taken is sent again as a whole, so what a sink would count twice comes last.
pub(super) async fn send(ports: &Ports, batch: &Batch<'_>) -> Result<(), Refused> {
    let now = ports.clock.now();
    if batch.sink.way.is_local() {
        for line in stdout::lines(batch) {
            ports.log.line(&line);
        }
        return Ok(());
    }
    let all = match batch.sink.way {
        SinkWay::Webhook => webhook::posts(batch, now),
        SinkWay::Otlp => otlp::posts(batch),
        SinkWay::Datadog => datadog::posts(batch, now),
        SinkWay::Langfuse => langfuse::posts(batch),
        SinkWay::Arize => arize::posts(batch),
        SinkWay::Splunk => splunk::posts(batch),
        SinkWay::Elastic => elastic::posts(batch),
        SinkWay::Clickhouse => clickhouse::posts(batch),
        SinkWay::Stdout | SinkWay::Syslog => Vec::new(),
    };
    for post in all {
        one(ports, batch.sink, post, now).await?;
    }
    Ok(())
}

async fn one(ports: &Ports, sink: &Sink, post: Post, now: Timestamp) -> Result<(), Refused> {
    let broken = |_| Refused::Unfit("its configuration makes no request".to_owned());
    let request = request(sink, post).map_err(broken)?;
    let call = async {
        let answer = ports.upstream.send(request, sink.reach).await;
        let later = |why: &str| Refused::Later(None, why.to_owned());
        let (head, body) = answer.map_err(|fault| later(&format!("{:?}", fault.kind)))?.into_parts();
        let reads = matches!(sink.way, SinkWay::Elastic | SinkWay::Langfuse) && head.status.is_success();
        let body = if reads {
            body.collect(&head.headers, ANSWER).await.map_err(|_| later("its answer broke off"))?
        } else {
            bytes::Bytes::new()
        };
        let after = head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let after = after.and_then(|text| text.trim().parse().ok().or_else(|| date(text, now)));
        judge(sink.way, head.status, after, &body)
    };
    match select(Box::pin(call), ports.clock.sleep(LIMIT)).await {
        Either::Left((answer, _)) => answer,
        Either::Right(((), _)) => Err(Refused::Later(None, "it took too long".to_owned())),
    }
}

fn date(text: &str, now: Timestamp) -> Option<u64> {
    Some(Timestamp::parse_http(text.trim())?.since(now).as_secs())
}

/// What an answer means. A redirect is not followed: a secret would go where no admin has sent it.
fn judge(way: SinkWay, status: StatusCode, after: Option<u64>, body: &[u8]) -> Result<(), Refused> {
    let why = format!("it answered {}", status.as_u16());
    match status.as_u16() {
        200..=299 => match way {
            SinkWay::Elastic => elastic::judge(body),
            SinkWay::Langfuse => langfuse::judge(body),
            _ => Ok(()),
        },
        413 => Err(Refused::TooLarge),
        400 | 422 => Err(Refused::Unfit(why)),
        _ => Err(Refused::Later(after, why)),
    }
}

fn request(sink: &Sink, post: Post) -> Result<Request<Body>, http::Error> {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(post.url)
        .header(CONTENT_TYPE, post.media)
        .header(USER_AGENT, concat!("gatelet/", env!("CARGO_PKG_VERSION")))
        .body(Body::from(post.body))?;
    let headers = request.headers_mut();
    for (name, value) in post.headers {
        let mut value = HeaderValue::try_from(value)?;
        value.set_sensitive(name == AUTHORIZATION.as_str() || name.contains("key"));
        headers.insert(HeaderName::from_static(name), value);
    }
    for (name, value) in &sink.headers {
        headers.insert(name, value.clone());
    }
    Ok(request)
}

/// Puts prompts and answers to the requests that they are of.
pub(super) fn join(stories: &mut [(usize, Story)], text: &str) {
    for line in text.lines() {
        let Ok(content) = gatelet_wire::json::from_str::<Value>(line) else { continue };
        let id = content["id"].as_str().unwrap_or_default().to_owned();
        if let Some((_, story)) = stories.iter_mut().find(|(_, story)| story.id() == id) {
            story.content = Some(content);
        }
    }
}
