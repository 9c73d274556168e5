//! The arguments of a tool's call, for dialects that take an object where others take a text.

use crate::object::object;
use crate::{Json, Loss, Malformed, Restore};

/// Arguments as an object.
pub(super) enum Input {
    Object(Json),
    /// Several objects run together: which of them was meant, only the caller knows.
    Several,
    /// They are no object. A model wrote them and a tool refused them: so that the conversation can go on, they are
    /// shown to the model as they were, under a key.
    Other(Json),
}

/// The arguments of a call in a request, under `key` where the tool takes something else than an object.
pub(super) fn sent(
    arguments: &str,
    key: Option<&'static str>,
    path: &str,
    loss: &mut Loss,
) -> Result<Json, Malformed> {
    if let Some(key) = key {
        return Ok(wrapped(arguments, key));
    }
    match input_of(arguments) {
        Input::Object(json) => Ok(json),
        Input::Several => Err(Malformed::field(path, "one JSON object as arguments, not several in a row")),
        Input::Other(json) => {
            loss.note(format!("{path}.arguments"));
            Ok(json)
        }
    }
}

pub(super) fn input_of(arguments: &str) -> Input {
    let text = arguments.trim();
    if text.is_empty() {
        return Input::Object(Json::of(&serde_json::Map::new()));
    }
    match Json::parse(text) {
        Ok(json) if text.starts_with('{') => Input::Object(json),
        Ok(json) if text.starts_with('"') => match crate::json::from_str::<String>(json.as_str()) {
            // Encoded twice.
            Ok(inner) if inner.trim_start().starts_with('{') => match Json::parse(inner.trim()) {
                Ok(inner) => Input::Object(inner),
                Err(_) => Input::Other(wrapped(arguments, "arguments")),
            },
            _ => Input::Other(wrapped(arguments, "arguments")),
        },
        Ok(_) => Input::Other(wrapped(arguments, "arguments")),
        Err(_) => {
            let mut objects = serde_json::Deserializer::from_str(text)
                .into_iter::<serde_json::Map<String, serde_json::Value>>();
            if text.starts_with('{') && objects.by_ref().take_while(Result::is_ok).count() > 1 {
                Input::Several
            } else {
                Input::Other(wrapped(arguments, "arguments"))
            }
        }
    }
}

/// `{key: arguments}`: as JSON where the key says so and it is JSON, else as text.
pub(super) fn wrapped(arguments: &str, key: &'static str) -> Json {
    let mut out = Vec::new();
    object(&mut out, |object| match Json::parse(arguments.trim()) {
        Ok(json) if key == Restore::VALUE => object.json(key, &json),
        _ => object.string(key, arguments),
    });
    Json::written(&out)
}
