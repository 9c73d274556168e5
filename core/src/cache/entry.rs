//! One kept answer, and its bytes in a store.

use bytes::{BufMut, Bytes, BytesMut};
use crc::{CRC_32_ISO_HDLC, Crc, Table};
use gatelet_wire::DialectId;
use serde::{Deserialize, Serialize};

use super::Name;
use crate::domain::{Money, Timestamp};

/// An answer that may be given again.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub label: Label,
    pub answer: Bytes,
}

/// What is known of a kept answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Label {
    /// When its request came, in microseconds since 1970.
    pub made: i64,
    /// It is given until then.
    pub until: i64,
    /// What it cost, in nano-dollars: what each hit saves.
    pub cost: u64,
    /// `provider/model` that gave it.
    pub target: String,
    /// By what it can be purged: the key whose request it answered, the model, and the request's tags.
    pub key: String,
    pub model: String,
    pub tags: Vec<String>,
    pub form: Form,
}

/// In which words an answer is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// A whole answer as its provider said it, in the dialect of who asked first.
    Body { dialect: DialectId, reasoning_outside: bool, think_tags: bool },
    /// Events in no particular dialect.
    Tape,
}

const MAGIC: [u8; 4] = *b"gac1";
static CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);
const HEAD: usize = 4 + 4 + 32 + 4;

impl Label {
    pub fn is_good(&self, now: Timestamp) -> bool {
        now.micros() < self.until
    }

    pub fn cost(&self) -> Money {
        Money::from_nanos(self.cost)
    }

    /// What is kept beside the answer, in bytes, about.
    pub fn size(&self) -> usize {
        let tags: usize = self.tags.iter().map(String::len).sum();
        128 + self.target.len() + self.key.len() + self.model.len() + tags
    }
}

impl Entry {
    /// The bytes under which a store keeps it by `name`. None: that cannot be written.
    pub fn write(&self, name: &Name) -> Option<Bytes> {
        framed(MAGIC, name, &postcard::to_allocvec(&self.label).ok()?, &self.answer)
    }

    /// The entry that `bytes` are. None: they are not what was kept under this name, to the last bit.
    pub fn read(name: &Name, bytes: &Bytes) -> Option<Self> {
        let (label, answer) = unframed(MAGIC, name, bytes)?;
        Some(Self { label: postcard::from_bytes(&label).ok()?, answer })
    }
}

/// A head and what follows it, with the name under which they are kept and a checksum of all. None: the head is too long.
pub(super) fn framed(magic: [u8; 4], name: &Name, head: &[u8], rest: &[u8]) -> Option<Bytes> {
    let mut bytes = BytesMut::with_capacity(HEAD + head.len() + rest.len());
    bytes.put_slice(&magic);
    bytes.put_u32_le(0);
    bytes.put_slice(name.bytes());
    bytes.put_u32_le(u32::try_from(head.len()).ok()?);
    bytes.put_slice(head);
    bytes.put_slice(rest);
    let sum = CRC.checksum(bytes.get(8..)?);
    bytes.get_mut(4..8)?.copy_from_slice(&sum.to_le_bytes());
    Some(bytes.freeze())
}

/// The head and the rest of what was [`framed`]. None: it is not what was kept under this name, to the last bit.
pub(super) fn unframed(magic: [u8; 4], name: &Name, bytes: &Bytes) -> Option<(Bytes, Bytes)> {
    let head = bytes.get(..HEAD)?;
    let (own_magic, head) = head.split_first_chunk::<4>()?;
    let (sum, head) = head.split_first_chunk::<4>()?;
    let (own, head) = head.split_first_chunk::<32>()?;
    let length = usize::try_from(u32::from_le_bytes(*head.first_chunk::<4>()?)).ok()?;
    let sound = *own_magic == magic
        && own == name.bytes()
        && CRC.checksum(bytes.get(8..)?) == u32::from_le_bytes(*sum);
    let end = HEAD.checked_add(length)?;
    (sound && end <= bytes.len()).then(|| (bytes.slice(HEAD..end), bytes.slice(end..)))
}
