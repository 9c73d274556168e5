//! A conversation with a model, as no single dialect says it.
//!
//! Modelled on the richest dialect: content in parts, thinking with signatures, tool results with parts. `extra`
//! keeps fields that only their own dialect knows; they are written again only into that same dialect, and noted as
//! [`Loss`](crate::Loss) elsewhere.

use crate::{DialectId, Json, Loss, Usage};

/// A request for one answer (or `choices` of them).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    pub model: String,
    /// In the order of the caller, system messages in their places.
    pub messages: Vec<Message>,
    pub tools: Vec<Tool>,
    pub tool_choice: Option<ToolChoice>,
    pub parallel_tool_calls: Option<bool>,
    /// The most tokens that may be generated, reasoning included.
    pub max_output_tokens: Option<u64>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub top_k: Option<u64>,
    pub stop: Vec<String>,
    pub seed: Option<i64>,
    pub frequency_penalty: Option<f64>,
    pub presence_penalty: Option<f64>,
    /// How many answers; none means one.
    pub choices: Option<u32>,
    /// Whether the answer tells how probable its tokens were.
    pub logprobs: Option<bool>,
    /// For how many other tokens at each place it tells that too.
    pub top_logprobs: Option<u64>,
    pub reasoning: Option<Reasoning>,
    pub format: Option<Format>,
    pub stream: bool,
    /// The caller wants a usage chunk at the end of its stream (dialects that always send usage ignore it).
    pub stream_usage: bool,
    /// An opaque name of the end user.
    pub user: Option<String>,
    pub service_tier: Option<String>,
    pub extra: Extra,
}

impl Request {
    /// Visits the media that users send and that tools answer with, in their order.
    pub fn each_source(&mut self, visit: &mut dyn FnMut(Media, &mut Source)) {
        for message in self.messages.iter_mut().filter(|message| message.role == Role::User) {
            each_source(&mut message.parts, visit);
        }
    }
}

fn each_source(parts: &mut [Part], visit: &mut dyn FnMut(Media, &mut Source)) {
    for part in parts {
        match &mut part.content {
            Content::Image { source, .. } => visit(Media::Image, source),
            Content::Audio { source, .. } => visit(Media::Audio, source),
            Content::Document { source, .. } => visit(Media::Document, source),
            Content::ToolResult(result) => each_source(&mut result.parts, visit),
            Content::Text { .. }
            | Content::ToolCall(_)
            | Content::Thinking { .. }
            | Content::RedactedThinking { .. }
            | Content::Refusal { .. }
            | Content::Foreign { .. } => {}
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub role: Role,
    pub parts: Vec<Part>,
    pub name: Option<String>,
    pub extra: Extra,
}

/// Who speaks. Tool results are parts of a user's message, as in the richest dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    System,
    Developer,
    User,
    Assistant,
}

/// One piece of content.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    pub content: Content,
    /// The prompt may be cached up to and including this part.
    pub cache: Option<CacheMark>,
    pub extra: Extra,
}

impl From<Content> for Part {
    fn from(content: Content) -> Self {
        Self { content, cache: None, extra: Extra::default() }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    Text {
        text: String,
        citations: Vec<Citation>,
    },
    Image {
        source: Source,
        detail: Option<String>,
    },
    Audio {
        source: Source,
        format: Option<String>,
    },
    Document {
        source: Source,
        title: Option<String>,
        context: Option<String>,
        citations: bool,
    },
    ToolCall(ToolCall),
    ToolResult(ToolResult),
    /// Reasoning in words; `signature` proves to its provider that it is unchanged.
    Thinking {
        text: String,
        signature: Option<String>,
    },
    /// Reasoning that only its provider can read.
    RedactedThinking {
        data: String,
    },
    /// The model's own words of refusal.
    Refusal {
        text: String,
    },
    /// A block that only its dialect knows (server-side tools, containers): kept whole for replay.
    Foreign {
        dialect: DialectId,
        json: Json,
    },
}

/// What sort of thing a source is a source of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Media {
    Image,
    Audio,
    /// Documents, files and videos.
    Document,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `data` is standard base64 without line breaks.
    Base64 {
        media_type: String,
        data: String,
    },
    Url(String),
    /// A file that the provider already holds.
    File(String),
    Text {
        media_type: String,
        text: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall {
    pub id: String,
    pub name: String,
    /// The arguments as JSON text, or the free text of a custom tool. Kept as said, valid or not.
    pub arguments: String,
    pub kind: ToolKind,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ToolKind {
    #[default]
    Function,
    /// Takes free text instead of JSON.
    Custom,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ToolResult {
    pub call_id: String,
    pub parts: Vec<Part>,
    pub is_error: bool,
}

/// A place that the answer leans on, with the dialect's own shape kept whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Citation {
    pub url: Option<String>,
    pub title: Option<String>,
    pub cited_text: Option<String>,
    /// Character offsets in the text of the part, where the dialect gives them.
    pub start: Option<u64>,
    pub end: Option<u64>,
    /// As the dialect said it; written again only into that dialect.
    pub raw: Option<(DialectId, Json)>,
}

/// A mark up to which the prompt may be cached; the lifetime as the dialect says it (`5m`, `1h`, `30m`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheMark {
    pub lifetime: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Tool {
    Function {
        name: String,
        description: Option<String>,
        /// A JSON schema whose root is an object; none means no parameters.
        parameters: Option<Json>,
        strict: Option<bool>,
        cache: Option<CacheMark>,
        extra: Extra,
    },
    Custom {
        name: String,
        description: Option<String>,
        format: Option<Json>,
    },
    /// A tool that runs at the provider: only its own dialect can name it.
    Foreign {
        dialect: DialectId,
        json: Json,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub enum ToolChoice {
    Auto,
    None,
    Required,
    Named(String),
    Foreign { dialect: DialectId, json: Json },
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasoning {
    /// `none`, `minimal`, `low`, `medium`, `high`, `xhigh` or `max`.
    pub effort: Option<String>,
    pub budget_tokens: Option<u64>,
    /// The model decides by itself how much.
    pub adaptive: bool,
    /// `effort` was said without asking for thinking: it guides the whole answer, as one dialect allows.
    pub effort_only: bool,
    /// Whether and how reasoning is shown, as the dialect says it (`summarized`, `omitted`).
    pub display: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    Text,
    JsonObject,
    JsonSchema { name: Option<String>, description: Option<String>, schema: Json, strict: Option<bool> },
}

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Response {
    pub id: String,
    pub model: String,
    /// Seconds since 1970; none where the dialect has no such field.
    pub created: Option<u64>,
    pub choices: Vec<Choice>,
    pub usage: Usage,
    pub service_tier: Option<String>,
    pub extra: Extra,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    pub parts: Vec<Part>,
    pub stop: Option<Stop>,
    /// As the `OpenAI` dialect says it, `{"content": [{"token", "logprob", "bytes", "top_logprobs"}]}`; each dialect
    /// brings its own form to this one and back.
    pub logprobs: Option<Json>,
}

impl Response {
    /// The choice, for dialects that give one answer. What they cannot carry of the others is noted.
    pub(crate) fn only_choice(&self, here: DialectId, loss: &mut Loss) -> &Choice {
        static SILENCE: Choice = Choice { parts: Vec::new(), stop: None, logprobs: None };
        if self.choices.len() > 1 {
            loss.note("choices");
        }
        loss.note_extra(&self.extra, here, "");
        self.choices.first().unwrap_or(&SILENCE)
    }
}

/// Why the model stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    EndTurn,
    /// With the sequence that matched, where the dialect says it.
    Sequence(Option<String>),
    MaxTokens,
    ContextWindow,
    ToolUse,
    /// The provider's policy, or the model itself, refused.
    Refusal,
    /// A loop of server-side tools paused; send the content back to go on.
    Pause,
    /// A reason that only its provider knows.
    Other(String),
}

/// Fields that only one dialect knows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extra {
    pub dialect: Option<DialectId>,
    pub fields: Vec<(String, Json)>,
}

impl Extra {
    /// The fields, if `dialect` is where they came from.
    pub fn of(&self, dialect: DialectId) -> &[(String, Json)] {
        if self.dialect == Some(dialect) { &self.fields } else { &[] }
    }

    /// The names of the fields that `dialect` does not know.
    pub fn foreign_to(&self, dialect: DialectId) -> impl Iterator<Item = &str> {
        let fields: &[_] = if self.dialect == Some(dialect) { &[] } else { &self.fields };
        fields.iter().map(|(name, _)| name.as_str())
    }
}
