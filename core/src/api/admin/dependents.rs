//! What belongs to a scope: whatever is open of it stands in the way of its deletion, or is closed with it.

use http::header::IF_MATCH;
use serde::Serialize;

use super::call::Call;
use super::documents::{self, Place};
use crate::domain::account::Holder;
use crate::domain::key::KeyState;
use crate::domain::{AccountId, Resource, ScopeKind, ScopeState, ShardId, Timestamp, Verb};
use crate::refusal::Refusal;

/// What was closed with a scope.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Default, Serialize)]
pub(super) struct Closed {
    /// Keys that were revoked.
    keys: usize,
    scopes: usize,
    /// So many at a time: ask again. Nothing of what is left opens anything.
    more: bool,
}

/// Changes are a call of the ledger each.
const MOST_CLOSED: usize = 500;
const MOST_NAMED: usize = 20;
const PAGE: usize = 1_000;

/// Where to look for what belongs to one of a kind.
fn prefixes(kind: ScopeKind, id: &str) -> Vec<String> {
    let of = |kind: ScopeKind| kind.account("").as_str().to_owned();
    let mut all = match kind {
        ScopeKind::Organisation => {
            ScopeKind::ALL.into_iter().filter(|other| *other != kind).map(of).collect()
        }
        ScopeKind::Team => vec![[&of(ScopeKind::Member), id, "/"].concat()],
        ScopeKind::User => vec![of(ScopeKind::Member)],
        ScopeKind::Project => Vec::new(),
        ScopeKind::Member
        | ScopeKind::Customer
        | ScopeKind::Tag
        | ScopeKind::Model
        | ScopeKind::Agent
        | ScopeKind::Tool
        | ScopeKind::Template => return Vec::new(),
    };
    all.push("key/".to_owned());
    all
}

/// Whether it is open, and belongs to the scope.
fn belongs(holder: &Holder, kind: ScopeKind, id: &str, now: Timestamp) -> bool {
    match holder {
        Holder::Key(key) => {
            key.scope(kind) == Some(id)
                && key.state != KeyState::Revoked
                && key.expires.is_none_or(|expires| now < expires)
        }
        Holder::Scope(scope) => scope.state != ScopeState::Deleted && scope.belongs_to(kind, id),
    }
}

/// What is open of a scope: how much, and the first of it.
#[derive(Default)]
struct Open {
    keys: usize,
    scopes: usize,
    first: Vec<(AccountId, Holder)>,
}

async fn open(call: &Call<'_>, shard: &ShardId, kind: ScopeKind, id: &str) -> Result<Open, Refusal> {
    let mut open = Open::default();
    for prefix in prefixes(kind, id) {
        let mut after: Option<AccountId> = None;
        loop {
            let page = call.core.ports.ledger.list(shard, &prefix, after.as_ref(), PAGE).await?;
            after = page.last().filter(|_| page.len() == PAGE).map(|(account, _)| account.clone());
            for (account, state) in page {
                let holder = state.document().map(|document| &document.holder);
                let Some(holder) = holder.filter(|holder| belongs(holder, kind, id, call.now)) else {
                    continue;
                };
                *match holder {
                    Holder::Key(_) => &mut open.keys,
                    Holder::Scope(_) => &mut open.scopes,
                } += 1;
                if open.first.len() < MOST_CLOSED {
                    open.first.push((account, holder.clone()));
                }
            }
            if after.is_none() {
                break;
            }
        }
    }
    Ok(open)
}

/// Refuses what would leave something open without what it belongs to, or close what the caller may not close.
pub(super) async fn judge(
    call: &Call<'_>,
    shard: &ShardId,
    kind: ScopeKind,
    id: &str,
    cascade: bool,
) -> Result<(), Refusal> {
    let Open { keys, scopes, first } = open(call, shard, kind, id).await?;
    if cascade {
        for (_, holder) in &first {
            let inner = call.within(call.parts, resource(holder), Verb::Delete)?;
            if !inner.permit.may_leave(shard, holder) {
                return Err(inner.forbidden());
            }
        }
        return Ok(());
    }
    if first.is_empty() {
        return Ok(());
    }
    let mine = first.iter().filter(|(_, holder)| call.permit.covers(shard, holder));
    let some = mine.take(MOST_NAMED).map(|(account, _)| account.to_string()).collect();
    Err(Refusal::InUse { what: kind.name(), keys, scopes, some })
}

/// Closes what belongs to a scope that is deleted.
pub(super) async fn close(
    call: &Call<'_>,
    shard: &ShardId,
    kind: ScopeKind,
    id: &str,
) -> Result<Closed, Refusal> {
    let Open { keys, scopes, first } = open(call, shard, kind, id).await?;
    let mut closed = Closed { more: keys + scopes > first.len(), ..Closed::default() };
    // The version that was named is that of the scope.
    let mut parts = call.parts.clone();
    parts.headers.remove(IF_MATCH);
    for (account, holder) in first {
        let inner = call.within(&parts, resource(&holder), Verb::Delete)?;
        let place = Place { shard: shard.clone(), account, what: inner.permit.resource().name() };
        let count = match holder {
            Holder::Key(_) => &mut closed.keys,
            Holder::Scope(_) => &mut closed.scopes,
        };
        let close = |holder: &mut Holder| {
            match holder {
                Holder::Key(key) => key.state = KeyState::Revoked,
                Holder::Scope(scope) => scope.state = ScopeState::Deleted,
            }
            Ok(())
        };
        documents::change(&inner, &place, &close).await?;
        *count += 1;
    }
    Ok(closed)
}

fn resource(holder: &Holder) -> Resource {
    match holder {
        Holder::Key(_) => Resource::Key,
        Holder::Scope(scope) => Resource::Scope(scope.kind),
    }
}
