//! Names of things.

use std::fmt;
use std::sync::Arc;

macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $type(Arc<str>);

        impl $type {
            pub fn new(name: impl Into<Arc<str>>) -> Self {
                Self(name.into())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// The unit of atomicity of the ledger: an organisation, by default `main`. Lower-case letters and digits.
    ShardId
);
name!(
    /// An account within a shard, such as `key/7f3k2m9q4t1x`. The part before the slash is the kind of its holder.
    AccountId
);
name!(
    /// A request, as callers and records name it: `req_` and 26 letters that sort by time.
    RequestId
);
name!(
    /// What one request has reserved: the request's own id, which makes every ledger operation idempotent.
    HoldId
);

impl ShardId {
    pub fn main() -> Self {
        Self::new("main")
    }
}

impl AccountId {
    pub fn key(id: &str) -> Self {
        Self::new(["key/", id].concat())
    }
}

impl RequestId {
    /// Made of the moment (48 bits of milliseconds) and chance (80 bits), in Crockford's base 32: sorts by time.
    pub fn mint(now: super::Timestamp, chance: [u8; 16]) -> Self {
        let millis = u128::try_from(now.micros().div_euclid(1_000)).unwrap_or(0) & ((1 << 48) - 1);
        let random = u128::from_be_bytes(chance) & ((1 << 80) - 1);
        let value = (millis << 80) | random;
        let mut text = *b"req_00000000000000000000000000";
        for (place, letter) in text.iter_mut().skip(4).rev().enumerate() {
            *letter = digit(value >> (place * 5));
        }
        Self::new(std::str::from_utf8(&text).unwrap_or_default())
    }
}

/// A request holds under its own name.
impl From<&RequestId> for HoldId {
    fn from(id: &RequestId) -> Self {
        Self(id.0.clone())
    }
}

/// The five lowest bits as a letter of Crockford's base 32, lower-case.
pub(super) fn crockford(bits: u128) -> char {
    char::from(digit(bits))
}

fn digit(bits: u128) -> u8 {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    ALPHABET[usize::try_from(bits & 31).unwrap_or(0)]
}
