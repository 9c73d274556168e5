//! One HTTP client for each worker: its connections are driven on the thread that opened them.

use async_trait::async_trait;
use gatelet_core::port::{Body, Fault, FaultKind, Reach, Upstream};
use gatelet_tokio::{HttpUpstream, Settings};

use crate::workers;

pub(super) struct Upstreams(Vec<HttpUpstream>);

impl Upstreams {
    pub(super) fn new(workers: usize) -> anyhow::Result<Self> {
        let settings = Settings::default();
        let upstreams = (0..workers).map(|_| HttpUpstream::new(&settings)).collect::<Result<_, _>>()?;
        Ok(Self(upstreams))
    }
}

#[async_trait]
impl Upstream for Upstreams {
    async fn send(&self, request: http::Request<Body>, reach: Reach) -> Result<http::Response<Body>, Fault> {
        let mine = self.0.get(workers::place());
        let mine = mine.ok_or_else(|| Fault::new(FaultKind::Unavailable, "upstream.send", "no worker"))?;
        mine.send(request, reach).await
    }
}
