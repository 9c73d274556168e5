//! Commands that talk to a running gateway.

mod show;

pub(crate) use show::table;

use std::io::Write as _;

use anyhow::{Context as _, Result, bail};
use futures_util::TryStreamExt as _;
use gatelet_core::port::{Body, Reach, Upstream as _};
use gatelet_tokio::{HttpUpstream, Settings};
use http::Method;
use serde_json::{Map, Value, json};

use crate::cli::{Keys, Remote, Wish};

/// What was asked makes no sense, so nothing was sent.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WrongUsage(String);

pub fn keys(remote: &Remote, command: Keys) -> Result<()> {
    let admin_key = remote.admin_key.as_deref().ok_or_else(|| {
        WrongUsage("which admin key? Give it as GATELET_ADMIN_KEY or --admin-key".to_owned())
    })?;
    let call = |method, path: &str, body| call(remote, admin_key, method, path, body);
    match command {
        Keys::Create(wish) => {
            let key = call(Method::POST, "/admin/v1/keys", Some(creation(wish)?))?;
            print(remote, &key, show::created)?;
            if remote.json {
                return Ok(());
            }
            let id = key["id"].as_str().unwrap_or_default();
            print(remote, &call(Method::GET, &path(id, "")?, None)?, show::key)
        }
        Keys::List => print(remote, &all_keys(&call)?, show::keys),
        Keys::Show { id } => print(remote, &call(Method::GET, &path(&id, "")?, None)?, show::key),
        Keys::Update { id, wish } => {
            let patch = patch(wish)?;
            print(remote, &call(Method::PATCH, &path(&id, "")?, Some(patch))?, show::key)
        }
        Keys::Block { id } => print(remote, &call(Method::POST, &path(&id, "/block")?, None)?, show::key),
        Keys::Unblock { id } => print(remote, &call(Method::POST, &path(&id, "/unblock")?, None)?, show::key),
        Keys::Revoke { id } => print(remote, &call(Method::DELETE, &path(&id, "")?, None)?, show::key),
    }
}

/// The models that a virtual key may call, whose names have every word.
pub fn models(remote: &Remote, key: &str, words: &[String]) -> Result<()> {
    let mut models = call(remote, key, Method::GET, "/v1/models", None)?;
    if let Some(list) = models["data"].as_array_mut() {
        list.retain(|model| {
            let id = model["id"].as_str().unwrap_or_default().to_lowercase();
            words.iter().all(|word| id.contains(&word.to_lowercase()))
        });
    }
    print(remote, &models, show::models)
}

/// All pages of the list as one.
fn all_keys(call: &impl Fn(Method, &str, Option<Value>) -> Result<Value>) -> Result<Value> {
    let mut keys = Vec::new();
    let mut after = String::new();
    loop {
        let mut page = call(Method::GET, &format!("/admin/v1/keys?limit=1000{after}"), None)?;
        if let Value::Array(more) = page["keys"].take() {
            keys.extend(more);
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return Ok(json!({ "keys": keys })),
        }
    }
}

fn path(id: &str, action: &str) -> Result<String> {
    let plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !plain {
        bail!(WrongUsage(format!("{id:?} is not the id of a key: `gatelet keys list` shows them")));
    }
    Ok(format!("/admin/v1/keys/{id}{action}"))
}

fn creation(wish: Wish) -> Result<Value> {
    let mut body = patch(wish)?;
    // Nothing to take away yet.
    if let Value::Object(fields) = &mut body {
        fields.retain(|_, value| !value.is_null());
        if let Some(Value::Object(limits)) = fields.get_mut("limits") {
            limits.retain(|_, value| !value.is_null());
        }
    }
    Ok(body)
}

/// What was said, as a merge patch: an empty value becomes `null`, which takes the setting away.
fn patch(wish: Wish) -> Result<Value> {
    let Wish { alias, models, rpm, tpm, parallel, budget, soft_budget, expires, tags, metadata } = wish;
    let text = |text: String| if text.is_empty() { Value::Null } else { Value::String(text) };
    let list = |list: Vec<String>| list.into_iter().filter(|item| !item.is_empty()).collect::<Value>();
    let mut limits = Map::new();
    for (name, count) in [("rpm", rpm), ("tpm", tpm), ("parallel", parallel)] {
        let Some(count) = count else { continue };
        let count = match count.as_str() {
            "" => Value::Null,
            count => {
                let number = count.parse::<u64>();
                number
                    .map_err(|_| WrongUsage(format!("--{name} takes a whole number, not {count:?}")))?
                    .into()
            }
        };
        limits.insert(name.to_owned(), count);
    }
    for (name, budgets) in [("budget", budget), ("soft_budget", soft_budget)] {
        if !budgets.is_empty() {
            limits.insert(name.to_owned(), list(budgets));
        }
    }
    let mut fields = Map::new();
    for (name, value) in [("alias", alias.map(text)), ("expires", expires.map(text))] {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value);
        }
    }
    if !models.is_empty() {
        let all = models.iter().all(String::is_empty);
        fields.insert("models".to_owned(), if all { Value::Null } else { list(models) });
    }
    if !tags.is_empty() {
        fields.insert("tags".to_owned(), list(tags));
    }
    if !limits.is_empty() {
        fields.insert("limits".to_owned(), Value::Object(limits));
    }
    if let Some(metadata) = metadata {
        let object = serde_json::from_str::<Map<String, Value>>(&metadata);
        let object =
            object.map_err(|error| WrongUsage(format!("--metadata takes a JSON object: {error}")))?;
        fields.insert("metadata".to_owned(), Value::Object(object));
    }
    Ok(Value::Object(fields))
}

/// Calls the gateway; an answer that is not a success is an error with the gateway's own words.
fn call(remote: &Remote, key: &str, method: Method, path: &str, body: Option<Value>) -> Result<Value> {
    let url = format!("{}{path}", remote.url.trim_end_matches('/'));
    let request = http::Request::builder()
        .method(method)
        .uri(&url)
        .header("authorization", format!("Bearer {key}"))
        .header("content-type", "application/json")
        .body(body.map_or(Body::Empty, |body| Body::Full(body.to_string().into())))
        .map_err(|error| WrongUsage(format!("{url:?} is not an address: {error}")))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (status, bytes) = runtime.block_on(async {
        let upstream = HttpUpstream::new(&Settings::default())?;
        let response = upstream
            .send(request, Reach::Private)
            .await
            .with_context(|| format!("no answer from {}", remote.url))?;
        let status = response.status();
        let bytes = match response.into_body() {
            Body::Empty => Vec::new(),
            Body::Full(bytes) => bytes.to_vec(),
            Body::Pieces(pieces) => pieces.concat(),
            Body::Stream(stream) => {
                stream
                    .try_fold(Vec::new(), async |mut all, bytes| {
                        all.extend_from_slice(&bytes);
                        Ok(all)
                    })
                    .await?
            }
        };
        anyhow::Ok((status, bytes))
    })?;
    let answer: Value = serde_json::from_slice(&bytes)
        .with_context(|| format!("{} answered with {status} and no JSON: is it a gateway?", remote.url))?;
    if status.is_success() {
        return Ok(answer);
    }
    let message = answer["error"]["message"].as_str().unwrap_or("the gateway refused");
    let code = answer["error"]["code"].as_str().unwrap_or_default();
    bail!("{message} ({} {code})", status.as_u16())
}

fn print(remote: &Remote, answer: &Value, table: fn(&Value) -> String) -> Result<()> {
    let text = if remote.json { serde_json::to_string_pretty(answer)? } else { table(answer) };
    writeln!(std::io::stdout(), "{}", text.trim_end())?;
    Ok(())
}
