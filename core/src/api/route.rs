//! The route table: what an address means, and in which dialect its errors are said.

use gatelet_wire::dialect::Addressed;
use gatelet_wire::{DialectId, Operation};
use http::HeaderMap;

use crate::pipeline::Asking;

/// What is asked for. Paths are those of the vendors' own SDKs, so that only the base URL changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// Something of a model.
    Ask(Asking),
    Models(DialectId),
    /// One model, by the name that callers use.
    Model(DialectId, String),
    Live,
    Ready,
    /// What follows `/admin/v1`.
    Admin(Vec<&'a str>),
    Hello,
    /// None of ours; the dialect is guessed, for the error's shape.
    Nowhere(DialectId),
}

impl<'a> Route<'a> {
    pub(crate) fn of(path: &'a str, headers: &HeaderMap) -> Self {
        // A vendor's SDK sends this with every request, whatever its path.
        let anthropic = headers.contains_key("anthropic-version");
        let vendor = || if anthropic { DialectId::Anthropic } else { DialectId::Openai };
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        match segments.as_slice() {
            ["v1", "chat", "completions"] | ["chat", "completions"] => {
                Self::ask(Operation::Chat, DialectId::Openai)
            }
            ["v1", "responses"] | ["responses"] => Self::ask(Operation::Chat, DialectId::OpenaiResponses),
            ["v1", "messages"] | ["anthropic", "v1", "messages"] => {
                Self::ask(Operation::Chat, DialectId::Anthropic)
            }
            ["api", "chat"] | ["ollama", "api", "chat"] => Self::ask(Operation::Chat, DialectId::Ollama),
            ["v2", "chat"] | ["cohere", "v2", "chat"] => Self::ask(Operation::Chat, DialectId::Cohere),
            ["v1", "embeddings"] | ["embeddings"] => Self::ask(Operation::Embedding, DialectId::Openai),
            ["v1", "models"] | ["models"] => Self::Models(vendor()),
            ["anthropic", "v1", "models"] => Self::Models(DialectId::Anthropic),
            ["anthropic", "v1", "models", model @ ..] | ["anthropic", "models", model @ ..] => {
                Self::Model(DialectId::Anthropic, model.join("/"))
            }
            ["v1", "models", model @ ..] => Self::Model(vendor(), model.join("/")),
            ["health", "live"] => Self::Live,
            ["health", "ready"] => Self::Ready,
            ["admin", "v1", rest @ ..] => Self::Admin(rest.to_vec()),
            [] => Self::Hello,
            ["anthropic", ..] => Self::Nowhere(DialectId::Anthropic),
            ["api" | "ollama", ..] => Self::Nowhere(DialectId::Ollama),
            ["v2" | "cohere", ..] => Self::Nowhere(DialectId::Cohere),
            _ => Self::Nowhere(vendor()),
        }
    }

    /// What an address asks of a model that the body names.
    fn ask(operation: Operation, dialect: DialectId) -> Self {
        Self::Ask(Asking { operation, dialect, addressed: Addressed::default() })
    }

    /// The dialect in which a refusal is said.
    pub(crate) fn dialect(&self) -> DialectId {
        match self {
            Self::Ask(asking) => asking.dialect,
            Self::Models(dialect) | Self::Model(dialect, _) | Self::Nowhere(dialect) => *dialect,
            Self::Live | Self::Ready | Self::Admin(_) | Self::Hello => DialectId::Openai,
        }
    }
}
