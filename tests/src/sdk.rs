//! The vendors' own Python clients, driven over a pipe: what they accept and what they throw is the judge of our wire format.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{Mutex as AsyncMutex, oneshot};

/// One Python process that makes calls, many at a time.
#[derive(Debug)]
pub struct Sdk {
    stdin: AsyncMutex<ChildStdin>,
    waiting: Arc<Mutex<HashMap<u64, oneshot::Sender<Value>>>>,
    next: AtomicU64,
    _child: Child,
}

/// Which vendor's client makes a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vendor {
    OpenAi,
    Anthropic,
}

impl Sdk {
    pub fn start() -> Result<Self> {
        let mut child = Command::new(python()?)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk/driver.py"))
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
            // Python has gone: whoever waits learns it by the closed channel.
            answers.lock().unwrap_or_else(PoisonError::into_inner).clear();
        });
        Ok(Self { stdin: AsyncMutex::new(stdin), waiting, next: AtomicU64::new(1), _child: child })
    }

    /// Makes one call with a client of its own; the answer holds `result`, or `events` and perhaps `final`, or `error`.
    pub async fn call(
        &self,
        vendor: Vendor,
        base_url: &str,
        api_key: &str,
        method: &str,
        arguments: Value,
    ) -> Result<Value> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id, sender);
        let sdk = match vendor {
            Vendor::OpenAi => "openai",
            Vendor::Anthropic => "anthropic",
        };
        let mut line = json!({
            "id": id, "sdk": sdk, "base_url": base_url, "api_key": api_key, "method": method, "arguments": arguments,
        })
        .to_string();
        line.push('\n');
        self.stdin
            .lock()
            .await
            .write_all(line.as_bytes())
            .await
            .context("the Python driver does not listen")?;
        let answer = tokio::time::timeout(Duration::from_secs(90), receiver).await;
        answer
            .with_context(|| format!("{method} of {sdk} did not return"))?
            .context("the Python driver ended")
    }
}

/// The Python of the project's own environment, which `cargo xtask setup` makes.
fn python() -> Result<PathBuf> {
    let python = root().join(".tools/venv/bin/python");
    ensure!(python.exists(), "{} is missing: run `cargo xtask setup`", python.display());
    Ok(python)
}

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}
