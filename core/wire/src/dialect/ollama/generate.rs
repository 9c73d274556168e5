//! Ollama's older interface: a prompt in place of a conversation, and `response` in place of a message.
//!
//! A prompt with its system is a conversation of one turn, and is answered as one. What would bring the model's own
//! template out of play (`raw`) or fill a gap (`suffix`) has no such form, and is refused.

use crate::json::{is_null, string};
use crate::object::{list, object};
use crate::{Draft, Fields, Json, Malformed};

/// The request as one of the chat's; what else it says keeps its bytes.
///
/// # Errors
/// It is no JSON object, has no prompt, or asks for what no conversation can say.
pub fn to_chat(body: &[u8]) -> Result<Vec<u8>, Malformed> {
    let fields = Fields::read(body)?;
    let text = |key: &str| match fields.present(key) {
        None => Ok(None),
        Some(raw) => string(raw).map(Some).ok_or_else(|| Malformed::field(key, "a text")),
    };
    if fields.present("raw").is_some_and(|raw| raw.get() == "true") {
        return Err(Malformed::field("raw", "false: prompts are put into the model's own form"));
    }
    if text("suffix")?.is_some_and(|suffix| !suffix.is_empty()) {
        return Err(Malformed::field("suffix", "nothing: gaps are not filled here"));
    }
    let prompt = text("prompt")?.filter(|prompt| !prompt.is_empty());
    let prompt = prompt.ok_or_else(|| Malformed::field("prompt", "a text"))?;
    let mut messages = Vec::new();
    list(&mut messages, |messages| {
        if let Ok(Some(system)) = text("system").map(|system| system.filter(|system| !system.is_empty())) {
            messages.object(|message| {
                message.string("role", "system");
                message.string("content", &system);
            });
        }
        messages.object(|message| {
            message.string("role", "user");
            message.string("content", &prompt);
            if let Some(images) = fields.present("images") {
                message.raw("images", images.get());
            }
        });
    });
    text("system")?;
    let messages = String::from_utf8(messages).ok().and_then(|text| Json::parse(&text).ok());
    let mut draft = Draft::from(&fields);
    for key in ["prompt", "system", "images", "raw", "suffix", "template", "context"] {
        draft.remove(key);
    }
    if let Some(messages) = messages {
        draft.set("messages", messages);
    }
    Ok(draft.write())
}

/// An answer of the chat's, whole or a line of one, as a prompt's. Calls of tools have no place there.
pub(super) fn of_chat(line: &[u8], out: &mut Vec<u8>) {
    let Ok(fields) = Fields::read(line) else {
        out.extend_from_slice(line);
        return;
    };
    let message = fields.present("message").and_then(|raw| Fields::of(raw, "message").ok());
    object(out, |answer| {
        for (key, value) in fields.items() {
            if key != "message" {
                answer.raw(key, value.get());
                continue;
            }
            let said = |key: &str| message.as_ref().and_then(|message| message.present(key));
            answer
                .raw("response", said("content").filter(|raw| !is_null(raw)).map_or("\"\"", |raw| raw.get()));
            if let Some(thinking) = said("thinking") {
                answer.raw("thinking", thinking.get());
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::{of_chat, to_chat};

    fn chat(body: &str) -> String {
        String::from_utf8(to_chat(body.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn a_prompt_is_a_conversation_of_one_turn() {
        assert_eq!(
            chat(
                r#"{"model":"m","prompt":"why \u00e9?","system":"be brief","images":["aGk="],"options":{"temperature":1.0},"stream":false,"context":[1],"raw":false}"#
            ),
            "{\"model\":\"m\",\"options\":{\"temperature\":1.0},\"stream\":false,\"messages\":[{\"role\":\"system\",\"content\":\"be brief\"},{\"role\":\"user\",\"content\":\"why é?\",\"images\":[\"aGk=\"]}]}"
        );
        for (wrong, place) in [
            (r#"{"model":"m"}"#, "prompt"),
            (r#"{"model":"m","prompt":""}"#, "prompt"),
            (r#"{"model":"m","prompt":1}"#, "prompt"),
            (r#"{"model":"m","prompt":"a","system":{}}"#, "system"),
            (r#"{"model":"m","prompt":"a","suffix":"b"}"#, "suffix"),
            (r#"{"model":"m","prompt":"a","raw":true}"#, "raw"),
        ] {
            let error = to_chat(wrong.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(place), "{wrong}: {error}");
        }
        assert!(to_chat(b"[]").is_err());
    }

    #[test]
    fn an_answer_has_a_response_in_its_messages_place() {
        let mut out = Vec::new();
        of_chat(
            br#"{"model":"m","created_at":"t","message":{"role":"assistant","content":"hi","thinking":"hm"},"done":true,"eval_count":3}"#,
            &mut out,
        );
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"model":"m","created_at":"t","response":"hi","thinking":"hm","done":true,"eval_count":3}"#
        );
    }
}
