//! Names of things.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

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

    /// The 128 bits that it is made of; of another text a hash.
    pub fn bits(&self) -> u128 {
        let letters = self.0.strip_prefix("req_").filter(|letters| letters.len() == 26);
        let value = |letters: &str| {
            letters.bytes().try_fold(0_u128, |value, letter| {
                let digit = ALPHABET.iter().position(|known| *known == letter)?;
                Some((value << 5) | u128::try_from(digit).ok()?)
            })
        };
        letters.and_then(value).unwrap_or_else(|| {
            let digest = Sha256::digest(self.0.as_bytes());
            digest.iter().take(16).fold(0, |value, byte| (value << 8) | u128::from(*byte))
        })
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

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

fn digit(bits: u128) -> u8 {
    ALPHABET[usize::try_from(bits & 31).unwrap_or(0)]
}
