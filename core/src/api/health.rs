//! Whether we live, and whether we can serve.

use http::{Response, StatusCode};
use serde_json::json;

use super::reply;
use crate::port::Body;
use crate::readiness::Standing;
use crate::refusal::Refusal;
use crate::shared::Core;
use crate::sink;
use crate::together::together;

/// `GET /health/live`: the process answers.
pub(crate) fn live() -> Response<Body> {
    reply(StatusCode::OK, &json!({ "status": "ok" }))
}

/// `GET /health/ready`: what it stands on answers too.
pub(super) async fn ready(core: &Core) -> Result<Response<Body>, Refusal> {
    let standing = if let Some(known) = core.ready.begin(core.ports.clock.now()) {
        known
    } else {
        let ledger = core.ports.ledger.list(&core.settings.shard, "key/", None, 1).await.is_ok();
        let store = core.ports.store.get("config").await.is_ok();
        let sinks = if store { sinks(core).await } else { Vec::new() };
        core.ready.end(core.ports.clock.now(), Standing { ledger, store, sinks })
    };
    let word = |fine: bool| if fine { "ok" } else { "down" };
    let all = standing.ledger && standing.store;
    let mut body =
        json!({ "status": word(all), "ledger": word(standing.ledger), "store": word(standing.store) });
    // A sink that is down makes nobody wait, and the gateway is ready without it; but whoever looks sees it.
    if !standing.sinks.is_empty() {
        body["sinks"] =
            standing.sinks.iter().map(|(name, fine)| (name.clone(), json!(word(*fine)))).collect();
    }
    let status = if all { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok(reply(status, &body))
}

/// Shards whose sinks are looked at; where there are more, of the first of them.
const MOST_SHARDS: usize = 64;

/// Each sink, and whether it takes what it is told of every shard.
async fn sinks(core: &Core) -> Vec<(String, bool)> {
    let policy = core.policy();
    if policy.sinks().is_empty() {
        return Vec::new();
    }
    let mut shards = core.ports.ledger.shards().await.unwrap_or_default();
    shards.truncate(MOST_SHARDS);
    let standing = together(shards.iter().map(|shard| sink::standing(&core.ports, shard))).await;
    // A document that cannot be read says nothing of a sink.
    let standing: Vec<_> = standing.into_iter().filter_map(Result::ok).collect();
    let down = |name: &str| standing.iter().any(|all| all.get(name).is_some_and(sink::Place::is_down));
    let fine = |name: &str| !down(name);
    policy.sinks().iter().map(|sink| (sink.name.to_string(), fine(&sink.name))).collect()
}

/// `GET /`: what this is, for whoever opens it in a browser.
pub(super) fn hello() -> Response<Body> {
    reply(StatusCode::OK, &json!({ "name": "gatelet", "version": env!("CARGO_PKG_VERSION") }))
}

/// `GET /api/version`: clients of Ollama ask what it can before they ask it for anything; this is the one whose words
/// are spoken here.
pub(super) fn version() -> Response<Body> {
    reply(StatusCode::OK, &json!({ "version": "0.12.0" }))
}
