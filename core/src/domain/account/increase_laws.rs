//! Laws of budgets that have more for a while.

use proptest::prelude::*;

use super::tests::{document, held};
use super::{Account, DenialCause, Grant, Increase, Limits, Op, OutputBound, Reserve, Settle};
use crate::domain::{AccountId, HoldId, Money, Rate, Timestamp};

const NOW: i64 = 1_763_561_520;

fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(NOW + second)
}

fn nanos(amount: u64) -> Money {
    Money::from_nanos(amount)
}

fn reserve(hold: &str, cost: u64) -> Op {
    Op::Reserve(Reserve {
        hold: HoldId::new(hold),
        versions: vec![1],
        carried: Vec::new(),
        input_tokens: 1,
        input_cost: nanos(cost),
        output: OutputBound { tokens: 1, rate: Rate::ZERO, elastic: false },
        expires: at(1_000_000),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// What is spent and asked for passes exactly while it is within the limit and what it is increased by, and a refusal
    /// names the first second from which it does.
    #[test]
    fn an_increase_holds_to_the_second(
        period in prop::sample::select(vec!["total", "hour", "rolling 30m", "rolling 2h"]),
        limit in 0..100_u64,
        increases in prop::collection::vec((0..60_u64, 1..5_000_i64), 0..4),
        spent in prop::collection::vec((0..60_u64, 0..2_000_i64), 0..5),
        cost in 1..80_u64,
    ) {
        let budget = |amount: u64| format!("{} USD / {period}", nanos(amount)).parse().unwrap();
        let increase: Vec<Increase> = increases
            .iter()
            .map(|(amount, until)| Increase { budget: budget(*amount), until: at(*until) })
            .collect();
        let limits = Limits { budget: vec![budget(limit)], increase, ..Limits::NONE };
        let id = AccountId::key("7f3k2m9q4t1x");
        let mut account = Account::default();
        let write = Op::Write { document: Box::new(document(1, limits)), expect: None };
        account.apply(&id, &write, at(0));
        let mut spent = spent;
        spent.sort_by_key(|(_, second)| *second);
        let hard = |second: i64| {
            let more = increases.iter().filter(|(_, until)| second < *until).map(|(amount, _)| amount);
            limit + more.sum::<u64>()
        };
        let mut now = 0;
        for (place, (amount, second)) in spent.iter().enumerate() {
            now = *second;
            let hold = format!("h{place}");
            let before = account.statement(at(now));
            prop_assert_eq!(before.budget[0].limit, nanos(hard(now)));
            let fits = before.budget[0].spent.nanos() + amount <= hard(now);
            let grant = account.apply(&id, &reserve(&hold, *amount), at(now));
            prop_assert_eq!(held(&grant), fits, "{:?}", grant);
            let settle = Settle { hold: HoldId::new(hold), tokens: 2, output_tokens: 1, cost: nanos(*amount) };
            account.apply(&id, &Op::Settle(settle), at(now));
        }
        let passes = |second: i64| held(&account.clone().apply(&id, &reserve("asked", cost), at(second)));
        match account.clone().apply(&id, &reserve("asked", cost), at(now)) {
            Grant::Held { .. } => prop_assert!(passes(now)),
            Grant::Denied(denial) if denial.cause == DenialCause::TooExpensive => {
                prop_assert!(cost > hard(now));
            }
            Grant::Denied(denial) => match denial.retry_at {
                Some(moment) => {
                    let second = moment.seconds() - NOW;
                    prop_assert!(second > now && passes(second), "{:?}", denial);
                    prop_assert!(!passes(second - 1), "{:?}", denial);
                }
                None => prop_assert!(!passes(1_000_000 - 1)),
            },
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
