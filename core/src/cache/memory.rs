//! Answers in this process, bounded by their bytes.

use std::collections::hash_map::Entry as Place;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Entry, Name};
use crate::domain::Timestamp;

#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Slots>);

#[derive(Debug, Default)]
struct Slots {
    by_name: HashMap<Name, Slot>,
    /// In the order in which they came, and came up for a second chance.
    queue: VecDeque<Name>,
    bytes: usize,
}

#[derive(Debug)]
struct Slot {
    entry: Arc<Entry>,
    size: usize,
    /// It was given since it came up last.
    used: bool,
}

impl Memory {
    pub(super) fn get(&self, name: &Name, now: Timestamp) -> Option<Arc<Entry>> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.by_name.get_mut(name)?;
        if slot.entry.label.is_good(now) {
            slot.used = true;
            return Some(slot.entry.clone());
        }
        slots.forget(name);
        None
    }

    /// Keeps an entry, at the cost of those that were not used for longest, while all have at most `most` bytes.
    pub(super) fn put(&self, name: Name, entry: Arc<Entry>, most: usize) {
        let size = entry.answer.len() + entry.label.size();
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if size > most {
            // An older one is not to be given in its place.
            slots.forget(&name);
            return;
        }
        let slots = &mut *slots;
        slots.bytes += size;
        let slot = Slot { entry, size, used: false };
        match slots.by_name.entry(name) {
            Place::Occupied(mut there) => slots.bytes -= there.insert(slot).size,
            Place::Vacant(place) => {
                place.insert(slot);
                slots.queue.push_back(name);
            }
        }
        while slots.bytes > most
            && let Some(first) = slots.queue.pop_front()
        {
            match slots.by_name.get_mut(&first) {
                // Of those that were used each gets another turn; the newest is used next.
                Some(slot) if slot.used || first == name => {
                    slot.used = false;
                    slots.queue.push_back(first);
                    if slots.queue.len() == 1 {
                        break;
                    }
                }
                Some(_) => slots.forget(&first),
                None => {}
            }
        }
    }

    pub(super) fn forget(&self, name: &Name) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).forget(name);
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).bytes
    }
}

impl Slots {
    /// What still stands in the queue is passed over when it comes up.
    fn forget(&mut self, name: &Name) {
        if let Some(slot) = self.by_name.remove(name) {
            self.bytes -= slot.size;
        }
        // Names that are gone are not to fill the queue, however often they come again.
        if self.queue.len() > 64 + 2 * self.by_name.len() {
            let by_name = &self.by_name;
            self.queue.retain(|name| by_name.contains_key(name));
        }
    }
}
