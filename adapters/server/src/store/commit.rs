//! Shared commits.

use std::sync::{Arc, OnceLock};

use gatelet_core::domain::{AccountId, ShardId};
use gatelet_core::port::{Entry, Fault, FaultKind};
use rusqlite::Connection;
use tokio::sync::Notify;

use super::accounts::Accounts;
use super::{Shared, State, fault};

/// What the next commit writes, and who waits for it.
#[derive(Default)]
pub(super) struct Batch {
    accounts: Vec<(ShardId, AccountId)>,
    entries: Vec<(ShardId, Entry)>,
    round: Option<Arc<Round>>,
}

/// One commit, for those who wait.
#[derive(Default)]
struct Round {
    /// Why it failed, if it did.
    ended: OnceLock<Result<(), String>>,
    wake: Notify,
}

impl Batch {
    pub(super) fn add(
        &mut self,
        shard: &ShardId,
        accounts: impl IntoIterator<Item = AccountId>,
        entries: Vec<Entry>,
    ) {
        self.accounts.extend(accounts.into_iter().map(|account| (shard.clone(), account)));
        self.entries.extend(entries.into_iter().map(|entry| (shard.clone(), entry)));
    }

    /// A place in the next commit. Whoever comes first has to lead it.
    pub(super) fn join(&mut self) -> Place {
        let leads = self.round.is_none();
        let round = Arc::clone(self.round.get_or_insert_default());
        Place { round, leads }
    }
}

pub(super) struct Place {
    round: Arc<Round>,
    leads: bool,
}

impl Place {
    /// Waits until what was added has reached the operating system.
    pub(super) async fn committed(self, shared: &Shared) -> Result<(), Fault> {
        if self.leads {
            // If whoever awaits this goes away, the others still get their commit: it happens when this is dropped.
            let lead = Lead { shared };
            tokio::task::yield_now().await;
            drop(lead);
        }
        self.round.ended().await
    }
}

struct Lead<'a> {
    shared: &'a Shared,
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        self.shared.lock().commit();
    }
}

impl Round {
    async fn ended(&self) -> Result<(), Fault> {
        loop {
            let mut wake = std::pin::pin!(self.wake.notified());
            wake.as_mut().enable();
            if let Some(ended) = self.ended.get() {
                return ended.clone().map_err(|why| Fault::new(FaultKind::Unavailable, "ledger.commit", why));
            }
            wake.await;
        }
    }
}

impl State {
    /// Writes the batch and tells those who wait. What fails stays for the next.
    pub(super) fn commit(&mut self) {
        let Batch { accounts, entries, round } = std::mem::take(&mut self.batch);
        let ended = write(&self.db, &mut self.accounts, &accounts, &entries);
        match &ended {
            Ok(()) => {
                self.unsynced = true;
                self.failing = None;
            }
            Err(why) => {
                for (shard, id) in &accounts {
                    self.accounts.not_written(shard, id);
                }
                self.batch.accounts = accounts;
                self.batch.entries = entries;
                self.failing = Some(why.to_string());
            }
        }
        if let Some(round) = round {
            let _ = round.ended.set(ended.map_err(|why| why.to_string()));
            round.wake.notify_waiters();
        }
    }

    /// Writes some of what changed, whether somebody waits or not. Answers whether that was all.
    pub(super) fn flush(&mut self) -> Result<bool, Fault> {
        let marked = self.accounts.take_marked();
        if marked.is_empty() && self.batch.accounts.is_empty() && self.batch.entries.is_empty() {
            return Ok(true);
        }
        self.batch.accounts.extend(marked);
        self.commit();
        match &self.failing {
            None => Ok(false),
            Some(why) => Err(Fault::new(FaultKind::Unavailable, "ledger.commit", why.as_str())),
        }
    }

    /// Moves the log into the database file, so that the log begins anew.
    pub(super) fn checkpoint(&mut self) -> Result<(), Fault> {
        self.db
            .query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(()))
            .map_err(fault("store.checkpoint"))
    }
}

fn write(
    db: &Connection,
    accounts: &mut Accounts,
    changed: &[(ShardId, AccountId)],
    entries: &[(ShardId, Entry)],
) -> Result<(), Fault> {
    let failed = || fault("ledger.commit");
    db.prepare_cached("begin immediate").and_then(|mut begin| begin.execute([])).map_err(failed())?;
    let written = write_rows(db, accounts, changed, entries).and_then(|()| {
        db.prepare_cached("commit").and_then(|mut commit| commit.execute([])).map_err(failed())
    });
    if written.is_err() && !db.is_autocommit() {
        // Its own failure says nothing new, and leaves the transaction to be rolled back at the next start.
        let _ = db.execute_batch("rollback");
    }
    written.map(|_| ())
}

fn write_rows(
    db: &Connection,
    accounts: &mut Accounts,
    changed: &[(ShardId, AccountId)],
    entries: &[(ShardId, Entry)],
) -> Result<(), Fault> {
    let failed = || fault("ledger.commit");
    let mut row = db
        .prepare_cached("insert or replace into accounts (shard, id, state, run) values (?, ?, ?, ?)")
        .map_err(failed())?;
    for (shard, id) in changed {
        // Many requests of one key share a commit; its row is written once.
        if let Some(bytes) = accounts.unwritten(shard, id)? {
            row.execute((shard.as_str(), id.as_str(), bytes, accounts.run())).map_err(failed())?;
        }
    }
    let mut line = db
        .prepare_cached("insert or ignore into entries (shard, id, line, settle) values (?, ?, ?, ?)")
        .map_err(failed())?;
    for (shard, entry) in entries {
        let settle = entry.settle.as_ref().map(serde_json::to_string).transpose();
        let settle = settle.map_err(|error| {
            Fault::new(FaultKind::Corrupt, "ledger.commit", "an entry's settlement").with_source(error)
        })?;
        line.execute((shard.as_str(), &entry.id, &entry.line, settle)).map_err(failed())?;
    }
    Ok(())
}
