//! The Worker in workerd, started through wrangler with a store of its own.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use tempfile::TempDir;

use super::ADMIN_KEY;
use super::process::{Process, free_address};
use crate::sdk::root;

/// A running `wrangler dev`, and the folder that workerd keeps its state in.
#[derive(Debug)]
pub struct Worker {
    address: SocketAddr,
    // Goes when the worker goes.
    _folder: TempDir,
    process: Process,
}

/// What keeps wrangler off the network and off the keyboard.
const QUIET: [(&str, &str); 6] = [
    ("CI", "1"),
    ("CLOUDFLARE_CF_FETCH_ENABLED", "false"),
    ("WRANGLER_HIDE_BANNER", "true"),
    ("WRANGLER_SEND_ERROR_REPORTS", "false"),
    ("WRANGLER_SEND_METRICS", "false"),
    ("WRANGLER_WRITE_LOGS", "false"),
];

impl Worker {
    pub async fn start(config: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let address = free_address()?;
        let bin = root().join("node_modules/.bin");
        ensure!(bin.join("wrangler").exists(), "{} has no wrangler: run `cargo xtask setup`", bin.display());
        // Complete in itself: starting it builds nothing.
        let bundle = root().join("build/worker/wrangler.toml");
        ensure!(bundle.exists(), "there is no {}: run `cargo xtask worker`", bundle.display());
        let mut path = vec![bin.clone()];
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        built().await?;
        let mut command = Command::new(bin.join("wrangler"));
        command
            .args(["dev", "--config"])
            .arg(&bundle)
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
        let mut process = Process::start(&mut command, &folder.path().join("log"))?;
        process.until_ready(address, "/health/ready", Duration::from_mins(5)).await?;
        Ok(Self { address, _folder: folder, process })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn log(&self) -> String {
        self.process.tail()
    }
}

/// Builds `build/worker` as the sources stand now, unless the environment says that this was done.
async fn built() -> Result<()> {
    if std::env::var_os("GATELET_PREBUILT").is_some() {
        return Ok(());
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let build =
        tokio::process::Command::new(cargo).args(["xtask", "worker"]).current_dir(root()).output().await?;
    ensure!(build.status.success(), "cargo xtask worker:\n{}", String::from_utf8_lossy(&build.stderr));
    Ok(())
}

impl Drop for Worker {
    fn drop(&mut self) {
        // wrangler ends its own children on SIGINT, and only on that.
        self.process.stop("INT");
    }
}
