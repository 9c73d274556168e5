//! The listener: what it lets in, what it keeps out, and how it ends.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use gatelet_core::port::{Body, Broken, Defer as _};
use gatelet_server::listen::{Bounds, Handle, listen};
use gatelet_server::workers::Workers;
use gatelet_tokio::Tasks;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Answers by path, as the tests need it.
struct Answers {
    /// Somebody dropped the body of `/endless`.
    dropped: Arc<AtomicBool>,
    /// What the dropped body of `/charged` left to be done is done.
    charged: Arc<AtomicBool>,
    tasks: Tasks,
}

/// As core's books: dropped, it leaves work behind.
struct Charged(Arc<AtomicBool>, Tasks);

impl Drop for Charged {
    fn drop(&mut self) {
        let charged = Arc::clone(&self.0);
        self.1.defer(Box::pin(async move {
            sleep(Duration::from_millis(100)).await;
            charged.store(true, Ordering::SeqCst);
        }));
    }
}

struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Handle for Answers {
    async fn handle(&self, request: http::Request<Body>) -> http::Response<Body> {
        let body = match request.uri().path() {
            "/panic" => panic!("as the test wants it"),
            "/too-large" => {
                let mut response = http::Response::new(Body::Full("too large".into()));
                *response.status_mut() = http::StatusCode::PAYLOAD_TOO_LARGE;
                if let Body::Stream(mut stream) = request.into_body() {
                    // As core does: a little is read, then it is enough.
                    let _ = stream.next().await;
                }
                return response;
            }
            "/broken" => Body::Stream(
                futures_util::stream::iter([Ok("half".into()), Err(Broken("cut".to_owned()))]).boxed(),
            ),
            "/slow" => Body::Stream(
                futures_util::stream::unfold(0, async |count| {
                    sleep(Duration::from_millis(100)).await;
                    (count < 5).then(|| (Ok(format!("{count};").into()), count + 1))
                })
                .boxed(),
            ),
            "/charged" => {
                let guard = Charged(Arc::clone(&self.charged), self.tasks.clone());
                Body::Stream(
                    futures_util::stream::unfold(guard, async |guard| {
                        sleep(Duration::from_millis(20)).await;
                        Some((Ok("x".into()), guard))
                    })
                    .boxed(),
                )
            }
            "/endless" => {
                let guard = Dropped(Arc::clone(&self.dropped));
                Body::Stream(
                    futures_util::stream::unfold(guard, async |guard| {
                        sleep(Duration::from_millis(20)).await;
                        Some((Ok("x".into()), guard))
                    })
                    .boxed(),
                )
            }
            _ => Body::Full("fine".into()),
        };
        http::Response::new(body)
    }
}

struct Running {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    ended: JoinHandle<()>,
    dropped: Arc<AtomicBool>,
    charged: Arc<AtomicBool>,
}

async fn start(bounds: Bounds, patience: Duration) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let dropped = Arc::new(AtomicBool::new(false));
    let (charged, tasks) = (Arc::new(AtomicBool::new(false)), Tasks::default());
    let handler = Arc::new(Answers {
        dropped: Arc::clone(&dropped),
        charged: Arc::clone(&charged),
        tasks: tasks.clone(),
    });
    let ended = tokio::spawn(async move {
        let workers = Workers::start(2).unwrap();
        listen(listener, bounds, handler, &workers, stopped, patience).await;
        tasks.finished().await;
        workers.finish();
    });
    Running { address, stop, ended, dropped, charged }
}

async fn usual() -> Running {
    start(Bounds::default(), Duration::from_secs(5)).await
}

/// Sends `text` and reads until the other side closes.
async fn talk(address: SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
}

#[tokio::test]
async fn an_answer_of_known_length_says_its_length() {
    let server = usual().await;
    let answer = talk(server.address, &get("/")).await;
    assert!(answer.contains("content-length: 4\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nfine"), "{answer}");
}

#[tokio::test]
async fn http_2_is_spoken_to_who_begins_with_it() {
    let server = usual().await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let executor = hyper_util::rt::TokioExecutor::new();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get(format!("http://{}/", server.address))
        .body(http_body_util::Empty::<bytes::Bytes>::new())
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.version(), http::Version::HTTP_2);
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap();
    assert_eq!(body.to_bytes(), "fine");
}

#[tokio::test]
async fn a_request_of_http_2_that_is_cut_off_is_charged_before_the_end() {
    let server = start(Bounds::default(), Duration::from_millis(300)).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let executor = hyper_util::rt::TokioExecutor::new();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get(format!("http://{}/charged", server.address))
        .body(http_body_util::Empty::<bytes::Bytes>::new())
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    server.stop.send_replace(true);
    timeout(Duration::from_secs(15), server.ended).await.unwrap().unwrap();
    assert!(server.charged.load(Ordering::SeqCst));
    drop(response);
}

#[tokio::test]
async fn a_fault_in_one_request_is_answered_and_stops_no_other() {
    let server = usual().await;
    let answer = talk(server.address, &get("/panic")).await;
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert!(!answer.contains("as the test wants it"), "{answer}");
    assert!(talk(server.address, &get("/")).await.ends_with("fine"));
}

#[tokio::test]
async fn a_body_that_breaks_off_gets_no_ending() {
    let server = usual().await;
    let answer = talk(server.address, &get("/broken")).await;
    assert!(answer.contains("4\r\nhalf\r\n"), "{answer}");
    assert!(!answer.ends_with("0\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn who_sends_too_much_reads_the_refusal_and_can_go_on() {
    let server = usual().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let length = 100 << 20;
    let head = format!("POST /too-large HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    // All of it, before a byte of the answer is read: as many clients do.
    let chunk = vec![b'x'; 1 << 20];
    for _ in 0..100 {
        timeout(Duration::from_secs(10), stream.write_all(&chunk)).await.unwrap().unwrap();
    }
    stream.write_all(get("/").as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(Duration::from_secs(10), stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("too large"), "{answer}");
    assert!(answer.ends_with("fine"), "{answer}");
}

#[tokio::test]
async fn a_caller_that_leaves_takes_the_body_with_it() {
    let server = usual().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(get("/endless").as_bytes()).await.unwrap();
    let mut some = [0; 200];
    assert!(stream.read(&mut some).await.unwrap() > 0);
    assert!(!server.dropped.load(Ordering::SeqCst));
    drop(stream);
    let end = Instant::now() + Duration::from_secs(30);
    while !server.dropped.load(Ordering::SeqCst) {
        assert!(Instant::now() < end, "the body lives on");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn heads_that_are_too_long_have_too_many_lines_or_take_too_long_are_refused() {
    let bounds = Bounds { head_within: Duration::from_millis(300), ..Bounds::default() };
    let server = start(bounds, Duration::from_secs(5)).await;
    let long = format!("GET / HTTP/1.1\r\nhost: x\r\nlong: {}\r\n\r\n", "x".repeat(70_000));
    let answer = talk(server.address, &long).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let many = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(200));
    let answer = talk(server.address, &many).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let started = Instant::now();
    for slow in ["", "GET / HTTP/1.1\r\nhost:"] {
        let answer = talk(server.address, slow).await;
        assert!(!answer.contains("200 OK"), "{answer}");
    }
    assert!(started.elapsed() >= Duration::from_millis(600), "{:?}", started.elapsed());
}

#[tokio::test]
async fn further_connections_wait_for_a_place() {
    let bounds = Bounds { connections: 1, ..Bounds::default() };
    let server = start(bounds, Duration::from_secs(5)).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    first.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut some = [0; 500];
    assert!(first.read(&mut some).await.unwrap() > 0);
    let mut second = TcpStream::connect(server.address).await.unwrap();
    second.write_all(get("/").as_bytes()).await.unwrap();
    let waits = timeout(Duration::from_millis(300), second.read(&mut some)).await;
    assert!(waits.is_err(), "it was served while the only place was taken");
    drop(first);
    assert!(timeout(Duration::from_secs(30), second.read(&mut some)).await.unwrap().unwrap() > 0);
}

#[tokio::test]
async fn a_stream_may_finish_after_the_stop_and_nobody_new_is_let_in() {
    let server = usual().await;
    let running = tokio::spawn(async move { talk(server.address, &get("/slow")).await });
    let idle = TcpStream::connect(server.address).await.unwrap();
    sleep(Duration::from_millis(150)).await;
    server.stop.send_replace(true);
    let answer = running.await.unwrap();
    assert!(answer.contains("4;"), "{answer}");
    assert!(answer.ends_with("0\r\n\r\n"), "{answer}");
    timeout(Duration::from_secs(3), server.ended).await.unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
    drop(idle);
}

#[tokio::test]
async fn a_stream_that_does_not_finish_in_time_is_cut_off_as_if_its_caller_had_left() {
    let server = start(Bounds::default(), Duration::from_millis(300)).await;
    let running = tokio::spawn(async move { talk(server.address, &get("/endless")).await });
    sleep(Duration::from_millis(200)).await;
    server.stop.send_replace(true);
    timeout(Duration::from_secs(3), server.ended).await.unwrap().unwrap();
    assert!(server.dropped.load(Ordering::SeqCst));
    assert!(!running.await.unwrap().ends_with("0\r\n\r\n"));
}
