//! The embedded store: SQLite and a journal in one folder, one process.
//!
//! Accounts live in memory. What answers as durable is in the [`journal`] and has reached the operating system: a killed
//! process loses nothing. Once a second [`Embedded::sync`] moves it into SQLite, and to the disk: a power failure
//! loses at most that second.
//!
//! A reserve is only marked, and written with the next `sync`: while its request runs it lives in this process's
//! memory, and when the process dies the request dies with it, unanswered. Whatever is settled is durable before it is
//! answered, and settling writes the whole account, so nothing that was charged or counted for an answered request is
//! lost. Holds that a dead process left behind are ended at the next start, since whoever held them is gone.
//!
//! Commits are shared: who settles first lets every task that is ready settle too, then writes for all of them.

mod accounts;
mod answers;
mod commit;
mod documents;
mod journal;
mod kept;
mod ledger;
mod schema;
mod sync;

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gatelet_core::domain::{Notices, ShardId};
use gatelet_core::port::{Clock as _, Entry, Fault, FaultKind};
use gatelet_tokio::SystemClock;
use rusqlite::Connection;

use accounts::Accounts;
use commit::Batch;
use journal::Journal;

/// A store in a folder. Clones are the same store.
#[derive(Clone)]
pub struct Embedded {
    shared: Arc<Shared>,
}

struct Shared {
    folder: PathBuf,
    /// Held for milliseconds. Who needs both takes this one first.
    writer: Mutex<Writer>,
    /// Held for microseconds: requests wait for it.
    state: Mutex<State>,
    kept: kept::Kept,
    answers: answers::Kept,
    /// Held for as long as the store is open.
    _lock: File,
}

struct Writer {
    db: Connection,
    /// Entries in SQLite: those that could not be archived within a second or so. Mostly none, which saves asking.
    entries: usize,
}

struct State {
    /// Reads while the writer writes.
    db: Connection,
    accounts: Accounts,
    /// What the next commit writes.
    batch: Batch,
    journal: Journal,
    /// Entries that are in the journal alone.
    outbox: BTreeMap<(ShardId, Arc<str>), Entry>,
    /// What was told of targets.
    notices: BTreeMap<ShardId, Notices>,
    /// Why the last commit failed. Nothing new is reserved until one succeeds: it could not be charged.
    failing: Option<String>,
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
        let mut db = schema::open(&file)?;
        let number = sync::recover(folder, &mut db)?;
        let failed = |source| NotOpened::Database { file: file.clone(), source };
        let count = db.query_row("select count(*) from entries", [], |row| row.get::<_, i64>(0));
        let entries = usize::try_from(count.map_err(failed)?).unwrap_or(0);
        let reader = schema::open(&file)?;
        let accounts = Accounts::open(&reader, run()).map_err(failed)?;
        let journal = Journal::begin(folder, number)
            .map_err(|source| NotOpened::Folder { folder: folder.to_owned(), source })?;
        let state = State {
            notices: BTreeMap::new(),
            db: reader,
            accounts,
            batch: Batch::default(),
            journal,
            outbox: BTreeMap::new(),
            failing: None,
        };
        Ok(Self {
            shared: Arc::new(Shared {
                folder: folder.to_owned(),
                writer: Mutex::new(Writer { db, entries }),
                state: Mutex::new(state),
                kept: kept::Kept::open(folder)?,
                answers: answers::Kept::open(folder)?,
                _lock: lock,
            }),
        })
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

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
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
