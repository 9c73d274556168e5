//! What is kept for a time: answers that callers go on from.
//!
//! A database of its own: what is kept may be large, and its commits need not reach the disk one by one. A killed process
//! loses nothing; a power failure loses what the operating system had not written.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use gatelet_core::domain::Timestamp;
use gatelet_core::port::{Fault, FaultKind, MOST_KEPT};
use rusqlite::{Connection, OptionalExtension as _};

use super::{NotOpened, fault};

const TABLES: &str = "
    pragma journal_mode = wal;
    pragma synchronous = normal;
    pragma cache_size = -256;
    pragma temp_store = memory;
    pragma journal_size_limit = 4194304;
    create table if not exists kept (
        home text not null,
        name text not null,
        until integer not null, -- microseconds since 1970
        bytes blob not null,
        primary key (home, name)
    );
    create index if not exists kept_until on kept (until);
";

/// How many that are over are taken out with each that is put in.
const SWEEP: i64 = 16;

pub(super) struct Kept(Mutex<Connection>);

impl Kept {
    pub(super) fn open(folder: &Path) -> Result<Self, NotOpened> {
        let file = folder.join("kept.db");
        let open = || {
            let db = Connection::open(&file)?;
            db.execute_batch(TABLES)?;
            Ok(Self(Mutex::new(db)))
        };
        open().map_err(|source| NotOpened::Database { file: file.clone(), source })
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn keep(
        &self,
        home: &str,
        name: &str,
        bytes: &Bytes,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<(), Fault> {
        const OPERATION: &str = "store.keep";
        if bytes.len() > MOST_KEPT {
            return Err(Fault::new(FaultKind::TooLarge, OPERATION, name));
        }
        let db = self.lock();
        let write = || -> rusqlite::Result<()> {
            db.prepare_cached("insert or replace into kept (home, name, until, bytes) values (?, ?, ?, ?)")?
                .execute((home, name, until.micros(), bytes.as_ref()))?;
            db.prepare_cached(
                "delete from kept where rowid in (select rowid from kept where until <= ? limit ?)",
            )?
            .execute((now.micros(), SWEEP))?;
            Ok(())
        };
        write().map_err(fault(OPERATION))
    }

    pub(super) fn get(&self, home: &str, name: &str, now: Timestamp) -> Result<Option<Bytes>, Fault> {
        let db = self.lock();
        let read = || -> rusqlite::Result<Option<Vec<u8>>> {
            let mut query =
                db.prepare_cached("select bytes from kept where home = ? and name = ? and until > ?")?;
            query.query_row((home, name, now.micros()), |row| row.get(0)).optional()
        };
        Ok(read().map_err(fault("store.kept"))?.map(Bytes::from))
    }

    pub(super) fn discard(&self, home: &str, name: &str) -> Result<(), Fault> {
        let db = self.lock();
        let write = || -> rusqlite::Result<()> {
            db.prepare_cached("delete from kept where home = ? and name = ?")?.execute((home, name))?;
            Ok(())
        };
        write().map_err(fault("store.discard"))
    }
}
