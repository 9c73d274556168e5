//! Commands that talk to a running gateway.

mod audit;
mod books;
mod credentials;
mod litellm;
mod reconcile;
mod show;

pub use audit::audit;
pub use books::spend;
pub use credentials::credentials;
pub use litellm::litellm_rows;
pub use reconcile::reconcile;
pub(crate) use show::table;

use std::io::Write as _;

use anyhow::{Context as _, Result, bail};
use futures_util::TryStreamExt as _;
use gatelet_core::domain::ScopeKind;
use gatelet_core::port::{Body, Reach, Upstream as _};
use gatelet_tokio::{HttpUpstream, Settings};
use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use crate::cli::{Keys, LimitWish, Remote, ScopeWish, Scopes, Wish};

/// What was asked makes no sense, so nothing was sent.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WrongUsage(String);

pub fn keys(remote: &Remote, command: Keys) -> Result<()> {
    let admin = Admin::of(remote)?;
    let shown = |key: &Value| print(remote, key, show::key);
    match command {
        Keys::Create(wish) => {
            let key = admin.call(Method::POST, "/admin/v1/keys", Some(creation(patch(wish)?)))?;
            print(remote, &key, show::created)?;
            if remote.json {
                return Ok(());
            }
            let id = key["id"].as_str().unwrap_or_default();
            shown(&admin.call(Method::GET, &path(id, "")?, None)?)
        }
        Keys::List => print(remote, &admin.all("keys")?, show::keys),
        Keys::Show { id } => shown(&admin.call(Method::GET, &path(&id, "")?, None)?),
        Keys::Update { id, wish } => {
            shown(&admin.call(Method::PATCH, &path(&id, "")?, Some(patch(wish)?))?)
        }
        Keys::Block { id } => shown(&admin.call(Method::POST, &path(&id, "/block")?, None)?),
        Keys::Unblock { id } => shown(&admin.call(Method::POST, &path(&id, "/unblock")?, None)?),
        Keys::Revoke { id } => shown(&admin.call(Method::DELETE, &path(&id, "")?, None)?),
    }
}

pub fn scopes(remote: &Remote, kind: ScopeKind, command: Scopes) -> Result<()> {
    let admin = Admin::of(remote)?;
    let all = format!("/admin/v1/{}", kind.plural());
    let one = |id: &str| {
        if kind.allows(id) {
            Ok(format!("{all}/{}", utf8_percent_encode(id, NON_ALPHANUMERIC)))
        } else {
            Err(WrongUsage(format!("{id:?} is not the id of a {kind}: {}", kind.expected())))
        }
    };
    let shown = |scope: Value| print(remote, &scope, show::scope);
    let set = |id: &str, patch: Value| shown(admin.call(Method::PATCH, &one(id)?, Some(patch))?);
    match command {
        Scopes::Create { id, org, template, wish } => {
            let mut body = creation(scope_patch(wish)?);
            if let Some(template) = template {
                body["template"] = Value::String(template);
            }
            if let Some(org) = org {
                body["org"] = Value::String(org);
            }
            body["id"] = Value::String(id);
            shown(admin.call(Method::POST, &all, Some(body))?)
        }
        Scopes::List => print(remote, &admin.all(kind.plural())?, show::scopes),
        Scopes::Show { id } => shown(admin.call(Method::GET, &one(&id)?, None)?),
        Scopes::Update { id, wish } => set(&id, scope_patch(wish)?),
        Scopes::Block { id } => set(&id, json!({ "blocked": true })),
        Scopes::Unblock { id } => set(&id, json!({ "blocked": false })),
        Scopes::Delete { id } => shown(admin.call(Method::DELETE, &one(&id)?, None)?),
    }
}

/// Limits that are numbers.
pub(crate) const COUNTS: [&str; 9] =
    ["rpm", "tpm", "rpd", "tpd", "input_tpm", "output_tpm", "input_tpd", "output_tpd", "parallel"];

/// The admin API of a running gateway.
struct Admin<'a> {
    remote: &'a Remote,
    key: &'a str,
}

impl<'a> Admin<'a> {
    fn of(remote: &'a Remote) -> Result<Self, WrongUsage> {
        let key = remote.admin_key.as_deref().ok_or_else(|| {
            WrongUsage("which admin key? Give it as GATELET_ADMIN_KEY or --admin-key".to_owned())
        })?;
        Ok(Self { remote, key })
    }

    fn call(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value> {
        call(self.remote, self.key, method, path, body)
    }

    /// All pages of a list as one.
    fn all(&self, plural: &str) -> Result<Value> {
        self.all_of(plural, "")
    }

    /// The same, of what `query` asks for.
    fn all_of(&self, plural: &str, query: &str) -> Result<Value> {
        let mut items = Vec::new();
        let mut after = String::new();
        loop {
            let mut page =
                self.call(Method::GET, &format!("/admin/v1/{plural}?limit=1000{query}{after}"), None)?;
            if let Value::Array(more) = page[plural].take() {
                items.extend(more);
            }
            match page["next"].as_str() {
                Some(next) => after = format!("&after={}", utf8_percent_encode(next, NON_ALPHANUMERIC)),
                None => return Ok(json!({ plural: items })),
            }
        }
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

fn path(id: &str, action: &str) -> Result<String> {
    let plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !plain {
        bail!(WrongUsage(format!("{id:?} is not the id of a key: `gatelet keys list` shows them")));
    }
    Ok(format!("/admin/v1/keys/{id}{action}"))
}

/// A patch of what is not there yet: nothing is to be taken away.
fn creation(mut patch: Value) -> Value {
    if let Value::Object(fields) = &mut patch {
        fields.retain(|_, value| !value.is_null());
        if let Some(Value::Object(limits)) = fields.get_mut("limits") {
            limits.retain(|_, value| !value.is_null());
        }
    }
    patch
}

/// What was said of a key, as a merge patch: an empty value becomes `null`, which takes the setting away.
fn patch(wish: Wish) -> Result<Value> {
    let Wish { alias, org, team, project, user, models, limits, expires, tags, metadata } = wish;
    let mut fields = Map::new();
    for (name, value) in [
        ("alias", alias),
        ("org", org),
        ("team", team),
        ("project", project),
        ("user", user),
        ("expires", expires),
    ] {
        fields.extend(value.map(|value| (name.to_owned(), text(value))));
    }
    if !models.is_empty() {
        let all = models.iter().all(String::is_empty);
        fields.insert("models".to_owned(), if all { Value::Null } else { list(models) });
    }
    if !tags.is_empty() {
        fields.insert("tags".to_owned(), list(tags));
    }
    limit(&mut fields, limits)?;
    attach(&mut fields, metadata)?;
    Ok(Value::Object(fields))
}

/// As [`patch`], of a team, a project or a user.
fn scope_patch(wish: ScopeWish) -> Result<Value> {
    let ScopeWish { name, models, limits, metadata } = wish;
    let mut fields = Map::new();
    fields.extend(name.map(|name| ("name".to_owned(), text(name))));
    if !models.is_empty() {
        let all = models.iter().all(String::is_empty);
        fields.insert("models".to_owned(), if all { Value::Null } else { list(models) });
    }
    limit(&mut fields, limits)?;
    attach(&mut fields, metadata)?;
    Ok(Value::Object(fields))
}

fn text(text: String) -> Value {
    if text.is_empty() { Value::Null } else { Value::String(text) }
}

fn list(list: Vec<String>) -> Value {
    list.into_iter().filter(|item| !item.is_empty()).collect()
}

fn limit(fields: &mut Map<String, Value>, wish: LimitWish) -> Result<(), WrongUsage> {
    let LimitWish {
        rpm,
        tpm,
        rpd,
        tpd,
        input_tpm,
        output_tpm,
        input_tpd,
        output_tpd,
        parallel,
        budget,
        soft_budget,
        at_limit,
        shadow,
    } = wish;
    let mut limits = Map::new();
    let counts = [rpm, tpm, rpd, tpd, input_tpm, output_tpm, input_tpd, output_tpd, parallel];
    for (name, count) in COUNTS.into_iter().zip(counts) {
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
    if let Some(at_limit) = at_limit {
        limits.insert("at_limit".to_owned(), at_limit_of(&at_limit)?);
    }
    if let Some(shadow) = shadow {
        limits.insert("shadow".to_owned(), Value::Bool(shadow));
    }
    if !limits.is_empty() {
        fields.insert("limits".to_owned(), Value::Object(limits));
    }
    Ok(())
}

/// `refuse`, `wait 10`, `throttle 10`, or `cheaper openai/gpt-4o-mini,demo/echo`.
fn at_limit_of(text: &str) -> Result<Value, WrongUsage> {
    let wrong = || {
        WrongUsage(format!(
            "--at-limit takes refuse, \"wait 10\", \"throttle 10\" or \"cheaper MODEL,MODEL\", not {text:?}"
        ))
    };
    match text.split_once(' ') {
        None if text.is_empty() => Ok(Value::Null),
        None if text == "refuse" => Ok(json!("refuse")),
        Some((word @ ("wait" | "throttle"), seconds)) => {
            let seconds: u8 = seconds.trim().trim_end_matches('s').parse().map_err(|_| wrong())?;
            Ok(json!({ word: seconds }))
        }
        Some(("cheaper", models)) => {
            Ok(json!({ "cheaper": list(models.split(',').map(|model| model.trim().to_owned()).collect()) }))
        }
        _ => Err(wrong()),
    }
}

fn attach(fields: &mut Map<String, Value>, metadata: Option<String>) -> Result<(), WrongUsage> {
    let Some(metadata) = metadata else { return Ok(()) };
    let object = serde_json::from_str::<Map<String, Value>>(&metadata)
        .map_err(|error| WrongUsage(format!("--metadata takes a JSON object: {error}")))?;
    fields.insert("metadata".to_owned(), Value::Object(object));
    Ok(())
}

/// Calls the gateway; an answer that is not a success is an error with the gateway's own words.
fn call(remote: &Remote, key: &str, method: Method, path: &str, body: Option<Value>) -> Result<Value> {
    let bytes = fetch(remote, key, method, path, body)?;
    serde_json::from_slice(&bytes)
        .with_context(|| format!("{} answered without JSON: is it a gateway?", remote.url))
}

/// As [`call`], for answers of any kind.
fn fetch(remote: &Remote, key: &str, method: Method, path: &str, body: Option<Value>) -> Result<Vec<u8>> {
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
    if status.is_success() {
        return Ok(bytes);
    }
    let answer: Value = serde_json::from_slice(&bytes)
        .with_context(|| format!("{} answered with {status} and no JSON: is it a gateway?", remote.url))?;
    // Problem details under `/admin/v1`, the words of OpenAI elsewhere.
    let said = |ours: &Value, theirs: &Value| ours.as_str().or(theirs.as_str()).map(str::to_owned);
    let message = said(&answer["detail"], &answer["error"]["message"]);
    let message = message.unwrap_or_else(|| "the gateway refused".to_owned());
    let code = said(&answer["code"], &answer["error"]["code"]).unwrap_or_default();
    bail!("{message} ({} {code})", status.as_u16())
}

fn print(remote: &Remote, answer: &Value, table: fn(&Value) -> String) -> Result<()> {
    let text = if remote.json { serde_json::to_string_pretty(answer)? } else { table(answer) };
    writeln!(std::io::stdout(), "{}", text.trim_end())?;
    Ok(())
}
