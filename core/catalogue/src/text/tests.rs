use super::*;

#[track_caller]
fn same(line_: &str) -> Entry {
    let entry = entry(line_).expect("a line");
    assert_eq!(line(&entry), line_);
    entry
}

#[test]
fn a_line_says_all_that_is_known() {
    let found = same(
        "gpt-5.4 chat context=1050000 output=128000 until=2027-01-31 tools vision | input 2.5 output 15 \
         | >272000 input 5 output 22.5 | flex input 1.25 output 7.5 | flex>272000 input 2.5",
    );
    assert_eq!((found.context, found.max_output), (1_050_000, 128_000));
    assert!(found.capabilities.has(Capability::Vision) && !found.capabilities.has(Capability::Pdf));
    let price = &found.prices[0];
    assert_eq!(price.standard.rates, [(Meter::Input, 2_500_000), (Meter::Output, 15_000_000)]);
    assert_eq!(price.standard.tiers[0].0, 272_000);
    assert_eq!(price.services[0].0, "flex");
    assert_eq!(price.services[0].1.tiers, [(272_000, vec![(Meter::Input, 2_500_000)])]);
}

#[test]
fn pictures_seconds_and_searches_are_priced_one_by_one() {
    let found = same("dall-e-2 image | web_search 0.01 picture 0.02 second_output 0.00003333");
    assert_eq!(
        found.prices[0].standard.rates,
        [
            (Meter::WebSearch, 10_000_000_000),
            (Meter::Picture, 20_000_000_000),
            (Meter::SecondOutput, 33_330_000)
        ]
    );
}

#[test]
fn a_price_of_later_follows_its_day() {
    let found = same("later chat | input 1 output 2 | batch input 0.5 | from=2027-01-01 | input 2 output 4");
    assert_eq!(found.prices.len(), 2);
    assert_eq!(found.prices[1].from, Day::read("2027-01-01"));
    assert_eq!(found.prices[1].standard.rates[0], (Meter::Input, 2_000_000));
}

#[test]
fn what_is_wrong_is_said() {
    for (line, expected) in [
        ("a", "expected a mode"),
        ("a talk", "unknown mode `talk`"),
        ("a chat telepathy", "unknown capability `telepathy`"),
        ("a chat size=3", "unknown word `size`"),
        ("a chat context=many", "`many` is no number"),
        ("a chat until=2026-02-30", "`2026-02-30` is no day"),
        ("a chat |", "expected rates"),
        ("a chat | input", "input: expected US dollars"),
        ("a chat | input 1e3", "`1e3` is not a decimal number"),
        ("a chat | input 0.0000001", "is not a decimal number that is exact"),
        ("a chat | input 1 input 2", "input stands twice"),
        ("a chat | input 1 | input 2", "two sets of rates for the standard price"),
        ("a chat | input 1 | batch input 1 | batch input 2", "two sets of rates for batch"),
        ("a chat | input 1 | >x input 2", "`x` is no number of tokens"),
        ("a chat | input 1 | >5 input 2 | >5 input 3", "expected a higher mark"),
        ("a chat | from=2026-01-01 | input 2", "expected a later day"),
        ("a chat | input 1 | batch inputs 1", "unknown rate `inputs`"),
        ("a chat | batch input 1", "`batch` before the standard price"),
        ("a chat | >5 input 1 | input 1", "`>5` before the standard price"),
    ] {
        let found = entry(line).expect_err(line);
        assert!(found.contains(expected), "{line}: {found}");
    }
}

#[test]
fn a_file_is_sorted_and_names_a_model_once() {
    let problems = read("# comment\n\nb chat\na chat\nb chat\n").expect_err("not sorted");
    assert_eq!(problems.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [4, 5]);
    assert_eq!(read("# comment\na chat\nb chat\n").expect("sorted").len(), 2);
}
