//! Prompts and answers in the words of the conventions for generative AI: messages of parts.

use serde_json::{Value, json};

use super::langfuse::messages;
use super::story::Story;

/// What was said to the model: `[{"role": …, "parts": [ … ]}]`.
pub(super) fn asked(prompt: &Value) -> Value {
    let mut all = Vec::new();
    for name in ["system", "instructions", "systemInstruction", "system_instruction"] {
        if !prompt[name].is_null() {
            all.push(message("system", &prompt[name]));
        }
    }
    match messages(prompt) {
        Value::Array(items) => all.extend(items.iter().map(|item| {
            if item.is_string() {
                return message("user", item);
            }
            let role = item["role"].as_str().unwrap_or("user");
            let said = ["content", "parts", "output"].iter().map(|name| &item[*name]);
            let said = said.into_iter().find(|said| !said.is_null()).unwrap_or(item);
            let mut message = message(role, said);
            if let (Some(parts), Some(calls)) =
                (message["parts"].as_array_mut(), item["tool_calls"].as_array())
            {
                parts.extend(calls.iter().map(|call| {
                    let function = &call["function"];
                    json!({ "type": "tool_call", "id": call["id"], "name": function["name"],
                        "arguments": function["arguments"] })
                }));
            }
            message
        })),
        other => all.push(message("user", &other)),
    }
    all.into()
}

/// What it answered.
pub(super) fn answered(answer: &Value, story: &Story) -> Value {
    let others = answer["others"].as_array().into_iter().flatten();
    let choices = std::iter::once(answer).chain(others).map(|choice| {
        let mut parts = Vec::new();
        for (kind, name) in [("reasoning", "thinking"), ("text", "text"), ("text", "refusal")] {
            if let Some(text) = choice[name].as_str().filter(|text| !text.is_empty()) {
                parts.push(json!({ "type": kind, "content": text }));
            }
        }
        for call in choice["tool_calls"].as_array().into_iter().flatten() {
            parts.push(json!({ "type": "tool_call", "id": call["id"], "name": call["name"],
                "arguments": call["arguments"] }));
        }
        json!({ "role": "assistant", "parts": parts, "finish_reason": story.word("finish").unwrap_or("stop") })
    });
    choices.collect::<Vec<Value>>().into()
}

/// The same with one text each, for those who know no parts.
pub(super) fn texts(messages: &Value) -> Value {
    let each = messages.as_array().into_iter().flatten().map(|message| {
        let parts = message["parts"].as_array().into_iter().flatten();
        let texts: Vec<String> = parts
            .map(|part| part["content"].as_str().map_or_else(|| part.to_string(), str::to_owned))
            .collect();
        json!({ "role": message["role"], "content": texts.join("\n") })
    });
    each.collect::<Vec<Value>>().into()
}

fn message(role: &str, said: &Value) -> Value {
    let parts: Vec<Value> = match said {
        Value::Array(items) => items.iter().map(part).collect(),
        Value::Object(fields) if fields.contains_key("parts") => {
            said["parts"].as_array().into_iter().flatten().map(part).collect()
        }
        other => vec![part(other)],
    };
    json!({ "role": role, "parts": parts })
}

fn part(said: &Value) -> Value {
    let text = said.as_str().or_else(|| said["text"].as_str());
    match text {
        Some(text) => json!({ "type": "text", "content": text }),
        // In its dialect's own words: what has no text, or more than one.
        None => json!({ "type": said["type"].as_str().unwrap_or("other"), "content": said.to_string() }),
    }
}
