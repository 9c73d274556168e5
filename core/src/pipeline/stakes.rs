//! All that a request is charged to: what its key belongs to, and what it names itself.

use std::sync::Arc;

use gatelet_wire::DialectId;
use serde::Deserialize;

use super::authenticate;
use super::receive::Received;
use crate::domain::account::{Carried, Document, Grant, Holder, Limits, Op, Stood};
use crate::domain::key::{AllowCustomers, Customers};
use crate::domain::{AccountId, Caller, Scope, ScopeKind, ScopeState, ShardId, Stake, Timestamp};
use crate::port::Transaction;
use crate::refusal::Refusal;
use crate::shared::Core;

/// The accounts of one request, the key's own first, with what was last known of each.
#[derive(Debug)]
pub(super) struct Stakes {
    all: Vec<Stake>,
    /// The end user that it is for.
    pub(super) customer: Option<String>,
}

impl Stakes {
    /// What the request is of, if it asks for `model`. Documents of what it names itself are those that were read before;
    /// where none was, the ledger will say if there is one.
    pub(super) async fn of(
        core: &Core,
        received: &Received<'_>,
        caller: &Caller,
        model: &str,
    ) -> Result<Self, Refusal> {
        let key = &caller.key;
        let shard = &key.shard;
        let own = Stake { version: caller.version, ..Stake::new(key.account()) };
        let mut all: Vec<Stake> = std::iter::once(own).chain(caller.scopes().iter().cloned()).collect();
        let customer = customer(received, caller)?;
        if let Some(id) = &customer {
            all.push(Box::pin(known(core, shard, caller, id, received.arrived.started)).await?);
        }
        let knobs = &received.arrived.knobs;
        let more = knobs.tags.iter().filter(|tag| !key.tags.contains(tag));
        if let Some((tag, scope)) = more.clone().find_map(|tag| Some((tag, caller.forbids(tag)?))) {
            return Err(Refusal::TagForbidden { tag: tag.clone(), by: scope.account() });
        }
        for tag in key.tags.iter().chain(more) {
            all.push(core.scopes.stake(shard, ScopeKind::Tag.account(tag)));
        }
        if ScopeKind::Model.allows(model) {
            all.push(core.scopes.stake(shard, ScopeKind::Model.account(model)));
        }
        if let Some(limits) = key.model_limits.get(model) {
            let account = AccountId::new(["key_model/", &key.id, "/", model].concat());
            all.push(Stake { carried: Some(limits.clone()), ..Stake::new(account) });
        }
        if let (Some(limits), Some(session)) = (&key.session_limits, &knobs.session) {
            let account = AccountId::new(["session/", &key.id, "/", session].concat());
            all.push(Stake { carried: Some(limits.clone()), ..Stake::new(account) });
        }
        Ok(Self { all, customer })
    }

    pub(super) fn all(&self) -> &[Stake] {
        &self.all
    }

    /// The accounts that are held of and settled: what limits nothing is not charged, what it spent is in the records.
    pub(super) fn charged(&self) -> Vec<AccountId> {
        let charged = self.all.iter().filter(|stake| stake.version > 0 || stake.carried.is_some());
        charged.map(|stake| stake.account.clone()).collect()
    }

    /// Limits for accounts without documents, as a reservation carries them.
    pub(super) fn carried(&self) -> Vec<Carried> {
        let stakes = self.all.iter().enumerate();
        let carried = stakes.filter_map(|(place, stake)| {
            let limits = stake.carried.clone()?;
            Some(Carried { place, limits })
        });
        carried.collect()
    }

    /// The limits that are in force, with the account of each.
    pub(super) fn limits<'a>(
        &'a self,
        caller: &'a Caller,
    ) -> impl Iterator<Item = (&'a AccountId, &'a Limits)> {
        self.all.iter().enumerate().filter_map(move |(place, stake)| {
            let limits = if place == 0 { Some(&caller.key.limits) } else { stake.limits() };
            Some((&stake.account, limits?))
        })
    }

    /// Takes in what the ledger told of what the request names itself. Refuses where that is closed. What the caller
    /// belongs to is judged with the key, which may belong to something else by now.
    pub(super) fn learn(core: &Core, caller: &Caller, told: &[Stood], now: Timestamp) -> Result<(), Refusal> {
        let shard = &caller.key.shard;
        for Stood { account, document } in told {
            let Some(document) = document else { continue };
            if caller.scopes().iter().any(|stake| stake.account == *account) {
                continue;
            }
            if let Holder::Scope(_) = document.holder {
                core.scopes.put(shard, &Arc::new(Document::clone(document)));
                if !document.is_open(now) {
                    return Err(Refusal::ScopeClosed { account: account.clone() });
                }
            }
        }
        Ok(())
    }
}

/// The end user that the request names: by our own header, or in the words of its dialect where somebody has said what
/// customers may be.
fn customer(received: &Received<'_>, caller: &Caller) -> Result<Option<String>, Refusal> {
    let settings = caller.customers();
    if settings.is_some_and(|settings| settings.allow == AllowCustomers::Off) {
        return Ok(None);
    }
    let named = received.arrived.knobs.customer.clone();
    let named = named.or_else(|| settings.and_then(|_| said(received)));
    match named.filter(|id| !id.is_empty()) {
        Some(id) if !ScopeKind::Customer.allows(&id) => Err(Refusal::Invalid {
            param: "x-gatelet-customer".to_owned(),
            problem: ScopeKind::Customer.expected().to_owned(),
        }),
        named => Ok(named),
    }
}

fn said(received: &Received<'_>) -> Option<String> {
    #[derive(Deserialize)]
    struct Metadata {
        user_id: Option<String>,
    }
    let fields = &received.fields;
    let text = |name: &str| gatelet_wire::json::from_str::<String>(fields.present(name)?.get()).ok();
    match received.arrived.dialect {
        DialectId::Anthropic => {
            gatelet_wire::json::from_str::<Metadata>(fields.present("metadata")?.get()).ok()?.user_id
        }
        DialectId::Openai | DialectId::OpenaiResponses => text("safety_identifier").or_else(|| text("user")),
        DialectId::Gemini | DialectId::Bedrock | DialectId::Cohere | DialectId::Ollama => None,
    }
}

/// A customer's account. Where a template says what new ones may, one that was never seen is made from it.
async fn known(
    core: &Core,
    shard: &ShardId,
    caller: &Caller,
    id: &str,
    now: Timestamp,
) -> Result<Stake, Refusal> {
    let account = ScopeKind::Customer.account(id);
    let stake = core.scopes.stake(shard, account.clone());
    let Some(settings) = caller.customers() else { return Ok(stake) };
    let makes = settings.template.as_deref();
    if stake.document.is_some() || (settings.allow == AllowCustomers::Any && makes.is_none()) {
        return Ok(stake);
    }
    let mut found = authenticate::document(core, shard, &account).await?;
    if found.is_none() {
        let template = makes.filter(|_| settings.allow == AllowCustomers::Any);
        let template = template.ok_or_else(|| Refusal::ScopeClosed { account: account.clone() })?;
        let made = Document {
            version: 1,
            holder: Holder::Scope(Scope {
                org: caller.key.org.clone(),
                limits: limits_of(core, shard, template).await?,
                template: Some(template.to_owned()),
                ..Scope::new(ScopeKind::Customer, id.to_owned(), shard.clone(), now)
            }),
        };
        let op = Op::Write { document: Box::new(made.clone()), expect: None };
        let write = Transaction::new(vec![account.clone()], op, Vec::new());
        found = match core.ports.ledger.transact(shard, write, now).await?.grant {
            // Somebody else was first.
            Grant::Conflict(stands) => stands.map(|stands| *stands),
            _ => Some(made),
        };
    }
    let Some(document) = found.map(Arc::new) else { return Ok(stake) };
    core.scopes.put(shard, &document);
    Ok(Stake { version: document.version, document: Some(document), ..stake })
}

/// What a template says. One that is not there, or is no more, lets nothing be made.
pub async fn limits_of(core: &Core, shard: &ShardId, template: &str) -> Result<Limits, Refusal> {
    let account = ScopeKind::Template.account(template);
    let document = authenticate::document(core, shard, &account).await?;
    let scope = document.as_ref().and_then(Document::scope).filter(|scope| scope.state == ScopeState::Active);
    scope.map(|scope| scope.limits.clone()).ok_or(Refusal::ScopeClosed { account })
}

impl Caller {
    /// What callers may say of customers: by the key, its team, or its organisation, whichever says something first.
    fn customers(&self) -> Option<&Customers> {
        let of = |kind: ScopeKind| {
            let mut scopes = self.documents().filter_map(Document::scope);
            scopes.find(|scope| scope.kind == kind)?.customers.as_ref()
        };
        let key = self.key.customers.as_ref();
        key.or_else(|| of(ScopeKind::Team)).or_else(|| of(ScopeKind::Organisation))
    }
}
