//! The database of one shard, and of the directory: what every ask does to it.
//!
//! Accounts that were read stay in memory: nobody else can write them.

use std::cell::RefCell;
use std::collections::HashMap;

use gatelet_core::domain::account::Account;
use gatelet_core::domain::{AccountId, ShardId, Timestamp};
use gatelet_core::ledger;
use gatelet_core::port::{Entry, Outcome, Transaction};
use worker::{SqlStorage, SqlStorageValue};

use crate::ask::{Blob, Document, Expected};

#[derive(Debug)]
pub(crate) struct Books {
    sql: SqlStorage,
    accounts: RefCell<HashMap<AccountId, Account>>,
}

/// Whatever a host's database may throw: the text goes to the log.
pub(crate) type Failed = Box<dyn std::error::Error>;

/// Accounts kept in memory; beyond it memory starts afresh. One is about a kilobyte.
const KEPT: usize = 5_000;

const SCHEMA: &str = "
    create table if not exists accounts (id text primary key, state blob not null) without rowid;
    create table if not exists outbox (id text primary key, entry text not null) without rowid;
    create table if not exists known (id integer primary key);
    create table if not exists shards (id text primary key) without rowid;
    create table if not exists documents (
        name text primary key,
        version integer not null,
        body blob, -- null: deleted; its version is never used again
        published integer not null
    ) without rowid;
";

impl Books {
    pub(crate) fn open(sql: SqlStorage) -> Result<Self, Failed> {
        sql.exec(SCHEMA, None)?;
        Ok(Self { sql, accounts: RefCell::default() })
    }

    /// After what was written is rolled back, memory may be ahead of it.
    pub(crate) fn forget(&self) {
        self.accounts.borrow_mut().clear();
    }

    /// All accounts accept, or none is written; the entries are kept whatever the grant.
    pub(crate) fn transact(&self, transaction: &Transaction, now: Timestamp) -> Result<Outcome, Failed> {
        let mut accounts = Vec::with_capacity(transaction.accounts.len());
        for id in ledger::distinct(&transaction.accounts) {
            let account = self.account(&id)?.unwrap_or_default();
            accounts.push((id, account));
        }
        let outcome = ledger::transact(&mut accounts, transaction, now);
        if outcome.grant.changes() {
            for (id, account) in accounts {
                self.run(
                    "insert into accounts values (?, ?) on conflict (id) do update set state = excluded.state",
                    vec![id.as_str().into(), SqlStorageValue::Blob(account.to_bytes()?)],
                )?;
                self.keep(id, account);
            }
        }
        for entry in &transaction.entries {
            let text = serde_json::to_string(entry)?;
            self.run(
                "insert or ignore into outbox values (?, ?)",
                vec![entry.id.as_str().into(), text.into()],
            )?;
        }
        Ok(outcome)
    }

    pub(crate) fn account(&self, id: &AccountId) -> Result<Option<Account>, Failed> {
        if let Some(account) = self.accounts.borrow().get(id) {
            return Ok(Some(account.clone()));
        }
        let mut rows = self.rows("select state from accounts where id = ?", vec![id.as_str().into()])?;
        let Some(row) = rows.pop() else { return Ok(None) };
        let [state] = columns(row)?;
        let account = Account::from_bytes(&blob(state)?)?;
        self.keep(id.clone(), account.clone());
        Ok(Some(account))
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
        let found = self.texts("select entry from outbox order by id limit ?", vec![count(limit)])?;
        found.iter().map(|text| Ok(serde_json::from_str(text)?)).collect()
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
        self.run(
            "insert into documents values (?, ?, ?, 0) on conflict (name) do update
             set version = excluded.version, body = excluded.body, published = 0",
            vec![name.into(), whole(version), SqlStorageValue::Blob(bytes.0.to_vec())],
        )?;
        Ok(Some(version))
    }

    /// The version that stands or was deleted; 0 for none.
    fn last_version(&self, name: &str) -> Result<u64, Failed> {
        let mut rows = self.rows("select version from documents where name = ?", vec![name.into()])?;
        let Some(row) = rows.pop() else { return Ok(0) };
        let [version] = columns(row)?;
        Ok(u64::try_from(integer(&version)?)?)
    }

    pub(crate) fn set_published(&self, name: &str, version: u64) -> Result<(), Failed> {
        let query = "update documents set published = 1 where name = ? and version = ?";
        self.run(query, vec![name.into(), whole(version)])
    }

    /// Names of documents that KV may not have yet.
    pub(crate) fn unpublished(&self) -> Result<Vec<String>, Failed> {
        self.texts("select name from documents where published = 0", vec![])
    }

    pub(crate) fn delete_document(&self, name: &str) -> Result<(), Failed> {
        self.run("update documents set body = null, published = 1 where name = ?", vec![name.into()])
    }

    pub(crate) fn documents(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<String>, Failed> {
        let query = "select name from documents where name >= ?1 and name < ?1 || char(1114111)
                     and name > ?2 and body is not null order by name limit ?3";
        self.texts(query, vec![prefix.into(), after.into(), count(limit)])
    }

    fn run(&self, query: &str, values: Vec<SqlStorageValue>) -> Result<(), Failed> {
        self.sql.exec(query, values)?;
        Ok(())
    }

    fn rows(&self, query: &str, values: Vec<SqlStorageValue>) -> Result<Vec<Vec<SqlStorageValue>>, Failed> {
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

fn count(limit: usize) -> SqlStorageValue {
    whole(limit as u64)
}

/// Integers of JavaScript end at 2^53; versions and limits are far below.
fn whole(value: u64) -> SqlStorageValue {
    SqlStorageValue::Integer(i64::try_from(value).unwrap_or(i64::MAX).min(1 << 53))
}
