//! Who calls, as far as it is known before the ledger is asked.

use std::sync::Arc;

use super::account::{Document, Holder, Limits};
use super::{AccountId, Key};

/// A key and what it belongs to, as they were when they were read: what a request is judged by. The ledger says whether
/// that is how they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The version of the key's document.
    pub version: u64,
    pub key: Key,
    /// The documents of [`Key::scopes`], in their order.
    scopes: Vec<Arc<Document>>,
}

impl Caller {
    /// None: a document is missing, or is another's.
    pub fn new(document: Document, scopes: Vec<Arc<Document>>) -> Option<Self> {
        let Document { version, holder: Holder::Key(key) } = document else { return None };
        let mine = key.accounts().into_iter().skip(1).eq(scopes.iter().map(|scope| scope.account()));
        mine.then_some(Self { version, key, scopes })
    }

    /// The accounts of its requests: the key's own first.
    pub fn accounts(&self) -> Vec<AccountId> {
        self.key.accounts()
    }

    /// The versions of their documents.
    pub fn versions(&self) -> Vec<u64> {
        std::iter::once(self.version).chain(self.scopes.iter().map(|scope| scope.version)).collect()
    }

    pub fn scopes(&self) -> impl Iterator<Item = &Document> {
        self.scopes.iter().map(|scope| &**scope)
    }

    /// The limits of all its accounts.
    pub fn limits(&self) -> impl Iterator<Item = &Limits> {
        std::iter::once(&self.key.limits).chain(self.scopes().map(Document::limits))
    }

    /// With a newer version of one of its documents; none: it belongs to something else by now.
    #[must_use]
    pub fn with(&self, newer: Document) -> Option<Self> {
        if newer.account() == self.key.account() {
            return Self::new(newer, self.scopes.clone());
        }
        let mut caller = self.clone();
        let place = caller.scopes.iter().position(|scope| scope.account() == newer.account())?;
        caller.scopes[place] = Arc::new(newer);
        Some(caller)
    }

    /// Whether something of it was read later than of `other`, which is the same key.
    pub fn is_newer_than(&self, other: &Self) -> bool {
        let age = |caller: &Self| (caller.version, caller.versions().iter().sum::<u64>());
        age(self) > age(other)
    }
}
