//! LiteLLM's management routes, as a thin layer over the admin API: their words in, ours inside, theirs out, so that scripts
//! and the `litellm-proxy` command line work unchanged. Whoever calls is judged by the admin API, as anybody else.
//!
//! A field that says something for which we have no counterpart is refused by its name; one that says nothing (null, false,
//! empty, zero) is passed over, since their clients send those. Source of routes and fields: LiteLLM 1.106.

mod amounts;
mod fields;
mod health;
mod keys;
mod members;
mod models;
mod scopes;
mod spend;

use http::request::Parts;
use http::{Method, Response, StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::{admin, reply};
use crate::domain::Timestamp;
use crate::pipeline;
use crate::port::Body;
use crate::refusal::Refusal;
use crate::shared::Core;

use fields::Fields;
pub use fields::says_nothing;
use scopes::Noun;

/// Whether a path is one of theirs. Those that mean something else at a vendor are asked for after this.
pub(super) fn knows(segments: &[&str]) -> bool {
    match segments {
        ["key", action, ..] => keys::ACTIONS.contains(action),
        ["health", action] => health::ACTIONS.contains(action),
        ["team", action] if members::ACTIONS.contains(action) => true,
        ["health"]
        | ["model" | "model_group", "info"]
        | ["v1", "model", "info"]
        | ["v2", "team", "list"]
        | ["team", "available"] => true,
        [noun, action] if Noun::named(noun).is_some() => scopes::ACTIONS.contains(action),
        _ => spend::knows(segments),
    }
}

/// Answers what [`knows`] has said is theirs.
pub(super) async fn answer(
    core: &Core,
    now: Timestamp,
    parts: &Parts,
    body: Body,
    segments: &[&str],
) -> Result<Response<Body>, Refusal> {
    let ours = Ours { core, now, parts };
    let answer = match segments {
        ["health", "readiness"] => return super::health::ready(core).await,
        ["health", _] => json!("I'm alive!"),
        ["health"] => health::all(&ours).await?,
        ["team", action] if members::ACTIONS.contains(action) => members::answer(&ours, action, body).await?,
        ["model" | "model_group", "info"] | ["v1", "model", "info"] => {
            models::info(&ours, segments.first() == Some(&"model_group")).await?
        }
        ["team", "available"] => json!([]),
        ["v2", "team", "list"] => scopes::page(&ours, &scopes::TEAM).await?,
        ["key", rest @ ..] => keys::answer(&ours, rest, body).await?,
        ["spend" | "global", ..] => spend::answer(&ours, segments).await?,
        [noun, action] => match Noun::named(noun) {
            Some(noun) => scopes::answer(&ours, noun, action, body).await?,
            None => return Err(Refusal::NoRoute { path: parts.uri.path().to_owned() }),
        },
        _ => return Err(Refusal::NoRoute { path: parts.uri.path().to_owned() }),
    };
    Ok(reply(StatusCode::OK, &answer))
}

/// The admin API, as it is called from here: with the caller's own key.
struct Ours<'a> {
    core: &'a Core,
    now: Timestamp,
    parts: &'a Parts,
}

impl Ours<'_> {
    /// One call; what it refuses is refused.
    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, Refusal> {
        let bytes = body.map(|body| serde_json::to_vec(&body).unwrap_or_default()).unwrap_or_default();
        let broken = || Refusal::NoRoute { path: path.to_owned() };
        let uri = ["/admin/v1/", path].concat();
        let (mut parts, ()) =
            http::Request::builder().method(method).uri(uri).body(()).map_err(|_| broken())?.into_parts();
        parts.headers = self.parts.headers.clone();
        parts.headers.remove(header::CONTENT_LENGTH);
        // One of theirs is several of ours.
        parts.headers.remove("idempotency-key");
        parts.extensions = self.parts.extensions.clone();
        let route = parts.uri.path().strip_prefix("/admin/v1/").unwrap_or_default().to_owned();
        let segments: Vec<&str> = route.split('/').collect();
        let answer = admin::answer(self.core, self.now, &parts, Body::from(bytes), &segments).await?;
        let (head, body) = answer.into_parts();
        let bytes = pipeline::collect(body, &head.headers, MOST).await?;
        let value: Value = gatelet_wire::json::read(&bytes).unwrap_or_default();
        if head.status.is_success() {
            return Ok(value);
        }
        let problem = ["detail", "title"].into_iter().find_map(|key| value[key].as_str());
        Err(fields::invalid("body", problem.unwrap_or("it was refused")))
    }

    /// All pages of a list, up to the most that is counted.
    async fn all(&self, plural: &str) -> Result<Vec<Value>, Refusal> {
        let mut all = Vec::new();
        let mut after = String::new();
        for _ in 0..MOST_PAGES {
            let path = format!("{plural}?limit=1000{after}");
            let mut page = self.ask(Method::GET, &path, None).await?;
            if let Some(Value::Array(items)) = page.get_mut(plural).map(Value::take) {
                all.extend(items);
            }
            match page["next"].as_str() {
                Some(next) => after = format!("&after={}", escaped(next)),
                None => break,
            }
        }
        Ok(all)
    }

    /// A value of the query.
    fn query(&self, name: &str) -> Option<String> {
        let mut pairs = form_urlencoded::parse(self.parts.uri.query()?.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// `page` and `size` of a list: their own words, from 1.
    fn page(&self, items: &[Value], size: &str) -> (Vec<Value>, usize, usize, usize) {
        let count = |name: &str, usual| {
            self.query(name).and_then(|text| text.parse().ok()).filter(|count| *count > 0).unwrap_or(usual)
        };
        let (page, size): (usize, usize) = (count("page", 1), count(size, 10).min(1_000));
        let begin = (page - 1).saturating_mul(size).min(items.len());
        let end = begin.saturating_add(size).min(items.len());
        (items.get(begin..end).unwrap_or_default().to_vec(), page, size, items.len().div_ceil(size))
    }

    /// An id for what comes without one.
    fn fresh_id(&self) -> String {
        let mut chance = [0; 16];
        self.core.ports.chance.fill(&mut chance);
        format!("{:032x}", u128::from_be_bytes(chance))
    }

    async fn fields(&self, body: Body) -> Result<Fields, Refusal> {
        let bytes = pipeline::collect(body, &self.parts.headers, MOST).await?;
        Fields::read(&bytes)
    }
}

/// The largest body of either side.
const MOST: usize = 16 << 20;
/// Pages of a thousand.
const MOST_PAGES: usize = 100;

/// A part of a path or of a query. What may stand in an id of ours stays as it is.
fn escaped(text: &str) -> String {
    const OTHERS: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(text, OTHERS).to_string()
}
