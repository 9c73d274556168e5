//! Gemini `embedContent` and `batchEmbedContents`.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{Embed, Input, Purpose, Request, Response, Vector, rest};
use crate::object::{self, Object};
use crate::operation::AnswerForm;
use crate::{Fields, Loss, Malformed, Usage};

#[derive(Clone, Copy, Debug, Default)]
pub struct Gemini;

const KNOWN: &[&str] = &["model", "content", "taskType", "title", "outputDimensionality"];

impl Embed for Gemini {
    fn path(&self, model: &str, form: AnswerForm) -> Cow<'static, str> {
        let method = if form.single { "embedContent" } else { "batchEmbedContents" };
        format!("/models/{model}:{method}").into()
    }

    fn form(&self, fields: &Fields<'_>) -> AnswerForm {
        AnswerForm { base64: false, single: fields.present("requests").is_none(), ..AnswerForm::default() }
    }

    fn read_request(&self, fields: &Fields<'_>) -> Result<Request, Malformed> {
        let Some(requests) = fields.present("requests") else { return one(fields, "") };
        let wrong = || Malformed::field("requests", "a list of requests");
        let items: Vec<&RawValue> = crate::json::from_str(requests.get()).map_err(|_| wrong())?;
        let mut all: Option<Request> = None;
        for (place, raw) in items.into_iter().enumerate() {
            let path = format!("requests[{place}]");
            let request = one(&Fields::of(raw, &path)?, &format!("{path}."))?;
            match &mut all {
                None => all = Some(request),
                Some(all) => {
                    if (all.dimensions, all.purpose) != (request.dimensions, request.purpose) {
                        return Err(Malformed::field(
                            path,
                            "the taskType and outputDimensionality of the others",
                        ));
                    }
                    all.inputs.extend(request.inputs);
                }
            }
        }
        all.ok_or_else(wrong)
    }

    fn write_request(&self, request: &Request, model: &str, loss: &mut Loss) -> Result<Vec<u8>, Malformed> {
        request.note_rest(loss);
        let texts = request.texts()?;
        let purpose = request.purpose.map(|purpose| match purpose {
            Purpose::Document => "RETRIEVAL_DOCUMENT",
            Purpose::Query => "RETRIEVAL_QUERY",
            Purpose::Classification => "CLASSIFICATION",
            Purpose::Clustering => "CLUSTERING",
            Purpose::Similarity => "SEMANTIC_SIMILARITY",
        });
        let mut out = Vec::new();
        object::object(&mut out, |body| {
            body.list("requests", |list| {
                for text in &texts {
                    list.object(|item| {
                        item.string("model", &format!("models/{model}"));
                        item.object("content", |content| {
                            content.list("parts", |parts| parts.object(|part| part.string("text", text)));
                        });
                        if let Some(purpose) = purpose {
                            item.string("taskType", purpose);
                        }
                        if let Some(title) = &request.title {
                            item.string("title", title);
                        }
                        if let Some(dimensions) = request.dimensions {
                            item.count("outputDimensionality", dimensions);
                        }
                    });
                }
            });
        });
        Ok(out)
    }

    fn read_response(&self, body: &[u8]) -> Result<Response, Malformed> {
        let answer = Object::read(body)?;
        let raw = match answer.items("embeddings")? {
            Some(items) => items,
            None => vec![
                answer
                    .raw("embedding")
                    .ok_or_else(|| Malformed::field("embeddings", "a list of embeddings"))?,
            ],
        };
        let vector = |raw: &RawValue| {
            let item = Object::of(raw, "embeddings")?;
            let values = item.raw("values").ok_or_else(|| Malformed::field("values", "a list of numbers"))?;
            Vector::read(values, "values")
        };
        let usage = answer.object("usageMetadata")?;
        let input = usage.map(|usage| usage.count("promptTokenCount")).transpose()?.flatten();
        Ok(Response {
            vectors: raw.into_iter().map(vector).collect::<Result<_, _>>()?,
            model: None,
            id: None,
            usage: Usage { input: input.unwrap_or(0), ..Usage::default() },
        })
    }

    fn write_response(
        &self,
        response: &Response,
        form: AnswerForm,
        _model: &str,
    ) -> Result<Vec<u8>, Malformed> {
        let vectors: Vec<_> = response.vectors.iter().map(Vector::numbers).collect::<Result<_, _>>()?;
        let mut out = Vec::new();
        object::object(&mut out, |body| match (form.single, vectors.as_slice()) {
            (true, [vector]) => body.object("embedding", |item| item.json("values", vector)),
            _ => body.list("embeddings", |list| {
                for vector in &vectors {
                    list.object(|item| item.json("values", vector));
                }
            }),
        });
        Ok(out)
    }
}

/// One `embedContent`; its parts of text are one text.
fn one(fields: &Fields<'_>, path: &str) -> Result<Request, Malformed> {
    let wrong = || Malformed::field(format!("{path}content"), "parts of text");
    let content = fields.present("content").ok_or_else(wrong)?;
    let content = Object::of(content, format!("{path}content"))?;
    let mut text = String::new();
    for raw in content.items("parts")?.ok_or_else(wrong)? {
        text.push_str(&Object::of(raw, format!("{path}content.parts"))?.need("text")?);
    }
    let word = |key: &str| fields.present(key).and_then(crate::json::string);
    let purpose = match word("taskType").as_deref() {
        Some("RETRIEVAL_DOCUMENT") => Some(Purpose::Document),
        Some("RETRIEVAL_QUERY" | "QUESTION_ANSWERING" | "FACT_VERIFICATION" | "CODE_RETRIEVAL_QUERY") => {
            Some(Purpose::Query)
        }
        Some("CLASSIFICATION") => Some(Purpose::Classification),
        Some("CLUSTERING") => Some(Purpose::Clustering),
        Some("SEMANTIC_SIMILARITY") => Some(Purpose::Similarity),
        Some(_) | None => None,
    };
    Ok(Request {
        inputs: vec![Input::Text(text)],
        dimensions: crate::peek::count(fields, "outputDimensionality")?,
        purpose,
        title: word("title").map(std::borrow::Cow::into_owned),
        rest: rest(fields, KNOWN),
    })
}
