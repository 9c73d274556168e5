//! Second stage: who calls.

use std::sync::Arc;

use super::receive::{Asked, Received};
use crate::domain::account::Document;
use crate::domain::key::KeyState;
use crate::domain::{AccountId, KeyToken, Proof, ShardId, Timestamp};
use crate::refusal::Refusal;
use crate::shared::Core;

/// A request whose key was, when last read, one that may call.
///
/// The document may be an old one from the cache; that does no harm: the ledger holds nothing for a version that is
/// not the newest, so a key that was revoked a moment ago is refused there.
#[derive(Debug)]
pub(super) struct Authenticated<'a> {
    pub(super) received: Received<'a>,
    pub(super) document: Arc<Document>,
}

pub(super) async fn authenticate<'a>(
    core: &Core,
    received: Received<'a>,
) -> Result<Authenticated<'a>, Refusal> {
    let arrived = received.arrived;
    // A "no" from the cache may be an old one, and nothing later would correct it: that is read anew.
    let document = if may_call(&arrived.document, &received.asked.model) {
        arrived.document.clone()
    } else {
        let document = read(core, arrived.proof.shard(), arrived.proof.id()).await?;
        judge(&document, &arrived.proof, arrived.started)?;
        document
    };
    Ok(Authenticated { received, document })
}

/// The document that a token opens; refuses one that opens none. A "no" from the cache may be an old one: that is read
/// anew.
pub async fn known(core: &Core, token: &KeyToken, now: Timestamp) -> Result<Arc<Document>, Refusal> {
    if let Some(cached) =
        core.keys.get(&token.shard, &token.id).filter(|cached| check(cached, token, now).is_ok())
    {
        return Ok(cached);
    }
    let document = read(core, &token.shard, &token.id).await?;
    check(&document, token, now)?;
    Ok(document)
}

/// A key's document as the ledger has it now.
pub async fn read(core: &Core, shard: &ShardId, id: &str) -> Result<Arc<Document>, Refusal> {
    let account = core.ports.ledger.read(shard, &AccountId::key(id)).await?;
    let document = account.and_then(|account| account.document().cloned()).ok_or(Refusal::KeyUnknown)?;
    let document = Arc::new(document);
    core.keys.put(shard, &document);
    Ok(document)
}

/// Refuses a document that `token` does not open, or that opens nothing now.
pub fn check(document: &Document, token: &KeyToken, now: Timestamp) -> Result<(), Refusal> {
    if document.key.hash != token.hash {
        return Err(Refusal::KeyUnknown);
    }
    usable(document, now)
}

/// As [`check`], for any proof.
pub(super) fn judge(document: &Document, proof: &Proof, now: Timestamp) -> Result<(), Refusal> {
    match proof {
        _ if proof.opens(&document.key) => usable(document, now),
        Proof::Token(_) => Err(Refusal::KeyUnknown),
        Proof::Signed { .. } => Err(Refusal::SignatureWrong { problem: "the key has another pair by now" }),
    }
}

/// Refuses a key that opens nothing now, whoever shows it.
pub(super) fn usable(document: &Document, now: Timestamp) -> Result<(), Refusal> {
    let key = &document.key;
    match key.state {
        KeyState::Active => {}
        KeyState::Blocked => return Err(Refusal::KeyBlocked),
        KeyState::Revoked => return Err(Refusal::KeyRevoked),
    }
    match key.expires {
        Some(at) if at <= now => Err(Refusal::KeyExpired { at }),
        _ => Ok(()),
    }
}

/// Whether a key's list of models has `model`: by name, or by a pattern that ends in `*`. No list allows all.
pub fn may_call(document: &Document, model: &str) -> bool {
    let Some(models) = &document.key.models else { return true };
    models.iter().any(|allowed| match allowed.strip_suffix('*') {
        Some(prefix) => model.starts_with(prefix),
        None => allowed == model,
    })
}

/// Refuses a model that the key may not call.
pub(super) fn permit(document: &Document, asked: &Asked) -> Result<(), Refusal> {
    if may_call(document, &asked.model) {
        Ok(())
    } else {
        Err(Refusal::ModelForbidden { model: asked.model.clone() })
    }
}
