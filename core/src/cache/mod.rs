//! Answers that are given again, to equal questions, and to those that mean the same ([`meaning`]).
//!
//! Two levels: this process's memory, bounded by its bytes, and what the host keeps for all processes
//! ([`Answers`](crate::port::Answers)). Nothing but speed and cost depends on either: what cannot be read in time, or is not
//! what was kept, to the last bit, is not there.

mod entry;
mod examples;
mod flight;
mod meaning;
mod memory;
mod name;
mod purge;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::domain::Timestamp;
use crate::policy::CacheBounds as Bounds;
use crate::port::{Fault, FaultKind, Ports};

pub use entry::{Entry, Form, Label};
pub use examples::Made;
pub use flight::Flight;
pub use meaning::Vector;
pub use name::{Name, Naming};
pub use purge::{LONGEST, Purge};

/// One process's cache.
#[derive(Debug, Default)]
pub struct Cache {
    memory: memory::Memory,
    flights: flight::Flights,
    purges: purge::Purges,
    meanings: meaning::Meanings,
    /// Vectors of what guards compare questions with.
    pub examples: examples::Examples,
    /// The host's level failed: it is left alone until then, in microseconds since 1970.
    alone_until: AtomicI64,
    /// Requests that wait for another's answer.
    pub waiting: AtomicUsize,
}

/// After a failure the host's level is left alone for so long.
const ALONE: Duration = Duration::from_secs(5);

impl Cache {
    /// What is kept under a name, if it may be given. Whoever cannot wait for that says so by [`late`](Self::late).
    pub async fn get(&self, ports: &Ports, bounds: &Bounds, name: &Name) -> Option<Arc<Entry>> {
        let now = ports.clock.now();
        if let Some(entry) = self.memory.get(name, now) {
            if !self.purges.took(&*ports.store, &entry.label, now).await {
                return Some(entry);
            }
            // Another process may have kept a newer one.
            self.memory.forget(name);
        }
        let entry = self.fetched(ports, bounds, name, now).await?;
        if self.purges.took(&*ports.store, &entry.label, now).await {
            return None;
        }
        self.memory.put(*name, entry.clone(), bounds.memory);
        Some(entry)
    }

    async fn fetched(
        &self,
        ports: &Ports,
        bounds: &Bounds,
        name: &Name,
        now: Timestamp,
    ) -> Option<Arc<Entry>> {
        if !self.uses_store(bounds, now) {
            return None;
        }
        let bytes = match ports.answers.get(&name.hex(), now).await {
            Ok(bytes) => bytes?,
            Err(fault) => {
                self.failed(ports, &fault, now);
                return None;
            }
        };
        let entry = Arc::new(Entry::read(name, &bytes)?);
        entry.label.is_good(now).then_some(entry)
    }

    /// Somebody has waited for the host's level for too long.
    pub fn late(&self, ports: &Ports) {
        let fault = Fault::new(FaultKind::Timeout, "answers.get", "it took too long");
        self.failed(ports, &fault, ports.clock.now());
    }

    /// Keeps an answer: here at once, at the host after the request.
    pub fn put(self: &Arc<Self>, ports: &Ports, bounds: &Bounds, name: Name, entry: Entry) {
        let now = ports.clock.now();
        let entry = Arc::new(entry);
        self.memory.put(name, entry.clone(), bounds.memory);
        if !self.uses_store(bounds, now) {
            return;
        }
        let (cache, kept) = (self.clone(), ports.clone());
        ports.defer.defer(Box::pin(async move {
            let Some(bytes) = entry.write(&name) else { return };
            let until = Timestamp::from_micros(entry.label.until);
            if let Err(fault) = kept.answers.put(&name.hex(), bytes, until).await {
                cache.failed(&kept, &fault, now);
            }
        }));
    }

    /// What is kept in this process's memory.
    pub fn here(&self, name: &Name, now: Timestamp) -> Option<Arc<Entry>> {
        self.memory.get(name, now)
    }

    pub fn forget(&self, name: &Name) {
        self.memory.forget(name);
    }

    /// The right to ask for an answer that is not there. None: another asks already.
    pub fn begin(&self, name: Name) -> Option<Flight> {
        self.flights.begin(name)
    }

    pub fn is_asked_for(&self, name: &Name) -> bool {
        self.flights.is_under_way(name)
    }

    /// Takes answers out.
    ///
    /// # Errors
    /// It could not be written down, and holds nowhere.
    pub async fn purge(&self, ports: &Ports, purge: &Purge) -> Result<(), Fault> {
        self.purges.add(&*ports.store, purge, ports.clock.now()).await
    }

    fn uses_store(&self, bounds: &Bounds, now: Timestamp) -> bool {
        bounds.store && now.micros() >= self.alone_until.load(Ordering::Relaxed)
    }

    fn failed(&self, ports: &Ports, fault: &Fault, now: Timestamp) {
        // What is too large for a host says nothing of its state.
        if fault.kind == FaultKind::TooLarge {
            return;
        }
        self.alone_until.store(now.after(ALONE).micros(), Ordering::Relaxed);
        ports.log.failed("answers are not kept at the host for five seconds", fault);
    }
}
