//! The border to JavaScript: what is imported, and how its promises and failures become ours.

use std::future::Future;

use futures_util::future::BoxFuture;
use gatelet_core::port::{Fault, FaultKind};
use js_sys::{Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use worker::send::SendFuture;

#[wasm_bindgen(module = "/src/glue.js")]
extern "C" {
    /// A request's method, its URL, and its headers as alternating lines of name and value.
    pub(crate) fn head(request: &web_sys::Request) -> String;

    #[wasm_bindgen(catch)]
    pub(crate) fn answer(status: u16, headers: &str, body: &JsValue) -> Result<web_sys::Response, JsValue>;

    /// Answers an array: the status, the headers as lines, and bytes, or why they did not come, or a stream, or null.
    #[wasm_bindgen(catch)]
    pub(crate) fn call(
        url: &str,
        method: &str,
        headers: &str,
        body: &JsValue,
        controller: &web_sys::AbortController,
    ) -> Result<Promise, JsValue>;

    /// `beats`: these are server-sent events, and silence is filled with comments.
    pub(crate) fn stream(source: crate::body::Source, beats: bool) -> web_sys::ReadableStream;

    /// Where the chunks of a [`Source`](crate::body::Source) go, and who polls it.
    #[derive(Clone)]
    pub type Outlet;
    #[wasm_bindgen(method)]
    pub(crate) fn put(this: &Outlet, chunk: &Uint8Array);
    #[wasm_bindgen(method)]
    pub(crate) fn wake(this: &Outlet);

    /// Reads a stream, one chunk whenever asked, into a slot.
    pub(crate) type Reader;
    #[wasm_bindgen(constructor, catch)]
    pub(crate) fn new(stream: &web_sys::ReadableStream, slot: crate::body::Slot) -> Result<Reader, JsValue>;
    #[wasm_bindgen(method, catch)]
    pub(crate) fn next(this: &Reader) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    pub(crate) fn cancel(this: &Reader) -> Result<(), JsValue>;

    /// Ends the slot after so many milliseconds, unless it is stopped.
    #[wasm_bindgen(catch)]
    pub(crate) fn timer(milliseconds: f64, slot: crate::body::Slot) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch)]
    pub(crate) fn stop(timer: &JsValue) -> Result<(), JsValue>;

    #[wasm_bindgen(catch)]
    pub(crate) fn later(promise: &Promise) -> Result<(), JsValue>;
    pub(crate) fn random(bytes: &mut [u8]);
    #[wasm_bindgen(catch)]
    pub(crate) fn rs256(key: &Uint8Array, message: &Uint8Array) -> Result<Promise, JsValue>;
    #[wasm_bindgen(catch)]
    pub(crate) fn aes(
        way: &str,
        key: &Uint8Array,
        nonce: &Uint8Array,
        context: &Uint8Array,
        data: &Uint8Array,
    ) -> Result<Promise, JsValue>;
    #[wasm_bindgen(catch)]
    pub(crate) fn pack(bytes: &Uint8Array) -> Result<Promise, JsValue>;
    #[wasm_bindgen(catch)]
    pub(crate) fn unpack(packed: &Uint8Array, most: u32) -> Result<Promise, JsValue>;
    #[wasm_bindgen(catch)]
    pub(crate) fn shard(namespace: &JsValue, name: &str, ask: &str) -> Result<Promise, JsValue>;
    /// Bytes for bytes; transactions of several requests travel together.
    #[wasm_bindgen(catch)]
    pub(crate) fn transact(namespace: &JsValue, name: &str, ask: &Uint8Array) -> Result<Promise, JsValue>;
}

/// A future over JavaScript values as a port wants it. There is one thread: nothing here is ever sent.
pub(crate) fn js<'a, T>(work: impl Future<Output = T> + 'a) -> BoxFuture<'a, T> {
    Box::pin(SendFuture::new(work))
}

/// A copy that JavaScript owns: memory of wasm may move while it is being read.
pub(crate) fn bytes(bytes: &[u8]) -> Uint8Array {
    Uint8Array::from(bytes)
}

pub(crate) fn fault(operation: &'static str, error: &JsValue) -> Fault {
    Fault::new(FaultKind::Unavailable, operation, message(error))
}

/// What an error says, whatever was thrown.
pub(crate) fn message(error: &JsValue) -> String {
    let text = |value: JsValue| value.as_string();
    text(error.clone())
        .or_else(|| Reflect::get(error, &"message".into()).ok().and_then(text))
        .unwrap_or_else(|| format!("{error:?}"))
}

/// Whether the thrown value has a property that is true, such as `retryable`.
pub(crate) fn says(error: &JsValue, property: &str) -> bool {
    Reflect::get(error, &property.into()).is_ok_and(|value| value.is_truthy())
}
