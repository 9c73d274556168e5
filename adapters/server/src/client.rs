//! Commands that talk to a running gateway.

mod archive;
mod audit;
mod books;
mod cache;
mod content;
mod credentials;
mod explain;
mod guards;
mod litellm;
mod logs;
mod nouns;
mod prompts;
mod reconcile;
mod show;
mod targets;
mod wish;

pub use archive::{each_line, shard_of};
pub use audit::audit;
pub use books::spend;
pub use cache::cache;
pub use content::content;
pub use credentials::credentials;
pub use explain::explain;
pub use guards::guards;
pub use litellm::litellm_rows;
pub use logs::{logs, score};
pub use nouns::{keys, scopes};
pub use prompts::prompts;
pub use reconcile::reconcile;
pub(crate) use show::table;
pub use targets::targets;

use std::io::Write as _;

use anyhow::{Context as _, Result};
use futures_util::TryStreamExt as _;
use gatelet_core::port::{Body, Reach, Upstream as _};
use gatelet_tokio::{HttpUpstream, Settings};
use http::{Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::cli::Remote;

/// What was asked makes no sense, so nothing was sent.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WrongUsage(String);

/// The gateway said no.
#[derive(Debug, thiserror::Error)]
#[error("{message} ({} {code})", status.as_u16())]
struct Refused {
    status: StatusCode,
    message: String,
    code: String,
}

/// The status of an answer that was a refusal.
fn status(error: &anyhow::Error) -> Option<StatusCode> {
    error.downcast_ref().map(|Refused { status, .. }| *status)
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
        self.call_if(method, path, body, None)
    }

    /// The same, where what it is about has this version.
    fn call_if(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        version: Option<u64>,
    ) -> Result<Value> {
        let mut path = path.to_owned();
        if let Some(shard) = self.remote.shard.as_deref().filter(|_| !path.contains("shard=")) {
            path.push(if path.contains('?') { '&' } else { '?' });
            path.extend(["shard=", &*utf8_percent_encode(shard, NON_ALPHANUMERIC).to_string()]);
        }
        let bytes = fetch_if(self.remote, self.key, method, &path, body, version)?;
        read(self.remote, &bytes)
    }

    /// All pages of a list as one, of what `query` asks for.
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

/// Calls the gateway; an answer that is not a success is an error with the gateway's own words.
fn call(remote: &Remote, key: &str, method: Method, path: &str, body: Option<Value>) -> Result<Value> {
    read(remote, &fetch(remote, key, method, path, body)?)
}

fn read(remote: &Remote, bytes: &[u8]) -> Result<Value> {
    serde_json::from_slice(bytes)
        .with_context(|| format!("{} answered without JSON: is it a gateway?", remote.url))
}

/// As [`call`], for answers of any kind.
fn fetch(remote: &Remote, key: &str, method: Method, path: &str, body: Option<Value>) -> Result<Vec<u8>> {
    fetch_if(remote, key, method, path, body, None)
}

fn fetch_if(
    remote: &Remote,
    key: &str,
    method: Method,
    path: &str,
    body: Option<Value>,
    version: Option<u64>,
) -> Result<Vec<u8>> {
    let url = format!("{}{path}", remote.url.trim_end_matches('/'));
    let mut request = http::Request::builder();
    if let Some(version) = version {
        request = request.header("if-match", format!("\"{version}\""));
    }
    let request = request
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
    Err(nouns::refused(status, &answer).into())
}

fn print(remote: &Remote, answer: &Value, table: fn(&Value) -> String) -> Result<()> {
    let text = if remote.json { serde_json::to_string_pretty(answer)? } else { table(answer) };
    writeln!(std::io::stdout(), "{}", text.trim_end())?;
    Ok(())
}
