//! Answers that are kept to be given again: taking them out.

use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::audit::{self, Change};
use super::call::Call;
use super::documents::unfit;
use super::reply;
use crate::cache::Purge;
use crate::port::Body;
use crate::refusal::Refusal;

/// What is taken out: exactly one of these.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    /// Answers to requests of this key, by its id.
    key: Option<String>,
    /// Answers to requests with this tag.
    tag: Option<String>,
    /// Answers of this model.
    model: Option<String>,
    /// Everything.
    #[serde(default)]
    all: bool,
}

/// `POST /admin/v1/cache/purge`: what was asked before is not given again; in this process at once, in others within ten
/// seconds.
pub(super) async fn purge(call: &Call<'_>, wish: Wish) -> Result<Response<Body>, Refusal> {
    let Wish { key, tag, model, all } = wish;
    let (purge, of) = match (key, tag, model, all) {
        (Some(key), None, None, false) => (Purge::Key(key.clone()), format!("cache/key/{key}")),
        (None, Some(tag), None, false) => (Purge::Tag(tag.clone()), format!("cache/tag/{tag}")),
        (None, None, Some(model), false) => (Purge::Model(model.clone()), format!("cache/model/{model}")),
        (None, None, None, true) => (Purge::All, "cache".to_owned()),
        _ => return Err(unfit("key", "expected one of `key`, `tag`, `model` and `all: true`")),
    };
    let change = Change { of: &of, version: 0, before: None, after: None };
    audit::keep(call.core, &call.shard()?, audit::change(call, change), call.now).await?;
    call.core.cache.purge(&call.core.ports, &purge).await?;
    Ok(reply(StatusCode::OK, &json!({ "purged": of })))
}
