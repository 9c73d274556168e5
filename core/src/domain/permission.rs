//! Who may do what under `/admin/v1`. What the table does not name is refused.

use super::account::Holder;
use super::key::{Key, KeyKind};
use super::{Role, Scope, ScopeKind, ShardId};

/// What a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// A virtual key, its limits and what is used of them.
    Key,
    Scope(ScopeKind),
    /// What was spent: the part of it that lies within the role's bounds.
    Spend,
    /// A provider's credential that was given over the API.
    Credential,
    /// An organisation's prompts.
    Prompt,
    /// What admins did, and what was refused to them.
    Audit,
    /// Objects in the archive of records.
    Archive,
    /// Records of requests, and what somebody thinks of the answers.
    Record,
    /// What requests said and were answered, where that is kept.
    Content,
    /// The gateway's own work: what a tick does.
    Gateway,
    /// The description of this interface.
    Interface,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Read,
    Create,
    Change,
    /// Makes a secret anew and shows it.
    Unlock,
    Delete,
    /// Starts what the gateway does by itself from time to time.
    Run,
}

impl Verb {
    pub const ALL: [Self; 6] =
        [Self::Read, Self::Create, Self::Change, Self::Unlock, Self::Delete, Self::Run];

    /// Whether nothing is other than before when it is done.
    pub fn only_reads(self) -> bool {
        self == Self::Read
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Create => "create",
            Self::Change => "change",
            Self::Unlock => "unlock",
            Self::Delete => "delete",
            Self::Run => "run",
        }
    }
}

impl Resource {
    pub fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Scope(kind) => kind.name(),
            Self::Spend => "spend",
            Self::Credential => "credential",
            Self::Prompt => "prompt",
            Self::Audit => "audit",
            Self::Archive => "archive",
            Self::Record => "record",
            Self::Content => "content",
            Self::Gateway => "gateway",
            Self::Interface => "interface",
        }
    }

    /// Whether each of these is somebody's: a role with bounds then reaches those within its bounds. What is not is the
    /// gateway's as a whole.
    pub fn is_somebodys(self) -> bool {
        match self {
            // What is said of the interface is the same for all.
            Self::Key
            | Self::Scope(_)
            | Self::Spend
            | Self::Record
            | Self::Content
            | Self::Prompt
            | Self::Interface => true,
            Self::Credential | Self::Audit | Self::Archive | Self::Gateway => false,
        }
    }
}

const MANAGE: &[Verb] = &[Verb::Read, Verb::Create, Verb::Change, Verb::Unlock, Verb::Delete];
const READ: &[Verb] = &[Verb::Read];

/// Role, what it is about, and what it may do there: everywhere for roles of the whole gateway, otherwise within the
/// role's bounds ([`Principal::covers`]).
pub const TABLE: &[(Role, Resource, &[Verb])] = &[
    (Role::GatewayAdmin, Resource::Key, MANAGE),
    (Role::GatewayAdmin, Resource::Scope(ScopeKind::Team), MANAGE),
    (Role::GatewayAdmin, Resource::Scope(ScopeKind::Project), MANAGE),
    (Role::GatewayAdmin, Resource::Scope(ScopeKind::User), MANAGE),
    (Role::GatewayAdmin, Resource::Scope(ScopeKind::Organisation), MANAGE),
    (Role::GatewayAdmin, Resource::Scope(ScopeKind::Member), MANAGE),
    (Role::GatewayAdmin, Resource::Scope(ScopeKind::Customer), MANAGE),
    (Role::GatewayAdmin, Resource::Scope(ScopeKind::Tag), MANAGE),
    (Role::GatewayAdmin, Resource::Scope(ScopeKind::Model), MANAGE),
    (Role::GatewayAdmin, Resource::Scope(ScopeKind::Agent), MANAGE),
    (Role::GatewayAdmin, Resource::Scope(ScopeKind::Tool), MANAGE),
    (Role::GatewayAdmin, Resource::Scope(ScopeKind::Template), MANAGE),
    (Role::GatewayAdmin, Resource::Credential, MANAGE),
    (Role::GatewayAdmin, Resource::Prompt, MANAGE),
    (Role::GatewayAdmin, Resource::Audit, READ),
    (Role::GatewayAdmin, Resource::Archive, READ),
    (Role::GatewayAdmin, Resource::Record, &[Verb::Read, Verb::Create]),
    (Role::GatewayAdmin, Resource::Content, &[Verb::Read, Verb::Delete]),
    (Role::GatewayAdmin, Resource::Gateway, &[Verb::Read, Verb::Run]),
    (Role::GatewayAdmin, Resource::Spend, READ),
    (Role::GatewayAdmin, Resource::Interface, READ),
    (Role::Auditor, Resource::Key, READ),
    (Role::Auditor, Resource::Scope(ScopeKind::Team), READ),
    (Role::Auditor, Resource::Scope(ScopeKind::Project), READ),
    (Role::Auditor, Resource::Scope(ScopeKind::User), READ),
    (Role::Auditor, Resource::Scope(ScopeKind::Organisation), READ),
    (Role::Auditor, Resource::Scope(ScopeKind::Member), READ),
    (Role::Auditor, Resource::Scope(ScopeKind::Customer), READ),
    (Role::Auditor, Resource::Scope(ScopeKind::Tag), READ),
    (Role::Auditor, Resource::Scope(ScopeKind::Model), READ),
    (Role::Auditor, Resource::Scope(ScopeKind::Agent), READ),
    (Role::Auditor, Resource::Scope(ScopeKind::Tool), READ),
    (Role::Auditor, Resource::Scope(ScopeKind::Template), READ),
    (Role::Auditor, Resource::Credential, READ),
    (Role::Auditor, Resource::Prompt, READ),
    (Role::Auditor, Resource::Audit, READ),
    (Role::Auditor, Resource::Archive, READ),
    (Role::Auditor, Resource::Record, READ),
    (Role::Auditor, Resource::Gateway, READ),
    (Role::Auditor, Resource::Spend, READ),
    (Role::Auditor, Resource::Interface, READ),
    // Not the organisation's own limits, nor those of what is called and of whom others serve too.
    (Role::OrgAdmin, Resource::Key, MANAGE),
    (Role::OrgAdmin, Resource::Scope(ScopeKind::Organisation), READ),
    (Role::OrgAdmin, Resource::Scope(ScopeKind::Team), MANAGE),
    (Role::OrgAdmin, Resource::Scope(ScopeKind::Project), MANAGE),
    (Role::OrgAdmin, Resource::Scope(ScopeKind::User), MANAGE),
    (Role::OrgAdmin, Resource::Scope(ScopeKind::Member), MANAGE),
    (Role::OrgAdmin, Resource::Scope(ScopeKind::Template), MANAGE),
    (Role::OrgAdmin, Resource::Prompt, MANAGE),
    (Role::OrgAdmin, Resource::Spend, READ),
    (Role::OrgAdmin, Resource::Record, &[Verb::Read, Verb::Create]),
    (Role::OrgAdmin, Resource::Content, READ),
    (Role::OrgAdmin, Resource::Interface, READ),
    // Not the team's own limits: those are for who gave them.
    (Role::TeamAdmin, Resource::Key, MANAGE),
    (Role::TeamAdmin, Resource::Scope(ScopeKind::Team), READ),
    (Role::TeamAdmin, Resource::Spend, READ),
    (Role::TeamAdmin, Resource::Record, &[Verb::Read, Verb::Create]),
    (Role::TeamAdmin, Resource::Content, READ),
    (Role::TeamAdmin, Resource::Scope(ScopeKind::Member), MANAGE),
    (Role::TeamAdmin, Resource::Interface, READ),
    (Role::Member, Resource::Key, MANAGE),
    (Role::Member, Resource::Scope(ScopeKind::Team), READ),
    (Role::Member, Resource::Scope(ScopeKind::User), READ),
    (Role::Member, Resource::Spend, READ),
    (Role::Member, Resource::Record, &[Verb::Read, Verb::Create]),
    (Role::Member, Resource::Interface, READ),
    (Role::Customer, Resource::Key, READ),
    (Role::Customer, Resource::Spend, READ),
    (Role::Customer, Resource::Record, READ),
    (Role::Customer, Resource::Interface, READ),
    (Role::Agent, Resource::Key, READ),
    (Role::Agent, Resource::Spend, READ),
    (Role::Agent, Resource::Record, READ),
    (Role::Agent, Resource::Interface, READ),
];

/// Who calls. There is none without a role, and each is made of something that was shown and found to be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    actor: Actor,
    role: Role,
    bounds: Bounds,
    only_reads: bool,
}

/// What was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The admin key that the host knows.
    Root,
    Key {
        shard: ShardId,
        id: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Bounds {
    Gateway,
    /// What belongs to all of these. Never empty.
    Scopes(ShardId, Vec<(ScopeKind, String)>),
    Key(ShardId, String),
}

/// That a principal may do something to what its bounds cover. Handlers ask for one, and nobody else can make it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    principal: Principal,
    resource: Resource,
    verb: Verb,
}

impl Principal {
    pub fn root() -> Self {
        Self { actor: Actor::Root, role: Role::GatewayAdmin, bounds: Bounds::Gateway, only_reads: false }
    }

    /// Who shows `key`, which was found to be open; none: it is for models, or does not belong to what bounds its role.
    pub fn of(key: &Key) -> Option<Self> {
        let (role, only_reads) = match key.kind {
            KeyKind::Inference => return None,
            KeyKind::Management(role) => (role, false),
            KeyKind::ReadOnly(role) => (role, true),
        };
        let bounds = role.bounds().iter();
        let scopes: Vec<_> = bounds.filter_map(|kind| Some((*kind, key.scope(*kind)?.to_owned()))).collect();
        let bounds = match role.needs() {
            Some(kind) if scopes.iter().any(|(mine, _)| *mine == kind) => {
                Bounds::Scopes(key.shard.clone(), scopes)
            }
            Some(_) => return None,
            None if matches!(role, Role::Agent | Role::Customer) => {
                Bounds::Key(key.shard.clone(), key.id.clone())
            }
            None => Bounds::Gateway,
        };
        let actor = Actor::Key { shard: key.shard.clone(), id: key.id.clone() };
        Some(Self { actor, role, bounds, only_reads })
    }

    /// Who shows `key`, and may read of it and of nothing else.
    pub fn itself(key: &Key) -> Self {
        Self {
            actor: Actor::Key { shard: key.shard.clone(), id: key.id.clone() },
            role: Role::Agent,
            bounds: Bounds::Key(key.shard.clone(), key.id.clone()),
            only_reads: true,
        }
    }

    /// The key that was shown; none: the admin's.
    pub fn key_id(&self) -> Option<&str> {
        match &self.actor {
            Actor::Root => None,
            Actor::Key { id, .. } => Some(id),
        }
    }

    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    pub fn role(&self) -> Role {
        self.role
    }

    /// The organisation that bounds it; none: the default one, or all.
    pub fn org(&self) -> Option<&str> {
        let Bounds::Scopes(_, bounds) = &self.bounds else { return None };
        bounds.iter().find(|(kind, _)| *kind == ScopeKind::Organisation).map(|(_, id)| id.as_str())
    }

    /// Whether it reaches all that belongs to this organisation. Who is bounded by less reaches none of it.
    pub fn runs(&self, shard: &ShardId, org: &str) -> bool {
        match &self.bounds {
            Bounds::Gateway => true,
            Bounds::Scopes(mine, bounds) => {
                mine == shard && bounds.iter().all(|(kind, id)| *kind == ScopeKind::Organisation && id == org)
            }
            Bounds::Key(..) => false,
        }
    }

    /// Where its calls are about something of unless they say so; none: where the gateway's own are.
    pub fn shard(&self) -> Option<&ShardId> {
        match &self.bounds {
            Bounds::Gateway => None,
            Bounds::Scopes(shard, _) | Bounds::Key(shard, _) => Some(shard),
        }
    }

    /// What it may do; none: the table does not say so.
    pub fn permit(self, resource: Resource, verb: Verb) -> Option<Permit> {
        let named = TABLE
            .iter()
            .any(|(role, about, verbs)| *role == self.role && *about == resource && verbs.contains(&verb));
        let fits = resource.is_somebodys() || self.bounds == Bounds::Gateway;
        let allowed = named && fits && (!self.only_reads || verb.only_reads());
        allowed.then_some(Permit { principal: self, resource, verb })
    }

    /// What bounds it within its shard: the kind of each, and the id. None for roles of the whole gateway.
    pub fn bounds(&self) -> Vec<(&'static str, &str)> {
        match &self.bounds {
            Bounds::Gateway => Vec::new(),
            Bounds::Scopes(_, scopes) => scopes.iter().map(|(kind, id)| (kind.name(), id.as_str())).collect(),
            Bounds::Key(_, id) => vec![("key", id)],
        }
    }

    /// Whether what `holder` is belongs to whatever bounds the role, or is one of its bounds.
    fn covers(&self, shard: &ShardId, holder: &Holder) -> bool {
        match (&self.bounds, holder) {
            (Bounds::Gateway, _) => true,
            (Bounds::Scopes(mine, bounds), Holder::Key(key)) => {
                mine == shard && bounds.iter().all(|(kind, id)| key.scope(*kind) == Some(id))
            }
            (Bounds::Scopes(mine, bounds), Holder::Scope(scope)) => {
                let is = |(kind, id): &(ScopeKind, String)| (*kind, id) == (scope.kind, &scope.id);
                let has = |(kind, id): &(ScopeKind, String)| scope.belongs_to(*kind, id);
                mine == shard && (bounds.iter().any(is) || bounds.iter().all(has))
            }
            (Bounds::Key(mine, id), Holder::Key(key)) => mine == shard && key.id == *id,
            (Bounds::Key(..), Holder::Scope(_)) => false,
        }
    }
}

impl Permit {
    /// Whether it may name this one as what a key or a member belongs to: one that it covers, or a user of the organisation
    /// that bounds it.
    pub fn may_name(&self, shard: &ShardId, scope: &Scope) -> bool {
        let of_mine = match &self.principal.bounds {
            Bounds::Scopes(mine, _) => {
                let user = scope.kind == ScopeKind::User && self.principal.role != Role::Member;
                mine == shard && user && scope.org.as_deref() == self.principal.org()
            }
            Bounds::Gateway | Bounds::Key(..) => false,
        };
        of_mine || self.covers(shard, &Holder::Scope(scope.clone()))
    }

    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    pub fn resource(&self) -> Resource {
        self.resource
    }

    pub fn verb(&self) -> Verb {
        self.verb
    }

    /// Whether it is for this one. What it is not for is to the caller as if it were not there.
    pub fn covers(&self, shard: &ShardId, holder: &Holder) -> bool {
        self.principal.covers(shard, holder)
    }

    /// Whether what is written may be as it was before and is afterwards: a key whose role is above the principal's own is
    /// not made, changed, moved or opened.
    pub fn may_leave(&self, shard: &ShardId, holder: &Holder) -> bool {
        let rank = match holder {
            Holder::Key(key) => key.kind.role().is_none_or(|role| self.principal.role.outranks(role)),
            Holder::Scope(_) => true,
        };
        rank && self.covers(shard, holder)
    }
}
