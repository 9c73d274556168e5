//! Who calls, as far as it is known before the ledger is asked.

use std::sync::Arc;

use super::account::{Document, Holder, Limits, Stood};
use super::{AccountId, Key, Scope, ScopeKind};

/// A key and what it belongs to, as they were when they were read: what a request is judged by. The ledger says whether
/// that is how they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The version of the key's document.
    pub version: u64,
    pub key: Key,
    /// The accounts of [`Key::belongs`], in their order.
    scopes: Vec<Stake>,
}

/// One of the accounts that a request is charged to, with what was last known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stake {
    pub account: AccountId,
    /// The version of its document; zero: it had none.
    pub version: u64,
    /// None: it had none, or it is the caller's own.
    pub document: Option<Arc<Document>>,
    /// Limits that another's document says for it, for want of its own.
    pub carried: Option<Limits>,
}

impl Stake {
    /// Of an account of which nothing is known: the ledger will say if there is anything.
    pub fn new(account: AccountId) -> Self {
        Self { account, version: 0, document: None, carried: None }
    }

    /// Of an account that has this document.
    pub fn with(account: AccountId, document: Option<Arc<Document>>) -> Self {
        let version = document.as_ref().map_or(0, |document| document.version);
        Self { version, document, ..Self::new(account) }
    }

    /// What is known to limit it.
    pub fn limits(&self) -> Option<&Limits> {
        self.carried.as_ref().or_else(|| self.document.as_deref().map(Document::limits))
    }
}

impl Caller {
    /// None: the document is not a key's, or the scopes are others than it belongs to.
    pub fn new(document: Document, scopes: Vec<Stake>) -> Option<Self> {
        let Document { version, holder: Holder::Key(key) } = document else { return None };
        let belongs = key.belongs();
        let mine =
            belongs.iter().map(|belongs| &belongs.account).eq(scopes.iter().map(|scope| &scope.account));
        mine.then_some(Self { version, key, scopes })
    }

    /// What it belongs to.
    pub fn scopes(&self) -> &[Stake] {
        &self.scopes
    }

    /// Documents of what it belongs to.
    pub fn documents(&self) -> impl Iterator<Item = &Document> {
        self.scopes.iter().filter_map(|scope| scope.document.as_deref())
    }

    /// Who of those that it belongs to does not let its requests have this tag.
    pub fn forbids(&self, tag: &String) -> Option<&Scope> {
        self.documents().filter_map(Document::scope).find(|scope| {
            let allowed = scope.ceilings.as_ref().and_then(|ceilings| ceilings.allowed_tags.as_ref());
            allowed.is_some_and(|allowed| !allowed.contains(tag))
        })
    }

    /// What is meant by a model's name: what the key says, or its team, or the name itself.
    pub fn meant<'a>(&'a self, model: &'a str) -> &'a str {
        let mut scopes = self.documents().filter_map(Document::scope);
        let team = scopes.find(|scope| scope.kind == ScopeKind::Team);
        let named = self.key.aliases.get(model).or_else(|| team?.aliases.get(model));
        named.map_or(model, String::as_str)
    }

    /// The names that the key and its team have given to models.
    pub fn aliases(&self) -> impl Iterator<Item = &str> {
        let scopes = self.documents().filter_map(Document::scope);
        let teams = scopes.filter(|scope| scope.kind == ScopeKind::Team);
        let names = self.key.aliases.keys().chain(teams.flat_map(|team| team.aliases.keys()));
        names.map(String::as_str)
    }

    /// The guards that the key and what it belongs to demand, by name. Each only adds: nothing takes away what another demands.
    pub fn guards(&self) -> impl Iterator<Item = &str> {
        let scopes = self.documents().filter_map(Document::scope);
        self.key.guards.iter().chain(scopes.flat_map(|scope| &scope.guards)).map(String::as_str)
    }

    /// With newer documents; none: it belongs to something else by now, or is gone.
    #[must_use]
    pub fn with(&self, newer: Vec<Stood>) -> Option<Self> {
        let mut caller = self.clone();
        for Stood { account, document } in newer {
            if account == self.key.account() {
                caller = Self::new(*document?, caller.scopes)?;
            } else if let Some(scope) = caller.scopes.iter_mut().find(|scope| scope.account == account) {
                *scope = Stake::with(account, document.map(|document| Arc::new(*document)));
            }
        }
        Some(caller)
    }

    /// Whether something of it was read later than of `other`, which is the same key.
    pub fn is_newer_than(&self, other: &Self) -> bool {
        let age =
            |caller: &Self| (caller.version, caller.scopes.iter().map(|scope| scope.version).sum::<u64>());
        age(self) > age(other)
    }
}
