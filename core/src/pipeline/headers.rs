//! The headers that we add to answers.

use std::fmt::{self, Write as _};

use bytes::BytesMut;
use gatelet_wire::dialect::RateHeaders;
use gatelet_wire::{DialectId, Loss};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::books::{Books, Marks};
use super::prompt::Said;
use super::receive::Received;
use crate::domain::account::{Headroom, Meter};
use crate::domain::{Money, Timestamp};
use crate::guard::{Note, Outcome};
use crate::policy::Target;
use crate::shared::Core;

// Names that are made once: to make one costs as much as to set a header.
static MODEL: HeaderName = HeaderName::from_static("x-gatelet-model");
static OUTPUT_CAP: HeaderName = HeaderName::from_static("x-gatelet-output-cap");
static SOFT_LIMIT: HeaderName = HeaderName::from_static("x-gatelet-soft-limit");
static SHADOW_LIMIT: HeaderName = HeaderName::from_static("x-gatelet-shadow-limit");
static FELL_TO: HeaderName = HeaderName::from_static("x-gatelet-fell-to");
static COST: HeaderName = HeaderName::from_static("x-gatelet-cost");
static CACHE: HeaderName = HeaderName::from_static("x-gatelet-cache");
static SIMILARITY: HeaderName = HeaderName::from_static("x-gatelet-cache-similarity");
static LOSS: HeaderName = HeaderName::from_static("x-gatelet-loss");
static GUARDS: HeaderName = HeaderName::from_static("x-gatelet-guards");
static PROMPT: HeaderName = HeaderName::from_static("x-gatelet-prompt");
static ATTEMPTS: HeaderName = HeaderName::from_static("x-gatelet-attempts");
static OVERHEAD_MS: HeaderName = HeaderName::from_static("x-gatelet-overhead-ms");

/// The head of an answer, as far as it is made.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) map: HeaderMap,
    /// What is made for it stands in one piece of memory: they leave together, and most are a few digits.
    room: BytesMut,
}

impl Head {
    /// With room for all of ours, and for the two that the gateway adds.
    pub(super) fn new() -> Self {
        const HEADERS: usize = 16;
        Self::over(HeaderMap::with_capacity(HEADERS))
    }

    /// With headers that are there already.
    pub(super) fn over(map: HeaderMap) -> Self {
        const BYTES: usize = 256;
        Self { map, room: BytesMut::with_capacity(BYTES) }
    }

    fn set(&mut self, name: &'static HeaderName, value: fmt::Arguments<'_>) {
        // Writing into memory does not fail.
        let _infallible = self.room.write_fmt(value);
        self.made(name);
    }

    fn number(&mut self, name: &'static HeaderName, number: u64) {
        self.count(name, number, "");
    }

    /// A number and what it counts.
    fn count(&mut self, name: &'static HeaderName, number: u64, unit: &str) {
        digits(&mut self.room, number);
        self.room.extend_from_slice(unit.as_bytes());
        self.made(name);
    }

    /// Sets a header to what was written last.
    fn made(&mut self, name: &'static HeaderName) {
        if let Ok(value) = HeaderValue::from_maybe_shared(self.room.split().freeze()) {
            self.map.insert(name, value);
        }
    }

    /// Sets a header to words, if there are any; letters that no header can carry become question marks.
    fn words<'a>(&mut self, name: &'static HeaderName, words: impl Iterator<Item = &'a str>) {
        for (nth, word) in words.enumerate() {
            self.room.extend_from_slice(if nth > 0 { b", " } else { b"" });
            if word.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
                self.room.extend_from_slice(word.as_bytes());
            } else {
                let plain = word.replace(|letter: char| !(' '..='~').contains(&letter), "?");
                self.room.extend_from_slice(plain.as_bytes());
            }
        }
        if !self.room.is_empty() {
            self.made(name);
        }
    }
}

/// Writes a number as the formatter would, at a fifth of its price.
fn digits(out: &mut BytesMut, mut number: u64) {
    const LONGEST: usize = 20;
    let mut digits = [b'0'; LONGEST];
    let mut first = LONGEST - 1;
    for (place, digit) in digits.iter_mut().enumerate().rev() {
        first = place;
        *digit += u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(first..).unwrap_or_default());
}

pub(super) fn served(head: &mut Head, target: &Target, output_cap: Option<u64>, marks: &Marks) {
    head.words(&MODEL, std::iter::once(&**target.name()));
    if let Some(cap) = output_cap {
        head.number(&OUTPUT_CAP, cap);
    }
    passed(head, marks);
}

fn passed(head: &mut Head, marks: &Marks) {
    for (name, passed) in [(&SOFT_LIMIT, &marks.soft_passed), (&SHADOW_LIMIT, &marks.shadowed)] {
        head.words(name, passed.iter().map(String::as_str));
    }
    head.words(&FELL_TO, marks.fell_to.as_deref().into_iter());
}

/// An answer that was kept: who gave it once, and how alike the question is to which it was given, if it is another.
pub(super) fn again(head: &mut Head, target: &str, alike: Option<f64>, marks: &Marks) {
    head.words(&MODEL, std::iter::once(target));
    head.map.insert(&CACHE, HeaderValue::from_static(if alike.is_some() { "semantic" } else { "hit" }));
    if let Some(alike) = alike {
        head.set(&SIMILARITY, format_args!("{alike}"));
    }
    passed(head, marks);
}

/// The answer is not one that was kept, though it might have been.
pub(super) fn missed(head: &mut Head) {
    head.map.insert(&CACHE, HeaderValue::from_static("miss"));
}

pub(super) fn cost(head: &mut Head, cost: Money) {
    let (text, place) = cost.text();
    head.room.extend_from_slice(text.get(place).unwrap_or_default());
    head.made(&COST);
}

pub(super) fn loss(head: &mut Head, loss: &Loss) {
    head.words(&LOSS, loss.items());
}

/// What guards said so far, but for what is only watched.
pub(super) fn guards(head: &mut Head, notes: &[Note]) {
    let shown = |note: &&Note| !matches!(note.outcome, Outcome::Shadowed | Outcome::Unsampled);
    let words: Vec<String> = notes.iter().filter(shown).map(Note::to_string).collect();
    head.words(&GUARDS, words.iter().map(String::as_str));
}

/// The prompt that the request was made of.
pub(super) fn said(head: &mut Head, said: &Said) {
    head.set(&PROMPT, format_args!("{}@{}", said.name, said.version));
}

/// How often upstreams were called, and how long the gateway itself has taken so far.
pub(super) fn times(head: &mut Head, core: &Core, received: &Received<'_>, books: &Books) {
    head.number(&ATTEMPTS, books.attempts().into());
    let total = core.ports.clock.now().since(received.arrived.started);
    let own = total.saturating_sub(books.upstream_time()).as_micros();
    let own = u64::try_from(own).unwrap_or(u64::MAX);
    digits(&mut head.room, own / 1_000);
    // The digit before the three that count is the point's.
    let first = head.room.len();
    digits(&mut head.room, 1_000 + own % 1_000);
    if let Some(point) = head.room.get_mut(first) {
        *point = b'.';
    }
    head.made(&OVERHEAD_MS);
}

/// What is left of the limits a minute, in the form that the vendor's SDK knows.
pub(super) fn limits(head: &mut Head, dialect: DialectId, headroom: &Headroom, now: Timestamp) {
    let rates = dialect.dialect().conventions().rates;
    let (requests, tokens) = match rates {
        RateHeaders::Openai => (&OPENAI_REQUESTS, &OPENAI_TOKENS),
        RateHeaders::Anthropic => (&ANTHROPIC_REQUESTS, &ANTHROPIC_TOKENS),
    };
    for (names, meter) in [(requests, headroom.requests), (tokens, headroom.tokens)] {
        let Some(Meter { limit, remaining, resets_at }) = meter else { continue };
        let [limit_name, remaining_name, reset_name] = names;
        head.number(limit_name, limit);
        head.number(remaining_name, remaining);
        match rates {
            RateHeaders::Openai => {
                let seconds = resets_at.since(now).as_micros().div_ceil(1_000_000);
                head.count(reset_name, u64::try_from(seconds).unwrap_or(u64::MAX), "s");
            }
            RateHeaders::Anthropic => {
                head.set(reset_name, format_args!("{}", Timestamp::from_seconds(resets_at.seconds())));
            }
        }
    }
}

type Names = [HeaderName; 3];

static OPENAI_REQUESTS: Names = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
static OPENAI_TOKENS: Names = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];
static ANTHROPIC_REQUESTS: Names = [
    HeaderName::from_static("anthropic-ratelimit-requests-limit"),
    HeaderName::from_static("anthropic-ratelimit-requests-remaining"),
    HeaderName::from_static("anthropic-ratelimit-requests-reset"),
];
static ANTHROPIC_TOKENS: Names = [
    HeaderName::from_static("anthropic-ratelimit-tokens-limit"),
    HeaderName::from_static("anthropic-ratelimit-tokens-remaining"),
    HeaderName::from_static("anthropic-ratelimit-tokens-reset"),
];
