//! The rows of providers: what `build.rs` writes and this crate reads.
//!
//! Invariant: this file is compiled twice, into the build script and into the crate, so that the two cannot disagree.
//! Of ours it therefore names `gatelet_wire` and `gatelet_catalogue` alone.

use gatelet_catalogue::Capability;
use gatelet_wire::frame::envelope::Envelope;
use gatelet_wire::{Edit, Idiom, SmallMap};
use serde::{Deserialize, Serialize};

/// One provider, as its file in `core/registry/` declares it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProviderRow {
    /// The file's name; in a line of the crate's own the line's.
    #[serde(default, skip_serializing)]
    pub id: String,
    /// The name that people know it by.
    pub name: String,
    #[serde(default, skip_serializing_if = "is_default")]
    pub kind: Kind,
    /// The word for its language, which this build may not speak: `build.rs` has all of them.
    #[serde(default = "usual_dialect", skip_serializing_if = "is_usual_dialect")]
    pub dialect: String,
    /// Where it listens, by the convention of its dialect; `{name}`, one of [`PLACES`], is filled in from the
    /// configuration or from a variable that `fill` names.
    pub base: String,
    /// Where conversations are sent after the base, where that is not the dialect's own path: `{model}` stands for the
    /// model, any of [`PLACES`] for what the base could have too, and a query may follow. With `{path}`, which stands for
    /// the dialect's own path, it holds for every operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The same for those that are to be streamed, where that is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_path: Option<String>,
    /// The same for the question how many tokens a conversation has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count_path: Option<String>,
    /// Nobody has confirmed the base: whoever uses it says so in the configuration.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub confirm: bool,
    /// Bases of single regions, by the word that the configuration says as `region`.
    #[serde(default, skip_serializing_if = "SmallMap::is_empty")]
    pub bases: SmallMap<String, String>,
    /// Other dialects that it speaks, elsewhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Also>,
    /// Ways to prove who sends a request, the usual one first. None: there is nothing to prove.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub auth: Vec<Auth>,
    /// Variables that usually hold what stands for a place in the base.
    #[serde(default, skip_serializing_if = "SmallMap::is_empty")]
    pub fill: SmallMap<String, Vec<String>>,
    /// What stands for a place that neither the configuration nor a variable fills.
    #[serde(default, skip_serializing_if = "SmallMap::is_empty")]
    pub usual: SmallMap<String, String>,
    /// Places of which one at least must be filled, though they are no part of an address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// Headers that every request carries; one with a place that nothing fills is left out.
    #[serde(default, skip_serializing_if = "SmallMap::is_empty")]
    pub headers: SmallMap<String, String>,
    /// What it serves itself, as far as known. Anything else may be reached by its own paths.
    #[serde(default = "chat_alone", skip_serializing_if = "is_chat_alone")]
    pub endpoints: Vec<Endpoint>,
    /// Where data is processed, as far as known: `eu`, `us`, `ch`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,
    /// Other names by which people know it.
    #[serde(default, skip_serializing)]
    pub aliases: Vec<String>,
    /// The provider whose models it has too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<String>,
    /// Its models are in every executable, not in the full catalogue alone.
    #[serde(default, skip_serializing)]
    pub embedded: Embedded,
    /// It speaks its dialect as it was at first: `max_tokens`, no role `developer`, no marks for caches.
    #[serde(default, skip_serializing_if = "is_default")]
    pub classic: bool,
    /// Changes to requests. Texts that `set` and `default` put in may hold places; one that nothing fills is not put in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<Edit>,
    /// Changes to requests of operations that are no conversations, by the words for these.
    #[serde(default, skip_serializing_if = "SmallMap::is_empty")]
    pub edits_on: SmallMap<String, Vec<Edit>>,
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

/// A provider that holds no conversations, or in a language of its own that nobody translates: it is reached by its own
/// paths alone.
pub(crate) const NATIVE: &str = "native";

/// What may stand in braces in a base, a path, a header or an edit.
pub const PLACES: &[&str] =
    &["account", "compartment", "gateway", "host", "project", "region", "resource", "space", "version"];

/// Which of a provider's models every executable carries, beside the full catalogue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Embedded {
    #[default]
    None,
    /// Those whose id has no slash: the others are regional prices, or sizes of pictures.
    Plain,
    All,
}

fn usual_dialect() -> String {
    "openai".to_owned()
}

fn is_usual_dialect(dialect: &str) -> bool {
    dialect == "openai"
}

fn chat_alone() -> Vec<Endpoint> {
    vec![Endpoint::Chat]
}

fn is_chat_alone(endpoints: &[Endpoint]) -> bool {
    endpoints == [Endpoint::Chat]
}

/// What sort of thing a provider is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A vendor on the internet.
    #[default]
    Hosted,
    /// A vendor that relays to others.
    Gateway,
    /// A server on the admin's own machines.
    Local,
    /// Part of this gateway; no network is involved.
    BuiltIn,
}

impl Kind {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Hosted => "hosted",
            Self::Gateway => "gateway",
            Self::Local => "local",
            Self::BuiltIn => "built-in",
        }
    }
}

/// Another dialect of a provider, and where it speaks it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Also {
    /// One of the words of `dialect`.
    pub dialect: String,
    pub base: String,
    /// Changes to requests in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<Edit>,
}

/// An operation that a provider serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Endpoint {
    /// Conversations in its own dialect.
    Chat,
    /// `OpenAI`'s Responses.
    Responses,
    /// Anthropic's Messages.
    Messages,
    CountTokens,
    Completions,
    Embeddings,
    Rerank,
    Moderations,
    Images,
    ImageEdits,
    Speech,
    Transcriptions,
    Videos,
    Ocr,
    Search,
    Realtime,
    Files,
    Batches,
    VectorStores,
}

impl Endpoint {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::CountTokens => "count-tokens",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Rerank => "rerank",
            Self::Moderations => "moderations",
            Self::Images => "images",
            Self::ImageEdits => "image-edits",
            Self::Speech => "speech",
            Self::Transcriptions => "transcriptions",
            Self::Videos => "videos",
            Self::Ocr => "ocr",
            Self::Search => "search",
            Self::Realtime => "realtime",
            Self::Files => "files",
            Self::Batches => "batches",
            Self::VectorStores => "vector-stores",
        }
    }
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
    #[serde(default, skip_serializing_if = "is_default")]
    pub scheme: Scheme,
    /// The environment variables that usually hold the secret, the usual one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// Further variables that the scheme reads beside the secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub with: Vec<String>,
    /// A request without a secret is possible.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// `Authorization: Bearer <secret>`.
    #[default]
    Bearer,
    /// `<name>: <secret>`.
    Header(String),
    /// `<name>: <prefix><secret>`.
    Prefixed(String, String),
    /// `Authorization: Basic <secret in base64>`; the secret is `user:password`.
    Basic,
    /// `?<name>=<secret>`.
    Query(String),
    /// AWS Signature 4 for a service of this name.
    Sigv4(String),
    /// Google's service accounts and application default credentials.
    Google,
    /// Microsoft Entra ID.
    Entra,
    /// IBM's identity service, where a key becomes a token.
    IbmIam,
    /// Oracle's signatures.
    Oci,
    /// A token that is signed with the account's key pair.
    SnowflakeJwt,
    /// Client credentials become a token at this address, in which places may stand; its query may name the scope.
    Oauth(String),
    /// A token that is signed with the secret itself.
    Jwt,
}

impl Scheme {
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Header(_) => "header",
            Self::Prefixed(..) => "prefixed",
            Self::Basic => "basic",
            Self::Query(_) => "query",
            Self::Sigv4(_) => "sigv4",
            Self::Google => "google",
            Self::Entra => "entra",
            Self::IbmIam => "ibm-iam",
            Self::Oci => "oci",
            Self::SnowflakeJwt => "snowflake-jwt",
            Self::Oauth(_) => "oauth",
            Self::Jwt => "jwt",
        }
    }

    /// Whether its secret is JSON with several parts, or may be.
    pub const fn reads_json(&self) -> bool {
        match self {
            Self::Google | Self::Entra | Self::Oci | Self::SnowflakeJwt | Self::Oauth(_) => true,
            Self::Bearer
            | Self::Header(_)
            | Self::Prefixed(..)
            | Self::Basic
            | Self::Query(_)
            | Self::Sigv4(_)
            | Self::IbmIam
            | Self::Jwt => false,
        }
    }

    /// The parts of a secret whose variables the host has one by one, in the order of these: as names in JSON; none where
    /// they are parted by colons, or where there is one alone.
    pub const fn parts(&self) -> &'static [&'static str] {
        match self {
            Self::Oci => &["key", "user", "fingerprint", "tenancy"],
            Self::SnowflakeJwt => &["private_key", "user", "account"],
            Self::Entra => &["client_secret", "client_id", "tenant_id"],
            Self::Bearer
            | Self::Header(_)
            | Self::Prefixed(..)
            | Self::Basic
            | Self::Query(_)
            | Self::Sigv4(_)
            | Self::Google
            | Self::IbmIam
            | Self::Oauth(_)
            | Self::Jwt => &[],
        }
    }
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
#[expect(clippy::struct_excessive_bools, reason = "each is one independent fact of a provider")]
pub struct Quirks {
    /// Whether `completion_tokens` counts reasoning.
    #[serde(skip_serializing_if = "is_default")]
    pub reasoning: Reasoning,
    /// How usage of a stream is obtained.
    #[serde(skip_serializing_if = "is_default")]
    pub stream_usage: StreamUsage,
    /// Where an answer says what it cost: what it says is charged, in place of the catalogue's price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<StatedCost>,
    /// Reasoning stands between `<think>` and `</think>` inside the content.
    #[serde(skip_serializing_if = "is_default")]
    pub think_tags: bool,
    /// It says the dialect's conversations in bodies of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idiom: Option<Idiom>,
    /// What is around the dialect's stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub envelope: Option<Envelope>,
    /// Content of answers may be a list of parts, reasoning among them, where the dialect's clients read text: answers are
    /// written anew.
    #[serde(skip_serializing_if = "is_default")]
    pub content_lists: bool,
    /// Which of the betas that Anthropic's callers ask for in a header it takes; none: all, in that header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub betas: Option<Betas>,
    /// It fetches no images and files by their addresses, though its dialect has words for them.
    #[serde(skip_serializing_if = "is_default")]
    pub bytes_only: bool,
    /// Its models for conversations refuse to continue texts, which others do.
    #[serde(skip_serializing_if = "is_default")]
    pub modes_apart: bool,
}

impl Quirks {
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Where an answer says its cost, and in what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatedCost {
    /// A dotted path in the answer, or in a stream's chunk: `usage.cost`.
    pub at: String,
    /// The number counts 10⁻ⁿ US dollars.
    #[serde(default, skip_serializing_if = "is_default")]
    pub decimals: u32,
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

/// Anthropic's betas at another vendor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Betas {
    /// Their names; `name=other` where it is called otherwise there.
    pub taken: Vec<String>,
    /// They are asked for in the body, as `anthropic_beta`.
    #[serde(skip_serializing_if = "is_default")]
    pub in_body: bool,
}

impl Betas {
    /// What is sent for `name`; none: the vendor does not know it.
    pub fn sent(&self, name: &str) -> Option<&str> {
        self.taken.iter().find_map(|taken| {
            let (known, sent) = taken.split_once('=').unwrap_or((taken, taken));
            (known == name).then_some(sent)
        })
    }
}
