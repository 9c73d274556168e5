//! What is asked of an account, and what it answers.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Limits;
use crate::domain::key::{Key, KeyState};
use crate::domain::scope::{Scope, ScopeState};
use crate::domain::{AccountId, HoldId, Money, Rate, Timestamp};

/// One operation. Each is idempotent by its id: applied twice it answers the same and changes nothing more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Checks every limit and holds what the request may use at most: all of it or nothing.
    Reserve(Reserve),
    /// Ends a hold and charges what was truly used, once. A hold that was swept is still charged; one that was settled
    /// before, or that nobody made, is not.
    Settle(Settle),
    /// Writes the account's document, if its version is `expect` (none: if there is none yet) and the document's own
    /// is the next.
    Write { document: Box<Document>, expect: Option<u64> },
    /// Ends holds that have expired, charging nothing; forgets an account without a document of which nothing counts any more.
    Sweep,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserve {
    pub hold: HoldId,
    /// The versions of the documents that the caller's rights were read from, in the order of the transaction's accounts.
    /// Where an account has another one the answer is [`Grant::Stale`] and nothing is held. An account for which none is
    /// named may have any. Zero: it is expected to have no document, so nothing is held of it, and it need not be settled.
    pub versions: Vec<u64>,
    /// Limits of accounts that have no document of their own, because those that are named here say what they allow.
    #[serde(default)]
    pub carried: Vec<Carried>,
    /// An upper bound of the input's tokens, and of their cost.
    pub input_tokens: u64,
    pub input_cost: Money,
    pub output: OutputBound,
    /// When the hold dies by itself: at most [`Account::LONGEST_HOLD`](super::Account::LONGEST_HOLD) from now. A
    /// request that arrives later than that holds nothing.
    pub expires: Timestamp,
}

/// What an account without a document allows: said by a document whose version the same reservation names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// The account's place in the transaction.
    pub place: usize,
    #[serde(with = "super::limits::as_text")]
    pub limits: Limits,
}

/// How much output is reserved for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputBound {
    /// Tokens: the caller's own cap, or the model's maximum.
    pub tokens: u64,
    /// The price of one.
    pub rate: Rate,
    /// The caller gave no cap: where the limits afford less than `tokens`, hold (and grant) that instead.
    pub elastic: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settle {
    pub hold: HoldId,
    /// Input and output.
    pub tokens: u64,
    /// Of these, output.
    #[serde(default)]
    pub output_tokens: u64,
    pub cost: Money,
}

/// What an account's holder may do, as its document says. Immutable by version: every change is a new one.
///
/// In compact encodings it is the text of its JSON, since an admin's own metadata have no other form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Document {
    /// Counts 1, 2, 3 …
    pub version: u64,
    pub holder: Holder,
}

/// Whose an account is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    Key(Key),
    Scope(Scope),
}

impl Document {
    pub fn of_key(version: u64, key: Key) -> Self {
        Self { version, holder: Holder::Key(key) }
    }

    /// The account that carries it.
    pub fn account(&self) -> AccountId {
        match &self.holder {
            Holder::Key(key) => key.account(),
            Holder::Scope(scope) => scope.account(),
        }
    }

    pub fn scope(&self) -> Option<&Scope> {
        match &self.holder {
            Holder::Key(_) => None,
            Holder::Scope(scope) => Some(scope),
        }
    }

    pub fn limits(&self) -> &Limits {
        static NONE: Limits = Limits::NONE;
        match &self.holder {
            Holder::Key(key) => &key.limits,
            // What callers named goes on, without limits, when it is deleted.
            Holder::Scope(scope) if scope.state == ScopeState::Deleted => &NONE,
            Holder::Scope(scope) => &scope.limits,
        }
    }

    /// What an account begins with when this is written to it as its first: spent elsewhere before.
    pub fn opening(&self) -> Money {
        match &self.holder {
            Holder::Key(key) => key.opening,
            Holder::Scope(scope) => scope.opening,
        }
    }

    /// Whether it lets anyone in at `now`.
    pub fn is_open(&self, now: Timestamp) -> bool {
        match &self.holder {
            Holder::Key(key) => {
                key.state == KeyState::Active && key.expires.is_none_or(|expires| now < expires)
            }
            Holder::Scope(scope) => match scope.state {
                ScopeState::Active => true,
                ScopeState::Blocked => false,
                ScopeState::Deleted => scope.kind.is_named_by_callers(),
            },
        }
    }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return Self::serialize(self, serializer);
        }
        serializer.serialize_str(&serde_json::to_string(self).map_err(serde::ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return Self::deserialize(deserializer);
        }
        let text = <&str>::deserialize(deserializer)?;
        gatelet_wire::json::from_str(text).map_err(serde::de::Error::custom)
    }
}

/// The answer to an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grant {
    Held {
        /// Output tokens that are paid for: at most [`OutputBound::tokens`].
        output_tokens: u64,
        headroom: Headroom,
        /// Soft budgets that are passed with this request and all that are running, as they were written.
        soft_passed: Vec<String>,
        /// Limits that are only watched and would have refused it: `team/search: 5 USD / day`.
        shadowed: Vec<String>,
    },
    /// Documents of these accounts are other than the caller read, or do not allow any request now (blocked, revoked,
    /// expired). Never empty.
    Stale(Vec<Stood>),
    Denied(Denial),
    /// Settled now, or before.
    Settled,
    /// There is no such hold; or it is asked for once more after it ended.
    NoHold,
    Written,
    /// [`Op::Write`] expected another version; this is the one that stands.
    Conflict(Option<Box<Document>>),
    /// Holds that ended, and accounts without a document that were forgotten.
    Swept {
        holds: u64,
    },
}

impl Op {
    /// What the operation says to the account at this place of a transaction alone: for hosts that cannot change several
    /// accounts in one step. They join the grants by [`Grant::tightened`].
    #[must_use]
    pub fn of(&self, place: usize) -> Self {
        match self {
            Self::Reserve(reserve) => {
                let versions = reserve.versions.get(place).copied().into_iter().collect();
                let mine = reserve.carried.iter().find(|carried| carried.place == place);
                let carried = mine.map(|mine| Carried { place: 0, limits: mine.limits.clone() });
                Self::Reserve(Reserve { versions, carried: carried.into_iter().collect(), ..reserve.clone() })
            }
            other => other.clone(),
        }
    }
}

impl Reserve {
    /// Limits that the account at `place` has from elsewhere.
    pub fn carried(&self, place: usize) -> Option<&Limits> {
        self.carried.iter().find(|carried| carried.place == place).map(|carried| &carried.limits)
    }

    /// How long an account without a document must be kept after this, at most: as long as what it counts may matter, and the
    /// hold may be open.
    pub fn keeps(&self) -> Option<std::time::Duration> {
        let memory = self.carried.iter().map(|carried| carried.limits.memory()).max()?;
        Some(memory + super::Account::LONGEST_HOLD)
    }

    /// Whether the account at `place` is only looked at: it is expected to have no limits.
    pub fn only_looks(&self, place: usize) -> bool {
        self.versions.get(place) == Some(&0) && self.carried(place).is_none()
    }
}

impl Grant {
    /// Whether the operation may have changed the account; where it has not, a host need not write.
    pub fn changes(&self) -> bool {
        match self {
            Self::Held { .. } | Self::Settled | Self::Written => true,
            Self::Swept { holds } => *holds > 0,
            Self::Stale(_) | Self::Denied(_) | Self::NoHold | Self::Conflict(_) => false,
        }
    }
}

/// An account's document as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stood {
    pub account: AccountId,
    /// None: it has none.
    pub document: Option<Box<Document>>,
}

/// A limit that said no.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    pub account: AccountId,
    pub cause: DenialCause,
    /// The limit in words: `5 requests a minute`, `0.01 USD / day`.
    pub limit: String,
    /// The whole second from which on the same request would pass, if nobody else takes the room and no request ends;
    /// none: never, or when requests end.
    pub retry_at: Option<Timestamp>,
    /// When nothing of what the budget has spent counts any more; none for one that never renews, and for other limits.
    pub renews_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DenialCause {
    Requests,
    Tokens,
    /// The request alone is larger than a whole window allows: waiting does not help.
    TooManyTokens,
    Parallel,
    /// The request alone costs more than the whole budget: waiting does not help.
    TooExpensive,
    /// What is spent leaves too little for this request.
    BudgetSpent,
    /// It would fit, were it not for requests that are still running.
    BudgetHeld,
}

/// What is left of the limits per minute after a request was admitted, for `x-ratelimit-*` headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Headroom {
    pub requests: Option<Meter>,
    pub tokens: Option<Meter>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meter {
    pub limit: u64,
    pub remaining: u64,
    /// When the window would be empty again.
    pub resets_at: Timestamp,
}
