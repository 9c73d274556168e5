//! The database of one shard, and of the directory: what every ask does to it.
//!
//! Accounts that were read stay in memory: nobody else can write them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use gatelet_core::domain::account::{Account, Op};
use gatelet_core::domain::{AccountId, ShardId, Timestamp};
use gatelet_core::ledger;
use gatelet_core::port::{EXACT, Entry, Outcome, Transaction};
use worker::{SqlStorage, SqlStorageValue};

use crate::ask::{Blob, Document, Expected};

#[derive(Debug)]
pub(crate) struct Books {
    sql: SqlStorage,
    /// Whether the tables are there, if that is known. The first write makes them: whoever makes up a shard's name leaves
    /// no database behind.
    made: Cell<Option<bool>>,
    accounts: RefCell<HashMap<AccountId, Account>>,
}

/// Whatever a host's database may throw: the text goes to the log.
pub(crate) type Failed = Box<dyn std::error::Error>;

/// Accounts kept in memory; beyond it memory starts afresh. One is about a kilobyte.
const KEPT: usize = 5_000;

const SCHEMA: &str = "
    create table if not exists accounts (id text primary key, state blob not null) without rowid;
    create table if not exists outbox (id text primary key, line text not null) without rowid;
    create table if not exists known (id integer primary key);
    create table if not exists shards (id text primary key) without rowid;
    create table if not exists documents (
        name text primary key,
        version integer not null,
        body blob, -- null: deleted; its version is never used again
        published integer not null -- COPIED, COPYING or IN_DOUBT
    ) without rowid;
    create table if not exists configured (id integer primary key, version integer not null);
    create table if not exists kept (name text primary key, until integer not null, body blob not null);
    create index if not exists kept_until on kept (until);
";

/// What KV has of a document: the version that stands.
const COPIED: SqlStorageValue = SqlStorageValue::Integer(1);
/// Whoever wrote the version is copying it.
const COPYING: SqlStorageValue = SqlStorageValue::Integer(0);
/// Copies of several versions were under way at once: the alarm makes the last one.
const IN_DOUBT: SqlStorageValue = SqlStorageValue::Integer(2);

impl Books {
    pub(crate) fn open(sql: SqlStorage) -> Self {
        Self { sql, made: Cell::new(None), accounts: RefCell::default() }
    }

    /// After what was written is rolled back, memory may be ahead of it, and even the tables may be gone.
    pub(crate) fn forget(&self) {
        self.accounts.borrow_mut().clear();
        self.made.set(None);
    }

    /// Transactions that are written together.
    pub(crate) fn batch(&self) -> Batch<'_> {
        Batch { books: self, open: HashMap::new(), entries: Vec::new() }
    }

    pub(crate) fn account(&self, id: &AccountId) -> Result<Option<Account>, Failed> {
        if let Some(account) = self.accounts.borrow().get(id) {
            return Ok(Some(account.clone()).filter(|account| !account.is_blank()));
        }
        let Some(account) = self.read(id)? else { return Ok(None) };
        self.keep(id.clone(), account.clone());
        Ok(Some(account))
    }

    /// As [`Books::account`], and no longer kept.
    fn take(&self, id: &AccountId) -> Result<Option<Account>, Failed> {
        let kept = self.accounts.borrow_mut().remove(id);
        if kept.is_some() {
            return Ok(kept);
        }
        self.read(id)
    }

    fn read(&self, id: &AccountId) -> Result<Option<Account>, Failed> {
        let mut rows = self.rows("select state from accounts where id = ?", vec![id.as_str().into()])?;
        let Some(row) = rows.pop() else { return Ok(None) };
        let [state] = columns(row)?;
        Ok(Some(Account::from_bytes(&blob(state)?)?))
    }

    fn keep(&self, id: AccountId, account: Account) {
        let mut accounts = self.accounts.borrow_mut();
        if accounts.len() >= KEPT && !accounts.contains_key(&id) {
            accounts.clear();
        }
        accounts.insert(id, account);
    }

    pub(crate) fn accounts(
        &self,
        prefix: &str,
        after: Option<&AccountId>,
        limit: usize,
    ) -> Result<Vec<(AccountId, Blob)>, Failed> {
        let query = "select id, state from accounts where id >= ?1 and id < ?1 || char(1114111)
                     and id > ?2 order by id limit ?3";
        let after = after.map(AccountId::as_str).unwrap_or_default();
        let rows = self.rows(query, vec![prefix.into(), after.into(), count(limit)])?;
        let pair = |row| {
            let [id, state] = columns(row)?;
            Ok((AccountId::new(text(id)?), Blob(blob(state)?.into())))
        };
        rows.into_iter().map(pair).collect()
    }

    pub(crate) fn outbox(&self, limit: usize) -> Result<Vec<Entry>, Failed> {
        let rows = self.rows("select id, line from outbox order by id limit ?", vec![count(limit)])?;
        let entry = |row| {
            let [id, line] = columns(row)?;
            Ok(Entry { id: text(id)?.into(), line: text(line)?.into(), settle: None })
        };
        rows.into_iter().map(entry).collect()
    }

    pub(crate) fn clear(&self, entries: &[String]) -> Result<(), Failed> {
        for id in entries {
            self.run("delete from outbox where id = ?", vec![id.as_str().into()])?;
        }
        Ok(())
    }

    /// Whether the directory has noted this shard.
    pub(crate) fn is_known(&self) -> Result<bool, Failed> {
        Ok(!self.rows("select id from known", vec![])?.is_empty())
    }

    pub(crate) fn set_known(&self) -> Result<(), Failed> {
        self.run("insert or ignore into known values (1)", vec![])
    }

    /// The newest version of the configuration that this shard was told; 0 for none.
    pub(crate) fn configured(&self) -> Result<u64, Failed> {
        let mut rows = self.rows("select version from configured", vec![])?;
        let Some(row) = rows.pop() else { return Ok(0) };
        let [version] = columns(row)?;
        Ok(u64::try_from(integer(&version)?)?)
    }

    pub(crate) fn set_configured(&self, version: u64) -> Result<(), Failed> {
        self.run(
            "insert into configured values (1, ?) on conflict (id) do update
             set version = max(version, excluded.version)",
            vec![whole(version)],
        )
    }

    pub(crate) fn register(&self, shard: &ShardId) -> Result<(), Failed> {
        self.run("insert or ignore into shards values (?)", vec![shard.as_str().into()])
    }

    pub(crate) fn shards(&self) -> Result<Vec<String>, Failed> {
        self.texts("select id from shards order by id", vec![])
    }

    pub(crate) fn document(&self, name: &str) -> Result<Option<Document>, Failed> {
        let mut rows = self.rows(
            "select version, body from documents where name = ? and body is not null",
            vec![name.into()],
        )?;
        let Some(row) = rows.pop() else { return Ok(None) };
        let [version, body] = columns(row)?;
        Ok(Some(Document { version: u64::try_from(integer(&version)?)?, bytes: Blob(blob(body)?.into()) }))
    }

    /// The new version; none when `expect` does not hold.
    pub(crate) fn put_document(
        &self,
        name: &str,
        bytes: &Blob,
        expect: Expected,
    ) -> Result<Option<u64>, Failed> {
        let current = self.document(name)?.map(|document| document.version);
        if !expect.holds(current) {
            return Ok(None);
        }
        let version = self.last_version(name)?.saturating_add(1);
        // What is read here alone has no copy that could be behind.
        let copying = if name.starts_with(EXACT) { COPIED } else { COPYING };
        self.run(
            "insert into documents values (?, ?, ?, ?4) on conflict (name) do update
             set version = excluded.version, body = excluded.body,
             published = case when published = ?5 then ?4 else ?6 end",
            vec![
                name.into(),
                whole(version),
                SqlStorageValue::Blob(bytes.0.to_vec()),
                copying,
                COPIED,
                IN_DOUBT,
            ],
        )?;
        Ok(Some(version))
    }

    /// The version that stands or was deleted; 0 for none.
    pub(crate) fn last_version(&self, name: &str) -> Result<u64, Failed> {
        let mut rows = self.rows("select version from documents where name = ?", vec![name.into()])?;
        let Some(row) = rows.pop() else { return Ok(0) };
        let [version] = columns(row)?;
        Ok(u64::try_from(integer(&version)?)?)
    }

    /// Whoever wrote this version has copied it to KV. Where that is not the only writer since KV was known to be right,
    /// nobody knows whose copy came last.
    pub(crate) fn set_published(&self, name: &str, version: u64) -> Result<(), Failed> {
        self.run(
            "update documents set published = case when version = ?2 and published <> ?4 then ?3 else ?4 end
             where name = ?1",
            vec![name.into(), whole(version), COPIED, IN_DOUBT],
        )
    }

    /// The alarm has copied this version to KV, or deleted it there, and nobody else was at it.
    pub(crate) fn set_repaired(&self, name: &str, version: u64) -> Result<(), Failed> {
        let query = "update documents set published = ?3 where name = ?1 and version = ?2";
        self.run(query, vec![name.into(), whole(version), COPIED])
    }

    /// Names of documents that KV may not have as they are.
    pub(crate) fn unpublished(&self) -> Result<Vec<String>, Failed> {
        self.texts("select name from documents where published <> ?", vec![COPIED])
    }

    /// The version of the deletion: those of documents go on from there.
    pub(crate) fn delete_document(&self, name: &str) -> Result<u64, Failed> {
        self.run(
            "update documents set body = null, version = version + 1,
             published = case when published = ?2 then ?3 else ?4 end where name = ?1 and body is not null",
            vec![name.into(), COPIED, COPYING, IN_DOUBT],
        )?;
        self.last_version(name)
    }

    pub(crate) fn documents(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<String>, Failed> {
        let query = "select name from documents where name >= ?1 and name < ?1 || char(1114111)
                     and name > ?2 and body is not null order by name limit ?3";
        self.texts(query, vec![prefix.into(), after.into(), count(limit)])
    }

    fn is_made(&self) -> Result<bool, Failed> {
        if let Some(made) = self.made.get() {
            return Ok(made);
        }
        let tables = self.sql.exec("select name from sqlite_master where name = 'configured'", None)?;
        let made = tables.raw().next().transpose()?.is_some();
        self.made.set(Some(made));
        Ok(made)
    }

    pub(crate) fn put_kept(
        &self,
        name: &str,
        bytes: &Blob,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<(), Failed> {
        self.run(
            "insert or replace into kept values (?, ?, ?)",
            vec![name.into(), moment(until), SqlStorageValue::Blob(bytes.0.to_vec())],
        )?;
        self.sweep(now)
    }

    pub(crate) fn kept(&self, name: &str, now: Timestamp) -> Result<Option<Blob>, Failed> {
        let query = "select body from kept where name = ? and until > ?";
        let Some(row) = self.rows(query, vec![name.into(), moment(now)])?.pop() else { return Ok(None) };
        let [body] = columns(row)?;
        Ok(Some(Blob(blob(body)?.into())))
    }

    pub(crate) fn discard(&self, name: &str) -> Result<(), Failed> {
        self.run("delete from kept where name = ?", vec![name.into()])
    }

    /// Takes out what is over.
    pub(crate) fn sweep(&self, now: Timestamp) -> Result<(), Failed> {
        self.run("delete from kept where until <= ?", vec![moment(now)])
    }

    /// When something that is kept will be over next.
    pub(crate) fn next_over(&self) -> Result<Option<Timestamp>, Failed> {
        let query = "select until from kept order by until limit 1";
        let Some(row) = self.rows(query, vec![])?.pop() else { return Ok(None) };
        let [until] = columns(row)?;
        Ok(Some(Timestamp::from_micros(integer(&until)?)))
    }

    /// Writes.
    fn run(&self, query: &str, values: Vec<SqlStorageValue>) -> Result<(), Failed> {
        if !self.is_made()? {
            self.sql.exec(SCHEMA, None)?;
            self.made.set(Some(true));
        }
        self.sql.exec(query, values)?;
        Ok(())
    }

    fn rows(&self, query: &str, values: Vec<SqlStorageValue>) -> Result<Vec<Vec<SqlStorageValue>>, Failed> {
        if !self.is_made()? {
            return Ok(Vec::new());
        }
        Ok(self.sql.exec(query, values)?.raw().collect::<worker::Result<_>>()?)
    }

    fn texts(&self, query: &str, values: Vec<SqlStorageValue>) -> Result<Vec<String>, Failed> {
        let first = |row| {
            let [value] = columns(row)?;
            text(value)
        };
        self.rows(query, values)?.into_iter().map(first).collect()
    }
}

/// Transactions that take effect one after the other, and are written together: each account once, whoever changed it.
pub(crate) struct Batch<'a> {
    books: &'a Books,
    open: HashMap<AccountId, Open>,
    entries: Vec<Entry>,
}

/// An account as it stands after the transactions so far.
#[derive(Default)]
struct Open {
    account: Account,
    changed: bool,
}

impl Batch<'_> {
    /// All accounts accept, or none is changed; the entries are kept whatever the grant. One that fails has done
    /// nothing.
    pub(crate) fn transact(&mut self, transaction: Transaction, now: Timestamp) -> Result<Outcome, Failed> {
        let ids = ledger::distinct(&transaction.accounts);
        for id in &ids {
            if !self.open.contains_key(id) {
                let found = self.books.take(id)?;
                self.open.insert(id.clone(), Open { account: found.unwrap_or_default(), changed: false });
            }
        }
        let mut accounts: Vec<(AccountId, Account)> = ids
            .into_iter()
            .filter_map(|id| {
                let account = std::mem::take(&mut self.open.get_mut(&id)?.account);
                Some((id, account))
            })
            .collect();
        let sweeps = matches!(transaction.op, Op::Sweep);
        let outcome = ledger::transact(&mut accounts, &transaction, now);
        for (id, account) in accounts {
            if let Some(open) = self.open.get_mut(&id) {
                // What was only looked at does not come to be.
                open.changed |= outcome.grant.changes() && (sweeps || !account.is_blank());
                open.account = account;
            }
        }
        self.entries.extend(transaction.entries);
        Ok(outcome)
    }

    /// Writes all of it, or fails: then nothing of it may be kept, in memory neither.
    pub(crate) fn write(self) -> Result<(), Failed> {
        /// A statement takes a hundred values.
        const ROWS: usize = 50;
        let Self { books, open, entries } = self;
        for (id, Open { account, changed }) in open {
            if changed && account.is_blank() {
                books.run("delete from accounts where id = ?", vec![id.as_str().into()])?;
            } else if changed {
                books.run(
                    "insert into accounts values (?, ?) on conflict (id) do update set state = excluded.state",
                    vec![id.as_str().into(), SqlStorageValue::Blob(account.to_bytes()?)],
                )?;
            }
            // That there is none is kept too: many requests look for what has no limits.
            books.keep(id, account);
        }
        let mut entries = entries.into_iter().peekable();
        while entries.peek().is_some() {
            let values: Vec<SqlStorageValue> = entries
                .by_ref()
                .take(ROWS)
                .flat_map(|entry| [entry.id.to_string().into(), entry.line.to_string().into()])
                .collect();
            let rows = vec!["(?, ?)"; values.len() / 2].join(", ");
            books.run(&format!("insert or ignore into outbox values {rows}"), values)?;
        }
        Ok(())
    }
}

fn columns<const N: usize>(row: Vec<SqlStorageValue>) -> Result<[SqlStorageValue; N], Failed> {
    row.try_into().map_err(|row| format!("expected {N} columns, found {row:?}").into())
}

fn text(value: SqlStorageValue) -> Result<String, Failed> {
    match value {
        SqlStorageValue::String(text) => Ok(text),
        other => Err(format!("expected text in the database, found {other:?}").into()),
    }
}

fn blob(value: SqlStorageValue) -> Result<Vec<u8>, Failed> {
    match value {
        SqlStorageValue::Blob(bytes) => Ok(bytes),
        other => Err(format!("expected bytes in the database, found {other:?}").into()),
    }
}

fn integer(value: &SqlStorageValue) -> Result<i64, Failed> {
    match value {
        SqlStorageValue::Integer(integer) => Ok(*integer),
        other => Err(format!("expected an integer in the database, found {other:?}").into()),
    }
}

fn moment(at: Timestamp) -> SqlStorageValue {
    SqlStorageValue::Integer(at.micros().clamp(0, 1 << 53))
}

fn count(limit: usize) -> SqlStorageValue {
    whole(limit as u64)
}

/// Integers of JavaScript end at 2^53; versions and limits are far below.
fn whole(value: u64) -> SqlStorageValue {
    SqlStorageValue::Integer(i64::try_from(value).unwrap_or(i64::MAX).min(1 << 53))
}
