//! Alerts: what an admin should know without asking.
//!
//! From time to time all accounts are looked at, some of them in each tick, and each provider's requests of the day. What is
//! found is told once: to every channel, for each account, limit and period. What waits to be told is kept in one document
//! a shard (`books/alerts/<shard>`), written before anything is sent, so that each is told at least once; a channel that
//! refuses is tried again, later and later, for three days.

mod find;
mod tell;

use std::time::Duration;

use gatelet_wire::SmallMap;
use serde::{Deserialize, Serialize};

use crate::domain::{ShardId, Timestamp};
use crate::policy::{Channel, Event};
use crate::port::{EXACT, Expect, Fault, FaultKind, Ports};

pub use find::{Asked, Down};

/// Accounts that are read together.
const ACCOUNTS: usize = 500;
/// How often one tick reads some: a bound for what it costs.
const READS: usize = 8;
/// Between two looks at all accounts.
const PAUSE: Duration = Duration::from_secs(15);
/// Between two looks at the providers.
const WINDOW: Duration = Duration::from_mins(5);
/// What is remembered as told; the oldest are told again if they are still so.
const MOST_TOLD: usize = 2_000;
const MOST_WAITING: usize = 500;
/// How long a notice is tried to be told.
const PATIENCE: Duration = Duration::from_hours(72);
/// How long whoever sends has before somebody else may.
const CLAIM: Duration = Duration::from_mins(2);

/// What is kept.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct State {
    /// The account that was looked at last; none: the next look begins anew.
    after: Option<String>,
    /// When the next look begins, in seconds.
    next: i64,
    /// What was told, and when, in seconds.
    told: SmallMap<String, i64>,
    waiting: Vec<Waiting>,
    /// Each provider's requests and failures of a day, as they were at a moment.
    window: find::Window,
}

/// A notice that is to be told to one channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Waiting {
    channel: String,
    notice: Notice,
    /// In seconds.
    since: i64,
    due: i64,
    tries: u32,
}

/// What is told. The names are those of the webhook's JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The same for every channel and every try.
    pub id: String,
    pub event: String,
    /// RFC 3339.
    pub at: String,
    pub shard: String,
    /// An account such as `team/search`, or a provider.
    pub of: String,
    /// The limit as it was written, what is spent of it, when the key expires …
    pub detail: SmallMap<String, String>,
    /// All of it as a sentence.
    pub text: String,
}

/// Looks at some accounts, and tells what is to be told. Answers how many notices went out.
pub async fn tick(
    ports: &Ports,
    channels: &[Channel],
    shard: &ShardId,
    asked: &[Asked],
    down: &[Down],
) -> Result<usize, Fault> {
    let now = ports.clock.now();
    let name = format!("{EXACT}alerts/{shard}");
    let document = ports.store.get(&name).await?;
    let version = document.as_ref().map(|document| document.version);
    // A state that cannot be read is none: it is only told once more.
    let mut state: State =
        document.and_then(|document| gatelet_wire::json::read(&document.bytes).ok()).unwrap_or_default();
    let mut found = Vec::new();
    let looked = now.seconds() >= state.next;
    if looked {
        found = find::accounts(ports, shard, &mut state, now).await?;
    }
    found.extend(find::refused(shard, asked, now));
    found.extend(find::sinks(shard, down, now));
    found.extend(find::providers(&mut state.window, shard, asked, now));
    for (event, key, notice) in found {
        state.note(channels, event, key, &notice, now);
    }
    let mine = state.claim(channels, now);
    if !looked && mine.is_empty() {
        return Ok(0);
    }
    let Some(version) = keep(ports, &name, &state, version.map_or(Expect::Absent, Expect::Version)).await?
    else {
        // Somebody else is at it.
        return Ok(0);
    };
    let mut told = 0;
    for waiting in &mine {
        let channel = channels.iter().find(|channel| *channel.name == *waiting.channel);
        let sent = match channel {
            Some(channel) => tell::tell(ports, channel, &waiting.notice).await,
            None => Ok(()),
        };
        told += usize::from(sent.is_ok());
        state.done(waiting, sent.is_ok(), ports.clock.now());
        if let Err(fault) = sent {
            ports.log.failed(&format!("an alert was not told to `{}`", waiting.channel), &fault);
        }
    }
    if !mine.is_empty() {
        keep(ports, &name, &state, Expect::Version(version)).await?;
    }
    Ok(told)
}

/// Writes the state; none: somebody else has.
async fn keep(ports: &Ports, name: &str, state: &State, expect: Expect) -> Result<Option<u64>, Fault> {
    let corrupt = |error| Fault::new(FaultKind::Corrupt, "alert.keep", name).with_source(error);
    let bytes = serde_json::to_vec(state).map_err(corrupt)?;
    match ports.store.put(name, bytes.into(), expect).await {
        Ok(version) => Ok(Some(version)),
        Err(fault) if fault.kind == FaultKind::Conflict => Ok(None),
        Err(fault) => Err(fault),
    }
}

impl State {
    /// What was found is to be told, unless it was.
    fn note(&mut self, channels: &[Channel], event: Event, key: String, notice: &Notice, now: Timestamp) {
        if self.told.contains_key(&key) || self.waiting.len() >= MOST_WAITING {
            return;
        }
        let second = now.seconds();
        for channel in channels.iter().filter(|channel| channel.on.contains(&event)) {
            let channel = channel.name.to_string();
            self.waiting.push(Waiting {
                channel,
                notice: notice.clone(),
                since: second,
                due: second,
                tries: 0,
            });
        }
        self.told.insert(key, second);
        while self.told.len() > MOST_TOLD {
            let oldest = self.told.iter().min_by_key(|(_, at)| **at).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { break };
            self.told.remove(&oldest);
        }
    }

    /// Takes what is due: nobody else sends it meanwhile.
    fn claim(&mut self, channels: &[Channel], now: Timestamp) -> Vec<Waiting> {
        const AT_ONCE: usize = 20;
        let second = now.seconds();
        self.waiting.retain(|waiting| {
            let old = second - waiting.since > seconds(PATIENCE);
            !old && channels.iter().any(|channel| *channel.name == *waiting.channel)
        });
        let mut mine = Vec::new();
        for waiting in self.waiting.iter_mut().filter(|waiting| waiting.due <= second).take(AT_ONCE) {
            mine.push(waiting.clone());
            waiting.due = second + seconds(CLAIM);
        }
        mine
    }

    fn done(&mut self, done: &Waiting, sent: bool, now: Timestamp) {
        const LONGEST: i64 = 6 * 3_600;
        let same = |waiting: &Waiting| waiting.channel == done.channel && waiting.notice.id == done.notice.id;
        if sent {
            self.waiting.retain(|waiting| !same(waiting));
            return;
        }
        for waiting in self.waiting.iter_mut().filter(|waiting| same(waiting)) {
            waiting.tries += 1;
            // Half a minute, a minute, two, four …
            let pause = 15_i64.saturating_mul(1 << waiting.tries.min(16)).min(LONGEST);
            waiting.due = now.seconds() + pause;
        }
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
