//! [`Store`]: documents. The directory's object has them, exactly; KV carries copies to where they are read. Of the
//! gateway's own books, which are read as they were last written, there are no copies.

use async_trait::async_trait;
use bytes::Bytes;
use gatelet_core::domain::Timestamp;
use gatelet_core::port::{EXACT, Expect, Fault, FaultKind, MOST_KEPT, Page, Store, Versioned};
use serde::{Deserialize, Serialize};
use worker::kv::{KvError, KvStore};

use crate::ask::{Ask, Blob, CONFIG, DIRECTORY, Document, keeper};
use crate::js;
use crate::ledger::Shards;

#[derive(Debug)]
pub(crate) struct Documents {
    pub(crate) kv: KvStore,
    pub(crate) shards: Shards,
}

/// What KV notes beside a copy. An admin who writes a document by hand notes nothing: that is version 0.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Copy {
    version: u64,
}

impl Documents {
    async fn get(&self, name: &str) -> Result<Option<Versioned>, Fault> {
        const OPERATION: &str = "store.get";
        if name.starts_with(EXACT) {
            return self.newest(name).await;
        }
        let (bytes, copy) = self
            .kv
            .get(name)
            .bytes_with_metadata::<Copy>()
            .await
            .map_err(|error| fault(OPERATION, &error))?;
        if let Some(bytes) = bytes {
            return Ok(Some(Versioned { version: copy.unwrap_or_default().version, bytes: bytes.into() }));
        }
        // It may be so new that KV does not have it here yet.
        self.newest(name).await
    }

    async fn put(&self, name: &str, bytes: Bytes, expect: Expect) -> Result<u64, Fault> {
        const OPERATION: &str = "store.put";
        if bytes.len() > LARGEST {
            let context = format!("{name} has {} bytes; {LARGEST} is the most", bytes.len());
            return Err(Fault::new(FaultKind::TooLarge, OPERATION, context));
        }
        let ask =
            Ask::PutDocument { name: name.to_owned(), bytes: Blob(bytes.clone()), expect: expect.into() };
        let version: Option<u64> = self.shards.ask(OPERATION, DIRECTORY, &ask).await?;
        let version = version.ok_or_else(|| Fault::new(FaultKind::Conflict, OPERATION, name))?;
        if name.starts_with(EXACT) {
            return Ok(version);
        }
        let copied = publish(&self.kv, name, &bytes, version).await;
        self.changed(OPERATION, name, version, copied).await;
        Ok(version)
    }

    /// A version stands, and was copied to KV or was not: KV takes one write a second and key. What failed is done by the
    /// directory's alarm.
    async fn changed(&self, operation: &'static str, name: &str, version: u64, copied: Result<(), KvError>) {
        if copied.is_ok() {
            let ask = Ask::Published { name: name.to_owned(), version };
            let _: Result<(), Fault> = self.shards.ask(operation, DIRECTORY, &ask).await;
        }
        if name == CONFIG {
            self.shards.configured(version).await;
        }
    }

    /// As the directory has it: KV may be behind.
    pub(crate) async fn newest(&self, name: &str) -> Result<Option<Versioned>, Fault> {
        let ask = Ask::GetDocument { name: name.to_owned() };
        let document: Option<Document> = self.shards.ask("store.get", DIRECTORY, &ask).await?;
        Ok(document.map(|Document { version, bytes }| Versioned { version, bytes: bytes.0 }))
    }

    async fn delete(&self, name: &str) -> Result<(), Fault> {
        const OPERATION: &str = "store.delete";
        let ask = Ask::DeleteDocument { name: name.to_owned() };
        let version: u64 = self.shards.ask(OPERATION, DIRECTORY, &ask).await?;
        let copied = self.kv.delete(name).await;
        self.changed(OPERATION, name, version, copied).await;
        Ok(())
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page, Fault> {
        let ask = Ask::ListDocuments { prefix: prefix.to_owned(), after: after.map(str::to_owned), limit };
        let names: Vec<String> = self.shards.ask("store.list", DIRECTORY, &ask).await?;
        let next = names.last().filter(|_| names.len() == limit).cloned();
        Ok(Page { names, next })
    }
}

/// A row of the object's database may have 2 MB.
const LARGEST: usize = 1_900_000;

/// Copies a document to KV.
pub(crate) async fn publish(kv: &KvStore, name: &str, bytes: &[u8], version: u64) -> Result<(), KvError> {
    kv.put_bytes(name, bytes)?.metadata(Copy { version })?.execute().await
}

fn fault(operation: &'static str, error: &KvError) -> Fault {
    Fault::new(FaultKind::Unavailable, operation, error.to_string())
}

#[async_trait]
impl Store for Documents {
    async fn get(&self, name: &str) -> Result<Option<Versioned>, Fault> {
        js::js(Self::get(self, name)).await
    }

    async fn put(&self, name: &str, bytes: Bytes, expect: Expect) -> Result<u64, Fault> {
        js::js(Self::put(self, name, bytes, expect)).await
    }

    async fn delete(&self, name: &str) -> Result<(), Fault> {
        js::js(Self::delete(self, name)).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page, Fault> {
        js::js(Self::list(self, prefix, after, limit)).await
    }

    // Not in KV: whoever keeps something goes on from it at once, maybe elsewhere.
    async fn keep(&self, home: &str, name: &str, bytes: Bytes, until: Timestamp) -> Result<(), Fault> {
        const OPERATION: &str = "store.keep";
        if bytes.len() > MOST_KEPT {
            return Err(Fault::new(
                FaultKind::TooLarge,
                OPERATION,
                format!("{name} has {} bytes", bytes.len()),
            ));
        }
        let ask = Ask::Keep { name: name.to_owned(), bytes: Blob(bytes), until };
        js::js(self.shards.ask(OPERATION, &keeper(home), &ask)).await
    }

    async fn kept(&self, home: &str, name: &str, now: Timestamp) -> Result<Option<Bytes>, Fault> {
        let (ask, keeper) = (Ask::Kept { name: name.to_owned(), now }, keeper(home));
        let kept: Option<Blob> = js::js(self.shards.ask("store.kept", &keeper, &ask)).await?;
        Ok(kept.map(|blob| blob.0))
    }

    async fn discard(&self, home: &str, name: &str) -> Result<(), Fault> {
        let (ask, keeper) = (Ask::Discard { name: name.to_owned() }, keeper(home));
        js::js(self.shards.ask("store.discard", &keeper, &ask)).await
    }
}
