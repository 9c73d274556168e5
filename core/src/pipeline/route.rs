//! Fourth stage: where. Pure: from a model to an ordered plan of targets.

use std::sync::Arc;

use crate::policy::{Model, Policy, Resolution, Target};

/// No plan is longer: an outage of everything must end in an answer.
const LONGEST: usize = 16;

/// A model's targets in their order, then those of its fallbacks, each once.
pub(super) fn plan(policy: &Policy, model: &Model) -> Vec<Arc<Target>> {
    let mut plan: Vec<Arc<Target>> = Vec::with_capacity(model.targets.len());
    let fallbacks = model.fallbacks.iter().filter_map(|name| match policy.resolve(name.as_str()) {
        Resolution::Found(model) => Some(model),
        Resolution::Unknown { .. } => None,
    });
    let mut add = |targets: &[Arc<Target>]| {
        for target in targets {
            let known =
                |there: &Arc<Target>| there.provider.id == target.provider.id && there.model == target.model;
            if plan.len() < LONGEST && !plan.iter().any(known) {
                plan.push(target.clone());
            }
        }
    };
    add(&model.targets);
    for fallback in fallbacks {
        add(&fallback.targets);
    }
    plan
}
