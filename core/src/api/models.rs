//! The models that a key may call.

use std::sync::Arc;

use gatelet_wire::DialectId;
use http::request::Parts;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::reply;
use crate::domain::{Caller, Timestamp};
use crate::pipeline::{self, Approach, approach};
use crate::policy::{Model, Resolution};
use crate::port::Body;
use crate::refusal::Refusal;
use crate::registry::Capability;
use crate::shared::Core;

/// `GET /v1/models`, in the form of the vendor whose SDK asks.
pub(super) async fn list(
    core: &Core,
    now: Timestamp,
    parts: &Parts,
    dialect: DialectId,
) -> Result<Response<Body>, Refusal> {
    let caller = caller(core, now, parts).await?;
    let policy = core.policy();
    let mut names = policy.names();
    for alias in caller.aliases() {
        if let Err(place) = names.binary_search_by(|name| name.as_str().cmp(alias)) {
            names.insert(place, alias.to_owned());
        }
    }
    let mine = names.iter().filter(|name| pipeline::may_call(&caller, caller.meant(name)));
    let data: Vec<Value> = mine
        .filter_map(|name| match (caller.meant(name), policy.resolve(caller.meant(name))) {
            (_, Resolution::Found(found)) => Some(model(name, &found, now, dialect)),
            (meant, Resolution::Unknown { .. }) => (meant == name).then(|| bare(name, dialect)),
        })
        .collect();
    let body = match dialect {
        DialectId::Ollama | DialectId::Gemini => json!({ "models": data }),
        DialectId::Anthropic => {
            json!({ "has_more": false, "first_id": data.first().map(|model| &model["id"]),
            "last_id": data.last().map(|model| &model["id"]), "data": data })
        }
        DialectId::Openai | DialectId::OpenaiResponses | DialectId::Bedrock | DialectId::Cohere => {
            json!({ "object": "list", "data": data })
        }
    };
    Ok(reply(StatusCode::OK, &body))
}

/// `GET /v1/models/{id}`.
pub(super) async fn show(
    core: &Core,
    now: Timestamp,
    parts: &Parts,
    dialect: DialectId,
    name: &str,
) -> Result<Response<Body>, Refusal> {
    let caller = caller(core, now, parts).await?;
    let meant = caller.meant(name);
    match core.policy().resolve(meant) {
        Resolution::Found(found) if pipeline::may_call(&caller, meant) => {
            Ok(reply(StatusCode::OK, &model(name, &found, now, dialect)))
        }
        Resolution::Found(_) => Err(Refusal::ModelForbidden { model: name.to_owned() }),
        Resolution::Unknown { near } => {
            let near = near.into_iter().filter(|name| pipeline::may_call(&caller, name)).collect();
            Err(Refusal::ModelUnknown { model: name.to_owned(), near })
        }
    }
}

/// Who asks. Nothing is held for a list, so the key is read anew: a revoked one dies here at once, too.
pub(super) async fn caller(core: &Core, now: Timestamp, parts: &Parts) -> Result<Arc<Caller>, Refusal> {
    let token = pipeline::token(core, parts)?;
    let caller = pipeline::read(core, &token.shard, &token.id).await?;
    pipeline::check(&caller, &token, now, Approach::of(core, parts, approach::MODELS))?;
    Ok(caller)
}

/// What is known of a model: that of the first of its targets, which answers unless it fails. Rates are in US dollars for
/// one unit each, as decimal strings; what nobody knows is left out.
fn model(name: &str, found: &Model, now: Timestamp, dialect: DialectId) -> Value {
    let mut shown = bare(name, dialect);
    let Some((target, fields)) = found.targets.first().zip(shown.as_object_mut()) else { return shown };
    let mut set = |key: &str, value: Value| fields.insert(key.to_owned(), value);
    if dialect == DialectId::Ollama {
        return shown; // What lies on a disk has no price, and its clients' types know no such fields.
    }
    // Google's clients keep what they know and drop the rest.
    let [context, output] = match dialect {
        DialectId::Gemini => ["inputTokenLimit", "outputTokenLimit"],
        _ => ["context_window", "max_output_tokens"],
    };
    set(context, json!(target.context));
    set(output, json!(target.max_output));
    let capabilities: Vec<&str> =
        Capability::ALL.iter().filter(|known| target.has(**known)).map(|known| known.word()).collect();
    set("capabilities", json!(capabilities));
    if let Some(price) = &target.price {
        let rates = price.at(now).rates().iter();
        let pricing: serde_json::Map<String, Value> =
            rates.map(|(meter, rate)| (meter.word().to_owned(), json!(dollars(rate.picos())))).collect();
        set("pricing", Value::Object(pricing));
    }
    fields.retain(|_, value| !value.is_null());
    shown
}

/// Pico-dollars as a decimal number of dollars.
fn dollars(picos: u64) -> String {
    const ONE: u64 = 1_000_000_000_000;
    let text = format!("{}.{:012}", picos / ONE, picos % ONE);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A model's name, in the form of the vendor whose SDK asks.
fn bare(name: &str, dialect: DialectId) -> Value {
    match dialect {
        DialectId::Anthropic => {
            json!({ "type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z" })
        }
        DialectId::Gemini => json!({ "name": format!("models/{name}"), "displayName": name,
            "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens", "embedContent"] }),
        // As what lies on a disk.
        DialectId::Ollama => {
            json!({ "name": name, "model": name, "modified_at": "1970-01-01T00:00:00Z", "size": 0,
            "digest": "", "details": {} })
        }
        DialectId::Openai | DialectId::OpenaiResponses | DialectId::Bedrock | DialectId::Cohere => {
            json!({ "id": name, "object": "model", "created": 0, "owned_by": "gatelet" })
        }
    }
}
