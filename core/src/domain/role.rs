//! What a key may be for those who manage: a word for each, and where its rights end.

use serde::{Deserialize, Serialize};

use super::ScopeKind;

/// What somebody may do under `/admin/v1`: [`permission::TABLE`](super::permission::TABLE) says it in full.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything, everywhere.
    GatewayAdmin,
    /// Reads everything, changes nothing.
    Auditor,
    /// Whoever runs an organisation: what belongs to it, but not its own limits.
    OrgAdmin,
    /// Whoever runs a team: its keys, and its members' limits.
    TeamAdmin,
    /// A user: that user's own keys, within what admins allow.
    Member,
    /// Somebody outside, whom a key was given to: sees that key and what is used of it.
    Customer,
    /// A program: sees its own key and what is used of it.
    Agent,
}

impl Role {
    pub const ALL: [Self; 7] = [
        Self::GatewayAdmin,
        Self::Auditor,
        Self::OrgAdmin,
        Self::TeamAdmin,
        Self::Member,
        Self::Customer,
        Self::Agent,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::GatewayAdmin => "gateway_admin",
            Self::Auditor => "auditor",
            Self::OrgAdmin => "org_admin",
            Self::TeamAdmin => "team_admin",
            Self::Member => "member",
            Self::Customer => "customer",
            Self::Agent => "agent",
        }
    }

    /// What a key of this role must belong to; none: its rights are the whole gateway's, or end at the key itself.
    pub fn needs(self) -> Option<ScopeKind> {
        match self {
            Self::GatewayAdmin | Self::Auditor | Self::Customer | Self::Agent => None,
            Self::OrgAdmin => Some(ScopeKind::Organisation),
            Self::TeamAdmin => Some(ScopeKind::Team),
            Self::Member => Some(ScopeKind::User),
        }
    }

    /// Which of the things that a key belongs to bound its rights: all of them together, where it belongs to several. So
    /// whoever makes a key within their own bounds cannot make one that reaches beyond them.
    pub fn bounds(self) -> &'static [ScopeKind] {
        match self {
            Self::GatewayAdmin | Self::Auditor | Self::Customer | Self::Agent => &[],
            Self::OrgAdmin => &[ScopeKind::Organisation],
            Self::TeamAdmin => &[ScopeKind::Organisation, ScopeKind::Team],
            Self::Member => &[ScopeKind::Organisation, ScopeKind::Team, ScopeKind::User],
        }
    }

    /// Whether whoever has this role may make, change or take away a key of the other one.
    pub fn outranks(self, other: Self) -> bool {
        match self {
            Self::GatewayAdmin => true,
            Self::OrgAdmin => !matches!(other, Self::GatewayAdmin | Self::Auditor),
            Self::TeamAdmin => {
                matches!(other, Self::TeamAdmin | Self::Member | Self::Customer | Self::Agent)
            }
            Self::Auditor | Self::Member | Self::Customer | Self::Agent => false,
        }
    }
}
