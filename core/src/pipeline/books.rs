//! One request's books: its hold, its records, and their closing, exactly once.

mod rival;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use gatelet_wire::{Loss, Operation, Units, Usage};

use super::content::{Keeper, written};
use super::receive::Received;
use super::residency::{Kept, Pins};
use super::route::blame;
use super::sound::{self, Sound};
use super::tally::Tally;
use crate::domain::Caller;
use crate::domain::account::{Op, Settle};
use crate::domain::{AccountId, HoldId, Money, RequestId, ShardId, Timestamp};
use crate::guard::Note;
use crate::policy::{Model, ModelName, Target};
use crate::port::{Defer, Entry, Fault, Transaction};
use crate::record::{self, Attempt, Record, millis};
use crate::refusal::Refusal;
use crate::registry::Parts;
use crate::route::{Blame, Ended, Outcome, Strategy};
use crate::shared::Core;

use rival::Aside;

/// The books of one request. Dropped before they were closed, they close themselves in the background: the caller
/// left, and pays for what was generated.
#[derive(Debug)]
pub(super) struct Books {
    core: Arc<Core>,
    state: State,
    shard: ShardId,
    accounts: Vec<AccountId>,
    hold: HoldId,
    record: Record,
    attempts: Vec<Attempt>,
    target: Option<Arc<Target>>,
    /// An upstream has, or may have, read the request: its input is charged even if nothing came back.
    sent: bool,
    operation: Operation,
    likely_input: u64,
    /// What the request itself says of what it uses in other units than tokens.
    known_units: Units,
    sound: Sound,
    /// The attempt that is under way, as the board knows it.
    watched: Option<Watched>,
    /// The model whose strategy learns from attempts.
    learner: Option<ModelName>,
    /// For upstreams until they said something, or until they failed without.
    waited: Duration,
    /// Since when the upstream that is asked now is waited for.
    waits: Option<Timestamp>,
    /// At limits.
    queued: Duration,
    /// Where the configuration wants prompt and answer kept.
    keeper: Option<Box<Keeper>>,
    /// What attempts are charged whose answer is not the one that counts.
    aside: Option<Box<Aside>>,
    pub(super) tally: Tally,
}

/// What was used, and what that costs.
#[derive(Clone, Copy, Debug, Default)]
struct Charge {
    usage: Usage,
    estimated: bool,
    cost: Money,
    /// The provider has said what it costs.
    stated: bool,
    price: Option<u32>,
    parts: Parts,
}

impl Charge {
    fn add(&mut self, other: &Self) {
        self.usage.add(&other.usage);
        self.estimated |= other.estimated;
        self.cost = self.cost.plus(other.cost);
        self.stated |= other.stated;
        self.price = self.price.or(other.price);
        for (own, more) in self.parts.0.iter_mut().zip(other.parts.0) {
            *own = own.plus(more);
        }
    }

    fn settle(&self, hold: HoldId) -> Settle {
        let tokens = self.usage.total();
        Settle { hold, tokens, output_tokens: self.usage.output.min(tokens), cost: self.cost }
    }
}

/// What limits said of a request that they let pass.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// Soft budgets that it passed.
    pub(super) soft_passed: Vec<String>,
    /// Limits that are only watched and would have refused it.
    pub(super) shadowed: Vec<String>,
    /// The model that was asked in place of the one that limits refused.
    pub(super) fell_to: Option<String>,
}

/// An attempt that is under way.
#[derive(Clone, Copy, Debug)]
struct Watched {
    since: Timestamp,
    /// When its first content came.
    first: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The hold was asked for; nobody knows yet whether it exists.
    Asked,
    Held,
    Closed,
}

impl Books {
    /// In a box, because they go from stage to stage and every move would copy them.
    pub(super) fn open(
        core: Arc<Core>,
        received: &Received<'_>,
        caller: &Caller,
        accounts: Vec<AccountId>,
        hold: HoldId,
    ) -> Box<Self> {
        let key = &caller.key;
        let policy = core.policy();
        let pins = Pins::of(&policy, caller);
        let keeper = Keeper::of(&core, received, caller);
        let content = keeper.as_ref().map(|_| ("content".to_owned(), policy.contents().region()));
        let sinks = policy.sinks().iter();
        let sinks = sinks.map(|sink| (format!("sinks/{}", sink.name), sink.region.as_deref()));
        let kept = pins.kept(sinks.chain(content));
        let keeper = keeper.filter(|_| pins.keep_in(policy.contents().region()));
        let record = Record {
            v: record::VERSION,
            kind: "request",
            id: received.arrived.id.clone(),
            at: received.arrived.started,
            shard: key.shard.clone(),
            key: key.id.clone(),
            alias: key.alias.clone(),
            org: key.org.clone(),
            team: key.team.clone(),
            project: key.project.clone(),
            user: key.user.clone(),
            tags: tags(&key.tags, &received.arrived.knobs.tags),
            customer: received.arrived.knobs.customer.clone(),
            session: received.arrived.knobs.session.clone(),
            operation: received.arrived.operation.name(),
            dialect: received.arrived.dialect.name(),
            model: received.wanted(caller).to_owned(),
            target: None,
            stream: received.asked.stream,
            outcome: "client_left",
            status: 499,
            attempts: 0,
            usage: Usage::default(),
            usage_estimated: false,
            cost: Money::ZERO,
            cost_stated: false,
            price: None,
            cost_parts: Parts::default(),
            total_ms: 0.0,
            first_content_ms: None,
            loss: Vec::new(),
            output_cap: None,
            soft_passed: Vec::new(),
            shadowed: Vec::new(),
            fell_to: None,
            prompt: received.arrived.said.as_ref().map(|said| said.name.clone()),
            prompt_version: received.arrived.said.as_ref().map(|said| said.version),
            trace: received.arrived.knobs.trace,
            carried: received.arrived.knobs.carried.clone(),
            strategy: None,
            queue_ms: None,
            upstream_ms: 0.0,
            overhead_ms: 0.0,
            finish: None,
            fault: None,
            request_bytes: received.arrived.body.len() as u64,
            answer_bytes: 0,
            content: None,
            residency: pins.words(),
            kept_in: kept.inside,
            left_out: kept.left_out,
            cache: None,
            saved: None,
            similarity: None,
            copy_of: None,
            lookup_for: None,
            unbilled: None,
            guards: Vec::new(),
        };
        Box::new(Self {
            core,
            keeper,
            state: State::Asked,
            shard: key.shard.clone(),
            accounts,
            hold,
            record,
            attempts: Vec::new(),
            target: None,
            sent: false,
            operation: received.arrived.operation,
            likely_input: 0,
            known_units: Units::default(),
            sound: received.outline.as_deref().map(Sound::of).unwrap_or_default(),
            watched: None,
            learner: None,
            waited: Duration::ZERO,
            waits: None,
            queued: Duration::ZERO,
            aside: None,
            tally: Tally::default(),
        })
    }

    /// The ledger holds what was asked for.
    pub(super) fn held(&mut self, received: &Received<'_>, likely_input: u64, known_units: Units) {
        self.state = State::Held;
        if let Some(keeper) = &mut self.keeper {
            keeper.asked(&received.arrived.body);
        }
        self.likely_input = likely_input;
        self.known_units = known_units;
    }

    /// Prompt and answer are looked at where they are to be kept.
    pub(super) fn keeper(&mut self) -> Option<&mut Keeper> {
        self.keeper.as_deref_mut()
    }

    /// What the input will be, by its size.
    pub(super) fn likely_input(&self) -> u64 {
        self.likely_input
    }

    /// Nothing is held, and there is nothing to write down.
    pub(super) fn forget(&mut self) {
        self.state = State::Closed;
    }

    /// What limits said of a request that they let pass.
    pub(super) fn marked(&mut self, marks: &Marks) {
        self.record.soft_passed.clone_from(&marks.soft_passed);
        self.record.shadowed.clone_from(&marks.shadowed);
        self.record.fell_to.clone_from(&marks.fell_to);
    }

    /// Where something of the request may be kept, and where not.
    pub(super) fn kept(&mut self, kept: Kept) {
        self.record.kept_in.extend(kept.inside);
        self.record.left_out.extend(kept.left_out);
    }

    /// The request is a copy of another. One that nobody pays for costs nothing; what it would have cost is written down.
    pub(super) fn copy_of(&mut self, of: RequestId, billed: bool) {
        self.record.copy_of = Some(of);
        self.record.unbilled = (!billed).then_some(Money::ZERO);
    }

    /// The request asks for a vector, by which another's answer is looked up.
    pub(super) fn lookup_for(&mut self, of: RequestId, billed: bool) {
        self.record.lookup_for = Some(of);
        self.record.unbilled = (!billed).then_some(Money::ZERO);
    }

    /// What guards said so far; of what they say again, the gravest word stays.
    pub(super) fn guarded(&mut self, notes: &[Note]) {
        for note in notes {
            let same = |known: &&mut Note| known.guard == note.guard && known.direction == note.direction;
            match self.record.guards.iter_mut().find(same) {
                Some(known) if known.outcome <= note.outcome => known.clone_from(note),
                Some(_) => {}
                None => self.record.guards.push(note.clone()),
            }
        }
    }

    pub(super) fn guards(&self) -> &[Note] {
        &self.record.guards
    }

    /// The end user that the request is for.
    pub(super) fn customer(&mut self, customer: Option<String>) {
        self.record.customer = customer;
    }

    /// A model whose strategy learns is told how its attempts end.
    /// `pulled`: what drew the request to its first target in place of the strategy.
    pub(super) fn teaches(&mut self, model: &Model, pulled: Option<&'static str>) {
        self.learner = (model.strategy == Strategy::Adaptive).then(|| model.name.clone());
        self.record.strategy = (model.targets.len() > 1).then(|| pulled.unwrap_or(model.strategy.name()));
    }

    /// The request waited at limits.
    pub(super) fn queued(&mut self, time: Duration) -> &mut Self {
        self.queued = time;
        self.record.queue_ms = (!time.is_zero()).then(|| in_millis(time));
        self
    }

    /// So much of the answer leaves.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.record.answer_bytes += bytes as u64;
    }

    /// The answer of a target was there already: nobody was asked, and so much was saved.
    /// `alike`: the cosine of a question that is not this one.
    pub(super) fn hit(&mut self, alike: Option<f64>, target: &str, saved: Money, now: Timestamp) {
        self.record.target = Some(target.into());
        self.record.cache = Some(if alike.is_some() { "semantic" } else { "hit" });
        self.record.similarity = alike;
        self.record.saved = Some(saved);
        self.first_content(now);
    }

    /// Whether the answer may end where the cap ended it that only this caller's limits asked for.
    pub(super) fn cut_off(&self) -> bool {
        let reached = |cap| self.record.usage_estimated || self.record.usage.output_total() >= cap;
        self.record.output_cap.is_some_and(reached)
    }

    /// The cap on output that the target which is tried now is sent.
    pub(super) fn capped(&mut self, output_cap: Option<u64>) {
        self.record.output_cap = output_cap;
    }

    /// An attempt begins; answers its number.
    pub(super) fn attempt(
        &mut self,
        target: &Arc<Target>,
        lane: &'static str,
        why: Option<&'static str>,
        loss: &Loss,
        now: Timestamp,
    ) {
        let number = self.record.attempts + 1;
        self.record.attempts = number;
        self.record.target = Some(target.name().clone());
        self.record.loss = loss.items().map(str::to_owned).collect();
        self.target = Some(target.clone());
        self.tally = Tally::default();
        self.tally.transcript = self.keeper.as_ref().map(|keeper| Box::new(keeper.transcript()));
        self.sent = true;
        self.core.board.began(target.seen_as(), now);
        self.watched = Some(Watched { since: now, first: None });
        self.attempts.push(Attempt {
            v: record::VERSION,
            kind: "attempt",
            id: self.record.id.clone(),
            at: now,
            attempt: number,
            target: target.name().clone(),
            region: target.region.clone(),
            lane,
            status: None,
            outcome: "client_left",
            head_ms: None,
            total_ms: 0.0,
            billed: None,
            why,
            fault: None,
            cost: None,
        });
        self.waits = Some(now);
    }

    /// The attempt's answer has begun.
    pub(super) fn head(&mut self, status: u16, now: Timestamp) {
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.status = Some(status);
            attempt.head_ms = Some(millis(attempt.at, now));
        }
        self.came(now);
    }

    /// The upstream that is waited for has said something; it is waited for further.
    pub(super) fn came(&mut self, now: Timestamp) {
        if let Some(since) = self.waits.replace(now) {
            self.waited += now.since(since);
        }
    }

    /// What a request names was waited for.
    pub(super) fn waited_for(&mut self, time: Duration) {
        self.waited += time;
    }

    /// The time that the caller itself gave is over: the upstream works on, and what it was sent is charged as if the
    /// caller had left.
    pub(super) fn timed_out(&mut self, now: Timestamp) {
        self.saw(Ended::Unknown, now);
        self.end_attempt("request_timeout", now);
    }

    /// The attempt is over without an answer that counts: whatever it used is not charged.
    pub(super) fn failed(&mut self, outcome: &'static str, blame: Blame, now: Timestamp) {
        self.saw(Ended::Failed(blame), now);
        self.sent = false;
        self.tally = Tally::default();
        self.came(now);
        self.waits = None;
        self.end_attempt(outcome, now);
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.fault = Some(fault_of(blame));
            // An error's status is free everywhere; a silence, or a success that was none, need not be.
            let begun =
                attempt.status.map_or(outcome == "upstream_timeout", |status| (200..300).contains(&status));
            attempt.billed = begun.then_some("unknown");
        }
    }

    pub(super) fn first_content(&mut self, now: Timestamp) {
        self.waits = None;
        if self.record.first_content_ms.is_none() {
            self.record.first_content_ms = Some(millis(self.record.at, now));
            self.own_time(now);
        }
        if let Some(watched) = &mut self.watched {
            watched.first.get_or_insert(now);
        }
    }

    /// What of the time until now was neither an upstream's nor a limit's.
    fn own_time(&mut self, now: Timestamp) {
        self.record.upstream_ms = in_millis(self.waited);
        let own = now.since(self.record.at).saturating_sub(self.waited + self.queued);
        self.record.overhead_ms = in_millis(own);
    }

    /// Tells the board how the attempt that is under way has ended, once.
    fn saw(&mut self, ended: Ended, now: Timestamp) {
        let (Some(_), Some(target)) = (self.watched.take(), &self.target) else { return };
        self.core.board.ended(&self.shard, target.seen_as(), ended, now);
        let outcome = match ended {
            Ended::Failed(Blame::Caller) | Ended::Unknown => None,
            Ended::Failed(_) => Some(Outcome::Failed),
            Ended::Answered { first, total, .. } => {
                Some(Outcome::Answered { seconds: first.unwrap_or(total).as_secs_f64() })
            }
        };
        if let (Some(model), Some(outcome)) = (&self.learner, outcome) {
            self.core.board.learn(model.shared(), target.seen_as(), outcome);
        }
    }

    /// How the attempt that is under way ends with the request.
    fn seen(&self, ending: Ending, now: Timestamp) -> Ended {
        let Some(watched) = &self.watched else { return Ended::Unknown };
        if ending.status == Ending::CLIENT_LEFT.status {
            return Ended::Unknown;
        }
        if ending.outcome != Ending::DONE {
            // Until its first content it would have been another's turn: it broke in the middle.
            return Ended::Failed(Blame::Provider);
        }
        let usage = &self.record.usage;
        Ended::Answered {
            first: watched.first.filter(|_| self.record.stream).map(|first| first.since(watched.since)),
            total: now.since(watched.since),
            output: usage.output,
            tokens: usage.total(),
        }
    }

    fn end_attempt(&mut self, outcome: &'static str, now: Timestamp) {
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.outcome = outcome;
            attempt.total_ms = millis(attempt.at, now);
        }
    }

    /// What the writing of the answer could not carry.
    pub(super) fn lost(&mut self, loss: &Loss) {
        for item in loss.items() {
            if !self.record.loss.iter().any(|known| known == item) {
                self.record.loss.push(item.to_owned());
            }
        }
    }

    pub(super) fn attempts(&self) -> u32 {
        self.record.attempts
    }

    /// How long upstreams took until their heads: what is not the gateway's own time.
    pub(super) fn upstream_time(&self) -> Duration {
        self.waited
    }

    pub(super) fn cost(&self) -> Money {
        self.record.cost
    }

    /// The ledger refused: nothing is held or charged; the record is written in the background.
    pub(super) fn refuse(&mut self, refusal: &Refusal) {
        self.accounts.clear();
        self.fail(refusal);
    }

    /// Refused before anything was sent, and nobody knows whether the ledger holds: it is given back, and the record is
    /// written, in the background.
    pub(super) fn fail(&mut self, refusal: &Refusal) {
        let status = refusal.public(&self.record.id).status;
        drop(self.close(Ending::refused(refusal, status)));
    }

    /// Closes the books: settles the hold with the true usage and keeps the records, in one transaction that is
    /// tried until it passes or its tries run out. Whoever need not wait for that drops the answer.
    pub(super) fn close(&mut self, ending: Ending) -> Closing {
        // A hold that nobody knows to exist (the answer was lost) is settled all the same: without one, nothing happens.
        self.state = State::Closed;
        let now = self.core.ports.clock.now();
        // One that failed has ended already, with an outcome of its own.
        if self.sent {
            self.came(now);
            self.end_attempt(ending.attempt, now);
        }
        if self.record.first_content_ms.is_none() {
            self.own_time(now);
        }
        let settle = self.charge_all(ending, now);
        self.record.outcome = ending.outcome;
        self.record.status = ending.status;
        self.record.fault = ending.fault;
        self.record.finish = self.tally.finish;
        self.record.total_ms = millis(self.record.at, now);
        let settled = (!self.accounts.is_empty()).then(|| (self.accounts.clone(), settle.clone()));
        let entry = Entry { settle: settled, ..record::entry(&self.record, &self.attempts) };
        let notices = self.core.board.news(&self.shard);
        let transaction = Transaction {
            accounts: self.accounts.clone(),
            op: Op::Settle(settle),
            entries: vec![entry],
            notices,
        };
        let beside = self.aside.take().map(|aside| aside.settles).unwrap_or_default();
        let work: BoxFuture<'static, Result<(), Fault>> = match self.keeper.take() {
            None if beside.is_empty() => Box::pin(post(self.core.clone(), self.shard.clone(), transaction)),
            None => Box::pin(post_all(self.core.clone(), self.shard.clone(), transaction, beside)),
            Some(keeper) => {
                let content = keeper.done(self.tally.transcript.take(), self.target.as_deref());
                let (record, attempts) = (self.record.clone(), self.attempts.clone());
                let (core, shard) = (self.core.clone(), self.shard.clone());
                Box::pin(async move {
                    // Before the record says that it is kept.
                    let transaction = written(&core, &content, record, &attempts, transaction).await;
                    post_all(core, shard, transaction, beside).await
                })
            }
        };
        Closing { work: Some(work), defer: self.core.ports.defer.clone() }
    }

    /// Puts usage and cost of all attempts into the record, and answers what of it the request's own hold settles.
    fn charge_all(&mut self, ending: Ending, now: Timestamp) -> Settle {
        let mut charge = self.charge();
        self.record.usage = charge.usage;
        self.saw(self.seen(ending, now), now);
        let (mut tokens, mut output, mut cost) = (0, 0, Money::ZERO);
        if let Some(aside) = &self.aside {
            charge.add(&aside.charge);
            (tokens, output, cost) = aside.settled();
        }
        let mut settle = charge.settle(self.hold.clone());
        settle.tokens = settle.tokens.saturating_sub(tokens);
        settle.output_tokens = settle.output_tokens.saturating_sub(output);
        settle.cost = settle.cost.minus(cost);
        if let Some(unbilled) = &mut self.record.unbilled {
            *unbilled = std::mem::replace(&mut charge.cost, Money::ZERO);
            settle.cost = Money::ZERO;
        }
        let record = &mut self.record;
        record.usage = charge.usage;
        record.usage_estimated = charge.estimated;
        record.cost = charge.cost;
        record.cost_stated = charge.stated;
        record.price = charge.price;
        record.cost_parts = charge.parts;
        settle
    }

    /// What the attempt that is under way has used so far; one that has failed, nothing.
    fn charge(&self) -> Charge {
        let mut charge = Charge::default();
        let Some(target) = self.target.as_ref().filter(|_| self.sent) else { return charge };
        if self.operation == Operation::TokenCount {
            return charge;
        }
        let (mut usage, mut estimated) = self.tally.usage(self.likely_input, &self.known_units);
        let tier = self.tally.service_tier.as_deref();
        let price = target.price_of(self.operation);
        if self.operation != Operation::Chat {
            estimated |= self.sound.complete(self.operation, &self.tally, &mut usage);
            if let Some(price) = price {
                estimated = sound::once(&mut usage, price, estimated);
            }
        }
        // What its provider says is what will be paid, be it more than was held.
        charge.stated = self.tally.stated.is_some();
        let price = price.map(|price| price.at(self.record.at));
        charge.cost =
            self.tally.stated.unwrap_or_else(|| price.map_or(Money::ZERO, |price| price.cost(&usage, tier)));
        if let Some(price) = price.filter(|_| self.tally.stated.is_none()) {
            charge.price = Some(price.version());
            charge.parts = price.parts(&usage, tier);
        }
        (charge.usage, charge.estimated) = (usage, estimated);
        charge
    }
}

impl Drop for Books {
    fn drop(&mut self) {
        if self.state == State::Closed {
            return;
        }
        drop(self.close(Ending::CLIENT_LEFT));
    }
}

/// Books that are being closed. Dropped before that is done (the caller left while it waited), they go on closing in the
/// background: the charge is not the caller's to cancel.
pub(super) struct Closing {
    /// None once it is done.
    work: Option<BoxFuture<'static, Result<(), Fault>>>,
    defer: Arc<dyn Defer>,
}

impl Future for Closing {
    type Output = Result<(), Fault>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(work) = self.work.as_mut() else { return Poll::Ready(Ok(())) };
        let closed = ready!(work.poll_unpin(context));
        self.work = None;
        Poll::Ready(closed)
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            // What fails after all its tries is done again by whoever archives the record, or dies with its hold; the log
            // has heard of it.
            self.defer.defer(Box::pin(work.map(drop)));
        }
    }
}

/// The key's tags and the request's own, each once.
fn tags(of_key: &[String], of_request: &[String]) -> Vec<String> {
    let more = of_request.iter().filter(|tag| !of_key.contains(tag));
    of_key.iter().chain(more).cloned().collect()
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending {
    outcome: &'static str,
    attempt: &'static str,
    status: u16,
    fault: Option<&'static str>,
}

impl Ending {
    /// The caller closed the connection (the status that nginx made customary for it).
    const DONE: &'static str = "done";

    pub(super) const CLIENT_LEFT: Self =
        Self { outcome: "client_left", attempt: "client_left", status: 499, fault: None };

    pub(super) fn done(status: u16) -> Self {
        Self { outcome: Self::DONE, attempt: "answered", status, fault: None }
    }

    pub(super) fn refused(refusal: &Refusal, status: u16) -> Self {
        let code = refusal.code();
        Self { outcome: code, attempt: code, status, fault: Some(fault(refusal, status)) }
    }
}

/// Whose fault a refusal is.
fn fault(refusal: &Refusal, status: u16) -> &'static str {
    match refusal {
        Refusal::Upstream { .. } | Refusal::UpstreamFailed { .. } => {
            fault_of(blame(refusal, Timestamp::EPOCH))
        }
        Refusal::Exhausted { last, .. } => fault(last, status),
        Refusal::Timeout => "provider",
        _ if status >= 500 => "gateway",
        _ => "caller",
    }
}

/// A credential that is refused and a model that is not there are the matter of whoever configured them.
fn fault_of(blame: Blame) -> &'static str {
    match blame {
        Blame::Caller => "caller",
        Blame::Credential | Blame::Model => "gateway",
        Blame::Limited { .. } | Blame::Provider | Blame::Network => "provider",
    }
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of less than centuries are exact in a float")]
fn in_millis(time: Duration) -> f64 {
    time.as_micros() as f64 / 1_000.0
}

/// Between two tries.
pub(super) const PAUSES: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(800),
    Duration::from_secs(2),
];

/// Tries a settlement until the ledger takes it. It is idempotent by its hold, so that trying again is safe.
async fn post(core: Arc<Core>, shard: ShardId, transaction: Transaction) -> Result<(), Fault> {
    let ports = &core.ports;
    for pause in PAUSES {
        match ports.ledger.transact(&shard, transaction.clone(), ports.clock.now()).await {
            Err(fault) if fault.kind.is_temporary() => ports.clock.sleep(pause).await,
            other => return kept(&core, &transaction, other.map(drop)),
        }
    }
    let last = ports.ledger.transact(&shard, transaction.clone(), ports.clock.now()).await;
    kept(&core, &transaction, last.map(drop))
}

/// The same, once other holds of the request are settled.
async fn post_all(
    core: Arc<Core>,
    shard: ShardId,
    transaction: Transaction,
    beside: Vec<Settle>,
) -> Result<(), Fault> {
    for settle in beside {
        let settle = Transaction::new(transaction.accounts.clone(), Op::Settle(settle), Vec::new());
        // The log has heard of it; the rest is settled all the same.
        let _ = post(core.clone(), shard.clone(), settle).await;
    }
    post(core, shard, transaction).await
}

/// Says which request's books could not be closed: its hold ends by itself, without a charge.
fn kept(core: &Core, transaction: &Transaction, settled: Result<(), Fault>) -> Result<(), Fault> {
    settled.inspect_err(|fault| {
        let id = transaction.entries.first().map_or("?", |entry| &*entry.id);
        core.ports.log.failed(&format!("the books of request {id} could not be closed"), fault);
    })
}
