//! `/health…`: what their probes and dashboards ask.

use serde_json::{Value, json};

use super::Ours;
use crate::refusal::Refusal;

/// What follows `/health/`.
pub(super) const ACTIONS: [&str; 3] = ["liveliness", "liveness", "readiness"];

/// Every target that was asked, as its own requests showed it: theirs calls each model for it, which costs money.
pub(super) async fn all(ours: &Ours<'_>) -> Result<Value, Refusal> {
    let asked = ours.query("model");
    let targets = ours.all("targets").await?;
    let named = |target: &&Value| asked.as_ref().is_none_or(|model| target["target"] == **model);
    let (well, ill): (Vec<&Value>, Vec<&Value>) =
        targets.iter().filter(named).partition(|target| target["standing"] != "out");
    let well: Vec<Value> = well.into_iter().map(|target| json!({ "model": target["target"] })).collect();
    let ill: Vec<Value> = ill
        .into_iter()
        .map(
            |target| json!({ "model": target["target"], "error": target["fault"], "until": target["until"] }),
        )
        .collect();
    Ok(json!({
        "healthy_count": well.len(), "unhealthy_count": ill.len(),
        "healthy_endpoints": well, "unhealthy_endpoints": ill,
    }))
}
