//! The harness against a function that is not ours, so that the gateway's tests can trust it.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;

use super::*;

async fn start(sandboxes: usize, folder: &Path) -> RuntimeApi {
    let settings = Settings {
        binary: Path::new(env!("CARGO_MANIFEST_DIR")).join("src/runtime_api/function.py"),
        environment: vec![
            ("PATH".to_owned(), std::env::var("PATH").unwrap()),
            ("WITH_EXTENSION".to_owned(), "1".to_owned()),
        ],
        sandboxes,
        timeout: Duration::from_secs(3),
        log: folder.join("log"),
    };
    RuntimeApi::start(settings).await.unwrap()
}

async fn post(api: &RuntimeApi, path: &str, body: impl Into<Bytes>) -> http::Response<Incoming> {
    let socket = tokio::net::TcpStream::connect(api.address()).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::post(path)
        .header("host", "h")
        .header("content-type", "application/json")
        .body(Full::new(body.into()))
        .unwrap();
    sender.send_request(request).await.unwrap()
}

async fn text(response: http::Response<Incoming>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn head_and_body_of_an_answer_reach_the_client() {
    let folder = tempfile::tempdir().unwrap();
    let api = start(1, folder.path()).await;
    let response = post(&api, "/echo?x=1", "hello").await;
    assert_eq!(response.status(), 201);
    assert_eq!(response.headers()["x-body"], "hello");
    assert_eq!(response.headers()["set-cookie"], "a=1");
    let event: Value = serde_json::from_str(&text(response).await).unwrap();
    assert_eq!(event["rawQueryString"], "x=1");
    assert_eq!(api.sandboxes().len(), 1);
    assert_eq!(api.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn chunks_arrive_when_they_are_sent() {
    let folder = tempfile::tempdir().unwrap();
    let api = start(1, folder.path()).await;
    let mut body = post(&api, "/stream", "").await.into_body();
    let mut count = 0;
    while let Some(frame) = body.frame().await {
        let received = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        let sent: f64 =
            std::str::from_utf8(frame.unwrap().data_ref().unwrap()).unwrap().trim().parse().unwrap();
        assert!(received - sent < 0.15, "{} s late", received - sent);
        count += 1;
    }
    assert_eq!(count, 3);
}

#[tokio::test]
async fn concurrent_callers_get_sandboxes_of_their_own_up_to_the_cap() {
    let folder = tempfile::tempdir().unwrap();
    let api = start(2, folder.path()).await;
    let answers =
        futures_util::future::join_all((0..6).map(|_| async { text(post(&api, "/slow", "").await).await }));
    let processes: std::collections::BTreeSet<String> = answers.await.into_iter().collect();
    assert_eq!(processes.len(), 2);
    let again = text(post(&api, "/who", "").await).await;
    assert!(processes.contains(&again), "an idle sandbox is used again");
}

#[tokio::test]
async fn work_that_outlives_the_body_does_not_happen() {
    let folder = tempfile::tempdir().unwrap();
    let api = start(1, folder.path()).await;
    let touched = folder.path().join("touched");
    text(post(&api, &format!("/late?{}", touched.display()), "").await).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(!touched.exists(), "the sandbox was not frozen");
    text(post(&api, "/slow", "").await).await;
    assert!(touched.exists(), "the sandbox was not thawed");
}

#[tokio::test]
async fn a_sandbox_that_dies_breaks_its_answer_and_the_next_caller_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let api = start(1, folder.path()).await;
    let response = post(&api, "/die", "").await;
    assert_eq!(response.status(), 201);
    assert!(response.into_body().collect().await.is_err());
    assert_eq!(post(&api, "/who", "").await.status(), 201);
    assert_eq!(api.complaints().len(), 1);
}

#[tokio::test]
async fn an_invocation_that_fails_or_overruns_is_502_and_a_complaint() {
    let folder = tempfile::tempdir().unwrap();
    let api = start(1, folder.path()).await;
    assert_eq!(post(&api, "/error", "").await.status(), 502);
    assert_eq!(post(&api, "/array", "").await.status(), 502);
    assert!(post(&api, "/hang", "").await.into_body().collect().await.is_err());
    text(post(&api, "/leak", "").await).await;
    let complaints = api.complaints();
    for word in ["failed", "x-many is not one string", "killed at its deadline", "the client read why"] {
        assert!(complaints.iter().any(|complaint| complaint.contains(word)), "{word}: {complaints:?}");
    }
}

#[tokio::test]
async fn a_request_that_no_event_can_carry_is_413() {
    let folder = tempfile::tempdir().unwrap();
    let api = start(1, folder.path()).await;
    assert_eq!(post(&api, "/echo", vec![b'x'; 7 << 20]).await.status(), 413);
    assert_eq!(api.sandboxes().len(), 0);
}

#[tokio::test]
async fn sandboxes_leave_on_sigterm_and_die_on_sigkill() {
    let folder = tempfile::tempdir().unwrap();
    let api = start(1, folder.path()).await;
    let first = text(post(&api, "/who", "").await).await;
    assert_eq!(api.retire().await, 1);
    let second = text(post(&api, "/who", "").await).await;
    assert_ne!(first, second);
    assert_eq!(api.kill().await, 1);
    assert!(!Path::new("/proc").join(&second).exists());
    let (status, body) = api.invoke(&serde_json::json!({ "gatelet": "tick" })).await.unwrap();
    assert_eq!(status, 201);
    assert_eq!(&body[..], br#"{"gatelet": "tick"}"#);
}
