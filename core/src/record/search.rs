//! Reading records back: the newest first, or one by its id.
//!
//! There is no index. An object's name says its hour, and the first and the last moment of what it holds, so a search lists
//! an hour's names and reads its objects from the last to the first; a record's id says its moment, so one of them is in an
//! hour, and in those few objects whose span has that moment. What has not come to the archive yet is in the outbox.

use std::collections::BTreeSet;

use gatelet_wire::json::each_field;

use super::drain::{HOUR_MICROS, folder};
use crate::domain::{RequestId, Scope, ShardId, Timestamp};
use crate::port::{Fault, Ports};

/// Objects that one call reads at the most, and lists of names.
const OBJECTS: usize = 24;
const LISTS: usize = 60;
/// Names of one list.
const NAMES: usize = 1_000;
/// Lists of one hour: some hundred objects a second.
const LISTS_OF_HOUR: usize = 12;
/// Entries of the outbox that are looked at.
const WAITING: usize = 2_000;
/// The largest object that is read, unpacked.
const LARGEST: usize = 64 << 20;

/// What is looked for.
#[derive(Clone, Debug)]
pub struct Search {
    pub from: Timestamp,
    /// Not after this.
    pub to: Timestamp,
    /// Fields of the request's record and what they are; a list has it among others.
    pub only: Vec<(String, String)>,
    pub limit: usize,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Lines of requests, the newest first.
    pub lines: Vec<String>,
    /// Give it back to go on, be there lines or not; none: there is no more.
    pub next: Option<String>,
    /// Objects that were read.
    pub reads: usize,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Shown {
    pub request: String,
    pub attempts: Vec<String>,
    /// What it said and was answered, where that is kept and was asked for.
    pub content: Option<String>,
}

/// Where a search goes on: in this hour, before this object, or within it before this line.
#[derive(Clone, Debug)]
struct Cursor {
    hour: i64,
    /// None: from the hour's end.
    name: Option<String>,
    line: usize,
}

impl Cursor {
    /// No hour: in the outbox, before the entry that `name` is.
    const OUTBOX: i64 = i64::MAX;

    fn read(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let (hour, line) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Self { hour, line, name: parts.next().filter(|name| !name.is_empty()).map(str::to_owned) })
    }

    fn text(&self) -> String {
        format!("{}:{}:{}", self.hour, self.line, self.name.as_deref().unwrap_or_default())
    }
}

/// Looks for records. None: `after` is no place where a search goes on.
pub async fn search(
    ports: &Ports,
    shard: &ShardId,
    search: &Search,
    after: Option<&str>,
) -> Result<Option<Found>, Fault> {
    let mut found = Found::default();
    let mut seen = BTreeSet::new();
    let start = match after {
        Some(text) => Cursor::read(text),
        None => Some(Cursor { hour: Cursor::OUTBOX, name: None, line: 0 }),
    };
    let Some(mut cursor) = start else { return Ok(None) };
    if cursor.hour == Cursor::OUTBOX {
        let before = cursor.name.as_deref();
        if let Some(name) = waiting(ports, shard, search, before, &mut found, &mut seen).await? {
            found.next = Some(Cursor { name: Some(name), ..cursor }.text());
            return Ok(Some(found));
        }
        cursor = Cursor { hour: search.to.micros().div_euclid(HOUR_MICROS), name: None, line: 0 };
    }
    // Nobody goes back beyond the oldest object.
    let Some(oldest) = ports.archive.list("v1/", None, 1).await?.first().and_then(|name| hour_of(name))
    else {
        return Ok(Some(found));
    };
    let first = search.from.micros().div_euclid(HOUR_MICROS).max(oldest);
    let mut lists = 1;
    while cursor.hour >= first {
        if lists >= LISTS || found.reads >= OBJECTS || found.lines.len() >= search.limit {
            found.next = Some(cursor.text());
            return Ok(Some(found));
        }
        // A day without anything is passed over at once.
        lists += 1;
        if cursor.name.is_none() && cursor.hour.rem_euclid(24) == 23 && is_empty(ports, cursor.hour).await? {
            cursor.hour -= 24;
            continue;
        }
        let names = names(ports, shard, "v1/", cursor.hour, &mut lists).await?;
        let mut rest: Vec<&String> = names.iter().collect();
        if let Some(name) = &cursor.name {
            rest.retain(|other| *other < name || (*other == name && cursor.line > 0));
        }
        while let Some(name) = rest.pop() {
            if found.reads >= OBJECTS || found.lines.len() >= search.limit {
                cursor = Cursor { name: Some(format!("{name}~")), line: 0, ..cursor };
                found.next = Some(cursor.text());
                return Ok(Some(found));
            }
            let text = read(ports, name).await?;
            found.reads += 1;
            let resumed = cursor.name.as_deref() == Some(name) && cursor.line > 0;
            let most = if resumed { cursor.line } else { usize::MAX };
            let lines: Vec<&str> = text.lines().take(most).collect();
            for (place, line) in lines.iter().enumerate().rev() {
                if found.lines.len() >= search.limit {
                    cursor = Cursor { name: Some(name.clone()), line: place + 1, ..cursor };
                    found.next = Some(cursor.text());
                    return Ok(Some(found));
                }
                if fits(line, search).is_some_and(|id| seen.insert(id)) {
                    found.lines.push((*line).to_owned());
                }
            }
        }
        cursor = Cursor { hour: cursor.hour - 1, name: None, line: 0 };
    }
    Ok(Some(found))
}

/// One request by its id, in constant work; with its `content`, where there is some.
pub async fn show(ports: &Ports, shard: &ShardId, id: &str, content: bool) -> Result<Option<Shown>, Fault> {
    let moment = RequestId::new(id).bits() >> 80;
    let Some(moment) = i64::try_from(moment).ok().and_then(|millis| millis.checked_mul(1_000)) else {
        return Ok(None);
    };
    for entry in ports.ledger.outbox(shard, WAITING).await? {
        if entry.id.ends_with(id)
            && let Some(mut shown) = shown(&entry.line, id)
        {
            if content {
                shown.content = super::content::waiting(ports, shard, &entry).await?;
            }
            return Ok(Some(shown));
        }
    }
    let mut lists = 0;
    let spans =
        |name: &&String| span(name).is_some_and(|(first, last)| first <= moment + 999 && moment <= last);
    let names = names(ports, shard, "v1/", moment.div_euclid(HOUR_MICROS), &mut lists).await?;
    for name in names.iter().filter(spans).rev().take(OBJECTS) {
        if let Some(mut shown) = shown(&read(ports, name).await?, id) {
            if content && shown.request.contains(super::content::MARK) {
                let text = read(ports, &super::content::name_of(name)).await?;
                shown.content = super::content::find(&text, id).map(str::to_owned);
            }
            return Ok(Some(shown));
        }
    }
    Ok(None)
}

/// What has not been archived, before the entry of this id. Answers where to go on, if there is no room for more.
async fn waiting(
    ports: &Ports,
    shard: &ShardId,
    search: &Search,
    before: Option<&str>,
    found: &mut Found,
    seen: &mut BTreeSet<String>,
) -> Result<Option<String>, Fault> {
    let entries = ports.ledger.outbox(shard, WAITING).await?;
    let mut last = None;
    for entry in entries.iter().rev().filter(|entry| before.is_none_or(|before| *entry.id < *before)) {
        let line = entry.line.rsplit('\n').next().unwrap_or_default();
        if let Some(id) = fits(line, search) {
            if found.lines.len() >= search.limit {
                return Ok(last);
            }
            if seen.insert(id) {
                found.lines.push(line.to_owned());
            }
        }
        last = Some(entry.id.to_string());
    }
    Ok(None)
}

/// The id of a request that is looked for.
fn fits(line: &str, search: &Search) -> Option<String> {
    let (mut id, mut at, mut request, mut org) = (None, None, false, false);
    let mut missing = search.only.len();
    each_field(line, &mut |name, value| {
        for (field, wanted) in &search.only {
            if field == name {
                let among = value.starts_with('[')
                    && gatelet_wire::json::from_str::<Vec<String>>(&value)
                        .is_ok_and(|list| list.contains(wanted));
                // What a target begins with is its provider.
                let begins = name == "target" && value.split('/').next() == Some(wanted.as_str());
                missing = missing.saturating_sub(usize::from(value == wanted.as_str() || among || begins));
            }
        }
        match name {
            "kind" => request = value == "request",
            "org" => org = true,
            "id" => id = Some(value.into_owned()),
            "at" => at = Timestamp::parse(&value),
            _ => {}
        }
    })?;
    // A record of the usual organisation does not name it.
    let usual = |(field, wanted): &(String, String)| field == "org" && wanted == Scope::DEFAULT_ORG;
    if !org && search.only.iter().any(usual) {
        missing = missing.saturating_sub(1);
    }
    let at = at?;
    (request && missing == 0 && search.from <= at && at <= search.to).then_some(id?)
}

fn shown(text: &str, id: &str) -> Option<Shown> {
    let (mut request, mut attempts) = (None, Vec::new());
    for line in text.lines().filter(|line| line.contains(id)) {
        let (mut kind, mut mine) = (None, false);
        each_field(line, &mut |name, value| match name {
            "kind" => kind = Some(value),
            "id" => mine = value == id,
            _ => {}
        })?;
        match kind.as_deref() {
            Some("request") if mine => request = Some(line.to_owned()),
            Some("attempt") if mine => attempts.push(line.to_owned()),
            _ => {}
        }
    }
    Some(Shown { request: request?, attempts, content: None })
}

async fn read(ports: &Ports, name: &str) -> Result<String, Fault> {
    let Some(packed) = ports.archive.read(name).await? else { return Ok(String::new()) };
    let text = ports.packer.unpack(packed, LARGEST).await?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Whether there is nothing of the day that an hour is of.
async fn is_empty(ports: &Ports, hour: i64) -> Result<bool, Fault> {
    let folder = folder(hour);
    let day = folder.split('/').next().unwrap_or_default();
    Ok(ports.archive.list(&format!("v1/{day}/"), None, 1).await?.is_empty())
}

/// The hour since 1970 that an object's folder names.
pub(super) fn hour_of(name: &str) -> Option<i64> {
    let (date, rest) = name.strip_prefix("v1/date=")?.split_once("/hour=")?;
    let hour: i64 = rest.get(..2)?.parse().ok()?;
    Some(Timestamp::parse(&format!("{date}T00:00:00Z"))?.micros() / HOUR_MICROS + hour)
}

/// The names of an hour's objects of a shard, in order: those that begin with `of`.
pub(super) async fn names(
    ports: &Ports,
    shard: &ShardId,
    of: &str,
    hour: i64,
    lists: &mut usize,
) -> Result<Vec<String>, Fault> {
    let prefix = format!("{of}{}/{shard}-", folder(hour));
    let mut names: Vec<String> = Vec::new();
    for _ in 0..LISTS_OF_HOUR {
        let page = ports.archive.list(&prefix, names.last().map(String::as_str), NAMES).await?;
        *lists += 1;
        let whole = page.len() < NAMES;
        names.extend(page);
        if whole {
            break;
        }
    }
    Ok(names)
}

/// The first and the last moment of what an object holds.
fn span(name: &str) -> Option<(i64, i64)> {
    let mut parts = name.rsplit('/').next()?.split('-').skip(1);
    let first = parts.next()?.parse().ok()?;
    let last = match (parts.next()?, parts.next()) {
        (last, Some(_)) => last.parse().ok()?,
        // Of before names said the last: somewhere in its hour.
        (_, None) => first + HOUR_MICROS,
    };
    Some((first, last))
}
