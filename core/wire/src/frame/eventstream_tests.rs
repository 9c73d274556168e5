use proptest::prelude::*;

use super::*;

fn event(name: &str, payload: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out, Kind::Event, name, |out| out.extend_from_slice(payload.as_bytes()));
    out
}

fn frames<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Result<(String, String), Malformed>> {
    let mut framer = Framer::default();
    let mut found = Vec::new();
    let owned = |frame: Frame<'_>| (frame.name.unwrap_or("-").to_owned(), frame.data.to_owned());
    for piece in pieces {
        framer.push(piece);
        while let Some(frame) = framer.next() {
            found.push(frame.map(owned));
        }
    }
    if let Some(frame) = framer.finish() {
        found.push(frame.map(owned));
    }
    found
}

/// The vendor's own test message: no headers, the payload `{'foo':'bar'}`.
#[test]
fn the_vendors_own_message_is_written_and_read() {
    let published: &[u8] = &[
        0x00, 0x00, 0x00, 0x1d, 0x00, 0x00, 0x00, 0x00, 0xfd, 0x52, 0x8c, 0x5a, 0x7b, 0x27, 0x66, 0x6f, 0x6f,
        0x27, 0x3a, 0x27, 0x62, 0x61, 0x72, 0x27, 0x7d, 0xc3, 0x65, 0x39, 0x36,
    ];
    let mut written = Vec::new();
    write_message(&mut written, &[], |out| out.extend_from_slice(b"{'foo':'bar'}"));
    assert_eq!(written, published);
    assert_eq!(frames([published]), [Ok((String::new(), "{'foo':'bar'}".to_owned()))]);
}

#[test]
fn any_split_gives_the_same_frames() {
    let bytes = [event("messageStart", "{}"), event("contentBlockDelta", "{\"t\":\"ü世\"}")].concat();
    let whole = frames([bytes.as_slice()]);
    assert_eq!(whole.len(), 2);
    assert_eq!(whole[1], Ok(("contentBlockDelta".to_owned(), "{\"t\":\"ü世\"}".to_owned())));
    for at in 0..=bytes.len() {
        let (left, right) = bytes.split_at(at);
        assert_eq!(frames([left, right]), whole, "cut at {at}");
    }
    assert_eq!(frames(bytes.chunks(1)), whole);
}

#[test]
fn bytes_that_are_left_at_the_end_are_a_truncation() {
    let bytes = [event("a", "{}"), event("b", "{}")].concat();
    for end in event("a", "{}").len() + 1..bytes.len() {
        let found = frames([&bytes[..end]]);
        assert_eq!(found.len(), 2, "{end}");
        assert_eq!(found[1], Err(Malformed::Truncated), "{end}");
    }
}

#[test]
fn one_flipped_bit_is_always_caught_and_ends_the_stream() {
    let good = event("contentBlockDelta", "{\"delta\":{\"text\":\"hello\"}}");
    for place in 0..good.len() {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[place] ^= 1 << bit;
            bad.extend_from_slice(&good);
            let found = frames([bad.as_slice()]);
            assert_eq!(found.len(), 1, "byte {place}, bit {bit}: {found:?}");
            assert!(matches!(found[0], Err(Malformed::Frame { .. })), "byte {place}, bit {bit}: {found:?}");
        }
    }
}

#[test]
fn a_message_that_says_to_be_endless_is_not_waited_for() {
    let mut bytes = u32::MAX.to_be_bytes().to_vec();
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&checksum(&bytes).to_be_bytes());
    assert_eq!(frames([bytes.as_slice()]), [Err(Malformed::FrameTooLong { most: Framer::MOST })]);
}

#[test]
fn lengths_that_contradict_each_other_are_refused() {
    for (total, headers) in [(0_u32, 0_u32), (15, 0), (16, 1), (20, u32::MAX), (100, 85)] {
        let mut bytes = [total.to_be_bytes(), headers.to_be_bytes()].concat();
        bytes.extend_from_slice(&checksum(&bytes).to_be_bytes());
        bytes.extend_from_slice(&[0; 100]);
        assert!(matches!(frames([bytes.as_slice()])[0], Err(Malformed::Frame { .. })), "{total} {headers}");
    }
}

#[test]
fn exceptions_and_errors_are_told_from_events() {
    let mut out = Vec::new();
    write(&mut out, Kind::Exception, "throttlingException", |out| out.extend_from_slice(b"{}"));
    let message = Message::read(&out).unwrap();
    assert_eq!(message, Message { kind: Kind::Exception, name: "throttlingException", data: "{}" });
    let mut out = Vec::new();
    write(&mut out, Kind::Error, "InternalError", |out| out.extend_from_slice("kaputt ü".as_bytes()));
    let message = Message::read(&out).unwrap();
    assert_eq!(message, Message { kind: Kind::Error, name: "InternalError", data: "kaputt ü" });
    assert_eq!(frames([out.as_slice()]), [Ok(("InternalError".to_owned(), "kaputt ü".to_owned()))]);
}

#[test]
fn a_payload_that_is_no_text_is_corrupt_and_the_next_message_is_read() {
    let mut bytes = Vec::new();
    write(&mut bytes, Kind::Event, "a", |out| out.push(0xff));
    bytes.extend(event("b", "{}"));
    let found = frames([bytes.as_slice()]);
    assert_eq!(found, [Err(Malformed::Utf8 { at: 0 }), Ok(("b".to_owned(), "{}".to_owned()))]);
}

#[test]
fn headers_of_unknown_types_or_cut_short_are_refused() {
    for headers in
        [&b"\x01a\x0a"[..], b"\x01a", b"\x05a", b"\x01a\x07\x00\x05ab", b"\x01\xff\x00", b"\x01a\x04\x00"]
    {
        let found: Vec<_> = Headers::of(headers).collect();
        assert_eq!(found.len(), 1);
        assert!(found[0].is_err(), "{headers:?}");
    }
}

fn value() -> impl Strategy<Value = Owned> {
    prop_oneof![
        any::<bool>().prop_map(Owned::Bool),
        any::<i8>().prop_map(Owned::Byte),
        any::<i16>().prop_map(Owned::Short),
        any::<i32>().prop_map(Owned::Integer),
        any::<i64>().prop_map(Owned::Long),
        any::<Vec<u8>>().prop_map(Owned::Bytes),
        any::<String>().prop_map(Owned::String),
        any::<i64>().prop_map(Owned::Timestamp),
        any::<[u8; 16]>().prop_map(Owned::Uuid),
    ]
}

#[derive(Clone, Debug)]
enum Owned {
    Bool(bool),
    Byte(i8),
    Short(i16),
    Integer(i32),
    Long(i64),
    Bytes(Vec<u8>),
    String(String),
    Timestamp(i64),
    Uuid([u8; 16]),
}

impl Owned {
    fn value(&self) -> Value<'_> {
        match self {
            Self::Bool(flag) => Value::Bool(*flag),
            Self::Byte(number) => Value::Byte(*number),
            Self::Short(number) => Value::Short(*number),
            Self::Integer(number) => Value::Integer(*number),
            Self::Long(number) => Value::Long(*number),
            Self::Bytes(bytes) => Value::Bytes(bytes),
            Self::String(text) => Value::String(text),
            Self::Timestamp(millis) => Value::Timestamp(*millis),
            Self::Uuid(bytes) => Value::Uuid(*bytes),
        }
    }
}

proptest! {
    #[test]
    fn headers_of_all_types_are_read_as_they_were_written(
        headers in prop::collection::vec(("[a-z:-]{1,20}", value()), 0..8),
        payload in any::<Vec<u8>>(),
    ) {
        let given: Vec<(&str, Value<'_>)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.value())).collect();
        let mut out = b"before".to_vec();
        write_message(&mut out, &given, |out| out.extend_from_slice(&payload));
        let raw = &out[6..];
        prop_assert_eq!(length(raw), Ok(raw.len()));
        prop_assert_eq!(sound(raw), Ok(()));
        let end = PRELUDE + number(raw, 4).unwrap();
        let read: Result<Vec<_>, _> = Headers::of(&raw[PRELUDE..end]).collect();
        prop_assert_eq!(read, Ok(given));
        prop_assert_eq!(&raw[end..raw.len() - CHECKSUM], payload.as_slice());
    }

    #[test]
    fn any_bytes_are_frames_or_refused(bytes in any::<Vec<u8>>()) {
        let _ = frames([bytes.as_slice()]);
        for header in Headers::of(&bytes) {
            let _ = header;
        }
    }
}
