//! Virtual keys: create, list, show, update, block, revoke.

use http::header::{ETAG, IF_MATCH};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{named, page_size, query, read, reply, shard, shard_named};
use crate::domain::account::{Account, Document, Grant, Limits, Op, Statement};
use crate::domain::key::{Key, KeyState, KeyToken, SigningSecret};
use crate::domain::{AccountId, ShardId, Timestamp};
use crate::port::{Body, Fault, Transaction};
use crate::refusal::Refusal;
use crate::shared::Core;

/// What an admin may say of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Wish {
    alias: Option<String>,
    /// None: every model.
    models: Option<Vec<String>>,
    /// None: the policy's limits for keys that say nothing.
    limits: Option<Limits>,
    /// RFC 3339.
    expires: Option<String>,
    tags: Vec<String>,
    metadata: Map<String, Value>,
    blocked: bool,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Creation {
    shard: Option<String>,
    alias: Option<String>,
    models: Option<Vec<String>>,
    limits: Option<Limits>,
    expires: Option<String>,
    tags: Vec<String>,
    metadata: Map<String, Value>,
    /// It gets a pair for clients of AWS.
    aws: bool,
}

/// A key as the admin API shows it. Moments are RFC 3339, money is decimal strings.
#[derive(Serialize)]
struct View<'a> {
    id: &'a str,
    shard: &'a ShardId,
    alias: Option<&'a str>,
    state: KeyState,
    models: Option<&'a [String]>,
    limits: &'a Limits,
    tags: &'a [String],
    metadata: &'a Map<String, Value>,
    expires: Option<String>,
    created: String,
    updated: String,
    version: u64,
    /// Each limit, with what is used of it now.
    usage: Statement,
    /// None: it has no pair for clients of AWS.
    aws: Option<Access>,
}

/// The pair for clients of AWS, as it is always shown: without its secret.
#[derive(Serialize)]
struct Access {
    access_key_id: String,
}

/// `POST /admin/v1/keys`. The answer has the key itself in `key`: it is shown this once.
pub(super) async fn create(
    core: &Core,
    now: Timestamp,
    parts: &Parts,
    body: Body,
) -> Result<Response<Body>, Refusal> {
    let Creation { shard: name, alias, models, limits, expires, tags, metadata, aws } =
        read(parts, body).await?;
    let shard = match name {
        Some(name) => shard_named(&name)?,
        None => shard(core, parts)?,
    };
    let wish = Wish { alias, models, limits, expires, tags, metadata, blocked: false };
    let mut chance = [0; 44];
    core.ports.chance.fill(&mut chance);
    let (token, secret) = KeyToken::mint(&shard, &chance);
    let mut key = Key {
        id: token.id,
        shard: shard.clone(),
        hash: token.hash,
        signing: aws.then(|| signing(core)),
        alias: None,
        models: None,
        limits: Limits::default(),
        tags: Vec::new(),
        metadata: Map::new(),
        state: KeyState::Active,
        expires: None,
        created: now,
        updated: now,
    };
    apply(core, &mut key, wish, now)?;
    let document = Document { version: 1, key };
    match write(core, &shard, &document, None, now).await? {
        Grant::Written => {}
        _ => return Err(Refusal::Conflict),
    }
    let account = find(core, &shard, &document.key.id).await?;
    let mut view = serde_json::to_value(view(&document, &account, now)).unwrap_or_default();
    view["key"] = Value::String(secret.expose().to_owned());
    show_secret(&mut view, &document.key);
    Ok(tagged(reply(StatusCode::CREATED, &view), &document))
}

/// `GET /admin/v1/keys?after=&limit=`: in order of id.
pub(super) async fn list(core: &Core, now: Timestamp, parts: &Parts) -> Result<Response<Body>, Refusal> {
    let shard = shard(core, parts)?;
    let limit = page_size(parts)?;
    let after = query(parts, "after").map(|id| AccountId::key(&id));
    let accounts = core.ports.ledger.list(&shard, "key/", after.as_ref(), limit).await?;
    let next = if accounts.len() == limit {
        accounts.last().map(|(id, _)| id.as_str().trim_start_matches("key/").to_owned())
    } else {
        None
    };
    let keys: Vec<View<'_>> =
        accounts.iter().filter_map(|(_, account)| Some(view(account.document()?, account, now))).collect();
    Ok(reply(StatusCode::OK, &json!({ "keys": keys, "next": next })))
}

/// `GET /admin/v1/keys/{id}`.
pub(super) async fn show(
    core: &Core,
    now: Timestamp,
    parts: &Parts,
    id: &str,
) -> Result<Response<Body>, Refusal> {
    let account = find(core, &shard(core, parts)?, id).await?;
    shown(&account, now)
}

/// `PATCH /admin/v1/keys/{id}`: a JSON merge patch of what [`Wish`] names. `If-Match` guards against others' changes.
pub(super) async fn update(
    core: &Core,
    now: Timestamp,
    parts: &Parts,
    id: &str,
    body: Body,
) -> Result<Response<Body>, Refusal> {
    let patch: Map<String, Value> = read(parts, body).await?;
    change(core, now, parts, id, |core, key| {
        let current = Wish {
            alias: key.alias.clone(),
            models: key.models.clone(),
            limits: Some(key.limits.clone()),
            expires: key.expires.map(|at| at.to_string()),
            tags: key.tags.clone(),
            metadata: key.metadata.clone(),
            blocked: key.state == KeyState::Blocked,
        };
        let mut merged = serde_json::to_value(current).unwrap_or_default();
        merge(&mut merged, Value::Object(patch.clone()));
        let wish = named(merged)?;
        apply(core, key, wish, now)
    })
    .await
}

/// `POST /admin/v1/keys/{id}/block`: refused from the next request on, until it is unblocked.
pub(super) async fn block(
    core: &Core,
    now: Timestamp,
    parts: &Parts,
    id: &str,
) -> Result<Response<Body>, Refusal> {
    set_state(core, now, parts, id, KeyState::Blocked).await
}

/// `POST /admin/v1/keys/{id}/unblock`.
pub(super) async fn unblock(
    core: &Core,
    now: Timestamp,
    parts: &Parts,
    id: &str,
) -> Result<Response<Body>, Refusal> {
    set_state(core, now, parts, id, KeyState::Active).await
}

/// `DELETE /admin/v1/keys/{id}`: revoked for ever, from the next request on. Its books stay.
pub(super) async fn revoke(
    core: &Core,
    now: Timestamp,
    parts: &Parts,
    id: &str,
) -> Result<Response<Body>, Refusal> {
    set_state(core, now, parts, id, KeyState::Revoked).await
}

/// `POST /admin/v1/keys/{id}/aws`: a pair for clients of AWS, in place of the one that it has. Its secret is in the answer,
/// this once.
pub(super) async fn pair(
    core: &Core,
    now: Timestamp,
    parts: &Parts,
    id: &str,
) -> Result<Response<Body>, Refusal> {
    let secret = signing(core);
    let made = secret.clone();
    let changed = change(core, now, parts, id, move |_, key| {
        if key.state == KeyState::Revoked {
            return Err(invalid("state", "a revoked key stays revoked: make a new one"));
        }
        key.signing = Some(made.clone());
        Ok(())
    })
    .await?;
    let (parts, body) = changed.into_parts();
    let Body::Full(bytes) = body else { return Ok(Response::from_parts(parts, body)) };
    let mut view: Value = gatelet_wire::json::read(&bytes).unwrap_or_default();
    view["aws"]["secret_access_key"] = Value::String(secret.expose().to_owned());
    Ok(Response::from_parts(parts, Body::from(serde_json::to_vec(&view).unwrap_or_default())))
}

/// `DELETE /admin/v1/keys/{id}/aws`: no signature opens the key any more, from the next request on.
pub(super) async fn unpair(
    core: &Core,
    now: Timestamp,
    parts: &Parts,
    id: &str,
) -> Result<Response<Body>, Refusal> {
    change(core, now, parts, id, |_, key| {
        key.signing = None;
        Ok(())
    })
    .await
}

fn signing(core: &Core) -> SigningSecret {
    let mut chance = [0; SigningSecret::CHANCE];
    core.ports.chance.fill(&mut chance);
    SigningSecret::mint(&chance)
}

fn show_secret(view: &mut Value, key: &Key) {
    if let Some(secret) = &key.signing {
        view["aws"]["secret_access_key"] = Value::String(secret.expose().to_owned());
    }
}

async fn set_state(
    core: &Core,
    now: Timestamp,
    parts: &Parts,
    id: &str,
    state: KeyState,
) -> Result<Response<Body>, Refusal> {
    change(core, now, parts, id, |_, key| {
        if key.state == KeyState::Revoked && state != KeyState::Revoked {
            return Err(invalid("state", "a revoked key stays revoked: make a new one"));
        }
        key.state = state;
        Ok(())
    })
    .await
}

/// Reads a key, changes it, and writes it as the next version; anew if somebody else was faster.
async fn change(
    core: &Core,
    now: Timestamp,
    parts: &Parts,
    id: &str,
    edit: impl Fn(&Core, &mut Key) -> Result<(), Refusal> + Send,
) -> Result<Response<Body>, Refusal> {
    const TRIES: usize = 8;
    let shard = shard(core, parts)?;
    let wanted = parts
        .headers
        .get(IF_MATCH)
        .and_then(|value| value.to_str().ok())
        .map(|tag| tag.trim().trim_matches('"'));
    for _ in 0..TRIES {
        let account = find(core, &shard, id).await?;
        let Some(current) = account.document() else { break };
        if wanted.is_some_and(|wanted| wanted != "*" && wanted != current.version.to_string()) {
            return Err(Refusal::Conflict);
        }
        let mut key = current.key.clone();
        edit(core, &mut key)?;
        if key == current.key {
            return shown(&account, now);
        }
        key.updated = now;
        let document = Document { version: current.version.saturating_add(1), key };
        match write(core, &shard, &document, Some(current.version), now).await? {
            Grant::Written => {
                let account = find(core, &shard, id).await?;
                return Ok(tagged(reply(StatusCode::OK, &view(&document, &account, now)), &document));
            }
            _ if wanted.is_some() => return Err(Refusal::Conflict),
            _ => {}
        }
    }
    Err(Refusal::Conflict)
}

async fn find(core: &Core, shard: &ShardId, id: &str) -> Result<Account, Refusal> {
    let account = core.ports.ledger.read(shard, &AccountId::key(id)).await?;
    account.filter(|account| account.document().is_some()).ok_or(Refusal::NotFound { what: "key" })
}

async fn write(
    core: &Core,
    shard: &ShardId,
    document: &Document,
    expect: Option<u64>,
    now: Timestamp,
) -> Result<Grant, Fault> {
    let op = Op::Write { document: Box::new(document.clone()), expect };
    let transaction = Transaction { accounts: vec![document.key.account()], op, entries: Vec::new() };
    Ok(core.ports.ledger.transact(shard, transaction, now).await?.grant)
}

/// Checks an admin's wish and puts it into a key.
fn apply(core: &Core, key: &mut Key, wish: Wish, now: Timestamp) -> Result<(), Refusal> {
    let Wish { alias, models, limits, expires, tags, metadata, blocked } = wish;
    if alias.as_ref().is_some_and(|alias| alias.is_empty() || alias.len() > 128) {
        return Err(invalid("alias", "expected 1 to 128 bytes"));
    }
    if models.iter().flatten().any(|model| model.is_empty() || model.len() > 256) {
        return Err(invalid("models", "expected names or patterns of 1 to 256 bytes"));
    }
    if models.iter().flatten().count() > 1_000 || tags.len() > 64 {
        return Err(invalid("models", "expected at most 1000 models and 64 tags"));
    }
    if tags.iter().any(|tag| tag.is_empty() || tag.len() > 128) {
        return Err(invalid("tags", "expected tags of 1 to 128 bytes"));
    }
    if serde_json::to_string(&metadata).map_or(0, |text| text.len()) > 16 << 10 {
        return Err(invalid("metadata", "expected at most 16 KiB"));
    }
    let expires = match expires {
        None => None,
        Some(text) => Some(
            Timestamp::parse(&text)
                .ok_or_else(|| invalid("expires", "expected a moment such as 2026-12-31T00:00:00Z"))?,
        ),
    };
    if expires.is_some_and(|at| at <= now) && expires != key.expires {
        return Err(invalid("expires", "expected a moment in the future"));
    }
    key.alias = alias;
    key.models = models;
    key.limits = limits.unwrap_or_else(|| core.policy().key_limits().clone());
    key.tags = tags;
    key.metadata = metadata;
    key.expires = expires;
    key.state = match (key.state, blocked) {
        (KeyState::Revoked, _) => KeyState::Revoked,
        (KeyState::Active | KeyState::Blocked, true) => KeyState::Blocked,
        (KeyState::Active | KeyState::Blocked, false) => KeyState::Active,
    };
    Ok(())
}

/// RFC 7396: objects are merged, `null` removes, everything else replaces.
fn merge(into: &mut Value, patch: Value) {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            for (name, value) in patch {
                if value.is_null() {
                    into.remove(&name);
                } else {
                    merge(into.entry(name).or_insert(Value::Null), value);
                }
            }
        }
        (into, patch) => *into = patch,
    }
}

fn invalid(param: &str, problem: impl Into<String>) -> Refusal {
    Refusal::Invalid { param: param.to_owned(), problem: problem.into() }
}

fn shown(account: &Account, now: Timestamp) -> Result<Response<Body>, Refusal> {
    let document = account.document().ok_or(Refusal::NotFound { what: "key" })?;
    Ok(tagged(reply(StatusCode::OK, &view(document, account, now)), document))
}

fn tagged(mut response: Response<Body>, document: &Document) -> Response<Body> {
    if let Ok(tag) = HeaderValue::try_from(format!("\"{}\"", document.version)) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

fn view<'a>(document: &'a Document, account: &Account, now: Timestamp) -> View<'a> {
    let key = &document.key;
    View {
        id: &key.id,
        shard: &key.shard,
        alias: key.alias.as_deref(),
        state: key.state,
        models: key.models.as_deref(),
        limits: &key.limits,
        tags: &key.tags,
        metadata: &key.metadata,
        expires: key.expires.map(|at| at.to_string()),
        created: key.created.to_string(),
        updated: key.updated.to_string(),
        version: document.version,
        usage: account.statement(now),
        aws: key.signing.as_ref().map(|_| Access { access_key_id: KeyToken::access_id(&key.shard, &key.id) }),
    }
}
