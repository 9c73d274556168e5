//! Bodies between core and hyper.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::poll_fn;
use gatelet_core::port::{Body, Broken, ByteStream};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use super::Place;

/// A body on its way out. One whose length is known is sent with it; a stream is chunked.
pub(super) enum Outgoing {
    Full(Option<Bytes>),
    /// hyper gives all of them to the system in one write.
    Pieces(VecDeque<Bytes>),
    Stream(ByteStream),
}

impl From<Body> for Outgoing {
    fn from(body: Body) -> Self {
        match body {
            Body::Empty => Self::Full(None),
            Body::Full(bytes) => Self::Full(Some(bytes).filter(|bytes| !bytes.is_empty())),
            Body::Pieces(pieces) => {
                Self::Pieces(pieces.into_iter().filter(|piece| !piece.is_empty()).collect())
            }
            Body::Stream(stream) => Self::Stream(stream),
        }
    }
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Pieces(pieces) => Poll::Ready(pieces.pop_front().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(stream) => stream.poll_next_unpin(cx).map_ok(Frame::data),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.is_none(),
            Self::Pieces(pieces) => pieces.is_empty(),
            Self::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Pieces(pieces) => SizeHint::with_exact(pieces.iter().map(|piece| piece.len() as u64).sum()),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

/// A body on its way in. `place` is given back with it; dropping it before its end closes the connection (HTTP/1.1) or
/// resets the stream (HTTP/2), which is how the other side learns that nobody listens.
pub(super) fn from_hyper(mut incoming: Incoming, place: Place) -> Body {
    if incoming.is_end_stream() {
        return Body::Empty;
    }
    let stream = poll_fn(move |cx| {
        let _held_until_dropped = &place;
        loop {
            let Some(frame) = ready!(Pin::new(&mut incoming).poll_frame(cx)) else {
                return Poll::Ready(None);
            };
            match frame.map(Frame::into_data) {
                Ok(Ok(data)) => return Poll::Ready(Some(Ok(data))),
                // Trailers carry nothing that any dialect speaks of.
                Ok(Err(_trailers)) => {}
                Err(error) => return Poll::Ready(Some(Err(broken(&error)))),
            }
        }
    });
    Body::Stream(stream.boxed())
}

fn broken(error: &hyper::Error) -> Broken {
    let source = std::error::Error::source(error);
    Broken(source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}")))
}
