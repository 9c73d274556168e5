//! The archive of records, for those who cannot look into its bucket or folder.

use http::{HeaderValue, Response, StatusCode};
use serde_json::json;

use super::call::Call;
use super::reply;
use crate::domain::{Resource, Verb};
use crate::port::Body;
use crate::refusal::Refusal;

/// The name of an object.
#[cfg(feature = "schema")]
pub(super) type Name = String;

/// `GET /admin/v1/archive?prefix=&after=&limit=`: names of objects, in order.
pub(super) async fn list(call: &Call<'_>) -> Result<Response<Body>, Refusal> {
    let prefix = call.query("prefix").unwrap_or_else(|| "v1/".to_owned());
    let after = call.query("after");
    let limit = call.page_size()?;
    readable(call, &prefix)?;
    // Names tell nothing of what stands in them.
    let names = call.core.ports.archive.list(&prefix, after.as_deref(), limit).await?;
    let next = if names.len() == limit { names.last() } else { None };
    Ok(reply(StatusCode::OK, &json!({ "next": next, "names": names })))
}

/// `GET /admin/v1/archive/{name}`: one object, as it lies there (gzip).
pub(super) async fn show(call: &Call<'_>, name: &str) -> Result<Response<Body>, Refusal> {
    readable(call, name)?;
    let bytes = call
        .core
        .ports
        .archive
        .read(name)
        .await?
        .ok_or(Refusal::NotFound { what: "object in the archive" })?;
    let mut response = Response::new(Body::Full(bytes));
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/gzip"));
    Ok(response)
}

/// What requests said is for those who may read that.
fn readable(call: &Call<'_>, name: &str) -> Result<(), Refusal> {
    let content = name.starts_with("content/");
    let reads = || call.permit.principal().clone().permit(Resource::Content, Verb::Read).is_some();
    if content && !reads() {
        let role = call.permit.principal().role().name();
        return Err(Refusal::Forbidden { role, verb: Verb::Read.name(), resource: Resource::Content.name() });
    }
    Ok(())
}
