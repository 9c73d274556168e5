//! Patterns: regular expressions without backtracking, which read text as it comes.
//!
//! An engine of our own, because a guard on a stream must know what the text so far could still become: the places where
//! a match has begun and is not over. The threads of a machine of Pike's kind are just that. What it finds does not depend
//! on where the text is cut, it takes time in proportion to text times pattern, and no pattern can make it take more.

mod letters;
mod machine;
mod syntax;

use std::sync::Arc;

pub(super) use letters::small;
pub(super) use machine::Machine;
use machine::Program;
pub(super) use syntax::is_word;

/// A pattern that can be looked for.
#[derive(Clone, Debug)]
pub struct Pattern(Arc<Program>);

impl Pattern {
    /// The longest match, in bytes, where nobody says it.
    pub const LONGEST: usize = 512;
    /// What may be asked for.
    pub const MOST_LONGEST: usize = 4_096;

    /// Reads a regular expression: groups, classes, `\d \w \s \b`, alternatives, repetitions, `^ $ \A \z`, and `(?i)`.
    /// Matches longer than `longest` bytes are none.
    ///
    /// # Errors
    /// It is none, needs what no linear engine can do (references back, looking around), or is too large.
    pub fn read(text: &str, longest: usize) -> Result<Self, String> {
        Program::of(&syntax::parse(text)?, longest).map(|program| Self(Arc::new(program)))
    }

    pub fn machine(&self) -> Machine {
        Machine::of(self.0.clone())
    }
}

/// A pattern that texts are held to as a whole: it may match where there is nothing.
#[derive(Debug)]
pub(super) struct Held(Program);

impl Held {
    /// # Errors
    /// As of [`Pattern::read`].
    pub(super) fn read(text: &str) -> Result<Self, String> {
        Program::whole(&syntax::parse(text)?, Pattern::MOST_LONGEST).map(Self)
    }

    /// Whether it is anywhere in a text; none: that takes more work than there is left.
    pub(super) fn is_in(&self, text: &str, work: &mut usize) -> Option<bool> {
        self.0.is_in(text, work)
    }
}

#[cfg(test)]
mod tests;
