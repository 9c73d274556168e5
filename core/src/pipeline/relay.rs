//! Fifth stage: attempts, until one of them has an answer that the caller may have.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use gatelet_wire::{Loss, Operation};
use http::Response;
use http::header::{CONTENT_TYPE, HeaderValue};

use super::admit::Admitted;
use super::attempt::{Answer, Failed, Next, attempt};
use super::books::Marks;
use super::books::{Books, Ending};
use super::cache::{self, Keeping, Looked};
use super::continuation::Continuation;
use super::fetch::Fetched;
use super::guard::{Beside, Guarded, Guarding};
use super::headers::Head;
use super::hedge::{Second, race};
use super::receive::Received;
use super::route::{Plan, Turn, wrong};
use super::stream::{Committed, Relay};
use super::{copies, headers, native, task};
use crate::domain::Timestamp;
use crate::domain::account::Headroom;
use crate::policy::{Model, Retries, Target, Timeouts};
use crate::port::Body;
use crate::refusal::Refusal;
use crate::shared::Core;

/// What all attempts of one request share.
pub(super) struct Call<'a> {
    pub(super) received: &'a Received<'a>,
    pub(super) books: &'a mut Books,
    /// The cap on output to send to the target that is tried now: never above what its model can, or it would refuse.
    pub(super) output_cap: Option<u64>,
    pub(super) timeouts: Timeouts,
    /// How often a stream may say the same in a row.
    pub(super) repeats: Option<u32>,
    /// Prompts of so many tokens are marked for their provider's cache; none: no prompt is.
    pub(super) marks: Option<u64>,
    pub(super) deadline: Timestamp,
    pub(super) fetched: Fetched,
    /// What guards have to do with the answer.
    pub(super) guarding: Option<Box<Guarding>>,
    /// Why the target that is tried now has its turn, unless it is the first.
    pub(super) why: Option<&'static str>,
    /// Where the answer is to be kept.
    pub(super) keeping: Option<Box<Keeping>>,
    pub(super) how: How,
}

/// How a stream is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// As it comes, where caller and target speak one language.
    Plainly,
    /// So that another attempt may go on with it.
    Resumably,
    /// By the stream that it goes on with.
    After,
}

pub(super) async fn relay(core: &Arc<Core>, guarded: Guarded<'_>) -> Result<Response<Body>, Refusal> {
    let Guarded { admitted, guarding, beside } = guarded;
    if admitted.received.arrived.native.is_some() {
        return Box::pin(native::relay(core, admitted)).await;
    }
    let counts = |turn: &Turn| turn.target.provider.dialect == admitted.received.arrived.dialect;
    if admitted.received.arrived.operation == Operation::TokenCount && !admitted.plan.asked.iter().any(counts)
    {
        return Box::pin(estimated(core, admitted)).await;
    }
    // An answer that guards have a word in is neither kept nor given again: what they say depends on who asks.
    let caching = admitted.model.cache.clone().filter(|_| admitted.guards.is_empty());
    let (admitted, keeping) = match &caching {
        None => (admitted, None),
        Some(caching) => match Box::pin(cache::look(core, caching, admitted)).await? {
            Looked::Answered(response) => return Ok(response),
            Looked::Ask(admitted, keeping) => (*admitted, keeping),
        },
    };
    // What services still judge is not copied: they may say that nobody is to read it.
    if !admitted.model.extras.copies.is_empty() && beside.is_none() {
        copies::send(core, &admitted.received, &admitted.caller, &admitted.model);
    }
    attempts(core, Guarded { admitted, guarding, beside }, keeping, caching.is_some()).await
}

/// One target after another, as planned, until one has an answer. `cached`: its answers are kept for others, though not this
/// one.
#[expect(clippy::too_many_lines, reason = "all turns of one request, which are best read as one")]
pub(super) async fn attempts(
    core: &Arc<Core>,
    guarded: Guarded<'_>,
    keeping: Option<Box<Keeping>>,
    cached: bool,
) -> Result<Response<Body>, Refusal> {
    let Guarded { admitted, guarding, mut beside } = guarded;
    let Admitted {
        received,
        caller,
        model,
        mut plan,
        mut books,
        output_cap,
        headroom,
        marks,
        mut spare,
        guards,
        ..
    } = admitted;
    // What guards judge is judged once.
    spare = spare.filter(|_| guarding.is_none() && beside.is_none());
    books.marked(&marks);
    let total = model.timeouts.total.min(core.settings.deadline);
    let total = received.arrived.knobs.timeout.map_or(total, |asked| asked.min(total));
    let deadline = received.arrived.started.after(total);
    // What guards read on is one answer.
    let lasting = spare.as_deref().filter(|_| guards.is_empty());
    let shard = &caller.key.shard;
    let continuation = Continuation::of(&model, &received, &plan, lasting, shard, deadline);
    let mut call = Call {
        received: &received,
        books: &mut books,
        output_cap,
        timeouts: model.timeouts,
        repeats: model.repeats,
        marks: model.extras.marks,
        deadline,
        fetched: Fetched::default(),
        guarding,
        why: None,
        keeping,
        how: if continuation.is_some() { How::Resumably } else { How::Plainly },
    };
    let mut last = None;
    let mut tried = Vec::new();
    while let Some(turn) = plan.asked.pop_front() {
        if !wait(core, &turn, model.retries.wait, deadline).await {
            continue;
        }
        // What nobody can wait for any more is not asked for: the provider would be paid for it.
        if core.ports.clock.now() >= deadline {
            break;
        }
        let target = &turn.target;
        let mut served = target.clone();
        call.output_cap = output_cap.map(|cap| target.max_output.map_or(cap, |most| cap.min(most)));
        call.books.capped(call.output_cap);
        call.why = turn.why(call.books.attempts());
        let mut began = core.ports.clock.now();
        let second = Second::of(core, &model, &turn, &plan, &mut spare);
        let attempted = match (&mut beside, second) {
            (Some(judging), _) => beside_attempt(core, &mut call, target, judging).await,
            (None, None) => attempt(core, &mut call, target).await,
            (None, Some(second)) => {
                let raced = Box::pin(race(core, &mut call, target, second, &caller.key.shard)).await;
                let had_turn = if raced.asked { plan.asked.pop_front() } else { None };
                if let Some((turn, failed)) = had_turn.zip(raced.second) {
                    let target = turn.target.clone();
                    again(core, &model.retries, &mut plan, turn, &failed);
                    tried.extend(last.replace((target, failed.refusal)));
                }
                raced.ended.map(|(answer, target, since)| {
                    (served, began) = (target, since);
                    answer
                })
            }
        };
        let target = &served;
        let Failed { refusal, next } = match attempted {
            Ok(answer) => {
                let mut head = head(core, &call, target, &headroom, &marks);
                let mut keeping = call.keeping.take().filter(|_| own(&model, target));
                if let (Some(keeping), Answer::Whole { body, .. }) = (&mut keeping, &answer) {
                    keeping.body(received.arrived.dialect, target, body);
                }
                if cached {
                    headers::missed(&mut head);
                }
                let continuation = continuation.map(|continuation| continuation.capped(call.output_cap));
                let ends = model.timeouts.attempt.map(|attempt| began.after(attempt));
                return Ok(respond(
                    core,
                    received,
                    books,
                    model.timeouts,
                    ends.map_or(deadline, |ends| ends.min(deadline)),
                    answer,
                    head,
                    target.name(),
                    keeping,
                    continuation,
                )
                .await);
            }
            Err(failed) => failed,
        };
        let turns = plan.turn(&refusal);
        // What was streamed cannot be sent again.
        let over = received.arrived.upload.is_spent() || (next == Next::Nothing && !turns);
        let failed = Failed { refusal, next };
        if !over && !turns {
            again(core, &model.retries, &mut plan, turn, &failed);
        }
        tried.extend(last.replace((served, failed.refusal)));
        if over {
            break;
        }
    }
    let refusal = exhausted(last, tried);
    let status = refusal.public(&received.arrived.id).status;
    // Nothing is charged; the caller hears it when the hold has ended, so that its next try finds the room.
    books.close(Ending::refused(&refusal, status)).await.map_err(Refusal::Internal)?;
    Err(refusal)
}

/// Gives a target that has failed another turn, if that may help.
fn again(core: &Core, retries: &Retries, plan: &mut Plan, turn: Turn, failed: &Failed) {
    let now = core.ports.clock.now();
    // A target that fails is not to get more requests for it than it can stand.
    if failed.next == Next::Again
        && wrong(&failed.refusal).is_some_and(|wrong| turn.tried < retries.after(wrong))
        && core.board.may_retry(turn.target.seen_as(), now)
    {
        let hint = failed.refusal.retry_after(now).map(Duration::from_secs);
        let pause = hint.unwrap_or_else(|| pause(core, retries, turn.tried));
        plan.again(turn, now.after(pause));
    }
}

/// What the answer's headers say of limits, of who served it, and of guards.
fn head(core: &Core, call: &Call<'_>, target: &Target, headroom: &Headroom, marks: &Marks) -> Head {
    let mut head = Head::new();
    headers::limits(&mut head, call.received.arrived.dialect, headroom, core.ports.clock.now());
    headers::served(&mut head, target, call.output_cap, marks);
    headers::guards(&mut head, call.books.guards());
    if let Some(said) = &call.received.arrived.said {
        headers::said(&mut head, said);
    }
    head
}

/// An attempt whose answer waits for the services that judge the request meanwhile.
async fn beside_attempt(
    core: &Arc<Core>,
    call: &mut Call<'_>,
    target: &Arc<Target>,
    judging: &mut Beside,
) -> Result<Answer, Failed> {
    let attempted = {
        let work = pin!(attempt(core, call, target));
        judging.alongside(work).await
    };
    call.books.guarded(judging.notes());
    attempted.unwrap_or_else(|refusal| Err(Failed { refusal, next: Next::Nothing }))
}

/// Waits until a target that has failed may be asked again; false: nobody can wait so long.
async fn wait(core: &Core, turn: &Turn, patience: Duration, deadline: Timestamp) -> bool {
    let Some(not_before) = turn.not_before else { return true };
    let now = core.ports.clock.now();
    if not_before <= now {
        return true;
    }
    let pause = not_before.since(now);
    if pause > patience || not_before >= deadline {
        return false;
    }
    core.ports.clock.sleep(pause).await;
    true
}

/// The refusal of a request that nobody answered: what was said last, and what became of the others before it.
fn exhausted(last: Option<(Arc<Target>, Refusal)>, before: Vec<(Arc<Target>, Refusal)>) -> Refusal {
    let Some((target, last)) = last else { return Refusal::Timeout };
    let newest = tried(&target, &last);
    let mut others: Vec<String> = Vec::new();
    for (target, refusal) in before {
        let text = tried(&target, &refusal);
        if text != newest && !others.contains(&text) {
            others.push(text);
        }
    }
    if others.is_empty() { last } else { Refusal::Exhausted { last: Box::new(last), tried: others } }
}

/// An attempt that failed, in the words of the answer that tells of all of them.
fn tried(target: &Target, refusal: &Refusal) -> String {
    match refusal {
        Refusal::Upstream { error, .. } => format!("`{target}` ({})", error.status),
        other => format!("`{target}` ({})", other.code()),
    }
}

/// Nobody in the plan counts in the caller's dialect: an estimate, which says that it is one.
async fn estimated(core: &Arc<Core>, admitted: Admitted<'_>) -> Result<Response<Body>, Refusal> {
    let Admitted { received, plan, mut books, headroom, .. } = admitted;
    let body = task::estimate(&received, books.likely_input());
    let Some(body) = body else {
        let target = plan.asked.front().map_or_else(String::new, |turn| turn.target.to_string());
        let refusal = Refusal::OperationUnknown { target, operation: Operation::TokenCount.name() };
        books.refuse(&refusal);
        return Err(refusal);
    };
    let mut loss = Loss::default();
    loss.note("input_tokens=estimated");
    let mut head = Head::new();
    headers::limits(&mut head, received.arrived.dialect, &headroom, core.ports.clock.now());
    headers::loss(&mut head, &loss);
    books.lost(&loss);
    let _ = books.close(Ending::done(200)).await;
    headers::times(&mut head, core, &received, &books);
    Ok(finish(head, HeaderValue::from_static("application/json"), Body::Full(body)))
}

/// Doubles, with chance in it, so that callers who failed together do not return together.
fn pause(core: &Core, retries: &Retries, tried: u32) -> Duration {
    let mut byte = [0];
    core.ports.chance.fill(&mut byte);
    let base = retries.pause.saturating_mul(1 << tried.min(4)).min(retries.wait);
    base / 2 + base.mul_f64(f64::from(byte[0]) / 512.0)
}

#[expect(
    clippy::too_many_arguments,
    reason = "the one place where all that is known of an answer comes together"
)]
async fn respond(
    core: &Arc<Core>,
    received: Received<'_>,
    mut books: Box<Books>,
    timeouts: Timeouts,
    deadline: Timestamp,
    answer: Answer,
    mut head: Head,
    target: &Arc<str>,
    keeping: Option<Box<Keeping>>,
    continuation: Option<Box<Continuation>>,
) -> Response<Body> {
    let (content_type, body) = match answer {
        Answer::Whole { body, loss } => {
            headers::loss(&mut head, &loss);
            books.lost(&loss);
            books.sent(body.len());
            if let Some(keeper) = books.keeper() {
                keeper.answered(&body, false);
            }
            // Tried until it passes or its tries run out; the answer is the caller's in any case.
            let _ = books.close(Ending::done(200)).await;
            headers::cost(&mut head, books.cost());
            if let Some(keeping) = keeping {
                keeping.keep(&books, target);
            }
            (HeaderValue::from_static("application/json"), Body::Full(body))
        }
        Answer::Stream { upstream, flow, waiting, loss, media } => {
            headers::loss(&mut head, &loss);
            let committed = Committed {
                upstream,
                flow,
                waiting,
                target: target.clone(),
                status: 200,
                idle: timeouts.idle,
                deadline,
                keeping,
                continuation,
            };
            headers::times(&mut head, core, &received, &books);
            let media = media.unwrap_or_else(|| self::media(&received));
            let relay = Relay::new(core.clone(), received.arrived.id.clone(), books, committed);
            return finish(head, media, Body::Stream(Box::pin(relay)));
        }
    };
    headers::times(&mut head, core, &received, &books);
    finish(head, content_type, body)
}

/// The kind of a stream in the caller's dialect.
pub(super) fn media(received: &Received<'_>) -> HeaderValue {
    let framing = received.arrived.dialect.dialect().conventions().framing;
    let list = received.arrived.addressed.list;
    HeaderValue::from_static(if list { "application/json" } else { framing.content_type() })
}

/// Whether a target is one of the model's own: what another gives in its place is not kept as the model's.
pub(super) fn own(model: &Model, target: &Target) -> bool {
    model.targets.iter().any(|own| own.name() == target.name())
}

pub(super) fn finish(head: Head, content_type: HeaderValue, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.headers_mut() = head.map;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
