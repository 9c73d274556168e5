//! Replicate's predictions: they are begun, and then waited for or read as a stream.

use serde_json::{Map, Value};

use super::{chunk, completion, content, error, is_system, pairs, renamed, stops, transcript, words};
use crate::{Loss, Malformed};

/// `owner/name` is a model of the vendor's own care, `owner/name:version` and `version` a version of any other,
/// `deployments/owner/name` the account's own machines.
pub(super) fn path(model: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let safe: String = model.bytes().filter(|byte| plain(*byte)).map(char::from).collect();
    match model.strip_prefix("deployments/") {
        Some(_) => format!("/{safe}/predictions"),
        None if version(model).is_some() => "/predictions".to_owned(),
        None => format!("/models/{safe}/predictions"),
    }
}

fn version(model: &str) -> Option<&str> {
    (model.contains(':') || !model.contains('/')).then_some(model)
}

const INPUTS: &[(&str, &str)] = &[("max_tokens", "max_tokens"), ("max_completion_tokens", "max_tokens")];

pub(super) fn request(mut fields: Map<String, Value>, messages: &[Value], loss: &mut Loss) -> Value {
    let mut input = Map::new();
    let (system, spoken): (Vec<&Value>, Vec<&Value>) =
        messages.iter().partition(|message| is_system(message));
    if !system.is_empty() {
        let said: Vec<String> = system.into_iter().map(|message| words(message, loss)).collect();
        input.insert("system_prompt".to_owned(), said.join("\n\n").into());
    }
    let mut spoken: Vec<Value> = spoken.into_iter().cloned().collect();
    if let Some(image) = image(&mut spoken) {
        input.insert("image".to_owned(), image);
    }
    input.insert("prompt".to_owned(), transcript(&spoken, loss).into());
    renamed(&mut fields, &mut input, INPUTS);
    if let Some(stops) = stops(&mut fields) {
        let texts: Vec<&str> = stops.iter().filter_map(Value::as_str).collect();
        input.insert("stop_sequences".to_owned(), texts.join(",").into());
    }
    let mut body = Map::new();
    if let Some(model) = fields.remove("model")
        && let Some(version) = model.as_str().and_then(version)
    {
        body.insert("version".to_owned(), version.into());
    }
    body.insert("stream".to_owned(), fields.remove("stream").unwrap_or(false.into()));
    fields.remove("stream_options");
    for name in NO_INPUTS {
        if fields.remove(*name).is_some_and(|value| !value.is_null()) {
            loss.note(*name);
        }
    }
    // Inputs are each model's own: what is named otherwise may be one.
    input.extend(fields);
    body.insert("input".to_owned(), input.into());
    body.into()
}

/// What means the same at all of `OpenAI`'s models and is no model's input here.
const NO_INPUTS: &[&str] = &[
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "functions",
    "function_call",
    "response_format",
    "n",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "user",
    "store",
    "metadata",
    "service_tier",
    "modalities",
    "audio",
    "prediction",
    "web_search_options",
];

/// Takes the first picture out of the conversation: one is what models take.
fn image(messages: &mut [Value]) -> Option<Value> {
    let lists = messages.iter_mut().filter_map(|message| message.get_mut("content")?.as_array_mut());
    for parts in lists {
        let place = parts.iter().position(|part| part.pointer("/image_url/url").is_some());
        if let Some(part) = place.map(|place| parts.remove(place)) {
            return part.pointer("/image_url/url").cloned();
        }
    }
    None
}

/// How far a prediction has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Running,
    Ended,
}

/// What the vendor says of a prediction that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prediction {
    pub state: State,
    /// Where it is looked at.
    pub get: Option<String>,
    /// Where it is called off.
    pub cancel: Option<String>,
    /// Where its output is read as it comes.
    pub stream: Option<String>,
    /// Its usage, as chunks of `OpenAI`'s have it.
    pub usage: Option<String>,
}

impl Prediction {
    /// # Errors
    /// It is no prediction.
    pub fn read(body: &[u8]) -> Result<Self, Malformed> {
        let said = super::read(body)?;
        let status = said.get("status").and_then(Value::as_str);
        let state = match status.ok_or_else(|| Malformed::field("status", "a string"))? {
            "starting" | "processing" => State::Running,
            _ => State::Ended,
        };
        let url = |name: &str| Some(said.get("urls")?.get(name)?.as_str()?.to_owned());
        let usage = usage(&said).map(|usage| usage.to_string());
        Ok(Self { state, get: url("get"), cancel: url("cancel"), stream: url("stream"), usage })
    }
}

fn usage(said: &Value) -> Option<Value> {
    let count = |name: &str| said.get("metrics")?.get(name)?.as_u64();
    let (input, output) = (count("input_token_count")?, count("output_token_count")?);
    Some(pairs([
        ("prompt_tokens", input.into()),
        ("completion_tokens", output.into()),
        ("total_tokens", input.saturating_add(output).into()),
    ]))
}

pub(super) fn answer(said: &Value) -> Value {
    match said.get("status").and_then(Value::as_str) {
        Some("succeeded") => {}
        Some(status) => {
            let message = said.get("error").and_then(Value::as_str).unwrap_or(status);
            return error(message, "api_error");
        }
        None => return said.clone(),
    }
    let text = match said.get("output") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(pieces)) => pieces.iter().filter_map(Value::as_str).collect(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    let mut out = completion(&text, "stop");
    if let (Some(usage), Some(object)) = (usage(said), out.as_object_mut()) {
        object.insert("usage".to_owned(), usage);
    }
    out
}

pub(super) fn event(name: Option<&str>, data: &str, out: &mut Vec<Value>) -> Result<(), Malformed> {
    match name {
        Some("output") => out.push(chunk(content(data), None)),
        Some("error") => {
            let detail = super::read(data.as_bytes()).ok();
            let detail = detail.as_ref().and_then(|said| said.get("detail")?.as_str());
            out.push(error(detail.unwrap_or(data), "api_error"));
        }
        Some("done") => match super::read(data.as_bytes())?.get("reason").and_then(Value::as_str) {
            Some(reason) => out.push(error(&format!("the prediction was ended: {reason}"), "api_error")),
            None => out.push(chunk(pairs([]), Some("stop"))),
        },
        _ => {}
    }
    Ok(())
}
