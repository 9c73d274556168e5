//! A third party as a pure pair, run over the network's port.
#![expect(clippy::unwrap_used, reason = "a test says what it expects")]

use std::time::Duration;

use bytes::Bytes;
use futures_executor::block_on;
use gatelet_core::domain::Timestamp;
use gatelet_core::exchange::Exchange;
use gatelet_core::port::memory::ports;
use gatelet_core::port::{Body, Clock, FaultKind, Reach};
use gatelet_wire::Malformed;

/// Asks a clock somewhere for its time, in whole seconds.
struct AskTheTime;

impl Exchange for AskTheTime {
    type Answer = u64;

    fn ask(&self, now: Timestamp) -> http::Request<Bytes> {
        let uri = format!("https://clock.example/at/{}", now.seconds());
        http::Request::builder().uri(uri).body(Bytes::new()).unwrap()
    }

    fn read(&self, reply: http::Response<Bytes>) -> Result<u64, Malformed> {
        let text = std::str::from_utf8(reply.body()).unwrap_or_default();
        text.trim().parse().map_err(|_| Malformed::field("body", "whole seconds"))
    }
}

fn answer(body: Body) -> http::Response<Body> {
    http::Response::new(body)
}

#[test]
fn an_exchange_asks_reads_and_tells_whose_fault_it_was() {
    let (ports, handles) = ports();
    let run = || block_on(ports.exchange(&AskTheTime, Reach::Public, Duration::from_secs(5)));
    handles.upstream.push_response(answer(Body::from(b" 42\n".to_vec())));
    assert_eq!(run().unwrap(), 42);
    let asked = &handles.upstream.asked()[0];
    assert_eq!(asked.uri.to_string(), format!("https://clock.example/at/{}", handles.clock.now().seconds()));
    assert_eq!(asked.reach, Reach::Public);
    handles.upstream.push_response(answer(Body::from(b"noon".to_vec())));
    assert_eq!(run().unwrap_err().kind, FaultKind::Corrupt);
    handles.upstream.push_response(answer(Body::from(vec![b'1'; 2 << 20])));
    assert_eq!(run().unwrap_err().kind, FaultKind::Unavailable, "too long to be read");
    assert_eq!(run().unwrap_err().kind, FaultKind::Unavailable, "nobody answers");
}

#[test]
fn an_exchange_that_takes_too_long_is_given_up() {
    let (ports, handles) = ports();
    handles.upstream.push_response(answer(Body::Stream(Box::pin(futures_util::stream::pending()))));
    let exchange = ports.exchange(&AskTheTime, Reach::Public, Duration::from_secs(5));
    let turn = async { handles.clock.advance(Duration::from_secs(6)) };
    let (answer, ()) = block_on(futures_util::future::join(exchange, turn));
    assert_eq!(answer.unwrap_err().kind, FaultKind::Timeout);
}
