//! Vectors of sentences that questions are compared with, in this process's memory.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Name, Vector};

/// Sentences by the name of their list.
#[derive(Debug, Default)]
pub struct Examples(Mutex<VecDeque<(Name, Arc<Made>)>>);

/// The vectors of a list, in its order.
#[derive(Debug)]
pub struct Made {
    /// Whoever made them: another's cannot be compared with them.
    pub by: String,
    pub vectors: Vec<Vector>,
}

/// Numbers of all lists together: 8 MB.
const MOST: usize = 2 << 20;

impl Examples {
    pub fn get(&self, name: &Name) -> Option<Arc<Made>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|(known, _)| known == name).map(|(_, made)| made.clone())
    }

    /// The oldest go where it becomes too many.
    pub fn put(&self, name: Name, made: Arc<Made>) {
        let size = |made: &Made| made.vectors.iter().map(|vector| vector.numbers().len()).sum::<usize>();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(other, _)| *other != name);
        known.push_back((name, made));
        while known.iter().map(|(_, made)| size(made)).sum::<usize>() > MOST {
            known.pop_front();
        }
    }
}
