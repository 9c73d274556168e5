//! The Lambda service as a function sees it, in this process: a front port that speaks HTTP as a function URL with
//! `InvokeMode: RESPONSE_STREAM` does, and a Runtime API for each sandbox.
//!
//! What of the real service is kept, because code can be right without it and wrong with it:
//! - a sandbox is a process that serves one invocation at a time; more callers start more sandboxes, up to a cap;
//! - a sandbox is frozen (`SIGSTOP`) from the moment it polls for the next invocation until one arrives, so work that
//!   outlives a response body does not happen;
//! - a client that leaves is not told to the function, which runs to its end;
//! - past its deadline a sandbox is killed; `SIGTERM` comes only to those which registered an extension, and `SIGKILL`
//!   half a second later;
//! - requests are at most 6 MiB, as the event carries them.
//!
//! What a real function URL is not known to accept, or what would show as a failed invocation there, is written down in
//! [`RuntimeApi::complaints`], which tests expect to be empty.

mod event;
mod front;
mod sandbox;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::{net::TcpListener, sync::Semaphore};

use sandbox::Sandbox;

/// What the template of a deployed function says, and where its output goes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The function's executable (`bootstrap` on Lambda).
    pub binary: PathBuf,
    /// Its environment; nothing else of this process's environment reaches it.
    pub environment: Vec<(String, String)>,
    /// How many sandboxes may exist at once (`ReservedConcurrentExecutions`); callers beyond it wait.
    pub sandboxes: usize,
    /// The longest that one invocation may take (`Timeout`).
    pub timeout: Duration,
    /// A file that receives what the sandboxes print.
    pub log: PathBuf,
}

/// A running service. Dropping it kills its sandboxes.
#[derive(Debug)]
pub struct RuntimeApi {
    address: SocketAddr,
    fleet: Arc<Fleet>,
    accept: tokio::task::AbortHandle,
}

/// One sandbox that has polled for work at least once.
#[derive(Clone, Copy, Debug)]
pub struct Started {
    pub process: u32,
    /// From the start of the process to its first poll for an invocation.
    pub cold_start: Duration,
}

impl RuntimeApi {
    /// Opens the front port on a free loopback port. Sandboxes start with the first callers.
    pub async fn start(settings: Settings) -> anyhow::Result<Self> {
        anyhow::ensure!(settings.binary.is_file(), "no function at {}", settings.binary.display());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("the front port")?;
        let address = listener.local_addr()?;
        let fleet = Arc::new(Fleet {
            slots: Arc::new(Semaphore::new(settings.sandboxes)),
            settings,
            idle: Mutex::default(),
            all: Mutex::default(),
            complaints: Mutex::default(),
        });
        let accept = tokio::spawn(front::accept(listener, Arc::clone(&fleet))).abort_handle();
        Ok(Self { address, fleet, accept })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Invokes the function with `event` as it is, as a schedule does, and waits for the end of its answer.
    pub async fn invoke(&self, event: &Value) -> anyhow::Result<(http::StatusCode, Bytes)> {
        let answer = self.fleet.invoke(event.to_string().into()).await?;
        let (parts, body) = answer.into_parts();
        Ok((parts.status, body.collect().await?.to_bytes()))
    }

    /// The live sandboxes that have polled.
    pub fn sandboxes(&self) -> Vec<Started> {
        locked(&self.fleet.all).iter().filter_map(|sandbox| sandbox.started()).collect()
    }

    /// Everything that would have been a failed invocation, or an answer that a function URL may refuse.
    pub fn complaints(&self) -> Vec<String> {
        locked(&self.fleet.complaints).clone()
    }

    /// Retires every sandbox the way the service does, and waits until they are gone. Says how many left by themselves
    /// with exit code 0.
    pub async fn retire(&self) -> usize {
        let sandboxes = self.fleet.take_all();
        futures_util::future::join_all(sandboxes.iter().map(|sandbox| sandbox.retire()))
            .await
            .into_iter()
            .filter(|clean| *clean)
            .count()
    }

    /// Kills every sandbox where it stands, and waits until they are gone. The next caller starts a fresh one.
    pub async fn kill(&self) -> usize {
        let sandboxes = self.fleet.take_all();
        futures_util::future::join_all(sandboxes.iter().map(|sandbox| sandbox.kill())).await.len()
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.accept.abort();
        for sandbox in self.fleet.take_all() {
            sandbox.signal_kill();
        }
    }
}

/// The sandboxes of one function.
#[derive(Debug)]
struct Fleet {
    settings: Settings,
    slots: Arc<Semaphore>,
    idle: Mutex<Vec<Arc<Sandbox>>>,
    all: Mutex<Vec<Arc<Sandbox>>>,
    complaints: Mutex<Vec<String>>,
}

impl Fleet {
    /// Gives `event` to an idle sandbox, or to a new one, or to the next that becomes idle.
    async fn invoke(self: &Arc<Self>, event: Bytes) -> anyhow::Result<http::Response<front::Answer>> {
        let slot = Arc::clone(&self.slots).acquire_owned().await?;
        loop {
            let idle = locked(&self.idle).pop();
            let Some(sandbox) = idle else { break };
            // One that died while it was idle is found out here, before the event is given away.
            if sandbox.is_alive() {
                return sandbox.invoke(event, slot).await;
            }
        }
        let sandbox = Sandbox::start(Arc::clone(self)).await?;
        locked(&self.all).push(Arc::clone(&sandbox));
        sandbox.invoke(event, slot).await
    }

    fn take_all(&self) -> Vec<Arc<Sandbox>> {
        locked(&self.idle).clear();
        std::mem::take(&mut *locked(&self.all))
    }

    fn forget(&self, sandbox: &Arc<Sandbox>) {
        locked(&self.idle).retain(|other| !Arc::ptr_eq(other, sandbox));
        locked(&self.all).retain(|other| !Arc::ptr_eq(other, sandbox));
    }

    fn complain(&self, what: impl Into<String>) {
        locked(&self.complaints).push(what.into());
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
