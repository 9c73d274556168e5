//! Pictures at Google: `OpenAI`'s request for pictures in the words of Imagen (`:predict`) or of a Gemini model that draws
//! (`:generateContent`), and their answers in `OpenAI`'s.

use serde_json::{Value, json};

use crate::{Loss, Malformed};

/// The shapes that are drawn, width and height.
const SHAPES: [(f64, f64); 5] = [(1.0, 1.0), (3.0, 4.0), (4.0, 3.0), (9.0, 16.0), (16.0, 9.0)];

/// Whether `model` is asked by `:predict`.
pub fn predicts(model: &str) -> bool {
    model.starts_with("imagen")
}

/// The method that draws: what follows the model in the address.
pub fn method(model: &str) -> &'static str {
    if predicts(model) { ":predict" } else { ":generateContent" }
}

/// Says a request of `OpenAI`'s for `model`.
///
/// # Errors
/// It has no prompt.
pub fn request(body: &[u8], model: &str, loss: &mut Loss) -> Result<Vec<u8>, Malformed> {
    let Ok(Value::Object(mut fields)) = crate::json::read(body) else {
        return Err(Malformed::field("body", "an object"));
    };
    let Some(Value::String(prompt)) = fields.remove("prompt") else {
        return Err(Malformed::field("prompt", "a string"));
    };
    fields.remove("model");
    // Pictures come in base64, whether it was asked for or not.
    if fields.get("response_format").is_some_and(|format| format == "b64_json") {
        fields.remove("response_format");
    }
    let shape = fields.remove("size").filter(|size| size != "auto").map(|size| shape(&size, loss));
    let count = fields.remove("n").filter(|count| !count.is_null());
    let written = if predicts(model) {
        let mut parameters = json!({ "sampleCount": count.unwrap_or(1.into()) });
        if let Some(shape) = shape {
            put(&mut parameters, "aspectRatio", shape.into());
        }
        if let Some(format) = fields.remove("output_format").as_ref().and_then(Value::as_str) {
            let mut options = json!({ "mimeType": format!("image/{format}") });
            if let Some(quality) = fields.remove("output_compression") {
                put(&mut options, "compressionQuality", quality);
            }
            put(&mut parameters, "outputOptions", options);
        }
        json!({ "instances": [{ "prompt": prompt }], "parameters": parameters })
    } else {
        if count.is_some_and(|count| count != 1) {
            loss.note("n");
        }
        let mut config = json!({ "responseModalities": ["IMAGE"] });
        if let Some(shape) = shape {
            put(&mut config, "imageConfig", json!({ "aspectRatio": shape }));
        }
        json!({ "contents": [{ "role": "user", "parts": [{ "text": prompt }] }], "generationConfig": config })
    };
    for (name, value) in fields {
        if !value.is_null() {
            loss.note(name);
        }
    }
    Ok(written.to_string().into_bytes())
}

fn put(object: &mut Value, name: &str, value: Value) {
    if let Value::Object(object) = object {
        object.insert(name.to_owned(), value);
    }
}

/// The shape that is nearest to a size such as `1792x1024`; pixels are the model's own.
fn shape(size: &Value, loss: &mut Loss) -> String {
    let pixels = |text: &str| crate::json::number(text).filter(|pixels| *pixels >= 1.0);
    let sides = size.as_str().and_then(|size| size.split_once('x'));
    let asked = sides.and_then(|(width, height)| Some(pixels(width)? / pixels(height)?)).unwrap_or(1.0);
    let away = |(width, height): &(f64, f64)| (width / height / asked).ln().abs();
    let nearest = SHAPES.into_iter().min_by(|one, other| away(one).total_cmp(&away(other)));
    let (width, height) = nearest.unwrap_or((1.0, 1.0));
    if away(&(width, height)) > 0.05 {
        loss.note("size");
    }
    format!("{width}:{height}")
}

/// An answer in `OpenAI`'s words; `created` in seconds since 1970. An error where nothing was drawn.
///
/// # Errors
/// It is no answer.
pub fn answer(body: &[u8], created: u64) -> Result<Vec<u8>, Malformed> {
    let said: Value = crate::json::read(body).map_err(|_| Malformed::field("body", "JSON"))?;
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let mut pictures = Vec::new();
    let mut why = said.pointer("/promptFeedback/blockReason").and_then(Value::as_str).map(str::to_owned);
    let mut known = false;
    for one in list(said.get("predictions")) {
        known = true;
        match one.get("bytesBase64Encoded") {
            Some(bytes) => pictures.push(json!({ "b64_json": bytes })),
            None => why = one.get("raiFilteredReason").and_then(Value::as_str).map(str::to_owned).or(why),
        }
    }
    for candidate in list(said.get("candidates")) {
        known = true;
        for part in list(candidate.pointer("/content/parts")) {
            if let Some(bytes) = part.pointer("/inlineData/data") {
                pictures.push(json!({ "b64_json": bytes }));
            } else if let Some(text) = part.get("text").and_then(Value::as_str) {
                why = Some(text.to_owned());
            }
        }
    }
    if pictures.is_empty() {
        // Imagen says nothing at all where it filtered everything.
        let nothing = said.as_object().is_some_and(serde_json::Map::is_empty);
        if !known && !nothing && why.is_none() {
            return Err(Malformed::field("body", "pictures"));
        }
        let message = why.unwrap_or_else(|| "the vendor's filters let no picture pass".to_owned());
        let error = json!({ "message": message, "type": "invalid_request_error", "code": "content_policy_violation" });
        return Ok(json!({ "error": error }).to_string().into_bytes());
    }
    let mut out = json!({ "created": created, "data": pictures });
    let count = |name: &str| said.get("usageMetadata")?.get(name)?.as_u64();
    if let (Some(input), Some(output)) = (count("promptTokenCount"), count("candidatesTokenCount")) {
        let usage = json!({ "input_tokens": input, "output_tokens": output, "total_tokens": input.saturating_add(output) });
        put(&mut out, "usage", usage);
    }
    Ok(out.to_string().into_bytes())
}
