//! What the hosts on tokio share: the HTTP client, the clock, chance, and work that goes on after an answer.

mod chance;
mod clock;
mod defer;
mod upstream;

pub use chance::SystemChance;
pub use clock::SystemClock;
pub use defer::Tasks;
pub use upstream::{HttpUpstream, Settings};
