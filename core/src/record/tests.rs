use gatelet_wire::{Units, Usage};
use proptest::prelude::*;

use super::*;
use crate::domain::{Money, RequestId, ShardId, Timestamp};

pub(super) fn rfc3339<S: serde::Serializer>(
    at: impl std::fmt::Display,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&at)
}

fn request(text: &str, list: &[String], count: u64, time: f64) -> Record {
    Record {
        v: VERSION,
        kind: "request",
        id: RequestId::new(text),
        at: Timestamp::from_micros(i64::try_from(count >> 12).unwrap()),
        shard: ShardId::main(),
        key: text.to_owned(),
        alias: list.first().cloned(),
        org: list.get(1).cloned(),
        team: list.get(1).cloned(),
        project: list.first().cloned(),
        user: list.last().cloned(),
        tags: list.to_vec(),
        customer: list.first().cloned(),
        session: list.last().cloned(),
        operation: "chat",
        dialect: "openai",
        model: text.to_owned(),
        target: list.first().map(|target| target.as_str().into()),
        stream: count.is_multiple_of(2),
        outcome: "done",
        status: 200,
        attempts: 3,
        usage: usage(count),
        usage_estimated: count.is_multiple_of(3),
        cost: Money::from_nanos(count),
        cost_stated: count > 0,
        total_ms: time,
        first_content_ms: count.is_multiple_of(5).then_some(time),
        loss: list.to_vec(),
        output_cap: count.is_multiple_of(7).then_some(count),
        soft_passed: list.to_vec(),
        shadowed: list.to_vec(),
        fell_to: Some(text.to_owned()),
    }
}

fn usage(count: u64) -> Usage {
    let units = Units { pages: count % 2, ..Units::default() };
    Usage { input: count, output: count / 3, image_output: count % 3, units, ..Usage::default() }
}

fn attempt(text: &str, count: u64, time: f64) -> Attempt {
    Attempt {
        v: VERSION,
        kind: "attempt",
        id: RequestId::new(text),
        at: Timestamp::from_micros(i64::try_from(count >> 12).unwrap()),
        attempt: 2,
        target: text.into(),
        lane: "verbatim",
        status: count.is_multiple_of(2).then_some(529),
        outcome: "answered",
        head_ms: count.is_multiple_of(3).then_some(time),
        total_ms: time,
        billed: count.is_multiple_of(5).then_some("unknown"),
    }
}

proptest! {
    /// What is written by hand is what the schema says, byte for byte.
    #[test]
    fn a_line_is_what_its_record_says(
        text in any::<String>(),
        list in proptest::collection::vec(any::<String>(), 0..4),
        count in any::<u64>(),
        time in 0.0_f64..1e9,
    ) {
        let (request, attempt) = (request(&text, &list, count, time), attempt(&text, count, time));
        let expected =
            format!("{}\n{}", serde_json::to_string(&attempt).unwrap(), serde_json::to_string(&request).unwrap());
        let written = entry(&request, &[attempt]);
        prop_assert_eq!(&*written.line, &expected);
        prop_assert_eq!(&*written.id, format!("{:016}-{}", request.at.micros(), text));
        for line in written.line.split('\n') {
            prop_assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{}", line);
        }
    }
}
