//! [`Ledger`] over Durable Objects: one for each shard, named after it.

use async_trait::async_trait;
use gatelet_core::domain::account::{Account, Unreadable};
use gatelet_core::domain::{AccountId, ShardId, Timestamp};
use gatelet_core::port::{Entry, Fault, FaultKind, Ledger, Outcome, Transaction};
use serde::de::DeserializeOwned;
use wasm_bindgen_futures::JsFuture;
use worker::ObjectNamespace;

use crate::ask::{Ask, Blob, DIRECTORY, Transacted};
use crate::js;

/// The objects, by name.
#[derive(Clone, Debug)]
pub(crate) struct Shards(pub(crate) ObjectNamespace);

impl Shards {
    /// Asks one object. What the runtime marks as worth another try gets it: every ask may come twice.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        name: &str,
        ask: &Ask,
    ) -> Result<T, Fault> {
        const TRIES: u32 = 3;
        let corrupt = |error: serde_json::Error| Fault::new(FaultKind::Corrupt, operation, error.to_string());
        let ask = serde_json::to_string(ask).map_err(corrupt)?;
        let mut tried = 0;
        loop {
            tried += 1;
            let answer = match js::shard(self.0.as_ref(), name, &ask) {
                Ok(promise) => JsFuture::from(promise).await,
                Err(error) => Err(error),
            };
            match answer {
                Ok(answer) => {
                    return serde_json::from_str(&answer.as_string().unwrap_or_default()).map_err(corrupt);
                }
                Err(error)
                    if tried < TRIES && js::says(&error, "retryable") && !js::says(&error, "overloaded") => {}
                Err(error) => return Err(js::fault(operation, &error)),
            }
        }
    }

    async fn transact(
        &self,
        shard: &ShardId,
        transaction: Transaction,
        now: Timestamp,
    ) -> Result<Outcome, Fault> {
        const OPERATION: &str = "ledger.transact";
        let Transacted { outcome, unknown } =
            self.ask(OPERATION, shard.as_str(), &Ask::Transact { transaction, now }).await?;
        if unknown {
            // Once in a shard's life. The books stand already: should this fail, the next transaction tries again.
            let noted: Result<(), Fault> =
                self.ask(OPERATION, DIRECTORY, &Ask::Register { shard: shard.clone() }).await;
            if noted.is_ok() {
                let _: Result<(), Fault> = self.ask(OPERATION, shard.as_str(), &Ask::Known).await;
            }
        }
        Ok(outcome)
    }
}

pub(crate) fn decode(operation: &'static str, bytes: &Blob) -> Result<Account, Fault> {
    let corrupt = |error: Unreadable| Fault::new(FaultKind::Corrupt, operation, error.to_string());
    Account::from_bytes(&bytes.0).map_err(corrupt)
}

#[async_trait]
impl Ledger for Shards {
    async fn transact(
        &self,
        shard: &ShardId,
        transaction: Transaction,
        now: Timestamp,
    ) -> Result<Outcome, Fault> {
        js::js(Self::transact(self, shard, transaction, now)).await
    }

    async fn read(&self, shard: &ShardId, account: &AccountId) -> Result<Option<Account>, Fault> {
        const OPERATION: &str = "ledger.read";
        let ask = Ask::Read { account: account.clone() };
        let found: Option<Blob> = js::js(self.ask(OPERATION, shard.as_str(), &ask)).await?;
        found.map(|bytes| decode(OPERATION, &bytes)).transpose()
    }

    async fn list(
        &self,
        shard: &ShardId,
        prefix: &str,
        after: Option<&AccountId>,
        limit: usize,
    ) -> Result<Vec<(AccountId, Account)>, Fault> {
        const OPERATION: &str = "ledger.list";
        let ask = Ask::List { prefix: prefix.to_owned(), after: after.cloned(), limit };
        let found: Vec<(AccountId, Blob)> = js::js(self.ask(OPERATION, shard.as_str(), &ask)).await?;
        found.into_iter().map(|(id, bytes)| Ok((id, decode(OPERATION, &bytes)?))).collect()
    }

    async fn outbox(&self, shard: &ShardId, limit: usize) -> Result<Vec<Entry>, Fault> {
        js::js(self.ask("ledger.outbox", shard.as_str(), &Ask::Outbox { limit })).await
    }

    async fn clear(&self, shard: &ShardId, entries: &[String]) -> Result<(), Fault> {
        js::js(self.ask("ledger.clear", shard.as_str(), &Ask::Clear { entries: entries.to_vec() })).await
    }

    async fn shards(&self) -> Result<Vec<ShardId>, Fault> {
        js::js(self.ask("ledger.shards", DIRECTORY, &Ask::Shards)).await
    }
}
