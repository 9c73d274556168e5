use gatelet_core::port::Chance;

/// The operating system's generator.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemChance;

impl Chance for SystemChance {
    fn fill(&self, bytes: &mut [u8]) {
        if getrandom::fill(bytes).is_err() {
            // Kernels that serve this program always have it; without it every secret made from here on could be guessed.
            std::process::abort();
        }
    }
}
