//! What a Worker asks of a shard's object, and what it answers. It crosses as JSON text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gatelet_core::domain::{AccountId, ShardId, Timestamp};
use gatelet_core::port::{Expect, Outcome, Transaction};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The object that keeps the documents and the list of shards. No shard is called so: its name has a tilde.
pub(crate) const DIRECTORY: &str = "~directory";

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Ask {
    /// Answers [`Transacted`].
    Transact { transaction: Transaction, now: Timestamp },
    /// Answers an account's bytes, or null.
    Read { account: AccountId },
    /// Answers pairs of id and account's bytes.
    List { prefix: String, after: Option<AccountId>, limit: usize },
    /// Answers entries.
    Outbox { limit: usize },
    /// Answers null.
    Clear { entries: Vec<String> },
    /// The directory has noted this shard. Answers null.
    Known,

    /// To the directory: notes a shard. Answers null.
    Register { shard: ShardId },
    /// To the directory: answers the ids of all shards.
    Shards,
    /// To the directory: answers a [`Document`], or null.
    GetDocument { name: String },
    /// To the directory: answers the new version; null when `expect` does not hold.
    PutDocument { name: String, bytes: Blob, expect: Expected },
    /// To the directory: this version is in KV. Answers null.
    Published { name: String, version: u64 },
    /// To the directory: answers null.
    DeleteDocument { name: String },
    /// To the directory: answers names.
    ListDocuments { prefix: String, after: Option<String>, limit: usize },
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Transacted {
    pub(crate) outcome: Outcome,
    /// The directory does not know this shard yet.
    pub(crate) unknown: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Document {
    pub(crate) version: u64,
    pub(crate) bytes: Blob,
}

/// [`Expect`], as it crosses.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Expected {
    Anything,
    Absent,
    Version(u64),
}

impl From<Expect> for Expected {
    fn from(expect: Expect) -> Self {
        match expect {
            Expect::Anything => Self::Anything,
            Expect::Absent => Self::Absent,
            Expect::Version(version) => Self::Version(version),
        }
    }
}

impl Expected {
    pub(crate) fn holds(self, current: Option<u64>) -> bool {
        match self {
            Self::Anything => true,
            Self::Absent => current.is_none(),
            Self::Version(version) => current == Some(version),
        }
    }
}

/// Bytes, as base 64.
#[derive(Debug)]
pub(crate) struct Blob(pub(crate) Bytes);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(|bytes| Self(bytes.into())).map_err(serde::de::Error::custom)
    }
}
