//! Attempts to take a model's instructions away, or to make it say what it was told.
//!
//! A linear classifier judges windows of words ([`classify`]); words of orders that stand together, and marks of models' own
//! formats, add to it ([`rules`]). Before that, letters are read as what they are meant as ([`normal`]), and what is wrapped in
//! base64, rot13 or written backwards is unwrapped and judged too.
//!
//! `train/` holds the script that the weights come from; `train/metrics.json` what they reach on sources that were held out.

mod classify;
mod normal;
mod rules;
mod wrapped;

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
    /// What weighed most: `classifier`, `orders`, `format`, `base64`, `rot13`, `reversed`, `spaced`.
    pub reason: &'static str,
    /// Where the part of the text is that was judged so: bytes, on the boundaries of characters.
    pub start: usize,
    pub end: usize,
}

/// From this score on a text counts as an attempt.
pub const THRESHOLD: u8 = 50;

/// Judges a text. Linear in its length; what is wrapped (base64, rot13, zero-width signs, letters of other scripts) is unwrapped.
pub fn judge(text: &str, source: Source) -> Judgement {
    let (mut worst, signs) = classify::judge(text, source);
    for (wrapped, reason, start, end) in wrapped::unwrap(text, &signs) {
        let (inner, _) = classify::judge(&wrapped, source);
        // Nobody wraps what may be seen: half a doubt is enough.
        let score = if inner.score >= 35 { inner.score.max(75) } else { inner.score };
        if score > worst.score {
            worst = Judgement { score, reason, start, end };
        }
    }
    worst
}

#[cfg(test)]
mod tests;
