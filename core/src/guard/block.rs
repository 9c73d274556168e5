//! What a text is as a whole: its language, whether it is code, whether it is anything. Judged block by block, so that a stream waits for
//! one block at most, and a long text cannot hide behind its beginning.

use std::sync::Arc;

use gatelet_detect::language::{self, Language};

use super::scan::{Scanner, Span};

/// Which blocks are findings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whole {
    /// Those in another language than these. What is too short to say is none.
    Language(Vec<Language>),
    /// Those of which at least so many lines in a hundred are code.
    Code(u8),
    /// Those of which at least so many words in a hundred are no words.
    Gibberish(u8),
}

impl Whole {
    fn finds(&self, text: &str) -> bool {
        match self {
            Self::Language(allowed) => {
                let known = language::identify(text).is_some_and(|found| !allowed.contains(&found.language));
                known || language::is_of_another_script(text)
            }
            Self::Code(least) => language::code(text) >= *least,
            Self::Gibberish(least) => language::gibberish(text) >= *least,
        }
    }
}

/// Bytes that are judged together.
const BLOCK: usize = 2_048;

#[derive(Debug)]
pub(super) struct BlockMachine {
    whole: Arc<Whole>,
    block: String,
    /// Where the block begins.
    base: usize,
}

impl BlockMachine {
    pub(super) fn new(whole: Arc<Whole>) -> Self {
        Self { whole, block: String::new(), base: 0 }
    }

    fn judge(&mut self, out: &mut Vec<Span>) {
        let end = self.base + self.block.len();
        if !self.block.is_empty() && self.whole.finds(&self.block) {
            out.push(Span { start: self.base, end });
        }
        self.block.clear();
        self.base = end;
    }
}

impl Scanner for BlockMachine {
    fn push(&mut self, text: &str, out: &mut Vec<Span>) {
        let mut rest = text;
        while !rest.is_empty() {
            let mut taken = BLOCK.saturating_sub(self.block.len()).max(1).min(rest.len());
            while !rest.is_char_boundary(taken) {
                taken += 1;
            }
            let (now, later) = rest.split_at(taken);
            self.block.push_str(now);
            rest = later;
            if self.block.len() >= BLOCK {
                self.judge(out);
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<Span>) {
        self.judge(out);
    }

    fn settled(&self) -> usize {
        self.base
    }
}
