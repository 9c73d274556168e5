//! What Ollama's clients ask of a model before they use it: what it can, and how much it takes.

use gatelet_wire::Fields;
use http::request::Parts;
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::models::caller;
use super::reply;
use crate::domain::Timestamp;
use crate::pipeline;
use crate::policy::{Model, Resolution};
use crate::port::Body;
use crate::refusal::Refusal;
use crate::registry::{Capability, Meter};
use crate::shared::Core;

/// A name and a flag: nobody needs more.
const MOST: usize = 64 << 10;

/// `POST /api/show`: of what lies on a disk nothing is said, for nothing does.
pub(super) async fn show(
    core: &Core,
    now: Timestamp,
    parts: &Parts,
    body: Body,
) -> Result<Response<Body>, Refusal> {
    let caller = caller(core, now, parts).await?;
    let body = pipeline::collect(body, &parts.headers, MOST).await?;
    let fields = Fields::read(&body)?;
    let said = ["model", "name"].into_iter().find_map(|key| fields.present(key));
    let name =
        said.and_then(|raw| gatelet_wire::json::from_str::<String>(raw.get()).ok()).unwrap_or_default();
    let meant = caller.meant(&name);
    match core.policy().resolve(meant) {
        Resolution::Found(found) if pipeline::may_call(&caller, meant) => {
            Ok(reply(StatusCode::OK, &shown(&found)))
        }
        Resolution::Found(_) => Err(Refusal::ModelForbidden { model: name }),
        Resolution::Unknown { near } => {
            let near = near.into_iter().filter(|name| pipeline::may_call(&caller, name)).collect();
            Err(Refusal::ModelUnknown { model: name, near })
        }
    }
}

/// What is known of the first of a model's targets.
fn shown(found: &Model) -> Value {
    /// The words for what models are made of say nothing of those that others run.
    const FAMILY: &str = "gatelet";
    let mut info = Map::new();
    info.insert("general.architecture".to_owned(), json!(FAMILY));
    let target = found.targets.first();
    if let Some(context) = target.and_then(|target| target.context) {
        info.insert(format!("{FAMILY}.context_length"), json!(context));
    }
    let cap = target.and_then(|target| target.max_output);
    let parameters = cap.map_or_else(String::new, |cap| format!("num_predict {cap}"));
    let can = |capability| target.is_some_and(|target| target.has(capability));
    // A model that is priced by what it reads alone makes vectors.
    let rates = target.and_then(|target| target.price.as_ref()).map(|price| price.rates().to_vec());
    let writes = rates.is_none_or(|rates| {
        rates.iter().any(|(meter, rate)| *meter == Meter::Output && rate.picos() > 0) || rates.is_empty()
    });
    let mut capabilities = vec![if writes || can(Capability::Tools) { "completion" } else { "embedding" }];
    for (capability, word) in
        [(Capability::Tools, "tools"), (Capability::Vision, "vision"), (Capability::Reasoning, "thinking")]
    {
        if can(capability) {
            capabilities.push(word);
        }
    }
    json!({
        "modelfile": "",
        "parameters": parameters,
        "template": "",
        "details": { "parent_model": "", "format": "", "family": FAMILY, "families": [FAMILY],
            "parameter_size": "", "quantization_level": "" },
        "model_info": info,
        "capabilities": capabilities,
        "modified_at": "1970-01-01T00:00:00Z",
    })
}
