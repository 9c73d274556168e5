//! What is written down: one record a request and one an attempt, joined by the request's id.

pub mod audit;
mod drain;
mod line;
pub mod spend;

use std::fmt::Write as _;
use std::sync::Arc;

use gatelet_wire::Usage;

use crate::domain::{Money, RequestId, ShardId, Timestamp};
use crate::port::Entry;

pub use drain::drain;

/// One request, from its first byte to the end of its answer. Written as one line of JSON.
#[derive(Clone, Debug)]
#[cfg_attr(test, derive(serde::Serialize))]
pub struct Record {
    /// The version of this schema.
    pub v: u8,
    pub kind: &'static str,
    pub id: RequestId,
    /// When it came.
    #[cfg_attr(test, serde(serialize_with = "tests::rfc3339"))]
    pub at: Timestamp,
    pub shard: ShardId,
    pub key: String,
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub alias: Option<String>,
    /// What the key belongs to, by id; no organisation: the default one.
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub org: Option<String>,
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub team: Option<String>,
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub project: Option<String>,
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub user: Option<String>,
    #[cfg_attr(test, serde(skip_serializing_if = "Vec::is_empty"))]
    pub tags: Vec<String>,
    /// The end user that it is for.
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub customer: Option<String>,
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub session: Option<String>,
    pub operation: &'static str,
    /// The dialect that the caller spoke.
    pub dialect: &'static str,
    /// The model that the caller asked for.
    pub model: String,
    /// `provider/model` that answered, or was tried last; none: none was.
    pub target: Option<Arc<str>>,
    pub stream: bool,
    /// How it ended: `done`, `client_left`, or the code of the refusal.
    pub outcome: &'static str,
    pub status: u16,
    pub attempts: u32,
    pub usage: Usage,
    /// The upstream did not say its usage, so it was estimated from the bytes.
    pub usage_estimated: bool,
    /// USD.
    pub cost: Money,
    /// The provider said the cost; else it is the usage by the price.
    #[cfg_attr(test, serde(skip_serializing_if = "std::ops::Not::not"))]
    pub cost_stated: bool,
    /// Milliseconds from the first byte to the end.
    pub total_ms: f64,
    /// Milliseconds to the first piece of content; none: there was none.
    pub first_content_ms: Option<f64>,
    #[cfg_attr(test, serde(skip_serializing_if = "Vec::is_empty"))]
    pub loss: Vec<String>,
    /// The cap on output that the gateway sent, because the caller gave none.
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub output_cap: Option<u64>,
    /// Soft budgets that this request passed.
    #[cfg_attr(test, serde(skip_serializing_if = "Vec::is_empty"))]
    pub soft_passed: Vec<String>,
    /// Limits that are only watched and would have refused this request.
    #[cfg_attr(test, serde(skip_serializing_if = "Vec::is_empty"))]
    pub shadowed: Vec<String>,
    /// The model that was asked, because a limit refused the one that the caller asked for.
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub fell_to: Option<String>,
}

/// One call of an upstream.
#[derive(Clone, Debug)]
#[cfg_attr(test, derive(serde::Serialize))]
pub struct Attempt {
    pub v: u8,
    pub kind: &'static str,
    /// The request's id.
    pub id: RequestId,
    #[cfg_attr(test, serde(serialize_with = "tests::rfc3339"))]
    pub at: Timestamp,
    /// 1, 2, 3 …
    pub attempt: u32,
    pub target: Arc<str>,
    pub lane: &'static str,
    /// The upstream's own status; none: no answer came.
    pub status: Option<u16>,
    /// `answered`, or what was wrong.
    pub outcome: &'static str,
    /// Milliseconds from sending to the answer's head.
    pub head_ms: Option<f64>,
    /// Milliseconds from sending to its end.
    pub total_ms: f64,
    /// `unknown`: the upstream had begun and gave no answer that counts. Its provider may bill that; here nobody is charged
    /// for it. None: the request's own cost says all.
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub billed: Option<&'static str>,
}

pub const VERSION: u8 = 1;

/// What is written of one request, its attempts first, as an entry of the outbox: hosts pay by the entry. Ids sort by time.
pub fn entry(record: &Record, attempts: &[Attempt]) -> Entry {
    const ABOUT_A_LINE: usize = 1_024;
    let mut lines = Vec::with_capacity((attempts.len() + 1) * ABOUT_A_LINE);
    for attempt in attempts {
        line::attempt(attempt, &mut lines);
        lines.push(b'\n');
    }
    line::request(record, &mut lines);
    let line = std::str::from_utf8(&lines).unwrap_or_default();
    Entry { id: entry_id(record).into(), line: line.into(), settle: None }
}

/// Sixteen digits of microseconds, a dash, and the request's id.
fn entry_id(record: &Record) -> String {
    let id = record.id.as_str();
    let mut text = String::with_capacity(17 + id.len());
    // Writing into memory does not fail.
    let _infallible = write!(text, "{:016}-{id}", record.at.micros());
    text
}

/// Milliseconds from `start` to `end`, to the microsecond.
#[expect(
    clippy::cast_precision_loss,
    reason = "durations of less than centuries are exact enough in a float"
)]
pub fn millis(start: Timestamp, end: Timestamp) -> f64 {
    end.since(start).as_micros() as f64 / 1_000.0
}

#[cfg(test)]
mod tests;
