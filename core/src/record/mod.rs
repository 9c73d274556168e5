//! What is written down: one record a request and one an attempt, joined by the request's id.

pub mod audit;
pub mod content;
mod drain;
mod line;
pub mod search;
pub mod spend;
pub mod tidy;

use std::sync::Arc;

use gatelet_wire::Usage;

use crate::domain::{Carried, Money, RequestId, ShardId, Timestamp, Trace};
use crate::guard::Note;
use crate::port::Entry;
use crate::registry::Parts;

pub use drain::drain;

/// What lines of the archive are, as JSON Schema.
pub const SCHEMA: &str = include_str!("schema.json");

/// One request, from its first byte to the end of its answer. Written as one line of JSON; `schema.json` beside this file
/// describes it. A field may come under the same version, none changes its meaning: whoever reads takes what it knows.
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
    /// The version of the price by which it is charged: the same as long as none of its rates changes.
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none", serialize_with = "tests::version"))]
    pub price: Option<u32>,
    /// Of what the cost is made.
    #[cfg_attr(test, serde(skip_serializing_if = "tests::is_nothing", serialize_with = "tests::parts"))]
    pub cost_parts: Parts,
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
    /// The prompt that it named, and the version that it was made of.
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub prompt: Option<Box<str>>,
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub prompt_version: Option<u64>,
    /// The trace of its caller, as `trace_id` and `parent_span_id`; none: its trace's id is its own id.
    #[cfg_attr(test, serde(flatten, serialize_with = "tests::trace"))]
    pub trace: Option<Trace>,
    /// What came with it, as `trace_state` and `baggage`.
    #[cfg_attr(test, serde(flatten, serialize_with = "tests::carried"))]
    pub carried: Option<Box<Carried>>,
    /// By what its targets were put in order; none: there was one.
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub strategy: Option<&'static str>,
    /// Milliseconds for which it waited at a limit.
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub queue_ms: Option<f64>,
    /// Milliseconds for which upstreams were waited for, up to the first content.
    pub upstream_ms: f64,
    /// Milliseconds up to the first content that are neither: the gateway's own.
    pub overhead_ms: f64,
    /// Why the model ended, in the words of OpenAI: `stop`, `length`, `tool_calls`, `content_filter`, or `other`.
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub finish: Option<&'static str>,
    /// Whose fault an error is: `caller`, `gateway` or `provider`. None: there was none.
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub fault: Option<&'static str>,
    /// Of the request's body, as far as it was read here.
    pub request_bytes: u64,
    /// Of the answer's body, as far as it left.
    pub answer_bytes: u64,
    /// `hit`: it was answered with an answer that was kept; `semantic`: with that of a question that means the same.
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub cache: Option<&'static str>,
    /// How alike the two questions are: the cosine of their vectors.
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub similarity: Option<f64>,
    /// USD that the kept answer had cost.
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub saved: Option<Money>,
    /// The request that it is a copy of, made by the configuration.
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub copy_of: Option<RequestId>,
    /// The request for which it asked for a vector, to look an answer up by what the question means.
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub lookup_for: Option<RequestId>,
    /// USD that a copy or a look-up which nobody pays for would have cost; none: it is paid for.
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub unbilled: Option<Money>,
    /// `kept`: prompt and answer are in the archive beside it; `lost`: they should be, and the store would not take them.
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub content: Option<&'static str>,
    /// The regions and providers that it was pinned to, in words, one for each who pinned it.
    #[cfg_attr(test, serde(skip_serializing_if = "Vec::is_empty"))]
    pub residency: Vec<String>,
    /// Places that may keep something of it, where it is pinned: `sinks/lake (eu-west-1)`, `content (…)`, `cache (…)`.
    #[cfg_attr(test, serde(skip_serializing_if = "Vec::is_empty"))]
    pub kept_in: Vec<String>,
    /// Places that its pins kept it out of.
    #[cfg_attr(test, serde(skip_serializing_if = "Vec::is_empty"))]
    pub left_out: Vec<String>,
    /// What guards said of the request and of its answer; never what they found itself.
    #[cfg_attr(test, serde(skip_serializing_if = "Vec::is_empty"))]
    pub guards: Vec<Note>,
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
    /// Where the target is, as far as the configuration says.
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub region: Option<Box<str>>,
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
    /// Why this target had its turn, unless it was the first: `again` (it had failed before), `next` (of the same model),
    /// `fallback` (of another), `hedge` (the one before had said nothing yet), or `resume` (it goes on where the one before broke off).
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub why: Option<&'static str>,
    /// Whose fault it is that it failed: `caller`, `gateway` or `provider`.
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub fault: Option<&'static str>,
    /// USD that is charged for it, where another attempt's answer is the one that counts; the request's cost has it in.
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub cost: Option<Money>,
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
    let micros = record.at.micros().to_string();
    let zeros = "0".repeat(16_usize.saturating_sub(micros.len()));
    [&zeros, &micros, "-", id].concat()
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
