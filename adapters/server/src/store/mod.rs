//! The embedded store: SQLite in one folder, one process.
//!
//! Accounts live in memory; SQLite holds what must survive. What answers as durable has reached the operating system
//! (a killed process loses nothing); once a second [`Embedded::sync`] brings it to the disk (a power failure loses at
//! most that second).
//!
//! A reserve is only marked and written within a second: while its request runs it lives in this process's memory, and
//! when the process dies the request dies with it, unanswered. Whatever is settled is durable before it is answered,
//! and settling writes the whole account, so nothing that was charged or counted for an answered request is lost. Holds
//! that a dead process left behind are ended at the next start, since whoever held them is gone.
//!
//! Commits are shared: who settles first lets every task that is ready settle too, then writes for all of them.

mod accounts;
mod commit;
mod documents;
mod ledger;
mod schema;

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gatelet_core::port::{Clock as _, Fault, FaultKind};
use gatelet_tokio::SystemClock;
use rusqlite::Connection;

use accounts::Accounts;
use commit::Batch;

/// A store in a folder. Clones are the same store.
#[derive(Clone)]
pub struct Embedded {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// SQLite's write-ahead log: what [`Embedded::sync`] brings to the disk.
    log: PathBuf,
    /// Held for as long as the store is open.
    _lock: File,
}

struct State {
    db: Connection,
    accounts: Accounts,
    /// What the next commit writes.
    batch: Batch,
    /// Why the last commit failed. Nothing new is reserved until one succeeds: it could not be charged.
    failing: Option<String>,
    /// Something was committed since the last [`Embedded::sync`].
    unsynced: bool,
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum NotOpened {
    #[error("the data folder {} cannot be used", folder.display())]
    Folder { folder: PathBuf, source: io::Error },
    #[error(
        "the data folder {} is in use by another gatelet: stop it, or give this one its own folder with --data",
        folder.display()
    )]
    InUse { folder: PathBuf },
    #[error("the database {} cannot be opened", file.display())]
    Database { file: PathBuf, source: rusqlite::Error },
    #[error("the database {} has version {found}, and this program knows {known}: use a newer gatelet", file.display())]
    Newer { file: PathBuf, found: i64, known: i64 },
}

impl Embedded {
    /// Opens the store in `folder`, and makes both where they are missing.
    pub fn open(folder: &Path) -> Result<Self, NotOpened> {
        let lock = lock(folder)?;
        let file = folder.join("gatelet.db");
        let db = schema::open(&file)?;
        let accounts = Accounts::open(&db, run())
            .map_err(|source| NotOpened::Database { file: file.clone(), source })?;
        let state =
            Mutex::new(State { db, accounts, batch: Batch::default(), failing: None, unsynced: false });
        let log = folder.join("gatelet.db-wal");
        Ok(Self { shared: Arc::new(Shared { state, log, _lock: lock }) })
    }

    /// Writes what is only marked so far, brings everything to the disk, and keeps files and memory small. Takes
    /// milliseconds: not for a thread that serves requests. Requests wait for it only while it writes.
    pub fn sync(&self) -> Result<(), Fault> {
        while !self.shared.lock().flush()? {
            // A lock that is taken again at once lets nobody else have it.
            std::thread::yield_now();
        }
        let unsynced = {
            let mut state = self.shared.lock();
            state.accounts.evict();
            std::mem::take(&mut state.unsynced)
        };
        if !unsynced {
            return Ok(());
        }
        // Through a descriptor of its own, so that commits go on meanwhile.
        let synced = File::open(&self.shared.log).and_then(|log| log.sync_data());
        if let Err(source) = synced {
            self.shared.lock().unsynced = true;
            return Err(Fault::new(FaultKind::Unavailable, "store.sync", "fsync failed").with_source(source));
        }
        if self.log_is_long() {
            self.shared.lock().checkpoint()?;
        }
        Ok(())
    }

    fn log_is_long(&self) -> bool {
        const LONG: u64 = 16 << 20;
        std::fs::metadata(&self.shared.log).is_ok_and(|log| log.len() > LONG)
    }
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Embedded")
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while it was held has stopped one request; every change is whole or can be read again.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number that no earlier run of the process had: the moment of its start.
fn run() -> i64 {
    SystemClock.now().micros()
}

fn lock(folder: &Path) -> Result<File, NotOpened> {
    let failed = |source| NotOpened::Folder { folder: folder.to_owned(), source };
    let made = !folder.exists();
    std::fs::create_dir_all(folder).map_err(failed)?;
    if made {
        close_to_others(folder).map_err(failed)?;
    }
    let lock =
        File::options().create(true).write(true).truncate(false).open(folder.join("lock")).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(NotOpened::InUse { folder: folder.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// The folder tells who asked what.
#[cfg(unix)]
fn close_to_others(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn close_to_others(_folder: &Path) -> io::Result<()> {
    Ok(())
}

fn fault(operation: &'static str) -> impl FnOnce(rusqlite::Error) -> Fault {
    move |error| {
        let kind = match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
                FaultKind::Corrupt
            }
            _ => FaultKind::Unavailable,
        };
        Fault::new(kind, operation, error.to_string()).with_source(error)
    }
}
