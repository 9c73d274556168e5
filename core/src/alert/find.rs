//! What an admin should know: found by looking at accounts and at sums.

use std::time::Duration;

use gatelet_wire::SmallMap;
use gatelet_wire::sort::sort_by;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{ACCOUNTS, Notice, PAUSE, READS, State, WINDOW, seconds};
use crate::domain::account::{Account, BudgetLine, Holder};
use crate::domain::key::KeyState;
use crate::domain::{AccountId, ShardId, Timestamp};
use crate::policy::Event;
use crate::port::{Fault, Ports};

/// What a key asked of a provider today, and how many of these requests ended in errors or were refused for want of money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub key: String,
    /// None: none was asked.
    pub provider: Option<String>,
    pub requests: u64,
    pub failures: u64,
    pub over_budget: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Window {
    /// In seconds.
    at: i64,
    counts: SmallMap<String, (u64, u64)>,
}

/// An event, by what it is told once, and the notice.
type Found = (Event, String, Notice);

/// How long before its end a key is told of.
const WEEK: Duration = Duration::from_hours(7 * 24);

/// Looks at the next accounts: 4,000 at the most.
pub(super) async fn accounts(
    ports: &Ports,
    shard: &ShardId,
    state: &mut State,
    now: Timestamp,
) -> Result<Vec<Found>, Fault> {
    let mut found = Vec::new();
    for _ in 0..READS {
        let after = state.after.as_deref().map(AccountId::new);
        let page = ports.ledger.list(shard, "", after.as_ref(), ACCOUNTS).await?;
        let last = page.last().filter(|_| page.len() == ACCOUNTS);
        state.after = last.map(|(id, _)| id.as_str().to_owned());
        for (id, account) in &page {
            look(shard, id, account, now, &mut found);
        }
        if state.after.is_none() {
            state.next = now.seconds() + seconds(PAUSE);
            break;
        }
    }
    Ok(found)
}

fn look(shard: &ShardId, id: &AccountId, account: &Account, now: Timestamp, found: &mut Vec<Found>) {
    let Some(document) = account.document() else { return };
    if let Holder::Key(key) = &document.holder
        && let Some(expires) = key.expires
        && key.state == KeyState::Active
        && now < expires
        && expires.since(now) <= WEEK
    {
        let detail = SmallMap::from([("expires".to_owned(), expires.to_string())]);
        let text = format!("{id} expires at {expires}");
        found.push(notice(Event::KeyExpiring, shard, id.as_str(), &expires.to_string(), detail, text, now));
    }
    let limits = document.limits();
    if limits.budget.is_empty() && limits.soft_budget.is_empty() {
        return;
    }
    let statement = account.statement(now);
    for (lines, hard) in [(&statement.budget, true), (&statement.soft_budget, false)] {
        for line in lines {
            let Some((event, says)) = judged(line, hard, now) else { continue };
            let detail = SmallMap::from([
                ("budget".to_owned(), line.budget.clone()),
                ("spent".to_owned(), line.spent.to_string()),
                ("renews_at".to_owned(), line.renews_at.clone().unwrap_or_default()),
            ]);
            // A budget that renews is told of once in each of its periods; a rolling one once in a day.
            let rolls = line.budget.contains("rolling");
            let period = match &line.renews_at {
                Some(_) if rolls => (now.seconds() / 86_400).to_string(),
                Some(at) => at.clone(),
                None => String::new(),
            };
            let text = format!("{id} {says} `{}`: {} USD are spent", line.budget, line.spent);
            let which = format!("{}/{period}", line.budget);
            found.push(notice(event, shard, id.as_str(), &which, detail, text, now));
        }
    }
}

fn judged(line: &BudgetLine, hard: bool, now: Timestamp) -> Option<(Event, &'static str)> {
    let (limit, spent) = (u128::from(line.limit.nanos()), u128::from(line.spent.nanos()));
    if limit == 0 {
        return None;
    }
    if !hard {
        return (spent >= limit).then_some((Event::SoftLimit, "has passed its soft budget"));
    }
    if spent * 100 >= limit * 99 {
        return Some((Event::HardLimit, "has used up its budget"));
    }
    // What is spent, if it goes on like this to the period's end.
    let ends = Timestamp::parse(line.renews_at.as_deref()?)?.seconds();
    let length = length(&line.budget)?;
    let elapsed = length - (ends - now.seconds());
    let likely = elapsed * 10 >= length
        && u128::from(elapsed.unsigned_abs()) * limit < spent * u128::from(length.unsigned_abs());
    likely.then_some((Event::Projected, "will pass its budget before it renews:"))
}

/// About how many seconds a period of the calendar has; none for others.
fn length(budget: &str) -> Option<i64> {
    const DAY: i64 = 86_400;
    let period = budget.split_once('/')?.1.trim_start();
    let word = period.split_whitespace().next()?;
    Some(match word {
        "hour" => 3_600,
        "day" => DAY,
        "week" => 7 * DAY,
        "month" => 30 * DAY,
        "year" => 365 * DAY,
        _ => return None,
    })
}

/// Keys whose requests were refused because a budget is spent: their own, or one of what they belong to. A budget is
/// seldom spent to its last nano-dollar, for what a request may cost at most must fit in.
pub(super) fn refused(shard: &ShardId, asked: &[Asked], now: Timestamp) -> Vec<Found> {
    let over = asked.iter().filter(|asked| asked.over_budget > 0);
    let mut refused: Vec<(&str, u64)> = over.map(|asked| (asked.key.as_str(), asked.over_budget)).collect();
    sort_by(&mut refused, |(one, _), (other, _)| one.cmp(other));
    refused.dedup_by(|(key, more), (of, count)| {
        let same = key == of;
        *count += if same { *more } else { 0 };
        same
    });
    let day = (now.seconds() / 86_400).to_string();
    let tell = |(key, count): (&str, u64)| {
        let of = AccountId::key(key);
        let text = format!("{count} requests of {of} were refused today: a budget is spent");
        let detail = SmallMap::from([("refused".to_owned(), count.to_string())]);
        notice(Event::HardLimit, shard, of.as_str(), &day, detail, text, now)
    };
    refused.into_iter().map(tell).collect()
}

/// A sink that takes no records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Down {
    pub sink: String,
    /// Since when, in seconds.
    pub since: i64,
    pub why: String,
}

/// Each is told of once for each time that it is down.
pub(super) fn sinks(shard: &ShardId, down: &[Down], now: Timestamp) -> Vec<Found> {
    let tell = |down: &Down| {
        let since = Timestamp::from_seconds(down.since).to_string();
        let text = format!("the sink {} takes no records since {since}: {}", down.sink, down.why);
        let detail =
            SmallMap::from([("since".to_owned(), since.clone()), ("why".to_owned(), down.why.clone())]);
        notice(Event::SinkFailing, shard, &format!("sink/{}", down.sink), &since, detail, text, now)
    };
    down.iter().map(tell).collect()
}

/// Compares with what was asked some minutes ago.
pub(super) fn providers(window: &mut Window, shard: &ShardId, asked: &[Asked], now: Timestamp) -> Vec<Found> {
    const FEW: u64 = 10;
    let second = now.seconds();
    let age = second - window.at;
    if age < seconds(WINDOW) {
        return Vec::new();
    }
    let mut counts: SmallMap<String, (u64, u64)> = SmallMap::new();
    for Asked { provider, requests, failures, .. } in asked {
        let Some(provider) = provider else { continue };
        let count = counts.entry(provider.clone()).or_default();
        *count = (count.0.saturating_add(*requests), count.1.saturating_add(*failures));
    }
    let mut found = Vec::new();
    // What is too old is only where counting begins; what is of another day is more than there is now.
    if age < 4 * seconds(WINDOW) {
        for (provider, (requests, failures)) in &counts {
            let (before, failed) = window.counts.get(provider).copied().unwrap_or_default();
            let (Some(requests), Some(failures)) =
                (requests.checked_sub(before), failures.checked_sub(failed))
            else {
                continue;
            };
            if requests >= FEW && failures.saturating_mul(2) >= requests {
                let detail = SmallMap::from([
                    ("requests".to_owned(), requests.to_string()),
                    ("failures".to_owned(), failures.to_string()),
                ]);
                let text =
                    format!("{failures} of the last {requests} requests to {provider} ended in errors");
                let hour = (second / 3_600).to_string();
                found.push(notice(Event::ProviderFailing, shard, provider, &hour, detail, text, now));
            }
        }
    }
    window.at = second;
    window.counts = counts;
    found
}

fn notice(
    event: Event,
    shard: &ShardId,
    of: &str,
    which: &str,
    detail: SmallMap<String, String>,
    text: String,
    now: Timestamp,
) -> Found {
    let key = format!("{}:{of}:{which}", event.name());
    let digest = Sha256::digest(format!("{shard}:{key}").as_bytes());
    let id = digest.iter().take(12).fold("alert_".to_owned(), |id, byte| format!("{id}{byte:02x}"));
    let notice = Notice {
        id,
        event: event.name().to_owned(),
        at: now.to_string(),
        shard: shard.as_str().to_owned(),
        of: of.to_owned(),
        detail,
        text,
    };
    (event, key, notice)
}
