//! Indexes of vectors elsewhere, in place of what is on board: what each is asked, and how its answer is read. One file each.
//!
//! A vector's space stands beside it, and is asked for; an answer that names another space is no answer, whatever the index
//! has made of the question.

mod qdrant;
mod s3_vectors;
#[cfg(test)]
mod tests;
mod vectorize;

use std::time::Duration;

use bytes::Bytes;
use gatelet_wire::Malformed;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, Uri};
use serde_json::Value;

use super::Vector;
use crate::cache::Name;
use crate::domain::Timestamp;
use crate::exchange::Exchange;
use crate::policy::{Index, IndexKind};
use crate::port::{Fault, Ports, Reach};

/// What an index is asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum What<'a> {
    /// The nearest vector of a space.
    Nearest(&'a Name, &'a Vector),
    /// To keep the vector of a question of a space, by the name of its answer.
    Put(&'a Name, &'a Vector, &'a Name),
    /// To forget the vector of an answer.
    Forget(&'a Name),
}

/// The nearest vector: of which space, whose answer, and its cosine.
#[derive(Debug, PartialEq)]
struct Found {
    space: Option<Name>,
    answer: Name,
    cosine: f32,
}

/// What is sent.
#[derive(Debug)]
struct Said {
    method: Method,
    path: String,
    kind: &'static str,
    body: String,
}

impl Said {
    fn json(method: Method, path: impl Into<String>, body: &Value) -> Self {
        Self { method, path: path.into(), kind: "application/json", body: body.to_string() }
    }
}

/// A question on its way.
struct Asked<'a> {
    index: &'a Index,
    finds: bool,
    request: Request<Bytes>,
}

/// Asks an index. For what is not looked for it answers nothing.
pub(super) async fn ask(
    ports: &Ports,
    index: &Index,
    what: What<'_>,
    limit: Duration,
) -> Result<Option<(Name, f32)>, Fault> {
    let reach = if index.private { Reach::Private } else { Reach::Public };
    let mut request = request(index, what);
    if let Some(key) = &index.key {
        let region = match &index.kind {
            IndexKind::S3Vectors { region, .. } => Some(region.as_ref()),
            _ => None,
        };
        key.put_on(&mut request, region, ports, reach, "index").await?;
    }
    let finds = matches!(what, What::Nearest(..));
    let found = ports.exchange(&Asked { index, finds, request }, reach, limit).await?;
    let What::Nearest(space, _) = what else { return Ok(None) };
    let own = found.filter(|found| found.space.as_ref() == Some(space));
    Ok(own.map(|found| (found.answer, found.cosine.min(1.0))))
}

fn request(index: &Index, what: What<'_>) -> Request<Bytes> {
    let Said { method, path, kind, body } = match &index.kind {
        IndexKind::Qdrant { collection } => qdrant::ask(collection, what),
        IndexKind::Vectorize => vectorize::ask(what),
        IndexKind::S3Vectors { bucket, index, .. } => s3_vectors::ask(bucket, index, what),
    };
    let mut request = Request::new(Bytes::from(body));
    *request.method_mut() = method;
    if let Ok(uri) = Uri::try_from(format!("{}{path}", index.base)) {
        *request.uri_mut() = uri;
    }
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    request
}

impl Exchange for Asked<'_> {
    type Answer = Option<Found>;

    fn ask(&self, _now: Timestamp) -> Request<Bytes> {
        self.request.clone()
    }

    fn read(&self, reply: Response<Bytes>) -> Result<Option<Found>, Malformed> {
        if !reply.status().is_success() {
            return Err(Malformed::field("status", "an answer of success"));
        }
        if !self.finds {
            return Ok(None);
        }
        let body =
            std::str::from_utf8(reply.body()).ok().and_then(|text| gatelet_wire::json::from_str(text).ok());
        let body: Value = body.ok_or_else(|| Malformed::field("body", "JSON"))?;
        match &self.index.kind {
            IndexKind::Qdrant { .. } => qdrant::read(&body),
            IndexKind::Vectorize => vectorize::read(&body),
            IndexKind::S3Vectors { .. } => s3_vectors::read(&body),
        }
    }
}

/// What an index knows of a vector that it found: `answer` as it is named there, and the space beside it.
fn found(answer: &Value, space: &Value, cosine: Option<f64>) -> Result<Found, Malformed> {
    let name = |value: &Value| value.as_str().and_then(Name::from_hex);
    let answer = name(answer).ok_or_else(|| Malformed::field("answer", "the name of an answer"))?;
    let cosine = cosine.ok_or_else(|| Malformed::field("score", "a number"))?;
    #[expect(clippy::cast_possible_truncation, reason = "a cosine of so many digits means nothing")]
    let cosine = cosine as f32;
    Ok(Found { space: name(space), answer, cosine })
}
