//! What leaves the archive: what is older than it is to be kept, and somebody's content on request.
//!
//! Both go through the archive hour by hour, a bounded number of objects a tick, and note how far they are in a document of the
//! shard. An object is written anew without the lines that go, or is removed when none is left; whatever is done twice is done once.
//! What is on legal hold stays. Content that is asked to be deleted and has not come to the archive yet does not come there.

use bytes::Bytes;
use gatelet_wire::json::each_field;
use serde::{Deserialize, Serialize};

use super::drain::{HOUR_MICROS, folder, pack};
use super::search::{hour_of, names};
use crate::domain::{Scope, ShardId, Timestamp};
use crate::policy::Retention;
use crate::port::{EXACT, Expect, Fault, FaultKind, Ports};

/// Objects that one tick looks at, and hours.
const OBJECTS: usize = 20;
const HOURS: usize = 48;
/// The largest object, unpacked.
const LARGEST: usize = 64 << 20;
/// How long after it was asked for a deletion begins: whoever moves content at that moment has come to an end.
const SETTLES: std::time::Duration = std::time::Duration::from_mins(1);
/// For how long content that comes late is held back.
const LATE: std::time::Duration = std::time::Duration::from_hours(48);
/// Deletions of one shard that are remembered.
const MOST_ERASURES: usize = 1_000;

const CONTENT: &str = "content/v1/";
const RECORDS: &str = "v1/";

/// How far a shard's archive has been looked through.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct State {
    /// Hours before these are done.
    content: Option<i64>,
    records: Option<i64>,
    /// Who was on hold then.
    hold: Vec<(Box<str>, Box<str>)>,
    erasures: Vec<Erasure>,
}

/// A deletion of somebody's content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Erasure {
    pub id: String,
    /// Whose: a record's field, and its value.
    pub field: String,
    pub value: String,
    /// What came until then.
    pub until: Timestamp,
    /// The hour that is next.
    hour: Option<i64>,
    pub done: bool,
}

/// Asks for the deletion of somebody's content, of all that came until now. Asked twice it is done once.
pub async fn erase(ports: &Ports, shard: &ShardId, erasure: Erasure) -> Result<Erasure, Fault> {
    loop {
        let (mut state, version) = read(ports, shard).await?;
        state.erasures.push(erasure.clone());
        let many = state.erasures.len().saturating_sub(MOST_ERASURES);
        let mut dropped = 0;
        state.erasures.retain(|erasure| {
            let drop = dropped < many && erasure.done;
            dropped += usize::from(drop);
            !drop
        });
        if state.erasures.len() > MOST_ERASURES {
            return Err(Fault::new(FaultKind::TooLarge, "record.erase", "too many deletions are under way"));
        }
        if write(ports, shard, &state, version).await? {
            return Ok(erasure);
        }
    }
}

impl Erasure {
    pub fn new(id: String, field: &str, value: &str, until: Timestamp) -> Self {
        Self { id, field: field.to_owned(), value: value.to_owned(), until, hour: None, done: false }
    }
}

/// The deletions of a shard, the oldest first.
pub async fn erasures(ports: &Ports, shard: &ShardId) -> Result<Vec<Erasure>, Fault> {
    Ok(read(ports, shard).await?.0.erasures)
}

/// What has come before this moment has left as it became too old, but for what was on hold. None: nothing has.
pub async fn content_from(ports: &Ports, shard: &ShardId) -> Result<Option<Timestamp>, Fault> {
    let hour = read(ports, shard).await?.0.content;
    Ok(hour.map(|hour| Timestamp::from_micros(hour.saturating_mul(HOUR_MICROS))))
}

/// Goes on with what is to leave; answers how many objects were changed or removed.
pub async fn tidy(ports: &Ports, shard: &ShardId, retention: &Retention) -> Result<usize, Fault> {
    let (before, version) = read(ports, shard).await?;
    let mut state = before.clone();
    if state.hold != retention.hold {
        // Whoever is no longer on hold has waited behind what is done.
        (state.content, state.records) = (None, None);
        state.hold.clone_from(&retention.hold);
    }
    let now = ports.clock.now();
    let mut round = Round { ports, shard, objects: 0, hours: 0, changed: 0 };
    let held = |owners: &Owners<'_>| retention.hold.iter().any(|(field, value)| owners.is(field, value));
    for (prefix, keep) in [(CONTENT, retention.content), (RECORDS, retention.records)] {
        let Some(keep) = keep else { continue };
        let cursor = if prefix == CONTENT { &mut state.content } else { &mut state.records };
        let end = hour(Timestamp::from_micros(now.micros() - micros(keep)));
        let goes = |owners: &Owners<'_>| !held(owners);
        *cursor = round.walk(prefix, *cursor, end, !retention.hold.is_empty(), &goes).await?;
    }
    for erasure in state.erasures.iter_mut().filter(|erasure| !erasure.done) {
        if now < erasure.until.after(SETTLES) {
            continue;
        }
        let end = hour(erasure.until) + 1;
        let until = erasure.until;
        let (field, value) = (erasure.field.clone(), erasure.value.clone());
        let goes = |owners: &Owners<'_>| owners.is(&field, &value) && owners.at <= until && !held(owners);
        erasure.hour = round.walk(CONTENT, erasure.hour, end, true, &goes).await?;
        erasure.done = erasure.hour.is_some_and(|hour| hour >= end);
    }
    if state != before {
        // Somebody else was faster: what was done stays done, and is found to be.
        write(ports, shard, &state, version).await?;
    }
    Ok(round.changed)
}

/// Content that may come to the archive: not that of which somebody has asked that it be deleted.
pub(super) async fn withhold(
    ports: &Ports,
    shard: &ShardId,
    contents: &mut Vec<(usize, String)>,
) -> Result<(), Fault> {
    if contents.is_empty() {
        return Ok(());
    }
    let now = ports.clock.now();
    let (State { erasures, hold, .. }, _) = read(ports, shard).await?;
    let late: Vec<Erasure> =
        erasures.into_iter().filter(|erasure| now < erasure.until.after(LATE) || !erasure.done).collect();
    if late.is_empty() {
        return Ok(());
    }
    contents.retain(|(_, line)| {
        Owners::read(line).is_none_or(|owners| {
            let held = hold.iter().any(|(field, value)| owners.is(field, value));
            let asked = |one: &Erasure| owners.is(&one.field, &one.value) && owners.at <= one.until;
            held || !late.iter().any(asked)
        })
    });
    Ok(())
}

/// One tick's work on one shard.
struct Round<'a> {
    ports: &'a Ports,
    shard: &'a ShardId,
    objects: usize,
    hours: usize,
    changed: usize,
}

impl Round<'_> {
    /// Goes on from the hour `from`, or from the oldest, up to before `end`; answers the hour that is next. `looks`: not all lines
    /// go, so they are read.
    async fn walk(
        &mut self,
        prefix: &str,
        from: Option<i64>,
        end: i64,
        looks: bool,
        goes: &(dyn Fn(&Owners<'_>) -> bool + Sync),
    ) -> Result<Option<i64>, Fault> {
        let mut at = from;
        while at.is_none_or(|at| at < end) {
            if self.objects >= OBJECTS || self.hours >= HOURS {
                return Ok(at);
            }
            self.hours += 1;
            let after = at.map(|at| format!("{prefix}{}", folder(at)));
            let next = self.ports.archive.list(prefix, after.as_deref(), 1).await?;
            let Some(hour) =
                next.first().and_then(|name| hour_of(name.strip_prefix("content/").unwrap_or(name)))
            else {
                return Ok(Some(end));
            };
            if hour >= end {
                return Ok(Some(end));
            }
            let mut lists = 0;
            for name in names(self.ports, self.shard, prefix, hour, &mut lists).await? {
                self.objects += 1;
                self.changed += usize::from(self.thin(&name, looks, goes).await?);
            }
            at = Some(hour + 1);
        }
        Ok(at)
    }

    /// Takes out of an object what goes; whether that was anything.
    async fn thin(
        &self,
        name: &str,
        looks: bool,
        goes: &(dyn Fn(&Owners<'_>) -> bool + Sync),
    ) -> Result<bool, Fault> {
        let Self { ports, .. } = self;
        if !looks {
            ports.archive.replace(name, None).await?;
            return Ok(true);
        }
        let Some(packed) = ports.archive.read(name).await? else { return Ok(false) };
        let text = ports.packer.unpack(packed, LARGEST).await?;
        let text = String::from_utf8_lossy(&text);
        // An attempt says only whose request it is of, and stands before it.
        let stay: Vec<&str> = text
            .lines()
            .filter_map(Owners::read)
            .filter(|owners| owners.names && !goes(owners))
            .map(|owners| owners.id)
            .collect();
        let stays = |line: &&str| Owners::read(line).is_none_or(|owners| stay.contains(&owners.id));
        let left: Vec<&str> = text.lines().filter(stays).collect();
        if left.len() == text.lines().count() {
            return Ok(false);
        }
        let bytes: Option<Bytes> =
            if left.is_empty() { None } else { Some(pack(ports, left.into_iter()).await?) };
        ports.archive.replace(name, bytes).await?;
        Ok(true)
    }
}

/// Whose a line is.
struct Owners<'l> {
    id: &'l str,
    at: Timestamp,
    line: &'l str,
    /// It says whose it is.
    names: bool,
}

impl<'l> Owners<'l> {
    fn read(line: &'l str) -> Option<Self> {
        let (mut id, mut at, mut attempt) = (None, None, false);
        each_field(line, &mut |name, value| match name {
            "kind" => attempt = value == "attempt",
            "id" => id = Some(value),
            "at" => at = Timestamp::parse(&value),
            _ => {}
        })?;
        let std::borrow::Cow::Borrowed(id) = id? else { return None };
        Some(Self { id, at: at?, line, names: !attempt })
    }

    fn is(&self, field: &str, wanted: &str) -> bool {
        let (mut is, mut said) = (false, false);
        let _read = each_field(self.line, &mut |name, value| {
            if name == field {
                (is, said) = (value == wanted, true);
            }
        });
        is || (!said && field == "org" && wanted == Scope::DEFAULT_ORG)
    }
}

fn hour(at: Timestamp) -> i64 {
    at.micros().div_euclid(HOUR_MICROS)
}

fn micros(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX / 2)
}

fn name(shard: &ShardId) -> String {
    format!("{EXACT}tidy/{shard}")
}

async fn read(ports: &Ports, shard: &ShardId) -> Result<(State, Option<u64>), Fault> {
    let Some(document) = ports.store.get(&name(shard)).await? else { return Ok((State::default(), None)) };
    let state = gatelet_wire::json::read(&document.bytes)
        .map_err(|error| Fault::new(FaultKind::Corrupt, "record.tidy", name(shard)).with_source(error))?;
    Ok((state, Some(document.version)))
}

/// False: somebody else was faster.
async fn write(ports: &Ports, shard: &ShardId, state: &State, version: Option<u64>) -> Result<bool, Fault> {
    let corrupt = |error| Fault::new(FaultKind::Corrupt, "record.tidy", name(shard)).with_source(error);
    let bytes = serde_json::to_vec(state).map_err(corrupt)?;
    let expect = version.map_or(Expect::Absent, Expect::Version);
    match ports.store.put(&name(shard), bytes.into(), expect).await {
        Ok(_) => Ok(true),
        Err(fault) if fault.kind == FaultKind::Conflict => Ok(false),
        Err(fault) => Err(fault),
    }
}
