//! Who calls, what for, and with which words in the query.

use std::sync::atomic::{AtomicU32, Ordering};

use http::request::Parts;
use sha2::{Digest, Sha256};

use super::documents::invalid;
use crate::domain::key::KeyKind;
use crate::domain::{KeyToken, Permit, Principal, Resource, ShardId, Timestamp, Verb};
use crate::pipeline::{self, Approach, approach};
use crate::refusal::Refusal;
use crate::shared::Core;

use super::routes::Found;

/// A call that may be made: what every handler is given.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) core: &'a Core,
    pub(super) now: Timestamp,
    pub(super) parts: &'a Parts,
    pub(super) permit: Permit,
    pub(super) dice: &'a Dice,
}

/// What a call makes up: drawn from a seed, so that a call that is done again makes up the same.
pub(super) struct Dice {
    seed: [u8; 32],
    drawn: AtomicU32,
}

impl Dice {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self { seed, drawn: AtomicU32::new(0) }
    }

    pub(super) fn fill(&self, bytes: &mut [u8]) {
        for piece in bytes.chunks_mut(32) {
            let count = self.drawn.fetch_add(1, Ordering::Relaxed);
            let drawn = Sha256::new().chain_update(self.seed).chain_update(count.to_be_bytes()).finalize();
            for (byte, drawn) in piece.iter_mut().zip(drawn) {
                *byte = drawn;
            }
        }
    }
}

impl std::fmt::Debug for Dice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dice")
    }
}

impl<'a> Call<'a> {
    /// Refuses whoever may not do what the route does, to anything at all.
    pub(super) fn of(
        core: &'a Core,
        now: Timestamp,
        parts: &'a Parts,
        principal: Principal,
        found: &Found<'_>,
        dice: &'a Dice,
    ) -> Result<Self, Refusal> {
        let permit = permit(principal, found.resource, found.row.verb)?;
        for (name, _) in form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
            // Where a key may be shown, and what is no word of ours.
            if name != "key" && !found.row.query.contains(&&*name) {
                return Err(invalid(&name, "the query of this path has no such word"));
            }
        }
        Ok(Self { core, now, parts, permit, dice })
    }

    /// A call within this one, about something else or to do something else: if whoever calls may do that, too.
    pub(super) fn within<'b>(
        &self,
        parts: &'b Parts,
        resource: Resource,
        verb: Verb,
    ) -> Result<Call<'b>, Refusal>
    where
        'a: 'b,
    {
        let permit = permit(self.permit.principal().clone(), resource, verb)?;
        Ok(Call { core: self.core, now: self.now, parts, permit, dice: self.dice })
    }

    /// What is said to whoever may do this, but not to this one, and knows of it.
    pub(super) fn forbidden(&self) -> Refusal {
        let role = self.permit.principal().role().name();
        let (verb, resource) = (self.permit.verb().name(), self.permit.resource().name());
        Refusal::Forbidden { role, verb, resource }
    }

    /// A value of the query.
    pub(super) fn query(&self, name: &str) -> Option<String> {
        let mut pairs = form_urlencoded::parse(self.parts.uri.query()?.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// The shard that a call is about: `?shard=`, or the principal's own, or the gateway's.
    pub(super) fn shard(&self) -> Result<ShardId, Refusal> {
        match self.query("shard") {
            None => Ok(self.permit.principal().shard().unwrap_or(&self.core.settings.shard).clone()),
            Some(name) => shard_named(&name),
        }
    }

    /// A yes or no of the query.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.query(name).as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(invalid(name, "expected true or false")),
        }
    }

    /// How many items a page has: `?limit=`, 100 unless said, 1,000 at the most.
    pub(super) fn page_size(&self) -> Result<usize, Refusal> {
        let Some(text) = self.query("limit") else { return Ok(100) };
        let number = text.parse().ok().filter(|limit| (1..=1_000).contains(limit));
        number.ok_or_else(|| invalid("limit", "expected a number from 1 to 1000"))
    }
}

pub(super) fn permit(principal: Principal, resource: Resource, verb: Verb) -> Result<Permit, Refusal> {
    let role = principal.role().name();
    let refusal = Refusal::Forbidden { role, verb: verb.name(), resource: resource.name() };
    principal.permit(resource, verb).ok_or(refusal)
}

pub(super) fn shard_named(name: &str) -> Result<ShardId, Refusal> {
    let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if plain && (1..=24).contains(&name.len()) {
        return Ok(ShardId::new(name));
    }
    Err(invalid("shard", "expected 1 to 24 lower-case letters and digits"))
}

/// Who calls. A key is read anew: one that was revoked or changed a moment ago is that here too.
pub(super) async fn principal(
    core: &Core,
    now: Timestamp,
    parts: &Parts,
    path: &[&str],
) -> Result<Principal, Refusal> {
    let shown = pipeline::key_text(parts).ok_or(Refusal::AdminOnly)?;
    if core.settings.admin_key.opens(&shown) {
        return Ok(Principal::root());
    }
    let token = KeyToken::parse(&shown).ok_or(Refusal::AdminOnly)?;
    let caller = pipeline::read(core, &token.shard, &token.id).await?;
    pipeline::opened(&caller, &token, now)?;
    Approach::of(core, parts, approach::ADMIN).judge(&caller.key)?;
    // A key for models manages nothing; what would become of its own requests it may ask.
    let itself = || (path == ["explain"]).then(|| Principal::itself(&caller.key));
    Principal::of(&caller.key).or_else(itself).ok_or_else(|| match caller.key.kind {
        KeyKind::Management(role) | KeyKind::ReadOnly(role) => {
            Refusal::Forbidden { role: role.name(), verb: "call", resource: "interface" }
        }
        kind @ KeyKind::Inference => Refusal::KeyKind { kind: kind.name() },
    })
}
