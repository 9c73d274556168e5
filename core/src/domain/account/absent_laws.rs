//! Laws of accounts that have no document: what they are allowed is said by a template, which every reservation carries.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::laws::{START, Step, config, limits, steps};
use super::tests::document;
use super::*;
use crate::domain::{HoldId, Rate};

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

/// A reservation of an account of this version: 0 has no document, and has what the template says.
fn reserve(hold: HoldId, step: &Step, version: u64, template: Option<&Limits>, now: i64) -> Option<Op> {
    let Step::Reserve { input, input_cost, output, rate, elastic, life } = step else { return None };
    let carried = template.map(|template| Carried { place: 0, limits: template.clone() });
    Some(Op::Reserve(Reserve {
        hold,
        versions: vec![version],
        carried: carried.into_iter().collect(),
        input_tokens: *input,
        input_cost: Money::from_nanos(*input_cost),
        output: OutputBound { tokens: *output, rate: Rate::from_picos(*rate), elastic: *elastic },
        expires: at(now + life * 1_000_000),
    }))
}

fn settle(hold: &HoldId, amount: u64) -> Op {
    let (tokens, output_tokens) = (amount, amount / 3);
    Op::Settle(Settle { hold: hold.clone(), tokens, output_tokens, cost: Money::from_nanos(amount) })
}

fn written(version: u64, limits: &Limits) -> Op {
    let expect = version.checked_sub(1).filter(|version| *version > 0);
    Op::Write { document: Box::new(document(version, limits.clone())), expect }
}

/// Limits that renew.
fn renewing() -> impl Strategy<Value = Limits> {
    limits().prop_map(|mut limits| {
        limits.budget.retain(|budget| budget.period != Period::Total);
        limits.soft_budget.retain(|budget| budget.period != Period::Total);
        limits
    })
}

proptest! {
    #![proptest_config(config())]

    /// Who has no document is held to a template as if a document of its own said the same, whenever the template changes, until
    /// it gets one: which then finds all that was spent.
    #[test]
    fn a_template_binds_as_a_document_does(
        templates in prop::collection::vec(limits(), 1..4),
        steps in steps(100),
    ) {
        let id = AccountId::new("customer/ada");
        let (mut known, mut absent) = (Account::default(), Account::default());
        // Both begin with the first reservation.
        let (mut version, mut place) = (0, 0);
        let mut now = START * 1_000_000;
        known.advance(at(now));
        absent.advance(at(now));
        let mut holds: Vec<HoldId> = Vec::new();
        for (number, step) in steps.iter().enumerate() {
            match step {
                Step::Wait(micros) => now += micros,
                Step::Reserve { .. } => {
                    let next = number / 8 % templates.len();
                    if version == 0 || next != place {
                        place = next;
                        version += 1;
                        prop_assert_eq!(known.apply(&id, &written(version, &templates[place]), at(now)), Grant::Written);
                    }
                    let hold = HoldId::new(format!("req_{number}"));
                    let one = reserve(hold.clone(), step, version, None, now).unwrap();
                    let other = reserve(hold.clone(), step, 0, Some(&templates[place]), now).unwrap();
                    let grant = known.apply(&id, &one, at(now));
                    prop_assert_eq!(&absent.apply(&id, &other, at(now)), &grant, "{:?}", templates[place]);
                    if matches!(grant, Grant::Held { .. }) {
                        holds.push(hold);
                    }
                    prop_assert_eq!(absent.statement(at(now)), known.statement(at(now)));
                }
                Step::Settle { pick, percent } if !holds.is_empty() => {
                    let op = settle(&holds[pick.index(holds.len())], *percent);
                    prop_assert_eq!(absent.apply(&id, &op, at(now)), known.apply(&id, &op, at(now)));
                }
                // What nobody uses any more is forgotten: of that is the next law.
                Step::Sweep if absent.fades().is_none_or(|fades| fades > absent.seen().max(at(now))) => {
                    prop_assert_eq!(absent.apply(&id, &Op::Sweep, at(now)), known.apply(&id, &Op::Sweep, at(now)));
                }
                _ => {}
            }
            // A window that nothing limits any more goes as soon as it is empty, or when the account is read.
            let bytes = absent.to_bytes().unwrap();
            let mut read = absent.clone();
            read.track();
            prop_assert!(Account::from_bytes(&bytes) == Ok(read), "bytes lost something");
        }
        if version == 0 {
            return Ok(());
        }
        prop_assert_eq!(absent.apply(&id, &written(1, &templates[place]), at(now)), Grant::Written);
        prop_assert_eq!(known.statement(at(now)).spent, absent.statement(at(now)).spent);
        let last = Step::Reserve { input: 5, input_cost: 50, output: 20, rate: 2_000, elastic: true, life: 60 };
        let one = reserve(HoldId::new("last"), &last, version, None, now).unwrap();
        let other = reserve(HoldId::new("last"), &last, 1, None, now).unwrap();
        prop_assert_eq!(absent.apply(&id, &other, at(now)), known.apply(&id, &one, at(now)));
        prop_assert_eq!(absent.statement(at(now)), known.statement(at(now)));
    }

    /// A host may lose whatever a refusal did to an account, and may forget an account of which nothing counts: neither is
    /// ever noticed.
    #[test]
    fn what_is_forgotten_counted_for_nothing(
        template in renewing(),
        steps in steps(100),
        stretch in prop::sample::select(vec![1_i64, 1, 20, 150]),
    ) {
        /// Twelve hours: a settlement is not later than that.
        const LATE: i64 = 43_200_000_000;
        let id = AccountId::new("customer/ada");
        let (mut kept, mut swept) = (Account::default(), Account::default());
        let mut now = START * 1_000_000;
        let mut open: BTreeMap<HoldId, i64> = BTreeMap::new();
        for (number, step) in steps.iter().enumerate() {
            match step {
                Step::Wait(micros) => {
                    now += micros.abs() * stretch;
                    swept.apply(&id, &Op::Sweep, at(now));
                }
                Step::Reserve { life, .. } => {
                    let hold = HoldId::new(format!("req_{number}"));
                    let op = reserve(hold.clone(), step, 0, Some(&template), now).unwrap();
                    let before = swept.clone();
                    let grant = kept.apply(&id, &op, at(now));
                    prop_assert_eq!(&swept.apply(&id, &op, at(now)), &grant, "{:?}", template);
                    if matches!(grant, Grant::Held { .. }) {
                        open.insert(hold, now + life * 1_000_000);
                        let (mut one, mut other) = (kept.statement(at(now)), swept.statement(at(now)));
                        (one.spent, other.spent) = (Money::ZERO, Money::ZERO);
                        prop_assert_eq!(one, other);
                    } else {
                        swept = before;
                    }
                }
                Step::Settle { pick, percent } if !open.is_empty() => {
                    let hold = open.keys().nth(pick.index(open.len())).unwrap().clone();
                    let expires = open.remove(&hold).unwrap();
                    if now <= expires + LATE {
                        let op = settle(&hold, *percent);
                        prop_assert_eq!(kept.apply(&id, &op, at(now)), Grant::Settled);
                        prop_assert_eq!(swept.apply(&id, &op, at(now)), Grant::Settled);
                    }
                }
                _ => {}
            }
        }
        // In the end nothing of it is left.
        let idle = at(now).after(Limits::LONGEST_MEMORY * 13);
        swept.apply(&id, &Op::Sweep, idle);
        prop_assert!(swept.is_blank());
    }

    /// An account that is expected to have no limits is only looked at, until it has a document: then nothing is held of
    /// anyone by what expected none, and what was held before goes on.
    #[test]
    fn what_is_only_looked_at_holds_nothing(
        of_key in limits(),
        of_customer in limits(),
        steps in steps(100),
        when in any::<prop::sample::Index>(),
    ) {
        let (key, customer) = (AccountId::key("k"), AccountId::new("customer/ada"));
        let mut now = START * 1_000_000;
        let mut alone = Account::default();
        alone.apply(&key, &written(1, &of_key), at(now));
        let mut both = [(key.clone(), alone.clone()), (customer.clone(), Account::default())];
        let mut held: Vec<(HoldId, Op)> = Vec::new();
        let when = when.index(steps.len());
        for (number, step) in steps.iter().enumerate() {
            if number == when {
                let write = written(1, &of_customer);
                prop_assert_eq!(both[1].1.apply(&customer, &write, at(now)), Grant::Written);
            }
            alone.advance(at(now));
            both[0].1.advance(at(now));
            match step {
                Step::Wait(micros) => now += micros,
                Step::Reserve { .. } => {
                    let hold = HoldId::new(format!("req_{number}"));
                    let Some(Op::Reserve(one)) = reserve(hold.clone(), step, 1, None, now) else { unreachable!() };
                    let two = Op::Reserve(Reserve { versions: vec![1, 0], ..one.clone() });
                    let before = both[0].1.statement(at(now));
                    let grant = transact(&mut both, &two, at(now));
                    if number < when {
                        prop_assert_eq!(&alone.apply(&key, &Op::Reserve(one), at(now)), &grant);
                        if matches!(grant, Grant::Held { .. }) {
                            held.push((hold, two));
                        }
                    } else if now >= both[0].1.seen().micros() {
                        let Grant::Stale(stood) = &grant else { panic!("{grant:?}") };
                        prop_assert_eq!(&stood[0].account, &customer);
                        prop_assert_eq!(stood[0].document.as_deref(), both[1].1.document());
                        prop_assert_eq!(both[0].1.statement(at(now)), before);
                    }
                }
                Step::Settle { pick, percent } if !held.is_empty() => {
                    let op = settle(&held[pick.index(held.len())].0, *percent);
                    // Only what holds is settled.
                    prop_assert_eq!(transact(&mut both[..1], &op, at(now)), alone.apply(&key, &op, at(now)));
                }
                // As many as are remembered once they are settled.
                Step::Again { pick } if (1..=16).contains(&held.len()) => {
                    let (hold, op) = &held[pick.index(held.len())];
                    let stands = both[0].1.holds.get(hold::name(hold)).is_some();
                    let grant = transact(&mut both, op, at(now));
                    prop_assert_eq!(matches!(grant, Grant::Held { .. }), stands, "{:?}", grant);
                }
                _ => {}
            }
            let statement = both[1].1.statement(at(now));
            prop_assert_eq!((statement.spent, statement.held, statement.open), (Money::ZERO, Money::ZERO, 0));
            prop_assert!(number >= when || both[1].1.is_blank());
        }
    }

    /// A host that cannot change several accounts in one step asks each and joins their words; one that knows what was
    /// granted follows with each alone. Both come to what the one step comes to.
    #[test]
    fn accounts_apart_come_to_what_they_come_to_together(
        all in prop::collection::vec((limits(), any::<bool>()), 1..4),
        steps in steps(100),
    ) {
        let mut now = START * 1_000_000;
        let ids: Vec<AccountId> = (0..all.len()).map(|place| AccountId::new(format!("team/{place}"))).collect();
        let mut together: Vec<(AccountId, Account)> = ids.iter().map(|id| (id.clone(), Account::default())).collect();
        for ((id, account), (limits, has)) in together.iter_mut().zip(&all) {
            if *has {
                account.apply(id, &written(1, limits), at(now));
            }
        }
        let mut apart: Vec<Account> = together.iter().map(|(_, account)| account.clone()).collect();
        let carried = all.iter().enumerate().filter(|(_, (_, has))| !has);
        let carried: Vec<Carried> =
            carried.map(|(place, (limits, _))| Carried { place, limits: limits.clone() }).collect();
        let versions: Vec<u64> = all.iter().map(|(_, has)| u64::from(*has)).collect();
        let mut held: Vec<(HoldId, i64)> = Vec::new();
        for (number, step) in steps.iter().enumerate() {
            let op = match step {
                Step::Wait(micros) => {
                    now += micros.abs();
                    continue;
                }
                Step::Reserve { .. } => {
                    let hold = HoldId::new(format!("req_{number}"));
                    let Some(Op::Reserve(one)) = reserve(hold, step, 0, None, now) else { unreachable!() };
                    Op::Reserve(Reserve { versions: versions.clone(), carried: carried.clone(), ..one })
                }
                // What was swept is remembered for a day from when that was seen, which is not the same day for all.
                Step::Settle { pick, percent } if !held.is_empty() => {
                    let (hold, expires) = &held[pick.index(held.len())];
                    if now > expires + 43_200_000_000 {
                        continue;
                    }
                    settle(hold, *percent)
                }
                _ => continue,
            };
            let asked: Vec<Grant> = apart
                .iter()
                .zip(&ids)
                .enumerate()
                .map(|(place, (account, id))| account.clone().apply(id, &op.of(place), at(now)))
                .collect();
            let grant = transact(&mut together, &op, at(now));
            let joined = asked.into_iter().reduce(|all, one| match (&all, &one) {
                (Grant::Denied(_) | Grant::Stale(_), Grant::Denied(_) | Grant::Stale(_)) => all.weightier(one),
                (Grant::Settled | Grant::NoHold, _) => if all == Grant::Settled { all } else { one },
                _ => all.tightened(one),
            });
            let granted = match (&grant, &joined) {
                // Each says what is left of more output than all hold in the end.
                (Grant::Held { output_tokens, .. }, Some(Grant::Held { output_tokens: least, .. })) => {
                    prop_assert_eq!(output_tokens, least);
                    *output_tokens
                }
                (grant, joined) => {
                    prop_assert_eq!(Some(grant), joined.as_ref());
                    0
                }
            };
            if grant.changes() {
                if let Op::Reserve(reserve) = &op {
                    held.push((reserve.hold.clone(), reserve.expires.micros()));
                }
                for (place, account) in apart.iter_mut().enumerate() {
                    account.follow(&op, place, granted, at(now));
                }
                for ((_, one), other) in together.iter().zip(&apart) {
                    prop_assert_eq!(one.statement(at(now)), other.statement(at(now)));
                }
            }
        }
    }
}
