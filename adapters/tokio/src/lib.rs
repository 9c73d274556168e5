//! What the hosts on tokio share: the HTTP client, the clock, chance, signatures, and work that goes on after an answer.

mod chance;
mod clock;
mod defer;
mod signer;
mod upstream;

pub use chance::SystemChance;
pub use clock::SystemClock;
pub use defer::Tasks;
pub use signer::RingSigner;
pub use upstream::{HttpUpstream, Settings};
