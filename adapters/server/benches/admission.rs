//! What admission takes of a request: from its arrival, with its body there, until the ledger holds for it.
//!
//! `cargo xtask bench admission` runs this and makes a table of what it prints: lines of `name=value`. The gateway and the
//! embedded store are those of the server; the upstream answers at once, and one request follows the other. Times are
//! medians in microseconds, so that what else the machine does does not count.
#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use async_trait::async_trait;
use gatelet_core::domain::account::{Account, Op};
use gatelet_core::domain::{AccountId, Secret, ShardId, Timestamp};
use gatelet_core::policy::{Host, Policy};
use gatelet_core::port::memory::{OverLedger, OverStore, ports};
use gatelet_core::port::{Body, Fault, Ledger, Outcome, Ports, Reach, Store, Transaction, Upstream};
use gatelet_core::registry::Registry;
use gatelet_core::{Gateway, Settings};
use gatelet_server::store::Embedded;
use gatelet_tokio::{SystemChance, SystemClock};
use http::{Request, Response};
use serde_json::{Value, json};

const ADMIN: &str = "bench-admin-key-of-some-length";
const CONFIG: &str = r#"
providers:
  bench: { dialect: openai, base: "http://127.0.0.1:1/v1", key: upstream-key-of-the-bench }
models:
  "bench/*": { targets: [ { model: bench/*, price: { input: "0.15", output: "0.60" } } ] }
"#;
/// What an upstream says.
const ANSWER: &str = r#"{"id":"chatcmpl-bench","object":"chat.completion","created":1700000000,"model":"chat","choices":[{"index":0,"message":{"role":"assistant","content":"Hello."},"finish_reason":"stop"}],"usage":{"prompt_tokens":19,"completion_tokens":31,"total_tokens":50}}"#;
const QUESTION: &str = r#"{"model":"bench/chat","temperature":0.7,"messages":[{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":"Say hello to the quick brown fox that jumps over the lazy dog."}]}"#;

const MANY: usize = 100_000;
/// Keys that are in use at the same time.
const BUSY: usize = 1_000;
const REQUESTS: usize = 20_000;

fn main() -> Result<()> {
    // Whoever tests everything asks for this too, and wants no figures.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run())
}

async fn run() -> Result<()> {
    let alone = Stand::new()?;
    let key = alone.key(&json!({ "alias": "alone" })).await?;
    let (plain, _) = alone.measure(&[key]).await?;
    println!("plain={plain:.2}");

    let stand = Stand::new()?;
    let wish = stand.scopes().await?;
    let mut keys = vec![stand.key(&wish).await?];
    let (one, ledger) = stand.measure(&keys).await?;
    println!("one={one:.2}\nledger={ledger:.2}");
    let calls = &stand.calls;
    for (name, count) in [
        ("transactions", &calls.transactions),
        ("accounts", &calls.accounts),
        ("documents", &calls.documents),
    ] {
        println!("{name}={:.4}", per_request(count));
    }
    while keys.len() < MANY {
        keys.push(stand.key(&wish).await?);
        // As the server does every second.
        if keys.len() % 2_000 == 0 {
            stand.rest().await?;
        }
    }
    stand.rest().await?;
    let busy: Vec<String> = keys.iter().step_by(MANY / BUSY).cloned().collect();
    let (many, _) = stand.measure(&busy).await?;
    println!("many={many:.2}");
    let (all, _) = stand.measure(&keys).await?;
    println!("all={all:.2}");
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "it is shown with four digits")]
fn per_request(count: &AtomicU64) -> f64 {
    count.load(Ordering::Relaxed) as f64 / REQUESTS as f64
}

/// A gateway over a store of its own.
struct Stand {
    gateway: Gateway,
    store: Embedded,
    calls: Arc<Calls>,
    _folder: tempfile::TempDir,
}

/// What the gateway asked of its ports, since this was cleared.
#[derive(Default)]
struct Calls {
    transactions: AtomicU64,
    accounts: AtomicU64,
    documents: AtomicU64,
    /// When the ledger was asked to hold, and when it had.
    held: Mutex<Option<(Instant, Instant)>>,
}

impl Stand {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let store = Embedded::open(folder.path())?;
        let calls = Arc::new(Calls::default());
        let (memory, _) = ports();
        let ports = Ports {
            store: Arc::new(Documents { store: store.clone(), calls: calls.clone() }),
            ledger: Arc::new(Books { store: store.clone(), calls: calls.clone() }),
            upstream: Arc::new(Prompt),
            clock: Arc::new(SystemClock),
            chance: Arc::new(SystemChance),
            ..memory
        };
        let host = Host { variable: &|_| None, ollama: false, registry: Registry::full() };
        let policy = Policy::read("bench.yaml", CONFIG, &host)?;
        let gateway = Gateway::new(ports, Settings::new(Secret::new(ADMIN)), policy);
        Ok(Self { gateway, store, calls, _folder: folder })
    }

    /// Makes an organisation with a team, a project and a user, each with several limits; answers what a key of all of them is
    /// made of, which has limits of its own.
    async fn scopes(&self) -> Result<Value> {
        let limits = json!({
            "rpm": 1_000_000_000, "tpm": 1_000_000_000_000_u64, "parallel": 100_000,
            "budget": ["1000000 USD / day", "10000000 USD / month"],
        });
        for kind in ["orgs", "teams", "projects", "users"] {
            let mut wish = json!({ "id": "acme", "limits": limits });
            if kind != "orgs" {
                wish["org"] = "acme".into();
            }
            self.make(kind, &wish).await?;
        }
        Ok(json!({
            "org": "acme", "team": "acme", "project": "acme", "user": "acme", "models": ["bench/*"], "limits": limits,
        }))
    }

    async fn key(&self, wish: &Value) -> Result<String> {
        let made = self.make("keys", wish).await?;
        made["key"].as_str().map(str::to_owned).context("a key was made and not shown")
    }

    async fn make(&self, kind: &str, wish: &Value) -> Result<Value> {
        let body = wish.to_string().into_bytes();
        let response = self.ask(&format!("/admin/v1/{kind}"), ADMIN, Body::from(body)).await?;
        let status = response.status();
        let text = whole(response)?;
        ensure!(status.is_success(), "{kind}: {status}: {text}");
        Ok(serde_json::from_str(&text)?)
    }

    async fn ask(&self, path: &str, key: &str, body: Body) -> Result<Response<Body>> {
        let request = Request::post(path)
            .header("host", "127.0.0.1:4000")
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json")
            .body(body)?;
        Ok(self.gateway.handle(request).await)
    }

    /// Asks with one key after the other; answers how long it took until a request was admitted, and the ledger's share.
    async fn measure(&self, keys: &[String]) -> Result<(f64, f64)> {
        let (mut admitted, mut ledger) = (Vec::new(), Vec::new());
        for nth in 0..REQUESTS {
            // Mixed, so that no key comes again while it is still at hand, and in an order that is no store's.
            let key = &keys[nth.wrapping_mul(7_919) % keys.len()];
            if nth == REQUESTS / 2 {
                self.calls.clear();
            }
            let began = Instant::now();
            let response = self.ask("/v1/chat/completions", key, Body::Full(QUESTION.into())).await?;
            ensure!(response.status() == 200, "{}", whole(response)?);
            let held = self.calls.held.lock().unwrap_or_else(PoisonError::into_inner).take();
            let (asked, held) = held.context("nothing was held")?;
            if nth >= REQUESTS / 2 {
                admitted.push((held - began).as_secs_f64() * 1e6);
                ledger.push((held - asked).as_secs_f64() * 1e6);
            }
            if nth % 4_000 == 0 {
                self.rest().await?;
            }
        }
        Ok((median(&mut admitted), median(&mut ledger)))
    }

    /// What the server does every second.
    async fn rest(&self) -> Result<()> {
        self.gateway.tick().await?;
        Ok(self.store.sync()?)
    }
}

impl Calls {
    fn clear(&self) {
        for count in [&self.transactions, &self.accounts, &self.documents] {
            count.store(0, Ordering::Relaxed);
        }
    }
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

fn whole(response: Response<Body>) -> Result<String> {
    match response.into_body() {
        Body::Full(bytes) => Ok(String::from_utf8(bytes.into())?),
        other => anyhow::bail!("{other:?}"),
    }
}

/// An upstream that answers at once.
struct Prompt;

#[async_trait]
impl Upstream for Prompt {
    async fn send(&self, _: Request<Body>, _: Reach) -> Result<Response<Body>, Fault> {
        let mut response = Response::new(Body::Full(ANSWER.into()));
        let json = http::HeaderValue::from_static("application/json");
        response.headers_mut().insert(http::header::CONTENT_TYPE, json);
        Ok(response)
    }
}

struct Books {
    store: Embedded,
    calls: Arc<Calls>,
}

#[async_trait]
impl OverLedger for Books {
    fn under(&self) -> &dyn Ledger {
        &self.store
    }

    async fn transact(&self, shard: &ShardId, work: Transaction, now: Timestamp) -> Result<Outcome, Fault> {
        self.calls.transactions.fetch_add(1, Ordering::Relaxed);
        let reserves = matches!(work.op, Op::Reserve(_));
        let asked = Instant::now();
        let outcome = Ledger::transact(&self.store, shard, work, now).await;
        if reserves {
            let held = Some((asked, Instant::now()));
            *self.calls.held.lock().unwrap_or_else(PoisonError::into_inner) = held;
        }
        outcome
    }

    async fn read(&self, shard: &ShardId, account: &AccountId) -> Result<Option<Account>, Fault> {
        self.calls.accounts.fetch_add(1, Ordering::Relaxed);
        Ledger::read(&self.store, shard, account).await
    }
}

struct Documents {
    store: Embedded,
    calls: Arc<Calls>,
}

#[async_trait]
impl OverStore for Documents {
    fn under(&self) -> &dyn Store {
        &self.store
    }

    async fn turn(&self, call: &'static str, _: &[u8]) -> Result<(), Fault> {
        self.calls.documents.fetch_add(u64::from(call == "get"), Ordering::Relaxed);
        Ok(())
    }
}
