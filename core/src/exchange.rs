//! Third parties as pure pairs: what to ask, and how to read the answer.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};
use gatelet_wire::Malformed;

use crate::domain::Timestamp;
use crate::port::{Body, Fault, FaultKind, Ports, Reach};

/// One question to a third party and its answer. Both halves are pure, so that they can be tested with files.
pub trait Exchange: Send + Sync {
    type Answer: Send;
    /// The request, signed if need be: pure, given the time.
    fn ask(&self, now: Timestamp) -> http::Request<Bytes>;
    fn read(&self, reply: http::Response<Bytes>) -> Result<Self::Answer, Malformed>;
}

impl Ports {
    /// Runs an exchange within `limit`; answers of more than a megabyte are refused.
    pub async fn exchange<E: Exchange>(
        &self,
        exchange: &E,
        reach: Reach,
        limit: Duration,
    ) -> Result<E::Answer, Fault> {
        const OPERATION: &str = "exchange";
        const MOST: usize = 1 << 20;
        let request = exchange.ask(self.clock.now()).map(Body::Full);
        let call = async {
            let (parts, body) = self.upstream.send(request, reach).await?.into_parts();
            let body = body
                .collect(&parts.headers, MOST)
                .await
                .map_err(|problem| Fault::new(FaultKind::Unavailable, OPERATION, "").with_source(problem))?;
            exchange
                .read(http::Response::from_parts(parts, body))
                .map_err(|malformed| Fault::new(FaultKind::Corrupt, OPERATION, "").with_source(malformed))
        };
        match select(Box::pin(call), self.clock.sleep(limit)).await {
            Either::Left((answer, _)) => answer,
            Either::Right(((), _)) => Err(Fault::new(FaultKind::Timeout, OPERATION, format!("{limit:?}"))),
        }
    }
}
