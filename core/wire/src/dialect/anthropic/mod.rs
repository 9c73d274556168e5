//! Anthropic Messages: the richest of the dialects, after which the canonical types are modelled.
//!
//! What it cannot say and what is done then: several answers, audio, and a tool's result without its call are refused;
//! thoughts without signature, penalties, seeds and names of messages are left out and noted; a schema for output
//! becomes a tool that the model must call, where the model takes none ([`Restore`](crate::Restore) undoes it).

mod block;
mod compose;
mod decode;
mod encode;
mod error;
mod limits;
mod names;
mod request;
mod response;
mod schema;
mod tools;
mod usage;
mod write;

use crate::chat::{Request, Response};
use crate::{
    Decoder, Dialect, DialectId, Encoder, EncoderOptions, Loss, Malformed, PublicError, TargetHints,
    UpstreamError, Written,
};

#[derive(Clone, Copy, Debug, Default)]
pub struct Anthropic;

impl Dialect for Anthropic {
    fn id(&self) -> DialectId {
        DialectId::Anthropic
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

    fn read_response(&self, body: &[u8]) -> Result<Response, Malformed> {
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

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(decode::StreamDecoder::default())
    }

    fn encoder(&self, options: EncoderOptions) -> Box<dyn Encoder> {
        Box::new(encode::StreamEncoder::new(options))
    }
}
