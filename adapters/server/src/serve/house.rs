//! What is done every second, on a thread of its own: packing records and waiting for disks would make requests wait.

use std::io;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gatelet_core::Gateway;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::config::Config;
use crate::log;
use crate::store::Embedded;

const SECOND: Duration = Duration::from_secs(1);
/// Bytes of records that wait, above which they are archived before the second is over: memory does not grow with load.
const MANY: usize = 4 << 20;

pub(super) fn keep(
    gateway: Gateway,
    store: Embedded,
    mut config: Config,
    mut stop: watch::Receiver<bool>,
) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("house".to_owned()).spawn(move || {
        after_requests();
        let telling = tell(gateway.clone(), stop.clone());
        let keeping = async {
            let mut every = interval(Duration::from_millis(100));
            every.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut last: Option<Instant> = None;
            let (mut archive, mut disk) =
                (Complaint::new("archiving records failed"), Complaint::new("writing to disk failed"));
            loop {
                tokio::select! {
                    _ = every.tick() => {}
                    _ = stop.wait_for(|stop| *stop) => return,
                }
                if last.is_some_and(|last| last.elapsed() < SECOND) && store.waiting() < MANY {
                    continue;
                }
                last = Some(Instant::now());
                archive.note(gateway.archive().await.map(drop));
                disk.note(store.sync());
                reload(&gateway, &mut config);
            }
        };
        runtime.block_on(async { tokio::join!(keeping, telling) });
    })
}

/// Beside what is kept and not between: a sink that takes ten seconds for its answer would keep records from the disk for as long.
async fn tell(gateway: Gateway, mut stop: watch::Receiver<bool>) {
    let mut every = interval(SECOND);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tell = Complaint::new("telling of records failed");
    loop {
        tokio::select! {
            _ = every.tick() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        tell.note(gateway.tell().await.map(drop));
    }
}

/// A request that comes meanwhile goes first, also where one processor does everything; of a busy one a quarter is left for this
/// thread, which is more than it needs.
fn after_requests() {
    // Elsewhere this would be of the whole process.
    if cfg!(target_os = "linux") {
        let _ = rustix::process::setpriority_process(None, 5);
    }
}

/// A file that cannot be used changes nothing, and is complained of once.
fn reload(gateway: &Gateway, config: &mut Config) {
    match config.changed() {
        None => {}
        Some(Ok(policy)) => {
            gateway.replace_policy(policy);
            log::info("the configuration was read again", &[("models", &gateway.policy().names().len())]);
        }
        Some(Err(error)) => {
            log::error(
                "the changed configuration is wrong; the old one holds",
                &[("error", &format!("{error:#}"))],
            );
        }
    }
}

/// Something that may fail every second, and is told when it begins to and when it ends.
struct Complaint {
    what: &'static str,
    said: Option<String>,
}

impl Complaint {
    fn new(what: &'static str) -> Self {
        Self { what, said: None }
    }

    fn note<E: std::fmt::Display>(&mut self, result: Result<(), E>) {
        let now = result.err().map(|error| error.to_string());
        match (&self.said, &now) {
            (said, Some(error)) if said.as_ref() != Some(error) => log::error(self.what, &[("error", error)]),
            (Some(_), None) => log::info("it works again", &[("what", &self.what)]),
            (_, _) => {}
        }
        self.said = now;
    }
}
