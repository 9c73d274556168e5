//! Tokens that a credential buys: asked for once, kept until shortly before they expire.

mod google;
mod grant;
mod signing;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderValue;

pub use grant::{Denied, Grant, Granted};
pub(super) use signing::SigningKey;

use crate::domain::Timestamp;
use crate::port::{FaultKind, Ports, Reach};

/// A credential's grant, and the token that it last bought. It never prints.
#[derive(Debug)]
pub struct Tokens {
    grant: Grant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    token: Option<Token>,
    /// Since when somebody asks for the next one.
    asking: Option<Timestamp>,
    /// The last answer that was none: those who waited for it need not ask again.
    failed: Option<(Timestamp, Unproven)>,
}

#[derive(Debug)]
struct Token {
    /// `Bearer …`, marked as sensitive.
    value: HeaderValue,
    expires: Timestamp,
    /// From here on the next one is asked for.
    stale: Timestamp,
}

/// Why there is no token. Holds nothing of the credential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// The credential is at fault.
    #[error("the provider's credential was refused where its token is asked for ({status}): {reason}")]
    Denied { status: u16, reason: String },
    /// Nobody answered, or no sense: another try may pass.
    #[error("no answer where the provider's token is asked for")]
    Unreachable,
}

/// The longest that one question may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks of those who wait for another's question.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a failure answers those who ask after it.
const MEMORY: Duration = Duration::from_secs(1);

enum Turn {
    Use(HeaderValue),
    Ask,
    Wait,
    Fail(Unproven),
}

impl Tokens {
    pub fn new(grant: Grant) -> Self {
        Self { grant, state: Mutex::default() }
    }

    /// The header's value, if a token is there.
    pub fn kept(&self) -> Option<HeaderValue> {
        self.lock().token.as_ref().map(|token| token.value.clone())
    }

    /// The value of a request's `Authorization`. However many ask at once, one question is on its way.
    ///
    /// # Errors
    /// As [`Unproven`] says; while an older token is good, a failure to get the next one is none.
    pub async fn header(&self, ports: &Ports, reach: Reach) -> Result<HeaderValue, Unproven> {
        loop {
            // Waiters look again by their own clock: on some hosts one request may not wake another.
            match self.turn(ports.clock.now()) {
                Turn::Use(value) => return Ok(value),
                Turn::Fail(failure) => return Err(failure),
                Turn::Wait => ports.clock.sleep(PAUSE).await,
                Turn::Ask => return self.ask(ports, reach).await,
            }
        }
    }

    fn turn(&self, now: Timestamp) -> Turn {
        let mut state = self.lock();
        let good = state.token.as_ref().filter(|token| now < token.expires);
        if let Some(token) = good
            && (now < token.stale || state.asking.is_some())
        {
            return Turn::Use(token.value.clone());
        }
        if let Some((at, failure)) = &state.failed
            && now.since(*at) < MEMORY
        {
            return good.map_or_else(|| Turn::Fail(failure.clone()), |token| Turn::Use(token.value.clone()));
        }
        // One who asked and never came back is not waited for.
        if state.asking.is_some_and(|since| now.since(since) < PATIENCE.saturating_mul(2)) {
            return Turn::Wait;
        }
        state.asking = Some(now);
        Turn::Ask
    }

    async fn ask(&self, ports: &Ports, reach: Reach) -> Result<HeaderValue, Unproven> {
        let asking = Asking(self);
        let question = self.grant.question(ports).await;
        let answer = match ports.exchange(&question, reach, PATIENCE).await {
            Ok(Ok(granted)) => Ok(granted),
            Ok(Err(denied)) if denied.is_temporary() => Err(Unproven::Unreachable),
            Ok(Err(Denied { status, reason })) => Err(Unproven::Denied { status, reason }),
            Err(fault) => Err(match fault.kind {
                FaultKind::Denied => {
                    Unproven::Denied { status: 403, reason: "the address is out of reach".to_owned() }
                }
                FaultKind::Unavailable
                | FaultKind::Timeout
                | FaultKind::Conflict
                | FaultKind::TooLarge
                | FaultKind::Corrupt => Unproven::Unreachable,
            }),
        };
        let now = ports.clock.now();
        let mut state = self.lock();
        state.asking = None;
        let answer = match answer {
            Ok(granted) => {
                let token = granted.token(now);
                let value = token.value.clone();
                state.token = Some(token);
                state.failed = None;
                Ok(value)
            }
            Err(failure) => {
                state.failed = Some((now, failure.clone()));
                let good = state.token.as_ref().filter(|token| now < token.expires);
                good.map(|token| token.value.clone()).ok_or(failure)
            }
        };
        drop(state);
        drop(asking);
        answer
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever asks and leaves before the answer lets the next one ask.
struct Asking<'a>(&'a Tokens);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.lock().asking = None;
    }
}

impl Granted {
    fn token(self, now: Timestamp) -> Token {
        let lifetime = self.lifetime;
        // A fifth of its life, and at most five minutes, for those that are on their way.
        let early = (lifetime / 5).min(Duration::from_mins(5));
        Token {
            value: self.value,
            expires: now.after(lifetime.saturating_sub(Duration::from_secs(5))),
            stale: now.after(lifetime.saturating_sub(early)),
        }
    }
}

/// Tokens that several holders of one credential share.
pub type Shared = Arc<Tokens>;

#[cfg(test)]
mod tests;
