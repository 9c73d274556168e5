//! AWS's event streams (`application/vnd.amazon.eventstream`): binary messages with checksums, read and written.
//!
//! ```text
//! total length u32 | headers' length u32 | CRC-32 of these | headers | payload | CRC-32 of all before it
//! ```
//!
//! Numbers are big-endian. A message says what it is in its headers: `:message-type` is `event`, `exception` or `error`,
//! and the name stands in `:event-type`, `:exception-type` or `:error-code`.

mod header;

pub use header::{Headers, Value};

use crc::{CRC_32_ISO_HDLC, Crc, Table};

use super::Frame;
use crate::Malformed;

/// Lengths and their checksum.
const PRELUDE: usize = 12;
const CHECKSUM: usize = 4;

/// Cuts messages into [`Frame`]s, whatever the pieces in which their bytes arrive.
///
/// A frame's name is the event's, the exception's or the error's; its data is the payload, or for an error, which has
/// none, its message. [`Message::read`] on the frame's `raw` tells which of the three it was.
///
/// After a message whose lengths or checksums are wrong nothing more is read: nobody knows where the next one begins.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    /// Everything before it was given out.
    start: usize,
    dead: bool,
}

impl Framer {
    /// The most bytes that one message may have.
    pub const MOST: usize = super::sse::Framer::MOST;

    /// Takes the next bytes. Call [`next`](Self::next) until it gives none before pushing more.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.dead {
            return;
        }
        // Forgets what was given out, when that is at least half: so each byte is moved at most once on average.
        if self.start * 2 >= self.buffer.len() {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame; none when more bytes are needed.
    ///
    /// # Errors
    /// [`Malformed::Frame`] and [`Malformed::FrameTooLong`]: nothing more comes. [`Malformed::Utf8`]: this frame is
    /// corrupt, the next one may be read.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend from its own buffer")]
    pub fn next(&mut self) -> Option<Result<Frame<'_>, Malformed>> {
        let raw = match self.next_raw()? {
            Ok(raw) => raw,
            Err(wrong) => return Some(Err(wrong)),
        };
        Some(Message::parts(raw).map(|message| Frame { name: Some(message.name), data: message.data, raw }))
    }

    /// The bytes of the next whole message, whose lengths and checksums are right.
    ///
    /// # Errors
    /// As those of [`next`](Self::next) after which nothing more comes.
    pub fn next_raw(&mut self) -> Option<Result<&[u8], Malformed>> {
        let rest = self.buffer.get(self.start..).filter(|rest| rest.len() >= PRELUDE)?;
        let length = match length(rest) {
            Ok(length) if length > rest.len() => return None,
            Ok(length) => length,
            Err(wrong) => return Some(Err(self.die(wrong))),
        };
        if let Err(wrong) = rest.get(..length).map_or(Err(broken("it is cut")), sound) {
            return Some(Err(self.die(wrong)));
        }
        let start = self.start;
        self.start += length;
        Some(Ok(self.buffer.get(start..self.start).unwrap_or_default()))
    }

    /// The bytes ended. What is left is no whole message.
    ///
    /// # Errors
    /// [`Malformed::Truncated`].
    pub fn finish(&mut self) -> Option<Result<Frame<'_>, Malformed>> {
        if self.start == self.buffer.len() {
            return None;
        }
        Some(Err(self.die(Malformed::Truncated)))
    }

    fn die(&mut self, wrong: Malformed) -> Malformed {
        *self = Self { dead: true, ..Self::default() };
        wrong
    }
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Event,
    /// An error that the service's model names.
    Exception,
    /// An error that it does not name.
    Error,
}

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    pub kind: Kind,
    pub name: &'a str,
    /// The payload; of an error its message.
    pub data: &'a str,
}

/// One message whose payload need not be text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawMessage<'a> {
    pub kind: Kind,
    pub name: &'a str,
    /// Of an error its message.
    pub payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads a whole message.
    ///
    /// # Errors
    /// Its lengths, checksums or headers are wrong, or its payload is no text.
    pub fn read(raw: &'a [u8]) -> Result<Self, Malformed> {
        if length(raw)? != raw.len() {
            return Err(broken("its length is wrong"));
        }
        sound(raw)?;
        Self::parts(raw)
    }

    /// The parts of a message whose lengths and checksums are right, and whose payload is text.
    fn parts(raw: &'a [u8]) -> Result<Self, Malformed> {
        let RawMessage { kind, name, payload } = Self::of_bytes(raw)?;
        let data =
            std::str::from_utf8(payload).map_err(|error| Malformed::Utf8 { at: error.valid_up_to() })?;
        Ok(Self { kind, name, data })
    }

    /// The parts of a message whose lengths and checksums are right.
    ///
    /// # Errors
    /// Its headers are wrong.
    pub fn of_bytes(raw: &'a [u8]) -> Result<RawMessage<'a>, Malformed> {
        let headers = number(raw, 4).unwrap_or_default();
        let (headers, payload) = raw
            .get(PRELUDE..raw.len().saturating_sub(CHECKSUM))
            .and_then(|inner| inner.split_at_checked(headers))
            .ok_or_else(|| broken("its headers are longer than it is"))?;
        let (mut kind, mut event, mut exception, mut code, mut message) = (Kind::Event, "", "", "", "");
        for header in Headers::of(headers) {
            let (name, value) = header?;
            let Value::String(value) = value else { continue };
            match name {
                ":message-type" => {
                    kind = match value {
                        "event" => Kind::Event,
                        "exception" => Kind::Exception,
                        "error" => Kind::Error,
                        _ => return Err(broken("its type is neither event nor exception nor error")),
                    }
                }
                ":event-type" => event = value,
                ":exception-type" => exception = value,
                ":error-code" => code = value,
                ":error-message" => message = value,
                _ => {}
            }
        }
        Ok(match kind {
            Kind::Event => RawMessage { kind, name: event, payload },
            Kind::Exception => RawMessage { kind, name: exception, payload },
            Kind::Error => RawMessage { kind, name: code, payload: message.as_bytes() },
        })
    }
}

/// Writes an event or an exception whose payload is JSON, or an error, whose payload is text.
pub fn write(out: &mut Vec<u8>, kind: Kind, name: &str, payload: impl FnOnce(&mut Vec<u8>)) {
    let json = (":content-type", Value::String("application/json"));
    match kind {
        Kind::Event => {
            let headers =
                [(":event-type", Value::String(name)), json, (":message-type", Value::String("event"))];
            write_message(out, &headers, payload);
        }
        Kind::Exception => {
            let headers = [
                (":exception-type", Value::String(name)),
                json,
                (":message-type", Value::String("exception")),
            ];
            write_message(out, &headers, payload);
        }
        Kind::Error => {
            let mut message = Vec::new();
            payload(&mut message);
            let message = String::from_utf8_lossy(&message);
            let headers = [
                (":error-code", Value::String(name)),
                (":error-message", Value::String(&message)),
                (":message-type", Value::String("error")),
            ];
            write_message(out, &headers, |_| {});
        }
    }
}

/// Writes a message with any headers. Names longer than 255 bytes and values longer than 65,535 are cut.
pub fn write_message(out: &mut Vec<u8>, headers: &[(&str, Value<'_>)], payload: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; PRELUDE]);
    for (name, value) in headers {
        header::write(out, name, *value);
    }
    let headers = out.len() - start - PRELUDE;
    payload(out);
    let total = out.len() - start + CHECKSUM;
    let mut put = |at: usize, number: u32| {
        if let Some(place) = out.get_mut(start + at..start + at + 4) {
            place.copy_from_slice(&number.to_be_bytes());
        }
    };
    put(0, u32::try_from(total).unwrap_or(u32::MAX));
    put(4, u32::try_from(headers).unwrap_or(u32::MAX));
    let prelude = checksum(out.get(start..start + 8).unwrap_or_default());
    if let Some(place) = out.get_mut(start + 8..start + PRELUDE) {
        place.copy_from_slice(&prelude.to_be_bytes());
    }
    let whole = checksum(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&whole.to_be_bytes());
}

/// The length of the message that begins here, once its prelude is proven.
fn length(bytes: &[u8]) -> Result<usize, Malformed> {
    let numbers = (number(bytes, 0), number(bytes, 4), number(bytes, 8));
    let (Some(total), Some(headers), Some(sum)) = numbers else {
        return Err(broken("it is shorter than its prelude"));
    };
    if usize::try_from(checksum(bytes.get(..8).unwrap_or_default())) != Ok(sum) {
        return Err(broken("the checksum of its lengths is wrong"));
    }
    if total > Framer::MOST {
        return Err(Malformed::FrameTooLong { most: Framer::MOST });
    }
    if headers.checked_add(PRELUDE + CHECKSUM).is_none_or(|least| total < least) {
        return Err(broken("its headers are longer than it is"));
    }
    Ok(total)
}

/// Whether the checksum of a whole message is right.
fn sound(raw: &[u8]) -> Result<(), Malformed> {
    let at = raw.len().saturating_sub(CHECKSUM);
    let sum = number(raw, at).unwrap_or_default();
    if usize::try_from(checksum(raw.get(..at).unwrap_or_default())) == Ok(sum) {
        Ok(())
    } else {
        Err(broken("its checksum is wrong"))
    }
}

/// One table is a kilobyte; what is faster carries sixteen, and the Worker has to upload them.
const CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);

fn checksum(bytes: &[u8]) -> u32 {
    CRC.checksum(bytes)
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_be_bytes(*four)).ok()
}

fn broken(what: &'static str) -> Malformed {
    Malformed::Frame { what: what.into() }
}

#[cfg(test)]
#[path = "eventstream_tests.rs"]
mod tests;
