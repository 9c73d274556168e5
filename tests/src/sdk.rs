//! The vendors' own clients, driven over a pipe: what they accept and what they throw is the judge of our wire format.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{Mutex as AsyncMutex, OnceCell, oneshot};

/// The clients of one world. A language's process is started by the first call that needs it.
#[derive(Debug, Default)]
pub struct Sdk {
    python: OnceCell<Driver>,
    node: OnceCell<Driver>,
}

/// Which client makes a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vendor {
    /// The AI SDK, any of its providers.
    AiSdk,
    Anthropic,
    AnthropicNode,
    /// boto3: the key is `id:secret` to sign with, or a bearer token.
    Bedrock,
    Cohere,
    /// google-genai.
    Google,
    /// google-auth, which judges claims and calls nobody.
    GoogleToken,
    /// langchain-openai.
    Langchain,
    Ollama,
    OpenAi,
    OpenAiNode,
}

impl Vendor {
    /// Its name in the drivers' tables.
    fn name(self) -> &'static str {
        match self {
            Self::AiSdk => "ai-sdk",
            Self::Anthropic => "anthropic",
            Self::AnthropicNode => "anthropic-node",
            Self::Bedrock => "bedrock",
            Self::Cohere => "cohere",
            Self::Google => "google",
            Self::GoogleToken => "google-token",
            Self::Langchain => "langchain",
            Self::Ollama => "ollama",
            Self::OpenAi => "openai",
            Self::OpenAiNode => "openai-node",
        }
    }

    fn is_node(self) -> bool {
        matches!(self, Self::AiSdk | Self::AnthropicNode | Self::OpenAiNode)
    }
}

impl Sdk {
    /// Makes one call with a client of its own; the answer holds `result`, or `events` and perhaps `final`, or `error`.
    pub async fn call(
        &self,
        vendor: Vendor,
        base_url: &str,
        api_key: &str,
        method: &str,
        arguments: Value,
    ) -> Result<Value> {
        let driver = if vendor.is_node() {
            self.node.get_or_try_init(|| async { Driver::start(&node()?, "driver.mjs") }).await?
        } else {
            self.python.get_or_try_init(|| async { Driver::start(&python()?, "driver.py") }).await?
        };
        driver
            .call(json!({
                "sdk": vendor.name(), "base_url": base_url, "api_key": api_key, "method": method, "arguments": arguments,
            }))
            .await
            .with_context(|| format!("{method} of {}", vendor.name()))
    }
}

/// One process that makes calls, many at a time.
#[derive(Debug)]
struct Driver {
    stdin: AsyncMutex<ChildStdin>,
    waiting: Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>,
    next: AtomicU64,
    _child: Child,
}

impl Driver {
    fn start(program: &Path, script: &str) -> Result<Self> {
        let mut child = Command::new(program)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk").join(script))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdin = child.stdin.take().context("no stdin")?;
        let mut lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        let waiting: Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>> = Arc::default();
        let answers = Arc::clone(&waiting);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let Ok(answer) = serde_json::from_str::<Value>(&line) else { continue };
                let id = answer["id"].as_u64().unwrap_or_default();
                if let Some(sender) = answers.lock().unwrap_or_else(PoisonError::into_inner).remove(&id) {
                    let _ = sender.send(answer);
                }
            }
            // The process has gone: whoever waits learns it by the closed channel.
            answers.lock().unwrap_or_else(PoisonError::into_inner).clear();
        });
        Ok(Self { stdin: AsyncMutex::new(stdin), waiting, next: AtomicU64::new(1), _child: child })
    }

    async fn call(&self, mut request: Value) -> Result<Value> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id, sender);
        request["id"] = id.into();
        let line = format!("{request}\n");
        self.stdin.lock().await.write_all(line.as_bytes()).await.context("the driver does not listen")?;
        let answer = tokio::time::timeout(Duration::from_mins(4), receiver).await;
        answer.context("no answer in time")?.context("the driver ended")
    }
}

/// The Python of the project's own environment, which `cargo xtask setup` makes.
fn python() -> Result<PathBuf> {
    installed(".tools/venv/bin/python")
}

/// The Node that `cargo xtask setup` installs: some of the clients want a newer one than the machine may have.
fn node() -> Result<PathBuf> {
    installed("node_modules/.bin/node")
}

/// A program that `cargo xtask setup` installs, by its path below the root.
pub fn installed(program: &str) -> Result<PathBuf> {
    let path = root().join(program);
    ensure!(path.exists(), "{} is missing: run `cargo xtask setup`", path.display());
    Ok(path)
}

/// What a judge in Python (`tests/sdk/<script>`) says of `cases`, which it reads a line each.
pub fn judge(script: &str, arguments: &[&str], cases: &[Value]) -> Result<Value> {
    run(&python()?, script, arguments, cases)
}

/// The same of what receivers of records are told, by what their makers publish.
pub fn judge_receivers(script: &str, cases: &[Value]) -> Result<Value> {
    run(&installed(".tools/venv-sinks/bin/python")?, script, &[], cases)
}

/// What the `litellm-proxy` command line does, a list of arguments each.
pub fn litellm_proxy(arguments: &[&str], commands: &[Value]) -> Result<Value> {
    run(&installed(".tools/venv-litellm/bin/python")?, "litellm_cli.py", arguments, commands)
}

fn run(python: &Path, script: &str, arguments: &[&str], cases: &[Value]) -> Result<Value> {
    let mut child = std::process::Command::new(python)
        .arg(root().join("tests/sdk").join(script))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("the script has no input")?;
    for case in cases {
        writeln!(stdin, "{case}")?;
    }
    drop(stdin);
    let output = child.wait_with_output()?;
    serde_json::from_slice(&output.stdout).context("the script did not answer")
}

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}
