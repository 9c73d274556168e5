//! Accounts in memory: the copy that is worked on.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use foldhash::fast::RandomState;
use gatelet_core::domain::account::Account;
use gatelet_core::domain::{AccountId, ShardId};
use gatelet_core::port::{Fault, FaultKind};
use rusqlite::{Connection, OptionalExtension as _};

use super::fault;

/// Every request looks its account up several times. Names in here exist: nobody chooses them to collide.
type Map<K, V> = HashMap<K, V, RandomState>;

/// Accounts that were used lately, and which of them SQLite does not have as they are.
pub(super) struct Accounts {
    slots: Map<ShardId, Map<AccountId, Slot>>,
    /// Changed, and nobody waits for it: to be written within a second.
    marked: Vec<(ShardId, AccountId)>,
    /// Shards that have accounts or entries.
    shards: BTreeSet<ShardId>,
    /// Names this run of the process in the rows that it writes.
    run: i64,
    /// Counts calls of [`Accounts::evict`], to tell who is idle.
    round: u64,
}

#[derive(Default)]
struct Slot {
    /// None: it was taken out to be worked on. Where it did not come back, a panic has lost it: its row counts. In a box,
    /// so that taking it out moves a pointer.
    account: Option<Box<Account>>,
    /// It differs from its row.
    changed: bool,
    /// It is in the list of those to be written.
    marked: bool,
    /// It is on its way to its row, which does not show it yet.
    writing: bool,
    /// The round of its last use.
    used: u64,
}

/// An account that was taken out.
pub(super) type Taken = (AccountId, Box<Account>);

/// Accounts in memory above which idle ones are forgotten.
const MOST: usize = 4_096;

impl Accounts {
    /// `run` is another number at every start.
    pub(super) fn open(db: &Connection, run: i64) -> rusqlite::Result<Self> {
        let mut query =
            db.prepare("select distinct shard from accounts union select distinct shard from entries")?;
        let shards = query.query_map([], |row| row.get::<_, String>(0))?;
        let shards = shards.map(|shard| shard.map(ShardId::new)).collect::<rusqlite::Result<_>>()?;
        Ok(Self { slots: Map::default(), marked: Vec::new(), shards, run, round: 0 })
    }

    pub(super) fn run(&self) -> i64 {
        self.run
    }

    pub(super) fn shards(&self) -> impl Iterator<Item = &ShardId> {
        self.shards.iter()
    }

    pub(super) fn note_shard(&mut self, shard: &ShardId) {
        if !self.shards.contains(shard) {
            self.shards.insert(shard.clone());
        }
    }

    /// An account as it stands; none: it was never written.
    pub(super) fn get(
        &mut self,
        db: &Connection,
        shard: &ShardId,
        id: &AccountId,
    ) -> Result<Option<&Account>, Fault> {
        if self.slot(shard, id).is_none_or(|slot| slot.account.is_none()) {
            let taken = self.take(db, shard, vec![id.clone()])?;
            self.put_back(shard, taken, |_| false);
        }
        let account = self.slot(shard, id).and_then(|slot| slot.account.as_deref());
        Ok(account.filter(|account| !account.is_blank()))
    }

    /// Takes accounts out to work on them, each once; [`Accounts::put_back`] brings them back.
    pub(super) fn take(
        &mut self,
        db: &Connection,
        shard: &ShardId,
        ids: Vec<AccountId>,
    ) -> Result<Vec<Taken>, Fault> {
        let slots = match self.slots.get_mut(shard) {
            Some(slots) => slots,
            None => self.slots.entry(shard.clone()).or_default(),
        };
        let mut taken: Vec<Taken> = Vec::with_capacity(ids.len());
        for id in ids {
            if taken.iter().any(|(there, _)| *there == id) {
                continue;
            }
            let there = slots.get_mut(&id).and_then(|slot| {
                slot.used = self.round;
                slot.account.take()
            });
            let account = match there {
                Some(account) => account,
                None => match row(db, shard, &id, self.run) {
                    Ok(account) => {
                        slots.insert(id.clone(), Slot { used: self.round, ..Slot::default() });
                        Box::new(account)
                    }
                    Err(fault) => {
                        self.put_back(shard, taken, |_| false);
                        return Err(fault);
                    }
                },
            };
            taken.push((id, account));
        }
        Ok(taken)
    }

    /// Brings accounts back. Those that `changed` are to be written, at the latest with the next
    /// [`super::Embedded::sync`].
    pub(super) fn put_back(
        &mut self,
        shard: &ShardId,
        taken: Vec<Taken>,
        changed: impl Fn(&Account) -> bool,
    ) {
        let Some(slots) = self.slots.get_mut(shard) else { return };
        for (id, account) in taken {
            let Some(slot) = slots.get_mut(&id) else { continue };
            if changed(&account) {
                slot.changed = true;
                if !slot.marked {
                    slot.marked = true;
                    self.marked.push((shard.clone(), id));
                }
            }
            slot.account = Some(account);
        }
    }

    /// Some of those that are to be written; empty: there are none.
    pub(super) fn take_marked(&mut self) -> Vec<(ShardId, AccountId)> {
        /// Rows that are written before others may have the store: some hundred microseconds.
        const SLICE: usize = 64;
        let from = self.marked.len().saturating_sub(SLICE);
        let marked = self.marked.split_off(from);
        for (shard, id) in &marked {
            if let Some(slot) = self.slot(shard, id) {
                slot.marked = false;
            }
        }
        marked
    }

    pub(super) fn has_marked(&self) -> bool {
        !self.marked.is_empty()
    }

    /// An account's bytes as it stands; none: it is not in memory, so its row has them.
    pub(super) fn bytes(&mut self, shard: &ShardId, id: &AccountId) -> Result<Option<Vec<u8>>, Fault> {
        let Some(account) = self.slot(shard, id).and_then(|slot| slot.account.as_deref()) else {
            return Ok(None);
        };
        // Of nothing, no bytes: the row goes.
        let bytes = if account.is_blank() { Ok(Vec::new()) } else { account.to_bytes() };
        bytes
            .map(Some)
            .map_err(|error| Fault::new(FaultKind::Corrupt, "ledger.write", id.as_str()).with_source(error))
    }

    /// The same, if its row is another. From here on it is on its way: [`Accounts::written`] or
    /// [`Accounts::not_written`] says how that ended.
    pub(super) fn unwritten(&mut self, shard: &ShardId, id: &AccountId) -> Result<Option<Vec<u8>>, Fault> {
        if !self.slot(shard, id).is_some_and(|slot| slot.changed && slot.account.is_some()) {
            return Ok(None);
        }
        let bytes = self.bytes(shard, id)?;
        if let Some(slot) = self.slot(shard, id) {
            slot.changed = false;
            slot.writing = true;
        }
        Ok(bytes)
    }

    pub(super) fn written(&mut self, shard: &ShardId, id: &AccountId) {
        if let Some(slot) = self.slot(shard, id) {
            slot.writing = false;
        }
    }

    pub(super) fn not_written(&mut self, shard: &ShardId, id: &AccountId) {
        if let Some(slot) = self.slot(shard, id) {
            slot.writing = false;
            slot.changed = true;
            if !slot.marked {
                slot.marked = true;
                self.marked.push((shard.clone(), id.clone()));
            }
        }
    }

    /// Accounts of a shard that their rows do not show, by id, from those that begin with `prefix` and come after
    /// `after`.
    pub(super) fn changed(&self, shard: &ShardId, prefix: &str, after: &str) -> BTreeMap<AccountId, Account> {
        let slots = self.slots.get(shard).into_iter().flatten();
        slots
            .filter(|(id, slot)| {
                let ahead = slot.changed || slot.writing;
                ahead && id.as_str().starts_with(prefix) && id.as_str() > after
            })
            .filter_map(|(id, slot)| Some((id.clone(), slot.account.as_deref()?.clone())))
            .collect()
    }

    /// Forgets accounts that are idle, where there are many; SQLite has them.
    pub(super) fn evict(&mut self) {
        self.round += 1;
        let round = self.round;
        // First those that rest for a minute, then, under pressure, all that are not in use this second.
        for rest in [60, 1] {
            if self.slots.values().map(HashMap::len).sum::<usize>() <= MOST {
                return;
            }
            for slots in self.slots.values_mut() {
                slots.retain(|_, slot| {
                    slot.changed || slot.marked || slot.writing || slot.used + rest >= round
                });
            }
            self.slots.retain(|_, slots| !slots.is_empty());
        }
    }

    fn slot(&mut self, shard: &ShardId, id: &AccountId) -> Option<&mut Slot> {
        self.slots.get_mut(shard)?.get_mut(id)
    }

    /// Reads a row. Holds that another run left behind end here: whoever held them died with it.
    pub(super) fn read(&self, id: &AccountId, bytes: &[u8], run: i64) -> Result<Account, Fault> {
        read(id, bytes, run == self.run)
    }
}

/// An account as its row has it. That there is none is an answer too, and kept: many requests look for what has no limits.
fn row(db: &Connection, shard: &ShardId, id: &AccountId, run: i64) -> Result<Account, Fault> {
    let row = || -> rusqlite::Result<Option<(Vec<u8>, i64)>> {
        let mut query = db.prepare_cached("select state, run from accounts where shard = ? and id = ?")?;
        query.query_row([shard.as_str(), id.as_str()], |row| Ok((row.get(0)?, row.get(1)?))).optional()
    };
    match row().map_err(fault("ledger.read"))? {
        Some((bytes, of)) => read(id, &bytes, of == run),
        None => Ok(Account::default()),
    }
}

fn read(id: &AccountId, bytes: &[u8], ours: bool) -> Result<Account, Fault> {
    let mut account = Account::from_bytes(bytes)
        .map_err(|error| Fault::new(FaultKind::Corrupt, "ledger.read", id.as_str()).with_source(error))?;
    if !ours {
        account.abandon();
    }
    Ok(account)
}
