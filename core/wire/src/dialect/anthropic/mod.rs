//! Anthropic Messages: the richest of the dialects, after which the canonical types are modelled.
//!
//! What it cannot say and what is done then: several answers, audio, and a tool's result without its call are refused;
//! thoughts without signature, penalties, seeds and names of messages are left out and noted; a schema for output
//! becomes a tool that the model must call, where the model takes none ([`Restore`](crate::Restore) undoes it).

mod block;
pub(super) mod compose;
mod decode;
mod encode;
mod error;
pub(super) mod limits;
pub(super) mod names;
mod request;
mod response;
pub(super) mod schema;
mod tools;
mod usage;
mod write;

use std::borrow::Cow;

use super::{Addressed, Conventions, KeyIn, RateHeaders, Reading};
use crate::chat::{Media, Request, Response};
use crate::frame::Framing;
use crate::{
    Decoder, Dialect, DialectId, Encoder, EncoderOptions, Fields, Loss, Malformed, Peek, PublicError,
    TargetHints, UpstreamError, Written, peek,
};

#[derive(Clone, Copy, Debug, Default)]
pub struct Anthropic;

impl Dialect for Anthropic {
    fn id(&self) -> DialectId {
        DialectId::Anthropic
    }

    fn conventions(&self) -> &'static Conventions {
        const CONVENTIONS: Conventions = Conventions {
            framing: Framing::Sse,
            key: KeyIn::Header("x-api-key"),
            headers: &[("anthropic-version", "2023-06-01")],
            passed: &["anthropic-version", "anthropic-beta"],
            request_id: "request-id",
            rates: RateHeaders::Anthropic,
            model_in_path: false,
            output_cap: "max_tokens",
            usage_on_request: false,
            unbounded: &["mcp_servers", "container", "inference_geo"],
            // About 350 tokens for any tools and some 250 to 1,250 for each of its own kinds (shell, editor, computer).
            unseen_with_tools: 4_096,
        };
        &CONVENTIONS
    }

    fn path(&self, _model: &str, _stream: bool) -> Cow<'static, str> {
        "/v1/messages".into()
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
        error::read(Some(status), body)
    }

    fn takes_url(&self, media: Media, _url: &str) -> bool {
        media != Media::Audio
    }

    fn decoder(&self, _reading: Reading) -> Box<dyn Decoder> {
        Box::new(decode::StreamDecoder::default())
    }

    fn encoder(&self, options: EncoderOptions) -> Box<dyn Encoder> {
        Box::new(encode::StreamEncoder::new(options))
    }
}
