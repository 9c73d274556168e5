//! Cohere Chat, version 2.
//!
//! Its `documents` are canonical documents of the last user message, since there is no place for them elsewhere, and
//! its `tool_plan` is a thought. Money: `usage.billed_units` is what Cohere bills; `usage.tokens` counts the templates
//! that it writes around a request as well (some thirty times as much for a short request with tools), and is read
//! only where no billed units are said.
//!
//! What it cannot say and what is done then: several answers, audio, and documents that are no text are refused; one
//! named tool is the only one that is sent, and must be called; media in a tool's result go into a user message after
//! it; cache marks, end users, tiers, names of messages and schemas' names are left out and noted.

mod decode;
mod document;
mod encode;
mod error;
mod logprobs;
mod message;
mod request;
mod response;
mod usage;
mod write;

use std::borrow::Cow;

use super::{Addressed, Conventions, EncoderOptions, KeyIn, RateHeaders, Reading, TargetHints, Written};
use crate::chat::{Media, Request, Response};
use crate::embed::{self, Embed};
use crate::frame::Framing;
use crate::{
    Decoder, Dialect, DialectId, Encoder, Fields, Loss, Malformed, Peek, PublicError, UpstreamError, peek,
};

const HERE: DialectId = DialectId::Cohere;

#[derive(Clone, Copy, Debug, Default)]
pub struct Cohere;

impl Dialect for Cohere {
    fn id(&self) -> DialectId {
        HERE
    }

    fn conventions(&self) -> &'static Conventions {
        const CONVENTIONS: Conventions = Conventions {
            framing: Framing::Sse,
            key: KeyIn::Bearer,
            headers: &[],
            passed: &["x-client-name"],
            request_id: "x-request-id",
            rates: RateHeaders::Openai,
            model_in_path: false,
            output_cap: "max_tokens",
            usage_on_request: false,
            unbounded: &[],
            unseen_with_tools: 2_048,
        };
        &CONVENTIONS
    }

    fn path(&self, _model: &str, _stream: bool) -> Cow<'static, str> {
        "/chat".into()
    }

    fn peek<'a>(&self, fields: &Fields<'a>, addressed: &'a Addressed) -> Result<Peek<'a>, Malformed> {
        Ok(Peek {
            model: peek::model(fields, addressed)?,
            stream: peek::flag(fields, "stream")?.unwrap_or(false),
            max_output: peek::count(fields, "max_tokens")?,
            choices: 1,
            stream_usage: true,
        })
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

    fn write_response(&self, response: &Response, loss: &mut Loss) -> Vec<u8> {
        response::write(response, loss)
    }

    fn write_error(&self, error: &PublicError) -> Vec<u8> {
        error::write(error)
    }

    fn read_error(&self, status: u16, body: &[u8]) -> UpstreamError {
        error::read(status, body)
    }

    fn hidden_error(&self, body: &[u8]) -> Option<UpstreamError> {
        error::hidden(body)
    }

    fn text_documents(&self) -> bool {
        true
    }

    fn embed(&self) -> Option<&'static dyn Embed> {
        Some(&embed::Cohere)
    }

    fn takes_url(&self, media: Media, _url: &str) -> bool {
        media == Media::Image
    }

    fn decoder(&self, _reading: Reading) -> Box<dyn Decoder> {
        Box::new(decode::StreamDecoder::default())
    }

    fn encoder(&self, _options: EncoderOptions) -> Box<dyn Encoder> {
        Box::new(encode::StreamEncoder::default())
    }
}
