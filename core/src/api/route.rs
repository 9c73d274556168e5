//! The route table: what an address means, and in which dialect its errors are said.

use std::borrow::Cow;
use std::sync::Arc;

use gatelet_wire::dialect::Addressed;
use gatelet_wire::{DialectId, Operation};
use http::{HeaderMap, HeaderName};

use super::litellm;
use crate::pipeline::Asking;
use crate::policy::Provider;
use crate::registry::Catalogue;
use crate::shared::Core;

mod aws;
mod google;

// Names that are made once: to make one costs more than to look for it.
static ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");
static GOOGLE_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");

/// What is asked for. Paths are those of the vendors' own SDKs, so that only the base URL changes.
#[derive(Clone, Debug)]
pub(crate) enum Route<'a> {
    /// Something of a model.
    Ask(Asking),
    /// Answers that the caller goes on from.
    Responses(Responses<'a>),
    Models(DialectId),
    /// One model, by the name that callers use.
    Model(DialectId, String),
    /// One model, named by the body, as Ollama's clients ask for it.
    Show,
    /// The version, for clients that ask before they speak.
    Version,
    Live,
    Ready,
    Metrics,
    /// What follows `/admin/v1`.
    Admin(Vec<&'a str>),
    /// One of LiteLLM's management routes, in segments.
    Litellm(Vec<&'a str>),
    Hello,
    /// A provider's own interface, what follows its name in the path, and what that asks for where it is known.
    Native(Arc<Provider>, &'a str, Option<Asking>),
    /// None of ours; the dialect is guessed, for the error's shape.
    Nowhere(DialectId),
}

/// What is asked of answers that are kept; with an answer's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Responses<'a> {
    Create,
    /// To make a conversation short.
    Compact,
    One(&'a str),
    Cancel(&'a str),
    /// What an answer was given to.
    Input(&'a str),
}

impl<'a> Route<'a> {
    pub(crate) fn of(path: &'a str, query: Option<&str>, headers: &HeaderMap) -> Self {
        // A vendor's SDK sends this with every request, whatever its path.
        let anthropic = headers.contains_key(&ANTHROPIC_VERSION);
        let google = headers.contains_key(&GOOGLE_KEY);
        let vendor = || match (anthropic, google) {
            (true, _) => DialectId::Anthropic,
            (false, true) => DialectId::Gemini,
            (false, false) => DialectId::Openai,
        };
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        if litellm::knows(&segments) {
            return Self::Litellm(segments);
        }
        if let Some(asking) = google::ask(&segments, query) {
            return Self::Ask(asking);
        }
        if let Some(asking) = aws::ask(&segments) {
            return Self::Ask(asking);
        }
        match segments.as_slice() {
            ["v1", "chat", "completions"]
            | ["openai", "v1", "chat", "completions"]
            | ["chat", "completions"] => Self::ask(Operation::Chat, DialectId::Openai),
            ["openai", "deployments", deployment, "chat", "completions"] => Self::Ask(Asking {
                operation: Operation::Chat,
                dialect: DialectId::Openai,
                addressed: Addressed { model: Some((*deployment).to_owned()), ..Addressed::default() },
            }),
            ["v1", "messages"] | ["anthropic", "v1", "messages"] => {
                Self::ask(Operation::Chat, DialectId::Anthropic)
            }
            ["api", "chat"] | ["ollama", "api", "chat"] => Self::ask(Operation::Chat, DialectId::Ollama),
            ["api", "generate"] | ["ollama", "api", "generate"] => {
                Self::ask(Operation::Completion, DialectId::Ollama)
            }
            ["v2", "chat"] | ["cohere", "v2", "chat"] => Self::ask(Operation::Chat, DialectId::Cohere),
            ["v1", "messages", "count_tokens"] | ["anthropic", "v1", "messages", "count_tokens"] => {
                Self::ask(Operation::TokenCount, DialectId::Anthropic)
            }
            ["v1", "responses", "input_tokens"] | ["responses", "input_tokens"] => {
                Self::ask(Operation::TokenCount, DialectId::OpenaiResponses)
            }
            ["v1", "responses", rest @ ..] | ["responses", rest @ ..] => Self::responses(rest),
            ["v1", "completions"] | ["completions"] => Self::ask(Operation::Completion, DialectId::Openai),
            ["v1", "moderations"] | ["moderations"] => Self::ask(Operation::Moderation, DialectId::Openai),
            ["v1", "rerank"] | ["rerank"] => Self::ask(Operation::Rerank, DialectId::Openai),
            ["v2", "rerank"] | ["cohere", "v2", "rerank"] => Self::ask(Operation::Rerank, DialectId::Cohere),
            ["v1", "images", "generations"] | ["images", "generations"] => {
                Self::ask(Operation::Image, DialectId::Openai)
            }
            ["v1", "images", "edits"] | ["images", "edits"] => {
                Self::ask(Operation::ImageEdit, DialectId::Openai)
            }
            ["v1", "audio", "speech"] | ["audio", "speech"] => {
                Self::ask(Operation::Speech, DialectId::Openai)
            }
            ["v1", "audio", "transcriptions"] | ["audio", "transcriptions"] => {
                Self::ask(Operation::Transcription, DialectId::Openai)
            }
            ["v1", "audio", "translations"] | ["audio", "translations"] => {
                Self::ask(Operation::Translation, DialectId::Openai)
            }
            ["api", "embed"] | ["ollama", "api", "embed"] => {
                Self::ask(Operation::Embedding, DialectId::Ollama)
            }
            ["v1", "embeddings"] | ["embeddings"] => Self::ask(Operation::Embedding, DialectId::Openai),
            ["v2", "embed"] | ["cohere", "v2", "embed"] => Self::ask(Operation::Embedding, DialectId::Cohere),
            ["v1", "models"] | ["models"] => Self::Models(vendor()),
            ["v1beta", "models"] | ["gemini", "v1beta" | "v1", "models"] => Self::Models(DialectId::Gemini),
            ["v1beta", "models", model @ ..] | ["gemini", "v1beta" | "v1", "models", model @ ..] => {
                Self::Model(DialectId::Gemini, model.join("/"))
            }
            ["anthropic", "v1", "models"] => Self::Models(DialectId::Anthropic),
            ["anthropic", "v1", "models", model @ ..] | ["anthropic", "models", model @ ..] => {
                Self::Model(DialectId::Anthropic, model.join("/"))
            }
            ["v1", "models", model @ ..] | ["models", model @ ..] => Self::Model(vendor(), model.join("/")),
            ["health", "live"] => Self::Live,
            ["health", "ready"] => Self::Ready,
            ["metrics"] => Self::Metrics,
            ["admin", "v1", rest @ ..] => Self::Admin(rest.to_vec()),
            [] => Self::Hello,
            ["anthropic", ..] => Self::Nowhere(DialectId::Anthropic),
            ["api", "tags"] | ["ollama", "api", "tags"] => Self::Models(DialectId::Ollama),
            ["api", "show"] | ["ollama", "api", "show"] => Self::Show,
            ["api", "version"] | ["ollama", "api", "version"] => Self::Version,
            ["api" | "ollama", ..] => Self::Nowhere(DialectId::Ollama),
            ["v1beta" | "gemini", ..] => Self::Nowhere(DialectId::Gemini),
            ["model" | "bedrock", ..] => Self::Nowhere(DialectId::Bedrock),
            ["v2" | "cohere", ..] => Self::Nowhere(DialectId::Cohere),
            _ => Self::Nowhere(vendor()),
        }
    }

    /// A path that is none of ours may be one of a provider's.
    pub(crate) fn or_native(self, path: &'a str, headers: &HeaderMap, core: &Core) -> Self {
        let Self::Nowhere(dialect) = self else { return self };
        let (id, rest) = path.strip_prefix('/').unwrap_or(path).split_once('/').unwrap_or_default();
        let policy = core.policy();
        let Some(provider) = policy.provider(id) else { return Self::Nowhere(dialect) };
        let rest = path.get(id.len() + 1..).unwrap_or(rest);
        let below = provider.below(rest);
        let own = provider.base.splitn(4, '/').nth(3).unwrap_or_default();
        let known = asked(&format!("/{own}{below}"), headers).or_else(|| asked(below, headers));
        // What serves no models has no paths that we know.
        let known = known.filter(|_| provider.catalogue != Catalogue::Closed);
        Self::Native(provider.clone(), rest, known)
    }

    /// What an address asks of a model that the body names.
    fn ask(operation: Operation, dialect: DialectId) -> Self {
        Self::Ask(Asking { operation, dialect, addressed: Addressed::default() })
    }

    fn responses(rest: &[&'a str]) -> Self {
        Self::Responses(match *rest {
            [] => Responses::Create,
            ["compact"] => Responses::Compact,
            [id] => Responses::One(id),
            [id, "cancel"] => Responses::Cancel(id),
            [id, "input_items"] => Responses::Input(id),
            _ => return Self::Nowhere(DialectId::OpenaiResponses),
        })
    }

    /// The dialect in which a refusal is said.
    pub(crate) fn dialect(&self) -> DialectId {
        match self {
            Self::Ask(asking) => asking.dialect,
            Self::Native(provider, _, known) => {
                known.as_ref().map_or(provider.dialect, |asking| asking.dialect)
            }
            Self::Models(dialect) | Self::Model(dialect, _) | Self::Nowhere(dialect) => *dialect,
            Self::Responses(_) => DialectId::OpenaiResponses,
            Self::Show => DialectId::Ollama,
            Self::Version
            | Self::Live
            | Self::Ready
            | Self::Metrics
            | Self::Admin(_)
            | Self::Litellm(_)
            | Self::Hello => DialectId::Openai,
        }
    }
}

/// What a path asks of a model, if it is one of ours.
fn asked(path: &str, headers: &HeaderMap) -> Option<Asking> {
    match Route::of(path, None, headers) {
        // Prompts are made into conversations on the way, and a provider's own interface takes the bytes as they are.
        Route::Ask(Asking { operation: Operation::Completion, dialect: DialectId::Ollama, .. }) => None,
        Route::Ask(asking) => Some(asking),
        _ => None,
    }
}

/// A part of a path without its percent signs; none if it is no text.
pub(super) fn decoded(part: &str) -> Option<String> {
    percent_encoding::percent_decode_str(part).decode_utf8().ok().map(Cow::into_owned)
}
