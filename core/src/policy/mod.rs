//! What the gateway may do, as its admin decided it.
//!
//! An admin writes a document (YAML or JSON); [`Policy::read`] checks it against the registry and the host's secrets
//! and gives the compiled policy that the pipeline reads: every reference resolved, every price known or known to be
//! missing, behind an `Arc`.

mod alert;
mod cache;
mod check;
mod compile;
mod content;
mod declare;
mod detector;
mod document;
mod extras;
mod fetch;
mod guard;
mod metrics;
mod model;
mod node;
mod price;
mod problem;
mod prompts;
mod provider;
mod read;
mod recourse;
mod residency;
mod resolve;
mod retention;
mod rings;
mod routing;
mod semantic;
mod sink;
mod topics;

use std::sync::{Arc, RwLock};

use gatelet_wire::SmallMap;

pub use alert::{Channel, Event, Mailer, Way};
pub use cache::{CacheBounds, Caching, Control, Share};
pub use check::{Check, Probe};
pub use content::{Contents, Mode};
pub use extras::{Affinity, CopyTo, Extras, Hedge, Resume};
pub use fetch::Fetch;
pub use guard::{Guards, Whom};
pub use metrics::Metrics;
pub use model::{Fallbacks, Model, ModelName, Rule, Target, Timeouts};
pub use problem::{Problem, Problems};
pub use provider::{Passthrough, Provider};
pub use recourse::{Retries, Wrong};
pub use residency::Pin;
pub use retention::{Retention, whose};
pub use semantic::{Index, IndexKind, Semantic};
pub use sink::{Sink, SinkWay};

use crate::domain::Cidr;
use crate::domain::account::Limits;
use crate::registry::Registry;
use crate::route::Rules;

/// The reference of all keys, and the document of a gateway that is given no other: it sets nothing.
pub const DEFAULT: &str = include_str!("../../../gatelet.default.yaml");

/// The compiled policy. Immutable: a change of the document makes a new one.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    providers: SmallMap<Box<str>, Arc<Provider>>,
    models: SmallMap<ModelName, Arc<Model>>,
    /// Longest prefix first, so that the first that fits is the most particular.
    wildcards: Vec<model::Wildcard>,
    /// What wildcards have made, so that a name is looked up in the table once. Bounded, since callers choose names.
    made: Arc<RwLock<SmallMap<Box<str>, Arc<Model>>>>,
    /// The document writes `models`: what they do not reach is closed.
    listed: bool,
    key_limits: Limits,
    imported_keys: bool,
    health: Rules,
    checks: Vec<Check>,
    cache: CacheBounds,
    /// Some model's answers are kept.
    caches: bool,
    /// What stands before the gateway and says truly who sent a request.
    proxies: Vec<Cidr>,
    /// Who is told what an admin should know.
    channels: Vec<Channel>,
    /// Who is told of each request.
    sinks: Vec<Sink>,
    /// Of whose requests prompts and answers are kept.
    contents: Contents,
    metrics: Metrics,
    /// Where answers lie that callers go on from.
    responses: Option<Box<str>>,
    /// For how long the archive keeps what.
    retention: Retention,
    /// None: nothing is fetched.
    fetch: Option<Fetch>,
    /// Who is pinned to where.
    pins: Vec<Pin>,
    guards: Guards,
    /// Prompts that requests may name.
    prompts: prompts::Prompts,
    registry: Registry,
}

/// What a model's name means.
#[derive(Clone, Debug)]
pub enum Resolution {
    Found(Arc<Model>),
    /// Nothing has this name; these resemble it, best first.
    Unknown {
        near: Vec<String>,
    },
}

/// The host's settings, as far as a policy asks for them.
pub struct Host<'a> {
    /// Reads one of the host's secrets or environment variables.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// A local Ollama has answered.
    pub ollama: bool,
    /// Providers, and what is known of their models.
    pub registry: Registry,
}

impl std::fmt::Debug for Host<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("ollama", &self.ollama).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
