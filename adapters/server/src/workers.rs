//! Threads that serve requests.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use tokio::sync::mpsc;

type Start = Box<dyn FnOnce() + Send>;

/// Threads with a runtime each. A connection stays on the thread that it was dealt to, and so do its calls of
/// upstreams: no request ever wakes another thread, which costs as much as two thirds of proxying it.
#[derive(Debug)]
pub struct Workers {
    inboxes: Vec<mpsc::UnboundedSender<Start>>,
    threads: Vec<JoinHandle<()>>,
    next: AtomicUsize,
}

thread_local! {
    static PLACE: Cell<usize> = const { Cell::new(0) };
}

/// Which worker the calling thread is; 0 on other threads.
pub fn place() -> usize {
    PLACE.get()
}

impl Workers {
    pub fn start(count: usize) -> io::Result<Self> {
        let mut inboxes = Vec::with_capacity(count);
        let mut threads = Vec::with_capacity(count);
        for place in 0..count {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let (inbox, mut starts) = mpsc::unbounded_channel::<Start>();
            let work = move || {
                PLACE.set(place);
                // Until every sender is gone; what was started has ended by then, or is cut off.
                runtime.block_on(async {
                    while let Some(start) = starts.recv().await {
                        start();
                    }
                });
            };
            threads.push(std::thread::Builder::new().name(format!("worker-{place}")).spawn(work)?);
            inboxes.push(inbox);
        }
        Ok(Self { inboxes, threads, next: AtomicUsize::new(0) })
    }

    pub fn count(&self) -> usize {
        self.inboxes.len()
    }

    /// Runs a future on the next worker. It is made there, so that it may hold what belongs to that thread.
    pub fn spawn<F: Future<Output = ()> + Send + 'static>(&self, make: impl FnOnce() -> F + Send + 'static) {
        let next = self.next.fetch_add(1, Ordering::Relaxed) % self.inboxes.len().max(1);
        if let Some(inbox) = self.inboxes.get(next) {
            // A worker that is gone has dropped what was given to it: the connection closes.
            let _ = inbox.send(Box::new(move || drop(tokio::spawn(make()))));
        }
    }

    /// Ends the threads and waits for them.
    pub fn finish(self) {
        drop(self.inboxes);
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}
