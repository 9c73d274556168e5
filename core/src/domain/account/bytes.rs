//! An account as bytes: what hosts keep.

use serde::{Deserialize, Serialize};

use super::budget::Period;
use super::hold::{Ended, Hold, Holds, Tombstone};
use super::rate::{Rate, Window};
use super::tally::{Spent, Tally};
use super::window::Log;
use super::{Account, Document, Limits};
use crate::domain::{Money, Timestamp, compact};

/// Bytes are not an account that this program can read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an account: {0}")]
pub struct Unreadable(String);

/// The form of what follows the first byte. A change of [`Stored`] or of what it holds is a new one.
const FORMAT: u8 = 2;

/// The account after its format byte, in postcard's encoding: integers in as few bytes as they need, moments as seconds
/// before `seen`.
#[derive(Serialize, Deserialize)]
struct Stored {
    /// As JSON, since it carries the admin's own metadata; none: never written.
    document: Option<String>,
    /// As JSON.
    carried: Option<String>,
    /// Microseconds.
    seen: i64,
    /// Seconds before `seen`.
    used: i64,
    holds: Vec<StoredHold>,
    settled: Vec<StoredTombstone>,
    swept: Vec<StoredTombstone>,
    /// By their places in [`super::rate::Rate::ALL`].
    windows: Vec<(u8, Vec<(i64, u64)>)>,
    tallies: Vec<(Period, StoredSpent)>,
}

#[derive(Serialize, Deserialize)]
struct StoredHold {
    name: [u8; 8],
    cost: u64,
    tokens: u64,
    counted: u8,
    output_tokens: u64,
    second: i64,
    expires: i64,
}

#[derive(Serialize, Deserialize)]
struct StoredTombstone {
    name: [u8; 8],
    ended: Ended,
    until: i64,
}

#[derive(Serialize, Deserialize)]
enum StoredSpent {
    Until { spent: u64, until: i64 },
    Rolling { buckets: Vec<(i64, u64)> },
}

impl Account {
    /// The account in its compact form: a byte that names the format, then the state.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Unreadable> {
        let now = self.seen.seconds();
        let tombstone = |tombstone: Tombstone| StoredTombstone {
            name: tombstone.name.to_le_bytes(),
            ended: tombstone.ended,
            until: tombstone.until.saturating_sub(now),
        };
        let document = self.document.as_deref().map(serde_json::to_string).transpose();
        let carried = self.carried.as_deref().map(serde_json::to_string).transpose();
        let stored = Stored {
            document: document.map_err(|error| Unreadable(error.to_string()))?,
            carried: carried.map_err(|error| Unreadable(error.to_string()))?,
            seen: self.seen.micros(),
            used: now.saturating_sub(self.used.seconds()),
            holds: self
                .holds
                .open()
                .map(|(name, hold)| StoredHold {
                    name: name.to_le_bytes(),
                    cost: hold.cost.nanos(),
                    tokens: hold.tokens,
                    counted: hold.counted,
                    output_tokens: hold.output_tokens,
                    second: now.saturating_sub(hold.second),
                    expires: hold.expires.saturating_sub(now),
                })
                .collect(),
            settled: self.holds.settled().map(tombstone).collect(),
            swept: self.holds.swept().map(tombstone).collect(),
            windows: self
                .windows
                .iter()
                .map(|window| (u8::try_from(window.place).unwrap_or(u8::MAX), relative(&window.log, now)))
                .collect(),
            tallies: self
                .tallies
                .iter()
                .map(|tally| {
                    let spent = match &tally.spent {
                        Spent::Until { spent, until } => {
                            StoredSpent::Until { spent: spent.nanos(), until: *until }
                        }
                        Spent::Rolling(log) => StoredSpent::Rolling { buckets: relative(log, now) },
                    };
                    (tally.period, spent)
                })
                .collect(),
        };
        // Room for a key with its document and a few holds: fewer pieces of memory on the way.
        let mut bytes = Vec::with_capacity(1_024);
        bytes.push(FORMAT);
        compact(&stored, bytes).map_err(|error| Unreadable(error.to_string()))
    }

    /// Reads what [`Account::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        let stored: Stored = match bytes.split_first() {
            Some((&FORMAT, rest)) => {
                postcard::from_bytes(rest).map_err(|error| Unreadable(error.to_string()))?
            }
            Some((format, _)) => return Err(Unreadable(format!("its format is {format}, not {FORMAT}"))),
            None => return Err(Unreadable("it is empty".to_owned())),
        };
        let document: Option<Box<Document>> = stored
            .document
            .map(|json| gatelet_wire::json::from_str(&json))
            .transpose()
            .map_err(|error| Unreadable(error.to_string()))?;
        let carried: Option<Box<Limits>> = stored
            .carried
            .map(|json| gatelet_wire::json::from_str(&json))
            .transpose()
            .map_err(|error| Unreadable(error.to_string()))?;
        let seen = Timestamp::from_micros(stored.seen);
        let now = seen.seconds();
        let tombstone = |stored: StoredTombstone| Tombstone {
            name: u64::from_le_bytes(stored.name),
            ended: stored.ended,
            until: now.saturating_add(stored.until),
        };
        let open = stored.holds.into_iter().map(|hold| {
            let open = Hold {
                cost: Money::from_nanos(hold.cost),
                tokens: hold.tokens,
                counted: hold.counted,
                output_tokens: hold.output_tokens,
                second: now.saturating_sub(hold.second),
                expires: now.saturating_add(hold.expires),
            };
            (u64::from_le_bytes(hold.name), open)
        });
        let tallies = stored.tallies.into_iter().map(|(period, spent)| Tally {
            period,
            spent: match spent {
                StoredSpent::Until { spent, until } => {
                    Spent::Until { spent: Money::from_nanos(spent), until }
                }
                StoredSpent::Rolling { buckets } => Spent::Rolling(absolute(period.bucket(), now, buckets)),
            },
        });
        let windows = stored.windows.into_iter().filter(|(place, _)| usize::from(*place) < Rate::ALL.len());
        let windows = windows
            .map(|(place, buckets)| {
                let empty = Window::new(usize::from(place));
                Window { log: absolute(empty.log.width(), now, buckets), ..empty }
            })
            .collect();
        let mut account = Self {
            document,
            carried,
            seen,
            used: Timestamp::from_seconds(now.saturating_sub(stored.used)),
            holds: Holds::restored(
                open,
                stored.settled.into_iter().map(tombstone),
                stored.swept.into_iter().map(tombstone),
            ),
            windows,
            tallies: tallies.collect(),
        };
        // Whatever the bytes say, no budget is without its tally: it would not hold.
        account.track();
        Ok(account)
    }
}

/// Buckets by how many they lie before the one of `now`.
fn relative(log: &Log, now: i64) -> Vec<(i64, u64)> {
    let current = now.div_euclid(log.width());
    log.buckets().map(|(index, amount)| (current.saturating_sub(index), amount)).collect()
}

fn absolute(width: i64, now: i64, buckets: Vec<(i64, u64)>) -> Log {
    let current = now.div_euclid(width.max(1));
    Log::from_buckets(
        width,
        buckets.into_iter().map(|(before, amount)| (current.saturating_sub(before), amount)),
    )
}

/// In JSON and the like: the bytes in base 64.
impl Serialize for Account {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use base64::Engine;
        let bytes = self.to_bytes().map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&base64::engine::general_purpose::STANDARD.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for Account {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use base64::Engine;
        use serde::de::Error;
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let bytes =
            base64::engine::general_purpose::STANDARD.decode(text.as_bytes()).map_err(D::Error::custom)?;
        Self::from_bytes(&bytes).map_err(D::Error::custom)
    }
}
