//! Histograms and sums of one batch, as differences to the batch before.

use gatelet_wire::SmallMap;

use super::{Attribute, attribute, frame, operation, provider, seconds};
use crate::sink::post::Batch;
use crate::sink::proto::Proto;
use crate::sink::story::{Story, times};

/// As the conventions advise: 1, 4, 16 … tokens.
const TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
/// Seconds.
const TIMES: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
const DELTA: u64 = 1;

/// What points are kept apart by: few, and none that a caller makes up.
type Labels = [String; 5];
const NAMES: [&str; 5] = [
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "gen_ai.response.model",
    "error.type",
    "gen_ai.token.type",
];

#[derive(Debug, Default)]
struct Point {
    count: u64,
    sum: f64,
    buckets: [u64; 15],
}

impl Point {
    fn add(&mut self, value: f64, bounds: &[f64; 14]) {
        self.count += 1;
        self.sum += value;
        let place = bounds.iter().position(|bound| value <= *bound).unwrap_or(bounds.len());
        if let Some(bucket) = self.buckets.get_mut(place) {
            *bucket += 1;
        }
    }
}

type Points = SmallMap<Labels, Point>;

pub(super) fn metrics(batch: &Batch<'_>) -> Proto {
    let (mut tokens, mut durations, mut firsts, mut costs) =
        (Points::new(), Points::new(), Points::new(), Points::new());
    let (mut from, mut to) = (u64::MAX, 0);
    for story in batch.requests() {
        let (begin, end) = times(&story.line);
        (from, to) = (from.min(begin), to.max(end));
        let labels = |kind| labels(story, kind);
        durations.entry(labels("")).or_default().add(seconds(story.number("total_ms")), &TIMES);
        if let Some(first) = story.line["first_content_ms"].as_f64() {
            firsts.entry(labels("")).or_default().add(seconds(first), &TIMES);
        }
        #[expect(clippy::cast_precision_loss, reason = "tokens of one request are few")]
        for (kind, count) in [("input", story.input() as f64), ("output", story.output() as f64)] {
            if count > 0.0 {
                tokens.entry(labels(kind)).or_default().add(count, &TOKENS);
            }
        }
        costs.entry(labels("")).or_default().add(story.cost(), &TOKENS);
    }
    let span = (from.min(to), to);
    let mut out = Proto::default();
    frame(&mut out, &batch.sink.place, &mut |into| {
        histogram(into, "gen_ai.client.token.usage", "{token}", &tokens, &TOKENS, span);
        histogram(into, "gen_ai.client.operation.duration", "s", &durations, &TIMES, span);
        histogram(into, "gen_ai.client.operation.time_to_first_chunk", "s", &firsts, &TIMES, span);
        sum(into, "gatelet.cost", "{USD}", &costs, span);
    });
    out
}

fn labels(story: &Story, token: &str) -> Labels {
    let error = if story.done() { "" } else { story.word("outcome").unwrap_or_default() };
    [operation(story), provider(story.provider()), story.served(), error, token].map(str::to_owned)
}

fn each_label(point: &mut Proto, field: u32, labels: &Labels) {
    for (name, value) in NAMES.iter().zip(labels).filter(|(_, value)| !value.is_empty()) {
        attribute(point, field, name, &Attribute::Text(value));
    }
}

fn histogram(
    into: &mut Proto,
    name: &str,
    unit: &str,
    points: &Points,
    bounds: &[f64; 14],
    (from, to): (u64, u64),
) {
    if points.is_empty() {
        return;
    }
    let bounds = bounds.map(f64::to_bits);
    into.message(2, &mut |metric| {
        metric.text(1, name).text(3, unit).message(9, &mut |histogram| {
            for (labels, seen) in points {
                histogram.message(1, &mut |point| {
                    point.fixed(2, from).fixed(3, to).fixed(4, seen.count).double(5, seen.sum);
                    point.packed(6, &seen.buckets).packed(7, &bounds);
                    each_label(point, 9, labels);
                });
            }
            histogram.number(2, DELTA);
        });
    });
}

fn sum(into: &mut Proto, name: &str, unit: &str, points: &Points, (from, to): (u64, u64)) {
    into.message(2, &mut |metric| {
        metric.text(1, name).text(3, unit).message(7, &mut |sum| {
            for (labels, seen) in points {
                sum.message(1, &mut |point| {
                    point.fixed(2, from).fixed(3, to).double(4, seen.sum);
                    each_label(point, 7, labels);
                });
            }
            sum.number(2, DELTA).number(3, 1);
        });
    });
}
