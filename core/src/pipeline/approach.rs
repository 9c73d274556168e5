//! How a request comes, as far as a key's rights ask: by which door, and from where.

use std::net::IpAddr;

use gatelet_wire::Operation;
use http::HeaderMap;
use http::request::Parts;

use crate::domain::{Cidr, Key};
use crate::port::Peer;
use crate::refusal::Refusal;
use crate::shared::Core;

/// The door that a request comes by, and what says from where.
#[derive(Clone, Copy)]
pub struct Approach<'a> {
    core: &'a Core,
    door: &'static str,
    peer: Option<IpAddr>,
    headers: &'a HeaderMap,
}

/// The door to what is said of models and of keys.
pub const MODELS: &str = "models";
/// The door of those who manage: it is not one of a key's `routes`.
pub const ADMIN: &str = "admin";

/// Whether a key's `routes` may name it.
pub fn is_door(word: &str) -> bool {
    word == MODELS || Operation::ALL.iter().any(|operation| operation.name() == word)
}

impl<'a> Approach<'a> {
    pub fn of(core: &'a Core, parts: &'a Parts, door: &'static str) -> Self {
        Self { core, door, peer: peer(parts), headers: &parts.headers }
    }

    pub(super) fn by(
        core: &'a Core,
        door: &'static str,
        peer: Option<IpAddr>,
        headers: &'a HeaderMap,
    ) -> Self {
        Self { core, door, peer, headers }
    }

    /// Refuses a door, or an address, that the key does not open.
    pub fn judge(&self, key: &Key) -> Result<(), Refusal> {
        if self.door != ADMIN
            && key.routes.as_ref().is_some_and(|routes| routes.iter().all(|route| route != self.door))
        {
            return Err(Refusal::RouteForbidden { route: self.door });
        }
        let Some(sources) = &key.sources else { return Ok(()) };
        let address = self.address();
        let within = |address| {
            sources.iter().filter_map(|text| Cidr::parse(text)).any(|range| range.contains(address))
        };
        if address.is_some_and(within) { Ok(()) } else { Err(Refusal::SourceForbidden { address }) }
    }

    /// Who sent it: the peer, or, where that is a proxy that the configuration trusts, the nearest that is none. What
    /// others wrote into the header is believed no further than that. None: nobody can say.
    pub fn address(&self) -> Option<IpAddr> {
        let policy = self.core.policy();
        let mut address = self.peer?;
        let lines = self.headers.get_all("x-forwarded-for").iter().rev();
        for line in lines {
            for hop in line.to_str().ok()?.rsplit(',') {
                if !policy.trusts(address) {
                    return Some(address);
                }
                address = hop.trim().parse::<IpAddr>().ok()?.to_canonical();
            }
        }
        Some(address)
    }
}

pub(super) fn peer(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<Peer>().map(|Peer(address)| address.to_canonical())
}

impl std::fmt::Debug for Approach<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Approach").field("door", &self.door).field("peer", &self.peer).finish_non_exhaustive()
    }
}
