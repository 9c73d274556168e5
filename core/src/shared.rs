//! What every part of a gateway may look at.

use std::sync::{Arc, PoisonError, RwLock};

use crate::demo::Demo;
use crate::identity::KeyCache;
use crate::policy::{Policy, Target};
use crate::port::{Ports, Upstream};
use crate::readiness::Readiness;
use crate::registry::Kind;
use crate::responses::Runs;
use crate::settings::Settings;

/// One gateway's ports, settings and policy in force.
#[derive(Debug)]
pub struct Core {
    pub ports: Ports,
    pub settings: Settings,
    pub(crate) keys: KeyCache,
    /// Answers that are made in the background.
    pub(crate) runs: Runs,
    pub(crate) ready: Readiness,
    demo: Demo,
    policy: RwLock<Arc<Policy>>,
}

/// What a tick did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ticked {
    /// Entries that went into the archive: requests, each with its attempts.
    pub archived: usize,
}

impl Core {
    pub(crate) fn new(ports: Ports, settings: Settings, policy: Policy) -> Self {
        let demo = Demo::new(ports.clock.clone());
        let policy = RwLock::new(Arc::new(policy));
        Self {
            ports,
            settings,
            keys: KeyCache::default(),
            runs: Runs::default(),
            ready: Readiness::default(),
            demo,
            policy,
        }
    }

    pub(crate) fn replace_policy(&self, policy: Policy) {
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
