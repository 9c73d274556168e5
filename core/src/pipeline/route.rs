//! Fourth stage: where. From a model to an ordered plan of targets.

use std::collections::VecDeque;
use std::sync::Arc;

use super::facts;
use super::pull::{Pull, mixed};
use super::receive::Received;
use crate::domain::{Caller, Money, Timestamp};
use crate::policy::{Fallbacks, Model, ModelName, Policy, Resolution, Target, Wrong};
use crate::refusal::{Refusal, UpstreamFailure};
use crate::route::{self, Blame, Candidate, Rng, Seen, Step, Strategy};
use crate::shared::Core;
use gatelet_wire::{ErrorKind, Usage};

/// No plan is longer: an outage of everything must end in an answer.
pub(super) const LONGEST: usize = 16;
/// Output that is expected of a request that names no cap, or a larger one.
const USUAL_OUTPUT: u64 = 500;

/// Whom to ask, and what happens next.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// In the order in which they are asked.
    pub(super) asked: VecDeque<Turn>,
    /// Who is asked in their place once a target has said that the request is longer than it can take.
    pub(super) context_window: VecDeque<Turn>,
    /// The same, once a target has said that its rules forbid the request.
    pub(super) content_policy: VecDeque<Turn>,
    /// What drew it to its first target; none: nothing did.
    pub(super) pulled: Option<&'static str>,
}

/// One target's turn.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    pub(super) target: Arc<Target>,
    /// Which of the plan's models it is of: 0 is the one that was asked for.
    pub(super) leg: usize,
    /// How often it was asked before, for this request.
    pub(super) tried: u32,
    /// It is not asked again before.
    pub(super) not_before: Option<Timestamp>,
}

impl Turn {
    /// Why it comes, after so many attempts; none: it is the first.
    pub(super) fn why(&self, attempts: u32) -> Option<&'static str> {
        match (attempts, self.tried, self.leg) {
            (0, ..) => None,
            (_, 0, 0) => Some("next"),
            (_, 0, _) => Some("fallback"),
            (..) => Some("again"),
        }
    }
}

impl Plan {
    fn of(targets: Vec<Arc<Target>>) -> Self {
        let turn = |target| Turn { target, leg: 0, tried: 0, not_before: None };
        Self { asked: targets.into_iter().map(turn).collect(), ..Self::default() }
    }

    /// A target that may answer another time gets another turn then, after all others of its model: who has just failed is
    /// the worst of them to ask.
    pub(super) fn again(&mut self, turn: Turn, not_before: Timestamp) {
        let last = self.asked.iter().rposition(|other| other.leg == turn.leg);
        let turn = Turn { tried: turn.tried + 1, not_before: Some(not_before), ..turn };
        self.asked.insert(last.map_or(0, |last| last + 1), turn);
    }

    /// What a refusal changes of the plan: the list that is made for it takes the place of what is left, once. Answers
    /// whether there was one.
    pub(super) fn turn(&mut self, refusal: &Refusal) -> bool {
        let Refusal::Upstream { error, .. } = refusal else { return false };
        let list = match (error.context_window, error.content_policy) {
            (true, _) => &mut self.context_window,
            (false, true) => &mut self.content_policy,
            (false, false) => return false,
        };
        if list.is_empty() {
            return false;
        }
        self.asked = std::mem::take(list);
        true
    }
}

/// The first `most` targets that may be asked: a model's in their order, then those of its fallbacks, each once.
pub(super) fn plan(
    policy: &Policy,
    model: &Model,
    most: usize,
    may: &mut dyn FnMut(&Target) -> bool,
) -> Vec<Arc<Target>> {
    let mut plan: Vec<Arc<Target>> = Vec::with_capacity(model.targets.len().min(most));
    let mut add = |targets: &[Arc<Target>]| {
        for target in targets {
            if plan.len() < most && !plan.iter().any(|there| same(there, target)) && may(target) {
                plan.push(target.clone());
            }
        }
    };
    add(&model.targets);
    for fallback in model.fallbacks.all().filter_map(|name| known(policy, name)) {
        add(&fallback.targets);
    }
    plan
}

/// The model that a model's rules send a request to; itself, where none holds.
pub(super) fn ruled(
    core: &Core,
    policy: &Policy,
    received: &Received<'_>,
    caller: &Caller,
    mut model: Arc<Model>,
) -> Arc<Model> {
    // The policy has no rings; the bound is for wildcards, whose rules may lead on to names that they themselves make.
    for _ in 0..LONGEST {
        if model.rules.is_empty() {
            break;
        }
        let facts = facts::Request::new(received, caller);
        let mut rng = chance(core);
        let rule = model.rules.iter().find(|rule| rule.when.holds(&facts, &mut rng));
        let Some(other) = rule.and_then(|rule| known(policy, &rule.to)) else { break };
        model = other;
    }
    model
}

fn chance(core: &Core) -> Rng {
    let mut seed = [0; 8];
    core.ports.chance.fill(&mut seed);
    Rng::with_seed(u64::from_ne_bytes(seed))
}

fn known(policy: &Policy, name: &ModelName) -> Option<Arc<Model>> {
    match policy.resolve(name.as_str()) {
        Resolution::Found(model) => Some(model),
        Resolution::Unknown { .. } => None,
    }
}

fn same(one: &Target, other: &Target) -> bool {
    one.provider.id == other.provider.id && one.model == other.model && one.region == other.region
}

/// The order in which targets are asked now: each model's by its own strategy, the model's own before those of its
/// fallbacks, and what is out of order, whosever it is, at the end.
pub(super) fn order(
    core: &Core,
    policy: &Policy,
    received: &Received<'_>,
    caller: &Caller,
    model: &Model,
    able: Vec<Arc<Target>>,
    likely_input: u64,
) -> Plan {
    // One target has no order.
    if able.len() < 2 {
        return Plan::of(able);
    }
    let pull = Pull::of(received, caller, model);
    let mut orders = Orders { core, policy, received, able: &able, likely_input, pull, rng: chance(core) };
    let Fallbacks { general, context_window, content_policy } = &model.fallbacks;
    let plan = Plan {
        asked: orders.of(Some(model), general),
        context_window: orders.of(None, context_window),
        content_policy: orders.of(None, content_policy),
        pulled: pull.map(|pull| pull.by),
    };
    if plan.asked.is_empty() {
        // None of the model's own can take the request: what is left can.
        return Plan::of(able);
    }
    plan
}

struct Orders<'a> {
    core: &'a Core,
    policy: &'a Policy,
    received: &'a Received<'a>,
    /// Those that can do what the request asks for.
    able: &'a [Arc<Target>],
    likely_input: u64,
    pull: Option<Pull>,
    rng: Rng,
}

impl Orders<'_> {
    /// The targets of a model, and of those that are gone on with, that are able.
    fn of(&mut self, first: Option<&Model>, others: &[ModelName]) -> VecDeque<Turn> {
        let others: Vec<Arc<Model>> = others.iter().filter_map(|name| known(self.policy, name)).collect();
        let now = self.core.ports.clock.now();
        let mut left: Vec<usize> = (0..self.able.len()).collect();
        let mut steps: Vec<Step> = Vec::with_capacity(left.len());
        let mut legs = vec![0; left.len()];
        let board = self.core.board.read();
        for (number, leg) in first.into_iter().chain(others.iter().map(|model| &**model)).enumerate() {
            let of_leg = |place: &usize| {
                let able = self.able.get(*place);
                able.is_some_and(|target| leg.targets.iter().any(|own| same(own, target)))
            };
            let (members, rest): (Vec<usize>, Vec<usize>) = left.into_iter().partition(of_leg);
            left = rest;
            for place in &members {
                legs[*place] = number;
            }
            let asks = Asks {
                received: self.received,
                strategy: leg.strategy,
                likely_input: self.likely_input,
                pull: self.pull,
            };
            let candidates: Vec<Candidate> = members
                .iter()
                .filter_map(|place| self.able.get(*place))
                .map(|target| asks.candidate(&board, leg, target, &mut self.rng))
                .collect();
            let ordered = route::order(leg.strategy, &candidates, board.rules(), now, &mut self.rng);
            steps.extend(
                ordered
                    .into_iter()
                    .filter_map(|step| Some(Step { candidate: *members.get(step.candidate)?, ..step })),
            );
        }
        drop(board);
        route::last_resorts_last(&mut steps);
        let turn = |step: &Step| {
            let target = self.able.get(step.candidate)?.clone();
            Some(Turn { target, leg: legs[step.candidate], tried: 0, not_before: None })
        };
        steps.iter().filter_map(turn).collect()
    }
}

/// What a strategy is told of a request.
struct Asks<'a> {
    received: &'a Received<'a>,
    strategy: Strategy,
    likely_input: u64,
    pull: Option<Pull>,
}

impl Asks<'_> {
    fn candidate(&self, seen: &Seen, model: &Model, target: &Arc<Target>, rng: &mut Rng) -> Candidate {
        let asked = &self.received.asked;
        let output = asked.max_output.unwrap_or(USUAL_OUTPUT).min(USUAL_OUTPUT);
        let by_cost = matches!(self.strategy, Strategy::LowestCost | Strategy::Adaptive);
        let learned = (self.strategy == Strategy::Adaptive).then(|| seen.arms(model.name.as_str()));
        Candidate {
            place: target.place,
            cost: by_cost.then(|| self.cost(target, output)).flatten(),
            stream: asked.stream,
            output,
            vitals: seen.target(target.seen_as()),
            drawn: learned.map_or(0.0, |arms| match arms {
                Some(arms) => arms.draw(target.seen_as(), rng),
                None => rng.f64(),
            }),
            pull: self.pull.map(|pull| mixed(pull.number, target.seen_as().as_bytes())),
        }
    }

    /// What the request is likely to cost there.
    fn cost(&self, target: &Target, output: u64) -> Option<Money> {
        let price = target.price_of(self.received.arrived.operation)?;
        let usage = Usage { input: self.likely_input, output, ..Usage::default() };
        let service = self.received.asked.service_tier.as_deref();
        Some(price.at(self.received.arrived.started).cost(&usage, service))
    }
}

/// What was wrong with an attempt after which the same target may be asked again; none: it will not go better.
pub(super) fn wrong(refusal: &Refusal) -> Option<Wrong> {
    match refusal {
        Refusal::Upstream { error, .. } => match error.kind {
            ErrorKind::RateLimit => Some(Wrong::RateLimit),
            ErrorKind::Timeout => Some(Wrong::Timeout),
            ErrorKind::Overloaded | ErrorKind::Api => Some(Wrong::Provider),
            ErrorKind::Authentication
            | ErrorKind::Billing
            | ErrorKind::Permission
            | ErrorKind::NotFound
            | ErrorKind::InvalidRequest
            | ErrorKind::TooLarge
            | ErrorKind::Conflict => None,
        },
        Refusal::UpstreamFailed { failure, .. } => Some(match failure {
            UpstreamFailure::TimedOut => Wrong::Timeout,
            UpstreamFailure::Unreachable | UpstreamFailure::Broken => Wrong::Network,
            UpstreamFailure::Malformed => Wrong::Provider,
        }),
        _ => None,
    }
}

/// Whose fault it is that an attempt failed.
pub(super) fn blame(refusal: &Refusal, now: Timestamp) -> Blame {
    match refusal {
        Refusal::Upstream { error, retry_after, .. } => match error.kind {
            ErrorKind::Authentication | ErrorKind::Billing | ErrorKind::Permission => Blame::Credential,
            ErrorKind::NotFound => Blame::Model,
            ErrorKind::RateLimit => {
                let until = retry_after.map(|seconds| now.after(std::time::Duration::from_secs(seconds)));
                Blame::Limited { until }
            }
            ErrorKind::Timeout | ErrorKind::Overloaded | ErrorKind::Api => Blame::Provider,
            ErrorKind::InvalidRequest | ErrorKind::TooLarge | ErrorKind::Conflict => Blame::Caller,
        },
        Refusal::UpstreamFailed { failure: UpstreamFailure::Unreachable, .. } => Blame::Network,
        Refusal::UpstreamFailed { .. } => Blame::Provider,
        // What we ourselves refuse is no fault of who was to be asked.
        _ => Blame::Caller,
    }
}
