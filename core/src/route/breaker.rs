//! Whether a target is asked: put out by faults that are its own, let in again with care.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::{Blame, Notice, Stands, Timestamp};

/// When targets go out, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Faults in a row that put a target out.
    pub faults: u32,
    /// How long it stays out at first; twice as long each time that its probe fails.
    pub out: Duration,
    /// It never stays out for longer.
    pub longest: Duration,
    /// How long it takes to get back from a tenth of its share to the whole.
    pub ramp: Duration,
    /// So many of a thousand requests that go to a target earn a retry of it.
    pub retry_mille: u16,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            faults: 5,
            out: Duration::from_secs(5),
            longest: Duration::from_mins(5),
            ramp: Duration::from_secs(10),
            retry_mille: 200,
        }
    }
}

/// Half of so many calls within [`WINDOW`] put a target out, though others succeed in between.
const MANY: u32 = 10;
const WINDOW: Duration = Duration::from_secs(30);
/// A credential or a model that is refused twice will be refused again.
const CERTAIN: u32 = 2;
/// How long such a target stays out: until somebody may have mended it.
const MENDING: Duration = Duration::from_mins(1);
/// A probe that nobody hears of for this long is made again.
const PROBE: Duration = Duration::from_secs(30);
/// Clocks of hosts differ by less: what is told of a later moment is not believed.
const AHEAD: Duration = Duration::from_mins(1);
/// The share with which a target returns.
const FIRST_SHARE: f64 = 0.1;

/// What a plan makes of a target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Standing {
    /// It takes this share of its turns; 1 but while it returns.
    In {
        share: f64,
    },
    /// It was out, and the next call tells whether it is back.
    Probe,
    /// It returns, and this turn was not one of its share.
    Resting,
    /// What its provider lets through in a minute is used up.
    Full,
    Out {
        until: Timestamp,
        blame: Blame,
    },
}

impl Standing {
    /// The lower, the earlier in a plan. What is out longest comes last.
    pub(super) fn rank(self) -> (u8, i64) {
        match self {
            // One call probes, the others find it out.
            Self::In { .. } | Self::Probe => (0, 0),
            Self::Resting => (1, 0),
            Self::Full => (2, 0),
            Self::Out { until, .. } => (3, until.micros()),
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::In { share } if share < 1.0 => "returning",
            Self::In { .. } => "in",
            Self::Probe => "probe",
            Self::Resting => "resting",
            Self::Full => "full",
            Self::Out { .. } => "out",
        }
    }
}

/// The breaker of one target.
#[derive(Clone, Copy, Debug, Default)]
pub struct Breaker {
    state: State,
    /// Faults since the last success.
    row: u32,
    /// How often it was put out since it was last wholly in.
    outs: u32,
    calls: Calls,
    /// When it last answered, and when it last failed, here.
    answered: Timestamp,
    failed: Timestamp,
    /// What others have told up to here is taken in.
    heard: Timestamp,
    /// Others hold a fault against it.
    shared: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    In,
    Out {
        until: Timestamp,
        blame: Blame,
    },
    Probing {
        since: Timestamp,
        blame: Blame,
    },
    Returning {
        since: Timestamp,
    },
}

/// Calls since `since`, which is at most one window ago.
#[derive(Clone, Copy, Debug, Default)]
struct Calls {
    since: Timestamp,
    all: u32,
    faults: u32,
}

impl Breaker {
    pub fn standing(&self, now: Timestamp, rules: &Rules) -> Standing {
        match self.state {
            State::In => Standing::In { share: 1.0 },
            // Nothing is out for longer: the clock has been put back.
            State::Out { until, .. } if now >= until || until > now.after(rules.longest) => Standing::Probe,
            State::Out { until, blame } => Standing::Out { until, blame },
            State::Probing { since, .. } if now.since(since) >= PROBE || since > now.after(AHEAD) => {
                Standing::Probe
            }
            State::Probing { since, blame } => Standing::Out { until: since.after(PROBE), blame },
            State::Returning { since } if since > now.after(AHEAD) => Standing::In { share: 1.0 },
            State::Returning { since } => {
                let back = now.since(since).as_secs_f64() / rules.ramp.as_secs_f64().max(0.001);
                Standing::In { share: (FIRST_SHARE + (1.0 - FIRST_SHARE) * back).min(1.0) }
            }
        }
    }

    /// What put it out last; none while it is in.
    pub fn blame(&self) -> Option<Blame> {
        match self.state {
            State::Out { blame, .. } | State::Probing { blame, .. } => Some(blame),
            State::In | State::Returning { .. } => None,
        }
    }

    /// Faults since the last success.
    pub fn faults(&self) -> u32 {
        self.row
    }

    pub(super) fn began(&mut self, now: Timestamp, rules: &Rules) {
        if let (Standing::Probe, Some(blame)) = (self.standing(now, rules), self.blame()) {
            self.state = State::Probing { since: now, blame };
        }
    }

    /// None: it answered. Answers whether that is news for other instances.
    pub(super) fn ended(&mut self, fault: Option<Blame>, now: Timestamp, rules: &Rules) -> bool {
        if now.since(self.calls.since) >= WINDOW {
            self.calls = Calls { since: now, ..Calls::default() };
        }
        self.calls.all = self.calls.all.saturating_add(1);
        match fault {
            None | Some(Blame::Caller) => {
                self.answered = now;
                let news = self.succeeded(now, rules);
                let in_again = self.shared && matches!(self.state, State::In);
                self.shared &= !in_again;
                news || in_again
            }
            Some(blame) => {
                self.failed = now;
                self.shared = true;
                let was_out = matches!(self.state, State::Out { .. });
                self.failed(blame, now, rules);
                !was_out
            }
        }
    }

    /// What other instances are to know.
    pub(super) fn notice(&mut self, target: &Arc<str>, now: Timestamp) -> Notice {
        self.heard = self.heard.max(now);
        let stands = match self.state {
            State::Out { until, blame } => Stands::Out { until, blame, outs: self.outs },
            State::Returning { .. } => Stands::Returning,
            // Who probes has not heard yet.
            State::In | State::Probing { .. } => Stands::In,
        };
        Notice { target: target.clone(), at: now, faults: self.row, stands }
    }

    /// Takes in what another instance has seen. What was seen here since counts more, but for limits of rate: there an
    /// answer says nothing of the next one.
    pub(super) fn hear(&mut self, notice: &Notice, now: Timestamp, rules: &Rules) {
        if notice.at <= self.heard || notice.at > now.after(AHEAD) {
            return;
        }
        self.heard = notice.at;
        let good_news = notice.at > self.failed;
        match notice.stands {
            Stands::Out { until, blame, outs } => {
                let limited = matches!(blame, Blame::Limited { .. });
                let until = until.min(now.after(rules.longest));
                let longer = matches!(self.state, State::Out { until: own, .. } if own >= until);
                if longer || (self.answered > notice.at && !limited) {
                    return;
                }
                self.state = State::Out { until, blame };
                self.outs = self.outs.max(outs);
                self.row = self.row.max(notice.faults);
                self.shared = true;
            }
            Stands::Returning if good_news => {
                self.row = 0;
                if matches!(self.state, State::Out { .. } | State::Probing { .. }) {
                    self.state = State::Returning { since: notice.at.min(now) };
                    self.calls = Calls { since: now, ..Calls::default() };
                }
            }
            Stands::In if notice.faults > 0 => {
                if notice.at > self.answered {
                    self.row = self.row.max(notice.faults);
                    self.shared = true;
                }
            }
            Stands::In if good_news => {
                self.state = State::In;
                self.shared = false;
                (self.row, self.outs) = (0, 0);
            }
            Stands::In | Stands::Returning => {}
        }
    }

    /// Answers whether it begins to return.
    fn succeeded(&mut self, now: Timestamp, rules: &Rules) -> bool {
        self.row = 0;
        match self.state {
            State::Probing { .. } => {
                self.state = State::Returning { since: now };
                self.calls = Calls { since: now, ..Calls::default() };
                return true;
            }
            State::Returning { since } if now.since(since) >= rules.ramp => {
                self.state = State::In;
                self.outs = 0;
            }
            // A call that began before it went out says nothing of how it is now.
            State::In | State::Returning { .. } | State::Out { .. } => {}
        }
        false
    }

    fn failed(&mut self, blame: Blame, now: Timestamp, rules: &Rules) {
        self.row = self.row.saturating_add(1);
        self.calls.faults = self.calls.faults.saturating_add(1);
        let shaky = matches!(self.state, State::Probing { .. } | State::Returning { .. });
        let many = self.calls.all >= MANY && self.calls.faults.saturating_mul(2) >= self.calls.all;
        let goes = match blame {
            Blame::Caller => false,
            Blame::Limited { .. } => true,
            Blame::Credential | Blame::Model => shaky || self.row >= CERTAIN,
            Blame::Provider | Blame::Network => shaky || many || self.row >= rules.faults,
        };
        if !goes || matches!(self.state, State::Out { .. }) {
            return;
        }
        let doubled = rules.out.saturating_mul(1 << self.outs.min(16)).min(rules.longest);
        let until = match blame {
            // It says itself when it is back.
            Blame::Limited { until: Some(until) } => until.min(now.after(rules.longest)),
            Blame::Credential | Blame::Model => now.after(MENDING.min(rules.longest)),
            Blame::Limited { until: None } | Blame::Provider | Blame::Network | Blame::Caller => {
                self.outs = self.outs.saturating_add(1);
                now.after(doubled)
            }
        };
        self.state = State::Out { until, blame };
    }
}
