//! Who has an account besides keys: organisations, teams, users and the like, customers, tags, and what is called.

use std::fmt;

use gatelet_wire::SmallMap;
use serde::{Deserialize, Serialize};

use super::account::Limits;
use super::ceilings::Ceilings;
use super::key::Customers;
use super::{AccountId, Money, Residency, ShardId, Timestamp};

/// What has limits and books of its own. Every request is charged to all that it is of, and passes only if all allow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScopeKind {
    /// Every key and scope belongs to one: [`Scope::DEFAULT_ORG`] unless said.
    #[serde(rename = "org")]
    Organisation,
    #[serde(rename = "team")]
    Team,
    #[serde(rename = "project")]
    Project,
    #[serde(rename = "user")]
    User,
    /// A user in a team: `<team>/<user>`.
    #[serde(rename = "member")]
    Member,
    /// An end user of somebody's application, by the name that the application has for them.
    #[serde(rename = "customer")]
    Customer,
    #[serde(rename = "tag")]
    Tag,
    /// A model, by the name that callers use.
    #[serde(rename = "model")]
    Model,
    #[serde(rename = "agent")]
    Agent,
    #[serde(rename = "tool")]
    Tool,
    /// Limits under a name, to be copied. No request is of it.
    #[serde(rename = "template")]
    Template,
}

impl ScopeKind {
    pub const ALL: [Self; 11] = [
        Self::Organisation,
        Self::Team,
        Self::Project,
        Self::User,
        Self::Member,
        Self::Customer,
        Self::Tag,
        Self::Model,
        Self::Agent,
        Self::Tool,
        Self::Template,
    ];

    /// The word for one; also the part of an account's id before the slash.
    pub fn name(self) -> &'static str {
        match self {
            Self::Organisation => "org",
            Self::Team => "team",
            Self::Project => "project",
            Self::User => "user",
            Self::Member => "member",
            Self::Customer => "customer",
            Self::Tag => "tag",
            Self::Model => "model",
            Self::Agent => "agent",
            Self::Tool => "tool",
            Self::Template => "template",
        }
    }

    /// The word for many, as in the admin API's paths.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Organisation => "orgs",
            Self::Team => "teams",
            Self::Project => "projects",
            Self::User => "users",
            Self::Member => "members",
            Self::Customer => "customers",
            Self::Tag => "tags",
            Self::Model => "models",
            Self::Agent => "agents",
            Self::Tool => "tools",
            Self::Template => "templates",
        }
    }

    /// Whether requests name it, so that it is there without having been made; deleted, it has no limits any more.
    pub fn is_named_by_callers(self) -> bool {
        match self {
            Self::Customer | Self::Tag | Self::Model | Self::Member => true,
            Self::Organisation
            | Self::Team
            | Self::Project
            | Self::User
            | Self::Agent
            | Self::Tool
            | Self::Template => false,
        }
    }

    pub fn account(self, id: &str) -> AccountId {
        AccountId::new([self.name(), "/", id].concat())
    }

    /// Whether `id` may name one.
    pub fn allows(self, id: &str) -> bool {
        match self {
            Self::Organisation | Self::Team | Self::Project | Self::Agent | Self::Tool | Self::Template => {
                is_id(id)
            }
            // Directories know them by their addresses.
            Self::User => is_wide_id(id) && !id.contains('/'),
            Self::Member => {
                id.split_once('/').is_some_and(|(team, user)| is_id(team) && Self::User.allows(user))
            }
            // What callers send.
            Self::Customer | Self::Tag | Self::Model => is_wide_id(id),
        }
    }

    /// What [`ScopeKind::allows`], in words.
    pub fn expected(self) -> &'static str {
        match self {
            Self::Organisation | Self::Team | Self::Project | Self::Agent | Self::Tool | Self::Template => {
                "expected 1 to 64 lower-case letters, digits, `-`, `_` and `.`, a letter or digit first"
            }
            Self::User => "expected 1 to 256 bytes without control characters and slashes",
            Self::Member => "expected the ids of a team and of a user, such as `search/ada`",
            Self::Customer | Self::Tag | Self::Model => {
                "expected 1 to 256 characters, and no control characters"
            }
        }
    }
}

impl fmt::Display for ScopeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A team, a user, a customer …: the document that its account carries. Immutable by version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    pub kind: ScopeKind,
    /// See [`ScopeKind::allows`].
    pub id: String,
    pub shard: ShardId,
    /// The organisation that it belongs to; none: [`Scope::DEFAULT_ORG`], or it is one itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<String>,
    /// A name for people; none is fine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default)]
    pub limits: Limits,
    /// What was spent elsewhere before it was made: its account begins with that spent.
    #[serde(default, skip_serializing_if = "Money::is_zero")]
    pub opening: Money,
    /// The template that its limits were copied from when it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Names or patterns of the models that all its keys may call; none means every model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// What callers may say of customers: of teams and organisations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customers: Option<Customers>,
    /// Names for models, before the policy's: of teams.
    #[serde(default, skip_serializing_if = "SmallMap::is_empty")]
    pub aliases: SmallMap<String, String>,
    /// Where its requests may go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub residency: Option<Residency>,
    /// Guards of the policy, or groups of them, that judge the requests of all its keys, whatever those say themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guards: Vec<String>,
    /// What keys may be that others make: of teams and organisations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceilings: Option<Ceilings>,
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub metadata: serde_json::Map<String, serde_json::Value>,
    pub state: ScopeState,
    pub created: Timestamp,
    pub updated: Timestamp,
}

#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScopeState {
    Active,
    /// All its keys are refused until it is unblocked.
    Blocked,
    /// All its keys are refused for ever, and no new one may belong to it; what callers name ([`ScopeKind::is_named_by_callers`])
    /// only has no limits any more. Its books stay.
    Deleted,
}

impl Scope {
    /// The organisation of whatever names none. It needs no document, and limits nothing until it has one.
    pub const DEFAULT_ORG: &str = "default";

    /// One without limits.
    pub fn new(kind: ScopeKind, id: String, shard: ShardId, created: Timestamp) -> Self {
        Self {
            kind,
            id,
            shard,
            org: None,
            name: None,
            limits: Limits::NONE,
            opening: Money::ZERO,
            template: None,
            models: None,
            customers: None,
            aliases: SmallMap::new(),
            residency: None,
            guards: Vec::new(),
            ceilings: None,
            metadata: serde_json::Map::new(),
            state: ScopeState::Active,
            created,
            updated: created,
        }
    }

    pub fn account(&self) -> AccountId {
        self.kind.account(&self.id)
    }

    /// Whether it is within that one: of that organisation, or a member of that team or user.
    pub fn belongs_to(&self, kind: ScopeKind, id: &str) -> bool {
        let member = || self.id.split_once('/').filter(|_| self.kind == ScopeKind::Member);
        match kind {
            ScopeKind::Organisation => self.org.as_deref() == Some(id),
            ScopeKind::Team => member().is_some_and(|(team, _)| team == id),
            ScopeKind::User => member().is_some_and(|(_, user)| user == id),
            ScopeKind::Project
            | ScopeKind::Member
            | ScopeKind::Customer
            | ScopeKind::Tag
            | ScopeKind::Model
            | ScopeKind::Agent
            | ScopeKind::Tool
            | ScopeKind::Template => false,
        }
    }
}

/// Whether `id` may name what admins make: 1 to 64 lower-case letters, digits, `-`, `_` and `.`, a letter or digit first.
pub fn is_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=64).contains(&id.len())
        && id.bytes().all(|byte| plain(byte) || b"-_.".contains(&byte))
        && id.bytes().next().is_some_and(plain)
}

/// Whether `id` may name what callers name: 1 to 256 characters, none of which is a control character.
fn is_wide_id(id: &str) -> bool {
    (1..=256).contains(&id.chars().count()) && !id.chars().any(char::is_control)
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
    fn what_callers_name_may_be_more() {
        for good in ["a", "openai/gpt-4o", "Zo\u{eb}", "x y", &"a".repeat(256)] {
            assert!(ScopeKind::Customer.allows(good), "{good}");
        }
        for bad in ["", "a\0", "a\nb", "\u{85}", &"a".repeat(257), &"\u{eb}".repeat(257)] {
            assert!(!ScopeKind::Tag.allows(bad), "{bad}");
        }
        for good in ["search/ada", "search/Ada.L@example.com"] {
            assert!(ScopeKind::Member.allows(good), "{good}");
        }
        for bad in ["search", "/ada", "search/", "search/ada/x", "Search/ada"] {
            assert!(!ScopeKind::Member.allows(bad), "{bad}");
        }
    }

    #[test]
    fn accounts_are_named_by_their_kind() {
        for kind in ScopeKind::ALL {
            assert_eq!(kind.account("x").as_str(), format!("{kind}/x"));
        }
    }
}
