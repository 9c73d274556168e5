//! One sandbox: a process, and the Runtime API that it alone talks to.

use std::{
    convert::Infallible,
    process::Stdio,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use bytes::{Bytes, BytesMut};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    sync::{OwnedSemaphorePermit, mpsc, oneshot, watch},
};

use super::{Fleet, Started, event, front, locked};

/// What separates the head of an answer from its body.
const DELIMITER: [u8; 8] = [0; 8];
/// What `lambda_runtime` writes into a body whose stream fails; a client must never read it.
const LEAK: &[u8] = b"Lambda-Runtime-Function-Error";
/// How long the service waits for a sandbox with an internal extension between `SIGTERM` and `SIGKILL`.
const GRACE: Duration = Duration::from_millis(500);

type Reply = oneshot::Sender<anyhow::Result<Response<front::Answer>>>;

#[derive(Debug)]
pub(super) struct Sandbox {
    fleet: Arc<Fleet>,
    process: Pid,
    spawned: Instant,
    cold_start: OnceLock<Duration>,
    /// `None` while it runs, then whether it left with exit code 0.
    ended: watch::Receiver<Option<bool>>,
    has_extension: AtomicBool,
    /// Once set, the process is not frozen again. Locked while signals are sent, so that none overtakes another.
    retiring: Mutex<bool>,
    events: mpsc::UnboundedSender<Bytes>,
    inbox: tokio::sync::Mutex<mpsc::UnboundedReceiver<Bytes>>,
    work: Mutex<Option<Work>>,
    count: AtomicU64,
}

/// The one invocation that a sandbox has.
#[derive(Debug)]
struct Work {
    id: u64,
    delivered: bool,
    reply: Option<Reply>,
    /// Given back when the sandbox polls again, or dies.
    _slot: OwnedSemaphorePermit,
}

impl Sandbox {
    /// Starts the process and its Runtime API.
    pub(super) async fn start(fleet: Arc<Fleet>) -> anyhow::Result<Arc<Self>> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("a Runtime API port")?;
        let settings = &fleet.settings;
        let log = std::fs::File::options().create(true).append(true).open(&settings.log)?;
        let spawned = Instant::now();
        let child = Command::new(&settings.binary)
            .env_clear()
            .envs(settings.environment.iter().map(|(name, value)| (name, value)))
            .env("AWS_LAMBDA_RUNTIME_API", listener.local_addr()?.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "gatelet")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}", settings.binary.display()))?;
        let process =
            child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).context("no process id")?;
        let (ended_sender, ended) = watch::channel(None);
        let (events, inbox) = mpsc::unbounded_channel();
        let sandbox = Arc::new(Self {
            fleet,
            process,
            spawned,
            cold_start: OnceLock::new(),
            ended,
            has_extension: AtomicBool::new(false),
            retiring: Mutex::default(),
            events,
            inbox: tokio::sync::Mutex::new(inbox),
            work: Mutex::default(),
            count: AtomicU64::new(0),
        });
        let api = tokio::spawn(serve(listener, Arc::clone(&sandbox))).abort_handle();
        tokio::spawn(watch_over(child, Arc::clone(&sandbox), ended_sender, api));
        Ok(sandbox)
    }

    /// Gives the sandbox its next event and waits for the head of the answer. `slot` is held until it polls again.
    pub(super) async fn invoke(
        self: &Arc<Self>,
        event: Bytes,
        slot: OwnedSemaphorePermit,
    ) -> anyhow::Result<Response<front::Answer>> {
        let (reply, answer) = oneshot::channel();
        let id = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        *locked(&self.work) = Some(Work { id, delivered: false, reply: Some(reply), _slot: slot });
        self.events.send(event).context("the sandbox is gone")?;
        if !self.is_alive() {
            *locked(&self.work) = None;
        }
        answer.await.context("the sandbox died before it answered")?
    }

    pub(super) fn is_alive(&self) -> bool {
        self.ended.borrow().is_none()
    }

    pub(super) fn started(&self) -> Option<Started> {
        let process = self.process.as_raw_nonzero().get().unsigned_abs();
        self.cold_start.get().map(|cold_start| Started { process, cold_start: *cold_start })
    }

    /// Ends the process as the service does, and says whether it left with exit code 0.
    pub(super) async fn retire(&self) -> bool {
        if self.has_extension.load(Ordering::Acquire) {
            {
                let mut retiring = locked(&self.retiring);
                *retiring = true;
                self.signal(Signal::CONT);
                self.signal(Signal::TERM);
            }
            if let Ok(clean) = tokio::time::timeout(GRACE, self.end()).await {
                return clean;
            }
            self.fleet.complain("a sandbox did not leave in time after SIGTERM");
        }
        self.kill().await;
        false
    }

    /// Ends the process at once.
    pub(super) async fn kill(&self) {
        self.signal_kill();
        self.end().await;
    }

    pub(super) fn signal_kill(&self) {
        self.signal(Signal::KILL);
    }

    async fn end(&self) -> bool {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(clean) => clean.unwrap_or(false),
            Err(_) => false,
        }
    }

    fn signal(&self, signal: Signal) {
        // The process is not reaped before `ended` says so, hence its number is not anyone else's.
        if self.is_alive() {
            let _ = kill_process(self.process, signal);
        }
    }

    /// `GET /runtime/invocation/next`: the previous invocation is over; wait, frozen, for another.
    async fn next(self: &Arc<Self>) -> Response<Full<Bytes>> {
        let _ = self.cold_start.set(self.spawned.elapsed());
        {
            let mut work = locked(&self.work);
            if work.as_ref().is_some_and(|work| work.delivered) {
                let over = work.take();
                locked(&self.fleet.idle).push(Arc::clone(self));
                drop(over);
            }
        }
        let mut inbox = self.inbox.lock().await;
        let event = if let Ok(event) = inbox.try_recv() {
            Some(event)
        } else {
            {
                let retiring = locked(&self.retiring);
                if !*retiring {
                    self.signal(Signal::STOP);
                }
            }
            let event = inbox.recv().await;
            self.signal(Signal::CONT);
            event
        };
        let Some(event) = event else { return status(StatusCode::GONE) };
        let id = {
            let mut work = locked(&self.work);
            let Some(work) = work.as_mut() else { return status(StatusCode::GONE) };
            work.delivered = true;
            work.id
        };
        tokio::spawn(enforce(Arc::clone(self), id));
        let timeout = self.fleet.settings.timeout;
        let deadline = (SystemTime::now() + timeout).duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut response = Response::new(Full::new(event));
        for (name, value) in [
            ("lambda-runtime-aws-request-id", id.to_string()),
            ("lambda-runtime-deadline-ms", deadline.as_millis().to_string()),
            (
                "lambda-runtime-invoked-function-arn",
                "arn:aws:lambda:us-east-1:123456789012:function:gatelet".into(),
            ),
            ("lambda-runtime-trace-id", format!("Root=1-00000000-{id:024x}")),
            ("content-type", "application/json".into()),
        ] {
            if let Ok(value) = http::HeaderValue::try_from(value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }

    /// `POST …/response`: the head, eight NUL bytes, and the body, each chunk passed on as it comes.
    async fn respond(&self, id: u64, mut body: Incoming) -> anyhow::Result<()> {
        let mut head = BytesMut::new();
        let (chunks, receiver) = mpsc::unbounded_channel();
        let mut waiting = Some(receiver);
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                let _ = chunks.send(Err(anyhow::anyhow!("the sandbox broke the answer off")));
                anyhow::bail!("invocation {id}: the answer was broken off");
            };
            let Ok(mut data) = frame.into_data() else { continue };
            if let Some(receiver) = waiting.take() {
                head.extend_from_slice(&data);
                let Some(end) = head.windows(8).position(|bytes| bytes == DELIMITER) else {
                    waiting = Some(receiver);
                    continue;
                };
                let (status, headers) = event::head_of_answer(&head[..end])?;
                data = head.split_off(end + 8).freeze();
                let mut response = Response::new(front::streamed(receiver));
                *response.status_mut() = status;
                *response.headers_mut() = headers;
                self.reply(id, Ok(response));
            }
            if data.windows(LEAK.len()).any(|bytes| bytes == LEAK) {
                self.fleet.complain(format!("invocation {id}: its stream failed, and the client read why"));
            }
            if !data.is_empty() {
                // A client that left does not stop the function.
                let _ = chunks.send(Ok(data));
            }
        }
        anyhow::ensure!(waiting.is_none(), "invocation {id}: the answer ended inside its head");
        Ok(())
    }

    fn reply(&self, id: u64, answer: anyhow::Result<Response<front::Answer>>) {
        let reply =
            locked(&self.work).as_mut().filter(|work| work.id == id).and_then(|work| work.reply.take());
        if let Some(reply) = reply {
            let _ = reply.send(answer);
        }
    }
}

/// Kills the sandbox when invocation `id` is still running at its deadline.
async fn enforce(sandbox: Arc<Sandbox>, id: u64) {
    tokio::time::sleep(sandbox.fleet.settings.timeout).await;
    let late = locked(&sandbox.work).as_ref().is_some_and(|work| work.id == id);
    if late {
        sandbox.fleet.complain(format!("invocation {id}: killed at its deadline"));
        sandbox.signal_kill();
    }
}

/// Reaps the process, and lets go of whatever waited for it.
async fn watch_over(
    mut child: Child,
    sandbox: Arc<Sandbox>,
    ended: watch::Sender<Option<bool>>,
    api: tokio::task::AbortHandle,
) {
    let clean = child.wait().await.is_ok_and(|status| status.success());
    ended.send_replace(Some(clean));
    api.abort();
    sandbox.fleet.forget(&sandbox);
    // Dropping the reply is the bad news for the caller; dropping the slot lets another sandbox start.
    *locked(&sandbox.work) = None;
}

async fn serve(listener: TcpListener, sandbox: Arc<Sandbox>) {
    loop {
        let Ok((socket, _)) = listener.accept().await else { continue };
        let sandbox = Arc::clone(&sandbox);
        tokio::spawn(async move {
            let _ = socket.set_nodelay(true);
            let service = service_fn(|request| {
                let sandbox = Arc::clone(&sandbox);
                async move { Ok::<_, Infallible>(route(&sandbox, request).await) }
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service)
                .await;
        });
    }
}

/// The Runtime API and the part of the Extensions API that an internal extension needs.
async fn route(sandbox: &Arc<Sandbox>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let steps: Vec<&str> = path.split('/').collect();
    match steps.as_slice() {
        ["2018-06-01", "runtime", "invocation", "next"] => sandbox.next().await,
        ["2018-06-01", "runtime", "invocation", id, "response"] => {
            let id = id.parse().unwrap_or_default();
            if let Err(error) = sandbox.respond(id, request.into_body()).await {
                sandbox.fleet.complain(format!("{error:#}"));
                sandbox.reply(id, Err(error));
            }
            status(StatusCode::ACCEPTED)
        }
        ["2018-06-01", "runtime", "invocation", id, "error"] => {
            let why = text(request).await;
            sandbox.fleet.complain(format!("invocation {id} failed: {why}"));
            sandbox.reply(id.parse().unwrap_or_default(), Err(anyhow::anyhow!(why)));
            status(StatusCode::ACCEPTED)
        }
        ["2018-06-01", "runtime", "init", "error"] => {
            sandbox.fleet.complain(format!("init failed: {}", text(request).await));
            status(StatusCode::ACCEPTED)
        }
        ["2020-01-01", "extension", "register"] => {
            sandbox.has_extension.store(true, Ordering::Release);
            let body = r#"{"functionName":"gatelet","functionVersion":"$LATEST","handler":"bootstrap","accountId":"1"}"#;
            let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
            response
                .headers_mut()
                .insert("lambda-extension-identifier", http::HeaderValue::from_static("extension-1"));
            response
        }
        // An extension that asked for no events never hears anything.
        ["2020-01-01", "extension", "event", "next"] => std::future::pending().await,
        _ => {
            sandbox.fleet.complain(format!("the function called /{path}, which is not there"));
            status(StatusCode::NOT_FOUND)
        }
    }
}

async fn text(request: Request<Incoming>) -> String {
    let body =
        request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    String::from_utf8_lossy(&body).into_owned()
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
