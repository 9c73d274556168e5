use gatelet_wire::{Units, Usage};
use proptest::prelude::*;

use super::*;
use crate::domain::{Carried, Money, RequestId, ShardId, Timestamp, Trace};
use crate::guard::{Direction, Outcome};

pub(super) fn rfc3339<S: serde::Serializer>(
    at: impl std::fmt::Display,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&at)
}

/// What a trace carries, as far as it is written.
#[expect(clippy::ref_option, reason = "the form that serde calls")]
pub(super) fn carried<S: serde::Serializer>(
    carried: &Option<Box<Carried>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeMap as _;
    let mut map = serializer.serialize_map(None)?;
    if let Some(carried) = carried {
        if !carried.state.is_empty() {
            map.serialize_entry("trace_state", &carried.state)?;
        }
        if !carried.baggage.is_empty() {
            map.serialize_entry("baggage", &carried.baggage)?;
        }
    }
    map.end()
}

/// A trace as the two fields that it is written as.
#[expect(clippy::ref_option, reason = "the form that serde calls")]
pub(super) fn trace<S: serde::Serializer>(trace: &Option<Trace>, serializer: S) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeMap;
    let mut map = serializer.serialize_map(None)?;
    if let Some(trace) = trace {
        map.serialize_entry("trace_id", &format!("{:032x}", trace.id))?;
        map.serialize_entry("parent_span_id", &format!("{:016x}", trace.parent))?;
    }
    map.end()
}

/// As eight digits.
#[expect(clippy::trivially_copy_pass_by_ref, clippy::ref_option, reason = "the form that serde calls")]
pub(super) fn version<S: serde::Serializer>(version: &Option<u32>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{:08x}", version.unwrap_or_default()))
}

pub(super) fn is_nothing(parts: &Parts) -> bool {
    parts.iter().next().is_none()
}

pub(super) fn parts<S: serde::Serializer>(parts: &Parts, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(parts.iter().map(|(name, money)| (name, money.to_string())))
}

pub(super) fn request(text: &str, list: &[String], count: u64, time: f64) -> Record {
    Record {
        guards: if count.is_multiple_of(3) { vec![note(text, time)] } else { Vec::new() },
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
        price: count.is_multiple_of(2).then_some(u32::try_from(count >> 32).unwrap()),
        cost_parts: Parts(if count.is_multiple_of(2) {
            [0, count, 0, 1, count / 3, 0].map(Money::from_nanos)
        } else {
            Default::default()
        }),
        total_ms: time,
        first_content_ms: count.is_multiple_of(5).then_some(time),
        loss: list.to_vec(),
        output_cap: count.is_multiple_of(7).then_some(count),
        soft_passed: list.to_vec(),
        shadowed: list.to_vec(),
        fell_to: Some(text.to_owned()),
        prompt: Some(text.into()),
        prompt_version: Some(count),
        trace: count.is_multiple_of(3).then_some(Trace {
            id: u128::from(count) << 3,
            parent: count,
            sampled: true,
        }),
        carried: count
            .is_multiple_of(2)
            .then(|| Box::new(Carried { state: text.to_owned(), baggage: list.to_vec() })),
        strategy: count.is_multiple_of(3).then_some("weighted"),
        queue_ms: count.is_multiple_of(5).then_some(time),
        upstream_ms: time,
        overhead_ms: time,
        finish: count.is_multiple_of(2).then_some("stop"),
        fault: count.is_multiple_of(7).then_some("caller"),
        request_bytes: count,
        answer_bytes: count / 2,
        content: count.is_multiple_of(11).then_some("kept"),
        residency: list.to_vec(),
        kept_in: list.to_vec(),
        left_out: list.to_vec(),
        cache: count.is_multiple_of(2).then_some("hit"),
        saved: count.is_multiple_of(3).then(|| Money::from_nanos(count)),
        similarity: count.is_multiple_of(5).then_some(0.9375),
        lookup_for: count.is_multiple_of(5).then(|| RequestId::mint(Timestamp::EPOCH, [8; 16])),
        copy_of: count.is_multiple_of(3).then(|| RequestId::mint(Timestamp::EPOCH, [7; 16])),
        unbilled: count.is_multiple_of(3).then(|| Money::from_nanos(count)),
    }
}

fn note(text: &str, time: f64) -> Note {
    Note {
        guard: text.into(),
        version: "0a1b2c3d".into(),
        direction: Direction::Out,
        outcome: Outcome::Masked,
        found: vec![("email".into(), 2)],
        unread: vec!["image"],
        ms: Some(time),
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
        region: count.is_multiple_of(2).then(|| text.into()),
        lane: "verbatim",
        status: count.is_multiple_of(2).then_some(529),
        outcome: "answered",
        head_ms: count.is_multiple_of(3).then_some(time),
        total_ms: time,
        billed: count.is_multiple_of(5).then_some("unknown"),
        why: count.is_multiple_of(2).then_some("fallback"),
        fault: count.is_multiple_of(3).then_some("provider"),
        cost: count.is_multiple_of(7).then(|| Money::from_nanos(count)),
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

/// `schema.json` says what lines have: a field that comes is described there, and none is described that never comes.
#[test]
fn the_schema_is_that_of_the_lines() {
    let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
    let list = ["one".to_owned(), "two".to_owned()];
    let all = 2_u64 * 3 * 5 * 7 * 11;
    let full = entry(
        &Record { target: Some("a/b".into()), ..request("text", &list, all, 1.5) },
        &[attempt("text", 210, 1.5)],
    );
    let bare = Record {
        trace: None,
        fell_to: None,
        prompt: None,
        prompt_version: None,
        ..request("text", &[], 1, 1.5)
    };
    let bare = Record { cost: Money::from_nanos(7), cost_stated: false, ..bare };
    let bare = entry(&bare, &[attempt("text", 1, 1.5)]);
    for (place, kind) in ["attempt", "request"].into_iter().enumerate() {
        let line = |entry: &Entry| -> serde_json::Value {
            serde_json::from_str(entry.line.split('\n').nth(place).unwrap()).unwrap()
        };
        let (full, bare) = (line(&full), line(&bare));
        let described = &schema["$defs"][kind];
        holds(described, &full);
        holds(described, &bare);
        let names = |value: &serde_json::Value| -> std::collections::BTreeSet<String> {
            value.as_object().unwrap().keys().cloned().collect()
        };
        assert_eq!(names(&full), names(&described["properties"]), "{kind}");
        let required = described["required"].as_array().unwrap().iter();
        let required: std::collections::BTreeSet<String> =
            required.map(|name| name.as_str().unwrap().to_owned()).collect();
        assert_eq!(names(&bare), required, "{kind}");
    }
}

/// Judges a value by the few words of JSON Schema that ours uses.
pub(super) fn holds(schema: &serde_json::Value, value: &serde_json::Value) {
    use serde_json::Value;
    if let Some(expected) = schema.get("const") {
        assert_eq!(value, expected);
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        assert!(words.contains(value), "{value} is none of {words:?}");
    }
    let kinds = match schema.get("type") {
        None => return,
        Some(Value::Array(kinds)) => kinds.clone(),
        Some(kind) => vec![kind.clone()],
    };
    let is = |kind: &str| match kind {
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("`{other}` is not known here"),
    };
    assert!(kinds.iter().any(|kind| is(kind.as_str().unwrap())), "{value} is none of {kinds:?}");
    if let (Some(items), Some(list)) = (schema.get("items"), value.as_array()) {
        for item in list {
            holds(items, item);
        }
    }
    if let (Some(properties), Some(fields)) = (schema["properties"].as_object(), value.as_object()) {
        for name in schema["required"].as_array().unwrap() {
            assert!(fields.contains_key(name.as_str().unwrap()), "{name} is missing in {value}");
        }
        for (name, field) in fields {
            if let Some(property) = properties.get(name) {
                holds(property, field);
            }
        }
    }
}
