//! Third stage: may it? One ledger call holds what the request may use at most, in every account, or nothing.

use std::sync::Arc;
use std::time::Duration;

use super::able::able;
use super::authenticate::{self, Authenticated};
use super::books::Books;
use super::bound::bound;
use super::native::Native;
use super::receive::Received;
use super::route::plan;
use gatelet_wire::Operation;

use crate::domain::Caller;
use crate::domain::account::{Grant, Headroom, Op, Reserve};
use crate::domain::{AccountId, HoldId, Stake};
use crate::policy::{Model, Policy, Resolution, Target};
use crate::port::{Fault, FaultKind, Transaction};
use crate::refusal::Refusal;
use crate::shared::Core;

/// A request that may be made, with its cost held.
#[derive(Debug)]
pub(super) struct Admitted<'a> {
    pub(super) received: Received<'a>,
    pub(super) model: Arc<Model>,
    /// In the order in which they are tried, fallbacks included. Never empty.
    pub(super) plan: Vec<Arc<Target>>,
    /// Owns the hold: whatever happens to the request, the books are closed once.
    pub(super) books: Box<Books>,
    /// The cap on output that must be sent, because the caller gave none and a limit asks for one.
    pub(super) output_cap: Option<u64>,
    pub(super) headroom: Headroom,
    pub(super) soft_passed: Vec<String>,
}

/// A hold outlives its request's deadline by this much, so that a late settlement still finds it.
const GRACE: Duration = Duration::from_mins(1);

pub(super) async fn admit<'a>(
    core: &Arc<Core>,
    authenticated: Authenticated<'a>,
) -> Result<Admitted<'a>, Refusal> {
    let Authenticated { received, mut caller } = authenticated;
    let policy = core.policy();
    let model = match resolve(&policy, &received) {
        Resolution::Found(model) => model,
        Resolution::Unknown { .. } if received.arrived.operation == Operation::Native => {
            let provider = received.arrived.native.as_ref().map(|native| native.provider.id.to_string());
            let refusal = Refusal::InterfaceClosed { provider: provider.unwrap_or_default() };
            return Err(noted(core, &received, &caller, refusal));
        }
        Resolution::Unknown { near } => {
            let near = near.into_iter().filter(|name| authenticate::may_call(&caller, name)).collect();
            let refusal = Refusal::ModelUnknown { model: received.asked.model.clone(), near };
            return Err(noted(core, &received, &caller, refusal));
        }
    };
    let plan = able(&policy, &received, &caller, &model, plan(&policy, &model))
        .map_err(|refusal| noted(core, &received, &caller, refusal))?;
    // A document that turns out to be old is replaced and judged anew; each round is one of somebody's changes.
    for round in 0..4 {
        let asked = authenticate::permit(&caller, &received.asked)
            .and_then(|()| bound(&received, &caller, &plan))
            .map_err(|refusal| noted(core, &received, &caller, refusal))?;
        let own = Stake { account: caller.key.account(), document: None };
        let stakes: Vec<&Stake> = std::iter::once(&own).chain(caller.scopes()).collect();
        let versions: Vec<u64> =
            std::iter::once(caller.version).chain(caller.scopes().iter().map(Stake::version)).collect();
        let accounts: Vec<AccountId> = stakes.iter().map(|stake| stake.account.clone()).collect();
        // What limits nothing is not charged: what it spent is in the records.
        let charged: Vec<AccountId> = accounts
            .iter()
            .zip(&versions)
            .filter(|(_, version)| **version > 0)
            .map(|(account, _)| account.clone())
            .collect();
        // A hold that one account gave and another refused was given back: its name is used up.
        let hold = match round {
            0 => HoldId::from(&received.arrived.id),
            _ => HoldId::new(format!("{}/{round}", received.arrived.id)),
        };
        let reserve = Reserve {
            hold: hold.clone(),
            versions,
            carried: Vec::new(),
            input_tokens: asked.input_tokens,
            input_cost: asked.input_cost,
            output: asked.output,
            expires: received.arrived.started.after(core.settings.deadline).after(GRACE),
        };
        let transaction = Transaction { accounts, op: Op::Reserve(reserve), entries: Vec::new() };
        let now = core.ports.clock.now();
        let shard = caller.key.shard.clone();
        // From here on the hold may exist even if the answer is lost on the way: the books release it if dropped.
        let mut books = Books::open(core.clone(), &received, &caller, charged, hold);
        let outcome = core.ports.ledger.transact(&shard, transaction, now).await.map_err(|fault| {
            let refusal = Refusal::Internal(fault);
            books.fail(&refusal);
            refusal
        })?;
        match outcome.grant {
            Grant::Held { output_tokens, headroom, soft_passed } => {
                let capped = received.asked.max_output.is_none() && asked.limited;
                let output_cap = capped.then_some(output_tokens / u64::from(received.asked.choices));
                books.held(asked.likely_tokens, asked.known_units);
                return Ok(Admitted { received, model, plan, books, output_cap, headroom, soft_passed });
            }
            Grant::Denied(denial) => {
                let refusal = Refusal::Denied(Box::new(denial));
                books.refuse(&refusal);
                return Err(refusal);
            }
            Grant::Stale(newer) => {
                books.forget();
                let newer = match caller.with(newer) {
                    Some(newer) => Arc::new(newer),
                    // It belongs to something else by now, or is gone.
                    None => authenticate::read(core, &shard, &caller.key.id).await?,
                };
                core.keys.put(&shard, &newer);
                authenticate::judge(&newer, &received.arrived.proof, now)?;
                caller = newer;
            }
            Grant::Settled | Grant::NoHold | Grant::Written | Grant::Conflict(_) | Grant::Swept { .. } => {
                books.forget();
                return Err(unexpected());
            }
        }
    }
    Err(Refusal::Internal(Fault::new(FaultKind::Conflict, "admit", "the key changes faster than it is read")))
}

/// What is asked: a model by one of the names that callers use, or by its provider's own.
fn resolve(policy: &Policy, received: &Received<'_>) -> Resolution {
    let name = &received.asked.model;
    let Some(Native { provider, .. }) = &received.arrived.native else { return policy.resolve(name) };
    let model = name.get(provider.id.len() + 1..).unwrap_or_default();
    let model = if received.arrived.operation == Operation::Native {
        policy.interface(provider)
    } else {
        policy.native(provider, model)
    };
    model.map_or(Resolution::Unknown { near: Vec::new() }, |model| Resolution::Found(Arc::new(model)))
}

/// Writes down a refusal of somebody who is known; nothing was held.
fn noted(core: &Arc<Core>, received: &Received<'_>, caller: &Caller, refusal: Refusal) -> Refusal {
    let hold = HoldId::from(&received.arrived.id);
    Books::open(core.clone(), received, caller, Vec::new(), hold).refuse(&refusal);
    refusal
}

fn unexpected() -> Refusal {
    Refusal::Internal(Fault::new(
        FaultKind::Corrupt,
        "admit",
        "the ledger gave an answer to another question",
    ))
}
