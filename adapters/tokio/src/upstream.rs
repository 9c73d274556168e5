//! The HTTP client: hyper with rustls, HTTP/1.1 and HTTP/2.

mod address;
mod body;
mod connect;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use gatelet_core::port::{Body, Fault, FaultKind, Reach, Upstream, is_public_address};
use http::uri::Scheme;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;

use address::NotPublic;
use body::Outgoing;
use connect::{Connector, Lookup};

const OPERATION: &str = "upstream.send";

/// Streams on one HTTP/2 connection: what servers commonly allow. hyper keeps one connection for a host and lets further
/// requests wait for a stream, so those go to another lane.
const STREAMS: usize = 100;
const LANES: usize = 32;

/// What a host may choose.
#[derive(Clone, Debug)]
pub struct Settings {
    /// For resolving, connecting and nothing else; core limits the rest.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// Unused connections that are kept for one host.
    pub idle_per_host: usize,
    /// Certificate authorities trusted beside Mozilla's, which are compiled in.
    pub roots: Vec<CertificateDer<'static>>,
    /// What resolves names.
    pub lookup: Lookup,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(50),
            idle_per_host: 256,
            roots: Vec::new(),
            lookup: connect::system_lookup,
        }
    }
}

/// A pool of connections. Make one for each runtime: its connections are driven where they were opened.
pub struct HttpUpstream {
    /// Two pools, so that a connection opened to a private address never serves a request that may not go there.
    public: Lanes,
    private: Lanes,
}

impl HttpUpstream {
    /// Fails where a root certificate cannot be read.
    pub fn new(settings: &Settings) -> Result<Self, rustls::Error> {
        let tls = connect::tls(&settings.roots)?;
        Ok(Self {
            public: Lanes::new(settings, tls.clone(), Reach::Public),
            private: Lanes::new(settings, tls, Reach::Private),
        })
    }
}

impl std::fmt::Debug for HttpUpstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HttpUpstream")
    }
}

#[async_trait]
impl Upstream for HttpUpstream {
    async fn send(&self, request: http::Request<Body>, reach: Reach) -> Result<http::Response<Body>, Fault> {
        let lanes = match reach {
            Reach::Public | Reach::PublicPlain => &self.public,
            Reach::Private => &self.private,
        };
        check(request.uri(), reach)?;
        let (client, place) = lanes.pick();
        // hyper sends again by itself only what never left: a pooled connection that was closed before the first byte.
        let response = client.request(request.map(Outgoing::from)).await.map_err(fault)?;
        Ok(response.map(|incoming| body::from_hyper(incoming, place)))
    }
}

/// What needs no resolution: the scheme, and a host that is an address already, which no resolver would see.
fn check(uri: &http::Uri, reach: Reach) -> Result<(), Fault> {
    let plain = match reach {
        Reach::Private => return Ok(()),
        Reach::Public => false,
        Reach::PublicPlain => uri.scheme() == Some(&Scheme::HTTP),
    };
    if !plain && uri.scheme() != Some(&Scheme::HTTPS) {
        return Err(Fault::new(
            FaultKind::Denied,
            OPERATION,
            format!("{} is not https", uri.host().unwrap_or_default()),
        ));
    }
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    if host.parse().is_ok_and(|literal| !is_public_address(literal)) {
        return Err(Fault::new(FaultKind::Denied, OPERATION, format!("{host} is not a public address")));
    }
    Ok(())
}

fn fault(error: hyper_util::client::legacy::Error) -> Fault {
    type Cause<'a> = &'a (dyn std::error::Error + 'static);
    let causes: Vec<Cause> = std::iter::successors(Some(&error as Cause), |error| error.source()).collect();
    let io = |cause: &Cause, is: fn(&std::io::Error) -> bool| cause.downcast_ref().is_some_and(is);
    let kind = if causes.iter().any(|cause| io(cause, NotPublic::is_in)) {
        FaultKind::Denied
    } else if causes.iter().any(|cause| io(cause, |error| error.kind() == std::io::ErrorKind::TimedOut)) {
        FaultKind::Timeout
    } else {
        FaultKind::Unavailable
    };
    let context = causes.iter().map(ToString::to_string).collect::<Vec<_>>().join(": ");
    Fault::new(kind, OPERATION, context).with_source(error)
}

/// Clients, each with a pool of its own, that are filled one after the other.
struct Lanes(Vec<(Client<Connector, Outgoing>, Arc<AtomicUsize>)>);

impl Lanes {
    fn new(settings: &Settings, tls: rustls::ClientConfig, reach: Reach) -> Self {
        let connector = connect::connector(settings, tls, reach);
        let client = || {
            Client::builder(TokioExecutor::new())
                .timer(TokioTimer::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(settings.idle_timeout)
                .pool_max_idle_per_host(settings.idle_per_host)
                .http2_adaptive_window(true)
                .http2_keep_alive_interval(Duration::from_secs(20))
                .build(connector.clone())
        };
        Self((0..LANES).map(|_| (client(), Arc::default())).collect())
    }

    /// The first lane with room, else the emptiest; and a place in it.
    fn pick(&self) -> (&Client<Connector, Outgoing>, Place) {
        let load = |lane: &Arc<AtomicUsize>| lane.load(Ordering::Relaxed);
        let free = self.0.iter().find(|(_, lane)| load(lane) < STREAMS);
        let (client, lane) =
            free.or_else(|| self.0.iter().min_by_key(|(_, lane)| load(lane))).unwrap_or(&self.0[0]);
        (client, Place::take(lane))
    }
}

/// One running exchange, counted until its body has ended or is dropped.
#[derive(Debug)]
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(lane: &Arc<AtomicUsize>) -> Self {
        lane.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(lane))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
