//! `GET /metrics`: what was asked of whom this month, and whether sinks take what they are told, as Prometheus reads it.
//!
//! The numbers are the sums of reports (`record/spend`), so that all instances of a gateway on any host tell the same, each
//! request is counted once, and no request pays for it. Counters begin anew with the month (UTC), which `rate` and `increase` know.

use std::fmt::Write as _;
use std::sync::PoisonError;

use bytes::Bytes;
use gatelet_wire::SmallMap;
use http::request::Parts;
use http::{HeaderValue, Response, header};

use super::admin;
use crate::domain::{Money, Resource, Timestamp, Verb};
use crate::port::{Body, Fault};
use crate::record::spend::{self, By, COUNTERS, Question, Row, Sums};
use crate::refusal::Refusal;
use crate::shared::Core;
use crate::sink;

/// Rows of labels; where there would be more, labels are left out.
const MOST_ROWS: usize = 1_000;
/// Shards that one answer is about.
const MOST_SHARDS: usize = 64;
/// An answer is given again for so long, in seconds.
const FRESH: i64 = 5;

/// A metric that is a sum of reports.
struct Counter {
    name: &'static str,
    help: &'static str,
    /// Of which of [`COUNTERS`], each with a label of its own where there are several.
    of: &'static [(&'static str, &'static str)],
    unit: Unit,
}

#[derive(Clone, Copy)]
enum Unit {
    One,
    Dollars,
    Milliseconds,
    Microseconds,
}

const fn plain(
    name: &'static str,
    help: &'static str,
    of: &'static [(&'static str, &'static str)],
    unit: Unit,
) -> Counter {
    Counter { name, help, of, unit }
}

const METRICS: &[Counter] = &[
    plain(
        "gatelet_requests_total",
        "Requests of known callers that have ended, refused ones too.",
        &[("requests", "")],
        Unit::One,
    ),
    plain(
        "gatelet_refusals_total",
        "Requests that were refused before any provider was asked.",
        &[("refusals", "")],
        Unit::One,
    ),
    plain(
        "gatelet_failures_total",
        "Requests that a provider was asked for and that ended in an error.",
        &[("failures", "")],
        Unit::One,
    ),
    plain(
        "gatelet_over_budget_total",
        "Requests that were refused because a budget was spent.",
        &[("over_budget", "")],
        Unit::One,
    ),
    plain(
        "gatelet_cache_hits_total",
        "Requests that were answered without asking a provider.",
        &[("cache_hits", "")],
        Unit::One,
    ),
    plain("gatelet_attempts_total", "Calls of providers.", &[("attempts", "")], Unit::One),
    plain("gatelet_cost_usd_total", "What was spent, in US dollars.", &[("cost", "")], Unit::Dollars),
    plain(
        "gatelet_tokens_total",
        "Tokens by kind, each exclusive of the others.",
        &[
            ("input", "input"),
            ("cache_read", "cache_read"),
            ("cache_write", "cache_write"),
            ("output", "output"),
            ("audio_input", "audio_input"),
            ("image_input", "image_input"),
            ("audio_output", "audio_output"),
            ("image_output", "image_output"),
        ],
        Unit::One,
    ),
    plain(
        "gatelet_request_seconds_total",
        "Time from the first byte of requests to the end of their answers.",
        &[("total_ms", "")],
        Unit::Milliseconds,
    ),
    plain(
        "gatelet_overhead_seconds_total",
        "Time up to the first content that was neither a provider's nor a limit's.",
        &[("overhead_us", "")],
        Unit::Microseconds,
    ),
];

/// The histogram of the time until the first content: how many came within each mark, their number and their sum.
const FIRST: &str = "gatelet_first_content_seconds";
const MARKS: [(&str, &str); 6] = [
    ("first_within_500ms", "0.5"),
    ("first_within_1s", "1"),
    ("first_within_2s", "2"),
    ("first_within_5s", "5"),
    ("first_within_10s", "10"),
    ("first_within_30s", "30"),
];

const SINK_UP: &str = "gatelet_sink_up";
const SINK_TOLD: &str = "gatelet_sink_told_total";
const SINK_DEAD: &str = "gatelet_sink_dead_total";
const LABELS_LEFT_OUT: &str = "gatelet_labels_left_out";

/// Answers whoever may look at the gateway as a whole; anybody, where the configuration says so.
pub(super) async fn show(core: &Core, now: Timestamp, parts: &Parts) -> Result<Response<Body>, Refusal> {
    if !core.policy().metrics().open {
        admin::judged(core, now, parts, Resource::Gateway, Verb::Read).await?;
    }
    let known = {
        let told = core.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.as_ref()
            .filter(|(at, _)| (0..FRESH).contains(&(now.seconds() - at)))
            .map(|(_, text)| text.clone())
    };
    let text = if let Some(text) = known {
        text
    } else {
        let text = Bytes::from(written(core, now).await?);
        *core.told.lock().unwrap_or_else(PoisonError::into_inner) = Some((now.seconds(), text.clone()));
        text
    };
    let mut response = Response::new(Body::Full(text));
    let media = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, media);
    Ok(response)
}

/// Sums by the values of their labels.
type Rows = SmallMap<Vec<Option<String>>, Sums>;

async fn written(core: &Core, now: Timestamp) -> Result<String, Fault> {
    let policy = core.policy();
    let today = u32::try_from(now.seconds().div_euclid(86_400)).unwrap_or(0);
    let days = spend::month_begins(today)..=today;
    let mut labels: Vec<&'static str> = policy.metrics().by.clone();
    let (mut rows, mut sinks) = (Rows::new(), SmallMap::new());
    let mut shards = core.ports.ledger.shards().await?;
    shards.truncate(MOST_SHARDS);
    loop {
        rows.clear();
        let by: Vec<By> = labels.iter().filter_map(|name| By::named(name)).collect();
        let question = Question { days: days.clone(), finer: None, by, only: Vec::new(), most: MOST_ROWS };
        let mut many = false;
        for shard in &shards {
            let report = spend::report(&core.ports, shard, &question).await?;
            many |= report.too_many;
            if many || rows.len() > MOST_ROWS {
                break;
            }
            for Row { of, sums } in report.rows {
                let mine = rows.entry(of).or_default();
                for (sum, more) in mine.iter_mut().zip(sums) {
                    *sum = sum.saturating_add(more);
                }
            }
        }
        if !(many || rows.len() > MOST_ROWS) || labels.pop().is_none() {
            break;
        }
    }
    for sink in policy.sinks() {
        sinks.insert(sink.name.to_string(), (true, 0, 0));
    }
    if !sinks.is_empty() {
        for shard in &shards {
            for (name, place) in sink::standing(&core.ports, shard).await? {
                if let Some((up, told, dead)) = sinks.get_mut(&name) {
                    *up &= !place.is_down();
                    *told += place.told;
                    *dead += place.dead;
                }
            }
        }
    }
    let mut out = String::new();
    sums(&mut out, &labels, &rows);
    if !sinks.is_empty() {
        head(&mut out, SINK_UP, "gauge", "Whether a sink takes what it is told.");
        for (name, (up, ..)) in &sinks {
            line(&mut out, SINK_UP, &[("sink", name)], u8::from(*up));
        }
        head(&mut out, SINK_TOLD, "counter", "Requests that a sink was told of.");
        for (name, (_, told, _)) in &sinks {
            line(&mut out, SINK_TOLD, &[("sink", name)], told);
        }
        head(
            &mut out,
            SINK_DEAD,
            "counter",
            "Requests that a sink would not hear of: they are under `dead/`.",
        );
        for (name, (.., dead)) in &sinks {
            line(&mut out, SINK_DEAD, &[("sink", name)], dead);
        }
    }
    let help =
        "How many labels are left out, because there would be more than a thousand series of each metric.";
    head(&mut out, LABELS_LEFT_OUT, "gauge", help);
    line(&mut out, LABELS_LEFT_OUT, &[], policy.metrics().by.len() - labels.len());
    Ok(out)
}

fn sums(out: &mut String, labels: &[&'static str], rows: &Rows) {
    let place = |name: &str| COUNTERS.iter().position(|counter| *counter == name).unwrap_or(usize::MAX);
    let of = |sums: &Sums, name: &str| sums.get(place(name)).copied().unwrap_or(0);
    for Counter { name, help, of: parts, unit } in METRICS {
        head(out, name, "counter", help);
        for (values, row) in rows {
            for (counter, kind) in *parts {
                let sum = of(row, counter);
                // Kinds that nobody uses are left out.
                if sum == 0 && !kind.is_empty() {
                    continue;
                }
                let mut all = named(labels, values);
                if !kind.is_empty() {
                    all.push(("kind", kind));
                }
                match unit {
                    Unit::One => line(out, name, &all, sum),
                    Unit::Dollars => line(out, name, &all, Money::from_nanos(sum)),
                    Unit::Milliseconds => line(out, name, &all, part(sum, 3)),
                    Unit::Microseconds => line(out, name, &all, part(sum, 6)),
                }
            }
        }
    }
    head(out, FIRST, "histogram", "Time until the first content of an answer.");
    for (values, row) in rows {
        let (count, sum) = (of(row, "answered"), of(row, "first_content_ms"));
        for (counter, mark) in MARKS {
            let mut all = named(labels, values);
            all.push(("le", mark));
            line(out, &format!("{FIRST}_bucket"), &all, of(row, counter));
        }
        let mut all = named(labels, values);
        all.push(("le", "+Inf"));
        line(out, &format!("{FIRST}_bucket"), &all, count);
        line(out, &format!("{FIRST}_sum"), &named(labels, values), part(sum, 3));
        line(out, &format!("{FIRST}_count"), &named(labels, values), count);
    }
}

fn named<'a>(labels: &[&'static str], values: &'a [Option<String>]) -> Vec<(&'static str, &'a str)> {
    labels.iter().copied().zip(values.iter().map(|value| value.as_deref().unwrap_or("none"))).collect()
}

/// A whole number with its decimal point moved, exactly.
fn part(number: u64, places: u32) -> String {
    let one = 10_u64.pow(places);
    format!("{}.{:0width$}", number / one, number % one, width = places as usize)
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _infallible = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn line(out: &mut String, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
    out.push_str(name);
    for (place, (label, text)) in labels.iter().enumerate() {
        out.push(if place == 0 { '{' } else { ',' });
        let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let _infallible = write!(out, "{label}=\"{text}\"");
    }
    if !labels.is_empty() {
        out.push('}');
    }
    let _infallible = writeln!(out, " {value}");
}
