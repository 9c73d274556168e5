//! The adapter for Cloudflare Workers.
//!
//! `entry.mjs` hands every event to the functions here. They answer with core's gateway over ports that wrap the
//! runtime: KV and the directory's object for documents, one Durable Object a shard for the ledger, R2 for records.

use std::sync::Arc;

use gatelet_core::port::Ports;
use wasm_bindgen::prelude::*;
use worker::kv::KvStore;
use worker::{Bucket, Env, ObjectNamespace};

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
    let gateway = isolate::gateway(&env).await?;
    body::response(gateway.handle(body::request(&request)?).await)
}

/// The cron trigger.
#[wasm_bindgen]
pub async fn scheduled(env: Env) -> Result<(), JsValue> {
    let gateway = isolate::gateway(&env).await?;
    gateway.tick().await.map(drop).map_err(|fault| js_sys::Error::new(&fault.to_string()).into())
}

/// All ports, over the bindings that `wrangler.toml` names.
fn ports(env: &Env) -> worker::Result<Ports> {
    let shards = ledger::Shards(env.get_binding::<ObjectNamespace>("SHARDS")?);
    Ok(Ports {
        store: Arc::new(kv::Documents { kv: documents(env)?, shards: shards.clone() }),
        ledger: Arc::new(shards),
        upstream: Arc::new(fetch::Fetch),
        archive: Arc::new(r2::Records(env.get_binding::<Bucket>("RECORDS")?)),
        clock: Arc::new(ports::WorkerClock),
        chance: Arc::new(ports::WorkerChance),
        defer: Arc::new(ports::WaitUntil),
        log: Arc::new(ports::Console),
        signer: Arc::new(ports::WebCrypto),
    })
}

fn documents(env: &Env) -> worker::Result<KvStore> {
    env.kv("DOCUMENTS")
}
