//! A child process that logs to a file, can be ended in several ways, and is ended for certain.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use http::Method;
use tokio::time::{Instant, sleep};

use crate::client::Call;

/// A process, and the group of those that it starts.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let file = std::fs::File::options().create(true).append(true).open(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0)
            .spawn()
            .with_context(|| format!("could not start {}", command.get_program().display()))?;
        Ok(Self { child, log: log.to_path_buf() })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the path answers 200.
    pub(crate) async fn until_ready(
        &mut self,
        address: SocketAddr,
        path: &str,
        patience: Duration,
    ) -> Result<()> {
        let end = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("the host ended with {status} before it was ready:\n{}", self.tail());
            }
            if tokio::net::TcpStream::connect(address).await.is_ok()
                && Call::new(address, Method::GET, path)
                    .whole()
                    .await
                    .is_ok_and(|answer| answer.status == 200)
            {
                return Ok(());
            }
            ensure!(Instant::now() < end, "the host was not ready within {patience:?}:\n{}", self.tail());
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends the process without a chance to put its affairs in order.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// The same for the whole group.
    pub(crate) fn kill_all(&mut self) -> Result<()> {
        self.signal("KILL");
        self.child.wait()?;
        Ok(())
    }

    /// Asks the whole group to end with this signal, and waits; what stays is killed.
    pub(crate) fn stop(&mut self, signal: &str) {
        self.signal(signal);
        for _ in 0..300 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.signal("KILL");
        let _ = self.child.wait();
    }

    fn signal(&self, signal: &str) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-s", signal, "--", &group]).stderr(Stdio::null()).status();
    }

    /// All that it has written.
    pub(crate) fn said(&self) -> String {
        said(&self.log)
    }

    /// The last lines of that.
    pub(crate) fn tail(&self) -> String {
        tail(&self.said())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.stop("TERM");
        }
    }
}

/// A log, as far as it is text.
pub(crate) fn said(log: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(log).unwrap_or_default()).into_owned()
}

pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

/// A loopback address that was free a moment ago.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
