//! A second target is asked where the first says nothing in time: whoever has content first answers, and the other is told to stop.
//!
//! Both run on holds of their own, so no limit is passed whatever both use; a limit that has no room for the second call is a
//! reason not to make it. What the one that lost has used is charged as if its caller had left.

use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, select};
use gatelet_wire::Operation;

use super::attempt::{Answer, Failed, Next, attempt, within};
use super::books::Books;
use super::fetch::Fetched;
use super::receive::Received;
use super::relay::Call;
use super::route::{Plan, Turn};
use crate::domain::account::{Grant, Op, Reserve};
use crate::domain::{AccountId, HoldId, ShardId, Timestamp};
use crate::policy::{Hedge, Model, Target};
use crate::port::Transaction;
use crate::route::Standing;
use crate::shared::Core;

/// What a second call of a request asks the ledger for: as much again.
#[derive(Clone, Debug)]
pub(super) struct Spare {
    pub(super) accounts: Vec<AccountId>,
    pub(super) reserve: Reserve,
    /// A cap has to be sent, because a limit asks for one and the caller named none.
    pub(super) capped: bool,
}

impl Spare {
    /// None: the model's configuration asks for no second calls.
    pub(super) fn of(
        model: &Model,
        received: &Received<'_>,
        accounts: &[AccountId],
        reserve: &Reserve,
        limited: bool,
    ) -> Option<Box<Self>> {
        let asks = received.arrived.operation == Operation::Chat && received.arrived.native.is_none();
        if !asks || (model.extras.hedge.is_none() && model.extras.resume.is_none()) {
            return None;
        }
        let hold = HoldId::new(format!("{}/hedge", received.arrived.id));
        Some(Box::new(Self {
            accounts: accounts.to_vec(),
            reserve: Reserve { hold, ..reserve.clone() },
            capped: received.asked.max_output.is_none() && limited,
        }))
    }
}

/// A request that may be asked of a second target.
pub(super) struct Second {
    spare: Box<Spare>,
    hedge: Hedge,
    target: Arc<Target>,
}

/// How it went.
pub(super) struct Raced {
    /// The second target was asked, and so has had its turn.
    pub(super) asked: bool,
    /// Whose answer it is, and when it was asked; or why the first has none.
    pub(super) ended: Result<(Answer, Arc<Target>, Timestamp), Failed>,
    /// Why the second has none.
    pub(super) second: Option<Failed>,
}

impl Second {
    /// Who is asked beside the target whose turn it is, if that says nothing; none: nobody is.
    pub(super) fn of(
        core: &Core,
        model: &Model,
        first: &Turn,
        plan: &Plan,
        spare: &mut Option<Box<Spare>>,
    ) -> Option<Self> {
        let hedge = model.extras.hedge.filter(|_| spare.is_some())?;
        let first = &first.target;
        core.board.earn_hedge(first.seen_as(), hedge.mille);
        let next = plan.asked.front().filter(|next| next.not_before.is_none())?;
        let now = core.ports.clock.now();
        let seen = core.board.read();
        let standing = seen.target(next.target.seen_as()).breaker.standing(now, seen.rules());
        drop(seen);
        let other = next.target.name() != first.name();
        if !other || !matches!(standing, Standing::In { .. }) {
            return None;
        }
        Some(Self { spare: spare.take()?, hedge, target: next.target.clone() })
    }
}

/// The books of both. Dropped with both calls (the caller left), the second's are put into the first's, which close then.
struct Pair<'b> {
    core: &'b Core,
    own: &'b mut Books,
    rival: Option<Box<Books>>,
}

impl Drop for Pair<'_> {
    fn drop(&mut self) {
        if let Some(rival) = self.rival.take() {
            self.own.outran(rival, self.core.ports.clock.now());
        }
    }
}

/// Asks the first target, and the second too if the first says nothing for too long.
pub(super) async fn race(
    core: &Arc<Core>,
    call: &mut Call<'_>,
    first: &Arc<Target>,
    second: Second,
    shard: &ShardId,
) -> Raced {
    let Second { spare, hedge, target } = second;
    let began = core.ports.clock.now();
    let mut second_began = began;
    let mut late = None;
    let rival = Some(call.books.rival(spare.reserve.hold.clone()));
    let (received, timeouts, deadline) = (call.received, call.timeouts, call.deadline);
    let (repeats, marks, how) = (call.repeats, call.marks, call.how);
    let mut pair = Pair { core, own: &mut *call.books, rival };
    let beside = pair.rival.as_deref_mut();
    let mut one = Call {
        received,
        books: &mut *pair.own,
        output_cap: call.output_cap,
        timeouts,
        repeats,
        marks,
        deadline,
        fetched: std::mem::take(&mut call.fetched),
        guarding: None,
        why: call.why,
        keeping: call.keeping.take(),
        how,
    };
    // Whose answer it is: the second's, where it says true.
    let ended = {
        let mut own = pin!(attempt(core, &mut one, first));
        match (within(core, hedge.after, own.as_mut()).await, beside) {
            (Some(ended), _) => ended.map(|answer| (answer, None)),
            (None, Some(books)) if core.board.may_hedge(first.seen_as()) => {
                second_began = core.ports.clock.now();
                let mut two = Call {
                    received,
                    books,
                    output_cap: None,
                    timeouts,
                    repeats,
                    marks,
                    deadline,
                    fetched: Fetched::default(),
                    guarding: None,
                    why: Some("hedge"),
                    keeping: None,
                    how,
                };
                let ended = {
                    let other = pin!(held(core, &mut two, &target, *spare, shard, began));
                    match select(own, other).await {
                        Either::Left((Ok(answer), _)) => Ok((answer, false)),
                        // Nobody will answer it.
                        Either::Left((Err(failed), _)) if failed.next == Next::Nothing => Err(failed),
                        Either::Left((Err(failed), other)) => match other.await {
                            Ok(answer) => Ok((answer, true)),
                            Err(why) => {
                                late = why;
                                Err(failed)
                            }
                        },
                        Either::Right((Ok(answer), _)) => Ok((answer, true)),
                        Either::Right((Err(why), own)) => {
                            late = why;
                            own.await.map(|answer| (answer, false))
                        }
                    }
                };
                let cap = two.output_cap;
                ended.map(|(answer, second)| (answer, second.then_some(cap)))
            }
            (None, _) => own.await.map(|answer| (answer, None)),
        }
    };
    let Call { fetched, keeping, .. } = one;
    let now = core.ports.clock.now();
    let overtaken = matches!(ended, Ok((_, Some(_))));
    let rival = pair.rival.take();
    let asked = rival.as_ref().is_some_and(|rival| rival.has_asked());
    match rival {
        Some(rival) if overtaken => pair.own.overtaken(rival, now),
        Some(rival) => pair.own.outran(rival, now),
        None => {}
    }
    drop(pair);
    call.fetched = fetched;
    // What the second answers is not kept: nobody has taken it down.
    call.keeping = keeping.filter(|_| !overtaken);
    let ended = ended.map(|(answer, cap)| match cap {
        None => (answer, first.clone(), began),
        Some(cap) => {
            call.output_cap = cap;
            (answer, target, second_began)
        }
    });
    Raced { asked, ended, second: late }
}

/// The second call, once the ledger holds what it may cost. None: it does not, and nobody was asked.
async fn held(
    core: &Arc<Core>,
    call: &mut Call<'_>,
    target: &Arc<Target>,
    spare: Spare,
    shard: &ShardId,
    since: Timestamp,
) -> Result<Answer, Option<Failed>> {
    let now = core.ports.clock.now();
    let Spare { accounts, reserve, capped } = spare;
    // From here on the hold may exist, whatever becomes of the answer.
    call.books.rival_held(now.since(since));
    let transaction = Transaction::new(accounts, Op::Reserve(reserve), Vec::new());
    let outcome = core.ports.ledger.transact(shard, transaction, now).await.map_err(|_| None)?;
    let Grant::Held { output_tokens, .. } = outcome.grant else { return Err(None) };
    let cap = capped.then(|| output_tokens / u64::from(call.received.asked.choices));
    call.output_cap = cap.map(|cap| target.max_output.map_or(cap, |most| cap.min(most)));
    call.books.capped(call.output_cap);
    attempt(core, call, target).await.map_err(Some)
}
