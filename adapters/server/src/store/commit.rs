//! Shared commits.

use std::sync::{Arc, OnceLock};

use gatelet_core::domain::{AccountId, ShardId};
use gatelet_core::port::{Entry, Fault, FaultKind};
use tokio::sync::Notify;

use super::journal::{AccountState, EntryLine, Frame};
use super::{Shared, State};

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

    fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.entries.is_empty()
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
        let mut batch = std::mem::take(&mut self.batch);
        let round = batch.round.take();
        let ended = if batch.is_empty() { Ok(()) } else { self.write(&mut batch) };
        match &ended {
            Ok(()) => {
                for (shard, entry) in batch.entries {
                    // Accounts and entries are written in one step here: nothing is left to settle.
                    let entry = Entry { settle: None, ..entry };
                    self.outbox.insert((shard, Arc::clone(&entry.id)), entry);
                }
                self.failing = None;
            }
            Err(fault) => {
                self.batch = batch;
                self.failing = Some(fault.to_string());
            }
        }
        if let Some(round) = round {
            let _ = round.ended.set(ended.map_err(|fault| fault.to_string()));
            round.wake.notify_waiters();
        }
    }

    fn write(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        // Many requests of one key share a commit; its state is written once.
        batch.accounts.sort_unstable();
        batch.accounts.dedup();
        let mut frame = Frame::default();
        for (shard, id) in &batch.accounts {
            if let Some(state) = self.accounts.bytes(shard, id)? {
                frame.accounts.push(AccountState {
                    shard: shard.as_str(),
                    id: id.as_str(),
                    state: state.into(),
                });
            }
        }
        for (shard, entry) in &batch.entries {
            frame.entries.push(EntryLine { shard: shard.as_str(), id: &entry.id, line: &entry.line });
        }
        self.append(&frame)
    }

    pub(super) fn append(&mut self, frame: &Frame<'_>) -> Result<(), Fault> {
        self.journal.append(frame).map_err(|error| {
            Fault::new(FaultKind::Unavailable, "ledger.commit", error.to_string()).with_source(error)
        })
    }
}
