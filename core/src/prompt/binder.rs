//! Where prompts are: each organisation has one document that lists its prompts, and each version is a document of its own.
//!
//! The list, `books/prompts/<shard>/<organisation>`, is written as its next version or not at all, and every host reads it as it was
//! written last; requests look at a copy that is a few seconds old at the most. A version is named by what stands in it, so it
//! is never changed, and one that was written by somebody who then lost the race is nobody's.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gatelet_wire::SmallMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::Prompt;
use crate::domain::{ShardId, Timestamp};
use crate::port::{EXACT, Expect, Fault, FaultKind, Ports};

/// All prompts of an organisation, in order of their names.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Binder {
    pub prompts: Vec<Listed>,
    /// Of the document; none: there is none yet.
    #[serde(skip)]
    version: Option<u64>,
}

/// A prompt in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    pub name: String,
    /// The oldest first. None: it was deleted, and its name is kept so that no number stands for two versions.
    pub versions: Vec<Edition>,
    /// The number of the last one that was made.
    pub last: u64,
    /// Names for versions, such as `production`.
    #[serde(default, skip_serializing_if = "SmallMap::is_empty")]
    pub labels: SmallMap<String, u64>,
    pub created: Timestamp,
    pub updated: Timestamp,
}

/// One version of a prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edition {
    pub version: u64,
    pub at: Timestamp,
    /// Of what stands in it: a part of its document's name.
    hash: String,
}

const OPERATION: &str = "prompt";
/// The longest list, in bytes: some 2,000 versions, which every host keeps in one document.
const LONGEST: usize = 200 << 10;
/// Versions of one prompt. The oldest that no label names makes room.
const MOST_VERSIONS: usize = 200;

impl Binder {
    /// The list as it stands.
    pub async fn read(ports: &Ports, shard: &ShardId, org: &str) -> Result<Self, Fault> {
        let name = list_of(shard, org);
        let Some(document) = ports.store.get(&name).await? else { return Ok(Self::default()) };
        let binder: Self = gatelet_wire::json::read(&document.bytes)
            .map_err(|error| Fault::new(FaultKind::Corrupt, OPERATION, name).with_source(error))?;
        Ok(Self { version: Some(document.version), ..binder })
    }

    /// Writes it. [`FaultKind::Conflict`]: somebody else was faster.
    ///
    /// # Errors
    /// [`FaultKind::TooLarge`]: there are too many prompts and versions.
    pub async fn keep(&self, ports: &Ports, shard: &ShardId, org: &str) -> Result<(), Fault> {
        let name = list_of(shard, org);
        let bytes = serde_json::to_vec(self)
            .map_err(|error| Fault::new(FaultKind::Corrupt, OPERATION, name.clone()).with_source(error))?;
        if bytes.len() > LONGEST {
            return Err(Fault::new(FaultKind::TooLarge, OPERATION, name));
        }
        let expect = self.version.map_or(Expect::Absent, Expect::Version);
        ports.store.put(&name, bytes.into(), expect).await.map(drop)
    }

    /// One that was not deleted.
    pub fn get(&self, name: &str) -> Option<&Listed> {
        self.prompts.iter().find(|listed| listed.name == name && listed.is_there())
    }

    /// The place of a name, where nothing need be.
    pub fn slot(&mut self, name: &str, now: Timestamp) -> Option<&mut Listed> {
        let found = self.prompts.binary_search_by(|listed| listed.name.as_str().cmp(name));
        if let Err(place) = found {
            let new = Listed {
                name: name.to_owned(),
                versions: Vec::new(),
                last: 0,
                labels: SmallMap::new(),
                created: now,
                updated: now,
            };
            self.prompts.insert(place, new);
        }
        self.prompts.get_mut(found.unwrap_or_else(|place| place))
    }
}

impl Listed {
    pub fn is_there(&self) -> bool {
        !self.versions.is_empty()
    }

    /// The version that a request means: a number, a label, or `latest`, which nothing means too.
    pub fn edition(&self, asked: Option<&str>) -> Option<&Edition> {
        let Some(asked) = asked.filter(|asked| *asked != LATEST) else { return self.versions.last() };
        let version = self.labels.get(asked).copied().or_else(|| asked.parse().ok())?;
        self.versions.iter().find(|edition| edition.version == version)
    }

    /// Another version: what `prompt` says. Answers the one that it made room for.
    pub fn add(&mut self, prompt: &Prompt, now: Timestamp) -> Option<Edition> {
        self.last += 1;
        let full = self.versions.len() >= MOST_VERSIONS;
        let unnamed = |edition: &Edition| !self.labels.values().any(|named| *named == edition.version);
        let place = full.then(|| self.versions.iter().position(unnamed)).flatten();
        let gone = place.map(|place| self.versions.remove(place));
        self.versions.push(Edition { version: self.last, at: now, hash: hash(&text(prompt)) });
        self.updated = now;
        gone
    }
}

/// The label of the newest version, which nobody gives.
pub const LATEST: &str = "latest";

fn text(prompt: &Prompt) -> String {
    Value::from(prompt.said().clone()).to_string()
}

/// Sixteen bytes of SHA-256, in hexadecimal.
fn hash(text: &str) -> String {
    let whole = Sha256::digest(text);
    let halves = whole.as_chunks::<16>().0;
    halves.first().map(|half| format!("{:032x}", u128::from_be_bytes(*half))).unwrap_or_default()
}

fn list_of(shard: &ShardId, org: &str) -> String {
    format!("{EXACT}prompts/{shard}/{org}")
}

/// The prompts that requests have named lately.
#[derive(Debug, Default)]
pub struct Prompts(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    binders: Vec<(String, Timestamp, Arc<Binder>)>,
    /// By the names of their documents, which say all of them; the one that was read last comes last.
    read: Vec<(String, usize, Arc<Prompt>)>,
}

/// How old a copy of a list may be: what was changed elsewhere holds after so long.
const AGE: Duration = Duration::from_secs(10);
const MOST_BINDERS: usize = 64;
/// Bytes of versions that stay in memory.
const MOST_READ: usize = 4 << 20;

impl Prompts {
    /// The prompts of an organisation, as they were a moment ago.
    pub async fn of(&self, ports: &Ports, shard: &ShardId, org: &str) -> Result<Arc<Binder>, Fault> {
        let (name, now) = (list_of(shard, org), ports.clock.now());
        let known = self.lock().binders.iter().find(|(known, ..)| *known == name).cloned();
        if let Some((_, _, binder)) = known.as_ref().filter(|(_, read, _)| now.since(*read) < AGE) {
            return Ok(binder.clone());
        }
        let binder = match (Binder::read(ports, shard, org).await, known) {
            (Ok(binder), _) => Arc::new(binder),
            // The store is down: what was true some time ago is better than no answer.
            (Err(fault), Some((_, _, binder))) if fault.kind.is_temporary() => return Ok(binder),
            (Err(fault), _) => return Err(fault),
        };
        let mut memory = self.lock();
        memory.binders.retain(|(known, ..)| *known != name);
        if memory.binders.len() >= MOST_BINDERS {
            memory.binders.remove(0);
        }
        memory.binders.push((name, now, binder.clone()));
        Ok(binder)
    }

    /// A version; none: it is gone.
    pub async fn read(
        &self,
        ports: &Ports,
        shard: &ShardId,
        org: &str,
        listed: &Listed,
        edition: &Edition,
    ) -> Result<Option<Arc<Prompt>>, Fault> {
        let name = document(shard, org, &listed.name, edition);
        if let Some((.., prompt)) = self.lock().read.iter().find(|(known, ..)| *known == name) {
            return Ok(Some(prompt.clone()));
        }
        let Some(found) = ports.store.get(&name).await? else { return Ok(None) };
        let corrupt = || Fault::new(FaultKind::Corrupt, OPERATION, name.clone());
        let said: Map<String, Value> =
            gatelet_wire::json::read(&found.bytes).map_err(|error| corrupt().with_source(error))?;
        let prompt = Prompt::read(said).map_err(|_| corrupt())?;
        let prompt = Arc::new(prompt);
        let mut memory = self.lock();
        let mut bytes: usize = found.bytes.len();
        memory.read.retain(|(known, ..)| *known != name);
        memory.read.push((name, found.bytes.len(), prompt.clone()));
        // From the newest on, as many as there is room for.
        let kept = memory.read.iter().rev().skip(1).take_while(|(_, size, _)| {
            bytes += size;
            bytes <= MOST_READ
        });
        let over = memory.read.len() - 1 - kept.count();
        memory.read.drain(..over);
        Ok(Some(prompt))
    }

    /// What is known is old at once: something was changed here.
    pub fn forget(&self) {
        self.lock().binders.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a version's document, before the list names it.
pub async fn write(
    ports: &Ports,
    shard: &ShardId,
    org: &str,
    listed: &Listed,
    prompt: &Prompt,
) -> Result<(), Fault> {
    let Some(edition) = listed.versions.last() else { return Ok(()) };
    let name = document(shard, org, &listed.name, edition);
    ports.store.put(&name, text(prompt).into(), Expect::Anything).await.map(drop)
}

/// Takes away versions that the list names no more.
pub async fn discard(ports: &Ports, shard: &ShardId, org: &str, name: &str, gone: &[Edition]) {
    for edition in gone {
        // What stays there is in nobody's way.
        if let Err(fault) = ports.store.delete(&document(shard, org, name, edition)).await {
            ports.log.failed("a version of a prompt was not deleted", &fault);
        }
    }
}

fn document(shard: &ShardId, org: &str, name: &str, edition: &Edition) -> String {
    format!("{EXACT}prompt/{shard}/{org}/{name}/{}-{}", edition.version, edition.hash)
}
