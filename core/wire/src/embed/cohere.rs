//! Cohere v2 embeddings.

use std::borrow::Cow;

use super::{Embed, Input, Purpose, Request, Response, Vector, rest};
use crate::json::string;
use crate::object::{self, Object};
use crate::operation::AnswerForm;
use crate::{Fields, Loss, Malformed, Usage, peek};

#[derive(Clone, Copy, Debug, Default)]
pub struct Cohere;

const KNOWN: &[&str] =
    &["model", "texts", "input_type", "embedding_types", "output_dimension", "max_tokens", "priority"];

impl Embed for Cohere {
    fn path(&self, _model: &str, _form: AnswerForm) -> Cow<'static, str> {
        "/embed".into()
    }

    fn form(&self, fields: &Fields<'_>) -> AnswerForm {
        let types = fields.present("embedding_types");
        let types = types.and_then(|raw| crate::json::from_str::<Vec<String>>(raw.get()).ok());
        AnswerForm {
            base64: types.is_some_and(|types| types == ["base64"]),
            single: false,
            ..AnswerForm::default()
        }
    }

    fn read_request(&self, fields: &Fields<'_>) -> Result<Request, Malformed> {
        let wrong = || Malformed::field("texts", "a list of texts");
        let raw = fields.present("texts").ok_or_else(wrong)?;
        let texts: Vec<String> = crate::json::from_str(raw.get()).map_err(|_| wrong())?;
        if let Some(types) = fields.present("embedding_types") {
            let types: Vec<String> = crate::json::from_str(types.get()).unwrap_or_default();
            if types.len() != 1 || !types.iter().all(|kind| kind == "float" || kind == "base64") {
                return Err(Malformed::field(
                    "embedding_types",
                    "[\"float\"] or [\"base64\"]: the model's provider knows no other",
                ));
            }
        }
        let purpose = match fields.present("input_type").and_then(string).as_deref() {
            Some("search_document") => Some(Purpose::Document),
            Some("search_query") => Some(Purpose::Query),
            Some("classification") => Some(Purpose::Classification),
            Some("clustering") => Some(Purpose::Clustering),
            Some(_) | None => None,
        };
        Ok(Request {
            inputs: texts.into_iter().map(Input::Text).collect(),
            dimensions: peek::count(fields, "output_dimension")?,
            purpose,
            title: None,
            rest: rest(fields, KNOWN),
        })
    }

    fn write_request(&self, request: &Request, model: &str, loss: &mut Loss) -> Result<Vec<u8>, Malformed> {
        request.note_rest(loss);
        if request.title.is_some() {
            loss.note("title");
        }
        let texts = request.texts()?;
        // The field is required, and whoever does not say what vectors are for nearly always stores them.
        let purpose = match request.purpose {
            None => {
                loss.note("input_type=search_document");
                "search_document"
            }
            Some(Purpose::Document) => "search_document",
            Some(Purpose::Query) => "search_query",
            Some(Purpose::Classification) => "classification",
            Some(Purpose::Clustering) => "clustering",
            Some(Purpose::Similarity) => {
                loss.note("input_type=clustering");
                "clustering"
            }
        };
        let mut out = Vec::new();
        object::object(&mut out, |body| {
            body.string("model", model);
            body.list("texts", |list| texts.iter().for_each(|text| list.string(text)));
            body.string("input_type", purpose);
            body.list("embedding_types", |list| list.string("float"));
            if let Some(dimensions) = request.dimensions {
                body.count("output_dimension", dimensions);
            }
        });
        Ok(out)
    }

    fn read_response(&self, body: &[u8]) -> Result<Response, Malformed> {
        let answer = Object::read(body)?;
        let wrong = || Malformed::field("embeddings", "lists of vectors by type");
        let embeddings = answer.object("embeddings")?.ok_or_else(wrong)?;
        let kind = ["float", "base64"].into_iter().find(|kind| embeddings.raw(kind).is_some());
        let vectors = match kind {
            Some(kind) => embeddings.items(kind)?.unwrap_or_default(),
            None => return Err(wrong()),
        };
        let billed = answer.object("meta")?.map(|meta| meta.object("billed_units")).transpose()?.flatten();
        let count = |key: &str| billed.as_ref().and_then(|billed| billed.count(key).ok().flatten());
        Ok(Response {
            vectors: vectors
                .into_iter()
                .map(|raw| Vector::read(raw, "embeddings"))
                .collect::<Result<_, _>>()?,
            model: None,
            id: answer.string("id")?,
            usage: Usage {
                input: count("input_tokens").unwrap_or(0),
                image_input: count("image_tokens").unwrap_or(0),
                ..Usage::default()
            },
        })
    }

    fn write_response(
        &self,
        response: &Response,
        form: AnswerForm,
        _model: &str,
    ) -> Result<Vec<u8>, Malformed> {
        let packed = |vector: &Vector| {
            if form.base64 { vector.packed().map(|text| crate::Json::of(&text)) } else { vector.numbers() }
        };
        let vectors: Vec<_> = response.vectors.iter().map(packed).collect::<Result<_, _>>()?;
        let mut out = Vec::new();
        object::object(&mut out, |body| {
            body.string("id", response.id.as_deref().unwrap_or("embed"));
            body.object("embeddings", |embeddings| {
                let kind = if form.base64 { "base64" } else { "float" };
                embeddings.list(kind, |list| vectors.iter().for_each(|vector| list.json(vector)));
            });
            body.object("meta", |meta| {
                meta.object("api_version", |version| version.string("version", "2"));
                meta.object("billed_units", |billed| {
                    billed.count("input_tokens", response.usage.input_total());
                });
            });
            body.string("response_type", "embeddings_by_type");
        });
        Ok(out)
    }
}
