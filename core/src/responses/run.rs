//! Answers that are made in the background of this process.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::Stream;
use futures_util::future::AbortHandle;

use crate::port::Broken;

/// All that run now, by home and id.
#[derive(Debug, Default)]
pub struct Runs(Mutex<HashMap<(String, String), Arc<Run>>>);

/// One answer in the making: what was said of it so far, for whoever wants to read it from any place on.
#[derive(Debug)]
pub struct Run {
    log: Mutex<Log>,
    abort: AbortHandle,
}

#[derive(Debug, Default)]
struct Log {
    pieces: Vec<Bytes>,
    over: bool,
    readers: Vec<Waker>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Runs {
    /// More than these do not run at once: each holds its answer in memory.
    const MOST: usize = 1_000;

    /// None where too many run.
    pub fn begin(&self, home: &str, id: &str, abort: AbortHandle) -> Option<Arc<Run>> {
        let mut runs = lock(&self.0);
        if runs.len() >= Self::MOST {
            return None;
        }
        let run = Arc::new(Run { log: Mutex::default(), abort });
        runs.insert((home.to_owned(), id.to_owned()), run.clone());
        Some(run)
    }

    pub fn get(&self, home: &str, id: &str) -> Option<Arc<Run>> {
        lock(&self.0).get(&(home.to_owned(), id.to_owned())).cloned()
    }

    /// Whoever takes it out decides how it ended.
    pub fn end(&self, home: &str, id: &str) -> Option<Arc<Run>> {
        lock(&self.0).remove(&(home.to_owned(), id.to_owned()))
    }
}

impl Run {
    /// More of the answer's stream.
    pub fn say(&self, piece: Bytes) {
        let mut log = lock(&self.log);
        log.pieces.push(piece);
        log.readers.drain(..).for_each(Waker::wake);
    }

    /// Nothing follows.
    pub fn finish(&self) {
        let mut log = lock(&self.log);
        log.over = true;
        log.readers.drain(..).for_each(Waker::wake);
    }

    /// Stops the work: its call is cancelled, and what was generated is charged.
    pub fn cancel(&self) {
        self.abort.abort();
        self.finish();
    }

    /// All that was said and will be. One that is dropped leaves the work alone.
    pub fn read(self: Arc<Self>) -> Reader {
        Reader { run: self, next: 0 }
    }
}

/// Reads one run's stream.
#[derive(Debug)]
pub struct Reader {
    run: Arc<Run>,
    next: usize,
}

impl Stream for Reader {
    type Item = Result<Bytes, Broken>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let run = Arc::clone(&self.run);
        let mut log = lock(&run.log);
        if let Some(piece) = log.pieces.get(self.next) {
            let piece = piece.clone();
            self.next += 1;
            return Poll::Ready(Some(Ok(piece)));
        }
        if log.over {
            return Poll::Ready(None);
        }
        log.readers.push(context.waker().clone());
        Poll::Pending
    }
}
