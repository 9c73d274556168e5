//! The answer's body: an upstream's stream, relayed, watched and settled.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, Stream, StreamExt};
use gatelet_wire::Malformed;

use super::books::{Books, Closing, Ending};
use super::cache::Keeping;
use super::continuation::{Broken as BrokenOff, Continuation, Continued};
use super::flow::{Flow, Waiting};
use super::route::blame;
use crate::domain::{HoldId, RequestId, Timestamp};
use crate::port::{Broken, ByteStream};
use crate::refusal::{Refusal, UpstreamFailure};
use crate::shared::Core;
use std::sync::Arc;

/// A committed attempt's stream.
///
/// Invariant: the last piece (the one with the dialect's terminator, or with the error) leaves only after the books
/// are closed. So a caller that has read an ending has been charged and recorded, whatever happens to us then.
pub(super) struct Relay {
    core: Arc<Core>,
    id: RequestId,
    target: Arc<str>,
    status: u16,
    upstream: Option<ByteStream>,
    flow: Box<Flow>,
    books: Box<Books>,
    waiting: Waiting,
    state: State,
    idle: Duration,
    deadline: Timestamp,
    /// Where the answer is to be kept.
    keeping: Option<Box<Keeping>>,
    /// Who may go on where it breaks off.
    continuation: Option<Box<Continuation>>,
    /// Reads the attempt that goes on with an earlier one, which `flow` has begun to write.
    reader: Option<Box<Flow>>,
    last: Timestamp,
    timer: BoxFuture<'static, ()>,
}

enum State {
    Flowing,
    /// It broke off, for this reason, and another attempt is to go on.
    Resuming(BoxFuture<'static, Continued>, Refusal),
    /// The books are being closed; then these bytes leave.
    Closing(Closing, Bytes),
    /// The books are being closed; then the body breaks off: its bytes are of a kind in which no error can be said.
    Breaking(Closing),
    /// All is said. The upstream is read to its end, so that its connection can be used again.
    Draining,
    Ended,
}

/// How long an upstream may take to end its body after it said its end.
const DRAIN: Duration = Duration::from_millis(500);

/// What [`Relay`] takes over from the attempt that was committed.
pub(super) struct Committed {
    pub(super) upstream: ByteStream,
    pub(super) flow: Box<Flow>,
    pub(super) waiting: Waiting,
    pub(super) target: Arc<str>,
    /// The answer's.
    pub(super) status: u16,
    pub(super) idle: Duration,
    pub(super) deadline: Timestamp,
    pub(super) keeping: Option<Box<Keeping>>,
    pub(super) continuation: Option<Box<Continuation>>,
}

impl Relay {
    pub(super) fn new(core: Arc<Core>, id: RequestId, books: Box<Books>, committed: Committed) -> Self {
        let Committed { upstream, flow, waiting, target, status, idle, deadline, keeping, continuation } =
            committed;
        let last = core.ports.clock.now();
        let timer = sleep(&core, idle.min(deadline.since(last)));
        Self {
            core,
            id,
            target,
            status,
            upstream: Some(upstream),
            flow,
            books,
            waiting,
            state: State::Flowing,
            idle,
            deadline,
            keeping,
            continuation,
            reader: None,
            last,
            timer,
        }
    }

    /// What the caller reads for a chunk of the upstream.
    fn read(&mut self, chunk: Bytes) -> Result<Bytes, Malformed> {
        let tally = &mut self.books.tally;
        let Some(reader) = &mut self.reader else { return self.flow.push(chunk, tally) };
        reader.push(chunk, tally)?;
        Ok(self.flow.follow(reader, tally))
    }

    /// The same for the upstream's end.
    fn read_end(&mut self) -> Result<Bytes, Malformed> {
        let tally = &mut self.books.tally;
        let Some(reader) = &mut self.reader else { return self.flow.finish(tally) };
        reader.finish(tally)?;
        Ok(self.flow.follow(reader, tally))
    }

    /// Whether another attempt goes on where this one broke off.
    fn resume(&mut self, refusal: Refusal) -> Result<(), Refusal> {
        let now = self.core.ports.clock.now();
        let Some(text) = self.flow.unfinished().map(str::to_owned) else { return Err(refusal) };
        let Some(mut continuation) = self.continuation.take() else { return Err(refusal) };
        let Some(hold) = continuation.next(now) else { return Err(refusal) };
        self.upstream = None;
        self.reader = None;
        self.keeping = None;
        let used = self.books.broke(refusal.code(), blame(&refusal, now), hold, now);
        self.flow.goes_on(used);
        // Nothing is in these: those of the request are with whoever goes on, until that is decided.
        let nobodys = self.books.rival(HoldId::from(&self.id));
        let books = std::mem::replace(&mut self.books, nobodys);
        let broken = BrokenOff { text, target: self.target.clone(), used };
        let work = continuation.go_on(self.core.clone(), books, broken);
        self.state = State::Resuming(Box::pin(work), refusal);
        Ok(())
    }

    /// It was decided whether another attempt goes on.
    fn resumed(&mut self, continued: Continued, refusal: &Refusal) {
        let Continued { books, continuation, by } = continued;
        self.books = books;
        let Some((upstream, mut reader, target)) = by else { return self.close_with_error(refusal) };
        self.last = self.core.ports.clock.now();
        self.deadline = continuation.ends(self.last);
        self.continuation = Some(continuation);
        let said = self.flow.follow(&mut reader, &mut self.books.tally);
        if !said.is_empty() {
            self.waiting.push_back(said);
        }
        (self.upstream, self.reader, self.target) = (Some(upstream), Some(reader), target);
        self.timer = sleep(&self.core, self.idle.min(self.deadline.since(self.last)));
        self.state = State::Flowing;
    }

    /// The next bytes for the caller while the upstream still speaks; none when it is done, one way or the other.
    fn poll_flowing(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if self.flow.seen.end || self.flow.seen.error.is_some() {
                return Poll::Ready(None);
            }
            if let Some(bytes) = self.waiting.pop_front() {
                return Poll::Ready(Some(bytes));
            }
            let Some(upstream) = self.upstream.as_mut() else { return Poll::Ready(None) };
            match upstream.poll_next_unpin(context) {
                Poll::Ready(Some(Ok(chunk))) => {
                    self.last = self.core.ports.clock.now();
                    // The timer is asked only in silence; an upstream that never pauses has no more time than another.
                    if self.last >= self.deadline {
                        return self.fail(UpstreamFailure::TimedOut);
                    }
                    match self.read(chunk) {
                        Ok(bytes) if bytes.is_empty() => {}
                        Ok(bytes) => self.waiting.push_back(bytes),
                        Err(_) => return self.fail(UpstreamFailure::Malformed),
                    }
                }
                Poll::Ready(Some(Err(_))) => return self.fail(UpstreamFailure::Broken),
                Poll::Ready(None) => {
                    self.upstream = None;
                    match self.read_end() {
                        Ok(bytes) if bytes.is_empty() => {}
                        Ok(bytes) => self.waiting.push_back(bytes),
                        Err(_) => return self.fail(UpstreamFailure::Broken),
                    }
                    return Poll::Ready(None);
                }
                Poll::Pending => {
                    ready!(self.poll_timer(context));
                    return self.fail(UpstreamFailure::TimedOut);
                }
            }
        }
    }

    /// Ready when the upstream has been silent for too long, or the request's time is over.
    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.timer.poll_unpin(context));
            let now = self.core.ports.clock.now();
            // One timer serves the whole stream: it is not set anew for each chunk, but asks when it rings.
            let left = self.idle.saturating_sub(now.since(self.last)).min(self.deadline.since(now));
            if left.is_zero() {
                return Poll::Ready(());
            }
            self.timer = sleep(&self.core, left);
        }
    }

    /// The upstream failed in the middle: the caller is told in the stream, and gets no ending that was not said.
    fn fail(&mut self, failure: UpstreamFailure) -> Poll<Option<Bytes>> {
        self.upstream = None;
        let refusal = Refusal::UpstreamFailed { target: self.target.to_string(), failure };
        if let Err(refusal) = self.resume(refusal) {
            self.close_with_error(&refusal);
        }
        Poll::Ready(None)
    }

    fn close_with_error(&mut self, refusal: &Refusal) {
        self.books.guarded(self.flow.judged());
        let public = refusal.public(&self.id);
        if self.flow.is_foreign() {
            self.state = State::Breaking(self.books.close(Ending::refused(refusal, public.status)));
            return;
        }
        let mut last = concat(&mut self.waiting);
        last.extend_from_slice(&self.flow.error(&public));
        self.books.sent(last.len());
        let closing = self.books.close(Ending::refused(refusal, public.status));
        self.state = State::Closing(closing, last.into());
    }

    /// All of the upstream's words are here: close the books, then let the rest go.
    fn close(&mut self) {
        self.books.guarded(self.flow.judged());
        if self.flow.is_cut() {
            // Nothing more is to be made for nobody.
            self.upstream = None;
        }
        if let Some(error) = self.flow.seen.error.clone() {
            let refusal = Refusal::Upstream {
                target: self.target.to_string(),
                error: Box::new(error),
                retry_after: None,
            };
            if !self.flow.passes_errors() {
                if let Err(refusal) = self.resume(refusal) {
                    self.close_with_error(&refusal);
                }
                return;
            }
            let status = refusal.public(&self.id).status;
            let last = concat(&mut self.waiting);
            self.books.sent(last.len());
            let closing = self.books.close(Ending::refused(&refusal, status));
            self.state = State::Closing(closing, last.into());
            return;
        }
        if let Some(loss) = self.flow.loss() {
            self.books.lost(loss);
        }
        let last = concat(&mut self.waiting);
        self.books.sent(last.len());
        let closing = self.books.close(Ending::done(self.status));
        if let Some(mut keeping) = self.keeping.take().filter(|_| self.flow.seen.end) {
            if let Some(tape) = self.flow.take_tape() {
                keeping.recorded(*tape);
            }
            keeping.keep(&self.books, &self.target);
        }
        self.state = State::Closing(closing, last.into());
    }
}

impl Stream for Relay {
    type Item = Result<Bytes, Broken>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            match &mut this.state {
                State::Flowing => match ready!(this.poll_flowing(context)) {
                    Some(bytes) => {
                        this.books.sent(bytes.len());
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                    None if matches!(this.state, State::Flowing) => this.close(),
                    None => {}
                },
                State::Resuming(work, _) => {
                    let continued = ready!(work.poll_unpin(context));
                    if let State::Resuming(_, refusal) = std::mem::replace(&mut this.state, State::Ended) {
                        this.resumed(continued, &refusal);
                    }
                }
                State::Closing(closing, last) => {
                    // A ledger that cannot be reached after all tries: the caller still gets its answer.
                    let _ = ready!(closing.poll_unpin(context));
                    let last = std::mem::take(last);
                    this.timer = sleep(&this.core, DRAIN);
                    this.state = State::Draining;
                    if !last.is_empty() {
                        return Poll::Ready(Some(Ok(last)));
                    }
                }
                State::Breaking(closing) => {
                    let _ = ready!(closing.poll_unpin(context));
                    this.state = State::Ended;
                    return Poll::Ready(Some(Err(Broken("the upstream broke off".to_owned()))));
                }
                State::Draining => {
                    let Some(upstream) = this.upstream.as_mut() else {
                        this.state = State::Ended;
                        continue;
                    };
                    // The timer first: there are upstreams that go on for ever, without a pause.
                    if this.timer.poll_unpin(context).is_ready() {
                        this.upstream = None;
                        continue;
                    }
                    match ready!(upstream.poll_next_unpin(context)) {
                        Some(Ok(_)) => {}
                        Some(Err(_)) | None => this.upstream = None,
                    }
                }
                State::Ended => return Poll::Ready(None),
            }
        }
    }
}

fn sleep(core: &Arc<Core>, duration: Duration) -> BoxFuture<'static, ()> {
    let clock = core.ports.clock.clone();
    Box::pin(async move { clock.sleep(duration).await })
}

fn concat(waiting: &mut Waiting) -> Vec<u8> {
    let mut whole = Vec::with_capacity(waiting.iter().map(Bytes::len).sum());
    for piece in waiting.drain(..) {
        whole.extend_from_slice(&piece);
    }
    whole
}
