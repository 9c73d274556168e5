//! What is wrong with a document, said so that it can be put right.

use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Counts from 1.
    pub line: usize,
    /// Keys from the top, such as `models.support.targets[0].model`; empty for the document as a whole.
    pub path: String,
    /// What was expected, and what to do.
    pub message: String,
}

/// Everything that is wrong with one document, in its order. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// The document's name as messages show it: its path, mostly.
    pub file: String,
    pub list: Vec<Problem>,
}

/// One line a problem: `gatelet.yaml:3: models.support.retries: expected …`.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, Problem { line, path, message }) in self.list.iter().enumerate() {
            let newline = if place == 0 { "" } else { "\n" };
            let path = if path.is_empty() { String::new() } else { format!("{path}: ") };
            write!(f, "{newline}{}:{line}: {path}{message}", self.file)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
