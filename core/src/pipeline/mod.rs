//! A request's path, from top to bottom.
//!
//! Each stage consumes what the one before it made; what a stage makes has private fields and one constructor. So
//! "relayed but never admitted" does not compile.

mod admit;
mod attempt;
mod authenticate;
mod books;
mod bound;
mod flow;
mod headers;
mod knobs;
mod lane;
mod receive;
mod relay;
mod route;
mod stream;
mod tally;
mod task;

use std::sync::Arc;

use http::Response;
use http::request::Parts;

use crate::domain::{RequestId, Timestamp};
use crate::port::Body;
use crate::refusal::Refusal;
use crate::shared::Core;

pub use authenticate::{check, may_call, read};
pub use lane::Lane;
pub use receive::{Asking, collect, key_text, token};

/// The gateway, in a few lines. The last, settling, is tied to the end of the answer's body.
pub async fn serve(
    core: &Arc<Core>,
    id: RequestId,
    started: Timestamp,
    asking: Asking,
    parts: Parts,
    body: Body,
) -> Result<Response<Body>, Refusal> {
    let arrived = receive::arrive(core, id, started, asking, parts, body).await?;
    let received = arrived.read()?;
    let authenticated = authenticate::authenticate(core, received).await?;
    let admitted = admit::admit(core, authenticated).await?;
    relay::relay(core, admitted).await
}
