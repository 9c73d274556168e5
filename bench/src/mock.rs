//! An upstream that costs as little as it can: it reads the request and answers from constants.
//!
//! The model's name says how: `chat` answers whole; `chunks-500-0` streams 500 chunks, 0 µs apart; whatever stands
//! before a `/` in it is ignored. A path that ends in `/messages` is answered in Anthropic's words.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use memchr::memmem;
use tokio::net::TcpListener;

const CHAT: &[u8] = br#"{"id":"chatcmpl-bench","object":"chat.completion","created":1700000000,"model":"chat","choices":[{"index":0,"message":{"role":"assistant","content":"The quick brown fox jumps over the lazy dog. Pack my box with five dozen liquor jugs. Sphinx of black quartz, judge my vow.","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":19,"completion_tokens":31,"total_tokens":50,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}},"service_tier":"default","system_fingerprint":"fp_bench"}"#;
const MESSAGE: &[u8] = br#"{"id":"msg_bench","type":"message","role":"assistant","model":"chat","content":[{"type":"text","text":"The quick brown fox jumps over the lazy dog. Pack my box with five dozen liquor jugs. Sphinx of black quartz, judge my vow."}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":19,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":31}}"#;

pub(crate) async fn serve(address: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::task::spawn_local(async move {
            // Who leaves early is not mourned.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer)).await;
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<BoxBody<Bytes, Infallible>>, hyper::Error> {
    let dialect =
        if request.uri().path().ends_with("/messages") { Dialect::Anthropic } else { Dialect::Openai };
    let body = request.into_body().collect().await?.to_bytes();
    // The fields that matter stand before the messages: the load generator and the gateway keep their order.
    let streams = memmem::find(&body, br#""stream":true"#).is_some();
    if !streams {
        let whole = match dialect {
            Dialect::Openai => CHAT,
            Dialect::Anthropic => MESSAGE,
        };
        return Ok(respond("application/json", Full::new(Bytes::from_static(whole)).boxed()));
    }
    let (chunks, gap) = pace(&body);
    let usage = memmem::find(&body, br#""include_usage":true"#).is_some();
    let stream = Stream {
        dialect,
        next: 0,
        chunks,
        gap: Duration::from_micros(gap),
        usage,
        rests: false,
        sleep: None,
    };
    Ok(respond("text/event-stream", stream.boxed()))
}

fn respond(
    content_type: &'static str,
    body: BoxBody<Bytes, Infallible>,
) -> Response<BoxBody<Bytes, Infallible>> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Chunks and microseconds between them, from the model's name.
fn pace(body: &[u8]) -> (usize, u64) {
    let numbers = || {
        let from = memmem::find(body, b"chunks-")? + b"chunks-".len();
        let name = body[from..].split(|byte| *byte == b'"').next()?;
        let (chunks, gap) = std::str::from_utf8(name).ok()?.split_once('-')?;
        Some((chunks.parse().ok()?, gap.parse().ok()?))
    };
    numbers().unwrap_or((20, 0))
}

#[derive(Clone, Copy)]
enum Dialect {
    Openai,
    Anthropic,
}

/// A streamed answer whose every chunk is a write of its own, as from a model that generates.
struct Stream {
    dialect: Dialect,
    /// 0 opens, 1..=chunks are content, then it closes.
    next: usize,
    chunks: usize,
    gap: Duration,
    usage: bool,
    /// Before the next chunk hyper gets the chance to send the last one.
    rests: bool,
    sleep: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rests {
            let gap = self.gap;
            if gap.is_zero() || self.next < 2 {
                self.rests = false;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(gap)));
            std::task::ready!(sleep.as_mut().poll(context));
            self.sleep = None;
        }
        self.rests = true;
        let piece = match self.dialect {
            Dialect::Openai => self.openai(),
            Dialect::Anthropic => self.anthropic(),
        };
        self.next += 1;
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece.into()))))
    }
}

impl Stream {
    fn openai(&self) -> Option<String> {
        const HEAD: &str = r#"data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"chat","system_fingerprint":"fp_bench","choices":["#;
        let choice = |delta: &str, finish: &str| {
            format!(
                "{HEAD}{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{finish}}}]}}\n\n"
            )
        };
        let (next, chunks) = (self.next, self.chunks);
        if next == 0 {
            return Some(choice(r#"{"role":"assistant","content":""}"#, "null"));
        }
        if next <= chunks {
            return Some(choice(&format!(r#"{{"content":" token{next}"}}"#), "null"));
        }
        match next - chunks {
            1 => Some(choice("{}", r#""stop""#)),
            2 if self.usage => Some(format!(
                "{HEAD}],\"usage\":{{\"prompt_tokens\":19,\"completion_tokens\":{chunks},\"total_tokens\":{}}}}}\n\ndata: [DONE]\n\n",
                chunks + 19
            )),
            2 => Some("data: [DONE]\n\n".to_owned()),
            _ => None,
        }
    }

    fn anthropic(&self) -> Option<String> {
        let (next, chunks) = (self.next, self.chunks);
        if next == 0 {
            return Some(concat!(
                "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_bench\",\"type\":\"message\",",
                "\"role\":\"assistant\",\"model\":\"chat\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,",
                "\"usage\":{\"input_tokens\":19,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":1}}}\n\n",
                "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
            ).to_owned());
        }
        if next <= chunks {
            return Some(format!(
                "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\" token{next}\"}}}}\n\n"
            ));
        }
        match next - chunks {
            1 => Some(
                "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
                    .to_owned(),
            ),
            2 => Some(format!(
                "event: message_delta\ndata: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"end_turn\",\"stop_sequence\":null}},\"usage\":{{\"output_tokens\":{chunks}}}}}\n\nevent: message_stop\ndata: {{\"type\":\"message_stop\"}}\n\n"
            )),
            _ => None,
        }
    }
}
