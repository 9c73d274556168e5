//! A vendor's stream of events as `OpenAI`'s.

use serde_json::Value;

use super::Idiom;
use crate::Malformed;
use crate::frame::{Frame, Open, sse};

/// Brings one stream of server-sent events into `OpenAI`'s words, in any pieces.
#[derive(Debug)]
pub struct Opener {
    idiom: Idiom,
    framer: sse::Framer,
}

impl Idiom {
    pub fn opener(self) -> Opener {
        Opener { idiom: self, framer: sse::Framer::default() }
    }
}

impl Open for Opener {
    fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Malformed> {
        self.framer.push(bytes);
        let mut out = Vec::new();
        while let Some(frame) = self.framer.next() {
            said(self.idiom, &frame?, &mut out)?;
        }
        Ok(out)
    }

    fn finish(&mut self) -> Result<Vec<u8>, Malformed> {
        let mut out = Vec::new();
        if let Some(frame) = self.framer.finish() {
            said(self.idiom, &frame?, &mut out)?;
        }
        Ok(out)
    }
}

fn said(idiom: Idiom, frame: &Frame<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
    // A comment says that the stream lives. Replicate's output may be blank.
    if frame.is_ping() && frame.name.is_none() {
        out.extend_from_slice(b":\n\n");
        return Ok(());
    }
    if frame.data == "[DONE]" {
        out.extend_from_slice(b"data: [DONE]\n\n");
        return Ok(());
    }
    let mut chunks: Vec<Value> = Vec::new();
    idiom.event(frame.name, frame.data, &mut chunks)?;
    for chunk in chunks {
        for piece in ["data: ", &chunk.to_string(), "\n\n"] {
            out.extend_from_slice(piece.as_bytes());
        }
    }
    Ok(())
}
