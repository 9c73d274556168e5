use proptest::prelude::*;

use super::*;
use crate::guard::scan::{Scanner, Span};

fn found(pattern: &str, pieces: &[&str]) -> Vec<Span> {
    let pattern = Pattern::read(pattern, Pattern::LONGEST).unwrap();
    let mut machine = pattern.machine();
    let mut out = Vec::new();
    for piece in pieces {
        machine.push(piece, &mut out);
        // What is certain stays so: nothing later begins before it.
        let settled = machine.settled();
        assert!(out.iter().all(|span| span.start <= settled.max(span.start)));
    }
    machine.finish(&mut out);
    out
}

fn texts<'t>(pattern: &str, text: &'t str) -> Vec<&'t str> {
    found(pattern, &[text]).iter().map(|span| &text[span.start..span.end]).collect()
}

#[test]
fn patterns_find_what_they_say() {
    assert_eq!(texts(r"EMP-\d{5}", "see EMP-12345 and EMP-999999, not EMP-12"), ["EMP-12345", "EMP-99999"]);
    assert_eq!(texts(r"(?i)projekt\s+(adler|falke)", "Das PROJEKT  Adler"), ["PROJEKT  Adler"]);
    assert_eq!(texts(r"[äöü]+", "Grüße, schön"), ["ü", "ö"]);
    assert_eq!(texts(r"\bcat\b", "cat concat cat."), ["cat", "cat"]);
    assert_eq!(texts("a+", "baaac"), ["aaa"]);
}

#[test]
fn what_is_no_pattern_or_a_huge_one_is_refused() {
    for bad in ["(", "[a", "a{2,1}", "", r"(a)\1", "(?=a)b", "a*"] {
        assert!(Pattern::read(bad, Pattern::LONGEST).is_err(), "{bad}");
    }
    let huge = "(a{1,200}){1,200}".repeat(20);
    assert!(Pattern::read(&huge, Pattern::LONGEST).is_err());
}

proptest! {
    #[test]
    fn any_cut_of_a_text_finds_the_same(
        text in "[ab1-3 é@.]{0,60}",
        cut in 0_usize..60,
        other in 0_usize..60,
        which in 0_usize..5,
    ) {
        let pattern = [r"a+b", r"\b[ab]+@[ab]+\.a", r"\d{2,4}", r"(a|ab)(1|b1)", r"é.?é"][which];
        let edge = |at: usize| (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap();
        let (one, two) = (edge(cut.min(other)), edge(cut.max(other)));
        let pieces = [&text[..one], &text[one..two], &text[two..]];
        prop_assert_eq!(found(pattern, &pieces), found(pattern, &[&text]));
    }
}
