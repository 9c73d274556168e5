use futures_util::future::BoxFuture;
use gatelet_core::port::Defer;
use tokio_util::task::TaskTracker;

/// Work that goes on after the answer, as tasks that a host can wait for before it leaves or is frozen.
#[derive(Clone, Debug, Default)]
pub struct Tasks(TaskTracker);

impl Tasks {
    /// Waits until none is left, those included which are started meanwhile.
    pub async fn finished(&self) {
        self.0.close();
        self.0.wait().await;
    }
}

impl Defer for Tasks {
    fn defer(&self, work: BoxFuture<'static, ()>) {
        // A closed tracker still takes tasks: closing only lets `wait` end when it is empty.
        self.0.spawn(work);
    }
}
