//! The native binary with its embedded store in a folder of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::ADMIN_KEY;
use super::process::{Process, free_address};
use crate::sdk::root;

/// A running `gatelet serve`, and its folder, which outlives a restart.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    folder: TempDir,
    variables: Vec<(String, String)>,
    process: Process,
}

impl Server {
    pub async fn start(config: &str) -> Result<Self> {
        Self::start_with(config, &[]).await
    }

    /// With further variables in its environment.
    pub async fn start_with(config: &str, variables: &[(&str, &str)]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("gatelet.yaml"), config)?;
        let address = free_address()?;
        let variables = owned(variables);
        let process = serve(folder.path(), address, &variables).await?;
        Ok(Self { address, folder, variables, process })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends the process with SIGKILL, does this while it is dead, and starts it again on the same folder and port.
    pub async fn kill_and_restart_after(&mut self, meanwhile: impl Future<Output = ()>) -> Result<()> {
        self.process.kill()?;
        meanwhile.await;
        self.process = serve(self.folder.path(), self.address, &self.variables).await?;
        Ok(())
    }

    /// Ends the process with SIGTERM, and starts it again on the same folder and port.
    pub async fn restart(&mut self) -> Result<()> {
        self.process.stop("TERM");
        self.process = serve(self.folder.path(), self.address, &self.variables).await?;
        Ok(())
    }

    /// The same with other variables.
    pub async fn restart_with(&mut self, variables: &[(&str, &str)]) -> Result<()> {
        self.variables = owned(variables);
        self.restart().await
    }

    /// The folder that the server keeps everything in.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn log(&self) -> String {
        self.process.tail()
    }

    /// All that the process has written since the beginning.
    pub fn said(&self) -> String {
        self.process.said()
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

pub(super) fn owned(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

async fn serve(folder: &Path, address: SocketAddr, variables: &[(String, String)]) -> Result<Process> {
    // Another build can be held to the same scenarios, such as the one that is to be released.
    let binary = match std::env::var_os("GATELET_BIN") {
        Some(path) => PathBuf::from(path),
        None => binary("gatelet", "gatelet").await?,
    };
    let mut command = Command::new(binary);
    command
        .arg("serve")
        .arg("--config")
        .arg(folder.join("gatelet.yaml"))
        .arg("--data")
        .arg(folder.join("data"))
        .args(["--listen", &address.to_string()])
        .env("GATELET_ADMIN_KEY", ADMIN_KEY)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .current_dir(folder);
    let mut process = Process::start(&mut command, &folder.join("log"))?;
    process.until_ready(address, "/health/ready", Duration::from_secs(20)).await?;
    Ok(process)
}

/// The path of a binary of this workspace, built as it stands now with cargo's development profile.
pub(super) async fn binary(package: &'static str, name: &'static str) -> Result<PathBuf> {
    static BUILT: OnceCell<std::sync::Mutex<Vec<(String, PathBuf)>>> = OnceCell::const_new();
    let built = BUILT.get_or_init(|| async { std::sync::Mutex::default() }).await;
    if let Ok(built) = built.lock()
        && let Some((_, path)) = built.iter().find(|(known, _)| known == name)
    {
        return Ok(path.clone());
    }
    let path = tokio::task::spawn_blocking(move || build(package, name)).await??;
    if let Ok(mut built) = built.lock() {
        built.push((name.to_owned(), path.clone()));
    }
    Ok(path)
}

fn build(package: &str, name: &str) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "build",
            "--quiet",
            "--package",
            package,
            "--bin",
            name,
            "--message-format",
            "json-render-diagnostics",
        ])
        .current_dir(root())
        .output()?;
    ensure!(output.status.success(), "cargo build {name}:\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .with_context(|| format!("cargo built no executable {name}"))
}
