//! Questions in other words: what they are compared by, and the vector of their words.
//!
//! Whoever asks for a vector asks a model, by a request of its own with an id, attempts and a record: it runs on the stages of
//! all others. Where it comes to nothing, nothing is looked up by meaning, and the request goes on.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use gatelet_wire::embed::{self, Embed};
use gatelet_wire::{canon, chat};

use super::admit::{Admitted, admit};
use super::attempt::within;
use super::authenticate::Authenticated;
use super::copies::unbilled;
use super::guard;
use super::receive::{Arrived, Received, collect};
use super::relay::attempts;
use crate::cache::{Name, Naming, Vector};
use crate::domain::{Caller, RequestId};
use crate::guard::Check;
use crate::policy::Semantic;
use crate::port::{Fault, FaultKind};
use crate::refusal::Refusal;
use crate::shared::Core;

/// A question's place among others.
#[derive(Debug)]
pub(super) struct Place {
    /// Of questions that have all in common but the words of their last turns.
    pub(super) space: Name,
    pub(super) vector: Vector,
}

/// Longer questions are compared as they stand: many models read no more than 512 tokens, and do not say so.
const LONGEST: usize = 2_000;
/// A model that gave no vector is left alone for so long.
const ALONE: Duration = Duration::from_secs(5);

/// Finds a question's place. `naming` has whatever answers depend on beside the request.
pub(super) async fn place(
    core: &Arc<Core>,
    semantic: &Semantic,
    request: &chat::Request,
    mut naming: Naming,
    received: &Received<'_>,
    caller: &Arc<Caller>,
) -> Option<Place> {
    let words = canon::around(request, semantic.turns, &mut |bytes| naming.push(bytes))?;
    let is_alone = core.cache.is_alone(semantic.model.as_str(), core.ports.clock.now());
    if words.trim().is_empty() || words.len() > LONGEST || is_alone {
        return None;
    }
    // Vectors hardly tell numbers apart, and answers depend on them.
    for number in words.split(|letter: char| !letter.is_numeric()).filter(|number| !number.is_empty()) {
        naming = naming.with(number.as_bytes());
    }
    let now = core.ports.clock.now();
    let mut chance = [0; 16];
    core.ports.chance.fill(&mut chance);
    let body = serde_json::json!({ "model": semantic.model.as_str(), "input": words }).to_string();
    let asking = received.arrived.embedding(RequestId::mint(now, chance), now, body.into());
    let asked = embedded(core, semantic, &asking, caller, received.arrived.id.clone());
    match within(core, semantic.wait, pin!(asked)).await {
        Some(Ok((target, vector))) => {
            let space = naming.with(b"by").with(target.as_bytes()).finish();
            Some(Place { space, vector })
        }
        Some(Err(refusal)) => {
            if is_the_models(&refusal) {
                leave_alone(core, semantic, refusal.code());
            }
            None
        }
        None => {
            leave_alone(core, semantic, "it took too long");
            None
        }
    }
}

/// The vector of the words that `asking` has, and who made it.
async fn embedded(
    core: &Arc<Core>,
    semantic: &Semantic,
    asking: &Arrived,
    caller: &Arc<Caller>,
    of: RequestId,
) -> Result<(String, Vector), Refusal> {
    let (by, mut vectors) =
        vectors(core, semantic.model.as_str(), semantic.billed, asking, caller, of).await?;
    vectors.truncate(1);
    Ok((by, vectors.pop().ok_or_else(no_vector)?))
}

/// The vectors of the texts that `asking` has, and who made them. In a box of its own: guards that judge what a question is about
/// ask for them, and this request has guards, too, but those.
pub(super) fn vectors<'a>(
    core: &'a Arc<Core>,
    model: &'a str,
    billed: bool,
    asking: &'a Arrived,
    caller: &'a Arc<Caller>,
    of: RequestId,
) -> BoxFuture<'a, Result<(String, Vec<Vector>), Refusal>> {
    Box::pin(async move {
        let mut received = asking.read()?;
        model.clone_into(&mut received.asked.model);
        let mut admitted: Admitted<'_> = if billed {
            Box::pin(admit(core, Authenticated { received, caller: caller.clone() })).await?
        } else {
            Box::pin(unbilled(core, received, caller.clone(), model)).await?
        };
        admitted.books.lookup_for(of, billed);
        admitted.guards.retain(|guard| !matches!(guard.check, Check::Topics(_)));
        let mut room = None;
        let guarded = Box::pin(guard::guard(core, admitted, &mut room)).await?;
        let response = Box::pin(attempts(core, guarded, None, false)).await?;
        let (head, body) = response.into_parts();
        let target = head.headers.get("x-gatelet-model").and_then(|target| target.to_str().ok());
        let target = target.unwrap_or_default().to_owned();
        let body = collect(body, &head.headers, core.settings.answer_limit).await?;
        let response = embed::Openai.read_response(&body).map_err(|_| no_vector())?;
        let vectors = response.vectors.iter().map(|vector| Vector::of(&vector.floats().ok()?));
        Ok((target, vectors.collect::<Option<_>>().ok_or_else(no_vector)?))
    })
}

fn no_vector() -> Refusal {
    Refusal::Internal(Fault::new(FaultKind::Corrupt, "semantic", "the model's answer has no vector"))
}

/// Whether it was the model that failed, and not what its caller may do or pay.
pub(super) fn is_the_models(refusal: &Refusal) -> bool {
    matches!(
        refusal,
        Refusal::Upstream { .. }
            | Refusal::UpstreamFailed { .. }
            | Refusal::Exhausted { .. }
            | Refusal::Timeout
            | Refusal::Internal(_)
    )
}

fn leave_alone(core: &Core, semantic: &Semantic, why: &str) {
    let until = core.ports.clock.now().after(ALONE);
    core.cache.leave_alone(semantic.model.as_str(), until);
    let fault = Fault::new(FaultKind::Unavailable, "semantic", format!("{}: {why}", semantic.model));
    core.ports.log.failed("questions are not compared by their meaning for five seconds", &fault);
}
