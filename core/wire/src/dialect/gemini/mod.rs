//! Gemini's `generateContent`, as its own API and Vertex AI speak it.
//!
//! The model and whether the answer streams stand in the address. What it cannot say and what is done then: schema or
//! JSON mode beside tools is refused where the model takes one of them; a call without result and a result without call
//! are refused; marks for a prompt cache, names of messages and users are left out and noted. A proof of thinking from
//! another provider is kept for the caller in the one field that there is, wrapped.

mod calls;
mod chunk;
mod compose;
mod config;
mod decode;
mod encode;
mod error;
mod grounding;
mod logprobs;
mod model;
mod part;
mod proof;
mod request;
mod response;
mod schema;
mod thinking;
mod usage;
mod write;

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{Addressed, Conventions, KeyIn, RateHeaders, Reading};
use crate::chat::{Media, Request, Response};
use crate::embed::{self, Embed};
use crate::frame::Framing;
use crate::{
    Decoder, Dialect, DialectId, Encoder, EncoderOptions, Fields, Loss, Malformed, Peek, PublicError,
    TargetHints, UpstreamError, Usage, Written, peek,
};

/// Reasons to stop that are refusals.
const REFUSALS: &[&str] = &[
    "SAFETY",
    "RECITATION",
    "LANGUAGE",
    "OTHER",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_OTHER",
    "NO_IMAGE",
    "IMAGE_RECITATION",
    "ESCALATION",
    "PUP_LIMITED_DISABLED",
    "MODEL_ARMOR",
];

/// Reasons to stop that no other dialect has.
const OTHERS: &[&str] = &[
    "MALFORMED_FUNCTION_CALL",
    "UNEXPECTED_TOOL_CALL",
    "TOO_MANY_TOOL_CALLS",
    "MISSING_THOUGHT_SIGNATURE",
    "MALFORMED_RESPONSE",
];

#[derive(Clone, Copy, Debug, Default)]
pub struct Gemini;

impl Dialect for Gemini {
    fn id(&self) -> DialectId {
        DialectId::Gemini
    }

    fn conventions(&self) -> &'static Conventions {
        const CONVENTIONS: Conventions = Conventions {
            framing: Framing::Sse,
            key: KeyIn::Header("x-goog-api-key"),
            headers: &[],
            passed: &[],
            request_id: "x-request-id",
            rates: RateHeaders::Openai,
            model_in_path: true,
            output_cap: "generationConfig.maxOutputTokens",
            usage_on_request: false,
            unbounded: &["cachedContent", "cached_content"],
            unseen_with_tools: 1_024,
        };
        &CONVENTIONS
    }

    fn path(&self, model: &str, stream: bool) -> Cow<'static, str> {
        let model = super::in_path(model);
        // Tuned models have a collection of their own.
        let collection = if model.starts_with("tunedModels/") { "" } else { "models/" };
        let method = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
        format!("/{collection}{model}:{method}").into()
    }

    fn peek<'a>(&self, fields: &Fields<'a>, addressed: &'a Addressed) -> Result<Peek<'a>, Malformed> {
        let config =
            ["generationConfig", "generation_config"].into_iter().find_map(|key| fields.present(key));
        let config = config.map(|raw| Fields::of(raw, "generationConfig")).transpose()?;
        let count = |names: [&str; 2]| -> Result<Option<u64>, Malformed> {
            let Some(config) = &config else { return Ok(None) };
            let raw = names.into_iter().find_map(|name| config.present(name));
            let number = raw.map(|raw| raw.get().trim_matches('"').trim_end_matches(".0").parse::<u64>());
            let path = format!("generationConfig.{}", names[0]);
            number.transpose().map_err(|_| Malformed::field(path, "a whole number, zero or more"))
        };
        let choices = count(["candidateCount", "candidate_count"])?.unwrap_or(1).max(1);
        let choices = u32::try_from(choices).ok().filter(|choices| *choices <= 128);
        Ok(Peek {
            model: peek::model(fields, addressed)?,
            stream: addressed.stream.unwrap_or(false),
            max_output: count(["maxOutputTokens", "max_output_tokens"])?,
            choices: choices.ok_or_else(|| {
                Malformed::field("generationConfig.candidateCount", "a whole number from 1 to 128")
            })?,
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
        response::write(response, loss)
    }

    fn write_error(&self, error: &PublicError) -> Vec<u8> {
        error::write(error)
    }

    fn read_error(&self, status: u16, body: &[u8]) -> UpstreamError {
        error::read(Some(status), body)
    }

    fn hidden_error(&self, body: &[u8]) -> Option<UpstreamError> {
        error::hidden(body)
    }

    fn spellings(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("generation_config", "generationConfig"),
            ("generationConfig.max_output_tokens", "generationConfig.maxOutputTokens"),
        ]
    }

    fn media_in_blobs(&self) -> bool {
        true
    }

    fn runs_at_provider(&self, tool: &RawValue) -> bool {
        let Ok(fields) = Fields::of(tool, "tools[]") else { return false };
        fields.iter().any(|(name, _)| !matches!(name, "functionDeclarations" | "function_declarations"))
    }

    fn embed(&self) -> Option<&'static dyn Embed> {
        Some(&embed::Gemini)
    }

    /// Files that it keeps, and films that are told by their page. Its newest models fetch other addresses too, the others do not.
    fn takes_url(&self, _media: Media, url: &str) -> bool {
        part::is_provided(url) || part::is_film(url)
    }

    fn decoder(&self, _reading: Reading) -> Box<dyn Decoder> {
        Box::new(decode::StreamDecoder::default())
    }

    fn encoder(&self, options: EncoderOptions) -> Box<dyn Encoder> {
        Box::new(encode::StreamEncoder::new(options))
    }
}
