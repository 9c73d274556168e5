//! Every fixture in every dialect: what is written for it stands beside it, as `<case>.<to>.snap`.

mod support;

use gatelet_wire::dialect::Reading;
use gatelet_wire::{DialectId, Loss, PublicError, UpstreamError};
use support::{Fixture, decode, dialect, encode_bytes, fixtures, lines, options, pretty, readable};

#[test]
fn requests_are_written_as_their_snapshots_say() {
    each("request", |fixture, to| {
        let from = dialect(fixture.dialect);
        let hints = fixture.hints_for(to);
        let to = dialect(to);
        let request = match from.read_request(&fixture.bytes) {
            Ok(request) => request,
            Err(error) => return Some(format!("unreadable: {error}\n")),
        };
        let mut loss = Loss::default();
        Some(match to.write_request(&request, &hints, &mut loss) {
            Ok(written) => {
                let restore = if written.restore.is_empty() {
                    String::new()
                } else {
                    format!("{:#?}\n", written.restore)
                };
                format!("{}{restore}{}", pretty(&written.body), lines(&loss))
            }
            Err(error) => format!("refused: {error}\n"),
        })
    });
}

#[test]
fn answers_are_written_as_their_snapshots_say() {
    each("response", |fixture, to| {
        let from = dialect(fixture.dialect);
        let to = dialect(to);
        let response = match from.read_response(&fixture.bytes, Reading::default()) {
            Ok(response) => response,
            Err(error) => return Some(format!("unreadable: {error}\n")),
        };
        let mut loss = Loss::default();
        let body = to.write_response(&response, &mut loss);
        Some(format!("{}{}", pretty(&body), lines(&loss)))
    });
}

#[test]
fn usage_read_alone_is_the_usage_of_the_whole_answer() {
    let mut answers = 0;
    for from in DialectId::ALL.iter().copied() {
        for fixture in fixtures(from, "response") {
            let (dialect, reading) = (dialect(from), Reading::default());
            let Ok(whole) = dialect.read_response(&fixture.bytes, reading) else { continue };
            answers += 1;
            let alone = dialect.read_usage(&fixture.bytes, reading);
            assert_eq!(alone, Ok((whole.usage, whole.service_tier)), "{}", fixture.case);
        }
    }
    assert!(answers > 0);
    for no_answer in ["", "[]", "{}", r#"{"choices":[],"usage":{"prompt_tokens":1}}"#, r#"{"choices":[{"#] {
        let read = |bytes: &[u8]| {
            dialect(DialectId::Openai).read_response(bytes, Reading::default()).map(|whole| whole.usage)
        };
        let alone = dialect(DialectId::Openai).read_usage(no_answer.as_bytes(), Reading::default());
        assert_eq!(alone.map(|(usage, _)| usage), read(no_answer.as_bytes()), "{no_answer}");
    }
}

#[test]
fn streams_are_written_as_their_snapshots_say() {
    each("stream", |fixture, to| {
        let from = dialect(fixture.dialect);
        let to = dialect(to);
        let (events, error) = decode(from, Reading::default(), [fixture.bytes.as_slice()]);
        let (bytes, loss) = encode_bytes(&mut *to.encoder(options()), &events);
        let text = readable(to.conventions().framing, &bytes);
        let error = error.map(|error| format!("broken: {error}\n")).unwrap_or_default();
        Some(format!("{text}{error}{}", lines(&loss)))
    });
}

#[test]
fn errors_are_written_as_their_snapshots_say() {
    each("error", |fixture, to| {
        let from = dialect(fixture.dialect);
        let to = dialect(to);
        let whole: serde_json::Value = serde_json::from_slice(&fixture.bytes).unwrap();
        let status = u16::try_from(whole["status"].as_u64().unwrap()).unwrap();
        let body = match &whole["body"] {
            serde_json::Value::String(text) => text.clone(),
            json => json.to_string(),
        };
        let error = from.read_error(status, body.as_bytes());
        Some(format!("{error:#?}\n{}", pretty(&to.write_error(&public(&error)))))
    });
}

/// What the gateway tells a caller of an upstream's error, in short.
fn public(error: &UpstreamError) -> PublicError {
    PublicError {
        status: error.status,
        kind: error.kind,
        code: error.code.clone().unwrap_or_default().into(),
        message: error.message.clone(),
        param: error.param.clone(),
        request_id: Some("req_1".to_owned()),
    }
}

fn each(kind: &str, write: impl Fn(&Fixture, DialectId) -> Option<String>) {
    for from in DialectId::ALL.iter().copied() {
        for fixture in fixtures(from, kind) {
            for to in DialectId::ALL.iter().copied() {
                let Some(written) = write(&fixture, to) else { continue };
                let mut settings = insta::Settings::clone_current();
                settings.set_snapshot_path(fixture.folder());
                settings.set_prepend_module_to_snapshot(false);
                settings.set_omit_expression(true);
                settings.bind(|| {
                    insta::assert_snapshot!(format!("{}.{}", fixture.case, to.name()), written);
                });
            }
        }
    }
}
