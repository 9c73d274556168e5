use super::*;
use crate::DialectId;

fn peek_in(dialect: DialectId, body: &[u8]) -> Result<Peek<'_>, Malformed> {
    static HERE: Addressed = Addressed { model: None, stream: None, list: false };
    dialect.dialect().peek(&Fields::read(body)?, &HERE)
}

fn peek(body: &str) -> Result<Peek<'_>, Malformed> {
    peek_in(DialectId::Openai, body.as_bytes())
}

#[test]
fn the_outer_fields_of_a_chat_request_are_seen() {
    let body = r#"{"messages":[{"role":"user","content":"model: \"x\""}],"model":"fast","stream":true,
        "max_tokens":10,"max_completion_tokens":20,"n":3,"stream_options":{"include_usage":true}}"#;
    let expected = Peek {
        model: Cow::Borrowed("fast"),
        stream: true,
        max_output: Some(20),
        choices: 3,
        stream_usage: true,
    };
    let seen = peek(body).unwrap();
    assert_eq!(seen, expected);
    assert!(matches!(seen.model, Cow::Borrowed(_)), "a plain name is not copied");
}

#[test]
fn nulls_and_absent_fields_mean_the_defaults() {
    let expected =
        Peek { model: Cow::Borrowed("m"), stream: false, max_output: None, choices: 1, stream_usage: false };
    assert_eq!(peek(r#"{"model":"m"}"#).unwrap(), expected);
    let nulls = r#"{"model":"m","stream":null,"max_tokens":null,"n":null,"stream_options":null}"#;
    assert_eq!(peek(nulls).unwrap(), expected);
}

#[test]
fn a_messages_request_always_hears_its_usage() {
    let body = br#"{"model":"claude","max_tokens":5,"n":"not its field"}"#;
    let seen = peek_in(DialectId::Anthropic, body).unwrap();
    assert_eq!((seen.max_output, seen.choices, seen.stream_usage), (Some(5), 1, true));
}

#[test]
fn errors_of_type_name_the_path() {
    let path = |body: &str| match peek(body).unwrap_err() {
        Malformed::Field { path, .. } => path,
        other => panic!("{other:?}"),
    };
    assert_eq!(path("{}"), "model");
    assert_eq!(path(r#"{"model":5}"#), "model");
    assert_eq!(path(r#"{"model":""}"#), "model");
    assert_eq!(path(r#"{"model":"m","stream":"yes"}"#), "stream");
    assert_eq!(path(r#"{"model":"m","max_tokens":"9"}"#), "max_tokens");
    assert_eq!(path(r#"{"model":"m","max_completion_tokens":-1}"#), "max_completion_tokens");
    assert_eq!(path(r#"{"model":"m","n":0}"#), "n");
    assert_eq!(path(r#"{"model":"m","n":4294967297}"#), "n");
    assert_eq!(path(r#"{"model":"m","stream_options":[]}"#), "stream_options");
    assert_eq!(path(r#"{"model":"m","stream_options":{"include_usage":1}}"#), "stream_options.include_usage");
    assert_eq!(path(r#"["model"]"#), "body");
}

#[test]
fn a_field_that_stands_twice_is_refused_even_if_escaped() {
    let twice = |body: &str| Fields::read(body.as_bytes()).unwrap_err();
    let duplicate = Malformed::Duplicate { key: "model".to_owned() };
    assert_eq!(twice(r#"{"model":"a","x":1,"model":"b"}"#), duplicate);
    assert_eq!(twice(r#"{"model":"a","mod\u0065l":"b"}"#), duplicate);
}

#[test]
fn deep_nesting_is_refused_and_overflows_nothing() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let body = format!("{{\"x\":{}1{}}}", open.repeat(10_000), close.repeat(10_000));
        assert_eq!(Fields::read(body.as_bytes()).unwrap_err(), Malformed::TooDeep { most: 100 });
    }
    let body = format!("{{\"x\":{}}}", "[".repeat(1_000_000));
    assert_eq!(Fields::read(body.as_bytes()).unwrap_err(), Malformed::TooDeep { most: 100 });
    let most = format!("{{\"x\":{}{}}}", "[".repeat(99), "]".repeat(99));
    assert!(Fields::read(most.as_bytes()).is_ok());
    let quoted = format!(r#"{{"x":"\\\"{}"}}"#, "[".repeat(1000));
    assert!(Fields::read(quoted.as_bytes()).is_ok(), "brackets in strings do not nest");
}

#[test]
fn errors_of_syntax_say_the_byte() {
    let at = |body: &[u8]| Fields::read(body).unwrap_err();
    assert_eq!(at(b"{\"a\":\"\xFF\"}"), Malformed::Utf8 { at: 6 });
    assert!(
        matches!(at(b"{\"a\":1,\n \"b\":"), Malformed::Json { at: 13, .. }),
        "{:?}",
        at(b"{\"a\":1,\n \"b\":")
    );
    assert!(matches!(at(b""), Malformed::Json { at: 0, .. }));
    assert!(matches!(at(b"{\"a\":1}x"), Malformed::Json { at: 8, .. }), "{:?}", at(b"{\"a\":1}x"));
    assert!(matches!(at(b"nonsense"), Malformed::Json { .. }));
}

#[test]
fn splicing_changes_the_named_values_and_no_other_byte() {
    let body = "\n{ \"a\" : 12345678901234567890123 ,\t\"model\": \"x\\u00e9\", \"b\":1.10e0 }\n";
    let fields = Fields::read(body.as_bytes()).unwrap();
    assert_eq!(fields.splice(&[]), body.as_bytes());
    let spliced = String::from_utf8(fields.splice(&[("b", "2"), ("model", "\"y\"")])).unwrap();
    assert_eq!(spliced, body.replace("\"x\\u00e9\"", "\"y\"").replace("1.10e0", "2"));
    assert_eq!(Fields::read(b" { } ").unwrap().splice(&[("a", "1"), ("b", "2")]), b" {\"a\":1,\"b\":2 } ");
}

mod laws {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn reading_never_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Fields::read(&body);
        }

        #[test]
        fn a_spliced_body_has_the_new_value_and_the_old_others(
            keys in proptest::collection::btree_set("[a-z\"\\\\é]{1,4}", 1..8), at in any::<prop::sample::Index>(), value in "\\PC*",
        ) {
            let keys: Vec<String> = keys.into_iter().collect();
            let body = serde_json::to_string(&keys.iter().map(|key| (key.clone(), key.clone())).collect::<std::collections::BTreeMap<_, _>>()).unwrap();
            let chosen = at.get(&keys);
            let json = serde_json::to_string(&value).unwrap();
            let spliced = Fields::read(body.as_bytes()).unwrap().splice(&[(chosen, &json)]);
            let after = Fields::read(&spliced).unwrap();
            for key in &keys {
                let expected = if key == chosen { &value } else { key };
                prop_assert_eq!(string(after.get(key).unwrap()).unwrap(), expected.as_str());
            }
            prop_assert_eq!(after.len(), keys.len());
        }
    }
}
