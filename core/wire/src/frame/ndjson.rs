//! One JSON text a line: bytes in any pieces become frames.

use memchr::memchr;

use super::Frame;
use crate::Malformed;

/// Cuts lines into [`Frame`]s, whatever the pieces in which their bytes arrive.
///
/// ```
/// # use gatelet_wire::frame::ndjson::Framer;
/// let mut framer = Framer::default();
/// framer.push(b"{\"a\"");
/// assert!(framer.next().is_none());
/// framer.push(b":1}\r\n");
/// assert_eq!(framer.next().unwrap().unwrap().data, "{\"a\":1}");
/// ```
///
/// A blank line becomes a frame with empty `data`: decoders skip it, and the `raw` of all frames together are the
/// stream's bytes. Time is linear in the bytes pushed.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    /// Everything before it was given out.
    start: usize,
    /// Everything before this was searched for the line's end.
    searched: usize,
    dead: bool,
}

impl Framer {
    /// The most bytes that one line may have.
    pub const MOST: usize = super::sse::Framer::MOST;

    /// Takes the next bytes. Call [`next`](Self::next) until it gives none before pushing more.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.dead {
            return;
        }
        // Forgets what was given out, when that is at least half: so each byte is moved at most once on average.
        if self.start * 2 >= self.buffer.len() {
            self.buffer.drain(..self.start);
            self.searched -= self.start;
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame; none when more bytes are needed.
    ///
    /// # Errors
    /// [`Malformed::Utf8`]: this frame is corrupt, the next one may be read. [`Malformed::FrameTooLong`]: nothing
    /// more comes.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend from its own buffer")]
    pub fn next(&mut self) -> Option<Result<Frame<'_>, Malformed>> {
        let Some(found) = memchr(b'\n', self.buffer.get(self.searched..)?) else {
            self.searched = self.buffer.len();
            if self.buffer.len() - self.start > Self::MOST {
                *self = Self { dead: true, ..Self::default() };
                return Some(Err(Malformed::FrameTooLong { most: Self::MOST }));
            }
            return None;
        };
        self.searched += found + 1;
        Some(self.give())
    }

    /// The bytes ended: the last line, if its line feed is missing.
    ///
    /// # Errors
    /// [`Malformed::Truncated`] when it ends in the midst of its JSON.
    pub fn finish(&mut self) -> Option<Result<Frame<'_>, Malformed>> {
        if self.start == self.buffer.len() {
            return None;
        }
        self.searched = self.buffer.len();
        let whole = |frame: Frame<'_>| {
            frame.data.is_empty() || serde_json::from_str::<serde::de::IgnoredAny>(frame.data).is_ok()
        };
        Some(match self.give() {
            Ok(frame) if whole(frame) => Ok(frame),
            Ok(_) | Err(_) => Err(Malformed::Truncated),
        })
    }

    /// Gives out the line that ends where the search stands.
    fn give(&mut self) -> Result<Frame<'_>, Malformed> {
        let start = std::mem::replace(&mut self.start, self.searched);
        let raw = self.buffer.get(start..self.searched).unwrap_or_default();
        let data = std::str::from_utf8(raw).map_err(|error| Malformed::Utf8 { at: error.valid_up_to() })?;
        Ok(Frame { name: None, data: data.trim_ascii(), raw })
    }
}

#[cfg(test)]
#[path = "ndjson_tests.rs"]
mod tests;
