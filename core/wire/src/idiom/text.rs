//! Text Generation Inference: `{"inputs", "parameters"}` and generated text.

use serde_json::{Map, Value};

use super::{chunk, completion, content, error, lost, pairs, renamed, stops, transcript};
use crate::Loss;

const PARAMETERS: &[(&str, &str)] = &[
    ("max_tokens", "max_new_tokens"),
    ("max_completion_tokens", "max_new_tokens"),
    ("temperature", "temperature"),
    ("top_p", "top_p"),
    ("top_k", "top_k"),
    ("seed", "seed"),
    ("repetition_penalty", "repetition_penalty"),
    ("frequency_penalty", "frequency_penalty"),
    ("typical_p", "typical_p"),
];

pub(super) fn request(mut fields: Map<String, Value>, messages: &[Value], loss: &mut Loss) -> Value {
    let mut parameters = Map::new();
    renamed(&mut fields, &mut parameters, PARAMETERS);
    // Zero is refused: not to sample is what it means.
    let cold = parameters.get("temperature").and_then(Value::as_f64).map(|heat| heat == 0.0);
    if cold == Some(true) {
        parameters.remove("temperature");
    }
    if let Some(cold) = cold {
        parameters.insert("do_sample".to_owned(), (!cold).into());
    }
    if let Some(stops) = stops(&mut fields) {
        parameters.insert("stop".to_owned(), stops.into());
    }
    parameters.insert("return_full_text".to_owned(), false.into());
    parameters.insert("details".to_owned(), true.into());
    // It has one model, and its address says which.
    fields.remove("model");
    let stream = fields.remove("stream").unwrap_or(false.into());
    lost(&fields, loss);
    let inputs = transcript(messages, loss);
    pairs([("inputs", inputs.into()), ("parameters", parameters.into()), ("stream", stream)])
}

pub(super) fn answer(answer: &Value) -> Value {
    let said = answer.get(0).unwrap_or(answer);
    match said.get("generated_text").and_then(Value::as_str) {
        Some(text) => completion(text, finish(said)),
        None => said.clone(),
    }
}

/// A token, and at the end, with the last one, how it ended.
pub(super) fn event(event: &Value, out: &mut Vec<Value>) {
    if let Some(message) = event.get("error").and_then(Value::as_str) {
        let kind = event.get("error_type").and_then(Value::as_str).unwrap_or("api_error");
        out.push(error(message, kind));
        return;
    }
    let special = event.pointer("/token/special").and_then(Value::as_bool).unwrap_or_default();
    let text = event.pointer("/token/text").and_then(Value::as_str).filter(|_| !special);
    out.extend(text.map(|text| chunk(content(text), None)));
    if event.get("generated_text").is_some_and(|text| !text.is_null()) {
        out.push(chunk(pairs([]), Some(finish(event))));
    }
}

fn finish(said: &Value) -> &'static str {
    match said.pointer("/details/finish_reason").and_then(Value::as_str) {
        Some("length") => "length",
        _ => "stop",
    }
}
