//! Bodies between Lambda and core.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use gatelet_core::port::{Body, ByteStream};
use gatelet_tokio::Tasks;
use http_body::Frame;

use crate::log;

/// The body of an answer.
///
/// It never fails: the runtime would write the error's text to the caller, in the middle of the stream. And it ends only when all work
/// that the request has left behind is done, since Lambda freezes the sandbox as soon as it has ended.
pub struct Answer {
    state: State,
    tasks: Tasks,
}

enum State {
    Whole(Bytes),
    Flowing(ByteStream),
    Finishing(BoxFuture<'static, ()>),
    Ended,
}

impl Answer {
    pub(crate) fn new(body: Body, tasks: Tasks) -> Self {
        let state = match body {
            Body::Empty => State::Whole(Bytes::new()),
            Body::Full(bytes) => State::Whole(bytes),
            Body::Pieces(pieces) => State::Whole(Body::join(&pieces)),
            Body::Stream(stream) => State::Flowing(stream),
        };
        Self { state, tasks }
    }

    fn finish(&mut self) {
        let tasks = self.tasks.clone();
        // Replacing the state drops core's stream, and with it whatever it had not closed yet.
        self.state = State::Finishing(Box::pin(async move { tasks.finished().await }));
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        loop {
            match &mut this.state {
                State::Whole(bytes) => {
                    let bytes = std::mem::take(bytes);
                    this.finish();
                    if !bytes.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(bytes))));
                    }
                }
                State::Flowing(stream) => match ready!(stream.poll_next_unpin(context)) {
                    Some(Ok(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                    Some(Err(broken)) => {
                        // Core has said in the stream what there was to say. An ending that nobody said is not made up.
                        log::warn("an answer broke off", &broken);
                        this.finish();
                    }
                    None => this.finish(),
                },
                State::Finishing(work) => {
                    ready!(work.as_mut().poll(context));
                    this.state = State::Ended;
                }
                State::Ended => return Poll::Ready(None),
            }
        }
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Answer")
    }
}
