//! Equal questions at the same time: one is asked, the others wait for its answer.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};

use super::Name;

#[derive(Debug, Default)]
pub(super) struct Flights(Arc<Mutex<HashSet<Name>>>);

/// The right to ask, until it is dropped.
#[derive(Debug)]
pub struct Flight {
    name: Name,
    all: Arc<Mutex<HashSet<Name>>>,
}

impl Flights {
    /// None: somebody is asking.
    pub(super) fn begin(&self, name: Name) -> Option<Flight> {
        let begun = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
        begun.then(|| Flight { name, all: self.0.clone() })
    }

    pub(super) fn is_under_way(&self, name: &Name) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}
