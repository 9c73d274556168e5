//! Answers that may be given again: a database of its own, bounded by its bytes. Nothing depends on it, so its commits need
//! not reach the disk, and what is over or too much goes.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use gatelet_core::domain::Timestamp;
use gatelet_core::port::{Answers, Clock as _, Fault};
use gatelet_tokio::SystemClock;
use rusqlite::{Connection, OptionalExtension as _};

use super::{Embedded, NotOpened, fault};

const TABLES: &str = "
    pragma journal_mode = wal;
    pragma synchronous = off;
    pragma cache_size = -256;
    pragma temp_store = memory;
    pragma journal_size_limit = 4194304;
    create table if not exists answers (
        name text not null primary key,
        until integer not null, -- microseconds since 1970
        bytes blob not null
    );
    create index if not exists answers_until on answers (until);
";

/// All answers together, in bytes.
const MOST: i64 = 1 << 30;
const OVER: &str = "delete from answers where rowid in
    (select rowid from answers where until <= ? limit ?) returning length(bytes)";
const SOONEST: &str = "delete from answers where rowid in
    (select rowid from answers order by until limit ?) returning length(bytes)";
/// How many go at a time, with each that comes.
const SWEEP: i64 = 16;

pub(super) struct Kept(Mutex<State>);

struct State {
    db: Connection,
    bytes: i64,
}

impl Kept {
    pub(super) fn open(folder: &Path) -> Result<Self, NotOpened> {
        let file = folder.join("answers.db");
        let open = || {
            let db = Connection::open(&file)?;
            db.execute_batch(TABLES)?;
            let bytes =
                db.query_row("select coalesce(sum(length(bytes)), 0) from answers", [], |row| row.get(0))?;
            Ok(Self(Mutex::new(State { db, bytes })))
        };
        open().map_err(|source| NotOpened::Database { file: file.clone(), source })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, name: &str, now: Timestamp) -> Result<Option<Bytes>, Fault> {
        let state = self.lock();
        let read = || -> rusqlite::Result<Option<Vec<u8>>> {
            let mut query =
                state.db.prepare_cached("select bytes from answers where name = ? and until > ?")?;
            query.query_row((name, now.micros()), |row| row.get(0)).optional()
        };
        Ok(read().map_err(fault("answers.get"))?.map(Bytes::from))
    }

    fn put(
        &self,
        name: &str,
        bytes: &[u8],
        until: Timestamp,
        now: Timestamp,
        most: i64,
    ) -> Result<(), Fault> {
        let mut state = self.lock();
        let State { db, bytes: held } = &mut *state;
        let mut write = || -> rusqlite::Result<()> {
            *held -= gone(db, "delete from answers where name = ? returning length(bytes)", [name])?;
            db.prepare_cached("insert into answers (name, until, bytes) values (?, ?, ?)")?.execute((
                name,
                until.micros(),
                bytes,
            ))?;
            *held += i64::try_from(bytes.len()).unwrap_or(i64::MAX);
            *held -= gone(db, OVER, (now.micros(), SWEEP))?;
            // What ends next goes first.
            while *held > most {
                let freed = gone(db, SOONEST, [SWEEP])?;
                if freed == 0 {
                    break;
                }
                *held -= freed;
            }
            Ok(())
        };
        write().map_err(fault("answers.put"))
    }
}

/// The bytes that a deletion freed.
fn gone(db: &Connection, sql: &str, parameters: impl rusqlite::Params) -> rusqlite::Result<i64> {
    let mut delete = db.prepare_cached(sql)?;
    let mut freed = 0;
    for bytes in delete.query_map(parameters, |row| row.get::<_, i64>(0))? {
        freed += bytes?;
    }
    Ok(freed)
}

#[async_trait]
impl Answers for Embedded {
    async fn get(&self, name: &str, now: Timestamp) -> Result<Option<Bytes>, Fault> {
        self.shared.answers.get(name, now)
    }

    async fn put(&self, name: &str, bytes: Bytes, until: Timestamp) -> Result<(), Fault> {
        self.shared.answers.put(name, &bytes, until, SystemClock.now(), MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_goes_and_the_sum_stays_true() {
        let folder = tempfile::tempdir().unwrap();
        let at = Timestamp::from_seconds;
        {
            let kept = Kept::open(folder.path()).unwrap();
            for nth in 0..100_i64 {
                kept.put(&format!("n{nth}"), &[7; 100], at(1_000 + nth), at(1), 5_000).unwrap();
            }
            kept.put("n99", &[8; 50], at(2_000), at(1), 5_000).unwrap();
            assert_eq!(kept.get("n99", at(1)).unwrap().unwrap().len(), 50, "the last one stands");
            assert_eq!(kept.get("n0", at(1)).unwrap(), None, "what ended first has gone");
            assert_eq!(kept.get("n99", at(2_000)).unwrap(), None, "its time is over");
        }
        let kept = Kept::open(folder.path()).unwrap();
        let held = kept.lock().bytes;
        let true_sum: i64 =
            kept.lock().db.query_row("select sum(length(bytes)) from answers", [], |row| row.get(0)).unwrap();
        assert_eq!(held, true_sum);
        assert!((3_000..=5_000).contains(&held), "{held}");
    }
}
