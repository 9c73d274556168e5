//! Answers that may be given again, in KV: read in every place without asking another, and gone by themselves.

use async_trait::async_trait;
use bytes::Bytes;
use gatelet_core::domain::Timestamp;
use gatelet_core::port::{Answers, Fault, FaultKind};
use worker::kv::{KvError, KvStore};

use crate::{js, ports};

#[derive(Debug)]
pub(crate) struct KvAnswers(pub(crate) KvStore);

/// Documents have no such names.
const PREFIX: &str = "cache/";
/// KV forgets nothing sooner; what is over before is known by its label.
const SHORTEST: u64 = 60;

impl KvAnswers {
    async fn get(&self, name: &str) -> Result<Option<Bytes>, Fault> {
        let read = self.0.get(&format!("{PREFIX}{name}")).bytes().await;
        Ok(read.map_err(|error| fault("answers.get", &error))?.map(Bytes::from))
    }

    async fn put(&self, name: &str, bytes: &[u8], until: Timestamp) -> Result<(), Fault> {
        let failed = |error| fault("answers.put", &error);
        let seconds = until.since(ports::now()).as_secs().max(SHORTEST);
        let put = self.0.put_bytes(&format!("{PREFIX}{name}"), bytes).map_err(failed)?;
        put.expiration_ttl(seconds).execute().await.map_err(failed)
    }
}

fn fault(operation: &'static str, error: &KvError) -> Fault {
    Fault::new(FaultKind::Unavailable, operation, error.to_string())
}

#[async_trait]
impl Answers for KvAnswers {
    async fn get(&self, name: &str, _now: Timestamp) -> Result<Option<Bytes>, Fault> {
        js::js(Self::get(self, name)).await
    }

    async fn put(&self, name: &str, bytes: Bytes, until: Timestamp) -> Result<(), Fault> {
        js::js(Self::put(self, name, &bytes, until)).await
    }
}
