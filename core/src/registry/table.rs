//! The rows of the embedded table: what `build.rs` writes and this crate reads.
//!
//! Invariant: this file is compiled twice, into the build script and into the crate, so that the two cannot disagree.
//! Of ours it therefore names `gatelet_wire` alone.

use std::collections::BTreeMap;

use gatelet_wire::{DialectId, Edit};
use serde::{Deserialize, Serialize};

/// One provider, as its file in `core/registry/` declares it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProviderRow {
    pub id: String,
    /// The name that people know it by.
    pub name: String,
    pub kind: Kind,
    pub dialect: DialectId,
    /// Where it listens, by the convention of its dialect; `{name}` is filled in from the configuration.
    pub base: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// Headers that every request carries.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<Edit>,
    /// Edits for those models only that are known to have a capability.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub when: Vec<When>,
    #[serde(default, skip_serializing_if = "Quirks::is_plain")]
    pub quirks: Quirks,
    /// Every model that has no row of its own costs nothing: true of machines that the admin pays for himself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub free: bool,
    #[serde(default, skip_serializing_if = "Catalogue::is_open")]
    pub catalogue: Catalogue,
    /// What callers may leave out in front of a model's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_prefix: Option<String>,
}

/// What sort of thing a provider is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A vendor on the internet.
    Hosted,
    /// A vendor that relays to others.
    Gateway,
    /// A server on the admin's own machines.
    Local,
    /// Part of this gateway; no network is involved.
    BuiltIn,
}

/// What a provider's model rows say about its other models.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Catalogue {
    /// There may be more models than rows.
    #[default]
    Open,
    /// There are no others.
    Closed,
    /// Callers name deployments: what is known of a model is found only where a target says which model it is.
    Deployments,
}

impl Catalogue {
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde's `skip_serializing_if` passes by reference"
    )]
    pub(super) fn is_open(&self) -> bool {
        *self == Self::Open
    }
}

/// How a request proves who sends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    pub scheme: Scheme,
    /// The environment variables that usually hold the secret, the usual one first.
    pub env: Vec<String>,
    /// A request without a secret is possible.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// `Authorization: Bearer <secret>`.
    Bearer,
    /// `<name>: <secret>`.
    Header(String),
}

/// Edits that hold for models with a capability.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    pub capability: Capability,
    pub edits: Vec<Edit>,
}

/// Where a provider departs from its dialect in ways that an edit cannot say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quirks {
    /// Whether `completion_tokens` counts reasoning.
    pub reasoning: Reasoning,
    /// How usage of a stream is obtained.
    pub stream_usage: StreamUsage,
    /// Where usage may stand besides the top level of a chunk: a dotted path, such as `x_groq.usage`.
    pub usage_at: Option<String>,
    /// Reasoning stands between `<think>` and `</think>` inside the content.
    pub think_tags: bool,
    /// The one form of tool call id that is accepted.
    pub tool_ids: ToolIds,
    /// Two turns of one role in a row are refused, so they are merged.
    pub alternate: bool,
    /// A user turn directly after a tool's result is refused by some models.
    pub assistant_after_tool: bool,
}

impl Quirks {
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reasoning {
    /// Output tokens include reasoning.
    #[default]
    Included,
    /// Reasoning is counted beside output, so the two are added.
    Excluded,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StreamUsage {
    /// By `stream_options.include_usage`.
    #[default]
    Ask,
    /// It comes unasked, and the field is refused.
    Unasked,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToolIds {
    #[default]
    Any,
    /// Exactly nine characters of `a-z A-Z 0-9`.
    Nine,
}

/// What a model is known to do, or known not to do. One letter each in the table; see [`Capability::LETTERS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    Tools,
    ToolChoice,
    ParallelTools,
    Schema,
    Reasoning,
    AdaptiveThinking,
    AlwaysThinks,
    Vision,
    Pdf,
    AudioInput,
    AudioOutput,
    VideoInput,
    PromptCache,
    WebSearch,
    Prefill,
    SystemAnywhere,
    /// It is reached by the Responses operation only.
    ResponsesOnly,
    NoTemperature,
    /// Neither temperature nor `top_p` nor `top_k`.
    NoSampling,
    NoSystem,
    NoStream,
    NoForcedTool,
    NoToolChoice,
    NoSchema,
}

impl Capability {
    pub const LETTERS: &[(char, Self)] = &[
        ('t', Self::Tools),
        ('c', Self::ToolChoice),
        ('l', Self::ParallelTools),
        ('s', Self::Schema),
        ('r', Self::Reasoning),
        ('a', Self::AdaptiveThinking),
        ('k', Self::AlwaysThinks),
        ('v', Self::Vision),
        ('p', Self::Pdf),
        ('i', Self::AudioInput),
        ('o', Self::AudioOutput),
        ('m', Self::VideoInput),
        ('h', Self::PromptCache),
        ('w', Self::WebSearch),
        ('f', Self::Prefill),
        ('y', Self::SystemAnywhere),
        ('R', Self::ResponsesOnly),
        ('T', Self::NoTemperature),
        ('S', Self::NoSampling),
        ('Y', Self::NoSystem),
        ('M', Self::NoStream),
        ('F', Self::NoForcedTool),
        ('C', Self::NoToolChoice),
        ('X', Self::NoSchema),
    ];
}

/// One model; in the table a line of JSON, an array in the order of these fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ModelRow {
    pub id: String,
    /// Tokens of input and output together, 0 where unknown.
    pub context: u64,
    /// The most output tokens, 0 where unknown.
    pub max_output: u64,
    /// One letter per [`Capability`].
    pub capabilities: String,
    /// The date (`YYYY-MM-DD`) on which it is shut down, or empty.
    pub deprecated: String,
    pub price: Option<PriceRow>,
}

/// Prices as the table has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PriceRow {
    pub base: RateRow,
    /// By rising mark.
    pub tiers: Vec<TierRow>,
    pub services: Vec<ServiceRow>,
}

/// Pico-dollars per unit, in the order of [`RATES`]; `None` where the table says nothing.
pub(super) type RateRow = Vec<Option<u64>>;

/// The mark above which it holds, and its rates.
pub(super) type TierRow = (u64, RateRow);

/// A service tier's name, rates and tiers.
pub(super) type ServiceRow = (String, RateRow, Vec<TierRow>);

/// The kinds of rate, in the order of the arrays in [`PriceRow`].
pub(crate) const RATES: [&str; 19] = [
    "input",
    "output",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "cache_write_12h",
    "reasoning",
    "audio_input",
    "audio_output",
    "image_input",
    "web_search",
    "request",
    "image_output",
    "character_input",
    "second_input",
    "second_output",
    "picture",
    "page",
    "query",
];

/// Rates that are for one of a thing, where the others are for tokens or characters by the million.
pub(crate) const SINGLE: [&str; 7] =
    ["web_search", "request", "second_input", "second_output", "picture", "page", "query"];
