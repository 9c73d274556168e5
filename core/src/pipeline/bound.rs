//! The most that a request can use and cost, before anybody has counted its tokens.

use std::sync::Arc;

use gatelet_wire::measure::Measure;
use gatelet_wire::{DialectId, Operation, Units};
use serde_json::value::RawValue;

use super::authenticate::is_bound_to_models;
use super::guard;
use super::native;
use super::receive::Received;
use super::stakes::Stakes;
use crate::domain::Caller;
use crate::domain::account::{Limits, OutputBound};
use crate::domain::{Money, Rate};
use crate::policy::{Model, Target};
use crate::refusal::Refusal;
use crate::registry::Bound;

/// An upper bound of the tokens that one image becomes in any of today's models.
const IMAGE_TOKENS: u64 = 6_000;
/// A page of a document is shown as text and as an image, and has at least this many bytes.
const BYTES_A_PAGE: u64 = 1_000;
/// A document that is only named (by URL or id): a hundred pages, the most that providers document.
const NAMED_DOCUMENT_PAGES: u64 = 100;
/// The most tokens of such a document: what is fetched may be no longer, where that can be told.
pub(super) const NAMED_DOCUMENT_TOKENS: u64 = NAMED_DOCUMENT_PAGES * IMAGE_TOKENS;
/// Audio at the lowest bit rates in use makes at most this many tokens a kilobyte.
const AUDIO_TOKENS_A_KILOBYTE: u64 = 20;
/// A piece of audio that is only named: half an hour.
const NAMED_AUDIO_TOKENS: u64 = 60_000;
/// Where neither caller nor catalogue names a cap.
const DEFAULT_OUTPUT: u64 = 8_192;
/// The most that a request can use.
pub(super) struct Asked {
    /// What the input will be if nobody says it: text by bytes, media by a quarter of their bound.
    pub(super) likely_tokens: u64,
    /// What is counted otherwise and is certain already.
    pub(super) known_units: Units,
    pub(super) input_tokens: u64,
    pub(super) input_cost: Money,
    pub(super) output: OutputBound,
    /// A budget or a limit on tokens applies, so that output needs a cap.
    pub(super) limited: bool,
}

/// Bounds a request from above, for the dearest target of its plan. `room`: guards may make it longer.
pub(super) fn bound(
    received: &Received<'_>,
    caller: &Caller,
    stakes: &Stakes,
    model: &Model,
    plan: &[Arc<Target>],
    room: bool,
) -> Result<Asked, Refusal> {
    let operation = received.arrived.operation;
    let outline = received.outline.as_deref();
    let measure = outline
        .and_then(|outline| outline.measure)
        .unwrap_or_else(|| Measure::of(received.arrived.dialect, &received.fields));
    let units = outline.map_or_else(Units::default, |outline| outline.most_units);
    let native = received.arrived.native.is_some();
    // What is only watched refuses nothing.
    let enforced = || stakes.limits(caller).map(|(_, limits)| limits).filter(|limits| !limits.shadow);
    let budget = enforced().any(|limits| !limits.budget.is_empty());
    let limited = enforced().any(Limits::bounds_output);
    if !matches!(operation, Operation::Chat | Operation::Completion) {
        // No tools, and no model that chooses another.
    } else if budget {
        unbounded(received)?;
    } else if is_bound_to_models(caller) {
        one_model(received)?;
    }
    let media_tokens = media_tokens(&measure);
    // What stands for a value may be longer than the value.
    let room = if room { measure.text_bytes.saturating_add(guard::ROOM) } else { 0 };
    let text_tokens = measure.text_bytes.saturating_add(room);
    let bound = Bound { text_tokens, media_tokens, units, service: received.asked.service_tier.as_deref() };
    let mut input_cost = Money::ZERO;
    let mut rate = Rate::ZERO;
    let mut most_output = 0;
    for target in plan {
        // Nobody asks money for counting.
        if operation == Operation::TokenCount {
            break;
        }
        match target.price_of(operation) {
            Some(price) => {
                let price = price.at(received.arrived.started);
                input_cost = input_cost.max(price.input_bound(&bound));
                rate = rate.max(price.output_bound(&bound));
            }
            None if !budget || operation == Operation::TokenCount => {}
            None if operation == Operation::Native => {
                return Err(Refusal::PathUnpriced { provider: target.provider.id.to_string() });
            }
            None => return Err(Refusal::ModelUnpriced { model: target.to_string() }),
        }
        if limited && native && matches!(operation, Operation::Chat | Operation::Completion) {
            native::bounded(received, target)?;
        }
        // Where only the context is known, input and output share it.
        let rest =
            || target.context.map(|context| context.saturating_sub(text_tokens.saturating_add(media_tokens)));
        most_output = most_output.max(target.max_output.or_else(rest).unwrap_or(DEFAULT_OUTPUT).max(1));
    }
    let choices = u64::from(received.asked.choices);
    let uncapped = received.asked.max_output.is_none();
    // What an admin takes for likely is held in place of the most, but where money must be exact; no cap is sent then.
    let estimate = model.estimate.filter(|_| uncapped && !budget);
    let most = estimate.map_or(most_output, |estimate| estimate.min(most_output));
    let tokens = received.asked.max_output.unwrap_or(most).saturating_mul(choices);
    Ok(Asked {
        likely_tokens: (measure.text_bytes.saturating_add(media_tokens)).div_ceil(4),
        known_units: outline.map_or_else(Units::default, |outline| outline.known_units),
        input_tokens: text_tokens.saturating_add(media_tokens),
        input_cost,
        // No cap can be put into what travels as it is.
        output: OutputBound {
            tokens,
            rate,
            elastic: uncapped && estimate.is_none() && choices == 1 && !native,
        },
        limited: limited && estimate.is_none(),
    })
}

/// The most that the input of a conversation is, and costs, at the dearest of these targets; and the most that a token of its output does.
pub(super) fn input(received: &Received<'_>, targets: &[Arc<Target>]) -> (u64, Money, Rate) {
    let measure = Measure::of(received.arrived.dialect, &received.fields);
    let (text_tokens, media_tokens) = (measure.text_bytes, media_tokens(&measure));
    let service = received.asked.service_tier.as_deref();
    let bound = Bound { text_tokens, media_tokens, units: Units::default(), service };
    let prices = targets.iter().filter_map(|target| target.price_of(Operation::Chat));
    let (cost, rate) = prices.fold((Money::ZERO, Rate::ZERO), |(cost, rate), price| {
        let price = price.at(received.arrived.started);
        (cost.max(price.input_bound(&bound)), rate.max(price.output_bound(&bound)))
    });
    (text_tokens.saturating_add(media_tokens), cost, rate)
}

/// Refuses a list of further models, from which gateways behind the same dialect may choose.
fn one_model(received: &Received<'_>) -> Result<(), Refusal> {
    match received.fields.present("models") {
        Some(_) => Err(Refusal::CostUnbounded { param: "models".to_owned() }),
        None => Ok(()),
    }
}

/// Refuses what makes a provider spend or choose by itself: nobody knows before what that costs, or whom it calls.
fn unbounded(received: &Received<'_>) -> Result<(), Refusal> {
    one_model(received)?;
    let fields = &received.fields;
    let refuse = |param: &str| Err(Refusal::CostUnbounded { param: param.to_owned() });
    let names = received.arrived.dialect.dialect().conventions().unbounded;
    if let Some(name) = names.iter().find(|name| fields.present(name).is_some()) {
        return refuse(name);
    }
    if let Some(param) = received.arrived.dialect.dialect().unbounded(fields) {
        return refuse(&param);
    }
    let fast = |raw: &RawValue| raw.get() != "\"standard\"";
    if received.arrived.dialect == DialectId::Anthropic && fields.present("speed").is_some_and(fast) {
        return refuse("speed");
    }
    let dialect = received.arrived.dialect.dialect();
    // One vendor takes a tool that stands there by itself for a list of one.
    let tools = fields.present("tools");
    let tools =
        tools.map(|raw| gatelet_wire::json::from_str::<Vec<&RawValue>>(raw.get()).unwrap_or(vec![raw]));
    match tools.unwrap_or_default().iter().position(|tool| dialect.runs_at_provider(tool)) {
        Some(at) => refuse(&format!("tools[{at}]")),
        None => Ok(()),
    }
}

/// The most tokens that images, documents and audio become.
fn media_tokens(measure: &Measure) -> u64 {
    let pages = (measure.document_bytes / BYTES_A_PAGE)
        .saturating_add(u64::from(measure.documents))
        .saturating_add(u64::from(measure.named_documents).saturating_mul(NAMED_DOCUMENT_PAGES));
    let audio = (measure.audio_bytes / 1_000)
        .saturating_add(u64::from(measure.audios))
        .saturating_mul(AUDIO_TOKENS_A_KILOBYTE)
        .saturating_add(u64::from(measure.named_audios).saturating_mul(NAMED_AUDIO_TOKENS));
    u64::from(measure.images).saturating_add(pages).saturating_mul(IMAGE_TOKENS).saturating_add(audio)
}
