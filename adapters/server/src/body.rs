//! Bodies between hyper and core.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use gatelet_core::port::{Body, Broken};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use crate::stalled::Kept;

/// How long a caller may go on sending what nobody reads.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request's body for core. What came with the head is taken at once; nothing is waited for.
pub(crate) async fn from_hyper(head: &http::request::Parts, mut incoming: Incoming) -> Body {
    if incoming.is_end_stream() {
        return Body::Empty;
    }
    // HTTP/2 has a word for "send no more"; HTTP/1.1 has not, except before a body that waits for a word.
    let one = head.version < http::Version::HTTP_2;
    let waits = head.headers.contains_key(http::header::EXPECT);
    let mut first = None;
    if one && !waits {
        first = poll_fn(|cx| match Pin::new(&mut incoming).poll_frame(cx) {
            Poll::Ready(frame) => Poll::Ready(frame),
            Poll::Pending => Poll::Ready(None),
        })
        .await;
        if first.is_some() {
            // hyper wakes this task when something is taken. Where that is awaited here, the task comes back to a request
            // that goes on; else it would come back to look at one that has only just begun to wait for its upstream.
            woken().await;
        }
    }
    match first.map(|frame| frame.map(Frame::into_data)) {
        Some(Ok(Ok(data))) if incoming.is_end_stream() => Body::Full(data),
        Some(first) => {
            let first = first.map_err(|error| Broken(error.to_string())).map(Result::ok).transpose();
            Body::Stream(Request { first, incoming: Some(incoming), one, asked: true }.boxed())
        }
        None => Body::Stream(Request { first: None, incoming: Some(incoming), one, asked: !waits }.boxed()),
    }
}

/// Waits until the task is polled again.
async fn woken() {
    let mut came = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut came, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A request's body. On HTTP/1.1, what core does not read is read and thrown away for a while, so that the caller, who
/// sends first and then reads, comes to read the refusal.
struct Request {
    /// What came with the head.
    first: Option<Result<Bytes, Broken>>,
    incoming: Option<Incoming>,
    /// HTTP/1.1.
    one: bool,
    /// The caller sends, whether or not this is read.
    asked: bool,
}

impl Stream for Request {
    type Item = Result<Bytes, Broken>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.asked = true;
        if let Some(first) = self.first.take() {
            if first.is_err() {
                self.incoming = None;
            }
            return Poll::Ready(Some(first));
        }
        loop {
            let Some(incoming) = self.incoming.as_mut() else { return Poll::Ready(None) };
            match ready!(Pin::new(incoming).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    // Trailers carry nothing that any dialect speaks of.
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
                Some(Err(error)) => {
                    self.incoming = None;
                    return Poll::Ready(Some(Err(Broken(error.to_string()))));
                }
                None => {
                    self.incoming = None;
                    return Poll::Ready(None);
                }
            }
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let Some(mut incoming) = self.incoming.take() else { return };
        if !self.one || !self.asked || incoming.is_end_stream() {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let rest = async {
                    while let Some(Ok(_)) = poll_fn(|cx| Pin::new(&mut incoming).poll_frame(cx)).await {}
                };
                // Whoever is not done by then finds the connection closed.
                let _ = tokio::time::timeout(PATIENCE, rest).await;
            });
        }
    }
}

/// An answer's body for hyper. One whose length is known is sent with it; a stream that breaks off closes the connection
/// without an ending.
pub(crate) enum Answer {
    Full(Option<Bytes>),
    Stream(Kept),
    /// Broken off, and to be said with the next poll.
    Broken(Option<Broken>),
}

impl From<Body> for Answer {
    fn from(body: Body) -> Self {
        match body {
            Body::Empty => Self::Full(None),
            Body::Full(bytes) => Self::Full(Some(bytes).filter(|bytes| !bytes.is_empty())),
            // Answers are not made of pieces; if one were, it would be whole.
            Body::Pieces(pieces) => Self::from(Body::Full(Body::join(&pieces))),
            Body::Stream(stream) => Self::Stream(Kept::new(stream)),
        }
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let answer = self.get_mut();
        match answer {
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(stream) => match ready!(stream.poll_next(cx)) {
                Some(Err(broken)) => {
                    // hyper throws away what it has not sent when it hears of this. Waiting lets it send that first.
                    *answer = Self::Broken(Some(broken));
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                other => Poll::Ready(other.map(|next| next.map(Frame::data))),
            },
            Self::Broken(broken) => Poll::Ready(broken.take().map(Err)),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.is_none(),
            Self::Stream(_) | Self::Broken(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Stream(_) | Self::Broken(_) => SizeHint::default(),
        }
    }
}
