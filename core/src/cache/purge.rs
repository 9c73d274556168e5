//! What was purged, and when: an answer that is older than that is not given again.
//!
//! A purge is one line in a document, whatever it concerns: no store is searched, and what nobody is given ends with its time.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use gatelet_wire::SmallMap;
use serde::{Deserialize, Serialize};

use super::Label;
use crate::domain::Timestamp;
use crate::port::{EXACT, Expect, Fault, FaultKind, Store};

/// What a purge takes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purge {
    All,
    Key(String),
    Tag(String),
    Model(String),
}

/// The purges that are known here.
#[derive(Debug, Default)]
pub(super) struct Purges(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// When they were read last.
    read: Option<Timestamp>,
    marks: Marks,
}

/// By what it was purged, and until when, in microseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Marks {
    all: i64,
    keys: SmallMap<String, i64>,
    tags: SmallMap<String, i64>,
    models: SmallMap<String, i64>,
}

/// How old what is known here may be.
const FRESH: Duration = Duration::from_secs(10);
/// Of each sort; the oldest beyond that become a purge of everything as old.
const MOST: usize = 500;
/// Nothing is kept for longer.
pub const LONGEST: Duration = Duration::from_hours(30 * 24);
const TRIES: usize = 5;

fn document() -> String {
    format!("{EXACT}cache")
}

impl Purges {
    /// Whether an answer was purged. One of which nobody can say is not given.
    pub(super) async fn took(&self, store: &dyn Store, label: &Label, now: Timestamp) -> bool {
        if !self.is_fresh(now) {
            match store.get(&document()).await {
                Ok(document) => {
                    let bytes = document.map(|document| document.bytes).unwrap_or_default();
                    self.learn(read(&bytes), now);
                }
                Err(_) if self.is_known() => {}
                Err(_) => return true,
            }
        }
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.marks.cover(label)
    }

    /// Purges: what was asked for before `now` is not given again, here at once, elsewhere within ten seconds.
    pub(super) async fn add(&self, store: &dyn Store, purge: &Purge, now: Timestamp) -> Result<(), Fault> {
        for _ in 0..TRIES {
            let stands = store.get(&document()).await?;
            let (mut marks, expect) = match &stands {
                Some(stands) => (read(&stands.bytes), Expect::Version(stands.version)),
                None => (Marks::default(), Expect::Absent),
            };
            marks.add(purge, now);
            let json = serde_json::to_vec(&marks).unwrap_or_default();
            match store.put(&document(), Bytes::from(json), expect).await {
                Ok(_) => {
                    self.learn(marks, now);
                    return Ok(());
                }
                Err(fault) if fault.kind == FaultKind::Conflict => {}
                Err(fault) => return Err(fault),
            }
        }
        Err(Fault::new(FaultKind::Conflict, "cache.purge", "others purge at the same time"))
    }

    fn is_fresh(&self, now: Timestamp) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.read.is_some_and(|read| now.since(read) < FRESH)
    }

    fn is_known(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).read.is_some()
    }

    fn learn(&self, marks: Marks, now: Timestamp) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Known { read: Some(now), marks };
    }
}

fn read(bytes: &[u8]) -> Marks {
    gatelet_wire::json::read(bytes).unwrap_or_default()
}

impl Marks {
    fn cover(&self, label: &Label) -> bool {
        let covers = |mark: Option<&i64>| mark.is_some_and(|mark| label.made <= *mark);
        covers(Some(&self.all))
            || covers(self.keys.get(&label.key))
            || covers(self.models.get(&label.model))
            || label.tags.iter().any(|tag| covers(self.tags.get(tag)))
    }

    fn add(&mut self, purge: &Purge, now: Timestamp) {
        let (marks, name) = match purge {
            Purge::All => {
                *self = Self { all: now.micros(), ..Self::default() };
                return;
            }
            Purge::Key(name) => (&mut self.keys, name),
            Purge::Tag(name) => (&mut self.tags, name),
            Purge::Model(name) => (&mut self.models, name),
        };
        marks.insert(name.clone(), now.micros());
        let over = now.micros().saturating_sub(i64::try_from(LONGEST.as_micros()).unwrap_or(i64::MAX));
        marks.retain(|_, mark| *mark > over);
        if marks.len() > MOST
            && let Some((name, mark)) =
                marks.iter().min_by_key(|(_, mark)| **mark).map(|(name, mark)| (name.clone(), *mark))
        {
            marks.remove(&name);
            self.all = self.all.max(mark);
        }
    }
}
