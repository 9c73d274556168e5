//! Second stage: who calls.

use std::sync::Arc;

use super::approach::Approach;
use super::receive::Received;
use crate::domain::account::{Document, Holder};
use crate::domain::key::{Belongs, KeyKind, KeyState};
use crate::domain::{AccountId, Caller, KeyToken, Proof, Scope, ShardId, Stake, Timestamp};
use crate::refusal::Refusal;
use crate::shared::Core;

/// A request whose key was, when last read, one that may call.
///
/// The document may be an old one from the cache; that does no harm: the ledger holds nothing for a version that is
/// not the newest, so a key that was revoked a moment ago is refused there.
#[derive(Debug)]
pub(super) struct Authenticated<'a> {
    pub(super) received: Received<'a>,
    pub(super) caller: Arc<Caller>,
}

pub(super) async fn authenticate<'a>(
    core: &Core,
    received: Received<'a>,
) -> Result<Authenticated<'a>, Refusal> {
    let arrived = received.arrived;
    // A "no" from the cache may be an old one, and nothing later would correct it: that is read anew.
    let caller = if may_call(&arrived.caller, received.wanted(&arrived.caller)) {
        arrived.caller.clone()
    } else {
        Box::pin(anew(core, &received)).await?
    };
    Ok(Authenticated { received, caller })
}

/// Who calls, as the ledger has them now.
pub(super) async fn anew(core: &Core, received: &Received<'_>) -> Result<Arc<Caller>, Refusal> {
    let arrived = received.arrived;
    let caller = read(core, arrived.proof.shard(), arrived.proof.id()).await?;
    judge(&caller, &arrived.proof, arrived.started, arrived.approach(core))?;
    Ok(caller)
}

/// The document that a token opens; refuses one that opens none. A "no" from the cache may be an old one: that is read
/// anew.
pub async fn known(
    core: &Core,
    token: &KeyToken,
    now: Timestamp,
    approach: Approach<'_>,
) -> Result<Arc<Caller>, Refusal> {
    if let Some(cached) =
        core.keys.get(&token.shard, &token.id).filter(|cached| check(cached, token, now, approach).is_ok())
    {
        return Ok(cached);
    }
    let caller = Box::pin(read(core, &token.shard, &token.id)).await?;
    check(&caller, token, now, approach)?;
    Ok(caller)
}

/// A key, and what it belongs to, as the ledger has them now.
pub async fn read(core: &Core, shard: &ShardId, id: &str) -> Result<Arc<Caller>, Refusal> {
    let document = document(core, shard, &AccountId::key(id)).await?.ok_or(Refusal::KeyUnknown)?;
    let Holder::Key(key) = &document.holder else { return Err(Refusal::KeyUnknown) };
    let mut scopes = Vec::new();
    for Belongs { account, needed } in key.belongs() {
        let document = self::document(core, shard, &account).await?.map(Arc::new);
        // They are never taken away, only closed.
        if needed && document.is_none() {
            return Err(Refusal::ScopeClosed { account });
        }
        scopes.push(Stake::with(account, document));
    }
    let caller = Arc::new(Caller::new(document, scopes).ok_or(Refusal::KeyUnknown)?);
    core.keys.put(shard, &caller);
    Ok(caller)
}

pub(super) async fn document(
    core: &Core,
    shard: &ShardId,
    account: &AccountId,
) -> Result<Option<Document>, Refusal> {
    let account = core.ports.ledger.read(shard, account).await?;
    Ok(account.and_then(|account| account.document().cloned()))
}

/// Refuses a document that `token` does not open, or that opens nothing now, no models, or not what is approached.
pub fn check(
    caller: &Caller,
    token: &KeyToken,
    now: Timestamp,
    approach: Approach<'_>,
) -> Result<(), Refusal> {
    if !caller.key.is_opened_by(&token.hash, now) {
        return Err(Refusal::KeyUnknown);
    }
    usable(caller, now, approach)
}

/// Refuses a document that `token` does not open, or that opens nothing now, whatever it is for.
pub fn opened(caller: &Caller, token: &KeyToken, now: Timestamp) -> Result<(), Refusal> {
    if !caller.key.is_opened_by(&token.hash, now) {
        return Err(Refusal::KeyUnknown);
    }
    open(caller, now)
}

/// As [`check`], for any proof.
pub(super) fn judge(
    caller: &Caller,
    proof: &Proof,
    now: Timestamp,
    approach: Approach<'_>,
) -> Result<(), Refusal> {
    match proof {
        _ if proof.opens(&caller.key, now) => usable(caller, now, approach),
        Proof::Token(_) => Err(Refusal::KeyUnknown),
        Proof::Signed { .. } => Err(Refusal::SignatureWrong { problem: "the key has another pair by now" }),
    }
}

/// Refuses a key that opens no models now, whoever shows it.
pub(super) fn usable(caller: &Caller, now: Timestamp, approach: Approach<'_>) -> Result<(), Refusal> {
    open(caller, now)?;
    calls_models(caller)?;
    approach.judge(&caller.key)
}

pub(super) fn calls_models(caller: &Caller) -> Result<(), Refusal> {
    match caller.key.kind {
        KeyKind::Inference => Ok(()),
        kind @ (KeyKind::Management(_) | KeyKind::ReadOnly(_)) => Err(Refusal::KeyKind { kind: kind.name() }),
    }
}

pub(super) fn open(caller: &Caller, now: Timestamp) -> Result<(), Refusal> {
    let key = &caller.key;
    match key.state {
        KeyState::Active => {}
        KeyState::Blocked => return Err(Refusal::KeyBlocked),
        KeyState::Revoked => return Err(Refusal::KeyRevoked),
    }
    if let Some(at) = key.expires.filter(|at| *at <= now) {
        return Err(Refusal::KeyExpired { at });
    }
    match caller.documents().find(|scope| !scope.is_open(now)) {
        Some(scope) => Err(Refusal::ScopeClosed { account: scope.account() }),
        None => Ok(()),
    }
}

/// Whether the lists of models of a key, and of all that it belongs to, have `model`: by name, or by a pattern that ends in
/// `*`. No list allows all.
pub fn may_call(caller: &Caller, model: &str) -> bool {
    lists(caller).all(|(_, models)| has(models, model))
}

/// The lists of models, with whose each is; none: the key's own.
pub(super) fn lists(caller: &Caller) -> impl Iterator<Item = (Option<&Scope>, &[String])> {
    let own = caller.key.models.iter().map(|models| (None, &**models));
    let scopes = caller.documents().filter_map(Document::scope);
    own.chain(scopes.filter_map(|scope| Some((Some(scope), scope.models.as_deref()?))))
}

pub(super) fn has(models: &[String], model: &str) -> bool {
    models.iter().any(|allowed| match allowed.strip_suffix('*') {
        Some(prefix) => model.starts_with(prefix),
        None => allowed == model,
    })
}

/// Whether a list says which models it may call.
pub(super) fn is_bound_to_models(caller: &Caller) -> bool {
    let mut scopes = caller.documents().filter_map(Document::scope);
    caller.key.models.is_some() || scopes.any(|scope| scope.models.is_some())
}

/// Refuses a model that the key may not call.
pub(super) fn permit(caller: &Caller, model: &str) -> Result<(), Refusal> {
    if may_call(caller, model) { Ok(()) } else { Err(Refusal::ModelForbidden { model: model.to_owned() }) }
}
