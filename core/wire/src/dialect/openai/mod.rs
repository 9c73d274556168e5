//! `OpenAI` Chat Completions, and the many that speak like it.
//!
//! Two extensions that many share carry what the dialect has no words for, in both directions: `reasoning_content` (a
//! string) for thoughts and `thinking_blocks` (`[{type, thinking, signature}]`, `[{type, data}]`) for the proofs of them.
//!
//! What it cannot say and what is done then: media in a tool's result go into a user message after it; `pause_turn`
//! becomes `length`, since the answer is not complete; `top_k` and blocks of other dialects are left out and noted.

mod calls;
mod chunk;
mod decode;
mod encode;
mod error;
mod lax;
mod message;
mod parts;
mod request;
mod response;
mod tags;
mod usage;
mod write;

use super::{EncoderOptions, Reading, TargetHints, Written};
use crate::chat::{Request, Response};
use crate::{Decoder, Dialect, DialectId, Encoder, Loss, Malformed, PublicError, UpstreamError, Usage};

const HERE: DialectId = DialectId::Openai;

#[derive(Clone, Copy, Debug, Default)]
pub struct Openai;

impl Dialect for Openai {
    fn id(&self) -> DialectId {
        HERE
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
        Ok(write::write(request, target, loss))
    }

    fn read_response(&self, body: &[u8]) -> Result<Response, Malformed> {
        response::read(body, Reading::default())
    }

    fn read_response_of(&self, body: &[u8], reading: Reading) -> Result<Response, Malformed> {
        response::read(body, reading)
    }

    fn read_usage_of(&self, body: &[u8], reading: Reading) -> Result<(Usage, Option<String>), Malformed> {
        response::read_usage(body, reading)
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
        error::hidden(std::str::from_utf8(body).ok()?)
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        self.decoder_of(Reading::default())
    }

    fn decoder_of(&self, reading: Reading) -> Box<dyn Decoder> {
        Box::new(decode::StreamDecoder::new(reading))
    }

    fn encoder(&self, options: EncoderOptions) -> Box<dyn Encoder> {
        Box::new(encode::StreamEncoder::new(options))
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
