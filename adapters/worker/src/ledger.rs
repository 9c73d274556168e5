//! [`Ledger`] over Durable Objects: one for each shard, named after it.

use async_trait::async_trait;
use futures_util::StreamExt as _;
use gatelet_core::domain::account::{Account, Unreadable};
use gatelet_core::domain::{AccountId, Notice, ShardId, Timestamp};
use gatelet_core::port::{Entry, Fault, FaultKind, Ledger, Outcome, Transaction};
use js_sys::{Promise, Uint8Array};
use serde::de::DeserializeOwned;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use worker::ObjectNamespace;

use crate::ask::{self, Ask, Blob, DIRECTORY, Transact, Transacted};
use crate::{isolate, js};

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
        let corrupt = |error: serde_json::Error| Fault::new(FaultKind::Corrupt, operation, error.to_string());
        let ask = serde_json::to_string(ask).map_err(corrupt)?;
        let answer = tried(operation, || js::shard(self.0.as_ref(), name, &ask)).await?;
        gatelet_wire::json::from_str(&answer.as_string().unwrap_or_default()).map_err(corrupt)
    }

    async fn transact(
        &self,
        shard: &ShardId,
        transaction: Transaction,
        now: Timestamp,
    ) -> Result<Outcome, Fault> {
        const OPERATION: &str = "ledger.transact";
        let corrupt = |error: ask::Unreadable| Fault::new(FaultKind::Corrupt, OPERATION, error.to_string());
        let ask =
            js::bytes(&Transact { transaction: in_one_step(transaction), now }.to_bytes().map_err(corrupt)?);
        let answer = tried(OPERATION, || js::transact(self.0.as_ref(), shard.as_str(), &ask)).await?;
        let answer = answer.unchecked_into::<Uint8Array>().to_vec();
        let Transacted { outcome, unknown, configured } = Transacted::from_bytes(&answer).map_err(corrupt)?;
        isolate::told(configured);
        if unknown {
            // Once in a shard's life. The books stand already: should this fail, the next transaction tries again.
            let noted: Result<u64, Fault> =
                self.ask(OPERATION, DIRECTORY, &Ask::Register { shard: shard.clone() }).await;
            if let Ok(version) = noted {
                isolate::told(version);
                let ask = Ask::Configured { version };
                let told: Result<(), Fault> = self.ask(OPERATION, shard.as_str(), &ask).await;
                if told.is_ok() {
                    let _: Result<(), Fault> = self.ask(OPERATION, shard.as_str(), &Ask::Known).await;
                }
            }
        }
        Ok(outcome)
    }

    /// Tells all shards that the configuration has this version: they tell it to whoever asks them for anything. Those that
    /// cannot be reached leave it to the isolates, which look by themselves now and then.
    pub(crate) async fn configured(&self, version: u64) {
        const OPERATION: &str = "store.put";
        const AT_ONCE: usize = 16;
        let shards: Vec<ShardId> = match self.ask(OPERATION, DIRECTORY, &Ask::Shards).await {
            Ok(shards) => shards,
            Err(fault) => return worker::console_error!("shards: {fault}"),
        };
        let tell = async |shard: ShardId| {
            let told: Result<(), Fault> =
                self.ask(OPERATION, shard.as_str(), &Ask::Configured { version }).await;
            if let Err(fault) = told {
                worker::console_error!("{shard} does not know configuration {version}: {fault}");
            }
        };
        futures_util::stream::iter(shards).for_each_concurrent(AT_ONCE, tell).await;
    }
}

/// Accounts and entries are written in one step here: nothing is left to settle for whoever reads the entries.
fn in_one_step(mut transaction: Transaction) -> Transaction {
    for entry in &mut transaction.entries {
        entry.settle = None;
    }
    transaction
}

/// What `ask` promises; asked again where the runtime says that this helps.
async fn tried(
    operation: &'static str,
    ask: impl Fn() -> Result<Promise, JsValue>,
) -> Result<JsValue, Fault> {
    const TRIES: u32 = 3;
    let mut tried = 0;
    loop {
        tried += 1;
        let answer = match ask() {
            Ok(promise) => JsFuture::from(promise).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(answer) => return Ok(answer),
            Err(error)
                if tried < TRIES && js::says(&error, "retryable") && !js::says(&error, "overloaded") => {}
            Err(error) => return Err(js::fault(operation, &error)),
        }
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

    async fn notices(&self, shard: &ShardId, now: Timestamp) -> Result<Vec<Notice>, Fault> {
        js::js(self.ask("ledger.notices", shard.as_str(), &Ask::Notices { now })).await
    }

    async fn shards(&self) -> Result<Vec<ShardId>, Fault> {
        js::js(self.ask("ledger.shards", DIRECTORY, &Ask::Shards)).await
    }
}
