//! How some vendors say what `OpenAI`'s Chat Completions say: the same conversation in bodies of their own.
//!
//! They are no dialects: nobody calls the gateway in them, and nothing is said in them that `OpenAI`'s words could not
//! carry. So a request is written in `OpenAI`'s words, edits included, and then said in the vendor's; an answer is brought
//! back into `OpenAI`'s, and whatever reads those reads it. What has no place on the way is named in the loss.

mod oci;
mod open;
mod prediction;
mod text;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use open::Opener;
pub use prediction::{Prediction, State};

use crate::{Loss, Malformed};

/// A vendor's own way to say `OpenAI`'s conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Idiom {
    /// Text Generation Inference: one text in, one out.
    Tgi,
    /// Replicate's predictions: a model's inputs by name, of which the prompt is one.
    Replicate,
    /// Oracle's chat, format `GENERIC`.
    Oci,
    /// Oracle's chat, format `COHERE`: the last message apart from the history.
    OciCohere,
}

impl Idiom {
    /// Where a conversation with `model` is sent after the base, where the vendor's paths depend on the model's name.
    pub fn path(self, model: &str) -> Option<String> {
        match self {
            Self::Replicate => Some(prediction::path(model)),
            Self::Tgi | Self::Oci | Self::OciCohere => None,
        }
    }

    /// The header that says how a request is to be answered.
    pub fn header(self, stream: bool) -> Option<(&'static str, &'static str)> {
        // The longest that the vendor lets wait; what takes longer is looked at again.
        (self == Self::Replicate && !stream).then_some(("prefer", "wait=60"))
    }

    /// Says a request of `OpenAI`'s in these words.
    ///
    /// # Errors
    /// It is no object with a list of messages.
    pub fn request(self, body: &[u8], loss: &mut Loss) -> Result<Vec<u8>, Malformed> {
        let Value::Object(mut fields) = read(body)? else {
            return Err(Malformed::field("body", "an object"));
        };
        let Some(Value::Array(messages)) = fields.remove("messages") else {
            return Err(Malformed::field("messages", "a list"));
        };
        let written = match self {
            Self::Tgi => text::request(fields, &messages, loss),
            Self::Replicate => prediction::request(fields, &messages, loss),
            Self::Oci => oci::request(fields, messages, loss),
            Self::OciCohere => oci::cohere_request(fields, &messages, loss),
        };
        Ok(written.to_string().into_bytes())
    }

    /// A whole answer, in `OpenAI`'s words; an error in it becomes one of these.
    ///
    /// # Errors
    /// It is no JSON.
    pub fn answer(self, body: &[u8]) -> Result<Vec<u8>, Malformed> {
        let answer = read(body)?;
        let written = match self {
            Self::Tgi => text::answer(&answer),
            Self::Replicate => prediction::answer(&answer),
            Self::Oci => oci::answer(&answer),
            Self::OciCohere => oci::cohere_answer(&answer),
        };
        Ok(written.to_string().into_bytes())
    }

    /// One event of a stream as chunks of `OpenAI`'s, appended to `out`.
    fn event(self, name: Option<&str>, data: &str, out: &mut Vec<Value>) -> Result<(), Malformed> {
        match self {
            Self::Replicate => return prediction::event(name, data, out),
            Self::Tgi => text::event(&read(data.as_bytes())?, out),
            Self::Oci => oci::event(&read(data.as_bytes())?, out),
            Self::OciCohere => oci::cohere_event(&read(data.as_bytes())?, out),
        }
        Ok(())
    }
}

fn read(body: &[u8]) -> Result<Value, Malformed> {
    crate::json::read(body).map_err(|_| Malformed::field("body", "JSON"))
}

/// A whole answer of one choice.
fn completion(content: &str, finish: &str) -> Value {
    let message = pairs([("role", "assistant".into()), ("content", content.into())]);
    let choice = pairs([("index", 0.into()), ("message", message), ("finish_reason", finish.into())]);
    pairs([("object", "chat.completion".into()), ("choices", vec![choice].into())])
}

/// A chunk of a stream of one choice.
fn chunk(delta: Value, finish: Option<&str>) -> Value {
    let choice = pairs([
        ("index", 0.into()),
        ("delta", delta),
        ("finish_reason", finish.map_or(Value::Null, Into::into)),
    ]);
    pairs([("object", "chat.completion.chunk".into()), ("choices", vec![choice].into())])
}

fn content(text: &str) -> Value {
    pairs([("content", text.into())])
}

/// As `OpenAI` says an error inside an answer.
fn error(message: &str, kind: &str) -> Value {
    pairs([("error", pairs([("message", message.into()), ("type", kind.into())]))])
}

fn pairs<const N: usize>(pairs: [(&str, Value); N]) -> Value {
    Value::Object(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// What a message says in words; what it says otherwise is in the loss.
fn words(message: &Value, loss: &mut Loss) -> String {
    match message.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let mut texts = Vec::new();
            for part in parts {
                match part.get("text").and_then(Value::as_str) {
                    Some(text) => texts.push(text),
                    None => loss.note("messages.*.content"),
                }
            }
            texts.join("\n")
        }
        _ => String::new(),
    }
}

fn role(message: &Value) -> &str {
    message.get("role").and_then(Value::as_str).unwrap_or_default()
}

fn is_system(message: &Value) -> bool {
    matches!(role(message), "system" | "developer")
}

/// A conversation as one text, for models that continue texts: who spoke stands before what was said, unless the user
/// alone has spoken, once. `System` is what the system said, where it has a place of its own.
fn transcript(messages: &[Value], loss: &mut Loss) -> String {
    if let [message] = messages
        && role(message) == "user"
    {
        return words(message, loss);
    }
    let mut out = String::new();
    for message in messages {
        if message.get("tool_calls").is_some_and(|calls| !calls.is_null()) {
            loss.note("messages.*.tool_calls");
        }
        let who = match role(message) {
            "assistant" => "Assistant",
            "user" => "User",
            "tool" | "function" => "Tool",
            _ => "System",
        };
        for piece in [who, ": ", &words(message, loss), "\n\n"] {
            out.push_str(piece);
        }
    }
    out.push_str("Assistant:");
    out
}

/// Takes fields by their names, and gives them others.
fn renamed(from: &mut Map<String, Value>, to: &mut Map<String, Value>, names: &[(&str, &str)]) {
    for (old, new) in names {
        if let Some(value) = from.remove(*old).filter(|value| !value.is_null()) {
            to.entry(*new).or_insert(value);
        }
    }
}

/// What is left has no place; what only says how to answer is no loss.
fn lost(rest: &Map<String, Value>, loss: &mut Loss) {
    for (name, value) in rest {
        if !value.is_null() && name != "stream_options" {
            loss.note(name.clone());
        }
    }
}

/// Texts at which to stop: one may stand alone.
fn stops(fields: &mut Map<String, Value>) -> Option<Vec<Value>> {
    match fields.remove("stop")? {
        Value::Array(texts) => Some(texts),
        Value::Null => None,
        text => Some(vec![text]),
    }
}

#[cfg(test)]
mod tests;
