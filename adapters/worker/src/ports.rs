//! Time, chance and work after the answer.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use gatelet_core::domain::Timestamp;
use gatelet_core::port::{Chance, Clock, Defer};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::future_to_promise;

use crate::js;

/// The runtime's clock. It stands still between two waits for the network, by the platform's design.
#[derive(Debug)]
pub(crate) struct WorkerClock;

#[async_trait]
impl Clock for WorkerClock {
    fn now(&self) -> Timestamp {
        now()
    }

    async fn sleep(&self, duration: Duration) {
        js::js(async move { worker::Delay::from(duration).await }).await;
    }
}

pub(crate) fn now() -> Timestamp {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "milliseconds since 1970 are whole and far below 2^53"
    )]
    Timestamp::from_millis(js_sys::Date::now() as i64)
}

#[derive(Debug)]
pub(crate) struct WorkerChance;

impl Chance for WorkerChance {
    fn fill(&self, bytes: &mut [u8]) {
        // The runtime's generator takes at most 65,536 bytes at once, and fails for no other reason.
        for part in bytes.chunks_mut(65_536) {
            js::random(part);
        }
    }
}

/// `waitUntil` of the request that is being served.
#[derive(Debug)]
pub(crate) struct WaitUntil;

impl Defer for WaitUntil {
    fn defer(&self, work: BoxFuture<'static, ()>) {
        let promise = future_to_promise(async move {
            work.await;
            Ok(JsValue::UNDEFINED)
        });
        if let Err(error) = js::later(&promise) {
            worker::console_error!("defer: {}", js::message(&error));
        }
    }
}
