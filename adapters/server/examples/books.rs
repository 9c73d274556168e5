//! What the books of one request cost: reserve, settle and record in the embedded store, without anything around them.
//!
//! `cargo run --release -p gatelet --example books`

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use gatelet_core::domain::account::{Document, Grant, Limits, Op, OutputBound, Reserve, Settle};
use gatelet_core::domain::{AccountId, HoldId, Key, KeyToken, Money, Rate, ShardId, Timestamp};
use gatelet_core::port::{Clock as _, Entry, Ledger as _, Transaction};
use gatelet_server::store::Embedded;
use gatelet_tokio::SystemClock;
use rustix::process::{Pid, getpid};

const REQUESTS: u64 = 200_000;

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for (callers, keys) in [(1, 1), (64, 1), (64, 64), (64, 10_000)] {
        let folder = tempfile::tempdir()?;
        let store = Embedded::open(folder.path())?;
        runtime.block_on(make_keys(&store, keys))?;
        let (cpu, start) = (cpu_time(getpid())?, Instant::now());
        let house = {
            let store = store.clone();
            let end = start + Duration::from_hours(1);
            std::thread::spawn(move || keep(&store, end))
        };
        runtime.block_on(async {
            let work = (0..callers).map(|caller| work(store.clone(), caller, callers, keys));
            futures_util::future::try_join_all(work).await
        })?;
        #[expect(clippy::cast_precision_loss, reason = "for people to read")]
        let each = |time: Duration| time.as_secs_f64() * 1e6 / REQUESTS as f64;
        let (cpu, wall) = (each(cpu_time(getpid())?.saturating_sub(cpu)), each(start.elapsed()));
        writeln!(
            std::io::stdout(),
            "{callers:3} callers, {keys:5} keys: {cpu:5.1} us CPU and {wall:5.1} us a request, archiving left out"
        )?;
        drop(house);
    }
    Ok(())
}

/// As the server does every second, but for the archive, whose cost is gzip's: entries are only cleared.
fn keep(store: &Embedded, end: Instant) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    while Instant::now() < end {
        std::thread::sleep(Duration::from_secs(1));
        runtime.block_on(async {
            loop {
                let entries = store.outbox(&ShardId::main(), 5_000).await?;
                if entries.is_empty() {
                    return anyhow::Ok(());
                }
                let ids: Vec<String> = entries.into_iter().map(|entry| entry.id.to_string()).collect();
                store.clear(&ShardId::main(), &ids).await?;
            }
        })?;
        store.sync()?;
    }
    Ok(())
}

async fn make_keys(store: &Embedded, keys: u64) -> Result<()> {
    let now = SystemClock.now();
    for number in 0..keys {
        let id = id(number);
        let limits = Limits {
            rpm: Some(1_000_000_000),
            parallel: Some(1_000),
            budget: vec!["1000000 USD / day".parse()?],
            ..Limits::default()
        };
        let token = KeyToken { shard: ShardId::main(), id: id.clone(), hash: "0".repeat(64) };
        let key = Key { alias: Some("somebody".to_owned()), limits, ..Key::new(token, now) };
        let document = Box::new(Document::of_key(1, key));
        let op = Op::Write { document, expect: None };
        let transaction = Transaction::new(vec![AccountId::key(&id)], op, Vec::new());
        store.transact(&ShardId::main(), transaction, now).await?;
    }
    Ok(())
}

async fn work(store: Embedded, caller: u64, callers: u64, keys: u64) -> Result<()> {
    let line = "x".repeat(700);
    let shard = ShardId::main();
    for number in (caller..REQUESTS).step_by(usize::try_from(callers)?) {
        let now = SystemClock.now();
        let accounts = vec![AccountId::key(&id(number.wrapping_mul(7_919) % keys))];
        let hold = HoldId::new(format!("req_{number:026}"));
        let reserve = Reserve {
            hold: hold.clone(),
            versions: vec![1],
            carried: Vec::new(),
            input_tokens: 100,
            input_cost: Money::from_nanos(100),
            output: OutputBound { tokens: 100, rate: Rate::from_picos(1_000), elastic: false },
            expires: now.after(Duration::from_mins(10)),
        };
        let reserve = Transaction::new(accounts.clone(), Op::Reserve(reserve), Vec::new());
        let outcome = store.transact(&shard, reserve, now).await?;
        ensure!(matches!(outcome.grant, Grant::Held { .. }), "{:?}", outcome.grant);
        // As a request waits for its upstream, others go on.
        tokio::task::yield_now().await;
        let settle = Op::Settle(Settle { hold, tokens: 50, output_tokens: 0, cost: Money::from_nanos(120) });
        let entry = |part| Entry {
            id: format!("{:016}-req_{number:026}.{part}", Timestamp::micros(now)).into(),
            line: line.as_str().into(),
            settle: None,
        };
        let settle = Transaction::new(accounts, settle, vec![entry(0), entry(1)]);
        let outcome = store.transact(&shard, settle, now).await?;
        ensure!(outcome.grant == Grant::Settled, "{:?}", outcome.grant);
    }
    Ok(())
}

fn id(number: u64) -> String {
    format!("{number:012}")
}

/// User and system time of all threads, in ticks of 10 ms.
fn cpu_time(process: Pid) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero()))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = [11, 12].iter().filter_map(|place| fields.get(*place)?.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 10))
}
