//! What would become of a request, and why.

use std::collections::BTreeMap;
use std::net::IpAddr;

use http::header::{HeaderName, HeaderValue};
use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::call::Call;
use super::documents::{self, unfit};
use super::guards::{asking, head};
use super::{keys, read, reply};
use crate::domain::RequestId;
use crate::pipeline::{self, Explanation, Question};
use crate::port::Body;
use crate::refusal::Refusal;

/// A request to be explained.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "ExplainWish"))]
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Wish {
    /// The id of the key that would send it. None: the key that asks.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^[a-z0-9]{1,64}$")))]
    key: Option<String>,
    /// The model, where the body does not name it.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 256)))]
    model: Option<String>,
    /// Where it would be sent. None: `/v1/chat/completions`.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^/[!-~]{0,1000}$")))]
    path: Option<String>,
    /// Its body. None: a conversation of one empty message.
    request: Option<Map<String, Value>>,
    /// Its headers that begin with `x-gatelet-`.
    #[cfg_attr(
        feature = "schema",
        schemars(extend("propertyNames" = json!({ "pattern": "^x-gatelet-[a-z-]{1,40}$" })))
    )]
    headers: BTreeMap<String, String>,
    /// The address that it would come from. None: the first that the key may be used from.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    #[cfg_attr(
        feature = "schema",
        schemars(extend("anyOf" = json!([{ "format": "ipv4" }, { "format": "ipv6" }, { "type": "null" }])))
    )]
    source: Option<IpAddr>,
}

/// The answer.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Explanation"))]
#[derive(Serialize)]
pub(super) struct View<'a> {
    key: keys::View<'a>,
    #[serde(flatten)]
    explanation: Explanation,
}

/// `POST /admin/v1/explain`: decides as admission does, and changes nothing.
pub(super) async fn explain(call: &Call<'_>, body: Body) -> Result<Response<Body>, Refusal> {
    let Wish { key, model, path, request, headers, source } = read(call.parts, body).await?;
    let own = call.permit.principal().key_id();
    let id = key.as_deref().or(own).ok_or_else(|| unfit("key", "which key? Give its id"))?;
    let shard = call.shard()?;
    let account = documents::find(call, &keys::place(shard.clone(), id)).await?;
    let mut body = request.unwrap_or_else(|| {
        let message = json!({ "role": "user", "content": "" });
        Map::from_iter([("messages".to_owned(), json!([message]))])
    });
    body.extend(model.map(|model| ("model".to_owned(), Value::String(model))));
    let path = path.as_deref().unwrap_or("/v1/chat/completions");
    let mut parts = head(path)?;
    for (name, value) in headers {
        let known = name.to_ascii_lowercase().starts_with("x-gatelet-");
        let header = HeaderName::try_from(&name).ok().filter(|_| known);
        let pair = header.zip(HeaderValue::try_from(value).ok());
        let (name, value) =
            pair.ok_or_else(|| unfit("headers", "expected headers that begin with `x-gatelet-`"))?;
        parts.headers.insert(name, value);
    }
    let asking = asking(&parts)?;
    let mut chance = [0; 16];
    call.core.ports.chance.fill(&mut chance);
    let question = Question {
        caller: pipeline::read(call.core, &shard, id).await?,
        asking,
        parts,
        body: Value::Object(body).to_string().into(),
        source,
    };
    let id = RequestId::mint(call.now, chance);
    let explanation = Box::pin(pipeline::explain(call.core, id, call.now, question)).await;
    let key = keys::view(&account, call.now).ok_or(Refusal::NotFound { what: "key" })?;
    Ok(reply(StatusCode::OK, &View { key, explanation }))
}
