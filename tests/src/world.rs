//! What a scenario finds: one host, a scripted provider behind it, and the vendors' clients.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::client::Call;
use crate::host::{Host, Key, Kind};
use crate::scenario::guards;
use crate::sdk::{Sdk, Vendor};
use crate::upstream::{Dialect, Upstream};

/// What the gateway shows to the provider of each dialect.
pub const UPSTREAM_KEYS: [(Dialect, &str); 2] =
    [(Dialect::OpenAi, "provider-key-openai"), (Dialect::Anthropic, "provider-key-anthropic")];

/// What the gateway shows to the scripted Gemini.
pub const GOOGLE_KEY: &str = "provider-key-google";

/// What requests to the scripted Bedrock are signed with.
pub const SIGNING_PAIR: &str = "AKIDSCRIPT:secret-of-the-script:lent-for-an-hour";

/// Whose key file buys tokens of the scripted Vertex AI.
pub const SERVICE_ACCOUNT: &str = "bot@p-1.iam.gserviceaccount.com";

/// The account's private key, which the scripts know too, so that they can judge what it signed.
pub fn service_account_key() -> &'static str {
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../core/src/registry/token/test_key.pem"))
}

/// The key file as its vendor gives it, as a string of YAML. Tokens are sold under `/tokens/{script}`.
fn service_account(upstream: &Upstream, script: &str) -> Value {
    let file = json!({
        "type": "service_account", "project_id": "p-1", "private_key_id": "key-1", "client_email": SERVICE_ACCOUNT,
        "private_key": service_account_key(), "token_uri": format!("{}/tokens/{script}", upstream.base()),
    });
    Value::String(file.to_string())
}

/// Nano-dollars for one token of input and of output of the scripted models.
pub const INPUT: u64 = 500;
pub const OUTPUT: u64 = 4_000;

#[derive(Debug)]
pub struct World {
    pub host: Host,
    pub upstream: Upstream,
    pub sdk: Sdk,
}

impl World {
    pub async fn start(kind: Kind) -> Result<Self> {
        let upstream = Upstream::start().await?;
        let sdk = Sdk::default();
        let host = Host::start(kind, &config(&upstream)).await?;
        Ok(Self { host, upstream, sdk })
    }

    /// Calls a model with the vendor's own client: `create`, or the accumulating `stream`.
    pub async fn sdk_call(
        &self,
        dialect: Dialect,
        key: &Key,
        method: &str,
        arguments: Value,
    ) -> Result<Value> {
        let (vendor, base, resource) = match dialect {
            Dialect::OpenAi => (Vendor::OpenAi, format!("{}/v1", self.host.base()), "chat.completions"),
            Dialect::Anthropic => (Vendor::Anthropic, format!("{}/anthropic", self.host.base()), "messages"),
        };
        self.sdk.call(vendor, &base, &key.secret, &format!("{resource}.{method}"), arguments).await
    }

    /// A plain call of the chat endpoint of a dialect.
    pub fn ask(&self, dialect: Dialect, key: &Key, body: &Value) -> Call {
        self.post(dialect, key).json(body)
    }

    /// The same, its body yet to come.
    pub fn post(&self, dialect: Dialect, key: &Key) -> Call {
        match dialect {
            Dialect::OpenAi => self.host.post("/v1/chat/completions").key(&key.secret),
            Dialect::Anthropic => self
                .host
                .post("/v1/messages")
                .header("x-api-key", &key.secret)
                .header("anthropic-version", "2023-06-01"),
        }
    }

    /// What the key has spent and holds, in nano-dollars, as its first budget shows it.
    pub async fn books(&self, key: &Key) -> Result<Books> {
        let shown = self.host.show(key).await?;
        Books::of(&shown)
    }

    /// The books once nothing is held any more.
    pub async fn closed_books(&self, key: &Key) -> Result<Books> {
        let end = Instant::now() + Duration::from_mins(1);
        loop {
            let books = self.books(key).await?;
            if books.held == 0 {
                return Ok(books);
            }
            ensure!(Instant::now() < end, "{} nano-dollars are still held", books.held);
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// One budget of a key, in nano-dollars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Books {
    pub limit: u64,
    pub spent: u64,
    pub held: u64,
    pub renews_at: Option<String>,
}

impl Books {
    /// Of a key as the admin API shows it.
    pub fn of(shown: &Value) -> Result<Self> {
        let budget = &shown["usage"]["budget"][0];
        let amount = |name: &str| {
            let text =
                budget[name].as_str().with_context(|| format!("no `{name}` in the budget of {shown}"))?;
            nanos(text)
        };
        Ok(Self {
            limit: amount("limit")?,
            spent: amount("spent")?,
            held: amount("held")?,
            renews_at: budget["renews_at"].as_str().map(str::to_owned),
        })
    }
}

/// A decimal amount in USD as nano-dollars, exactly.
pub fn nanos(text: &str) -> Result<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    ensure!(fraction.len() <= 9, "{text} is finer than a nano-dollar");
    let digits = format!("{whole}{fraction:0<9}");
    digits.parse().with_context(|| format!("not an amount: {text}"))
}

/// The true cost of a call of a scripted model, in nano-dollars.
pub fn cost(input: u64, output: u64) -> u64 {
    input * INPUT + output * OUTPUT
}

/// A small question without frills.
pub fn question(dialect: Dialect, model: &str) -> Value {
    let messages = json!([{"role": "user", "content": "Say hello."}]);
    match dialect {
        Dialect::OpenAi => json!({"model": model, "messages": messages, "max_completion_tokens": 50}),
        Dialect::Anthropic => json!({"model": model, "messages": messages, "max_tokens": 50}),
    }
}

/// The name by which callers reach the scripted model `script` in the given dialect.
pub fn model(dialect: Dialect, script: &str) -> String {
    match dialect {
        Dialect::OpenAi => format!("chat/{script}"),
        Dialect::Anthropic => format!("claude/{script}"),
    }
}

/// The configuration of every host under test.
pub fn config(upstream: &Upstream) -> String {
    let (base, refusing) = (upstream.base(), upstream.refusing_base());
    let [(_, openai), (_, anthropic)] = UPSTREAM_KEYS;
    let google = GOOGLE_KEY;
    let account = |script: &str| service_account(upstream, script);
    let (on_vertex, claude_on_vertex) = (account("vertex-google"), account("vertex-anthropic"));
    let refused_account = account("vertex-refused");
    let project = format!("{base}/v1/projects/p-1/locations/us-east5");
    let place = upstream.place();
    let guards = guards::config(upstream);
    format!(
        r#"# Scenarios fail their own targets on purpose, and often.
health: {{ faults: 50, out: 1m, checks: [ {{ targets: [up-openai/is-checked], every: 10s, get: "/models/is-checked:state" }} ] }}
fetch: {{ private: ["{place}"], file: 1 MB, time: 5s }}
providers:
  up-openai:    {{ dialect: openai, base: "{base}/v1", key: {openai}, passthrough: unpriced }}
  up-anthropic: {{ dialect: anthropic, base: "{base}", key: {anthropic} }}
  up-bedrock:   {{ dialect: bedrock, base: "{base}", key: "{SIGNING_PAIR}", region: eu-west-1 }}
  up-responses: {{ dialect: openai-responses, base: "{base}/v1", key: {openai} }}
  up-cohere:    {{ dialect: cohere, base: "{base}/v2", key: {openai} }}
  up-ollama:    {{ dialect: ollama, base: "{base}", key: {openai} }}
  up-gemini:    {{ dialect: gemini, base: "{base}/v1beta", key: {google} }}
  vertex:           {{ base: "{project}", key: {on_vertex}, region: us-east5, project: p-1 }}
  vertex-anthropic: {{ base: "{project}", key: {claude_on_vertex}, region: us-east5, project: p-1 }}
  vertex-refused:   {{ like: vertex, base: "{project}", key: {refused_account}, region: us-east5, project: p-1 }}
  up-refusing:  {{ dialect: openai, base: "{refusing}/v1", key: {openai} }}
  # Who listens there knows nothing of TLS.
  up-insecure:  {{ dialect: openai, base: "https://{place}/v1", key: {openai} }}
  up-nameless:  {{ dialect: openai, base: "http://nobody.invalid/v1", key: {openai} }}
models:
  "command/*":
    targets: [ {{ model: up-cohere/*, price: {{ input: "0.50", output: "4.00", per: 1M }} }} ]
    retries: 0
  "llama/*":
    targets: [ {{ model: up-ollama/*, price: {{ input: "0.50", output: "4.00", per: 1M }} }} ]
    retries: 0
  "cheap/*":
    targets: [ {{ model: up-openai/*, price: {{ input: "0.01", output: "0.01", per: 1M }} }} ]
    retries: 0
  "voice/*":
    targets: [ {{ model: up-openai/*, price: {{ character_input: "15" }} }} ]
    retries: 0
  "ear/*":
    targets: [ {{ model: up-openai/*, price: {{ second_input: "0.0001" }} }} ]
    retries: 0
  "chat/*":
    targets: [ {{ model: up-openai/*, price: {{ input: "0.50", output: "4.00", per: 1M }} }} ]
    retries: 0
  "converse/*":
    targets: [ {{ model: up-bedrock/*, price: {{ input: "0.50", output: "4.00", per: 1M }} }} ]
    retries: 0
  "gem/*":
    targets: [ {{ model: up-gemini/*, price: {{ input: "0.50", output: "4.00", per: 1M }} }} ]
    retries: 0
  "vert/*":
    targets: [ {{ model: vertex/*, price: {{ input: "0.50", output: "4.00", per: 1M }} }} ]
    retries: 0
  "vertclaude/*":
    targets: [ {{ model: vertex-anthropic/*, price: {{ input: "0.50", output: "4.00", per: 1M }} }} ]
    retries: 0
  "vertrefused/*":
    targets: [ {{ model: vertex-refused/*, price: {{ input: "0.50", output: "4.00", per: 1M }} }} ]
    retries: 0
  "claude/*":
    targets: [ {{ model: up-anthropic/*, price: {{ input: "0.50", output: "4.00", per: 1M }} }} ]
    retries: 0
  "resp/*":
    targets: [ {{ model: up-responses/*, price: {{ input: "0.50", output: "4.00", per: 1M }} }} ]
    retries: 0
  "twice/*":
    targets: [ {{ model: up-openai/*, price: {{ input: "0.50", output: "4.00", per: 1M }} }} ]
    retries: 1
  "unpriced/*":
    targets: [ {{ model: up-openai/* }} ]
    retries: 0
  "impatient/*":
    targets: [ {{ model: up-openai/*, price: {{ input: "0.50", output: "4.00", per: 1M }} }} ]
    timeouts: {{ first: 5s, idle: 5s }}
    retries: 0
  "kept/*":
    targets: [ {{ model: up-openai/*, price: {{ input: "0.50", output: "4.00", per: 1M }} }} ]
    retries: 0
    cache: 10m
  "kept-by-org/*":
    targets: [ {{ model: up-openai/*, price: {{ input: "0.50", output: "4.00", per: 1M }} }} ]
    retries: 0
    cache: {{ ttl: 10m, scope: org }}
  "meant/*":
    targets: [ {{ model: up-openai/*, price: {{ input: "0.50", output: "4.00", per: 1M }} }} ]
    retries: 0
    cache: {{ ttl: 10m, semantic: {{ model: meaning, wait: 10s }} }}
  "meant-less/*":
    targets: [ {{ model: up-openai/*, price: {{ input: "0.50", output: "4.00", per: 1M }} }} ]
    retries: 0
    cache: {{ ttl: 10m, semantic: {{ model: meaningless, wait: 10s }} }}
  meaning:
    targets: [ {{ model: up-openai/meaning, price: {{ input: "0.02", output: "0", per: 1M }} }} ]
    retries: 0
  meaningless:
    targets: [ {{ model: up-openai/meaningless }} ]
    retries: 0
  "spare/*":
    targets:
      - {{ model: up-openai/*, price: {{ input: "0.50", output: "4.00", per: 1M }} }}
      - {{ model: up-anthropic/*, price: {{ input: "0.50", output: "4.00", per: 1M }} }}
    timeouts: {{ first: 5s }}
    retries: 0
  "refused-spare/*":
    targets:
      - {{ model: up-refusing/*, price: {{ input: "0.50", output: "4.00", per: 1M }} }}
      - {{ model: up-anthropic/*, price: {{ input: "0.50", output: "4.00", per: 1M }} }}
    retries: 0
  "insecure-spare/*":
    targets:
      - {{ model: up-insecure/*, price: {{ input: "0.50", output: "4.00", per: 1M }} }}
      - {{ model: up-anthropic/*, price: {{ input: "0.50", output: "4.00", per: 1M }} }}
    retries: 0
  "nameless-spare/*":
    targets:
      - {{ model: up-nameless/*, price: {{ input: "0.50", output: "4.00", per: 1M }} }}
      - {{ model: up-anthropic/*, price: {{ input: "0.50", output: "4.00", per: 1M }} }}
    retries: 0
  "copied/*":
    targets: [ {{ model: up-openai/*, price: {{ input: "0.50", output: "4.00", per: 1M }} }} ]
    copies: [ {{ to: chat/gets-free-copies }} ]
    retries: 0
  "copied-billed/*":
    targets: [ {{ model: up-openai/*, price: {{ input: "0.50", output: "4.00", per: 1M }} }} ]
    copies: [ {{ to: chat/gets-billed-copies, billed: true }} ]
    retries: 0
  "drawn/*":
    strategy: weighted
    affinity: [session, prefix]
    targets:
      - {{ model: up-openai/*, price: {{ input: "0.50", output: "4.00", per: 1M }} }}
      - {{ model: up-anthropic/*, price: {{ input: "0.50", output: "4.00", per: 1M }} }}
    retries: 0
  "hedged/*":
    targets:
      - {{ model: up-openai/*, price: {{ input: "0.50", output: "4.00", per: 1M }} }}
      - {{ model: up-anthropic/*, price: {{ input: "0.50", output: "4.00", per: 1M }} }}
    hedge: {{ after: 500ms, percent: 100 }}
    retries: 0
  "resumed/*":
    strategy: in-order
    targets:
      - {{ model: up-openai/*, price: {{ input: "0.50", output: "4.00", per: 1M }} }}
      - {{ model: up-anthropic/*, price: {{ input: "0.50", output: "4.00", per: 1M }} }}
    resume: {{ prefill: true }}
    retries: 0
  "marked/*":
    targets:
      - {{ model: up-anthropic/*, price: {{ input: "0.50", output: "4.00", cache_read: "0.05", cache_write_5m: "0.60", per: 1M }} }}
    cache_marks: true
    retries: 0
  checked:
    targets:
      - {{ model: up-openai/is-checked, price: {{ input: "0.50", output: "4.00", per: 1M }} }}
      - {{ model: up-anthropic/is-checked, price: {{ input: "0.50", output: "4.00", per: 1M }} }}
    retries: 0
  refused:
    targets: [ {{ model: up-refusing/nobody, price: {{ input: "0.50", output: "4.00", per: 1M }} }} ]
    retries: 0
  refused-then-answered:
    targets: [ {{ model: up-refusing/nobody, price: {{ input: "0.50", output: "4.00", per: 1M }} }} ]
    fallbacks: [ chat/after-refusal ]
    retries: 0
  first-openai:
    targets: [ {{ model: up-openai/first-openai, price: {{ input: "0.50", output: "4.00", per: 1M }} }} ]
    fallbacks: [ claude/second-anthropic ]
    retries: 0
  first-anthropic:
    targets: [ {{ model: up-anthropic/first-anthropic, price: {{ input: "0.50", output: "4.00", per: 1M }} }} ]
    fallbacks: [ chat/second-openai ]
    retries: 0
  breaks-before-content:
    targets: [ {{ model: up-openai/breaks-before-content, price: {{ input: "0.50", output: "4.00", per: 1M }} }} ]
    fallbacks: [ claude/after-break ]
    retries: 0
  breaks-after-content:
    targets: [ {{ model: up-openai/breaks-after-content, price: {{ input: "0.50", output: "4.00", per: 1M }} }} ]
    fallbacks: [ claude/never-reached ]
    retries: 0
# So little memory that what is large comes from the host's store, and time enough for that on a busy machine.
cache: {{ memory: 64KB, wait: 10s }}
{guards}"#
    )
}
