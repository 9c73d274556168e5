//! Third stage: may it? One ledger call holds what the request may use at most, in every account, or nothing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::authenticate::{self, Authenticated};
use super::books::{Books, Marks};
use super::bound::{Asked, bound};
use super::guard;
use super::hedge::Spare;
use super::native::Native;
use super::receive::Received;
use super::route::{Plan, order, ruled};
use super::stakes::Stakes;
use super::waiting::Waiting;
use super::whom::candidates;
use gatelet_wire::Operation;

use crate::domain::Caller;
use crate::domain::account::{AtLimit, Grant, Headroom, Op, Reserve, Stood};
use crate::domain::{AccountId, HoldId, Timestamp};
use crate::guard::Guard;
use crate::policy::{Model, Policy, Resolution, Target};
use crate::port::{Fault, FaultKind, Transaction};
use crate::refusal::Refusal;
use crate::shared::Core;

/// A request that may be made, with its cost held.
#[derive(Debug)]
pub(super) struct Admitted<'a> {
    pub(super) received: Received<'a>,
    pub(super) caller: Arc<Caller>,
    pub(super) model: Arc<Model>,
    /// Whom to ask, fallbacks included. Never empty.
    pub(super) plan: Plan,
    /// Owns the hold: whatever happens to the request, the books are closed once.
    pub(super) books: Box<Books>,
    /// The cap on output that must be sent, because the caller gave none and a limit asks for one.
    pub(super) output_cap: Option<u64>,
    pub(super) headroom: Headroom,
    pub(super) marks: Marks,
    /// What judges it, in this order. Empty for most.
    pub(super) guards: Vec<Arc<Guard>>,
    /// What a second call beside the first would be held by, where the model's configuration asks for that.
    pub(super) spare: Option<Box<Spare>>,
}

/// A hold outlives its request's deadline by this much, so that a late settlement still finds it.
const GRACE: Duration = Duration::from_mins(1);

pub(super) async fn admit<'a>(
    core: &Arc<Core>,
    authenticated: Authenticated<'a>,
) -> Result<Admitted<'a>, Refusal> {
    let Authenticated { received, mut caller } = authenticated;
    let policy = core.policy();
    let (mut wanted, mut model, mut plan) = meant(core, &policy, &received, &mut caller).await?;
    let mut waiting = Waiting::default();
    let mut marks = Marks::default();
    // Models that are left to fall to; none: nothing has asked for that yet.
    let mut cheaper: Option<VecDeque<String>> = None;
    let mut stale = 0;
    for round in 0_u32.. {
        let stakes = Stakes::of(core, &received, &caller, &wanted).await;
        let stakes = stakes.map_err(|refusal| noted(core, &received, &caller, refusal))?;
        let asked = permitted(&policy, &received, &caller, &wanted, &stakes, &model, &plan);
        let (guards, asked) = asked.map_err(|refusal| noted(core, &received, &caller, refusal))?;
        // A hold that one account gave and another refused was given back: its name is used up.
        let hold = match round {
            0 => HoldId::from(&received.arrived.id),
            _ => HoldId::new(format!("{}/{round}", received.arrived.id)),
        };
        let accounts: Vec<AccountId> = stakes.all().iter().map(|stake| stake.account.clone()).collect();
        let now = core.ports.clock.now();
        let reserve = reserve(core, &received, &stakes, &asked, hold.clone());
        let spare = Spare::of(&model, &received, &accounts, &reserve, asked.limited);
        let shard = caller.key.shard.clone();
        let sealing = &core.settings.sealing;
        let own = core.credentials.own(&core.ports, sealing, &shard, &accounts, &plan).await;
        let own = own.map_err(|fault| noted(core, &received, &caller, Refusal::Internal(fault)))?;
        let notices = core.board.news(&shard);
        let transaction = Transaction { accounts, op: Op::Reserve(reserve), entries: Vec::new(), notices };
        // From here on the hold may exist even if the answer is lost on the way: the books release it if dropped.
        let mut books = Books::open(core.clone(), &received, &caller, stakes.charged(), hold);
        books.customer(stakes.customer.clone());
        let outcome = core.ports.ledger.transact(&shard, transaction, now).await.map_err(|fault| {
            let refusal = Refusal::Internal(fault);
            books.fail(&refusal);
            refusal
        })?;
        core.board.hear(&outcome.notices, now);
        match outcome.grant {
            Grant::Held { output_tokens, headroom, soft_passed, shadowed } => {
                let capped = received.asked.max_output.is_none() && asked.limited;
                let output_cap = capped.then_some(output_tokens / u64::from(received.asked.choices));
                books.held(&received, asked.likely_tokens, asked.known_units);
                marks.soft_passed = soft_passed;
                marks.shadowed = shadowed;
                marks.fell_to = cheaper.is_some().then_some(wanted);
                books.queued(waiting.spread(core, &stakes, &caller, &headroom).await);
                let plan = own.unwrap_or(plan);
                let plan = order(core, &policy, &received, &caller, &model, plan, asked.likely_tokens);
                books.teaches(&model, plan.pulled);
                return Ok(Admitted {
                    received,
                    caller,
                    model,
                    plan,
                    books,
                    output_cap,
                    headroom,
                    marks,
                    guards,
                    spare,
                });
            }
            Grant::Denied(denial) => {
                let at_limit = stakes.limits(&caller).find(|(account, _)| **account == denial.account);
                let at_limit = at_limit.map(|(_, limits)| &limits.at_limit);
                if let Some(AtLimit::Cheaper(models)) = at_limit {
                    cheaper.get_or_insert_with(|| models.iter().cloned().collect());
                }
                let next = cheaper.as_mut().and_then(|models| fall(&policy, &received, &caller, models));
                if let Some((name, other, others)) = next {
                    books.forget();
                    (wanted, model, plan) = (name, other, others);
                } else if waiting.pause(core, at_limit, &denial, received.arrived.started).await {
                    books.forget();
                } else {
                    let refusal = Refusal::Denied(Box::new(denial));
                    books.queued(waiting.time).refuse(&refusal);
                    return Err(refusal);
                }
            }
            Grant::Stale(newer) => {
                books.forget();
                // A document that turns out to be old is replaced and judged anew; each round is one of somebody's changes.
                stale += 1;
                if stale > 4 {
                    break;
                }
                caller = renewed(core, &received, &caller, newer, now).await?;
                // What is meant by the name, and where it may go, may be another's word by now.
                if cheaper.is_none() {
                    (wanted, model, plan) = meant(core, &policy, &received, &mut caller).await?;
                } else {
                    let found = found(core, &policy, &received, &caller, &wanted);
                    (model, plan) = found.map_err(|refusal| noted(core, &received, &caller, refusal))?;
                }
            }
            Grant::Settled | Grant::NoHold | Grant::Written | Grant::Conflict(_) | Grant::Swept { .. } => {
                books.forget();
                return Err(unexpected());
            }
        }
    }
    Err(Refusal::Internal(Fault::new(FaultKind::Conflict, "admit", "the key changes faster than it is read")))
}

/// The caller as a document says that is newer than what was known, judged anew.
async fn renewed(
    core: &Arc<Core>,
    received: &Received<'_>,
    caller: &Arc<Caller>,
    newer: Vec<Stood>,
    now: Timestamp,
) -> Result<Arc<Caller>, Refusal> {
    Stakes::learn(core, caller, &newer, now).map_err(|refusal| noted(core, received, caller, refusal))?;
    let newer = match caller.with(newer) {
        Some(newer) => Arc::new(newer),
        // It belongs to something else by now, or is gone.
        None => Box::pin(authenticate::read(core, &caller.key.shard, &caller.key.id)).await?,
    };
    core.keys.put(&caller.key.shard, &newer);
    authenticate::judge(&newer, &received.arrived.proof, now, received.arrived.approach(core))?;
    Ok(newer)
}

fn reserve(core: &Core, received: &Received<'_>, stakes: &Stakes, asked: &Asked, hold: HoldId) -> Reserve {
    Reserve {
        hold,
        versions: stakes.all().iter().map(|stake| stake.version).collect(),
        carried: stakes.carried(),
        input_tokens: asked.input_tokens,
        input_cost: asked.input_cost,
        output: asked.output,
        expires: received.arrived.started.after(core.settings.deadline).after(GRACE),
    }
}

/// Whether the model may be asked for; its guards, and how much it can use at most.
fn permitted(
    policy: &Policy,
    received: &Received<'_>,
    caller: &Caller,
    wanted: &str,
    stakes: &Stakes,
    model: &Model,
    plan: &[Arc<Target>],
) -> Result<(Vec<Arc<Guard>>, Asked), Refusal> {
    authenticate::permit(caller, wanted)?;
    let guards = guard::chosen(policy, received, caller, wanted)?;
    let room = guards.iter().any(|guard| guard.may_lengthen());
    let asked = bound(received, caller, stakes, model, plan, room)?;
    Ok((guards, asked))
}

/// The model that is asked for, with its name, and whom to ask for it. What a name means may be known of old: where it means
/// nothing, or something that cannot do this, the caller is read anew.
async fn meant(
    core: &Arc<Core>,
    policy: &Policy,
    received: &Received<'_>,
    caller: &mut Arc<Caller>,
) -> Result<(String, Arc<Model>, Vec<Arc<Target>>), Refusal> {
    let wanted = received.wanted(caller).to_owned();
    if let Ok((model, plan)) = found(core, policy, received, caller, &wanted) {
        return Ok((wanted, model, plan));
    }
    *caller = authenticate::anew(core, received).await?;
    let wanted = received.wanted(caller).to_owned();
    match found(core, policy, received, caller, &wanted) {
        Ok((model, plan)) => Ok((wanted, model, plan)),
        Err(refusal) => Err(noted(core, received, caller, refusal)),
    }
}

/// The model of a name, and whom to ask for it.
pub(super) fn found(
    core: &Core,
    policy: &Policy,
    received: &Received<'_>,
    caller: &Caller,
    name: &str,
) -> Result<(Arc<Model>, Vec<Arc<Target>>), Refusal> {
    let model = named(core, policy, received, caller, name)?;
    let plan = candidates(policy, received, caller, name, &model)?;
    Ok((model, plan))
}

/// The model of a name, or the one that its rules send the request to.
pub(super) fn named(
    core: &Core,
    policy: &Policy,
    received: &Received<'_>,
    caller: &Caller,
    name: &str,
) -> Result<Arc<Model>, Refusal> {
    let model = match resolve(policy, received, name) {
        Resolution::Found(model) => model,
        Resolution::Unknown { .. } if received.arrived.operation == Operation::Native => {
            let provider = received.arrived.native.as_ref().map(|native| native.provider.id.to_string());
            return Err(Refusal::InterfaceClosed { provider: provider.unwrap_or_default() });
        }
        Resolution::Unknown { near } => {
            let near = near.into_iter().filter(|name| authenticate::may_call(caller, name)).collect();
            return Err(Refusal::ModelUnknown { model: name.to_owned(), near });
        }
    };
    Ok(ruled(core, policy, received, caller, model))
}

/// The next of the models to fall to that there is, that can, and that the key may call.
fn fall(
    policy: &Policy,
    received: &Received<'_>,
    caller: &Caller,
    models: &mut VecDeque<String>,
) -> Option<(String, Arc<Model>, Vec<Arc<Target>>)> {
    // What goes to a provider as it is names its model there.
    if received.arrived.native.is_some() {
        return None;
    }
    while let Some(name) = models.pop_front() {
        if authenticate::may_call(caller, &name)
            && let Resolution::Found(model) = policy.resolve(&name)
            && let Ok(plan) = candidates(policy, received, caller, &name, &model)
        {
            return Some((name, model, plan));
        }
    }
    None
}

/// What is asked: a model by one of the names that callers use, or by its provider's own.
fn resolve(policy: &Policy, received: &Received<'_>, name: &str) -> Resolution {
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
