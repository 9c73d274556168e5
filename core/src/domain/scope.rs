//! Who has an account besides keys: teams, projects and users, to which keys belong.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::account::Limits;
use super::{AccountId, ShardId, Timestamp};

/// What a key may belong to. Every request of the key is charged to all of them, and passes only if all allow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScopeKind {
    Team,
    Project,
    User,
}

impl ScopeKind {
    pub const ALL: [Self; 3] = [Self::Team, Self::Project, Self::User];

    /// The word for one; also the part of an account's id before the slash.
    pub fn name(self) -> &'static str {
        match self {
            Self::Team => "team",
            Self::Project => "project",
            Self::User => "user",
        }
    }

    /// The word for many, as in the admin API's paths.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Team => "teams",
            Self::Project => "projects",
            Self::User => "users",
        }
    }

    pub fn account(self, id: &str) -> AccountId {
        AccountId::new([self.name(), "/", id].concat())
    }
}

impl fmt::Display for ScopeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A team, a project or a user: the document that its account carries. Immutable by version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    pub kind: ScopeKind,
    /// See [`is_id`].
    pub id: String,
    pub shard: ShardId,
    /// A name for people; none is fine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub metadata: serde_json::Map<String, serde_json::Value>,
    pub state: ScopeState,
    pub created: Timestamp,
    pub updated: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScopeState {
    Active,
    /// All its keys are refused until it is unblocked.
    Blocked,
    /// All its keys are refused for ever, and no new one may belong to it. Its books stay.
    Deleted,
}

impl Scope {
    pub fn account(&self) -> AccountId {
        self.kind.account(&self.id)
    }
}

/// Whether `id` may name a scope: 1 to 64 lower-case letters, digits, `-`, `_` and `.`, a letter or digit first.
pub fn is_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=64).contains(&id.len())
        && id.bytes().all(|byte| plain(byte) || b"-_.".contains(&byte))
        && id.bytes().next().is_some_and(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_plain_words() {
        for good in ["a", "0", "search", "team-7.eu_west", &"a".repeat(64)] {
            assert!(is_id(good), "{good}");
        }
        for bad in ["", "-a", ".", "A", "a b", "a/b", "\u{e9}", "a\0", &"a".repeat(65)] {
            assert!(!is_id(bad), "{bad}");
        }
    }

    #[test]
    fn accounts_are_named_by_their_kind() {
        for kind in ScopeKind::ALL {
            assert_eq!(kind.account("x").as_str(), format!("{kind}/x"));
        }
    }
}
