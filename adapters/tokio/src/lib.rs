//! What the hosts on tokio share: the HTTP client, the clock, chance, signatures, gzip, and work that goes on after an answer.

mod chance;
mod clock;
mod defer;
mod packer;
mod signer;
mod upstream;

pub use chance::SystemChance;
pub use clock::SystemClock;
pub use defer::Tasks;
pub use packer::Gzip;
pub use signer::RingSigner;
pub use upstream::{HttpUpstream, Settings};
