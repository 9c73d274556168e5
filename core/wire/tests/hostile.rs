//! Whatever bytes come, no reader panics, none takes long, and what is refused is refused with words.
//!
//! Fixtures are damaged by a generator with fixed seeds, so that a failure comes again; the fuzz targets beside this
//! crate go further, and what they find becomes a test here.
#![expect(clippy::panic, reason = "helpers of tests fail like tests")]
#![expect(clippy::disallowed_methods, reason = "what takes long is told by a clock; fixtures are files")]

mod support;

use std::time::{Duration, Instant};

use gatelet_wire::dialect::{Addressed, Reading};
use gatelet_wire::event::Grammar;
use gatelet_wire::{Dialect, DialectId, Event, Fields, Loss, Malformed, TargetHints};
use support::{binary, decode, encode_bytes, fixtures, framed, options};

/// Far more than any reader needs for a fixture, far less than a loop that squares its input.
const PATIENCE: Duration = Duration::from_secs(5);

/// xorshift64*: small, and the same everywhere.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap_or(1)).unwrap_or(0)
    }
}

/// Pieces that turn one meaning into another.
const PIECES: &[&[u8]] = &[
    b"null",
    b"{}",
    b"[]",
    b"\"\"",
    b"-1",
    b"1e999",
    b"18446744073709551616",
    b"\"\\ud800\"",
    b"\xff\xfe",
    b"\xe4\xb8",
    b"\0",
    b"[[[[[[[[",
    b"{\"type\":",
    b"\n\n",
    b"data: ",
    b"event: error\n",
    b"\"index\":4294967296",
    b",\"type\":\"tool_use\"",
    b"true",
];

/// Half of the damage is done to values, so that the JSON stays whole and its meaning breaks; half to bytes.
fn damaged(bytes: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let to_values = chance.below(2) == 0;
    for _ in 0..=chance.below(3) {
        if to_values { damage_value(&mut bytes, chance) } else { damage_bytes(&mut bytes, chance) }
    }
    bytes
}

/// Replaces what stands between a colon and the comma, brace or line break after it.
fn damage_value(bytes: &mut Vec<u8>, chance: &mut Chance) {
    const VALUES: &[&str] = &[
        "null",
        "{}",
        "[]",
        "\"\"",
        "\"text\"",
        "-1",
        "0.5",
        "1e999",
        "18446744073709551616",
        "true",
        "[null]",
        "{\"a\":1}",
    ];
    let colons: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] == b':').collect();
    let Some(start) = colons.get(chance.below(colons.len())).map(|at| at + 1) else { return };
    let rest = &bytes[start..];
    let length = rest.iter().position(|byte| b",}]\n".contains(byte)).unwrap_or(rest.len());
    let value = VALUES[chance.below(VALUES.len())];
    drop(bytes.splice(start..start + length, value.bytes()));
}

fn damage_bytes(bytes: &mut Vec<u8>, chance: &mut Chance) {
    let at = chance.below(bytes.len() + 1);
    let end = (at + chance.below(24)).min(bytes.len());
    match chance.below(6) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..end)),
        2 => drop(bytes.splice(at..end, PIECES[chance.below(PIECES.len())].iter().copied())),
        3 => drop(bytes.splice(at..at, PIECES[chance.below(PIECES.len())].iter().copied())),
        4 => {
            let copy = bytes[at..end].to_vec();
            let to = chance.below(bytes.len() + 1);
            drop(bytes.splice(to..to, copy));
        }
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << chance.below(8);
            }
        }
    }
}

/// Runs `read` on thousands of damaged fixtures of one kind; gives how many it took and how many it refused.
fn torment(
    kind: &str,
    rounds: usize,
    read: impl Fn(&dyn Dialect, &[u8]) -> Result<(), Malformed>,
) -> (usize, usize) {
    let (mut taken, mut refused) = (0, 0);
    for id in DialectId::ALL.iter().copied() {
        let dialect = id.dialect();
        for (seed, fixture) in (1_u64..).zip(fixtures(id, kind)) {
            let mut chance = Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            for round in 0..rounds {
                // Of binary streams half is damaged before it gets its checksums, which would find all else.
                let bytes = match fixture.path.extension() {
                    Some(ending) if ending == "events" && round % 2 == 0 => {
                        binary(&damaged(&std::fs::read(&fixture.path).unwrap_or_default(), &mut chance))
                    }
                    _ => damaged(&fixture.bytes, &mut chance),
                };
                let started = Instant::now();
                match read(dialect, &bytes) {
                    Ok(()) => taken += 1,
                    Err(error) => {
                        assert!(!error.to_string().is_empty());
                        refused += 1;
                    }
                }
                let took = started.elapsed();
                assert!(took < PATIENCE, "{} round {round} took {took:?}", fixture.path.display());
            }
        }
    }
    (taken, refused)
}

#[test]
fn damaged_requests_are_read_or_refused_and_what_is_read_can_be_written_or_refused() {
    let (taken, refused) = torment("request", 150, |dialect, bytes| {
        let request = dialect.read_request(bytes)?;
        for to in DialectId::ALL.iter().copied() {
            let hints = TargetHints { native_schema: true, ..TargetHints::unknown("m") };
            if let Ok(written) = to.dialect().write_request(&request, &hints, &mut Loss::default()) {
                assert_json(&written.body);
            }
        }
        Ok(())
    });
    assert!(taken > 300 && refused > 300, "{taken} taken, {refused} refused");
}

#[test]
fn damaged_requests_are_peeked_at_or_refused() {
    torment("request", 150, |dialect, bytes| {
        let fields = Fields::read(bytes)?;
        dialect.peek(&fields, &Addressed::default()).map(|_| ())
    });
}

#[test]
fn damaged_answers_are_read_or_refused() {
    let (taken, refused) = torment("response", 120, |dialect, bytes| {
        let response = dialect.read_response(bytes, Reading::default())?;
        for to in DialectId::ALL.iter().copied() {
            assert_json(&to.dialect().write_response(&response, &mut Loss::default()));
        }
        Ok(())
    });
    assert!(taken > 300 && refused > 300, "{taken} taken, {refused} refused");
}

#[test]
fn damaged_streams_keep_the_grammar_and_their_translations_are_streams() {
    let (taken, refused) = torment("stream", 100, |dialect, bytes| {
        let (events, error) = decode(dialect, Reading::default(), bytes.chunks(61));
        if let Err(breach) = Grammar::check(&events) {
            panic!("{breach}\n{}", String::from_utf8_lossy(bytes));
        }
        for to in DialectId::ALL.iter().copied() {
            let (translated, _) = encode_bytes(&mut *to.dialect().encoder(options()), &events);
            let (again, _) = decode(to.dialect(), Reading::default(), [translated.as_slice()]);
            let text = String::from_utf8_lossy(&translated);
            assert_eq!(Grammar::check(&again), Ok(()), "{text}");
            // Some dialects take a reason to stop for an end; none may invent one, or lose it.
            let stopped = events.iter().any(|event| matches!(event, Event::End | Event::Stop { .. }));
            let (before, after) = (events.contains(&Event::End), again.contains(&Event::End));
            assert!((!before || after) && (!after || stopped), "{events:?}\n{text}");
        }
        error.map_or(Ok(()), Err)
    });
    assert!(taken > 300 && refused > 300, "{taken} taken, {refused} refused");
}

#[test]
fn damaged_errors_are_always_some_error() {
    torment("error", 100, |dialect, bytes| {
        let error = dialect.read_error(400, bytes);
        assert!(!error.message.is_empty());
        Ok(())
    });
}

#[test]
fn deep_nesting_is_refused_and_never_followed() {
    for id in DialectId::ALL.iter().copied() {
        let dialect = id.dialect();
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let deep = format!("{}1{}", open.repeat(10_000), close.repeat(10_000));
            let inside = format!("{{\"model\":\"m\",\"max_tokens\":1,\"messages\":[],\"x\":{deep}}}");
            for body in [&deep, &inside] {
                let error = dialect.read_request(body.as_bytes()).expect_err("too deep");
                assert!(matches!(error, Malformed::TooDeep { .. }), "{error}");
            }
            let frame = framed(dialect.conventions().framing, "contentBlockDelta", &inside);
            let (_, error) = decode(dialect, Reading::default(), [frame.as_slice()]);
            assert!(error.is_some());
        }
    }
}

#[test]
fn long_requests_take_time_in_proportion() {
    let time = |messages: usize| {
        let message = r#"{"role":"user","content":"word word word word word word word word"},"#;
        let body = format!(
            "{{\"model\":\"m\",\"max_tokens\":1,\"messages\":[{}{{\"role\":\"user\",\"content\":\"x\"}}]}}",
            message.repeat(messages)
        );
        let first = DialectId::Openai.dialect().read_request(body.as_bytes()).expect("well-formed");
        let started = Instant::now();
        for id in DialectId::ALL.iter().copied() {
            let dialect = id.dialect();
            let write = |request| {
                let hints = TargetHints::unknown("m");
                dialect.write_request(request, &hints, &mut Loss::default()).expect("can be said").body
            };
            let request = dialect.read_request(&write(&first)).expect("what was written is well-formed");
            write(&request);
        }
        started.elapsed()
    };
    time(100);
    let (short, long) = (time(2_000), time(20_000));
    assert!(
        long < short * 60 + PATIENCE,
        "ten times the messages took {long:?} where {short:?} would be a tenth"
    );
}

fn assert_json(bytes: &[u8]) {
    if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(bytes) {
        panic!("{error}: {}", String::from_utf8_lossy(bytes));
    }
}
