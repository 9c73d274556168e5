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
pub(super) mod error;
pub(super) mod message;
mod parts;
mod request;
mod response;
mod usage;
pub(super) mod write;

use std::borrow::Cow;

use super::{Addressed, Conventions, EncoderOptions, KeyIn, RateHeaders, Reading, TargetHints, Written};
use crate::chat::{Media, Request, Response};
use crate::embed::{self, Embed};
use crate::frame::Framing;
use crate::{
    Decoder, Dialect, DialectId, Encoder, Fields, Loss, Malformed, Peek, PublicError, UpstreamError, Usage,
    peek,
};

const HERE: DialectId = DialectId::Openai;

#[derive(Clone, Copy, Debug, Default)]
pub struct Openai;

impl Dialect for Openai {
    fn id(&self) -> DialectId {
        HERE
    }

    fn conventions(&self) -> &'static Conventions {
        const CONVENTIONS: Conventions = Conventions {
            framing: Framing::Sse,
            key: KeyIn::Bearer,
            headers: &[],
            passed: &[],
            request_id: "x-request-id",
            rates: RateHeaders::Openai,
            model_in_path: false,
            output_cap: "max_completion_tokens",
            usage_on_request: true,
            unbounded: &["web_search_options", "plugins", "provider"],
            unseen_with_tools: 1_024,
        };
        &CONVENTIONS
    }

    fn path(&self, _model: &str, _stream: bool) -> Cow<'static, str> {
        "/chat/completions".into()
    }

    fn peek<'a>(&self, fields: &Fields<'a>, addressed: &'a Addressed) -> Result<Peek<'a>, Malformed> {
        let old = peek::count(fields, "max_tokens")?;
        let choices = peek::count(fields, "n")?.unwrap_or(1);
        let choices = u32::try_from(choices).ok().filter(|choices| (1..=128).contains(choices));
        let options = fields.present("stream_options").map(|options| Fields::of(options, "stream_options"));
        let stream_usage = match options.transpose()? {
            Some(options) => peek::flag_at(&options, "stream_options.", "include_usage")?.unwrap_or(false),
            None => false,
        };
        Ok(Peek {
            model: peek::model(fields, addressed)?,
            stream: peek::flag(fields, "stream")?.unwrap_or(false),
            max_output: old.max(peek::count(fields, "max_completion_tokens")?),
            choices: choices.ok_or_else(|| Malformed::field("n", "a whole number from 1 to 128"))?,
            stream_usage,
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
        Ok(write::write(request, target, loss))
    }

    fn read_response(&self, body: &[u8], reading: Reading) -> Result<Response, Malformed> {
        response::read(body, reading)
    }

    fn read_usage(&self, body: &[u8], reading: Reading) -> Result<(Usage, Option<String>), Malformed> {
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

    fn embed(&self) -> Option<&'static dyn Embed> {
        Some(&embed::Openai)
    }

    fn takes_url(&self, media: Media, _url: &str) -> bool {
        media == Media::Image
    }

    fn decoder(&self, reading: Reading) -> Box<dyn Decoder> {
        Box::new(decode::StreamDecoder::new(reading))
    }

    fn encoder(&self, options: EncoderOptions) -> Box<dyn Encoder> {
        Box::new(encode::StreamEncoder::new(options))
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
