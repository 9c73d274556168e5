//! Plain nouns with invariants. Imports nothing else of ours.

pub mod account;
mod calendar;
pub mod caller;
mod carried;
mod ceilings;
mod cidr;
mod compact;
pub mod id;
pub mod key;
pub mod money;
mod notice;
pub mod permission;
mod residency;
mod role;
#[cfg(feature = "schema")]
mod schema;
pub mod scope;
mod sealing;
pub mod secret;
mod span;
pub mod time;
pub mod trace;
mod zone;

pub use calendar::Civil;
pub use caller::{Caller, Stake};
pub use carried::Carried;
pub use ceilings::Ceilings;
pub use cidr::Cidr;
pub use compact::compact;
pub use id::{AccountId, HoldId, RequestId, ShardId};
pub use key::{Key, KeyToken, Proof, SigningSecret};
pub use money::{Money, Rate};
pub use notice::{Blame, Notice, Notices, Stands};
pub use permission::{Actor, Permit, Principal, Resource, TABLE, Verb};
pub use residency::Residency;
pub use role::Role;
pub use scope::{Scope, ScopeKind, ScopeState};
pub use sealing::{NotSealingKeys, SealingKeys};
pub use secret::Secret;
pub use span::Span;
pub use time::Timestamp;
pub use trace::Trace;
pub use zone::Zone;
