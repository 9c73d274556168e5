//! The port of documents.

use async_trait::async_trait;
use bytes::Bytes;
use gatelet_core::domain::Timestamp;
use gatelet_core::port::{Clock as _, Expect, Fault, FaultKind, Page, Store, Versioned};
use gatelet_tokio::SystemClock;
use rusqlite::{Connection, OptionalExtension as _};

use super::{Embedded, Writer, fault};

#[async_trait]
impl Store for Embedded {
    async fn get(&self, name: &str) -> Result<Option<Versioned>, Fault> {
        get(&self.shared.lock().db, name)
    }

    async fn put(&self, name: &str, bytes: Bytes, expect: Expect) -> Result<u64, Fault> {
        self.shared.writer().put(name, Some(&bytes), expect)
    }

    async fn delete(&self, name: &str) -> Result<(), Fault> {
        let mut writer = self.shared.writer();
        if get(&writer.db, name)?.is_some() {
            writer.put(name, None, Expect::Anything)?;
        }
        Ok(())
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page, Fault> {
        names(&self.shared.lock().db, prefix, after.unwrap_or_default(), limit)
    }

    async fn keep(&self, home: &str, name: &str, bytes: Bytes, until: Timestamp) -> Result<(), Fault> {
        self.shared.kept.keep(home, name, &bytes, SystemClock.now(), until)
    }

    async fn kept(&self, home: &str, name: &str, now: Timestamp) -> Result<Option<Bytes>, Fault> {
        self.shared.kept.get(home, name, now)
    }

    async fn discard(&self, home: &str, name: &str) -> Result<(), Fault> {
        self.shared.kept.discard(home, name)
    }
}

fn get(db: &Connection, name: &str) -> Result<Option<Versioned>, Fault> {
    let (version, bytes) = row(db, name)?;
    Ok(bytes.map(|bytes| Versioned { version, bytes: bytes.into() }))
}

/// The version that stands or was deleted, 0 for none; and what stands.
fn row(db: &Connection, name: &str) -> Result<(u64, Option<Vec<u8>>), Fault> {
    let read = || -> rusqlite::Result<Option<(i64, Option<Vec<u8>>)>> {
        let mut query = db.prepare_cached("select version, bytes from documents where name = ?")?;
        query.query_row([name], |row| Ok((row.get(0)?, row.get(1)?))).optional()
    };
    let row = read().map_err(fault("store.get"))?;
    Ok(row.map_or((0, None), |(version, bytes)| (u64::try_from(version).unwrap_or(0), bytes)))
}

impl Writer {
    fn put(&mut self, name: &str, bytes: Option<&[u8]>, expect: Expect) -> Result<u64, Fault> {
        // Nobody comes in between: there is one writer, and this is it.
        let (version, stands) = row(&self.db, name)?;
        let holds = match expect {
            Expect::Anything => true,
            Expect::Absent => stands.is_none(),
            Expect::Version(expected) => stands.is_some() && version == expected,
        };
        if !holds {
            return Err(Fault::new(FaultKind::Conflict, "store.put", name));
        }
        let next = version + 1;
        let write = || -> rusqlite::Result<()> {
            let mut write = self
                .db
                .prepare_cached("insert or replace into documents (name, version, bytes) values (?, ?, ?)")?;
            write.execute((name, i64::try_from(next).unwrap_or(i64::MAX), bytes)).map(|_| ())
        };
        write().map_err(fault("store.put"))?;
        Ok(next)
    }
}

fn names(db: &Connection, prefix: &str, after: &str, limit: usize) -> Result<Page, Fault> {
    let failed = || fault("store.list");
    let mut query = db
            .prepare_cached(
                "select name from documents where name >= ? and name > ? and bytes is not null order by name limit ?",
            )
            .map_err(failed())?;
    // One more than asked tells whether there is more.
    let most = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
    let rows = query.query_map((prefix, after, most), |row| row.get::<_, String>(0)).map_err(failed())?;
    let mut names = Vec::new();
    for name in rows {
        let name = name.map_err(failed())?;
        if !name.starts_with(prefix) {
            break;
        }
        names.push(name);
    }
    let more = names.len() > limit;
    names.truncate(limit);
    let next = if more { names.last().cloned() } else { None };
    Ok(Page { names, next })
}
