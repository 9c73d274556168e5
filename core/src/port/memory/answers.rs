//! [`Answers`] in memory, which can be spoilt and fall silent.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use bytes::Bytes;

use super::lock;
use crate::domain::Timestamp;
use crate::port::{Answers, Fault, FaultKind};

#[derive(Debug, Default)]
pub struct MemoryAnswers {
    kept: Mutex<BTreeMap<String, (Timestamp, Bytes)>>,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Up,
    Down,
    Silent,
}

impl MemoryAnswers {
    /// From now on every call fails.
    pub fn fail(&self) {
        *lock(&self.state) = State::Down;
    }

    /// From now on no call ends.
    pub fn fall_silent(&self) {
        *lock(&self.state) = State::Silent;
    }

    /// Changes one bit in the middle of everything that is kept; answers how much that was.
    pub fn spoil(&self) -> usize {
        let mut kept = lock(&self.kept);
        for (_, bytes) in kept.values_mut() {
            let mut spoilt = bytes.to_vec();
            let middle = spoilt.len() / 2;
            if let Some(byte) = spoilt.get_mut(middle) {
                *byte ^= 1;
            }
            *bytes = spoilt.into();
        }
        kept.len()
    }

    /// Puts everything under the other names, in turn.
    pub fn mix(&self) {
        let mut kept = lock(&self.kept);
        let mut all: Vec<_> = kept.values().cloned().collect();
        let turn = all.len().min(1);
        all.rotate_left(turn);
        for (slot, other) in kept.values_mut().zip(all) {
            *slot = other;
        }
    }

    pub fn count(&self) -> usize {
        lock(&self.kept).len()
    }

    async fn turn(&self) -> Result<(), Fault> {
        let state = *lock(&self.state);
        match state {
            State::Up => Ok(()),
            State::Down => Err(Fault::new(FaultKind::Unavailable, "answers", "it is down")),
            State::Silent => futures_util::future::pending().await,
        }
    }
}

#[async_trait]
impl Answers for MemoryAnswers {
    async fn get(&self, name: &str, now: Timestamp) -> Result<Option<Bytes>, Fault> {
        self.turn().await?;
        let kept = lock(&self.kept);
        Ok(kept.get(name).filter(|(until, _)| *until > now).map(|(_, bytes)| bytes.clone()))
    }

    async fn put(&self, name: &str, bytes: Bytes, until: Timestamp) -> Result<(), Fault> {
        self.turn().await?;
        lock(&self.kept).insert(name.to_owned(), (until, bytes));
        Ok(())
    }
}
