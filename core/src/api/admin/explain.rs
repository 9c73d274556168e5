//! What would become of a request, and why.

use std::net::IpAddr;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::call::Call;
use super::documents::{self, unfit};
use super::guards::{asking, head};
use super::{keys, read, reply};
use crate::api::Route;
use crate::domain::RequestId;
use crate::pipeline::{self, Asking, Explanation, Question};
use crate::port::Body;
use crate::refusal::Refusal;
use gatelet_wire::dialect::Addressed;
use gatelet_wire::{Operation, SmallMap};

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
    /// How it would be sent: of a provider's own interface (`/<provider>/…`), where other methods than POST have a meaning.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^[A-Z]{3,7}$")))]
    method: Option<String>,
    /// Its body. None: a conversation of one empty message.
    request: Option<Map<String, Value>>,
    /// Its body as a form, of operations that take files: its fields, in place of `request`.
    #[cfg_attr(feature = "schema", schemars(extend("maxProperties" = 64)))]
    form: Option<SmallMap<String, String>>,
    /// How many bytes the form's file has.
    file: Option<u64>,
    /// Its headers that begin with `x-gatelet-`.
    #[cfg_attr(
        feature = "schema",
        schemars(extend("propertyNames" = json!({ "pattern": "^x-gatelet-[a-z-]{1,40}$" })))
    )]
    headers: SmallMap<String, String>,
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
    let Wish { key, model, path, method, request, form, file, headers, source } =
        read(call.parts, body).await?;
    let own = call.permit.principal().key_id();
    let id = key.as_deref().or(own).ok_or_else(|| unfit("key", "which key? Give its id"))?;
    let shard = call.shard()?;
    let account = documents::find(call, &keys::place(shard.clone(), id)).await?;
    let path = path.as_deref().unwrap_or("/v1/chat/completions");
    let mut parts = head(path)?;
    if let Some(method) = method {
        let wrong = |_| unfit("method", "expected a method such as GET");
        parts.method = Method::from_bytes(method.as_bytes()).map_err(wrong)?;
    }
    if let Some(model) = model.as_deref()
        && !(1..=256).contains(&model.chars().count())
    {
        return Err(unfit("model", "expected a name of 1 to 256 characters"));
    }
    for (name, value) in headers {
        let known = name.to_ascii_lowercase().starts_with("x-gatelet-");
        let header = HeaderName::try_from(&name).ok().filter(|_| known);
        let pair = header.zip(HeaderValue::try_from(value).ok());
        let (name, value) =
            pair.ok_or_else(|| unfit("headers", "expected headers that begin with `x-gatelet-`"))?;
        parts.headers.insert(name, value);
    }
    let uri = parts.uri.clone();
    let posts = parts.method == Method::POST;
    let route = Route::of(uri.path(), uri.query(), &parts.headers);
    let (asking, native) = match route.or_native(uri.path(), &parts.headers, call.core) {
        Route::Native(provider, rest, known) => {
            let asking = known.filter(|_| posts).unwrap_or(Asking {
                operation: Operation::Native,
                dialect: provider.dialect,
                addressed: Addressed::default(),
            });
            (asking, Some((provider, rest.to_owned())))
        }
        _ if posts => (asking(&parts)?, None),
        _ => return Err(unfit("method", "this is asked for by POST")),
    };
    let body = match form {
        None if file.is_some() => return Err(unfit("file", "only a `form` has one")),
        None => {
            let mut body = request.unwrap_or_else(|| {
                let message = json!({ "role": "user", "content": "" });
                Map::from_iter([("messages".to_owned(), json!([message]))])
            });
            body.extend(model.map(|model| ("model".to_owned(), Value::String(model))));
            Value::Object(body).to_string()
        }
        Some(_) if request.is_some() => return Err(unfit("form", "it is in place of `request`")),
        Some(_) if !asking.operation.takes_forms() => {
            return Err(unfit("form", "this operation takes no forms"));
        }
        Some(mut form) => {
            form.extend(model.map(|model| ("model".to_owned(), model)));
            form_of(&form, file, &mut parts.headers)?
        }
    };
    let mut chance = [0; 16];
    call.core.ports.chance.fill(&mut chance);
    let question = Question {
        caller: pipeline::read(call.core, &shard, id).await?,
        asking,
        native,
        parts,
        body: body.into(),
        more: file.is_some(),
        source,
    };
    let id = RequestId::mint(call.now, chance);
    let explanation = Box::pin(pipeline::explain(call.core, id, call.now, question)).await;
    let key = keys::view(&account, call.now).ok_or(Refusal::NotFound { what: "key" })?;
    Ok(reply(StatusCode::OK, &View { key, explanation }))
}

/// A form's fields, and the beginning of its file; the headers announce all of it.
fn form_of(
    fields: &SmallMap<String, String>,
    file: Option<u64>,
    headers: &mut HeaderMap,
) -> Result<String, Refusal> {
    const BOUNDARY: &str = "gatelet-explains";
    let mut text = String::new();
    for (name, value) in fields {
        let plain = |text: &str| !text.contains(['\r', '\n', '"']);
        if !plain(name) || value.contains(BOUNDARY) {
            return Err(unfit("form", "expected fields that fit into a form"));
        }
        text.push_str(
            &["--", BOUNDARY, "\r\ncontent-disposition: form-data; name=\"", name, "\"\r\n\r\n"].concat(),
        );
        text.push_str(&[value, "\r\n"].concat());
    }
    let end = ["--", BOUNDARY, "--\r\n"].concat();
    let mut length = text.len() + end.len();
    match file {
        None => text.push_str(&end),
        Some(bytes) => {
            text.push_str(&["--", BOUNDARY, "\r\ncontent-disposition: form-data; name=\"file\"; "].concat());
            text.push_str("filename=\"file\"\r\n\r\n");
            length = usize::try_from(bytes).unwrap_or(usize::MAX).saturating_add(text.len() + end.len() + 2);
        }
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("multipart/form-data; boundary=gatelet-explains"));
    headers.insert(CONTENT_LENGTH, length.into());
    Ok(text)
}
