//! The HTTP client against servers that count what reaches them.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use gatelet_core::port::{Body, FaultKind, Reach, Upstream as _};
use http::{Request, Response, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use tower_service::Service as _;

use super::connect::Resolver;
use super::{HttpUpstream, Settings};

fn client() -> HttpUpstream {
    HttpUpstream::new(&Settings::default()).unwrap()
}

fn post(uri: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(uri).body(body.into()).unwrap()
}

async fn bytes(body: Body) -> Vec<u8> {
    match body {
        Body::Empty => Vec::new(),
        Body::Full(bytes) => bytes.to_vec(),
        Body::Pieces(pieces) => pieces.concat(),
        Body::Stream(stream) => stream.map(|chunk| chunk.unwrap().to_vec()).concat().await,
    }
}

/// A server whose connections `behave`; it counts them.
async fn server<F, R>(behave: F) -> (SocketAddr, Arc<AtomicUsize>)
where
    F: Fn(usize, TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let connections = Arc::clone(&count);
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let number = connections.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(behave(number, socket));
        }
    });
    (address, count)
}

/// Reads until the request's body, which is `end`, is there.
async fn read_request(socket: &mut TcpStream, end: &[u8]) {
    let mut read = Vec::new();
    while !read.ends_with(end) {
        assert_ne!(socket.read_buf(&mut read).await.unwrap(), 0, "closed too early");
    }
}

#[tokio::test]
async fn chunks_of_both_bodies_leave_as_they_come() {
    let (address, _) = server(|_, mut socket| async move {
        read_request(&mut socket, b"one\r\n").await;
        socket
            .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            .await
            .unwrap();
        read_request(&mut socket, b"two\r\n0\r\n\r\n").await;
        socket.write_all(b"6\r\nsecond\r\n0\r\n\r\n").await.unwrap();
    })
    .await;
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    sender.send(Ok(Bytes::from_static(b"one"))).unwrap();
    let body = futures_util::stream::unfold(receiver, |mut receiver| async {
        let chunk = receiver.recv().await?;
        Some((chunk, receiver))
    });
    // The server answers after the first chunk of the request, before its end.
    let client = client();
    let answer = client.send(post(&format!("http://{address}/"), Body::Stream(body.boxed())), Reach::Private);
    let answer = tokio::time::timeout(Duration::from_secs(5), answer).await.unwrap().unwrap();
    let Body::Stream(mut answer) = answer.into_body() else { panic!("not a stream") };
    assert_eq!(answer.next().await.unwrap().unwrap(), "first");
    sender.send(Ok(Bytes::from_static(b"two"))).unwrap();
    drop(sender);
    assert_eq!(answer.next().await.unwrap().unwrap(), "second");
    assert!(answer.next().await.is_none());
}

#[tokio::test]
async fn a_body_of_known_length_is_not_chunked() {
    let (address, _) = server(|_, mut socket| async move {
        let mut read = Vec::new();
        while !read.ends_with(b"hello") {
            socket.read_buf(&mut read).await.unwrap();
        }
        let head = String::from_utf8(read).unwrap().to_lowercase();
        assert!(head.contains("content-length: 5"), "{head}");
        socket.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    })
    .await;
    let pieces = Body::Pieces(["he", "", "llo"].map(|piece| Bytes::from_static(piece.as_bytes())).to_vec());
    for body in [Bytes::from_static(b"hello").into(), pieces] {
        let answer = client().send(post(&format!("http://{address}/"), body), Reach::Private).await.unwrap();
        assert_eq!(answer.status(), 204);
        assert!(matches!(answer.body(), Body::Empty));
    }
}

#[tokio::test]
async fn dropping_an_answer_hangs_up() {
    let (sender, gone) = tokio::sync::oneshot::channel();
    let sender = Arc::new(std::sync::Mutex::new(Some(sender)));
    let (address, _) = server(move |_, mut socket| {
        let sender = Arc::clone(&sender);
        async move {
            read_request(&mut socket, b"ask").await;
            socket
                .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
                .await
                .unwrap();
            let mut rest = Vec::new();
            let _ = socket.read_to_end(&mut rest).await;
            sender.lock().unwrap().take().unwrap().send(()).unwrap();
        }
    })
    .await;
    let client = client();
    let request = post(&format!("http://{address}/"), Bytes::from_static(b"ask"));
    let answer = client.send(request, Reach::Private).await.unwrap();
    let Body::Stream(mut stream) = answer.into_body() else { panic!("not a stream") };
    assert_eq!(stream.next().await.unwrap().unwrap(), "first");
    drop(stream);
    tokio::time::timeout(Duration::from_secs(5), gone).await.expect("the server never noticed").unwrap();
}

#[tokio::test]
async fn a_pooled_connection_that_the_server_closed_is_replaced_without_a_fault() {
    let (address, count) = server(|_, mut socket| async move {
        read_request(&mut socket, b"ask").await;
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        // Closing here leaves a stale connection in the client's pool.
    })
    .await;
    let client = client();
    for _ in 0..20 {
        let request = post(&format!("http://{address}/"), Bytes::from_static(b"ask"));
        let answer = client.send(request, Reach::Private).await.unwrap();
        assert_eq!(bytes(answer.into_body()).await, b"ok");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(count.load(Ordering::SeqCst), 20);
}

#[tokio::test]
async fn a_request_that_left_is_never_sent_twice() {
    let (address, count) = server(|number, mut socket| async move {
        if number == 0 {
            read_request(&mut socket, b"ask").await;
            socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
            read_request(&mut socket, b"ask").await;
        }
    })
    .await;
    let client = client();
    let ask = || post(&format!("http://{address}/"), Bytes::from_static(b"ask"));
    let answer = client.send(ask(), Reach::Private).await.unwrap();
    assert_eq!(bytes(answer.into_body()).await, b"ok");
    let fault = client.send(ask(), Reach::Private).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unavailable);
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_stream_that_breaks_says_so() {
    let (address, _) = server(|_, mut socket| async move {
        read_request(&mut socket, b"ask").await;
        socket
            .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            .await
            .unwrap();
    })
    .await;
    let request = post(&format!("http://{address}/"), Bytes::from_static(b"ask"));
    let answer = client().send(request, Reach::Private).await.unwrap();
    let Body::Stream(mut stream) = answer.into_body() else { panic!("not a stream") };
    assert_eq!(stream.next().await.unwrap().unwrap(), "first");
    assert!(stream.next().await.unwrap().is_err());
}

#[tokio::test]
async fn what_is_not_public_is_denied_before_a_byte_leaves() {
    let (address, count) = server(|_, _| async {}).await;
    let client = client();
    for uri in [
        format!("https://{address}/"),
        format!("https://localhost:{}/", address.port()),
        format!("https://[::1]:{}/", address.port()),
        "http://1.1.1.1/".to_owned(),
        "https://169.254.169.254/latest/meta-data".to_owned(),
    ] {
        let fault = client.send(post(&uri, Body::Empty), Reach::Public).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Denied, "{uri}: {fault}");
    }
    assert_eq!(count.load(Ordering::SeqCst), 0);
}

/// A name of the public kind whose owner lets it lead elsewhere: to this machine at every second look.
fn rebinding(name: Name) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>> {
    static LOOKS: AtomicUsize = AtomicUsize::new(0);
    let local = "127.0.0.1:0".parse().unwrap();
    let inner = [
        "10.0.0.7:0".parse().unwrap(),
        "[::ffff:127.0.0.1]:0".parse().unwrap(),
        "[fd00::1]:0".parse().unwrap(),
    ];
    Box::pin(async move {
        Ok(match name.as_str() {
            "mixed.example" => [vec!["1.1.1.1:0".parse().unwrap(), local], inner.to_vec()].concat(),
            "turns.example" if LOOKS.fetch_add(1, Ordering::SeqCst) == 0 => {
                vec!["1.1.1.1:0".parse().unwrap()]
            }
            "inside.example" => inner.to_vec(),
            _ => vec![local],
        })
    })
}

#[tokio::test]
async fn a_public_name_that_leads_inside_is_denied_and_the_address_that_was_judged_is_the_one_connected_to() {
    let (address, count) = server(|_, _| async {}).await;
    let settings = Settings { lookup: rebinding, ..Settings::default() };
    let client = HttpUpstream::new(&settings).unwrap();
    for (name, reach) in [
        ("loops.example", Reach::Public),
        ("inside.example", Reach::Public),
        ("loops.example", Reach::PublicPlain),
    ] {
        let scheme = if reach == Reach::Public { "https" } else { "http" };
        let uri = format!("{scheme}://{name}:{}/", address.port());
        let fault = client.send(post(&uri, Body::Empty), reach).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Denied, "{uri}: {fault}");
    }
    assert_eq!(count.load(Ordering::SeqCst), 0);
    // Of several addresses those that are inside are not even tried.
    let mut resolver = Resolver { reach: Reach::Public, lookup: rebinding };
    let mut look = async |name: &str| {
        let addresses = resolver.call(Name::from_str(name).unwrap()).await;
        addresses.map(|addresses| addresses.map(|address| address.ip().to_string()).collect::<Vec<_>>())
    };
    assert_eq!(look("mixed.example").await.unwrap(), ["1.1.1.1"]);
    // A second look is judged again: nobody remembers that the name was good.
    assert_eq!(look("turns.example").await.unwrap(), ["1.1.1.1"]);
    assert!(look("turns.example").await.is_err());
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_is_unavailable() {
    let free = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap();
    let fault =
        client().send(post(&format!("http://{free}/"), Body::Empty), Reach::Private).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unavailable);
    assert!(fault.kind.is_temporary());
}

/// More than a connection of HTTP/2 takes at a time.
const CROWD: usize = 150;

/// A TLS server with a certificate for `localhost` that speaks `protocols`. It answers nobody at `/crowd` before a crowd is there.
async fn tls_server(protocols: &[&[u8]]) -> (SocketAddr, Arc<AtomicUsize>, Settings) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key =
        tokio_rustls::rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let mut config = tokio_rustls::rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let together = Arc::new(tokio::sync::Barrier::new(CROWD));
    let (address, count) = server(move |_, socket| {
        let (acceptor, together) = (acceptor.clone(), Arc::clone(&together));
        async move {
            let Ok(socket) = acceptor.accept(socket).await else { return };
            let answer = service_fn(move |request: Request<Incoming>| {
                let together = Arc::clone(&together);
                async move {
                    let version = format!("{:?}", request.version());
                    let crowd = request.uri().path() == "/crowd";
                    request.into_body().collect().await.unwrap();
                    if crowd {
                        together.wait().await;
                    }
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(version))))
                }
            });
            let mut builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            builder.http2().max_concurrent_streams(100);
            // Connections that lose the race for the pool are closed by the client.
            let _ = builder.serve_connection(TokioIo::new(socket), answer).await;
        }
    })
    .await;
    let settings = Settings { roots: vec![made.cert.der().clone()], ..Settings::default() };
    (address, count, settings)
}

#[tokio::test]
async fn the_server_chooses_the_version_and_full_connections_are_joined_by_others() {
    for (protocols, version) in
        [(&[&b"h2"[..], b"http/1.1"][..], Version::HTTP_2), (&[&b"http/1.1"[..]], Version::HTTP_11)]
    {
        let (address, count, settings) = tls_server(protocols).await;
        let client = HttpUpstream::new(&settings).unwrap();
        let base = format!("https://localhost:{}", address.port());
        let ask = async |path: &str| {
            let uri = format!("{base}{path}");
            let answer = client.send(post(&uri, Bytes::from_static(b"ask")), Reach::Private).await.unwrap();
            assert_eq!(answer.version(), version);
            assert_eq!(bytes(answer.into_body()).await, format!("{version:?}").as_bytes());
        };
        // Nobody of a crowd is answered before all of it is there: who waited for one of 100 streams would wait for ever.
        let crowd = || {
            let all = futures_util::future::join_all((0..CROWD).map(|_| ask("/crowd")));
            tokio::time::timeout(Duration::from_mins(1), all)
        };
        ask("/").await;
        crowd().await.unwrap();
        let connections = count.load(Ordering::SeqCst);
        crowd().await.unwrap();
        if version == Version::HTTP_2 {
            assert_eq!(count.load(Ordering::SeqCst), connections, "a second crowd needs no new connections");
        }
    }
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let (address, _, _) = tls_server(&[b"http/1.1"]).await;
    let uri = format!("https://localhost:{}/", address.port());
    let fault = client().send(post(&uri, Body::Empty), Reach::Private).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unavailable);
    assert!(fault.context.contains("certificate"), "{}", fault.context);
}
