//! Splitting bytes into frames, and nothing else.

pub mod envelope;
pub mod eventstream;
pub mod ndjson;
pub mod sse;

use crate::Malformed;

/// One frame of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The event's name, where the framing has one; in AWS's also an exception's or an error's.
    pub name: Option<&'a str>,
    /// The payload: for SSE the `data` lines joined by line feeds.
    pub data: &'a str,
    /// The bytes as they came, terminator included.
    pub raw: &'a [u8],
}

impl Frame<'_> {
    /// Whether it says nothing but that the stream lives. A line's end alone does not: it may belong to the frame before.
    pub fn is_ping(&self) -> bool {
        self.data.trim().is_empty() && self.raw.contains(&b':')
    }
}

/// How a dialect's streams are cut into frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events.
    Sse,
    /// One JSON text a line.
    Ndjson,
    /// AWS's binary event streams.
    EventStream,
}

impl Framing {
    /// The media type that announces it, without parameters.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Sse => "text/event-stream",
            Self::Ndjson => "application/x-ndjson",
            Self::EventStream => "application/vnd.amazon.eventstream",
        }
    }

    pub fn framer(self) -> Framer {
        match self {
            Self::Sse => Framer::Sse(sse::Framer::default()),
            Self::Ndjson => Framer::Ndjson(ndjson::Framer::default()),
            Self::EventStream => Framer::EventStream(eventstream::Framer::default()),
        }
    }
}

/// Makes a stream of server-sent events of what a vendor has in its place: a sans-io machine.
pub trait Open: Send {
    /// Takes the next bytes, in any pieces, and gives what they mean.
    ///
    /// # Errors
    /// They are broken: nothing more can be read.
    fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Malformed>;
    /// The bytes ended: what was still open.
    ///
    /// # Errors
    /// In the middle of something.
    fn finish(&mut self) -> Result<Vec<u8>, Malformed>;
}

/// Cuts one stream, by any framing.
#[derive(Debug)]
pub enum Framer {
    Sse(sse::Framer),
    Ndjson(ndjson::Framer),
    EventStream(eventstream::Framer),
}

impl Framer {
    /// Takes the next bytes, in any pieces.
    pub fn push(&mut self, bytes: &[u8]) {
        match self {
            Self::Sse(framer) => framer.push(bytes),
            Self::Ndjson(framer) => framer.push(bytes),
            Self::EventStream(framer) => framer.push(bytes),
        }
    }

    /// The next complete frame, if there is one.
    #[expect(clippy::should_implement_trait, reason = "a frame borrows from the framer")]
    pub fn next(&mut self) -> Option<Result<Frame<'_>, Malformed>> {
        match self {
            Self::Sse(framer) => framer.next(),
            Self::Ndjson(framer) => framer.next(),
            Self::EventStream(framer) => framer.next(),
        }
    }

    /// The bytes ended: what was left without its terminator.
    pub fn finish(&mut self) -> Option<Result<Frame<'_>, Malformed>> {
        match self {
            Self::Sse(framer) => framer.finish(),
            Self::Ndjson(framer) => framer.finish(),
            Self::EventStream(framer) => framer.finish(),
        }
    }
}
