//! Documents of keys that were read before.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::ShardId;
use crate::domain::account::Document;

/// A bounded cache. What is in it may be old: the ledger says so before anything is held.
#[derive(Debug, Default)]
pub struct KeyCache {
    documents: Mutex<Documents>,
}

#[derive(Debug, Default)]
struct Documents {
    by_shard: HashMap<ShardId, HashMap<String, Arc<Document>>>,
    count: usize,
}

impl KeyCache {
    const MOST: usize = 10_000;

    pub fn get(&self, shard: &ShardId, id: &str) -> Option<Arc<Document>> {
        let documents = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        documents.by_shard.get(shard)?.get(id).cloned()
    }

    /// Keeps `document` unless a newer one is there.
    pub fn put(&self, shard: &ShardId, document: &Arc<Document>) {
        let mut documents = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        if documents.count >= Self::MOST {
            // Rare, and cheaper than keeping an order of use on every request: start afresh.
            *documents = Documents::default();
        }
        let Documents { by_shard, count } = &mut *documents;
        match by_shard.entry(shard.clone()).or_default().entry(document.key.id.clone()) {
            Entry::Occupied(mut there) if there.get().version < document.version => {
                there.insert(document.clone());
            }
            Entry::Occupied(_) => {}
            Entry::Vacant(place) => {
                place.insert(document.clone());
                *count += 1;
            }
        }
    }
}
