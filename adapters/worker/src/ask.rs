//! What a Worker asks of a shard's object, and what it answers.
//!
//! Transactions, of which every request makes two, cross as bytes, and several in one call ([`frames`]). All else
//! crosses as JSON text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gatelet_core::domain::{AccountId, Notice, ShardId, Timestamp};
use gatelet_core::port::{Expect, Outcome, Transaction};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The object that keeps the documents and the list of shards. No shard is called so: its name has a tilde.
pub(crate) const DIRECTORY: &str = "~directory";

/// The name of the document that is the configuration.
pub(crate) const CONFIG: &str = "config";

/// How the names of objects begin that keep things at a home. No shard is called so: there is a tilde.
pub(crate) const KEEPERS: &str = "~kept/";

/// The object that keeps what is kept at `home`.
pub(crate) fn keeper(home: &str) -> String {
    format!("{KEEPERS}{home}")
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Ask {
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
    /// The configuration has this version now. Answers null.
    Configured { version: u64 },

    /// To the directory: notes a shard. Answers the configuration's version; 0 for none.
    Register { shard: ShardId },
    /// To the directory: answers the ids of all shards.
    Shards,
    /// To the directory: answers a [`Document`], or null.
    GetDocument { name: String },
    /// To the directory: answers the new version; null when `expect` does not hold.
    PutDocument { name: String, bytes: Blob, expect: Expected },
    /// To the directory: this version was copied to KV, or deleted there. Answers null.
    Published { name: String, version: u64 },
    /// To the directory: answers the version of the deletion; 0 if there never was such a document.
    DeleteDocument { name: String },
    /// To the directory: answers names.
    ListDocuments { prefix: String, after: Option<String>, limit: usize },

    /// To a home's object: answers null.
    Keep { name: String, bytes: Blob, until: Timestamp },
    /// To a home's object: answers a [`Blob`], or null.
    Kept { name: String, now: Timestamp },
    /// To a home's object: answers null.
    Discard { name: String },
    /// Answers what is told of targets.
    Notices { now: Timestamp },
}

/// A transaction, and the moment at which it was asked for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Transact {
    pub(crate) transaction: Transaction,
    pub(crate) now: Timestamp,
}

/// What became of a [`Transact`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Transacted {
    pub(crate) outcome: Outcome,
    /// The directory does not know this shard yet.
    pub(crate) unknown: bool,
    /// The newest version of the configuration that the shard was told; 0 for none.
    pub(crate) configured: u64,
}

impl Transact {
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, Unreadable> {
        compact(self, &self.transaction.notices)
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        let (mut this, notices): (Self, _) = from_bytes(bytes)?;
        this.transaction.notices = notices;
        Ok(this)
    }
}

impl Transacted {
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, Unreadable> {
        compact(self, &self.outcome.notices)
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        let (mut this, notices): (Self, _) = from_bytes(bytes)?;
        this.outcome.notices = notices;
        Ok(this)
    }
}

/// Why bytes are not what was asked or answered; or what the object says went wrong.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unreadable(String);

/// The first byte says how the others are written.
const COMPACT: u8 = 0;
/// They are words: why this one was not done.
const FAILED: u8 = 2;

/// Notices stand behind the rest, if there are any: most have none, and one version of the other that knows of none reads
/// what stands before them.
fn compact(value: &impl Serialize, notices: &[Notice]) -> Result<Vec<u8>, Unreadable> {
    let unreadable = |error: postcard::Error| Unreadable(error.to_string());
    let bytes = postcard::to_extend(value, vec![COMPACT]).map_err(unreadable)?;
    if notices.is_empty() {
        return Ok(bytes);
    }
    postcard::to_extend(notices, bytes).map_err(unreadable)
}

pub(crate) fn failed(why: &impl std::fmt::Display) -> Vec<u8> {
    let mut bytes = vec![FAILED];
    bytes.extend_from_slice(why.to_string().as_bytes());
    bytes
}

/// Reads what `to_bytes` wrote; what [`failed`] wrote is an error.
fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, Vec<Notice>), Unreadable> {
    let unreadable = |error: postcard::Error| Unreadable(error.to_string());
    match bytes.split_first() {
        Some((&COMPACT, rest)) => {
            let (value, rest) = postcard::take_from_bytes(rest).map_err(unreadable)?;
            let notices = if rest.is_empty() { Ok(Vec::new()) } else { postcard::from_bytes(rest) };
            Ok((value, notices.map_err(unreadable)?))
        }
        Some((&FAILED, rest)) => Err(Unreadable(String::from_utf8_lossy(rest).into_owned())),
        Some((form, _)) => Err(Unreadable(format!("there is no form {form}"))),
        None => Err(Unreadable("nothing came".to_owned())),
    }
}

/// Several messages as one: each after its length, four bytes, the lowest first. `glue.js` does the same.
pub(crate) fn frames(packed: &[u8]) -> Result<Vec<&[u8]>, Unreadable> {
    let mut frames = Vec::new();
    let mut rest = packed;
    while !rest.is_empty() {
        let frame = rest.split_first_chunk::<4>().and_then(|(length, after)| {
            after.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)
        });
        let (frame, after) = frame.ok_or_else(|| Unreadable("a message is cut".to_owned()))?;
        frames.push(frame);
        rest = after;
    }
    Ok(frames)
}

/// Appends a message to those of [`frames`].
pub(crate) fn frame(packed: &mut Vec<u8>, message: &[u8]) {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    packed.extend_from_slice(&length.to_le_bytes());
    packed.extend_from_slice(message);
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
