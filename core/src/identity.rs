//! Documents of keys and scopes that were read before.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::account::Document;
use crate::domain::{AccountId, Caller, ShardId, Stake};

/// A bounded cache. What is in it may be old: the ledger says so before anything is held.
#[derive(Debug, Default)]
pub struct KeyCache {
    documents: Mutex<Documents>,
}

#[derive(Debug, Default)]
struct Documents {
    by_shard: HashMap<ShardId, HashMap<String, Arc<Caller>>>,
    count: usize,
}

impl KeyCache {
    const MOST: usize = 10_000;

    pub fn get(&self, shard: &ShardId, id: &str) -> Option<Arc<Caller>> {
        let documents = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        documents.by_shard.get(shard)?.get(id).cloned()
    }

    /// Keeps `document` unless a newer one is there.
    pub fn put(&self, shard: &ShardId, caller: &Arc<Caller>) {
        let mut documents = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        if documents.count >= Self::MOST {
            // Rare, and cheaper than keeping an order of use on every request: start afresh.
            *documents = Documents::default();
        }
        let Documents { by_shard, count } = &mut *documents;
        match by_shard.entry(shard.clone()).or_default().entry(caller.key.id.clone()) {
            Entry::Occupied(mut there) if caller.is_newer_than(there.get()) => {
                there.insert(caller.clone());
            }
            Entry::Occupied(_) => {}
            Entry::Vacant(place) => {
                place.insert(caller.clone());
                *count += 1;
            }
        }
    }
}

/// A bounded cache of what requests name themselves. What is not in it may exist all the same: the ledger says so before
/// anything is held.
#[derive(Debug, Default)]
pub struct ScopeCache {
    documents: Mutex<HashMap<ShardId, HashMap<AccountId, Arc<Document>>>>,
}

impl ScopeCache {
    /// In each shard.
    const MOST: usize = 10_000;

    /// The account with what is known of it.
    pub fn stake(&self, shard: &ShardId, account: AccountId) -> Stake {
        let documents = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        let document = documents.get(shard).and_then(|documents| documents.get(&account).cloned());
        Stake::with(account, document)
    }

    /// Keeps `document` unless a newer one is there.
    pub fn put(&self, shard: &ShardId, document: &Arc<Document>) {
        let mut documents = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        let documents = documents.entry(shard.clone()).or_default();
        if documents.len() >= Self::MOST {
            documents.clear();
        }
        let account = document.account();
        if documents.get(&account).is_none_or(|there| there.version < document.version) {
            documents.insert(account, document.clone());
        }
    }
}
