//! `OpenAI` embeddings, and the many that speak like it (Voyage, Jina, Mistral, vLLM, Ollama's `/v1`).

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{Embed, Input, Purpose, Request, Response, Vector, rest};
use crate::json::string;
use crate::object::{self, Object};
use crate::operation::{AnswerForm, says};
use crate::sort::sort_by;
use crate::{Fields, Json, Loss, Malformed, Usage, peek};

#[derive(Clone, Copy, Debug, Default)]
pub struct Openai;

const KNOWN: &[&str] = &["model", "input", "dimensions", "encoding_format", "user", "input_type"];

impl Embed for Openai {
    fn path(&self, _model: &str, _form: AnswerForm) -> Cow<'static, str> {
        "/embeddings".into()
    }

    fn form(&self, fields: &Fields<'_>) -> AnswerForm {
        AnswerForm {
            base64: says(fields, "encoding_format", "base64"),
            single: false,
            ..AnswerForm::default()
        }
    }

    fn read_request(&self, fields: &Fields<'_>) -> Result<Request, Malformed> {
        let raw = fields.present("input").ok_or_else(|| Malformed::field("input", EXPECTED))?;
        // An extension that many relays know, in the words of those who invented it.
        let purpose = match fields.present("input_type").and_then(string).as_deref() {
            Some("search_document" | "document" | "passage") => Some(Purpose::Document),
            Some("search_query" | "query") => Some(Purpose::Query),
            Some("classification") => Some(Purpose::Classification),
            Some("clustering") => Some(Purpose::Clustering),
            Some(_) | None => None,
        };
        Ok(Request {
            inputs: inputs(raw)?,
            dimensions: peek::count(fields, "dimensions")?,
            purpose,
            title: None,
            rest: rest(fields, KNOWN),
        })
    }

    fn write_request(&self, request: &Request, model: &str, loss: &mut Loss) -> Result<Vec<u8>, Malformed> {
        request.note_rest(loss);
        if request.purpose.is_some() {
            loss.note("input_type");
        }
        if request.title.is_some() {
            loss.note("title");
        }
        let mut out = Vec::new();
        object::object(&mut out, |body| {
            body.string("model", model);
            body.list("input", |list| {
                for input in &request.inputs {
                    match input {
                        Input::Text(text) => list.string(text),
                        Input::Tokens(tokens) => list.json(tokens),
                    }
                }
            });
            if let Some(dimensions) = request.dimensions {
                body.count("dimensions", dimensions);
            }
            body.string("encoding_format", "float");
        });
        Ok(out)
    }

    fn read_response(&self, body: &[u8]) -> Result<Response, Malformed> {
        let answer = Object::read(body)?;
        let data = answer.items("data")?.ok_or_else(|| Malformed::field("data", "a list of embeddings"))?;
        let mut vectors: Vec<(u64, Vector)> = Vec::with_capacity(data.len());
        for (place, raw) in (0_u64..).zip(data) {
            let item = Object::of(raw, format!("data[{place}]"))?;
            let path = item.path("embedding");
            let raw = item.raw("embedding").ok_or_else(|| Malformed::field(path.clone(), "a vector"))?;
            vectors.push((item.count("index")?.unwrap_or(place), Vector::read(raw, &path)?));
        }
        sort_by(&mut vectors, |one, other| one.0.cmp(&other.0));
        let usage = answer.object("usage")?;
        let count = |key: &str| usage.as_ref().and_then(|usage| usage.count(key).ok().flatten());
        Ok(Response {
            vectors: vectors.into_iter().map(|(_, vector)| vector).collect(),
            model: answer.string("model")?,
            id: None,
            usage: Usage {
                // Voyage and Jina say the total alone.
                input: count("prompt_tokens").or_else(|| count("total_tokens")).unwrap_or(0),
                ..Usage::default()
            },
        })
    }

    fn write_response(
        &self,
        response: &Response,
        form: AnswerForm,
        model: &str,
    ) -> Result<Vec<u8>, Malformed> {
        let texts: Vec<Json> =
            response.vectors.iter().map(|vector| written(vector, form)).collect::<Result<_, _>>()?;
        let mut out = Vec::new();
        object::object(&mut out, |body| {
            body.string("object", "list");
            body.list("data", |list| {
                for (index, vector) in (0_u64..).zip(&texts) {
                    list.object(|item| {
                        item.string("object", "embedding");
                        item.count("index", index);
                        item.json("embedding", vector);
                    });
                }
            });
            body.string("model", response.model.as_deref().unwrap_or(model));
            body.object("usage", |usage| {
                usage.count("prompt_tokens", response.usage.input_total());
                usage.count("total_tokens", response.usage.total());
            });
        });
        Ok(out)
    }
}

fn written(vector: &Vector, form: AnswerForm) -> Result<Json, Malformed> {
    if form.base64 { Ok(Json::of(&vector.packed()?)) } else { vector.numbers() }
}

const EXPECTED: &str = "a text, a list of texts, a list of tokens, or a list of such lists";

/// One text, one list of tokens, or a list of either.
fn inputs(raw: &RawValue) -> Result<Vec<Input>, Malformed> {
    if let Some(text) = string(raw) {
        return Ok(vec![Input::Text(text.into_owned())]);
    }
    let wrong = || Malformed::field("input", EXPECTED);
    let items: Vec<&RawValue> = crate::json::from_str(raw.get()).map_err(|_| wrong())?;
    let tokens = |raw: &RawValue| crate::json::from_str::<Vec<u64>>(raw.get()).is_ok();
    if items.first().is_some_and(|first| first.get().starts_with(|c: char| c.is_ascii_digit())) {
        return if tokens(raw) { Ok(vec![Input::Tokens(Json::from(raw))]) } else { Err(wrong()) };
    }
    let input = |item: &RawValue| match string(item) {
        Some(text) => Ok(Input::Text(text.into_owned())),
        None if tokens(item) => Ok(Input::Tokens(Json::from(item))),
        None => Err(wrong()),
    };
    let inputs: Vec<Input> = items.into_iter().map(input).collect::<Result<_, _>>()?;
    if inputs.is_empty() { Err(wrong()) } else { Ok(inputs) }
}
