//! A prompt and a request as one body: the prompt's turns before the request's own, and what the request does not say as the
//! prompt says it.
//!
//! All dialects at once: a field's name tells what it is, whichever dialect has it. What the request says keeps its bytes.

use gatelet_wire::json::{is_null, string};
use gatelet_wire::{DialectId, Draft, Fields, Json, Malformed};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// The name by which a request leaves its model to the prompt, where its client wants a name.
pub const NOBODY: &str = "prompt";

/// Whose items come one after another.
const TURNS: [&str; 3] = ["messages", "input", "contents"];
/// What the model is told beside the conversation: all of it, one after another.
const SYSTEM: [&str; 3] = ["system", "instructions", "systemInstruction"];
/// Objects of parameters, each of which is said by itself.
const GROUPS: [&str; 3] = ["generationConfig", "inferenceConfig", "options"];
/// Two names for one bound: who says one of them has said it.
const BOUNDS: [&str; 2] = ["max_tokens", "max_completion_tokens"];
/// What means nothing without the tools that it was written for.
const OF_TOOLS: [&str; 4] = ["tool_choice", "parallel_tool_calls", "toolConfig", "tools"];
/// What writers add by themselves, and is the request's own to say.
const NOT_THE_PROMPTS: [&str; 4] = ["model", "stream", "store", "include"];

/// The body that both say. `request` is without what named the prompt; it gets a `model` in place of what it says of one.
///
/// # Errors
/// The request has turns that are none.
pub fn join(
    dialect: DialectId,
    prompt: &[u8],
    request: &Draft<'_>,
    model: Option<&str>,
) -> Result<Vec<u8>, Malformed> {
    let prompt = Fields::read(prompt)?;
    let mut body = request.clone();
    let own_tools = ["tools", "toolConfig"].iter().any(|name| said(&body, name).is_some());
    for (name, value) in prompt.iter() {
        let key = said(&body, name).map_or(name, |(key, _)| key).to_owned();
        let own = said(&body, name).map(|(_, own)| own);
        let joined = match own {
            _ if NOT_THE_PROMPTS.contains(&name) => None,
            Some(own) if TURNS.contains(&name) => Some(turns(dialect, &key, value, own)?),
            Some(own) if SYSTEM.contains(&name) => Some(system(value, own)),
            Some(own) if GROUPS.contains(&name) => Some(group(&key, value, own)?),
            Some(_) => None,
            None if own_tools && OF_TOOLS.contains(&name) => None,
            None if BOUNDS.contains(&name) && BOUNDS.iter().any(|bound| said(&body, bound).is_some()) => None,
            None => Some(Json::from(value)),
        };
        if let Some(joined) = joined {
            body.set(&key, joined);
        }
    }
    if let Some(model) = model {
        body.set("model", Json::of(&model));
    }
    Ok(body.write())
}

/// A body without its last turn.
pub(super) fn without_last_turn(body: &[u8]) -> Result<Vec<u8>, Malformed> {
    let fields = Fields::read(body)?;
    let mut draft = Draft::from(&fields);
    for name in TURNS {
        let Some(turns) = fields.present(name) else { continue };
        let mut turns: Vec<Json> = gatelet_wire::json::from_str(turns.get()).unwrap_or_default();
        turns.pop();
        draft.set(name, Json::of(&turns));
    }
    Ok(draft.write())
}

/// What a request says under a name, however that is written: `generation_config` is `generationConfig`.
fn said<'a>(body: &'a Draft<'_>, name: &str) -> Option<(&'a str, &'a RawValue)> {
    let plain = |name: &str| -> String {
        name.chars().filter(|letter| *letter != '_').map(|letter| letter.to_ascii_lowercase()).collect()
    };
    let name = plain(name);
    body.iter().find(|(own, value)| plain(own) == name && !is_null(value))
}

/// The prompt's turns, then the request's.
fn turns(dialect: DialectId, key: &str, first: &RawValue, then: &RawValue) -> Result<Json, Malformed> {
    let text = string(then).filter(|_| key == "input");
    let made = text.map(|text| Json::of(&[json!({ "role": "user", "content": text })]));
    let then = made.as_ref().map_or(then, AsRef::as_ref);
    let items = |raw: &RawValue| gatelet_wire::json::from_str::<Vec<Json>>(raw.get());
    let mut all = items(first).unwrap_or_default();
    let mut more = items(then).map_err(|_| Malformed::field(key, "a list"))?;
    // There nobody has two turns in a row.
    if dialect == DialectId::Bedrock
        && let Some((last, next)) = all.last().zip(more.first())
        && let Some(one) = one_turn(last, next)
    {
        all.pop();
        more.splice(..1, [one]);
    }
    all.append(&mut more);
    Ok(Json::of(&all))
}

/// Two turns of one role as one.
fn one_turn(one: &Json, other: &Json) -> Option<Json> {
    let (one, other) = (one.to_value(), other.to_value());
    let mut content = one["content"].as_array()?.clone();
    content.extend(other["content"].as_array()?.iter().cloned());
    (one["role"] == other["role"]).then(|| Json::of(&json!({ "role": one["role"], "content": content })))
}

/// What the prompt tells the model, then what the request does.
fn system(first: &RawValue, then: &RawValue) -> Json {
    if let Some((first, then)) = string(first).zip(string(then)) {
        return Json::of(&[&*first, "\n\n", &*then].concat());
    }
    let parts = |raw: &RawValue| -> Vec<Value> {
        match Json::from(raw).to_value() {
            Value::String(text) => vec![json!({ "type": "text", "text": text })],
            Value::Array(parts) => parts,
            // Gemini's, whose parts need not be a list.
            mut object => match object["parts"].take() {
                Value::Array(parts) => parts,
                Value::Null => Vec::new(),
                part => vec![part],
            },
        }
    };
    let all: Vec<Value> = parts(first).into_iter().chain(parts(then)).collect();
    let object = then.get().starts_with('{');
    if object { Json::of(&json!({ "parts": all })) } else { Json::of(&all) }
}

/// Each parameter of a group as the request says it, else as the prompt does.
fn group(key: &str, usual: &RawValue, own: &RawValue) -> Result<Json, Malformed> {
    let (usual, fields) = (Fields::of(usual, key)?, Fields::of(own, key)?);
    let mut group = Draft::from(&fields);
    for (name, value) in usual.iter() {
        if said(&group, name).is_none() {
            group.set(name, Json::from(value));
        }
    }
    Json::parse(std::str::from_utf8(&group.write()).unwrap_or_default())
        .map_err(|_| Malformed::field(key, "an object"))
}
