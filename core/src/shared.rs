//! What every part of a gateway may look at.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicUsize};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;

use crate::cache::Cache;
use crate::credential::Credentials;
use crate::demo::Demo;
use crate::domain::Timestamp;
use crate::identity::{KeyCache, ScopeCache};
use crate::policy::{Policy, Target};
use crate::port::{Ports, Upstream};
use crate::prompt::Prompts;
use crate::readiness::Readiness;
use crate::registry::Kind;
use crate::responses::Runs;
use crate::route::Board;
use crate::settings::Settings;

/// One gateway's ports, settings and policy in force.
#[derive(Debug)]
pub struct Core {
    pub ports: Ports,
    pub settings: Settings,
    pub(crate) keys: KeyCache,
    pub(crate) scopes: ScopeCache,
    /// Requests that wait at a limit.
    pub(crate) waiting: AtomicUsize,
    /// Copies of requests that are under way.
    pub(crate) copying: Arc<AtomicUsize>,
    /// What was seen of targets.
    pub(crate) board: Arc<Board>,
    /// Answers that are made in the background.
    pub(crate) runs: Runs,
    pub(crate) cache: Arc<Cache>,
    pub(crate) ready: Readiness,
    pub(crate) denied: Denied,
    /// Credentials that admins gave over the API.
    pub(crate) credentials: Credentials,
    pub(crate) prompts: Prompts,
    /// When alerts were looked for last, in seconds.
    pub(crate) alerted: AtomicI64,
    /// What `/metrics` said last, and in which second.
    pub(crate) told: Mutex<Option<(i64, Bytes)>>,
    /// When it was looked for what is to leave the archive, in seconds.
    pub(crate) tidied: AtomicI64,
    /// Whether there were sinks at the last tick; nobody knows at the first.
    pub(crate) fed: AtomicBool,
    /// Entries of the audit that were made here.
    pub(crate) audited: AtomicU32,
    demo: Demo,
    policy: RwLock<Arc<Policy>>,
}

/// Refusals that are written down although anybody can bring them about: so many a minute, the others are counted.
#[derive(Debug, Default)]
pub(crate) struct Denied(Mutex<DeniedLately>);

#[derive(Debug, Default)]
struct DeniedLately {
    minute: i64,
    known: u32,
    strangers: u32,
    left_out: u64,
}

impl Denied {
    /// Of somebody who is known, a minute.
    const KNOWN: u32 = 60;
    const STRANGERS: u32 = 6;

    /// Whether one more is to be written down, and then how many were not since the last one.
    pub(crate) fn note(&self, now: Timestamp, known: bool) -> Option<u64> {
        let mut lately = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = now.seconds().div_euclid(60);
        if lately.minute != minute {
            *lately = DeniedLately { minute, left_out: lately.left_out, ..DeniedLately::default() };
        }
        let (count, most) =
            if known { (&mut lately.known, Self::KNOWN) } else { (&mut lately.strangers, Self::STRANGERS) };
        if *count == most {
            lately.left_out += 1;
            return None;
        }
        *count += 1;
        Some(std::mem::take(&mut lately.left_out))
    }
}

/// What a tick did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ticked {
    /// Entries that went into the archive: requests, each with its attempts.
    pub archived: usize,
    /// Alerts that were told.
    pub told: usize,
    /// Requests that sinks were told of, each counted for each sink.
    pub passed_on: usize,
    /// Targets that were checked.
    pub checked: usize,
}

impl Core {
    pub(crate) fn new(ports: Ports, settings: Settings, policy: Policy) -> Self {
        let demo = Demo::new(ports.clock.clone());
        let board = Arc::new(Board::default());
        board.set_rules(*policy.health());
        let policy = RwLock::new(Arc::new(policy));
        Self {
            ports,
            settings,
            keys: KeyCache::default(),
            scopes: ScopeCache::default(),
            waiting: AtomicUsize::new(0),
            copying: Arc::default(),
            board,
            runs: Runs::default(),
            cache: Arc::default(),
            ready: Readiness::default(),
            denied: Denied::default(),
            credentials: Credentials::default(),
            prompts: Prompts::default(),
            alerted: AtomicI64::default(),
            told: Mutex::default(),
            tidied: AtomicI64::default(),
            fed: AtomicBool::new(true),
            audited: AtomicU32::default(),
            demo,
            policy,
        }
    }

    /// The same gateway on other ports, knowing no documents yet.
    pub(crate) fn on(&self, ports: Ports) -> Self {
        let this = Self::new(ports, self.settings.clone(), Policy::default());
        Self { policy: RwLock::new(self.policy()), board: self.board.clone(), ..this }
    }

    pub(crate) fn replace_policy(&self, policy: Policy) {
        self.board.set_rules(*policy.health());
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }

    pub(crate) fn policy(&self) -> Arc<Policy> {
        self.policy.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What calls a target: the network, or for the built-in provider nothing.
    pub(crate) fn upstream(&self, target: &Target) -> &dyn Upstream {
        match target.provider.kind {
            Kind::BuiltIn => &self.demo,
            Kind::Hosted | Kind::Gateway | Kind::Local => &*self.ports.upstream,
        }
    }
}
