//! Server-sent events: bytes in any pieces become frames.

use std::ops::Range;

use memchr::{memchr, memchr2};

use super::Frame;
use crate::Malformed;

/// Cuts a stream of server-sent events into [`Frame`]s, whatever the pieces in which its bytes arrive.
///
/// ```
/// # use gatelet_wire::frame::sse::Framer;
/// let mut framer = Framer::default();
/// framer.push(b"data: {\"a\"");
/// assert!(framer.next().is_none());
/// framer.push(b":1}\n\n");
/// assert_eq!(framer.next().unwrap().unwrap().data, "{\"a\":1}");
/// ```
///
/// More tolerant than the specification where providers are sloppy: `LF`, `CRLF` and `CR` end lines, the space after
/// `data:` may be missing, a line that begins with `{` counts as data, and a last event without its blank line is
/// given by [`finish`](Self::finish). A block without data (a keep-alive comment) becomes a frame with empty `data`,
/// so that its `raw` bytes can be passed on; decoders skip it. The `raw` of all frames together are the stream's bytes.
///
/// The usual event, one `data` line, is not copied after it arrived. Time is linear in the bytes pushed.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    /// Where the frame being read begins; everything before it was given out.
    start: usize,
    /// Where the line being read begins.
    line: usize,
    /// Everything before this was searched for the line's end.
    searched: usize,
    /// The last byte given out or passed was a `CR`: a following `LF` belongs to it.
    after_cr: bool,
    /// The lines of the frame being read that matter.
    block: Block,
    /// Several `data` lines, joined.
    joined: Vec<u8>,
    past_bom: bool,
    dead: bool,
}

/// The lines of one event, as ranges of the buffer.
#[derive(Debug, Default)]
struct Block {
    name: Option<Range<usize>>,
    data: Data,
    /// Some line of it, if only a comment, was read.
    any: bool,
}

#[derive(Debug, Default)]
enum Data {
    #[default]
    None,
    /// One line, where it lies.
    Line(Range<usize>),
    /// Several lines, joined in `Framer::joined`.
    Joined,
}

impl Framer {
    /// The most bytes that one frame may have.
    pub const MOST: usize = 16 * 1024 * 1024;

    /// Takes the next bytes. Call [`next`](Self::next) until it gives none before pushing more.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.dead {
            return;
        }
        self.compact();
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame; none when more bytes are needed.
    ///
    /// # Errors
    /// [`Malformed::Utf8`]: this frame is corrupt, the next one may be read. [`Malformed::FrameTooLong`]: nothing
    /// more comes.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend from its own buffer")]
    pub fn next(&mut self) -> Option<Result<Frame<'_>, Malformed>> {
        self.skip_bom();
        loop {
            let Some(found) = memchr2(b'\n', b'\r', self.buffer.get(self.searched..)?) else {
                self.searched = self.buffer.len();
                if self.buffer.len() - self.start > Self::MOST {
                    return Some(Err(self.die()));
                }
                return None;
            };
            let end = self.searched + found;
            let is_cr = self.buffer.get(end) == Some(&b'\r');
            let second_half = !is_cr && self.after_cr && end == self.line;
            self.after_cr = is_cr;
            self.searched = end + 1;
            if second_half {
                self.line = end + 1;
                continue;
            }
            let line = self.line..end;
            self.line = end + 1;
            if !line.is_empty() {
                self.read_line(line);
                if self.searched - self.start > Self::MOST {
                    return Some(Err(self.die()));
                }
                continue;
            }
            if !self.block.any {
                continue; // Blank lines before an event: its raw bytes begin with them.
            }
            // The line feed of a CRLF that is already here belongs to this frame.
            if is_cr && self.buffer.get(self.line) == Some(&b'\n') {
                self.line += 1;
                self.searched = self.line;
                self.after_cr = false;
            }
            return Some(self.give(self.line));
        }
    }

    /// The bytes ended: the last event, if its blank line is missing.
    ///
    /// # Errors
    /// [`Malformed::Truncated`] when the last line ends in the midst of its JSON, and as for [`next`](Self::next).
    pub fn finish(&mut self) -> Option<Result<Frame<'_>, Malformed>> {
        let line = self.line..self.buffer.len();
        let unended = !line.is_empty();
        if unended {
            self.read_line(line);
        }
        let end = self.buffer.len();
        if self.start == end {
            return None;
        }
        self.line = end;
        self.searched = end;
        let frame = match self.give(end) {
            Ok(frame) => frame,
            Err(Malformed::Utf8 { .. }) if unended => return Some(Err(Malformed::Truncated)),
            Err(error) => return Some(Err(error)),
        };
        if unended && cut_short(frame.data) {
            return Some(Err(Malformed::Truncated));
        }
        Some(Ok(frame))
    }

    /// Interprets one line without its terminator.
    fn read_line(&mut self, line: Range<usize>) {
        self.block.any = true;
        let Some(text) = self.buffer.get(line.clone()) else { return };
        let colon = memchr(b':', text.get(..7.min(text.len())).unwrap_or(text));
        let (field, value) = match (text.first(), colon) {
            (Some(b':'), _) => return,
            (Some(b'{'), _) => (b"data".as_slice(), line.start),
            (_, Some(colon)) => {
                let space = usize::from(text.get(colon + 1) == Some(&b' '));
                (text.get(..colon).unwrap_or_default(), line.start + colon + 1 + space)
            }
            (_, None) => (text, line.end),
        };
        let value = value..line.end;
        match field {
            b"data" => self.add_data(value),
            b"event" => self.block.name = Some(value),
            _ => {} // `id`, `retry` and what nobody knows.
        }
    }

    fn add_data(&mut self, value: Range<usize>) {
        match std::mem::take(&mut self.block.data) {
            Data::None => {
                self.block.data = Data::Line(value);
                return;
            }
            Data::Line(first) => {
                self.joined.clear();
                self.joined.extend_from_slice(self.buffer.get(first).unwrap_or_default());
            }
            Data::Joined => {}
        }
        self.joined.push(b'\n');
        self.joined.extend_from_slice(self.buffer.get(value).unwrap_or_default());
        self.block.data = Data::Joined;
    }

    /// Gives out the frame that ends before `end`.
    fn give(&mut self, end: usize) -> Result<Frame<'_>, Malformed> {
        let block = std::mem::take(&mut self.block);
        let start = std::mem::replace(&mut self.start, end);
        let raw = self.buffer.get(start..end).unwrap_or_default();
        let data = match block.data {
            Data::None => &[],
            Data::Line(line) => self.buffer.get(line).unwrap_or_default(),
            Data::Joined => &self.joined,
        };
        let name = block.name.and_then(|name| self.buffer.get(name)).map(text).transpose()?;
        Ok(Frame { name, data: text(data)?, raw })
    }

    fn skip_bom(&mut self) {
        const BOM: &[u8] = b"\xEF\xBB\xBF";
        if self.past_bom || self.buffer.len() < BOM.len() {
            return;
        }
        self.past_bom = true;
        if self.buffer.starts_with(BOM) {
            self.line = BOM.len();
            self.searched = BOM.len();
        }
    }

    /// Forgets what was given out, when that is at least half: so each byte is moved at most once on average.
    fn compact(&mut self) {
        if self.start == self.buffer.len() {
            self.buffer.clear();
        } else if self.start * 2 >= self.buffer.len() {
            self.buffer.drain(..self.start);
        } else {
            return;
        }
        let gone = std::mem::take(&mut self.start);
        self.line -= gone;
        self.searched -= gone;
        let back = |range: &mut Range<usize>| *range = range.start - gone..range.end - gone;
        if let Some(name) = &mut self.block.name {
            back(name);
        }
        if let Data::Line(line) = &mut self.block.data {
            back(line);
        }
    }

    fn die(&mut self) -> Malformed {
        *self = Self { dead: true, ..Self::default() };
        Malformed::FrameTooLong { most: Self::MOST }
    }
}

fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|error| Malformed::Utf8 { at: error.valid_up_to() })
}

/// Whether data that should be JSON, or the `[DONE]` mark, stops before its end.
fn cut_short(data: &str) -> bool {
    data.starts_with(['{', '['])
        && data != "[DONE]"
        && crate::json::from_str::<serde::de::IgnoredAny>(data).is_err()
}

#[cfg(test)]
#[path = "sse_tests.rs"]
mod tests;
