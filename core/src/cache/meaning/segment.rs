//! Vectors as bytes in a store: some that are written once, and the newest beside the names of all others.

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::cache::entry::{framed, unframed};
use crate::cache::{Name, Naming};

/// Some vectors of a space.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Segment {
    pub(super) head: Head,
    /// One after another, each as long as the others.
    pub(super) vectors: Vec<f32>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Head {
    /// The segments that are written once, oldest first, and until when there is something in each, in microseconds since 1970.
    /// Only the newest segment of a space names others.
    pub(super) sealed: Vec<([u8; 32], i64)>,
    /// Whose vectors these are: answers, and until when each is given.
    pub(super) answers: Vec<([u8; 32], i64)>,
}

const MAGIC: [u8; 4] = *b"gav1";

impl Segment {
    pub(super) fn push(&mut self, answer: &Name, until: i64, vector: &[f32]) {
        self.head.answers.push((*answer.bytes(), until));
        self.vectors.extend_from_slice(vector);
    }

    pub(super) fn each(&self) -> impl Iterator<Item = (Name, i64, &[f32])> {
        let numbers = self.vectors.len() / self.head.answers.len().max(1);
        let vectors = self.vectors.chunks_exact(numbers.max(1));
        let answers = self.head.answers.iter();
        answers.zip(vectors).map(|((answer, until), vector)| (Name::from(*answer), *until, vector))
    }

    /// Until when there is something in it, or in those that it names.
    pub(super) fn until(&self) -> i64 {
        let all = self.head.answers.iter().chain(&self.head.sealed).map(|(_, until)| *until);
        all.max().unwrap_or_default()
    }

    /// The bytes that a store keeps under `name`. None: they cannot be written.
    pub(super) fn write(&self, name: &Name) -> Option<Bytes> {
        let head = postcard::to_allocvec(&self.head).ok()?;
        let mut vectors = BytesMut::with_capacity(self.vectors.len() * size_of::<f32>());
        for number in &self.vectors {
            vectors.put_f32_le(*number);
        }
        framed(MAGIC, name, &head, &vectors)
    }

    /// None: they are not what was kept under this name, to the last bit.
    pub(super) fn read(name: &Name, bytes: &Bytes) -> Option<Self> {
        let (head, vectors) = unframed(MAGIC, name, bytes)?;
        let head: Head = postcard::from_bytes(&head).ok()?;
        let (numbers, rest) = vectors.as_chunks::<4>();
        let even = rest.is_empty() && numbers.len().is_multiple_of(head.answers.len().max(1));
        let vectors = numbers.iter().map(|number| f32::from_le_bytes(*number)).collect();
        even.then_some(Self { head, vectors })
    }

    /// The name under which it is written once.
    pub(super) fn name(&self, space: &Name) -> Name {
        let mut naming = Naming::default().with(b"vectors").with(space.bytes());
        for (answer, until) in &self.head.answers {
            naming.push(answer);
            naming.push(&until.to_le_bytes());
        }
        naming.finish()
    }
}
