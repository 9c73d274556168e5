//! Ollama's own chat: one JSON text a line, arguments of tools as objects, images as bare base64.
//!
//! Requests stream unless they say otherwise, and calls of tools have no ids at older servers: both directions make
//! them by their order. A model that stops for its calls says `stop` all the same.
//!
//! What it cannot say and what is done then: several answers, audio, images that are only named, and documents that are
//! no text are refused; a choice among tools is left out and noted, for older servers hang on it; so are cache marks,
//! end users, tiers and names of messages.

mod decode;
mod encode;
mod error;
pub mod generate;
mod request;
mod response;
mod time;
mod write;

use std::borrow::Cow;

use super::{Addressed, Conventions, EncoderOptions, KeyIn, RateHeaders, Reading, TargetHints, Written};
use crate::chat::{Media, Request, Response, Stop};
use crate::embed::{self, Embed};
use crate::frame::Framing;
use crate::{
    Decoder, Dialect, DialectId, Encoder, Fields, Loss, Malformed, Peek, PublicError, UpstreamError, peek,
};

const HERE: DialectId = DialectId::Ollama;

#[derive(Clone, Copy, Debug, Default)]
pub struct Ollama;

impl Dialect for Ollama {
    fn id(&self) -> DialectId {
        HERE
    }

    fn conventions(&self) -> &'static Conventions {
        const CONVENTIONS: Conventions = Conventions {
            framing: Framing::Ndjson,
            key: KeyIn::Bearer,
            headers: &[],
            passed: &[],
            request_id: "x-request-id",
            rates: RateHeaders::Openai,
            model_in_path: false,
            output_cap: "options.num_predict",
            usage_on_request: false,
            unbounded: &[],
            unseen_with_tools: 2_048,
        };
        &CONVENTIONS
    }

    fn path(&self, _model: &str, _stream: bool) -> Cow<'static, str> {
        "/api/chat".into()
    }

    fn peek<'a>(&self, fields: &Fields<'a>, addressed: &'a Addressed) -> Result<Peek<'a>, Malformed> {
        let options = fields.present("options").map(|options| Fields::of(options, "options")).transpose()?;
        let cap = options.as_ref().and_then(|options| options.present("num_predict"));
        let cap = cap.map(|raw| raw.get().parse::<i64>());
        let cap = cap.transpose().map_err(|_| Malformed::field("options.num_predict", "a whole number"))?;
        Ok(Peek {
            model: peek::model(fields, addressed)?,
            stream: peek::flag(fields, "stream")?.unwrap_or(true),
            // Below zero means: as much as there is room for.
            max_output: cap.and_then(|cap| u64::try_from(cap).ok()),
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

    fn read_response(&self, body: &[u8], reading: Reading) -> Result<Response, Malformed> {
        response::read(body, reading)
    }

    fn write_response(&self, response: &Response, loss: &mut Loss) -> Vec<u8> {
        response::write(response, loss)
    }

    fn write_answer(&self, response: &Response, options: &EncoderOptions, loss: &mut Loss) -> Vec<u8> {
        let chat = response::write(response, loss);
        if !options.prompt {
            return chat;
        }
        let mut out = Vec::with_capacity(chat.len());
        generate::of_chat(&chat, &mut out);
        out
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

    fn bare_images(&self) -> bool {
        true
    }

    fn embed(&self) -> Option<&'static dyn Embed> {
        Some(&embed::Ollama)
    }

    fn takes_url(&self, _media: Media, _url: &str) -> bool {
        false
    }

    fn decoder(&self, reading: Reading) -> Box<dyn Decoder> {
        Box::new(decode::StreamDecoder::new(reading))
    }

    fn encoder(&self, options: EncoderOptions) -> Box<dyn Encoder> {
        Box::new(encode::StreamEncoder::new(options))
    }
}

/// What a reason to stop means, given whether there are calls. One that is no answer's is none.
fn stop_of(reason: &str, calls: bool) -> Option<Stop> {
    Some(match reason {
        "stop" | "" if calls => Stop::ToolUse,
        "stop" | "" => Stop::EndTurn,
        "length" => Stop::MaxTokens,
        // The model was only brought into memory, or out of it.
        "load" | "unload" => return None,
        other => Stop::Other(other.to_owned()),
    })
}

/// The word for a stop.
fn stop_word(stop: &Stop, loss: &mut Loss) -> &'static str {
    match stop {
        Stop::EndTurn | Stop::ToolUse | Stop::Sequence(None) => "stop",
        Stop::Sequence(Some(_)) => {
            loss.note("stop_sequence");
            "stop"
        }
        Stop::MaxTokens | Stop::ContextWindow => "length",
        // The answer is not complete, and `stop` would say that it is.
        Stop::Pause => {
            loss.note("done_reason");
            "length"
        }
        Stop::Refusal | Stop::Other(_) => {
            loss.note("done_reason");
            "stop"
        }
    }
}
