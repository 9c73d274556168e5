//! Any number of processes that append, follow late, put away, keep accounts and die come to what one alone would.

use std::collections::BTreeMap;

use gatelet_core::domain::account::{Document, OutputBound, Reserve, Settle};
use gatelet_core::domain::{HoldId, Money, Rate, Timestamp};
use proptest::prelude::*;

use super::*;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const PROCESSES: usize = 3;

fn document(name: &str, version: u64, rpm: u64) -> Op {
    let document: Document = serde_json::from_value(serde_json::json!({
        "version": version,
        "holder": { "key": {
            "id": name, "shard": "main", "hash": "h", "state": "active", "created": 0, "updated": 0,
            "limits": { "rpm": rpm, "tpm": 4000, "parallel": 6, "budget": ["0.0001 USD / day", "0.0005 USD / total"] },
        } },
    }))
    .unwrap();
    Op::Write { document: Box::new(document), expect: (version > 1).then(|| version - 1) }
}

fn step() -> impl Strategy<Value = Step> {
    let hold = (0..12_u32).prop_map(|number| HoldId::new(format!("req_{number}")));
    let accounts = prop::sample::subsequence(NAMES.to_vec(), 1..4).prop_shuffle();
    let op = prop_oneof![
        6 => (hold.clone(), prop::collection::vec(0..3_u64, 3), 1..900_u64, any::<bool>()).prop_map(|(hold, versions, tokens, elastic)| {
            Op::Reserve(Reserve {
                hold,
                versions,
                carried: Vec::new(),
                input_tokens: tokens,
                input_cost: Money::from_nanos(tokens * 20),
                output: OutputBound { tokens, rate: Rate::from_picos(30_000), elastic },
                expires: Timestamp::from_seconds(100),
            })
        }),
        4 => (hold, 0..900_u64).prop_map(|(hold, tokens)| {
            Op::Settle(Settle { hold, tokens, output_tokens: 0, cost: Money::from_nanos(tokens * 20) })
        }),
        1 => Just(Op::Sweep),
    ];
    let used =
        (accounts, op).prop_map(|(accounts, op)| (accounts.into_iter().map(AccountId::key).collect(), op));
    let written = (prop::sample::select(NAMES.to_vec()), 1..4_u64, 1..9_u64)
        .prop_map(|(name, version, rpm)| (vec![AccountId::key(name)], document(name, version, rpm)));
    (prop_oneof![8 => used, 1 => written], 0..150_000_000_i64).prop_map(|((accounts, op), at)| Step {
        at: Timestamp::from_micros(at),
        accounts,
        op,
        entries: Vec::new(),
        notices: Vec::new(),
    })
}

#[derive(Clone, Debug)]
enum Action {
    /// Appends, and keeps the answer for later.
    Append(usize, Step),
    /// Reads the oldest answer.
    Follow(usize),
    Seal(usize),
    Keep(usize),
    Die(usize),
}

fn action() -> impl Strategy<Value = Action> {
    let process = 0..PROCESSES;
    prop_oneof![
        8 => (process.clone(), step()).prop_map(|(process, step)| Action::Append(process, step)),
        8 => process.clone().prop_map(Action::Follow),
        2 => process.clone().prop_map(Action::Seal),
        1 => process.clone().prop_map(Action::Keep),
        1 => process.prop_map(Action::Die),
    ]
}

#[derive(Default)]
struct Table {
    head: Head,
    segments: BTreeMap<u64, Segment>,
    kept: HashMap<AccountId, (Vec<u8>, u64)>,
}

impl Table {
    fn follow(&self, known: &mut Option<Known>, mut head: Head) {
        for _ in 0..20 {
            let at = known.get_or_insert_with(|| Known::new(&head));
            let fresh = match at.advance(&head).unwrap() {
                Lack::Nothing => return,
                Lack::Segments => {
                    let segments =
                        self.segments.range(at.boundary()..head.first).map(|(_, segment)| segment.clone());
                    let there = at.catch_up(segments.collect()) && at.next() >= head.first;
                    if !there {
                        *known = None;
                    }
                    there
                }
                Lack::Accounts(ids) => at.load(self.load(&ids)),
            };
            if !fresh {
                head = self.head.clone();
            }
        }
        panic!("never at the end");
    }

    fn load(&self, ids: &[AccountId]) -> Vec<(AccountId, Account, u64)> {
        let one = |id: &AccountId| match self.kept.get(id) {
            Some((bytes, after)) => (id.clone(), Account::from_bytes(bytes).unwrap(), *after),
            None => (id.clone(), Account::default(), 0),
        };
        ids.iter().map(one).collect()
    }

    /// Puts away what a head had when it was read.
    fn seal(&mut self, known: &mut Option<Known>, head: &Head) {
        self.follow(known, head.clone());
        let Some(outcomes) = known.as_ref().unwrap().outcomes(head.first, head.steps.len()) else { return };
        if head.steps.is_empty() {
            return;
        }
        let unpacked = head.steps.iter().map(|packed| Step::unpack(packed).unwrap());
        let steps = unpacked.zip(outcomes).collect();
        let segment = self.segments.entry(head.first).or_insert(Segment { first: head.first, steps });
        if self.head.first == head.first {
            let count = segment.steps.len();
            self.head.steps.drain(..count);
            self.head.first += count as u64;
        }
    }

    fn keep(&mut self, known: &mut Option<Known>) {
        let head = self.head.clone();
        self.follow(known, head.clone());
        let at = known.as_mut().unwrap();
        let missing: Vec<AccountId> =
            at.changed().into_iter().filter(|id| at.account(id).is_none()).collect();
        assert!(at.load(self.load(&missing)));
        let until = at.next();
        let accounts: Vec<_> = at
            .changed()
            .into_iter()
            .map(|id| (id.clone(), at.account(&id).unwrap().to_bytes().unwrap()))
            .collect();
        self.seal(known, &head);
        assert_eq!(self.head.first, until);
        for (id, bytes) in accounts {
            self.kept.insert(id, (bytes, until));
        }
        (self.head.kept, self.head.from) = (until, until);
        self.segments.retain(|first, _| *first >= until);
    }
}

proptest! {
    #[test]
    fn everyone_who_reads_the_log_comes_to_the_same(actions in prop::collection::vec(action(), 1..90)) {
        let mut table = Table::default();
        let mut processes: Vec<Option<Known>> = vec![None; PROCESSES];
        let mut answers: Vec<VecDeque<Head>> = vec![VecDeque::new(); PROCESSES];
        let mut alone = Known::new(&Head::default());
        for name in NAMES {
            alone.accounts.insert(AccountId::key(name), Account::default());
        }
        let mut grants = Vec::new();
        for action in actions {
            match action {
                Action::Append(process, step) => {
                    grants.push(alone.decide(&step));
                    alone.next += 1;
                    table.head.steps.push(step.pack().unwrap());
                    answers[process].push_back(table.head.clone());
                }
                Action::Follow(process) => {
                    let Some(head) = answers[process].pop_front() else { continue };
                    let mine = head.end() - 1;
                    table.follow(&mut processes[process], head);
                    let grant = processes[process].as_ref().unwrap().grant(mine);
                    if let Some(grant) = grant {
                        prop_assert_eq!(&grant, &grants[usize::try_from(mine).unwrap()]);
                    }
                }
                Action::Seal(process) => {
                    // What it read last may be old.
                    let head = answers[process].back().cloned().unwrap_or_else(|| table.head.clone());
                    table.seal(&mut processes[process], &head);
                }
                Action::Keep(process) => table.keep(&mut processes[process]),
                Action::Die(process) => {
                    processes[process] = None;
                    answers[process].clear();
                }
            }
        }
        for known in &mut processes {
            table.follow(known, table.head.clone());
            let known = known.as_mut().unwrap();
            let ids: Vec<AccountId> = NAMES.map(AccountId::key).into();
            let missing: Vec<AccountId> = ids.iter().filter(|id| known.account(id).is_none()).cloned().collect();
            prop_assert!(known.load(table.load(&missing)));
            for id in &ids {
                prop_assert_eq!(
                    known.account(id).unwrap().to_bytes().unwrap(),
                    alone.account(id).unwrap().to_bytes().unwrap(),
                    "{}", id
                );
            }
        }
    }
}
