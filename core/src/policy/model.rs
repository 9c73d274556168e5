//! Models as callers name them, and where they lead.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use gatelet_wire::{Edit, Json, Operation};
use http::Uri;

use super::{Caching, Extras, Provider, Retries};
use crate::registry::{Capabilities, Capability, Price, StatedCost};
use crate::route::{Condition, Place, Strategy};

/// A name by which callers ask for a model: 1 to 256 bytes, no spaces, no control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelName(Arc<str>);

impl ModelName {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn shared(&self) -> &Arc<str> {
        &self.0
    }
}

impl TryFrom<&str> for ModelName {
    type Error = &'static str;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        if text.is_empty() || text.len() > 256 || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err("a name of 1 to 256 bytes without spaces and control characters");
        }
        Ok(Self(text.into()))
    }
}

impl std::borrow::Borrow<str> for ModelName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name and what is behind it.
#[derive(Clone, Debug)]
pub struct Model {
    pub name: ModelName,
    /// In the order in which they are tried. Never empty.
    pub targets: Vec<Arc<Target>>,
    /// By what the next of them is chosen.
    pub strategy: Strategy,
    pub fallbacks: Fallbacks,
    /// Which requests are another model's: the first that holds decides.
    pub rules: Arc<[Rule]>,
    /// Further attempts at a target after the first one failed in a way that may pass.
    pub retries: Retries,
    /// What happens beside its answers.
    pub extras: Arc<Extras>,
    pub timeouts: Timeouts,
    /// A stream that says one and the same piece more often than this in a row is ended.
    pub repeats: Option<u32>,
    /// Tokens of output that are held of a request that names no cap, where no hard budget is in force; none: the most
    /// that the model makes.
    pub estimate: Option<u64>,
    /// None: its answers are not kept.
    pub cache: Option<Arc<Caching>>,
}

impl Model {
    /// One target, asked once: what travels there is the caller's own words and fits no other.
    pub(super) fn native(name: ModelName, target: Arc<Target>) -> Self {
        Self {
            name,
            targets: vec![target],
            strategy: Strategy::default(),
            fallbacks: Fallbacks::default(),
            rules: Arc::default(),
            retries: Retries::each(0),
            extras: Arc::default(),
            timeouts: Timeouts::default(),
            repeats: None,
            estimate: None,
            cache: None,
        }
    }
}

/// A provider's model, with all that a call needs.
#[derive(Clone, Debug)]
pub struct Target {
    pub provider: Arc<Provider>,
    /// The provider's own name for the model: what is sent.
    pub model: Box<str>,
    /// The same as JSON.
    pub model_json: Json,
    /// `provider/model`, as answers and records name it.
    pub(super) name: Arc<str>,
    pub(super) seen_as: Arc<str>,
    /// Where a conversation goes: for a whole answer, and for a stream. None: what is configured is no address.
    pub(super) addresses: [Option<Uri>; 2],
    /// None: nobody knows what it costs, so it is refused where a money limit applies.
    pub price: Option<Price>,
    /// Where an answer says what it cost, which then is what it cost. None where the admin gave the price.
    pub stated: Option<StatedCost>,
    /// The most output tokens of one answer, where known.
    pub max_output: Option<u64>,
    /// Tokens of input and output together, where known.
    pub context: Option<u64>,
    pub capabilities: Capabilities,
    /// It continues texts as it is asked to; else it holds conversations alone.
    pub completes: bool,
    /// Changes to a request of the same dialect: the provider's, then those that follow from the model's capabilities.
    pub edits: Vec<Edit>,
    /// Where it stands among the others of its model.
    pub place: Place,
    /// Where it runs, as far as anybody has said.
    pub region: Option<Box<str>>,
}

impl Target {
    pub fn has(&self, capability: Capability) -> bool {
        self.capabilities.has(capability)
    }

    /// What `operation` costs here; none: nobody knows.
    pub fn price_of(&self, operation: Operation) -> Option<&Price> {
        self.price.as_ref().filter(|price| price.covers(operation))
    }

    /// The same model of the same provider with another credential.
    #[must_use]
    pub fn at(&self, provider: Arc<Provider>) -> Self {
        let seen_as = match &provider.stored {
            Some(whose) => format!("{} by {whose}", self.name).into(),
            None => self.name.clone(),
        };
        Self { provider, seen_as, ..self.clone() }
    }

    /// What it is to those who remember how calls of it went: with another's credential it is another, or a wrong one would put
    /// it out for all.
    pub fn seen_as(&self) -> &Arc<str> {
        &self.seen_as
    }

    /// `provider/model`.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Where a conversation goes; none: what is configured is no address.
    pub fn address(&self, stream: bool) -> Option<&Uri> {
        let [whole, streamed] = &self.addresses;
        if stream { streamed.as_ref() } else { whole.as_ref() }
    }
}

/// `provider/model`, as answers and records name it.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Sends requests elsewhere.
#[derive(Clone, Debug)]
pub struct Rule {
    pub when: Condition,
    /// A model that the policy knows.
    pub to: ModelName,
}

/// Names to go on with, in order. The policy knows each of them, and none leads back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fallbacks {
    /// When every target has failed.
    pub general: Vec<ModelName>,
    /// In place of whatever would be next, once a target has said that the request is longer than it can take.
    pub context_window: Vec<ModelName>,
    /// The same, once a target has said that its rules forbid the request.
    pub content_policy: Vec<ModelName>,
}

impl Fallbacks {
    pub fn all(&self) -> impl Iterator<Item = &ModelName> {
        self.general.iter().chain(&self.context_window).chain(&self.content_policy)
    }
}

/// How long a call may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From the sending of the request to the first byte of content.
    pub first: Duration,
    /// One attempt, from the sending of the request to the end of its answer. None: a whole answer has `first`, a stream
    /// what is left of `total`.
    pub attempt: Option<Duration>,
    /// Between two pieces of a stream.
    pub idle: Duration,
    /// All attempts together, to the end of the answer.
    pub total: Duration,
}

impl Timeouts {
    /// How long an attempt may take until the caller may have its answer: until a stream's first content, or all of a
    /// whole one.
    pub fn until_answer(&self, stream: bool) -> Duration {
        match self.attempt {
            Some(attempt) if stream => attempt.min(self.first),
            Some(attempt) => attempt,
            None => self.first,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            first: Duration::from_mins(2),
            attempt: None,
            idle: Duration::from_mins(1),
            total: Duration::from_mins(10),
        }
    }
}

/// Many names at once: `openai/*`.
#[derive(Clone, Debug)]
pub(super) struct Wildcard {
    /// What stands before the star.
    pub(super) prefix: Box<str>,
    pub(super) targets: Vec<WildcardTarget>,
    pub(super) strategy: Strategy,
    pub(super) fallbacks: Fallbacks,
    pub(super) rules: Arc<[Rule]>,
    pub(super) retries: Retries,
    pub(super) extras: Arc<Extras>,
    pub(super) timeouts: Timeouts,
    pub(super) repeats: Option<u32>,
    pub(super) estimate: Option<u64>,
    pub(super) cache: Option<Arc<Caching>>,
}

#[derive(Clone, Debug)]
pub(super) struct WildcardTarget {
    pub(super) provider: Arc<Provider>,
    /// The target's model: the star, if there is one, is what the caller's name has in its place.
    pub(super) model: Box<str>,
    /// The registry's name for what every such model is.
    pub(super) base_model: Option<Box<str>>,
    pub(super) price: Option<Price>,
    pub(super) max_output: Option<u64>,
    pub(super) context: Option<u64>,
    pub(super) place: Place,
    pub(super) region: Option<Box<str>>,
}
