//! Holds: what open requests have reserved, and what is remembered of those that ended.

use std::collections::{BTreeMap, VecDeque};

use crate::domain::{HoldId, Money, Timestamp};

/// A hold's name in an account: FNV-1a of its id. Ids are 80 bits of chance that we mint ourselves: among 10,000 open
/// holds a new one meets another's name once in 10¹⁵ requests, and then the two share one hold.
pub(super) fn name(id: &HoldId) -> u64 {
    id.as_str().bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// What one open request has reserved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hold {
    pub(super) cost: Money,
    /// Input and output.
    pub(super) tokens: u64,
    /// The windows that counted it at `second`, a bit for each of [`super::rate::Rate::ALL`]: those for which there was a limit.
    pub(super) counted: u8,
    /// What was granted.
    pub(super) output_tokens: u64,
    /// The second of its admission.
    pub(super) second: i64,
    /// The second at which it is dead.
    pub(super) expires: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) enum Ended {
    Settled,
    Swept,
}

/// What is remembered of a hold that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tombstone {
    pub(super) name: u64,
    pub(super) ended: Ended,
    /// The second from which on it may be forgotten.
    pub(super) until: i64,
}

/// All holds of one account.
///
/// Forgetting a tombstone never breaks a limit. A settled one guards against a second copy of its `Reserve`, which
/// comes within seconds or not at all, and holds nothing anyway once it has expired, which is when the tombstone goes;
/// a second `Settle` finds nothing and charges nothing. A swept one waits for a late `Settle`: without it a request whose gateway died, and
/// which nobody settled for a day (or among [`Holds::SWEPT`] such), stays uncharged.
#[derive(Clone, Debug, Default)]
pub(super) struct Holds {
    /// A tree: an account may have ten thousand, and each request puts one in and takes it out.
    open: BTreeMap<u64, Hold>,
    /// The sum of all that is open.
    held: u128,
    /// No open hold expires before this second: it may be too early, never too late.
    expires: i64,
    settled: VecDeque<Tombstone>,
    swept: VecDeque<Tombstone>,
}

/// The same holds and tombstones: the sum and the bound follow from them.
impl PartialEq for Holds {
    fn eq(&self, other: &Self) -> bool {
        self.open == other.open && self.settled == other.settled && self.swept == other.swept
    }
}

impl Eq for Holds {}

impl Holds {
    const SETTLED: usize = 16;
    const SWEPT: usize = 256;
    /// Seconds.
    const SWEPT_AGE: i64 = 24 * 3_600;

    pub(super) fn restored(
        open: impl IntoIterator<Item = (u64, Hold)>,
        settled: impl IntoIterator<Item = Tombstone>,
        swept: impl IntoIterator<Item = Tombstone>,
    ) -> Self {
        let mut holds = Self::default();
        for (name, hold) in open {
            holds.insert(name, hold);
        }
        holds.settled.extend(settled);
        holds.swept.extend(swept);
        holds
    }

    pub(super) fn open(&self) -> impl ExactSizeIterator<Item = (u64, &Hold)> {
        self.open.iter().map(|(name, hold)| (*name, hold))
    }

    pub(super) fn settled(&self) -> impl ExactSizeIterator<Item = Tombstone> {
        self.settled.iter().copied()
    }

    pub(super) fn swept(&self) -> impl ExactSizeIterator<Item = Tombstone> {
        self.swept.iter().copied()
    }

    /// Whether nothing is open, nor remembered.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.settled.is_empty() && self.swept.is_empty()
    }

    /// The sum of what is open, in nano-dollars.
    pub(super) fn held(&self) -> u128 {
        self.held
    }

    pub(super) fn get(&self, name: u64) -> Option<&Hold> {
        self.open.get(&name)
    }

    pub(super) fn tombstone(&self, name: u64) -> Option<Tombstone> {
        self.settled.iter().rev().chain(&self.swept).find(|tombstone| tombstone.name == name).copied()
    }

    pub(super) fn insert(&mut self, name: u64, hold: Hold) {
        self.expires = if self.open.is_empty() { hold.expires } else { self.expires.min(hold.expires) };
        self.held += u128::from(hold.cost.nanos());
        self.open.insert(name, hold);
    }

    /// Ends an open hold because it is settled.
    pub(super) fn end(&mut self, name: u64) -> Option<Hold> {
        let hold = self.open.remove(&name)?;
        self.held -= u128::from(hold.cost.nanos());
        self.bury(Tombstone { name, ended: Ended::Settled, until: hold.expires });
        Some(hold)
    }

    /// Remembers that a swept hold is settled now.
    pub(super) fn bury_settled(&mut self, name: u64) {
        // It stays among the swept, and as long: whoever settles so late may well do it again as late.
        if let Some(tombstone) = self.swept.iter_mut().find(|tombstone| tombstone.name == name) {
            tombstone.ended = Ended::Settled;
        }
    }

    /// Lets every hold expire now.
    pub(super) fn expire(&mut self, now: Timestamp) {
        self.expires = now.seconds();
        for hold in self.open.values_mut() {
            hold.expires = self.expires;
        }
    }

    /// Ends holds that have expired and forgets old tombstones. Answers how many holds ended.
    pub(super) fn sweep(&mut self, now: Timestamp) -> u64 {
        let second = now.seconds();
        self.settled.retain(|tombstone| tombstone.until > second);
        // These are in the order of `until`.
        while self.swept.front().is_some_and(|tombstone| tombstone.until <= second) {
            self.swept.pop_front();
        }
        if self.open.is_empty() || second < self.expires {
            return 0;
        }
        let dead: Vec<u64> =
            self.open.iter().filter(|(_, hold)| hold.expires <= second).map(|(name, _)| *name).collect();
        // From now, not from their expiry: nobody may have looked for days.
        let until = second.saturating_add(Self::SWEPT_AGE);
        for name in &dead {
            if let Some(hold) = self.open.remove(name) {
                self.held -= u128::from(hold.cost.nanos());
            }
            self.bury(Tombstone { name: *name, ended: Ended::Swept, until });
        }
        self.expires = self.open.values().map(|hold| hold.expires).min().unwrap_or(i64::MAX);
        u64::try_from(dead.len()).unwrap_or(u64::MAX)
    }

    fn bury(&mut self, tombstone: Tombstone) {
        let (graves, most) = match tombstone.ended {
            Ended::Settled => (&mut self.settled, Self::SETTLED),
            Ended::Swept => (&mut self.swept, Self::SWEPT),
        };
        if graves.len() == most {
            graves.pop_front();
        }
        graves.push_back(tombstone);
    }
}
