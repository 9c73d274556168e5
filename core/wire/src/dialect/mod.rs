//! The wire languages, one file (or folder) each.

pub mod anthropic;
mod arguments;
pub mod bedrock;
mod classify;
pub mod cohere;
mod conventions;
mod function;
pub mod gemini;
mod lax;
mod names;
pub mod ollama;
pub mod openai;
pub mod openai_responses;
mod sequence;
mod tags;
mod turns;

pub use conventions::{Addressed, Conventions, KeyIn, RateHeaders};

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::chat::Media;
use crate::embed::Embed;
use crate::frame::Frame;
use crate::json::string;
use crate::{Event, Fields, Json, Loss, Malformed, Peek, PublicError, Restore, UpstreamError, Usage, chat};

/// One wire language for conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DialectId {
    /// `OpenAI` Chat Completions, and the many that speak like it.
    Openai,
    /// Anthropic Messages.
    Anthropic,
    /// Gemini's `generateContent`.
    Gemini,
    /// Cohere Chat, version 2.
    Cohere,
    /// `OpenAI` Responses.
    OpenaiResponses,
    /// Bedrock Converse.
    Bedrock,
    /// Ollama's own chat.
    Ollama,
}

impl DialectId {
    pub const ALL: &[Self] = &[
        Self::Openai,
        Self::Anthropic,
        Self::Gemini,
        Self::Cohere,
        Self::OpenaiResponses,
        Self::Bedrock,
        Self::Ollama,
    ];

    /// The word for it in configuration and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Cohere => "cohere",
            Self::OpenaiResponses => "openai-responses",
            Self::Bedrock => "bedrock",
            Self::Ollama => "ollama",
        }
    }

    /// Its reader and writer.
    pub fn dialect(self) -> &'static dyn Dialect {
        match self {
            Self::Openai => &openai::Openai,
            Self::Anthropic => &anthropic::Anthropic,
            Self::Gemini => &gemini::Gemini,
            Self::Cohere => &cohere::Cohere,
            Self::OpenaiResponses => &openai_responses::OpenaiResponses,
            Self::Bedrock => &bedrock::Bedrock,
            Self::Ollama => &ollama::Ollama,
        }
    }
}

/// Reads and writes one wire language. Readers accept what is seen in the field; writers produce what is specified.
pub trait Dialect: Send + Sync {
    fn id(&self) -> DialectId;
    /// What it says outside of its bodies.
    fn conventions(&self) -> &'static Conventions;
    /// Where a conversation with `model` is sent, after the provider's base: `/chat/completions`.
    fn path(&self, model: &str, stream: bool) -> Cow<'static, str>;

    /// What a request asks for, read without building a tree; `addressed` is what its address said.
    ///
    /// # Errors
    /// [`Malformed::Field`] names what is missing or of the wrong type.
    fn peek<'a>(&self, fields: &Fields<'a>, addressed: &'a Addressed) -> Result<Peek<'a>, Malformed>;
    /// A field inside of another by which a provider spends or generates by itself, as [`Conventions::unbounded`] names
    /// outer ones.
    fn unbounded(&self, fields: &Fields<'_>) -> Option<String> {
        let _ = fields;
        None
    }
    fn read_request(&self, body: &[u8]) -> Result<chat::Request, Malformed>;
    /// Writes a request for `target`, noting in `loss` what this dialect cannot carry.
    ///
    /// # Errors
    /// The request cannot be said in this dialect at all: several choices where there is one, a tool result without
    /// its call, content that the model would miss. Nothing is sent; the caller gets a 400 that names the place.
    fn write_request(
        &self,
        request: &chat::Request,
        target: &TargetHints,
        loss: &mut Loss,
    ) -> Result<Written, Malformed>;

    fn read_response(&self, body: &[u8], reading: Reading) -> Result<chat::Response, Malformed>;
    /// Usage and service tier of an answer whose bytes travel on as they are: what is not needed for that is not read.
    ///
    /// # Errors
    /// It is no answer, as far as was read.
    fn read_usage(&self, body: &[u8], reading: Reading) -> Result<(Usage, Option<String>), Malformed> {
        self.read_response(body, reading).map(|response| (response.usage, response.service_tier))
    }
    fn write_response(&self, response: &chat::Response, loss: &mut Loss) -> Vec<u8>;
    /// As [`write_response`](Self::write_response), for dialects whose answers have an id of the gateway's own or repeat
    /// their request.
    fn write_answer(&self, response: &chat::Response, options: &EncoderOptions, loss: &mut Loss) -> Vec<u8> {
        let _ = options;
        self.write_response(response, loss)
    }
    /// The fields of a request without what only the gateway put into earlier answers, of other providers, that the
    /// caller sends back: the dialect's own vendor could not read it.
    fn cleaned(&self, fields: &Fields<'_>) -> Option<(&'static str, Json)> {
        let _ = fields;
        None
    }
    /// The fields of a request that its answers repeat.
    fn echo(&self, body: &[u8]) -> Vec<(String, Json)> {
        let _ = body;
        Vec::new()
    }

    /// An error body, whole.
    fn write_error(&self, error: &PublicError) -> Vec<u8>;
    /// Reads an upstream's error body; `status` is the answer's. Any bytes give some error.
    fn read_error(&self, status: u16, body: &[u8]) -> UpstreamError;
    /// The header of an error's answer in which the vendor's SDK looks for the error's name, if it does.
    fn error_header(&self) -> Option<&'static str> {
        None
    }
    /// What stands in that header.
    fn error_name(&self, error: &PublicError) -> Option<&'static str> {
        let _ = error;
        None
    }
    /// As [`read_error`](Self::read_error), with what stood in that header.
    fn read_named_error(&self, status: u16, name: Option<&str>, body: &[u8]) -> UpstreamError {
        let _ = name;
        self.read_error(status, body)
    }
    /// Other names under which a model may be known, the likeliest first: a place in front of it may be left out.
    fn known_names(&self, model: &str) -> Vec<String> {
        let _ = model;
        Vec::new()
    }
    /// The error in an upstream's whole answer of status 200, if it is one.
    fn hidden_error(&self, body: &[u8]) -> Option<UpstreamError> {
        let _ = body;
        None
    }

    /// Whether those who speak it fetch `url`, an http(s) address of such a thing, by themselves; else they want its bytes.
    fn takes_url(&self, media: Media, url: &str) -> bool {
        let _ = (media, url);
        true
    }

    /// Messages have their images in a field `images` of their own, as bare base64.
    fn bare_images(&self) -> bool {
        false
    }
    /// Whatever stands under `documents` and `document` is shown to the model as text.
    fn text_documents(&self) -> bool {
        false
    }

    /// Its words for embeddings; none where it has no such thing.
    fn embed(&self) -> Option<&'static dyn Embed> {
        None
    }

    /// Other spellings of the fields on the way to the cap on output, and the own ones, outer before inner.
    fn spellings(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }
    /// Whether media stand in requests as `inlineData` and `fileData` objects, and nowhere else.
    fn media_in_blobs(&self) -> bool {
        false
    }
    /// Whether `tool`, one of a request's, runs at the provider: nobody knows before what it costs.
    fn runs_at_provider(&self, tool: &RawValue) -> bool {
        let kind =
            Fields::of(tool, "tools[]").ok().and_then(|tool| Some(string(tool.get("type")?)?.into_owned()));
        kind.is_some_and(|kind| !CALLERS.iter().any(|callers| kind.starts_with(callers)))
    }

    /// A new decoder for one stream.
    fn decoder(&self, reading: Reading) -> Box<dyn Decoder>;
    /// A new encoder for one stream to a caller.
    fn encoder(&self, options: EncoderOptions) -> Box<dyn Encoder>;
}

/// By name alone: what stands behind them would be in every executable for the sake of tests.
macro_rules! by_name {
    ($($name:ident),*) => {$(
        impl std::fmt::Debug for dyn $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )*};
}
by_name!(Dialect, Decoder, Encoder, Embed);

/// A model's name in a path: what is no letter, digit or one of `-._~/@` is escaped.
fn in_path(model: &str) -> String {
    let mut out = String::with_capacity(model.len());
    for byte in model.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for half in [byte >> 4, byte & 15] {
                out.extend(char::from_digit(u32::from(half), 16).map(|digit| digit.to_ascii_uppercase()));
            }
        }
    }
    out
}

/// The kinds of tools that the caller runs: `custom`, and those of a provider whose calls come back to it.
const CALLERS: &[&str] = &[
    "custom",
    "function",
    "namespace",
    "bash_",
    "text_editor_",
    "computer",
    "memory_",
    "local_shell",
    "apply_patch",
];

/// A request in bytes, and what must be undone in its answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    pub body: Vec<u8>,
    pub restore: Restore,
}

impl From<Vec<u8>> for Written {
    fn from(body: Vec<u8>) -> Self {
        Self { body, restore: Restore::default() }
    }
}

/// Ways of a provider's own that its answers do not tell by themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Reasoning is counted beside the output tokens, not among them.
    pub reasoning_outside: bool,
    /// Thoughts stand between `<think>` and `</think>` at the beginning of the content.
    pub think_tags: bool,
}

/// What a writer of requests must know of the model it writes for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one independent fact of the catalogue")]
pub struct TargetHints {
    /// The model's own name at the provider.
    pub model: String,
    /// The most tokens that it can generate, where known.
    pub max_output_tokens: Option<u64>,
    /// It takes adaptive thinking rather than budgets.
    pub adaptive_thinking: bool,
    /// It takes a schema for its output natively.
    pub native_schema: bool,
    /// It takes `temperature`, `top_p` and `top_k`.
    pub sampling: bool,
    /// It can be made to call a tool (`tool_choice` other than auto and none).
    pub forced_tool: bool,
    /// It takes messages of the system in the middle of a conversation.
    pub mid_system: bool,
    /// The field of an assistant's turn in which reasoning goes back to it, for dialects that have no words for it:
    /// `reasoning_content`, `reasoning`, or `thinking_blocks` where signatures are wanted too. None: it takes none.
    pub reasoning_field: Option<String>,
}

impl TargetHints {
    /// What is assumed of a model that no catalogue knows: sampling and forced tools, and nothing newer.
    pub fn unknown(model: impl Into<String>) -> Self {
        Self { model: model.into(), sampling: true, forced_tool: true, ..Self::default() }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncoderOptions {
    /// The caller asked for a usage chunk (`OpenAI`: `stream_options.include_usage`).
    pub usage: bool,
    /// The name that the caller used for the model, or none to keep the upstream's.
    pub model: Option<String>,
    /// Seconds since 1970, for dialects whose chunks carry a time of creation that the upstream did not give.
    pub created: u64,
    /// The request's id at the gateway, for dialects whose answers need an id that only the gateway can have given.
    pub id: Option<String>,
    /// What the answer repeats of its request: [`Dialect::echo`].
    pub echo: Vec<(String, Json)>,
    /// The caller reads its stream as one JSON list, for dialects that have that form too.
    pub list: bool,
    /// The caller asked with a prompt in place of a conversation, for dialects that have that form too.
    pub prompt: bool,
}

/// Reads one stream: a sans-io machine.
pub trait Decoder: Send {
    /// Interprets one frame, appending what it means to `out`.
    ///
    /// # Errors
    /// The frame is corrupt. Unknown events are no error: they become [`Event::Foreign`].
    fn push(&mut self, frame: &Frame<'_>, out: &mut Vec<Event>) -> Result<(), Malformed>;

    /// The bytes ended. A stream whose answer was complete ends well even if its terminator is missing.
    ///
    /// # Errors
    /// [`Malformed::Truncated`] when the answer was not complete.
    fn finish(&mut self, out: &mut Vec<Event>) -> Result<(), Malformed>;

    /// For dialects without a terminator: what came so far is a whole answer if the bytes end here.
    fn may_end(&self) -> bool {
        false
    }
}

/// Writes one stream: a sans-io machine. It never invents an ending: only [`Event::End`] makes a terminator.
pub trait Encoder: Send {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>, loss: &mut Loss);

    /// An error inside the stream, in this dialect's words; nothing may follow it.
    fn error(&mut self, error: &PublicError, out: &mut Vec<u8>);
}
