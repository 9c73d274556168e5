//! Records in the tools that people already use: what has come into the archive is told to each sink, in its words.
//!
//! Requests know nothing of sinks. What was archived stands in the feed ([`feed`]); each sink has a place in it, kept with all
//! the others' in one document a shard (`books/sinks/<shard>`). Whoever ticks claims the sinks that are due, reads the objects
//! that they have not heard of back from the archive, one at a time, and notes how far each has come. So every record is
//! told at least once, with the same ids each time, and a sink that is down holds up nobody: it is tried again, later and later,
//! and after three days what it would not take is put into the archive under `dead/`.

mod arize;
mod clickhouse;
mod datadog;
mod elastic;
mod langfuse;
mod otlp;
mod post;
mod proto;
mod said;
mod splunk;
mod stdout;
mod story;
mod webhook;

use std::time::Duration;

use gatelet_wire::SmallMap;
use serde::{Deserialize, Serialize};

use crate::domain::{Secret, ShardId, Timestamp};
use crate::policy::Sink;
use crate::port::{EXACT, Expect, Fault, FaultKind, Ports, feed};
use crate::together::together;

use post::{Batch, Refused};
use story::Story;

/// How the provider of a credential is named that is a sink's: `sinks/` and its name.
pub const CREDENTIAL: &str = "sinks/";
/// Requests of one batch.
const BATCH: usize = 200;
/// Bytes of one batch, as far as several have to be in one.
const BATCH_BYTES: usize = 1 << 20;
/// Batches of one sink in one tick.
const MOST_BATCHES: usize = 20;
/// The largest object that is read back, unpacked.
const LARGEST: usize = 64 << 20;
/// How long a sink that takes nothing is tried with the same.
const PATIENCE: Duration = Duration::from_hours(72);
/// How often a sink is tried with what it calls wrong.
const UNFIT: u32 = 5;
/// How long whoever tells has before somebody else may, and how long a sink waits where whoever told it has died: more than
/// [`TIME`] and one more batch, which is four requests at the most, each of which ends in ten seconds.
const CLAIM: Duration = Duration::from_mins(1);
/// A tick goes on to another batch for so long.
const TIME: Duration = Duration::from_secs(10);

/// How far each sink has come, by its name.
type State = SmallMap<String, Place>;

/// How far one has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    /// The number of the object in the feed.
    at: u64,
    /// Lines of it that are done with.
    line: usize,
    /// When it is tried again, in seconds.
    due: i64,
    /// How often it has failed in a row, and since when.
    pub tries: u32,
    pub since: i64,
    /// What it said last.
    pub why: String,
    /// Requests that it has heard of, and those that it would not take.
    pub told: u64,
    pub dead: u64,
}

impl Place {
    /// Whether it has failed for so long that somebody should know: half a minute at the least.
    pub fn is_down(&self) -> bool {
        const SOME: u32 = 4;
        self.tries >= SOME
    }
}

/// The standing of each sink of a shard, for those who look whether it works.
pub async fn standing(ports: &Ports, shard: &ShardId) -> Result<SmallMap<String, Place>, Fault> {
    Ok(read(ports, shard).await?.0)
}

/// Forgets how far sinks were that are no more, and what they have not heard of.
pub async fn close(ports: &Ports, shard: &ShardId) -> Result<(), Fault> {
    let (state, version) = read(ports, shard).await?;
    if version.is_none() {
        return Ok(());
    }
    let oldest = state.values().map(|place| place.at).min().unwrap_or(0);
    feed::close(&*ports.store, shard, oldest).await?;
    ports.store.delete(&name(shard)).await
}

/// Gives sinks that are new their places, before anything is archived that they are to hear of: whoever dies between the
/// two has lost nothing of it.
pub async fn enlist(ports: &Ports, sinks: &[Sink], shard: &ShardId) -> Result<(), Fault> {
    const TRIES: usize = 8;
    for _ in 0..TRIES {
        let (mut state, version) = read(ports, shard).await?;
        if version.is_some() && sinks.iter().all(|sink| state.contains_key(&*sink.name)) {
            return Ok(());
        }
        let at = if version.is_some() {
            feed::end(&*ports.store, shard).await?
        } else {
            // All that is noted was noted for these.
            feed::open(&*ports.store, shard).await?;
            0
        };
        for sink in sinks {
            state.entry(sink.name.to_string()).or_insert_with(|| Place { at, ..Place::default() });
        }
        if keep(ports, shard, &state, version).await?.is_some() {
            return Ok(());
        }
    }
    Err(Fault::new(FaultKind::Conflict, "sink.enlist", name(shard)))
}

/// Tells each sink what it has not heard of. `keys` are secrets by the sinks' names that take the place of those in the
/// configuration. Answers how many requests were told.
pub async fn tick(
    ports: &Ports,
    sinks: &[Sink],
    keys: &SmallMap<String, Secret>,
    shard: &ShardId,
) -> Result<usize, Fault> {
    let now = ports.clock.now();
    let end = feed::end(&*ports.store, shard).await?;
    let (mut state, version) = read(ports, shard).await?;
    let before = state.clone();
    state.retain(|name, _| sinks.iter().any(|sink| *sink.name == **name));
    let mut mine = Vec::new();
    for sink in sinks {
        let Some(place) = state.get_mut(&*sink.name) else { continue };
        if place.due <= now.seconds() && place.at < end {
            mine.push((sink, place.clone()));
            place.due = now.after(CLAIM).seconds();
        }
    }
    if state == before {
        return Ok(0);
    }
    if keep(ports, shard, &state, version).await?.is_none() || mine.is_empty() {
        return Ok(0);
    }
    let told = together(mine.into_iter().map(|(sink, place)| tell(ports, sink, keys, shard, place))).await;
    let heard = told.iter().map(|(_, count, _)| count).sum();
    loop {
        let (mut state, version) = read(ports, shard).await?;
        if version.is_none() {
            // There are no sinks any more.
            return Ok(heard);
        }
        let oldest = state.values().map(|place| place.at).min().unwrap_or(0);
        for (sink, _, place) in &told {
            state.insert(sink.name.to_string(), place.clone());
        }
        if keep(ports, shard, &state, version).await?.is_some() {
            let now_oldest = state.values().map(|place| place.at).min().unwrap_or(0);
            feed::forget(&*ports.store, shard, oldest, now_oldest).await?;
            return Ok(heard);
        }
    }
}

/// Goes on with one sink; answers how many requests it has heard of, and how far it is then.
async fn tell<'s>(
    ports: &Ports,
    sink: &'s Sink,
    keys: &SmallMap<String, Secret>,
    shard: &ShardId,
    mut place: Place,
) -> (&'s Sink, usize, Place) {
    let began = ports.clock.now();
    let before = place.told;
    let key = keys.get(&*sink.name).or(sink.key.as_ref());
    let mut most = BATCH;
    for _ in 0..MOST_BATCHES {
        if ports.clock.now().since(began) >= TIME {
            break;
        }
        match step(ports, sink, key, shard, &mut place, &mut most).await {
            Ok(true) => {}
            Ok(false) => break,
            Err(fault) => {
                place.failed(&format!("{:?}", fault.kind), None, ports.clock.now());
                ports.log.failed(&format!("records were not told to `{}`", sink.name), &fault);
                break;
            }
        }
    }
    if place.tries == 0 {
        place.due = 0;
    }
    let told = usize::try_from(place.told - before).unwrap_or(usize::MAX);
    (sink, told, place)
}

/// One batch of one object. False: there is nothing more, or it failed and is tried again later.
async fn step(
    ports: &Ports,
    sink: &Sink,
    key: Option<&Secret>,
    shard: &ShardId,
    place: &mut Place,
    most: &mut usize,
) -> Result<bool, Fault> {
    let Some(names) = feed::read(&*ports.store, shard, place.at).await? else {
        // What it had not heard of is forgotten: nobody waits for it any more.
        let next = (place.at / feed::PAGE + 1) * feed::PAGE;
        let end = feed::end(&*ports.store, shard).await?;
        place.at = next.min(end);
        place.line = 0;
        return Ok(place.at < end);
    };
    let Some(names) = names.first() else { return Ok(false) };
    let (name, content) =
        names.split_once(' ').map_or((&**names, None), |(name, content)| (name, Some(content)));
    let (mut stories, mut whole) = match ports.archive.read(name).await? {
        Some(packed) => {
            let text = ports.packer.unpack(packed, LARGEST).await?;
            let text = std::str::from_utf8(&text).unwrap_or_default();
            Story::read(text, sink, place.line, *most, BATCH_BYTES)
        }
        // It is older than records are kept.
        None => (Vec::new(), true),
    };
    if stories.is_empty() {
        place.next();
        return Ok(true);
    }
    if sink.content
        && let Some(content) = content
    {
        let packed = ports.archive.read(content).await?.unwrap_or_default();
        if let Ok(text) = ports.packer.unpack(packed, LARGEST).await {
            post::join(&mut stories, std::str::from_utf8(&text).unwrap_or_default());
        }
        // What was said is longer than what was written down of it.
        let mut size = 0;
        let fits = stories.iter().take_while(|(_, story)| {
            let first = size == 0;
            size += story.said();
            first || size <= BATCH_BYTES
        });
        let fits = fits.count().max(1);
        whole &= fits == stories.len();
        stories.truncate(fits);
    }
    let (taken, last) = (stories.len(), stories.last().map_or(0, |(last, _)| *last));
    let stories: Vec<Story> = stories.into_iter().map(|(_, story)| story).collect();
    let batch = Batch { stories: &stories, key, sink };
    let now = ports.clock.now();
    let gone = match post::send(ports, &batch).await {
        Ok(()) => {
            place.told += taken as u64;
            (place.tries, place.since, place.due, place.why) = (0, 0, 0, String::new());
            None
        }
        Err(Refused::TooLarge) if taken > 1 => {
            *most = (taken / 2).max(1);
            return Ok(true);
        }
        Err(Refused::TooLarge) => Some("it is too large".to_owned()),
        Err(Refused::Unfit(why)) => {
            place.failed(&why, None, now);
            if place.tries < UNFIT {
                return Ok(false);
            }
            Some(why)
        }
        Err(Refused::Later(after, why)) => {
            place.failed(&why, after, now);
            if now.seconds() - place.since < i64::try_from(PATIENCE.as_secs()).unwrap_or(i64::MAX) {
                return Ok(false);
            }
            Some(why)
        }
    };
    if let Some(why) = gone {
        bury(ports, sink, shard, &stories, &why).await?;
        place.dead += taken as u64;
        place.tries = 0;
    }
    if whole {
        place.next();
    } else {
        place.line = last + 1;
    }
    Ok(true)
}

impl Place {
    fn next(&mut self) {
        (self.at, self.line) = (self.at + 1, 0);
    }

    /// Two seconds, four, eight … an hour; or what the sink asks for, up to that.
    fn failed(&mut self, why: &str, after: Option<u64>, now: Timestamp) {
        const LONGEST: i64 = 3_600;
        self.tries += 1;
        if self.since == 0 {
            self.since = now.seconds();
        }
        let pause = 1_i64 << self.tries.min(12);
        let asked = after.and_then(|after| i64::try_from(after).ok()).unwrap_or(0);
        self.due = now.seconds() + pause.max(asked).min(LONGEST);
        self.why = why.chars().take(200).collect();
    }
}

/// What nobody takes is kept where everything is kept: why, and the lines.
async fn bury(
    ports: &Ports,
    sink: &Sink,
    shard: &ShardId,
    stories: &[Story],
    why: &str,
) -> Result<(), Fault> {
    let mut text = serde_json::json!({ "kind": "dead_letter", "sink": sink.name, "why": why }).to_string();
    for story in stories {
        for line in story.attempts.iter().chain([&story.line]) {
            text.push('\n');
            text.push_str(&line.to_string());
        }
    }
    text.push('\n');
    let first = stories.first().map_or("none", Story::id);
    let name = format!("dead/v1/{shard}/{}/{first}-{}.ndjson.gz", sink.name, stories.len());
    let packed = ports.packer.pack(text.into()).await?;
    ports.archive.write(&name, packed).await.map(drop)
}

async fn read(ports: &Ports, shard: &ShardId) -> Result<(State, Option<u64>), Fault> {
    let Some(document) = ports.store.get(&name(shard)).await? else { return Ok((State::new(), None)) };
    let state = gatelet_wire::json::read(&document.bytes)
        .map_err(|error| Fault::new(FaultKind::Corrupt, "sink.read", name(shard)).with_source(error))?;
    Ok((state, Some(document.version)))
}

/// Writes how far all are; none: somebody else has.
async fn keep(
    ports: &Ports,
    shard: &ShardId,
    state: &State,
    version: Option<u64>,
) -> Result<Option<u64>, Fault> {
    let corrupt = |error| Fault::new(FaultKind::Corrupt, "sink.keep", name(shard)).with_source(error);
    let bytes = serde_json::to_vec(state).map_err(corrupt)?;
    let expect = version.map_or(Expect::Absent, Expect::Version);
    match ports.store.put(&name(shard), bytes.into(), expect).await {
        Ok(version) => Ok(Some(version)),
        Err(fault) if fault.kind == FaultKind::Conflict => Ok(None),
        Err(fault) => Err(fault),
    }
}

fn name(shard: &ShardId) -> String {
    format!("{EXACT}sinks/{shard}")
}
