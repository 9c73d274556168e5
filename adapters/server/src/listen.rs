//! The HTTP listener: connections in, requests to a [`Handle`], answers out.

mod connection;
mod told;

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use gatelet_core::port::{Body, Peer};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_util::task::TaskTracker;

use crate::workers::Workers;

use told::until_told;

/// What answers requests.
pub trait Handle: Send + Sync + 'static {
    fn handle(&self, request: http::Request<Body>) -> impl Future<Output = http::Response<Body>> + Send;
}

/// What a listener allows.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Connections at the same time; further ones wait to be accepted.
    pub connections: usize,
    /// From the first byte of a connection, or the end of the answer before, to the end of a request's head.
    pub head_within: Duration,
    /// Bytes of a request's head.
    pub head: usize,
    /// Bytes that are read at once at the most, of a head or of a body: what comes in one piece is not copied together.
    pub piece: usize,
    pub headers: usize,
    /// Requests at the same time on one HTTP/2 connection.
    pub streams: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 4_096,
            head_within: Duration::from_secs(75),
            head: 64 << 10,
            piece: 256 << 10,
            headers: 100,
            streams: 256,
        }
    }
}

/// Accepts connections and deals them out to the workers, until `stop` turns true; then lets what runs finish for
/// `patience`. What has not finished by then is cut off, as if its caller had left.
pub async fn listen<H: Handle>(
    listener: TcpListener,
    bounds: Bounds,
    handler: Arc<H>,
    workers: &Workers,
    mut stop: watch::Receiver<bool>,
    patience: Duration,
) {
    let places = Arc::new(Semaphore::new(bounds.connections));
    let connections = TaskTracker::new();
    let (cut, cut_off) = watch::channel(false);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let (stream, peer, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, most likely: they come back as connections end.
                crate::log::warn("accepting failed", &[("error", &error)]);
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let handler = Arc::clone(&handler);
        let (stop, cut_off) = (stop.clone(), cut_off.clone());
        let (token, streams) = (connections.token(), connections.clone());
        workers.spawn(async move || {
            let _held = (place, token);
            let conversation = pin!(connection::converse(stream, peer, bounds, handler, streams, stop));
            until_told(conversation, &cut_off).await;
        });
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(patience, connections.wait()).await.is_err() {
        crate::log::warn("cutting off requests that did not finish", &[("connections", &connections.len())]);
        cut.send_replace(true);
        if tokio::time::timeout(CUT, connections.wait()).await.is_err() {
            crate::log::error("what was cut off did not end", &[("connections", &connections.len())]);
        }
    }
}

/// How long what is cut off may take to end: it only has to notice.
const CUT: Duration = Duration::from_secs(5);

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(std::net::TcpStream, Peer, tokio::sync::OwnedSemaphorePermit)> {
    // The place first: who is not accepted waits in the kernel's queue.
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream.into_std()?, Peer(peer.ip()), place))
}
