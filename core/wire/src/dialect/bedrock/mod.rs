//! Bedrock Converse: one shape for the models of many vendors.
//!
//! What it cannot say and what is done then: several answers, and images, documents and audio by URL (but `s3://`) are
//! refused; penalties, seeds and names of messages are left out and noted; a schema for output becomes a tool that the
//! model must call, where the model takes none ([`Restore`](crate::Restore) undoes it); a choice of no tool leaves the
//! tools out, unless the history speaks of them.
//!
//! The models behind it differ in what they take beside each other: [`family::Family`] knows their ways.

mod block;
mod compose;
mod decode;
mod encode;
mod error;
mod family;
mod fields;
mod inline;
mod media;
mod request;
mod response;
mod stop;
mod tools;
mod turn;
mod usage;
mod write;

use std::borrow::Cow;

use super::{Addressed, Conventions, KeyIn, RateHeaders, Reading};
use crate::chat::{Media, Request, Response};
use crate::frame::Framing;
use crate::sigv4::push_encoded;
use crate::{
    Decoder, Dialect, DialectId, Encoder, EncoderOptions, Fields, Loss, Malformed, Peek, PublicError,
    TargetHints, UpstreamError, Usage, Written, peek,
};

const HERE: DialectId = DialectId::Bedrock;

#[derive(Clone, Copy, Debug, Default)]
pub struct Bedrock;

impl Dialect for Bedrock {
    fn id(&self) -> DialectId {
        HERE
    }

    fn conventions(&self) -> &'static Conventions {
        const CONVENTIONS: Conventions = Conventions {
            framing: Framing::EventStream,
            key: KeyIn::BearerOrSigned("bedrock"),
            headers: &[],
            passed: &[],
            request_id: "x-amzn-requestid",
            rates: RateHeaders::Openai,
            model_in_path: true,
            output_cap: "inferenceConfig.maxTokens",
            usage_on_request: false,
            // Guardrails are billed by what they read; a stored prompt is of any length.
            unbounded: &["guardrailConfig", "promptVariables"],
            unseen_with_tools: 4_096,
        };
        &CONVENTIONS
    }

    fn path(&self, model: &str, stream: bool) -> Cow<'static, str> {
        let mut path = String::with_capacity(model.len() + 32);
        path.push_str("/model/");
        model.bytes().for_each(|byte| push_encoded(&mut path, byte));
        path.push_str(if stream { "/converse-stream" } else { "/converse" });
        path.into()
    }

    fn peek<'a>(&self, fields: &Fields<'a>, addressed: &'a Addressed) -> Result<Peek<'a>, Malformed> {
        let config = fields.present("inferenceConfig").map(|raw| Fields::of(raw, "inferenceConfig"));
        let max_output = match config.transpose()? {
            Some(config) => peek::count(&config, "maxTokens")
                .map_err(|_| Malformed::field("inferenceConfig.maxTokens", "a whole number, zero or more"))?,
            None => None,
        };
        Ok(Peek {
            model: peek::model(fields, addressed)?,
            stream: addressed.stream.unwrap_or(false),
            max_output,
            choices: 1,
            stream_usage: true,
        })
    }

    fn unbounded(&self, fields: &Fields<'_>) -> Option<String> {
        request::unbounded(fields)
    }

    fn read_request(&self, body: &[u8]) -> Result<Request, Malformed> {
        request::read(body)
    }

    fn write_request(
        &self,
        request: &Request,
        target: &TargetHints,
        loss: &mut Loss,
    ) -> Result<Written, Malformed> {
        write::write(request, target, loss)
    }

    fn read_response(&self, body: &[u8], _reading: Reading) -> Result<Response, Malformed> {
        response::read(body)
    }

    fn read_usage(&self, body: &[u8], _reading: Reading) -> Result<(Usage, Option<String>), Malformed> {
        response::read_usage(body)
    }

    fn write_response(&self, response: &Response, loss: &mut Loss) -> Vec<u8> {
        response::write(response, loss)
    }

    fn write_error(&self, error: &PublicError) -> Vec<u8> {
        error::write(error)
    }

    fn read_error(&self, status: u16, body: &[u8]) -> UpstreamError {
        error::read(Some(status), None, body)
    }

    fn error_header(&self) -> Option<&'static str> {
        Some("x-amzn-errortype")
    }

    fn error_name(&self, error: &PublicError) -> Option<&'static str> {
        Some(error::word(error))
    }

    fn read_named_error(&self, status: u16, name: Option<&str>, body: &[u8]) -> UpstreamError {
        error::read(Some(status), name, body)
    }

    fn known_names(&self, model: &str) -> Vec<String> {
        family::known_names(model)
    }

    /// None but `s3://`.
    fn takes_url(&self, _media: Media, _url: &str) -> bool {
        false
    }

    fn decoder(&self, _reading: Reading) -> Box<dyn Decoder> {
        Box::new(decode::StreamDecoder::default())
    }

    fn encoder(&self, _options: EncoderOptions) -> Box<dyn Encoder> {
        Box::new(encode::StreamEncoder::default())
    }
}
