//! The Worker in workerd, started through wrangler with a store of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::ADMIN_KEY;
use super::process::{Process, free_address};
use crate::sdk::root;

/// A running `wrangler dev`, and the folder that workerd keeps its state in.
#[derive(Debug)]
pub struct Worker {
    address: SocketAddr,
    bundle: PathBuf,
    config: String,
    folder: TempDir,
    process: Process,
}

/// What keeps wrangler off the network and off the keyboard.
const QUIET: [(&str, &str); 7] = [
    ("CI", "1"),
    ("CLOUDFLARE_CF_FETCH_ENABLED", "false"),
    ("WRANGLER_HIDE_BANNER", "true"),
    ("WRANGLER_SEND_ERROR_REPORTS", "false"),
    ("WRANGLER_SEND_METRICS", "false"),
    ("WRANGLER_WRITE_LOGS", "false"),
    // wrangler's own tracing of every step, which costs as much as what it traces.
    ("X_LOCAL_OBSERVABILITY", "false"),
];

impl Worker {
    /// What is deployed.
    pub async fn start(config: &str) -> Result<Self> {
        Self::start_with(config, &[]).await
    }

    /// What is deployed, with further secrets.
    pub async fn start_with(config: &str, secrets: &[(&str, &str)]) -> Result<Self> {
        let (bundle, folder) = (built().await?, tempfile::tempdir()?);
        Self::start_until(&bundle, folder, config, secrets, "/health/ready").await
    }

    /// The same over the same store, with other secrets.
    pub async fn restart_with(&mut self, secrets: &[(&str, &str)]) -> Result<()> {
        self.process.stop("INT");
        self.process =
            run(&self.bundle, &self.folder, &self.config, secrets, self.address, "/health/ready").await?;
        Ok(())
    }

    /// What is deployed, and under `/test/` the doors of `tests/worker/entry.mjs`.
    pub async fn start_with_doors(config: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let bundle = folder.path().join("bundle");
        copy(&built().await?, &bundle)?;
        std::fs::copy(root().join("tests/worker/entry.mjs"), bundle.join("doors.mjs"))?;
        let file = bundle.join("wrangler.toml");
        let deployed = std::fs::read_to_string(&file)?;
        let changed = deployed.replace("main = \"entry.mjs\"", "main = \"doors.mjs\"");
        ensure!(changed != deployed, "{} names no entry.mjs", file.display());
        std::fs::write(file, changed)?;
        Self::start_bundle(&bundle, folder, config).await
    }

    /// What is deployed, with a configuration that is wrong: it lives, and serves nobody.
    pub async fn start_unready(config: &str) -> Result<Self> {
        Self::start_until(&built().await?, tempfile::tempdir()?, config, &[], "/health/live").await
    }

    async fn start_bundle(bundle: &Path, folder: TempDir, config: &str) -> Result<Self> {
        Self::start_until(bundle, folder, config, &[], "/health/ready").await
    }

    async fn start_until(
        bundle: &Path,
        folder: TempDir,
        config: &str,
        secrets: &[(&str, &str)],
        sign: &str,
    ) -> Result<Self> {
        let address = free_address()?;
        let process = run(bundle, &folder, config, secrets, address, sign).await?;
        let (bundle, config) = (bundle.to_owned(), config.to_owned());
        Ok(Self { address, bundle, config, folder, process })
    }

    /// Ends the runtime with SIGKILL, and starts it again over the same state, on the same port.
    pub async fn kill_and_restart(&mut self) -> Result<()> {
        self.process.kill_all()?;
        self.process =
            run(&self.bundle, &self.folder, &self.config, &[], self.address, "/health/ready").await?;
        Ok(())
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The folder that the runtime keeps everything in.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub fn log(&self) -> String {
        self.process.tail()
    }

    /// All that the process has written since the beginning.
    pub fn said(&self) -> String {
        self.process.said()
    }
}

/// Runs the bundle over the state in the folder, and waits for its sign of life.
async fn run(
    bundle: &Path,
    folder: &TempDir,
    config: &str,
    secrets: &[(&str, &str)],
    address: SocketAddr,
    sign: &str,
) -> Result<Process> {
    let bin = root().join("node_modules/.bin");
    ensure!(bin.join("wrangler").exists(), "{} has no wrangler: run `cargo xtask setup`", bin.display());
    let mut path = vec![bin.clone()];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let mut command = Command::new(bin.join("wrangler"));
    command
        .args(["dev", "--config"])
        .arg(bundle.join("wrangler.toml"))
        .args(["--local", "--ip", "127.0.0.1", "--port", &address.port().to_string()])
        .args(["--inspector-port", "0", "--persist-to"])
        .arg(folder.path().join("state"))
        .args([
            "--var",
            &format!("GATELET_ADMIN_KEY:{ADMIN_KEY}"),
            "--var",
            &format!("GATELET_CONFIG:{config}"),
        ])
        .env("PATH", std::env::join_paths(path)?)
        .envs(QUIET)
        .current_dir(root());
    command.args(secrets.iter().flat_map(|(name, value)| ["--var".to_owned(), format!("{name}:{value}")]));
    let mut process = Process::start(&mut command, &folder.path().join("log"))?;
    process.until_ready(address, sign, Duration::from_mins(5)).await?;
    Ok(process)
}

impl Drop for Worker {
    fn drop(&mut self) {
        // wrangler ends its own children on SIGINT, and only on that.
        self.process.stop("INT");
    }
}

/// Builds `build/worker` as the sources stand now, unless the environment says that this was done. It is complete in
/// itself: starting it builds nothing.
async fn built() -> Result<PathBuf> {
    // Tests of one binary start Workers side by side, and each build begins by removing the last.
    static BUILT: OnceCell<()> = OnceCell::const_new();
    BUILT
        .get_or_try_init(|| async {
            if std::env::var_os("GATELET_PREBUILT").is_some() {
                return Ok(());
            }
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let mut build = tokio::process::Command::new(cargo);
            let build = build.args(["xtask", "worker"]).current_dir(root()).output().await?;
            let error = String::from_utf8_lossy(&build.stderr);
            ensure!(build.status.success(), "cargo xtask worker:\n{error}");
            Ok(())
        })
        .await?;
    let bundle = root().join("build/worker");
    let config = bundle.join("wrangler.toml");
    ensure!(config.exists(), "there is no {}: run `cargo xtask worker`", config.display());
    Ok(bundle)
}

/// Copies a folder, without what wrangler keeps in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if !entry.file_type()?.is_dir() {
            std::fs::copy(source, target)?;
        } else if entry.file_name() != ".wrangler" {
            copy(&source, &target)?;
        }
    }
    Ok(())
}
