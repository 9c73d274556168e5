//! A journal answers as an account would that had all operations to itself, whenever it is folded and whatever is sent
//! twice.

use gatelet_core::domain::account::{Document, OutputBound, Reserve, Settle};
use gatelet_core::domain::{HoldId, Money, Rate};
use proptest::prelude::*;

use super::*;

fn id() -> AccountId {
    AccountId::key("k")
}

fn document(version: u64, rpm: u64) -> Op {
    let document: Document = serde_json::from_value(serde_json::json!({
        "version": version,
        "holder": { "key": {
            "id": "k", "shard": "main", "hash": "h", "state": "active", "created": 0, "updated": 0,
            "limits": { "rpm": rpm, "tpm": 4000, "parallel": 4, "budget": ["0.0001 USD / day", "0.0005 USD / total"] },
        } },
    }))
    .unwrap();
    Op::Write { document: Box::new(document), expect: (version > 1).then(|| version - 1) }
}

#[derive(Clone, Debug)]
enum Action {
    /// Appends, once or twice, as the SDK may.
    Append { op: Op, at: i64, twice: bool },
    /// Folds as many of the oldest operations.
    Fold(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let hold = (0..12_u32).prop_map(|number| HoldId::new(format!("req_{number}")));
    prop_oneof![
        6 => (hold.clone(), 1..3_u64, 1..900_u64, any::<bool>()).prop_map(|(hold, version, tokens, elastic)| {
            Op::Reserve(Reserve {
                hold,
                versions: vec![version], carried: Vec::new(),
                input_tokens: tokens,
                input_cost: Money::from_nanos(tokens * 20),
                output: OutputBound { tokens, rate: Rate::from_picos(30_000), elastic },
                expires: Timestamp::from_seconds(100),
            })
        }),
        4 => (hold, 0..900_u64).prop_map(|(hold, tokens)| {
            Op::Settle(Settle { hold, tokens, output_tokens: 0, cost: Money::from_nanos(tokens * 20) })
        }),
        1 => (1..4_u64, 1..6_u64).prop_map(|(version, rpm)| document(version, rpm)),
        1 => Just(Op::Sweep),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        5 => (op(), 0..150_000_000_i64, any::<bool>())
            .prop_map(|(op, at, twice)| Action::Append { op, at, twice }),
        1 => (0..12_usize).prop_map(Action::Fold),
    ]
}

proptest! {
    #[test]
    fn a_journal_answers_as_the_account_alone_would(actions in prop::collection::vec(action(), 1..60)) {
        let mut alone = Account::default();
        alone.apply(&id(), &document(1, 5), Timestamp::EPOCH);
        let mut journal = Journal::default();
        journal.log.push(Step { id: "first".to_owned(), at: Timestamp::EPOCH, op: document(1, 5) });
        for (number, action) in actions.into_iter().enumerate() {
            match action {
                Action::Append { op, at, twice } => {
                    let step = Step { id: number.to_string(), at: Timestamp::from_micros(at), op };
                    let expected = step.apply(&id(), &mut alone);
                    journal.log.push(step.clone());
                    let (place, grant) = journal.grant(&id(), &step.id).unwrap();
                    prop_assert_eq!(&grant, &expected);
                    prop_assert_eq!(place, journal.log.len() - 1);
                    if twice {
                        journal.log.push(step.clone());
                        prop_assert_eq!(journal.grant(&id(), &step.id).unwrap().1, grant);
                    }
                }
                Action::Fold(steps) => {
                    let steps = steps.min(journal.log.len());
                    let bytes = journal.folded(&id(), steps).to_bytes().unwrap();
                    journal.base = Account::from_bytes(&bytes).unwrap();
                    journal.log.drain(..steps);
                }
            }
            // As bytes: in memory, an account that was read also differs in what it has looked at already.
            prop_assert_eq!(journal.account(&id()).to_bytes().unwrap(), alone.to_bytes().unwrap());
        }
    }

    /// The first copy may have been folded away before the second arrives: whoever sent it then reads the second's answer.
    #[test]
    fn the_second_copy_of_a_reserve_holds_nothing_more(op in op(), at in 0..90_000_000_i64) {
        let mut account = Account::default();
        account.apply(&id(), &document(1, 5), Timestamp::EPOCH);
        let first = account.apply(&id(), &op, Timestamp::from_micros(at));
        let once = account.clone();
        let second = account.apply(&id(), &op, Timestamp::from_micros(at));
        prop_assert_eq!(account, once);
        if matches!(first, Grant::Held { .. } | Grant::Settled | Grant::Written) {
            prop_assert_eq!(first, second);
        }
    }
}
