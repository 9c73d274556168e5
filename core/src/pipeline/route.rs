//! Fourth stage: where. From a model to an ordered plan of targets.

use std::sync::Arc;

use super::receive::Received;
use crate::domain::Money;
use crate::policy::{Model, Policy, Resolution, Target};
use crate::refusal::{Refusal, UpstreamFailure};
use crate::route::{self, Blame, Candidate, Rng, Seen, Step, Strategy};
use crate::shared::Core;
use gatelet_wire::{ErrorKind, Usage};

/// No plan is longer: an outage of everything must end in an answer.
const LONGEST: usize = 16;
/// Output that is expected of a request that names no cap, or a larger one.
const USUAL_OUTPUT: u64 = 500;

/// A model's targets in their order, then those of its fallbacks, each once.
pub(super) fn plan(policy: &Policy, model: &Model) -> Vec<Arc<Target>> {
    let mut plan: Vec<Arc<Target>> = Vec::with_capacity(model.targets.len());
    let mut add = |targets: &[Arc<Target>]| {
        for target in targets {
            if plan.len() < LONGEST && !plan.iter().any(|there| same(there, target)) {
                plan.push(target.clone());
            }
        }
    };
    add(&model.targets);
    for fallback in fallbacks(policy, model) {
        add(&fallback.targets);
    }
    plan
}

fn fallbacks<'a>(policy: &'a Policy, model: &'a Model) -> impl Iterator<Item = Arc<Model>> + 'a {
    model.fallbacks.iter().filter_map(|name| match policy.resolve(name.as_str()) {
        Resolution::Found(model) => Some(model),
        Resolution::Unknown { .. } => None,
    })
}

fn same(one: &Target, other: &Target) -> bool {
    one.provider.id == other.provider.id && one.model == other.model
}

/// The order in which a plan's targets are asked now: each model's by its own strategy, the model's own before those of its
/// fallbacks, and what is out of order, whosever it is, at the end.
pub(super) fn order(
    core: &Core,
    policy: &Policy,
    received: &Received<'_>,
    model: &Model,
    plan: Vec<Arc<Target>>,
    likely_input: u64,
) -> Vec<Arc<Target>> {
    // One target has no order.
    if plan.len() < 2 {
        return plan;
    }
    let mut seed = [0; 8];
    core.ports.chance.fill(&mut seed);
    let mut rng = Rng::with_seed(u64::from_ne_bytes(seed));
    let now = core.ports.clock.now();
    let fallbacks: Vec<Arc<Model>> = fallbacks(policy, model).collect();
    let mut left: Vec<usize> = (0..plan.len()).collect();
    let mut steps: Vec<Step> = Vec::with_capacity(plan.len());
    let board = core.board.read();
    for leg in std::iter::once(model).chain(fallbacks.iter().map(|model| &**model)) {
        let of_leg = |place: &usize| {
            plan.get(*place).is_some_and(|target| leg.targets.iter().any(|own| same(own, target)))
        };
        let (members, others): (Vec<usize>, Vec<usize>) = left.into_iter().partition(of_leg);
        left = others;
        let asks = Asks { received, strategy: leg.strategy, likely_input };
        let candidates: Vec<Candidate> = members
            .iter()
            .filter_map(|place| plan.get(*place))
            .map(|target| asks.candidate(&board, leg, target, &mut rng))
            .collect();
        let ordered = route::order(leg.strategy, &candidates, board.rules(), now, &mut rng);
        steps.extend(
            ordered
                .into_iter()
                .filter_map(|step| Some(Step { candidate: *members.get(step.candidate)?, ..step })),
        );
    }
    drop(board);
    route::last_resorts_last(&mut steps);
    steps.iter().filter_map(|step| plan.get(step.candidate).cloned()).collect()
}

/// What a strategy is told of a request.
struct Asks<'a> {
    received: &'a Received<'a>,
    strategy: Strategy,
    likely_input: u64,
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
            vitals: seen.target(target.name()),
            drawn: learned.map_or(0.0, |arms| match arms {
                Some(arms) => arms.draw(target.name(), rng),
                None => rng.f64(),
            }),
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

/// Whose fault it is that an attempt failed.
pub(super) fn blame(refusal: &Refusal, now: crate::domain::Timestamp) -> Blame {
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
