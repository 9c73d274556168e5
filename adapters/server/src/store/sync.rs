//! From the journal into SQLite: once a second, and at the start.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;
use std::sync::Arc;

use gatelet_core::domain::{AccountId, ShardId};
use gatelet_core::port::{Entry, Fault, FaultKind};
use rusqlite::Connection;

use super::{Embedded, NotOpened, State, fault, journal};

/// An account's row, to be written.
struct Row {
    shard: ShardId,
    id: AccountId,
    state: Vec<u8>,
}

impl Embedded {
    /// Brings SQLite up to date and to the disk, forgets what the journal has said, and keeps memory small. Takes
    /// milliseconds: not for a thread that serves requests, which wait for microseconds of it.
    pub fn sync(&self) -> Result<(), Fault> {
        let mut writer = self.shared.writer();
        let (next, entries) = {
            let mut state = self.shared.lock();
            if state.failing.is_some() {
                state.commit();
            }
            if let Some(why) = &state.failing {
                return Err(Fault::new(FaultKind::Unavailable, "store.sync", why.as_str()));
            }
            if state.journal.is_empty() && !state.accounts.has_marked() {
                state.accounts.evict();
                return Ok(());
            }
            let next = state.journal.next().map_err(|error| {
                Fault::new(FaultKind::Unavailable, "store.sync", error.to_string()).with_source(error)
            })?;
            (next, state.outbox.clone())
        };
        let (rows, run) = self.rows()?;
        let written = write(
            &mut writer.db,
            &rows,
            run,
            entries.values().zip(entries.keys()).map(|(entry, (shard, _))| (shard, entry)),
        );
        let mut state = self.shared.lock();
        if let Err(fault) = written {
            for Row { shard, id, .. } in &rows {
                state.accounts.not_written(shard, id);
            }
            return Err(fault);
        }
        for Row { shard, id, .. } in &rows {
            state.accounts.written(shard, id);
        }
        writer.entries += entries.len();
        for key in entries.keys() {
            state.outbox.remove(key);
        }
        state.accounts.evict();
        drop(state);
        journal::forget(&self.shared.folder, next).map_err(|error| {
            Fault::new(FaultKind::Unavailable, "store.sync", error.to_string()).with_source(error)
        })
    }

    /// Bytes of records that wait to be archived: about what they take in memory.
    pub fn waiting(&self) -> usize {
        const RECORD: usize = 1_024;
        self.shared.lock().outbox.len() * RECORD
    }

    /// The rows of all accounts that changed, taken a few at a time.
    fn rows(&self) -> Result<(Vec<Row>, i64), Fault> {
        let mut rows = Vec::new();
        loop {
            let mut state = self.shared.lock();
            let marked = state.accounts.take_marked();
            if marked.is_empty() {
                return Ok((rows, state.accounts.run()));
            }
            for (shard, id) in marked {
                match state.accounts.unwritten(&shard, &id) {
                    Ok(Some(bytes)) => rows.push(Row { shard, id, state: bytes }),
                    Ok(None) => {}
                    Err(fault) => {
                        restore(&mut state, &rows);
                        return Err(fault);
                    }
                }
            }
            drop(state);
            // A lock that is taken again at once lets nobody else have it.
            std::thread::yield_now();
        }
    }
}

fn restore(state: &mut State, rows: &[Row]) {
    for Row { shard, id, .. } in rows {
        state.accounts.not_written(shard, id);
    }
}

fn write<'a>(
    db: &mut Connection,
    rows: &[Row],
    run: i64,
    entries: impl Iterator<Item = (&'a ShardId, &'a Entry)>,
) -> Result<(), Fault> {
    let failed = || fault("store.sync");
    // Rolled back when it is dropped before its commit.
    let transaction = db.transaction().map_err(failed())?;
    {
        let mut insert = transaction
            .prepare_cached("insert or replace into accounts (shard, id, state, run) values (?, ?, ?, ?)")
            .map_err(failed())?;
        let mut delete =
            transaction.prepare_cached("delete from accounts where shard = ? and id = ?").map_err(failed())?;
        for Row { shard, id, state } in rows {
            // An account of which nothing is left.
            if state.is_empty() {
                delete.execute([shard.as_str(), id.as_str()]).map_err(failed())?;
                continue;
            }
            insert.execute((shard.as_str(), id.as_str(), state, run)).map_err(failed())?;
        }
        let mut insert = transaction
            .prepare_cached("insert or ignore into entries (shard, id, line) values (?, ?, ?)")
            .map_err(failed())?;
        for (shard, entry) in entries {
            insert.execute((shard.as_str(), &*entry.id, &*entry.line)).map_err(failed())?;
        }
    }
    transaction.commit().map_err(failed())
}

/// The run of rows that come out of a journal. No run has this number: what these accounts held is given back when
/// they are read.
const NO_RUN: i64 = 0;

/// Moves what an earlier run left in its journal into SQLite, and answers the number of the next journal.
pub(super) fn recover(folder: &Path, db: &mut Connection) -> Result<u64, NotOpened> {
    let broken = |source| NotOpened::Folder { folder: folder.to_owned(), source };
    let failed = |fault: Fault| broken(io::Error::other(fault));
    let mut rows: HashMap<(String, String), Vec<u8>> = HashMap::new();
    let mut entries: BTreeMap<(ShardId, Arc<str>), Entry> = BTreeMap::new();
    let mut cleared: Vec<(String, String)> = Vec::new();
    let next = journal::replay(folder, |frame| {
        for account in frame.accounts {
            rows.insert((account.shard.to_owned(), account.id.to_owned()), account.state.into_owned());
        }
        for entry in frame.entries {
            let kept = Entry { id: entry.id.into(), line: entry.line.into(), settle: None };
            entries.insert((ShardId::new(entry.shard), Arc::clone(&kept.id)), kept);
        }
        for (shard, id) in frame.cleared {
            entries.remove(&(ShardId::new(shard), id.into()));
            cleared.push((shard.to_owned(), id.to_owned()));
        }
        Ok::<(), io::Error>(())
    })
    .map_err(broken)?;
    let rows: Vec<Row> = rows
        .into_iter()
        .map(|((shard, id), state)| Row { shard: ShardId::new(shard), id: AccountId::new(id), state })
        .collect();
    let lines = entries.iter().map(|((shard, _), entry)| (shard, entry));
    write(db, &rows, NO_RUN, lines).map_err(failed)?;
    delete(db, cleared.iter().map(|(shard, id)| (shard.as_str(), id.as_str()))).map_err(failed)?;
    journal::forget(folder, next).map_err(broken)?;
    Ok(next)
}

/// Forgets entries.
pub(super) fn delete<'a>(
    db: &mut Connection,
    entries: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<usize, Fault> {
    let failed = || fault("ledger.clear");
    let transaction = db.transaction().map_err(failed())?;
    let mut deleted = 0;
    {
        let mut delete =
            transaction.prepare_cached("delete from entries where shard = ? and id = ?").map_err(failed())?;
        for (shard, id) in entries {
            deleted += delete.execute([shard, id]).map_err(failed())?;
        }
    }
    transaction.commit().map_err(failed())?;
    Ok(deleted)
}
