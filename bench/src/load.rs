//! The load generator: writes prepared bytes, and reads no more of an answer than it needs to tell right from wrong.
//! It shares its core with the upstream, so whatever it saves leaves room for the proxy that is measured.
//!
//! Settings: `address` and `path` of who is asked, `key` for `Authorization`, `model`, `stream` (1: a streamed
//! answer), `pad` (bytes of question), `connections`, and `seconds`, after which it ends. With `rate` it is an open loop:
//! that many requests a second, each sent when its time has come, whether or not earlier ones are answered. Without it
//! a closed loop: every connection asks again as soon as it was answered, until `requests` are.
//!
//! Prints `done`, `failed`, `seconds`, and in microseconds `p50`, `p99` of the whole exchange, `first50`, `first99` until
//! the first bytes of the answer's body, `words50`, `words99` until its first words (a stream opens without any, and the
//! gateway lets nothing go before them), and `cpu`, its own processor time.

use std::cell::RefCell;
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use memchr::memmem;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What to ask, of whom, how often.
pub(crate) struct Plan {
    address: SocketAddr,
    /// A whole request.
    request: Rc<[u8]>,
    connections: usize,
    rate: f64,
    requests: usize,
    time: Duration,
}

impl Plan {
    pub(crate) fn read(settings: &[&str]) -> Result<Self> {
        let (mut address, mut path, mut key, mut model) = (None, "/v1/chat/completions", "none", "chat");
        let (mut stream, mut pad, mut connections, mut rate, mut requests, mut seconds) =
            (false, 0_usize, 1, 0.0, usize::MAX, 5.0);
        for setting in settings {
            let (name, value) = setting.split_once('=').with_context(|| format!("{setting}: NAME=VALUE"))?;
            match name {
                "address" => address = Some(value.parse().context("address")?),
                "path" => path = value,
                "key" => key = value,
                "model" => model = value,
                "stream" => stream = value == "1",
                "pad" => pad = value.parse().context("pad")?,
                "connections" => connections = value.parse().context("connections")?,
                "rate" => rate = value.parse().context("rate")?,
                "requests" => requests = value.parse().context("requests")?,
                "seconds" => seconds = value.parse().context("seconds")?,
                _ => bail!("there is no setting {name}"),
            }
        }
        let address: SocketAddr = address.context("address=… is needed")?;
        let flag = if stream { r#""stream":true,"# } else { "" };
        // Words with what JSON escapes, as people write them.
        let pad = r#"lorem ipsum dolor sit amet, \"quoted\" and \\ escaped \n"#.repeat(pad.div_ceil(56));
        let body = format!(
            r#"{{"model":"{model}",{flag}"messages":[{{"role":"system","content":"You are a helpful assistant."}},{{"role":"user","content":"Say hello in one sentence.{pad}"}}],"temperature":0.7}}"#
        );
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\naccept: */*\r\nauthorization: Bearer {key}\r\nuser-agent: gatelet-bench\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let request = [head.into_bytes(), body.into_bytes()].concat().into();
        Ok(Self { address, request, connections, rate, requests, time: Duration::from_secs_f64(seconds) })
    }
}

/// What was seen.
#[derive(Default)]
pub(crate) struct Seen {
    /// Microseconds, for each request that was answered.
    total: Vec<u32>,
    first: Vec<u32>,
    words: Vec<u32>,
    failed: usize,
    why: Option<String>,
    seconds: f64,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |sorted: &[u32], share: usize| sorted.get(sorted.len() * share / 100).copied().unwrap_or(0);
        let sorted = |times: &[u32]| {
            let mut times = times.to_vec();
            times.sort_unstable();
            times
        };
        let (total, first, words) = (sorted(&self.total), sorted(&self.first), sorted(&self.words));
        writeln!(f, "done={}\nfailed={}\nseconds={:.3}", total.len(), self.failed, self.seconds)?;
        writeln!(f, "p50={}\np99={}", at(&total, 50), at(&total, 99))?;
        writeln!(f, "first50={}\nfirst99={}", at(&first, 50), at(&first, 99))?;
        write!(f, "words50={}\nwords99={}\ncpu={}", at(&words, 50), at(&words, 99), own_cpu())?;
        self.why.as_ref().map_or(Ok(()), |why| write!(f, "\nwhy={why}"))
    }
}

impl Seen {
    fn note(&mut self, answered: Result<Answered>) {
        match answered {
            Ok(Answered { first, words, total }) => {
                self.first.push(micros(first));
                self.words.push(micros(words));
                self.total.push(micros(total));
            }
            Err(error) => {
                self.failed += 1;
                self.why.get_or_insert_with(|| format!("{error:#}").replace(['\r', '\n'], " "));
            }
        }
    }
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

/// The processor time of this process in microseconds; 0 where the system does not say.
fn own_cpu() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    stat.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or(0) / 1_000
}

pub(crate) async fn run(plan: Plan) -> Result<Seen> {
    let seen = Rc::new(RefCell::new(Seen::default()));
    let started = Instant::now();
    if plan.rate > 0.0 {
        open(&plan, &seen).await;
    } else {
        closed(&plan, &seen).await;
    }
    let mut seen = seen.take();
    seen.seconds = started.elapsed().as_secs_f64();
    Ok(seen)
}

async fn closed(plan: &Plan, seen: &Rc<RefCell<Seen>>) {
    let end = Instant::now() + plan.time;
    let left = Rc::new(RefCell::new(plan.requests));
    let callers: Vec<_> = (0..plan.connections)
        .map(|_| {
            let (seen, left) = (Rc::clone(seen), Rc::clone(&left));
            let (address, request) = (plan.address, Rc::clone(&plan.request));
            tokio::task::spawn_local(async move {
                let mut line = None;
                while Instant::now() < end && take(&left) {
                    let (answered, kept) = ask(line.take(), address, &request).await;
                    let wrong = answered.is_err();
                    seen.borrow_mut().note(answered);
                    line = kept;
                    if wrong {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                }
            })
        })
        .collect();
    for caller in callers {
        let _ = caller.await;
    }
}

fn take(left: &RefCell<usize>) -> bool {
    let mut left = left.borrow_mut();
    let some = *left > 0;
    *left = left.saturating_sub(1);
    some
}

async fn open(plan: &Plan, seen: &Rc<RefCell<Seen>>) {
    let idle: Rc<RefCell<Vec<Line>>> = Rc::default();
    for _ in 0..plan.connections {
        if let Ok(line) = Line::open(plan.address).await {
            idle.borrow_mut().push(line);
        }
    }
    let step = Duration::from_secs_f64(1.0 / plan.rate);
    let started = tokio::time::Instant::now();
    let mut due = started;
    let mut asked = Vec::new();
    while due < started + plan.time && asked.len() < plan.requests {
        tokio::time::sleep_until(due).await;
        due += step;
        let (seen, idle) = (Rc::clone(seen), Rc::clone(&idle));
        let (address, request) = (plan.address, Rc::clone(&plan.request));
        asked.push(tokio::task::spawn_local(async move {
            let line = idle.borrow_mut().pop();
            let (answered, kept) = ask(line, address, &request).await;
            seen.borrow_mut().note(answered);
            idle.borrow_mut().extend(kept);
        }));
    }
    for asked in asked {
        let _ = asked.await;
    }
}

/// One exchange, over an open connection or a new one; gives the connection back where it can be used again.
async fn ask(line: Option<Line>, address: SocketAddr, request: &[u8]) -> (Result<Answered>, Option<Line>) {
    let exchange = async {
        let mut line = match line {
            Some(line) => line,
            None => Line::open(address).await?,
        };
        Ok((line.exchange(request).await?, line))
    };
    match tokio::time::timeout(Duration::from_secs(20), exchange).await {
        Ok(Ok((answered, line))) => (Ok(answered), Some(line)),
        Ok(Err(error)) => (Err(error), None),
        Err(_) => (Err(anyhow::anyhow!("no answer within 20 s")), None),
    }
}

struct Answered {
    first: Duration,
    /// Until the first words of a streamed answer; of another, until its end.
    words: Duration,
    total: Duration,
}

/// One connection.
struct Line {
    stream: TcpStream,
    buffer: Box<[u8]>,
}

/// Where in an answer we are.
enum Rest {
    Head,
    /// So many bytes are missing.
    Counted(usize),
    /// Until the empty chunk; the last bytes that were read.
    Chunked([u8; END.len()]),
}

/// What is in every piece of text that the mock streams, and in nothing before it.
const WORD: &[u8] = b" token";

/// The last piece of a chunked body. No event of the mock looks like it.
const END: &[u8; 7] = b"\r\n0\r\n\r\n";

impl Line {
    async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; 64 << 10].into() })
    }

    async fn exchange(&mut self, request: &[u8]) -> Result<Answered> {
        let sent = Instant::now();
        self.stream.write_all(request).await?;
        let (mut rest, mut filled, mut first, mut words) = (Rest::Head, 0, None, None);
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await?;
            ensure!(read > 0, "the connection was closed before the answer ended");
            let mut piece = &self.buffer[filled..filled + read];
            if let Rest::Head = rest {
                let head = &self.buffer[..filled + read];
                let Some(end) = memmem::find(head, b"\r\n\r\n").map(|end| end + 4) else {
                    filled += read;
                    ensure!(filled < self.buffer.len(), "the answer's head is too long");
                    continue;
                };
                rest = framing(&head[..end], head)?;
                piece = &head[end..];
                filled = 0;
            }
            if !piece.is_empty() {
                first.get_or_insert_with(|| sent.elapsed());
                if words.is_none() && memmem::find(piece, WORD).is_some() {
                    words = Some(sent.elapsed());
                }
            }
            let ended = match &mut rest {
                Rest::Head => false,
                Rest::Counted(missing) => {
                    *missing = missing.checked_sub(piece.len()).context("more than was announced")?;
                    *missing == 0
                }
                Rest::Chunked(last) => {
                    let kept = END.len().saturating_sub(piece.len());
                    last.rotate_left(END.len() - kept);
                    let end = &piece[piece.len() - (END.len() - kept)..];
                    last[kept..].copy_from_slice(end);
                    last == END
                }
            };
            if ended {
                let total = sent.elapsed();
                return Ok(Answered { first: first.unwrap_or(total), words: words.unwrap_or(total), total });
            }
        }
    }
}

/// How the body ends, from the head; `all` is what a complaint shows.
fn framing(head: &[u8], all: &[u8]) -> Result<Rest> {
    let show = || String::from_utf8_lossy(&all[..all.len().min(600)]).into_owned();
    ensure!(head.starts_with(b"HTTP/1.1 200"), "answered: {}", show());
    for line in head.split(|byte| *byte == b'\n') {
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            return Ok(Rest::Counted(std::str::from_utf8(value)?.parse()?));
        }
        if name.eq_ignore_ascii_case(b"transfer-encoding") && value.eq_ignore_ascii_case(b"chunked") {
            return Ok(Rest::Chunked([0; END.len()]));
        }
    }
    bail!("an answer without a length: {}", show())
}
