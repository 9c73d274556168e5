//! What can be asked of an answer that is kept.

use futures_util::{StreamExt, stream};
use gatelet_wire::dialect::{EncoderOptions, Reading};
use gatelet_wire::{DialectId, Fields, Loss, SmallMap, fold};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};

use super::{background, object};
use crate::domain::Timestamp;
use crate::port::{Body, ByteStream};
use crate::refusal::Refusal;
use crate::responses::{Answer, Shelf, listed};
use crate::shared::Core;

const NONE: Refusal = Refusal::NotFound { what: "response of this key" };

pub(super) async fn get(shelf: &Shelf, id: &str, now: Timestamp) -> Result<Answer, Refusal> {
    shelf.get(id, now).await?.ok_or(NONE)
}

pub(super) async fn show(
    core: &Core,
    shelf: &Shelf,
    id: &str,
    now: Timestamp,
    parts: &Parts,
) -> Result<Response<Body>, Refusal> {
    let asked = query(parts);
    if asked.get("stream").is_some_and(|flag| flag == "true") {
        let after = match asked.get("starting_after") {
            None => None,
            Some(number) => Some(number.parse::<usize>().map_err(|_| Refusal::Invalid {
                param: "starting_after".to_owned(),
                problem: "expected the number of an event".to_owned(),
            })?),
        };
        let skipped = after.map_or(0, |after| after.saturating_add(1));
        if let Some(run) = core.runs.get(shelf.home(), id) {
            return Ok(events(run.read().skip(skipped).boxed()));
        }
        let answer = get(shelf, id, now).await?;
        return Ok(events(stream::iter(told_again(&answer, id).into_iter().skip(skipped).map(Ok)).boxed()));
    }
    let answer = background::settled(core, shelf, id, now).await?;
    Ok(object(StatusCode::OK, answer.response.as_str().to_owned()))
}

fn events(stream: ByteStream) -> Response<Body> {
    let mut response = Response::new(Body::Stream(stream));
    let kind = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    response
}

/// The events of an answer, as they may have been.
fn told_again(answer: &Answer, id: &str) -> Vec<bytes::Bytes> {
    let dialect = DialectId::OpenaiResponses.dialect();
    let text = answer.response.as_str();
    let Ok(response) = dialect.read_response(text.as_bytes(), Reading::default()) else { return Vec::new() };
    let echo = Fields::read(text.as_bytes()).map(|_| dialect.echo(text.as_bytes())).unwrap_or_default();
    let mut encoder = dialect.encoder(EncoderOptions {
        usage: true,
        created: response.created.unwrap_or(0),
        id: Some(id.to_owned()),
        echo,
        ..EncoderOptions::default()
    });
    let (mut out, mut loss) = (Vec::new(), Loss::default());
    for event in fold::unfold(&response) {
        encoder.push(&event, &mut out, &mut loss);
    }
    let text = String::from_utf8_lossy(&out).into_owned();
    text.split_inclusive("\n\n").map(|event| bytes::Bytes::from(event.to_owned())).collect()
}

pub(super) async fn delete(shelf: &Shelf, id: &str, now: Timestamp) -> Result<Response<Body>, Refusal> {
    get(shelf, id, now).await?;
    shelf.discard(id).await?;
    let gone = serde_json::json!({ "id": id, "object": "response", "deleted": true });
    Ok(object(StatusCode::OK, gone.to_string()))
}

pub(super) async fn input(
    shelf: &Shelf,
    id: &str,
    now: Timestamp,
    parts: &Parts,
) -> Result<Response<Body>, Refusal> {
    let asked = query(parts);
    let limit = match asked.get("limit") {
        None => Some(20),
        Some(limit) => limit.parse::<usize>().ok().filter(|limit| (1..=100).contains(limit)),
    };
    let limit = limit.ok_or_else(|| Refusal::Invalid {
        param: "limit".to_owned(),
        problem: "expected a number from 1 to 100".to_owned(),
    })?;
    let descending = asked.get("order").is_none_or(|order| order != "asc");
    let answer = get(shelf, id, now).await?;
    let page = listed(&answer, id, asked.get("after").map(String::as_str), descending, limit);
    Ok(object(StatusCode::OK, page.to_string()))
}

fn query(parts: &Parts) -> SmallMap<String, String> {
    let query = parts.uri.query().unwrap_or_default();
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}
