//! Targets: which are in, which are out, and why, as this process has seen them.

use gatelet_wire::sort::sort_by;
use http::Response;
use serde::Serialize;

use super::call::Call;
use super::page;
use crate::domain::Timestamp;
use crate::port::Body;
use crate::refusal::Refusal;
use crate::route::{Blame, Decayed, Rules, Standing, Vitals};

/// A target as it was seen lately.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct View {
    /// `provider/model`.
    target: String,
    /// `in`, `returning`, `probe` (the next request tells whether it is back) or `out`.
    standing: &'static str,
    /// The part of its turns that it takes while it returns.
    #[serde(skip_serializing_if = "Option::is_none")]
    share: Option<f64>,
    /// When it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    /// Whose fault put it out: `provider`, `network`, `rate_limit`, `credential` or `model`.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<&'static str>,
    /// Faults since the last success.
    faults_in_a_row: u32,
    in_flight: u32,
    /// Requests and tokens of the last sixty seconds.
    requests: f64,
    tokens: f64,
    /// Milliseconds until the first content of a stream, for each token after it, and of a whole answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer_ms: Option<f64>,
}

/// `GET /admin/v1/targets?after=&limit=`: what was asked since this process began, and what other instances have told, in
/// order of name.
pub(super) async fn list(call: &Call<'_>) -> Result<Response<Body>, Refusal> {
    let (after, limit) = (call.query("after").unwrap_or_default(), call.page_size()?);
    // What was seen here is told though the ledger is down.
    let told = call.core.ports.ledger.notices(&call.shard()?, call.now).await.unwrap_or_default();
    call.core.board.hear(&told, call.now);
    let seen = call.core.board.read();
    let mut names: Vec<_> = seen.targets().filter(|(name, _)| ***name > *after).collect();
    sort_by(&mut names, |one, other| one.0.cmp(other.0));
    let more = names.len() > limit;
    names.truncate(limit);
    let targets: Vec<View> =
        names.iter().map(|(name, vitals)| view(name, vitals, seen.rules(), call.now)).collect();
    let next = names.last().filter(|_| more).map(|(name, _)| name.to_string());
    Ok(page("targets", &targets, next.as_deref()))
}

fn view(name: &str, vitals: &Vitals, rules: &Rules, now: Timestamp) -> View {
    let standing = vitals.breaker.standing(now, rules);
    let (requests, tokens) = vitals.window.counts(now);
    let millis = |mean: &Decayed| mean.mean().map(|seconds| rounded(seconds * 1e3));
    View {
        target: name.to_owned(),
        standing: standing.word(),
        share: match standing {
            Standing::In { share } if share < 1.0 => Some(rounded(share)),
            Standing::In { .. }
            | Standing::Probe
            | Standing::Resting
            | Standing::Full
            | Standing::Out { .. } => None,
        },
        until: match standing {
            Standing::Out { until, .. } => Some(until.to_string()),
            Standing::In { .. } | Standing::Probe | Standing::Resting | Standing::Full => None,
        },
        fault: vitals.breaker.blame().map(Blame::word),
        faults_in_a_row: vitals.breaker.faults(),
        in_flight: vitals.in_flight,
        requests: rounded(requests),
        tokens: rounded(tokens),
        first_ms: millis(&vitals.first),
        token_ms: millis(&vitals.token),
        answer_ms: millis(&vitals.whole),
    }
}

/// To a thousandth: nobody reads more of it.
fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}
