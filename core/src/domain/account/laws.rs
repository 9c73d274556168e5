//! The laws of the ledger, under any history: they are checked against a model that remembers everything and shares no
//! code with the account.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::Config;

use super::tests::{document, held};
use super::*;
use crate::domain::{HoldId, Rate};

/// A Wednesday in the middle of a month, a second before a full minute.
pub(super) const START: i64 = 1_763_561_519;

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Microseconds.
    Wait(i64),
    Reserve {
        input: u64,
        input_cost: u64,
        output: u64,
        rate: u64,
        elastic: bool,
        /// Seconds.
        life: i64,
    },
    /// One of the holds so far, and how many percent of its bound were used.
    Settle {
        pick: prop::sample::Index,
        percent: u64,
    },
    /// An operation of before, once more.
    Again {
        pick: prop::sample::Index,
    },
    Sweep,
}

fn waits() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => 0..3_000_000_i64,
        3 => 0..70_000_000_i64,
        // Around the edge of a window.
        2 => 59_000_000..62_000_000_i64,
        1 => 0..7_300_000_000_i64,
        1 => 0..200_000_000_000_i64,
        // A clock that is behind.
        1 => -5_000_000..0_i64,
    ]
}

pub(super) fn steps(most_percent: u64) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => waits().prop_map(Step::Wait),
        6 => (0..60_u64, 0..400_u64, 0..200_u64, 0..6_000_u64, any::<bool>(), prop_oneof![1..90_i64, Just(7_200)])
            .prop_map(|(input, input_cost, output, rate, elastic, life)| {
                Step::Reserve { input, input_cost, output, rate, elastic, life }
            }),
        4 => (any::<prop::sample::Index>(), 0..=most_percent)
            .prop_map(|(pick, percent)| Step::Settle { pick, percent }),
        2 => any::<prop::sample::Index>().prop_map(|pick| Step::Again { pick }),
        1 => Just(Step::Sweep),
    ];
    prop::collection::vec(step, 1..60)
}

pub(super) fn limits() -> impl Strategy<Value = Limits> {
    let period = prop::sample::select(vec![
        "hour",
        "day",
        "day in +02:00",
        "week",
        "week in -11:30",
        "month",
        "year",
        "total",
        "rolling 1m",
        "rolling 30m",
        "rolling 24h",
        "day in Europe/Berlin",
        "month in America/Santiago",
    ]);
    let budget = (0..3_000_u64, period).prop_map(|(nanos, period)| {
        format!("{} USD / {period}", Money::from_nanos(nanos)).parse::<Budget>().unwrap()
    });
    (
        prop::option::of(0..6_u64),
        prop::option::of(0..700_u64),
        prop::option::of(0..6_u64),
        prop::collection::vec(budget.clone(), 0..4),
        prop::collection::vec(budget, 0..2),
        // Mostly without: each has a window of its own.
        prop::array::uniform6(prop_oneof![3 => Just(None), 1 => (0..900_u64).prop_map(Some)]),
    )
        .prop_map(|(rpm, tpm, parallel, budget, soft_budget, rates)| Limits {
            rpm,
            tpm,
            rpd: rates[0].map(|limit| limit / 20),
            tpd: rates[1],
            input_tpm: rates[2],
            output_tpm: rates[3],
            input_tpd: rates[4],
            output_tpd: rates[5],
            parallel,
            budget,
            soft_budget,
            ..Limits::default()
        })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Swept,
    Settled,
}

/// One admitted request as the model remembers it.
#[derive(Clone, Debug)]
struct Admitted {
    at: i64,
    tokens: u64,
    cost: u64,
    output: u64,
    /// Of the tokens, output: granted, then used.
    put_out: u64,
    expires: i64,
    state: State,
    /// The moment at which the account saw that it had expired.
    swept: i64,
}

/// An account and everything that ever happened to it.
struct History {
    id: AccountId,
    account: Account,
    limits: Limits,
    now: i64,
    /// The latest moment used: time does not run backwards.
    seen: i64,
    ops: Vec<Op>,
    admitted: BTreeMap<HoldId, Admitted>,
    /// Moments and nano-dollars.
    charges: Vec<(i64, u64)>,
    /// Holds in the order of their settlement.
    settled: Vec<HoldId>,
    /// Nobody uses more than the bound, and everyone settles before the hold expires.
    honest: bool,
}

impl History {
    fn new(limits: Limits, honest: bool) -> Self {
        let id = AccountId::key("k");
        let mut account = Account::default();
        let write = Op::Write { document: Box::new(document(1, limits.clone())), expect: None };
        let now = START * 1_000_000;
        assert_eq!(account.apply(&id, &write, Timestamp::from_micros(now)), Grant::Written);
        Self {
            id,
            account,
            limits,
            now,
            seen: now,
            ops: Vec::new(),
            admitted: BTreeMap::new(),
            charges: Vec::new(),
            settled: Vec::new(),
            honest,
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Wait(micros) => self.now += micros,
            Step::Reserve { input, input_cost, output, rate, elastic, life } => {
                let hold = HoldId::new(format!("req_{}", self.ops.len()));
                self.apply(Op::Reserve(Reserve {
                    hold,
                    versions: vec![1],
                    carried: Vec::new(),
                    input_tokens: *input,
                    input_cost: Money::from_nanos(*input_cost),
                    output: OutputBound { tokens: *output, rate: Rate::from_picos(*rate), elastic: *elastic },
                    expires: Timestamp::from_micros(self.now + life * 1_000_000),
                }));
            }
            Step::Settle { pick, percent } => {
                if self.admitted.is_empty() {
                    return;
                }
                let (hold, admitted) = self.admitted.iter().nth(pick.index(self.admitted.len())).unwrap();
                let settle = Settle {
                    hold: hold.clone(),
                    tokens: (admitted.tokens - admitted.put_out) * percent / 100
                        + admitted.put_out * percent / 100,
                    output_tokens: admitted.put_out * percent / 100,
                    cost: Money::from_nanos(admitted.cost * percent / 100),
                };
                if !(self.honest && self.is_dead(admitted)) {
                    self.apply(Op::Settle(settle));
                }
            }
            Step::Again { pick } => {
                if !self.ops.is_empty() {
                    let op = self.ops[pick.index(self.ops.len())].clone();
                    if !matches!(&op, Op::Settle(settle) if self.honest && self.is_dead(&self.admitted[&settle.hold]))
                    {
                        self.apply(op);
                    }
                }
            }
            Step::Sweep => self.apply(Op::Sweep),
        }
        self.check();
    }

    fn is_dead(&self, admitted: &Admitted) -> bool {
        admitted.state != State::Settled && admitted.expires <= self.seen.max(self.now)
    }

    fn apply(&mut self, op: Op) {
        self.seen = self.seen.max(self.now);
        for admitted in self.admitted.values_mut() {
            if admitted.state == State::Open && admitted.expires <= self.seen {
                admitted.state = State::Swept;
                admitted.swept = self.seen.div_euclid(1_000_000);
            }
        }
        let before = self.account.clone();
        let grant = self.account.apply(&self.id, &op, Timestamp::from_micros(self.now));
        match &op {
            Op::Reserve(reserve) => self.reserved(reserve, &grant, &before),
            Op::Settle(settle) => self.settled(settle, &grant),
            Op::Write { .. } => unreachable!(),
            Op::Sweep => {}
        }
        // Applied twice it answers the same (a grant's headroom too, since no time passes) and changes nothing more.
        let once = self.account.clone();
        let again = self.account.apply(&self.id, &op, Timestamp::from_micros(self.now));
        if op != Op::Sweep {
            assert_eq!(again, grant, "{op:?}");
        }
        assert!(self.account == once, "{op:?} changed something twice");
        self.ops.push(op);
    }

    fn reserved(&mut self, reserve: &Reserve, grant: &Grant, before: &Account) {
        let known = self.admitted.get(&reserve.hold);
        match (grant, known) {
            (Grant::Held { output_tokens, .. }, Some(known)) => {
                assert_eq!(known.state, State::Open);
                assert_eq!(known.output, *output_tokens);
            }
            (Grant::Held { output_tokens, .. }, None) => {
                let asked = reserve.output;
                assert!(*output_tokens <= asked.tokens);
                assert!(asked.elastic || *output_tokens == asked.tokens);
                assert!(*output_tokens >= asked.tokens.min(1));
                let picos = u128::from(*output_tokens) * u128::from(asked.rate.picos());
                let cost = reserve.input_cost.nanos() + u64::try_from(picos.div_ceil(1_000)).unwrap();
                let expires = (reserve.expires.micros() + 999_999).div_euclid(1_000_000) * 1_000_000;
                let admitted = Admitted {
                    at: self.seen,
                    tokens: reserve.input_tokens + output_tokens,
                    cost,
                    output: *output_tokens,
                    put_out: *output_tokens,
                    expires,
                    state: State::Open,
                    swept: i64::MAX,
                };
                self.admitted.insert(reserve.hold.clone(), admitted);
            }
            (Grant::NoHold, Some(known)) => assert_ne!(known.state, State::Open),
            (Grant::NoHold, None) => assert!(reserve.expires.micros() <= self.seen),
            (Grant::Denied(denial), None) => self.denied(reserve, denial, before),
            other => panic!("{reserve:?}: {other:?}"),
        }
    }

    /// At `retry_at` the same request passes, if nothing else happens; just before it does not.
    fn denied(&self, reserve: &Reserve, denial: &Denial, before: &Account) {
        let Some(retry_at) = denial.retry_at else { return };
        assert_eq!(retry_at.micros() % 1_000_000, 0);
        assert!(retry_at.micros() > self.seen, "{denial:?}");
        let later = |at: i64| {
            let reserve = Reserve { expires: Timestamp::from_micros(at + 60_000_000), ..reserve.clone() };
            held(&before.clone().apply(&self.id, &Op::Reserve(reserve), Timestamp::from_micros(at)))
        };
        assert!(later(retry_at.micros()), "{denial:?}");
        let ends = self.admitted.values().filter(|a| a.state == State::Open).map(|a| a.expires).min();
        for earlier in [retry_at.micros() - 1, retry_at.micros() - 1_000_000] {
            // A hold that dies before then makes room earlier.
            if earlier > self.seen && ends.is_none_or(|ends| ends > earlier) {
                assert!(!later(earlier), "{denial:?} passes at {earlier}");
            }
        }
    }

    fn settled(&mut self, settle: &Settle, grant: &Grant) {
        let admitted = self.admitted.get_mut(&settle.hold).unwrap();
        let remembered = self.settled.iter().rev().take(16).any(|hold| *hold == settle.hold);
        let forgotten = admitted.swept.saturating_add(24 * 3_600) <= self.seen.div_euclid(1_000_000);
        match (admitted.state, grant) {
            (State::Open, Grant::Settled) => {
                self.charges.push((self.seen, settle.cost.nanos()));
                admitted.tokens = settle.tokens;
                admitted.put_out = settle.output_tokens;
                admitted.state = State::Settled;
                self.settled.push(settle.hold.clone());
            }
            (State::Swept, Grant::Settled) if !forgotten => {
                // It keeps its bound in the window of tokens.
                self.charges.push((self.seen, settle.cost.nanos()));
                admitted.state = State::Settled;
            }
            (State::Swept, Grant::NoHold) if forgotten => {}
            // Its tombstone goes when the hold would have expired: nothing is charged either way.
            (State::Settled, Grant::Settled) => {}
            (State::Settled, Grant::NoHold) if admitted.expires <= self.seen || !remembered => {}
            other => panic!("{settle:?}: {other:?}"),
        }
    }

    fn check(&self) {
        let now = Timestamp::from_micros(self.now.max(self.seen));
        let statement = self.account.statement(now);
        let open = || self.admitted.values().filter(|a| a.state == State::Open && a.expires > now.micros());
        let held: u64 = open().map(|a| a.cost).sum();
        assert_eq!(statement.held.nanos(), held);
        assert_eq!(statement.open, open().count() as u64);
        assert_eq!(statement.spent.nanos(), self.charges.iter().map(|(_, cost)| cost).sum::<u64>());
        let lines = statement.budget.iter().map(|line| (line, true));
        for (line, hard) in lines.chain(statement.soft_budget.iter().map(|line| (line, false))) {
            let budget: Budget = line.budget.parse().unwrap();
            let (spent, exact) = self.spent(budget.period, now.micros());
            assert!(line.spent.nanos() >= spent, "{line:?}: {spent}");
            assert!(!exact || line.spent.nanos() == spent, "{line:?}: {spent}");
            if hard && self.honest {
                assert!(spent + held <= budget.limit.nanos(), "{line:?}: {spent} + {held}");
            }
        }
        let limits = &self.limits;
        for (micros, rates) in [
            (60_000_000, [limits.rpm, limits.tpm, limits.input_tpm, limits.output_tpm]),
            (86_400_000_000, [limits.rpd, limits.tpd, limits.input_tpd, limits.output_tpd]),
        ] {
            let [requests, tokens, input, output] = rates;
            let counted = |amount: fn(&Admitted) -> u64| {
                let within = self.admitted.values().filter(|a| a.at >= now.micros() - micros);
                within.map(amount).sum::<u64>()
            };
            assert!(requests.is_none_or(|limit| counted(|_| 1) <= limit));
            if self.honest {
                assert!(tokens.is_none_or(|limit| counted(|a| a.tokens) <= limit));
                assert!(input.is_none_or(|limit| counted(|a| a.tokens - a.put_out) <= limit));
                assert!(output.is_none_or(|limit| counted(|a| a.put_out) <= limit));
            }
        }
        assert!(self.limits.parallel.is_none_or(|parallel| open().count() as u64 <= parallel));
        let bytes = self.account.to_bytes().unwrap();
        assert!(Account::from_bytes(&bytes).as_ref() == Ok(&self.account), "bytes lost something");
    }

    /// What was spent in the period of `now`, by the model; and whether the account must know it exactly.
    fn spent(&self, period: Period, now: i64) -> (u64, bool) {
        let sum = |counts: &dyn Fn(i64) -> bool| {
            self.charges.iter().filter(|(at, _)| counts(*at)).map(|(_, cost)| cost).sum::<u64>()
        };
        match period {
            Period::Total => (sum(&|_| true), true),
            Period::Rolling { seconds } => (sum(&|at| at >= now - i64::from(seconds) * 1_000_000), false),
            Period::Calendar { unit, .. } => {
                let text = period.to_string();
                let zone = match text.split_once(" in ") {
                    None => jiff::tz::TimeZone::UTC,
                    Some((_, "+02:00")) => jiff::tz::TimeZone::fixed(jiff::tz::offset(2)),
                    Some((_, "-11:30")) => jiff::tz::TimeZone::posix("<-1130>11:30").unwrap(),
                    Some((_, "Europe/Berlin")) => {
                        jiff::tz::TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
                    }
                    Some((_, "America/Santiago")) => {
                        jiff::tz::TimeZone::posix("<-04>4<-03>,M9.1.6/24,M4.1.6/24").unwrap()
                    }
                    Some(other) => panic!("{other:?}"),
                };
                let label = |at: i64| {
                    let at = jiff::Timestamp::from_microsecond(at).unwrap();
                    let local = zone.to_datetime(at);
                    let date = local.date();
                    match unit {
                        Unit::Hour => format!("{date} {}", local.hour()),
                        Unit::Day => date.to_string(),
                        Unit::Week => {
                            let week = date.iso_week_date();
                            format!("{} {}", week.year(), week.week())
                        }
                        Unit::Month => format!("{} {}", date.year(), date.month()),
                        Unit::Year => date.year().to_string(),
                    }
                };
                let current = label(now);
                (sum(&|at| label(at) == current), true)
            }
        }
    }
}

pub(super) fn config() -> Config {
    Config { cases: 400, failure_persistence: None, ..Config::default() }
}

proptest! {
    #![proptest_config(config())]

    /// No interleaving of reserving, settling, sweeping and waiting passes a limit; what is refused says truly when it
    /// would pass; every operation is idempotent; refunds are exact; bytes keep all of it.
    #[test]
    fn no_limit_is_ever_passed(limits in limits(), steps in steps(100)) {
        let mut history = History::new(limits, true);
        for step in &steps {
            history.take(step);
        }
    }

    /// Who uses more than the bound, or settles after the hold was swept, is charged the truth, once.
    #[test]
    fn the_truth_is_charged_once_whatever_it_is(limits in limits(), steps in steps(300)) {
        let mut history = History::new(limits, false);
        for step in &steps {
            history.take(step);
        }
        let open: Vec<HoldId> = history.admitted.keys().cloned().collect();
        for hold in open {
            history.apply(Op::Settle(Settle { hold, tokens: 3, output_tokens: 0, cost: Money::from_nanos(7) }));
        }
        history.check();
        let statement = history.account.statement(Timestamp::from_micros(history.seen));
        prop_assert_eq!(statement.held, Money::ZERO);
        prop_assert_eq!(statement.open, 0);
        let lost = history.admitted.values().filter(|admitted| admitted.state != State::Settled);
        prop_assert_eq!(history.charges.len() + lost.count(), history.admitted.len());
    }

    /// Several accounts hold all together or none at all.
    #[test]
    fn several_accounts_act_as_one(
        all in prop::collection::vec(limits(), 1..4),
        steps in steps(100),
    ) {
        let mut now = START * 1_000_000;
        let mut accounts: Vec<(AccountId, Account)> = Vec::new();
        for (place, limits) in all.into_iter().enumerate() {
            let id = AccountId::new(format!("team/{place}"));
            let mut account = Account::default();
            let write = Op::Write { document: Box::new(document(1, limits)), expect: None };
            prop_assert_eq!(account.apply(&id, &write, Timestamp::from_micros(now)), Grant::Written);
            accounts.push((id, account));
        }
        let mut open: BTreeMap<HoldId, (u64, u64, i64)> = BTreeMap::new();
        // A whole second, at least a day after the hold was made.
        let dies = |since: i64| (since + 86_400_999_999).div_euclid(1_000_000) * 1_000_000;
        for (place, step) in steps.iter().enumerate() {
            let moment = Timestamp::from_micros(now);
            match step {
                Step::Wait(micros) => now += micros.abs(),
                Step::Reserve { input, input_cost, output, rate, elastic, .. } => {
                    let hold = HoldId::new(format!("req_{place}"));
                    let reserve = Reserve {
                        hold: hold.clone(),
                        versions: vec![1],
 carried: Vec::new(),
                        input_tokens: *input,
                        input_cost: Money::from_nanos(*input_cost),
                        output: OutputBound { tokens: *output, rate: Rate::from_picos(*rate), elastic: *elastic },
                        expires: moment.after(Account::LONGEST_HOLD),
                    };
                    let alone: Vec<Grant> = accounts
                        .iter()
                        .map(|(id, account)| account.clone().apply(id, &Op::Reserve(reserve.clone()), moment))
                        .collect();
                    let before: Vec<Statement> = accounts.iter().map(|(_, a)| a.statement(moment)).collect();
                    let grant = transact(&mut accounts, &Op::Reserve(reserve.clone()), moment);
                    let least = alone.iter().map(|grant| match grant {
                        Grant::Held { output_tokens, .. } => Some(*output_tokens),
                        _ => None,
                    }).collect::<Option<Vec<_>>>().map(|tokens| tokens.into_iter().min().unwrap());
                    match (&grant, least) {
                        (Grant::Held { output_tokens, .. }, Some(least)) => {
                            prop_assert_eq!(*output_tokens, least);
                            let picos = u128::from(least) * u128::from(*rate);
                            let cost = input_cost + u64::try_from(picos.div_ceil(1_000)).unwrap();
                            open.insert(hold, (input + least, cost, now));
                        }
                        (Grant::Denied(denial), None) => {
                            let after: Vec<Statement> =
                                accounts.iter().map(|(_, a)| a.statement(moment)).collect();
                            prop_assert_eq!(before, after);
                            if let Some(retry_at) = denial.retry_at {
                                let later = Reserve { expires: retry_at.after(Account::LONGEST_HOLD), ..reserve };
                                let later = Op::Reserve(later);
                                prop_assert!(held(&transact(&mut accounts.clone(), &later, retry_at)));
                                let early = Timestamp::from_micros(retry_at.micros() - 1);
                                let ends = open.values().map(|(_, _, since)| dies(*since)).filter(|dies| *dies > now).min();
                                if early >= moment && ends.is_none_or(|ends| ends > early.micros()) {
                                    prop_assert!(!held(&transact(&mut accounts.clone(), &later, early)));
                                }
                            }
                        }
                        other => prop_assert!(false, "{:?}", other),
                    }
                }
                Step::Settle { pick, percent } if !open.is_empty() => {
                    let hold = open.keys().nth(pick.index(open.len())).unwrap().clone();
                    let (tokens, cost, since) = open.remove(&hold).unwrap();
                    let settle = Settle {
                        hold,
                        tokens: tokens * percent / 100,
                        output_tokens: 0,
                        cost: Money::from_nanos(cost * percent / 100),
                    };
                    // What is dead stays dead here: a late settlement may pass a limit, as it should.
                    if dies(since) > now {
                        prop_assert_eq!(transact(&mut accounts, &Op::Settle(settle), moment), Grant::Settled);
                    }
                }
                _ => {}
            }
            // All hold the same, and no limit of any is passed.
            let moment = Timestamp::from_micros(now);
            let alive = || open.values().filter(|(_, _, since)| dies(*since) > now).map(|(_, cost, _)| cost);
            for (_, account) in &accounts {
                let statement = account.statement(moment);
                prop_assert_eq!(statement.open, alive().count() as u64);
                prop_assert_eq!(statement.held.nanos(), alive().sum::<u64>());
                for line in statement.budget {
                    prop_assert!(line.spent.plus(line.held) <= line.limit, "{:?}", line);
                }
                let tokens = statement.tpm.map_or(0, |line| line.used.saturating_sub(line.limit));
                prop_assert_eq!(tokens, 0);
            }
        }
    }

    /// What an admin writes is read back as it is written out.
    #[test]
    fn a_budget_is_its_text(limits in limits()) {
        for budget in &limits.budget {
            prop_assert_eq!(budget.to_string().parse::<Budget>(), Ok(*budget));
        }
        let json = serde_json::to_string(&limits).unwrap();
        prop_assert_eq!(serde_json::from_str::<Limits>(&json).unwrap(), limits);
    }

    #[test]
    fn foreign_bytes_are_refused_not_obeyed(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Account::from_bytes(&bytes);
        let mut known = vec![2];
        known.extend(bytes);
        if let Ok(mut account) = Account::from_bytes(&known) {
            account.apply(&AccountId::key("k"), &Op::Sweep, Timestamp::from_seconds(START));
        }
    }
}
