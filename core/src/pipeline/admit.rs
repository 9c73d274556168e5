//! Third stage: may it? One ledger call holds what the request may use at most, in every account, or nothing.

use std::sync::Arc;
use std::time::Duration;

use gatelet_wire::measure::{Measure, measure};

use super::authenticate::{self, Authenticated};
use super::books::Books;
use super::receive::Received;
use super::route::plan;
use crate::domain::account::{Document, Grant, Headroom, Op, OutputBound, Reserve};
use crate::domain::{HoldId, Money, Rate};
use crate::policy::{Model, Resolution, Target};
use crate::port::{Fault, FaultKind, Transaction};
use crate::refusal::Refusal;
use crate::registry::Bound;
use crate::shared::Core;

/// A request that may be made, with its cost held.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) received: Received,
    pub(super) model: Arc<Model>,
    /// In the order in which they are tried, fallbacks included. Never empty.
    pub(super) plan: Vec<Arc<Target>>,
    /// Owns the hold: whatever happens to the request, the books are closed once.
    pub(super) books: Books,
    /// The cap on output that must be sent, because the caller gave none and a limit asks for one.
    pub(super) output_cap: Option<u64>,
    pub(super) headroom: Headroom,
    pub(super) soft_passed: Vec<String>,
}

/// An upper bound of the tokens that one image becomes in any of today's models.
const IMAGE_TOKENS: u64 = 6_000;
/// A page of a document is shown as text and as an image, and has at least this many bytes.
const BYTES_A_PAGE: u64 = 1_000;
/// A document that is only named (by URL or id): a hundred pages, the most that providers document.
const NAMED_DOCUMENT_PAGES: u64 = 100;
/// Audio at the lowest bit rates in use makes at most this many tokens a kilobyte.
const AUDIO_TOKENS_A_KILOBYTE: u64 = 20;
/// A piece of audio that is only named: half an hour.
const NAMED_AUDIO_TOKENS: u64 = 60_000;
/// Where neither caller nor catalogue names a cap.
const DEFAULT_OUTPUT: u64 = 8_192;
/// A hold outlives its request's deadline by this much, so that a late settlement still finds it.
const GRACE: Duration = Duration::from_mins(1);

pub(super) async fn admit(core: &Arc<Core>, authenticated: Authenticated) -> Result<Admitted, Refusal> {
    let Authenticated { received, mut document } = authenticated;
    let policy = core.policy();
    let model = match policy.resolve(&received.asked.model) {
        Resolution::Found(model) => model,
        Resolution::Unknown { near } => {
            let near = near.into_iter().filter(|name| authenticate::may_call(&document, name)).collect();
            return Err(Refusal::ModelUnknown { model: received.asked.model, near });
        }
    };
    let plan = plan(&policy, &model);
    // A document that turns out to be old is replaced and judged anew; each round is one of somebody's changes.
    for _ in 0..4 {
        authenticate::permit(&document, &received.asked)?;
        let asked = bound(&received, &document, &plan)?;
        let account = document.key.account();
        let hold = HoldId::new(received.id.as_str());
        let reserve = Reserve {
            hold: hold.clone(),
            version: document.version,
            input_tokens: asked.input_tokens,
            input_cost: asked.input_cost,
            output: asked.output,
            expires: received.started.after(core.settings.deadline).after(GRACE),
        };
        let transaction =
            Transaction { accounts: vec![account.clone()], op: Op::Reserve(reserve), entries: Vec::new() };
        let now = core.ports.clock.now();
        let shard = document.key.shard.clone();
        // From here on the hold may exist even if the answer is lost on the way: the books release it if dropped.
        let mut books = Books::open(core.clone(), &received, &document, vec![account], hold);
        let outcome = core.ports.ledger.transact(&shard, transaction, now).await.map_err(|fault| {
            let refusal = Refusal::Internal(fault);
            books.fail(&refusal);
            refusal
        })?;
        match outcome.grant {
            Grant::Held { output_tokens, headroom, soft_passed } => {
                let capped = received.asked.max_output.is_none() && asked.limited;
                let output_cap = capped.then_some(output_tokens / u64::from(received.asked.choices));
                books.held(asked.text_bytes);
                return Ok(Admitted { received, model, plan, books, output_cap, headroom, soft_passed });
            }
            Grant::Denied(denial) => {
                let refusal = Refusal::Denied(Box::new(denial));
                books.refuse(&refusal);
                return Err(refusal);
            }
            Grant::Stale(newer) => {
                books.forget();
                let newer = Arc::new(*newer.ok_or(Refusal::KeyUnknown)?);
                core.keys.put(&shard, &newer);
                authenticate::check(&newer, &received.token, now)?;
                document = newer;
            }
            Grant::Settled | Grant::NoHold | Grant::Written | Grant::Conflict(_) | Grant::Swept { .. } => {
                books.forget();
                return Err(unexpected());
            }
        }
    }
    Err(Refusal::Internal(Fault::new(FaultKind::Conflict, "admit", "the key changes faster than it is read")))
}

fn unexpected() -> Refusal {
    Refusal::Internal(Fault::new(
        FaultKind::Corrupt,
        "admit",
        "the ledger gave an answer to another question",
    ))
}

/// The most that a request can use.
struct Asked {
    text_bytes: u64,
    input_tokens: u64,
    input_cost: Money,
    output: OutputBound,
    /// A budget or a limit on tokens applies, so that output needs a cap.
    limited: bool,
}

/// The most tokens that images, documents and audio become.
fn media_tokens(measure: &Measure) -> u64 {
    let pages = if measure.document_bytes == 0 {
        u64::from(measure.documents).saturating_mul(NAMED_DOCUMENT_PAGES)
    } else {
        (measure.document_bytes / BYTES_A_PAGE).saturating_add(u64::from(measure.documents))
    };
    let audio = if measure.audio_bytes == 0 {
        u64::from(measure.audios).saturating_mul(NAMED_AUDIO_TOKENS)
    } else {
        (measure.audio_bytes / 1_000 + 1).saturating_mul(AUDIO_TOKENS_A_KILOBYTE)
    };
    u64::from(measure.images).saturating_add(pages).saturating_mul(IMAGE_TOKENS).saturating_add(audio)
}

/// Bounds a request from above, for the dearest target of its plan.
fn bound(received: &Received, document: &Document, plan: &[Arc<Target>]) -> Result<Asked, Refusal> {
    let measure = measure(received.dialect, &received.body);
    let limits = &document.key.limits;
    let limited = limits.tpm.is_some() || !limits.budget.is_empty();
    let media_tokens = media_tokens(&measure);
    let text_tokens = measure.text_bytes;
    let bound = Bound { text_tokens, media_tokens, service: received.asked.service_tier.as_deref() };
    let mut input_cost = Money::ZERO;
    let mut rate = Rate::ZERO;
    let mut most_output = 0;
    for target in plan {
        match &target.price {
            Some(price) => {
                input_cost = input_cost.max(price.input_bound(&bound));
                rate = rate.max(price.output_bound(&bound));
            }
            None if limits.budget.is_empty() => {}
            None => return Err(Refusal::ModelUnpriced { model: target.to_string() }),
        }
        most_output = most_output.max(target.max_output.or(target.context).unwrap_or(DEFAULT_OUTPUT));
    }
    let choices = u64::from(received.asked.choices);
    let tokens = received.asked.max_output.unwrap_or(most_output).saturating_mul(choices);
    Ok(Asked {
        text_bytes: measure.text_bytes,
        input_tokens: text_tokens.saturating_add(media_tokens),
        input_cost,
        output: OutputBound { tokens, rate, elastic: received.asked.max_output.is_none() && choices == 1 },
        limited,
    })
}
