//! `gatelet serve`: a gateway out of the parts, from its start to its end.

mod config;
mod first;
mod house;
mod upstreams;

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use gatelet_core::domain::SealingKeys;
use gatelet_core::port::{Body, Ports};
use gatelet_core::{Gateway, Settings};
use gatelet_tokio::{Gzip, RingSigner, SystemClock, Tasks};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::archive::Folder;
use crate::chance::BufferedChance;
use crate::cli::Serve;
use crate::listen::{Bounds, Handle, listen};
use crate::log;
use crate::store::Embedded;
use crate::workers::Workers;

use config::Config;
use upstreams::Upstreams;

/// Longer than all tries of a settlement together.
const SETTLING: Duration = Duration::from_secs(10);

impl Handle for Gateway {
    fn handle(&self, request: http::Request<Body>) -> impl Future<Output = http::Response<Body>> + Send {
        Gateway::handle(self, request)
    }
}

/// Serves until SIGTERM or SIGINT, then lets what runs finish, and writes everything down.
pub fn serve(serve: &Serve) -> Result<()> {
    quiet_panics();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(serve))
}

/// `gatelet check`: says that a file is fine, or all that is not.
pub fn check(file: &Path) -> Result<()> {
    let policy = config::read(file)??;
    let (models, providers) = (policy.names().len(), policy.providers().count());
    writeln!(std::io::stdout(), "{}: fine: {models} models of {providers} providers", file.display())?;
    Ok(())
}

async fn run(serve: &Serve) -> Result<()> {
    let (stopping, stop) = watch::channel(false);
    let signals = until_told(stopping)?;
    let (config, policy) = Config::open(serve.config.as_deref())?;
    let store = Embedded::open(&serve.data)?;
    let archive = serve.data.join("archive");
    let archive = Folder::open(archive.clone())
        .with_context(|| format!("the archive {} cannot be used", archive.display()))?;
    let listener = TcpListener::bind(serve.listen)
        .await
        .with_context(|| format!("cannot listen on {}", serve.listen))?;
    let address = listener.local_addr()?;
    let bounds = Bounds { connections: connections(serve.connections.get()), ..Bounds::default() };
    let count = serve.workers.or_else(|| std::thread::available_parallelism().ok()).map_or(1, usize::from);
    let workers = Workers::start(count)?;
    let tasks = Tasks::default();
    let ports = Ports {
        store: Arc::new(store.clone()),
        ledger: Arc::new(store.clone()),
        upstream: Arc::new(Upstreams::new(count)?),
        archive: Arc::new(archive),
        clock: Arc::new(SystemClock),
        chance: Arc::new(BufferedChance),
        defer: Arc::new(tasks.clone()),
        log: Arc::new(log::ToStderr),
        signer: Arc::new(RingSigner),
        packer: Arc::new(Gzip),
        answers: Arc::new(store.clone()),
    };
    let admin = first::admin_key(&ports).await?;
    let sealing = std::env::var("GATELET_SEALING_KEY").unwrap_or_default();
    let sealing = SealingKeys::read(&sealing).context("GATELET_SEALING_KEY")?;
    let settings = Settings { background: true, sealing, ..Settings::new(admin.key()) };
    let gateway = Gateway::new(ports, settings, policy);

    let house = house::keep(gateway.clone(), store.clone(), config, stop.clone())?;
    let first_key = if admin.is_new() { Some(first::key(&gateway, &admin).await?) } else { None };
    first::greet(&gateway, address, &serve.data, &admin, first_key.as_deref());
    log::info("listening", &[("address", &address), ("workers", &count)]);

    let patience = Duration::from_secs(serve.patience);
    listen(listener, bounds, Arc::new(gateway.clone()), &workers, stop, patience).await;
    signals.abort();
    // Callers that left are charged by tasks of their own, on the workers: a settlement and its tries take seconds.
    if tokio::time::timeout(patience.max(SETTLING), tasks.finished()).await.is_err() {
        log::error("work after answers did not finish: what it held is given back at the next start", &[]);
    }
    workers.finish();
    let _ = tokio::task::spawn_blocking(move || house.join()).await;
    while gateway.tick().await.context("the archive could not be written")?.archived > 0 {}
    store.sync()?;
    log::info("stopped", &[]);
    Ok(())
}

/// Turns the first SIGTERM or SIGINT into a request to stop; a second one ends the process at once.
fn until_told(stopping: watch::Sender<bool>) -> Result<tokio::task::JoinHandle<()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::spawn(async move {
        let mut told = async || {
            tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            }
        };
        log::info("stopping", &[("signal", &told().await)]);
        stopping.send_replace(true);
        told().await;
        log::warn("ended at once", &[]);
        std::process::exit(1);
    }))
}

/// How many connections there may be: each needs a descriptor, and one for its upstream.
fn connections(wanted: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    const OTHERS: u64 = 64;
    let limit = getrlimit(Resource::Nofile);
    let enough = u64::try_from(wanted).unwrap_or(u64::MAX).saturating_mul(2).saturating_add(OTHERS);
    let mut current = limit.current.unwrap_or(u64::MAX);
    if current < enough {
        let raised = limit.maximum.unwrap_or(u64::MAX).min(enough);
        if setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: limit.maximum }).is_ok() {
            current = raised;
        }
    }
    let affordable = usize::try_from(current.saturating_sub(OTHERS) / 2).unwrap_or(usize::MAX).max(1);
    if affordable < wanted {
        log::warn("fewer connections than wished: too few descriptors", &[("connections", &affordable)]);
    }
    wanted.min(affordable)
}

/// A panic is logged by its place: its message may have a caller's words in it.
fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        log::error("panicked: this is a defect", &[("at", &place)]);
    }));
}
