//! Stands where a dialect is not written yet. To be deleted with the last of them.

use super::{Decoder, Dialect, DialectId, Encoder, EncoderOptions, TargetHints, Written};
use crate::frame::Frame;
use crate::{ErrorKind, Event, Loss, Malformed, PublicError, UpstreamError, chat};

#[derive(Debug)]
pub(super) struct Unwritten(pub(super) DialectId);

fn missing<T>() -> Result<T, Malformed> {
    Err(Malformed::field("body", "a dialect that is written"))
}

impl Dialect for Unwritten {
    fn id(&self) -> DialectId {
        self.0
    }
    fn read_request(&self, _: &[u8]) -> Result<chat::Request, Malformed> {
        missing()
    }
    fn write_request(&self, _: &chat::Request, _: &TargetHints, _: &mut Loss) -> Result<Written, Malformed> {
        missing()
    }
    fn read_response(&self, _: &[u8]) -> Result<chat::Response, Malformed> {
        missing()
    }
    fn write_response(&self, _: &chat::Response, _: &mut Loss) -> Vec<u8> {
        Vec::new()
    }
    fn write_error(&self, error: &PublicError) -> Vec<u8> {
        serde_json::json!({ "error": { "message": error.message, "code": error.code } })
            .to_string()
            .into_bytes()
    }
    fn read_error(&self, status: u16, _: &[u8]) -> UpstreamError {
        UpstreamError {
            kind: ErrorKind::Api,
            status,
            code: None,
            message: "upstream error".to_owned(),
            param: None,
            context_window: false,
            content_policy: false,
            retry_after: None,
        }
    }
    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(Nothing)
    }
    fn encoder(&self, _: EncoderOptions) -> Box<dyn Encoder> {
        Box::new(Nothing)
    }
}

#[derive(Debug)]
struct Nothing;

impl Decoder for Nothing {
    fn push(&mut self, _: &Frame<'_>, _: &mut Vec<Event>) -> Result<(), Malformed> {
        missing()
    }
    fn finish(&mut self, _: &mut Vec<Event>) -> Result<(), Malformed> {
        missing()
    }
}

impl Encoder for Nothing {
    fn push(&mut self, _: &Event, _: &mut Vec<u8>, _: &mut Loss) {}
    fn error(&mut self, _: &PublicError, _: &mut Vec<u8>) {}
}
