//! Ollama's own embeddings, `/api/embed`.

use std::borrow::Cow;

use super::{Embed, Input, Request, Response, Vector, rest};
use crate::json::string;
use crate::object::{self, Object};
use crate::operation::AnswerForm;
use crate::{Fields, Loss, Malformed, Usage, peek};

#[derive(Clone, Copy, Debug, Default)]
pub struct Ollama;

const KNOWN: &[&str] = &["model", "input", "dimensions"];

impl Embed for Ollama {
    fn path(&self, _model: &str, _form: AnswerForm) -> Cow<'static, str> {
        "/api/embed".into()
    }

    fn form(&self, _fields: &Fields<'_>) -> AnswerForm {
        AnswerForm::default()
    }

    fn read_request(&self, fields: &Fields<'_>) -> Result<Request, Malformed> {
        let wrong = || Malformed::field("input", "a text or a list of texts");
        let raw = fields.present("input").ok_or_else(wrong)?;
        let texts = match string(raw) {
            Some(text) => vec![text.into_owned()],
            None => crate::json::from_str::<Vec<String>>(raw.get()).map_err(|_| wrong())?,
        };
        Ok(Request {
            inputs: texts.into_iter().map(Input::Text).collect(),
            dimensions: peek::count(fields, "dimensions")?,
            purpose: None,
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
        let texts = request.texts()?;
        let mut out = Vec::new();
        object::object(&mut out, |body| {
            body.string("model", model);
            body.list("input", |list| texts.iter().for_each(|text| list.string(text)));
            if let Some(dimensions) = request.dimensions {
                body.count("dimensions", dimensions);
            }
        });
        Ok(out)
    }

    fn read_response(&self, body: &[u8]) -> Result<Response, Malformed> {
        let answer = Object::read(body)?;
        let vectors =
            answer.items("embeddings")?.ok_or_else(|| Malformed::field("embeddings", "a list of vectors"))?;
        Ok(Response {
            vectors: vectors
                .into_iter()
                .map(|raw| Vector::read(raw, "embeddings"))
                .collect::<Result<_, _>>()?,
            model: answer.string("model")?,
            id: None,
            usage: Usage { input: answer.count("prompt_eval_count")?.unwrap_or(0), ..Usage::default() },
        })
    }

    fn write_response(
        &self,
        response: &Response,
        _form: AnswerForm,
        model: &str,
    ) -> Result<Vec<u8>, Malformed> {
        let vectors: Vec<_> = response.vectors.iter().map(Vector::numbers).collect::<Result<_, _>>()?;
        let mut out = Vec::new();
        object::object(&mut out, |body| {
            body.string("model", response.model.as_deref().unwrap_or(model));
            body.list("embeddings", |list| vectors.iter().for_each(|vector| list.json(vector)));
            body.count("prompt_eval_count", response.usage.input_total());
        });
        Ok(out)
    }
}
