//! A request's path, from top to bottom.
//!
//! Each stage consumes what the one before it made; what a stage makes has private fields and one constructor. So
//! "relayed but never admitted" does not compile.

mod able;
mod admit;
pub mod approach;
mod attempt;
mod authenticate;
mod betas;
mod books;
mod bound;
mod cache;
mod check;
mod content;
mod continuation;
mod copies;
mod explain;
mod facts;
mod fetch;
mod flow;
mod guard;
mod headers;
mod hedge;
mod idiom;
mod knobs;
mod lane;
mod native;
mod prompt;
mod pull;
mod receive;
mod relay;
mod residency;
mod route;
mod semantic;
mod signed;
mod sound;
mod spoken;
mod stakes;
mod stream;
mod tally;
mod task;
mod topics;
mod trial;
mod waiting;
mod ways;
mod whom;
mod wish;

use std::sync::Arc;

use gatelet_wire::Operation;
use gatelet_wire::dialect::Addressed;
use http::Response;
use http::request::Parts;

use crate::domain::{RequestId, Timestamp};
use crate::policy::Provider;
use crate::port::Body;
use crate::refusal::Refusal;
use crate::shared::Core;

use native::Native;

pub use approach::Approach;
pub use attempt::within;
pub use authenticate::{check, known, may_call, opened, read};
pub use check::check_targets;
pub use explain::{Explanation, Question, explain};
pub use lane::Lane;
pub use prompt::said;
pub use receive::{Asking, collect, key_text, token};
pub use residency::Pins;
pub use stakes::limits_of;
pub use trial::{Said, Tried, trial};

/// The gateway, in a few lines. The last, settling, is tied to the end of the answer's body.
///
/// No function of its own that waits: each of those keeps its arguments as long as it lives.
pub fn serve(
    core: &Arc<Core>,
    id: RequestId,
    started: Timestamp,
    asking: Asking,
    parts: Parts,
    body: Body,
) -> impl Future<Output = Result<Response<Body>, Refusal>> + Send {
    run(core, id, started, asking, None, parts, body)
}

/// A call of a provider's own interface. `rest` is what follows the provider's name in the path, and `known` what that
/// asks for, where it is one of our own paths: then it is billed as such.
#[expect(clippy::too_many_arguments, reason = "what `serve` takes, and where it goes")]
pub async fn pass(
    core: &Arc<Core>,
    id: RequestId,
    started: Timestamp,
    provider: Arc<Provider>,
    rest: &str,
    known: Option<Asking>,
    parts: Parts,
    body: Body,
) -> Result<Response<Body>, Refusal> {
    let key = key_text(&parts).ok_or(Refusal::NoKey)?;
    let asking = known.unwrap_or(Asking {
        operation: Operation::Native,
        dialect: provider.dialect,
        addressed: Addressed::default(),
    });
    let native = Native::read(provider, rest, &parts, &key)?;
    run(core, id, started, asking, Some(native), parts, body).await
}

async fn run(
    core: &Arc<Core>,
    id: RequestId,
    started: Timestamp,
    asking: Asking,
    native: Option<Native>,
    parts: Parts,
    body: Body,
) -> Result<Response<Body>, Refusal> {
    // What guards leave of it, where they replace anything.
    let mut room = None;
    let arrived = receive::arrive(core, id, started, asking, native, parts, body).await?;
    let mut arrived = arrived.without_wishes(core);
    if arrived.may_name_a_prompt() {
        arrived = Box::pin(arrived.said(core)).await?;
    }
    let received = arrived.read()?;
    let authenticated = authenticate::authenticate(core, received).await?;
    let admitted = admit::admit(core, authenticated).await?;
    let guarded = guard::guard(core, admitted, &mut room).await?;
    relay::relay(core, guarded.passed()).await
}
