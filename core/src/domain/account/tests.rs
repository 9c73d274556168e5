use super::*;
use crate::domain::key::KeyState;
use crate::domain::{HoldId, Key, KeyToken, Rate, ShardId};

pub(super) fn document(version: u64, limits: Limits) -> Document {
    let token = KeyToken { shard: ShardId::main(), id: "7f3k2m9q4t1x".to_owned(), hash: "0".repeat(64) };
    let key = Key { limits, ..Key::new(token, Timestamp::from_seconds(1_700_000_000)) };
    Document::of_key(version, key)
}

pub(super) fn held(grant: &Grant) -> bool {
    matches!(grant, Grant::Held { .. })
}

const NOW: i64 = 1_763_561_520;

fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(NOW + second)
}

fn usd(text: &str) -> Money {
    text.parse().unwrap()
}

fn limits(json: serde_json::Value) -> Limits {
    serde_json::from_value(json).unwrap()
}

fn id() -> AccountId {
    AccountId::key("7f3k2m9q4t1x")
}

fn account(limits: Limits) -> Account {
    let mut account = Account::default();
    let write = Op::Write { document: Box::new(document(1, limits)), expect: None };
    assert_eq!(account.apply(&id(), &write, at(0)), Grant::Written);
    account
}

/// A request of 10 tokens of input and 10 of output that costs `cost` at most.
fn reserve(hold: &str, cost: &str, second: i64) -> Reserve {
    Reserve {
        hold: HoldId::new(hold),
        versions: vec![1],
        carried: Vec::new(),
        input_tokens: 10,
        input_cost: usd(cost),
        output: OutputBound { tokens: 10, rate: Rate::ZERO, elastic: false },
        expires: at(second + 600),
    }
}

fn settle(hold: &str, cost: &str) -> Op {
    Op::Settle(Settle { hold: HoldId::new(hold), tokens: 15, output_tokens: 0, cost: usd(cost) })
}

trait Apply {
    fn at(&mut self, second: i64, op: Op) -> Grant;

    fn reserve(&mut self, second: i64, hold: &str, cost: &str) -> Grant {
        self.at(second, Op::Reserve(reserve(hold, cost, second)))
    }
}

impl Apply for Account {
    fn at(&mut self, second: i64, op: Op) -> Grant {
        self.apply(&id(), &op, at(second))
    }
}

fn stale(document: Option<Box<Document>>) -> Grant {
    Grant::Stale(vec![Stood { account: id(), document }])
}

/// The version that stands where another was read.
fn stood(grant: &Grant) -> Option<u64> {
    let Grant::Stale(stood) = grant else { panic!("{grant:?}") };
    stood.iter().find_map(|stood| Some(stood.document.as_ref()?.version))
}

fn denial(grant: Grant) -> Denial {
    match grant {
        Grant::Denied(denial) => denial,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_budget_says_what_was_expected() {
    for (text, shown) in [
        ("5 USD / day", "5 USD / day"),
        ("5USD/day", "5 USD / day"),
        ("  0.010 USD  /  week in UTC ", "0.01 USD / week"),
        ("1 USD / month in +02:00", "1 USD / month in +02:00"),
        ("1 USD / year in -09:30", "1 USD / year in -09:30"),
        ("1 USD / hour", "1 USD / hour"),
        ("5 USD / day Europe/Berlin", "5 USD / day in Europe/Berlin"),
        ("5 USD / month in Asia/Kolkata", "5 USD / month in Asia/Kolkata"),
        ("1 USD / rolling 30m", "1 USD / rolling 30m"),
        ("1 USD / rolling 90m", "1 USD / rolling 90m"),
        ("1 USD / rolling 6h", "1 USD / rolling 6h"),
        ("1 USD / rolling 24h", "1 USD / rolling 1d"),
        ("1 USD / rolling 7d", "1 USD / rolling 7d"),
        ("20 USD / total", "20 USD / total"),
        ("0 USD / day", "0 USD / day"),
    ] {
        assert_eq!(text.parse::<Budget>().unwrap().to_string(), shown, "{text}");
    }
    let errors: Vec<String> = [
        "",
        "5",
        "5 USD",
        "5 / day",
        "5 EUR / day",
        "-5 USD / day",
        "1e3 USD / day",
        "0.0000000001 USD / day",
        "5 USD / fortnight",
        "5 USD / Day",
        "5 USD / day in",
        "5 USD / day in Europe",
        "5 USD / day in +2",
        "5 USD / day in +15:00",
        "5 USD / day in +02:60",
        "5 USD / day ever",
        "5 USD / day in UTC ever",
        "5 USD / total in UTC",
        "5 USD / rolling",
        "5 USD / rolling 0h",
        "5 USD / rolling 90s",
        "5 USD / rolling 400d",
        "5 USD / rolling +6h",
        "5 USD / rolling 6h in UTC",
    ]
    .into_iter()
    .map(|text| text.parse::<Budget>().unwrap_err().to_string())
    .collect();
    insta::assert_snapshot!(errors.join("\n"));
}

#[test]
fn limits_take_one_budget_or_a_list_of_at_most_eight() {
    let one = limits(serde_json::json!({"rpm": 60, "budget": "5 USD / day"}));
    assert_eq!(one, limits(serde_json::json!({"rpm": 60, "budget": ["5 USD / day"]})));
    assert_eq!(serde_json::to_string(&one).unwrap(), r#"{"rpm":60,"budget":["5 USD / day"]}"#);
    assert_eq!(serde_json::to_string(&Limits::default()).unwrap(), "{}");
    let refused = |json: serde_json::Value| serde_json::from_value::<Limits>(json).unwrap_err().to_string();
    let nine = refused(serde_json::json!({"budget": vec!["1 USD / day"; 9]}));
    assert!(nine.contains("at most 8"), "{nine}");
    let number = refused(serde_json::json!({"budget": 5}));
    assert!(number.contains("a budget such as \"5 USD / day\""), "{number}");
    assert!(refused(serde_json::json!({"rps": 5})).contains("unknown field"));
}

#[test]
fn periods_end_where_the_calendar_says() {
    let end = |budget: &str, moment: &str| {
        let budget: Budget = format!("1 USD / {budget}").parse().unwrap();
        let Period::Calendar { unit, place } = budget.period else { panic!("{budget:?}") };
        let end = unit.ends(place, Timestamp::parse(moment).unwrap().seconds());
        Timestamp::from_seconds(end).to_string()
    };
    assert_eq!(end("hour", "2026-11-22T17:59:59Z"), "2026-11-22T18:00:00Z");
    assert_eq!(end("day", "2026-11-22T00:00:00Z"), "2026-11-23T00:00:00Z");
    assert_eq!(end("day in +02:00", "2026-11-22T21:59:59Z"), "2026-11-22T22:00:00Z");
    assert_eq!(end("day Europe/Berlin", "2026-11-22T22:59:59Z"), "2026-11-22T23:00:00Z");
    // Clocks are set at 2 and at 3: a day of 23 hours, and one of 25.
    assert_eq!(end("day in Europe/Berlin", "2027-03-27T23:00:00Z"), "2027-03-28T22:00:00Z");
    assert_eq!(end("day in Europe/Berlin", "2026-10-24T22:00:00Z"), "2026-10-25T23:00:00Z");
    assert_eq!(end("month in Europe/Berlin", "2027-03-01T00:00:00Z"), "2027-03-31T22:00:00Z");
    // There is no midnight on that day: it begins at one.
    assert_eq!(end("day in America/Santiago", "2027-09-05T03:00:00Z"), "2027-09-05T04:00:00Z");
    // Midnight comes twice: it begins with the first.
    assert_eq!(end("day in Atlantic/Azores", "2026-10-24T22:00:00Z"), "2026-10-25T00:00:00Z");
    assert_eq!(end("day in Atlantic/Azores", "2026-10-25T00:30:00Z"), "2026-10-26T01:00:00Z");
    assert_eq!(end("day in +02:00", "2026-11-22T22:00:00Z"), "2026-11-23T22:00:00Z");
    assert_eq!(end("hour in +05:30", "2026-11-22T17:00:00Z"), "2026-11-22T17:30:00Z");
    // 2026-11-22 is a Sunday.
    assert_eq!(end("week", "2026-11-22T23:59:59Z"), "2026-11-23T00:00:00Z");
    assert_eq!(end("week", "2026-11-23T00:00:00Z"), "2026-11-30T00:00:00Z");
    assert_eq!(end("month", "2028-02-29T12:00:00Z"), "2028-03-01T00:00:00Z");
    assert_eq!(end("month in -05:00", "2026-12-01T04:59:59Z"), "2026-12-01T05:00:00Z");
    assert_eq!(end("year", "2026-12-31T23:59:59Z"), "2027-01-01T00:00:00Z");
    assert_eq!(end("day", "1969-12-31T23:59:59Z"), "1970-01-01T00:00:00Z");
}

#[test]
fn a_minute_later_one_more_passes() {
    let mut account = account(limits(serde_json::json!({"rpm": 2})));
    assert!(held(&account.reserve(0, "a", "0")));
    assert!(held(&account.reserve(30, "b", "0")));
    let denial = denial(account.reserve(31, "c", "0"));
    assert_eq!((denial.cause, denial.limit.as_str()), (DenialCause::Requests, "2 requests a minute"));
    assert_eq!(denial.retry_at, Some(at(61)));
    assert!(!held(&account.reserve(60, "c", "0")));
    assert!(held(&account.reserve(61, "c", "0")));
}

#[test]
fn tokens_are_corrected_where_they_were_admitted() {
    let mut account = account(limits(serde_json::json!({"tpm": 50})));
    assert!(held(&account.reserve(0, "a", "0")));
    assert!(held(&account.reserve(1, "b", "0")));
    let refused = denial(account.reserve(2, "c", "0"));
    assert_eq!((refused.cause, refused.retry_at), (DenialCause::Tokens, Some(at(61))));
    // Of the 20 that were held 15 were used.
    assert_eq!(account.at(3, settle("a", "0")), Grant::Settled);
    assert_eq!(account.at(3, settle("b", "0")), Grant::Settled);
    let Grant::Held { headroom, .. } = account.reserve(4, "c", "0") else { panic!() };
    assert_eq!(headroom.tokens, Some(Meter { limit: 50, remaining: 0, resets_at: at(65) }));
    let alone = Reserve { input_tokens: 41, ..reserve("d", "0", 5) };
    assert_eq!(denial(account.at(5, Op::Reserve(alone))).cause, DenialCause::TooManyTokens);
}

#[test]
fn a_budget_tells_spent_from_held() {
    let mut account = account(limits(serde_json::json!({"budget": ["1 USD / day", "100 USD / month"]})));
    assert!(held(&account.reserve(0, "a", "0.7")));
    let refused = denial(account.reserve(1, "b", "0.5"));
    assert_eq!((refused.cause, refused.retry_at), (DenialCause::BudgetHeld, None));
    assert_eq!(refused.limit, "1 USD / day");
    assert_eq!(account.at(2, settle("a", "0.6")), Grant::Settled);
    let refused = denial(account.reserve(3, "b", "0.5"));
    let midnight = Timestamp::parse("2025-11-20T00:00:00Z").unwrap();
    assert_eq!((refused.cause, refused.retry_at), (DenialCause::BudgetSpent, Some(midnight)));
    assert_eq!(refused.renews_at, Some(midnight));
    assert!(held(&account.reserve(4, "b", "0.4")));
    let refused = denial(account.reserve(5, "c", "2"));
    assert_eq!((refused.cause, refused.retry_at), (DenialCause::TooExpensive, None));
    assert_eq!(account.at(6, settle("b", "0.4")), Grant::Settled);
    assert!(held(&account.reserve(midnight.seconds() - NOW, "c", "1")));
    let statement = account.statement(midnight);
    assert_eq!(
        serde_json::to_value(&statement.budget).unwrap(),
        serde_json::json!([
            {"budget": "1 USD / day", "limit": "1", "spent": "0", "held": "1", "remaining": "0",
             "renews_at": "2025-11-21T00:00:00Z"},
            {"budget": "100 USD / month", "limit": "100", "spent": "1", "held": "1", "remaining": "98",
             "renews_at": "2025-12-01T00:00:00Z"},
        ])
    );
}

#[test]
fn output_without_a_cap_gets_what_the_limits_afford() {
    let elastic = |hold: &str, tokens| Reserve {
        input_cost: usd("0.000001"),
        // 3.0001 nano-dollars a token: every cost is rounded up.
        output: OutputBound { tokens, rate: Rate::from_picos(3_000_100), elastic: true },
        ..reserve(hold, "0", 0)
    };
    let mut poor = account(limits(serde_json::json!({"budget": "0.001 USD / day"})));
    let grant = poor.at(0, Op::Reserve(elastic("a", 10_000)));
    let Grant::Held { output_tokens, .. } = grant else { panic!("{grant:?}") };
    // 332 tokens cost 996,033.2 nano-dollars; 333 would cost more than the 999,000 that are left.
    assert_eq!(output_tokens, 332);
    assert_eq!(denial(poor.at(0, Op::Reserve(elastic("b", 10_000)))).cause, DenialCause::BudgetHeld);
    let mut slow = account(limits(serde_json::json!({"tpm": 40, "budget": "1 USD / total"})));
    assert!(matches!(slow.at(0, Op::Reserve(elastic("a", 10_000))), Grant::Held { output_tokens: 30, .. }));
    let mut rich = account(Limits::default());
    assert!(matches!(
        rich.at(0, Op::Reserve(elastic("a", 10_000))),
        Grant::Held { output_tokens: 10_000, .. }
    ));
}

#[test]
fn soft_budgets_say_so_and_let_pass() {
    let mut account = account(limits(serde_json::json!({"soft_budget": ["1 USD / day", "2 USD / day"]})));
    let Grant::Held { soft_passed, .. } = account.reserve(0, "a", "1") else { panic!() };
    assert_eq!(soft_passed, Vec::<String>::new());
    let Grant::Held { soft_passed, .. } = account.reserve(0, "b", "0.5") else { panic!() };
    assert_eq!(soft_passed, ["1 USD / day"]);
}

#[test]
fn zero_lets_nothing_pass() {
    for json in [
        serde_json::json!({"rpm": 0}),
        serde_json::json!({"tpm": 0}),
        serde_json::json!({"parallel": 0}),
        serde_json::json!({"budget": "0 USD / day"}),
    ] {
        let denial = denial(account(limits(json.clone())).reserve(0, "a", "0.1"));
        assert_eq!(denial.retry_at, None, "{json}");
    }
}

#[test]
fn only_the_document_that_stands_opens_the_account() {
    let mut account = Account::default();
    assert_eq!(account.reserve(0, "a", "0"), stale(None));
    let write = |version, expect, change: fn(&mut Key)| {
        let mut document = document(version, Limits::default());
        if let Holder::Key(key) = &mut document.holder {
            change(key);
        }
        Op::Write { document: Box::new(document), expect }
    };
    let first = write(1, None, |_| {});
    assert_eq!(account.at(0, first.clone()), Grant::Written);
    assert_eq!(account.at(0, first.clone()), Grant::Written, "the same again");
    assert!(matches!(account.at(0, write(1, None, |key| key.id.clear())), Grant::Conflict(Some(_))));
    assert!(matches!(account.at(0, write(3, Some(1), |_| {})), Grant::Conflict(Some(_))), "a gap");
    assert!(held(&account.reserve(0, "a", "0")));
    assert_eq!(account.at(0, write(2, Some(1), |key| key.state = KeyState::Blocked)), Grant::Written);
    assert!(matches!(account.at(0, first), Grant::Conflict(Some(_))));
    assert_eq!(stood(&account.reserve(0, "b", "0")), Some(2));
    let current =
        |hold: &str, version| Op::Reserve(Reserve { versions: vec![version], ..reserve(hold, "0", 0) });
    assert_eq!(stood(&account.at(0, current("b", 2))), Some(2), "blocked");
    assert_eq!(account.at(0, write(3, Some(2), |key| key.expires = Some(at(10)))), Grant::Written);
    assert!(held(&account.at(9, current("b", 3))));
    assert_eq!(stood(&account.at(10, current("c", 3))), Some(3), "expired");
    assert_eq!(account.at(11, write(4, Some(3), |key| key.state = KeyState::Revoked)), Grant::Written);
    assert_eq!(stood(&account.at(11, current("c", 4))), Some(4), "revoked");
    assert_eq!(account.at(12, settle("a", "0.1")), Grant::Settled, "what is open ends properly");
}

#[test]
fn a_dead_hold_gives_its_room_back_and_a_late_settlement_still_counts() {
    let mut account = account(limits(serde_json::json!({"budget": "1 USD / total", "parallel": 1})));
    assert!(held(&account.reserve(0, "a", "1")));
    assert_eq!(denial(account.reserve(599, "b", "1")).retry_at, None);
    assert_eq!(account.clone().at(600, Op::Sweep), Grant::Swept { holds: 1 });
    assert!(held(&account.reserve(600, "b", "0.4")), "nobody needs to sweep first");
    assert_eq!(account.reserve(600, "a", "1"), Grant::NoHold, "it does not come back");
    assert_eq!(account.at(700, settle("a", "0.9")), Grant::Settled);
    assert_eq!(account.at(700, settle("a", "0.9")), Grant::Settled);
    assert_eq!(account.at(700, settle("b", "0.4")), Grant::Settled);
    assert_eq!(account.statement(at(700)).spent, usd("1.3"));
    assert_eq!(denial(account.reserve(701, "c", "0.1")).cause, DenialCause::BudgetSpent);
    assert_eq!(account.at(701, settle("nobody", "5")), Grant::NoHold);
    assert_eq!(account.at(2 * 86_400, settle("a", "0.9")), Grant::NoHold, "forgotten, not charged again");
    assert_eq!(account.statement(at(2 * 86_400)).spent, usd("1.3"));
}

#[test]
fn a_budget_that_comes_back_has_not_forgotten() {
    let mut account = account(limits(serde_json::json!({"budget": "1 USD / day"})));
    assert!(held(&account.reserve(0, "a", "1")));
    assert_eq!(account.at(0, settle("a", "1")), Grant::Settled);
    let write = |version, json| Op::Write {
        document: Box::new(document(version, limits(json))),
        expect: Some(version - 1),
    };
    assert_eq!(account.at(1, write(2, serde_json::json!({"budget": "9 USD / month"}))), Grant::Written);
    let json = serde_json::json!({"budget": ["1.5 USD / day", "1.5 USD / total"]});
    assert_eq!(account.at(2, write(3, json)), Grant::Written);
    let lines = account.statement(at(2)).budget;
    assert_eq!(lines.iter().map(|line| line.spent).collect::<Vec<_>>(), [usd("1"), usd("1")]);
}

#[test]
fn the_state_is_small_and_bounded() {
    let all = serde_json::json!({
        "rpm": 1_000_000, "tpm": 1_000_000_000, "parallel": 1_000_000,
        "budget": ["900 USD / day", "9000 USD / month", "900 USD / rolling 30m"], "soft_budget": ["100 USD / day"],
    });
    let mut account = account(limits(all));
    let document = serde_json::to_string(account.document().unwrap()).unwrap().len();
    for n in 0..60 {
        assert!(held(&account.reserve(n, &format!("req_{n}"), "0.0123")));
        if n > 3 {
            assert_eq!(account.at(n, settle(&format!("req_{}", n - 3), "0.0113")), Grant::Settled);
        }
    }
    let typical = account.to_bytes().unwrap().len() - document;
    println!("60 requests in a minute: {typical} bytes, and {document} for the document");
    assert!(typical < 1_200, "{typical}");
    for n in 0..60_000_i64 {
        let _ = account.reserve(60 + n / 500, &format!("req_1{n}"), "0.0123");
        if n % 7 == 0 {
            let _ = account.at(60 + n / 500, settle(&format!("req_1{}", n / 2), "0.0113"));
        }
    }
    let full = denial(account.reserve(180, "one more", "0"));
    assert_eq!((full.cause, full.limit.as_str()), (DenialCause::Parallel, "10000"));
    let largest = account.to_bytes().unwrap().len() - document;
    println!("{} open holds: {largest} bytes", account.statement(at(180)).open);
    assert!(largest < 300_000, "{largest}");
    assert!(matches!(account.at(4_000, Op::Sweep), Grant::Swept { holds: 10_000 }));
    let swept = account.to_bytes().unwrap().len() - document;
    println!("all of them dead: {swept} bytes");
    assert!(swept < 6_000, "{swept}");
}

#[test]
fn an_account_without_a_document_is_bounded_too() {
    let mut alone = Account::default();
    assert_eq!(alone.reserve(0, "a", "0"), stale(None));
    for n in 0..=Account::MOST_HOLDS {
        let mut two = [(id(), account(Limits::default())), (id(), std::mem::take(&mut alone))];
        let grant = transact(&mut two, &Op::Reserve(reserve(&format!("req_{n}"), "0", 0)), at(0));
        assert_eq!(held(&grant), n < Account::MOST_HOLDS);
        alone = std::mem::take(&mut two[1].1);
    }
}

#[test]
fn time_never_runs_backwards() {
    let mut account = account(limits(serde_json::json!({"rpm": 1, "budget": "1 USD / day"})));
    assert!(held(&account.reserve(35_281, "a", "1")));
    assert_eq!(account.at(35_281, settle("a", "1")), Grant::Settled);
    let denial = denial(account.reserve(35_270, "b", "1"));
    assert_eq!(
        denial.retry_at,
        Some(Timestamp::parse("2025-11-21T00:00:00Z").unwrap()),
        "not the midnight before"
    );
}

#[test]
fn bytes_of_another_format_are_refused() {
    let mut bytes = account(Limits::default()).to_bytes().unwrap();
    assert!(Account::from_bytes(&bytes[..bytes.len() - 1]).is_err());
    bytes[0] = 200;
    let error = Account::from_bytes(&bytes).unwrap_err();
    assert_eq!(error.to_string(), "not an account: its format is 200, not 2");
    assert_eq!(crate::port::Fault::from(error).kind, crate::port::FaultKind::Corrupt);
    assert_eq!(Account::from_bytes(&[]).unwrap_err().to_string(), "not an account: it is empty");
}

#[test]
fn two_hundred_callers_use_a_budget_up_and_never_more() {
    // Each call costs 0.00003 USD at most and in truth: 333 fit into 0.01 USD.
    let mut account = account(limits(serde_json::json!({"budget": "0.01 USD / day"})));
    let mut open: Vec<String> = Vec::new();
    let (mut spent, mut turn) = (Money::ZERO, 0_usize);
    for n in 0..2_000 {
        let hold = format!("req_{n}");
        if held(&account.reserve(n / 10, &hold, "0.00003")) {
            open.push(hold);
        }
        if open.len() == 200 || (open.len() > 5 && n % 3 == 0) {
            turn = (turn * 31 + 7) % open.len();
            let hold = open.swap_remove(turn);
            assert_eq!(account.at(n / 10, settle(&hold, "0.00003")), Grant::Settled);
            spent = spent.plus(usd("0.00003"));
        }
        let line = account.statement(at(n / 10)).budget.remove(0);
        assert_eq!(line.spent, spent);
        assert!(line.spent.plus(line.held) <= usd("0.01"));
    }
    for hold in open {
        assert_eq!(account.at(300, settle(&hold, "0.00003")), Grant::Settled);
    }
    let spent = account.statement(at(300)).spent;
    assert!(spent >= usd("0.0099"), "{spent}");
    assert!(spent <= usd("0.01"), "{spent}");
}

#[test]
fn what_was_spent_elsewhere_counts_once_and_in_every_budget() {
    let opened = |version: u64, opening: &str| {
        let limits = limits(serde_json::json!({"budget": ["2 USD / day", "5 USD / total"]}));
        let mut document = document(version, limits);
        let Holder::Key(key) = &mut document.holder else { unreachable!() };
        key.opening = usd(opening);
        Op::Write { document: Box::new(document), expect: (version > 1).then(|| version - 1) }
    };
    let mut account = Account::default();
    for _ in 0..2 {
        assert_eq!(account.at(0, opened(1, "1.5")), Grant::Written);
        let statement = account.statement(at(0));
        let spent: Vec<Money> = statement.budget.iter().map(|line| line.spent).collect();
        assert_eq!((spent, statement.spent), (vec![usd("1.5"); 2], usd("1.5")));
    }
    assert!(!held(&account.reserve(1, "a", "0.6")), "more than the day has left");
    assert!(held(&account.reserve(1, "b", "0.5")));
    assert_eq!(account.at(1, settle("b", "0.5")), Grant::Settled);
    // Whatever is said of it later: it was the beginning.
    assert_eq!(account.at(2, opened(2, "1.5")), Grant::Written);
    assert_eq!(account.at(2, opened(3, "4")), Grant::Written);
    assert_eq!(account.statement(at(2)).spent, usd("2"));
    // The next day has it no more, the total has.
    let statement = account.statement(at(86_400));
    let spent: Vec<Money> = statement.budget.iter().map(|line| line.spent).collect();
    assert_eq!(spent, [Money::ZERO, usd("2")]);
}
