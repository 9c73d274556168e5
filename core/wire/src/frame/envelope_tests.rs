use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Envelope, Open as _};
use crate::Malformed;
use crate::frame::eventstream::{Kind, Value, write, write_message};

/// Puts the bytes of a container's stream into messages, wherever they are cut.
fn parts(stream: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for part in stream.chunks(size) {
        let headers = [
            (":event-type", Value::String("PayloadPart")),
            (":content-type", Value::String("application/octet-stream")),
            (":message-type", Value::String("event")),
        ];
        write_message(&mut out, &headers, |out| out.extend_from_slice(part));
    }
    out
}

fn opened(envelope: Envelope, bytes: &[u8], size: usize) -> Result<Vec<u8>, Malformed> {
    let mut opener = envelope.opener();
    let mut out = Vec::new();
    for piece in bytes.chunks(size) {
        out.extend(opener.push(piece)?);
    }
    opener.finish()?;
    Ok(out)
}

#[test]
fn payload_parts_give_the_containers_own_bytes_wherever_they_are_cut() {
    let stream =
        "data: {\"choices\":[{\"delta\":{\"content\":\"grüße 世界\"}}]}\n\ndata: [DONE]\n\n".as_bytes();
    for size in 1..=stream.len() {
        let wrapped = parts(stream, size);
        for cut in [1, 7, wrapped.len()] {
            assert_eq!(opened(Envelope::PayloadParts, &wrapped, cut).unwrap(), stream, "{size} {cut}");
        }
    }
}

#[test]
fn chunks_become_events_under_their_names() {
    let mut wrapped = Vec::new();
    for event in ["{\"type\":\"message_start\",\n\"message\":{}}", "{\"choices\":[]}"] {
        let payload = format!(r#"{{"bytes":"{}","p":"abcdef"}}"#, STANDARD.encode(event));
        write(&mut wrapped, Kind::Event, "chunk", |out| out.extend_from_slice(payload.as_bytes()));
    }
    let text = String::from_utf8(opened(Envelope::Chunks, &wrapped, 5).unwrap()).unwrap();
    assert_eq!(
        text,
        "event: message_start\ndata: {\"type\":\"message_start\", \"message\":{}}\n\ndata: {\"choices\":[]}\n\n"
    );
}

#[test]
fn the_services_exceptions_are_errors_that_dialects_read() {
    for (name, word) in [("throttlingException", "rate_limit_error"), ("ModelStreamError", "api_error")] {
        let mut wrapped = Vec::new();
        write(&mut wrapped, Kind::Exception, name, |out| {
            out.extend_from_slice(br#"{"message":"slow \"down\""}"#);
        });
        let text = String::from_utf8(opened(Envelope::Chunks, &wrapped, 64).unwrap()).unwrap();
        let expected = format!(
            "event: error\ndata: {{\"type\":\"error\",\"error\":{{\"type\":\"{word}\",\"message\":\"slow \\\"down\\\"\"}}}}\n\n"
        );
        assert_eq!(text, expected);
    }
}

#[test]
fn what_is_broken_or_cut_is_said() {
    let mut wrapped = parts(b"data: x\n\n", 9);
    let cut = wrapped.len() - 1;
    assert_eq!(opened(Envelope::PayloadParts, &wrapped[..cut], 64), Err(Malformed::Truncated));
    wrapped[20] ^= 1;
    assert!(matches!(opened(Envelope::PayloadParts, &wrapped, 64), Err(Malformed::Frame { .. })));
    let mut wrong = Vec::new();
    write(&mut wrong, Kind::Event, "chunk", |out| out.extend_from_slice(br#"{"bytes":"%%"}"#));
    assert!(opened(Envelope::Chunks, &wrong, 64).is_err());
}
