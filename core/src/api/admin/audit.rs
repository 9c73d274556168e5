//! What admins did, and what was refused to them: written down with each change, and shown in order.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use gatelet_wire::Json;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::request::Parts;
use http::{HeaderValue, Response};
use serde_json::{Map, Value, json};

use super::call::Call;
use super::documents::invalid;
use crate::domain::account::{Holder, Op};
use crate::domain::{Actor, Principal, ShardId, Timestamp};
use crate::pipeline::{Approach, approach};
use crate::port::{Body, Entry, Fault, Transaction};
use crate::record::audit::{self, Of};
use crate::record::tidy;
use crate::refusal::Refusal;
use crate::shared::Core;

/// `GET /admin/v1/audit?of=&after=&limit=`: the lines of a chain after a number, in order, byte for byte as they were hashed.
/// Lines before `oldest` are in the archive alone; content that came before `content_from` has left it by its age.
pub(super) async fn list(call: &Call<'_>) -> Result<Response<Body>, Refusal> {
    let shard = call.shard()?;
    let limit = call.page_size()?;
    let after = match call.query("after") {
        None => 0,
        Some(text) => text
            .parse()
            .ok()
            .filter(|after| *after < 1 << 48)
            .ok_or_else(|| invalid("after", "expected the number of an entry"))?,
    };
    let of = match call.query("of") {
        None => Of::default(),
        Some(name) => Of::ALL
            .into_iter()
            .find(|of| of.name() == name)
            .ok_or_else(|| invalid("of", "expected admin or content"))?,
    };
    let audit::Links { lines, first, oldest, head: (last, hash) } =
        audit::read(&call.core.ports, &shard, of, after, limit).await?;
    let next = first + lines.len() as u64 - 1;
    let next = if next < last && !lines.is_empty() { next.to_string() } else { "null".to_owned() };
    let mut text = String::with_capacity(lines.iter().map(|line| line.len() + 1).sum::<usize>() + 200);
    let _infallible = write!(
        text,
        "{{\"head\":{{\"seq\":{last},\"hash\":\"{hash}\"}},\"oldest\":{oldest},\"next\":{next},\"entries\":[{}]",
        lines.join(",")
    );
    if of == Of::Content
        && let Some(from) = tidy::content_from(&call.core.ports, &shard).await?
    {
        let _infallible = write!(text, ",\"content_from\":\"{from}\"");
    }
    text.push('}');
    let mut response = Response::new(Body::Full(Bytes::from(text)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// What an entry says of a change: what it is about, as it was and as it is to be.
#[derive(Debug)]
pub(super) struct Change<'a> {
    /// Such as `key/7f3k2m9q4t1x`.
    pub(super) of: &'a str,
    pub(super) version: u64,
    pub(super) before: Option<Value>,
    pub(super) after: Option<Value>,
}

/// The entry of a change, to be kept in the transaction that makes it, or before.
pub(super) fn change(call: &Call<'_>, change: Change<'_>) -> Entry {
    let Change { of, version, before, after } = change;
    let (before, after) = difference(before.unwrap_or_default(), after.unwrap_or_default());
    let mut fields = said(call.core, call.permit.principal(), call.parts);
    fields.insert("verb".to_owned(), call.permit.verb().name().into());
    fields.insert("of".to_owned(), of.into());
    fields.insert("version".to_owned(), version.into());
    for (name, values) in [("before", before), ("after", after)] {
        fields.insert(name.to_owned(), shortened(Value::Object(values), 900));
    }
    entry(call.core, call.now, &fields)
}

/// The change that the entry `of` tells of was not made.
pub(super) async fn unmade(call: &Call<'_>, shard: &ShardId, of: &Entry, why: &str) {
    let mut fields = said(call.core, call.permit.principal(), call.parts);
    fields.insert("verb".to_owned(), "none".into());
    fields.insert("not_made".to_owned(), name_of(of).into());
    fields.insert("why".to_owned(), why.into());
    let entry = entry(call.core, call.now, &fields);
    if let Err(fault) = keep(call.core, shard, entry, call.now).await {
        call.core.ports.log.failed("an entry of the audit was not kept", &fault);
    }
}

/// Writes down that something was refused for want of a permission.
///
/// What anybody can bring about by asking is bounded: see [`Denied`](crate::shared::Denied). What was left out is counted in
/// the next entry.
pub(super) async fn refused(
    core: &Core,
    now: Timestamp,
    parts: &Parts,
    principal: Option<&Principal>,
    refusal: &Refusal,
) {
    let Some(left_out) = core.denied.note(now, principal.is_some()) else { return };
    let mut fields = if let Some(principal) = principal {
        said(core, principal, parts)
    } else {
        let mut fields = Map::from_iter([("actor".to_owned(), Value::Null)]);
        whence(core, &mut fields, parts);
        fields
    };
    let mut path = parts.uri.path().to_owned();
    path.truncate(path.floor_char_boundary(200));
    fields.insert("verb".to_owned(), "refused".into());
    fields.insert("of".to_owned(), format!("{} {path}", parts.method).into());
    fields.insert("why".to_owned(), refusal.code().into());
    if left_out > 0 {
        fields.insert("left_out".to_owned(), left_out.into());
    }
    let shard = principal.and_then(Principal::shard).unwrap_or(&core.settings.shard);
    if let Err(fault) = keep(core, shard, entry(core, now, &fields), now).await {
        core.ports.log.failed("an entry of the audit was not kept", &fault);
    }
}

/// Keeps an entry by itself.
pub(super) async fn keep(core: &Core, shard: &ShardId, entry: Entry, now: Timestamp) -> Result<(), Fault> {
    let transaction = Transaction::new(Vec::new(), Op::Sweep, vec![entry]);
    core.ports.ledger.transact(shard, transaction, now).await.map(drop)
}

/// A document as entries show it.
pub(super) fn shown(holder: &Holder) -> Value {
    match holder {
        Holder::Key(key) => Json::of(key).to_value(),
        Holder::Scope(scope) => Json::of(scope).to_value(),
    }
}

/// Who, with which rights, and from where.
fn said(core: &Core, principal: &Principal, parts: &Parts) -> Map<String, Value> {
    let actor = match principal.actor() {
        Actor::Root => "root".to_owned(),
        Actor::Key { shard, id } => format!("key/{shard}/{id}"),
    };
    let mut fields = Map::new();
    fields.insert("actor".to_owned(), actor.into());
    fields.insert("role".to_owned(), principal.role().name().into());
    whence(core, &mut fields, parts);
    fields
}

fn whence(core: &Core, fields: &mut Map<String, Value>, parts: &Parts) {
    if let Some(address) = Approach::of(core, parts, approach::ADMIN).address() {
        fields.insert("from".to_owned(), address.to_string().into());
    }
    if let Some(agent) = parts.headers.get(USER_AGENT).and_then(|value| value.to_str().ok()) {
        let agent: String = agent.chars().take(100).collect();
        fields.insert("agent".to_owned(), agent.into());
    }
}

fn entry(core: &Core, now: Timestamp, fields: &Map<String, Value>) -> Entry {
    let mut chance = [0; 8];
    core.ports.chance.fill(&mut chance);
    // Counted, so that entries of one moment are in the order in which they were made.
    let count = core.audited.fetch_add(1, Ordering::Relaxed);
    let id = format!("aud_{count:08x}{:016x}", u64::from_be_bytes(chance));
    let mut line = format!("{{\"kind\":\"audit\",\"id\":\"{id}\",\"at\":\"{now}\"");
    for (name, value) in fields {
        let _infallible = write!(line, ",\"{name}\":{value}");
    }
    line.push('}');
    Entry { id: format!("{:016}-{id}", now.micros()).into(), line: line.into(), settle: None }
}

fn name_of(entry: &Entry) -> &str {
    entry.id.split_once('-').map_or("", |(_, name)| name)
}

/// The fields that differ, as they were and as they are. What is a secret is shown by its hash.
fn difference(before: Value, after: Value) -> (Map<String, Value>, Map<String, Value>) {
    const MOMENTS: [&str; 1] = ["updated"];
    let object = |value: Value| match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    let (mut before, mut after) = (object(before), object(after));
    before.retain(|name, value| {
        let same = after.get(name) == Some(value) || MOMENTS.contains(&name.as_str());
        if same {
            after.remove(name);
        }
        !same
    });
    for fields in [&mut before, &mut after] {
        for (name, value) in fields.iter_mut() {
            *value = match (name.as_str(), &*value) {
                ("hash" | "signing" | "secret", Value::String(secret)) => hashed(secret),
                _ => shortened(value.take(), 300),
            };
        }
    }
    (before, after)
}

fn hashed(text: &str) -> Value {
    json!({ "sha256": audit::hash(text) })
}

/// What is longer than `most` bytes is shown by its hash: an entry is short.
fn shortened(value: Value, most: usize) -> Value {
    let text = value.to_string();
    if text.len() <= most { value } else { json!({ "sha256": audit::hash(&text), "bytes": text.len() }) }
}
