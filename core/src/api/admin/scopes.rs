//! Teams, projects and users: what keys belong to, with limits and books of their own.

use http::request::Parts;
use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::documents::{self, Place, check_metadata, invalid, merge, tagged};
use super::{named, page_size, query, read, reply, shard};
use crate::domain::account::{Account, Holder, Limits, Statement};
use crate::domain::scope::is_id;
use crate::domain::{Scope, ScopeKind, ScopeState, ShardId, Timestamp};
use crate::port::Body;
use crate::refusal::Refusal;
use crate::shared::Core;

/// What an admin may say of a scope.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Wish {
    name: Option<String>,
    limits: Limits,
    metadata: Map<String, Value>,
    blocked: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Creation {
    id: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    metadata: Map<String, Value>,
}

/// A scope as the admin API shows it. Moments are RFC 3339, money is decimal strings.
#[derive(Serialize)]
struct View<'a> {
    id: &'a str,
    shard: &'a ShardId,
    name: Option<&'a str>,
    state: ScopeState,
    limits: &'a Limits,
    metadata: &'a Map<String, Value>,
    created: String,
    updated: String,
    version: u64,
    /// Each limit, with what all its keys use of it now.
    usage: Statement,
}

/// `POST /admin/v1/{teams|projects|users}`.
pub(super) async fn create(
    core: &Core,
    now: Timestamp,
    parts: &Parts,
    kind: ScopeKind,
    body: Body,
) -> Result<Response<Body>, Refusal> {
    let Creation { id, name, limits, metadata } = read(parts, body).await?;
    if !is_id(&id) {
        let expected =
            "expected 1 to 64 lower-case letters, digits, `-`, `_` and `.`, a letter or digit first";
        return Err(invalid("id", expected));
    }
    let shard = shard(core, parts)?;
    let place = place(shard.clone(), kind, &id);
    let mut scope = Scope {
        kind,
        id,
        shard,
        name: None,
        limits: Limits::default(),
        metadata: Map::new(),
        state: ScopeState::Active,
        created: now,
        updated: now,
    };
    apply(&mut scope, Wish { name, limits, metadata, blocked: false })?;
    let account = documents::make(core, &place, Holder::Scope(scope), now).await?;
    shown(StatusCode::CREATED, &account, kind, now)
}

/// `GET /admin/v1/{teams|projects|users}?after=&limit=`: in order of id.
pub(super) async fn list(
    core: &Core,
    now: Timestamp,
    parts: &Parts,
    kind: ScopeKind,
) -> Result<Response<Body>, Refusal> {
    let shard = shard(core, parts)?;
    let limit = page_size(parts)?;
    let after = query(parts, "after").map(|id| kind.account(&id));
    let prefix = kind.account("");
    let accounts = core.ports.ledger.list(&shard, prefix.as_str(), after.as_ref(), limit).await?;
    let last = accounts.last().filter(|_| accounts.len() == limit);
    let next = last.and_then(|(id, _)| id.as_str().strip_prefix(prefix.as_str()));
    let scopes: Vec<View<'_>> = accounts.iter().filter_map(|(_, account)| view(account, now)).collect();
    Ok(reply(StatusCode::OK, &json!({ kind.plural(): scopes, "next": next })))
}

/// `GET /admin/v1/{teams|projects|users}/{id}`.
pub(super) async fn show(
    core: &Core,
    now: Timestamp,
    parts: &Parts,
    kind: ScopeKind,
    id: &str,
) -> Result<Response<Body>, Refusal> {
    let account = documents::find(core, &place(shard(core, parts)?, kind, id)).await?;
    shown(StatusCode::OK, &account, kind, now)
}

/// `PATCH /admin/v1/{teams|projects|users}/{id}`: a JSON merge patch of what [`Wish`] names. `If-Match` guards against
/// others' changes.
pub(super) async fn update(
    core: &Core,
    now: Timestamp,
    parts: &Parts,
    kind: ScopeKind,
    id: &str,
    body: Body,
) -> Result<Response<Body>, Refusal> {
    let patch: Map<String, Value> = read(parts, body).await?;
    change(core, now, parts, kind, id, |scope| {
        let current = Wish {
            name: scope.name.clone(),
            limits: scope.limits.clone(),
            metadata: scope.metadata.clone(),
            blocked: scope.state == ScopeState::Blocked,
        };
        let mut merged = serde_json::to_value(current).unwrap_or_default();
        merge(&mut merged, Value::Object(patch.clone()));
        apply(scope, named(merged)?)
    })
    .await
}

/// `DELETE /admin/v1/{teams|projects|users}/{id}`: nothing that belongs to it may call any more, from the next request
/// on, and nothing more may belong to it. Its books stay.
pub(super) async fn delete(
    core: &Core,
    now: Timestamp,
    parts: &Parts,
    kind: ScopeKind,
    id: &str,
) -> Result<Response<Body>, Refusal> {
    change(core, now, parts, kind, id, |scope| {
        scope.state = ScopeState::Deleted;
        Ok(())
    })
    .await
}

async fn change(
    core: &Core,
    now: Timestamp,
    parts: &Parts,
    kind: ScopeKind,
    id: &str,
    edit: impl Fn(&mut Scope) -> Result<(), Refusal> + Send + Sync,
) -> Result<Response<Body>, Refusal> {
    let place = place(shard(core, parts)?, kind, id);
    let account = documents::change(core, &place, parts, now, |holder| match holder {
        Holder::Scope(scope) => edit(scope),
        Holder::Key(_) => Err(Refusal::NotFound { what: kind.name() }),
    });
    shown(StatusCode::OK, &account.await?, kind, now)
}

fn place(shard: ShardId, kind: ScopeKind, id: &str) -> Place {
    Place { shard, account: kind.account(id), what: kind.name() }
}

/// Checks an admin's wish and puts it into a scope.
fn apply(scope: &mut Scope, wish: Wish) -> Result<(), Refusal> {
    let Wish { name, limits, metadata, blocked } = wish;
    if name.as_ref().is_some_and(|name| name.is_empty() || name.len() > 128) {
        return Err(invalid("name", "expected 1 to 128 bytes"));
    }
    check_metadata(&metadata)?;
    scope.state = match (scope.state, blocked) {
        (ScopeState::Deleted, _) => {
            return Err(invalid("state", "what is deleted stays deleted: make a new one"));
        }
        (ScopeState::Active | ScopeState::Blocked, true) => ScopeState::Blocked,
        (ScopeState::Active | ScopeState::Blocked, false) => ScopeState::Active,
    };
    scope.name = name;
    scope.limits = limits;
    scope.metadata = metadata;
    Ok(())
}

fn shown(
    status: StatusCode,
    account: &Account,
    kind: ScopeKind,
    now: Timestamp,
) -> Result<Response<Body>, Refusal> {
    let (Some(document), Some(view)) = (account.document(), view(account, now)) else {
        return Err(Refusal::NotFound { what: kind.name() });
    };
    Ok(tagged(reply(status, &view), document))
}

fn view(account: &Account, now: Timestamp) -> Option<View<'_>> {
    let document = account.document()?;
    let scope = document.scope()?;
    Some(View {
        id: &scope.id,
        shard: &scope.shard,
        name: scope.name.as_deref(),
        state: scope.state,
        limits: &scope.limits,
        metadata: &scope.metadata,
        created: scope.created.to_string(),
        updated: scope.updated.to_string(),
        version: document.version,
        usage: account.statement(now),
    })
}
