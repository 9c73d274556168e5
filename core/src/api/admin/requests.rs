//! Records of requests: looked for, shown with all that belongs to one, and scored.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::call::Call;
use super::documents::{invalid, unfit};
use super::routes::REQUESTS;
use super::{read, reply};
use crate::domain::account::Op;
use crate::domain::{Actor, Resource, Scope, ShardId, Timestamp, Verb};
use crate::port::{Body, Entry, Transaction};
use crate::record::search::{self, Found, Search, Shown};
use crate::refusal::Refusal;

const WHAT: &str = "request";
/// What else a search says; all other words of its query are fields of a record.
const OWN: [&str; 6] = ["shard", "from", "to", "after", "limit", "format"];

/// `GET /admin/v1/requests?from=&to=&after=&limit=&format=`, and a value for each field of [`REQUESTS`]: records of requests, the
/// newest first. A page may have fewer than asked for, or none, and still a `next`: the archive is read a bounded piece at a time.
pub(super) async fn list(call: &Call<'_>) -> Result<Response<Body>, Refusal> {
    let shard = shard(call)?;
    let moment = |name: &str, usual: Timestamp| match call.query(name) {
        None => Ok(usual),
        Some(text) => {
            let day = || (text.len() == 10).then(|| Timestamp::parse(&format!("{text}T00:00:00Z"))).flatten();
            let at = Timestamp::parse(&text).or_else(day).filter(|at| *at >= Timestamp::EPOCH);
            at.ok_or_else(|| unfit(name, "expected a moment such as 2026-11-22T17:00:00Z, or a day"))
        }
    };
    let to = moment("to", call.now)?;
    let day_before = Timestamp::from_micros(to.micros() - 86_400_000_000);
    let from = moment("from", day_before)?;
    if from > to {
        return Err(unfit("from", "expected a moment that is not after `to`"));
    }
    let fields = REQUESTS.iter().filter(|word| !OWN.contains(word));
    let mut only: Vec<(String, String)> =
        fields.filter_map(|field| Some(((*field).to_owned(), call.query(field)?))).collect();
    only.extend(bounds(call));
    let search = Search { from, to, only, limit: call.page_size()? };
    let after = call.query("after");
    let found = search::search(&call.core.ports, &shard, &search, after.as_deref()).await?;
    let Found { lines, next, reads } = found.ok_or_else(|| unfit("after", "expected `next` of a page"))?;
    let (text, media) = match call.query("format").as_deref() {
        Some("ndjson") => {
            let mut text = lines.join("\n");
            if !text.is_empty() {
                text.push('\n');
            }
            (text, "application/x-ndjson")
        }
        None | Some("json") => {
            let next = next.as_ref().map_or_else(|| "null".to_owned(), |next| json!(next).to_string());
            let text = format!("{{\"next\":{next},\"reads\":{reads},\"requests\":[{}]}}", lines.join(","));
            (text, "application/json")
        }
        Some(_) => return Err(invalid("format", "expected json or ndjson")),
    };
    let mut response = Response::new(Body::Full(Bytes::from(text)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
    if let Some(next) = next.and_then(|next| HeaderValue::try_from(next).ok()) {
        response.headers_mut().insert("x-gatelet-next", next);
    }
    Ok(response)
}

/// `GET /admin/v1/requests/{id}`: one request with its attempts and its scores; and with its content, for those who may read
/// that.
pub(super) async fn show(call: &Call<'_>, id: &str) -> Result<Response<Body>, Refusal> {
    let shard = shard(call)?;
    let content = call.permit.principal().clone().permit(Resource::Content, Verb::Read).is_some();
    let Shown { request, attempts, content } = found(call, &shard, id, content).await?;
    let scores = scores(call, &shard, id).await?;
    let scores = Value::from(scores).to_string();
    let content = content.map(|content| format!(",\"content\":{content}")).unwrap_or_default();
    let text = format!(
        "{{\"request\":{request},\"attempts\":[{}],\"scores\":{scores}{content}}}",
        attempts.join(",")
    );
    let mut response = Response::new(Body::Full(Bytes::from(text)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// What somebody thinks of an answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Scoring {
    /// What is judged, such as `helpful`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 100)))]
    name: String,
    /// A number, a word, or yes or no.
    #[cfg_attr(feature = "schema", schemars(with = "ScoreValue"))]
    value: Value,
    #[cfg_attr(feature = "schema", schemars(length(max = 2000)))]
    comment: Option<String>,
}

#[cfg(feature = "schema")]
#[derive(schemars::JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is looked at")]
enum ScoreValue {
    Number(f64),
    Flag(bool),
    Word(String),
}

/// `POST /admin/v1/requests/{id}/scores`: a score, joined to the request and told to the sinks that know scores.
pub(super) async fn score(call: &Call<'_>, id: &str, body: Body) -> Result<Response<Body>, Refusal> {
    const LONGEST: usize = 2_000;
    const KEPT: std::time::Duration = std::time::Duration::from_hours(400 * 24);
    const MOST: usize = 100;
    let Scoring { name, value, comment } = read(call.parts, body).await?;
    if name.is_empty() || name.len() > 100 {
        return Err(unfit("name", "expected 1 to 100 bytes"));
    }
    let sound = match &value {
        Value::Number(_) | Value::Bool(_) => true,
        Value::String(word) => word.len() <= 200,
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    };
    if !sound {
        return Err(unfit("value", "expected a number, a word of at most 200 bytes, true or false"));
    }
    if comment.as_ref().is_some_and(|comment| comment.len() > LONGEST) {
        return Err(unfit("comment", "expected at most 2000 bytes"));
    }
    let shard = shard(call)?;
    let record: Value =
        gatelet_wire::json::from_str(&found(call, &shard, id, false).await?.request).unwrap_or_default();
    let mut chance = [0; 8];
    call.dice.fill(&mut chance);
    let score_id = format!("scr_{:016x}", u64::from_be_bytes(chance));
    let by = match call.permit.principal().actor() {
        Actor::Root => "root".to_owned(),
        Actor::Key { id, .. } => id.clone(),
    };
    let mut score = json!({ "v": 1, "kind": "score", "id": id, "at": call.now.to_string(), "score": score_id,
        "name": name, "value": value, "by": by });
    // Whoever is told of the request may be told of this.
    let of_record = ["org", "team", "residency", "kept_in"].map(|field| (field, record[field].clone()));
    for (field, value) in std::iter::once(("comment", json!(comment))).chain(of_record) {
        if !value.is_null() {
            score[field] = value;
        }
    }
    let mut all = scores(call, &shard, id).await?;
    if all.len() >= MOST {
        return Err(unfit("id", "a request has at most 100 scores"));
    }
    let line = score.to_string();
    let entry =
        Entry { id: format!("{:016}-{score_id}", call.now.micros()).into(), line: line.into(), settle: None };
    let transaction = Transaction::new(Vec::new(), Op::Sweep, vec![entry]);
    call.core.ports.ledger.transact(&shard, transaction, call.now).await?;
    all.push(score.clone());
    let bytes = serde_json::to_vec(&all).unwrap_or_default();
    call.core.ports.store.keep(&home(&shard), id, bytes.into(), call.now.after(KEPT)).await?;
    Ok(reply(StatusCode::CREATED, &score))
}

/// Scores of a request, the oldest first. The archive has them, too.
async fn scores(call: &Call<'_>, shard: &ShardId, id: &str) -> Result<Vec<Value>, Refusal> {
    let kept = call.core.ports.store.kept(&home(shard), id, call.now).await?;
    Ok(kept.and_then(|bytes| gatelet_wire::json::read(&bytes).ok()).unwrap_or_default())
}

fn home(shard: &ShardId) -> String {
    format!("scores/{shard}")
}

/// A request that whoever calls may know of.
async fn found(call: &Call<'_>, shard: &ShardId, id: &str, content: bool) -> Result<Shown, Refusal> {
    let none = || Refusal::NotFound { what: WHAT };
    let shown = search::show(&call.core.ports, shard, id, content).await?.ok_or_else(none)?;
    let record: Value = gatelet_wire::json::from_str(&shown.request).unwrap_or_default();
    let mine = bounds(call).iter().all(|(field, value)| {
        let said = record[field.as_str()].as_str();
        said.or_else(|| (field == "org").then_some(Scope::DEFAULT_ORG)) == Some(value.as_str())
    });
    mine.then_some(shown).ok_or_else(none)
}

/// What whoever calls may know of.
fn bounds(call: &Call<'_>) -> Vec<(String, String)> {
    let bounds = call.permit.principal().bounds().into_iter();
    bounds.map(|(kind, id)| (kind.to_owned(), id.to_owned())).collect()
}

fn shard(call: &Call<'_>) -> Result<ShardId, Refusal> {
    let shard = call.shard()?;
    if call.permit.principal().shard().is_some_and(|mine| *mine != shard) {
        return Err(Refusal::NotFound { what: "shard" });
    }
    Ok(shard)
}
