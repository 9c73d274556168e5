//! One HTTP client for each worker, and one for the thread that keeps house: its connections are driven on the thread that
//! opened them.

use futures_util::future::BoxFuture;
use gatelet_core::port::{Body, Fault, FaultKind, Reach, Upstream};
use gatelet_tokio::{HttpUpstream, Settings};

use crate::workers;

pub(super) struct Upstreams(Vec<HttpUpstream>);

impl Upstreams {
    pub(super) fn new(workers: usize) -> anyhow::Result<Self> {
        let settings = Settings::default();
        let upstreams = (0..=workers).map(|_| HttpUpstream::new(&settings)).collect::<Result<_, _>>()?;
        Ok(Self(upstreams))
    }
}

impl Upstream for Upstreams {
    // Without the macro: it would put the exchange into a second box around the client's own.
    fn send<'a, 'b>(
        &'a self,
        request: http::Request<Body>,
        reach: Reach,
    ) -> BoxFuture<'b, Result<http::Response<Body>, Fault>>
    where
        'a: 'b,
        Self: 'b,
    {
        if let Some(mine) = self.0.get(workers::place()).or(self.0.last()) {
            return mine.send(request, reach);
        }
        let fault = Fault::new(FaultKind::Unavailable, "upstream.send", "no worker");
        Box::pin(std::future::ready(Err(fault)))
    }
}
