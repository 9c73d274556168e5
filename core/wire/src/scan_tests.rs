use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use super::*;

fn theirs(json: &str) -> Option<Vec<(String, String)>> {
    struct Pairs(Vec<(String, String)>);
    impl<'de> Deserialize<'de> for Pairs {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Collect;
            impl<'de> Visitor<'de> for Collect {
                type Value = Pairs;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                    let mut pairs = Vec::new();
                    while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
                        pairs.push((key, value.get().to_owned()));
                    }
                    Ok(Pairs(pairs))
                }
            }
            deserializer.deserialize_map(Collect)
        }
    }
    serde_json::from_str::<Pairs>(json).ok().map(|pairs| pairs.0)
}

fn ours(json: &str) -> Option<Vec<(String, String)>> {
    let items = object(json, |_, _| {})?;
    Some(items.into_iter().map(|(key, value)| (key.into_owned(), value.get().to_owned())).collect())
}

#[test]
fn odd_texts_are_judged_as_serde_json_judges_them() {
    let values = [
        "0",
        "-0",
        "01",
        "-",
        "1.",
        "1.5",
        "1.5e",
        "1e5",
        "1E+5",
        "1e-",
        ".5",
        "+1",
        "1e999",
        "-1.0e-7x",
        "00",
        "0.0",
        "--1",
        "true",
        "tru",
        "truex",
        "false",
        "null",
        "nul",
        "nan",
        "[]",
        "[ ]",
        "[,]",
        "[1,]",
        "[1 ,2]",
        "[1 2]",
        "[1]]",
        "{}",
        "{ }",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\" : 1 , \"b\":[{}]}",
        "{a:1}",
        "{\"a\":1]",
        "[1}",
        "\"\"",
        "\"a",
        "\"\\\"",
        "\"\\\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\u00e9\"",
        "\"\\ud800\"",
        "\"\\ud800\\udc00\"",
        "\"a\nb\"",
        "\"\t\"",
        "\"\u{7f}\"",
        "\"\u{e9}\u{1f600}\"",
        "\"seven77\"",
        "\"eight888\"",
        "\"nine99999\"",
        "'a'",
        "",
        " ",
        "/*c*/1",
        "\u{feff}1",
        "\u{a0}1",
        "[[[[]]]]",
        "\"sixteen bytes of text and thirty-two more, and then a quote: \\\" and a \\u0041\"",
        "\"thirty-two bytes of text without any, and then a control character: \u{1} here\"",
    ];
    for value in values {
        for json in [
            format!("{{\"a\":{value}}}"),
            format!(" {{ \"a\" :\n{value}\t,\r\"b\":{value} }} "),
            format!("{{\"a\":[{value},{{\"b\":{value}}}]}}"),
            format!("{{\"a\":1}}{value}"),
            value.to_owned(),
            format!("{{{value}:1}}"),
        ] {
            assert_eq!(ours(&json), theirs(&json), "{json:?}");
            let expected = serde_json::from_str::<Vec<&RawValue>>(&json).ok();
            let expected = expected.map(|items| items.iter().map(|item| item.get()).collect::<Vec<_>>());
            let listed = list(&json).map(|items| items.iter().map(|item| item.get()).collect::<Vec<_>>());
            assert_eq!(listed, expected, "{json:?}");
        }
    }
}

#[test]
fn what_nests_deeper_than_can_be_followed_is_left_to_others() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(ours(&nested(MOST_DEPTH - 1)).is_some());
    assert!(ours(&nested(MOST_DEPTH)).is_none());
    assert!(ours(&nested(1_000_000)).is_none());
}

#[test]
fn every_key_is_seen_with_its_value() {
    let json = r#"{"a":{"b":[{"c":1},{"\u0064":"x"}]},"e":2}"#;
    let mut seen = Vec::new();
    let word = |key| match key {
        Key::Plain(key) => key.to_owned(),
        Key::Escaped(quoted) => format!("escaped {quoted}"),
    };
    object(json, |key, rest| seen.push((word(key), rest.chars().next().unwrap()))).unwrap();
    let seen: Vec<(&str, char)> = seen.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    assert_eq!(seen, [("a", '{'), ("b", '['), ("c", '1'), (r#"escaped "\u0064""#, '"'), ("e", '2')]);
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "(\\PC|[\"\\\\\\n\\x01]){0,80}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec(("(\\PC|[\"\\\\\\n]){0,20}", inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// As it is, with bytes changed or taken out, and with space.
    #[test]
    fn any_text_is_judged_as_serde_json_judges_it(
        value in value(),
        pretty in any::<bool>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"{}[]\",:\\u0 1e.-tn\x01\x7f".to_vec()), any::<bool>()), 0..4),
    ) {
        let whole = Value::from_iter([("k", value)]);
        let text = if pretty { serde_json::to_string_pretty(&whole) } else { serde_json::to_string(&whole) }.unwrap();
        let mut bytes = text.into_bytes();
        for (place, byte, removes) in changes {
            let place = place.index(bytes.len().max(1));
            if removes {
                bytes.truncate(place.max(1));
            } else if let Some(there) = bytes.get_mut(place) {
                *there = byte;
            }
        }
        if let Ok(json) = std::str::from_utf8(&bytes) {
            prop_assert_eq!(ours(json), theirs(json));
        }
    }

    #[test]
    fn a_special_byte_that_is_near_is_found(bytes in proptest::collection::vec(odd_byte(), 0..40), from in 0..40_usize) {
        let expected = bytes.iter().enumerate().skip(from).find(|(_, byte)| is_special(**byte)).map(|(place, _)| place);
        match first_special(&bytes, from) {
            Some(Ok(place)) => prop_assert_eq!(Some(place), expected),
            Some(Err(place)) => prop_assert!(expected.is_none_or(|first| first >= place)),
            None => prop_assert!(from > bytes.len()),
        }
    }

    #[test]
    fn every_special_byte_of_a_block_has_its_bit(bytes in proptest::collection::vec(odd_byte(), BLOCK..=BLOCK)) {
        let block = bytes.first_chunk().unwrap();
        for (place, byte) in block.iter().enumerate() {
            prop_assert_eq!(special(block) >> place & 1 == 1, is_special(*byte));
        }
    }

    /// Strings whose ends, escapes and faults stand at every place of blocks.
    #[test]
    fn long_strings_are_judged_as_serde_json_judges_them(pieces in proptest::collection::vec(piece(), 0..60), clean in any::<bool>()) {
        let mut json = format!("{{\"k\":\"{}\",\"l\":1}}", pieces.concat());
        if !clean {
            json.push('\n');
        }
        prop_assert_eq!(ours(&json), theirs(&json));
    }
}

fn odd_byte() -> impl Strategy<Value = u8> {
    prop_oneof![20 => 0x20_u8..=255, 1 => any::<u8>(), 1 => prop::sample::select(b"\"\\\n".to_vec())]
}

fn piece() -> impl Strategy<Value = String> {
    let escape =
        prop::sample::select(vec!["\\\"", "\\\\", "\\n", "\\u00e9", "\\u12", "\\x", "\"", "\n", "é", "\\/"]);
    prop_oneof![10 => "[a-z ]{0,30}", 4 => Just("\\\\".to_owned()), 3 => Just("\\n".to_owned()), 1 => escape.prop_map(str::to_owned)]
}
