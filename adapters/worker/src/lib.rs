//! The adapter for Cloudflare Workers.

use wasm_bindgen::prelude::*;
use worker::worker_sys::{Context, DurableObjectState, ScheduleContext};

#[wasm_bindgen]
pub async fn fetch(
    request: web_sys::Request,
    env: worker::Env,
    _context: Context,
) -> Result<web_sys::Response, JsValue> {
    let response = worker::Fetch::Request(worker::Request::from(request)).send().await?;
    let _ = env;
    Ok(response.into())
}

#[wasm_bindgen]
pub async fn scheduled(_env: worker::Env, _context: ScheduleContext) {}

#[wasm_bindgen]
#[derive(Debug)]
pub struct Shard {
    state: worker::State,
}

#[wasm_bindgen]
impl Shard {
    #[wasm_bindgen(constructor)]
    pub fn new(state: DurableObjectState, _env: worker::Env) -> Self {
        Self { state: worker::State::from(state) }
    }

    pub fn transact(&self, text: &str) -> Result<String, JsValue> {
        let sql = self.state.storage().sql();
        let _ = sql.exec("create table if not exists a (b integer)", None)?;
        Ok(text.to_owned())
    }

    pub async fn alarm(&self) {}
}
