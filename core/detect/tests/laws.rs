//! What holds for every text: no panic, ranges on the boundaries of characters, order, and time that grows with the length.
#![expect(clippy::disallowed_methods, reason = "a test may look at the clock")]

use gatelet_detect::{CONTEXT, Kinds, injection, language, link, open, scan};
use proptest::prelude::*;

fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>(),
        "[ -~]{0,40}",
        "[0-9 .+()/-]{0,40}",
        "[A-Z0-9]{1,40}",
        "[a-z0-9@.:/=\"'_-]{0,40}",
        "\\PC{0,20}",
        Just("-----BEGIN PRIVATE KEY-----".to_owned()),
        Just("DE89 3704 0044 0532 0130 00".to_owned()),
        Just("john.doe@example.com".to_owned()),
        Just("4111 1111 1111 1111".to_owned()),
        Just("born on 12 March 1980".to_owned()),
        Just("password: \"Tr0ub4dor&3x\"".to_owned()),
        Just("Dr. John Smith".to_owned()),
        Just("12 bis rue de la Paix, 75002 Paris".to_owned()),
        Just("45 Elm Ave. Apt 4B, Leeds, LS1 4AP".to_owned()),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn findings_are_in_order_and_on_boundaries(text in pieces()) {
        let mut end = 0;
        for finding in scan(&text, Kinds::ALL) {
            prop_assert!(finding.start >= end && finding.start < finding.end && finding.end <= text.len());
            prop_assert!(text.is_char_boundary(finding.start) && text.is_char_boundary(finding.end));
            prop_assert!((50..=100).contains(&finding.score));
            end = finding.end;
        }
        for link in link::scan(&text) {
            prop_assert!(text.get(link.start..link.end).is_some());
            prop_assert!(text.get(link.host_start..link.host_end).is_some());
        }
        let judged = injection::judge(&text, injection::Source::Outside);
        prop_assert!(text.get(judged.start..judged.end).is_some());
        language::identify(&text);
        prop_assert!(language::code(&text) <= 100 && language::gibberish(&text) <= 100);
        let from = open(&text, Kinds::ALL);
        prop_assert!(text.is_char_boundary(from));
    }
}

#[test]
fn a_value_that_comes_in_two_parts_is_open_at_the_cut() {
    for value in [
        "john.doe@example.com",
        "4111 1111 1111 1111",
        "DE89 3704 0044 0532 0130 00",
        "123-45-6789",
        "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",
        "192.168.10.20",
    ] {
        let text = format!("{} write to {value} now", "so it is and was. ".repeat(CONTEXT));
        let start = text.find(value).unwrap();
        for cut in start + 1..start + value.len() {
            assert!(open(&text[..cut], Kinds::ALL) <= start, "{value} cut at {}", cut - start);
        }
    }
}

#[test]
fn megabytes_of_anything_take_their_share_of_time() {
    // Twice the text may take three times as long, not four: what is quadratic would.
    for unit in [
        "a",
        "1",
        "1 ",
        "@",
        "a@",
        ":",
        "-----BEGIN PRIVATE KEY-----",
        "🙂",
        "é",
        "\u{202e}א",
        "eyJ",
        "http://a:",
        "A B ",
        "key=",
        "(",
        "12-",
        "AB12",
        "sk-",
    ] {
        let time = |bytes: usize| {
            let text = unit.repeat(bytes / unit.len());
            let begin = std::time::Instant::now();
            scan(&text, Kinds::ALL);
            injection::judge(&text, injection::Source::User);
            link::scan(&text);
            open(&text, Kinds::ALL);
            begin.elapsed().as_secs_f64()
        };
        // Optimised builds look at ten megabytes.
        let size = if cfg!(debug_assertions) { 1_600_000 } else { 10_000_000 };
        let (small, large) = (time(size / 16), time(size));
        assert!(large < 16.0 * 3.0 * small.max(0.02), "{unit:?}: {small} {large}");
    }
}
