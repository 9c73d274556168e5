//! Questions by what they mean: vectors in this process, and in segments at the host.
//!
//! A space has the vectors of questions that have all in common but their words: whose they are, the model and its targets,
//! parameters, tools, what was said before. Nobody looks beyond its own space, so nobody finds what is another tenant's.
//!
//! At the host a space is one segment that is written again with what is new, and others that were full and are never written
//! again. Two processes that write at the same time lose each other's last additions there; each adds its own again with
//! the next. What is lost costs a question, nothing else.
//!
//! An index elsewhere takes the place of both, where the configuration names one ([`outside`]).

mod outside;
mod segment;
mod space;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use futures_util::future::{Either, select};
use gatelet_wire::SmallMap;

use self::outside::What;
use self::segment::Segment;
use self::space::Space;
use super::{Cache, Name};
use crate::domain::Timestamp;
use crate::policy::{CacheBounds as Bounds, Index};
use crate::port::{Fault, Ports};
use crate::together::together;
pub use gatelet_nearest::Vector;

/// The spaces that one process knows.
#[derive(Debug, Default)]
pub(super) struct Meanings {
    racks: Mutex<HashMap<Name, Arc<Rack>>>,
    /// Counts look-ups and additions.
    turns: AtomicU64,
    /// All of them have at most so many bytes: what they had when they were counted, and what came since.
    bytes: AtomicUsize,
    /// Models that gave no vector and indexes that failed, and until when nobody asks them.
    alone: Mutex<SmallMap<Box<str>, Timestamp>>,
}

/// A space, and what is known of it at the host.
#[derive(Debug, Default)]
struct Rack {
    space: RwLock<Space>,
    used: AtomicU64,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// When the host was asked last.
    read: Option<Timestamp>,
    /// The segments that are never written again, oldest first, and those of them that have been read.
    sealed: Vec<([u8; 32], i64)>,
    known: Vec<[u8; 32]>,
    /// Answers whose vectors are in no such segment.
    unsealed: Vec<Name>,
    /// Something is to be written.
    new: bool,
    /// Somebody reads and writes.
    busy: bool,
}

/// How old what is known of the host's may be.
const FRESH: Duration = Duration::from_secs(10);
/// Between two writes of the same segment, which some hosts take once a second.
const PAUSE: Duration = Duration::from_secs(1);
/// What is written at a time, one after another.
const ROUNDS: usize = 8;
/// A segment that has so many bytes is full.
const FULL: usize = 256 << 10;
/// Segments of one space; the oldest beyond that are forgotten.
const MOST_SEGMENTS: usize = 400;
/// Segments that are read at the same time.
const BESIDE: usize = 8;

impl Cache {
    /// The answer to the question of this space whose vector is nearest, and the cosine, which is `least` or more.
    pub async fn nearest(
        self: &Arc<Self>,
        ports: &Ports,
        bounds: &Bounds,
        space: Name,
        vector: &Vector,
        least: f32,
    ) -> Option<(Name, f32)> {
        let rack = self.meanings.rack(&space);
        let now = ports.clock.now();
        if self.uses_store(bounds, now) {
            let asked = rack.kept().read;
            let fresh = asked.is_some_and(|read| now.since(read) < FRESH);
            if !fresh {
                rack.kept().read = Some(now);
            }
            if asked.is_none() {
                let learning = pin!(self.learn(ports, bounds, space, &rack));
                if let Either::Right(_) = select(learning, ports.clock.sleep(bounds.wait)).await {
                    self.late(ports);
                }
            }
            if (!fresh && asked.is_some()) || !rack.unread(now).is_empty() {
                self.work(ports, bounds, space, rack.clone());
            }
        }
        let space = rack.space.read().unwrap_or_else(PoisonError::into_inner);
        space.nearest(vector, least, now.micros(), self.meanings.turn())
    }

    /// Notes the answer to a question: here at once, at the host after the request.
    pub fn remember(
        self: &Arc<Self>,
        ports: &Ports,
        bounds: &Bounds,
        space: Name,
        vector: &Vector,
        answer: Name,
        until: Timestamp,
    ) {
        let rack = self.meanings.rack(&space);
        let turn = self.meanings.turn();
        let mut vectors = rack.space.write().unwrap_or_else(PoisonError::into_inner);
        vectors.put(answer, vector.numbers(), until.micros(), turn);
        drop(vectors);
        self.meanings.grew(space::size(vector.numbers().len()), bounds.vectors, &space);
        if self.uses_store(bounds, ports.clock.now()) {
            rack.added(answer);
            self.work(ports, bounds, space, rack);
        }
    }

    /// There is no such answer any more.
    pub fn disown(&self, space: Name, answer: &Name) {
        let rack = self.meanings.rack(&space);
        rack.space.write().unwrap_or_else(PoisonError::into_inner).forget(answer);
        rack.kept().unsealed.retain(|other| other != answer);
    }

    /// As [`nearest`](Self::nearest), in an index elsewhere.
    pub async fn nearest_in(
        &self,
        ports: &Ports,
        bounds: &Bounds,
        index: &Index,
        space: Name,
        vector: &Vector,
        least: f32,
    ) -> Option<(Name, f32)> {
        if self.is_alone(&index.base, ports.clock.now()) {
            return None;
        }
        let asked = outside::ask(ports, index, What::Nearest(&space, vector), bounds.wait).await;
        let found = asked.unwrap_or_else(|fault| {
            self.left(ports, index, &fault);
            None
        });
        found.filter(|(_, cosine)| *cosine >= least)
    }

    /// As [`remember`](Self::remember), in an index elsewhere.
    pub fn remember_in(
        self: &Arc<Self>,
        ports: &Ports,
        index: &Arc<Index>,
        space: Name,
        vector: Vector,
        answer: Name,
    ) {
        let (cache, ports, index) = (self.clone(), ports.clone(), index.clone());
        let defer = ports.defer.clone();
        defer.defer(Box::pin(async move {
            cache.tell(&ports, &index, What::Put(&space, &vector, &answer)).await;
        }));
    }

    /// As [`disown`](Self::disown), in an index elsewhere.
    pub fn disown_in(self: &Arc<Self>, ports: &Ports, index: &Arc<Index>, answer: Name) {
        let (cache, ports, index) = (self.clone(), ports.clone(), index.clone());
        let defer = ports.defer.clone();
        defer.defer(Box::pin(async move {
            cache.tell(&ports, &index, What::Forget(&answer)).await;
        }));
    }

    async fn tell(&self, ports: &Ports, index: &Index, what: What<'_>) {
        const LIMIT: Duration = Duration::from_secs(10);
        if self.is_alone(&index.base, ports.clock.now()) {
            return;
        }
        if let Err(fault) = outside::ask(ports, index, what, LIMIT).await {
            self.left(ports, index, &fault);
        }
    }

    fn left(&self, ports: &Ports, index: &Index, fault: &Fault) {
        self.leave_alone(&index.base, ports.clock.now().after(super::ALONE));
        ports.log.failed("an index of vectors is left alone for five seconds", fault);
    }

    /// A model that embeds, or an index elsewhere, is not asked until then.
    pub fn leave_alone(&self, whom: &str, until: Timestamp) {
        self.meanings.alone.lock().unwrap_or_else(PoisonError::into_inner).insert(whom.into(), until);
    }

    pub fn is_alone(&self, whom: &str, now: Timestamp) -> bool {
        let alone = self.meanings.alone.lock().unwrap_or_else(PoisonError::into_inner);
        alone.get(whom).is_some_and(|until| now < *until)
    }

    /// Reads and writes at the host in the background, unless somebody does.
    fn work(self: &Arc<Self>, ports: &Ports, bounds: &Bounds, space: Name, rack: Arc<Rack>) {
        if std::mem::replace(&mut rack.kept().busy, true) {
            return;
        }
        let (cache, kept, bounds) = (self.clone(), ports.clone(), bounds.clone());
        ports.defer.defer(Box::pin(async move {
            let _busy = Busy(&rack);
            for round in 0..ROUNDS {
                if round > 0 {
                    kept.clock.sleep(PAUSE).await;
                }
                cache.learn(&kept, &bounds, space, &rack).await;
                cache.load(&kept, &bounds, space, &rack).await;
                if !std::mem::take(&mut rack.kept().new) {
                    break;
                }
                cache.write(&kept, &bounds, space, &rack).await;
                if !rack.kept().new {
                    break;
                }
            }
        }));
    }

    /// Reads the newest segment of a space.
    async fn learn(&self, ports: &Ports, bounds: &Bounds, space: Name, rack: &Rack) {
        let now = ports.clock.now();
        let Some(segment) = self.segment(ports, bounds, &space, now).await else { return };
        let taken = rack.take(&segment, now, self.meanings.turn());
        rack.learned(&segment, &taken, now);
        self.meanings.grew(segment.vectors.len() * size_of::<f32>(), bounds.vectors, &space);
    }

    /// Reads the other segments that were not read yet, the newest first, while there is room.
    async fn load(&self, ports: &Ports, bounds: &Bounds, space: Name, rack: &Rack) {
        let now = ports.clock.now();
        let unread = rack.unread(now);
        for some in unread.chunks(BESIDE) {
            let full = rack.is_full(bounds.vectors);
            let names: Vec<Name> = some.iter().copied().map(Name::from).collect();
            let segments = if full {
                Vec::new()
            } else {
                together(names.iter().map(|name| self.segment(ports, bounds, name, now))).await
            };
            // What is older than all that is used has no turn yet.
            let taken: Vec<Name> =
                segments.iter().flatten().flat_map(|segment| rack.take(segment, now, 0)).collect();
            rack.loaded(some, &taken);
            let read = segments.iter().flatten().map(|segment| segment.vectors.len()).sum::<usize>();
            self.meanings.grew(read * size_of::<f32>(), bounds.vectors, &space);
        }
    }

    /// Writes what is in no full segment; what is full is written once, and named.
    async fn write(&self, ports: &Ports, bounds: &Bounds, space: Name, rack: &Rack) {
        let now = ports.clock.now();
        let mut segment = rack.unsealed(now);
        if segment.vectors.len() * size_of::<f32>() >= FULL {
            let (name, until) = (segment.name(&space), segment.until());
            if !self.put_segment(ports, bounds, &name, &segment, now).await {
                rack.kept().new = true;
                return;
            }
            let full: Vec<Name> = segment.each().map(|(answer, ..)| answer).collect();
            rack.kept().sealed.push((*name.bytes(), until));
            rack.loaded(&[*name.bytes()], &full);
            segment = Segment::default();
        }
        segment.head.sealed.clone_from(&rack.kept().sealed);
        if !self.put_segment(ports, bounds, &space, &segment, now).await {
            rack.kept().new = true;
        }
    }

    async fn segment(&self, ports: &Ports, bounds: &Bounds, name: &Name, now: Timestamp) -> Option<Segment> {
        if !self.uses_store(bounds, now) {
            return None;
        }
        match ports.answers.get(&name.hex(), now).await {
            Ok(bytes) => Segment::read(name, &bytes?),
            Err(fault) => {
                self.failed(ports, &fault, now);
                None
            }
        }
    }

    async fn put_segment(
        &self,
        ports: &Ports,
        bounds: &Bounds,
        name: &Name,
        segment: &Segment,
        now: Timestamp,
    ) -> bool {
        let until = segment.until();
        if until <= now.micros() {
            return true;
        }
        let Some(bytes) = segment.write(name).filter(|_| self.uses_store(bounds, now)) else { return false };
        // A host may tell what has the same name apart by its end alone.
        let until = Timestamp::from_micros(until.saturating_add(now.micros().rem_euclid(1_000_000)));
        let put = ports.answers.put(&name.hex(), bytes, until).await;
        put.inspect_err(|fault| self.failed(ports, fault, now)).is_ok()
    }
}

impl Meanings {
    fn rack(&self, space: &Name) -> Arc<Rack> {
        let mut racks = self.racks.lock().unwrap_or_else(PoisonError::into_inner);
        let rack = if let Some(rack) = racks.get(space) {
            rack.clone()
        } else {
            self.bytes.fetch_add(ABOUT_A_RACK, Ordering::Relaxed);
            racks.entry(*space).or_default().clone()
        };
        rack.used.store(self.turn(), Ordering::Relaxed);
        rack
    }

    fn turn(&self) -> u64 {
        self.turns.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// So many bytes may have come. Forgets spaces that were not used for longest, and then vectors of `here`, until a tenth of
    /// `most` is free, if all have more bytes than that.
    fn grew(&self, by: usize, most: usize, here: &Name) {
        if self.bytes.fetch_add(by, Ordering::Relaxed) + by <= most {
            return;
        }
        let mut racks = self.racks.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<(u64, usize, Name)> = (racks.iter())
            .map(|(name, rack)| (rack.used.load(Ordering::Relaxed), rack.bytes(), *name))
            .collect();
        let mut bytes: usize = all.iter().map(|(_, bytes, _)| bytes).sum();
        let enough = if bytes <= most { most } else { most - most / 10 };
        gatelet_wire::sort::sort_by(&mut all, |one, other| one.0.cmp(&other.0));
        for (_, size, name) in all.iter().filter(|(.., name)| name != here) {
            if bytes <= enough {
                break;
            }
            racks.remove(name);
            bytes -= size;
        }
        if let Some(rack) = racks.get(here).filter(|_| bytes > enough) {
            let mut space = rack.space.write().unwrap_or_else(PoisonError::into_inner);
            let each = space::size(space.numbers());
            space.drop_oldest((bytes - enough).div_ceil(each));
            bytes = space.bytes() + ABOUT_A_RACK;
        }
        self.bytes.store(bytes, Ordering::Relaxed);
    }
}

/// A space without vectors, in bytes.
const ABOUT_A_RACK: usize = 512;

impl Rack {
    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bytes(&self) -> usize {
        self.space.read().unwrap_or_else(PoisonError::into_inner).bytes() + ABOUT_A_RACK
    }

    /// Whether there is no room for one more segment.
    fn is_full(&self, most: usize) -> bool {
        let space = self.space.read().unwrap_or_else(PoisonError::into_inner);
        space.count() >= space::MOST || space.bytes() + FULL > most
    }

    /// Takes what a segment has and is not here, and answers whose vectors it has that are good.
    fn take(&self, segment: &Segment, now: Timestamp, turn: u64) -> Vec<Name> {
        let mut space = self.space.write().unwrap_or_else(PoisonError::into_inner);
        let mut taken = Vec::new();
        for (answer, until, vector) in segment.each().filter(|(_, until, _)| *until > now.micros()) {
            let fits = space.numbers() == 0 || space.numbers() == vector.len();
            if fits && !space.has(&answer) && space.count() < space::MOST {
                space.put(answer, vector, until, turn);
            }
            taken.push(answer);
        }
        taken
    }

    /// A vector that the host does not have.
    fn added(&self, answer: Name) {
        let mut kept = self.kept();
        kept.unsealed.push(answer);
        kept.new = true;
    }

    /// The newest segment was read, and has the vectors of these answers.
    fn learned(&self, segment: &Segment, answers: &[Name], now: Timestamp) {
        let mut kept = self.kept();
        for answer in answers {
            if !kept.unsealed.contains(answer) {
                kept.unsealed.push(*answer);
            }
        }
        for sealed in &segment.head.sealed {
            if sealed.1 > now.micros() && !kept.sealed.contains(sealed) {
                kept.sealed.push(*sealed);
            }
        }
        let over = kept.sealed.len().saturating_sub(MOST_SEGMENTS);
        kept.sealed.drain(..over);
    }

    /// These segments were read, and have the vectors of these answers.
    fn loaded(&self, segments: &[[u8; 32]], answers: &[Name]) {
        let mut kept = self.kept();
        kept.known.extend(segments);
        kept.unsealed.retain(|answer| !answers.contains(answer));
    }

    fn unread(&self, now: Timestamp) -> Vec<[u8; 32]> {
        let kept = self.kept();
        let unread =
            kept.sealed.iter().rev().filter(|(_, until)| *until > now.micros()).map(|(name, _)| *name);
        unread.filter(|name| !kept.known.contains(name)).collect()
    }

    /// What is in no full segment.
    fn unsealed(&self, now: Timestamp) -> Segment {
        let mut kept = self.kept();
        let space = self.space.read().unwrap_or_else(PoisonError::into_inner);
        kept.unsealed.retain(|answer| space.get(answer).is_some_and(|(slot, _)| slot.until > now.micros()));
        kept.sealed.retain(|(_, until)| *until > now.micros());
        let Kept { sealed, known, .. } = &mut *kept;
        known.retain(|name| sealed.iter().any(|(sealed, _)| sealed == name));
        let mut segment = Segment::default();
        for (slot, vector) in kept.unsealed.iter().filter_map(|answer| space.get(answer)) {
            segment.push(&slot.answer, slot.until, vector);
        }
        segment
    }
}

/// Whoever reads and writes in the background.
struct Busy<'a>(&'a Rack);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.kept().busy = false;
    }
}
