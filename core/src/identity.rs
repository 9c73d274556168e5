//! Documents of keys that were read before.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::Caller;
use crate::domain::ShardId;

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
