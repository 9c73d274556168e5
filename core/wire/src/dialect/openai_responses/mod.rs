//! `OpenAI` Responses: conversations as lists of items.
//!
//! What stands side by side in a message elsewhere (thoughts, words, calls) are items of their own here. Neighbouring
//! items of the model are one turn of the assistant; results of tools are one turn of the user. Ids of items are made
//! anew in each answer and are left out of the canonical form: nobody but this dialect refers to them.
//!
//! What it cannot say and what is done then: several answers are refused; `stop`, `seed`, penalties and `top_k` are left
//! out and noted. What only the vendor's own store could resolve (references to items, stored prompts, conversations,
//! compacted histories) is refused for other dialects: the model would miss it.

mod content;
mod decode;
mod encode;
mod error;
mod item;
mod open;
mod queue;
mod request;
mod response;
mod shape;
mod thought;
mod usage;
mod write;

use std::borrow::Cow;

use super::{Addressed, Conventions, EncoderOptions, KeyIn, RateHeaders, Reading, TargetHints, Written};
use crate::chat::{Media, Request, Response};
use crate::frame::Framing;
use crate::{
    Decoder, Dialect, DialectId, Encoder, Fields, Json, Loss, Malformed, Peek, PublicError, UpstreamError,
    Usage, peek,
};

pub use encode::begun;
pub use item::reference;
pub use thought::compacted;

const HERE: DialectId = DialectId::OpenaiResponses;

/// Words for an answer that is not there yet, as its status and as the reason why it is not complete.
const QUEUED: &str = "queued";
const IN_PROGRESS: &str = "in_progress";

#[derive(Clone, Copy, Debug, Default)]
pub struct OpenaiResponses;

impl Dialect for OpenaiResponses {
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
            output_cap: "max_output_tokens",
            usage_on_request: false,
            // What the vendor's store adds to the input, and what it does by itself.
            unbounded: &[
                "previous_response_id",
                "conversation",
                "prompt",
                "context_management",
                "plugins",
                "provider",
            ],
            unseen_with_tools: 1_024,
        };
        &CONVENTIONS
    }

    fn path(&self, _model: &str, _stream: bool) -> Cow<'static, str> {
        "/responses".into()
    }

    fn peek<'a>(&self, fields: &Fields<'a>, addressed: &'a Addressed) -> Result<Peek<'a>, Malformed> {
        Ok(Peek {
            model: peek::model(fields, addressed)?,
            stream: peek::flag(fields, "stream")?.unwrap_or(false),
            max_output: peek::count(fields, "max_output_tokens")?,
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

    fn read_usage(&self, body: &[u8], _reading: Reading) -> Result<(Usage, Option<String>), Malformed> {
        response::read_usage(body)
    }

    fn write_response(&self, response: &Response, loss: &mut Loss) -> Vec<u8> {
        self.write_answer(response, &EncoderOptions::default(), loss)
    }

    fn write_answer(&self, response: &Response, options: &EncoderOptions, loss: &mut Loss) -> Vec<u8> {
        encode::whole(response, options.clone(), loss)
    }

    fn cleaned(&self, fields: &Fields<'_>) -> Option<(&'static str, Json)> {
        thought::cleaned(fields.present("input")?).map(|input| ("input", input))
    }

    fn echo(&self, body: &[u8]) -> Vec<(String, Json)> {
        shape::echo(body)
    }

    fn write_error(&self, error: &PublicError) -> Vec<u8> {
        super::openai::error::write(error)
    }

    fn read_error(&self, status: u16, body: &[u8]) -> UpstreamError {
        super::openai::error::read(status, body)
    }

    fn hidden_error(&self, body: &[u8]) -> Option<UpstreamError> {
        error::hidden(std::str::from_utf8(body).ok()?)
    }

    fn takes_url(&self, media: Media, _url: &str) -> bool {
        media != Media::Audio
    }

    fn decoder(&self, _reading: Reading) -> Box<dyn Decoder> {
        Box::new(decode::StreamDecoder::default())
    }

    fn encoder(&self, options: EncoderOptions) -> Box<dyn Encoder> {
        Box::new(encode::StreamEncoder::new(options, false))
    }
}
