//! Waiting at a limit, where the limit's account says that a request may: bounded in time and in number.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::stakes::Stakes;
use crate::domain::account::{AtLimit, Denial, DenialCause, Headroom, Meter};
use crate::domain::{Caller, Timestamp};
use crate::shared::Core;

/// Requests of one process that may wait at the same time; further ones are refused at once.
const MOST: usize = 1_000;
/// How long whoever waits for others' requests to end lets pass before it asks again, at first and at most.
const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(1);

/// One request's waits so far.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    tries: u32,
    /// How long it was meant to take.
    pub(super) time: Duration,
}

impl Waiting {
    /// Waits until the request may be asked for again; false: it is refused for good. A caller who leaves ends the wait.
    pub(super) async fn pause(
        &mut self,
        core: &Core,
        at_limit: Option<&AtLimit>,
        denial: &Denial,
        started: Timestamp,
    ) -> bool {
        let Some(patience) = at_limit.and_then(AtLimit::patience) else { return false };
        let now = core.ports.clock.now();
        let ends = started.after(Duration::from_secs(u64::from(patience)));
        let until = match denial.cause {
            DenialCause::Requests | DenialCause::Tokens => denial.retry_at,
            // When a running request ends nobody knows.
            DenialCause::Parallel | DenialCause::BudgetHeld => {
                let pause = SHORTEST.saturating_mul(1 << self.tries.min(8)).min(LONGEST);
                Some(now.after(pause).min(ends))
            }
            DenialCause::TooManyTokens | DenialCause::TooExpensive | DenialCause::BudgetSpent => None,
        };
        let Some(until) = until.filter(|until| *until <= ends && now < ends) else { return false };
        let Some(_place) = Place::take(&core.waiting) else { return false };
        self.tries += 1;
        self.time += until.since(now);
        core.ports.clock.sleep(until.since(now)).await;
        true
    }

    /// Spreads requests where a limit says so: the fuller the fullest window, the longer; nothing below half. Answers
    /// how long the request has waited in all.
    pub(super) async fn spread(
        &mut self,
        core: &Core,
        stakes: &Stakes,
        caller: &Caller,
        headroom: &Headroom,
    ) -> Duration {
        let throttle = |at_limit: &AtLimit| match at_limit {
            AtLimit::Throttle(seconds) => Some(*seconds),
            AtLimit::Refuse | AtLimit::Wait(_) | AtLimit::Cheaper(_) => None,
        };
        let Some(seconds) = stakes.limits(caller).filter_map(|(_, limits)| throttle(&limits.at_limit)).max()
        else {
            return self.time;
        };
        let meters = [headroom.requests, headroom.tokens];
        let Some(permille) = meters.into_iter().flatten().map(|meter| permille(&meter)).max() else {
            return self.time;
        };
        // Grows with the square, so that it is felt late and bounded by what the limit says.
        let over = permille.saturating_sub(500) * 2;
        let millis = u64::from(seconds) * 1_000 * over * over / 1_000_000;
        if millis > 0
            && let Some(_place) = Place::take(&core.waiting)
        {
            self.time += Duration::from_millis(millis);
            core.ports.clock.sleep(Duration::from_millis(millis)).await;
        }
        self.time
    }
}

/// How full a window is.
fn permille(meter: &Meter) -> u64 {
    let used = u128::from(meter.limit.saturating_sub(meter.remaining));
    u64::try_from((used * 1_000).checked_div(u128::from(meter.limit)).unwrap_or(0)).unwrap_or(1_000)
}

/// One of the places of those who wait.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize) -> Option<Self> {
        if waiting.fetch_add(1, Ordering::Relaxed) < MOST {
            return Some(Self(waiting));
        }
        waiting.fetch_sub(1, Ordering::Relaxed);
        None
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
