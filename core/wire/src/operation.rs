//! What may be asked of a provider beside a conversation, and what a request says of itself.

use crate::dialect::Addressed;
use crate::json::string;
use crate::{DialectId, Fields, Malformed, Measure, Units, peek};

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
    /// The most input, where the body's own bytes do not tell it.
    pub measure: Option<Measure>,
    pub answer: AnswerForm,
}

/// How the caller wants its answer, as far as the answer itself would not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AnswerForm {
    /// Vectors as base64 of little-endian 32-bit floats.
    pub base64: bool,
    /// One thing was asked for by itself, not a list of one.
    pub single: bool,
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
    let model = peek::model(fields, addressed)?.into_owned();
    let outline = Outline { model, ..Outline::default() };
    match operation {
        Operation::Embedding => {
            let answer =
                dialect.dialect().embed().map_or_else(AnswerForm::default, |embed| embed.form(fields));
            Ok(Outline { answer, ..outline })
        }
        Operation::Chat
        | Operation::Completion
        | Operation::Rerank
        | Operation::Moderation
        | Operation::Image
        | Operation::ImageEdit
        | Operation::Speech
        | Operation::Transcription
        | Operation::Translation
        | Operation::TokenCount
        | Operation::Native => Ok(outline),
    }
}

/// Whether `fields` has this very word under `key`.
pub(crate) fn says(fields: &Fields<'_>, key: &str, word: &str) -> bool {
    fields.present(key).and_then(string).is_some_and(|said| said == word)
}
