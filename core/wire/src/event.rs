//! The alphabet of streams.
//!
//! Grammar, per stream: `Start`, then for each choice a sequence of parts, each `PartStart delta* PartStop` with
//! `part` counting 0, 1, 2 …, then that choice's `Stop`; `Usage`, `Meta` and `Logprobs` anywhere after `Start` (of
//! usage the last one counts); `Ping` and `Foreign` anywhere; `End` last, and only when the upstream said its end.
//! `Error` ends a stream instead of `End`. [`Grammar`] checks all this.

mod grammar;

pub use grammar::Grammar;

use crate::chat::{Citation, Content, Extra, Stop, ToolKind};
use crate::{DialectId, Json, UpstreamError, Usage};

#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    Start {
        id: String,
        model: String,
        created: Option<u64>,
    },
    PartStart {
        choice: u32,
        part: u32,
        kind: PartKind,
        /// What only the dialect knows of this part.
        extra: Extra,
    },
    Delta {
        choice: u32,
        part: u32,
        delta: Delta,
    },
    PartStop {
        choice: u32,
        part: u32,
    },
    Stop {
        choice: u32,
        stop: Stop,
    },
    /// Cumulative: replaces what was said before.
    Usage(Usage),
    /// Facts about the whole answer that arrive beside it; later ones replace earlier ones of the same name.
    Meta {
        service_tier: Option<String>,
        extra: Extra,
    },
    /// The upstream is alive and has nothing to say yet.
    Ping,
    Logprobs {
        choice: u32,
        json: Json,
    },
    /// An event that only its dialect knows; forwarded raw where the dialect is the same, counted always.
    Foreign {
        dialect: DialectId,
        name: Option<String>,
        json: Json,
    },
    /// The upstream failed inside its stream.
    Error(UpstreamError),
    /// The upstream said that this is all.
    End,
}

impl Event {
    /// Whether a caller would see content in this event: the first one commits the attempt.
    pub fn is_content(&self) -> bool {
        match self {
            Self::PartStart { kind, .. } => match kind {
                PartKind::ToolCall { .. }
                | PartKind::RedactedThinking { .. }
                | PartKind::Whole(_)
                | PartKind::Foreign { .. } => true,
                PartKind::Text | PartKind::Thinking | PartKind::Refusal => false,
            },
            Self::Delta { .. } | Self::Stop { .. } => true,
            Self::Start { .. }
            | Self::PartStop { .. }
            | Self::Usage(_)
            | Self::Meta { .. }
            | Self::Ping
            | Self::Logprobs { .. }
            | Self::Foreign { .. }
            | Self::Error(_)
            | Self::End => false,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum PartKind {
    Text,
    Thinking,
    RedactedThinking {
        data: String,
    },
    ToolCall {
        id: String,
        name: String,
        kind: ToolKind,
    },
    Refusal,
    /// Content that arrives in one piece: images, audio, documents. Never a kind that has its own word here.
    Whole(Box<Content>),
    Foreign {
        dialect: DialectId,
        json: Json,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    Text(String),
    Thinking(String),
    Signature(String),
    /// A fragment of a tool call's arguments: JSON text, cut anywhere.
    Arguments(String),
    Citation(Box<Citation>),
    Refusal(String),
}
