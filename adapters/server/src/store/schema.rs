//! The database file: its tables and how it is opened.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::NotOpened;

/// The version of the tables below, kept in the file.
const VERSION: i64 = 1;
/// "gate": tells our files from others'.
const APPLICATION: i64 = 0x6761_7465;

/// Two connections: one reads while the other writes. Every commit is on the disk when it answers; the journal is there
/// so that no request waits for that.
const SETTINGS: &str = "
    pragma journal_mode = wal;
    pragma synchronous = full;
    pragma cache_size = -512;
    pragma temp_store = memory;
    pragma journal_size_limit = 4194304;
";

const TABLES: &str = "
    create table documents (
        name text primary key,
        version integer not null,
        bytes blob -- null: deleted; its version is never used again
    ) without rowid;
    create table accounts (
        shard text not null,
        id text not null,
        state blob not null,
        run integer not null, -- of the process that wrote it
        primary key (shard, id)
    ) without rowid;
    create table entries (
        shard text not null,
        id text not null,
        line text not null,
        primary key (shard, id)
    ) without rowid;
";

pub(super) fn open(file: &Path) -> Result<Connection, NotOpened> {
    let failed = |source| NotOpened::Database { file: file.to_owned(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let db = Connection::open_with_flags(file, flags).map_err(failed)?;
    db.execute_batch(SETTINGS).map_err(failed)?;
    let found: i64 = db.query_row("pragma user_version", [], |row| row.get(0)).map_err(failed)?;
    match found {
        VERSION => Ok(db),
        0 => {
            let make = format!(
                "begin; {TABLES} pragma application_id = {APPLICATION}; pragma user_version = {VERSION}; commit;"
            );
            db.execute_batch(&make).map_err(failed)?;
            Ok(db)
        }
        found => Err(NotOpened::Newer { file: file.to_owned(), found, known: VERSION }),
    }
}
