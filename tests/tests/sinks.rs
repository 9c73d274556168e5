//! Sinks that are slow, down, overloaded, moved, not who they say they are, or never satisfied: nobody waits for them, each hears of every request once it is well,
//! and what one will not take is among the dead letters. On every host.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use gatelet_tests::check_eq;
use gatelet_tests::host::{Host, Key, Kind, Object};
use gatelet_tests::upstream::{Dialect, Play, Reply, Upstream};
use gatelet_tests::world::{config, model, question};
use http::Method;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// As long as a sink may take for an answer, and more than any request here takes.
const A_SINKS_TIME: Duration = Duration::from_secs(10);
const RETRY_AFTER: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_mins(6);
const CREDENTIAL: &str = "signs-what-sinks-are-told";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sinks_of_the_server_hold_up_nobody_and_miss_nothing() -> Result<()> {
    faulty(Kind::Server).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sinks_of_the_worker_hold_up_nobody_and_miss_nothing() -> Result<()> {
    faulty(Kind::Worker).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sinks_of_the_lambda_hold_up_nobody_and_miss_nothing() -> Result<()> {
    faulty(Kind::Lambda).await
}

/// A sink, and what it does before it is well.
struct Sink {
    name: &'static str,
    ill: fn(&Upstream) -> Vec<Play>,
    /// It will never take the first request.
    buries: bool,
}

fn said(status: u16) -> Play {
    Play::json(status, &json!({}))
}

static SINKS: [Sink; 7] = [
    Sink { name: "slow", ill: |_| vec![Play::Silence], buries: false },
    Sink { name: "hangs-up", ill: |_| vec![Play::HangUp, Play::HangUp], buries: false },
    Sink { name: "fails", ill: |_| vec![said(500), said(503)], buries: false },
    Sink {
        name: "limited",
        ill: |_| vec![said(429).with_header("retry-after", &RETRY_AFTER.as_secs().to_string())],
        buries: false,
    },
    Sink {
        name: "moved",
        ill: |upstream| {
            let place = format!("{}/files/elsewhere", upstream.base());
            [301, 302, 307, 308].map(|status| said(status).with_header("location", &place)).into()
        },
        buries: false,
    },
    Sink { name: "small", ill: |_| vec![said(413)], buries: true },
    Sink {
        name: "unfit",
        ill: |_| vec![said(400), said(422), said(400), said(400), said(400)],
        buries: true,
    },
];

async fn faulty(kind: Kind) -> Result<()> {
    let upstream = Upstream::start().await?;
    upstream.script("said", [Reply::text(["a ", "few"]).usage(40, 7).into()]);
    let mut lines = vec![config(&upstream), "sinks:".to_owned()];
    for sink in &SINKS {
        lines.push(format!(
            "  {}: {{ kind: webhook, url: \"{}/files/{}\", key: {CREDENTIAL}, headers: {{ x-scope: {CREDENTIAL} }} }}",
            sink.name,
            upstream.base(),
            sink.name
        ));
        let plays = (sink.ill)(&upstream).into_iter().chain([said(200)]);
        upstream.script(sink.name, plays);
    }
    let impostor = Impostor::start().await?;
    // These are never well: nobody listens, who does knows nothing of TLS, nobody vouches for who does.
    lines.push(format!("  gone: {{ kind: webhook, url: \"{}/in\" }}", upstream.refusing_base()));
    lines.push(format!("  no-tls: {{ kind: webhook, url: \"https://{}/files/no-tls\" }}", upstream.place()));
    lines.push(format!("  impostor: {{ kind: webhook, url: \"https://{}/in\" }}", impostor.place));
    let host = Host::start(kind, &lines.join("\n")).await?;
    host.tick().await?;
    let key = host.open_key().await?;
    let first = ask(&host, &key).await?;
    let (asked, ticked) = tokio::join!(beside(&host, &key, &upstream), until_well(&host, &upstream, &first));
    ticked.with_context(|| host.log())?;
    let mut ids = asked?;
    told_of(&host, &upstream, &ids, &first).await.with_context(|| host.log())?;
    // What is too much at once comes in parts.
    upstream.script("small", [said(413), said(200)]);
    let before = upstream.received("small").len();
    let mut more = Vec::new();
    for _ in 0..4 {
        more.push(ask(&host, &key).await?);
    }
    ids.extend(more.clone());
    told_of(&host, &upstream, &ids, &first).await.with_context(|| host.log())?;
    ensure!(upstream.received("small").len() > before + 1, "it was told nothing after its refusal");
    check_eq!(upstream.received("elsewhere").len(), 0, "a redirect was followed");
    check_eq!(upstream.received("no-tls").len(), 0, "it was told in the clear");
    ensure!(impostor.met.load(Ordering::Relaxed) > 0, "nobody went to the impostor");
    check_eq!(impostor.told.load(Ordering::Relaxed), 0, "the impostor was told something");
    for sink in SINKS.iter().filter(|sink| sink.buries) {
        let dead = buried(&host, sink.name).await?;
        check_eq!(
            (&dead[0]["kind"], &dead[0]["sink"]),
            (&json!("dead_letter"), &json!(sink.name)),
            "{dead:?}"
        );
        let ids: BTreeSet<&str> = dead.iter().filter_map(|line| line["id"].as_str()).collect();
        ensure!(ids.contains(&*first), "{}: {dead:?}", sink.name);
        ensure!(more.iter().all(|id| !ids.contains(&**id)), "{}: {dead:?}", sink.name);
    }
    let metrics = host.admin(Method::GET, "/metrics").whole().await?.text();
    for (sink, up) in [("gone", 0), ("no-tls", 0), ("impostor", 0), ("slow", 1), ("small", 1)] {
        let line = format!("gatelet_sink_up{{sink=\"{sink}\"}} {up}");
        ensure!(metrics.contains(&line), "no `{line}` in {metrics}");
    }
    Ok(())
}

/// A server that is who it says it is by nobody's word but its own.
struct Impostor {
    place: String,
    /// Connections.
    met: Arc<AtomicUsize>,
    /// Bytes that came through its TLS.
    told: Arc<AtomicUsize>,
}

impl Impostor {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let place = listener.local_addr()?.to_string();
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(anyhow::Error::msg)?;
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (met, told) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let counts = (Arc::clone(&met), Arc::clone(&told));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                counts.0.fetch_add(1, Ordering::Relaxed);
                let mut heard = [0; 1_024];
                if let Ok(mut socket) = acceptor.accept(socket).await
                    && let Ok(count) = socket.read(&mut heard).await
                {
                    counts.1.fetch_add(count, Ordering::Relaxed);
                }
            }
        });
        Ok(Self { place, met, told })
    }
}

/// Asks, and is answered at once whatever sinks do; the request's id.
async fn ask(host: &Host, key: &Key) -> Result<String> {
    let body = question(Dialect::OpenAi, &model(Dialect::OpenAi, "said"));
    let began = Instant::now();
    let answer = host.post("/v1/chat/completions").key(&key.secret).json(&body).whole().await?;
    let took = began.elapsed();
    check_eq!(answer.status, 200, "{}", answer.text());
    ensure!(took < A_SINKS_TIME, "the answer took {took:?}");
    Ok(answer.header("x-gatelet-request-id").context("no request id")?.to_owned())
}

/// Asks while the slow sink keeps whoever tells it waiting.
async fn beside(host: &Host, key: &Key, upstream: &Upstream) -> Result<Vec<String>> {
    upstream.arrived("slow", 1).await?;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(ask(host, key).await?);
    }
    Ok(ids)
}

/// Ticks until each sink has been ill, and those that never are well are seen to be down.
async fn until_well(host: &Host, upstream: &Upstream, first: &str) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    loop {
        host.tick().await?;
        let ready = host.get("/health/ready").expect(200).await?;
        let down = ready["sinks"]["gone"] == "down" && ready["sinks"]["no-tls"] == "down";
        let ill = |sink: &Sink| upstream.received(sink.name).len() > (sink.ill)(upstream).len();
        let buried =
            SINKS.iter().filter(|sink| sink.buries).all(|sink| !upstream.received(sink.name).is_empty());
        if down && buried && SINKS.iter().filter(|sink| !sink.buries).all(ill) {
            check_eq!(ready["status"], json!("ok"), "{ready}");
            break;
        }
        let tries: Vec<_> =
            SINKS.iter().map(|sink| (sink.name, upstream.received(sink.name).len())).collect();
        ensure!(Instant::now() < end, "{first}: {ready}: {tries:?}");
        sleep(Duration::from_millis(500)).await;
    }
    let limited = upstream.received("limited");
    let pause = limited[1].at.duration_since(limited[0].at);
    ensure!(pause + Duration::from_secs(1) >= RETRY_AFTER, "it was asked again after {pause:?}");
    Ok(())
}

/// Ticks until each sink has heard, when it was well, of each of these, and of the first unless that is buried.
async fn told_of(host: &Host, upstream: &Upstream, ids: &[String], first: &str) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    loop {
        host.tick().await?;
        let mut missing = Vec::new();
        for sink in &SINKS {
            let mut heard = BTreeSet::new();
            for received in upstream.received(sink.name).iter().skip((sink.ill)(upstream).len()) {
                let told = received.json()?;
                let records = told["records"].as_array().context("no records")?.clone();
                heard.extend(
                    records.iter().filter_map(|record| record["record"]["id"].as_str().map(str::to_owned)),
                );
            }
            let mut wanted = ids.iter().map(String::as_str).chain((!sink.buries).then_some(first));
            if wanted.any(|id| !heard.contains(id)) {
                missing.push(sink.name);
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        ensure!(Instant::now() < end, "{missing:?} have not heard of all");
        sleep(Duration::from_millis(500)).await;
    }
}

/// All lines of dead letters of a sink.
async fn buried(host: &Host, sink: &str) -> Result<Vec<Value>> {
    let page = host
        .admin(Method::GET, &format!("/admin/v1/archive?prefix=dead/v1/main/{sink}/"))
        .expect(200)
        .await?;
    let mut lines = Vec::new();
    for name in page["names"].as_array().context("no names")?.iter().filter_map(Value::as_str) {
        let object = host.admin(Method::GET, &format!("/admin/v1/archive/{name}")).whole().await?;
        lines.extend(Object { name: name.to_owned(), bytes: object.body.to_vec() }.records()?);
    }
    Ok(lines)
}
