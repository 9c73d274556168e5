//! The headers of a message: a name and a typed value each.

use super::broken;
use crate::Malformed;

/// A header's value, by its type on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    Bool(bool),
    Byte(i8),
    Short(i16),
    Integer(i32),
    Long(i64),
    Bytes(&'a [u8]),
    String(&'a str),
    /// Milliseconds since 1970.
    Timestamp(i64),
    Uuid([u8; 16]),
}

/// The headers of one message, in their order. Ends after the first that is wrong.
#[derive(Clone, Debug)]
pub struct Headers<'a> {
    rest: &'a [u8],
}

impl<'a> Headers<'a> {
    pub fn of(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn read(&mut self) -> Option<(&'a str, Value<'a>)> {
        let name = usize::from(self.array::<1>()?[0]);
        let name = std::str::from_utf8(self.take(name)?).ok()?;
        let [kind] = self.array()?;
        let value = match kind {
            0 => Value::Bool(true),
            1 => Value::Bool(false),
            2 => Value::Byte(i8::from_be_bytes(self.array()?)),
            3 => Value::Short(i16::from_be_bytes(self.array()?)),
            4 => Value::Integer(i32::from_be_bytes(self.array()?)),
            5 => Value::Long(i64::from_be_bytes(self.array()?)),
            6 => Value::Bytes(self.sized()?),
            7 => Value::String(std::str::from_utf8(self.sized()?).ok()?),
            8 => Value::Timestamp(i64::from_be_bytes(self.array()?)),
            9 => Value::Uuid(self.array()?),
            _ => return None,
        };
        Some((name, value))
    }

    /// Bytes behind their length in two bytes.
    fn sized(&mut self) -> Option<&'a [u8]> {
        let length = u16::from_be_bytes(self.array()?);
        self.take(usize::from(length))
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*first)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (first, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(first)
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Result<(&'a str, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let header = self.read();
        if header.is_none() {
            self.rest = &[];
        }
        Some(header.ok_or_else(|| broken("a header of it is wrong")))
    }
}

/// Writes one header.
pub(super) fn write(out: &mut Vec<u8>, name: &str, value: Value<'_>) {
    let name = cut(name, usize::from(u8::MAX));
    out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(name.as_bytes());
    match value {
        Value::Bool(true) => out.push(0),
        Value::Bool(false) => out.push(1),
        Value::Byte(number) => put(out, 2, &number.to_be_bytes()),
        Value::Short(number) => put(out, 3, &number.to_be_bytes()),
        Value::Integer(number) => put(out, 4, &number.to_be_bytes()),
        Value::Long(number) => put(out, 5, &number.to_be_bytes()),
        Value::Bytes(bytes) => sized(out, 6, bytes.get(..usize::from(u16::MAX)).unwrap_or(bytes)),
        Value::String(text) => sized(out, 7, cut(text, usize::from(u16::MAX)).as_bytes()),
        Value::Timestamp(millis) => put(out, 8, &millis.to_be_bytes()),
        Value::Uuid(bytes) => put(out, 9, &bytes),
    }
}

fn put(out: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    out.push(kind);
    out.extend_from_slice(bytes);
}

fn sized(out: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    out.push(kind);
    out.extend_from_slice(&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// At most so many bytes of `text`, whole characters.
fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default()).unwrap_or_default()
}
