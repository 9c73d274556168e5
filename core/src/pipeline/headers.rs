//! The headers that we add to answers.

use gatelet_wire::{DialectId, Loss};
use http::{HeaderMap, HeaderValue};

use super::books::Books;
use super::receive::Received;
use crate::domain::account::{Headroom, Meter};
use crate::domain::{Money, Timestamp};
use crate::policy::Target;
use crate::record::millis;
use crate::shared::Core;

pub(super) fn served(head: &mut HeaderMap, target: &Target, output_cap: Option<u64>, soft_passed: &[String]) {
    text(head, "x-gatelet-model", &target.to_string());
    if let Some(cap) = output_cap {
        head.insert("x-gatelet-output-cap", HeaderValue::from(cap));
    }
    if !soft_passed.is_empty() {
        text(head, "x-gatelet-soft-limit", &soft_passed.join(", "));
    }
}

pub(super) fn cost(head: &mut HeaderMap, cost: Money) {
    text(head, "x-gatelet-cost", &cost.to_string());
}

pub(super) fn loss(head: &mut HeaderMap, loss: &Loss) {
    if !loss.is_empty() {
        let items: Vec<&str> = loss.items().collect();
        text(head, "x-gatelet-loss", &items.join(", "));
    }
}

/// How often upstreams were called, and how long the gateway itself has taken so far.
pub(super) fn times(head: &mut HeaderMap, core: &Core, received: &Received, books: &Books) {
    head.insert("x-gatelet-attempts", HeaderValue::from(books.attempts()));
    let total = millis(received.started, core.ports.clock.now());
    let own = (total - books.upstream_ms()).max(0.0);
    text(head, "x-gatelet-overhead-ms", &format!("{own:.3}"));
}

/// What is left of the limits a minute, in the form that the vendor's SDK knows.
pub(super) fn limits(head: &mut HeaderMap, dialect: DialectId, headroom: &Headroom, now: Timestamp) {
    for (what, meter) in [("requests", headroom.requests), ("tokens", headroom.tokens)] {
        let Some(Meter { limit, remaining, resets_at }) = meter else { continue };
        let (names, reset) = match dialect {
            DialectId::Openai => (
                [
                    format!("x-ratelimit-limit-{what}"),
                    format!("x-ratelimit-remaining-{what}"),
                    format!("x-ratelimit-reset-{what}"),
                ],
                format!("{}s", resets_at.since(now).as_secs_f64().ceil()),
            ),
            DialectId::Anthropic => (
                [
                    format!("anthropic-ratelimit-{what}-limit"),
                    format!("anthropic-ratelimit-{what}-remaining"),
                    format!("anthropic-ratelimit-{what}-reset"),
                ],
                Timestamp::from_seconds(resets_at.seconds()).to_string(),
            ),
        };
        let values = [limit.to_string(), remaining.to_string(), reset];
        for (name, value) in names.iter().zip(&values) {
            if let Ok(name) = http::HeaderName::try_from(name) {
                head.extend(HeaderValue::try_from(value).ok().map(|value| (name, value)));
            }
        }
    }
}

/// Sets a header; bytes that no header can carry become question marks.
fn text(head: &mut HeaderMap, name: &'static str, value: &str) {
    let value = value.replace(|c: char| !(' '..='~').contains(&c), "?");
    if let Ok(value) = HeaderValue::try_from(value) {
        head.insert(name, value);
    }
}
