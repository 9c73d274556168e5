//! Splitting bytes into frames, and nothing else.

pub mod sse;

/// One frame of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The event's name, where the framing has one.
    pub name: Option<&'a str>,
    /// The payload: for SSE the `data` lines joined by line feeds.
    pub data: &'a str,
    /// The bytes as they came, terminator included.
    pub raw: &'a [u8],
}
