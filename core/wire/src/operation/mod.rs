//! What may be asked of a provider beside a conversation, and what a request says of itself.

mod outline;
mod usage;

use crate::dialect::Addressed;
use crate::json::string;
use crate::multipart::Form;
use crate::{Decoder, DialectId, Fields, Malformed, Measure, Units, Usage, peek};

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A conversation, in any dialect.
    Chat,
    /// The continuation of a text, as the `OpenAI` dialect had it before conversations.
    Completion,
    /// Texts to vectors.
    Embedding,
    /// Documents in the order of their relevance.
    Rerank,
    /// Whether a text is harmful.
    Moderation,
    /// A picture from words.
    Image,
    /// A picture from pictures and words.
    ImageEdit,
    /// Words to sound.
    Speech,
    /// Sound to words.
    Transcription,
    /// Sound to English words.
    Translation,
    /// How many tokens a conversation has.
    TokenCount,
    /// A call of a provider's own interface of which the gateway knows nothing.
    Native,
}

impl Operation {
    pub const ALL: &[Self] = &[
        Self::Chat,
        Self::Completion,
        Self::Embedding,
        Self::Rerank,
        Self::Moderation,
        Self::Image,
        Self::ImageEdit,
        Self::Speech,
        Self::Transcription,
        Self::Translation,
        Self::TokenCount,
        Self::Native,
    ];

    /// Those whose requests are objects or forms of the `OpenAI` dialect, in which a provider may want things said otherwise.
    pub fn edited() -> impl Iterator<Item = Self> {
        let is_edited = |operation: &Self| !matches!(operation, Self::Chat | Self::TokenCount | Self::Native);
        Self::ALL.iter().copied().filter(is_edited)
    }

    /// The word for it in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completion => "completion",
            Self::Embedding => "embedding",
            Self::Rerank => "rerank",
            Self::Moderation => "moderation",
            Self::Image => "image",
            Self::ImageEdit => "image_edit",
            Self::Speech => "speech",
            Self::Transcription => "transcription",
            Self::Translation => "translation",
            Self::TokenCount => "token_count",
            Self::Native => "native",
        }
    }
}

/// What a request of an operation other than [`Operation::Chat`] says of itself, read without building a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline {
    pub model: String,
    pub stream: bool,
    /// The most tokens that the answer may have.
    pub most_output: u64,
    /// The most that may be counted otherwise.
    pub most_units: Units,
    /// What of that is certain before the answer is there: characters to be spoken, pictures that are asked for.
    pub known_units: Units,
    /// What it will be if the answer does not say it; else `known_units`.
    pub likely_units: Units,
    /// Bytes of an answer of sound that make a second, at its format's usual rate.
    pub bytes_a_second: u64,
    /// That rate is the format's only one.
    pub bytes_are_exact: bool,
    /// The most input, where the body's own bytes do not tell it.
    pub measure: Option<Measure>,
    pub answer: AnswerForm,
}

/// How the caller wants its answer, as far as the answer itself would not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnswerForm {
    /// Vectors as base64 of little-endian 32-bit floats.
    pub base64: bool,
    /// The stream's usage is for the gateway alone.
    pub hide_usage: bool,
    /// One thing was asked for by itself, not a list of one.
    pub single: bool,
}

impl Operation {
    /// Where it is sent in the `OpenAI` dialect, after the provider's base. None: it has a dialect's own words.
    pub fn path(self) -> Option<&'static str> {
        match self {
            Self::Chat | Self::Embedding | Self::TokenCount | Self::Native => None,
            Self::Completion => Some("/completions"),
            Self::Rerank => Some("/rerank"),
            Self::Moderation => Some("/moderations"),
            Self::Image => Some("/images/generations"),
            Self::ImageEdit => Some("/images/edits"),
            Self::Speech => Some("/audio/speech"),
            Self::Transcription => Some("/audio/transcriptions"),
            Self::Translation => Some("/audio/translations"),
        }
    }

    /// Whether its requests may be forms with files in them.
    pub fn takes_forms(self) -> bool {
        matches!(self, Self::Transcription | Self::Translation | Self::ImageEdit)
    }

    /// The usage in a whole answer whose bytes travel on as they are. None: it is no answer.
    pub fn usage(self, body: &[u8]) -> Option<Usage> {
        usage::of_answer(self, body)
    }

    /// What reads the usage out of a stream whose bytes travel on as they are.
    pub fn tap(self) -> Box<dyn Decoder> {
        Box::new(usage::Tap::new(self))
    }
}

/// Reads what a request of `operation` in `dialect` says of itself.
///
/// # Errors
/// [`Malformed::Field`] names what is missing or of the wrong type.
pub fn outline(
    operation: Operation,
    dialect: DialectId,
    fields: &Fields<'_>,
    addressed: &Addressed,
) -> Result<Outline, Malformed> {
    // The one operation with a model of its own where none is named.
    let unnamed = operation == Operation::Moderation && fields.present("model").is_none();
    let model = if unnamed { MODERATION.to_owned() } else { peek::model(fields, addressed)?.into_owned() };
    let mut outline = Outline { model, ..Outline::default() };
    if operation == Operation::Embedding
        && let Some(embed) = dialect.dialect().embed()
    {
        outline.answer = embed.form(fields);
    }
    outline::of_fields(operation, fields, outline)
}

const MODERATION: &str = "omni-moderation-latest";

/// As [`outline`], for a form, of which `body` is the beginning and `length` the length.
///
/// # Errors
/// [`Malformed::Field`] names what is missing or of the wrong type.
pub fn outline_form(
    operation: Operation,
    form: &Form,
    body: &[u8],
    length: u64,
) -> Result<Outline, Malformed> {
    let model = form.text(body, "model").filter(|model| !model.is_empty());
    let model = model.ok_or_else(|| Malformed::field("model", "the name of a model"))?.to_owned();
    outline::of_form(operation, form, body, length, Outline { model, ..Outline::default() })
}

/// Whether `fields` has this very word under `key`.
pub(crate) fn says(fields: &Fields<'_>, key: &str, word: &str) -> bool {
    fields.present(key).and_then(string).is_some_and(|said| said == word)
}
