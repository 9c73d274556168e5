//! What questions are about: their vectors, and those of a guard's examples, by a request of its own to an embedding model.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use super::attempt::within;
use super::receive::{Arrived, Received};
use super::semantic::{is_the_models, vectors};
use crate::cache::{Made, Name, Naming, Vector};
use crate::domain::{Caller, RequestId};
use crate::guard::external::{Question, Verdict};
use crate::guard::{Pieces, Topics};
use crate::port::{Fault, FaultKind};
use crate::refusal::Refusal;
use crate::shared::Core;

/// Whose request it is that a guard asks for vectors for.
pub(super) struct Asker {
    core: Arc<Core>,
    /// A request for vectors that has no texts yet.
    asking: Box<Arrived>,
    caller: Arc<Caller>,
    of: RequestId,
}

/// A model that gave no vectors is left alone for so long.
const ALONE: Duration = Duration::from_secs(5);

impl Asker {
    pub(super) fn of(core: &Arc<Core>, received: &Received<'_>, caller: &Arc<Caller>) -> Self {
        let arrived = received.arrived;
        let asking = arrived.embedding(arrived.id.clone(), arrived.started, bytes::Bytes::new());
        Self { core: core.clone(), asking, caller: caller.clone(), of: arrived.id.clone() }
    }

    /// What a question is about.
    pub(super) async fn judge(
        &self,
        topics: &Topics,
        question: &Question,
        limit: Duration,
    ) -> Result<Verdict, Fault> {
        let pieces = Pieces::of(question);
        if pieces.texts.is_empty() {
            return Ok(Verdict::default());
        }
        let core = &*self.core;
        let fault = |kind, why: &str| Fault::new(kind, "topics", format!("{}: {why}", topics.model));
        if core.cache.is_alone(&topics.model, core.ports.clock.now()) {
            return Err(fault(FaultKind::Unavailable, "it gave no vectors a moment ago"));
        }
        let (asked, failed) = match within(core, limit, pin!(self.alike(topics, &pieces))).await {
            Some(Ok((made, own))) => {
                let alike = |one: usize, other: usize| {
                    let pair = made.vectors.get(one).zip(own.get(other));
                    pair.map_or(0.0, |(one, other)| one.alike(other))
                };
                return Ok(topics.judge(&pieces, alike));
            }
            Some(Err(refusal)) => {
                let kind = FaultKind::Unavailable;
                (fault(kind, refusal.code()), is_the_models(&refusal))
            }
            None => (fault(FaultKind::Timeout, "it took too long"), true),
        };
        if failed {
            core.cache.leave_alone(&topics.model, core.ports.clock.now().after(ALONE));
        }
        Err(asked)
    }

    /// The vectors of the examples, and of the pieces.
    async fn alike(&self, topics: &Topics, pieces: &Pieces) -> Result<(Arc<Made>, Vec<Vector>), Refusal> {
        let name = name(topics);
        if let Some(made) = self.core.cache.examples.get(&name) {
            let (by, own) = self.vectors(topics, pieces.texts.iter().map(String::as_str)).await?;
            // Another model's vectors say nothing of these.
            if by == made.by {
                return Ok((made, own));
            }
        }
        let all = topics.examples().chain(pieces.texts.iter().map(String::as_str));
        let (by, mut vectors) = self.vectors(topics, all).await?;
        let own = vectors.split_off(topics.examples().count().min(vectors.len()));
        let made = Arc::new(Made { by, vectors });
        self.core.cache.examples.put(name, made.clone());
        Ok((made, own))
    }

    async fn vectors(
        &self,
        topics: &Topics,
        texts: impl Iterator<Item = &str> + Send,
    ) -> Result<(String, Vec<Vector>), Refusal> {
        let core = &self.core;
        let now = core.ports.clock.now();
        let mut chance = [0; 16];
        core.ports.chance.fill(&mut chance);
        let texts: Vec<&str> = texts.collect();
        let body = serde_json::json!({ "model": &*topics.model, "input": texts }).to_string();
        let asking = self.asking.embedding(RequestId::mint(now, chance), now, body.into());
        let (by, made) =
            vectors(core, &topics.model, topics.billed, &asking, &self.caller, self.of.clone()).await?;
        if made.len() != texts.len() {
            let fault = Fault::new(FaultKind::Corrupt, "topics", "the model made another number of vectors");
            return Err(Refusal::Internal(fault));
        }
        Ok((by, made))
    }
}

/// Of a list of examples, and of the model that they are for.
fn name(topics: &Topics) -> Name {
    let naming = Naming::default().with(b"topics").with(topics.model.as_bytes());
    topics.examples().fold(naming, |naming, example| naming.with(example.as_bytes())).finish()
}
