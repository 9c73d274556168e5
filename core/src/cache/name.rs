//! The name of an answer: a hash of all that it depends on.

use sha2::{Digest, Sha256};

/// SHA-256 of the request, of whose it is, and of what else changes the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Name([u8; 32]);

impl From<[u8; 32]> for Name {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl Name {
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What [`hex`](Self::hex) wrote.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits: Vec<u8> =
            text.chars().map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect::<Option<_>>()?;
        let (pairs, rest) = digits.as_chunks::<2>();
        let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
        Some(Self(bytes.try_into().ok().filter(|_| rest.is_empty())?))
    }

    /// In hexadecimal, as stores know it.
    pub fn hex(&self) -> String {
        let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0');
        self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
    }
}

/// A name in the making.
#[derive(Clone, Debug, Default)]
pub struct Naming(Sha256);

impl Naming {
    /// One thing that it depends on, parted from the next.
    #[must_use]
    pub fn with(mut self, part: &[u8]) -> Self {
        self.0.update((part.len() as u64).to_le_bytes());
        self.0.update(part);
        self
    }

    /// Bytes that part themselves.
    pub fn push(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub fn finish(self) -> Name {
        Name(self.0.finalize().into())
    }
}
