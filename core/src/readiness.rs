//! What is known of the things that we stand on. Anybody may ask for it, so asking costs a look at them once a second.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::Timestamp;

/// Whether they answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) ledger: bool,
    pub(crate) store: bool,
    /// By name, whether it takes what it is told.
    pub(crate) sinks: Vec<(String, bool)>,
}

#[derive(Debug, Default)]
pub(crate) struct Readiness(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    known: Option<(Timestamp, Standing)>,
    /// Somebody looks, since then.
    looking: Option<Timestamp>,
}

/// An answer is shared for so long.
const FRESH: Duration = Duration::from_secs(1);
/// What takes longer to answer than this does not answer.
const SILENT: Duration = Duration::from_secs(5);

impl Readiness {
    /// What is known; none: whoever asks has to look, and to say what was seen by [`Readiness::end`].
    pub(crate) fn begin(&self, now: Timestamp) -> Option<Standing> {
        let mut state = self.lock();
        let known = |within| {
            let known = state.known.as_ref().filter(|(at, _)| now.since(*at) < within);
            known.map(|(_, standing)| standing.clone())
        };
        if let Some(known) = known(FRESH) {
            return Some(known);
        }
        if state.looking.is_some_and(|since| now.since(since) < SILENT) {
            // One look at a time. Who asks meanwhile hears the last answer, unless it is as old as a silence.
            return Some(known(FRESH + SILENT).unwrap_or(Standing {
                ledger: false,
                store: false,
                sinks: Vec::new(),
            }));
        }
        // A look that never came back (its caller left) is made again.
        state.looking = Some(now);
        None
    }

    pub(crate) fn end(&self, now: Timestamp, seen: Standing) -> Standing {
        *self.lock() = State { known: Some((now, seen.clone())), looking: None };
        seen
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UP: Standing = Standing { ledger: true, store: true, sinks: Vec::new() };
    const DOWN: Standing = Standing { ledger: false, store: false, sinks: Vec::new() };

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_micros(1_000_000_000 + millis * 1_000)
    }

    #[test]
    fn one_look_a_second_answers_all() {
        let ready = Readiness::default();
        assert_eq!(ready.begin(at(0)), None);
        assert_eq!(ready.end(at(5), UP), UP);
        assert_eq!(ready.begin(at(900)), Some(UP));
        assert_eq!(ready.begin(at(1_010)), None, "it is a second old");
        assert_eq!(ready.begin(at(1_020)), Some(UP), "somebody looks already");
        ready.end(at(1_030), DOWN);
        assert_eq!(ready.begin(at(1_040)), Some(DOWN));
    }

    #[test]
    fn what_does_not_come_back_is_down_and_is_looked_at_again() {
        let ready = Readiness::default();
        assert_eq!(ready.begin(at(0)), None);
        assert_eq!(ready.begin(at(10)), Some(DOWN), "nothing is known yet");
        assert_eq!(ready.begin(at(5_010)), None, "whoever looked has gone");
        ready.end(at(5_020), UP);
        assert_eq!(ready.begin(at(7_000)), None);
        assert_eq!(ready.begin(at(11_500)), Some(DOWN), "the last answer is too old");
    }
}
