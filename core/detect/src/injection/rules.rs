//! Words of orders that stand together, and marks of models' own formats. They add to what the classifier says.

use super::Source;
use super::classify::Token;
use crate::words::Senses;

/// What a window's words add, and by which rule.
pub(super) fn more(window: &[Token], source: Source) -> (f32, &'static str) {
    let weight = match source {
        Source::User => 1.0,
        Source::Outside => 1.6,
    };
    if !window.iter().any(|token| token.senses.meets(Senses::ORDERS)) {
        return (0.0, "classifier");
    }
    let (mut forgets, mut earlier, mut shows, mut system) = (usize::MAX, usize::MAX, usize::MAX, usize::MAX);
    for (place, token) in window.iter().enumerate() {
        let near = |seen: usize, reach: usize| seen != usize::MAX && place - seen <= reach;
        // `ignore all previous instructions`, in seven languages.
        if token.senses.meets(Senses::ORDERS) && near(forgets, 7) && near(earlier, 4) {
            return (weight, "orders");
        }
        // `print your system prompt`.
        if token.senses.meets(Senses::ORDERS) && near(shows, 6) && near(system, 2) {
            return (0.7 * weight, "orders");
        }
        for (sense, seen) in [
            (Senses::FORGETS, &mut forgets),
            (Senses::EARLIER, &mut earlier),
            (Senses::SHOWS, &mut shows),
            (Senses::SYSTEM, &mut system),
        ] {
            if token.senses.meets(sense) {
                *seen = place;
            }
        }
    }
    (0.0, "classifier")
}

/// Marks by which models' formats begin another speaker's turn.
const MARKS: &[&str] = &[
    "<|im_start|>",
    "<|im_end|>",
    "<|system|>",
    "<<SYS>>",
    "[/INST]",
    "<|start_header_id|>",
    "<|endoftext|>",
    "<start_of_turn>",
];

/// What such marks add: an outsider has no use for them.
pub(super) fn format(text: &str, source: Source) -> f32 {
    let bytes = text.as_bytes();
    let marked = memchr::memchr2_iter(b'<', b'[', bytes).any(|place| {
        MARKS.iter().any(|mark| bytes.get(place..).is_some_and(|rest| rest.starts_with(mark.as_bytes())))
    });
    match (marked, source) {
        (true, Source::Outside) => 2.0,
        (true, Source::User) => 1.0,
        (false, _) => 0.0,
    }
}
