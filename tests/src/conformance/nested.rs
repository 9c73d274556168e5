//! An organisation with projects, teams, users and keys, as one that many callers use at once; and how long they wait for its books.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures_util::future::join_all;
use gatelet_core::domain::account::{Document, Grant, Holder, Limits, Op, OutputBound, Reserve, Settle};
use gatelet_core::domain::{
    AccountId, HoldId, Key, Money, Rate, RequestId, Scope, ScopeKind, ShardId, Timestamp,
};
use gatelet_core::port::{Entry, Ledger, Transaction};
use gatelet_core::record::{self, Attempt, Record};
use gatelet_core::registry::Parts;
use serde_json::json;

use crate::check_eq;

const CALLERS: usize = 200;
const KEYS: usize = 20;

/// One organisation, in a shard of its own. Every scope has several limits, none of which is reached.
#[derive(Clone, Debug)]
pub struct Nested {
    pub shard: ShardId,
    pub documents: Vec<Document>,
}

impl Nested {
    pub fn new(shard: ShardId, now: Timestamp) -> Result<Self> {
        let limits: Limits = serde_json::from_value(json!({
            "rpm": 1_000_000, "tpm": 10_000_000_000_u64, "parallel": 5_000, "budget": ["50000 USD / day", "900000 USD / month"],
        }))?;
        let mut documents = Vec::new();
        for number in 0..KEYS {
            let key: Key = serde_json::from_value(json!({
                "id": key(number), "shard": shard.as_str(), "hash": "0".repeat(64), "limits": limits, "state": "active",
                "created": now, "updated": now,
            }))?;
            documents.push(Document::of_key(1, key));
        }
        for (kind, id) in (0..KEYS).flat_map(scopes) {
            let scope = Scope { limits: limits.clone(), ..Scope::new(kind, id, shard.clone(), now) };
            if documents.iter().all(|known| known.account() != scope.account()) {
                documents.push(Document { version: 1, holder: Holder::Scope(scope) });
            }
        }
        Ok(Self { shard, documents })
    }

    /// Writes all documents.
    pub async fn write(&self, ledger: &dyn Ledger, now: Timestamp) -> Result<()> {
        for document in &self.documents {
            let op = Op::Write { document: Box::new(document.clone()), expect: None };
            let transaction = Transaction::new(vec![document.account()], op, Vec::new());
            check_eq!(ledger.transact(&self.shard, transaction, now).await?.grant, Grant::Written);
        }
        Ok(())
    }

    /// The accounts that a caller's request is charged to: of five scopes.
    pub fn charged(caller: usize) -> Vec<AccountId> {
        let own = AccountId::key(&key(caller));
        std::iter::once(own).chain(scopes(caller).into_iter().map(|(kind, id)| kind.account(&id))).collect()
    }

    /// Asks for a request, as the gateway does: in five scopes, and with a look at two more that limit nothing.
    pub fn reserve(caller: usize, hold: &HoldId, now: Timestamp) -> Transaction {
        let mut accounts = Self::charged(caller);
        let mut versions = vec![1; accounts.len()];
        accounts.extend([ScopeKind::Tag.account("batch"), ScopeKind::Model.account("openai/gpt-4o-mini")]);
        versions.extend([0, 0]);
        let op = Op::Reserve(Reserve {
            hold: hold.clone(),
            versions,
            carried: Vec::new(),
            input_tokens: 1_207,
            input_cost: Money::from_nanos(181_050),
            output: OutputBound { tokens: 16_384, rate: Rate::from_picos(600_000), elastic: true },
            expires: now.after(Duration::from_mins(11)),
        });
        Transaction::new(accounts, op, Vec::new())
    }

    pub fn settle(caller: usize, hold: &HoldId, cost: Money, entry: Entry) -> Transaction {
        let settle = Settle { hold: hold.clone(), tokens: 1_607, output_tokens: 417, cost };
        Transaction::new(Self::charged(caller), Op::Settle(settle), vec![entry])
    }

    /// What the gateway writes of such a request, and of its only attempt.
    pub fn record(
        caller: usize,
        round: usize,
        id: &RequestId,
        shard: &ShardId,
        started: Timestamp,
        ended: Timestamp,
    ) -> (Record, Attempt) {
        let of = |kind| scopes(caller).into_iter().find(|(other, _)| *other == kind).map(|(_, id)| id);
        let record = Record {
            v: record::VERSION,
            kind: "request",
            id: id.clone(),
            at: started,
            shard: shard.clone(),
            key: key(caller),
            alias: Some("search-prod".to_owned()),
            org: Some("acme".to_owned()),
            team: of(ScopeKind::Team),
            project: of(ScopeKind::Project),
            user: of(ScopeKind::User),
            tags: Vec::new(),
            customer: None,
            session: None,
            operation: "chat",
            dialect: "openai",
            model: "openai/gpt-4o-mini".to_owned(),
            target: Some("openai/gpt-4o-mini".into()),
            stream: true,
            outcome: "done",
            status: 200,
            attempts: 1,
            usage: serde_json::from_value(json!({"input": 1_190 + round, "output": 417})).unwrap_or_default(),
            usage_estimated: false,
            cost: Money::from_nanos(428_700 + 150 * round as u64),
            cost_stated: false,
            price: Some(0x1234_5678),
            cost_parts: Parts([7, 0, 0, 30, 0, 0].map(Money::from_nanos)),
            total_ms: record::millis(started, ended),
            first_content_ms: Some(record::millis(started, ended) / 2.0),
            loss: Vec::new(),
            output_cap: Some(16_384),
            soft_passed: Vec::new(),
            shadowed: Vec::new(),
            fell_to: None,
            prompt: None,
            prompt_version: None,
            residency: Vec::new(),
            trace: None,
            carried: None,
            kept_in: Vec::new(),
            left_out: Vec::new(),
            strategy: None,
            queue_ms: None,
            upstream_ms: record::millis(started, ended) / 2.0,
            overhead_ms: 0.412,
            finish: Some("stop"),
            fault: None,
            request_bytes: 4_803,
            answer_bytes: 61_940,
            content: None,
            cache: None,
            saved: None,
            similarity: None,
            lookup_for: None,
            copy_of: None,
            unbilled: None,
            guards: Vec::new(),
        };
        let attempt = Attempt {
            v: record::VERSION,
            kind: "attempt",
            id: id.clone(),
            at: started.after(Duration::from_micros(731)),
            attempt: 1,
            target: "openai/gpt-4o-mini".into(),
            region: None,
            lane: "verbatim",
            status: Some(200),
            outcome: "answered",
            head_ms: Some(record::millis(started, ended) / 3.0),
            total_ms: record::millis(started, ended),
            billed: None,
            cost: None,
            why: None,
            fault: None,
        };
        (record, attempt)
    }
}

/// The id of a caller's key.
pub fn key(caller: usize) -> String {
    format!("7hq2m9c4x{}", caller % KEYS)
}

/// The scopes of a caller's key.
pub fn scopes(caller: usize) -> [(ScopeKind, String); 4] {
    [
        (ScopeKind::Organisation, "acme".to_owned()),
        (ScopeKind::Team, format!("team{}", caller % 4)),
        (ScopeKind::Project, format!("project{}", caller % 2)),
        (ScopeKind::User, format!("user{}@example.com", caller % 10)),
    ]
}

/// Two hundred callers of one organisation, each at a pace of its own, some 25 requests a second together: how long its books take
/// before the answer and after it. Nobody is ever refused or told of an error.
pub(super) async fn two_hundred_callers_of_one_organisation_wait_little(
    ledger: Arc<dyn Ledger>,
) -> Result<()> {
    const REQUESTS: usize = 1;
    const EACH: Duration = Duration::from_secs(8);
    let nested = Nested::new(ShardId::new(format!("nested{}", now().micros() % 1_000_000_000)), now())?;
    nested.write(&*ledger, now()).await?;
    let calls = (0..CALLERS).map(|caller| {
        let (ledger, shard) = (Arc::clone(&ledger), nested.shard.clone());
        tokio::spawn(async move {
            let mut times = Vec::new();
            tokio::time::sleep(EACH * u32::try_from(caller)? / u32::try_from(CALLERS)?).await;
            for request in 0..REQUESTS {
                let began = Instant::now();
                let hold = HoldId::new(format!("req_{caller:04}_{request:04}_0123456789abcd"));
                let grant =
                    ledger.transact(&shard, Nested::reserve(caller, &hold, now()), now()).await?.grant;
                ensure!(matches!(grant, Grant::Held { .. }), "{grant:?}");
                let reserved = began.elapsed();
                // The upstream answers.
                tokio::time::sleep(Duration::from_millis(300)).await;
                let settles = Instant::now();
                let line = format!("{{\"id\":\"{hold}\"}}").into();
                let entry = Entry { id: format!("{:016}-{hold}", now().micros()).into(), line, settle: None };
                let settle = Nested::settle(caller, &hold, Money::from_nanos(428_700), entry);
                check_eq!(ledger.transact(&shard, settle, now()).await?.grant, Grant::Settled);
                times.push((reserved, settles.elapsed()));
                tokio::time::sleep(EACH.saturating_sub(began.elapsed())).await;
            }
            Ok(times)
        })
    });
    let mut times = Vec::new();
    for call in join_all(calls).await {
        times.extend(call??);
    }
    let steps = [
        times.iter().map(|(reserve, _)| *reserve).collect(),
        times.iter().map(|(_, settle)| *settle).collect(),
    ];
    let [before, after] = steps.map(Percentiles::of);
    say(&before, &after);
    // The goal is 20 ms on a machine that does nothing else; this one builds and tests beside it.
    let most = Duration::from_secs(6);
    ensure!(before.p99 < most && after.p99 < most, "before the answer {before:?}, after it {after:?}");
    let account = ledger.read(&nested.shard, &ScopeKind::Organisation.account("acme")).await?;
    let statement = account.context("the organisation is not there")?.statement(now());
    let charged = u64::try_from(CALLERS * REQUESTS)? * 428_700;
    check_eq!((statement.spent, statement.open), (Money::from_nanos(charged), 0));
    Ok(())
}

#[derive(Debug)]
struct Percentiles {
    p50: Duration,
    p99: Duration,
}

impl Percentiles {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |percent: usize| times.get((times.len() * percent / 100).min(times.len().saturating_sub(1)));
        let at = |percent| at(percent).copied().unwrap_or_default();
        Self { p50: at(50), p99: at(99) }
    }
}

#[expect(clippy::print_stdout, reason = "the figure is for readers: --nocapture")]
fn say(before: &Percentiles, after: &Percentiles) {
    let millis = |time: Duration| time.as_secs_f64() * 1_000.0;
    println!(
        "the ledger's step with 200 callers of one organisation: before the answer p50 {:.1} ms, p99 {:.1} ms; after it p50 {:.1} ms, p99 {:.1} ms",
        millis(before.p50),
        millis(before.p99),
        millis(after.p50),
        millis(after.p99)
    );
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or_default())
}
