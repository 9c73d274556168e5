//! What some providers put around the stream of a dialect: AWS's services carry any model's own stream in messages of
//! theirs. A sans-io machine takes that off, so that everything behind it reads server-sent events.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Open;
use super::eventstream::{self, Kind, Message};
use crate::json::string;
use crate::object::object;
use crate::{Fields, Malformed};

/// What is around a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Envelope {
    /// `SageMaker`'s: each message carries the next bytes of the container's own stream of events.
    PayloadParts,
    /// Bedrock's, where models are invoked in their own words: each message is one event, `{"bytes": "<base64>"}`.
    Chunks,
}

impl Envelope {
    /// The media type that announces it.
    pub fn content_type(self) -> &'static str {
        "application/vnd.amazon.eventstream"
    }

    pub fn opener(self) -> Opener {
        Opener { envelope: self, framer: eventstream::Framer::default() }
    }
}

/// Takes one stream out of its envelope.
#[derive(Debug)]
pub struct Opener {
    envelope: Envelope,
    framer: eventstream::Framer,
}

/// An exception of the service becomes an event `error` that the dialects read.
impl Open for Opener {
    fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Malformed> {
        self.framer.push(bytes);
        let mut out = Vec::new();
        while let Some(raw) = self.framer.next_raw() {
            let raw = raw?;
            let message = Message::of_bytes(raw)?;
            match (message.kind, self.envelope) {
                (Kind::Event, Envelope::PayloadParts) => out.extend_from_slice(message.payload),
                (Kind::Event, Envelope::Chunks) => chunk(message.payload, &mut out)?,
                (Kind::Exception | Kind::Error, _) => fail(message.name, message.payload, &mut out),
            }
        }
        Ok(out)
    }

    fn finish(&mut self) -> Result<Vec<u8>, Malformed> {
        match self.framer.finish() {
            Some(Err(wrong)) => Err(wrong),
            Some(Ok(_)) | None => Ok(Vec::new()),
        }
    }
}

/// One event: under its name, where it says one.
fn chunk(payload: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let fields = Fields::read(payload)?;
    let Some(text) = fields.present("bytes").and_then(string) else { return Ok(()) };
    let event = STANDARD.decode(text.as_bytes()).map_err(|_| Malformed::field("bytes", "base64"))?;
    let inner = Fields::read(&event)?;
    if let Some(name) = inner.present("type").and_then(string) {
        for piece in ["event: ", &*name, "\n"] {
            out.extend_from_slice(piece.as_bytes());
        }
    }
    out.extend_from_slice(b"data: ");
    // An event is a line: ends of lines are blanks in JSON.
    out.extend(event.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
    out.extend_from_slice(b"\n\n");
    Ok(())
}

/// The service's own errors, by the ends of their names, and what the dialects call them.
const FAULTS: &[(&str, &str)] = &[
    ("throttlingexception", "rate_limit_error"),
    ("validationexception", "invalid_request_error"),
    ("serviceunavailableexception", "overloaded_error"),
    ("modeltimeoutexception", "timeout_error"),
];

fn fail(name: &str, payload: &[u8], out: &mut Vec<u8>) {
    let fields = Fields::read(payload).unwrap_or_default();
    let said = |key: &str| fields.present(key).and_then(|raw: &RawValue| string(raw));
    let plain = String::from_utf8_lossy(payload);
    let message = said("message").or_else(|| said("Message")).unwrap_or(plain);
    let lower = name.to_ascii_lowercase();
    let word = FAULTS.iter().find(|(fault, _)| lower == *fault).map_or("api_error", |(_, word)| word);
    out.extend_from_slice(b"event: error\ndata: ");
    object(out, |body| {
        body.string("type", "error");
        body.object("error", |error| {
            error.string("type", word);
            error.string("message", &message);
        });
    });
    out.extend_from_slice(b"\n\n");
}

#[cfg(test)]
#[path = "envelope_tests.rs"]
mod tests;
