//! `/model/info` and `/model_group/info`: models with where they lead and what they cost.

use serde_json::{Value, json};

use super::Ours;
use crate::api::models;
use crate::pipeline;
use crate::policy::{Resolution, Target};
use crate::refusal::Refusal;
use crate::registry::{Capability, Meter};

/// Their names of rates, each for one unit.
const RATES: [(&str, Meter); 5] = [
    ("input_cost_per_token", Meter::Input),
    ("output_cost_per_token", Meter::Output),
    ("cache_read_input_token_cost", Meter::CacheRead),
    ("cache_creation_input_token_cost", Meter::CacheWrite5m),
    ("input_cost_per_query", Meter::Query),
];
/// Their names of what a model can.
const ABILITIES: [(&str, Capability); 3] = [
    ("supports_vision", Capability::Vision),
    ("supports_function_calling", Capability::Tools),
    ("supports_reasoning", Capability::Reasoning),
];

/// The models that the caller may call: all for the gateway's admin.
pub(super) async fn info(ours: &Ours<'_>, by_group: bool) -> Result<Value, Refusal> {
    let admin = pipeline::key_text(ours.parts).is_some_and(|key| ours.core.settings.admin_key.opens(&key));
    let caller = if admin { None } else { Some(models::caller(ours.core, ours.now, ours.parts).await?) };
    let policy = ours.core.policy();
    let names = policy.names();
    let mine =
        names.iter().filter(|name| caller.as_ref().is_none_or(|caller| pipeline::may_call(caller, name)));
    let mut data = Vec::new();
    for name in mine {
        let Resolution::Found(model) = policy.resolve(name) else { continue };
        if by_group {
            let providers: Vec<&str> = model.targets.iter().map(|target| &*target.provider.id).collect();
            let mut group = model.targets.first().map(|target| facts(ours, target)).unwrap_or_default();
            group["model_group"] = json!(name);
            group["providers"] = json!(providers);
            data.push(group);
            continue;
        }
        for target in &model.targets {
            let leads = [&*target.provider.id, "/", &*target.model].concat();
            let mut info = facts(ours, target);
            info["id"] = json!(leads);
            info["litellm_provider"] = json!(target.provider.id);
            data.push(
                json!({ "model_name": name, "litellm_params": { "model": leads }, "model_info": info }),
            );
        }
    }
    Ok(json!({ "data": data }))
}

fn facts(ours: &Ours<'_>, target: &Target) -> Value {
    const ONE: f64 = 1e12;
    let mut facts = json!({ "max_input_tokens": target.context, "max_output_tokens": target.max_output });
    if let Some(price) = &target.price {
        let rates = price.at(ours.now).rates();
        for (name, meter) in RATES {
            let rate = rates.iter().find(|(known, _)| *known == meter);
            if let Some((_, rate)) = rate {
                // Exact as far as their clients' numbers are.
                #[expect(clippy::cast_precision_loss, reason = "shown as a number of theirs, never summed")]
                let rate = rate.picos() as f64 / ONE;
                facts[name] = json!(rate);
            }
        }
    }
    for (name, capability) in ABILITIES {
        facts[name] = json!(target.has(capability));
    }
    facts
}
