//! Requests and answers, from and to JavaScript.

use std::cell::RefCell;
use std::future::ready;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use futures_util::stream::{Stream, StreamExt, once};
use gatelet_core::port::{Body, Broken, ByteStream, Peer};
use http::{HeaderMap, HeaderName, HeaderValue};
use js_sys::{ArrayBuffer, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use worker::send::SendWrapper;

use crate::js;

/// Bodies up to this size are taken in one piece: one crossing instead of one for each chunk.
const ONE_PIECE: u64 = 1 << 20;
/// What is ready at once leaves in one piece, up to about this size.
const PIECE: usize = 1 << 16;

/// The request as core wants it. Nothing of the body is read yet.
pub(crate) fn request(request: &web_sys::Request) -> Result<http::Request<Body>, JsValue> {
    let head = js::head(request);
    let mut lines = head.splitn(3, '\n');
    let (method, url) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let headers = headers(lines.next().unwrap_or_default());
    let mut parts = http::Request::builder()
        .method(method)
        .uri(url)
        .body(incoming(request, &headers)?)
        .map_err(|error| JsValue::from(error.to_string()))?;
    // Cloudflare writes this header itself, whatever the caller sent under its name.
    let peer = headers.get("cf-connecting-ip").and_then(|address| address.to_str().ok()?.parse().ok());
    *parts.headers_mut() = headers;
    if let Some(peer) = peer {
        parts.extensions_mut().insert(Peer(peer));
    }
    Ok(parts)
}

fn incoming(request: &web_sys::Request, headers: &HeaderMap) -> Result<Body, JsValue> {
    let length = headers
        .get(http::header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_none_or(|length| length > ONE_PIECE) {
        let Some(stream) = request.body() else { return Ok(Body::Empty) };
        return Ok(Body::Stream(Incoming::stream(&stream)?));
    }
    // A second handle: the method of that name would copy the request.
    let request = SendWrapper::new(Clone::clone(request));
    Ok(Body::Stream(Box::pin(once(js::js(async move {
        let whole = async { JsFuture::from(request.array_buffer()?).await };
        match whole.await {
            Ok(buffer) => Ok(Uint8Array::new(&buffer.unchecked_into::<ArrayBuffer>()).to_vec().into()),
            Err(error) => Err(Broken(js::message(&error))),
        }
    })))))
}

/// The answer as JavaScript wants it. A stream is dropped when the client leaves.
pub(crate) fn response(response: http::Response<Body>) -> Result<web_sys::Response, JsValue> {
    let (parts, body) = response.into_parts();
    let kind = parts.headers.get(http::header::CONTENT_TYPE);
    let events = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    js::answer(parts.status.as_u16(), &lines(&parts.headers), &outgoing(body, events))
}

/// `events`: the body is server-sent events.
pub(crate) fn outgoing(body: Body, events: bool) -> JsValue {
    match body {
        Body::Empty => JsValue::NULL,
        Body::Full(bytes) => js::bytes(&bytes).into(),
        Body::Pieces(pieces) => js::bytes(&Body::join(&pieces)).into(),
        Body::Stream(stream) => {
            js::stream(Source { stream: RefCell::new(Some(stream)), waker: RefCell::default() }, events)
                .into()
        }
    }
}

/// The body of an upstream's answer, as `glue.js` hands it over.
pub(crate) fn answered(body: JsValue) -> Result<Body, JsValue> {
    if let Some(bytes) = body.dyn_ref::<Uint8Array>() {
        return Ok(Body::Full(bytes.to_vec().into()));
    }
    if let Some(why) = body.as_string() {
        return Ok(Body::Stream(Box::pin(once(ready(Err(Broken(why)))))));
    }
    if body.is_null() { Ok(Body::Empty) } else { Ok(Body::Stream(Incoming::stream(&body.unchecked_into())?)) }
}

/// Reads alternating lines of name and value. What HTTP does not allow was refused by the runtime before.
pub(crate) fn headers(lines: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let mut lines = lines.split('\n');
    while let (Some(name), Some(value)) = (lines.next(), lines.next()) {
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_bytes()))
        {
            headers.append(name, value);
        }
    }
    headers
}

/// The opposite of [`headers`].
pub(crate) fn lines(headers: &HeaderMap) -> String {
    let mut lines = String::with_capacity(headers.len() * 48);
    for (name, value) in headers {
        lines.push_str(name.as_str());
        lines.push('\n');
        lines.push_str(&String::from_utf8_lossy(value.as_bytes()));
        lines.push('\n');
    }
    lines
}

/// A stream of ours that JavaScript polls. Once it is over, or the client is gone, it is dropped at once: that is what
/// tells core that nobody listens any more.
#[wasm_bindgen]
pub struct Source {
    stream: RefCell<Option<ByteStream>>,
    /// Wakes the outlet that polls. It keeps that alive, and the outlet this: gone when the stream is.
    waker: RefCell<Option<Waker>>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Source")
    }
}

#[wasm_bindgen]
impl Source {
    /// Puts what there is into `outlet`, in one piece. True: that was all. Otherwise the outlet is woken when there is more.
    pub fn poll(&self, outlet: &js::Outlet) -> Result<bool, JsValue> {
        let waker = self.waker.borrow_mut().get_or_insert_with(|| waking(outlet)).clone();
        let mut context = Context::from_waker(&waker);
        let (mut chunks, mut size) = (Vec::new(), 0);
        let end = loop {
            if size >= PIECE {
                waker.wake_by_ref();
                break None;
            }
            let next = match self.stream.borrow_mut().as_mut() {
                Some(stream) => stream.poll_next_unpin(&mut context),
                None => Poll::Ready(None),
            };
            match next {
                Poll::Ready(Some(Ok(chunk))) => {
                    size += chunk.len();
                    chunks.push(chunk);
                }
                Poll::Ready(Some(Err(broken))) => break Some(Err(broken)),
                Poll::Ready(None) => break Some(Ok(true)),
                Poll::Pending => break None,
            }
        };
        if !chunks.is_empty() {
            outlet.put(&js::bytes(&Body::join(&chunks)));
        }
        let Some(end) = end else { return Ok(false) };
        self.cancel();
        end.map_err(|broken| js_sys::Error::new(&broken.to_string()).into())
    }

    pub fn cancel(&self) {
        let (stream, waker) = (self.stream.borrow_mut().take(), self.waker.borrow_mut().take());
        drop((stream, waker));
    }
}

fn waking(outlet: &js::Outlet) -> Waker {
    struct Wakes(SendWrapper<js::Outlet>);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.wake_by_ref();
        }

        fn wake_by_ref(self: &Arc<Self>) {
            self.0.wake();
        }
    }

    Waker::from(Arc::new(Wakes(SendWrapper::new(Clone::clone(outlet)))))
}

/// A JavaScript stream as one of ours. Dropped before its end, it cancels what feeds it.
pub(crate) struct Incoming {
    reader: SendWrapper<js::Reader>,
    slot: SendWrapper<Slot>,
    /// A chunk was asked for and has not come.
    asked: bool,
    open: bool,
}

/// Where JavaScript puts what it has read, and whoever waits for it is woken: the last one that asked, since a stream
/// moves from task to task.
#[wasm_bindgen]
#[derive(Clone, Default)]
pub struct Slot(Rc<RefCell<Waiting>>);

#[derive(Default)]
struct Waiting {
    read: Option<Result<Option<Bytes>, Broken>>,
    reading: Option<Waker>,
}

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Slot")
    }
}

#[wasm_bindgen]
impl Slot {
    pub fn chunk(&self, bytes: Vec<u8>) {
        self.put(Ok(Some(bytes.into())));
    }

    pub fn end(&self) {
        self.put(Ok(None));
    }

    pub fn fail(&self, why: String) {
        self.put(Err(Broken(why)));
    }
}

impl Slot {
    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Broken>> {
        let mut waiting = self.0.borrow_mut();
        if let Some(read) = waiting.read.take() {
            return Poll::Ready(read);
        }
        waiting.reading = Some(context.waker().clone());
        Poll::Pending
    }

    fn put(&self, read: Result<Option<Bytes>, Broken>) {
        let mut waiting = self.0.borrow_mut();
        waiting.read = Some(read);
        let reading = waiting.reading.take();
        drop(waiting);
        if let Some(waker) = reading {
            waker.wake();
        }
    }
}

impl Incoming {
    /// Takes the stream's reader: nobody else may have it.
    pub(crate) fn stream(stream: &web_sys::ReadableStream) -> Result<ByteStream, JsValue> {
        let slot = Slot::default();
        let reader = js::Reader::new(stream, slot.clone())?;
        let (reader, slot) = (SendWrapper::new(reader), SendWrapper::new(slot));
        Ok(Box::pin(Self { reader, slot, asked: false, open: true }))
    }
}

impl Stream for Incoming {
    type Item = Result<Bytes, Broken>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if !this.open {
            return Poll::Ready(None);
        }
        if let Poll::Ready(read) = this.slot.poll(context) {
            this.asked = false;
            this.open = matches!(read, Ok(Some(_)));
            return Poll::Ready(read.transpose());
        }
        if !this.asked {
            this.asked = true;
            if let Err(error) = this.reader.next() {
                this.open = false;
                return Poll::Ready(Some(Err(Broken(js::message(&error)))));
            }
        }
        Poll::Pending
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if self.open {
            let _ = self.reader.cancel();
        }
    }
}
