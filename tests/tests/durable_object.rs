//! The Worker's Durable Objects, in workerd, keep the rules of every ledger and store; and outlive a trap in wasm.
//!
//! It is the built Worker that runs, `build/worker`, with a door to the objects that only tests have. What the Worker
//! itself does around an ask is done here again, since it runs nowhere but there: see `adapters/worker/src/{ledger,kv}.rs`.

#![expect(clippy::unwrap_used, reason = "what a test writes can be written")]

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use async_trait::async_trait;
use bytes::Bytes;
use gatelet_core::domain::account::{Account, Op};
use gatelet_core::domain::{AccountId, Notice, ShardId, Timestamp};
use gatelet_core::port::{
    Entry, Expect, Fault, FaultKind, Ledger, MOST_KEPT, Outcome, Page, Store, Transaction, Versioned,
};
use gatelet_tests::check_eq;
use gatelet_tests::client::Call;
use gatelet_tests::conformance;
use gatelet_tests::host::ADMIN_KEY;
use gatelet_tests::host::worker::Worker;
use http::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use ask::{Ask, Blob, CONFIG as CONFIG_NAME, DIRECTORY, Document, Transact, Transacted, keeper};

#[expect(dead_code, reason = "the object's side of it")]
#[path = "../../adapters/worker/src/ask.rs"]
mod ask;

const CONFIG: &str = "{}";

#[tokio::test(flavor = "multi_thread")]
async fn the_objects_keep_every_rule_of_a_ledger() -> Result<()> {
    let worker = Worker::start_with_doors(CONFIG).await?;
    let kept = conformance::ledger::all(Arc::new(Objects::of(&worker))).await;
    kept.with_context(|| worker.log())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_directory_and_kv_keep_every_rule_of_a_store() -> Result<()> {
    let worker = Worker::start_with_doors(CONFIG).await?;
    let kept = conformance::store::all(Arc::new(Documents(Objects::of(&worker)))).await;
    kept.with_context(|| worker.log())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_has_trapped_answers_the_next_ask_and_has_lost_nothing() -> Result<()> {
    let worker = Worker::start_with_doors(CONFIG).await?;
    survives_traps(&worker).await.with_context(|| worker.log())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_holds_within_a_second_of_its_push() -> Result<()> {
    let worker = Worker::start_with_doors(CONFIG).await?;
    holds_at_once(&worker).await.with_context(|| worker.log())
}

async fn holds_at_once(worker: &Worker) -> Result<()> {
    let objects = Objects::of(worker);
    let ask = |key: &str, model: &str| {
        let body = json!({"model": model, "messages": [{"role": "user", "content": "hello"}]});
        Call::new(worker.address(), Method::POST, "/v1/chat/completions").key(key).json(&body).whole()
    };
    let made = Call::new(worker.address(), Method::POST, "/admin/v1/keys").key(ADMIN_KEY).json(&json!({}));
    let key = made.whole().await?.json()?["key"].as_str().context("a key")?.to_owned();
    check_eq!(ask(&key, "demo/echo").await?.status, 200);
    let shards: Vec<ShardId> = objects.shards().await?;
    for (nth, (name, known, models)) in [
        ("first", "demo/echo", "first: demo/echo"),
        ("second", "first", "first: demo/echo, second: demo/echo"),
    ]
    .into_iter()
    .enumerate()
    {
        check_eq!(ask(&key, name).await?.status, 404);
        // KV is never told of it: the shard is.
        let config = format!("models: {{ {models} }}");
        let bytes = Blob(config.into_bytes().into());
        let put = Ask::PutDocument { name: CONFIG_NAME.to_owned(), bytes, expect: Expect::Anything.into() };
        let version: Option<u64> = objects.ask("put", DIRECTORY, &put).await?;
        check_eq!(version, Some(nth as u64 + 1));
        for shard in &shards {
            let told = Ask::Configured { version: nth as u64 + 1 };
            let () = objects.ask("told", shard.as_str(), &told).await?;
        }
        let pushed = Instant::now();
        // The first request brings the news.
        check_eq!(ask(&key, known).await?.status, 200);
        while ask(&key, name).await?.status != 200 {
            // One second, on a machine ten times slower.
            ensure!(pushed.elapsed() < Duration::from_secs(10), "{name} is not known yet");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_went_wrong_with_copies_in_kv_is_put_right() -> Result<()> {
    let worker = Worker::start_with_doors(CONFIG).await?;
    is_put_right(&worker).await.with_context(|| worker.log())
}

async fn is_put_right(worker: &Worker) -> Result<()> {
    let objects = Objects::of(worker);
    let put = async |name: &str, text: &str| {
        let bytes = Blob(text.as_bytes().to_vec().into());
        let ask = Ask::PutDocument { name: name.to_owned(), bytes, expect: Expect::Anything.into() };
        let version: Option<u64> = objects.ask("put", DIRECTORY, &ask).await?;
        version.context("a version")
    };
    let copy = async |name: &str, version: u64, text: &str| {
        let copy = json!({"name": name, "bytes": Blob(text.as_bytes().to_vec().into()), "version": version});
        let () = objects.kv("kv", "put", &copy).await?;
        objects.ask::<()>("kv", DIRECTORY, &Ask::Published { name: name.to_owned(), version }).await
    };
    // Two writers: the older copy comes last.
    let (first, second) = (put("crossed", "one").await?, put("crossed", "two").await?);
    copy("crossed", second, "two").await?;
    copy("crossed", first, "one").await?;
    // A deletion that KV did not take.
    let gone = put("gone", "text").await?;
    copy("gone", gone, "text").await?;
    let _: u64 = objects.ask("delete", DIRECTORY, &Ask::DeleteDocument { name: "gone".to_owned() }).await?;

    // The alarm rings after ten seconds, and tries again after a minute.
    let end = Instant::now() + Duration::from_mins(2);
    loop {
        let crossed: Option<Document> = objects.kv("kv", "get", &json!({"name": "crossed"})).await?;
        let gone: Option<Document> = objects.kv("kv", "get", &json!({"name": "gone"})).await?;
        if crossed.is_some_and(|found| found.version == second && &found.bytes.0[..] == b"two")
            && gone.is_none()
        {
            return Ok(());
        }
        ensure!(Instant::now() < end, "KV is still wrong");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_cannot_be_made_says_so_in_the_callers_dialect_and_that_it_lives() -> Result<()> {
    let worker = Worker::start_unready("models: [").await?;
    says_so(&worker).await.with_context(|| worker.log())
}

async fn says_so(worker: &Worker) -> Result<()> {
    let call = |method, path: &str| Call::new(worker.address(), method, path).json(&json!({})).whole();
    check_eq!(Call::new(worker.address(), Method::GET, "/health/live").whole().await?.status, 200);
    for (path, at) in [("/v1/chat/completions", "/error/code"), ("/v1/messages", "/error/type")] {
        let answer = call(Method::POST, path).await?;
        check_eq!(answer.status, 503, "{}", answer.text());
        let json = answer.json()?;
        ensure!(json.pointer(at).is_some_and(Value::is_string), "{}", answer.text());
    }
    Ok(())
}

async fn survives_traps(worker: &Worker) -> Result<()> {
    let objects = Objects::of(worker);
    let call = |method, path: &str| Call::new(worker.address(), method, path).whole();
    let shard = ShardId::new("trapped");
    let entry = |number: u32| Entry { id: format!("{number}").into(), line: "{}".into(), settle: None };
    let enter = async |number| {
        let transaction = Transaction::new(Vec::new(), Op::Sweep, vec![entry(number)]);
        objects.transact(&shard, transaction, Timestamp::EPOCH).await
    };
    enter(1).await?;
    // More than once: what comes after a trap is no worse than what was before.
    for number in 2..5 {
        let trapped = call(Method::POST, "/test/trap/trapped").await?;
        check_eq!(trapped.status, 500);
        ensure!(trapped.text().contains("memory access out of bounds"), "{}", trapped.text());
        enter(number).await?;
        check_eq!(call(Method::GET, "/health/ready").await?.status, 200);
    }
    check_eq!(objects.outbox(&shard, 10).await?, [1, 2, 3, 4].map(entry));
    Ok(())
}

/// The objects behind the door.
struct Objects {
    worker: SocketAddr,
    /// Shards whose outbox is lent to the rules: else its alarm would empty it when the records are ten seconds old.
    lent: Mutex<HashSet<ShardId>>,
}

impl Objects {
    fn of(worker: &Worker) -> Self {
        Self { worker: worker.address(), lent: Mutex::default() }
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        name: &str,
        ask: &Ask,
    ) -> Result<T, Fault> {
        let ask = serde_json::to_string(ask).unwrap();
        self.json(operation, &format!("/test/ask/{name}"), ask).await
    }

    async fn kv<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        method: &str,
        ask: &Value,
    ) -> Result<T, Fault> {
        self.json(operation, &format!("/test/kv/{method}"), ask.to_string()).await
    }

    async fn json<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        path: &str,
        body: String,
    ) -> Result<T, Fault> {
        let answer = self.post(operation, path, body.into_bytes()).await?;
        serde_json::from_slice(&answer).map_err(|error| {
            let context = format!("{error}: {}", String::from_utf8_lossy(&answer));
            Fault::new(FaultKind::Corrupt, operation, context)
        })
    }

    async fn post(&self, operation: &'static str, path: &str, body: Vec<u8>) -> Result<Bytes, Fault> {
        let failed = |context: String| Fault::new(FaultKind::Unavailable, operation, context);
        let answer = Call::new(self.worker, Method::POST, path).body(body).whole().await;
        let answer = answer.map_err(|error| failed(format!("{error:#}")))?;
        if answer.status != 200 {
            return Err(failed(format!("{}: {}", answer.status, answer.text())));
        }
        Ok(answer.body)
    }
}

#[async_trait]
impl Ledger for Objects {
    async fn transact(
        &self,
        shard: &ShardId,
        transaction: Transaction,
        now: Timestamp,
    ) -> Result<Outcome, Fault> {
        const OPERATION: &str = "ledger.transact";
        let is_new = self.lent.lock().unwrap().insert(shard.clone());
        if is_new {
            let _: Vec<Entry> = self.ask(OPERATION, shard.as_str(), &Ask::Outbox { limit: 1 }).await?;
        }
        let corrupt = |error: ask::Unreadable| Fault::new(FaultKind::Corrupt, OPERATION, error.to_string());
        // Several at once, as the Worker sends them; the last one is ours, the one before it goes wrong.
        let (mut asks, ask) = (Vec::new(), Transact { transaction, now }.to_bytes().unwrap());
        ask::frame(&mut asks, &ask::failed(&"no transaction"));
        ask::frame(&mut asks, &ask);
        let answers = self.post(OPERATION, &format!("/test/transact/{shard}"), asks).await?;
        let answers = ask::frames(&answers).map_err(corrupt)?;
        let [wrong, right] = answers.as_slice() else {
            return Err(Fault::new(FaultKind::Corrupt, OPERATION, format!("{} answers", answers.len())));
        };
        if Transacted::from_bytes(wrong).is_ok() {
            return Err(Fault::new(FaultKind::Corrupt, OPERATION, "what nobody can read was done"));
        }
        let Transacted { outcome, unknown, configured: _ } =
            Transacted::from_bytes(right).map_err(corrupt)?;
        if unknown {
            let _: u64 = self.ask(OPERATION, DIRECTORY, &Ask::Register { shard: shard.clone() }).await?;
            let () = self.ask(OPERATION, shard.as_str(), &Ask::Known).await?;
        }
        Ok(outcome)
    }

    async fn read(&self, shard: &ShardId, account: &AccountId) -> Result<Option<Account>, Fault> {
        let ask = Ask::Read { account: account.clone() };
        let found: Option<Blob> = self.ask("ledger.read", shard.as_str(), &ask).await?;
        found.map(|bytes| Ok(Account::from_bytes(&bytes.0)?)).transpose()
    }

    async fn list(
        &self,
        shard: &ShardId,
        prefix: &str,
        after: Option<&AccountId>,
        limit: usize,
    ) -> Result<Vec<(AccountId, Account)>, Fault> {
        let ask = Ask::List { prefix: prefix.to_owned(), after: after.cloned(), limit };
        let found: Vec<(AccountId, Blob)> = self.ask("ledger.list", shard.as_str(), &ask).await?;
        found.into_iter().map(|(id, bytes)| Ok((id, Account::from_bytes(&bytes.0)?))).collect()
    }

    async fn outbox(&self, shard: &ShardId, limit: usize) -> Result<Vec<Entry>, Fault> {
        self.ask("ledger.outbox", shard.as_str(), &Ask::Outbox { limit }).await
    }

    async fn notices(&self, shard: &ShardId, now: Timestamp) -> Result<Vec<Notice>, Fault> {
        self.ask("ledger.notices", shard.as_str(), &Ask::Notices { now }).await
    }

    async fn clear(&self, shard: &ShardId, entries: &[String]) -> Result<(), Fault> {
        self.ask("ledger.clear", shard.as_str(), &Ask::Clear { entries: entries.to_vec() }).await
    }

    async fn shards(&self) -> Result<Vec<ShardId>, Fault> {
        self.ask("ledger.shards", DIRECTORY, &Ask::Shards).await
    }
}

/// The directory, and KV before it.
struct Documents(Objects);

#[async_trait]
impl Store for Documents {
    async fn get(&self, name: &str) -> Result<Option<Versioned>, Fault> {
        const OPERATION: &str = "store.get";
        let mut found: Option<Document> = self.0.kv(OPERATION, "get", &json!({"name": name})).await?;
        if found.is_none() {
            let ask = Ask::GetDocument { name: name.to_owned() };
            found = self.0.ask(OPERATION, DIRECTORY, &ask).await?;
        }
        Ok(found.map(|Document { version, bytes }| Versioned { version, bytes: bytes.0 }))
    }

    async fn put(&self, name: &str, bytes: Bytes, expect: Expect) -> Result<u64, Fault> {
        const OPERATION: &str = "store.put";
        let mut copy = json!({"name": name, "bytes": Blob(bytes.clone())});
        let ask = Ask::PutDocument { name: name.to_owned(), bytes: Blob(bytes), expect: expect.into() };
        let version: Option<u64> = self.0.ask(OPERATION, DIRECTORY, &ask).await?;
        let version = version.ok_or_else(|| Fault::new(FaultKind::Conflict, OPERATION, name))?;
        copy["version"] = json!(version);
        let () = self.0.kv(OPERATION, "put", &copy).await?;
        let () = self.0.ask(OPERATION, DIRECTORY, &Ask::Published { name: name.to_owned(), version }).await?;
        Ok(version)
    }

    async fn delete(&self, name: &str) -> Result<(), Fault> {
        const OPERATION: &str = "store.delete";
        let version: u64 =
            self.0.ask(OPERATION, DIRECTORY, &Ask::DeleteDocument { name: name.to_owned() }).await?;
        let () = self.0.kv(OPERATION, "delete", &json!({"name": name})).await?;
        self.0.ask(OPERATION, DIRECTORY, &Ask::Published { name: name.to_owned(), version }).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Page, Fault> {
        let ask = Ask::ListDocuments { prefix: prefix.to_owned(), after: after.map(str::to_owned), limit };
        let names: Vec<String> = self.0.ask("store.list", DIRECTORY, &ask).await?;
        let next = names.last().filter(|_| names.len() == limit).cloned();
        Ok(Page { names, next })
    }

    async fn keep(&self, home: &str, name: &str, bytes: Bytes, until: Timestamp) -> Result<(), Fault> {
        if bytes.len() > MOST_KEPT {
            return Err(Fault::new(FaultKind::TooLarge, "store.keep", name));
        }
        let ask = Ask::Keep { name: name.to_owned(), bytes: Blob(bytes), until };
        self.0.ask("store.keep", &keeper(home), &ask).await
    }

    async fn kept(&self, home: &str, name: &str, now: Timestamp) -> Result<Option<Bytes>, Fault> {
        let ask = Ask::Kept { name: name.to_owned(), now };
        let kept: Option<Blob> = self.0.ask("store.kept", &keeper(home), &ask).await?;
        Ok(kept.map(|blob| blob.0))
    }

    async fn discard(&self, home: &str, name: &str) -> Result<(), Fault> {
        self.0.ask("store.discard", &keeper(home), &Ask::Discard { name: name.to_owned() }).await
    }
}
