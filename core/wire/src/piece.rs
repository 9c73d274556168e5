//! Large texts in which little changes, written without copying the rest.

use std::ops::Range;

use crate::Fields;

/// A part of a text that is written anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes that are new, or too few to be worth a piece.
    Made(Vec<u8>),
    /// These bytes of the text that was read.
    Kept(Range<usize>),
}

/// Where a text is written.
pub(crate) trait Out {
    /// Writes what was read, unchanged.
    fn keep(&mut self, text: &str);
    /// Where new bytes are added.
    fn make(&mut self) -> &mut Vec<u8>;
}

impl Out for Vec<u8> {
    fn keep(&mut self, text: &str) {
        self.extend_from_slice(text.as_bytes());
    }

    fn make(&mut self) -> &mut Vec<u8> {
        self
    }
}

/// What is kept, below which it is copied: another buffer in a write costs about as much.
const LARGE: usize = 8 << 10;

/// Writes pieces of a text that was read.
pub(crate) struct Pieces<'a> {
    text: &'a str,
    done: Vec<Piece>,
    made: Vec<u8>,
}

impl<'a> Pieces<'a> {
    pub(crate) fn of(fields: &Fields<'a>) -> Self {
        /// More than what is made of most texts, all of which are small or are kept.
        const MOST: usize = 512;
        let text = fields.as_str();
        Self { text, done: Vec::new(), made: Vec::with_capacity((text.len() + 64).min(MOST)) }
    }

    pub(crate) fn done(mut self) -> Vec<Piece> {
        self.end_made();
        self.done
    }

    fn end_made(&mut self) {
        if !self.made.is_empty() {
            self.done.push(Piece::Made(std::mem::take(&mut self.made)));
        }
    }

    /// Where `part` stands in the text, if it is a part of it and not another text.
    fn place(&self, part: &str) -> Option<Range<usize>> {
        let start = part.as_ptr().addr().checked_sub(self.text.as_ptr().addr())?;
        let end = start + part.len();
        (end <= self.text.len()).then_some(start..end)
    }
}

impl Out for Pieces<'_> {
    fn keep(&mut self, text: &str) {
        match self.place(text).filter(|_| text.len() >= LARGE) {
            Some(place) => {
                self.end_made();
                self.done.push(Piece::Kept(place));
            }
            None => self.made.extend_from_slice(text.as_bytes()),
        }
    }

    fn make(&mut self) -> &mut Vec<u8> {
        &mut self.made
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Draft, Edit, Json, Loss};

    fn joined(text: &str, pieces: &[Piece]) -> String {
        let bytes = pieces.iter().flat_map(|piece| match piece {
            Piece::Made(bytes) => bytes.as_slice(),
            Piece::Kept(place) => &text.as_bytes()[place.clone()],
        });
        String::from_utf8(bytes.copied().collect()).unwrap()
    }

    #[test]
    fn what_is_large_is_kept_and_what_is_small_is_copied() {
        let body = format!(r#"{{"model":"a","n":1,"messages":"{}","top_p":1.10}}"#, "x".repeat(LARGE));
        let fields = Fields::read(body.as_bytes()).unwrap();
        let pieces = Draft::from(&fields).pieces(&fields);
        assert!(matches!(pieces.as_slice(), [Piece::Made(_), Piece::Kept(_), Piece::Made(_)]), "{pieces:?}");
        assert_eq!(joined(&body, &pieces), body);
        let small = Fields::read(br#"{"model":"a"}"#).unwrap();
        assert_eq!(small.splice_pieces(&[]), [Piece::Made(br#"{"model":"a"}"#.to_vec())]);
    }

    proptest! {
        #[test]
        fn pieces_are_what_would_have_been_written_whole(
            lengths in proptest::collection::vec(prop_oneof![0..40_usize, LARGE - 4..LARGE + 4, 30_000..40_000_usize], 0..6),
            spaced in any::<bool>(),
            changed in 0..8_usize,
        ) {
            let fields: Vec<String> =
                lengths.iter().enumerate().map(|(nth, length)| format!("\"f{nth}\":\"{}\"", "y".repeat(*length))).collect();
            let body = if spaced { format!("{{ {} }} ", fields.join(" , ")) } else { format!("{{{}}}", fields.join(",")) };
            let fields = Fields::read(body.as_bytes()).unwrap();
            let name = format!("f{changed}");
            let values = [(name.as_str(), "[1]")];
            prop_assert_eq!(joined(&body, &fields.splice_pieces(&values)).into_bytes(), fields.splice(&values));
            let mut draft = Draft::from(&fields);
            draft.set(&name, Json::of(&vec![1]));
            draft.apply(&[Edit::Rename("f0".into(), "g".into()), Edit::Drop("f2".into())], &mut Loss::default()).unwrap();
            prop_assert_eq!(joined(&body, &draft.pieces(&fields)).into_bytes(), draft.write());
        }
    }
}
