//! The adapter for Cloudflare Workers.
//!
//! `entry.mjs` hands every event to the functions here. They answer with core's gateway over ports that wrap the
//! runtime: KV and the directory's object for documents, one Durable Object a shard for the ledger, R2 for records.

use std::sync::Arc;

use gatelet_core::port::{Fault, FaultKind, Ports};
use wasm_bindgen::prelude::*;
use worker::kv::KvStore;
use worker::{Bucket, Env, ObjectNamespace};

mod answers;
mod ask;
mod body;
mod books;
mod fetch;
mod isolate;
mod js;
mod kv;
mod ledger;
mod ports;
mod r2;
mod shard;

pub use body::{Slot, Source};
pub use shard::Shard;

/// Serves one request.
#[wasm_bindgen]
pub async fn fetch(request: web_sys::Request, env: Env) -> Result<web_sys::Response, JsValue> {
    let request = body::request(&request)?;
    let answer = match isolate::gateway(&env).await {
        Ok(gateway) => gateway.handle(request).await,
        Err(why) => {
            worker::console_error!("the gateway cannot be made: {why}");
            gatelet_core::unready(&ports(&env).map_err(|fault| thrown(&fault))?, &request, why)
        }
    };
    body::response(answer)
}

/// The cron trigger.
#[wasm_bindgen]
pub async fn scheduled(env: Env) -> Result<(), JsValue> {
    let gateway = isolate::gateway(&env).await.map_err(|why| thrown(&why))?;
    gateway.tick().await.map(drop).map_err(|fault| thrown(&fault))
}

fn thrown(why: &impl std::fmt::Display) -> JsValue {
    js_sys::Error::new(&why.to_string()).into()
}

/// All ports, over the bindings that `wrangler.toml` names.
fn ports(env: &Env) -> Result<Ports, Fault> {
    let store = store(env)?;
    Ok(Ports {
        ledger: Arc::new(store.shards.clone()),
        store: Arc::new(store),
        upstream: Arc::new(fetch::Fetch),
        archive: Arc::new(r2::Records(bound(env.get_binding::<Bucket>("RECORDS"))?)),
        clock: Arc::new(ports::WorkerClock),
        chance: Arc::new(ports::WorkerChance),
        defer: Arc::new(ports::WaitUntil),
        log: Arc::new(ports::Console),
        signer: Arc::new(ports::WebCrypto),
        packer: Arc::new(ports::Gzip),
        answers: Arc::new(answers::KvAnswers(documents(env)?)),
    })
}

fn store(env: &Env) -> Result<kv::Documents, Fault> {
    let shards = ledger::Shards(bound(env.get_binding::<ObjectNamespace>("SHARDS"))?);
    Ok(kv::Documents { kv: documents(env)?, shards })
}

fn documents(env: &Env) -> Result<KvStore, Fault> {
    bound(env.kv("DOCUMENTS"))
}

fn bound<T>(binding: worker::Result<T>) -> Result<T, Fault> {
    binding.map_err(|error| Fault::new(FaultKind::Unavailable, "binding", error.to_string()))
}
