//! Documents of keys that were read before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::ShardId;
use crate::domain::account::Document;

/// A bounded cache. What is in it may be old: the ledger says so before anything is held.
#[derive(Debug, Default)]
pub struct KeyCache {
    documents: Mutex<HashMap<(ShardId, String), Arc<Document>>>,
}

impl KeyCache {
    const MOST: usize = 10_000;

    pub fn get(&self, shard: &ShardId, id: &str) -> Option<Arc<Document>> {
        let documents = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        documents.get(&(shard.clone(), id.to_owned())).cloned()
    }

    /// Keeps `document` unless a newer one is there.
    pub fn put(&self, shard: &ShardId, document: &Arc<Document>) {
        let mut documents = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        if documents.len() >= Self::MOST {
            // Rare, and cheaper than keeping an order of use on every request: start afresh.
            documents.clear();
        }
        let slot =
            documents.entry((shard.clone(), document.key.id.clone())).or_insert_with(|| document.clone());
        if slot.version < document.version {
            *slot = document.clone();
        }
    }
}
