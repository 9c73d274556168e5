//! The headers that we add to answers.

use std::fmt;
use std::io::Write as _;

use gatelet_wire::dialect::RateHeaders;
use gatelet_wire::{DialectId, Loss};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::books::{Books, Marks};
use super::receive::Received;
use crate::domain::account::{Headroom, Meter};
use crate::domain::{Money, Timestamp};
use crate::policy::Target;
use crate::shared::Core;

// Names that are made once: to make one costs as much as to set a header.
static MODEL: HeaderName = HeaderName::from_static("x-gatelet-model");
static OUTPUT_CAP: HeaderName = HeaderName::from_static("x-gatelet-output-cap");
static SOFT_LIMIT: HeaderName = HeaderName::from_static("x-gatelet-soft-limit");
static SHADOW_LIMIT: HeaderName = HeaderName::from_static("x-gatelet-shadow-limit");
static FELL_TO: HeaderName = HeaderName::from_static("x-gatelet-fell-to");
static COST: HeaderName = HeaderName::from_static("x-gatelet-cost");
static LOSS: HeaderName = HeaderName::from_static("x-gatelet-loss");
static ATTEMPTS: HeaderName = HeaderName::from_static("x-gatelet-attempts");
static OVERHEAD_MS: HeaderName = HeaderName::from_static("x-gatelet-overhead-ms");

pub(super) fn served(head: &mut HeaderMap, target: &Target, output_cap: Option<u64>, marks: &Marks) {
    if let Ok(name) = HeaderValue::from_str(target.name()) {
        head.insert(&MODEL, name);
    } else {
        text(head, &MODEL, &target.to_string());
    }
    if let Some(cap) = output_cap {
        short(head, &OUTPUT_CAP, format_args!("{cap}"));
    }
    for (name, passed) in [(&SOFT_LIMIT, &marks.soft_passed), (&SHADOW_LIMIT, &marks.shadowed)] {
        if !passed.is_empty() {
            text(head, name, &passed.join(", "));
        }
    }
    if let Some(model) = &marks.fell_to {
        text(head, &FELL_TO, model);
    }
}

pub(super) fn cost(head: &mut HeaderMap, cost: Money) {
    short(head, &COST, format_args!("{cost}"));
}

pub(super) fn loss(head: &mut HeaderMap, loss: &Loss) {
    if !loss.is_empty() {
        let items: Vec<&str> = loss.items().collect();
        text(head, &LOSS, &items.join(", "));
    }
}

/// How often upstreams were called, and how long the gateway itself has taken so far.
pub(super) fn times(head: &mut HeaderMap, core: &Core, received: &Received<'_>, books: &Books) {
    short(head, &ATTEMPTS, format_args!("{}", books.attempts()));
    let total = core.ports.clock.now().since(received.arrived.started);
    let own = total.saturating_sub(books.upstream_time()).as_micros();
    short(head, &OVERHEAD_MS, format_args!("{}.{:03}", own / 1_000, own % 1_000));
}

/// What is left of the limits a minute, in the form that the vendor's SDK knows.
pub(super) fn limits(head: &mut HeaderMap, dialect: DialectId, headroom: &Headroom, now: Timestamp) {
    let rates = dialect.dialect().conventions().rates;
    let (requests, tokens) = match rates {
        RateHeaders::Openai => (&OPENAI_REQUESTS, &OPENAI_TOKENS),
        RateHeaders::Anthropic => (&ANTHROPIC_REQUESTS, &ANTHROPIC_TOKENS),
    };
    for (names, meter) in [(requests, headroom.requests), (tokens, headroom.tokens)] {
        let Some(Meter { limit, remaining, resets_at }) = meter else { continue };
        let [limit_name, remaining_name, reset_name] = names;
        short(head, limit_name, format_args!("{limit}"));
        short(head, remaining_name, format_args!("{remaining}"));
        match rates {
            RateHeaders::Openai => {
                let seconds = resets_at.since(now).as_micros().div_ceil(1_000_000);
                short(head, reset_name, format_args!("{seconds}s"));
            }
            RateHeaders::Anthropic => {
                short(head, reset_name, format_args!("{}", Timestamp::from_seconds(resets_at.seconds())));
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

/// Sets a header; bytes that no header can carry become question marks.
fn text(head: &mut HeaderMap, name: &'static HeaderName, value: &str) {
    let plain = value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let value = if plain {
        HeaderValue::from_str(value)
    } else {
        HeaderValue::try_from(value.replace(|c: char| !(' '..='~').contains(&c), "?"))
    };
    if let Ok(value) = value {
        head.insert(name, value);
    }
}

/// Sets a header to an amount or a moment, of which the longest is short: written on the stack, then copied once.
fn short(head: &mut HeaderMap, name: &'static HeaderName, value: fmt::Arguments<'_>) {
    const LONGEST: usize = 64;
    let mut buffer = [0; LONGEST];
    let mut rest = buffer.as_mut_slice();
    let written = rest.write_fmt(value).map(|()| rest.len());
    match written {
        Ok(left) => {
            if let Ok(value) = HeaderValue::from_bytes(buffer.get(..LONGEST - left).unwrap_or_default()) {
                head.insert(name, value);
            }
        }
        Err(_) => text(head, name, &value.to_string()),
    }
}
