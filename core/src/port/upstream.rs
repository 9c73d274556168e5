//! The network.

use async_trait::async_trait;

use super::{Body, Fault};

/// Calls third parties. Does not follow redirects, retries only what was never sent, limits no time (core does).
#[async_trait]
pub trait Upstream: Send + Sync {
    /// Answers with the head as soon as it is there; the body follows as a stream.
    async fn send(&self, request: http::Request<Body>, reach: Reach) -> Result<http::Response<Body>, Fault>;
}

/// Which addresses may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Public addresses over https only; loopback, private and link-local ones are refused after resolution.
    Public,
    /// The same addresses, over http too: whoever is on the way may read what is sent and change what comes.
    PublicPlain,
    /// Any: the admin named this very address in the configuration.
    Private,
}
