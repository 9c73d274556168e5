//! Integers in as few bytes as they need, and texts with their lengths: how sums are kept.

use crate::port::{Fault, FaultKind};

/// Bytes that are being written.
#[derive(Debug, Default)]
pub(super) struct Pack {
    pub(super) bytes: Vec<u8>,
}

impl Pack {
    /// Seven bits a byte, the lowest first; all but the last byte have the eighth.
    pub(super) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push((number & 0x7f) as u8);
    }

    pub(super) fn length(&mut self, length: usize) {
        self.number(length as u64);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.length(text.len());
        self.bytes.extend_from_slice(text.as_bytes());
    }
}

/// Bytes that are being read.
#[derive(Debug)]
pub(super) struct Unpack<'a> {
    pub(super) rest: &'a [u8],
}

impl<'a> Unpack<'a> {
    pub(super) fn number(&mut self) -> Result<u64, Fault> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first().ok_or_else(broken)?;
            self.rest = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(broken())
    }

    /// A number that is a place or a day.
    pub(super) fn small(&mut self) -> Result<u32, Fault> {
        u32::try_from(self.number()?).map_err(|_| broken())
    }

    /// How many follow; each takes a byte at the least.
    pub(super) fn length(&mut self) -> Result<usize, Fault> {
        usize::try_from(self.number()?).ok().filter(|length| *length <= self.rest.len()).ok_or_else(broken)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Fault> {
        let length = self.length()?;
        let (text, rest) = self.rest.split_at_checked(length).ok_or_else(broken)?;
        self.rest = rest;
        std::str::from_utf8(text).map_err(|_| broken())
    }
}

pub(super) fn broken() -> Fault {
    Fault::new(FaultKind::Corrupt, "spend.read", "sums are not as they were written")
}
