//! Somebody's content, deleted on request.

use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::audit::{self, Change};
use super::call::Call;
use super::documents::unfit;
use super::reply;
use crate::policy::whose;
use crate::port::Body;
use crate::record::tidy::{self, Erasure};
use crate::refusal::Refusal;

/// Whose content is deleted.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    /// Such as `customer/ann`; or of an org, team, project, user or key.
    of: String,
}

/// `POST /admin/v1/erasures`: what somebody's requests said and were answered until now is deleted from the archive, but for what is on
/// legal hold. It begins after a minute; records stay.
pub(super) async fn create(call: &Call<'_>, wish: Wish) -> Result<Response<Body>, Refusal> {
    let Some((field, value)) = whose(&wish.of) else {
        return Err(unfit("of", "expected whose it is, such as customer/ann"));
    };
    let shard = call.shard()?;
    let policy = call.core.policy();
    if policy.retention().hold.iter().any(|(held, id)| **held == *field && **id == *value) {
        return Err(unfit("of", "it is on legal hold: `retention.hold` of the configuration names it"));
    }
    let mut seed = [0; 8];
    call.dice.fill(&mut seed);
    let id = format!("era_{:016x}", u64::from_be_bytes(seed));
    let of = format!("erasure/{}", wish.of);
    let change = Change { of: &of, version: 0, before: None, after: None };
    audit::keep(call.core, &shard, audit::change(call, change), call.now).await?;
    let erasure = tidy::erase(&call.core.ports, &shard, Erasure::new(id, field, value, call.now)).await?;
    Ok(reply(StatusCode::ACCEPTED, &view(&erasure)))
}

/// `GET /admin/v1/erasures`: what was asked for, the oldest first, and whether it is done.
pub(super) async fn list(call: &Call<'_>) -> Result<Response<Body>, Refusal> {
    let all = tidy::erasures(&call.core.ports, &call.shard()?).await?;
    let all: Vec<Value> = all.iter().map(view).collect();
    Ok(reply(StatusCode::OK, &json!({ "erasures": all })))
}

fn view(erasure: &Erasure) -> Value {
    json!({ "id": erasure.id, "of": format!("{}/{}", erasure.field, erasure.value), "until": erasure.until.to_string(),
        "done": erasure.done })
}
