//! Streams that nobody reads.
//!
//! hyper asks a body for more only when the caller takes what is there. A caller that stops reading therefore stops the
//! clock that is in the stream itself: its hold would expire and free its budget while the answer is still open. So
//! every stream lies in a slot, and each worker looks at its slots every few seconds: one that is past its time is
//! taken out and dropped, which is a caller that left.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt as _;
use gatelet_core::Settings;
use gatelet_core::port::{Broken, ByteStream};

/// Longer than core gives a stream that is read, and shorter than its hold lives.
const MOST: Duration = Settings::DEADLINE.saturating_add(Duration::from_secs(20));
const EVERY: Duration = Duration::from_secs(10);

thread_local! {
    static OPEN: RefCell<Vec<Weak<Slot>>> = const { RefCell::new(Vec::new()) };
    static WATCHED: Cell<bool> = const { Cell::new(false) };
}

/// A stream that is taken away from its reader when its time is over.
pub(crate) struct Kept(Arc<Slot>);

struct Slot {
    stream: Mutex<Option<ByteStream>>,
    over: Instant,
}

impl Kept {
    pub(crate) fn new(stream: ByteStream) -> Self {
        Self::within(stream, MOST, EVERY)
    }

    fn within(stream: ByteStream, most: Duration, every: Duration) -> Self {
        let slot = Arc::new(Slot { stream: Mutex::new(Some(stream)), over: Instant::now() + most });
        OPEN.with_borrow_mut(|open| open.push(Arc::downgrade(&slot)));
        if !WATCHED.get()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            WATCHED.set(true);
            runtime.spawn(watch(every));
        }
        Self(slot)
    }

    pub(crate) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        let mut stream = self.0.stream.lock().unwrap_or_else(PoisonError::into_inner);
        match stream.as_mut() {
            Some(stream) => stream.poll_next_unpin(cx),
            None => Poll::Ready(Some(Err(Broken("nobody read it in time".to_owned())))),
        }
    }
}

/// Runs on a worker for as long as it has streams.
async fn watch(every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let now = Instant::now();
        let mut late = Vec::new();
        let left = OPEN.with_borrow_mut(|open| {
            open.retain(|slot| match slot.upgrade() {
                None => false,
                Some(slot) if slot.over <= now => {
                    late.push(slot);
                    false
                }
                Some(_) => true,
            });
            open.len()
        });
        // Dropped here and not above: a stream that is dropped may do anything, open another one too.
        for slot in late {
            drop(slot.stream.lock().unwrap_or_else(PoisonError::into_inner).take());
        }
        if left == 0 && OPEN.with_borrow(Vec::is_empty) {
            WATCHED.set(false);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Flag(Arc<Mutex<bool>>);

    impl Drop for Flag {
        fn drop(&mut self) {
            *self.0.lock().unwrap() = true;
        }
    }

    #[tokio::test]
    async fn a_stream_that_nobody_reads_is_taken_away_when_its_time_is_over() {
        let gone = Arc::new(Mutex::new(false));
        let flag = Flag(gone.clone());
        let stream = futures_util::stream::poll_fn(move |_| {
            let _held = &flag;
            Poll::<Option<Result<Bytes, Broken>>>::Pending
        });
        let most = Duration::from_millis(60);
        let kept = Kept::within(stream.boxed(), most, Duration::from_millis(10));
        tokio::time::sleep(most / 3).await;
        assert!(!*gone.lock().unwrap(), "its time is not over");
        tokio::time::sleep(most).await;
        assert!(*gone.lock().unwrap(), "its time is over");
        let next = std::future::poll_fn(|cx| kept.poll_next(cx)).await;
        assert!(matches!(next, Some(Err(_))), "its reader hears of it");
        assert!(!WATCHED.get(), "nobody watches where there is nothing to watch");
    }
}
