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
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a question of its own, and most answers go together"
)]
struct Slot {
    account: Account,
    /// It differs from its row.
    changed: bool,
    /// It is in the list of those to be written.
    marked: bool,
    /// It is on its way to its row, which does not show it yet.
    writing: bool,
    /// It was taken out to be worked on. Where it did not come back, a panic has lost it: its row counts.
    out: bool,
    /// The round of its last use.
    used: u64,
}

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
        self.load(db, shard, id)?;
        Ok(self.slot(shard, id).map(|slot| &slot.account).filter(|account| !account.is_blank()))
    }

    /// Takes an account out to work on it; [`Accounts::put`] brings it back.
    pub(super) fn take(
        &mut self,
        db: &Connection,
        shard: &ShardId,
        id: &AccountId,
    ) -> Result<Account, Fault> {
        self.load(db, shard, id)?;
        let round = self.round;
        Ok(self.slot(shard, id).map_or_else(Account::default, |slot| {
            slot.used = round;
            slot.out = true;
            std::mem::take(&mut slot.account)
        }))
    }

    /// Brings an account back; `changed`: it is to be written, at the latest with the next [`super::Embedded::sync`].
    pub(super) fn put(&mut self, shard: &ShardId, id: AccountId, account: Account, changed: bool) {
        if !changed {
            // One that is only asked for does not come into being.
            if let Some(slot) = self.slot(shard, &id) {
                slot.account = account;
                slot.out = false;
            }
            return;
        }
        let round = self.round;
        self.note_shard(shard);
        let slots = self.slots.entry(shard.clone()).or_default();
        let slot = slots.entry(id.clone()).or_default();
        slot.account = account;
        slot.out = false;
        slot.changed = true;
        slot.used = round;
        if !slot.marked {
            slot.marked = true;
            self.marked.push((shard.clone(), id));
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
        let Some(slot) = self.slot(shard, id).filter(|slot| !slot.out) else { return Ok(None) };
        // Of nothing, no bytes: the row goes.
        let bytes = if slot.account.is_blank() { Ok(Vec::new()) } else { slot.account.to_bytes() };
        bytes
            .map(Some)
            .map_err(|error| Fault::new(FaultKind::Corrupt, "ledger.write", id.as_str()).with_source(error))
    }

    /// The same, if its row is another. From here on it is on its way: [`Accounts::written`] or
    /// [`Accounts::not_written`] says how that ended.
    pub(super) fn unwritten(&mut self, shard: &ShardId, id: &AccountId) -> Result<Option<Vec<u8>>, Fault> {
        if !self.slot(shard, id).is_some_and(|slot| slot.changed && !slot.out) {
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
                ahead && !slot.out && id.as_str().starts_with(prefix) && id.as_str() > after
            })
            .map(|(id, slot)| (id.clone(), slot.account.clone()))
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

    fn load(&mut self, db: &Connection, shard: &ShardId, id: &AccountId) -> Result<(), Fault> {
        if self.slot(shard, id).is_some_and(|slot| !slot.out) {
            return Ok(());
        }
        let read = || -> rusqlite::Result<Option<(Vec<u8>, i64)>> {
            let mut query =
                db.prepare_cached("select state, run from accounts where shard = ? and id = ?")?;
            query.query_row([shard.as_str(), id.as_str()], |row| Ok((row.get(0)?, row.get(1)?))).optional()
        };
        // That there is none is kept too: many requests look for what has no limits.
        let account = match read().map_err(fault("ledger.read"))? {
            Some((bytes, run)) => self.read(id, &bytes, run)?,
            None => Account::default(),
        };
        let slot = Slot { account, used: self.round, ..Slot::default() };
        self.slots.entry(shard.clone()).or_default().insert(id.clone(), slot);
        Ok(())
    }

    /// Reads a row. Holds that another run left behind end here: whoever held them died with it.
    pub(super) fn read(&self, id: &AccountId, bytes: &[u8], run: i64) -> Result<Account, Fault> {
        let mut account = Account::from_bytes(bytes)
            .map_err(|error| Fault::new(FaultKind::Corrupt, "ledger.read", id.as_str()).with_source(error))?;
        if run != self.run {
            account.abandon();
        }
        Ok(account)
    }
}
