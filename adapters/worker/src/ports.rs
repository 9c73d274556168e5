//! Time, chance, signatures, gzip and work after the answer.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use gatelet_core::domain::Timestamp;
use gatelet_core::port::{Chance, Cipher, Clock, Defer, Fault, FaultKind, Log, Packer, Signer};
use js_sys::{Promise, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, future_to_promise};
use worker::send::SendWrapper;

use crate::body::Slot;
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
        Sleep::new(duration).await;
    }
}

/// A timer that wakes whoever polled it last. (The crate's own wakes whoever polled it first, and core hands streams
/// with their timers from the request's task to the body's.)
struct Sleep {
    slot: SendWrapper<Slot>,
    timer: Option<SendWrapper<JsValue>>,
}

impl Sleep {
    fn new(duration: Duration) -> Self {
        let slot = Slot::default();
        // A day: nothing of ours waits longer, and timers of JavaScript end at 2^31.
        let milliseconds = duration.min(Duration::from_hours(24)).as_secs_f64() * 1_000.0;
        let timer = js::timer(milliseconds, slot.clone());
        if let Err(error) = &timer {
            worker::console_error!("timer: {}", js::message(error));
            slot.end();
        }
        Self { slot: SendWrapper::new(slot), timer: timer.ok().map(SendWrapper::new) }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let rung = self.slot.poll(context).map(drop);
        if rung.is_ready() {
            self.timer = None;
        }
        rung
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(timer) = &self.timer {
            let _ = js::stop(timer);
        }
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

/// The runtime's log.
#[derive(Debug)]
pub(crate) struct Console;

impl Log for Console {
    fn failed(&self, what: &str, fault: &Fault) {
        worker::console_error!("{what}: {fault}");
    }

    fn line(&self, line: &str) {
        worker::console_log!("{line}");
    }
}

/// The runtime's own cryptography.
#[derive(Debug)]
pub(crate) struct WebCrypto;

#[async_trait]
impl Signer for WebCrypto {
    async fn rs256(&self, key: &[u8], message: &[u8]) -> Result<Vec<u8>, Fault> {
        let signature = js::rs256(&js::bytes(key), &js::bytes(message));
        js::js(bytes_of(signature, FaultKind::Denied, "signer.rs256")).await
    }

    async fn aes256_gcm(
        &self,
        cipher: Cipher,
        key: &[u8; 32],
        nonce: &[u8; 12],
        context: &[u8],
        data: &[u8],
    ) -> Result<Vec<u8>, Fault> {
        let way = match cipher {
            Cipher::Seal => "encrypt",
            Cipher::Open => "decrypt",
        };
        let [key, nonce, context, data] = [&key[..], &nonce[..], context, data].map(js::bytes);
        let done = js::aes(way, &key, &nonce, &context, &data);
        js::js(bytes_of(done, FaultKind::Denied, "signer.aes256_gcm")).await
    }
}

/// The runtime's own gzip.
#[derive(Debug)]
pub(crate) struct Gzip;

#[async_trait]
impl Packer for Gzip {
    async fn pack(&self, bytes: Bytes) -> Result<Bytes, Fault> {
        let packed = js::pack(&js::bytes(&bytes));
        js::js(bytes_of(packed, FaultKind::Corrupt, "gzip.pack")).await.map(Bytes::from)
    }

    async fn unpack(&self, packed: Bytes, most: usize) -> Result<Bytes, Fault> {
        let bytes = js::unpack(&js::bytes(&packed), u32::try_from(most).unwrap_or(u32::MAX));
        js::js(bytes_of(bytes, FaultKind::Corrupt, "gzip.unpack")).await.map(Bytes::from)
    }
}

/// What a call of the runtime answers in the end. What it takes comes from outside, so a failure is that input's.
async fn bytes_of(
    called: Result<Promise, JsValue>,
    kind: FaultKind,
    operation: &'static str,
) -> Result<Vec<u8>, Fault> {
    let answered = async { JsFuture::from(called?).await };
    let fault = |error| Fault::new(kind, operation, js::message(&error));
    Ok(answered.await.map_err(fault)?.unchecked_into::<Uint8Array>().to_vec())
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
