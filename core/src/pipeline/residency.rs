//! Where a caller's requests may go, and what may be kept of them: pins of the configuration, of the key, and of what it
//! belongs to, all together.
//!
//! They bind whatever the gateway calls for a request that reads it: targets, fallbacks, copies, a provider's own interface. What
//! a request names by URL is fetched from where it names it: that sends nothing of the request.

use crate::domain::account::Document;
use crate::domain::{Caller, Residency};
use crate::policy::{Policy, Target};

/// All pins of one caller. Mostly none.
#[derive(Debug)]
pub struct Pins<'a> {
    pins: Vec<&'a Residency>,
}

/// Places that may keep something of a request, and those that may not.
#[derive(Debug, Default)]
pub struct Kept {
    pub inside: Vec<String>,
    pub left_out: Vec<String>,
}

impl<'a> Pins<'a> {
    pub fn of(policy: &'a Policy, caller: &'a Caller) -> Self {
        let configured = policy.pins().iter().filter(|pin| pin.is_of(&caller.key)).map(|pin| &pin.residency);
        let scopes = caller.documents().filter_map(Document::scope);
        let told = scopes.filter_map(|scope| scope.residency.as_ref());
        Self { pins: configured.chain(caller.key.residency.as_ref()).chain(told).collect() }
    }

    pub fn is_empty(&self) -> bool {
        self.pins.is_empty()
    }

    /// Whether a target may be called.
    pub fn allow(&self, target: &Target) -> bool {
        self.pins.iter().all(|pin| pin.allows(&target.provider.id, target.region.as_deref()))
    }

    /// Whether anything of a request may be kept in a region: for caches and sinks. A place of which nobody knows the region is
    /// outside, where regions are pinned.
    pub fn keep_in(&self, region: Option<&str>) -> bool {
        self.pins.iter().all(|pin| pin.allows_region(region))
    }

    /// What of a request may be kept at these places, by their names and regions, and what may not: as its record shows it, and
    /// as sinks go by it. Nothing is said of what is not pinned.
    pub fn kept<'p>(&self, places: impl Iterator<Item = (String, Option<&'p str>)>) -> Kept {
        let mut kept = Kept::default();
        if self.pins.is_empty() {
            return kept;
        }
        for (name, region) in places {
            let list = if self.keep_in(region) { &mut kept.inside } else { &mut kept.left_out };
            list.push(Residency::place(&name, region));
        }
        kept
    }

    /// Each as the record shows it.
    pub fn words(&self) -> Vec<String> {
        self.pins.iter().map(ToString::to_string).collect()
    }
}
