//! Embeddings: texts to vectors.

mod cohere;
mod gemini;
mod ollama;
mod openai;
mod vector;

use std::borrow::Cow;

use crate::operation::AnswerForm;
use crate::{Fields, Json, Loss, Malformed, Usage};

pub use cohere::Cohere;
pub use gemini::Gemini;
pub use ollama::Ollama;
pub use openai::Openai;
pub use vector::Vector;

/// One dialect's words for embeddings. Readers accept what is seen in the field; writers produce what is specified.
pub trait Embed: Send + Sync {
    /// Where a request is sent, after the provider's base. What [`Embed::write_request`] writes is no single one.
    fn path(&self, model: &str, form: AnswerForm) -> Cow<'static, str>;

    /// How the caller wants its answer.
    fn form(&self, fields: &Fields<'_>) -> AnswerForm;

    /// # Errors
    /// A field is missing, or of a type that no reader takes.
    fn read_request(&self, fields: &Fields<'_>) -> Result<Request, Malformed>;

    /// # Errors
    /// It cannot be said in this dialect at all.
    fn write_request(&self, request: &Request, model: &str, loss: &mut Loss) -> Result<Vec<u8>, Malformed>;

    /// # Errors
    /// It is no answer.
    fn read_response(&self, body: &[u8]) -> Result<Response, Malformed>;

    /// # Errors
    /// A vector of the upstream is none.
    fn write_response(
        &self,
        response: &Response,
        form: AnswerForm,
        model: &str,
    ) -> Result<Vec<u8>, Malformed>;
}

/// What is to be embedded, modelled on what all dialects can say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    pub inputs: Vec<Input>,
    /// Numbers in a vector.
    pub dimensions: Option<u64>,
    pub purpose: Option<Purpose>,
    /// The title of a document, where the purpose is to find it.
    pub title: Option<String>,
    /// Fields of the caller that no other dialect knows, by name.
    pub rest: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    Text(String),
    /// The numbers of a tokenizer that only the model's own provider knows.
    Tokens(Json),
}

/// What the vectors are for: models embed questions otherwise than documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Document,
    Query,
    Classification,
    Clustering,
    Similarity,
}

/// Vectors in the order of the inputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    pub vectors: Vec<Vector>,
    /// The upstream's name for the model.
    pub model: Option<String>,
    pub id: Option<String>,
    pub usage: Usage,
}

impl Request {
    /// The texts, for dialects that know nothing else.
    fn texts(&self) -> Result<Vec<&str>, Malformed> {
        let text = |input: &'_ Input| match input {
            Input::Text(_) => None,
            Input::Tokens(_) => Some(Malformed::field(
                "input",
                "text: the model's provider does not know the tokens of another's tokenizer",
            )),
        };
        match self.inputs.iter().find_map(text) {
            Some(malformed) => Err(malformed),
            None => Ok(self
                .inputs
                .iter()
                .filter_map(|input| match input {
                    Input::Text(text) => Some(text.as_str()),
                    Input::Tokens(_) => None,
                })
                .collect()),
        }
    }

    fn note_rest(&self, loss: &mut Loss) {
        for name in &self.rest {
            loss.note(name.clone());
        }
    }
}

/// The fields that are not among `known`.
fn rest(fields: &Fields<'_>, known: &[&str]) -> Vec<String> {
    fields.iter().map(|(name, _)| name).filter(|name| !known.contains(name)).map(str::to_owned).collect()
}
