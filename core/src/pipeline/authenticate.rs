//! Second stage: who calls.

use std::sync::Arc;

use super::receive::{Asked, Received};
use crate::domain::account::Document;
use crate::domain::key::KeyState;
use crate::domain::{AccountId, KeyToken, ShardId, Timestamp};
use crate::refusal::Refusal;
use crate::shared::Core;

/// A request whose key was, when last read, one that may call.
///
/// The document may be an old one from the cache; that does no harm: the ledger holds nothing for a version that is
/// not the newest, so a key that was revoked a moment ago is refused there.
#[derive(Debug)]
pub(super) struct Authenticated {
    pub(super) received: Received,
    pub(super) document: Arc<Document>,
}

pub(super) async fn authenticate(core: &Core, received: Received) -> Result<Authenticated, Refusal> {
    let token = &received.token;
    let cached = core.keys.get(&token.shard, &token.id).filter(|document| {
        // A "no" from the cache may be an old one, and nothing later would correct it: that is read anew.
        check(document, token, received.started).is_ok() && may_call(document, &received.asked.model)
    });
    let document = if let Some(document) = cached {
        document
    } else {
        let document = read(core, &token.shard, &token.id).await?;
        check(&document, token, received.started)?;
        document
    };
    Ok(Authenticated { received, document })
}

/// Refuses a token that opens no key. What is read for that is in the cache when the key is judged in earnest.
pub(super) async fn known(core: &Core, token: &KeyToken, now: Timestamp) -> Result<(), Refusal> {
    let cached = core.keys.get(&token.shard, &token.id);
    if cached.is_some_and(|document| check(&document, token, now).is_ok()) {
        return Ok(());
    }
    check(&*read(core, &token.shard, &token.id).await?, token, now)
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
    let key = &document.key;
    if key.hash != token.hash {
        return Err(Refusal::KeyUnknown);
    }
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
