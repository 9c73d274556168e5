//! Whether we live, and whether we can serve.

use http::{Response, StatusCode};
use serde_json::json;

use super::reply;
use crate::port::Body;
use crate::refusal::Refusal;
use crate::shared::Core;

/// `GET /health/live`: the process answers.
pub(crate) fn live() -> Response<Body> {
    reply(StatusCode::OK, &json!({ "status": "ok" }))
}

/// `GET /health/ready`: what it stands on answers too.
pub(super) async fn ready(core: &Core) -> Result<Response<Body>, Refusal> {
    let ledger = core.ports.ledger.list(&core.settings.shard, "key/", None, 1).await.map(drop);
    let store = core.ports.store.get("config").await.map(drop);
    let word = |result: &Result<(), _>| if result.is_ok() { "ok" } else { "down" };
    let all = ledger.is_ok() && store.is_ok();
    let body = json!({
        "status": if all { "ok" } else { "down" },
        "ledger": word(&ledger),
        "store": word(&store),
    });
    let status = if all { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok(reply(status, &body))
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
